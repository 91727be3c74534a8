#include <inttypes.h>
#include <stdio.h>

#include <holdfast/admin.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "store.h"

static const hf_cli_option verify_options[] = {
    HF_CLI_OPT_FLAG("deep", deep, "read every document and every blob, and check its SHA-256"),
    HF_CLI_OPT_FLAG("repair", repair,
                    "copy what is damaged to quarantine/, then make the store usable again; "
                    "deletes nothing but indexes, which it makes anew"),
    HF_CLI_OPT(HF_CLI_DURATION, "timeout", timeout_ms, "DURATION",
               "with --repair: how long to wait for the lock (30s)"),
};

typedef struct verify_state {
  hf_cli *cli;
  uint64_t findings;
} verify_state;

static void print_finding_json(verify_state *state, const hf_finding *finding) {
  hf_cli *cli = state->cli;
  hf_cli_json json = {cli, 0};
  hf_cli_out_text(cli, state->findings > 0 ? ",{" : "{");
  hf_cli_json_text(&json, "kind", finding->kind);
  if (finding->seq > 0)
    hf_cli_json_number(&json, "seq", finding->seq);
  else
    hf_cli_json_null(&json, "seq");
  hf_cli_json_text(&json, "path", finding->path);
  hf_cli_json_text(&json, "text", finding->text);
  hf_cli_json_bool(&json, "damage", finding->damage);
  hf_cli_json_bool(&json, "repaired", finding->repaired);
  hf_cli_out_text(cli, "}");
}

static void on_finding(void *context, const hf_finding *finding) {
  verify_state *state = context;
  hf_cli *cli = state->cli;
  hf_cli_progress_clear();
  if (cli->args.json) {
    print_finding_json(state, finding);
  } else {
    hf_cli_out_visible(cli, finding->kind);
    if (finding->seq > 0)
      hf_cli_out_format(cli, " seq=%" PRIu64, finding->seq);
    if (finding->path != NULL && finding->path[0] != '\0') {
      hf_cli_out_text(cli, " ");
      hf_cli_out_visible(cli, finding->path);
    }
    hf_cli_out_text(cli, finding->repaired ? ": (repaired) " : ": ");
    hf_cli_out_visible(cli, finding->text != NULL ? finding->text : "");
    hf_cli_out_text(cli, "\n");
  }
  state->findings++;
}

/* The members behind "findings". */
static void print_report_json(hf_cli *cli, const hf_verify_report *report, int is_complete) {
  hf_cli_json json = {cli, 1};
  hf_cli_out_text(cli, "]");
  hf_cli_json_bool(&json, "complete", is_complete);
  hf_cli_json_number(&json, "head", report->head);
  hf_cli_json_number(&json, "records", report->records);
  hf_cli_json_number(&json, "snapshots", report->snapshots);
  hf_cli_json_number(&json, "blobs", report->blobs);
  hf_cli_json_number(&json, "damaged", report->damaged);
  hf_cli_json_number(&json, "remarks", report->remarks);
  hf_cli_json_number(&json, "repaired", report->repaired);
  hf_cli_json_end(&json);
}

static void print_summary(const hf_cli *cli, const hf_verify_report *report) {
  if (cli->args.quiet)
    return;
  fprintf(stderr,
          "%" PRIu64 " records intact of %" PRIu64 ", %" PRIu64 " of them snapshots; %" PRIu64
          " damaged, %" PRIu64 " repaired, %" PRIu64 " remarks\n",
          report->records, report->head, report->snapshots, report->damaged, report->repaired,
          report->remarks);
}

static int run_verify(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int status = hf_cli_need_config(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_find_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  verify_state state = {cli, 0};
  hf_verify_options options = {
      .deep = args->deep,
      .repair = args->repair,
      .config = cli->config,
      .timeout_ms = args->timeout_ms,
      .finding = on_finding,
      .finding_context = &state,
      .progress = hf_cli_progress,
  };
  hf_verify_report report = {0};
  hf_error err = HF_ERROR_INIT;
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  if (args->json)
    hf_cli_out_text(cli, "{\"findings\":[");
  int rc = hf_verify(cli->store_path, &options, &report, &err);
  hf_cli_progress_clear();
  if (args->json)
    print_report_json(cli, &report, rc == HF_OK);
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path, "stopped by a signal before the end");
  if (rc != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (!args->json)
    print_summary(cli, &report);
  return report.damaged > 0 ? HF_CLI_FAILED : HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_verify = {
    .name = "verify",
    .synopsis = "verify [--deep] [--repair] [--timeout DURATION]",
    .summary = "check a store, and repair it",
    .details =
        "Reads the whole store and prints a line a finding: its kind, its seq, the file, and what "
        "to do. Changes nothing without --repair. Exit status 1 where there was damage, repaired "
        "now or not; remarks (a leftover of a killed process) leave it 0. The summary goes to "
        "stderr. With --repair indexes that are gone or damaged are made anew, too, last, and "
        "without the lock: no record depends on them.\n"
        "\n"
        "With --json one object: findings (a list; each with kind, seq, path, text, damage, "
        "repaired), complete, head, records, snapshots, blobs, damaged, remarks, repaired.",
    .examples = "holdfast verify --deep\n"
                "holdfast --store /data/runs verify --repair",
    .options = verify_options,
    .options_count = HF_CLI_COUNT(verify_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_verify,
};
