/* hf_diff: what differs, and how it is told. */
#include <holdfast/diff.h>

#include <check.h>

#include "diff_help.h"

START_TEST(members) {
  expect("{}", "{}", "");
  expect("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "");
  expect("{\"a\":1}", "{\"b\":2}", "-/a 1 major; +/b 2 major");
  expect("{\"a\":{\"b\":{\"c\":1}}}", "{\"a\":{\"b\":{\"c\":null}}}", "~/a/b/c 1>null major");
  expect("{\"a\":{}}", "{\"a\":[]}", "~/a {}>[] major");
  expect("{\"a\":true}", "{\"a\":\"true\"}", "~/a true>\"true\" major");
  expect("{\"a\":1}", "{\"a\":\"1\"}", "~/a 1>\"1\" major");
}
END_TEST

START_TEST(of_a_member_that_stands_twice_the_last_one_counts) {
  expect("{\"a\":1,\"a\":2}", "{\"a\":2}", "");
  expect("{\"a\":2,\"b\":0,\"\\u0061\":3}", "{\"a\":2,\"b\":0}", "~/a 3>2 major");
  expect("{\"a\":[1,{\"x\":1,\"x\":2}]}", "{\"a\":[1,{\"x\":2}]}", "");
  /* more than a few members, so that they are sorted */
  expect("{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
         "\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"r\":1,\"c\":2}",
         "{\"a\":1,\"b\":1,\"c\":1,\"d\":1,\"e\":1,\"f\":1,\"g\":1,\"h\":1,\"i\":1,\"j\":1,\"k\":1,"
         "\"l\":1,\"m\":1,\"n\":1,\"o\":1,\"p\":1,\"q\":1,\"r\":1}",
         "~/c 2>1 major");
}
END_TEST

START_TEST(names_in_pointers) {
  expect("{\"a/b\":{\"m~n\":1}}", "{\"a/b\":{\"m~n\":2}}", "~/a~1b/m~0n 1>2 major");
  expect("{\"\":{\"\":1}}", "{\"\":{\"\":2}}", "~// 1>2 major");
  expect("{\"\\u00e9\":1}", "{\"\xC3\xA9\":2}", "~/\xC3\xA9 1>2 major");
  expect("{\"x\\ny\":1}", "{\"x\\u000ay\":1}", "");
  expect("{\"n\\u0000\":1,\"s\\ud800\":1}", "{\"n\\u0000\":2,\"s\\ud800\":2}",
         "~/n\xEF\xBF\xBD 1>2 major; ~/s\xEF\xBF\xBD 1>2 major");
  expect("{\"s\\ud800\":1}", "{\"s\\ud801\":1}",
         "-/s\xEF\xBF\xBD 1 major; +/s\xEF\xBF\xBD 1 major"); /* other names */
}
END_TEST

START_TEST(numbers_are_compared_by_value_and_shown_as_they_stand) {
  expect("{\"a\":1e2}", "{\"a\":100.0}", "");
  expect("{\"a\":-0}", "{\"a\":0.0}", "");
  expect("{\"a\":9007199254740992}", "{\"a\":9007199254740993}",
         "~/a 9007199254740992>9007199254740993 major");
  expect("{\"a\":1e400}", "{\"a\":1e401}", "~/a 1e400>1e401 major");
  expect("{\"a\":0.10}", "{\"a\":0.20}", "~/a 0.10>0.20 major");
}
END_TEST

/* They differ where they are one in the sixth decimal place apart, or more: exactly. */
START_TEST(the_tolerance) {
  static const struct {
    const char *a, *b;
    int differ;
  } pairs[] = {
      {"0.1", "0.100001", 1},
      {"0.1", "0.1000009", 0},
      {"0.1", "0.10000099999999999999999999999999", 0},
      {"0.100001", "0.1", 1},
      {"0.9999999", "1.0000001", 0}, /* no border between them */
      {"0.9999995", "1.0000005", 1},
      {"-0.0000005", "0.0000005", 1},
      {"-0.0000004", "0.0000005", 0},
      {"1e-7", "9e-7", 0},
      {"1e-400", "0", 0},
      {"123456789012345678901234567890.000001", "123456789012345678901234567890.000002", 1},
      {"123456789012345678901234567890.000001", "123456789012345678901234567890.0000019", 0},
      {"1e400", "1e400", 0},
      {"1e5000", "0.5", 1}, /* the difference has too many digits to be written */
      {"1e-5000", "2e-5", 1},
      {"1e-5000", "2e-9", 0},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    char a[128], b[128];
    (void)snprintf(a, sizeof a, "{\"x\":%s}", pairs[i].a);
    (void)snprintf(b, sizeof b, "{\"x\":%s}", pairs[i].b);
    hf_diff_result *result = compare_with(a, b, NULL, 0);
    const hf_diff_summary *summary = hf_diff_summary_of(result);
    ck_assert_msg(summary->changes == (uint64_t)pairs[i].differ, "%s %s", pairs[i].a, pairs[i].b);
    int close = !pairs[i].differ && strcmp(a, b) != 0;
    ck_assert_uint_eq(summary->close, (uint64_t)close);
    hf_diff_free(&result);
  }
}
END_TEST

START_TEST(deltas_are_exact) {
  static const struct {
    const char *a, *b, *delta;
    int direction, has_percent;
    double percent;
  } pairs[] = {
      {"0.71", "0.74", "0.03", 1, 1, 4.225352112676056},
      {"0.3", "0.1", "-0.2", -1, 1, -66.66666666666667},
      {"-2", "-1", "1", 1, 1, 50},
      {"9007199254740992", "9007199254740993", "1", 1, 1, 1.1102230246251565e-14},
      {"0", "5", "5", 1, 0, 0},
      {"1e400", "2e400", "1e+400", 1, 1, 0}, /* beyond doubles */
      {"1", "1e5000", NULL, 1, 1, 0},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    char a[64], b[64];
    (void)snprintf(a, sizeof a, "{\"x\":%s}", pairs[i].a);
    (void)snprintf(b, sizeof b, "{\"x\":%s}", pairs[i].b);
    hf_diff_result *result = compare_with(a, b, NULL, 0);
    hf_change change;
    ck_assert_int_eq(hf_diff_next(result, &change, NULL), 1);
    if (pairs[i].delta != NULL)
      ck_assert_str_eq(change.delta, pairs[i].delta);
    else
      ck_assert_ptr_null(change.delta);
    ck_assert_int_eq(change.direction, pairs[i].direction);
    if (pairs[i].percent != 0 || !pairs[i].has_percent) {
      ck_assert_int_eq(change.has_percent, pairs[i].has_percent);
      ck_assert_double_eq_tol(change.percent, pairs[i].percent, 1e-12);
    }
    hf_diff_free(&result);
  }
}
END_TEST

START_TEST(lists) {
  expect("{\"l\":[1,2,3]}", "{\"l\":[1,2,3,4]}", "+/l/3 4 major");
  expect("{\"l\":[1,2,3]}", "{\"l\":[0,1,2,3]}", "+/l/0 0 major");
  expect("{\"l\":[1,2,3]}", "{\"l\":[1,3]}", "-/l/1 2 major");
  expect("{\"l\":[1,2,3]}", "{\"l\":[1,9,3]}", "~/l/1 2>9 major");
  expect("{\"l\":[\"a\",\"b\",\"c\",\"d\"]}", "{\"l\":[\"b\",\"c\",\"d\",\"e\"]}",
         "-/l/0 \"a\" major; +/l/3 \"e\" major");
  expect("{\"l\":[{\"x\":1},{\"y\":1},{\"z\":1}]}", "{\"l\":[{\"y\":1},{\"z\":2}]}",
         "-/l/0 {\"x\":1} major; ~/l/1/z 1>2 major");
  expect("{\"l\":[]}", "{\"l\":[{\"y\":1}]}", "+/l/0 {\"y\":1} major");
  expect("{\"l\":[1,2]}", "{\"l\":[2,1]}", "-/l/0 1 major; +/l/1 1 major");
  /* noise in each: side by side, each within the tolerance */
  expect("{\"l\":[0.1,0.2,0.3]}", "{\"l\":[0.1000001,0.2000001,0.4]}", "~/l/2 0.3>0.4 major");
}
END_TEST

START_TEST(old_pointers_of_elements_that_moved) {
  hf_diff_result *result =
      compare_with("{\"l\":[0,{\"y\":1},7]}", "{\"l\":[{\"y\":2},7]}", NULL, 0);
  hf_change change;
  ck_assert_int_eq(hf_diff_next(result, &change, NULL), 1);
  hf_diff_free(&result);
  result = compare_with("{\"l\":[0,5,{\"y\":1}]}", "{\"l\":[5,{\"y\":2}]}", NULL, 0);
  ck_assert_int_eq(hf_diff_next(result, &change, NULL), 1);
  ck_assert_str_eq(change.pointer, "/l/0"); /* what was removed: in a */
  ck_assert_str_eq(change.old_pointer, "/l/0");
  ck_assert_int_eq(hf_diff_next(result, &change, NULL), 1);
  ck_assert_str_eq(change.pointer, "/l/1/y");
  ck_assert_str_eq(change.old_pointer, "/l/2/y");
  hf_diff_free(&result);
}
END_TEST

START_TEST(sets) {
  expect("{\"tags\":[\"a\",\"b\"]}", "{\"tags\":[\"b\",\"a\",\"b\"]}", "");
  expect("{\"tags\":[\"a\",\"b\",\"a\"]}", "{\"tags\":[\"c\",\"b\",\"c\"]}",
         "-/tags/0 \"a\" major; +/tags/0 \"c\" major");
  expect("{\"inputs\":{\"features\":[{\"x\":1e2},2]}}",
         "{\"inputs\":{\"features\":[2.0,{\"x\":100}]}}", "");
  expect("{\"tags\":\"a\"}", "{\"tags\":[\"a\"]}", "~/tags \"a\">[\"a\"] major");
}
END_TEST

START_TEST(what_one_side_alone_has) {
  expect("{}", "{\"process\":{\"cv\":{\"folds\":5},\"seed\":1,\"log_path\":\"x\",\"l\":[1,2]}}",
         "+/process/cv/folds 5 critical; +/process/seed 1 major; +/process/l [1,2] major");
  expect("{\"inputs\":{}}", "{}", "-/inputs {} major");
}
END_TEST

START_TEST(sections) {
  expect("{\"z\":1,\"outputs\":1,\"inputs\":1,\"process\":1,\"a\":1}",
         "{\"z\":2,\"outputs\":2,\"inputs\":2,\"process\":2,\"a\":2}",
         "~/inputs 1>2 major; ~/process 1>2 major; ~/outputs 1>2 minor; ~/z 1>2 major; ~/a 1>2 "
         "major");
  expect("{\"a\":1,\"inputs\":1}", "{\"b\":1,\"inputs\":1}", "-/a 1 major; +/b 1 major");
}
END_TEST

START_TEST(severities_by_the_built_in_rules) {
  static const struct {
    const char *pointer;
    const char *severity;
  } places[] = {
      {"inputs\":{\"split", "critical"},
      {"process\":{\"cv", "critical"},
      {"inputs\":{\"date_start", "critical"},
      {"inputs\":{\"features", "critical"},
      {"inputs\":{\"target", "critical"},
      {"outputs\":{\"leakage_found", "critical"},
      {"outputs\":{\"selected_features", "critical"},
      {"process\":{\"learning_rate", "major"},
      {"process\":{\"versions", "major"},
      {"process\":{\"sampling", "major"},
      {"process\":{\"warm_start", "major"},
      {"process\":{\"max_features", "major"},
      {"anything\":{\"else", "major"},
      {"outputs\":{\"auc", "minor"},
      {"outputs\":{\"n_models", "minor"},
      {"outputs\":{\"feature_importances", "minor"},
      {"metrics\":{\"folds", "minor"},
      {"val\":{\"val_loss", "minor"},
      {"process\":{\"duration_s", "none"},
  };
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    char a[128], b[128];
    (void)snprintf(a, sizeof a, "{\"%s\":1}}", places[i].pointer);
    (void)snprintf(b, sizeof b, "{\"%s\":2}}", places[i].pointer);
    hf_diff_result *result = compare_with(a, b, NULL, 0);
    const hf_diff_summary *summary = hf_diff_summary_of(result);
    ck_assert_uint_eq(summary->changes, 1);
    ck_assert_msg(strcmp(hf_severity_name(summary->severity), places[i].severity) == 0, "%s: %s", a,
                  hf_severity_name(summary->severity));
    hf_diff_free(&result);
  }
}
END_TEST

