#include "flock_wait.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <time.h>

#include "clock.h"
#include "err.h"
#include "sys.h"

#include "banned.h"

enum {
  SLICE_MS = 1000, /* how often a waiter looks whether the lock was broken */
  HELPER_STACK_BYTES = 256 * 1024,
  POLL_BASE_US = 500,
  POLL_CAP_US = 20000
};

/* Shared by the waiter and its helper; lives on the waiter's stack until the helper is joined. */
typedef struct wait_shared {
  int fd;
  pthread_mutex_t mutex;
  pthread_cond_t is_done; /* on CLOCK_MONOTONIC */
  int done;               /* under mutex, as the following */
  int result;
  int result_errno;
} wait_shared;

/* Makes the blocking call where this thread, and only there, may vanish at any instruction. The
 * type is what opens and closes the region, not the state: glibc 2.36 sends its signal when both
 * allow it, but the handler then looks at the type alone, so that a late signal would end a thread
 * that has disabled cancellation by now (seen as a mutex left locked, with the thread sanitizer).
 * No local's address is taken here: the address sanitizer would keep its surroundings poisoned
 * after the frame has vanished. */
static int lock_cancellably(int (*lock)(int, int), int fd) {
  (void)pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
  (void)pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
  int result = lock(fd, LOCK_EX);
  (void)pthread_setcanceltype(PTHREAD_CANCEL_DEFERRED, NULL);
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  return result; /* errno is still the call's: these functions leave it alone */
}

static void *helper_main(void *argument) {
  wait_shared *shared = argument;
  int result = -1, result_errno = EINTR;
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
  for (int i = 0; i < HF_EINTR_RETRIES_MAX && result < 0 && result_errno == EINTR; i++) {
    result = lock_cancellably(hf_sys->flock, shared->fd);
    result_errno = result < 0 ? errno : 0;
  }
  (void)pthread_mutex_lock(&shared->mutex);
  shared->result = result;
  shared->result_errno = result_errno;
  shared->done = 1;
  (void)pthread_cond_signal(&shared->is_done);
  (void)pthread_mutex_unlock(&shared->mutex);
  return NULL;
}

/* Starts the helper with every signal blocked, so that the program's handlers run in its own
 * threads. */
static int start_helper(wait_shared *shared, pthread_t *ret_helper) {
  pthread_attr_t attributes;
  sigset_t all, before;
  int failed = pthread_attr_init(&attributes);
  if (failed != 0)
    return failed;
  (void)pthread_attr_setstacksize(&attributes, HELPER_STACK_BYTES);
  (void)sigfillset(&all);
  failed = pthread_sigmask(SIG_SETMASK, &all, &before);
  if (failed == 0) {
    failed = pthread_create(ret_helper, &attributes, helper_main, shared);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  }
  (void)pthread_attr_destroy(&attributes);
  return failed;
}

/* Sleeps until the helper is done (1) or the instant has come (0). */
static int sleep_until(wait_shared *shared, int64_t until_ms) {
  struct timespec until = {.tv_sec = (time_t)(until_ms / 1000),
                           .tv_nsec = (long)(until_ms % 1000) * 1000000};
  (void)pthread_mutex_lock(&shared->mutex);
  int failed = 0;
  while (!shared->done && failed == 0)
    failed = pthread_cond_timedwait(&shared->is_done, &shared->mutex, &until);
  int done = shared->done;
  (void)pthread_mutex_unlock(&shared->mutex);
  return done;
}

static int64_t end_of_slice(int64_t deadline_ms) {
  int64_t slice = hf_monotonic_ms() + SLICE_MS;
  return slice < deadline_ms ? slice : deadline_ms;
}

/* Was the lock broken while we wait? Where that cannot be told, the wait goes on. */
static int is_replaced(const hf_flock_file *file, int dirfd) {
  return hf_flock_file_is_named(file, dirfd, NULL) == 0;
}

