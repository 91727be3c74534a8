#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/baseline.h>

#include "cli.h"
#include "columns.h"
#include "errors.h"
#include "groups_table.h"
#include "options.h"
#include "output.h"
#include "records.h"
#include "store.h"
#include "table.h"
#include "text.h"
#include "where.h"

static const hf_cli_option groups_options[] = {
    HF_CLI_OPT_RUN_ID("only what this run saved"),
    HF_CLI_OPT_STAGE("only this stage"),
    HF_CLI_OPT_GROUP("only this group"),
    HF_CLI_OPT_DIM("only snapshots that have this dim, whatever others they have"),
    HF_CLI_OPT_FILTERS,
    HF_CLI_OPT_NUMBER("since", since, "N", "from seq N on"),
    HF_CLI_OPT_NUMBER("until", until, "N", "up to seq N"),
    HF_CLI_OPT_CHOICE("format", format, "table|jsonl|csv", "table is the default"),
};

static const hf_cli_column table_columns[] = {
    {"group", 0, 8, HF_CLI_CUT_GROUP},  {"stage", 0, 8, HF_CLI_CUT_END},
    {"dims", 0, 8, HF_CLI_CUT_END},     {"count", 1, 0, HF_CLI_CUT_END},
    {"runs", 1, 0, HF_CLI_CUT_END},     {"first", 1, 0, HF_CLI_CUT_END},
    {"last", 1, 0, HF_CLI_CUT_END},     {"last_time", 0, 11, HF_CLI_CUT_TIME},
    {"baseline", 1, 0, HF_CLI_CUT_END},
};

/* Walks to the end, which *ret_whole tells of. Answers an exit status. */
static int collect(hf_cli *cli, hf_cursor *cursor, hf_cli_groups *groups, int *ret_whole) {
  int status = HF_CLI_DONE;
  for (;;) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    int got = hf_cursor_next(cursor, &record, &err);
    if (got == 0) {
      *ret_whole = 1;
      return status;
    }
    int failed = got == 1 && record->group != NULL && hf_cli_groups_add(groups, &record) != 0;
    hf_record_free(&record);
    if (failed)
      return hf_cli_no_memory(cli);
    if (got == HF_EDAMAGED) {
      hf_cli_error(cli, err.place[0] != '\0' ? err.place : cli->store_path, "warning: %s",
                   err.message);
      status = HF_CLI_FAILED;
    } else if (got < 0) {
      return hf_cli_library_error(cli, NULL, &err);
    }
  }
}

/* As of --until, as all else. Answers an exit status. */
static int find_baselines(hf_cli *cli, hf_cli_groups *groups) {
  for (size_t i = 0; i < groups->count; i++) {
    const hf_record *first = groups->all[i].first;
    hf_comparable of = {first->group, first->stage, first->dims, first->dims_count};
    hf_error err = HF_ERROR_INIT;
    hf_baseline *baseline = NULL;
    int got = hf_baseline_get(cli->store, &of, cli->args.until.value, &baseline, &err);
    if (got < 0)
      return hf_cli_library_error(cli, NULL, &err);
    groups->all[i].baseline = got == 1 ? baseline->of : 0;
    hf_baseline_free(&baseline);
  }
  return HF_CLI_DONE;
}

static void print_json(hf_cli *cli, const hf_cli_group *group) {
  const hf_record *first = group->first;
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "group", first->group);
  hf_cli_json_text(&json, "stage", first->stage);
  hf_cli_json_dims(&json, "dims", first->dims, first->dims_count);
  hf_cli_json_number(&json, "count", group->count);
  hf_cli_json_number(&json, "runs", group->runs);
  hf_cli_json_number(&json, "first_seq", first->seq);
  hf_cli_json_text(&json, "first_time", hf_cli_time_of(first));
  hf_cli_json_number(&json, "last_seq", group->last_seq);
  hf_cli_json_text(&json, "last_time", group->last_time);
  if (group->baseline > 0)
    hf_cli_json_number(&json, "baseline_seq", group->baseline);
  else
    hf_cli_json_null(&json, "baseline_seq");
  hf_cli_json_end(&json);
}

static const char csv_heading[] =
    "group,stage,dims,count,runs,first_seq,first_time,last_seq,last_time,baseline_seq\r\n";

static void print_csv(hf_cli *cli, const hf_cli_group *group) {
  const hf_record *first = group->first;
  hf_cli_csv_field(cli, first->group, 1);
  hf_cli_csv_field(cli, first->stage, 0);
  hf_cli_csv_dims(cli, first->dims, first->dims_count);
  hf_cli_out_format(cli, ",%" PRIu64 ",%" PRIu64 ",%" PRIu64, group->count, group->runs,
                    first->seq);
  hf_cli_csv_field(cli, hf_cli_time_of(first), 0);
  hf_cli_out_format(cli, ",%" PRIu64, group->last_seq);
  hf_cli_csv_field(cli, group->last_time, 0);
  hf_cli_out_text(cli, ",");
  if (group->baseline > 0)
    hf_cli_out_format(cli, "%" PRIu64, group->baseline);
  hf_cli_csv_end(cli);
}

