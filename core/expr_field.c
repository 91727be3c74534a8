/* Fields: one place of a record as a value, for columns and sorting. */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "expr.h"

#include "banned.h"

struct hf_field {
  hf_expr expr; /* without steps: the tree and the names */
  hf_expr_operand place;
  char *name;
};

void hf_field_free(hf_field **field) {
  if (field == NULL || *field == NULL)
    return;
  hf_expr_clear(&(*field)->expr);
  free((*field)->name);
  free(*field);
  *field = NULL;
}

/* A string as people read it. */
static int add_text(const hf_json *value, hf_buf *out) {
  static const char replacement[] = "\xEF\xBF\xBD";
  hf_autobuf decoded = {0};
  if (value->type != HF_JSON_STRING)
    return hf_buf_add(out, value->text, value->bytes);
  if (hf_json_decode_string(value, &decoded) != 0)
    return decoded.failed;
  (void)hf_buf_add(out, "", 0);
  for (size_t at = 0; at < decoded.used; at++) {
    size_t run = strlen(decoded.data + at);
    (void)hf_buf_add(out, decoded.data + at, run);
    at += run;
    if (at < decoded.used)
      (void)hf_buf_add_text(out, replacement);
  }
  return out->failed;
}

static int set_name(hf_field *field, const hf_token *token, hf_error *reterr) {
  hf_autobuf name = {0};
  int is_quoted = token->kind == HF_TOKEN_QUOTED || token->text[0] == '"';
  hf_json text = {token->text, token->bytes, is_quoted ? HF_JSON_STRING : HF_JSON_NULL};
  (void)hf_buf_add_text(&name, token->kind == HF_TOKEN_DIM ? "dims." : "");
  if (add_text(&text, &name) != 0)
    return hf_err_nomem(reterr);
  field->name = hf_buf_take(&name);
  return HF_OK;
}

const char *hf_field_name(const hf_field *field) {
  return field->name;
}

static int parse(hf_field *field, const char *text, size_t *ret_bytes, hf_error *reterr) {
  hf_lexer in = {text, text, text + strlen(text)};
  hf_token token;
  if ((size_t)(in.end - in.at) > HF_EXPR_BYTES_MAX)
    return hf_err(reterr, HF_ELIMIT, NULL, "the text has %zu bytes; the limit is %d",
                  (size_t)(in.end - in.at), HF_EXPR_BYTES_MAX);
  if (!hf_utf8_valid(text, strlen(text)))
    return hf_err(reterr, HF_EINVAL, NULL, "the text is not UTF-8");
  int status = hf_lexer_next(&in, &token, reterr);
  if (status != HF_OK)
    return status;
  int got = hf_expr_take_place(&field->expr, &in, &token, &field->place, reterr);
  if (got < 0)
    return got;
  if (got == 0)
    return hf_lexer_error(&in, token.begin,
                          "a pointer such as /metrics/auc, or a member such as run_id", reterr);
  status = set_name(field, &token, reterr);
  if (status != HF_OK)
    return status;
  if (ret_bytes != NULL) {
    *ret_bytes = (size_t)(in.at - text);
    return HF_OK;
  }
  const char *behind = in.at;
  status = hf_lexer_next(&in, &token, reterr);
  if (status == HF_OK && token.kind != HF_TOKEN_END)
    status =
        hf_lexer_error(&in, behind, "the end (a pointer with blanks is written @\"/a b\")", reterr);
  return status;
}

int hf_field_parse(const char *text, size_t *ret_bytes, hf_field **ret_field, hf_error *reterr) {
  hf_field *field = calloc(1, sizeof *field);
  if (field == NULL)
    return hf_err_nomem(reterr);
  int status = parse(field, text, ret_bytes, reterr);
  if (status == HF_OK)
    *ret_field = hf_take(field);
  hf_field_free(&field);
  return status;
}

