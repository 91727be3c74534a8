#include "judge.h"

#include <string.h>

#include "baseline_judge.h"
#include "dropped.h"
#include "err.h"
#include "log.h"
#include "plant.h"
#include "retire.h"
#include "store_locker.h"
#include "tile.h"

#include "banned.h"

static void take_saved(hf_attempt *attempt, uint64_t seq, const hf_line *line) {
  attempt->saved.seq = seq;
  attempt->saved.created = 0;
  hf_id_format(&line->id, attempt->saved.id);
  if (line->has_sha256)
    hf_hex(line->sha256, sizeof line->sha256, attempt->saved.sha256);
}

/* A newer version's record may mean what we do not know; a damaged one could be the very one that
 * we look for. */
static int refuse_to_write(const hf_view *view, hf_error *reterr) {
  if (view->damaged_count > 0)
    return hf_err(
        reterr, HF_EDAMAGED, NULL,
        "seq %llu is damaged, so nothing can be saved; run holdfast verify --repair first",
        (unsigned long long)view->damaged_first);
  if (view->unknown_count > 0)
    return hf_err(reterr, HF_EVERSION, NULL,
                  "seq %llu was written by a newer Holdfast; use that one to save",
                  (unsigned long long)view->unknown_first);
  if (view->foreign_mode_seq > 0)
    return hf_err(reterr, HF_EVERSION, NULL,
                  "seq %llu gives the store a mode that this program does not know; use a newer "
                  "Holdfast to save",
                  (unsigned long long)view->foreign_mode_seq);
  return HF_OK;
}

static int load(hf_store *store, uint64_t seq, hf_buf *text, hf_line *ret_line, hf_error *reterr) {
  hf_row row;
  int status = hf_view_row(&store->view, seq, &row, reterr);
  return status != HF_OK ? status : hf_log_load(store, seq, &row, text, ret_line, reterr);
}

/* Was the id ended by a record? That holds for every attempt that carries it: its ender was told
 * "never". */
static int find_ended(hf_store *store, const hf_id *id, uint64_t after, uint64_t *ret_seq,
                      hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_view_walk walk = {0};
  uint64_t seq = 0;
  if (HF_PLANTED(IGNORE_END))
    return 0;
  for (;;) {
    int got = hf_view_find_ended(&store->view, id, after, &walk, &seq, reterr);
    if (got != 1)
      return got;
    int status = load(store, seq, &text, &line, reterr);
    if (status != HF_OK)
      return status;
    if (line.op == HF_OP_END && memcmp(&line.ends, id, sizeof *id) == 0) {
      *ret_seq = seq;
      return 1;
    }
  }
}

static int judge_end(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr) {
  uint64_t seq = 0;
  int found = hf_view_find_id(&store->view, &attempt->line.ends, 0, &seq, reterr);
  if (found < 0)
    return found;
  if (found == 1) {
    attempt->saved.seq = seq;
    *ret_status = HF_OK;
    return 0;
  }
  int ended = find_ended(store, &attempt->line.ends, 0, &seq, reterr);
  if (ended < 0)
    return ended;
  *ret_status = HF_EENDED;
  return ended == 1 ? 0 : 1;
}

int hf_judge_current(hf_store *store, const hf_line *key, uint64_t key_hash, uint64_t at,
                     uint64_t *ret_seq, hf_buf *text, hf_line *ret_line, hf_error *reterr) {
  uint64_t seq = 0;
  uint64_t by = 0;
  for (uint64_t from = at;; from = seq - 1) {
    int got = hf_view_find_key(&store->view, key_hash, from, &seq, reterr);
    if (got != 1)
      return got;
    int status = load(store, seq, text, ret_line, reterr);
    if (status != HF_OK)
      return status;
    if ((hf_piece_equal(ret_line->run, key->run) && hf_piece_equal(ret_line->stage, key->stage) &&
         hf_piece_equal(ret_line->dims, key->dims)) ||
        HF_PLANTED(JUDGE_HIT_UNCHECKED)) {
      got = hf_retired(store, seq, at, HF_VIEW_HELD, &by, reterr);
      if (got < 0)
        return got;
      *ret_seq = seq;
      if (got == 0 || HF_PLANTED(JUDGE_BY_RETIRED))
        return 1;
    }
  }
}

