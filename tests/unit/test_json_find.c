/* Looking into texts: walking, members, pointers, strings, whole numbers. */
#include "json.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

#include <holdfast/holdfast.h>

#include "json_help.h"

static hf_json value_of(const char *text) {
  ck_assert_msg(hf_json_check(text, strlen(text), 0, NESTING_MAX, NULL, NULL, NULL) == HF_OK,
                "not JSON: %s", text);
  return hf_json_value(text, strlen(text));
}

static int is_text(const hf_json *value, const char *text) {
  return value->bytes == strlen(text) && memcmp(value->text, text, value->bytes) == 0;
}

START_TEST(values_and_types) {
  static const struct {
    const char *text, *value;
    hf_json_type type;
  } cases[] = {
      {"null", "null", HF_JSON_NULL},
      {" true ", "true", HF_JSON_TRUE},
      {"false\n", "false", HF_JSON_FALSE},
      {"\t-1.5e+3\r\n", "-1.5e+3", HF_JSON_NUMBER},
      {"0", "0", HF_JSON_NUMBER},
      {" \"a b\" ", "\"a b\"", HF_JSON_STRING},
      {"\"\\\"\"", "\"\\\"\"", HF_JSON_STRING},
      {"\"\\\\\" ", "\"\\\\\"", HF_JSON_STRING},
      {"\"12345\\\\\\\"7890]}\" ", "\"12345\\\\\\\"7890]}\"", HF_JSON_STRING},
      {" [ ] ", "[ ]", HF_JSON_ARRAY},
      {" { } ", "{ }", HF_JSON_OBJECT},
      {"[\"]\",{\"}\":\"\\\"]\"}] ", "[\"]\",{\"}\":\"\\\"]\"}]", HF_JSON_ARRAY},
      {"{\"a\":[1,{\"b\":\"{[\"}]}\n", "{\"a\":[1,{\"b\":\"{[\"}]}", HF_JSON_OBJECT},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_json value = value_of(cases[i].text);
    ck_assert_msg(is_text(&value, cases[i].value), "%s: %.*s", cases[i].text, (int)value.bytes,
                  value.text);
    ck_assert_int_eq(value.type, cases[i].type);
  }
  hf_json nothing = hf_json_value("", 0);
  ck_assert_uint_eq(nothing.bytes, 0);
}
END_TEST

START_TEST(walks_objects) {
  hf_json object =
      value_of(" { \"a\" : 1 ,\n \"\\u0062\":[ {\"x\" :2} ], \"\" :\"}\" , \"a\":{} } ");
  static const char *const expected[][2] = {
      {"\"a\"", "1"}, {"\"\\u0062\"", "[ {\"x\" :2} ]"}, {"\"\"", "\"}\""}, {"\"a\"", "{}"}};
  size_t position = 0;
  hf_json name, value;
  for (size_t i = 0; i < COUNT(expected); i++) {
    ck_assert_int_eq(hf_json_next(&object, &position, &name, &value), 1);
    ck_assert(is_text(&name, expected[i][0]));
    ck_assert_int_eq(name.type, HF_JSON_STRING);
    ck_assert(is_text(&value, expected[i][1]));
  }
  ck_assert_int_eq(hf_json_next(&object, &position, &name, &value), 0);
  ck_assert_int_eq(hf_json_next(&object, &position, &name, &value), 0);
}
END_TEST

START_TEST(walks_arrays) {
  hf_json array = value_of("[ null,true , [ ],\"a,b\" ,{ \"c\":[1,2] }, -0.0 ]");
  static const char *const expected[] = {"null", "true", "[ ]", "\"a,b\"", "{ \"c\":[1,2] }",
                                         "-0.0"};
  size_t position = 0;
  hf_json value;
  for (size_t i = 0; i < COUNT(expected); i++) {
    ck_assert_int_eq(hf_json_next(&array, &position, NULL, &value), 1);
    ck_assert(is_text(&value, expected[i]));
  }
  ck_assert_int_eq(hf_json_next(&array, &position, NULL, &value), 0);
}
END_TEST

START_TEST(nothing_to_walk) {
  static const char *const texts[] = {"[]", "{}", "[ \n ]", "{\t}", "1", "\"ab\"", "null", "true"};
  for (size_t i = 0; i < COUNT(texts); i++) {
    hf_json value = value_of(texts[i]), name, child;
    size_t position = 0;
    ck_assert_int_eq(hf_json_next(&value, &position, &name, &child), 0);
    ck_assert_int_eq(hf_json_member(&value, "a", &child), 0);
  }
}
END_TEST

