/* Who holds it, and taking it away. */
#include "contract.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int excludes(int scheme) {
  return (contract_ops(scheme)->traits & HF_LOCKER_EXCLUDES_PROCESSES) != 0;
}

static int describe(int scheme, void *state, const char *lock, hf_lock_holder *holder) {
  hf_error error = HF_ERROR_INIT;
  int held = contract_ops(scheme)->describe(state, lock, holder, &error);
  ck_assert_msg(held >= 0, "describe: %s: %s", error.place, error.message);
  return held;
}

START_TEST(the_holder_is_described) {
  void *state = contract_open(_i, NULL);
  hf_lock_holder holder;
  char host[256], named[32];
  ck_assert_int_eq(gethostname(host, sizeof host), 0);
  ck_assert_int_eq(describe(_i, state, "describe", &holder), 0); /* never locked */
  actor one = actor_start(_i, "a-purpose");
  actor_reply reply = actor_do(&one, ACTOR_ACQUIRE, "describe", 5000);
  ck_assert_int_eq(reply.result, 1);
  if (excludes(_i)) {
    snprintf(named, sizeof named, "pid %d ", (int)one.pid);
    ck_assert_int_eq(describe(_i, state, "describe", &holder), 1);
    printf("%s: %s\n", contract_schemes[_i].scheme, holder.text);
    ck_assert_int_eq(holder.pid, one.pid);
    ck_assert_str_eq(holder.host, host);
    ck_assert_ptr_nonnull(strstr(holder.text, named));
    ck_assert_ptr_nonnull(strstr(holder.text, host));
    ck_assert_ptr_nonnull(strstr(holder.text, "a-purpose"));
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    ck_assert_int_ge(holder.since_unix_ms, now_ms - 60000);
    ck_assert_int_le(holder.since_unix_ms, now_ms + 60000);
    if ((contract_ops(_i)->traits & HF_LOCKER_FENCES) != 0)
      ck_assert_uint_eq(holder.token, reply.token);
    if ((contract_ops(_i)->traits & HF_LOCKER_GRANT_CAN_END) != 0)
      ck_assert_int_gt(holder.until_unix_ms, 0);
    ck_assert_int_eq(describe(_i, state, "describe-another", &holder), 0);
  }
  ck_assert_int_eq(actor_do(&one, ACTOR_RELEASE, "", 0).result, 1);
  ck_assert_int_eq(describe(_i, state, "describe", &holder), 0);
  actor_kill(&one);
  contract_ops(_i)->close(&state);
}
END_TEST

/* A process that asks without a pause. */
static pid_t start_asker(int scheme) {
  pid_t parent = getpid(), pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid == 0) {
    hf_lock_holder holder;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *state = contract_open(scheme, NULL);
    while (getppid() == parent)
      (void)contract_ops(scheme)->describe(state, "ask", &holder, NULL);
    _exit(0);
  }
  return pid;
}

/* Those who ask take no turn from those who want the lock, not even from one who asks once. */
START_TEST(asking_takes_no_turn) {
  void *state = contract_open(_i, NULL);
  pid_t askers[2] = {start_asker(_i), start_asker(_i)};
  int busy = 0;
  for (int i = 0; i < 1500; i++) {
    hf_grant grant = HF_GRANT_INIT;
    if (contract_acquire(_i, state, "ask", 0, &grant) == 1)
      ck_assert_int_eq(contract_release(_i, state, &grant), 1);
    else
      busy++;
  }
  for (int i = 0; i < 2; i++) {
    ck_assert_int_eq(kill(askers[i], SIGKILL), 0);
    ck_assert_int_eq(waitpid(askers[i], NULL, 0), askers[i]);
  }
  ck_assert_msg(busy == 0, "%d of 1500 were told that the lock is held, and nobody held it", busy);
  contract_ops(_i)->close(&state);
}
END_TEST

START_TEST(a_free_lock_may_be_broken) {
  void *state = contract_open(_i, NULL);
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(contract_ops(_i)->break_lock(state, "free", NULL), 0);
  ck_assert_int_eq(contract_acquire(_i, state, "free", 0, &grant), 1);
  ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  ck_assert_int_eq(contract_ops(_i)->break_lock(state, "free", NULL), 0);
  ck_assert_int_eq(contract_acquire(_i, state, "free", 0, &grant), 1);
  ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  contract_ops(_i)->close(&state);
}
END_TEST

/* The lock is taken away from a stuck holder: somebody who waits already gets it, the token rises,
 * and the stuck one is told when it comes back; what it does then harms nobody. */
START_TEST(a_held_lock_is_broken) {
  if (!excludes(_i))
    return;
  void *state = contract_open(_i, NULL);
  actor stuck = actor_start(_i, "stuck");
  actor waiter = actor_start(_i, "waiting");
  actor_reply first = actor_do(&stuck, ACTOR_ACQUIRE, "break", 5000);
  ck_assert_int_eq(first.result, 1);
  actor_ask(&waiter, ACTOR_ACQUIRE, "break", 15000);
  contract_sleep_ms(100);
  hf_error error = HF_ERROR_INIT;
  int64_t broken_us = contract_now_us();
  int status = contract_ops(_i)->break_lock(state, "break", &error);
  ck_assert_msg(status == 0, "break: %s: %s", error.place, error.message);
  actor_reply second = actor_answer(&waiter);
  ck_assert_int_eq(second.result, 1);
  printf("%s: granted %d us after the break\n", contract_schemes[_i].scheme,
         (int)(second.at_us - broken_us));
  ck_assert_int_le(second.at_us - broken_us, contract_schemes[_i].break_ms_max * 1000);
  if ((contract_ops(_i)->traits & HF_LOCKER_FENCES) != 0)
    ck_assert_uint_gt(second.token, first.token);
  hf_lock_holder holder;
  ck_assert_int_eq(describe(_i, state, "break", &holder), 1);
  ck_assert_int_eq(holder.pid, waiter.pid);
  ck_assert_int_eq(actor_do(&stuck, ACTOR_RELEASE, "", 0).result, 0); /* it was lost */
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(contract_acquire(_i, state, "break", 100, &grant), 0); /* the waiter's still */
  ck_assert_int_eq(actor_do(&waiter, ACTOR_RELEASE, "", 0).result, 1);
  ck_assert_int_eq(contract_acquire(_i, state, "break", 1000, &grant), 1);
  if ((contract_ops(_i)->traits & HF_LOCKER_FENCES) != 0)
    ck_assert_uint_gt(grant.token, second.token);
  ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  actor_kill(&stuck);
  actor_kill(&waiter);
  contract_ops(_i)->close(&state);
}
END_TEST

void contract_add_holder(Suite *suite) {
  TCase *tcase = tcase_create("holder");
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, the_holder_is_described, contract_begin, contract_end);
  tcase_add_loop_test(tcase, asking_takes_no_turn, contract_begin, contract_end);
  tcase_add_loop_test(tcase, a_free_lock_may_be_broken, contract_begin, contract_end);
  tcase_add_loop_test(tcase, a_held_lock_is_broken, contract_begin, contract_end);
  suite_add_tcase(suite, tcase);
}
