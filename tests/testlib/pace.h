/* How much a test does, and how long it sleeps.
 *
 * Under sanitizers and valgrind everything takes many times longer; there the question is another
 * one, and a few rounds answer it. The build sets HF_TEST_SLOW for them. */
#ifndef HF_TESTLIB_PACE_H
#define HF_TESTLIB_PACE_H

#include <stdint.h>

/* count, or slow_count where HF_TEST_SLOW is set. */
int pace_count(int count, int slow_count);

void pace_sleep_us(int64_t sleep_us);

#endif
