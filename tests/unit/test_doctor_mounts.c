/* The doctor on filesystems that are worse than they seem, by the syscall table. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "doctor_help.h"
#include "sys.h"

static hf_sys_table table;

static int copying_link(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  (void)flags;
  char bytes[256];
  int in = openat(from_dirfd, from, O_RDONLY),
      out = openat(to_dirfd, to, O_CREAT | O_EXCL | O_WRONLY, 0666);
  if (out < 0) {
    close(in);
    errno = EEXIST;
    return -1;
  }
  ssize_t count = read(in, bytes, sizeof bytes);
  int done = write(out, bytes, (size_t)count) == count;
  close(in);
  close(out);
  return done ? 0 : -1;
}

static int replacing_link(int from_dirfd, const char *from, int to_dirfd, const char *to,
                          int flags) {
  (void)unlinkat(to_dirfd, to, 0);
  return linkat(from_dirfd, from, to_dirfd, to, flags);
}

static int lying_link(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  return linkat(from_dirfd, from, to_dirfd, to, flags) == 0 || errno == EEXIST ? 0 : -1;
}

static int empty_link(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  (void)from_dirfd, (void)from, (void)to_dirfd, (void)to, (void)flags;
  return 0;
}

static int no_link(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  (void)from_dirfd, (void)from, (void)to_dirfd, (void)to, (void)flags;
  errno = EPERM;
  return -1;
}

static int failing_link(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  (void)from_dirfd, (void)from, (void)to_dirfd, (void)to, (void)flags;
  errno = EIO;
  return -1;
}

/* The reply got lost, the request is repeated: EEXIST, but it is ours. */
static int repeated_link(int from_dirfd, const char *from, int to_dirfd, const char *to,
                         int flags) {
  if (linkat(from_dirfd, from, to_dirfd, to, flags) == 0) {
    errno = EEXIST;
  }
  return -1;
}

static int replacing_rename(int from_dirfd, const char *from, int to_dirfd, const char *to,
                            unsigned flags) {
  (void)flags;
  return renameat(from_dirfd, from, to_dirfd, to);
}

static int no_rename(int from_dirfd, const char *from, int to_dirfd, const char *to,
                     unsigned flags) {
  if (flags == 0)
    return renameat(from_dirfd, from, to_dirfd, to);
  errno = EINVAL;
  return -1;
}

static const struct {
  int (*link)(int, const char *, int, const char *, int);
  int (*rename)(int, const char *, int, const char *, unsigned);
  hf_verdict link_verdict;
  const char *link_words;
  hf_verdict rename_verdict;
  const char *rename_words;
} mounts[] = {
    {copying_link, NULL, HF_VERDICT_CAUTION, "another inode", HF_VERDICT_GOOD, ""},
    {replacing_link, NULL, HF_VERDICT_CAUTION, "replaces", HF_VERDICT_GOOD, ""},
    {lying_link, NULL, HF_VERDICT_CAUTION, "although", HF_VERDICT_GOOD, ""},
    {empty_link, NULL, HF_VERDICT_CAUTION, "makes no name", HF_VERDICT_GOOD, ""},
    {no_link, NULL, HF_VERDICT_CAUTION, "no hard links", HF_VERDICT_GOOD, ""},
    {repeated_link, NULL, HF_VERDICT_GOOD, "same inode", HF_VERDICT_GOOD, ""},
    {NULL, no_rename, HF_VERDICT_GOOD, "", HF_VERDICT_GOOD, "link is enough"},
    {NULL, replacing_rename, HF_VERDICT_GOOD, "", HF_VERDICT_GOOD, "ignored"},
    {no_link, no_rename, HF_VERDICT_BAD, "no hard links", HF_VERDICT_BAD, "not supported"},
    {no_link, replacing_rename, HF_VERDICT_BAD, "", HF_VERDICT_BAD, "is replaced"},
};

START_TEST(strange_mounts) {
  table = hf_sys_real;
  if (mounts[_i].link != NULL)
    table.linkat = mounts[_i].link;
  if (mounts[_i].rename != NULL)
    table.renameat2 = mounts[_i].rename;
  hf_sys = &table;
  report seen = examine(folder);
  hf_sys = &hf_sys_real;
  expect(&seen, "link", mounts[_i].link_verdict, mounts[_i].link_words);
  expect(&seen, "rename", mounts[_i].rename_verdict, mounts[_i].rename_words);
  expect_empty(folder);
}
END_TEST

static int all_granting_flock(int fd, int operation) {
  (void)fd, (void)operation;
  return 0;
}

