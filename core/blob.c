#include "blob.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "sys.h"

#include "banned.h"

static void folder_of(const uint8_t sha256[32], char folder[3]) {
  hf_hex(sha256, 1, folder);
}

void hf_blob_name(const uint8_t sha256[32], char name[HF_BLOB_NAME_BYTES]) {
  char hex[HF_SHA256_CHARS + 1];
  hf_hex(sha256, 32, hex);
  (void)snprintf(name, HF_BLOB_NAME_BYTES, "%.2s/%s", hex, hex);
}

int hf_blob_stage(hf_store *store, hf_attempt *attempt, hf_error *reterr) {
  char name[sizeof attempt->staged_blob];
  if (attempt->id_given) { /* others may stage the same id: a name of its own behind it */
    hf_id id;
    char own[HF_ID_CHARS + 1];
    int status = hf_id_make(&id, reterr);
    if (status != HF_OK)
      return status;
    hf_id_format(&id, own);
    (void)snprintf(name, sizeof name, "%s.%s.blob", attempt->id_text, own);
  } else
    (void)snprintf(name, sizeof name, "%s.blob", attempt->id_text);
  int status =
      hf_file_create(store->stage_fd, name, attempt->doc.data, attempt->doc.used, 1, reterr);
  if (status != HF_OK) {
    hf_err_place_below(reterr, "stage");
    return status;
  }
  memcpy(attempt->staged_blob, name, sizeof name);
  return HF_OK;
}

/* The last look before an answer. Where the staged one is gone, too, the document is written anew:
 * it is in memory still. */
static int place_again(hf_store *store, hf_attempt *attempt, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  if (hf_blob_place(store, attempt->staged_blob, attempt->line.sha256, 1, &why) == HF_OK)
    return HF_OK;
  int status = hf_blob_stage(store, attempt, reterr);
  if (status == HF_EEXIST) { /* so it is not gone: the first answer counts */
    if (reterr != NULL)
      *reterr = why;
    return why.code;
  }
  return status != HF_OK
             ? status
             : hf_blob_place(store, attempt->staged_blob, attempt->line.sha256, 1, reterr);
}

