/* The redis locker when something goes wrong: lost replies, error replies, servers that pause, die,
 * forget or change their role. Nothing of it may hang, spin, or hold the lock for longer than the
 * lease. */
#include "redis_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pace.h"
#include "redis_proxy.h"

enum { SLACK_MS = 2500 };

static redis_proxy *proxy;

static void start_all(void) {
  start_server();
  proxy = redis_proxy_start(server.port);
  ck_assert_ptr_nonnull(proxy);
}

static void stop_all(void) {
  redis_proxy_stop(&proxy);
  stop_server();
}

typedef struct waiter {
  void *state;
  int64_t timeout_ms;
  int result;
  int64_t at_ms;
  hf_grant grant;
  pthread_t thread;
} waiter;

static void *wait_for_lock(void *argument) {
  waiter *mine = argument;
  mine->result =
      redis->acquire(mine->state, "lock", now_ms() + mine->timeout_ms, &mine->grant, NULL);
  mine->at_ms = now_ms();
  return NULL;
}

static void start_waiter(waiter *one, void *state, int64_t timeout_ms) {
  *one = (waiter){.state = state, .timeout_ms = timeout_ms, .grant = HF_GRANT_INIT};
  ck_assert_int_eq(pthread_create(&one->thread, NULL, wait_for_lock, one), 0);
  pace_sleep_us(150000); /* it is in the queue by now */
}

static void end_waiter(waiter *one) {
  ck_assert_int_eq(pthread_join(one->thread, NULL), 0);
}

/* ---- lost replies ---- */

/* The request arrived, the reply did not: asked again it is the same request, and one grant. */
START_TEST(a_lost_reply_to_acquire) {
  const redis_proxy_mode modes[] = {REDIS_PROXY_CUT_AT_REPLY, REDIS_PROXY_LOSE_REPLIES};
  for (int i = 0; i < 2; i++) {
    void *state = open_redis(redis_proxy_port(proxy), LONG_LEASE_MS, "");
    waiter one;
    long before = ask_number("GET holdfast:{11111111-2222-4333-8444-555555555555}:seq:lock");
    redis_proxy_set(proxy, modes[i], NULL);
    start_waiter(&one, state, 8000);
    redis_proxy_set(proxy, REDIS_PROXY_PASS, NULL);
    end_waiter(&one);
    ck_assert_int_eq(one.result, 1);
    ck_assert_int_eq(
        ask_number("GET holdfast:{11111111-2222-4333-8444-555555555555}:seq:lock") - before, 1);
    ck_assert_int_eq(give(state, &one.grant), 1);
    redis->close(&state);
  }
}
END_TEST

/* Whoever gave up without having heard anything holds nobody up for longer than the lease. */
START_TEST(a_timed_out_acquire_leaves_nothing) {
  void *state = open_redis(redis_proxy_port(proxy), 1000, "");
  void *other = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  redis_proxy_set(proxy, REDIS_PROXY_LOSE_REPLIES, NULL);
  int64_t began_ms = now_ms();
  ck_assert_int_eq(redis->acquire(state, "lock", began_ms + 500, &grant, &error), HF_EBACKEND);
  ck_assert_int_le(now_ms() - began_ms, 500 + SLACK_MS);
  ck_assert_ptr_nonnull(strstr(error.message, "nothing was saved"));
  ck_assert_ptr_nonnull(strstr(error.place, "redis://127.0.0.1:"));
  began_ms = now_ms();
  ck_assert_int_eq(take(other, 5000, &grant), 1);
  printf("after an acquire that was never answered: the lock came after %d ms\n",
         (int)(now_ms() - began_ms));
  ck_assert_int_le(now_ms() - began_ms, 1000 + 500);
  ck_assert_int_eq(give(other, &grant), 1);
  redis->close(&state);
  redis->close(&other);
}
END_TEST

