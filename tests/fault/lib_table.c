#include "lib_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib.h"

static const fault_hooks *hooks;
static __thread int depth;

static const char *const kind_names[FAULT_KINDS] = {
    "openat", "close",   "pread",   "pwrite", "fsync",     "fdatasync", "ftruncate",
    "fstat",  "fstatat", "statx",   "linkat", "renameat2", "unlinkat",  "mkdirat",
    "flock",  "setlk",   "madvise", "statfs", "fdopendir", "readdir",   "closedir",
};

const char *fault_kind_name(fault_kind kind) {
  return kind_names[kind];
}

static int is_asked(const fault_call *call) {
  if (call->kind == FAULT_FLOCK && (call->flags & (LOCK_NB | LOCK_UN)) == 0)
    return 0;
  return hooks->reentrant || depth == 0;
}

/* 1: the call is to be executed. */
static int begin(fault_call *call) {
  if (hooks->before != NULL && is_asked(call)) {
    depth++;
    hooks->before(hooks->context, call);
    depth--;
  }
  return !call->skip;
}

static long end(fault_call *call) {
  if (hooks->after != NULL && is_asked(call)) {
    depth++;
    hooks->after(hooks->context, call);
    depth--;
  }
  errno = call->sys_errno;
  return call->result;
}

/* Runs `real` unless the hook answers in its place; errno is kept with the result. */
#define AROUND(call, real)                                                                         \
  do {                                                                                             \
    if (begin(&(call))) {                                                                          \
      errno = 0;                                                                                   \
      (call).result = (long)(real);                                                                \
      (call).sys_errno = errno;                                                                    \
    }                                                                                              \
  } while (0)

static int table_openat(int dirfd, const char *name, int flags, mode_t mode) {
  fault_call call = {.kind = FAULT_OPENAT, .fd = dirfd, .name = name, .flags = flags};
  AROUND(call, hf_sys_real.openat(dirfd, name, flags, mode));
  return (int)end(&call);
}

static int table_close(int fd) {
  fault_call call = {.kind = FAULT_CLOSE, .fd = fd};
  AROUND(call, hf_sys_real.close(fd));
  return (int)end(&call);
}

static ssize_t table_pread(int fd, void *bytes, size_t count, off_t offset) {
  fault_call call = {.kind = FAULT_PREAD, .fd = fd, .count = count, .offset = offset};
  AROUND(call, hf_sys_real.pread(fd, bytes, count, offset));
  return (ssize_t)end(&call);
}

static ssize_t table_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  fault_call call = {
      .kind = FAULT_PWRITE, .fd = fd, .bytes = bytes, .count = count, .offset = offset};
  AROUND(call, hf_sys_real.pwrite(fd, bytes, count, offset));
  return (ssize_t)end(&call);
}

static int table_fsync(int fd) {
  fault_call call = {.kind = FAULT_FSYNC, .fd = fd};
  AROUND(call, hooks->fast_fsync ? 0 : hf_sys_real.fsync(fd));
  return (int)end(&call);
}

static int table_fdatasync(int fd) {
  fault_call call = {.kind = FAULT_FDATASYNC, .fd = fd};
  AROUND(call, hooks->fast_fsync ? 0 : hf_sys_real.fdatasync(fd));
  return (int)end(&call);
}

static int table_ftruncate(int fd, off_t length) {
  fault_call call = {.kind = FAULT_FTRUNCATE, .fd = fd, .offset = length};
  AROUND(call, hf_sys_real.ftruncate(fd, length));
  return (int)end(&call);
}

static int table_fstat(int fd, struct stat *st) {
  fault_call call = {.kind = FAULT_FSTAT, .fd = fd};
  AROUND(call, hf_sys_real.fstat(fd, st));
  return (int)end(&call);
}

static int table_fstatat(int dirfd, const char *name, struct stat *st, int flags) {
  fault_call call = {.kind = FAULT_FSTATAT, .fd = dirfd, .name = name, .flags = flags};
  AROUND(call, hf_sys_real.fstatat(dirfd, name, st, flags));
  return (int)end(&call);
}

static int table_statx(int dirfd, const char *name, int flags, unsigned mask, struct statx *st) {
  fault_call call = {.kind = FAULT_STATX, .fd = dirfd, .name = name};
  AROUND(call, hf_sys_real.statx(dirfd, name, flags, mask, st));
  return (int)end(&call);
}

static int table_linkat(int from, const char *name, int to, const char *to_name, int flags) {
  fault_call call = {.kind = FAULT_LINK,
                     .fd = from,
                     .name = name,
                     .to_fd = to,
                     .to_name = to_name,
                     .flags = flags};
  AROUND(call, hf_sys_real.linkat(from, name, to, to_name, flags));
  return (int)end(&call);
}

