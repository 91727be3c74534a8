/* Open lock files, and what fork() does to them.
 *
 * A flock belongs to the open file description, which a child of fork() shares with its parent. Two
 * things follow:
 *  - a child must never call LOCK_UN: it would release what its parent holds;
 *  - a child must not keep the descriptor either: if the parent is killed, the lock would live on
 *    in the child. A program that saves now and then and has forked workers would leave its lock
 *    behind with them.
 * So every description is in a list, and a handler of pthread_atfork closes them all in the child.
 */
#ifndef HF_LOCKERS_FLOCK_FILE_H
#define HF_LOCKERS_FLOCK_FILE_H

#include <sys/types.h>

#include <holdfast/locker.h>

typedef struct hf_flock_file {
  int fd;    /* -1: closed by the handler, in a child */
  pid_t pid; /* of the process that opened it */
  dev_t dev; /* which file is open: it stays this one whatever the name becomes */
  ino_t ino;
  char name[HF_LOCKER_NAME_BYTES_MAX + 1];
  struct hf_flock_file *previous; /* the list of all */
  struct hf_flock_file *next;
} hf_flock_file;

/* Opens the lock file, a regular file, with a description of its own. With `writable` it is made
 * where absent; without, HF_ENOTFOUND says that it does not exist. Free with hf_flock_file_close.
 * Errors: HF_EINVAL (the name), HF_EIO, HF_ENOMEM. */
int hf_flock_file_open(int dirfd, const char *name, int writable, hf_flock_file **ret_file,
                       hf_error *reterr);

/* Closes and frees *file and sets it to NULL. In the process that opened it a lock on it ends.
 * Accepts NULL in it. */
void hf_flock_file_close(hf_flock_file **file);

/* 1: the name is this very file. 0: break_lock, or somebody by hand, has put another one there, or
 * none. */
int hf_flock_file_is_named(const hf_flock_file *file, int dirfd, hf_error *reterr);

/* Is this another process than the one that opened it? */
int hf_flock_file_is_foreign(const hf_flock_file *file);

/* flock(2), repeated on EINTR: 0, or -1 and errno. operation: with LOCK_NB, or LOCK_UN. */
int hf_flock_file_lock(const hf_flock_file *file, int operation);

/* Who holds it, as its content says. Errors: HF_EIO. */
int hf_flock_file_read_holder(const hf_flock_file *file, hf_lock_holder *ret_holder,
                              hf_error *reterr);

#endif
