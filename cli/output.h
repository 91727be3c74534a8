/* Results on stdout. A write that fails (a full disk, a reader that went away) is remembered, and
 * is an error at the end. */
#ifndef HF_CLI_OUTPUT_H
#define HF_CLI_OUTPUT_H

#include <stdio.h>

#include "cli.h"

void hf_cli_out(hf_cli *cli, const void *bytes, size_t count);
void hf_cli_out_text(hf_cli *cli, const char *text);
void hf_cli_out_format(hf_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hf_cli_out_flush(hf_cli *cli);

/* Memory ran out while a result was made: an error at the end, as a failed write. */
void hf_cli_out_no_memory(hf_cli *cli);

/* The text, with control characters made visible. */
void hf_cli_out_visible(hf_cli *cli, const char *text);

/* The visible text and a newline. Where stdout is a terminal that is too narrow, lines end between
 * words, and those that follow are set in by `indent`; a word that is wider stays whole. */
void hf_cli_out_wrapped(hf_cli *cli, const char *text, size_t indent);

/* The same of what is made as by printf. */
void hf_cli_out_wrapped_format(hf_cli *cli, size_t indent, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Flushes and closes stdout. Answers `status`, or, where that is HF_CLI_DONE and the results could
 * not be written, HF_CLI_FAILED after an error on stderr. */
int hf_cli_out_finish(hf_cli *cli, int status);

/* ---- one JSON object, on one line ---- */

typedef struct hf_cli_json {
  hf_cli *cli;
  int members;
} hf_cli_json;

void hf_cli_json_begin(hf_cli_json *json, hf_cli *cli); /* "{" */
void hf_cli_json_end(hf_cli_json *json);                /* "}" and a newline */
void hf_cli_json_name(hf_cli_json *json, const char *name);
void hf_cli_json_text(hf_cli_json *json, const char *name, const char *value); /* NULL: null */
void hf_cli_json_number(hf_cli_json *json, const char *name, uint64_t value);
void hf_cli_json_signed(hf_cli_json *json, const char *name, int64_t value);
void hf_cli_json_bool(hf_cli_json *json, const char *name, int value);
void hf_cli_json_null(hf_cli_json *json, const char *name);
void hf_cli_json_dims(hf_cli_json *json, const char *name, const hf_dim *dims, size_t count);

/* A JSON string with its quotation marks; broken UTF-8 becomes U+FFFD. */
void hf_cli_json_string(hf_cli *cli, const char *text);

/* The same, and an object of the dims, to any stream. 0 or -1. */
int hf_cli_write_json_string(FILE *to, const char *text);
int hf_cli_write_json_dims(FILE *to, const hf_dim *dims, size_t count);

#endif
