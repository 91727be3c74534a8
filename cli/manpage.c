#include <string.h>

#include "helptext.h"
#include "options.h"
#include "output.h"

/* Text for roff: nothing in it is a request or an escape. */
static void put(hf_cli *cli, const char *text, size_t bytes) {
  if (bytes > 0 && (text[0] == '.' || text[0] == '\''))
    hf_cli_out_text(cli, "\\&");
  for (size_t i = 0; i < bytes; i++) {
    switch (text[i]) {
    case '\\':
      hf_cli_out_text(cli, "\\e");
      break;
    case '-':
      hf_cli_out_text(cli, "\\-");
      break;
    case '~':
      hf_cli_out_text(cli, "\\(ti");
      break;
    case '^':
      hf_cli_out_text(cli, "\\(ha");
      break;
    case '\'':
      hf_cli_out_text(cli, "\\(aq");
      break;
    default:
      hf_cli_out(cli, text + i, 1);
      break;
    }
  }
}

static void put_line(hf_cli *cli, const char *text) {
  put(cli, text, strlen(text));
  hf_cli_out_text(cli, "\n");
}

static void section(hf_cli *cli, const char *name) {
  hf_cli_out_format(cli, ".SH %s\n", name);
}

static void row(hf_cli *cli, const char *name, const char *text) {
  hf_cli_out_text(cli, ".TP\n\\fB");
  put(cli, name, strlen(name));
  hf_cli_out_text(cli, "\\fR\n");
  put_line(cli, text);
}

static void rows(hf_cli *cli, const hf_cli_text_row *all, size_t count) {
  for (size_t i = 0; i < count; i++)
    row(cli, all[i].name, all[i].text);
}

static void paragraphs(hf_cli *cli, const char *text) {
  for (;;) {
    const char *end = strstr(text, "\n\n");
    put(cli, text, end != NULL ? (size_t)(end - text) : strlen(text));
    hf_cli_out_text(cli, "\n");
    if (end == NULL)
      return;
    hf_cli_out_text(cli, ".PP\n");
    text = end + 2;
  }
}

static void options(hf_cli *cli, const hf_cli_option *all, size_t count) {
  char name[80];
  for (size_t i = 0; i < count; i++) {
    hf_cli_option_text(&all[i], name, sizeof name);
    row(cli, name, all[i].help);
  }
}

/* Each line of the text on a line of its own, between two requests. */
static void lines(hf_cli *cli, const char *before, const char *prefix, const char *text,
                  const char *after) {
  while (*text != '\0') {
    size_t length = strcspn(text, "\n");
    hf_cli_out_text(cli, before);
    put(cli, prefix, strlen(prefix));
    put(cli, text, length);
    hf_cli_out_text(cli, "\n");
    hf_cli_out_text(cli, after);
    text += length + (text[length] == '\n');
  }
}

static void command_section(hf_cli *cli, const hf_cli_command *command) {
  hf_cli_out_text(cli, ".SS ");
  put_line(cli, command->name);
  lines(cli, ".HP\n.B ", "holdfast ", command->synopsis, "");
  hf_cli_out_text(cli, ".PP\n");
  paragraphs(cli, command->details);
  options(cli, command->options, command->options_count);
  if (command->examples != NULL) {
    hf_cli_out_text(cli, ".PP\nExamples:\n.PP\n.RS\n.nf\n");
    lines(cli, "", "", command->examples, "");
    hf_cli_out_text(cli, ".fi\n.RE\n");
  }
}

void hf_cli_print_manpage(hf_cli *cli) {
  hf_cli_out_text(cli, ".\\\" Made by holdfast help --man; do not edit.\n");
  hf_cli_out_format(cli, ".TH HOLDFAST 1 \"\" \"holdfast %s\" \"User Commands\"\n", HF_VERSION);
  section(cli, "NAME");
  put_line(cli, "holdfast - keep the record of runs");
  section(cli, "SYNOPSIS");
  hf_cli_out_text(cli, ".B ");
  put_line(cli, "holdfast [--store DIR] [--config FILE] [--quiet|--verbose] [--json] COMMAND ...");
  section(cli, "DESCRIPTION");
  paragraphs(cli, hf_cli_about);
  section(cli, "OPTIONS");
  options(cli, hf_cli_global_options, hf_cli_global_options_count);
  section(cli, "COMMANDS");
  for (size_t i = 0; i < hf_cli_commands_count; i++)
    command_section(cli, hf_cli_commands[i]);
  section(cli, "EXIT STATUS");
  rows(cli, hf_cli_exit_rows, hf_cli_exit_rows_count);
  section(cli, "ENVIRONMENT");
  rows(cli, hf_cli_environment_rows, hf_cli_environment_rows_count);
  section(cli, "FILES");
  rows(cli, hf_cli_file_rows, hf_cli_file_rows_count);
}
