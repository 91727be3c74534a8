/* Repair, killed at each of its changing system calls, and with each of its system calls failing:
 * what it leaves, the next repair finishes, and nothing that was intact is ever lost. The lock; and
 * verify beside writers and packers. */
#include <stdarg.h>
#include <sys/file.h>
#include <sys/mman.h>

#include "verify_help.h"

#include "sys.h"

enum {
  CALLS_MAX = 5000,
  WRITERS = 4,
  WRITER_SAVES = 120,
  WRITER_SAVES_MAX = 900,
  LOOKS_MIN = 3,
  BATCH = 20
};

static help_records before;
static const uint64_t lost[] = {7, 13, 33, 40};

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...) {
  char command[4 * SCRATCH_PATH_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(command, sizeof command, format, args);
  va_end(args);
  ck_assert_int_eq(system(command), 0);
}

static void damage(void) {
  help_flip(help_log(7), 40, 1);
  char *text = scratch_read_file(help_log(BATCH_A), NULL);
  char *third = strchr(strchr(text, '\n') + 1, '\n') + 1;
  help_flip(help_log(BATCH_A), third - text + 50, 4);
  free(text);
  ck_assert_int_eq(unlink(help_log(33)), 0);
  ck_assert_int_eq(symlink("/etc/hostname", help_log(33)), 0);
  ck_assert_int_eq(unlink(help_log(40)), 0);
  help_flip(help_below("log/mark"), 20, 2);
  help_flip(help_below("holdfast.json"), 30, 1);
  help_write(help_below("log/notes"), "not ours\n");
}

static void begin_sound(void) {
  help_store();
  help_remember(&before);
}

static void begin(void) {
  begin_sound();
  damage();
  run("cp -a '%s' '%s/template'", here.store, here.folder);
}

static void end(void) {
  hf_sys = &hf_sys_real;
  help_forget(&before);
  help_end();
}

static void restore(void) {
  run("rm -rf '%s' && cp -a '%s/template' '%s'", here.store, here.folder, here.store);
}

/* What was damaged lies in quarantine/, byte for byte. */
static void check_kept(void) {
  static const char *const names[] = {"log/00000000000000000007.json",
                                      "log/00000000000000000011.json", "log/notes", "holdfast.json",
                                      "log/mark"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char path[2 * SCRATCH_PATH_BYTES];
    size_t bytes = 0;
    (void)snprintf(path, sizeof path, "%s/template/%s", here.folder, names[i]);
    char *text = scratch_read_file(path, &bytes);
    ck_assert_msg(help_kept(text, bytes) >= 1, "%s is not kept", names[i]);
    free(text);
  }
}

/* ---- the table that counts ---- */

static hf_sys_table table;
static long calls;
static long stop_at;
static int fail_with; /* 0: the process ends there */

static int now(void) {
  if (++calls != stop_at)
    return 0;
  if (fail_with == 0)
    _exit(99);
  errno = fail_with;
  return 1;
}

static int is_sweep_of_errors(void) {
  return fail_with != 0;
}

static int count_openat(int dirfd, const char *name, int flags, mode_t mode) {
  if (((flags & O_CREAT) != 0 || is_sweep_of_errors()) && now())
    return -1;
  return hf_sys_real.openat(dirfd, name, flags, mode);
}

static ssize_t count_pread(int fd, void *bytes, size_t count, off_t offset) {
  return is_sweep_of_errors() && now() ? -1 : hf_sys_real.pread(fd, bytes, count, offset);
}

static ssize_t count_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  return now() ? -1 : hf_sys_real.pwrite(fd, bytes, count, offset);
}

static int count_fsync(int fd) {
  return now() ? -1 : hf_sys_real.fsync(fd);
}

static int count_ftruncate(int fd, off_t length) {
  return now() ? -1 : hf_sys_real.ftruncate(fd, length);
}

static int count_fstat(int fd, struct stat *st) {
  return is_sweep_of_errors() && now() ? -1 : hf_sys_real.fstat(fd, st);
}

