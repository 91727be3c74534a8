/* The doctor: what it says of good places and of bad ones, and that it leaves nothing behind. */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "doctor_help.h"
#include "sys.h"

START_TEST(a_usual_folder) {
  hf_fs fs;
  report seen = examine(folder);
  for (size_t i = 0; i < seen.count; i++)
    printf("%d %-12s %s\n", (int)seen.checks[i].verdict, seen.checks[i].name, seen.checks[i].text);
  const char *const names[] = {"filesystem", "options",    "space",        "permissions", "link",
                               "rename",     "fsync-file", "fsync-folder", "flock",       "locker",
                               "file-times", "clock",      "open-files",   "inodes"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    ck_assert_msg(find(&seen, names[i]) >= 0, "no check %s", names[i]);
  ck_assert_int_eq(find(&seen, "scratch"), -1);
  ck_assert_int_eq(find(&seen, "store"), -1);
  expect(&seen, "permissions", HF_VERDICT_GOOD, "may make");
  expect(&seen, "clock", HF_VERDICT_GOOD, "20");
  ck_assert_int_eq(hf_fs_detect(folder, &fs, NULL), 0);
  if (fs.local) {
    expect(&seen, "link", HF_VERDICT_GOOD, "same inode");
    expect(&seen, "rename", HF_VERDICT_GOOD, "never replaces");
    expect(&seen, "flock", HF_VERDICT_GOOD, "excludes");
    expect(&seen, "locker", HF_VERDICT_GOOD, "flock would be chosen here");
    int cost = find(&seen, "fsync-folder");
    ck_assert_str_eq(seen.checks[cost].unit, "us");
    ck_assert(seen.checks[cost].value > 0);
  }
  expect_empty(folder);
}
END_TEST

START_TEST(without_a_callback) {
  hf_verdict verdict = (hf_verdict)99;
  ck_assert_int_eq(hf_doctor(folder, NULL, NULL, NULL, &verdict, NULL), 0);
  ck_assert_int_ne(verdict, 99);
  expect_empty(folder);
}
END_TEST

START_TEST(in_memory) {
  hf_fs fs;
  char base[] = "/dev/shm/hf-doctor-XXXXXX";
  if (hf_fs_detect("/dev/shm", &fs, NULL) != 0 || strcmp(fs.type, "tmpfs") != 0)
    return;
  ck_assert_ptr_nonnull(mkdtemp(base));
  report seen = examine(base);
  expect(&seen, "filesystem", HF_VERDICT_CAUTION, "in memory");
  expect(&seen, "link", HF_VERDICT_GOOD, "");
  expect(&seen, "fsync-file", HF_VERDICT_GOOD, "");
  expect_empty(base);
  ck_assert_int_eq(rmdir(base), 0);
}
END_TEST

START_TEST(no_folder) {
  char path[80];
  hf_verdict verdict = HF_VERDICT_GOOD;
  hf_error error = HF_ERROR_INIT;
  snprintf(path, sizeof path, "%s/file", folder);
  int fd = open(path, O_CREAT | O_WRONLY, 0666);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_doctor(path, NULL, NULL, NULL, &verdict, &error), HF_EINVAL);
  ck_assert_str_eq(error.place, path);
  ck_assert_ptr_nonnull(strstr(error.message, "folder"));
  ck_assert_int_eq(hf_doctor("/nonexistent", NULL, NULL, NULL, &verdict, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOENT);
  ck_assert_int_eq(hf_doctor("", NULL, NULL, NULL, &verdict, &error), HF_EINVAL);
  ck_assert_int_eq(hf_doctor(NULL, NULL, NULL, NULL, &verdict, &error), HF_EINVAL);
}
END_TEST

START_TEST(by_a_symbolic_link) {
  char path[80], target[80];
  snprintf(path, sizeof path, "%s/link", folder);
  snprintf(target, sizeof target, "%s/target", folder);
  ck_assert_int_eq(mkdir(target, 0777), 0);
  ck_assert_int_eq(symlink("target", path), 0);
  report seen = examine(path);
  expect(&seen, "permissions", HF_VERDICT_GOOD, "");
  expect_empty(target);
}
END_TEST

/* In a child: what it sees goes to its exit status, 0 for "as expected". */
static int in_child(int (*what)(void)) {
  int status = -1;
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0)
    _exit(what());
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

static int is_refused(const char *words) {
  report seen = examine(folder);
  int at = find(&seen, "permissions");
  if (at < 0 || seen.checks[at].verdict != HF_VERDICT_BAD || seen.verdict != HF_VERDICT_BAD)
    return 1;
  if (strstr(seen.checks[at].text, words) == NULL || find(&seen, "link") >= 0)
    return 2;
  return find(&seen, "filesystem") >= 0 && find(&seen, "space") >= 0 ? 0 : 3;
}

static int as_another_user(void) {
  if (geteuid() == 0 && (setegid(54321) != 0 || seteuid(54321) != 0))
    return 10;
  return is_refused("Permission denied");
}

START_TEST(no_permission) {
  ck_assert_int_eq(chmod(folder, 0555), 0);
  ck_assert_int_eq(in_child(as_another_user), 0);
  ck_assert_int_eq(chmod(folder, 0700), 0);
  if (geteuid() == 0) { /* not even to look */
    hf_verdict verdict;
    hf_error error = HF_ERROR_INIT;
    ck_assert_int_eq(seteuid(54321), 0);
    ck_assert_int_eq(hf_doctor(folder, NULL, NULL, NULL, &verdict, &error), HF_EIO);
    ck_assert_int_eq(error.sys_errno, EACCES);
    ck_assert_int_eq(seteuid(0), 0);
  }
  expect_empty(folder);
}
END_TEST

static int mounted_read_only(void) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", folder, "tmpfs", MS_RDONLY, NULL) != 0)
    return 77;
  int refused = is_refused("Read-only");
  if (refused != 0)
    return refused;
  report seen = examine(folder);
  int at = find(&seen, "options");
  return at >= 0 && seen.checks[at].verdict == HF_VERDICT_BAD ? 0 : 4;
}

