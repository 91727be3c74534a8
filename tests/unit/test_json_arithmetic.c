/* Numbers compared and subtracted by their digits, never as doubles. The expected differences were
 * made by Python's decimal. */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/holdfast.h>

#include "json_help.h"

static hf_json number(const char *text) {
  hf_json value = hf_json_value(text, strlen(text));
  ck_assert_msg(value.type == HF_JSON_NUMBER, "%s", text);
  return value;
}

START_TEST(in_order) {
  static const char *const ascending[] = {
      "-1e1000000000000000000000000000000",
      "-2e999999999999999999999999999999",
      "-1e400",
      "-9007199254740993",
      "-9007199254740992.5",
      "-10.01",
      "-10",
      "-0.5",
      "-1e-400",
      "-1e-1000000000000000000000000000000",
      "0",
      "1e-1000000000000000000000000000000",
      "1e-999999999999999999999999999998",
      "1e-400",
      "0.1",
      "0.10000000000000000000001",
      "1",
      "9.99",
      "10",
      "9007199254740992",
      "9007199254740993",
      "1e400",
      "1.0000000000000000000000001e400",
      "1e401",
      "1e99999999999999999",
      "1e100000000000000000",
      "99e999999999999999998",
      "1e1000000000000000000",
      "1e1000000000000000000000000000000",
  };
  for (size_t i = 0; i < COUNT(ascending); i++)
    for (size_t j = 0; j < COUNT(ascending); j++) {
      hf_json a = number(ascending[i]);
      hf_json b = number(ascending[j]);
      int expected = (i > j) - (i < j);
      ck_assert_msg(hf_json_number_compare(&a, &b) == expected, "%s, %s", ascending[i],
                    ascending[j]);
    }
}
END_TEST

START_TEST(equal_by_value) {
  static const char *const pairs[][2] = {
      {"0", "-0"},
      {"0", "0e7"},
      {"-0.000e-99999999999999999999999", "0"},
      {"1", "1.000"},
      {"100", "1e2"},
      {"0.10", "1E-1"},
      {"1000e-3", "1.0e+0"},
      {"12e100000000000000000000", "1.2e100000000000000000001"},
      {"12e-100000000000000000000", "0.00012e-99999999999999999995"},
      {"10e99999999999999999", "1e100000000000000000"},
  };
  for (size_t i = 0; i < COUNT(pairs); i++) {
    hf_json a = number(pairs[i][0]);
    hf_json b = number(pairs[i][1]);
    ck_assert_msg(hf_json_number_compare(&a, &b) == 0, "%s, %s", pairs[i][0], pairs[i][1]);
    ck_assert_msg(hf_json_number_compare(&b, &a) == 0, "%s, %s", pairs[i][0], pairs[i][1]);
  }
}
END_TEST

START_TEST(differences) {
  static const char *const rows[][3] = {
      {"0.3", "0.1", "0.2"},
      {"0.1", "0.3", "-0.2"},
      {"1", "1.000", "0"},
      {"0", "0", "0"},
      {"-0", "0", "0"},
      {"0", "0.25", "-0.25"},
      {"0.25", "0", "0.25"},
      {"-1", "-1.5", "0.5"},
      {"-1.5", "1.5", "-3"},
      {"9007199254740993", "9007199254740992", "1"},
      {"1000", "1e-3", "999.999"},
      {"99.5", "-0.5", "100"},
      {"1e-3", "1000", "-999.999"},
      {"1e30", "1", "9.99999999999999999999999999999e+29"},
      {"12345678901234567890.123", "-0.877", "12345678901234567891"},
      {"1e400", "1e400", "0"},
      {"1e400", "0", "1e+400"},
  };
  for (size_t i = 0; i < COUNT(rows); i++) {
    hf_autobuf out = {0};
    hf_json a = number(rows[i][0]);
    hf_json b = number(rows[i][1]);
    ck_assert_int_eq(hf_json_number_subtract(&a, &b, &out), 1);
    ck_assert_msg(strcmp(out.data, rows[i][2]) == 0, "%s - %s: %s", rows[i][0], rows[i][1],
                  out.data);
  }
}
END_TEST

/* 1e30 has 31 digits before the point that ECMAScript would show with an exponent; the digits of a
 * difference are counted from the first to the last. */
