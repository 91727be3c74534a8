#include "json_tree.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "id.h"
#include "json_scan.h"
#include "plant.h"

#include "banned.h"

enum { FIRST_NODES = 64, FEW_MEMBERS = 16, OBJECT_SEED = 1, ARRAY_SEED = 2, SCALAR_SEED = 3 };

/* A container that is open. */
typedef struct open_node {
  uint32_t node;
} open_node;

typedef struct builder {
  hf_json_tree *tree;
  const char *end;
  open_node *open;
  size_t depth;
  size_t open_allocated;
  uint64_t *hashes; /* of an object's names, while it is closed */
  size_t hashes_allocated;
  hf_buf scratch;
  hf_buf scratch_other;
} builder;

static uint64_t mix(uint64_t seed, uint64_t a, uint64_t b) {
  uint64_t pair[2] = {a, b};
  return HF_TEST_HASH(hf_hash64(seed, pair, sizeof pair));
}

/* ---- names ---- */

static const char *name_end(const hf_json_tree *tree, const hf_json_node *node) {
  return hf_json_skip_string(tree->text + node->name, tree->text + node->at);
}

int hf_json_tree_name(const hf_json_tree *tree, uint32_t node, hf_buf *scratch,
                      const char **ret_name, size_t *ret_bytes) {
  const hf_json_node *n = &tree->nodes[node];
  const char *begin = tree->text + n->name;
  size_t bytes = (size_t)(name_end(tree, n) - begin);
  *ret_name = begin + 1;
  *ret_bytes = bytes >= 2 ? bytes - 2 : 0;
  hf_buf_clear(scratch);
  if (memchr(*ret_name, '\\', *ret_bytes) == NULL)
    return HF_OK;
  hf_json name = {begin, bytes, HF_JSON_STRING};
  if (hf_json_canonical(&name, scratch) != 0)
    return HF_ENOMEM;
  *ret_name = scratch->data + 1;
  *ret_bytes = scratch->used - 2;
  return HF_OK;
}

static int name_hash(builder *b, uint32_t node, uint64_t *ret_hash) {
  const char *name = NULL;
  size_t bytes = 0;
  int status = hf_json_tree_name(b->tree, node, &b->scratch, &name, &bytes);
  if (status == HF_OK)
    *ret_hash = HF_TEST_HASH(hf_hash64(OBJECT_SEED, name, bytes));
  return status;
}

/* ---- members that stand twice ---- */

