#include "table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "errors.h"
#include "output.h"
#include "text.h"

enum {
  GAP_COLUMNS = 2,
  TERMINAL_COLUMNS = 80,  /* of one that does not tell */
  SHRINKS_AT_MOST_TO = 4, /* where even shrunk columns are too many */
  DAY_COLUMNS = 5,        /* a time then: 01-05 */
  MINUTE_COLUMNS = 16     /* 2026-01-05 09:00 */
};

int hf_cli_table_begin(hf_cli *cli, const hf_cli_column *columns, size_t columns_count,
                       hf_cli_table **ret_table) {
  hf_cli_table *table = calloc(1, sizeof *table);
  if (table == NULL)
    return hf_cli_no_memory(cli);
  table->cli = cli;
  table->columns = columns;
  table->columns_count = columns_count;
  for (size_t i = 0; i < columns_count; i++) {
    char *visible =
        hf_cli_visible(columns[i].heading, strlen(columns[i].heading), &table->widths[i]);
    if (visible == NULL) {
      free(table);
      return hf_cli_no_memory(cli);
    }
    free(visible);
  }
  *ret_table = table;
  return HF_CLI_DONE;
}

size_t hf_cli_terminal_columns(void) {
  struct winsize size;
  if (isatty(STDOUT_FILENO) != 1)
    return 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
    return TERMINAL_COLUMNS;
  return size.ws_col;
}

/* Which columns give, one step after the other. */
typedef enum { STEP_MINUTES, STEP_GROUPS, STEP_WIDEST, STEP_YEARS, STEP_ALL, STEPS } shrink_step;

/* How wide the column may be made in this step, at the least. */
static size_t least_width(const hf_cli_table *table, size_t column, shrink_step step) {
  const hf_cli_column *it = &table->columns[column];
  size_t width = table->widths[column];
  int is_time = it->cut == HF_CLI_CUT_TIME;
  if (it->shrinks_to == 0)
    return width;
  switch (step) {
  case STEP_MINUTES:
    return is_time ? table->minutes[column] : width;
  case STEP_GROUPS:
    return it->cut == HF_CLI_CUT_GROUP ? it->shrinks_to : width;
  case STEP_WIDEST:
    return is_time ? width : it->shrinks_to;
  case STEP_YEARS:
    return is_time ? it->shrinks_to : width;
  case STEP_ALL:
  case STEPS:
    break;
  }
  return is_time ? DAY_COLUMNS : SHRINKS_AT_MOST_TO;
}

/* The widest of those that may shrink gives one column; a time all that the step takes, for what
 * lies between says no more. 0: none may. */
static size_t shrink(hf_cli_table *table, shrink_step step) {
  size_t widest = SIZE_MAX;
  for (size_t i = 0; i < table->columns_count; i++)
    if (table->widths[i] > least_width(table, i, step) &&
        (widest == SIZE_MAX || table->widths[i] > table->widths[widest]))
      widest = i;
  if (widest == SIZE_MAX)
    return 0;
  size_t width = table->widths[widest];
  table->widths[widest] =
      table->columns[widest].cut == HF_CLI_CUT_TIME ? least_width(table, widest, step) : width - 1;
  return width - table->widths[widest];
}

/* How wide the column of times is to the minute, by the rows that are there. */
static size_t minute_width(const hf_cli_table *table, size_t column) {
  size_t width = MINUTE_COLUMNS;
  for (size_t row = 0; row < table->rows; row++) {
    const char *text = table->cells[row][column];
    size_t columns = text != NULL ? hf_cli_minute_columns(text) : 0;
    if (columns > width)
      width = columns;
  }
  return width;
}

static void fit_to_terminal(hf_cli_table *table) {
  size_t wide = hf_cli_terminal_columns();
  size_t total = 0;
  for (size_t i = 0; i < table->columns_count; i++) {
    total += table->widths[i] + (i > 0 ? GAP_COLUMNS : 0);
    table->minutes[i] = minute_width(table, i);
  }
  table->too_wide = wide > 0 && total > wide;
  for (int step = STEP_MINUTES; step < STEPS && table->too_wide; step++) {
    size_t gave = 1;
    for (; gave > 0 && (total > wide || step == STEP_MINUTES); total -= gave)
      gave = shrink(table, (shrink_step)step);
  }
}

