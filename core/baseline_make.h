/* The public form of baseline records. */
#ifndef HF_CORE_BASELINE_MAKE_H
#define HF_CORE_BASELINE_MAKE_H

#include <holdfast/baseline.h>

#include "record.h"
#include "store.h"

/* Of a line of op "baseline"; all is copied. is_new is 0. */
int hf_baseline_make(uint64_t seq, const char *text, size_t bytes, const hf_line *line,
                     hf_baseline **ret_baseline, hf_error *reterr);

/* The same, and whether it is new as of `head`. */
int hf_baseline_read(hf_store *store, uint64_t seq, const hf_buf *text, const hf_line *line,
                     uint64_t head, hf_baseline **ret_baseline, hf_error *reterr);

/* Checks and makes the texts of what is comparable (the run stays empty). HF_EINVAL, HF_ELIMIT,
 * HF_ENOMEM. */
int hf_comparable_text(const hf_comparable *of, hf_keytext *text, hf_error *reterr);

/* Checks a JSON Pointer and its goal. */
int hf_metric_check(const char *metric, hf_goal goal, hf_error *reterr);

/* The error where a seq is no snapshot, or one that is comparable with nothing; HF_OK. */
int hf_baseline_check_snapshot(const hf_store *store, uint64_t seq, const hf_line *line,
                               hf_error *reterr);

#endif
