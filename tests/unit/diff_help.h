/* What the tests of hf_diff share: records by hand, and what is told of them as one text. */
#ifndef HF_TESTS_DIFF_HELP_H
#define HF_TESTS_DIFF_HELP_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/diff.h>

#include "buf.h"

static inline hf_record record_of(uint64_t seq, const char *run_id, const char *doc) {
  return (hf_record){.seq = seq,
                     .op = "save",
                     .run_id = run_id,
                     .stage = "s",
                     .group = "g",
                     .doc = doc,
                     .doc_bytes = doc != NULL ? strlen(doc) : 0};
}

/* The caller frees. */
static inline hf_diff_result *compare_with(const char *a, const char *b, const hf_config *config,
                                           int all) {
  hf_record x = record_of(1, "one", a), y = record_of(2, "two", b);
  hf_diff_options options = {config, all};
  hf_diff_result *result = NULL;
  hf_error error = HF_ERROR_INIT;
  int status = hf_diff(&x, &y, &options, &result, &error);
  ck_assert_msg(status == HF_OK, "%s: %s", error.place, error.message);
  return result;
}

/* "~/a 1>2 minor; +/b 3 major": all that hf_diff_next tells. */
static inline char *told(hf_diff_result *result) {
  hf_buf out = {0};
  hf_change change;
  int got = 0;
  (void)hf_buf_add_text(&out, "");
  while ((got = hf_diff_next(result, &change, NULL)) == 1) {
    static const char marks[] = "+-~=.#"; /* of hf_change_kind */
    (void)hf_buf_printf(&out, "%s%c%s ", out.used > 0 ? "; " : "", marks[change.kind],
                        change.pointer);
    (void)hf_buf_printf(&out, "%.*s", (int)change.old_bytes,
                        change.old_text != NULL ? change.old_text : "");
    (void)hf_buf_add_text(&out, change.old_text != NULL && change.new_text != NULL ? ">" : "");
    (void)hf_buf_printf(&out, "%.*s", (int)change.new_bytes,
                        change.new_text != NULL ? change.new_text : "");
    (void)hf_buf_printf(&out, " %s", hf_severity_name(change.severity));
  }
  ck_assert_int_eq(got, 0);
  return hf_buf_take(&out);
}

static inline void expect_with(const char *a, const char *b, const hf_config *config, int all,
                               const char *expected) {
  hf_diff_result *result = compare_with(a, b, config, all);
  char *text = told(result), *again = told(result); /* it begins anew */
  ck_assert_msg(strcmp(text, expected) == 0, "%s\n%s\ntold:     %s\nexpected: %s", a, b, text,
                expected);
  ck_assert_str_eq(again, text);
  free(text);
  free(again);
  hf_diff_free(&result);
}

static inline void expect(const char *a, const char *b, const char *expected) {
  expect_with(a, b, NULL, 0, expected);
}

static inline void expect_patch(const char *a, const char *b, const char *expected) {
  char *patch = NULL;
  size_t bytes = 0;
  ck_assert_int_eq(hf_diff_patch(a, strlen(a), b, strlen(b), &patch, &bytes, NULL), HF_OK);
  ck_assert_str_eq(patch, expected);
  ck_assert_uint_eq(bytes, strlen(patch));
  free(patch);
}

/* Loads a configuration with this "compare"; NULL, with *ret_error, where it is refused. */
static inline hf_config *load_compare(const char *compare, hf_error *ret_error) {
  char path[] = "/tmp/hf-diff-XXXXXX";
  int fd = mkstemp(path);
  ck_assert_int_ge(fd, 0);
  FILE *file = fdopen(fd, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fprintf(file, "{\"compare\":%s}", compare), 0);
  ck_assert_int_eq(fclose(file), 0);
  hf_config *config = NULL;
  int status = hf_config_load(path, &config, ret_error);
  ck_assert_int_eq(unlink(path), 0);
  ck_assert((status == HF_OK) == (config != NULL));
  return config;
}

#endif
