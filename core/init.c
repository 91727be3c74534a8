/* hf_init: makes a store. Everything but the manifest first, each durable; then the manifest, by a
 * link that never replaces. Whatever kills it leaves folders that the next one finishes. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "config.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "fs.h"
#include "id.h"
#include "log.h"
#include "log_rows.h"
#include "manifest.h"
#include "peer_record.h"
#include "probe.h"
#include "sys.h"
#include "tally.h"

#include "banned.h"

static const char *const folders[] = {"stage", "log",        "tile",         "index",
                                      "blob",  "quarantine", HF_TALLY_FOLDER};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

/* Makes the folder with its parents; each new name is made durable in its parent. */
static int make_path(const char *path, hf_error *reterr) {
  hf_autofree char *copy = strdup(path);
  if (copy == NULL)
    return hf_err_nomem(reterr);
  for (char *here = copy + 1;; here++) {
    if (*here != '/' && *here != '\0')
      continue;
    char saved = *here;
    *here = '\0';
    int made = hf_sys_mkdir(AT_FDCWD, copy, 0777) == 0;
    if (!made && errno != EEXIST)
      return hf_err_sys(reterr, HF_EIO, errno, copy, "cannot make the folder");
    if (made) {
      char *slash = strrchr(copy, '/');
      char parent[PATH_MAX];
      size_t bytes = slash == NULL ? 0 : slash == copy ? 1 : (size_t)(slash - copy);
      (void)snprintf(parent, sizeof parent, "%.*s", bytes > 0 ? (int)bytes : 1,
                     bytes > 0 ? copy : ".");
      hf_autofd int fd = hf_sys_open_folder(parent);
      if (fd < 0)
        return hf_err_sys(reterr, HF_EIO, errno, parent, "cannot open the folder");
      int status = hf_dir_fsync(fd, parent, reterr);
      if (status != HF_OK)
        return status;
    }
    *here = saved;
    if (saved == '\0')
      return HF_OK;
  }
}

/* In an unfinished store stand only our own names, and what a doctor has recorded or left. */
static int check_entry(void *context, const char *name, hf_error *reterr) {
  const char *path = context;
  if (strcmp(name, HF_MANIFEST_NAME) == 0)
    return hf_err(reterr, HF_EEXIST, path, "there is a store here already");
  for (int i = 0; i < FOLDERS; i++)
    if (strcmp(name, folders[i]) == 0)
      return HF_OK;
  if (strcmp(name, "lock") == 0 || strcmp(name, "lost+found") == 0 ||
      strcmp(name, HF_PEER_FILE) == 0 || strncmp(name, "doctor-", 7) == 0)
    return HF_OK;
  return hf_err(reterr, HF_EINVAL, path,
                "the folder is not empty (%s stands in it); give an empty or a new one", name);
}

static int check_log_entry(void *context, const char *name, hf_error *reterr) {
  if (hf_log_seq_of_name(name) == 0)
    return HF_OK;
  return hf_err(reterr, HF_EDAMAGED, context,
                "there are records in log/ and no manifest; run holdfast verify --repair on it");
}

static int open_target(const char *path, int *ret_fd, hf_error *reterr) {
  int fd = hf_sys_open_folder(path);
  if (fd < 0 && errno == ENOTDIR)
    return hf_err_sys(reterr, HF_EINVAL, errno, path, "a folder is wanted here");
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot open the folder");
  *ret_fd = fd;
  return HF_OK;
}

static int make_mark(int fd, const char *folder, hf_error *reterr) {
  int status = hf_file_create(fd, HF_MARK_NAME, "", 0, 1, reterr);
  if (status == HF_EEXIST)
    return HF_OK;
  if (status != HF_OK)
    hf_err_place_below(reterr, folder);
  return status;
}