START_TEST(what_is_left_out) {
  static const char a[] = "{\"run_id\":\"a\",\"timestamp\":1,\"inputs\":{\"train_path\":\"x\","
                          "\"paths\":{\"log\":1}},\"host\":\"h\",\"k\":0.1}";
  static const char b[] = "{\"run_id\":\"b\",\"timestamp\":2,\"inputs\":{\"train_path\":\"y\","
                          "\"paths\":{\"log\":2}},\"host\":\"h\",\"k\":0.1000001}";
  expect(a, b, "");
  hf_diff_result *result = compare_with(a, b, NULL, 0);
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  ck_assert_uint_eq(summary->left_out, 4); /* not the host: it is the same */
  ck_assert_uint_eq(summary->close, 1);
  ck_assert_uint_eq(summary->changes, 0);
  ck_assert_int_eq(summary->identical, 0);
  hf_diff_free(&result);
  expect_with(a, b, NULL, 1,
              "#/inputs/train_path \"x\">\"y\" none; #/inputs/paths {\"log\":1}>{\"log\":2} none; "
              "#/run_id \"a\">\"b\" none; #/timestamp 1>2 none; #/host \"h\">\"h\" none; ./k "
              "0.1>0.1000001 none");
}
END_TEST

START_TEST(all_of_it) {
  expect_with("{\"a\":[1,{\"b\":[]}],\"tags\":[2,1],\"c\":{},\"d\":3}",
              "{\"a\":[1,{\"b\":[]}],\"tags\":[1,2],\"c\":{},\"d\":4}", NULL, 1,
              "=/a/0 1>1 none; =/a/1/b []>[] none; =/tags/1 2>2 none; =/tags/0 1>1 none; =/c "
              "{}>{} none; ~/d 3>4 major");
  expect_with("{}", "{}", NULL, 1, "= {}>{} none");
}
END_TEST

