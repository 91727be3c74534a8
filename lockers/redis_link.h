/* One connection to Redis, for one user at a time: commands with a deadline, reconnection inside
 * it, Sentinel, and what each error reply means. No lock is known here; see redis.c.
 *
 * A link never outlives its process: in a child of fork() its socket is closed at once, without a
 * word to the server, and only hf_redis_link_free may be called. */
#ifndef HF_LOCKERS_REDIS_LINK_H
#define HF_LOCKERS_REDIS_LINK_H

#include <stddef.h>
#include <stdint.h>

#include <hiredis/hiredis.h>

#include <holdfast/error.h>

#include "redis_options.h"

typedef struct hf_redis_link hf_redis_link;

/* How a command ended. */
typedef enum hf_redis_outcome {
  HF_REDIS_REPLY,   /* *ret_reply is written; the caller frees it by freeReplyObject */
  HF_REDIS_SILENT,  /* sent, perhaps executed, no reply until the deadline or the link's end */
  HF_REDIS_UNSENT,  /* surely not executed: no connection, or no ready server, until the deadline */
  HF_REDIS_REFUSED, /* surely not executed, and trying again is no use: reterr says why */
} hf_redis_outcome;

/* Makes a link without connecting. options and tls (NULL: none) must outlive it. HF_OK or
 * HF_ENOMEM. */
int hf_redis_link_make(const hf_redis_options *options, void *tls, hf_redis_link **ret_link,
                       hf_error *reterr);

/* Accepts NULL and a pointer to NULL; sets *link to NULL. */
void hf_redis_link_free(hf_redis_link **link);

/* Sends one command and waits for its reply until deadline_ms (CLOCK_MONOTONIC), and no longer than
 * command_timeout_ms, connecting first where needed, with back-off and jitter. Replies that ask for
 * patience (LOADING, BUSY, TRYAGAIN, MASTERDOWN, NOREPLICAS, and with sentinels READONLY and a
 * server that is no master, which make it connect anew) are waited out until the deadline. Sent
 * once: a command whose reply was lost is never repeated here. reterr gets, for every outcome but
 * REPLY, an HF_EBACKEND that says what, where (never a password) and what to do. A reply NOSCRIPT
 * is handed to the caller as REPLY (type REDIS_REPLY_ERROR). */
hf_redis_outcome hf_redis_command(hf_redis_link *link, int argc, const char *const *argv,
                                  const size_t *lengths, int64_t deadline_ms,
                                  redisReply **ret_reply, hf_error *reterr);

/* Sends a command and waits for its reply until wait_until_ms at most; connects nowhere, and a
 * failure is of no interest. For tidying up. */
void hf_redis_command_lax(hf_redis_link *link, int argc, const char *const *argv,
                          const size_t *lengths, int64_t wait_until_ms);

/* Sends a command on a link that stands and does not wait: its reply is dropped by whatever is
 * asked next. */
void hf_redis_command_unheard(hf_redis_link *link, int argc, const char *const *argv,
                              const size_t *lengths, int64_t deadline_ms);

/* Waits for the next message on a link that has subscribed. 1: *ret_reply; 0: none until then; -1:
 * the link has broken and is not connected any more. */
int hf_redis_receive(hf_redis_link *link, int64_t until_ms, redisReply **ret_reply);

/* Is there a connection that, as far as can be seen without asking, still stands? */
int hf_redis_link_stands(hf_redis_link *link);

/* How many connections it has made: another number, another connection. */
unsigned hf_redis_link_made(const hf_redis_link *link);

/* Ends the connection; the next command makes a new one. hf_redis_command does so itself after
 * SILENT, so that a late reply is taken for no other command's. */
void hf_redis_link_drop(hf_redis_link *link);

/* Where it leads, for errors: "redis://host:port". */
const char *hf_redis_link_place(const hf_redis_link *link);

#endif