static int wait_with_helper(wait_shared *shared, pthread_t helper, const hf_flock_file *file,
                            int dirfd, int64_t deadline_ms, hf_error *reterr) {
  int outcome = HF_FLOCK_DEADLINE;
  int done = sleep_until(shared, end_of_slice(deadline_ms));
  while (!done && hf_monotonic_ms() < deadline_ms) { /* bounded by the deadline: a turn a slice */
    if (is_replaced(file, dirfd)) {
      outcome = HF_FLOCK_REPLACED;
      break;
    }
    done = sleep_until(shared, end_of_slice(deadline_ms));
  }
  if (!done)
    (void)pthread_cancel(helper);
  (void)pthread_join(helper, NULL);
  /* The helper is gone: what it has stored is all that it will ever have stored. */
  if (shared->done && shared->result == 0)
    return HF_FLOCK_GRANTED;
  if (shared->done)
    return hf_flock_error(shared->result_errno, file->name, reterr);
  return outcome;
}

/* Where the process may not have another thread. */
static int wait_by_polling(const hf_flock_file *file, int dirfd, int64_t deadline_ms,
                           hf_error *reterr) {
  int64_t look_at_ms = end_of_slice(deadline_ms);
  for (unsigned i = 0; hf_backoff_sleep(i, POLL_BASE_US, POLL_CAP_US, deadline_ms) == 0; i++) {
    if (hf_flock_file_lock(file, LOCK_EX | LOCK_NB) == 0)
      return HF_FLOCK_GRANTED;
    if (errno != EWOULDBLOCK)
      return hf_flock_error(errno, file->name, reterr);
    if (hf_monotonic_ms() < look_at_ms)
      continue;
    if (is_replaced(file, dirfd))
      return HF_FLOCK_REPLACED;
    look_at_ms = end_of_slice(deadline_ms);
  }
  return HF_FLOCK_DEADLINE;
}

static int init_cond(pthread_cond_t *cond) {
  pthread_condattr_t attributes;
  int failed = pthread_condattr_init(&attributes);
  if (failed != 0)
    return failed;
  failed = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  if (failed == 0)
    failed = pthread_cond_init(cond, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  return failed;
}

int hf_flock_wait(const hf_flock_file *file, int dirfd, int64_t deadline_ms, hf_error *reterr) {
  wait_shared shared = {.fd = file->fd, .mutex = PTHREAD_MUTEX_INITIALIZER};
  pthread_t helper;
  int cancel_state;
  if (init_cond(&shared.is_done) != 0)
    return wait_by_polling(file, dirfd, deadline_ms, reterr);
  /* The program may cancel the thread that waits; not before the helper has let go of this stack.
   */
  (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
  int result;
  if (start_helper(&shared, &helper) == 0)
    result = wait_with_helper(&shared, helper, file, dirfd, deadline_ms, reterr);
  else
    result = wait_by_polling(file, dirfd, deadline_ms, reterr);
  (void)pthread_setcancelstate(cancel_state, NULL);
  (void)pthread_cond_destroy(&shared.is_done);
  (void)pthread_mutex_destroy(&shared.mutex);
  return result;
}

int hf_flock_error(int sys_errno, const char *place, hf_error *reterr) {
  switch (sys_errno) {
  case ENOLCK:
    return hf_err_sys(reterr, HF_EBACKEND, sys_errno, place,
                      "the kernel has no lock to give (on NFS version 3: is the lock manager, "
                      "rpc.statd, running on both sides, and the mount without nolock?)");
  case EOPNOTSUPP:
  case ENOSYS:
  case EINVAL:
    return hf_err_sys(reterr, HF_EBACKEND, sys_errno, place,
                      "this filesystem has no flock (Lustre: mount it with -o flock); use a store "
                      "with another locker, or mount it so that it has");
  default:
    return hf_err_sys(reterr, HF_EBACKEND, sys_errno, place, "flock failed");
  }
}
