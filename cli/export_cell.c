#include "export_cell.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  DIGITS_MAX = 17,     /* of a decimal that a double can give back */
  DIGITS_SAFE = 15,    /* every decimal of so many survives, in the middle of the range */
  EXPONENT_SAFE = 290, /* "the middle": no overflow, nothing subnormal */
  EXPONENT_MAX = 100000
};

/* A number's digits without zeros at either end: 0.d1d2d3... times ten to the exponent. */
typedef struct decimal {
  char digits[DIGITS_MAX + 1];
  int count; /* DIGITS_MAX + 1: more of them */
  int64_t exponent;
  int is_integer; /* no fraction, no exponent in the text */
  int is_negative;
} decimal;

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static void add_digit(decimal *to, char c, int *zeros) {
  if (c == '0') {
    ++*zeros;
    return;
  }
  if (to->count == 0)
    *zeros = 0; /* those in front do not count */
  for (; *zeros > 0 && to->count <= DIGITS_MAX; --*zeros)
    to->digits[to->count++] = '0';
  *zeros = 0;
  if (to->count <= DIGITS_MAX)
    to->digits[to->count++] = c;
}

static void take_apart(const char *text, size_t bytes, decimal *ret) {
  const char *end = text + bytes;
  const char *p = text;
  int64_t places = 0; /* digits before the point, without zeros in front */
  int64_t exponent = 0;
  int zeros = 0;
  memset(ret, 0, sizeof *ret);
  ret->is_negative = p < end && *p == '-';
  ret->is_integer = 1;
  for (p += ret->is_negative; p < end && is_digit(*p); p++) {
    add_digit(ret, *p, &zeros);
    places += ret->count > 0;
  }
  if (p < end && *p == '.') {
    ret->is_integer = 0;
    for (p++; p < end && is_digit(*p); p++) {
      add_digit(ret, *p, &zeros);
      places -= ret->count == 0;
    }
  }
  if (p < end && (*p == 'e' || *p == 'E')) {
    ret->is_integer = 0;
    p++;
    int negative = p < end && *p == '-';
    p += p < end && (*p == '-' || *p == '+');
    for (; p < end && is_digit(*p); p++)
      exponent = exponent < EXPONENT_MAX ? exponent * 10 + (*p - '0') : exponent;
    exponent = negative ? -exponent : exponent;
  }
  ret->exponent = ret->count > 0 ? places + exponent : 0;
}

/* -0 is no integer: it would lose its sign. */
static int to_integer(const decimal *of, const char *text, size_t bytes, int64_t *ret_value) {
  uint64_t value = 0;
  uint64_t limit = (uint64_t)INT64_MAX + (of->is_negative ? 1 : 0);
  if (!of->is_integer || (of->is_negative && of->count == 0))
    return 0;
  for (size_t i = of->is_negative ? 1 : 0; i < bytes; i++) {
    uint64_t digit = (uint64_t)(text[i] - '0');
    if (value > (limit - digit) / 10)
      return 0;
    value = value * 10 + digit;
  }
  *ret_value = of->is_negative ? (int64_t)(0 - value) : (int64_t)value;
  return 1;
}

/* Does the nearest double, printed with as many digits, give the decimal back? */
static int survives(const decimal *of, const char *text) {
  char printed[DIGITS_MAX + 32];
  decimal again;
  if (of->count > DIGITS_MAX)
    return 0;
  if (of->count == 0 ||
      (of->count <= DIGITS_SAFE && of->exponent > -EXPONENT_SAFE && of->exponent < EXPONENT_SAFE))
    return 1;
  int written = snprintf(printed, sizeof printed, "%.*e", of->count - 1, strtod(text, NULL));
  if (written <= 0 || (size_t)written >= sizeof printed)
    return 0;
  take_apart(printed, (size_t)written, &again);
  return again.count == of->count && again.exponent == of->exponent &&
         again.is_negative == of->is_negative &&
         memcmp(again.digits, of->digits, (size_t)of->count) == 0;
}

static hf_cli_cell_type number_type(const hf_leaf *leaf) {
  decimal number;
  int64_t value = 0;
  take_apart(leaf->value, leaf->value_bytes, &number);
  if (to_integer(&number, leaf->value, leaf->value_bytes, &value))
    return HF_CLI_CELL_INTEGER;
  return survives(&number, leaf->value) ? HF_CLI_CELL_REAL : HF_CLI_CELL_TEXT;
}

int hf_cli_leaf_is_real(const hf_leaf *leaf) {
  decimal number;
  if (leaf->type != HF_LEAF_NUMBER)
    return 0;
  take_apart(leaf->value, leaf->value_bytes, &number);
  return survives(&number, leaf->value);
}

hf_cli_cell_type hf_cli_leaf_cell_type(const hf_leaf *leaf) {
  switch (leaf->type) {
  case HF_LEAF_NULL:
    return HF_CLI_CELL_NULL;
  case HF_LEAF_FALSE:
  case HF_LEAF_TRUE:
    return HF_CLI_CELL_BOOLEAN;
  case HF_LEAF_NUMBER:
    return number_type(leaf);
  case HF_LEAF_STRING:
    break;
  }
  return HF_CLI_CELL_TEXT;
}

static int text_cell(const hf_leaf *leaf, hf_cli_bytes *scratch, hf_cli_cell *ret_cell) {
  ret_cell->text = leaf->value;
  ret_cell->text_bytes = leaf->value_bytes;
  if (leaf->type != HF_LEAF_STRING)
    return 0;
  if (memchr(leaf->value, '\\', leaf->value_bytes) == NULL) {
    ret_cell->text = leaf->value + 1;
    ret_cell->text_bytes = leaf->value_bytes - 2;
    return 0;
  }
  scratch->used = 0;
  char *out = hf_cli_bytes_room(scratch, leaf->value_bytes);
  if (out == NULL)
    return -1;
  if (hf_leaf_text(leaf, out, &ret_cell->text_bytes) == 1)
    ret_cell->text = out;
  return 0;
}

int hf_cli_leaf_cell(const hf_leaf *leaf, hf_cli_cell_type type, hf_cli_bytes *scratch,
                     hf_cli_cell *ret_cell) {
  decimal number;
  memset(ret_cell, 0, sizeof *ret_cell);
  ret_cell->type = leaf->type == HF_LEAF_NULL ? HF_CLI_CELL_NULL : type;
  switch (ret_cell->type) {
  case HF_CLI_CELL_NULL:
    return 0;
  case HF_CLI_CELL_BOOLEAN:
    ret_cell->integer = leaf->type == HF_LEAF_TRUE;
    return 0;
  case HF_CLI_CELL_INTEGER:
    take_apart(leaf->value, leaf->value_bytes, &number);
    (void)to_integer(&number, leaf->value, leaf->value_bytes, &ret_cell->integer);
    return 0;
  case HF_CLI_CELL_REAL:
    ret_cell->real = strtod(leaf->value, NULL);
    return 0;
  case HF_CLI_CELL_TEXT:
    return text_cell(leaf, scratch, ret_cell);
  }
  return 0;
}
