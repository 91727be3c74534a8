#include "bench_document.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void hf_cli_bench_piece_make(hf_cli_bench_piece *piece, uint64_t number) {
  static const char end[] = "\"}";
  (void)snprintf(piece->run_id, sizeof piece->run_id, "run-%09" PRIu64, number);
  int used = snprintf(
      piece->text, sizeof piece->text,
      "{\"run_id\":\"%s\",\"stage\":\"TRAINING\",\"comparison_group\":{\"dataset\":\"%" PRIu64
      "\",\"model_family\":\"xgboost\",\"n_effective\":6000,\"train_seed\":42},"
      "\"inputs\":{\"n_symbols\":120,\"learning_rate\":0.05,\"row_id_max\":%" PRIu64 "},"
      "\"outputs\":{\"metrics\":{\"auc\":0.%06u,\"logloss\":0.%06u},\"n_models\":8},\"notes\":\"",
      piece->run_id, number % HF_CLI_BENCH_GROUPS, number, (unsigned)(500000 + number % 400000),
      (unsigned)(200000 + number % 600000));
  for (size_t i = (size_t)used; i < HF_CLI_BENCH_DOCUMENT_BYTES + 1 - sizeof end; i++)
    piece->text[i] = (char)('a' + (number * 31 + i * 7) % 26);
  memcpy(piece->text + HF_CLI_BENCH_DOCUMENT_BYTES + 1 - sizeof end, end, sizeof end);
  piece->request = (hf_save_request){.key = {.run_id = piece->run_id, .stage = "TRAINING"},
                                     .doc = piece->text,
                                     .doc_bytes = HF_CLI_BENCH_DOCUMENT_BYTES};
}
