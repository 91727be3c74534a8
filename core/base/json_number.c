/* Numbers in their canonical form, by their digits: a number never becomes a double. */
#include "json_number.h"

#include <stdlib.h>
#include <string.h>

#include "json_scan.h"

#include "banned.h"

enum {
  POINT_MAX = 21, /* ECMAScript: up to 21 digits before the point without an exponent ... */
  POINT_MIN = -6  /* ... and up to 6 zeros behind it */
};

static const char *take_digits(const char *p, const char *end, const char **ret_digits,
                               size_t *ret_count) {
  *ret_digits = p;
  while (p < end && hf_scan_is_digit(*p))
    p++;
  *ret_count = (size_t)(p - *ret_digits);
  return p;
}

hf_number hf_number_split(const char *p, const char *end) {
  hf_number n = {0};
  n.negative = p < end && *p == '-';
  p = take_digits(p + n.negative, end, &n.whole, &n.whole_count);
  if (p < end && *p == '.')
    p = take_digits(p + 1, end, &n.fraction, &n.fraction_count);
  if (p < end && (*p | 0x20) == 'e') {
    p++;
    n.exponent_negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+'))
      p++;
    while (p < end && *p == '0')
      p++;
    (void)take_digits(p, end, &n.exponent, &n.exponent_count);
  }
  size_t all = n.whole_count + n.fraction_count;
  while (n.first < all && hf_number_digit(&n, n.first) == '0')
    n.first++;
  while (all > n.first && hf_number_digit(&n, all - 1) == '0')
    all--;
  n.count = all - n.first;
  return n;
}

/* Appends `count` of the digits, from the one numbered `from` on. */
static void add_digits(hf_buf *out, const hf_number *n, size_t from, size_t count) {
  size_t at = n->first + from;
  if (at < n->whole_count) {
    size_t here = n->whole_count - at < count ? n->whole_count - at : count;
    (void)hf_buf_add(out, n->whole + at, here);
    at += here;
    count -= here;
  }
  if (count > 0)
    (void)hf_buf_add(out, n->fraction + (at - n->whole_count), count);
}

static void add_zeros(hf_buf *out, int64_t count) {
  for (; count > 0; count--)
    (void)hf_buf_add_char(out, '0');
}

static void add_plain(hf_buf *out, const hf_number *n, int64_t point) {
  int64_t count = (int64_t)n->count;
  if (point <= 0) {
    (void)hf_buf_add_text(out, "0.");
    add_zeros(out, -point);
    add_digits(out, n, 0, n->count);
  } else if (count <= point) {
    add_digits(out, n, 0, n->count);
    add_zeros(out, point - count);
  } else {
    add_digits(out, n, 0, (size_t)point);
    (void)hf_buf_add_char(out, '.');
    add_digits(out, n, (size_t)point, n->count - (size_t)point);
  }
}

void hf_number_add_sum(hf_buf *out, const char *digits, size_t count, int64_t delta) {
  size_t begin = out->used;
  (void)hf_buf_add_char(out, '0'); /* for a carry */
  (void)hf_buf_add(out, digits, count);
  if (out->failed != 0)
    return;
  int64_t carry = delta;
  for (size_t i = out->used; i > begin && carry != 0; i--) {
    int64_t sum = out->data[i - 1] - '0' + carry;
    int64_t digit = sum % 10;
    if (digit < 0)
      digit += 10;
    carry = (sum - digit) / 10;
    out->data[i - 1] = (char)('0' + digit);
  }
  size_t zeros = 0;
  while (begin + zeros + 1 < out->used && out->data[begin + zeros] == '0')
    zeros++;
  memmove(out->data + begin, out->data + begin + zeros, out->used - begin - zeros + 1);
  out->used -= zeros;
}

static void add_mantissa(hf_buf *out, const hf_number *n) {
  add_digits(out, n, 0, 1);
  if (n->count > 1) {
    (void)hf_buf_add_char(out, '.');
    add_digits(out, n, 1, n->count - 1);
  }
}

/* A whole number as most are is canonical as it stands. */
static int is_plain_integer(const char *text, size_t bytes) {
  size_t sign = bytes > 0 && text[0] == '-';
  if (bytes == sign || bytes - sign > POINT_MAX || text[sign] == '0')
    return 0;
  for (size_t i = sign; i < bytes; i++)
    if (!hf_scan_is_digit(text[i]))
      return 0;
  return 1;
}

int hf_json_add_canonical_number(hf_buf *out, const char *text, size_t bytes) {
  if (is_plain_integer(text, bytes))
    return hf_buf_add(out, text, bytes);
  hf_number n = hf_number_split(text, text + bytes);
  if (n.count == 0)
    return hf_buf_add_char(out, '0');
  if (n.negative)
    (void)hf_buf_add_char(out, '-');

  if (hf_number_is_far(&n)) {
    int64_t shift = hf_number_shift(&n);
    add_mantissa(out, &n);
    (void)hf_buf_add_text(out, n.exponent_negative ? "e-" : "e+");
    hf_number_add_sum(out, n.exponent, n.exponent_count,
                      n.exponent_negative ? 1 - shift : shift - 1);
    return out->failed;
  }
  int64_t point = hf_number_point(&n);
  if (point > POINT_MIN && point <= POINT_MAX) {
    add_plain(out, &n, point);
    return out->failed;
  }
  add_mantissa(out, &n);
  int64_t shown = point - 1;
  return hf_buf_printf(out, "e%c%lld", shown < 0 ? '-' : '+', llabs((long long)shown));
}
