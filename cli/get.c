#include <inttypes.h>

#include "cli.h"
#include "document.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option get_options[] = {
    HF_CLI_OPT_NUMBER("seq", seq, "N", "the record with this seq, whatever revision it is"),
    HF_CLI_OPT_RUN_ID("the run"),
    HF_CLI_OPT_STAGE("the stage"),
    HF_CLI_OPT_DIM("a dim of the key; all of them must be given"),
    HF_CLI_OPT_NUMBER("at", at, "N", "as of seq N: what was current then"),
    HF_CLI_OPT_TEXT("pointer", pointer, "/a/b", 0,
                    "only the value at this JSON Pointer (RFC 6901), as it was written"),
    HF_CLI_OPT_FLAG("meta", meta, "envelope and document as one object that begins with seq"),
};

static int by_seq(hf_cli *cli, hf_record **ret_record) {
  const hf_cli_args *args = &cli->args;
  hf_error err = HF_ERROR_INIT;
  int found = 0;
  if (!args->at.given || args->seq.value <= args->at.value)
    found = hf_get_seq(cli->store, args->seq.value, ret_record, &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (found == 0) {
    hf_cli_error(cli, cli->store_path, "there is no seq %" PRIu64, args->seq.value);
    return HF_CLI_NOT_FOUND;
  }
  return HF_CLI_DONE;
}

static int by_key(hf_cli *cli, const hf_key *key, hf_record **ret_record) {
  const hf_cli_number *at = &cli->args.at;
  hf_error err = HF_ERROR_INIT;
  int found = 0;
  if (!at->given || at->value > 0)
    found = hf_cli_get_find(cli, key, at->given ? at->value : 0, ret_record, &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (found == 0) {
    hf_cli_error(cli, cli->store_path, "there is no snapshot of run \"%s\", stage \"%s\"%s%s",
                 key->run_id, key->stage, key->dims_count > 0 ? " with these dims" : "",
                 at->given ? " as of that seq" : "");
    return HF_CLI_NOT_FOUND;
  }
  return HF_CLI_DONE;
}

static int run_get(hf_cli *cli) {
  int use_seq = 0;
  hf_key key = {0};
  int status = hf_cli_check_print(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_seq_or_key(cli, &use_seq, &key);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_record *record = NULL;
  status = use_seq ? by_seq(cli, &record) : by_key(cli, &key, &record);
  if (status == HF_CLI_DONE)
    status = hf_cli_print_record(cli, record);
  hf_record_free(&record);
  return status;
}

const hf_cli_command hf_cli_command_get = {
    .name = "get",
    .synopsis = "get --seq N [--at N] [--pointer /a/b | --meta]\n"
                "get --run-id R --stage S [--dim N=V]... [--at N] [--pointer /a/b | --meta]",
    .summary = "print a snapshot",
    .details =
        "Prints the document of a snapshot: the one with the seq, or the current revision of the "
        "key. Members, order, strings and numbers are those that were saved; only insignificant "
        "white space is gone. Exit status 3 where there is no such snapshot, or nothing at the "
        "pointer. The document is JSON: --json changes nothing. By its key: a record that cannot "
        "be read is passed over, and a warning says so: it may have been a later revision.",
    .examples = "holdfast get --seq 7\n"
                "holdfast get --run-id nightly-3 --stage final --pointer /metrics/loss\n"
                "holdfast get --run-id nightly-3 --stage final --at 12 --meta",
    .options = get_options,
    .options_count = HF_CLI_COUNT(get_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_get,
};
