#include "key.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "id.h"
#include "json.h"
#include "plant.h"

#include "banned.h"

void hf_keytext_free(hf_keytext *text) {
  hf_buf_free(&text->run);
  hf_buf_free(&text->stage);
  hf_buf_free(&text->dims);
  hf_buf_free(&text->group);
}

/* One of the strings that the limits are about. */
static int check_string(const char *what, const char *text, size_t bytes_min, size_t bytes_max,
                        hf_error *reterr) {
  if (text == NULL)
    return hf_err(reterr, HF_EINVAL, what, "it is missing; give one");
  size_t bytes = strnlen(text, bytes_max + 1);
  if (bytes < bytes_min)
    return hf_err(reterr, HF_EINVAL, what, "it is empty; give at least one character");
  if (bytes > bytes_max)
    return hf_err(reterr, HF_ELIMIT, what, "it has %zu bytes, %zu are allowed; shorten it",
                  strlen(text), bytes_max);
  if (!hf_utf8_valid(text, bytes))
    return hf_err(reterr, HF_EINVAL, what, "it is not valid UTF-8; convert it first");
  for (size_t i = 0; i < bytes; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
      return hf_err(reterr, HF_EINVAL, what,
                    "byte %zu is the control character 0x%02x; take it out", i + 1,
                    (unsigned)(unsigned char)text[i]);
  return HF_OK;
}

static int add_string(hf_buf *out, const char *text, hf_error *reterr) {
  if (hf_json_add_string(out, text, strlen(text)) != 0)
    return hf_err_nomem(reterr);
  return HF_OK;
}

int hf_key_run_text(const char *run_id, hf_buf *out, hf_error *reterr) {
  int status = check_string("run_id", run_id, 1, HF_RUN_ID_BYTES_MAX, reterr);
  return status != HF_OK ? status : add_string(out, run_id, reterr);
}

int hf_key_stage_text(const char *stage, hf_buf *out, hf_error *reterr) {
  int status = check_string("stage", stage, 1, HF_STAGE_BYTES_MAX, reterr);
  return status != HF_OK ? status : add_string(out, stage, reterr);
}

int hf_key_group_text(const char *group, hf_buf *out, hf_error *reterr) {
  int status = check_string("group", group, 1, HF_GROUP_BYTES_MAX, reterr);
  return status != HF_OK ? status : add_string(out, group, reterr);
}

int hf_key_reason_text(const char *reason, hf_buf *out, hf_error *reterr) {
  int status = check_string("reason", reason, 1, HF_REASON_BYTES_MAX, reterr);
  return status != HF_OK ? status : add_string(out, reason, reterr);
}

static int compare_dims(const void *a, const void *b) {
  return strcmp(((const hf_dim *)a)->name, ((const hf_dim *)b)->name);
}

int hf_key_dims_text(const hf_dim *dims, size_t count, hf_buf *out, hf_error *reterr) {
  hf_dim sorted[HF_DIMS_MAX];
  if (count > HF_DIMS_MAX)
    return hf_err(reterr, HF_ELIMIT, "dims", "there are %zu, %d are allowed; join some", count,
                  HF_DIMS_MAX);
  for (size_t i = 0; i < count; i++) {
    int status = check_string("dim name", dims[i].name, 1, HF_DIM_NAME_BYTES_MAX, reterr);
    if (status != HF_OK)
      return status;
    status = check_string("dim value", dims[i].value, 0, HF_DIM_VALUE_BYTES_MAX, reterr);
    if (status != HF_OK)
      return status;
    sorted[i] = dims[i];
  }
  if (count > 1)
    qsort(sorted, count, sizeof sorted[0], compare_dims);
  (void)hf_buf_add_char(out, '{');
  for (size_t i = 0; i < count; i++) {
    if (i > 0 && strcmp(sorted[i - 1].name, sorted[i].name) == 0)
      return hf_err(reterr, HF_EINVAL, "dims", "the name %s stands twice; give it once",
                    sorted[i].name);
    if (i > 0)
      (void)hf_buf_add_char(out, ',');
    (void)hf_json_add_string(out, sorted[i].name, strlen(sorted[i].name));
    (void)hf_buf_add_char(out, ':');
    (void)hf_json_add_string(out, sorted[i].value, strlen(sorted[i].value));
  }
  return hf_buf_add_char(out, '}') != 0 ? hf_err_nomem(reterr) : HF_OK;
}

int hf_keytext_make(const hf_key *key, hf_keytext *text, hf_error *reterr) {
  int status = hf_key_run_text(key->run_id, &text->run, reterr);
  if (status == HF_OK)
    status = hf_key_stage_text(key->stage, &text->stage, reterr);
  if (status == HF_OK)
    status = hf_key_dims_text(key->dims, key->dims_count, &text->dims, reterr);
  return status;
}

int hf_key_group_of_document(const char *doc, size_t doc_bytes, hf_buf *out, hf_error *reterr) {
  hf_json root = {doc, doc_bytes, HF_JSON_OBJECT}; /* checked, and without white space */
  hf_json group;
  if (hf_json_member(&root, "comparison_group", &group) == 0 || group.type == HF_JSON_NULL)
    return HF_OK;
  hf_autobuf canonical = {0};
  uint8_t digest[32];
  char hex[HF_SHA256_CHARS + 1];
  if (hf_json_canonical(&group, &canonical) != 0)
    return hf_err_nomem(reterr);
  int status = hf_sha256(canonical.data, canonical.used, digest, reterr);
  if (status != HF_OK)
    return status;
  hf_hex(digest, sizeof digest, hex);
  return add_string(out, hex, reterr);
}

int hf_piece_equal(hf_piece a, hf_piece b) {
  if (a.text == NULL || b.text == NULL)
    return a.text == b.text;
  return a.bytes == b.bytes && memcmp(a.text, b.text, a.bytes) == 0;
}

uint64_t hf_key_hash(hf_piece run, hf_piece stage, hf_piece dims) {
  uint64_t hash = hf_hash64(hf_hash64(hf_hash64(1, run.text, run.bytes), stage.text, stage.bytes),
                            dims.text, dims.bytes);
  return HF_TEST_HASH(hash);
}

/* No test shortens it: by it rows with the same hash of the key are told apart. */
uint64_t hf_run_hash(hf_piece run) {
  return hf_hash64(4, run.text, run.bytes);
}

uint64_t hf_peer_hash(hf_piece group, hf_piece stage, hf_piece dims) {
  uint64_t hash =
      hf_hash64(hf_hash64(hf_hash64(2, group.text, group.bytes), stage.text, stage.bytes),
                dims.text, dims.bytes);
  return HF_TEST_HASH(hash);
}
