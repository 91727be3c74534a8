/* Mounts that are worse than they seem, one process each. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "lib_peer.h"

enum { NAMES_MAX = 8192, OLD_US = 200000 };

static int is_raced(const char *name) {
  return strncmp(name, "race-", 5) == 0;
}

void peer_mount_shared(void) {
  peer_be_shared();
}

/* ---- links ---- */

static int replacing_link(int from, const char *name, int to, const char *to_name, int flags) {
  if (is_raced(to_name))
    (void)unlinkat(to, to_name, 0);
  return linkat(from, name, to, to_name, flags);
}

void peer_mount_replaces(void) {
  peer_be_shared();
  peer_table.linkat = replacing_link;
}

static int lying_link(int from, const char *name, int to, const char *to_name, int flags) {
  int failed = linkat(from, name, to, to_name, flags);
  return failed != 0 && errno == EEXIST && is_raced(to_name) ? 0 : failed;
}

void peer_mount_both_win(void) {
  peer_be_shared();
  peer_table.linkat = lying_link;
}

static int idle_link(int from, const char *name, int to, const char *to_name, int flags) {
  if (is_raced(to_name) && to_name[strlen(to_name) - 1] == '7')
    return 0;
  return linkat(from, name, to, to_name, flags);
}

void peer_mount_does_nothing(void) {
  peer_be_shared();
  peer_table.linkat = idle_link;
}

static int no_link(int from, const char *name, int to, const char *to_name, int flags) {
  (void)from, (void)name, (void)to, (void)to_name, (void)flags;
  errno = EPERM;
  return -1;
}

void peer_mount_no_links(void) {
  peer_be_shared();
  peer_table.linkat = no_link;
}

static int replacing_rename(int from, const char *name, int to, const char *to_name,
                            unsigned flags) {
  return renameat2(from, name, to, to_name, is_raced(to_name) ? 0 : flags);
}

void peer_mount_rename_replaces(void) {
  peer_mount_no_links();
  peer_table.renameat2 = replacing_rename;
}

static int forgetful_link(int from, const char *name, int to, const char *to_name, int flags) {
  int failed = linkat(from, name, to, to_name, flags);
  if (failed != 0 || !is_raced(to_name))
    return failed;
  errno = EEXIST;
  return -1;
}

void peer_mount_loses_replies(void) {
  peer_be_shared();
  peer_table.linkat = forgetful_link;
}

/* ---- locks ---- */

/* A lock of one byte for each host: those of one host exclude each other, and no other one. */
static int local_flock(int fd, int operation) {
  struct flock one = {.l_type = (operation & LOCK_UN) != 0 ? F_UNLCK : F_WRLCK,
                      .l_whence = SEEK_SET,
                      .l_start = peer_host,
                      .l_len = 1};
  int failed = fcntl(fd, F_OFD_SETLK, &one);
  if (failed != 0)
    errno = EWOULDBLOCK;
  return failed;
}

void peer_mount_local_flock(void) {
  peer_be_shared();
  peer_table.flock = local_flock;
}

static int no_flock(int fd, int operation) {
  (void)fd, (void)operation;
  errno = ENOLCK;
  return -1;
}

void peer_mount_no_flock(void) {
  peer_be_shared();
  peer_table.flock = no_flock;
}

static int all_granting_flock(int fd, int operation) {
  (void)fd, (void)operation;
  return 0;
}

void peer_mount_granting_flock(void) {
  peer_be_shared();
  peer_table.flock = all_granting_flock;
}

/* Who has it keeps it. */
static int sticky_flock(int fd, int operation) {
  int failed = flock(fd, operation);
  if (failed == 0)
    (void)dup(fd);
  return failed;
}

void peer_mount_stuck_flock(void) {
  peer_be_shared();
  peer_table.flock = sticky_flock;
  peer_keeps_fds = 1;
}

/* ---- caches ---- */

/* The lengths of files that were opened to be read, as a client with an attribute cache has them.
 */
static struct {
  ino_t ino;
  off_t size;
  int64_t at_us;
} lengths[NAMES_MAX];
static size_t lengths_count;

