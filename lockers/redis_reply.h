/* What Redis's error replies mean. Tried with Redis 7.0; 6.2 puts an error that a command met
 * inside a script behind "ERR Error running script ...: -CODE", 7.0 in front. */
#ifndef HF_LOCKERS_REDIS_REPLY_H
#define HF_LOCKERS_REDIS_REPLY_H

#include <hiredis/hiredis.h>

typedef enum hf_redis_meaning {
  HF_REDIS_MEANS_NOSCRIPT,  /* the server does not know the script (yet): send it whole */
  HF_REDIS_MEANS_WAIT,      /* nothing was done; it will be ready by itself */
  HF_REDIS_MEANS_ELSEWHERE, /* nothing was done; this is not the master (any more) */
  HF_REDIS_MEANS_REFUSED    /* nothing was done; somebody has to change something */
} hf_redis_meaning;

/* Of a reply of type REDIS_REPLY_ERROR. *ret_advice: what to do about it, a static text. */
hf_redis_meaning hf_redis_reply_meaning(const redisReply *reply, const char **ret_advice);

/* The element of an array as a whole number; 0 where there is none. */
long long hf_redis_reply_number(const redisReply *reply, size_t index);

/* The element of an array as a text; "" where there is none. Lives as long as the reply. */
const char *hf_redis_reply_text(const redisReply *reply, size_t index);

#endif
