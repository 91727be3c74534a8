/* Snapshots as a Parquet file: the columns of the envelope, `doc`, and one for each scalar value of
 * the documents that the plan chose.
 *
 * `doc` is declared a string, not JSON: readers that know JSON would hand its numbers on as
 * doubles, and 9007199254740993 would be another number. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "export_job.h"
#include "parquet.h"

typedef enum envelope_column {
  SEQ,
  RUN_ID,
  STAGE,
  DIMS,
  GROUP,
  TS,
  AT,
  HOST,
  PID,
  ID,
  SHA256,
  SIZE,
  CURRENT,
  DOC,
  ENVELOPE_COUNT
} envelope_column;

static const hf_cli_parquet_column envelope[ENVELOPE_COUNT] = {
    [SEQ] = {"seq", HF_CLI_PARQUET_INT64, 1},
    [RUN_ID] = {"run_id", HF_CLI_PARQUET_TEXT, 0},
    [STAGE] = {"stage", HF_CLI_PARQUET_TEXT, 0},
    [DIMS] = {"dims", HF_CLI_PARQUET_TEXT, 0},
    [GROUP] = {"group", HF_CLI_PARQUET_TEXT, 0},
    [TS] = {"ts", HF_CLI_PARQUET_TEXT, 0},
    [AT] = {"at", HF_CLI_PARQUET_TEXT, 0},
    [HOST] = {"host", HF_CLI_PARQUET_TEXT, 0},
    [PID] = {"pid", HF_CLI_PARQUET_INT64, 0},
    [ID] = {"id", HF_CLI_PARQUET_TEXT, 0},
    [SHA256] = {"sha256", HF_CLI_PARQUET_TEXT, 0},
    [SIZE] = {"size", HF_CLI_PARQUET_INT64, 0},
    [CURRENT] = {"current", HF_CLI_PARQUET_BOOLEAN, 0},
    [DOC] = {"doc", HF_CLI_PARQUET_TEXT, 0},
};

typedef struct writing {
  hf_cli_export_job *job;
  hf_cli_plan *plan;
  hf_cli_parquet *to;
  hf_cli_bytes scratch;
  int failed; /* memory ran out within a document */
} writing;

static int told(const hf_cli_export_job *job, hf_cli_parquet_status status) {
  int number = errno;
  switch (status) {
  case HF_CLI_PARQUET_OK:
    return HF_CLI_DONE;
  case HF_CLI_PARQUET_NO_MEMORY:
    return hf_cli_no_memory(job->cli);
  case HF_CLI_PARQUET_NOT_WRITTEN:
    return job->cli->out_errno != 0 /* that stdout failed is told at the end */
               ? HF_CLI_FAILED
               : hf_cli_failed(job->cli, job->cli->args.out, "cannot be written: %s",
                               strerror(number));
  case HF_CLI_PARQUET_TOO_LONG:
    return hf_cli_failed(job->cli, job->cli->args.out,
                         "a document, or the list of columns, is too long for the format (2 GiB)");
  }
  return HF_CLI_FAILED;
}

static void put_text(writing *on, size_t column, const char *text) {
  if (text != NULL)
    hf_cli_parquet_put_text(on->to, column, text, strlen(text));
}

static int put_leaf(void *context, const hf_leaf *leaf) {
  writing *on = context;
  const hf_cli_plan_leaf *of = hf_cli_plan_find(on->plan, 0, leaf);
  hf_cli_cell cell;
  if (of == NULL)
    return 0;
  if (hf_cli_leaf_cell(leaf, of->type, &on->scratch, &cell) != 0) {
    on->failed = 1;
    return 1;
  }
  size_t column = ENVELOPE_COUNT + of->column;
  switch (cell.type) {
  case HF_CLI_CELL_NULL:
    break;
  case HF_CLI_CELL_BOOLEAN:
    hf_cli_parquet_put_boolean(on->to, column, (int)cell.integer);
    break;
  case HF_CLI_CELL_INTEGER:
    hf_cli_parquet_put_int64(on->to, column, cell.integer);
    break;
  case HF_CLI_CELL_REAL:
    hf_cli_parquet_put_double(on->to, column, cell.real);
    break;
  case HF_CLI_CELL_TEXT:
    hf_cli_parquet_put_text(on->to, column, cell.text, cell.text_bytes);
    break;
  }
  return 0;
}

