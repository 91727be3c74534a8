/* What a handle keeps of its tally (tally.h). */
#ifndef HF_CORE_TALLY_STATE_H
#define HF_CORE_TALLY_STATE_H

#include <stdatomic.h>
#include <stdint.h>

#include <holdfast/stats.h>

enum { HF_TALLY_NAME_CHARS = 16 };

typedef struct hf_tally_state {
  int counts_not;                     /* the configuration says so */
  _Atomic int64_t due_us;             /* not before this moment of the monotonic clock */
  atomic_flag busy;                   /* one thread adds; the following are its own */
  int folder_fd;                      /* stats/; -1: not opened yet */
  int is_known;                       /* this handle is counted, as far as: */
  hf_handle_stats counted;            /* what of its figures stands in the file */
  char name[HF_TALLY_NAME_CHARS + 1]; /* of the file; "": not told yet */
  char host[HF_STATS_HOST_BYTES];
} hf_tally_state;

#endif
