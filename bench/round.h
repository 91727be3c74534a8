/* One timed round: processes and threads that save side by side, from a common start to the last
 * one's end. */
#ifndef HF_BENCH_ROUND_H
#define HF_BENCH_ROUND_H

#include <stdint.h>

#include "flushcount.h"
#include "peer.h"

enum {
  HF_BENCH_PROCESSES_MAX = 64,
  HF_BENCH_THREADS_MAX = 64,
  HF_BENCH_SAVES_MAX = 200 * 1000, /* of a round: their documents are made before it */
  HF_BENCH_HISTORY_MAX = 10 * 1000 * 1000
};

typedef struct hf_bench_case {
  const hf_bench_peer *peer;
  unsigned processes;
  unsigned threads; /* of each process */
} hf_bench_case;

typedef struct hf_bench_limits {
  uint64_t history;     /* documents that are there before */
  int history_singly;   /* 1: each was saved by itself; 0: in batches, as an import does */
  uint64_t saves;       /* of all writers together */
  uint64_t time_max_ms; /* writers stop then, whatever is left */
} hf_bench_limits;

typedef struct hf_bench_result {
  uint64_t saves; /* acknowledged */
  double seconds; /* from the common start to the last acknowledgement */
  double saves_per_s;
  double open_ms;                /* the slowest writer's open, before the start */
  double p50_us, p99_us, max_us; /* of one save */
  double user_us, system_us;     /* processor time of one save */
  double round_trip_us;          /* median, where a single writer asks a service; else 0 */
  int has_flushes;               /* 1: flushcount is loaded, in the peer's service as well */
  uint64_t flushes[HF_FLUSH_KINDS];
} hf_bench_result;

/* Runs one round in a new folder below `parent`, which stays there. 0, or -1 with a text. */
int hf_bench_round(const hf_bench_case *one, const hf_bench_limits *limits, const char *parent,
                   hf_bench_result *ret_result, char error[HF_BENCH_TEXT_BYTES_MAX]);

#endif
