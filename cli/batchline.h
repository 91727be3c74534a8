/* One line of save --batch: {"run_id":…,"stage":…,"dims":{…},"group":…,"timestamp":…,"doc":{…}}. */
#ifndef HF_CLI_BATCHLINE_H
#define HF_CLI_BATCHLINE_H

#include "cli.h"

/* What one line may have beside its document: every string at its limit, each of its characters
 * escaped, and blanks. */
enum { HF_CLI_BATCH_ENVELOPE_BYTES_MAX = 128 * 1024 };

typedef struct hf_cli_batch_line {
  uint64_t number; /* in its file, from 1 */
  char *text;      /* the line; owned. What follows points into it */
  hf_save_request request;
  hf_dim dims[HF_DIMS_MAX];
  uint64_t doc_bytes_max; /* given */
  size_t doc_column;      /* where the document begins, from 1 */
} hf_cli_batch_line;

/* Takes a line apart. line->doc_bytes_max, line->text (NUL-terminated) and its length are given;
 * short strings are decoded in place, the document stays as it is: whether it is strict JSON is
 * for the library to say. HF_OK, or HF_EDOC or HF_ELIMIT with the place "column N" or "". */
int hf_cli_batch_line_parse(hf_cli_batch_line *line, size_t bytes, hf_error *reterr);

/* Moves the place of the library's error from the document to the line: "column N". */
void hf_cli_batch_line_place(const hf_cli_batch_line *line, hf_error *err);

#endif
