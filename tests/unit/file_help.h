/* What the tests of files and system calls share: a folder of their own, a table to replace. */
#ifndef HF_TESTS_FILE_HELP_H
#define HF_TESTS_FILE_HELP_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static char folder[PATH_MAX];
static int folder_fd = -1;
static hf_sys_table table; /* a copy of the real one; tests replace entries */

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)st;
  (void)type;
  (void)where;
  return remove(path);
}

static inline void setup(void) {
  const char *parent = getenv("TMPDIR");
  (void)snprintf(folder, sizeof folder, "%s/holdfast-test-file-XXXXXX",
                 parent != NULL && parent[0] != '\0' ? parent : "/tmp");
  ck_assert_ptr_nonnull(mkdtemp(folder));
  folder_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  ck_assert_int_ge(folder_fd, 0);
  table = hf_sys_real;
}

static inline void teardown(void) {
  hf_sys = &hf_sys_real;
  (void)close(folder_fd);
  (void)nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void write_file(const char *name, const char *text) {
  int fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(write(fd, text, strlen(text)), (int)strlen(text));
  ck_assert_int_eq(close(fd), 0);
}

static inline int exists(const char *name) {
  struct stat st;
  return fstatat(folder_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline int open_descriptors(void) {
  int count = 0;
  for (int fd = 0; fd < 256; fd++)
    count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

/* close() that ends the descriptor, as Linux does, and fails all the same. */
static inline int closes_with(int fd, int sys_errno) {
  (void)close(fd);
  errno = sys_errno;
  return -1;
}

static inline int run_suite(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#endif
