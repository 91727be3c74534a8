#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

redis_server server;
const hf_locker_ops *redis;

static const char uuid[] = "11111111-2222-4333-8444-555555555555";

void start_server(void) {
  redis = hf_locker_find("redis");
  ck_assert_ptr_nonnull(redis);
  ck_assert_int_eq(redis_server_start(&server, NULL), 0);
}

void stop_server(void) {
  redis_server_stop(&server);
}

void *open_redis(int port, int64_t lease_ms, const char *more) {
  char options[1024];
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  snprintf(options, sizeof options,
           "{\"url\":\"redis://127.0.0.1:%d\",\"lease_ms\":%d,\"command_timeout_ms\":1000%s}",
           port != 0 ? port : server.port, (int)lease_ms, more);
  hf_locker_open_args args = {.store_path = "/tmp", .store_uuid = uuid, .options_json = options};
  int status = redis->open(&args, &state, &error);
  ck_assert_msg(status == HF_OK, "%s: %s", error.place, error.message);
  return state;
}

int take(void *state, int64_t timeout_ms, hf_grant *grant) {
  hf_error error = HF_ERROR_INIT;
  int got = redis->acquire(state, "lock", now_ms() + timeout_ms, grant, &error);
  ck_assert_msg(got >= 0, "%s: %s", error.place, error.message);
  return got;
}

int give(void *state, hf_grant *grant) {
  return redis->release(state, grant, 0, NULL);
}

/* "cmdstat_evalsha:calls=7,..." of INFO commandstats. */
static long calls_of(const char *info, const char *name) {
  char line[64];
  snprintf(line, sizeof line, "cmdstat_%s:calls=", name);
  const char *found = strstr(info, line);
  return found != NULL ? strtol(found + strlen(line), NULL, 10) : 0;
}

long round_trips(void) {
  static const char *const asked[] = {"evalsha", "eval",   "auth", "select",    "script|load",
                                      "ping",    "client", "role", "subscribe", "hello"};
  static char info[32768];
  long count = 0;
  ck_assert_int_eq(redis_server_say(&server, NULL, info, sizeof info, "INFO commandstats"), 1);
  for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++)
    count += calls_of(info, asked[i]);
  return count;
}

long ask_number(const char *command) {
  char reply[64];
  ck_assert_int_eq(redis_server_say(&server, NULL, reply, sizeof reply, "%s", command), 1);
  return strtol(reply, NULL, 10);
}

int64_t now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int run_suite(const char *name, TCase *const *tcases, int count) {
  Suite *suite = suite_create(name);
  for (int i = 0; i < count; i++) {
    tcase_set_timeout(tcases[i], 60);
    suite_add_tcase(suite, tcases[i]);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
