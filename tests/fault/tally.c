/* What writers count, in stats/: exact, only rising, and never in the way of a save.
 *
 *     tally [--case NAME]
 *
 *   between  another handle comes between the read and the write of one that adds
 *   again    a handle that adds twice
 *   flipped  a bit of the file has changed
 *   failing  each call of an addition fails in turn, with each error: the save is done all the same
 *   stopped  who holds the lock of stats/ is stopped for good
 *   killed   writers that are killed at any instant
 *   forked   a child closes its copy of the handle
 *   rising   a reader looks all the time while processes and threads save */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/stats.h>

#include "lib.h"
#include "lib_table.h"

enum {
  SAVES = 20,
  WRITERS = 4,
  THREADS = 3,
  CALLS_MAX = 50,
  WAIT_US_MAX = 1000000,
  KILLS = 15,
};

static char path[FAULT_PATH_BYTES];

static void begin(void) {
  fault_path(path, fault_folder_in_memory(), "store");
  fault_remove_tree(path);
  fault_init_in(path, "flock", "journal");
}

static void save(hf_store *store, const char *who, unsigned number) {
  char run[64];
  hf_error err = HF_ERROR_INIT;
  hf_saved saved;
  (void)snprintf(run, sizeof run, "%s-%u", who, number);
  hf_save_request request = {
      .key = {.run_id = run, .stage = "s"}, .doc = "{}", .doc_bytes = strlen("{}")};
  fault_must(hf_save(store, &request, -1, &saved, &err), &err, "hf_save");
}

static hf_host_stats total(hf_store *store, uint64_t *ret_unread) {
  hf_writer_stats *stats = NULL;
  hf_error err = HF_ERROR_INIT;
  fault_must(hf_get_writer_stats(store, &stats, &err), &err, "hf_get_writer_stats");
  hf_host_stats sum = stats->total;
  if (ret_unread != NULL)
    *ret_unread = stats->unread;
  hf_writer_stats_free(&stats);
  return sum;
}

static hf_host_stats total_now(uint64_t *ret_unread) {
  hf_store *store = fault_open(path);
  hf_host_stats sum = total(store, ret_unread);
  hf_close(&store);
  return sum;
}

static void check(uint64_t handles, uint64_t saves) {
  uint64_t unread = 0;
  hf_host_stats sum = total_now(&unread);
  FAULT_CHECK(unread == 0, "%u files cannot be read", (unsigned)unread);
  FAULT_CHECK(sum.handles == handles && sum.counted.saves == saves,
              "%u handles and %u saves are told, %u and %u there were", (unsigned)sum.handles,
              (unsigned)sum.counted.saves, (unsigned)handles, (unsigned)saves);
}

static int is_tally(const fault_call *call) {
  return call->fd >= 0 && strstr(path, "/store") != NULL &&
         (fault_fd_ends_in(call->fd, "/store/stats") ||
          (call->name != NULL && strcmp(call->name, "stats") == 0));
}

/* The one file of stats/. */
static void file_of(char name[FAULT_PATH_BYTES]) {
  char command[FAULT_PATH_BYTES + 32];
  (void)snprintf(command, sizeof command, "ls %s/stats", path);
  FILE *list = popen(command, "r");
  char line[64] = "";
  FAULT_CHECK(list != NULL && fgets(line, sizeof line, list) != NULL, "stats/ is empty");
  (void)pclose(list);
  line[strcspn(line, "\n")] = '\0';
  (void)snprintf(name, FAULT_PATH_BYTES, "%.400s/stats/%s", path, line);
}

/* ---- between ---- */

static hf_store *other;

static void come_between(void *context, fault_call *call) {
  (void)context;
  if (other == NULL || call->kind != FAULT_PWRITE || call->count != 256 || call->offset != 0)
    return;
  hf_store *now = other;
  other = NULL;
  save(now, "between", 1);
  other = now;
}

static void run_between(void) {
  static const fault_hooks hooks = {.before = come_between};
  begin();
  hf_store *store = fault_open(path);
  other = fault_open(path);
  fault_table_install(&hooks);
  save(store, "first", 1);
  fault_table_remove();
  hf_close(&store);
  hf_close(&other);
  check(2, 2);
}

/* ---- again ---- */

static void run_again(void) {
  begin();
  hf_store *store = fault_open(path);
  for (unsigned i = 0; i < SAVES; i++)
    save(store, "r", i);
  hf_close(&store);
  check(1, SAVES);
}

/* ---- flipped ---- */

