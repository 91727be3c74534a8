/* Import: what each form of a key and of an entry means, the order of several files, and the
 * errors, each with its file and line. The indexes are written here. */
#include "legacy_help.h"

static char folder[HELP_PATH_BYTES];
static hf_store *store;

static void setup(void) {
  help_folder(folder);
  store = help_store(folder, "store");
}

static void teardown(void) {
  hf_close(&store);
  help_remove_all(folder);
}

/* Writes FOLDER/NAME/snapshot_index.json. */
static void put_index(const char *name, const char *text) {
  char path[HELP_PATH_BYTES];
  (void)mkdir(help_path(path, "%s/%s", folder, name), 0777);
  help_write(help_below(path, "snapshot_index.json"), text, strlen(text));
}

static hf_import_report import_index(const char *name) {
  char path[HELP_PATH_BYTES];
  return help_import(store, help_path(path, "%s/%s", folder, name));
}

static void shows(const char *want) {
  hf_autofree char *shown = help_show(store, HELP_IDENTITY, NULL);
  ck_assert_str_eq(shown, want);
}

typedef struct form {
  const char *index;
  const char *want; /* as help_show writes it */
} form;

#define LONG "\"target\":\"t\",\"view\":\"v\""

static const form forms[] = {
    /* members are the truth */
    {"{\"x\":{\"run_id\":\"r\",\"stage\":\"S\"}}", "r|S\n"},
    {"{\"other:KEY\":{\"run_id\":\"r:1\",\"stage\":\"S\"}}", "r:1|S\n"},
    {"{\"\":{\"run_id\":\"r\",\"stage\":\"S\"}}", "r|S\n"},
    {"{\"5:S\":{\"run_id\":5,\"stage\":\"S\"}}", "5|S\n"},
    {"{\"r:S\":{\"run_id\":\"x\",\"run_id\":\"r\",\"stage\":\"S\"}}", "r|S\n"},
    {"{\"r\\u00e9:S\":{\"run\\u005fid\":\"r\\u00e9\",\"stage\":\"S\"}}", "r\xc3\xa9|S\n"},
    /* a member is missing, or null */
    {"{\"r:S\":{}}", "r|S\n"},
    {"{\"a b:c/d:S\":{\"run_id\":null,\"stage\":null}}", "a b:c/d|S\n"},
    {"{\"r\":{\"stage\":\"S\"}}", "r|S\n"},
    {"{\"r:S\":{\"stage\":\"S\"}}", "r|S\n"},
    {"{\"r:S\":{\"stage\":\"T\"}}", "r:S|T\n"},
    {"{\"r:1:S\":{\"run_id\":\"r:1\"}}", "r:1|S\n"},
    {"{\"r:S:T\":{\"run_id\":\"r\"}}", "r|S:T\n"},
    /* no dims in the short forms, whatever the members say */
    {"{\"r:S\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":\"X\",\"attempt_id\":3}}",
     "r|S\n"},
    {"{\"r\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":[],\"attempt_id\":true}}",
     "r|S\n"},
    /* the long form */
    {"{\"r:S:t:v:X\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":\"X\"}}",
     "r|S|symbol=X|target=t|view=v\n"},
    {"{\"r:S:t:v:NONE\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":null}}",
     "r|S|target=t|view=v\n"},
    {"{\"r:S:t:v:NONE\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":\"NONE\"}}",
     "r|S|target=t|view=v\n"},
    {"{\"r:S:t:v:None\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":null}}",
     "r|S|target=t|view=v\n"},
    {"{\"r:S:t:v:X:0\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":\"X\","
     "\"attempt_id\":0}}",
     "r|S|symbol=X|target=t|view=v\n"},
    {"{\"r:S:t:v:X:2\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":\"X\","
     "\"attempt_id\":2}}",
     "r|S|attempt=2|symbol=X|target=t|view=v\n"},
    {"{\"r:S:t:v:X:2\":{\"run_id\":\"r\",\"stage\":\"S\"," LONG ",\"symbol\":\"X\"}}",
     "r|S|attempt=2|symbol=X|target=t|view=v\n"},
    {"{\"r:S:t:v:X:2\":{\"run_id\":\"r\",\"stage\":\"S\"}}",
     "r|S|attempt=2|symbol=X|target=t|view=v\n"},
    {"{\"r:S:t:v:NONE\":{\"run_id\":\"r\",\"stage\":\"S\"}}", "r|S|target=t|view=v\n"},
    {"{\"r:1:S:t:v:X:1\":{\"run_id\":\"r:1\",\"stage\":\"S\"," LONG ",\"symbol\":\"X\","
     "\"attempt_id\":1}}",
     "r:1|S|attempt=1|symbol=X|target=t|view=v\n"},
    {"{\"r:1:S:t:v:X\":{" LONG ",\"symbol\":\"X\"}}", "r:1|S|symbol=X|target=t|view=v\n"},
    {"{\"r:S:t:v:NONE:7\":{" LONG "}}", "r|S|attempt=7|target=t|view=v\n"},
    {"{\"r:S:t:1:v:X\":{\"run_id\":\"r\",\"stage\":\"S\",\"target\":\"t:1\",\"view\":\"v\","
     "\"symbol\":\"X\"}}",
     "r|S|symbol=X|target=t:1|view=v\n"},
    /* what looks long and is a run_id with colons */
    {"{\"2025-12-04T10:03:00Z:a:S\":{\"run_id\":\"2025-12-04T10:03:00Z:a\",\"stage\":\"S\"," LONG
     "}}",
     "2025-12-04T10:03:00Z:a|S\n"},
    {"{\"2025-12-04T10:03:00Z:S\":{}}", "2025-12-04T10:03:00Z|S\n"},
    {"{}", ""},
    {" {\n} ", ""},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

