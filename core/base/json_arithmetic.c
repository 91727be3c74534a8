/* Numbers compared and subtracted by their digits. */
#include <float.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/holdfast.h>

#include "err.h"
#include "json.h"
#include "json_number.h"
#include "json_scan.h"

#include "banned.h"

static int order(int64_t a, int64_t b) {
  return (a > b) - (a < b);
}

/* Two exponents of which at least one is text only. One of a digit more still fits. */
static int compare_far(const hf_number *a, const hf_number *b) {
  int a_side = hf_number_is_far(a) ? (a->exponent_negative ? -1 : 1) : 0;
  int b_side = hf_number_is_far(b) ? (b->exponent_negative ? -1 : 1) : 0;
  if (a->exponent_count <= HF_NUMBER_EXPONENT_DIGITS_MAX + 1 &&
      b->exponent_count <= HF_NUMBER_EXPONENT_DIGITS_MAX + 1)
    return order(hf_number_point(a), hf_number_point(b));
  if (a_side != b_side)
    return order(a_side, b_side);
  hf_autobuf a_text = {0};
  hf_autobuf b_text = {0};
  hf_number_add_sum(&a_text, a->exponent, a->exponent_count, a_side * hf_number_shift(a));
  hf_number_add_sum(&b_text, b->exponent, b->exponent_count, b_side * hf_number_shift(b));
  if (a_text.failed != 0 || b_text.failed != 0 || a_text.used != b_text.used)
    return a_side * order((int64_t)a_text.used, (int64_t)b_text.used);
  return a_side * order(memcmp(a_text.data, b_text.data, a_text.used), 0);
}

static char significant(const hf_number *n, size_t i) {
  return i < n->count ? hf_number_digit(n, n->first + i) : '0';
}

static int compare_sizes(const hf_number *a, const hf_number *b) {
  int points = hf_number_is_far(a) || hf_number_is_far(b)
                   ? compare_far(a, b)
                   : order(hf_number_point(a), hf_number_point(b));
  if (points != 0)
    return points;
  size_t count = a->count > b->count ? a->count : b->count;
  for (size_t i = 0; i < count; i++)
    if (significant(a, i) != significant(b, i))
      return significant(a, i) < significant(b, i) ? -1 : 1;
  return 0;
}

static int sign(const hf_number *n) {
  return n->count == 0 ? 0 : n->negative ? -1 : 1;
}

int hf_json_number_compare(const hf_json *a, const hf_json *b) {
  hf_number x = hf_number_split(a->text, a->text + a->bytes);
  hf_number y = hf_number_split(b->text, b->text + b->bytes);
  if (sign(&x) != sign(&y) || sign(&x) == 0)
    return order(sign(&x), sign(&y));
  return sign(&x) * compare_sizes(&x, &y);
}

enum { SPAN_MAX = 1024 /* digits of a difference */ };

/* The digits of n from 10^(top-1) down to 10^bottom. */
static void align(const hf_number *n, int64_t top, int64_t count, signed char *digits) {
  int64_t skipped = n->count == 0 ? count : top - hf_number_point(n);
  for (int64_t i = 0; i < count; i++)
    digits[i] = i < skipped ? 0 : (signed char)(significant(n, (size_t)(i - skipped)) - '0');
}

static int add_digits_of(hf_buf *out, const signed char *digits, int64_t count, int64_t bottom,
                         int negative) {
  hf_autobuf text = {0};
  if (negative)
    (void)hf_buf_add_char(&text, '-');
  for (int64_t i = 0; i < count; i++)
    (void)hf_buf_add_char(&text, (char)('0' + digits[i]));
  (void)hf_buf_printf(&text, "e%lld", (long long)bottom);
  if (text.failed != 0 || hf_json_add_canonical_number(out, text.data, text.used) != 0)
    return HF_ENOMEM;
  return 1;
}

