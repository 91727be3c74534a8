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

#include "index_help.h"
#include "pace.h"

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
    ck_assert_int_eq(hf_tile_pack(store, tile, 1, NULL, NULL, &error), 1);
    ck_assert_int_eq(hf_index_build(store, 0, NULL, NULL, &error), HF_OK);
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
  ck_assert_uint_eq(report.remarks, 0);
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
    tcase_add_test(tests, a_builder_finds_what_another_left);
    suite_add_tcase(suite, tests);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