int hf_field_needs_document(const hf_field *field) {
  return field->place.kind == HF_OPERAND_POINTER;
}

void hf_value_clear(hf_value *value) {
  free(value->json);
  free(value->text);
  memset(value, 0, sizeof *value);
}

static hf_value_type type_of(hf_json_type type) {
  switch (type) {
  case HF_JSON_NULL:
    return HF_VALUE_NULL;
  case HF_JSON_FALSE:
    return HF_VALUE_FALSE;
  case HF_JSON_TRUE:
    return HF_VALUE_TRUE;
  case HF_JSON_NUMBER:
    return HF_VALUE_NUMBER;
  case HF_JSON_STRING:
    return HF_VALUE_STRING;
  case HF_JSON_ARRAY:
    return HF_VALUE_ARRAY;
  case HF_JSON_OBJECT:
    return HF_VALUE_OBJECT;
  }
  return HF_VALUE_ABSENT;
}

static int make_value(const hf_found *found, hf_value *ret_value, hf_error *reterr) {
  hf_autobuf json = {0};
  hf_autobuf text = {0};
  if (hf_buf_add(&json, found->value.text, found->value.bytes) != 0 ||
      add_text(&found->value, &text) != 0)
    return hf_err_nomem(reterr);
  ret_value->type = type_of(found->value.type);
  ret_value->json_bytes = json.used;
  ret_value->json = hf_buf_take(&json);
  ret_value->text = hf_buf_take(&text);
  ret_value->is_time = found->is_time;
  ret_value->unix_us = found->is_time ? found->unix_us : 0;
  return 1;
}

static int find_in_document(const hf_field *field, const hf_subject *subject, hf_found *ret_found,
                            hf_error *reterr) {
  hf_json found[HF_EXPR_NODES_MAX];
  hf_piece document;
  int status = hf_subject_document(subject, &document, reterr);
  if (status != HF_OK)
    return status;
  hf_expr_find(&field->expr, document, found);
  ret_found->value = found[field->place.number];
  ret_found->is_time = 0;
  return HF_OK;
}

int hf_field_get(const hf_field *field, const hf_record *record, hf_value *ret_value,
                 hf_error *reterr) {
  hf_line line;
  hf_subject subject;
  hf_found found;
  hf_value_clear(ret_value);
  int status = hf_subject_of_record(record, &line, &subject, reterr);
  if (status != HF_OK)
    return status;
  status = field->place.kind == HF_OPERAND_POINTER
               ? find_in_document(field, &subject, &found, reterr)
               : hf_expr_member_of(&field->expr, &field->place, &subject, &found, reterr);
  if (status != HF_OK)
    return status;
  return found.value.text == NULL ? 0 : make_value(&found, ret_value, reterr);
}

/* ---- order ---- */

enum { RANK_NUMBER, RANK_TIME, RANK_TEXT, RANK_LAST };

static int rank_of(const hf_value *value) {
  if (value->type == HF_VALUE_ABSENT || value->type == HF_VALUE_NULL)
    return RANK_LAST;
  if (value->type == HF_VALUE_NUMBER)
    return RANK_NUMBER;
  return value->is_time ? RANK_TIME : RANK_TEXT;
}

int hf_value_compare(const hf_value *a, const hf_value *b) {
  int rank = rank_of(a);
  int other = rank_of(b);
  if (rank != other)
    return rank < other ? -1 : 1;
  if (rank == RANK_TIME)
    return (a->unix_us > b->unix_us) - (a->unix_us < b->unix_us);
  if (rank == RANK_LAST)
    return 0;
  if (rank == RANK_NUMBER) {
    hf_json left = {a->json, a->json_bytes, HF_JSON_NUMBER};
    hf_json right = {b->json, b->json_bytes, HF_JSON_NUMBER};
    return hf_json_number_compare(&left, &right);
  }
  int order = strcmp(a->text, b->text);
  return (order > 0) - (order < 0);
}
