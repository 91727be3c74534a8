#include "redis_reply.h"

#include <stdlib.h>
#include <string.h>

#include "banned.h"

typedef struct meaning_row {
  const char *code;
  hf_redis_meaning meaning;
  const char *advice;
} meaning_row;

static const meaning_row rows[] = {
    {"NOSCRIPT", HF_REDIS_MEANS_NOSCRIPT, ""},
    {"LOADING", HF_REDIS_MEANS_WAIT, "it is loading its data; wait until it is ready"},
    {"BUSY", HF_REDIS_MEANS_WAIT, "a script keeps it busy; end that script (SCRIPT KILL)"},
    {"TRYAGAIN", HF_REDIS_MEANS_WAIT, "try again"},
    {"MASTERDOWN", HF_REDIS_MEANS_ELSEWHERE, "it is a replica without a master; start the master"},
    {"NOREPLICAS", HF_REDIS_MEANS_WAIT,
     "it writes only while enough replicas follow (min-replicas-to-write); start them"},
    {"READONLY", HF_REDIS_MEANS_ELSEWHERE,
     "it is a read-only replica; give the master's address, or sentinels and master"},
    {"UNBLOCKED", HF_REDIS_MEANS_ELSEWHERE, "its role has changed"},
    {"NOAUTH", HF_REDIS_MEANS_REFUSED,
     "it wants a password; give password_file or password_env (lockers.redis)"},
    {"WRONGPASS", HF_REDIS_MEANS_REFUSED, "user or password are wrong, or the user is disabled"},
    {"NOPERM", HF_REDIS_MEANS_REFUSED,
     "the user may not do that; docs/LOCKERS.md has the ACL line that is needed"},
    {"OOM", HF_REDIS_MEANS_REFUSED,
     "its memory is used up (maxmemory); give it more, with the policy noeviction"},
    {"MISCONF", HF_REDIS_MEANS_REFUSED,
     "it cannot write its snapshot to disk and refuses to write; look at its log and its disk"},
    {"WRONGTYPE", HF_REDIS_MEANS_REFUSED,
     "a key of the lock holds something else; give another prefix (lockers.redis.prefix)"},
    {"MOVED", HF_REDIS_MEANS_REFUSED,
     "it is a node of a Redis Cluster, and the key lives on another one; use a single Redis, or "
     "one "
     "with Sentinel"},
    {"ASK", HF_REDIS_MEANS_REFUSED,
     "it is a node of a Redis Cluster; use a single Redis, or one with Sentinel"},
    {"CLUSTERDOWN", HF_REDIS_MEANS_REFUSED,
     "it is a node of a Redis Cluster; use a single Redis, or one with Sentinel"},
    {"CROSSSLOT", HF_REDIS_MEANS_REFUSED,
     "it is a node of a Redis Cluster; use a single Redis, or one with Sentinel"},
    {"NOPROTO", HF_REDIS_MEANS_REFUSED, "it does not speak this protocol; Redis 6.2 is the oldest"},
};

static const meaning_row too_many_clients = {"ERR", HF_REDIS_MEANS_WAIT,
                                             "it has too many clients; raise maxclients"};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* Does the text begin with the code as a word? */
static int begins(const char *text, const char *code) {
  size_t bytes = strlen(code);
  return strncmp(text, code, bytes) == 0 && (text[bytes] == ' ' || text[bytes] == '\0');
}

static const meaning_row *find(const char *text) {
  for (size_t i = 0; i < ROWS; i++)
    if (begins(text, rows[i].code))
      return &rows[i];
  return NULL;
}

hf_redis_meaning hf_redis_reply_meaning(const redisReply *reply, const char **ret_advice) {
  const char *text = reply->str != NULL ? reply->str : "";
  const meaning_row *row = find(text);
  /* inside a script: "... @user_script: 12: -OOM command not allowed ..." */
  for (const char *dash = strstr(text, ": -"); row == NULL && dash != NULL;
       dash = strstr(dash + 1, ": -"))
    row = find(dash + 3);
  if (row == NULL && strstr(text, "max number of clients") != NULL)
    row = &too_many_clients;
  *ret_advice = row != NULL ? row->advice : "look at the server's version (6.2 is the oldest)";
  return row != NULL ? row->meaning : HF_REDIS_MEANS_REFUSED;
}

static const redisReply *element(const redisReply *reply, size_t index) {
  return reply != NULL && reply->type == REDIS_REPLY_ARRAY && index < reply->elements
             ? reply->element[index]
             : NULL;
}

long long hf_redis_reply_number(const redisReply *reply, size_t index) {
  const redisReply *one = element(reply, index);
  if (one == NULL)
    return 0;
  if (one->type == REDIS_REPLY_INTEGER)
    return one->integer;
  return one->type == REDIS_REPLY_STRING ? strtoll(one->str, NULL, 10) : 0;
}

const char *hf_redis_reply_text(const redisReply *reply, size_t index) {
  const redisReply *one = element(reply, index);
  return one != NULL && (one->type == REDIS_REPLY_STRING || one->type == REDIS_REPLY_STATUS)
             ? one->str
             : "";
}
