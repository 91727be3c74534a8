#include "clock.h"

#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include <holdfast/holdfast.h>

#include "banned.h"

enum { YEAR_MAX = 9999 };

static const int64_t us_per_second = 1000000;
static const int64_t us_per_day = INT64_C(86400) * 1000000;
static const int64_t ns_per_second = 1000000000;

static int64_t monotonic_ns(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now); /* cannot fail for this clock and a valid pointer */
  return (int64_t)now.tv_sec * ns_per_second + now.tv_nsec;
}

int64_t hf_monotonic_ms(void) {
  return monotonic_ns() / 1000000;
}

int64_t hf_monotonic_us(void) {
  return monotonic_ns() / 1000;
}

int64_t hf_realtime_us(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * us_per_second + now.tv_nsec / 1000;
}

int64_t hf_deadline_ms(int64_t timeout_ms) {
  int64_t now = hf_monotonic_ms();
  if (timeout_ms < 0)
    timeout_ms = HF_TIMEOUT_MS_DEFAULT;
  return timeout_ms > INT64_MAX - now ? INT64_MAX : now + timeout_ms;
}

/* Days since 1970-01-01 of a date in the proleptic Gregorian calendar. Years are counted from
 * March, so that the leap day is the last of its year; an era is 400 years. */
static int64_t days_from_date(int year, int month, int day) {
  int64_t y = month <= 2 ? year - 1 : year;
  int64_t era = (y >= 0 ? y : y - 399) / 400;
  int64_t year_of_era = y - era * 400;
  int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146097 + day_of_era - 719468;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day) {
  days += 719468;
  int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  int64_t day_of_era = days - era * 146097;
  int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  int64_t month_from_march = (5 * day_of_year + 2) / 153;
  *ret_day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1);
  *ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
  *ret_year = (int)(year_of_era + era * 400 + (*ret_month <= 2));
}

static char *put_number(char *at, int value, int digits, char then) {
  for (int i = digits - 1; i >= 0; i--, value /= 10)
    at[i] = (char)('0' + value % 10);
  at[digits] = then;
  return at + digits + 1;
}

void hf_rfc3339_from_us(int64_t unix_us, char text[HF_RFC3339_BYTES]) {
  /* RFC 3339 has years of four digits: a clock that is further off shows the nearest one. */
  int64_t us_min = days_from_date(0, 1, 1) * us_per_day;
  int64_t us_end = days_from_date(YEAR_MAX + 1, 1, 1) * us_per_day;
  if (unix_us < us_min)
    unix_us = us_min;
  if (unix_us >= us_end)
    unix_us = us_end - 1;

  int64_t us_of_day = unix_us % us_per_day;
  int64_t days = unix_us / us_per_day;
  if (us_of_day < 0) {
    us_of_day += us_per_day;
    days--;
  }
  int second_of_day = (int)(us_of_day / us_per_second);
  int year = 0, month = 0, day = 0;
  date_from_days(days, &year, &month, &day);

  char *at = text;
  at = put_number(at, year, 4, '-');
  at = put_number(at, month, 2, '-');
  at = put_number(at, day, 2, 'T');
  at = put_number(at, second_of_day / 3600, 2, ':');
  at = put_number(at, second_of_day / 60 % 60, 2, ':');
  at = put_number(at, second_of_day % 60, 2, '.');
  at = put_number(at, (int)(us_of_day % us_per_second), 6, 'Z');
  *at = '\0';
}

/* ---- parsing ---- */

typedef struct cursor {
  const char *at;
  const char *end;
} cursor;

static int is_digit(char c) {
  return c >= '0' && c <= '9';
}

static int take_char(cursor *in, char c) {
  if (in->at == in->end || *in->at != c)
    return 0;
  in->at++;
  return 1;
}

/* Takes exactly `digits` digits whose value lies in min .. max. */
static int take_number(cursor *in, int digits, int min, int max, int *ret_value) {
  int value = 0;
  for (int i = 0; i < digits; i++) {
    if (in->at == in->end || !is_digit(*in->at))
      return 0;
    value = value * 10 + (*in->at++ - '0');
  }
  if (value < min || value > max)
    return 0;
  *ret_value = value;
  return 1;
}

