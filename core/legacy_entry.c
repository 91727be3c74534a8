#include "legacy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "id.h"
#include "key.h"

#include "banned.h"

enum { LEGACY_DIMS_MAX = 4, FIELD_STAGE = 2, FIELD_LAST = HF_LEGACY_ATTEMPT };

void hf_legacy_entry_free(hf_legacy_entry *entry) {
  free(entry->strings);
  free(entry->dims);
  free(entry->own_doc);
}

/* The members that say what an entry is; text NULL: absent. */
typedef struct members {
  hf_json seq;
  hf_json field[8]; /* as in hf_legacy_fields; [0], the key's place, is not used */
} members;

static const struct {
  const char *name;
  size_t field;
} names[] = {{"run_id", 1}, {"stage", 2},  {"timestamp", 3}, {"target", 4},
             {"view", 5},   {"symbol", 6}, {"attempt_id", 7}};

/* One walk; of a member that stands twice, the last. */
static void collect(const hf_json *object, members *ret_members) {
  hf_json name;
  hf_json value;
  size_t position = 0;
  memset(ret_members, 0, sizeof *ret_members);
  while (hf_json_next(object, &position, &name, &value) == 1) {
    if (hf_json_string_equals(&name, "snapshot_seq", strlen("snapshot_seq")))
      ret_members->seq = value;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
      if (hf_json_string_equals(&name, names[i].name, strlen(names[i].name)))
        ret_members->field[names[i].field] = value;
  }
}

/* A string, decoded; a number, as it is written (Python had an int where a text is meant). */
static int add_text(const char *what, const hf_json *value, hf_buf *out, hf_error *reterr) {
  switch (value->type) {
  case HF_JSON_NULL:
    return HF_OK;
  case HF_JSON_STRING:
    if (hf_json_decode_string(value, out) != 0)
      return hf_err_nomem(reterr);
    if (out->used > 0 && memchr(out->data, '\0', out->used) != NULL)
      return hf_err(reterr, HF_EDOC, NULL, "%s holds a NUL character; take it out", what);
    return HF_OK;
  case HF_JSON_NUMBER:
    return hf_buf_add(out, value->text, value->bytes) != 0 ? hf_err_nomem(reterr) : HF_OK;
  case HF_JSON_FALSE:
  case HF_JSON_TRUE:
  case HF_JSON_ARRAY:
  case HF_JSON_OBJECT:
    break;
  }
  return hf_err(reterr, HF_EDOC, NULL, "%s is neither a string nor a number; correct it", what);
}

/* Fields up to number `last`. A target, view, symbol or attempt_id of another type is nothing wrong
 * where the key does not make it a dim: the place in *ret_odd, or 0. */
static int take_fields(const hf_json *name, const members *found, size_t last,
                       hf_legacy_fields *fields, size_t *ret_odd, hf_error *reterr) {
  hf_buf *into[8] = {&fields->key,    &fields->run_id, &fields->stage,  &fields->timestamp,
                     &fields->target, &fields->view,   &fields->symbol, &fields->attempt};
  *ret_odd = 0;
  hf_legacy_fields_clear(fields);
  if (hf_buf_reserve(&fields->key, 1) != 0) /* so that an empty key has a text, too */
    return hf_err_nomem(reterr);
  int status = add_text("the key", name, &fields->key, reterr);
  for (size_t i = 0; status == HF_OK && i < sizeof names / sizeof names[0]; i++) {
    size_t field = names[i].field;
    const hf_json *value = &found->field[field];
    if (value->text == NULL || field > last)
      continue;
    fields->stands[field] = 1;
    status = add_text(names[i].name, value, into[field], reterr);
    if (status == HF_EDOC && field >= HF_LEGACY_TARGET) {
      *ret_odd = field;
      status = HF_OK;
    }
  }
  return status;
}

/* The strings are put one after the other; an offset becomes a pointer once the text no longer
 * moves. */
static size_t put(hf_buf *out, const hf_buf *text) {
  size_t offset = out->used;
  (void)hf_buf_add(out, text->used > 0 ? text->data : "", text->used);
  (void)hf_buf_add_char(out, '\0');
  return offset;
}

static size_t put_string(hf_buf *out, const hf_json *string) {
  size_t offset = out->used;
  (void)hf_json_decode_string(string, out);
  (void)hf_buf_add_char(out, '\0');
  return offset;
}

typedef struct offsets {
  size_t run_id, stage, ts, group;
  size_t names[HF_DIMS_MAX], values[HF_DIMS_MAX];
  size_t dims_count;
  int has_group;
} offsets;

