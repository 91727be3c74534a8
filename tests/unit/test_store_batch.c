/* Batches, and documents that are files of their own. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/holdfast.h>
#include <holdfast/stats.h>

#include "scratch.h"

static scratch here;
static hf_store *store;

static void begin_in(const char *mode) {
  scratch_begin(&here);
  scratch_init_in(&here, "flock", mode);
  store = scratch_open(&here);
}

static void begin(void) {
  begin_in("publish");
}

static void begin_journal(void) {
  begin_in("journal");
}

static void begin_shared(void) {
  begin();
  scratch_assume_shared(store);
}

static void end(void) {
  hf_close(&store);
  scratch_end(&here);
}

static uint64_t head_of(hf_store *of) {
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(of, &head, NULL), HF_OK);
  return head;
}

START_TEST(test_batches) {
  hf_saved results[600];
  hf_save_request requests[600];
  static char runs[600][32];
  memset(requests, 0, sizeof requests);
  for (int i = 0; i < 600; i++) {
    (void)snprintf(runs[i], sizeof runs[i], "run %d", i % 500); /* 100 keys come twice */
    requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
    requests[i].doc = i < 500 ? "{\"a\":1}" : "{\"a\":2}";
    requests[i].doc_bytes = 7;
  }
  requests[10].doc = "{bad}";
  requests[10].doc_bytes = 5;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_save_batch(store, requests, 600, -1, results, &error), HF_EDOC);
  for (int i = 0; i < 10; i++)
    ck_assert_int_eq(results[i].status, HF_OK);
  ck_assert_int_eq(results[10].status, HF_EDOC);
  for (int i = 11; i < 600; i++) /* what follows a bad one is not saved */
    ck_assert_int_eq(results[i].status, HF_ECANCELLED);
  ck_assert_uint_eq(head_of(store), 10);
  requests[10].doc = "{\"a\":1}";
  requests[10].doc_bytes = 7;
  ck_assert_int_eq(hf_save_batch(store, requests, 600, -1, results, &error), HF_OK);
  for (int i = 0; i < 600; i++) {
    ck_assert_int_eq(results[i].status, HF_OK);
    ck_assert_uint_eq(results[i].seq, (uint64_t)i + 1);
    ck_assert_int_eq(results[i].created, i >= 10);
  }
  ck_assert_uint_eq(head_of(store), 600);
  requests[150].doc = "{\"a\":3}";
  ck_assert_int_eq(hf_save_batch(store, requests + 150, 2, -1, results, &error), HF_OK);
  ck_assert_uint_eq(results[0].seq, 601);
  ck_assert_int_eq(results[1].created, 0); /* as it was */
}
END_TEST

/* An import goes on behind an ended id only after it has a new one: else the order would be lost.
 */
/* What is there already is answered without a flush, once the handle has seen that nothing is new.
 */
START_TEST(test_a_batch_of_what_is_there) {
  enum { COUNT = 3 * 256 };
  static hf_saved results[COUNT];
  static hf_save_request requests[COUNT];
  static char runs[COUNT][32];
  hf_error error = HF_ERROR_INIT;
  uint64_t flushes[4] = {0};
  memset(requests, 0, sizeof requests);
  for (int i = 0; i < COUNT; i++) {
    (void)snprintf(runs[i], sizeof runs[i], "run %d", i);
    requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
    requests[i].doc = "{\"a\":1}";
    requests[i].doc_bytes = 7;
  }
  for (int round = 0; round < 4; round++) {
    hf_handle_stats stats;
    ck_assert_int_eq(hf_save_batch(store, requests, COUNT, -1, results, &error), HF_OK);
    ck_assert_int_eq(results[COUNT - 1].created, round == 0);
    ck_assert_int_eq(hf_get_handle_stats(store, &stats, NULL), HF_OK);
    flushes[round] = stats.flushes;
  }
  ck_assert_uint_eq(head_of(store), COUNT);
  ck_assert_uint_gt(flushes[0], 0);
  ck_assert_uint_le(flushes[1], flushes[0] + 2); /* names of parts that it expected to need */
  ck_assert_uint_eq(flushes[2], flushes[1]);
  ck_assert_uint_eq(flushes[3], flushes[1]);
}
END_TEST

