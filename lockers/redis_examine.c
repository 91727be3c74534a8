/* What `holdfast doctor` tells of a Redis. Nothing of it can lose a save: it costs turns, or time.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "redis_reply.h"
#include "redis_state.h"

#include "banned.h"

enum { PINGS = 21, VALUE_BYTES = 64, GOOD = 0, CAREFUL = 1, BAD = 2, SKEW_MS_MAX = 2000 };

typedef struct examination {
  hf_redis_state *state;
  hf_redis_link *link;
  hf_locker_tell_fn tell;
  void *context;
  char *info; /* the text of INFO */
} examination;

/* A command of up to three words; the reply, or NULL with reterr. */
static redisReply *ask(const examination *x, const char *one, const char *two, const char *three,
                       hf_error *reterr) {
  const char *words[3] = {one, two, three};
  size_t lengths[3] = {0};
  redisReply *reply = NULL;
  int count = 0;
  while (count < 3 && words[count] != NULL) {
    lengths[count] = strlen(words[count]);
    count++;
  }
  int64_t until_ms = hf_monotonic_ms() + x->state->options.command_timeout_ms;
  return hf_redis_command(x->link, count, words, lengths, until_ms, &reply, reterr) ==
                 HF_REDIS_REPLY
             ? reply
             : NULL;
}

/* The value of "name:value" in INFO, cut to fit; "" where there is none. */
static const char *field(const examination *x, const char *name, char value[VALUE_BYTES]) {
  size_t bytes = strlen(name);
  value[0] = '\0';
  for (const char *line = x->info; line != NULL && *line != '\0'; line = strchr(line, '\n')) {
    line += *line == '\n';
    if (strncmp(line, name, bytes) == 0 && line[bytes] == ':') {
      (void)snprintf(value, VALUE_BYTES, "%.*s", (int)strcspn(line + bytes + 1, "\r\n"),
                     line + bytes + 1);
      break;
    }
  }
  return value;
}

static long long number(const examination *x, const char *name) {
  char value[VALUE_BYTES];
  return strtoll(field(x, name, value), NULL, 10);
}

static void say(const examination *x, const char *name, int badness, double figure,
                const char *unit, const char *text) {
  x->tell(x->context, name, badness, figure, unit, text);
}

static void tell_version(const examination *x) {
  char version[VALUE_BYTES];
  char text[160];
  char *rest = NULL;
  long major = strtol(field(x, "redis_version", version), &rest, 10);
  long minor = rest != NULL && *rest == '.' ? strtol(rest + 1, NULL, 10) : 0;
  int is_old = major < 6 || (major == 6 && minor < 2);
  (void)snprintf(text, sizeof text, "%s%s", version[0] != '\0' ? version : "not told",
                 is_old ? ": too old, 6.2 is the oldest that works" : "");
  say(x, "redis-version", is_old ? BAD : GOOD, 0, "", text);
}

static void tell_persistence(const examination *x) {
  char status[VALUE_BYTES];
  int aof = number(x, "aof_enabled") != 0;
  if (strcmp(field(x, "rdb_last_bgsave_status", status), "err") == 0)
    say(x, "redis-persistence", CAREFUL, 0, "",
        "its last snapshot failed: with stop-writes-on-bgsave-error it gives no lock until that is "
        "mended; look at its log and its disk");
  else if (aof)
    say(x, "redis-persistence", GOOD, 0, "",
        "append-only file: the counter survives a restart, or is repaired toward the store");
  else
    say(x, "redis-persistence", GOOD, 0, "",
        "no append-only file: a restart may forget the lock and the counter; nothing is lost, the "
        "next save repairs the counter with a warning");
}

static void tell_memory(const examination *x) {
  char policy[VALUE_BYTES];
  char text[224];
  long long limit = number(x, "maxmemory");
  int evicts = strcmp(field(x, "maxmemory_policy", policy), "noeviction") != 0;
  if (evicts && policy[0] != '\0')
    (void)snprintf(
        text, sizeof text,
        "maxmemory-policy is %s%s: the lock can vanish under its holder, and writers then "
        "meet (slower, nothing is lost); set noeviction",
        policy, limit == 0 ? " (without a limit now)" : "");
  else
    (void)snprintf(text, sizeof text, "maxmemory-policy is %s",
                   policy[0] != '\0' ? policy : "not told");
  say(x, "redis-maxmemory", evicts && limit != 0 ? CAREFUL : GOOD, (double)limit, "bytes", text);
}

