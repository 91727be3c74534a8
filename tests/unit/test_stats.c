/* A handle's own figures: each is counted where it happens. A store's: tests/cli/test_stats.py. */
#include <check.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <holdfast/stats.h>

#include "scratch.h"
#include "sys.h"

enum { THREADS = 8, SAVES = 20, WAIT_MS = 200 };

static scratch here;
static hf_store *store;

static void begin_in(const char *locker, const char *mode) {
  scratch_begin(&here);
  scratch_init_in(&here, locker, mode);
  store = scratch_open(&here);
}

static void begin(void) {
  begin_in("flock", "publish");
}

static void begin_journal(void) {
  begin_in("flock", "journal");
}

static void begin_none(void) {
  begin_in("none", "publish");
}

static void end(void) {
  hf_close(&store);
  scratch_end(&here);
}

static hf_handle_stats stats_of(const hf_store *of) {
  hf_handle_stats stats;
  memset(&stats, 0xff, sizeof stats);
  ck_assert_int_eq(hf_get_handle_stats(of, &stats, NULL), HF_OK);
  return stats;
}

/* The flushes that are made are those that are counted. */
static hf_sys_table counted;
static unsigned flushes;

static int count_fsync(int fd) {
  flushes++;
  return hf_sys_real.fsync(fd);
}

static int count_fdatasync(int fd) {
  flushes++;
  return hf_sys_real.fdatasync(fd);
}

START_TEST(saves_and_flushes) {
  static const hf_handle_stats nothing;
  hf_handle_stats stats = stats_of(store);
  ck_assert_mem_eq(&stats, &nothing, sizeof stats);
  counted = hf_sys_real;
  counted.fsync = count_fsync;
  counted.fdatasync = count_fdatasync;
  hf_sys = &counted;
  flushes = 0;
  for (int i = 0; i < SAVES; i++) {
    char run[16];
    (void)snprintf(run, sizeof run, "r%d", i);
    (void)scratch_must_save(store, run, "S", "{}");
  }
  hf_sys = &hf_sys_real;
  (void)scratch_must_save(store, "r0", "S", "{}"); /* it is there */
  ck_assert_int_ne(scratch_save(store, "r0", "S", "[]", NULL, NULL), HF_OK);
  stats = stats_of(store);
  ck_assert_uint_eq(stats.saves, SAVES);
  ck_assert_uint_eq(stats.unchanged, 1);
  ck_assert_uint_eq(stats.failed, 0); /* it was not valid */
  ck_assert_uint_eq(stats.commits, SAVES);
  ck_assert_uint_ge(stats.flushes, flushes);
  ck_assert_uint_le(stats.flushes, flushes + 2); /* what the answer without a record needed */
  ck_assert_uint_eq(stats.lock_waits, SAVES + 1);
  ck_assert_uint_le(stats.lock_wait_us_max, stats.lock_wait_us);
  ck_assert_uint_eq(stats.collisions, 0);
  ck_assert_uint_eq(stats.lock_failures, 0);
}
END_TEST

START_TEST(a_condition_that_does_not_hold) {
  (void)scratch_must_save(store, "r", "S", "{}");
  hf_save_request request = {.key = {.run_id = "r", .stage = "S"},
                             .doc = "{\"a\":1}",
                             .doc_bytes = 7,
                             .condition = HF_IF_ABSENT};
  hf_saved saved;
  ck_assert_int_eq(hf_save(store, &request, -1, &saved, NULL), HF_ECONFLICT);
  ck_assert_uint_eq(stats_of(store).refused, 1);
}
END_TEST

START_TEST(a_lock_that_another_has) {
  (void)scratch_must_save(store, "r", "S", "{}");
  int fd = open(scratch_path(&here, "lock"), O_RDWR | O_CLOEXEC);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  hf_save_request request = {.key = {.run_id = "late", .stage = "S"}, .doc = "{}", .doc_bytes = 2};
  hf_saved saved;
  ck_assert_int_eq(hf_save(store, &request, WAIT_MS, &saved, NULL), HF_ELOCK);
  (void)close(fd);
  hf_handle_stats stats = stats_of(store);
  ck_assert_uint_eq(stats.lock_failures, 1);
  ck_assert_uint_eq(stats.failed, 1);
  ck_assert_uint_ge(stats.lock_wait_us_max, (WAIT_MS - 50) * 1000);
}
END_TEST