/* A release that was not answered: it is told, the lock is free, and nobody else's is released. */
START_TEST(a_lost_reply_to_release) {
  void *state = open_redis(redis_proxy_port(proxy), LONG_LEASE_MS, "");
  void *other = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT, others = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  waiter next;
  ck_assert_int_eq(give(state, &grant), 1); /* the script becomes known */
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  redis_proxy_set(proxy, REDIS_PROXY_LOSE_REPLIES, NULL);
  start_waiter(&next, other, 5000);
  int64_t began_ms = now_ms();
  ck_assert_int_lt(give(state, &grant), 0);
  ck_assert_int_le(now_ms() - began_ms, 2 * 1000 + SLACK_MS);
  ck_assert_ptr_null(grant.hold);
  end_waiter(&next);
  ck_assert_int_eq(next.result, 1);
  ck_assert_int_le(next.at_ms - began_ms, 500);
  redis_proxy_set(proxy, REDIS_PROXY_PASS, NULL);
  ck_assert_int_eq(take(state, 100, &others), 0); /* it is the other's */
  ck_assert_int_eq(give(other, &next.grant), 1);
  redis->close(&state);
  redis->close(&other);
}
END_TEST

static void count_near(void *context) {
  atomic_fetch_add((atomic_int *)context, 1);
}

/* Its connections are lost, and nobody tells it: neither is the one on which it listens believed in
 * when the one for commands had to be made anew. It hears of its turn at once. */
START_TEST(a_waiter_behind_a_cut_hears_of_its_turn) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  void *other = open_redis(redis_proxy_port(proxy), LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  atomic_int told = 0; /* each answer says that nobody is before it */
  waiter next = {.state = other, .timeout_ms = 20000, .grant = HF_GRANT_INIT};
  next.grant.turn_is_near = count_near;
  next.grant.near_context = &told;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_int_eq(pthread_create(&next.thread, NULL, wait_for_lock, &next), 0);
  for (int lost = 0; lost < 2; lost++) {
    for (int before = atomic_load(&told); atomic_load(&told) == before;)
      pace_sleep_us(1000);
    if (lost == 0)
      redis_proxy_lose_connections(proxy);
  }
  int64_t began_ms = now_ms();
  ck_assert_int_eq(give(state, &grant), 1);
  end_waiter(&next);
  ck_assert_int_eq(next.result, 1);
  printf("behind a cut: the lock came after %d ms\n", (int)(next.at_ms - began_ms));
  ck_assert_int_lt(next.at_ms - began_ms, 700); /* to ask again takes a second */
  ck_assert_int_eq(give(other, &next.grant), 1);
  redis->close(&state);
  redis->close(&other);
}
END_TEST

/* ---- error replies ---- */

typedef struct refusal {
  const char *answer;
  const char *advice;
} refusal;

static const refusal refusals[] = {
    {"-NOAUTH Authentication required.", "password_file"},
    {"-WRONGPASS invalid username-password pair or user is disabled.", "user or password"},
    {"-NOPERM this user has no permissions to run the 'evalsha' command", "ACL"},
    {"-OOM command not allowed when used memory > 'maxmemory'. script: a, on @user_script:1.",
     "noeviction"},
    {"-ERR Error running script (call to f_1): @user_script:9: @user_script: 9: -OOM command not "
     "allowed when used memory > 'maxmemory'.",
     "noeviction"},
    {"-MISCONF Redis is configured to save RDB snapshots", "its disk"},
    {"-WRONGTYPE Operation against a key holding the wrong kind of value", "prefix"},
    {"-MOVED 3999 127.0.0.1:6381", "Cluster"},
    {"-READONLY You can't write against a read only replica.", "master"},
    {"-ERR unknown command 'EVALSHA'", "6.2"},
    {"+OK", ""},
};

