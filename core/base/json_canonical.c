/* The canonical form (RFC 8785). Iterative, and in time that does not depend on the nesting: one
 * pass notes where each container ends, so that sorting the members of an outer one does not scan
 * the inner ones again. */
#include "json.h"

#include <stdlib.h>
#include <string.h>

#include "json_scan.h"

#include "banned.h"

/* One for each array and object, in the order of the text. */
typedef struct extent {
  const char *begin;
  const char *end; /* behind the closing bracket */
  size_t next; /* the node of the first container that begins there or later; while open: the outer
                  node */
} extent;

typedef struct member {
  const char *name; /* NULL for an array's element */
  size_t name_bytes;
  int name_is_plain; /* ASCII without escapes: its bytes are its code units */
  const char *value;
  size_t value_bytes;
  size_t node; /* of a value that is a container */
} member;

/* Where a walk over a container's children is. */
typedef struct walk {
  const char *at;
  const char *end; /* the closing bracket */
  size_t node;     /* of the next child that is a container */
} walk;

typedef struct frame {
  int is_object;
  int first;       /* no child was printed yet */
  walk walk;       /* arrays */
  member *members; /* objects: sorted */
  size_t count;
  size_t index;
} frame;

typedef struct canonical {
  hf_buf *out;
  int spelled; /* numbers by their texts */
  extent *nodes;
  size_t nodes_count, nodes_allocated;
  frame *frames;
  size_t frames_count, frames_allocated;
  int status;
} canonical;

/* Room for one more in an array that grows by doubling. */
static int reserve(void **array, size_t count, size_t *allocated, size_t item_bytes) {
  if (count < *allocated)
    return 0;
  size_t grown = *allocated == 0 ? 8 : *allocated * 2;
  if (grown > SIZE_MAX / item_bytes)
    return HF_ENOMEM;
  void *moved = realloc(*array, grown * item_bytes);
  if (moved == NULL)
    return HF_ENOMEM;
  *array = moved;
  *allocated = grown;
  return 0;
}

/* ---- where each container ends ---- */

static int note_containers(canonical *c, const char *p, const char *end) {
  size_t open = SIZE_MAX;
  while (p < end) {
    if (*p == '"') {
      p = hf_json_skip_string(p, end);
      continue;
    }
    if (*p == '{' || *p == '[') {
      void *nodes = c->nodes;
      int status = reserve(&nodes, c->nodes_count, &c->nodes_allocated, sizeof *c->nodes);
      c->nodes = nodes;
      if (status != 0)
        return status;
      c->nodes[c->nodes_count] = (extent){p, end, open};
      open = c->nodes_count++;
    } else if ((*p == '}' || *p == ']') && open != SIZE_MAX) {
      size_t outer = c->nodes[open].next;
      c->nodes[open].end = p + 1;
      c->nodes[open].next = c->nodes_count;
      open = outer;
    }
    p++;
  }
  return 0;
}

static walk begin_walk(const canonical *c, const char *container, size_t node) {
  return (walk){container + 1, c->nodes[node].end - 1, node + 1};
}

/* The next child. 1, or 0 at the end; also where the text is none that hf_json_check has accepted.
 */
static int walk_next(const canonical *c, walk *w, int is_object, member *ret_child) {
  const char *p = hf_json_skip_space(w->at, w->end);
  if (p < w->end && *p == ',')
    p = hf_json_skip_space(p + 1, w->end);
  if (p >= w->end)
    return 0;
  member child = {NULL, 0, 0, NULL, 0, 0};
  if (is_object) {
    if (*p != '"')
      return 0;
    child.name = p;
    p = hf_json_skip_string(p, w->end);
    child.name_bytes = (size_t)(p - child.name);
    child.name_is_plain = hf_scan_plain(child.name + 1, p) == p - 1;
    p = hf_json_skip_space(p, w->end);
    p = hf_json_skip_space(p < w->end ? p + 1 : p, w->end); /* the colon */
  }
  child.value = p;
  if (p < w->end && (*p == '{' || *p == '[')) {
    if (w->node >= c->nodes_count || c->nodes[w->node].begin != p)
      return 0;
    child.node = w->node;
    p = c->nodes[w->node].end;
    w->node = c->nodes[w->node].next;
  } else {
    p = hf_json_skip_scalar(p, w->end);
  }
  child.value_bytes = (size_t)(p - child.value);
  if (child.value_bytes == 0)
    return 0;
  w->at = p;
  *ret_child = child;
  return 1;
}

/* ---- the order of names ---- */

/* A decoded string, one UTF-16 code unit after the other. */
typedef struct units {
  const char *at;
  const char *end;
  uint32_t pending; /* the second half of a pair; 0: none */
} units;

static uint32_t decode_utf8(const char **at, const char *end) {
  const unsigned char *u = (const unsigned char *)*at;
  size_t length = hf_scan_utf8(*at, end);
  if (length == 0)
    length = 1; /* only in a text that was not checked */
  *at += length;
  if (length == 1)
    return u[0];
  uint32_t character = u[0] & (0x7fU >> length);
  for (size_t i = 1; i < length; i++)
    character = character << 6 | (u[i] & 0x3fU);
  return character;
}

static int32_t next_unit(units *in) {
  if (in->pending != 0) {
    uint32_t unit = in->pending;
    in->pending = 0;
    return (int32_t)unit;
  }
  if (in->at >= in->end)
    return -1;
  uint32_t character =
      *in->at == '\\' ? hf_json_take_escape(&in->at, in->end) : decode_utf8(&in->at, in->end);
  if (character < 0x10000)
    return (int32_t)character;
  in->pending = 0xdc00 + (character & 0x3ff);
  return (int32_t)(0xd800 + ((character - 0x10000) >> 10));
}

