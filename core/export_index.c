#include "export_index.h"

#include <stdio.h>
#include <string.h>

#include "err.h"
#include "id.h"
#include "json.h"

#include "banned.h"

enum { CHANGES_COUNT = 4, KEY_TRIES_MAX = 1000 };

/* A member that must say what the record says. */
typedef struct change {
  const char *name;
  const char *text; /* as a string; NULL: the member stays as it is */
  int is_number;
  int stands;   /* the document has it */
  size_t place; /* its last one */
  hf_json was;  /* text NULL: not replaced */
} change;

static void add_string(hf_buf *out, const char *text) {
  (void)hf_json_add_string(out, text, strlen(text));
}

static int says(const change *wanted, const hf_json *value) {
  size_t bytes = strlen(wanted->text);
  if (wanted->is_number)
    return value->bytes == bytes && memcmp(value->text, wanted->text, bytes) == 0;
  return value->type == HF_JSON_STRING && hf_json_string_equals(value, wanted->text, bytes);
}

static void plan(const hf_json *doc, change changes[CHANGES_COUNT]) {
  hf_json name;
  hf_json value;
  size_t position = 0;
  for (size_t place = 0; hf_json_next(doc, &position, &name, &value) == 1; place++)
    for (size_t i = 0; i < CHANGES_COUNT; i++)
      if (hf_json_string_equals(&name, changes[i].name, strlen(changes[i].name))) {
        changes[i].stands = 1;
        changes[i].place = place;
        changes[i].was = value;
      }
  for (size_t i = 0; i < CHANGES_COUNT; i++)
    if (changes[i].text == NULL || (changes[i].stands && says(&changes[i], &changes[i].was)))
      changes[i].was.text = NULL;
}

static void add_value(hf_buf *out, const change *wanted) {
  if (wanted->is_number)
    (void)hf_buf_add_text(out, wanted->text);
  else
    add_string(out, wanted->text);
}

/* The document's members, each followed by a comma, then those that it lacks. */
static void add_members(const hf_json *doc, const change changes[CHANGES_COUNT], hf_buf *out) {
  hf_json name;
  hf_json value;
  size_t position = 0;
  for (size_t place = 0; hf_json_next(doc, &position, &name, &value) == 1; place++) {
    const change *replaced = NULL;
    for (size_t i = 0; i < CHANGES_COUNT; i++)
      if (changes[i].was.text != NULL && changes[i].place == place)
        replaced = &changes[i];
    (void)hf_buf_add(out, name.text, name.bytes);
    (void)hf_buf_add_char(out, ':');
    if (replaced != NULL)
      add_value(out, replaced);
    else
      (void)hf_buf_add(out, value.text, value.bytes);
    (void)hf_buf_add_char(out, ',');
  }
  for (size_t i = 0; i < CHANGES_COUNT; i++) {
    if (changes[i].stands || changes[i].text == NULL)
      continue;
    add_string(out, changes[i].name);
    (void)hf_buf_add_char(out, ':');
    add_value(out, &changes[i]);
    (void)hf_buf_add_char(out, ',');
  }
}

static void add_dims(const hf_record *record, hf_buf *out) {
  (void)hf_buf_add_char(out, '{');
  for (size_t i = 0; i < record->dims_count; i++) {
    if (i > 0)
      (void)hf_buf_add_char(out, ',');
    add_string(out, record->dims[i].name);
    (void)hf_buf_add_char(out, ':');
    add_string(out, record->dims[i].value);
  }
  (void)hf_buf_add_char(out, '}');
}

static void add_string_or_null(hf_buf *out, const char *text) {
  if (text != NULL)
    add_string(out, text);
  else
    (void)hf_buf_add_text(out, "null");
}

