#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "err.h"
#include "id.h"
#include "redis_reply.h"
#include "redis_state.h"

#include "banned.h"

enum {
  IDLE_PAIRS_MAX = 4,
  KEYS = 5,
  ARGUMENTS_MAX = 3 + KEYS + 3 + HF_REDIS_MORE_MAX /* EVAL text 5, keys, owner wake claim, more */
};

static const char keys_text[] = "5"; /* KEYS */

int hf_redis_check(const hf_redis_state *state, hf_error *reterr) {
  if (state->pid == getpid())
    return HF_OK;
  return hf_err(reterr, HF_EFORKED, NULL,
                "the locker was opened by the parent process; open the store again in the child");
}

/* ---- the pool -------------------------------------------------------------------------------- */

static int make_pair(hf_redis_state *state, hf_redis_pair **ret_pair, hf_error *reterr) {
  hf_redis_pair *pair = calloc(1, sizeof *pair);
  if (pair == NULL)
    return hf_err_nomem(reterr);
  int status = hf_redis_link_make(&state->options, state->tls, &pair->command, reterr);
  if (status != HF_OK) {
    hf_redis_free_pair(&pair);
    return status;
  }
  *ret_pair = pair;
  return HF_OK;
}

int hf_redis_take_pair(hf_redis_state *state, hf_redis_pair **ret_pair, hf_error *reterr) {
  (void)pthread_mutex_lock(&state->mutex);
  hf_redis_pair *pair = state->idle;
  if (pair != NULL) {
    state->idle = pair->next;
    state->idle_count--;
  }
  (void)pthread_mutex_unlock(&state->mutex);
  if (pair == NULL)
    return make_pair(state, ret_pair, reterr);
  pair->next = NULL;
  *ret_pair = pair;
  return HF_OK;
}

void hf_redis_give_pair(hf_redis_state *state, hf_redis_pair *pair) {
  (void)pthread_mutex_lock(&state->mutex);
  if (state->idle_count < IDLE_PAIRS_MAX) {
    pair->next = state->idle;
    state->idle = pair;
    state->idle_count++;
    pair = NULL;
  }
  (void)pthread_mutex_unlock(&state->mutex);
  hf_redis_free_pair(&pair);
}

void hf_redis_free_pair(hf_redis_pair **pair) {
  if (*pair == NULL)
    return;
  hf_redis_link_free(&(*pair)->command);
  hf_redis_link_free(&(*pair)->wake);
  free(*pair);
  *pair = NULL;
}

/* ---- scripts --------------------------------------------------------------------------------- */

typedef struct words {
  char keys[KEYS][HF_REDIS_KEY_BYTES];
  char wake[HF_REDIS_KEY_BYTES];
  char claim_ms[HF_REDIS_NUMBER_BYTES];
  const char *argv[ARGUMENTS_MAX];
  size_t lengths[ARGUMENTS_MAX];
  int count;
} words;

static void add_word(words *all, const char *word) {
  all->argv[all->count] = word;
  all->lengths[all->count++] = strlen(word);
}

static void make_words(const hf_redis_state *state, const hf_redis_call *call, words *all) {
  static const char *const kinds[KEYS] = {"lock", "queue", "token", "seq", "stats"};
  const hf_redis_script *script = &hf_redis_scripts[call->script];
  all->count = 0;
  add_word(all, "EVALSHA");
  add_word(all, script->sha1);
  add_word(all, keys_text);
  for (int i = 0; i < KEYS; i++) {
    (void)snprintf(all->keys[i], sizeof all->keys[i], "%s%s:%s", state->base, kinds[i],
                   call->lock_name);
    add_word(all, all->keys[i]);
  }
  (void)snprintf(all->wake, sizeof all->wake, "%swake:", state->base);
  add_word(all, call->owner);
  add_word(all, all->wake);
  (void)snprintf(all->claim_ms, sizeof all->claim_ms, "%d", HF_REDIS_CLAIM_MS);
  add_word(all, all->claim_ms);
  for (int i = 0; i < call->more_count; i++)
    add_word(all, call->more[i]);
}

static void send_whole(words *all, const char *text) {
  all->argv[0] = "EVAL";
  all->lengths[0] = strlen("EVAL");
  all->argv[1] = text;
  all->lengths[1] = strlen(text);
}

static char *planted_text(hf_redis_script_name script) {
#ifdef HF_TEST_PLANTS
  return hf_redis_planted_text(script);
#else
  (void)script;
  return NULL;
#endif
}

hf_redis_outcome hf_redis_run(hf_redis_state *state, hf_redis_link *link, const hf_redis_call *call,
                              int64_t deadline_ms, redisReply **ret_reply, hf_error *reterr) {
  words all;
  hf_autofree char *planted = planted_text(call->script);
  make_words(state, call, &all);
  if (planted != NULL)
    send_whole(&all, planted);
  hf_redis_outcome outcome =
      hf_redis_command(link, all.count, all.argv, all.lengths, deadline_ms, ret_reply, reterr);
  const char *advice = "";
  if (outcome != HF_REDIS_REPLY || (*ret_reply)->type != REDIS_REPLY_ERROR ||
      hf_redis_reply_meaning(*ret_reply, &advice) != HF_REDIS_MEANS_NOSCRIPT)
    return outcome;
  freeReplyObject(*ret_reply);
  *ret_reply = NULL;
  send_whole(&all, hf_redis_scripts[call->script].text);
  return hf_redis_command(link, all.count, all.argv, all.lengths, deadline_ms, ret_reply, reterr);
}

void hf_redis_run_lax(hf_redis_state *state, hf_redis_link *link, const hf_redis_call *call,
                      int64_t wait_until_ms) {
  words all;
  make_words(state, call, &all);
  send_whole(&all, hf_redis_scripts[call->script].text);
  hf_redis_command_lax(link, all.count, all.argv, all.lengths, wait_until_ms);
}

void hf_redis_run_unheard(hf_redis_state *state, hf_redis_pair *pair, const hf_redis_call *call,
                          int64_t deadline_ms) {
  words all;
  make_words(state, call, &all);
  /* whether the script was known is not heard: it is sent whole the first time */
  if (!pair->has_sent_renewal)
    send_whole(&all, hf_redis_scripts[call->script].text);
  pair->has_sent_renewal = 1;
  hf_redis_command_unheard(pair->command, all.count, all.argv, all.lengths, deadline_ms);
}
