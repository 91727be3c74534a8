#include <inttypes.h>

#include "difftext.h"
#include "errors.h"
#include "output.h"

static void print_snapshot(hf_cli_json *json, const char *name, const hf_record *record) {
  hf_cli *cli = json->cli;
  hf_cli_json inner = {cli, 0};
  hf_cli_json_name(json, name);
  hf_cli_out_text(cli, "{");
  hf_cli_json_number(&inner, "seq", record->seq);
  hf_cli_json_text(&inner, "run_id", record->run_id);
  hf_cli_json_text(&inner, "stage", record->stage);
  hf_cli_json_dims(&inner, "dims", record->dims, record->dims_count);
  hf_cli_json_text(&inner, "group", record->group);
  hf_cli_json_text(&inner, "ts", record->ts);
  hf_cli_json_text(&inner, "sha256", record->sha256);
  hf_cli_out_text(cli, "}");
}

static void print_value(hf_cli_json *json, const char *name, const char *text, size_t bytes) {
  if (text == NULL)
    return;
  hf_cli_json_name(json, name);
  hf_cli_out(json->cli, text, bytes);
}

static void print_change(hf_cli *cli, const hf_change *change, int is_first) {
  hf_cli_json json = {cli, 0};
  hf_cli_out_text(cli, is_first ? "{" : ",{");
  hf_cli_json_text(&json, "kind", hf_change_kind_name(change->kind));
  hf_cli_json_text(&json, "section", hf_section_name(change->section));
  hf_cli_json_text(&json, "severity", hf_severity_name(change->severity));
  hf_cli_json_text(&json, "pointer", change->pointer);
  if (change->old_pointer != NULL)
    hf_cli_json_text(&json, "old_pointer", change->old_pointer);
  print_value(&json, "old", change->old_text, change->old_bytes);
  print_value(&json, "new", change->new_text, change->new_bytes);
  if (change->delta != NULL) {
    hf_cli_json_name(&json, "delta");
    hf_cli_out_text(cli, change->delta);
  }
  if (change->has_percent) {
    hf_cli_json_name(&json, "percent");
    hf_cli_out_format(cli, "%.10g", change->percent);
  }
  hf_cli_out_text(cli, "}");
}

static void print_counts(hf_cli_json *json, const hf_diff_summary *summary) {
  hf_cli *cli = json->cli;
  hf_cli_json by_severity = {cli, 0}, by_section = {cli, 0};
  hf_cli_json_number(json, "changes", summary->changes);
  hf_cli_json_name(json, "by_severity");
  hf_cli_out_text(cli, "{");
  for (int i = HF_SEVERITIES; i-- > 0;)
    hf_cli_json_number(&by_severity, hf_severity_name((hf_severity)i), summary->by_severity[i]);
  hf_cli_out_text(cli, "}");
  hf_cli_json_name(json, "by_section");
  hf_cli_out_text(cli, "{");
  for (int i = 0; i < HF_SECTIONS; i++)
    hf_cli_json_number(&by_section, hf_section_name((hf_section)i), summary->by_section[i]);
  hf_cli_out_text(cli, "}");
  hf_cli_json_number(json, "close", summary->close);
  hf_cli_json_number(json, "left_out", summary->left_out);
}

int hf_cli_diff_print_json(hf_cli *cli, const hf_record *a, const hf_record *b,
                           hf_diff_result *result) {
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  hf_error err = HF_ERROR_INIT;
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  print_snapshot(&json, "a", a);
  print_snapshot(&json, "b", b);
  hf_cli_json_bool(&json, "comparable", summary->comparable);
  hf_cli_json_text(&json, "reason", summary->comparable ? NULL : summary->reason);
  hf_cli_json_text(&json, "severity", hf_severity_name(summary->severity));
  hf_cli_json_bool(&json, "identical", summary->identical);
  print_counts(&json, summary);
  hf_cli_json_name(&json, "differences");
  hf_cli_out_text(cli, "[");
  hf_change change;
  int got = 0;
  for (int i = 0; (got = hf_diff_next(result, &change, &err)) == 1; i = 1)
    print_change(cli, &change, i == 0);
  hf_cli_out_text(cli, "]");
  hf_cli_json_end(&json);
  return got == 0 ? HF_CLI_DONE : hf_cli_no_memory(cli);
}
