#include "view.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"
#include "plant.h"

#include "banned.h"

enum { VIEW_ROWS_FIRST = 256 };

void hf_view_free(hf_view *view) {
  free(view->rows);
  hf_map_free(&view->by_key);
  hf_map_free(&view->by_peer);
  hf_map_free(&view->by_id);
  hf_map_free(&view->by_ended);
  hf_map_free(&view->by_baseline);
  if (view->index != NULL)
    hf_index_set_free(view->index);
  free(view->index);
  memset(view, 0, sizeof *view);
}

void hf_view_put_aside(hf_view *view, hf_view *before) {
  if (view->head == 0 || before->head > 0 || HF_PLANTED(VIEW_LOST)) {
    hf_view_free(view);
    return;
  }
  *before = *view;
  memset(view, 0, sizeof *view);
}

void hf_view_settle(hf_view *view, hf_view *before, int is_read) {
  if (is_read || before->head == 0) {
    hf_view_free(before);
    return;
  }
  hf_view_free(view);
  *view = *before;
  view->stale = 1;
  memset(before, 0, sizeof *before);
}

uint64_t hf_row_id_hash(const hf_id *id) {
  return HF_TEST_HASH(hf_hash64(3, id->bytes, sizeof id->bytes));
}

uint64_t hf_named_hash(hf_op op, uint64_t number) {
  uint64_t bytes = htole64(number);
  return HF_TEST_HASH(hf_hash64(op == HF_OP_RETIRE ? 7 : 8, &bytes, sizeof bytes));
}

int hf_line_names(const hf_line *line, uint64_t *ret_hash) {
  if (line->op == HF_OP_END)
    *ret_hash = hf_row_id_hash(&line->ends);
  else if (line->op == HF_OP_RETIRE || line->op == HF_OP_DROP)
    *ret_hash = hf_named_hash(line->op, line->op == HF_OP_RETIRE ? line->of : line->tile);
  else
    return 0;
  return 1;
}

static int names_something(const hf_row *row) {
  return row->op == HF_OP_END || row->op == HF_OP_RETIRE || row->op == HF_OP_DROP;
}

void hf_row_fill(hf_row *row, const hf_line *line, const hf_place *place) {
  memset(row, 0, sizeof *row);
  row->file_first = place->file_first;
  row->offset = place->offset;
  row->line_bytes = place->line_bytes;
  row->in_tile = (uint8_t)(place->in_tile != 0);
  row->flags = place->first ? HF_ROW_FIRST : 0;
  if (line == NULL) {
    row->op = HF_OP_UNKNOWN;
    row->flags |= HF_ROW_DAMAGED;
    return;
  }
  row->op = (uint8_t)line->op;
  row->id = line->id;
  if (line->blob)
    row->flags |= HF_ROW_BLOB;
  (void)hf_line_names(line, &row->ends_hash);
  if (line->has_sha256)
    memcpy(&row->doc_hash, line->sha256, sizeof row->doc_hash);
  if (line->op != HF_OP_SAVE && line->op != HF_OP_BASELINE)
    return;
  if (line->op == HF_OP_SAVE) {
    row->key_hash = hf_key_hash(line->run, line->stage, line->dims);
    row->run_hash = hf_run_hash(line->run);
  }
  if (line->group.text != NULL) {
    row->flags |= HF_ROW_GROUPED;
    row->peer_hash = hf_peer_hash(line->group, line->stage, line->dims);
  }
}

static int make_room(hf_view *view, size_t more) {
  size_t allocated = view->allocated == 0 ? VIEW_ROWS_FIRST : view->allocated;
  while (view->head - view->base + more > allocated)
    allocated *= 2;
  if (allocated == view->allocated)
    return HF_OK;
  hf_row *rows = realloc(view->rows, allocated * sizeof *rows);
  if (rows == NULL)
    return HF_ENOMEM;
  view->rows = rows;
  view->allocated = allocated;
  return HF_OK;
}

int hf_view_reserve(hf_view *view, size_t more) {
  if (hf_map_reserve(&view->by_key, more) != HF_OK ||
      hf_map_reserve(&view->by_peer, more) != HF_OK ||
      hf_map_reserve(&view->by_id, more) != HF_OK ||
      hf_map_reserve(&view->by_ended, more) != HF_OK ||
      hf_map_reserve(&view->by_baseline, more) != HF_OK)
    return HF_ENOMEM;
  return make_room(view, more);
}

static hf_row *row_of(const hf_view *view, uint64_t seq) {
  return &view->rows[seq - view->base - 1];
}

static void index_row(hf_view *view, uint64_t seq, hf_row *row) {
  if ((row->flags & HF_ROW_DAMAGED) != 0)
    return;
  hf_map_add(&view->by_id, hf_row_id_hash(&row->id), seq);
  if (names_something(row))
    hf_map_add(&view->by_ended, row->ends_hash, seq);
  row->key_before = row->key_after = row->peer_before = 0;
  if (row->op == HF_OP_BASELINE)
    row->peer_before = hf_map_set(&view->by_baseline, row->peer_hash, seq);
  if (row->op != HF_OP_SAVE)
    return;
  if ((row->flags & HF_ROW_GROUPED) != 0)
    row->peer_before = hf_map_set(&view->by_peer, row->peer_hash, seq);
  row->key_before = hf_map_set(&view->by_key, row->key_hash, seq);
  if (row->key_before != 0)
    row_of(view, row->key_before)->key_after = seq;
}

