/* hf_file_* and hf_dir_*. */
#include "file.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "file_help.h"
#include "sys.h"

/* ---- reading ---- */

START_TEST(reads_whole_files) {
  hf_autobuf out = {0};
  write_file("a", "hello");
  write_file("empty", "");
  (void)hf_buf_add_text(&out, "before ");
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 5, &out, NULL), 1);
  ck_assert_str_eq(out.data, "before hello"); /* appended, NUL behind it */
  ck_assert_int_eq(hf_file_read(folder_fd, "empty", 0, &out, NULL), 1);
  ck_assert_uint_eq(out.used, 12);
}
END_TEST

START_TEST(absent_is_no_error) {
  hf_autobuf out = {0};
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_file_read(folder_fd, "absent", 100, &out, &error), 0);
  ck_assert_int_eq(error.code, HF_OK);
  ck_assert_int_eq(symlinkat("nowhere", folder_fd, "dangling"), 0);
  ck_assert_int_eq(hf_file_read(folder_fd, "dangling", 100, &out, &error), HF_EIO);
  ck_assert_uint_eq(out.used, 0);
}
END_TEST

START_TEST(sizes_have_a_bound) {
  hf_autobuf out = {0};
  hf_error error = HF_ERROR_INIT;
  write_file("a", "123456");
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 6, &out, NULL), 1);
  hf_buf_clear(&out);
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 5, &out, &error), HF_ELIMIT);
  ck_assert_int_eq(error.code, HF_ELIMIT);
  ck_assert_str_eq(error.place, "a");
  ck_assert_uint_eq(out.used, 0);
  int fd = openat(folder_fd, "huge", O_WRONLY | O_CREAT, 0666);
  ck_assert_int_eq(ftruncate(fd, (off_t)1 << 33), 0); /* a hole: nothing is written */
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_file_read(folder_fd, "huge", 1 << 20, &out, NULL), HF_ELIMIT);
}
END_TEST

/* A folder, a symbolic link (to a file, to a folder, out of the store), a FIFO: refused with words.
 */
START_TEST(only_regular_files) {
  write_file("target", "secret");
  ck_assert_int_eq(mkdirat(folder_fd, "folder", 0777), 0);
  ck_assert_int_eq(symlinkat("target", folder_fd, "link"), 0);
  ck_assert_int_eq(symlinkat("folder", folder_fd, "link-to-folder"), 0);
  ck_assert_int_eq(symlinkat("/etc/passwd", folder_fd, "link-out"), 0);
  ck_assert_int_eq(mkfifoat(folder_fd, "fifo", 0666), 0);
  static const char *const names[] = {"folder", "link", "link-to-folder", "link-out", "fifo"};
  for (size_t i = 0; i < COUNT(names); i++) {
    hf_autobuf out = {0};
    hf_error error = HF_ERROR_INIT;
    int before = open_descriptors();
    ck_assert_msg(hf_file_read(folder_fd, names[i], 1 << 20, &out, &error) == HF_EIO, "%s read",
                  names[i]);
    ck_assert_str_eq(error.place, names[i]);
    ck_assert_uint_gt(strlen(error.message), 10);
    ck_assert_uint_eq(out.used, 0);
    ck_assert_int_eq(open_descriptors(), before);
  }
}
END_TEST

/* ---- making files ---- */

START_TEST(makes_new_files) {
  hf_autobuf out = {0};
  hf_error error = HF_ERROR_INIT;
  int before = open_descriptors();
  ck_assert_int_eq(hf_file_create(folder_fd, "a", "one", 3, 1, &error), HF_OK);
  ck_assert_int_eq(hf_file_create(folder_fd, "empty", "", 0, 0, &error), HF_OK);
  ck_assert_int_eq(hf_file_create(folder_fd, "a", "two", 3, 1, &error), HF_EEXIST);
  ck_assert_int_eq(error.code, HF_EEXIST);
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 100, &out, NULL), 1);
  ck_assert_str_eq(out.data, "one");
  ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

