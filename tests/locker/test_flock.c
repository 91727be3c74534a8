/* What is particular to flock: the file, its one line, the system calls, and what stands in the
 * file's place. */
#include "flock_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "sys.h"

/* ---- system calls, counted and failed by a table --------------------------------------------- */

static int calls;
static int fail_errno;
static int (*fails)(int operation);

static int counted_flock(int fd, int operation) {
  calls++;
  if (fail_errno != 0 && (fails == NULL || fails(operation))) {
    errno = fail_errno;
    return -1;
  }
  return flock(fd, operation);
}

static int counted_openat(int dirfd, const char *name, int flags, mode_t mode) {
  calls++;
  return openat(dirfd, name, flags, mode);
}

static int counted_close(int fd) {
  calls++;
  return close(fd);
}

static ssize_t counted_pread(int fd, void *bytes, size_t count, off_t offset) {
  calls++;
  return pread(fd, bytes, count, offset);
}

static int pwrite_errno;

static ssize_t counted_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  calls++;
  if (pwrite_errno != 0) {
    errno = pwrite_errno;
    return -1;
  }
  return pwrite(fd, bytes, count, offset);
}

static int counted_fstat(int fd, struct stat *st) {
  calls++;
  return fstat(fd, st);
}

static int counted_fstatat(int dirfd, const char *name, struct stat *st, int flags) {
  calls++;
  return fstatat(dirfd, name, st, flags);
}

static int counted_fsync(int fd) {
  calls += 1000000; /* there must be none */
  return fsync(fd);
}

static hf_sys_table counting;

static void use_counting_table(void) {
  counting = hf_sys_real;
  counting.flock = counted_flock;
  counting.openat = counted_openat;
  counting.close = counted_close;
  counting.pread = counted_pread;
  counting.pwrite = counted_pwrite;
  counting.fstat = counted_fstat;
  counting.fstatat = counted_fstatat;
  counting.fsync = counted_fsync;
  hf_sys = &counting;
}

START_TEST(an_uncontended_turn_is_cheap) {
  void *state = open_state();
  use_counting_table();
  (void)turn(state);
  printf("first turn: %d system calls on the store\n", calls);
  ck_assert_int_le(calls, 9);
  calls = 0;
  for (int i = 0; i < 100; i++)
    (void)turn(state);
  printf("100 turns: %d system calls on the store\n", calls);
  ck_assert_int_eq(calls, 600);
  hf_sys = &hf_sys_real;
  int64_t began_us = hf_realtime_us();
  for (int i = 0; i < 2000; i++)
    (void)turn(state);
  printf("a turn takes %.1f us\n", (double)(hf_realtime_us() - began_us) / 2000);
  flocker->close(&state);
}
END_TEST

static void refused_with(int sys_errno, int code, const char *words) {
  void *state = open_state();
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  hf_lock_holder holder;
  use_counting_table();
  fail_errno = sys_errno;
  ck_assert_int_eq(flocker->acquire(state, "lock", hf_deadline_ms(1000), &grant, &error), code);
  ck_assert_ptr_null(grant.hold);
  ck_assert_msg(strstr(error.message, words) != NULL, "'%s' lacks '%s'", error.message, words);
  ck_assert_int_eq(error.sys_errno, sys_errno);
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), code);
  ck_assert_int_eq(flocker->describe(state, "lock", &holder, NULL), code);
  fail_errno = 0;
  hf_sys = &hf_sys_real;
  (void)turn(state);
  flocker->close(&state);
}

START_TEST(errors_say_what_to_do) {
  refused_with(ENOLCK, HF_EBACKEND, "rpc.statd");
  refused_with(EOPNOTSUPP, HF_EBACKEND, "another locker");
  refused_with(ENOSYS, HF_EBACKEND, "-o flock");
  refused_with(EIO, HF_EBACKEND, "flock failed");
}
END_TEST

static int is_blocking(int operation) {
  return operation == LOCK_EX;
}

static int is_unlock(int operation) {
  return operation == LOCK_UN;
}

START_TEST(the_blocking_call_may_fail) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  pid_t holder = start_holder();
  void *state = open_state();
  use_counting_table();
  fails = is_blocking;
  const int errnos[] = {ENOLCK, EIO, EINTR};
  for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
    fail_errno = errnos[i];
    int64_t began_ms = hf_monotonic_ms();
    ck_assert_int_eq(flocker->acquire(state, "lock", began_ms + 2000, &grant, &error), HF_EBACKEND);
    ck_assert_int_eq(error.sys_errno, errnos[i]);
    ck_assert_int_lt(hf_monotonic_ms() - began_ms, 1500);
  }
  fail_errno = 0;
  hf_sys = &hf_sys_real;
  end_holder(holder);
  (void)turn(state);
  flocker->close(&state);
}
END_TEST

