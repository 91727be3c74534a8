#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "report.h"

/* Where numbers are drawn without being asked for, the more likely metrics first. */
static const char *const roots[] = {"/outputs/metrics/", "/metrics/", "/outputs/"};

static int is_number(const char *text, size_t bytes) {
  return bytes > 0 && (text[0] == '-' || (text[0] >= '0' && text[0] <= '9'));
}

/* An element of a list: a row of numbers would be a plot each. */
static int is_in_list(const char *pointer) {
  for (const char *at = pointer; (at = strchr(at, '/')) != NULL;) {
    at++;
    size_t digits = strspn(at, "0123456789");
    if (digits > 0 && (at[digits] == '/' || at[digits] == '\0'))
      return 1;
  }
  return 0;
}

/* Its place in roots, or their count. */
static size_t rank_of(const char *pointer) {
  size_t rank = 0;
  while (rank < HF_CLI_COUNT(roots) && strncmp(pointer, roots[rank], strlen(roots[rank])) != 0)
    rank++;
  return rank < HF_CLI_COUNT(roots) && is_in_list(pointer) ? HF_CLI_COUNT(roots) : rank;
}

static const char *metric_name(const hf_cli_report *report, const hf_cli_report_set *set,
                               size_t metric) {
  return report->pointers.texts[set->metrics[metric]];
}

/* Its place in the set, or metrics_count. */
static size_t find_metric(const hf_cli_report *report, const hf_cli_report_set *set,
                          const char *pointer) {
  size_t metric = 0;
  while (metric < set->metrics_count && strcmp(metric_name(report, set, metric), pointer) != 0)
    metric++;
  return metric;
}

static int add_metric(hf_cli_report *report, hf_cli_report_set *set, const char *pointer) {
  if (set->metrics_count == HF_CLI_REPORT_METRICS_MAX ||
      find_metric(report, set, pointer) < set->metrics_count)
    return 0;
  if (hf_cli_names_add(&report->pointers, pointer, &set->metrics[set->metrics_count]) != 0)
    return HF_ENOMEM;
  set->metrics_count++;
  return 0;
}

int hf_cli_report_choose_metrics(hf_cli_report *report, hf_cli_report_set *set) {
  const hf_cli_args *args = &report->cli->args;
  int failed = 0;
  if (set->baseline != NULL && set->baseline->metric != NULL)
    failed |= add_metric(report, set, set->baseline->metric) != 0;
  for (size_t i = 0; i < args->metrics.count; i++)
    failed |= add_metric(report, set, args->metrics.text[i]) != 0;
  return failed ? hf_cli_no_memory(report->cli) : HF_CLI_DONE;
}

/* ---- which there are ---- */

/* One walk through what the comparison tells. Numbers that the set does not know get a place in it
 * where they are of this rank, and are counted where they have none. *ret_objects: values came that
 * may hold numbers. */
static int look_through(hf_cli_report *report, hf_cli_report_set *set, hf_diff_result *diff,
                        size_t rank, size_t *ret_unknown, int *ret_objects, hf_error *reterr) {
  size_t unknown = 0;
  hf_change change;
  int got;
  hf_diff_rewind(diff);
  while ((got = hf_diff_next(diff, &change, reterr)) == 1) {
    if (change.kind == HF_CHANGE_LEFT_OUT || change.new_text == NULL)
      continue;
    *ret_objects |= change.new_text[0] == '{' && change.new_bytes > 2;
    size_t own = rank_of(change.pointer);
    if (own == HF_CLI_COUNT(roots) || !is_number(change.new_text, change.new_bytes) ||
        strlen(change.pointer) > HF_CLI_REPORT_POINTER_BYTES_MAX)
      continue;
    if (own == rank && add_metric(report, set, change.pointer) != 0)
      return HF_ENOMEM;
    unknown += find_metric(report, set, change.pointer) == set->metrics_count;
  }
  *ret_unknown = unknown;
  return got;
}

static int take_new(hf_cli_report *report, hf_cli_report_set *set, hf_diff_result *diff,
                    int *ret_objects, hf_error *reterr) {
  size_t unknown = 0;
  *ret_objects = 0;
  int rc = look_through(report, set, diff, HF_CLI_COUNT(roots), &unknown, ret_objects, reterr);
  for (size_t rank = 0; rc == HF_OK && unknown > 0 && rank < HF_CLI_COUNT(roots) &&
                        set->metrics_count < HF_CLI_REPORT_METRICS_MAX;
       rank++)
    rc = look_through(report, set, diff, rank, &unknown, ret_objects, reterr);
  if (rc == HF_OK && unknown > set->metrics_left)
    set->metrics_left = unknown;
  return rc;
}

int hf_cli_report_find_metrics(hf_cli_report *report, hf_cli_report_set *set,
                               const hf_record *record, hf_diff_result *diff, hf_error *reterr) {
  hf_diff_options options = {.config = report->cli->config, .all = 1};
  hf_diff_result *all = NULL;
  int objects = diff == NULL;
  int rc = HF_OK;
  if (report->cli->args.metrics.count > 0)
    return HF_OK;
  if (diff != NULL)
    rc = take_new(report, set, diff, &objects, reterr);
  if (rc != HF_OK || !objects)
    return rc;
  rc = hf_diff(record, record, &options, &all, reterr); /* every value, by the rules */
  if (rc == HF_OK)
    rc = take_new(report, set, all, &objects, reterr);
  hf_diff_free(&all);
  return rc;
}

/* ---- their values ---- */

static int take_value(hf_cli_report_values *values, size_t metric, const char *text, size_t bytes) {
  size_t kept = bytes < HF_CLI_REPORT_NUMBER_BYTES_MAX ? bytes : HF_CLI_REPORT_NUMBER_BYTES_MAX;
  memcpy(values->text[metric], text, kept);
  values->text[metric][kept] = '\0';
  values->is_cut[metric] = kept < bytes;
  if (kept == bytes)
    return HF_OK;
  char *whole = strndup(text, bytes);
  if (whole == NULL)
    return HF_ENOMEM;
  values->number[metric] = strtod(whole, NULL);
  free(whole);
  return HF_OK;
}

int hf_cli_report_find_values(const hf_cli_report *report, const hf_cli_report_set *set,
                              const hf_record *record, hf_cli_report_values *values,
                              hf_error *reterr) {
  memset(values, 0, sizeof *values);
  for (size_t metric = 0; metric < set->metrics_count; metric++) {
    const char *text = NULL;
    size_t bytes = 0;
    int found = hf_json_pointer(record->doc, record->doc_bytes, metric_name(report, set, metric),
                                &text, &bytes, reterr);
    if (found < 0)
      return found;
    if (found == 1 && is_number(text, bytes) && take_value(values, metric, text, bytes) != HF_OK)
      return HF_ENOMEM;
  }
  return HF_OK;
}
