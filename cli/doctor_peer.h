/* doctor --peer. */
#ifndef HF_CLI_DOCTOR_PEER_H
#define HF_CLI_DOCTOR_PEER_H

#include <holdfast/admin.h>

#include "cli.h"

/* The options of --peer are given where it is, and nowhere else. Answers an exit status. */
int hf_cli_doctor_peer_usage(const hf_cli *cli);

/* Runs it on a folder; checks are printed by `check`. Answers an exit status. */
int hf_cli_doctor_peer(hf_cli *cli, const char *path, hf_check_fn check, void *check_context);

/* "good", "caution", "bad". */
const char *hf_cli_verdict_name(hf_verdict verdict);

#endif
