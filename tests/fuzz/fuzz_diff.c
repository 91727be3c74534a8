/* A libFuzzer target: two documents with a newline between them. Whatever they are, hf_diff and
 * hf_diff_patch neither crash nor contradict themselves. See README. */
#include <holdfast/diff.h>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json.h"

enum { NESTING_MAX = HF_DOC_NESTING_MAX };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void must(int holds, const char *what) {
  if (!holds) {
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
  }
}

static hf_record record_of(uint64_t seq, const hf_buf *doc) {
  return (hf_record){.seq = seq,
                     .op = "save",
                     .run_id = seq == 1 ? "a" : "b",
                     .stage = "s",
                     .group = "g",
                     .doc = doc->data,
                     .doc_bytes = doc->used};
}

/* A name with a NUL byte, or with a lone surrogate, has no pointer that finds it. */
static int can_be_found(const char *pointer) {
  return strstr(pointer, "\xEF\xBF\xBD") == NULL;
}

static void find(const hf_buf *doc, const char *pointer, const char *text, size_t bytes) {
  hf_json root = hf_json_value(doc->data, doc->used), value;
  if (!can_be_found(pointer))
    return;
  must(hf_json_find(&root, pointer, &value, NULL) == 1, "a pointer finds a value");
  must(value.bytes == bytes && memcmp(value.text, text, bytes) == 0, "and that one");
}

static void compare(const hf_buf *a, const hf_buf *b, int all) {
  hf_record x = record_of(1, a), y = record_of(2, b);
  hf_diff_options options = {NULL, all};
  hf_diff_result *result = NULL;
  must(hf_diff(&x, &y, &options, &result, NULL) == HF_OK, "documents are compared");
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  hf_change change;
  uint64_t changes = 0;
  while (hf_diff_next(result, &change, NULL) == 1) {
    changes += change.kind < HF_CHANGE_SAME;
    if (change.old_text != NULL)
      find(a, change.old_pointer, change.old_text, change.old_bytes);
    if (change.new_text != NULL)
      find(b, change.pointer, change.new_text, change.new_bytes);
    must(change.severity <= summary->severity, "the gravest is the whole's");
  }
  must(changes == summary->changes, "all changes are told");
  if (summary->identical)
    must(changes + summary->close + summary->left_out == 0, "identical: nothing differs");
  hf_diff_free(&result);
}

/* 1: nothing differs at all. */
static int is_identical(const hf_buf *a, const hf_buf *b) {
  hf_record x = record_of(1, a), y = record_of(2, b);
  hf_diff_result *result = NULL;
  must(hf_diff(&x, &y, NULL, &result, NULL) == HF_OK, "documents are compared");
  int identical = hf_diff_summary_of(result)->identical;
  hf_diff_free(&result);
  return identical;
}

static void check_patch(const hf_buf *a, const hf_buf *b) {
  char *patch = NULL;
  size_t bytes = 0;
  must(hf_diff_patch(a->data, a->used, b->data, b->used, &patch, &bytes, NULL) == HF_OK, "a patch");
  must(hf_json_check(patch, bytes, 0, NESTING_MAX + 2, NULL, NULL, NULL) == HF_OK, "it is JSON");
  if (bytes == 2)
    must(is_identical(a, b), "an empty patch changes nothing");
  free(patch);
}

static void check_same(const hf_buf *a) {
  hf_autobuf canonical = {0};
  hf_json value = hf_json_value(a->data, a->used);
  must(hf_json_canonical(&value, &canonical) == 0, "a canonical form");
  must(is_identical(a, &canonical), "a document is its canonical form");
  char *patch = NULL;
  size_t bytes = 0;
  must(hf_diff_patch(a->data, a->used, a->data, a->used, &patch, &bytes, NULL) == HF_OK, "a patch");
  must(bytes == 2, "the same: an empty patch");
  free(patch);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  const char *text = (const char *)bytes;
  const char *newline = count > 0 ? memchr(text, '\n', count) : NULL;
  if (newline == NULL)
    return -1;
  hf_autobuf a = {0}, b = {0};
  const char *second = newline + 1;
  if (hf_json_check(text, (size_t)(newline - text), HF_JSON_OBJECT_ONLY, NESTING_MAX, &a, NULL,
                    NULL) != HF_OK ||
      hf_json_check(second, count - (size_t)(second - text), HF_JSON_OBJECT_ONLY, NESTING_MAX, &b,
                    NULL, NULL) != HF_OK)
    return -1;
  compare(&a, &b, 0);
  compare(&b, &a, 1);
  check_patch(&a, &b);
  check_same(&a);
  return 0;
}
