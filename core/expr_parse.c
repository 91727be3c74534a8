/* The grammar of expressions: see holdfast/expr.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "expr.h"

#include "banned.h"

typedef struct parser {
  hf_expr *expr;
  hf_lexer in;
  hf_token token; /* the next one */
  int nesting;
  hf_error *reterr;
} parser;

static const char an_operand[] =
    "a pointer such as /metrics/auc, a member such as stage, or a value";

static int advance(parser *p) {
  return hf_lexer_next(&p->in, &p->token, p->reterr);
}

static int fail(const parser *p, const char *expected) {
  return hf_lexer_error(&p->in, p->token.begin, expected, p->reterr);
}

static int add_step(parser *p, const hf_expr_step *step) {
  hf_expr *expr = p->expr;
  int status = hf_expr_grow(&expr->steps, expr->steps_count, &expr->steps_allocated,
                            sizeof *expr->steps, p->reterr);
  if (status == HF_OK)
    expr->steps[expr->steps_count++] = *step;
  return status;
}

static int is_keyword(const hf_token *token) {
  static const char *const words[] = {"and", "or", "not", "exists"};
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
    if (hf_token_is_word(token, words[i]))
      return 1;
  return 0;
}

/* Words that people bring along from elsewhere. */
static int fail_word(const parser *p) {
  static const struct {
    const char *word;
    const char *instead;
  } others[] = {
      {"AND", "the word and"},
      {"OR", "the word or"},
      {"NOT", "the word not"},
      {"&&", "the word and"},
      {"||", "the word or"},
      {"True", "true"},
      {"False", "false"},
      {"None", "null"},
      {"NULL", "null"},
      {"run", "the word run_id"},
      {"dim", "dims. and a name"},
      {"timestamp", "ts, at or time"},
  };
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    if (hf_token_is_word(&p->token, others[i].word))
      return fail(p, others[i].instead);
  return fail(p,
              p->token.kind == HF_TOKEN_WORD
                  ? "a pointer such as /metrics/auc, a member such as stage, or a value (strings "
                    "stand in quotation marks)"
                  : an_operand);
}

static int take_literal(parser *p, hf_expr_operand *ret_operand) {
  *ret_operand = (hf_expr_operand){HF_OPERAND_LITERAL, HF_MEMBER_SEQ, 0};
  return hf_expr_add_literal(p->expr, p->token.text, p->token.bytes, &ret_operand->number,
                             p->reterr);
}

/* Takes a place or a literal; *ret_begin: where it stands. */
static int take_operand(parser *p, hf_expr_operand *ret_operand, const char **ret_begin) {
  *ret_begin = p->token.begin;
  int is_value = p->token.kind == HF_TOKEN_STRING || p->token.kind == HF_TOKEN_NUMBER ||
                 hf_token_is_word(&p->token, "true") || hf_token_is_word(&p->token, "false") ||
                 hf_token_is_word(&p->token, "null");
  int status;
  if (is_value) {
    status = take_literal(p, ret_operand);
  } else {
    int got = hf_expr_take_place(p->expr, &p->in, &p->token, ret_operand, p->reterr);
    status = got == 0 ? fail_word(p) : got == 1 ? HF_OK : got;
  }
  return status == HF_OK ? advance(p) : status;
}

/* A time is compared with a timestamp: another literal is a slip. */
static int check_time(const parser *p, const hf_expr_operand *time, const hf_expr_operand *other,
                      const char *where) {
  if (!hf_expr_is_time(time) || other->kind != HF_OPERAND_LITERAL ||
      p->expr->literals[other->number].is_time)
    return HF_OK;
  return hf_lexer_error(&p->in, where, "a timestamp such as \"2026-01-02T03:04:05Z\"", p->reterr);
}

static int take_comparison(parser *p) {
  hf_expr_step step = {.kind = HF_STEP_COMPARE};
  const char *left = NULL;
  const char *right = NULL;
  int status = take_operand(p, &step.left, &left);
  if (status != HF_OK)
    return status;
  if (hf_token_is_word(&p->token, "exists")) {
    if (step.left.kind == HF_OPERAND_LITERAL)
      return fail(p, "a comparison; only places can be asked to exist");
    step.kind = HF_STEP_EXISTS;
    status = advance(p);
    return status == HF_OK ? add_step(p, &step) : status;
  }
  if (p->token.kind != HF_TOKEN_COMPARISON)
    return fail(p, "a comparison: == != < <= > >= (or the word exists)");
  step.comparison = p->token.comparison;
  status = advance(p);
  if (status == HF_OK)
    status = take_operand(p, &step.right, &right);
  if (status == HF_OK)
    status = check_time(p, &step.left, &step.right, right);
  if (status == HF_OK)
    status = check_time(p, &step.right, &step.left, left);
  return status == HF_OK ? add_step(p, &step) : status;
}

/* Behind the word: a place, which may stand in parentheses. */
static int take_exists(parser *p) {
  hf_expr_step step = {.kind = HF_STEP_EXISTS};
  int status = advance(p);
  int in_parentheses = status == HF_OK && p->token.kind == HF_TOKEN_OPEN;
  if (in_parentheses)
    status = advance(p);
  if (status != HF_OK)
    return status;
  int got = hf_expr_take_place(p->expr, &p->in, &p->token, &step.left, p->reterr);
  if (got != 1)
    return got < 0 ? got : fail(p, "a pointer such as /metrics/auc, or a member such as group");
  status = advance(p);
  if (status == HF_OK && in_parentheses) {
    if (p->token.kind != HF_TOKEN_CLOSE)
      return fail(p, "the closing parenthesis");
    status = advance(p);
  }
  return status == HF_OK ? add_step(p, &step) : status;
}

