#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "fs.h"
#include "json.h"
#include "log.h"
#include "log_rows.h"
#include "packer.h"
#include "plant.h"
#include "probe.h"
#include "stage.h"
#include "store_locker.h"
#include "sys.h"
#include "tally.h"
#include "tile.h"
#include "tile_map.h"

#include "banned.h"

enum { LOG_LINE_BYTES = 1024 };

int hf_store_check(const hf_store *store, hf_error *reterr) {
  if (store == NULL)
    return hf_err(reterr, HF_EINVAL, NULL, "there is no store; open one with hf_open");
  if (store->owner_pid != getpid())
    return hf_err(
        reterr, HF_EFORKED, store->path,
        "the handle was opened by process %ld, this is a child of it; open the store again here",
        (long)store->owner_pid);
  return HF_OK;
}

void hf_store_log(const hf_store *store, hf_log_level level, const char *format, ...) {
  if (store->log == NULL)
    return;
  char line[LOG_LINE_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  store->log(store->log_context, level, line);
}

void hf_close(hf_store **store) {
  if (store == NULL || *store == NULL)
    return;
  hf_store *old = *store;
  *store = NULL;
  hf_packer_close(old);
  if (old->owner_pid == getpid()) {
    hf_log_rows_end(old);
    hf_tally_end(old);
  }
  hf_part_forget(old);
  hf_store_close_locker(old);
  int *fds[] = {&old->root_fd,        &old->stage_fd,        &old->log_fd,
                &old->tile_fd,        &old->blob_fd,         &old->log_mark_fd,
                &old->index_fd,       &old->tile_mark_fd,    &old->log_mark_write_fd,
                &old->rows_fd,        &old->log_mark_pin_fd, &old->tile_mark_pin_fd,
                &old->tally.folder_fd};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    hf_fd_cleanup(fds[i]);
  for (size_t i = 0; i < HF_TILE_FOLDERS_KEPT; i++) {
    int fd = atomic_load(&old->tile_folders[i]) - 1;
    hf_fd_cleanup(&fd);
  }
  hf_tile_unpin_all(old);
  hf_tile_maps_free(old);
  /* a child's copy may be locked by a thread that it does not have */
  if (old->owner_pid == getpid()) {
    (void)pthread_mutex_destroy(&old->locker_mutex);
    (void)pthread_mutex_destroy(&old->view_mutex);
    (void)pthread_mutex_destroy(&old->part_mutex);
    (void)pthread_mutex_destroy(&old->map_mutex);
    (void)pthread_mutex_destroy(&old->packer_mutex);
    (void)pthread_mutex_destroy(&old->queue_mutex);
  }
  hf_own_free(&old->own_lines, old->owner_pid == getpid());
  hf_view_free(&old->view);
  free(old->purpose);
  free(old->path);
  free(old);
}

static void store_cleanup(hf_store **store) {
  hf_close(store);
}

static hf_store *store_new(void) {
  hf_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return NULL;
  store->owner_pid = getpid();
  store->root_fd = store->stage_fd = store->log_fd = store->tile_fd = store->blob_fd = -1;
  store->index_fd = store->rows_fd = store->tally.folder_fd = -1;
  store->log_mark_fd = store->tile_mark_fd = store->log_mark_write_fd = -1;
  store->log_mark_pin_fd = store->tile_mark_pin_fd = store->part.fd = -1;
  atomic_flag_clear(&store->tally.busy);
  (void)pthread_mutex_init(&store->locker_mutex, NULL); /* none of them fails on Linux */
  (void)pthread_mutex_init(&store->view_mutex, NULL);
  (void)pthread_mutex_init(&store->part_mutex, NULL);
  (void)pthread_mutex_init(&store->map_mutex, NULL);
  (void)pthread_mutex_init(&store->packer_mutex, NULL);
  (void)pthread_mutex_init(&store->queue_mutex, NULL);
  hf_own_begin(&store->own_lines);
  return store;
}

static int take_host(hf_store *store, hf_error *reterr) {
  char name[64] = "";
  hf_autobuf text = {0};
  if (gethostname(name, sizeof name - 1) != 0 || !hf_utf8_valid(name, strlen(name)))
    name[0] = '\0';
  if (hf_json_add_string(&text, name, strlen(name)) != 0)
    return hf_err_nomem(reterr);
  if (text.used >= sizeof store->host)
    return hf_err(reterr, HF_EINTERNAL, NULL, "the host's name does not fit");
  memcpy(store->host, text.data, text.used + 1);
  return HF_OK;
}

static int open_root(hf_store *store, const char *path, hf_error *reterr) {
  /* The path itself may be a symbolic link: the user chose it. What is below it may not. */
  store->root_fd = hf_sys_open_folder(path);
  if (store->root_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
    return hf_err_sys(reterr, HF_ENOTSTORE, errno, path,
                      "there is no store here (holdfast init makes one)");
  if (store->root_fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot open the store");
  store->path = realpath(path, NULL);
  if (store->path == NULL)
    return hf_err_sys(reterr, errno == ENOMEM ? HF_ENOMEM : HF_EIO, errno, path,
                      "cannot find its absolute path");
  return HF_OK;
}

/* A folder of the store, which init made and nothing removes. */
static int open_part(const hf_store *store, const char *name, int *ret_fd, hf_error *reterr) {
  int fd = hf_sys_openat(store->root_fd, name, O_RDONLY | O_DIRECTORY, 0);
  if (fd >= 0) {
    *ret_fd = fd;
    return HF_OK;
  }
  if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP)
    return hf_err_sys(reterr, HF_EDAMAGED, errno, name,
                      "a folder of the store must be here; holdfast verify tells what is damaged");
  return hf_err_sys(reterr, HF_EIO, errno, name, "cannot open the folder");
}

/* Keeps a mark open for as long as the handle lives, beside the opens that look at it afresh.
 *
 * Linux's client of NFSv4 gives up a file's open state with its last close. Where processes of one
 * host open and close a file all the time, the reply to an open can meet a state that a close has
 * just ended: the client then waits for a number of the sequence that never comes, 5 s, and begins
 * anew whenever another process opens the file. Seen on Linux 6.1.176 with NFSv4.1: a read that
 * took 54 s, until the others were done. With the state held open no close is sent. To write as
 * well where that is allowed: then no open changes the state's kind either, and log/mark is
 * extended by it (core/log_mark.c). O_DSYNC: Linux's client of NFS then sends the bytes that are
 * written, and not the page around them as it remembers it. 1: it may be written by.
 */
static int pin_mark(int dirfd, int *ret_fd) {
  int flags = O_RDWR | (HF_PLANTED(MARK_BY_PAGES) ? 0 : O_DSYNC);
  *ret_fd = hf_sys_openat(dirfd, HF_MARK_NAME, flags, 0);
  if (*ret_fd >= 0)
    return 1;
  *ret_fd = hf_sys_openat(dirfd, HF_MARK_NAME, O_RDONLY, 0);
  return 0;
}

void hf_store_pin_log_mark(hf_store *store) {
  struct stat st;
  hf_fd_cleanup(&store->log_mark_pin_fd);
  store->may_write_by_pin = pin_mark(store->log_fd, &store->log_mark_pin_fd) &&
                            hf_sys_fstat(store->log_mark_pin_fd, &st) == 0;
  if (store->may_write_by_pin)
    store->log_mark_pin = (hf_file_name){st.st_dev, st.st_ino};
}

static int open_parts(hf_store *store, hf_error *reterr) {
  int status = open_part(store, "log", &store->log_fd, reterr);
  if (status == HF_OK)
    status = open_part(store, "tile", &store->tile_fd, reterr);
  if (status == HF_OK)
    status = open_part(store, "blob", &store->blob_fd, reterr);
  if (status != HF_OK)
    return status;
  store->index_fd = hf_sys_openat(store->root_fd, "index", O_RDONLY | O_DIRECTORY, 0);
  if (store->shared) {
    hf_store_pin_log_mark(store);
    (void)pin_mark(store->tile_fd, &store->tile_mark_pin_fd);
    hf_log_rows_open(store, 0);
    return HF_OK;
  }
  store->log_mark_fd = hf_sys_openat(store->log_fd, HF_MARK_NAME, O_RDONLY, 0);
  if (store->log_mark_fd < 0)
    return hf_err_sys(reterr, errno == ENOENT ? HF_EDAMAGED : HF_EIO, errno, "log/" HF_MARK_NAME,
                      "cannot open the mark; holdfast verify --repair makes a lost one anew");
  store->tile_mark_fd = hf_sys_openat(store->tile_fd, HF_MARK_NAME, O_RDONLY, 0);
  if (store->tile_mark_fd < 0)
    return hf_err_sys(reterr, errno == ENOENT ? HF_EDAMAGED : HF_EIO, errno, "tile/" HF_MARK_NAME,
                      "cannot open the mark; holdfast verify --repair makes a lost one anew");
  return HF_OK;
}

static int is_nfs(const hf_store *store) {
  return store->shared && strncmp(store->fs.acting_type, "nfs", 3) == 0;
}

int hf_store_fresh_flags(const hf_store *store) {
  return is_nfs(store) ? O_DIRECT : 0;
}

static int take_options(hf_store *store, const hf_open_options *options, hf_error *reterr) {
  const hf_config *config = options != NULL ? options->config : NULL;
  const char *purpose = options != NULL && options->purpose != NULL ? options->purpose : "save";
  store->config = config;
  store->document_bytes_max = hf_config_document_bytes_max(config);
  store->packs = hf_config_packs(config);
  store->tally.counts_not = !hf_config_counts(config);
  store->log = options != NULL ? options->log : NULL;
  store->log_context = options != NULL ? options->log_context : NULL;
  store->purpose = strdup(purpose);
  return store->purpose != NULL ? HF_OK : hf_err_nomem(reterr);
}

static int check_manifest(hf_store *store, const hf_open_options *options, hf_error *reterr) {
  int got = hf_manifest_read(store->root_fd, &store->manifest, reterr);
  if (got == 0)
    return hf_err(reterr, HF_ENOTSTORE, store->path,
                  "there is no store here: no " HF_MANIFEST_NAME " (holdfast init makes one)");
  if (got < 0) {
    hf_err_place_below(reterr, store->path);
    return got;
  }
  if (options != NULL && options->expected_uuid != NULL &&
      strcmp(options->expected_uuid, store->manifest.uuid) != 0)
    return hf_err(reterr, HF_EWRONGSTORE, store->path,
                  "this is the store %s, the one expected is %.40s; look at the path",
                  store->manifest.uuid, options->expected_uuid);
  store->rename_mode = strcmp(store->manifest.publish, "rename") == 0;
  return HF_OK;
}

int hf_open(const char *path, const hf_open_options *options, hf_store **ret_store,
            hf_error *reterr) {
  if (path == NULL || path[0] == '\0')
    return hf_err(reterr, HF_EINVAL, NULL, "no path of a store was given");
  __attribute__((cleanup(store_cleanup))) hf_store *store = store_new();
  if (store == NULL)
    return hf_err_nomem(reterr);
  int status = open_root(store, path, reterr);
  if (status == HF_OK)
    status = check_manifest(store, options, reterr);
  if (status == HF_OK)
    status = hf_fs_detect(store->path, &store->fs, reterr);
  if (status == HF_OK)
    status = hf_fs_check_mount(&store->fs, store->path, reterr);
  if (status == HF_OK) {
    store->shared = !store->fs.local;
    store->link_tells_count = is_nfs(store);
    status = open_parts(store, reterr);
    if (status != HF_OK)
      hf_err_place_below(reterr, store->path);
  }
  if (status == HF_OK)
    status = take_options(store, options, reterr);
  if (status == HF_OK)
    status = take_host(store, reterr);
  if (status == HF_OK)
    *ret_store = hf_take(store);
  return status;
}

/* A mount that is not local is tried each time: it may have been mounted otherwise since the store
 * was made. */
static int probe_mount(hf_store *store, hf_error *reterr) {
  hf_probe probe;
  if (!store->shared)
    return HF_OK;
  int status = hf_probe_between(store->stage_fd, store->log_fd, &probe, reterr);
  if (status != HF_OK)
    return status;
  if (store->rename_mode ? probe.can_rename : probe.can_link)
    return HF_OK;
  return hf_err(reterr, HF_EUNSUPPORTED, store->path,
                "this mount cannot publish (%s); mount the filesystem as it was when the store was "
                "made, see holdfast doctor",
                store->rename_mode ? probe.rename_text : probe.link_text);
}

int hf_store_prepare_to_stage(hf_store *store, hf_error *reterr) {
  int status = HF_OK;
  (void)pthread_mutex_lock(&store->locker_mutex);
  if (store->stage_fd < 0)
    status = open_part(store, "stage", &store->stage_fd, reterr);
  if (status == HF_OK && !store->ready_to_stage)
    status = probe_mount(store, reterr);
  if (status == HF_OK)
    store->ready_to_stage = 1;
  (void)pthread_mutex_unlock(&store->locker_mutex);
  return status;
}

/* A store that was made before there were rows. */
static void make_rows(hf_store *store) {
  (void)pthread_mutex_lock(&store->view_mutex);
  hf_log_rows_open(store, 1);
  (void)pthread_mutex_unlock(&store->view_mutex);
}

int hf_store_prepare_to_write(hf_store *store, hf_error *reterr) {
  char scheme[HF_LOCKER_NAME_BYTES_MAX + 1];
  hf_opened_locker *locker = NULL;
  (void)pthread_mutex_lock(&store->locker_mutex);
  int first = !store->ready_to_write;
  (void)pthread_mutex_unlock(&store->locker_mutex);
  if (!first)
    return HF_OK;
  int status = hf_store_prepare_to_stage(store, reterr);
  if (status == HF_OK)
    status = hf_store_use_locker(store, 0, scheme, &locker, reterr);
  if (status != HF_OK)
    return status;
  hf_store_leave_locker(store, &locker);
  make_rows(store);
  (void)pthread_mutex_lock(&store->locker_mutex);
  store->ready_to_write = 1;
  (void)pthread_mutex_unlock(&store->locker_mutex);
  hf_error why = HF_ERROR_INIT; /* leftovers are no reason not to save */
  if (hf_stage_sweep(store, &why) != HF_OK)
    hf_store_log(store, HF_LOG_WARNING, "%s: %s", why.place, why.message);
  return HF_OK;
}

int hf_store_info(hf_store *store, hf_info *ret_info, hf_error *reterr) {
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  memset(ret_info, 0, sizeof *ret_info);
  memcpy(ret_info->uuid, store->manifest.uuid, sizeof ret_info->uuid);
  status = hf_store_read_locker(store, ret_info->locker, NULL, reterr);
  if (status != HF_OK)
    hf_store_name_in_error(store, reterr);
  (void)pthread_mutex_lock(&store->view_mutex);
  const char *mode = hf_store_is_journal(store) ? "journal" : "publish";
  (void)pthread_mutex_unlock(&store->view_mutex);
  memcpy(ret_info->publish, store->manifest.publish, sizeof ret_info->publish);
  (void)snprintf(ret_info->mode, sizeof ret_info->mode, "%s", mode);
  memcpy(ret_info->created, store->manifest.created, sizeof ret_info->created);
  ret_info->forced = store->manifest.forced;
  memcpy(ret_info->peer, store->manifest.peer, sizeof ret_info->peer);
  (void)snprintf(ret_info->path, sizeof ret_info->path, "%s", store->path);
  ret_info->fs = store->fs;
  return status;
}

int hf_find_store(const char *start, char **ret_path, hf_error *reterr) {
  char *path = realpath(start, NULL);
  if (path == NULL)
    return hf_err_sys(reterr, errno == ENOMEM ? HF_ENOMEM : HF_EIO, errno, start,
                      "cannot find its absolute path");
  for (int level = 0; level < PATH_MAX; level++) {
    hf_autofd int fd = hf_sys_open_folder(path);
    struct stat st;
    if (fd >= 0 && hf_sys_fstatat(fd, HF_MANIFEST_NAME, &st) == 0) {
      *ret_path = path;
      return 1;
    }
    char *slash = strrchr(path, '/');
    if (slash == NULL || path[1] == '\0')
      break;
    slash[slash == path ? 1 : 0] = '\0';
  }
  free(path);
  return 0;
}

void hf_store_name_in_error(const hf_store *store, hf_error *reterr) {
  if (reterr != NULL && strstr(reterr->place, "://") == NULL && reterr->place[0] != '/' &&
      strncmp(reterr->place, "lockers.", strlen("lockers.")) != 0)
    hf_err_place_below(reterr, store->path);
}
