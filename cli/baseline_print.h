/* Printing baselines, for cli/baseline.c. */
#ifndef HF_CLI_BASELINE_PRINT_H
#define HF_CLI_BASELINE_PRINT_H

#include <holdfast/baseline.h>

#include "cli.h"

/* One: a member a line, or with --json one object. created: 1, 0; -1: nothing could be made here,
 * and it is not told. counts: NULL where nothing was counted. */
void hf_cli_print_baseline(hf_cli *cli, const hf_baseline *baseline, int created,
                           const hf_baseline_counts *counts);

/* establish --json, where too few runs are there. */
void hf_cli_print_missing(hf_cli *cli, const hf_baseline_counts *counts);

/* Several, as they stand: a table, or with --json an object a line. Answers an exit status. */
int hf_cli_print_baselines(hf_cli *cli, hf_baseline *const *baselines, size_t count);

/* What check found. */
void hf_cli_print_checked(hf_cli *cli, uint64_t seq, const hf_checked *checked,
                          const hf_baseline *baseline);

#endif
