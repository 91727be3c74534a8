/* hf_diff, its walk and its patch where the first, the second ... allocation fails: HF_ENOMEM, no
 * result, nothing lost. The program brings its own malloc; sanitizers bring theirs: there it only
 * runs through. */
#include <holdfast/diff.h>

#include <check.h>
#include <errno.h>

#include "diff_help.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static struct {
  size_t at; /* the allocation that fails, from 1 */
  size_t seen;
  int active;
  long held; /* allocations that were made while active, less those that were freed then */
} now;

#if !IS_SANITIZED

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void __libc_free(void *old);

static int fails(void) {
  if (!now.active || ++now.seen != now.at)
    return 0;
  errno = ENOMEM;
  return 1;
}

static void *counted(void *got) {
  now.held += now.active && got != NULL;
  return got;
}

void *malloc(size_t bytes) {
  return fails() ? NULL : counted(__libc_malloc(bytes));
}

void *calloc(size_t count, size_t bytes) {
  return fails() ? NULL : counted(__libc_calloc(count, bytes));
}

void *realloc(void *old, size_t bytes) {
  if (fails())
    return NULL;
  return old == NULL ? counted(__libc_realloc(old, bytes)) : __libc_realloc(old, bytes);
}

void free(void *old) {
  now.held -= now.active && old != NULL;
  __libc_free(old);
}

#endif

static const char a_doc[] =
    "{\"inputs\":{\"features\":[1,2,3,4],\"x\":[1,2,3,5,6],\"e\\u0041\":{\"q\\\"\":1}},\"z\":1,"
    "\"z\":2,\"n\":0.1,\"gone\":{\"a\":[]},\"comparison_group\":{\"a\":1,\"\\n\":2}}";
static const char b_doc[] =
    "{\"n\":0.2,\"inputs\":{\"e\\u0041\":{\"q\\\"\":2},\"x\":[0,1,3,{\"y\":1},5,6],\"features\":[4,"
    "9]},\"z\":7,\"new\":{\"b\":1},\"comparison_group\":{\"\\n\":3,\"b\":1}}";

/* All of it once: HF_OK, or the first failure. */
static int run_through(void) {
  hf_record a = record_of(1, "one", a_doc), b = record_of(2, "two", b_doc);
  hf_diff_result *result = NULL;
  char *text = NULL;
  size_t bytes = 0;
  hf_error error = HF_ERROR_INIT;
  hf_change change;
  b.group = "other";
  int status = hf_diff(&a, &b, NULL, &result, &error);
  if (status != HF_OK && result != NULL)
    return HF_EINTERNAL;
  while (status == HF_OK || status == 1)
    if ((status = hf_diff_next(result, &change, &error)) == 0)
      break;
  hf_diff_free(&result);
  if (status == HF_OK)
    status = hf_diff_patch(a_doc, sizeof a_doc - 1, b_doc, sizeof b_doc - 1, &text, &bytes, &error);
  free(text);
  text = NULL;
  if (status == HF_OK)
    status = hf_diff_rules(NULL, &text, &bytes, &error);
  free(text);
  return status;
}

START_TEST(each_allocation_fails_in_turn) {
  ck_assert_int_eq(run_through(), HF_OK);
  int status = HF_ENOMEM;
  size_t at = 1, failures = 0;
  for (; at < 10000; at++) {
    now.at = at;
    now.seen = 0;
    now.held = 0;
    now.active = 1;
    status = run_through();
    now.active = 0;
    ck_assert_int_eq(now.held, 0);
    if (now.seen < at)
      break;
    /* one that is not needed may fail without harm */
    ck_assert_msg(status == HF_ENOMEM || status == HF_OK, "allocation %zu: status %d", at, status);
    failures += status == HF_ENOMEM;
  }
  ck_assert_int_eq(status, HF_OK);
  if (!IS_SANITIZED)
    ck_assert_uint_gt(failures, 40);
}
END_TEST

int main(void) {
  TCase *tests = tcase_create("memory");
  tcase_add_test(tests, each_allocation_fails_in_turn);
  Suite *suite = suite_create("diff memory");
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
