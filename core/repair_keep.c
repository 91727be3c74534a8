/* quarantine/: copies of what was damaged, and what was not ours. Never replaced, never removed. */
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

enum { COPY_CHUNK_BYTES = 64 * 1024, NAME_BYTES = 256, ORIGINAL_BYTES_MAX = 180 };

/* "20260102T030405Z-log-00000000000000000007.json", then with "-2", "-3" ... at its end. */
static void name_kept(const hf_repair *repair, const char *folder, const char *name, int number,
                      char out[NAME_BYTES]) {
  char suffix[16] = "";
  if (number > 1)
    (void)snprintf(suffix, sizeof suffix, "-%d", number);
  (void)snprintf(out, NAME_BYTES, "%s-%.24s%s%.*s%s", repair->stamp, folder,
                 folder[0] != '\0' ? "-" : "", ORIGINAL_BYTES_MAX, name, suffix);
  for (char *at = out; *at != '\0'; at++)
    if (*at == '/')
      *at = '-';
}

static int copy_bytes(int from_fd, int to_fd, uint32_t *ret_crc, uint64_t *ret_bytes) {
  char chunk[COPY_CHUNK_BYTES];
  uint64_t at = 0;
  *ret_crc = 0;
  for (;;) {
    ssize_t got = hf_sys_pread_full(from_fd, chunk, sizeof chunk, (off_t)at);
    if (got < 0)
      return -1;
    if (got > 0 && hf_sys_pwrite_full(to_fd, chunk, (size_t)got, (off_t)at) != 0)
      return -1;
    *ret_crc = hf_crc32c(*ret_crc, chunk, (size_t)got);
    at += (uint64_t)got;
    if ((size_t)got < sizeof chunk)
      break;
  }
  *ret_bytes = at;
  return 0;
}

