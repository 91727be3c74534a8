/* One index file: its header, its rows, and looking up a hash in one of its sorted tables. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "index.h"
#include "index_format.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum { CHECK_BYTES = 1 << 16, NEAR_ENTRIES = 16 };

void hf_index_name(unsigned level, uint64_t number, char name[HF_INDEX_NAME_BYTES]) {
  (void)snprintf(name, HF_INDEX_NAME_BYTES, "%u/%llu.idx", level, (unsigned long long)number);
}

uint64_t hf_index_tiles(unsigned level) {
  return UINT64_C(1) << (4 * level); /* HF_INDEX_FAN to the power of level */
}

void hf_index_covering(uint64_t tile, uint64_t tiles, unsigned *ret_level, uint64_t *ret_number) {
  unsigned level = HF_INDEX_LEVEL_MAX;
  while (level > 0 && (tile / hf_index_tiles(level) + 1) * hf_index_tiles(level) > tiles)
    level--;
  *ret_level = level;
  *ret_number = tile / hf_index_tiles(level);
}

uint64_t hf_index_group_hash(const char *text, size_t bytes) {
  return HF_TEST_HASH(hf_hash64(5, text, bytes));
}

/* ---- header ---- */

void hf_index_number_put(char *at, uint64_t number, size_t bytes) {
  uint64_t word = htole64(number);
  memcpy(at, &word, bytes);
}

uint64_t hf_index_number_take(const char *at, size_t bytes) {
  uint64_t word = 0;
  memcpy(&word, at, bytes);
  return le64toh(word);
}

static const char *magic_of(const hf_index_header *header) {
  return header->retire_count > 0 || header->drop_count > 0 ? HF_INDEX_MAGIC_2 : HF_INDEX_MAGIC;
}

void hf_index_header_put(const hf_index_header *header, char bytes[HF_INDEX_HEADER_BYTES]) {
  memset(bytes, 0, HF_INDEX_HEADER_BYTES);
  memcpy(bytes, magic_of(header), sizeof HF_INDEX_MAGIC - 1);
  hf_index_number_put(bytes + HEADER_LEVEL, header->level, 4);
  hf_index_number_put(bytes + HEADER_TILE_RECORDS, HF_TILE_RECORDS, 4);
  hf_index_number_put(bytes + HEADER_NUMBER, header->number, 8);
  hf_index_number_put(bytes + HEADER_COUNT, header->count, 8);
  for (size_t i = 0; i < HF_INDEX_TABLES; i++)
    hf_index_number_put(bytes + HEADER_ENTRIES + 8 * i, header->entries[i], 8);
  hf_index_number_put(bytes + HEADER_MODE_SEQ, header->mode_seq, 8);
  hf_index_number_put(bytes + HEADER_FOREIGN_MODE_SEQ, header->foreign_mode_seq, 8);
  hf_index_number_put(bytes + HEADER_UNKNOWN_COUNT, header->unknown_count + header->later_count, 8);
  hf_index_number_put(bytes + HEADER_UNKNOWN_FIRST,
                      header->unknown_count > 0 ? header->unknown_first : header->later_first, 8);
  hf_index_number_put(bytes + HEADER_LATER_COUNT, header->later_count, 8);
  hf_index_number_put(bytes + HEADER_LATER_FIRST, header->later_first, 8);
  memcpy(bytes + HEADER_LOCKER, header->locker, sizeof header->locker);
  bytes[HEADER_JOURNAL] = (char)(header->journal != 0);
  hf_index_number_put(bytes + HEADER_RETIRES, header->retire_count, 8);
  hf_index_number_put(bytes + HEADER_DROPS, header->drop_count, 8);
  for (size_t i = 0; i < HF_INDEX_FILTERS; i++)
    hf_index_number_put(bytes + HEADER_FILTERS + 8 * i, header->filter_blocks[i], 8);
  hf_index_number_put(bytes + HEADER_BODY_CRC, header->body_crc, 4);
  hf_index_number_put(bytes + HEADER_CRC, hf_crc32c(0, bytes, HEADER_CRC), 4);
}

void hf_index_plan_filters(hf_index_header *header) {
  for (int i = 0; i < HF_INDEX_TABLES; i++)
    if (hf_index_filter_of((hf_index_table)i) >= 0)
      header->filter_blocks[hf_index_filter_of((hf_index_table)i)] =
          hf_index_filter_blocks(header->entries[i]);
}