static void tell_replicas(const examination *x) {
  char role[VALUE_BYTES];
  char text[224];
  long long replicas = number(x, "connected_slaves");
  long long wanted = -1;
  redisReply *reply = ask(x, "CONFIG", "GET", "min-replicas-to-write", NULL);
  if (reply != NULL)
    wanted = hf_redis_reply_number(reply, 1); /* the user may not be allowed to ask */
  if (reply != NULL)
    freeReplyObject(reply);
  if (strcmp(field(x, "role", role), "master") != 0) {
    (void)snprintf(text, sizeof text, "it is a %.16s: a store's locker is the master", role);
    say(x, "redis-replicas", BAD, 0, "", text);
    return;
  }
  if (replicas == 0)
    (void)snprintf(text, sizeof text, "no replica: while it is down nobody saves (status 5)");
  else
    (void)snprintf(
        text, sizeof text,
        "%lld, min-replicas-to-write is %s: a replica that takes over may lag, so that a lock "
        "is granted twice; nothing is lost by it",
        replicas,
        wanted < 0    ? "not told"
        : wanted == 0 ? "0"
                      : "set");
  say(x, "redis-replicas", GOOD, (double)replicas, "", text);
}

static int compare(const void *one, const void *other) {
  int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;
  return (a > b) - (a < b);
}

static int64_t now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void tell_latency(const examination *x) {
  int64_t took_us[PINGS];
  char text[160];
  for (int i = 0; i < PINGS; i++) {
    int64_t began_us = now_us();
    redisReply *reply = ask(x, "PING", NULL, NULL, NULL);
    if (reply == NULL)
      return;
    freeReplyObject(reply);
    took_us[i] = now_us() - began_us;
  }
  qsort(took_us, PINGS, sizeof took_us[0], compare);
  const int64_t median_us = took_us[PINGS / 2];
  (void)snprintf(text, sizeof text,
                 "a round trip takes %" PRId64 " us, at worst %" PRId64
                 " of %d; a save that nobody disturbs waits for two",
                 median_us, took_us[PINGS - 1], PINGS);
  say(x, "redis-latency", GOOD, (double)median_us, "us", text);
}

static void tell_clock(const examination *x) {
  char text[160];
  int64_t before_ms = hf_realtime_us() / 1000;
  redisReply *reply = ask(x, "TIME", NULL, NULL, NULL);
  int64_t after_ms = hf_realtime_us() / 1000;
  if (reply == NULL)
    return;
  int64_t theirs_ms =
      hf_redis_reply_number(reply, 0) * 1000 + hf_redis_reply_number(reply, 1) / 1000;
  freeReplyObject(reply);
  int64_t skew_ms = theirs_ms - (before_ms + after_ms) / 2;
  int is_far = skew_ms > SKEW_MS_MAX || skew_ms < -SKEW_MS_MAX;
  (void)snprintf(text, sizeof text, "%" PRId64 " ms before this host's%s", skew_ms,
                 is_far ? "; no lease depends on it, but the times that people compare do" : "");
  say(x, "redis-clock", is_far ? CAREFUL : GOOD, (double)skew_ms, "ms", text);
}

int hf_redis_examine(void *opened, hf_locker_tell_fn tell, void *context, hf_error *reterr) {
  hf_redis_state *state = opened;
  hf_redis_pair *pair = NULL;
  int status = hf_redis_check(state, reterr);
  if (status == HF_OK)
    status = hf_redis_take_pair(state, &pair, reterr);
  if (status != HF_OK)
    return status;
  examination x = {.state = state, .link = pair->command, .tell = tell, .context = context};
  redisReply *reply = ask(&x, "INFO", NULL, NULL, reterr);
  if (reply != NULL && reply->str != NULL) {
    x.info = reply->str;
    tell_version(&x);
    tell_persistence(&x);
    tell_memory(&x);
    tell_replicas(&x);
    tell_latency(&x);
    tell_clock(&x);
  }
  if (reply != NULL)
    freeReplyObject(reply);
  hf_redis_give_pair(state, pair);
  return reply != NULL ? HF_OK : HF_EBACKEND;
}
