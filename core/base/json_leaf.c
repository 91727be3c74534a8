/* The scalar values of a document. The members of an object are listed first, so that one that
 * stands again further on is known before anything is told of it. */
#include <holdfast/leaf.h>

#include <string.h>

#include <holdfast/holdfast.h>

#include "err.h"
#include "id.h"
#include "json_scan.h"

#include "banned.h"

enum { FEW_MEMBERS = 12 }; /* so many are compared with each other, without a table */

typedef struct member {
  hf_json name;
  hf_json value;
  int is_last; /* of those with its name */
} member;

typedef struct walk {
  hf_buf members; /* of the objects from the document down to this one, one behind the other */
  hf_buf pointer;
  hf_buf name;  /* decoded */
  hf_buf slots; /* size_t: 1 + the place of a member, by the hash of its name */
  hf_leaf_fn leaf;
  void *context;
  unsigned depth;
} walk;

static member *members_from(const walk *on, size_t first) {
  return (member *)(void *)(on->members.data + first);
}

static int has_escape(const hf_json *string) {
  return memchr(string->text, '\\', string->bytes) != NULL;
}

static int decode(walk *on, const hf_json *string) {
  on->name.used = 0; /* what failed stays failed */
  return hf_json_decode_string(string, &on->name);
}

static int same_name(walk *on, const member *a, const member *b) {
  if (!has_escape(&a->name) && !has_escape(&b->name))
    return a->name.bytes == b->name.bytes && memcmp(a->name.text, b->name.text, a->name.bytes) == 0;
  if (decode(on, &a->name) != 0)
    return 0;
  return hf_json_string_equals(&b->name, on->name.data, on->name.used);
}

static uint64_t name_hash(walk *on, const hf_json *name) {
  if (!has_escape(name))
    return hf_hash64(0, name->text + 1, name->bytes - 2);
  return decode(on, name) == 0 ? hf_hash64(0, on->name.data, on->name.used) : 0;
}

/* Which of several members of one name is the last. */
static int judge_few(walk *on, member *members, size_t count) {
  for (size_t i = 0; i < count; i++)
    for (size_t later = i + 1; members[i].is_last && later < count; later++)
      members[i].is_last = !same_name(on, &members[i], &members[later]);
  return on->name.failed;
}

static int judge_many(walk *on, member *members, size_t count) {
  size_t size = 16;
  while (size < 2 * count)
    size *= 2;
  hf_buf_clear(&on->slots);
  if (hf_buf_reserve(&on->slots, size * sizeof(size_t)) != 0)
    return on->slots.failed;
  size_t *slots = (size_t *)(void *)on->slots.data;
  memset(slots, 0, size * sizeof *slots);
  for (size_t i = count; i-- > 0;) {
    size_t at = (size_t)name_hash(on, &members[i].name) & (size - 1);
    while (slots[at] != 0 && !same_name(on, &members[i], &members[slots[at] - 1]))
      at = (at + 1) & (size - 1);
    if (slots[at] != 0)
      members[i].is_last = 0;
    else
      slots[at] = i + 1;
  }
  return on->name.failed;
}

static int list_members(walk *on, const hf_json *object, size_t *ret_count) {
  size_t first = on->members.used;
  size_t position = 0;
  member one = {.is_last = 1};
  while (hf_json_next(object, &position, &one.name, &one.value) == 1)
    if (one.name.bytes >= 2 && hf_buf_add(&on->members, &one, sizeof one) != 0)
      return on->members.failed;
  *ret_count = (on->members.used - first) / sizeof one;
  if (*ret_count < 2)
    return 0;
  member *members = members_from(on, first);
  return *ret_count <= FEW_MEMBERS ? judge_few(on, members, *ret_count)
                                   : judge_many(on, members, *ret_count);
}

/* Has the string a text, without half a surrogate pair? And, for names, without NUL. */
static int has_text(const char *text, size_t bytes, int nul_allowed) {
  const char *end = text + bytes;
  const char *p = text;
  while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
    uint32_t character = hf_json_take_escape(&p, end);
    if (hf_json_is_surrogate(character) || (character == 0 && !nul_allowed))
      return 0;
  }
  return 1;
}

