#include "groups_table.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_FIRST = 256 };

typedef struct hf_cli_group_run {
  size_t group; /* number + 1; 0: free */
  char *run_id;
} group_run;

static uint64_t hash_text(uint64_t hash, const char *text) {
  do { /* FNV-1a, with the NUL, so that "a" "bc" is not "ab" "c" */
    hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
  } while (*text++ != '\0');
  return hash;
}

static uint64_t hash_group(const hf_record *record) {
  uint64_t hash = hash_text(UINT64_C(14695981039346656037), record->group);
  hash = hash_text(hash, record->stage);
  for (size_t i = 0; i < record->dims_count; i++)
    hash = hash_text(hash_text(hash, record->dims[i].name), record->dims[i].value);
  return hash ^ hash >> 32;
}

static int same_group(const hf_record *a, const hf_record *b) {
  if (strcmp(a->group, b->group) != 0 || strcmp(a->stage, b->stage) != 0 ||
      a->dims_count != b->dims_count)
    return 0;
  for (size_t i = 0; i < a->dims_count; i++)
    if (strcmp(a->dims[i].name, b->dims[i].name) != 0 ||
        strcmp(a->dims[i].value, b->dims[i].value) != 0)
      return 0;
  return 1;
}

const char *hf_cli_time_of(const hf_record *record) {
  return record->ts != NULL && record->ts[0] != '\0' ? record->ts : record->at;
}

void hf_cli_groups_free(hf_cli_groups *groups) {
  for (size_t i = 0; i < groups->count; i++) {
    hf_record_free(&groups->all[i].first);
    free(groups->all[i].last_time);
  }
  for (size_t i = 0; i < groups->runs_count; i++)
    free(groups->runs[i].run_id);
  free(groups->all);
  free(groups->slots);
  free(groups->runs);
  memset(groups, 0, sizeof *groups);
}

/* The slot of the group, or the free one where it belongs. */
static size_t *find_slot(const hf_cli_groups *groups, const hf_record *record) {
  size_t i = (size_t)hash_group(record) & (groups->slots_count - 1);
  while (groups->slots[i] != 0 && !same_group(groups->all[groups->slots[i] - 1].first, record))
    i = (i + 1) & (groups->slots_count - 1);
  return &groups->slots[i];
}

static int grow_slots(hf_cli_groups *groups) {
  if (groups->count * 2 < groups->slots_count)
    return 0;
  size_t wanted = groups->slots_count == 0 ? SLOTS_FIRST : groups->slots_count * 2;
  size_t *slots = calloc(wanted, sizeof *slots);
  if (slots == NULL)
    return -1;
  free(groups->slots);
  groups->slots = slots;
  groups->slots_count = wanted;
  for (size_t i = 0; i < groups->count; i++)
    *find_slot(groups, groups->all[i].first) = i + 1;
  return 0;
}

static group_run *find_run(const hf_cli_groups *groups, size_t group, const char *run_id) {
  uint64_t hash = hash_text(group * UINT64_C(0x9e3779b97f4a7c15), run_id);
  size_t i = (size_t)(hash ^ hash >> 32) & (groups->runs_count - 1);
  while (groups->runs[i].group != 0 &&
         (groups->runs[i].group != group || strcmp(groups->runs[i].run_id, run_id) != 0))
    i = (i + 1) & (groups->runs_count - 1);
  return &groups->runs[i];
}

static int grow_runs(hf_cli_groups *groups) {
  if (groups->runs_used * 2 < groups->runs_count)
    return 0;
  hf_cli_groups grown = {.runs_count =
                             groups->runs_count == 0 ? SLOTS_FIRST : groups->runs_count * 2};
  grown.runs = calloc(grown.runs_count, sizeof *grown.runs);
  if (grown.runs == NULL)
    return -1;
  for (size_t i = 0; i < groups->runs_count; i++)
    if (groups->runs[i].group != 0)
      *find_run(&grown, groups->runs[i].group, groups->runs[i].run_id) = groups->runs[i];
  free(groups->runs);
  groups->runs = grown.runs;
  groups->runs_count = grown.runs_count;
  return 0;
}

/* Counts the run, if it is new in the group. */
static int add_run(hf_cli_groups *groups, size_t group, const char *run_id) {
  group_run *run = find_run(groups, group, run_id);
  if (run->group != 0)
    return 0;
  char *copy = strdup(run_id);
  if (copy == NULL)
    return -1;
  *run = (group_run){group, copy};
  groups->runs_used++;
  groups->all[group - 1].runs++;
  return 0;
}

static int add_group(hf_cli_groups *groups, hf_record **record) {
  if (groups->count == groups->allocated) {
    size_t allocated = groups->allocated == 0 ? SLOTS_FIRST : groups->allocated * 2;
    hf_cli_group *all = realloc(groups->all, allocated * sizeof *all);
    if (all == NULL)
      return -1;
    groups->all = all;
    groups->allocated = allocated;
  }
  groups->all[groups->count++] = (hf_cli_group){.first = *record};
  *record = NULL;
  return 0;
}

int hf_cli_groups_add(hf_cli_groups *groups, hf_record **record) {
  if (grow_slots(groups) != 0 || grow_runs(groups) != 0)
    return -1;
  const hf_record *here = *record;
  size_t *slot = find_slot(groups, here);
  char *time = strdup(hf_cli_time_of(here));
  if (time == NULL || (*slot == 0 && add_group(groups, record) != 0)) {
    free(time);
    return -1;
  }
  if (*slot == 0)
    *slot = groups->count;
  hf_cli_group *group = &groups->all[*slot - 1];
  group->count++;
  group->last_seq = here->seq;
  free(group->last_time);
  group->last_time = time;
  return add_run(groups, *slot, here->run_id);
}
