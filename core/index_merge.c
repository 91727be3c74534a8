/* Sixteen index files become one of the next level: rows one after the other, tables merged. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"
#include "index_format.h"
#include "index_write.h"
#include "plant.h"

#include "banned.h"

enum { IN_ENTRIES = 512 };

typedef struct source { /* one table of one of the sixteen */
  const hf_index *index;
  hf_index_table table;
  uint64_t next; /* entry to be read next into `entry` */
  uint32_t shift;
  size_t at, have;
  char bytes[IN_ENTRIES * HF_INDEX_ENTRY_BYTES];
  hf_index_key key; /* valid unless at_end */
  int at_end;
} source;

static int advance(source *from, hf_error *reterr) {
  if (from->at == from->have) {
    uint64_t left = from->index->header.entries[from->table] - from->next;
    from->at_end = left == 0;
    if (left == 0)
      return HF_OK;
    from->have = left < IN_ENTRIES ? (size_t)left : IN_ENTRIES;
    from->at = 0;
    int status = hf_index_read(
        from->index, from->index->tables_at[from->table] + from->next * HF_INDEX_ENTRY_BYTES,
        from->bytes, from->have * HF_INDEX_ENTRY_BYTES, reterr);
    if (status != HF_OK)
      return status;
    from->next += from->have;
  }
  hf_index_entry_take(from->bytes + from->at * HF_INDEX_ENTRY_BYTES, &from->key);
  from->key.place += from->shift;
  from->at++;
  return HF_OK;
}

/* Walks through a table of all sixteen; each hash goes to the filter, or, where that is NULL, each
 * entry to the file. */
static int merge_table(hf_index *const *files, hf_index_table of, source *sources,
                       hf_index_filter *filter, hf_index_writer *out) {
  char entry[HF_INDEX_ENTRY_BYTES];
  hf_index_key before = {0};
  int status = HF_OK;
  for (uint32_t i = 0; i < HF_INDEX_FAN && status == HF_OK; i++) {
    source *from = &sources[i];
    from->index = files[i];
    from->table = of;
    from->next = 0;
    from->at = from->have = 0;
    from->at_end = 0;
    from->shift = i * (uint32_t)files[i]->header.count;
    status = advance(from, out->reterr);
  }
  while (status == HF_OK && out->status == HF_OK) {
    source *least = NULL;
    for (size_t i = 0; i < HF_INDEX_FAN; i++)
      if (!sources[i].at_end && (least == NULL || hf_index_key_less(&sources[i].key, &least->key)))
        least = &sources[i];
    if (least == NULL)
      break;
    int drops = HF_PLANTED(INDEX_MERGE_DROPS_NEWEST) && least == &sources[HF_INDEX_FAN - 1] &&
                before.hash == least->key.hash;
    before = drops ? before : least->key;
    if (filter != NULL) {
      hf_index_filter_add(filter, least->key.hash);
    } else {
      hf_index_entry_put(&before, entry);
      hf_index_write(out, entry, sizeof entry);
    }
    status = advance(least, out->reterr);
  }
  return status == HF_OK ? out->status : status;
}

static int merge_filter(hf_index *const *files, hf_index_table of, source *sources,
                        const hf_index_header *header, hf_index_writer *out) {
  hf_index_filter filter;
  if (hf_index_filter_of(of) < 0)
    return HF_OK;
  hf_index_filter_begin(&filter, of, header->filter_blocks[hf_index_filter_of(of)], out);
  int status = merge_table(files, of, sources, &filter, out);
  hf_index_filter_end(&filter);
  return status;
}

int hf_index_copy(const hf_index *from, uint64_t offset, uint64_t bytes, hf_index_writer *out) {
  char piece[4096];
  while (bytes > 0 && out->status == HF_OK) {
    size_t count = bytes < sizeof piece ? (size_t)bytes : sizeof piece;
    int status = hf_index_read(from, offset, piece, count, out->reterr);
    if (status != HF_OK)
      return status;
    hf_index_write(out, piece, count);
    offset += count;
    bytes -= count;
  }
  return out->status;
}

void hf_index_join_headers(hf_index *const *files, hf_index_header *header) {
  for (size_t i = 0; i < HF_INDEX_FAN; i++) {
    const hf_index_header *part = &files[i]->header;
    for (size_t j = 0; j < HF_INDEX_TABLES; j++)
      header->entries[j] += part->entries[j];
    if (part->mode_seq != 0) {
      header->mode_seq = part->mode_seq;
      memcpy(header->locker, part->locker, sizeof header->locker);
      header->journal = part->journal;
    }
    header->retire_count += part->retire_count;
    header->drop_count += part->drop_count;
    if (part->foreign_mode_seq != 0)
      header->foreign_mode_seq = part->foreign_mode_seq;
    if (header->unknown_count == 0)
      header->unknown_first = part->unknown_first;
    header->unknown_count += part->unknown_count;
    if (header->later_count == 0)
      header->later_first = part->later_first;
    header->later_count += part->later_count;
  }
}

int hf_index_write_merged(hf_index *const *files, const hf_index_header *header,
                          hf_index_writer *out) {
  int status = HF_OK;
  source *sources = calloc(HF_INDEX_FAN, sizeof *sources);
  if (sources == NULL)
    return hf_err_nomem(out->reterr);
  for (size_t i = 0; i < HF_INDEX_FAN && status == HF_OK; i++)
    status = hf_index_copy(files[i], HF_INDEX_HEADER_BYTES,
                           files[i]->rows_at - HF_INDEX_HEADER_BYTES, out);
  for (size_t i = 0; i < HF_INDEX_FAN && status == HF_OK; i++)
    status = hf_index_copy(files[i], files[i]->rows_at, files[i]->header.count * HF_INDEX_ROW_BYTES,
                           out);
  for (int i = 0; i < HF_INDEX_TABLES && status == HF_OK; i++)
    status = merge_table(files, (hf_index_table)i, sources, NULL, out);
  for (int i = 0; i < HF_INDEX_TABLES && status == HF_OK; i++)
    status = merge_filter(files, (hf_index_table)i, sources, header, out);
  free(sources);
  return status;
}
