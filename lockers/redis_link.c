#include "redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "redis_reply.h"
#include "redis_sentinel.h"
#include "redis_wire.h"

#include "banned.h"

enum {
  RETRIES_MAX = 1 << 20, /* the deadline ends it long before */
  BACKOFF_BASE_US = 5000,
  BACKOFF_CAP_US = 250000,
  GREETING_MAX = 4,
  GREETING_WORDS = 3,
  WHY_BYTES = HF_REDIS_WIRE_ERROR_BYTES + 160
};

struct hf_redis_link {
  const hf_redis_options *options;
  void *tls;
  hf_redis_wire wire;
  int unheard;     /* replies that are on their way and of no interest */
  size_t sentinel; /* the one that has answered last */
  unsigned made;
  char place[HF_REDIS_HOST_BYTES + 32];
};

int hf_redis_link_make(const hf_redis_options *options, void *tls, hf_redis_link **ret_link,
                       hf_error *reterr) {
  hf_redis_link *link = calloc(1, sizeof *link);
  if (link == NULL)
    return hf_err_nomem(reterr);
  link->options = options;
  link->tls = options->tls ? tls : NULL;
  hf_redis_wire_init(&link->wire);
  if (options->socket_path[0] != '\0')
    (void)snprintf(link->place, sizeof link->place, "unix://%s", options->socket_path);
  else if (options->sentinels_count > 0)
    (void)snprintf(link->place, sizeof link->place, "redis://(master %.200s)", options->master);
  else
    (void)snprintf(link->place, sizeof link->place, "%s://%s:%d", options->tls ? "rediss" : "redis",
                   options->server.host, options->server.port);
  *ret_link = link;
  return HF_OK;
}

void hf_redis_link_free(hf_redis_link **link) {
  if (link == NULL || *link == NULL)
    return;
  hf_redis_wire_close(&(*link)->wire);
  free(*link);
  *link = NULL;
}

void hf_redis_link_drop(hf_redis_link *link) {
  hf_redis_wire_close(&link->wire);
  link->unheard = 0;
}

/* Takes in, until then, the replies that are of no interest. 0: all; -1: some are missing. */
static int hear_out(hf_redis_link *link, int64_t until_ms) {
  while (link->unheard > 0) {
    redisReply *reply = NULL;
    int got = hf_redis_wire_receive(&link->wire, until_ms, &reply);
    if (got < 0)
      hf_redis_link_drop(link);
    if (got != 1)
      return -1;
    freeReplyObject(reply);
    link->unheard--;
  }
  return 0;
}

const char *hf_redis_link_place(const hf_redis_link *link) {
  return link->place;
}

unsigned hf_redis_link_made(const hf_redis_link *link) {
  return link->made;
}

int hf_redis_link_stands(hf_redis_link *link) {
  if (link->wire.context != NULL && hear_out(link, 0) == 0 && link->wire.context != NULL &&
      hf_redis_wire_is_stale(&link->wire))
    hf_redis_link_drop(link);
  return link->wire.context != NULL;
}

/* ---- connecting ------------------------------------------------------------------------------ */

typedef struct greeting {
  const char *words[GREETING_WORDS];
  int count;
} greeting;

/* What is said first on a new connection; how many commands. */
static int make_greetings(const hf_redis_options *options, char db[16],
                          greeting greetings[GREETING_MAX]) {
  int count = 0;
  if (options->user[0] != '\0')
    greetings[count++] = (greeting){{"AUTH", options->user, options->password}, 3};
  else if (options->password[0] != '\0')
    greetings[count++] = (greeting){{"AUTH", options->password, NULL}, 2};
  if (options->db != 0) {
    (void)snprintf(db, 16, "%d", options->db);
    greetings[count++] = (greeting){{"SELECT", db, NULL}, 2};
  }
  /* A Sentinel may not have noticed yet that its master is one no more. */
  if (options->sentinels_count > 0)
    greetings[count++] = (greeting){{"ROLE", NULL, NULL}, 1};
  /* With TLS 1.3 it is only the first answer that tells whether the server takes us. No user may be
   * forbidden to say hello. */
  if (options->tls && count == 0)
    greetings[count++] = (greeting){{"HELLO", NULL, NULL}, 1};
  return count;
}

