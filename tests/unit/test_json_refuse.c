/* hf_json_check: what it refuses, and where it says that the error is. */
#include "json.h"

#include <check.h>
#include <stdint.h>
#include <string.h>

#include "json_help.h"

/* ---- what is refused, and where ---- */

typedef struct refusal {
  const char *text;
  size_t bytes;
  unsigned line, column;
  const char *says; /* a part of the message */
} refusal;

static const refusal refused[] = {
    {BYTES(""), 1, 1, "the end of the text"},
    {BYTES(" "), 1, 2, "the end of the text"},
    {BYTES(" \n\t\r\n  "), 3, 3, "the end of the text"},
    /* numbers */
    {BYTES("01"), 1, 1, "zeros"},
    {BYTES("-01"), 1, 2, "zeros"},
    {BYTES("00"), 1, 1, "zeros"},
    {BYTES("[-00.5]"), 1, 3, "zeros"},
    {BYTES("[012]"), 1, 2, "zeros"},
    {BYTES("1."), 1, 3, "after the decimal point"},
    {BYTES("[1.]"), 1, 4, "after the decimal point"},
    {BYTES("[1.e5]"), 1, 4, "after the decimal point"},
    {BYTES("[1..5]"), 1, 4, "found '.'"},
    {BYTES("[1.-5]"), 1, 4, "found '-'"},
    {BYTES("[1.5.5]"), 1, 5, "found '.', expected ',' or ']'"},
    {BYTES("+1"), 1, 1, "begins with a digit or '-'"},
    {BYTES("[+1]"), 1, 2, "begins with a digit or '-'"},
    {BYTES(".5"), 1, 1, "begins with a digit or '-'"},
    {BYTES("-.5"), 1, 2, "a digit after '-'"},
    {BYTES("-"), 1, 2, "a digit after '-'"},
    {BYTES("--1"), 1, 2, "found '-'"},
    {BYTES("-+1"), 1, 2, "found '+'"},
    {BYTES("- 1"), 1, 2, "found ' '"},
    {BYTES("-a"), 1, 2, "a digit after '-'"},
    {BYTES("1e"), 1, 3, "exponent"},
    {BYTES("1E"), 1, 3, "exponent"},
    {BYTES("1e+"), 1, 4, "exponent"},
    {BYTES("1e-]"), 1, 4, "exponent"},
    {BYTES("1e.5"), 1, 3, "exponent"},
    {BYTES("1e5.5"), 1, 4, "nothing after"},
    {BYTES("1e5e5"), 1, 4, "nothing after"},
    {BYTES("0x1"), 1, 2, "found 'x'"},
    {BYTES("0b1"), 1, 2, "found 'b'"},
    {BYTES("0o7"), 1, 2, "found 'o'"},
    {BYTES("1_000"), 1, 2, "found '_'"},
    {BYTES("1 000"), 1, 3, "found '0'"},
    {BYTES("1,000"), 1, 2, "found ','"},
    {BYTES("1f"), 1, 2, "found 'f'"},
    {BYTES("1n"), 1, 2, "found 'n'"},
    {BYTES("(1)"), 1, 1, "found '('"},
    {BYTES("\xef\xbc\x91"), 1, 1, "byte 0xef"},
    {BYTES("\xd9\xa1"), 1, 1, "byte 0xd9"},
    /* NaN and its like */
    {BYTES("NaN"), 1, 1, "NaN and Infinity are not JSON"},
    {BYTES("[1,\n NaN]"), 2, 2, "NaN and Infinity are not JSON"},
    {BYTES("{\"a\":Infinity}"), 1, 6, "NaN and Infinity are not JSON"},
    {BYTES("-Infinity"), 1, 1, "NaN and Infinity are not JSON"},
    {BYTES("[-NaN]"), 1, 3, "a digit after '-'"},
    {BYTES("nan"), 1, 1, "the only words are"},
    {BYTES("Inf"), 1, 1, "the only words are"},
    {BYTES("+Infinity"), 1, 1, "found '+'"},
    /* words */
    {BYTES("nul"), 1, 1, "the only words are"},
    {BYTES("tru"), 1, 1, "the only words are"},
    {BYTES("fals"), 1, 1, "the only words are"},
    {BYTES("True"), 1, 1, "the only words are"},
    {BYTES("None"), 1, 1, "the only words are"},
    {BYTES("NULL"), 1, 1, "the only words are"},
    {BYTES("undefined"), 1, 1, "the only words are"},
    {BYTES("nulll"), 1, 5, "found 'l'"},
    {BYTES("truefalse"), 1, 5, "found 'f'"},
    {BYTES("[true false]"), 1, 7, "expected ',' or ']'"},
    {BYTES("a"), 1, 1, "the only words are"},
    /* strings */
    {BYTES("\""), 1, 2, "ends the string"},
    {BYTES("\"abc"), 1, 5, "ends the string"},
    {BYTES("\"abc\\\""), 1, 7, "ends the string"},
    {BYTES("\"\\"), 1, 3, "the rest of an escape"},
    {BYTES("\"\\u"), 1, 4, "four hexadecimal digits"},
    {BYTES("\"\\u12"), 1, 6, "four hexadecimal digits"},
    {BYTES("\"\\u12\""), 1, 6, "four hexadecimal digits"},
    {BYTES("\"\\u12G4\""), 1, 6, "found 'G'"},
    {BYTES("\"\\u 123\""), 1, 4, "found ' '"},
    {BYTES("\"\\u+123\""), 1, 4, "found '+'"},
    {BYTES("\"\\U0041\""), 1, 3, "found 'U'"},
    {BYTES("\"\\ud800\\u\""), 1, 10, "four hexadecimal digits"},
    {BYTES("\"\\a\""), 1, 3, "found 'a'"},
    {BYTES("\"\\q\""), 1, 3, "found 'q'"},
    {BYTES("\"\\x41\""), 1, 3, "found 'x'"},
    {BYTES("\"\\0\""), 1, 3, "found '0'"},
    {BYTES("\"\\'\""), 1, 3, "expected one of"},
    {BYTES("\"\\\n\""), 1, 3, "byte 0x0a"},
    {BYTES("\"\\\0\""), 1, 3, "byte 0x00"},
    {BYTES("\"\\\xc3\xa9\""), 1, 3, "byte 0xc3"},
    {BYTES("\"a\0b\""), 1, 3, "byte 0x00"},
    {BYTES("\"a\nb\""), 1, 3, "byte 0x0a"},
    {BYTES("\"a\rb\""), 1, 3, "control character"},
    {BYTES("\"a\tb\""), 1, 3, "byte 0x09"},
    {BYTES("\"12345678\x1f\""), 1, 10, "byte 0x1f"},
    {BYTES("'a'"), 1, 1, "double quotation marks"},
    {BYTES("{'a':1}"), 1, 2, "double quotation marks"},
    {BYTES("`a`"), 1, 1, "found '`'"},
    {BYTES("\xe2\x80\x9c"
           "a\xe2\x80\x9d"),
     1, 1, "byte 0xe2"},
    {BYTES("\"a\"\"b\""), 1, 4, "nothing after"},
    {BYTES("[\"a\"\"b\"]"), 1, 5, "expected ',' or ']'"},
    {BYTES("\\u0022a\\u0022"), 1, 1, "found '\\'"},
    /* UTF-8 */
    {BYTES("\"\x80\""), 1, 2, "UTF-8"},
    {BYTES("\"\xbf\""), 1, 2, "UTF-8"},
    {BYTES("\"a\xc3\""), 1, 3, "UTF-8"},
    {BYTES("\"\xc3"), 1, 2, "UTF-8"},
    {BYTES("\"\xc3("), 1, 2, "UTF-8"},
    {BYTES("\"\xc0\x80\""), 1, 2, "UTF-8"},         /* NUL, overlong */
    {BYTES("\"\xc1\xbf\""), 1, 2, "UTF-8"},         /* overlong */
    {BYTES("\"\xe0\x80\xaf\""), 1, 2, "UTF-8"},     /* overlong */
    {BYTES("\"\xe0\x9f\xbf\""), 1, 2, "UTF-8"},     /* overlong */
    {BYTES("\"\xf0\x80\x80\xaf\""), 1, 2, "UTF-8"}, /* overlong */
    {BYTES("\"\xf0\x8f\xbf\xbf\""), 1, 2, "UTF-8"}, /* overlong */
    {BYTES("\"\xed\xa0\x80\""), 1, 2, "UTF-8"},     /* U+D800 */
    {BYTES("\"\xed\xbf\xbf\""), 1, 2, "UTF-8"},     /* U+DFFF */
    {BYTES("\"\xed\xa0\xbd\xed\xb8\x80\""), 1, 2, "UTF-8"},
    {BYTES("\"\xf4\x90\x80\x80\""), 1, 2, "UTF-8"}, /* U+110000 */
    {BYTES("\"\xf5\x80\x80\x80\""), 1, 2, "UTF-8"},
    {BYTES("\"\xf8\x88\x80\x80\x80\""), 1, 2, "UTF-8"},
    {BYTES("\"\xfe\""), 1, 2, "UTF-8"},
    {BYTES("\"\xff\""), 1, 2, "UTF-8"},
    {BYTES("\"\xe2\x82\""), 1, 2, "UTF-8"},
    {BYTES("\"\xe2\x28\xa1\""), 1, 2, "UTF-8"},
    {BYTES("\"\xe2\x82\x28\""), 1, 2, "UTF-8"},
    {BYTES("\"\xf0\x9f\x98\""), 1, 2, "UTF-8"},
    {BYTES("\"\xc3\xa9\xc3\xa9\xa9\""), 1, 6, "UTF-8"},
    {BYTES("\"12345678\xe9\""), 1, 10, "UTF-8"}, /* Latin-1 */
    /* byte order marks and other encodings */
    {BYTES("\xef\xbb\xbf{}"), 1, 1, "byte order mark"},
    {BYTES("\xef\xbb\xbf"), 1, 1, "byte order mark"},
    {BYTES(" \xef\xbb\xbf{}"), 1, 2, "byte 0xef"},
    {BYTES("{}\xef\xbb\xbf"), 1, 3, "byte 0xef"},
    {BYTES("\xfe\xff\0{\0}"), 1, 1, "byte 0xfe"},
    {BYTES("\xff\xfe{\0}\0"), 1, 1, "byte 0xff"},
    {BYTES("{\0}\0"), 1, 2, "NUL bytes"},
    {BYTES("\0"), 1, 1, "NUL bytes"},
    {BYTES("{}\0"), 1, 3, "NUL bytes"},
    {BYTES("[1\0,2]"), 1, 3, "NUL bytes"},
    /* arrays */
    {BYTES("["), 1, 2, "expected a value or ']'"},
    {BYTES("]"), 1, 1, "found ']', expected a value"},
    {BYTES("[1"), 1, 3, "expected ',' or ']'"},
    {BYTES("[1,"), 1, 4, "expected a value"},
    {BYTES("[1,]"), 1, 4, "no comma may stand before it"},
    {BYTES("[,]"), 1, 2, "found ','"},
    {BYTES("[,1]"), 1, 2, "found ','"},
    {BYTES("[1,,2]"), 1, 4, "found ','"},
    {BYTES("[1 2]"), 1, 4, "expected ',' or ']'"},
    {BYTES("[1;2]"), 1, 3, "found ';'"},
    {BYTES("[1:2]"), 1, 3, "found ':'"},
    {BYTES("[1}"), 1, 3, "expected ',' or ']'"},
    {BYTES("[}"), 1, 2, "found '}'"},
    {BYTES("[1]]"), 1, 4, "nothing after"},
    {BYTES("[][]"), 1, 3, "nothing after"},
    {BYTES("[[]"), 1, 4, "expected ',' or ']'"},
    {BYTES("[\"a\":1]"), 1, 5, "found ':'"},
    {BYTES("[...]"), 1, 2, "found '.'"},
    /* objects */
    {BYTES("{"), 1, 2, "a member's name or '}'"},
    {BYTES("}"), 1, 1, "found '}'"},
    {BYTES("{]"), 1, 2, "found ']'"},
    {BYTES("{\"a\""), 1, 5, "expected ':'"},
    {BYTES("{\"a\"}"), 1, 5, "expected ':'"},
    {BYTES("{\"a\":"), 1, 6, "expected a value"},
    {BYTES("{\"a\":}"), 1, 6, "found '}', expected a value"},
    {BYTES("{\"a\" 1}"), 1, 6, "expected ':'"},
    {BYTES("{\"a\"=1}"), 1, 5, "expected ':'"},
    {BYTES("{\"a\"::1}"), 1, 6, "found ':'"},
    {BYTES("{\"a\",1}"), 1, 5, "expected ':'"},
    {BYTES("{\"a\":1"), 1, 7, "expected ',' or '}'"},
    {BYTES("{\"a\":1,"), 1, 8, "a member's name"},
    {BYTES("{\"a\":1,}"), 1, 8, "no comma may stand before it"},
    {BYTES("{,\"a\":1}"), 1, 2, "found ','"},
    {BYTES("{,}"), 1, 2, "found ','"},
    {BYTES("{\"a\":1,,\"b\":2}"), 1, 8, "found ','"},
    {BYTES("{\"a\":1 \"b\":2}"), 1, 8, "expected ',' or '}'"},
    {BYTES("{\"a\":1;\"b\":2}"), 1, 7, "found ';'"},
    {BYTES("{\"a\":1]"), 1, 7, "expected ',' or '}'"},
    {BYTES("{a:1}"), 1, 2, "a member's name or '}'"},
    {BYTES("{1:1}"), 1, 2, "found '1'"},
    {BYTES("{null:1}"), 1, 2, "found 'n'"},
    {BYTES("{[]:1}"), 1, 2, "found '['"},
    {BYTES("{{}:1}"), 1, 2, "found '{'"},
    {BYTES("{\"a\":1}}"), 1, 8, "nothing after"},
    {BYTES("{}{}"), 1, 3, "nothing after"},
    {BYTES("{} 1"), 1, 4, "nothing after"},
    {BYTES("{\"a\nb\":1}"), 1, 4, "control character"},
    /* comments */
    {BYTES("// a\n1"), 1, 1, "no comments"},
    {BYTES("/* a */ 1"), 1, 1, "no comments"},
    {BYTES("1 // a"), 1, 3, "no comments"},
    {BYTES("[1, /* a */ 2]"), 1, 5, "no comments"},
    {BYTES("{/**/}"), 1, 2, "no comments"},
    {BYTES("{\"a\":1 # b\n}"), 1, 8, "no comments"},
    {BYTES("{}/"), 1, 3, "no comments"},
    /* other white space */
    {BYTES("\f1"), 1, 1, "byte 0x0c"},
    {BYTES("1\v"), 1, 2, "byte 0x0b"},
    {BYTES("[1,\xc2\xa0"
           "2]"),
     1, 4, "byte 0xc2"},
    {BYTES("[\xe2\x81\xa0]"), 1, 2, "byte 0xe2"},
    {BYTES("[1,\xe2\x80\xa8"
           "2]"),
     1, 4, "byte 0xe2"},
    {BYTES("\x7f"), 1, 1, "byte 0x7f"},
    {BYTES("\x1e{}"), 1, 1, "byte 0x1e"},
    /* other formats */
    {BYTES("<a/>"), 1, 1, "found '<'"},
    {BYTES("a: 1"), 1, 1, "found 'a'"},
    {BYTES("{}\n{}\n"), 2, 1, "nothing after"},
    {BYTES("*"), 1, 1, "found '*'"},
    {BYTES("{*}"), 1, 2, "found '*'"},
    /* places: lines end with a newline, columns are bytes */
    {BYTES("{\n  \"a\": 1,\n  \"b\": 01\n}"), 3, 8, "zeros"},
    {BYTES("{\r\n\"a\":\r\n?}"), 3, 1, "found '?'"},
    {BYTES("\n\n\n"), 4, 1, "the end of the text"},
    {BYTES("[\"\xc3\xa9\xc3\xa9\", ?]"), 1, 10, "found '?'"},
    {BYTES("[1,\n2,\n3,\n]"), 4, 1, "no comma may stand before it"},
};

