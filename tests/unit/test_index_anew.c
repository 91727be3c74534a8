/* Indexes are made where they are missing or wrong: by pack, which tells how far it is and can be
 * stopped, and by verify --repair. */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "file.h"
#include "index_format.h"
#include "index_help.h"
#include "pace.h"

enum { TILES = 19, HEAD = TILES * T + 5 }; /* a merge, and a few behind it */

typedef struct telling {
  unsigned calls; /* about indexes */
  unsigned stop_at;
  uint64_t done, total;
} telling;

static int tell(void *context, const char *what, uint64_t done, uint64_t total) {
  telling *told = context;
  if (strcmp(what, "tiles indexed") != 0)
    return 0;
  ck_assert_uint_le(done, total);
  ck_assert_uint_ge(done, told->done);
  told->done = done;
  told->total = total;
  return ++told->calls == told->stop_at;
}

static void forget(void) {
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_index_forget(store->index_fd, &error), HF_OK);
}

static uint64_t marked(void) {
  uint64_t tiles = 0;
  ck_assert_int_eq(hf_index_mark_length(store, &tiles, NULL), HF_OK);
  return tiles;
}

/* Stopped at each time that it asks, it has told of nothing that is not there, and goes on. */
START_TEST(pack_is_stopped_while_it_indexes) {
  unsigned calls = 0;
  save_up_to(store, HEAD);
  pack(store);
  for (unsigned at = 1;; at++) {
    telling told = {.stop_at = at};
    hf_pack_options options = {.progress = tell, .progress_context = &told};
    hf_pack_report report;
    hf_error error = HF_ERROR_INIT;
    forget();
    int status = hf_pack(store, &options, &report, &error);
    ck_assert_uint_eq(report.indexed, marked());
    ck_assert_uint_eq(told.total, TILES);
    if (told.calls < at || told.done == TILES) {
      ck_assert_int_eq(status, HF_OK);
      ck_assert_uint_eq(told.done, TILES);
      calls = told.calls;
      break;
    }
    ck_assert_int_eq(status, HF_ECANCELLED);
    ck_assert_ptr_nonnull(strstr(error.message, "indexed"));
    if (at % 5 == 0)
      check_same(HEAD, report.indexed);
    pack(store);
    ck_assert_uint_eq(marked(), TILES);
  }
  ck_assert_uint_ge(calls, TILES); /* one for each tile */
  check_same(HEAD, TILES);
}
END_TEST

/* ---- verify --repair ---- */

static hf_verify_report verify(int repair, telling *told, int wanted) {
  hf_verify_report report;
  hf_error error = HF_ERROR_INIT;
  hf_verify_options options = {.repair = repair, .timeout_ms = -1};
  if (told != NULL) {
    options.progress = tell;
    options.progress_context = told;
  }
  int status = hf_verify(here.store, &options, &report, &error);
  ck_assert_msg(status == wanted, "%s: %s", error.place, error.message);
  return report;
}

static void spoil(const char *name, off_t at) {
  int fd = openat(store->index_fd, name, O_RDWR);
  char byte = 0;
  ck_assert_int_eq((int)pread(fd, &byte, 1, at), 1);
  byte = (char)~byte;
  ck_assert_int_eq((int)pwrite(fd, &byte, 1, at), 1);
  ck_assert_int_eq(close(fd), 0);
}

/* Stopped at each time that it asks, a repair has told what it removed; the next one goes on. */
START_TEST(a_repair_is_stopped_while_it_indexes) {
  save_up_to(store, HEAD);
  pack(store);
  for (unsigned at = 1;; at += 4) {
    telling told = {.stop_at = at};
    spoil("1/0.idx", HF_INDEX_HEADER_BYTES + 300);
    ck_assert_uint_eq(verify(0, NULL, HF_OK).damaged, 1);
    hf_verify_options options = {.repair = 1, .timeout_ms = -1, .progress = tell};
    hf_verify_report report;
    options.progress_context = &told;
    int status = hf_verify(here.store, &options, &report, NULL);
    ck_assert_uint_eq(report.damaged, 1);
    ck_assert_uint_eq(report.repaired, 1);
    if (status == HF_OK)
      break;
    ck_assert_int_eq(status, HF_ECANCELLED);
    uint64_t missing = TILES - marked();
    report = verify(0, NULL, HF_OK);
    ck_assert_uint_eq(report.damaged, 0);
    ck_assert_uint_eq(report.remarks, missing > 0);
    report = verify(1, NULL, HF_OK);
    ck_assert_uint_eq(report.damaged, 0);
    ck_assert_uint_eq(report.remarks, missing > 0);
    ck_assert_uint_eq(marked(), TILES);
    ck_assert_uint_eq(verify(0, NULL, HF_OK).remarks, 0);
  }
  check_same(HEAD, TILES);
}
END_TEST