/* Copies a file to stage/<new id>, durably. */
static int copy_to_stage(hf_verify_work *work, int dirfd, const char *name,
                         char staged[HF_ID_CHARS + 1], uint32_t *ret_crc, uint64_t *ret_bytes,
                         hf_error *reterr) {
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  hf_autofd int from_fd = hf_sys_openat(dirfd, name, O_RDONLY, 0);
  if (from_fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot open it to keep a copy");
  hf_autofd int to_fd = hf_sys_openat(work->stage_fd, staged, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (to_fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, "stage", "cannot make a file for a copy");
  int failed = copy_bytes(from_fd, to_fd, ret_crc, ret_bytes);
  if (failed == 0)
    failed = hf_sys_fsync(to_fd);
  if (failed == 0)
    failed = hf_sys_close(hf_fd_take(&to_fd));
  if (failed != 0) {
    int sys_errno = errno;
    (void)hf_sys_unlink(work->stage_fd, staged, 0);
    return hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot keep a copy of it");
  }
  return HF_OK;
}

/* A second link to the file itself: 1, 0 (a copy must do), negative. */
static int keep_link(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                     char kept[NAME_BYTES], hf_error *reterr) {
  struct stat original;
  struct stat linked;
  for (int number = 1; number <= HF_REPAIR_NAMES_MAX; number++) {
    name_kept(work->repair, folder, name, number, kept);
    if (hf_sys_link(dirfd, name, work->repair->quarantine_fd, kept) == 0) {
      if (hf_sys_fstatat(dirfd, name, &original) != 0 ||
          hf_sys_fstatat(work->repair->quarantine_fd, kept, &linked) != 0 ||
          original.st_ino != linked.st_ino)
        return hf_err(reterr, HF_EIO, name, "link answered that it is done, and it is not");
      hf_autofd int fd = hf_sys_openat(work->repair->quarantine_fd, kept, O_RDONLY, 0);
      if (fd < 0 || hf_sys_fsync(fd) != 0)
        return hf_err_sys(reterr, HF_EIO, errno, name, "fsync of what is kept failed");
      return 1;
    }
    if (errno != EEXIST)
      return 0; /* no hard links here, or too many to this file */
  }
  return 0;
}

static int keep_copy(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                     char kept[NAME_BYTES], hf_error *reterr) {
  for (int number = 1; number <= HF_REPAIR_NAMES_MAX; number++) {
    char staged[HF_ID_CHARS + 1];
    uint32_t crc;
    uint64_t bytes;
    name_kept(work->repair, folder, name, number, kept);
    int is = hf_verify_name(work->repair->quarantine_fd, kept, "quarantine", NULL, NULL, reterr);
    if (is < 0)
      return is;
    if (is != HF_NAME_ABSENT)
      continue;
    int status = copy_to_stage(work, dirfd, name, staged, &crc, &bytes, reterr);
    if (status != HF_OK)
      return status;
    status =
        hf_repair_publish(work, staged, work->repair->quarantine_fd, "quarantine", kept, reterr);
    if (status != 0)
      return status < 0 ? status : HF_OK;
  }
  return hf_err(reterr, HF_EIO, "quarantine", "there is no free name for a copy of %s", name);
}

static void say_kept(const char *kept, char *ret_kept) {
  (void)snprintf(ret_kept, HF_VERIFY_PATH_BYTES, "quarantine/%s", kept);
}

int hf_repair_keep(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                   int replaced, char *ret_kept, hf_error *reterr) {
  char kept[NAME_BYTES];
  int status = hf_repair_still_ours(work, reterr);
  if (status != HF_OK)
    return status;
  int linked = replaced ? keep_link(work, dirfd, folder, name, kept, reterr) : 0;
  if (linked < 0)
    return linked;
  if (linked == 0)
    status = keep_copy(work, dirfd, folder, name, kept, reterr);
  if (status == HF_OK)
    status = hf_dir_fsync(work->repair->quarantine_fd, "quarantine", reterr);
  if (status == HF_OK)
    say_kept(kept, ret_kept);
  return status;
}

/* renameat2's flag is not known everywhere; there the name is looked for first: only repairs make
 * names here, one at a time. 0, or -1 with errno. */
static int rename_aside(hf_verify_work *work, int dirfd, const char *name, const char *kept) {
  struct stat st;
  int quarantine_fd = work->repair->quarantine_fd;
  if (hf_sys_rename(dirfd, name, quarantine_fd, kept, RENAME_NOREPLACE) == 0)
    return 0;
  if (errno != EINVAL && errno != ENOSYS)
    return -1;
  if (hf_sys_fstatat(quarantine_fd, kept, &st) == 0) {
    errno = EEXIST;
    return -1;
  }
  return hf_sys_rename(dirfd, name, quarantine_fd, kept, 0);
}

int hf_repair_move(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                   char *ret_kept, hf_error *reterr) {
  char kept[NAME_BYTES];
  ret_kept[0] = '\0';
  int status = hf_repair_still_ours(work, reterr);
  if (status != HF_OK)
    return status;
  for (int number = 1; number <= HF_REPAIR_NAMES_MAX; number++) {
    name_kept(work->repair, folder, name, number, kept);
    if (rename_aside(work, dirfd, name, kept) == 0) {
      status = hf_dir_fsync(work->repair->quarantine_fd, "quarantine", reterr);
      if (status == HF_OK)
        status = hf_dir_fsync(dirfd, folder, reterr);
      if (status == HF_OK)
        say_kept(kept, ret_kept);
      return status;
    }
    if (errno == ENOENT) {
      (void)snprintf(ret_kept, HF_VERIFY_PATH_BYTES, "gone: somebody else took it away");
      return HF_OK;
    }
    if (errno != EEXIST)
      break;
  }
  return hf_err_sys(reterr, HF_EIO, errno, name, "cannot move it to quarantine/");
}

int hf_repair_keep_blob(hf_verify_work *work, const char *name, char *ret_kept, hf_error *reterr) {
  char staged[HF_ID_CHARS + 1];
  char kept[NAME_BYTES];
  uint32_t crc = 0;
  uint64_t bytes = 0;
  int status = hf_repair_still_ours(work, reterr);
  if (status == HF_OK)
    status = copy_to_stage(work, work->blob_fd, name, staged, &crc, &bytes, reterr);
  if (status != HF_OK)
    return status;
  /* named by what it holds: a second repair finds its copy */
  const char *sha256 = strchr(name, '/') != NULL ? strchr(name, '/') + 1 : name;
  (void)snprintf(kept, sizeof kept, "blob-%s-altered-%llu-%08x", sha256, (unsigned long long)bytes,
                 crc);
  status = hf_repair_publish(work, staged, work->repair->quarantine_fd, "quarantine", kept, reterr);
  if (status >= 0)
    status = hf_dir_fsync(work->repair->quarantine_fd, "quarantine", reterr);
  if (status == HF_OK)
    say_kept(kept, ret_kept);
  return status;
}