/* Could this be the key's current revision with the same document? Answered from the rows, where
 * nothing says that an older one is current. */
static int may_be_same(hf_store *store, const hf_attempt *attempt, hf_error *reterr) {
  uint64_t seq = 0;
  uint64_t doc_hash;
  hf_row row;
  memcpy(&doc_hash, attempt->line.sha256, sizeof doc_hash);
  int got = hf_view_find_key(&store->view, attempt->key_hash, store->view.head, &seq, reterr);
  if (got != 1)
    return got;
  int status = hf_view_row(&store->view, seq, &row, reterr);
  if (status != HF_OK)
    return status;
  if (store->view.retire_count > 0 &&
      hf_view_find_named(&store->view, hf_named_hash(HF_OP_RETIRE, seq), UINT64_MAX, &seq,
                         reterr) != 0)
    return 1;                        /* hidden, perhaps; what cannot be read is met again */
  return row.doc_hash == doc_hash || /* or another key with the same hash hides this one's */
         (row.run_hash != hf_run_hash(attempt->line.run) && !HF_PLANTED(CURRENT_BY_ONE_HASH));
}

static int is_same(const hf_attempt *attempt, const hf_line *line) {
  if (HF_PLANTED(DEDUPE_BY_RUN))
    return 1;
  return line->size == attempt->line.size &&
         memcmp(line->sha256, attempt->line.sha256, sizeof line->sha256) == 0 &&
         hf_piece_equal(line->group, attempt->line.group);
}

static int conflict(hf_attempt *attempt, uint64_t seq, hf_error *reterr) {
  attempt->saved.seq = seq;
  if (attempt->condition == HF_IF_ABSENT)
    return hf_err(reterr, HF_ECONFLICT, NULL,
                  "it exists already, as seq %llu, with another document; nothing was saved",
                  (unsigned long long)seq);
  if (seq == 0)
    return hf_err(reterr, HF_ECONFLICT, NULL,
                  "it does not exist, and --if-seq says %llu; nothing was saved",
                  (unsigned long long)attempt->if_seq);
  return hf_err(reterr, HF_ECONFLICT, NULL,
                "its current revision is seq %llu, not %llu; nothing was saved",
                (unsigned long long)seq, (unsigned long long)attempt->if_seq);
}

static int judge_key(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr) {
  /* The usual case answers from the rows: a new key, or another document without a condition. */
  int may = attempt->condition == HF_ALWAYS ? may_be_same(store, attempt, reterr) : 1;
  if (may != 1)
    return may < 0 ? may : 1;
  hf_autobuf text = {0};
  hf_line line;
  uint64_t seq = 0;
  int got = hf_judge_current(store, &attempt->line, attempt->key_hash, store->view.head, &seq,
                             &text, &line, reterr);
  if (got < 0)
    return got;
  int is_there = got == 1 && is_same(attempt, &line);
  if (is_there && !HF_PLANTED(DEDUPE_BY_DROPPED)) {
    uint64_t by = 0; /* what gc has dropped is no answer: the document would be nowhere */
    int dropped = line.dropped ? 1 : hf_is_dropped(store, seq, HF_VIEW_HELD, &by, reterr);
    if (dropped < 0)
      return dropped;
    is_there = !dropped;
  }
  if (is_there) {
    take_saved(attempt, seq, &line);
    *ret_status = HF_OK;
    return 0;
  }
  if (attempt->condition == HF_ALWAYS || (attempt->condition == HF_IF_ABSENT && got == 0) ||
      (attempt->condition == HF_IF_SEQ && seq == attempt->if_seq))
    return 1;
  *ret_status = conflict(attempt, seq, reterr);
  return 0;
}

/* What is retired, or shown, already needs no record. */
static int judge_retire(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr) {
  uint64_t by = 0;
  int retired = hf_retired(store, attempt->line.of, store->view.head, HF_VIEW_HELD, &by, reterr);
  if (retired < 0)
    return retired;
  if (retired == (attempt->line.undo != 0)) /* it is otherwise than it is wanted */
    return 1;
  attempt->saved.seq = by;
  *ret_status = HF_OK;
  return 0;
}

