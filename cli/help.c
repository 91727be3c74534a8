#include <stdio.h>
#include <string.h>

#include "cli.h"
#include "errors.h"
#include "helptext.h"
#include "options.h"
#include "output.h"

enum { HELP_COLUMNS = 80, NAME_COLUMNS = 26, SYNOPSIS_INDENT = 4 };

static const hf_cli_option help_options[] = {
    HF_CLI_OPT_FLAG("man", man, "print the manual page (roff) instead"),
    HF_CLI_OPT_FLAG("completion", completion, "print completions for bash instead"),
};

/* Prints words, a new line before one that would pass HELP_COLUMNS. `column`: where the cursor is.
 */
static void wrap(hf_cli *cli, const char *text, size_t bytes, size_t indent, size_t column) {
  size_t at = 0;
  int first = 1;
  while (at < bytes) {
    size_t length = strcspn(text + at, " \n");
    length = at + length > bytes ? bytes - at : length;
    if (!first && column + 1 + length > HELP_COLUMNS) {
      hf_cli_out_format(cli, "\n%*s", (int)indent, "");
      column = indent;
    } else if (!first) {
      hf_cli_out_text(cli, " ");
      column++;
    }
    hf_cli_out(cli, text + at, length);
    column += length;
    at += length;
    while (at < bytes && (text[at] == ' ' || text[at] == '\n'))
      at++;
    first = 0;
  }
  hf_cli_out_text(cli, "\n");
}

static void print_paragraphs(hf_cli *cli, const char *text) {
  for (;;) {
    const char *end = strstr(text, "\n\n");
    wrap(cli, text, end != NULL ? (size_t)(end - text) : strlen(text), 0, 0);
    if (end == NULL)
      return;
    hf_cli_out_text(cli, "\n");
    text = end + 2;
  }
}

static void print_row(hf_cli *cli, const char *name, const char *text) {
  hf_cli_out_format(cli, "  %-*s", NAME_COLUMNS - 2, name);
  size_t column = strlen(name) + 2 > NAME_COLUMNS ? strlen(name) + 2 : NAME_COLUMNS;
  if (column > NAME_COLUMNS - 1 && strlen(name) + 2 >= NAME_COLUMNS) {
    hf_cli_out_format(cli, "\n%*s", NAME_COLUMNS, "");
    column = NAME_COLUMNS;
  }
  wrap(cli, text, strlen(text), NAME_COLUMNS, column);
}

static void print_rows(hf_cli *cli, const char *heading, const hf_cli_text_row *rows,
                       size_t count) {
  hf_cli_out_format(cli, "\n%s:\n", heading);
  for (size_t i = 0; i < count; i++)
    print_row(cli, rows[i].name, rows[i].text);
}

static void print_options(hf_cli *cli, const char *heading, const hf_cli_option *options,
                          size_t count) {
  char name[80];
  if (count == 0)
    return;
  hf_cli_out_format(cli, "\n%s:\n", heading);
  for (size_t i = 0; i < count; i++) {
    hf_cli_option_text(&options[i], name, sizeof name);
    print_row(cli, name, options[i].help);
  }
}

static void print_lines(hf_cli *cli, const char *prefix, const char *text) {
  while (*text != '\0') {
    size_t length = strcspn(text, "\n");
    hf_cli_out_text(cli, prefix);
    wrap(cli, text, length, strlen(prefix) + SYNOPSIS_INDENT, strlen(prefix));
    text += length + (text[length] == '\n');
  }
}

static void print_examples(hf_cli *cli, const char *text) {
  hf_cli_out_text(cli, "\nExamples:\n");
  while (*text != '\0') { /* as they are: a line that is broken cannot be pasted */
    size_t length = strcspn(text, "\n");
    hf_cli_out_text(cli, "  ");
    hf_cli_out(cli, text, length);
    hf_cli_out_text(cli, "\n");
    text += length + (text[length] == '\n');
  }
}

static void print_command(hf_cli *cli, const hf_cli_command *command) {
  hf_cli_out_text(cli, "Usage:\n");
  print_lines(cli, "  holdfast ", command->synopsis);
  hf_cli_out_text(cli, "\n");
  print_paragraphs(cli, command->details);
  print_options(cli, "Options", command->options, command->options_count);
  print_options(cli, "Global options", hf_cli_global_options, hf_cli_global_options_count);
  if (command->examples != NULL)
    print_examples(cli, command->examples);
}

static void print_overview(hf_cli *cli) {
  hf_cli_out_text(cli, "Usage:\n");
  print_lines(cli, "  holdfast ",
              "[--store DIR] [--config FILE] [--quiet|--verbose] [--json] COMMAND ...");
  hf_cli_out_text(cli, "\n");
  print_paragraphs(cli, hf_cli_about);
  hf_cli_out_text(cli, "\nCommands (holdfast help COMMAND tells more):\n");
  for (size_t i = 0; i < hf_cli_commands_count; i++)
    print_row(cli, hf_cli_commands[i]->name, hf_cli_commands[i]->summary);
  print_options(cli, "Global options", hf_cli_global_options, hf_cli_global_options_count);
  print_rows(cli, "Exit status", hf_cli_exit_rows, hf_cli_exit_rows_count);
  print_rows(cli, "Environment", hf_cli_environment_rows, hf_cli_environment_rows_count);
  print_rows(cli, "Files", hf_cli_file_rows, hf_cli_file_rows_count);
}

static int run_help(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  if (args->man) {
    hf_cli_print_manpage(cli);
    return HF_CLI_DONE;
  }
  if (args->completion) {
    hf_cli_print_completion(cli);
    return HF_CLI_DONE;
  }
  if (args->operands_count == 0) {
    print_overview(cli);
    return HF_CLI_DONE;
  }
  const hf_cli_command *command = hf_cli_command_find(args->operands[0]);
  if (command == NULL)
    return hf_cli_usage(cli, NULL, "there is no command \"%.80s\"", args->operands[0]);
  print_command(cli, command);
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_help = {
    .name = "help",
    .synopsis = "help [COMMAND]\n"
                "help --man | --completion",
    .summary = "help for a command",
    .details = "Prints what a command does and each of its options, or, without COMMAND, the list "
               "of commands. holdfast COMMAND --help is the same.",
    .examples = "holdfast help save\n"
                "holdfast help --man | man -l -\n"
                "source <(holdfast help --completion)",
    .options = help_options,
    .options_count = HF_CLI_COUNT(help_options),
    .operands_min = 0,
    .operands_max = 1,
    .run = run_help,
};
