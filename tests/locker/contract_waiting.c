/* Waiting: the deadline is kept, no CPU is burnt, the wake-up is prompt. */
#include "contract.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { SLACK_MS = 1000, WAIT_MS = 700, CPU_MS_MAX = 150, WAKE_ROUNDS = 21, WAKE_MS_MAX = 50 };

static int excludes(int scheme) {
  return (contract_ops(scheme)->traits & HF_LOCKER_EXCLUDES_PROCESSES) != 0;
}

static int64_t cpu_us(void) {
  struct rusage usage;
  ck_assert_int_eq(getrusage(RUSAGE_SELF, &usage), 0);
  return (int64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
         usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static actor start_holder(int scheme, const char *lock) {
  actor holder = actor_start(scheme, "holding");
  ck_assert_int_eq(actor_do(&holder, ACTOR_ACQUIRE, lock, 5000).result, 1);
  return holder;
}

/* Busy: the answer comes after the deadline, soon, says who holds it, and cost no CPU. */
START_TEST(the_deadline_is_kept) {
  if (!excludes(_i))
    return;
  actor holder = start_holder(_i, "deadline");
  void *state = contract_open(_i, NULL);
  char named[32];
  snprintf(named, sizeof named, "pid %d ", (int)holder.pid);
  for (int i = 0; i < 3; i++) {
    hf_grant grant = HF_GRANT_INIT;
    hf_error error = HF_ERROR_INIT;
    int64_t cpu_before = cpu_us(), began = contract_now_ms();
    int got = contract_ops(_i)->acquire(state, "deadline", began + WAIT_MS, &grant, &error);
    int64_t waited = contract_now_ms() - began, cpu = cpu_us() - cpu_before;
    printf("%s: busy after %d ms of %d, %d us of CPU: %s\n", contract_schemes[_i].scheme,
           (int)waited, WAIT_MS, (int)cpu, error.message);
    ck_assert_int_eq(got, 0);
    ck_assert_int_eq(error.code, HF_ELOCK);
    ck_assert_ptr_nonnull(strstr(error.message, named));
    ck_assert_ptr_nonnull(strstr(error.message, "holding"));
    ck_assert_int_ge(waited, WAIT_MS);
    ck_assert_int_le(waited, WAIT_MS + SLACK_MS);
    ck_assert_int_le(cpu, CPU_MS_MAX * 1000);
    ck_assert_ptr_null(grant.hold);
    ck_assert_int_eq(contract_acquire(_i, state, "deadline", 10, &grant), 0); /* reterr NULL too */
    ck_assert_int_eq(contract_ops(_i)->acquire(state, "deadline", 0, &grant, NULL), 0);
  }
  ck_assert_int_eq(actor_do(&holder, ACTOR_RELEASE, "", 0).result, 1);
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(contract_acquire(_i, state, "deadline", 1000, &grant), 1);
  ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  contract_ops(_i)->close(&state);
  actor_kill(&holder);
}
END_TEST

/* A deadline in the past, however far, asks once: granted when free, busy at once when not. */
START_TEST(the_past_asks_once) {
  const int64_t deadlines[] = {0, -1, INT64_MIN, contract_now_ms(), contract_now_ms() - 1};
  void *state = contract_open(_i, NULL);
  hf_grant grant = HF_GRANT_INIT;
  for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
    ck_assert_int_eq(contract_ops(_i)->acquire(state, "past", deadlines[i], &grant, NULL), 1);
    ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  }
  if (excludes(_i)) {
    actor holder = start_holder(_i, "past");
    int64_t began = contract_now_ms();
    for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++)
      ck_assert_int_eq(contract_ops(_i)->acquire(state, "past", deadlines[i], &grant, NULL), 0);
    ck_assert_int_lt(contract_now_ms() - began, SLACK_MS);
    actor_kill(&holder);
  }
  contract_ops(_i)->close(&state);
}
END_TEST

