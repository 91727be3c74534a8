/* The cases of pack.c. */
#ifndef FAULT_LIB_PACK_H
#define FAULT_LIB_PACK_H

#include <stdatomic.h>
#include <stdint.h>

#include "lib.h"

enum { PACK_SAVES_MAX = 1 << 16 };

typedef struct pack_case {
  const char *name;
  void (*run)(void);
} pack_case;

extern const pack_case pack_cases[]; /* ends with one without a name */
extern uint64_t pack_seed;
extern int64_t pack_pause_us; /* between the saves of a writer of "killed", at most */

/* What was acknowledged: in memory that the processes share. */
typedef struct pack_shared {
  _Atomic uint64_t next;          /* document */
  _Atomic uint64_t head_answered; /* the highest seq */
  _Atomic int done;
  _Atomic uint64_t verified, packs, reads;
  _Atomic uint64_t seq_of[PACK_SAVES_MAX]; /* by document; 0: not acknowledged */
} pack_shared;

extern pack_shared *pack_all;

void pack_begin(void);
/* Saves the next document; what is acknowledged is remembered. */
uint64_t pack_save(hf_store *store);
/* Every acknowledged save stands there once, at its seq, with its document, and nothing else that
 * was not begun; verify finds no damage. Answers the head. */
uint64_t pack_check(const char *path);

/* Processes. */
_Noreturn void pack_write(const char *path, uint64_t number);
_Noreturn void pack_read(const char *path);
_Noreturn void pack_verify(const char *path);
/* steps: it kills itself at that call; 0: not */
_Noreturn void pack_pack(const char *path, uint64_t steps);

_Noreturn void pack_sleep_and_save(const char *path);

/* lib_pack_merge.c */
void pack_merges(void);

#endif
