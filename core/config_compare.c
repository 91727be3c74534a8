/* "compare" of a configuration: the user's own rules of a comparison. Read from the text itself: a
 * tolerance is an exact decimal, and the order of the rules counts. */
#include "diff_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "err.h"

#include "banned.h"

enum { WHERE_BYTES = 64 };

typedef struct reader {
  hf_compare *compare;
  const char *place;
  hf_error *reterr;
} reader;

static const char *type_name(hf_json_type type) {
  switch (type) {
  case HF_JSON_NULL:
    return "null";
  case HF_JSON_FALSE:
  case HF_JSON_TRUE:
    return "true or false";
  case HF_JSON_NUMBER:
    return "a number";
  case HF_JSON_STRING:
    return "a string";
  case HF_JSON_ARRAY:
    return "an array";
  case HF_JSON_OBJECT:
    return "an object";
  }
  return "";
}

static int wrong_type(const reader *r, const char *where, const hf_json *value,
                      const char *wanted) {
  return hf_err(r->reterr, HF_ECONFIG, r->place, "compare.%s must be %s, not %s", where, wanted,
                type_name(value->type));
}

/* A decoded string. The caller frees *ret_text. */
static int take_string(const reader *r, const hf_json *value, char **ret_text, size_t *ret_bytes) {
  hf_autobuf text = {0};
  if (hf_json_decode_string(value, &text) != 0)
    return hf_err_nomem(r->reterr);
  *ret_bytes = text.used;
  *ret_text = hf_buf_take(&text);
  return *ret_text != NULL ? HF_OK : hf_err_nomem(r->reterr);
}

static int take_pattern(const reader *r, const char *where, const hf_json *value,
                        char **ret_pattern) {
  if (value->type != HF_JSON_STRING)
    return wrong_type(r, where, value, "a pattern, a string");
  size_t bytes = 0;
  hf_autofree char *pattern = NULL;
  int status = take_string(r, value, &pattern, &bytes);
  if (status != HF_OK)
    return status;
  const char *fault = hf_pattern_fault(pattern, bytes);
  if (fault != NULL)
    return hf_err(r->reterr, HF_ECONFIG, r->place, "compare.%s: the pattern \"%.80s\" %s", where,
                  pattern, fault);
  *ret_pattern = hf_take(pattern);
  return HF_OK;
}

/* Takes pattern and tolerance over, also where it fails. */
static int add_rule(const reader *r, hf_rule_kind kind, const char *where, char *pattern, int is,
                    char *tolerance) {
  hf_autofree char *pattern_owned = pattern;
  hf_autofree char *tolerance_owned = tolerance;
  hf_compare *compare = r->compare;
  size_t count = compare->counts[kind];
  if (count == HF_COMPARE_PATTERNS_MAX)
    return hf_err(r->reterr, HF_ECONFIG, r->place, "compare.%s: more than %d patterns", where,
                  HF_COMPARE_PATTERNS_MAX);
  hf_rule *grown = realloc(compare->rules[kind], (count + 1) * sizeof *grown);
  if (grown == NULL)
    return hf_err_nomem(r->reterr);
  compare->rules[kind] = grown;
  grown[count] = (hf_rule){hf_take(pattern_owned), is, hf_take(tolerance_owned)};
  compare->counts[kind] = count + 1;
  return HF_OK;
}

static int take_patterns(const reader *r, hf_rule_kind kind, const char *name, const hf_json *list,
                         int is) {
  if (list->type != HF_JSON_ARRAY)
    return wrong_type(r, name, list, "an array of patterns");
  int status = HF_OK;
  size_t position = 0, i = 0;
  hf_json value;
  while (status == HF_OK && hf_json_next(list, &position, NULL, &value) == 1) {
    char where[WHERE_BYTES];
    char *pattern = NULL;
    (void)snprintf(where, sizeof where, "%s[%zu]", name, i++);
    status = take_pattern(r, where, &value, &pattern);
    if (status == HF_OK)
      status = add_rule(r, kind, name, pattern, is, NULL);
  }
  return status;
}

/* ---- tolerances and severities: {"pattern": ..., "tolerance": ...} ---- */

static int take_tolerance(const reader *r, const char *where, const hf_json *value,
                          char **ret_tolerance) {
  static const hf_json zero = {"0", 1, HF_JSON_NUMBER};
  if (value->type != HF_JSON_NUMBER)
    return wrong_type(r, where, value, "a number");
  if (hf_json_number_compare(value, &zero) < 0)
    return hf_err(r->reterr, HF_ECONFIG, r->place,
                  "compare.%s must be 0 (any difference counts) or more", where);
  if (value->bytes > HF_COMPARE_TOLERANCE_BYTES_MAX)
    return hf_err(r->reterr, HF_ECONFIG, r->place, "compare.%s has more than %d digits", where,
                  HF_COMPARE_TOLERANCE_BYTES_MAX);
  *ret_tolerance = strndup(value->text, value->bytes);
  return *ret_tolerance != NULL ? HF_OK : hf_err_nomem(r->reterr);
}

static int take_severity(const reader *r, const char *where, const hf_json *value, int *ret_is) {
  if (value->type != HF_JSON_STRING)
    return wrong_type(r, where, value, "\"critical\", \"major\", \"minor\" or \"none\"");
  size_t bytes = 0;
  hf_autofree char *name = NULL;
  hf_severity severity = HF_SEVERITY_NONE;
  int status = take_string(r, value, &name, &bytes);
  if (status != HF_OK)
    return status;
  if (!hf_severity_by_name(name, &severity))
    return hf_err(r->reterr, HF_ECONFIG, r->place,
                  "compare.%s: there is no severity \"%.32s\"; there are critical, major, minor, "
                  "none",
                  where, name);
  *ret_is = (int)severity;
  return HF_OK;
}

