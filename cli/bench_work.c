#include "bench_work.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_count.h"
#include "bench_document.h"
#include "progress.h"

enum {
  STEPS_BITS = 5, /* a power of two has 32 buckets: 3 % each */
  STEPS = 1 << STEPS_BITS,
  BUCKETS = 40 * STEPS, /* up to 2^44 ns, five hours */
  NAP_NS = 1000000
};

typedef struct worker_result {
  uint64_t count;
  int64_t end_ns;
  uint32_t buckets[BUCKETS];
} worker_result;

/* Seen by all processes of a step. */
typedef struct shared {
  atomic_uint ready;
  atomic_uint finished;
  atomic_int go;
  atomic_int stop;
  atomic_int failed;
  atomic_int counting;
  atomic_int not_counted;
  _Atomic uint64_t flushes;
  _Atomic uint64_t next;
  uint64_t first; /* next, at the start */
  _Atomic int64_t deadline_ns;
  hf_error error; /* of the first that failed */
  worker_result workers[HF_CLI_BENCH_WRITERS];
} shared;

typedef struct worker {
  const hf_cli_bench_step *step;
  shared *shared;
  hf_store *store;
  hf_cli_bench_piece *pieces; /* one, or HF_BATCH_MAX */
  hf_save_request *requests;
  hf_saved *saved;
  unsigned index;
} worker;

