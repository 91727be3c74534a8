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

#include "sys.h"

enum { CHECKS_MAX = 64 };

typedef struct report {
  size_t count;
  struct {
    char name[32];
    char text[1100];
    hf_verdict verdict;
    double value;
    char unit[16];
  } checks[CHECKS_MAX];
  hf_verdict verdict;
} report;

static char folder[64];

static void collect(void *context, const hf_check *check) {
  report *into = context;
  if (into->count == CHECKS_MAX)
    abort();
  snprintf(into->checks[into->count].name, 32, "%s", check->name);
  snprintf(into->checks[into->count].text, 1100, "%s", check->text);
  snprintf(into->checks[into->count].unit, 16, "%s", check->unit);
  into->checks[into->count].verdict = check->verdict;
  into->checks[into->count].value = check->value;
  into->count++;
}

static int find(const report *from, const char *name) {
  for (size_t i = 0; i < from->count; i++)
    if (strcmp(from->checks[i].name, name) == 0)
      return (int)i;
  return -1;
}

static report examine(const char *path) {
  static report result;
  hf_error error = HF_ERROR_INIT;
  memset(&result, 0, sizeof result);
  result.verdict = (hf_verdict)99;
  int status = hf_doctor(path, NULL, collect, &result, &result.verdict, &error);
  ck_assert_msg(status == 0, "%s: %s", error.place, error.message);
  hf_verdict worst = HF_VERDICT_GOOD;
  for (size_t i = 0; i < result.count; i++)
    worst = result.checks[i].verdict > worst ? result.checks[i].verdict : worst;
  ck_assert_int_eq(result.verdict, worst);
  return result;
}

static void expect(const report *from, const char *name, hf_verdict verdict, const char *words) {
  int at = find(from, name);
  ck_assert_msg(at >= 0, "no check %s", name);
  ck_assert_msg(from->checks[at].verdict == verdict, "%s: %d: %s", name,
                (int)from->checks[at].verdict, from->checks[at].text);
  ck_assert_msg(strstr(from->checks[at].text, words) != NULL, "%s: %s", name,
                from->checks[at].text);
}

static void expect_empty(const char *path) {
  size_t count = 0;
  DIR *dir = opendir(path);
  ck_assert_ptr_nonnull(dir);
  for (const struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
    int is_own = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    ck_assert_msg(is_own, "left behind: %s", entry->d_name);
    count++;
  }
  ck_assert_uint_eq(count, 2);
  closedir(dir);
}

static void set_up(void) {
  snprintf(folder, sizeof folder, "/tmp/hf-doctor-XXXXXX");
  ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void tear_down(void) {
  char command[96];
  snprintf(command, sizeof command, "rm -rf %s", folder);
  ck_assert_int_eq(system(command), 0);
}

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

/* ---- filesystems that are worse than they seem: by the syscall table ---- */

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
  tcase_add_loop_test(tcase, strange_mounts, 0, sizeof mounts / sizeof mounts[0]);
  tcase_add_test(tcase, strange_locks);
  tcase_add_test(tcase, every_call_fails_once);
  tcase_add_test(tcase, an_absent_locker);
  tcase_add_test(tcase, a_store);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
