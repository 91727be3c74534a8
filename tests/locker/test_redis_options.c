/* lockers.redis: what is accepted, what is refused with which words, and that no password is ever
 * shown. */
#include "redis_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "redis_options.h"

static char folder[] = "/tmp/hf-options-XXXXXX";
static char secret_path[64];

static void write_secret(const char *text, mode_t mode) {
  FILE *file = fopen(secret_path, "w");
  ck_assert_ptr_nonnull(file);
  fputs(text, file);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(chmod(secret_path, mode), 0);
}

static void make_folder(void) {
  memcpy(folder + sizeof folder - 7, "XXXXXX", 6);
  ck_assert_ptr_nonnull(mkdtemp(folder));
  snprintf(secret_path, sizeof secret_path, "%s/secret", folder);
}

static void remove_folder(void) {
  (void)unlink(secret_path);
  (void)rmdir(folder);
}

static hf_redis_options parse(const char *json) {
  hf_redis_options options;
  hf_error error = HF_ERROR_INIT;
  int status = hf_redis_options_parse(json, &options, &error);
  ck_assert_msg(status == HF_OK, "%s: %s: %s", json, error.place, error.message);
  ck_assert_int_eq(hf_redis_options_check(json, NULL), HF_OK);
  return options;
}

START_TEST(urls) {
  hf_redis_options o = parse("{\"url\":\"redis://10.1.2.3\"}");
  ck_assert_str_eq(o.server.host, "10.1.2.3");
  ck_assert_int_eq(o.server.port, 6379);
  ck_assert_int_eq(o.db, 0);
  ck_assert_int_eq(o.lease_ms, HF_REDIS_LEASE_MS_DEFAULT);
  ck_assert_str_eq(o.prefix, "holdfast");
  o = parse("{\"url\":\"redis://runs:p%40ss:w%2f@[::1]:7000/12\",\"prefix\":\"team-a\","
            "\"lease_ms\":30000}");
  ck_assert_str_eq(o.server.host, "::1");
  ck_assert_int_eq(o.server.port, 7000);
  ck_assert_int_eq(o.db, 12);
  ck_assert_str_eq(o.user, "runs");
  ck_assert_str_eq(o.password, "p@ss:w/");
  ck_assert_str_eq(o.prefix, "team-a");
  ck_assert_int_eq(o.lease_ms, 30000);
  o = parse("{\"url\":\"redis://:only@host\"}");
  ck_assert_str_eq(o.user, "");
  ck_assert_str_eq(o.password, "only");
  o = parse("{\"url\":\"unix:///run/redis.sock?db=3\"}");
  ck_assert_str_eq(o.socket_path, "/run/redis.sock");
  ck_assert_int_eq(o.db, 3);
  o = parse("{\"sentinels\":[\"a\",\"b:1\"],\"master\":\"m\"}");
  ck_assert_uint_eq(o.sentinels_count, 2);
  ck_assert_int_eq(o.sentinels[0].port, 26379);
  ck_assert_int_eq(o.sentinels[1].port, 1);
  o = parse("{\"url\":\"redis:///5\",\"sentinels\":[\"a\"],\"master\":\"m\"}");
  ck_assert_int_eq(o.db, 5);
}
END_TEST

static const struct {
  const char *json;
  const char *words;
} refused[] = {
    {NULL, "HOLDFAST_REDIS_URL"},
    {"{}", "\"url\""},
    {"{\"url\":\"http://a\"}", "redis://"},
    {"{\"url\":\"redis://\"}", "no host"},
    {"{\"url\":\"redis://a:0\"}", "port"},
    {"{\"url\":\"redis://a:99999\"}", "port"},
    {"{\"url\":\"redis://a:x\"}", "port"},
    {"{\"url\":\"redis://a/x\"}", "database"},
    {"{\"url\":\"redis://a?x=1\"}", "database"},
    {"{\"url\":\"redis://u:top%zzsecret@a\"}", "%XX"},
    {"{\"url\":\"unix://relative\"}", "unix:///path"},
    {"{\"url\":\"unix:///a?x\"}", "?db="},
    {"{\"url\":\"redis://a\",\"sentinels\":[\"b\"],\"master\":\"m\"}", "sentinels"},
    {"{\"sentinels\":[\"b\"]}", "master"},
    {"{\"master\":\"b\"}", "sentinels"},
    {"{\"sentinels\":[\"b:x\"],\"master\":\"m\"}", "HOST:PORT"},
    {"{\"url\":\"redis://a\",\"prefix\":\"a b\"}", "prefix"},
    {"{\"url\":\"redis://a\",\"prefix\":\"\"}", "letters"},
    {"{\"url\":\"redis://u@a\",\"user\":\"v\"}", "twice"},
    {"{\"url\":\"redis://:topsecret@a\",\"password_env\":\"V\"}", "twice"},
    {"{\"url\":\"redis://a\",\"user\":\"v\"}", "no password"},
    {"{\"url\":\"redis://a\",\"tls_ca_file\":\"v\"}", "rediss://"},
    {"{\"url\":\"redis://a\",\"password_env\":\"HF_THERE_IS_NONE\"}", "is not set"},
    {"{\"url\":\"redis://a\",\"password_file\":\"/nowhere/at/all\"}", "password's file"},
};

