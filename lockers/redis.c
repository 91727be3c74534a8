/* The locker 'redis': a lease in a Redis that all hosts reach, and a counter of seqs beside it.
 *
 * An acquire and release that nobody contends cost one round trip each. The lock is a key that ends
 * with its lease, and its value is random: only who knows it releases or renews. Leases are judged
 * by the server's clock, and here by CLOCK_MONOTONIC from before the request was sent, so that ours
 * ends first. No thread is ever started: a lease is renewed by verify, which the core calls before
 * each link and in whatever takes long.
 *
 * What this cannot promise (docs/LOCKERS.md): a holder that is paused goes on when its lease is
 * long over, and a Redis that loses its memory grants twice. The storage decides. */
#include "builtin.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "redis_reply.h"
#include "redis_state.h"
#include "redis_tls.h"

#include "banned.h"

enum {
  RENEW_AT_PARTS = 3, /* a lease of which one of so many parts is over is renewed */
  INFO_PIECES = 3
};

#define TEXT_OF_(number) #number
#define TEXT_OF(number) TEXT_OF_(number)
#define LIBRARY_VERSION TEXT_OF(HIREDIS_MAJOR) "." TEXT_OF(HIREDIS_MINOR) "." TEXT_OF(HIREDIS_PATCH)

static void redis_close(void **state_pointer) {
  if (state_pointer == NULL || *state_pointer == NULL)
    return;
  hf_redis_state *state = *state_pointer;
  while (state->idle != NULL) {
    hf_redis_pair *pair = state->idle;
    state->idle = pair->next;
    hf_redis_free_pair(&pair);
  }
  hf_redis_tls_free(&state->tls);
  hf_redis_options_wipe(&state->options);
  /* In a child the mutex may be held by a thread that exists only in the parent. */
  if (state->pid == getpid())
    (void)pthread_mutex_destroy(&state->mutex);
  free(state);
  *state_pointer = NULL;
}

static int redis_open(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  hf_redis_state *state = calloc(1, sizeof *state);
  if (state == NULL)
    return hf_err_nomem(reterr);
  state->pid = getpid();
  (void)pthread_mutex_init(&state->mutex, NULL);
  int status = hf_redis_options_parse(args->options_json, &state->options, reterr);
  if (status == HF_OK && state->options.tls)
    status = hf_redis_tls_make(&state->options, &state->tls, reterr);
  if (status != HF_OK) {
    void *half = state;
    redis_close(&half);
    return status;
  }
  hf_holder_self_init(&state->self, args->purpose);
  for (char *c = state->self.host; *c != '\0'; c++)
    if (*c == '|') /* what we separate by */
      *c = '?';
  /* the braces keep a store's keys in one slot, should a proxy look at slots */
  (void)snprintf(state->base, sizeof state->base, "%s:{%.*s}:", state->options.prefix, 36,
                 args->store_uuid);
  *ret_state = state;
  return HF_OK;
}

/* ---- a grant --------------------------------------------------------------------------------- */

/* The script's whole number, or negative. */
static int run_number(hf_redis_state *state, hf_redis_hold *hold, const hf_redis_call *call,
                      int64_t deadline_ms, long long *ret_number, hf_error *reterr) {
  redisReply *reply = NULL;
  if (hf_redis_run(state, hold->pair->command, call, deadline_ms, &reply, reterr) != HF_REDIS_REPLY)
    return HF_EBACKEND;
  int is_number = reply->type == REDIS_REPLY_INTEGER;
  *ret_number = is_number ? reply->integer : 0;
  freeReplyObject(reply);
  return is_number ? HF_OK
                   : hf_err(reterr, HF_EBACKEND, hf_redis_link_place(hold->pair->command),
                            "a script has answered something else than a number");
}

hf_redis_call hf_redis_renewal(const hf_redis_state *state, const hf_redis_hold *hold,
                               char lease[HF_REDIS_NUMBER_BYTES]) {
  (void)snprintf(lease, HF_REDIS_NUMBER_BYTES, "%" PRId64, state->options.lease_ms);
  return (hf_redis_call){.script = HF_REDIS_SCRIPT_renew,
                         .lock_name = hold->lock_name,
                         .owner = hold->owner,
                         .more = {lease},
                         .more_count = 1};
}

