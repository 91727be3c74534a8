/* Printing one record: its document, a value inside it, or all of it. */
#ifndef HF_CLI_DOCUMENT_H
#define HF_CLI_DOCUMENT_H

#include "cli.h"

/* What --meta and --pointer ask of one record. Answers an exit status, after saying what is wrong.
 */
int hf_cli_print_record(hf_cli *cli, const hf_record *record);

/* --meta and --pointer exclude each other. */
int hf_cli_check_print(const hf_cli *cli);

/* hf_get_find and hf_prev_find. What was passed over because it cannot be read is told, as a
 * warning. They answer what those answer. */
int hf_cli_get_find(hf_cli *cli, const hf_key *key, uint64_t at, hf_record **ret_record,
                    hf_error *reterr);
int hf_cli_prev_find(hf_cli *cli, const hf_prev_query *query, hf_record **ret_record,
                     hf_error *reterr);

#endif