static int take_expression(parser *p);

static int take_parentheses(parser *p) {
  if (++p->nesting > HF_EXPR_NESTING_MAX) {
    char message[80];
    (void)snprintf(message, sizeof message, "more than %d parentheses inside one another",
                   HF_EXPR_NESTING_MAX);
    return hf_lexer_say(&p->in, HF_ELIMIT, p->token.begin, message, p->reterr);
  }
  int status = advance(p);
  if (status == HF_OK)
    status = take_expression(p);
  if (status != HF_OK)
    return status;
  if (p->token.kind != HF_TOKEN_CLOSE)
    return fail(p, "and, or, or the closing parenthesis");
  p->nesting--;
  return advance(p);
}

static int take_term(parser *p) {
  int negated = 0;
  int status = HF_OK;
  while (status == HF_OK && hf_token_is_word(&p->token, "not")) {
    negated = !negated;
    status = advance(p);
  }
  if (status != HF_OK)
    return status;
  if (p->token.kind == HF_TOKEN_OPEN)
    status = take_parentheses(p);
  else if (hf_token_is_word(&p->token, "exists"))
    status = take_exists(p);
  else if (is_keyword(&p->token))
    return fail(p, an_operand);
  else
    status = take_comparison(p);
  if (status != HF_OK || !negated)
    return status;
  hf_expr_step step = {.kind = HF_STEP_NOT};
  return add_step(p, &step);
}

/* Terms with the same word between them. A jump leads behind the next term; where the answer is
 * settled, the jump that stands there leads on. */
static int take_chain(parser *p, const char *word, hf_expr_step_kind jump,
                      int (*take_part)(parser *p)) {
  int status = take_part(p);
  while (status == HF_OK && hf_token_is_word(&p->token, word)) {
    hf_expr_step step = {.kind = jump};
    size_t at = p->expr->steps_count;
    status = add_step(p, &step);
    if (status == HF_OK)
      status = advance(p);
    if (status == HF_OK)
      status = take_part(p);
    if (status == HF_OK)
      p->expr->steps[at].target = p->expr->steps_count;
  }
  return status;
}

static int take_conjunction(parser *p) {
  return take_chain(p, "and", HF_STEP_JUMP_IF_FALSE, take_term);
}

static int take_expression(parser *p) {
  return take_chain(p, "or", HF_STEP_JUMP_IF_TRUE, take_conjunction);
}

static int check_text(parser *p, size_t bytes) {
  if (bytes > HF_EXPR_BYTES_MAX)
    return hf_err(p->reterr, HF_ELIMIT, NULL, "the expression has %zu bytes; the limit is %d",
                  bytes, HF_EXPR_BYTES_MAX);
  if (!hf_utf8_valid(p->in.text, bytes))
    return hf_err(p->reterr, HF_EINVAL, NULL, "the expression is not UTF-8");
  return HF_OK;
}

static int parse(parser *p) {
  int status = advance(p);
  if (status == HF_OK)
    status = take_expression(p);
  if (status == HF_OK && p->token.kind != HF_TOKEN_END)
    status = p->token.kind == HF_TOKEN_CLOSE
                 ? hf_lexer_say(&p->in, HF_EINVAL, p->token.begin,
                                "this parenthesis closes none that is open", p->reterr)
                 : fail(p, "and, or, or the end of the expression");
  return status;
}

int hf_expr_and(hf_expr *expr, const char *text, size_t bytes, hf_error *reterr) {
  if (expr == NULL || (text == NULL && bytes > 0))
    return hf_err(reterr, HF_EINVAL, NULL, "an expression and a text are needed; one is NULL");
  if (text == NULL)
    text = "";
  parser p = {expr, {text, text, text + bytes}, {0}, 0, reterr};
  size_t before = expr->steps_count;
  int status = check_text(&p, bytes);
  hf_expr_step step = {.kind = HF_STEP_JUMP_IF_FALSE};
  if (status == HF_OK && before > 0)
    status = add_step(&p, &step);
  if (status == HF_OK)
    status = parse(&p);
  if (status != HF_OK)
    expr->steps_count = before; /* what else was added harms nothing */
  else if (before > 0)
    expr->steps[before].target = expr->steps_count;
  return status;
}

int hf_expr_parse(const char *text, size_t bytes, hf_expr **ret_expr, hf_error *reterr) {
  hf_expr *expr = calloc(1, sizeof *expr);
  if (expr == NULL)
    return hf_err_nomem(reterr);
  int status = hf_expr_and(expr, text, bytes, reterr);
  if (status == HF_OK)
    *ret_expr = hf_take(expr);
  hf_expr_free(&expr);
  return status;
}

void hf_expr_free(hf_expr **expr) {
  if (expr == NULL || *expr == NULL)
    return;
  hf_expr_clear(*expr);
  free(*expr);
  *expr = NULL;
}
