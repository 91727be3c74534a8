#include "cli.h"

#include <string.h>

const hf_cli_command *const hf_cli_commands[] = {
    &hf_cli_command_init,     &hf_cli_command_save,    &hf_cli_command_get,
    &hf_cli_command_prev,     &hf_cli_command_head,    &hf_cli_command_list,
    &hf_cli_command_groups,   &hf_cli_command_history, &hf_cli_command_diff,
    &hf_cli_command_baseline, &hf_cli_command_resolve, &hf_cli_command_watch,
    &hf_cli_command_retire,   &hf_cli_command_gc,      &hf_cli_command_import,
    &hf_cli_command_export,   &hf_cli_command_report,  &hf_cli_command_stats,
    &hf_cli_command_pack,     &hf_cli_command_verify,  &hf_cli_command_lock,
    &hf_cli_command_locker,   &hf_cli_command_doctor,  &hf_cli_command_bench,
    &hf_cli_command_version,  &hf_cli_command_help,
};
const size_t hf_cli_commands_count = HF_CLI_COUNT(hf_cli_commands);

const hf_cli_command *hf_cli_command_find(const char *name) {
  for (size_t i = 0; i < hf_cli_commands_count; i++)
    if (strcmp(hf_cli_commands[i]->name, name) == 0)
      return hf_cli_commands[i];
  return NULL;
}
