/* hf_watch: its interface. What happens to a store meanwhile: tests/fault/watch.c. */
#include <check.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/watch.h>

#include "scratch.h"

static scratch here;
static hf_store *store;
static hf_watch *watch;

static void begin(void) {
  scratch_begin(&here);
  scratch_init(&here, "flock");
  store = scratch_open(&here);
}

static void end(void) {
  hf_watch_end(&watch);
  hf_close(&store);
  scratch_end(&here);
}

static void begin_watch(hf_list_options which) {
  hf_watch_options options = {.which = which};
  hf_error error = HF_ERROR_INIT;
  ck_assert_msg(hf_watch_begin(store, &options, &watch, &error) == HF_OK, "%s", error.message);
}

static uint64_t next_seq(int64_t timeout_ms) {
  hf_record *record = NULL;
  int got = hf_watch_next(watch, timeout_ms, &record, NULL);
  ck_assert_int_ge(got, 0);
  uint64_t seq = got == 1 ? record->seq : 0;
  hf_record_free(&record);
  return seq;
}

START_TEST(from_now_on) {
  (void)scratch_must_save(store, "before", "S", "{}");
  ck_assert_int_eq(hf_watch_begin(store, NULL, &watch, NULL), HF_OK);
  ck_assert_uint_eq(hf_watch_position(watch), 1);
  ck_assert_uint_eq(next_seq(0), 0);
  (void)scratch_must_save(store, "after", "S", "{}");
  ck_assert_uint_eq(next_seq(0), 2); /* no wait: the kernel has told */
  ck_assert_uint_eq(next_seq(0), 0);
  ck_assert_uint_eq(hf_watch_position(watch), 2);
}
END_TEST

START_TEST(from_a_seq_on_and_filtered) {
  for (int i = 0; i < 3; i++) {
    char doc[16] = "{\"n\":0}";
    doc[5] = (char)('0' + i);
    (void)scratch_must_save(store, "run", i == 1 ? "other" : "S", doc);
  }
  begin_watch((hf_list_options){.since = 1, .stage = "S", .with_documents = 1});
  hf_record *record = NULL;
  ck_assert_int_eq(hf_watch_next(watch, 0, &record, NULL), 1);
  ck_assert_str_eq(record->doc, "{\"n\":0}");
  ck_assert_int_eq(record->is_current, 0); /* every revision is given */
  hf_record_free(&record);
  ck_assert_uint_eq(next_seq(0), 3);
  (void)scratch_must_save(store, "run", "other", "{}");
  ck_assert_uint_eq(next_seq(0), 0);
  ck_assert_uint_eq(hf_watch_position(watch), 4); /* it is not wanted */
}
END_TEST

START_TEST(beyond_the_head) {
  begin_watch((hf_list_options){.since = 3});
  for (uint64_t i = 1; i <= 3; i++)
    (void)scratch_must_save(store, i == 1 ? "a" : i == 2 ? "b" : "c", "S", "{}");
  ck_assert_uint_eq(next_seq(1000), 3);
}
END_TEST

START_TEST(its_descriptor_tells) {
  begin_watch((hf_list_options){0});
  ck_assert_uint_eq(next_seq(0), 0);
  struct pollfd fd = {.fd = hf_watch_fd(watch), .events = POLLIN};
  ck_assert_int_eq(poll(&fd, 1, 0), 0);
  (void)scratch_must_save(store, "r", "S", "{}");
  ck_assert_int_eq(poll(&fd, 1, 1000), 1);
  ck_assert_uint_eq(next_seq(0), 1);
  ck_assert_uint_eq(next_seq(0), 0);
  ck_assert_int_eq(poll(&fd, 1, 0), 0);
}
END_TEST

START_TEST(it_needs_nothing_of_the_handle) {
  begin_watch((hf_list_options){0});
  hf_close(&store);
  store = scratch_open(&here);
  (void)scratch_must_save(store, "r", "S", "{}");
  ck_assert_uint_eq(next_seq(1000), 1);
}
END_TEST

START_TEST(several_on_one_store) {
  hf_watch *second = NULL;
  hf_record *record = NULL;
  begin_watch((hf_list_options){0});
  ck_assert_int_eq(hf_watch_begin(store, NULL, &second, NULL), HF_OK);
  (void)scratch_must_save(store, "r", "S", "{}");
  ck_assert_uint_eq(next_seq(1000), 1);
  ck_assert_int_eq(hf_watch_next(second, 1000, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, 1);
  hf_record_free(&record);
  hf_watch_end(&second);
  ck_assert_ptr_null(second);
  hf_watch_end(&second);
  hf_watch_end(NULL);
}
END_TEST

static void refuses(hf_watch_options options, const char *says) {
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_watch_begin(store, &options, &watch, &error), HF_EINVAL);
  ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
  ck_assert_ptr_null(watch);
}

START_TEST(wrong_options) {
  char long_run[HF_RUN_ID_BYTES_MAX + 2];
  hf_error error = HF_ERROR_INIT;
  memset(long_run, 'r', sizeof long_run - 1);
  long_run[sizeof long_run - 1] = '\0';
  refuses((hf_watch_options){.which = {.until = 3}}, "until");
  refuses((hf_watch_options){.which = {.limit = 3}}, "limit");
  refuses((hf_watch_options){.which = {.reverse = 1}}, "reverse");
  refuses((hf_watch_options){.look_ms = HF_WATCH_LOOK_MS_MIN - 1}, "look_ms");
  refuses((hf_watch_options){.look_ms = -1}, "look_ms");
  hf_watch_options options = {.which = {.run_id = long_run}};
  ck_assert_int_eq(hf_watch_begin(store, &options, &watch, &error), HF_ELIMIT); /* at once */
  ck_assert_ptr_null(watch);
}
END_TEST

START_TEST(a_child_is_refused) {
  begin_watch((hf_list_options){0});
  pid_t pid = fork();
  if (pid == 0) {
    hf_record *record = NULL;
    int got = hf_watch_next(watch, 0, &record, NULL);
    hf_watch_end(&watch);
    _exit(got == HF_EFORKED ? 0 : 1);
  }
  int status = 1;
  ck_assert_int_eq(waitpid(pid, &status, 0), pid);
  ck_assert_int_eq(status, 0);
  (void)scratch_must_save(store, "r", "S", "{}");
  ck_assert_uint_eq(next_seq(1000), 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("watch");
  TCase *tests = tcase_create("watch");
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_test(tests, from_now_on);
  tcase_add_test(tests, from_a_seq_on_and_filtered);
  tcase_add_test(tests, beyond_the_head);
  tcase_add_test(tests, its_descriptor_tells);
  tcase_add_test(tests, it_needs_nothing_of_the_handle);
  tcase_add_test(tests, several_on_one_store);
  tcase_add_test(tests, wrong_options);
  tcase_add_test(tests, a_child_is_refused);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
