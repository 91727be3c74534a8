/* Counts the calls that make data durable (and linkat, that publishes it), of a program and of its
 * children, and can make each one slower:
 *
 *     LD_PRELOAD=libhf_flushcount.so HF_FLUSH_DELAY_US=2000 PROGRAM ...
 *
 * HF_FLUSH_COUNTS=FILE keeps the counts in a file, so that a program that was exec'ed counts into
 * the same ones (a server that is started by the program that reads them).
 *
 * A program that looks up hf_flushcount_read (dlsym) reads the counts; the others get a line on
 * stderr when they end, where HF_FLUSH_REPORT is set. Children are counted, without HF_FLUSH_COUNTS
 * until they exec. Not seen: calls that go round libc, as Go programs make them (strace sees them).
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "flushcount.h"

#define EXPORT __attribute__((visibility("default")))

enum { DELAY_US_MAX = 10 * 1000 * 1000, TIMER_SLACK_NS = 1000 };

static _Atomic uint64_t *counts; /* HF_FLUSH_KINDS, shared with children */
static long delay_us;
static pid_t reporter;
static int skip; /* this process only */

static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_sync_file_range)(int, off64_t, off64_t, unsigned);
static int (*real_msync)(void *, size_t, int);
static int (*real_syncfs)(int);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static int (*real_linkat)(int, const char *, int, const char *, int);

static void find(const char *name, void *ret_function) {
  *(void **)ret_function = dlsym(RTLD_NEXT, name);
  if (!*(void **)ret_function) {
    abort();
  }
}

static void *counts_map(const char *file) {
  size_t bytes = HF_FLUSH_KINDS * sizeof *counts;
  int fd = file ? open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
  if (file && (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)) {
    abort();
  }
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      fd < 0 ? MAP_SHARED | MAP_ANONYMOUS : MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) {
    abort();
  }
  if (fd >= 0) {
    (void)close(fd);
  }
  return memory;
}

/* A sleep is 50 us too long by default, which would double a short delay. */
static void be_precise(void) {
  static _Thread_local int done;
  if (!done) {
    done = prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS) == 0;
  }
}

__attribute__((constructor)) static void start(void) {
  find("fsync", &real_fsync);
  find("fdatasync", &real_fdatasync);
  find("sync_file_range", &real_sync_file_range);
  find("msync", &real_msync);
  find("syncfs", &real_syncfs);
  find("pwrite", &real_pwrite);
  find("linkat", &real_linkat);
  counts = counts_map(getenv("HF_FLUSH_COUNTS"));
  const char *text = getenv("HF_FLUSH_DELAY_US");
  if (text) {
    long value = strtol(text, NULL, 10);
    delay_us = value > 0 && value <= DELAY_US_MAX ? value : 0;
  }
  reporter = getenv("HF_FLUSH_REPORT") ? getpid() : 0;
}

/* 1: go on to the real call. */
static int count(hf_flush_kind kind) {
  if (skip) {
    return 0;
  }
  (void)atomic_fetch_add_explicit(&counts[kind], 1, memory_order_relaxed);
  if (delay_us > 0) {
    struct timespec t = {.tv_sec = delay_us / 1000000, .tv_nsec = delay_us % 1000000 * 1000};
    be_precise();
    (void)nanosleep(&t, NULL);
  }
  return 1;
}

EXPORT void hf_flushcount_skip(void) {
  skip = 1;
}

EXPORT void hf_flushcount_read(uint64_t ret_counts[HF_FLUSH_KINDS]) {
  for (int i = 0; i < HF_FLUSH_KINDS; i++) {
    ret_counts[i] = atomic_load(&counts[i]);
  }
}

__attribute__((destructor)) static void report(void) {
  if (reporter != 0 && reporter == getpid()) {
    uint64_t now[HF_FLUSH_KINDS];
    hf_flushcount_read(now);
    (void)fprintf(stderr,
                  "flushcount: fsync %ju, fdatasync %ju, sync_file_range %ju, msync %ju, "
                  "dsync_write %ju, other %ju, link %ju\n",
                  (uintmax_t)now[HF_FLUSH_FSYNC], (uintmax_t)now[HF_FLUSH_FDATASYNC],
                  (uintmax_t)now[HF_FLUSH_RANGE], (uintmax_t)now[HF_FLUSH_MSYNC],
                  (uintmax_t)now[HF_FLUSH_DSYNC], (uintmax_t)now[HF_FLUSH_OTHER],
                  (uintmax_t)now[HF_FLUSH_LINK]);
  }
}

EXPORT int fsync(int fd) {
  return count(HF_FLUSH_FSYNC) ? real_fsync(fd) : 0;
}

EXPORT int fdatasync(int fd) {
  return count(HF_FLUSH_FDATASYNC) ? real_fdatasync(fd) : 0;
}

EXPORT int sync_file_range(int fd, off64_t offset, off64_t bytes, unsigned flags) {
  return count(HF_FLUSH_RANGE) ? real_sync_file_range(fd, offset, bytes, flags) : 0;
}

EXPORT int msync(void *start_of_range, size_t bytes, int flags) {
  return count(HF_FLUSH_MSYNC) ? real_msync(start_of_range, bytes, flags) : 0;
}

EXPORT int syncfs(int fd) {
  return count(HF_FLUSH_OTHER) ? real_syncfs(fd) : 0;
}

/* LMDB writes its root so. */
EXPORT ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
  int flags = skip ? 0 : fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_DSYNC) != 0) { /* O_SYNC has that bit as well */
    (void)count(HF_FLUSH_DSYNC);
  }
  return real_pwrite(fd, bytes, size, offset);
}

/* With 64-bit offsets the above is the symbol pwrite64; other libraries call this one. */
EXPORT ssize_t pwrite_plain(int, const void *, size_t, off_t) __asm__("pwrite");

ssize_t pwrite_plain(int fd, const void *bytes, size_t size, off_t offset) {
  return pwrite(fd, bytes, size, offset);
}

EXPORT int linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  (void)atomic_fetch_add_explicit(&counts[HF_FLUSH_LINK], 1, memory_order_relaxed);
  return real_linkat(from_dirfd, from, to_dirfd, to, flags);
}