/* Each as it is made now, or not at all. */
static int take_filters(const char *bytes, hf_index_header *header) {
  hf_index_plan_filters(header);
  for (size_t i = 0; i < HF_INDEX_FILTERS; i++) {
    uint64_t blocks = hf_index_number_take(bytes + HEADER_FILTERS + 8 * i, 8);
    if (blocks != 0 && blocks != header->filter_blocks[i])
      return -1;
    header->filter_blocks[i] = blocks;
  }
  return 0;
}

static int take_header(const char *bytes, unsigned level, uint64_t number,
                       hf_index_header *header) {
  memset(header, 0, sizeof *header);
  header->retire_count = hf_index_number_take(bytes + HEADER_RETIRES, 8);
  header->drop_count = hf_index_number_take(bytes + HEADER_DROPS, 8);
  if (memcmp(bytes, magic_of(header), sizeof HF_INDEX_MAGIC - 1) != 0 ||
      hf_index_number_take(bytes + HEADER_CRC, 4) != hf_crc32c(0, bytes, HEADER_CRC) ||
      hf_index_number_take(bytes + HEADER_TILE_RECORDS, 4) != HF_TILE_RECORDS)
    return -1;
  header->level = (unsigned)hf_index_number_take(bytes + HEADER_LEVEL, 4);
  header->number = hf_index_number_take(bytes + HEADER_NUMBER, 8);
  header->count = hf_index_number_take(bytes + HEADER_COUNT, 8);
  for (size_t i = 0; i < HF_INDEX_TABLES; i++) {
    header->entries[i] = hf_index_number_take(bytes + HEADER_ENTRIES + 8 * i, 8);
    if (header->entries[i] > header->count)
      return -1;
  }
  header->mode_seq = hf_index_number_take(bytes + HEADER_MODE_SEQ, 8);
  header->foreign_mode_seq = hf_index_number_take(bytes + HEADER_FOREIGN_MODE_SEQ, 8);
  header->unknown_count = hf_index_number_take(bytes + HEADER_UNKNOWN_COUNT, 8);
  header->unknown_first = hf_index_number_take(bytes + HEADER_UNKNOWN_FIRST, 8);
  header->later_count = hf_index_number_take(bytes + HEADER_LATER_COUNT, 8);
  header->later_first = hf_index_number_take(bytes + HEADER_LATER_FIRST, 8);
  if (header->later_count > header->unknown_count)
    return -1;
  header->unknown_count -= header->later_count;
  memcpy(header->locker, bytes + HEADER_LOCKER, sizeof header->locker);
  header->locker[sizeof header->locker - 1] = '\0';
  header->journal = bytes[HEADER_JOURNAL] == 1;
  header->body_crc = (uint32_t)hf_index_number_take(bytes + HEADER_BODY_CRC, 4);
  if (take_filters(bytes, header) != 0)
    return -1;
  return header->level == level && header->number == number &&
                 header->count == hf_index_tiles(level) * HF_TILE_RECORDS
             ? 0
             : -1;
}

void hf_index_lay_out(hf_index *index) {
  const hf_index_header *header = &index->header;
  uint64_t at = HF_INDEX_HEADER_BYTES + hf_index_tiles(header->level) * HF_INDEX_TILE_BYTES;
  index->first = header->number * header->count + 1;
  index->rows_at = at;
  at += header->count * HF_INDEX_ROW_BYTES;
  for (size_t i = 0; i < HF_INDEX_TABLES; i++) {
    index->tables_at[i] = at;
    at += header->entries[i] * HF_INDEX_ENTRY_BYTES;
  }
  for (size_t i = 0; i < HF_INDEX_FILTERS; i++) {
    index->filters_at[i] = at;
    at += header->filter_blocks[i] * HF_INDEX_BLOCK_BYTES;
  }
  index->bytes = at;
}

/* ---- opening ---- */

/* Why it is not used; the answer is 0. */
static int not_usable(const char *name, const char *why, hf_error *reterr) {
  char place[HF_INDEX_NAME_BYTES + 8];
  (void)snprintf(place, sizeof place, "index/%s", name);
  (void)hf_err(reterr, HF_EDAMAGED, place, "%s", why);
  return 0;
}

