#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "config.h"
#include "err.h"
#include "fs.h"
#include "store_locker.h"
#include "sys.h"

#include "banned.h"

enum {
  OPEN_FILES_WANTED = 256,
  INODES_WANTED = 10000,
  INODES_NEEDED = 100,
  CLOCK_AHEAD_MS_MAX = 2000,
  OPTIONS_BYTES = 4096
};

#define MIB ((uint64_t)1024 * 1024)
#define SPACE_WANTED (1024 * MIB)
#define SPACE_NEEDED (16 * MIB)
#define CLOCK_US_MIN INT64_C(1735689600000000) /* 2025-01-01 */
#define CLOCK_US_END INT64_C(4102444800000000) /* 2100-01-01 */

/* ---- the filesystem ---- */

static int starts(const char *text, const char *with) {
  return strncmp(text, with, strlen(with)) == 0;
}

static int is_network(const char *type) {
  static const char *const types[] = {"nfs",  "nfs4", "cifs",  "smb3",           "lustre", "ceph",
                                      "gpfs", "gfs2", "ocfs2", "fuse.glusterfs", "beegfs"};
  for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
    if (strcmp(types[i], type) == 0)
      return 1;
  return 0;
}

static void tell_type(hf_doctor_run *run) {
  const hf_fs *fs = &run->fs;
  const char *type = fs->type, *acting = fs->acting_type;
  int is_overlay = strcmp(type, acting) != 0;
  if (strcmp(acting, "tmpfs") == 0 && fs->local)
    hf_doctor_tell(run, "filesystem", HF_VERDICT_CAUTION, 0, "",
                   "%s%s, mounted at %s: in memory, everything is gone after a restart", type,
                   is_overlay ? " over tmpfs" : "", fs->mount_point);
  else if (fs->local)
    hf_doctor_tell(run, "filesystem", HF_VERDICT_GOOD, 0, "",
                   "%s%s%s, mounted at %s: local, one kernel sees every change", type,
                   is_overlay ? " over " : "", is_overlay ? acting : "", fs->mount_point);
  else if (is_network(acting))
    hf_doctor_tell(run, "filesystem", HF_VERDICT_GOOD, 0, "",
                   "%s of %s, mounted at %s: shared by hosts, so every name is read back and every "
                   "mark made durable",
                   acting, fs->source, fs->mount_point);
  else if (is_overlay)
    hf_doctor_tell(run, "filesystem", HF_VERDICT_CAUTION, 0, "",
                   "%s, mounted at %s: the layer that it writes to cannot be seen from here, or "
                   "contradicts itself; taken for shared, which is slower and always right",
                   type, fs->mount_point);
  else
    hf_doctor_tell(
        run, "filesystem", HF_VERDICT_CAUTION, 0, "",
        "%s, mounted at %s: not on the list of filesystems that this was tried on; taken "
        "for shared, which is slower and always right",
        acting, fs->mount_point);
}

/* Options that decide whether a store is safe, and why. */
static const struct {
  const char *type; /* a beginning of the type's name */
  const char *option;
  hf_verdict verdict;
  const char *text;
} known_options[] = {
    {"", "ro", HF_VERDICT_BAD, "mounted read-only: nothing can be saved"},
    {"nfs", "nocto", HF_VERDICT_BAD,
     "open does not ask the server, so that readers miss acknowledged saves; mount without nocto"},
    {"nfs", "soft", HF_VERDICT_CAUTION,
     "a request can be reported as failed and be carried out later, so that more saves end as "
     "\"unknown\"; mount with hard"},
    {"nfs", "softerr", HF_VERDICT_CAUTION,
     "a request can be reported as failed and be carried out later, so that more saves end as "
     "\"unknown\"; mount with hard"},
    {"nfs", "noac", HF_VERDICT_CAUTION, "safe, but nothing needs it, and every save is slower"},
    {"nfs", "nolock", HF_VERDICT_CAUTION,
     "flock holds on this host only; take the redis locker where several hosts save"},
    {"overlay", "volatile", HF_VERDICT_BAD, "fsync does nothing, so that a power loss loses saves"},
    {"ext", "nobarrier", HF_VERDICT_BAD,
     "the disk's cache is not flushed, so that a power loss loses saves; mount with barrier"},
    {"ext", "barrier=0", HF_VERDICT_BAD,
     "the disk's cache is not flushed, so that a power loss loses saves; mount with barrier"},
    {"xfs", "nobarrier", HF_VERDICT_BAD,
     "the disk's cache is not flushed, so that a power loss loses saves; mount with barrier"},
    {"btrfs", "nobarrier", HF_VERDICT_BAD,
     "the disk's cache is not flushed, so that a power loss loses saves; mount with barrier"},
    {"f2fs", "nobarrier", HF_VERDICT_BAD,
     "the disk's cache is not flushed, so that a power loss loses saves; mount with barrier"},
    {"f2fs", "fsync_mode=nobarrier", HF_VERDICT_BAD,
     "the disk's cache is not flushed, so that a power loss loses saves; mount with barrier"},
    {"cifs", "cache=loose", HF_VERDICT_BAD,
     "this host keeps what others have changed, so that readers miss acknowledged saves; mount "
     "with cache=strict"},
    {"smb3", "cache=loose", HF_VERDICT_BAD,
     "this host keeps what others have changed, so that readers miss acknowledged saves; mount "
     "with cache=strict"},
    {"9p", "cache=loose", HF_VERDICT_CAUTION,
     "this machine keeps what others have changed: only it may use the store"},
    {"9p", "cache=fscache", HF_VERDICT_CAUTION,
     "this machine keeps what others have changed: only it may use the store"},
};

