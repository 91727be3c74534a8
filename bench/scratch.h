/* The scratch folder of a run. */
#ifndef HF_BENCH_SCRATCH_H
#define HF_BENCH_SCRATCH_H

#include <stddef.h>

/* Makes a new folder below `parent`, in path. Folders below it are kept apart on the disk where the
 * filesystem can, and nothing is removed before the end: ext4 without a journal looks at every
 * inode that was freed in the last minutes before it makes a file in the same block group, so that
 * one round's cleaning would slow the next one (seen on Linux 6.18: 4 times). 0, or -1 and errno.
 */
int hf_bench_scratch_make(const char *parent, char *path, size_t path_bytes_max);

/* Removes it with all that is in it. */
void hf_bench_scratch_remove(const char *path);

#endif
