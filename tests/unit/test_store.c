/* The store through its public functions: what is saved, found, refused, and when. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/holdfast.h>

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

START_TEST(test_seqs_are_dense_and_documents_come_back) {
  ck_assert_uint_eq(head_of(store), 0);
  for (uint64_t i = 1; i <= 300; i++) {
    char run[32], doc[64];
    (void)snprintf(run, sizeof run, "run %d", (int)i);
    (void)snprintf(doc, sizeof doc, "{\"n\": %d}", (int)i);
    ck_assert_uint_eq(scratch_must_save(store, run, "S", doc), i);
  }
  ck_assert_uint_eq(head_of(store), 300);
  hf_store *other = scratch_open(&here);
  for (uint64_t i = 1; i <= 300; i++) {
    char doc[64];
    hf_record *record = NULL;
    ck_assert_int_eq(hf_get_seq(other, i, &record, NULL), 1);
    (void)snprintf(doc, sizeof doc, "{\"n\":%d}", (int)i);
    ck_assert_str_eq(record->doc, doc);
    ck_assert_uint_eq(record->seq, i);
    ck_assert_str_eq(record->op, "save");
    ck_assert_int_eq(record->is_current, 1);
    hf_record_free(&record);
    ck_assert_ptr_null(record);
  }
  hf_record *none = NULL;
  ck_assert_int_eq(hf_get_seq(other, 301, &none, NULL), 0);
  ck_assert_int_eq(hf_get_seq(other, 0, &none, NULL), 0);
  hf_close(&other);
}
END_TEST

START_TEST(test_two_handles_see_each_other) {
  hf_store *other = scratch_open(&here);
  for (int i = 0; i < 50; i++) {
    char run[32];
    (void)snprintf(run, sizeof run, "a%d", i);
    uint64_t seq = scratch_must_save(store, run, "S", "{}");
    ck_assert_uint_eq(head_of(other), seq);
    (void)snprintf(run, sizeof run, "b%d", i);
    ck_assert_uint_eq(scratch_must_save(other, run, "S", "{}"), seq + 1);
    ck_assert_uint_eq(head_of(store), seq + 1);
  }
  hf_close(&other);
}
END_TEST

START_TEST(test_documents_are_verbatim) {
  static const char *const docs[] = {
      "{\"a\":9007199254740993,\"b\":1e400,\"c\":-0.0,\"d\":0.10,\"e\":1E+2}",
      "{\"z\":1,\"a\":2,\"z\":3}",
      "{\"s\":\"\\u0000\\ud800\\/\\u00e9\xc3\xa9\"}",
      "{\"\":[[],{},[null,true,false]]}",
  };
  for (size_t i = 0; i < sizeof docs / sizeof docs[0]; i++) {
    hf_record *record = NULL;
    uint64_t seq = scratch_must_save(store, "r", "S", docs[i]);
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    ck_assert_str_eq(record->doc, docs[i]);
    ck_assert_uint_eq(record->doc_bytes, strlen(docs[i]));
    hf_record_free(&record);
  }
}
END_TEST

START_TEST(test_the_same_again_makes_nothing_new) {
  hf_saved saved, again;
  ck_assert_int_eq(scratch_save(store, "r", "S", "{\"a\":1}", &saved, NULL), HF_OK);
  ck_assert_int_eq(saved.created, 1);
  ck_assert_int_eq(scratch_save(store, "r", "S", " { \"a\" : 1 } ", &again, NULL), HF_OK);
  ck_assert_int_eq(again.created, 0);
  ck_assert_uint_eq(again.seq, saved.seq);
  ck_assert_str_eq(again.id, saved.id);
  ck_assert_str_eq(again.sha256, saved.sha256);
  /* another document, then the first one again: it is not the current one, so it is a revision */
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{\"a\":2}"), 2);
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{\"a\":1}"), 3);
  /* the same document in another group is a revision, too */
  hf_save_request request = {
      .key = {.run_id = "r", .stage = "S"}, .group = "g", .doc = "{\"a\":1}", .doc_bytes = 7};
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, NULL), HF_OK);
  ck_assert_uint_eq(saved.seq, 4);
}
END_TEST

