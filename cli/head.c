#include <inttypes.h>

#include "cli.h"
#include "errors.h"
#include "output.h"
#include "store.h"

static int run_head(hf_cli *cli) {
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  uint64_t head = 0;
  if (hf_head(cli->store, &head, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (cli->args.json)
    hf_cli_out_format(cli, "{\"head\":%" PRIu64 "}\n", head);
  else
    hf_cli_out_format(cli, "%" PRIu64 "\n", head);
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_head = {
    .name = "head",
    .synopsis = "head",
    .summary = "the highest seq",
    .details = "Prints the highest seq of the store; 0 when it is empty. With --json: head.",
    .examples = "holdfast head",
    .run = run_head,
};
