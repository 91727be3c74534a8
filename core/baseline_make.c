#include "baseline_make.h"

#include <stdlib.h>
#include <string.h>

#include "baseline_judge.h"
#include "err.h"
#include "json.h"
#include "read.h"
#include "retire.h"

#include "banned.h"

/* hf_baseline and what its strings lie in. */
typedef struct owned {
  hf_baseline baseline; /* first: the pointer to it is the pointer to all */
  hf_record *record;
  char *metric;
  char *value;
  char *reason;
} owned;

void hf_baseline_free(hf_baseline **baseline) {
  if (baseline == NULL || *baseline == NULL)
    return;
  owned *all = (owned *)*baseline;
  hf_record_free(&all->record);
  free(all->metric);
  free(all->value);
  free(all->reason);
  free(all);
  *baseline = NULL;
}

/* NULL where the piece is absent. */
static int decoded(hf_piece piece, char **ret_text) {
  hf_buf text = {0};
  hf_json string = {piece.text, piece.bytes, HF_JSON_STRING};
  if (piece.text == NULL)
    return HF_OK;
  if (hf_json_decode_string(&string, &text) != 0 || hf_buf_add(&text, "", 0) != 0) {
    hf_buf_free(&text);
    return HF_ENOMEM;
  }
  *ret_text = hf_buf_take(&text);
  return HF_OK;
}

static int make_texts(owned *all, const hf_line *line) {
  if (decoded(line->metric, &all->metric) != HF_OK || decoded(line->reason, &all->reason) != HF_OK)
    return HF_ENOMEM;
  if (line->value.text == NULL)
    return HF_OK;
  all->value = strndup(line->value.text, line->value.bytes);
  return all->value != NULL ? HF_OK : HF_ENOMEM;
}

int hf_baseline_make(uint64_t seq, const char *text, size_t bytes, const hf_line *line,
                     hf_baseline **ret_baseline, hf_error *reterr) {
  owned *all = calloc(1, sizeof *all);
  if (all == NULL)
    return hf_err_nomem(reterr);
  hf_baseline *baseline = &all->baseline;
  int status = hf_record_make(seq, text, bytes, line, NULL, 0, &all->record, reterr);
  if (status == HF_OK && make_texts(all, line) != HF_OK)
    status = hf_err_nomem(reterr);
  if (status != HF_OK) {
    hf_baseline_free(&baseline);
    return status;
  }
  const hf_record *record = all->record;
  *baseline = (hf_baseline){.seq = seq,
                            .id = record->id,
                            .by = hf_baseline_by_name(line->by),
                            .group = record->group,
                            .stage = record->stage,
                            .dims = record->dims,
                            .dims_count = record->dims_count,
                            .of = line->of,
                            .run_id = record->run_id,
                            .metric = all->metric,
                            .value = all->value,
                            .goal = line->goal,
                            .min_runs = (unsigned)line->min_runs,
                            .reason = all->reason,
                            .at = record->at,
                            .host = record->host,
                            .pid = record->pid};
  *ret_baseline = baseline;
  return HF_OK;
}

int hf_baseline_of_record(const hf_record *record, hf_baseline **ret_baseline, hf_error *reterr) {
  hf_line line;
  int status = hf_line_decode(record->line, record->line_bytes, &line, reterr);
  if (status != HF_OK || line.op != HF_OP_BASELINE)
    return status;
  status =
      hf_baseline_make(record->seq, record->line, record->line_bytes, &line, ret_baseline, reterr);
  return status == HF_OK ? 1 : status;
}

/* Was nothing that is comparable saved behind it, up to head, but for what is retired by then? 1, 0
 * or negative. */
static int is_new(hf_store *store, uint64_t seq, const hf_line *line, uint64_t head,
                  hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line other;
  hf_row row;
  uint64_t peer_hash = hf_peer_hash(line->group, line->stage, line->dims);
  uint64_t at = head + 1;
  uint64_t by = 0;
  for (;;) {
    (void)pthread_mutex_lock(&store->view_mutex);
    int got = hf_view_find_peer(&store->view, peer_hash, at, &at, reterr);
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (got != 1 || at <= seq)
      return got < 0 ? got : 1;
    hf_buf_clear(&text);
    int status = hf_read_line(store, at, &row, &text, &other, reterr);
    if (status != HF_OK)
      return status;
    if (!hf_line_is_peer(&other, line->group, line->stage, line->dims))
      continue;
    int retired = hf_retired(store, at, head, 0, &by, reterr);
    if (retired != 1)
      return retired; /* 0: it is comparable, and not hidden */
  }
}

int hf_baseline_read(hf_store *store, uint64_t seq, const hf_buf *text, const hf_line *line,
                     uint64_t head, hf_baseline **ret_baseline, hf_error *reterr) {
  int fresh = is_new(store, seq, line, head, reterr);
  if (fresh < 0)
    return fresh;
  int status = hf_baseline_make(seq, text->data, text->used, line, ret_baseline, reterr);
  if (status == HF_OK)
    (*ret_baseline)->is_new = fresh;
  return status;
}

int hf_comparable_text(const hf_comparable *of, hf_keytext *text, hf_error *reterr) {
  int status = hf_key_group_text(of->group, &text->group, reterr);
  if (status == HF_OK)
    status = hf_key_stage_text(of->stage, &text->stage, reterr);
  return status == HF_OK ? hf_key_dims_text(of->dims, of->dims_count, &text->dims, reterr) : status;
}

int hf_metric_check(const char *metric, hf_goal goal, hf_error *reterr) {
  static const hf_json nothing = {"null", 4, HF_JSON_NULL};
  hf_json value;
  size_t bytes = strnlen(metric, HF_METRIC_BYTES_MAX + 1);
  if (bytes > HF_METRIC_BYTES_MAX)
    return hf_err(reterr, HF_ELIMIT, "metric", "it has more than %d bytes; shorten it",
                  HF_METRIC_BYTES_MAX);
  if (!hf_utf8_valid(metric, bytes))
    return hf_err(reterr, HF_EINVAL, "metric", "it is not valid UTF-8; convert it first");
  if (bytes == 0)
    return hf_err(reterr, HF_EINVAL, "metric",
                  "it is empty, which is the whole document; give a JSON Pointer to a number, as "
                  "/metrics/auc");
  int status = hf_json_find(&nothing, metric, &value, reterr);
  if (status < 0)
    return status;
  if (goal != HF_GOAL_MAX && goal != HF_GOAL_MIN)
    return hf_err(reterr, HF_EINVAL, "goal",
                  "a metric needs one: max (the higher the better) or min");
  return HF_OK;
}

int hf_baseline_check_snapshot(const hf_store *store, uint64_t seq, const hf_line *line,
                               hf_error *reterr) {
  if (line->op != HF_OP_SAVE)
    return hf_err(reterr, HF_ENOTFOUND, store->path,
                  "seq %llu is no snapshot (op %.*s); holdfast list shows those there are",
                  (unsigned long long)seq, (int)line->op_text.bytes, line->op_text.text);
  if (line->group.text == NULL)
    return hf_err(reterr, HF_ENOTFOUND, store->path,
                  "seq %llu has no group, so it is comparable with nothing; save it with --group",
                  (unsigned long long)seq);
  return HF_OK;
}
