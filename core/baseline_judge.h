/* Judging an attempt at a baseline by what the log holds: is there one, and which run is the best.
 *
 * It is judged twice: once outside the lock, which reads all documents that it takes (and answers
 * at once where no record is needed), and in step 3 under it (judge.h), with the few records that
 * came since. What is chosen then is written into the attempt's line: so the record at seq N is
 * chosen from all below N. Judged again it may choose otherwise; the line is staged anew
 * (hf_attempt.rewritten). */
#ifndef HF_CORE_BASELINE_JUDGE_H
#define HF_CORE_BASELINE_JUDGE_H

#include "attempt.h"
#include "baseline_tally.h"
#include "store.h"

typedef struct hf_choice {
  /* what is asked */
  hf_baseline_by by;
  const hf_keytext *key; /* group, stage, dims */
  const char *metric;    /* NULL: that of the baseline in force */
  hf_goal goal;
  uint64_t min_runs;
  const hf_line *snapshot; /* HF_BY_SET: it, with its text, */
  uint64_t snapshot_seq;   /* its seq, */
  hf_buf document;         /* and where it is a blob its document */

  /* what is found; the tally's texts point into these */
  hf_tally tally;
  hf_buf in_force;  /* the metric of the baseline in force */
  int none;         /* HF_BY_CLEAR: there is none to clear */
  uint64_t missing; /* HF_BY_ESTABLISH: so many runs more are needed */
  hf_buf run;       /* what the line's pieces point into, as JSON texts */
  hf_buf value;
  hf_buf metric_text;
} hf_choice;

void hf_choice_free(hf_choice *choice);

/* As hf_judge, for op "baseline"; the id was looked for. Judges by the records up to the view's
 * head. view_mutex is held. HF_OK with saved.seq: the baseline in force is the answer. */
int hf_judge_baseline(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr);

/* The same by the records up to `head`, outside a turn; view_mutex is not held. */
int hf_judge_baseline_ahead(hf_store *store, hf_attempt *attempt, uint64_t head, int *ret_status,
                            hf_error *reterr);

/* What comparable runs have in common; borrowed, as hf_line has them. */
typedef struct hf_peers {
  hf_piece group;
  hf_piece stage;
  hf_piece dims;
} hf_peers;

/* The last baseline record below `below` of these, with its text: 1, 0 or negative. view_held as
 * of hf_tally_advance. */
int hf_baseline_find(hf_store *store, const hf_peers *of, uint64_t below, int view_held,
                     uint64_t *ret_seq, hf_buf *text, hf_line *ret_line, hf_error *reterr);

#endif