START_TEST(never_writes_through_a_link) {
  write_file("target", "old");
  ck_assert_int_eq(symlinkat("target", folder_fd, "link"), 0);
  ck_assert_int_eq(symlinkat("nowhere", folder_fd, "dangling"), 0);
  ck_assert_int_eq(mkdirat(folder_fd, "folder", 0777), 0);
  static const char *const names[] = {"link", "dangling", "folder"};
  for (size_t i = 0; i < COUNT(names); i++)
    ck_assert_int_eq(hf_file_create(folder_fd, names[i], "new", 3, 1, NULL), HF_EEXIST);
  ck_assert(!exists("nowhere"));
  hf_autobuf out = {0};
  ck_assert_int_eq(hf_file_read(folder_fd, "target", 100, &out, NULL), 1);
  ck_assert_str_eq(out.data, "old");
}
END_TEST

START_TEST(without_exclusion_what_is_there_is_met) {
  hf_autobuf out = {0};
  hf_error error = HF_ERROR_INIT;
  int before = open_descriptors();
  write_file("old", "old");
  write_file("bare", "");
  ck_assert_int_eq(linkat(folder_fd, "bare", folder_fd, "name", 0), 0);
  ck_assert_int_eq(symlinkat("nowhere", folder_fd, "dangling"), 0);
  ck_assert_int_eq(hf_file_create_alone(folder_fd, "a", "one", 3, 1, &error), HF_OK);
  ck_assert_int_eq(hf_file_create_alone(folder_fd, "a", "two", 3, 1, &error), HF_EEXIST);
  ck_assert_int_eq(hf_file_create_alone(folder_fd, "old", "two", 3, 1, &error), HF_EEXIST);
  ck_assert_int_eq(hf_file_create_alone(folder_fd, "name", "two", 3, 1, &error), HF_EEXIST);
  ck_assert_int_eq(hf_file_create_alone(folder_fd, "dangling", "two", 3, 1, &error), HF_EIO);
  ck_assert(!exists("nowhere"));
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 100, &out, NULL), 1);
  ck_assert_int_eq(hf_file_read(folder_fd, "old", 100, &out, NULL), 1);
  ck_assert_int_eq(hf_file_read(folder_fd, "bare", 100, &out, NULL), 1);
  ck_assert_str_eq(out.data, "oneold");
  ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static int pwrite_room; /* bytes until the disk is full */
static size_t pwrite_most;

static ssize_t pwrite_until_full(int fd, const void *bytes, size_t count, off_t offset) {
  if (pwrite_room <= 0) {
    errno = ENOSPC;
    return -1;
  }
  size_t most = (size_t)pwrite_room < pwrite_most ? (size_t)pwrite_room : pwrite_most;
  ssize_t put = pwrite(fd, bytes, count < most ? count : most, offset);
  pwrite_room -= (int)put;
  return put;
}

static ssize_t pwrite_nothing(int fd, const void *bytes, size_t count, off_t offset) {
  (void)fd;
  (void)bytes;
  (void)count;
  (void)offset;
  return 0;
}

static int fails_with_eio(int fd) {
  (void)fd;
  errno = EIO;
  return -1;
}

static int close_eio(int fd) {
  return closes_with(fd, EIO);
}

static int fsyncs;

static int fsync_counted(int fd) {
  fsyncs++;
  return fsync(fd);
}

START_TEST(short_writes_go_on) {
  pwrite_room = 1000;
  pwrite_most = 3;
  table.pwrite = pwrite_until_full;
  hf_sys = &table;
  ck_assert_int_eq(hf_file_create(folder_fd, "a", "0123456789", 10, 1, NULL), HF_OK);
  hf_autobuf out = {0};
  ck_assert_int_eq(hf_file_read(folder_fd, "a", 100, &out, NULL), 1);
  ck_assert_str_eq(out.data, "0123456789");
}
END_TEST

/* Whatever fails, nothing is left under the name, no descriptor stays open, and the errno is told.
 */
