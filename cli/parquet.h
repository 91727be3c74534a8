/* A writer of Parquet files (format version 1): flat columns, each required or optional, PLAIN
 * values in data pages of version 1, one page a column and row group. Definition levels are runs
 * (RLE). Sequential: it never goes back in what it writes, so a pipe will do.
 *
 *     hf_cli_parquet_begin
 *       hf_cli_parquet_put_*    the cells of a row; a column without one is null there
 *       hf_cli_parquet_row      the row is complete
 *     hf_cli_parquet_end        the footer: before that, no reader takes what is written for a file
 *     hf_cli_parquet_free
 *
 * Memory: one row group (HF_CLI_PARQUET_GROUP_BYTES and a row), and the footer as far as it is
 * known. Pages are compressed by Snappy where the build has it. */
#ifndef HF_CLI_PARQUET_H
#define HF_CLI_PARQUET_H

#include <holdfast/admin.h>

#include "bytes.h"

enum { HF_CLI_PARQUET_GROUP_BYTES = 16 * 1024 * 1024, HF_CLI_PARQUET_GROUP_ROWS = 1024 * 1024 };

typedef enum hf_cli_parquet_type {
  HF_CLI_PARQUET_BOOLEAN,
  HF_CLI_PARQUET_INT64,
  HF_CLI_PARQUET_DOUBLE,
  HF_CLI_PARQUET_TEXT /* UTF-8 */
} hf_cli_parquet_type;

typedef struct hf_cli_parquet_column {
  const char *name;
  hf_cli_parquet_type type;
  int required; /* each row must have it */
} hf_cli_parquet_column;

typedef enum hf_cli_parquet_status {
  HF_CLI_PARQUET_OK,
  HF_CLI_PARQUET_NO_MEMORY,
  HF_CLI_PARQUET_NOT_WRITTEN, /* write refused; errno is write's */
  HF_CLI_PARQUET_TOO_LONG     /* the format has no page over 2 GiB */
} hf_cli_parquet_status;

typedef struct hf_cli_parquet hf_cli_parquet;

/* The names must live as long. *ret_parquet is the caller's, also on failure. */
hf_cli_parquet_status hf_cli_parquet_begin(const hf_cli_parquet_column *columns, size_t count,
                                           hf_write_fn write, void *write_context,
                                           hf_cli_parquet **ret_parquet);
void hf_cli_parquet_free(hf_cli_parquet **parquet);

/* Each column at most once a row, of its own type. */
void hf_cli_parquet_put_boolean(hf_cli_parquet *to, size_t column, int value);
void hf_cli_parquet_put_int64(hf_cli_parquet *to, size_t column, int64_t value);
void hf_cli_parquet_put_double(hf_cli_parquet *to, size_t column, double value);
void hf_cli_parquet_put_text(hf_cli_parquet *to, size_t column, const char *text, size_t bytes);

hf_cli_parquet_status hf_cli_parquet_row(hf_cli_parquet *to);

/* pairs: names and values in turn, ended by NULL: what the file tells of itself. */
hf_cli_parquet_status hf_cli_parquet_end(hf_cli_parquet *to, const char *const *pairs);

#endif