/* No walk, no look-up and no decoding reads behind a text that was cut, though that is no JSON any
 * more. */
START_TEST(cut_texts_are_safe) {
  const char *text =
      "{\"a\":[1,\"x\\u00e9\\\"\",{\"b\":null}],\"a\\ud83d\\ude00\":[[],{}],\"c\":-1}";
  for (size_t bytes = 0; bytes <= strlen(text); bytes++) {
    char *copy = exact(text, bytes);
    hf_json root = hf_json_value(copy, bytes), name, value;
    hf_autobuf out = {0};
    size_t position = 0;
    for (int i = 0; i < 100 && hf_json_next(&root, &position, &name, &value) == 1; i++) {
      (void)hf_json_decode_string(&name, &out);
      (void)hf_json_decode_string(&value, &out);
      (void)hf_json_string_equals(&name, "a\xf0\x9f\x98\x80", 5);
    }
    (void)hf_json_find(&root, "/a/2/b", &value, NULL);
    (void)hf_json_canonical(&root, &out);
    free(copy);
  }
}
END_TEST

/* Found by the fuzzer; a sanitizer or valgrind sees the read outside of the text. */
START_TEST(broken_texts_are_safe) {
  static const char *const texts[] = {
      "{ba[\":1,\"b\":[true,false,null,{\"c\":\"d\"\x01\x04}",
      "{[",
      "[}]",
      "{\"a\":[\"b\":[{\"c\"",
      "{\"a\"}{\"b\":[}",
      "[\"\\",
      "[[\"]\",{[\"}\"",
  };
  for (size_t i = 0; i < COUNT(texts); i++) {
    char *copy = exact(texts[i], strlen(texts[i]));
    hf_json root = hf_json_value(copy, strlen(texts[i])), value;
    hf_autobuf out = {0};
    (void)hf_json_canonical(&root, &out);
    (void)hf_json_find(&root, "/a/0", &value, NULL);
    (void)hf_json_member(&root, "b", &value);
    free(copy);
  }
}
END_TEST

START_TEST(members) {
  hf_json object = value_of("{\"a\":1,\"b\":{\"a\":2},\"\\u0061b\":3,\"a\\/b\":4,\"\":5,\"a\":6,"
                            "\"\xd0\x9f\":7,\"\\ud83d\\ude00\":8,\"\\u0000\":9,\"a\\nb\":10}");
  static const char *const cases[][2] = {
      {"a", "6"}, /* the last of two */
      {"b", "{\"a\":2}"}, {"ab", "3"},       {"a/b", "4"},
      {"", "5"},          {"\xd0\x9f", "7"}, {"\xf0\x9f\x98\x80", "8"},
      {"a\nb", "10"},
  };
  hf_json value;
  for (size_t i = 0; i < COUNT(cases); i++) {
    ck_assert_int_eq(hf_json_member(&object, cases[i][0], &value), 1);
    ck_assert_msg(is_text(&value, cases[i][1]), "%s: %.*s", cases[i][0], (int)value.bytes,
                  value.text);
  }
  static const char *const absent[] = {"c", "A", "aa", "\\u0061", "a\\/b", "\"a\"", "a "};
  for (size_t i = 0; i < COUNT(absent); i++)
    ck_assert_int_eq(hf_json_member(&object, absent[i], &value), 0);
}
END_TEST

/* ---- JSON Pointer ---- */

/* The document and the pointers of RFC 6901, section 5. */
START_TEST(pointers_of_the_rfc) {
  const char *text = "{\"foo\": [\"bar\", \"baz\"], \"\": 0, \"a/b\": 1, \"c%d\": 2, \"e^f\": 3,"
                     " \"g|h\": 4, \"i\\\\j\": 5, \"k\\\"l\": 6, \" \": 7, \"m~n\": 8}";
  static const char *const cases[][2] = {
      {"/foo", "[\"bar\", \"baz\"]"},
      {"/foo/0", "\"bar\""},
      {"/", "0"},
      {"/a~1b", "1"},
      {"/c%d", "2"},
      {"/e^f", "3"},
      {"/g|h", "4"},
      {"/i\\j", "5"},
      {"/k\"l", "6"},
      {"/ ", "7"},
      {"/m~0n", "8"},
  };
  hf_json root = value_of(text), value;
  for (size_t i = 0; i < COUNT(cases); i++) {
    ck_assert_int_eq(hf_json_find(&root, cases[i][0], &value, NULL), 1);
    ck_assert_msg(is_text(&value, cases[i][1]), "%s", cases[i][0]);
  }
  ck_assert_int_eq(hf_json_find(&root, "", &value, NULL), 1);
  ck_assert(is_text(&value, text));
}
END_TEST

