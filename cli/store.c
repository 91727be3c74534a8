#include "store.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

int hf_cli_need_config(hf_cli *cli) {
  hf_error err = HF_ERROR_INIT;
  if (cli->config != NULL)
    return HF_CLI_DONE;
  if (hf_config_load(cli->args.config, &cli->config, &err) != HF_OK)
    return hf_cli_library_error(cli, cli->args.config, &err);
  return HF_CLI_DONE;
}

const char *hf_cli_named_store(const hf_cli *cli) {
  if (cli->args.store != NULL)
    return cli->args.store;
  const char *named = getenv("HOLDFAST_STORE");
  return named != NULL && named[0] != '\0' ? named : NULL;
}

int hf_cli_find_store(hf_cli *cli) {
  if (cli->store_path != NULL)
    return HF_CLI_DONE;
  const char *named = hf_cli_named_store(cli);
  if (named != NULL) {
    cli->store_path = strdup(named);
    return cli->store_path != NULL ? HF_CLI_DONE : hf_cli_no_memory(cli);
  }
  hf_error err = HF_ERROR_INIT;
  int found = hf_find_store(".", &cli->store_path, &err);
  if (found < 0)
    return hf_cli_library_error(cli, ".", &err);
  if (found == 0)
    return hf_cli_usage(cli, NULL,
                        "no store: give --store DIR, set HOLDFAST_STORE, or go to a folder at or "
                        "below one (holdfast init DIR makes one)");
  return HF_CLI_DONE;
}

int hf_cli_need_store(hf_cli *cli) {
  int status = hf_cli_need_config(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_find_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_open_options options = {
      .config = cli->config, .purpose = cli->command->name, .log = hf_cli_log, .log_context = cli};
  if (hf_open(cli->store_path, &options, &cli->store, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  return HF_CLI_DONE;
}

void hf_cli_release(hf_cli *cli) {
  hf_close(&cli->store);
  hf_config_free(&cli->config);
  free(cli->store_path);
  cli->store_path = NULL;
}

int hf_cli_need_key(const hf_cli *cli, hf_key *ret_key) {
  const hf_cli_args *args = &cli->args;
  if (args->run_id == NULL)
    return hf_cli_usage(cli, "--run-id", "is missing");
  if (args->stage == NULL)
    return hf_cli_usage(cli, "--stage", "is missing");
  *ret_key = (hf_key){args->run_id, args->stage, args->dims, args->dims_count};
  return HF_CLI_DONE;
}

int hf_cli_need_seq_or_key(const hf_cli *cli, int *ret_by_seq, hf_key *ret_key) {
  const hf_cli_args *args = &cli->args;
  *ret_by_seq = args->seq.given;
  if (!args->seq.given) {
    if (args->run_id == NULL && args->stage == NULL && args->dims_count == 0)
      return hf_cli_usage(cli, NULL, "which snapshot? give --seq, or --run-id and --stage");
    return hf_cli_need_key(cli, ret_key);
  }
  if (args->run_id != NULL || args->stage != NULL || args->dims_count > 0)
    return hf_cli_usage(cli, "--seq",
                        "names one snapshot by itself: leave out --run-id, --stage "
                        "and --dim");
  return HF_CLI_DONE;
}