/* The folders and marks; *ret_stage_fd and *ret_log_fd stay open for the probe. */
static int make_parts(const char *path, int root_fd, int *ret_stage_fd, int *ret_log_fd,
                      hf_error *reterr) {
  for (int i = 0; i < FOLDERS; i++) {
    hf_autofd int fd = -1;
    int status = hf_dir_make(root_fd, folders[i], &fd, NULL, reterr);
    int is_log = strcmp(folders[i], "log") == 0;
    if (status == HF_OK && is_log)
      status = hf_dir_each(fd, "log", check_log_entry, (void *)(uintptr_t)path, reterr);
    if (status == HF_OK && (is_log || strcmp(folders[i], "tile") == 0))
      status = make_mark(fd, folders[i], reterr);
    if (status == HF_OK)
      status = hf_dir_fsync(fd, folders[i], reterr);
    if (status != HF_OK)
      return status;
    if (is_log)
      *ret_log_fd = hf_fd_take(&fd);
    else if (i == 0)
      *ret_stage_fd = hf_fd_take(&fd);
  }
  return hf_dir_fsync(root_fd, path, reterr);
}

/* On a shared filesystem, so that no client remembers that it was absent. */
static int make_rows(int log_fd, hf_error *reterr) {
  int status = hf_file_create(log_fd, HF_ROWS_NAME, "", 0, 0, reterr);
  if (status == HF_EEXIST)
    return HF_OK;
  if (status != HF_OK)
    hf_err_place_below(reterr, "log");
  return status;
}

static int choose_locker(const char *path, const hf_fs *fs, const hf_init_options *options,
                         hf_manifest *manifest, hf_error *reterr) {
  const hf_config *config = options != NULL ? options->config : NULL;
  const char *scheme = options != NULL ? options->locker : NULL;
  int is_auto = scheme == NULL || strcmp(scheme, "auto") == 0;
  if (is_auto)
    scheme = hf_config_locker_for(config, fs->acting_type);
  const char *named = hf_config_locker_named(config, fs->acting_type);
  if (named != NULL && strcmp(named, scheme) != 0) /* nobody with this configuration could save */
    return hf_err(
        reterr, HF_ECONFIG, path,
        "--locker says %.64s, and %s says %s for %s; change that entry, or leave --locker "
        "out",
        scheme, hf_config_path(config), named, fs->acting_type);
  const hf_locker_ops *ops = hf_locker_find(scheme);
  if (ops == NULL && is_auto)
    return hf_err(
        reterr, HF_ECONFIG, path,
        "the filesystem is %s, which hosts share or which is unknown, and its locker %s %s; if "
        "one host alone writes here, say --locker flock, or put "
        "{\"filesystems\":{\"%s\":\"flock\"}} into the configuration",
        fs->acting_type, scheme, hf_config_scheme_absence(scheme), fs->acting_type);
  if (ops == NULL && hf_config_is_scheme(scheme))
    return hf_err(reterr, HF_ECONFIG, path, "the locker %s %s; use one that has it", scheme,
                  hf_config_scheme_absence(scheme));
  if (ops == NULL)
    return hf_err(reterr, HF_ECONFIG, path,
                  "there is no locker %.64s; there are flock, redis, none", scheme);
  const char *locker_options = config != NULL ? hf_config_locker_options(config, scheme) : NULL;
  int status = HF_OK;
  if (ops->check_options != NULL)
    status = ops->check_options(locker_options, reterr);
  else if (locker_options != NULL)
    status = hf_err(reterr, HF_ECONFIG, path,
                    "lockers.%s: this locker has no options; take them out", scheme);
  (void)snprintf(manifest->locker, sizeof manifest->locker, "%s", scheme);
  return status;
}

/* What doctor --peer has recorded here, and whether it allows what was chosen. */
static int ask_record(const char *path, int root_fd, const hf_fs *fs,
                      const hf_init_options *options, hf_manifest *manifest, hf_error *reterr) {
  int is_forced = options != NULL && options->force;
  int got = hf_peer_file_read(root_fd, manifest, is_forced ? NULL : reterr);
  if (got < 0 && !is_forced)
    return got;
  int status = hf_peer_allows(path, fs, manifest, is_forced ? NULL : reterr);
  if (status == HF_ECONFIG && is_forced) {
    manifest->forced = 1;
    return HF_OK;
  }
  return status;
}

