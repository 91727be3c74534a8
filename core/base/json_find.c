/* Looking into a text that hf_json_check has accepted, by offsets; nothing is copied. Any other
 * text gives some answer, never a read outside of it. */
#include "json.h"

#include <limits.h>
#include <string.h>

#include <holdfast/holdfast.h>

#include "err.h"
#include "json_scan.h"

#include "banned.h"

/* ---- stepping over ---- */

const char *hf_json_skip_string(const char *p, const char *end) {
  p++;
  for (;;) {
    uint64_t here = 0;
    while (end - p >= 8) {
      uint64_t word = hf_scan_load(p);
      here = (hf_scan_equal(word, '"') | hf_scan_equal(word, '\\')) & HF_SCAN_HIGH;
      if (here != 0)
        break;
      p += 8;
    }
    if (here != 0)
      p = hf_scan_first(p, here);
    else
      while (p < end && *p != '"' && *p != '\\')
        p++;
    if (p == end)
      return end;
    if (*p == '"')
      return p + 1;
    p = end - p >= 2 ? p + 2 : end;
  }
}

const char *hf_json_skip_scalar(const char *p, const char *end) {
  if (p < end && *p == '"')
    return hf_json_skip_string(p, end);
  while (p < end && *p != ',' && *p != ']' && *p != '}' && !hf_scan_is_space(*p))
    p++;
  return p;
}

/* The next quotation mark, bracket or brace. */
static const char *next_mark(const char *p, const char *end) {
  for (; end - p >= 8; p += 8) {
    uint64_t word = hf_scan_load(p);
    uint64_t folded = word | HF_SCAN_EACH(0x20); /* '[' to '{', ']' to '}' */
    uint64_t here =
        hf_scan_equal(word, '"') | hf_scan_equal(folded, '{') | hf_scan_equal(folded, '}');
    if ((here & HF_SCAN_HIGH) != 0)
      return hf_scan_first(p, here & HF_SCAN_HIGH);
  }
  while (p < end && *p != '"' && (*p | 0x20) != '{' && (*p | 0x20) != '}')
    p++;
  return p;
}

static const char *skip_container(const char *p, const char *end) {
  size_t depth = 0;
  do {
    p = next_mark(p, end);
    if (p == end)
      return end;
    if (*p == '"') {
      p = hf_json_skip_string(p, end);
      continue;
    }
    if ((*p | 0x20) == '{')
      depth++;
    else
      depth--;
    p++;
  } while (depth > 0);
  return p;
}

hf_json_type hf_json_type_at(const char *p, const char *end) {
  if (p == end)
    return HF_JSON_NULL;
  switch (*p) {
  case '{':
    return HF_JSON_OBJECT;
  case '[':
    return HF_JSON_ARRAY;
  case '"':
    return HF_JSON_STRING;
  case 't':
    return HF_JSON_TRUE;
  case 'f':
    return HF_JSON_FALSE;
  case 'n':
    return HF_JSON_NULL;
  default:
    return HF_JSON_NUMBER;
  }
}

hf_json hf_json_value(const char *text, size_t bytes) {
  const char *end = text + bytes;
  const char *p = hf_json_skip_space(text, end);
  hf_json value = {p, 0, hf_json_type_at(p, end)};
  int container = value.type == HF_JSON_OBJECT || value.type == HF_JSON_ARRAY;
  const char *behind = container ? skip_container(p, end) : hf_json_skip_scalar(p, end);
  value.bytes = (size_t)(behind - p);
  return value;
}

/* ---- walking ---- */

int hf_json_next(const hf_json *container, size_t *position, hf_json *ret_name,
                 hf_json *ret_value) {
  int is_object = container->type == HF_JSON_OBJECT;
  if ((!is_object && container->type != HF_JSON_ARRAY) || container->bytes < 2)
    return 0;
  const char *end = container->text + container->bytes - 1; /* the closing bracket */
  const char *p = container->text + (*position == 0 ? 1 : *position);
  p = hf_json_skip_space(p, end);
  if (p < end && *p == ',')
    p = hf_json_skip_space(p + 1, end);
  if (p >= end)
    return 0;
  hf_json name = {p, 0, HF_JSON_STRING};
  if (is_object) {
    if (*p != '"')
      return 0;
    p = hf_json_skip_string(p, end);
    name.bytes = (size_t)(p - name.text);
    p = hf_json_skip_space(p, end);
    if (p < end)
      p++; /* the colon */
  }
  hf_json value = hf_json_value(p, (size_t)(end - p));
  if (value.bytes == 0) /* only in a text that was not checked */
    return 0;
  if (is_object && ret_name != NULL)
    *ret_name = name;
  *ret_value = value;
  *position = (size_t)(value.text + value.bytes - container->text);
  return 1;
}