int hf_redis_renew(hf_redis_state *state, hf_redis_hold *hold, int64_t deadline_ms,
                   hf_error *reterr) {
  char lease[HF_REDIS_NUMBER_BYTES];
  hf_redis_call call = hf_redis_renewal(state, hold, lease);
  long long answer = 0;
  int64_t asked_ms = hf_monotonic_ms();
  int status = run_number(state, hold, &call, deadline_ms, &answer, reterr);
  if (status != HF_OK)
    return status;
  if (answer != 1)
    return 0;
  hold->length_ms = state->options.lease_ms;
  hold->ends_at_ms = asked_ms + state->options.lease_ms;
  return 1;
}

static int redis_verify(void *opened, const hf_grant *grant, hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_hold *hold = grant->hold;
  if (hold == NULL)
    return 0;
  int status = hf_redis_check(state, reterr);
  if (status != HF_OK)
    return status;
  int64_t now_ms = hf_monotonic_ms();
  if (now_ms < hold->ends_at_ms - hold->length_ms + hold->length_ms / RENEW_AT_PARTS)
    return 1;
  int renewed = hf_redis_renew(state, hold, now_ms + state->options.command_timeout_ms, reterr);
  if (renewed < 0 && hf_monotonic_ms() < hold->ends_at_ms)
    return 1; /* no answer, and nobody else can have it yet */
  return renewed;
}

static int redis_next_seq(void *opened, const hf_grant *grant, uint64_t head, uint64_t count,
                          uint64_t *ret_first, hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_hold *hold = grant->hold;
  char last[HF_REDIS_NUMBER_BYTES];
  long long repairs = 0;
  int status = hf_redis_check(state, reterr);
  if (status != HF_OK)
    return status;
  (void)snprintf(last, sizeof last, "%" PRIu64, head + count);
  hf_redis_call call = {.script = HF_REDIS_SCRIPT_counter,
                        .lock_name = hold->lock_name,
                        .owner = hold->owner,
                        .more = {last},
                        .more_count = 1};
  status = run_number(state, hold, &call, hf_monotonic_ms() + state->options.command_timeout_ms,
                      &repairs, reterr);
  if (status != HF_OK)
    return status;
  if (repairs < 0)
    return 0;
  *ret_first = head + 1;
  return 1;
}

static int redis_release(void *opened, hf_grant *grant, uint64_t head, hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_hold *hold = grant->hold;
  char head_text[HF_REDIS_NUMBER_BYTES];
  long long answer = 0;
  grant->hold = NULL;
  if (hold == NULL)
    return 0;
  int status = hf_redis_check(state, reterr);
  if (status != HF_OK) {
    hf_redis_free_pair(&hold->pair);
    free(hold);
    return status;
  }
  (void)snprintf(head_text, sizeof head_text, "%" PRIu64, head);
  hf_redis_call call = {.script = HF_REDIS_SCRIPT_release,
                        .lock_name = hold->lock_name,
                        .owner = hold->owner,
                        .more = {head_text},
                        .more_count = 1};
  int64_t timeout_ms = state->options.command_timeout_ms;
  status = run_number(state, hold, &call, hf_monotonic_ms() + timeout_ms, &answer, reterr);
  if (status != HF_OK) {
    /* Once more: either it has not arrived, or it finds that the lock is not ours any more. */
    status = run_number(state, hold, &call, hf_monotonic_ms() + timeout_ms, &answer, reterr);
    if (status == HF_OK && answer == 0)
      status = hf_err(reterr, HF_EBACKEND, hf_redis_link_place(hold->pair->command),
                      "the reply to the release was lost; the lock is free");
  }
  hf_redis_give_pair(state, hold->pair);
  free(hold);
  return status != HF_OK ? status : answer == 1;
}

/* ---- who holds it ---------------------------------------------------------------------------- */

void hf_redis_describe_holder(const char *info, uint64_t token, int64_t since_ms, int64_t until_ms,
                              hf_lock_holder *ret_holder) {
  /* "pid|host|attempt|purpose" */
  const char *piece[INFO_PIECES + 1] = {"", "", "", ""};
  int bytes[INFO_PIECES + 1] = {0};
  char line[HF_HOLDER_LINE_BYTES];
  hf_holder_self self = {0};
  for (int i = 0; i <= INFO_PIECES; i++) {
    size_t count = i < INFO_PIECES ? strcspn(info, "|") : strlen(info);
    piece[i] = info;
    bytes[i] = count > HF_HOLDER_HOST_BYTES ? HF_HOLDER_HOST_BYTES : (int)count;
    info += count + (info[count] == '|' && i < INFO_PIECES);
  }
  self.pid = strtoll(piece[0], NULL, 10);
  (void)snprintf(self.host, sizeof self.host, "%.*s", bytes[1], piece[1]);
  (void)snprintf(self.purpose, sizeof self.purpose, "%.*s", bytes[3], piece[3]);
  hf_holder_format(&self, token, since_ms * 1000, line);
  hf_holder_parse(line, sizeof line, ret_holder);
  (void)snprintf(ret_holder->attempt, sizeof ret_holder->attempt, "%.*s", bytes[2], piece[2]);
  ret_holder->until_unix_ms = until_ms;
}

