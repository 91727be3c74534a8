/* Waiting for the turn.
 *
 * One script takes the lock or queues for it. Who waits listens on a channel of its own: the script
 * that ends a grant gives the lock to the first in the queue and tells it so, all in one step at
 * the server. A waiter that nobody hears any more is passed over in that step; one whose host is
 * gone or paused keeps its turn for HF_REDIS_CLAIM_MS. Who is first in the queue then is told that
 * its turn comes next (hf_grant.turn_is_near); if it does not hear that, its turn takes longer.
 *
 * Whoever waits asks again now and then (when the holder's lease ends, and at least once in
 * REASK_MS, with jitter): that is all that a Redis which has lost its memory, a message that got
 * lost or a holder that died need. Asking again is harmless: the owner's random token makes it the
 * same request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "id.h"
#include "redis_reply.h"
#include "redis_state.h"

#include "banned.h"

enum {
  ASKS_MAX = 1 << 24, /* the deadline ends it long before */
  REASK_MS = 1000,
  AFTER_LEASE_MS = 2, /* when a lease has ended by the server's clock */
  POLL_BASE_US = 2000,
  POLL_CAP_US = 100000,
  CLOCK_SLACK_MS = 20, /* by which our idea of the server's clock may be wrong */
  CANCEL_MS = 200,
  MEMBER_BYTES = HF_REDIS_INFO_BYTES + 2 * HF_ID_CHARS + 64
};

/* A wish for the lock. */
typedef struct wish {
  hf_redis_state *state;
  hf_redis_pair *pair;
  hf_redis_hold *hold; /* owner and lock_name; the times once it is granted */
  char lease_text[HF_REDIS_NUMBER_BYTES];
  char wanted_text[HF_REDIS_NUMBER_BYTES];
  char info[HF_REDIS_INFO_BYTES];
  int64_t deadline_ms;
  uint64_t token;
  uint64_t seq_hint;
  /* the last answer "busy": when it was asked for, by our clock, and what the server's clock said
   */
  int64_t asked_ms;
  int64_t server_ms;
  int64_t ends_in_ms; /* of the present holder's lease */
  int is_next;        /* nobody else is in the queue, by that answer */
  int is_new;         /* it was put into the queue by that request */
  int stands;         /* it was in the queue before */
  const hf_grant *wanted;
  hf_lock_holder holder;
} wish;

enum asked { ASKED_GRANTED, ASKED_BUSY, ASKED_SILENT, ASKED_REFUSED };

static void take_grant(wish *w, uint64_t token, uint64_t seq_hint, int64_t began_ms,
                       int64_t length_ms) {
  w->token = token;
  w->seq_hint = seq_hint;
  w->hold->length_ms = length_ms;
  w->hold->ends_at_ms = began_ms + length_ms;
}

static void learn_clock(hf_redis_pair *pair, int64_t server_ms) {
  pair->knows_clock = server_ms > 0;
  pair->server_ahead_ms = server_ms - hf_monotonic_ms();
}

/* When, by the server's clock, an answer to what is asked now would come to nobody. */
static void not_after(const wish *w, int64_t asked_ms, int64_t until_ms,
                      char text[HF_REDIS_NUMBER_BYTES]) {
  int64_t wait_ms = w->state->options.command_timeout_ms;
  if (until_ms - asked_ms < wait_ms) /* until_ms is not far in the past: see wait_for_turn */
    wait_ms = until_ms > asked_ms ? until_ms - asked_ms : 0;
  int64_t late_ms =
      w->pair->knows_clock ? asked_ms + wait_ms + w->pair->server_ahead_ms + CLOCK_SLACK_MS : 0;
  (void)snprintf(text, HF_REDIS_NUMBER_BYTES, "%lld", (long long)late_ms);
}

static void read_busy(wish *w, const redisReply *reply, int64_t asked_ms) {
  w->asked_ms = asked_ms;
  w->ends_in_ms = hf_redis_reply_number(reply, 1);
  w->server_ms = hf_redis_reply_number(reply, 5);
  w->is_next = hf_redis_reply_number(reply, 6) == 1;
  w->is_new = hf_redis_reply_number(reply, 7) == 1;
  learn_clock(w->pair, w->server_ms);
  int64_t until_ms = w->ends_in_ms > 0 ? w->server_ms + w->ends_in_ms : 0;
  hf_redis_describe_holder(hf_redis_reply_text(reply, 4), (uint64_t)hf_redis_reply_number(reply, 2),
                           hf_redis_reply_number(reply, 3), until_ms, &w->holder);
}

