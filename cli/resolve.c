#include <inttypes.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option resolve_options[] = {
    HF_CLI_OPT_TIMEOUT,
};

static int run_resolve(hf_cli *cli) {
  const char *id = cli->args.operands[0];
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  uint64_t seq = 0;
  int found = hf_resolve(cli->store, id, cli->args.timeout_ms, &seq, &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (cli->args.json) {
    hf_cli_json json;
    hf_cli_json_begin(&json, cli);
    hf_cli_json_text(&json, "id", id);
    hf_cli_json_bool(&json, "committed", found);
    if (found)
      hf_cli_json_number(&json, "seq", seq);
    else
      hf_cli_json_null(&json, "seq");
    hf_cli_json_end(&json);
  } else if (found) {
    hf_cli_out_format(cli, "%" PRIu64 "\n", seq);
  }
  if (found)
    return HF_CLI_DONE;
  hf_cli_error(cli, cli->store_path, "attempt %s is not committed, and never will be", id);
  return HF_CLI_NOT_FOUND;
}

const hf_cli_command hf_cli_command_resolve = {
    .name = "resolve",
    .synopsis = "resolve ID [--timeout DURATION]",
    .summary = "what became of an attempt to save",
    .details =
        "Settles the attempt ID (the ULID that an error with exit status 6 names, or that save "
        "--id was given). Prints its seq where it is committed. Else it ends the attempt: exit "
        "status 3, and nothing will ever be saved under this id. With --json: id, committed, seq "
        "(or null).",
    .examples = "holdfast resolve 01JGX2M8Q6T4ZV0C9K7W3R5YHB",
    .options = resolve_options,
    .options_count = HF_CLI_COUNT(resolve_options),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_resolve,
};