static int old_fstat(int fd, struct stat *st) {
  int failed = hf_sys_real.fstat(fd, st);
  if (failed != 0 || !S_ISREG(st->st_mode) || (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
    return failed;
  int64_t now_us = fault_now_us();
  size_t i = 0;
  while (i < lengths_count && lengths[i].ino != st->st_ino)
    i++;
  FAULT_CHECK(i < NAMES_MAX, "too many files");
  if (i == lengths_count || now_us - lengths[i].at_us > OLD_US) {
    lengths[i].ino = st->st_ino;
    lengths[i].size = st->st_size;
    lengths[i].at_us = now_us;
    lengths_count += i == lengths_count;
  }
  st->st_size = lengths[i].size;
  return 0;
}

void peer_mount_old_lengths(void) {
  peer_be_shared();
  peer_table.fstat = old_fstat;
}

static struct {
  ino_t folder;
  char name[64];
} absent[NAMES_MAX];
static size_t absent_count;
static int (*openat_below)(int dirfd, const char *name, int flags, mode_t mode);

/* Absent names are remembered until the folder is opened by its name. */
static int forgetting_openat(int dirfd, const char *name, int flags, mode_t mode) {
  struct stat st;
  if ((flags & O_DIRECTORY) != 0) {
    int fd = openat_below(dirfd, name, flags, mode);
    if (fd >= 0 && fstat(fd, &st) == 0 && strcmp(name, ".") != 0)
      for (size_t i = 0; i < absent_count; i++)
        if (absent[i].folder == st.st_ino)
          absent[i].folder = 0;
    return fd;
  }
  if (strlen(name) >= sizeof absent[0].name || dirfd == AT_FDCWD || fstat(dirfd, &st) != 0)
    return openat_below(dirfd, name, flags, mode);
  for (size_t i = 0; i < absent_count && (flags & O_CREAT) == 0; i++)
    if (absent[i].folder == st.st_ino && strcmp(absent[i].name, name) == 0) {
      errno = ENOENT;
      return -1;
    }
  int fd = openat_below(dirfd, name, flags, mode);
  if (fd < 0 && errno == ENOENT && absent_count < NAMES_MAX) {
    absent[absent_count].folder = st.st_ino;
    (void)snprintf(absent[absent_count++].name, sizeof absent[0].name, "%s", name);
    errno = ENOENT;
  }
  return fd;
}

void peer_mount_absent_names(void) {
  peer_be_shared();
  openat_below = peer_table.openat;
  peer_table.openat = forgetting_openat;
}

/* The first look at every name of a record finds nothing. */
static char looked_for[NAMES_MAX][2];

static int slow_openat(int dirfd, const char *name, int flags, mode_t mode) {
  struct stat st;
  size_t bytes = strlen(name);
  if (bytes != 25 || strcmp(name + 20, ".json") != 0 || (flags & O_CREAT) != 0 ||
      fstat(dirfd, &st) != 0)
    return openat_below(dirfd, name, flags, mode);
  char *seen = &looked_for[(size_t)(st.st_ino * 64 + (ino_t)(name[18] - '0') * 10 +
                                    (ino_t)(name[19] - '0')) %
                           NAMES_MAX][0];
  if (*seen == 0) {
    *seen = 1;
    errno = ENOENT;
    return -1;
  }
  return openat_below(dirfd, name, flags, mode);
}

void peer_mount_slow_names(void) {
  peer_be_shared();
  openat_below = peer_table.openat;
  peer_table.openat = slow_openat;
}

/* ---- ends ---- */

static int deadly_link(int from, const char *name, int to, const char *to_name, int flags) {
  if (strcmp(to_name, "race-050") == 0)
    (void)kill(getpid(), SIGKILL);
  return linkat(from, name, to, to_name, flags);
}

void peer_die_in_race(void) {
  peer_be_shared();
  peer_table.linkat = deadly_link;
}

static int raced_so_far;

static int counting_link(int from, const char *name, int to, const char *to_name, int flags) {
  raced_so_far += is_raced(to_name);
  return linkat(from, name, to, to_name, flags);
}

static ssize_t failing_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  if (raced_so_far < 50 || count != 1)
    return pwrite(fd, bytes, count, offset);
  errno = EIO;
  return -1;
}

void peer_fail_in_race(void) {
  peer_be_shared();
  peer_table.linkat = counting_link;
  peer_table.pwrite = failing_pwrite;
}
