/* One host's part of a run that several hosts have at once (bench/nfs starts it on each).
 *
 *     bench_shared --peer holdfast|sqlite --dir DIR [--locker L] [--config FILE] [--journal MODE]
 *                  (--prepare N | [--threads 1] --writers N --seconds S --first NUMBER)
 *
 * prepare: makes the store with N documents, which it saves by batches (SQLite: in one
 * transaction), and prints the time of it without what making the documents took. writers: N
 * processes (--threads 1: threads of one process, which share a handle) save, one document a call,
 * those from NUMBER on, for S seconds. Prints one JSON object: how many documents, in which time,
 * and the median and the 99th percentile of a save. */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

enum { WRITERS_MAX = 64, SAMPLES_MAX = 100000, NUMBERS_EACH = 1000000 };

typedef struct shared {
  atomic_uint ready;
  atomic_int go;
  atomic_uint saves;
  int32_t sample_us[SAMPLES_MAX];
} shared;

static shared *all;

static struct {
  const char *peer;
  const char *dir;
  const char *prepare;
  unsigned writers;
  unsigned seconds;
  unsigned first;
  unsigned threads;
} options = {.writers = 1, .seconds = 5};

static _Noreturn void fail(const char *what, const char *why) {
  (void)fprintf(stderr, "bench_shared: %s: %s\n", what, why);
  exit(1);
}

static int64_t now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_us(long us) {
  struct timespec time = {us / 1000000, us % 1000000 * 1000};
  (void)nanosleep(&time, NULL);
}

static const hf_bench_peer *find_peer(void) {
  if (options.peer != NULL && strcmp(options.peer, "holdfast") == 0)
    return &hf_bench_publish;
  if (options.peer != NULL && strcmp(options.peer, "sqlite") == 0)
    return &hf_bench_sqlite;
  fail("--peer", "holdfast or sqlite");
}

static void prepare(const hf_bench_peer *peer) {
  char error[HF_BENCH_TEXT_BYTES_MAX];
  unsigned long long count = strtoull(options.prepare, NULL, 10);
  int64_t began_us = now_us();
  if (strcmp(peer->name, "sqlite") == 0 && mkdir(options.dir, 0777) != 0 && errno != EEXIST)
    fail(options.dir, strerror(errno));
  if (peer->prepare(options.dir, count, 0, error) != 0)
    fail("prepare", error);
  (void)printf("{\"saves\":%llu,\"seconds\":%.6f}\n", count,
               (double)(now_us() - began_us - hf_bench_making_us) / 1e6);
}

static void write_documents(const hf_bench_peer *peer, void *state, unsigned writer) {
  char error[HF_BENCH_TEXT_BYTES_MAX];
  hf_bench_document document;
  atomic_fetch_add(&all->ready, 1);
  while (!atomic_load(&all->go))
    sleep_us(1000);
  int64_t until_us = now_us() + (int64_t)options.seconds * 1000000;
  uint64_t number = options.first + (uint64_t)writer * NUMBERS_EACH;
  for (int64_t began_us = now_us(); began_us < until_us; number++) {
    hf_bench_document_make(number, &document);
    if (peer->save(state, &document, error) != 0)
      fail("save", error);
    int64_t ended_us = now_us();
    unsigned slot = atomic_fetch_add(&all->saves, 1);
    if (slot < SAMPLES_MAX)
      all->sample_us[slot] = (int32_t)(ended_us - began_us);
    began_us = ended_us;
  }
}

static void *open_peer(const hf_bench_peer *peer) {
  char error[HF_BENCH_TEXT_BYTES_MAX];
  void *state = NULL;
  if (peer->open(options.dir, &state, error) != 0)
    fail("open", error);
  return state;
}

static _Noreturn void run_process(const hf_bench_peer *peer, unsigned writer) {
  void *state = open_peer(peer);
  write_documents(peer, state, writer);
  peer->close(&state);
  _exit(0);
}

