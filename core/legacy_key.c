#include "legacy.h"

#include <string.h>

#include "err.h"

#include "banned.h"

enum { TAIL_PARTS_MAX = 4 };

void hf_legacy_fields_clear(hf_legacy_fields *fields) {
  hf_buf_clear(&fields->key);
  hf_buf_clear(&fields->run_id);
  hf_buf_clear(&fields->stage);
  hf_buf_clear(&fields->timestamp);
  hf_buf_clear(&fields->target);
  hf_buf_clear(&fields->view);
  hf_buf_clear(&fields->symbol);
  hf_buf_clear(&fields->attempt);
  memset(fields->stands, 0, sizeof fields->stands);
  fields->is_long = 0;
}

void hf_legacy_fields_free(hf_legacy_fields *fields) {
  hf_buf_free(&fields->key);
  hf_buf_free(&fields->run_id);
  hf_buf_free(&fields->stage);
  hf_buf_free(&fields->timestamp);
  hf_buf_free(&fields->target);
  hf_buf_free(&fields->view);
  hf_buf_free(&fields->symbol);
  hf_buf_free(&fields->attempt);
}

/* Takes ":text" off the end of the key's first *bytes bytes. 1: it was there. */
static int cut_end(const char *key, size_t *bytes, const char *text, size_t text_bytes) {
  if (*bytes < text_bytes + 1)
    return 0;
  size_t start = *bytes - text_bytes;
  if (key[start - 1] != ':' || memcmp(key + start, text, text_bytes) != 0)
    return 0;
  *bytes = start - 1;
  return 1;
}

/* Takes ":target:view:symbol" off, as the members say it. */
static int cut_members(const hf_legacy_fields *fields, size_t *bytes) {
  const char *key = fields->key.data;
  size_t left = *bytes;
  int has_symbol = fields->symbol.used > 0;
  if (!cut_end(key, &left, has_symbol ? fields->symbol.data : "NONE",
               has_symbol ? fields->symbol.used : 4) ||
      !cut_end(key, &left, fields->view.data, fields->view.used) ||
      !cut_end(key, &left, fields->target.data, fields->target.used))
    return 0;
  *bytes = left;
  return 1;
}

/* The long form, seen from its end: the members target, view and symbol stand there, then maybe an
 * attempt. *bytes becomes the length of what is before. */
static int long_by_members(hf_legacy_fields *fields, size_t *bytes) {
  const char *key = fields->key.data;
  size_t left = *bytes;
  if (fields->target.used == 0 || fields->view.used == 0)
    return 0;
  if (cut_members(fields, bytes))
    return 1;
  while (left > 0 && key[left - 1] >= '0' && key[left - 1] <= '9')
    left--;
  if (left == *bytes || left == 0 || key[left - 1] != ':')
    return 0;
  const char *attempt = key + left;
  size_t attempt_bytes = *bytes - left;
  left--;
  if (!cut_members(fields, &left))
    return 0;
  if (!fields->stands[HF_LEGACY_ATTEMPT])
    (void)hf_buf_add(&fields->attempt, attempt, attempt_bytes);
  *bytes = left;
  return 1;
}

/* The long form, seen from its beginning: run_id and stage stand there, then 3 or 4 parts. What the
 * members leave open is taken from the parts. */
static int long_by_parts(hf_legacy_fields *fields) {
  hf_buf *into[TAIL_PARTS_MAX] = {&fields->target, &fields->view, &fields->symbol,
                                  &fields->attempt};
  const char *parts[TAIL_PARTS_MAX];
  size_t bytes[TAIL_PARTS_MAX];
  const char *key = fields->key.data;
  size_t used = fields->key.used;
  size_t start = fields->run_id.used + fields->stage.used + 2;
  if (fields->run_id.used == 0 || fields->stage.used == 0 || used < start ||
      memcmp(key, fields->run_id.data, fields->run_id.used) != 0 ||
      key[fields->run_id.used] != ':' ||
      memcmp(key + fields->run_id.used + 1, fields->stage.data, fields->stage.used) != 0 ||
      key[start - 1] != ':')
    return 0;
  size_t count = 0;
  for (;;) {
    if (count == TAIL_PARTS_MAX)
      return 0;
    const char *colon = memchr(key + start, ':', used - start);
    parts[count] = key + start;
    bytes[count++] = colon != NULL ? (size_t)(colon - (key + start)) : used - start;
    if (colon == NULL)
      break;
    start = (size_t)(colon - key) + 1;
  }
  if (count < TAIL_PARTS_MAX - 1)
    return 0;
  for (size_t i = 0; i < count; i++)
    if (!fields->stands[HF_LEGACY_TARGET + i])
      (void)hf_buf_add(into[i], parts[i], bytes[i]);
  return 1;
}

/* run_id and stage from the key's first `bytes` bytes, RUN or RUN:STAGE. */
static int split_head(hf_legacy_fields *fields, size_t bytes, hf_error *reterr) {
  const char *key = fields->key.data;
  hf_buf *run_id = &fields->run_id;
  hf_buf *stage = &fields->stage;
  size_t left = bytes;
  if (stage->used > 0) { /* the run_id is missing */
    (void)cut_end(key, &left, stage->data, stage->used);
    (void)hf_buf_add(run_id, key, left);
  } else if (run_id->used > 0) {
    if (bytes > run_id->used + 1 && key[run_id->used] == ':' &&
        memcmp(key, run_id->data, run_id->used) == 0)
      (void)hf_buf_add(stage, key + run_id->used + 1, bytes - run_id->used - 1);
  } else {
    const char *colon = memrchr(key, ':', bytes);
    if (colon != NULL) {
      (void)hf_buf_add(run_id, key, (size_t)(colon - key));
      (void)hf_buf_add(stage, colon + 1, bytes - (size_t)(colon - key) - 1);
    }
  }
  if (run_id->failed != 0 || stage->failed != 0)
    return hf_err_nomem(reterr);
  if (run_id->used == 0 || stage->used == 0)
    return hf_err(reterr, HF_EDOC, NULL,
                  "the entry does not say its run_id and stage, and its key is not RUN_ID:STAGE; "
                  "add the members");
  return HF_OK;
}

int hf_legacy_key(hf_legacy_fields *fields, hf_error *reterr) {
  size_t bytes = fields->key.used;
  fields->is_long = long_by_members(fields, &bytes) || long_by_parts(fields);
  if (fields->target.failed != 0 || fields->view.failed != 0 || fields->symbol.failed != 0 ||
      fields->attempt.failed != 0)
    return hf_err_nomem(reterr);
  if (fields->run_id.used > 0 && fields->stage.used > 0)
    return HF_OK;
  return split_head(fields, bytes, reterr);
}
