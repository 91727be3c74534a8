/* What this machine's flushes cost: the median of 200 of each kind that a save can wait for. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SAMPLES = 200, PATH_BYTES = 4096, BYTES = 2500, PAGE = 4096 };

typedef int (*sample_fn)(int folder, int number, int64_t *ret_ns);

static int64_t now_ns(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int write_all(int fd, size_t bytes) {
  static char block[PAGE];
  memset(block, 'x', sizeof block);
  return pwrite(fd, block, bytes, 0) == (ssize_t)bytes ? 0 : -1;
}

/* A new file of a document's size: fsync. */
static int new_file(int folder, int number, int64_t *ret_ns) {
  char name[32];
  (void)snprintf(name, sizeof name, "new-%d", number);
  int fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0 || write_all(fd, BYTES) < 0) {
    return -1;
  }
  int64_t begin = now_ns();
  int result = fsync(fd);
  *ret_ns = now_ns() - begin;
  return close(fd) < 0 ? -1 : result;
}

/* A new name of such a file: fsync of the folder. */
static int folder_name(int folder, int number, int64_t *ret_ns) {
  char from[32], to[32];
  (void)snprintf(from, sizeof from, "new-%d", number);
  (void)snprintf(to, sizeof to, "name-%d", number);
  if (linkat(folder, from, folder, to, 0) < 0) {
    return -1;
  }
  int64_t begin = now_ns();
  int result = fsync(folder);
  *ret_ns = now_ns() - begin;
  return result;
}

/* A page written over one that is there: fdatasync, what a write-ahead log waits for. */
static int overwrite(int folder, int number, int64_t *ret_ns) {
  int fd = openat(folder, "page", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0 || write_all(fd, PAGE) < 0 || (number == 0 && fsync(fd) < 0)) {
    return -1;
  }
  int64_t begin = now_ns();
  int result = fdatasync(fd);
  *ret_ns = now_ns() - begin;
  return close(fd) < 0 ? -1 : result;
}

static int compare(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static int measure(const char *what, sample_fn sample, int folder) {
  int64_t ns[SAMPLES];
  for (int i = 0; i < SAMPLES; i++) {
    if (sample(folder, i, &ns[i]) < 0) {
      (void)fprintf(stderr, "fsync_cost: %s: %s\n", what, strerror(errno));
      return -1;
    }
  }
  qsort(ns, SAMPLES, sizeof ns[0], compare);
  (void)printf(
      "{\"kind\":\"fsync\",\"what\":\"%s\",\"samples\":%d,\"median_us\":%.1f,\"p99_us\":%.1f}\n",
      what, SAMPLES, (double)ns[SAMPLES / 2] / 1e3, (double)ns[SAMPLES - 1 - SAMPLES / 100] / 1e3);
  return 0;
}

static void remove_all(int folder, const char *path) {
  char name[32];
  for (int i = 0; i < SAMPLES; i++) {
    (void)snprintf(name, sizeof name, "new-%d", i);
    (void)unlinkat(folder, name, 0);
    (void)snprintf(name, sizeof name, "name-%d", i);
    (void)unlinkat(folder, name, 0);
  }
  (void)unlinkat(folder, "page", 0);
  (void)rmdir(path);
}

int main(int argc, char **argv) {
  char path[PATH_BYTES];
  int n = snprintf(path, sizeof path, "%s/holdfast-bench-XXXXXX", argc > 1 ? argv[1] : ".");
  if (argc > 2 || n < 0 || (size_t)n >= sizeof path) {
    (void)fprintf(stderr, "usage: fsync_cost [DIR]\n");
    return 2;
  }
  int folder = mkdtemp(path) ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (folder < 0) {
    (void)fprintf(stderr, "fsync_cost: %s: %s\n", path, strerror(errno));
    return 1;
  }
  int result = measure("new file", new_file, folder);
  if (result == 0) {
    result = measure("new name in a folder", folder_name, folder);
  }
  if (result == 0) {
    result = measure("overwritten page", overwrite, folder);
  }
  remove_all(folder, path);
  return result < 0 ? 1 : 0;
}
