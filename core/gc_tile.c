/* Writes a tile anew: the same lines, those that the log drops without their documents.
 *
 * Deterministic but for what the log drops by then, and no lock: of several that do it at once, or
 * of one that slept, the last rename wins, and whatever it has brought back is dropped by its
 * record all the same, and taken out by the next gc. A crash leaves the old tile or the new one,
 * and perhaps a staged file; on a shared filesystem perhaps neither, but the old one's kept name
 * (tile_kept.h). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "crc32c.h"
#include "err.h"
#include "file.h"
#include "gc.h"
#include "log.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"
#include "tile_kept.h"
#include "tile_map.h"

#include "banned.h"

enum { TILE_TRIES_MAX = 8 };

static int damaged(const char *name, hf_error *reterr) {
  return hf_err(reterr, HF_EDAMAGED, name,
                "the tile has damage, so it is left as it is; run holdfast verify --repair");
}

/* The tile's new bytes. *ret_documents, *ret_freed: what they are without. */
static int make(const hf_buf *old, const hf_drops *drops, const hf_gc_work *work, const char *name,
                hf_buf *out, hf_gc_report *ret_freed, hf_error *reterr) {
  size_t at = 0;
  for (size_t i = 0; i < HF_TILE_RECORDS; i++) {
    hf_line line;
    const char *start = old->data + at;
    const char *end = at < old->used ? memchr(start, '\n', old->used - at) : NULL;
    size_t bytes = end != NULL ? (size_t)(end - start) : 0;
    size_t before = out->used;
    uint64_t seq = drops->tile * HF_TILE_RECORDS + 1 + i;
    if (end == NULL || hf_line_decode(start, bytes, &line, NULL) != HF_OK)
      return damaged(name, reterr);
    int goes = drops->by[i] != 0;
    if (HF_PLANTED(GC_NO_RECORD))
      goes |= seq <= work->log.head && (work->log.records[seq - 1].flags & HF_GC_PLANNED) != 0;
    if (goes && hf_line_can_drop(start, bytes, &line)) {
      if (hf_line_drop(start, bytes, &line, out) != HF_OK)
        return hf_err_nomem(reterr);
      size_t now = out->used - before;
      ret_freed->documents++;
      ret_freed->bytes += bytes > now ? bytes - now : 0; /* "{}" is shorter than what says so */
    } else
      (void)hf_buf_add(out, start, bytes);
    if (hf_buf_add_char(out, '\n') != 0)
      return hf_err_nomem(reterr);
    at += bytes + 1;
  }
  return at == old->used ? HF_OK : damaged(name, reterr);
}

/* Renames the staged file over the tile. */
static int replace(hf_store *store, uint64_t tile, const char *staged, const char *name,
                   hf_error *reterr) {
  char kept[HF_TILE_KEPT_BYTES];
  int keeps = store->shared && !store->rename_mode; /* which has no second names */
  int status = keeps ? hf_tile_keep(store, tile, kept, reterr) : HF_OK;
  if (status != HF_OK)
    return status;
  int failed = hf_sys_rename(store->stage_fd, staged, store->tile_fd, name, 0);
  int sys_errno = errno;
  if (failed == 0 && keeps)
    (void)hf_sys_unlink(store->stage_fd, kept, 0);
  if (failed == 0)
    return HF_OK;
  if (keeps) /* half of it may be done, now or later: the kept name stays until the sweep */
    (void)hf_sys_link(store->stage_fd, kept, store->tile_fd, name);
  return hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot put the new tile in place");
}

/* Stages the new bytes, looks whether the tile is still the one that was read (a repair may have
 * been at work), and renames over it. 1, 0: it is another one by now; negative. */
static int put(hf_store *store, uint64_t tile, const char *name, const hf_buf *old,
               const hf_buf *text, hf_error *reterr) {
  char staged[HF_ID_CHARS + 1];
  char folder[HF_TILE_NAME_BYTES];
  hf_autobuf there = {0};
  hf_autofd int fd = -1;
  hf_id id;
  int durable = !HF_PLANTED(GC_TILE_NOT_DURABLE);
  (void)snprintf(folder, sizeof folder, "%03llu", (unsigned long long)(tile / HF_TILES_PER_FOLDER));
  int status = hf_dir_open(store->tile_fd, folder, &fd, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  status = hf_file_create(store->stage_fd, staged, text->data, text->used, durable, reterr);
  if (status != HF_OK)
    return status;
  HF_PAUSE_AT(GC_STAGED);
  int got = hf_tile_read(store, tile, &there, reterr);
  int same = got == 1 && there.used == old->used && memcmp(there.data, old->data, old->used) == 0;
  int replaced = same ? replace(store, tile, staged, name, reterr) : HF_OK;
  if (replaced != HF_OK)
    got = replaced;
  hf_tile_unmap(store, tile);
  if (!same || got < 0) {
    (void)hf_sys_unlink(store->stage_fd, staged, 0);
    return got < 0 ? got : 0;
  }
  status = durable ? hf_dir_fsync(fd, "tile", reterr) : HF_OK;
  return status == HF_OK ? 1 : status;
}

int hf_gc_rewrite(hf_gc_work *work, uint64_t tile, hf_index_sum *ret_sum, hf_error *reterr) {
  hf_store *store = work->store;
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(tile, name);
  for (int i = 0; i < TILE_TRIES_MAX; i++) {
    hf_autobuf old = {0};
    hf_autobuf text = {0};
    hf_gc_report freed = {0};
    hf_drops drops;
    int status = hf_drops_of(store, tile, 0, &drops, reterr);
    int got = status == HF_OK ? hf_tile_read(store, tile, &old, reterr) : status;
    if (got != 1)
      return got < 0 ? got : damaged(name, reterr);
    status = make(&old, &drops, work, name, &text, &freed, reterr);
    if (status != HF_OK)
      return status;
    *ret_sum = (hf_index_sum){text.used, hf_crc32c(0, text.data, text.used)};
    if (freed.documents == 0)
      return 0;
    got = put(store, tile, name, &old, &text, reterr);
    if (got < 0)
      return got;
    if (got == 0)
      continue;
    work->report->tiles++;
    work->report->documents += freed.documents;
    work->report->bytes += freed.bytes;
    return 1;
  }
  return hf_err(reterr, HF_EIO, name, "the tile changes again and again; try again");
}
