/* The redis locker with a server that is well: round trips, counters, waiting, forks. */
#include "redis_fixture.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pace.h"
#include "scratch.h"

static const char seq_key[] = "holdfast:{11111111-2222-4333-8444-555555555555}:seq:lock";

START_TEST(two_round_trips_a_turn) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1); /* the scripts become known */
  ck_assert_int_eq(give(state, &grant), 1);
  long before = round_trips();
  for (int i = 0; i < 10; i++) {
    ck_assert_int_eq(take(state, 1000, &grant), 1);
    ck_assert_int_eq(redis->verify(state, &grant, NULL), 1);
    ck_assert_int_eq(give(state, &grant), 1);
  }
  ck_assert_int_eq(round_trips() - before, 20);
  redis->close(&state);
}
END_TEST

/* The same of whole saves, which is what the design promises. */
START_TEST(two_round_trips_a_save) {
  scratch here;
  char text[256];
  hf_error error = HF_ERROR_INIT;
  hf_config *config = NULL;
  hf_store *opened = NULL;
  scratch_begin(&here);
  snprintf(text, sizeof text, "redis://127.0.0.1:%d/0", server.port);
  ck_assert_int_eq(setenv("HOLDFAST_REDIS_URL", text, 1), 0);
  char path[512];
  snprintf(path, sizeof path, "%.400s/config.json", here.folder);
  scratch_write_file(path, "{}", 2);
  ck_assert_msg(hf_config_load(path, &config, &error) == HF_OK, "%s", error.message);
  hf_init_options options = {.config = config, .locker = "redis"};
  ck_assert_msg(hf_init(here.store, &options, NULL, &error) == HF_OK, "%s", error.message);
  hf_open_options with = {.config = config};
  ck_assert_msg(hf_open(here.store, &with, &opened, &error) == HF_OK, "%s", error.message);
  (void)scratch_must_save(opened, "first", "S", "{}");
  long before = round_trips();
  for (int i = 0; i < 20; i++) {
    char run[16];
    snprintf(run, sizeof run, "run%d", i);
    ck_assert_uint_eq(scratch_must_save(opened, run, "S", "{}"), (uint64_t)i + 2);
  }
  printf("20 saves: %ld round trips\n", round_trips() - before);
  ck_assert_int_eq(round_trips() - before, 40);
  hf_close(&opened);
  hf_config_free(&config);
  scratch_end(&here);
}
END_TEST

START_TEST(the_counter_follows_the_storage) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  uint64_t first = 0;
  char get[128];
  snprintf(get, sizeof get, "GET %s", seq_key);
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_uint_eq(grant.seq_hint, 1);
  ck_assert_int_eq(redis->release(state, &grant, 5, NULL), 1); /* five were committed */
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_uint_eq(grant.seq_hint, 6);
  ck_assert_int_eq(redis->next_seq(state, &grant, 100, 3, &first, NULL), 1); /* storage: 100 */
  ck_assert_uint_eq(first, 101);
  ck_assert_int_eq(ask_number(get), 103);
  ck_assert_int_eq(give(state, &grant), 1); /* head unknown: it stays */
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_uint_eq(grant.seq_hint, 104);
  ck_assert_int_eq(give(state, &grant), 1);
  grant.wanted = 5; /* the first of five */
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_uint_eq(grant.seq_hint, 105);
  ck_assert_int_eq(ask_number(get), 109);
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "FLUSHALL"), 1);
  ck_assert_int_eq(redis->next_seq(state, &grant, 200, 1, &first, NULL), 0); /* lost: no repair */
  ck_assert_int_eq(ask_number(get), 0);
  ck_assert_int_eq(give(state, &grant), 0);
  redis->close(&state);
}
END_TEST

/* Tokens rise even over a Redis that has lost its memory. */
START_TEST(tokens_rise_over_a_flush) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  uint64_t last = 0;
  for (int i = 0; i < 6; i++) {
    ck_assert_int_eq(take(state, 1000, &grant), 1);
    ck_assert_uint_gt(grant.token, last);
    last = grant.token;
    ck_assert_int_eq(give(state, &grant), 1);
    if (i % 2 == 1)
      ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "FLUSHALL"), 1);
  }
  redis->close(&state);
}
END_TEST

START_TEST(a_server_that_forgot_the_scripts) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  for (int i = 0; i < 3; i++) {
    ck_assert_int_eq(take(state, 1000, &grant), 1);
    ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "SCRIPT FLUSH"), 1);
    ck_assert_int_eq(give(state, &grant), 1);
  }
  redis->close(&state);
}
END_TEST

