/* A proxy before a Redis that loses replies, or answers in its place: one thread, on a free port of
 * the loopback. What is set counts for bytes that come from then on. */
#ifndef HF_TESTLIB_REDIS_PROXY_H
#define HF_TESTLIB_REDIS_PROXY_H

typedef struct redis_proxy redis_proxy;

typedef enum redis_proxy_mode {
  REDIS_PROXY_PASS,
  REDIS_PROXY_LOSE_REPLIES,  /* requests arrive, replies do not */
  REDIS_PROXY_CUT_AT_REPLY,  /* requests arrive; in place of the reply both ends are closed */
  REDIS_PROXY_HALVE_REPLIES, /* requests arrive; of what comes back the first half of the bytes */
  REDIS_PROXY_LOSE_REQUESTS, /* nothing arrives, nothing is answered */
  REDIS_PROXY_ANSWER         /* nothing arrives, each request gets the same answer */
} redis_proxy_mode;

/* Starts it before a server on this port; NULL with words on stderr. */
redis_proxy *redis_proxy_start(int server_port);

int redis_proxy_port(const redis_proxy *proxy);

/* answer: a line of the protocol without its end ("-OOM ..."), only with ANSWER; lives as long as
 * the mode. */
void redis_proxy_set(redis_proxy *proxy, redis_proxy_mode mode, const char *answer);

/* The connections that there are pass nothing any more, and neither end is told, as behind a cut;
 * new ones work. */
void redis_proxy_lose_connections(redis_proxy *proxy);

/* Requests that have come (pieces of bytes, as they were read). */
long redis_proxy_requests(const redis_proxy *proxy);

void redis_proxy_stop(redis_proxy **proxy);

#endif