START_TEST(refuses_and_says_where) {
  for (size_t i = 0; i < COUNT(refused); i++) {
    const refusal *r = &refused[i];
    const char *shown = readable(r->text, r->bytes);
    char place[64];
    (void)snprintf(place, sizeof place, "line %u, column %u", r->line, r->column);
    hf_autobuf out = {0};
    hf_error error = HF_ERROR_INIT;
    int status = check_flags(r->text, r->bytes, 0, &out, NULL, &error);
    ck_assert_msg(status == HF_EDOC, "%s: status %d", shown, status);
    ck_assert_msg(error.code == HF_EDOC && error.sys_errno == 0, "%s: code %d", shown, error.code);
    ck_assert_msg(strcmp(error.place, place) == 0, "%s: %s, not %s", shown, error.place, place);
    ck_assert_msg(strstr(error.message, r->says) != NULL, "%s: %s", shown, error.message);
    ck_assert_msg(out.used == 0, "%s: output", shown);
    ck_assert_int_eq(check_text(r->text, r->bytes, NULL), HF_EDOC);
  }
}
END_TEST

/* The same inside an array and as a member's value, where another step of the checker meets it. */
START_TEST(refuses_inside_containers) {
  for (size_t i = 0; i < COUNT(refused); i++) {
    const refusal *r = &refused[i];
    hf_autobuf array = {0}, object = {0};
    (void)hf_buf_add_text(&array, "[[0],");
    (void)hf_buf_add(&array, r->text, r->bytes);
    (void)hf_buf_add_text(&array, ",0]");
    (void)hf_buf_add_text(&object, "{\"x\":0,\"y\":");
    (void)hf_buf_add(&object, r->text, r->bytes);
    (void)hf_buf_add_text(&object, "}");
    ck_assert_msg(check_text(object.data, object.used, NULL) == HF_EDOC, "accepted: %s",
                  readable(object.data, object.used));
    ck_assert_msg(check_text(array.data, array.used, NULL) == HF_EDOC, "accepted: %s",
                  readable(array.data, array.used));
  }
}
END_TEST

