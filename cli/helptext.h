/* The help, the manual page and the shell completion, all made from the table of commands. */
#ifndef HF_CLI_HELPTEXT_H
#define HF_CLI_HELPTEXT_H

#include "cli.h"

typedef struct hf_cli_text_row {
  const char *name;
  const char *text;
} hf_cli_text_row;

extern const char hf_cli_about[]; /* paragraphs, separated by an empty line */
extern const hf_cli_text_row hf_cli_exit_rows[];
extern const size_t hf_cli_exit_rows_count;
extern const hf_cli_text_row hf_cli_environment_rows[];
extern const size_t hf_cli_environment_rows_count;
extern const hf_cli_text_row hf_cli_file_rows[];
extern const size_t hf_cli_file_rows_count;

/* "--run-id R", or "-q, --quiet". */
void hf_cli_option_text(const hf_cli_option *option, char *text, size_t bytes);

void hf_cli_print_manpage(hf_cli *cli);
void hf_cli_print_completion(hf_cli *cli);

#endif