static int compare_names(const member *a, const member *b) {
  if (a->name_is_plain && b->name_is_plain) {
    size_t common = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
    int order = memcmp(a->name + 1, b->name + 1, common - 2); /* without quotation marks */
    return order != 0 ? order : (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
  }
  units x = {a->name + 1, a->name + a->name_bytes - 1, 0};
  units y = {b->name + 1, b->name + b->name_bytes - 1, 0};
  for (;;) {
    int32_t left = next_unit(&x), right = next_unit(&y);
    if (left != right)
      return left < right ? -1 : 1;
    if (left < 0)
      return 0;
  }
}

static int compare_members(const void *a, const void *b) {
  const member *x = a, *y = b;
  int order = compare_names(x, y);
  if (order != 0)
    return order;
  return (x->name > y->name) - (x->name < y->name); /* the same name: as they stand in the text */
}

/* ---- printing ---- */

static void add_string(hf_buf *out, const char *text, size_t bytes) {
  const char *end = text + bytes;
  while (text < end) {
    const char *escape = memchr(text, '\\', (size_t)(end - text));
    if (escape == NULL)
      escape = end;
    (void)hf_buf_add(out, text, (size_t)(escape - text));
    text = escape;
    if (escape == end)
      return;
    uint32_t character = hf_json_take_escape(&text, end);
    if (hf_json_is_surrogate(character)) {
      (void)hf_buf_printf(out, "\\u%04x", character);
    } else if (character < 0x20 || character == '"' || character == '\\') {
      (void)hf_json_add_escape(out, (unsigned char)character);
    } else {
      char utf8[4];
      (void)hf_buf_add(out, utf8, hf_utf8_put(character, utf8));
    }
  }
}

static void add_scalar(hf_buf *out, const char *text, size_t bytes, int spelled) {
  switch (hf_json_type_at(text, text + bytes)) {
  case HF_JSON_STRING:
    add_string(out, text, bytes);
    break;
  case HF_JSON_NUMBER:
    (void)(spelled ? hf_buf_add(out, text, bytes) : hf_json_add_canonical_number(out, text, bytes));
    break;
  case HF_JSON_NULL:
  case HF_JSON_FALSE:
  case HF_JSON_TRUE:
  case HF_JSON_ARRAY:
  case HF_JSON_OBJECT:
    (void)hf_buf_add(out, text, bytes);
    break;
  }
}

/* Puts an object's members into order; of those with one name the last stays. */
static int collect(canonical *c, frame *f) {
  size_t allocated = 0;
  member child;
  while (walk_next(c, &f->walk, 1, &child) == 1) {
    void *members = f->members;
    int status = reserve(&members, f->count, &allocated, sizeof *f->members);
    f->members = members;
    if (status != 0)
      return status;
    f->members[f->count++] = child;
  }
  if (f->count < 2)
    return 0;
  qsort(f->members, f->count, sizeof *f->members, compare_members);
  size_t kept = 0;
  for (size_t i = 0; i < f->count; i++)
    if (i + 1 == f->count || compare_names(&f->members[i], &f->members[i + 1]) != 0)
      f->members[kept++] = f->members[i];
  f->count = kept;
  return 0;
}

static void enter(canonical *c, const char *text, size_t node) {
  void *frames = c->frames;
  int status = reserve(&frames, c->frames_count, &c->frames_allocated, sizeof *c->frames);
  c->frames = frames;
  if (status == 0) {
    frame *f = &c->frames[c->frames_count++];
    *f = (frame){*text == '{', 1, begin_walk(c, text, node), NULL, 0, 0};
    (void)hf_buf_add_char(c->out, *text);
    if (f->is_object)
      status = collect(c, f);
  }
  c->status = status;
}

static void leave(canonical *c) {
  frame *f = &c->frames[--c->frames_count];
  (void)hf_buf_add_char(c->out, f->is_object ? '}' : ']');
  free(f->members);
}

/* One child of the innermost container, or its end. */
static void step(canonical *c) {
  frame *f = &c->frames[c->frames_count - 1];
  member child;
  int more = 0;
  if (f->is_object) {
    more = f->index < f->count;
    if (more)
      child = f->members[f->index++];
  } else {
    more = walk_next(c, &f->walk, 0, &child);
  }
  if (!more) {
    leave(c);
    return;
  }
  if (!f->first)
    (void)hf_buf_add_char(c->out, ',');
  f->first = 0;
  if (f->is_object) {
    add_string(c->out, child.name, child.name_bytes);
    (void)hf_buf_add_char(c->out, ':');
  }
  if (child.node != 0)
    enter(c, child.value, child.node);
  else
    add_scalar(c->out, child.value, child.value_bytes, c->spelled);
}

static int add_canonical(const hf_json *value, int spelled, hf_buf *out) {
  if (value->type != HF_JSON_OBJECT && value->type != HF_JSON_ARRAY) {
    add_scalar(out, value->text, value->bytes, spelled);
    return out->failed;
  }
  canonical c = {0};
  c.out = out;
  c.spelled = spelled;
  c.status = note_containers(&c, value->text, value->text + value->bytes);
  if (c.status == 0)
    enter(&c, value->text, 0);
  while (c.status == 0 && out->failed == 0 && c.frames_count > 0)
    step(&c);
  while (c.frames_count > 0)
    free(c.frames[--c.frames_count].members);
  free(c.frames);
  free(c.nodes);
  if (c.status != 0 && out->failed == 0)
    out->failed = c.status;
  return out->failed;
}

int hf_json_canonical(const hf_json *value, hf_buf *out) {
  return add_canonical(value, 0, out);
}

int hf_json_canonical_spelled(const hf_json *value, hf_buf *out) {
  return add_canonical(value, 1, out);
}
