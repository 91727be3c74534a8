#include "columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "output.h"
#include "text.h"

enum { GROUP_COLUMNS = 12, SHRINKS_TO = 6 };

void hf_cli_columns_free(hf_cli_columns *columns) {
  for (size_t i = 0; i < columns->count; i++)
    hf_field_free(&columns->fields[i]);
  memset(columns, 0, sizeof *columns);
}

/* How a table shows it. */
static hf_cli_column shown_as(const hf_field *field) {
  static const hf_cli_column known[] = {
      {"seq", 1, 0, HF_CLI_CUT_END},        {"op", 0, 0, HF_CLI_CUT_END},
      {"run_id", 0, 20, HF_CLI_CUT_MIDDLE}, {"stage", 0, 8, HF_CLI_CUT_END},
      {"dims", 0, 8, HF_CLI_CUT_END},       {"group", 0, 8, HF_CLI_CUT_GROUP},
      {"ts", 0, 11, HF_CLI_CUT_TIME},       {"at", 0, 11, HF_CLI_CUT_TIME},
      {"time", 0, 11, HF_CLI_CUT_TIME},     {"pid", 1, 0, HF_CLI_CUT_END},
      {"size", 1, 0, HF_CLI_CUT_END},       {"current", 0, 0, HF_CLI_CUT_END},
      {"sha256", 0, 8, HF_CLI_CUT_END},     {"legacy_seq", 1, 0, HF_CLI_CUT_END},
  };
  const char *name = hf_field_name(field);
  for (size_t i = 0; i < HF_CLI_COUNT(known); i++)
    if (strcmp(known[i].heading, name) == 0)
      return known[i];
  return (hf_cli_column){name, HF_CLI_RIGHT_IF_NUMBERS, SHRINKS_TO, HF_CLI_CUT_END};
}

static int add(const hf_cli *cli, const char *place, hf_cli_columns *columns, const char *text,
               size_t *ret_bytes) {
  hf_error err = HF_ERROR_INIT;
  if (columns->count == HF_CLI_TABLE_COLUMNS_MAX)
    return hf_cli_usage(cli, place, "more than %d columns are given; that is the limit",
                        HF_CLI_TABLE_COLUMNS_MAX);
  hf_field *field = NULL;
  if (hf_field_parse(text, ret_bytes, &field, &err) != HF_OK)
    return hf_cli_expr_error(cli, place, 0, &err);
  for (size_t i = 0; i < columns->count; i++)
    if (strcmp(hf_field_name(columns->fields[i]), hf_field_name(field)) == 0) {
      int status = hf_cli_usage(cli, place, "\"%.80s\" is given twice", hf_field_name(field));
      hf_field_free(&field);
      return status;
    }
  columns->needs_documents |= hf_field_needs_document(field);
  columns->shown[columns->count] = shown_as(field);
  columns->fields[columns->count++] = field;
  return HF_CLI_DONE;
}

int hf_cli_columns_parse(const hf_cli *cli, const char *place, const char *text,
                         hf_cli_columns *ret_columns) {
  memset(ret_columns, 0, sizeof *ret_columns);
  for (const char *at = text;; at++) {
    size_t bytes = 0;
    int status = add(cli, place, ret_columns, at, &bytes);
    if (status != HF_CLI_DONE)
      return status;
    at += bytes;
    while (hf_cli_is_white(*at))
      at++;
    if (*at == '\0')
      return HF_CLI_DONE;
    if (*at != ',')
      return hf_cli_usage(cli, place,
                          "expected a comma or the end before \"%.40s\" (a pointer with such a "
                          "character is written @\"/a b\")",
                          at);
  }
}

/* name=value,name=value. Names and values may hold commas: JSON and CSV say it without doubt. */
char *hf_cli_dims_text(const hf_record *record) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *to = open_memstream(&text, &bytes);
  if (to == NULL)
    return NULL;
  int failed = 0;
  for (size_t i = 0; i < record->dims_count; i++)
    failed |=
        fprintf(to, "%s%s=%s", i > 0 ? "," : "", record->dims[i].name, record->dims[i].value) < 0;
  failed |= fclose(to) != 0;
  if (!failed)
    return text;
  free(text);
  return NULL;
}

