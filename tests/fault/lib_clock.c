/* A monotonic clock that can be told to jump: where nobody else is at work there is nothing to wait
 * for. Takes the place of libc's functions in the fault tests; without fault_clock_jumps they do
 * what libc's do. */
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"

static _Atomic int64_t ahead_ns;
static atomic_int jumps;

void fault_clock_jumps(int yes) {
  atomic_store(&jumps, yes);
}

static int64_t to_ns(const struct timespec *time) {
  return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (syscall(SYS_clock_gettime, clock, time) != 0)
    return -1;
  if (clock == CLOCK_MONOTONIC) {
    int64_t now_ns = to_ns(time) + atomic_load(&ahead_ns);
    time->tv_sec = (time_t)(now_ns / 1000000000);
    time->tv_nsec = (long)(now_ns % 1000000000);
  }
  return 0;
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *until,
                    struct timespec *left) {
  if (clock == CLOCK_MONOTONIC && flags == TIMER_ABSTIME && atomic_load(&jumps) != 0) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    int64_t wait_ns = to_ns(until) - to_ns(&now);
    if (wait_ns > 0)
      atomic_fetch_add(&ahead_ns, wait_ns);
    return 0;
  }
  return syscall(SYS_clock_nanosleep, clock, flags, until, left) == 0 ? 0 : errno;
}
