#include "records.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "errors.h"
#include "output.h"
#include "sort.h"
#include "table.h"

enum { BOTH_TIMES_FROM = 120 }; /* columns of the terminal */

int hf_cli_check_format(const hf_cli *cli) {
  const char *format = cli->args.format;
  if (cli->args.json && format != NULL && strcmp(format, "jsonl") != 0)
    return hf_cli_usage(cli, "--json", "and --format %s exclude each other", format);
  return HF_CLI_DONE;
}

hf_cli_cells hf_cli_chosen_format(const hf_cli *cli) {
  const char *format = cli->args.format;
  if (cli->args.json || (format != NULL && strcmp(format, "jsonl") == 0))
    return HF_CLI_CELLS_JSONL;
  return format != NULL && strcmp(format, "csv") == 0 ? HF_CLI_CELLS_CSV : HF_CLI_CELLS_TABLE;
}

/* The columns where none are named. On a terminal that is not wide one time is enough. */
static const char *usual_columns(hf_cli_cells how, int with_op, int with_current) {
  size_t wide = hf_cli_terminal_columns();
  switch (how) {
  case HF_CLI_CELLS_JSONL:
    return "seq,op,id,run_id,stage,dims,group,ts,at,host,pid,sha256,size,current,legacy_seq,"
           "legacy_clock,retired,dropped";
  case HF_CLI_CELLS_CSV:
    return "seq,op,id,run_id,stage,dims,group,ts,at,host,pid,sha256,size,current";
  case HF_CLI_CELLS_TABLE:
    break;
  }
  if (wide > 0 && wide < BOTH_TIMES_FROM) {
    if (with_op)
      return with_current ? "seq,op,run_id,stage,dims,group,time,current"
                          : "seq,op,run_id,stage,dims,group,time";
    return with_current ? "seq,run_id,stage,dims,group,time,current"
                        : "seq,run_id,stage,dims,group,time";
  }
  if (with_op)
    return with_current ? "seq,op,run_id,stage,dims,group,ts,at,current"
                        : "seq,op,run_id,stage,dims,group,ts,at";
  return with_current ? "seq,run_id,stage,dims,group,ts,at,current"
                      : "seq,run_id,stage,dims,group,ts,at";
}

int hf_cli_layout_begin(hf_cli *cli, int with_op, int with_current, hf_cli_layout *layout) {
  const hf_cli_args *args = &cli->args;
  memset(layout, 0, sizeof *layout);
  layout->how = hf_cli_chosen_format(cli);
  const char *text =
      args->columns != NULL ? args->columns : usual_columns(layout->how, with_op, with_current);
  int status = hf_cli_columns_parse(cli, "--columns", text, &layout->columns);
  if (status == HF_CLI_DONE && args->sort != NULL)
    status =
        hf_cli_sort_begin(cli, args->sort, args->limit.value, layout->columns.count, &layout->sort);
  return status;
}

void hf_cli_layout_end(hf_cli_layout *layout) {
  hf_cli_sort_free(&layout->sort);
  hf_cli_columns_free(&layout->columns);
}

void hf_cli_layout_choose(const hf_cli_layout *layout, hf_list_options *options) {
  options->with_documents = layout->columns.needs_documents ||
                            (layout->sort != NULL && hf_cli_sort_needs_document(layout->sort));
  if (layout->sort != NULL)
    options->limit = 0; /* it counts in the order that comes of sorting */
}

/* A record's row: printed, or kept until all are there. */
static int take_record(hf_cli *cli, hf_cli_layout *layout, hf_cli_table *table,
                       const hf_record *record) {
  char *cells[HF_CLI_TABLE_COLUMNS_MAX] = {NULL};
  int status = HF_CLI_DONE;
  if (layout->sort != NULL) {
    int wants = hf_cli_sort_wants(layout->sort, record, &status);
    if (wants != 1)
      return wants == 0 ? HF_CLI_DONE : status;
  }
  status = hf_cli_columns_cells(cli, &layout->columns, layout->how, record, cells);
  if (status != HF_CLI_DONE)
    hf_cli_columns_drop(&layout->columns, cells);
  else if (layout->sort != NULL)
    status = hf_cli_sort_add(layout->sort, cells);
  else
    hf_cli_columns_print(cli, &layout->columns, layout->how, table, cells);
  return status;
}

static void print_sorted(hf_cli *cli, hf_cli_layout *layout, hf_cli_table *table) {
  char **cells;
  hf_cli_sort_end(layout->sort);
  for (size_t i = 0; (cells = hf_cli_sort_row(layout->sort, i)) != NULL && cli->out_errno == 0; i++)
    hf_cli_columns_print(cli, &layout->columns, layout->how, table, cells);
}

