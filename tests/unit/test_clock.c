#include "clock.h"

#include <check.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <holdfast/holdfast.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const int64_t second_us = 1000000;

typedef struct stamp_case {
  const char *text;
  int64_t unix_us;
} stamp_case;

START_TEST(parses_what_people_write) {
  static const stamp_case cases[] = {
      {"1970-01-01T00:00:00Z", 0},
      {"1970-01-01", 0},
      {"2025-12-01", 1764547200000000},
      {"2025-12-01T09:25:00+00:00", 1764581100000000},
      {"2025-12-01T10:33:00.617613", 1764585180617613},
      {"2025-12-01 10:33:00", 1764585180000000},
      {"2025-12-01 10:33", 1764585180000000},
      {"2025-12-01T10:33Z", 1764585180000000},
      {"2025-12-01t10:33:00z", 1764585180000000},
      {"2025-12-01T10:33:00.6", 1764585180600000},
      {"2025-12-01T10:33:00.000001Z", 1764585180000001},
      {"2025-12-01T10:33:00.617613999Z", 1764585180617613},
      {"2025-12-01T10:33:00.617+01:00", 1764581580617000},
      {"2025-12-01T10:33:00-05:30", 1764604980000000},
      {"2025-12-01T10:33:00-00:00", 1764585180000000},
      {"1900-01-01T00:00:00+00:17:30", -2208989850000000},
      {"1900-01-01T00:00:00.5-00:00:10.25", -2208988789250000},
      {"1969-12-31T23:59:59.999999", -1},
      {"2024-02-29T23:59:59", 1709251199000000},
      {"2000-02-29T12:00:00Z", 951825600000000},
      {"2016-12-31T23:59:60Z", 1483228800000000},
      {"0000-01-01T00:00:00Z", -62167219200000000},
      {"0001-01-01T00:00:00", -62135596800000000},
      {"9999-12-31T23:59:59.999999", 253402300799999999},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t us = 42;
    const char *text = cases[i].text;
    ck_assert_msg(hf_timestamp_parse(text, strlen(text), &us) == 0, "refused: %s", text);
    ck_assert_msg(us == cases[i].unix_us, "%s: %lld", text, (long long)us);
  }
}
END_TEST

START_TEST(refuses_the_rest) {
  static const char *const cases[] = {
      "",
      "2025",
      "2025-12",
      "2025-12-",
      "2025-12-1",
      "2025-13-01",
      "2025-00-01",
      "2025-12-00",
      "2025-12-32",
      "2025-11-31",
      "2025-02-29",
      "1900-02-29",
      "2100-02-29T00:00:00Z",
      "20251201",
      "20251201T103300",
      "25-12-01",
      "+2025-12-01",
      "-2025-12-01",
      "2025/12/01",
      "01.12.2025",
      " 2025-12-01",
      "2025-12-01 ",
      "2025-12-01T",
      "2025-12-01Z",
      "2025-12-01+00:00",
      "2025-12-01T10",
      "2025-12-01T10:",
      "2025-12-01T10:3",
      "2025-12-01T1:33",
      "2025-12-01T24:00:00",
      "2025-12-01T10:60:00",
      "2025-12-01T10:33:61",
      "2025-12-01T10:33:",
      "2025-12-01T10:33:0",
      "2025-12-01T10:33:00.",
      "2025-12-01T10:33:00.Z",
      "2025-12-01T10:33:00,5",
      "2025-12-01T10:33:00.0123456789",
      "2025-12-01T10:33.5",
      "2025-12-01T10:33:00 Z",
      "2025-12-01T10:33:00Z ",
      "2025-12-01T10:33:00ZZ",
      "2025-12-01T10:33:00Z+00:00",
      "2025-12-01T10:33:00+",
      "2025-12-01T10:33:00+01",
      "2025-12-01T10:33:00+0100",
      "2025-12-01T10:33:00+24:00",
      "2025-12-01T10:33:00+01:60",
      "2025-12-01T10:33:00+01:00:60",
      "2025-12-01T10:33:00+01:00Z",
      "2025-12-01T10:33:00 UTC",
      "2025-12-01  10:33:00",
      "2025-12-01_10:33:00",
      "2025-12-0\xd9\xa1",
      "1764585180",
      "now",
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    int64_t us = 42;
    ck_assert_msg(hf_timestamp_parse(cases[i], strlen(cases[i]), &us) == -1, "accepted: %s",
                  cases[i]);
    ck_assert_int_eq(us, 42);
  }
}
END_TEST

