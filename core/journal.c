#include "journal.h"

#include <errno.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "blob.h"
#include "clock.h"
#include "err.h"
#include "judge.h"
#include "log.h"
#include "packer.h"
#include "plant.h"
#include "store_locker.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum {
  HOLD_TRIES_MAX = 1 << 16, /* the deadline ends it long before */
  HOLD_BACKOFF_BASE_US = 50,
  HOLD_BACKOFF_CAP_US = 5000,
};

/* ---- the part's lock ------------------------------------------------------------------------- */

/* The lock on the part itself: whoever appends has it, whatever becomes of the store's lock, which
 * can be broken. So it is free, as a rule. 1, 0 (the deadline), negative. */
static int lock_part(hf_store *store, int64_t deadline_ms, hf_error *reterr) {
  for (unsigned i = 0; i < HOLD_TRIES_MAX; i++) {
    if (hf_sys_flock(store->part.fd, LOCK_EX) == 0)
      return 1;
    if (errno != EWOULDBLOCK)
      return hf_err_sys(reterr, HF_EBACKEND, errno, "tile", "cannot lock the current tile");
    if (hf_backoff_sleep(i, HOLD_BACKOFF_BASE_US, HOLD_BACKOFF_CAP_US, deadline_ms) != 0)
      break;
  }
  (void)hf_err(
      reterr, HF_ELOCK, NULL,
      "a writer whose lock was broken still holds the current tile; nothing was saved. End "
      "that process, or wait for it");
  return 0;
}

/* Without it nothing can be said of what it held and the mark does not cover: read anew. */
static void drop_part(hf_store *store) {
  hf_part_close(store);
  (void)pthread_mutex_lock(&store->view_mutex);
  store->view.stale |= store->view.head > store->durable_head;
  (void)pthread_mutex_unlock(&store->view_mutex);
}

static void unlock_part(hf_store *store) {
  if (store->part.fd >= 0 && hf_sys_flock(store->part.fd, LOCK_UN) != 0)
    drop_part(store); /* which ends it, too */
}

/* Is the store still in journal mode under this turn's locker? view_mutex is held. */
static int is_ours(const hf_store *store) {
  return hf_store_is_journal(store) && strcmp(hf_store_locker_name(store), store->turn_scheme) == 0;
}

/* The held part, from head + 1 on; where this mode ended in it, the loose files behind, and the
 * part again where it began anew: nothing moves any more then. view_mutex is held. */
static int read_part(hf_store *store, uint64_t *ret_torn, hf_error *reterr) {
  int moves = 1; /* loose files were read */
  int got = 0;
  while (moves && hf_tile_of(store->view.head + 1) == store->part.tile) {
    moves = 0;
    got = hf_part_read(store, store->part.fd, UINT64_MAX, 0, ret_torn, reterr);
    if (got >= 0 && !store->view.stale && !hf_store_is_journal(store) &&
        !HF_PLANTED(JOURNAL_READS_TO_CHANGE)) {
      got = hf_log_read_loose(store, reterr);
      moves = got > 0 && hf_store_is_journal(store);
    }
    if (moves)
      *ret_torn = 0;
  }
  return got < 0 ? got : HF_OK;
}

typedef enum hold {
  HOLD_HELD,  /* the part of head + 1 is locked, read to its end and proven */
  HOLD_AGAIN, /* another part, or another mode, by now; nothing is held */
  HOLD_LATE,
} hold;

/* Reads the log, then the part, to the end, and proves that. In one piece: no other thread of this
 * handle flushes, marks or shows what was read, and may be on no disk, before it was written anew.
 * *ret_stays: it is the part of head + 1 still, in this mode. HF_OK, HOLD_AGAIN, negative. */
static int read_and_prove(hf_store *store, int *ret_stays, hf_error *reterr) {
  uint64_t torn = 0;
  uint64_t tile = store->part.tile;
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t before = store->view.head;
  int status = hf_log_refresh(store, HF_REFRESH_UNDER_LOCK, reterr);
  if (status == HF_OK)
    status = read_part(store, &torn, reterr);
  if (HF_PLANTED(JOURNAL_PROVES_LATER)) {
    (void)pthread_mutex_unlock(&store->view_mutex);
    HF_PAUSE_AT(READ);
    (void)pthread_mutex_lock(&store->view_mutex);
  }
  if (store->view.head != before)
    store->others_seen_at = store->view.head;
  uint64_t head = store->view.head;
  int is_replaced = status == HF_OK && store->view.stale; /* the part: it is read anew */
  /* in it, or at its end; else others are far beyond it, and it is packed */
  if (status == HF_OK && !is_replaced && head >= tile * HF_TILE_RECORDS &&
      head <= (tile + 1) * HF_TILE_RECORDS)
    status = hf_part_prove(store, torn, reterr);
  store->view.stale |= status != HF_OK; /* what was read is not proven */
  store->held_head = head;
  *ret_stays = is_ours(store) && hf_tile_of(head + 1) == tile;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return is_replaced ? HOLD_AGAIN : status;
}

