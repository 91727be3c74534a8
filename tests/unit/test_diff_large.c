/* hf_diff and hf_diff_patch on what is large: no quadratic time, no recursion. The bounds are wide:
 * what they refuse takes minutes. */
#include <holdfast/diff.h>

#include <check.h>
#include <time.h>

#include "diff_help.h"
#include "json.h"

enum { LARGE_BYTES = 20 * 1024 * 1024, SECONDS_MAX = 10 };

typedef void (*maker)(hf_buf *out, int which);

static double now(void) {
  struct timespec time;
  ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time), 0);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Objects as of a run's models: every tenth has another score, the names are in another order. */
static void objects(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"outputs\":{");
  for (int i = 0; out->used < LARGE_BYTES; i++) {
    int score = i % 10 == 0 ? i + which : i;
    (void)hf_buf_printf(out,
                        which ? "%s\"m%d\":{\"path\":\"b\",\"score\":%d.5,\"n\":1e2}"
                              : "%s\"m%d\":{\"n\":100,\"score\":%d.5,\"path\":\"a\"}",
                        i > 0 ? "," : "", i, score);
  }
  (void)hf_buf_add_text(out, "}}");
}

/* Every value of a long list is another one. */
static void noise(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"l\":[0");
  for (int i = 1; i < 200000; i++)
    (void)hf_buf_printf(out, ",%d.%d", i, which + 1);
  (void)hf_buf_add_text(out, "]}");
}

/* Long lists of other lengths, without a common element. */
static void strangers(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"l\":[0");
  for (int i = 1; i < 200000 + which; i++)
    (void)hf_buf_printf(out, ",\"%d-%d\"", i, which);
  (void)hf_buf_add_text(out, "]}");
}

/* Many lists that are as long as may be laid against each other. */
static void many_lists(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"l\":[0");
  for (int i = 0; i < 120; i++) {
    (void)hf_buf_add_text(out, ",[0");
    for (int j = 0; j < 1000; j++)
      (void)hf_buf_printf(out, ",%d", (j * 7 + i + which * j) % 1009);
    (void)hf_buf_add_text(out, "]");
  }
  (void)hf_buf_add_text(out, "]}");
}

/* A path that is long, and many changes at its end. */
static void long_path(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"");
  while (out->used < LARGE_BYTES / 100)
    (void)hf_buf_add_text(out, "0123456789abcdef");
  (void)hf_buf_add_text(out, "\":[0");
  for (int i = 0; i < 50000; i++)
    (void)hf_buf_printf(out, ",%d.%d", i, which + 1);
  (void)hf_buf_add_text(out, "]}");
}

/* The same, and the names at the end are such as the built-in patterns look for. */
static void long_window(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"");
  while (out->used < LARGE_BYTES / 100)
    (void)hf_buf_add_text(out, "window_");
  (void)hf_buf_add_text(out, "\":{\"period\":{\"x\":{\"a\":0");
  for (int i = 0; i < 25000; i++)
    (void)hf_buf_printf(out, ",\"start%d\":%d.%d,\"end%d\":0.%d", i, i, which, i, which);
  (void)hf_buf_add_text(out, "}}}}");
}

/* The same name, again and again. */
static void one_name(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"a\":0");
  for (int i = 0; out->used < LARGE_BYTES / 10; i++)
    (void)hf_buf_printf(out, ",\"a\":%d", i + which);
  (void)hf_buf_add_text(out, "}");
}

static void deep(hf_buf *out, int which) {
  for (int i = 0; i < HF_DOC_NESTING_MAX; i++)
    (void)hf_buf_add_text(out, i % 2 == 0 ? "{\"run\":" : "[1,");
  (void)hf_buf_printf(out, "%d", which);
  for (int i = HF_DOC_NESTING_MAX; i-- > 0;)
    (void)hf_buf_add_char(out, i % 2 == 0 ? '}' : ']');
}

/* As deep, and at the bottom as wide as there is room. */
static void deep_and_wide(hf_buf *out, int which) {
  for (int i = 0; i < HF_DOC_NESTING_MAX - 1; i++)
    (void)hf_buf_add_text(out, "{\"x\":");
  (void)hf_buf_add_text(out, "{\"y\":0");
  for (int i = 0; out->used < LARGE_BYTES / 10; i++)
    (void)hf_buf_printf(out, ",\"%d\":%d", i, which);
  for (int i = 0; i < HF_DOC_NESTING_MAX; i++)
    (void)hf_buf_add_char(out, '}');
}

