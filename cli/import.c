#include <inttypes.h>

#include <holdfast/admin.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "store.h"

static const hf_cli_option import_options[] = {
    HF_CLI_OPT_FLAG("dry-run", dry_run, "read, check and count; save nothing"),
    HF_CLI_OPT_TIMEOUT,
};

static void print_report(hf_cli *cli, const hf_import_report *report) {
  if (!cli->args.json) {
    hf_cli_out_format(cli, "read: %" PRIu64 " (index files: %" PRIu64 ")\n", report->read,
                      report->files);
    hf_cli_out_format(cli, "%s: %" PRIu64 "\n",
                      cli->args.dry_run ? "would be imported" : "imported", report->imported);
    hf_cli_out_format(cli, "already there: %" PRIu64 "\ndoubles: %" PRIu64 "\n", report->present,
                      report->doubles);
    hf_cli_out_format(cli,
                      "order taken from clocks: %" PRIu64 "\nNaN turned into null: %" PRIu64 "\n",
                      report->clock_ordered, report->nan_to_null);
    return;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_bool(&json, "dry_run", cli->args.dry_run);
  hf_cli_json_number(&json, "files", report->files);
  hf_cli_json_number(&json, "read", report->read);
  hf_cli_json_number(&json, "imported", report->imported);
  hf_cli_json_number(&json, "present", report->present);
  hf_cli_json_number(&json, "doubles", report->doubles);
  hf_cli_json_number(&json, "clock_ordered", report->clock_ordered);
  hf_cli_json_number(&json, "nan_to_null", report->nan_to_null);
  hf_cli_json_end(&json);
}

static int run_import(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_import_options options = {
      .dry_run = args->dry_run,
      .timeout_ms = args->timeout_ms,
      .progress = hf_cli_progress,
      .log = hf_cli_log,
      .log_context = cli,
  };
  hf_import_report report = {0};
  hf_error err = HF_ERROR_INIT;
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  int rc = hf_import(cli->store, (const char *const *)args->operands, (size_t)args->operands_count,
                     &options, &report, &err);
  hf_cli_progress_clear();
  if (rc != HF_OK && report.imported == 0 &&
      report.present == 0) /* it ended before the first save */
    return hf_cli_library_error(cli, NULL, &err);
  print_report(cli, &report);
  if (rc == HF_OK)
    return HF_CLI_DONE;
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path,
                         "stopped by a signal; what was imported stays, and the same command goes "
                         "on from there");
  return hf_cli_library_error(cli, NULL, &err);
}

const hf_cli_command hf_cli_command_import = {
    .name = "import",
    .synopsis = "import [--dry-run] [--timeout DURATION] PATH...",
    .summary = "import older indexes",
    .details =
        "Imports the snapshots of older indexes: snapshot_index.json, a folder (every one below "
        "it), or what export --format index wrote. Everything is read and checked before the first "
        "snapshot is saved. An import can be repeated, and goes on after it was stopped or killed: "
        "what is there already is found, not doubled.\n"
        "\n"
        "Prints how many entries were read, imported, already there, and the same as another "
        "entry; how many were put in order by their clocks; how many NaN and Infinity were turned "
        "into null. With --json: dry_run, files, read, imported, present, doubles, clock_ordered, "
        "nan_to_null.",
    .examples = "holdfast import --dry-run /old/RESULTS\n"
                "holdfast import /old/RESULTS /old/snapshot_index.json",
    .options = import_options,
    .options_count = HF_CLI_COUNT(import_options),
    .operands_min = 1,
    .operands_max = -1,
    .run = run_import,
};
