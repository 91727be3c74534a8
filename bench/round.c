/* The writers are children of this process, which itself opens no store (a handle does not survive
 * fork). They meet at `go`, draw the numbers of their documents from one counter, so that nobody is
 * idle before the end, and stay until the parent has read the flush counters, so that what close()
 * does is not counted. */
#include "round.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  WRITERS_MAX = HF_BENCH_PROCESSES_MAX * HF_BENCH_THREADS_MAX,
  POLL_US = 1000,
  ROUND_TRIPS = 201,
  START_WAIT_MS_MAX = 300 * 1000,
  END_WAIT_MS_MAX = 300 * 1000,
  PATH_BYTES = 4096
};

typedef struct writer_result {
  uint64_t saves;
  int64_t open_us;
  int64_t end_ns;
  int64_t user_us;
  int64_t system_us;
} writer_result;

/* Seen by all processes of a round. */
typedef struct shared {
  atomic_uint ready;
  atomic_uint finished;
  atomic_int go;
  atomic_int leave;
  atomic_int failed;
  _Atomic uint64_t next;
  _Atomic int64_t deadline_ns;
  double round_trip_us;
  char error[HF_BENCH_TEXT_BYTES_MAX]; /* of the first that failed */
  writer_result writers[WRITERS_MAX];
  uint32_t *latency_us;         /* of save number i, of limits->saves */
  hf_bench_document *documents; /* made before the start: they cost the round nothing */
} shared;

typedef struct writer {
  const hf_bench_case *one;
  const hf_bench_limits *limits;
  const char *folder;
  shared *shared;
  void *state; /* NULL: opens its own */
  unsigned index;
} writer;

static int64_t now_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void nap(void) {
  struct timespec t = {.tv_nsec = POLL_US * 1000};
  (void)nanosleep(&t, NULL);
}

static void fail(shared *s, const char *text) {
  if (!atomic_exchange(&s->failed, 1)) {
    (void)snprintf(s->error, sizeof s->error, "%s", text);
  }
}

static int64_t timeval_us(struct timeval t) {
  return (int64_t)t.tv_sec * 1000000 + t.tv_usec;
}

static int save_until_done(const writer *w, void *state, writer_result *result, char *error) {
  shared *s = w->shared;
  for (;;) {
    uint64_t i = atomic_fetch_add(&s->next, 1);
    int64_t begin = now_ns();
    if (i >= w->limits->saves || begin > atomic_load(&s->deadline_ns) || atomic_load(&s->failed)) {
      return 0;
    }
    if (w->one->peer->save(state, &s->documents[i], error) < 0) {
      return -1;
    }
    result->end_ns = now_ns();
    s->latency_us[i] = (uint32_t)((result->end_ns - begin) / 1000);
    result->saves++;
  }
}

