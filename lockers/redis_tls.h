/* TLS to Redis, by hiredis_ssl (hiredis 1.0.0 and later). Debian 12's hiredis, 0.14, has none.
 *
 * A session is the TLS side of one connection that does not block; the connection owns it. OpenSSL
 * keeps errors in a queue of the thread, which the program may use as well: hf_redis_tls_clear
 * empties it, else an old error would be taken for one of ours. */
#ifndef HF_LOCKERS_REDIS_TLS_H
#define HF_LOCKERS_REDIS_TLS_H

#include <stddef.h>

#include <hiredis/hiredis.h>

#include <holdfast/error.h>

#include "redis_options.h"

/* HF_OK, or HF_ECONFIG that says which version brings it. */
int hf_redis_tls_check(hf_error *reterr);

/* Loads what the options name into *ret_tls. Errors: HF_ECONFIG, HF_ENOMEM. */
int hf_redis_tls_make(const hf_redis_options *options, void **ret_tls, hf_error *reterr);

/* Frees *tls and sets it to NULL; accepts NULL in it. */
void hf_redis_tls_free(void **tls);

/* Begins to shake hands on a connection that was just made and does not block; the certificate must
 * be server_name's (a host's name or an address). The session, or NULL (context->errstr may say
 * why). */
void *hf_redis_tls_begin(redisContext *context, void *tls, const char *server_name);

/* Goes on with it. 1: done; 0: go on when *ret_events (of poll) have come; -1. */
int hf_redis_tls_step(void *session, short *ret_events);

/* Is there text that was decrypted and not read? Then poll knows nothing of it. */
int hf_redis_tls_has_text(void *session);

/* Forgets earlier errors of this thread; accepts NULL (no TLS). */
void hf_redis_tls_clear(void *session);

/* After a failure: why, into text, where it is TLS's doing (else text stays). 1: one side refuses
 * the other, and trying again is no use; 0: it may pass. */
int hf_redis_tls_explain(void *session, char *text, size_t text_bytes);

#endif
