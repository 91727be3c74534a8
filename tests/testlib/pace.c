#include "pace.h"

#include <stdlib.h>
#include <time.h>

int pace_count(int count, int slow_count) {
  return getenv("HF_TEST_SLOW") == NULL ? count : slow_count;
}

void pace_sleep_us(int64_t sleep_us) {
  struct timespec length = {.tv_sec = (time_t)(sleep_us / 1000000),
                            .tv_nsec = (long)(sleep_us % 1000000) * 1000};
  (void)nanosleep(&length, NULL); /* a signal may end it early: no test rests on a length */
}