/* A deadline that never comes is one, too. */
START_TEST(for_ever_is_a_deadline) {
  void *state = contract_open(_i, NULL);
  hf_grant grant = HF_GRANT_INIT;
  actor holder = start_holder(_i, "ever");
  actor_ask(&holder, ACTOR_RELEASE, "", 0);
  ck_assert_int_eq(contract_ops(_i)->acquire(state, "ever", INT64_MAX, &grant, NULL), 1);
  ck_assert_int_eq(actor_answer(&holder).result, 1);
  actor waiter = actor_start(_i, "waiting");
  actor_ask(&waiter, ACTOR_ACQUIRE, "ever", INT64_MAX / 4);
  contract_sleep_ms(50);
  ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  ck_assert_int_eq(actor_answer(&waiter).result, 1);
  actor_kill(&waiter);
  actor_kill(&holder);
  contract_ops(_i)->close(&state);
}
END_TEST

static int by_value(const void *a, const void *b) {
  int64_t one = *(const int64_t *)a, two = *(const int64_t *)b;
  return one < two ? -1 : one > two;
}

/* From the return of release in one process to the return of acquire in another that sleeps. */
START_TEST(the_wake_up_is_prompt) {
  if (!excludes(_i))
    return;
  int64_t took_us[WAKE_ROUNDS];
  actor one = start_holder(_i, "wake");
  actor two = actor_start(_i, "waiting");
  for (int i = 0; i < WAKE_ROUNDS; i++) {
    actor_ask(&two, ACTOR_ACQUIRE, "wake", 10000);
    contract_sleep_ms(20); /* it sleeps by now */
    actor_reply released = actor_do(&one, ACTOR_RELEASE, "", 0);
    actor_reply acquired = actor_answer(&two);
    ck_assert_int_eq(released.result, 1);
    ck_assert_int_eq(acquired.result, 1);
    took_us[i] = acquired.at_us - released.at_us;
    actor swapped = one;
    one = two;
    two = swapped;
  }
  qsort(took_us, WAKE_ROUNDS, sizeof took_us[0], by_value);
  printf("%s: woken after %d us (median of %d), at worst %d us\n", contract_schemes[_i].scheme,
         (int)took_us[WAKE_ROUNDS / 2], WAKE_ROUNDS, (int)took_us[WAKE_ROUNDS - 1]);
  ck_assert_int_le(took_us[WAKE_ROUNDS / 2], WAKE_MS_MAX * 1000);
  actor_kill(&one);
  actor_kill(&two);
}
END_TEST

/* Deadlines that come just when the lock is released: whatever was answered, the lock is free
 * afterwards, and an answer "granted" meant it. */
START_TEST(a_deadline_at_the_release) {
  if (!excludes(_i))
    return;
  actor holder = actor_start(_i, "holding");
  actor waiter = actor_start(_i, "waiting");
  void *state = contract_open(_i, NULL);
  int granted = 0;
  const int rounds = 150;
  for (int i = 0; i < rounds; i++) {
    ck_assert_int_eq(actor_do(&holder, ACTOR_ACQUIRE, "race", 5000).result, 1);
    actor_ask(&waiter, ACTOR_ACQUIRE, "race", 5);
    contract_sleep_ms(4 + i % 3);
    ck_assert_int_eq(actor_do(&holder, ACTOR_RELEASE, "", 0).result, 1);
    actor_reply reply = actor_answer(&waiter);
    ck_assert_int_ge(reply.result, 0);
    hf_grant grant = HF_GRANT_INIT;
    int free_now = contract_acquire(_i, state, "race", 0, &grant);
    ck_assert_int_eq(free_now, reply.result == 0);
    if (reply.result == 1)
      ck_assert_int_eq(actor_do(&waiter, ACTOR_RELEASE, "", 0).result, 1);
    else
      ck_assert_int_eq(contract_release(_i, state, &grant), 1);
    granted += (int)reply.result;
  }
  printf("%s: %d of %d granted with a deadline near the release\n", contract_schemes[_i].scheme,
         granted, rounds);
  actor_kill(&holder);
  actor_kill(&waiter);
  contract_ops(_i)->close(&state);
}
END_TEST

void contract_add_waiting(Suite *suite) {
  TCase *tcase = tcase_create("waiting");
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, the_deadline_is_kept, contract_begin, contract_end);
  tcase_add_loop_test(tcase, the_past_asks_once, contract_begin, contract_end);
  tcase_add_loop_test(tcase, for_ever_is_a_deadline, contract_begin, contract_end);
  tcase_add_loop_test(tcase, the_wake_up_is_prompt, contract_begin, contract_end);
  tcase_add_loop_test(tcase, a_deadline_at_the_release, contract_begin, contract_end);
  suite_add_tcase(suite, tcase);
}