/* Takes an answer in. */
static enum asked read_answer(wish *w, const redisReply *reply, int64_t asked_ms,
                              hf_error *reterr) {
  switch (reply->type == REDIS_REPLY_ARRAY ? hf_redis_reply_number(reply, 0) : -1) {
  case 0:
    read_busy(w, reply, asked_ms);
    return ASKED_BUSY;
  case 1:
    learn_clock(w->pair, hf_redis_reply_number(reply, 3));
    take_grant(w, (uint64_t)hf_redis_reply_number(reply, 1),
               (uint64_t)hf_redis_reply_number(reply, 2), asked_ms, w->state->options.lease_ms);
    return ASKED_GRANTED;
  case 2: /* it was held up, or the server's clock has jumped */
    learn_clock(w->pair, hf_redis_reply_number(reply, 1));
    (void)hf_err(reterr, HF_EBACKEND, hf_redis_link_place(w->pair->command),
                 "Redis got the request too late; is it paused, or its clock set?");
    return ASKED_SILENT;
  default:
    (void)hf_err(reterr, HF_EBACKEND, hf_redis_link_place(w->pair->command),
                 "a script has answered something else than it does; is that a Redis of 6.2 or "
                 "later?");
    return ASKED_REFUSED;
  }
}

/* Asks once. `queued`: and stands in the queue. */
static enum asked ask(wish *w, int queued, int64_t until_ms, hf_error *reterr) {
  char late[HF_REDIS_NUMBER_BYTES];
  hf_redis_call call = {
      .script = HF_REDIS_SCRIPT_acquire,
      .lock_name = w->hold->lock_name,
      .owner = w->hold->owner,
      .more = {w->lease_text, w->info, queued ? w->pair->channel : "", late, w->wanted_text},
      .more_count = 5,
  };
  redisReply *reply = NULL;
  int64_t asked_ms = hf_monotonic_ms();
  not_after(w, asked_ms, until_ms, late);
  hf_redis_outcome outcome =
      hf_redis_run(w->state, w->pair->command, &call, until_ms, &reply, reterr);
  if (outcome != HF_REDIS_REPLY)
    return outcome == HF_REDIS_REFUSED ? ASKED_REFUSED : ASKED_SILENT;
  enum asked asked = read_answer(w, reply, asked_ms, reterr);
  freeReplyObject(reply);
  return asked;
}

/* Makes the pair listen on a channel of its own. 1, or 0: it cannot now. A new connection has a new
 * channel: a server that has loaded an old dump would hand the lock to wishes of that time. */
static int listen(wish *w) {
  hf_redis_pair *pair = w->pair;
  char channel[HF_REDIS_KEY_BYTES];
  hf_id id;
  if (hf_id_make(&id, NULL) != HF_OK)
    return 0;
  if (pair->wake == NULL &&
      hf_redis_link_make(&w->state->options, w->state->tls, &pair->wake, NULL) != HF_OK)
    return 0;
  hf_id_format(&id, pair->channel);
  (void)snprintf(channel, sizeof channel, "%swake:%s", w->state->base, pair->channel);
  const char *argv[] = {"SUBSCRIBE", channel};
  const size_t lengths[] = {strlen("SUBSCRIBE"), strlen(channel)};
  redisReply *reply = NULL;
  hf_redis_link_drop(pair->wake);
  pair->is_listening = hf_redis_command(pair->wake, 2, argv, lengths, w->deadline_ms, &reply,
                                        NULL) == HF_REDIS_REPLY &&
                       strcmp(hf_redis_reply_text(reply, 0), "subscribe") == 0;
  if (reply != NULL)
    freeReplyObject(reply);
  pair->beside = hf_redis_link_made(pair->command);
  return pair->is_listening;
}

static void tell_near(const wish *w) {
  if (w->wanted->turn_is_near != NULL)
    w->wanted->turn_is_near(w->wanted->near_context);
}

/* "owner|soon": is it for us? */
static int is_soon(const wish *w, const redisReply *reply) {
  const char *text = hf_redis_reply_text(reply, 2);
  size_t owner_bytes = strlen(w->hold->owner);
  return strncmp(text, w->hold->owner, owner_bytes) == 0 &&
         strcmp(text + owner_bytes, "|soon") == 0;
}

/* "owner|token|hint|hold_ms|now_ms": is it the lock for us? The server's clock tells how long ago
 * it was given: the message may have waited for us. */
