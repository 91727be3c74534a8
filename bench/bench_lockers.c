/* Lockers side by side: writers that take turns, with and without a store behind.
 *
 *     bench_lockers --mode turns --locker flock|redis|poll:MS --writers N --seconds S [--port P]
 * [--hold-us U] bench_lockers --mode saves --locker flock|redis         --writers N --seconds S
 * [--port P] --dir DIR
 *
 * turns: N processes acquire and release, holding the lock for hold-us. saves: N processes save 2
 * KB documents into one store. Prints one JSON line: the rate, and for turns the hand-over: from
 * the instant at which the holder calls release to the next one's grant, median and 99th percentile
 * of those grants that somebody waited for.
 *
 * poll:MS is what many programs do: SET key random NX PX lease, and a sleep of MS between two
 * tries; a script that compares and deletes. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <hiredis/hiredis.h>
#include <holdfast/holdfast.h>

#include "document.h"

enum { WRITERS_MAX = 64, SAMPLES_MAX = 200000, TEXT_BYTES = 512, LEASE_MS = 10000 };

typedef struct shared {
  atomic_int ready;
  atomic_int go;
  atomic_int stop;
  atomic_ullong turns;
  _Atomic int64_t released_ns; /* when the last holder called release */
  atomic_uint samples;
  int64_t sample_ns[SAMPLES_MAX];
} shared;

static shared *all;

static struct {
  const char *mode;
  const char *locker;
  const char *dir;
  unsigned writers;
  unsigned seconds;
  unsigned port;
  unsigned hold_us;
} options = {.mode = "turns", .locker = "redis", .dir = ".", .writers = 1, .seconds = 2};

static _Noreturn void fail(const char *what, const char *why) {
  (void)fprintf(stderr, "bench_lockers: %s: %s\n", what, why);
  exit(1);
}

static int64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void sleep_us(int64_t us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  if (us > 0)
    (void)nanosleep(&time, NULL);
}

/* ---- the polling client ---- */

typedef struct poller {
  redisContext *context;
  char value[32];
  int64_t pause_us;
} poller;

static poller poller_open(void) {
  poller one = {.context = redisConnect("127.0.0.1", (int)options.port)};
  if (one.context == NULL || one.context->err != 0)
    fail("redis", one.context != NULL ? one.context->errstr : "no memory");
  (void)snprintf(one.value, sizeof one.value, "%d", (int)getpid());
  one.pause_us = 1000 * strtol(options.locker + strlen("poll:"), NULL, 10);
  return one;
}

/* 1: somebody else had it first. */
static int poller_acquire(poller *one) {
  for (int waited = 0;; waited = 1) {
    redisReply *reply =
        redisCommand(one->context, "SET bench:lock %s NX PX %d", one->value, LEASE_MS);
    if (reply == NULL)
      fail("redis", one->context->errstr);
    int granted = reply->type == REDIS_REPLY_STATUS;
    freeReplyObject(reply);
    if (granted)
      return waited;
    if (atomic_load(&all->stop))
      exit(0);
    sleep_us(one->pause_us);
  }
}

static void poller_release(poller *one) {
  static const char script[] = "if redis.call('GET', KEYS[1]) == ARGV[1] then return "
                               "redis.call('DEL', KEYS[1]) end return 0";
  freeReplyObject(redisCommand(one->context, "EVAL %s 1 bench:lock %s", script, one->value));
}

/* ---- turns ---- */

static void wait_for_start(void) {
  atomic_fetch_add(&all->ready, 1);
  while (!atomic_load(&all->go))
    sleep_us(500);
}

static void note_grant(int64_t asked_ns, int64_t granted_ns) {
  int64_t released_ns = atomic_load(&all->released_ns);
  if (released_ns <= asked_ns) /* it was free, or given back before anybody waited */
    return;
  unsigned at = atomic_fetch_add(&all->samples, 1);
  if (at < SAMPLES_MAX)
    all->sample_ns[at] = granted_ns - released_ns;
}

static void *open_locker(const hf_locker_ops *ops) {
  char json[TEXT_BYTES];
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  (void)snprintf(json, sizeof json, "{\"url\":\"redis://127.0.0.1:%u\",\"lease_ms\":%d}",
                 options.port, LEASE_MS);
  hf_locker_open_args args = {.store_path = options.dir,
                              .store_uuid = "11111111-2222-4333-8444-555555555555",
                              .options_json = options.port != 0 ? json : NULL};
  if (ops->open(&args, &state, &error) != HF_OK)
    fail("open", error.message);
  return state;
}

static void turns_by_poller(void) {
  poller one = poller_open();
  wait_for_start();
  while (!atomic_load(&all->stop)) {
    int64_t asked_ns = now_ns();
    (void)poller_acquire(&one);
    note_grant(asked_ns, now_ns());
    sleep_us(options.hold_us);
    atomic_fetch_add(&all->turns, 1);
    atomic_store(&all->released_ns, now_ns());
    poller_release(&one);
  }
  redisFree(one.context);
}

static void turns(void) {
  if (strncmp(options.locker, "poll:", strlen("poll:")) == 0) {
    turns_by_poller();
    return;
  }
  const hf_locker_ops *ops = hf_locker_find(options.locker);
  if (ops == NULL)
    fail(options.locker, "no such locker");
  void *state = open_locker(ops);
  wait_for_start();
  while (!atomic_load(&all->stop)) {
    hf_grant grant = HF_GRANT_INIT;
    hf_error error = HF_ERROR_INIT;
    int64_t asked_ns = now_ns();
    if (ops->acquire(state, "lock", asked_ns / 1000000 + 60000, &grant, &error) != 1)
      fail("acquire", error.message);
    note_grant(asked_ns, now_ns());
    sleep_us(options.hold_us);
    atomic_fetch_add(&all->turns, 1);
    atomic_store(&all->released_ns, now_ns());
    (void)ops->release(state, &grant, 0, NULL);
  }
  ops->close(&state);
}