START_TEST(read_only) {
  int seen = in_child(mounted_read_only);
  printf("mounted read-only: %d (77: not allowed here)\n", seen);
  ck_assert(seen == 0 || seen == 77);
}
END_TEST

/* A filesystem with hardly any space or inodes. */
static int nearly_full(void) {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
      mount("tmpfs", folder, "tmpfs", 0, "size=1m,nr_inodes=60") != 0)
    return 77;
  report seen = examine(folder);
  int space = find(&seen, "space"), inodes = find(&seen, "inodes");
  if (space < 0 || inodes < 0)
    return 1;
  if (seen.checks[space].verdict != HF_VERDICT_BAD || seen.checks[space].value > 1048576)
    return 2;
  return seen.checks[inodes].verdict == HF_VERDICT_BAD ? 0 : 3;
}

START_TEST(little_space) {
  int seen = in_child(nearly_full);
  ck_assert_msg(seen == 0 || seen == 77, "%d", seen);
}
END_TEST

/* The default locker of a shared filesystem is not configured: said, with what to do. */
START_TEST(an_absent_locker) {
  char config_path[96];
  snprintf(config_path, sizeof config_path, "%s/../hf-doctor-config-%d", folder, (int)getpid());
  FILE *file = fopen(config_path, "w");
  ck_assert_ptr_nonnull(file);
  hf_fs fs;
  ck_assert_int_eq(hf_fs_detect(folder, &fs, NULL), 0);
  fprintf(file, "{\"filesystems\":{\"%s\":\"redis\"}}", fs.acting_type);
  ck_assert_int_eq(fclose(file), 0);
  hf_config *config = NULL;
  ck_assert_int_eq(hf_config_load(config_path, &config, NULL), 0);
  ck_assert_int_eq(unlink(config_path), 0);
  report seen = {0};
  ck_assert_int_eq(hf_doctor(folder, config, collect, &seen, &seen.verdict, NULL), 0);
  ck_assert_int_eq(seen.verdict, HF_VERDICT_BAD);
  expect(&seen, "locker", HF_VERDICT_BAD, "redis");
  hf_config_free(&config);
}
END_TEST

START_TEST(a_store) {
  hf_init_options options = {.locker = "none", .force = 1};
  hf_error error = HF_ERROR_INIT;
  hf_info info;
  char path[96];
  int status = hf_init(folder, &options, &info, &error);
  ck_assert_msg(status == 0, "%s: %s", error.place, error.message);
  report seen = examine(folder);
  expect(&seen, "store", HF_VERDICT_GOOD, info.uuid);
  expect(&seen, "locker", HF_VERDICT_GOOD, "none: excludes nobody");
  snprintf(path, sizeof path, "%s/holdfast.json", folder);
  ck_assert_int_eq(chmod(path, 0600), 0);
  FILE *file = fopen(path, "w");
  fputs("{\"format\":1", file);
  ck_assert_int_eq(fclose(file), 0);
  seen = examine(folder);
  expect(&seen, "store", HF_VERDICT_BAD, "");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("doctor");
  TCase *tcase = tcase_create("doctor");
  tcase_set_timeout(tcase, 60);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  tcase_add_test(tcase, a_usual_folder);
  tcase_add_test(tcase, without_a_callback);
  tcase_add_test(tcase, in_memory);
  tcase_add_test(tcase, no_folder);
  tcase_add_test(tcase, by_a_symbolic_link);
  tcase_add_test(tcase, no_permission);
  tcase_add_test(tcase, read_only);
  tcase_add_test(tcase, little_space);
  tcase_add_test(tcase, an_absent_locker);
  tcase_add_test(tcase, a_store);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
