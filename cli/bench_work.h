/* One step of holdfast bench: processes and threads that work on a store side by side for a while,
 * from a common start. All are children of this process: it opens no store itself, since a handle
 * does not survive fork. */
#ifndef HF_CLI_BENCH_WORK_H
#define HF_CLI_BENCH_WORK_H

#include <stdint.h>

#include <holdfast/holdfast.h>

enum { HF_CLI_BENCH_WRITERS = 8, HF_CLI_BENCH_RECORDS_MAX = 50000 };

typedef enum hf_cli_bench_work {
  HF_CLI_BENCH_SAVE,
  HF_CLI_BENCH_BATCH, /* HF_BATCH_MAX records a call */
  HF_CLI_BENCH_GET,
  HF_CLI_BENCH_PREV,
  HF_CLI_BENCH_OPEN /* open, prev, close */
} hf_cli_bench_work;

typedef struct hf_cli_bench_step {
  hf_cli_bench_work work;
  unsigned processes; /* processes * threads: at most HF_CLI_BENCH_WRITERS */
  unsigned threads;   /* of each, on one handle */
  int64_t time_ms;    /* or until HF_CLI_BENCH_RECORDS_MAX records */
  int count_flushes;  /* 1: for that alone, it makes flushes a little slower */
  const char *store;
  const hf_config *config;
} hf_cli_bench_step;

typedef struct hf_cli_bench_figures {
  uint64_t count; /* records that were saved, or questions that were answered */
  double per_s;
  double median_us; /* of one call; within 3 % */
  double p99_us;
  double flushes_each; /* negative: not counted, or not allowed here */
} hf_cli_bench_figures;

/* Runs one step. *next: the number of the next document, kept by the caller for each store; the
 * documents below it are there. HF_ECANCELLED: a signal asked to stop. Else HF_OK, or the first
 * error of a writer. */
int hf_cli_bench_run(const hf_cli_bench_step *step, uint64_t *next,
                     hf_cli_bench_figures *ret_figures, hf_error *reterr);

#endif
