/* Which elements of two lists belong together.
 *
 * In order: what both begin with and end with, then, in between, the longest common subsequence,
 * found over a table of all pairs, so of bounded size; what lies between two common elements is
 * laid side by side. Where the table would be too large, lists of the same length are laid side by
 * side (a list of measurements that has noise in each), others are taken as a whole. */
#include "diff_walk.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"

#include "banned.h"

static int collect(const hf_json_tree *tree, uint32_t list, hf_diff_ids *out) {
  out->count = 0;
  for (uint32_t child = 0; hf_json_tree_next(tree, list, &child) == 1;)
    if (hf_diff_ids_add(out, child) != HF_OK)
      return HF_ENOMEM;
  return HF_OK;
}

/* ---- in order ---- */

/* Two stretches that are laid against each other. */
typedef struct stretch {
  hf_walk *walk;
  const uint32_t *a; /* all elements */
  const uint32_t *b;
  size_t a_from, a_to;
  size_t b_from, b_to;
} stretch;

static uint64_t a_hash(const stretch *s, size_t i) {
  return s->walk->a->nodes[s->a[i]].hash;
}

static uint64_t b_hash(const stretch *s, size_t j) {
  return s->walk->b->nodes[s->b[j]].hash;
}

static int add(const stretch *s, size_t i, size_t j, int has_a, int has_b) {
  hf_diff_pair pair = {has_a ? s->a[i] : HF_DIFF_NONE, has_b ? s->b[j] : HF_DIFF_NONE, (uint32_t)i,
                       (uint32_t)j};
  return hf_diff_pairs_add(&s->walk->pairs, pair);
}

/* Side by side from (i, j) to (i_to, j_to), and what is left of one of them alone. */
static int add_beside(const stretch *s, size_t i, size_t i_to, size_t j, size_t j_to) {
  int status = HF_OK;
  while (status == HF_OK && (i < i_to || j < j_to)) {
    int has_a = i < i_to, has_b = j < j_to;
    status = add(s, i, j, has_a, has_b);
    i += (size_t)has_a;
    j += (size_t)has_b;
  }
  return status;
}

/* The longest common subsequence: table[i][j] is its length from the i-th and j-th element on. */
static int add_common(const stretch *s) {
  size_t m = s->a_to - s->a_from, n = s->b_to - s->b_from, row = n + 1;
  hf_autofree uint16_t *table = calloc((m + 1) * row, sizeof *table);
  if (table == NULL)
    return HF_ENOMEM;
  for (size_t i = m; i-- > 0;) {
    uint64_t hash = a_hash(s, s->a_from + i);
    for (size_t j = n; j-- > 0;) {
      uint16_t below = table[(i + 1) * row + j], right = table[i * row + j + 1];
      uint16_t best = below > right ? below : right;
      if (hash == b_hash(s, s->b_from + j))
        best = (uint16_t)(table[(i + 1) * row + j + 1] + 1);
      table[i * row + j] = best;
    }
  }
  size_t i = 0, j = 0, i_open = 0, j_open = 0; /* what is not laid anywhere yet */
  int status = HF_OK;
  while (status == HF_OK && i < m && j < n) {
    if (a_hash(s, s->a_from + i) == b_hash(s, s->b_from + j)) {
      status = add_beside(s, s->a_from + i_open, s->a_from + i, s->b_from + j_open, s->b_from + j);
      if (status == HF_OK)
        status = add(s, s->a_from + i, s->b_from + j, 1, 1);
      i_open = ++i;
      j_open = ++j;
    } else if (table[(i + 1) * row + j] >= table[i * row + j + 1]) {
      i++;
    } else {
      j++;
    }
  }
  if (status == HF_OK)
    status = add_beside(s, s->a_from + i_open, s->a_to, s->b_from + j_open, s->b_to);
  return status;
}

/* 1, 0 (too many pairs) or HF_ENOMEM. */
static int add_middle(const stretch *s) {
  uint64_t m = s->a_to - s->a_from, n = s->b_to - s->b_from;
  int status = HF_OK;
  if (m == 0 || n == 0 || (m == 1 && n == 1)) {
    status = add_beside(s, s->a_from, s->a_to, s->b_from, s->b_to);
  } else if (m <= HF_DIFF_LIST_PAIRS_MAX / n && m * n <= s->walk->pairs_left) {
    s->walk->pairs_left -= m * n;
    status = add_common(s);
  } else if (m == n) {
    status = add_beside(s, s->a_from, s->a_to, s->b_from, s->b_to);
  } else {
    return 0;
  }
  return status == HF_OK ? 1 : status;
}

/* For a patch: from the end to the beginning, so that no change moves what a later one means; of
 * elements that are alone, the removals from the last on, the additions from the first on, each at
 * the place that it has when its turn comes. */
static void turn_around(hf_diff_pairs *pairs) {
  for (size_t i = 0, j = pairs->count; i + 1 < j; i++) {
    hf_diff_pair kept = pairs->pairs[i];
    pairs->pairs[i] = pairs->pairs[--j];
    pairs->pairs[j] = kept;
  }
  for (size_t i = 0; i < pairs->count;) {
    size_t end = i;
    while (end < pairs->count && pairs->pairs[end].a == HF_DIFF_NONE)
      end++;
    for (size_t from = i, to = end; from + 1 < to; from++) {
      hf_diff_pair kept = pairs->pairs[from];
      pairs->pairs[from] = pairs->pairs[--to];
      pairs->pairs[to] = kept;
    }
    for (size_t from = i; from < end; from++) /* they follow the same element of a */
      pairs->pairs[from].a_index = pairs->pairs[i].a_index + (uint32_t)(from - i);
    i = end > i ? end : i + 1;
  }
}