/* A release whose unlock fails still frees the lock, and says that it is not sure. */
START_TEST(the_unlock_may_fail) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  void *state = open_state(), *other = open_state();
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 1);
  use_counting_table();
  fails = is_unlock;
  fail_errno = EIO;
  ck_assert_int_eq(flocker->release(state, &grant, 0, &error), HF_EIO);
  ck_assert_ptr_null(grant.hold);
  hf_sys = &hf_sys_real;
  (void)turn(other);
  flocker->close(&state);
  flocker->close(&other);
}
END_TEST

/* No space for the token: nobody holds the lock afterwards. */
START_TEST(the_line_may_fail) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  void *state = open_state(), *other = open_state();
  use_counting_table();
  pwrite_errno = ENOSPC;
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOSPC);
  ck_assert_ptr_null(grant.hold);
  hf_sys = &hf_sys_real;
  (void)turn(other);
  (void)turn(state);
  flocker->close(&state);
  flocker->close(&other);
}
END_TEST

/* ---- the file -------------------------------------------------------------------------------- */

START_TEST(the_line_is_readable) {
  char line[1024] = {0}, expected[64];
  void *state = open_state();
  uint64_t token = turn(state);
  int fd = open(lock_path(), O_RDONLY);
  ssize_t got = read(fd, line, sizeof line - 1);
  close(fd);
  ck_assert_int_eq(got, 512);
  ck_assert_int_eq(line[511], '\n');
  snprintf(expected, sizeof expected, "{\"token\":%" PRIu64 ",\"pid\":%d,", token, (int)getpid());
  ck_assert_msg(strncmp(line, expected, strlen(expected)) == 0, "%s", line);
  ck_assert_ptr_nonnull(strstr(line, "\"purpose\":\"testing\""));
  flocker->close(&state);
}
END_TEST

START_TEST(garbage_is_repaired) {
  char big[5000];
  memset(big, 'x', sizeof big);
  const struct {
    const char *text;
    size_t count;
    uint64_t at_least;
  } files[] = {
      {"", 0, 1},
      {"\0\0\0\0", 4, 1},
      {"not JSON at all\n", 16, 1},
      {big, sizeof big, 1},
      {"{\"token\":41,", 12, 42}, /* cut short, but the token stands */
      {"{\"token\":41", 11, 1},   /* is it 41 or 412? */
      {"{\"token\":99999999999999999999999,\"pid\":1}\n", 42, 1},
      {"{\"token\":-5,\"pid\":1}\n", 21, 1},
      {"{\"token\":1000,\"pid\":\"x\",\"host\":7}\n", 35, 1001},
  };
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    hf_lock_holder holder;
    hf_grant grant = HF_GRANT_INIT;
    write_lock_file(files[i].text, files[i].count);
    void *state = open_state(), *other = open_state();
    ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 1);
    ck_assert_msg(grant.token == files[i].at_least, "%zu: %" PRIu64, i, grant.token);
    ck_assert_int_eq(flocker->describe(other, "lock", &holder, NULL), 1);
    ck_assert_int_eq(holder.pid, getpid());
    write_lock_file(files[i].text, files[i].count); /* somebody's editor, while we hold it */
    ck_assert_int_eq(flocker->describe(other, "lock", &holder, NULL), 1);
    ck_assert_uint_gt(strlen(holder.text), 0);
    hf_grant busy = HF_GRANT_INIT;
    ck_assert_int_eq(flocker->acquire(other, "lock", 0, &busy, NULL), 0);
    ck_assert_int_eq(flocker->release(state, &grant, 0, NULL), 1);
    ck_assert_uint_gt(turn(state), files[i].at_least); /* what this state has seen does not fall */
    flocker->close(&state);
    flocker->close(&other);
  }
}
END_TEST

