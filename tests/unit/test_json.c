/* hf_json_check: what it accepts and keeps, its limits and flags. */
#include "json.h"

#include <check.h>
#include <limits.h>
#include <stdint.h>
#include <string.h>

#include "json_help.h"

/* ---- what is accepted ---- */

/* Unchanged, as they have no white space to lose. */
static const char *const kept[] = {
    /* the words, and every type alone */
    "null", "true", "false", "0", "\"\"", "[]", "{}", "[[]]", "[{}]", "{\"\":{}}",
    /* numbers are texts */
    "-0", "-0.0", "0.0", "0.10", "1e400", "1E400", "-1e-400", "1e+5", "1E+05", "0e0", "0E-0",
    "1e00", "9007199254740993", "-9223372036854775809", "18446744073709551616", "123.456e-789",
    "-1", "10",
    "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000001",
    "100000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
    "1.7976931348623157e308", "4.9406564584124654e-324", "20e1", "1.5e+9999999999999999999999999",
    /* strings: escapes stay as they were written */
    "\"\\u0000\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0041\\u00e9\\u20AC\\uD83D\\uDE00\"",
    "\"\\ud800\"", "\"\\uDC00\\uD800\"", "\"\\uD800\\uD800\\uDC00\"", "\"\\uFFFF\\uFFFE\\uFEFF\"",
    "\"\\\\u0000\"", "\"\\\\\\\"\"", "\"/\"", "\"'\"", "\"a/*b*/c//d#e\"", "\"NaN\"", "\" , : \"",
    "\"\x7f\"", "\"\xc2\x80\"", "\"\xdf\xbf\"", "\"\xe0\xa0\x80\"", "\"\xed\x9f\xbf\"",
    "\"\xee\x80\x80\"", "\"\xef\xbf\xbf\"", "\"\xef\xbb\xbf\"", "\"\xf0\x90\x80\x80\"",
    "\"\xf4\x8f\xbf\xbf\"", "\"\xd0\x9f\xd1\x80\xd0\xbe\"", "\"\xe2\x80\xa8\xe2\x80\xa9\"",
    "\"1234567\xc3\xa9\"", "\"12345678\xf0\x9f\x98\x80\"", "\"1234567\\n\"", "\"12345678\\n\"",
    /* members: twice, any name, any order */
    "{\"a\":1,\"a\":2,\"a\":1}", "{\"z\":1,\"a\":2}", "{\"\":0}", "{\"\\u0000\":0,\"\\n\":1}",
    "{\"a\":{\"b\":[null,true,false,-1.5e3,\"x\",{},[]]}}", "[1,2,3]", "[[[[[[1]]]]]]",
    "[\"\",\"\"]", "[0,-0,0.1,1e1]", "{\"a\":\"b\",\"c\":[{\"d\":null}]}"};

START_TEST(keeps_every_byte) {
  for (size_t i = 0; i < COUNT(kept); i++) {
    hf_autobuf out = {0};
    size_t bytes = strlen(kept[i]);
    ck_assert_msg(check_text(kept[i], bytes, &out) == HF_OK, "refused: %s", kept[i]);
    ck_assert_msg(out.used == bytes && memcmp(out.data, kept[i], bytes) == 0, "changed: %s to %s",
                  kept[i], out.data);
    ck_assert_int_eq(out.data[out.used], '\0');
    ck_assert_int_eq(check_text(kept[i], bytes, NULL), HF_OK);
  }
}
END_TEST

START_TEST(drops_white_space_between_tokens_only) {
  static const char *const cases[][2] = {
      {" null", "null"},
      {"null ", "null"},
      {"\t\r\n 1 \n\r\t", "1"},
      {" \" \t\" ", NULL}, /* a tabulator inside a string is an error */
      {" \"  \" ", "\"  \""},
      {"[ ]", "[]"},
      {"{ }", "{}"},
      {"[\n1\t,\r2 , 3\n]", "[1,2,3]"},
      {"{ \"a b\" : { \"c\\n\" :\t[ ] } , \"d\" : \" x \" }",
       "{\"a b\":{\"c\\n\":[]},\"d\":\" x \"}"},
      {"[\n  1.0,\n  -0,\n  1e5\n]\n", "[1.0,-0,1e5]"},
      {"[1,2]\r\n\r\n", "[1,2]"},
      {"                                                                 7", "7"},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_autobuf out = {0};
    int status = check_text(cases[i][0], strlen(cases[i][0]), &out);
    if (cases[i][1] == NULL) {
      ck_assert_int_eq(status, HF_EDOC);
      continue;
    }
    ck_assert_msg(status == HF_OK, "refused: %s", cases[i][0]);
    ck_assert_str_eq(out.data, cases[i][1]);
  }
}
END_TEST

