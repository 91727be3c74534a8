/* Waiting for a flock with a deadline, without spinning and without signal handlers.
 *
 * flock(2) knows no deadline. Polling would wake late or burn CPU; a timer's signal would need a
 * handler in somebody else's program. So a helper thread makes the blocking call, and the waiter
 * sleeps on a condition variable. At the deadline the helper is cancelled, asynchronously, which is
 * allowed only around the raw system call. The cancellation may come just when the kernel has
 * granted: nobody knows then, so whoever is not told GRANTED must close the file.
 *
 * hf_sys->flock is called from the helper: a table of a test must not take a mutex or memory around
 * the blocking call in it, since the thread may vanish there. */
#ifndef HF_LOCKERS_FLOCK_WAIT_H
#define HF_LOCKERS_FLOCK_WAIT_H

#include "flock_file.h"

typedef enum hf_flock_outcome {
  HF_FLOCK_GRANTED,
  HF_FLOCK_DEADLINE,
  HF_FLOCK_REPLACED /* the name is another file by now (break_lock): waiting on for this one is of
                       no use */
} hf_flock_outcome;

/* Waits for LOCK_EX until deadline_ms (CLOCK_MONOTONIC). Returns an hf_flock_outcome, or
 * HF_EBACKEND. Unless GRANTED, the file may be locked: the caller closes it. */
int hf_flock_wait(const hf_flock_file *file, int dirfd, int64_t deadline_ms, hf_error *reterr);

/* The error for a flock(2) that failed with this errno: says what to do. Returns HF_EBACKEND. */
int hf_flock_error(int sys_errno, const char *place, hf_error *reterr);

#endif
