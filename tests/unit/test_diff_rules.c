/* The rules of a comparison: patterns, the configuration's "compare", and comparability. */
#include <holdfast/diff.h>

#include <check.h>

#include "diff_help.h"
#include "diff_rules.h"

static int matches(const char *pattern, const char *const *names) {
  hf_name place[8];
  size_t count = 0;
  for (; names[count] != NULL; count++)
    place[count] = (hf_name){names[count], strlen(names[count])};
  return hf_pattern_matches(pattern, place, count);
}

#define PLACE(...) ((const char *const[]){__VA_ARGS__, NULL})

START_TEST(patterns) {
  ck_assert(matches("/a/b", PLACE("a", "b")));
  ck_assert(!matches("/a/b", PLACE("a")));
  ck_assert(!matches("/a/b", PLACE("a", "b", "c"))); /* what is below is the walk's work */
  ck_assert(!matches("/a/b", PLACE("x", "b")));
  ck_assert(matches("/a/*", PLACE("a", "")));
  ck_assert(matches("/a/*/c", PLACE("a", "b", "c")));
  ck_assert(matches("/a*c", PLACE("abbc")));
  ck_assert(matches("/*a*b*", PLACE("xxaxxabxx")));
  ck_assert(!matches("/*a*b", PLACE("xxaxxabxx")));
  ck_assert(!matches("/a*", PLACE("b")));
  ck_assert(!matches("/ab*ba", PLACE("aba")));
  ck_assert(matches("/ab*ba", PLACE("abba")));
  ck_assert(matches("/*~1*~0", PLACE("a/b~")));
  ck_assert(!matches("/*~1*~1~0", PLACE("a/b~")));
  ck_assert(matches("/**/a*/c", PLACE("ac", "ab", "c")));
  ck_assert(!matches("/**/a*/c", PLACE("ab", "b", "c")));
  ck_assert(matches("/a/**/b/**/c/*", PLACE("a", "b", "c", "b", "c", "c")));
  ck_assert(!matches("/a/**/b/**/c/*", PLACE("a", "c", "b", "c")));
  ck_assert(matches("/**", PLACE("a", "b")));
  ck_assert(matches("/**/c", PLACE("c")));
  ck_assert(matches("/**/c", PLACE("a", "b", "c")));
  ck_assert(matches("/a/**/c", PLACE("a", "c", "b", "c")));
  ck_assert(!matches("/a/**/c", PLACE("a", "c", "b")));
  ck_assert(matches("/a/**/b/*/c", PLACE("a", "b", "b", "x", "c")));
  ck_assert(matches("c", PLACE("a", "b", "c")));
  ck_assert(!matches("c", PLACE("c", "b")));
  ck_assert(matches("*_path", PLACE("a", "log_path")));
  ck_assert(matches("a~1b", PLACE("a/b")));
  ck_assert(matches("/m~0n", PLACE("m~n")));
  ck_assert(!matches("/m~0n", PLACE("m~0n")));
  ck_assert(matches("/**", (const char *const[]){NULL}));
  ck_assert(!matches("c", (const char *const[]){NULL}));
  ck_assert(matches("/l/0", PLACE("l", "0")));
}
END_TEST

