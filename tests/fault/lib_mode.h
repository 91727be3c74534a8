/* Changes of a store's locker: lockers that note who holds them, and the check that nobody links a
 * record behind a change without holding the new one.
 *
 *     alpha, beta    flock under other names, each on a file beside the store
 *     away           a locker whose backend cannot be reached
 *
 * What was held at each link is noted in memory that processes share. A locker that is closed while
 * a call is inside it fails the test. */
#ifndef FAULT_LIB_MODE_H
#define FAULT_LIB_MODE_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib.h"

enum { MODE_SEQS_MAX = 1 << 15, MODE_SCHEME_BYTES = 8, MODE_SAVES_MAX = 1 << 13 };

typedef struct mode_save {
  _Atomic int state; /* 0: not begun, 1: begun, 2: answered with HF_OK */
  int64_t began_us;
  int64_t ended_us;
  uint64_t seq;
} mode_save;

typedef struct mode_shared {
  char under[MODE_SEQS_MAX][MODE_SCHEME_BYTES]; /* by seq: what was held at the link; "": unknown */
  _Atomic uint64_t next;                        /* save */
  _Atomic uint64_t changes;                     /* that were answered */
  mode_save saves[MODE_SAVES_MAX];
} mode_shared;

extern mode_shared *mode_all;

/* Registers the lockers and puts the table in force that notes. Once. */
void mode_begin(void);

/* Forgets what was noted. */
void mode_forget(void);

/* From now on alpha or beta cannot be reached (in this process), or can be again. Who waits for it
 * goes on waiting. */
void mode_put_away(const char *scheme, int yes);

/* The ops of "alpha" or "beta". */
const hf_locker_ops *mode_locker(const char *scheme);

/* Saves the next number, within timeout_ms. */
void mode_save_next(hf_store *store, int64_t timeout_ms);

/* Reads the store back: every record was linked under the locker that the records before it tell,
 * every answered save is there once, at its seq and in the order of time. `killed`: a process may
 * have died before it noted, or was answered. Answers how many changes there are. */
size_t mode_check(const char *path, int killed);

/* Eight processes save, two change the locker, all are killed and replaced again and again. */
void mode_storm(const char *path);

#endif
