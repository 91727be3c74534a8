/* Takes the indexes that there are into a handle's view: their records leave its memory. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"
#include "log.h"
#include "plant.h"

#include "banned.h"

enum {
  MOVED_TIMES_MAX = 4,
  /* Files that could not be read again and again are left alone: the records are there. */
  INDEX_FAILURES_MAX = 2,
  /* Looks at the mark, where a file that it told of was merged into another meanwhile. */
  INDEX_TRIES_MAX = 4
};

static hf_index *find(const hf_index_set *set, unsigned level, uint64_t number) {
  for (size_t i = 0; set != NULL && i < set->count; i++)
    if (set->file[i]->header.level == level && set->file[i]->header.number == number)
      return set->file[i];
  return NULL;
}

/* Frees a set, but not the files that the other one has as well. */
static void drop(hf_index_set *set, const hf_index_set *other) {
  if (set == NULL)
    return;
  for (size_t i = 0; i < set->count; i++)
    if (find(other, set->file[i]->header.level, set->file[i]->header.number) == NULL)
      hf_index_close(set->file[i]);
  free(set->file);
  free(set);
}

static int add_file(hf_index_set *set, hf_index *index, hf_error *reterr) {
  hf_index **file = realloc(set->file, (set->count + 1) * sizeof(hf_index *));
  if (file == NULL)
    return hf_err_nomem(reterr);
  set->file = file;
  set->file[set->count++] = index;
  set->records = index->first + index->header.count - 1;
  return HF_OK;
}

/* Was it made by a program that did not know an op that this one knows? Then it hides what stands
 * in such a record. 1, 0 or negative. */
static int knows_less(hf_store *store, const hf_index *index, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  uint64_t seq = index->header.unknown_first;
  if (index->header.unknown_count == 0 || seq < index->first ||
      seq >= index->first + index->header.count)
    return 0;
  int status = hf_index_row(index, seq, &row, reterr);
  if (status == HF_OK)
    status = hf_log_load(store, seq, &row, &text, &line, reterr);
  if (status == HF_ENOMEM)
    return status;
  return status != HF_OK || line.op != HF_OP_UNKNOWN;
}

/* Opens one for the set. 1; 0: not usable; negative. */
static int open_one(hf_store *store, unsigned level, uint64_t number, hf_index **ret_index,
                    hf_error *reterr) {
  hf_index *index = NULL;
  int got = hf_index_open(store, level, number, &index, reterr);
  if (got != 1)
    return got;
  int less = knows_less(store, index, reterr);
  if (less == 0) {
    *ret_index = index;
    return 1;
  }
  if (less == 1)
    (void)hf_err(reterr, HF_EVERSION, "index",
                 "it was made by an older Holdfast, which did not know the op of seq %llu",
                 (unsigned long long)index->header.unknown_first);
  hf_index_close(index);
  return less < 0 ? less : 0;
}

/* Adds the files for the first `tiles` tiles; those that `old` has are not opened again. 1; 0: one
 * is not usable, reterr says why, and the set ends before it; negative. */
static int open_set(hf_store *store, uint64_t tiles, const hf_index_set *old, hf_index_set *set,
                    hf_error *reterr) {
  while (set->records / HF_TILE_RECORDS < tiles) {
    unsigned level = 0;
    uint64_t number = 0;
    hf_index_covering(set->records / HF_TILE_RECORDS, tiles, &level, &number);
    hf_index *index = find(old, level, number);
    int is_old = index != NULL;
    int got = is_old ? 1 : open_one(store, level, number, &index, reterr);
    if (got == 0 && HF_PLANTED(INDEX_OVER_GAP)) {
      set->records = (number + 1) * hf_index_tiles(level) * HF_TILE_RECORDS;
      continue;
    }
    if (got != 1)
      return got;
    int status = add_file(set, index, reterr);
    if (status != HF_OK && !is_old)
      hf_index_close(index);
    if (status != HF_OK)
      return status;
  }
  return 1;
}

