/* The malloc sweep: in each operation the first, the second ... allocation fails, alone or with all
 * that follow. After each run the answer must have been honest (lib_sweep.h), and nothing crashes.
 *
 * The program brings its own malloc, over glibc's, so that allocations of the libraries fail as
 * well. Sanitizers bring theirs: there the sweep is skipped.
 *
 *     malloc_sweep [--op NAME] [--mode local|shared|rename] */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib_sweep.h"
#include "lib_table.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static struct {
  size_t at; /* the allocation that fails, from 1 */
  size_t seen;
  int and_all_after;
  int active;
  int fired;
} now;

#if !IS_SANITIZED

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void __libc_free(void *old);

static int fails(void) {
  if (!now.active)
    return 0;
  now.seen++;
  if (now.and_all_after ? now.seen < now.at : now.seen != now.at)
    return 0;
  now.fired = 1;
  errno = ENOMEM;
  return 1;
}

void *malloc(size_t bytes) {
  return fails() ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
  return fails() ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes) {
  return fails() ? NULL : __libc_realloc(old, bytes);
}

void free(void *old) {
  __libc_free(old);
}

#endif

static void arm(void *context) {
  (void)context;
  now.seen = 0;
  now.fired = 0;
  now.active = 1;
}

static int disarm(void *context) {
  (void)context;
  now.active = 0;
  return now.fired;
}

static int must_succeed(void *context) {
  (void)context;
  return 0;
}

static const sweep_faults faults = {arm, disarm, must_succeed, NULL};
static const fault_hooks fast = {.fast_fsync = 1};

enum { LONG_STEPS = 100, STEP_FROM = 300 };

/* Short operations: every allocation. Long ones: every one at first, then as many as there is time
 * for. */
static size_t next(const sweep_op *op, size_t at) {
  return op->is_long && at >= STEP_FROM ? at + at / LONG_STEPS : at + 1;
}

static void sweep_op_all(const sweep_op *op, sweep_mode mode, sweep_counts *sum) {
  sweep_counts counts = {0};
  for (int after = 0; after < 2; after++)
    for (size_t at = 1;; at = next(op, at)) {
      now.at = at;
      now.and_all_after = after;
      fault_context("%s, %s, allocation %zu%s fails", op->name, sweep_mode_names[mode], at,
                    after ? " and all after it" : "");
      if (!sweep_run(op, mode, &faults, &counts))
        break;
    }
  (void)printf("malloc_sweep %-42s %-6s: %5zu faults: %5zu succeeded, %5zu errors, %4zu unsure\n",
               op->name, sweep_mode_names[mode], counts.runs, counts.ok, counts.errors,
               counts.unsure);
  sum->runs += counts.runs;
}

int main(int argc, char **argv) {
  const char *only = fault_option_text(argc, argv, "--op", NULL);
  sweep_mode only_mode = sweep_mode_option(argc, argv);
  sweep_counts sum = {0};
  if (IS_SANITIZED) {
    (void)printf("malloc_sweep: skipped: a sanitizer has its own malloc\n");
    return FAULT_EXIT_SKIPPED;
  }
  fault_table_install(&fast);
  fault_clock_jumps(1);
  sweep_make_templates();
  for (size_t i = 0; i < sweep_ops_count; i++)
    for (int mode = 0; mode < SWEEP_MODES; mode++)
      if ((only == NULL || strcmp(only, sweep_ops[i].name) == 0) &&
          (only_mode == SWEEP_MODES || only_mode == (sweep_mode)mode) &&
          sweep_is_for(&sweep_ops[i], (sweep_mode)mode))
        sweep_op_all(&sweep_ops[i], (sweep_mode)mode, &sum);
  fault_table_remove();
  FAULT_CHECK(sum.runs > 0, "there is no such operation");
  (void)printf(
      "malloc_sweep: %zu faults, every answer honest, every store whole, no descriptor left\n",
      sum.runs);
  return 0;
}
