/* The syscall table: every system call that touches a store goes through it, so that tests can
 * fail, count, delay or record each one (after SQLite's aSyscall). Entries behave as the libc
 * functions of the same name: -1 and errno.
 *
 * Not for sockets and not for what the caller hands in (the command line's input files). */
#ifndef HF_BASE_SYS_H
#define HF_BASE_SYS_H

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/vfs.h>

typedef struct hf_sys_table {
  int (*openat)(int dirfd, const char *name, int flags, mode_t mode);
  int (*close)(int fd);
  ssize_t (*pread)(int fd, void *bytes, size_t count, off_t offset);
  ssize_t (*pwrite)(int fd, const void *bytes, size_t count, off_t offset);
  int (*fsync)(int fd);
  int (*fdatasync)(int fd);
  int (*ftruncate)(int fd, off_t length);
  int (*fstat)(int fd, struct stat *st);
  int (*fstatat)(int dirfd, const char *name, struct stat *st, int flags);
  int (*statx)(int dirfd, const char *name, int flags, unsigned mask, struct statx *st);
  int (*linkat)(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags);
  int (*renameat2)(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags);
  int (*unlinkat)(int dirfd, const char *name, int flags);
  int (*mkdirat)(int dirfd, const char *name, mode_t mode);
  int (*flock)(int fd, int operation);
  int (*setlk)(int fd, struct flock *lock); /* fcntl with F_SETLK */
  int (*madvise)(void *at, size_t bytes, int advice);
  int (*statfs)(const char *path, struct statfs *fs);
  DIR *(*fdopendir)(int fd);
  struct dirent *(*readdir)(DIR *dir);
  int (*closedir)(DIR *dir);
} hf_sys_table;

/* The real calls. */
extern const hf_sys_table hf_sys_real;

/* The table in force; tests put another one here while no other thread uses the library. */
extern const hf_sys_table *hf_sys;

enum { HF_EINTR_RETRIES_MAX = 100 };

/* Wrappers that repeat a call interrupted by a signal (EINTR), at most HF_EINTR_RETRIES_MAX times.
 * flags always get O_CLOEXEC, O_NOFOLLOW and O_NONBLOCK: neither a folder in a name ("000/1.jsonl")
 * nor its last part may be a symbolic link, and a FIFO in the place of a file hangs nobody. close:
 * never repeated (Linux has freed the number, whatever it answers); EINTR counts as 0. */
int hf_sys_openat(int dirfd, const char *name, int flags, mode_t mode);
/* A folder by the path that the user gave, which may be a symbolic link. */
int hf_sys_open_folder(const char *path);
int hf_sys_close(int fd);
int hf_sys_fsync(int fd);
int hf_sys_fdatasync(int fd);
int hf_sys_ftruncate(int fd, uint64_t length);
/* flock(2), never waiting: operation gets LOCK_NB. */
int hf_sys_flock(int fd, int operation);
int hf_sys_fstat(int fd, struct stat *st);
int hf_sys_fstatat(int dirfd, const char *name, struct stat *st); /* AT_SYMLINK_NOFOLLOW */
/* Which file that is, of which kind, and its size; name "": dirfd itself. It asks for no times:
 * where the kernel keeps them finer for files whose times were asked for (since Linux 6.13), each
 * write after an fstat gives the inode a new time, and each flush of the file one write more (seen
 * on 6.18, ext4 without a journal: 35 us of 200). */
typedef struct hf_sys_file {
  dev_t device;
  ino_t inode;
  mode_t mode;
  uint64_t bytes;
  uint32_t links; /* names; of hf_sys_identify alone */
} hf_sys_file;
int hf_sys_identify(int dirfd, const char *name, hf_sys_file *ret_file);
int hf_sys_link(int from_dirfd, const char *from, int to_dirfd, const char *to);
int hf_sys_rename(int from_dirfd, const char *from, int to_dirfd, const char *to, unsigned flags);
int hf_sys_unlink(int dirfd, const char *name, int flags);
int hf_sys_mkdir(int dirfd, const char *name, mode_t mode);

/* Brings the pages of a map that these bytes are in, from `at` on, the beginning of a page, into
 * memory, so that touching them does not end the process. 0; -1: one cannot be read, or (EINVAL)
 * the kernel has no such call. */
int hf_sys_populate(const void *at, size_t bytes);

/* Reads or writes all of count bytes at offset. hf_sys_pread_full answers how many there were
 * before the end of the file (fewer than count only there), or -1. hf_sys_pwrite_full answers 0 or
 * -1 (a short write that does not go on: ENOSPC). */
ssize_t hf_sys_pread_full(int fd, void *bytes, size_t count, off_t offset);
int hf_sys_pwrite_full(int fd, const void *bytes, size_t count, off_t offset);

/* A descriptor that closes itself: hf_autofd int fd = -1; on the path of success take it and check
 * close. */
void hf_fd_cleanup(int *fd);
#define hf_autofd __attribute__((cleanup(hf_fd_cleanup)))
static inline int hf_fd_take(int *fd) {
  int taken = *fd;
  *fd = -1;
  return taken;
}

#endif
