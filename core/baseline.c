/* Baselines: making them, and finding the one in force (holdfast/baseline.h). */
#include <holdfast/baseline.h>

#include <string.h>

#include "attempt.h"
#include "baseline_judge.h"
#include "baseline_make.h"
#include "commit.h"
#include "err.h"
#include "read.h"

#include "banned.h"

static const hf_baseline_options defaults = {.timeout_ms = -1};

/* The baseline record `seq`, which an attempt was answered with. */
static int read_answer(hf_store *store, uint64_t seq, hf_baseline **ret_baseline,
                       hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  uint64_t head = 0;
  int status = hf_read_begin(store, &head, reterr);
  if (status == HF_OK)
    status = hf_read_line(store, seq, &row, &text, &line, reterr);
  if (status == HF_OK && line.op != HF_OP_BASELINE)
    return hf_err(reterr, HF_ECONFLICT, store->path,
                  "the id is that of seq %llu, which is no baseline; nothing was changed",
                  (unsigned long long)seq);
  return status == HF_OK ? hf_baseline_read(store, seq, &text, &line, head, ret_baseline, reterr)
                         : status;
}

/* ---- making one ------------------------------------------------------------------------------ */

static int check_options(const hf_baseline_options *options, hf_buf *reason, hf_error *reterr) {
  int status = HF_OK;
  if (options->metric != NULL)
    status = hf_metric_check(options->metric, options->goal, reterr);
  else if (options->goal != HF_GOAL_NONE)
    status = hf_err(reterr, HF_EINVAL, "goal", "it goes with a metric; give one");
  if (status == HF_OK && options->min_runs > HF_BASELINE_MIN_RUNS_MAX)
    status = hf_err(reterr, HF_ELIMIT, "min_runs", "it is %u, at most %d are allowed",
                    options->min_runs, HF_BASELINE_MIN_RUNS_MAX);
  return status == HF_OK && options->reason != NULL
             ? hf_key_reason_text(options->reason, reason, reterr)
             : status;
}

/* Judges it ahead; a record is made only where that says so. With an id of the caller's it is asked
 * for in any case: it may be in the log. 1: made; 0: another answers; negative. */
static int judge_and_commit(hf_store *store, hf_attempt *attempt, hf_error *reterr) {
  hf_attempt *one = attempt;
  uint64_t head = 0;
  int answer = HF_OK;
  int status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  int go = hf_judge_baseline_ahead(store, attempt, head, &answer, reterr);
  if (go < 0)
    return go;
  if (go == 0 && !attempt->id_given)
    return answer;
  status = hf_store_prepare_to_write(store, reterr);
  if (status != HF_OK)
    return status;
  hf_commit(store, &one, 1);
  if (attempt->status != HF_OK && reterr != NULL)
    *reterr = attempt->error;
  return attempt->status == HF_OK ? attempt->saved.created : attempt->status;
}

/* It is made, and cannot be told: an error would say that it is not. */
static int say_unread(const hf_attempt *attempt, hf_error *error) {
  hf_error why = *error;
  (void)hf_err(error, HF_EUNSURE, why.place,
               "the baseline is made, and could not be read again, ask with: holdfast resolve %s "
               "(%s)",
               attempt->id_text, why.message);
  error->sys_errno = why.sys_errno;
  memcpy(error->id, attempt->id_text, sizeof error->id);
  return HF_EUNSURE;
}

/* What all of them do, once the choice says what is asked. */
static int make(hf_store *store, hf_choice *choice, const hf_baseline_options *options,
                hf_baseline **ret_baseline, hf_error *reterr) {
  hf_attempt attempt;
  hf_error error = HF_ERROR_INIT;
  hf_autobuf reason = {0};
  hf_piece reason_piece = {NULL, 0};
  int status = check_options(options, &reason, reterr);
  if (status != HF_OK)
    return status;
  if (options->reason != NULL)
    reason_piece = hf_piece_of(&reason);
  choice->metric = options->metric;
  choice->goal = options->goal;
  int made = hf_attempt_to_choose(store, choice->key, choice, reason_piece, options->id,
                                  options->timeout_ms, &attempt, &error);
  if (made == HF_OK)
    made = judge_and_commit(store, &attempt, &error);
  uint64_t seq = attempt.saved.seq;
  if (made >= 0 && seq != 0) {
    status = read_answer(store, seq, ret_baseline, &error);
    if (status != HF_OK)
      made = made == 1 ? say_unread(&attempt, &error) : status;
  }
  hf_attempt_free(&attempt);
  if (made < 0 && error.code != HF_EINVAL && error.code != HF_ELIMIT)
    hf_store_name_in_error(store, &error);
  if (made < 0 && reterr != NULL)
    *reterr = error;
  return made;
}

static void take_counts(const hf_choice *choice, hf_baseline_counts *ret_counts) {
  if (ret_counts != NULL)
    *ret_counts =
        (hf_baseline_counts){choice->tally.runs, choice->tally.passed_over, choice->missing};
}

int hf_baseline_establish(hf_store *store, const hf_comparable *of,
                          const hf_baseline_options *options, hf_baseline **ret_baseline,
                          hf_baseline_counts *ret_counts, hf_error *reterr) {
  hf_autokeytext key = {0};
  hf_choice choice = {.by = HF_BY_ESTABLISH, .key = &key};
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = hf_comparable_text(of, &key, reterr);
  if (status == HF_OK && (options == NULL || options->metric == NULL))
    status = hf_err(reterr, HF_EINVAL, "metric",
                    "it is missing; give a JSON Pointer to a number, as /metrics/auc");
  if (status != HF_OK)
    return status;
  choice.min_runs = options->min_runs != 0 ? options->min_runs : HF_BASELINE_MIN_RUNS_DEFAULT;
  int made = make(store, &choice, options, ret_baseline, reterr);
  if (made == 1 || made == HF_ENOTFOUND)
    take_counts(&choice, ret_counts);
  hf_choice_free(&choice);
  return made;
}