static int count_fstatat(int dirfd, const char *name, struct stat *st, int flags) {
  return is_sweep_of_errors() && now() ? -1 : hf_sys_real.fstatat(dirfd, name, st, flags);
}

static int count_linkat(int from, const char *name, int to, const char *new_name, int flags) {
  return now() ? -1 : hf_sys_real.linkat(from, name, to, new_name, flags);
}

static int count_renameat2(int from, const char *name, int to, const char *new_name,
                           unsigned flags) {
  return now() ? -1 : hf_sys_real.renameat2(from, name, to, new_name, flags);
}

static int count_unlinkat(int dirfd, const char *name, int flags) {
  return now() ? -1 : hf_sys_real.unlinkat(dirfd, name, flags);
}

static int count_mkdirat(int dirfd, const char *name, mode_t mode) {
  return now() ? -1 : hf_sys_real.mkdirat(dirfd, name, mode);
}

static struct dirent *count_readdir(DIR *dir) {
  return is_sweep_of_errors() && now() ? NULL : hf_sys_real.readdir(dir);
}

static void use_table(long at, int error) {
  table = hf_sys_real;
  table.openat = count_openat;
  table.pread = count_pread;
  table.pwrite = count_pwrite;
  table.fsync = count_fsync;
  table.ftruncate = count_ftruncate;
  table.fstat = count_fstat;
  table.fstatat = count_fstatat;
  table.linkat = count_linkat;
  table.renameat2 = count_renameat2;
  table.unlinkat = count_unlinkat;
  table.mkdirat = count_mkdirat;
  table.readdir = count_readdir;
  calls = 0;
  stop_at = at;
  fail_with = error;
  hf_sys = &table;
}

/* ---- the sweeps ---- */