START_TEST(keys_are_understood) {
  put_index("i", forms[_i].index);
  (void)import_index("i");
  shows(forms[_i].want);
  (void)import_index("i");
  shows(forms[_i].want);
}
END_TEST

typedef struct mistake {
  const char *index;
  int status;
  const char *place;
  const char *message;
} mistake;

#define RS "\"run_id\":\"r\",\"stage\":\"S\""

static const mistake mistakes[] = {
    {"", HF_EDOC, "line 1, column 1", ""},
    {"{\n\"r:S\":{}", HF_EDOC, "line 2, column 9", ""},
    {"[]", HF_EDOC, "line 1, column 1", "object"},
    {"{\"r:S\":{\"a\":01}}", HF_EDOC, "line 1, column ", ""},
    {"{\"r:S\":{}}{", HF_EDOC, "line 1, column 11", ""},
    {"{\n \"ok:S\":{},\n  \"r:S\":[1]}", HF_EDOC, "line 3, column 3", "not an object"},
    {"{\"a:S\":{\"x\":[{\"n:m\":1}],\"y\":\"\\\"{\\\\\"},\n\"r\":{}}", HF_EDOC, "line 2, column 1",
     "run_id and stage"},
    {"{\"r\":{\"run_id\":\"r\"}}", HF_EDOC, "line 1, column 2", "run_id and stage"},
    {"{\"\":{}}", HF_EDOC, "line 1, column 2", "run_id and stage"},
    {"{\":S\":{}}", HF_EDOC, "line 1, column 2", "run_id and stage"},
    {"{\"r:\":{}}", HF_EDOC, "line 1, column 2", "run_id and stage"},
    {"{\n\n\"r\":{" RS ",\"timestamp\":\"yesterday\"}}", HF_EDOC, "line 3, column 1", "yesterday"},
    {"{\"r\":{" RS ",\"timestamp\":\"2025-13-01T00:00:00\"}}", HF_EDOC, "line 1, column 2",
     "2025-13-01"},
    {"{\"r\":{" RS ",\"timestamp\":1764576000}}", HF_EDOC, "line 1, column 2", "1764576000"},
    {"{\"r\":{" RS ",\"timestamp\":[1]}}", HF_EDOC, "line 1, column 2", "timestamp"},
    {"{\"r\":{" RS ",\"snapshot_seq\":\"7\"}}", HF_EDOC, "line 1, column 2",
     "snapshot_seq is \"7\""},
    {"{\"r\":{" RS ",\"snapshot_seq\":-1}}", HF_EDOC, "line 1, column 2", "snapshot_seq is -1"},
    {"{\"r\":{" RS ",\"snapshot_seq\":1.5}}", HF_EDOC, "line 1, column 2", "snapshot_seq is 1.5"},
    {"{\"r\":{\"run_id\":{},\"stage\":\"S\"}}", HF_EDOC, "line 1, column 2", "run_id"},
    {"{\"r\":{\"run_id\":\"a\\u0000b\",\"stage\":\"S\"}}", HF_EDOC, "line 1, column 2", "NUL"},
    {"{\"r\":{\"run_id\":\"a\\nb\",\"stage\":\"S\"}}", HF_EDOC, "line 1, column 2", "control"},
    {"{\"r:S:t:v:X\":{" RS ",\"target\":[]}}", HF_EDOC, "line 1, column 2", "target"},
    {"{\"r:S\":{\"holdfast\":{\"export\":1}}}", HF_EDOC, "line 1, column 2", "holdfast"},
    {"{\"r:S\":{" RS ",\"holdfast\":{\"export\":2,\"group\":null,\"ts\":null,\"dims\":{}}}}",
     HF_EVERSION, "line 1, column 2", "newer"},
};
enum { MISTAKES = sizeof mistakes / sizeof mistakes[0] };

