/* A handle's counters: in memory, each by itself, without a lock (holdfast/stats.h). */
#ifndef HF_CORE_COUNTERS_H
#define HF_CORE_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

typedef _Atomic uint64_t hf_counter;

typedef struct hf_counters {
  hf_counter saves;
  hf_counter unchanged;
  hf_counter refused;
  hf_counter failed;
  hf_counter unsure;
  hf_counter commits;
  hf_counter flushes;
  hf_counter collisions;
  hf_counter lock_waits;
  hf_counter lock_wait_us;
  hf_counter lock_wait_us_max;
  hf_counter lock_failures;
  hf_counter counter_repairs;
} hf_counters;

static inline void hf_count(hf_counter *counter, uint64_t more) {
  (void)atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

#endif