/* A tile that nobody can mend: those before it have indexes, and the repair ends well. */
START_TEST(a_tile_that_gets_none_is_told_of) {
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(2, name);
  save_up_to(store, 4 * T);
  pack(store);
  forget();
  verify(1, NULL, HF_OK);
  ck_assert_uint_eq(marked(), 4);
  forget();
  int fd = openat(store->tile_fd, name, O_RDWR);
  ck_assert_int_eq((int)pwrite(fd, "\0", 1, 100), 1);
  ck_assert_int_eq(close(fd), 0);
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_pack(store, NULL, NULL, &error), HF_EDAMAGED);
  ck_assert_uint_eq(marked(), 2);
  hf_verify_report report = verify(1, NULL, HF_OK); /* the record is lost; its tile is whole */
  ck_assert_uint_eq(report.damaged, report.repaired);
  ck_assert_uint_eq(marked(), 4);
  ck_assert_uint_eq(verify(0, NULL, HF_OK).damaged, 0);
}
END_TEST

/* What is damaged in a file that is merged does not go on in one whose CRC is right. */
START_TEST(damage_is_not_merged) {
  hf_buf before = {0};
  save_up_to(store, 15 * T);
  pack(store);
  spoil("0/3.idx", HF_INDEX_HEADER_BYTES + HF_INDEX_TILE_BYTES + 40);
  save_up_to(store, HEAD);
  pack(store);
  ck_assert_uint_eq(marked(), TILES);
  ck_assert_int_eq(hf_file_read(store->index_fd, "1/0.idx", 1 << 26, &before, NULL), 1);
  ck_assert_uint_eq(verify(0, NULL, HF_OK).damaged, 0);
  check_same(HEAD, TILES);
  forget();
  pack(store);
  hf_buf after = {0};
  ck_assert_int_eq(hf_file_read(store->index_fd, "1/0.idx", 1 << 26, &after, NULL), 1);
  ck_assert_uint_eq(before.used, after.used);
  ck_assert_int_eq(memcmp(before.data, after.data, after.used), 0);
  hf_buf_free(&before);
  hf_buf_free(&after);
}
END_TEST

/* Others save and pack all the while, and indexes are spoiled and repaired again and again. */
START_TEST(a_repair_among_writers) {
  enum { ROUNDS = 6 };
  save_up_to(store, 3 * T);
  pack(store);
  pid_t writer = fork();
  ck_assert_int_ge(writer, 0);
  if (writer == 0) {
    hf_store *own = open_one(1);
    for (uint64_t tiles = 4; tiles < 25; tiles++) {
      save_up_to(own, tiles * T);
      (void)hf_pack(own, NULL, NULL, NULL); /* it may hear that the indexes were forgotten */
    }
    hf_close(&own);
    _exit(0);
  }
  for (int i = 0; i < ROUNDS; i++) {
    static const char *const names[] = {"0/0.idx", "1/0.idx"};
    for (int j = 0; j < 2; j++) {
      hf_sys_file is;
      if (hf_sys_identify(store->index_fd, names[j], &is) == 0)
        spoil(names[j], HF_INDEX_HEADER_BYTES + 300);
    }
    verify(1, NULL, HF_OK);
    ck_assert_uint_eq(verify(0, NULL, HF_OK).damaged, 0);
  }
  int status = -1;
  ck_assert_int_eq(waitpid(writer, &status, 0), writer);
  ck_assert_int_eq(status, 0);
  verify(1, NULL, HF_OK);
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
  ck_assert_uint_eq(head, 24 * T);
  ck_assert_uint_eq(verify(0, NULL, HF_OK).remarks, 0);
  check_same(head, marked());
}
END_TEST

int main(void) {
  Suite *suite = suite_create("index_anew");
  for (int i = 0; i < 2; i++) {
    TCase *tests = tcase_create(i == 0 ? "local" : "shared");
    tcase_add_checked_fixture(tests, i == 0 ? begin_local : begin_shared, end);
    tcase_set_timeout(tests, pace_count(120, 600));
    tcase_add_test(tests, pack_is_stopped_while_it_indexes);
    tcase_add_test(tests, a_repair_is_stopped_while_it_indexes);
    tcase_add_test(tests, a_tile_that_gets_none_is_told_of);
    tcase_add_test(tests, damage_is_not_merged);
    tcase_add_test(tests, a_repair_among_writers);
    suite_add_tcase(suite, tests);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