static int compare_u32(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

/* Before the start, by the only writer that there is. */
static int ask_round_trips(const writer *w, void *state, char *error) {
  uint32_t ns[ROUND_TRIPS];
  if (w->one->peer->round_trip == NULL || w->one->processes * w->one->threads > 1) {
    return 0;
  }
  for (int i = 0; i < ROUND_TRIPS; i++) {
    int64_t begin = now_ns();
    if (w->one->peer->round_trip(state, error) < 0) {
      return -1;
    }
    ns[i] = (uint32_t)(now_ns() - begin);
  }
  qsort(ns, ROUND_TRIPS, sizeof ns[0], compare_u32);
  w->shared->round_trip_us = ns[ROUND_TRIPS / 2] / 1e3;
  return 0;
}

static void *writer_run(void *argument) {
  writer *w = argument;
  shared *s = w->shared;
  writer_result *result = &s->writers[w->index];
  char error[HF_BENCH_TEXT_BYTES_MAX] = "";
  void *state = w->state;
  int64_t begin = now_ns();
  if (!state && w->one->peer->open(w->folder, &state, error) < 0) {
    fail(s, error);
    return NULL;
  }
  result->open_us += (now_ns() - begin) / 1000;
  if (ask_round_trips(w, state, error) < 0) {
    fail(s, error);
  }
  (void)atomic_fetch_add(&s->ready, 1);
  while (!atomic_load(&s->go) && !atomic_load(&s->failed)) {
    nap();
  }
  struct rusage before, after;
  (void)getrusage(RUSAGE_THREAD, &before);
  if (save_until_done(w, state, result, error) < 0) {
    fail(s, error);
  }
  (void)getrusage(RUSAGE_THREAD, &after);
  result->user_us = timeval_us(after.ru_utime) - timeval_us(before.ru_utime);
  result->system_us = timeval_us(after.ru_stime) - timeval_us(before.ru_stime);
  (void)atomic_fetch_add(&s->finished, 1);
  while (!atomic_load(&s->leave) && !atomic_load(&s->failed)) {
    nap();
  }
  if (!w->state) {
    w->one->peer->close(&state);
  }
  return NULL;
}

static void process_run(const hf_bench_case *one, const hf_bench_limits *limits, const char *folder,
                        shared *s, unsigned process) {
  writer writers[HF_BENCH_THREADS_MAX];
  pthread_t threads[HF_BENCH_THREADS_MAX];
  char error[HF_BENCH_TEXT_BYTES_MAX] = "";
  void *state = NULL;
  unsigned started = 0;
  int64_t begin = now_ns();
  if (one->peer->one_handle && one->peer->open(folder, &state, error) < 0) {
    fail(s, error);
    return;
  }
  s->writers[process * one->threads].open_us = (now_ns() - begin) / 1000;
  for (; started < one->threads; started++) {
    writers[started] = (writer){.one = one,
                                .limits = limits,
                                .folder = folder,
                                .shared = s,
                                .state = state,
                                .index = process * one->threads + started};
    if (started > 0 && pthread_create(&threads[started], NULL, writer_run, &writers[started])) {
      fail(s, "cannot start a thread");
      break;
    }
  }
  (void)writer_run(&writers[0]);
  for (unsigned i = 1; i < started; i++) {
    (void)pthread_join(threads[i], NULL);
  }
  if (state) {
    one->peer->close(&state);
  }
}

/* Waits until *counter is `wanted`; a child that ends before is a failure. */
static int wait_for(shared *s, atomic_uint *counter, unsigned wanted, int64_t wait_ms_max) {
  int64_t until = now_ns() + wait_ms_max * 1000000;
  while (atomic_load(counter) < wanted && !atomic_load(&s->failed)) {
    siginfo_t info = {0};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
      fail(s, "a writer ended before its time");
    } else if (now_ns() > until) {
      fail(s, "the writers take too long");
    } else {
      nap();
    }
  }
  return atomic_load(&s->failed) ? -1 : 0;
}

static int prepare(const hf_bench_case *one, const hf_bench_limits *limits, const char *folder,
                   char error[HF_BENCH_TEXT_BYTES_MAX]) {
  void (*skip_flushes)(void) = NULL;
  void *symbol = dlsym(RTLD_DEFAULT, "hf_flushcount_skip");
  memcpy(&skip_flushes, &symbol, sizeof symbol);
  if (skip_flushes) {
    skip_flushes(); /* of this child; sync() follows before the start */
  }
  return one->peer->prepare(folder, limits->history, limits->history_singly, error);
}

typedef void (*flush_read_fn)(uint64_t counts[HF_FLUSH_KINDS]);

static flush_read_fn flush_reader(void) {
  flush_read_fn read_counts = NULL;
  void *symbol = dlsym(RTLD_DEFAULT, "hf_flushcount_read");
  memcpy(&read_counts, &symbol, sizeof symbol);
  return read_counts;
}

static void summarise(const hf_bench_case *one, shared *s, int64_t start_ns, uint64_t saves_max,
                      hf_bench_result *r) {
  int64_t end_ns = start_ns + 1, user_us = 0, system_us = 0;
  for (unsigned i = 0; i < one->processes * one->threads; i++) {
    const writer_result *w = &s->writers[i];
    r->saves += w->saves;
    user_us += w->user_us;
    system_us += w->system_us;
    end_ns = w->end_ns > end_ns ? w->end_ns : end_ns;
    r->open_ms = (double)w->open_us / 1e3 > r->open_ms ? (double)w->open_us / 1e3 : r->open_ms;
  }
  uint64_t n = r->saves < saves_max ? r->saves : saves_max;
  r->seconds = (double)(end_ns - start_ns) / 1e9;
  r->saves_per_s = (double)r->saves / r->seconds;
  r->round_trip_us = s->round_trip_us;
  if (n > 0) {
    qsort(s->latency_us, n, sizeof s->latency_us[0], compare_u32);
    r->p50_us = s->latency_us[n / 2];
    r->p99_us = s->latency_us[n - 1 - n / 100];
    r->max_us = s->latency_us[n - 1];
    r->user_us = (double)user_us / (double)r->saves;
    r->system_us = (double)system_us / (double)r->saves;
  }
}

