/* Baselines by brute force: what a log says, record by record. One group "g", stage "s", the metric
 * /m, the goal max; values are whole numbers. */
#ifndef FAULT_LIB_BASELINE_H
#define FAULT_LIB_BASELINE_H

#include <holdfast/baseline.h>

#include "lib.h"

enum { BASE_RUNS_MAX = 64, BASE_MIN_RUNS = 4, BASE_TEXT_BYTES = 32 };

extern const hf_comparable base_runs; /* group "g", stage "s" */

/* Saves run "r<number>" in group g or, with other, in another one. value NULL: it has no metric.
 * timeout_ms 0: where the lock is held it is not saved. Answers hf_save's status. */
int base_save(hf_store *store, unsigned number, const char *value, int other, int64_t timeout_ms);

/* Checks each baseline record of the log against all records before it: establish stands where none
 * was in force, and names the best run of at least BASE_MIN_RUNS, update a better one that came
 * since. Answers the seq of the snapshot in force at the end; 0: none. */
uint64_t base_check_log(hf_store *store);

/* The options by which all of them are made. */
hf_baseline_options base_options(int64_t timeout_ms);

#endif