static int compare_hashes(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

static int some_stand_twice(uint64_t *hashes, size_t count) {
  if (count <= FEW_MEMBERS) {
    for (size_t i = 1; i < count; i++)
      for (size_t j = 0; j < i; j++)
        if (hashes[i] == hashes[j])
          return 1;
    return 0;
  }
  qsort(hashes, count, sizeof *hashes, compare_hashes);
  for (size_t i = 1; i < count; i++)
    if (hashes[i - 1] == hashes[i])
      return 1;
  return 0;
}

typedef struct named {
  uint64_t hash;
  uint32_t node;
} named;

static int compare_named(const void *a, const void *b) {
  const named *x = a, *y = b;
  if (x->hash != y->hash)
    return x->hash < y->hash ? -1 : 1;
  return (x->node > y->node) - (x->node < y->node);
}

static int same_name(builder *b, uint32_t one, uint32_t other) {
  const char *x = NULL, *y = NULL;
  size_t x_bytes = 0, y_bytes = 0;
  if (hf_json_tree_name(b->tree, one, &b->scratch, &x, &x_bytes) != HF_OK ||
      hf_json_tree_name(b->tree, other, &b->scratch_other, &y, &y_bytes) != HF_OK)
    return HF_ENOMEM;
  return x_bytes == y_bytes && memcmp(x, y, x_bytes) == 0;
}

/* Of each name the last member stays. Names by other names of their hash do not matter: each is
 * compared with the next one of its own name. */
static int bury(builder *b, uint32_t object, size_t count) {
  hf_autofree named *members = malloc(count * sizeof *members);
  if (members == NULL)
    return HF_ENOMEM;
  size_t at = 0;
  for (uint32_t child = object + 1; child < b->tree->count; child = b->tree->nodes[child].behind) {
    members[at].node = child;
    if (name_hash(b, child, &members[at++].hash) != HF_OK)
      return HF_ENOMEM;
  }
  qsort(members, count, sizeof *members, compare_named);
  for (size_t i = 0; i < count; i++) {
    for (size_t j = i + 1; j < count && members[j].hash == members[i].hash; j++) {
      int same = same_name(b, members[i].node, members[j].node);
      if (same < 0)
        return same;
      if (same == 0)
        continue;
      b->tree->nodes[members[i].node].name = HF_JSON_NODE_DEAD;
      break;
    }
  }
  return HF_OK;
}

/* ---- closing containers ---- */

static int reserve_hashes(builder *b, size_t count) {
  if (count <= b->hashes_allocated)
    return HF_OK;
  size_t wanted = count < FIRST_NODES ? FIRST_NODES : count * 2;
  uint64_t *grown = realloc(b->hashes, wanted * sizeof *grown);
  if (grown == NULL)
    return HF_ENOMEM;
  b->hashes = grown;
  b->hashes_allocated = wanted;
  return HF_OK;
}

/* The order of members does not matter: their hashes are added up. */
static int hash_object(builder *b, uint32_t object) {
  hf_json_node *nodes = b->tree->nodes;
  size_t count = 0;
  for (uint32_t child = object + 1; child < b->tree->count; child = nodes[child].behind) {
    if (reserve_hashes(b, count + 1) != HF_OK || name_hash(b, child, &b->hashes[count++]) != HF_OK)
      return HF_ENOMEM;
  }
  uint64_t sum = 0;
  size_t i = 0;
  for (uint32_t child = object + 1; child < b->tree->count; child = nodes[child].behind)
    sum += mix(OBJECT_SEED, b->hashes[i++], nodes[child].hash);
  if (some_stand_twice(b->hashes, count)) {
    int status = bury(b, object, count);
    if (status != HF_OK)
      return status;
    sum = 0;
    for (uint32_t child = 0; hf_json_tree_next(b->tree, object, &child) == 1;) {
      uint64_t hash = 0;
      if (name_hash(b, child, &hash) != HF_OK)
        return HF_ENOMEM;
      sum += mix(OBJECT_SEED, hash, nodes[child].hash);
    }
  }
  nodes[object].hash = mix(OBJECT_SEED, sum, 0);
  return HF_OK;
}

static void hash_array(builder *b, uint32_t array) {
  hf_json_node *nodes = b->tree->nodes;
  uint64_t hash = ARRAY_SEED;
  for (uint32_t child = array + 1; child < b->tree->count; child = nodes[child].behind)
    hash = mix(ARRAY_SEED, hash, nodes[child].hash);
  nodes[array].hash = hash;
}

static int close_container(builder *b, const char *behind) {
  uint32_t node = b->open[--b->depth].node;
  hf_json_node *n = &b->tree->nodes[node];
  n->bytes = (uint32_t)(behind - (b->tree->text + n->at));
  n->behind = b->tree->count;
  if (b->tree->text[n->at] == '{')
    return hash_object(b, node);
  hash_array(b, node);
  return HF_OK;
}

/* ---- making ---- */

static int add_node(builder *b, const char *name, const char *value, uint32_t *ret_node) {
  hf_json_tree *tree = b->tree;
  if (tree->count == tree->allocated) {
    uint32_t wanted = tree->allocated == 0               ? FIRST_NODES
                      : tree->allocated > UINT32_MAX / 2 ? UINT32_MAX
                                                         : tree->allocated * 2;
    hf_json_node *grown = realloc(tree->nodes, wanted * sizeof *grown);
    if (grown == NULL)
      return HF_ENOMEM;
    tree->nodes = grown;
    tree->allocated = wanted;
  }
  uint32_t at = (uint32_t)(value - tree->text);
  tree->nodes[tree->count] =
      (hf_json_node){at, 0, name != NULL ? (uint32_t)(name - tree->text) : 0, 0, 0};
  *ret_node = tree->count++;
  return HF_OK;
}

static int add_scalar(builder *b, const char *name, const char *p, const char **ret_behind) {
  uint32_t node = 0;
  if (add_node(b, name, p, &node) != HF_OK)
    return HF_ENOMEM;
  const char *behind = hf_json_skip_scalar(p, b->end);
  hf_json_node *n = &b->tree->nodes[node];
  hf_json value = {p, (size_t)(behind - p), hf_json_type_at(p, b->end)};
  n->bytes = (uint32_t)value.bytes;
  n->behind = b->tree->count;
  *ret_behind = behind;
  int as_it_stands = value.type == HF_JSON_NUMBER ? (b->tree->flags & HF_JSON_TREE_SPELLING) != 0
                                                  : memchr(p, '\\', value.bytes) == NULL;
  if (as_it_stands) {
    n->hash = HF_TEST_HASH(hf_hash64(SCALAR_SEED, p, value.bytes));
    return HF_OK;
  }
  hf_buf_clear(&b->scratch);
  if (hf_json_canonical(&value, &b->scratch) != 0)
    return HF_ENOMEM;
  n->hash = HF_TEST_HASH(hf_hash64(SCALAR_SEED, b->scratch.data, b->scratch.used));
  return HF_OK;
}

static int open_container(builder *b, const char *name, const char *p) {
  if (b->depth == b->open_allocated) {
    size_t wanted = b->open_allocated == 0 ? FIRST_NODES : b->open_allocated * 2;
    open_node *grown = realloc(b->open, wanted * sizeof *grown);
    if (grown == NULL)
      return HF_ENOMEM;
    b->open = grown;
    b->open_allocated = wanted;
  }
  return add_node(b, name, p, &b->open[b->depth++].node);
}

/* From p, where a value (and before it, in an object, its name) begins. */
static int take_value(builder *b, const char *p, const char **ret_behind) {
  const char *name = NULL;
  if (b->depth > 0 && b->tree->text[b->tree->nodes[b->open[b->depth - 1].node].at] == '{') {
    if (*p != '"')
      return HF_EDOC;
    name = p;
    p = hf_json_skip_space(hf_json_skip_string(p, b->end), b->end);
    if (p < b->end)
      p = hf_json_skip_space(p + 1, b->end); /* the colon */
  }
  if (p >= b->end)
    return HF_EDOC;
  if (*p == '{' || *p == '[') {
    *ret_behind = p + 1;
    return open_container(b, name, p);
  }
  int status = add_scalar(b, name, p, ret_behind);
  return status == HF_OK && *ret_behind == p ? HF_EDOC : status;
}

static int take_all(builder *b, const char *p) {
  do {
    p = hf_json_skip_space(p, b->end);
    if (p < b->end && *p == ',')
      p = hf_json_skip_space(p + 1, b->end);
    if (p >= b->end)
      return HF_EDOC;
    int status = HF_OK;
    if (b->depth > 0 && (*p == '}' || *p == ']'))
      status = close_container(b, ++p);
    else
      status = take_value(b, p, &p);
    if (status != HF_OK)
      return status;
  } while (b->depth > 0);
  return HF_OK;
}

int hf_json_tree_make(const char *text, size_t bytes, unsigned flags, hf_json_tree *tree,
                      hf_error *reterr) {
  if (bytes > HF_JSON_TREE_BYTES_MAX)
    return hf_err(reterr, HF_ELIMIT, NULL, "a text of %zu bytes; at most %zu can be compared",
                  bytes, HF_JSON_TREE_BYTES_MAX);
  *tree = (hf_json_tree){.text = text, .flags = flags};
  builder b = {.tree = tree, .end = text + bytes};
  int status = take_all(&b, text);
  free(b.open);
  free(b.hashes);
  hf_buf_free(&b.scratch);
  hf_buf_free(&b.scratch_other);
  if (status == HF_OK)
    return HF_OK;
  hf_json_tree_free(tree);
  return status == HF_ENOMEM ? hf_err_nomem(reterr)
                             : hf_err(reterr, HF_EDOC, NULL, "the text is not JSON");
}

void hf_json_tree_free(hf_json_tree *tree) {
  free(tree->nodes);
  *tree = (hf_json_tree){0};
}

/* ---- looking ---- */

hf_json hf_json_tree_value(const hf_json_tree *tree, uint32_t node) {
  const hf_json_node *n = &tree->nodes[node];
  const char *p = tree->text + n->at;
  return (hf_json){p, n->bytes, hf_json_type_at(p, p + n->bytes)};
}

int hf_json_tree_next(const hf_json_tree *tree, uint32_t container, uint32_t *child) {
  uint32_t next = *child == 0 ? container + 1 : tree->nodes[*child].behind;
  while (next < tree->nodes[container].behind && tree->nodes[next].name == HF_JSON_NODE_DEAD)
    next = tree->nodes[next].behind;
  if (next >= tree->nodes[container].behind)
    return 0;
  *child = next;
  return 1;
}

int hf_json_tree_equal(const hf_json_tree *a, uint32_t a_node, const hf_json_tree *b,
                       uint32_t b_node) {
  if (HF_PLANTED(DIFF_HASH_UNCHECKED) && a->nodes[a_node].hash == b->nodes[b_node].hash)
    return 1;
  hf_json x = hf_json_tree_value(a, a_node), y = hf_json_tree_value(b, b_node);
  if (x.bytes == y.bytes && memcmp(x.text, y.text, x.bytes) == 0)
    return 1;
  if (x.type != y.type)
    return 0;
  hf_autobuf left = {0}, right = {0};
  int spelled = (a->flags & b->flags & HF_JSON_TREE_SPELLING) != 0;
  int (*form)(const hf_json *, hf_buf *) = spelled ? hf_json_canonical_spelled : hf_json_canonical;
  if (form(&x, &left) != 0 || form(&y, &right) != 0)
    return HF_ENOMEM;
  return left.used == right.used && memcmp(left.data, right.data, left.used) == 0;
}
