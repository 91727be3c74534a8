/* The redis locker over TLS: who is let in, who is not and with which words, and that deadlines and
 * hand-overs are what they are without it. */
#include "redis_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "pace.h"
#include "redis_proxy.h"
#include "redis_tls.h"
#include "redis_tls_files.h"
#include "redis_wire.h"

enum { SLACK_MS = 2500, AT_ONCE_MS = 5000, PATIENT_MS = 30000 };

static const char secret[] = "top-secret-word";
static tls_files files;

static void start_with(const char *certificate, const char *more) {
  char settings[1024];
  tls_files_settings(&files, certificate, more, settings, sizeof settings);
  ck_assert_int_eq(redis_server_start(&server, settings), 0);
}

static void make_files(void) {
  redis = hf_locker_find("redis");
  ck_assert_ptr_nonnull(redis);
  ck_assert_int_eq(tls_files_make(&files), 0);
}

static void remove_files(void) {
  redis_server_stop(&server);
  tls_files_remove(&files);
}

static void start_plainly(void) {
  make_files();
  start_with("server", "tls-auth-clients no\n");
}

/* members: further ones; @ stands for the folder of the certificates. HF_OK or negative. */
static int open_at(const char *host, int port, const char *members, void **ret_state,
                   hf_error *error) {
  char options[2048];
  int used = snprintf(options, sizeof options,
                      "{\"url\":\"rediss://%s:%d\",\"command_timeout_ms\":1000", host, port);
  for (const char *c = members; *c != '\0' && used < (int)sizeof options - 300; c++)
    used += *c == '@' ? snprintf(options + used, 256, "%s", files.folder)
                      : snprintf(options + used, 2, "%c", *c);
  snprintf(options + used, 2, "}");
  hf_locker_open_args args = {.store_path = "/tmp",
                              .store_uuid = "11111111-2222-4333-8444-555555555555",
                              .options_json = options};
  return redis->open(&args, ret_state, error);
}

static void *open_tls(int port, const char *members) {
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  int status = open_at("127.0.0.1", port, members, &state, &error);
  ck_assert_msg(status == HF_OK, "%s: %s", error.place, error.message);
  return state;
}

static const char with_ca[] = ",\"tls_ca_file\":\"@/ca.crt\"";

static void works(void *state) {
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(take(state, 10000, &grant), 1);
  ck_assert_int_eq(redis->verify(state, &grant, NULL), 1);
  ck_assert_int_eq(give(state, &grant), 1);
}

/* The lock is refused at once although there would be time, with these words, and not with the
 * password. */
static void is_refused(void *state, const char *words) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  int64_t began_ms = now_ms();
  int status = redis->acquire(state, "lock", began_ms + PATIENT_MS, &grant, &error);
  int64_t took_ms = now_ms() - began_ms;
  printf("%s: %s\n", error.place, error.message);
  ck_assert_int_eq(status, HF_EBACKEND);
  ck_assert_msg(strstr(error.message, words) != NULL, "no \"%s\": %s", words, error.message);
  ck_assert_ptr_nonnull(strstr(error.message, "nothing was saved"));
  ck_assert_ptr_null(strstr(error.message, secret));
  ck_assert_ptr_null(strstr(error.place, secret));
  ck_assert_int_le(took_ms, AT_ONCE_MS);
}

/* ---- the server's certificate ---------------------------------------------------------------- */

typedef struct certificate_case {
  const char *certificate; /* the server's */
  const char *host;
  const char *members;
  const char *words; /* NULL: it works */
} certificate_case;

static const certificate_case certificates[] = {
    {"server", "127.0.0.1", ",\"tls_ca_file\":\"@/ca.crt\"", NULL},
    {"server", "127.0.0.1", ",\"tls_ca_file\":\"@/ca.crt\",\"tls_server_name\":\"redis.test\"",
     NULL},
    {"server", "127.0.0.1", ",\"tls_ca_file\":\"@/ca.crt\",\"tls_server_name\":\"other.test\"",
     "tls_server_name"},
    {"server", "127.0.0.1", ",\"tls_ca_file\":\"@/ca.crt\",\"tls_server_name\":\"127.0.0.2\"",
     "tls_server_name"},
    {"server", "localhost", ",\"tls_ca_file\":\"@/ca.crt\"", "tls_server_name"},
    {"server", "127.0.0.1", ",\"tls_ca_file\":\"@/other-ca.crt\"", "tls_ca_file"},
    {"server", "127.0.0.1", "", "tls_ca_file"}, /* the system's */
    {"expired", "127.0.0.1", ",\"tls_ca_file\":\"@/ca.crt\"", "expired"},
};

