#include "sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "banned.h"

static int real_openat(int dirfd, const char *name, int flags, mode_t mode) {
  return openat(dirfd, name, flags, mode);
}

static int real_setlk(int fd, struct flock *lock) {
  return fcntl(fd, F_SETLK, lock);
}

const hf_sys_table hf_sys_real = {
    .openat = real_openat,
    .close = close,
    .pread = pread,
    .pwrite = pwrite,
    .fsync = fsync,
    .fdatasync = fdatasync,
    .ftruncate = ftruncate,
    .fstat = fstat,
    .fstatat = fstatat,
    .statx = statx,
    .linkat = linkat,
    .renameat2 = renameat2,
    .unlinkat = unlinkat,
    .mkdirat = mkdirat,
    .flock = flock,
    .setlk = real_setlk,
    .madvise = madvise,
    .statfs = statfs,
    .fdopendir = fdopendir,
    .readdir = readdir,
    .closedir = closedir,
};

const hf_sys_table *hf_sys = &hf_sys_real;

/* A signal may interrupt a call again and again; give up after a bound rather than never. */
#define HF_RETRY(result, call)                                                                     \
  do {                                                                                             \
    int hf_retries = 0;                                                                            \
    do {                                                                                           \
      (result) = (call);                                                                           \
    } while ((result) < 0 && errno == EINTR && ++hf_retries < HF_EINTR_RETRIES_MAX);               \
  } while (0)

static int open_one(int dirfd, const char *name, int flags, mode_t mode) {
  int result;
  flags |= O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  HF_RETRY(result, hf_sys->openat(dirfd, name, flags, mode));
  return result;
}

/* O_NOFOLLOW judges only the last part of a name: the folder before it is opened by itself. */
int hf_sys_openat(int dirfd, const char *name, int flags, mode_t mode) {
  const char *slash = strchr(name, '/');
  if (dirfd == AT_FDCWD || slash == NULL)
    return open_one(dirfd, name, flags, mode);
  char folder[NAME_MAX + 1];
  if ((size_t)(slash - name) >= sizeof folder) {
    errno = ENAMETOOLONG;
    return -1;
  }
  memcpy(folder, name, (size_t)(slash - name));
  folder[slash - name] = '\0';
  int folder_fd = open_one(dirfd, folder, O_RDONLY | O_DIRECTORY, 0);
  if (folder_fd < 0)
    return -1;
  int fd = open_one(folder_fd, slash + 1, flags, mode);
  int saved_errno = errno;
  (void)hf_sys_close(folder_fd);
  errno = saved_errno;
  return fd;
}

int hf_sys_open_folder(const char *path) {
  int result;
  HF_RETRY(result, hf_sys->openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
  return result;
}

int hf_sys_close(int fd) {
  int result = hf_sys->close(fd);
  return result < 0 && errno == EINTR ? 0 : result;
}

int hf_sys_fsync(int fd) {
  int result;
  HF_RETRY(result, hf_sys->fsync(fd));
  return result;
}

int hf_sys_fdatasync(int fd) {
  int result;
  HF_RETRY(result, hf_sys->fdatasync(fd));
  return result;
}

int hf_sys_ftruncate(int fd, uint64_t length) {
  int result;
  HF_RETRY(result, hf_sys->ftruncate(fd, (off_t)length));
  return result;
}

int hf_sys_flock(int fd, int operation) {
  int result;
  HF_RETRY(result, hf_sys->flock(fd, operation | LOCK_NB));
  return result;
}

int hf_sys_fstat(int fd, struct stat *st) {
  int result;
  HF_RETRY(result, hf_sys->fstat(fd, st));
  return result;
}

int hf_sys_fstatat(int dirfd, const char *name, struct stat *st) {
  int result;
  HF_RETRY(result, hf_sys->fstatat(dirfd, name, st, AT_SYMLINK_NOFOLLOW));
  return result;
}

int hf_sys_identify(int dirfd, const char *name, hf_sys_file *ret_file) {
  struct statx st;
  int result;
  int flags = AT_SYMLINK_NOFOLLOW | (name[0] == '\0' ? AT_EMPTY_PATH : 0);
  HF_RETRY(result,
           hf_sys->statx(dirfd, name, flags,
                         STATX_TYPE | STATX_MODE | STATX_INO | STATX_SIZE | STATX_NLINK, &st));
  if (result == 0)
    *ret_file = (hf_sys_file){makedev(st.stx_dev_major, st.stx_dev_minor), (ino_t)st.stx_ino,
                              (mode_t)st.stx_mode, st.stx_size, st.stx_nlink};
  return result;
}

int hf_sys_link(int from_dirfd, const char *from, int to_dirfd, const char *to) {
  int result;
  HF_RETRY(result, hf_sys->linkat(from_dirfd, from, to_dirfd, to, 0));
  return result;
}

int hf_sys_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags) {
  int result;
  HF_RETRY(result, hf_sys->renameat2(from_dirfd, from, to_dirfd, to, flags));
  return result;
}

int hf_sys_unlink(int dirfd, const char *name, int flags) {
  int result;
  HF_RETRY(result, hf_sys->unlinkat(dirfd, name, flags));
  return result;
}

int hf_sys_mkdir(int dirfd, const char *name, mode_t mode) {
  int result;
  HF_RETRY(result, hf_sys->mkdirat(dirfd, name, mode));
  return result;
}

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22 /* the C library may be older than the kernel */
#endif

int hf_sys_populate(const void *at, size_t bytes) {
  int result;
  HF_RETRY(result, hf_sys->madvise((void *)(uintptr_t)at, bytes, MADV_POPULATE_READ));
  return result;
}

ssize_t hf_sys_pread_full(int fd, void *bytes, size_t count, off_t offset) {
  size_t done = 0;
  while (done < count) {
    ssize_t got;
    HF_RETRY(got, hf_sys->pread(fd, (char *)bytes + done, count - done, offset + (off_t)done));
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    done += (size_t)got;
  }
  return (ssize_t)done;
}

int hf_sys_pwrite_full(int fd, const void *bytes, size_t count, off_t offset) {
  size_t done = 0;
  while (done < count) {
    ssize_t put;
    HF_RETRY(put,
             hf_sys->pwrite(fd, (const char *)bytes + done, count - done, offset + (off_t)done));
    if (put < 0)
      return -1;
    if (put == 0) { /* POSIX does not give this a meaning for files; do not spin on it */
      errno = ENOSPC;
      return -1;
    }
    done += (size_t)put;
  }
  return 0;
}

void hf_fd_cleanup(int *fd) {
  if (*fd < 0)
    return;
  int saved_errno = errno;
  (void)hf_sys_close(*fd);
  errno = saved_errno;
  *fd = -1;
}