/* A lease that is used for long is renewed by verify, a third at a time. */
START_TEST(verify_renews) {
  void *state = open_redis(0, SHORT_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  long before = round_trips();
  int64_t end_ms = now_ms() + 4 * SHORT_LEASE_MS;
  while (now_ms() < end_ms) {
    ck_assert_int_eq(redis->verify(state, &grant, NULL), 1);
    pace_sleep_us(2000);
  }
  long renewals = round_trips() - before;
  printf("held for four leases with %ld renewals\n", renewals);
  ck_assert_int_ge(renewals, 8);
  ck_assert_int_le(renewals, 16); /* a third each, not at every look */
  ck_assert_int_eq(give(state, &grant), 1);
  redis->close(&state);
}
END_TEST

/* ---- 32 waiters ---- */

enum { WAITERS = 32, FAIR_MS = 3000 };

typedef struct fair {
  void *state;
  atomic_int *stop;
  int turns;
} fair;

static void *take_turns(void *argument) {
  fair *mine = argument;
  while (!atomic_load(mine->stop)) {
    hf_grant grant = HF_GRANT_INIT;
    if (redis->acquire(mine->state, "lock", now_ms() + 20000, &grant, NULL) != 1)
      return mine;
    mine->turns++;
    if (redis->release(mine->state, &grant, 0, NULL) != 1)
      return mine;
  }
  return NULL;
}

START_TEST(none_of_32_starves) {
  pthread_t threads[WAITERS];
  fair waiters[WAITERS];
  atomic_int stop = 0;
  void *states[4];
  int least = INT32_MAX, most = 0, total = 0;
  for (int i = 0; i < 4; i++)
    states[i] = open_redis(0, LONG_LEASE_MS, "");
  for (int i = 0; i < WAITERS; i++) {
    waiters[i] = (fair){states[i % 4], &stop, 0};
    ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, &waiters[i]), 0);
  }
  pace_sleep_us(FAIR_MS * 1000);
  atomic_store(&stop, 1);
  for (int i = 0; i < WAITERS; i++) {
    void *failed = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
    ck_assert_ptr_null(failed);
    least = waiters[i].turns < least ? waiters[i].turns : least;
    most = waiters[i].turns > most ? waiters[i].turns : most;
    total += waiters[i].turns;
  }
  printf("32 waiters, %d turns: %d to %d each\n", total, least, most);
  ck_assert_int_ge(least, 2);
  ck_assert_int_ge(least * 3, total / WAITERS); /* nobody far below the mean */
  for (int i = 0; i < 4; i++)
    redis->close(&states[i]);
}
END_TEST

/* ---- whose turn comes next ---- */

enum { NEAR_MS = 5000 }; /* far below the lease, far above what it takes */

typedef struct near_waiter {
  pthread_t thread;
  void *state;
  atomic_int told; /* that its turn comes next */
  atomic_int has_lock;
  atomic_int may_release;
} near_waiter;

static void note_near(void *context) {
  near_waiter *me = context;
  atomic_fetch_add(&me->told, 1);
}

static void *wait_to_be_near(void *argument) {
  near_waiter *me = argument;
  hf_grant grant = HF_GRANT_INIT;
  grant.turn_is_near = note_near;
  grant.near_context = me;
  if (redis->acquire(me->state, "lock", now_ms() + 20000, &grant, NULL) != 1)
    return me;
  atomic_store(&me->has_lock, 1);
  while (!atomic_load(&me->may_release))
    pace_sleep_us(1000);
  return redis->release(me->state, &grant, 0, NULL) == 1 ? NULL : me;
}

static void until(const atomic_int *flag) {
  for (int64_t end_ms = now_ms() + NEAR_MS; atomic_load(flag) == 0;) {
    ck_assert_int_lt(now_ms(), end_ms);
    pace_sleep_us(1000);
  }
}

/* The first in the queue is told while another has the lock; the second when the first gets it. */
START_TEST(who_comes_next_is_told) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  near_waiter waiters[2] = {{.state = state}, {.state = state}};
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(pthread_create(&waiters[i].thread, NULL, wait_to_be_near, &waiters[i]), 0);
    if (i == 0)
      until(&waiters[0].told);
    else
      pace_sleep_us(200000); /* it stands in the queue, behind the other */
  }
  ck_assert_int_eq(atomic_load(&waiters[0].has_lock), 0);
  ck_assert_int_eq(atomic_load(&waiters[1].told), 0);
  ck_assert_int_eq(give(state, &grant), 1);
  until(&waiters[0].has_lock);
  until(&waiters[1].told);
  ck_assert_int_eq(atomic_load(&waiters[1].has_lock), 0);
  for (int i = 0; i < 2; i++) {
    void *failed = NULL;
    until(&waiters[i].has_lock);
    atomic_store(&waiters[i].may_release, 1);
    ck_assert_int_eq(pthread_join(waiters[i].thread, &failed), 0);
    ck_assert_ptr_null(failed);
  }
  redis->close(&state);
}
END_TEST

