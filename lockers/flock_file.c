#include "flock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "holder.h"
#include "sys.h"

#include "banned.h"

enum { OPEN_TRIES_MAX = 8 };

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static hf_flock_file *list_head; /* under list_mutex */
static unsigned forks;           /* under list_mutex: how often this process has forked */
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
  (void)pthread_mutex_lock(&list_mutex);
  forks++;
}

static void after_fork_in_parent(void) {
  (void)pthread_mutex_unlock(&list_mutex);
}

static void after_fork_in_child(void) {
  for (hf_flock_file *file = list_head; file != NULL; file = file->next)
    hf_fd_cleanup(&file->fd);
  (void)pthread_mutex_unlock(&list_mutex);
}

static void install_handlers(void) {
  /* Without memory for them everything works but the release by death of a parent whose children
   * live. */
  (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static unsigned count_forks(void) {
  (void)pthread_mutex_lock(&list_mutex);
  unsigned count = forks;
  (void)pthread_mutex_unlock(&list_mutex);
  return count;
}

/* 1: it is in the list now. 0: the process has forked since `forks_before` was taken, so that a
 * child may have the descriptor without knowing it. */
static int add_to_list(hf_flock_file *file, unsigned forks_before) {
  (void)pthread_mutex_lock(&list_mutex);
  int unforked = forks == forks_before;
  if (unforked) {
    file->next = list_head;
    if (list_head != NULL)
      list_head->previous = file;
    list_head = file;
  }
  (void)pthread_mutex_unlock(&list_mutex);
  return unforked;
}

static void remove_from_list(hf_flock_file *file) {
  (void)pthread_mutex_lock(&list_mutex);
  if (file->next != NULL)
    file->next->previous = file->previous;
  if (file->previous != NULL)
    file->previous->next = file->next;
  else
    list_head = file->next;
  (void)pthread_mutex_unlock(&list_mutex);
}

/* Opens file->name. */
static int open_file(hf_flock_file *file, int dirfd, int writable, hf_error *reterr) {
  int flags = writable ? O_RDWR | O_CREAT : O_RDONLY;
  hf_autofd int fd = hf_sys_openat(dirfd, file->name, flags, 0666);
  if (fd < 0 && errno == ENOENT && !writable)
    return hf_err(reterr, HF_ENOTFOUND, file->name, "there is no lock file");
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, file->name, "cannot open the lock file");
  struct stat st;
  if (hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, file->name, "cannot examine the lock file");
  if (!S_ISREG(st.st_mode))
    return hf_err(
        reterr, HF_EIO, file->name,
        "the lock file must be a regular file, and something else is there; move it away");
  file->dev = st.st_dev;
  file->ino = st.st_ino;
  file->fd = hf_fd_take(&fd);
  return HF_OK;
}

int hf_flock_file_open(int dirfd, const char *name, int writable, hf_flock_file **ret_file,
                       hf_error *reterr) {
  size_t name_bytes = strnlen(name, HF_LOCKER_NAME_BYTES_MAX + 1);
  if (name_bytes == 0 || name_bytes > HF_LOCKER_NAME_BYTES_MAX || strchr(name, '/') != NULL ||
      name[0] == '.')
    return hf_err(reterr, HF_EINVAL, NULL,
                  "the name of a lock must be a file name of 1 to %d bytes",
                  HF_LOCKER_NAME_BYTES_MAX);
  (void)pthread_once(&handlers_once, install_handlers);
  hf_flock_file *file = calloc(1, sizeof *file);
  if (file == NULL)
    return hf_err_nomem(reterr);
  memcpy(file->name, name, name_bytes + 1);
  file->pid = getpid();
  for (int i = 0; i < OPEN_TRIES_MAX; i++) {
    unsigned forks_before = count_forks();
    int status = open_file(file, dirfd, writable, reterr);
    if (status == HF_OK && add_to_list(file, forks_before)) {
      *ret_file = file;
      return HF_OK;
    }
    if (status < 0) {
      free(file);
      return status;
    }
    (void)hf_sys_close(file->fd);
  }
  free(file);
  return hf_err(reterr, HF_EIO, name,
                "this process forks without a pause, so that the lock file "
                "could not be opened; try again");
}

void hf_flock_file_close(hf_flock_file **file) {
  if (*file == NULL)
    return;
  remove_from_list(*file);
  if ((*file)->fd >= 0) {
    /* Explicitly, because a child that was forked past the handlers may still have the descriptor.
     */
    if (!hf_flock_file_is_foreign(*file))
      (void)hf_flock_file_lock(*file, LOCK_UN);
    (void)hf_sys_close((*file)->fd);
  }
  free(*file);
  *file = NULL;
}

int hf_flock_file_is_named(const hf_flock_file *file, int dirfd, hf_error *reterr) {
  struct stat st;
  if (hf_sys_fstatat(dirfd, file->name, &st) == 0)
    return st.st_dev == file->dev && st.st_ino == file->ino;
  if (errno == ENOENT)
    return 0;
  return hf_err_sys(reterr, HF_EIO, errno, file->name, "cannot examine the lock file");
}

int hf_flock_file_is_foreign(const hf_flock_file *file) {
  return file->fd < 0 || file->pid != getpid();
}

int hf_flock_file_lock(const hf_flock_file *file, int operation) {
  int result = -1;
  for (int i = 0; i < HF_EINTR_RETRIES_MAX; i++) {
    result = hf_sys->flock(file->fd, operation);
    if (result == 0 || errno != EINTR)
      break;
  }
  return result;
}

int hf_flock_file_read_holder(const hf_flock_file *file, hf_lock_holder *ret_holder,
                              hf_error *reterr) {
  char line[HF_HOLDER_LINE_BYTES];
  ssize_t got = hf_sys_pread_full(file->fd, line, sizeof line, 0);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, file->name, "cannot read the lock file");
  hf_holder_parse(line, (size_t)got, ret_holder);
  return HF_OK;
}