/* What Linux's ext4 driver tells of a mounted device: with a journal, "data=" is among it. 1, 0, or
 * -1: it cannot be seen from here. */
static int has_journal(const hf_fs *fs) {
  char name[PATH_MAX];
  char place[PATH_MAX + 32];
  char text[OPTIONS_BYTES];
  hf_autofree char *device = realpath(fs->source, NULL); /* what /dev/mapper/... stands for */
  if (device == NULL || strrchr(device, '/') == NULL)
    return -1;
  (void)snprintf(name, sizeof name, "%s", strrchr(device, '/') + 1);
  (void)snprintf(place, sizeof place, "/proc/fs/ext4/%s/options", name);
  hf_autofd int fd = hf_sys_openat(AT_FDCWD, place, O_RDONLY, 0);
  ssize_t got = fd >= 0 ? hf_sys_pread_full(fd, text, sizeof text - 1, 0) : -1;
  if (got <= 0)
    return -1;
  text[got] = '\0';
  return strstr(text, "\ndata=") != NULL;
}

/* Seen on Linux 6.1 (docs/FILESYSTEMS.md). */
static void tell_journal(hf_doctor_run *run) {
  if (!starts(run->fs.acting_type, "ext") || has_journal(&run->fs) != 0)
    return;
  hf_doctor_tell(run, "journal", HF_VERDICT_CAUTION, 0, "",
                 "%s without a journal: where the disk has a cache that a power loss empties, the "
                 "kernel does not flush it for every fsync, and acknowledged saves can be lost; "
                 "tune2fs -O has_journal gives it one",
                 run->fs.acting_type);
}

static void tell_options(hf_doctor_run *run) {
  int told = 0;
  for (size_t i = 0; i < sizeof known_options / sizeof known_options[0]; i++) {
    int applies = starts(run->fs.type, known_options[i].type) ||
                  starts(run->fs.acting_type, known_options[i].type);
    int is_set = strcmp(known_options[i].option, "ro") == 0
                     ? run->fs.read_only
                     : hf_fs_has_option(&run->fs, known_options[i].option);
    if (!applies || !is_set)
      continue;
    hf_doctor_tell(run, "options", known_options[i].verdict, 0, "", "%s: %s",
                   known_options[i].option, known_options[i].text);
    told = 1;
  }
  if (!told)
    hf_doctor_tell(run, "options", HF_VERDICT_GOOD, 0, "", "nothing harmful among %.800s",
                   run->fs.options);
  if (starts(run->fs.acting_type, "nfs"))
    hf_doctor_tell(run, "server", HF_VERDICT_GOOD, 0, "",
                   "whether the server exports this with sync cannot be seen from here: ask who "
                   "runs it (with async a power loss of the server loses acknowledged saves)");
}

void hf_doctor_look_filesystem(hf_doctor_run *run) {
  tell_type(run);
  tell_options(run);
  tell_journal(run);
}

/* ---- the store ---- */

static const char *first_unwritable(const hf_doctor_run *run) {
  static const char *const folders[] = {"stage", "log", "tile", "blob"};
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++)
    if (faccessat(run->root_fd, folders[i], W_OK | X_OK, AT_EACCESS) != 0 && errno != ENOENT)
      return folders[i];
  return NULL;
}

/* All who save must use the store's locker. */
static void tell_configuration(hf_doctor_run *run) {
  const char *named = hf_config_locker_named(run->config, run->fs.acting_type);
  if (named != NULL && strcmp(named, run->manifest.locker) != 0)
    hf_doctor_tell(run, "configuration", HF_VERDICT_BAD, 0, "",
                   "%s says %s for %s, and the store's locker is %s: reading works, saving is "
                   "refused; change that entry, or the store with: holdfast locker set %s",
                   hf_config_path(run->config), named, run->fs.acting_type, run->manifest.locker,
                   named);
}

