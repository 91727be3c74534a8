/* Where the store and the configuration are, and opening them. Each answers an exit status, after
 * saying what is wrong. */
#ifndef HF_CLI_STORE_H
#define HF_CLI_STORE_H

#include "cli.h"

/* cli->config: --config, else where hf_config_load looks. */
int hf_cli_need_config(hf_cli *cli);

/* cli->store_path: --store, else HOLDFAST_STORE, else the nearest parent folder that holds a store.
 */
int hf_cli_find_store(hf_cli *cli);

/* cli->store, opened, and with it the two above. */
int hf_cli_need_store(hf_cli *cli);

/* The folder that --store or HOLDFAST_STORE names, or NULL. */
const char *hf_cli_named_store(const hf_cli *cli);

/* Closes and frees what the above have made. */
void hf_cli_release(hf_cli *cli);

/* The key of --run-id, --stage and --dim; both of the first must be there. */
int hf_cli_need_key(const hf_cli *cli, hf_key *ret_key);

/* --seq, or a key: exactly one of them. *ret_by_seq: 1 or 0. */
int hf_cli_need_seq_or_key(const hf_cli *cli, int *ret_by_seq, hf_key *ret_key);

#endif
