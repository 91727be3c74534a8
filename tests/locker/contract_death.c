/* Holders that die, and holders that fork. */
#include "contract.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { WAITERS = 4 };

static int excludes(int scheme) {
  return (contract_ops(scheme)->traits & HF_LOCKER_EXCLUDES_PROCESSES) != 0;
}

/* One waiter gets the lock promptly, then each of the others. */
START_TEST(a_killed_holder_lets_go) {
  if (!excludes(_i))
    return;
  actor holder = actor_start(_i, "dying");
  actor waiters[WAITERS];
  ck_assert_int_eq(actor_do(&holder, ACTOR_ACQUIRE, "death", 5000).result, 1);
  for (int i = 0; i < WAITERS; i++) {
    waiters[i] = actor_start(_i, "waiting");
    actor_ask(&waiters[i], ACTOR_ACQUIRE, "death", 15000);
  }
  contract_sleep_ms(100);
  int64_t killed_us = contract_now_us(), first_us = INT64_MAX;
  actor_kill(&holder);
  int done[WAITERS] = {0};
  for (int turns = 0; turns < WAITERS; turns++) {
    /* Whoever answers has the lock; the others answer only after its release. */
    for (int i = 0; i < WAITERS; i++) {
      if (done[i])
        continue;
      struct timeval none = {0, 1000};
      fd_set set;
      FD_ZERO(&set);
      FD_SET(waiters[i].from, &set);
      if (select(waiters[i].from + 1, &set, NULL, NULL, &none) != 1) {
        if (i == WAITERS - 1)
          i = -1; /* round again: the test's timeout ends this */
        continue;
      }
      actor_reply reply = actor_answer(&waiters[i]);
      ck_assert_int_eq(reply.result, 1);
      first_us = reply.at_us < first_us ? reply.at_us : first_us;
      ck_assert_int_eq(actor_do(&waiters[i], ACTOR_RELEASE, "", 0).result, 1);
      done[i] = 1;
      break;
    }
  }
  printf("%s: granted %d us after the holder was killed, then %d more\n",
         contract_schemes[_i].scheme, (int)(first_us - killed_us), WAITERS - 1);
  ck_assert_int_le(first_us - killed_us, contract_schemes[_i].death_ms_max * 1000);
  for (int i = 0; i < WAITERS; i++)
    actor_kill(&waiters[i]);
}
END_TEST

/* A waiter that is killed takes nothing with it. */
START_TEST(a_killed_waiter_leaves_nothing) {
  actor holder = actor_start(_i, "holding");
  actor other = actor_start(_i, "other");
  ck_assert_int_eq(actor_do(&holder, ACTOR_ACQUIRE, "waiter", 5000).result, 1);
  for (int i = 0; i < 5; i++) {
    actor waiter = actor_start(_i, "dying");
    actor_ask(&waiter, ACTOR_ACQUIRE, "waiter", 15000);
    contract_sleep_ms(20);
    actor_kill(&waiter);
  }
  ck_assert_int_eq(actor_do(&holder, ACTOR_RELEASE, "", 0).result, 1);
  ck_assert_int_eq(
      actor_do(&other, ACTOR_ACQUIRE, "waiter", contract_schemes[_i].death_ms_max).result, 1);
  actor_kill(&holder);
  actor_kill(&other);
}
END_TEST

/* A child that closes what its parent opened does not release what the parent holds. */
START_TEST(a_childs_close_releases_nothing) {
  actor parent = actor_start(_i, "parent");
  actor other = actor_start(_i, "other");
  ck_assert_int_eq(actor_do(&parent, ACTOR_ACQUIRE, "fork", 5000).result, 1);
  ck_assert_int_eq(actor_do(&parent, ACTOR_CLOSE_IN_CHILD, "", 0).result, 0);
  if (excludes(_i))
    ck_assert_int_eq(actor_do(&other, ACTOR_ACQUIRE, "fork", 100).result, 0);
  ck_assert_int_eq(actor_do(&parent, ACTOR_RELEASE, "", 0).result, 1);
  ck_assert_int_eq(actor_do(&parent, ACTOR_CLOSE_IN_CHILD, "", 0).result, 0);
  ck_assert_int_eq(actor_do(&parent, ACTOR_ACQUIRE, "fork", 5000).result, 1);
  ck_assert_int_eq(actor_do(&parent, ACTOR_RELEASE, "", 0).result, 1);
  actor_kill(&parent);
  actor_kill(&other);
}
END_TEST

/* A program saves, forks workers that live on, saves again, and is killed meanwhile: its lock must
 * not live on in the workers. With and without a grant at the time of the fork. */
START_TEST(a_child_does_not_inherit_the_lock) {
  for (int held_at_fork = 0; held_at_fork < 2; held_at_fork++) {
    actor parent = actor_start(_i, "parent");
    actor other = actor_start(_i, "other");
    ck_assert_int_eq(actor_do(&parent, ACTOR_ACQUIRE, "workers", 5000).result, 1);
    if (!held_at_fork)
      ck_assert_int_eq(actor_do(&parent, ACTOR_RELEASE, "", 0).result, 1);
    int64_t worker = actor_do(&parent, ACTOR_FORK, "", 0).result;
    ck_assert_int_gt(worker, 0);
    if (!held_at_fork)
      ck_assert_int_eq(actor_do(&parent, ACTOR_ACQUIRE, "workers", 5000).result, 1);
    actor_kill(&parent);
    ck_assert_int_eq(kill((pid_t)worker, 0), 0);
    actor_reply reply =
        actor_do(&other, ACTOR_ACQUIRE, "workers", contract_schemes[_i].death_ms_max);
    ck_assert_int_eq(kill((pid_t)worker, SIGKILL), 0);
    ck_assert_msg(reply.result == 1, "%s", reply.error.message);
    actor_kill(&other);
  }
}
END_TEST

void contract_add_death(Suite *suite) {
  TCase *tcase = tcase_create("death");
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, a_killed_holder_lets_go, contract_begin, contract_end);
  tcase_add_loop_test(tcase, a_killed_waiter_leaves_nothing, contract_begin, contract_end);
  tcase_add_loop_test(tcase, a_childs_close_releases_nothing, contract_begin, contract_end);
  tcase_add_loop_test(tcase, a_child_does_not_inherit_the_lock, contract_begin, contract_end);
  suite_add_tcase(suite, tcase);
}
