/* A JSON text as an array of nodes, made in one pass: each value knows where it ends, what it is
 * called, and a hash of what it means. For walks that meet values again and again, in time that
 * does not depend on the nesting.
 *
 * Nodes stand in the order of the text: 0 is the whole, a container's first child follows it, and a
 * node's `behind` is its next sibling, or its parent's `behind`. */
#ifndef HF_BASE_JSON_TREE_H
#define HF_BASE_JSON_TREE_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/error.h>

#include "buf.h"
#include "json.h"

#define HF_JSON_TREE_BYTES_MAX ((size_t)UINT32_MAX - 1)

enum hf_json_tree_flags {
  /* numbers that are equal and spelled otherwise (1e2, 100) have other hashes */
  HF_JSON_TREE_SPELLING = 1
};

typedef struct hf_json_node {
  uint32_t at; /* its text, from the tree's begin */
  uint32_t bytes;
  /* its name's opening quotation mark; 0: it is no member; HF_JSON_NODE_DEAD: a member whose name
   * stands again behind it, so that it does not count */
  uint32_t name;
  uint32_t behind;
  /* the same for equal values: members in any order, the last one of a name, numbers by value,
   * strings decoded. Other values may have the same one, by chance: hf_json_tree_equal */
  uint64_t hash;
} hf_json_node;

#define HF_JSON_NODE_DEAD UINT32_MAX

/* Zero-initialise. text is the caller's, and must live as long. */
typedef struct hf_json_tree {
  const char *text;
  hf_json_node *nodes;
  uint32_t count;
  uint32_t allocated;
  unsigned flags;
} hf_json_tree;

/* text has passed hf_json_check (any other gives some tree, or HF_EDOC, never a read outside of
 * it). Iterative. Errors: HF_ELIMIT (longer than HF_JSON_TREE_BYTES_MAX), HF_EDOC, HF_ENOMEM. */
int hf_json_tree_make(const char *text, size_t bytes, unsigned flags, hf_json_tree *tree,
                      hf_error *reterr);
void hf_json_tree_free(hf_json_tree *tree);
#define hf_autotree __attribute__((cleanup(hf_json_tree_free))) hf_json_tree

/* The node's value, as a piece of the text. */
hf_json hf_json_tree_value(const hf_json_tree *tree, uint32_t node);

/* The children that count, one after the other: *child = 0 to begin. 1, or 0 at the end. */
int hf_json_tree_next(const hf_json_tree *tree, uint32_t container, uint32_t *child);

/* The member's name in its canonical form, without quotation marks (two names are the same if and
 * only if these bytes are): a piece of the text; or, where scratch->used is not 0 behind it, of
 * scratch. */
int hf_json_tree_name(const hf_json_tree *tree, uint32_t node, hf_buf *scratch,
                      const char **ret_name, size_t *ret_bytes);

/* Exactly: 1, 0, or HF_ENOMEM. By value; of two trees with HF_JSON_TREE_SPELLING by the numbers'
 * texts, too. */
int hf_json_tree_equal(const hf_json_tree *a, uint32_t a_node, const hf_json_tree *b,
                       uint32_t b_node);

#endif