/* "id=7 ...": of the one connection that listens. */
static long listener(void) {
  char reply[16];
  ck_assert_int_eq(redis_server_say(&server, NULL, reply, sizeof reply, "CLIENT LIST TYPE pubsub"),
                   1);
  ck_assert_int_eq(strncmp(reply, "id=", 3), 0);
  return strtol(reply + 3, NULL, 10);
}

static const char forget_queue[] =
    "EVAL return(redis.call('DEL',unpack(redis.call('KEYS','*:queue:lock')))) 0";

/* A waiter that was passed over, for the server finds nobody on its channel, listens anew. */
START_TEST(who_was_passed_over_listens_anew) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  near_waiter waiter = {.state = state};
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_int_eq(pthread_create(&waiter.thread, NULL, wait_to_be_near, &waiter), 0);
  until(&waiter.told);
  long before = listener();
  ck_assert_int_eq(ask_number(forget_queue), 1);
  for (int64_t end_ms = now_ms() + NEAR_MS; atomic_load(&waiter.told) < 2;) {
    ck_assert_int_lt(now_ms(), end_ms);
    pace_sleep_us(1000);
  }
  ck_assert_int_ne(listener(), before);
  ck_assert_int_eq(give(state, &grant), 1);
  int64_t began_ms = now_ms();
  until(&waiter.has_lock);
  ck_assert_int_lt(now_ms() - began_ms, 900); /* it hears: to ask again takes a second */
  atomic_store(&waiter.may_release, 1);
  void *failed = NULL;
  ck_assert_int_eq(pthread_join(waiter.thread, &failed), 0);
  ck_assert_ptr_null(failed);
  redis->close(&state);
}
END_TEST

/* ---- processes ---- */

START_TEST(a_child_is_told) {
  void *state = open_redis(0, LONG_LEASE_MS, ""), *other = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT, busy = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  pid_t child = fork();
  if (child == 0) {
    hf_grant mine = HF_GRANT_INIT;
    int told = redis->acquire(state, "lock", 0, &mine, NULL) == HF_EFORKED &&
               redis->verify(state, &grant, NULL) == HF_EFORKED &&
               redis->release(state, &grant, 0, NULL) == HF_EFORKED && grant.hold == NULL;
    redis->close(&state);
    void *own = open_redis(0, LONG_LEASE_MS, "");
    told = told && redis->acquire(own, "lock", 0, &mine, NULL) == 0; /* the parent has it */
    redis->close(&own);
    redis->close(&other);
    _exit(told ? 0 : 1);
  }
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(take(other, 0, &busy), 0);
  ck_assert_int_eq(give(state, &grant), 1);
  redis->close(&state);
  redis->close(&other);
}
END_TEST

START_TEST(the_holder_is_described) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  hf_lock_holder holder;
  grant.attempt = "01M83ET0RCPX3X3QT93EBVCJXK";
  ck_assert_int_eq(redis->describe(state, "lock", &holder, NULL), 0);
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_int_eq(redis->describe(state, "lock", &holder, NULL), 1);
  ck_assert_int_eq(holder.pid, getpid());
  ck_assert_str_eq(holder.attempt, "01M83ET0RCPX3X3QT93EBVCJXK");
  ck_assert_uint_eq(holder.token, grant.token);
  int64_t lease_ms = holder.until_unix_ms - holder.since_unix_ms;
  ck_assert_int_ge(lease_ms, LONG_LEASE_MS - 1000);
  ck_assert_int_le(lease_ms, LONG_LEASE_MS + 1);
  ck_assert_int_eq(give(state, &grant), 1);
  redis->close(&state);
}
END_TEST

int main(void) {
  TCase *turns = tcase_create("turns"), *processes = tcase_create("processes");
  tcase_add_checked_fixture(turns, start_server, stop_server);
  tcase_add_checked_fixture(processes, start_server, stop_server);
  tcase_add_test(turns, two_round_trips_a_turn);
  tcase_add_test(turns, two_round_trips_a_save);
  tcase_add_test(turns, the_counter_follows_the_storage);
  tcase_add_test(turns, tokens_rise_over_a_flush);
  tcase_add_test(turns, a_server_that_forgot_the_scripts);
  tcase_add_test(turns, verify_renews);
  tcase_add_test(turns, none_of_32_starves);
  tcase_add_test(turns, who_comes_next_is_told);
  tcase_add_test(turns, who_was_passed_over_listens_anew);
  tcase_add_test(processes, a_child_is_told);
  tcase_add_test(processes, the_holder_is_described);
  return run_suite("redis", (TCase *const[]){turns, processes}, 2);
}
