/* A wall clock that a test can set, for one process: takes the place of libc's clock_gettime,
 * gettimeofday and time. With HF_TEST_CLOCK=FILE the wall clock is off by the seconds that stand
 * there as an int64_t; the file is mapped, so that it can be set in mid-run. (A time namespace
 * would not do: it shifts only the monotonic clocks.) */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t *offset_s;

/* The file must be there and hold a number: a misspelt name would let a test of nothing pass. */
__attribute__((constructor)) static void map_offset(void) {
  const char *path = getenv("HF_TEST_CLOCK");
  if (path == NULL || path[0] == '\0')
    return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0 || lseek(fd, 0, SEEK_END) != (off_t)sizeof *offset_s)
    _exit(125);
  void *mapped = mmap(NULL, sizeof *offset_s, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED)
    _exit(125);
  offset_s = mapped;
  (void)close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  if (syscall(SYS_clock_gettime, clock, time) != 0)
    return -1;
  if (offset_s != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    time->tv_sec += (time_t)atomic_load(offset_s);
  return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0)
    return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
  return 0;
}

time_t time(time_t *ret_time) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0)
    return (time_t)-1;
  if (ret_time != NULL)
    *ret_time = now.tv_sec;
  return now.tv_sec;
}