static int lay(hf_walk *walk, const hf_diff_ids *a, const hf_diff_ids *b) {
  stretch s = {walk, a->ids, b->ids, 0, a->count, 0, b->count};
  size_t common = a->count < b->count ? a->count : b->count;
  int status = HF_OK;
  while (status == HF_OK && s.a_from < common && a_hash(&s, s.a_from) == b_hash(&s, s.b_from)) {
    status = add(&s, s.a_from, s.b_from, 1, 1);
    s.a_from++;
    s.b_from++;
  }
  while (s.a_to > s.a_from && s.b_to > s.b_from &&
         a_hash(&s, s.a_to - 1) == b_hash(&s, s.b_to - 1)) {
    s.a_to--;
    s.b_to--;
  }
  if (status != HF_OK)
    return status;
  int laid = add_middle(&s);
  if (laid == 1 && add_beside(&s, s.a_to, a->count, s.b_to, b->count) != HF_OK)
    return HF_ENOMEM;
  if (laid == 1 && walk->rules == NULL)
    turn_around(&walk->pairs);
  return laid;
}

int hf_walk_elements(hf_walk *walk, uint32_t a, uint32_t b) {
  hf_diff_ids of_a = {0}, of_b = {0};
  walk->pairs.count = 0;
  int status = collect(walk->a, a, &of_a);
  if (status == HF_OK)
    status = collect(walk->b, b, &of_b);
  if (status == HF_OK)
    status = lay(walk, &of_a, &of_b);
  free(of_a.ids);
  free(of_b.ids);
  return status;
}

/* ---- as sets ---- */

typedef struct element {
  uint64_t hash;
  uint32_t node;
  uint32_t index;
} element;

static int compare_elements(const void *a, const void *b) {
  const element *x = a, *y = b;
  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  return (x->node > y->node) - (x->node < y->node);
}

/* Sorted by hash; the first of those that stand more than once. The caller frees *ret_elements. */
static int distinct(const hf_json_tree *tree, uint32_t list, element **ret_elements,
                    size_t *ret_count) {
  size_t count = 0, kept = 0;
  for (uint32_t child = 0; hf_json_tree_next(tree, list, &child) == 1;)
    count++;
  element *found = malloc((count + 1) * sizeof *found);
  if (found == NULL)
    return HF_ENOMEM;
  count = 0;
  for (uint32_t child = 0; hf_json_tree_next(tree, list, &child) == 1; count++)
    found[count] = (element){tree->nodes[child].hash, child, (uint32_t)count};
  qsort(found, count, sizeof *found, compare_elements);
  for (size_t i = 0; i < count; i++) {
    int equal = kept > 0 && found[kept - 1].hash == found[i].hash
                    ? hf_json_tree_equal(tree, found[kept - 1].node, tree, found[i].node)
                    : 0;
    if (equal < 0) {
      free(found);
      return equal;
    }
    if (equal == 0)
      found[kept++] = found[i];
  }
  *ret_elements = found;
  *ret_count = kept;
  return HF_OK;
}

static int join(hf_walk *walk, const element *a, size_t a_count, const element *b, size_t b_count) {
  size_t i = 0, j = 0;
  while (i < a_count || j < b_count) {
    hf_diff_pair pair = {HF_DIFF_NONE, HF_DIFF_NONE, 0, 0};
    int order = i == a_count            ? 1
                : j == b_count          ? -1
                : a[i].hash < b[j].hash ? -1
                                        : a[i].hash > b[j].hash;
    if (order == 0) {
      int equal = hf_walk_equal(walk, a[i].node, b[j].node);
      if (equal < 0)
        return equal;
      order = equal ? 0 : -1; /* other values of one hash: told as they come */
    }
    if (order <= 0) {
      pair.a = a[i].node;
      pair.a_index = a[i++].index;
    }
    if (order >= 0) {
      pair.b = b[j].node;
      pair.b_index = b[j++].index;
    }
    if ((order != 0 || walk->all) && hf_diff_pairs_add(&walk->pairs, pair) != HF_OK)
      return HF_ENOMEM;
  }
  return HF_OK;
}

static int compare_pairs(const void *a, const void *b) {
  const hf_diff_pair *x = a, *y = b;
  if (x->a != y->a)
    return x->a < y->a ? -1 : 1;
  return (x->b > y->b) - (x->b < y->b);
}

int hf_walk_sets(hf_walk *walk, uint32_t a, uint32_t b) {
  hf_autofree element *of_a = NULL;
  hf_autofree element *of_b = NULL;
  size_t a_count = 0, b_count = 0;
  walk->pairs.count = 0;
  int status = distinct(walk->a, a, &of_a, &a_count);
  if (status == HF_OK)
    status = distinct(walk->b, b, &of_b, &b_count);
  if (status == HF_OK)
    status = join(walk, of_a, a_count, of_b, b_count);
  if (status == HF_OK && walk->pairs.count > 0)
    qsort(walk->pairs.pairs, walk->pairs.count, sizeof *walk->pairs.pairs, compare_pairs);
  return status;
}
