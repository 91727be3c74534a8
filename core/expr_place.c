/* The places of an expression: members of the envelope, and pointers, which make one tree. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "expr.h"
#include "json_scan.h"

#include "banned.h"

int hf_expr_grow(void *array_pointer, size_t count, size_t *allocated, size_t item_bytes,
                 hf_error *reterr) {
  void *array;
  if (count < *allocated)
    return HF_OK;
  size_t grown = *allocated == 0 ? 8 : *allocated * 2;
  memcpy(&array, array_pointer, sizeof array);
  array = realloc(array, grown * item_bytes);
  if (array == NULL)
    return hf_err_nomem(reterr);
  memcpy(array_pointer, &array, sizeof array);
  *allocated = grown;
  return HF_OK;
}

void hf_expr_clear(hf_expr *expr) {
  for (size_t i = 0; i < expr->literals_count; i++)
    free(expr->literals[i].json);
  for (size_t i = 0; i < expr->nodes_count; i++)
    free(expr->nodes[i].name);
  free(expr->literals);
  free(expr->nodes);
  free(expr->steps);
  memset(expr, 0, sizeof *expr);
}

int hf_expr_add_literal(hf_expr *expr, const char *json, size_t bytes, size_t *ret_number,
                        hf_error *reterr) {
  int status = hf_expr_grow(&expr->literals, expr->literals_count, &expr->literals_allocated,
                            sizeof *expr->literals, reterr);
  if (status != HF_OK)
    return status;
  hf_expr_literal literal = {NULL, bytes, hf_json_type_at(json, json + bytes), 0, 0};
  literal.json = malloc(bytes + 1);
  if (literal.json == NULL)
    return hf_err_nomem(reterr);
  memcpy(literal.json, json, bytes);
  literal.json[bytes] = '\0';
  if (literal.type == HF_JSON_STRING)
    literal.is_time = hf_timestamp_parse(json + 1, bytes - 2, &literal.unix_us) == 0;
  *ret_number = expr->literals_count;
  expr->literals[expr->literals_count++] = literal;
  return HF_OK;
}

int hf_expr_is_time(const hf_expr_operand *operand) {
  return operand->kind == HF_OPERAND_MEMBER &&
         (operand->member == HF_MEMBER_TS || operand->member == HF_MEMBER_AT ||
          operand->member == HF_MEMBER_TIME);
}

/* ---- members ---- */