static void number_cell(hf_cli_table *table, uint64_t number) {
  char text[24];
  (void)snprintf(text, sizeof text, "%" PRIu64, number);
  hf_cli_table_cell(table, text);
}

static void print_row(hf_cli *cli, hf_cli_table *table, const hf_cli_group *group) {
  const hf_record *first = group->first;
  char *name = hf_cli_group_text(first->group);
  char *dims = hf_cli_dims_text(first);
  if (name == NULL || dims == NULL)
    hf_cli_out_no_memory(cli);
  hf_cli_table_cell(table, name);
  hf_cli_table_cell(table, first->stage);
  hf_cli_table_cell(table, dims);
  number_cell(table, group->count);
  number_cell(table, group->runs);
  number_cell(table, first->seq);
  number_cell(table, group->last_seq);
  hf_cli_table_cell(table, group->last_time);
  if (group->baseline > 0)
    number_cell(table, group->baseline);
  else
    hf_cli_table_cell(table, NULL);
  free(name);
  free(dims);
}

static int print(hf_cli *cli, const hf_cli_groups *groups) {
  hf_cli_table *table = NULL;
  hf_cli_cells how = hf_cli_chosen_format(cli);
  int status = HF_CLI_DONE;
  if (how == HF_CLI_CELLS_TABLE)
    status = hf_cli_table_begin(cli, table_columns, HF_CLI_COUNT(table_columns), &table);
  if (how == HF_CLI_CELLS_CSV)
    hf_cli_out_text(cli, csv_heading);
  for (size_t i = 0; i < groups->count && status == HF_CLI_DONE && cli->out_errno == 0; i++) {
    switch (how) {
    case HF_CLI_CELLS_JSONL:
      print_json(cli, &groups->all[i]);
      break;
    case HF_CLI_CELLS_CSV:
      print_csv(cli, &groups->all[i]);
      break;
    case HF_CLI_CELLS_TABLE:
      print_row(cli, table, &groups->all[i]);
      break;
    }
  }
  hf_cli_table_end(&table);
  return status;
}

static int list_groups(hf_cli *cli, const hf_list_options *options) {
  hf_cli_groups groups = {0};
  hf_error err = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  int status = HF_CLI_DONE;
  int is_whole = hf_cli_asks_for_nothing(cli);
  if (!is_whole) {
    if (hf_list(cli->store, options, &cursor, &err) != HF_OK)
      return hf_cli_list_error(cli, &err);
    status = collect(cli, cursor, &groups, &is_whole);
    hf_cursor_close(&cursor);
    int found = is_whole ? find_baselines(cli, &groups) : status;
    is_whole = is_whole && found == HF_CLI_DONE;
    status = found != HF_CLI_DONE ? found : status;
  }
  if (is_whole) { /* a part of them would be another answer */
    int printed = print(cli, &groups);
    status = status == HF_CLI_DONE ? printed : status;
  }
  hf_cli_groups_free(&groups);
  return status;
}

static int run_groups(hf_cli *cli) {
  hf_list_options options = {.all_revisions = 1};
  hf_expr *where = NULL;
  int status = hf_cli_check_format(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_filters(cli, &options, &where);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status == HF_CLI_DONE)
    status = list_groups(cli, &options);
  hf_expr_free(&where);
  return status;
}

const hf_cli_command hf_cli_command_groups = {
    .name = "groups",
    .synopsis =
        "groups [--run-id R] [--stage S] [--group G] [--dim N=V]... " HF_CLI_FILTERS_SYNOPSIS
        " [--since N] [--until N] [--format table|jsonl|csv]",
    .summary = "list the groups of comparable snapshots",
    .details =
        "Lists each group of comparable snapshots, which have the same group, stage and dims, in "
        "the order in which the groups began: how many snapshots there are (every revision counts, "
        "as for prev), of how many runs, the first and the last seq, and when they were made (the "
        "snapshot's own time, or where it has none the time when it was saved). With filters only "
        "what they let through is counted. Snapshots without a group are comparable with nothing "
        "and are left out.\n"
        "\n"
        "The table shows the beginning of long groups. jsonl (or --json) and csv (RFC 4180) show "
        "group, stage, dims, count, runs, first_seq, first_time, last_seq, last_time, "
        "baseline_seq (the snapshot that is the group's baseline, as of --until).",
    .examples = "holdfast groups --stage final\n"
                "holdfast groups --after 2026-01-01 --format csv",
    .options = groups_options,
    .options_count = HF_CLI_COUNT(groups_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_groups,
};
