/* What gc has dropped: lines without a document must have a record that says so, a tile whose
 * records say so may not be written anew yet, and a blob that is gone is no damage where its
 * document was dropped. Asked at the end of the walk, for the record comes behind what it drops;
 * and by a handle of its own, which reads on: a gc may be at work. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "dropped.h"
#include "err.h"
#include "tile.h"
#include "verify.h"

#include "banned.h"

int hf_verify_drop_gone(hf_verify_work *work, uint64_t seq, const hf_line *line, hf_error *reterr) {
  hf_gone *gone = realloc(work->gone, (work->gone_count + 1) * sizeof *gone);
  if (gone == NULL)
    return hf_err_nomem(reterr);
  work->gone = gone;
  gone[work->gone_count].seq = seq;
  memcpy(gone[work->gone_count++].sha256, line->sha256, sizeof line->sha256);
  return HF_OK;
}

int hf_verify_drop_add(hf_verify_work *work, const hf_line *line, hf_error *reterr) {
  hf_dropping *all = realloc(work->droppings, (work->droppings_count + 1) * sizeof *all);
  if (all == NULL)
    return hf_err_nomem(reterr);
  work->droppings = all;
  all[work->droppings_count].tile = line->tile;
  memcpy(all[work->droppings_count++].lines, line->lines, HF_DROP_BYTES);
  return HF_OK;
}

static int by_tile(const void *a, const void *b) {
  const hf_dropping *x = a;
  const hf_dropping *y = b;
  return (x->tile > y->tile) - (x->tile < y->tile);
}

/* The first one about the tile; droppings_count: none. */
static size_t find(const hf_verify_work *work, uint64_t tile) {
  size_t low = 0;
  size_t high = work->droppings_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (work->droppings[middle].tile < tile)
      low = middle + 1;
    else
      high = middle;
  }
  return low < work->droppings_count && work->droppings[low].tile == tile ? low
                                                                          : work->droppings_count;
}

int hf_verify_drops_of(const hf_verify_work *work, uint64_t tile) {
  return find(work, tile) < work->droppings_count;
}

static int is_dropped(const hf_verify_work *work, uint64_t seq) {
  uint64_t tile = hf_tile_of(seq);
  for (size_t i = find(work, tile); i < work->droppings_count && work->droppings[i].tile == tile;
       i++)
    if (hf_drop_has(work->droppings[i].lines, (size_t)((seq - 1) % HF_TILE_RECORDS)))
      return 1;
  return 0;
}

/* 1, 0, or negative: cannot be told. The walk has met the record, beyond the mark, too; or a gc has
 * committed it since. store NULL: it could not be opened. */
static int says_so(const hf_verify_work *work, hf_store *store, uint64_t seq) {
  uint64_t by = 0;
  if (is_dropped(work, seq))
    return 1;
  return store == NULL ? HF_EIO : hf_is_dropped(store, seq, 0, &by, NULL);
}

static void say_taken(hf_verify_work *work, hf_store *store) {
  uint64_t count = 0;
  uint64_t first = 0;
  for (size_t i = 0; i < work->taken.count; i++)
    if (says_so(work, store, work->taken.at[i]) == 0 && count++ == 0)
      first = work->taken.at[i];
  if (count > 0)
    hf_verify_say(
        work, HF_SAY_DAMAGE, "document", first, "log",
        "the documents of %llu snapshots, the first one of seq %llu, were taken out as gc "
        "does, and no record says that it dropped them; their envelopes are kept as they "
        "are",
        (unsigned long long)count, (unsigned long long)first);
}

/* Blobs that are gone: damage, unless gc has dropped the document. */
static void say_gone(hf_verify_work *work, hf_store *store) {
  for (size_t i = 0; i < work->gone_count; i++) {
    char name[HF_BLOB_NAME_BYTES];
    char path[HF_BLOB_NAME_BYTES + 8];
    uint64_t seq = work->gone[i].seq;
    hf_blob_name(work->gone[i].sha256, name);
    (void)snprintf(path, sizeof path, "blob/%s", name);
    if (says_so(work, store, seq) == 1)
      continue; /* and its tile is not written anew: told below */
    hf_verify_say(work, HF_SAY_DAMAGE, "blob-gone", seq, path,
                  "the document is gone; a repair cannot make it anew: put the file back from a "
                  "backup (its name is its content's SHA-256), or save the same document under any "
                  "other key");
  }
}

/* Tiles that hold documents which their records drop. */
static void say_left(hf_verify_work *work) {
  uint64_t documents = 0;
  uint64_t tile = 0;
  char name[HF_TILE_NAME_BYTES];
  char path[HF_TILE_NAME_BYTES + 8] = "tile";
  for (size_t i = 0; i < work->droppings_count; i++) {
    const hf_dropping *one = &work->droppings[i];
    for (size_t k = 0; k < HF_TILE_RECORDS && one->tile < work->tiles_count; k++) {
      uint64_t seq = one->tile * HF_TILE_RECORDS + 1 + k;
      if (!hf_drop_has(one->lines, k) || hf_seqs_has(&work->taken, seq))
        continue;
      if (documents++ == 0)
        tile = one->tile;
    }
  }
  hf_tile_name(tile, name);
  (void)snprintf(path, sizeof path, "tile/%s", name);
  if (documents > 0)
    hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, path,
                  "%llu documents that gc has dropped stand here or in later tiles still: it is at "
                  "work, or was ended before it wrote them anew; the next holdfast gc does",
                  (unsigned long long)documents);
}

int hf_verify_drops(hf_verify_work *work, hf_error *reterr) {
  hf_store *store = NULL;
  if (work->taken.count == 0 && work->gone_count == 0 && work->droppings_count == 0)
    return HF_OK;
  hf_seqs_sort(&work->taken);
  if (work->droppings_count > 0)
    qsort(work->droppings, work->droppings_count, sizeof *work->droppings, by_tile);
  int status = hf_open(work->path, NULL, &store, NULL);
  if (status == HF_OK) {
    /* nothing is made durable, and no name is probed: a verify changes nothing */
    (void)pthread_mutex_lock(&store->view_mutex);
    status = hf_log_refresh(store, HF_REFRESH_UNDER_LOCK, NULL);
    (void)pthread_mutex_unlock(&store->view_mutex);
  }
  if (status != HF_OK)
    hf_close(&store);
  if (status == HF_ENOMEM)
    return hf_err_nomem(reterr);
  say_taken(work, store);
  say_gone(work, store);
  say_left(work);
  hf_close(&store);
  return HF_OK;
}
