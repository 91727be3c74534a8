/* Options about metrics, which several commands take. */
#ifndef HF_CLI_METRIC_H
#define HF_CLI_METRIC_H

#include <holdfast/baseline.h>

#include "cli.h"

enum { HF_CLI_TOLERANCE_BYTES = 80 }; /* more than may be given */

/* Checks the text of a --metric. Answers an exit status. */
int hf_cli_check_metric(const hf_cli *cli, const char *pointer);

/* Reads a --tolerance, X or X%, into check, whose text then lies in the buffer of
 * HF_CLI_TOLERANCE_BYTES; NULL: none is given. Answers an exit status. */
int hf_cli_read_tolerance(const hf_cli *cli, const char *given, char *buffer,
                          hf_check_options *check);

#endif
