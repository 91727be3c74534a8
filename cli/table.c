#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "errors.h"
#include "output.h"
#include "text.h"

enum { GAP_COLUMNS = 2 };

int hf_cli_table_begin(hf_cli *cli, const hf_cli_column *columns, size_t columns_count,
                       hf_cli_table **ret_table) {
  hf_cli_table *table = calloc(1, sizeof *table);
  if (table == NULL)
    return hf_cli_no_memory(cli);
  table->cli = cli;
  table->columns = columns;
  table->columns_count = columns_count;
  for (size_t i = 0; i < columns_count; i++)
    table->widths[i] = strlen(columns[i].heading);
  *ret_table = table;
  return HF_CLI_DONE;
}

/* The terminal's width; 0: stdout is none, or has no width. */
static size_t terminal_columns(void) {
  struct winsize size;
  if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
    return 0;
  return size.ws_col;
}

static void fit_to_terminal(hf_cli_table *table) {
  size_t wide = terminal_columns();
  size_t total = 0;
  for (size_t i = 0; i < table->columns_count; i++)
    total += table->widths[i] + (i > 0 ? GAP_COLUMNS : 0);
  while (wide > 0 && total > wide) {
    /* The widest of those that may shrink gives one column. */
    size_t widest = SIZE_MAX;
    for (size_t i = 0; i < table->columns_count; i++)
      if (table->columns[i].shrinks_to > 0 && table->widths[i] > table->columns[i].shrinks_to &&
          (widest == SIZE_MAX || table->widths[i] > table->widths[widest]))
        widest = i;
    if (widest == SIZE_MAX)
      return;
    table->widths[widest]--;
    total--;
  }
}

static void put_blanks(hf_cli *cli, size_t count) {
  hf_cli_out_format(cli, "%*s", (int)count, "");
}

static void put_cell(hf_cli_table *table, size_t column, const char *text, size_t columns,
                     size_t *owed) {
  size_t width = table->widths[column];
  size_t blanks = columns < width ? width - columns : 0;
  put_blanks(table->cli, *owed + (table->columns[column].right ? blanks : 0));
  hf_cli_out_text(table->cli, text);
  /* Blanks are put before the next cell: no row ends with them. */
  *owed = GAP_COLUMNS + (table->columns[column].right ? 0 : blanks);
}

static void print_rows(hf_cli_table *table) {
  int to_terminal = terminal_columns() > 0;
  if (!table->begun) {
    fit_to_terminal(table);
    size_t owed = 0;
    for (size_t i = 0; i < table->columns_count; i++)
      put_cell(table, i, table->columns[i].heading, strlen(table->columns[i].heading), &owed);
    hf_cli_out_text(table->cli, "\n");
    table->begun = 1;
  }
  for (size_t row = 0; row < table->rows; row++) {
    size_t owed = 0;
    for (size_t i = 0; i < table->columns_count; i++) {
      char *text = table->cells[row][i];
      size_t columns = table->cell_columns[row][i];
      if (text != NULL && to_terminal && columns > table->widths[i] &&
          table->columns[i].shrinks_to > 0)
        columns = hf_cli_cut_columns(text, table->widths[i]);
      put_cell(table, i, text != NULL ? text : "", columns, &owed);
      free(text);
      table->cells[row][i] = NULL;
    }
    hf_cli_out_text(table->cli, "\n");
  }
  table->rows = 0;
}

void hf_cli_table_stream(hf_cli_table *table, const size_t *widths) {
  for (size_t i = 0; i < table->columns_count; i++)
    if (table->widths[i] < widths[i])
      table->widths[i] = widths[i];
  print_rows(table);
}

void hf_cli_table_cell(hf_cli_table *table, const char *text) {
  size_t column = table->in_row;
  size_t columns = 0;
  char *visible =
      hf_cli_visible(text != NULL ? text : "", text != NULL ? strlen(text) : 0, &columns);
  if (visible == NULL)
    hf_cli_out_no_memory(table->cli);
  table->cells[table->rows][column] = visible;
  table->cell_columns[table->rows][column] = columns;
  if (!table->begun && columns > table->widths[column])
    table->widths[column] = columns;
  if (++table->in_row < table->columns_count)
    return;
  table->in_row = 0;
  table->rows++;
  /* Once the widths stand nothing is gained by waiting. */
  if (table->begun || table->rows == HF_CLI_TABLE_ROWS_MAX)
    print_rows(table);
}

void hf_cli_table_end(hf_cli_table **table) {
  if (*table == NULL)
    return;
  print_rows(*table);
  for (size_t i = 0; i < (*table)->in_row; i++)
    free((*table)->cells[0][i]);
  free(*table);
  *table = NULL;
}

void hf_cli_csv_field(hf_cli *cli, const char *text, int is_first) {
  if (!is_first)
    hf_cli_out_text(cli, ",");
  if (text == NULL)
    return;
  size_t bytes = strlen(text);
  int quoted =
      strpbrk(text, ",\"\r\n") != NULL || (bytes > 0 && (text[0] == ' ' || text[bytes - 1] == ' '));
  if (!quoted) {
    hf_cli_out(cli, text, bytes);
    return;
  }
  hf_cli_out_text(cli, "\"");
  while (*text != '\0') {
    size_t plain = strcspn(text, "\"");
    hf_cli_out(cli, text, plain);
    text += plain;
    if (*text == '"') {
      hf_cli_out_text(cli, "\"\"");
      text++;
    }
  }
  hf_cli_out_text(cli, "\"");
}

void hf_cli_csv_dims(hf_cli *cli, const hf_dim *dims, size_t count) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *to = count > 0 ? open_memstream(&text, &bytes) : NULL;
  int failed = count > 0 && to == NULL;
  if (to != NULL) {
    failed |= hf_cli_write_json_dims(to, dims, count) != 0;
    failed |= fclose(to) != 0;
  }
  if (failed)
    hf_cli_out_no_memory(cli);
  else
    hf_cli_csv_field(cli, text, 0);
  free(text);
}

void hf_cli_csv_end(hf_cli *cli) {
  hf_cli_out_text(cli, "\r\n");
}