START_TEST(mistakes_have_a_place) {
  const mistake *want = &mistakes[_i];
  char path[2][HELP_PATH_BYTES];
  const char *paths[] = {help_path(path[0], "%s/good", folder),
                         help_path(path[1], "%s/bad", folder)};
  put_index("good", "{\"r:S\":{}}");
  put_index("bad", want->index);
  hf_error error = help_import_fails(store, paths, 2, want->status);
  char place[HELP_PATH_BYTES];
  (void)help_path(place, "%s/snapshot_index.json: %s", path[1], want->place);
  ck_assert_msg(strncmp(error.place, place, strlen(place)) == 0, "%s: %s", error.place,
                error.message);
  ck_assert_msg(strstr(error.message, want->message) != NULL, "%s", error.message);
  ck_assert_ptr_null(strchr(error.message, '\n'));
}
END_TEST

/* The limits are asked for before the first save. */
START_TEST(limits_are_checked_first) {
  char path[2][HELP_PATH_BYTES];
  const char *paths[] = {help_path(path[0], "%s/good", folder),
                         help_path(path[1], "%s/bad", folder)};
  hf_autobuf text = {0};
  put_index("good", "{\"r:S\":{}}");
  for (int way = 0; way < 3; way++) {
    hf_buf_clear(&text);
    (void)hf_buf_add_text(&text, "{\"r:S\":{\"x\":1},\n\"");
    for (int i = 0; i < (way == 0 ? 513 : 1); i++)
      (void)hf_buf_add_char(&text, 'r');
    (void)hf_buf_add_char(&text, ':');
    for (int i = 0; i < (way == 1 ? 129 : 1); i++)
      (void)hf_buf_add_char(&text, 'S');
    (void)hf_buf_add_text(&text, "\":{\"x\":");
    for (int i = 0; i < (way == 2 ? 512 : 511); i++)
      (void)hf_buf_add_char(&text, '[');
    for (int i = 0; i < (way == 2 ? 512 : 511); i++)
      (void)hf_buf_add_char(&text, ']');
    (void)hf_buf_add_text(&text, "}}");
    put_index("bad", text.data);
    hf_error error = help_import_fails(store, paths, 2, HF_ELIMIT);
    ck_assert_msg(strstr(error.place, "bad/snapshot_index.json: line 2, column ") != NULL, "%s: %s",
                  error.place, error.message);
    ck_assert_msg(way != 0 || strstr(error.message, "run_id: ") != NULL, "%s", error.message);
    ck_assert_msg(way != 1 || strstr(error.message, "stage: ") != NULL, "%s", error.message);
  }
}
END_TEST