static int find_member(const hf_json *object, const char *name, size_t name_bytes,
                       hf_json *ret_value) {
  if (object->type != HF_JSON_OBJECT)
    return 0;
  int found = 0;
  size_t position = 0;
  hf_json member = {NULL, 0, HF_JSON_NULL}, value = {NULL, 0, HF_JSON_NULL};
  while (hf_json_next(object, &position, &member, &value) == 1) {
    if (hf_json_string_equals(&member, name, name_bytes)) {
      *ret_value = value; /* of several, the last one stays */
      found = 1;
    }
  }
  return found;
}

int hf_json_member(const hf_json *object, const char *name, hf_json *ret_value) {
  return find_member(object, name, strlen(name), ret_value);
}

/* ---- JSON Pointer ---- */

static int check_pointer(const char *pointer, hf_error *reterr) {
  if (pointer[0] != '\0' && pointer[0] != '/')
    return hf_err(reterr, HF_EINVAL, pointer,
                  "a JSON Pointer is empty or begins with '/', as in /metrics/accuracy");
  for (const char *p = pointer; (p = strchr(p, '~')) != NULL; p++)
    if (p[1] != '0' && p[1] != '1')
      return hf_err(reterr, HF_EINVAL, pointer,
                    "'~' in a JSON Pointer is written ~0, and '/' in a name ~1");
  if (!hf_utf8_valid(pointer, strlen(pointer)))
    return hf_err(reterr, HF_EINVAL, NULL, "the JSON Pointer is not UTF-8");
  return HF_OK;
}

/* "0", or digits without a zero before them. */
static int parse_index(const char *token, size_t bytes, size_t *ret_index) {
  if (bytes == 0 || (token[0] == '0' && bytes > 1))
    return 0;
  size_t index = 0;
  for (size_t i = 0; i < bytes; i++) {
    if (!hf_scan_is_digit(token[i]) || index > (SIZE_MAX - 9) / 10)
      return 0;
    index = index * 10 + (size_t)(token[i] - '0');
  }
  *ret_index = index;
  return 1;
}

static int find_element(const hf_json *array, const char *token, size_t bytes, hf_json *ret_value) {
  size_t index = 0, position = 0;
  hf_json value = {NULL, 0, HF_JSON_NULL};
  if (!parse_index(token, bytes, &index))
    return 0;
  for (size_t i = 0; hf_json_next(array, &position, NULL, &value) == 1; i++) {
    if (i == index) {
      *ret_value = value;
      return 1;
    }
  }
  return 0;
}

static int find_step(const hf_json *from, const char *token, size_t bytes, hf_json *ret_value,
                     hf_error *reterr) {
  if (from->type == HF_JSON_ARRAY)
    return find_element(from, token, bytes, ret_value);
  if (from->type != HF_JSON_OBJECT)
    return 0;
  if (memchr(token, '~', bytes) == NULL)
    return find_member(from, token, bytes, ret_value);
  hf_autobuf name = {0};
  for (size_t i = 0; i < bytes; i++) {
    int escaped = token[i] == '~';
    i += (size_t)escaped;
    (void)hf_buf_add_char(&name, !escaped ? token[i] : token[i] == '0' ? '~' : '/');
  }
  if (name.failed != 0)
    return hf_err_nomem(reterr);
  return find_member(from, name.data, name.used, ret_value);
}

int hf_json_find(const hf_json *root, const char *pointer, hf_json *ret_value, hf_error *reterr) {
  int status = check_pointer(pointer, reterr);
  if (status < 0)
    return status;
  hf_json value = *root;
  while (*pointer == '/') {
    const char *token = pointer + 1;
    size_t bytes = strcspn(token, "/");
    hf_json from = value;
    int found = find_step(&from, token, bytes, &value, reterr);
    if (found != 1)
      return found;
    pointer = token + bytes;
  }
  *ret_value = value;
  return 1;
}

int hf_json_pointer(const char *text, size_t text_bytes, const char *pointer,
                    const char **ret_value, size_t *ret_bytes, hf_error *reterr) {
  if (text == NULL || pointer == NULL || ret_value == NULL || ret_bytes == NULL)
    return hf_err(reterr, HF_EINVAL, NULL,
                  "hf_json_pointer needs a text, a pointer and places "
                  "for the result; one of them is NULL");
  int status = hf_json_check(text, text_bytes, 0, UINT_MAX, NULL, NULL, reterr);
  if (status < 0)
    return status;
  hf_json root = hf_json_value(text, text_bytes), value = {NULL, 0, HF_JSON_NULL};
  int found = hf_json_find(&root, pointer, &value, reterr);
  if (found == 1) {
    *ret_value = value.text;
    *ret_bytes = value.bytes;
  }
  return found;
}

int hf_json_uint64(const hf_json *number, uint64_t *ret_value) {
  if (number->type != HF_JSON_NUMBER || number->bytes == 0)
    return -1;
  uint64_t value = 0;
  for (size_t i = 0; i < number->bytes; i++) {
    if (!hf_scan_is_digit(number->text[i]))
      return -1;
    unsigned digit = (unsigned)(number->text[i] - '0');
    if (value > (UINT64_MAX - digit) / 10)
      return -1;
    value = value * 10 + digit;
  }
  *ret_value = value;
  return 0;
}