START_TEST(digits_too_far_apart) {
  hf_autobuf out = {0};
  hf_json large = number("1e1023");
  hf_json one = number("1");
  hf_json larger = number("1e1024");
  hf_json far = number("1e99999999999999999999");
  ck_assert_int_eq(hf_json_number_subtract(&large, &one, &out), 1);
  ck_assert_uint_gt(out.used, 1023);
  hf_buf_clear(&out);
  ck_assert_int_eq(hf_json_number_subtract(&larger, &one, &out), 0);
  ck_assert_int_eq(hf_json_number_subtract(&far, &far, &out), 0);
  ck_assert_int_eq(hf_json_number_subtract(&one, &far, &out), 0);
  ck_assert_uint_eq(out.used, 0);
}
END_TEST

START_TEST(random_whole_numbers) {
  uint64_t seed = 88172645463325252U;
  for (int round = 0; round < 20000; round++) {
    int64_t value[2];
    char text[2][64];
    char expected[32];
    for (int i = 0; i < 2; i++) {
      seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
      value[i] = (int64_t)(seed % 2000000) - 1000000;
      int64_t zeros = (int64_t)(seed >> 60) % 4;
      int written = snprintf(text[i], sizeof text[i], "%lld%.*se-%lld", (long long)value[i],
                             (int)zeros, "000", (long long)(zeros + 2));
      ck_assert_int_gt(written, 0);
    }
    long long difference = value[0] - value[1]; /* in hundredths */
    hf_autobuf out = {0};
    hf_autobuf form = {0};
    (void)snprintf(expected, sizeof expected, "%llde-2", difference);
    hf_json a = number(text[0]);
    hf_json b = number(text[1]);
    hf_json wanted = number(expected);
    ck_assert_int_eq(hf_json_number_compare(&a, &b), (value[0] > value[1]) - (value[0] < value[1]));
    ck_assert_int_eq(hf_json_number_subtract(&a, &b, &out), 1);
    ck_assert_int_eq(hf_json_canonical(&wanted, &form), 0);
    ck_assert_msg(strcmp(out.data, form.data) == 0, "%s - %s: %s", text[0], text[1], out.data);
  }
}
END_TEST

START_TEST(as_doubles) {
  hf_json half = number("-5e-1");
  hf_json huge = number("1e400");
  hf_json low = number("-1e99999999999999999999");
  ck_assert(hf_json_number_double(&half) == -0.5);
  ck_assert(hf_json_number_double(&huge) == DBL_MAX);
  ck_assert(hf_json_number_double(&low) == -DBL_MAX);
}
END_TEST

START_TEST(for_users) {
  hf_error error = HF_ERROR_INIT;
  int order = 7;
  char *difference = NULL;
  ck_assert_int_eq(hf_number_compare(BYTES("0.10"), BYTES("1e-1"), &order, &error), HF_OK);
  ck_assert_int_eq(order, 0);
  ck_assert_int_eq(hf_number_subtract(BYTES("0.5"), BYTES("0.25"), &difference, &error), 1);
  ck_assert_str_eq(difference, "0.25");
  free(difference);
  static const char *const bad[] = {"",    "x",     "01",  "1.",  "+1",
                                    "NaN", "\"1\"", "[1]", "1 2", "\xff"};
  for (size_t i = 0; i < COUNT(bad); i++) {
    ck_assert_int_eq(hf_number_compare(BYTES("1"), bad[i], strlen(bad[i]), &order, &error),
                     HF_EINVAL);
    ck_assert_int_eq(hf_number_subtract(bad[i], strlen(bad[i]), BYTES("1"), &difference, &error),
                     HF_EINVAL);
  }
  ck_assert_ptr_nonnull(strstr(error.message, "no JSON number"));
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("json_arithmetic");
  TCase *numbers = tcase_create("numbers");
  tcase_add_test(numbers, in_order);
  tcase_add_test(numbers, equal_by_value);
  tcase_add_test(numbers, differences);
  tcase_add_test(numbers, digits_too_far_apart);
  tcase_add_test(numbers, random_whole_numbers);
  tcase_add_test(numbers, as_doubles);
  tcase_add_test(numbers, for_users);
  suite_add_tcase(s, numbers);
  return s;
}

int main(void) {
  return run_suite(suite());
}