START_TEST(test_conditions) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved = {0};
  hf_save_request request = {.key = {.run_id = "r", .stage = "S"},
                             .doc = "{\"a\":1}",
                             .doc_bytes = 7,
                             .condition = HF_IF_SEQ,
                             .if_seq = 3};
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, &error), HF_ECONFLICT);
  request.if_seq = 0; /* no revision yet */
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, &error), HF_OK);
  ck_assert_uint_eq(saved.seq, 1);
  request.condition = HF_IF_ABSENT; /* the same again: asked before the condition */
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, &error), HF_OK);
  ck_assert_int_eq(saved.created, 0);
  request.doc = "{\"a\":2}";
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, &error), HF_ECONFLICT);
  ck_assert_ptr_nonnull(strstr(error.message, "seq 1"));
  request.condition = HF_IF_SEQ;
  request.if_seq = 1;
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, &error), HF_OK);
  ck_assert_uint_eq(saved.seq, 2);
  request.doc = "{\"a\":3}";
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, &error), HF_ECONFLICT);
  ck_assert_uint_eq(head_of(store), 2);
}
END_TEST

START_TEST(test_an_id_is_saved_once) {
  char id[HF_ID_CHARS + 1];
  hf_saved saved = {0};
  ck_assert_int_eq(hf_make_id(id, NULL), HF_OK);
  hf_save_request request = {
      .key = {.run_id = "r", .stage = "S"}, .doc = "{\"a\":1}", .doc_bytes = 7, .id = id};
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, NULL), HF_OK);
  ck_assert_int_eq(saved.created, 1);
  ck_assert_str_eq(saved.id, id);
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{\"a\":2}"), 2);
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, NULL), HF_OK);
  ck_assert_int_eq(saved.created, 0);
  ck_assert_uint_eq(saved.seq, 1);
  uint64_t seq = 0;
  ck_assert_int_eq(hf_resolve(store, id, -1, &seq, NULL), 1);
  ck_assert_uint_eq(seq, 1);
  request.id = "not an id";
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, NULL), HF_EINVAL);
}
END_TEST

START_TEST(test_what_was_resolved_as_not_saved_never_is) {
  char id[HF_ID_CHARS + 1];
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  ck_assert_int_eq(hf_make_id(id, NULL), HF_OK);
  ck_assert_int_eq(hf_resolve(store, id, -1, &seq, NULL), 0);
  ck_assert_uint_eq(head_of(store), 1); /* the record that ends it */
  ck_assert_int_eq(hf_resolve(store, id, -1, &seq, NULL), 0);
  ck_assert_uint_eq(head_of(store), 1); /* once is enough */
  hf_save_request request = {
      .key = {.run_id = "r", .stage = "S"}, .doc = "{}", .doc_bytes = 2, .id = id};
  ck_assert_int_eq(hf_save(store, &request, -1, NULL, &error), HF_EENDED);
  ck_assert_str_eq(error.id, id);
  ck_assert_uint_eq(head_of(store), 1);
}
END_TEST

static uint64_t prev_of(uint64_t seq) {
  hf_record *record = NULL;
  int got = hf_prev_seq(store, seq, &record, NULL);
  ck_assert_int_ge(got, 0);
  uint64_t found = got == 1 ? record->seq : 0;
  hf_record_free(&record);
  return found;
}

