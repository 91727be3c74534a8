/* Indexes: a handle that uses them answers as one that reads every record. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "index.h"
#include "index_format.h"
#include "pace.h"
#include "scratch.h"
#include "store.h"
#include "sys.h"

enum { T = HF_TILE_RECORDS, RUNS = 97, GROUPS = 7, BATCH = 256 };

static scratch here;
static hf_store *store;
static int shared;

static hf_store *open_one(int with_indexes) {
  hf_store *opened = scratch_open(&here);
  if (shared)
    scratch_assume_shared(opened);
  if (!with_indexes)
    hf_fd_cleanup(&opened->index_fd);
  return opened;
}

static void begin_local(void) {
  shared = 0;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_one(1);
}

static void begin_shared(void) {
  shared = 1;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_one(1);
}

static void end(void) {
  hf_sys = &hf_sys_real;
  hf_close(&store);
  scratch_end(&here);
}

/* Record i of a history in which keys come again and groups are many. */
static void save_up_to(hf_store *into, uint64_t head) {
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

static void pack(hf_store *of) {
  hf_error error = HF_ERROR_INIT;
  if (hf_pack(of, NULL, NULL, &error) != HF_OK)
    ck_abort_msg("%s: %s", error.place, error.message);
}

static void add_list(hf_store *of, const hf_list_options *options, hf_buf *text) {
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

static void add_record(hf_buf *text, int got, hf_record **found) {
  ck_assert_int_ge(got, 0);
  (void)hf_buf_printf(text, "%d:%d%c ", got, got == 1 ? (int)(*found)->seq : 0,
                      got == 1 && (*found)->is_current ? '*' : '.');
  if (got == 1)
    hf_record_free(found);
}

/* All that a reader can ask, as one text. */
static void ask(hf_store *of, uint64_t head, hf_buf *text) {
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

static void check_same(uint64_t head, uint64_t indexed_tiles) {
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

START_TEST(answers_as_without_one) {
  /* ends of a tile, of a merge, of two merges, and a rest in memory */
  static const unsigned tiles[] = {1, 3, 16, 17, 33};
  check_same(0, 0);
  for (size_t i = 0; i < sizeof tiles / sizeof tiles[0]; i++) {
    uint64_t head = (uint64_t)tiles[i] * T + (i % 2) * 77 % T;
    save_up_to(store, head);
    pack(store);
    check_same(head, tiles[i]);
    /* the handle that has saved all that has let it go, too */
    ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
    ck_assert_uint_eq(store->view.base, (uint64_t)tiles[i] * T);
  }
}
END_TEST

static int is_there(unsigned level, uint64_t number) {
  char name[HF_INDEX_NAME_BYTES];
  struct stat st;
  hf_index_name(level, number, name);
  return fstatat(store->index_fd, name, &st, 0) == 0;
}

/* A handle that saves faster than its records are packed keeps them, and lets them go at once. */
START_TEST(rows_are_not_moved_again_and_again) {
  save_up_to(store, 20 * T);
  for (uint64_t tile = 0; tile < 3; tile++) {
    hf_error error = HF_ERROR_INIT;
    ck_assert_int_eq(hf_tile_pack(store, tile, 1, NULL, &error), 1);
    ck_assert_int_eq(hf_index_build(store, 0, NULL, &error), HF_OK);
    save_up_to(store, (21 + tile) * T);
    ck_assert_uint_eq(store->view.base, 0);
  }
  pack(store);
  save_up_to(store, 23 * T + 1);
  ck_assert_uint_eq(store->view.base, 23 * T);
}
END_TEST

START_TEST(levels_merge_and_old_files_go) {
  save_up_to(store, 256 * T + 3 * T);
  pack(store);
  ck_assert(is_there(2, 0));
  ck_assert(is_there(1, 0));
  ck_assert(!is_there(0, 0));
  ck_assert(!is_there(0, 255));
  ck_assert(is_there(0, 256));
  hf_store *fresh = open_one(1);
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(fresh, &head, NULL), HF_OK);
  ck_assert_uint_eq(head, 259 * T);
  ck_assert_uint_eq(fresh->view.index->count, 4); /* 1 of level 2, 3 of level 0 */
  hf_close(&fresh);
  hf_record *record = NULL;
  hf_key key = {.run_id = "r5", .stage = "train"};
  ck_assert_int_eq(hf_get(store, &key, 0, &record, NULL), 1);
  hf_record_free(&record);
}
END_TEST

/* What a save is judged by: the same document, a condition, an id, an end. */
START_TEST(saves_are_judged_by_it) {
  save_up_to(store, 2 * T);
  char id[HF_ID_CHARS + 1];
  char ended[HF_ID_CHARS + 1];
  hf_saved first = {0};
  hf_saved again = {0};
  uint64_t seq = 0;
  ck_assert_int_eq(hf_make_id(id, NULL), HF_OK);
  ck_assert_int_eq(hf_make_id(ended, NULL), HF_OK);
  hf_save_request request = {
      .key = {.run_id = "mine", .stage = "s"}, .doc = "{\"a\":1}", .doc_bytes = 7, .id = id};
  ck_assert_int_eq(hf_save(store, &request, -1, &first, NULL), HF_OK);
  ck_assert_int_eq(hf_resolve(store, ended, -1, &seq, NULL), 0);
  save_up_to(store, 5 * T);
  pack(store);
  hf_store *fresh = open_one(1);
  /* the id stands in the log */
  ck_assert_int_eq(hf_save(fresh, &request, -1, &again, NULL), HF_OK);
  ck_assert_uint_eq(again.seq, first.seq);
  ck_assert_uint_eq(fresh->view.base, 5 * T);
  ck_assert_int_eq(hf_resolve(fresh, id, -1, &seq, NULL), 1);
  ck_assert_uint_eq(seq, first.seq);
  /* the same document, without its id */
  request.id = NULL;
  ck_assert_int_eq(hf_save(fresh, &request, -1, &again, NULL), HF_OK);
  ck_assert_uint_eq(again.seq, first.seq);
  ck_assert_int_eq(again.created, 0);
  /* another one, if absent */
  request.doc = "{\"a\":2}";
  request.condition = HF_IF_ABSENT;
  ck_assert_int_eq(hf_save(fresh, &request, -1, &again, NULL), HF_ECONFLICT);
  ck_assert_uint_eq(again.seq, first.seq);
  request.condition = HF_IF_SEQ;
  request.if_seq = first.seq;
  ck_assert_int_eq(hf_save(fresh, &request, -1, &again, NULL), HF_OK);
  ck_assert_uint_eq(again.seq, 5 * T + 1);
  /* the attempt that was ended */
  request.condition = HF_ALWAYS;
  request.id = ended;
  ck_assert_int_eq(hf_save(fresh, &request, -1, &again, NULL), HF_EENDED);
  hf_close(&fresh);
}
END_TEST

START_TEST(the_locker_is_told_by_it) {
  save_up_to(store, T);
  uint64_t seq = 0;
  hf_error error = HF_ERROR_INIT;
  int status = hf_set_locker(store, "flock", NULL, &seq, &error);
  if (status < 0)
    ck_abort_msg("%s", error.message);
  save_up_to(store, 3 * T);
  pack(store);
  hf_store *fresh = open_one(1);
  hf_info info;
  ck_assert_int_eq(hf_store_info(fresh, &info, NULL), HF_OK);
  ck_assert_str_eq(info.locker, "flock");
  ck_assert_uint_eq(fresh->view.base, 3 * T);
  hf_close(&fresh);
}
END_TEST

/* An index that is gone, cut short or overwritten is not used, and harms nothing. */
static void spoil(const char *name, int how) {
  struct stat st;
  int fd = openat(store->index_fd, name, O_RDWR);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(fstat(fd, &st), 0);
  if (how == 0)
    ck_assert_int_eq(unlinkat(store->index_fd, name, 0), 0);
  else if (how == 1)
    ck_assert_int_eq(ftruncate(fd, st.st_size - 1), 0);
  else
    ck_assert_int_eq((int)pwrite(fd, "x", 1, 20), 1);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(a_spoiled_one_is_not_used) {
  save_up_to(store, 18 * T + 5);
  pack(store);
  spoil("0/17.idx", _i);
  check_same(18 * T + 5, 17);
  spoil("1/0.idx", _i);
  check_same(18 * T + 5, 0);
  hf_verify_report report;
  hf_verify_options options = {0};
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_gt(report.damaged, 0);
  options.repair = 1;
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  options.repair = 0;
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 0);
  check_same(18 * T + 5, 0);
  hf_store *fresh = open_one(1);
  pack(fresh);
  hf_close(&fresh);
  check_same(18 * T + 5, 18);
}
END_TEST

/* A bit of a row or table: found by verify. */
START_TEST(verify_finds_a_flipped_bit) {
  save_up_to(store, 2 * T);
  pack(store);
  hf_verify_report report;
  hf_verify_options options = {0};
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 0);
  int fd = openat(store->index_fd, "0/1.idx", O_RDWR);
  ck_assert_int_eq((int)pwrite(fd, "\xff", 1, HF_INDEX_HEADER_BYTES + 300), 1);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 1);
}
END_TEST

static hf_index *open_file(const char *name) {
  hf_index *index = NULL;
  unsigned level = (unsigned)(name[0] - '0');
  ck_assert_int_eq(hf_index_open(store, level, strtoull(name + 2, NULL, 10), &index, NULL), 1);
  return index;
}

static void overwrite(const char *name, uint64_t at, const void *bytes, size_t count) {
  int fd = openat(store->index_fd, name, O_RDWR);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq((int)pwrite(fd, bytes, count, (off_t)at), (int)count);
  ck_assert_int_eq(close(fd), 0);
}

/* As a program wrote it that knew of no filters. */
static void make_older(const char *name) {
  char header[HF_INDEX_HEADER_BYTES];
  hf_index *index = open_file(name);
  uint64_t end = index->filters_at[0];
  size_t count = (size_t)(end - sizeof header);
  char *body = malloc(count);
  ck_assert_ptr_nonnull(body);
  ck_assert_int_eq(hf_index_read(index, sizeof header, body, count, NULL), HF_OK);
  index->header.body_crc = hf_crc32c(0, body, count);
  memset(index->header.filter_blocks, 0, sizeof index->header.filter_blocks);
  hf_index_header_put(&index->header, header);
  hf_index_close(index);
  free(body);
  overwrite(name, 0, header, sizeof header);
  int fd = openat(store->index_fd, name, O_RDWR);
  ck_assert_int_eq(ftruncate(fd, (off_t)end), 0);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(older_files_have_no_filter) {
  save_up_to(store, 15 * T);
  pack(store);
  for (int i = 0; i < 15; i += 2) {
    char name[HF_INDEX_NAME_BYTES];
    hf_index_name(0, (uint64_t)i, name);
    make_older(name);
    hf_index *index = open_file(name);
    ck_assert_int_eq(hf_index_may_have(index, HF_INDEX_BY_KEY, 1), 1);
    hf_index_close(index);
  }
  check_same(15 * T, 15);
  hf_verify_report report;
  hf_verify_options options = {0};
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 0);
  save_up_to(store, 18 * T); /* a merge of both sorts */
  pack(store);
  hf_index *merged = open_file("1/0.idx");
  ck_assert_uint_gt(merged->header.filter_blocks[0], 0);
  ck_assert_int_eq(hf_index_check_body(merged, NULL), HF_OK);
  hf_index_close(merged);
  check_same(18 * T, 18);
}
END_TEST

/* What is there is never denied; what is not there is, nearly always. */
START_TEST(a_filter_denies_what_is_not_there) {
  save_up_to(store, 16 * T);
  pack(store);
  hf_index *index = open_file("1/0.idx");
  for (int t = 0; t < HF_INDEX_TABLES; t++)
    for (uint64_t i = 0; i < index->header.entries[t]; i++) {
      hf_index_key key;
      ck_assert_int_eq(hf_index_entry(index, (hf_index_table)t, i, &key, NULL), HF_OK);
      ck_assert_int_eq(hf_index_may_have(index, (hf_index_table)t, key.hash), 1);
    }
  unsigned may[2] = {0, 0};
  for (uint64_t i = 1; i <= 10000; i++) {
    uint64_t hash = hf_hash64(77, &i, sizeof i);
    may[0] += (unsigned)hf_index_may_have(index, HF_INDEX_BY_KEY, hash);
    may[1] += (unsigned)hf_index_may_have(index, HF_INDEX_BY_ID, hash);
  }
  ck_assert_uint_le(may[0], 100);
  ck_assert_uint_le(may[1], 100);
  hf_index_close(index);
}
END_TEST

/* A filter with altered bytes hides no record: all zeros, one bit of each block, blocks that
 * changed places. */
START_TEST(an_altered_filter_hides_nothing) {
  save_up_to(store, 16 * T);
  pack(store);
  static const char name[] = "1/0.idx";
  hf_index *index = open_file(name);
  uint64_t from = index->filters_at[0];
  size_t bytes = (size_t)(index->bytes - from);
  ck_assert_uint_gt(bytes, 3 * HF_INDEX_BLOCK_BYTES);
  char *filter = calloc(1, bytes);
  ck_assert_ptr_nonnull(filter);
  if (_i > 0)
    ck_assert_int_eq(hf_index_read(index, from, filter, bytes, NULL), HF_OK);
  hf_index_close(index);
  for (size_t at = 0; at < bytes && _i == 1; at += HF_INDEX_BLOCK_BYTES) {
    size_t byte = 0;
    while (byte < HF_INDEX_BLOCK_BITS / 8 && filter[at + byte] == 0)
      byte++;
    if (byte < HF_INDEX_BLOCK_BITS / 8) /* one that is set becomes clear */
      filter[at + byte] = (char)(filter[at + byte] & (filter[at + byte] - 1));
  }
  if (_i == 2) {
    char first[HF_INDEX_BLOCK_BYTES];
    memcpy(first, filter, sizeof first);
    memmove(filter, filter + sizeof first, bytes - sizeof first);
    memcpy(filter + bytes - sizeof first, first, sizeof first);
  }
  overwrite(name, from, filter, bytes);
  free(filter);
  check_same(16 * T, 16);
  index = open_file(name);
  for (uint64_t i = 0; i < index->header.entries[HF_INDEX_BY_ID]; i++) {
    hf_index_key key;
    ck_assert_int_eq(hf_index_entry(index, HF_INDEX_BY_ID, i, &key, NULL), HF_OK);
    ck_assert_int_eq(hf_index_may_have(index, HF_INDEX_BY_ID, key.hash), 1);
  }
  hf_index_close(index);
  hf_verify_report report;
  hf_verify_options options = {0};
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 1);
}
END_TEST

