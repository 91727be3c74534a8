/* Judging an attempt by what the log holds (ARCHITECTURE, commit, step 3). */
#ifndef HF_CORE_JUDGE_H
#define HF_CORE_JUDGE_H

#include "attempt.h"
#include "store.h"

/* 1: go on and link. 0: the log answers already: *ret_status is HF_OK (attempt->saved is filled;
 * for op "end": the attempt that it names was committed), HF_ECONFLICT, HF_EENDED (for op "end": it
 * was ended before; nothing new). Negative: cannot be told. Nothing is decided here. view_mutex is
 * held; the view is fresh. */
int hf_judge(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr);

/* The current revision of a key as of `at`, by its record, retired ones left out: 1, 0 or negative.
 * text and *ret_line get the record. */
int hf_judge_current(hf_store *store, const hf_line *key, uint64_t key_hash, uint64_t at,
                     uint64_t *ret_seq, hf_buf *text, hf_line *ret_line, hf_error *reterr);

#endif
