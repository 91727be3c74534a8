#include <inttypes.h>
#include <string.h>

#include <holdfast/admin.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option retire_options[] = {
    HF_CLI_OPT_RUN_ID("the run; its current revision is retired"),
    HF_CLI_OPT_STAGE("the stage"),
    HF_CLI_OPT_DIM("a dim of the key; all of them must be given"),
    HF_CLI_OPT_TEXT("reason", reason, "TEXT", HF_REASON_BYTES_MAX, "why; it is kept in the log"),
    HF_CLI_OPT_FLAG("undo", undo, "take it back: the snapshot is shown again"),
    HF_CLI_OPT_TIMEOUT,
};

/* SEQ, or a key. */
static int read_what(const hf_cli *cli, uint64_t *ret_seq, hf_key *ret_key) {
  const hf_cli_args *args = &cli->args;
  int has_key = args->run_id != NULL || args->stage != NULL || args->dims_count > 0;
  if (args->operands_count == 0)
    return has_key ? hf_cli_need_key(cli, ret_key)
                   : hf_cli_usage(cli, NULL, "wants a SEQ, or --run-id and --stage");
  if (has_key)
    return hf_cli_usage(cli, NULL, "wants a SEQ or a key, not both");
  if (hf_cli_parse_number(args->operands[0], ret_seq) != 0 || *ret_seq == 0)
    return hf_cli_usage(cli, NULL, "\"%.80s\" is no seq; give a number from 1 on",
                        args->operands[0]);
  return HF_CLI_DONE;
}

static void print_report(hf_cli *cli, const hf_retire_report *report) {
  const char *what = cli->args.undo ? "shown again" : "retired";
  if (cli->args.json) {
    hf_cli_json json;
    hf_cli_json_begin(&json, cli);
    hf_cli_json_number(&json, "of", report->of);
    hf_cli_json_bool(&json, "retired", !cli->args.undo);
    if (report->seq > 0)
      hf_cli_json_number(&json, "seq", report->seq);
    else
      hf_cli_json_null(&json, "seq");
    hf_cli_json_bool(&json, "created", report->created);
    hf_cli_json_end(&json);
    return;
  }
  if (report->created)
    hf_cli_out_format(cli, "seq %" PRIu64 " is %s, by seq %" PRIu64 "\n", report->of, what,
                      report->seq);
  else if (report->seq > 0)
    hf_cli_out_format(cli, "seq %" PRIu64 " was %s already, by seq %" PRIu64 "\n", report->of, what,
                      report->seq);
  else
    hf_cli_out_format(cli, "seq %" PRIu64 " was never retired\n", report->of);
}

static int run_retire(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  uint64_t seq = 0;
  hf_key key = {0};
  int status = read_what(cli, &seq, &key);
  if (status == HF_CLI_DONE && args->reason == NULL && !args->undo)
    status = hf_cli_usage(cli, "--reason", "is missing; say why, for whoever looks for it");
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_retire_report report = {0};
  hf_retire_options options = {args->reason, args->undo, args->timeout_ms};
  if (hf_retire(cli->store, seq > 0 ? NULL : &key, seq, &options, &report, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  print_report(cli, &report);
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_retire = {
    .name = "retire",
    .synopsis = "retire SEQ --reason TEXT\n"
                "retire --run-id R --stage S [--dim N=V]... --reason TEXT\n"
                "retire SEQ | --run-id R --stage S [--dim N=V]... --undo [--reason TEXT]",
    .summary = "hide a snapshot, or show it again",
    .details =
        "Hides a snapshot that should not count: list, prev and get by key pass over it, as if it "
        "had not been saved, so that the revision before is current again. Nothing is lost: get "
        "--seq still prints it, list --retired and history show it, and --undo shows it again. "
        "With a key it is the key's current revision, with --undo its highest retired one. The "
        "same document saved again makes a new revision.\n"
        "\n"
        "It is a record in the log; prints which. Retired again, it says by which record it was "
        "already. With --json: of, retired, seq, created. Exit status 3 where there is no such "
        "snapshot.",
    .examples = "holdfast retire 7 --reason \"wrong split\"\n"
                "holdfast retire --run-id nightly-3 --stage final --reason \"broken sensor\"\n"
                "holdfast retire 7 --undo",
    .options = retire_options,
    .options_count = HF_CLI_COUNT(retire_options),
    .operands_min = 0,
    .operands_max = 1,
    .run = run_retire,
};
