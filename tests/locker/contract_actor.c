/* Processes that acquire and release as they are told. */
#include "contract.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MS_MAX = 20000 };

typedef struct order {
  actor_command command;
  int64_t timeout_ms;
  char lock[HF_LOCKER_NAME_BYTES_MAX + 1];
} order;

const hf_locker_ops *contract_ops(int scheme) {
  const hf_locker_ops *ops = hf_locker_find(contract_schemes[scheme].scheme);
  ck_assert_ptr_nonnull(ops);
  return ops;
}

void *contract_open(int scheme, const char *purpose) {
  const contract_place *place = &contract_places[scheme];
  hf_locker_open_args args = {
      .store_path = place->store,
      .store_uuid = "11111111-2222-4333-8444-555555555555",
      .options_json = place->options[0] != '\0' ? place->options : NULL,
      .purpose = purpose,
  };
  void *state = NULL;
  hf_error error = HF_ERROR_INIT;
  int status = contract_ops(scheme)->open(&args, &state, &error);
  ck_assert_msg(status == 0, "open: %s: %s", error.place, error.message);
  ck_assert_ptr_nonnull(state);
  return state;
}

int64_t contract_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t contract_now_ms(void) {
  return contract_now_us() / 1000;
}

void contract_sleep_ms(int64_t ms) {
  struct timespec time = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
  nanosleep(&time, NULL);
}

int contract_acquire(int scheme, void *state, const char *lock, int64_t timeout_ms,
                     hf_grant *grant) {
  hf_error error = HF_ERROR_INIT;
  int got =
      contract_ops(scheme)->acquire(state, lock, contract_now_ms() + timeout_ms, grant, &error);
  ck_assert_msg(got >= 0, "acquire: %s: %s", error.place, error.message);
  if (got == 1)
    ck_assert_ptr_nonnull(grant->hold);
  return got;
}

int contract_release(int scheme, void *state, hf_grant *grant) {
  hf_error error = HF_ERROR_INIT;
  int was_ours = contract_ops(scheme)->release(state, grant, 0, &error);
  ck_assert_msg(was_ours >= 0, "release: %s: %s", error.place, error.message);
  ck_assert_ptr_null(grant->hold);
  return was_ours;
}

/* ---- the actor's side. It has no test to fail: it answers what it saw, or exits -------------- */

static void close_in_child(int scheme, void *state) {
  pid_t child = fork();
  if (child == 0) {
    contract_ops(scheme)->close(&state);
    _exit(state == NULL ? 0 : 1);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0)
    _exit(3);
}

static pid_t have_child(void) {
  pid_t child = fork();
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, 0);
    alarm(60); /* it outlives its parent, but not for ever */
    for (;;)
      pause();
  }
  return child;
}

static actor_reply obey(int scheme, void *state, hf_grant *grant, const order *what) {
  actor_reply reply = {.error = HF_ERROR_INIT};
  const hf_locker_ops *ops = contract_ops(scheme);
  switch (what->command) {
  case ACTOR_ACQUIRE:
    reply.result =
        ops->acquire(state, what->lock, contract_now_ms() + what->timeout_ms, grant, &reply.error);
    break;
  case ACTOR_RELEASE:
    reply.result = ops->release(state, grant, 0, &reply.error);
    break;
  case ACTOR_FORK:
    reply.result = have_child();
    break;
  case ACTOR_CLOSE_IN_CHILD:
    close_in_child(scheme, state);
    break;
  }
  reply.token = grant->token;
  reply.at_us = contract_now_us();
  return reply;
}

static void act(int scheme, const char *purpose, int orders, int replies) {
  void *state = contract_open(scheme, purpose);
  hf_grant grant = HF_GRANT_INIT;
  order what;
  while (read(orders, &what, sizeof what) == (ssize_t)sizeof what) {
    actor_reply reply = obey(scheme, state, &grant, &what);
    if (write(replies, &reply, sizeof reply) != (ssize_t)sizeof reply)
      _exit(2);
  }
  _exit(0);
}

/* ---- the test's side ------------------------------------------------------------------------- */

actor actor_start(int scheme, const char *purpose) {
  int orders[2], replies[2];
  ck_assert_int_eq(pipe(orders), 0);
  ck_assert_int_eq(pipe(replies), 0);
  pid_t parent = getpid();
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
      _exit(4);
    act(scheme, purpose, orders[0], replies[1]);
  }
  close(orders[0]);
  close(replies[1]);
  return (actor){.pid = pid, .to = orders[1], .from = replies[0]};
}

void actor_ask(const actor *who, actor_command command, const char *lock, int64_t timeout_ms) {
  order what;
  memset(&what, 0, sizeof what);
  what.command = command;
  what.timeout_ms = timeout_ms;
  ck_assert_uint_lt(strlen(lock), sizeof what.lock);
  memcpy(what.lock, lock, strlen(lock));
  ck_assert_int_eq(write(who->to, &what, sizeof what), sizeof what);
}

actor_reply actor_answer(const actor *who) {
  actor_reply reply;
  struct pollfd ready = {.fd = who->from, .events = POLLIN};
  ck_assert_msg(poll(&ready, 1, ANSWER_MS_MAX) == 1, "no answer within %d ms", ANSWER_MS_MAX);
  ck_assert_int_eq(read(who->from, &reply, sizeof reply), sizeof reply);
  return reply;
}

actor_reply actor_do(const actor *who, actor_command command, const char *lock,
                     int64_t timeout_ms) {
  actor_ask(who, command, lock, timeout_ms);
  return actor_answer(who);
}

void actor_kill(actor *who) {
  ck_assert_int_eq(kill(who->pid, SIGKILL), 0);
  ck_assert_int_eq(waitpid(who->pid, NULL, 0), who->pid);
  close(who->to);
  close(who->from);
  who->pid = 0;
}
