/* Safety under processes: 16 processes save 4,000 times in all, a quarter of them and more are
 * killed by SIGKILL at random instants (half of these at a step of a commit: right after the link,
 * before the mark ...) and replaced, some are stopped for a while, two readers are at work
 * meanwhile; in every other run the writers pack by themselves, in half of these a packer as well.
 * At the end:
 *
 *     every acknowledged save is there, once, at its seq, with the very same document
 *     what was not acknowledged is there or not, never twice; what was refused is not there
 *     seqs are dense, an id stands at one seq, real-time order is kept (I4), conditions held
 *     resolve told the truth; readers saw what was acknowledged, and never two records at one seq
 *     verify finds no damage
 *
 *     storm [--locker flock|none|journal|flips] [--seed N] [--seeds N] [--processes N] [--saves N]
 * [--fsync 0|1]
 *
 * Without --locker none, flock and flock in journal mode take turns; in every fifth run ("flips")
 * the store's locker is changed between the two again and again, by records in the log. --fsync 1:
 * every seed with real fsyncs (else every fourth). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_storm.h"

enum { PROCESSES_MAX = 64, READERS = 2, OTHERS = READERS + 2, SECONDS_MAX = 300, STOPS = 4 };

typedef struct process {
  pid_t pid; /* 0: it is done */
  int is_stopped;
} process;

static struct {
  char path[FAULT_PATH_BYTES];
  process writers[PROCESSES_MAX];
  process readers[OTHERS]; /* and a packer, and one who changes the locker */
  uint64_t started;        /* writers, replacements too */
  size_t killed;
  size_t stopped;
  fault_random random;
  uint64_t kill_at[PROCESSES_MAX]; /* the ops at which the parent kills one */
  size_t kills;
  size_t kills_done;
  size_t steps_left; /* processes that are to end themselves at a step */
} parent;

static void make_shared_memory(void) {
  size_t ops = storm_now.saves + STORM_BATCH_MAX;
  size_t seqs = 2 * storm_now.saves + 1024;
  size_t bytes = sizeof *storm_all + ops * sizeof(storm_op) + (seqs + 1) * sizeof(uint64_t);
  char *all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(all != MAP_FAILED, "no shared memory: %s", strerror(errno));
  storm_all = (storm_shared *)(void *)all;
  storm_all->ops = (storm_op *)(void *)(all + sizeof *storm_all);
  storm_all->shown = (_Atomic uint64_t *)(void *)(storm_all->ops + ops);
  storm_all->ops_max = ops;
  storm_all->seqs_max = seqs;
}

static void free_shared_memory(void) {
  size_t bytes = sizeof *storm_all + storm_all->ops_max * sizeof(storm_op) +
                 (storm_all->seqs_max + 1) * sizeof(uint64_t);
  (void)munmap(storm_all, bytes);
}

static pid_t start(void) {
  (void)fflush(stdout);
  pid_t pid = fork();
  FAULT_CHECK(pid >= 0, "cannot fork: %s", strerror(errno));
  return pid;
}

static void start_writer(process *one) {
  uint64_t number = parent.started++;
  unsigned threads = number % 4 == 0 ? 3 : 1;
  storm_step step = STORM_NO_STEP;
  unsigned countdown = 0;
  if (parent.steps_left > 0 && fault_below(&parent.random, 2) == 0) {
    parent.steps_left--;
    step = (storm_step)(1 + fault_below(&parent.random, STORM_STEPS - 1));
    countdown = 1 + (unsigned)fault_below(&parent.random, 60);
  }
  one->is_stopped = 0;
  one->pid = start();
  if (one->pid == 0)
    storm_write(parent.path, number, threads, step, countdown);
}

static void start_readers(void) {
  for (unsigned i = 0; i < READERS; i++) {
    parent.readers[i].pid = start();
    if (parent.readers[i].pid == 0)
      storm_read(parent.path, i);
  }
  parent.readers[READERS].pid = 0;
  parent.readers[READERS + 1].pid = 0;
  if (storm_now.flips) {
    parent.readers[READERS + 1].pid = start();
    if (parent.readers[READERS + 1].pid == 0)
      storm_flip(parent.path);
  }
  if (storm_now.packs && storm_now.seed % 2 == 0) { /* else the writers are alone with it */
    parent.readers[READERS].pid = start();
    if (parent.readers[READERS].pid == 0)
      storm_pack(parent.path, 0);
  }
}

