/* The rules of a comparison: by which patterns a value is left out, a list is a set, two numbers
 * may lie apart, a change is grave. include/holdfast/diff.h tells what a pattern is.
 *
 * diff_rules.c has the built-in ones and prints what is in force, diff_pattern.c matches, and
 * config_compare.c reads those of a configuration. */
#ifndef HF_CORE_DIFF_RULES_H
#define HF_CORE_DIFF_RULES_H

#include <stddef.h>

#include <holdfast/diff.h>

#include "buf.h"
#include "json.h"

enum {
  HF_COMPARE_PATTERNS_MAX = 1024, /* in one list of a configuration */
  HF_COMPARE_PATTERN_BYTES_MAX = 1024,
  HF_COMPARE_TOLERANCE_BYTES_MAX = 64,
};

#define HF_COMPARE_TOLERANCE_DEFAULT "0.000001"

typedef enum hf_rule_kind {
  HF_RULE_LEAVE_OUT, /* is: 1 leave out, 0 keep */
  HF_RULE_SET,       /* is: 1 a set, 0 a list */
  HF_RULE_TOLERANCE, /* tolerance: a JSON number */
  HF_RULE_SEVERITY   /* is: a hf_severity */
} hf_rule_kind;

enum { HF_RULE_KINDS = 4 };

typedef struct hf_rule {
  const char *pattern;
  int is;
  const char *tolerance;
} hf_rule;

/* What a configuration says. The strings are its own. Zero-initialised: nothing. */
typedef struct hf_compare {
  int no_defaults;
  char *tolerance; /* NULL: the default */
  hf_rule *rules[HF_RULE_KINDS];
  size_t counts[HF_RULE_KINDS];
} hf_compare;

void hf_compare_free(hf_compare *compare);

/* Reads the object "compare" (text that hf_json_check has accepted). place: the file, for errors.
 * Errors: HF_ECONFIG, HF_ENOMEM; compare is then to be freed all the same. */
int hf_compare_parse(hf_compare *compare, const char *place, const hf_json *object,
                     hf_error *reterr);

/* ---- all that are in force: the configuration's, and behind them the built-in ones ---- */

typedef struct hf_rule_list {
  const hf_rule *own;
  size_t own_count;
  const hf_rule *built_in;
  size_t built_in_count;
} hf_rule_list;

typedef struct hf_rules {
  hf_rule_list lists[HF_RULE_KINDS];
  const char *tolerance;
  int can_keep; /* some rule keeps what another leaves out */
} hf_rules;

/* compare may be NULL. The rules point into it. */
void hf_rules_of(const hf_compare *compare, hf_rules *ret_rules);

static inline size_t hf_rules_count(const hf_rule_list *list) {
  return list->own_count + list->built_in_count;
}

static inline const hf_rule *hf_rules_at(const hf_rule_list *list, size_t index) {
  return index < list->own_count ? &list->own[index] : &list->built_in[index - list->own_count];
}

/* ---- patterns ---- */

/* One name of the place where a value stands: a member's, decoded, or an element's index. */
typedef struct hf_name {
  const char *text; /* not NUL-terminated */
  size_t bytes;
} hf_name;

/* Does the pattern name the place at the end of these names (0 of them: the whole document)? 1 or
 * 0. The pattern has no fault. */
int hf_pattern_matches(const char *pattern, const hf_name *names, size_t count);

/* What is wrong with a pattern, or NULL. Static. */
const char *hf_pattern_fault(const char *pattern, size_t bytes);

#endif
