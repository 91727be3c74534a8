/* A syscall table that asks before and after each call: to fail it, to count it, to stop there, to
 * record it.
 *
 * The hooks see every call of every thread; they are not called for the flock that blocks (its
 * thread may be cancelled there, see lockers/flock_wait.h) and not for calls that a hook itself
 * causes in the same thread, unless `reentrant` is set. */
#ifndef FAULT_LIB_TABLE_H
#define FAULT_LIB_TABLE_H

#include <dirent.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "sys.h"

typedef enum fault_kind {
  FAULT_OPENAT,
  FAULT_CLOSE,
  FAULT_PREAD,
  FAULT_PWRITE,
  FAULT_FSYNC,
  FAULT_FDATASYNC,
  FAULT_FTRUNCATE,
  FAULT_FSTAT,
  FAULT_FSTATAT,
  FAULT_STATX,
  FAULT_LINK,
  FAULT_RENAME,
  FAULT_UNLINK,
  FAULT_MKDIR,
  FAULT_FLOCK,
  FAULT_SETLK,
  FAULT_MADVISE,
  FAULT_STATFS,
  FAULT_FDOPENDIR,
  FAULT_READDIR,
  FAULT_CLOSEDIR,
  FAULT_KINDS
} fault_kind;

const char *fault_kind_name(fault_kind kind);

typedef struct fault_call {
  fault_kind kind;
  int fd;           /* or the folder of `name` */
  const char *name; /* NULL where there is none */
  int to_fd;        /* link, rename */
  const char *to_name;
  int flags; /* of open, rename, unlink; the operation of flock, the type of setlk */
  const void *bytes;
  size_t count;
  off_t offset;
  /* before() sets it: the call is not executed, result and sys_errno are what is answered */
  int skip;
  long result;
  int sys_errno;
} fault_call;

typedef struct fault_hooks {
  void (*before)(void *context, fault_call *call); /* NULL: none */
  void (*after)(void *context, fault_call *call);  /* may change result and sys_errno */
  void *context;
  int reentrant;
  int fast_fsync; /* fsync and fdatasync answer 0 and do nothing: where no power is lost */
} fault_hooks;

/* Puts the table in force. *hooks must live until fault_table_remove. */
void fault_table_install(const fault_hooks *hooks);
void fault_table_remove(void);

/* Is this a link or a rename to the name of a record in log/? */
int fault_is_publish(const fault_call *call);
/* Is this a write to the tile that journal mode appends to? */
int fault_is_append(const fault_call *call);
/* Is this the name of a record, "00000000000000000007.json"? */
int fault_is_record_name(const char *name);
/* Does fd stand for a path that ends so? (by /proc/self/fd) */
int fault_fd_ends_in(int fd, const char *end);

#endif
