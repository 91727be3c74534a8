/* What a flush costs, of the three kinds that a save can wait for. */
#ifndef HF_CLI_BENCH_FLUSH_H
#define HF_CLI_BENCH_FLUSH_H

#include <stdint.h>

typedef enum hf_cli_bench_flush {
  HF_CLI_BENCH_FLUSH_FILE, /* a new file: fsync */
  HF_CLI_BENCH_FLUSH_NAME, /* a new name in a folder: fsync of the folder */
  HF_CLI_BENCH_FLUSH_PAGE, /* bytes in a file that has its length already: fdatasync */
  HF_CLI_BENCH_FLUSHES
} hf_cli_bench_flush;

typedef struct hf_cli_bench_flush_cost {
  unsigned samples;
  double median_us;
  double p99_us;
} hf_cli_bench_flush_cost;

/* Measures for at most time_ms, in the folder, which must be empty and keeps what it makes. 0, or
 * -1 and errno; EINTR: a signal asked to stop. */
int hf_cli_bench_flush_measure(const char *folder, hf_cli_bench_flush kind, int64_t time_ms,
                               hf_cli_bench_flush_cost *ret_cost);

#endif
