#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "err.h"
#include "id.h"
#include "repair.h"
#include "verify.h"

#include "banned.h"

enum { LINE_BYTES_MAX = 4096 }; /* ours has some 200, and some 600 with a result of peers */

static int is_manifest(const char *text, size_t bytes, hf_manifest *ret_manifest) {
  return hf_manifest_decode(text, bytes, ret_manifest, NULL) == HF_OK;
}

/* 1, or 0 where memory runs out. */
static int take_text(const hf_buf *text, hf_buf *ret_text) {
  return ret_text == NULL || hf_buf_add(ret_text, text->data, text->used) == 0;
}

int hf_manifest_correct(const char *text, size_t bytes, hf_buf *ret_text,
                        hf_manifest *ret_manifest) {
  hf_autobuf copy = {0};
  const char *newline = bytes > 0 ? memchr(text, '\n', bytes) : NULL;
  if (newline != NULL) /* something was written behind it, perhaps */
    bytes = (size_t)(newline - text) + 1;
  if (bytes == 0 || bytes > LINE_BYTES_MAX || hf_buf_add(&copy, text, bytes) != 0)
    return 0;
  if (is_manifest(text, bytes, ret_manifest))
    return take_text(&copy, ret_text);
  for (size_t i = 0; i < bytes; i++)
    for (unsigned bit = 0; bit < 8; bit++) {
      copy.data[i] = (char)(text[i] ^ (char)(1U << bit));
      /* no two texts that differ by two bits share a CRC-32C: there is one answer at most */
      if (is_manifest(copy.data, bytes, ret_manifest))
        return take_text(&copy, ret_text);
      copy.data[i] = text[i];
    }
  return 0;
}

/* What stands between the quotation marks behind "name":, if it looks as it should. */
static void salvage_text(const char *text, size_t bytes, const char *name, const char *allowed,
                         char *out, size_t out_bytes) {
  char before[32];
  (void)snprintf(before, sizeof before, "\"%s\":\"", name);
  const char *at = bytes > 0 ? memmem(text, bytes, before, strlen(before)) : NULL;
  if (at == NULL)
    return;
  at += strlen(before);
  size_t left = bytes - (size_t)(at - text);
  size_t count = 0;
  while (count < left && count < out_bytes && at[count] != '"' && at[count] != '\0' &&
         strchr(allowed, at[count]) != NULL)
    count++;
  if (count == 0 || count == left || count >= out_bytes || at[count] != '"')
    return;
  memcpy(out, at, count);
  out[count] = '\0';
}

static int is_uuid(const char *text) {
  if (strlen(text) != HF_UUID_CHARS)
    return 0;
  for (size_t i = 0; i < HF_UUID_CHARS; i++) {
    int is_dash = i == 8 || i == 13 || i == 18 || i == 23;
    if ((text[i] == '-') != is_dash)
      return 0;
  }
  return 1;
}

void hf_manifest_salvage(const char *text, size_t bytes, hf_manifest *ret_manifest) {
  hf_manifest *manifest = ret_manifest;
  memset(manifest, 0, sizeof *manifest);
  char mode[16] = "";
  salvage_text(text, bytes, "mode", "journal", mode, sizeof mode);
  manifest->journal = strcmp(mode, "journal") == 0;
  manifest->format = manifest->journal ? HF_FORMAT_JOURNAL : HF_FORMAT_PUBLISH;
  salvage_text(text, bytes, "uuid", "0123456789abcdef-", manifest->uuid, sizeof manifest->uuid);
  if (!is_uuid(manifest->uuid))
    manifest->uuid[0] = '\0';
  salvage_text(text, bytes, "locker", "abcdefghijklmnopqrstuvwxyz0123456789-", manifest->locker,
               sizeof manifest->locker);
  if (!hf_config_is_scheme(manifest->locker)) /* whether or not this program has it */
    manifest->locker[0] = '\0';
  salvage_text(text, bytes, "publish", "linkrename", manifest->publish, sizeof manifest->publish);
  if (strcmp(manifest->publish, "link") != 0 && strcmp(manifest->publish, "rename") != 0)
    manifest->publish[0] = '\0';
  salvage_text(text, bytes, "created", "0123456789-:.TZ", manifest->created,
               sizeof manifest->created);
}

/* A newer format is no damage. Its number may be damaged, though: then the crc is that of a format
 * that is known, or of a text that one bit parts from it. */
