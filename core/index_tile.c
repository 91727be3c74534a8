#include "index_tile.h"

#include <stdlib.h>
#include <string.h>

#include "id.h"
#include "tile.h"

#include "banned.h"

static void add_key(hf_tile_index *index, hf_index_table in, uint64_t hash, uint32_t place) {
  hf_tile_keys *of = &index->table[in];
  of->key[of->count++] = (hf_index_key){hash, place};
}

static void add_record(hf_tile_index *index, uint32_t place, const hf_line *line,
                       const hf_place *where) {
  uint64_t seq = where->file_first;
  hf_row *row = &index->row[place];
  hf_row_fill(row, line, where);
  add_key(index, HF_INDEX_BY_ID, hf_row_id_hash(&line->id), place);
  switch (line->op) {
  case HF_OP_SAVE:
    add_key(index, HF_INDEX_BY_KEY, row->key_hash, place);
    if ((row->flags & HF_ROW_GROUPED) != 0) {
      add_key(index, HF_INDEX_BY_PEER, row->peer_hash, place);
      add_key(index, HF_INDEX_BY_GROUP, hf_index_group_hash(line->group.text, line->group.bytes),
              place);
    }
    break;
  case HF_OP_RETIRE:
  case HF_OP_DROP:
  case HF_OP_END:
    add_key(index, HF_INDEX_BY_ENDED, row->ends_hash, place);
    index->header.retire_count += line->op == HF_OP_RETIRE;
    index->header.drop_count += line->op == HF_OP_DROP;
    break;
  case HF_OP_BASELINE:
    add_key(index, HF_INDEX_BY_ENDED, hf_baseline_hash(row->peer_hash), place);
    if (index->header.later_count++ == 0)
      index->header.later_first = seq;
    break;
  case HF_OP_MODE:
    index->header.mode_seq = seq;
    memset(index->header.locker, 0, sizeof index->header.locker);
    memcpy(index->header.locker, line->locker.text + 1, line->locker.bytes - 2);
    index->header.journal = hf_line_mode_is_journal(line);
    if (!hf_line_mode_is_known(line))
      index->header.foreign_mode_seq = seq;
    break;
  case HF_OP_UNKNOWN:
    if (index->header.unknown_count++ == 0)
      index->header.unknown_first = seq;
    break;
  case HF_OP_LOST:
    break;
  }
}

static int compare_keys(const void *a, const void *b) {
  return hf_index_key_less(a, b) ? -1 : hf_index_key_less(b, a);
}

void hf_tile_index_begin(hf_tile_index *index, uint64_t tile) {
  memset(index, 0, sizeof *index);
  index->header.number = tile;
  index->header.count = HF_TILE_RECORDS;
}

void hf_tile_index_add(hf_tile_index *index, const hf_line *line, size_t offset, size_t bytes) {
  uint32_t place = index->count++;
  uint64_t seq = index->header.number * HF_TILE_RECORDS + 1 + place;
  hf_place where = {seq, (uint32_t)offset, (uint32_t)bytes, 1, place == 0};
  add_record(index, place, line, &where);
}

void hf_tile_index_end(hf_tile_index *index, const char *text, size_t bytes) {
  index->tile_bytes = bytes;
  index->tile_crc = hf_crc32c(0, text, bytes);
  for (size_t i = 0; i < HF_INDEX_TABLES; i++) {
    index->header.entries[i] = index->table[i].count;
    qsort(index->table[i].key, index->table[i].count, sizeof index->table[i].key[0], compare_keys);
  }
  hf_index_plan_filters(&index->header);
}

int hf_tile_index_read(hf_store *store, uint64_t tile, hf_tile_index *index, hf_error *reterr) {
  hf_autobuf text = {0};
  int got = hf_tile_read(store, tile, &text, reterr);
  if (got <= 0)
    return got;
  hf_tile_index_begin(index, tile);
  size_t at = 0;
  for (uint32_t i = 0; i < HF_TILE_RECORDS; i++) {
    hf_line line;
    const char *start = text.data + at;
    const char *end = at < text.used ? memchr(start, '\n', text.used - at) : NULL;
    size_t bytes = end != NULL ? (size_t)(end - start) : 0;
    if (end == NULL || bytes > HF_LINE_BYTES_MAX ||
        hf_line_decode(start, bytes, &line, NULL) != HF_OK)
      return 0;
    hf_tile_index_add(index, &line, at, bytes);
    at += bytes + 1;
  }
  if (at != text.used)
    return 0;
  hf_tile_index_end(index, text.data, text.used);
  return 1;
}

static void write_filter(const hf_tile_index *index, hf_index_table table,
                         const hf_index_header *header, hf_index_writer *out) {
  hf_index_filter filter;
  if (hf_index_filter_of(table) < 0)
    return;
  hf_index_filter_begin(&filter, table, header->filter_blocks[hf_index_filter_of(table)], out);
  for (size_t i = 0; i < index->table[table].count; i++)
    hf_index_filter_add(&filter, index->table[table].key[i].hash);
  hf_index_filter_end(&filter);
}

int hf_tile_index_write(void *context, const hf_index_header *header, hf_index_writer *out) {
  const hf_tile_index *index = context;
  char row[HF_INDEX_ROW_BYTES];
  char entry[HF_INDEX_ENTRY_BYTES];
  char tile[HF_INDEX_TILE_BYTES];
  hf_index_tile_put(index->tile_bytes, index->tile_crc, tile);
  hf_index_write(out, tile, sizeof tile);
  for (size_t i = 0; i < HF_TILE_RECORDS; i++) {
    hf_index_row_put(&index->row[i], row);
    hf_index_write(out, row, sizeof row);
  }
  for (size_t i = 0; i < HF_INDEX_TABLES; i++)
    for (size_t j = 0; j < index->table[i].count; j++) {
      hf_index_entry_put(&index->table[i].key[j], entry);
      hf_index_write(out, entry, sizeof entry);
    }
  for (int i = 0; i < HF_INDEX_TABLES; i++)
    write_filter(index, (hf_index_table)i, header, out);
  return HF_OK;
}

/* ---- those that whoever packs has made ---- */

void hf_tile_indexes_put(hf_tile_indexes *all, const hf_sys_file *file, hf_tile_index **index) {
  size_t place = (size_t)((*index)->header.number % HF_INDEX_FAN);
  free(all->index[place]);
  all->index[place] = *index;
  all->file[place] = *file;
  *index = NULL;
}

hf_tile_index *hf_tile_indexes_take(hf_tile_indexes *all, hf_store *store, uint64_t tile) {
  char name[HF_TILE_NAME_BYTES];
  hf_sys_file file;
  size_t place = (size_t)(tile % HF_INDEX_FAN);
  if (all == NULL || all->index[place] == NULL || all->index[place]->header.number != tile)
    return NULL;
  hf_tile_index *index = all->index[place];
  all->index[place] = NULL;
  hf_tile_name(tile, name);
  if (hf_sys_identify(store->tile_fd, name, &file) == 0 && file.device == all->file[place].device &&
      file.inode == all->file[place].inode && file.bytes == index->tile_bytes)
    return index;
  free(index); /* gc has written it anew */
  return NULL;
}

void hf_tile_indexes_free(hf_tile_indexes *all) {
  for (size_t i = 0; i < HF_INDEX_FAN; i++)
    free(all->index[i]);
  memset(all, 0, sizeof *all);
}