static int choose_publish(const char *path, int stage_fd, int log_fd, hf_manifest *manifest,
                          hf_error *reterr) {
  hf_probe probe;
  int status = hf_probe_between(stage_fd, log_fd, &probe, reterr);
  if (status != HF_OK)
    return status;
  if (!probe.can_link && !probe.can_rename)
    return hf_err(
        reterr, HF_EUNSUPPORTED, path,
        "this filesystem can neither link (%s) nor rename without replacing (%s); a store "
        "needs one of them, choose another filesystem (holdfast doctor tells more)",
        probe.link_text, probe.rename_text);
  (void)snprintf(manifest->publish, sizeof manifest->publish, "%s",
                 probe.can_link ? "link" : "rename");
  return HF_OK;
}

/* Where its rules hold, journal mode; docs/PROTOCOL.md. */
static int choose_mode(const char *path, const hf_fs *fs, const hf_init_options *options,
                       hf_manifest *manifest, hf_error *reterr) {
  const char *wanted = options != NULL ? options->mode : NULL;
  const char *why_not = NULL;
  if (wanted != NULL && strcmp(wanted, "journal") != 0 && strcmp(wanted, "publish") != 0)
    return hf_err(reterr, HF_EINVAL, NULL, "there is no mode %.32s; there are journal and publish",
                  wanted);
  if (strcmp(manifest->locker, "flock") != 0)
    why_not = "a lock that cannot end under its holder, which flock alone has";
  else if (!fs->local)
    why_not = "a filesystem that is known to be local";
  else if (strcmp(manifest->publish, "link") != 0)
    why_not = "hard links";
  if (why_not != NULL && wanted != NULL && strcmp(wanted, "journal") == 0)
    return hf_err(reterr, HF_ECONFIG, path,
                  "journal mode needs %s; here the locker is %s and the filesystem %s. Leave "
                  "--mode out, or say publish",
                  why_not, manifest->locker, fs->acting_type);
  manifest->journal = why_not == NULL && (wanted == NULL || strcmp(wanted, "journal") == 0);
  if (manifest->journal)
    manifest->format = HF_FORMAT_JOURNAL;
  return HF_OK;
}

/* tile/boot stands in each store that was ever in journal mode, and in no other: where the manifest
 * is lost, it tells. An init that was ended may have left one. */
static int make_boot(int root_fd, int journal, hf_error *reterr) {
  hf_autofd int fd = -1;
  int status = hf_dir_make(root_fd, "tile", &fd, NULL, reterr);
  if (status == HF_OK && journal)
    status = hf_file_create(fd, HF_BOOT_NAME, "", 0, 1, reterr);
  else if (status == HF_OK && hf_sys_unlink(fd, HF_BOOT_NAME, 0) != 0)
    return errno == ENOENT
               ? HF_OK
               : hf_err_sys(reterr, HF_EIO, errno, "tile/" HF_BOOT_NAME, "cannot be removed");
  if (status == HF_EEXIST)
    status = HF_OK;
  if (status == HF_OK)
    return hf_dir_fsync(fd, "tile", reterr);
  hf_err_place_below(reterr, "tile");
  return status;
}