/* The parent's part between the start and the end. */
static int conduct(const hf_bench_case *one, const hf_bench_limits *limits, shared *s,
                   hf_bench_result *r) {
  unsigned writers = one->processes * one->threads;
  uint64_t before[HF_FLUSH_KINDS] = {0};
  flush_read_fn read_counts = flush_reader();
  if (wait_for(s, &s->ready, writers, START_WAIT_MS_MAX) < 0) {
    return -1;
  }
  sync(); /* what was prepared or removed before costs this round nothing */
  if (read_counts) {
    read_counts(before);
  }
  int64_t start_ns = now_ns();
  atomic_store(&s->deadline_ns, start_ns + (int64_t)limits->time_max_ms * 1000000);
  atomic_store(&s->go, 1);
  if (wait_for(s, &s->finished, writers, END_WAIT_MS_MAX) < 0) {
    return -1;
  }
  if (read_counts) {
    read_counts(r->flushes);
    r->has_flushes = 1;
    for (int i = 0; i < HF_FLUSH_KINDS; i++) {
      r->flushes[i] -= before[i];
    }
  }
  atomic_store(&s->leave, 1);
  summarise(one, s, start_ns, limits->saves, r);
  return 0;
}

/* Prepares, or where `expected` is not 0 checks the number of documents. In a child: this process
 * opens no store. */
static int in_child(const hf_bench_case *one, const hf_bench_limits *limits, const char *folder,
                    shared *s, uint64_t expected) {
  pid_t pid = fork();
  if (pid == 0) {
    char error[HF_BENCH_TEXT_BYTES_MAX] = "";
    uint64_t count = 0;
    int result = expected == 0 ? prepare(one, limits, folder, error)
                               : one->peer->count(folder, &count, error);
    if (result == 0 && expected != 0 && count != expected) {
      (void)snprintf(error, sizeof error, "%s: %llu documents, %llu expected", one->peer->name,
                     (unsigned long long)count, (unsigned long long)expected);
      result = -1;
    }
    if (result < 0) {
      fail(s, error);
    }
    _exit(result < 0 ? 1 : 0);
  }
  int status = 0;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
    fail(s, "a child failed");
    return -1;
  }
  return 0;
}

static int start_and_conduct(const hf_bench_case *one, const hf_bench_limits *limits,
                             const char *folder, shared *s, hf_bench_result *r) {
  pid_t pids[HF_BENCH_PROCESSES_MAX];
  unsigned started = 0;
  for (; started < one->processes; started++) {
    pids[started] = fork();
    if (pids[started] == 0) {
      (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* without a parent nobody would tell it to leave */
      process_run(one, limits, folder, s, started);
      _exit(0);
    }
    if (pids[started] < 0) {
      fail(s, "cannot start a process");
      break;
    }
  }
  int result = conduct(one, limits, s, r);
  for (unsigned i = 0; i < started; i++) {
    int status = 0;
    if (result < 0) {
      (void)kill(pids[i], SIGKILL);
    }
    if (waitpid(pids[i], &status, 0) != pids[i] || (result == 0 && status != 0)) {
      fail(s, "a writer ended badly");
      result = -1;
    }
  }
  return result;
}

static size_t shared_bytes(const hf_bench_limits *limits) {
  return sizeof(shared) + limits->saves * (sizeof(uint32_t) + sizeof(hf_bench_document));
}

static shared *shared_make(const hf_bench_limits *limits) {
  shared *s =
      mmap(NULL, shared_bytes(limits), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (s == MAP_FAILED) {
    return NULL;
  }
  s->documents = (void *)(s + 1);
  s->latency_us = (void *)(s->documents + limits->saves);
  for (uint64_t i = 0; i < limits->saves; i++) {
    hf_bench_document_make(limits->history + i, &s->documents[i]);
  }
  return s;
}

int hf_bench_round(const hf_bench_case *one, const hf_bench_limits *limits, const char *parent,
                   hf_bench_result *ret_result, char error[HF_BENCH_TEXT_BYTES_MAX]) {
  char folder[PATH_BYTES];
  int n = snprintf(folder, sizeof folder, "%s/round-XXXXXX", parent);
  if (n < 0 || (size_t)n >= sizeof folder || !mkdtemp(folder)) {
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "cannot make a folder in %.400s", parent);
    return -1;
  }
  shared *s = shared_make(limits);
  if (!s) {
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "no memory: %s", strerror(errno));
    (void)rmdir(folder);
    return -1;
  }
  hf_bench_result r = {0};
  int result = one->peer->start == NULL ? 0 : one->peer->start(folder, s->error);
  int started = result == 0 && one->peer->stop != NULL;
  if (result == 0) {
    result = in_child(one, limits, folder, s, 0);
  }
  if (result == 0) {
    result = start_and_conduct(one, limits, folder, s, &r);
  }
  if (result == 0 && limits->history + r.saves > 0) {
    result = in_child(one, limits, folder, s, limits->history + r.saves);
  }
  if (started) {
    one->peer->stop();
  }
  if (result < 0) {
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "%s", s->error);
  } else {
    *ret_result = r;
  }
  (void)munmap(s, shared_bytes(limits));
  return result;
}
