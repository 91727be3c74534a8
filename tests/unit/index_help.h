/* What the tests of indexes share: a store, and its answers with indexes and without. */
#ifndef HF_TESTS_INDEX_HELP_H
#define HF_TESTS_INDEX_HELP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/admin.h>

#include "index.h"
#include "scratch.h"
#include "store.h"
#include "sys.h"

enum { T = HF_TILE_RECORDS, RUNS = 97, GROUPS = 7, BATCH = 256 };

static scratch here;
static hf_store *store;
static int shared;

static inline hf_store *open_one(int with_indexes) {
  hf_store *opened = scratch_open(&here);
  if (shared)
    scratch_assume_shared(opened);
  if (!with_indexes)
    hf_fd_cleanup(&opened->index_fd);
  return opened;
}

static inline void begin_local(void) {
  shared = 0;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_one(1);
}

static inline void begin_shared(void) {
  shared = 1;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_one(1);
}

static inline void end(void) {
  hf_sys = &hf_sys_real;
  hf_close(&store);
  scratch_end(&here);
}

/* Record i of a history in which keys come again and groups are many. */
static inline void save_up_to(hf_store *into, uint64_t head) {
  static char docs[BATCH][64];
  static char runs[BATCH][16];
  static char groups[BATCH][16];
  static hf_save_request requests[BATCH];
  static hf_saved saved[BATCH];
  uint64_t seq = 0;
  ck_assert_int_eq(hf_head(into, &seq, NULL), HF_OK);
  while (seq < head) {
    size_t count = head - seq < BATCH ? (size_t)(head - seq) : BATCH;
    for (size_t i = 0; i < count; i++) {
      unsigned number = (unsigned)(seq + i + 1);
      (void)snprintf(docs[i], sizeof docs[i], "{\"n\":%u}", number);
      /* distinct keys within a batch, so that it is few files */
      (void)snprintf(runs[i], sizeof runs[i], "r%u", number % RUNS + RUNS * (unsigned)(i / RUNS));
      (void)snprintf(groups[i], sizeof groups[i], "g%u", number % GROUPS);
      memset(&requests[i], 0, sizeof requests[i]);
      requests[i].key.run_id = runs[i];
      requests[i].key.stage = number % 3 == 0 ? "eval" : "train";
      requests[i].group = number % 5 == 0 ? NULL : groups[i];
      requests[i].doc = docs[i];
      requests[i].doc_bytes = strlen(docs[i]);
    }
    hf_error error = HF_ERROR_INIT;
    int status = hf_save_batch(into, requests, count, -1, saved, &error);
    if (status != HF_OK)
      ck_abort_msg("%s: %s", error.place, error.message);
    ck_assert_int_eq(hf_head(into, &seq, NULL), HF_OK);
  }
}

static inline void pack(hf_store *of) {
  hf_error error = HF_ERROR_INIT;
  if (hf_pack(of, NULL, NULL, &error) != HF_OK)
    ck_abort_msg("%s: %s", error.place, error.message);
}

static inline void add_list(hf_store *of, const hf_list_options *options, hf_buf *text) {
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  int got = 0;
  ck_assert_int_eq(hf_list(of, options, &cursor, NULL), HF_OK);
  while ((got = hf_cursor_next(cursor, &record, NULL)) == 1) {
    (void)hf_buf_printf(text, "%d%c ", (int)record->seq, record->is_current ? '*' : '.');
    hf_record_free(&record);
  }
  ck_assert_int_eq(got, 0);
  (void)hf_buf_add_char(text, '\n');
  hf_cursor_close(&cursor);
}

static inline void add_record(hf_buf *text, int got, hf_record **found) {
  ck_assert_int_ge(got, 0);
  (void)hf_buf_printf(text, "%d:%d%c ", got, got == 1 ? (int)(*found)->seq : 0,
                      got == 1 && (*found)->is_current ? '*' : '.');
  if (got == 1)
    hf_record_free(found);
}

/* All that a reader can ask, as one text. */
static inline void ask(hf_store *of, uint64_t head, hf_buf *text) {
  hf_list_options all = {.all_records = 1};
  hf_list_options current = {0};
  add_list(of, &all, text);
  add_list(of, &current, text);
  for (int reverse = 0; reverse < 2; reverse++)
    for (int i = 0; i <= GROUPS; i++) {
      char group[16];
      (void)snprintf(group, sizeof group, "g%d", i);
      hf_list_options one = {.group = group, .reverse = reverse, .all_revisions = 1};
      add_list(of, &one, text);
      one.all_revisions = 0;
      one.limit = 5;
      one.since = head / 3;
      one.until = head - head / 4;
      add_list(of, &one, text);
    }
  for (unsigned run = 0; run < 3 * RUNS; run += 11) {
    char name[16];
    (void)snprintf(name, sizeof name, "r%u", run);
    for (int stage = 0; stage < 2; stage++) {
      hf_key key = {.run_id = name, .stage = stage != 0 ? "eval" : "train"};
      hf_record *record = NULL;
      hf_cursor *cursor = NULL;
      add_record(text, hf_get(of, &key, 0, &record, NULL), &record);
      add_record(text, hf_get(of, &key, head / 2, &record, NULL), &record);
      ck_assert_int_eq(hf_history(of, &key, &cursor, NULL), HF_OK);
      while (hf_cursor_next(cursor, &record, NULL) == 1)
        add_record(text, 1, &record);
      hf_cursor_close(&cursor);
      int got = hf_prev(of, &key, "g2", &record, NULL);
      add_record(text, got, &record);
    }
  }
  for (uint64_t seq = 1; seq <= head; seq += 1 + head / 200) {
    hf_record *record = NULL;
    add_record(text, hf_prev_seq(of, seq, &record, NULL), &record);
  }
}

static inline void check_same(uint64_t head, uint64_t indexed_tiles) {
  hf_buf with = {0};
  hf_buf without = {0};
  hf_store *indexed = open_one(1);
  hf_store *plain = open_one(0);
  ask(indexed, head, &with);
  ask(plain, head, &without);
  ck_assert_str_eq(with.data, without.data);
  ck_assert_uint_eq(indexed->view.base, indexed_tiles * T);
  ck_assert_uint_eq(plain->view.base, 0);
  hf_close(&indexed);
  hf_close(&plain);
  hf_buf_free(&with);
  hf_buf_free(&without);
}

#endif
