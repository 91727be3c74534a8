/* Does a record match an expression? */
#include <string.h>

#include "buf.h"
#include "clock.h"
#include "err.h"
#include "expr.h"
#include "plant.h"

#include "banned.h"

/* One record under one expression. */
typedef struct matching {
  const hf_expr *expr;
  const hf_subject *subject;
  int has_document; /* found[] is filled */
  hf_json found[HF_EXPR_NODES_MAX];
} matching;

static int need_document(matching *m, hf_error *reterr) {
  hf_piece document;
  if (m->has_document)
    return HF_OK;
  int status = hf_subject_document(m->subject, &document, reterr);
  if (status != HF_OK)
    return status;
  hf_expr_find(m->expr, document, m->found);
  m->has_document = 1;
  return HF_OK;
}

/* ret_found->value.text NULL: it is absent. */
static int value_of(matching *m, const hf_expr_operand *operand, hf_found *ret_found,
                    hf_error *reterr) {
  int status = HF_OK;
  switch (operand->kind) {
  case HF_OPERAND_LITERAL: {
    const hf_expr_literal *literal = &m->expr->literals[operand->number];
    ret_found->value = (hf_json){literal->json, literal->json_bytes, literal->type};
    ret_found->is_time = literal->is_time;
    ret_found->unix_us = literal->unix_us;
    break;
  }
  case HF_OPERAND_MEMBER:
    status = hf_expr_member_of(m->expr, operand, m->subject, ret_found, reterr);
    break;
  case HF_OPERAND_POINTER:
    status = need_document(m, reterr);
    if (status != HF_OK)
      return status;
    ret_found->value = m->found[operand->number];
    ret_found->is_time = 0;
    break;
  }
  return status;
}

static int is_plain(const hf_json *string) {
  return memchr(string->text, '\\', string->bytes) == NULL;
}

static int order_of(const char *a, size_t a_bytes, const char *b, size_t b_bytes) {
  size_t common = a_bytes < b_bytes ? a_bytes : b_bytes;
  int order = common > 0 ? memcmp(a, b, common) : 0;
  return order != 0 ? (order > 0) - (order < 0) : (a_bytes > b_bytes) - (a_bytes < b_bytes);
}

/* UTF-8 sorts as its code points do. */
int hf_expr_compare_strings(const hf_json *a, const hf_json *b, int *ret_order, hf_error *reterr) {
  if (is_plain(a) && is_plain(b)) {
    *ret_order = order_of(a->text + 1, a->bytes - 2, b->text + 1, b->bytes - 2);
    return HF_OK;
  }
  hf_autobuf left = {0};
  hf_autobuf right = {0};
  if (hf_json_decode_string(a, &left) != 0 || hf_json_decode_string(b, &right) != 0)
    return hf_err_nomem(reterr);
  *ret_order = order_of(left.data, left.used, right.data, right.used);
  return HF_OK;
}

static int is_equal_inside(const hf_json *a, const hf_json *b, hf_error *reterr) {
  hf_autobuf left = {0};
  hf_autobuf right = {0};
  if (hf_json_canonical(a, &left) != 0 || hf_json_canonical(b, &right) != 0)
    return hf_err_nomem(reterr);
  return left.used == right.used && memcmp(left.data, right.data, left.used) == 0;
}

/* By the order of the two; equal or not is all that some types know. */
static int answer(hf_expr_comparison comparison, int order, int is_ordered) {
  switch (comparison) {
  case HF_COMPARE_EQUAL:
    return order == 0;
  case HF_COMPARE_UNEQUAL:
    return order != 0;
  case HF_COMPARE_LESS:
    return is_ordered && order < 0;
  case HF_COMPARE_LESS_EQUAL:
    return is_ordered && order <= 0;
  case HF_COMPARE_GREATER:
    return is_ordered && order > 0;
  case HF_COMPARE_GREATER_EQUAL:
    return is_ordered && order >= 0;
  }
  return 0;
}