START_TEST(appends) {
  hf_autobuf out = {0};
  (void)hf_buf_add_text(&out, "before");
  ck_assert_int_eq(check_text(BYTES(" [ 1 ] "), &out), HF_OK);
  ck_assert_int_eq(check_text(BYTES("{\"a\" : 2}"), &out), HF_OK);
  ck_assert_str_eq(out.data, "before[1]{\"a\":2}");
  ck_assert_int_eq(check_text(BYTES("[ 1 , 2 , 3"), &out), HF_EDOC);
  ck_assert_int_eq(check_text(BYTES("[ 1 , NaN ]"), &out), HF_EDOC);
  ck_assert_str_eq(out.data, "before[1]{\"a\":2}");
  ck_assert_uint_eq(out.used, 16);
  ck_assert_int_eq(out.failed, 0);
}
END_TEST

START_TEST(output_has_a_bound) {
  const char *text = "[ 1 ,   2 ,   3 ]"; /* seven bytes without white space */
  for (size_t bytes_max = 1; bytes_max < 20; bytes_max++) {
    hf_autobuf out = {.bytes_max = bytes_max};
    hf_error error = HF_ERROR_INIT;
    int status = hf_json_check(text, strlen(text), 0, NESTING_MAX, &out, NULL, &error);
    if (bytes_max >= 7) {
      ck_assert_int_eq(status, HF_OK);
      ck_assert_str_eq(out.data, "[1,2,3]");
    } else {
      ck_assert_int_eq(status, HF_ELIMIT);
      ck_assert_int_eq(error.code, HF_ELIMIT);
      ck_assert_int_eq(out.failed, HF_ELIMIT);
      ck_assert_uint_eq(out.used, 0);
    }
  }
  hf_autobuf failed = {.failed = HF_ENOMEM};
  ck_assert_int_eq(check_text(BYTES("1"), &failed), HF_ENOMEM);
  ck_assert_uint_eq(failed.used, 0);
}
END_TEST

/* ---- nesting ---- */

/* `depth` containers, of both kinds in turn where mixed, around a 0. */
static void nest(hf_buf *text, size_t depth, int mixed) {
  for (size_t i = 0; i < depth; i++)
    (void)hf_buf_add_text(text, mixed && i % 3 != 0 ? "{\"a\":" : "[");
  (void)hf_buf_add_char(text, '0');
  for (size_t i = depth; i > 0; i--)
    (void)hf_buf_add_char(text, mixed && (i - 1) % 3 != 0 ? '}' : ']');
}

START_TEST(nesting_up_to_the_limit) {
  for (int mixed = 0; mixed <= 1; mixed++) {
    hf_autobuf at_limit = {0}, over = {0}, out = {0};
    hf_error error = HF_ERROR_INIT;
    nest(&at_limit, NESTING_MAX, mixed);
    nest(&over, NESTING_MAX + 1, mixed);
    ck_assert_int_eq(check_text(at_limit.data, at_limit.used, &out), HF_OK);
    ck_assert_str_eq(out.data, at_limit.data);
    ck_assert_int_eq(check_flags(over.data, over.used, 0, NULL, NULL, &error), HF_ELIMIT);
    ck_assert_int_eq(error.code, HF_ELIMIT);
    ck_assert_ptr_nonnull(strstr(error.message, "512"));
    ck_assert_int_eq(strncmp(error.place, "line 1, column ", 15), 0);
    if (!mixed)
      ck_assert_str_eq(error.place, "line 1, column 513");
    over.data[over.used - 1] ^= 32; /* the limit is met before the text is found broken */
    ck_assert_int_eq(check_text(over.data, over.used, NULL), HF_ELIMIT);
  }
}
END_TEST

