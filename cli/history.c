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

static int run_history(hf_cli *cli) {
  hf_key key = {0};
  int status = hf_cli_check_format(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_key(cli, &key);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  if (hf_history(cli->store, &key, &cursor, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  uint64_t count = 0;
  hf_cli_layout layout;
  status = hf_cli_layout_begin(cli, 0, 1, &layout);
  if (status == HF_CLI_DONE)
    status = hf_cli_print_records(cli, cursor, &layout, &count);
  hf_cli_layout_end(&layout);
  hf_cursor_close(&cursor);
  if (status != HF_CLI_DONE || count > 0)
    return status;
  hf_cli_error(cli, cli->store_path, "there is no snapshot of run \"%s\", stage \"%s\"%s",
               key.run_id, key.stage, key.dims_count > 0 ? " with these dims" : "");
  return HF_CLI_NOT_FOUND;
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