static const char rich[] = "{\"run\":\"r-1\",\"metrics\":{\"acc\":0.9375,\"loss\":-1.25e-3,\"n\":"
                           "9007199254740993,\"z\":-0.0},"
                           "\"tags\":[\"\",\"a\\\"b\\\\\",\"\\u00e9\\ud83d\\ude00\","
                           "\"\xd0\x9f\xe2\x82\xac\xf0\x9f\x98\x80\"],"
                           "\"flags\":[true,false,null,[],{},[[1],{\"x\":{}}]], \"end\" : 0 }";

START_TEST(every_truncation) {
  size_t bytes = sizeof rich - 1;
  ck_assert_int_eq(check_text(rich, bytes, NULL), HF_OK);
  for (size_t cut = 0; cut < bytes; cut++) {
    hf_error error = HF_ERROR_INIT;
    hf_autobuf out = {0};
    if (check_flags(rich, cut, 0, &out, NULL, &error) != HF_EDOC || out.used != 0)
      ck_abort_msg("accepted when cut at byte %zu", cut);
  }
}
END_TEST

/* Every byte replaced by every other: what is accepted then is accepted again, unchanged. */
START_TEST(every_byte_replaced) {
  size_t bytes = sizeof rich - 1, accepted = 0, tried = 0;
  char *copy = exact(rich, bytes);
  for (size_t i = 0; i < bytes; i++) {
    for (int value = 0; value < 256; value++, tried++) {
      copy[i] = (char)value;
      hf_autobuf out = {0}, again = {0};
      if (hf_json_check(copy, bytes, 0, NESTING_MAX, &out, NULL, NULL) != HF_OK)
        continue;
      accepted++;
      if (hf_json_check(out.data, out.used, 0, NESTING_MAX, &again, NULL, NULL) != HF_OK ||
          again.used != out.used || memcmp(again.data, out.data, out.used) != 0)
        ck_abort_msg("not stable with byte %zu = 0x%02x", i, (unsigned)value);
    }
    copy[i] = rich[i];
  }
  free(copy);
  ck_assert_uint_gt(accepted, bytes);
  ck_assert_uint_lt(accepted, tried / 2);
}
END_TEST

