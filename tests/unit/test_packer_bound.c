/* Packing by itself keeps up with those who save one by one, as fast as they can, in both modes:
 * never more than a few tiles stand unpacked, and behind hf_close next to none. */
#include "packer_help.h"

enum {
  SAVED_TILES = 32, /* by one handle */
  HANDLES = 8,      /* one behind the other */
  HANDLE_TILES = 3,
  LAG_MAX = 16, /* while they save: more than it is made for, where a machine lets it wait */
  LEFT_MAX = 4, /* by those who have ended */
  LOOK_EACH = 16
};

static const char *const modes[] = {"journal", "publish"};

static void begin_in_mode(const char *mode) {
  warnings = notes = 0;
  scratch_begin(&here);
  scratch_init_in(&here, "flock", mode);
  store = open_packing(NULL);
}

/* The most tiles that stood unpacked meanwhile. */
static uint64_t save_many(uint64_t count) {
  uint64_t most = 0;
  for (uint64_t i = 0; i < count; i++) {
    uint64_t full = save_one(store) / T;
    if (i % LOOK_EACH != 0)
      continue;
    uint64_t packed = tiles();
    if (full > packed && full - packed > most)
      most = full - packed;
  }
  return most;
}

static uint64_t tiles_left(uint64_t *ret_head) {
  hf_store *after = scratch_open(&here);
  ck_assert_int_eq(hf_head(after, ret_head, NULL), HF_OK);
  hf_close(&after);
  return *ret_head / T - tiles();
}

START_TEST(one_who_saves_one_by_one) {
  uint64_t head = 0;
  begin_in_mode(modes[_i]);
  ck_assert_uint_le(save_many((uint64_t)SAVED_TILES * T + 9), LAG_MAX);
  hf_close(&store);
  ck_assert_uint_le(tiles_left(&head), LEFT_MAX);
  ck_assert_uint_ge(head, (uint64_t)SAVED_TILES * T + 9);
  check_sound(head);
  ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(handles_that_end_soon) {
  uint64_t head = 0;
  begin_in_mode(modes[_i]);
  for (int i = 0; i < HANDLES; i++) {
    ck_assert_uint_le(save_many((uint64_t)HANDLE_TILES * T + 3), LAG_MAX);
    hf_close(&store);
    ck_assert_uint_le(tiles_left(&head), LEFT_MAX);
    store = open_packing(NULL);
  }
  check_sound(head);
  ck_assert_int_eq(warnings, 0);
}
END_TEST

/* As processes do that save once: where many tiles stand unpacked, each packs one, and waits for no
 * more than that when it ends. */
START_TEST(handles_that_save_once_catch_up_one_by_one) {
  uint64_t head = 0;
  begin_in_mode(modes[_i]);
  fill_quietly((uint64_t)3 * HF_PACKER_BEHIND_TILES * T);
  hf_close(&store);
  for (uint64_t left = tiles_left(&head); left > 1; left = tiles_left(&head)) {
    store = open_packing(NULL);
    (void)save_one(store);
    uint64_t before = tiles(); /* its thread may have packed one by now, and be at another */
    hf_close(&store);
    ck_assert_uint_le(tiles(), before + 2);
    ck_assert_uint_lt(tiles_left(&head), left);
  }
  store = open_packing(NULL);
  check_sound(head);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("packer bound");
  TCase *tests = tcase_create("packer bound");
  int count = sizeof modes / sizeof *modes;
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, NULL, end);
  tcase_add_loop_test(tests, one_who_saves_one_by_one, 0, count);
  tcase_add_loop_test(tests, handles_that_end_soon, 0, count);
  tcase_add_loop_test(tests, handles_that_save_once_catch_up_one_by_one, 0, count);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
