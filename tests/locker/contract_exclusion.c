/* Who has the lock has it alone: between processes, between threads; tokens rise. */
#include "contract.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WRITERS = 8, ROUNDS = 40, TURNS = WRITERS * ROUNDS, GAP_US = 200, TIMEOUT_MS = 25000 };

/* Shared by all writers. `counter` is read and written apart, with a gap between: whoever is let in
 * at the same time loses an update. Atomic only in its single steps, so that the thread sanitizer
 * has nothing to say. */
typedef struct board {
  atomic_int counter;
  atomic_int turn; /* in which order they had the lock */
  atomic_int failed;
  atomic_int inside;
  atomic_int inside_max;
  _Atomic uint64_t tokens[TURNS];
} board;

static board *make_board(void) {
  void *memory =
      mmap(NULL, sizeof(board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ck_assert_ptr_ne(memory, MAP_FAILED);
  return memory;
}

typedef struct writer {
  int scheme;
  const char *lock;
  void *state;
  board *shared;
} writer;

static void count_up(board *shared, uint64_t token) {
  int now_inside = atomic_fetch_add(&shared->inside, 1) + 1;
  if (now_inside > atomic_load(&shared->inside_max))
    atomic_store(&shared->inside_max, now_inside);
  int value = atomic_load(&shared->counter);
  struct timespec gap = {.tv_nsec = GAP_US * 1000};
  nanosleep(&gap, NULL);
  atomic_store(&shared->counter, value + 1);
  int turn = atomic_fetch_add(&shared->turn, 1);
  atomic_store(&shared->tokens[turn % TURNS], token);
  atomic_fetch_sub(&shared->inside, 1);
}

static void *write_rounds(void *argument) {
  const writer *self = argument;
  const hf_locker_ops *ops = contract_ops(self->scheme);
  for (int i = 0; i < ROUNDS; i++) {
    hf_grant grant = HF_GRANT_INIT;
    int64_t deadline_ms = contract_now_ms() + TIMEOUT_MS;
    if (ops->acquire(self->state, self->lock, deadline_ms, &grant, NULL) != 1) {
      atomic_fetch_add(&self->shared->failed, 1);
      continue;
    }
    count_up(self->shared, grant.token);
    if (ops->release(self->state, &grant, 0, NULL) != 1)
      atomic_fetch_add(&self->shared->failed, 1);
  }
  return NULL;
}

static void judge(int scheme, board *shared, const char *who) {
  unsigned traits = contract_ops(scheme)->traits;
  int counted = atomic_load(&shared->counter);
  printf("%s: 8 %s, %d turns, %d counted, at most %d at once\n", contract_schemes[scheme].scheme,
         who, TURNS, counted, atomic_load(&shared->inside_max));
  ck_assert_int_eq(atomic_load(&shared->failed), 0);
  ck_assert_int_eq(atomic_load(&shared->turn), TURNS);
  if ((traits & HF_LOCKER_EXCLUDES_PROCESSES) == 0) {
    ck_assert_msg(counted < TURNS, "this test would not notice a locker that excludes nobody");
    return;
  }
  ck_assert_int_eq(counted, TURNS);
  ck_assert_int_eq(atomic_load(&shared->inside_max), 1);
  if ((traits & HF_LOCKER_FENCES) == 0)
    return;
  for (int i = 1; i < TURNS; i++)
    ck_assert_uint_gt(atomic_load(&shared->tokens[i]), atomic_load(&shared->tokens[i - 1]));
}

START_TEST(processes_exclude_each_other) {
  board *shared = make_board();
  pid_t pids[WRITERS];
  for (int i = 0; i < WRITERS; i++) {
    pids[i] = fork();
    if (pids[i] == 0) {
      writer self = {_i, "processes", contract_open(_i, NULL), shared};
      (void)write_rounds(&self);
      contract_ops(_i)->close(&self.state);
      _exit(0);
    }
    ck_assert_int_gt(pids[i], 0);
  }
  for (int i = 0; i < WRITERS; i++) {
    int status = -1;
    ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
    ck_assert_int_eq(status, 0);
  }
  judge(_i, shared, "processes");
}
END_TEST

/* One opened locker, shared by all. */
START_TEST(threads_exclude_each_other) {
  board *shared = make_board();
  pthread_t threads[WRITERS];
  writer self = {_i, "threads", contract_open(_i, NULL), shared};
  for (int i = 0; i < WRITERS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, write_rounds, &self), 0);
  for (int i = 0; i < WRITERS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  contract_ops(_i)->close(&self.state);
  ck_assert_ptr_null(self.state);
  judge(_i, shared, "threads");
}
END_TEST

START_TEST(two_names_are_two_locks) {
  void *state = contract_open(_i, NULL);
  hf_grant one = HF_GRANT_INIT, two = HF_GRANT_INIT;
  ck_assert_int_eq(contract_acquire(_i, state, "name-one", 0, &one), 1);
  ck_assert_int_eq(contract_acquire(_i, state, "name-two", 0, &two), 1);
  ck_assert_int_eq(contract_release(_i, state, &one), 1);
  ck_assert_int_eq(contract_acquire(_i, state, "name-one", 0, &one), 1);
  ck_assert_int_eq(contract_release(_i, state, &two), 1);
  ck_assert_int_eq(contract_release(_i, state, &one), 1);
  contract_ops(_i)->close(&state);
}
END_TEST

START_TEST(tokens_rise_over_processes) {
  if ((contract_ops(_i)->traits & HF_LOCKER_FENCES) == 0)
    return;
  uint64_t last = 0;
  for (int i = 0; i < 12; i++) {
    actor one = actor_start(_i, NULL);
    for (int j = 0; j < 3; j++) {
      actor_reply reply = actor_do(&one, ACTOR_ACQUIRE, "tokens", 5000);
      ck_assert_int_eq(reply.result, 1);
      ck_assert_uint_gt(reply.token, last);
      last = reply.token;
      if (j < 2 || i % 2 == 0)
        ck_assert_int_eq(actor_do(&one, ACTOR_RELEASE, "tokens", 0).result, 1);
    }
    actor_kill(&one); /* every second one while it holds the lock */
  }
}
END_TEST

/* What the table itself promises. */
START_TEST(the_table_is_whole) {
  const hf_locker_ops *ops = contract_ops(_i);
  ck_assert_str_eq(ops->scheme, contract_schemes[_i].scheme);
  ck_assert(ops->verify != NULL || (ops->traits & HF_LOCKER_GRANT_CAN_END) == 0);
  void *state = contract_open(_i, NULL);
  hf_grant grant = HF_GRANT_INIT;
  ck_assert_int_eq(contract_release(_i, state, &grant), 0); /* was never held */
  ck_assert_int_eq(contract_acquire(_i, state, "table", 1000, &grant), 1);
  if ((ops->traits & HF_LOCKER_GRANT_CAN_END) == 0)
    ck_assert(grant.ends_at_ms == HF_GRANT_ENDS_NEVER);
  else
    ck_assert(grant.ends_at_ms > contract_now_ms());
  if (ops->verify != NULL)
    ck_assert_int_eq(ops->verify(state, &grant, NULL), 1);
  ck_assert_int_eq(contract_release(_i, state, &grant), 1);
  ck_assert_int_eq(contract_release(_i, state, &grant), 0); /* twice */
  ops->close(&state);
  ck_assert_ptr_null(state);
  ops->close(&state);
  ops->close(NULL);
}
END_TEST

void contract_add_exclusion(Suite *suite) {
  TCase *tcase = tcase_create("exclusion");
  tcase_set_timeout(tcase, 60);
  tcase_add_loop_test(tcase, the_table_is_whole, contract_begin, contract_end);
  tcase_add_loop_test(tcase, processes_exclude_each_other, contract_begin, contract_end);
  tcase_add_loop_test(tcase, threads_exclude_each_other, contract_begin, contract_end);
  tcase_add_loop_test(tcase, two_names_are_two_locks, contract_begin, contract_end);
  tcase_add_loop_test(tcase, tokens_rise_over_processes, contract_begin, contract_end);
  suite_add_tcase(suite, tcase);
}
