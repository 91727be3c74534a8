/* The documents that holdfast bench saves: 2 KB of JSON, as a training run's. */
#ifndef HF_CLI_BENCH_DOCUMENT_H
#define HF_CLI_BENCH_DOCUMENT_H

#include <holdfast/holdfast.h>

enum { HF_CLI_BENCH_DOCUMENT_BYTES = 2048, HF_CLI_BENCH_GROUPS = 8 };

typedef struct hf_cli_bench_piece {
  char run_id[32];
  char text[HF_CLI_BENCH_DOCUMENT_BYTES + 1];
  hf_save_request request; /* points into this piece */
} hf_cli_bench_piece;

/* The document of this number, and what saves it; each has a run of its own. */
void hf_cli_bench_piece_make(hf_cli_bench_piece *piece, uint64_t number);

#endif