/* After the point: 1 to 9 digits, cut at microseconds. */
static int take_fraction(cursor *in, int *ret_us) {
  int us = 0, digits = 0;
  for (; in->at < in->end && is_digit(*in->at); in->at++) {
    if (++digits > 9)
      return 0;
    if (digits <= 6)
      us = us * 10 + (*in->at - '0');
  }
  if (digits == 0)
    return 0;
  for (int i = digits; i < 6; i++)
    us *= 10;
  *ret_us = us;
  return 1;
}

static int days_of_month(int year, int month) {
  static const int days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return days[month - 1] + (month == 2 && leap);
}

static int take_date(cursor *in, int64_t *ret_days) {
  int year = 0, month = 0, day = 0;
  if (!take_number(in, 4, 0, YEAR_MAX, &year) || !take_char(in, '-'))
    return 0;
  if (!take_number(in, 2, 1, 12, &month) || !take_char(in, '-'))
    return 0;
  if (!take_number(in, 2, 1, days_of_month(year, month), &day))
    return 0;
  *ret_days = days_from_date(year, month, day);
  return 1;
}

/* HH:MM, then, where they are there, :SS and a fraction. */
static int take_time(cursor *in, int second_max, int64_t *ret_us) {
  int hour = 0, minute = 0, second = 0, us = 0;
  if (!take_number(in, 2, 0, 23, &hour) || !take_char(in, ':'))
    return 0;
  if (!take_number(in, 2, 0, 59, &minute))
    return 0;
  if (take_char(in, ':')) {
    if (!take_number(in, 2, 0, second_max, &second))
      return 0;
    if (take_char(in, '.') && !take_fraction(in, &us))
      return 0;
  }
  *ret_us = (int64_t)(hour * 3600 + minute * 60 + second) * us_per_second + us;
  return 1;
}

/* "Z", an offset, or nothing. Python prints seconds and a fraction in offsets of historical local
 * times. */
static int take_offset(cursor *in, int64_t *ret_us) {
  *ret_us = 0;
  if (in->at == in->end || take_char(in, 'Z') || take_char(in, 'z'))
    return 1;
  int negative = take_char(in, '-');
  if (!negative && !take_char(in, '+'))
    return 0;
  if (!take_time(in, 59, ret_us))
    return 0;
  if (negative)
    *ret_us = -*ret_us;
  return 1;
}

int hf_timestamp_parse(const char *text, size_t text_bytes, int64_t *ret_unix_us) {
  cursor in = {text, text + text_bytes};
  int64_t days = 0, time_us = 0, offset_us = 0;
  if (!take_date(&in, &days))
    return -1;
  if (in.at != in.end) { /* a date alone is its midnight */
    if (!take_char(&in, 'T') && !take_char(&in, 't') && !take_char(&in, ' '))
      return -1;
    if (!take_time(&in, 60, &time_us) || !take_offset(&in, &offset_us))
      return -1;
    if (in.at != in.end)
      return -1;
  }
  *ret_unix_us = days * us_per_day + time_us - offset_us;
  return 0;
}

/* ---- back-off ---- */

static uint64_t random_number(void) {
  uint64_t random = 0;
  /* Jitter need not be secret: early in boot, where getrandom would wait, the clock's low bits do.
   */
  if (getrandom(&random, sizeof random, GRND_NONBLOCK) != (ssize_t)sizeof random)
    random = (uint64_t)monotonic_ns() * UINT64_C(0x9e3779b97f4a7c15) >> 16;
  return random;
}

int hf_backoff_sleep(unsigned attempt, int64_t base_us, int64_t cap_us, int64_t deadline_ms) {
  int64_t now_ns = monotonic_ns();
  if (now_ns / 1000000 >= deadline_ms)
    return -1;

  int64_t delay_us = cap_us;
  if (attempt < 62 && base_us <= cap_us >> attempt)
    delay_us = base_us << attempt;
  if (delay_us < 0)
    delay_us = 0;
  if (delay_us > INT64_MAX / 4000)
    delay_us = INT64_MAX / 4000; /* 73 years: no overflow below */
  uint64_t half_ns = (uint64_t)delay_us * 500;
  int64_t wake_ns = now_ns + (int64_t)(half_ns + random_number() % (half_ns + 1));
  if (deadline_ms < wake_ns / 1000000 + 1 && wake_ns > deadline_ms * 1000000)
    wake_ns = deadline_ms * 1000000;

  struct timespec wake = {(time_t)(wake_ns / ns_per_second), (long)(wake_ns % ns_per_second)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL) == EINTR) {
    /* a signal does not move the instant; the sleep ends there */
  }
  return 0;
}
