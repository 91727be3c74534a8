/* The filters that list and its like share: from the command line to hf_list_options. */
#ifndef HF_CLI_WHERE_H
#define HF_CLI_WHERE_H

#include <holdfast/expr.h>

#include "cli.h"
#include "options.h"

/* The options of the table of a command that filters. */
#define HF_CLI_OPT_FILTERS                                                                         \
  HF_CLI_OPT_TEXT("host", host, "H", 0, "only what was saved on this host"),                       \
      HF_CLI_OPT_TEXT("after", after, "TIME", 0, "only this time or later"),                       \
      HF_CLI_OPT_TEXT("before", before, "TIME", 0, "only earlier than this time"),                 \
      HF_CLI_OPT(HF_CLI_TEXTS, "where", where, "EXPR",                                             \
                 "only where this holds, as in '/metrics/auc > 0.7'; may stand several times")

#define HF_CLI_FILTERS_SYNOPSIS "[--host H] [--after TIME] [--before TIME] [--where EXPR]..."

/* Fills in run_id, stage, group, dims, since, until, host, after, before and where. The caller
 * frees *ret_where (hf_expr_free). Answers an exit status. */
int hf_cli_filters(const hf_cli *cli, hf_list_options *options, hf_expr **ret_where);

/* hf_list did not begin: a time that is none is wrong use. Answers the exit status. */
int hf_cli_list_error(const hf_cli *cli, const hf_error *err);

/* Does a bound of 0 ask for nothing? The library takes 0 for "no bound". */
int hf_cli_asks_for_nothing(const hf_cli *cli);

#endif
