/* The contract that every locker must pass, whatever its scheme: one suite, run once for each row
 * of contract_schemes. To add a locker, add a row.
 *
 * What a locker does not promise by its traits is not asked of it; instead it is shown that the
 * test would notice (the locker 'none' must lose updates). */
#ifndef HF_TESTS_LOCKER_CONTRACT_H
#define HF_TESTS_LOCKER_CONTRACT_H

#include <check.h>
#include <stdint.h>
#include <sys/types.h>

#include <holdfast/locker.h>

/* Where a scheme's lockers are tried. */
typedef struct contract_place {
  char store[256];    /* an existing folder */
  char options[1024]; /* lockers.<scheme> as JSON; "": none */
} contract_place;

typedef struct contract_scheme {
  const char *scheme;
  /* the run that it belongs to; NULL: the one without an argument. Rows of a run stand together */
  const char *run;
  int death_ms_max; /* how long the lock may stay held by a process that was killed */
  int break_ms_max; /* how long until those who wait notice that the lock was broken */
  /* Prepares what the locker needs beside the folder. 0; 77: not available here, skip; else failed.
   * NULL: nothing. */
  int (*set_up)(contract_place *place);
  void (*tear_down)(contract_place *place);
} contract_scheme;

extern const contract_scheme contract_schemes[];
extern const int contract_schemes_count;

/* Those that are tried in this run: rows contract_begin to contract_end - 1. */
extern int contract_begin;
extern int contract_end;

/* Of the scheme of this loop test. */
extern contract_place contract_places[];

const hf_locker_ops *contract_ops(int scheme);
void *contract_open(int scheme, const char *purpose);

/* acquire and release that fail the test on an error. */
int contract_acquire(int scheme, void *state, const char *lock, int64_t timeout_ms,
                     hf_grant *grant);
int contract_release(int scheme, void *state, hf_grant *grant);

int64_t contract_now_ms(void);
int64_t contract_now_us(void);
void contract_sleep_ms(int64_t ms);

/* ---- actors: processes of their own that do one thing after the other as told ---------------- */

typedef struct actor {
  pid_t pid;
  int to;
  int from;
} actor;

typedef enum actor_command {
  ACTOR_ACQUIRE, /* keeps the grant */
  ACTOR_RELEASE,
  ACTOR_FORK,           /* has a child that lives until it is killed; result: its pid */
  ACTOR_CLOSE_IN_CHILD, /* a child closes the locker as if it had opened it, and exits */
} actor_command;

typedef struct actor_reply {
  int64_t result; /* of the locker's function, or a pid */
  int64_t at_us;  /* when it was done */
  uint64_t token;
  hf_error error;
} actor_reply;

actor actor_start(int scheme, const char *purpose);
void actor_ask(const actor *who, actor_command command, const char *lock, int64_t timeout_ms);
actor_reply actor_answer(const actor *who); /* fails the test after 20 s */
actor_reply actor_do(const actor *who, actor_command command, const char *lock, int64_t timeout_ms);
void actor_kill(actor *who); /* SIGKILL, and waits for it */

/* ---- the parts of the suite ------------------------------------------------------------------ */

void contract_add_exclusion(Suite *suite);
void contract_add_waiting(Suite *suite);
void contract_add_death(Suite *suite);
void contract_add_holder(Suite *suite);

#endif