static int redis_describe(void *opened, const char *lock_name, hf_lock_holder *ret_holder,
                          hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_pair *pair = NULL;
  redisReply *reply = NULL;
  hf_redis_call call = {.script = HF_REDIS_SCRIPT_describe, .lock_name = lock_name, .owner = ""};
  int status = hf_redis_check(state, reterr);
  if (status == HF_OK)
    status = hf_redis_take_pair(state, &pair, reterr);
  if (status != HF_OK)
    return status;
  hf_redis_outcome outcome =
      hf_redis_run(state, pair->command, &call,
                   hf_monotonic_ms() + state->options.command_timeout_ms, &reply, reterr);
  hf_redis_give_pair(state, pair);
  if (outcome != HF_REDIS_REPLY)
    return HF_EBACKEND;
  int held = hf_redis_reply_number(reply, 0) == 1;
  if (held) {
    int64_t left_ms = hf_redis_reply_number(reply, 4);
    hf_redis_describe_holder(
        hf_redis_reply_text(reply, 3), (uint64_t)hf_redis_reply_number(reply, 1),
        hf_redis_reply_number(reply, 2),
        left_ms > 0 ? hf_redis_reply_number(reply, 5) + left_ms : 0, ret_holder);
  }
  freeReplyObject(reply);
  return held;
}

static int redis_count_repairs(void *opened, const char *lock_name, uint64_t *ret_repairs,
                               hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_pair *pair = NULL;
  redisReply *reply = NULL;
  hf_redis_call call = {.script = HF_REDIS_SCRIPT_repairs, .lock_name = lock_name, .owner = ""};
  int status = hf_redis_check(state, reterr);
  if (status == HF_OK)
    status = hf_redis_take_pair(state, &pair, reterr);
  if (status != HF_OK)
    return status;
  int64_t deadline_ms = hf_monotonic_ms() + state->options.command_timeout_ms;
  hf_redis_outcome outcome = hf_redis_run(state, pair->command, &call, deadline_ms, &reply, reterr);
  hf_redis_give_pair(state, pair);
  if (outcome != HF_REDIS_REPLY)
    return HF_EBACKEND;
  if (reply->type == REDIS_REPLY_INTEGER && reply->integer >= 0)
    *ret_repairs = (uint64_t)reply->integer;
  else
    status = hf_err(reterr, HF_EBACKEND, NULL, "the server's answer is no number");
  freeReplyObject(reply);
  return status;
}

static int redis_break(void *opened, const char *lock_name, hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_pair *pair = NULL;
  redisReply *reply = NULL;
  hf_redis_call call = {.script = HF_REDIS_SCRIPT_break, .lock_name = lock_name, .owner = ""};
  int status = hf_redis_check(state, reterr);
  if (status == HF_OK)
    status = hf_redis_take_pair(state, &pair, reterr);
  if (status != HF_OK)
    return status;
  hf_redis_outcome outcome =
      hf_redis_run(state, pair->command, &call,
                   hf_monotonic_ms() + state->options.command_timeout_ms, &reply, reterr);
  hf_redis_give_pair(state, pair);
  if (outcome == HF_REDIS_REPLY)
    freeReplyObject(reply);
  return outcome == HF_REDIS_REPLY ? HF_OK : HF_EBACKEND;
}

const hf_locker_ops hf_locker_redis = {
    .scheme = "redis",
    .traits = HF_LOCKER_EXCLUDES_PROCESSES | HF_LOCKER_EXCLUDES_HOSTS | HF_LOCKER_GRANT_CAN_END |
              HF_LOCKER_FENCES,
    .library = "hiredis",
    .library_version = LIBRARY_VERSION,
    .options = hf_redis_option_list,
    .check_options = hf_redis_options_check,
    .open = redis_open,
    .close = redis_close,
    .acquire = hf_redis_acquire,
    .verify = redis_verify,
    .next_seq = redis_next_seq,
    .release = redis_release,
    .describe = redis_describe,
    .break_lock = redis_break,
    .examine = hf_redis_examine,
    .count_repairs = redis_count_repairs,
};
