#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum { DIR_ENTRIES_MAX = 1 << 30 };

int hf_dir_open(int dirfd, const char *name, int *ret_fd, hf_error *reterr) {
  int fd = hf_sys_openat(dirfd, name, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0) {
    if (errno == ENOTDIR || errno == ELOOP)
      return hf_err_sys(reterr, HF_EIO, errno, name, "a folder is expected here");
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot open the folder");
  }
  *ret_fd = fd;
  return HF_OK;
}

int hf_dir_make(int dirfd, const char *name, int *ret_fd, int *ret_made, hf_error *reterr) {
  int made = hf_sys_mkdir(dirfd, name, 0777) == 0;
  if (!made && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot make the folder");
  int status = hf_dir_open(dirfd, name, ret_fd, reterr);
  if (status == HF_OK && ret_made != NULL)
    *ret_made = made;
  return status;
}

int hf_dir_fsync(int fd, const char *place, hf_error *reterr) {
  if (hf_sys_fsync(fd) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "fsync of the folder failed");
  return HF_OK;
}

static int read_once(int dirfd, const char *name, size_t bytes_max, hf_buf *out, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(dirfd, name, O_RDONLY, 0);
  if (fd < 0 && errno == ENOENT)
    return 0;
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot open");
  struct stat st;
  if (hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot examine");
  if (!S_ISREG(st.st_mode))
    return hf_err(reterr, HF_EIO, name,
                  "a regular file is expected here, and something else is; "
                  "move it away");
  if ((uintmax_t)st.st_size > bytes_max)
    return hf_err(reterr, HF_ELIMIT, name, "the file has %jd bytes, more than the %zu that it may",
                  (intmax_t)st.st_size, bytes_max);
  size_t count = (size_t)st.st_size;
  if (hf_buf_reserve(out, count) != 0)
    return hf_err_nomem(reterr);
  ssize_t got = hf_sys_pread_full(fd, out->data + out->used, count, 0);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot read");
  out->used += (size_t)got;
  out->data[out->used] = '\0';
  return 1;
}

int hf_file_read(int dirfd, const char *name, size_t bytes_max, hf_buf *out, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  int got = read_once(dirfd, name, bytes_max, out, &why);
  if (got == HF_EIO && why.sys_errno == ESTALE)
    got = read_once(dirfd, name, bytes_max, out, &why);
  if (got < 0 && reterr != NULL)
    *reterr = why;
  return got;
}

static int create(int dirfd, const char *name, int flags, const void *bytes, size_t count,
                  int durable, hf_error *reterr) {
  struct stat st;
  hf_autofd int fd = hf_sys_openat(dirfd, name, O_WRONLY | O_CREAT | flags, 0666);
  if (fd < 0)
    return hf_err_sys(reterr, errno == EEXIST ? HF_EEXIST : HF_EIO, errno, name,
                      "cannot make the file");
  if ((flags & O_EXCL) == 0) {
    if (hf_sys_fstat(fd, &st) != 0)
      return hf_err_sys(reterr, HF_EIO, errno, name, "cannot examine the new file");
    if (st.st_size != 0 || st.st_nlink != 1)
      return hf_err_sys(reterr, HF_EEXIST, EEXIST, name, "cannot make the file");
  }
  const char *step = "cannot write";
  int failed = hf_sys_pwrite_full(fd, bytes, count, 0);
  if (failed == 0 && durable && !HF_PLANTED(NO_FILE_FSYNC)) {
    step = "fsync failed on";
    failed = hf_sys_fsync(fd);
  }
  if (failed == 0) {
    step = "cannot close";
    failed = hf_sys_close(hf_fd_take(&fd));
  }
  if (failed != 0) {
    int sys_errno = errno;
    (void)hf_sys_unlink(dirfd, name, 0);
    return hf_err_sys(reterr, HF_EIO, sys_errno, name, "%s the new file", step);
  }
  return HF_OK;
}

int hf_file_create(int dirfd, const char *name, const void *bytes, size_t count, int durable,
                   hf_error *reterr) {
  return create(dirfd, name, O_EXCL, bytes, count, durable, reterr);
}

int hf_file_create_alone(int dirfd, const char *name, const void *bytes, size_t count, int durable,
                         hf_error *reterr) {
  return create(dirfd, name, 0, bytes, count, durable, reterr);
}

int hf_dir_each(int dirfd, const char *place, hf_dir_entry_fn fn, void *context, hf_error *reterr) {
  int fd = hf_sys_openat(dirfd, ".", O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "cannot open the folder to list it");
  DIR *dir = hf_sys->fdopendir(fd);
  if (dir == NULL) {
    int sys_errno = errno;
    (void)hf_sys_close(fd);
    return hf_err_sys(reterr, HF_EIO, sys_errno, place, "cannot list the folder");
  }
  int status = HF_OK;
  for (int i = 0; i < DIR_ENTRIES_MAX && status == HF_OK; i++) {
    errno = 0;
    struct dirent *entry = hf_sys->readdir(dir);
    if (entry == NULL && errno == EINTR) /* FUSE and NFS can be interrupted here */
      continue;
    if (entry == NULL) {
      if (errno != 0)
        status = hf_err_sys(reterr, HF_EIO, errno, place, "cannot list the folder");
      break;
    }
    if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
      status = fn(context, entry->d_name, reterr);
  }
  if (hf_sys->closedir(dir) != 0 && status == HF_OK && errno != EINTR)
    status = hf_err_sys(reterr, HF_EIO, errno, place, "cannot close the folder");
  return status;
}
