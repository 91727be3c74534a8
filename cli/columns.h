/* What is shown of each record: the columns of --columns, and those that stand there without it. */
#ifndef HF_CLI_COLUMNS_H
#define HF_CLI_COLUMNS_H

#include <holdfast/expr.h>

#include "cli.h"
#include "table.h"

typedef struct hf_cli_columns {
  hf_field *fields[HF_CLI_TABLE_COLUMNS_MAX];
  hf_cli_column shown[HF_CLI_TABLE_COLUMNS_MAX]; /* as a table shows them */
  size_t count;
  int needs_documents;
} hf_cli_columns;

/* Reads "run_id,/a/b,dims.x". place: the option, for errors. The caller frees what *ret_columns
 * holds, also after an error. Answers an exit status. */
int hf_cli_columns_parse(const hf_cli *cli, const char *place, const char *text,
                         hf_cli_columns *ret_columns);
void hf_cli_columns_free(hf_cli_columns *columns);

/* A cell: for jsonl the value as JSON, else as people read it. NULL: it is absent, or *ret_status
 * is an exit status. The caller frees. */
typedef enum hf_cli_cells { HF_CLI_CELLS_TABLE, HF_CLI_CELLS_JSONL, HF_CLI_CELLS_CSV } hf_cli_cells;
char *hf_cli_columns_cell(const hf_cli *cli, const hf_cli_columns *columns, size_t column,
                          hf_cli_cells how, const hf_record *record, int *ret_status);

/* Prints a row of such cells, and frees them. table NULL unless it is one. */
void hf_cli_columns_print(hf_cli *cli, const hf_cli_columns *columns, hf_cli_cells how,
                          hf_cli_table *table, char **cells);

/* Frees cells that are not printed. */
void hf_cli_columns_drop(const hf_cli_columns *columns, char **cells);

/* A group as tables show it. The caller frees; NULL: out of memory. */
char *hf_cli_group_text(const char *group);

/* name=value,name=value. The caller frees; NULL: out of memory. */
char *hf_cli_dims_text(const hf_record *record);

/* CSV: the names of the columns. */
void hf_cli_columns_heading(hf_cli *cli, const hf_cli_columns *columns);

#endif