static int refuse_newer(hf_verify_work *work, const hf_error *why, hf_error *reterr) {
  hf_manifest manifest;
  hf_autobuf text = {0};
  static const char format[] = "{\"format\":";
  const char *old = work->manifest_text.data;
  size_t bytes = work->manifest_text.used;
  if (hf_manifest_correct(old, bytes, NULL, &manifest))
    return HF_OK;
  if (bytes > sizeof format && memcmp(old, format, sizeof format - 1) == 0) {
    const char *comma = memchr(old, ',', bytes);
    for (int known = HF_FORMAT_PUBLISH; comma != NULL && known <= HF_FORMAT_VERSION; known++) {
      hf_buf_clear(&text);
      if (hf_buf_printf(&text, "%s%d", format, known) != 0 ||
          hf_buf_add(&text, comma, bytes - (size_t)(comma - old)) != 0)
        return hf_err_nomem(reterr);
      if (is_manifest(text.data, text.used, &manifest))
        return HF_OK;
    }
  }
  if (reterr != NULL)
    *reterr = *why;
  return why->code;
}

int hf_verify_manifest_read(hf_verify_work *work, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  int is = hf_verify_name(work->root_fd, HF_MANIFEST_NAME, "", NULL, NULL, reterr);
  if (is < 0)
    return is;
  work->manifest_is = (hf_kind_of_name)is;
  if (is != HF_NAME_FILE) {
    (void)snprintf(work->manifest_why, sizeof work->manifest_why, "%s",
                   is == HF_NAME_ABSENT ? "it is gone" : hf_verify_name_text(work->manifest_is));
    return HF_OK;
  }
  int too_long;
  int unreadable;
  is = hf_verify_read(work->root_fd, "", HF_MANIFEST_NAME, &work->manifest_text, &too_long,
                      &unreadable, reterr);
  if (is < 0)
    return is;
  if (unreadable)
    return hf_err_sys(reterr, HF_EIO, EIO, HF_MANIFEST_NAME, "cannot read the manifest");
  int status = HF_EDAMAGED;
  if (work->manifest_text.used > HF_MANIFEST_BYTES_MAX)
    (void)snprintf(why.message, sizeof why.message, "it is too long");
  else
    status = hf_manifest_decode(work->manifest_text.data, work->manifest_text.used, &work->manifest,
                                &why);
  if (status == HF_EVERSION) {
    int refused = refuse_newer(work, &why, reterr);
    if (refused != HF_OK)
      return refused;
    (void)snprintf(why.message, sizeof why.message, "its format's number is damaged");
  }
  char *advice = strstr(why.message, "; run holdfast verify");
  if (advice != NULL) /* that is what is being done */
    *advice = '\0';
  work->manifest_good = status == HF_OK;
  if (!work->manifest_good)
    (void)snprintf(work->manifest_why, sizeof work->manifest_why, "%s", why.message);
  return HF_OK;
}

void hf_verify_manifest_locker(hf_verify_work *work) {
  hf_manifest now; /* what was committed since it was first read may have been told to it */
  if (!work->manifest_good || hf_manifest_read(work->root_fd, &now, NULL) != 1)
    return;
  if (now.locker_seq < work->mode_seq)
    hf_verify_say(work, HF_SAY_REMARK, "manifest", work->mode_seq, HF_MANIFEST_NAME,
                  "it says that the locker is %s, and since seq %llu it is %s: the log decides, "
                  "and holdfast locker set %s tells it to the manifest",
                  now.locker, (unsigned long long)work->mode_seq, work->mode_locker,
                  work->mode_locker);
  else if (now.locker_seq > work->mode_seq && now.locker_seq <= work->report->head)
    hf_verify_say(work, HF_SAY_REMARK, "manifest", now.locker_seq, HF_MANIFEST_NAME,
                  "it says that seq %llu gave the store the locker %s, and no such record is "
                  "there: the locker is that of the change before; if %s is meant, holdfast locker "
                  "set %s",
                  (unsigned long long)now.locker_seq, now.locker, now.locker, now.locker);
}

int hf_verify_manifest(hf_verify_work *work, hf_error *reterr) {
  if (work->manifest_good)
    return HF_OK;
  if (work->manifest_is != HF_NAME_ABSENT && work->manifest_is != HF_NAME_FILE) {
    int status = hf_verify_foreign(work, work->root_fd, "", HF_MANIFEST_NAME, 0,
                                   hf_verify_name_text(work->manifest_is), reterr);
    if (status != HF_OK)
      return status;
  }
  char done[HF_VERIFY_PATH_BYTES + 256] = "";
  unsigned how = HF_SAY_DAMAGE;
  if (work->repair != NULL) {
    int status = hf_repair_manifest(work, done, sizeof done, reterr);
    if (status != HF_OK)
      return status;
    how |= HF_SAY_REPAIRED;
  }
  hf_verify_say(work, how, "manifest", 0, HF_MANIFEST_NAME, "%s; %s", work->manifest_why,
                work->repair != NULL ? done : "verify --repair makes it anew from what is left");
  return HF_OK;
}