START_TEST(nesting_limits_of_the_caller) {
  ck_assert_int_eq(hf_json_check(BYTES("1"), 0, 0, NULL, NULL, NULL), HF_OK);
  ck_assert_int_eq(hf_json_check(BYTES("[]"), 0, 0, NULL, NULL, NULL), HF_ELIMIT);
  ck_assert_int_eq(hf_json_check(BYTES("{}"), 0, 0, NULL, NULL, NULL), HF_ELIMIT);
  ck_assert_int_eq(hf_json_check(BYTES("[{},{},[]]"), 0, 2, NULL, NULL, NULL), HF_OK);
  ck_assert_int_eq(hf_json_check(BYTES("[{},[{}]]"), 0, 2, NULL, NULL, NULL), HF_ELIMIT);
  static const unsigned limits[] = {63, 64, 65, 1023, 1024, 1025, 2048, 100000};
  for (size_t i = 0; i < COUNT(limits); i++) {
    hf_autobuf text = {0};
    nest(&text, limits[i], 1);
    ck_assert_int_eq(hf_json_check(text.data, text.used, 0, limits[i], NULL, NULL, NULL), HF_OK);
    ck_assert_int_eq(hf_json_check(text.data, text.used, 0, limits[i] - 1, NULL, NULL, NULL),
                     HF_ELIMIT);
    text.data[text.used - 1] ^= 6; /* ']' becomes '[', '}' becomes '{' */
    ck_assert_int_eq(hf_json_check(text.data, text.used, 0, limits[i], NULL, NULL, NULL), HF_EDOC);
  }
  hf_autobuf deep = {0};
  nest(&deep, 3000000, 1);
  ck_assert_int_eq(hf_json_check(deep.data, deep.used, 0, UINT_MAX, NULL, NULL, NULL), HF_OK);
}
END_TEST

/* ---- flags ---- */

START_TEST(nan_to_null) {
  static const struct {
    const char *text, *out;
    uint64_t count;
  } cases[] = {
      {"NaN", "null", 1},
      {"Infinity", "null", 1},
      {"-Infinity", "null", 1},
      {"[NaN,Infinity,-Infinity,-1,\"NaN\"]", "[null,null,null,-1,\"NaN\"]", 3},
      {" { \"a\" : NaN , \"NaN\" : [ -Infinity ] } ", "{\"a\":null,\"NaN\":[null]}", 2},
      {"[1,null,-0.0]", "[1,null,-0.0]", 0},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_autobuf out = {0};
    uint64_t nan = 77;
    int status =
        check_flags(cases[i].text, strlen(cases[i].text), HF_JSON_NAN_TO_NULL, &out, &nan, NULL);
    ck_assert_int_eq(status, HF_OK);
    ck_assert_str_eq(out.data, cases[i].out);
    ck_assert_uint_eq(nan, cases[i].count);
    ck_assert_int_eq(
        check_flags(cases[i].text, strlen(cases[i].text), HF_JSON_NAN_TO_NULL, NULL, NULL, NULL),
        HF_OK);
  }
  hf_autobuf many = {0}, out = {0};
  (void)hf_buf_add_char(&many, '[');
  for (int i = 0; i < 10000; i++)
    (void)hf_buf_add_text(&many, i == 0 ? "NaN" : ",NaN");
  (void)hf_buf_add_char(&many, ']');
  uint64_t nan = 0;
  ck_assert_int_eq(check_flags(many.data, many.used, HF_JSON_NAN_TO_NULL, &out, &nan, NULL), HF_OK);
  ck_assert_uint_eq(nan, 10000);
  ck_assert_uint_eq(out.used, 10000 * 5 + 1); /* longer than it was */
}
END_TEST

