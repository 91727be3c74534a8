/* The command of `watch --exec`, for one record. */
#ifndef HF_CLI_WATCH_EXEC_H
#define HF_CLI_WATCH_EXEC_H

#include "cli.h"

/* Once, before the first: HOLDFAST_STORE, and HOLDFAST_CONFIG where --config is given, for the
 * commands. Answers an exit status. */
int hf_cli_watch_exec_prepare(hf_cli *cli);

/* Runs it by sh -c, with envelope and document as one line of JSON on its standard input, and
 * HOLDFAST_SEQ, HOLDFAST_RUN_ID and HOLDFAST_STAGE in its environment; waits until it has ended.
 * *ret_outcome: its exit status; 128 + a signal that ended it. Answers an exit status: whether it
 * could be run. */
int hf_cli_watch_exec(hf_cli *cli, const hf_record *record, int *ret_outcome);

#endif