static int64_t now_ns(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void nap(void) {
  struct timespec time = {.tv_nsec = NAP_NS};
  (void)nanosleep(&time, NULL);
}

static void fail(shared *s, const hf_error *error) {
  if (atomic_exchange(&s->failed, 1) == 0)
    s->error = *error;
}

static void fail_plainly(shared *s, hf_status code, const char *message) {
  hf_error error = {.code = code};
  (void)snprintf(error.message, sizeof error.message, "%s", message);
  fail(s, &error);
}

/* ---- latencies ---- */

static size_t bucket_of(int64_t ns) {
  uint64_t value = ns > 0 ? (uint64_t)ns : 0;
  unsigned shift = 0;
  while (value >> shift >= 2 * STEPS)
    shift++;
  size_t bucket = value < STEPS ? (size_t)value : shift * STEPS + (size_t)(value >> shift);
  return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

/* The middle of it. */
static double bucket_us(size_t bucket) {
  if (bucket < 2 * STEPS)
    return ((double)bucket + 0.5) / 1e3;
  unsigned shift = (unsigned)(bucket / STEPS) - 1;
  return ((double)(bucket - shift * STEPS) + 0.5) * (double)(UINT64_C(1) << shift) / 1e3;
}

static double quantile_us(const shared *s, double share) {
  uint64_t all = 0;
  uint64_t below = 0;
  for (size_t w = 0; w < HF_CLI_BENCH_WRITERS; w++)
    for (size_t b = 0; b < BUCKETS; b++)
      all += s->workers[w].buckets[b];
  for (size_t b = 0; b < BUCKETS; b++) {
    for (size_t w = 0; w < HF_CLI_BENCH_WRITERS; w++)
      below += s->workers[w].buckets[b];
    if (below > 0 && (double)below >= share * (double)all)
      return bucket_us(b);
  }
  return 0;
}

/* ---- what a worker does ---- */

static void make_batch(worker *w, uint64_t first) {
  for (size_t i = 0; i < HF_BATCH_MAX; i++) {
    hf_cli_bench_piece_make(&w->pieces[i], first + i);
    w->requests[i] = w->pieces[i].request;
  }
}

static int open_and_ask(const worker *w, const hf_key *key, hf_record **ret_record,
                        hf_error *reterr) {
  hf_open_options options = {.config = w->step->config, .purpose = "bench"};
  hf_store *store = NULL;
  int status = hf_open(w->step->store, &options, &store, reterr);
  if (status == HF_OK)
    status = hf_prev(store, key, NULL, ret_record, reterr);
  hf_close(&store);
  return status;
}

/* One call, timed; what it is asked is made before. Answers what the library does. */
static int once(worker *w, uint64_t number, int64_t *ret_ns, hf_error *reterr) {
  hf_record *record = NULL;
  int status = HF_OK;
  if (w->step->work == HF_CLI_BENCH_BATCH)
    make_batch(w, number);
  else
    hf_cli_bench_piece_make(&w->pieces[0], number);
  const hf_save_request *request = &w->pieces[0].request;
  int64_t began = now_ns();
  switch (w->step->work) {
  case HF_CLI_BENCH_SAVE:
    status = hf_save(w->store, request, -1, w->saved, reterr);
    break;
  case HF_CLI_BENCH_BATCH:
    status = hf_save_batch(w->store, w->requests, HF_BATCH_MAX, -1, w->saved, reterr);
    break;
  case HF_CLI_BENCH_GET:
    status = hf_get(w->store, &request->key, 0, &record, reterr);
    break;
  case HF_CLI_BENCH_PREV:
    status = hf_prev(w->store, &request->key, NULL, &record, reterr);
    break;
  case HF_CLI_BENCH_OPEN:
    status = open_and_ask(w, &request->key, &record, reterr);
    break;
  }
  *ret_ns = now_ns() - began;
  int missing = (w->step->work == HF_CLI_BENCH_GET && status == 0) ||
                (w->step->work == HF_CLI_BENCH_SAVE && status == HF_OK && !w->saved->created);
  hf_record_free(&record);
  if (missing) {
    *reterr = (hf_error){.code = HF_EINTERNAL};
    (void)snprintf(reterr->message, sizeof reterr->message,
                   "snapshot %" PRIu64 " of the benchmark is not what was saved", number);
    return HF_EINTERNAL;
  }
  return status;
}

static int is_saving(const hf_cli_bench_step *step) {
  return step->work == HF_CLI_BENCH_SAVE || step->work == HF_CLI_BENCH_BATCH;
}

/* The documents to save are drawn from one counter; those to ask for, from all that are there. */
static int work_until_done(worker *w, worker_result *result, hf_error *reterr) {
  shared *s = w->shared;
  uint64_t each = w->step->work == HF_CLI_BENCH_BATCH ? HF_BATCH_MAX : 1;
  for (uint64_t turn = 0;; turn++) {
    int64_t ns = 0;
    int late = turn > 0 && now_ns() > atomic_load(&s->deadline_ns); /* each does one at least */
    if (late || atomic_load(&s->stop) || atomic_load(&s->failed) || hf_cli_signalled())
      return HF_OK;
    uint64_t number = turn * UINT64_C(2654435761) % (s->first > 0 ? s->first : 1);
    if (is_saving(w->step)) {
      number = atomic_fetch_add(&s->next, each);
      if (number - s->first + each > HF_CLI_BENCH_RECORDS_MAX) {
        (void)atomic_fetch_sub(&s->next, each);
        return HF_OK;
      }
    }
    int status = once(w, number, &ns, reterr);
    if (status < 0)
      return status;
    result->end_ns = now_ns();
    result->buckets[bucket_of(ns)]++;
    result->count += each;
  }
}

static void *worker_run(void *argument) {
  worker *w = argument;
  shared *s = w->shared;
  hf_error error = HF_ERROR_INIT;
  size_t count = w->step->work == HF_CLI_BENCH_BATCH ? HF_BATCH_MAX : 1;
  w->pieces = calloc(count, sizeof *w->pieces);
  w->requests = calloc(count, sizeof *w->requests);
  w->saved = calloc(count, sizeof *w->saved);
  if (w->pieces == NULL || w->requests == NULL || w->saved == NULL)
    fail_plainly(s, HF_ENOMEM, "out of memory");
  (void)atomic_fetch_add(&s->ready, 1);
  while (!atomic_load(&s->go) && !atomic_load(&s->failed) && !atomic_load(&s->stop))
    nap();
  if (!atomic_load(&s->failed) && work_until_done(w, &s->workers[w->index], &error) < 0)
    fail(s, &error);
  if (atomic_fetch_add(&s->finished, 1) + 1 == w->step->processes * w->step->threads)
    atomic_store(&s->counting, 0); /* what closing does is no save's */
  free(w->pieces);
  free(w->requests);
  free(w->saved);
  return NULL;
}

/* A child's whole life. */
static void process_run(const hf_cli_bench_step *step, shared *s, unsigned process) {
  worker workers[HF_CLI_BENCH_WRITERS];
  pthread_t threads[HF_CLI_BENCH_WRITERS];
  unsigned started = 1;
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  uint64_t head = 0;
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (step->count_flushes && hf_cli_bench_count(&s->counting, &s->flushes) != 0)
    atomic_store(&s->not_counted, 1);
  hf_open_options options = {.config = step->config, .purpose = "bench"};
  if (hf_open(step->store, &options, &store, &error) != HF_OK ||
      hf_head(store, &head, &error) != HF_OK)
    fail(s, &error);
  if (head < s->first)
    fail_plainly(s, HF_EINTERNAL, "saves of the benchmark that were acknowledged are gone");
  for (unsigned i = 0; i < step->threads; i++)
    workers[i] =
        (worker){.step = step, .shared = s, .store = store, .index = process * step->threads + i};
  while (started < step->threads && !atomic_load(&s->failed)) {
    if (pthread_create(&threads[started], NULL, worker_run, &workers[started]) == 0)
      started++;
    else
      fail_plainly(s, HF_ENOMEM, "cannot start a thread");
  }
  (void)worker_run(&workers[0]);
  for (unsigned i = 1; i < started; i++)
    (void)pthread_join(threads[i], NULL);
  hf_close(&store);
}

/* ---- the parent's part ---- */

/* Waits for the children to be ready, starts them, and waits for their end. */
static void conduct(const hf_cli_bench_step *step, shared *s, const pid_t *pids, unsigned count,
                    int64_t *ret_start_ns) {
  unsigned left = count;
  int started = 0;
  while (left > 0) {
    int status = 0;
    pid_t pid = waitpid(-1, &status, WNOHANG);
    for (unsigned i = 0; i < count && pid > 0; i++)
      if (pids[i] == pid) {
        left--;
        if (status != 0)
          fail_plainly(s, HF_EINTERNAL, "a process of the benchmark was killed");
      }
    if (!started && atomic_load(&s->ready) == step->processes * step->threads) {
      started = 1;
      *ret_start_ns = now_ns();
      atomic_store(&s->deadline_ns, *ret_start_ns + step->time_ms * 1000000);
      atomic_store(&s->counting, 1);
      atomic_store(&s->go, 1);
    }
    if (hf_cli_signalled())
      atomic_store(&s->stop, 1);
    if (pid <= 0)
      nap();
  }
}

static void summarise(const hf_cli_bench_step *step, const shared *s, int64_t start_ns,
                      hf_cli_bench_figures *ret_figures) {
  hf_cli_bench_figures f = {.flushes_each = -1};
  int64_t end_ns = start_ns + 1;
  for (size_t i = 0; i < HF_CLI_BENCH_WRITERS; i++) {
    f.count += s->workers[i].count;
    end_ns = s->workers[i].end_ns > end_ns ? s->workers[i].end_ns : end_ns;
  }
  f.per_s = (double)f.count / ((double)(end_ns - start_ns) / 1e9);
  f.median_us = quantile_us(s, 0.5);
  f.p99_us = quantile_us(s, 0.99);
  if (step->count_flushes && !s->not_counted && f.count > 0)
    f.flushes_each = (double)s->flushes / (double)f.count;
  *ret_figures = f;
}

int hf_cli_bench_run(const hf_cli_bench_step *step, uint64_t *next,
                     hf_cli_bench_figures *ret_figures, hf_error *reterr) {
  pid_t pids[HF_CLI_BENCH_WRITERS];
  unsigned started = 0;
  int64_t start_ns = 0;
  shared *s = mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (s == MAP_FAILED) {
    *reterr = (hf_error){.code = HF_ENOMEM, .sys_errno = errno};
    return HF_ENOMEM;
  }
  s->first = *next;
  atomic_store(&s->next, *next);
  for (; started < step->processes; started++) {
    pids[started] = fork();
    if (pids[started] == 0) {
      process_run(step, s, started);
      _exit(0);
    }
    if (pids[started] < 0) {
      fail_plainly(s, HF_EIO, "cannot start a process");
      break;
    }
  }
  conduct(step, s, pids, started, &start_ns);
  int status = HF_OK;
  if (hf_cli_signalled())
    status = HF_ECANCELLED;
  else if (s->failed)
    status = s->error.code;
  *reterr = s->error;
  if (status == HF_OK) {
    summarise(step, s, start_ns, ret_figures);
    *next = atomic_load(&s->next);
  }
  (void)munmap(s, sizeof *s);
  return status;
}
