/* Fields: what --columns and --sort name, and the order of values. */
#include "expr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "expr_help.h"

static void check_field(const hf_record *record, const char *place, const char *name,
                        hf_value_type type, const char *json, const char *text) {
  hf_field *field = NULL;
  hf_value value = {0};
  hf_error err = HF_ERROR_INIT;
  ck_assert_msg(hf_field_parse(place, NULL, &field, &err) == HF_OK, "%s: %s", place, err.message);
  ck_assert_str_eq(hf_field_name(field), name);
  int got = hf_field_get(field, record, &value, &err);
  ck_assert_msg(got == (type != HF_VALUE_ABSENT), "%s: %d: %s", place, got, err.message);
  ck_assert_int_eq(value.type, type);
  if (json == NULL) {
    ck_assert_ptr_null(value.json);
    ck_assert_ptr_null(value.text);
  } else {
    ck_assert_str_eq(value.json, json);
    ck_assert_str_eq(value.text, text);
  }
  hf_value_clear(&value);
  hf_field_free(&field);
}

START_TEST(fields) {
  hf_record *record = make_record(document, "\"2026-01-02T05:00:00+01:00\"");
  check_field(record, "/x", "/x", HF_VALUE_NUMBER, "0.10", "0.10");
  check_field(record, " /u ", "/u", HF_VALUE_STRING, "\"\\u0061bc\"", "abc");
  check_field(record, "@\"/a b\"", "/a b", HF_VALUE_NUMBER, "1", "1");
  check_field(record, "/z", "/z", HF_VALUE_NULL, "null", "null");
  check_field(record, "/list", "/list", HF_VALUE_ARRAY, "[10,[20],{\"k\":30}]",
              "[10,[20],{\"k\":30}]");
  check_field(record, "/none/at/all", "/none/at/all", HF_VALUE_ABSENT, NULL, NULL);
  check_field(record, "dims.\"a b\"", "dims.a b", HF_VALUE_STRING, "\"v w\"", "v w");
  check_field(record, "dims.view", "dims.view", HF_VALUE_STRING, "\"test\"", "test");
  check_field(record, "run_id", "run_id", HF_VALUE_STRING, "\"r \\\"1\\\"\"", "r \"1\"");
  check_field(record, "seq", "seq", HF_VALUE_NUMBER, "18", "18");
  check_field(record, "current", "current", HF_VALUE_TRUE, "true", "true");
  check_field(record, "group", "group", HF_VALUE_ABSENT, NULL, NULL);
  hf_record_free(&record);
  record = make_record("{\"nul\":\"a\\u0000b\"}", NULL);
  check_field(record, "/nul", "/nul", HF_VALUE_STRING, "\"a\\u0000b\"",
              "a\xEF\xBF\xBD"
              "b");
  hf_record_free(&record);

  static const char *const bad[] = {"",       "5", "\"a\"",     "/a b", "/a,",
                                    "nobody", "(", "/a exists", "\xFF"};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    hf_field *field = NULL;
    ck_assert_msg(hf_field_parse(bad[i], NULL, &field, NULL) == HF_EINVAL, "%s", bad[i]);
  }
  size_t bytes = 0;
  hf_field *field = NULL;
  ck_assert_int_eq(hf_field_parse("/a/b,seq", &bytes, &field, NULL), HF_OK);
  ck_assert_uint_eq(bytes, 4);
  ck_assert_int_eq(hf_field_needs_document(field), 1);
  hf_field_free(&field);
}
END_TEST

static hf_value value_at(const hf_record *record, const char *place) {
  hf_field *field = NULL;
  hf_value value = {0};
  ck_assert_int_eq(hf_field_parse(place, NULL, &field, NULL), HF_OK);
  ck_assert_int_ge(hf_field_get(field, record, &value, NULL), 0);
  hf_field_free(&field);
  return value;
}

START_TEST(values_have_an_order) {
  /* ascending; each of them is less than those of later rows */
  static const char *const order[] = {"/zero", "/x", "/n", "/list/0", "/big", "/huge",
                                      "at",    "ts", "/e", "/list",   "/s",   "/t"};
  hf_record *record = make_record(document, "\"2026-01-02T05:00:00+01:00\"");
  for (size_t i = 0; i < sizeof order / sizeof order[0]; i++)
    for (size_t j = 0; j < sizeof order / sizeof order[0]; j++) {
      hf_value a = value_at(record, order[i]);
      hf_value b = value_at(record, order[j]);
      ck_assert_msg(hf_value_compare(&a, &b) == (i > j) - (i < j), "%s %s", order[i], order[j]);
      hf_value_clear(&a);
      hf_value_clear(&b);
    }
  hf_value null = value_at(record, "/z");
  hf_value none = value_at(record, "/none");
  hf_value last = value_at(record, "/t");
  ck_assert_int_eq(hf_value_compare(&null, &none), 0);
  ck_assert_int_eq(hf_value_compare(&last, &none), -1);
  ck_assert_int_eq(hf_value_compare(&null, &last), 1);
  hf_value_clear(&null);
  hf_value_clear(&last);
  hf_record_free(&record);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("fields");
  tcase_add_test(tests, fields);
  tcase_add_test(tests, values_have_an_order);
  Suite *suite = suite_create("fields");
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
