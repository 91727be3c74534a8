#include "cli.h"
#include "document.h"
#include "errors.h"
#include "options.h"
#include "store.h"

static const hf_cli_option prev_options[] = {
    HF_CLI_OPT_NUMBER("seq", seq, "N", "the previous one of the snapshot with this seq"),
    HF_CLI_OPT_RUN_ID("the run"),
    HF_CLI_OPT_STAGE("the stage"),
    HF_CLI_OPT_DIM("a dim of the key; all of them must be given"),
    HF_CLI_OPT_GROUP("as if the key had this group; the key need not exist yet"),
    HF_CLI_OPT_TEXT("pointer", pointer, "/a/b", 0,
                    "only the value at this JSON Pointer (RFC 6901), as it was written"),
    HF_CLI_OPT_FLAG("meta", meta, "envelope and document as one object that begins with seq"),
};

static int run_prev(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int use_seq = 0;
  hf_key key = {0};
  int status = hf_cli_check_print(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_seq_or_key(cli, &use_seq, &key);
  if (status == HF_CLI_DONE && use_seq && args->group != NULL)
    status = hf_cli_usage(cli, "--group", "goes with --run-id and --stage, not with --seq");
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_prev_query query = {use_seq ? NULL : &key, args->group, args->seq.value};
  int found = hf_cli_prev_find(cli, &query, &record, &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (found == 0) {
    hf_cli_error(cli, cli->store_path, "there is no previous comparable snapshot");
    return HF_CLI_NOT_FOUND;
  }
  status = hf_cli_print_record(cli, record);
  hf_record_free(&record);
  return status;
}

const hf_cli_command hf_cli_command_prev = {
    .name = "prev",
    .synopsis = "prev --seq N [--pointer /a/b | --meta]\n"
                "prev --run-id R --stage S [--dim N=V]... [--group G] [--pointer /a/b | --meta]",
    .summary = "print the previous comparable snapshot",
    .details =
        "Prints the document of the previous comparable snapshot: of those with the same group, "
        "stage and dims and another run_id, the one with the highest lower seq. Older revisions "
        "count. Exit status 3 where there is none; a snapshot without a group has none. A record "
        "that cannot be read is passed over, and a warning says so: it may have been the one.",
    .examples = "holdfast prev --seq 7 --meta\n"
                "holdfast prev --run-id nightly-3 --stage final --pointer /metrics/loss",
    .options = prev_options,
    .options_count = HF_CLI_COUNT(prev_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_prev,
};
