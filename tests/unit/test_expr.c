/* Expressions: what they answer about a record, odd texts, and where errors point. */
#include "expr.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "expr_help.h"

/* 1, 0 or a negative status. */
static int match(const hf_record *record, const char *text) {
  hf_expr *expr = NULL;
  hf_error err = HF_ERROR_INIT;
  int status = hf_expr_parse(text, strlen(text), &expr, &err);
  ck_assert_msg(status == HF_OK, "%s: %s: %s", text, err.place, err.message);
  int got = hf_expr_match(expr, record, &err);
  hf_expr_free(&expr);
  ck_assert_ptr_null(expr);
  return got;
}

static void check_all(const hf_record *record, const char *const *texts, size_t count, int wanted) {
  for (size_t i = 0; i < count; i++)
    ck_assert_msg(match(record, texts[i]) == wanted, "%s: not %d", texts[i], wanted);
}

#define CHECK_ALL(record, texts, wanted)                                                           \
  check_all(record, texts, sizeof(texts) / sizeof((texts)[0]), wanted)

START_TEST(what_holds) {
  static const char *const texts[] = {
      "/n == 1",
      "/n == 1.0",
      "/n == 10e-1",
      "1 == /n",
      "/x == 0.1",
      "/x == 1e-1",
      "/zero == 0",
      "/big == 9007199254740993",
      "/big > 9007199254740992",
      "/huge > 1e399",
      "/huge < 1e401",
      "/n < 2",
      "/n <= 1",
      "/n >= 1",
      "/n != 2",
      "/n > -1",
      "/s == \"abc\"",
      "/s == /u",
      "/u < \"abd\"",
      "/s > \"ab\"",
      "/s < \"b\"",
      "/s != \"ABC\"",
      "/e == \"\"",
      "/emoji > /high",
      "/emoji == \"\\ud83d\\ude00\"",
      "/emoji == \"\xF0\x9F\x98\x80\"",
      "/t == true",
      "/f == false",
      "/z == null",
      "/t != false",
      "/t != 1",
      "/n != \"1\"",
      "/z != 0",
      "not /t < true",
      "not /t <= true",
      "not /n < \"2\"",
      "not /s > 1",
      "exists /n",
      "exists /z",
      "/n exists",
      "exists(/n)",
      "exists ( /n )",
      "not exists /none",
      "not /none exists",
      "not /none == 1",
      "not /none != 1",
      "not /none == /none",
      "not /none < 1",
      "not /none == null",
      "@\"/a b\" == 1",
      "/a~1b == 2",
      "/m~0n == 3",
      "/ == 4",
      "@\"/q\\\"\\\\\" == 5",
      "/list/0 == 10",
      "/list/1/0 == 20",
      "/list/2/k == 30",
      "not exists /list/3",
      "not exists /list/00",
      "not exists /list/-",
      "not exists /n/0",
      "/o/x/deep == \"d\"",
      "/o == /p",
      "/list == /list",
      "not /o < /p",
      "/o != /list",
      "not /o/x != /p/x",
      "exists /twice/out",
      "not exists /twice/in",
      "exists @\"\"",
      "@\"\" == @\"\"",
      "seq == 18",
      "seq > 2",
      "op == \"save\"",
      "id == \"01JGX2M8Q6T4ZV0C9K7W3R5YHB\"",
      "run_id == \"r \\\"1\\\"\"",
      "stage == \"final\"",
      "not exists group",
      "host == \"node7\"",
      "pid == 4711",
      "size > 100",
      "sha256 == \"0000000000000000000000000000000000000000000000000000000000000000\"",
      "current == true",
      "dims.view == \"test\"",
      "dims.\"a b\" == \"v w\"",
      "dims.\"vie\\u0077\" == \"test\"",
      "not exists dims.none",
      "exists dims",
      "not exists legacy_seq",
      "legacy_clock == false",
      "/n == 1 and /s == \"abc\"",
      "/n == 2 or /s == \"abc\"",
      "not /n == 2 and not /n == 3",
      "/n == 1 or /n == 2 and /n == 3",
      "(/n == 2 or /n == 1) and /t == true",
      "not (/n == 1 and /n == 2)",
      "not not /n == 1",
      "not(/n == 2)",
      "(((/n == 1)))",
      "/n==1 and /s==\"abc\"",
      "/none == 1 or /n == 1",
      "/n == 2 or /n == 3 or /n == 1",
      "\t/n\n==\r1 ",
      "1 < 2",
      "\"a\" != \"b\"",
  };
  hf_record *record = make_record(document, "\"2026-01-02T05:00:00+01:00\"");
  CHECK_ALL(record, texts, 1);
  hf_record_free(&record);
}
END_TEST