static int table_renameat2(int from, const char *name, int to, const char *to_name,
                           unsigned flags) {
  fault_call call = {.kind = FAULT_RENAME,
                     .fd = from,
                     .name = name,
                     .to_fd = to,
                     .to_name = to_name,
                     .flags = (int)flags};
  AROUND(call, hf_sys_real.renameat2(from, name, to, to_name, flags));
  return (int)end(&call);
}

static int table_unlinkat(int dirfd, const char *name, int flags) {
  fault_call call = {.kind = FAULT_UNLINK, .fd = dirfd, .name = name, .flags = flags};
  AROUND(call, hf_sys_real.unlinkat(dirfd, name, flags));
  return (int)end(&call);
}

static int table_mkdirat(int dirfd, const char *name, mode_t mode) {
  fault_call call = {.kind = FAULT_MKDIR, .fd = dirfd, .name = name};
  AROUND(call, hf_sys_real.mkdirat(dirfd, name, mode));
  return (int)end(&call);
}

static int table_flock(int fd, int operation) {
  fault_call call = {.kind = FAULT_FLOCK, .fd = fd, .flags = operation};
  AROUND(call, hf_sys_real.flock(fd, operation));
  return (int)end(&call);
}

static int table_setlk(int fd, struct flock *lock) {
  fault_call call = {.kind = FAULT_SETLK, .fd = fd, .flags = lock->l_type};
  AROUND(call, hf_sys_real.setlk(fd, lock));
  return (int)end(&call);
}

static int table_madvise(void *at, size_t bytes, int advice) {
  fault_call call = {.kind = FAULT_MADVISE, .fd = -1, .flags = advice};
  AROUND(call, hf_sys_real.madvise(at, bytes, advice));
  return (int)end(&call);
}

static int table_statfs(const char *path, struct statfs *fs) {
  fault_call call = {.kind = FAULT_STATFS, .fd = -1, .name = path};
  AROUND(call, hf_sys_real.statfs(path, fs));
  return (int)end(&call);
}

static DIR *table_fdopendir(int fd) {
  fault_call call = {.kind = FAULT_FDOPENDIR, .fd = fd};
  DIR *dir = NULL;
  AROUND(call, (dir = hf_sys_real.fdopendir(fd)) != NULL ? 0 : -1);
  return end(&call) == 0 ? dir : NULL;
}

static struct dirent *table_readdir(DIR *dir) {
  fault_call call = {.kind = FAULT_READDIR, .fd = -1};
  struct dirent *entry = NULL;
  AROUND(call, (entry = hf_sys_real.readdir(dir)) != NULL || errno == 0 ? 0 : -1);
  return end(&call) == 0 ? entry : NULL;
}

static int table_closedir(DIR *dir) {
  fault_call call = {.kind = FAULT_CLOSEDIR, .fd = -1};
  AROUND(call, hf_sys_real.closedir(dir));
  return (int)end(&call);
}

static const hf_sys_table table = {
    .openat = table_openat,
    .close = table_close,
    .pread = table_pread,
    .pwrite = table_pwrite,
    .fsync = table_fsync,
    .fdatasync = table_fdatasync,
    .ftruncate = table_ftruncate,
    .fstat = table_fstat,
    .fstatat = table_fstatat,
    .statx = table_statx,
    .linkat = table_linkat,
    .renameat2 = table_renameat2,
    .unlinkat = table_unlinkat,
    .mkdirat = table_mkdirat,
    .flock = table_flock,
    .setlk = table_setlk,
    .madvise = table_madvise,
    .statfs = table_statfs,
    .fdopendir = table_fdopendir,
    .readdir = table_readdir,
    .closedir = table_closedir,
};

void fault_table_install(const fault_hooks *new_hooks) {
  hooks = new_hooks;
  hf_sys = &table;
}

void fault_table_remove(void) {
  hf_sys = &hf_sys_real;
}

/* ---- what a call is ---- */

int fault_is_record_name(const char *name) {
  return name != NULL && strlen(name) == 25 && strspn(name, "0123456789") == 20 &&
         strcmp(name + 20, ".json") == 0;
}

int fault_is_publish(const fault_call *call) {
  return (call->kind == FAULT_LINK || call->kind == FAULT_RENAME) &&
         fault_is_record_name(call->to_name);
}

int fault_is_append(const fault_call *call) {
  return call->kind == FAULT_PWRITE && fault_fd_ends_in(call->fd, ".part");
}

int fault_fd_ends_in(int fd, const char *ending) {
  char link[64];
  char path[FAULT_PATH_BYTES];
  (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t bytes = readlink(link, path, sizeof path - 1);
  size_t wanted = strlen(ending);
  return bytes >= (ssize_t)wanted && memcmp(path + bytes - (ssize_t)wanted, ending, wanted) == 0;
}
