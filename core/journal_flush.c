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
  ALONE_RECORDS = 64,       /* of one's own in a row */
  SHARE_FLUSHES_MAX = 8,    /* that are waited for: then he who flushes may be stopped */
  SHARE_PAUSE_NS_MAX = 10000000,
  GATHER_FLUSH_US_MIN = 400, /* a shorter one is not put off */
  GATHER_PART = 2,           /* of its time, at most */
  GATHER_LOOKS = 32,
  GATHER_PAUSE_US_MAX = 2000,
  FLUSHES_MAX = 4, /* of one's own: the first covers what was appended before it */
};

/* What one flush covers. */
typedef struct covered {
  uint64_t opening; /* of the part; another one has a descriptor of its own */
  uint64_t end;     /* its last record, as far as it was read */
} covered;

/* Reads what was appended to the open part. view_mutex is held. */
static int look(hf_store *store, int reads, covered *ret_covered, hf_error *reterr) {
  hf_view *view = &store->view;
  int got = 0;
  (void)pthread_mutex_lock(&store->part_mutex);
  uint64_t tile_end = (store->part.tile + 1) * HF_TILE_RECORDS;
  /* what stood there when it was opened may be on no disk until it was written anew */
  reads = reads && (store->part.may_flush || HF_PLANTED(JOURNAL_PROVES_LATER));
  if (reads && store->part.fd >= 0 && hf_tile_of(view->head + 1) == store->part.tile)
    got = hf_part_read(store, store->part.fd, UINT64_MAX, 0, NULL, reterr);
  *ret_covered = (covered){store->part.opening, view->head < tile_end ? view->head : tile_end};
  (void)pthread_mutex_unlock(&store->part_mutex);
  return got < 0 ? got : HF_OK;
}

static int flush_counted(hf_store *store) {
  hf_count(&store->counters.flushes, 1);
  return hf_sys_fdatasync(store->part.fd);
}

/* A descriptor whose flush failed is not used again: the kernel tells of an error once, and what it
 * did not write stays as if it were written. So a new descriptor's flush tells of nothing before
 * that was written anew. 1; 0: another part is open by now (what this one held was made durable
 * before it was left, or its flush failed); negative. */
static int flush(hf_store *store, const covered *what, hf_error *reterr) {
  int status = 1;
  int64_t began_us = hf_monotonic_us();
  (void)pthread_mutex_lock(&store->part_mutex);
  if (store->part.opening != what->opening || store->part.fd < 0 || store->part.failed ||
      !(store->part.may_flush || HF_PLANTED(JOURNAL_PROVES_LATER)))
    status = 0;
  else if (flush_counted(store) != 0) {
    status = hf_err_sys(reterr, HF_EIO, errno, "tile", "fdatasync of the current tile failed");
    store->part.failed = 1; /* the leader, who may be using it, closes it */
    if (HF_PLANTED(JOURNAL_FLUSH_CLOSES))
      hf_fd_cleanup(&store->part.fd);
  }
  (void)pthread_mutex_unlock(&store->part_mutex);
  atomic_store(&store->flush_us, hf_monotonic_us() - began_us);
  return status;
}

/* view_mutex is held. */
static int note(hf_store *store, const covered *what, int done, hf_error *reterr) {
  store->view.stale |= done < 0;
  if (done != 1)
    return done < 0 ? done : HF_OK;
  int status = hf_log_mark_journal(store, what->end, reterr);
  if (status == HF_OK && store->durable_head < what->end)
    store->durable_head = what->end;
  if (status == HF_OK && store->own_flushed < what->end)
    store->own_flushed = what->end;
  return status;
}

int hf_journal_settle(hf_store *store, hf_error *reterr) {
  covered what;
  (void)look(store, 0, &what, NULL);
  if (store->part_end_seq < what.end)
    what.end = store->part_end_seq;
  int is_marked = store->mark_length >= what.end || HF_PLANTED(JOURNAL_TELLS_UNMARKED);
  if (store->durable_head >= what.end && is_marked) /* in a new boot it may be durable alone */
    return HF_OK;
  int done = flush(store, &what, reterr);
  if (done == 0)
    done = hf_err(reterr, HF_EIO, "tile", "the current tile could not be made durable before");
  return note(store, &what, done, reterr);
}

/* Nobody else has appended for a while: there is no flush to share. view_mutex is held. */
static int is_alone(const hf_store *store) {
  return store->view.head - store->others_seen_at >= ALONE_RECORDS;
}

int hf_journal_gathers(hf_store *store, int64_t *ret_pause_us) {
  int64_t flush_us = atomic_load(&store->flush_us); /* of this mode alone */
  *ret_pause_us = flush_us / GATHER_LOOKS;
  if (*ret_pause_us > GATHER_PAUSE_US_MAX)
    *ret_pause_us = GATHER_PAUSE_US_MAX;
  return flush_us >= GATHER_FLUSH_US_MIN;
}

/* A flush that takes long is put off a little for other processes that come back from the last one:
 * as many as have appended between two appends of ours. (Threads of this one wait in its queue.) */
