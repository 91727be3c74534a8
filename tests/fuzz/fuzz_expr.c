/* A libFuzzer target: whatever the bytes, an expression is refused with its place, or answers
 * without contradicting itself. See README. */
#include "expr.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

enum { NESTING_MAX = 512 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void must(int holds, const char *what) {
  if (!holds) {
    (void)fprintf(stderr, "does not hold: %s\n", what);
    abort();
  }
}

static hf_line line_of(const char *doc, size_t bytes) {
  hf_line line;
  memset(&line, 0, sizeof line);
  line.op_text = (hf_piece){&"\"save\""[1], 4};
  line.run = (hf_piece){"\"r\"", 3};
  line.stage = (hf_piece){"\"final\"", 7};
  line.dims = (hf_piece){"{\"a b\":\"x\",\"v\":\"y\"}", 19};
  line.ts = (hf_piece){"\"2026-01-02T03:04:05Z\"", 22};
  line.at = (hf_piece){"\"2026-01-02T03:04:06Z\"", 22};
  line.doc = (hf_piece){doc, bytes};
  return line;
}

static int ask(const hf_expr *expr, const hf_line *line) {
  hf_subject subject = {.seq = 7, .line = line};
  int got = hf_expr_match_subject(expr, &subject, NULL);
  must(got == 0 || got == 1, "an answer is yes or no");
  return got;
}

/* What the one walk finds is what a walk for each pointer finds. */
static void check_found(const hf_expr *expr, const char *doc, size_t bytes) {
  hf_json found[HF_EXPR_NODES_MAX];
  hf_expr_find(expr, (hf_piece){doc, bytes}, found);
  int is_json = hf_json_check(doc, bytes, 0, NESTING_MAX, NULL, NULL, NULL) == HF_OK;
  hf_json root = hf_json_value(doc, bytes);
  for (size_t i = 0; i < expr->nodes_count; i++) {
    must(found[i].text == NULL ||
             (found[i].text >= doc && found[i].text + found[i].bytes <= doc + bytes),
         "a value lies in the document");
    for (size_t child = expr->nodes[i].first_child; is_json && child != 0;
         child = expr->nodes[child].next) {
      const hf_expr_node *node = &expr->nodes[child];
      if (strlen(node->name) != node->name_bytes || found[i].text == NULL)
        continue; /* a NUL: hf_json_find takes C strings */
      hf_autobuf pointer = {0};
      hf_json value = {NULL, 0, HF_JSON_NULL};
      (void)hf_buf_add_char(&pointer, '/');
      for (const char *c = node->name; *c != '\0'; c++)
        (void)hf_buf_add_text(&pointer, *c == '~' ? "~0" : *c == '/' ? "~1" : (char[2]){*c, '\0'});
      int got = hf_json_find(&found[i], pointer.data, &value, NULL);
      must(got == (found[child].text != NULL), "a pointer finds what the walk finds");
      must(got != 1 || (value.text == found[child].text && value.bytes == found[child].bytes),
           "and it is the same value");
    }
  }
  must(expr->nodes_count == 0 || !is_json || found[0].text == root.text,
       "the empty pointer is the document");
}

static void check_joined(const char *text, size_t bytes, const hf_line *line, int wanted) {
  hf_autobuf other = {0};
  hf_expr *expr = NULL;
  (void)hf_buf_add_text(&other, "not (");
  (void)hf_buf_add(&other, text, bytes);
  (void)hf_buf_add_char(&other, ')');
  int status = hf_expr_parse(other.data, other.used, &expr, NULL);
  must(status == HF_OK || status == HF_ELIMIT, "what is accepted is accepted in parentheses");
  if (status != HF_OK)
    return;
  must(ask(expr, line) == !wanted, "not answers the opposite");
  status = hf_expr_and(expr, text, bytes, NULL);
  must(status == HF_OK && ask(expr, line) == 0, "nothing is so and not so");
  hf_expr_free(&expr);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
  const uint8_t *newline = count > 0 ? memchr(bytes, '\n', count) : NULL;
  size_t text_bytes = newline != NULL ? (size_t)(newline - bytes) : count;
  size_t doc_bytes = newline != NULL ? count - text_bytes - 1 : 0;
  char *text = malloc(text_bytes + 1); /* pieces of their very sizes */
  char *doc = malloc(doc_bytes > 0 ? doc_bytes : 1);
  hf_expr *expr = NULL;
  hf_error error = HF_ERROR_INIT;
  if (text == NULL || doc == NULL)
    abort();
  memcpy(text, bytes, text_bytes);
  text[text_bytes] = '\0';
  if (doc_bytes > 0)
    memcpy(doc, newline + 1, doc_bytes);
  int status = hf_expr_parse(text, text_bytes, &expr, &error);
  if (status == HF_OK) {
    hf_line line = line_of(doc, doc_bytes);
    check_found(expr, doc, doc_bytes);
    check_joined(text, text_bytes, &line, ask(expr, &line));
  } else {
    must(status == HF_EINVAL || status == HF_ELIMIT, "a refusal is one of two");
    must((int)error.code == status && error.message[0] != '\0' &&
             strpbrk(error.message, "\n\r\t") == NULL &&
             hf_utf8_valid(error.message, strlen(error.message)),
         "a refusal is one line of text");
  }
  hf_expr_free(&expr);
  hf_field *field = NULL;
  size_t used = 0;
  if (hf_field_parse(text, &used, &field, NULL) == HF_OK)
    must(used <= text_bytes && hf_field_name(field) != NULL, "a field is a piece of the text");
  hf_field_free(&field);
  free(text);
  free(doc);
  return 0;
}
