/* The walk over two documents: what differs, and where. hf_diff walks with rules; hf_diff_patch
 * walks without, and in an order in which the changes can be carried out one after the other. */
#ifndef HF_CORE_DIFF_WALK_H
#define HF_CORE_DIFF_WALK_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/diff.h>

#include "diff_rules.h"
#include "json_tree.h"

#define HF_DIFF_NONE UINT32_MAX /* no node on this side */

enum {
  HF_DIFF_DEPTH_MAX = HF_DOC_NESTING_MAX + 1,
  /* pairs of elements that one comparison lays against each other, over all its lists */
  HF_DIFF_PAIRS_MAX = 64 * HF_DIFF_LIST_PAIRS_MAX
};

/* A place that was looked at. Those that lead to a change keep standing, for its pointer. */
typedef struct hf_diff_place {
  uint32_t up; /* the container's place; of the whole documents' (0): 0 */
  uint32_t a;  /* nodes */
  uint32_t b;
  uint32_t a_index; /* of elements. In a walk for a patch: where it stands when its turn comes */
  uint32_t b_index;
  uint16_t depth;
  uint8_t kind; /* hf_change_kind; once it is a change */
  uint8_t severity;
  uint8_t section;
  uint8_t in_list;
  uint8_t equal;                 /* known to be */
  uint16_t rules[HF_RULE_KINDS]; /* the first that fits here or above; their number: none */
} hf_diff_place;

/* An array of numbers that grows. */
typedef struct hf_diff_ids {
  uint32_t *ids;
  size_t count;
  size_t allocated;
} hf_diff_ids;

/* Two children that belong together, or one that is alone. */
typedef struct hf_diff_pair {
  uint32_t a;
  uint32_t b;
  uint32_t a_index;
  uint32_t b_index;
} hf_diff_pair;

typedef struct hf_diff_pairs {
  hf_diff_pair *pairs;
  size_t count;
  size_t allocated;
} hf_diff_pairs;

typedef struct hf_walk {
  const hf_json_tree *a;
  const hf_json_tree *b;
  const hf_rules *rules; /* NULL: for a patch */
  int all;
  hf_diff_place *places;
  size_t places_count;
  size_t places_allocated;
  hf_diff_ids stack;
  hf_diff_ids changes; /* places, in order */
  hf_diff_pairs pairs; /* of the container that is looked at */
  uint64_t pairs_left; /* of HF_DIFF_PAIRS_MAX */
  uint64_t close;
  uint64_t left_out;
  hf_name names[HF_DIFF_DEPTH_MAX + 1]; /* of the place that is looked at, from the top */
  hf_buf name_texts[HF_DIFF_DEPTH_MAX + 1];
  hf_buf scratch;
  hf_buf scratch_other;
} hf_walk;

/* Zero-initialised but for a, b, rules and all. HF_OK or HF_ENOMEM. The places and changes are then
 * the walk's. */
int hf_walk_run(hf_walk *walk);
void hf_walk_free(hf_walk *walk);

/* ---- for the walk's own files ---- */

int hf_diff_ids_add(hf_diff_ids *ids, uint32_t id);
int hf_diff_pairs_add(hf_diff_pairs *pairs, hf_diff_pair pair);

/* The members of two objects, by name: a's in their order, then those that only b has. Either node
 * may be HF_DIFF_NONE. Fills walk->pairs. */
int hf_walk_members(hf_walk *walk, uint32_t a, uint32_t b);

/* The elements of two lists. 1; 0: too many to lay against each other, the list is to be taken as a
 * whole; HF_ENOMEM. */
int hf_walk_elements(hf_walk *walk, uint32_t a, uint32_t b);

/* The same where the lists are sets: those that both have (only with walk->all), that only a has,
 * that only b has. HF_OK or HF_ENOMEM. */
int hf_walk_sets(hf_walk *walk, uint32_t a, uint32_t b);

/* Are they equal? 1, 0 or HF_ENOMEM. */
int hf_walk_equal(const hf_walk *walk, uint32_t a, uint32_t b);

#endif
