#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "probe.h"
#include "sys.h"

#include "banned.h"

enum {
  FSYNC_ROUNDS = 15,
  FSYNC_US_MAX = 2000000,  /* all rounds together; a slow disk gets fewer */
  FSYNC_SLOW_US = 100000,  /* a save waits for two of them */
  FSYNC_UNLIKELY_US = 10,  /* no disk and no server answers in so little */
  FSYNC_FILE_BYTES = 2048, /* as a usual snapshot */
  TIMES_STEPS = 32,
  TIMES_US_MAX = 100000
};

/* ---- link, rename ---- */

void hf_doctor_try_publish(hf_doctor_run *run) {
  hf_autofd int from = -1;
  hf_autofd int to = -1;
  hf_error error = HF_ERROR_INIT;
  hf_probe probe;
  int status = hf_dir_make(run->scratch_fd, "from", &from, NULL, &error);
  if (status == HF_OK)
    status = hf_dir_make(run->scratch_fd, "to", &to, NULL, &error);
  if (status == HF_OK)
    status = hf_probe_between(from, to, &probe, &error);
  if (status != HF_OK) {
    hf_doctor_tell_error(run, "link", &error);
    return;
  }
  int by_rename = run->is_store && strcmp(run->manifest.publish, "rename") == 0;
  hf_verdict link = probe.can_link     ? HF_VERDICT_GOOD
                    : probe.can_rename ? HF_VERDICT_CAUTION
                                       : HF_VERDICT_BAD;
  if (run->is_store && !by_rename && !probe.can_link)
    link = HF_VERDICT_BAD;
  hf_verdict rename = probe.can_rename ? HF_VERDICT_GOOD
                      : by_rename      ? HF_VERDICT_BAD
                      : probe.can_link ? HF_VERDICT_GOOD
                                       : HF_VERDICT_BAD;
  hf_doctor_tell(run, "link", link, 0, "", "%s%s", probe.link_text,
                 link == HF_VERDICT_CAUTION ? "; a store here would publish by renameat2" : "");
  hf_doctor_tell(run, "rename", rename, 0, "", "%s%s", probe.rename_text,
                 !probe.can_rename && probe.can_link && !by_rename ? "; link is enough" : "");
}

/* ---- fsync ---- */

