/* Operations for the sweeps: each is run again and again, every time with another fault, and each
 * time the answer must have been honest (I6):
 *
 *     HF_OK           the record is there, also for another handle, and after the store was opened
 * again HF_EUNSURE      resolve settles it, and what it says is true another error   it is not
 * there, and does not appear when the handle, or another one, saves again
 *
 * and the store verifies, and no descriptor is left open. */
#ifndef FAULT_LIB_SWEEP_H
#define FAULT_LIB_SWEEP_H

#include <stddef.h>
#include <stdint.h>

#include "lib.h"

enum { SWEEP_SAVES_MAX = 4, SWEEP_FURTHER_MAX = 4 };

typedef struct sweep_save {
  char run_id[32];
  fault_document document;
  int status;
  hf_saved saved;
} sweep_save;

/* As on a local filesystem, as on one that hosts share, as on one without hard links, in journal
 * mode. */
typedef enum sweep_mode {
  SWEEP_LOCAL,
  SWEEP_SHARED,
  SWEEP_RENAME,
  SWEEP_JOURNAL,
  SWEEP_MODES
} sweep_mode;

extern const char *const sweep_mode_names[SWEEP_MODES];

typedef struct sweep_case {
  const struct sweep_op *op;
  sweep_mode mode;
  char path[FAULT_PATH_BYTES]; /* of the store */
  hf_store *store;             /* NULL: the operation opens it itself */
  sweep_save saves[SWEEP_SAVES_MAX];
  size_t saves_count;
  uint64_t further[SWEEP_FURTHER_MAX]; /* the seqs of the saves that came after; 0: none */
  fault_document again;                /* of what is there already */
  uint64_t seq;                        /* what was answered */
  int got;
  hf_import_report report;
} sweep_case;

typedef struct sweep_op {
  const char *name;
  const char *template; /* which store it works on; NULL: none is there yet */
  int is_long;          /* many calls: not each of them is made to fail */
  int changes;          /* it changes the store: with every errno */
  void (*prepare)(sweep_case *one);
  int (*run)(sweep_case *one, hf_error *reterr); /* under the fault */
  void (*check)(sweep_case *one, int status, const hf_error *error);
} sweep_op;

extern const sweep_op sweep_ops[];
extern const size_t sweep_ops_count;

/* Where a fault comes from. */
typedef struct sweep_faults {
  void (*arm)(void *context);
  int (*disarm)(void *context);       /* 1: the fault has come */
  int (*must_succeed)(void *context); /* asked then: 1: an error is a failure of the test */
  void *context;
} sweep_faults;

typedef struct sweep_counts {
  size_t runs;
  size_t ok;
  size_t errors;
  size_t unsure;
} sweep_counts;

/* The mode of --mode, or SWEEP_MODES for all of them. */
sweep_mode sweep_mode_option(int argc, char **argv);

/* hf_init_options.mode of a store that it makes. */
const char *sweep_mode_of_new(const sweep_case *one);

/* Without hard links, and in journal mode, only what commits differs. */
int sweep_is_for(const sweep_op *op, sweep_mode mode);

/* Makes the stores that the operations begin with, in the scratch folder. */
void sweep_make_templates(void);

/* Runs an operation once. 1: the fault has come. */
int sweep_run(const sweep_op *op, sweep_mode mode, const sweep_faults *faults,
              sweep_counts *counts);

#endif
