/* The syscall sweep: in each operation the first, the second ... system call fails, until a run
 * makes fewer calls. After each run the answer must have been honest (lib_sweep.h).
 *
 * Five kinds of failure:
 *     once     the call is not executed
 *     lost     it is executed, and its reply is lost (link, rename, fsync, pwrite, close)
 *     short    a pwrite writes only half (no error); the rest then fails
 *     dead     from this call on none succeeds: the mount is gone, the disk is dead
 *     last     as lost, and none after it succeeds
 *
 * By default the errors that can make a difference where; with --all 1 every error everywhere.
 *
 *     sys_sweep [--op NAME] [--mode local|shared|rename] [--all 1] [--every N]
 *
 * --every N: only every N-th call. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib_sweep.h"
#include "lib_table.h"

typedef enum flavour { ONCE, LOST, SHORT, DEAD, LAST, FLAVOURS } flavour;

static const char *const flavour_names[] = {"once", "lost", "short", "dead", "last"};

static const struct {
  int number;
  const char *name;
} errors[] = {{EIO, "EIO"},       {ENOSPC, "ENOSPC"}, {EINTR, "EINTR"},
              {ESTALE, "ESTALE"}, {EMFILE, "EMFILE"}, {EACCES, "EACCES"}};

enum { ERRORS = sizeof errors / sizeof errors[0], WORKERS = 2, LONG_STEPS = 60 };

typedef struct plan {
  flavour flavour;
  int sys_errno;
  size_t at;   /* the call that fails, from 1 */
  size_t seen; /* calls that could have failed so far */
  int must_succeed;
  int active;
  int fired;
  fault_kind kind; /* which one it was */
} plan;

static plan now;
static int everything;
static size_t every = 1;

static int can_fail(const fault_call *call) {
  switch (now.flavour) {
  case ONCE:
  case DEAD:
    return 1;
  case LAST:
    if (now.fired)
      return 1;
    __attribute__((fallthrough));
  case LOST:
    return call->kind == FAULT_LINK || call->kind == FAULT_RENAME || call->kind == FAULT_FSYNC ||
           call->kind == FAULT_FDATASYNC || call->kind == FAULT_PWRITE || call->kind == FAULT_CLOSE;
  case SHORT:
    return call->kind == FAULT_PWRITE && call->count > 1;
  case FLAVOURS:
    break;
  }
  return 0;
}

static void fail(fault_call *call) {
  call->result = -1;
  call->sys_errno = now.sys_errno;
}

/* Linux has closed the descriptor whatever close answers. */
static int is_always_done(const fault_call *call) {
  return call->kind == FAULT_CLOSE || call->kind == FAULT_CLOSEDIR;
}

static void before(void *context, fault_call *call) {
  (void)context;
  if (!now.active || !can_fail(call))
    return;
  now.seen++;
  int is_to_end = now.flavour == DEAD || now.flavour == LAST;
  if (is_to_end ? now.seen < now.at : now.seen != now.at)
    return;
  int is_first = !now.fired;
  if (is_first)
    now.kind = call->kind;
  now.fired = 1;
  if (now.flavour == SHORT) {
    call->skip = 1;
    call->result = hf_sys_real.pwrite(call->fd, call->bytes, call->count / 2, call->offset);
    now.at++;           /* the rest is the next call: */
    now.flavour = ONCE; /* it fails */
    now.seen = now.at - 1;
    return;
  }
  if (now.flavour == LOST || (now.flavour == LAST && is_first) || is_always_done(call))
    return;
  call->skip = 1;
  fail(call);
}

static void after(void *context, fault_call *call) {
  (void)context;
  if (!now.active || !now.fired || call->skip || !can_fail(call))
    return;
  int is_to_end = now.flavour == DEAD || now.flavour == LAST;
  if (!is_to_end && now.seen != now.at)
    return;
  fail(call);
  if (!is_to_end)
    now.seen++; /* only this one */
}

static const fault_hooks hooks = {.before = before, .after = after, .fast_fsync = 1};

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

/* A signal alone must not fail anything. (fdopendir knows no EINTR, and a rename that is repeated
 * finds nothing to rename.) */
static int must_succeed(void *context) {
  (void)context;
  return now.must_succeed && now.kind != FAULT_FDOPENDIR &&
         (now.kind != FAULT_RENAME || now.flavour != LOST);
}

static const sweep_faults faults = {arm, disarm, must_succeed, NULL};

/* How many calls an operation makes that can fail so. */
static size_t count_calls(const sweep_op *op, sweep_mode mode, flavour how) {
  sweep_counts ignored;
  memset(&ignored, 0, sizeof ignored);
  now = (plan){.flavour = how, .at = SIZE_MAX};
  fault_context("%s, %s, no fault", op->name, sweep_mode_names[mode]);
  (void)sweep_run(op, mode, &faults, &ignored);
  return now.seen;
}

