#include "flock_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"

char store[64];
const hf_locker_ops *flocker;

void make_store(void) {
  snprintf(store, sizeof store, "/tmp/hf-flock-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(store));
  flocker = hf_locker_find("flock");
}

void remove_store(void) {
  char command[128];
  snprintf(command, sizeof command, "rm -rf %s", store);
  ck_assert_int_eq(system(command), 0);
}

void *open_state(void) {
  hf_locker_open_args args = {.store_path = store, .store_uuid = "", .purpose = "testing"};
  void *state = NULL;
  ck_assert_int_eq(flocker->open(&args, &state, NULL), 0);
  return state;
}

const char *lock_path(void) {
  static char path[80];
  snprintf(path, sizeof path, "%s/lock", store);
  return path;
}

uint64_t turn(void *state) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  int got = flocker->acquire(state, "lock", hf_deadline_ms(5000), &grant, &error);
  ck_assert_msg(got == 1, "%s: %s", error.place, error.message);
  ck_assert_int_eq(flocker->release(state, &grant, 0, NULL), 1);
  return grant.token;
}

void write_lock_file(const char *text, size_t count) {
  int fd = open(lock_path(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, count), (ssize_t)count);
  ck_assert_int_eq(close(fd), 0);
}

pid_t start_holder(void) {
  int ready[2];
  char byte = 0;
  ck_assert_int_eq(pipe(ready), 0);
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    hf_grant grant = HF_GRANT_INIT;
    void *state = open_state();
    if (flocker->acquire(state, "lock", hf_deadline_ms(5000), &grant, NULL) == 1)
      (void)!write(ready[1], &byte, 1);
    alarm(60);
    for (;;)
      pause();
  }
  ck_assert_int_eq(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  return pid;
}

void end_holder(pid_t pid) {
  ck_assert_int_eq(kill(pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

int run_suite(const char *name, TCase *tcase) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, make_store, remove_store);
  Suite *suite = suite_create(name);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