static int is_number(const char *text) {
  size_t digits = strspn(text, "0123456789+-.eE");
  return text[digits] == '\0' && strpbrk(text, "0123456789") != NULL;
}

/* On which side a column's cells stand, by the rows that are there. */
static void choose_sides(hf_cli_table *table) {
  for (size_t i = 0; i < table->columns_count; i++) {
    size_t numbers = 0;
    size_t others = 0;
    for (size_t row = 0; row < table->rows; row++) {
      const char *text = table->cells[row][i];
      if (text != NULL && text[0] != '\0')
        *(is_number(text) ? &numbers : &others) += 1;
    }
    table->right[i] = table->columns[i].right == HF_CLI_RIGHT_IF_NUMBERS
                          ? numbers > 0 && others == 0
                          : table->columns[i].right;
  }
}

static void put_blanks(hf_cli *cli, size_t count) {
  hf_cli_out_format(cli, "%*s", (int)count, "");
}

static void put_cell(hf_cli_table *table, size_t column, const char *text, size_t columns,
                     size_t *owed) {
  size_t width = table->widths[column];
  size_t blanks = columns < width ? width - columns : 0;
  if (text[0] == '\0') { /* numbers, too: a row does not end with blanks */
    *owed += width + GAP_COLUMNS;
    return;
  }
  put_blanks(table->cli, *owed + (table->right[column] ? blanks : 0));
  hf_cli_out_text(table->cli, text);
  /* Blanks are put before the next cell: no row ends with them. */
  *owed = GAP_COLUMNS + (table->right[column] ? 0 : blanks);
}

/* Of a pointer that is too long its end says most. */
static void print_headings(hf_cli_table *table) {
  size_t owed = 0;
  for (size_t i = 0; i < table->columns_count; i++) {
    size_t columns = 0;
    const char *heading = table->columns[i].heading;
    char *visible = hf_cli_visible(heading, strlen(heading), &columns);
    if (visible == NULL)
      hf_cli_out_no_memory(table->cli);
    else if (columns > table->widths[i] && heading[0] == '/')
      columns = hf_cli_cut_front(visible, table->widths[i]);
    else if (columns > table->widths[i])
      columns = hf_cli_cut_columns(visible, table->widths[i]);
    put_cell(table, i, visible != NULL ? visible : "", columns, &owed);
    free(visible);
  }
  hf_cli_out_text(table->cli, "\n");
}

/* Answers the columns that *text takes then. */
static size_t cut_cell(const hf_cli_table *table, size_t column, char **text) {
  size_t width = table->widths[column];
  size_t columns = 0;
  if (table->columns[column].cut == HF_CLI_CUT_TIME) { /* those that would fit, too: all alike */
    size_t minute = hf_cli_minute_columns(*text);
    return hf_cli_cut_time(*text, minute > 0 && minute < width ? minute : width);
  }
  char *cut = table->columns[column].cut == HF_CLI_CUT_MIDDLE
                  ? hf_cli_visible_middle(*text, strlen(*text), width, &columns)
                  : NULL;
  if (cut == NULL)
    return hf_cli_cut_columns(*text, width);
  free(*text);
  *text = cut;
  return columns;
}

static void print_rows(hf_cli_table *table) {
  int to_terminal = hf_cli_terminal_columns() > 0;
  if (!table->begun) {
    choose_sides(table);
    fit_to_terminal(table);
    print_headings(table);
    table->begun = 1;
  }
  for (size_t row = 0; row < table->rows; row++) {
    size_t owed = 0;
    for (size_t i = 0; i < table->columns_count; i++) {
      char *text = table->cells[row][i];
      size_t columns = table->cell_columns[row][i];
      if (text != NULL && to_terminal && table->columns[i].shrinks_to > 0 &&
          (columns > table->widths[i] ||
           (table->too_wide && table->columns[i].cut == HF_CLI_CUT_TIME)))
        columns = cut_cell(table, i, &text);
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
