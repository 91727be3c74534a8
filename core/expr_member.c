/* The envelope's members as values, and the subject that a record is. */
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "expr.h"

#include "banned.h"

static hf_json string_of(hf_piece piece) {
  return (hf_json){piece.text, piece.bytes, HF_JSON_STRING};
}

static hf_json boolean(int is_true) {
  return is_true ? (hf_json){"true", 4, HF_JSON_TRUE} : (hf_json){"false", 5, HF_JSON_FALSE};
}

static void set_number(hf_found *found, uint64_t number) {
  int bytes = snprintf(found->own, sizeof found->own, "%llu", (unsigned long long)number);
  found->value = (hf_json){found->own, (size_t)bytes, HF_JSON_NUMBER};
}

static void set_quoted(hf_found *found, const char *text) {
  int bytes = snprintf(found->own, sizeof found->own, "\"%s\"", text);
  found->value = (hf_json){found->own, (size_t)bytes, HF_JSON_STRING};
}

static int set_time(hf_found *found, hf_piece piece) {
  found->value = string_of(piece);
  found->is_time = piece.text != NULL && piece.bytes >= 2 &&
                   hf_timestamp_parse(piece.text + 1, piece.bytes - 2, &found->unix_us) == 0;
  return found->is_time;
}

static void set_digest(hf_found *found, const hf_line *line) {
  char hex[HF_SHA256_CHARS + 1];
  if (!line->has_sha256)
    return;
  hf_hex(line->sha256, sizeof line->sha256, hex);
  set_quoted(found, hex);
}

static void set_id(hf_found *found, const hf_line *line) {
  char text[HF_ID_CHARS + 1];
  hf_id_format(&line->id, text);
  set_quoted(found, text);
}

static void set_dim(hf_found *found, const hf_line *line, const hf_expr_literal *name) {
  hf_json object = {line->dims.text, line->dims.bytes, HF_JSON_OBJECT};
  hf_json here;
  hf_json value;
  size_t position = 0;
  while (hf_json_next(&object, &position, &here, &value) == 1)
    if (here.bytes == name->json_bytes && memcmp(here.text, name->json, here.bytes) == 0)
      found->value = value;
}

static int set_current(hf_found *found, const hf_subject *subject, hf_error *reterr) {
  int is_current = subject->is_current != NULL ? subject->is_current(subject->context, reterr) : 0;
  if (is_current < 0)
    return is_current;
  found->value = boolean(is_current);
  return HF_OK;
}

/* The seq of the record that hides it, or by which its document was dropped. */
static int set_by(hf_found *found, const hf_subject *subject, hf_expr_member what,
                  hf_error *reterr) {
  uint64_t by = 0;
  int status =
      subject->told_by != NULL ? subject->told_by(subject->context, what, &by, reterr) : HF_OK;
  if (status == HF_OK && by > 0)
    set_number(found, by);
  return status;
}

int hf_expr_member_of(const hf_expr *expr, const hf_expr_operand *operand,
                      const hf_subject *subject, hf_found *ret_found, hf_error *reterr) {
  const hf_line *line = subject->line;
  hf_found *found = ret_found;
  found->value = (hf_json){NULL, 0, HF_JSON_NULL};
  found->is_time = 0;
  found->unix_us = 0;
  switch (operand->member) {
  case HF_MEMBER_SEQ:
    set_number(found, subject->seq);
    break;
  case HF_MEMBER_OP:
    if (line->op_text.text != NULL) /* its quotation marks stand around it */
      found->value = (hf_json){line->op_text.text - 1, line->op_text.bytes + 2, HF_JSON_STRING};
    break;
  case HF_MEMBER_ID:
    set_id(found, line);
    break;
  case HF_MEMBER_RUN_ID:
    found->value = string_of(line->run);
    break;
  case HF_MEMBER_STAGE:
    found->value = string_of(line->stage);
    break;
  case HF_MEMBER_GROUP:
    found->value = string_of(line->group);
    break;
  case HF_MEMBER_DIMS:
    found->value = (hf_json){line->dims.text, line->dims.bytes, HF_JSON_OBJECT};
    break;
  case HF_MEMBER_DIM:
    set_dim(found, line, &expr->literals[operand->number]);
    break;
  case HF_MEMBER_TS:
    (void)set_time(found, line->ts);
    break;
  case HF_MEMBER_AT:
    (void)set_time(found, line->at);
    break;
  case HF_MEMBER_TIME:
    if (!set_time(found, line->ts))
      (void)set_time(found, line->at);
    break;
  case HF_MEMBER_HOST:
    found->value = string_of(line->host);
    break;
  case HF_MEMBER_PID:
    set_number(found, line->pid);
    break;
  case HF_MEMBER_SHA256:
    set_digest(found, line);
    break;
  case HF_MEMBER_SIZE:
    set_number(found, line->size);
    break;
  case HF_MEMBER_CURRENT:
    return set_current(found, subject, reterr);
  case HF_MEMBER_LEGACY_SEQ:
    if (line->legacy_seq > 0)
      set_number(found, line->legacy_seq);
    break;
  case HF_MEMBER_LEGACY_CLOCK:
    found->value = boolean(line->legacy_clock);
    break;
  case HF_MEMBER_RETIRED:
  case HF_MEMBER_DROPPED:
    return set_by(found, subject, operand->member, reterr);
  }
  return HF_OK;
}

int hf_subject_document(const hf_subject *subject, hf_piece *ret_document, hf_error *reterr) {
  *ret_document = subject->line->doc;
  if (!subject->line->blob)
    return HF_OK;
  if (subject->document == NULL)
    return hf_err(reterr, HF_EINTERNAL, NULL, "a document in blob/ was not provided for");
  return subject->document(subject->context, ret_document, reterr);
}

static int record_is_current(void *context, hf_error *reterr) {
  const hf_record *record = context;
  (void)reterr;
  return record->is_current;
}

static int record_told_by(void *context, hf_expr_member what, uint64_t *ret_seq, hf_error *reterr) {
  const hf_record *record = context;
  (void)reterr;
  *ret_seq = what == HF_MEMBER_RETIRED ? record->retired : record->dropped;
  return HF_OK;
}

static int record_document(void *context, hf_piece *ret_document, hf_error *reterr) {
  const hf_record *record = context;
  if (record->doc == NULL)
    return hf_err(reterr, HF_EINVAL, NULL,
                  "seq %llu was read without its document, which the expression looks into",
                  (unsigned long long)record->seq);
  *ret_document = (hf_piece){record->doc, record->doc_bytes};
  return HF_OK;
}

int hf_subject_of_record(const hf_record *record, hf_line *line, hf_subject *ret_subject,
                         hf_error *reterr) {
  int status = hf_line_take_apart(record->line, record->line_bytes, line, reterr);
  union {
    const hf_record *from;
    void *to;
  } context = {record}; /* the callbacks only read */
  *ret_subject = (hf_subject){record->seq,     line,      record_is_current, record_told_by,
                              record_document, context.to};
  if (record->dropped > 0) { /* its tile may not be written anew yet */
    line->doc = (hf_piece){NULL, 0};
    line->blob = 0;
  }
  return status;
}