/* larger + sign * smaller; neither is far away. */
static int add_sum_of(const hf_number *larger, const hf_number *smaller, int subtract, int negative,
                      hf_buf *out) {
  int64_t top = hf_number_point(larger);
  int64_t bottom = top - (int64_t)larger->count;
  int64_t other = hf_number_point(smaller) - (int64_t)smaller->count;
  if (smaller->count > 0 && other < bottom)
    bottom = other;
  if (top - bottom > SPAN_MAX)
    return 0;
  int64_t count = ++top - bottom; /* a place for a carry */
  signed char a[SPAN_MAX + 1];
  signed char b[SPAN_MAX + 1];
  align(larger, top, count, a);
  align(smaller, top, count, b);
  int carry = 0;
  for (int64_t i = count - 1; i >= 0; i--) {
    int digit = a[i] + (subtract ? -b[i] : b[i]) + carry;
    carry = digit < 0 ? -1 : digit > 9;
    a[i] = (signed char)(digit - carry * 10);
  }
  return add_digits_of(out, a, count, bottom, negative);
}

int hf_json_number_subtract(const hf_json *a, const hf_json *b, hf_buf *out) {
  hf_number x = hf_number_split(a->text, a->text + a->bytes);
  hf_number y = hf_number_split(b->text, b->text + b->bytes);
  if (hf_number_is_far(&x) || hf_number_is_far(&y))
    return 0;
  y.negative = !y.negative; /* x + y from here on */
  if (x.count == 0 && y.count == 0)
    return hf_buf_add_char(out, '0') == 0 ? 1 : HF_ENOMEM;
  int swap = x.count == 0 || (y.count != 0 && compare_sizes(&x, &y) < 0);
  const hf_number *larger = swap ? &y : &x;
  const hf_number *smaller = swap ? &x : &y;
  int subtract = smaller->count != 0 && larger->negative != smaller->negative;
  return add_sum_of(larger, smaller, subtract, larger->negative, out);
}

double hf_json_number_double(const hf_json *number) {
  hf_autobuf text = {0};
  locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
  double value = 0;
  if (plain != (locale_t)0 && hf_buf_add(&text, number->text, number->bytes) == 0)
    value = strtod_l(text.data, NULL, plain);
  if (plain != (locale_t)0)
    freelocale(plain);
  return value > DBL_MAX ? DBL_MAX : value < -DBL_MAX ? -DBL_MAX : value;
}

/* ---- for users of the library ---- */

static int as_number(const char *text, size_t bytes, hf_json *ret_number, hf_error *reterr) {
  if (hf_json_check(text, bytes, 0, 1, NULL, NULL, NULL) == HF_OK) {
    *ret_number = hf_json_value(text, bytes);
    if (ret_number->type == HF_JSON_NUMBER)
      return HF_OK;
  }
  return hf_err(reterr, HF_EINVAL, "", "'%.*s' is no JSON number", (int)(bytes < 64 ? bytes : 64),
                text);
}

int hf_number_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes, int *ret_order,
                      hf_error *reterr) {
  hf_json x;
  hf_json y;
  int status = as_number(a, a_bytes, &x, reterr);
  if (status == HF_OK)
    status = as_number(b, b_bytes, &y, reterr);
  if (status == HF_OK)
    *ret_order = hf_json_number_compare(&x, &y);
  return status;
}

int hf_number_subtract(const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                       char **ret_difference, hf_error *reterr) {
  hf_json x;
  hf_json y;
  hf_autobuf text = {0};
  int status = as_number(a, a_bytes, &x, reterr);
  if (status == HF_OK)
    status = as_number(b, b_bytes, &y, reterr);
  if (status != HF_OK)
    return status;
  int got = hf_json_number_subtract(&x, &y, &text);
  if (got < 0)
    return hf_err_nomem(reterr);
  if (got == 1)
    *ret_difference = hf_buf_take(&text);
  return got;
}
