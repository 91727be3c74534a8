#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "blob.h"
#include "err.h"
#include "file.h"
#include "repair.h"
#include "verify.h"

#include "banned.h"

enum { AGAIN_MAX = 16 };

static int say_gone(hf_verify_work *work, uint64_t seq, const char *path, const char *what) {
  hf_verify_say(
      work, HF_SAY_DAMAGE, "blob-gone", seq, path,
      "%s; a repair cannot make it anew: put the file back from a backup (its name is its "
      "content's SHA-256), or save the same document under any other key",
      what);
  return HF_OK;
}

static int say_altered(hf_verify_work *work, uint64_t seq, const char *name, const char *path,
                       const char *what, hf_error *reterr) {
  char kept[HF_VERIFY_PATH_BYTES] = "";
  if (work->repair != NULL) {
    int status = hf_repair_keep_blob(work, name, kept, reterr);
    if (status != HF_OK)
      return status;
  }
  hf_verify_say(work, HF_SAY_DAMAGE, "blob-altered", seq, path,
                "%s; a repair cannot put it right: put the file back from a backup (its name is "
                "its content's SHA-256)%s%s",
                what, kept[0] != '\0' ? "; a copy of what stands here is " : "", kept);
  return HF_OK;
}

static int read_blob(hf_verify_work *work, uint64_t seq, const hf_line *line, const char *name,
                     const char *path, hf_error *reterr) {
  uint8_t digest[32];
  hf_autobuf text = {0};
  hf_error why = HF_ERROR_INIT;
  int got = hf_file_read(work->blob_fd, name, (size_t)line->size, &text, &why);
  if (got < 0 && why.sys_errno == EIO) {
    hf_verify_say(work, HF_SAY_DAMAGE, "unreadable", seq, path,
                  "the disk answers EIO; put the file back from a backup");
    return HF_OK;
  }
  if (got == 0)
    return hf_verify_drop_gone(work, seq, line, reterr);
  if (got < 0) {
    hf_err_place_below(&why, "blob");
    if (reterr != NULL)
      *reterr = why;
    return got;
  }
  int status = hf_sha256(text.data, text.used, digest, reterr);
  if (status != HF_OK)
    return status;
  if (text.used != line->size || memcmp(digest, line->sha256, sizeof digest) != 0)
    return say_altered(work, seq, name, path, "the document was altered: its SHA-256 differs",
                       reterr);
  work->report->blobs++;
  return hf_verify_document(work, seq, path, line, text.data, text.used, reterr);
}

int hf_verify_blob(hf_verify_work *work, uint64_t seq, const hf_line *line, hf_error *reterr) {
  char name[HF_BLOB_NAME_BYTES];
  char path[HF_BLOB_NAME_BYTES + 8];
  char what[160];
  uint64_t bytes = 0;
  int is = HF_NAME_ABSENT;
  hf_blob_name(line->sha256, name);
  (void)snprintf(path, sizeof path, "blob/%s", name);
  for (unsigned i = 0; i < AGAIN_MAX && work->blob_fd >= 0; i++) {
    is = hf_verify_name(work->blob_fd, name, "blob", &bytes, NULL, reterr);
    if (is < 0)
      return is;
    /* gc takes a blob aside, and puts it back where a record names it */
    if (is != HF_NAME_ABSENT || !hf_verify_wait(work, i))
      break;
  }
  if (is == HF_NAME_ABSENT)
    return hf_verify_drop_gone(work, seq, line, reterr);
  if (is != HF_NAME_FILE) {
    (void)snprintf(what, sizeof what, "%s stands in the place of the document",
                   hf_verify_name_text((hf_kind_of_name)is));
    return say_gone(work, seq, path, what);
  }
  if (bytes != line->size) {
    (void)snprintf(what, sizeof what, "the document has %llu bytes, and its record says %llu",
                   (unsigned long long)bytes, (unsigned long long)line->size);
    return say_altered(work, seq, name, path, what, reterr);
  }
  if (work->options->deep)
    return read_blob(work, seq, line, name, path, reterr);
  work->report->blobs++;
  return HF_OK;
}
