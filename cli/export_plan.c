#include "export_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SLOTS_FIRST = 1024, SUFFIX_BYTES = 24 };

struct hf_cli_plan {
  int by_stage;
  hf_cli_plan_sheet *sheets;
  size_t sheets_count;
  size_t sheet_last; /* the one that was asked for last: runs of one stage are the rule */
  hf_cli_plan_leaf *leaves;
  size_t leaves_count;
  size_t leaves_allocated;
  size_t *slots; /* 1 + the place of a leaf, by its hash; a power of two of them */
  size_t slots_count;
  int uncounted;
  uint64_t without_sheet;
};

/* ---- finding ---- */

static uint64_t hash_of(size_t sheet, const char *text, size_t bytes) {
  uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ (uint64_t)sheet; /* FNV-1a */
  for (size_t i = 0; i < bytes; i++)
    hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
  return hash ^ hash >> 32;
}

/* The leaf's place, or SIZE_MAX and in *ret_slot where it would go. */
static size_t look_up(const hf_cli_plan *plan, size_t sheet, const char *pointer, size_t bytes,
                      uint64_t hash, size_t *ret_slot) {
  size_t mask = plan->slots_count - 1;
  size_t at = (size_t)hash & mask;
  for (; plan->slots[at] != 0; at = (at + 1) & mask) {
    const hf_cli_plan_leaf *leaf = &plan->leaves[plan->slots[at] - 1];
    if (leaf->hash == hash && leaf->sheet == sheet && leaf->pointer_bytes == bytes &&
        memcmp(leaf->pointer, pointer, bytes) == 0)
      return plan->slots[at] - 1;
  }
  *ret_slot = at;
  return SIZE_MAX;
}

const hf_cli_plan_leaf *hf_cli_plan_find(const hf_cli_plan *plan, size_t sheet,
                                         const hf_leaf *leaf) {
  size_t slot = 0;
  size_t found = look_up(plan, sheet, leaf->pointer, leaf->pointer_bytes,
                         hash_of(sheet, leaf->pointer, leaf->pointer_bytes), &slot);
  if (found == SIZE_MAX || plan->leaves[found].column == SIZE_MAX)
    return NULL;
  return &plan->leaves[found];
}

size_t hf_cli_plan_sheet_of(const hf_cli_plan *plan, const char *stage) {
  if (!plan->by_stage)
    return 0;
  if (plan->sheet_last < plan->sheets_count &&
      strcmp(plan->sheets[plan->sheet_last].stage, stage) == 0)
    return plan->sheet_last;
  for (size_t i = 0; i < plan->sheets_count; i++)
    if (strcmp(plan->sheets[i].stage, stage) == 0)
      return i;
  return SIZE_MAX;
}

/* ---- growing ---- */

static int rehash(hf_cli_plan *plan) {
  size_t count = plan->slots_count * 2;
  size_t *slots = calloc(count, sizeof *slots);
  if (slots == NULL)
    return -1;
  for (size_t i = 0; i < plan->leaves_count; i++) {
    size_t at = (size_t)plan->leaves[i].hash & (count - 1);
    while (slots[at] != 0)
      at = (at + 1) & (count - 1);
    slots[at] = i + 1;
  }
  free(plan->slots);
  plan->slots = slots;
  plan->slots_count = count;
  return 0;
}

static int grow_leaves(hf_cli_plan *plan) {
  if (plan->leaves_count < plan->leaves_allocated)
    return 0;
  size_t grown = plan->leaves_allocated * 2 + 64;
  hf_cli_plan_leaf *leaves = realloc(plan->leaves, grown * sizeof *leaves);
  if (leaves == NULL)
    return -1;
  plan->leaves = leaves;
  plan->leaves_allocated = grown;
  return 0;
}

/* The place of a new leaf, or SIZE_MAX: out of memory. */
static size_t add_leaf(hf_cli_plan *plan, size_t sheet, const hf_leaf *leaf, uint64_t hash,
                       size_t slot) {
  if (grow_leaves(plan) != 0)
    return SIZE_MAX;
  char *pointer = strdup(leaf->pointer);
  if (pointer == NULL)
    return SIZE_MAX;
  size_t place = plan->leaves_count++;
  plan->leaves[place] = (hf_cli_plan_leaf){.pointer = pointer,
                                           .pointer_bytes = leaf->pointer_bytes,
                                           .hash = hash,
                                           .sheet = sheet,
                                           .column = SIZE_MAX};
  plan->slots[slot] = place + 1;
  plan->sheets[sheet].leaves++;
  if (plan->leaves_count * 2 > plan->slots_count && rehash(plan) != 0)
    return SIZE_MAX;
  return place;
}