/* The text is not NUL-terminated: every prefix, in memory of exactly its length. */
START_TEST(reads_no_further_than_the_text) {
  const char *text = "2025-12-01T10:33:00.617613-05:30";
  size_t accepted = 0;
  for (size_t bytes = 0; bytes <= strlen(text); bytes++) {
    char *copy = malloc(bytes + (bytes == 0));
    ck_assert_ptr_nonnull(copy);
    memcpy(copy, text, bytes);
    int64_t us = 0;
    accepted += hf_timestamp_parse(copy, bytes, &us) == 0;
    free(copy);
  }
  /* the date, HH:MM, HH:MM:SS, six fractions, the whole */
  ck_assert_uint_eq(accepted, 1 + 1 + 1 + 6 + 1);
  int64_t us = 0;
  ck_assert_int_eq(hf_timestamp_parse("2025-12-01\0T10:33", 16, &us), -1);
}
END_TEST

START_TEST(prints) {
  static const stamp_case cases[] = {
      {"1970-01-01T00:00:00.000000Z", 0},
      {"1969-12-31T23:59:59.999999Z", -1},
      {"2026-01-02T03:04:05.678901Z", 1767323045678901},
      {"2000-02-29T00:00:00.000000Z", 951782400000000},
      {"0000-01-01T00:00:00.000000Z", -62167219200000000},
      {"9999-12-31T23:59:59.999999Z", 253402300799999999},
      {"0000-01-01T00:00:00.000000Z", INT64_MIN},
      {"9999-12-31T23:59:59.999999Z", INT64_MAX},
  };
  for (size_t i = 0; i < COUNT(cases); i++) {
    char text[HF_RFC3339_BYTES];
    hf_rfc3339_from_us(cases[i].unix_us, text);
    ck_assert_str_eq(text, cases[i].text);
  }
}
END_TEST

/* Every third day of the years that can be printed, against the C library. (A ck_assert that holds
 * costs a system call.) */
START_TEST(agrees_with_the_c_library) {
  int64_t first = -62167219200 / 86400, last = 253402300799 / 86400;
  size_t days = 0;
  for (int64_t day = first; day <= last; day += 3, days++) {
    time_t seconds = (time_t)(day * 86400 + (day * 7919 % 86400 + 86400) % 86400);
    struct tm parts;
    char expected[HF_RFC3339_BYTES], text[HF_RFC3339_BYTES];
    (void)gmtime_r(&seconds, &parts);
    size_t year = strftime(expected, sizeof expected, "%Y", &parts);
    char padded[HF_RFC3339_BYTES] = "0000";
    memcpy(padded + 4 - year, expected, year); /* glibc prints the year 7 as "7" */
    (void)strftime(padded + 4, sizeof padded - 4, "-%m-%dT%H:%M:%S.000000Z", &parts);
    hf_rfc3339_from_us((int64_t)seconds * second_us, text);
    int64_t us = 0;
    int parsed = hf_timestamp_parse(text, strlen(text), &us);
    if (strcmp(text, padded) != 0 || parsed != 0 || us != (int64_t)seconds * second_us)
      ck_abort_msg("day %lld: %s, the C library says %s", (long long)day, text, padded);
  }
  ck_assert_uint_eq(days, 3652425 / 3); /* 10,000 years */
}
END_TEST

START_TEST(clocks_run) {
  int64_t before = hf_monotonic_ms();
  int64_t real = hf_realtime_us();
  struct timespec pause = {0, 20 * 1000 * 1000};
  (void)nanosleep(&pause, NULL);
  int64_t gone = hf_monotonic_ms() - before;
  ck_assert_int_ge(gone, 19);
  ck_assert_int_lt(gone, 10000);
  ck_assert_int_ge(hf_realtime_us() - real, 19000);
  ck_assert_int_le(llabs((long long)(hf_realtime_us() / second_us - (int64_t)time(NULL))), 2);
}
END_TEST