START_TEST(something_else_in_its_place) {
  hf_grant grant = HF_GRANT_INIT;
  hf_lock_holder holder;
  void *state = open_state();
  char outside[80];
  struct stat st;
  snprintf(outside, sizeof outside, "%s/outside", store);

  ck_assert_int_eq(symlink(outside, lock_path()), 0);
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ELOOP);
  ck_assert_int_eq(flocker->describe(state, "lock", &holder, NULL), HF_EIO);
  ck_assert_int_eq(flocker->break_lock(state, "lock", NULL), HF_EIO);
  ck_assert_int_ne(lstat(outside, &st), 0);
  ck_assert_int_eq(unlink(lock_path()), 0);

  ck_assert_int_eq(mkdir(lock_path(), 0777), 0);
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), HF_EIO);
  ck_assert_int_eq(rmdir(lock_path()), 0);

  ck_assert_int_eq(mkfifo(lock_path(), 0666), 0);
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, &error), HF_EIO);
  ck_assert_ptr_nonnull(strstr(error.message, "regular file"));
  ck_assert_int_eq(flocker->describe(state, "lock", &holder, NULL), HF_EIO);
  ck_assert_int_eq(unlink(lock_path()), 0);

  const char *const names[] = {
      "",    ".",       "..",
      "a/b", ".hidden", "0123456789012345678901234567890123456789012345678901234567890123x"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    ck_assert_int_eq(flocker->acquire(state, names[i], 0, &grant, NULL), HF_EINVAL);
  (void)turn(state);
  flocker->close(&state);
}
END_TEST

/* Somebody removes the file by hand: the next one makes it again, and two that hold different
 * inodes know about it. */
START_TEST(the_file_is_removed) {
  hf_grant grant = HF_GRANT_INIT, second = HF_GRANT_INIT;
  void *state = open_state(), *other = open_state();
  uint64_t token = turn(state);
  ck_assert_int_eq(unlink(lock_path()), 0);
  ck_assert_uint_gt(turn(state), token);
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 1);
  ck_assert_int_eq(unlink(lock_path()), 0);
  ck_assert_int_eq(flocker->acquire(other, "lock", 0, &second, NULL), 1);
  ck_assert_int_eq(flocker->release(state, &grant, 0, NULL), 0); /* it was lost */
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 0);
  ck_assert_int_eq(flocker->release(other, &second, 0, NULL), 1);
  (void)turn(state);
  flocker->close(&state);
  flocker->close(&other);
}
END_TEST

/* Breaking leaves one file of the lock's name and nothing else. */
START_TEST(breaking_leaves_nothing) {
  char command[160];
  hf_grant grant = HF_GRANT_INIT, second = HF_GRANT_INIT;
  void *state = open_state(), *other = open_state();
  for (int i = 0; i < 5; i++) {
    ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 1);
    write_lock_file("garbage", 7);
    ck_assert_int_eq(flocker->break_lock(state, "lock", NULL), 0);
    ck_assert_int_eq(flocker->acquire(other, "lock", 0, &second, NULL), 1);
    ck_assert_uint_gt(second.token, grant.token); /* though the file could not tell */
    ck_assert_int_eq(flocker->release(state, &grant, 0, NULL), 0);
    ck_assert_int_eq(flocker->release(other, &second, 0, NULL), 1);
  }
  snprintf(command, sizeof command, "test \"$(ls -A %s)\" = lock", store);
  ck_assert_int_eq(system(command), 0);
  flocker->close(&state);
  flocker->close(&other);
}
END_TEST

START_TEST(bad_places) {
  hf_locker_open_args args = {.store_path = "/nonexistent", .store_uuid = ""};
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  ck_assert_int_eq(flocker->open(&args, &state, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOENT);
  args.store_path = lock_path();
  write_lock_file("", 0);
  ck_assert_int_eq(flocker->open(&args, &state, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOTDIR);
  args.store_path = store;
  args.options_json = "{}";
  ck_assert_int_eq(flocker->open(&args, &state, &error), HF_ECONFIG);
  ck_assert_ptr_null(state);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("flock");
  tcase_add_test(tcase, an_uncontended_turn_is_cheap);
  tcase_add_test(tcase, errors_say_what_to_do);
  tcase_add_test(tcase, the_blocking_call_may_fail);
  tcase_add_test(tcase, the_unlock_may_fail);
  tcase_add_test(tcase, the_line_may_fail);
  tcase_add_test(tcase, the_line_is_readable);
  tcase_add_test(tcase, garbage_is_repaired);
  tcase_add_test(tcase, something_else_in_its_place);
  tcase_add_test(tcase, the_file_is_removed);
  tcase_add_test(tcase, breaking_leaves_nothing);
  tcase_add_test(tcase, bad_places);
  return run_suite("flock", tcase);
}
