/* Strings: UTF-8, escapes, comparison. */
#include "json_scan.h"

#include <string.h>

#include "banned.h"

int hf_utf8_valid(const char *bytes, size_t count) {
  const char *end = bytes + count;
  for (const char *p = bytes; p < end;) {
    if (end - p >= 8 && (hf_scan_load(p) & HF_SCAN_HIGH) == 0) {
      p += 8;
      continue;
    }
    size_t length = hf_scan_utf8(p, end);
    if (length == 0)
      return 0;
    p += length;
  }
  return 1;
}

size_t hf_utf8_put(uint32_t character, char bytes[4]) {
  if (character < 0x80) {
    bytes[0] = (char)character;
    return 1;
  }
  if (character < 0x800) {
    bytes[0] = (char)(0xc0 | character >> 6);
    bytes[1] = (char)(0x80 | (character & 0x3f));
    return 2;
  }
  if (character < 0x10000) {
    bytes[0] = (char)(0xe0 | character >> 12);
    bytes[1] = (char)(0x80 | (character >> 6 & 0x3f));
    bytes[2] = (char)(0x80 | (character & 0x3f));
    return 3;
  }
  bytes[0] = (char)(0xf0 | character >> 18);
  bytes[1] = (char)(0x80 | (character >> 12 & 0x3f));
  bytes[2] = (char)(0x80 | (character >> 6 & 0x3f));
  bytes[3] = (char)(0x80 | (character & 0x3f));
  return 4;
}

/* The code unit of the \uXXXX at p, or -1 where there is none. */
static int32_t unit_at(const char *p, const char *end) {
  if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
    return -1;
  int32_t unit = 0;
  for (int i = 2; i < 6; i++) {
    int digit = hf_scan_hex_digit(p[i]);
    if (digit < 0)
      return -1;
    unit = unit << 4 | digit;
  }
  return unit;
}

uint32_t hf_json_take_escape(const char **at, const char *end) {
  static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
  const char *p = *at;
  int32_t unit = unit_at(p, end);
  if (unit < 0) { /* two characters; the bound is for texts that were not checked */
    *at = end - p >= 2 ? p + 2 : end;
    char c = end - p >= 2 ? p[1] : '\\';
    const char *known = memchr(from, c, sizeof from - 1);
    return known != NULL ? (unsigned char)to[known - from] : (unsigned char)c;
  }
  *at = p + 6;
  if (unit < 0xd800 || unit > 0xdbff)
    return (uint32_t)unit;
  int32_t low = unit_at(p + 6, end);
  if (low < 0xdc00 || low > 0xdfff)
    return (uint32_t)unit;
  *at = p + 12;
  return 0x10000 + (((uint32_t)unit - 0xd800) << 10) + ((uint32_t)low - 0xdc00);
}

/* The bytes that an escape stands for. */
static size_t decode_escape(const char **at, const char *end, char bytes[4]) {
  uint32_t character = hf_json_take_escape(at, end);
  return hf_utf8_put(hf_json_is_surrogate(character) ? 0xfffd : character, bytes);
}

static void inside(const hf_json *string, const char **ret_begin, const char **ret_end) {
  int quoted = string->type == HF_JSON_STRING && string->bytes >= 2;
  *ret_begin = string->text + (quoted ? 1 : 0);
  *ret_end = quoted ? string->text + string->bytes - 1 : *ret_begin;
}

static const char *next_escape(const char *p, const char *end) {
  const char *escape = p < end ? memchr(p, '\\', (size_t)(end - p)) : NULL;
  return escape != NULL ? escape : end;
}

int hf_json_decode_string(const hf_json *string, hf_buf *out) {
  const char *p = NULL, *end = NULL;
  inside(string, &p, &end);
  for (;;) {
    const char *escape = next_escape(p, end);
    (void)hf_buf_add(out, p, (size_t)(escape - p));
    if (escape == end)
      return out->failed;
    p = escape;
    char bytes[4];
    size_t count = decode_escape(&p, end, bytes);
    (void)hf_buf_add(out, bytes, count);
  }
}

int hf_json_string_equals(const hf_json *string, const char *bytes, size_t count) {
  const char *p = NULL, *end = NULL;
  inside(string, &p, &end);
  if ((size_t)(end - p) < count) /* an escape is never shorter than what it stands for */
    return 0;
  for (;;) {
    const char *escape = next_escape(p, end);
    size_t run = (size_t)(escape - p);
    if (run > count || (run > 0 && memcmp(p, bytes, run) != 0))
      return 0;
    bytes += run;
    count -= run;
    if (escape == end)
      return count == 0;
    p = escape;
    char decoded[4];
    size_t decoded_count = decode_escape(&p, end, decoded);
    if (decoded_count > count || memcmp(decoded, bytes, decoded_count) != 0)
      return 0;
    bytes += decoded_count;
    count -= decoded_count;
  }
}

int hf_json_add_escape(hf_buf *out, unsigned char c) {
  static const char from[] = "\b\f\n\r\t\"\\", to[] = "bfnrt\"\\";
  const char *known = memchr(from, c, sizeof from - 1);
  if (known == NULL)
    return hf_buf_printf(out, "\\u%04x", (unsigned)c);
  char escape[2] = {'\\', to[known - from]};
  return hf_buf_add(out, escape, sizeof escape);
}

int hf_json_add_string(hf_buf *out, const char *bytes, size_t count) {
  (void)hf_buf_add_char(out, '"');
  const char *run = bytes, *end = bytes + count;
  for (const char *p = run; p < end;) {
    p = hf_scan_plain(p, end);
    if (p < end && (unsigned char)*p < 0x80) {
      (void)hf_buf_add(out, run, (size_t)(p - run));
      (void)hf_json_add_escape(out, (unsigned char)*p);
      run = p + 1;
    }
    if (p < end)
      p++;
  }
  if (run < end)
    (void)hf_buf_add(out, run, (size_t)(end - run));
  return hf_buf_add_char(out, '"');
}