START_TEST(failed_files_are_removed) {
  static const struct {
    ssize_t (*pwrite)(int, const void *, size_t, off_t);
    int (*fsync)(int);
    int (*close)(int);
    int sys_errno;
  } cases[] = {
      {pwrite_until_full, NULL, NULL, ENOSPC},
      {pwrite_nothing, NULL, NULL, ENOSPC},
      {NULL, fails_with_eio, NULL, EIO},
      {NULL, NULL, close_eio, EIO},
  };
  int before = open_descriptors();
  for (size_t i = 0; i < COUNT(cases); i++) {
    table = hf_sys_real;
    table.pwrite = cases[i].pwrite != NULL ? cases[i].pwrite : table.pwrite;
    table.fsync = cases[i].fsync != NULL ? cases[i].fsync : table.fsync;
    table.close = cases[i].close != NULL ? cases[i].close : table.close;
    pwrite_room = 4;
    pwrite_most = 100;
    hf_sys = &table;
    hf_error error = HF_ERROR_INIT;
    ck_assert_int_eq(hf_file_create(folder_fd, "a", "0123456789", 10, 1, &error), HF_EIO);
    ck_assert_int_eq(error.sys_errno, cases[i].sys_errno);
    ck_assert_str_eq(error.place, "a");
    ck_assert(!exists("a"));
    hf_sys = &hf_sys_real;
    ck_assert_int_eq(open_descriptors(), before);
  }
}
END_TEST

START_TEST(durable_means_fsync) {
  table.fsync = fsync_counted;
  hf_sys = &table;
  fsyncs = 0;
  ck_assert_int_eq(hf_file_create(folder_fd, "a", "x", 1, 0, NULL), HF_OK);
  ck_assert_int_eq(fsyncs, 0);
  ck_assert_int_eq(hf_file_create(folder_fd, "b", "x", 1, 1, NULL), HF_OK);
  ck_assert_int_eq(fsyncs, 1);
  ck_assert_int_eq(hf_dir_fsync(folder_fd, "log", NULL), HF_OK);
  ck_assert_int_eq(fsyncs, 2);
  table.fsync = fails_with_eio;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_dir_fsync(folder_fd, "log", &error), HF_EIO);
  ck_assert_str_eq(error.place, "log");
  ck_assert_int_eq(error.sys_errno, EIO);
}
END_TEST

/* ---- folders ---- */

