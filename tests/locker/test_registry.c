/* The registry: what is built in, what a program may add, and what is refused. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/locker.h>

/* A program's own locker: a mutex. */
static int own_open(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  (void)args, (void)reterr;
  *ret_state = malloc(1);
  return *ret_state != NULL ? HF_OK : HF_ENOMEM;
}

static void own_close(void **state) {
  free(*state);
  *state = NULL;
}

static int own_acquire(void *state, const char *lock_name, int64_t deadline_ms, hf_grant *ret_grant,
                       hf_error *reterr) {
  (void)lock_name, (void)deadline_ms, (void)reterr;
  *ret_grant = (hf_grant){.ends_at_ms = HF_GRANT_ENDS_NEVER, .hold = state};
  return 1;
}

static int own_verify(void *state, const hf_grant *grant, hf_error *reterr) {
  (void)state, (void)grant, (void)reterr;
  return 1;
}

static int own_release(void *state, hf_grant *grant, uint64_t head, hf_error *reterr) {
  (void)state, (void)head, (void)reterr;
  grant->hold = NULL;
  return 1;
}

static int own_describe(void *state, const char *lock_name, hf_lock_holder *ret_holder,
                        hf_error *reterr) {
  (void)state, (void)lock_name, (void)ret_holder, (void)reterr;
  return 0;
}

static int own_break(void *state, const char *lock_name, hf_error *reterr) {
  (void)state, (void)lock_name, (void)reterr;
  return HF_OK;
}

static const hf_locker_ops own = {
    .scheme = "my-own-2",
    .open = own_open,
    .close = own_close,
    .acquire = own_acquire,
    .release = own_release,
    .describe = own_describe,
    .break_lock = own_break,
};

static void refused(const hf_locker_ops *ops, int code, const char *words) {
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_locker_register(ops, &error), code);
  ck_assert_int_eq(error.code, code);
  ck_assert_msg(strstr(error.message, words) != NULL, "'%s' lacks '%s'", error.message, words);
  ck_assert_int_eq(hf_locker_register(ops, NULL), code);
}

START_TEST(built_in) {
  ck_assert_str_eq(hf_locker_find("flock")->scheme, "flock");
  ck_assert_str_eq(hf_locker_find("none")->scheme, "none");
  ck_assert_ptr_null(hf_locker_find("Flock"));
  ck_assert_ptr_null(hf_locker_find("auto"));
  ck_assert_ptr_null(hf_locker_find(""));
  ck_assert_ptr_null(hf_locker_find(NULL));
  ck_assert_str_eq(hf_locker_scheme_at(0), "flock");
  size_t count = 0;
  while (hf_locker_scheme_at(count) != NULL)
    count++;
  ck_assert_uint_ge(count, 2);
  ck_assert_ptr_null(hf_locker_scheme_at(count + 1));
  ck_assert_ptr_null(hf_locker_scheme_at(SIZE_MAX));
  ck_assert_uint_eq(hf_locker_find("none")->traits, 0);
}
END_TEST

START_TEST(a_programs_own) {
  size_t before = 0;
  while (hf_locker_scheme_at(before) != NULL)
    before++;
  ck_assert_int_eq(hf_locker_register(&own, NULL), 0);
  ck_assert_ptr_eq(hf_locker_find("my-own-2"), &own);
  ck_assert_str_eq(hf_locker_scheme_at(before), "my-own-2");
  ck_assert_ptr_null(hf_locker_scheme_at(before + 1));
  refused(&own, HF_EEXIST, "already");
}
END_TEST

START_TEST(refusals) {
  char long_name[HF_LOCKER_NAME_BYTES_MAX + 2];
  memset(long_name, 'a', sizeof long_name);
  long_name[sizeof long_name - 1] = '\0';
  const char *const bad[] = {"",       "Upper",    "with space", "under_score",
                             "sl/ash", "\xc3\xa9", long_name};
  refused(NULL, HF_EINVAL, "scheme");
  hf_locker_ops ops = own;
  ops.scheme = NULL;
  refused(&ops, HF_EINVAL, "scheme");
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    ops.scheme = bad[i];
    refused(&ops, HF_EINVAL, "a-z");
  }
  ops.scheme = "auto";
  refused(&ops, HF_EINVAL, "auto");
  ops.scheme = "flock";
  refused(&ops, HF_EEXIST, "already");
  long_name[HF_LOCKER_NAME_BYTES_MAX] = '\0'; /* the longest that is allowed */
  ops.scheme = long_name;
  ck_assert_int_eq(hf_locker_register(&ops, NULL), 0);
}
END_TEST