static void gather(hf_store *store) {
  int64_t pause_us = 0;
  int64_t flush_us = atomic_load(&store->flush_us);
  int64_t until_us = hf_monotonic_us() + flush_us / GATHER_PART;
  if (atomic_load(&store->savers) > 1 || !hf_journal_gathers(store, &pause_us))
    return;
  struct timespec pause = {0, (long)pause_us * 1000};
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t wanted = store->append_cycle <= HF_TILE_RECORDS ? store->append_cycle : 0;
  while (wanted > 1 && !is_alone(store) && hf_monotonic_us() < until_us) {
    covered what;
    int status = look(store, 1, &what, NULL);
    uint64_t there = what.end > store->durable_head ? what.end - store->durable_head : 0;
    if (status != HF_OK || there >= wanted || what.end % HF_TILE_RECORDS == 0)
      break;
    (void)pthread_mutex_unlock(&store->view_mutex);
    (void)nanosleep(&pause, NULL);
    (void)pthread_mutex_lock(&store->view_mutex);
  }
  (void)pthread_mutex_unlock(&store->view_mutex);
}

/* What others have appended meanwhile is read first: the flush is for them, too. */
static int flush_for_all(hf_store *store, hf_error *reterr) {
  covered what;
  gather(store);
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = look(store, !is_alone(store), &what, reterr);
  if (HF_PLANTED(JOURNAL_MARK_EARLY))
    (void)hf_log_mark_journal(store, what.end, NULL);
  (void)pthread_mutex_unlock(&store->view_mutex);
  int done = status == HF_OK ? flush(store, &what, reterr) : status;
  (void)pthread_mutex_lock(&store->view_mutex);
  status = note(store, &what, done, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

/* Another process flushes: it may be for us. The more there are who wait, the fewer looks each has:
 * the looks of many keep the processors from who appends and flushes. */
static void wait_for_other(hf_store *store, int64_t flush_us) {
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t crowd = store->append_cycle / SHARE_LOOKS;
  (void)pthread_mutex_unlock(&store->view_mutex);
  crowd = crowd < 1 ? 1 : crowd > SHARE_LOOKS ? SHARE_LOOKS : crowd;
  struct timespec pause = {0, (long)(flush_us * (int64_t)crowd / SHARE_LOOKS) * 1000};
  if (pause.tv_nsec > SHARE_PAUSE_NS_MAX)
    pause.tv_nsec = SHARE_PAUSE_NS_MAX;
  (void)nanosleep(&pause, NULL);
}

/* 1: the mark covers `last`; *ret_alone. Negative: it cannot be looked at. */
static int is_marked(hf_store *store, uint64_t last, int *ret_alone, hf_error *reterr) {
  uint64_t marked = 0;
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = HF_OK;
  *ret_alone = is_alone(store);
  if (store->durable_head >= last)
    marked = last;
  else if (!*ret_alone)
    status = hf_log_look_at_mark(store, &marked, reterr);
  if (status == HF_OK && marked >= last && store->durable_head < last)
    store->durable_head = last;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status == HF_OK ? marked >= last : status;
}

/* HF_OK: the mark covers `last`. */
static int wait_until_durable(hf_store *store, uint64_t last, hf_error *reterr) {
  int64_t began_us = hf_monotonic_us();
  for (int flushes = 0; flushes < FLUSHES_MAX;) {
    int alone = 0;
    int marked = is_marked(store, last, &alone, reterr);
    if (marked != 0)
      return marked < 0 ? marked : HF_OK;
    int64_t flush_us = atomic_load(&store->flush_us);
    int is_lock = !alone && hf_log_mark_lock(store, LOCK_EX);
    if (!alone && !is_lock && flush_us >= SHARE_FLUSH_US_MIN &&
        hf_monotonic_us() - began_us < flush_us * SHARE_FLUSHES_MAX) {
      wait_for_other(store, flush_us);
      continue;
    }
    int status = flush_for_all(store, reterr);
    if (is_lock)
      (void)hf_log_mark_lock(store, LOCK_UN);
    if (status != HF_OK)
      return status;
    flushes++;
  }
  return hf_err(reterr, HF_EIO, "tile", "what was appended is not there any more");
}

/* Where the mark was raised by another process, whose flush knows nothing of an error of ours: what
 * was appended must stand there still. (After a flush of our own it does: the kernel would have
 * told of an error in between.) */
static int stands_there(hf_store *store, const hf_staged *staged, uint64_t first) {
  hf_autobuf text = {0};
  hf_line line;
  for (size_t i = 0; i < staged->count; i++) {
    hf_row row;
    (void)pthread_mutex_lock(&store->view_mutex);
    int own = store->own_flushed >= first + staged->count - 1;
    int known = !own && store->view.head >= first + i &&
                hf_view_row(&store->view, first + i, &row, NULL) == HF_OK;
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (own)
      return 1;
    if (!known || memcmp(&row.id, &staged->attempt[i]->line.id, sizeof row.id) != 0 ||
        hf_log_load(store, first + i, &row, &text, &line, NULL) != HF_OK)
      return 0;
  }
  return 1;
}

void hf_journal_finish(hf_store *store, hf_staged *staged, uint64_t first) {
  hf_error error = HF_ERROR_INIT;
  HF_PAUSE_AT(AFTER_APPEND);
  int status = wait_until_durable(store, first + staged->count - 1, &error);
  if (status == HF_OK && !stands_there(store, staged, first))
    status = hf_err(&error, HF_EIO, "tile", "what was appended is not there any more");
  if (status != HF_OK) {
    hf_attempts_decide_unsure(staged->attempt, staged->count, &error);
    return;
  }
  if (hf_blob_place_all(store, staged->attempt, staged->count, 1, &error) != HF_OK) {
    hf_attempts_decide_unsure(staged->attempt, staged->count, &error);
    return;
  }
  hf_attempts_decide_committed(staged->attempt, staged->count, first);
  hf_packer_committed(store, first + staged->count - 1);
}
