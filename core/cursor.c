/* Walks over records: hf_list and hf_history. A walk is as of the head when it began. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "index.h"
#include "json.h"
#include "plant.h"
#include "read.h"
#include "retire.h"

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
  uint64_t left;
  int reverse;
  int all_revisions;
  int all_records;
  int with_documents;
  int retired;
};

void hf_cursor_close(hf_cursor **cursor) {
  if (cursor == NULL || *cursor == NULL)
    return;
  hf_keytext_free(&(*cursor)->key);
  for (size_t i = 0; i < HF_DIMS_MAX; i++)
    hf_buf_free(&(*cursor)->wanted[i]);
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

static int begin(hf_store *store, const hf_list_options *options, hf_cursor *cursor,
                 hf_error *reterr) {
  uint64_t head = 0;
  int status = want(cursor, options, reterr);
  if (status == HF_OK)
    status = hf_read_begin(store, &head, reterr);
  if (status != HF_OK)
    return status;
  cursor->store = store;
  cursor->first = options->since > 0 ? options->since : 1;
  cursor->last = options->until > 0 && options->until < head ? options->until : head;
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

int hf_list(hf_store *store, const hf_list_options *options, hf_cursor **ret_cursor,
            hf_error *reterr) {
  static const hf_list_options everything;
  hf_cursor *cursor = calloc(1, sizeof *cursor);
  if (cursor == NULL)
    return hf_err_nomem(reterr);
  int status = begin(store, options != NULL ? options : &everything, cursor, reterr);
  if (status == HF_OK)
    *ret_cursor = hf_take(cursor);
  hf_cursor_close(&cursor);
  return status;
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

static int line_matches(const hf_cursor *cursor, const hf_line *line) {
  if (HF_PLANTED(WALK_HIT_UNCHECKED))
    return 1;
  return piece_wanted(&cursor->key.run, line->run) &&
         piece_wanted(&cursor->key.stage, line->stage) &&
         piece_wanted(&cursor->key.group, line->group) && wants_dims(cursor, line);
}

/* As a revision, and retired or not. 1, 0 or negative. */
static int is_wanted(const hf_cursor *cursor, uint64_t seq, const hf_row *row, hf_error *reterr) {
  uint64_t by = 0;
  if ((row->flags & HF_ROW_DAMAGED) != 0 || row->op != HF_OP_SAVE ||
      (cursor->all_revisions && cursor->retired))
    return 1;
  int got =
      cursor->all_revisions ? 0 : hf_read_is_current(cursor->store, seq, row, cursor->last, reterr);
  if (got != 0 || (!cursor->all_revisions && !cursor->retired))
    return got;
  got = hf_retired(cursor->store, seq, cursor->last, 0, &by, reterr);
  return got < 0 ? got : got == cursor->retired;
}

/* The walk cannot go on: what follows would have a gap. */
static int stop(hf_cursor *cursor, int status) {
  if (!HF_PLANTED(INDEX_WALK_OVER_GAP))
    cursor->next = 0;
  return status;
}

int hf_cursor_next(hf_cursor *cursor, hf_record **ret_record, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  int status = hf_store_check(cursor->store, reterr);
  if (status != HF_OK)
    return status;
  while (cursor->next != 0 && cursor->left > 0) {
    status = skip(cursor, reterr);
    uint64_t seq = cursor->next;
    if (status == HF_OK && seq == 0)
      break;
    step(cursor);
    if (status == HF_OK)
      status = hf_read_row(cursor->store, seq, &row, reterr);
    if (status != HF_OK)
      return stop(cursor, status);
    if (!row_may_match(cursor, &row))
      continue;
    int wanted = is_wanted(cursor, seq, &row, reterr);
    if (wanted < 0)
      return stop(cursor, wanted);
    if (wanted == 0)
      continue;
    status = hf_read_line(cursor->store, seq, &row, &text, &line, reterr);
    if (status == HF_OK && !line_matches(cursor, &line))
      continue;
    if (status == HF_OK)
      status = hf_read_make(cursor->store, seq, cursor->last, &row, &text, &line,
                            cursor->with_documents ? HF_READ_IF_THERE : HF_READ_ENVELOPE,
                            ret_record, reterr);
    if (status != HF_OK && status != HF_EDAMAGED)
      return stop(cursor, status);
    if (status == HF_OK)
      cursor->left--;
    return status == HF_OK ? 1 : status;
  }
  return 0;
}
