#include "helptext.h"
#include "options.h"
#include "output.h"

static void put_options(hf_cli *cli, const hf_cli_option *options, size_t count) {
  for (size_t i = 0; i < count; i++)
    hf_cli_out_format(cli, " --%s", options[i].name);
}

void hf_cli_print_completion(hf_cli *cli) {
  hf_cli_out_text(cli, "# bash completion for holdfast; made by holdfast help --completion\n"
                       "_holdfast() {\n"
                       "  local now=${COMP_WORDS[COMP_CWORD]} words= command= i\n"
                       "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
                       "    case ${COMP_WORDS[i]} in\n"
                       "    --store | --config) ((i++)) ;;\n"
                       "    -*) ;;\n"
                       "    *) command=${COMP_WORDS[i]}; break ;;\n"
                       "    esac\n"
                       "  done\n"
                       "  words=\"");
  put_options(cli, hf_cli_global_options, hf_cli_global_options_count);
  hf_cli_out_text(cli, "\"\n  case $command in\n  '' | help) words+=\"");
  for (size_t i = 0; i < hf_cli_commands_count; i++)
    hf_cli_out_format(cli, " %s", hf_cli_commands[i]->name);
  hf_cli_out_text(cli, "\" ;;\n");
  for (size_t i = 0; i < hf_cli_commands_count; i++) {
    const hf_cli_command *command = hf_cli_commands[i];
    if (command->options_count == 0 || command == &hf_cli_command_help)
      continue;
    hf_cli_out_format(cli, "  %s) words+=\"", command->name);
    put_options(cli, command->options, command->options_count);
    hf_cli_out_text(cli, command == &hf_cli_command_lock ? " status break\" ;;\n" : "\" ;;\n");
  }
  hf_cli_out_text(cli, "  esac\n"
                       "  COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n"
                       "}\n"
                       "complete -o default -F _holdfast holdfast\n");
}
