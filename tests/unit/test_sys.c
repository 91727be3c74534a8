/* The wrappers of the syscall table: interrupted calls, short reads, descriptors. */
#include "sys.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "file.h"
#include "file_help.h"

static int close_eintr(int fd) {
  return closes_with(fd, EINTR);
}

static int interruptions; /* before each call succeeds */
static int interrupted;   /* so far, of this call */
static int calls;

/* 1 while the call is to be interrupted. */
static int interrupt(void) {
  calls++;
  if (interrupted < interruptions) {
    interrupted++;
    errno = EINTR;
    return 1;
  }
  interrupted = 0;
  return 0;
}

static int openat_eintr(int dirfd, const char *name, int flags, mode_t mode) {
  return interrupt() ? -1 : hf_sys_real.openat(dirfd, name, flags, mode);
}

static ssize_t pread_eintr(int fd, void *bytes, size_t count, off_t offset) {
  return interrupt() ? -1 : pread(fd, bytes, count > 2 ? 2 : count, offset);
}

static ssize_t pwrite_eintr(int fd, const void *bytes, size_t count, off_t offset) {
  return interrupt() ? -1 : pwrite(fd, bytes, count > 2 ? 2 : count, offset);
}

static int fsync_eintr(int fd) {
  return interrupt() ? -1 : fsync(fd);
}

static int fstat_eintr(int fd, struct stat *st) {
  return interrupt() ? -1 : fstat(fd, st);
}

static int mkdirat_eintr(int dirfd, const char *name, mode_t mode) {
  return interrupt() ? -1 : mkdirat(dirfd, name, mode);
}

static void interrupt_each_call(int times) {
  interruptions = times;
  interrupted = calls = 0;
  table.openat = openat_eintr;
  table.pread = pread_eintr;
  table.pwrite = pwrite_eintr;
  table.fsync = fsync_eintr;
  table.fstat = fstat_eintr;
  table.mkdirat = mkdirat_eintr;
  table.close = close_eintr; /* Linux: closed all the same */
  hf_sys = &table;
}

START_TEST(interrupted_calls_are_repeated) {
  hf_autobuf out = {0};
  int before = open_descriptors(), fd = -1;
  interrupt_each_call(5);
  ck_assert_int_eq(hf_file_create(folder_fd, "a", "0123456789", 10, 1, NULL), HF_OK);
  ck_assert_int_eq(calls, 6 * (1 + 5 + 1)); /* open, five writes of two bytes, fsync */
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 10, &out, NULL), 1);
  ck_assert_str_eq(out.data, "0123456789");
  ck_assert_int_eq(hf_dir_make(folder_fd, "folder", &fd, NULL, NULL), HF_OK);
  ck_assert_int_eq(hf_dir_fsync(fd, "folder", NULL), HF_OK);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(interruptions_have_a_bound) {
  hf_autobuf out = {0};
  hf_error error = HF_ERROR_INIT;
  write_file("a", "x");
  interrupt_each_call(INT_MAX);
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 10, &out, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, EINTR);
  ck_assert_int_le(calls, HF_EINTR_RETRIES_MAX + 1);
  ck_assert_int_ge(calls, 10);
}
END_TEST

START_TEST(descriptors_are_not_inherited) {
  int fd = hf_sys_openat(folder_fd, "a", O_WRONLY | O_CREAT, 0666);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  ck_assert_int_eq(hf_sys_close(fd), 0);
  ck_assert_int_eq(symlinkat("a", folder_fd, "link"), 0);
  ck_assert_int_eq(hf_sys_openat(folder_fd, "link", O_RDONLY, 0), -1);
  ck_assert_int_eq(errno, ELOOP);
  struct stat st;
  ck_assert_int_eq(hf_sys_fstatat(folder_fd, "link", &st), 0);
  ck_assert(S_ISLNK(st.st_mode));
}
END_TEST

START_TEST(no_part_of_a_name_may_be_a_link) {
  ck_assert_int_eq(hf_sys_mkdir(folder_fd, "real", 0777), 0);
  hf_autofd int fd = hf_sys_openat(folder_fd, "real/a", O_WRONLY | O_CREAT, 0666);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(symlinkat("real", folder_fd, "linked"), 0);
  ck_assert_int_eq(hf_sys_openat(folder_fd, "linked/a", O_RDONLY, 0), -1);
  ck_assert(errno == ENOTDIR || errno == ELOOP);
  ck_assert_int_eq(hf_sys_openat(folder_fd, "absent/a", O_RDONLY, 0), -1);
  ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(reads_to_the_end_of_the_file) {
  write_file("a", "0123456789");
  char bytes[20];
  hf_autofd int fd = hf_sys_openat(folder_fd, "a", O_RDONLY, 0);
  ck_assert_int_eq((int)hf_sys_pread_full(fd, bytes, 20, 0), 10);
  ck_assert_int_eq((int)hf_sys_pread_full(fd, bytes, 4, 2), 4);
  ck_assert_int_eq(memcmp(bytes, "2345", 4), 0);
  ck_assert_int_eq((int)hf_sys_pread_full(fd, bytes, 5, 8), 2);
  ck_assert_int_eq((int)hf_sys_pread_full(fd, bytes, 5, 100), 0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("sys");
  TCase *calls_made = tcase_create("calls");
  tcase_add_checked_fixture(calls_made, setup, teardown);
  tcase_add_test(calls_made, interrupted_calls_are_repeated);
  tcase_add_test(calls_made, interruptions_have_a_bound);
  tcase_add_test(calls_made, descriptors_are_not_inherited);
  tcase_add_test(calls_made, no_part_of_a_name_may_be_a_link);
  tcase_add_test(calls_made, reads_to_the_end_of_the_file);
  suite_add_tcase(s, calls_made);
  return s;
}

int main(void) {
  return run_suite(suite());
}
