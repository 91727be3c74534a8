/* One process that saves. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib_storm.h"
#include "lib_table.h"

enum {
  TIMEOUT_MS = 120000,
  THREADS_MAX = 8,
  RECENT = 200,
  DELAY_ONE_IN = 150,
  DELAY_US_MAX = 1500
};

static struct {
  hf_store *store;
  storm_step step;
  _Atomic unsigned countdown;
  uint64_t number;
} me;

static __thread fault_random thread_random;
static __thread storm_step reached; /* how far the thread's commit is */

static int64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- dying at a step ---- */

static void at_step(storm_step step) {
  if (fault_below(&thread_random, DELAY_ONE_IN) == 0)
    fault_sleep_us((int64_t)fault_below(&thread_random, DELAY_US_MAX));
  if (me.step == step && atomic_fetch_sub(&me.countdown, 1) == 1)
    (void)kill(getpid(), SIGKILL);
}

static void before(void *context, fault_call *call) {
  (void)context;
  if (fault_is_publish(call) || fault_is_append(call))
    at_step(STORM_BEFORE_LINK);
}

/* After the link the next fsync of the thread is that of log/, after an append the next fdatasync
 * that of its tile, and the next pwrite that of the mark. */
static void after(void *context, fault_call *call) {
  (void)context;
  if ((fault_is_publish(call) && call->result == 0) || fault_is_append(call)) {
    reached = STORM_AFTER_LINK;
    at_step(STORM_AFTER_LINK);
  } else if ((call->kind == FAULT_FSYNC || call->kind == FAULT_FDATASYNC) &&
             reached == STORM_AFTER_LINK) {
    reached = STORM_AFTER_FSYNC;
    at_step(STORM_AFTER_FSYNC);
  } else if (call->kind == FAULT_PWRITE && reached == STORM_AFTER_FSYNC) {
    reached = STORM_AFTER_MARK;
    at_step(STORM_AFTER_MARK);
  } else if (call->kind == FAULT_FSYNC)
    at_step(STORM_AFTER_STAGING);
}

/* ---- operations ---- */

static storm_kind choose_kind(void) {
  static const struct {
    storm_kind kind;
    unsigned weight;
  } mix[] = {{STORM_PLAIN, 52}, {STORM_BLOB, 1},   {STORM_HOT, 14},
             {STORM_SAME, 8},   {STORM_ABSENT, 7}, {STORM_IF_SEQ, 4},
             {STORM_BATCH, 2},  {STORM_ID, 7},     {STORM_RETRY, 5}};
  uint64_t at = fault_below(&thread_random, 100);
  for (size_t i = 0; i < sizeof mix / sizeof mix[0]; i++) {
    if (at < mix[i].weight)
      return mix[i].kind;
    at -= mix[i].weight;
  }
  return STORM_PLAIN;
}

/* An earlier op with an id of its own, or ops_max. */
static uint64_t find_given_id(uint64_t below, int unanswered_only) {
  for (int i = 0; i < 40 && below > 0; i++) {
    uint64_t recent = below < RECENT ? below : RECENT;
    uint64_t number = below - 1 - fault_below(&thread_random, recent);
    const storm_op *op = &storm_all->ops[number];
    int state = atomic_load(&op->state);
    if (state != STORM_NOT_BEGUN && op->kind == STORM_ID &&
        (!unanswered_only || state == STORM_BEGUN))
      return number;
  }
  return storm_all->ops_max;
}

static void prepare_key(storm_op *op, uint64_t number) {
  const char *prefix = "run";
  uint64_t key = number;
  if (op->kind == STORM_HOT || op->kind == STORM_IF_SEQ) {
    prefix = "hot";
    key = fault_below(&thread_random, STORM_HOT_KEYS);
  } else if (op->kind == STORM_ABSENT) {
    prefix = "absent";
    key = fault_below(&thread_random, STORM_ABSENT_KEYS);
  } else if (op->kind == STORM_SAME) {
    prefix = "same";
    key = fault_below(&thread_random, STORM_SAME_KEYS);
    op->document = STORM_SAME_BASE + key * STORM_SAME_DOCUMENTS +
                   fault_below(&thread_random, STORM_SAME_DOCUMENTS);
    op->document_bytes = 200;
  }
  (void)snprintf(op->run_id, sizeof op->run_id, "%s_%llu", prefix, (unsigned long long)key);
}

