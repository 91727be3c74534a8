/* The canonical form: RFC 8785, with exact decimals. The expected texts were written by hand. */
#include "json.h"

#include <check.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "json_help.h"

typedef struct form {
  const char *text, *canonical;
} form;

/* Checks, strips, prints canonically; NULL where the text is not JSON. */
static const char *canonical(const char *text, hf_buf *out) {
  hf_autobuf stripped = {0}, from_stripped = {0};
  if (hf_json_check(text, strlen(text), 0, UINT_MAX, &stripped, NULL, NULL) != HF_OK)
    return NULL;
  hf_json value = hf_json_value(text, strlen(text));
  hf_json other = hf_json_value(stripped.data, stripped.used);
  ck_assert_int_eq(hf_json_canonical(&value, out), 0);
  ck_assert_int_eq(hf_json_canonical(&other, &from_stripped), 0);
  ck_assert_str_eq(out->data, from_stripped.data); /* white space does not matter */
  return out->data;
}

static void expect_forms(const form *forms, size_t count) {
  for (size_t i = 0; i < count; i++) {
    hf_autobuf once = {0}, twice = {0};
    ck_assert_ptr_nonnull(canonical(forms[i].text, &once));
    ck_assert_msg(strcmp(once.data, forms[i].canonical) == 0, "%s: %s, not %s", forms[i].text,
                  once.data, forms[i].canonical);
    ck_assert_str_eq(canonical(once.data, &twice), once.data);
  }
}

START_TEST(examples_of_the_rfc) {
  static const form forms[] = {
      /* section 3.2.2, but the first number: exact here, 333333333.3333333 as a double */
      {"{\n  \"numbers\": [333333333.33333329, 1E30, 4.50,\n              2e-3, "
       "0.000000000000000000000000001],\n"
       "  \"string\": \"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\",\n"
       "  \"literals\": [null, true, false]\n}",
       "{\"literals\":[null,true,false],\"numbers\":[333333333.33333329,1e+30,4.5,0.002,1e-27],"
       "\"string\":\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"},
      /* section 3.2.3 */
      {"{\"\\u20ac\": \"Euro Sign\", \"\\r\": \"Carriage Return\","
       " \"\\ufb33\": \"Hebrew Letter Dalet With Dagesh\", \"1\": \"One\","
       " \"\\ud83d\\ude00\": \"Emoji: Grinning Face\", \"\\u0080\": \"Control\","
       " \"\\u00f6\": \"Latin Small Letter O With Diaeresis\"}",
       "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\xc2\x80\":\"Control\","
       "\"\xc3\xb6\":\"Latin Small Letter O With Diaeresis\",\"\xe2\x82\xac\":\"Euro Sign\","
       "\"\xf0\x9f\x98\x80\":\"Emoji: Grinning Face\","
       "\"\xef\xac\xb3\":\"Hebrew Letter Dalet With Dagesh\"}"},
  };
  expect_forms(forms, COUNT(forms));
}
END_TEST

