#include "diff_compare.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "diff_walk.h"
#include "err.h"

#include "banned.h"

enum {
  TEXT_SHOWN_BYTES = 80,  /* of a stage, a dim, a group */
  VALUE_SHOWN_BYTES = 24, /* of a member of /comparison_group */
  MEMBERS_SHOWN_MAX = 8,  /* of the members of /comparison_group that differ */
  DIGITS_SHOWN_OF_HASH = 12
};

/* At most so many bytes, cut at a whole character. */
static size_t cut(const char *text, size_t bytes, size_t bytes_max) {
  if (bytes <= bytes_max)
    return bytes;
  bytes = bytes_max;
  while (bytes > 0 && ((unsigned char)text[bytes] & 0xC0) == 0x80)
    bytes--;
  return bytes;
}

static void add_quoted(hf_buf *out, const char *text) {
  size_t bytes = strlen(text), shown = cut(text, bytes, TEXT_SHOWN_BYTES);
  (void)hf_buf_add_char(out, '"');
  (void)hf_buf_add(out, text, shown);
  (void)hf_buf_add_text(out, shown < bytes ? "...\"" : "\"");
}

static int is_hash(const char *text) {
  return strlen(text) == HF_SHA256_CHARS && strspn(text, "0123456789abcdef") == HF_SHA256_CHARS;
}

/* A group that was made from the document is a long hash, of which the beginning tells enough. */
static void add_group(hf_buf *out, const char *group) {
  if (group == NULL)
    (void)hf_buf_add_text(out, "none");
  else if (is_hash(group))
    (void)hf_buf_printf(out, "%.*s...", DIGITS_SHOWN_OF_HASH, group);
  else
    add_quoted(out, group);
}

static void begin_part(hf_buf *out, const char *what) {
  (void)hf_buf_printf(out, "%s%s", out->used > 0 ? "; " : "", what);
}

/* ---- dims ---- */

static const hf_dim *find_dim(const hf_record *record, const char *name) {
  for (size_t i = 0; i < record->dims_count; i++)
    if (strcmp(record->dims[i].name, name) == 0)
      return &record->dims[i];
  return NULL;
}

/* Those of `record` that the other has otherwise, or not; with only_absent only the latter. Their
 * number. */
static size_t add_dims(hf_buf *out, const hf_record *record, const hf_record *other,
                       int only_absent, size_t before) {
  size_t count = before;
  for (size_t i = 0; i < record->dims_count; i++) {
    const hf_dim *dim = &record->dims[i], *of_other = find_dim(other, dim->name);
    if (of_other != NULL && (only_absent || strcmp(dim->value, of_other->value) == 0))
      continue;
    if (count++ == 0)
      begin_part(out, "the dims differ: ");
    else
      (void)hf_buf_add_text(out, ", ");
    (void)hf_buf_printf(out, "%s ", dim->name);
    if (only_absent)
      (void)hf_buf_add_text(out, "none and ");
    add_quoted(out, dim->value);
    if (of_other != NULL) {
      (void)hf_buf_add_text(out, " and ");
      add_quoted(out, of_other->value);
    } else if (!only_absent) {
      (void)hf_buf_add_text(out, " and none");
    }
  }
  return count;
}

/* ---- the members of /comparison_group ---- */

static void add_value(hf_buf *out, const hf_json_tree *tree, uint32_t node) {
  if (node == HF_DIFF_NONE) {
    (void)hf_buf_add_text(out, "none");
    return;
  }
  hf_json value = hf_json_tree_value(tree, node);
  size_t shown = cut(value.text, value.bytes, VALUE_SHOWN_BYTES);
  (void)hf_buf_add(out, value.text, shown);
  if (shown < value.bytes)
    (void)hf_buf_add_text(out, "...");
}

static uint32_t group_of(const hf_json_tree *tree) {
  for (uint32_t child = 0; hf_json_tree_next(tree, 0, &child) == 1;) {
    const hf_json_node *node = &tree->nodes[child];
    hf_json name = hf_json_value(tree->text + node->name, node->at - node->name);
    static const char wanted[] = "comparison_group";
    if (hf_json_string_equals(&name, wanted, sizeof wanted - 1))
      return tree->text[node->at] == '{' ? child : HF_DIFF_NONE;
  }
  return HF_DIFF_NONE;
}

