#include "repair.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "err.h"
#include "file.h"
#include "fs.h"
#include "json.h"
#include "store_locker.h"
#include "sys.h"

#include "banned.h"

static const char lock_name[] = "lock";
static const char quarantine[] = "quarantine";

/* "2026-01-02T03:04:05.678901Z" -> "20260102T030405Z" */
static void make_stamp(char *stamp, size_t bytes) {
  char now[HF_RFC3339_BYTES];
  size_t used = 0;
  hf_rfc3339_from_us(hf_realtime_us(), now);
  for (const char *at = now; *at != '\0' && *at != '.' && used + 2 < bytes; at++)
    if (*at != '-' && *at != ':')
      stamp[used++] = *at;
  stamp[used++] = 'Z';
  stamp[used] = '\0';
}

static int take_host(hf_repair *repair, hf_error *reterr) {
  char name[64] = "";
  hf_autobuf text = {0};
  if (gethostname(name, sizeof name - 1) != 0 || !hf_utf8_valid(name, strlen(name)))
    name[0] = '\0';
  if (hf_json_add_string(&text, name, strlen(name)) != 0)
    return hf_err_nomem(reterr);
  (void)snprintf(repair->host, sizeof repair->host, "%s",
                 text.used < sizeof repair->host ? text.data : "\"\"");
  return HF_OK;
}

int hf_repair_folder(hf_verify_work *work, const char *name, hf_error *reterr) {
  hf_autofd int fd = -1;
  int status = hf_dir_make(work->root_fd, name, &fd, NULL, reterr);
  if (status == HF_OK)
    status = hf_dir_fsync(fd, name, reterr);
  return status == HF_OK ? hf_dir_fsync(work->root_fd, work->path, reterr) : status;
}

/* Whatever else stands in the place of quarantine/ goes into it. */
static int open_quarantine(hf_verify_work *work, hf_error *reterr) {
  hf_repair *repair = work->repair;
  char aside[64] = "";
  char kept[HF_VERIFY_PATH_BYTES];
  int is = hf_verify_name(work->root_fd, quarantine, "", NULL, NULL, reterr);
  if (is < 0)
    return is;
  if (is != HF_NAME_ABSENT && is != HF_NAME_FOLDER) {
    (void)snprintf(aside, sizeof aside, "%s-%s", quarantine, repair->stamp);
    if (hf_sys_rename(work->root_fd, quarantine, work->root_fd, aside, 0) != 0)
      return hf_err_sys(reterr, HF_EIO, errno, quarantine, "cannot move it aside");
  }
  int status = is == HF_NAME_FOLDER ? HF_OK : hf_repair_folder(work, quarantine, reterr);
  if (status == HF_OK)
    status = hf_dir_open(work->root_fd, quarantine, &repair->quarantine_fd, reterr);
  if (status == HF_OK && aside[0] != '\0') {
    status = hf_repair_move(work, work->root_fd, "", aside, kept, reterr);
    if (status == HF_OK)
      hf_verify_say(work, HF_SAY_DAMAGE | HF_SAY_REPAIRED, "foreign", 0, quarantine,
                    "%s stood here; it is now %s", hf_verify_name_text((hf_kind_of_name)is), kept);
  }
  return status;
}

/* A lock that is no file cannot be locked, and nobody holds it. */
static int clear_lock_name(hf_verify_work *work, hf_error *reterr) {
  int is = hf_verify_name(work->root_fd, lock_name, "", NULL, NULL, reterr);
  if (is < 0 || is == HF_NAME_ABSENT || is == HF_NAME_FILE)
    return is < 0 ? is : HF_OK;
  return hf_verify_foreign(work, work->root_fd, "", lock_name, 0,
                           hf_verify_name_text((hf_kind_of_name)is), reterr);
}

static int acquire(hf_verify_work *work, hf_repair_lock *lock, const char *scheme,
                   int64_t deadline_ms, hf_error *reterr) {
  const hf_config *config = work->options->config;
  const char *options = config != NULL ? hf_config_locker_options(config, scheme) : NULL;
  hf_locker_open_args args = {work->path,
                              work->manifest_good ? work->manifest.uuid
                                                  : "00000000-0000-0000-0000-000000000000",
                              options, "verify --repair"};
  lock->ops = hf_locker_find(scheme);
  if (lock->ops == NULL)
    return hf_err(reterr, HF_ECONFIG, work->path,
                  "the store's locker %s %s; repair with one that has it", scheme,
                  hf_config_scheme_absence(scheme));
  int status = lock->ops->open(&args, &lock->state, reterr);
  if (status != HF_OK)
    return status;
  int granted = lock->ops->acquire(lock->state, lock_name, deadline_ms, &lock->grant, reterr);
  return granted == 1 ? HF_OK : granted == 0 ? HF_ELOCK : granted;
}

