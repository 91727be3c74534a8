/* The index files that cover the records from the first on, and index/mark. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"
#include "sys.h"

#include "banned.h"

void hf_index_set_free(hf_index_set *set) {
  for (size_t i = 0; i < set->count; i++)
    hf_index_close(set->file[i]);
  free(set->file);
  memset(set, 0, sizeof *set);
}

static uint64_t end_of(const hf_index *index) {
  return index->first + index->header.count;
}

/* The place of the file that covers seq; set->count where none does. */
static size_t find_file(const hf_index_set *set, uint64_t seq) {
  size_t low = 0;
  size_t high = set->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (end_of(set->file[middle]) <= seq)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

int hf_index_set_row(const hf_index_set *set, uint64_t seq, hf_row *ret_row, hf_error *reterr) {
  return hf_index_row(set->file[find_file(set, seq)], seq, ret_row, reterr);
}

int hf_index_set_last(const hf_index_set *set, hf_index_table table, uint64_t hash, uint64_t below,
                      uint64_t *ret_seq, hf_error *reterr) {
  if (below < 2)
    return 0;
  size_t i = find_file(set, below - 1);
  for (size_t k = 0; k < set->count && k <= i; k++)
    hf_index_prefetch(set->file[k], table, hash);
  for (i = i < set->count ? i + 1 : i; i > 0; i--) {
    int got = hf_index_last(set->file[i - 1], table, hash, below, ret_seq, reterr);
    if (got != 0)
      return got;
  }
  return 0;
}

int hf_index_set_next(const hf_index_set *set, hf_index_table table, uint64_t hash, uint64_t from,
                      uint64_t *ret_seq, hf_error *reterr) {
  size_t first = find_file(set, from);
  for (size_t k = first; k < set->count; k++)
    hf_index_prefetch(set->file[k], table, hash);
  for (size_t i = first; i < set->count; i++) {
    int got = hf_index_next(set->file[i], table, hash, from, ret_seq, reterr);
    if (got != 0)
      return got;
  }
  return 0;
}

int hf_index_mark_length(hf_store *store, uint64_t *ret_tiles, hf_error *reterr) {
  *ret_tiles = 0;
  if (store->index_fd < 0)
    return HF_OK;
  hf_autofd int fd = hf_sys_openat(store->index_fd, HF_MARK_NAME, O_RDONLY, 0);
  struct stat st;
  if (fd < 0 && errno == ENOENT) /* a store that was made before there were indexes */
    return HF_OK;
  if (fd < 0 || hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, "index/" HF_MARK_NAME, "cannot examine the mark");
  if (S_ISREG(st.st_mode)) /* what else stands there is for verify to name */
    *ret_tiles = (uint64_t)st.st_size;
  return HF_OK;
}
