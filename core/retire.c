#include "retire.h"

#include <string.h>

#include <holdfast/admin.h>

#include "attempt.h"
#include "commit.h"
#include "err.h"
#include "log.h"
#include "plant.h"
#include "read.h"

#include "banned.h"

/* The next candidate downwards, and its row. 1, 0 or negative. */
static int find_below(hf_store *store, hf_op op, uint64_t hash, uint64_t below, int locked,
                      uint64_t *ret_seq, hf_row *ret_row, hf_error *reterr) {
  if (!locked)
    (void)pthread_mutex_lock(&store->view_mutex);
  hf_view *view = &store->view;
  int got = (op == HF_OP_RETIRE ? view->retire_count : view->drop_count) > 0
                ? hf_view_find_named(view, hash, below, ret_seq, reterr)
                : 0;
  int status = got == 1 ? hf_view_row(view, *ret_seq, ret_row, reterr) : HF_OK;
  if (!locked)
    (void)pthread_mutex_unlock(&store->view_mutex);
  return status == HF_OK ? got : status;
}

int hf_named_before(hf_store *store, hf_op op, uint64_t number, uint64_t below, int locked,
                    uint64_t *ret_seq, hf_buf *text, hf_line *ret_line, hf_error *reterr) {
  uint64_t hash = hf_named_hash(op, number);
  for (;; below = *ret_seq) {
    hf_row row;
    int got = find_below(store, op, hash, below, locked, ret_seq, &row, reterr);
    if (got != 1)
      return got;
    int status = hf_log_load(store, *ret_seq, &row, text, ret_line, reterr);
    if (status != HF_OK)
      return status;
    if (ret_line->op == op && (op == HF_OP_RETIRE ? ret_line->of : ret_line->tile) == number)
      return 1;
  }
}

int hf_retired(hf_store *store, uint64_t seq, uint64_t at, int locked, uint64_t *ret_by,
               hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  *ret_by = 0;
  uint64_t below = at < UINT64_MAX && !HF_PLANTED(RETIRE_NOT_AS_OF) ? at + 1 : UINT64_MAX;
  int got = hf_named_before(store, HF_OP_RETIRE, seq, below, locked, ret_by, &text, &line, reterr);
  if (got == 0)
    *ret_by = 0;
  return got == 1 ? !line.undo || HF_PLANTED(RETIRE_STAYS) : got;
}

/* ---- hf_retire ------------------------------------------------------------------------------- */

/* The key's current revision; to be shown again: its highest retired one. 1, 0 or negative. */
static int find_of_key(hf_store *store, const hf_key *key, int undo, uint64_t *ret_seq,
                       hf_error *reterr) {
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  int got = hf_history(store, key, &cursor, reterr);
  if (got != HF_OK)
    return got;
  *ret_seq = 0;
  while ((got = hf_cursor_next(cursor, &record, reterr)) == 1) {
    if (undo ? record->retired != 0 : record->is_current)
      *ret_seq = record->seq;
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  return got < 0 ? got : *ret_seq != 0;
}

static int check_options(const hf_retire_options *options, hf_error *reterr) {
  hf_autobuf text = {0};
  if (options == NULL)
    return hf_err(reterr, HF_EINVAL, "reason", "it is missing; give one");
  if (options->reason == NULL && options->undo)
    return HF_OK;
  return hf_key_reason_text(options->reason, &text, reterr);
}

/* Which snapshot it is, and its line. */
static int find(hf_store *store, const hf_key *key, uint64_t seq, int undo, uint64_t *ret_seq,
                hf_buf *text, hf_line *ret_line, hf_error *reterr) {
  uint64_t head = 0;
  hf_row row;
  *ret_seq = seq;
  if (key != NULL) {
    int got = find_of_key(store, key, undo, ret_seq, reterr);
    if (got == 0)
      return hf_err(reterr, HF_ENOTFOUND, store->path,
                    undo ? "no revision of this key is retired"
                         : "there is no such snapshot, or all its revisions are retired");
    if (got < 0)
      return got;
  }
  int status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  if (*ret_seq == 0 || *ret_seq > head)
    return hf_err(reterr, HF_ENOTFOUND, store->path, "there is no seq %llu; the head is %llu",
                  (unsigned long long)*ret_seq, (unsigned long long)head);
  status = hf_read_line(store, *ret_seq, &row, text, ret_line, reterr);
  if (status == HF_OK && ret_line->op != HF_OP_SAVE)
    status =
        hf_err(reterr, HF_ENOTFOUND, store->path,
               "seq %llu is no snapshot (op %.*s); holdfast list shows those there are",
               (unsigned long long)*ret_seq, (int)ret_line->op_text.bytes, ret_line->op_text.text);
  return status;
}

int hf_retire(hf_store *store, const hf_key *key, uint64_t seq, const hf_retire_options *options,
              hf_retire_report *ret_report, hf_error *reterr) {
  hf_attempt attempt;
  hf_attempt *one = &attempt;
  hf_autobuf text = {0};
  hf_line line;
  int status = check_options(options, reterr);
  if (status == HF_OK)
    status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  status = find(store, key, seq, options->undo, &seq, &text, &line, reterr);
  if (status != HF_OK)
    return status;
  status = hf_store_prepare_to_write(store, reterr);
  if (status == HF_OK) {
    status = hf_attempt_to_retire(store, seq, &line, options->undo, options->reason,
                                  options->timeout_ms, &attempt, reterr);
    if (status == HF_OK) {
      hf_commit(store, &one, 1);
      status = attempt.status;
      if (status != HF_OK && reterr != NULL)
        *reterr = attempt.error;
    }
    if (status == HF_OK && ret_report != NULL)
      *ret_report = (hf_retire_report){seq, attempt.saved.seq, attempt.saved.created};
    hf_attempt_free(&attempt);
  }
  if (status != HF_OK)
    hf_store_name_in_error(store, reterr);
  return status;
}