/* ---- saves ---- */

static void store_path(char path[TEXT_BYTES]) {
  (void)snprintf(path, TEXT_BYTES, "%s/store", options.dir);
}

static hf_config *config(void) {
  char path[TEXT_BYTES + 16];
  hf_config *loaded = NULL;
  hf_error error = HF_ERROR_INIT;
  (void)snprintf(path, sizeof path, "%s/config.json", options.dir);
  FILE *file = fopen(path, "w");
  if (file == NULL)
    fail(path, strerror(errno));
  if (options.port != 0)
    (void)fprintf(file, "{\"lockers\":{\"redis\":{\"url\":\"redis://127.0.0.1:%u\"}}}",
                  options.port);
  else
    (void)fputs("{}", file);
  (void)fclose(file);
  if (hf_config_load(path, &loaded, &error) != HF_OK)
    fail(path, error.message);
  return loaded;
}

/* The configuration is loaded once: the writers are forked behind it. */
static hf_config *make_store(void) {
  char path[TEXT_BYTES];
  hf_error error = HF_ERROR_INIT;
  hf_config *loaded = config();
  store_path(path);
  /* in the mode that all lockers have */
  hf_init_options made = {.config = loaded, .locker = options.locker, .mode = "publish"};
  if (hf_init(path, &made, NULL, &error) != HF_OK)
    fail(path, error.message);
  return loaded;
}

static void saves(const hf_config *loaded, unsigned number) {
  char path[TEXT_BYTES];
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  static hf_bench_document document;
  store_path(path);
  if (hf_open(path, &(hf_open_options){.config = loaded}, &store, &error) != HF_OK)
    fail(path, error.message);
  wait_for_start();
  for (uint64_t i = 0; !atomic_load(&all->stop); i++) {
    hf_bench_document_make((uint64_t)number * 10000000 + i, &document);
    hf_save_request request = {.key = {.run_id = document.run_id, .stage = document.stage},
                               .group = document.group,
                               .doc = document.text,
                               .doc_bytes = document.text_bytes};
    if (hf_save(store, &request, 60000, NULL, &error) != HF_OK)
      fail("save", error.message);
    atomic_fetch_add(&all->turns, 1);
  }
  hf_close(&store);
}

/* ---- the whole ---- */

static int compare(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

static void print_line(double seconds) {
  unsigned count = atomic_load(&all->samples);
  count = count < SAMPLES_MAX ? count : SAMPLES_MAX;
  qsort(all->sample_ns, count, sizeof all->sample_ns[0], compare);
  (void)printf("{\"mode\":\"%s\",\"locker\":\"%s\",\"writers\":%u,\"turns\":%llu,\"per_s\":%.1f,"
               "\"handovers\":%u,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
               options.mode, options.locker, options.writers,
               (unsigned long long)atomic_load(&all->turns),
               (double)atomic_load(&all->turns) / seconds, count,
               count > 0 ? (double)all->sample_ns[count / 2] / 1000 : 0,
               count > 0 ? (double)all->sample_ns[count - 1 - count / 100] / 1000 : 0);
}

static void read_options(int argc, char **argv) {
  const struct {
    const char *name;
    const char **text;
    unsigned *number;
  } known[] = {{"--mode", &options.mode, NULL},       {"--locker", &options.locker, NULL},
               {"--dir", &options.dir, NULL},         {"--writers", NULL, &options.writers},
               {"--seconds", NULL, &options.seconds}, {"--port", NULL, &options.port},
               {"--hold-us", NULL, &options.hold_us}};
  for (int i = 1; i + 1 < argc; i += 2) {
    size_t at = 0;
    while (at < sizeof known / sizeof known[0] && strcmp(argv[i], known[at].name) != 0)
      at++;
    if (at == sizeof known / sizeof known[0])
      fail(argv[i], "no such option");
    if (known[at].text != NULL)
      *known[at].text = argv[i + 1];
    else
      *known[at].number = (unsigned)strtoul(argv[i + 1], NULL, 10);
  }
  if (options.writers < 1 || options.writers > WRITERS_MAX || options.seconds < 1)
    fail("--writers, --seconds", "1 to 64 writers, at least a second");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  int with_store = strcmp(options.mode, "saves") == 0;
  all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED)
    fail("mmap", strerror(errno));
  hf_config *loaded = with_store ? make_store() : NULL;
  for (unsigned i = 0; i < options.writers; i++) {
    pid_t pid = fork();
    if (pid < 0)
      fail("fork", strerror(errno));
    if (pid == 0) {
      if (with_store)
        saves(loaded, i);
      else
        turns();
      exit(0);
    }
  }
  while ((unsigned)atomic_load(&all->ready) < options.writers) {
    if (waitpid(-1, NULL, WNOHANG) > 0)
      fail("a writer", "has ended before the start");
    sleep_us(1000);
  }
  int64_t began_ns = now_ns();
  atomic_store(&all->go, 1);
  sleep_us((int64_t)options.seconds * 1000000);
  double seconds = (double)(now_ns() - began_ns) / 1e9;
  uint64_t done = atomic_load(&all->turns);
  atomic_store(&all->stop, 1);
  int status = 0, failed = 0;
  while (wait(&status) > 0)
    failed = failed || status != 0;
  atomic_store(&all->turns, done);
  print_line(seconds);
  hf_config_free(&loaded);
  return failed;
}
