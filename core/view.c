#include "view.h"

#include <stdlib.h>
#include <string.h>

#include "banned.h"

enum { VIEW_ROWS_FIRST = 256 };

void hf_view_free(hf_view *view) {
  free(view->rows);
  hf_map_free(&view->by_key);
  hf_map_free(&view->by_peer);
  hf_map_free(&view->by_id);
  hf_map_free(&view->by_ended);
  memset(view, 0, sizeof *view);
}

static uint64_t id_hash(const hf_id *id) {
  return hf_hash64(3, id->bytes, sizeof id->bytes);
}

static void fill_row(hf_row *row, const hf_line *line, const hf_place *place) {
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
  if (line->has_sha256)
    memcpy(&row->doc_hash, line->sha256, sizeof row->doc_hash);
  if (line->op != HF_OP_SAVE)
    return;
  row->key_hash = hf_key_hash(line->run, line->stage, line->dims);
  row->run_hash = hf_hash64(4, line->run.text, line->run.bytes);
  if (line->group.text != NULL) {
    row->flags |= HF_ROW_GROUPED;
    row->peer_hash = hf_peer_hash(line->group, line->stage, line->dims);
  }
}

static int make_room(hf_view *view, size_t more) {
  size_t allocated = view->allocated == 0 ? VIEW_ROWS_FIRST : view->allocated;
  while (view->head + more > allocated)
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
      hf_map_reserve(&view->by_id, more) != HF_OK || hf_map_reserve(&view->by_ended, more) != HF_OK)
    return HF_ENOMEM;
  return make_room(view, more);
}

static void index_row(hf_view *view, uint64_t seq, hf_row *row, const hf_line *line) {
  hf_map_add(&view->by_id, id_hash(&row->id), seq);
  if (line->op == HF_OP_END)
    hf_map_add(&view->by_ended, id_hash(&line->ends), seq);
  if (line->op != HF_OP_SAVE)
    return;
  if ((row->flags & HF_ROW_GROUPED) != 0)
    row->peer_before = hf_map_set(&view->by_peer, row->peer_hash, seq);
  row->key_before = hf_map_set(&view->by_key, row->key_hash, seq);
  if (row->key_before != 0)
    view->rows[row->key_before - 1].key_after = seq;
}

static void take_mode(hf_view *view, uint64_t seq, const hf_line *line) {
  size_t bytes = line->locker.bytes - 2; /* hf_line_decode has checked it */
  memcpy(view->locker, line->locker.text + 1, bytes);
  view->locker[bytes] = '\0';
  view->mode_seq = seq;
  if (!hf_line_mode_is_known(line)) /* also where it was left again: what was saved in it may lie
                                       where this program does not look */
    view->foreign_mode_seq = seq;
}

int hf_view_append(hf_view *view, const hf_line *line, const hf_place *place) {
  if (hf_view_reserve(view, 1) != HF_OK)
    return HF_ENOMEM;
  uint64_t seq = view->head + 1;
  hf_row *row = &view->rows[seq - 1];
  fill_row(row, line, place);
  if (line != NULL)
    index_row(view, seq, row, line);
  view->head = seq;
  if (line == NULL && view->damaged_count++ == 0)
    view->damaged_first = seq;
  if (line != NULL && line->op == HF_OP_MODE)
    take_mode(view, seq, line);
  if (line != NULL && line->op == HF_OP_UNKNOWN && view->unknown_count++ == 0)
    view->unknown_first = seq;
  return HF_OK;
}

uint64_t hf_view_find_id(const hf_view *view, const hf_id *id) {
  size_t position = 0;
  uint64_t seq;
  while ((seq = hf_map_find(&view->by_id, id_hash(id), &position)) != 0)
    if (memcmp(&view->rows[seq - 1].id, id, sizeof *id) == 0)
      return seq;
  return 0;
}

uint64_t hf_view_find_ended(const hf_view *view, const hf_id *id, size_t *position) {
  return hf_map_find(&view->by_ended, id_hash(id), position);
}

uint64_t hf_view_find_key(const hf_view *view, uint64_t key_hash, uint64_t at) {
  size_t position = 0;
  uint64_t seq = hf_map_find(&view->by_key, key_hash, &position);
  while (seq != 0 && seq > at)
    seq = view->rows[seq - 1].key_before;
  return seq;
}

uint64_t hf_view_find_peer(const hf_view *view, uint64_t peer_hash, uint64_t below) {
  size_t position = 0;
  uint64_t seq = hf_map_find(&view->by_peer, peer_hash, &position);
  while (seq != 0 && seq >= below)
    seq = view->rows[seq - 1].peer_before;
  return seq;
}
