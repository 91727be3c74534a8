/* Which members of two objects belong together. */
#include "diff_walk.h"

#include <stdlib.h>
#include <string.h>

#include "id.h"

#include "banned.h"

typedef struct named {
  const char *name;
  size_t bytes;
  uint64_t hash;
  uint32_t node;
} named;

typedef struct named_list {
  named *members;
  size_t count;
  size_t allocated;
  char **copies; /* of the names that do not stand in the text as they are */
  size_t copies_count;
} named_list;

static void free_list(named_list *list) {
  for (size_t i = 0; i < list->copies_count; i++)
    free(list->copies[i]);
  free(list->copies);
  free(list->members);
}

static int keep_copy(named_list *list, named *member) {
  char **grown = realloc(list->copies, (list->copies_count + 1) * sizeof *grown);
  if (grown == NULL)
    return HF_ENOMEM;
  list->copies = grown;
  char *copy = malloc(member->bytes + 1);
  if (copy == NULL)
    return HF_ENOMEM;
  memcpy(copy, member->name, member->bytes);
  list->copies[list->copies_count++] = copy;
  member->name = copy;
  return HF_OK;
}

static int collect(hf_walk *walk, const hf_json_tree *tree, uint32_t object, named_list *list) {
  if (object == HF_DIFF_NONE)
    return HF_OK;
  for (uint32_t child = 0; hf_json_tree_next(tree, object, &child) == 1;) {
    if (list->count == list->allocated) {
      size_t wanted = list->allocated == 0 ? 16 : list->allocated * 2;
      named *grown = realloc(list->members, wanted * sizeof *grown);
      if (grown == NULL)
        return HF_ENOMEM;
      list->members = grown;
      list->allocated = wanted;
    }
    named *member = &list->members[list->count];
    member->node = child;
    int status = hf_json_tree_name(tree, child, &walk->scratch, &member->name, &member->bytes);
    if (status == HF_OK && member->bytes > 0 && walk->scratch.data != NULL &&
        member->name == walk->scratch.data + 1)
      status = keep_copy(list, member);
    if (status != HF_OK)
      return status;
    member->hash = hf_hash64(0, member->name, member->bytes);
    list->count++;
  }
  return HF_OK;
}

/* Any order does: by hash, and by the names themselves where two have one hash. */
static int compare_names(const named *x, const named *y) {
  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  if (x->bytes != y->bytes)
    return x->bytes < y->bytes ? -1 : 1;
  return x->bytes > 0 ? memcmp(x->name, y->name, x->bytes) : 0;
}

static int compare_named(const void *a, const void *b) {
  return compare_names(a, b);
}

/* a's in their order (nodes rise along the text), then b's. */
static int compare_pairs(const void *a, const void *b) {
  const hf_diff_pair *x = a, *y = b;
  if (x->a != y->a)
    return x->a < y->a ? -1 : 1;
  return (x->b > y->b) - (x->b < y->b);
}

static int join(hf_walk *walk, named_list *a, named_list *b) {
  if (a->count > 0)
    qsort(a->members, a->count, sizeof *a->members, compare_named);
  if (b->count > 0)
    qsort(b->members, b->count, sizeof *b->members, compare_named);
  size_t i = 0, j = 0;
  while (i < a->count || j < b->count) {
    int order = i == a->count   ? 1
                : j == b->count ? -1
                                : compare_names(&a->members[i], &b->members[j]);
    hf_diff_pair pair = {HF_DIFF_NONE, HF_DIFF_NONE, 0, 0};
    if (order <= 0)
      pair.a = a->members[i++].node;
    if (order >= 0)
      pair.b = b->members[j++].node;
    if (hf_diff_pairs_add(&walk->pairs, pair) != HF_OK)
      return HF_ENOMEM;
  }
  if (walk->pairs.count > 0)
    qsort(walk->pairs.pairs, walk->pairs.count, sizeof *walk->pairs.pairs, compare_pairs);
  return HF_OK;
}

/* The same names in the same order, as one program writes them: 1; else 0, with walk->pairs empty.
 */
static int in_parallel(hf_walk *walk, uint32_t a, uint32_t b) {
  uint32_t x = 0, y = 0;
  for (;;) {
    int x_more = hf_json_tree_next(walk->a, a, &x), y_more = hf_json_tree_next(walk->b, b, &y);
    if (x_more == 0 && y_more == 0)
      return 1;
    const char *x_name = NULL, *y_name = NULL;
    size_t x_bytes = 0, y_bytes = 0;
    if (x_more == 0 || y_more == 0 ||
        hf_json_tree_name(walk->a, x, &walk->scratch, &x_name, &x_bytes) != HF_OK ||
        hf_json_tree_name(walk->b, y, &walk->scratch_other, &y_name, &y_bytes) != HF_OK ||
        x_bytes != y_bytes || memcmp(x_name, y_name, x_bytes) != 0 ||
        hf_diff_pairs_add(&walk->pairs, (hf_diff_pair){x, y, 0, 0}) != HF_OK)
      break;
  }
  walk->pairs.count = 0;
  return 0;
}

int hf_walk_members(hf_walk *walk, uint32_t a, uint32_t b) {
  walk->pairs.count = 0;
  if (a != HF_DIFF_NONE && b != HF_DIFF_NONE && in_parallel(walk, a, b) == 1)
    return HF_OK;
  named_list of_a = {0}, of_b = {0};
  int status = collect(walk, walk->a, a, &of_a);
  if (status == HF_OK)
    status = collect(walk, walk->b, b, &of_b);
  if (status == HF_OK)
    status = join(walk, &of_a, &of_b);
  free_list(&of_a);
  free_list(&of_b);
  return status;
}
