/* Counts the flushes of this process: fsync, fdatasync, syncfs. The kernel asks a thread of ours
 * before each (a seccomp filter with a listener), which counts and lets it go on: no other call is
 * slowed, and the program flushes as always. */
#ifndef HF_CLI_BENCH_COUNT_H
#define HF_CLI_BENCH_COUNT_H

#include <stdatomic.h>
#include <stdint.h>

/* From now on each flush of the calling thread, and of those that it starts, adds 1 to *counter
 * while *counting is set. Cannot be taken back: for a child that ends with _exit. 0, or -1 where
 * the kernel (before 5.5) or a container does not allow it: then nothing is counted. */
int hf_cli_bench_count(atomic_int *counting, _Atomic uint64_t *counter);

#endif
