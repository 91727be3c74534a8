#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "report.h"

/* ---- the sets ---- */

static int compare_texts(const char *a, const char *b) {
  if (a == NULL || b == NULL)
    return (a != NULL) - (b != NULL);
  return strcmp(a, b);
}

static int compare_sets(const void *left, const void *right) {
  const hf_cli_report_set *a = left;
  const hf_cli_report_set *b = right;
  int order = compare_texts(a->group, b->group);
  if (order == 0)
    order = strcmp(a->stage, b->stage);
  if (order == 0)
    order = (a->dims_count > b->dims_count) - (a->dims_count < b->dims_count);
  for (size_t i = 0; order == 0 && i < a->dims_count; i++) {
    order = strcmp(a->dims[i].name, b->dims[i].name);
    if (order == 0)
      order = strcmp(a->dims[i].value, b->dims[i].value);
  }
  return order;
}

/* The names of a record, owned by it: good for a look into the tree. dims are sorted in both. */
static void describe(const hf_record *record, hf_cli_report_set *set) {
  memset(set, 0, sizeof *set);
  set->group = (char *)(uintptr_t)record->group;
  set->stage = (char *)(uintptr_t)record->stage;
  set->dims_count = record->dims_count < HF_DIMS_MAX ? record->dims_count : HF_DIMS_MAX;
  memcpy(set->dims, record->dims, set->dims_count * sizeof *set->dims);
}

static char *copy_of(const char *text, int *failed) {
  char *copy = text != NULL ? strdup(text) : NULL;
  *failed |= text != NULL && copy == NULL;
  return copy;
}

static hf_cli_report_set *copy_set(const hf_cli_report_set *from) {
  hf_cli_report_set *set = calloc(1, sizeof *set);
  if (set == NULL)
    return NULL;
  int failed = 0;
  set->group = copy_of(from->group, &failed);
  set->stage = copy_of(from->stage, &failed);
  for (size_t i = 0; i < from->dims_count; i++) {
    set->dims[i].name = copy_of(from->dims[i].name, &failed);
    set->dims[i].value = copy_of(from->dims[i].value, &failed);
    set->dims_count++;
  }
  if (!failed)
    return set;
  hf_cli_report_set_free(NULL, set);
  return NULL;
}

static int room_for_set(hf_cli_report *report) {
  if (report->sets_count < report->sets_room)
    return 0;
  size_t room = report->sets_room > 0 ? 2 * report->sets_room : 64;
  hf_cli_report_set **sets = reallocarray(report->sets, room, sizeof *sets);
  if (sets == NULL)
    return -1;
  report->sets = sets;
  report->sets_room = room;
  return 0;
}

int hf_cli_report_find_set(hf_cli_report *report, const hf_record *record,
                           hf_cli_report_set **ret_set) {
  hf_cli_report_set sought;
  describe(record, &sought);
  hf_cli_report_set **found = tfind(&sought, &report->tree, compare_sets);
  if (found != NULL) {
    *ret_set = *found;
    return HF_CLI_DONE;
  }
  hf_cli_report_set *set = copy_set(&sought);
  if (set == NULL || room_for_set(report) != 0 ||
      tsearch(set, &report->tree, compare_sets) == NULL) { /* last: what is in it is in the list */
    if (set != NULL)
      hf_cli_report_set_free(report, set);
    return hf_cli_no_memory(report->cli);
  }
  report->sets[report->sets_count++] = set;
  *ret_set = set;
  int status = hf_cli_report_find_baseline(report, set);
  return status == HF_CLI_DONE ? hf_cli_report_choose_metrics(report, set) : status;
}

/* ---- what is held ---- */

static void take_out(hf_cli_report *report, hf_cli_report_held *held) {
  if (held->record == NULL)
    return;
  *(held->newer != NULL ? &held->newer->older : &report->newest) = held->older;
  *(held->older != NULL ? &held->older->newer : &report->oldest) = held->newer;
  held->newer = NULL;
  held->older = NULL;
  report->held_bytes -= held->bytes;
}

static void put_first(hf_cli_report *report, hf_cli_report_held *held) {
  if (held->record == NULL)
    return;
  held->older = report->newest;
  held->newer = NULL;
  *(report->newest != NULL ? &report->newest->newer : &report->oldest) = held;
  report->newest = held;
  report->held_bytes += held->bytes;
}

static void release(hf_cli_report *report, hf_cli_report_held *held) {
  if (report != NULL)
    take_out(report, held);
  hf_record_free(&held->record);
  free(held->run_id);
  memset(held, 0, sizeof *held);
}

void hf_cli_report_set_free(hf_cli_report *report, hf_cli_report_set *set) {
  release(report, &set->last);
  release(report, &set->before);
  hf_baseline_free(&set->baseline);
  for (size_t i = 0; i < set->dims_count; i++) {
    free((char *)(uintptr_t)set->dims[i].name);
    free((char *)(uintptr_t)set->dims[i].value);
  }
  free(set->group);
  free(set->stage);
  free(set->rows);
  free(set);
}

/* The documents that were not used for the longest time are given up, and read again if need be. */
static void keep_bound(hf_cli_report *report) {
  while (report->held_bytes > HF_CLI_REPORT_HELD_BYTES_MAX && report->oldest != NULL) {
    hf_cli_report_held *held = report->oldest;
    take_out(report, held);
    hf_record_free(&held->record);
    held->bytes = 0;
  }
}

int hf_cli_report_find_previous(hf_cli_report *report, hf_cli_report_set *set,
                                const hf_record *record, hf_cli_report_previous *ret_previous,
                                hf_error *reterr) {
  memset(ret_previous, 0, sizeof *ret_previous);
  if (set->group == NULL)
    return HF_OK;
  int other = set->last.seq > 0 && strcmp(set->last.run_id, record->run_id) != 0;
  hf_cli_report_held *held = other ? &set->last : &set->before;
  ret_previous->is_listed = held->is_listed;
  if (held->record != NULL) {
    take_out(report, held);
    put_first(report, held);
    ret_previous->record = held->record;
    return HF_OK;
  }
  int found = 0;
  if (held->seq > 0)
    found = hf_get_seq(report->cli->store, held->seq, &ret_previous->owned, reterr);
  else if (!report->whole)
    found = hf_prev_seq(report->cli->store, record->seq, &ret_previous->owned, reterr);
  ret_previous->record = ret_previous->owned;
  if (found >= 0 || found == HF_ENOMEM || found == HF_EIO)
    return found < 0 ? found : HF_OK;
  ret_previous->is_gone = 1; /* damaged, which the walk tells, or its document was dropped */
  return HF_OK;
}

int hf_cli_report_hold(hf_cli_report *report, hf_cli_report_set *set, hf_record **record,
                       int is_listed) {
  hf_cli_report_held *last = &set->last;
  hf_record *kept = *record;
  *record = NULL;
  if (set->group == NULL) {
    hf_record_free(&kept);
    return 0;
  }
  char *run_id = strdup(kept->run_id);
  if (run_id == NULL) {
    hf_record_free(&kept);
    return HF_ENOMEM;
  }
  if (last->seq > 0 && strcmp(last->run_id, run_id) != 0) {
    release(report, &set->before);
    take_out(report, last);
    set->before = *last;
    put_first(report, &set->before);
    memset(last, 0, sizeof *last);
  }
  release(report, last);
  last->seq = kept->seq;
  last->run_id = run_id;
  last->record = kept;
  last->is_listed = is_listed;
  last->bytes = sizeof *kept + kept->doc_bytes + kept->line_bytes;
  put_first(report, last);
  keep_bound(report);
  return 0;
}