static void end_all(void) {
  for (unsigned i = 0; i < storm_now.processes; i++)
    if (parent.writers[i].pid != 0)
      (void)kill(parent.writers[i].pid, SIGKILL);
  for (unsigned i = 0; i < OTHERS; i++)
    if (parent.readers[i].pid != 0)
      (void)kill(parent.readers[i].pid, SIGKILL);
  while (wait(NULL) > 0)
    continue;
}

/* A process ended. A killed one is replaced; one that failed has said why. */
static void take_end(process *one, int status, int is_writer) {
  one->pid = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
    return;
  if (is_writer && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    parent.killed++;
    if (parent.killed >= parent.kills)
      atomic_store(&storm_all->killed_enough, 1);
    start_writer(one);
    return;
  }
  end_all();
  if (WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT_FAILED)
    exit(FAULT_EXIT_FAILED);
  fault_fail("a process ended with status 0x%x", (unsigned)status);
}

static void reap(void) {
  int status = 0;
  pid_t ended;
  while ((ended = waitpid(-1, &status, WNOHANG)) > 0) {
    for (unsigned i = 0; i < storm_now.processes; i++)
      if (parent.writers[i].pid == ended)
        take_end(&parent.writers[i], status, 1);
    for (unsigned i = 0; i < OTHERS; i++)
      if (parent.readers[i].pid == ended)
        take_end(&parent.readers[i], status, 0);
  }
}

static process *any_writer(void) {
  process *one = &parent.writers[fault_below(&parent.random, storm_now.processes)];
  return one->pid != 0 && !one->is_stopped ? one : NULL;
}

static void kill_some(void) {
  uint64_t at = atomic_load(&storm_all->next);
  if (parent.kills_done == parent.kills) {
    /* one may have ended by itself right before it was killed */
    if (at < STORM_LAST_TENTH(storm_now.saves) || atomic_load(&storm_all->killed_enough))
      return;
  } else if (at < parent.kill_at[parent.kills_done]) {
    return;
  }
  process *one = any_writer();
  if (one == NULL)
    return;
  fault_sleep_us((int64_t)fault_below(&parent.random, 2000));
  (void)kill(one->pid, SIGKILL);
  if (parent.kills_done < parent.kills)
    parent.kills_done++;
}

/* One is stopped for a while: a holder of the lock that sleeps, a writer that is overtaken. */
static void stop_some(process **stopped, int64_t *until_us) {
  if (*stopped != NULL && fault_now_us() >= *until_us) {
    if ((*stopped)->pid != 0)
      (void)kill((*stopped)->pid, SIGCONT);
    (*stopped)->is_stopped = 0;
    *stopped = NULL;
  }
  if (*stopped != NULL || fault_below(&parent.random, 40) != 0)
    return;
  process *one = any_writer();
  if (one == NULL)
    return;
  (void)kill(one->pid, SIGSTOP);
  one->is_stopped = 1;
  parent.stopped++;
  *stopped = one;
  *until_us = fault_now_us() + (int64_t)fault_below(&parent.random, 30000);
}

