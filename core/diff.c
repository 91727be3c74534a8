/* hf_diff: two snapshots by the rules of a configuration, and a walk over what was found. */
#include <holdfast/diff.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "diff_compare.h"
#include "diff_walk.h"
#include "err.h"

#include "banned.h"

struct hf_diff_result {
  hf_diff_summary summary;
  hf_rules rules;
  hf_json_tree a;
  hf_json_tree b;
  hf_walk walk;
  size_t next;
  hf_buf pointer; /* the texts of the last change that was told */
  hf_buf old_pointer;
  hf_buf delta;
  hf_buf scratch;
};

/* ---- names ---- */

static const char *const severity_names[] = {"none", "minor", "major", "critical"};

const char *hf_severity_name(hf_severity severity) {
  return (unsigned)severity < HF_SEVERITIES ? severity_names[severity] : "?";
}

int hf_severity_by_name(const char *name, hf_severity *ret_severity) {
  for (int i = 0; i < HF_SEVERITIES; i++) {
    if (strcmp(name, severity_names[i]) != 0)
      continue;
    *ret_severity = (hf_severity)i;
    return 1;
  }
  return 0;
}

const char *hf_section_name(hf_section section) {
  switch (section) {
  case HF_SECTION_INPUTS:
    return "inputs";
  case HF_SECTION_PROCESS:
    return "process";
  case HF_SECTION_OUTPUTS:
    return "outputs";
  case HF_SECTION_OTHER:
    return "other";
  }
  return "?";
}

const char *hf_change_kind_name(hf_change_kind kind) {
  switch (kind) {
  case HF_CHANGE_ADDED:
    return "added";
  case HF_CHANGE_REMOVED:
    return "removed";
  case HF_CHANGE_CHANGED:
    return "changed";
  case HF_CHANGE_SAME:
    return "same";
  case HF_CHANGE_CLOSE:
    return "close";
  case HF_CHANGE_LEFT_OUT:
    return "left-out";
  }
  return "?";
}

/* ---- comparing ---- */

static int check_record(const hf_record *record, hf_error *reterr) {
  unsigned long long seq = record->seq;
  if (record->op == NULL || strcmp(record->op, "save") != 0)
    return hf_err(reterr, HF_ENOTFOUND, NULL, "seq %llu is no snapshot (its op is \"%s\")", seq,
                  record->op != NULL ? record->op : "");
  if (record->doc == NULL)
    return hf_err(reterr, HF_ENOTFOUND, NULL,
                  "the document of seq %llu is not kept any more (gc has dropped it); its "
                  "envelope is: holdfast get --seq %llu --meta",
                  seq, seq);
  hf_error broken = HF_ERROR_INIT;
  int status = hf_json_check(record->doc, record->doc_bytes, HF_JSON_OBJECT_ONLY,
                             HF_DOC_NESTING_MAX, NULL, NULL, &broken);
  if (status == HF_OK || status == HF_ENOMEM)
    return status == HF_OK ? HF_OK : hf_err_nomem(reterr);
  return hf_err(reterr, status, broken.place, "the document of seq %llu: %s", seq, broken.message);
}

static void sum_up(hf_diff_result *result) {
  hf_diff_summary *summary = &result->summary;
  const hf_walk *walk = &result->walk;
  summary->close = walk->close;
  summary->left_out = walk->left_out;
  summary->identical = walk->places[0].equal;
  for (size_t i = 0; i < walk->changes.count; i++) {
    const hf_diff_place *place = &walk->places[walk->changes.ids[i]];
    if (place->kind >= HF_CHANGE_SAME)
      continue;
    summary->changes++;
    summary->by_severity[place->severity]++;
    summary->by_section[place->section]++;
    if ((int)place->severity > (int)summary->severity)
      summary->severity = (hf_severity)place->severity;
  }
}

int hf_diff(const hf_record *a, const hf_record *b, const hf_diff_options *options,
            hf_diff_result **ret_result, hf_error *reterr) {
  if (a == NULL || b == NULL || ret_result == NULL)
    return hf_err(reterr, HF_EINVAL, NULL,
                  "hf_diff needs two records and a place for the result; one of them is NULL");
  int status = check_record(a, reterr);
  if (status == HF_OK)
    status = check_record(b, reterr);
  if (status != HF_OK)
    return status;
  __attribute__((cleanup(hf_diff_free))) hf_diff_result *result = calloc(1, sizeof *result);
  if (result == NULL)
    return hf_err_nomem(reterr);
  const hf_config *config = options != NULL ? options->config : NULL;
  hf_rules_of(config != NULL ? &config->compare : NULL, &result->rules);
  status = hf_json_tree_make(a->doc, a->doc_bytes, 0, &result->a, reterr);
  if (status == HF_OK)
    status = hf_json_tree_make(b->doc, b->doc_bytes, 0, &result->b, reterr);
  if (status == HF_OK)
    status = hf_diff_comparable(a, b, &result->a, &result->b, &result->summary, reterr);
  if (status != HF_OK)
    return status;
  result->walk.a = &result->a;
  result->walk.b = &result->b;
  result->walk.rules = &result->rules;
  result->walk.all = options != NULL && options->all;
  if (hf_walk_run(&result->walk) != HF_OK)
    return hf_err_nomem(reterr);
  sum_up(result);
  *ret_result = hf_take(result);
  return HF_OK;
}