START_TEST(pointers) {
  hf_json root =
      value_of("{\"a\":{\"b\":[10,[20,21],{\"c\":30}],\"\":{\"\":40}},\"0\":50,\"-\":60,"
               "\"~1\":70,\"/\":80,\"~\":90,\"d\":1,\"d\":{\"e\":100},\"x\\u0041\":110}");
  static const struct {
    const char *pointer, *value; /* NULL: not there */
  } cases[] = {
      {"/a/b/0", "10"},  {"/a/b/1/1", "21"},   {"/a/b/2/c", "30"},
      {"/a//", "40"},    {"/0", "50"},         {"/-", "60"},
      {"/~01", "70"},    {"/~1", "80"},        {"/~0", "90"},
      {"/d/e", "100"},   {"/xA", "110"},       {"/a/b", "[10,[20,21],{\"c\":30}]"},
      {"/a/b/3", NULL},  {"/a/b/-", NULL},     {"/a/b/01", NULL},
      {"/a/b/00", NULL}, {"/a/b/+1", NULL},    {"/a/b/-1", NULL},
      {"/a/b/", NULL},   {"/a/b/1e0", NULL},   {"/a/b/0/0", NULL},
      {"/a/b/ 1", NULL}, {"/a/b/x", NULL},     {"/a/b/18446744073709551616", NULL},
      {"/a/x", NULL},    {"/a/b/0/", NULL},    {"/a/b/18446744073709551617", NULL},
      {"//", NULL},      {"/a/", "{\"\":40}"}, {"/x", NULL},
      {"/d/f", NULL},    {"/x\\u0041", NULL},  {"/A", NULL},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_json value;
    int found = hf_json_find(&root, cases[i].pointer, &value, NULL);
    ck_assert_msg(found == (cases[i].value != NULL), "%s: %d", cases[i].pointer, found);
    if (found == 1)
      ck_assert_msg(is_text(&value, cases[i].value), "%s", cases[i].pointer);
  }
}
END_TEST

START_TEST(bad_pointers) {
  static const char *const cases[] = {"a",    "a/b",    "0",     " /a",          "#/a",
                                      "~0",   "/~",     "/a~",   "/~2",          "/a/~/b",
                                      "/~~0", "/a\xff", "/\xc3", "/\xed\xa0\x80"};
  hf_json root = value_of("{\"a\":1}"), value;
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_error error = HF_ERROR_INIT;
    ck_assert_msg(hf_json_find(&root, cases[i], &value, &error) == HF_EINVAL, "accepted: %s",
                  cases[i]);
    ck_assert_int_eq(error.code, HF_EINVAL);
    ck_assert_uint_gt(strlen(error.message), 0);
  }
}
END_TEST

START_TEST(public_pointer) {
  const char *text = " {\"metrics\" : { \"acc\": [0.10, 9007199254740993] } } ";
  const char *value = NULL;
  size_t bytes = 0;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_json_pointer(text, strlen(text), "/metrics/acc/1", &value, &bytes, NULL), 1);
  ck_assert_ptr_eq(value, strstr(text, "9007199254740993"));
  ck_assert_uint_eq(bytes, 16);
  ck_assert_int_eq(hf_json_pointer(text, strlen(text), "/metrics/acc/0", &value, &bytes, NULL), 1);
  ck_assert_int_eq(strncmp(value, "0.10", bytes), 0);
  ck_assert_uint_eq(bytes, 4);
  ck_assert_int_eq(hf_json_pointer(text, strlen(text), "", &value, &bytes, NULL), 1);
  ck_assert_uint_eq(bytes, strlen(text) - 2);
  value = NULL;
  ck_assert_int_eq(hf_json_pointer(text, strlen(text), "/x", &value, &bytes, NULL), 0);
  ck_assert_int_eq(hf_json_pointer(text, strlen(text), "x", &value, &bytes, &error), HF_EINVAL);
  ck_assert_int_eq(hf_json_pointer("{", 1, "/x", &value, &bytes, &error), HF_EDOC);
  ck_assert_str_eq(error.place, "line 1, column 2");
  ck_assert_int_eq(hf_json_pointer(NULL, 0, "", &value, &bytes, NULL), HF_EINVAL);
  ck_assert_int_eq(hf_json_pointer("1", 1, NULL, &value, &bytes, NULL), HF_EINVAL);
  ck_assert_ptr_null(value);
}
END_TEST