START_TEST(deepest_document_is_imported) {
  hf_autobuf text = {0};
  (void)hf_buf_add_text(&text, "{\"r:S\":{\"x\":");
  for (int i = 0; i < 511; i++)
    (void)hf_buf_add_char(&text, '[');
  for (int i = 0; i < 511; i++)
    (void)hf_buf_add_char(&text, ']');
  (void)hf_buf_add_text(&text, "}}");
  put_index("i", text.data);
  ck_assert_uint_eq(import_index("i").imported, 1);
}
END_TEST

START_TEST(paths_that_are_none) {
  char path[HELP_PATH_BYTES];
  const char *paths[] = {path};
  (void)mkdir(help_path(path, "%s/empty", folder), 0777);
  hf_error error = help_import_fails(store, paths, 1, HF_ENOTFOUND);
  ck_assert_str_eq(error.place, path);
  (void)help_path(path, "%s/nothing", folder);
  error = help_import_fails(store, paths, 1, HF_ENOTFOUND);
  ck_assert_str_eq(error.place, path);
  paths[0] = "/dev/null";
  (void)help_import_fails(store, paths, 1, HF_EINVAL);
  paths[0] = "";
  (void)help_import_fails(store, paths, 1, HF_EINVAL);
  ck_assert_int_eq(hf_import(store, paths, 0, NULL, NULL, NULL), HF_EINVAL);
}
END_TEST

/* A folder: every index below it, nothing else, no symbolic link. A file may have any name. */
START_TEST(folders_are_walked) {
  char path[HELP_PATH_BYTES];
  char to[HELP_PATH_BYTES];
  const char *paths[] = {path};
  help_logged logged = {0, ""};
  (void)mkdir(help_path(path, "%s/tree", folder), 0777);
  (void)mkdir(help_path(path, "%s/elsewhere", folder), 0777);
  put_index("tree/a", "{\"in a:S\":{}}");
  put_index("tree/b", "{\"in b:S\":{}}");
  put_index("elsewhere/c", "{\"in c:S\":{}}");
  (void)help_path(path, "%s/tree/snapshot_index.json.tmp", folder);
  help_write(path, "{", 1);
  (void)help_path(path, "%s/tree/other.json", folder);
  help_write(path, "{\"other:S\":{}}", 14);
  (void)help_path(path, "%s/tree/linked", folder);
  ck_assert_int_eq(symlink(help_path(to, "%s/elsewhere", folder), path), 0);
  (void)help_path(path, "%s/tree/snapshot_index.json", folder);
  ck_assert_int_eq(symlink(help_path(to, "%s/elsewhere/c/snapshot_index.json", folder), path), 0);
  (void)help_path(path, "%s/tree", folder);
  hf_import_report report = help_import_paths(store, paths, 1, &logged);
  ck_assert_uint_eq(report.files, 2);
  ck_assert_ptr_nonnull(strstr(logged.last, "rests on clocks"));
  ck_assert_int_eq(logged.count, 2); /* and the linked index */
  shows("in a|S\nin b|S\n");
  (void)help_path(path, "%s/tree/other.json", folder);
  (void)help_import(store, path);
  (void)help_path(path, "%s/tree/linked", folder); /* given by name: the user means it */
  (void)help_import(store, path);
  shows("in a|S\nin b|S\nother|S\nin c|S\n");
}
END_TEST

/* An index that is left out unseen would change the order of the others. */
START_TEST(a_folder_that_cannot_be_read_is_an_error) {
  enum { NOBODY = 65534 };
  char path[HELP_PATH_BYTES];
  const char *paths[] = {path};
  uid_t user = geteuid();
  put_index("a", "{\"r:S\":{}}");
  put_index("a/b", "{\"r:S\":{}}");
  ck_assert_int_eq(chmod(folder, 0755), 0);
  ck_assert_int_eq(chmod(help_path(path, "%s/a/b", folder), 0), 0);
  (void)help_path(path, "%s/a", folder);
  if (user == 0) /* who reads everything */
    ck_assert_int_eq(seteuid(NOBODY), 0);
  hf_error error = help_import_fails(store, paths, 1, HF_EIO);
  ck_assert_msg(strstr(error.place, "/a/b") != NULL, "%s: %s", error.place, error.message);
  ck_assert_int_eq(seteuid(user), 0);
  ck_assert_int_eq(chmod(help_path(path, "%s/a/b", folder), 0777), 0);
}
END_TEST

