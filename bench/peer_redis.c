/* Redis as a store of snapshots: a server of its own on the loopback that appends each command to
 * its file and flushes that before it answers (appendfsync always). A save is one script: the
 * document under its key, if the key is new, the next number, and the key at the end of its group's
 * list. Many clients share a flush: the server answers all whose commands came meanwhile at once.
 */
#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <hiredis/hiredis.h>

#include "service.h"

enum { KEY_BYTES = 600, SHA_CHARS = 40, PORT_CHARS = 16 };

typedef struct connection {
  redisContext *link;
  char sha[SHA_CHARS + 1];
} connection;

static hf_bench_service server = {.name = "redis"};
static unsigned server_port;

static const char script[] = "if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end "
                             "redis.call('SET', KEYS[1], ARGV[1]) "
                             "redis.call('RPUSH', KEYS[2], KEYS[1]) "
                             "return redis.call('INCR', KEYS[3])";

static int failed(const char *what, const char *text, char *error) {
  (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "redis: %s: %.300s", what, text);
  return -1;
}

static int redis_start(const char *folder, char *error) {
  static const char program[] = "redis-server";
  /* Debian's redis-tools: the same program */
  static const char same[] = "/usr/bin/redis-check-rdb";
  char port[PORT_CHARS];
  server_port = hf_bench_port();
  (void)snprintf(port, sizeof port, "%u", server_port);
  const char *argv[] = {program,     "--bind",
                        "127.0.0.1", "--port",
                        port,        "--dir",
                        folder,      "--save",
                        "",          "--appendonly",
                        "yes",       "--appendfsync",
                        "always",    "--auto-aof-rewrite-percentage",
                        "0",         NULL};
  const char *path =
      access("/usr/bin/redis-server", X_OK) != 0 && access(same, X_OK) == 0 ? same : program;
  char *words[sizeof argv / sizeof argv[0]];
  memcpy(words, argv, sizeof words);
  return hf_bench_service_start(&server, folder, path, words, server_port, error);
}

static void redis_stop(void) {
  hf_bench_service_stop(&server);
}

/* A command whose answer is an integer, or with ret_value NULL anything but an error. */
static int ask(connection *c, const char *what, redisReply *reply, long long *ret_value,
               char *error) {
  int result = 0;
  if (reply == NULL) {
    return failed(what, c->link->errstr, error);
  }
  if (reply->type == REDIS_REPLY_ERROR) {
    result = failed(what, reply->str, error);
  } else if (ret_value != NULL && reply->type != REDIS_REPLY_INTEGER) {
    result = failed(what, "the answer is no number", error);
  } else if (ret_value != NULL) {
    *ret_value = reply->integer;
  }
  freeReplyObject(reply);
  return result;
}

static void redis_close(void **state) {
  connection *c = *state;
  if (c != NULL) {
    redisFree(c->link);
    free(c);
  }
  *state = NULL;
}

static int redis_open(const char *folder, void **ret_state, char *error) {
  (void)folder;
  connection *c = calloc(1, sizeof *c);
  void *state = c;
  if (c == NULL) {
    return failed("open", "no memory", error);
  }
  c->link = redisConnect("127.0.0.1", (int)server_port);
  if (c->link == NULL || c->link->err != 0) {
    (void)failed("connect", c->link != NULL ? c->link->errstr : "no memory", error);
    redis_close(&state);
    return -1;
  }
  redisReply *reply = redisCommand(c->link, "SCRIPT LOAD %s", script);
  if (reply == NULL || reply->type != REDIS_REPLY_STRING || reply->len != SHA_CHARS) {
    (void)failed("script", reply != NULL ? "not taken" : c->link->errstr, error);
    freeReplyObject(reply);
    redis_close(&state);
    return -1;
  }
  memcpy(c->sha, reply->str, SHA_CHARS + 1);
  freeReplyObject(reply);
  *ret_state = c;
  return 0;
}

static int redis_save(void *state, const hf_bench_document *d, char *error) {
  connection *c = state;
  char key[KEY_BYTES];
  char group[KEY_BYTES];
  long long number = 0;
  (void)snprintf(key, sizeof key, "key:%s:%s:%s:%s", d->run_id, d->stage, d->target, d->view);
  (void)snprintf(group, sizeof group, "group:%s:%s:%s:%s", d->group, d->stage, d->target, d->view);
  redisReply *reply = redisCommand(c->link, "EVALSHA %s 3 %s %s seq %b", c->sha, key, group,
                                   d->text, d->text_bytes);
  if (ask(c, "save", reply, &number, error) < 0) {
    return -1;
  }
  return number > 0 ? 0 : failed("save", "nothing new was made", error);
}

static int redis_round_trip(void *state, char *error) {
  connection *c = state;
  return ask(c, "ping", redisCommand(c->link, "PING"), NULL, error);
}

static int redis_prepare(const char *folder, uint64_t history, int singly, char *error) {
  (void)singly; /* it leaves the same keys */
  void *state = NULL;
  if (redis_open(folder, &state, error) < 0) {
    return -1;
  }
  connection *c = state;
  hf_bench_document document;
  int result = ask(c, "config", redisCommand(c->link, "CONFIG SET appendfsync no"), NULL, error);
  for (uint64_t i = 0; i < history && result == 0; i++) {
    hf_bench_document_make(i, &document);
    result = redis_save(c, &document, error);
  }
  if (result == 0) {
    result = ask(c, "config", redisCommand(c->link, "CONFIG SET appendfsync always"), NULL, error);
  }
  redis_close(&state);
  return result;
}

static int redis_count(const char *folder, uint64_t *ret_count, char *error) {
  void *state = NULL;
  if (redis_open(folder, &state, error) < 0) {
    return -1;
  }
  connection *c = state;
  long long count = 0;
  redisReply *reply = redisCommand(c->link, "EVAL %s 0", "return #redis.call('KEYS', 'key:*')");
  int result = ask(c, "count", reply, &count, error);
  *ret_count = (uint64_t)count;
  redis_close(&state);
  return result;
}

const hf_bench_peer hf_bench_redis = {
    .name = "redis",
    .one_handle = 0,
    .start = redis_start,
    .stop = redis_stop,
    .prepare = redis_prepare,
    .open = redis_open,
    .close = redis_close,
    .save = redis_save,
    .round_trip = redis_round_trip,
    .count = redis_count,
};