static void take_headers(hf_view *view, const hf_index_set *set) {
  uint64_t unknown_count = 0;
  uint64_t retire_count = 0;
  uint64_t drop_count = 0;
  for (size_t i = 0; i < set->count; i++) {
    const hf_index_header *header = &set->file[i]->header;
    if (header->mode_seq > view->mode_seq) {
      view->mode_seq = header->mode_seq;
      memcpy(view->locker, header->locker, sizeof view->locker);
      view->journal = header->journal;
    }
    if (header->foreign_mode_seq > view->foreign_mode_seq)
      view->foreign_mode_seq = header->foreign_mode_seq;
    if (unknown_count == 0 && header->unknown_count > 0)
      view->unknown_first = header->unknown_first;
    unknown_count += header->unknown_count;
    retire_count += header->retire_count;
    drop_count += header->drop_count;
  }
  if (view->head > set->records) /* it has counted those, and later ones, itself */
    return;
  view->unknown_count = unknown_count;
  view->retire_count = retire_count;
  view->drop_count = drop_count;
}

/* The view goes over to the set, which covers more than its present one. */
static int use(hf_store *store, hf_index_set *set, hf_error *reterr) {
  hf_view *view = &store->view;
  if (hf_view_rebase(view, set->records) != HF_OK)
    return hf_err_nomem(reterr);
  take_headers(view, set);
  if (view->head < set->records)
    view->head = set->records;
  if (store->durable_head < set->records) /* tile/mark tells of them */
    store->durable_head = set->records;
  drop(view->index, set);
  view->index = set;
  return HF_OK;
}

/* 1; 0: not all of these tiles, reterr says why; negative. */
static int adopt(hf_store *store, uint64_t tiles, hf_error *reterr) {
  hf_index_set *set = calloc(1, sizeof *set);
  if (set == NULL)
    return hf_err_nomem(reterr);
  int got = open_set(store, tiles, store->view.index, set, reterr);
  int status = got >= 0 && set->records > store->view.base ? use(store, set, reterr) : got;
  if (store->view.index != set)
    drop(set, store->view.index);
  return status < 0 ? status : got;
}

/* Rows that stay in memory are moved: worth it only where they are not many more than those that
 * leave it, so that a handle which saves faster than tiles are packed moves each of its rows a few
 * times in all. */
static int is_worth_it(const hf_view *view, uint64_t records) {
  uint64_t kept = view->head > records ? view->head - records : 0;
  return records > view->base && (records - view->base) * MOVED_TIMES_MAX >= kept;
}

static int adopt_up_to(hf_store *store, uint64_t tiles, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  uint64_t before = UINT64_MAX;
  for (int i = 0; i < INDEX_TRIES_MAX; i++) {
    uint64_t indexed = 0;
    int got = hf_index_mark_length(store, &indexed, &why) == HF_OK;
    indexed = indexed < tiles ? indexed : tiles;
    if (!got || indexed == before)
      break;
    if (is_worth_it(&store->view, indexed * HF_TILE_RECORDS))
      got = adopt(store, indexed, &why);
    if (got == 1)
      return HF_OK;
    if (got < 0)
      return hf_err_nomem(reterr);
    before = indexed;
  }
  hf_store_log(store, HF_LOG_INFO,
               "%s: %s; records are read instead (holdfast verify --repair makes the "
               "indexes anew)",
               why.place, why.message);
  return HF_OK;
}

int hf_index_adopt(hf_store *store, uint64_t tiles, hf_error *reterr) {
  if (store->view.index_failed || store->view.stale) {
    store->index_failures += (unsigned)(store->view.index_failed != 0);
    hf_view_put_aside(&store->view, &store->view_before); /* read anew, with the files that there
                                                             are by now */
    store->index_seen_tiles = 0;
    store->part_rows_tile = store->part_end_seq = 0;
  }
  if (tiles <= store->index_seen_tiles || store->index_failures > INDEX_FAILURES_MAX)
    return HF_OK;
  store->index_seen_tiles = tiles; /* what is indexed later is taken with the next tile */
  return adopt_up_to(store, tiles, reterr);
}
