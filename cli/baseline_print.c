#include "baseline_print.h"

#include <inttypes.h>
#include <stdio.h>

#include "output.h"
#include "table.h"

enum {
  AT = 10,            /* where what is told begins, behind its name */
  NEXT_LINE = 2,      /* a sentence's other lines are set in by this */
  PERCENT_BYTES = 400 /* a double's digits */
};

static const char *goal_text(hf_goal goal) {
  switch (goal) {
  case HF_GOAL_NONE:
    return NULL;
  case HF_GOAL_MAX:
    return "max";
  case HF_GOAL_MIN:
    return "min";
  }
  return NULL;
}

/* A number's text is JSON as it is. */
static void json_verbatim(hf_cli_json *json, const char *name, const char *number) {
  hf_cli_json_name(json, name);
  hf_cli_out_text(json->cli, number != NULL && number[0] != '\0' ? number : "null");
}

static void json_seq(hf_cli_json *json, const char *name, uint64_t seq) {
  if (seq > 0)
    hf_cli_json_number(json, name, seq);
  else
    hf_cli_json_null(json, name);
}

static void json_members(hf_cli_json *json, const hf_baseline *baseline) {
  json_seq(json, "of", baseline->of);
  hf_cli_json_text(json, "run_id", baseline->run_id);
  hf_cli_json_text(json, "stage", baseline->stage);
  hf_cli_json_dims(json, "dims", baseline->dims, baseline->dims_count);
  hf_cli_json_text(json, "group", baseline->group);
  hf_cli_json_text(json, "metric", baseline->metric);
  json_verbatim(json, "value", baseline->value);
  hf_cli_json_text(json, "goal", goal_text(baseline->goal));
  hf_cli_json_text(json, "by", baseline->by);
  json_seq(json, "min_runs", baseline->min_runs);
  hf_cli_json_text(json, "reason", baseline->reason);
  hf_cli_json_number(json, "seq", baseline->seq);
  hf_cli_json_text(json, "id", baseline->id);
  hf_cli_json_text(json, "at", baseline->at);
  hf_cli_json_text(json, "host", baseline->host);
  hf_cli_json_signed(json, "pid", baseline->pid);
}

static void json_counts(hf_cli_json *json, const hf_baseline_counts *counts) {
  hf_cli_json_number(json, "runs", counts->runs);
  hf_cli_json_number(json, "passed_over", counts->passed_over);
}

void hf_cli_print_missing(hf_cli *cli, const hf_baseline_counts *counts) {
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_bool(&json, "created", 0);
  hf_cli_json_null(&json, "of");
  json_counts(&json, counts);
  hf_cli_json_number(&json, "missing", counts->missing);
  hf_cli_json_end(&json);
}

static void print_json(hf_cli *cli, const hf_baseline *baseline, int created,
                       const hf_baseline_counts *counts) {
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  if (created >= 0)
    hf_cli_json_bool(&json, "created", created);
  hf_cli_json_bool(&json, "new", baseline->is_new);
  json_members(&json, baseline);
  if (counts != NULL)
    json_counts(&json, counts);
  hf_cli_json_end(&json);
}

/* "baseline  seq 3 of run r3", or "cleared". */
static void print_which(hf_cli *cli, const hf_baseline *baseline) {
  if (baseline->of == 0) {
    hf_cli_out_text(cli, "baseline  none from here on\n");
    return;
  }
  hf_cli_out_wrapped_format(cli, AT, "baseline  seq %" PRIu64 ", run %s", baseline->of,
                            baseline->run_id);
  if (baseline->metric != NULL)
    hf_cli_out_wrapped_format(cli, AT, "metric    %s = %s, goal %s", baseline->metric,
                              baseline->value, goal_text(baseline->goal));
}

void hf_cli_print_baseline(hf_cli *cli, const hf_baseline *baseline, int created,
                           const hf_baseline_counts *counts) {
  if (cli->args.json) {
    print_json(cli, baseline, created, counts);
    return;
  }
  print_which(cli, baseline);
  hf_cli_out_wrapped_format(cli, AT, "made      by %s as seq %" PRIu64 " at %s%s", baseline->by,
                            baseline->seq, baseline->at != NULL ? baseline->at : "?",
                            created == 1   ? ", now"
                            : created == 0 ? ", before"
                                           : "");
  if (baseline->reason != NULL)
    hf_cli_out_wrapped_format(cli, AT, "reason    %s", baseline->reason);
  if (created < 0)
    hf_cli_out_wrapped_format(cli, AT, "new       %s",
                              baseline->is_new ? "yes: nothing comparable was saved since" : "no");
  if (counts != NULL && created == 1)
    hf_cli_out_wrapped_format(cli, AT,
                              "chosen    the best of %" PRIu64 "; %" PRIu64
                              " passed over, without a number there",
                              counts->runs, counts->passed_over);
}

