#include "baseline_tally.h"

#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "dropped.h"
#include "err.h"
#include "log.h"
#include "plant.h"
#include "read.h"

#include "banned.h"

enum { TALLY_RUNS_FIRST = 64 };

void hf_tally_reset(hf_tally *tally) {
  hf_map_free(&tally->by_key);
  hf_buf_clear(&tally->values);
  tally->head = tally->runs = tally->passed_over = 0;
  tally->count = 0;
  tally->best = NULL;
}

void hf_tally_free(hf_tally *tally) {
  hf_map_free(&tally->by_key);
  hf_buf_free(&tally->values);
  free(tally->run);
  memset(tally, 0, sizeof *tally);
}

hf_json hf_tally_value(const hf_tally *tally, const hf_tally_run *run) {
  hf_json value = {tally->values.data + run->value_at, run->value_bytes, HF_JSON_NUMBER};
  return value;
}

int hf_goal_is_better(hf_goal goal, const hf_json *a, const hf_json *b) {
  int order;
  if (HF_PLANTED(BASELINE_AS_DOUBLE)) {
    double x = hf_json_number_double(a);
    double y = hf_json_number_double(b);
    order = (x > y) - (x < y);
  } else {
    order = hf_json_number_compare(a, b);
  }
  return goal == HF_GOAL_MIN ? order < 0 : order > 0;
}

int hf_line_is_peer(const hf_line *line, hf_piece group, hf_piece stage, hf_piece dims) {
  return hf_piece_equal(line->group, group) && hf_piece_equal(line->stage, stage) &&
         hf_piece_equal(line->dims, dims);
}

static int say_dropped(uint64_t seq, uint64_t by, hf_error *reterr) {
  return hf_err(reterr, HF_EDROPPED, NULL,
                "the document of seq %llu was dropped by gc (seq %llu says so)",
                (unsigned long long)seq, (unsigned long long)by);
}

int hf_metric_of(hf_store *store, uint64_t seq, const hf_line *line, const char *metric,
                 int view_held, hf_buf *doc, hf_json *ret_value, hf_error *reterr) {
  hf_piece text = line->doc;
  uint64_t by = 0;
  int dropped = hf_is_dropped(store, seq, view_held, &by, reterr);
  if (dropped == 0 && line->dropped && !view_held) /* a gc came since */
    dropped = hf_is_dropped_by_now(store, seq, &by, reterr);
  if (dropped == 0 && line->blob) {
    hf_buf_clear(doc);
    dropped = view_held ? hf_blob_read(store, line, doc, reterr)
                        : hf_read_blob(store, seq, line, doc, &by, reterr);
    text = hf_piece_of(doc);
  }
  if (dropped != 0)
    return dropped < 0 ? dropped : say_dropped(seq, by, reterr);
  if (text.text == NULL)
    return 0;
  hf_json root = hf_json_value(text.text, text.bytes);
  int found = hf_json_find(&root, metric, ret_value, reterr);
  if (found != 1)
    return found;
  return ret_value->type == HF_JSON_NUMBER && ret_value->bytes <= HF_BASELINE_VALUE_BYTES_MAX;
}

/* ---- the view, whoever holds its mutex ---- */

typedef struct look {
  hf_store *store;
  int view_held;
} look;

static void enter(const look *at) {
  if (!at->view_held)
    (void)pthread_mutex_lock(&at->store->view_mutex);
}

static void leave(const look *at) {
  if (!at->view_held)
    (void)pthread_mutex_unlock(&at->store->view_mutex);
}

/* ---- runs ---- */

static int make_room(hf_tally *tally, hf_error *reterr) {
  if (hf_map_reserve(&tally->by_key, 1) != HF_OK)
    return hf_err_nomem(reterr);
  if (tally->count < tally->allocated)
    return HF_OK;
  size_t best = tally->best != NULL ? (size_t)(tally->best - tally->run) : 0;
  size_t allocated = tally->allocated == 0 ? TALLY_RUNS_FIRST : tally->allocated * 2;
  hf_tally_run *run = realloc(tally->run, allocated * sizeof *run);
  if (run == NULL)
    return hf_err_nomem(reterr);
  if (tally->best != NULL)
    tally->best = &run[best];
  tally->run = run;
  tally->allocated = allocated;
  return HF_OK;
}

/* Ties go to the lowest seq. */
static void weigh(hf_tally *tally, const hf_tally_run *run) {
  if (run->counts != 1)
    return;
  if (tally->best != NULL) {
    hf_json mine = hf_tally_value(tally, run);
    hf_json its = hf_tally_value(tally, tally->best);
    if (hf_goal_is_better(tally->goal, &its, &mine) ||
        (!hf_goal_is_better(tally->goal, &mine, &its) && run->seq > tally->best->seq))
      return;
  }
  tally->best = run;
}

