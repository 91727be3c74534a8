/* What a handle has counted. */
#include "handle_stats.h"

#include "banned.h"

static uint64_t read_of(const hf_counter *counter) {
  return atomic_load_explicit(counter, memory_order_relaxed);
}

hf_handle_stats hf_handle_counted(const hf_store *store) {
  const hf_counters *counters = &store->counters;
  return (hf_handle_stats){
      .saves = read_of(&counters->saves),
      .unchanged = read_of(&counters->unchanged),
      .refused = read_of(&counters->refused),
      .failed = read_of(&counters->failed),
      .unsure = read_of(&counters->unsure),
      .commits = read_of(&counters->commits),
      .flushes = read_of(&counters->flushes),
      .collisions = read_of(&counters->collisions),
      .lock_waits = read_of(&counters->lock_waits),
      .lock_wait_us = read_of(&counters->lock_wait_us),
      .lock_wait_us_max = read_of(&counters->lock_wait_us_max),
      .lock_failures = read_of(&counters->lock_failures),
      .counter_repairs = read_of(&counters->counter_repairs),
  };
}

int hf_get_handle_stats(const hf_store *store, hf_handle_stats *ret_stats, hf_error *reterr) {
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    *ret_stats = hf_handle_counted(store);
  return status;
}
