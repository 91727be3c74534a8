#include "commit.h"

#include <string.h>
#include <time.h>

#include "blob.h"
#include "clock.h"
#include "err.h"
#include "journal.h"
#include "tally.h"
#include "turn.h"

#include "banned.h"

enum { GATHER_LOOKS = 8, SAVERS_FADE = 16 };
enum { MEET_SLOTS = 4 * HF_BATCH_MAX };      /* twice as many as are taken */
enum { COMMIT_BYTES_MAX = 4 * 1024 * 1024 }; /* of documents in one file; one alone may be longer */

static void enqueue(hf_store *store, hf_attempt *attempt) {
  attempt->next = NULL;
  attempt->queued = 1;
  if (store->queue_last != NULL)
    store->queue_last->next = attempt;
  else
    store->queue_first = attempt;
  store->queue_last = attempt;
}

static void remove_from_queue(hf_store *store, hf_attempt *attempt) {
  hf_attempt **link = &store->queue_first;
  hf_attempt *before = NULL;
  while (*link != NULL && *link != attempt) {
    before = *link;
    link = &(*link)->next;
  }
  if (*link == NULL)
    return;
  *link = attempt->next;
  if (store->queue_last == attempt)
    store->queue_last = before;
  attempt->queued = 0;
}

/* Two records of one key or one id do not share a file: the second is judged after the first was
 * committed. A record that ends an attempt shares its file with none: that attempt may be the other
 * thread's, and judged together neither would see the other. Nor does one that changes the locker:
 * what follows it is committed under the new one. */
static int meet(const hf_attempt *a, const hf_attempt *b) {
  return a->line.op != HF_OP_SAVE || b->line.op != HF_OP_SAVE || a->key_hash == b->key_hash ||
         memcmp(&a->line.id, &b->line.id, sizeof a->line.id) == 0;
}

/* Those that are gathered, found by their keys and by their ids: each is compared with few. */
typedef struct gathered {
  unsigned short slot[MEET_SLOTS]; /* the place of an attempt + 1; 0: none */
} gathered;

static size_t key_slot(const hf_attempt *attempt) {
  return (size_t)attempt->key_hash % MEET_SLOTS;
}

static size_t id_slot(const hf_attempt *attempt) { /* its last bytes are random, or a digest's */
  uint64_t tail = 0;
  memcpy(&tail, attempt->line.id.bytes + sizeof attempt->line.id - sizeof tail, sizeof tail);
  return (size_t)(tail % MEET_SLOTS);
}

static int meets_from(const gathered *all, const hf_staged *file, const hf_attempt *attempt,
                      size_t slot) {
  for (; all->slot[slot] != 0; slot = (slot + 1) % MEET_SLOTS)
    if (meet(file->attempt[all->slot[slot] - 1], attempt))
      return 1;
  return 0;
}

static int meets(const gathered *all, const hf_staged *file, const hf_attempt *attempt) {
  return meet(file->attempt[0], attempt) || /* of another op: it stands alone */
         meets_from(all, file, attempt, key_slot(attempt)) ||
         meets_from(all, file, attempt, id_slot(attempt));
}

static void put_in(gathered *all, size_t slot, size_t place) {
  while (all->slot[slot] != 0)
    slot = (slot + 1) % MEET_SLOTS;
  all->slot[slot] = (unsigned short)(place + 1);
}

/* The first undecided attempts, in order, that fit into one file. */
static void gather(hf_store *store, hf_attempt *const *attempts, size_t count, hf_staged *file) {
  (void)pthread_mutex_lock(&store->view_mutex);
  size_t room = HF_TILE_RECORDS - (size_t)(store->view.head % HF_TILE_RECORDS);
  (void)pthread_mutex_unlock(&store->view_mutex);
  size_t bytes = 0;
  gathered all = {{0}};
  file->count = 0;
  for (size_t i = 0; i < count && file->count < room; i++) {
    hf_attempt *attempt = attempts[i];
    hf_attempt_cancel_behind(attempt);
    if (attempt->decided)
      continue;
    if (file->count > 0 &&
        (bytes + attempt->line.doc.bytes > COMMIT_BYTES_MAX || meets(&all, file, attempt)))
      break;
    bytes += attempt->line.doc.bytes;
    put_in(&all, key_slot(attempt), file->count);
    put_in(&all, id_slot(attempt), file->count);
    file->attempt[file->count++] = attempt;
  }
}

/* Commits these, turn by turn, until each is decided. Every turn decides one at least, or its
 * deadline comes nearer. */
static void lead(hf_store *store, hf_attempt *const *attempts, size_t count) {
  hf_staged file;
  memset(&file, 0, sizeof file);
  for (;;) {
    gather(store, attempts, count, &file);
    if (file.count == 0)
      break;
    hf_turn(store, &file);
  }
  hf_buf_free(&file.text);
  for (size_t i = 0; i < count; i++)
    hf_blob_unstage(store, attempts[i]);
}