static int publish_manifest(const char *path, int root_fd, int stage_fd,
                            const hf_manifest *manifest, hf_error *reterr) {
  hf_autobuf text = {0};
  char staged[HF_ID_CHARS + 1];
  hf_id id;
  int status = hf_manifest_encode(manifest, &text, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  status = hf_file_create(stage_fd, staged, text.data, text.used, 1, reterr);
  if (status != HF_OK)
    return status;
  int failed = strcmp(manifest->publish, "link") == 0
                   ? hf_sys_link(stage_fd, staged, root_fd, HF_MANIFEST_NAME)
                   : hf_sys_rename(stage_fd, staged, root_fd, HF_MANIFEST_NAME, RENAME_NOREPLACE);
  int sys_errno = errno;
  (void)hf_sys_unlink(stage_fd, staged, 0);
  if (failed != 0) { /* perhaps the reply was wrong: then our own uuid stands there */
    hf_manifest there;
    if (hf_manifest_read(root_fd, &there, NULL) != 1 || strcmp(there.uuid, manifest->uuid) != 0)
      return hf_err_sys(reterr, sys_errno == EEXIST ? HF_EEXIST : HF_EIO, sys_errno, path,
                        "cannot put the manifest in place");
  }
  return hf_dir_fsync(root_fd, path, reterr);
}

static int fill_info(const char *path, const hf_fs *fs, const hf_manifest *manifest,
                     hf_info *ret_info, hf_error *reterr) {
  hf_autofree char *absolute = realpath(path, NULL);
  if (absolute == NULL)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot find its absolute path");
  memset(ret_info, 0, sizeof *ret_info);
  memcpy(ret_info->uuid, manifest->uuid, sizeof ret_info->uuid);
  memcpy(ret_info->locker, manifest->locker, sizeof ret_info->locker);
  memcpy(ret_info->publish, manifest->publish, sizeof ret_info->publish);
  (void)snprintf(ret_info->mode, sizeof ret_info->mode, "%s",
                 manifest->journal ? "journal" : "publish");
  memcpy(ret_info->created, manifest->created, sizeof ret_info->created);
  memcpy(ret_info->peer, manifest->peer, sizeof ret_info->peer);
  ret_info->forced = manifest->forced;
  (void)snprintf(ret_info->path, sizeof ret_info->path, "%s", absolute);
  ret_info->fs = *fs;
  return HF_OK;
}

int hf_init(const char *path, const hf_init_options *options, hf_info *ret_info, hf_error *reterr) {
  hf_autofd int root_fd = -1;
  hf_autofd int stage_fd = -1;
  hf_autofd int log_fd = -1;
  hf_manifest manifest = {.format = HF_FORMAT_PUBLISH};
  hf_fs fs;
  if (path == NULL || path[0] == '\0')
    return hf_err(reterr, HF_EINVAL, NULL, "no path for the store was given");
  int status = make_path(path, reterr);
  if (status == HF_OK)
    status = open_target(path, &root_fd, reterr);
  if (status == HF_OK)
    status = hf_dir_each(root_fd, path, check_entry, (void *)(uintptr_t)path, reterr);
  if (status == HF_OK)
    status = hf_fs_detect(path, &fs, reterr);
  if (status == HF_OK)
    status = hf_fs_check_mount(&fs, path, reterr);
  if (status == HF_OK)
    status = choose_locker(path, &fs, options, &manifest, reterr);
  if (status == HF_OK)
    status = ask_record(path, root_fd, &fs, options, &manifest, reterr);
  if (status == HF_OK)
    status = make_parts(path, root_fd, &stage_fd, &log_fd, reterr);
  if (status == HF_OK && !fs.local)
    status = make_rows(log_fd, reterr);
  if (status == HF_OK)
    status = choose_publish(path, stage_fd, log_fd, &manifest, reterr);
  if (status == HF_OK)
    status = choose_mode(path, &fs, options, &manifest, reterr);
  if (status == HF_OK)
    status = make_boot(root_fd, manifest.journal, reterr);
  if (status == HF_OK)
    status = hf_uuid_make(manifest.uuid, reterr);
  if (status != HF_OK)
    return status;
  hf_rfc3339_from_us(hf_realtime_us(), manifest.created);
  status = publish_manifest(path, root_fd, stage_fd, &manifest, reterr);
  if (status == HF_OK && manifest.peer[0] != '\0') /* it stands in the manifest now */
    (void)hf_sys_unlink(root_fd, HF_PEER_FILE, 0);
  if (status == HF_OK && ret_info != NULL)
    status = fill_info(path, &fs, &manifest, ret_info, reterr);
  return status;
}