static void take_mode(hf_view *view, uint64_t seq, const hf_line *line) {
  size_t bytes = line->locker.bytes - 2; /* hf_line_decode has checked it */
  memcpy(view->locker, line->locker.text + 1, bytes);
  view->locker[bytes] = '\0';
  view->mode_seq = seq;
  view->journal = hf_line_mode_is_journal(line);
  if (!hf_line_mode_is_known(line)) /* also where it was left again: what was saved in it may lie
                                       where this program does not look */
    view->foreign_mode_seq = seq;
}

int hf_view_append(hf_view *view, const hf_line *line, const hf_place *place) {
  if (hf_view_reserve(view, 1) != HF_OK)
    return HF_ENOMEM;
  uint64_t seq = view->head + 1;
  hf_row *row = row_of(view, seq);
  hf_row_fill(row, line, place);
  index_row(view, seq, row);
  view->head = seq;
  if (line == NULL && view->damaged_count++ == 0)
    view->damaged_first = seq;
  if (line != NULL && line->op == HF_OP_MODE)
    take_mode(view, seq, line);
  view->retire_count += line != NULL && line->op == HF_OP_RETIRE;
  view->drop_count += line != NULL && line->op == HF_OP_DROP;
  if (line != NULL && line->op == HF_OP_UNKNOWN && view->unknown_count++ == 0)
    view->unknown_first = seq;
  return HF_OK;
}

int hf_view_append_row(hf_view *view, const hf_row *row) {
  if (hf_view_reserve(view, 1) != HF_OK)
    return HF_ENOMEM;
  uint64_t seq = view->head + 1;
  *row_of(view, seq) = *row;
  index_row(view, seq, row_of(view, seq));
  view->head = seq;
  return HF_OK;
}

int hf_view_rebase(hf_view *view, uint64_t base) {
  hf_view kept = {.base = base, .head = base};
  size_t count = view->head > base ? (size_t)(view->head - base) : 0;
  if (hf_view_reserve(&kept, count > 0 ? count : 1) != HF_OK) {
    hf_view_free(&kept);
    return HF_ENOMEM;
  }
  for (size_t i = 0; i < count; i++) {
    kept.rows[i] = *row_of(view, base + 1 + i);
    kept.head++;
    index_row(&kept, kept.head, &kept.rows[i]);
  }
  free(view->rows);
  hf_map_free(&view->by_key);
  hf_map_free(&view->by_peer);
  hf_map_free(&view->by_id);
  hf_map_free(&view->by_ended);
  hf_map_free(&view->by_baseline);
  view->rows = kept.rows;
  view->allocated = kept.allocated;
  view->by_key = kept.by_key;
  view->by_peer = kept.by_peer;
  view->by_id = kept.by_id;
  view->by_ended = kept.by_ended;
  view->by_baseline = kept.by_baseline;
  view->base = base;
  return HF_OK;
}

/* What an index answered; that it could not is remembered. */
static int checked(hf_view *view, int got) {
  if (got < 0)
    view->index_failed = 1;
  return got;
}

int hf_view_row(hf_view *view, uint64_t seq, hf_row *ret_row, hf_error *reterr) {
  if (seq <= view->base)
    return checked(view, hf_index_set_row(view->index, seq, ret_row, reterr));
  if (seq > view->head) /* it was read anew, and fewer records are there */
    return hf_err(reterr, HF_EIO, "log", "the log was read anew meanwhile; try again");
  *ret_row = *row_of(view, seq);
  return HF_OK;
}

static int find_in_index(hf_view *view, hf_index_table table, uint64_t hash, uint64_t below,
                         uint64_t *ret_seq, hf_error *reterr) {
  if (view->base == 0)
    return 0;
  if (below > view->base + 1)
    below = view->base + 1;
  return checked(view, hf_index_set_last(view->index, table, hash, below, ret_seq, reterr));
}

int hf_view_find_id(hf_view *view, const hf_id *id, uint64_t after, uint64_t *ret_seq,
                    hf_error *reterr) {
  size_t position = 0;
  uint64_t seq = 0;
  uint64_t hash = hf_row_id_hash(id);
  while ((seq = hf_map_find(&view->by_id, hash, &position)) != 0)
    if (memcmp(&row_of(view, seq)->id, id, sizeof *id) == 0) {
      *ret_seq = seq;
      return 1;
    }
  if (after >= view->base)
    return 0;
  uint64_t below = view->base + 1;
  for (;;) {
    hf_row row;
    int got = find_in_index(view, HF_INDEX_BY_ID, hash, below, &seq, reterr);
    if (got != 1)
      return got;
    int status = hf_view_row(view, seq, &row, reterr);
    if (status != HF_OK)
      return status;
    if (memcmp(&row.id, id, sizeof *id) == 0) {
      *ret_seq = seq;
      return 1;
    }
    below = seq;
  }
}

