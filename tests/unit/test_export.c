/* Export: what is written in the older form comes back byte by byte; JSON lines; CSV. */
#include "legacy_help.h"

#include <errno.h>

#include "id.h"

static char folder[HELP_PATH_BYTES];

static void setup(void) {
  help_folder(folder);
}

static void teardown(void) {
  help_remove_all(folder);
}

/* What an export must give back. The older seq is the exporting store's own. */
enum { SAME = HELP_IDENTITY | HELP_ENVELOPE | HELP_CLOCK | HELP_DOCUMENT };

/* Exports a store and imports that into a new one, which must hold the same. */
static void round_trip(hf_store *store, uint64_t count) {
  char path[HELP_PATH_BYTES];
  hf_autobuf text = {0};
  ck_assert_uint_eq(help_export(store, HF_EXPORT_INDEX, &text), count);
  help_write(help_path(path, "%s/export.json", folder), text.data, text.used);
  hf_store *other = help_store(folder, "other");
  const char *paths[] = {path};
  help_logged logged = {0, ""};
  hf_import_report report = help_import_paths(other, paths, 1, &logged);
  ck_assert_uint_eq(report.imported, count);
  ck_assert_uint_eq(report.doubles, 0);
  ck_assert_uint_eq(report.nan_to_null, 0);
  ck_assert_msg(logged.count == 0 || report.clock_ordered > 0, "%s", logged.last);
  help_same(store, other, SAME);
  ck_assert_uint_eq(help_import(store, path).present, count); /* nothing new for its own store */
  ck_assert_uint_eq(help_import(other, path).present, count);
  /* and again from there */
  hf_autobuf again = {0};
  hf_store *third = help_store(folder, "third");
  (void)help_export(other, HF_EXPORT_INDEX, &again);
  help_write(path, again.data, again.used);
  (void)help_import(third, path);
  help_same(store, third, SAME);
  hf_close(&other);
  hf_close(&third);
}

START_TEST(legacy_folders_come_back) {
  static const struct {
    const char *name;
    uint64_t count;
  } folders[] = {{"1-run-id-keys", 24},
                 {"2-run-id-stage-keys", 48},
                 {"3-mixed", 60},
                 {"4-an-index-a-run", 25},
                 {"5-odd", 3}};
  char path[HELP_PATH_BYTES];
  hf_store *store = help_store(folder, "store");
  (void)help_import(store, help_data(path, folders[_i].name));
  round_trip(store, folders[_i].count);
  hf_close(&store);
}
END_TEST

typedef struct nasty {
  const char *run_id;
  const char *stage;
  const char *dims[3][2];
  const char *group;
  const char *timestamp;
  const char *doc;
} nasty;

