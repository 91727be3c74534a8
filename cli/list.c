#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "records.h"
#include "store.h"
#include "where.h"

static const hf_cli_option list_options[] = {
    HF_CLI_OPT_RUN_ID("only this run"),
    HF_CLI_OPT_STAGE("only this stage"),
    HF_CLI_OPT_GROUP("only this group"),
    HF_CLI_OPT_DIM("only snapshots that have this dim, whatever others they have"),
    HF_CLI_OPT_FILTERS,
    HF_CLI_OPT_NUMBER("since", since, "N", "from seq N on"),
    HF_CLI_OPT_NUMBER("until", until, "N",
                      "up to seq N; revisions are those that were current then"),
    HF_CLI_OPT_TEXT("columns", columns, "A,B", 0,
                    "what to show: members of the envelope and pointers into the document"),
    HF_CLI_OPT_TEXT("sort", sort, "COLUMN[:desc]", 0, "in the order of this; without it by seq"),
    HF_CLI_OPT_NUMBER("limit", limit, "K", "at most K of them, after sorting"),
    HF_CLI_OPT_FLAG("reverse", reverse, "the highest seq first"),
    HF_CLI_OPT_FLAG("all-revisions", all_revisions, "older revisions too"),
    HF_CLI_OPT_FLAG("all-records", all_records,
                    "the records that are no snapshots too, each with its op, and older revisions"),
    HF_CLI_OPT_FLAG("retired", retired, "retired snapshots too, each marked as such"),
    HF_CLI_OPT_CHOICE("format", format, "table|jsonl|csv", "table is the default"),
};

static int print(hf_cli *cli, hf_cli_layout *layout, hf_list_options *options) {
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  hf_cli_layout_choose(layout, options);
  if (!hf_cli_asks_for_nothing(cli) && hf_list(cli->store, options, &cursor, &err) != HF_OK)
    return hf_cli_list_error(cli, &err);
  int status = hf_cli_print_records(cli, cursor, layout);
  hf_cursor_close(&cursor);
  return status;
}

static int run_list(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  hf_list_options options = {
      .limit = args->limit.value,
      .reverse = args->reverse,
      .all_revisions = args->all_revisions,
      .all_records = args->all_records,
      .retired = args->retired,
  };
  hf_expr *where = NULL;
  hf_cli_layout layout = {0};
  int status = hf_cli_check_format(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_filters(cli, &options, &where);
  if (status == HF_CLI_DONE)
    status = hf_cli_layout_begin(
        cli, args->all_records, args->all_revisions || args->all_records || args->retired, &layout);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status == HF_CLI_DONE)
    status = print(cli, &layout, &options);
  hf_cli_layout_end(&layout);
  hf_expr_free(&where);
  return status;
}

const hf_cli_command hf_cli_command_list = {
    .name = "list",
    .synopsis =
        "list [--run-id R] [--stage S] [--group G] [--dim N=V]... " HF_CLI_FILTERS_SYNOPSIS " "
        "[--since N] [--until N] [--columns A,B,...] [--sort COLUMN[:desc]] [--limit K] "
        "[--reverse] [--all-revisions] [--all-records] [--retired] [--format table|jsonl|csv]",
    .summary = "list snapshots",
    .details =
        "Lists snapshots in the order of their seq, without their documents: the current revision "
        "of each key that is not retired, unless others are asked for. A list may skip a seq (an "
        "older revision, a "
        "record that is no snapshot); the log has no gap. A record that cannot be read is told on "
        "stderr, the list goes on, and the exit status is 1.\n"
        "\n"
        "The table shows the beginning of long groups, and control characters as escapes; on a "
        "terminal it fits the width: of times that do not fit the minute is shown, without an "
        "offset "
        "where it is UTC, and below 120 columns one column, time, stands for ts and at. jsonl (or "
        "--json) and csv (RFC 4180) show everything as it "
        "is: seq, op, id, run_id, stage, dims, group, ts, at, host, pid, sha256, size, current; "
        "jsonl also legacy_seq and legacy_clock, for imported snapshots; retired, the seq of the "
        "record that hides it; and dropped, that of the one by which gc dropped its document. "
        "--columns chooses: these "
        "members, time, dims.NAME, and JSON Pointers (RFC 6901) into the document, separated by "
        "commas. Numbers are shown as they were written. What is absent is empty; in jsonl it is "
        "null.\n"
        "\n"
        "--where keeps the snapshots for which an expression holds: comparisons ( == != < <= > >= "
        ") of pointers, members and JSON values, exists, and, or, not, parentheses. Given several "
        "times, all must hold. Numbers are compared exactly. Where a side is absent, every "
        "comparison is false, != as well: write not /a == 1 for what has no /a, too. Values of "
        "different types are not equal. A pointer with blanks or one of ( ) < > = ! , \" is "
        "written @\"/a b\", a dim's name dims.\"a b\".\n"
        "\n"
        "time is the snapshot's own time (ts), or where it has none the time when it was saved "
        "(at). --after takes that time or later, --before what is earlier; in --where these three "
        "are compared with timestamps as instants. A time without a zone is taken as UTC, in the "
        "option and in the snapshot, on whatever host it was written.\n"
        "\n"
        "--sort puts numbers first, by their exact value, then times, then everything else by its "
        "text; what is absent (or null) is last, with :desc too. Rows that are equal stay in the "
        "order of their seq. What waits to be sorted is held in memory: with --limit K no more "
        "than 2 K rows (or 1,024), else up to 256 MiB, and beyond that the command fails.",
    .examples = "holdfast list --stage final --limit 20 --reverse\n"
                "holdfast list --where '/metrics/auc > 0.7 and not dims.view == \"test\"'\n"
                "holdfast list --columns run_id,/metrics/auc --sort /metrics/auc:desc --limit 5\n"
                "holdfast list --after 2026-01-01 --before 2026-02-01 --host node7\n"
                "holdfast list --format csv --all-revisions",
    .options = list_options,
    .options_count = HF_CLI_COUNT(list_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_list,
};
