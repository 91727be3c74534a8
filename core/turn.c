#include "turn.h"

#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "clock.h"
#include "err.h"
#include "journal.h"
#include "judge.h"
#include "log.h"
#include "packer.h"
#include "plant.h"
#include "publish.h"
#include "store_locker.h"
#include "sys.h"

#include "banned.h"

enum {
  TURN_TRIES_MAX = 1 << 20, /* the deadline ends it long before */
  TURN_POLITE_TRIES = 4,    /* collisions before writers without a lock step back */
  TURN_BACKOFF_BASE_US = 100,
  TURN_BACKOFF_CAP_US = 5000,
  COUNTER_TELL_MS = 60000, /* a counter that is wrong again and again is told of once in so long */
};

static int64_t earliest_deadline(const hf_staged *staged) {
  int64_t earliest_ms = INT64_MAX;
  for (size_t i = 0; i < staged->count; i++)
    if (staged->attempt[i]->deadline_ms < earliest_ms)
      earliest_ms = staged->attempt[i]->deadline_ms;
  return earliest_ms;
}

/* Those whose time is up; the others want another turn. */
static void decide_late(hf_staged *staged, int status, const hf_error *error) {
  int64_t now_ms = hf_monotonic_ms();
  for (size_t i = 0; i < staged->count; i++)
    if (staged->attempt[i]->deadline_ms <= now_ms)
      hf_attempt_decide(staged->attempt[i], status, error);
}

/* Leaves only undecided attempts, and at most `room`, in the file; stages it again where that, or
 * judging, changed it. Its old name was never linked, or met somebody else's file: the owner knows.
 */
static int restage(hf_store *store, hf_staged *staged, size_t room, hf_error *reterr) {
  size_t kept = 0;
  for (size_t i = 0; i < staged->count; i++)
    if (!staged->attempt[i]->decided && kept < room)
      staged->attempt[kept++] = staged->attempt[i];
  int is_same = kept == staged->count;
  staged->count = kept;
  if (is_same && !hf_staged_is_rewritten(staged))
    return HF_OK;
  hf_stage_remove(store, staged);
  return kept == 0 ? HF_OK : hf_stage_write(store, staged, reterr);
}

typedef struct verdict { /* why not: in the attempt's own error */
  int go;
  int status;
} verdict;

/* Judges all; *ret_answered: how many the log answers without a new record. */
static int judge_all(hf_store *store, const hf_staged *staged, verdict *verdicts,
                     size_t *ret_answered, hf_error *reterr) {
  *ret_answered = 0;
  for (size_t i = 0; i < staged->count; i++) {
    verdict *one = &verdicts[i];
    one->go = hf_judge(store, staged->attempt[i], &one->status, &staged->attempt[i]->error);
    if (one->go < 0) {
      if (reterr != NULL)
        *reterr = staged->attempt[i]->error;
      return one->go;
    }
    *ret_answered += one->go == 0;
  }
  return HF_OK;
}

/* Step 3. Decides what the log answers; HF_OK, or why nothing can be told. view_mutex is held. */
static int judge_fresh(hf_store *store, hf_staged *staged, hf_error *reterr) {
  size_t answered = 0;
  hf_autofree verdict *verdicts = calloc(staged->count, sizeof *verdicts);
  if (verdicts == NULL)
    return hf_err_nomem(reterr);
  int status = hf_log_refresh(store, HF_REFRESH_UNDER_LOCK, reterr);
  if (status == HF_OK)
    status = judge_all(store, staged, verdicts, &answered, reterr);
  if (status == HF_OK && answered > 0) {
    /* An answer without a link of our own: from everything that anybody may have been shown, and
     * settled. */
    status = hf_log_refresh(store, 0, reterr);
    if (status == HF_OK)
      status = judge_all(store, staged, verdicts, &answered, reterr);
    if (status == HF_OK && answered > 0)
      status = hf_log_settle(store, reterr);
  }
  /* what another left beyond the mark, before the next name is linked behind it */
  if (status == HF_OK)
    status = hf_log_fsync_names(store, reterr);
  for (size_t i = 0; status == HF_OK && i < staged->count; i++) {
    if (verdicts[i].go == 0)
      hf_attempt_decide(staged->attempt[i], verdicts[i].status, &staged->attempt[i]->error);
    hf_attempt_cancel_behind(staged->attempt[i]);
  }
  return status;
}