static int are_writers_left(void) {
  for (unsigned i = 0; i < storm_now.processes; i++)
    if (parent.writers[i].pid != 0)
      return 1;
  return 0;
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

static void plan_kills(void) {
  parent.kills = (storm_now.processes + 3) / 4;
  parent.steps_left = (storm_now.processes + 3) / 4;
  for (size_t i = 0; i < parent.kills; i++)
    parent.kill_at[i] = fault_below(&parent.random, STORM_LAST_TENTH(storm_now.saves) + 1);
  qsort(parent.kill_at, parent.kills, sizeof parent.kill_at[0], compare);
}

static void storm(void) {
  process *stopped = NULL;
  int64_t until_us = 0;
  int64_t deadline_us = fault_now_us() + (int64_t)SECONDS_MAX * 1000000;
  plan_kills();
  for (unsigned i = 0; i < storm_now.processes; i++)
    start_writer(&parent.writers[i]);
  start_readers();
  while (are_writers_left()) {
    reap();
    kill_some();
    stop_some(&stopped, &until_us);
    if (fault_now_us() > deadline_us) {
      end_all();
      fault_fail("%llu of %llu saves in %d seconds: something hangs",
                 (unsigned long long)atomic_load(&storm_all->next),
                 (unsigned long long)storm_now.saves, SECONDS_MAX);
    }
    fault_sleep_us(500);
  }
  atomic_store(&storm_all->done, 1);
  for (unsigned i = 0; i < OTHERS; i++) {
    int status = 0;
    if (parent.readers[i].pid != 0 && waitpid(parent.readers[i].pid, &status, 0) > 0)
      take_end(&parent.readers[i], status, 0);
  }
}

static uint64_t count_tiles(void) {
  char mark[FAULT_PATH_BYTES];
  struct stat st;
  fault_path(mark, parent.path, "tile/mark");
  FAULT_CHECK(stat(mark, &st) == 0, "no tile/mark");
  return (uint64_t)st.st_size;
}

static void run_seed(void) {
  storm_result result;
  int64_t start_us = fault_now_us();
  memset(&parent, 0, sizeof parent);
  parent.random.state = storm_now.seed;
  fault_context("seed %llu, %s", (unsigned long long)storm_now.seed, storm_now.locker);
  fault_path(parent.path, fault_folder(), "store");
  int journal = strcmp(storm_now.locker, "journal") == 0;
  fault_init_in(parent.path, storm_now.flips || journal ? "flock" : storm_now.locker,
                journal ? "journal" : "publish");
  make_shared_memory();
  storm();
  int64_t check_us = fault_now_us();
  storm_check(parent.path, &result);
  FAULT_CHECK(!storm_now.flips || atomic_load(&storm_all->flips) >= STORM_FLIPS_MIN,
              "only %llu changes of locker", (unsigned long long)atomic_load(&storm_all->flips));
  uint64_t tiles = count_tiles();
  FAULT_CHECK(!storm_now.packs || tiles > 0, "nobody has packed");
  FAULT_CHECK(parent.killed * 4 >= storm_now.processes, "only %zu were killed", parent.killed);
  (void)printf(
      "storm seed %llu %-5s: %zu killed, %zu stopped; %zu records: %zu acknowledged; %zu found, "
      "%zu conflicts, %zu ended, %zu late, %zu resolved; %zu unanswered, %zu of them there; "
      "%llu reads, %llu tiles, %llu flips; %.1f s + %.1f s\n",
      (unsigned long long)storm_now.seed, storm_now.locker, parent.killed, parent.stopped,
      result.records, result.acknowledged, result.found, result.conflicts, result.ended,
      result.late, result.resolved, result.unanswered, result.unanswered_there,
      (unsigned long long)atomic_load(&storm_all->reads), (unsigned long long)tiles,
      (unsigned long long)atomic_load(&storm_all->flips), (double)(check_us - start_us) / 1e6,
      (double)(fault_now_us() - check_us) / 1e6);
  (void)fflush(stdout);
  free_shared_memory();
  fault_remove_tree(parent.path);
}

int main(int argc, char **argv) {
  const char *locker = fault_option_text(argc, argv, "--locker", NULL);
  uint64_t first = fault_option(argc, argv, "--seed", 1);
  uint64_t seeds = fault_option(argc, argv, "--seeds", 20);
  uint64_t real = fault_option(argc, argv, "--fsync", 0);
  storm_now.saves = fault_option(argc, argv, "--saves", 4000);
  storm_now.processes = (unsigned)fault_option(argc, argv, "--processes", 16);
  FAULT_CHECK(storm_now.processes >= 1 && storm_now.processes <= PROCESSES_MAX &&
                  storm_now.saves >= 1,
              "1 to %d processes, at least one save", PROCESSES_MAX);
  for (uint64_t seed = first; seed < first + seeds; seed++) {
    storm_now.seed = seed;
    storm_now.locker = locker != NULL                                      ? locker
                       : seed % 5 == 3                                     ? "flips"
                       : seed % 2 == 1                                     ? "none"
                       : seed % 4 == 0 && getenv("HF_TEST_SHARED") == NULL ? "journal"
                                                                           : "flock";
    storm_now.flips = strcmp(storm_now.locker, "flips") == 0;
    storm_now.is_fast = !real && seed % 5 != 0;
    storm_now.packs = seed % 8 >= 4 || HF_TILE_RECORDS < 256;
    run_seed();
  }
  (void)printf("storm: %llu seeds of %llu saves by %u processes\n", (unsigned long long)seeds,
               (unsigned long long)storm_now.saves, storm_now.processes);
  return 0;
}
