/* Expressions, inside: what hf_expr_parse makes of a text, and how a record is looked at.
 *
 * An expression is a list of steps with one answer, which tests set and jumps look at, so that a
 * long chain of "and" needs no stack. All its pointers are one tree of names, so that one walk over
 * a document finds all their values; the document is asked for when the first of them is needed.
 *
 * Owned by one hf_expr; nothing in it changes after parsing, so that threads may share it. */
#ifndef HF_CORE_EXPR_H
#define HF_CORE_EXPR_H

#include <string.h>

#include <holdfast/expr.h>

#include "json.h"
#include "record.h"

/* X(name in the text, constant). dims.NAME is HF_MEMBER_DIM. */
#define HF_MEMBER_LIST(X)                                                                          \
  X("seq", HF_MEMBER_SEQ)                                                                          \
  X("op", HF_MEMBER_OP)                                                                            \
  X("id", HF_MEMBER_ID)                                                                            \
  X("run_id", HF_MEMBER_RUN_ID)                                                                    \
  X("stage", HF_MEMBER_STAGE)                                                                      \
  X("group", HF_MEMBER_GROUP)                                                                      \
  X("dims", HF_MEMBER_DIMS)                                                                        \
  X("ts", HF_MEMBER_TS)                                                                            \
  X("at", HF_MEMBER_AT)                                                                            \
  X("time", HF_MEMBER_TIME)                                                                        \
  X("host", HF_MEMBER_HOST)                                                                        \
  X("pid", HF_MEMBER_PID)                                                                          \
  X("sha256", HF_MEMBER_SHA256)                                                                    \
  X("size", HF_MEMBER_SIZE)                                                                        \
  X("current", HF_MEMBER_CURRENT)                                                                  \
  X("legacy_seq", HF_MEMBER_LEGACY_SEQ)                                                            \
  X("legacy_clock", HF_MEMBER_LEGACY_CLOCK)                                                        \
  X("retired", HF_MEMBER_RETIRED)                                                                  \
  X("dropped", HF_MEMBER_DROPPED)

typedef enum hf_expr_member {
#define HF_MEMBER_ENUM(name, constant) constant,
  HF_MEMBER_LIST(HF_MEMBER_ENUM)
#undef HF_MEMBER_ENUM
      HF_MEMBER_DIM
} hf_expr_member;

typedef enum hf_expr_operand_kind {
  HF_OPERAND_LITERAL,
  HF_OPERAND_MEMBER,
  HF_OPERAND_POINTER
} hf_expr_operand_kind;

typedef struct hf_expr_operand {
  hf_expr_operand_kind kind;
  hf_expr_member member;
  size_t number; /* of the literal, of the dim's name (a literal too), or of the tree's node */
} hf_expr_operand;

typedef enum hf_expr_comparison {
  HF_COMPARE_EQUAL,
  HF_COMPARE_UNEQUAL,
  HF_COMPARE_LESS,
  HF_COMPARE_LESS_EQUAL,
  HF_COMPARE_GREATER,
  HF_COMPARE_GREATER_EQUAL
} hf_expr_comparison;

typedef enum hf_expr_step_kind {
  HF_STEP_COMPARE,
  HF_STEP_EXISTS,
  HF_STEP_NOT,
  HF_STEP_JUMP_IF_FALSE,
  HF_STEP_JUMP_IF_TRUE
} hf_expr_step_kind;

typedef struct hf_expr_step {
  hf_expr_step_kind kind;
  hf_expr_comparison comparison;
  hf_expr_operand left;
  hf_expr_operand right;
  size_t target; /* of jumps: the next step */
} hf_expr_step;

/* A name in the tree of pointers; node 0 is the document itself. */
typedef struct hf_expr_node {
  char *name; /* decoded */
  size_t name_bytes;
  int has_backslash;
  int is_index; /* it may be an array's element, too */
  size_t index;
  size_t first_child; /* 0: none */
  size_t next;        /* the next child of the same node; 0: none */
} hf_expr_node;

typedef struct hf_expr_literal {
  char *json;
  size_t json_bytes;
  hf_json_type type;
  int is_time;
  int64_t unix_us;
} hf_expr_literal;

enum { HF_EXPR_NODES_MAX = HF_EXPR_NAMES_MAX + 1 };

struct hf_expr {
  hf_expr_step *steps;
  size_t steps_count, steps_allocated;
  hf_expr_literal *literals;
  size_t literals_count, literals_allocated;
  hf_expr_node *nodes;
  size_t nodes_count, nodes_allocated;
};

/* ---- reading a text ---- */