/* ---- strings ---- */

START_TEST(decodes_strings) {
  static const struct {
    const char *text, *decoded;
    size_t bytes;
  } cases[] = {
      {"\"\"", BYTES("")},
      {"\"abc\"", BYTES("abc")},
      {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", BYTES("\"\\/\b\f\n\r\t")},
      {"\"\\u0041\\u00e9\\u20AC\"", BYTES("A\xc3\xa9\xe2\x82\xac")},
      {"\"\\ud83d\\ude00\"", BYTES("\xf0\x9f\x98\x80")},
      {"\"\\uD800\\uDC00\\uDBFF\\uDFFF\"", BYTES("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf")},
      {"\"a\\u0000b\"", BYTES("a\0b")},
      {"\"\\ud800\"", BYTES("\xef\xbf\xbd")},
      {"\"\\udc00x\"", BYTES("\xef\xbf\xbdx")},
      {"\"\\ud800\\ud83d\\ude00\"", BYTES("\xef\xbf\xbd\xf0\x9f\x98\x80")},
      {"\"\\ud800\\n\"", BYTES("\xef\xbf\xbd\n")},
      {"\"\\ud800\\\\udc00\"", BYTES("\xef\xbf\xbd\\udc00")},
      {"\"\\udc00\\ud800\"", BYTES("\xef\xbf\xbd\xef\xbf\xbd")},
      {"\"\\u007f\\u0080\\u07ff\\u0800\\uffff\"",
       BYTES("\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf")},
      {"\"\xd0\x9f\\n\xd0\x9f\"", BYTES("\xd0\x9f\n\xd0\x9f")},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_json string = value_of(cases[i].text);
    hf_autobuf out = {0};
    ck_assert_int_eq(hf_json_decode_string(&string, &out), 0);
    ck_assert_msg(out.used == cases[i].bytes && memcmp(out.data, cases[i].decoded, out.used) == 0,
                  "%s: %s", cases[i].text, readable(out.data, out.used));
    ck_assert_int_eq(hf_json_string_equals(&string, out.data, out.used), 1);
    ck_assert_int_eq(hf_utf8_valid(out.data, out.used), 1);
    (void)hf_buf_add_char(&out, 'x');
    ck_assert_int_eq(hf_json_string_equals(&string, out.data, out.used), 0);
    if (cases[i].bytes > 0) {
      ck_assert_int_eq(hf_json_string_equals(&string, out.data, out.used - 2), 0);
      out.data[0] ^= 1;
      ck_assert_int_eq(hf_json_string_equals(&string, out.data, out.used - 1), 0);
    }
  }
  hf_json number = value_of("12");
  ck_assert_int_eq(hf_json_string_equals(&number, "12", 2), 0);
}
END_TEST

START_TEST(adds_strings) {
  static const struct {
    const char *bytes;
    size_t count;
    const char *text;
  } cases[] = {
      {BYTES(""), "\"\""},
      {BYTES("abc"), "\"abc\""},
      {BYTES("a\"b\\c/d"), "\"a\\\"b\\\\c/d\""},
      {BYTES("\b\f\n\r\t"), "\"\\b\\f\\n\\r\\t\""},
      {BYTES("\0\x01\x0b\x1f\x7f"), "\"\\u0000\\u0001\\u000b\\u001f\x7f\""},
      {BYTES("\xd0\x9f\xe2\x82\xac\xf0\x9f\x98\x80"), "\"\xd0\x9f\xe2\x82\xac\xf0\x9f\x98\x80\""},
      {BYTES("12345678\n12345678\n"), "\"12345678\\n12345678\\n\""},
      {BYTES("\n\n"), "\"\\n\\n\""},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    hf_autobuf out = {0}, back = {0};
    char *copy = exact(cases[i].bytes, cases[i].count);
    ck_assert_int_eq(hf_json_add_string(&out, copy, cases[i].count), 0);
    free(copy);
    ck_assert_str_eq(out.data, cases[i].text);
    hf_json string = value_of(out.data);
    ck_assert_int_eq(hf_json_decode_string(&string, &back), 0);
    ck_assert_uint_eq(back.used, cases[i].count);
    ck_assert_int_eq(hf_json_string_equals(&string, cases[i].bytes, cases[i].count), 1);
  }
}
END_TEST