static int open_checked(hf_store *store, const char *name, unsigned level, uint64_t number,
                        int maps, hf_index *index, hf_error *reterr) {
  char bytes[HF_INDEX_HEADER_BYTES];
  struct stat st;
  index->dir_fd = store->index_fd;
  index->fd = hf_sys_openat(store->index_fd, name, O_RDONLY, 0);
  if (index->fd < 0)
    return not_usable(name, errno == ENOENT ? "it is not there" : "it cannot be opened", reterr);
  if (hf_sys_fstat(index->fd, &st) != 0 || !S_ISREG(st.st_mode))
    return not_usable(name, "it cannot be examined", reterr);
  if (hf_sys_pread_full(index->fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
      take_header(bytes, level, number, &index->header) != 0)
    return not_usable(name, "its header is damaged, or a newer version's", reterr);
  hf_index_lay_out(index);
  if ((uint64_t)st.st_size != index->bytes)
    return not_usable(name, "it is cut short", reterr);
  if (maps && !store->shared) {
    void *map = mmap(NULL, (size_t)index->bytes, PROT_READ, MAP_SHARED, index->fd, 0);
    if (map != MAP_FAILED) {
      index->map = map;
      (void)hf_sys_close(hf_fd_take(&index->fd));
    }
  }
  return 1;
}

static int open_one(hf_store *store, unsigned level, uint64_t number, int maps,
                    hf_index **ret_index, hf_error *reterr) {
  char name[HF_INDEX_NAME_BYTES];
  hf_index_name(level, number, name);
  hf_index *index = calloc(1, sizeof *index);
  if (index == NULL)
    return hf_err_nomem(reterr);
  int got = open_checked(store, name, level, number, maps, index, reterr);
  if (got == 1)
    *ret_index = index;
  else
    hf_index_close(index);
  return got;
}

int hf_index_open(hf_store *store, unsigned level, uint64_t number, hf_index **ret_index,
                  hf_error *reterr) {
  return open_one(store, level, number, 1, ret_index, reterr);
}

int hf_index_open_to_copy(hf_store *store, unsigned level, uint64_t number, hf_index **ret_index,
                          hf_error *reterr) {
  return open_one(store, level, number, 0, ret_index, reterr);
}

void hf_index_close(hf_index *index) {
  if (index == NULL)
    return;
  if (index->map != NULL)
    (void)munmap((void *)(uintptr_t)index->map, (size_t)index->bytes);
  hf_fd_cleanup(&index->fd);
  free(index);
}

/* ---- reading ---- */

/* Where gc on another host has put a new file in this one's place (index_renew.c), NFS forgets the
 * old one under our hands (ESTALE). The new one has the same hashes, ids and seqs in the same
 * places, and is read by the same descriptor from now on, whichever threads read by it. */
static void take_new_file(const hf_index *index, const char *name) {
  char bytes[HF_INDEX_HEADER_BYTES];
  hf_index fresh = {.fd = -1};
  hf_autofd int fd = hf_sys_openat(index->dir_fd, name, O_RDONLY, 0);
  if (fd < 0 || hf_sys_pread_full(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes ||
      take_header(bytes, index->header.level, index->header.number, &fresh.header) != 0)
    return;
  hf_index_lay_out(&fresh);
  if (fresh.bytes == index->bytes &&
      memcmp(fresh.tables_at, index->tables_at, sizeof fresh.tables_at) == 0 &&
      memcmp(fresh.filters_at, index->filters_at, sizeof fresh.filters_at) == 0)
    (void)dup3(fd, index->fd, O_CLOEXEC);
}

static int read_once(const hf_index *index, const char *name, uint64_t offset, void *out,
                     size_t bytes, hf_error *reterr) {
  ssize_t got = hf_sys_pread_full(index->fd, out, bytes, (off_t)offset);
  if (got == (ssize_t)bytes)
    return HF_OK;
  return got < 0 ? hf_err_sys(reterr, HF_EIO, errno, name, "cannot read the index; try again")
                 : hf_err(reterr, HF_EIO, name, "the index is cut short; holdfast pack mends it");
}

int hf_index_read(const hf_index *index, uint64_t offset, void *out, size_t bytes,
                  hf_error *reterr) {
  char name[HF_INDEX_NAME_BYTES];
  hf_error why = HF_ERROR_INIT;
  if (index->map != NULL) {
    memcpy(out, index->map + offset, bytes);
    return HF_OK;
  }
  hf_index_name(index->header.level, index->header.number, name);
  int status = read_once(index, name, offset, out, bytes, &why);
  int64_t deadline_ms = status == HF_OK ? 0 : hf_deadline_ms(HF_TILE_ABSENT_MS_MAX);
  for (unsigned i = 0;
       status == HF_EIO && why.sys_errno == ESTALE && !HF_PLANTED(INDEX_STALE_FINAL); i++) {
    take_new_file(index, name);
    status = read_once(index, name, offset, out, bytes, &why);
    if (status != HF_OK && /* its name may be gone for a moment: hf_tile_read */
        hf_backoff_sleep(i, HF_TILE_ABSENT_US, HF_TILE_ABSENT_US_MAX, deadline_ms) != 0)
      break;
  }
  if (status != HF_OK && reterr != NULL)
    *reterr = why;
  return status;
}

int hf_index_check_body(const hf_index *index, hf_error *reterr) {
  char bytes[CHECK_BYTES];
  uint32_t crc = 0;
  for (uint64_t at = HF_INDEX_HEADER_BYTES; at < index->bytes; at += sizeof bytes) {
    size_t count = index->bytes - at < sizeof bytes ? (size_t)(index->bytes - at) : sizeof bytes;
    char name[HF_INDEX_NAME_BYTES];
    hf_index_name(index->header.level, index->header.number, name);
    int status = index->map != NULL ? hf_index_read(index, at, bytes, count, reterr)
                                    : read_once(index, name, at, bytes, count, reterr);
    if (status != HF_OK)
      return status;
    crc = hf_crc32c(crc, bytes, count);
  }
  return crc == index->header.body_crc
             ? HF_OK
             : hf_err(reterr, HF_EDAMAGED, NULL, "the CRC of the index does not match");
}

void hf_index_row_put(const hf_row *row, char bytes[HF_INDEX_ROW_BYTES]) {
  memcpy(bytes, row->id.bytes, sizeof row->id.bytes);
  hf_index_number_put(bytes + ROW_KEY, row->key_hash, 8);
  hf_index_number_put(bytes + ROW_PEER, row->peer_hash, 8);
  hf_index_number_put(bytes + ROW_RUN, row->run_hash, 8);
  hf_index_number_put(bytes + ROW_DOC, row->doc_hash, 8);
  hf_index_number_put(bytes + ROW_OFFSET, row->offset, 4);
  hf_index_number_put(bytes + ROW_META,
                      row->line_bytes | (uint32_t)row->op << ROW_OP_SHIFT |
                          (uint32_t)(row->flags & ROW_FLAGS) << ROW_FLAGS_SHIFT,
                      4);
}

void hf_index_row_take(const char bytes[HF_INDEX_ROW_BYTES], hf_row *ret_row) {
  uint32_t meta = (uint32_t)hf_index_number_take(bytes + ROW_META, 4);
  memset(ret_row, 0, sizeof *ret_row);
  memcpy(ret_row->id.bytes, bytes, sizeof ret_row->id.bytes);
  ret_row->key_hash = hf_index_number_take(bytes + ROW_KEY, 8);
  ret_row->peer_hash = hf_index_number_take(bytes + ROW_PEER, 8);
  ret_row->run_hash = hf_index_number_take(bytes + ROW_RUN, 8);
  ret_row->doc_hash = hf_index_number_take(bytes + ROW_DOC, 8);
  ret_row->offset = (uint32_t)hf_index_number_take(bytes + ROW_OFFSET, 4);
  ret_row->line_bytes = meta & ROW_BYTES_MAX;
  ret_row->op = (uint8_t)(meta >> ROW_OP_SHIFT & 15);
  ret_row->flags = (uint8_t)(meta >> ROW_FLAGS_SHIFT & ROW_FLAGS);
}

int hf_index_row(const hf_index *index, uint64_t seq, hf_row *ret_row, hf_error *reterr) {
  char bytes[HF_INDEX_ROW_BYTES];
  int status = hf_index_read(index, index->rows_at + (seq - index->first) * sizeof bytes, bytes,
                             sizeof bytes, reterr);
  if (status != HF_OK)
    return status;
  hf_index_row_take(bytes, ret_row);
  ret_row->in_tile = 1;
  ret_row->file_first = seq;
  if ((seq - 1) % HF_TILE_RECORDS == 0) /* the edge of a tile is always the edge of a file */
    ret_row->flags |= HF_ROW_FIRST;
  return HF_OK;
}

int hf_index_entry(const hf_index *index, hf_index_table table, uint64_t i, hf_index_key *ret_key,
                   hf_error *reterr) {
  char bytes[HF_INDEX_ENTRY_BYTES];
  int status =
      hf_index_read(index, index->tables_at[table] + i * sizeof bytes, bytes, sizeof bytes, reterr);
  if (status == HF_OK)
    hf_index_entry_take(bytes, ret_key);
  return status;
}

void hf_index_entry_take(const char bytes[HF_INDEX_ENTRY_BYTES], hf_index_key *ret_key) {
  ret_key->hash = hf_index_number_take(bytes, 8);
  ret_key->place = (uint32_t)hf_index_number_take(bytes + 8, 4);
}

void hf_index_tile_put(uint64_t bytes, uint32_t crc, char out[HF_INDEX_TILE_BYTES]) {
  hf_index_number_put(out, bytes, 8);
  hf_index_number_put(out + 8, crc, 8);
}

int hf_index_tile(const hf_index *index, uint64_t tile, uint64_t *ret_bytes, uint32_t *ret_crc,
                  hf_error *reterr) {
  char bytes[HF_INDEX_TILE_BYTES];
  uint64_t first = index->header.number * hf_index_tiles(index->header.level);
  int status = hf_index_read(index, HF_INDEX_HEADER_BYTES + (tile - first) * sizeof bytes, bytes,
                             sizeof bytes, reterr);
  if (status == HF_OK) {
    *ret_bytes = hf_index_number_take(bytes, 8);
    *ret_crc = (uint32_t)hf_index_number_take(bytes + 8, 4);
  }
  return status;
}

void hf_index_entry_put(const hf_index_key *key, char bytes[HF_INDEX_ENTRY_BYTES]) {
  hf_index_number_put(bytes, key->hash, 8);
  hf_index_number_put(bytes + 8, key->place, 4);
}

/* ---- looking up ---- */

/* Where the hash would stand if hashes were spread evenly, which they are. */
static uint64_t guess(uint64_t hash, uint64_t entries) {
  return (hash >> 32) * entries >> 32; /* entries: below 2^29 */
}

/* Narrows [low, high) around the guess, in growing steps, so that few pages are touched: entry
 * low - 1 is below the key, entry high is not. */
static int narrow(const hf_index *index, hf_index_table table, const hf_index_key *key,
                  uint64_t *low, uint64_t *high, hf_error *reterr) {
  uint64_t entries = *high;
  uint64_t at = guess(key->hash, entries);
  hf_index_key there;
  int status = hf_index_entry(index, table, at, &there, reterr);
  int upward = status == HF_OK && hf_index_key_less(&there, key);
  for (uint64_t step = NEAR_ENTRIES; status == HF_OK; step *= 4) {
    if (upward)
      *low = at + 1;
    else
      *high = at;
    if (upward ? entries - at <= step : at < step)
      break;
    at = upward ? at + step : at - step;
    if (at >= entries)
      break;
    status = hf_index_entry(index, table, at, &there, reterr);
    if (status == HF_OK && hf_index_key_less(&there, key) != upward) {
      if (upward)
        *high = at;
      else
        *low = at + 1;
      break;
    }
  }
  return status;
}

/* The first entry that is not below the key. */
static int lower_bound(const hf_index *index, hf_index_table table, const hf_index_key *key,
                       uint64_t *ret_at, hf_error *reterr) {
  uint64_t low = 0;
  uint64_t high = index->header.entries[table];
  int status = high > 0 ? narrow(index, table, key, &low, &high, reterr) : HF_OK;
  while (status == HF_OK && low < high) {
    hf_index_key there = {0};
    uint64_t middle = low + (high - low) / 2;
    status = hf_index_entry(index, table, middle, &there, reterr);
    if (hf_index_key_less(&there, key))
      low = middle + 1;
    else
      high = middle;
  }
  *ret_at = low;
  return status;
}

int hf_index_last(const hf_index *index, hf_index_table table, uint64_t hash, uint64_t below,
                  uint64_t *ret_seq, hf_error *reterr) {
  uint64_t at = 0;
  uint64_t end = index->first + index->header.count;
  if (below <= index->first || !hf_index_may_have(index, table, hash))
    return 0;
  hf_index_key key = {hash, (uint32_t)((below < end ? below : end) - index->first)};
  int status = lower_bound(index, table, &key, &at, reterr);
  if (status != HF_OK || at == 0)
    return status;
  status = hf_index_entry(index, table, at - 1, &key, reterr);
  if (status != HF_OK || key.hash != hash)
    return status;
  *ret_seq = index->first + key.place;
  return 1;
}

int hf_index_next(const hf_index *index, hf_index_table table, uint64_t hash, uint64_t from,
                  uint64_t *ret_seq, hf_error *reterr) {
  uint64_t at = 0;
  if (from >= index->first + index->header.count || !hf_index_may_have(index, table, hash))
    return 0;
  hf_index_key key = {hash, from > index->first ? (uint32_t)(from - index->first) : 0};
  int status = lower_bound(index, table, &key, &at, reterr);
  if (status != HF_OK || at == index->header.entries[table])
    return status;
  status = hf_index_entry(index, table, at, &key, reterr);
  if (status != HF_OK || key.hash != hash)
    return status;
  *ret_seq = index->first + key.place;
  return 1;
}