static int add_sheet(hf_cli_plan *plan, const char *stage) {
  hf_cli_plan_sheet *sheets =
      realloc(plan->sheets, (plan->sheets_count + 1) * sizeof *plan->sheets);
  if (sheets == NULL)
    return -1;
  plan->sheets = sheets;
  char *copy = stage != NULL ? strdup(stage) : NULL;
  if (stage != NULL && copy == NULL)
    return -1;
  sheets[plan->sheets_count++] = (hf_cli_plan_sheet){.stage = copy};
  return 0;
}

hf_cli_plan *hf_cli_plan_begin(int by_stage) {
  hf_cli_plan *plan = calloc(1, sizeof *plan);
  if (plan == NULL)
    return NULL;
  plan->by_stage = by_stage;
  plan->slots_count = SLOTS_FIRST;
  plan->slots = calloc(SLOTS_FIRST, sizeof *plan->slots);
  if (plan->slots == NULL || (!by_stage && add_sheet(plan, NULL) != 0))
    hf_cli_plan_free(&plan);
  return plan;
}

void hf_cli_plan_free(hf_cli_plan **plan) {
  if (*plan == NULL)
    return;
  for (size_t i = 0; i < (*plan)->leaves_count; i++) {
    free((char *)(*plan)->leaves[i].pointer);
    free((*plan)->leaves[i].name);
  }
  for (size_t i = 0; i < (*plan)->sheets_count; i++) {
    free((*plan)->sheets[i].stage);
    free((*plan)->sheets[i].columns);
  }
  free((*plan)->leaves);
  free((*plan)->sheets);
  free((*plan)->slots);
  free(*plan);
  *plan = NULL;
}

/* ---- looking ---- */

typedef struct look {
  hf_cli_plan *plan;
  size_t sheet;
  int failed;
} look;

static int look_at_leaf(void *context, const hf_leaf *leaf) {
  look *on = context;
  hf_cli_plan *plan = on->plan;
  if (leaf->pointer_bytes > HF_CLI_PLAN_POINTER_BYTES_MAX) {
    plan->uncounted = 1;
    return 0;
  }
  size_t slot = 0;
  uint64_t hash = hash_of(on->sheet, leaf->pointer, leaf->pointer_bytes);
  size_t place = look_up(plan, on->sheet, leaf->pointer, leaf->pointer_bytes, hash, &slot);
  if (place == SIZE_MAX && plan->leaves_count >= HF_CLI_PLAN_LEAVES_MAX) {
    plan->uncounted = 1;
    return 0;
  }
  if (place == SIZE_MAX)
    place = add_leaf(plan, on->sheet, leaf, hash, slot);
  on->failed = place == SIZE_MAX;
  if (on->failed)
    return 1;
  hf_cli_plan_leaf *of = &plan->leaves[place];
  hf_cli_cell_type type = hf_cli_leaf_cell_type(leaf);
  of->seen |= 1U << type;
  of->count++;
  of->has_strings |= leaf->type == HF_LEAF_STRING;
  of->is_mixed |= leaf->type != HF_LEAF_STRING && leaf->type != HF_LEAF_NULL;
  if (type == HF_CLI_CELL_INTEGER && !of->lost_by_real)
    of->lost_by_real = !hf_cli_leaf_is_real(leaf);
  return 0;
}

int hf_cli_plan_look(hf_cli_plan *plan, const hf_record *record) {
  const char *stage = record->stage != NULL ? record->stage : "";
  size_t sheet = hf_cli_plan_sheet_of(plan, stage);
  if (sheet == SIZE_MAX && plan->sheets_count < HF_CLI_PLAN_SHEETS_MAX) {
    if (add_sheet(plan, stage) != 0)
      return -1;
    sheet = plan->sheets_count - 1;
  }
  if (sheet == SIZE_MAX) {
    plan->without_sheet++;
    return 0;
  }
  plan->sheet_last = sheet;
  plan->sheets[sheet].rows++;
  look on = {.plan = plan, .sheet = sheet};
  if (record->doc == NULL)
    return 0;
  int status = hf_json_leaves(record->doc, record->doc_bytes, look_at_leaf, &on, NULL);
  return status == HF_OK && !on.failed ? 0 : -1;
}

/* ---- choosing ---- */

static int by_count(const void *a, const void *b) {
  const hf_cli_plan_leaf *x = *(const hf_cli_plan_leaf *const *)a;
  const hf_cli_plan_leaf *y = *(const hf_cli_plan_leaf *const *)b;
  if (x->count != y->count)
    return x->count > y->count ? -1 : 1;
  return x < y ? -1 : x > y; /* the order in which they came */
}

static int by_place(const void *a, const void *b) {
  size_t x = *(const size_t *)a;
  size_t y = *(const size_t *)b;
  return x < y ? -1 : x > y;
}

