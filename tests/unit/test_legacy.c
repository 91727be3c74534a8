/* Import: the six folders of tests/data/legacy against their expected.json. */
#include "legacy_help.h"

static char folder[HELP_PATH_BYTES];

static void setup(void) {
  help_folder(folder);
}

static void teardown(void) {
  help_remove_all(folder);
}

typedef struct expectation {
  const char *name;
  uint64_t files, read, doubles, imported, clock_ordered, nan_to_null;
  int warnings;
} expectation;

static const expectation folders[] = {
    {"1-run-id-keys", 1, 24, 0, 24, 24, 0, 1},
    {"2-run-id-stage-keys", 1, 48, 0, 48, 0, 0, 0},
    {"3-mixed", 1, 60, 0, 60, 12, 0, 1},
    {"4-an-index-a-run", 6, 25, 0, 25, 25, 0, 1},
    {"5-odd", 1, 4, 1, 3, 0, 3, 1},
};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

/* expected.json as help_show writes identities: [run, stage] or [run, stage, target, view, symbol,
 * attempt], where a symbol of null and an attempt of 0 are no dims. */
static void show_expected(const char *name, hf_buf *out) {
  static const char *const dims[] = {"target", "view", "symbol", "attempt"};
  static const size_t sorted[] = {3, 2, 0, 1};
  char path[HELP_PATH_BYTES];
  hf_autobuf text = {0};
  (void)help_data(path, name);
  help_read(help_below(path, "expected.json"), &text);
  ck_assert_int_eq(hf_json_check(text.data, text.used, 0, 64, NULL, NULL, NULL), HF_OK);
  hf_json root = hf_json_value(text.data, text.used);
  hf_json row;
  hf_json value;
  size_t at = 0;
  while (hf_json_next(&root, &at, NULL, &row) == 1) {
    hf_json part[6];
    size_t count = 0;
    size_t inside = 0;
    while (hf_json_next(&row, &inside, NULL, &value) == 1)
      part[count++] = value;
    ck_assert(count == 2 || count == 6);
    (void)hf_json_decode_string(&part[0], out);
    (void)hf_buf_add_char(out, '|');
    (void)hf_json_decode_string(&part[1], out);
    for (size_t i = 0; count == 6 && i < 4; i++) {
      const hf_json *dim = &part[2 + sorted[i]];
      if (dim->type == HF_JSON_NULL || (dim->bytes == 1 && dim->text[0] == '0'))
        continue;
      (void)hf_buf_printf(out, "|%s=", dims[sorted[i]]);
      if (dim->type == HF_JSON_STRING)
        (void)hf_json_decode_string(dim, out);
      else
        (void)hf_buf_add(out, dim->text, dim->bytes);
    }
    (void)hf_buf_add_char(out, '\n');
  }
}

START_TEST(order_is_the_expected_one) {
  const expectation *want = &folders[_i];
  char path[HELP_PATH_BYTES];
  const char *paths[] = {help_data(path, want->name)};
  help_logged logged = {0, ""};
  hf_autobuf expected = {0};
  hf_store *store = help_store(folder, "store");
  hf_import_report report = help_import_paths(store, paths, 1, &logged);
  show_expected(want->name, &expected);
  hf_autofree char *shown = help_show(store, HELP_IDENTITY, NULL);
  ck_assert_str_eq(shown, expected.data);
  ck_assert_uint_eq(report.files, want->files);
  ck_assert_uint_eq(report.read, want->read);
  ck_assert_uint_eq(report.doubles, want->doubles);
  ck_assert_uint_eq(report.imported, want->imported);
  ck_assert_uint_eq(report.present, 0);
  ck_assert_uint_eq(report.clock_ordered, want->clock_ordered);
  ck_assert_uint_eq(report.nan_to_null, want->nan_to_null);
  ck_assert_int_eq(logged.count, want->warnings);
  hf_close(&store);
}
END_TEST

START_TEST(twice_doubles_nothing) {
  const expectation *want = &folders[_i];
  char path[HELP_PATH_BYTES];
  hf_store *store = help_store(folder, "store");
  (void)help_import(store, help_data(path, want->name));
  uint64_t head = help_head(store);
  hf_import_report again = help_import(store, path);
  ck_assert_uint_eq(again.imported, 0);
  ck_assert_uint_eq(again.present, want->imported);
  ck_assert_uint_eq(again.doubles, want->doubles);
  ck_assert_uint_eq(again.clock_ordered, want->clock_ordered);
  ck_assert_uint_eq(help_head(store), head);
  hf_close(&store);
}
END_TEST