START_TEST(counts) {
  hf_diff_result *result = compare_with(
      "{\"inputs\":{\"target\":1,\"x\":1},\"outputs\":{\"auc\":1,\"elapsed\":1}}",
      "{\"inputs\":{\"target\":2,\"x\":2},\"outputs\":{\"auc\":2,\"elapsed\":2},\"n\":1}", NULL, 0);
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  ck_assert_uint_eq(summary->changes, 5);
  ck_assert_int_eq(summary->severity, HF_SEVERITY_CRITICAL);
  ck_assert_uint_eq(summary->by_severity[HF_SEVERITY_CRITICAL], 1);
  ck_assert_uint_eq(summary->by_severity[HF_SEVERITY_MAJOR], 2);
  ck_assert_uint_eq(summary->by_severity[HF_SEVERITY_MINOR], 1);
  ck_assert_uint_eq(summary->by_severity[HF_SEVERITY_NONE], 1);
  ck_assert_uint_eq(summary->by_section[HF_SECTION_INPUTS], 2);
  ck_assert_uint_eq(summary->by_section[HF_SECTION_OUTPUTS], 2);
  ck_assert_uint_eq(summary->by_section[HF_SECTION_OTHER], 1);
  hf_diff_free(&result);
  hf_diff_free(&result);
  hf_diff_free(NULL);
}
END_TEST

