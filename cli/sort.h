/* Rows that wait to be put into order (--sort). What waits is what will be printed, not the
 * records: with a limit of K at most 2 K rows, and never more than HF_CLI_SORT_BYTES_MAX. */
#ifndef HF_CLI_SORT_H
#define HF_CLI_SORT_H

#include <holdfast/expr.h>

#include "cli.h"

enum { HF_CLI_SORT_BYTES_MAX = 256 * 1024 * 1024 };

typedef struct hf_cli_sort hf_cli_sort;

/* order: COLUMN or COLUMN:desc (COLUMN:asc); limit: 0: all. The caller frees *ret_sort. Answers an
 * exit status. */
int hf_cli_sort_begin(const hf_cli *cli, const char *order, uint64_t limit, size_t cells,
                      hf_cli_sort **ret_sort);
void hf_cli_sort_free(hf_cli_sort **sort);

int hf_cli_sort_needs_document(const hf_cli_sort *sort);

/* Is there a place for the record? 1: hf_cli_sort_add must follow, for the same record. 0: it comes
 * behind all that will be shown. Negative: *ret_status is the exit status. */
int hf_cli_sort_wants(hf_cli_sort *sort, const hf_record *record, int *ret_status);

/* Takes the cells over. Answers an exit status. */
int hf_cli_sort_add(hf_cli_sort *sort, char *const *cells);

/* Puts all into order; then rows 0, 1 ... can be taken, whose cells are the caller's to free and to
 * set to NULL. NULL: no further one. */
void hf_cli_sort_end(hf_cli_sort *sort);
char **hf_cli_sort_row(hf_cli_sort *sort, size_t row);

#endif
