/* Walks over records: hf_list and hf_history. A walk is as of the head when it began. */
#include "cursor.h"

#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "dropped.h"
#include "err.h"
#include "expr.h"
#include "index.h"
#include "json.h"
#include "plant.h"
#include "read.h"
#include "retire.h"
#include "window.h"

#include "banned.h"

struct hf_cursor {
  hf_store *store;
  hf_keytext key;             /* what run_id, stage and group must be; empty: any. Not dims */
  hf_buf wanted[HF_DIMS_MAX]; /* "name":"value" of each dim that must be there */
  size_t wanted_count;
  uint64_t exact_hash; /* hf_history: the key's hash; else 0 */
  uint64_t first;
  uint64_t last;
  uint64_t next; /* 0: the end */
  uint64_t at;   /* the record that was looked at last */
  uint64_t left;
  int reverse;
  int all_revisions;
  int all_records;
  int with_documents;
  hf_buf host;       /* as a JSON string; empty: any */
  int64_t after_us;  /* the time must not be earlier */
  int64_t before_us; /* but earlier than this */
  int has_times;
  const hf_expr *where; /* the caller's */
  hf_window window;
  hf_buf blob; /* of the record that is looked at; empty: not read */
  int retired;
};

void hf_cursor_close(hf_cursor **cursor) {
  if (cursor == NULL || *cursor == NULL)
    return;
  hf_keytext_free(&(*cursor)->key);
  for (size_t i = 0; i < HF_DIMS_MAX; i++)
    hf_buf_free(&(*cursor)->wanted[i]);
  hf_buf_free(&(*cursor)->host);
  hf_buf_free(&(*cursor)->blob);
  hf_window_free(&(*cursor)->window);
  free(*cursor);
  *cursor = NULL;
}

static int want_dims(hf_cursor *cursor, const hf_list_options *options, hf_error *reterr) {
  hf_autobuf whole = {0};
  int status = hf_key_dims_text(options->dims, options->dims_count, &whole, reterr);
  for (size_t i = 0; status == HF_OK && i < options->dims_count; i++) {
    hf_buf *text = &cursor->wanted[cursor->wanted_count++];
    (void)hf_json_add_string(text, options->dims[i].name, strlen(options->dims[i].name));
    (void)hf_buf_add_char(text, ':');
    if (hf_json_add_string(text, options->dims[i].value, strlen(options->dims[i].value)) != 0)
      status = hf_err_nomem(reterr);
  }
  return status;
}

static int want_time(const char *name, const char *text, int64_t *ret_us, hf_error *reterr) {
  if (text == NULL || hf_timestamp_parse(text, strlen(text), ret_us) == 0)
    return HF_OK;
  return hf_err(reterr, HF_EINVAL, name,
                "\"%.64s\" is no timestamp; write it as 2026-01-02T03:04:05Z, or as Python's "
                "isoformat() does",
                text);
}

static int want_place(hf_cursor *cursor, const hf_list_options *options, hf_error *reterr) {
  cursor->where = options->where;
  cursor->has_times = options->after != NULL || options->before != NULL;
  cursor->after_us = INT64_MIN;
  cursor->before_us = INT64_MAX;
  int status = want_time("after", options->after, &cursor->after_us, reterr);
  if (status == HF_OK)
    status = want_time("before", options->before, &cursor->before_us, reterr);
  if (status == HF_OK && options->host != NULL &&
      hf_json_add_string(&cursor->host, options->host, strlen(options->host)) != 0)
    status = hf_err_nomem(reterr);
  return status;
}

static int want(hf_cursor *cursor, const hf_list_options *options, hf_error *reterr) {
  int status = HF_OK;
  if (options->run_id != NULL)
    status = hf_key_run_text(options->run_id, &cursor->key.run, reterr);
  if (status == HF_OK && options->stage != NULL)
    status = hf_key_stage_text(options->stage, &cursor->key.stage, reterr);
  if (status == HF_OK && options->group != NULL)
    status = hf_key_group_text(options->group, &cursor->key.group, reterr);
  return status == HF_OK ? want_dims(cursor, options, reterr) : status;
}