static void set_of_many(hf_buf *out, int which) {
  (void)hf_buf_add_text(out, "{\"tags\":[0");
  for (int i = 0; i < 200000; i++)
    (void)hf_buf_printf(out, ",%d", which ? 200000 - i : i);
  (void)hf_buf_add_text(out, "]}");
}

static void long_string(hf_buf *out, int which) {
  (void)hf_buf_printf(out, "{\"a\":\"\\n%d", which);
  while (out->used < LARGE_BYTES)
    (void)hf_buf_add_text(out, "0123456789abcdef\\u00e9");
  (void)hf_buf_add_text(out, "\"}");
}

static const struct {
  maker make;
  const char *name;
  uint64_t changes;
  int counted; /* changes is exact */
} cases[] = {
    {objects, "objects", 0, 0},
    {noise, "noise", 199999, 1},
    {strangers, "strangers", 1, 1},
    {many_lists, "many lists", 0, 0},
    {one_name, "one name", 1, 1},
    {deep, "deep", 1, 1},
    {deep_and_wide, "deep and wide", 0, 0},
    {set_of_many, "a set of many", 1, 1},
    {long_string, "a long string", 1, 1},
    {long_path, "a long path", 50000, 1},
    {long_window, "a long path that looks like a time range", 50000, 1},
};

START_TEST(no_case_takes_long) {
  hf_autobuf a = {0}, b = {0};
  cases[_i].make(&a, 0);
  cases[_i].make(&b, 1);
  ck_assert_int_eq(a.failed | b.failed, 0);
  double begin = now();
  for (int all = 0; all < 2; all++) {
    hf_diff_result *result = compare_with(a.data, b.data, NULL, all);
    uint64_t changes = hf_diff_summary_of(result)->changes, told_changes = 0;
    hf_change change;
    while (hf_diff_next(result, &change, NULL) == 1)
      told_changes += change.kind < HF_CHANGE_SAME;
    ck_assert_uint_eq(told_changes, changes);
    ck_assert_uint_gt(changes, 0);
    if (cases[_i].counted)
      ck_assert_uint_eq(changes, cases[_i].changes);
    hf_diff_free(&result);
  }
  char *patch = NULL;
  size_t bytes = 0;
  ck_assert_int_eq(hf_diff_patch(a.data, a.used, b.data, b.used, &patch, &bytes, NULL), HF_OK);
  ck_assert_int_eq(hf_json_check(patch, bytes, 0, HF_DOC_NESTING_MAX + 2, NULL, NULL, NULL), HF_OK);
  ck_assert_uint_lt(bytes, (a.used + b.used) * 5 + 65536);
  free(patch);
  double seconds = now() - begin;
  if (getenv("HF_TEST_VERBOSE") != NULL)
    (void)fprintf(stderr, "%s: %zu bytes, %.2f s\n", cases[_i].name, a.used, seconds);
  if (getenv("HF_TEST_SLOW") == NULL && getenv("HF_TEST_WRAPPER") == NULL)
    ck_assert_msg(seconds < SECONDS_MAX, "%s: %.1f s", cases[_i].name, seconds);
}
END_TEST

START_TEST(deeper_than_a_document_may_be) {
  hf_autobuf a = {0};
  (void)hf_buf_add_text(&a, "{\"a\":");
  deep(&a, 0);
  (void)hf_buf_add_text(&a, "}");
  hf_record record = record_of(1, "a", a.data);
  hf_diff_result *result = NULL;
  char *patch = NULL;
  size_t bytes = 0;
  ck_assert_int_eq(hf_diff(&record, &record, NULL, &result, NULL), HF_ELIMIT);
  ck_assert_int_eq(hf_diff_patch(a.data, a.used, "{}", 2, &patch, &bytes, NULL), HF_ELIMIT);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("large");
  tcase_set_timeout(tests, 120);
  tcase_add_loop_test(tests, no_case_takes_long, 0, (int)(sizeof cases / sizeof cases[0]));
  tcase_add_test(tests, deeper_than_a_document_may_be);
  Suite *suite = suite_create("diff large");
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