/* Fills in the op, all but the answer; it counts as begun from here on. */
static storm_op *begin(uint64_t number, storm_kind kind) {
  storm_op *op = &storm_all->ops[number];
  uint64_t first = kind == STORM_RETRY ? find_given_id(number, 0) : storm_all->ops_max;
  if (kind == STORM_RETRY && first == storm_all->ops_max)
    kind = STORM_ID;
  op->kind = kind;
  op->first = number;
  op->document = number;
  op->document_bytes = 20 + (uint32_t)fault_below(&thread_random, 4000);
  if (kind == STORM_BLOB)
    op->document_bytes = 66000 + (uint32_t)fault_below(&thread_random, 100000);
  prepare_key(op, number);
  if (kind == STORM_ID)
    fault_must(hf_make_id(op->given_id, NULL), &(hf_error)HF_ERROR_INIT, "hf_make_id");
  if (kind == STORM_RETRY) {
    const storm_op *of = &storm_all->ops[first];
    op->first = first;
    op->document = of->document;
    op->document_bytes = of->document_bytes;
    memcpy(op->run_id, of->run_id, sizeof op->run_id);
    memcpy(op->given_id, of->given_id, sizeof op->given_id);
  }
  op->began_ns = now_ns();
  atomic_store(&op->state, STORM_BEGUN);
  return op;
}

static void raise_head(uint64_t seq) {
  uint64_t head = atomic_load(&storm_all->head_answered);
  while (head < seq && !atomic_compare_exchange_weak(&storm_all->head_answered, &head, seq))
    continue;
}

static void answer(storm_op *op, const hf_saved *saved, int status) {
  op->ended_ns = now_ns();
  op->status = status;
  op->created = saved->created;
  op->seq = saved->seq;
  memcpy(op->id, saved->id, sizeof op->id);
  atomic_store(&op->state, STORM_ANSWERED);
  if (status == HF_OK)
    raise_head(saved->seq);
}

static void expect(const storm_op *op, int status, const hf_error *error) {
  int is_conditional = op->kind == STORM_ABSENT || op->kind == STORM_IF_SEQ;
  if (status == HF_OK || status == HF_ELOCK || (status == HF_ECONFLICT && is_conditional) ||
      (status == HF_EENDED && op->given_id[0] != '\0'))
    return;
  fault_fail("op %llu, kind %d, answered %s: %s: %s", (unsigned long long)(op - storm_all->ops),
             (int)op->kind, hf_status_name(status), error->place, error->message);
}

static void fill_request(const storm_op *op, const fault_document *document,
                         hf_save_request *request) {
  memset(request, 0, sizeof *request);
  request->key = (hf_key){.run_id = op->run_id, .stage = "storm"};
  request->doc = document->sent;
  request->doc_bytes = document->sent_bytes;
  request->id = op->given_id[0] != '\0' ? op->given_id : NULL;
  if (op->kind == STORM_ABSENT)
    request->condition = HF_IF_ABSENT;
  if (op->kind == STORM_IF_SEQ) {
    request->condition = HF_IF_SEQ;
    request->if_seq = op->if_seq;
  }
}

static uint64_t current_seq(const char *run_id) {
  hf_key key = {.run_id = run_id, .stage = "storm"};
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  int got = hf_get(me.store, &key, 0, &record, &error);
  fault_must(got, &error, "hf_get");
  uint64_t seq = got == 1 ? record->seq : 0;
  hf_record_free(&record);
  return seq;
}

static void save_one(uint64_t number, storm_kind kind) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved = {0};
  hf_save_request request;
  fault_document document;
  storm_op *op = begin(number, kind);
  fault_document_make(op->document, op->document_bytes, &document);
  if (kind == STORM_IF_SEQ)
    op->if_seq = current_seq(op->run_id);
  fill_request(op, &document, &request);
  int status = hf_save(me.store, &request, TIMEOUT_MS, &saved, &error);
  answer(op, &saved, status);
  expect(op, status, &error);
  fault_document_free(&document);
}

