#include "manifest.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "json.h"

#include "banned.h"

int hf_manifest_encode(const hf_manifest *manifest, hf_buf *out, hf_error *reterr) {
  size_t start = out->used;
  (void)hf_buf_printf(out,
                      "{\"format\":%llu,\"uuid\":\"%s\",\"locker\":\"%s\",\"publish\":\"%s\","
                      "\"created\":\"%s\"",
                      (unsigned long long)manifest->format, manifest->uuid, manifest->locker,
                      manifest->publish, manifest->created);
  if (manifest->journal)
    (void)hf_buf_add_text(out, ",\"mode\":\"journal\"");
  if (manifest->locker_seq != 0)
    (void)hf_buf_printf(out, ",\"locker_seq\":%llu", (unsigned long long)manifest->locker_seq);
  if (manifest->forced)
    (void)hf_buf_add_text(out, ",\"forced\":true");
  if (manifest->peer[0] != '\0')
    (void)hf_buf_printf(out, ",\"peer\":%s", manifest->peer);
  return hf_manifest_seal(out, start, reterr);
}

int hf_manifest_seal(hf_buf *out, size_t start, hf_error *reterr) {
  if (out->failed != 0)
    return hf_err_nomem(reterr);
  uint32_t crc = hf_crc32c(0, out->data + start, out->used - start);
  return hf_buf_printf(out, ",\"crc\":\"%08x\"}\n", crc) != 0 ? hf_err_nomem(reterr) : HF_OK;
}

static int take_text(const hf_json *root, const char *name, char *out, size_t bytes) {
  hf_json value;
  if (hf_json_member(root, name, &value) != 1 || value.type != HF_JSON_STRING ||
      value.bytes - 2 >= bytes)
    return -1;
  memcpy(out, value.text + 1, value.bytes - 2); /* none of them needs an escape */
  out[value.bytes - 2] = '\0';
  return 0;
}

static int check_crc(const char *text, size_t bytes, const hf_json *root) {
  static const char before[] = ",\"crc\":\"";
  hf_json crc;
  uint8_t stored[4];
  if (hf_json_member(root, "crc", &crc) != 1 || crc.bytes != 10 ||
      hf_unhex(crc.text + 1, 8, stored) != 0)
    return -1;
  const char *tail = crc.text - (sizeof before - 2);
  if (tail < text || memcmp(tail, before, sizeof before - 1) != 0 || (size_t)(tail - text) > bytes)
    return -1;
  uint32_t want = (uint32_t)stored[0] << 24 | (uint32_t)stored[1] << 16 | (uint32_t)stored[2] << 8 |
                  (uint32_t)stored[3];
  return hf_crc32c(0, text, (size_t)(tail - text)) == want ? 0 : -1;
}

int hf_manifest_is_whole(const char *text, size_t bytes) {
  if (hf_json_check(text, bytes, HF_JSON_OBJECT_ONLY, 8, NULL, NULL, NULL) != HF_OK)
    return 0;
  hf_json root = hf_json_value(text, bytes);
  return check_crc(text, bytes, &root) == 0;
}

/* What a newer or older program may not have written. */
static void take_optional(const hf_json *root, hf_manifest *manifest) {
  hf_json value;
  manifest->forced = hf_json_member(root, "forced", &value) == 1 && value.type == HF_JSON_TRUE;
  if (hf_json_member(root, "peer", &value) == 1 && value.type == HF_JSON_OBJECT &&
      value.bytes < sizeof manifest->peer) {
    memcpy(manifest->peer, value.text, value.bytes);
    manifest->peer[value.bytes] = '\0';
  }
}

static int damaged(hf_error *reterr, const char *what) {
  return hf_err(reterr, HF_EDAMAGED, HF_MANIFEST_NAME,
                "the manifest is damaged (%s); run holdfast verify --repair", what);
}

int hf_manifest_decode(const char *text, size_t bytes, hf_manifest *ret_manifest,
                       hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  hf_manifest manifest;
  memset(&manifest, 0, sizeof manifest);
  if (hf_json_check(text, bytes, HF_JSON_OBJECT_ONLY, 8, NULL, NULL, &why) != HF_OK)
    return damaged(reterr, why.message);
  hf_json root = hf_json_value(text, bytes);
  hf_json format;
  if (hf_json_member(&root, "format", &format) != 1 ||
      hf_json_uint64(&format, &manifest.format) != 0)
    return damaged(reterr, "it names no format");
  /* before the rest: a newer format may look otherwise. A flipped bit in this number is caught by
   * the crc. */
  int crc_holds = check_crc(text, bytes, &root) == 0;
  int is_known = manifest.format >= HF_FORMAT_PUBLISH && manifest.format <= HF_FORMAT_VERSION;
  if (!is_known && (crc_holds || manifest.format > HF_FORMAT_VERSION))
    return hf_err(
        reterr, HF_EVERSION, HF_MANIFEST_NAME,
        "the store has format %llu, this program knows formats 1 to %d; use a newer Holdfast",
        (unsigned long long)manifest.format, HF_FORMAT_VERSION);
  if (!crc_holds)
    return damaged(reterr, "its crc does not match");
  if (take_text(&root, "uuid", manifest.uuid, sizeof manifest.uuid) != 0 ||
      strlen(manifest.uuid) != HF_UUID_CHARS ||
      take_text(&root, "locker", manifest.locker, sizeof manifest.locker) != 0 ||
      take_text(&root, "publish", manifest.publish, sizeof manifest.publish) != 0 ||
      take_text(&root, "created", manifest.created, sizeof manifest.created) != 0)
    return damaged(reterr, "a member is missing");
  char mode[16];
  manifest.journal = manifest.format == HF_FORMAT_JOURNAL;
  if (manifest.journal &&
      (take_text(&root, "mode", mode, sizeof mode) != 0 || strcmp(mode, "journal") != 0))
    return damaged(reterr, "its format is 2, and its mode is not journal");
  hf_json seq;
  if (hf_json_member(&root, "locker_seq", &seq) == 1 &&
      hf_json_uint64(&seq, &manifest.locker_seq) != 0)
    return damaged(reterr, "its locker_seq is no number");
  if (strcmp(manifest.publish, "link") != 0 && strcmp(manifest.publish, "rename") != 0)
    return hf_err(
        reterr, HF_EVERSION, HF_MANIFEST_NAME,
        "the store publishes by %s, which this program does not know; use a newer Holdfast",
        manifest.publish);
  take_optional(&root, &manifest);
  *ret_manifest = manifest;
  return HF_OK;
}

int hf_manifest_read(int root_fd, hf_manifest *ret_manifest, hf_error *reterr) {
  hf_autobuf text = {0};
  int got = hf_file_read(root_fd, HF_MANIFEST_NAME, HF_MANIFEST_BYTES_MAX, &text, reterr);
  if (got == HF_ELIMIT)
    return damaged(reterr, "it is too long");
  if (got != 1)
    return got;
  int status = hf_manifest_decode(text.data, text.used, ret_manifest, reterr);
  return status == HF_OK ? 1 : status;
}