/* TRY: once more under this grant. DONE: decided, or another turn. END: by a record. */
enum next { NEXT_TRY, NEXT_DONE, NEXT_END };

/* Is the grant still ours? 1, or 0: another turn. */
static int still_ours(hf_store *store, const hf_grant *grant) {
  if ((store->turn_ops->traits & HF_LOCKER_GRANT_CAN_END) == 0 || store->turn_ops->verify == NULL)
    return 1;
  return store->turn_ops->verify(store->turn_locker, grant, NULL) == 1;
}

/* Has the log given the store another locker or mode since the turn began? Then the turn is given
 * back. (The record by which a turn ends an attempt of its own is committed all the same: its
 * answer should not be put off, and the storage decides. But not in journal mode: there a link
 * decides nothing, and the attempt's fate stays unknown.) Of the log as the number was taken from
 * it: later it may have moved there and back, and the number stand in a part. view_mutex is held.
 */
static int has_moved(const hf_store *store, const hf_staged *staged) {
  int is_journal = hf_store_is_journal(store);
  if (staged->count == 0)
    return 0;
  if (staged->attempt[0]->in_turn)
    return is_journal && !HF_PLANTED(END_BY_LINK);
  return !HF_PLANTED(IGNORE_MODE) &&
         (is_journal || strcmp(hf_store_locker_name(store), store->turn_scheme) != 0);
}

/* The turn's locker cannot be had: has the store left it? Then it is no reason to fail, and another
 * turn is taken with the new one. */
static int has_left(hf_store *store) {
  return store->turn_scheme[0] != '\0' && hf_store_read_locker(store, NULL, NULL, NULL) == HF_OK &&
         !hf_store_locker_is(store, store->turn_scheme);
}

/* The backend's counter has told what the next number should be; the storage tells what it is.
 * Where they disagree the counter is mended. Looked at once a turn. */
static void mind_counter(hf_store *store, hf_grant *grant, uint64_t head, size_t count) {
  uint64_t first = 0;
  uint64_t told = grant->seq_hint;
  grant->seq_hint = 0;
  if (told == 0 || told == head + 1)
    return;
  const char *outcome = "it was repaired";
  if (store->turn_ops->next_seq == NULL ||
      store->turn_ops->next_seq(store->turn_locker, grant, head, count, &first, NULL) != 1)
    outcome = "it could not be repaired now";
  int64_t now_ms = hf_monotonic_ms();
  uint64_t times = atomic_load(&store->counters.counter_repairs) + 1;
  int is_news = times == 1 || now_ms - store->counter_told_ms > COUNTER_TELL_MS;
  hf_count(&store->counters.counter_repairs, 1);
  if (is_news)
    store->counter_told_ms = now_ms;
  hf_store_log(store, is_news ? HF_LOG_WARNING : HF_LOG_INFO,
               "the locker's counter said that the next number is %llu, the storage says %llu: %s "
               "toward the storage, which decides (the backend has lost its memory, or a writer "
               "ended between its turn and its record; the %llu. time that this handle sees it)",
               (unsigned long long)told, (unsigned long long)head + 1, outcome,
               (unsigned long long)times);
}

/* What this handle's packer need not read again (own_lines.h). */
static void keep_own(hf_store *store, const hf_staged *staged, uint64_t seq) {
  if (store->shared && store->packs)
    hf_own_keep(&store->own_lines, seq, staged->count, staged->text.data, staged->text.used,
                atomic_load(&store->tiles_seen));
}

static enum next linked(hf_store *store, hf_staged *staged, uint64_t seq) {
  hf_error why = HF_ERROR_INIT;
  HF_PAUSE_AT(AFTER_LINK);
  int confirmed = hf_publish_confirm(store, staged, seq, &why);
  if (confirmed == 0) {
    if (!store->rename_mode)
      return NEXT_TRY; /* with the same id and the same file */
    (void)hf_err(&why, HF_EIO, NULL, "a packed tile took its place; not saved, save it again");
    hf_staged_decide(staged, HF_EIO, &why);
    return NEXT_DONE;
  }
  if (confirmed < 0) {
    hf_attempts_decide_unsure(staged->attempt, staged->count, &why);
    return NEXT_DONE;
  }
  if (hf_blob_place_all(store, staged->attempt, staged->count, 1, &why) != HF_OK) {
    hf_attempts_decide_unsure(staged->attempt, staged->count, &why);
    return NEXT_DONE;
  }
  keep_own(store, staged, seq);
  hf_count(&store->counters.commits, 1);
  hf_attempts_decide_committed(staged->attempt, staged->count, seq);
  hf_packer_committed(store, seq + staged->count - 1);
  return NEXT_DONE;
}

