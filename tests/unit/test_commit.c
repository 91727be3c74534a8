/* What the queue may put into one file: a save and the record that ends it are judged one after the
 * other. */
#include <check.h>
#include <string.h>

#include "commit.h"
#include "scratch.h"
#include "store.h"

static scratch here;
static hf_store *store;

static void begin(void) {
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = scratch_open(&here);
  (void)scratch_must_save(store, "first", "S", "{}"); /* opens the locker */
}

static void end(void) {
  hf_close(&store);
  scratch_end(&here);
}

/* Two threads of one handle: one saves under an id, one resolves it. Handed over together. */
static void together(int save_first) {
  char id[HF_ID_CHARS + 1];
  hf_attempt save;
  hf_attempt ender;
  hf_id target;
  ck_assert_int_eq(hf_make_id(id, NULL), HF_OK);
  ck_assert_int_eq(hf_id_parse(id, HF_ID_CHARS, &target), 0);
  hf_save_request request = {
      .key = {.run_id = "r", .stage = "S"}, .doc = "{\"a\":1}", .doc_bytes = 7, .id = id};
  hf_moment now = hf_moment_now(store, -1);
  ck_assert_int_eq(hf_attempt_from_request(store, &request, &now, &target, &save, NULL), HF_OK);
  ck_assert_int_eq(hf_attempt_to_end(store, &target, "resolved", -1, &ender, NULL), HF_OK);
  hf_attempt *attempts[] = {save_first ? &save : &ender, save_first ? &ender : &save};
  hf_commit(store, attempts, 2);
  if (save_first) { /* saved, and resolve finds it */
    ck_assert_int_eq(save.status, HF_OK);
    ck_assert_int_eq(ender.status, HF_OK);
    ck_assert_int_eq(ender.saved.created, 0);
    ck_assert_uint_eq(ender.saved.seq, save.saved.seq);
  } else { /* resolve says never, and it never is */
    ck_assert_int_eq(ender.status, HF_OK);
    ck_assert_int_eq(ender.saved.created, 1);
    ck_assert_int_eq(save.status, HF_EENDED);
  }
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
  ck_assert_uint_eq(head, 2); /* one record more, of the one or of the other */
  hf_attempt_free(&save);
  hf_attempt_free(&ender);
}

START_TEST(test_resolve_behind_the_save) {
  together(1);
}
END_TEST

START_TEST(test_the_save_behind_resolve) {
  together(0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("commit");
  TCase *tests = tcase_create("commit");
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_test(tests, test_resolve_behind_the_save);
  tcase_add_test(tests, test_the_save_behind_resolve);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