static int settle(hf_store *store, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_journal_settle(store, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

/* Another thread of the handle has read the log anew since the part was read to its end, up to the
 * mark alone; or has met an error in a flush of the part. view_mutex is held. */
static int has_moved(hf_store *store) {
  (void)pthread_mutex_lock(&store->part_mutex);
  int has_failed = store->part.failed;
  (void)pthread_mutex_unlock(&store->part_mutex);
  return (has_failed || store->view.stale || store->view.head != store->held_head) &&
         !HF_PLANTED(JOURNAL_APPENDS_BLINDLY);
}

/* A full tile is durable before the next one is begun; a change of mode before it is obeyed. */
static int leave_part(hf_store *store, hf_error *reterr) {
  int status = HF_PLANTED(JOURNAL_NEXT_TILE_EARLY) ? HF_OK : settle(store, reterr);
  unlock_part(store);
  return status == HF_OK ? HOLD_AGAIN : status;
}

/* One attempt. A hold, or negative. */
static int hold_part(hf_store *store, int64_t deadline_ms, hf_error *reterr) {
  int stays = 0;
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t tile = hf_tile_of(store->view.head + 1);
  /* what was read of another part, and not flushed yet, is, before that one is closed */
  int status = store->part.fd < 0 || store->part.tile == tile || HF_PLANTED(JOURNAL_NEXT_TILE_EARLY)
                   ? HF_OK
                   : hf_journal_settle(store, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (status == HF_OK)
    status = hf_part_open(store, tile, reterr);
  if (status != HF_OK)
    return status;
  int locked = lock_part(store, deadline_ms, reterr);
  if (locked != 1)
    return locked < 0 ? locked : HOLD_LATE;
  int is_named = hf_part_is_named(store, reterr);
  if (is_named != 1) {
    atomic_store(&store->part.durable_names, 0); /* another file has it, or will */
    drop_part(store);
    return is_named < 0 ? is_named : HOLD_AGAIN;
  }
  status = read_and_prove(store, &stays, reterr);
  if (status == HF_OK && stays)
    status = hf_part_secure_name(store, reterr);
  if (status != HF_OK) {
    unlock_part(store);
    return status;
  }
  return stays ? HOLD_HELD : leave_part(store, reterr);
}

size_t hf_journal_tiles_behind(hf_store *store, size_t count, uint64_t *ret_first) {
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t tile = hf_tile_of(store->view.head + 1);
  uint64_t last = hf_tile_of(store->view.head + count + 1);
  int is_journal = hf_store_is_journal(store) && !store->shared; /* there nothing is appended */
  (void)pthread_mutex_unlock(&store->view_mutex);
  *ret_first = tile + 1;
  return is_journal ? (size_t)(last - tile) : 0;
}

/* ---- appending ------------------------------------------------------------------------------- */

/* Decides what the log answers; HF_OK, or why nothing can be told. view_mutex is held. */
static int judge(hf_store *store, hf_staged *staged, hf_error *reterr) {
  for (size_t i = 0; i < staged->count; i++) {
    hf_attempt *attempt = staged->attempt[i];
    hf_error why = HF_ERROR_INIT;
    int answer = HF_OK;
    int go = hf_judge(store, attempt, &answer, &why);
    if (go < 0 && reterr != NULL)
      *reterr = why;
    int status = go < 0 ? go : HF_OK;
    if (go == 0) /* from what is durable alone */
      status = hf_journal_settle(store, reterr);
    if (status != HF_OK)
      return status;
    if (go == 0)
      hf_attempt_decide(attempt, answer, &why);
    hf_attempt_cancel_behind(attempt);
  }
  return HF_OK;
}

/* Leaves only undecided attempts, and at most `room`. */
static int keep_undecided(hf_staged *staged, size_t room, hf_error *reterr) {
  size_t kept = 0;
  for (size_t i = 0; i < staged->count; i++)
    if (!staged->attempt[i]->decided && kept < room)
      staged->attempt[kept++] = staged->attempt[i];
  int is_same = kept == staged->count;
  staged->count = kept;
  return is_same && !hf_staged_is_rewritten(staged) ? HF_OK : hf_stage_encode(staged, reterr);
}

/* The view learns what was appended at `at`; a thread that flushes may have read it already. */
static int append_rows(hf_store *store, const hf_staged *staged, uint64_t first, uint64_t at,
                       hf_error *reterr) {
  size_t offset = 0;
  if (hf_view_reserve(&store->view, staged->count) != HF_OK)
    return hf_err_nomem(reterr);
  for (size_t i = 0; i < staged->count; i++) {
    const char *start = staged->text.data + offset;
    const char *end = memchr(start, '\n', staged->text.used - offset);
    if (end == NULL)
      return hf_err(reterr, HF_EINTERNAL, NULL, "a line has no end");
    hf_place place = {first + i, (uint32_t)(at + offset), (uint32_t)(end - start), 1, 1};
    if (store->view.head == first + i - 1 &&
        hf_view_append(&store->view, &staged->attempt[i]->line, &place) != HF_OK)
      return hf_err_nomem(reterr);
    offset += place.line_bytes + 1;
  }
  store->part_rows = store->part.is;
  store->part_rows_tile = store->part.tile + 1;
  if (store->view.head == first + staged->count - 1) {
    store->part_end = at + offset;
    store->part_end_seq = store->view.head;
  }
  return HF_OK;
}

/* The part is held. 1: appended; 0: all is decided; APPEND_AGAIN: it must be held anew; negative:
 * why not, nothing is decided by it yet. */
enum { APPEND_AGAIN = 2 };

static int append_held(hf_store *store, hf_staged *staged, uint64_t *ret_first, hf_error *reterr) {
  uint64_t at = 0;
  HF_PAUSE_AT(HELD);
  (void)pthread_mutex_lock(&store->view_mutex);
  if (has_moved(store)) {
    (void)pthread_mutex_unlock(&store->view_mutex);
    return APPEND_AGAIN;
  }
  int status = judge(store, staged, reterr);
  uint64_t first = store->view.head + 1;
  int known = hf_part_end_of(store, store->part.tile, store->view.head, &at);
  (void)pthread_mutex_unlock(&store->view_mutex);
  size_t room = HF_TILE_RECORDS - (size_t)((first - 1) % HF_TILE_RECORDS);
  if (status == HF_OK)
    status = keep_undecided(staged, room, reterr);
  if (status == HF_OK && staged->count > 0)
    status = hf_blob_place_all(store, staged->attempt, staged->count, 0, reterr);
  if (status == HF_OK && staged->count > 0 && !known)
    status = hf_err(reterr, HF_EDAMAGED, store->path, "a record of the current tile is damaged");
  if (status != HF_OK || staged->count == 0)
    return status;
  HF_PAUSE_AT(AFTER_ACQUIRE);
  status = hf_part_append(store, at, staged->text.data, staged->text.used, staged->count == room,
                          reterr);
  if (status != HF_OK)
    return status;
  HF_PAUSE_AT(AFTER_LINK);
  (void)pthread_mutex_lock(&store->view_mutex);
  status = append_rows(store, staged, first, at, reterr);
  store->append_cycle = store->append_first != 0 ? first - store->append_first : 0;
  store->append_first = first;
  store->view.stale |= status != HF_OK; /* it stands there all the same: read it again */
  (void)pthread_mutex_unlock(&store->view_mutex);
  *ret_first = first;
  return 1;
}

/* Damage hides where the part's lines end: those beyond the mark were read, and not written anew.
 */
static void forget_unproven(hf_store *store) {
  (void)pthread_mutex_lock(&store->view_mutex);
  (void)pthread_mutex_lock(&store->part_mutex);
  store->view.stale |= !store->part.may_flush;
  (void)pthread_mutex_unlock(&store->part_mutex);
  (void)pthread_mutex_unlock(&store->view_mutex);
}

int hf_journal_append(hf_store *store, hf_staged *staged, int64_t deadline_ms,
                      uint64_t *ret_first) {
  hf_error error = HF_ERROR_INIT;
  for (unsigned i = 0; i < HOLD_TRIES_MAX; i++) {
    (void)pthread_mutex_lock(&store->view_mutex);
    /* nothing is made, or appended, without a look at the log; an open part is looked at anyway */
    int is_open = i == 0 && store->view.head > 0 && !store->view.stale &&
                  hf_part_is_open(store, hf_tile_of(store->view.head + 1));
    int status = is_open ? HF_OK : hf_log_refresh(store, HF_REFRESH_UNDER_LOCK, &error);
    int stays = is_ours(store) || HF_PLANTED(IGNORE_MODE);
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (status == HF_OK && !stays)
      return 0; /* another turn, as the log says now */
    if (status == HF_OK)
      status = hold_part(store, deadline_ms, &error);
    if (status == HOLD_HELD) {
      int appended = append_held(store, staged, ret_first, &error);
      if (appended == 1)
        hf_count(&store->counters.commits, 1);
      unlock_part(store);
      if (appended == APPEND_AGAIN)
        continue;
      if (appended == HF_EDAMAGED)
        forget_unproven(store);
      if (appended == HF_EUNSURE)
        hf_attempts_decide_unsure(staged->attempt, staged->count, &error);
      else if (appended < 0)
        hf_staged_decide(staged, appended, &error);
      return appended == 1;
    }
    if (status < 0 || status == HOLD_LATE) {
      hf_staged_decide(staged, status < 0 ? status : HF_ELOCK, &error);
      return 0;
    }
  }
  (void)hf_err(&error, HF_ELOCK, NULL, "the current tile changes again and again; try again");
  hf_staged_decide(staged, HF_ELOCK, &error);
  return 0;
}