void hf_doctor_look_store(hf_doctor_run *run) {
  hf_error error = HF_ERROR_INIT;
  int got = hf_manifest_read(run->root_fd, &run->manifest, &error);
  if (got == 0)
    return;
  if (got < 0) {
    hf_doctor_tell(run, "store", HF_VERDICT_BAD, 0, "", "%s: %s", error.place, error.message);
    return;
  }
  run->is_store = 1;
  /* The log decides which locker it is; where it cannot be read the manifest has to do. */
  (void)hf_store_locker_at(run->path, run->manifest.locker, NULL);
  tell_configuration(run);
  const char *unwritable = first_unwritable(run);
  if (unwritable != NULL)
    hf_doctor_tell(run, "store", HF_VERDICT_BAD, 0, "",
                   "user %u may not write to %s/: reading works, saving does not",
                   (unsigned)geteuid(), unwritable);
  else
    hf_doctor_tell(run, "store", HF_VERDICT_GOOD, 0, "",
                   "a store, %s, of %s, with the locker %s, publishing by %s", run->manifest.uuid,
                   run->manifest.created, run->manifest.locker, run->manifest.publish);
}

/* ---- space ---- */

static void tell_inodes(hf_doctor_run *run, const struct statfs *stats) {
  uint64_t free_inodes = (uint64_t)stats->f_ffree;
  if (stats->f_files == 0) {
    hf_doctor_tell(run, "inodes", HF_VERDICT_GOOD, 0, "", "the filesystem has no fixed number");
    return;
  }
  hf_verdict verdict = free_inodes < INODES_NEEDED   ? HF_VERDICT_BAD
                       : free_inodes < INODES_WANTED ? HF_VERDICT_CAUTION
                                                     : HF_VERDICT_GOOD;
  hf_doctor_tell(run, "inodes", verdict, (double)free_inodes, "inodes", "%" PRIu64 " are free%s",
                 free_inodes,
                 verdict == HF_VERDICT_GOOD ? "" : "; every save takes one for a time");
}

void hf_doctor_look_space(hf_doctor_run *run) {
  struct statfs stats;
  hf_error error = HF_ERROR_INIT;
  if (hf_sys->statfs(run->path, &stats) != 0) {
    (void)hf_err_sys(&error, HF_EIO, errno, NULL, "cannot be told");
    hf_doctor_tell(run, "space", HF_VERDICT_CAUTION, 0, "", "%s", error.message);
    return;
  }
  uint64_t free_bytes = (uint64_t)stats.f_bavail * (uint64_t)stats.f_bsize;
  hf_verdict verdict = free_bytes < SPACE_NEEDED   ? HF_VERDICT_BAD
                       : free_bytes < SPACE_WANTED ? HF_VERDICT_CAUTION
                                                   : HF_VERDICT_GOOD;
  hf_doctor_tell(run, "space", verdict, (double)free_bytes, "bytes", "%" PRIu64 " MiB are free%s",
                 free_bytes / MIB,
                 verdict == HF_VERDICT_GOOD ? "" : "; a full disk refuses saves, it loses none");
  tell_inodes(run, &stats);
}

/* ---- the host ---- */

static void tell_clock(hf_doctor_run *run) {
  char now[HF_RFC3339_BYTES];
  int64_t now_us = hf_realtime_us(), ahead_ms = run->file_time_ahead_ms;
  int64_t monotonic_ms = hf_monotonic_ms();
  hf_rfc3339_from_us(now_us, now);
  if (now_us < CLOCK_US_MIN || now_us >= CLOCK_US_END)
    hf_doctor_tell(run, "clock", HF_VERDICT_CAUTION, 0, "",
                   "it says %s, which cannot be: times that are shown are wrong (no order depends "
                   "on them); set it",
                   now);
  else if (llabs(ahead_ms) > CLOCK_AHEAD_MS_MAX)
    hf_doctor_tell(run, "clock", HF_VERDICT_CAUTION, (double)ahead_ms, "ms",
                   "the files' clock is %" PRId64 " ms ahead of this host's, %s (no order depends "
                   "on clocks); let both ask an NTP server",
                   ahead_ms, now);
  else if (hf_monotonic_ms() < monotonic_ms)
    hf_doctor_tell(run, "clock", HF_VERDICT_BAD, 0, "", "CLOCK_MONOTONIC went backwards");
  else
    hf_doctor_tell(run, "clock", HF_VERDICT_GOOD, (double)ahead_ms, "ms",
                   "%s, the files' clock agrees within %d ms", now, CLOCK_AHEAD_MS_MAX);
}

void hf_doctor_look_host(hf_doctor_run *run) {
  struct rlimit limit;
  tell_clock(run);
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
    return;
  int is_enough = limit.rlim_cur >= OPEN_FILES_WANTED;
  hf_doctor_tell(run, "open-files", is_enough ? HF_VERDICT_GOOD : HF_VERDICT_CAUTION,
                 limit.rlim_cur == RLIM_INFINITY ? 0 : (double)limit.rlim_cur,
                 limit.rlim_cur == RLIM_INFINITY ? "" : "files",
                 is_enough ? "a process may have enough of them open"
                           : "a process may have few of them open; raise ulimit -n");
}
