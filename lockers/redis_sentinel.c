#include "redis_sentinel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "redis_reply.h"
#include "redis_wire.h"

#include "banned.h"

static int append_words(hf_redis_wire *wire, const char *const *words, int count) {
  size_t lengths[4];
  for (int i = 0; i < count; i++)
    lengths[i] = strlen(words[i]);
  return hf_redis_wire_append(wire, count, words, lengths);
}

static int send_question(hf_redis_wire *wire, const hf_redis_options *options,
                         int64_t deadline_ms) {
  const char *question[] = {"SENTINEL", "get-master-addr-by-name", options->master};
  const char *user_auth[] = {"AUTH", options->sentinel_user, options->sentinel_password};
  const char *auth[] = {"AUTH", options->sentinel_password};
  int failed = 0;
  if (options->sentinel_user[0] != '\0')
    failed = append_words(wire, user_auth, 3);
  else if (options->sentinel_password[0] != '\0')
    failed = append_words(wire, auth, 2);
  if (failed == 0)
    failed = append_words(wire, question, 3);
  return failed == 0 ? hf_redis_wire_flush(wire, deadline_ms) : -1;
}

static int read_answer(const redisReply *reply, const hf_redis_options *options,
                       hf_redis_host *ret_master, char *why, size_t why_bytes) {
  const char *advice = "";
  if (reply->type == REDIS_REPLY_ERROR) {
    hf_redis_meaning meaning = hf_redis_reply_meaning(reply, &advice);
    (void)snprintf(why, why_bytes, "it says %.80s: %s", reply->str, advice);
    return meaning == HF_REDIS_MEANS_REFUSED ? -1 : 0;
  }
  const char *host = hf_redis_reply_text(reply, 0);
  long long port = hf_redis_reply_number(reply, 1);
  if (host[0] == '\0' || strlen(host) >= sizeof ret_master->host || port < 1 || port > 65535) {
    (void)snprintf(why, why_bytes, "it knows no master named %.64s (lockers.redis.master)",
                   options->master);
    return 0;
  }
  (void)snprintf(ret_master->host, sizeof ret_master->host, "%s", host);
  ret_master->port = (int)port;
  return 1;
}

/* One Sentinel. 1, 0, -1 as above. */
static int ask_one(const hf_redis_options *options, const hf_redis_host *sentinel, void *tls,
                   int64_t deadline_ms, hf_redis_host *ret_master, char *why, size_t why_bytes) {
  hf_redis_wire wire;
  int result = 0;
  int replies = options->sentinel_password[0] != '\0' ? 2 : 1;
  hf_redis_wire_init(&wire);
  if (hf_redis_wire_open(&wire, sentinel, "", tls, sentinel->host, deadline_ms) != 0 ||
      send_question(&wire, options, deadline_ms) != 0) {
    (void)snprintf(why, why_bytes, "%s", wire.error);
    result = wire.is_final ? -1 : 0;
  } else {
    for (int i = 0; i < replies; i++) {
      redisReply *reply = NULL;
      if (hf_redis_wire_receive(&wire, deadline_ms, &reply) != 1) {
        (void)snprintf(why, why_bytes, "%s", wire.error);
        result = wire.is_final ? -1 : 0;
        break;
      }
      int is_answer = i == replies - 1 || reply->type == REDIS_REPLY_ERROR;
      if (is_answer)
        result = read_answer(reply, options, ret_master, why, why_bytes);
      freeReplyObject(reply);
      if (is_answer)
        break;
    }
  }
  hf_redis_wire_close(&wire);
  return result;
}

int hf_redis_sentinel_ask(const hf_redis_options *options, void *tls, size_t *first,
                          int64_t deadline_ms, hf_redis_host *ret_master, char *why,
                          size_t why_bytes) {
  int result = 0;
  for (size_t i = 0; i < options->sentinels_count && result == 0; i++) {
    size_t number = (*first + i) % options->sentinels_count;
    const hf_redis_host *sentinel = &options->sentinels[number];
    int64_t one_ms = hf_monotonic_ms() + options->connect_timeout_ms;
    char reason[HF_REDIS_WIRE_ERROR_BYTES] = "";
    result = ask_one(options, sentinel, tls, one_ms < deadline_ms ? one_ms : deadline_ms,
                     ret_master, reason, sizeof reason);
    if (result == 1)
      *first = number;
    else
      (void)snprintf(why, why_bytes, "sentinel %.64s:%d: %s", sentinel->host, sentinel->port,
                     reason);
  }
  return result;
}