static const nasty snapshots[] = {
    {"r", "S", {{NULL, NULL}}, NULL, NULL, "{}"},
    /* keys that look alike as texts */
    {"a:b", "c", {{NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"a", "b:c", {{NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"a:b:c=d", "e", {{NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"a", "b", {{"c", "d:e"}, {NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"a:b", "c=d:e", {{NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"a:b", "c#3", {{NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"q", "S:t:v:NONE", {{NULL, NULL}}, NULL, "", "{\"target\":\"t\",\"view\":\"v\"}"},
    {"x \"quoted\" \\ \xce\xb1", "\xf0\x9f\x98\x80/,", {{NULL, NULL}}, "g \"x\" \\", "", "{}"},
    /* dims: others than the older program's four, and the same documents under each */
    {"d", "S", {{"attempt", "1"}, {"symbol", "X"}, {"view", ""}}, NULL, "", "{\"x\":1}"},
    {"d", "S", {{"z=1:y", "a=b"}, {"a", "\"\\"}, {NULL, NULL}}, NULL, "", "{\"x\":1}"},
    {"d", "S", {{"symbol", "NONE"}, {"attempt", "0"}, {NULL, NULL}}, NULL, "", "{\"x\":1}"},
    /* documents with the members that an index needs, of any value, order and number */
    {"m1",
     "S",
     {{NULL, NULL}},
     NULL,
     "2026-01-02",
     "{\"run_id\":\"other\",\"stage\":[1,{}],"
     "\"timestamp\":{\"a\":null},\"snapshot_seq\":\"seven\"}"},
    {"m2", "S", {{NULL, NULL}}, NULL, "", "{\"timestamp\":\"yesterday\",\"snapshot_seq\":-0.0}"},
    {"m3",
     "S",
     {{NULL, NULL}},
     NULL,
     "",
     "{\"run_id\":1,\"run_id\":\"m3\",\"run_id\":2e5,"
     "\"stage\":\"S\",\"stage\":null,\"snapshot_seq\":1,\"snapshot_seq\":1}"},
    {"m4",
     "S",
     {{NULL, NULL}},
     NULL,
     "2026-01-02T03:04:05+01:00",
     "{\"r\\u0075n_id\":\"m4\",\"\\u0073tage\":\"\\u0053\",\"timest\\u0061mp\":\"x\"}"},
    {"m5",
     "S",
     {{NULL, NULL}},
     NULL,
     "",
     "{\"target\":[],\"view\":true,\"symbol\":{},"
     "\"attempt_id\":\"x\",\"comparison_group\":{\"a\":1.0}}"},
    {"m6", "S", {{NULL, NULL}}, NULL, "", "{\"timestamp\":[1]}"},
    /* documents that hold a note of their own, or an export */
    {"h1", "S", {{NULL, NULL}}, NULL, "", "{\"holdfast\":{\"export\":1}}"},
    {"h2",
     "S",
     {{NULL, NULL}},
     NULL,
     "",
     "{\"a\":1,\"holdfast\":1,\"holdfast\":{\"export\":1,"
     "\"group\":\"g\",\"ts\":null,\"dims\":{},\"added\":[\"a\"],\"was\":{}}}"},
    /* groups: the document's, one of its own, none */
    {"g1", "S", {{NULL, NULL}}, NULL, "", "{\"comparison_group\":{\"b\":1,\"a\":2}}"},
    {"g2", "S", {{NULL, NULL}}, "mine", "", "{\"comparison_group\":{\"b\":1,\"a\":2}}"},
    {"g3", "S", {{NULL, NULL}}, NULL, "", "{\"comparison_group\":null}"},
    {"g4", "S", {{NULL, NULL}}, "mine", "2026-01-01T00:00:00.000001Z", "{}"},
    /* texts */
    {"t",
     "S",
     {{NULL, NULL}},
     NULL,
     "",
     "{\"\":[9007199254740993,1e400,-0.0,0.10,1E+2],\"\":\""
     "\\u0000\\/\\ud800\\n\xce\xb1\",\"big\":123456789012345678901234567890}"},
};
enum { SNAPSHOTS = sizeof snapshots / sizeof snapshots[0] };

static void save_nasty(hf_store *store, const nasty *one, const char *doc) {
  hf_save_request request = {0};
  hf_dim dims[3];
  size_t count = 0;
  while (count < 3 && one->dims[count][0] != NULL) {
    dims[count] = (hf_dim){one->dims[count][0], one->dims[count][1]};
    count++;
  }
  request.key = (hf_key){one->run_id, one->stage, dims, count};
  request.group = one->group;
  request.timestamp = one->timestamp;
  request.doc = doc;
  request.doc_bytes = strlen(doc);
  (void)help_save(store, &request);
}

static hf_store *nasty_store(void) {
  hf_store *store = help_store(folder, "store");
  hf_autobuf deep = {0};
  for (size_t i = 0; i < SNAPSHOTS; i++)
    save_nasty(store, &snapshots[i], snapshots[i].doc);
  /* as deep as may be, and that in a member which has to be replaced */
  nasty last = {"deep", "S", {{NULL, NULL}}, NULL, "", NULL};
  (void)hf_buf_add_text(&deep, "{\"run_id\":");
  for (int i = 0; i < 511; i++)
    (void)hf_buf_add_char(&deep, '[');
  for (int i = 0; i < 511; i++)
    (void)hf_buf_add_char(&deep, ']');
  (void)hf_buf_add_char(&deep, '}');
  save_nasty(store, &last, deep.data);
  ck_assert_uint_eq(help_head(store), SNAPSHOTS + 1);
  return store;
}

START_TEST(nasty_store_comes_back) {
  hf_store *store = nasty_store();
  round_trip(store, SNAPSHOTS + 1);
  hf_close(&store);
}
END_TEST

/* What the older program looks for: keys that are all different, and in each entry its run_id,
 * stage and seq. */
START_TEST(older_program_can_read_it) {
  hf_autobuf text = {0};
  hf_autobuf keys = {0};
  hf_store *store = nasty_store();
  hf_list_options options = {0};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  options.with_documents = 1;
  (void)help_export(store, HF_EXPORT_INDEX, &text);
  ck_assert_int_eq(hf_json_check(text.data, text.used, HF_JSON_OBJECT_ONLY, 513, NULL, NULL, NULL),
                   HF_OK);
  hf_json root = hf_json_value(text.data, text.used);
  hf_json name;
  hf_json entry;
  hf_json value;
  size_t at = 0;
  ck_assert_int_eq(hf_list(store, &options, &cursor, NULL), HF_OK);
  while (hf_json_next(&root, &at, &name, &entry) == 1) {
    uint64_t seq = 0;
    ck_assert_int_eq(hf_cursor_next(cursor, &record, NULL), 1);
    (void)hf_buf_printf(&keys, "\n%.*s\n", (int)name.bytes, name.text);
    ck_assert_int_eq(hf_json_member(&entry, "run_id", &value), 1);
    ck_assert_int_eq(hf_json_string_equals(&value, record->run_id, strlen(record->run_id)), 1);
    ck_assert_int_eq(hf_json_member(&entry, "stage", &value), 1);
    ck_assert_int_eq(hf_json_string_equals(&value, record->stage, strlen(record->stage)), 1);
    ck_assert_int_eq(hf_json_member(&entry, "snapshot_seq", &value), 1);
    ck_assert_int_eq(hf_json_uint64(&value, &seq), 0);
    ck_assert_uint_eq(seq, record->seq);
    hf_json doc = hf_json_value(record->doc, record->doc_bytes);
    int has_time = record->ts != NULL || hf_json_member(&doc, "timestamp", &value) == 1;
    ck_assert_int_eq(hf_json_member(&entry, "timestamp", &value), has_time);
    if (record->ts != NULL)
      ck_assert_int_eq(hf_json_string_equals(&value, record->ts, strlen(record->ts)), 1);
    hf_record_free(&record);
  }
  ck_assert_int_eq(hf_cursor_next(cursor, &record, NULL), 0);
  hf_cursor_close(&cursor);
  at = 0;
  while (hf_json_next(&root, &at, &name, &entry) == 1) {
    char line[HELP_PATH_BYTES];
    (void)snprintf(line, sizeof line, "\n%.*s\n", (int)name.bytes, name.text);
    const char *found = strstr(keys.data, line);
    ck_assert_ptr_nonnull(found);
    ck_assert_msg(strstr(found + 1, line) == NULL, "%s stands twice", line);
  }
  ck_assert_ptr_nonnull(strstr(keys.data, "\n\"r:S\"\n"));
  ck_assert_ptr_nonnull(strstr(keys.data, "\n\"a:b:c#3#7\"\n"));
  hf_close(&store);
}
END_TEST

/* Older revisions are for JSON lines only; a later revision changes the place in the order. */
START_TEST(current_revisions_in_order) {
  hf_autobuf text = {0};
  hf_autobuf lines = {0};
  hf_store *store = help_store(folder, "store");
  nasty first = {"r1", "S", {{NULL, NULL}}, NULL, "", NULL};
  nasty second = {"r2", "S", {{NULL, NULL}}, NULL, "", NULL};
  save_nasty(store, &first, "{\"n\":1}");
  save_nasty(store, &second, "{\"n\":2}");
  save_nasty(store, &first, "{\"n\":3}");
  ck_assert_uint_eq(help_export(store, HF_EXPORT_INDEX, &text), 2);
  const char *r1 = strstr(text.data, "\"r1:S\":{\"n\":3,");
  const char *r2 = strstr(text.data, "\"r2:S\":{\"n\":2,");
  ck_assert(r1 != NULL && r2 != NULL && r2 < r1);
  ck_assert_uint_eq(help_export(store, HF_EXPORT_JSONL, &lines), 3);
  hf_close(&store);
}
END_TEST

START_TEST(json_lines_are_the_records) {
  hf_autobuf text = {0};
  hf_autobuf want = {0};
  hf_store *store = nasty_store();
  ck_assert_uint_eq(help_export(store, HF_EXPORT_JSONL, &text), SNAPSHOTS + 1);
  for (uint64_t seq = 1; seq <= SNAPSHOTS + 1; seq++) {
    hf_record *record = NULL;
    hf_autofree char *line = NULL;
    size_t bytes = 0;
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    ck_assert_int_eq(hf_record_json(record, &line, &bytes, NULL), HF_OK);
    (void)hf_buf_add(&want, line, bytes);
    (void)hf_buf_add_char(&want, '\n');
    hf_record_free(&record);
  }
  ck_assert_str_eq(text.data, want.data);
  hf_close(&store);
}
END_TEST

/* Reads one field of CSV; *end becomes the character behind it: ',' or '\r'. */
static const char *csv_field(const char *at, hf_buf *out, char *end) {
  hf_buf_clear(out);
  (void)hf_buf_add(out, "", 0);
  int quoted = *at == '"';
  for (at += quoted; *at != '\0'; at++) {
    if (quoted && *at == '"') {
      if (at[1] != '"') {
        at++;
        break;
      }
      at++;
    } else if (!quoted && (*at == ',' || *at == '\r')) {
      break;
    }
    ck_assert(quoted || *at != '"');
    (void)hf_buf_add_char(out, *at);
  }
  *end = *at;
  ck_assert(*end == ',' || *end == '\r');
  return at + (*end == ',' ? 1 : 2);
}

START_TEST(csv_can_be_read_back) {
  static const char head[] = "seq,run_id,stage,dims,group,ts,at,host,pid,id,sha256,size,"
                             "legacy_seq,legacy_order\r\n";
  enum { RUN = 1, STAGE = 2, GROUP = 4, TS = 5, SHA256 = 10, FIELDS = 14 };
  char path[HELP_PATH_BYTES];
  hf_autobuf text = {0};
  hf_autobuf field = {0};
  hf_store *store = nasty_store();
  (void)help_import(store, help_data(path, "3-mixed"));
  uint64_t count = help_export(store, HF_EXPORT_CSV, &text);
  ck_assert_uint_eq(count, SNAPSHOTS + 1 + 60);
  ck_assert_int_eq(strncmp(text.data, head, strlen(head)), 0);
  const char *at = text.data + strlen(head);
  for (uint64_t seq = 1; seq <= count; seq++) {
    hf_record *record = NULL;
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    for (int i = 0; i < FIELDS; i++) {
      char end = 0;
      at = csv_field(at, &field, &end);
      ck_assert_int_eq(end, i == FIELDS - 1 ? '\r' : ',');
      if (i == 0)
        ck_assert_uint_eq(strtoull(field.data, NULL, 10), seq);
      if (i == RUN)
        ck_assert_str_eq(field.data, record->run_id);
      if (i == STAGE)
        ck_assert_str_eq(field.data, record->stage);
      if (i == GROUP)
        ck_assert_str_eq(field.data, record->group != NULL ? record->group : "");
      if (i == TS)
        ck_assert_str_eq(field.data, record->ts != NULL ? record->ts : "");
      if (i == SHA256)
        ck_assert_str_eq(field.data, record->sha256);
      if (i == FIELDS - 1)
        ck_assert_str_eq(field.data, seq <= SNAPSHOTS + 1    ? ""
                                     : seq <= SNAPSHOTS + 13 ? "clock"
                                                             : "seq");
    }
    hf_record_free(&record);
  }
  ck_assert_int_eq(*at, '\0');
  ck_assert_ptr_nonnull(
      strstr(text.data, ",\"{\"\"a\"\":\"\"\\\"\"\\\\\"\",\"\"z=1:y\"\":\"\"a=b\"\"}\","));
  hf_close(&store);
}
END_TEST

START_TEST(empty_store) {
  static const char *const want[] = {"{}\n", "", "seq,"};
  hf_autobuf text = {0};
  hf_store *store = help_store(folder, "store");
  ck_assert_uint_eq(help_export(store, (hf_export_format)_i, &text), 0);
  ck_assert_int_eq(strncmp(text.used > 0 ? text.data : "", want[_i], strlen(want[_i])), 0);
  ck_assert(_i != 0 || text.used == 3);
  ck_assert(_i != 1 || text.used == 0);
  hf_close(&store);
}
END_TEST

static int refuse(void *context, const char *bytes, size_t count) {
  (void)context;
  (void)bytes;
  (void)count;
  errno = ENOSPC;
  return -1;
}

static int cancel(void *context, const char *what, uint64_t done, uint64_t total) {
  (void)what;
  ck_assert(done <= total);
  return ++*(int *)context == 3;
}

START_TEST(what_fails_is_told) {
  hf_autobuf text = {0};
  hf_error error = HF_ERROR_INIT;
  uint64_t count = 99;
  int calls = 0;
  hf_store *store = nasty_store();
  hf_export_options options = {(hf_export_format)_i, NULL, NULL, NULL};
  ck_assert_int_eq(hf_export(store, &options, refuse, NULL, &count, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOSPC);
  options.progress = cancel;
  options.progress_context = &calls;
  ck_assert_int_eq(hf_export(store, &options, help_take, &text, &count, &error), HF_ECANCELLED);
  ck_assert_uint_eq(count, 3);
  options.format = (hf_export_format)7;
  ck_assert_int_eq(hf_export(store, &options, help_take, &text, &count, &error), HF_EINVAL);
  hf_close(&store);
}
END_TEST

static void replace(hf_buf *text, const char *what, const char *by) {
  char *at = strstr(text->data, what);
  hf_buf out = {0};
  ck_assert_ptr_nonnull(at);
  (void)hf_buf_add(&out, text->data, (size_t)(at - text->data));
  (void)hf_buf_add_text(&out, by);
  (void)hf_buf_add_text(&out, at + strlen(what));
  hf_buf_free(text);
  *text = out;
}

/* An export that somebody changed is imported as it is now, with a warning; a note that no export
 * writes is refused. */
START_TEST(changed_exports) {
  char path[HELP_PATH_BYTES];
  const char *paths[] = {path};
  hf_autobuf text = {0};
  help_logged logged = {0, ""};
  nasty one = {"r", "S", {{NULL, NULL}}, "g", "", NULL};
  hf_store *store = help_store(folder, "store");
  hf_store *other = help_store(folder, "other");
  save_nasty(store, &one, "{\"n\":0.10}");
  (void)help_export(store, HF_EXPORT_INDEX, &text);
  replace(&text, "0.10", "0.1"); /* as the older program would write it */
  help_write(help_path(path, "%s/export.json", folder), text.data, text.used);
  (void)help_import_paths(other, paths, 1, &logged);
  ck_assert_int_eq(logged.count, 1);
  ck_assert_ptr_nonnull(strstr(logged.last, "changed after its export"));
  hf_autofree char *shown = help_show(other, HELP_DOCUMENT, NULL);
  ck_assert_str_eq(shown, "r|S|{\"n\":0.1}\n");
  replace(&text, "\"was\":{}", "\"was\":{\"n\":\"[\"}");
  help_write(path, text.data, text.used);
  hf_error error = help_import_fails(other, paths, 1, HF_EDOC);
  ck_assert_ptr_nonnull(strstr(error.place, "export.json: line 2, column 1"));
  replace(&text, "\"was\":{\"n\":\"[\"}", "\"was\":[]");
  help_write(path, text.data, text.used);
  (void)help_import_fails(other, paths, 1, HF_EDOC);
  hf_close(&store);
  hf_close(&other);
}
END_TEST

/* A document over the inline limit, and more than one piece of output. */
START_TEST(long_documents_come_back) {
  enum { LONG_BYTES = 300 * 1024, MANY = 300 };
  hf_autobuf doc = {0};
  hf_store *store = help_store(folder, "store");
  nasty one = {"long", "S", {{NULL, NULL}}, NULL, NULL, NULL};
  (void)hf_buf_add_text(&doc, "{\"x\":\"");
  for (size_t i = 0; i < LONG_BYTES; i++)
    (void)hf_buf_add_char(&doc, 'x');
  (void)hf_buf_add_text(&doc, "\"}");
  save_nasty(store, &one, doc.data);
  for (int i = 0; i < MANY; i++) {
    char run_id[32];
    (void)snprintf(run_id, sizeof run_id, "run%d", i);
    one.run_id = run_id;
    save_nasty(store, &one, "{\"comparison_group\":1,\"y\":[1,2,3,4,5,6,7,8,9,0]}");
  }
  round_trip(store, MANY + 1);
  hf_close(&store);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("export");
  TCase *tests = tcase_create("export");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_loop_test(tests, legacy_folders_come_back, 0, 5);
  tcase_add_test(tests, nasty_store_comes_back);
  tcase_add_test(tests, older_program_can_read_it);
  tcase_add_test(tests, current_revisions_in_order);
  tcase_add_test(tests, json_lines_are_the_records);
  tcase_add_test(tests, csv_can_be_read_back);
  tcase_add_loop_test(tests, empty_store, 0, 3);
  tcase_add_loop_test(tests, what_fails_is_told, 0, 3);
  tcase_add_test(tests, changed_exports);
  tcase_add_test(tests, long_documents_come_back);
  suite_add_tcase(suite, tests);
  return help_run(suite);
}
