#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include <holdfast/admin.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "outfile.h"
#include "output.h"
#include "progress.h"
#include "store.h"

static const hf_cli_option export_options[] = {
    HF_CLI_OPT_CHOICE("format", format, "index|jsonl|csv",
                      "index: the older run_id:stage form; jsonl: envelope and document a line, "
                      "every revision; csv: the envelopes"),
    HF_CLI_OPT_TEXT("out", out, "FILE", 0,
                    "where to; the file appears whole or not at all (- or nothing: standard "
                    "output)"),
};

static int write_stdout(void *context, const char *bytes, size_t count) {
  hf_cli *cli = context;
  hf_cli_out(cli, bytes, count);
  errno = cli->out_errno;
  return cli->out_errno != 0;
}

static int write_file(void *context, const char *bytes, size_t count) {
  hf_cli_outfile *file = context;
  return fwrite(bytes, 1, count, file->stream) != count;
}

static hf_export_format chosen(const char *format) {
  if (strcmp(format, "index") == 0)
    return HF_EXPORT_INDEX;
  return strcmp(format, "csv") == 0 ? HF_EXPORT_CSV : HF_EXPORT_JSONL;
}

static int export_error(const hf_cli *cli, int rc, const hf_error *err) {
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path, "stopped by a signal");
  return hf_cli_library_error(cli, NULL, err);
}

static int to_file(hf_cli *cli, const hf_export_options *options, uint64_t *ret_count) {
  hf_cli_outfile file;
  hf_error err = HF_ERROR_INIT;
  int status = hf_cli_outfile_open(cli, cli->args.out, &file);
  if (status == HF_CLI_DONE) {
    int rc = hf_export(cli->store, options, write_file, &file, ret_count, &err);
    hf_cli_progress_clear();
    status = rc == HF_OK ? hf_cli_outfile_commit(cli, &file) : export_error(cli, rc, &err);
  }
  hf_cli_outfile_close(&file);
  return status;
}

static int to_stdout(hf_cli *cli, const hf_export_options *options, uint64_t *ret_count) {
  hf_error err = HF_ERROR_INIT;
  int rc = hf_export(cli->store, options, write_stdout, cli, ret_count, &err);
  hf_cli_progress_clear();
  if (rc == HF_OK || cli->out_errno != 0) /* that stdout failed is told at the end */
    return HF_CLI_DONE;
  return export_error(cli, rc, &err);
}

static int run_export(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int has_file = args->out != NULL && strcmp(args->out, "-") != 0;
  if (args->format == NULL)
    return hf_cli_usage(cli, "--format", "is missing");
  if (args->json && !has_file)
    return hf_cli_usage(cli, "--json", "tells about an export to a file: give --out FILE");
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  uint64_t dropped = 0;
  hf_export_options options = {
      .format = chosen(args->format), .progress = hf_cli_progress, .ret_dropped = &dropped};
  uint64_t count = 0;
  hf_cli_signals_catch();
  if (has_file)
    hf_cli_progress_start(cli);
  status = has_file ? to_file(cli, &options, &count) : to_stdout(cli, &options, &count);
  if (status == HF_CLI_DONE && dropped > 0)
    hf_cli_error(cli, cli->store_path,
                 "note: %" PRIu64 " snapshots are left out: gc has dropped their documents",
                 dropped);
  if (status != HF_CLI_DONE || !has_file)
    return status;
  if (!args->json) {
    hf_cli_out_format(cli, "exported: %" PRIu64 "\n", count);
    return HF_CLI_DONE;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "format", args->format);
  hf_cli_json_number(&json, "exported", count);
  if (dropped > 0)
    hf_cli_json_number(&json, "dropped", dropped);
  hf_cli_json_text(&json, "out", args->out);
  hf_cli_json_end(&json);
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_export = {
    .name = "export",
    .synopsis = "export --format index|jsonl|csv [--out FILE]",
    .summary = "export snapshots",
    .details =
        "Writes the snapshots to FILE or to standard output. index is the form of the older "
        "program's snapshot_index.json, with the current revisions; import gives the same "
        "snapshots back in the same order. jsonl has every revision, envelope and document as one "
        "object a line. csv (RFC 4180) has the envelopes of the current revisions.\n"
        "\n"
        "With --out prints how many were exported; with --json: format, exported, out.",
    .examples = "holdfast export --format jsonl --out runs.jsonl\n"
                "holdfast export --format csv | column -s, -t",
    .options = export_options,
    .options_count = HF_CLI_COUNT(export_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_export,
};
