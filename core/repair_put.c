/* New files, put in their places. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "repair.h"
#include "sys.h"

#include "banned.h"

static int stage_text(hf_verify_work *work, const hf_buf *text, char staged[HF_ID_CHARS + 1],
                      hf_error *reterr) {
  hf_id id;
  if (work->stage_fd < 0)
    return hf_err(reterr, HF_EIO, "stage", "there is no folder to prepare files in");
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  status = hf_file_create(work->stage_fd, staged, text->used > 0 ? text->data : "", text->used, 1,
                          reterr);
  if (status != HF_OK)
    hf_err_place_below(reterr, "stage");
  return status;
}

/* Makes the folder of "000/0.jsonl". */
static int make_folder_of(int dirfd, const char *name, hf_error *reterr) {
  char folder[HF_TILE_NAME_BYTES];
  const char *slash = strchr(name, '/');
  hf_autofd int fd = -1;
  if (slash == NULL)
    return HF_OK;
  (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
  return hf_dir_make(dirfd, folder, &fd, NULL, reterr);
}

static int fsync_folders(int dirfd, const char *folder, const char *name, hf_error *reterr) {
  char below[HF_TILE_NAME_BYTES];
  const char *slash = strchr(name, '/');
  if (slash != NULL) {
    hf_autofd int fd = -1;
    (void)snprintf(below, sizeof below, "%.*s", (int)(slash - name), name);
    int status = hf_dir_open(dirfd, below, &fd, reterr);
    if (status == HF_OK)
      status = hf_dir_fsync(fd, folder, reterr);
    if (status != HF_OK)
      return status;
  }
  return hf_dir_fsync(dirfd, folder, reterr);
}

/* Does the name hold this text? No return value is trusted where the filesystem is not known to be
 * local. */
static int read_back(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                     const hf_buf *text, hf_error *reterr) {
  hf_autobuf there = {0};
  if (!work->shared)
    return HF_OK;
  int got = hf_file_read(dirfd, name, text->used, &there, reterr);
  if (got < 0 && got != HF_ELIMIT)
    return got;
  if (got == 1 && there.used == text->used &&
      (text->used == 0 || memcmp(there.data, text->data, text->used) == 0))
    return HF_OK;
  int status = hf_err(reterr, HF_EIO, name,
                      "the file that was just put there is not there; repair once more, or from "
                      "another host");
  hf_err_place_below(reterr, folder);
  return status;
}

int hf_repair_publish(hf_verify_work *work, const char *staged, int dirfd, const char *folder,
                      const char *name, hf_error *reterr) {
  int rename_mode = work->manifest_good && strcmp(work->manifest.publish, "rename") == 0;
  int failed = rename_mode ? -1 : hf_sys_link(work->stage_fd, staged, dirfd, name);
  int sys_errno = errno;
  if (failed != 0 && (rename_mode || (sys_errno != EEXIST && sys_errno != ENOENT))) {
    /* no hard links, as far as can be told */
    failed = hf_sys_rename(work->stage_fd, staged, dirfd, name, RENAME_NOREPLACE);
    sys_errno = errno;
  }
  if (failed != 0 && sys_errno == EEXIST &&
      work->shared) { /* a repeated request? the inode tells */
    struct stat ours;
    struct stat there;
    if (hf_sys_fstatat(work->stage_fd, staged, &ours) == 0 &&
        hf_sys_fstatat(dirfd, name, &there) == 0 && ours.st_ino == there.st_ino)
      failed = 0;
  }
  (void)hf_sys_unlink(work->stage_fd, staged, 0);
  if (failed == 0)
    return 1;
  if (sys_errno == EEXIST)
    return 0;
  int status = hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot put the new file in place");
  hf_err_place_below(reterr, folder);
  return status;
}

int hf_repair_place(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                    const hf_buf *text, hf_error *reterr) {
  char staged[HF_ID_CHARS + 1];
  int status = hf_repair_still_ours(work, reterr);
  if (status == HF_OK)
    status = make_folder_of(dirfd, name, reterr);
  if (status == HF_OK)
    status = stage_text(work, text, staged, reterr);
  if (status != HF_OK)
    return status;
  int placed = hf_repair_publish(work, staged, dirfd, folder, name, reterr);
  if (placed != 1)
    return placed;
  status = fsync_folders(dirfd, folder, name, reterr);
  if (status == HF_OK)
    status = read_back(work, dirfd, folder, name, text, reterr);
  return status == HF_OK ? 1 : status;
}

int hf_repair_replace(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                      const hf_buf *text, hf_error *reterr) {
  char staged[HF_ID_CHARS + 1];
  int status = hf_repair_still_ours(work, reterr);
  if (status == HF_OK)
    status = stage_text(work, text, staged, reterr);
  if (status != HF_OK)
    return status;
  if (hf_sys_rename(work->stage_fd, staged, dirfd, name, 0) != 0) {
    int sys_errno = errno;
    (void)hf_sys_unlink(work->stage_fd, staged, 0);
    status = hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot replace the damaged file");
    hf_err_place_below(reterr, folder);
    return status;
  }
  status = fsync_folders(dirfd, folder, name, reterr);
  return status == HF_OK ? read_back(work, dirfd, folder, name, text, reterr) : status;
}