/* At once, not at the deadline: trying again is no use. */
START_TEST(an_error_reply_is_told) {
  const refusal *row = &refusals[_i];
  void *state = open_redis(redis_proxy_port(proxy), LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  redis_proxy_set(proxy, REDIS_PROXY_ANSWER, row->answer);
  int64_t began_ms = now_ms();
  int status = redis->acquire(state, "lock", began_ms + 5000, &grant, &error);
  ck_assert_msg(status == HF_EBACKEND, "%s: %d", row->answer, status);
  ck_assert_int_le(now_ms() - began_ms, 1000 + 500);
  printf("%s\n", error.message);
  ck_assert_ptr_nonnull(strstr(error.message, row->advice));
  ck_assert_ptr_nonnull(strstr(error.message, "nothing was saved"));
  redis_proxy_set(proxy, REDIS_PROXY_PASS, NULL);
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_int_eq(give(state, &grant), 1);
  redis->close(&state);
}
END_TEST

static const char *const patience[] = {
    "-LOADING Redis is loading the dataset in memory",
    "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "-NOREPLICAS Not enough good replicas to write.",
    "-TRYAGAIN Multiple keys request during rehashing of slot",
    "-ERR max number of clients reached",
};

/* Waited out until the deadline, without asking all the time. */
START_TEST(what_passes_is_waited_for) {
  void *state = open_redis(redis_proxy_port(proxy), LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  redis_proxy_set(proxy, REDIS_PROXY_ANSWER, patience[_i]);
  long before = redis_proxy_requests(proxy);
  int64_t began_ms = now_ms();
  ck_assert_int_eq(redis->acquire(state, "lock", began_ms + 600, &grant, &error), HF_EBACKEND);
  int64_t took_ms = now_ms() - began_ms;
  ck_assert_int_ge(took_ms, 600);
  ck_assert_int_le(took_ms, 600 + SLACK_MS);
  ck_assert_int_le(redis_proxy_requests(proxy) - before, 40);
  waiter one;
  start_waiter(&one, state, 5000);
  redis_proxy_set(proxy, REDIS_PROXY_PASS, NULL);
  end_waiter(&one);
  ck_assert_int_eq(one.result, 1);
  ck_assert_int_eq(give(state, &one.grant), 1);
  redis->close(&state);
}
END_TEST

/* Memory that is really used up; a key that really is something else. */
START_TEST(real_refusals) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "CONFIG SET maxmemory 1"), 1);
  ck_assert_int_eq(redis->acquire(state, "lock", now_ms() + 3000, &grant, &error), HF_EBACKEND);
  ck_assert_ptr_nonnull(strstr(error.message, "noeviction"));
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "CONFIG SET maxmemory 0"), 1);
  /* memory that is used up while the lock is held: it can be released all the same */
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "CONFIG SET maxmemory 1"), 1);
  ck_assert_int_eq(give(state, &grant), 1);
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "CONFIG SET maxmemory 0"), 1);
  ck_assert_int_eq(
      redis_server_say(&server, NULL, NULL, 0,
                       "SET holdfast:{11111111-2222-4333-8444-555555555555}:lock:lock mine"),
      1);
  ck_assert_int_eq(redis->acquire(state, "lock", now_ms() + 3000, &grant, &error), HF_EBACKEND);
  ck_assert_ptr_nonnull(strstr(error.message, "prefix"));
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "FLUSHALL"), 1);
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "REPLICAOF 127.0.0.1 1"), 1);
  ck_assert_int_eq(redis->acquire(state, "lock", now_ms() + 3000, &grant, &error), HF_EBACKEND);
  ck_assert_ptr_nonnull(strstr(error.message, "replica"));
  redis->close(&state);
}
END_TEST

/* ---- servers ---- */

START_TEST(a_paused_server) {
  void *state = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  ck_assert_int_eq(give(state, &grant), 1);
  ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
  int64_t began_ms = now_ms();
  ck_assert_int_eq(redis->acquire(state, "lock", began_ms + 700, &grant, NULL), HF_EBACKEND);
  ck_assert_int_le(now_ms() - began_ms, 700 + SLACK_MS);
  waiter one;
  start_waiter(&one, state, 10000);
  ck_assert_int_eq(kill(server.pid, SIGCONT), 0);
  end_waiter(&one);
  ck_assert_int_eq(one.result, 1);
  ck_assert_int_eq(give(state, &one.grant), 1);
  redis->close(&state);
}
END_TEST

