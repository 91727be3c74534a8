/* Saving: one document, or a batch of them. */
#ifndef HF_CLI_SAVE_H
#define HF_CLI_SAVE_H

#include "cli.h"

/* The result of one save: its seq, or an object. */
void hf_cli_print_saved(hf_cli *cli, const hf_saved *saved, const hf_key *key);

/* save --batch: its lines from cli->args.operands[0]. The store is open. */
int hf_cli_save_batch(hf_cli *cli);

/* With --verbose: what this process' saves cost (hf_get_handle_stats), as a note on stderr. */
void hf_cli_note_costs(hf_cli *cli);

#endif