static int equals(const hf_buf *text, const char *other) {
  return text->used == strlen(other) && memcmp(text->data, other, text->used) == 0;
}

/* The long key's dims, sorted by name. */
static void put_long_dims(hf_buf *out, const hf_legacy_fields *fields, offsets *to) {
  const struct {
    const char *name;
    const hf_buf *value;
    const char *none;
  } dims[LEGACY_DIMS_MAX] = {{"attempt", &fields->attempt, "0"},
                             {"symbol", &fields->symbol, "NONE"},
                             {"target", &fields->target, ""},
                             {"view", &fields->view, ""}};
  for (size_t i = 0; i < LEGACY_DIMS_MAX; i++) {
    if (dims[i].value->used == 0 || equals(dims[i].value, dims[i].none))
      continue;
    to->names[to->dims_count] = out->used;
    (void)hf_buf_add(out, dims[i].name, strlen(dims[i].name) + 1);
    to->values[to->dims_count++] = put(out, dims[i].value);
  }
}

static int put_exported_dims(hf_buf *out, const hf_json *object, offsets *to, hf_error *reterr) {
  hf_json name;
  hf_json value;
  size_t position = 0;
  while (hf_json_next(object, &position, &name, &value) == 1) {
    if (to->dims_count == HF_DIMS_MAX || value.type != HF_JSON_STRING)
      return hf_err(reterr, HF_EDOC, NULL, "its note \"holdfast\" has dims that no export writes");
    to->names[to->dims_count] = put_string(out, &name);
    to->values[to->dims_count++] = put_string(out, &value);
  }
  return HF_OK;
}

/* *entry gets its strings. export NULL: written by the older program. */
static int take_strings(const hf_legacy_fields *fields, const hf_legacy_export *export,
                        hf_legacy_entry *entry, hf_error *reterr) {
  offsets at;
  hf_autobuf out = {0};
  memset(&at, 0, sizeof at);
  at.run_id = put(&out, &fields->run_id);
  at.stage = put(&out, &fields->stage);
  if (export == NULL) {
    at.ts = put(&out, &fields->timestamp);
    if (fields->is_long)
      put_long_dims(&out, fields, &at);
  } else {
    at.ts = out.used;
    if (export->ts.type == HF_JSON_STRING)
      (void)hf_json_decode_string(&export->ts, &out);
    (void)hf_buf_add_char(&out, '\0');
    at.has_group = export->group.type == HF_JSON_STRING;
    if (at.has_group)
      at.group = put_string(&out, &export->group);
    int status = put_exported_dims(&out, &export->dims, &at, reterr);
    if (status != HF_OK)
      return status;
  }
  if (at.dims_count > 0)
    entry->dims = calloc(at.dims_count, sizeof *entry->dims);
  if (out.failed != 0 || (at.dims_count > 0 && entry->dims == NULL))
    return hf_err_nomem(reterr);
  char *base = hf_buf_take(&out);
  entry->strings = base;
  entry->run_id = base + at.run_id;
  entry->stage = base + at.stage;
  entry->ts = base + at.ts;
  entry->group = at.has_group ? base + at.group : NULL;
  entry->dims_count = at.dims_count;
  for (size_t i = 0; i < at.dims_count; i++)
    entry->dims[i] = (hf_dim){base + at.names[i], base + at.values[i]};
  return HF_OK;
}

static int take_order(const members *found, hf_legacy_entry *entry, hf_error *reterr) {
  size_t bytes = strlen(entry->ts);
  if (bytes > 0) {
    if (bytes > HF_TIMESTAMP_BYTES_MAX ||
        hf_timestamp_parse(entry->ts, bytes, &entry->time_us) != 0)
      return hf_err(reterr, HF_EDOC, NULL,
                    "the timestamp \"%.64s\" is neither RFC 3339 nor what isoformat() prints; "
                    "correct it, or take it out",
                    entry->ts);
    entry->has_time = 1;
  }
  if (found->seq.text == NULL || found->seq.type == HF_JSON_NULL)
    return HF_OK;
  if (found->seq.type != HF_JSON_NUMBER || hf_json_uint64(&found->seq, &entry->seq) != 0)
    return hf_err(reterr, HF_EDOC, NULL,
                  "snapshot_seq is %.*s and not a whole number; correct it, or take it out",
                  (int)(found->seq.bytes < 40 ? found->seq.bytes : 40), found->seq.text);
  entry->has_seq = 1;
  return HF_OK;
}