static const form number_forms[] = {
    {"0", "0"},
    {"-0", "0"},
    {"-0.0", "0"},
    {"0.000", "0"},
    {"0e99999999999999999999", "0"},
    {"-0E-5", "0"},
    {"1", "1"},
    {"-1", "-1"},
    {"1.0", "1"},
    {"100.0", "100"},
    {"1e2", "100"},
    {"1E+02", "100"},
    {"10e1", "100"},
    {"1000e-1", "100"},
    {"0.1e3", "100"},
    {"0.00100e5", "100"},
    {"0.10", "0.1"},
    {"1e-1", "0.1"},
    {"1.50", "1.5"},
    {"-12.340e1", "-123.4"},
    {"12345e-2", "123.45"},
    {"9007199254740993", "9007199254740993"},
    {"9007199254740993.0", "9007199254740993"},
    {"90071992547409930e-1", "9007199254740993"},
    {"0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"},
    /* where ECMAScript begins to write an exponent */
    {"100000000000000000000", "100000000000000000000"},
    {"1e20", "100000000000000000000"},
    {"123456789012345678901", "123456789012345678901"},
    {"-999999999999999999999", "-999999999999999999999"},
    {"1000000000000000000000", "1e+21"},
    {"1e21", "1e+21"},
    {"1234567890123456789012", "1.234567890123456789012e+21"},
    {"123456789012345678901.5", "123456789012345678901.5"},
    {"1234567890123456789012.5", "1.2345678901234567890125e+21"},
    {"0.000001", "0.000001"},
    {"1e-6", "0.000001"},
    {"0.00000123", "0.00000123"},
    {"0.0000001", "1e-7"},
    {"1e-7", "1e-7"},
    {"0.000000123", "1.23e-7"},
    {"-12.5e-7", "-0.00000125"},
    {"-1.25e-7", "-1.25e-7"},
    /* RFC 8785, appendix B: the exact ones */
    {"5e-324", "5e-324"},
    {"-5e-324", "-5e-324"},
    {"1.7976931348623157e308", "1.7976931348623157e+308"},
    {"9007199254740992", "9007199254740992"},
    {"295147905179352830000", "295147905179352830000"},
    {"9.999999999999997e22", "9.999999999999997e+22"},
    {"1e23", "1e+23"},
    {"1.0000000000000001e23", "1.0000000000000001e+23"},
    {"999999999999999700000", "999999999999999700000"},
    {"999999999999999900000", "999999999999999900000"},
    {"9.999999999999997e-7", "9.999999999999997e-7"},
    {"333333333.3333332", "333333333.3333332"},
    {"-0.0000033333333333333333", "-0.0000033333333333333333"},
    {"1424953923781206.2", "1424953923781206.2"},
    /* beyond every double, and every integer */
    {"1e400", "1e+400"},
    {"10e399", "1e+400"},
    {"-0.01E-400", "-1e-402"},
    {"1e99999999999999999", "1e+99999999999999999"},
    {"10e99999999999999998", "1e+99999999999999999"},
    {"10e99999999999999999", "1e+100000000000000000"},
    {"1e100000000000000000", "1e+100000000000000000"},
    {"0.1e100000000000000001", "1e+100000000000000000"},
    {"0.001e100000000000000000", "1e+99999999999999997"},
    {"1e0000000000000000000000000000005", "100000"},
    {"1e-0000000000000000000000000000005", "0.00001"},
    {"1234e999999999999999999999999999", "1.234e+1000000000000000000000000002"},
    {"1234e-1000000000000000000000000000000", "1.234e-999999999999999999999999999997"},
    {"0.0012e-999999999999999999999999999999", "1.2e-1000000000000000000000000000002"},
    {"0.0012e1000000000000000000000000000000", "1.2e+999999999999999999999999999997"},
};

START_TEST(numbers) {
  expect_forms(number_forms, COUNT(number_forms));
}
END_TEST

START_TEST(strings) {
  static const form forms[] = {
      {"\"\"", "\"\""},
      {"\"abc\"", "\"abc\""},
      {"\"\\u0061\\/\"", "\"a/\""},
      {"\"\\u0008\\u000c\\u000A\\u000d\\u0009\"", "\"\\b\\f\\n\\r\\t\""},
      {"\"\\b\\f\\n\\r\\t\\\"\\\\\"", "\"\\b\\f\\n\\r\\t\\\"\\\\\""},
      {"\"\\u0022\\u005C\"", "\"\\\"\\\\\""},
      {"\"\\u0000\\u001F\\u000B\"", "\"\\u0000\\u001f\\u000b\""},
      {"\"\\u007f\\u0080\\u2028\"", "\"\x7f\xc2\x80\xe2\x80\xa8\""},
      {"\"\\uD83D\\uDE00\"", "\"\xf0\x9f\x98\x80\""},
      {"\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\""},
      {"\"\\uD83D\"", "\"\\ud83d\""},
      {"\"\\uDE00\\uD83D\"", "\"\\ude00\\ud83d\""},
      {"\"\\uD83D\\uD83D\\uDE00\"", "\"\\ud83d\xf0\x9f\x98\x80\""},
      {"\"e\\u0301\"", "\"e\xcc\x81\""}, /* no normalisation */
      {"null", "null"},
      {"true", "true"},
      {" false ", "false"},
  };
  expect_forms(forms, COUNT(forms));
}
END_TEST