static void sweep(const sweep_op *op, sweep_mode mode, flavour how, unsigned error, size_t calls,
                  sweep_counts *counts) {
  size_t step = every * (op->is_long && calls > LONG_STEPS ? calls / LONG_STEPS : 1);
  for (size_t at = 1 + (step > 1 ? error % step : 0);; at += step) {
    now = (plan){.flavour = how, .sys_errno = errors[error].number, .at = at};
    now.must_succeed = errors[error].number == EINTR;
    fault_context("%s, %s, %s from call %zu, %s", op->name, sweep_mode_names[mode],
                  errors[error].name, at, flavour_names[how]);
    if (!sweep_run(op, mode, &faults, counts))
      break;
  }
}

/* Which errors can make a difference; --all: each of them everywhere. */
static int is_wanted(const sweep_op *op, sweep_mode mode, flavour how, int number) {
  if ((how == DEAD || how == LAST) && number == EINTR)
    return 0; /* a call that is interrupted for ever */
  /* On a local filesystem a kernel does what it answers; EIO alone can come after the deed. */
  if (how == LAST && mode != SWEEP_SHARED)
    return number == EIO;
  if (everything)
    return 1;
  switch (how) {
  case ONCE:
    return op->changes || number == EIO || number == EINTR || number == ESTALE;
  case LOST:
    return number == EIO || number == EINTR || number == ESTALE;
  case SHORT:
    return number == ENOSPC;
  case DEAD:
  case LAST:
    return number == EIO || number == ESTALE;
  case FLAVOURS:
    break;
  }
  return 0;
}

static void sweep_op_all(const sweep_op *op, sweep_mode mode, unsigned worker,
                         sweep_counts *counts) {
  unsigned turn = 0;
  for (int how = 0; how < FLAVOURS; how++) {
    size_t calls = count_calls(op, mode, (flavour)how);
    for (unsigned error = 0; error < ERRORS; error++)
      if (is_wanted(op, mode, (flavour)how, errors[error].number) && turn++ % WORKERS == worker)
        sweep(op, mode, (flavour)how, error, calls, counts);
  }
}

/* The sum over the workers, in shared memory. */
static sweep_counts *all;

static sweep_counts *counts_of(unsigned worker, size_t op, int mode) {
  return &all[(worker * sweep_ops_count + op) * SWEEP_MODES + (size_t)mode];
}

static void work(unsigned worker, const char *only, sweep_mode only_mode) {
  fault_table_install(&hooks);
  fault_clock_jumps(1);
  for (size_t i = 0; i < sweep_ops_count; i++)
    for (int mode = 0; mode < SWEEP_MODES; mode++)
      if ((only == NULL || strcmp(only, sweep_ops[i].name) == 0) &&
          (only_mode == SWEEP_MODES || only_mode == (sweep_mode)mode) &&
          sweep_is_for(&sweep_ops[i], (sweep_mode)mode))
        sweep_op_all(&sweep_ops[i], (sweep_mode)mode, worker, counts_of(worker, i, mode));
  fault_table_remove();
}

static void print(void) {
  size_t runs = 0;
  for (size_t i = 0; i < sweep_ops_count; i++)
    for (int mode = 0; mode < SWEEP_MODES; mode++) {
      sweep_counts sum = {0};
      for (unsigned worker = 0; worker < WORKERS; worker++) {
        const sweep_counts *one = counts_of(worker, i, mode);
        sum.runs += one->runs;
        sum.ok += one->ok;
        sum.errors += one->errors;
        sum.unsure += one->unsure;
      }
      runs += sum.runs;
      if (sum.runs > 0)
        (void)printf(
            "sys_sweep %-42s %-6s: %5zu faults: %5zu succeeded, %5zu errors, %4zu unsure\n",
            sweep_ops[i].name, sweep_mode_names[mode], sum.runs, sum.ok, sum.errors, sum.unsure);
    }
  FAULT_CHECK(runs > 0, "there is no such operation");
  (void)printf(
      "sys_sweep: %zu faults, every answer honest, every store whole, no descriptor left\n", runs);
}

int main(int argc, char **argv) {
  const char *only = fault_option_text(argc, argv, "--op", NULL);
  sweep_mode only_mode = sweep_mode_option(argc, argv);
  everything = fault_option(argc, argv, "--all", 0) != 0;
  every = (size_t)fault_option(argc, argv, "--every", 1);
  FAULT_CHECK(every > 0, "--every 0");
  pid_t workers[WORKERS];
  size_t bytes = sizeof *all * WORKERS * sweep_ops_count * SWEEP_MODES;
  all = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(all != MAP_FAILED, "no shared memory");
  sweep_make_templates();
  (void)fflush(stdout);
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i] = fork();
    FAULT_CHECK(workers[i] >= 0, "cannot fork: %s", strerror(errno));
    if (workers[i] == 0) {
      work(i, only, only_mode);
      _exit(0);
    }
  }
  fault_wait_all(workers, WORKERS);
  print();
  return 0;
}