/* Why it cannot be used, into why. */
static hf_redis_outcome judge_error(const hf_redis_link *link, const redisReply *reply, char *why) {
  const char *advice = "";
  hf_redis_meaning meaning = hf_redis_reply_meaning(reply, &advice);
  char text[96];
  /* the first line; some errors show the arguments behind their first words */
  (void)snprintf(text, sizeof text, "%.*s", (int)strcspn(reply->str, "\r\n"), reply->str);
  (void)snprintf(why, WHY_BYTES, "Redis answers \"%s\": %s", text, advice);
  int elsewhere = meaning == HF_REDIS_MEANS_ELSEWHERE && link->options->sentinels_count > 0;
  return meaning == HF_REDIS_MEANS_WAIT || elsewhere ? HF_REDIS_UNSENT : HF_REDIS_REFUSED;
}

static hf_redis_outcome judge_greeting(const hf_redis_link *link, const greeting *said,
                                       const redisReply *reply, char *why) {
  if (reply->type == REDIS_REPLY_ERROR)
    return judge_error(link, reply, why);
  if (strcmp(said->words[0], "ROLE") == 0 && strcmp(hf_redis_reply_text(reply, 0), "master") != 0) {
    (void)snprintf(why, WHY_BYTES, "the sentinels' master is a %.16s",
                   hf_redis_reply_text(reply, 0));
    return HF_REDIS_UNSENT;
  }
  return HF_REDIS_REPLY;
}

/* Why there is no connection, into why. */
static hf_redis_outcome unreached(const hf_redis_link *link, char *why) {
  const hf_redis_wire *wire = &link->wire;
  (void)snprintf(why, WHY_BYTES, "cannot reach Redis: %s%s", wire->error,
                 wire->is_final ? "" : "; is it running there?");
  return wire->is_final ? HF_REDIS_REFUSED : HF_REDIS_UNSENT;
}

static hf_redis_outcome greet(hf_redis_link *link, int64_t deadline_ms, char *why) {
  greeting greetings[GREETING_MAX];
  char db[16];
  int count = make_greetings(link->options, db, greetings);
  int failed = 0;
  for (int i = 0; i < count && !failed; i++) {
    size_t lengths[GREETING_WORDS] = {0};
    for (int j = 0; j < greetings[i].count; j++)
      lengths[j] = strlen(greetings[i].words[j]);
    failed =
        hf_redis_wire_append(&link->wire, greetings[i].count, greetings[i].words, lengths) != 0;
  }
  failed = failed || (count > 0 && hf_redis_wire_flush(&link->wire, deadline_ms) != 0);
  for (int i = 0; i < count && !failed; i++) {
    redisReply *reply = NULL;
    failed = hf_redis_wire_receive(&link->wire, deadline_ms, &reply) != 1;
    if (failed)
      break;
    hf_redis_outcome outcome = judge_greeting(link, &greetings[i], reply, why);
    freeReplyObject(reply);
    if (outcome != HF_REDIS_REPLY)
      return outcome;
  }
  return failed ? unreached(link, why) : HF_REDIS_REPLY;
}

static int64_t earlier(int64_t one_ms, int64_t other_ms) {
  return one_ms < other_ms ? one_ms : other_ms;
}

/* REPLY: connected. UNSENT: not now. REFUSED. */
static hf_redis_outcome connect_once(hf_redis_link *link, int64_t deadline_ms, char *why) {
  const hf_redis_options *options = link->options;
  hf_redis_host master = options->server;
  int64_t until_ms = earlier(deadline_ms, hf_monotonic_ms() + options->connect_timeout_ms);
  if (options->sentinels_count > 0) {
    char reason[HF_REDIS_WIRE_ERROR_BYTES + 96] = "";
    int known = hf_redis_sentinel_ask(options, link->tls, &link->sentinel, deadline_ms, &master,
                                      reason, sizeof reason);
    if (known != 1) {
      (void)snprintf(why, WHY_BYTES, "no sentinel tells the master: %s", reason);
      return known == 0 ? HF_REDIS_UNSENT : HF_REDIS_REFUSED;
    }
    (void)snprintf(link->place, sizeof link->place, "redis://%s:%d", master.host, master.port);
    until_ms = earlier(deadline_ms, hf_monotonic_ms() + options->connect_timeout_ms);
  }
  const char *name = options->tls_server_name[0] != '\0' ? options->tls_server_name : master.host;
  if (hf_redis_wire_open(&link->wire, &master, options->socket_path, link->tls, name, until_ms) !=
      0)
    return unreached(link, why);
  link->made++;
  hf_redis_outcome outcome = greet(link, until_ms, why);
  if (outcome != HF_REDIS_REPLY)
    hf_redis_link_drop(link);
  return outcome;
}