/* A string that is compared with a time of the envelope. */
static void read_time(hf_found *found) {
  if (!found->is_time && found->value.type == HF_JSON_STRING)
    found->is_time =
        hf_timestamp_parse(found->value.text + 1, found->value.bytes - 2, &found->unix_us) == 0;
}

static int compare(hf_expr_comparison comparison, const hf_found *a, const hf_found *b,
                   hf_error *reterr) {
  const hf_json *left = &a->value;
  const hf_json *right = &b->value;
  int order = 0;
  if (left->type != right->type)
    return comparison == HF_COMPARE_UNEQUAL;
  switch (left->type) {
  case HF_JSON_NULL:
  case HF_JSON_FALSE:
  case HF_JSON_TRUE:
    return answer(comparison, 0, 0);
  case HF_JSON_NUMBER:
    if (HF_PLANTED(COMPARE_AS_DOUBLES)) {
      double x = hf_json_number_double(left);
      double y = hf_json_number_double(right);
      return answer(comparison, (x > y) - (x < y), 1);
    }
    return answer(comparison, hf_json_number_compare(left, right), 1);
  case HF_JSON_STRING: {
    int status = hf_expr_compare_strings(left, right, &order, reterr);
    return status == HF_OK ? answer(comparison, order, 1) : status;
  }
  case HF_JSON_ARRAY:
  case HF_JSON_OBJECT: {
    if (comparison != HF_COMPARE_EQUAL && comparison != HF_COMPARE_UNEQUAL)
      return 0;
    int is_equal = is_equal_inside(left, right, reterr);
    return is_equal < 0 ? is_equal : answer(comparison, !is_equal, 0);
  }
  }
  return 0;
}

static int test(matching *m, const hf_expr_step *step, hf_error *reterr) {
  hf_found left;
  hf_found right;
  int status = value_of(m, &step->left, &left, reterr);
  if (status == HF_OK)
    status = value_of(m, &step->right, &right, reterr);
  if (status != HF_OK)
    return status;
  if (left.value.text == NULL || right.value.text == NULL)
    return 0;
  if (hf_expr_is_time(&step->left) || hf_expr_is_time(&step->right)) {
    read_time(&left);
    read_time(&right);
    if (left.is_time && right.is_time)
      return answer(step->comparison,
                    (left.unix_us > right.unix_us) - (left.unix_us < right.unix_us), 1);
    if (left.is_time != right.is_time)
      return step->comparison == HF_COMPARE_UNEQUAL;
  }
  return compare(step->comparison, &left, &right, reterr);
}

int hf_expr_match_subject(const hf_expr *expr, const hf_subject *subject, hf_error *reterr) {
  matching m;
  m.expr = expr;
  m.subject = subject;
  m.has_document = 0;
  int result = 1;
  for (size_t i = 0; i < expr->steps_count; i++) {
    const hf_expr_step *step = &expr->steps[i];
    switch (step->kind) {
    case HF_STEP_COMPARE:
      result = test(&m, step, reterr);
      break;
    case HF_STEP_EXISTS: {
      hf_found found;
      int status = value_of(&m, &step->left, &found, reterr);
      result = status == HF_OK ? found.value.text != NULL : status;
      break;
    }
    case HF_STEP_NOT:
      result = !result;
      break;
    case HF_STEP_JUMP_IF_FALSE:
      i = result ? i : step->target - 1;
      break;
    case HF_STEP_JUMP_IF_TRUE:
      i = result ? step->target - 1 : i;
      break;
    }
    if (result < 0)
      break;
  }
  return result;
}

int hf_expr_match(const hf_expr *expr, const hf_record *record, hf_error *reterr) {
  hf_line line;
  hf_subject subject;
  if (expr == NULL || record == NULL)
    return hf_err(reterr, HF_EINVAL, NULL, "an expression and a record are needed; one is NULL");
  int status = hf_subject_of_record(record, &line, &subject, reterr);
  return status == HF_OK ? hf_expr_match_subject(expr, &subject, reterr) : status;
}