START_TEST(refusals) {
  hf_redis_options options;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_redis_options_parse(refused[_i].json, &options, &error), HF_ECONFIG);
  printf("%s: %s\n", error.place, error.message);
  ck_assert_msg(strstr(error.message, refused[_i].words) != NULL ||
                    strstr(error.place, refused[_i].words) != NULL,
                "%s: %s: %s", refused[_i].json, error.place, error.message);
  ck_assert_ptr_null(strstr(error.message, "secret"));
  ck_assert_ptr_null(strstr(error.place, "secret"));
}
END_TEST

START_TEST(password_files) {
  char json[256];
  hf_redis_options options;
  hf_error error = HF_ERROR_INIT;
  snprintf(json, sizeof json, "{\"url\":\"redis://a\",\"user\":\"u\",\"password_file\":\"%s\"}",
           secret_path);
  write_secret("swordfish\nsecond line\n", 0600);
  options = parse(json);
  ck_assert_str_eq(options.password, "swordfish");
  hf_redis_options_wipe(&options);
  ck_assert_str_eq(options.password, "");
  const mode_t open_modes[] = {0640, 0604, 0644};
  for (int i = 0; i < 3; i++) {
    write_secret("swordfish\n", open_modes[i]);
    ck_assert_int_eq(hf_redis_options_parse(json, &options, &error), HF_ECONFIG);
    ck_assert_ptr_nonnull(strstr(error.message, "chmod 600"));
    ck_assert_ptr_null(strstr(error.message, "swordfish"));
  }
  const char *const bad[] = {"", "\n", "\nsecond"};
  for (int i = 0; i < 3; i++) {
    write_secret(bad[i], 0600);
    ck_assert_int_eq(hf_redis_options_parse(json, &options, &error), HF_ECONFIG);
    ck_assert_ptr_nonnull(strstr(error.message, "first line"));
  }
  ck_assert_int_eq(setenv("HF_TEST_SECRET", "from-env", 1), 0);
  options = parse("{\"url\":\"redis://a\",\"password_env\":\"HF_TEST_SECRET\"}");
  ck_assert_str_eq(options.password, "from-env");
}
END_TEST

/* A wrong password, a right one, and neither in any text. */
START_TEST(passwords_are_never_shown) {
  char json[256];
  redis_server locked;
  hf_error error = HF_ERROR_INIT;
  hf_grant grant = HF_GRANT_INIT;
  redis = hf_locker_find("redis");
  ck_assert_int_eq(redis_server_start(&locked, "requirepass swordfish\n"), 0);
  const char *const passwords[] = {"tigershark", "swordfish"};
  for (int i = 0; i < 2; i++) {
    void *state = NULL;
    snprintf(json, sizeof json, "{\"url\":\"redis://:%s@127.0.0.1:%d\"}", passwords[i],
             locked.port);
    hf_locker_open_args args = {.store_path = "/tmp",
                                .store_uuid = "11111111-2222-4333-8444-555555555555",
                                .options_json = json};
    ck_assert_int_eq(redis->open(&args, &state, &error), HF_OK);
    int got = redis->acquire(state, "lock", now_ms() + 2000, &grant, &error);
    ck_assert_int_eq(got, i == 0 ? HF_EBACKEND : 1);
    if (i == 1)
      ck_assert_int_eq(redis->release(state, &grant, 0, NULL), 1);
    redis_server_kill(&locked);
    ck_assert_int_eq(redis->acquire(state, "lock", now_ms() + 100, &grant, &error), HF_EBACKEND);
    ck_assert_ptr_null(strstr(error.message, passwords[i]));
    ck_assert_ptr_null(strstr(error.place, passwords[i]));
    ck_assert_int_eq(redis_server_restart(&locked, "requirepass swordfish\n"), 0);
    redis->close(&state);
  }
  redis_server_stop(&locked);
}
END_TEST

#ifndef HF_WITH_REDIS_TLS
/* Told when it is configured, not when it is used. */
START_TEST(tls_says_which_version_brings_it) {
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_redis_options_check("{\"url\":\"rediss://a\"}", &error), HF_ECONFIG);
  printf("%s\n", error.message);
  ck_assert_ptr_nonnull(strstr(error.message, "hiredis 1.0.0"));
}
END_TEST
#endif

int main(void) {
  TCase *tcase = tcase_create("options");
  tcase_add_checked_fixture(tcase, make_folder, remove_folder);
  tcase_add_test(tcase, urls);
  tcase_add_loop_test(tcase, refusals, 0, sizeof refused / sizeof refused[0]);
  tcase_add_test(tcase, password_files);
  tcase_add_test(tcase, passwords_are_never_shown);
#ifndef HF_WITH_REDIS_TLS
  tcase_add_test(tcase, tls_says_which_version_brings_it);
#endif
  return run_suite("redis options", &tcase, 1);
}
