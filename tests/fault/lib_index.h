/* A store whose every answer is known: what index.c compares with. */
#ifndef FAULT_LIB_INDEX_H
#define FAULT_LIB_INDEX_H

#include <stdint.h>

#include "lib.h"

enum { INDEX_RECORDS_MAX = 1 << 13, INDEX_RUNS = 61, INDEX_GROUPS = 7 };

typedef struct index_case {
  const char *name;
  void (*run)(void);
} index_case;

extern const index_case index_cases[]; /* ends with one without a name */
void index_mapped(void);               /* of them */
void index_replaced(void);

/* Which question the seqs of one walk answer. run: -1: any; group: -1: any. */
typedef struct index_walk {
  int run;
  int group;
  int all_revisions;
  int reverse;
  int is_history; /* of run; else a list */
} index_walk;

/* A new store, empty. */
const char *index_store_make(void);
/* A new handle of it; shared: as on a filesystem that hosts share, where indexes are read by
 * pread. */
hf_store *index_open(int shared);

/* Saves records until there are so many; the model knows what they are. Some keys have the same
 * document as others at the same time. */
void index_save_up_to(hf_store *store, uint64_t head);
void index_pack(hf_store *store);

/* Begins a walk. */
hf_cursor *index_walk_begin(hf_store *store, const index_walk *walk);
/* What it must answer, in order: the count. */
size_t index_walk_expected(const index_walk *walk, uint64_t seqs[INDEX_RECORDS_MAX]);
/* Answers that are all right: head, get, prev, list, history. */
void index_compare(hf_store *store);
/* The same document for the same key makes no record, for another key it does; conditions hold. */
void index_judge(hf_store *store);

#endif