static void choose_type(hf_cli_plan_leaf *leaf) {
  static const unsigned null_bit = 1U << HF_CLI_CELL_NULL;
  static const unsigned integer_bit = 1U << HF_CLI_CELL_INTEGER;
  static const unsigned real_bit = 1U << HF_CLI_CELL_REAL;
  unsigned seen = leaf->seen & ~null_bit;
  if (seen == 1U << HF_CLI_CELL_BOOLEAN)
    leaf->type = HF_CLI_CELL_BOOLEAN;
  else if (seen == integer_bit)
    leaf->type = HF_CLI_CELL_INTEGER;
  else if (seen == real_bit || (seen == (integer_bit | real_bit) && !leaf->lost_by_real))
    leaf->type = HF_CLI_CELL_REAL;
  else
    leaf->type = HF_CLI_CELL_TEXT;
  leaf->is_mixed = leaf->is_mixed && leaf->type == HF_CLI_CELL_TEXT;
}

static int name_taken(const hf_cli_plan *plan, const hf_cli_plan_sheet *sheet, size_t before,
                      const char *name, int names_fold) {
  for (size_t i = 0; i < before; i++) {
    const char *other = plan->leaves[sheet->columns[i]].name;
    if ((names_fold ? strcasecmp(other, name) : strcmp(other, name)) == 0)
      return 1;
  }
  return 0;
}

static int choose_name(hf_cli_plan *plan, const hf_cli_plan_sheet *sheet, size_t column,
                       int names_fold) {
  hf_cli_plan_leaf *leaf = &plan->leaves[sheet->columns[column]];
  size_t bytes = leaf->pointer_bytes + SUFFIX_BYTES;
  leaf->name = malloc(bytes);
  if (leaf->name == NULL)
    return -1;
  (void)snprintf(leaf->name, bytes, "%s", leaf->pointer);
  for (size_t i = 2; name_taken(plan, sheet, column, leaf->name, names_fold); i++)
    (void)snprintf(leaf->name, bytes, "%s (%zu)", leaf->pointer, i);
  return 0;
}

/* leaves: room for all of the plan. */
static int finish_sheet(hf_cli_plan *plan, size_t place, hf_cli_plan_leaf **leaves, size_t count,
                        int names_fold) {
  hf_cli_plan_sheet *sheet = &plan->sheets[place];
  qsort(leaves, count, sizeof *leaves, by_count);
  sheet->columns_count = count < HF_CLI_PLAN_COLUMNS_MAX ? count : HF_CLI_PLAN_COLUMNS_MAX;
  if (sheet->columns_count == 0)
    return 0;
  sheet->columns = calloc(sheet->columns_count, sizeof *sheet->columns);
  if (sheet->columns == NULL)
    return -1;
  for (size_t i = 0; i < sheet->columns_count; i++)
    sheet->columns[i] = (size_t)(leaves[i] - plan->leaves);
  qsort(sheet->columns, sheet->columns_count, sizeof *sheet->columns, by_place);
  for (size_t i = 0; i < sheet->columns_count; i++) {
    plan->leaves[sheet->columns[i]].column = i;
    choose_type(&plan->leaves[sheet->columns[i]]);
    if (choose_name(plan, sheet, i, names_fold) != 0)
      return -1;
  }
  return 0;
}

int hf_cli_plan_finish(hf_cli_plan *plan, int names_fold) {
  hf_cli_plan_leaf **all = calloc(plan->leaves_count + 1, sizeof(hf_cli_plan_leaf *));
  size_t *starts = calloc(plan->sheets_count + 1, sizeof *starts);
  int failed = all == NULL || starts == NULL;
  size_t start = 0;
  for (size_t i = 0; !failed && i < plan->sheets_count; i++) {
    starts[i] = start;
    start += plan->sheets[i].leaves;
  }
  for (size_t i = 0; !failed && i < plan->leaves_count; i++)
    all[starts[plan->leaves[i].sheet]++] = &plan->leaves[i];
  for (size_t i = 0; !failed && i < plan->sheets_count; i++) {
    size_t count = plan->sheets[i].leaves;
    failed = finish_sheet(plan, i, all + starts[i] - count, count, names_fold) != 0;
  }
  free(all);
  free(starts);
  return failed ? -1 : 0;
}

/* ---- asking ---- */

size_t hf_cli_plan_sheets_count(const hf_cli_plan *plan) {
  return plan->sheets_count;
}

const hf_cli_plan_sheet *hf_cli_plan_sheet_at(const hf_cli_plan *plan, size_t place) {
  return &plan->sheets[place];
}

const hf_cli_plan_leaf *hf_cli_plan_leaf_at(const hf_cli_plan *plan, size_t place) {
  return &plan->leaves[place];
}

uint64_t hf_cli_plan_left_out(const hf_cli_plan *plan, int *ret_uncounted) {
  uint64_t columns = 0;
  for (size_t i = 0; i < plan->sheets_count; i++)
    columns += plan->sheets[i].columns_count;
  *ret_uncounted = plan->uncounted;
  return plan->leaves_count - columns;
}

uint64_t hf_cli_plan_without_sheet(const hf_cli_plan *plan) {
  return plan->without_sheet;
}