START_TEST(a_pattern_of_many_stars_takes_no_time) {
  char name[1001], pattern[201];
  memset(name, 'a', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  for (size_t i = 0; i + 1 < sizeof pattern; i += 2)
    memcpy(pattern + i, "*a", 2);
  memcpy(pattern + sizeof pattern - 3, "*b", 3);
  for (int i = 0; i < 1000; i++)
    ck_assert(!matches(pattern, PLACE(name)));
}
END_TEST

static void with(const char *compare, const char *a, const char *b, const char *expected) {
  hf_error error = HF_ERROR_INIT;
  hf_config *config = load_compare(compare, &error);
  ck_assert_msg(config != NULL, "%s", error.message);
  expect_with(a, b, config, 0, expected);
  hf_config_free(&config);
}

START_TEST(rules_of_the_configuration) {
  with("{}", "{\"run_id\":1}", "{\"run_id\":2}", "");
  with("{\"defaults\":false}", "{\"run_id\":1}", "{\"run_id\":2}", "~/run_id 1>2 major");
  with("{\"leave_out\":[\"/a/*/x\"]}", "{\"a\":{\"b\":{\"x\":1,\"y\":1}}}",
       "{\"a\":{\"b\":{\"x\":2,\"y\":2}}}", "~/a/b/y 1>2 major");
  with("{\"leave_out\":[\"/a\"]}", "{\"a\":{\"b\":{\"x\":1}}}", "{}", "");
  with("{\"keep\":[\"/run_id\"]}", "{\"run_id\":1,\"a\":{\"run_id\":1}}",
       "{\"run_id\":2,\"a\":{\"run_id\":2}}", "~/run_id 1>2 major");
  with("{\"keep\":[\"/paths/train\"]}", "{\"paths\":{\"train\":1,\"log\":1}}",
       "{\"paths\":{\"train\":2,\"log\":2}}", "~/paths/train 1>2 major");
  with("{\"sets\":[\"/a\"]}", "{\"a\":[1,2]}", "{\"a\":[2,1]}", "");
  with("{\"lists\":[\"tags\"]}", "{\"tags\":[1,2]}", "{\"tags\":[2,1]}",
       "-/tags/0 1 major; +/tags/1 1 major");
  with("{\"tolerance\":0}", "{\"a\":0.1}", "{\"a\":0.10000000000000000000001}",
       "~/a 0.1>0.10000000000000000000001 major");
  with("{\"tolerance\":0.3}", "{\"a\":0.1,\"b\":0.1}", "{\"a\":0.3999,\"b\":0.4}",
       "~/b 0.1>0.4 major"); /* as decimals: in doubles 0.4 - 0.1 is more than 0.3 */
  with("{\"tolerances\":[{\"pattern\":\"/a/b\",\"tolerance\":10},{\"pattern\":\"/a\","
       "\"tolerance\":0}]}",
       "{\"a\":{\"b\":1,\"c\":1,\"d\":[0.1]}}", "{\"a\":{\"b\":10.5,\"c\":2,\"d\":[0.10000001]}}",
       "~/a/c 1>2 major; ~/a/d/0 0.1>0.10000001 major");
  with("{\"severity\":[{\"pattern\":\"/a/b\",\"severity\":\"none\"},{\"pattern\":\"/a\","
       "\"severity\":\"critical\"}]}",
       "{\"a\":{\"b\":1,\"c\":1}}", "{\"a\":{\"b\":2,\"c\":2}}",
       "~/a/b 1>2 none; ~/a/c 1>2 critical");
}
END_TEST

START_TEST(what_a_configuration_may_not_say) {
  static const struct {
    const char *compare, *says;
  } texts[] = {
      {"[]", "compare must be an object"},
      {"{\"ignore\":[]}", "there is no setting compare.ignore; here may stand: defaults, keep"},
      {"{\"leave_ouy\":[]}", "is leave_out meant?"},
      {"{\"leave_out\":\"a\"}", "compare.leave_out must be an array"},
      {"{\"leave_out\":[1]}", "compare.leave_out[0] must be a pattern"},
      {"{\"leave_out\":[\"b\",\"\"]}", "compare.leave_out[1]"},
      {"{\"leave_out\":[\"a/b\"]}", "begin with it"},
      {"{\"leave_out\":[\"/a**\"]}", "'**'"},
      {"{\"leave_out\":[\"**\"]}", "'**'"},
      {"{\"leave_out\":[\"/a~2\"]}", "'~'"},
      {"{\"leave_out\":[\"a\\u0000\"]}", "NUL"},
      {"{\"keep\":{}}", "compare.keep must be"},
      {"{\"defaults\":0}", "compare.defaults must be true or false"},
      {"{\"defaults\":true,\"defaults\":true}", "compare.defaults stands twice"},
      {"{\"tolerance\":-1}", "0 (any difference counts) or more"},
      {"{\"tolerance\":\"1\"}", "must be a number"},
      {"{\"tolerances\":[{\"pattern\":\"a\"}]}",
       "compare.tolerances[0] needs pattern and tolerance"},
      {"{\"tolerances\":[{\"pattern\":\"a\",\"tolerance\":1,\"x\":1}]}",
       "there is no setting compare.tolerances[0].x"},
      {"{\"tolerances\":[1]}", "compare.tolerances[0] must be an object"},
      {"{\"severity\":[{\"pattern\":\"a\",\"severity\":\"bad\"}]}", "there is no severity \"bad\""},
      {"{\"severity\":{}}", "compare.severity must be an array"},
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    hf_error error = HF_ERROR_INIT;
    hf_config *config = load_compare(texts[i].compare, &error);
    ck_assert_msg(config == NULL, "accepted: %s", texts[i].compare);
    ck_assert_int_eq(error.code, HF_ECONFIG);
    ck_assert_msg(strstr(error.message, texts[i].says) != NULL, "%s: %s", texts[i].compare,
                  error.message);
  }
}
END_TEST

START_TEST(too_many_patterns) {
  hf_autobuf text = {0};
  (void)hf_buf_add_text(&text, "{\"leave_out\":[\"a\"");
  for (int i = 0; i < HF_COMPARE_PATTERNS_MAX; i++)
    (void)hf_buf_add_text(&text, ",\"a\"");
  (void)hf_buf_add_text(&text, "]}");
  hf_error error = HF_ERROR_INIT;
  ck_assert_ptr_null(load_compare(text.data, &error));
  ck_assert_ptr_nonnull(strstr(error.message, "more than 1024"));
}
END_TEST

/* {"process":{"window":{"start":1}}} of /process/window/start. */
static void document_at(const char *pointer, int value, char *out, size_t room) {
  size_t depth = 0, used = 0;
  for (const char *p = pointer; *p != '\0'; depth++) {
    size_t bytes = strcspn(p + 1, "/");
    used += (size_t)snprintf(out + used, room - used, "{\"%.*s\":", (int)bytes, p + 1);
    p += 1 + bytes;
  }
  used += (size_t)snprintf(out + used, room - used, "%d", value);
  memset(out + used, '}', depth);
  out[used + depth] = '\0';
}

/* Ranges of the data matter most. When a run was made, and for how long, matters not at all, and
 * what may be either, or a hyperparameter, is as grave as what is not known. */
START_TEST(time_ranges_of_the_data) {
  static const struct {
    const char *severity, *pointers[24];
  } all[] = {
      {"critical",
       {"/inputs/window/start",
        "/process/window/end",
        "/process/rolling_windows/3/from",
        "/process/window/to",
        "/process/window/start_time",
        "/inputs/data/start",
        "/inputs/data/end_time",
        "/inputs/start_date",
        "/inputs/cutoff",
        "/inputs/period",
        "/process/date_range/0",
        "/process/time_range",
        "/process/train_date_range",
        "/process/train/start",
        "/process/validation/end",
        "/process/test/from",
        "/process/backtest/to",
        "/process/training_period",
        "/process/test_period/length",
        "/process/valid_from",
        "/process/periods/0/end",
        "/process/data_cutoff",
        "/process/holdout/start"}},
      {"major",
       {"/process/start_time", "/process/timing/end_time", "/start_time",
        "/process/training/start_time", "/process/window/size", "/process/lookback_period",
        "/process/cutoff", "/process/lr_schedule/start", "/process/training/schedule/end",
        "/inputs/copied/from", "/process/from", "/process/start"}},
      {"minor", {"/outputs/window/start", "/outputs/metrics/train/end"}},
      {"none", {"/process/duration_s", "/process/training_duration", "/process/elapsed"}},
      {NULL, /* left out */
       {"/timestamp", "/created_at", "/process/started_at", "/process/finished_at",
        "/inputs/data_timestamp", "/inputs/window/created_at", "/process/ended_at"}},
  };
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
    for (const char *const *at = all[i].pointers; *at != NULL; at++) {
      char a[256], b[256];
      document_at(*at, 1, a, sizeof a);
      document_at(*at, 2, b, sizeof b);
      hf_diff_result *result = compare_with(a, b, NULL, 0);
      const hf_diff_summary *summary = hf_diff_summary_of(result);
      ck_assert_msg(summary->changes == (all[i].severity != NULL), "%s: %llu changes", *at,
                    (unsigned long long)summary->changes);
      if (all[i].severity != NULL)
        ck_assert_msg(strcmp(hf_severity_name(summary->severity), all[i].severity) == 0, "%s: %s",
                      *at, hf_severity_name(summary->severity));
      hf_diff_free(&result);
    }
}
END_TEST

/* What hf_diff_rules prints can stand in a configuration, and says the same there. */
START_TEST(the_rules_in_force_as_text) {
  char *text = NULL, *again = NULL;
  size_t bytes = 0;
  hf_error error = HF_ERROR_INIT;
  hf_config *own = load_compare("{\"keep\":[\"/run_id\"],\"sets\":[\"/x\"],\"tolerance\":0.5,"
                                "\"tolerances\":[{\"pattern\":\"y\",\"tolerance\":1e-3}],"
                                "\"severity\":[{\"pattern\":\"/q\\\"\",\"severity\":\"none\"}]}",
                                &error);
  ck_assert_int_eq(hf_diff_rules(own, &text, &bytes, &error), HF_OK);
  ck_assert_uint_eq(bytes, strlen(text));
  hf_config *config = load_compare(text, &error);
  ck_assert_msg(config != NULL, "%s", error.message);
  ck_assert_int_eq(hf_diff_rules(config, &again, &bytes, &error), HF_OK);
  ck_assert_str_eq(again, text);
  expect_with("{\"run_id\":1,\"timestamp\":1}", "{\"run_id\":2,\"timestamp\":2}", config, 0,
              "~/run_id 1>2 major");
  free(text);
  free(again);
  hf_config_free(&config);
  hf_config_free(&own);
}
END_TEST

/* ---- comparable ---- */

static void expect_reason(const hf_record *a, const hf_record *b, unsigned differs,
                          const char *reason) {
  hf_diff_result *result = NULL;
  ck_assert_int_eq(hf_diff(a, b, NULL, &result, NULL), HF_OK);
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  ck_assert_uint_eq(summary->differs, differs);
  ck_assert_int_eq(summary->comparable, differs == 0);
  ck_assert_str_eq(summary->reason, reason);
  hf_diff_free(&result);
}

START_TEST(comparable) {
  static const hf_dim dims[] = {{"target", "y"}, {"view", "v"}};
  static const hf_dim others[] = {{"symbol", "AAPL"}, {"target", "z"}};
  hf_record a = record_of(1, "one", "{}"), b = record_of(2, "two", "{}");
  expect_reason(&a, &b, 0, "");
  b.run_id = "one";
  expect_reason(&a, &b, HF_DIFFERS_NOT_RUN, "both are of run \"one\"");
  b = record_of(2, "two", "{}");
  b.stage = "t";
  expect_reason(&a, &b, HF_DIFFERS_STAGE, "the stages differ: \"s\" and \"t\"");
  b = record_of(2, "two", "{}");
  a.dims = dims;
  a.dims_count = 2;
  expect_reason(&a, &b, HF_DIFFERS_DIMS,
                "the dims differ: target \"y\" and none, view \"v\" and none");
  b.dims = others;
  b.dims_count = 2;
  expect_reason(&a, &b, HF_DIFFERS_DIMS,
                "the dims differ: target \"y\" and \"z\", view \"v\" and none, symbol none and "
                "\"AAPL\"");
  a = record_of(1, "one", "{}");
  b = record_of(2, "two", "{}");
  b.group = NULL;
  expect_reason(&a, &b, HF_DIFFERS_GROUP, "the groups differ: \"g\" and none");
  a.group = NULL;
  expect_reason(&a, &b, HF_DIFFERS_NO_GROUP, "neither has a group");
}
END_TEST

START_TEST(members_of_the_groups_that_differ) {
  hf_record a = record_of(1, "one", "{\"comparison_group\":{\"n\":5,\"x\":\"same\",\"s\":null}}");
  hf_record b = record_of(2, "two", "{\"comparison_group\":{\"x\":\"same\",\"n\":6,\"seed\":1}}");
  a.group = "59f16576ef4e7b5660514f700239a5d0349f9b5e1a5ab982ef07087c9d63d6ed";
  expect_reason(&a, &b, HF_DIFFERS_GROUP,
                "the groups differ: 59f16576ef4e... and \"g\", in /comparison_group: n 5 and 6, s "
                "null and none, seed none and 1");
}
END_TEST

START_TEST(a_long_reason_is_cut) {
  hf_autobuf doc = {0}, other = {0};
  char stage[2][300];
  memset(stage, 'x', sizeof stage);
  stage[0][299] = stage[1][299] = '\0';
  stage[1][0] = 'y';
  (void)hf_buf_add_text(&doc, "{\"comparison_group\":{\"z\":0");
  (void)hf_buf_add_text(&other, "{\"comparison_group\":{\"z\":1");
  for (int i = 0; i < 5000; i++) {
    (void)hf_buf_printf(&doc, ",\"%0900d\":\"%s\"", i, "\xC3\xA9\xC3\xA9");
    (void)hf_buf_printf(&other, ",\"%0900d\":\"%s\"", i, "\xC3\xA9");
  }
  (void)hf_buf_add_text(&doc, "}}");
  (void)hf_buf_add_text(&other, "}}");
  hf_record a = record_of(1, "one", doc.data), b = record_of(2, "two", other.data);
  a.stage = stage[0];
  b.stage = stage[1];
  b.group = "h";
  hf_diff_result *result = NULL;
  ck_assert_int_eq(hf_diff(&a, &b, NULL, &result, NULL), HF_OK);
  const char *reason = hf_diff_summary_of(result)->reason;
  ck_assert_uint_lt(strlen(reason), HF_DIFF_REASON_BYTES);
  ck_assert_ptr_nonnull(strstr(reason, "x...\" and \"y"));
  ck_assert_ptr_nonnull(strstr(reason, "and 4993 more"));
  hf_diff_free(&result);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("rules");
  tcase_add_test(tests, patterns);
  tcase_add_test(tests, a_pattern_of_many_stars_takes_no_time);
  tcase_add_test(tests, rules_of_the_configuration);
  tcase_add_test(tests, what_a_configuration_may_not_say);
  tcase_add_test(tests, too_many_patterns);
  tcase_add_test(tests, the_rules_in_force_as_text);
  tcase_add_test(tests, time_ranges_of_the_data);
  tcase_add_test(tests, comparable);
  tcase_add_test(tests, members_of_the_groups_that_differ);
  tcase_add_test(tests, a_long_reason_is_cut);
  Suite *suite = suite_create("diff rules");
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