typedef struct row {
  const char *run;
  const char *seq;  /* NULL: none */
  const char *time; /* of one day; NULL: none */
} row;

static void put_rows(const char *name, const row *rows, size_t count) {
  hf_autobuf text = {0};
  for (size_t i = 0; i < count; i++) {
    (void)hf_buf_printf(&text, "%s\"%s:S\":{\"of\":\"%s\"", i == 0 ? "{" : ",", rows[i].run, name);
    if (rows[i].seq != NULL)
      (void)hf_buf_printf(&text, ",\"snapshot_seq\":%s", rows[i].seq);
    if (rows[i].time != NULL)
      (void)hf_buf_printf(&text, ",\"timestamp\":\"2026-01-01T%s\"", rows[i].time);
    (void)hf_buf_add_char(&text, '}');
  }
  (void)hf_buf_add_char(&text, '}');
  put_index(name, text.data);
}

#define PUT_ROWS(name, rows) put_rows(name, rows, sizeof(rows) / sizeof((rows)[0]))

/* Without a seq first, by time in whatever spelling; those without a time behind them, in the
 * file's order; then by seq. */
START_TEST(order_within_a_file) {
  static const row rows[] = {{"s2", "2", "00:00"},
                             {"s10", "10", "00:00"},
                             {"n2", NULL, NULL},
                             {"n1", "null", NULL},
                             {"c3", NULL, "10:00:00+00:00"},
                             {"c1", NULL, "08:00:00.5"},
                             {"c2", NULL, "10:30:00+01:00"},
                             {"s1", "1", "23:00"}};
  PUT_ROWS("i", rows);
  hf_import_report report = import_index("i");
  shows("c1|S\nc2|S\nc3|S\nn2|S\nn1|S\ns1|S\ns2|S\ns10|S\n");
  ck_assert_uint_eq(report.clock_ordered, 5);
}
END_TEST

/* Equal seqs: by time, and the envelope says so; their neighbours keep theirs. */
START_TEST(equal_seqs_are_ordered_by_time) {
  static const row rows[] = {
      {"b", "3", "02:00"}, {"a", "3", "01:00"}, {"z", "1", "09:00"}, {"y", "4", "00:00"}};
  hf_record *record = NULL;
  PUT_ROWS("i", rows);
  ck_assert_uint_eq(import_index("i").clock_ordered, 2);
  shows("z|S\na|S\nb|S\ny|S\n");
  for (uint64_t seq = 1; seq <= 4; seq++) {
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    ck_assert_int_eq(record->legacy_clock, seq == 2 || seq == 3);
    hf_record_free(&record);
  }
}
END_TEST

/* Each file keeps its own order, although its clock went back; entries without a time stay with
 * their neighbours; a file without any time comes last. */
START_TEST(files_are_merged_by_time) {
  static const row a[] = {
      {"a1", "1", "10:00"}, {"a2", "2", "05:00"}, {"a3", "3", NULL}, {"a4", "4", "12:00"}};
  static const row b[] = {{"b1", "1", NULL}, {"b2", "2", "11:00"}, {"b3", "3", "13:00"}};
  static const row c[] = {{"c1", "7", "09:00"}, {"c2", "8", "11:30"}};
  static const row d[] = {{"d1", NULL, NULL}};
  char path[HELP_PATH_BYTES];
  (void)mkdir(help_path(path, "%s/all", folder), 0777);
  PUT_ROWS("all/1", d);
  PUT_ROWS("all/2", c);
  PUT_ROWS("all/3", a);
  PUT_ROWS("all/4", b);
  hf_import_report report = import_index("all");
  shows("c1|S\na1|S\na2|S\na3|S\nb1|S\nb2|S\nc2|S\na4|S\nb3|S\nd1|S\n");
  ck_assert_uint_eq(report.clock_ordered, 10);
}
END_TEST

