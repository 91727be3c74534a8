/* Indexes of tiles that gc has written anew.
 *
 * An index of the old tile hides nothing: its hashes and ids are the same, and where a record does
 * not stand at its offset any more the tile is looked through (hf_log_load). So there is no moment
 * at which answers are wrong, and no need for one at which all indexes change together: each file
 * is made anew, with the new places and sums, and renamed over the old one; whoever has that one
 * open goes on with it. Only files of such tiles are touched, those of lower levels, too, from
 * which a builder may be about to merge. A crash leaves some of them old: the next gc finds them by
 * their sums. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "index.h"
#include "index_format.h"
#include "index_write.h"
#include "log.h"
#include "sys.h"

#include "banned.h"

enum { NUMBER_DIGITS_MAX = 17 };

typedef struct renewal {
  hf_store *store;
  const hf_index_sum *sums;
  uint64_t tiles;
  unsigned level;
  hf_index *old;
} renewal;

/* Is the file made of this tile as it is now? 1, 0 or negative. */
static int is_of(const renewal *work, uint64_t tile, hf_error *reterr) {
  hf_index_sum sum = {0};
  int status = hf_index_tile(work->old, tile, &sum.bytes, &sum.crc, reterr);
  return status != HF_OK ? status
                         : sum.bytes == work->sums[tile].bytes && sum.crc == work->sums[tile].crc;
}

/* The rows of a tile as it is now; they must be those of the same records. */
static int write_rows(const renewal *work, uint64_t tile, hf_index_writer *out) {
  hf_autobuf text = {0};
  char name[HF_TILE_NAME_BYTES];
  uint64_t seq = tile * HF_TILE_RECORDS + 1;
  size_t at = 0;
  int got = hf_tile_read(work->store, tile, &text, out->reterr);
  if (got < 0)
    return got;
  int good = got == 1;
  for (size_t i = 0; good && i < HF_TILE_RECORDS; i++, seq++) {
    char bytes[HF_INDEX_ROW_BYTES];
    hf_line line;
    hf_row row;
    hf_row old;
    const char *start = text.data + at;
    const char *end = at < text.used ? memchr(start, '\n', text.used - at) : NULL;
    good = end != NULL && hf_line_decode(start, (size_t)(end - start), &line, NULL) == HF_OK;
    int status = good ? hf_index_row(work->old, seq, &old, out->reterr) : HF_OK;
    if (status != HF_OK)
      return status;
    if (good) {
      hf_place place = {seq, (uint32_t)at, (uint32_t)(end - start), 1, i == 0};
      hf_row_fill(&row, &line, &place);
      good = memcmp(&row.id, &old.id, sizeof row.id) == 0;
      hf_index_row_put(&row, bytes);
      hf_index_write(out, bytes, sizeof bytes);
      at = (size_t)(end - text.data) + 1;
    }
  }
  hf_tile_name(tile, name);
  return good ? HF_OK
              : hf_err(out->reterr, HF_EDAMAGED, name,
                       "the tile has changed otherwise than gc changes one; run holdfast verify");
}

static int write_body(void *context, const hf_index_header *header, hf_index_writer *out) {
  const renewal *work = context;
  uint64_t count = hf_index_tiles(header->level);
  uint64_t first = header->number * count;
  int status = HF_OK;
  for (uint64_t tile = first; tile < first + count; tile++) {
    char bytes[HF_INDEX_TILE_BYTES];
    hf_index_tile_put(work->sums[tile].bytes, work->sums[tile].crc, bytes);
    hf_index_write(out, bytes, sizeof bytes);
  }
  for (uint64_t tile = first; tile < first + count && status == HF_OK; tile++) {
    int same = is_of(work, tile, out->reterr);
    uint64_t rows = (tile - first) * HF_TILE_RECORDS * HF_INDEX_ROW_BYTES;
    if (same < 0)
      status = same;
    else if (same == 0)
      status = write_rows(work, tile, out);
    else
      status = hf_index_copy(work->old, work->old->rows_at + rows,
                             (uint64_t)HF_TILE_RECORDS * HF_INDEX_ROW_BYTES, out);
  }
  uint64_t tables = work->old->tables_at[0];
  return status == HF_OK ? hf_index_copy(work->old, tables, work->old->bytes - tables, out)
                         : status;
}

static int renew(renewal *work, uint64_t number, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  uint64_t count = hf_index_tiles(work->level);
  int same = 1;
  if ((number + 1) * count > work->tiles) /* packed and indexed since */
    return HF_OK;
  int got = hf_index_open(work->store, work->level, number, &work->old, &why);
  if (got != 1) /* what cannot be used is for verify to name */
    return got < 0 ? hf_err_nomem(reterr) : HF_OK;
  for (uint64_t tile = number * count; tile < (number + 1) * count && same == 1; tile++)
    same = is_of(work, tile, reterr);
  int status = same < 0 ? same : HF_OK;
  if (same == 0 && hf_index_check_body(work->old, &why) == HF_OK) {
    hf_index_header header = work->old->header;
    status = hf_index_write_file(work->store, &header, write_body, work, NULL, reterr);
  }
  hf_index_close(work->old);
  work->old = NULL;
  return status;
}

/* "15.idx" */
static int renew_file(void *context, const char *name, hf_error *reterr) {
  renewal *work = context;
  char expected[HF_INDEX_NAME_BYTES];
  char *end = NULL;
  size_t digits = strspn(name, "0123456789");
  if (digits == 0 || digits > NUMBER_DIGITS_MAX)
    return HF_OK;
  uint64_t number = strtoull(name, &end, 10);
  hf_index_name(work->level, number, expected);
  return strcmp(strchr(expected, '/') + 1, name) == 0 ? renew(work, number, reterr) : HF_OK;
}

int hf_index_renew(hf_store *store, const hf_index_sum *sums, uint64_t tiles, hf_error *reterr) {
  renewal work = {.store = store, .sums = sums, .tiles = tiles};
  int status = HF_OK;
  if (store->index_fd < 0)
    return HF_OK;
  for (; work.level <= HF_INDEX_LEVEL_MAX && status == HF_OK; work.level++) {
    char name[HF_INDEX_NAME_BYTES];
    hf_sys_file is;
    (void)snprintf(name, sizeof name, "%u", work.level);
    if (hf_index_tiles(work.level) > tiles)
      break; /* there is none */
    if (hf_sys_identify(store->index_fd, name, &is) != 0)
      continue;
    hf_autofd int fd = -1;
    status = hf_dir_open(store->index_fd, name, &fd, reterr);
    if (status == HF_OK)
      status = hf_dir_each(fd, name, renew_file, &work, reterr);
  }
  return status;
}
