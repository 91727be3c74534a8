/* The lock's deadline, in a build with the planted bugs: exits with 0 where the deadline is kept,
 * with 1 where it is not. HF_PLANT=IGNORE_DEADLINE must make it fail. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <holdfast/locker.h>

enum { WAIT_MS = 300, SLACK_MS = 1500 };

static int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void *open_locker(const hf_locker_ops *ops, const char *store) {
  hf_locker_open_args args = {.store_path = store,
                              .store_uuid = "11111111-2222-4333-8444-555555555555"};
  void *state = NULL;
  hf_error error = HF_ERROR_INIT;
  if (ops->open(&args, &state, &error) != 0) {
    fprintf(stderr, "open: %s: %s\n", error.place, error.message);
    exit(2);
  }
  return state;
}

/* Another process that holds the lock until its standing pipe is closed. */
static pid_t start_holder(const hf_locker_ops *ops, const char *store, int *ret_pipe) {
  int ready[2], stop[2];
  char byte = 0;
  if (pipe(ready) != 0 || pipe(stop) != 0)
    exit(2);
  pid_t pid = fork();
  if (pid == 0) {
    close(stop[1]);
    hf_grant grant = HF_GRANT_INIT;
    void *state = open_locker(ops, store);
    if (ops->acquire(state, "lock", now_ms() + 10000, &grant, NULL) != 1)
      _exit(2);
    if (write(ready[1], &byte, 1) != 1)
      _exit(2);
    (void)!read(stop[0], &byte, 1);
    _exit(0);
  }
  close(stop[0]);
  close(ready[1]);
  if (read(ready[0], &byte, 1) != 1)
    exit(2);
  close(ready[0]);
  *ret_pipe = stop[1];
  return pid;
}

static int wait_for_it(const hf_locker_ops *ops, const char *store, int64_t timeout_ms) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  void *state = open_locker(ops, store);
  int64_t began_ms = now_ms();
  int got = ops->acquire(state, "lock", began_ms + timeout_ms, &grant, &error);
  int64_t waited_ms = now_ms() - began_ms;
  ops->close(&state);
  printf("deadline after %d ms: answer %d (%s) after %d ms\n", (int)timeout_ms, got, error.message,
         (int)waited_ms);
  return got == 0 && waited_ms >= timeout_ms && waited_ms <= timeout_ms + SLACK_MS;
}

int main(void) {
  const hf_locker_ops *ops = hf_locker_find("flock");
  char store[] = "/tmp/hf-deadline-XXXXXX", lock[64];
  int stop = -1, status = 0;
  if (mkdtemp(store) == NULL)
    return 2;
  pid_t holder = start_holder(ops, store, &stop);
  int kept = wait_for_it(ops, store, WAIT_MS);
  kept = wait_for_it(ops, store, 0) && kept;
  close(stop);
  (void)waitpid(holder, &status, 0);
  (void)snprintf(lock, sizeof lock, "%s/lock", store);
  (void)unlink(lock);
  (void)rmdir(store);
  puts(kept ? "the deadline is kept" : "THE DEADLINE IS IGNORED");
  return kept ? 0 : 1;
}