static int begin(hf_store *store, const hf_list_options *options, uint64_t head, hf_cursor *cursor,
                 hf_error *reterr) {
  int status = want(cursor, options, reterr);
  if (status == HF_OK)
    status = want_place(cursor, options, reterr);
  if (status == HF_OK && head == 0)
    status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  cursor->store = store;
  cursor->first = options->since > 0 ? options->since : 1;
  cursor->last = options->until > 0 && options->until < head ? options->until : head;
  if (HF_PLANTED(WALK_BEYOND))
    cursor->last = head;
  cursor->left = options->limit > 0 ? options->limit : UINT64_MAX;
  cursor->reverse = options->reverse;
  cursor->all_records = options->all_records;
  cursor->all_revisions = options->all_revisions || options->all_records;
  cursor->retired = options->retired || options->all_records;
  cursor->with_documents = options->with_documents;
  cursor->next = cursor->reverse ? cursor->last : cursor->first;
  if (cursor->first > cursor->last)
    cursor->next = 0;
  return HF_OK;
}

int hf_cursor_begin(hf_store *store, const hf_list_options *options, uint64_t head,
                    hf_cursor **ret_cursor, hf_error *reterr) {
  static const hf_list_options everything;
  hf_cursor *cursor = calloc(1, sizeof *cursor);
  if (cursor == NULL)
    return hf_err_nomem(reterr);
  int status = begin(store, options != NULL ? options : &everything, head, cursor, reterr);
  if (status == HF_OK)
    *ret_cursor = hf_take(cursor);
  hf_cursor_close(&cursor);
  return status;
}

uint64_t hf_cursor_at(const hf_cursor *cursor) {
  return cursor->at;
}

int hf_list(hf_store *store, const hf_list_options *options, hf_cursor **ret_cursor,
            hf_error *reterr) {
  return hf_cursor_begin(store, options, 0, ret_cursor, reterr);
}

int hf_history(hf_store *store, const hf_key *key, hf_cursor **ret_cursor, hf_error *reterr) {
  hf_list_options options = {.run_id = key->run_id,
                             .stage = key->stage,
                             .dims = key->dims,
                             .dims_count = key->dims_count,
                             .all_revisions = 1,
                             .with_documents = 1,
                             .retired = 1};
  hf_autokeytext text = {0};
  hf_cursor *cursor = NULL;
  int status = hf_keytext_make(key, &text, reterr);
  if (status == HF_OK)
    status = hf_list(store, &options, &cursor, reterr);
  if (status != HF_OK)
    return status;
  cursor->key.dims = text.dims; /* the key's dims and no others */
  memset(&text.dims, 0, sizeof text.dims);
  cursor->exact_hash =
      hf_key_hash(hf_piece_of(&text.run), hf_piece_of(&text.stage), hf_piece_of(&cursor->key.dims));
  *ret_cursor = cursor;
  return HF_OK;
}

static void step(hf_cursor *cursor) {
  if (cursor->reverse)
    cursor->next = cursor->next > cursor->first ? cursor->next - 1 : 0;
  else
    cursor->next = cursor->next < cursor->last ? cursor->next + 1 : 0;
}

/* Could this row be wanted? Spares reading most records of a filtered walk. */
static int row_may_match(const hf_cursor *cursor, const hf_row *row) {
  if ((row->flags & HF_ROW_DAMAGED) != 0)
    return 1; /* it must be named */
  if (row->op != HF_OP_SAVE)
    return cursor->all_records;
  if (cursor->exact_hash != 0 && row->key_hash != cursor->exact_hash)
    return 0;
  if (cursor->key.run.used > 0 && row->run_hash != hf_run_hash(hf_piece_of(&cursor->key.run)))
    return 0;
  return 1;
}

/* Passes over what an index knows not to be of the key, or of the group, that is wanted. HF_OK; at
 * the end cursor->next is 0. */