static int check_members(const reader *r, const char *where, const hf_json *object,
                         const char *const *names);

static int take_pair(const reader *r, hf_rule_kind kind, const char *where, const hf_json *pair) {
  static const char *const tolerance_names[] = {"pattern", "tolerance", NULL};
  static const char *const severity_names[] = {"pattern", "severity", NULL};
  const char *const *names = kind == HF_RULE_TOLERANCE ? tolerance_names : severity_names;
  if (pair->type != HF_JSON_OBJECT)
    return wrong_type(r, where, pair, "an object");
  int status = check_members(r, where, pair, names);
  if (status != HF_OK)
    return status;
  hf_json pattern_value, value;
  if (!hf_json_member(pair, names[0], &pattern_value) || !hf_json_member(pair, names[1], &value))
    return hf_err(r->reterr, HF_ECONFIG, r->place, "compare.%s needs %s and %s", where, names[0],
                  names[1]);
  int is = 0;
  hf_autofree char *tolerance = NULL;
  hf_autofree char *pattern = NULL;
  status = take_pattern(r, where, &pattern_value, &pattern);
  if (status == HF_OK && kind == HF_RULE_TOLERANCE)
    status = take_tolerance(r, where, &value, &tolerance);
  else if (status == HF_OK)
    status = take_severity(r, where, &value, &is);
  if (status != HF_OK)
    return status;
  return add_rule(r, kind, where, hf_take(pattern), is, hf_take(tolerance));
}

static int take_pairs(const reader *r, hf_rule_kind kind, const char *name, const hf_json *list) {
  if (list->type != HF_JSON_ARRAY)
    return wrong_type(r, name, list, "an array of objects");
  int status = HF_OK;
  size_t position = 0, i = 0;
  hf_json value;
  while (status == HF_OK && hf_json_next(list, &position, NULL, &value) == 1) {
    char where[WHERE_BYTES];
    (void)snprintf(where, sizeof where, "%s[%zu]", name, i++);
    status = take_pair(r, kind, where, &value);
  }
  return status;
}

/* ---- the whole ---- */

/* Each member is one of names; where is "" for the object itself. */
static int check_members(const reader *r, const char *where, const hf_json *object,
                         const char *const *names) {
  size_t position = 0;
  unsigned seen = 0;
  hf_json name, value;
  while (hf_json_next(object, &position, &name, &value) == 1) {
    size_t i = 0, bytes = 0;
    while (names[i] != NULL && !hf_json_string_equals(&name, names[i], strlen(names[i])))
      i++;
    if (names[i] != NULL && (seen & 1U << i) != 0)
      return hf_err(r->reterr, HF_ECONFIG, r->place, "compare%s%s.%s stands twice; remove one",
                    where[0] != '\0' ? "." : "", where, names[i]);
    if (names[i] != NULL) {
      seen |= 1U << i;
      continue;
    }
    hf_autofree char *text = NULL;
    int status = take_string(r, &name, &text, &bytes);
    if (status != HF_OK)
      return status;
    const char *nearest = hf_config_nearest(text, names);
    hf_autobuf known = {0};
    for (size_t j = 0; names[j] != NULL; j++)
      (void)hf_buf_printf(&known, "%s%s", j > 0 ? ", " : "", names[j]);
    if (known.failed != 0)
      return hf_err_nomem(r->reterr);
    return hf_err(r->reterr, HF_ECONFIG, r->place, "there is no setting compare%s%s.%.80s; %s%s%s",
                  where[0] != '\0' ? "." : "", where, text,
                  nearest != NULL ? "is " : "here may stand: ",
                  nearest != NULL ? nearest : known.data, nearest != NULL ? " meant?" : "");
  }
  return HF_OK;
}

static int take_defaults(const reader *r, const hf_json *value) {
  if (value->type != HF_JSON_TRUE && value->type != HF_JSON_FALSE)
    return wrong_type(r, "defaults", value, "true or false");
  r->compare->no_defaults = value->type == HF_JSON_FALSE;
  return HF_OK;
}

int hf_compare_parse(hf_compare *compare, const char *place, const hf_json *object,
                     hf_error *reterr) {
  /* In the order in which the rules come into force: what keeps before what leaves out. */
  static const char *const names[] = {"defaults",  "keep",       "leave_out", "lists", "sets",
                                      "tolerance", "tolerances", "severity",  NULL};
  reader r = {compare, place, reterr};
  int status = check_members(&r, "", object, names);
  for (size_t i = 0; status == HF_OK && names[i] != NULL; i++) {
    hf_json value;
    if (!hf_json_member(object, names[i], &value))
      continue;
    switch (i) {
    case 0:
      status = take_defaults(&r, &value);
      break;
    case 1:
    case 2:
      status = take_patterns(&r, HF_RULE_LEAVE_OUT, names[i], &value, i == 2);
      break;
    case 3:
    case 4:
      status = take_patterns(&r, HF_RULE_SET, names[i], &value, i == 4);
      break;
    case 5:
      status = take_tolerance(&r, names[i], &value, &compare->tolerance);
      break;
    case 6:
      status = take_pairs(&r, HF_RULE_TOLERANCE, names[i], &value);
      break;
    default:
      status = take_pairs(&r, HF_RULE_SEVERITY, names[i], &value);
      break;
    }
  }
  return status;
}
