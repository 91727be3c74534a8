/* The three forms of a store's figures. A write that fails is told by the stream. */
#ifndef HF_CLI_STATS_PRINT_H
#define HF_CLI_STATS_PRINT_H

#include <stdio.h>

#include <holdfast/stats.h>

void hf_cli_stats_text(FILE *to, const hf_info *info, const hf_store_stats *stats,
                       const hf_writer_stats *writers);
void hf_cli_stats_json(FILE *to, const hf_info *info, const hf_store_stats *stats,
                       const hf_writer_stats *writers);

/* The text exposition format, version 0.0.4. */
void hf_cli_stats_prometheus(FILE *to, const hf_info *info, const hf_store_stats *stats,
                             const hf_writer_stats *writers);

/* ---- for their parts (stats_writers.c) ---- */

/* What stands before a line's figures. */
void hf_cli_stats_label(FILE *to, const char *name);

/* hf_cli_visible. */
void hf_cli_stats_visible(FILE *to, const char *text);

/* The two lines before a family's samples; "holdfast_" is put before its name. */
void hf_cli_prometheus_family(FILE *to, const char *name, const char *type, const char *help);

/* A label's value: backslashes and quotation marks are escaped. */
void hf_cli_prometheus_label(FILE *to, const char *text);

#endif
