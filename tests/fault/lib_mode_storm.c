/* Processes that are killed while the locker is changed. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_mode.h"

enum {
  WRITERS = 8,
  SETTERS = 2,
  PROCESSES = WRITERS + SETTERS,
  THREADS = 2, /* of every other writer */
  KILLS = 40,
  SAVES = 1500,
  CHANGES_MIN = 30,
  SECONDS_MAX = 200,
  TIMEOUT_MS = 120000,
  PAUSE_US_MAX = 4000,
};

static const char *const lockers[] = {"beta", "none", "alpha"};
static struct {
  hf_store *store;
  uint64_t number;
} me;

static int is_over(void) {
  return atomic_load(&mode_all->next) >= SAVES && atomic_load(&mode_all->changes) >= CHANGES_MIN;
}

static void *write_on(void *argument) {
  (void)argument;
  while (!is_over() && atomic_load(&mode_all->next) < MODE_SAVES_MAX - PROCESSES)
    mode_save_next(me.store, TIMEOUT_MS);
  return NULL;
}

_Noreturn static void writer(const char *path) {
  pthread_t other;
  me.store = fault_open(path);
  int has_other = me.number % 2 == 0;
  if (has_other)
    FAULT_CHECK(pthread_create(&other, NULL, write_on, NULL) == 0, "no thread");
  (void)write_on(NULL);
  if (has_other)
    (void)pthread_join(other, NULL);
  hf_close(&me.store);
  _exit(0);
}

_Noreturn static void setter(const char *path) {
  hf_set_locker_options options = {.timeout_ms = TIMEOUT_MS};
  fault_random random = {me.number * 7919};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  me.store = fault_open(path);
  while (!is_over()) {
    const char *scheme = lockers[fault_below(&random, sizeof lockers / sizeof lockers[0])];
    int changed = hf_set_locker(me.store, scheme, &options, &seq, &error);
    fault_must(changed, &error, "hf_set_locker");
    atomic_fetch_add(&mode_all->changes, (uint64_t)changed);
    fault_sleep_us((int64_t)fault_below(&random, PAUSE_US_MAX));
  }
  hf_close(&me.store);
  _exit(0);
}

static pid_t start(const char *path, unsigned place) {
  static uint64_t started;
  uint64_t number = started++;
  (void)fflush(stdout);
  pid_t pid = fork();
  FAULT_CHECK(pid >= 0, "cannot fork: %s", strerror(errno));
  if (pid != 0)
    return pid;
  me.number = number;
  if (place < WRITERS)
    writer(path);
  setter(path);
}

static void kill_all(const pid_t *pids) {
  for (unsigned i = 0; i < PROCESSES; i++)
    if (pids[i] > 0)
      (void)kill(pids[i], SIGKILL);
}

/* One that was killed is replaced. 1 while any is left. */
static int reap(const char *path, pid_t *pids) {
  int left = 0;
  for (unsigned i = 0; i < PROCESSES; i++) {
    int status = 0;
    if (pids[i] > 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
      pids[i] = 0;
      if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        pids[i] = start(path, i);
      else if (status != 0) {
        kill_all(pids);
        fault_fail("process %u ended with status 0x%x", i, (unsigned)status);
      }
    }
    left |= pids[i] > 0;
  }
  return left;
}

void mode_storm(const char *path) {
  pid_t pids[PROCESSES];
  fault_random random = {20};
  unsigned kills = 0;
  int64_t until_us = fault_now_us() + (int64_t)SECONDS_MAX * 1000000;
  for (unsigned i = 0; i < PROCESSES; i++)
    pids[i] = start(path, i);
  while (reap(path, pids)) {
    uint64_t done = atomic_load(&mode_all->next);
    if (kills < KILLS && done * KILLS >= (uint64_t)kills * SAVES && !is_over()) {
      pid_t victim = pids[fault_below(&random, PROCESSES)];
      fault_sleep_us((int64_t)fault_below(&random, 2000));
      if (victim > 0)
        (void)kill(victim, SIGKILL);
      kills++;
    }
    if (fault_now_us() > until_us) {
      kill_all(pids);
      fault_fail("%llu saves and %llu changes in %d seconds: something hangs",
                 (unsigned long long)done, (unsigned long long)atomic_load(&mode_all->changes),
                 SECONDS_MAX);
    }
    fault_sleep_us(500);
  }
  FAULT_CHECK(kills == KILLS, "only %u were killed", kills);
}