static int repair_in_child(long at) {
  int status = 0;
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    use_table(at, 0);
    _exit(help_verify_path(here.store, 0, 1, NULL) == HF_OK ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert(WIFEXITED(status));
  return WEXITSTATUS(status);
}

START_TEST(killed_at_each_change) {
  long at = 1;
  for (; at < CALLS_MAX; at++) {
    restore();
    int code = repair_in_child(at);
    ck_assert_msg(code == 99 || code == 0, "call %ld: status %d", at, code);
    if (code == 0)
      break;
    help_verify(0);
    help_verify(1);
    help_promises(&before, lost, 4);
    check_kept();
  }
  ck_assert_int_gt(at, 30);
  ck_assert_int_lt(at, CALLS_MAX);
}
END_TEST

/* Killed again and again, each repair going a little further than the one before. */
START_TEST(killed_many_times) {
  restore();
  for (long at = 1; at < CALLS_MAX && repair_in_child(at) != 0; at++)
    continue;
  help_verify(1);
  help_promises(&before, lost, 4);
  check_kept();
}
END_TEST

static const int errors[] = {EIO, ENOSPC, EACCES};

START_TEST(each_call_fails) {
  long at = 1;
  long failed = 0;
  for (; at < CALLS_MAX; at++) {
    restore();
    use_table(at, errors[_i]);
    hf_error err = HF_ERROR_INIT;
    int status = help_verify_path(here.store, 0, 1, &err);
    hf_sys = &hf_sys_real;
    failed += status != HF_OK;
    if (calls < at)
      break;
    if (status != HF_OK) {
      ck_assert_msg(err.message[0] != '\0' && err.place[0] != '\0', "call %ld says nothing", at);
    }
    help_verify(1);
    help_promises(&before, lost, 4);
  }
  ck_assert_int_gt(failed, 30);
  ck_assert_int_lt(at, CALLS_MAX);
}
END_TEST

/* ---- the lock ---- */

START_TEST(repair_waits_for_the_lock) {
  hf_error err = HF_ERROR_INIT;
  hf_verify_options options = {.repair = 1, .timeout_ms = 100};
  hf_verify_report report;
  help_flip(help_log(7), 40, 1);
  int fd = open(help_below("lock"), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  ck_assert_int_eq(hf_verify(here.store, &options, &report, &err), HF_ELOCK);
  ck_assert_uint_eq(report.repaired, 0);
  help_verify(0); /* to look takes no lock */
  help_found_only("bit-flip", 7, NULL);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_verify(here.store, &options, &report, &err), HF_OK);
  ck_assert_uint_eq(report.repaired, 1);
}
END_TEST

START_TEST(other_lockers) {
  end();
  help_store_with("none");
  help_remember(&before);
  damage();
  run("cp -a '%s' '%s/template'", here.store, here.folder);
  help_verify(1);
  help_promises(&before, lost, 4);
  check_kept();
}
END_TEST

static int stop_soon(void *context, const char *what, uint64_t done, uint64_t total) {
  int *asked = context;
  ck_assert_str_eq(what, "records");
  ck_assert_uint_le(done, total);
  return ++*asked > 1;
}

START_TEST(stopped_by_its_caller) {
  int asked = 0;
  hf_verify_options options = {.progress = stop_soon, .progress_context = &asked};
  ck_assert_int_eq(hf_verify(here.store, &options, NULL, NULL), HF_ECANCELLED);
  ck_assert_int_eq(asked, 2);
}
END_TEST

/* ---- beside writers ---- */

static struct {
  _Atomic int looks; /* of verify: the writers go on until there were some */
  _Atomic unsigned saves;
} * shared;

static void write_on(int number) {
  hf_store *store = scratch_open(&here);
  for (int i = 0; i < WRITER_SAVES || (i < WRITER_SAVES_MAX && shared->looks < LOOKS_MIN); i++) {
    char name[48];
    (void)snprintf(name, sizeof name, "writer_%d_%d", number, i);
    if (scratch_save(store, name, "S", "{\"a\":1}", NULL, NULL) != HF_OK)
      _exit(1);
    ++shared->saves;
    if (i % 16 == 0) {
      help_batch(store, BATCH, 1000 * number + i);
      shared->saves += BATCH;
    }
    if (number == 0 && i % 30 == 0) {
      uint64_t packed = 0;
      if (scratch_pack(store, &packed, NULL) != HF_OK)
        _exit(2);
    }
  }
  hf_close(&store);
  _exit(0);
}

START_TEST(verify_beside_writers_and_packers) {
  pid_t pids[WRITERS];
  int running = WRITERS;
  uint64_t head = 0;
  shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(shared, MAP_FAILED);
  end();
  help_store_with(_i == 0 ? "flock" : "none");
  help_remember(&before);
  for (int i = 0; i < WRITERS; i++) {
    pids[i] = fork();
    if (pids[i] == 0)
      write_on(i);
    ck_assert_int_gt(pids[i], 0);
  }
  while (running > 0) {
    int status = 0;
    help_verify(0);
    help_clean();
    ck_assert_uint_eq(help_report.records, help_report.head);
    ck_assert_uint_ge(help_report.head, head); /* it only grows */
    head = help_report.head;
    ++shared->looks;
    for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
      ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
      running--;
    }
  }
  ck_assert_int_ge(shared->looks, LOOKS_MIN);
  help_verify(0);
  help_clean();
  ck_assert_uint_eq(help_report.head, RECORDS + shared->saves);
  (void)munmap(shared, sizeof *shared);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("repair_crash");
  TCase *sweeps = tcase_create("sweeps");
  tcase_set_timeout(sweeps, 240);
  tcase_add_checked_fixture(sweeps, begin, end);
  tcase_add_test(sweeps, killed_at_each_change);
  tcase_add_test(sweeps, killed_many_times);
  tcase_add_loop_test(sweeps, each_call_fails, 0, sizeof errors / sizeof errors[0]);
  suite_add_tcase(s, sweeps);
  TCase *others = tcase_create("others");
  tcase_set_timeout(others, 120);
  tcase_add_checked_fixture(others, begin_sound, end);
  tcase_add_test(others, repair_waits_for_the_lock);
  tcase_add_test(others, other_lockers);
  tcase_add_test(others, stopped_by_its_caller);
  tcase_add_loop_test(others, verify_beside_writers_and_packers, 0, 2);
  suite_add_tcase(s, others);
  return s;
}

int main(void) {
  return help_run(suite());
}
