/* A libFuzzer target: whatever the bytes, the JSON code neither crashes nor contradicts itself. See
 * README. */
#include "json.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/holdfast.h>
#include <holdfast/leaf.h>

#include "buf.h"

enum { NESTING_MAX = 512, WALK_DEPTH_MAX = NESTING_MAX + 1 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void must(int holds, const char *what) {
  if (!holds) {
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
  }
}

static int same(const hf_buf *a, const hf_buf *b) {
  return a->used == b->used && memcmp(a->data, b->data, a->used) == 0;
}

static void check_string(const hf_json *string) {
  hf_autobuf decoded = {0}, printed = {0};
  must(hf_json_decode_string(string, &decoded) == 0, "a string is decoded");
  must(hf_utf8_valid(decoded.data, decoded.used), "a decoded string is UTF-8");
  must(hf_json_string_equals(string, decoded.data, decoded.used),
       "a string equals its decoded form");
  must(hf_json_add_string(&printed, decoded.data, decoded.used) == 0, "a string is printed");
  must(hf_json_check(printed.data, printed.used, 0, 0, NULL, NULL, NULL) == HF_OK,
       "a printed string is JSON");
  hf_json again = hf_json_value(printed.data, printed.used);
  must(hf_json_string_equals(&again, decoded.data, decoded.used),
       "a printed string means the same");
}

/* Walks all values below; every one is a JSON text by itself, and lies inside its container. */
static void walk(const hf_json *value, unsigned depth) {
  hf_json name, child;
  size_t position = 0;
  uint64_t whole = 0;
  must(depth <= WALK_DEPTH_MAX, "the nesting is what was accepted");
  if (value->type == HF_JSON_STRING)
    check_string(value);
  if (value->type == HF_JSON_NUMBER && hf_json_uint64(value, &whole) == 0) {
    char text[32];
    (void)snprintf(text, sizeof text, "%llu", (unsigned long long)whole);
    must(value->bytes == strlen(text) && memcmp(value->text, text, value->bytes) == 0,
         "a whole number is what it says");
  }
  while (hf_json_next(value, &position, &name, &child) == 1) {
    must(child.bytes > 0 && child.text > value->text &&
             child.text + child.bytes < value->text + value->bytes,
         "a value lies inside its container");
    if (value->type == HF_JSON_OBJECT)
      check_string(&name);
    walk(&child, depth + 1);
  }
}

static void check_canonical(const hf_json *value, const hf_json *stripped) {
  hf_autobuf one = {0}, other = {0}, again = {0}, checked = {0};
  must(hf_json_canonical(value, &one) == 0, "a canonical form");
  must(hf_json_canonical(stripped, &other) == 0 && same(&one, &other),
       "white space does not matter");
  must(hf_json_check(one.data, one.used, 0, NESTING_MAX, &checked, NULL, NULL) == HF_OK,
       "the canonical form is JSON");
  must(same(&one, &checked), "the canonical form has no white space");
  hf_json canonical = hf_json_value(one.data, one.used);
  must(hf_json_canonical(&canonical, &again) == 0 && same(&one, &again),
       "the canonical form is its own");
}

/* Pointers made of the input itself: an answer, whatever it is, lies inside the text. */
static void check_pointer(const char *text, size_t count) {
  char pointer[64] = "/";
  size_t bytes = count < sizeof pointer - 2 ? count : sizeof pointer - 2;
  memcpy(pointer + 1, text, bytes);
  const char *value = NULL;
  size_t value_bytes = 0;
  if (hf_json_pointer(text, count, pointer, &value, &value_bytes, NULL) == 1)
    must(value >= text && value + value_bytes <= text + count, "a pointer's value is in the text");
}

/* A leaf is what its pointer finds; its text is UTF-8. root NULL: the text was not checked. */
static int check_leaf(void *context, const hf_leaf *leaf) {
  const hf_json *root = context;
  hf_json found;
  size_t bytes = 0;
  char *text = malloc(leaf->value_bytes + 1);
  if (text == NULL)
    return 0;
  int has_text = hf_leaf_text(leaf, text, &bytes);
  must(bytes <= leaf->value_bytes, "a leaf's text is no longer than the leaf");
  if (root != NULL) {
    must(!has_text || hf_utf8_valid(text, bytes), "a leaf's text is UTF-8");
    must(hf_json_find(root, leaf->pointer, &found, NULL) == 1 && found.text == leaf->value &&
             found.bytes == leaf->value_bytes,
         "a leaf is what its pointer finds");
  }
  free(text);
  return 0;
}

static void check_with(const char *text, size_t count, unsigned flags) {
  hf_autobuf out = {0}, again = {0};
  hf_error error = HF_ERROR_INIT;
  uint64_t nan = 0;
  (void)hf_buf_add_text(&out, "x");
  int status = hf_json_check(text, count, flags, NESTING_MAX, &out, &nan, &error);
  int status_alone = hf_json_check(text, count, flags, NESTING_MAX, NULL, NULL, NULL);
  must(status == status_alone, "the answer does not depend on the output");
  if (status != HF_OK) {
    must(status == HF_EDOC || status == HF_ELIMIT, "a refusal is one of two");
    must((int)error.code == status && error.message[0] != '\0' &&
             strncmp(error.place, "line ", 5) == 0 &&
             hf_utf8_valid(error.message, strlen(error.message)),
         "a refusal has its place and its message");
    must(out.used == 1, "a refused text leaves nothing");
    return;
  }
  must(out.used - 1 <= count + nan, "the output is no longer than the text");
  must(nan == 0 || (flags & HF_JSON_NAN_TO_NULL) != 0, "NaN only where it is asked for");
  must(hf_json_check(out.data + 1, out.used - 1, flags & HF_JSON_OBJECT_ONLY, NESTING_MAX, &again,
                     NULL, NULL) == HF_OK,
       "what was accepted is accepted again");
  must(again.used == out.used - 1 && memcmp(again.data, out.data + 1, again.used) == 0,
       "what was accepted stays as it is");
  if (nan > 0)
    return;
  hf_json value = hf_json_value(text, count);
  hf_json stripped = hf_json_value(again.data, again.used);
  must(stripped.bytes == again.used, "a value is the whole text");
  walk(&value, 0);
  must(hf_json_leaves(text, count, check_leaf, &value, NULL) == HF_OK, "leaves are told");
  walk(&stripped, 0);
  check_canonical(&value, &stripped);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  char *text = malloc(count);
  if (text == NULL)
    return 0;
  memcpy(text, bytes, count);
  check_with(text, count, 0);
  check_with(text, count, HF_JSON_NAN_TO_NULL);
  check_with(text, count, HF_JSON_OBJECT_ONLY);
  check_pointer(text, count);

  /* what is no JSON may be looked into, too, without harm */
  hf_autobuf ignored = {0};
  hf_json broken = hf_json_value(text, count), name, child;
  size_t position = 0;
  for (int i = 0; i < 64 && hf_json_next(&broken, &position, &name, &child) == 1; i++)
    (void)hf_json_decode_string(&child, &ignored);
  (void)hf_json_canonical(&broken, &ignored);
  (void)hf_json_leaves(text, count, check_leaf, NULL, NULL);
  free(text);
  return 0;
}