START_TEST(opens_folders) {
  int fd = -1, made = -1;
  ck_assert_int_eq(hf_dir_make(folder_fd, "new", &fd, &made, NULL), HF_OK);
  ck_assert_int_eq(made, 1);
  ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_dir_make(folder_fd, "new", &fd, &made, NULL), HF_OK);
  ck_assert_int_eq(made, 0);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_dir_make(folder_fd, "new", &fd, NULL, NULL), HF_OK);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_dir_open(folder_fd, "new", &fd, NULL), HF_OK);
  ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(only_folders) {
  write_file("file", "");
  ck_assert_int_eq(mkdirat(folder_fd, "folder", 0777), 0);
  ck_assert_int_eq(symlinkat("folder", folder_fd, "link"), 0);
  ck_assert_int_eq(symlinkat("/tmp", folder_fd, "link-out"), 0);
  ck_assert_int_eq(symlinkat("nowhere", folder_fd, "dangling"), 0);
  ck_assert_int_eq(mkfifoat(folder_fd, "fifo", 0666), 0);
  static const char *const names[] = {"file", "link", "link-out", "dangling", "fifo"};
  int before = open_descriptors();
  for (size_t i = 0; i < COUNT(names); i++) {
    int fd = -1, made = -1;
    hf_error error = HF_ERROR_INIT;
    ck_assert_msg(hf_dir_open(folder_fd, names[i], &fd, &error) == HF_EIO, "%s opened", names[i]);
    ck_assert_str_eq(error.place, names[i]);
    ck_assert_msg(hf_dir_make(folder_fd, names[i], &fd, &made, &error) == HF_EIO, "%s made",
                  names[i]);
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(made, -1);
  }
  int fd = -1;
  ck_assert_int_eq(hf_dir_open(folder_fd, "absent", &fd, NULL), HF_EIO);
  ck_assert_int_eq(hf_dir_make(folder_fd, "absent/below", &fd, NULL, NULL), HF_EIO);
  ck_assert(!exists("nowhere"));
  ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

typedef struct listing {
  int count, stop_at, stop_with;
  char names[16][32];
} listing;

static int list_entry(void *context, const char *name, hf_error *reterr) {
  (void)reterr;
  listing *l = context;
  ck_assert_int_lt(l->count, 16);
  (void)snprintf(l->names[l->count++], sizeof l->names[0], "%s", name);
  return l->count == l->stop_at ? l->stop_with : 0;
}

static struct dirent *readdir_eio(DIR *dir) {
  (void)dir;
  errno = EIO;
  return NULL;
}

static DIR *fdopendir_enomem(int fd) {
  (void)fd;
  errno = ENOMEM;
  return NULL;
}

START_TEST(lists_folders) {
  int before = open_descriptors();
  listing all = {0};
  ck_assert_int_eq(hf_dir_each(folder_fd, "place", list_entry, &all, NULL), HF_OK);
  ck_assert_int_eq(all.count, 0);
  write_file("a", "");
  write_file(".hidden", "");
  ck_assert_int_eq(symlinkat("nowhere", folder_fd, "link"), 0);
  ck_assert_int_eq(mkdirat(folder_fd, "folder", 0777), 0);
  for (int round = 0; round < 2; round++) { /* folder_fd's own place in the folder is not moved */
    listing again = {0};
    ck_assert_int_eq(hf_dir_each(folder_fd, "place", list_entry, &again, NULL), HF_OK);
    ck_assert_int_eq(again.count, 4);
  }
  listing stopped = {.stop_at = 2, .stop_with = HF_ECANCELLED};
  ck_assert_int_eq(hf_dir_each(folder_fd, "place", list_entry, &stopped, NULL), HF_ECANCELLED);
  ck_assert_int_eq(stopped.count, 2);
  listing positive = {.stop_at = 1, .stop_with = 7};
  ck_assert_int_eq(hf_dir_each(folder_fd, "place", list_entry, &positive, NULL), 7);

  listing none = {0};
  hf_error error = HF_ERROR_INIT;
  table.readdir = readdir_eio;
  hf_sys = &table;
  ck_assert_int_eq(hf_dir_each(folder_fd, "place", list_entry, &none, &error), HF_EIO);
  ck_assert_str_eq(error.place, "place");
  table = hf_sys_real;
  table.fdopendir = fdopendir_enomem;
  ck_assert_int_eq(hf_dir_each(folder_fd, "place", list_entry, &none, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOMEM);
  hf_sys = &hf_sys_real;
  ck_assert_int_eq(none.count, 0);
  ck_assert_int_eq(open_descriptors(), before);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("file");
  TCase *files = tcase_create("files");
  tcase_add_checked_fixture(files, setup, teardown);
  tcase_add_test(files, reads_whole_files);
  tcase_add_test(files, absent_is_no_error);
  tcase_add_test(files, sizes_have_a_bound);
  tcase_add_test(files, only_regular_files);
  tcase_add_test(files, makes_new_files);
  tcase_add_test(files, never_writes_through_a_link);
  tcase_add_test(files, without_exclusion_what_is_there_is_met);
  tcase_add_test(files, short_writes_go_on);
  tcase_add_test(files, failed_files_are_removed);
  tcase_add_test(files, durable_means_fsync);
  tcase_add_test(files, opens_folders);
  tcase_add_test(files, only_folders);
  tcase_add_test(files, lists_folders);
  suite_add_tcase(s, files);
  return s;
}

int main(void) {
  return run_suite(suite());
}
