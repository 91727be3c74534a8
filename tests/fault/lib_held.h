/* Two handles, which stand for two processes, and what comes between the calls of one of them. */
#ifndef FAULT_LIB_HELD_H
#define FAULT_LIB_HELD_H

#include <semaphore.h>

#include "lib.h"
#include "lib_journal.h"
#include "lib_table.h"

#include "plant.h"

enum { HELD_SOON_MS = 2000, HELD_MARK_LEFT = 2 };

extern hf_store *held_main, *held_other;
extern __thread int held_is_other; /* this thread is of the other process */

/* The other one stops before a call of this kind on such a path, once. */
typedef struct held_stop {
  int is_armed;
  fault_kind kind;
  const char *end;
  sem_t reached, go;
  int fails; /* the next fdatasync of who is not the other one */
  void (*see)(const fault_call *call);
} held_stop_state;

extern held_stop_state held_stop;

/* Installs the table that sees to all this. */
void held_begin(void);
void held_before(void *context, fault_call *call); /* its hook */

/* Who saves by held_main meets this thread at a pause, once. */
void held_meet_at(hf_pause place, void *(*act)(void *));
int held_has_met(void);

void held_open_both(void);
/* A store in journal mode from its first record on, in a boot of its own. */
void held_make_store(void);

typedef struct held_save {
  char doc[JOURNAL_TEXT_BYTES];
  char run[JOURNAL_TEXT_BYTES];
  int status;
  hf_saved saved;
} held_save;

void held_do_save(held_save *one, hf_store *store);
void *held_save_as_other(void *one); /* a thread */

/* Closes both. What was acknowledged is there once, at its seq; the rest at most once; verify finds
 * nothing. */
void held_check(const held_save *saves, size_t count);

uint64_t held_head(hf_store *store);
void held_cut_mark(void);   /* log/mark, as a power loss may */
uint64_t held_marked(void); /* the records that log/mark covers */
/* Changes a bit of the part's line i (0: the first). */
void held_damage_line(unsigned i);

#endif
