/* The groups that a walk comes by: counted in memory, a group and a run in it once each. */
#ifndef HF_CLI_GROUPS_TABLE_H
#define HF_CLI_GROUPS_TABLE_H

#include "cli.h"

/* Snapshots that are comparable: the same group, stage and dims. */
typedef struct hf_cli_group {
  hf_record *first; /* the first snapshot of it */
  uint64_t count;   /* snapshots, every revision */
  uint64_t runs;    /* different run_ids */
  uint64_t last_seq;
  uint64_t baseline; /* its seq; 0: none. The caller fills it in */
  char *last_time;   /* NULL: no memory was there */
} hf_cli_group;

typedef struct hf_cli_groups {
  hf_cli_group *all; /* in the order of their first seq */
  size_t count, allocated;
  size_t *slots; /* by hash: of groups (number + 1) */
  size_t slots_count;
  struct hf_cli_group_run *runs; /* which runs each has */
  size_t runs_used, runs_count;
} hf_cli_groups;

/* Counts a snapshot that has a group, and takes *record over where it keeps it (then it is NULL). 0
 * or -1: no memory. */
int hf_cli_groups_add(hf_cli_groups *groups, hf_record **record);
void hf_cli_groups_free(hf_cli_groups *groups);

/* The time of a snapshot: its own, or when it was saved. */
const char *hf_cli_time_of(const hf_record *record);

#endif