static int skip(hf_cursor *cursor, hf_error *reterr) {
  hf_index_table table = cursor->exact_hash != 0 ? HF_INDEX_BY_KEY : HF_INDEX_BY_GROUP;
  if (cursor->all_records || (cursor->exact_hash == 0 && cursor->key.group.used == 0))
    return HF_OK;
  uint64_t hash = cursor->exact_hash != 0
                      ? cursor->exact_hash
                      : hf_index_group_hash(cursor->key.group.data, cursor->key.group.used);
  hf_store *store = cursor->store;
  (void)pthread_mutex_lock(&store->view_mutex);
  int got =
      hf_view_skip(&store->view, table, hash, cursor->next, cursor->reverse, &cursor->next, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (got == 0 || cursor->next < cursor->first || cursor->next > cursor->last)
    cursor->next = 0;
  return got < 0 ? got : HF_OK;
}

static int wants_dims(const hf_cursor *cursor, const hf_line *line) {
  if (cursor->exact_hash != 0)
    return hf_piece_equal(line->dims, hf_piece_of(&cursor->key.dims));
  for (size_t i = 0; i < cursor->wanted_count; i++) {
    hf_json object = {line->dims.text, line->dims.bytes, HF_JSON_OBJECT};
    hf_json name;
    hf_json value;
    size_t position = 0;
    int found = 0;
    while (!found && hf_json_next(&object, &position, &name, &value) == 1) {
      const hf_buf *text = &cursor->wanted[i];
      found = name.bytes + 1 + value.bytes == text->used &&
              memcmp(text->data, name.text, name.bytes) == 0 &&
              memcmp(text->data + name.bytes + 1, value.text, value.bytes) == 0;
    }
    if (!found)
      return 0;
  }
  return 1;
}

static int piece_wanted(const hf_buf *wanted, hf_piece piece) {
  return wanted->used == 0 || hf_piece_equal(hf_piece_of(wanted), piece);
}

/* The snapshot's own time, else when it was saved. */
static int wants_time(const hf_cursor *cursor, const hf_line *line) {
  int64_t us = 0;
  if (!cursor->has_times)
    return 1;
  int got =
      line->ts.text != NULL && hf_timestamp_parse(line->ts.text + 1, line->ts.bytes - 2, &us) == 0;
  if (!got)
    got = line->at.text != NULL &&
          hf_timestamp_parse(line->at.text + 1, line->at.bytes - 2, &us) == 0;
  return got && us >= cursor->after_us && us < cursor->before_us;
}

static int line_matches(const hf_cursor *cursor, const hf_line *line) {
  if (HF_PLANTED(WALK_HIT_UNCHECKED))
    return 1;
  return piece_wanted(&cursor->key.run, line->run) &&
         piece_wanted(&cursor->key.stage, line->stage) &&
         piece_wanted(&cursor->key.group, line->group) && piece_wanted(&cursor->host, line->host) &&
         wants_time(cursor, line) && wants_dims(cursor, line);
}

/* The record that the walk is at. */
typedef struct place {
  hf_cursor *cursor;
  uint64_t seq;
  hf_row row;
  hf_piece text;
  hf_line line;
  int is_current; /* -1: not asked yet */
} place;

static int place_is_current(void *context, hf_error *reterr) {
  place *at = context;
  if (at->is_current < 0)
    at->is_current =
        hf_read_is_current(at->cursor->store, at->seq, &at->row, at->cursor->last, 0, reterr);
  return at->is_current;
}

static int place_document(void *context, hf_piece *ret_document, hf_error *reterr) {
  place *at = context;
  hf_buf *blob = &at->cursor->blob;
  uint64_t by = 0;
  hf_buf_clear(blob);
  int dropped = hf_read_blob(at->cursor->store, at->seq, &at->line, blob, &by, reterr);
  *ret_document = dropped == 0 ? hf_piece_of(blob) : (hf_piece){NULL, 0};
  return dropped < 0 ? dropped : HF_OK;
}

static int place_told_by(void *context, hf_expr_member what, uint64_t *ret_seq, hf_error *reterr) {
  const place *at = context;
  uint64_t by = 0;
  int got = what == HF_MEMBER_RETIRED
                ? hf_retired(at->cursor->store, at->seq, at->cursor->last, 0, &by, reterr)
                : hf_is_dropped(at->cursor->store, at->seq, 0, &by, reterr);
  if (got == 0 && what == HF_MEMBER_DROPPED && at->line.dropped) /* a gc came since */
    got = hf_is_dropped_by_now(at->cursor->store, at->seq, &by, reterr);
  *ret_seq = got == 1 ? by : 0;
  return got < 0 ? got : HF_OK;
}

static int where_matches(place *at, hf_error *reterr) {
  uint64_t by = 0;
  if (at->cursor->where == NULL)
    return 1;
  hf_line seen = at->line;
  int dropped = hf_is_dropped(at->cursor->store, at->seq, 0, &by, reterr);
  if (dropped < 0)
    return dropped;
  if (dropped == 1) { /* its tile may not be written anew yet */
    seen.doc = (hf_piece){NULL, 0};
    seen.blob = 0;
  }
  hf_subject subject = {at->seq, &seen, place_is_current, place_told_by, place_document, at};
  return hf_expr_match_subject(at->cursor->where, &subject, reterr);
}

/* Every revision, retired or not: nothing is to be asked. */
static int is_any_wanted(const place *at) {
  return (at->row.flags & HF_ROW_DAMAGED) != 0 || at->row.op != HF_OP_SAVE ||
         (at->cursor->all_revisions && at->cursor->retired);
}

/* As a revision, and retired or not. 1, 0 or negative. */
static int is_wanted_revision(place *at, hf_error *reterr) {
  const hf_cursor *cursor = at->cursor;
  uint64_t by = 0;
  if (is_any_wanted(at))
    return 1;
  int got = cursor->all_revisions ? 0 : place_is_current(at, reterr);
  if (got != 0 || (!cursor->all_revisions && !cursor->retired))
    return got;
  got = hf_retired(cursor->store, at->seq, cursor->last, 0, &by, reterr);
  return got < 0 ? got : got == cursor->retired;
}

/* Is it one for the caller? 1, 0, or negative. An old revision is passed over before it is read;
 * but where much is compared, reading on is cheaper than looking each key up. */
static int is_wanted(place *at, hf_error *reterr) {
  hf_cursor *cursor = at->cursor;
  hf_store *store = cursor->store;
  int is_any = is_any_wanted(at);
  int got = is_any || cursor->where != NULL ? 1 : is_wanted_revision(at, reterr);
  if (got != 1)
    return got;
  int status =
      hf_window_line(store, &cursor->window, at->seq, &at->row, &at->text, &at->line, reterr);
  if (status != HF_OK)
    hf_err_place_below(reterr, store->path);
  else if (!line_matches(cursor, &at->line))
    return 0;
  got = status == HF_OK ? where_matches(at, reterr) : status;
  if (got == 0 || is_any || cursor->where == NULL || (got < 0 && got != HF_EDAMAGED))
    return got;
  /* damage in an old revision is nobody's business */
  int is_wanted = is_wanted_revision(at, got == 1 ? reterr : NULL);
  if (is_wanted < 0 && got == 1)
    return is_wanted;
  return is_wanted != 0 ? got : 0;
}

/* The walk cannot go on: what follows would have a gap. */
static int stop(hf_cursor *cursor, int status) {
  if (!HF_PLANTED(INDEX_WALK_OVER_GAP))
    cursor->next = 0;
  return status;
}

static int make(const place *at, hf_record **ret_record, hf_error *reterr) {
  hf_cursor *cursor = at->cursor;
  union {
    const char *from;
    char *to;
  } text = {at->text.text}; /* is only read */
  hf_buf view = {.data = text.to, .used = at->text.bytes};
  return hf_read_make(cursor->store, at->seq, cursor->last, &at->row, &view, &at->line,
                      cursor->with_documents ? HF_READ_IF_THERE : HF_READ_ENVELOPE, ret_record,
                      reterr);
}

int hf_cursor_next(hf_cursor *cursor, hf_record **ret_record, hf_error *reterr) {
  int status = hf_store_check(cursor->store, reterr);
  if (status != HF_OK)
    return status;
  while (cursor->next != 0 && cursor->left > 0) {
    status = skip(cursor, reterr);
    place at = {.cursor = cursor, .seq = cursor->next, .is_current = -1};
    if (status == HF_OK && at.seq == 0)
      break;
    cursor->at = at.seq;
    step(cursor);
    if (status == HF_OK)
      status = hf_read_row(cursor->store, at.seq, &at.row, reterr);
    if (status != HF_OK)
      return stop(cursor, status);
    if (!row_may_match(cursor, &at.row))
      continue;
    int got = is_wanted(&at, reterr);
    if (got == 0)
      continue;
    status = got == 1 ? make(&at, ret_record, reterr) : got;
    if (status != HF_OK && status != HF_EDAMAGED)
      return stop(cursor, status);
    if (status == HF_OK)
      cursor->left--;
    return status == HF_OK ? 1 : status;
  }
  return 0;
}
