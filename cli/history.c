#include "cli.h"
#include "errors.h"
#include "options.h"
#include "records.h"
#include "store.h"

static const hf_cli_option history_options[] = {
    HF_CLI_OPT_RUN_ID("the run"),
    HF_CLI_OPT_STAGE("the stage"),
    HF_CLI_OPT_DIM("a dim of the key; all of them must be given"),
    HF_CLI_OPT_TEXT("columns", columns, "A,B", 0, "what to show: see holdfast help list"),
    HF_CLI_OPT_CHOICE("format", format, "table|jsonl|csv", "table is the default"),
};

/* Has the key any revision, or what may be one? 1, 0, or negative. */
static int is_there(hf_cli *cli, const hf_key *key, hf_error *reterr) {
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  int got = hf_history(cli->store, key, &cursor, reterr);
  if (got == HF_OK)
    got = hf_cursor_next(cursor, &record, reterr);
  hf_record_free(&record);
  hf_cursor_close(&cursor);
  return got == HF_EDAMAGED ? 1 : got; /* the list tells */
}

/* Where there is none nothing is printed, not even a heading. */
static int print(hf_cli *cli, const hf_key *key, hf_cli_layout *layout) {
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  int there = is_there(cli, key, &err);
  if (there < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (there == 0) {
    hf_cli_error(cli, cli->store_path, "there is no snapshot of run \"%s\", stage \"%s\"%s",
                 key->run_id, key->stage, key->dims_count > 0 ? " with these dims" : "");
    return HF_CLI_NOT_FOUND;
  }
  if (hf_history(cli->store, key, &cursor, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  int status = hf_cli_print_records(cli, cursor, layout);
  hf_cursor_close(&cursor);
  return status;
}

static int run_history(hf_cli *cli) {
  hf_key key = {0};
  int status = hf_cli_check_format(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_key(cli, &key);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_cli_layout layout;
  status = hf_cli_layout_begin(cli, 0, 1, &layout);
  if (status == HF_CLI_DONE)
    status = print(cli, &key, &layout);
  hf_cli_layout_end(&layout);
  return status;
}

const hf_cli_command hf_cli_command_history = {
    .name = "history",
    .synopsis = "history --run-id R --stage S [--dim N=V]... [--columns A,B,...] "
                "[--format table|jsonl|csv]",
    .summary = "list the revisions of one key",
    .details = "Lists every revision of the key, the first one first, as list does. Exit status 3 "
               "where the key has none.",
    .examples = "holdfast history --run-id nightly-3 --stage final",
    .options = history_options,
    .options_count = HF_CLI_COUNT(history_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_history,
};
