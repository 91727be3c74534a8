/* flock among threads, forks, signals and limits. */
#include "flock_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"

/* A child that uses what its parent opened is told so. */
START_TEST(a_child_is_told) {
  hf_grant grant = HF_GRANT_INIT;
  void *state = open_state(), *other = open_state();
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 1);
  pid_t child = fork();
  if (child == 0) {
    hf_grant mine = HF_GRANT_INIT;
    int told = flocker->acquire(state, "other", 0, &mine, NULL) == HF_EFORKED &&
               flocker->release(state, &grant, 0, NULL) == HF_EFORKED && grant.hold == NULL;
    flocker->close(&state);
    void *own = open_state();
    told = told && flocker->acquire(own, "lock", 0, &mine, NULL) == 0; /* the parent has it */
    flocker->close(&own);
    _exit(told ? 0 : 1);
  }
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  hf_grant busy = HF_GRANT_INIT;
  ck_assert_int_eq(flocker->acquire(other, "lock", 0, &busy, NULL), 0);
  ck_assert_int_eq(flocker->release(state, &grant, 0, NULL), 1);
  (void)turn(other);
  flocker->close(&state);
  flocker->close(&other);
}
END_TEST

/* A child that was made past the fork handlers: its close releases nothing either. */
START_TEST(a_child_of_clone) {
  hf_grant grant = HF_GRANT_INIT, busy = HF_GRANT_INIT;
  void *state = open_state(), *other = open_state();
  ck_assert_int_eq(flocker->acquire(state, "lock", 0, &grant, NULL), 1);
  pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    int told = flocker->release(state, &grant, 0, NULL) == HF_EFORKED;
    flocker->close(&state);
    _exit(told ? 0 : 1);
  }
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  ck_assert_int_eq(flocker->acquire(other, "lock", 0, &busy, NULL), 0);
  ck_assert_int_eq(flocker->release(state, &grant, 0, NULL), 1);
  (void)turn(other);
  flocker->close(&state);
  flocker->close(&other);
}
END_TEST

static void *return_at_once(void *argument) {
  return argument;
}

/* No thread may be made: waiting still works and keeps its deadline. The limit is the user's, so
 * another user's id is taken; root has none. */
START_TEST(without_threads) {
  pid_t holder = start_holder();
  ck_assert_int_eq(chmod(store, 0777), 0);
  ck_assert_int_eq(chmod(lock_path(), 0666), 0);
  pid_t child = fork();
  if (child == 0) {
    hf_grant grant = HF_GRANT_INIT;
    struct rlimit none = {0, 0};
    pthread_t thread;
    if (getuid() == 0 && (setgid(54321) != 0 || setuid(54321) != 0))
      _exit(10);
    if (setrlimit(RLIMIT_NPROC, &none) != 0)
      _exit(11);
    if (pthread_create(&thread, NULL, return_at_once, NULL) == 0)
      _exit(77); /* no such limit here */
    void *state = open_state();
    int64_t began_ms = hf_monotonic_ms();
    int busy = flocker->acquire(state, "lock", began_ms + 300, &grant, NULL);
    int64_t waited_ms = hf_monotonic_ms() - began_ms;
    if (busy != 0 || waited_ms < 300 || waited_ms > 1500)
      _exit(12);
    int got = flocker->acquire(state, "lock", began_ms + 20000, &grant, NULL);
    int released = flocker->release(state, &grant, 0, NULL);
    flocker->close(&state);
    _exit(got == 1 && released == 1 ? 0 : 13);
  }
  struct timespec time = {.tv_sec = 1};
  nanosleep(&time, NULL);
  end_holder(holder);
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert(WIFEXITED(status));
  printf("without threads: exit status %d\n", WEXITSTATUS(status));
  ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}
END_TEST

static atomic_int handled;

static void on_signal(int number) {
  (void)number;
  atomic_fetch_add(&handled, 1);
}

/* Signals of the program neither end the wait nor run in the helper's thread. */
START_TEST(signals_while_waiting) {
  hf_grant grant = HF_GRANT_INIT;
  struct sigaction action = {.sa_handler = on_signal}; /* without SA_RESTART */
  struct itimerval timer = {{0, 5000}, {0, 5000}};
  pid_t holder = start_holder();
  void *state = open_state();
  ck_assert_int_eq(sigaction(SIGALRM, &action, NULL), 0);
  ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
  int64_t began_ms = hf_monotonic_ms();
  ck_assert_int_eq(flocker->acquire(state, "lock", began_ms + 500, &grant, NULL), 0);
  ck_assert_int_ge(hf_monotonic_ms() - began_ms, 500);
  ck_assert_int_ge(atomic_load(&handled), 10);
  sigset_t alarm_only; /* from now on no thread of ours takes it: the helper must not, either */
  sigemptyset(&alarm_only);
  sigaddset(&alarm_only, SIGALRM);
  ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &alarm_only, NULL), 0);
  int before = atomic_load(&handled);
  ck_assert_int_eq(flocker->acquire(state, "lock", hf_deadline_ms(300), &grant, NULL), 0);
  ck_assert_int_eq(atomic_load(&handled), before);
  ck_assert_int_eq(pthread_sigmask(SIG_UNBLOCK, &alarm_only, NULL), 0);
  timer = (struct itimerval){{0, 0}, {0, 0}};
  ck_assert_int_eq(setitimer(ITIMER_REAL, &timer, NULL), 0);
  end_holder(holder);
  flocker->close(&state);
}
END_TEST

/* Threads take turns on one state while the process forks: nobody deadlocks, nothing stays
 * locked. */
static void *take_turns(void *state) {
  for (int i = 0; i < 60; i++)
    (void)turn(state);
  return NULL;
}

START_TEST(forks_in_the_middle) {
  pthread_t threads[3];
  void *state = open_state();
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, take_turns, state), 0);
  for (int i = 0; i < 20; i++) {
    pid_t child = fork();
    if (child == 0)
      _exit(0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
  }
  for (int i = 0; i < 3; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  (void)turn(state);
  flocker->close(&state);
}
END_TEST

int main(void) {
  TCase *tcase = tcase_create("flock");
  tcase_add_test(tcase, a_child_is_told);
  tcase_add_test(tcase, a_child_of_clone);
  tcase_add_test(tcase, without_threads);
  tcase_add_test(tcase, signals_while_waiting);
  tcase_add_test(tcase, forks_in_the_middle);
  return run_suite("flock: processes", tcase);
}