typedef struct thread {
  pthread_t id;
  const hf_bench_peer *peer;
  void *state;
  unsigned writer;
} thread;

static void *run_thread(void *argument) {
  const thread *mine = argument;
  write_documents(mine->peer, mine->state, mine->writer);
  return NULL;
}

/* All in a process of their own, so that what counts is the same. */
static _Noreturn void run_threads(const hf_bench_peer *peer) {
  thread threads[WRITERS_MAX];
  void *state = open_peer(peer);
  for (unsigned i = 0; i < options.writers; i++) {
    threads[i] = (thread){.peer = peer, .state = state, .writer = i};
    if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0)
      fail("threads", "cannot be started");
  }
  for (unsigned i = 0; i < options.writers; i++)
    (void)pthread_join(threads[i].id, NULL);
  peer->close(&state);
  _exit(0);
}

static int compare(const void *a, const void *b) {
  int32_t x = *(const int32_t *)a;
  int32_t y = *(const int32_t *)b;
  return x < y ? -1 : x > y;
}

static void work(const hf_bench_peer *peer) {
  all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED)
    fail("mmap", strerror(errno));
  unsigned processes = options.threads && peer->one_handle ? 1 : options.writers;
  for (unsigned i = 0; i < processes; i++) {
    pid_t pid = fork();
    if (pid < 0)
      fail("fork", strerror(errno));
    if (pid == 0 && options.threads && peer->one_handle)
      run_threads(peer);
    if (pid == 0)
      run_process(peer, i);
  }
  while (atomic_load(&all->ready) < options.writers)
    sleep_us(1000);
  int64_t began_us = now_us();
  atomic_store(&all->go, 1);
  for (unsigned i = 0; i < processes; i++) {
    int status = 0;
    if (wait(&status) < 0 || status != 0)
      fail("a writer", "has failed");
  }
  double seconds = (double)(now_us() - began_us) / 1e6;
  unsigned saves = atomic_load(&all->saves);
  unsigned samples = saves < SAMPLES_MAX ? saves : SAMPLES_MAX;
  qsort(all->sample_us, samples, sizeof all->sample_us[0], compare);
  (void)printf("{\"saves\":%u,\"seconds\":%.6f,\"p50_us\":%d,\"p99_us\":%d}\n", saves, seconds,
               samples > 0 ? all->sample_us[samples / 2] : 0,
               samples > 0 ? all->sample_us[(size_t)samples * 99 / 100] : 0);
}

static void read_options(int argc, char **argv) {
  const struct {
    const char *name;
    const char **text;
    unsigned *number;
  } known[] = {{"--peer", &options.peer, NULL},       {"--dir", &options.dir, NULL},
               {"--prepare", &options.prepare, NULL}, {"--locker", &hf_bench_locker, NULL},
               {"--config", &hf_bench_config, NULL},  {"--journal", &hf_bench_sqlite_journal, NULL},
               {"--writers", NULL, &options.writers}, {"--seconds", NULL, &options.seconds},
               {"--threads", NULL, &options.threads}, {"--first", NULL, &options.first}};
  for (int i = 1; i < argc; i += 2) {
    size_t at = 0;
    while (at < sizeof known / sizeof known[0] && strcmp(argv[i], known[at].name) != 0)
      at++;
    if (at == sizeof known / sizeof known[0] || i + 1 == argc)
      fail(argv[i], "no such option, or no value");
    if (known[at].text != NULL)
      *known[at].text = argv[i + 1];
    else
      *known[at].number = (unsigned)strtoul(argv[i + 1], NULL, 10);
  }
  if (options.dir == NULL || options.writers < 1 || options.writers > WRITERS_MAX)
    fail("options", "--dir is needed, and 1 to 64 writers");
}

int main(int argc, char **argv) {
  read_options(argc, argv);
  const hf_bench_peer *peer = find_peer();
  if (options.prepare != NULL)
    prepare(peer);
  else
    work(peer);
  return 0;
}
