#include "diff_walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "banned.h"

enum { FIRST_PLACES = 64, INDEX_BYTES = 12 };

/* What becomes of a place. */
typedef enum next_step {
  STEP_LEAF, /* told, or not, as one */
  STEP_MEMBERS,
  STEP_ELEMENTS
} next_step;

/* ---- arrays that grow ---- */

int hf_diff_ids_add(hf_diff_ids *ids, uint32_t id) {
  if (ids->count == ids->allocated) {
    size_t wanted = ids->allocated == 0 ? FIRST_PLACES : ids->allocated * 2;
    uint32_t *grown = realloc(ids->ids, wanted * sizeof *grown);
    if (grown == NULL)
      return HF_ENOMEM;
    ids->ids = grown;
    ids->allocated = wanted;
  }
  ids->ids[ids->count++] = id;
  return HF_OK;
}

int hf_diff_pairs_add(hf_diff_pairs *pairs, hf_diff_pair pair) {
  if (pairs->count == pairs->allocated) {
    size_t wanted = pairs->allocated == 0 ? FIRST_PLACES : pairs->allocated * 2;
    hf_diff_pair *grown = realloc(pairs->pairs, wanted * sizeof *grown);
    if (grown == NULL)
      return HF_ENOMEM;
    pairs->pairs = grown;
    pairs->allocated = wanted;
  }
  pairs->pairs[pairs->count++] = pair;
  return HF_OK;
}

/* A place below `up` (of the first, up is 0), last on the stack. */
static int push(hf_walk *walk, uint32_t up, const hf_diff_pair *pair, int in_list) {
  if (walk->places_count == walk->places_allocated) {
    size_t wanted = walk->places_allocated == 0 ? FIRST_PLACES : walk->places_allocated * 2;
    hf_diff_place *grown = realloc(walk->places, wanted * sizeof *grown);
    if (grown == NULL)
      return HF_ENOMEM;
    walk->places = grown;
    walk->places_allocated = wanted;
  }
  hf_diff_place *place = &walk->places[walk->places_count];
  *place = (hf_diff_place){.up = up,
                           .a = pair->a,
                           .b = pair->b,
                           .a_index = pair->a_index,
                           .b_index = pair->b_index,
                           .section = HF_SECTION_OTHER,
                           .in_list = (uint8_t)in_list};
  if (walk->places_count > 0) {
    const hf_diff_place *above = &walk->places[up];
    place->depth = (uint16_t)(above->depth + 1);
    place->section = above->section;
    place->equal = above->equal;
    memcpy(place->rules, above->rules, sizeof place->rules);
  }
  return hf_diff_ids_add(&walk->stack, (uint32_t)walk->places_count++);
}

/* ---- names and rules ---- */

static int take_name(hf_walk *walk, const hf_diff_place *place) {
  hf_name *name = &walk->names[place->depth - 1];
  hf_buf *text = &walk->name_texts[place->depth - 1];
  hf_buf_clear(text);
  if (place->in_list) {
    uint32_t index = place->b != HF_DIFF_NONE ? place->b_index : place->a_index;
    (void)hf_buf_printf(text, "%u", index);
    *name = (hf_name){text->data, text->used};
    return text->failed;
  }
  const hf_json_tree *tree = place->b != HF_DIFF_NONE ? walk->b : walk->a;
  uint32_t node = place->b != HF_DIFF_NONE ? place->b : place->a;
  const char *canonical = NULL;
  size_t bytes = 0;
  int status = hf_json_tree_name(tree, node, &walk->scratch, &canonical, &bytes);
  if (status != HF_OK)
    return status;
  *name = (hf_name){canonical, bytes};
  if (memchr(canonical, '\\', bytes) == NULL && canonical != walk->scratch.data + 1)
    return HF_OK;
  hf_json quoted = {canonical - 1, bytes + 2, HF_JSON_STRING};
  if (hf_json_decode_string(&quoted, text) != 0)
    return HF_ENOMEM;
  *name = (hf_name){text->data != NULL ? text->data : "", text->used};
  return HF_OK;
}