/* Appends "/name", escaped. 1; 0: no text can name it; negative. */
static int push_name(walk *on, const hf_json *name) {
  const char *text = name->text + 1;
  size_t bytes = name->bytes - 2;
  if (has_escape(name)) {
    if (!has_text(text, bytes, 0))
      return 0;
    if (decode(on, name) != 0)
      return on->name.failed;
    text = on->name.data;
    bytes = on->name.used;
  }
  (void)hf_buf_add_char(&on->pointer, '/');
  if (bytes == 0)
    return on->pointer.failed != 0 ? on->pointer.failed : 1;
  if (memchr(text, '/', bytes) == NULL && memchr(text, '~', bytes) == NULL) {
    (void)hf_buf_add(&on->pointer, text, bytes);
  } else {
    for (size_t i = 0; i < bytes; i++)
      if (text[i] == '/' || text[i] == '~')
        (void)hf_buf_add(&on->pointer, text[i] == '/' ? "~1" : "~0", 2);
      else
        (void)hf_buf_add_char(&on->pointer, text[i]);
  }
  return on->pointer.failed != 0 ? on->pointer.failed : 1;
}

static hf_leaf_type leaf_type(hf_json_type type) {
  switch (type) {
  case HF_JSON_FALSE:
    return HF_LEAF_FALSE;
  case HF_JSON_TRUE:
    return HF_LEAF_TRUE;
  case HF_JSON_NUMBER:
    return HF_LEAF_NUMBER;
  case HF_JSON_STRING:
    return HF_LEAF_STRING;
  case HF_JSON_NULL:
  case HF_JSON_ARRAY:
  case HF_JSON_OBJECT:
    break;
  }
  return HF_LEAF_NULL;
}

/* HF_OK, HF_ECANCELLED, or HF_ENOMEM. Recursive, at most HF_DOC_NESTING_MAX deep. */
static int walk_object(walk *on, const hf_json *object) {
  size_t first = on->members.used;
  size_t pointer_bytes = on->pointer.used;
  size_t count = 0;
  int status = list_members(on, object, &count);
  on->depth++;
  for (size_t i = 0; status == HF_OK && i < count; i++) {
    member at = members_from(on, first)[i]; /* a copy: the list may move */
    int is_object = at.value.type == HF_JSON_OBJECT;
    if (!at.is_last || at.value.type == HF_JSON_ARRAY ||
        (is_object && on->depth >= HF_DOC_NESTING_MAX))
      continue;
    int named = push_name(on, &at.name);
    if (named == 1 && is_object) {
      status = walk_object(on, &at.value);
    } else if (named == 1) {
      hf_leaf leaf = {on->pointer.data, on->pointer.used, leaf_type(at.value.type), at.value.text,
                      at.value.bytes};
      if (on->leaf(on->context, &leaf) != 0)
        status = HF_ECANCELLED;
    } else if (named < 0) {
      status = named;
    }
    on->pointer.used = pointer_bytes;
  }
  on->depth--;
  on->members.used = first;
  return status;
}

int hf_json_leaves(const char *text, size_t text_bytes, hf_leaf_fn leaf, void *context,
                   hf_error *reterr) {
  if (text == NULL || leaf == NULL)
    return hf_err(reterr, HF_EINVAL, NULL, "hf_json_leaves needs a text and a function");
  hf_json root = hf_json_value(text, text_bytes);
  if (root.type != HF_JSON_OBJECT)
    return HF_OK;
  walk on = {.leaf = leaf, .context = context};
  int status = walk_object(&on, &root);
  hf_buf_free(&on.members);
  hf_buf_free(&on.pointer);
  hf_buf_free(&on.name);
  hf_buf_free(&on.slots);
  if (status == HF_ECANCELLED)
    return hf_err(reterr, HF_ECANCELLED, NULL, "stopped");
  return status == HF_OK ? HF_OK : hf_err_nomem(reterr);
}

int hf_leaf_text(const hf_leaf *leaf, char *out, size_t *ret_bytes) {
  if (leaf->type != HF_LEAF_STRING || leaf->value_bytes < 2)
    return 0;
  const char *p = leaf->value + 1;
  const char *end = leaf->value + leaf->value_bytes - 1;
  size_t used = 0;
  while (p < end) {
    const char *escape = memchr(p, '\\', (size_t)(end - p));
    size_t run = (size_t)((escape != NULL ? escape : end) - p);
    memcpy(out + used, p, run);
    used += run;
    p += run;
    if (escape == NULL)
      break;
    uint32_t character = hf_json_take_escape(&p, end);
    if (hf_json_is_surrogate(character))
      return 0;
    char bytes[4];
    size_t count = hf_utf8_put(character, bytes);
    memcpy(out + used, bytes, count);
    used += count;
  }
  *ret_bytes = used;
  return 1;
}