START_TEST(nan_to_null_is_not_lax) {
  static const char *const cases[] = {
      "nan",  "NAN",       "Na",         "NaN0",    "NaNaN",     "-NaN",       "+NaN",  "+Infinity",
      "Inf",  "-Inf",      "--Infinity", "Infinit", "Infinityy", "- Infinity", "-I",    "{NaN:1}",
      "[NaN", "[NaN NaN]", "1NaN",       "-",       "01",        "[1,]",       "'NaN'", ""};
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_autobuf out = {0};
    uint64_t nan = 77;
    int status = check_flags(cases[i], strlen(cases[i]), HF_JSON_NAN_TO_NULL, &out, &nan, NULL);
    ck_assert_msg(status == HF_EDOC, "%s: %d", cases[i], status);
    ck_assert_uint_eq(nan, 77);
    ck_assert_uint_eq(out.used, 0);
  }
}
END_TEST

START_TEST(object_only) {
  static const char *const good[] = {"{}", " {} ", "{\"a\":[1]}", "\n{\n}\n"};
  static const char *const bad[] = {"",     " ",  "[]",  "[{}]", "1",   "\"{}\"", "null",
                                    "true", "-1", "{},", "{}{}", "NaN", "'a'",    "// x\n{}"};
  for (size_t i = 0; i < COUNT(good); i++)
    ck_assert_int_eq(check_flags(good[i], strlen(good[i]), HF_JSON_OBJECT_ONLY, NULL, NULL, NULL),
                     HF_OK);
  for (size_t i = 0; i < COUNT(bad); i++)
    ck_assert_msg(check_flags(bad[i], strlen(bad[i]), HF_JSON_OBJECT_ONLY, NULL, NULL, NULL) ==
                      HF_EDOC,
                  "accepted: %s", bad[i]);
  hf_error error = HF_ERROR_INIT;
  (void)check_flags(BYTES("\n [1]"), HF_JSON_OBJECT_ONLY, NULL, NULL, &error);
  ck_assert_str_eq(error.place, "line 2, column 2");
  ck_assert_str_eq(error.message, "found '[', expected '{': the text must be one JSON object");
  hf_autobuf out = {0};
  ck_assert_int_eq(check_flags(BYTES("{\"a\":NaN}"), HF_JSON_OBJECT_ONLY | HF_JSON_NAN_TO_NULL,
                               &out, NULL, NULL),
                   HF_OK);
  ck_assert_str_eq(out.data, "{\"a\":null}");
}
END_TEST

START_TEST(a_large_document) {
  enum { TEXT_BYTES = 64 * 1024 * 1024 };
  hf_autobuf text = {0}, out = {0};
  (void)hf_buf_reserve(&text, TEXT_BYTES);
  (void)hf_buf_add_text(&text, "{\"a\": [");
  while (text.used + 64 < TEXT_BYTES)
    (void)hf_buf_add_text(&text, "12345.678, \"caf\xc3\xa9 \\u00e9\", ");
  (void)hf_buf_add_text(&text, "null]}");
  ck_assert_int_eq(text.failed, 0);
  ck_assert_int_eq(hf_json_check(text.data, text.used, HF_JSON_OBJECT_ONLY, 2, &out, NULL, NULL),
                   HF_OK);
  ck_assert_uint_lt(out.used, text.used);
  text.data[text.used - 3] = '?';
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_json_check(text.data, text.used, 0, 2, NULL, NULL, &error), HF_EDOC);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("json");
  TCase *accepts = tcase_create("accepts");
  tcase_add_test(accepts, keeps_every_byte);
  tcase_add_test(accepts, drops_white_space_between_tokens_only);
  tcase_add_test(accepts, appends);
  tcase_add_test(accepts, output_has_a_bound);
  tcase_add_test(accepts, a_large_document);
  suite_add_tcase(s, accepts);
  TCase *limits = tcase_create("limits");
  tcase_add_test(limits, nesting_up_to_the_limit);
  tcase_add_test(limits, nesting_limits_of_the_caller);
  tcase_add_test(limits, nan_to_null);
  tcase_add_test(limits, nan_to_null_is_not_lax);
  tcase_add_test(limits, object_only);
  suite_add_tcase(s, limits);
  return s;
}

int main(void) {
  return run_suite(suite());
}
