/* The run whose power is cut: what was promised by it, and when. */
#ifndef FAULT_LIB_POWER_H
#define FAULT_LIB_POWER_H

#include <stddef.h>
#include <stdint.h>

#include "lib.h"

#define POWER_NEVER SIZE_MAX

enum { POWER_PROMISES_MAX = 400, POWER_SHOWN_MAX = 1024 };

typedef struct power_mode {
  const char *name;
  const char *locker;
  int shared;
  int rename;
  int pack; /* another workload: one tile is filled and packed; cut from there on */
  int journal;
  int gc;     /* another one: documents are dropped, and their tile is written anew */
  int edge;   /* another one: over a tile's edge; cut from just before it */
  int copies; /* with edge: another one: a part that begins with a copy of a loose record */
  int cut;    /* another one: over the end of a full part */
  int back;   /* another one: journal mode ends and begins again within a tile */
  int left; /* the same; who lets it begin again gets no answer, and his name is not durable; 2: it
             * is a tile's last record, and the part of the next tile is there */
  int failed;     /* another one: it begins again, and the first flush fails */
  unsigned times; /* so many times as many outcomes by chance; 0: once */
} power_mode;

/* A save: which document, under which id, and what was answered. Positions are those of lib_disk.h.
 */
typedef struct power_promise {
  size_t begun;
  size_t done; /* POWER_NEVER: not answered yet */
  uint64_t document;
  size_t document_bytes;
  char run_id[32];
  int id_given;
  char id[HF_ID_CHARS + 1];
  uint64_t seq;
  int created;
  int may_go; /* gc may drop its document */
} power_promise;

/* A record that a reader got to see. */
typedef struct power_shown {
  size_t position;
  uint64_t seq;
  uint64_t line_hash;
} power_shown;

/* An answer of hf_resolve. seq 0: never. */
typedef struct power_resolved {
  size_t position;
  char id[HF_ID_CHARS + 1];
  uint64_t seq;
} power_resolved;

typedef struct power_run {
  const power_mode *mode;
  size_t init_done;
  size_t cut_from;
  size_t gc_begun; /* gc: before it no document is dropped */
  size_t gc_done;  /* and behind it those that may go are */
  power_promise promises[POWER_PROMISES_MAX];
  size_t promises_count;
  power_shown shown[POWER_SHOWN_MAX];
  size_t shown_count;
  power_resolved resolved[16];
  size_t resolved_count;
} power_run;

#define POWER_STORE "parent/store" /* below the disk's root */

/* hf_init_options.mode of its store. */
const char *power_mode_of_new(const power_mode *mode);

/* Runs the workload on the disk `root` and fills *run. */
void power_record(const power_mode *mode, const char *root, power_run *run);

/* Checks what a cut at `position` has left in `root`, and goes on working there. Answers whether
 * the mark had to be repaired. */
size_t power_check(const power_run *run, size_t position, const char *root);

/* Opens a store of this mode. */
hf_store *power_open(const power_mode *mode, const char *root);

#endif
