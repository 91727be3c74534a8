/* Indexes are made where they are missing, by pack: it tells how far it is, and can be stopped. */
#include <check.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/admin.h>

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

int main(void) {
  Suite *suite = suite_create("index_anew");
  for (int i = 0; i < 2; i++) {
    TCase *tests = tcase_create(i == 0 ? "local" : "shared");
    tcase_add_checked_fixture(tests, i == 0 ? begin_local : begin_shared, end);
    tcase_set_timeout(tests, pace_count(120, 600));
    tcase_add_test(tests, pack_is_stopped_while_it_indexes);
    suite_add_tcase(suite, tests);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