START_TEST(the_servers_certificate) {
  const certificate_case *row = &certificates[_i];
  char more[128], host[128];
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  snprintf(more, sizeof more, "tls-auth-clients no\nrequirepass %s\n", secret);
  start_with(row->certificate, more);
  snprintf(host, sizeof host, ":%s@%s", secret, row->host);
  ck_assert_msg(open_at(host, server.tls_port, row->members, &state, &error) == HF_OK, "%s: %s",
                error.place, error.message);
  if (row->words == NULL)
    works(state);
  else
    is_refused(state, row->words);
  redis->close(&state);
}
END_TEST

/* A password is asked for over TLS as without it. */
START_TEST(a_password) {
  char more[128], host[128];
  hf_error error = HF_ERROR_INIT;
  snprintf(more, sizeof more, "tls-auth-clients no\nrequirepass %s\n", secret);
  start_with("server", more);
  for (int i = 0; i < 2; i++) {
    void *state = NULL;
    snprintf(host, sizeof host, "%s127.0.0.1", i == 0 ? "" : ":wrong@");
    ck_assert_int_eq(open_at(host, server.tls_port, with_ca, &state, &error), HF_OK);
    is_refused(state, i == 0 ? "password_file" : "user or password");
    redis->close(&state);
  }
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

static const struct {
  const char *members;
  const char *words;
} bad_files[] = {
    {",\"tls_ca_file\":\"@/none.crt\"", "tls_ca_file"},
    {",\"tls_ca_file\":\"@/server.key\"", "tls_ca_file"},
    {",\"tls_cert_file\":\"@/none.crt\",\"tls_key_file\":\"@/client.key\"", "tls_cert_file"},
    {",\"tls_cert_file\":\"@/client.crt\",\"tls_key_file\":\"@/none.key\"", "tls_key_file"},
    {",\"tls_cert_file\":\"@/client.crt\",\"tls_key_file\":\"@/server.key\"", "tls_key_file"},
    {",\"tls_cert_file\":\"@/client.crt\",\"tls_key_file\":\"@/locked.key\"", "passphrase"},
    {",\"tls_cert_file\":\"@/client.crt\"", "go together"},
};

START_TEST(files_that_are_no_use) {
  hf_error error = HF_ERROR_INIT;
  void *state = NULL;
  ck_assert_int_eq(open_at("127.0.0.1", 1, bad_files[_i].members, &state, &error), HF_ECONFIG);
  printf("%s: %s\n", error.place, error.message);
  ck_assert_ptr_nonnull(strstr(error.message, bad_files[_i].words));
  ck_assert_ptr_null(state);
}
END_TEST

/* ---- the client's certificate ---------------------------------------------------------------- */

static const char *const protocols[] = {"TLSv1.2", "TLSv1.3"};

/* Several times: with TLS 1.3 what the server says and what we send cross. */
START_TEST(a_clients_certificate) {
  char more[128];
  snprintf(more, sizeof more, "tls-auth-clients yes\ntls-protocols \"%s\"\n", protocols[_i]);
  start_with("server", more);
  void *known = open_tls(server.tls_port, ",\"tls_ca_file\":\"@/ca.crt\","
                                          "\"tls_cert_file\":\"@/client.crt\","
                                          "\"tls_key_file\":\"@/client.key\"");
  void *nobody = open_tls(server.tls_port, with_ca);
  void *stranger = open_tls(server.tls_port, ",\"tls_ca_file\":\"@/ca.crt\","
                                             "\"tls_cert_file\":\"@/stranger.crt\","
                                             "\"tls_key_file\":\"@/stranger.key\"");
  for (int i = 0; i < 20; i++) {
    works(known);
    is_refused(nobody, "tls_cert_file");
    is_refused(stranger, "tls_cert_file");
  }
  redis->close(&known);
  redis->close(&nobody);
  redis->close(&stranger);
}
END_TEST

/* ---- ports that are not what they were taken for --------------------------------------------- */

/* Within the deadline, and with these words. */
static void fails_in_time(void *state, const char *words) {
  hf_grant grant = HF_GRANT_INIT;
  hf_error error = HF_ERROR_INIT;
  int64_t began_ms = now_ms();
  ck_assert_int_eq(redis->acquire(state, "lock", began_ms + 600, &grant, &error), HF_EBACKEND);
  printf("%d ms: %s\n", (int)(now_ms() - began_ms), error.message);
  ck_assert_int_le(now_ms() - began_ms, 600 + SLACK_MS);
  ck_assert_msg(strstr(error.message, words) != NULL, "no \"%s\": %s", words, error.message);
  ck_assert_ptr_nonnull(strstr(error.message, "nothing was saved"));
  ck_assert_ptr_null(strstr(error.message, secret));
  ck_assert_ptr_null(strstr(error.place, secret));
}

START_TEST(the_wrong_port) {
  void *state = open_tls(server.port, with_ca);
  fails_in_time(state, "port for TLS"); /* a server may wait for the end of a line */
  redis->close(&state);
  state = open_redis(server.tls_port, LONG_LEASE_MS, "");
  fails_in_time(state, "Redis");
  redis->close(&state);
}
END_TEST

/* ---- deadlines ------------------------------------------------------------------------------- */

START_TEST(a_paused_server) {
  void *connected = open_tls(server.tls_port, with_ca), *fresh = open_tls(server.tls_port, with_ca);
  works(connected);
  ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
  fails_in_time(connected, "Redis");
  fails_in_time(fresh, "Redis"); /* the handshake begins and does not end */
  ck_assert_int_eq(kill(server.pid, SIGCONT), 0);
  works(connected);
  works(fresh);
  redis->close(&connected);
  redis->close(&fresh);
}
END_TEST

/* A TLS record, or a handshake, of which one half comes: poll tells of bytes, and no text follows.
 */
START_TEST(half_a_record) {
  redis_proxy *proxy = redis_proxy_start(server.tls_port);
  ck_assert_ptr_nonnull(proxy);
  int port = redis_proxy_port(proxy);
  void *connected = open_tls(port, with_ca), *fresh = open_tls(port, with_ca);
  works(connected);
  redis_proxy_set(proxy, REDIS_PROXY_HALVE_REPLIES, NULL);
  fails_in_time(connected, "Redis");
  fails_in_time(fresh, "Redis");
  redis_proxy_set(proxy, REDIS_PROXY_PASS, NULL);
  works(connected);
  works(fresh);
  redis->close(&connected);
  redis->close(&fresh);
  redis_proxy_stop(&proxy);
}
END_TEST

/* Killed and started again, with the port that it had. */
START_TEST(a_restarted_server) {
  char settings[1024];
  void *state = open_tls(server.tls_port, with_ca);
  tls_files_settings(&files, "server", "tls-auth-clients no\n", settings, sizeof settings);
  works(state);
  redis_server_kill(&server);
  fails_in_time(state, "Redis");
  ck_assert_int_eq(redis_server_restart(&server, settings), 0);
  works(state);
  redis->close(&state);
}
END_TEST

/* ---- waiting --------------------------------------------------------------------------------- */

enum { TURNS = 40 };

static void *take_turns(void *argument) {
  for (int i = 0; i < TURNS; i++) {
    hf_grant grant = HF_GRANT_INIT;
    if (redis->acquire(argument, "lock", now_ms() + 20000, &grant, NULL) != 1)
      return argument;
    pace_sleep_us(10000); /* the other one is in the queue by then */
    if (redis->release(argument, &grant, 0, NULL) != 1)
      return argument;
  }
  return NULL;
}

/* Woken by a message each time: asking again, once a second, would take 80 seconds. */
START_TEST(two_hand_it_to_and_fro) {
  void *states[2];
  pthread_t threads[2];
  int64_t began_ms = now_ms();
  for (int i = 0; i < 2; i++) {
    states[i] = open_tls(server.tls_port, with_ca);
    ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, states[i]), 0);
  }
  for (int i = 0; i < 2; i++) {
    void *failed = NULL;
    ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
    ck_assert_ptr_null(failed);
    redis->close(&states[i]);
  }
  int64_t took_ms = now_ms() - began_ms;
  printf("%d turns of 10 ms in %d ms\n", 2 * TURNS, (int)took_ms);
  ck_assert_int_le(took_ms, 2 * TURNS * 10 + 20000);
}
END_TEST

