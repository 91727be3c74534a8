/* A Redis of the test's own, and lockers on it. */
#ifndef HF_TESTS_LOCKER_REDIS_FIXTURE_H
#define HF_TESTS_LOCKER_REDIS_FIXTURE_H

#include <check.h>
#include <stdint.h>

#include <holdfast/locker.h>

#include "redis_server.h"

extern redis_server server;        /* of the test that runs */
extern const hf_locker_ops *redis; /* the table */

enum { SHORT_LEASE_MS = 300, LONG_LEASE_MS = 10000 };

void start_server(void); /* before each test */
void stop_server(void);  /* after it */

/* A locker on the server, or on this port (0: the server's); more: further members, as
 * ",\"user\":\"x\"", or "". */
void *open_redis(int port, int64_t lease_ms, const char *more);

/* acquire within timeout_ms; fails the test on an error. 1 or 0. */
int take(void *state, int64_t timeout_ms, hf_grant *grant);

/* release; its answer, errors too. */
int give(void *state, hf_grant *grant);

/* How often the server was asked by a client, scripts' inner commands left out. */
long round_trips(void);

/* The server's answer as a whole number. */
long ask_number(const char *command);

int64_t now_ms(void);

int run_suite(const char *name, TCase *const *tcases, int count);

#endif