START_TEST(patches) {
  expect_patch("{}", "{}", "[]");
  expect_patch("{\"a\":1,\"b\":2}", "{\"b\":2,\"a\":1}", "[]");
  expect_patch("{\"run_id\":1}", "{\"run_id\":2}",
               "[{\"op\":\"replace\",\"path\":\"/run_id\",\"value\":2}]");
  expect_patch("{\"x\":1e2}", "{\"x\":100}",
               "[{\"op\":\"replace\",\"path\":\"/x\",\"value\":100}]");
  expect_patch("{\"x\":0.1}", "{\"x\":9007199254740993,\"y\":1e400,\"z\":0.10}",
               "[{\"op\":\"replace\",\"path\":\"/x\",\"value\":9007199254740993},"
               "{\"op\":\"add\",\"path\":\"/y\",\"value\":1e400},"
               "{\"op\":\"add\",\"path\":\"/z\",\"value\":0.10}]");
  expect_patch("{\"a/b\":1,\"m~n\":1}", "{\"q\\\"\\ud800\":{ \"x\" : [ 1 ] }}",
               "[{\"op\":\"remove\",\"path\":\"/a~1b\"},{\"op\":\"remove\",\"path\":\"/m~0n\"},"
               "{\"op\":\"add\",\"path\":\"/q\\\"\\ud800\",\"value\":{\"x\":[1]}}]");
  /* from the end to the beginning: no change moves what a later one means */
  expect_patch("[1,2,3,4,{\"x\":1}]", "[0,1,4,{\"x\":2},5,6]",
               "[{\"op\":\"add\",\"path\":\"/5\",\"value\":5},"
               "{\"op\":\"add\",\"path\":\"/6\",\"value\":6},"
               "{\"op\":\"replace\",\"path\":\"/4/x\",\"value\":2},"
               "{\"op\":\"remove\",\"path\":\"/2\"},{\"op\":\"remove\",\"path\":\"/1\"},"
               "{\"op\":\"add\",\"path\":\"/0\",\"value\":0}]");
  expect_patch("[]", " 7 ", "[{\"op\":\"replace\",\"path\":\"\",\"value\":7}]");
}
END_TEST