START_TEST(test_an_ended_id_stops_a_batch) {
  hf_saved results[3];
  hf_save_request requests[3];
  static const char *const ids[] = {"01ARZ3NDEKTSV4RRFFQ69G5FA1", "01ARZ3NDEKTSV4RRFFQ69G5FA2",
                                    "01ARZ3NDEKTSV4RRFFQ69G5FA3"};
  memset(requests, 0, sizeof requests);
  for (int i = 0; i < 3; i++) {
    requests[i].key = (hf_key){.run_id = ids[i], .stage = "S"};
    requests[i].doc = "{}";
    requests[i].doc_bytes = 2;
    requests[i].id = ids[i];
  }
  uint64_t seq = 0;
  ck_assert_int_eq(hf_resolve(store, ids[1], -1, &seq, NULL), 0); /* 1: it is ended */
  ck_assert_int_eq(hf_save_batch(store, requests, 3, -1, results, NULL), HF_EENDED);
  ck_assert_int_eq(results[0].status, HF_OK);
  ck_assert_int_eq(results[1].status, HF_EENDED);
  ck_assert_int_eq(results[2].status, HF_ECANCELLED);
  ck_assert_uint_eq(head_of(store), 2);
}
END_TEST

START_TEST(test_two_records_of_one_key_in_a_batch) {
  hf_saved results[3];
  hf_save_request requests[3];
  memset(requests, 0, sizeof requests);
  const char *docs[] = {"{\"a\":1}", "{\"a\":1}", "{\"a\":2}"};
  for (int i = 0; i < 3; i++) {
    requests[i].key = (hf_key){.run_id = "r", .stage = "S"};
    requests[i].doc = docs[i];
    requests[i].doc_bytes = 7;
  }
  ck_assert_int_eq(hf_save_batch(store, requests, 3, -1, results, NULL), HF_OK);
  ck_assert_uint_eq(results[0].seq, 1);
  ck_assert_uint_eq(results[1].seq, 1);
  ck_assert_int_eq(results[1].created, 0);
  ck_assert_uint_eq(results[2].seq, 2);
}
END_TEST

START_TEST(test_large_documents_are_blobs) {
  size_t bytes = 200000;
  char *doc = malloc(bytes + 1);
  ck_assert_ptr_nonnull(doc);
  memset(doc, 'x', bytes);
  memcpy(doc, "{\"a\":\"", 6);
  memcpy(doc + bytes - 2, "\"}", 3);
  uint64_t seq = scratch_must_save(store, "r", "S", doc);
  (void)scratch_must_save(store, "r2", "S", doc); /* one copy per content */
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
  ck_assert_uint_eq(record->doc_bytes, bytes);
  ck_assert_str_eq(record->doc, doc);
  ck_assert_uint_lt(record->line_bytes, 1000);
  char *text = NULL;
  size_t text_bytes = 0;
  ck_assert_int_eq(hf_record_json(record, &text, &text_bytes, NULL), HF_OK);
  ck_assert_uint_gt(text_bytes, bytes);
  ck_assert_ptr_null(strstr(text, "\"blob\""));
  const char *value = NULL;
  size_t value_bytes = 0;
  ck_assert_int_eq(hf_json_pointer(text, text_bytes, "/doc/a", &value, &value_bytes, NULL), 1);
  ck_assert_uint_eq(value_bytes, bytes - 6);
  free(text);
  hf_record_free(&record);
  free(doc);
}
END_TEST

static TCase *make_case(const char *name, void (*set_up)(void)) {
  TCase *tests = tcase_create(name);
  tcase_add_checked_fixture(tests, set_up, end);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, test_batches);
  tcase_add_test(tests, test_an_ended_id_stops_a_batch);
  tcase_add_test(tests, test_two_records_of_one_key_in_a_batch);
  tcase_add_test(tests, test_large_documents_are_blobs);
  return tests;
}

int main(void) {
  Suite *suite = suite_create("store batch");
  suite_add_tcase(suite, make_case("local filesystem", begin));
  TCase *journal = make_case("journal mode", begin_journal);
  tcase_add_test(journal, test_a_batch_of_what_is_there);
  suite_add_tcase(suite, journal);
  suite_add_tcase(suite, make_case("as on a shared filesystem", begin_shared));
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