int hf_legacy_identify(const hf_key *key, const uint8_t doc_sha256[32], unsigned generation,
                       hf_legacy_identity *ret_identity, hf_error *reterr) {
  hf_autokeytext texts;
  hf_autobuf all = {0};
  uint8_t digest[32];
  char hex[HF_SHA256_CHARS + 1];
  memset(&texts, 0, sizeof texts);
  int status = hf_keytext_make(key, &texts, reterr);
  if (status != HF_OK)
    return status;
  /* JSON strings hold no raw newline, so no two keys make the same text */
  (void)hf_buf_add(&all, texts.run.data, texts.run.used);
  (void)hf_buf_add_char(&all, '\n');
  (void)hf_buf_add(&all, texts.stage.data, texts.stage.used);
  (void)hf_buf_add_char(&all, '\n');
  (void)hf_buf_add(&all, texts.dims.data, texts.dims.used);
  if (all.failed != 0)
    return hf_err_nomem(reterr);
  status = hf_sha256(all.data, all.used, digest, reterr);
  if (status != HF_OK)
    return status;
  memcpy(ret_identity->key, digest, sizeof ret_identity->key);
  hf_hex(doc_sha256, 32, hex);
  if (hf_buf_printf(&all, "\n%s\nimport %u\n", hex, generation) != 0)
    return hf_err_nomem(reterr);
  status = hf_sha256(all.data, all.used, digest, reterr);
  memcpy(ret_identity->snapshot, digest, sizeof ret_identity->snapshot);
  return status;
}

/* The limits are hf_save's; asked here, so that nothing is saved of an import that cannot be saved
 * whole. */
static int check_and_identify(hf_legacy_entry *entry, uint64_t document_bytes_max,
                              hf_error *reterr) {
  hf_key key = {entry->run_id, entry->stage, entry->dims, entry->dims_count};
  hf_autobuf group = {0};
  uint8_t digest[32];
  if (entry->doc_bytes > document_bytes_max)
    return hf_err(reterr, HF_ELIMIT, NULL,
                  "the document has %zu bytes, %llu are allowed; raise limits.document_bytes_max",
                  entry->doc_bytes, (unsigned long long)document_bytes_max);
  int status = hf_sha256(entry->doc, entry->doc_bytes, digest, reterr);
  if (status == HF_OK && entry->group != NULL)
    status = hf_key_group_text(entry->group, &group, reterr);
  if (status == HF_OK)
    status = hf_legacy_identify(&key, digest, 0, &entry->identity, reterr);
  if ((status == HF_EINVAL || status == HF_ELIMIT) && reterr->place[0] != '\0') {
    char what[HF_ERROR_PLACE_BYTES]; /* "run_id": the place will be the file's */
    char message[HF_ERROR_MESSAGE_BYTES];
    (void)snprintf(what, sizeof what, "%s", reterr->place);
    (void)snprintf(message, sizeof message, "%s", reterr->message);
    return hf_err(reterr, status == HF_EINVAL ? HF_EDOC : status, NULL, "%.64s: %s", what, message);
  }
  return status;
}

int hf_legacy_entry_make(const hf_json *name, const hf_json *value, hf_legacy_fields *fields,
                         hf_legacy_entry *entry, uint64_t document_bytes_max, int *ret_edited,
                         hf_error *reterr) {
  members found;
  hf_legacy_export export;
  size_t odd = 0;
  if (value->type != HF_JSON_OBJECT)
    return hf_err(reterr, HF_EDOC, NULL, "the entry is not an object; is this an index?");
  int is_export = hf_legacy_export_find(value, &export, reterr);
  if (is_export < 0)
    return is_export;
  collect(value, &found);
  int status =
      take_fields(name, &found, is_export ? FIELD_STAGE : FIELD_LAST, fields, &odd, reterr);
  if (status == HF_OK)
    status = hf_legacy_key(fields, reterr);
  if (status == HF_OK && fields->is_long && odd != 0)
    return hf_err(reterr, HF_EDOC, NULL, "%s is neither a string nor a number; correct it",
                  names[odd - 1].name);
  if (status != HF_OK)
    return status;
  status = take_strings(fields, is_export ? &export : NULL, entry, reterr);
  if (status == HF_OK)
    status = take_order(&found, entry, reterr);
  if (status != HF_OK)
    return status;
  entry->doc = value->text;
  entry->doc_bytes = value->bytes;
  if (is_export) {
    hf_autobuf doc = {0};
    status = hf_legacy_restore(value, &export, &doc, ret_edited, reterr);
    if (status != HF_OK)
      return status;
    entry->by_clock = export.by_clock;
    entry->doc_bytes = doc.used;
    entry->own_doc = hf_buf_take(&doc);
    entry->doc = entry->own_doc;
  }
  return check_and_identify(entry, document_bytes_max, reterr);
}