START_TEST(what_does_not_hold) {
  static const char *const texts[] = {
      "/n == 2",
      "/n == \"1\"",
      "/n != 1.00",
      "/big == 9007199254740992",
      "/s == \"abcd\"",
      "/s > \"b\"",
      "/none != 1",
      "/none == /none",
      "exists /none",
      "/z != null",
      "/t > false",
      "/o > /p",
      "/list/3 == 1",
      "/n == 1 and /n == 2",
      "/n == 2 or /n == 3",
      "not /n == 1",
      "not (/n == 2 or /n == 1)",
      "(/n == 1 or /n == 2) and /n == 2",
      "seq == 17",
      "dims.view == \"tes\"",
      "group == \"\"",
      "group != \"\"",
      "/o != /p",
      "time == \"2026-01-02T04:00:00.000001Z\"",
      "/s == time",
      "/s < time",
  };
  hf_record *record = make_record(document, "\"2026-01-02T05:00:00+01:00\"");
  CHECK_ALL(record, texts, 0);
  hf_record_free(&record);
}
END_TEST

START_TEST(times_are_instants) {
  static const char *const own[] = {
      "ts == \"2026-01-02T04:00:00Z\"",
      "ts == \"2026-01-02 04:00\"",
      "time == \"2026-01-02T04:00:00\"",
      "time < \"2026-01-02T04:00:00.000001\"",
      "time >= \"2026-01-02\"",
      "ts != at",
      "ts > at",
      "\"2026-01-02\" < ts",
      "time == /when",
      "/s != time",
      "ts == time",
      "at < \"2026-01-02T03:04:06Z\"",
  };
  static const char *const none[] = {
      "not exists ts", "time == at",   "time < \"2026-01-02T03:04:05.678902Z\"",
      "not ts == at",  "not ts != at",
  };
  hf_record *record = make_record(document, "\"2026-01-02T05:00:00+01:00\"");
  CHECK_ALL(record, own, 1);
  hf_record_free(&record);
  record = make_record(document, NULL);
  CHECK_ALL(record, none, 1);
  hf_record_free(&record);
}
END_TEST

