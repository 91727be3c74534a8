/* Options of the command line: the global ones, and those of a command's table. */
#ifndef HF_CLI_OPTIONS_H
#define HF_CLI_OPTIONS_H

#include <stddef.h>

#include "cli.h"

/* Entries for a command's table: HF_CLI_OPT(kind, name, member of hf_cli_args, argument, help). */
#define HF_CLI_OPT(kind, name, member, arg, help)                                                  \
  { (name), 0, (kind), (arg), (help), offsetof(hf_cli_args, member), 0, NULL }
#define HF_CLI_OPT_FLAG(name, member, help) HF_CLI_OPT(HF_CLI_FLAG, name, member, NULL, help)
#define HF_CLI_OPT_NUMBER(name, member, arg, help)                                                 \
  HF_CLI_OPT(HF_CLI_NUMBER, name, member, arg, help)
#define HF_CLI_OPT_TEXT(name, member, arg, bytes_max, help)                                        \
  { (name), 0, HF_CLI_TEXT, (arg), (help), offsetof(hf_cli_args, member), (bytes_max), NULL }
#define HF_CLI_OPT_CHOICE(name, member, choices, help)                                             \
  { (name), 0, HF_CLI_TEXT, (choices), (help), offsetof(hf_cli_args, member), 0, (choices) }

#define HF_CLI_OPT_RUN_ID(help) HF_CLI_OPT_TEXT("run-id", run_id, "R", HF_RUN_ID_BYTES_MAX, help)
#define HF_CLI_OPT_STAGE(help) HF_CLI_OPT_TEXT("stage", stage, "S", HF_STAGE_BYTES_MAX, help)
#define HF_CLI_OPT_DIM(help) HF_CLI_OPT(HF_CLI_DIM, "dim", dims, "N=V", help)
#define HF_CLI_OPT_GROUP(help) HF_CLI_OPT_TEXT("group", group, "G", HF_GROUP_BYTES_MAX, help)
#define HF_CLI_OPT_TIMEOUT                                                                         \
  HF_CLI_OPT(HF_CLI_DURATION, "timeout", timeout_ms, "DURATION",                                   \
             "how long to wait for the lock (30s)")

extern const hf_cli_option hf_cli_global_options[];
extern const size_t hf_cli_global_options_count;

/* Reads the global options before the command. *ret_next: the index in argv of the command, or
 * argc. Answers an exit status. */
int hf_cli_read_globals(hf_cli *cli, int argc, char **argv, int *ret_next);

/* Reads the options of cli->command, and global ones, from argv[1] on; what is left becomes the
 * operands (argv is reordered). Answers an exit status. */
int hf_cli_read_options(hf_cli *cli, int argc, char **argv);

/* "500ms", "30s", "5m", "2h", "90d". 0 or -1. */
int hf_cli_parse_duration(const char *text, int64_t *ret_ms);

/* Digits only, at most UINT64_MAX. 0 or -1. */
int hf_cli_parse_number(const char *text, uint64_t *ret_value);

#endif
