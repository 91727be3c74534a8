/* Reading one record: hf_head, hf_get, hf_get_seq, hf_prev. Readers take no lock: they refresh the
 * view, pick rows under its mutex, and read the records themselves outside it. */
#include "read.h"

#include <string.h>

#include "blob.h"
#include "dropped.h"
#include "err.h"
#include "log.h"
#include "plant.h"
#include "retire.h"
#include "tile.h"
#include "tile_map.h"

#include "banned.h"

/* A record that was read, and compared with what was asked. */
typedef struct found {
  uint64_t seq;
  hf_row row;
  hf_buf text;
  hf_line line; /* points into text */
} found;

static void found_free(found *one) {
  hf_buf_free(&one->text);
}

#define autofound __attribute__((cleanup(found_free))) found

int hf_read_begin(hf_store *store, uint64_t *ret_head, hf_error *reterr) {
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  (void)pthread_mutex_lock(&store->view_mutex);
  status = hf_log_refresh(store, 0, reterr);
  *ret_head = store->view.head;
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (status != HF_OK)
    hf_err_place_below(reterr, store->path);
  return status;
}

int hf_read_row(hf_store *store, uint64_t seq, hf_row *ret_row, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_view_row(&store->view, seq, ret_row, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

static void enter(hf_store *store, int locked) {
  if (!locked)
    (void)pthread_mutex_lock(&store->view_mutex);
}

static void leave(hf_store *store, int locked) {
  if (!locked)
    (void)pthread_mutex_unlock(&store->view_mutex);
}

int hf_read_is_current(hf_store *store, uint64_t seq, const hf_row *row, uint64_t at, int locked,
                       hf_error *reterr) {
  uint64_t after = seq;
  uint64_t by = 0;
  if (row->op != HF_OP_SAVE || (row->flags & HF_ROW_DAMAGED) != 0)
    return 0;
  int retired = hf_retired(store, seq, at, locked, &by, reterr);
  if (retired != 0)
    return retired < 0 ? retired : 0;
  do { /* a later one that is retired does not count */
    enter(store, locked);
    int got = hf_view_key_after(&store->view, row, after, &after, reterr);
    leave(store, locked);
    if (got != 1 || after > at)
      return got < 0 ? got : 1;
    retired = hf_retired(store, after, at, locked, &by, reterr);
  } while (retired == 1);
  return retired;
}

int hf_read_line(hf_store *store, uint64_t seq, hf_row *ret_row, hf_buf *text, hf_line *ret_line,
                 hf_error *reterr) {
  int status = hf_read_row(store, seq, ret_row, reterr);
  if (status == HF_OK)
    status = hf_log_load(store, seq, ret_row, text, ret_line, reterr);
  if (status != HF_OK)
    hf_err_place_below(reterr, store->path);
  return status;
}

/* One record that was asked for, as opposed to those that a walk passes. */
static int read_asked(hf_store *store, uint64_t seq, hf_row *ret_row, hf_buf *text,
                      hf_line *ret_line, hf_error *reterr) {
  hf_tile_map(store, hf_tile_of(seq));
  return hf_read_line(store, seq, ret_row, text, ret_line, reterr);
}

/* What became of it. */
static int say_dropped(hf_store *store, uint64_t seq, uint64_t by, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  if (by == 0)
    return hf_err(reterr, HF_EDAMAGED, store->path,
                  "the document of seq %llu is gone, and no record says that gc dropped it; run "
                  "holdfast verify",
                  (unsigned long long)seq);
  int status = hf_read_line(store, by, &row, &text, &line, reterr);
  if (status != HF_OK)
    return status;
  return hf_err(reterr, HF_EDROPPED, store->path,
                "the document of seq %llu was dropped by gc at %.*s (seq %llu says so); holdfast "
                "list --since %llu --until %llu --all-revisions shows what is left of it",
                (unsigned long long)seq, line.at.bytes > 2 ? (int)line.at.bytes - 2 : 0,
                line.at.bytes > 2 ? line.at.text + 1 : "", (unsigned long long)by,
                (unsigned long long)seq, (unsigned long long)seq);
}

int hf_read_blob(hf_store *store, uint64_t seq, const hf_line *line, hf_buf *out, uint64_t *ret_by,
                 hf_error *reterr) {
  hf_error error = HF_ERROR_INIT;
  size_t used = out->used;
  int status = hf_blob_read(store, line, out, &error);
  if (status == HF_OK)
    return 0;
  int dropped = status == HF_EDAMAGED ? hf_is_dropped_by_now(store, seq, ret_by, reterr) : 0;
  if (dropped == 1)
    out->used = used;
  if (dropped != 0)
    return dropped;
  hf_err_place_below(&error, store->path);
  if (reterr != NULL)
    *reterr = error;
  return status;
}

int hf_read_make(hf_store *store, uint64_t seq, uint64_t at, const hf_row *row, const hf_buf *text,
                 const hf_line *line, hf_read_document wanted, hf_record **ret_record,
                 hf_error *reterr) {
  hf_autobuf blob = {0};
  int with_document = wanted != HF_READ_ENVELOPE;
  uint64_t by = 0;
  uint64_t dropped_by = 0;
  int dropped = 0;
  if (line->op == HF_OP_SAVE)
    dropped = hf_is_dropped(store, seq, 0, &dropped_by, reterr);
  if (dropped < 0)
    return dropped;
  if (line->dropped && dropped == 0) /* a gc came since */
    dropped = hf_is_dropped_by_now(store, seq, &dropped_by, reterr);
  if (dropped < 0)
    return dropped;
  dropped |= line->dropped;
  const char *doc = line->doc.text;
  size_t doc_bytes = line->doc.bytes;
  if (with_document && !dropped && line->blob) {
    dropped = hf_read_blob(store, seq, line, &blob, &dropped_by, reterr);
    if (dropped < 0)
      return dropped;
    doc = blob.data;
    doc_bytes = blob.used;
  }
  if (dropped && wanted == HF_READ_DOCUMENT)
    return say_dropped(store, seq, dropped_by, reterr);
  with_document &= !dropped;
  int is_current = hf_read_is_current(store, seq, row, at, 0, reterr);
  if (is_current < 0)
    return is_current;
  int retired = 0;
  if (line->op == HF_OP_SAVE && !is_current)
    retired = hf_retired(store, seq, at, 0, &by, reterr);
  if (retired < 0)
    return retired;
  int status = hf_record_make(seq, text->data, text->used, line, with_document ? doc : NULL,
                              doc_bytes, ret_record, reterr);
  if (status == HF_OK) {
    (*ret_record)->is_current = is_current;
    (*ret_record)->retired = retired == 1 ? by : 0;
    (*ret_record)->dropped = dropped_by;
  }
  return status;
}

int hf_head(hf_store *store, uint64_t *ret_head, hf_error *reterr) {
  return hf_read_begin(store, ret_head, reterr);
}

/* A lost record was one once; whoever asks for it learns what happened. */
static int say_what_happened(const hf_store *store, uint64_t seq, const hf_line *line,
                             hf_error *reterr) {
  return hf_err(reterr, HF_EDAMAGED, store->path,
                "seq %llu was damaged and could not be read again when the store was repaired at "
                "%.*s: %.*s",
                (unsigned long long)seq, (int)line->at.bytes,
                line->at.text != NULL ? line->at.text : "", (int)line->reason.bytes,
                line->reason.text != NULL ? line->reason.text : "");
}

int hf_get_seq(hf_store *store, uint64_t seq, hf_record **ret_record, hf_error *reterr) {
  uint64_t head = 0;
  int status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  if (seq == 0 || seq > head)
    return 0;
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  status = read_asked(store, seq, &row, &text, &line, reterr);
  if (status == HF_OK && line.op == HF_OP_LOST)
    return say_what_happened(store, seq, &line, reterr);
  if (status == HF_OK)
    status =
        hf_read_make(store, seq, head, &row, &text, &line, HF_READ_DOCUMENT, ret_record, reterr);
  return status == HF_OK ? 1 : status;
}

/* The current revision of a key as of `at`. 1, 0 or negative. */
static int read_current(hf_store *store, const hf_keytext *key, uint64_t at, found *ret_found,
                        hf_error *reterr) {
  found *one = ret_found;
  hf_piece run = hf_piece_of(&key->run);
  hf_piece stage = hf_piece_of(&key->stage);
  hf_piece dims = hf_piece_of(&key->dims);
  uint64_t key_hash = hf_key_hash(run, stage, dims);
  uint64_t by = 0;
  for (uint64_t from = at;; from = one->seq - 1) {
    (void)pthread_mutex_lock(&store->view_mutex);
    int got = hf_view_find_key(&store->view, key_hash, from, &one->seq, reterr);
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (got != 1)
      return got;
    int status = read_asked(store, one->seq, &one->row, &one->text, &one->line, reterr);
    if (status != HF_OK)
      return status;
    if ((hf_piece_equal(one->line.run, run) && hf_piece_equal(one->line.stage, stage) &&
         hf_piece_equal(one->line.dims, dims)) ||
        HF_PLANTED(INDEX_HIT_UNCHECKED)) {
      int retired = hf_retired(store, one->seq, at, 0, &by, reterr);
      if (retired != 1)
        return retired < 0 ? retired : 1;
    }
  }
}

/* Those between `above` and `below` that cannot be read. No index is made of a tile that holds one,
 * so they are among the rows in memory; a store without any is asked nothing. */
static hf_unread unread_between(hf_store *store, uint64_t above, uint64_t below) {
  hf_unread unread = {0, 0};
  (void)pthread_mutex_lock(&store->view_mutex);
  const hf_view *view = &store->view;
  if (view->damaged_count > 0 && !HF_PLANTED(UNREAD_UNTOLD)) {
    uint64_t seq = above > view->base ? above + 1 : view->base + 1;
    for (; seq < below && seq <= view->head; seq++)
      if ((hf_view_row_in_memory(view, seq)->flags & HF_ROW_DAMAGED) != 0) {
        unread.count++;
        unread.last_seq = seq;
      }
  }
  (void)pthread_mutex_unlock(&store->view_mutex);
  return unread;
}

int hf_get(hf_store *store, const hf_key *key, uint64_t at, hf_record **ret_record,
           hf_error *reterr) {
  return hf_get_find(store, key, at, ret_record, NULL, reterr);
}

int hf_get_find(hf_store *store, const hf_key *key, uint64_t at, hf_record **ret_record,
                hf_unread *ret_unread, hf_error *reterr) {
  uint64_t head = 0;
  autofound one = {0};
  hf_autokeytext text = {0};
  if (ret_unread != NULL)
    *ret_unread = (hf_unread){0, 0};
  int status = hf_keytext_make(key, &text, reterr);
  if (status == HF_OK)
    status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  if (at == 0 || at > head)
    at = head;
  int got = read_current(store, &text, at, &one, reterr);
  if (got >= 0 && ret_unread != NULL)
    *ret_unread = unread_between(store, got == 1 ? one.seq : 0, at + 1);
  if (got != 1)
    return got;
  status = hf_read_make(store, one.seq, at, &one.row, &one.text, &one.line, HF_READ_DOCUMENT,
                        ret_record, reterr);
  return status == HF_OK ? 1 : status;
}

/* What is asked of a previous one: comparable, another run, below a seq. */
typedef struct peer {
  hf_piece run;
  hf_piece stage;
  hf_piece dims;
  hf_piece group;
  uint64_t below;
} peer;

static int is_peer(const hf_line *line, const peer *of) {
  return !hf_piece_equal(line->run, of->run) && hf_piece_equal(line->stage, of->stage) &&
         hf_piece_equal(line->dims, of->dims) && hf_piece_equal(line->group, of->group);
}

/* Planted: the last one by the clocks. Its seq in *ret_seq; 0: none. */
static int find_last_by_time(hf_store *store, const peer *of, uint64_t *ret_seq, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_autobuf last = {0};
  hf_line line;
  for (uint64_t seq = 1; seq < of->below; seq++) {
    hf_row row;
    int status = hf_read_line(store, seq, &row, &text, &line, reterr);
    if (status != HF_OK)
      return status;
    if (!is_peer(&line, of) ||
        (last.used == line.at.bytes && memcmp(line.at.text, last.data, last.used) < 0))
      continue;
    hf_buf_clear(&last);
    if (hf_buf_add(&last, line.at.text, line.at.bytes) != 0)
      return hf_err_nomem(reterr);
    *ret_seq = seq;
  }
  return HF_OK;
}

/* The next row of the peers downwards, and its row. 1, 0 or negative. */
static int peer_below(hf_store *store, uint64_t peer_hash, uint64_t *seq, hf_row *ret_row,
                      hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int got = hf_view_find_peer(&store->view, peer_hash, *seq, seq, reterr);
  int status = got == 1 ? hf_view_row(&store->view, *seq, ret_row, reterr) : HF_OK;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status == HF_OK ? got : status;
}

static int find_previous(hf_store *store, const peer *of, uint64_t head, hf_record **ret_record,
                         hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  uint64_t run_hash = hf_run_hash(of->run);
  uint64_t key_hash = hf_key_hash(of->run, of->stage, of->dims);
  uint64_t peer_hash = hf_peer_hash(of->group, of->stage, of->dims);
  uint64_t seq = of->below;
  uint64_t by = 0;
  for (;;) {
    int got = peer_below(store, peer_hash, &seq, &row, reterr);
    if (got == 1 && HF_PLANTED(PREV_BY_TIME))
      got = find_last_by_time(store, of, &seq, reterr) == HF_OK ? 1 : HF_EIO;
    if (got != 1)
      return got;
    if (row.run_hash == run_hash && row.key_hash == key_hash)
      continue; /* another revision of the same run */
    int status = read_asked(store, seq, &row, &text, &line, reterr);
    if (status != HF_OK)
      return status;
    if (!is_peer(&line, of) && !HF_PLANTED(PREV_HIT_UNCHECKED))
      continue;
    got = HF_PLANTED(PREV_RETIRED) ? 0 : hf_retired(store, seq, head, 0, &by, reterr);
    if (got == 1)
      continue;
    if (got == 0)
      got =
          hf_read_make(store, seq, head, &row, &text, &line, HF_READ_DOCUMENT, ret_record, reterr);
    return got == HF_OK ? 1 : got;
  }
}

/* The same, and what was passed over. */
static int find_and_tell(hf_store *store, const peer *of, uint64_t head, hf_record **ret_record,
                         hf_unread *ret_unread, hf_error *reterr) {
  int got = find_previous(store, of, head, ret_record, reterr);
  if (got >= 0 && ret_unread != NULL)
    *ret_unread = unread_between(store, got == 1 ? (*ret_record)->seq : 0, of->below);
  return got;
}

static int previous_of(hf_store *store, const found *one, uint64_t head, const hf_buf *group,
                       hf_record **ret_record, hf_unread *ret_unread, hf_error *reterr) {
  const hf_line *line = &one->line;
  if (line->op != HF_OP_SAVE)
    return hf_err(reterr, HF_ENOTFOUND, store->path,
                  "seq %llu is no snapshot (op %.*s); holdfast list shows those there are",
                  (unsigned long long)one->seq, (int)line->op_text.bytes, line->op_text.text);
  peer of = {line->run, line->stage, line->dims, line->group, one->seq};
  if (group != NULL && !hf_piece_equal(line->group, hf_piece_of(group))) {
    of.group = hf_piece_of(group);
    of.below = head + 1;
  }
  return of.group.text == NULL ? 0
                               : find_and_tell(store, &of, head, ret_record, ret_unread, reterr);
}

static int previous_of_seq(hf_store *store, uint64_t seq, hf_record **ret_record,
                           hf_unread *ret_unread, hf_error *reterr) {
  uint64_t head = 0;
  autofound one = {.seq = seq};
  int status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  if (seq == 0 || seq > head)
    return hf_err(reterr, HF_ENOTFOUND, store->path, "there is no seq %llu; the head is %llu",
                  (unsigned long long)seq, (unsigned long long)head);
  status = read_asked(store, seq, &one.row, &one.text, &one.line, reterr);
  return status == HF_OK ? previous_of(store, &one, head, NULL, ret_record, ret_unread, reterr)
                         : status;
}

static int previous_of_key(hf_store *store, const hf_key *key, const char *group,
                           hf_record **ret_record, hf_unread *ret_unread, hf_error *reterr) {
  uint64_t head = 0;
  autofound one = {0};
  hf_autokeytext text = {0};
  int status = hf_keytext_make(key, &text, reterr);
  if (status == HF_OK && group != NULL)
    status = hf_key_group_text(group, &text.group, reterr);
  if (status == HF_OK)
    status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  int got = read_current(store, &text, head, &one, reterr);
  if (got < 0)
    return got;
  if (got == 1)
    return previous_of(store, &one, head, group != NULL ? &text.group : NULL, ret_record,
                       ret_unread, reterr);
  if (group == NULL)
    return hf_err(
        reterr, HF_ENOTFOUND, store->path,
        "there is no such snapshot; save it first, or say --group to ask before it is saved");
  peer of = {hf_piece_of(&text.run), hf_piece_of(&text.stage), hf_piece_of(&text.dims),
             hf_piece_of(&text.group), head + 1};
  return find_and_tell(store, &of, head, ret_record, ret_unread, reterr);
}

int hf_prev_find(hf_store *store, const hf_prev_query *query, hf_record **ret_record,
                 hf_unread *ret_unread, hf_error *reterr) {
  if (ret_unread != NULL)
    *ret_unread = (hf_unread){0, 0};
  return query->key == NULL
             ? previous_of_seq(store, query->seq, ret_record, ret_unread, reterr)
             : previous_of_key(store, query->key, query->group, ret_record, ret_unread, reterr);
}

int hf_prev_seq(hf_store *store, uint64_t seq, hf_record **ret_record, hf_error *reterr) {
  return previous_of_seq(store, seq, ret_record, NULL, reterr);
}

int hf_prev(hf_store *store, const hf_key *key, const char *group, hf_record **ret_record,
            hf_error *reterr) {
  return previous_of_key(store, key, group, ret_record, NULL, reterr);
}
