/* What holdfast bench measures: bench.c measures, bench_print.c prints. */
#ifndef HF_CLI_BENCH_H
#define HF_CLI_BENCH_H

#include "bench_flush.h"
#include "bench_work.h"
#include "cli.h"

typedef enum hf_cli_bench_mode {
  HF_CLI_BENCH_JOURNAL,
  HF_CLI_BENCH_PUBLISH,
  HF_CLI_BENCH_MODES
} hf_cli_bench_mode;

typedef enum hf_cli_bench_load { /* who saves */
                                 HF_CLI_BENCH_ONE,
                                 HF_CLI_BENCH_THREADS,
                                 HF_CLI_BENCH_PROCESSES,
                                 HF_CLI_BENCH_BATCHES,
                                 HF_CLI_BENCH_LOADS
} hf_cli_bench_load;

typedef enum hf_cli_bench_read {
  HF_CLI_BENCH_READ_GET,
  HF_CLI_BENCH_READ_PREV,
  HF_CLI_BENCH_READ_OPEN,
  HF_CLI_BENCH_READS
} hf_cli_bench_read;

typedef struct hf_cli_bench_result {
  hf_fs fs;
  char locker[HF_LOCKER_NAME_BYTES_MAX + 1];
  hf_cli_bench_flush_cost flush[HF_CLI_BENCH_FLUSHES];
  int has_mode[HF_CLI_BENCH_MODES]; /* 0: not with this locker, or not on this filesystem */
  hf_cli_bench_figures saves[HF_CLI_BENCH_MODES][HF_CLI_BENCH_LOADS];
  hf_cli_bench_figures reads[HF_CLI_BENCH_READS];
  uint64_t snapshots; /* in the store that was read */
  double seconds;
} hf_cli_bench_result;

void hf_cli_bench_print(hf_cli *cli, const char *path, const hf_cli_bench_result *result);

#endif