int hf_view_find_ended(hf_view *view, const hf_id *id, uint64_t after, hf_view_walk *walk,
                       uint64_t *ret_seq, hf_error *reterr) {
  uint64_t hash = hf_row_id_hash(id);
  if (walk->below == 0) {
    *ret_seq = hf_map_find(&view->by_ended, hash, &walk->position);
    if (*ret_seq != 0)
      return 1;
    walk->below = view->base + 1;
  }
  if (after >= view->base)
    return 0;
  int got = find_in_index(view, HF_INDEX_BY_ENDED, hash, walk->below, ret_seq, reterr);
  if (got == 1)
    walk->below = *ret_seq;
  return got;
}

int hf_view_find_named(hf_view *view, uint64_t hash, uint64_t below, uint64_t *ret_seq,
                       hf_error *reterr) {
  size_t position = 0;
  uint64_t last = 0;
  for (uint64_t seq; (seq = hf_map_find(&view->by_ended, hash, &position)) != 0;)
    if (seq < below && seq > last)
      last = seq;
  *ret_seq = last;
  return last != 0 ? 1 : find_in_index(view, HF_INDEX_BY_ENDED, hash, below, ret_seq, reterr);
}

int hf_view_find_key(hf_view *view, uint64_t key_hash, uint64_t at, uint64_t *ret_seq,
                     hf_error *reterr) {
  size_t position = 0;
  uint64_t seq = hf_map_find(&view->by_key, key_hash, &position);
  while (seq != 0 && seq > at)
    seq = row_of(view, seq)->key_before;
  *ret_seq = seq;
  return seq != 0 ? 1
                  : find_in_index(view, HF_INDEX_BY_KEY, key_hash,
                                  at < view->base ? at + 1 : view->base + 1, ret_seq, reterr);
}

static int hash_after(hf_view *view, uint64_t key_hash, uint64_t seq, uint64_t *ret_seq,
                      hf_error *reterr) {
  if (seq > view->base) {
    *ret_seq = row_of(view, seq)->key_after;
    return *ret_seq != 0;
  }
  int got = checked(
      view, hf_index_set_next(view->index, HF_INDEX_BY_KEY, key_hash, seq + 1, ret_seq, reterr));
  if (got != 0)
    return got;
  size_t position = 0;
  uint64_t after = hf_map_find(&view->by_key, key_hash, &position);
  while (after != 0 && row_of(view, after)->key_before != 0)
    after = row_of(view, after)->key_before; /* the oldest in memory */
  *ret_seq = after;
  return after != 0;
}

int hf_view_key_after(hf_view *view, const hf_row *row, uint64_t seq, uint64_t *ret_seq,
                      hf_error *reterr) {
  hf_row after;
  for (;;) {
    int got = hash_after(view, row->key_hash, seq, &seq, reterr);
    if (got != 1)
      return got;
    int status = hf_view_row(view, seq, &after, reterr);
    if (status != HF_OK)
      return status;
    if (after.run_hash == row->run_hash || HF_PLANTED(CURRENT_BY_ONE_HASH)) {
      *ret_seq = seq;
      return 1;
    }
  }
}

int hf_view_find_peer(hf_view *view, uint64_t peer_hash, uint64_t below, uint64_t *ret_seq,
                      hf_error *reterr) {
  size_t position = 0;
  uint64_t seq = hf_map_find(&view->by_peer, peer_hash, &position);
  while (seq != 0 && seq >= below)
    seq = row_of(view, seq)->peer_before;
  *ret_seq = seq;
  return seq != 0 ? 1 : find_in_index(view, HF_INDEX_BY_PEER, peer_hash, below, ret_seq, reterr);
}

int hf_view_find_baseline(hf_view *view, uint64_t peer_hash, uint64_t below, uint64_t *ret_seq,
                          hf_error *reterr) {
  size_t position = 0;
  uint64_t seq = hf_map_find(&view->by_baseline, peer_hash, &position);
  while (seq != 0 && seq >= below)
    seq = row_of(view, seq)->peer_before;
  *ret_seq = seq;
  return seq != 0 ? 1
                  : find_in_index(view, HF_INDEX_BY_ENDED, hf_baseline_hash(peer_hash), below,
                                  ret_seq, reterr);
}

int hf_view_skip(hf_view *view, hf_index_table table, uint64_t hash, uint64_t seq, int downwards,
                 uint64_t *ret_seq, hf_error *reterr) {
  *ret_seq = seq;
  if (seq > view->base)
    return 1;
  if (downwards)
    return find_in_index(view, table, hash, seq + 1, ret_seq, reterr);
  int got = checked(view, hf_index_set_next(view->index, table, hash, seq, ret_seq, reterr));
  if (got == 0)
    *ret_seq = view->base + 1;
  return got < 0 ? got : 1;
}
