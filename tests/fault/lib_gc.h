/* The cases of gc.c. */
#ifndef FAULT_LIB_GC_H
#define FAULT_LIB_GC_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib.h"

enum { GC_GROUPS = 3, GC_BYTES = 200, GC_SAVES_MAX = 1 << 17 };

/* What was acknowledged: in memory that the processes share. */
typedef struct gc_shared {
  _Atomic uint64_t next; /* document */
  _Atomic uint64_t head; /* the highest seq that was acknowledged */
  _Atomic int done;
  _Atomic uint64_t gcs, reads, verified, retires;
  _Atomic uint64_t seq_of[GC_SAVES_MAX]; /* by document; 0: not acknowledged */
  _Atomic char hidden[GC_SAVES_MAX];     /* 1: it was hidden once, and may have been dropped then */
} gc_shared;

extern gc_shared *gc_all;
extern char gc_path[FAULT_PATH_BYTES]; /* of the store */
extern uint64_t gc_seed;

void gc_make_store(const char *locker, const char *mode);

/* Document `number`, in its group. Its seq. */
uint64_t gc_save_document(hf_store *store, const char *run_id, uint64_t number, size_t bytes,
                          hf_saved *ret_saved);
/* The next document, of a run of its own. */
uint64_t gc_save(hf_store *store, uint64_t *ret_number);

int gc_collect(hf_store *store, uint64_t keep_last, hf_gc_report *ret_report, hf_error *reterr);
void gc_must_collect(hf_store *store, uint64_t keep_last, hf_gc_report *ret_report);

/* Its document, or why not: fails where it is another one. */
int gc_get(hf_store *store, uint64_t seq, uint64_t number, size_t bytes, hf_error *reterr);
void gc_must_get(hf_store *store, uint64_t seq, uint64_t number, size_t bytes);

pid_t gc_start(void);

typedef struct gc_case {
  const char *name;
  void (*run)(void);
} gc_case;

extern const gc_case gc_cases[]; /* in which somebody is stopped; ends with one without a name */
void gc_killed(void);

/* This program again: a gc (keep: so many), or a writer of the blob. */
_Noreturn void gc_run_sleeper(const char *store_path, uint64_t keep);

#endif