/* Killed and started again, empty, while one holds the lock and one waits: a dead peer's socket
 * ends nobody by SIGPIPE, the holder is told, the waiter goes on. */
START_TEST(a_restarted_server) {
  void *state = open_redis(0, LONG_LEASE_MS, ""), *other = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  waiter next;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  start_waiter(&next, other, 20000);
  redis_server_kill(&server);
  pace_sleep_us(200000);
  ck_assert_int_eq(redis->verify(state, &grant, NULL), 1); /* nobody else can have it yet */
  ck_assert_int_eq(redis_server_restart(&server, NULL), 0);
  end_waiter(&next);
  ck_assert_int_eq(next.result, 1);
  ck_assert_int_eq(give(state, &grant), 0); /* lost, and the other's is not touched */
  ck_assert_int_eq(give(other, &next.grant), 1);
  redis->close(&state);
  redis->close(&other);
}
END_TEST

/* A dump from when others waited: they have had their turns since then, and wait again. Nobody
 * waits for the wishes of that time. */
START_TEST(an_old_dump) {
  enum { WAITERS = 6, LEASE_MS = 2500 };
  void *state = open_redis(0, LEASE_MS, ""), *others[WAITERS];
  hf_grant grant = HF_GRANT_INIT;
  waiter all[WAITERS];
  for (int i = 0; i < WAITERS; i++)
    others[i] = open_redis(0, LEASE_MS, "");
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  for (int round = 0; round < 2; round++) {
    int64_t began_ms = now_ms();
    for (int i = 0; i < WAITERS; i++)
      start_waiter(&all[i], others[i], 30000);
    if (round == 0) {
      ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "SAVE"), 1);
      ck_assert_int_eq(give(state, &grant), 1);
    }
    for (int i = 0; i < WAITERS; i++) { /* first come, first served */
      end_waiter(&all[i]);
      ck_assert_int_eq(all[i].result, 1);
      ck_assert_int_le(all[i].at_ms - began_ms, LEASE_MS + SLACK_MS);
      ck_assert_int_eq(give(others[i], &all[i].grant), 1);
    }
    redis_server_kill(&server);
    ck_assert_int_eq(redis_server_restart(&server, NULL), 0);
  }
  redis->close(&state);
  for (int i = 0; i < WAITERS; i++)
    redis->close(&others[i]);
}
END_TEST

START_TEST(a_flush_while_waiting) {
  void *state = open_redis(0, LONG_LEASE_MS, ""), *other = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  waiter next;
  ck_assert_int_eq(take(state, 1000, &grant), 1);
  start_waiter(&next, other, 20000);
  int64_t flushed_ms = now_ms();
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "FLUSHALL"), 1);
  end_waiter(&next);
  ck_assert_int_eq(next.result, 1);
  ck_assert_int_le(next.at_ms - flushed_ms, 1100 + 500); /* not the lease of the forgotten holder */
  ck_assert_int_eq(give(state, &grant), 0);
  ck_assert_int_eq(give(other, &next.grant), 1);
  redis->close(&state);
  redis->close(&other);
}
END_TEST