/* Two builders, and one that died before it told of its file. */
START_TEST(a_builder_finds_what_another_left) {
  save_up_to(store, 20 * T);
  pack(store);
  ck_assert_int_eq(ftruncate(openat(store->index_fd, "mark", O_RDWR), 7), 0);
  pack(store);
  check_same(20 * T, 20);
  ck_assert_int_eq(unlinkat(store->index_fd, "mark", 0), 0);
  pack(store);
  check_same(20 * T, 20);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("index");
  for (int i = 0; i < 2; i++) {
    TCase *tests = tcase_create(i == 0 ? "local" : "shared");
    tcase_add_checked_fixture(tests, i == 0 ? begin_local : begin_shared, end);
    tcase_set_timeout(tests, pace_count(120, 600));
    tcase_add_test(tests, answers_as_without_one);
    tcase_add_test(tests, rows_are_not_moved_again_and_again);
    if (i == 0) /* 66,304 records */
      tcase_add_test(tests, levels_merge_and_old_files_go);
    tcase_add_test(tests, saves_are_judged_by_it);
    tcase_add_test(tests, the_locker_is_told_by_it);
    tcase_add_loop_test(tests, a_spoiled_one_is_not_used, 0, 3);
    tcase_add_test(tests, verify_finds_a_flipped_bit);
    tcase_add_test(tests, older_files_have_no_filter);
    tcase_add_test(tests, a_filter_denies_what_is_not_there);
    tcase_add_loop_test(tests, an_altered_filter_hides_nothing, 0, 3);
    tcase_add_test(tests, a_builder_finds_what_another_left);
    suite_add_tcase(suite, tests);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