static int take_member(const hf_token *token, hf_expr_operand *ret_operand) {
  static const char *const names[] = {
#define MEMBER_NAME(name, constant) name,
      HF_MEMBER_LIST(MEMBER_NAME)
#undef MEMBER_NAME
  };
  static const hf_expr_member members[] = {
#define MEMBER_CONSTANT(name, constant) constant,
      HF_MEMBER_LIST(MEMBER_CONSTANT)
#undef MEMBER_CONSTANT
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
    if (hf_token_is_word(token, names[i])) {
      *ret_operand = (hf_expr_operand){HF_OPERAND_MEMBER, members[i], 0};
      return 1;
    }
  return 0;
}

/* The name is kept as the envelope has it: as a JSON string that is written in one way only. */
static int take_dim(hf_expr *expr, const hf_token *token, hf_expr_operand *ret_operand,
                    hf_error *reterr) {
  hf_autobuf name = {0};
  hf_autobuf json = {0};
  hf_json string = {token->text, token->bytes, HF_JSON_STRING};
  if (token->text[0] == '"')
    (void)hf_json_decode_string(&string, &name);
  else
    (void)hf_buf_add(&name, token->text, token->bytes);
  (void)hf_buf_add(&name, "", 0);
  if (name.failed != 0 || hf_json_add_string(&json, name.data, name.used) != 0)
    return hf_err_nomem(reterr);
  *ret_operand = (hf_expr_operand){HF_OPERAND_MEMBER, HF_MEMBER_DIM, 0};
  int status = hf_expr_add_literal(expr, json.data, json.used, &ret_operand->number, reterr);
  return status == HF_OK ? 1 : status;
}

/* ---- pointers ---- */

static int parse_index(const char *name, size_t bytes, size_t *ret_index) {
  size_t index = 0;
  if (bytes == 0 || (name[0] == '0' && bytes > 1))
    return 0;
  for (size_t i = 0; i < bytes; i++) {
    if (!hf_scan_is_digit(name[i]) || index > (SIZE_MAX - 9) / 10)
      return 0;
    index = index * 10 + (size_t)(name[i] - '0');
  }
  *ret_index = index;
  return 1;
}

static int add_node(hf_expr *expr, const char *name, size_t bytes, size_t *ret_node,
                    hf_error *reterr) {
  int status = hf_expr_grow(&expr->nodes, expr->nodes_count, &expr->nodes_allocated,
                            sizeof *expr->nodes, reterr);
  if (status != HF_OK)
    return status;
  hf_expr_node node = {.name = malloc(bytes + 1), .name_bytes = bytes};
  if (node.name == NULL)
    return hf_err_nomem(reterr);
  if (bytes > 0)
    memcpy(node.name, name, bytes);
  node.name[bytes] = '\0';
  node.has_backslash = memchr(node.name, '\\', bytes) != NULL;
  node.is_index = parse_index(node.name, bytes, &node.index);
  *ret_node = expr->nodes_count;
  expr->nodes[expr->nodes_count++] = node;
  return HF_OK;
}

/* The child of this name, made where there is none. */
static int child_of(hf_expr *expr, size_t parent, const hf_buf *name, size_t *ret_node,
                    hf_error *reterr) {
  for (size_t i = expr->nodes[parent].first_child; i != 0; i = expr->nodes[i].next)
    if (expr->nodes[i].name_bytes == name->used &&
        memcmp(expr->nodes[i].name, name->data, name->used) == 0) {
      *ret_node = i;
      return HF_OK;
    }
  if (expr->nodes_count >= HF_EXPR_NODES_MAX)
    return hf_err(reterr, HF_ELIMIT, NULL, "the pointers have more than %d different names",
                  HF_EXPR_NAMES_MAX);
  int status = add_node(expr, name->data, name->used, ret_node, reterr);
  if (status != HF_OK)
    return status;
  expr->nodes[*ret_node].next = expr->nodes[parent].first_child;
  expr->nodes[parent].first_child = *ret_node;
  return HF_OK;
}

/* One name, up to the next '/': ~0 is '~', ~1 is '/'. */
static const char *take_name(const char *p, const char *end, hf_buf *name) {
  (void)hf_buf_add(name, "", 0);
  while (p < end && *p != '/') {
    int escaped = *p == '~';
    p += escaped;
    (void)hf_buf_add_char(name, !escaped ? *p : *p == '0' ? '~' : '/');
    p++;
  }
  return p;
}

static int check_pointer(const hf_lexer *in, const hf_token *token, const char *p, const char *end,
                         hf_error *reterr) {
  if (p < end && *p != '/')
    return hf_lexer_say(in, HF_EINVAL, token->begin,
                        "a JSON Pointer is empty or begins with '/', as in /metrics/accuracy",
                        reterr);
  for (; p < end; p++)
    if (*p == '~' && (p + 1 == end || (p[1] != '0' && p[1] != '1')))
      return hf_lexer_say(in, HF_EINVAL, token->kind == HF_TOKEN_POINTER ? p : token->begin,
                          "'~' in a JSON Pointer is written ~0, and '/' in a name ~1", reterr);
  return HF_OK;
}

static int take_pointer(hf_expr *expr, const hf_lexer *in, const hf_token *token, const char *p,
                        const char *end, hf_expr_operand *ret_operand, hf_error *reterr) {
  size_t node = 0;
  int status = check_pointer(in, token, p, end, reterr);
  if (status == HF_OK && expr->nodes_count == 0)
    status = add_node(expr, "", 0, &node, reterr);
  while (status == HF_OK && p < end) {
    hf_autobuf name = {0};
    p = take_name(p + 1, end, &name);
    status = name.failed != 0 ? hf_err_nomem(reterr) : child_of(expr, node, &name, &node, reterr);
  }
  *ret_operand = (hf_expr_operand){HF_OPERAND_POINTER, HF_MEMBER_SEQ, node};
  return status == HF_OK ? 1 : status;
}

int hf_expr_take_place(hf_expr *expr, const hf_lexer *in, const hf_token *token,
                       hf_expr_operand *ret_operand, hf_error *reterr) {
  if (token->kind == HF_TOKEN_WORD)
    return take_member(token, ret_operand);
  if (token->kind == HF_TOKEN_DIM)
    return take_dim(expr, token, ret_operand, reterr);
  if (token->kind == HF_TOKEN_POINTER)
    return take_pointer(expr, in, token, token->text, token->text + token->bytes, ret_operand,
                        reterr);
  if (token->kind != HF_TOKEN_QUOTED)
    return 0;
  hf_autobuf pointer = {0};
  hf_json string = {token->text, token->bytes, HF_JSON_STRING};
  (void)hf_buf_add(&pointer, "", 0);
  if (hf_json_decode_string(&string, &pointer) != 0)
    return hf_err_nomem(reterr);
  return take_pointer(expr, in, token, pointer.data, pointer.data + pointer.used, ret_operand,
                      reterr);
}
