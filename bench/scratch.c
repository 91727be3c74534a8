#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NFTW_DESCRIPTORS = 16 };

/* "The top of a hierarchy": ext4 then spreads its sub-folders. Elsewhere it changes nothing, or
 * fails. */
static void spread_folders(const char *path) {
  int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int flags = 0;
  if (fd < 0) {
    return;
  }
  if (ioctl(fd, FS_IOC_GETFLAGS, &flags) == 0) {
    flags |= FS_TOPDIR_FL;
    (void)ioctl(fd, FS_IOC_SETFLAGS, &flags);
  }
  (void)close(fd);
}

int hf_bench_scratch_make(const char *parent, char *path, size_t path_bytes_max) {
  int n = snprintf(path, path_bytes_max, "%s/holdfast-bench-XXXXXX", parent);
  if (n < 0 || (size_t)n >= path_bytes_max) {
    errno = ENAMETOOLONG;
    return -1;
  }
  if (!mkdtemp(path)) {
    return -1;
  }
  spread_folders(path);
  return 0;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk) {
  (void)st;
  (void)kind;
  (void)walk;
  return remove(path);
}

void hf_bench_scratch_remove(const char *path) {
  (void)nftw(path, remove_entry, NFTW_DESCRIPTORS, FTW_DEPTH | FTW_PHYS);
}
