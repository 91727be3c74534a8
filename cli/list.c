#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "records.h"
#include "store.h"

static const hf_cli_option list_options[] = {
    HF_CLI_OPT_RUN_ID("only this run"),
    HF_CLI_OPT_STAGE("only this stage"),
    HF_CLI_OPT_GROUP("only this group"),
    HF_CLI_OPT_DIM("only snapshots that have this dim, whatever others they have"),
    HF_CLI_OPT_NUMBER("since", since, "N", "from seq N on"),
    HF_CLI_OPT_NUMBER("until", until, "N",
                      "up to seq N; revisions are those that were current then"),
    HF_CLI_OPT_NUMBER("limit", limit, "K", "at most K of them"),
    HF_CLI_OPT_FLAG("reverse", reverse, "the highest seq first"),
    HF_CLI_OPT_FLAG("all-revisions", all_revisions, "older revisions too"),
    HF_CLI_OPT_FLAG("all-records", all_records,
                    "the records that are no snapshots too, each with its op, and older revisions"),
    HF_CLI_OPT_FLAG("retired", retired, "retired snapshots too, each marked as such"),
    HF_CLI_OPT_CHOICE("format", format, "table|jsonl|csv", "table is the default"),
};

/* The library takes 0 for "no bound"; who asks for nothing gets nothing. */
static int asks_for_nothing(const hf_cli_args *args) {
  return (args->until.given && args->until.value == 0) ||
         (args->limit.given && args->limit.value == 0);
}

static int run_list(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int status = hf_cli_check_format(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_list_options options = {
      .run_id = args->run_id,
      .stage = args->stage,
      .group = args->group,
      .dims = args->dims,
      .dims_count = args->dims_count,
      .since = args->since.value,
      .until = args->until.value,
      .limit = args->limit.value,
      .reverse = args->reverse,
      .all_revisions = args->all_revisions,
      .all_records = args->all_records,
      .retired = args->retired,
  };
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  if (!asks_for_nothing(args) && hf_list(cli->store, &options, &cursor, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  status = hf_cli_print_records(cli, cursor, args->all_records,
                                args->all_revisions || args->all_records || args->retired, NULL);
  hf_cursor_close(&cursor);
  return status;
}

const hf_cli_command hf_cli_command_list = {
    .name = "list",
    .synopsis = "list [--run-id R] [--stage S] [--group G] [--dim N=V]... [--since N] [--until N] "
                "[--limit K] [--reverse] [--all-revisions] [--all-records] "
                "[--retired] [--format table|jsonl|csv]",
    .summary = "list snapshots",
    .details =
        "Lists snapshots in the order of their seq, without their documents: the current revision "
        "of each key that is not retired, unless others are asked for. A list may skip a seq (an "
        "older revision, a "
        "record that is no snapshot); the log has no gap. A record that cannot be read is told on "
        "stderr, the list goes on, and the exit status is 1.\n"
        "\n"
        "The table shows the beginning of long groups, and control characters as escapes. jsonl "
        "(or --json) and csv (RFC 4180) show everything as it is: seq, op, id, run_id, stage, "
        "dims, group, ts, at, host, pid, sha256, size, current; jsonl also legacy_seq and "
        "legacy_clock, for imported snapshots; retired, the seq of the record that hides it; and "
        "dropped, that of the one by which gc dropped its document.",
    .examples = "holdfast list --stage final --limit 20 --reverse\n"
                "holdfast list --format csv --all-revisions",
    .options = list_options,
    .options_count = HF_CLI_COUNT(list_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_list,
};
