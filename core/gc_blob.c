/* Blobs that nothing refers to.
 *
 * A writer puts its own file in the place of the blob just before it publishes its record
 * (hf_blob_place), and looks once more before it answers. So a blob that has not changed for more
 * than an hour is needed by no attempt whose staged file was not swept: gc sweeps stage/ first. It
 * takes what is old and not referred to aside; a file that is another one by then goes back. Then
 * it commits a record, by which it meets whatever a writer has published and not marked yet, and
 * waits for who appends to the journal; reads the log again; and puts back what a record refers to.
 *
 * What a crash leaves: blobs aside, in stage/. The next gc, or the next sweep, puts them back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt.h"
#include "blob.h"
#include "commit.h"
#include "err.h"
#include "file.h"
#include "gc.h"
#include "id.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

/* More than clocks' ticks and rounding can tell apart. */
enum { BLOB_MARGIN_S = 60, UNUSED_FIRST = 64 };

typedef struct unused {
  uint8_t sha256[32];
  uint64_t bytes;
  ino_t inode;
  char aside[HF_ID_CHARS + HF_SHA256_CHARS + 16]; /* below stage/; "": it is not there */
} unused;

typedef struct blobs {
  hf_gc_work *work;
  int fd; /* of the folder that is listed */
  unused *list;
  size_t count;
  size_t allocated;
} blobs;

/* ---- what is referred to ---- */

static int by_sha256(const void *a, const void *b) {
  return memcmp(((const hf_gc_blob *)a)->sha256, ((const hf_gc_blob *)b)->sha256, 32);
}

/* Sorted once: those of records whose documents are not dropped, nor will be. */
static void sort_needed(hf_gc_log *log) {
  size_t kept = 0;
  for (size_t i = 0; i < log->blobs_count; i++) {
    unsigned flags = log->records[log->blobs[i].seq - 1].flags;
    if ((flags & (HF_GC_DROPPED | HF_GC_PLANNED)) == 0)
      log->blobs[kept++] = log->blobs[i];
  }
  log->blobs_count = kept;
  if (kept > 0)
    qsort(log->blobs, kept, sizeof *log->blobs, by_sha256);
}

static int is_needed(const hf_gc_log *log, const uint8_t sha256[32]) {
  hf_gc_blob key;
  memcpy(key.sha256, sha256, sizeof key.sha256);
  return log->blobs_count > 0 &&
         bsearch(&key, log->blobs, log->blobs_count, sizeof key, by_sha256) != NULL;
}

/* ---- what is there ---- */

static int add(blobs *all, const uint8_t sha256[32], const struct stat *st, hf_error *reterr) {
  if (all->count == all->allocated) {
    size_t allocated = all->allocated == 0 ? UNUSED_FIRST : 2 * all->allocated;
    unused *list = realloc(all->list, allocated * sizeof *list);
    if (list == NULL)
      return hf_err_nomem(reterr);
    all->list = list;
    all->allocated = allocated;
  }
  unused *one = &all->list[all->count++];
  memset(one, 0, sizeof *one);
  memcpy(one->sha256, sha256, sizeof one->sha256);
  one->bytes = (uint64_t)st->st_size;
  one->inode = st->st_ino;
  return HF_OK;
}

static int blob_file(void *context, const char *name, hf_error *reterr) {
  blobs *all = context;
  uint8_t sha256[32];
  struct stat st;
  if (strlen(name) != HF_SHA256_CHARS || hf_unhex(name, HF_SHA256_CHARS, sha256) != 0 ||
      is_needed(&all->work->log, sha256) || hf_sys_fstatat(all->fd, name, &st) != 0 ||
      !S_ISREG(st.st_mode))
    return HF_OK;
  if (hf_stage_changed_s(&st) + HF_STAGE_SWEEP_AGE_S + BLOB_MARGIN_S > all->work->swept.now_s) {
    all->work->report->blobs_young++;
    return HF_OK;
  }
  return add(all, sha256, &st, reterr);
}

static int blob_folder(void *context, const char *name, hf_error *reterr) {
  blobs *all = context;
  uint8_t byte;
  if (strlen(name) != 2 || hf_unhex(name, 2, &byte) != 0)
    return HF_OK;
  hf_autofd int fd = -1;
  int status = hf_dir_open(all->work->store->blob_fd, name, &fd, reterr);
  all->fd = fd;
  return status != HF_OK ? status : hf_dir_each(fd, "blob", blob_file, all, reterr);
}

/* ---- taking away ---- */

