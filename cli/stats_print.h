/* The three forms of a store's figures. A write that fails is told by the stream. */
#ifndef HF_CLI_STATS_PRINT_H
#define HF_CLI_STATS_PRINT_H

#include <stdio.h>

#include <holdfast/stats.h>

void hf_cli_stats_text(FILE *to, const hf_info *info, const hf_store_stats *stats);
void hf_cli_stats_json(FILE *to, const hf_info *info, const hf_store_stats *stats);

/* The text exposition format, version 0.0.4. */
void hf_cli_stats_prometheus(FILE *to, const hf_info *info, const hf_store_stats *stats);

#endif
