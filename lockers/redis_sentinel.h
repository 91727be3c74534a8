/* Asks Sentinels who the master is. */
#ifndef HF_LOCKERS_REDIS_SENTINEL_H
#define HF_LOCKERS_REDIS_SENTINEL_H

#include <stdint.h>

#include "redis_options.h"

/* Asks them one after the other, each for connect_timeout_ms at most, beginning with number *first
 * (which becomes that of the one that has answered). 1: *ret_master; 0: none of them knows one now,
 * with `why`; -1: refused (a password ...), with `why`. */
int hf_redis_sentinel_ask(const hf_redis_options *options, void *tls, size_t *first,
                          int64_t deadline_ms, hf_redis_host *ret_master, char *why,
                          size_t why_bytes);

#endif
