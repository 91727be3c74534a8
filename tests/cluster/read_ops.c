/* Operations that read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "driver.h"

/* A record that was shown: with the checksum of the very bytes that came. */
static void write_record(history_line *line, const hf_record *record) {
  char sha256[HF_SHA256_CHARS + 1];
  history_number(line, "seq", record->seq);
  history_text(line, "id", record->id);
  history_text(line, "kind", record->op);
  if (record->doc != NULL) {
    driver_sha256(record->doc, record->doc_bytes, sha256);
    history_text(line, "sha", sha256);
  }
}

/* Writes the answer of a call that looked for one record, and frees it. */
static void answer_record(driver *me, int got, hf_record **record, const hf_error *error) {
  history_line line;
  history_answer(me, &line, got, error);
  if (got >= 0)
    history_signed(&line, "got", got);
  if (got == 1) {
    write_record(&line, *record);
    driver_saw(me, (*record)->seq);
    hf_record_free(record);
  }
  history_write(me, &line);
}

uint64_t driver_current_seq(driver *me, driver_key *key, int *ret_status) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_key of = driver_key_of(key);
  history_call(me, &line, "get");
  history_key(&line, key, NULL);
  history_write(me, &line);
  int got = hf_get(me->store, &of, 0, &record, &error);
  uint64_t seq = got == 1 ? record->seq : 0;
  answer_record(me, got, &record, &error);
  *ret_status = got;
  return seq;
}

static void read_head(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  history_call(me, &line, "head");
  history_write(me, &line);
  int status = hf_head(me->store, &head, &error);
  history_answer(me, &line, status, &error);
  if (status == HF_OK)
    history_number(&line, "seq", head);
  history_write(me, &line);
  if (status == HF_OK)
    driver_saw(me, head);
}

static void read_seq(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  uint64_t seq = 1 + driver_below(me, me->head + 2);
  history_call(me, &line, "get_seq");
  history_number(&line, "of", seq);
  history_write(me, &line);
  int got = hf_get_seq(me->store, seq, &record, &error);
  answer_record(me, got, &record, &error);
}

static void read_prev_seq(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  if (me->head == 0)
    return;
  uint64_t seq = 1 + driver_below(me, me->head);
  history_call(me, &line, "prev_seq");
  history_number(&line, "of", seq);
  history_write(me, &line);
  int got = hf_prev_seq(me->store, seq, &record, &error);
  answer_record(me, got, &record, &error);
}

/* Of a key's current revision; or what a key that was never saved would be compared with. */
static void read_prev(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  driver_key key;
  char group[16];
  int is_new = driver_below(me, 2) == 0;
  driver_key_make(is_new ? "nobody" : "hot", driver_below(me, me->options.keys), &key);
  (void)snprintf(group, sizeof group, "g%llu",
                 (unsigned long long)driver_below(me, me->options.groups));
  hf_key of = driver_key_of(&key);
  history_call(me, &line, "prev");
  history_key(&line, &key, is_new ? group : NULL);
  history_write(me, &line);
  int got = hf_prev(me->store, &of, is_new ? group : NULL, &record, &error);
  answer_record(me, got, &record, &error);
}

/* Reads a cursor to its end and closes it. */
static void answer_rows(driver *me, int status, hf_cursor *cursor, hf_error *error) {
  history_line rows;
  history_line line;
  size_t count = 0;
  memset(&rows, 0, sizeof rows);
  history_raw(&rows, ",\"rows\":[");
  while (status >= 0) {
    hf_record *record = NULL;
    status = hf_cursor_next(cursor, &record, error);
    if (status != 1)
      break;
    history_raw(&rows, count++ == 0 ? "{" : ",{");
    write_record(&rows, record);
    history_raw(&rows, "}");
    driver_saw(me, record->seq);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  history_answer(me, &line, status, error);
  if (status >= 0) {
    history_raw(&line, rows.text);
    history_raw(&line, "]");
  }
  free(rows.text);
  history_write(me, &line);
}

static void read_list(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  hf_list_options options = {.reverse = 1,
                             .limit = 1 + driver_below(me, DRIVER_LIST_MAX),
                             .all_records = driver_below(me, 2) == 0};
  history_call(me, &line, "list");
  history_number(&line, "limit", options.limit);
  history_signed(&line, "all", options.all_records);
  history_write(me, &line);
  int status = hf_list(me->store, &options, &cursor, &error);
  answer_rows(me, status, cursor, &error);
}

static void read_history(driver *me) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  driver_key key;
  driver_key_make("hot", driver_below(me, me->options.keys), &key);
  hf_key of = driver_key_of(&key);
  history_call(me, &line, "history");
  history_key(&line, &key, NULL);
  history_write(me, &line);
  int status = hf_history(me->store, &of, &cursor, &error);
  answer_rows(me, status, cursor, &error);
}

void driver_read_something(driver *me) {
  driver_key key;
  int status = HF_OK;
  switch (driver_below(me, 7)) {
  case 0:
    read_head(me);
    break;
  case 1:
    read_seq(me);
    break;
  case 2:
    read_prev_seq(me);
    break;
  case 3:
    read_prev(me);
    break;
  case 4:
    read_list(me);
    break;
  case 5:
    read_history(me);
    break;
  default:
    driver_key_make(driver_below(me, 3) == 0 ? "same" : "hot", driver_below(me, me->options.keys),
                    &key);
    (void)driver_current_seq(me, &key, &status);
    break;
  }
}
