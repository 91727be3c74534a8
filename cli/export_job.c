#include "export_job.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "output.h"
#include "progress.h"

static int take(hf_cli_export_job *job, hf_cursor *cursor, const char *what, hf_cli_export_fn each,
                void *context, int *ret_more) {
  hf_record *record = NULL;
  hf_error err = HF_ERROR_INIT;
  int got = hf_cursor_next(cursor, &record, &err);
  *ret_more = got != 0;
  if (got == HF_EDAMAGED && job->damaged <= job->at) {
    if (job->damaged++ == 0)
      job->first_damage = err;
    return HF_CLI_DONE;
  }
  if (got < 0)
    return hf_cli_library_error(job->cli, NULL, &err);
  if (got == 0)
    return HF_CLI_DONE;
  uint64_t seq = record->seq;
  int status = each(context, record);
  hf_record_free(&record);
  if (status == HF_CLI_DONE && hf_cli_progress(NULL, what, seq, job->at) != 0)
    return hf_cli_failed(job->cli, job->cli->store_path, "stopped by a signal");
  return status;
}

int hf_cli_export_walk(hf_cli_export_job *job, const char *what, hf_cli_export_fn each,
                       void *context) {
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  hf_list_options list = job->list;
  job->damaged = 0;
  if (job->at == 0)
    return HF_CLI_DONE;
  list.until = job->at;
  list.all_revisions = 1;
  list.retired = 1;
  list.with_documents = 1;
  if (hf_list(job->cli->store, &list, &cursor, &err) != HF_OK)
    return hf_cli_library_error(job->cli, NULL, &err);
  int status = HF_CLI_DONE;
  int more = 1;
  while (status == HF_CLI_DONE && more)
    status = take(job, cursor, what, each, context, &more);
  hf_cursor_close(&cursor);
  return status;
}

typedef struct planning {
  hf_cli_export_job *job;
  hf_cli_plan *plan;
} planning;

static int look(void *context, const hf_record *record) {
  planning *on = context;
  return hf_cli_plan_look(on->plan, record) == 0 ? HF_CLI_DONE : hf_cli_no_memory(on->job->cli);
}

int hf_cli_export_plan(hf_cli_export_job *job, int by_stage, int names_fold,
                       hf_cli_plan **ret_plan) {
  planning on = {job, hf_cli_plan_begin(by_stage)};
  if (on.plan == NULL)
    return hf_cli_no_memory(job->cli);
  int status = hf_cli_export_walk(job, "records looked at", look, &on);
  if (status == HF_CLI_DONE && hf_cli_plan_finish(on.plan, names_fold) != 0)
    status = hf_cli_no_memory(job->cli);
  if (status != HF_CLI_DONE) {
    hf_cli_plan_free(&on.plan);
    return status;
  }
  int uncounted = 0;
  uint64_t left_out = hf_cli_plan_left_out(on.plan, &uncounted);
  if (left_out > 0 || uncounted)
    hf_cli_warning(job->cli, NULL,
                   "%" PRIu64 " values%s have no column of their own (%d of a table are the most): "
                   "the documents hold them",
                   left_out, uncounted ? " and more" : "", HF_CLI_PLAN_COLUMNS_MAX);
  if (hf_cli_plan_without_sheet(on.plan) > 0)
    hf_cli_warning(job->cli, NULL,
                   "%" PRIu64 " snapshots are of stages beyond the first %d, which have no view",
                   hf_cli_plan_without_sheet(on.plan), HF_CLI_PLAN_SHEETS_MAX);
  *ret_plan = on.plan;
  return HF_CLI_DONE;
}

const char *hf_cli_export_dims(const hf_record *record, hf_cli_bytes *scratch) {
  if (record->dims_count == 0)
    return "{}";
  char *text = NULL;
  size_t bytes = 0;
  FILE *to = open_memstream(&text, &bytes);
  if (to == NULL)
    return NULL;
  int failed = hf_cli_write_json_dims(to, record->dims, record->dims_count) != 0;
  failed |= fclose(to) != 0;
  scratch->used = 0;
  if (!failed)
    hf_cli_bytes_text(scratch, text);
  free(text);
  return failed ? NULL : hf_cli_bytes_string(scratch);
}