START_TEST(test_prev_is_comparable_and_of_another_run) {
  char doc[128];
  const char *runs[] = {"r1", "r1", "r2", "r3", "r2"};
  for (int i = 0; i < 5; i++) { /* seqs 1 to 5, one group */
    (void)snprintf(doc, sizeof doc, "{\"comparison_group\":{\"x\":1,\"y\":2.0},\"m\":%d}", i);
    ck_assert_uint_eq(scratch_must_save(store, runs[i], "S", doc), (uint64_t)i + 1);
  }
  /* equal values in another order and spelling: the same group */
  ck_assert_uint_eq(
      scratch_must_save(store, "r4", "S", "{\"comparison_group\":{\"y\":2,\"x\":1e0}}"), 6);
  ck_assert_uint_eq(scratch_must_save(store, "r5", "T", "{\"comparison_group\":{\"y\":2,\"x\":1}}"),
                    7);
  ck_assert_uint_eq(scratch_must_save(store, "r6", "S", "{\"comparison_group\":{\"y\":3,\"x\":1}}"),
                    8);
  ck_assert_uint_eq(scratch_must_save(store, "r7", "S", "{}"), 9);
  ck_assert_uint_eq(prev_of(1), 0);
  ck_assert_uint_eq(prev_of(2), 0); /* its own run does not count */
  ck_assert_uint_eq(prev_of(3), 2); /* every revision counts */
  ck_assert_uint_eq(prev_of(4), 3);
  ck_assert_uint_eq(prev_of(5), 4);
  ck_assert_uint_eq(prev_of(6), 5);
  ck_assert_uint_eq(prev_of(7), 0); /* another stage */
  ck_assert_uint_eq(prev_of(8), 0); /* another group */
  ck_assert_uint_eq(prev_of(9), 0); /* no group */
  hf_record *record = NULL;
  ck_assert_int_eq(hf_prev_seq(store, 10, &record, NULL), HF_ENOTFOUND);
  hf_key key = {.run_id = "r2", .stage = "S"};
  ck_assert_int_eq(hf_prev(store, &key, NULL, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, 4);
  hf_record_free(&record);
  key.run_id = "not saved yet";
  ck_assert_int_eq(hf_prev(store, &key, NULL, &record, NULL), HF_ENOTFOUND);
  ck_assert_int_eq(hf_get_seq(store, 6, &record, NULL), 1);
  char group[HF_GROUP_BYTES_MAX + 1];
  (void)snprintf(group, sizeof group, "%s", record->group);
  hf_record_free(&record);
  ck_assert_int_eq(hf_prev(store, &key, group, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, 6);
  hf_record_free(&record);
}
END_TEST

START_TEST(test_get_as_of_and_history) {
  hf_record *record = NULL;
  hf_key key = {.run_id = "r", .stage = "S"};
  for (int i = 1; i <= 4; i++) {
    char doc[32];
    (void)snprintf(doc, sizeof doc, "{\"n\":%d}", i);
    (void)scratch_must_save(store, "r", "S", doc);
    (void)scratch_must_save(store, "other", "S", doc);
  }
  ck_assert_int_eq(hf_get(store, &key, 0, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, 7);
  hf_record_free(&record);
  ck_assert_int_eq(hf_get(store, &key, 4, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, 3);
  ck_assert_int_eq(record->is_current, 1); /* as of 4 */
  hf_record_free(&record);
  hf_cursor *cursor = NULL;
  ck_assert_int_eq(hf_history(store, &key, &cursor, NULL), HF_OK);
  for (uint64_t seq = 1; seq <= 7; seq += 2) {
    ck_assert_int_eq(hf_cursor_next(cursor, &record, NULL), 1);
    ck_assert_uint_eq(record->seq, seq);
    ck_assert_int_eq(record->is_current, seq == 7);
    hf_record_free(&record);
  }
  ck_assert_int_eq(hf_cursor_next(cursor, &record, NULL), 0);
  hf_cursor_close(&cursor);
}
END_TEST

/* The seqs that a walk gives, as text. */
static const char *walk(const hf_list_options *options) {
  static char text[256];
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  text[0] = '\0';
  ck_assert_int_eq(hf_list(store, options, &cursor, NULL), HF_OK);
  while (hf_cursor_next(cursor, &record, NULL) == 1) {
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, "%d ", (int)record->seq);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  return text;
}

START_TEST(test_list_filters) {
  hf_dim both[] = {{"view", "x"}, {"target", "t"}};
  hf_save_request request = {.key = {.run_id = "r1", .stage = "S", .dims = both, .dims_count = 2},
                             .group = "g",
                             .doc = "{}",
                             .doc_bytes = 2};
  ck_assert_int_eq(hf_save(store, &request, -1, NULL, NULL), HF_OK); /* 1 */
  (void)scratch_must_save(store, "r1", "S", "{}");                   /* 2: another key: no dims */
  (void)scratch_must_save(store, "r2", "T", "{}");                   /* 3 */
  uint64_t seq = 0;
  ck_assert_int_eq(hf_resolve(store, "01ARZ3NDEKTSV4RRFFQ69G5FAV", -1, &seq, NULL), 0); /* 4 */
  (void)scratch_must_save(store, "r2", "T", "{\"a\":1}"); /* 5: a revision of 3 */
  ck_assert_str_eq(walk(NULL), "1 2 5 ");
  ck_assert_str_eq(walk(&(hf_list_options){.all_revisions = 1}), "1 2 3 5 ");
  ck_assert_str_eq(walk(&(hf_list_options){.all_records = 1}), "1 2 3 4 5 ");
  ck_assert_str_eq(walk(&(hf_list_options){.until = 4}), "1 2 3 ");
  ck_assert_str_eq(walk(&(hf_list_options){.since = 2, .reverse = 1}), "5 2 ");
  ck_assert_str_eq(walk(&(hf_list_options){.limit = 1}), "1 ");
  ck_assert_str_eq(walk(&(hf_list_options){.run_id = "r1"}), "1 2 ");
  ck_assert_str_eq(walk(&(hf_list_options){.stage = "T"}), "5 ");
  ck_assert_str_eq(walk(&(hf_list_options){.group = "g"}), "1 ");
  ck_assert_str_eq(walk(&(hf_list_options){.dims = both + 1, .dims_count = 1}), "1 ");
  hf_dim wrong = {"target", "u"};
  ck_assert_str_eq(walk(&(hf_list_options){.dims = &wrong, .dims_count = 1}), "");
}
END_TEST

enum { THREADS = 8, SAVES_EACH = 60 };

static void *save_many(void *context) {
  int me = *(int *)context;
  for (int i = 0; i < SAVES_EACH; i++) {
    char run[32];
    (void)snprintf(run, sizeof run, "t%d %d", me, i);
    (void)scratch_must_save(store, run, "S", "{}");
  }
  return NULL;
}

START_TEST(test_threads_share_a_handle) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, save_many, &numbers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  ck_assert_uint_eq(head_of(store), THREADS * SAVES_EACH);
  for (int i = 0; i < THREADS; i++) /* each thread's saves in its own order */
    for (uint64_t n = 0, last = 0; n < SAVES_EACH; n++) {
      char run[32];
      (void)snprintf(run, sizeof run, "t%d %d", i, (int)n);
      hf_record *record = NULL;
      ck_assert_int_eq(hf_get(store, &(hf_key){.run_id = run, .stage = "S"}, 0, &record, NULL), 1);
      ck_assert_uint_gt(record->seq, last);
      last = record->seq;
      hf_record_free(&record);
    }
}
END_TEST

START_TEST(test_a_child_gets_an_error) {
  (void)scratch_must_save(store, "r", "S", "{}");
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    uint64_t head = 0;
    hf_error error = HF_ERROR_INIT;
    int wrong = scratch_save(store, "r", "S", "{\"a\":1}", NULL, &error) != HF_EFORKED;
    wrong |= hf_head(store, &head, &error) != HF_EFORKED;
    hf_close(&store);
    store = scratch_open(&here); /* one of its own */
    wrong |= scratch_must_save(store, "child", "S", "{}") != 2;
    _exit(wrong);
  }
  int status = 1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{\"a\":1}"), 3);
}
END_TEST

START_TEST(test_stores_are_told_apart) {
  hf_info info;
  hf_error error = HF_ERROR_INIT;
  hf_store *other = NULL;
  ck_assert_int_eq(hf_store_info(store, &info, NULL), HF_OK);
  ck_assert_uint_eq(strlen(info.uuid), HF_UUID_CHARS);
  ck_assert_str_eq(info.locker, "flock");
  hf_open_options options = {.expected_uuid = "00000000-0000-4000-8000-000000000000"};
  ck_assert_int_eq(hf_open(here.store, &options, &other, &error), HF_EWRONGSTORE);
  options.expected_uuid = info.uuid;
  ck_assert_int_eq(hf_open(here.store, &options, &other, &error), HF_OK);
  hf_close(&other);
  ck_assert_int_eq(hf_init(here.store, NULL, NULL, &error), HF_EEXIST);
  ck_assert_int_eq(hf_open(here.folder, NULL, &other, &error), HF_ENOTSTORE);
  ck_assert_int_eq(hf_init(here.folder, NULL, NULL, &error), HF_EINVAL); /* not empty */
  char *found = NULL;
  ck_assert_int_eq(hf_find_store(scratch_path(&here, "log"), &found, NULL), 1);
  ck_assert_str_eq(found, info.path);
  free(found);
}
END_TEST

START_TEST(test_a_manifest_of_a_newer_format_is_refused) {
  static const char newer[] = "{\"format\":3,\"uuid\":\"x\",\"new\":true}";
  hf_error error = HF_ERROR_INIT;
  hf_store *other = NULL;
  scratch_write_file(scratch_path(&here, "holdfast.json"), newer, sizeof newer - 1);
  ck_assert_int_eq(hf_open(here.store, NULL, &other, &error), HF_EVERSION);
  scratch_write_file(scratch_path(&here, "holdfast.json"), "{\"format\":1", 11);
  ck_assert_int_eq(hf_open(here.store, NULL, &other, &error), HF_EDAMAGED);
}
END_TEST

START_TEST(test_an_unfinished_init_is_finished) {
  scratch_write_file(scratch_path(&here, "x"), "", 0);
  ck_assert_int_eq(remove(scratch_path(&here, "x")), 0);
  /* killed before the manifest */
  ck_assert_int_eq(remove(scratch_path(&here, "holdfast.json")), 0);
  ck_assert_int_eq(remove(scratch_path(&here, "index")), 0);
  scratch_init(&here, "none");
  hf_store *other = scratch_open(&here);
  ck_assert_uint_eq(scratch_must_save(other, "r", "S", "{}"), 1);
  hf_close(&other);
}
END_TEST

static void add_all(TCase *tests) {
  tcase_add_test(tests, test_seqs_are_dense_and_documents_come_back);
  tcase_add_test(tests, test_two_handles_see_each_other);
  tcase_add_test(tests, test_documents_are_verbatim);
  tcase_add_test(tests, test_the_same_again_makes_nothing_new);
  tcase_add_test(tests, test_conditions);
  tcase_add_test(tests, test_an_id_is_saved_once);
  tcase_add_test(tests, test_what_was_resolved_as_not_saved_never_is);
  tcase_add_test(tests, test_prev_is_comparable_and_of_another_run);
  tcase_add_test(tests, test_get_as_of_and_history);
  tcase_add_test(tests, test_list_filters);
  tcase_add_test(tests, test_threads_share_a_handle);
}

int main(void) {
  Suite *suite = suite_create("store");
  TCase *local = tcase_create("local filesystem");
  TCase *journal = tcase_create("journal mode");
  TCase *shared = tcase_create("as on a shared filesystem");
  TCase *handles = tcase_create("handles and manifests");
  tcase_add_checked_fixture(local, begin, end);
  tcase_add_checked_fixture(journal, begin_journal, end);
  tcase_add_checked_fixture(shared, begin_shared, end);
  tcase_add_checked_fixture(handles, begin, end);
  tcase_set_timeout(local, 60);
  tcase_set_timeout(journal, 60);
  tcase_set_timeout(shared, 60);
  add_all(local);
  add_all(journal);
  add_all(shared);
  tcase_add_test(handles, test_a_child_gets_an_error);
  tcase_add_test(handles, test_stores_are_told_apart);
  tcase_add_test(handles, test_a_manifest_of_a_newer_format_is_refused);
  tcase_add_test(handles, test_an_unfinished_init_is_finished);
  suite_add_tcase(suite, local);
  suite_add_tcase(suite, journal);
  suite_add_tcase(suite, shared);
  suite_add_tcase(suite, handles);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