/* Another leads. Sleeps until this attempt was decided or is the first without a leader; gives up
 * at the deadline while nobody has taken it. queue_mutex is held. */
static void wait_for_leader(hf_store *store, hf_attempt *attempt) {
  struct timespec until = {(time_t)(attempt->deadline_ms / 1000),
                           (long)(attempt->deadline_ms % 1000) * 1000000};
  while (!attempt->done && store->has_leader) {
    if (!attempt->queued) { /* a leader has it: its answer will come */
      (void)pthread_cond_wait(&attempt->wake, &store->queue_mutex);
      continue;
    }
    if (hf_monotonic_ms() < attempt->deadline_ms) {
      (void)pthread_cond_timedwait(&attempt->wake, &store->queue_mutex, &until);
      continue;
    }
    hf_error error = HF_ERROR_INIT;
    (void)hf_err(&error, HF_ELOCK, NULL,
                 "other threads of this process had the turn until the time was up; nothing was "
                 "saved, try again");
    remove_from_queue(store, attempt);
    hf_attempt_decide(attempt, HF_ELOCK, &error);
    attempt->done = 1;
  }
}

static size_t count_queued(const hf_store *store, size_t enough) {
  size_t count = 0;
  for (const hf_attempt *one = store->queue_first; one != NULL && count < enough; one = one->next)
    count++;
  return count;
}

/* At the end of a turn: those who get an answer now, and those who wait, all save at once.
 * queue_mutex is held. */
static void note_savers(hf_store *store) {
  unsigned savers = atomic_load(&store->savers);
  unsigned peak = store->savers_peak - store->savers_peak / SAVERS_FADE;
  store->savers_peak = savers > peak ? savers : peak;
}

/* Where a flush takes long it is put off a little, for the threads that come back from the last
 * one: one flush more would cost them more. queue_mutex is held, and released meanwhile. */
static void gather_queue(hf_store *store) {
  int64_t pause_us = 0;
  size_t enough = store->savers_peak < HF_BATCH_MAX ? store->savers_peak : HF_BATCH_MAX;
  if (enough < 2 || !hf_journal_gathers(store, &pause_us))
    return;
  struct timespec pause = {0, (long)pause_us * 1000};
  for (int i = 0; i < GATHER_LOOKS && count_queued(store, enough) < enough; i++) {
    (void)pthread_mutex_unlock(&store->queue_mutex);
    (void)nanosleep(&pause, NULL);
    (void)pthread_mutex_lock(&store->queue_mutex);
  }
}

/* Takes the queue's front and commits it. queue_mutex is held, and released meanwhile. */
static void lead_once(hf_store *store) {
  hf_attempt *taken[HF_BATCH_MAX];
  size_t count = 0;
  store->has_leader = 1;
  gather_queue(store);
  while (store->queue_first != NULL && count < HF_BATCH_MAX) {
    hf_attempt *attempt = store->queue_first;
    remove_from_queue(store, attempt);
    taken[count++] = attempt;
  }
  (void)pthread_mutex_unlock(&store->queue_mutex);
  lead(store, taken, count);
  (void)pthread_mutex_lock(&store->queue_mutex);
  note_savers(store);
  store->has_leader = 0;
  for (size_t i = 0; i < count; i++) {
    taken[i]->done = 1;
    (void)pthread_cond_signal(&taken[i]->wake);
  }
  if (store->queue_first != NULL)
    (void)pthread_cond_signal(&store->queue_first->wake);
}

/* What became of them, for who asks (holdfast/stats.h). */
static void count_outcomes(hf_store *store, hf_attempt *const *attempts, size_t count) {
  hf_counters *counters = &store->counters;
  for (size_t i = 0; i < count; i++) {
    const hf_attempt *one = attempts[i];
    if (one->line.op != HF_OP_SAVE)
      continue;
    if (one->status == HF_OK)
      hf_count(one->saved.created ? &counters->saves : &counters->unchanged, 1);
    else if (one->status == HF_ECONFLICT || one->status == HF_EENDED)
      hf_count(&counters->refused, 1);
    else
      hf_count(one->status == HF_EUNSURE ? &counters->unsure : &counters->failed, 1);
  }
}

void hf_commit(hf_store *store, hf_attempt *const *attempts, size_t count) {
  atomic_fetch_add(&store->savers, 1);
  (void)pthread_mutex_lock(&store->queue_mutex);
  for (size_t i = 0; i < count; i++)
    enqueue(store, attempts[i]);
  for (size_t i = 0; i < count; i++)
    while (!attempts[i]->done) {
      wait_for_leader(store, attempts[i]);
      if (!attempts[i]->done && !store->has_leader)
        lead_once(store);
    }
  (void)pthread_mutex_unlock(&store->queue_mutex);
  atomic_fetch_sub(&store->savers, 1);
  count_outcomes(store, attempts, count);
  hf_tally_note(store);
}
