/* The words of an expression, and errors that point at them. */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "expr.h"
#include "json_scan.h"

#include "banned.h"

enum { FOUND_BYTES_MAX = 24 };

/* What ends a pointer or a word that is not in quotation marks. */
static int ends_word(char c) {
  return (c >= 0 && c <= 0x20) || (c != '\0' && strchr("()<>=!,\"", c) != NULL);
}

/* In characters, from 1. */
static size_t column_of(const hf_lexer *in, const char *where) {
  size_t column = 1;
  for (const char *p = in->text; p < where; p++)
    column += ((unsigned char)*p & 0xc0) != 0x80;
  return column;
}

int hf_lexer_say(const hf_lexer *in, int code, const char *where, const char *message,
                 hf_error *reterr) {
  char place[32];
  (void)snprintf(place, sizeof place, "column %zu", column_of(in, where));
  return hf_err(reterr, code, place, "%s", message);
}

/* What stands there, as much as is good to read; whole characters, none of control. */
static size_t shown_bytes(const char *p, const char *end) {
  size_t bytes = 0;
  while (p + bytes < end) {
    size_t length = hf_scan_utf8(p + bytes, end);
    if (length == 0 || bytes + length > FOUND_BYTES_MAX || (unsigned char)p[bytes] < 0x20 ||
        p[bytes] == 0x7f)
      break;
    if (bytes > 0 && ends_word(p[bytes]))
      break;
    bytes += length;
  }
  return bytes;
}

int hf_lexer_error(const hf_lexer *in, const char *where, const char *expected, hf_error *reterr) {
  char message[256];
  size_t shown = shown_bytes(where, in->end);
  if (where >= in->end)
    (void)snprintf(message, sizeof message, "the expression ends; expected %s", expected);
  else if (shown == 0)
    (void)snprintf(message, sizeof message, "found a character that is none of text; expected %s",
                   expected);
  else
    (void)snprintf(message, sizeof message, "found %.*s; expected %s", (int)shown, where, expected);
  return hf_lexer_say(in, HF_EINVAL, where, message, reterr);
}

/* A JSON string from its quotation mark on. */
static int take_string(hf_lexer *in, hf_token *token, hf_error *reterr) {
  const char *begin = in->at;
  const char *behind = hf_json_skip_string(begin, in->end);
  if (behind - begin < 2 || behind[-1] != '"')
    return hf_lexer_say(in, HF_EINVAL, begin, "this string has no closing quotation mark", reterr);
  hf_error why = HF_ERROR_INIT;
  if (hf_json_check(begin, (size_t)(behind - begin), 0, 1, NULL, NULL, &why) != HF_OK) {
    if (why.code == HF_ENOMEM)
      return hf_err_nomem(reterr);
    char message[HF_ERROR_MESSAGE_BYTES];
    (void)snprintf(message, sizeof message, "no JSON string: %.900s", why.message);
    return hf_lexer_say(in, HF_EINVAL, begin, message, reterr);
  }
  token->text = begin;
  token->bytes = (size_t)(behind - begin);
  in->at = behind;
  return HF_OK;
}

static int take_number(hf_lexer *in, hf_token *token, hf_error *reterr) {
  const char *begin = in->at;
  while (in->at < in->end && !ends_word(*in->at))
    in->at++;
  token->kind = HF_TOKEN_NUMBER;
  token->text = begin;
  token->bytes = (size_t)(in->at - begin);
  if (hf_json_check(begin, token->bytes, 0, 0, NULL, NULL, NULL) != HF_OK)
    return hf_lexer_error(in, begin, "a number as JSON has them, such as 0.5, -3 or 1e-6", reterr);
  return HF_OK;
}

static void take_word(hf_lexer *in, hf_token *token) {
  token->text = in->at;
  while (in->at < in->end && !ends_word(*in->at))
    in->at++;
  token->bytes = (size_t)(in->at - token->text);
}

static int take_comparison(hf_lexer *in, hf_token *token, hf_error *reterr) {
  static const struct {
    const char *text;
    hf_expr_comparison comparison;
  } all[] = {{"==", HF_COMPARE_EQUAL},      {"!=", HF_COMPARE_UNEQUAL},
             {"<=", HF_COMPARE_LESS_EQUAL}, {">=", HF_COMPARE_GREATER_EQUAL},
             {"<", HF_COMPARE_LESS},        {">", HF_COMPARE_GREATER}};
  token->kind = HF_TOKEN_COMPARISON;
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    size_t bytes = strlen(all[i].text);
    if ((size_t)(in->end - in->at) >= bytes && memcmp(in->at, all[i].text, bytes) == 0) {
      token->comparison = all[i].comparison;
      in->at += bytes;
      return HF_OK;
    }
  }
  return hf_lexer_error(in, in->at,
                        *in->at == '='   ? "=="
                        : *in->at == '!' ? "!= (or the word not)"
                                         : "a comparison",
                        reterr);
}

/* @"/a b" */
static int take_quoted(hf_lexer *in, hf_token *token, hf_error *reterr) {
  token->kind = HF_TOKEN_QUOTED;
  in->at++;
  if (in->at == in->end || *in->at != '"')
    return hf_lexer_error(in, in->at, "a pointer in quotation marks behind @, as in @\"/a b\"",
                          reterr);
  return take_string(in, token, reterr);
}

/* dims.NAME or dims."a name" */
static int take_dim(hf_lexer *in, hf_token *token, hf_error *reterr) {
  static const char prefix[] = "dims.";
  size_t bytes = sizeof prefix - 1;
  if (token->bytes < bytes || memcmp(token->text, prefix, bytes) != 0)
    return HF_OK;
  token->kind = HF_TOKEN_DIM;
  token->text += bytes;
  token->bytes -= bytes;
  if (token->bytes > 0)
    return HF_OK;
  if (in->at < in->end && *in->at == '"')
    return take_string(in, token, reterr);
  return hf_lexer_error(in, in->at, "the name of a dim behind dims.", reterr);
}

int hf_lexer_next(hf_lexer *in, hf_token *ret_token, hf_error *reterr) {
  in->at = hf_json_skip_space(in->at, in->end);
  hf_token token = {HF_TOKEN_END, in->at, 0, in->at, HF_COMPARE_EQUAL};
  int status = HF_OK;
  if (in->at == in->end) {
    *ret_token = token;
    return HF_OK;
  }
  switch (*in->at) {
  case '(':
  case ')':
    token.kind = *in->at == '(' ? HF_TOKEN_OPEN : HF_TOKEN_CLOSE;
    in->at++;
    break;
  case '"':
    token.kind = HF_TOKEN_STRING;
    status = take_string(in, &token, reterr);
    break;
  case '=':
  case '!':
  case '<':
  case '>':
    status = take_comparison(in, &token, reterr);
    break;
  case '@':
    status = take_quoted(in, &token, reterr);
    break;
  case '/':
    token.kind = HF_TOKEN_POINTER;
    take_word(in, &token);
    break;
  default:
    if (*in->at == '-' || hf_scan_is_digit(*in->at)) {
      status = take_number(in, &token, reterr);
      break;
    }
    token.kind = HF_TOKEN_WORD;
    take_word(in, &token);
    status = token.bytes > 0 ? take_dim(in, &token, reterr)
                             : hf_lexer_error(in, in->at, "a word, a value or a place", reterr);
  }
  *ret_token = token;
  return status;
}
