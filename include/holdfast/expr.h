/* Holdfast: expressions over snapshots, and the places that they look at.
 *
 *     hf_expr_parse "/outputs/metrics/auc > 0.7 and stage == \"final\""
 *       hf_list with hf_list_options.where, or hf_expr_match for one record at a time
 *     hf_expr_free
 *
 * The grammar:
 *
 *     expression = conjunction { "or" conjunction }
 *     conjunction = term { "and" term }
 *     term       = "not" term | "(" expression ")" | "exists" place | place "exists"
 *                | operand comparison operand
 *     comparison = "==" | "!=" | "<" | "<=" | ">" | ">="
 *     operand    = place | JSON string | JSON number | "true" | "false" | "null"
 *     place      = pointer | "@" JSON string that holds a pointer | member
 *     pointer    = JSON Pointer (RFC 6901) into the document: /outputs/metrics/auc; it ends before
 * a blank or one of ( ) < > = ! , " and with any of these is written @"/a b/c" member     = "seq" |
 * "op" | "id" | "run_id" | "stage" | "group" | "dims" | "dims." name | "ts" | "at" | "time" |
 * "host" | "pid" | "sha256" | "size" | "current" | "legacy_seq" | "legacy_clock" of the envelope |
 * "retired" (the seq of the record that hides it) | "dropped" (that of the one by which gc dropped
 * its document); a name with blanks or with one of the characters above is written dims."a name"
 *
 * What a comparison answers:
 *  - Numbers are compared exactly, as decimals, never as doubles: 0.10 == 1e-1, and
 *    9007199254740993 > 9007199254740992.
 *  - Strings are compared by code points, case and all.
 *  - true, false, null, arrays and objects can only be equal or not; an object's members may stand
 *    in any order.
 *  - "time" is the snapshot's own time, "ts", or where it has none the time when it was saved,
 *    "at". These three are compared as instants, with a string that is a timestamp (RFC 3339, or
 *    what Python's isoformat() prints). A time without a zone is taken as UTC, wherever it was
 *    written.
 *  - Values of different types are not equal: == and the orders are false, != is true.
 *  - Where a side is absent every comparison is false, != as well: both sides have to be there. So
 *    /a != 1 and not /a == 1 differ by the snapshots that have no /a. "exists" asks for presence
 *    alone; null exists. Unlike SQL's NULL, JSON's null is a value like others: null == null.
 *
 * Threads: an expression and a field do not change; any number of threads may use one.
 */
#ifndef HOLDFAST_EXPR_H
#define HOLDFAST_EXPR_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/error.h>

#ifdef __cplusplus
extern "C" {
#endif

struct hf_record; /* holdfast/holdfast.h */

enum {
  HF_EXPR_BYTES_MAX = 64 * 1024, /* of an expression's text */
  HF_EXPR_NESTING_MAX = 100,     /* parentheses inside one another */
  HF_EXPR_NAMES_MAX = 512        /* different names in all pointers of one expression */
};

/* ---- expressions ----------------------------------------------------------------------------- */

typedef struct hf_expr hf_expr;

/* Reads an expression; bytes of text, which need not live on. The caller frees *ret_expr.
 * Errors: HF_EINVAL (place "column C", from 1, in characters; message: what was found there and
 * what was expected), HF_ELIMIT (one of the limits above), HF_ENOMEM. */
HF_API int hf_expr_parse(const char *text, size_t bytes, hf_expr **ret_expr, hf_error *reterr);

/* Frees *expr and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_expr_free(hf_expr **expr);

/* Adds a condition: expr becomes "(expr) and (text)". Before any other thread uses it. Errors: as
 * of hf_expr_parse; it then matches as before. */
HF_API int hf_expr_and(hf_expr *expr, const char *text, size_t bytes, hf_error *reterr);

/* Does the record match? 1, 0, or negative: HF_EINVAL (the expression looks into the document,
 * which is a blob, and the record was read without it), HF_EDAMAGED, HF_ENOMEM. */
HF_API int hf_expr_match(const hf_expr *expr, const struct hf_record *record, hf_error *reterr);

/* ---- fields: a place alone, for columns and sorting ------------------------------------------ */

typedef struct hf_field hf_field;

/* Reads the place that text (NUL-terminated) begins with; *ret_bytes gets how much of it that is,
 * and what stands behind is the caller's. ret_bytes NULL: nothing may stand behind. The caller
 * frees *ret_field. Errors: as of hf_expr_parse. */
HF_API int hf_field_parse(const char *text, size_t *ret_bytes, hf_field **ret_field,
                          hf_error *reterr);

/* Frees *field and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_field_free(hf_field **field);

/* Its name: the pointer or the member, without quotation marks and escapes. Lives as long as the
 * field. */
HF_API const char *hf_field_name(const hf_field *field);

/* Does it look into the document (hf_list_options.with_documents)? */
HF_API int hf_field_needs_document(const hf_field *field);

typedef enum hf_value_type {
  HF_VALUE_ABSENT,
  HF_VALUE_NULL,
  HF_VALUE_FALSE,
  HF_VALUE_TRUE,
  HF_VALUE_NUMBER,
  HF_VALUE_STRING,
  HF_VALUE_ARRAY,
  HF_VALUE_OBJECT
} hf_value_type;

/* A value that was found. Zero-initialise; the strings are owned by it. */
typedef struct hf_value {
  hf_value_type type;
  /* as JSON, verbatim where it is of the document; NUL-terminated; NULL where it is absent */
  char *json;
  size_t json_bytes;
  /* for people: a string without quotation marks and escapes (a NUL character as U+FFFD),
   * everything else as JSON; NULL where it is absent */
  char *text;
  int is_time; /* a string of the envelope that is a time, unix_us: microseconds since 1970, UTC */
  int64_t unix_us;
} hf_value;

/* The record's value at the field. 1, 0 (absent), or negative as of hf_expr_match. What ret_value
 * held is freed first. */
HF_API int hf_field_get(const hf_field *field, const struct hf_record *record, hf_value *ret_value,
                        hf_error *reterr);

/* The same for `count` fields at once, which is quicker: values[i] becomes that of fields[i].
 * HF_OK, or negative; the caller clears all of them then, too. */
HF_API int hf_field_get_all(hf_field *const *fields, size_t count, const struct hf_record *record,
                            hf_value *values, hf_error *reterr);

/* Frees what it holds, and makes it an absent one. */
HF_API void hf_value_clear(hf_value *value);

/* The order of values when sorting: -1, 0 or 1. First numbers, by their exact value, then times, as
 * instants, then everything else by its text; last null and what is absent. */
HF_API int hf_value_compare(const hf_value *a, const hf_value *b);

#ifdef __cplusplus
}
#endif
#endif
