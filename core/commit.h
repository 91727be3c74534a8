/* Committing attempts: the queue of savers that share a handle, its leader, and publish mode's
 * steps 2 to 7. */
#ifndef HF_CORE_COMMIT_H
#define HF_CORE_COMMIT_H

#include "attempt.h"
#include "store.h"

/* Hands over attempts, in their order, and returns once each is decided. Any number of threads at
 * once; one of them leads and commits for all, the others sleep. */
void hf_commit(hf_store *store, hf_attempt *const *attempts, size_t count);

#endif