typedef enum hf_token_kind {
  HF_TOKEN_END,
  HF_TOKEN_OPEN,
  HF_TOKEN_CLOSE,
  HF_TOKEN_COMPARISON,
  HF_TOKEN_STRING,  /* JSON, with its quotation marks */
  HF_TOKEN_NUMBER,  /* JSON */
  HF_TOKEN_POINTER, /* as it stands */
  HF_TOKEN_QUOTED,  /* a pointer as @"...": from the quotation mark on */
  HF_TOKEN_WORD,
  HF_TOKEN_DIM /* dims.: name or JSON string, behind the point */
} hf_token_kind;

typedef struct hf_token {
  hf_token_kind kind;
  const char *text;
  size_t bytes;
  const char *begin; /* in the expression */
  hf_expr_comparison comparison;
} hf_token;

typedef struct hf_lexer {
  const char *text;
  const char *at;
  const char *end;
} hf_lexer;

/* Reads on. HF_OK, or HF_EINVAL with the column. */
int hf_lexer_next(hf_lexer *in, hf_token *ret_token, hf_error *reterr);

/* An error at a place of the text: "found X; expected Y". */
int hf_lexer_error(const hf_lexer *in, const char *where, const char *expected, hf_error *reterr);

/* The same with a message of its own; code HF_EINVAL or HF_ELIMIT. */
int hf_lexer_say(const hf_lexer *in, int code, const char *where, const char *message,
                 hf_error *reterr);

static inline int hf_token_is_word(const hf_token *token, const char *word) {
  return token->kind == HF_TOKEN_WORD && token->bytes == strlen(word) &&
         memcmp(token->text, word, token->bytes) == 0;
}

/* Makes an operand of a token that is a place. 1; 0: it is none; negative. */
int hf_expr_take_place(hf_expr *expr, const hf_lexer *in, const hf_token *token,
                       hf_expr_operand *ret_operand, hf_error *reterr);

/* Adds a literal: JSON text. */
int hf_expr_add_literal(hf_expr *expr, const char *json, size_t bytes, size_t *ret_number,
                        hf_error *reterr);

int hf_expr_is_time(const hf_expr_operand *operand);

/* Room for one more in an array that grows by doubling. HF_OK or HF_ENOMEM. */
int hf_expr_grow(void *array_pointer, size_t count, size_t *allocated, size_t item_bytes,
                 hf_error *reterr);

/* Frees what an expression holds. */
void hf_expr_clear(hf_expr *expr);

/* ---- looking at a record ---- */

/* A record to look at. The callbacks answer a status; they may be NULL where they are not needed.
 */
typedef struct hf_subject {
  uint64_t seq;
  const hf_line *line;
  /* is it the key's current revision? 1, 0, negative */
  int (*is_current)(void *context, hf_error *reterr);
  /* the seq of the record that says that it is retired, or dropped; 0: it is not */
  int (*told_by)(void *context, hf_expr_member what, uint64_t *ret_seq, hf_error *reterr);
  /* a document that is a blob; what is found lives as long as the subject */
  int (*document)(void *context, hf_piece *ret_document, hf_error *reterr);
  void *context;
} hf_subject;

/* A value that was found; text NULL: absent. Must not be moved: text may point into `own`. */
typedef struct hf_found {
  hf_json value;
  int is_time;
  int64_t unix_us;
  char own[HF_SHA256_CHARS + 8];
} hf_found;

/* Finds the values of all nodes of the tree in one walk; found[] has nodes_count places; text NULL:
 * absent. The document is one that hf_json_check has accepted; of any other text something is
 * found, inside of it. */
void hf_expr_find(const hf_expr *expr, hf_piece document, hf_json *found);

/* A member of the envelope. HF_OK or negative. */
int hf_expr_member_of(const hf_expr *expr, const hf_expr_operand *operand,
                      const hf_subject *subject, hf_found *ret_found, hf_error *reterr);

/* The document; text NULL: it has none. */
int hf_subject_document(const hf_subject *subject, hf_piece *ret_document, hf_error *reterr);

/* 1, 0, negative. */
int hf_expr_match_subject(const hf_expr *expr, const hf_subject *subject, hf_error *reterr);

/* The order of two strings as JSON, by code points. HF_OK or HF_ENOMEM. */
int hf_expr_compare_strings(const hf_json *a, const hf_json *b, int *ret_order, hf_error *reterr);

/* The subject that a public record is; it and the line live as long as the record. */
int hf_subject_of_record(const hf_record *record, hf_line *line, hf_subject *ret_subject,
                         hf_error *reterr);

#endif
