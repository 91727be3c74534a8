/* The locker that excludes nobody. The store stays right with it (the storage decides); writers
 * that meet at a number try again, which costs them time. */
#include "builtin.h"

#include <stdatomic.h>

#include "err.h"

#include "banned.h"

static atomic_uint_fast64_t last_token;

/* What a state and a hold point to: nothing is kept, but neither may be NULL while it is open or
 * held. */
static char anything;

static int none_open(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  if (args->options_json != NULL)
    return hf_err(reterr, HF_ECONFIG, "lockers.none",
                  "the locker 'none' has no options; remove it");
  *ret_state = &anything;
  return HF_OK;
}

static void none_close(void **state) {
  if (state != NULL)
    *state = NULL;
}

static int none_acquire(void *state, const char *lock_name, int64_t deadline_ms,
                        hf_grant *ret_grant, hf_error *reterr) {
  (void)state, (void)lock_name, (void)deadline_ms, (void)reterr;
  *ret_grant = (hf_grant){
      .token = atomic_fetch_add(&last_token, 1) + 1,
      .ends_at_ms = HF_GRANT_ENDS_NEVER,
      .hold = &anything,
  };
  return 1;
}

static int none_release(void *state, hf_grant *grant, uint64_t head, hf_error *reterr) {
  (void)state, (void)head, (void)reterr;
  int was_held = grant->hold != NULL;
  grant->hold = NULL;
  return was_held;
}

static int none_describe(void *state, const char *lock_name, hf_lock_holder *ret_holder,
                         hf_error *reterr) {
  (void)state, (void)lock_name, (void)ret_holder, (void)reterr;
  return 0;
}

static int none_break(void *state, const char *lock_name, hf_error *reterr) {
  (void)state, (void)lock_name, (void)reterr;
  return HF_OK;
}

const hf_locker_ops hf_locker_none = {
    .scheme = "none",
    .traits = 0,
    .open = none_open,
    .close = none_close,
    .acquire = none_acquire,
    .release = none_release,
    .describe = none_describe,
    .break_lock = none_break,
};