/* Strings of each length around the width of a step, with each kind of end at each place. */
START_TEST(strings_of_every_length) {
  static const char *const inserts[] = {"",         "\\n",          "\\u0041",
                                        "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  static const char *const bad[] = {"\x01", "\x80", "\xc3", "\\", "\"\"", "\xed\xa0\x80"};
  for (size_t length = 0; length < 40; length++) {
    for (size_t at = 0; at <= length; at++) {
      for (size_t k = 0; k < COUNT(inserts) + COUNT(bad); k++) {
        const char *insert = k < COUNT(inserts) ? inserts[k] : bad[k - COUNT(inserts)];
        if (strcmp(insert, "\\") == 0 && at < length)
          insert = "\\a";
        hf_autobuf text = {0};
        (void)hf_buf_add_char(&text, '"');
        for (size_t i = 0; i <= length; i++) {
          if (i == at)
            (void)hf_buf_add_text(&text, insert);
          if (i < length)
            (void)hf_buf_add_char(&text, (char)('a' + i % 26));
        }
        (void)hf_buf_add_char(&text, '"');
        int status = check_text(text.data, text.used, NULL);
        if (status != (k < COUNT(inserts) ? HF_OK : HF_EDOC))
          ck_abort_msg("%s: %d", readable(text.data, text.used), status);
      }
    }
  }
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("json_refuse");
  TCase *refuses = tcase_create("refuses");
  tcase_add_test(refuses, refuses_and_says_where);
  tcase_add_test(refuses, refuses_inside_containers);
  tcase_add_test(refuses, every_truncation);
  tcase_add_test(refuses, every_byte_replaced);
  tcase_add_test(refuses, strings_of_every_length);
  suite_add_tcase(s, refuses);
  return s;
}

int main(void) {
  return run_suite(suite());
}
