/* Takes the indexes that there are into a handle's view: their records leave its memory. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"

#include "banned.h"

/* Files that could not be read again and again are left alone: the records are there. */
enum { INDEX_FAILURES_MAX = 2 };

static hf_index *take_old(hf_index_set *old, unsigned level, uint64_t number) {
  for (size_t i = 0; i < old->count; i++)
    if (old->file[i] != NULL && old->file[i]->header.level == level &&
        old->file[i]->header.number == number)
      return hf_take(old->file[i]);
  return NULL;
}

static int add_file(hf_index_set *set, hf_index *index, hf_error *reterr) {
  hf_index **file = realloc(set->file, (set->count + 1) * sizeof *file);
  if (file == NULL) {
    hf_index_close(index);
    return hf_err_nomem(reterr);
  }
  set->file = file;
  set->file[set->count++] = index;
  set->records = index->first + index->header.count - 1;
  return HF_OK;
}

/* The files for the first `tiles` tiles, as far as they are usable; those that are open already are
 * taken out of `old`. */
static int open_set(hf_store *store, uint64_t tiles, hf_index_set *old, hf_index_set *set,
                    hf_error *reterr) {
  while (set->records / HF_TILE_RECORDS < tiles) {
    unsigned level = 0;
    uint64_t number = 0;
    hf_index_covering(set->records / HF_TILE_RECORDS, tiles, &level, &number);
    hf_index *index = take_old(old, level, number);
    hf_error why = HF_ERROR_INIT;
    int got = index != NULL ? 1 : hf_index_open(store, level, number, &index, &why);
    if (got < 0)
      return hf_err_nomem(reterr);
    if (got == 0) {
      hf_store_log(store, HF_LOG_INFO,
                   "%s: %s; its records are read instead (holdfast verify --repair, then holdfast "
                   "pack, make it anew)",
                   why.place, why.message);
      return HF_OK;
    }
    int status = add_file(set, index, reterr);
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

static void take_headers(hf_view *view, const hf_index_set *set) {
  uint64_t unknown_count = 0;
  for (size_t i = 0; i < set->count; i++) {
    const hf_index_header *header = &set->file[i]->header;
    if (header->mode_seq > view->mode_seq) {
      view->mode_seq = header->mode_seq;
      memcpy(view->locker, header->locker, sizeof view->locker);
    }
    if (header->foreign_mode_seq > view->foreign_mode_seq)
      view->foreign_mode_seq = header->foreign_mode_seq;
    if (unknown_count == 0 && header->unknown_count > 0)
      view->unknown_first = header->unknown_first;
    unknown_count += header->unknown_count;
  }
  if (view->head <= set->records) /* else it has counted those, and later ones, itself */
    view->unknown_count = unknown_count;
}

static int adopt(hf_store *store, uint64_t tiles, hf_error *reterr) {
  hf_view *view = &store->view;
  hf_index_set *set = calloc(1, sizeof *set);
  hf_index_set nothing = {0};
  if (set == NULL)
    return hf_err_nomem(reterr);
  hf_index_set *old = view->index != NULL ? view->index : &nothing;
  int status = open_set(store, tiles, old, set, reterr);
  if (status == HF_OK && set->records > view->base)
    status = hf_view_rebase(view, set->records) == HF_OK ? HF_OK : hf_err_nomem(reterr);
  else if (view->index != NULL) { /* it stays: what was taken out of it goes back */
    for (size_t i = 0; i < set->count; i++)
      for (size_t j = 0; j < old->count; j++)
        if (old->file[j] == NULL && set->file[i] != NULL)
          old->file[j] = hf_take(set->file[i]);
    status = status == HF_OK ? 1 : status;
  }
  if (status != HF_OK || set->records == 0) {
    hf_index_set_free(set);
    free(set);
    return status < 0 ? status : HF_OK;
  }
  take_headers(view, set);
  if (view->head < set->records)
    view->head = set->records;
  if (store->durable_head < set->records) /* tile/mark tells of them */
    store->durable_head = set->records;
  if (view->index != NULL)
    hf_index_set_free(view->index);
  free(view->index);
  view->index = set;
  return HF_OK;
}

int hf_index_adopt(hf_store *store, uint64_t tiles, hf_error *reterr) {
  uint64_t indexed = 0;
  if (store->view.index_failed) {
    hf_view_free(&store->view); /* read anew, with the files that there are by now */
    store->index_seen_tiles = 0;
    store->index_failures++;
  }
  if (tiles <= store->index_seen_tiles || store->index_failures > INDEX_FAILURES_MAX)
    return HF_OK;
  hf_error why = HF_ERROR_INIT;
  int status = hf_index_mark_length(store, &indexed, &why);
  if (status != HF_OK) {
    hf_store_log(store, HF_LOG_INFO, "%s: %s", why.place, why.message);
    return HF_OK;
  }
  if (indexed > tiles)
    indexed = tiles;
  if (indexed * HF_TILE_RECORDS > store->view.base)
    status = adopt(store, indexed, reterr);
  if (status == HF_OK && indexed == tiles)
    store->index_seen_tiles = tiles;
  return status;
}
