/* JSON texts, strictly by RFC 8259, without ever turning a number into a double.
 *
 * cJSON is used for what people configure; it is not used for documents: it lets through 01, 1.,
 * +1, control characters in strings and broken UTF-8, and it prints another number than it read.
 * Here a document stays a text: checked, stripped of insignificant white space, and looked into by
 * offsets. */
#ifndef HF_BASE_JSON_H
#define HF_BASE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/error.h>

#include "buf.h"

typedef enum hf_json_type {
  HF_JSON_NULL,
  HF_JSON_FALSE,
  HF_JSON_TRUE,
  HF_JSON_NUMBER,
  HF_JSON_STRING,
  HF_JSON_ARRAY,
  HF_JSON_OBJECT
} hf_json_type;

/* A piece of a text. For strings: with the quotation marks. Not NUL-terminated. */
typedef struct hf_json {
  const char *text;
  size_t bytes;
  hf_json_type type;
} hf_json;

enum hf_json_flags {
  HF_JSON_OBJECT_ONLY = 1, /* the text must be an object */
  HF_JSON_NAN_TO_NULL =
      2 /* NaN, Infinity, -Infinity, as Python prints them, become null: counted */
};

/* Checks one whole JSON text (nothing but white space around it) and appends it, without
 * insignificant white space and otherwise byte by byte, to out (which may be NULL: check only).
 * nesting_max: containers inside one another. Strict: RFC 8259 grammar; UTF-8 well-formed (no
 * surrogates, nothing above U+10FFFF, no overlong form); no byte order mark; no NUL bytes; \u
 * escapes may stand for any code unit (lone surrogates too: the grammar allows them). Members that
 * stand twice are kept. Without HF_JSON_NAN_TO_NULL the error for NaN says that it is not JSON, and
 * where. Iterative: a text nested deeply uses no more stack. ret_nan_count may be NULL.
 *
 * Errors (out is as it was, but for out->failed): HF_EDOC (place "line L, column C" (both from 1,
 * column in bytes), sys_errno 0; message with what was found and what was expected), HF_ELIMIT
 * (nesting, with its place; out->bytes_max), HF_ENOMEM. */
int hf_json_check(const char *text, size_t bytes, unsigned flags, unsigned nesting_max, hf_buf *out,
                  uint64_t *ret_nan_count, hf_error *reterr);

/* ---- looking into a text that hf_json_check has accepted ----
 * (white space between tokens is still allowed) */

/* The whole value at text. */
hf_json hf_json_value(const char *text, size_t bytes);

/* Walks an object's members or an array's elements. Start with *position = 0. name (objects only)
 * gets the raw name with its quotation marks. 1, or 0 at the end. */
int hf_json_next(const hf_json *container, size_t *position, hf_json *ret_name, hf_json *ret_value);

/* The member of this (decoded) name; of several, the last. 1 or 0. */
int hf_json_member(const hf_json *object, const char *name, hf_json *ret_value);

/* JSON Pointer (RFC 6901). 1, 0, or HF_EINVAL. */
int hf_json_find(const hf_json *root, const char *pointer, hf_json *ret_value, hf_error *reterr);

/* Appends a string's decoded bytes (UTF-8; a lone surrogate escape becomes U+FFFD; \u0000 a NUL
 * byte). */
int hf_json_decode_string(const hf_json *string, hf_buf *out);

/* 1 if the string, decoded, equals the count bytes. No allocation. */
int hf_json_string_equals(const hf_json *string, const char *bytes, size_t count);

/* A number without fraction and exponent that fits. 0 or -1. */
int hf_json_uint64(const hf_json *number, uint64_t *ret_value);

/* By value and exactly: -1, 0, 1 for a < b, a equal to b, a > b (1e400 < 1e401; 0.10 is 1e-1; -0 is
 * 0). */
int hf_json_number_compare(const hf_json *a, const hf_json *b);

/* Appends a - b, exactly, in the canonical form. 1; 0: it has more than 1,024 digits (nothing is
 * appended); HF_ENOMEM. */
int hf_json_number_subtract(const hf_json *a, const hf_json *b, hf_buf *out);

/* The nearest double, for percents and pictures; the largest where it is larger than that. Never
 * NaN. 0 where memory is out. */
double hf_json_number_double(const hf_json *number);

/* Appends "text" as a JSON string with quotation marks: escapes ", \ and control characters, keeps
 * everything else. The bytes must be well-formed UTF-8. */
int hf_json_add_string(hf_buf *out, const char *bytes, size_t count);

/* 1 if count bytes are well-formed UTF-8 (RFC 3629). */
int hf_utf8_valid(const char *bytes, size_t count);

/* Appends the canonical form (RFC 8785: members sorted by UTF-16 code units, shortest escapes, no
 * white space), except that numbers are exact decimals printed in the form of ECMAScript's
 * Number::toString and never become doubles: 9007199254740993 stays, 1e2 and 100.0 become 100, -0
 * becomes 0. Of a member that stands twice, the last one counts. So values that are equal have one
 * form. Lone surrogates are kept as lower-case \u escapes. */
int hf_json_canonical(const hf_json *value, hf_buf *out);

/* The same with each number as it is written: equal where the values are, and their numbers'
 * texts. */
int hf_json_canonical_spelled(const hf_json *value, hf_buf *out);

#endif