/* Two documents of one key: two revisions, in order. The same document elsewhere: a double. */
START_TEST(revisions_and_doubles) {
  put_index("i", "{\"r:S\":{" RS ",\"snapshot_seq\":2},\"r\":{" RS ",\"snapshot_seq\":1},"
                 "\"q:S\":{" RS ", \"snapshot_seq\" : 2}}");
  hf_import_report report = import_index("i");
  ck_assert_uint_eq(report.imported, 2);
  ck_assert_uint_eq(report.doubles, 1);
  ck_assert_uint_eq(report.clock_ordered, 0);
  hf_autofree char *shown =
      help_show(store, HELP_IDENTITY | HELP_LEGACY | HELP_CLOCK | HELP_DOCUMENT, NULL);
  ck_assert_str_eq(shown, "r|S|legacy 1|clock 0|{" RS ",\"snapshot_seq\":1}\n"
                          "r|S|legacy 2|clock 0|{" RS ",\"snapshot_seq\":2}\n");
  ck_assert_uint_eq(import_index("i").present, 2);
  ck_assert_uint_eq(help_head(store), 2);
}
END_TEST

START_TEST(numbers_and_strings_are_verbatim) {
  static const char doc[] =
      "{\"n\":[9007199254740993,1e400,-0.0,0.10,3e-07,1E+2],\"n\":\"\\u0000\\/"
      "\\ud800\xce\xb1\",\"e\":{},\"nan\":[null,null,null]}";
  hf_record *record = NULL;
  put_index(
      "i",
      "{\"r:S\" : { \"n\" : [ 9007199254740993, 1e400,\t-0.0, 0.10, 3e-07, 1E+2 ] ,\r\n"
      "\"n\":\"\\u0000\\/\\ud800\xce\xb1\", \"e\": { }, \"nan\": [NaN, Infinity, -Infinity] } }");
  ck_assert_uint_eq(import_index("i").nan_to_null, 3);
  ck_assert_int_eq(hf_get_seq(store, 1, &record, NULL), 1);
  ck_assert_str_eq(record->doc, doc);
  hf_record_free(&record);
}
END_TEST

/* A pipe is read to its end. */
START_TEST(a_pipe_is_read) {
  int ends[2];
  char path[HELP_PATH_BYTES];
  static const char text[] = "{\"r:S\":{}}";
  ck_assert_int_eq(pipe(ends), 0);
  ck_assert_int_eq((int)write(ends[1], text, strlen(text)), (int)strlen(text));
  ck_assert_int_eq(close(ends[1]), 0);
  ck_assert_uint_eq(help_import(store, help_path(path, "/dev/fd/%d", ends[0])).imported, 1);
  ck_assert_int_eq(close(ends[0]), 0);
  shows("r|S\n");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("legacy_forms");
  TCase *tests = tcase_create("forms");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_loop_test(tests, keys_are_understood, 0, FORMS);
  tcase_add_loop_test(tests, mistakes_have_a_place, 0, MISTAKES);
  tcase_add_test(tests, limits_are_checked_first);
  tcase_add_test(tests, deepest_document_is_imported);
  tcase_add_test(tests, paths_that_are_none);
  tcase_add_test(tests, folders_are_walked);
  tcase_add_test(tests, a_folder_that_cannot_be_read_is_an_error);
  tcase_add_test(tests, order_within_a_file);
  tcase_add_test(tests, equal_seqs_are_ordered_by_time);
  tcase_add_test(tests, files_are_merged_by_time);
  tcase_add_test(tests, revisions_and_doubles);
  tcase_add_test(tests, numbers_and_strings_are_verbatim);
  tcase_add_test(tests, a_pipe_is_read);
  suite_add_tcase(suite, tests);
  return help_run(suite);
}
