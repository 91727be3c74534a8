#include "records.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "output.h"
#include "table.h"
#include "text.h"

enum { GROUP_COLUMNS = 12 };

static void print_json(hf_cli *cli, const hf_record *record) {
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_number(&json, "seq", record->seq);
  hf_cli_json_text(&json, "op", record->op);
  hf_cli_json_text(&json, "id", record->id);
  hf_cli_json_text(&json, "run_id", record->run_id);
  hf_cli_json_text(&json, "stage", record->stage);
  hf_cli_json_dims(&json, "dims", record->dims, record->dims_count);
  hf_cli_json_text(&json, "group", record->group);
  hf_cli_json_text(&json, "ts", record->ts);
  hf_cli_json_text(&json, "at", record->at);
  hf_cli_json_text(&json, "host", record->host);
  hf_cli_json_signed(&json, "pid", record->pid);
  hf_cli_json_text(&json, "sha256", record->sha256);
  hf_cli_json_number(&json, "size", record->size);
  hf_cli_json_bool(&json, "current", record->is_current);
  if (record->retired > 0)
    hf_cli_json_number(&json, "retired", record->retired);
  if (record->dropped > 0)
    hf_cli_json_number(&json, "dropped", record->dropped);
  if (record->legacy_seq > 0)
    hf_cli_json_number(&json, "legacy_seq", record->legacy_seq);
  else
    hf_cli_json_null(&json, "legacy_seq");
  hf_cli_json_bool(&json, "legacy_clock", record->legacy_clock);
  hf_cli_json_end(&json);
}