static hf_section section_of(const hf_name *name) {
  static const struct {
    const char *name;
    hf_section section;
  } names[] = {
      {"inputs", HF_SECTION_INPUTS},      {"input", HF_SECTION_INPUTS},
      {"data", HF_SECTION_INPUTS},        {"dataset", HF_SECTION_INPUTS},
      {"features", HF_SECTION_INPUTS},    {"process", HF_SECTION_PROCESS},
      {"config", HF_SECTION_PROCESS},     {"params", HF_SECTION_PROCESS},
      {"parameters", HF_SECTION_PROCESS}, {"hyperparameters", HF_SECTION_PROCESS},
      {"versions", HF_SECTION_PROCESS},   {"environment", HF_SECTION_PROCESS},
      {"outputs", HF_SECTION_OUTPUTS},    {"output", HF_SECTION_OUTPUTS},
      {"metrics", HF_SECTION_OUTPUTS},    {"results", HF_SECTION_OUTPUTS},
      {"scores", HF_SECTION_OUTPUTS},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (strlen(names[i].name) == name->bytes && memcmp(names[i].name, name->text, name->bytes) == 0)
      return names[i].section;
  return HF_SECTION_OTHER;
}

/* The first rule of each kind that fits this place or one above. */
static void find_rules(const hf_walk *walk, hf_diff_place *place) {
  for (int kind = 0; kind < HF_RULE_KINDS; kind++) {
    const hf_rule_list *list = &walk->rules->lists[kind];
    size_t limit = place->depth == 0 ? hf_rules_count(list) : place->rules[kind];
    size_t i = 0;
    while (i < limit &&
           hf_pattern_matches(hf_rules_at(list, i)->pattern, walk->names, place->depth) == 0)
      i++;
    place->rules[kind] = (uint16_t)i;
  }
}

static const hf_rule *rule_of(const hf_walk *walk, const hf_diff_place *place, hf_rule_kind kind) {
  const hf_rule_list *list = &walk->rules->lists[kind];
  return place->rules[kind] < hf_rules_count(list) ? hf_rules_at(list, place->rules[kind]) : NULL;
}

static int is_left_out(const hf_walk *walk, const hf_diff_place *place) {
  const hf_rule *rule = walk->rules != NULL ? rule_of(walk, place, HF_RULE_LEAVE_OUT) : NULL;
  return rule != NULL && rule->is == 1;
}

/* ---- values ---- */

int hf_walk_equal(const hf_walk *walk, uint32_t a, uint32_t b) {
  if (walk->a->nodes[a].hash != walk->b->nodes[b].hash)
    return 0;
  return hf_json_tree_equal(walk->a, a, walk->b, b);
}

/* Two numbers are close if |a - b| is less than the tolerance, exactly; where the difference has
 * more digits than can be written, by the nearest doubles. 1, 0 or HF_ENOMEM. */
static int are_close(hf_walk *walk, const hf_diff_place *place) {
  hf_json a = hf_json_tree_value(walk->a, place->a), b = hf_json_tree_value(walk->b, place->b);
  if (a.type != HF_JSON_NUMBER || b.type != HF_JSON_NUMBER)
    return 0;
  const hf_rule *rule = rule_of(walk, place, HF_RULE_TOLERANCE);
  const char *text = rule != NULL ? rule->tolerance : walk->rules->tolerance;
  hf_json tolerance = {text, strlen(text), HF_JSON_NUMBER};
  int a_is_more = hf_json_number_compare(&a, &b) > 0;
  hf_buf_clear(&walk->scratch);
  int got = hf_json_number_subtract(a_is_more ? &a : &b, a_is_more ? &b : &a, &walk->scratch);
  if (got < 0)
    return got;
  if (got == 0)
    return fabs(hf_json_number_double(&a) - hf_json_number_double(&b)) <
           hf_json_number_double(&tolerance);
  hf_json difference = {walk->scratch.data, walk->scratch.used, HF_JSON_NUMBER};
  return hf_json_number_compare(&difference, &tolerance) < 0;
}

/* ---- a place ---- */

static int has_children(const hf_json_tree *tree, uint32_t node) {
  uint32_t child = 0;
  return hf_json_tree_next(tree, node, &child);
}

static hf_json_type type_of(const hf_json_tree *tree, uint32_t node) {
  return hf_json_tree_value(tree, node).type;
}

/* An object that stands on one side is told member by member, so that the rules for them hold; an
 * element of a list, and in a patch all, as one. */
static next_step step_of_one(const hf_walk *walk, const hf_diff_place *place) {
  const hf_json_tree *tree = place->a != HF_DIFF_NONE ? walk->a : walk->b;
  uint32_t node = place->a != HF_DIFF_NONE ? place->a : place->b;
  if (walk->rules == NULL || place->in_list || type_of(tree, node) != HF_JSON_OBJECT)
    return STEP_LEAF;
  return has_children(tree, node) ? STEP_MEMBERS : STEP_LEAF;
}

static next_step step_of_both(const hf_walk *walk, const hf_diff_place *place) {
  hf_json_type type = type_of(walk->a, place->a);
  if (type != type_of(walk->b, place->b) || (type != HF_JSON_OBJECT && type != HF_JSON_ARRAY))
    return STEP_LEAF;
  if (place->equal && (!walk->all || !has_children(walk->a, place->a)))
    return STEP_LEAF;
  return type == HF_JSON_OBJECT ? STEP_MEMBERS : STEP_ELEMENTS;
}

/* What it is called that a place differs; HF_CHANGE_SAME where it does not. */
static int kind_of(hf_walk *walk, const hf_diff_place *place, hf_change_kind *ret_kind) {
  if (place->b == HF_DIFF_NONE)
    *ret_kind = HF_CHANGE_REMOVED;
  else if (place->a == HF_DIFF_NONE)
    *ret_kind = HF_CHANGE_ADDED;
  else if (place->equal)
    *ret_kind = HF_CHANGE_SAME;
  else {
    int close = walk->rules != NULL ? are_close(walk, place) : 0;
    if (close < 0)
      return close;
    *ret_kind = close ? HF_CHANGE_CLOSE : HF_CHANGE_CHANGED;
  }
  return HF_OK;
}

static int tell(hf_walk *walk, uint32_t id) {
  hf_diff_place *place = &walk->places[id];
  hf_change_kind kind = HF_CHANGE_SAME;
  int status = kind_of(walk, place, &kind);
  if (status != HF_OK)
    return status;
  place->severity = HF_SEVERITY_NONE;
  int counts = kind == HF_CHANGE_ADDED || kind == HF_CHANGE_REMOVED || kind == HF_CHANGE_CHANGED;
  if (is_left_out(walk, place)) {
    walk->left_out += kind != HF_CHANGE_SAME;
    kind = HF_CHANGE_LEFT_OUT;
    counts = 0;
  } else if (kind == HF_CHANGE_CLOSE) {
    walk->close++;
  } else if (counts && walk->rules != NULL) {
    const hf_rule *rule = rule_of(walk, place, HF_RULE_SEVERITY);
    place->severity = (uint8_t)(rule != NULL ? rule->is : HF_SEVERITY_MAJOR);
  }
  place->kind = (uint8_t)kind;
  return counts || walk->all ? hf_diff_ids_add(&walk->changes, id) : HF_OK;
}

/* ---- its children ---- */

/* The section of the whole documents' member. */
static int take_section(hf_walk *walk, hf_diff_place *place) {
  int status = take_name(walk, place);
  if (status == HF_OK)
    place->section = (uint8_t)section_of(&walk->names[0]);
  return status;
}

/* The members of the whole documents: section by section. */
static int sort_sections(hf_walk *walk, size_t from) {
  size_t count = walk->stack.count - from, at = 0;
  hf_autofree uint32_t *sorted = malloc((count + 1) * sizeof *sorted);
  if (sorted == NULL)
    return HF_ENOMEM;
  const uint32_t *ids = walk->stack.ids + from;
  for (int section = 0; section < HF_SECTIONS; section++)
    for (size_t i = 0; i < count; i++)
      if (walk->places[ids[i]].section == section)
        sorted[at++] = ids[i];
  if (count > 0)
    memcpy(walk->stack.ids + from, sorted, count * sizeof *sorted);
  return HF_OK;
}

/* Pushes the children, so that the first one is on top; those that are equal only where all are
 * told. */
static int push_pairs(hf_walk *walk, uint32_t id, int in_list) {
  size_t from = walk->stack.count;
  const hf_diff_pairs *pairs = &walk->pairs;
  for (size_t i = 0; i < pairs->count; i++) {
    const hf_diff_pair *pair = &pairs->pairs[i];
    int equal = walk->places[id].equal;
    if (!equal && pair->a != HF_DIFF_NONE && pair->b != HF_DIFF_NONE)
      equal = hf_walk_equal(walk, pair->a, pair->b);
    if (equal < 0)
      return equal;
    if (equal && !walk->all)
      continue;
    int status = push(walk, id, pair, in_list);
    if (status != HF_OK)
      return status;
    hf_diff_place *place = &walk->places[walk->places_count - 1];
    place->equal = (uint8_t)equal;
    if (id == 0 && walk->rules != NULL && !in_list && take_section(walk, place) != HF_OK)
      return HF_ENOMEM;
  }
  if (id == 0 && walk->rules != NULL && sort_sections(walk, from) != HF_OK)
    return HF_ENOMEM;
  for (size_t i = from, j = walk->stack.count; i + 1 < j; i++) {
    uint32_t kept = walk->stack.ids[i];
    walk->stack.ids[i] = walk->stack.ids[--j];
    walk->stack.ids[j] = kept;
  }
  return HF_OK;
}

static int visit(hf_walk *walk, uint32_t id) {
  hf_diff_place *place = &walk->places[id];
  if (walk->rules != NULL) {
    int status = place->depth > 0 ? take_name(walk, place) : HF_OK;
    if (status != HF_OK)
      return status;
    find_rules(walk, place);
  }
  int alone = place->a == HF_DIFF_NONE || place->b == HF_DIFF_NONE;
  next_step step = alone ? step_of_one(walk, place) : step_of_both(walk, place);
  if (is_left_out(walk, place) && !walk->rules->can_keep)
    step = STEP_LEAF;
  uint32_t a = place->a, b = place->b;
  int status = HF_OK;
  switch (step) {
  case STEP_LEAF:
    return tell(walk, id);
  case STEP_MEMBERS:
    status = hf_walk_members(walk, a, b);
    return status == HF_OK ? push_pairs(walk, id, 0) : status;
  case STEP_ELEMENTS:
    break;
  }
  const hf_rule *set = walk->rules != NULL ? rule_of(walk, place, HF_RULE_SET) : NULL;
  if (set != NULL && set->is == 1)
    status = hf_walk_sets(walk, a, b) == HF_OK ? 1 : HF_ENOMEM;
  else
    status = hf_walk_elements(walk, a, b);
  if (status == 0)
    return tell(walk, id);
  return status == 1 ? push_pairs(walk, id, 1) : status;
}

int hf_walk_run(hf_walk *walk) {
  hf_diff_pair whole = {0};
  walk->pairs_left = HF_DIFF_PAIRS_MAX;
  int status = push(walk, 0, &whole, 0);
  int equal = status == HF_OK ? hf_walk_equal(walk, 0, 0) : status;
  if (equal < 0)
    return equal;
  walk->places[0].equal = (uint8_t)equal;
  while (status == HF_OK && walk->stack.count > 0)
    status = visit(walk, walk->stack.ids[--walk->stack.count]);
  return status;
}

void hf_walk_free(hf_walk *walk) {
  free(walk->places);
  free(walk->stack.ids);
  free(walk->changes.ids);
  free(walk->pairs.pairs);
  for (size_t i = 0; i < sizeof walk->name_texts / sizeof walk->name_texts[0]; i++)
    hf_buf_free(&walk->name_texts[i]);
  hf_buf_free(&walk->scratch);
  hf_buf_free(&walk->scratch_other);
}
