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

int hf_blob_place_all(hf_store *store, hf_attempt *const *attempts, size_t count, int again,
                      hf_error *reterr) {
  for (size_t i = 0; i < count; i++) {
    if (attempts[i]->staged_blob[0] == '\0')
      continue;
    int status =
        hf_blob_place(store, attempts[i]->staged_blob, attempts[i]->line.sha256, again, reterr);
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
  if (failed != 0 && store->rename_mode && errno == ENOENT && is_placed(fd, hex))
    errno = EEXIST;
  if (failed != 0 && again && errno == EEXIST)
    return HF_OK;
  if (failed != 0 && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, "blob", "cannot put the document %s in place", hex);
  /* Also where it existed: whoever put it there may not have made the name durable yet. */
  hf_count(&store->counters.flushes, 2);
  status = hf_dir_fsync(fd, "blob", reterr);
  if (status == HF_OK)
    status = hf_dir_fsync(store->blob_fd, "blob", reterr);
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
