/* What an opened redis locker consists of; shared by redis.c (the table), redis_acquire.c (waiting
 * for the turn) and redis_call.c (scripts, and the pool of connections). */
#ifndef HF_LOCKERS_REDIS_STATE_H
#define HF_LOCKERS_REDIS_STATE_H

#include <pthread.h>
#include <stdint.h>
#include <sys/types.h>

#include <holdfast/locker.h>

#include "holder.h"
#include "redis_link.h"
#include "redis_options.h"
#include "redis_scripts.h"

enum {
  HF_REDIS_BASE_BYTES = HF_REDIS_PREFIX_BYTES + 48,
  HF_REDIS_KEY_BYTES = HF_REDIS_BASE_BYTES + HF_LOCKER_NAME_BYTES_MAX + 16,
  HF_REDIS_INFO_BYTES = HF_HOLDER_HOST_BYTES + HF_HOLDER_PURPOSE_BYTES + HF_ID_CHARS + 32,
  HF_REDIS_NUMBER_BYTES = 24,
  /* how long a lock that is handed over waits for a waiter that does not take it up: one whose host
   * has gone, or that is paused */
  HF_REDIS_CLAIM_MS = 1000,
  HF_REDIS_MORE_MAX = 5 /* arguments of a script beyond the three that all take */
};

/* Two connections: one for commands, one that listens while it waits (it says nothing else then,
 * by the protocol that hiredis 0.14 speaks). Used by one acquire, and by the grant that comes of
 * it. */
typedef struct hf_redis_pair {
  hf_redis_link *command;
  hf_redis_link *wake; /* NULL until the first wait */
  int is_listening;
  unsigned beside; /* which connection for commands there was when it began to listen */
  char channel[HF_ID_CHARS + 1]; /* random, of this connection; what wake listens on */
  int has_sent_renewal;          /* so that the server knows that script */
  int knows_clock;               /* the following is known */
  /* the server's clock less our CLOCK_MONOTONIC, at the last answer */
  int64_t server_ahead_ms;
  struct hf_redis_pair *next; /* in the pool */
} hf_redis_pair;

typedef struct hf_redis_state {
  pid_t pid; /* of the process that opened it */
  hf_redis_options options;
  void *tls;
  char base[HF_REDIS_BASE_BYTES]; /* "holdfast:{uuid}:" */
  hf_holder_self self;
  pthread_mutex_t mutex;
  hf_redis_pair *idle; /* under mutex */
  int idle_count;
} hf_redis_state;

/* What a grant holds. */
typedef struct hf_redis_hold {
  hf_redis_pair *pair;
  char owner[HF_ID_CHARS + 1]; /* random: the lock's value */
  char lock_name[HF_LOCKER_NAME_BYTES_MAX + 1];
  int64_t length_ms; /* of the lease as it was given last */
  int64_t ends_at_ms;
} hf_redis_hold;

/* HF_EFORKED in another process than the one that opened it. */
int hf_redis_check(const hf_redis_state *state, hf_error *reterr);

/* A pair out of the pool, or a new one. HF_OK or HF_ENOMEM. */
int hf_redis_take_pair(hf_redis_state *state, hf_redis_pair **ret_pair, hf_error *reterr);

/* Back into the pool. */
void hf_redis_give_pair(hf_redis_state *state, hf_redis_pair *pair);

void hf_redis_free_pair(hf_redis_pair **pair);

/* What a script is asked with. */
typedef struct hf_redis_call {
  hf_redis_script_name script;
  const char *lock_name;
  const char *owner;
  const char *more[HF_REDIS_MORE_MAX];
  int more_count;
} hf_redis_call;

/* One round trip (two where the server does not know the script yet). As hf_redis_command. */
hf_redis_outcome hf_redis_run(hf_redis_state *state, hf_redis_link *link, const hf_redis_call *call,
                              int64_t deadline_ms, redisReply **ret_reply, hf_error *reterr);

/* The same where the connection stands, not waiting for the answer. */
void hf_redis_run_unheard(hf_redis_state *state, hf_redis_pair *pair, const hf_redis_call *call,
                          int64_t deadline_ms);

/* The same, waiting a little, without caring for the answer. */
void hf_redis_run_lax(hf_redis_state *state, hf_redis_link *link, const hf_redis_call *call,
                      int64_t wait_until_ms);

/* hf_locker_ops.acquire. */
int hf_redis_acquire(void *opened, const char *lock_name, int64_t deadline_ms, hf_grant *ret_grant,
                     hf_error *reterr);

/* The call that asks for the whole lease anew; lease keeps its text. */
hf_redis_call hf_redis_renewal(const hf_redis_state *state, const hf_redis_hold *hold,
                               char lease[HF_REDIS_NUMBER_BYTES]);

/* Asks for the whole lease anew. 1: hold's times are written; 0: it is not ours any more; negative:
 * no answer. */
int hf_redis_renew(hf_redis_state *state, hf_redis_hold *hold, int64_t deadline_ms,
                   hf_error *reterr);

/* hf_locker_ops.examine. */
int hf_redis_examine(void *opened, hf_locker_tell_fn tell, void *context, hf_error *reterr);

/* Takes apart what a holder has said of itself. */
void hf_redis_describe_holder(const char *info, uint64_t token, int64_t since_ms, int64_t until_ms,
                              hf_lock_holder *ret_holder);

#ifdef HF_TEST_PLANTS
/* The script with the bug that is planted now, to be freed; NULL: it has none. */
char *hf_redis_planted_text(hf_redis_script_name script);
#endif

#endif
