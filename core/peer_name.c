/* Names and marks of the session's folder. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "err.h"
#include "file.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

void hf_peer_name(char name[HF_PEER_NAME_BYTES], char kind, size_t index) {
  (void)snprintf(name, HF_PEER_NAME_BYTES, "%c%zu", kind, index);
}

/* ---- marks ---- */

int hf_peer_mark_make(const hf_peer_run *run, char kind, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  hf_peer_name(name, kind, run->self);
  return hf_file_create(run->session_fd, name, "", 0, 0, reterr);
}

int hf_peer_mark_extend(const hf_peer_run *run, char kind, uint64_t length, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  hf_peer_name(name, kind, run->self);
  hf_autofd int fd = hf_sys_openat(run->session_fd, name, O_WRONLY, 0);
  if (fd < 0 || hf_sys_pwrite_full(fd, "f", 1, (off_t)length) != 0 || hf_sys_fsync(fd) != 0 ||
      hf_sys_close(hf_fd_take(&fd)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot make a mark longer");
  return HF_OK;
}

int64_t hf_peer_mark_length(const hf_peer_run *run, char kind, size_t index, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  struct stat st;
  hf_peer_name(name, kind, index);
  hf_autofd int fd = hf_sys_openat(run->session_fd, name, O_RDONLY, 0);
  if (fd < 0 || hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot look at a mark");
  return (int64_t)st.st_size;
}

/* ---- names in the folders of peers ---- */

int hf_peer_is_there(int dirfd, const char *name, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(dirfd, name, O_RDONLY, 0);
  if (fd < 0 && errno != ENOENT && errno != ESTALE)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot look for a name");
  return fd >= 0;
}

int hf_peer_is_there_afresh(const hf_peer_run *run, char kind, size_t index, const char *name,
                            hf_error *reterr) {
  char folder[HF_PEER_NAME_BYTES];
  struct stat st;
  hf_autofd int fd = -1;
  hf_peer_name(folder, kind, index);
  int status = hf_dir_open(run->session_fd, folder, &fd, reterr);
  if (status == HF_OK && hf_sys_fstat(fd, &st) != 0)
    status = hf_err_sys(reterr, HF_EIO, errno, folder, "cannot examine the folder");
  return status == HF_OK ? hf_peer_is_there(fd, name, reterr) : status;
}

int hf_peer_make_name(const hf_peer_run *run, char kind, const char *name, hf_error *reterr) {
  char folder[HF_PEER_NAME_BYTES];
  char source[HF_PEER_NAME_BYTES];
  hf_autofd int fd = -1;
  hf_peer_name(folder, kind, run->self);
  hf_peer_name(source, 's', run->self);
  int status = hf_dir_open(run->session_fd, folder, &fd, reterr);
  if (status != HF_OK)
    return status;
  if (!run->by_rename && hf_sys_link(run->session_fd, source, fd, name) == 0)
    return HF_OK;
  status = hf_file_create(fd, name, "s", 1, 0, reterr);
  return status == HF_EEXIST ? HF_OK : status; /* the answer was wrong, the name is there */
}
