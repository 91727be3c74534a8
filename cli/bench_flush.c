#include "bench_flush.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"

enum { SAMPLES_MAX = 200, SAMPLES_MIN = 3, BYTES = 2500, PAGE = 4096, PAGES = 256 };

static int64_t now_ns(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int write_bytes(int fd, size_t bytes, off_t offset) {
  static char block[PAGE];
  memset(block, 'x', sizeof block);
  ssize_t written = pwrite(fd, block, bytes, offset);
  if (written >= 0 && (size_t)written != bytes)
    errno = ENOSPC;
  return written == (ssize_t)bytes ? 0 : -1;
}

/* The one flush that is measured; fd stays open. */
static int timed(int fd, int (*flush)(int), int64_t *ret_ns) {
  int64_t began = now_ns();
  int result = flush(fd);
  *ret_ns = now_ns() - began;
  return result;
}

static int close_after(int fd, int result) {
  int saved = errno;
  int closed = close(fd);
  if (result != 0)
    errno = saved;
  return result != 0 ? result : closed;
}

static int sample_file(int folder, unsigned number, int64_t *ret_ns) {
  char name[32];
  (void)snprintf(name, sizeof name, "new-%u", number);
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return -1;
  int result = write_bytes(fd, BYTES, 0);
  return close_after(fd, result != 0 ? result : timed(fd, fsync, ret_ns));
}

static int sample_name(int folder, unsigned number, int64_t *ret_ns) {
  char name[32];
  (void)snprintf(name, sizeof name, "name-%u", number);
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || close(fd) != 0)
    return -1;
  return timed(folder, fsync, ret_ns);
}

static int sample_page(int folder, unsigned number, int64_t *ret_ns) {
  int fd = openat(folder, "pages", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  int result = fd < 0 ? -1 : 0;
  if (fd >= 0 && number == 0) {
    for (off_t page = 0; page < PAGES && result == 0; page++)
      result = write_bytes(fd, PAGE, page * PAGE);
    result = result != 0 ? result : fsync(fd);
  }
  if (result == 0)
    result = write_bytes(fd, BYTES, (off_t)(number % PAGES) * PAGE);
  if (result == 0)
    result = timed(fd, fdatasync, ret_ns);
  return fd < 0 ? -1 : close_after(fd, result);
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a;
  int64_t y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

int hf_cli_bench_flush_measure(const char *folder, hf_cli_bench_flush kind, int64_t time_ms,
                               hf_cli_bench_flush_cost *ret_cost) {
  static int (*const samples[HF_CLI_BENCH_FLUSHES])(int, unsigned, int64_t *) = {
      [HF_CLI_BENCH_FLUSH_FILE] = sample_file,
      [HF_CLI_BENCH_FLUSH_NAME] = sample_name,
      [HF_CLI_BENCH_FLUSH_PAGE] = sample_page,
  };
  int64_t ns[SAMPLES_MAX];
  unsigned count = 0;
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = fd < 0 ? -1 : 0;
  int64_t until = now_ns() + time_ms * 1000000;
  while (result == 0 && count < SAMPLES_MAX && (count < SAMPLES_MIN || now_ns() < until)) {
    result = samples[kind](fd, count, &ns[count]);
    count += result == 0;
    if (result == 0 && hf_cli_signalled()) {
      errno = EINTR;
      result = -1;
    }
  }
  if (fd >= 0)
    result = close_after(fd, result);
  if (result != 0)
    return -1;
  qsort(ns, count, sizeof ns[0], compare);
  unsigned middle = count / 2;
  unsigned late = count - 1 - count / 100;
  *ret_cost = (hf_cli_bench_flush_cost){
      .samples = count, .median_us = (double)ns[middle] / 1e3, .p99_us = (double)ns[late] / 1e3};
  return 0;
}