/* The run was saved again: what it was does not count any more. */
static void take_out(hf_tally *tally, const hf_row *row) {
  size_t position = 0;
  size_t place;
  while ((place = (size_t)hf_map_find(&tally->by_key, row->key_hash, &position)) != 0) {
    hf_tally_run *run = &tally->run[place - 1];
    if (run->counts < 0 || run->run_hash != row->run_hash)
      continue;
    tally->runs -= run->counts == 1;
    tally->passed_over -= run->counts == 0;
    run->counts = -1;
    if (tally->best != run)
      return;
    tally->best = NULL;
    for (size_t i = 0; i < tally->count; i++)
      weigh(tally, &tally->run[i]);
    return;
  }
}

/* Takes in the snapshot of this row, which is current as of the tally's head (the callers see to
 * that): if it is comparable, and has a document. */
static int take_in(const look *at, hf_tally *tally, uint64_t seq, const hf_row *row,
                   hf_error *reterr) {
  hf_store *store = at->store;
  hf_autobuf text = {0};
  hf_autobuf doc = {0};
  hf_line line;
  hf_json value = {0};
  int status = hf_log_load(store, seq, row, &text, &line, reterr);
  if (status != HF_OK)
    return status;
  if (!hf_line_is_peer(&line, tally->group, tally->stage, tally->dims))
    return HF_OK; /* another one with the same hash */
  int has = hf_metric_of(store, seq, &line, tally->metric, at->view_held, &doc, &value, reterr);
  if (has == HF_EDROPPED || line.dropped) /* without a document it is not in */
    return HF_OK;
  if (has < 0)
    return has;
  status = make_room(tally, reterr);
  if (status != HF_OK)
    return status;
  hf_tally_run *run = &tally->run[tally->count];
  *run = (hf_tally_run){row->key_hash, row->run_hash, seq, tally->values.used, 0, has};
  if (has == 1) {
    run->value_bytes = (uint32_t)value.bytes;
    if (hf_buf_add(&tally->values, value.text, value.bytes) != 0)
      return hf_err_nomem(reterr);
  }
  hf_map_add(&tally->by_key, row->key_hash, ++tally->count);
  tally->runs += has == 1;
  tally->passed_over += has == 0;
  weigh(tally, run);
  return HF_OK;
}

/* ---- walking ---- */

/* All of them, downwards from head. */
static int walk_down(const look *at, hf_tally *tally, uint64_t head, hf_error *reterr) {
  uint64_t peer_hash = hf_peer_hash(tally->group, tally->stage, tally->dims);
  uint64_t seq = head + 1;
  for (;;) {
    hf_row row;
    int status = HF_OK;
    enter(at);
    int got = hf_view_find_peer(&at->store->view, peer_hash, seq, &seq, reterr);
    if (got == 1 && seq > tally->since) {
      status = hf_view_row(&at->store->view, seq, &row, reterr);
    }
    leave(at);
    if (got < 0 || status != HF_OK)
      return got < 0 ? got : status;
    if (got == 0 || seq <= tally->since)
      break;
    int is_current = hf_read_is_current(at->store, seq, &row, head, at->view_held, reterr);
    if (is_current < 0)
      return is_current;
    if (!is_current && !HF_PLANTED(BASELINE_OLD_REVISION))
      continue;
    status = take_in(at, tally, seq, &row, reterr);
    if (status != HF_OK)
      return status;
  }
  tally->head = head;
  return HF_OK;
}

/* What came since, upwards. Where that hides a snapshot, shows one again or drops a document, all
 * is looked at anew. */
static int walk_up(const look *at, hf_tally *tally, uint64_t head, hf_error *reterr) {
  uint64_t peer_hash = hf_peer_hash(tally->group, tally->stage, tally->dims);
  while (tally->head < head) {
    hf_row row;
    enter(at);
    int status = hf_view_row(&at->store->view, tally->head + 1, &row, reterr);
    leave(at);
    if (status != HF_OK)
      return status;
    if (row.op == HF_OP_RETIRE || row.op == HF_OP_DROP) {
      hf_tally_reset(tally);
      return walk_down(at, tally, head, reterr);
    }
    if (row.op == HF_OP_SAVE && (row.flags & HF_ROW_DAMAGED) == 0) {
      take_out(tally, &row);
      if ((row.flags & HF_ROW_GROUPED) != 0 && row.peer_hash == peer_hash)
        status = take_in(at, tally, tally->head + 1, &row, reterr);
    }
    if (status != HF_OK)
      return status;
    tally->head++;
  }
  return HF_OK;
}

int hf_tally_advance(hf_store *store, hf_tally *tally, uint64_t head, int view_held,
                     hf_error *reterr) {
  look at = {store, view_held};
  if (tally->head > head) /* the log was read anew, and fewer records are there */
    hf_tally_reset(tally);
  int status =
      tally->head == 0 ? walk_down(&at, tally, head, reterr) : walk_up(&at, tally, head, reterr);
  if (status != HF_OK)
    hf_tally_reset(tally);
  return status;
}