/* The store's own locker, as the log says; as the manifest does where the log cannot be read. "":
 * nothing tells. */
static void find_locker(const hf_verify_work *work, char scheme[HF_LOCKER_NAME_BYTES_MAX + 1]) {
  scheme[0] = '\0';
  if (work->manifest_good && hf_store_locker_at(work->path, scheme, NULL) != HF_OK)
    (void)snprintf(scheme, HF_LOCKER_NAME_BYTES_MAX + 1, "%s", work->manifest.locker);
}

static int take_locks(hf_verify_work *work, hf_error *reterr) {
  static const char flock_scheme[] = "flock";
  hf_repair *repair = work->repair;
  char scheme[HF_LOCKER_NAME_BYTES_MAX + 1];
  char again[HF_LOCKER_NAME_BYTES_MAX + 1];
  int64_t deadline_ms = hf_deadline_ms(work->options->timeout_ms);
  int status = acquire(work, &repair->lock[0], flock_scheme, deadline_ms, reterr);
  if (status != HF_OK)
    return status;
  find_locker(work, scheme);
  if (scheme[0] != '\0' && strcmp(scheme, flock_scheme) != 0)
    status = acquire(work, &repair->lock[1], scheme, deadline_ms, reterr);
  if (status != HF_OK)
    return status;
  find_locker(work, again); /* it may have been changed while we waited */
  return strcmp(again, scheme) == 0
             ? HF_OK
             : hf_err(reterr, HF_ELOCK, work->path,
                      "the store's locker was changed to %s meanwhile; repair once more", again);
}

int hf_repair_begin(hf_verify_work *work, hf_error *reterr) {
  hf_repair *repair = calloc(1, sizeof *repair);
  if (repair == NULL)
    return hf_err_nomem(reterr);
  repair->quarantine_fd = repair->mark_fd = -1;
  work->repair = repair;
  make_stamp(repair->stamp, sizeof repair->stamp);
  /* where open does not ask the server, what is there may seem to be missing */
  int status = hf_fs_check_mount(&work->fs, work->path, reterr);
  if (status == HF_OK)
    status = take_host(repair, reterr);
  if (status == HF_OK)
    status = open_quarantine(work, reterr);
  if (status == HF_OK)
    status = clear_lock_name(work, reterr);
  if (status == HF_OK)
    status = take_locks(work, reterr);
  if (status != HF_OK)
    return status;
  hf_buf_clear(&work->manifest_text); /* another repair may have been faster */
  return hf_verify_manifest_read(work, reterr);
}

int hf_repair_end(hf_verify_work *work, hf_error *reterr) {
  hf_repair *repair = work->repair;
  int status = HF_OK;
  if (repair == NULL)
    return HF_OK;
  for (int i = HF_REPAIR_LOCKS - 1; i >= 0; i--) {
    hf_repair_lock *lock = &repair->lock[i];
    if (lock->grant.hold != NULL &&
        lock->ops->release(lock->state, &lock->grant, work->report->head, NULL) == 0)
      status = hf_err(reterr, HF_ELOCK, work->path,
                      "the lock was lost before the repair was done; repair once more");
    if (lock->state != NULL)
      lock->ops->close(&lock->state);
  }
  if (repair->new_mark[0] != '\0' && work->stage_fd >= 0)
    (void)hf_sys_unlink(work->stage_fd, repair->new_mark, 0);
  hf_fd_cleanup(&repair->mark_fd);
  hf_fd_cleanup(&repair->quarantine_fd);
  free(repair);
  work->repair = NULL;
  return status;
}

int hf_repair_still_ours(hf_verify_work *work, hf_error *reterr) {
  for (int i = 0; i < HF_REPAIR_LOCKS; i++) {
    const hf_repair_lock *lock = &work->repair->lock[i];
    if (lock->grant.hold == NULL || (lock->ops->traits & HF_LOCKER_GRANT_CAN_END) == 0 ||
        lock->ops->verify == NULL)
      continue;
    if (lock->ops->verify(lock->state, &lock->grant, NULL) != 1)
      return hf_err(reterr, HF_ELOCK, work->path,
                    "the lock was lost, its lease has run out; repair once more");
  }
  return HF_OK;
}