int hf_blob_place_all(hf_store *store, hf_attempt *const *attempts, size_t count, int again,
                      hf_error *reterr) {
  for (size_t i = 0; i < count; i++) {
    if (attempts[i]->staged_blob[0] == '\0')
      continue;
    int status =
        again ? place_again(store, attempts[i], reterr)
              : hf_blob_place(store, attempts[i]->staged_blob, attempts[i]->line.sha256, 0, reterr);
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

void hf_blob_unstage(hf_store *store, hf_attempt *attempt) {
  if (attempt->staged_blob[0] != '\0')
    (void)hf_sys_unlink(store->stage_fd, attempt->staged_blob, 0);
  attempt->staged_blob[0] = '\0';
}

/* The name is made of the content: whoever put it there, it is the same. errno is kept. */
static int is_placed(int dirfd, const char *hex) {
  struct stat st;
  int saved_errno = errno;
  int is = hf_sys_fstatat(dirfd, hex, &st) == 0;
  errno = saved_errno;
  return is;
}

/* Puts the writer's own link in the place of the blob that stands there: the same content, another
 * inode, changed now. 0 or -1. */
static int replace(hf_store *store, const char *staged_name, int dirfd, const char *hex) {
  char id_text[HF_ID_CHARS + 1];
  char own[2 * HF_ID_CHARS + 8];
  hf_id id;
  if (store->rename_mode)
    return hf_sys_rename(store->stage_fd, staged_name, dirfd, hex, 0);
  if (hf_id_make(&id, NULL) != HF_OK) {
    errno = EIO;
    return -1;
  }
  hf_id_format(&id, id_text);
  (void)snprintf(own, sizeof own, "%.26s.%s.blob", staged_name, id_text);
  if (hf_sys_link(store->stage_fd, staged_name, store->stage_fd, own) != 0)
    return -1;
  int failed = hf_sys_rename(store->stage_fd, own, dirfd, hex, 0);
  int sys_errno = errno;
  (void)hf_sys_unlink(store->stage_fd, own, 0); /* it stays where both names are of one file */
  errno = sys_errno;
  return failed;
}

int hf_blob_place(hf_store *store, const char *staged_name, const uint8_t sha256[32], int again,
                  hf_error *reterr) {
  char folder[3];
  char hex[HF_SHA256_CHARS + 1];
  hf_autofd int fd = -1;
  folder_of(sha256, folder);
  hf_hex(sha256, 32, hex);
  int status = hf_dir_make(store->blob_fd, folder, &fd, NULL, reterr);
  if (status != HF_OK) {
    hf_err_place_below(reterr, "blob");
    return status;
  }
  /* Without hard links the staged file itself moves; placing it again finds it gone. */
  int failed = store->rename_mode
                   ? hf_sys_rename(store->stage_fd, staged_name, fd, hex, RENAME_NOREPLACE)
                   : hf_sys_link(store->stage_fd, staged_name, fd, hex);
  if (failed != 0 && errno == ENOENT && again && is_placed(fd, hex))
    errno = EEXIST;
  if (failed != 0 && again && errno == EEXIST)
    return HF_OK;
  if (failed != 0 && errno == EEXIST)
    failed = replace(store, staged_name, fd, hex);
  if (failed != 0 && store->rename_mode && errno == ENOENT && is_placed(fd, hex))
    failed = 0;
  if (failed != 0)
    return hf_err_sys(reterr, HF_EIO, errno, "blob", "cannot put the document %s in place", hex);
  hf_count(&store->counters.flushes, 2);
  status = hf_dir_fsync(fd, "blob", reterr);
  if (status == HF_OK)
    status = hf_dir_fsync(store->blob_fd, "blob", reterr);
  return status;
}

/* ---- aside ---- */

static const char aside_end[] = ".aside";
enum { ASIDE_BYTES = HF_ID_CHARS + 1 + HF_SHA256_CHARS };

int hf_blob_is_aside(const char *name) {
  uint8_t sha256[32];
  hf_id id;
  return strlen(name) == ASIDE_BYTES + sizeof aside_end - 1 &&
         hf_id_parse(name, HF_ID_CHARS, &id) == 0 && name[HF_ID_CHARS] == '.' &&
         hf_unhex(name + HF_ID_CHARS + 1, HF_SHA256_CHARS, sha256) == 0 &&
         strcmp(name + ASIDE_BYTES, aside_end) == 0;
}

int hf_blob_put_back(hf_store *store, const char *aside, hf_error *reterr) {
  uint8_t sha256[32];
  if (!hf_blob_is_aside(aside) || hf_unhex(aside + HF_ID_CHARS + 1, HF_SHA256_CHARS, sha256) != 0)
    return hf_err(reterr, HF_EINTERNAL, aside, "this is no blob that gc took aside");
  int status = hf_blob_place(store, aside, sha256, 1, reterr);
  if (status == HF_OK)
    (void)hf_sys_unlink(store->stage_fd, aside, 0);
  return status;
}

int hf_blob_read(hf_store *store, const hf_line *line, hf_buf *out, hf_error *reterr) {
  char name[HF_BLOB_NAME_BYTES];
  char place[HF_BLOB_NAME_BYTES + 8];
  uint8_t digest[32];
  hf_blob_name(line->sha256, name);
  (void)snprintf(place, sizeof place, "blob/%s", name);
  size_t start = out->used;
  int got = hf_file_read(store->blob_fd, name, (size_t)line->size, out, reterr);
  if (got == 0)
    return hf_err(reterr, HF_EDAMAGED, place,
                  "the document is gone; put the file back from a backup, or from whoever has it");
  if (got == HF_ELIMIT || (got == 1 && out->used - start != line->size))
    return hf_err(reterr, HF_EDAMAGED, place,
                  "the document has another length than its record says");
  if (got < 0) {
    hf_err_place_below(reterr, "blob");
    return got;
  }
  int status = hf_sha256(out->data + start, out->used - start, digest, reterr);
  if (status != HF_OK)
    return status;
  if (memcmp(digest, line->sha256, sizeof digest) != 0)
    return hf_err(reterr, HF_EDAMAGED, place, "the document was altered: its SHA-256 differs");
  return HF_OK;
}