START_TEST(deadlines) {
  int64_t now = hf_monotonic_ms();
  ck_assert_int_ge(hf_deadline_ms(0), now);
  ck_assert_int_lt(hf_deadline_ms(0), now + 10000);
  ck_assert_int_ge(hf_deadline_ms(500), now + 500);
  ck_assert_int_ge(hf_deadline_ms(-1), now + HF_TIMEOUT_MS_DEFAULT);
  ck_assert_int_lt(hf_deadline_ms(-1), now + HF_TIMEOUT_MS_DEFAULT + 10000);
  ck_assert_int_lt(hf_deadline_ms(INT64_MIN), now + HF_TIMEOUT_MS_DEFAULT + 10000);
  ck_assert_int_eq(hf_deadline_ms(INT64_MAX), INT64_MAX);
  ck_assert_int_eq(hf_deadline_ms(INT64_MAX - 1), INT64_MAX);
}
END_TEST

static int64_t now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * second_us + now.tv_nsec / 1000;
}

static int64_t sleep_us(unsigned attempt, int64_t base_us, int64_t cap_us) {
  int64_t before = now_us();
  ck_assert_int_eq(hf_backoff_sleep(attempt, base_us, cap_us, INT64_MAX), 0);
  return now_us() - before;
}

START_TEST(backoff_grows_and_is_capped) {
  for (int i = 0; i < 5; i++) {
    ck_assert_int_ge(sleep_us(0, 2000, 1000000), 1000);
    ck_assert_int_ge(sleep_us(3, 2000, 1000000), 8000);
    /* the lower bounds are promises; the upper ones leave room for a busy machine */
    ck_assert_int_lt(sleep_us(0, 1000, 2000), 500000);
    ck_assert_int_lt(sleep_us(60, 1000, 2000), 500000);
    ck_assert_int_lt(sleep_us(UINT32_MAX, 1000, 2000), 500000);
    ck_assert_int_ge(sleep_us(UINT32_MAX, 1000, 2000), 1000);
  }
  (void)sleep_us(0, 0, 0);
}
END_TEST

START_TEST(backoff_has_jitter) {
  int64_t least = INT64_MAX, most = 0;
  for (int i = 0; i < 30; i++) {
    int64_t slept = sleep_us(0, 10000, 10000);
    least = slept < least ? slept : least;
    most = slept > most ? slept : most;
  }
  ck_assert_int_ge(least, 5000);
  ck_assert_int_lt(least, 8500); /* all 30 above this: less than once in 10^15 */
  ck_assert_int_gt(most, 6500);
}
END_TEST

START_TEST(backoff_ends_at_the_deadline) {
  ck_assert_int_eq(hf_backoff_sleep(0, 1000, 1000, hf_monotonic_ms()), -1);
  ck_assert_int_eq(hf_backoff_sleep(0, 1000, 1000, 0), -1);
  ck_assert_int_eq(hf_backoff_sleep(0, 1000, 1000, INT64_MIN), -1);

  int64_t before = hf_monotonic_ms();
  ck_assert_int_eq(hf_backoff_sleep(20, 1000000, INT64_MAX, before + 30), 0);
  int64_t gone = hf_monotonic_ms() - before;
  ck_assert_int_ge(gone, 29);
  ck_assert_int_lt(gone, 5000);
  ck_assert_int_eq(hf_backoff_sleep(0, 1000, 1000, before + 30), -1);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("clock");
  TCase *stamps = tcase_create("timestamps");
  tcase_add_test(stamps, parses_what_people_write);
  tcase_add_test(stamps, refuses_the_rest);
  tcase_add_test(stamps, reads_no_further_than_the_text);
  tcase_add_test(stamps, prints);
  tcase_add_test(stamps, agrees_with_the_c_library);
  suite_add_tcase(s, stamps);
  TCase *clocks = tcase_create("clocks");
  tcase_add_test(clocks, clocks_run);
  tcase_add_test(clocks, deadlines);
  tcase_add_test(clocks, backoff_grows_and_is_capped);
  tcase_add_test(clocks, backoff_has_jitter);
  tcase_add_test(clocks, backoff_ends_at_the_deadline);
  suite_add_tcase(s, clocks);
  return s;
}

int main(void) {
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