static int64_t now_us(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int by_value(const void *a, const void *b) {
  int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;
  return one < two ? -1 : one > two;
}

typedef struct costs {
  int64_t file_us[FSYNC_ROUNDS];
  int64_t folder_us[FSYNC_ROUNDS];
  size_t count;
} costs;

/* A new file with its fsync, then a new name with the folder's: what a save does. */
static int measure_once(hf_doctor_run *run, costs *into, hf_error *reterr) {
  char bytes[FSYNC_FILE_BYTES];
  memset(bytes, 'h', sizeof bytes);
  int64_t began_us = now_us();
  int status = hf_file_create(run->scratch_fd, "fsync", bytes, sizeof bytes, 1, reterr);
  int64_t written_us = now_us();
  if (status != HF_OK)
    return status;
  if (hf_sys_rename(run->scratch_fd, "fsync", run->scratch_fd, "fsync-done", 0) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, "fsync-done", "cannot rename a scratch file");
  status = hf_dir_fsync(run->scratch_fd, "the scratch folder", reterr);
  if (status != HF_OK)
    return status;
  into->file_us[into->count] = written_us - began_us;
  into->folder_us[into->count] = now_us() - written_us;
  into->count++;
  if (hf_sys_unlink(run->scratch_fd, "fsync-done", 0) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, "fsync-done", "cannot remove a scratch file");
  return HF_OK;
}

static void tell_cost(hf_doctor_run *run, const char *name, const char *what, int64_t *us,
                      size_t count) {
  qsort(us, count, sizeof *us, by_value);
  int64_t median_us = us[count / 2];
  int is_memory = strcmp(run->fs.acting_type, "tmpfs") == 0;
  int is_slow = median_us > FSYNC_SLOW_US;
  int is_unlikely = median_us < FSYNC_UNLIKELY_US && !is_memory;
  hf_doctor_tell(run, name, is_slow || is_unlikely ? HF_VERDICT_CAUTION : HF_VERDICT_GOOD,
                 (double)median_us, "us", "%s takes %lld us (median of %zu, at worst %lld)%s", what,
                 (long long)median_us, count, (long long)us[count - 1],
                 is_slow       ? "; every save waits for it: the disk is slow or busy"
                 : is_unlikely ? "; that is too quick for a disk: is fsync switched off here?"
                               : "");
}

void hf_doctor_try_fsync(hf_doctor_run *run) {
  costs measured = {.count = 0};
  hf_error error = HF_ERROR_INIT;
  int64_t end_us = now_us() + FSYNC_US_MAX;
  int status = HF_OK;
  for (int i = 0; i < FSYNC_ROUNDS && status == HF_OK && (i == 0 || now_us() < end_us); i++)
    status = measure_once(run, &measured, &error);
  if (status != HF_OK) {
    hf_doctor_tell_error(run, "fsync-file", &error);
    return;
  }
  tell_cost(run, "fsync-file", "a new file of 2 KB with its fsync", measured.file_us,
            measured.count);
  tell_cost(run, "fsync-folder", "a new name with the folder's fsync", measured.folder_us,
            measured.count);
}

/* ---- flock ---- */

/* 1: two descriptions exclude each other. 0: they do not. */
static int exclude_each_other(int one, int two, hf_error *reterr) {
  if (hf_sys->flock(one, LOCK_EX | LOCK_NB) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, NULL, "flock failed");
  int excluded = hf_sys->flock(two, LOCK_EX | LOCK_NB) != 0;
  if (excluded && errno != EWOULDBLOCK)
    return hf_err_sys(reterr, HF_EIO, errno, NULL, "flock failed");
  if (hf_sys->flock(one, LOCK_UN) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, NULL, "flock failed");
  return excluded && hf_sys->flock(two, LOCK_EX | LOCK_NB) == 0;
}

void hf_doctor_try_flock(hf_doctor_run *run) {
  hf_error error = HF_ERROR_INIT;
  const char *caution = hf_fs_locker_caution(&run->fs, "flock");
  hf_autofd int one = hf_sys_openat(run->scratch_fd, "flock", O_RDWR | O_CREAT, 0666);
  hf_autofd int two = one >= 0 ? hf_sys_openat(run->scratch_fd, "flock", O_RDWR, 0) : -1;
  int excluded = one >= 0 && two >= 0
                     ? exclude_each_other(one, two, &error)
                     : hf_err_sys(&error, HF_EIO, errno, NULL, "cannot open a scratch file");
  if (one < 0 || two < 0)
    hf_doctor_tell_error(run, "flock", &error);
  else if (excluded == 1)
    hf_doctor_tell(run, "flock", HF_VERDICT_GOOD, 0, "", "excludes within this host%s%s",
                   caution != NULL ? "; " : "", caution != NULL ? caution : "");
  else
    hf_doctor_tell(run, "flock", HF_VERDICT_CAUTION, 0, "",
                   "%s; the locker flock is of no use here, another one is",
                   excluded == 0 ? "grants the lock to two at once" : error.message);
}

/* ---- file times ---- */

static int64_t modified_ns(const struct stat *st) {
  return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

/* The least step that a file's time is seen to make. Nothing depends on it; it tells how much a
 * client's memory of folders can be trusted (two changes within one step look like one). */
static int find_step(hf_doctor_run *run, int fd, int64_t *ret_step_ns, hf_error *reterr) {
  struct stat st;
  int64_t last_ns = 0, step_ns = INT64_MAX, end_us = now_us() + TIMES_US_MAX;
  for (int steps = -1; steps < TIMES_STEPS && now_us() < end_us;) {
    if (hf_sys_pwrite_full(fd, "h", 1, 0) != 0 || hf_sys_fstat(fd, &st) != 0)
      return hf_err_sys(reterr, HF_EIO, errno, NULL, "cannot write a scratch file");
    int64_t now_ns = modified_ns(&st);
    if (now_ns == last_ns)
      continue;
    if (steps < 0)
      run->file_time_ahead_ms = now_ns / 1000000 - hf_realtime_us() / 1000;
    else if (now_ns - last_ns > 0 && now_ns - last_ns < step_ns)
      step_ns = now_ns - last_ns;
    last_ns = now_ns;
    steps++;
  }
  *ret_step_ns = step_ns;
  return HF_OK;
}

void hf_doctor_try_times(hf_doctor_run *run) {
  hf_error error = HF_ERROR_INIT;
  int64_t step_ns = 0;
  hf_autofd int fd = hf_sys_openat(run->scratch_fd, "times", O_RDWR | O_CREAT, 0666);
  int status = fd >= 0 ? find_step(run, fd, &step_ns, &error)
                       : hf_err_sys(&error, HF_EIO, errno, NULL, "cannot open a scratch file");
  if (status != HF_OK)
    hf_doctor_tell_error(run, "file-times", &error);
  else if (step_ns == INT64_MAX)
    hf_doctor_tell(run, "file-times", HF_VERDICT_GOOD, 0, "",
                   "did not move within %d ms (nothing depends on them)", TIMES_US_MAX / 1000);
  else
    hf_doctor_tell(run, "file-times", HF_VERDICT_GOOD, (double)step_ns / 1000, "us",
                   "move in steps of %.3f ms (nothing depends on them)", (double)step_ns / 1e6);
}
