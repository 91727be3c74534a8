/* A JSON number by its digits: it never becomes a double. */
#ifndef HF_BASE_JSON_NUMBER_H
#define HF_BASE_JSON_NUMBER_H

#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum { HF_NUMBER_EXPONENT_DIGITS_MAX = 17 /* more do not fit safely into an int64_t */ };

/* A number is 0.DIGITS * 10^point, where DIGITS neither begins nor ends with 0. */
typedef struct hf_number {
  int negative;
  const char *whole; /* the digits before the decimal point */
  size_t whole_count;
  const char *fraction;
  size_t fraction_count;
  int exponent_negative;
  const char *exponent; /* without zeros before it */
  size_t exponent_count;
  size_t first; /* the first digit that is not 0, counted from whole's first */
  size_t count; /* of digits from there to the last that is not 0; 0: the number is 0 */
} hf_number;

/* Of a text that hf_json_check has accepted; points into it. */
hf_number hf_number_split(const char *p, const char *end);

/* The digit at place i of whole and fraction. */
static inline char hf_number_digit(const hf_number *n, size_t i) {
  return i < n->whole_count ? n->whole[i] : n->fraction[i - n->whole_count];
}

/* 1: the exponent is text only; hf_number_point cannot tell it. */
static inline int hf_number_is_far(const hf_number *n) {
  return n->exponent_count > HF_NUMBER_EXPONENT_DIGITS_MAX;
}

/* point, without the exponent that is written. */
static inline int64_t hf_number_shift(const hf_number *n) {
  return (int64_t)n->whole_count - (int64_t)n->first;
}

static inline int64_t hf_number_point(const hf_number *n) {
  int64_t exponent = 0;
  for (size_t i = 0; i < n->exponent_count; i++)
    exponent = exponent * 10 + (n->exponent[i] - '0');
  return hf_number_shift(n) + (n->exponent_negative ? -exponent : exponent);
}

/* Appends the decimal number of `digits`, plus `delta`, whose size is far smaller. */
void hf_number_add_sum(hf_buf *out, const char *digits, size_t count, int64_t delta);

#endif
