/* What writers have counted, in the three forms of holdfast stats. */
#ifndef HF_CLI_STATS_WRITERS_H
#define HF_CLI_STATS_WRITERS_H

#include <stdio.h>

#include <holdfast/stats.h>

/* The sums, and a line for each host, the first of them where they are many. */
void hf_cli_writers_text(FILE *to, const hf_writer_stats *writers);

/* An object: {"total":{...},"hosts":[{"host":"...",...}],"unread":0} */
void hf_cli_writers_json(FILE *to, const hf_writer_stats *writers);

/* Families whose samples have the label host; none where there is no host. */
void hf_cli_writers_prometheus(FILE *to, const hf_info *info, const hf_writer_stats *writers);

#endif