/* EEXIST: read what stands there before going on. */
static enum next met_others(hf_store *store, hf_staged *staged, uint64_t seq, hf_error *reterr) {
  int status = HF_OK;
  hf_count(&store->counters.collisions, 1);
  (void)pthread_mutex_lock(&store->view_mutex);
  if (store->view.head < seq)
    status = hf_log_read_next(store, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (status == HF_OK)
    return NEXT_TRY;
  hf_staged_decide(staged, status, reterr); /* never linked, or met somebody else's: not saved */
  return NEXT_DONE;
}

static enum next try_once(hf_store *store, hf_staged *staged, hf_grant *grant, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = judge_fresh(store, staged, reterr);
  uint64_t seq = store->view.head + 1;
  int moved = has_moved(store, staged);
  (void)pthread_mutex_unlock(&store->view_mutex);
  uint64_t told = grant->seq_hint;
  if (status == HF_OK)
    mind_counter(store, grant, seq - 1, staged->count);
  if (HF_PLANTED(SEQ_FROM_CLOCK))
    seq = (uint64_t)(hf_realtime_us() / 1000);
  if (HF_PLANTED(SEQ_FROM_COUNTER) && told != 0)
    seq = told;
  size_t room = HF_TILE_RECORDS - (size_t)((seq - 1) % HF_TILE_RECORDS);
  if (status == HF_OK) /* no file crosses a tile's edge */
    status = restage(store, staged, room, reterr);
  if (status == HF_OK && staged->count > 0)
    status = hf_blob_place_all(store, staged->attempt, staged->count, 0, reterr);
  if (status != HF_OK) {
    hf_staged_decide(staged, status, reterr);
    return NEXT_DONE;
  }
  if (HF_PLANTED(MOVED_ASKED_LATE)) {
    (void)pthread_mutex_lock(&store->view_mutex);
    moved = has_moved(store, staged);
    (void)pthread_mutex_unlock(&store->view_mutex);
  }
  if (staged->count == 0 || moved ||
      (!HF_PLANTED(UNVERIFIED_OVERWRITE) && !still_ours(store, grant)))
    return NEXT_DONE;
  HF_PAUSE_AT(AFTER_ACQUIRE);
  if (HF_PLANTED(KEEP_TRIED))
    keep_own(store, staged, seq);
  switch (hf_publish(store, staged, seq, reterr)) {
  case HF_PUBLISHED_MINE:
    return linked(store, staged, seq);
  case HF_PUBLISHED_OTHERS:
    return met_others(store, staged, seq, reterr);
  case HF_PUBLISHED_FAILED:
    hf_staged_decide(staged, HF_EIO, reterr);
    return NEXT_DONE;
  case HF_PUBLISHED_GONE:
    (void)hf_err(
        reterr, HF_EENDED, NULL,
        "the staged file was taken away: the attempt was ended, or it waited for more than "
        "an hour and was swept; it is not saved, save it again");
    return NEXT_END;
  case HF_PUBLISHED_UNKNOWN:
    return NEXT_END;
  }
  return NEXT_DONE;
}

static enum next commit_under_lock(hf_store *store, hf_staged *staged, hf_grant *grant,
                                   hf_error *reterr) {
  int64_t deadline_ms = earliest_deadline(staged);
  for (unsigned i = 0; i < TURN_TRIES_MAX; i++) {
    enum next next = try_once(store, staged, grant, reterr);
    if (next != NEXT_TRY)
      return next;
    int late = i >= TURN_POLITE_TRIES
                   ? hf_backoff_sleep(i - TURN_POLITE_TRIES, TURN_BACKOFF_BASE_US,
                                      TURN_BACKOFF_CAP_US, deadline_ms) != 0
                   : hf_monotonic_ms() > deadline_ms;
    if (late)
      break;
  }
  (void)hf_err(reterr, HF_ELOCK, NULL,
               "other writers were faster until the time was up; nothing was saved, try again");
  decide_late(staged, HF_ELOCK, reterr);
  return NEXT_DONE;
}

/* Its id was found: by this very record, or, with an id that the caller gave, by another attempt's.
 */
static void decide_found(hf_store *store, hf_attempt *attempt, uint64_t seq) {
  hf_autobuf mine = {0};
  hf_autobuf there = {0};
  hf_line line;
  (void)pthread_mutex_lock(&store->view_mutex);
  hf_row row;
  int status = hf_view_row(&store->view, seq, &row, NULL);
  (void)pthread_mutex_unlock(&store->view_mutex);
  attempt->saved.seq = seq;
  attempt->saved.created = 1;
  if (status == HF_OK && attempt->id_given &&
      hf_line_encode(&attempt->line, &mine, NULL) == HF_OK &&
      hf_log_load(store, seq, &row, &there, &line, NULL) == HF_OK &&
      (mine.used != there.used || memcmp(mine.data, there.data, mine.used) != 0)) {
    attempt->saved.created = 0;
    hf_hex(line.sha256, sizeof line.sha256, attempt->saved.sha256);
  }
  hf_attempt_decide(attempt, HF_OK, NULL);
}

/* The end of an attempt whose fate cannot be told: unlink, look, and commit a record that ends it.
 * The lock is held. */
static void end_attempts(hf_store *store, hf_staged *staged, hf_grant *grant, const hf_error *why) {
  hf_stage_remove(store, staged);
  for (size_t i = 0; i < staged->count; i++) {
    hf_attempt *attempt = staged->attempt[i];
    hf_attempt ender;
    hf_error error = HF_ERROR_INIT;
    hf_staged file = {.attempt = {&ender}, .count = 1};
    int status = hf_attempt_to_end(store, &attempt->line.id, "by its owner", -1, &ender, &error);
    ender.in_turn = 1;
    if (status == HF_OK)
      status = hf_stage_write(store, &file, &error);
    if (status == HF_OK && attempt->line.op != HF_OP_END) /* an ender is not ended in its turn */
      (void)commit_under_lock(store, &file, grant, &error);
    hf_stage_remove(store, &file);
    hf_buf_free(&file.text);
    if (ender.decided && ender.status == HF_OK && ender.saved.created == 0)
      decide_found(store, attempt, ender.saved.seq); /* it was committed after all */
    else if (ender.decided && (ender.status == HF_OK || ender.status == HF_EENDED))
      hf_attempt_decide(attempt, why->code == HF_EENDED ? HF_EENDED : HF_EIO, why);
    else
      hf_attempts_decide_unsure(&attempt, 1, why);
    hf_attempt_free(&ender);
  }
}

static int stage_blobs(hf_store *store, hf_staged *staged, hf_error *reterr) {
  for (size_t i = 0; i < staged->count; i++) {
    hf_attempt *attempt = staged->attempt[i];
    if (!attempt->line.blob || attempt->staged_blob[0] != '\0')
      continue;
    int status = hf_blob_stage(store, attempt, reterr);
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

static int prepare(hf_store *store, hf_staged *staged, int journal, hf_error *reterr) {
  int status = stage_blobs(store, staged, reterr);
  if (status != HF_OK)
    return status;
  return journal ? hf_stage_encode(staged, reterr) : hf_stage_write(store, staged, reterr);
}

/* Which locker makes this turn's writers wait for each other. */
static int choose_locker(hf_store *store, const hf_staged *staged, hf_error *reterr) {
  static char nothing;
  if (staged->attempt[0]->without_lock) {
    store->turn_ops = hf_locker_find("none");
    store->turn_locker = &nothing;
    return hf_store_read_locker(store, store->turn_scheme, NULL, reterr);
  }
  int leaving = staged->attempt[0]->line.op == HF_OP_MODE;
  int status = hf_store_use_locker(store, leaving, store->turn_scheme, &store->turn_opened, reterr);
  if (status == HF_OK) {
    store->turn_ops = store->turn_opened->ops;
    store->turn_locker = store->turn_opened->state;
  }
  return status;
}

/* The lock is held until it is released here. */
static void take_turn(hf_store *store, hf_staged *staged, int journal, hf_grant *grant,
                      hf_error *reterr) {
  uint64_t first = 0;
  int appended = 0;
  store->turn_grant = grant;
  if (journal)
    appended = hf_journal_append(store, staged, earliest_deadline(staged), &first);
  else if (commit_under_lock(store, staged, grant, reterr) == NEXT_END)
    end_attempts(store, staged, grant, reterr);
  store->turn_grant = NULL;
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t head = store->view.head;
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (store->turn_ops->release(store->turn_locker, grant, head, reterr) != 1)
    hf_store_log(store, HF_LOG_WARNING,
                 "the lock was lost before it was released; the log is correct all the same");
  if (appended)
    hf_journal_finish(store, staged, first);
}

/* Another has the turn and ours comes next: what was committed while we waited is read now, so that
 * little is left to read under the lock. Nothing is answered from it, and step 3 looks again. Where
 * rows tell of it, it is little anyhow, and the look at the mark would cost more than it spares. */
static void read_ahead(void *context) {
  hf_store *store = context;
  (void)pthread_mutex_lock(&store->view_mutex);
  if (store->rows_fd < 0 || store->view.head == 0)
    (void)hf_log_refresh(store, HF_REFRESH_UNDER_LOCK, NULL);
  (void)pthread_mutex_unlock(&store->view_mutex);
}

/* One thread at a time: the leader. */
static void count_wait(hf_store *store, uint64_t us, int granted) {
  hf_counters *counters = &store->counters;
  hf_count(&counters->lock_waits, 1);
  hf_count(&counters->lock_wait_us, us);
  if (us > atomic_load(&counters->lock_wait_us_max))
    atomic_store(&counters->lock_wait_us_max, us);
  if (granted != 1)
    hf_count(&counters->lock_failures, 1);
}

/* Steps 2 to 7 of what is staged. */
static void ask_for_turn(hf_store *store, hf_staged *staged, int journal, hf_error *reterr) {
  hf_grant grant = HF_GRANT_INIT;
  int granted = choose_locker(store, staged, reterr);
  if (granted == HF_OK) {
    grant.attempt = staged->attempt[0]->id_text;
    grant.wanted = staged->count;
    grant.turn_is_near = read_ahead;
    grant.near_context = store;
    int64_t began_us = hf_monotonic_us();
    granted = store->turn_ops->acquire(store->turn_locker, "lock", earliest_deadline(staged),
                                       &grant, reterr);
    count_wait(store, (uint64_t)(hf_monotonic_us() - began_us), granted);
    if (granted == 1) {
      take_turn(store, staged, journal, &grant, reterr);
      return;
    }
  }
  if (has_left(store))
    return;
  if (granted < 0)
    hf_staged_decide(staged, granted, reterr);
  else
    decide_late(staged, HF_ELOCK, reterr);
}

/* As far as the log was read: whoever finds under the lock that it is otherwise by now gives the
 * turn back. */
static int in_journal(hf_store *store) {
  (void)pthread_mutex_lock(&store->view_mutex);
  if (store->view.head == 0)
    (void)hf_log_refresh(store, 0, NULL);
  int journal = hf_store_is_journal(store);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return journal;
}

/* Where a store that was made on a local filesystem is reached over one that hosts share. There is
 * no part of it that two hosts can lock and both see the end of. */
static int refuse_to_append(const hf_store *store, const hf_staged *staged, hf_error *reterr) {
  if (!store->shared || staged->attempt[0]->without_lock)
    return HF_OK;
  return hf_err(reterr, HF_ECONFIG, store->path,
                "the store is in journal mode, which is for one host's local filesystem, and here "
                "it is %s: nothing was saved. On the host where it is local: holdfast locker set "
                "redis (or flock --mode publish); where no such host writes to it any more, the "
                "same here, with --force",
                store->fs.acting_type);
}

void hf_turn(hf_store *store, hf_staged *staged) {
  hf_error error = HF_ERROR_INIT;
  store->turn_scheme[0] = '\0';
  int journal = in_journal(store);
  int status = journal ? refuse_to_append(store, staged, &error) : HF_OK;
  if (status == HF_OK)
    status = prepare(store, staged, journal, &error);
  if (status == HF_OK)
    ask_for_turn(store, staged, journal, &error);
  else
    hf_staged_decide(staged, status, &error);
  hf_store_leave_locker(store, &store->turn_opened);
  hf_stage_remove(store, staged);
}