START_TEST(order) {
  static const form forms[] = {
      {"{}", "{}"},
      {"[]", "[]"},
      {"[ ]", "[]"},
      {"{\"b\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
      {"{\"a\":1,\"A\":2,\"_\":3,\"1\":4,\"\":5,\" \":6,\"~\":7}",
       "{\"\":5,\" \":6,\"1\":4,\"A\":2,\"_\":3,\"a\":1,\"~\":7}"},
      {"{\"10\":1,\"9\":2,\"1\":3}", "{\"1\":3,\"10\":1,\"9\":2}"},
      {"{\"ab\":1,\"a\":2,\"abc\":3,\"b\":4}", "{\"a\":2,\"ab\":1,\"abc\":3,\"b\":4}"},
      {"{\"a!\":1,\"a\":2,\"a \":3,\"a#\":4}", "{\"a\":2,\"a \":3,\"a!\":1,\"a#\":4}"},
      /* arrays keep theirs */
      {"[3,1,2,{\"b\":[],\"a\":{}}]", "[3,1,2,{\"a\":{},\"b\":[]}]"},
      /* escapes are decoded first */
      {"{\"\\u0062\":1,\"a\":2}", "{\"a\":2,\"b\":1}"},
      {"{\"\\\\\":1,\"\\\"\":2,\"#\":3,\"\\n\":4}", "{\"\\n\":4,\"\\\"\":2,\"#\":3,\"\\\\\":1}"},
      /* UTF-16: a supplementary character (its first unit is U+D800 to U+DBFF) stands before U+E000
       */
      {"{\"\xee\x80\x80\":1,\"\xf0\x90\x80\x80\":2}",
       "{\"\xf0\x90\x80\x80\":2,\"\xee\x80\x80\":1}"},
      {"{\"\\ue000\":1,\"\\ud800\\udc00\":2}", "{\"\xf0\x90\x80\x80\":2,\"\xee\x80\x80\":1}"},
      {"{\"\xef\xbf\xbf\":1,\"\xf4\x8f\xbf\xbf\":2,\"\xed\x9f\xbf\":3}",
       "{\"\xed\x9f\xbf\":3,\"\xf4\x8f\xbf\xbf\":2,\"\xef\xbf\xbf\":1}"},
      {"{\"a\xef\xbf\xbf\":1,\"a\xf0\x9f\x98\x80\":2,\"a\":3}",
       "{\"a\":3,\"a\xf0\x9f\x98\x80\":2,\"a\xef\xbf\xbf\":1}"},
      {"{\"\\ude00\":1,\"\\ud83d\":2,\"\\ud83d\\ude00\":3,\"\xed\x9f\xbf\":4}",
       "{\"\xed\x9f\xbf\":4,\"\\ud83d\":2,\"\xf0\x9f\x98\x80\":3,\"\\ude00\":1}"},
  };
  expect_forms(forms, COUNT(forms));
}
END_TEST

START_TEST(members_that_stand_twice) {
  static const form forms[] = {
      {"{\"a\":1,\"a\":2}", "{\"a\":2}"},
      {"{\"a\":1,\"b\":3,\"a\":2,\"b\":4,\"a\":1}", "{\"a\":1,\"b\":4}"},
      {"{\"a\":{\"x\":1},\"\\u0061\":{\"y\":2}}", "{\"a\":{\"y\":2}}"},
      {"{\"a\":1,\"b\":[{\"c\":1,\"c\":[]}],\"a\":{\"d\":{},\"d\":0}}",
       "{\"a\":{\"d\":0},\"b\":[{\"c\":[]}]}"},
      {"{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", "{\"\xf0\x9f\x98\x80\":2}"},
      {"{\"\\ud83d\":1,\"\\uD83D\":2,\"\xef\xbf\xbd\":3}", "{\"\\ud83d\":2,\"\xef\xbf\xbd\":3}"},
  };
  expect_forms(forms, COUNT(forms));
}
END_TEST

/* What Python's json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
 * printed. */
START_TEST(ordinary_data_as_python_prints_it) {
  static const form forms[] = {
      {"{\"seed\": 42, \"model\": \"resnet50\", \"dataset\": {\"name\": \"imagenet\", \"split\": "
       "[0.8, 0.1, 0.1]}, \"lr\": 0.001, \"tags\": [\"a\", \"\\u00e9t\\u00e9\", \"x\\ty\"], "
       "\"final\": true, \"parent\": null, \"steps\": 1500000}",
       "{\"dataset\":{\"name\":\"imagenet\",\"split\":[0.8,0.1,0.1]},\"final\":true,"
       "\"lr\":0.001,\"model\":\"resnet50\",\"parent\":null,\"seed\":42,\"steps\":1500000,"
       "\"tags\":[\"a\",\"\xc3\xa9t\xc3\xa9\",\"x\\ty\"]}"},
      {"{\"comparison_group\": {\"view\": \"daily\", \"target\": \"EURUSD\", \"\\u0394\": -0.25}}",
       "{\"comparison_group\":{\"target\":\"EURUSD\",\"view\":\"daily\",\"\xce\x94\":-0.25}}"},
  };
  expect_forms(forms, COUNT(forms));
}
END_TEST

START_TEST(deep_and_wide) {
  enum { DEPTH = 200000, MEMBERS = 20000 };
  hf_autobuf text = {0}, expected = {0}, out = {0}, wide = {0}, sorted = {0};
  for (int i = 0; i < DEPTH; i++) {
    (void)hf_buf_add_text(&text, "{\"b\":[1],\"a\":");
    (void)hf_buf_add_text(&expected, "{\"a\":");
  }
  (void)hf_buf_add_text(&text, "[]");
  (void)hf_buf_add_text(&expected, "[]");
  for (int i = 0; i < DEPTH; i++) {
    (void)hf_buf_add_char(&text, '}');
    (void)hf_buf_add_text(&expected, ",\"b\":[1]}");
  }
  hf_json value = hf_json_value(text.data, text.used);
  ck_assert_int_eq(hf_json_canonical(&value, &out), 0);
  ck_assert_int_eq(strcmp(out.data, expected.data), 0);

  hf_buf_clear(&out);
  for (int i = 0; i < MEMBERS; i++) {
    (void)hf_buf_printf(&wide, "%c\"n%05d\":[%d]", i == 0 ? '{' : ',', (i * 7919) % MEMBERS, i);
    (void)hf_buf_printf(&sorted, "%c\"n%05d\":", i == 0 ? '{' : ',', i);
    for (int k = 0; k < MEMBERS; k++) { /* 7919 is prime: there is one k */
      if ((int64_t)k * 7919 % MEMBERS == i) {
        (void)hf_buf_printf(&sorted, "[%d]", k);
        break;
      }
    }
  }
  (void)hf_buf_add_char(&wide, '}');
  (void)hf_buf_add_char(&sorted, '}');
  value = hf_json_value(wide.data, wide.used);
  ck_assert_int_eq(hf_json_canonical(&value, &out), 0);
  ck_assert_int_eq(strcmp(out.data, sorted.data), 0);
}
END_TEST

START_TEST(output_has_a_bound) {
  const char *text = "{\"b\":[1.50,\"\\u0041\"],\"a\":{\"c\":null}}";
  const char *expected = "{\"a\":{\"c\":null},\"b\":[1.5,\"A\"]}";
  hf_json value = hf_json_value(text, strlen(text));
  for (size_t bytes_max = 1; bytes_max <= strlen(expected); bytes_max++) {
    hf_autobuf out = {.bytes_max = bytes_max};
    int status = hf_json_canonical(&value, &out);
    ck_assert_int_eq(status, bytes_max < strlen(expected) ? HF_ELIMIT : 0);
    ck_assert_uint_le(out.used, bytes_max);
  }
  hf_autobuf out = {0};
  (void)hf_buf_add_text(&out, "before");
  ck_assert_int_eq(hf_json_canonical(&value, &out), 0);
  ck_assert_int_eq(strncmp(out.data, "before{\"a\"", 10), 0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("json_canonical");
  TCase *forms = tcase_create("forms");
  tcase_add_test(forms, examples_of_the_rfc);
  tcase_add_test(forms, numbers);
  tcase_add_test(forms, strings);
  tcase_add_test(forms, order);
  tcase_add_test(forms, members_that_stand_twice);
  tcase_add_test(forms, ordinary_data_as_python_prints_it);
  tcase_add_test(forms, deep_and_wide);
  tcase_add_test(forms, output_has_a_bound);
  suite_add_tcase(s, forms);
  return s;
}

int main(void) {
  return run_suite(suite());
}