START_TEST(errors_point_at_their_place) {
  static const struct {
    const char *text, *place, *says;
  } cases[] = {
      {"", "column 1", "the expression ends"},
      {"  ", "column 3", "the expression ends"},
      {"/n", "column 3", "expected a comparison"},
      {"/n >", "column 5", "the expression ends"},
      {"/n = 1", "column 4", "expected =="},
      {"/n ! 1", "column 4", "the word not"},
      {"/n == 1 and", "column 12", "the expression ends"},
      {"/n == 1 /s", "column 9", "expected and, or, or the end"},
      {"(/n == 1", "column 9", "closing parenthesis"},
      {"/n == 1)", "column 8", "closes none"},
      {"()", "column 2", "expected a pointer"},
      {"and", "column 1", "expected a pointer"},
      {"/n == and", "column 7", "expected a pointer"},
      {"foo == 1", "column 1", "found foo"},
      {"stage == final", "column 10", "quotation marks"},
      {"\xC3\xA4 == 1", "column 1", "found \xC3\xA4"},
      {"/\xC3\xA4 == \xC3\xA4", "column 7", "found \xC3\xA4"},
      {"/n == \"abc", "column 7", "no closing quotation mark"},
      {"/n == \"", "column 7", "no closing quotation mark"},
      {"/n == \"\\", "column 7", "no closing quotation mark"},
      {"/n == \"\\x\"", "column 7", "no JSON string"},
      {"/n == 01", "column 7", "found 01"},
      {"/n == 1.", "column 7", "a number as JSON has them"},
      {"/n == -", "column 7", "a number as JSON has them"},
      {"/n == NaN", "column 7", "found NaN"},
      {"/a b == 1", "column 4", "expected a comparison"},
      {"/a~b == 1", "column 3", "~0"},
      {"@\"a\" == 1", "column 1", "begins with '/'"},
      {"@ == 1", "column 2", "behind @"},
      {"dims. == 1", "column 6", "the name of a dim"},
      {"exists", "column 7", "the expression ends"},
      {"exists 1", "column 8", "expected a pointer"},
      {"1 exists", "column 3", "only places"},
      {"time > 5", "column 8", "a timestamp"},
      {"\"now\" < ts", "column 1", "a timestamp"},
      {"/n == 1 && /s == 2", "column 9", "expected and, or"},
      {"/n == 1 and\x01", "column 12", "none of text"},
      {"/n,/s == 1", "column 3", "found ,"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    hf_expr *expr = NULL;
    hf_error err = HF_ERROR_INIT;
    int status = hf_expr_parse(cases[i].text, strlen(cases[i].text), &expr, &err);
    ck_assert_msg(status == HF_EINVAL, "%s: status %d", cases[i].text, status);
    ck_assert_ptr_null(expr);
    ck_assert_msg(strcmp(err.place, cases[i].place) == 0, "%s: %s: %s", cases[i].text, err.place,
                  err.message);
    ck_assert_msg(strstr(err.message, cases[i].says) != NULL, "%s: %s", cases[i].text, err.message);
    ck_assert_ptr_null(strpbrk(err.message, "\n\r"));
  }
}
END_TEST

static int parse_status(const char *text, size_t bytes, hf_error *err) {
  hf_expr *expr = NULL;
  int status = hf_expr_parse(text, bytes, &expr, err);
  hf_expr_free(&expr);
  return status;
}

static void add_times(hf_buf *out, const char *text, size_t times) {
  for (size_t i = 0; i < times; i++)
    (void)hf_buf_add_text(out, text);
  ck_assert_int_eq(out->failed, 0);
}

START_TEST(odd_texts) {
  hf_error err = HF_ERROR_INIT;
  hf_autobuf text = {0};
  ck_assert_int_eq(parse_status(NULL, 0, &err), HF_EINVAL);
  ck_assert_int_eq(parse_status("/n == 1\0", 8, &err), HF_EINVAL);
  ck_assert_int_eq(parse_status("\0", 1, &err), HF_EINVAL);
  ck_assert_int_eq(parse_status("/\xFF == 1", 7, &err), HF_EINVAL);
  ck_assert_ptr_nonnull(strstr(err.message, "UTF-8"));
  ck_assert_int_eq(parse_status("/n == \"\xC3", 8, &err), HF_EINVAL);
  add_times(&text, "(", 1024 * 1024);
  ck_assert_int_eq(parse_status(text.data, text.used, &err), HF_ELIMIT);
  ck_assert_ptr_nonnull(strstr(err.message, "65536"));
  ck_assert_int_eq(parse_status(text.data, 60000, &err), HF_ELIMIT);
  ck_assert_str_eq(err.place, "column 101");
  hf_buf_clear(&text);
  add_times(&text, "(", HF_EXPR_NESTING_MAX);
  add_times(&text, "/n == 1", 1);
  add_times(&text, ")", HF_EXPR_NESTING_MAX);
  ck_assert_int_eq(parse_status(text.data, text.used, &err), HF_OK);
  hf_buf_clear(&text);
  add_times(&text, "/a", HF_EXPR_NAMES_MAX); /* as many names as may be */
  add_times(&text, " exists", 1);
  ck_assert_int_eq(parse_status(text.data, text.used, &err), HF_OK);
  hf_buf_clear(&text);
  add_times(&text, "/a", HF_EXPR_NAMES_MAX + 1);
  add_times(&text, " exists", 1);
  ck_assert_int_eq(parse_status(text.data, text.used, &err), HF_ELIMIT);
}
END_TEST

START_TEST(long_chains) {
  hf_record *record = make_record(document, NULL);
  hf_autobuf text = {0};
  add_times(&text, "not ", 4000);
  add_times(&text, "/n == 1", 1);
  add_times(&text, " and /n == 1", 2000);
  ck_assert_int_eq(match(record, text.data), 1);
  add_times(&text, " and /n == 2 or /n == 3", 1);
  ck_assert_int_eq(match(record, text.data), 0);
  add_times(&text, " or /n == 4 or not /n == 5", 500);
  ck_assert_int_eq(match(record, text.data), 1);
  hf_record_free(&record);
}
END_TEST

START_TEST(conditions_are_joined) {
  hf_record *record = make_record(document, NULL);
  hf_expr *expr = NULL;
  hf_error err = HF_ERROR_INIT;
  ck_assert_int_eq(hf_expr_parse("/n == 2 or /n == 1", 18, &expr, NULL), HF_OK);
  ck_assert_int_eq(hf_expr_and(expr, "/n == 1 or /n == 3", 18, NULL), HF_OK);
  ck_assert_int_eq(hf_expr_match(expr, record, NULL), 1);
  ck_assert_int_eq(hf_expr_and(expr, "/n == 2 and (", 13, &err), HF_EINVAL);
  ck_assert_str_eq(err.place, "column 14");
  ck_assert_int_eq(hf_expr_match(expr, record, NULL), 1); /* as before */
  ck_assert_int_eq(hf_expr_and(expr, "/n == 5 or /s == \"x\"", 20, NULL), HF_OK);
  ck_assert_int_eq(hf_expr_match(expr, record, NULL), 0);
  hf_expr_free(&expr);
  hf_expr_free(&expr);
  hf_expr_free(NULL);
  hf_record_free(&record);
}
END_TEST

/* Found by tests/fuzz/fuzz_expr.c: a string that is only its quotation mark. */
START_TEST(half_a_string) {
  static const char doc[] = {'{', '"', 'a', '"', ':', '[', '"'};
  hf_expr *expr = NULL;
  ck_assert_int_eq(hf_expr_parse("/a/0 < \"x\" or /a/0 == ts", 24, &expr, NULL), HF_OK);
  hf_line line;
  memset(&line, 0, sizeof line);
  line.ts = (hf_piece){"\"2026-01-02\"", 12};
  line.doc = (hf_piece){doc, sizeof doc};
  hf_subject subject = {1, &line, NULL, NULL, NULL, NULL};
  ck_assert_int_eq(hf_expr_match_subject(expr, &subject, NULL), 0);
  hf_expr_free(&expr);
}
END_TEST

/* What is no JSON, as a damaged document could be: some answer, no read outside of it. */
START_TEST(broken_documents) {
  static const char *const texts[] = {"",          "{",        "{\"",         "{\"a",
                                      "{\"a\"",    "{\"a\":",  "{\"a\":{",    "[[[[",
                                      "{\"a\":\"", "{a:1}",    "[,,,,]",      "{\"a\":1,,\"b\":2}",
                                      "nul",       "\"",       "{\"a\":\"\\", "{\"a\" 1 2 3}",
                                      "]]]]",      "{\"a\":]}"};
  hf_expr *expr = NULL;
  ck_assert_int_eq(hf_expr_parse("exists /a/a/a or exists /0/0 or exists /b", 41, &expr, NULL),
                   HF_OK);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    size_t bytes = strlen(texts[i]);
    char *copy = malloc(bytes + 1); /* of its very size, so that a sanitizer sees the end */
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, texts[i], bytes);
    hf_json found[HF_EXPR_NODES_MAX];
    char *exact = realloc(copy, bytes > 0 ? bytes : 1);
    ck_assert_ptr_nonnull(exact);
    hf_expr_find(expr, (hf_piece){exact, bytes}, found);
    for (size_t k = 0; k < expr->nodes_count; k++)
      ck_assert(found[k].text == NULL ||
                (found[k].text >= exact && found[k].text + found[k].bytes <= exact + bytes));
    free(exact);
  }
  hf_expr_free(&expr);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("expr");
  TCase *tests = tcase_create("all");
  tcase_add_test(tests, what_holds);
  tcase_add_test(tests, what_does_not_hold);
  tcase_add_test(tests, times_are_instants);
  tcase_add_test(tests, errors_point_at_their_place);
  tcase_add_test(tests, odd_texts);
  tcase_add_test(tests, long_chains);
  tcase_add_test(tests, conditions_are_joined);
  tcase_add_test(tests, half_a_string);
  tcase_add_test(tests, broken_documents);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