static void refuse_patch(const char *a, const char *b, int status, const char *says) {
  char *patch = NULL;
  size_t bytes = 0;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_diff_patch(a, strlen(a), b, strlen(b), &patch, &bytes, &error), status);
  ck_assert_ptr_null(patch);
  ck_assert_msg(strstr(error.message, says) != NULL, "%s", error.message);
}

START_TEST(texts_that_are_not_JSON) {
  refuse_patch("{", "{}", HF_EDOC, "the old document");
  refuse_patch("{}", "{\"a\":01}", HF_EDOC, "the new document");
  refuse_patch("", "{}", HF_EDOC, "the old document");
  hf_record good = record_of(1, "a", "{}"), bad = record_of(2, "b", "[1]");
  hf_diff_result *result = NULL;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_diff(&good, &bad, NULL, &result, &error), HF_EDOC);
  ck_assert_ptr_nonnull(strstr(error.message, "seq 2"));
  ck_assert_ptr_null(result);
  ck_assert_int_eq(hf_diff(NULL, &bad, NULL, &result, &error), HF_EINVAL);
}
END_TEST

START_TEST(records_without_a_document) {
  hf_record good = record_of(1, "a", "{}"), gone = record_of(7, "b", NULL);
  hf_diff_result *result = NULL;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_diff(&good, &gone, NULL, &result, &error), HF_ENOTFOUND);
  ck_assert_ptr_nonnull(strstr(error.message, "seq 7"));
  ck_assert_ptr_nonnull(strstr(error.message, "gc"));
  gone.op = "end";
  ck_assert_int_eq(hf_diff(&gone, &good, NULL, &result, &error), HF_ENOTFOUND);
  ck_assert_ptr_nonnull(strstr(error.message, "no snapshot"));
  ck_assert_ptr_null(result);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("diff");
  tcase_add_test(tests, members);
  tcase_add_test(tests, of_a_member_that_stands_twice_the_last_one_counts);
  tcase_add_test(tests, names_in_pointers);
  tcase_add_test(tests, numbers_are_compared_by_value_and_shown_as_they_stand);
  tcase_add_test(tests, the_tolerance);
  tcase_add_test(tests, deltas_are_exact);
  tcase_add_test(tests, lists);
  tcase_add_test(tests, old_pointers_of_elements_that_moved);
  tcase_add_test(tests, sets);
  tcase_add_test(tests, what_one_side_alone_has);
  tcase_add_test(tests, sections);
  tcase_add_test(tests, severities_by_the_built_in_rules);
  tcase_add_test(tests, what_is_left_out);
  tcase_add_test(tests, all_of_it);
  tcase_add_test(tests, counts);
  tcase_add_test(tests, patches);
  tcase_add_test(tests, texts_that_are_not_JSON);
  tcase_add_test(tests, records_without_a_document);
  Suite *suite = suite_create("diff");
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
