#include "baseline_judge.h"

#include <string.h>

#include "dropped.h"
#include "err.h"
#include "log.h"
#include "plant.h"
#include "retire.h"

#include "banned.h"

void hf_choice_free(hf_choice *choice) {
  hf_tally_free(&choice->tally);
  hf_buf_free(&choice->document);
  hf_buf_free(&choice->in_force);
  hf_buf_free(&choice->run);
  hf_buf_free(&choice->value);
  hf_buf_free(&choice->metric_text);
}

/* The record of a seq. */
static int load(hf_store *store, uint64_t seq, int view_held, hf_buf *text, hf_line *ret_line,
                hf_error *reterr) {
  hf_row row;
  if (!view_held)
    (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_view_row(&store->view, seq, &row, reterr);
  if (!view_held)
    (void)pthread_mutex_unlock(&store->view_mutex);
  hf_buf_clear(text);
  return status != HF_OK ? status : hf_log_load(store, seq, &row, text, ret_line, reterr);
}

int hf_baseline_find(hf_store *store, const hf_peers *of, uint64_t below, int view_held,
                     uint64_t *ret_seq, hf_buf *text, hf_line *ret_line, hf_error *reterr) {
  uint64_t peer_hash = hf_peer_hash(of->group, of->stage, of->dims);
  for (;; below = *ret_seq) {
    if (!view_held)
      (void)pthread_mutex_lock(&store->view_mutex);
    int got = hf_view_find_baseline(&store->view, peer_hash, below, ret_seq, reterr);
    if (!view_held)
      (void)pthread_mutex_unlock(&store->view_mutex);
    if (got != 1)
      return got;
    int status = load(store, *ret_seq, view_held, text, ret_line, reterr);
    if (status != HF_OK)
      return status;
    if (ret_line->op == HF_OP_BASELINE &&
        (hf_line_is_peer(ret_line, of->group, of->stage, of->dims) ||
         HF_PLANTED(BASELINE_HIT_UNCHECKED)))
      return 1;
  }
}

/* One judgement. */
typedef struct judging {
  hf_store *store;
  hf_attempt *attempt;
  hf_choice *choice;
  uint64_t head;
  int view_held;
  /* the last baseline record; seq 0: there is none. It may clear */
  uint64_t seq;
  hf_line line;
  hf_buf text;
} judging;

static int in_force(const judging *j) {
  return j->seq != 0 && j->line.by != HF_BY_CLEAR;
}

/* The one in force answers. */
static int answer_it(judging *j, int *ret_status) {
  j->attempt->saved.seq = j->seq;
  j->attempt->saved.created = 0;
  hf_id_format(&j->line.id, j->attempt->saved.id);
  *ret_status = HF_OK;
  return 0;
}

static int answer_none(int *ret_status, int status) {
  *ret_status = status;
  return 0;
}

/* ---- what is written into the line ---- */

static int keep(hf_buf *buf, hf_piece piece) {
  hf_buf_clear(buf);
  return hf_buf_add(buf, piece.text, piece.bytes);
}

/* It is this one: the line says so from now on. 1 or HF_ENOMEM. metric: a JSON string; text NULL:
 * there is none. */
static int choose(judging *j, uint64_t of, hf_piece run, hf_piece metric, hf_goal goal,
                  hf_piece value, hf_error *reterr) {
  hf_choice *choice = j->choice;
  hf_line *line = &j->attempt->line;
  if (line->of == of && hf_piece_equal(line->metric, metric) && line->goal == goal &&
      hf_piece_equal(line->value, value))
    return 1;
  static const hf_piece nothing;
  int has = metric.text != NULL;
  hf_autobuf metric_copy = {0}; /* it may be what the line points to already */
  if (keep(&choice->run, run) != 0 || (has && keep(&metric_copy, metric) != 0) ||
      (has && keep(&choice->value, value) != 0) ||
      (has && keep(&choice->metric_text, hf_piece_of(&metric_copy)) != 0))
    return hf_err_nomem(reterr);
  line->of = of;
  line->run = hf_piece_of(&choice->run);
  line->metric = has ? hf_piece_of(&choice->metric_text) : nothing;
  line->value = has ? hf_piece_of(&choice->value) : nothing;
  line->goal = has ? goal : HF_GOAL_NONE;
  j->attempt->rewritten = 1;
  return 1;
}

static int choose_best(judging *j, hf_error *reterr) {
  hf_tally *tally = &j->choice->tally;
  hf_autobuf text = {0};
  hf_autobuf metric = {0};
  hf_line line;
  int status = load(j->store, tally->best->seq, j->view_held, &text, &line, reterr);
  if (status != HF_OK)
    return status;
  if (hf_json_add_string(&metric, tally->metric, strlen(tally->metric)) != 0)
    return hf_err_nomem(reterr);
  hf_json value = hf_tally_value(tally, tally->best);
  return choose(j, tally->best->seq, line.run, hf_piece_of(&metric), tally->goal,
                (hf_piece){value.text, value.bytes}, reterr);
}

/* ---- metrics ---- */

static int is_metric(const hf_line *line, const char *metric, hf_goal goal) {
  hf_json string = {line->metric.text, line->metric.bytes, HF_JSON_STRING};
  return hf_json_string_equals(&string, metric, strlen(metric)) && line->goal == goal;
}

/* The baseline in force has another metric than the one that is asked for. */
static int is_of_another(const judging *j) {
  return j->choice->metric != NULL && j->line.metric.text != NULL &&
         !is_metric(&j->line, j->choice->metric, j->choice->goal);
}

static int say_conflict(const judging *j, int *ret_status, hf_error *reterr) {
  *ret_status = hf_err(
      reterr, HF_ECONFLICT, NULL,
      "the baseline, since seq %llu, has the metric %.*s and the goal %s; nothing was changed. Ask "
      "for these, or clear it first",
      (unsigned long long)j->seq, (int)(j->line.metric.bytes < 200 ? j->line.metric.bytes : 200),
      j->line.metric.text, j->line.goal == HF_GOAL_MIN ? "min" : "max");
  return 0;
}

/* What is asked of the tally; where that changed it begins anew. */
static void ask(hf_choice *choice, const char *metric, hf_goal goal, uint64_t since) {
  hf_tally *tally = &choice->tally;
  tally->group = hf_piece_of(&choice->key->group);
  tally->stage = hf_piece_of(&choice->key->stage);
  tally->dims = hf_piece_of(&choice->key->dims);
  if (tally->metric == metric && tally->goal == goal && tally->since == since)
    return;
  hf_tally_reset(tally);
  tally->metric = metric;
  tally->goal = goal;
  tally->since = since;
}

/* Up to the head, unless it is planted that what was read before the lock is enough. */
static int advance(judging *j, hf_error *reterr) {
  if (HF_PLANTED(BASELINE_STALE_CHOICE) && j->view_held && j->choice->tally.head != 0)
    return HF_OK;
  return hf_tally_advance(j->store, &j->choice->tally, j->head, j->view_held, reterr);
}

/* ---- the four ways ---- */

static int judge_establish(judging *j, int *ret_status, hf_error *reterr) {
  hf_choice *choice = j->choice;
  hf_tally *tally = &choice->tally;
  if (in_force(j))
    return is_of_another(j) ? say_conflict(j, ret_status, reterr) : answer_it(j, ret_status);
  ask(choice, choice->metric, choice->goal, 0);
  int status = advance(j, reterr);
  if (status != HF_OK)
    return status;
  choice->missing = tally->runs < choice->min_runs ? choice->min_runs - tally->runs : 0;
  if (choice->missing == 0)
    return choose_best(j, reterr);
  return answer_none(
      ret_status,
      hf_err(reterr, HF_ENOTFOUND, NULL,
             "no baseline yet: %llu of %llu comparable runs have a number at %.200s, %llu more %s "
             "needed (%llu %s none there)",
             (unsigned long long)tally->runs, (unsigned long long)choice->min_runs, choice->metric,
             (unsigned long long)choice->missing, choice->missing == 1 ? "is" : "are",
             (unsigned long long)tally->passed_over, tally->passed_over == 1 ? "has" : "have"));
}

/* The metric and goal by which an update chooses, and the baseline's value there (type null: it has
 * none, or no document any more). */
static int update_by(judging *j, hf_buf *text, hf_buf *doc, hf_json *ret_value, hf_error *reterr) {
  hf_choice *choice = j->choice;
  hf_line of;
  *ret_value = (hf_json){"null", 4, HF_JSON_NULL};
  if (j->line.metric.text != NULL) {
    hf_json metric = {j->line.metric.text, j->line.metric.bytes, HF_JSON_STRING};
    hf_buf name = {0};
    if (hf_json_decode_string(&metric, &name) != 0) {
      hf_buf_free(&name);
      return hf_err_nomem(reterr);
    }
    int is_same = choice->in_force.data != NULL && choice->in_force.used == name.used &&
                  memcmp(choice->in_force.data, name.data, name.used) == 0;
    if (is_same) {
      hf_buf_free(&name);
    } else {
      choice->tally.metric = NULL; /* it points there */
      hf_buf_free(&choice->in_force);
      choice->in_force = name;
    }
    ask(choice, choice->in_force.data, j->line.goal, j->seq);
    *ret_value = (hf_json){j->line.value.text, j->line.value.bytes, HF_JSON_NUMBER};
    return 1;
  }
  if (choice->metric == NULL)
    return hf_err(reterr, HF_ENOTFOUND, NULL,
                  "the baseline, since seq %llu, was set without a metric; give one",
                  (unsigned long long)j->seq);
  ask(choice, choice->metric, choice->goal, j->seq);
  int status = load(j->store, j->line.of, j->view_held, text, &of, reterr);
  if (status != HF_OK)
    return status;
  hf_json value;
  int has =
      hf_metric_of(j->store, j->line.of, &of, choice->metric, j->view_held, doc, &value, reterr);
  if (has == 1)
    *ret_value = value;
  return has < 0 && has != HF_EDROPPED ? has : 1;
}

static int judge_update(judging *j, int *ret_status, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_autobuf doc = {0};
  hf_json present;
  const hf_tally *tally = &j->choice->tally;
  if (!in_force(j))
    return answer_none(ret_status, hf_err(reterr, HF_ENOTFOUND, NULL,
                                          "there is no baseline; baseline establish makes one"));
  if (is_of_another(j))
    return say_conflict(j, ret_status, reterr);
  int got = update_by(j, &text, &doc, &present, reterr);
  if (got == HF_ENOTFOUND)
    return answer_none(ret_status, got);
  int status = got < 0 ? got : advance(j, reterr);
  if (status != HF_OK)
    return status;
  if (tally->best == NULL)
    return answer_it(j, ret_status);
  hf_json best = hf_tally_value(tally, tally->best);
  if (present.type == HF_JSON_NUMBER && !hf_goal_is_better(tally->goal, &best, &present))
    return answer_it(j, ret_status);
  return choose_best(j, reterr);
}

/* The metric by which a snapshot is set: the one that was given (the caller has found a number
 * there), else that of the baseline in force, if the snapshot has a number there. 1 or negative. */
static int set_by(judging *j, hf_buf *metric, hf_goal *ret_goal, hf_json *ret_value,
                  hf_error *reterr) {
  hf_choice *choice = j->choice;
  hf_autobuf name = {0};
  const char *pointer = choice->metric;
  *ret_goal = choice->goal;
  if (pointer == NULL && in_force(j) && j->line.metric.text != NULL) {
    hf_json string = {j->line.metric.text, j->line.metric.bytes, HF_JSON_STRING};
    if (hf_json_decode_string(&string, &name) != 0 || hf_buf_add(&name, "", 0) != 0)
      return hf_err_nomem(reterr);
    pointer = name.data;
    *ret_goal = j->line.goal;
  }
  if (pointer == NULL)
    return 1;
  int has = hf_metric_of(j->store, choice->snapshot_seq, choice->snapshot, pointer, j->view_held,
                         &choice->document, ret_value, reterr);
  if (has != 1)
    return has < 0 ? has : 1;
  return hf_json_add_string(metric, pointer, strlen(pointer)) == 0 ? 1 : hf_err_nomem(reterr);
}

/* Is the snapshot hidden, or without its document? 1: *ret_status says so; 0 or negative. */
static int is_gone(judging *j, int *ret_status, hf_error *reterr) {
  uint64_t by = 0;
  unsigned long long seq = j->choice->snapshot_seq;
  int got = hf_is_dropped(j->store, seq, j->view_held, &by, reterr);
  if (got == 1)
    *ret_status = hf_err(reterr, HF_EDROPPED, NULL,
                         "the document of seq %llu was dropped by gc (seq %llu says so): it can be "
                         "no baseline",
                         seq, (unsigned long long)by);
  if (got != 0)
    return got;
  got = hf_retired(j->store, seq, j->head, j->view_held, &by, reterr);
  if (got == 1)
    *ret_status = hf_err(reterr, HF_ENOTFOUND, NULL,
                         "seq %llu is retired (seq %llu says so): it can be no baseline; holdfast "
                         "retire --undo shows it again",
                         seq, (unsigned long long)by);
  return got;
}

static int judge_set(judging *j, int *ret_status, hf_error *reterr) {
  const hf_choice *choice = j->choice;
  int gone = is_gone(j, ret_status, reterr);
  if (gone != 0)
    return gone == 1 ? 0 : gone;
  hf_autobuf metric = {0};
  hf_goal goal = HF_GOAL_NONE;
  hf_json value = {0};
  int got = set_by(j, &metric, &goal, &value, reterr);
  if (got < 0)
    return got;
  hf_piece metric_piece = {metric.used > 0 ? metric.data : NULL, metric.used};
  hf_piece value_piece = {metric.used > 0 ? value.text : NULL, metric.used > 0 ? value.bytes : 0};
  if (metric.used == 0)
    goal = HF_GOAL_NONE;
  if (in_force(j) && j->line.by == HF_BY_SET && j->line.of == choice->snapshot_seq &&
      hf_piece_equal(j->line.metric, metric_piece) && j->line.goal == goal &&
      hf_piece_equal(j->line.reason, j->attempt->line.reason))
    return answer_it(j, ret_status);
  return choose(j, choice->snapshot_seq, choice->snapshot->run, metric_piece, goal, value_piece,
                reterr);
}

static int judge_clear(judging *j, int *ret_status) {
  j->choice->none = !in_force(j);
  return j->choice->none ? answer_none(ret_status, HF_OK) : 1;
}

static int judge(judging *j, int *ret_status, hf_error *reterr) {
  const hf_keytext *key = j->choice->key;
  const hf_peers of = {hf_piece_of(&key->group), hf_piece_of(&key->stage), hf_piece_of(&key->dims)};
  int got = hf_baseline_find(j->store, &of, j->head + 1, j->view_held, &j->seq, &j->text, &j->line,
                             reterr);
  if (got < 0)
    return got;
  if (got == 0)
    j->seq = 0;
  switch (j->choice->by) {
  case HF_BY_ESTABLISH:
    return judge_establish(j, ret_status, reterr);
  case HF_BY_SET:
    return judge_set(j, ret_status, reterr);
  case HF_BY_UPDATE:
    return judge_update(j, ret_status, reterr);
  case HF_BY_CLEAR:
    return judge_clear(j, ret_status);
  }
  return hf_err(reterr, HF_EINTERNAL, NULL, "a baseline is made in no known way");
}

static int judge_at(hf_store *store, hf_attempt *attempt, uint64_t head, int view_held,
                    int *ret_status, hf_error *reterr) {
  judging j = {.store = store,
               .attempt = attempt,
               .choice = attempt->choice,
               .head = head,
               .view_held = view_held};
  attempt->line.by = j.choice->by;
  attempt->line.min_runs = j.choice->by == HF_BY_ESTABLISH ? j.choice->min_runs : 0;
  int go = judge(&j, ret_status, reterr);
  hf_buf_free(&j.text);
  return go;
}

int hf_judge_baseline(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr) {
  if (HF_PLANTED(BASELINE_JUDGED_BEFORE) && attempt->line.of != 0)
    return 1;
  return judge_at(store, attempt, store->view.head, 1, ret_status, reterr);
}

int hf_judge_baseline_ahead(hf_store *store, hf_attempt *attempt, uint64_t head, int *ret_status,
                            hf_error *reterr) {
  return judge_at(store, attempt, head, 0, ret_status, reterr);
}