/* To the end of the walk, which *ret_whole tells of. Damaged records are told. */
static int walk(hf_cli *cli, hf_cursor *cursor, hf_cli_layout *layout, hf_cli_table *table,
                int *ret_whole) {
  int status = HF_CLI_DONE;
  while (cursor != NULL && cli->out_errno == 0) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    int got = hf_cursor_next(cursor, &record, &err);
    if (got == 0) {
      *ret_whole = 1;
      break;
    }
    if (got == 1) {
      int taken = take_record(cli, layout, table, record);
      hf_record_free(&record);
      if (taken != HF_CLI_DONE)
        return taken;
    } else if (got == HF_EDAMAGED) {
      hf_cli_error(cli, err.place[0] != '\0' ? err.place : cli->store_path, "warning: %s",
                   err.message);
      status = HF_CLI_FAILED;
    } else {
      return hf_cli_library_error(cli, NULL, &err);
    }
  }
  return status;
}

int hf_cli_print_records(hf_cli *cli, hf_cursor *cursor, hf_cli_layout *layout) {
  hf_cli_table *table = NULL;
  int status = HF_CLI_DONE;
  if (layout->how == HF_CLI_CELLS_TABLE)
    status = hf_cli_table_begin(cli, layout->columns.shown, layout->columns.count, &table);
  if (status != HF_CLI_DONE)
    return status;
  if (layout->how == HF_CLI_CELLS_CSV)
    hf_cli_columns_heading(cli, &layout->columns);
  int is_whole = cursor == NULL;
  status = walk(cli, cursor, layout, table, &is_whole);
  if (layout->sort != NULL && is_whole) /* a part of them would be another answer */
    print_sorted(cli, layout, table);
  hf_cli_table_end(&table);
  return status;
}

/* ---- one by one ---- */

struct hf_cli_record_stream {
  hf_cli *cli;
  const hf_cli_layout *layout;
  hf_cli_table *table;
};

/* What most records need, for nobody knows what is to come. */
static size_t stream_width(const char *column) {
  static const struct {
    const char *column;
    size_t width;
  } usual[] = {{"seq", 6}, {"op", 4},  {"run_id", 16}, {"stage", 10},  {"dims", 6}, {"group", 12},
               {"ts", 27}, {"at", 27}, {"time", 27},   {"current", 7}, {"host", 12}};
  for (size_t i = 0; i < HF_CLI_COUNT(usual); i++)
    if (strcmp(usual[i].column, column) == 0)
      return usual[i].width;
  return 10;
}

static int begin_table(hf_cli_record_stream *stream) {
  const hf_cli_columns *columns = &stream->layout->columns;
  size_t widths[HF_CLI_TABLE_COLUMNS_MAX];
  int status = hf_cli_table_begin(stream->cli, columns->shown, columns->count, &stream->table);
  if (status != HF_CLI_DONE)
    return status;
  for (size_t i = 0; i < columns->count; i++)
    widths[i] = stream_width(hf_field_name(columns->fields[i]));
  hf_cli_table_stream(stream->table, widths);
  return HF_CLI_DONE;
}

int hf_cli_record_stream_begin(hf_cli *cli, const hf_cli_layout *layout,
                               hf_cli_record_stream **ret_stream) {
  hf_cli_record_stream *stream = calloc(1, sizeof *stream);
  if (stream == NULL)
    return hf_cli_no_memory(cli);
  stream->cli = cli;
  stream->layout = layout;
  int status = layout->how == HF_CLI_CELLS_TABLE ? begin_table(stream) : HF_CLI_DONE;
  if (status != HF_CLI_DONE) {
    free(stream);
    return status;
  }
  if (layout->how == HF_CLI_CELLS_CSV)
    hf_cli_columns_heading(cli, &layout->columns);
  hf_cli_out_flush(cli);
  *ret_stream = stream;
  return HF_CLI_DONE;
}

int hf_cli_record_stream_put(hf_cli_record_stream *stream, const hf_record *record) {
  char *cells[HF_CLI_TABLE_COLUMNS_MAX] = {NULL};
  const hf_cli_layout *layout = stream->layout;
  int status = hf_cli_columns_cells(stream->cli, &layout->columns, layout->how, record, cells);
  if (status == HF_CLI_DONE)
    hf_cli_columns_print(stream->cli, &layout->columns, layout->how, stream->table, cells);
  else
    hf_cli_columns_drop(&layout->columns, cells);
  hf_cli_out_flush(stream->cli);
  return status;
}

void hf_cli_record_stream_end(hf_cli_record_stream **stream) {
  if (*stream == NULL)
    return;
  hf_cli_table_end(&(*stream)->table);
  free(*stream);
  *stream = NULL;
}