START_TEST(every_character_comes_back) {
  for (uint32_t c = 0; c <= 0x10ffff; c += c < 0x3000 || c > 0x10fff0 ? 1 : 37) {
    if (c >= 0xd800 && c <= 0xdfff)
      continue;
    char text[16], utf8[8];
    size_t bytes = 0;
    if (c < 0x10000)
      (void)snprintf(text, sizeof text, "\"\\u%04X\"", c);
    else
      (void)snprintf(text, sizeof text, "\"\\u%04x\\u%04x\"", 0xd7c0 + (c >> 10),
                     0xdc00 + (c & 0x3ff));
    hf_json string = hf_json_value(text, strlen(text));
    hf_autobuf decoded = {0}, printed = {0};
    (void)hf_json_decode_string(&string, &decoded);
    bytes = decoded.used;
    memcpy(utf8, decoded.data, bytes);
    (void)hf_json_add_string(&printed, utf8, bytes);
    hf_json again = hf_json_value(printed.data, printed.used);
    size_t expected = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    if (bytes != expected || !hf_utf8_valid(utf8, bytes) ||
        hf_json_check(printed.data, printed.used, 0, 0, NULL, NULL, NULL) != HF_OK ||
        !hf_json_string_equals(&again, utf8, bytes) || !hf_json_string_equals(&string, utf8, bytes))
      ck_abort_msg("U+%04X", c);
  }
}
END_TEST

START_TEST(utf8) {
  static const char *const good[] = {"",
                                     "a",
                                     "12345678",
                                     "1234567\xc3\xa9",
                                     "\xf4\x8f\xbf\xbf",
                                     "12345678\xe2\x82\25412345678",
                                     "\xed\x9f\xbf"};
  static const char *const bad[] = {
      "\x80",         "\xc0\x80",         "\xc3",     "1234567\xc3", "12345678\xff",
      "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xe2\x82", "\xf0\x9f\x98"};
  for (size_t i = 0; i < COUNT(good); i++)
    ck_assert_int_eq(hf_utf8_valid(good[i], strlen(good[i])), 1);
  for (size_t i = 0; i < COUNT(bad); i++) {
    char *copy = exact(bad[i], strlen(bad[i]));
    ck_assert_int_eq(hf_utf8_valid(copy, strlen(bad[i])), 0);
    free(copy);
  }
  ck_assert_int_eq(hf_utf8_valid("a\0b", 3), 1);
}
END_TEST

START_TEST(whole_numbers) {
  static const struct {
    const char *text;
    uint64_t value;
  } good[] = {{"0", 0}, {"7", 7}, {"18446744073709551615", UINT64_MAX}, {"1000000", 1000000}};
  static const char *const bad[] = {"-1",   "-0",  "1.0",   "1e3",  "18446744073709551616",
                                    "1E0",  "0.0", "\"1\"", "null", "184467440737095516150",
                                    "true", "[]",  "{}"};
  for (size_t i = 0; i < COUNT(good); i++) {
    hf_json number = value_of(good[i].text);
    uint64_t value = 42;
    ck_assert_int_eq(hf_json_uint64(&number, &value), 0);
    ck_assert_uint_eq(value, good[i].value);
  }
  for (size_t i = 0; i < COUNT(bad); i++) {
    hf_json number = value_of(bad[i]);
    uint64_t value = 42;
    ck_assert_msg(hf_json_uint64(&number, &value) == -1, "accepted: %s", bad[i]);
    ck_assert_uint_eq(value, 42);
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("json_find");
  TCase *walks = tcase_create("walks");
  tcase_add_test(walks, values_and_types);
  tcase_add_test(walks, walks_objects);
  tcase_add_test(walks, walks_arrays);
  tcase_add_test(walks, nothing_to_walk);
  tcase_add_test(walks, cut_texts_are_safe);
  tcase_add_test(walks, broken_texts_are_safe);
  tcase_add_test(walks, members);
  tcase_add_test(walks, whole_numbers);
  suite_add_tcase(s, walks);
  TCase *finds = tcase_create("pointers");
  tcase_add_test(finds, pointers_of_the_rfc);
  tcase_add_test(finds, pointers);
  tcase_add_test(finds, bad_pointers);
  tcase_add_test(finds, public_pointer);
  suite_add_tcase(s, finds);
  TCase *strings = tcase_create("strings");
  tcase_add_test(strings, decodes_strings);
  tcase_add_test(strings, adds_strings);
  tcase_add_test(strings, every_character_comes_back);
  tcase_add_test(strings, utf8);
  suite_add_tcase(s, strings);
  return s;
}

int main(void) {
  return run_suite(suite());
}
