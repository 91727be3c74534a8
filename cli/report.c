#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "options.h"
#include "outfile.h"
#include "output.h"
#include "progress.h"
#include "report_page.h"
#include "store.h"
#include "where.h"

enum { TITLE_BYTES_MAX = 512 };

static const hf_cli_option report_options[] = {
    HF_CLI_OPT_TEXT("out", out, "FILE", 0,
                    "where to; the file appears whole or not at all (- or nothing: standard "
                    "output)"),
    HF_CLI_OPT_RUN_ID("only this run"),
    HF_CLI_OPT_STAGE("only this stage"),
    HF_CLI_OPT_GROUP("only this group"),
    HF_CLI_OPT_DIM("only snapshots that have this dim, whatever others they have"),
    HF_CLI_OPT_FILTERS,
    HF_CLI_OPT_NUMBER("since", since, "N", "from seq N on"),
    HF_CLI_OPT_NUMBER("until", until, "N", "as of seq N: snapshots, revisions and baselines"),
    HF_CLI_OPT_FLAG("all-revisions", all_revisions, "older revisions too"),
    HF_CLI_OPT(HF_CLI_TEXTS, "metric", metrics, "POINTER",
               "draw the number at this JSON Pointer (may be given several times); without it: the "
               "numbers under /outputs/metrics, /metrics and /outputs"),
    HF_CLI_OPT_TEXT("tolerance", tolerance, "X|X%", HF_CLI_TOLERANCE_BYTES - 1,
                    "how much worse than the baseline is no regression, as of baseline check"),
    HF_CLI_OPT_TEXT("title", title, "T", TITLE_BYTES_MAX, "the title of the page"),
};

static int write_page(hf_cli *cli, const hf_cli_report *report, const char *title) {
  const char *out = cli->args.out;
  hf_cli_outfile file;
  if (out == NULL || strcmp(out, "-") == 0) {
    errno = 0;
    if (hf_cli_report_write_page(report, title, stdout) != 0 && cli->out_errno == 0)
      cli->out_errno = errno != 0 ? errno : EIO; /* told at the end */
    return HF_CLI_DONE;
  }
  int status = hf_cli_outfile_open(cli, out, &file);
  errno = 0;
  if (status == HF_CLI_DONE && hf_cli_report_write_page(report, title, file.stream) != 0)
    status = hf_cli_failed(cli, out, "cannot be written: %s", strerror(errno != 0 ? errno : EIO));
  if (status == HF_CLI_DONE)
    status = hf_cli_outfile_commit(cli, &file);
  hf_cli_outfile_close(&file);
  return status;
}

static int write_titled(hf_cli *cli, const hf_cli_report *report) {
  char *title = NULL;
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  if (cli->args.title != NULL)
    return write_page(cli, report, cli->args.title);
  if (hf_store_info(cli->store, &info, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (asprintf(&title, "Runs in %s", info.path) < 0)
    return hf_cli_no_memory(cli);
  int status = write_page(cli, report, title);
  free(title);
  return status;
}

static size_t shown_sets(const hf_cli_report *report) {
  size_t count = 0;
  for (size_t i = 0; i < report->sets_count; i++)
    count += report->sets[i]->rows_count > 0;
  return count;
}

static void tell(hf_cli *cli, const hf_cli_report *report) {
  size_t sets = shown_sets(report);
  if (!cli->args.json) {
    hf_cli_out_format(cli, "reported: %" PRIu64 " in %zu group%s\n", report->runs, sets,
                      sets == 1 ? "" : "s");
    return;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_number(&json, "reported", report->runs);
  hf_cli_json_number(&json, "groups", sets);
  hf_cli_json_number(&json, "at", report->head);
  hf_cli_json_number(&json, "damaged", report->damaged);
  hf_cli_json_text(&json, "out", cli->args.out);
  hf_cli_json_end(&json);
}

static int check_metrics(const hf_cli *cli) {
  const hf_cli_texts *metrics = &cli->args.metrics;
  if (metrics->count >= HF_CLI_REPORT_METRICS_MAX) /* the baseline's has its place, too */
    return hf_cli_usage(cli, "--metric", "is given more than %d times; that is the limit",
                        HF_CLI_REPORT_METRICS_MAX - 1);
  int status = HF_CLI_DONE;
  for (size_t i = 0; i < metrics->count && status == HF_CLI_DONE; i++)
    status = hf_cli_check_metric(cli, metrics->text[i]);
  return status;
}

static int run_report(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int has_file = args->out != NULL && strcmp(args->out, "-") != 0;
  hf_cli_report report;
  if (args->json && !has_file)
    return hf_cli_usage(cli, "--json", "tells about a report in a file: give --out FILE");
  int status = check_metrics(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_cli_signals_catch();
  if (has_file)
    hf_cli_progress_start(cli);
  status = hf_cli_report_gather(cli, &report);
  int damaged = report.damaged > 0 && status == HF_CLI_FAILED;
  if (status == HF_CLI_DONE || damaged) {
    int written = write_titled(cli, &report);
    if (written == HF_CLI_DONE && has_file)
      tell(cli, &report);
    if (written != HF_CLI_DONE)
      status = written;
  }
  hf_cli_report_free(&report);
  return status;
}

const hf_cli_command hf_cli_command_report = {
    .name = "report",
    .synopsis = "report [--out FILE] [--run-id R] [--stage S] [--group G] [--dim "
                "N=V]... " HF_CLI_FILTERS_SYNOPSIS
                " [--since N] [--until N] [--all-revisions] [--metric POINTER]... "
                "[--tolerance X|X%] [--title T]",
    .summary = "make one HTML file with groups, plots, baselines and changes",
    .details =
        "Writes one HTML file that needs nothing else: no network, no server, no other file. It "
        "shows each group (the same group, stage and dims) with plots of its metrics over seq, "
        "the baseline and what is worse than it, and for each run what changed since its previous "
        "comparable one, by the rules of diff. It can be searched and filtered, and read without "
        "a mouse; it follows the light or dark scheme of the reader, and prints.\n"
        "\n"
        "Without --metric the numbers under /outputs/metrics are drawn, then those under /metrics "
        "and /outputs, at most 16 of a group, but for those that a comparison leaves out, and "
        "lists. The baseline's metric is always there. A run is a regression where its metric is "
        "worse than the baseline in force, as baseline check says.\n"
        "\n"
        "Of a run at most 40 changes are in the page, the gravest, and of a value its first 160 "
        "bytes; the page says where something was cut. A record that cannot be read is told on "
        "stderr and in the page, and the exit status is 1.\n"
        "\n"
        "With --out prints how many snapshots in how many groups; with --json: reported, groups, "
        "at, damaged, out.",
    .examples = "holdfast report --out runs.html\n"
                "holdfast report --stage TRAINING --metric /outputs/metrics/auc --out auc.html",
    .options = report_options,
    .options_count = HF_CLI_COUNT(report_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_report,
};