static void run_flipped(void) {
  char name[FAULT_PATH_BYTES];
  char bytes[256];
  begin();
  hf_store *store = fault_open(path);
  save(store, "r", 1);
  hf_close(&store);
  file_of(name);
  for (off_t at = 8; at < (off_t)sizeof bytes; at += 31) {
    int fd = open(name, O_RDWR | O_CLOEXEC);
    FAULT_CHECK(pread(fd, bytes, sizeof bytes, 0) == sizeof bytes, "the file cannot be read");
    bytes[at] ^= 16;
    FAULT_CHECK(pwrite(fd, bytes, sizeof bytes, 0) == sizeof bytes, "the file cannot be written");
    store = fault_open(path);
    save(store, "flipped", (unsigned)at);
    hf_close(&store);
    uint64_t unread = 0;
    hf_host_stats sum = total_now(&unread);
    FAULT_CHECK(unread == 1 && sum.handles == 0, "byte %d is wrong, and %u saves are told of",
                (int)at, (unsigned)sum.counted.saves);
    bytes[at] ^= 16;
    FAULT_CHECK(pwrite(fd, bytes, sizeof bytes, 0) == sizeof bytes, "the file cannot be written");
    (void)close(fd);
  }
  check(1, 1);
}

/* ---- failing ---- */

static unsigned seen;
static unsigned fails_at;
static int fails_with;

static void fail_one(void *context, fault_call *call) {
  (void)context;
  int is_file = call->kind == FAULT_PWRITE && call->count == 256;
  if ((!is_file && !is_tally(call)) || ++seen != fails_at)
    return;
  if (call->kind == FAULT_CLOSE || call->kind == FAULT_CLOSEDIR)
    return;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = fails_with;
}

static void run_failing(void) {
  static const fault_hooks hooks = {.before = fail_one};
  static const int errors[] = {ENOSPC, EDQUOT, EROFS, EACCES, EIO, ESTALE, EMFILE, EWOULDBLOCK};
  unsigned calls = 0;
  for (size_t e = 0; e < sizeof errors / sizeof errors[0]; e++)
    for (fails_at = 1; fails_at < CALLS_MAX; fails_at++) {
      fault_context("call %u of an addition fails with %s", fails_at, strerror(errors[e]));
      begin();
      fails_with = errors[e];
      hf_store *store = fault_open(path);
      seen = 0;
      fault_table_install(&hooks);
      save(store, "r", 1);
      save(store, "r", 2);
      hf_close(&store);
      fault_table_remove();
      hf_host_stats sum = total_now(NULL);
      FAULT_CHECK(sum.counted.saves <= 2 && sum.handles <= 1, "%u saves are told of",
                  (unsigned)sum.counted.saves);
      fault_verify(path);
      calls = seen;
      if (seen < fails_at)
        break;
    }
  FAULT_CHECK(calls >= 4, "an addition makes %u calls only", calls);
}

/* ---- stopped ---- */

static void run_stopped(void) {
  char folder[FAULT_PATH_BYTES];
  begin();
  fault_path(folder, path, "stats");
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  FAULT_CHECK(fd >= 0 && flock(fd, LOCK_EX) == 0, "stats/ cannot be locked");
  int64_t began_us = fault_now_us();
  hf_store *store = fault_open(path);
  for (unsigned i = 0; i < SAVES; i++)
    save(store, "r", i);
  hf_close(&store);
  FAULT_CHECK(fault_now_us() - began_us < WAIT_US_MAX, "saves wait for who holds stats/");
  check(0, 0);
  (void)close(fd);
  store = fault_open(path);
  save(store, "s", 1);
  hf_close(&store);
  check(1, 1);
}

/* ---- killed ---- */

static void save_until_killed(int to, unsigned seed) {
  hf_store *store = fault_open(path);
  char who[32];
  (void)snprintf(who, sizeof who, "killed-%u", seed);
  for (unsigned i = 0;; i++) {
    save(store, who, i);
    if (write(to, "x", 1) != 1)
      _exit(0);
  }
}

