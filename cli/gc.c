#include <inttypes.h>

#include <holdfast/admin.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "store.h"
#include "text.h"

static const hf_cli_option gc_options[] = {
    HF_CLI_OPT_NUMBER("keep-last", keep_last, "N",
                      "keep the last N snapshots of each group, stage and dims"),
    HF_CLI_OPT_FLAG("keep-baselines", keep_baselines,
                    "keep every snapshot that a baseline names, or has named"),
    HF_CLI_OPT(HF_CLI_DURATION, "older-than", older_than_ms, "DURATION",
               "keep what was saved within this time: 90d, 12h"),
    HF_CLI_OPT_FLAG("dry-run", dry_run, "only tell what would be freed"),
    HF_CLI_OPT_TIMEOUT,
};

static void print_json(hf_cli *cli, const hf_gc_report *report) {
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_bool(&json, "dry_run", cli->args.dry_run);
  hf_cli_json_number(&json, "documents", report->documents);
  hf_cli_json_number(&json, "bytes", report->bytes);
  hf_cli_json_number(&json, "tiles", report->tiles);
  hf_cli_json_number(&json, "blobs", report->blobs);
  hf_cli_json_number(&json, "blob_bytes", report->blob_bytes);
  hf_cli_json_number(&json, "blobs_young", report->blobs_young);
  hf_cli_json_number(&json, "leftovers", report->leftovers);
  hf_cli_json_number(&json, "leftover_bytes", report->leftover_bytes);
  hf_cli_json_number(&json, "waiting", report->waiting);
  hf_cli_json_number(&json, "records", report->records);
  hf_cli_json_number(&json, "head", report->head);
  hf_cli_json_end(&json);
}

static void print_report(hf_cli *cli, const hf_gc_report *report) {
  if (cli->args.json) {
    print_json(cli, report);
    return;
  }
  const char *what = cli->args.dry_run ? "would be dropped" : "dropped";
  const char *removed = cli->args.dry_run ? "would be removed" : "removed";
  char size[HF_CLI_SIZE_BYTES];
  hf_cli_out_format(cli, "documents %s: %" PRIu64 " (%s, in %" PRIu64 " tile%s)\n", what,
                    report->documents, hf_cli_size_text(report->bytes, size), report->tiles,
                    report->tiles == 1 ? "" : "s");
  hf_cli_out_format(cli, "blobs %s: %" PRIu64 " (%s)\n", removed, report->blobs,
                    hf_cli_size_text(report->blob_bytes, size));
  hf_cli_out_format(cli, "leftovers %s: %" PRIu64 " (%s)\n", removed, report->leftovers,
                    hf_cli_size_text(report->leftover_bytes, size));
  if (report->blobs_young > 0)
    hf_cli_out_format(cli, "blobs that changed within the last hour, kept: %" PRIu64 "\n",
                      report->blobs_young);
  if (report->waiting > 0)
    hf_cli_out_format(cli, "documents kept until %d records fill their tile: %" PRIu64 "\n",
                      HF_TILE_RECORDS, report->waiting);
}

/* The library takes 0 for "no such rule"; a rule that keeps nothing would drop everything. */
static int check_rules(const hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  if (args->keep_last.given && args->keep_last.value == 0)
    return hf_cli_usage(cli, "--keep-last", "wants a number from 1 on");
  if (args->older_than_ms == 0)
    return hf_cli_usage(cli, "--older-than", "wants more than no time");
  if (args->keep_baselines && !args->keep_last.given && args->older_than_ms < 0)
    return hf_cli_usage(cli, "--keep-baselines",
                        "drops nothing by itself; give --keep-last or --older-than, too");
  return HF_CLI_DONE;
}

static int run_gc(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int status = check_rules(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_gc_options options = {.keep_last = args->keep_last.value,
                           .keep_baselines = args->keep_baselines,
                           .older_than_ms = args->older_than_ms > 0 ? args->older_than_ms : 0,
                           .dry_run = args->dry_run,
                           .timeout_ms = args->timeout_ms,
                           .progress = hf_cli_progress};
  hf_gc_report report = {0};
  hf_error err = HF_ERROR_INIT;
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  int rc = hf_gc(cli->store, &options, &report, &err);
  hf_cli_progress_clear();
  if (rc == HF_OK || report.documents > 0 || report.blobs > 0)
    print_report(cli, &report);
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path,
                         "stopped by a signal; what was dropped is dropped, and the same command "
                         "goes on from there");
  return rc == HF_OK ? HF_CLI_DONE : hf_cli_library_error(cli, NULL, &err);
}

const hf_cli_command hf_cli_command_gc = {
    .name = "gc",
    .synopsis = "gc [--keep-last N] [--keep-baselines] [--older-than DURATION] [--dry-run] "
                "[--timeout DURATION]",
    .summary = "drop old documents and free space",
    .details =
        "Drops documents that none of the rules keeps: the last N snapshots of each group, stage "
        "and dims (of each key, where there is no group), what was saved within the time of "
        "--older-than, with --keep-baselines what a baseline names or has named. Retired snapshots "
        "do not count among the last N. Envelopes stay: seq, key, times, size and SHA-256; get "
        "then says when and by which record the document was dropped (exit status 3), and list "
        "and prev by envelope go on as before. Dropping cannot be undone.\n"
        "\n"
        "Without --keep-last and --older-than no document is dropped. Always removed are large "
        "documents that no record refers to any more, and files of dead writers, both once they "
        "are older than an hour. The time of a snapshot is when it was saved; it is compared with "
        "now, or with the latest save if that is earlier, so that a clock that is wrong keeps "
        "more.\n"
        "\n"
        "Others may save and read meanwhile. Stopped or killed at any instant it leaves a correct "
        "store; the same command goes on. With --json: dry_run, documents, bytes, tiles, blobs, "
        "blob_bytes, blobs_young, leftovers, leftover_bytes, waiting, records, head.",
    .examples = "holdfast gc --keep-last 10 --keep-baselines --older-than 90d --dry-run\n"
                "holdfast gc --keep-last 10 --keep-baselines --older-than 90d\n"
                "holdfast gc",
    .options = gc_options,
    .options_count = HF_CLI_COUNT(gc_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_gc,
};