char *hf_cli_group_text(const char *group) {
  size_t bytes = strlen(group);
  char *visible = hf_cli_visible(group, bytes, NULL);
  if (visible == NULL)
    return NULL;
  if (bytes == HF_SHA256_CHARS && strspn(visible, "0123456789abcdef") == bytes)
    visible[GROUP_COLUMNS] = '\0'; /* a digest, known by its beginning */
  (void)hf_cli_cut_columns(visible, GROUP_COLUMNS + 4);
  return visible;
}

/* What is shown in another way than as its text. 1: *ret_cell is it. */
static int other_cell(const char *name, hf_cli_cells how, const hf_record *record,
                      char **ret_cell) {
  if (how == HF_CLI_CELLS_CSV && strcmp(name, "dims") == 0 && record->dims_count == 0)
    *ret_cell = NULL;
  else if (how != HF_CLI_CELLS_TABLE)
    return 0;
  else if (strcmp(name, "dims") == 0)
    *ret_cell = hf_cli_dims_text(record);
  else if (strcmp(name, "group") == 0 && record->group != NULL)
    *ret_cell = hf_cli_group_text(record->group);
  else if (strcmp(name, "current") == 0)
    *ret_cell = strdup(strcmp(record->op, "save") != 0 ? ""
                       : record->retired > 0           ? "retired"
                       : record->is_current            ? "yes"
                                                       : "no");
  else
    return 0;
  return 1;
}

int hf_cli_columns_cells(const hf_cli *cli, const hf_cli_columns *columns, hf_cli_cells how,
                         const hf_record *record, char **cells) {
  hf_value values[HF_CLI_TABLE_COLUMNS_MAX];
  hf_error err = HF_ERROR_INIT;
  memset(values, 0, columns->count * sizeof values[0]);
  int status = hf_field_get_all(columns->fields, columns->count, record, values, &err);
  for (size_t i = 0; i < columns->count; i++) {
    cells[i] = NULL;
    if (status == HF_OK &&
        other_cell(hf_field_name(columns->fields[i]), how, record, &cells[i]) == 0) {
      char **wanted = how == HF_CLI_CELLS_JSONL ? &values[i].json : &values[i].text;
      cells[i] = *wanted;
      *wanted = NULL;
    }
    hf_value_clear(&values[i]);
  }
  return status == HF_OK ? HF_CLI_DONE : hf_cli_library_error(cli, NULL, &err);
}

static void print_json(hf_cli *cli, const hf_cli_columns *columns, char *const *cells) {
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  for (size_t i = 0; i < columns->count; i++) {
    hf_cli_json_name(&json, hf_field_name(columns->fields[i]));
    hf_cli_out_text(cli, cells[i] != NULL ? cells[i] : "null");
  }
  hf_cli_json_end(&json);
}

void hf_cli_columns_print(hf_cli *cli, const hf_cli_columns *columns, hf_cli_cells how,
                          hf_cli_table *table, char **cells) {
  switch (how) {
  case HF_CLI_CELLS_JSONL:
    print_json(cli, columns, cells);
    break;
  case HF_CLI_CELLS_TABLE:
    for (size_t i = 0; i < columns->count; i++)
      hf_cli_table_cell(table, cells[i]);
    break;
  case HF_CLI_CELLS_CSV:
    if (columns->count == 1 && (cells[0] == NULL || cells[0][0] == '\0'))
      hf_cli_out_text(cli, "\"\""); /* readers pass over an empty line */
    for (size_t i = 0; i < columns->count; i++)
      hf_cli_csv_field(cli, cells[i], i == 0);
    hf_cli_csv_end(cli);
    break;
  }
  hf_cli_columns_drop(columns, cells);
}

void hf_cli_columns_drop(const hf_cli_columns *columns, char **cells) {
  for (size_t i = 0; i < columns->count; i++) {
    free(cells[i]);
    cells[i] = NULL;
  }
}

void hf_cli_columns_heading(hf_cli *cli, const hf_cli_columns *columns) {
  for (size_t i = 0; i < columns->count; i++)
    hf_cli_csv_field(cli, hf_field_name(columns->fields[i]), i == 0);
  hf_cli_csv_end(cli);
}