static void add_note(const hf_record *record, const change changes[CHANGES_COUNT], hf_buf *out) {
  const char *comma = "";
  (void)hf_buf_printf(out,
                      "\"" HF_EXPORT_NOTE "\":{\"export\":%d,\"group\":", HF_EXPORT_NOTE_VERSION);
  add_string_or_null(out, record->group);
  (void)hf_buf_add_text(out, ",\"ts\":");
  add_string_or_null(out, record->ts);
  (void)hf_buf_add_text(out, ",\"dims\":");
  add_dims(record, out);
  (void)hf_buf_add_text(out, ",\"added\":[");
  for (size_t i = 0; i < CHANGES_COUNT; i++) {
    if (changes[i].stands || changes[i].text == NULL)
      continue;
    (void)hf_buf_add_text(out, comma);
    add_string(out, changes[i].name);
    comma = ",";
  }
  (void)hf_buf_add_text(out, "],\"was\":{");
  comma = "";
  for (size_t i = 0; i < CHANGES_COUNT; i++) {
    if (changes[i].was.text == NULL)
      continue;
    (void)hf_buf_add_text(out, comma);
    add_string(out, changes[i].name);
    (void)hf_buf_add_char(out, ':');
    (void)hf_json_add_string(out, changes[i].was.text, changes[i].was.bytes);
    comma = ",";
  }
  (void)hf_buf_printf(out, "}%s,\"sha256\":\"%s\"}",
                      record->legacy_clock ? ",\"by_clock\":true" : "", record->sha256);
}

static void make_key(const hf_record *record, unsigned attempt, hf_buf *out) {
  hf_buf_clear(out);
  (void)hf_buf_printf(out, "%s:%s", record->run_id, record->stage);
  for (size_t i = 0; i < record->dims_count; i++)
    (void)hf_buf_printf(out, ":%s=%s", record->dims[i].name, record->dims[i].value);
  if (attempt == 1)
    (void)hf_buf_printf(out, "#%llu", (unsigned long long)record->seq);
  else if (attempt > 1)
    (void)hf_buf_printf(out, "#%llu.%u", (unsigned long long)record->seq, attempt);
}

/* A key that no other entry has. Only hashes are kept: two keys that share one only look alike. */
static int add_key(const hf_record *record, hf_map *keys, hf_buf *out, hf_error *reterr) {
  hf_autobuf key = {0};
  for (unsigned attempt = 0; attempt < KEY_TRIES_MAX; attempt++) {
    size_t position = 0;
    make_key(record, attempt, &key);
    if (key.failed != 0 || hf_map_reserve(keys, 1) != 0)
      return hf_err_nomem(reterr);
    uint64_t hash = hf_hash64(0, key.data, key.used);
    if (hf_map_find(keys, hash, &position) != 0)
      continue;
    hf_map_add(keys, hash, record->seq);
    (void)hf_json_add_string(out, key.data, key.used);
    return HF_OK;
  }
  return hf_err(reterr, HF_EINTERNAL, NULL, "no free key for seq %llu",
                (unsigned long long)record->seq);
}

int hf_export_index_entry(const hf_record *record, hf_map *keys, hf_buf *out, hf_error *reterr) {
  char seq[24];
  (void)snprintf(seq, sizeof seq, "%llu", (unsigned long long)record->seq);
  change changes[CHANGES_COUNT] = {{.name = "run_id", .text = record->run_id},
                                   {.name = "stage", .text = record->stage},
                                   {.name = "timestamp", .text = record->ts},
                                   {.name = "snapshot_seq", .text = seq, .is_number = 1}};
  if (record->doc == NULL || record->run_id == NULL || record->stage == NULL)
    return hf_err(reterr, HF_EINTERNAL, NULL, "seq %s is no snapshot with a document", seq);
  hf_json doc = hf_json_value(record->doc, record->doc_bytes);
  plan(&doc, changes);
  int status = add_key(record, keys, out, reterr);
  if (status != HF_OK)
    return status;
  (void)hf_buf_add_text(out, ":{");
  add_members(&doc, changes, out);
  add_note(record, changes, out);
  return hf_buf_add_char(out, '}') != 0 ? hf_err_nomem(reterr) : HF_OK;
}