static void *save_many(void *context) {
  for (int i = 0; i < SAVES; i++) {
    char run[32];
    (void)snprintf(run, sizeof run, "%d-%d", *(int *)context, i);
    (void)scratch_must_save(store, run, "S", "{}");
  }
  return NULL;
}

START_TEST(threads_share_commits) {
  pthread_t threads[THREADS];
  int numbers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    numbers[i] = i;
    ck_assert_int_eq(pthread_create(&threads[i], NULL, save_many, &numbers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
  hf_handle_stats stats = stats_of(store);
  ck_assert_uint_eq(stats.saves, THREADS * SAVES);
  ck_assert_uint_le(stats.commits, stats.saves);
  ck_assert_uint_eq(stats.commits, stats.lock_waits);
}
END_TEST

/* Another handle takes the number first, between our look and our link. */
static hf_store *other;
static int is_first;

static int link_late(int from_fd, const char *from, int to_fd, const char *to, int flags) {
  if (is_first) {
    is_first = 0;
    (void)scratch_must_save(other, "faster", "S", "{}");
  }
  return hf_sys_real.linkat(from_fd, from, to_fd, to, flags);
}

START_TEST(a_name_that_another_has_taken) {
  (void)scratch_must_save(store, "r", "S", "{}");
  other = scratch_open(&here);
  counted = hf_sys_real;
  counted.linkat = link_late;
  is_first = 1;
  hf_sys = &counted;
  ck_assert_uint_eq(scratch_must_save(store, "slower", "S", "{}"), 3);
  hf_sys = &hf_sys_real;
  ck_assert_uint_eq(stats_of(store).collisions, 1);
  ck_assert_uint_eq(stats_of(other).collisions, 0);
  hf_close(&other);
}
END_TEST

/* What writers count: tests/fault/tally.c, tests/cli/test_writers.py. */
START_TEST(what_writers_counted) {
  hf_writer_stats *stats = NULL;
  hf_error error = HF_ERROR_INIT;
  (void)scratch_must_save(store, "r", "S", "{}");
  (void)scratch_must_save(store, "r2", "S", "{}");
  ck_assert_int_eq(hf_get_writer_stats(store, &stats, &error), HF_OK);
  ck_assert_uint_eq(stats->hosts_count, 1);
  ck_assert_uint_eq(stats->total.handles, 1);
  ck_assert_uint_eq(stats->total.counted.saves, 1); /* the other one is added at the end */
  ck_assert_str_eq(stats->total.host, "");
  ck_assert_int_gt(stats->total.since_unix_us, 0);
  ck_assert_int_eq(stats->total.since_unix_us, stats->hosts[0].since_unix_us);
  hf_writer_stats_free(&stats);
  ck_assert_ptr_null(stats);
  hf_writer_stats_free(&stats);
  hf_writer_stats_free(NULL);
  hf_close(&store);
  store = scratch_open(&here);
  ck_assert_int_eq(hf_get_writer_stats(store, &stats, &error), HF_OK);
  ck_assert_uint_eq(stats->total.counted.saves, 2);
  ck_assert_uint_eq(stats->total.counted.lock_waits, 2);
  ck_assert_uint_eq(stats->unread, 0);
  hf_writer_stats_free(&stats);
  ck_assert_int_eq(hf_get_writer_stats(NULL, &stats, &error), HF_EINVAL);
  ck_assert_ptr_null(stats);
}
END_TEST

static void add(Suite *suite, const char *name, void (*begins)(void), const TTest *const *tests,
                size_t count) {
  TCase *one = tcase_create(name);
  tcase_add_checked_fixture(one, begins, end);
  for (size_t i = 0; i < count; i++)
    tcase_add_test(one, tests[i]);
  suite_add_tcase(suite, one);
}

int main(void) {
  Suite *suite = suite_create("stats");
  const TTest *const both[] = {saves_and_flushes, a_condition_that_does_not_hold,
                               a_lock_that_another_has, threads_share_commits,
                               what_writers_counted};
  const TTest *const without_lock[] = {a_name_that_another_has_taken};
  add(suite, "publish", begin, both, sizeof both / sizeof both[0]);
  add(suite, "journal", begin_journal, both, sizeof both / sizeof both[0]);
  add(suite, "none", begin_none, without_lock, 1);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