/* ---- bytes ----------------------------------------------------------------------------------- */

static void append(hf_redis_wire *wire, const char *command, const char *key) {
  const char *argv[] = {command, key};
  const size_t lengths[] = {strlen(command), key != NULL ? strlen(key) : 0};
  ck_assert_int_eq(hf_redis_wire_append(wire, key != NULL ? 2 : 1, argv, lengths), 0);
}

static redisReply *receive(hf_redis_wire *wire) {
  redisReply *reply = NULL;
  int64_t began_ms = now_ms();
  int got = hf_redis_wire_receive(wire, began_ms + 10000, &reply);
  ck_assert_msg(got == 1, "%d: %s", got, wire->error);
  ck_assert_int_lt(now_ms() - began_ms, 10000);
  return reply;
}

/* Replies of many TLS records, and many replies in one: all that was decrypted is handed out. */
START_TEST(large_and_many_replies) {
  enum { BIG = 1000001, SMALL = 200 };
  hf_redis_options options = {.tls = 1};
  hf_redis_host host = {.host = "127.0.0.1", .port = server.tls_port};
  hf_redis_wire wire;
  void *tls = NULL;
  snprintf(options.tls_ca_file, sizeof options.tls_ca_file, "%s/ca.crt", files.folder);
  ck_assert_int_eq(hf_redis_tls_make(&options, &tls, NULL), HF_OK);
  ck_assert_int_eq(redis_server_say(&server, NULL, NULL, 0, "SETRANGE big %d x", BIG - 1), 1);
  hf_redis_wire_init(&wire);
  ck_assert_msg(hf_redis_wire_open(&wire, &host, "", tls, host.host, now_ms() + 10000) == 0, "%s",
                wire.error);
  for (int round = 0; round < 3; round++) {
    append(&wire, "GET", "big");
    for (int i = 0; i < SMALL; i++)
      append(&wire, "PING", NULL);
    append(&wire, "GET", "big");
    ck_assert_int_eq(hf_redis_wire_flush(&wire, now_ms() + 10000), 0);
    for (int i = 0; i < SMALL + 2; i++) {
      redisReply *reply = receive(&wire);
      int is_big = i == 0 || i == SMALL + 1;
      ck_assert_uint_eq(reply->len, is_big ? BIG : strlen("PONG"));
      ck_assert_int_eq(reply->str[reply->len - 1], is_big ? 'x' : 'G');
      freeReplyObject(reply);
    }
    ck_assert_int_eq(hf_redis_wire_is_stale(&wire), 0);
  }
  hf_redis_wire_close(&wire);
  hf_redis_tls_free(&tls);
}
END_TEST