static int read_handover(wish *w, const redisReply *reply) {
  enum { TOKEN, HINT, HOLD_MS, GIVEN_MS, NUMBERS };
  uint64_t numbers[NUMBERS];
  const char *text = hf_redis_reply_text(reply, 2);
  size_t owner_bytes = strlen(w->hold->owner);
  if (strncmp(text, w->hold->owner, owner_bytes) != 0)
    return 0;
  text += owner_bytes;
  for (size_t i = 0; i < NUMBERS; i++) {
    char *end = NULL;
    if (text[0] != '|' || text[1] < '0' || text[1] > '9')
      return 0;
    numbers[i] = strtoull(text + 1, &end, 10);
    text = end;
  }
  int64_t after_ms = (int64_t)numbers[GIVEN_MS] - w->server_ms;
  take_grant(w, numbers[TOKEN], numbers[HINT], w->asked_ms + (after_ms > 0 ? after_ms : 0),
             (int64_t)numbers[HOLD_MS]);
  return 1;
}

/* Listens until the lock comes (1), it is time to ask again (0), or the connection breaks (0). */
static int wait_for_message(wish *w) {
  int64_t wait_ms = REASK_MS;
  if (w->ends_in_ms > 0 && w->ends_in_ms + AFTER_LEASE_MS < wait_ms)
    wait_ms = w->ends_in_ms + AFTER_LEASE_MS;
  wait_ms += (int64_t)((unsigned)w->pair->channel[HF_ID_CHARS - 1] * 7 % 32); /* not all at once */
  int64_t until_ms = hf_monotonic_ms() + wait_ms;
  if (until_ms > w->deadline_ms)
    until_ms = w->deadline_ms;
  for (;;) { /* bounded by until_ms, but for messages of earlier waits */
    redisReply *reply = NULL;
    int got = hf_redis_receive(w->pair->wake, until_ms, &reply);
    if (got < 0)
      w->pair->is_listening = 0;
    if (got <= 0)
      return 0;
    int handed = read_handover(w, reply);
    int soon = is_soon(w, reply);
    freeReplyObject(reply);
    if (handed)
      return 1;
    if (soon)
      tell_near(w);
  }
}

/* A lock that was handed over is ours for HF_REDIS_CLAIM_MS: the server is told that we have it,
 * and gives the whole lease. Where it may have been waiting for us too long, the answer is waited
 * for. 1: ours. */
static int claim(wish *w) {
  char lease[HF_REDIS_NUMBER_BYTES];
  int64_t now_ms = hf_monotonic_ms();
  if (w->hold->ends_at_ms - now_ms >= w->hold->length_ms / 2) {
    hf_redis_call call = hf_redis_renewal(w->state, w->hold, lease);
    hf_redis_run_unheard(w->state, w->pair, &call, w->hold->ends_at_ms);
    return 1;
  }
  return hf_redis_renew(w->state, w->hold, w->deadline_ms, NULL) == 1;
}

/* Leaves the queue, and gives back what came at the last moment. If it does not arrive, nobody
 * waits longer for it than for the lease. */
static void cancel(wish *w) {
  char member[MEMBER_BYTES];
  (void)snprintf(member, sizeof member, "%s|%s|%s|%s|%s", w->hold->owner, w->pair->channel,
                 w->lease_text, w->wanted_text, w->info);
  hf_redis_call call = {
      .script = HF_REDIS_SCRIPT_cancel,
      .lock_name = w->hold->lock_name,
      .owner = w->hold->owner,
      .more = {member},
      .more_count = 1,
  };
  hf_redis_run_lax(w->state, w->pair->command, &call, hf_monotonic_ms() + CANCEL_MS);
}

/* It stood in the queue and is not there any more: its turn came, and it has not heard of it. (Or
 * Redis has forgotten the queue.) The connection may be open at this end alone, as after a cut: it
 * listens on a new one, under another name. So it does where the connection for commands had to be
 * made anew meanwhile: what ended that has likely ended the other, too, and a lock that is handed
 * to who does not hear lies idle. */
static void listen_anew_where_deaf(wish *w) {
  int is_alone = w->pair->is_listening && w->pair->beside != hf_redis_link_made(w->pair->command);
  if ((w->stands && w->is_new) || is_alone) {
    cancel(w);
    w->pair->is_listening = 0;
  }
  w->stands = w->pair->is_listening;
}

