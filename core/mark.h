/* Marks: files whose length says what exists. Internal to log and tile. */
#ifndef HF_CORE_MARK_H
#define HF_CORE_MARK_H

#include "store.h"

/* Opens dirfd's mark, or answers kept_fd where that is not -1 (the caller closes only what is not
 * kept_fd). */
int hf_mark_open(hf_store *store, int dirfd, int kept_fd, const char *place, int *ret_fd,
                 hf_error *reterr);

/* Its length, looked at freshly; log/mark's: hf_log_look_at_mark. */
int hf_mark_length(hf_store *store, int dirfd, int kept_fd, const char *place, uint64_t *ret_length,
                   hf_error *reterr);

#endif
