/* One walk over a document that finds the values of all pointers of an expression. */
#include <string.h>

#include "expr.h"
#include "json_scan.h"

#include "banned.h"

typedef struct search {
  const hf_expr *expr;
  hf_json *found;
  const char *end;
} search;

/* Of a member that stands twice the last one counts, with all that is in it. */
static void forget(const search *s, size_t node) {
  s->found[node].text = NULL;
  for (size_t i = s->expr->nodes[node].first_child; i != 0; i = s->expr->nodes[i].next)
    forget(s, i);
}

static int is_name(const hf_expr_node *node, const char *name, size_t bytes) {
  if (!node->has_backslash && bytes - 2 == node->name_bytes)
    return memcmp(name + 1, node->name, node->name_bytes) == 0;
  if (bytes - 2 <= node->name_bytes || memchr(name, '\\', bytes) == NULL)
    return 0;
  hf_json string = {name, bytes, HF_JSON_STRING};
  return hf_json_string_equals(&string, node->name, node->name_bytes);
}

static size_t child_by_name(const search *s, size_t node, const char *name, size_t bytes) {
  size_t i = s->expr->nodes[node].first_child;
  while (i != 0 && !is_name(&s->expr->nodes[i], name, bytes))
    i = s->expr->nodes[i].next;
  return i;
}

static size_t child_by_index(const search *s, size_t node, size_t index) {
  size_t i = s->expr->nodes[node].first_child;
  while (i != 0 && !(s->expr->nodes[i].is_index && s->expr->nodes[i].index == index))
    i = s->expr->nodes[i].next;
  return i;
}

static const char *take_value(const search *s, size_t node, const char *p);

/* The value of the child, or just past it. */
static const char *take_child(const search *s, size_t child, const char *p) {
  if (child != 0) {
    if (s->found[child].text != NULL)
      forget(s, child);
    return take_value(s, child, p);
  }
  hf_json value = hf_json_value(p, (size_t)(s->end - p));
  return value.text + value.bytes;
}

/* Past a member's name and its colon. */
static const char *take_name(const search *s, const char *p) {
  p = hf_json_skip_space(hf_json_skip_string(p, s->end), s->end);
  return hf_json_skip_space(p < s->end ? p + 1 : p, s->end);
}

/* Everything in a container; what is behind it. */
static const char *take_inside(const search *s, size_t node, const char *p, int is_object) {
  char closing = is_object ? '}' : ']';
  p = hf_json_skip_space(p + 1, s->end);
  for (size_t index = 0; p < s->end && *p != closing; index++) {
    const char *before = p;
    size_t child;
    if (is_object) {
      if (*p != '"') /* only in a text that was not checked, as below */
        return s->end;
      const char *behind = hf_json_skip_string(p, s->end);
      child = behind - p < 2 ? 0 : child_by_name(s, node, p, (size_t)(behind - p));
      p = take_name(s, p);
    } else {
      child = child_by_index(s, node, index);
    }
    if (p < s->end)
      p = hf_json_skip_space(take_child(s, child, p), s->end);
    if (p < s->end && *p == ',')
      p = hf_json_skip_space(p + 1, s->end);
    if (p == before)
      return s->end;
  }
  return p < s->end ? p + 1 : p;
}

static const char *take_value(const search *s, size_t node, const char *p) {
  hf_json value = {p, 0, hf_json_type_at(p, s->end)};
  const char *behind;
  int is_container = value.type == HF_JSON_OBJECT || value.type == HF_JSON_ARRAY;
  if (is_container && s->expr->nodes[node].first_child != 0) {
    behind = take_inside(s, node, p, value.type == HF_JSON_OBJECT);
  } else {
    hf_json whole = hf_json_value(p, (size_t)(s->end - p));
    behind = whole.text + whole.bytes;
  }
  value.bytes = (size_t)(behind - p);
  s->found[node] = value;
  return behind;
}

void hf_expr_find(const hf_expr *expr, hf_piece document, hf_json *found) {
  for (size_t i = 0; i < expr->nodes_count; i++)
    found[i] = (hf_json){NULL, 0, HF_JSON_NULL};
  if (document.text == NULL || expr->nodes_count == 0)
    return;
  search s = {expr, found, document.text + document.bytes};
  const char *p = hf_json_skip_space(document.text, s.end);
  if (p < s.end)
    (void)take_value(&s, 0, p);
}
