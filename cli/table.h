/* Rows in columns, and CSV by RFC 4180. */
#ifndef HF_CLI_TABLE_H
#define HF_CLI_TABLE_H

#include "cli.h"

enum {
  HF_CLI_TABLE_COLUMNS_MAX = 32,
  HF_CLI_TABLE_ROWS_MAX = 256, /* the columns are made as wide as the first rows need */
  HF_CLI_RIGHT_IF_NUMBERS = 2
};

/* Where cells are cut that do not fit, and who gives first: times their seconds, then groups, then
 * whoever is the widest, then times their year. */
typedef enum hf_cli_cut {
  HF_CLI_CUT_END,
  HF_CLI_CUT_MIDDLE, /* names often differ in both ends */
  HF_CLI_CUT_GROUP,  /* at the end: most are digests, of which the beginning says enough */
  HF_CLI_CUT_TIME    /* hf_cli_cut_time */
} hf_cli_cut;

typedef struct hf_cli_column {
  const char *heading;
  int right;         /* numbers; or HF_CLI_RIGHT_IF_NUMBERS: where the first rows have only such */
  size_t shrinks_to; /* on a terminal that is too narrow; 0: it does not shrink */
  hf_cli_cut cut;
} hf_cli_column;

/* A table that is being printed. Control characters in cells are made visible, wide characters
 * counted as such. Where stdout is a terminal a row is cut to its width (one that does not tell it:
 * 80). */
typedef struct hf_cli_table {
  hf_cli *cli;
  const hf_cli_column *columns;
  size_t columns_count;
  char *cells[HF_CLI_TABLE_ROWS_MAX][HF_CLI_TABLE_COLUMNS_MAX];
  size_t cell_columns[HF_CLI_TABLE_ROWS_MAX][HF_CLI_TABLE_COLUMNS_MAX];
  size_t rows;
  size_t in_row;
  size_t widths[HF_CLI_TABLE_COLUMNS_MAX];
  size_t minutes[HF_CLI_TABLE_COLUMNS_MAX]; /* as wide as times are to the minute */
  int too_wide;                             /* to the minute they are shown, then */
  int right[HF_CLI_TABLE_COLUMNS_MAX];
  int begun; /* the heading stands */
} hf_cli_table;

/* The width of the terminal that stdout is; 0: it is none, or has no width. */
size_t hf_cli_terminal_columns(void);

/* The caller frees *ret_table by hf_cli_table_end. columns must live as long. Answers an exit
 * status. */
int hf_cli_table_begin(hf_cli *cli, const hf_cli_column *columns, size_t columns_count,
                       hf_cli_table **ret_table);

/* For rows that come one by one: the heading is printed, the columns are as wide as it, and as
 * widths[] at least, and each row is printed once it is complete. */
void hf_cli_table_stream(hf_cli_table *table, const size_t *widths);

/* The next cell; after the last column's the row is complete. NULL: empty. */
void hf_cli_table_cell(hf_cli_table *table, const char *text);

/* Prints what is left (the heading even without a row), frees *table and sets it to NULL. Accepts a
 * pointer to NULL. */
void hf_cli_table_end(hf_cli_table **table);

/* A field of CSV: in quotation marks where it needs them. NULL: empty. */
void hf_cli_csv_field(hf_cli *cli, const char *text, int is_first);

/* The dims as a JSON object, in one field; empty where there are none. */
void hf_cli_csv_dims(hf_cli *cli, const hf_dim *dims, size_t count);

void hf_cli_csv_end(hf_cli *cli);

#endif