/* 1 granted, 0 busy, negative. */
static int wait_for_turn(wish *w, hf_error *reterr) {
  int was_busy = 0;
  int64_t began_ms = hf_monotonic_ms();
  int64_t once_ms = began_ms + w->state->options.command_timeout_ms;
  int64_t until_ms = w->deadline_ms > once_ms ? w->deadline_ms : once_ms;
  for (unsigned i = 0; i < ASKS_MAX; i++) {
    enum asked asked = ask(w, w->pair->is_listening, until_ms, reterr);
    if (asked == ASKED_GRANTED) {
      if (w->stands) /* the message of it has not come */
        w->pair->is_listening = 0;
      return 1;
    }
    if (asked == ASKED_REFUSED)
      return HF_EBACKEND;
    until_ms = w->deadline_ms;
    was_busy = was_busy || asked == ASKED_BUSY;
    /* an answer that the deadline cut off is no reason to call the server away */
    if (hf_monotonic_ms() >= w->deadline_ms)
      return was_busy ? 0 : HF_EBACKEND;
    if (asked == ASKED_BUSY)
      listen_anew_where_deaf(w);
    if (asked == ASKED_BUSY && w->pair->is_listening) {
      if (w->is_next)
        tell_near(w);
      if (wait_for_message(w) && claim(w))
        return 1;
    } else if (asked == ASKED_SILENT || !listen(w)) {
      (void)hf_backoff_sleep(i, POLL_BASE_US, POLL_CAP_US, w->deadline_ms);
    }
    if (asked == ASKED_BUSY && hf_monotonic_ms() >= w->deadline_ms)
      return 0;
  }
  return 0;
}

static void tell_busy(const wish *w, hf_error *reterr) {
  (void)hf_err(reterr, HF_ELOCK, hf_redis_link_place(w->pair->command),
               "the lock is held by %s; wait longer, or end that process", w->holder.text);
}

static int begin(wish *w, const char *lock_name, const hf_grant *wanted, hf_error *reterr) {
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status == HF_OK)
    status = hf_redis_take_pair(w->state, &w->pair, reterr);
  if (status != HF_OK)
    return status;
  w->hold = calloc(1, sizeof *w->hold);
  if (w->hold == NULL) {
    hf_redis_give_pair(w->state, w->pair);
    return hf_err_nomem(reterr);
  }
  const hf_holder_self *self = &w->state->self;
  w->wanted = wanted;
  hf_id_format(&id, w->hold->owner);
  w->hold->pair = w->pair;
  (void)snprintf(w->hold->lock_name, sizeof w->hold->lock_name, "%s", lock_name);
  (void)snprintf(w->lease_text, sizeof w->lease_text, "%lld",
                 (long long)w->state->options.lease_ms);
  (void)snprintf(w->wanted_text, sizeof w->wanted_text, "%llu",
                 (unsigned long long)(wanted->wanted > 0 ? wanted->wanted : 1));
  (void)snprintf(w->info, sizeof w->info, "%lld|%s|%.26s|%s", (long long)self->pid, self->host,
                 wanted->attempt != NULL ? wanted->attempt : "", self->purpose);
  return HF_OK;
}

int hf_redis_acquire(void *opened, const char *lock_name, int64_t deadline_ms, hf_grant *ret_grant,
                     hf_error *reterr) {
  wish w = {.state = opened, .deadline_ms = deadline_ms};
  int status = hf_redis_check(w.state, reterr);
  if (status == HF_OK &&
      strnlen(lock_name, HF_LOCKER_NAME_BYTES_MAX + 1) > HF_LOCKER_NAME_BYTES_MAX)
    status = hf_err(reterr, HF_EINVAL, NULL, "the name of a lock has 1 to %d bytes",
                    HF_LOCKER_NAME_BYTES_MAX);
  if (status == HF_OK)
    status = begin(&w, lock_name, ret_grant, reterr);
  if (status != HF_OK)
    return status;
  int granted = wait_for_turn(&w, reterr);
  if (granted == 1) {
    ret_grant->token = w.token;
    ret_grant->seq_hint = w.seq_hint;
    ret_grant->ends_at_ms = w.hold->ends_at_ms;
    ret_grant->hold = w.hold;
    return 1;
  }
  cancel(&w);
  if (granted == 0)
    tell_busy(&w, reterr);
  else if (reterr != NULL) {
    hf_error why = *reterr;
    (void)hf_err(reterr, granted, why.place, "%.900s; nothing was saved", why.message);
  }
  hf_redis_give_pair(w.state, w.pair);
  free(w.hold);
  return granted;
}
