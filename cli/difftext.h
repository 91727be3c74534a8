/* Printing what hf_diff has found. */
#ifndef HF_CLI_DIFFTEXT_H
#define HF_CLI_DIFFTEXT_H

#include <holdfast/diff.h>

#include "cli.h"

/* For people: both snapshots, the changes by section, and how many there are. On a terminal with
 * colour (unless NO_COLOR is set) and an arrow at what rose or fell; values are cut so that no line
 * passes the terminal's width, or 80 columns. Answers an exit status. */
int hf_cli_diff_print_text(hf_cli *cli, const hf_record *a, const hf_record *b,
                           hf_diff_result *result);

/* One JSON object, nothing cut. Answers an exit status. */
int hf_cli_diff_print_json(hf_cli *cli, const hf_record *a, const hf_record *b,
                           hf_diff_result *result);

#endif