/* What a gc was planned by must still be so: an op that it does not know by heart, or one that
 * shows a snapshot again, may keep a document that is to be dropped. 1, 0 or negative. */
static int plan_holds(hf_store *store, const hf_attempt *attempt, hf_error *reterr) {
  for (uint64_t seq = attempt->planned_at + 1; seq <= store->view.head; seq++) {
    hf_row row;
    int status = hf_view_row(&store->view, seq, &row, reterr);
    if (status != HF_OK)
      return status;
    switch ((hf_op)row.op) {
    case HF_OP_SAVE:
    case HF_OP_END:
    case HF_OP_MODE:
    case HF_OP_DROP:
    case HF_OP_LOST:
      continue;
    case HF_OP_BASELINE:
    case HF_OP_RETIRE:
    case HF_OP_UNKNOWN:
      break;
    }
    return 0;
  }
  return 1;
}

static int judge_drop(hf_store *store, const hf_attempt *attempt, int *ret_status,
                      hf_error *reterr) {
  hf_drops drops;
  int is_new = 0;
  int status = hf_drops_of(store, attempt->line.tile, HF_VIEW_HELD, &drops, reterr);
  if (status != HF_OK)
    return status;
  for (size_t i = 0; i < HF_TILE_RECORDS; i++)
    is_new |= hf_drop_has(attempt->line.lines, i) && drops.by[i] == 0;
  *ret_status = HF_OK;
  if (!is_new)
    return 0;
  int holds = HF_PLANTED(GC_PLAN_UNJUDGED) ? 1 : plan_holds(store, attempt, reterr);
  if (holds != 0)
    return holds;
  *ret_status = hf_err(reterr, HF_ECONFLICT, NULL,
                       "what is to be kept has changed since gc looked; nothing more was dropped, "
                       "run it again");
  return 0;
}

/* The locker and mode that the store has already need no record. */
static int judge_mode(const hf_store *store, hf_attempt *attempt, int *ret_status) {
  const char *present = hf_store_locker_name(store);
  size_t bytes = strlen(present);
  if (attempt->line.locker.bytes != bytes + 2 ||
      memcmp(attempt->line.locker.text + 1, present, bytes) != 0 ||
      hf_line_mode_is_journal(&attempt->line) != hf_store_is_journal(store))
    return 1;
  attempt->saved.seq = store->view.mode_seq;
  *ret_status = HF_OK;
  return 0;
}

int hf_judge(hf_store *store, hf_attempt *attempt, int *ret_status, hf_error *reterr) {
  int status = refuse_to_write(&store->view, reterr);
  if (status != HF_OK)
    return status;
  attempt->saved.seq = 0; /* it may have been judged before, when the log gave another answer */
  attempt->saved.id[0] = '\0';
  if (attempt->line.op == HF_OP_END)
    return judge_end(store, attempt, ret_status, reterr);
  hf_autobuf text = {0};
  hf_line line;
  uint64_t seq = 0;
  int found = hf_view_find_id(&store->view, &attempt->line.id, attempt->id_after, &seq, reterr);
  if (found < 0)
    return found;
  if (found == 1) {
    status = load(store, seq, &text, &line, reterr);
    if (status != HF_OK)
      return status;
    take_saved(attempt, seq, &line);
    *ret_status = HF_OK;
    return 0;
  }
  int ended = find_ended(store, &attempt->line.id, attempt->id_after, &seq, reterr);
  if (ended < 0)
    return ended;
  if (ended == 1) {
    *ret_status =
        hf_err(reterr, HF_EENDED, NULL,
               "the attempt %s was ended by seq %llu (somebody resolved it): it is not saved "
               "and never will be; save under a new id",
               attempt->id_text, (unsigned long long)seq);
    return 0;
  }
  if (attempt->line.op == HF_OP_BASELINE)
    return hf_judge_baseline(store, attempt, ret_status, reterr);
  if (attempt->line.op == HF_OP_MODE)
    return judge_mode(store, attempt, ret_status);
  if (attempt->line.op == HF_OP_DROP)
    return judge_drop(store, attempt, ret_status, reterr);
  if (attempt->line.op == HF_OP_RETIRE)
    return judge_retire(store, attempt, ret_status, reterr);
  return judge_key(store, attempt, ret_status, reterr);
}
