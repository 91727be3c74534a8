#include "thread.h"

#include <signal.h>

#include "banned.h"

int hf_thread_start(pthread_t *ret_thread, void *(*main_of)(void *), void *argument) {
  sigset_t all;
  sigset_t before;
  (void)sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
    return 0;
  int failed = pthread_create(ret_thread, NULL, main_of, argument);
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return failed == 0;
}