/* The key of a snapshot that is comparable with something. */
static int read_snapshot(hf_store *store, uint64_t seq, hf_buf *text, hf_line *ret_line,
                         hf_keytext *key, hf_error *reterr) {
  uint64_t head = 0;
  hf_row row;
  int status = hf_read_begin(store, &head, reterr);
  if (status == HF_OK && (seq == 0 || seq > head))
    status = hf_err(reterr, HF_ENOTFOUND, store->path, "there is no seq %llu; the head is %llu",
                    (unsigned long long)seq, (unsigned long long)head);
  if (status == HF_OK)
    status = hf_read_line(store, seq, &row, text, ret_line, reterr);
  if (status == HF_OK)
    status = hf_baseline_check_snapshot(store, seq, ret_line, reterr);
  if (status != HF_OK)
    return status;
  (void)hf_buf_add(&key->group, ret_line->group.text, ret_line->group.bytes);
  (void)hf_buf_add(&key->stage, ret_line->stage.text, ret_line->stage.bytes);
  (void)hf_buf_add(&key->dims, ret_line->dims.text, ret_line->dims.bytes);
  return key->group.failed != 0 || key->stage.failed != 0 || key->dims.failed != 0
             ? hf_err_nomem(reterr)
             : HF_OK;
}

/* Has it a number at the metric that was given? */
static int check_number(hf_store *store, uint64_t seq, hf_choice *choice, const char *metric,
                        hf_error *reterr) {
  hf_json value;
  int has =
      hf_metric_of(store, seq, choice->snapshot, metric, 0, &choice->document, &value, reterr);
  if (has == 0)
    return hf_err(reterr, HF_EINVAL, "metric", "seq %llu has no number at %.200s",
                  (unsigned long long)seq, metric);
  return has < 0 ? has : HF_OK;
}

int hf_baseline_set(hf_store *store, uint64_t seq, const hf_baseline_options *options,
                    hf_baseline **ret_baseline, hf_error *reterr) {
  hf_autokeytext key = {0};
  hf_autobuf text = {0};
  hf_line line;
  hf_choice choice = {.by = HF_BY_SET, .key = &key, .snapshot = &line, .snapshot_seq = seq};
  if (options == NULL)
    options = &defaults;
  int status = read_snapshot(store, seq, &text, &line, &key, reterr);
  if (status == HF_OK && options->metric != NULL)
    status = hf_metric_check(options->metric, options->goal, reterr);
  if (status == HF_OK && options->metric != NULL)
    status = check_number(store, seq, &choice, options->metric, reterr);
  int made = status == HF_OK ? make(store, &choice, options, ret_baseline, reterr) : status;
  hf_choice_free(&choice);
  return made;
}

int hf_baseline_update(hf_store *store, const hf_comparable *of, const hf_baseline_options *options,
                       hf_baseline **ret_baseline, hf_baseline_counts *ret_counts,
                       hf_error *reterr) {
  hf_autokeytext key = {0};
  hf_choice choice = {.by = HF_BY_UPDATE, .key = &key};
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = hf_comparable_text(of, &key, reterr);
  if (status != HF_OK)
    return status;
  int made = make(store, &choice, options != NULL ? options : &defaults, ret_baseline, reterr);
  if (made >= 0)
    take_counts(&choice, ret_counts);
  hf_choice_free(&choice);
  return made;
}

int hf_baseline_clear(hf_store *store, const hf_comparable *of, const hf_baseline_options *options,
                      hf_baseline **ret_baseline, hf_error *reterr) {
  hf_autokeytext key = {0};
  hf_choice choice = {.by = HF_BY_CLEAR, .key = &key};
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = hf_comparable_text(of, &key, reterr);
  if (status != HF_OK)
    return status;
  hf_baseline *found = NULL;
  int made = make(store, &choice, options != NULL ? options : &defaults, &found, reterr);
  if (made >= 0 && found != NULL)
    *ret_baseline = found;
  hf_choice_free(&choice);
  return made;
}

/* ---- finding it ------------------------------------------------------------------------------ */

int hf_baseline_last(hf_store *store, const hf_comparable *of, uint64_t at,
                     hf_baseline **ret_baseline, hf_error *reterr) {
  hf_autokeytext key = {0};
  hf_autobuf text = {0};
  hf_line line;
  uint64_t head = 0;
  uint64_t seq = 0;
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = hf_comparable_text(of, &key, reterr);
  if (status == HF_OK)
    status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  if (at == 0 || at > head)
    at = head;
  const hf_peers peers = {hf_piece_of(&key.group), hf_piece_of(&key.stage), hf_piece_of(&key.dims)};
  int got = hf_baseline_find(store, &peers, at + 1, 0, &seq, &text, &line, reterr);
  if (got < 0)
    hf_err_place_below(reterr, store->path);
  if (got != 1)
    return got;
  status = hf_baseline_read(store, seq, &text, &line, at, ret_baseline, reterr);
  return status == HF_OK ? 1 : status;
}

int hf_baseline_get(hf_store *store, const hf_comparable *of, uint64_t at,
                    hf_baseline **ret_baseline, hf_error *reterr) {
  hf_baseline *last = NULL;
  int got = hf_baseline_last(store, of, at, &last, reterr);
  if (got == 1 && last->of == 0) { /* cleared */
    hf_baseline_free(&last);
    return 0;
  }
  if (got == 1)
    *ret_baseline = last;
  return got;
}
