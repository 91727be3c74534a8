/* Threads of the library's own. */
#ifndef HF_BASE_THREAD_H
#define HF_BASE_THREAD_H

#include <pthread.h>

/* Starts one with every signal blocked: those of the program are its own threads'. 1; 0: there is
 * none to be had. */
int hf_thread_start(pthread_t *ret_thread, void *(*main_of)(void *), void *argument);

#endif
