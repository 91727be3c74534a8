/* The cases of shared.c: one store, two handles, and hooks in their system calls. */
#ifndef FAULT_LIB_SHARED_H
#define FAULT_LIB_SHARED_H

#include <stddef.h>
#include <stdint.h>

#include "lib.h"
#include "lib_table.h"

enum { SHARED_LOCAL = 1, SHARED_SHARED = 2, SHARED_BOTH = 3, SHARED_SAVES_MAX = 400 };

/* A save that was answered with HF_OK. */
typedef struct shared_save {
  uint64_t number;
  uint64_t seq;
  char id[HF_ID_CHARS + 1];
} shared_save;

typedef struct shared_place {
  char path[FAULT_PATH_BYTES];
  int shared;
  int with_rows;   /* of log/rows; only where it is shared */
  int tells_count; /* as NFS does; only where it is shared */
  hf_store *first;
  hf_store *second;
  shared_save saves[SHARED_SAVES_MAX];
  size_t saves_count;
} shared_place;

typedef struct shared_case {
  const char *name;
  const char *text;
  int modes;
  void (*run)(shared_place *place);
} shared_case;

/* Each ends with a case without a name. */
extern const shared_case shared_mount_cases[]; /* what a mount answers */
extern const shared_case shared_other_cases[]; /* what others do meanwhile */
extern const shared_case shared_mark_cases[];

/* Makes a store, runs the case, and checks the store: every save that was answered stands there
 * once. */
enum { SHARED_AS_LOCAL, SHARED_WITHOUT_ROWS, SHARED_WITH_ROWS, SHARED_AS_NFS, SHARED_PLACES };
void shared_run(const shared_case *one, int which);

/* Saves document `number` under the key "run <number>". id NULL: the library's. Remembers what was
 * answered with HF_OK. */
int shared_save_try(shared_place *place, hf_store *store, uint64_t number, const char *id,
                    hf_saved *ret_saved, hf_error *reterr);
/* The same; must be HF_OK, and a new record. */
uint64_t shared_save_must(shared_place *place, hf_store *store, uint64_t number);

/* Puts hooks in force; they stay until the case ends, or shared_unhook. */
void shared_hook(void (*before)(void *context, fault_call *call),
                 void (*after)(void *context, fault_call *call), void *context);
void shared_unhook(void);

#endif