static int no_flock(int fd, int operation) {
  (void)fd, (void)operation;
  errno = EOPNOTSUPP;
  return -1;
}

static int failing_openat(int dirfd, const char *name, int flags, mode_t mode) {
  if (strcmp(name, "flock") != 0)
    return hf_sys_real.openat(dirfd, name, flags, mode);
  errno = ENOSPC;
  return -1;
}

static int quick_fsync(int fd) {
  (void)fd;
  return 0;
}

START_TEST(strange_locks) {
  table = hf_sys_real;
  table.flock = all_granting_flock;
  hf_sys = &table;
  report seen = examine(folder);
  expect(&seen, "flock", HF_VERDICT_CAUTION, "two at once");
  table.flock = no_flock;
  seen = examine(folder);
  expect(&seen, "flock", HF_VERDICT_CAUTION, "flock failed");
  int at = find(&seen, "locker");
  ck_assert_int_eq(seen.checks[at].verdict, HF_VERDICT_BAD);
  table = hf_sys_real;
  table.linkat = failing_link;
  seen = examine(folder);
  expect(&seen, "link", HF_VERDICT_BAD, "could not be tried");
  table = hf_sys_real;
  table.openat = failing_openat; /* a full disk says nothing about flock */
  seen = examine(folder);
  expect(&seen, "flock", HF_VERDICT_BAD, "could not be tried");
  table = hf_sys_real;
  table.fsync = quick_fsync;
  seen = examine(folder);
  ck_assert_int_ge(find(&seen, "fsync-file"), 0);
  hf_sys = &hf_sys_real;
  expect_empty(folder);
}
END_TEST

/* Each system call fails in turn: the doctor ends, says something, and leaves nothing that it could
 * have removed. */
static int calls_left;

static int is_failing(void) {
  return --calls_left == 0;
}

static int sweep_openat(int dirfd, const char *name, int flags, mode_t mode) {
  return is_failing() ? (errno = EIO, -1) : openat(dirfd, name, flags, mode);
}

static int sweep_mkdirat(int dirfd, const char *name, mode_t mode) {
  return is_failing() ? (errno = EIO, -1) : mkdirat(dirfd, name, mode);
}

static ssize_t sweep_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  return is_failing() ? (errno = ENOSPC, -1) : pwrite(fd, bytes, count, offset);
}

static int sweep_fsync(int fd) {
  return is_failing() ? (errno = EIO, -1) : fsync(fd);
}

static int sweep_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  return is_failing() ? (errno = ESTALE, -1) : linkat(from_dirfd, from, to_dirfd, to, flags);
}

static int sweep_flock(int fd, int operation) {
  return is_failing() ? (errno = ENOLCK, -1) : flock(fd, operation);
}

static int sweep_statfs(const char *path, struct statfs *fs) {
  return is_failing() ? (errno = EIO, -1) : statfs(path, fs);
}

static int sweep_fstat(int fd, struct stat *st) {
  return is_failing() ? (errno = EIO, -1) : fstat(fd, st);
}

START_TEST(every_call_fails_once) {
  int worse = 0, number = 1;
  table = hf_sys_real;
  table.openat = sweep_openat;
  table.mkdirat = sweep_mkdirat;
  table.pwrite = sweep_pwrite;
  table.fsync = sweep_fsync;
  table.linkat = sweep_linkat;
  table.flock = sweep_flock;
  table.statfs = sweep_statfs;
  table.fstat = sweep_fstat;
  for (; number < 1000; number++) {
    report seen = {0};
    hf_error error = HF_ERROR_INIT;
    hf_verdict verdict = HF_VERDICT_GOOD;
    calls_left = number;
    hf_sys = &table;
    int status = hf_doctor(folder, NULL, collect, &seen, &verdict, &error);
    int was_used = calls_left <= 0;
    hf_sys = &hf_sys_real;
    if (!was_used)
      break;
    ck_assert(status == 0 || status == HF_EIO);
    worse += status != 0 || verdict != HF_VERDICT_GOOD;
    if (find(&seen, "scratch") >= 0) { /* it said so */
      tear_down();
      ck_assert_int_eq(mkdir(folder, 0777), 0);
    }
    expect_empty(folder);
  }
  printf("%d calls failed in turn, %d of them worsened the verdict\n", number - 1, worse);
  ck_assert_int_gt(worse, 10);
  ck_assert_int_lt(number, 1000);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("doctor mounts");
  TCase *tcase = tcase_create("doctor mounts");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_loop_test(tcase, strange_mounts, 0, sizeof mounts / sizeof mounts[0]);
  tcase_add_test(tcase, strange_locks);
  tcase_add_test(tcase, every_call_fails_once);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
