#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "report.h"

/* Where the line is drawn beyond which a run is worse: for the eye, so a double will do. */
static void find_limit(const hf_cli_report *report, hf_cli_report_set *set) {
  const hf_check_options *check = &report->check;
  double allowed = 0;
  double best = strtod(set->baseline->value, NULL);
  if (check->tolerance != NULL)
    allowed = strtod(check->tolerance, NULL);
  else if (check->tolerance_percent != NULL)
    allowed = fabs(best) * strtod(check->tolerance_percent, NULL) / 100;
  set->limit = set->baseline->goal == HF_GOAL_MAX ? best - allowed : best + allowed;
  set->has_limit = allowed > 0 && isfinite(set->limit);
}

int hf_cli_report_find_baseline(hf_cli_report *report, hf_cli_report_set *set) {
  if (set->group == NULL)
    return HF_CLI_DONE;
  hf_comparable of = {set->group, set->stage, set->dims, set->dims_count};
  hf_error err = HF_ERROR_INIT;
  int found = hf_baseline_get(report->cli->store, &of, report->head, &set->baseline, &err);
  if (found < 0)
    return hf_cli_library_error(report->cli, NULL, &err);
  if (found == 1 && set->baseline->metric != NULL)
    find_limit(report, set);
  return HF_CLI_DONE;
}

int hf_cli_report_is_worse(const hf_cli_report *report, const hf_cli_report_set *set,
                           const hf_record *record, int *ret_worse, hf_error *reterr) {
  const hf_baseline *baseline = set->baseline;
  const char *text = NULL;
  size_t bytes = 0;
  *ret_worse = 0;
  if (baseline == NULL || baseline->metric == NULL ||
      strcmp(baseline->run_id, record->run_id) == 0) /* a run is never its own baseline */
    return HF_OK;
  int found =
      hf_json_pointer(record->doc, record->doc_bytes, baseline->metric, &text, &bytes, reterr);
  if (found <= 0)
    return found;
  hf_checked *checked = malloc(sizeof *checked);
  if (checked == NULL)
    return HF_ENOMEM;
  int rc = hf_baseline_compare(baseline, text, bytes, &report->check, checked, reterr);
  *ret_worse = rc == HF_OK && checked->result == HF_CHECK_WORSE;
  free(checked);
  return rc == HF_EINVAL ? HF_OK : rc; /* what is no number there is no metric */
}