/* ---- commands -------------------------------------------------------------------------------- */

static hf_redis_outcome exchange(hf_redis_link *link, int argc, const char *const *argv,
                                 const size_t *lengths, int64_t deadline_ms, redisReply **ret_reply,
                                 char *why) {
  int64_t until_ms = earlier(deadline_ms, hf_monotonic_ms() + link->options->command_timeout_ms);
  if (hf_redis_wire_append(&link->wire, argc, argv, lengths) != 0 ||
      hf_redis_wire_flush(&link->wire, until_ms) != 0 || hear_out(link, until_ms) != 0 ||
      hf_redis_wire_receive(&link->wire, until_ms, ret_reply) != 1) {
    (void)snprintf(why, WHY_BYTES, "Redis has not answered: %s", link->wire.error);
    hf_redis_link_drop(link);
    return HF_REDIS_SILENT;
  }
  const char *advice = "";
  if ((*ret_reply)->type != REDIS_REPLY_ERROR ||
      hf_redis_reply_meaning(*ret_reply, &advice) == HF_REDIS_MEANS_NOSCRIPT)
    return HF_REDIS_REPLY;
  hf_redis_outcome outcome = judge_error(link, *ret_reply, why);
  int elsewhere = hf_redis_reply_meaning(*ret_reply, &advice) == HF_REDIS_MEANS_ELSEWHERE;
  freeReplyObject(*ret_reply);
  *ret_reply = NULL;
  if (elsewhere)
    hf_redis_link_drop(link);
  return outcome;
}

hf_redis_outcome hf_redis_command(hf_redis_link *link, int argc, const char *const *argv,
                                  const size_t *lengths, int64_t deadline_ms,
                                  redisReply **ret_reply, hf_error *reterr) {
  char why[WHY_BYTES] = "there was no time to ask";
  hf_redis_outcome outcome = HF_REDIS_UNSENT;
  for (unsigned i = 0; i < RETRIES_MAX; i++) {
    outcome = hf_redis_link_stands(link) ? HF_REDIS_REPLY : connect_once(link, deadline_ms, why);
    if (outcome == HF_REDIS_REPLY)
      outcome = exchange(link, argc, argv, lengths, deadline_ms, ret_reply, why);
    if (outcome != HF_REDIS_UNSENT)
      break;
    if (hf_backoff_sleep(i, BACKOFF_BASE_US, BACKOFF_CAP_US, deadline_ms) != 0)
      break;
  }
  if (outcome != HF_REDIS_REPLY)
    (void)hf_err(reterr, HF_EBACKEND, link->place, "%s", why);
  return outcome;
}

void hf_redis_command_lax(hf_redis_link *link, int argc, const char *const *argv,
                          const size_t *lengths, int64_t wait_until_ms) {
  redisReply *reply = NULL;
  if (!hf_redis_link_stands(link))
    return;
  if (hf_redis_wire_append(&link->wire, argc, argv, lengths) != 0 ||
      hf_redis_wire_flush(&link->wire, wait_until_ms) != 0 || hear_out(link, wait_until_ms) != 0 ||
      hf_redis_wire_receive(&link->wire, wait_until_ms, &reply) != 1)
    hf_redis_link_drop(link);
  if (reply != NULL)
    freeReplyObject(reply);
}

void hf_redis_command_unheard(hf_redis_link *link, int argc, const char *const *argv,
                              const size_t *lengths, int64_t deadline_ms) {
  if (!hf_redis_link_stands(link))
    return;
  link->unheard++;
  if (hf_redis_wire_append(&link->wire, argc, argv, lengths) != 0 ||
      hf_redis_wire_flush(&link->wire, deadline_ms) != 0)
    hf_redis_link_drop(link);
}

int hf_redis_receive(hf_redis_link *link, int64_t until_ms, redisReply **ret_reply) {
  if (link->wire.context == NULL)
    return -1;
  int got = hf_redis_wire_receive(&link->wire, until_ms, ret_reply);
  if (got < 0)
    hf_redis_link_drop(link);
  return got;
}
