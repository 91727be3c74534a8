/* Durability of what was appended: one flush for all who wait, in this process and in others. */
#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "blob.h"
#include "clock.h"
#include "err.h"
#include "journal.h"
#include "log.h"
#include "packer.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum {
  SHARE_FLUSH_US_MIN = 100, /* a flush that takes less is not worth waiting for */
  SHARE_LOOKS = 8,          /* while another flushes, so many looks in the time of one */
  SHARE_FLUSHES_MAX = 8,    /* that are waited for: then he who flushes may be stopped */
};

static int64_t now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* A descriptor whose flush failed is not used again: the kernel tells of an error once, and what it
 * did not write stays as if it were written. view_mutex is held, or nobody else reads. */
static int flush(hf_store *store, hf_error *reterr) {
  int status = HF_OK;
  int64_t began_us = now_us();
  (void)pthread_mutex_lock(&store->part_mutex);
  if (store->part.fd < 0)
    status = hf_err(reterr, HF_EIO, "tile", "the current tile could not be made durable before");
  else if (hf_sys_fdatasync(store->part.fd) != 0) {
    status = hf_err_sys(reterr, HF_EIO, errno, "tile", "fdatasync of the current tile failed");
    hf_fd_cleanup(&store->part.fd);
    store->part.proven = 0;
  }
  (void)pthread_mutex_unlock(&store->part_mutex);
  atomic_store(&store->flush_us, now_us() - began_us);
  return status;
}

/* The last record that the open part holds, as far as it was read. view_mutex is held. */
static uint64_t end_of_part(const hf_store *store) {
  uint64_t end = (store->part.tile + 1) * HF_TILE_RECORDS;
  return store->view.head < end ? store->view.head : end;
}

/* view_mutex is held. */
static int flushed(hf_store *store, uint64_t end, int status, hf_error *reterr) {
  if (status == HF_OK)
    status = hf_log_mark_journal(store, end, reterr);
  else
    store->view.stale = 1;
  if (status == HF_OK && store->durable_head < end)
    store->durable_head = end;
  return status;
}

int hf_journal_settle(hf_store *store, hf_error *reterr) {
  uint64_t end = end_of_part(store);
  if (store->part_end_seq < end)
    end = store->part_end_seq;
  if (store->durable_head >= end)
    return HF_OK;
  return flushed(store, end, flush(store, reterr), reterr);
}

/* What others have appended meanwhile is read first: the flush is for them, too. */
static int flush_for_all(hf_store *store, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int got = 0;
  if (hf_tile_of(store->view.head + 1) == store->part.tile)
    got = hf_part_read(store, store->part.fd, UINT64_MAX, 0, NULL, reterr);
  uint64_t end = end_of_part(store);
  if (HF_PLANTED(JOURNAL_MARK_EARLY))
    (void)hf_log_mark_journal(store, end, NULL);
  (void)pthread_mutex_unlock(&store->view_mutex);
  int status = got < 0 ? got : flush(store, reterr);
  (void)pthread_mutex_lock(&store->view_mutex);
  status = flushed(store, end, status, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

/* Another process flushes: it may be for us. */
static void wait_for_other(int64_t flush_us) {
  struct timespec pause = {0, (long)(flush_us / SHARE_LOOKS) * 1000};
  if (pause.tv_nsec > 10000000)
    pause.tv_nsec = 10000000;
  (void)nanosleep(&pause, NULL);
}

/* HF_OK: the mark covers `last`. */
static int wait_until_durable(hf_store *store, uint64_t last, hf_error *reterr) {
  int64_t began_us = now_us();
  for (;;) {
    uint64_t marked = 0;
    (void)pthread_mutex_lock(&store->view_mutex);
    int status = hf_log_look_at_mark(store, &marked, reterr);
    if (status == HF_OK && marked >= last && store->durable_head < last)
      store->durable_head = last;
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (status != HF_OK || marked >= last)
      return status;
    int64_t flush_us = atomic_load(&store->flush_us);
    int is_lock = hf_log_mark_lock(store, LOCK_EX);
    if (!is_lock && flush_us >= SHARE_FLUSH_US_MIN &&
        now_us() - began_us < flush_us * SHARE_FLUSHES_MAX) {
      wait_for_other(flush_us);
      continue;
    }
    status = flush_for_all(store, reterr);
    if (is_lock)
      (void)hf_log_mark_lock(store, LOCK_UN);
    if (status != HF_OK || store->durable_head >= last)
      return status;
  }
}

/* The mark may have been raised by another, whose flush knows nothing of an error of ours: what was
 * appended must stand there still. */
static int stands_there(hf_store *store, const hf_staged *staged, uint64_t first) {
  hf_autobuf there = {0};
  hf_row row;
  (void)pthread_mutex_lock(&store->view_mutex);
  int known = store->view.head >= first + staged->count - 1 &&
              hf_view_row(&store->view, first, &row, NULL) == HF_OK && row.in_tile;
  (void)pthread_mutex_unlock(&store->view_mutex);
  size_t bytes = staged->text.used;
  return known && store->part.fd >= 0 && hf_buf_reserve(&there, bytes) == 0 &&
         hf_sys_pread_full(store->part.fd, there.data, bytes, (off_t)row.offset) ==
             (ssize_t)bytes &&
         memcmp(there.data, staged->text.data, bytes) == 0;
}

void hf_journal_finish(hf_store *store, hf_staged *staged, uint64_t first) {
  hf_error error = HF_ERROR_INIT;
  int status = wait_until_durable(store, first + staged->count - 1, &error);
  if (status == HF_OK && !stands_there(store, staged, first))
    status = hf_err(&error, HF_EIO, "tile", "what was appended is not there any more");
  if (status != HF_OK) {
    hf_attempts_decide_unsure(staged->attempt, staged->count, &error);
    return;
  }
  if (hf_blob_place_all(store, staged->attempt, staged->count, 1, &error) != HF_OK)
    hf_store_log(store, HF_LOG_WARNING, "%s: %s", error.place, error.message);
  hf_attempts_decide_committed(staged->attempt, staged->count, first);
  hf_packer_committed(store, first + staged->count - 1);
}