START_TEST(dry_run_saves_nothing) {
  const expectation *want = &folders[_i];
  char path[HELP_PATH_BYTES];
  const char *paths[] = {help_data(path, want->name)};
  hf_import_options options = {0};
  hf_import_report report;
  hf_store *store = help_store(folder, "store");
  options.dry_run = 1;
  ck_assert_int_eq(hf_import(store, paths, 1, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.imported, want->imported);
  ck_assert_uint_eq(report.present, 0);
  ck_assert_uint_eq(help_head(store), 0);
  (void)help_import(store, path);
  ck_assert_int_eq(hf_import(store, paths, 1, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.imported, 0);
  ck_assert_uint_eq(report.present, want->imported);
  ck_assert_uint_eq(help_head(store), want->imported);
  hf_close(&store);
}
END_TEST

/* The entry of a run and stage in an index, without white space, NaN turned to null. */
static void find_document(const hf_json *root, const hf_record *record, hf_buf *out) {
  hf_json name;
  hf_json entry;
  hf_json run_id;
  hf_json stage;
  size_t at = 0;
  while (hf_json_next(root, &at, &name, &entry) == 1) {
    ck_assert_int_eq(hf_json_member(&entry, "run_id", &run_id), 1);
    ck_assert_int_eq(hf_json_member(&entry, "stage", &stage), 1);
    if (!hf_json_string_equals(&run_id, record->run_id, strlen(record->run_id)) ||
        !hf_json_string_equals(&stage, record->stage, strlen(record->stage)))
      continue;
    (void)hf_buf_add(out, entry.text, entry.bytes);
    return;
  }
  ck_abort_msg("%s is not in the index", record->run_id);
}

/* Byte by byte what the file holds. The texts of folders 1, 2, 3 and 5. */
START_TEST(documents_are_verbatim) {
  static const char *const names[] = {"1-run-id-keys", "2-run-id-stage-keys", "3-mixed", "5-odd"};
  char path[HELP_PATH_BYTES];
  hf_autobuf raw = {0};
  hf_autobuf compact = {0};
  hf_list_options options = {0};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  hf_store *store = help_store(folder, "store");
  (void)help_import(store, help_data(path, names[_i]));
  help_read(help_below(path, "snapshot_index.json"), &raw);
  ck_assert_int_eq(hf_json_check(raw.data, raw.used, HF_JSON_NAN_TO_NULL, 64, &compact, NULL, NULL),
                   HF_OK);
  hf_json root = hf_json_value(compact.data, compact.used);
  options.with_documents = 1;
  ck_assert_int_eq(hf_list(store, &options, &cursor, NULL), HF_OK);
  size_t big = 0;
  while (hf_cursor_next(cursor, &record, NULL) == 1) {
    hf_autobuf want = {0};
    hf_json value;
    find_document(&root, record, &want);
    ck_assert_str_eq(record->doc, want.data);
    hf_json doc = hf_json_value(record->doc, record->doc_bytes);
    ck_assert_int_eq(hf_json_find(&doc, "/inputs/row_id_max", &value, NULL), 1);
    ck_assert_uint_eq(value.bytes, strlen("9007199254741000"));
    big += memcmp(value.text, "90071992547", 11) == 0;
    hf_record_free(&record);
  }
  ck_assert_uint_eq(big, help_head(store));
  ck_assert_uint_gt(big, 0);
  hf_cursor_close(&cursor);
  hf_close(&store);
}
END_TEST

START_TEST(folder_5_is_odd) {
  char path[HELP_PATH_BYTES];
  hf_record *record = NULL;
  hf_store *store = help_store(folder, "store");
  (void)help_import(store, help_data(path, "5-odd"));
  ck_assert_int_eq(hf_get_seq(store, 1, &record, NULL), 1);
  ck_assert_ptr_nonnull(strstr(record->doc, "\"auc\":null,\"logloss\""));
  ck_assert_ptr_nonnull(strstr(record->doc, "\"lift\":null,\"drop\":null}"));
  ck_assert_str_eq(record->ts, "2025-12-01T08:17:00.592177");
  ck_assert_ptr_nonnull(record->group);
  hf_record_free(&record);
  ck_assert_int_eq(hf_get_seq(store, 2, &record, NULL), 1);
  ck_assert_ptr_null(record->ts);
  ck_assert_ptr_null(record->group);
  ck_assert_uint_eq(record->legacy_seq, 2);
  ck_assert_int_eq(record->legacy_clock, 0);
  hf_record_free(&record);
  ck_assert_int_eq(hf_prev_seq(store, 2, &record, NULL), 0);
  ck_assert_int_eq(hf_prev_seq(store, 3, &record, NULL), 1);
  ck_assert_str_eq(record->run_id, "a");
  hf_record_free(&record);
  hf_close(&store);
}
END_TEST

START_TEST(envelope_says_where_the_order_came_from) {
  char path[HELP_PATH_BYTES];
  hf_record *record = NULL;
  hf_store *store = help_store(folder, "store");
  (void)help_import(store, help_data(path, "3-mixed"));
  for (uint64_t seq = 1; seq <= 60; seq++) {
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    ck_assert_uint_eq(record->legacy_seq, seq <= 12 ? 0 : seq - 12);
    ck_assert_int_eq(record->legacy_clock, seq <= 12);
    hf_record_free(&record);
  }
  hf_close(&store);
}
END_TEST

/* With a good index before and after it: nothing of any is imported. */
START_TEST(cut_short_is_refused_with_its_place) {
  static const char *const names[] = {"2-run-id-stage-keys", "6-cut-short", "5-odd"};
  char path[3][HELP_PATH_BYTES];
  const char *paths[3];
  hf_store *store = help_store(folder, "store");
  for (size_t i = 0; i < 3; i++)
    paths[i] = help_data(path[i], names[i]);
  hf_error error = help_import_fails(store, paths, 3, HF_EDOC);
  ck_assert_msg(strstr(error.place, "6-cut-short/snapshot_index.json: line 2050, column ") != NULL,
                "%s", error.place);
  error = help_import_fails(store, paths + 1, 1, HF_EDOC);
  ck_assert_msg(strstr(error.place, "snapshot_index.json: line 2050, column 27") != NULL, "%s",
                error.place);
  (void)help_data(path[0], ".");
  (void)help_import_fails(store, paths, 1, HF_EDOC);
  hf_close(&store);
}
END_TEST

/* Several paths at once; what stands in two of them is one snapshot. */
START_TEST(paths_together_are_one_order) {
  static const char *const names[] = {"1-run-id-keys", "2-run-id-stage-keys", "3-mixed"};
  char path[3][HELP_PATH_BYTES];
  const char *paths[3];
  hf_store *store = help_store(folder, "store");
  for (size_t i = 0; i < 3; i++)
    paths[i] = help_data(path[i], names[i]);
  hf_import_report report = help_import_paths(store, paths, 3, NULL);
  ck_assert_uint_eq(report.read, 132);
  ck_assert_uint_eq(report.doubles, 60);
  ck_assert_uint_eq(report.imported, 72);
  ck_assert_uint_eq(report.clock_ordered, 72);
  /* the clock never goes back but where a file's own seq says so */
  hf_autofree char *shown = help_show(store, HELP_IDENTITY, NULL);
  const char *first = strstr(shown, "run_0000|");
  const char *last = strstr(shown, "run_0023|");
  ck_assert(first != NULL && last != NULL && first < last);
  for (size_t i = 0; i < 3; i++)
    ck_assert_uint_eq(help_import(store, paths[i]).imported, 0);
  hf_close(&store);
}
END_TEST

/* A revision that a user saved after the import stays the current one. */
START_TEST(later_revisions_are_not_doubled) {
  static const char doc[] = "{\"mine\":1}";
  char path[HELP_PATH_BYTES];
  hf_save_request request = {0};
  hf_record *record = NULL;
  hf_store *store = help_store(folder, "store");
  (void)help_import(store, help_data(path, "5-odd"));
  request.key = (hf_key){"a", "TRAINING", NULL, 0};
  request.doc = doc;
  request.doc_bytes = strlen(doc);
  ck_assert_uint_eq(help_save(store, &request), 4);
  hf_import_report report = help_import(store, path);
  ck_assert_uint_eq(report.present, 3);
  ck_assert_uint_eq(help_head(store), 4);
  ck_assert_int_eq(hf_get(store, &request.key, 0, &record, NULL), 1);
  ck_assert_str_eq(record->doc, doc);
  hf_record_free(&record);
  hf_close(&store);
}
END_TEST

/* A user saved the very documents before: they are the same snapshots. A store with many other
 * records is asked by the keys' histories, a small one by a walk; both ways find them. */
START_TEST(documents_saved_by_hand_are_present) {
  char path[HELP_PATH_BYTES];
  hf_store *from = help_store(folder, "from");
  hf_store *into = help_store(folder, "into");
  hf_record *record = NULL;
  (void)help_import(from, help_data(path, "5-odd"));
  for (int i = 0; i < (_i == 0 ? 0 : 200); i++) {
    char run_id[32];
    hf_save_request filler = {0};
    (void)snprintf(run_id, sizeof run_id, "filler%d", i);
    filler.key = (hf_key){run_id, "S", NULL, 0};
    filler.doc = "{}";
    filler.doc_bytes = 2;
    (void)help_save(into, &filler);
  }
  for (uint64_t seq = 2; seq <= 3; seq++) {
    hf_save_request request = {0};
    ck_assert_int_eq(hf_get_seq(from, seq, &record, NULL), 1);
    request.key = (hf_key){record->run_id, record->stage, NULL, 0};
    request.doc = record->doc;
    request.doc_bytes = record->doc_bytes;
    request.timestamp = "";
    (void)help_save(into, &request);
    request.doc = "{\"later\":true}"; /* so that they are not the current revisions */
    request.doc_bytes = strlen(request.doc);
    (void)help_save(into, &request);
    hf_record_free(&record);
  }
  hf_import_report report = help_import(into, path);
  ck_assert_uint_eq(report.present, 2);
  ck_assert_uint_eq(report.imported, 1);
  hf_close(&from);
  hf_close(&into);
}
END_TEST

/* Somebody resolved an attempt of an import, so its id is used up: the snapshot gets another one,
 * once. */
START_TEST(an_ended_id_is_replaced) {
  char path[HELP_PATH_BYTES];
  char ids[3][HF_ID_CHARS + 1];
  hf_record *record = NULL;
  uint64_t found = 0;
  hf_store *first = help_store(folder, "first");
  hf_store *second = help_store(folder, "second");
  (void)help_import(first, help_data(path, "5-odd"));
  for (uint64_t seq = 1; seq <= 3; seq++) {
    ck_assert_int_eq(hf_get_seq(first, seq, &record, NULL), 1);
    (void)snprintf(ids[seq - 1], sizeof ids[0], "%s", record->id);
    hf_record_free(&record);
  }
  ck_assert_int_eq(hf_resolve(second, ids[2], -1, &found, NULL), 0);
  hf_import_report report = help_import(second, path);
  ck_assert_uint_eq(report.imported, 3);
  help_same(first, second, HELP_ALL);
  report = help_import(second, path);
  ck_assert_uint_eq(report.present, 3);
  ck_assert_int_eq(hf_get_seq(second, 4, &record, NULL), 1);
  ck_assert_str_eq(record->run_id, "c");
  ck_assert_str_ne(record->id, ids[2]);
  hf_record_free(&record);
  ck_assert_int_eq(hf_get_seq(second, 2, &record, NULL), 1);
  ck_assert_str_eq(record->id, ids[0]); /* a function of the snapshot, in every store */
  hf_record_free(&record);
  hf_close(&first);
  hf_close(&second);
}
END_TEST

typedef struct stopper {
  int calls;
  int stop_at;
} stopper;

static int stop(void *context, const char *what, uint64_t done, uint64_t total) {
  stopper *at = context;
  (void)what;
  ck_assert(done <= total);
  return ++at->calls == at->stop_at;
}

START_TEST(progress_can_stop_it) {
  char path[HELP_PATH_BYTES];
  const char *paths[] = {help_data(path, "4-an-index-a-run")};
  hf_import_options options = {0};
  stopper at = {0, 1};
  int status = HF_ECANCELLED;
  hf_store *store = help_store(folder, "store");
  options.timeout_ms = -1;
  options.progress = stop;
  options.progress_context = &at;
  for (; at.stop_at < 100 && status == HF_ECANCELLED; at.stop_at++) {
    at.calls = 0;
    status = hf_import(store, paths, 1, &options, NULL, NULL);
    if (at.stop_at <= 7) /* six files, and once before the first save */
      ck_assert_uint_eq(help_head(store), 0);
  }
  ck_assert_int_eq(status, HF_OK);
  ck_assert_int_gt(at.stop_at, 7);
  ck_assert_uint_eq(help_import(store, path).present, 25);
  hf_close(&store);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("legacy");
  TCase *tests = tcase_create("folders");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_loop_test(tests, order_is_the_expected_one, 0, FOLDERS);
  tcase_add_loop_test(tests, twice_doubles_nothing, 0, FOLDERS);
  tcase_add_loop_test(tests, dry_run_saves_nothing, 0, FOLDERS);
  tcase_add_loop_test(tests, documents_are_verbatim, 0, 4);
  tcase_add_test(tests, folder_5_is_odd);
  tcase_add_test(tests, envelope_says_where_the_order_came_from);
  tcase_add_test(tests, cut_short_is_refused_with_its_place);
  tcase_add_test(tests, paths_together_are_one_order);
  tcase_add_test(tests, later_revisions_are_not_doubled);
  tcase_add_loop_test(tests, documents_saved_by_hand_are_present, 0, 2);
  tcase_add_test(tests, an_ended_id_is_replaced);
  tcase_add_test(tests, progress_can_stop_it);
  suite_add_tcase(suite, tests);
  return help_run(suite);
}
