/* Clocks and back-off. Deadlines are CLOCK_MONOTONIC; the wall clock is only ever shown. */
#ifndef HF_BASE_CLOCK_H
#define HF_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

enum { HF_RFC3339_BYTES = 40 };

int64_t hf_monotonic_ms(void);
int64_t hf_monotonic_us(void);
int64_t hf_realtime_us(void); /* since 1970, UTC */

/* now + timeout_ms, without overflow; timeout_ms < 0: HF_TIMEOUT_MS_DEFAULT. */
int64_t hf_deadline_ms(int64_t timeout_ms);

/* "2026-01-02T03:04:05.678901Z". */
void hf_rfc3339_from_us(int64_t unix_us, char text[HF_RFC3339_BYTES]);

/* Parses RFC 3339 and what Python's isoformat() prints (a 'T' or a blank between, seconds and a
 * fraction of 1 to 9 digits optional, "Z", an offset, or none: taken as UTC). 0 and *ret_unix_us
 * (the fraction cut at microseconds), or -1. Checks ranges (month, day of that month, hour ...;
 * second 60 is accepted). */
int hf_timestamp_parse(const char *text, size_t text_bytes, int64_t *ret_unix_us);

/* Exponential back-off with jitter: sleeps min(base_us << attempt, cap_us), scaled by a random
 * factor in 0.5 .. 1.0, and never past deadline_ms. Returns 0, or -1 where the deadline has passed.
 */
int hf_backoff_sleep(unsigned attempt, int64_t base_us, int64_t cap_us, int64_t deadline_ms);

#endif