static int put_record(void *context, const hf_record *record) {
  writing *on = context;
  const hf_cli *cli = on->job->cli;
  const char *dims = hf_cli_export_dims(record, &on->scratch);
  if (dims == NULL)
    return hf_cli_no_memory(cli);
  hf_cli_parquet_put_int64(on->to, SEQ, (int64_t)record->seq);
  put_text(on, RUN_ID, record->run_id);
  put_text(on, STAGE, record->stage);
  put_text(on, DIMS, dims);
  put_text(on, GROUP, record->group);
  put_text(on, TS, record->ts);
  put_text(on, AT, record->at);
  put_text(on, HOST, record->host);
  hf_cli_parquet_put_int64(on->to, PID, record->pid);
  put_text(on, ID, record->id);
  put_text(on, SHA256, record->sha256);
  hf_cli_parquet_put_int64(on->to, SIZE, (int64_t)record->size);
  hf_cli_parquet_put_boolean(on->to, CURRENT, record->is_current);
  if (record->doc != NULL) {
    hf_cli_parquet_put_text(on->to, DOC, record->doc, record->doc_bytes);
    if (hf_json_leaves(record->doc, record->doc_bytes, put_leaf, on, NULL) != HF_OK || on->failed)
      return hf_cli_no_memory(cli);
  } else {
    on->job->dropped++;
  }
  on->job->count++;
  return told(on->job, hf_cli_parquet_row(on->to));
}

static hf_cli_parquet_type parquet_type(hf_cli_cell_type type) {
  switch (type) {
  case HF_CLI_CELL_BOOLEAN:
    return HF_CLI_PARQUET_BOOLEAN;
  case HF_CLI_CELL_INTEGER:
    return HF_CLI_PARQUET_INT64;
  case HF_CLI_CELL_REAL:
    return HF_CLI_PARQUET_DOUBLE;
  case HF_CLI_CELL_NULL:
  case HF_CLI_CELL_TEXT:
    break;
  }
  return HF_CLI_PARQUET_TEXT;
}

static int begin(writing *on, hf_write_fn write, void *write_context) {
  const hf_cli_plan_sheet *sheet = hf_cli_plan_sheet_at(on->plan, 0);
  size_t count = ENVELOPE_COUNT + sheet->columns_count;
  hf_cli_parquet_column *columns = calloc(count, sizeof *columns);
  if (columns == NULL)
    return hf_cli_no_memory(on->job->cli);
  memcpy(columns, envelope, sizeof envelope);
  for (size_t i = 0; i < sheet->columns_count; i++) {
    const hf_cli_plan_leaf *leaf = hf_cli_plan_leaf_at(on->plan, sheet->columns[i]);
    columns[ENVELOPE_COUNT + i] = (hf_cli_parquet_column){leaf->name, parquet_type(leaf->type), 0};
  }
  int status = told(on->job, hf_cli_parquet_begin(columns, count, write, write_context, &on->to));
  free(columns);
  return status;
}

static int end(writing *on) {
  char at[24];
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  if (hf_store_info(on->job->cli->store, &info, &err) != HF_OK)
    return hf_cli_library_error(on->job->cli, NULL, &err);
  (void)snprintf(at, sizeof at, "%" PRIu64, on->job->at);
  const char *const pairs[] = {"holdfast.store", info.uuid, "holdfast.at", at, NULL};
  return told(on->job, hf_cli_parquet_end(on->to, pairs));
}

int hf_cli_export_parquet(hf_cli_export_job *job, hf_write_fn write, void *write_context) {
  writing on = {.job = job};
  int status = hf_cli_export_plan(job, 0, 1, &on.plan);
  if (status == HF_CLI_DONE)
    status = begin(&on, write, write_context);
  if (status == HF_CLI_DONE)
    status = hf_cli_export_walk(job, "records written", put_record, &on);
  if (status == HF_CLI_DONE)
    status = end(&on);
  hf_cli_parquet_free(&on.to);
  hf_cli_plan_free(&on.plan);
  hf_cli_bytes_free(&on.scratch);
  return status;
}
