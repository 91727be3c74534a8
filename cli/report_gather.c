#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "progress.h"
#include "report.h"
#include "where.h"

/* An older revision may be somebody's previous snapshot, and is shown only where it is asked for.
 */
static int is_shown(const hf_cli *cli, const hf_record *record) {
  return record->is_current || cli->args.all_revisions;
}

/* Shows the snapshot, if it is to be shown, and keeps it for those that follow. */
static int take(hf_cli_report *report, hf_record **record, hf_error *reterr) {
  hf_cli_report_set *set = NULL;
  int status = hf_cli_report_find_set(report, *record, &set);
  if (status != HF_CLI_DONE)
    return status;
  int rc = HF_OK;
  int shown = is_shown(report->cli, *record);
  if (shown) {
    hf_cli_report_previous previous;
    rc = hf_cli_report_find_previous(report, set, *record, &previous, reterr);
    if (rc == HF_OK)
      rc = hf_cli_report_add_row(report, set, *record, &previous, reterr);
    hf_record_free(&previous.owned);
    report->runs += rc == HF_OK;
  }
  if (rc == HF_OK && report->holds)
    rc = hf_cli_report_hold(report, set, record, shown);
  if (rc == HF_ENOMEM)
    return hf_cli_no_memory(report->cli);
  return rc == HF_OK ? HF_CLI_DONE : hf_cli_library_error(report->cli, NULL, reterr);
}

static int walk(hf_cli_report *report, hf_cursor *cursor) {
  hf_cli *cli = report->cli;
  int status = HF_CLI_DONE;
  int stop = 0;
  while (!stop) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    int got = hf_cursor_next(cursor, &record, &err);
    if (got == 0)
      break;
    if (got == 1) {
      uint64_t seq = record->seq;
      int taken = take(report, &record, &err);
      hf_record_free(&record);
      if (taken != HF_CLI_DONE)
        return taken;
      if (hf_cli_progress(NULL, "records", seq, report->head) != 0)
        return hf_cli_failed(cli, cli->store_path, "stopped by a signal");
    } else {
      hf_cli_progress_clear();
      if (got != HF_EDAMAGED)
        return hf_cli_library_error(cli, NULL, &err);
      hf_cli_error(cli, err.place[0] != '\0' ? err.place : cli->store_path, "warning: %s",
                   err.message);
      report->damaged++;
      status = HF_CLI_FAILED;
    }
  }
  return status;
}

static int walk_filtered(hf_cli_report *report, hf_list_options *options) {
  hf_cli *cli = report->cli;
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  /* With these the walk passes over snapshots that may be somebody's previous one. */
  report->holds = options->run_id == NULL && options->host == NULL && options->after == NULL &&
                  options->before == NULL && options->where == NULL;
  report->whole = report->holds && options->since <= 1;
  options->until = report->head;
  options->all_revisions = report->holds || cli->args.all_revisions;
  if (hf_list(cli->store, options, &cursor, &err) != HF_OK)
    return hf_cli_list_error(cli, &err);
  /* 0 is no bound for hf_list */
  int status = report->head > 0 ? walk(report, cursor) : HF_CLI_DONE;
  hf_cli_progress_clear();
  hf_cursor_close(&cursor);
  return status;
}

int hf_cli_report_gather(hf_cli *cli, hf_cli_report *report) {
  const hf_cli_args *args = &cli->args;
  hf_error err = HF_ERROR_INIT;
  memset(report, 0, sizeof *report);
  report->cli = cli;
  if (hf_head(cli->store, &report->head, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (args->until.given && args->until.value < report->head)
    report->head = args->until.value;
  int status = hf_cli_read_tolerance(report->cli, report->cli->args.tolerance, report->tolerance,
                                     &report->check);
  if (status != HF_CLI_DONE)
    return status;
  report->row = open_memstream(&report->row_text, &report->row_bytes);
  if (report->row == NULL)
    return hf_cli_no_memory(cli);
  hf_expr *where = NULL;
  hf_list_options options = {.with_documents = 1};
  status = hf_cli_filters(cli, &options, &where);
  if (status == HF_CLI_DONE)
    status = walk_filtered(report, &options);
  hf_expr_free(&where);
  return status;
}

static void leave(void *set) {
  (void)set;
}

void hf_cli_report_free(hf_cli_report *report) {
  tdestroy(report->tree, leave); /* its nodes; the sets are in the list */
  for (size_t i = 0; i < report->sets_count; i++)
    hf_cli_report_set_free(report, report->sets[i]);
  free(report->sets);
  hf_cli_names_free(&report->pointers);
  hf_cli_names_free(&report->hosts);
  if (report->row != NULL)
    (void)fclose(report->row);
  free(report->row_text);
  memset(report, 0, sizeof *report);
}