static void print_row(hf_cli_table *table, const hf_baseline *baseline) {
  char seq[24];
  char of[24] = "";
  (void)snprintf(seq, sizeof seq, "%" PRIu64, baseline->seq);
  if (baseline->of > 0)
    (void)snprintf(of, sizeof of, "%" PRIu64, baseline->of);
  hf_cli_table_cell(table, seq);
  hf_cli_table_cell(table, baseline->by);
  hf_cli_table_cell(table, of);
  hf_cli_table_cell(table, baseline->run_id);
  hf_cli_table_cell(table, baseline->value);
  hf_cli_table_cell(table, baseline->at);
  hf_cli_table_cell(table, baseline->reason);
}

int hf_cli_print_baselines(hf_cli *cli, hf_baseline *const *baselines, size_t count) {
  static const hf_cli_column columns[] = {
      {"seq", 1, 0, HF_CLI_CUT_END},    {"by", 0, 0, HF_CLI_CUT_END},
      {"of", 1, 0, HF_CLI_CUT_END},     {"run_id", 0, 20, HF_CLI_CUT_MIDDLE},
      {"value", 0, 10, HF_CLI_CUT_END}, {"at", 0, 11, HF_CLI_CUT_TIME},
      {"reason", 0, 8, HF_CLI_CUT_END},
  };
  hf_cli_table *table = NULL;
  if (cli->args.json) {
    for (size_t i = 0; i < count; i++) {
      hf_cli_json json;
      hf_cli_json_begin(&json, cli);
      json_members(&json, baselines[i]);
      hf_cli_json_end(&json);
    }
    return HF_CLI_DONE;
  }
  int status = hf_cli_table_begin(cli, columns, HF_CLI_COUNT(columns), &table);
  for (size_t i = 0; status == HF_CLI_DONE && i < count; i++)
    print_row(table, baselines[i]);
  hf_cli_table_end(&table);
  return status;
}

static const char *result_text(hf_check_result result) {
  switch (result) {
  case HF_CHECK_PASSED:
    return "passed";
  case HF_CHECK_WORSE:
    return "worse";
  case HF_CHECK_NO_METRIC:
    return "no-metric";
  }
  return "";
}

static void print_checked_json(hf_cli *cli, uint64_t seq, const hf_checked *checked,
                               const hf_baseline *baseline) {
  const hf_cli_args *args = &cli->args;
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "result", result_text(checked->result));
  hf_cli_json_number(&json, "seq", seq);
  hf_cli_json_text(&json, "metric", args->metric != NULL ? args->metric : baseline->metric);
  hf_cli_json_text(&json, "goal", args->metric != NULL ? args->goal : goal_text(baseline->goal));
  json_verbatim(&json, "value", checked->value);
  hf_cli_json_number(&json, "baseline_seq", baseline->of);
  hf_cli_json_text(&json, "baseline_run_id", baseline->run_id);
  json_verbatim(&json, "baseline_value", checked->baseline_value);
  json_verbatim(&json, "delta", checked->delta);
  if (checked->has_percent) {
    hf_cli_json_name(&json, "percent");
    hf_cli_out_format(cli, "%.6g", checked->percent);
  } else {
    hf_cli_json_null(&json, "percent");
  }
  hf_cli_json_text(&json, "tolerance", args->tolerance);
  hf_cli_json_end(&json);
}

void hf_cli_print_checked(hf_cli *cli, uint64_t seq, const hf_checked *checked,
                          const hf_baseline *baseline) {
  const char *metric = cli->args.metric != NULL ? cli->args.metric : baseline->metric;
  if (cli->args.json) {
    print_checked_json(cli, seq, checked, baseline);
    return;
  }
  char percent[PERCENT_BYTES] = "";
  if (checked->has_percent)
    (void)snprintf(percent, sizeof percent, " (%+.2f %%)", checked->percent);
  int has_delta = checked->delta[0] != '\0';
  hf_cli_out_wrapped_format(
      cli, NEXT_LINE,
      "%s: seq %" PRIu64 " has %s at %s, the baseline (seq %" PRIu64 ", run %s) %s%s%s%s%s",
      result_text(checked->result), seq, checked->value[0] != '\0' ? checked->value : "no number",
      metric, baseline->of, baseline->run_id, checked->baseline_value, has_delta ? ": " : "",
      has_delta && checked->delta[0] != '-' ? "+" : "", checked->delta, percent);
}