/* ---- the program around it ------------------------------------------------------------------- */

/* An error that the program has left in OpenSSL's queue is not one of ours. */
START_TEST(the_programs_own_errors) {
  void *state = open_tls(server.tls_port, with_ca);
  for (int i = 0; i < 5; i++) {
    ck_assert_ptr_null(SSL_CTX_new(NULL));
    ck_assert_uint_ne(ERR_peek_error(), 0);
    works(state);
  }
  redis->close(&state);
}
END_TEST

/* How many have connected so far, the one that asks included. */
static long connections_made(void) {
  static const char name[] = "total_connections_received:";
  char info[16384];
  ck_assert_int_eq(redis_server_say(&server, NULL, info, sizeof info, "INFO stats"), 1);
  const char *found = strstr(info, name);
  ck_assert_ptr_nonnull(found);
  return strtol(found + strlen(name), NULL, 10);
}

/* A child that closes its parent's locker says nothing to the server: the parent goes on with the
 * connection that it has. */
START_TEST(a_child_closes) {
  void *state = open_tls(server.tls_port, with_ca);
  hf_grant grant = HF_GRANT_INIT;
  int status = -1;
  ck_assert_int_eq(take(state, 10000, &grant), 1);
  long before = connections_made();
  pid_t child = fork();
  if (child == 0) {
    int told = redis->release(state, &grant, 0, NULL) == HF_EFORKED;
    redis->close(&state);
    _exit(told ? 0 : 1);
  }
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  for (int i = 0; i < 4; i++) {
    ck_assert_int_eq(give(state, &grant), 1);
    ck_assert_int_eq(take(state, 10000, &grant), 1);
  }
  ck_assert_int_eq(connections_made() - before, 1);
  ck_assert_int_eq(give(state, &grant), 1);
  redis->close(&state);
}
END_TEST

int main(void) {
  TCase *refusals = tcase_create("refusals"), *connections = tcase_create("connections");
  tcase_add_checked_fixture(refusals, make_files, remove_files);
  tcase_add_loop_test(refusals, the_servers_certificate, 0,
                      sizeof certificates / sizeof certificates[0]);
  tcase_add_test(refusals, a_password);
  tcase_add_loop_test(refusals, files_that_are_no_use, 0, sizeof bad_files / sizeof bad_files[0]);
  tcase_add_loop_test(refusals, a_clients_certificate, 0, sizeof protocols / sizeof protocols[0]);
  tcase_add_checked_fixture(connections, start_plainly, remove_files);
  tcase_add_test(connections, the_wrong_port);
  tcase_add_test(connections, a_paused_server);
  tcase_add_test(connections, half_a_record);
  tcase_add_test(connections, a_restarted_server);
  tcase_add_test(connections, two_hand_it_to_and_fro);
  tcase_add_test(connections, large_and_many_replies);
  tcase_add_test(connections, the_programs_own_errors);
  tcase_add_test(connections, a_child_closes);
  return run_suite("redis tls", (TCase *const[]){refusals, connections}, 2);
}
