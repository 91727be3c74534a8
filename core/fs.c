#include "fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum {
  MOUNTINFO_BYTES_MAX = 64 * 1024 * 1024,
  MOUNTINFO_CHUNK_BYTES = 64 * 1024,
  OVERLAY_DEPTH_MAX = 3, /* the kernel stacks two overlays at most */
  PATH_BYTES = 4096
};

/* Appends a whole file of /proc, whose length nobody knows before. 0 or -1. */
static int read_proc(const char *path, hf_buf *out) {
  out->bytes_max = MOUNTINFO_BYTES_MAX;
  hf_autofd int fd = open(path, O_RDONLY | O_CLOEXEC); /* /proc, not the store */
  if (fd < 0)
    return -1;
  for (;;) {
    if (hf_buf_reserve(out, MOUNTINFO_CHUNK_BYTES) != 0)
      return -1;
    ssize_t got = read(fd, out->data + out->used, MOUNTINFO_CHUNK_BYTES); /* not the store */
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    out->used += (size_t)got;
    out->data[out->used] = '\0';
    if (got == 0)
      return 0;
  }
}

/* The id of the mount that holds this path, which settles what a path cannot: mounts that cover
 * each other. Negative where the kernel does not tell. */
static int64_t mount_id(const char *real_path) {
  hf_autobuf text = {0};
  char info[64];
  hf_autofd int fd = hf_sys_openat(AT_FDCWD, real_path, O_PATH, 0);
  if (fd < 0)
    return -1;
  (void)snprintf(info, sizeof info, "/proc/self/fdinfo/%d", fd);
  if (read_proc(info, &text) != 0 || text.data == NULL)
    return -1;
  static const char name[] = "mnt_id:";
  const char *line = strstr(text.data, name);
  if (line == NULL)
    return -1;
  const char *digits = line + sizeof name - 1;
  char *end = NULL;
  int64_t id = strtoll(digits, &end, 10);
  return end == digits ? -1 : id;
}

void hf_fs_from_mount(const hf_mount *mount, hf_fs *ret_fs) {
  hf_slice version;
  (void)hf_mount_decode(mount->type, ret_fs->type, sizeof ret_fs->type);
  (void)hf_mount_decode(mount->point, ret_fs->mount_point, sizeof ret_fs->mount_point);
  (void)hf_mount_decode(mount->source, ret_fs->source, sizeof ret_fs->source);
  (void)hf_mount_decode(mount->options, ret_fs->options, sizeof ret_fs->options);
  size_t used = strlen(ret_fs->options);
  if (mount->super_options.bytes > 0 && used + 2 < sizeof ret_fs->options) {
    ret_fs->options[used++] = ',';
    (void)hf_mount_decode(mount->super_options, ret_fs->options + used,
                          sizeof ret_fs->options - used);
  }
  if (strcmp(ret_fs->type, "nfs") == 0 && hf_mount_option(mount->super_options, "vers", &version) &&
      version.bytes > 0 && version.text[0] == '4')
    (void)snprintf(ret_fs->type, sizeof ret_fs->type, "nfs4");
  memcpy(ret_fs->acting_type, ret_fs->type, sizeof ret_fs->acting_type);
}

static int detect(const char *path, int depth, hf_fs *ret_fs, hf_error *reterr);

/* Newer kernels show the upper layer's path as it was given to mount: with a backslash before a
 * comma or a colon (seen on 6.18). */
static void remove_backslashes(char *path) {
  char *to = path;
  for (const char *from = path; *from != '\0'; from++) {
    if (*from == '\\' && from[1] != '\0')
      from++;
    *to++ = *from;
  }
  *to = '\0';
}

/* The type of the filesystem that an overlay writes to. In a container the path of the upper layer
 * is the host's: where it cannot be seen, the type is unknown. */
static void find_upper(const hf_mount *mount, int depth, hf_fs *fs) {
  char upper[PATH_BYTES];
  hf_slice value;
  hf_fs under;
  (void)snprintf(fs->acting_type, sizeof fs->acting_type, "unknown");
  if (depth >= OVERLAY_DEPTH_MAX || !hf_mount_option(mount->super_options, "upperdir", &value) ||
      !hf_mount_decode(value, upper, sizeof upper) || upper[0] != '/')
    return;
  int status = detect(upper, depth + 1, &under, NULL);
  if (status != HF_OK && strchr(upper, '\\') != NULL) {
    remove_backslashes(upper);
    status = detect(upper, depth + 1, &under, NULL);
  }
  if (status == HF_OK)
    memcpy(fs->acting_type, under.acting_type, sizeof fs->acting_type);
}

static int detect(const char *path, int depth, hf_fs *ret_fs, hf_error *reterr) {
  struct statfs stats;
  hf_autobuf mounts = {0};
  hf_mount mount;
  hf_autofree char *real_path = realpath(path, NULL);
  if (real_path == NULL)
    return hf_err_sys(reterr, HF_EIO, errno, path, "the path cannot be examined");
  int failed = -1;
  for (int i = 0; i < HF_EINTR_RETRIES_MAX; i++) {
    failed = hf_sys->statfs(real_path, &stats);
    if (failed == 0 || errno != EINTR)
      break;
  }
  if (failed != 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "the filesystem cannot be examined");

  memset(ret_fs, 0, sizeof *ret_fs);
  ret_fs->magic = (unsigned long)stats.f_type & 0xFFFFFFFFUL;
  int found = read_proc("/proc/self/mountinfo", &mounts) == 0 && mounts.data != NULL &&
              hf_mountinfo_find(mounts.data, mounts.used, mount_id(real_path), real_path, &mount);
  if (found) {
    hf_fs_from_mount(&mount, ret_fs);
  } else {
    const char *type = hf_fs_type_of_magic(ret_fs->magic);
    (void)snprintf(ret_fs->type, sizeof ret_fs->type, "%s", type);
    (void)snprintf(ret_fs->acting_type, sizeof ret_fs->acting_type, "%s",
                   strcmp(type, "overlay") == 0 ? "unknown" : type);
  }
  if (hf_fs_contradicts(ret_fs->type, ret_fs->magic))
    (void)snprintf(ret_fs->acting_type, sizeof ret_fs->acting_type, "unknown");
  else if (found && strcmp(ret_fs->type, "overlay") == 0)
    find_upper(&mount, depth, ret_fs);
  ret_fs->local = hf_fs_type_is_local(ret_fs->acting_type);
  ret_fs->read_only =
      ((unsigned long)stats.f_flags & ST_RDONLY) != 0 || hf_fs_has_option(ret_fs, "ro");
  return HF_OK;
}

int hf_fs_detect(const char *path, hf_fs *ret_fs, hf_error *reterr) {
  int status = detect(path, 0, ret_fs, reterr);
#ifdef HF_TEST_PLANTS
  if (status == HF_OK && hf_test_shared())
    ret_fs->local = 0; /* its type stays what it is */
#endif
  return status;
}

int hf_fs_check_mount(const hf_fs *fs, const char *path, hf_error *reterr) {
  if (strncmp(fs->type, "nfs", 3) != 0 || !hf_fs_has_option(fs, "nocto"))
    return HF_OK;
  return hf_err(
      reterr, HF_EUNSUPPORTED, path,
      "it is mounted with nocto (at %s), so that open does not ask the server and readers "
      "miss acknowledged saves; mount it without nocto",
      fs->mount_point);
}