/* Connections that are cut, idle or waiting, are made anew. */
START_TEST(killed_connections) {
  void *state = open_redis(0, LONG_LEASE_MS, ""), *other = open_redis(0, LONG_LEASE_MS, "");
  hf_grant grant = HF_GRANT_INIT;
  for (int i = 0; i < 5; i++) {
    waiter next;
    ck_assert_int_eq(take(state, 2000, &grant), 1);
    start_waiter(&next, other, 20000);
    ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "CLIENT KILL TYPE normal"), 1);
    ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "CLIENT KILL TYPE pubsub"), 1);
    pace_sleep_us(i * 10000);
    ck_assert_int_eq(give(state, &grant), 1);
    int64_t given_ms = now_ms();
    end_waiter(&next);
    ck_assert_int_eq(next.result, 1);
    ck_assert_int_le(next.at_ms - given_ms, 2500);
    ck_assert_int_eq(give(other, &next.grant), 1);
  }
  redis->close(&state);
  redis->close(&other);
}
END_TEST

static int roles_are_known(const redis_server *sentinel) {
  char reply[4096];
  return redis_server_say(sentinel, NULL, reply, sizeof reply, "INFO sentinel") == 1 &&
         strstr(reply, "slaves=1") != NULL;
}

/* The master dies while the lock is held and while one waits: both go on with the new one. */
START_TEST(a_failover) {
  redis_server replica, sentinel;
  char settings[64];
  char options[512];
  void *states[2] = {NULL, NULL};
  hf_error error = HF_ERROR_INIT;
  hf_grant grant = HF_GRANT_INIT;
  snprintf(settings, sizeof settings, "replicaof 127.0.0.1 %d\n", server.port);
  ck_assert_int_eq(redis_server_start(&replica, settings), 0);
  ck_assert_int_eq(redis_server_start_sentinel(&sentinel, "runs", server.port), 0);
  for (int i = 0; i < 300 && !roles_are_known(&sentinel); i++)
    pace_sleep_us(100000);
  snprintf(options, sizeof options, "{\"sentinels\":[\"127.0.0.1:%d\"],\"master\":\"runs\"}",
           sentinel.port);
  for (int i = 0; i < 2; i++) {
    hf_locker_open_args args = {.store_path = "/tmp",
                                .store_uuid = "11111111-2222-4333-8444-555555555555",
                                .options_json = options};
    ck_assert_msg(redis->open(&args, &states[i], &error) == HF_OK, "%s", error.message);
  }
  waiter next;
  ck_assert_int_eq(take(states[0], 5000, &grant), 1);
  start_waiter(&next, states[1], 40000);
  redis_server_kill(&server);
  int64_t killed_ms = now_ms();
  end_waiter(&next);
  ck_assert_int_eq(next.result, 1);
  printf("failover: the lock came %d ms after the master had died\n",
         (int)(next.at_ms - killed_ms));
  ck_assert_int_ge(give(states[0], &grant), 0);
  ck_assert_int_eq(give(states[1], &next.grant), 1);
  redis->close(&states[0]);
  redis->close(&states[1]);
  redis_server_stop(&sentinel);
  redis_server_stop(&replica);
}
END_TEST

int main(void) {
  TCase *replies = tcase_create("replies"), *servers = tcase_create("servers");
  tcase_add_checked_fixture(replies, start_all, stop_all);
  tcase_add_test(replies, a_lost_reply_to_acquire);
  tcase_add_test(replies, a_timed_out_acquire_leaves_nothing);
  tcase_add_test(replies, a_lost_reply_to_release);
  tcase_add_test(replies, a_waiter_behind_a_cut_hears_of_its_turn);
  tcase_add_loop_test(replies, an_error_reply_is_told, 0, sizeof refusals / sizeof refusals[0]);
  tcase_add_loop_test(replies, what_passes_is_waited_for, 0, sizeof patience / sizeof patience[0]);
  tcase_add_test(servers, real_refusals);
  tcase_add_test(servers, a_paused_server);
  tcase_add_test(servers, a_restarted_server);
  tcase_add_test(servers, an_old_dump);
  tcase_add_test(servers, a_flush_while_waiting);
  tcase_add_test(servers, killed_connections);
  tcase_add_test(servers, a_failover);
  tcase_add_checked_fixture(servers, start_server, stop_server);
  return run_suite("redis faults", (TCase *const[]){replies, servers}, 2);
}
