/* Listings: names are gathered, and what is not ours is named. */
#include <stdio.h>
#include <string.h>

#include "blob.h"
#include "boot.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "id.h"
#include "log_rows.h"
#include "sys.h"
#include "tile_kept.h"
#include "verify.h"

#include "banned.h"

enum { FOLDER_DIGITS_MAX = 17, STAGE_NAME_BYTES_MAX = 2 * HF_ID_CHARS + 8 };

/* A file that somebody has open while it was unlinked, on NFS. */
static int is_nfs_leftover(const char *name) {
  return strncmp(name, ".nfs", 4) == 0;
}

/* "probe-<ULID>.a": what a killed writer leaves that tried what the filesystem can do. */
static int is_probe(const char *name) {
  hf_id id;
  return strncmp(name, "probe-", 6) == 0 && strlen(name) == 6 + HF_ID_CHARS + 2 &&
         hf_id_parse(name + 6, HF_ID_CHARS, &id) == 0;
}

static void say_leftover(hf_verify_work *work, const char *folder, const char *name,
                         const char *what) {
  char path[HF_VERIFY_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, path, "%s", what);
}

/* 1: it was dealt with. 0: look on. */
static int say_harmless(hf_verify_work *work, const char *folder, const char *name) {
  if (is_nfs_leftover(name))
    say_leftover(work, folder, name, "removed while somebody had it open; it goes by itself");
  else if (is_probe(name))
    say_leftover(work, folder, name, "a scratch file of a killed process; it may be removed");
  else
    return 0;
  return 1;
}

static int say_not_ours(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                        hf_error *reterr) {
  char what[128];
  int is = hf_verify_name(dirfd, name, folder, NULL, NULL, reterr);
  if (is < 0 || is == HF_NAME_ABSENT)
    return is < 0 ? is : HF_OK;
  (void)snprintf(what, sizeof what, "%s stands here", hf_verify_name_text((hf_kind_of_name)is));
  return hf_verify_foreign(work, dirfd, folder, name, 0, what, reterr);
}

/* ---- log/ ---- */

static int log_entry(void *context, const char *name, hf_error *reterr) {
  hf_verify_work *work = context;
  uint64_t seq = hf_log_seq_of_name(name);
  if (seq != 0)
    return hf_seqs_add(&work->names, seq, reterr);
  if (strcmp(name, HF_MARK_NAME) == 0 || say_harmless(work, "log", name))
    return HF_OK;
  if (strcmp(name, HF_ROWS_NAME) == 0 &&
      hf_verify_name(work->log_fd, name, "log", NULL, NULL, NULL) == HF_NAME_FILE)
    return HF_OK;
  return say_not_ours(work, work->log_fd, "log", name, reterr);
}

int hf_verify_list_log(hf_verify_work *work, hf_error *reterr) {
  int status = hf_dir_each(work->log_fd, "log", log_entry, work, reterr);
  hf_seqs_sort(&work->names);
  return status;
}

/* ---- tile/ ---- */

typedef struct inside {
  hf_verify_work *work;
  int fd;
  char folder[64]; /* below the store */
  uint64_t number; /* of the folder */
} inside;

static int parse_number(const char *name, size_t digits, uint64_t *ret_number) {
  uint64_t number = 0;
  if (digits == 0 || digits > FOLDER_DIGITS_MAX)
    return -1;
  for (size_t i = 0; i < digits; i++) {
    if (name[i] < '0' || name[i] > '9')
      return -1;
    number = number * 10 + (uint64_t)(name[i] - '0');
  }
  *ret_number = number;
  return 0;
}

/* The tiles of which log/mark knows at least a record. */
static uint64_t tiles_marked(const hf_verify_work *work) {
  uint64_t marked = work->log_mark.length;
  return marked > 0 ? hf_tile_of(marked) + 1 : 0;
}

static int tile_file(void *context, const char *name, hf_error *reterr) {
  inside *in = context;
  char expected[HF_TILE_NAME_BYTES];
  const char *dot = strchr(name, '.');
  uint64_t tile;
  if (dot != NULL && parse_number(name, (size_t)(dot - name), &tile) == 0 &&
      tile / HF_TILES_PER_FOLDER == in->number) {
    hf_tile_name(tile, expected);
    if (strcmp(strchr(expected, '/') + 1, name) == 0)
      return hf_seqs_add(&in->work->tiles, tile, reterr);
    hf_part_name(tile, expected);
    int is = strcmp(strchr(expected, '/') + 1, name) == 0
                 ? hf_verify_name(in->fd, name, in->folder, NULL, NULL, reterr)
                 : HF_NAME_ABSENT;
    if (is < 0)
      return is;
    /* else looked at with its records */
    if (is == HF_NAME_FILE || (is != HF_NAME_ABSENT && tile < tiles_marked(in->work)))
      return HF_OK;
  }
  if (say_harmless(in->work, in->folder, name))
    return HF_OK;
  return say_not_ours(in->work, in->fd, in->folder, name, reterr);
}

