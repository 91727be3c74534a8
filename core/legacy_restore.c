#include "legacy.h"

#include <string.h>

#include "err.h"
#include "export_index.h"
#include "id.h"

#include "banned.h"

enum { CHANGES_MAX = 4 }; /* run_id, stage, timestamp, snapshot_seq */

static int damaged(hf_error *reterr) {
  return hf_err(reterr, HF_EDOC, NULL,
                "its note \"" HF_EXPORT_NOTE "\" is not what an export writes; export it again");
}

int hf_legacy_export_find(const hf_json *entry, hf_legacy_export *ret_export, hf_error *reterr) {
  hf_json name = {0};
  hf_json value = {0};
  hf_json version;
  hf_json flag;
  uint64_t number = 0;
  size_t position = 0;
  while (hf_json_next(entry, &position, &name, &value) == 1)
    continue;
  if (name.text == NULL || value.type != HF_JSON_OBJECT ||
      !hf_json_string_equals(&name, HF_EXPORT_NOTE, strlen(HF_EXPORT_NOTE)) ||
      hf_json_member(&value, "export", &version) == 0)
    return 0;
  memset(ret_export, 0, sizeof *ret_export);
  ret_export->note = value;
  if (version.type != HF_JSON_NUMBER || hf_json_uint64(&version, &number) != 0 ||
      hf_json_member(&value, "group", &ret_export->group) == 0 ||
      hf_json_member(&value, "ts", &ret_export->ts) == 0 ||
      hf_json_member(&value, "dims", &ret_export->dims) == 0 ||
      ret_export->dims.type != HF_JSON_OBJECT)
    return damaged(reterr);
  if (number != HF_EXPORT_NOTE_VERSION)
    return hf_err(
        reterr, HF_EVERSION, NULL,
        "exported in version %llu of the form, %d is known; import it with a newer holdfast",
        (unsigned long long)number, HF_EXPORT_NOTE_VERSION);
  ret_export->by_clock =
      hf_json_member(&value, "by_clock", &flag) == 1 && flag.type == HF_JSON_TRUE;
  return 1;
}

/* One member that export added or replaced. */
typedef struct change {
  hf_json name;
  hf_json was;  /* a string: the text that it had; text NULL: it was added */
  size_t place; /* of the last member of this name; SIZE_MAX: it is gone */
} change;

/* Both strings were written by hf_json_add_string or by Python, so they are compared decoded. */
static int same_string(const hf_json *a, const hf_json *b, hf_buf *scratch) {
  hf_buf_clear(scratch);
  (void)hf_buf_reserve(scratch, 1);
  (void)hf_json_decode_string(b, scratch);
  return scratch->failed == 0 && hf_json_string_equals(a, scratch->data, scratch->used);
}

static int read_changes(const hf_legacy_export *export, change *changes, size_t *ret_count,
                        hf_error *reterr) {
  hf_json added;
  hf_json was;
  hf_json name;
  hf_json value;
  size_t count = 0;
  size_t position = 0;
  if (hf_json_member(&export->note, "added", &added) == 0 || added.type != HF_JSON_ARRAY ||
      hf_json_member(&export->note, "was", &was) == 0 || was.type != HF_JSON_OBJECT)
    return damaged(reterr);
  while (hf_json_next(&added, &position, NULL, &value) == 1) {
    if (count == CHANGES_MAX || value.type != HF_JSON_STRING)
      return damaged(reterr);
    changes[count++] = (change){value, {0}, SIZE_MAX};
  }
  position = 0;
  while (hf_json_next(&was, &position, &name, &value) == 1) {
    if (count == CHANGES_MAX || value.type != HF_JSON_STRING)
      return damaged(reterr);
    changes[count++] = (change){name, value, SIZE_MAX};
  }
  *ret_count = count;
  return HF_OK;
}

static void find_places(const hf_json *entry, change *changes, size_t count, size_t *ret_members,
                        hf_buf *scratch) {
  hf_json name;
  hf_json value;
  size_t position = 0;
  size_t place = 0;
  for (; hf_json_next(entry, &position, &name, &value) == 1; place++)
    for (size_t i = 0; i < count; i++)
      if (same_string(&name, &changes[i].name, scratch))
        changes[i].place = place;
  *ret_members = place;
}

/* The members but the last, which is the note, with what was changed put back. */
static int rebuild(const hf_json *entry, const change *changes, size_t count, size_t members,
                   hf_buf *out, hf_error *reterr) {
  hf_json name;
  hf_json value;
  size_t position = 0;
  size_t start = out->used + 1;
  (void)hf_buf_add_char(out, '{');
  for (size_t place = 0; place + 1 < members; place++) {
    const change *found = NULL;
    (void)hf_json_next(entry, &position, &name, &value);
    for (size_t i = 0; i < count; i++)
      if (changes[i].place == place)
        found = &changes[i];
    if (found != NULL && found->was.text == NULL)
      continue;
    if (out->used > start)
      (void)hf_buf_add_char(out, ',');
    (void)hf_buf_add(out, name.text, name.bytes);
    (void)hf_buf_add_char(out, ':');
    if (found != NULL)
      (void)hf_json_decode_string(&found->was, out);
    else
      (void)hf_buf_add(out, value.text, value.bytes);
  }
  return hf_buf_add_char(out, '}') != 0 ? hf_err_nomem(reterr) : HF_OK;
}

int hf_legacy_restore(const hf_json *entry, const hf_legacy_export *export, hf_buf *out,
                      int *ret_edited, hf_error *reterr) {
  change changes[CHANGES_MAX];
  size_t count = 0;
  size_t members = 0;
  hf_autobuf scratch = {0};
  hf_autobuf built = {0};
  int status = read_changes(export, changes, &count, reterr);
  if (status != HF_OK)
    return status;
  find_places(entry, changes, count, &members, &scratch);
  if (scratch.failed != 0)
    return hf_err_nomem(reterr);
  status = rebuild(entry, changes, count, members, &built, reterr);
  if (status != HF_OK)
    return status;
  uint8_t digest[32];
  char hex[HF_SHA256_CHARS + 1];
  hf_json sha256;
  status = hf_sha256(built.data, built.used, digest, reterr);
  if (status != HF_OK)
    return status;
  hf_hex(digest, sizeof digest, hex);
  *ret_edited = hf_json_member(&export->note, "sha256", &sha256) == 0 ||
                !hf_json_string_equals(&sha256, hex, HF_SHA256_CHARS);
  if (!*ret_edited)
    return hf_buf_add(out, built.data, built.used) != 0 ? hf_err_nomem(reterr) : HF_OK;
  /* somebody's hand was in it: what was put back is checked like any other document */
  status = hf_json_check(built.data, built.used, HF_JSON_OBJECT_ONLY, HF_DOC_NESTING_MAX, out, NULL,
                         reterr);
  if (status == HF_EDOC)
    return damaged(reterr);
  return status;
}
