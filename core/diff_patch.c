/* hf_diff_patch: RFC 6902.
 *
 * Not made by cJSON_Utils: what it makes a patch of are cJSON's trees, in which every number is a
 * double. Raw items (cJSON_CreateRaw) would keep a number's text, but its comparison knows them not
 * as numbers, and cJSON's parser makes none. Its arrays are compared by place, too: one element put
 * before a thousand would be a thousand changes. */
#include <holdfast/diff.h>

#include <stdlib.h>
#include <string.h>

#include "diff_walk.h"
#include "err.h"

#include "banned.h"

typedef struct patcher {
  hf_json_tree a;
  hf_json_tree b;
  hf_walk walk;
  hf_buf scratch;
  hf_buf out;
} patcher;

/* A name in its canonical form, so already escaped as JSON is; as a pointer, too. */
static void add_name(hf_buf *out, const char *name, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    if (name[i] == '~' || name[i] == '/')
      (void)hf_buf_add_text(out, name[i] == '~' ? "~0" : "~1");
    else
      (void)hf_buf_add_char(out, name[i]);
  }
}

static int add_pointer(patcher *p, uint32_t id) {
  uint32_t chain[HF_DIFF_DEPTH_MAX + 1];
  size_t depth = 0;
  for (uint32_t at = id; at != 0 && depth < HF_DIFF_DEPTH_MAX; at = p->walk.places[at].up)
    chain[depth++] = at;
  while (depth-- > 0) {
    const hf_diff_place *place = &p->walk.places[chain[depth]];
    (void)hf_buf_add_char(&p->out, '/');
    if (place->in_list) {
      (void)hf_buf_printf(&p->out, "%u", place->a_index);
      continue;
    }
    int in_a = place->a != HF_DIFF_NONE;
    const char *name = NULL;
    size_t bytes = 0;
    if (hf_json_tree_name(in_a ? &p->a : &p->b, in_a ? place->a : place->b, &p->scratch, &name,
                          &bytes) != HF_OK)
      return HF_ENOMEM;
    add_name(&p->out, name, bytes);
  }
  return HF_OK;
}

static int add_change(patcher *p, uint32_t id) {
  const hf_diff_place *place = &p->walk.places[id];
  const char *op = place->b == HF_DIFF_NONE   ? "remove"
                   : place->a == HF_DIFF_NONE ? "add"
                                              : "replace";
  (void)hf_buf_printf(&p->out, "{\"op\":\"%s\",\"path\":\"", op);
  if (add_pointer(p, id) != HF_OK)
    return HF_ENOMEM;
  if (place->b != HF_DIFF_NONE) {
    hf_json value = hf_json_tree_value(&p->b, place->b);
    (void)hf_buf_add_text(&p->out, "\",\"value\":");
    (void)hf_buf_add(&p->out, value.text, value.bytes);
    (void)hf_buf_add_char(&p->out, '}');
  } else {
    (void)hf_buf_add_text(&p->out, "\"}");
  }
  return p->out.failed;
}

static int make(patcher *p) {
  p->walk.a = &p->a;
  p->walk.b = &p->b;
  int status = hf_walk_run(&p->walk);
  (void)hf_buf_add_char(&p->out, '[');
  for (size_t i = 0; status == HF_OK && i < p->walk.changes.count; i++) {
    if (i > 0)
      (void)hf_buf_add_char(&p->out, ',');
    status = add_change(p, p->walk.changes.ids[i]);
  }
  (void)hf_buf_add_char(&p->out, ']');
  return status == HF_OK ? p->out.failed : status;
}

/* Checked, and without white space: *ret_tree's text is in out. */
static int take(const char *text, size_t bytes, const char *which, hf_buf *out,
                hf_json_tree *ret_tree, hf_error *reterr) {
  hf_error broken = HF_ERROR_INIT;
  int status = hf_json_check(text, bytes, 0, HF_DOC_NESTING_MAX, out, NULL, &broken);
  if (status == HF_ENOMEM)
    return hf_err_nomem(reterr);
  if (status != HF_OK)
    return hf_err(reterr, status, broken.place, "the %s document: %s", which, broken.message);
  return hf_json_tree_make(out->data, out->used, HF_JSON_TREE_SPELLING, ret_tree, reterr);
}

int hf_diff_patch(const char *a, size_t a_bytes, const char *b, size_t b_bytes, char **ret_text,
                  size_t *ret_bytes, hf_error *reterr) {
  if (a == NULL || b == NULL || ret_text == NULL || ret_bytes == NULL)
    return hf_err(reterr, HF_EINVAL, NULL,
                  "hf_diff_patch needs two documents and places for the result; one of them is "
                  "NULL");
  hf_autobuf of_a = {0}, of_b = {0};
  patcher *p = calloc(1, sizeof *p);
  if (p == NULL)
    return hf_err_nomem(reterr);
  int status = take(a, a_bytes, "old", &of_a, &p->a, reterr);
  if (status == HF_OK)
    status = take(b, b_bytes, "new", &of_b, &p->b, reterr);
  if (status == HF_OK && make(p) != HF_OK)
    status = hf_err_nomem(reterr);
  if (status == HF_OK) {
    *ret_bytes = p->out.used;
    *ret_text = hf_buf_take(&p->out);
  }
  hf_walk_free(&p->walk);
  hf_json_tree_free(&p->a);
  hf_json_tree_free(&p->b);
  hf_buf_free(&p->scratch);
  hf_buf_free(&p->out);
  free(p);
  return status;
}