/* Opens a folder and goes through it; what is no folder is not ours. */
static int each_inside(inside *in, int dirfd, const char *parent, const char *name,
                       hf_dir_entry_fn fn, hf_error *reterr) {
  int is = hf_verify_name(dirfd, name, parent, NULL, NULL, reterr);
  if (is < 0 || is == HF_NAME_ABSENT)
    return is < 0 ? is : HF_OK;
  if (is != HF_NAME_FOLDER)
    return say_not_ours(in->work, dirfd, parent, name, reterr);
  hf_autofd int fd = -1;
  int status = hf_dir_open(dirfd, name, &fd, reterr);
  if (status == HF_OK) {
    in->fd = fd;
    (void)snprintf(in->folder, sizeof in->folder, "%s/%.40s", parent, name);
    status = hf_dir_each(fd, in->folder, fn, in, reterr);
  } else
    hf_err_place_below(reterr, parent);
  return status;
}

static int tile_entry(void *context, const char *name, hf_error *reterr) {
  hf_verify_work *work = context;
  inside in = {.work = work};
  char expected[HF_TILE_NAME_BYTES];
  if (strcmp(name, HF_MARK_NAME) == 0 || say_harmless(work, "tile", name))
    return HF_OK;
  if (strcmp(name, HF_BOOT_NAME) == 0 &&
      hf_verify_name(work->tile_fd, name, "tile", NULL, NULL, NULL) == HF_NAME_FILE)
    return HF_OK;
  if (parse_number(name, strlen(name), &in.number) == 0) {
    (void)snprintf(expected, sizeof expected, "%03llu", (unsigned long long)in.number);
    if (strcmp(expected, name) == 0)
      return each_inside(&in, work->tile_fd, "tile", name, tile_file, reterr);
  }
  return say_not_ours(work, work->tile_fd, "tile", name, reterr);
}

int hf_verify_list_tiles(hf_verify_work *work, hf_error *reterr) {
  int status = hf_dir_each(work->tile_fd, "tile", tile_entry, work, reterr);
  hf_seqs_sort(&work->tiles);
  return status;
}

/* ---- blob/ ---- */

static int is_hex(const char *text, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
      return 0;
  return text[count] == '\0';
}

static int blob_file(void *context, const char *name, hf_error *reterr) {
  inside *in = context;
  const char *folder = strrchr(in->folder, '/') + 1;
  if (strlen(name) == HF_SHA256_CHARS && is_hex(name, HF_SHA256_CHARS) &&
      strncmp(name, folder, 2) == 0) {
    int is = hf_verify_name(in->fd, name, in->folder, NULL, NULL, reterr);
    if (is < 0)
      return is;
    if (is == HF_NAME_FILE || is == HF_NAME_ABSENT)
      return HF_OK;
  }
  if (say_harmless(in->work, in->folder, name))
    return HF_OK;
  return say_not_ours(in->work, in->fd, in->folder, name, reterr);
}

static int blob_entry(void *context, const char *name, hf_error *reterr) {
  hf_verify_work *work = context;
  inside in = {.work = work};
  if (say_harmless(work, "blob", name))
    return HF_OK;
  if (strlen(name) == 2 && is_hex(name, 2))
    return each_inside(&in, work->blob_fd, "blob", name, blob_file, reterr);
  return say_not_ours(work, work->blob_fd, "blob", name, reterr);
}

int hf_verify_list_blobs(hf_verify_work *work, hf_error *reterr) {
  return hf_dir_each(work->blob_fd, "blob", blob_entry, work, reterr);
}

/* ---- stage/ ---- */

/* <ULID>, <ULID>.blob, <ULID>.<ULID>.blob, <ULID>.<sha256>.aside, <ULID>.<tile>.tile */
static int is_staged_name(const char *name) {
  hf_id id;
  uint64_t tile = 0;
  if (hf_blob_is_aside(name) || hf_tile_kept_is(name, &tile))
    return 1;
  size_t bytes = strlen(name);
  if (bytes < HF_ID_CHARS || bytes > STAGE_NAME_BYTES_MAX ||
      hf_id_parse(name, HF_ID_CHARS, &id) != 0)
    return 0;
  const char *rest = name + HF_ID_CHARS;
  if (rest[0] == '.' && strlen(rest) > HF_ID_CHARS && hf_id_parse(rest + 1, HF_ID_CHARS, &id) == 0)
    rest += 1 + HF_ID_CHARS;
  else if (rest[0] == '\0')
    return 1;
  return strcmp(rest, ".blob") == 0;
}

static int stage_entry(void *context, const char *name, hf_error *reterr) {
  hf_verify_work *work = context;
  char path[HF_VERIFY_PATH_BYTES];
  int64_t mtime_s = 0;
  if (is_nfs_leftover(name) || is_probe(name) || !is_staged_name(name))
    return say_harmless(work, "stage", name)
               ? HF_OK
               : say_not_ours(work, work->stage_fd, "stage", name, reterr);
  int is = hf_verify_name(work->stage_fd, name, "stage", NULL, &mtime_s, reterr);
  if (is < 0 || is == HF_NAME_ABSENT)
    return is < 0 ? is : HF_OK;
  if (is != HF_NAME_FILE)
    return say_not_ours(work, work->stage_fd, "stage", name, reterr);
  int64_t age_s = hf_realtime_us() / 1000000 - mtime_s;
  (void)snprintf(path, sizeof path, "stage/%s", name);
  hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, path,
                "staged %lld s ago by a writer that is at work or was killed; swept after an hour",
                (long long)(age_s > 0 ? age_s : 0));
  return HF_OK;
}

int hf_verify_list_stage(hf_verify_work *work, hf_error *reterr) {
  return hf_dir_each(work->stage_fd, "stage", stage_entry, work, reterr);
}