static void save_batch(uint64_t number, unsigned count) {
  hf_save_request requests[STORM_BATCH_MAX];
  hf_saved results[STORM_BATCH_MAX];
  fault_document documents[STORM_BATCH_MAX];
  storm_op *ops[STORM_BATCH_MAX];
  hf_error error = HF_ERROR_INIT;
  memset(requests, 0, sizeof requests);
  for (unsigned i = 0; i < count; i++) {
    ops[i] = begin(number + i, STORM_BATCH);
    fault_document_make(ops[i]->document, ops[i]->document_bytes, &documents[i]);
    fill_request(ops[i], &documents[i], &requests[i]);
  }
  (void)hf_save_batch(me.store, requests, count, TIMEOUT_MS, results, &error);
  for (unsigned i = 0; i < count; i++) {
    answer(ops[i], &results[i], results[i].status);
    expect(ops[i], results[i].status, &error);
    fault_document_free(&documents[i]);
  }
}

/* Ends the attempt of somebody who may be dead, or at work. */
static void resolve_one(uint64_t below) {
  uint64_t number = find_given_id(below, 1);
  uint64_t slot = atomic_load(&storm_all->resolves_next);
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  if (number == storm_all->ops_max || slot >= STORM_RESOLVES_MAX)
    return;
  slot = atomic_fetch_add(&storm_all->resolves_next, 1);
  if (slot >= STORM_RESOLVES_MAX)
    return;
  storm_resolve *resolve = &storm_all->resolves[slot];
  memcpy(resolve->id, storm_all->ops[number].given_id, sizeof resolve->id);
  int got = hf_resolve(me.store, resolve->id, TIMEOUT_MS, &seq, &error);
  fault_must(got, &error, "hf_resolve");
  resolve->seq = got == 1 ? seq : 0;
  atomic_store(&resolve->state, STORM_ANSWERED);
}

/* A fast machine may have saved all before anybody was killed, or the locker changed. */
static void wait_for_others(void) {
  while (atomic_load(&storm_all->next) >= STORM_LAST_TENTH(storm_now.saves) &&
         (!atomic_load(&storm_all->killed_enough) ||
          (storm_now.flips && atomic_load(&storm_all->flips) < STORM_FLIPS_MIN)))
    fault_sleep_us(200);
}

static void *thread_main(void *argument) {
  uint64_t thread = *(const uint64_t *)argument;
  thread_random.state = storm_now.seed * 1000003 + me.number * 1009 + thread;
  for (;;) {
    storm_kind kind = choose_kind();
    unsigned count =
        kind == STORM_BATCH ? 2 + (unsigned)fault_below(&thread_random, STORM_BATCH_MAX - 1) : 1;
    wait_for_others();
    uint64_t number = atomic_fetch_add(&storm_all->next, count);
    if (number + count > storm_now.saves)
      return NULL;
    if (kind == STORM_BATCH)
      save_batch(number, count);
    else
      save_one(number, kind);
    if (fault_below(&thread_random, 60) == 0)
      resolve_one(number);
  }
}

void storm_write(const char *path, uint64_t number, unsigned threads, storm_step step,
                 unsigned countdown) {
  static fault_hooks hooks = {.before = before, .after = after};
  pthread_t others[THREADS_MAX];
  uint64_t numbers[THREADS_MAX];
  fault_context("seed %llu, %s, writer %llu", (unsigned long long)storm_now.seed, storm_now.locker,
                (unsigned long long)number);
  hooks.fast_fsync = storm_now.is_fast;
  fault_table_install(&hooks);
  me.number = number;
  me.step = step;
  atomic_store(&me.countdown, countdown);
  fault_let_pack(storm_now.packs);
  me.store = fault_open(path);
  for (unsigned i = 0; i < threads; i++)
    numbers[i] = i;
  for (unsigned i = 1; i < threads; i++)
    FAULT_CHECK(pthread_create(&others[i], NULL, thread_main, &numbers[i]) == 0, "no thread");
  (void)thread_main(&numbers[0]);
  for (unsigned i = 1; i < threads; i++)
    (void)pthread_join(others[i], NULL);
  hf_close(&me.store);
  _exit(0);
}
