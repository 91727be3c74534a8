/* The counts of flushcount.c. */
#ifndef HF_BENCH_FLUSHCOUNT_H
#define HF_BENCH_FLUSHCOUNT_H

#include <stdint.h>

typedef enum hf_flush_kind {
  HF_FLUSH_FSYNC,
  HF_FLUSH_FDATASYNC,
  HF_FLUSH_RANGE, /* sync_file_range: starts or awaits writing, promises nothing after a power loss
                   */
  HF_FLUSH_MSYNC,
  HF_FLUSH_DSYNC, /* pwrite by a descriptor that was opened with O_DSYNC or O_SYNC */
  HF_FLUSH_OTHER, /* syncfs */
  HF_FLUSH_LINK,  /* no flush: linkat, that publishes; never delayed */
  HF_FLUSH_KINDS
} hf_flush_kind;

/* Both are in the preloaded library only: look them up with dlsym(RTLD_DEFAULT,
 * "hf_flushcount_..."). */

/* Counts since the start of the first process, children included. */
void hf_flushcount_read(uint64_t ret_counts[HF_FLUSH_KINDS]);

/* From now on flushes of this process do nothing and are not counted: to make a large store
 * quickly, which a sync() must follow. */
void hf_flushcount_skip(void);

#endif