static int take_aside(hf_store *store, unused *one, hf_error *reterr) {
  char name[HF_BLOB_NAME_BYTES];
  char hex[HF_SHA256_CHARS + 1];
  char id_text[HF_ID_CHARS + 1];
  struct stat st;
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, id_text);
  hf_hex(one->sha256, sizeof one->sha256, hex);
  hf_blob_name(one->sha256, name);
  (void)snprintf(one->aside, sizeof one->aside, "%s.%s.aside", id_text, hex);
  if (hf_sys_rename(store->blob_fd, name, store->stage_fd, one->aside, 0) != 0) {
    one->aside[0] = '\0';
    return errno == ENOENT ? HF_OK
                           : hf_err_sys(reterr, HF_EIO, errno, name, "cannot take it aside");
  }
  if (HF_PLANTED(GC_BLOB_NOT_PUT_BACK) ||
      (hf_sys_fstatat(store->stage_fd, one->aside, &st) == 0 && st.st_ino == one->inode))
    return HF_OK;
  status = hf_blob_put_back(store, one->aside, reterr); /* somebody has just put it there */
  one->aside[0] = '\0';
  return status;
}

/* A record of no meaning: the end of an attempt that nobody made. Whoever commits one has met every
 * record before it. */
static int commit_barrier(hf_gc_work *work, hf_error *reterr) {
  hf_attempt attempt;
  hf_attempt *one = &attempt;
  hf_id nobody;
  int status = hf_id_make(&nobody, reterr);
  if (status != HF_OK)
    return status;
  status = hf_attempt_to_end(work->store, &nobody, "gc looks for blobs that nothing refers to",
                             work->options->timeout_ms, &attempt, reterr);
  if (status == HF_OK) {
    hf_commit(work->store, &one, 1);
    status = attempt.status;
    if (status != HF_OK && reterr != NULL)
      *reterr = attempt.error;
  }
  hf_attempt_free(&attempt);
  return status;
}

static int finish(hf_gc_work *work, const unused *one, int remove, hf_error *reterr) {
  hf_store *store = work->store;
  if (one->aside[0] == '\0')
    return HF_OK;
  if (!remove || (is_needed(&work->log, one->sha256) && !HF_PLANTED(GC_BLOB_NOT_PUT_BACK)))
    return hf_blob_put_back(store, one->aside, reterr);
  if (hf_sys_unlink(store->stage_fd, one->aside, 0) != 0)
    return errno == ENOENT ? HF_OK
                           : hf_err_sys(reterr, HF_EIO, errno, "stage", "cannot remove a blob");
  work->report->blobs++;
  work->report->blob_bytes += one->bytes;
  return HF_OK;
}

static int take_away(blobs *all, hf_error *reterr) {
  hf_gc_work *work = all->work;
  hf_error why = HF_ERROR_INIT;
  int status = HF_OK;
  HF_PAUSE_AT(GC_BLOBS);
  for (size_t i = 0; i < all->count && status == HF_OK; i++)
    status = take_aside(work->store, &all->list[i], &why);
  HF_PAUSE_AT(GC_ASIDE);
  if (status == HF_OK)
    status = commit_barrier(work, &why);
  if (status == HF_OK)
    status = hf_gc_read_log(work, &why);
  sort_needed(&work->log);
  int told = status;
  for (size_t i = 0; i < all->count; i++) { /* all, whatever happens */
    hf_error error = HF_ERROR_INIT;
    int done = finish(work, &all->list[i], told == HF_OK, &error);
    if (done != HF_OK && status == HF_OK) {
      status = done;
      why = error;
    }
  }
  if (status != HF_OK && reterr != NULL)
    *reterr = why;
  return status;
}

int hf_gc_blobs(hf_gc_work *work, hf_error *reterr) {
  blobs all = {.work = work, .fd = -1};
  work->report->blobs_young = 0;
  sort_needed(&work->log);
  if (work->swept.now_s == 0 || work->swept.left > 0) {
    hf_store_log(work->store, HF_LOG_WARNING,
                 "old files in stage/ cannot be removed, so no blob is: whoever left them may "
                 "still want it");
    return HF_OK;
  }
  int status = hf_dir_each(work->store->blob_fd, "blob", blob_folder, &all, reterr);
  for (size_t i = 0; status == HF_OK && work->options->dry_run && i < all.count; i++) {
    work->report->blobs++;
    work->report->blob_bytes += all.list[i].bytes;
  }
  if (status == HF_OK && !work->options->dry_run && all.count > 0)
    status = take_away(&all, reterr);
  free(all.list);
  return status;
}
