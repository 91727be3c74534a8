/* A tally of comparable runs: each run's current revision as of a seq, its metric, and the best of
 * them.
 *
 * It goes forward: what came since is added, and a run that was saved again, or into another group,
 * is taken out. So it is made outside the lock, from all documents, and brought up to date under
 * it, from the few records that came meanwhile (baseline_judge.c). */
#ifndef HF_CORE_BASELINE_TALLY_H
#define HF_CORE_BASELINE_TALLY_H

#include "json.h"
#include "store.h"

typedef struct hf_tally_run {
  uint64_t key_hash;
  uint64_t run_hash;
  uint64_t seq;
  size_t value_at; /* in `values` */
  uint32_t value_bytes;
  int counts; /* 1: the metric is a number. 0: passed over. -1: saved again since */
} hf_tally_run;

typedef struct hf_tally {
  /* what is asked; the texts live on */
  hf_piece group;
  hf_piece stage;
  hf_piece dims;
  const char *metric; /* a JSON Pointer */
  hf_goal goal;
  uint64_t since; /* only records above it */

  /* what was found, as of `head` */
  uint64_t head;
  uint64_t runs;        /* whose metric is a number */
  uint64_t passed_over; /* whose is not */
  const hf_tally_run *best;

  hf_tally_run *run;
  size_t count;
  size_t allocated;
  hf_map by_key; /* key_hash -> place in `run` + 1 */
  hf_buf values;
} hf_tally;

void hf_tally_free(hf_tally *tally);

/* Forgets what was found, and keeps what is asked. */
void hf_tally_reset(hf_tally *tally);

/* Brings it up to `head`. view_held: view_mutex is held by the caller; else it is taken for
 * moments. HF_EDAMAGED where a document cannot be read, HF_EINVAL (the pointer), HF_EIO, HF_ENOMEM.
 */
int hf_tally_advance(hf_store *store, hf_tally *tally, uint64_t head, int view_held,
                     hf_error *reterr);

/* Points into `values`. */
hf_json hf_tally_value(const hf_tally *tally, const hf_tally_run *run);

/* Is the number a better than b, by this goal? Equal is not better. */
int hf_goal_is_better(hf_goal goal, const hf_json *a, const hf_json *b);

/* The number at a JSON Pointer of the document of the snapshot seq. 1; 0: there is none (or it is
 * longer than HF_BASELINE_VALUE_BYTES_MAX); negative: HF_EDROPPED where gc has dropped the
 * document, whether it stands there still or not. *doc gets the document where it is a blob;
 * *ret_value points into it, or into the line's text. */
int hf_metric_of(hf_store *store, uint64_t seq, const hf_line *line, const char *metric,
                 int view_held, hf_buf *doc, hf_json *ret_value, hf_error *reterr);

/* Are these two of one peer group? */
int hf_line_is_peer(const hf_line *line, hf_piece group, hf_piece stage, hf_piece dims);

#endif