static int add_members(hf_buf *out, hf_walk *walk, uint32_t a, uint32_t b) {
  size_t differ = 0;
  if (hf_walk_members(walk, a, b) != HF_OK)
    return HF_ENOMEM;
  for (size_t i = 0; i < walk->pairs.count; i++) {
    const hf_diff_pair *pair = &walk->pairs.pairs[i];
    int both = pair->a != HF_DIFF_NONE && pair->b != HF_DIFF_NONE;
    int equal = both ? hf_walk_equal(walk, pair->a, pair->b) : 0;
    if (equal < 0)
      return equal;
    if (equal || differ++ >= MEMBERS_SHOWN_MAX)
      continue;
    const hf_json_tree *tree = pair->a != HF_DIFF_NONE ? walk->a : walk->b;
    const char *name = NULL;
    size_t bytes = 0;
    if (hf_json_tree_name(tree, pair->a != HF_DIFF_NONE ? pair->a : pair->b, &walk->scratch, &name,
                          &bytes) != HF_OK)
      return HF_ENOMEM;
    (void)hf_buf_add_text(out, differ > 1 ? ", " : ", in /comparison_group: ");
    (void)hf_buf_add(out, name, cut(name, bytes, TEXT_SHOWN_BYTES));
    (void)hf_buf_add_char(out, ' ');
    add_value(out, walk->a, pair->a);
    (void)hf_buf_add_text(out, " and ");
    add_value(out, walk->b, pair->b);
  }
  if (differ > MEMBERS_SHOWN_MAX)
    (void)hf_buf_printf(out, ", and %zu more", differ - MEMBERS_SHOWN_MAX);
  return HF_OK;
}

static int add_group_members(hf_buf *out, const hf_json_tree *a, const hf_json_tree *b) {
  uint32_t of_a = group_of(a), of_b = group_of(b);
  if (of_a == HF_DIFF_NONE || of_b == HF_DIFF_NONE)
    return HF_OK;
  hf_walk *walk = calloc(1, sizeof *walk);
  if (walk == NULL)
    return HF_ENOMEM;
  walk->a = a;
  walk->b = b;
  int status = add_members(out, walk, of_a, of_b);
  hf_walk_free(walk);
  free(walk);
  return status;
}

/* ---- the whole ---- */

static int same_text(const char *a, const char *b) {
  return a != NULL && b != NULL ? strcmp(a, b) == 0 : a == b;
}

static const char *or_none(const char *text) {
  return text != NULL ? text : "";
}

int hf_diff_comparable(const hf_record *a, const hf_record *b, const hf_json_tree *a_doc,
                       const hf_json_tree *b_doc, hf_diff_summary *summary, hf_error *reterr) {
  hf_autobuf out = {0};
  int status = HF_OK;
  if (same_text(a->run_id, b->run_id)) {
    summary->differs |= HF_DIFFERS_NOT_RUN;
    begin_part(&out, "both are of run ");
    add_quoted(&out, or_none(a->run_id));
  }
  if (!same_text(a->stage, b->stage)) {
    summary->differs |= HF_DIFFERS_STAGE;
    begin_part(&out, "the stages differ: ");
    add_quoted(&out, or_none(a->stage));
    (void)hf_buf_add_text(&out, " and ");
    add_quoted(&out, or_none(b->stage));
  }
  size_t dims = add_dims(&out, a, b, 0, 0);
  if (add_dims(&out, b, a, 1, dims) > 0)
    summary->differs |= HF_DIFFERS_DIMS;
  if (a->group == NULL && b->group == NULL) {
    summary->differs |= HF_DIFFERS_NO_GROUP;
    begin_part(&out, "neither has a group");
  } else if (!same_text(a->group, b->group)) {
    summary->differs |= HF_DIFFERS_GROUP;
    begin_part(&out, "the groups differ: ");
    add_group(&out, a->group);
    (void)hf_buf_add_text(&out, " and ");
    add_group(&out, b->group);
    status = add_group_members(&out, a_doc, b_doc);
  }
  if (status != HF_OK || out.failed != 0)
    return hf_err_nomem(reterr);
  summary->comparable = summary->differs == 0;
  size_t bytes = out.used > 0 ? cut(out.data, out.used, sizeof summary->reason - 4) : 0;
  if (bytes > 0)
    memcpy(summary->reason, out.data, bytes);
  if (bytes < out.used) {
    memcpy(summary->reason + bytes, "...", 3);
    bytes += 3;
  }
  summary->reason[bytes] = '\0';
  return HF_OK;
}
