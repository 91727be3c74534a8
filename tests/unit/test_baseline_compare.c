/* hf_baseline_compare: a number beside a baseline's, exactly, without a store. That
 * hf_baseline_check says the same of a run is shown by tests/cli/test_report.py. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/baseline.h>

static hf_checked checked;
static hf_error error;

static int compare(const char *best, hf_goal goal, const char *value, const char *tolerance,
                   const char *percent) {
  hf_baseline baseline = {.metric = "/auc", .value = best, .goal = goal};
  hf_check_options options = {.tolerance = tolerance, .tolerance_percent = percent};
  memset(&error, 0, sizeof error);
  return hf_baseline_compare(&baseline, value, strlen(value), &options, &checked, &error);
}

START_TEST(by_the_goal) {
  static const struct {
    const char *best, *value;
    hf_check_result max, min;
  } rows[] = {
      {"0.7", "0.7", HF_CHECK_PASSED, HF_CHECK_PASSED},
      {"0.7", "7e-1", HF_CHECK_PASSED, HF_CHECK_PASSED},
      {"0.7", "0.69999999999999999999", HF_CHECK_WORSE, HF_CHECK_PASSED},
      {"0.7", "0.70000000000000000001", HF_CHECK_PASSED, HF_CHECK_WORSE},
      {"9007199254740993", "9007199254740992", HF_CHECK_WORSE, HF_CHECK_PASSED},
      {"-1", "1e400", HF_CHECK_PASSED, HF_CHECK_WORSE},
      {"-1e400", "-1e401", HF_CHECK_WORSE, HF_CHECK_PASSED},
  };
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    ck_assert_int_eq(compare(rows[i].best, HF_GOAL_MAX, rows[i].value, NULL, NULL), HF_OK);
    ck_assert_int_eq(checked.result, rows[i].max);
    ck_assert_str_eq(checked.value, rows[i].value);
    ck_assert_str_eq(checked.baseline_value, rows[i].best);
    ck_assert_int_eq(compare(rows[i].best, HF_GOAL_MIN, rows[i].value, NULL, NULL), HF_OK);
    ck_assert_int_eq(checked.result, rows[i].min);
  }
}
END_TEST

START_TEST(within_a_tolerance) {
  ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, "0.69", "0.01", NULL), HF_OK);
  ck_assert_int_eq(checked.result, HF_CHECK_PASSED);
  ck_assert_str_eq(checked.delta, "-0.01");
  ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, "0.6899999999999999999999", "0.01", NULL), HF_OK);
  ck_assert_int_eq(checked.result, HF_CHECK_WORSE);
  ck_assert_int_eq(compare("-200", HF_GOAL_MIN, "-198", NULL, "1"), HF_OK);
  ck_assert_int_eq(checked.result, HF_CHECK_PASSED);
  ck_assert_int_eq(compare("-200", HF_GOAL_MIN, "-197.99999999999999", NULL, "1"), HF_OK);
  ck_assert_int_eq(checked.result, HF_CHECK_WORSE);
}
END_TEST

START_TEST(refused) {
  static const char *const values[] = {"", "\"0.7\"", "null", "{}", "0.7 0.7", "01", "nan", "0.7,"};
  static const char *const tolerances[] = {"", "-1", "x", "1%", "\"1\""};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
    ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, values[i], NULL, NULL), HF_EINVAL);
  for (size_t i = 0; i < sizeof tolerances / sizeof tolerances[0]; i++) {
    ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, "1", tolerances[i], NULL), HF_EINVAL);
    ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, "1", NULL, tolerances[i]), HF_EINVAL);
  }
  char *longest = malloc(HF_BASELINE_VALUE_BYTES_MAX + 2);
  ck_assert_ptr_nonnull(longest);
  memset(longest, '1', HF_BASELINE_VALUE_BYTES_MAX + 1);
  longest[HF_BASELINE_VALUE_BYTES_MAX + 1] = '\0';
  ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, longest, NULL, NULL), HF_EINVAL);
  longest[HF_BASELINE_VALUE_BYTES_MAX] = '\0';
  ck_assert_int_eq(compare("0.7", HF_GOAL_MAX, longest, NULL, NULL), HF_OK);
  free(longest);
  hf_baseline by_hand = {.by = "set"}; /* without a metric */
  ck_assert_int_eq(hf_baseline_compare(&by_hand, "1", 1, NULL, &checked, &error), HF_ENOTFOUND);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("baseline_compare");
  TCase *numbers = tcase_create("numbers");
  tcase_add_test(numbers, by_the_goal);
  tcase_add_test(numbers, within_a_tolerance);
  tcase_add_test(numbers, refused);
  suite_add_tcase(s, numbers);
  return s;
}

int main(void) {
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