/* name=value,name=value. Names and values may hold commas: JSON and CSV say it without doubt. */
static char *dims_text(const hf_record *record) {
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

static void csv_number(hf_cli *cli, uint64_t value) {
  hf_cli_out_format(cli, ",%" PRIu64, value);
}

static void print_csv(hf_cli *cli, const hf_record *record) {
  hf_cli_out_format(cli, "%" PRIu64, record->seq);
  hf_cli_csv_field(cli, record->op, 0);
  hf_cli_csv_field(cli, record->id, 0);
  hf_cli_csv_field(cli, record->run_id, 0);
  hf_cli_csv_field(cli, record->stage, 0);
  hf_cli_csv_dims(cli, record->dims, record->dims_count);
  hf_cli_csv_field(cli, record->group, 0);
  hf_cli_csv_field(cli, record->ts, 0);
  hf_cli_csv_field(cli, record->at, 0);
  hf_cli_csv_field(cli, record->host, 0);
  csv_number(cli, (uint64_t)record->pid);
  hf_cli_csv_field(cli, record->sha256, 0);
  csv_number(cli, record->size);
  hf_cli_csv_field(cli, record->is_current ? "true" : "false", 0);
  hf_cli_csv_end(cli);
}

static const char csv_heading[] =
    "seq,op,id,run_id,stage,dims,group,ts,at,host,pid,sha256,size,current\r\n";

/* The columns of a table, each of which may be left out. */
typedef enum record_column {
  COLUMN_SEQ,
  COLUMN_OP,
  COLUMN_RUN_ID,
  COLUMN_STAGE,
  COLUMN_DIMS,
  COLUMN_GROUP,
  COLUMN_TS,
  COLUMN_AT,
  COLUMN_CURRENT,
  COLUMNS_COUNT
} record_column;

static const hf_cli_column record_columns[COLUMNS_COUNT] = {
    [COLUMN_SEQ] = {"seq", 1, 0},         [COLUMN_OP] = {"op", 0, 0},
    [COLUMN_RUN_ID] = {"run_id", 0, 12},  [COLUMN_STAGE] = {"stage", 0, 8},
    [COLUMN_DIMS] = {"dims", 0, 8},       [COLUMN_GROUP] = {"group", 0, 6},
    [COLUMN_TS] = {"ts", 0, 10},          [COLUMN_AT] = {"at", 0, 10},
    [COLUMN_CURRENT] = {"current", 0, 0},
};

typedef struct record_table {
  hf_cli_table *table;
  hf_cli_column columns[COLUMNS_COUNT];
  int wanted[COLUMNS_COUNT];
} record_table;

static int table_begin(hf_cli *cli, record_table *to, int with_op, int with_current) {
  size_t count = 0;
  for (size_t i = 0; i < COLUMNS_COUNT; i++) {
    to->wanted[i] = (i != COLUMN_OP || with_op) && (i != COLUMN_CURRENT || with_current);
    if (to->wanted[i])
      to->columns[count++] = record_columns[i];
  }
  return hf_cli_table_begin(cli, to->columns, count, &to->table);
}

static void table_row(hf_cli *cli, const record_table *to, const hf_record *record) {
  char seq[24];
  char group[4 * GROUP_COLUMNS + 8] = "";
  (void)snprintf(seq, sizeof seq, "%" PRIu64, record->seq);
  if (record->group != NULL) {
    size_t bytes = strlen(record->group);
    char *visible = hf_cli_visible(record->group, bytes, NULL);
    if (visible != NULL) {
      if (bytes == HF_SHA256_CHARS && strspn(visible, "0123456789abcdef") == bytes)
        visible[GROUP_COLUMNS] = '\0'; /* a digest, known by its beginning */
      (void)snprintf(group, sizeof group, "%s", visible);
      (void)hf_cli_cut_columns(group, GROUP_COLUMNS + 4);
    }
    free(visible);
  }
  char *dims = dims_text(record);
  if (dims == NULL)
    hf_cli_out_no_memory(cli);
  const char *const cells[COLUMNS_COUNT] = {
      [COLUMN_SEQ] = seq,
      [COLUMN_OP] = record->op,
      [COLUMN_RUN_ID] = record->run_id,
      [COLUMN_STAGE] = record->stage,
      [COLUMN_DIMS] = dims,
      [COLUMN_GROUP] = group,
      [COLUMN_TS] = record->ts,
      [COLUMN_AT] = record->at,
      [COLUMN_CURRENT] = record->run_id == NULL || record->sha256 == NULL ? ""
                         : record->retired > 0                            ? "retired"
                         : record->is_current                             ? "yes"
                                                                          : "no",
  };
  for (size_t i = 0; i < COLUMNS_COUNT; i++)
    if (to->wanted[i])
      hf_cli_table_cell(to->table, cells[i]);
  free(dims);
}

int hf_cli_check_format(const hf_cli *cli) {
  const char *format = cli->args.format;
  if (cli->args.json && format != NULL && strcmp(format, "jsonl") != 0)
    return hf_cli_usage(cli, "--json", "and --format %s exclude each other", format);
  return HF_CLI_DONE;
}

typedef enum records_format { RECORDS_TABLE, RECORDS_JSONL, RECORDS_CSV } records_format;

static records_format chosen_format(const hf_cli *cli) {
  const char *format = cli->args.format;
  if (cli->args.json || (format != NULL && strcmp(format, "jsonl") == 0))
    return RECORDS_JSONL;
  return format != NULL && strcmp(format, "csv") == 0 ? RECORDS_CSV : RECORDS_TABLE;
}

static void print_one(hf_cli *cli, records_format format, const record_table *table,
                      const hf_record *record) {
  switch (format) {
  case RECORDS_TABLE:
    table_row(cli, table, record);
    break;
  case RECORDS_JSONL:
    print_json(cli, record);
    break;
  case RECORDS_CSV:
    print_csv(cli, record);
    break;
  }
}

int hf_cli_print_records(hf_cli *cli, hf_cursor *cursor, int with_op, int with_current,
                         uint64_t *ret_count) {
  records_format format = chosen_format(cli);
  record_table table = {0};
  uint64_t count = 0;
  int status = HF_CLI_DONE;
  if (format == RECORDS_TABLE)
    status = table_begin(cli, &table, with_op, with_current);
  if (status != HF_CLI_DONE)
    return status;
  if (format == RECORDS_CSV)
    hf_cli_out_text(cli, csv_heading);
  while (cursor != NULL && cli->out_errno == 0) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    int got = hf_cursor_next(cursor, &record, &err);
    if (got == 1) {
      print_one(cli, format, &table, record);
      hf_record_free(&record);
    } else if (got == HF_EDAMAGED) {
      hf_cli_error(cli, err.place[0] != '\0' ? err.place : cli->store_path, "warning: %s",
                   err.message);
      status = HF_CLI_FAILED;
    } else if (got < 0) {
      status = hf_cli_library_error(cli, NULL, &err);
    }
    if (got == 0 || (got < 0 && got != HF_EDAMAGED))
      break;
    count++;
  }
  hf_cli_table_end(&table.table);
  if (ret_count != NULL)
    *ret_count = count;
  return status;
}