static void run_killed(void) {
  uint64_t acknowledged = 0;
  fault_random random = {7};
  begin();
  for (unsigned i = 0; i < KILLS; i++) {
    int ends[2];
    char bytes[4096];
    FAULT_CHECK(pipe2(ends, O_CLOEXEC) == 0, "no pipe");
    pid_t pid = fork();
    if (pid == 0) {
      (void)close(ends[0]);
      save_until_killed(ends[1], i);
    }
    (void)close(ends[1]);
    ssize_t got = read(ends[0], bytes, 1); /* it has saved once, and added that */
    FAULT_CHECK(got == 1, "the writer has ended by itself");
    fault_sleep_us((int64_t)fault_below(&random, 20000));
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
    for (; got > 0; got = read(ends[0], bytes, sizeof bytes))
      acknowledged += (uint64_t)got;
    (void)close(ends[0]);
    hf_host_stats sum = total_now(NULL);
    FAULT_CHECK(sum.handles == i + 1, "of %u writers that were killed %u are told of", i + 1,
                (unsigned)sum.handles);
    FAULT_CHECK(sum.counted.saves >= i + 1 && sum.counted.saves <= acknowledged + i + 1,
                "%u saves are told of, %u were acknowledged", (unsigned)sum.counted.saves,
                (unsigned)acknowledged);
  }
  fault_verify(path);
}

/* ---- forked ---- */

static void run_forked(void) {
  begin();
  hf_store *store = fault_open(path);
  save(store, "r", 1);
  save(store, "r", 2); /* not added yet */
  pid_t pid = fork();
  if (pid == 0) {
    hf_close(&store);
    _exit(0);
  }
  fault_wait_all(&pid, 1);
  check(1, 1);
  hf_close(&store);
  check(1, 2);
}

/* ---- rising ---- */

static hf_store *shared;

static void *save_in_thread(void *context) {
  char who[64];
  (void)snprintf(who, sizeof who, "t-%ld-%d", (long)getpid(), *(int *)context);
  for (unsigned i = 0; i < SAVES; i++)
    save(shared, who, i);
  return NULL;
}

static void write_in_process(void) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  for (unsigned round = 0; round < 3; round++) {
    shared = fault_open(path);
    for (int i = 0; i < THREADS; i++) {
      numbers[i] = (int)round * THREADS + i;
      FAULT_CHECK(pthread_create(&threads[i], NULL, save_in_thread, &numbers[i]) == 0, "no thread");
    }
    for (int i = 0; i < THREADS; i++)
      (void)pthread_join(threads[i], NULL);
    hf_close(&shared);
  }
}

static void rises(uint64_t before, uint64_t now, const char *what) {
  FAULT_CHECK(now >= before, "%s fell from %llu to %llu", what, (unsigned long long)before,
              (unsigned long long)now);
}

static void run_rising(void) {
  pid_t pids[WRITERS];
  hf_host_stats before = {.handles = 0};
  begin();
  for (int i = 0; i < WRITERS; i++) {
    pids[i] = fork();
    if (pids[i] == 0) {
      write_in_process();
      exit(0);
    }
  }
  hf_store *store = fault_open(path);
  for (unsigned looks = 0; looks < 2000; looks++) {
    uint64_t unread = 0;
    hf_host_stats now = total(store, &unread);
    FAULT_CHECK(unread == 0, "a file that is being written cannot be read");
    rises(before.handles, now.handles, "handles");
    rises(before.counted.saves, now.counted.saves, "saves");
    rises(before.counted.flushes, now.counted.flushes, "flushes");
    rises(before.counted.lock_waits, now.counted.lock_waits, "lock_waits");
    rises(before.counted.lock_wait_us, now.counted.lock_wait_us, "lock_wait_us");
    rises(before.counted.lock_wait_us_max, now.counted.lock_wait_us_max, "lock_wait_us_max");
    before = now;
  }
  hf_close(&store);
  fault_wait_all(pids, WRITERS);
  check(WRITERS * 3, WRITERS * 3 * THREADS * SAVES);
  hf_host_stats sum = total_now(NULL);
  FAULT_CHECK(sum.counted.lock_waits > 0 && sum.counted.lock_wait_us > 0 &&
                  sum.counted.lock_wait_us_max <= sum.counted.lock_wait_us,
              "nobody has waited");
  fault_verify(path);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"between", run_between}, {"again", run_again},     {"flipped", run_flipped},
               {"failing", run_failing}, {"stopped", run_stopped}, {"killed", run_killed},
               {"forked", run_forked},   {"rising", run_rising}};
  const char *only = fault_option_text(argc, argv, "--case", NULL);
  int ran = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    if (only == NULL || strcmp(only, cases[i].name) == 0) {
      fault_context("%s", cases[i].name);
      cases[i].run();
      ran++;
      printf("%s: as it should be\n", cases[i].name);
      (void)fflush(stdout);
    }
  return ran > 0 ? 0 : FAULT_EXIT_USAGE;
}