void hf_diff_free(hf_diff_result **result) {
  if (result == NULL || *result == NULL)
    return;
  hf_walk_free(&(*result)->walk);
  hf_json_tree_free(&(*result)->a);
  hf_json_tree_free(&(*result)->b);
  hf_buf_free(&(*result)->pointer);
  hf_buf_free(&(*result)->old_pointer);
  hf_buf_free(&(*result)->delta);
  hf_buf_free(&(*result)->scratch);
  free(*result);
  *result = NULL;
}

const hf_diff_summary *hf_diff_summary_of(const hf_diff_result *result) {
  return &result->summary;
}

void hf_diff_rewind(hf_diff_result *result) {
  result->next = 0;
}

/* ---- telling ---- */

/* A NUL byte, which no pointer can hold, becomes U+FFFD. */
static void add_name(hf_buf *out, const char *name, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (name[i] == '~' || name[i] == '/')
      (void)hf_buf_add_text(out, name[i] == '~' ? "~0" : "~1");
    else if (name[i] == '\0')
      (void)hf_buf_add_text(out, "\xEF\xBF\xBD");
    else
      (void)hf_buf_add_char(out, name[i]);
  }
}

/* A place's pointer into a or b. */
static int write_pointer(hf_diff_result *result, uint32_t id, int into_b, hf_buf *out) {
  const hf_walk *walk = &result->walk;
  uint32_t chain[HF_DIFF_DEPTH_MAX + 1];
  size_t depth = 0;
  for (uint32_t at = id; at != 0 && depth < HF_DIFF_DEPTH_MAX; at = walk->places[at].up)
    chain[depth++] = at;
  hf_buf_clear(out);
  (void)hf_buf_add_text(out, "");
  while (depth-- > 0) {
    const hf_diff_place *place = &walk->places[chain[depth]];
    (void)hf_buf_add_char(out, '/');
    if (place->in_list) {
      (void)hf_buf_printf(out, "%u", into_b ? place->b_index : place->a_index);
      continue;
    }
    const hf_json_tree *tree = into_b ? walk->b : walk->a;
    const hf_json_node *node = &tree->nodes[into_b ? place->b : place->a];
    hf_json name = hf_json_value(tree->text + node->name, node->at - node->name);
    hf_buf_clear(&result->scratch);
    if (hf_json_decode_string(&name, &result->scratch) != 0)
      return HF_ENOMEM;
    add_name(out, result->scratch.data, result->scratch.used);
  }
  return out->failed;
}

static int write_delta(hf_diff_result *result, const hf_json *a, const hf_json *b,
                       hf_change *change) {
  change->direction = hf_json_number_compare(b, a);
  hf_buf_clear(&result->delta);
  int got = hf_json_number_subtract(b, a, &result->delta);
  if (got < 0)
    return got;
  double old = hf_json_number_double(a), difference = hf_json_number_double(b) - old;
  if (got == 1) {
    change->delta = result->delta.data;
    hf_json delta = {result->delta.data, result->delta.used, HF_JSON_NUMBER};
    difference = hf_json_number_double(&delta);
  }
  double percent = old != 0 ? difference / fabs(old) * 100 : 0;
  if (old == 0 || !isfinite(percent))
    return HF_OK;
  change->has_percent = 1;
  change->percent = percent;
  return HF_OK;
}

static int tell(hf_diff_result *result, uint32_t id, hf_change *ret_change) {
  const hf_diff_place *place = &result->walk.places[id];
  hf_change change = {.kind = (hf_change_kind)place->kind,
                      .section = (hf_section)place->section,
                      .severity = (hf_severity)place->severity};
  hf_json old = {NULL, 0, HF_JSON_NULL}, new = {NULL, 0, HF_JSON_NULL};
  int status = HF_OK;
  if (place->a != HF_DIFF_NONE) {
    old = hf_json_tree_value(&result->a, place->a);
    status = write_pointer(result, id, 0, &result->old_pointer);
    change.old_pointer = change.pointer = result->old_pointer.data;
  }
  if (status == HF_OK && place->b != HF_DIFF_NONE) {
    new = hf_json_tree_value(&result->b, place->b);
    status = write_pointer(result, id, 1, &result->pointer);
    change.pointer = result->pointer.data;
  }
  change.old_text = old.text;
  change.old_bytes = old.bytes;
  change.new_text = new.text;
  change.new_bytes = new.bytes;
  if (status == HF_OK && old.type == HF_JSON_NUMBER && new.type == HF_JSON_NUMBER)
    status = write_delta(result, &old, &new, &change);
  if (status == HF_OK)
    *ret_change = change;
  return status;
}

int hf_diff_next(hf_diff_result *result, hf_change *ret_change, hf_error *reterr) {
  if (result->next == result->walk.changes.count) {
    result->next = 0;
    return 0;
  }
  int status = tell(result, result->walk.changes.ids[result->next], ret_change);
  if (status != HF_OK)
    return hf_err_nomem(reterr);
  result->next++;
  return 1;
}
