/* The documents that the benchmarks save: real shapes, made-up values. */
#ifndef HF_BENCH_DOCUMENT_H
#define HF_BENCH_DOCUMENT_H

#include <stddef.h>
#include <stdint.h>

enum { HF_BENCH_DOC_BYTES_MAX = 4096, HF_BENCH_NAME_BYTES_MAX = 128 };

/* What one save takes. */
typedef struct hf_bench_document {
  char run_id[HF_BENCH_NAME_BYTES_MAX]; /* no two numbers share one */
  const char *stage;
  const char *target;
  const char *view;
  char group[65]; /* what the comparison group's SHA-256 would look like, for peers that do not make
                     their own */
  char timestamp[HF_BENCH_NAME_BYTES_MAX];
  char text[HF_BENCH_DOC_BYTES_MAX]; /* about 2 KB of JSON, as Python's json.dumps prints it */
  size_t text_bytes;
} hf_bench_document;

/* The document of this number: the same for every peer. */
void hf_bench_document_make(uint64_t number, hf_bench_document *ret_document);

#endif
