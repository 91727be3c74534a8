/* Which leaves of the documents become columns, and of which type. A plan is made by looking at
 * every snapshot once (hf_cli_plan_look), finished, and then asked while they are written.
 *
 * It depends on the snapshots and their order alone: the same snapshots, the same columns. */
#ifndef HF_CLI_EXPORT_PLAN_H
#define HF_CLI_EXPORT_PLAN_H

#include "export_cell.h"

#include <holdfast/holdfast.h>

enum {
  HF_CLI_PLAN_COLUMNS_MAX = 500,       /* of a sheet: those that most snapshots have */
  HF_CLI_PLAN_SHEETS_MAX = 1000,       /* those whose stage came first */
  HF_CLI_PLAN_POINTER_BYTES_MAX = 512, /* a longer one gets no column */
  HF_CLI_PLAN_LEAVES_MAX = 100000      /* that are counted; those that came first */
};

/* One leaf that was seen. */
typedef struct hf_cli_plan_leaf {
  const char *pointer;
  size_t pointer_bytes;
  uint64_t hash;
  size_t sheet;
  unsigned seen;         /* bits: 1 << hf_cli_cell_type */
  int has_strings;       /* some are strings */
  int lost_by_real;      /* an integer among them is no double */
  uint64_t count;        /* snapshots that have it */
  hf_cli_cell_type type; /* of its column: TEXT where the values are of several types */
  int is_mixed;          /* TEXT, and not all of them strings */
  size_t column;         /* of its sheet, from 0; SIZE_MAX: it has none */
  char *name;            /* the column's; the pointer, with " (2)" where another has it */
} hf_cli_plan_leaf;

/* The columns of one stage, or of all snapshots. */
typedef struct hf_cli_plan_sheet {
  char *stage; /* NULL: of all */
  uint64_t rows;
  size_t leaves;   /* that were seen and counted */
  size_t *columns; /* the leaves, by their places in the plan, as they came first */
  size_t columns_count;
} hf_cli_plan_sheet;

typedef struct hf_cli_plan hf_cli_plan;

/* by_stage: a sheet for each stage; else one for all. NULL: out of memory. */
hf_cli_plan *hf_cli_plan_begin(int by_stage);
void hf_cli_plan_free(hf_cli_plan **plan);

/* Takes a snapshot into account. 0, or -1: out of memory. */
int hf_cli_plan_look(hf_cli_plan *plan, const hf_record *record);

/* Chooses the columns and their types. names_fold: names that differ in the case of ASCII letters
 * alone count as the same. 0, or -1: out of memory. */
int hf_cli_plan_finish(hf_cli_plan *plan, int names_fold);

size_t hf_cli_plan_sheets_count(const hf_cli_plan *plan);
const hf_cli_plan_sheet *hf_cli_plan_sheet_at(const hf_cli_plan *plan, size_t place);
const hf_cli_plan_leaf *hf_cli_plan_leaf_at(const hf_cli_plan *plan, size_t place);

/* The place of a snapshot's sheet; SIZE_MAX: it has none. */
size_t hf_cli_plan_sheet_of(const hf_cli_plan *plan, const char *stage);

/* The leaf of this pointer that has a column in the sheet, or NULL. */
const hf_cli_plan_leaf *hf_cli_plan_find(const hf_cli_plan *plan, size_t sheet,
                                         const hf_leaf *leaf);

/* How many leaves were seen that have no column. *ret_uncounted: 1: and more that were not counted.
 */
uint64_t hf_cli_plan_left_out(const hf_cli_plan *plan, int *ret_uncounted);

/* How many snapshots are of a stage that has no sheet. */
uint64_t hf_cli_plan_without_sheet(const hf_cli_plan *plan);

#endif