START_TEST(missing_members) {
  hf_locker_ops ops = own;
  ops.open = NULL;
  refused(&ops, HF_EINVAL, "open");
  ops = own;
  ops.close = NULL;
  refused(&ops, HF_EINVAL, "close");
  ops = own;
  ops.acquire = NULL;
  refused(&ops, HF_EINVAL, "acquire");
  ops = own;
  ops.release = NULL;
  refused(&ops, HF_EINVAL, "release");
  ops = own;
  ops.describe = NULL;
  refused(&ops, HF_EINVAL, "describe");
  ops = own;
  ops.break_lock = NULL;
  refused(&ops, HF_EINVAL, "break_lock");
  ops = own;
  ops.traits = HF_LOCKER_GRANT_CAN_END;
  refused(&ops, HF_EINVAL, "verify");
  ops.verify = own_verify;
  ops.traits = 1U << 20;
  refused(&ops, HF_EINVAL, "traits");
  ck_assert_ptr_null(hf_locker_find(own.scheme));
}
END_TEST

static hf_locker_ops many[HF_LOCKER_SCHEMES_MAX + 8];
static char names[HF_LOCKER_SCHEMES_MAX + 8][16];

static void *register_some(void *argument) {
  size_t first = *(const size_t *)argument;
  intptr_t taken = 0;
  for (size_t i = first; i < sizeof many / sizeof many[0]; i += 2)
    taken += hf_locker_register(&many[i], NULL) == 0;
  return (void *)taken;
}

/* Two threads register at once, up to the limit and past it. */
START_TEST(threads_and_the_limit) {
  pthread_t threads[2];
  size_t firsts[2] = {0, 1};
  intptr_t taken = 0;
  for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
    snprintf(names[i], sizeof names[i], "many-%zu", i);
    many[i] = own;
    many[i].scheme = names[i];
  }
  for (int i = 0; i < 2; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, register_some, &firsts[i]), 0);
  for (int i = 0; i < 2; i++) {
    void *result = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &result), 0);
    taken += (intptr_t)result;
  }
  ck_assert_int_eq(taken, HF_LOCKER_SCHEMES_MAX);
  refused(&own, HF_ELIMIT, "16");
}
END_TEST

/* The locker that excludes nobody. */
START_TEST(none_grants_at_once) {
  const hf_locker_ops *none = hf_locker_find("none");
  hf_locker_open_args args = {.store_path = "/", .store_uuid = ""};
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  hf_grant one = HF_GRANT_INIT, two = HF_GRANT_INIT;
  ck_assert_int_eq(none->open(&args, &state, NULL), 0);
  ck_assert_int_eq(none->acquire(state, "lock", 0, &one, NULL), 1);
  ck_assert_int_eq(none->acquire(state, "lock", 0, &two, NULL), 1);
  ck_assert_uint_gt(two.token, one.token);
  ck_assert_int_eq(none->release(state, &one, 0, NULL), 1);
  ck_assert_int_eq(none->release(state, &one, 0, NULL), 0);
  ck_assert_int_eq(none->release(state, &two, 0, NULL), 1);
  none->close(&state);
  args.options_json = "{}";
  ck_assert_int_eq(none->open(&args, &state, &error), HF_ECONFIG);
  ck_assert_str_eq(error.place, "lockers.none");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("locker registry");
  TCase *tcase = tcase_create("registry");
  tcase_add_test(tcase, built_in);
  tcase_add_test(tcase, a_programs_own);
  tcase_add_test(tcase, refusals);
  tcase_add_test(tcase, missing_members);
  tcase_add_test(tcase, threads_and_the_limit);
  tcase_add_test(tcase, none_grants_at_once);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
