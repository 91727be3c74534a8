#include "json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "json_scan.h"

#include "banned.h"

enum { SHORT_RUN_BYTES = 16, STACK_FIRST_WORDS = 16, FOUND_BYTES = 32, PLACE_BYTES = 64 };

typedef enum expectation { /* what may stand at the next token */
                           NEXT_VALUE,
                           NEXT_VALUE_OR_END, /* of an array that has just begun */
                           NEXT_NAME,
                           NEXT_NAME_OR_END,
                           NEXT_COMMA_OR_END,
                           NEXT_NOTHING
} expectation;

typedef struct checker {
  const char *begin;
  const char *end;
  unsigned flags;
  unsigned nesting_max;
  unsigned depth;
  int in_object;      /* what the innermost container is */
  uint64_t *outer;    /* a bit a container: 1 where the one around it is an object */
  size_t outer_words; /* allocated */
  uint64_t first_outer[STACK_FIRST_WORDS];
  hf_buf *out; /* may be NULL */
  size_t out_bytes_max;
  const char *run; /* from here to the present place nothing was copied yet */
  uint64_t nan_count;
  int status;
  hf_error *reterr;
} checker;

/* ---- errors: each of these returns NULL, so that a failed step is one statement ---- */

static void write_place(const checker *c, const char *p, char place[PLACE_BYTES]) {
  size_t line = 1;
  const char *line_begin = c->begin;
  const char *newline = NULL;
  while ((newline = memchr(line_begin, '\n', (size_t)(p - line_begin))) != NULL) {
    line++;
    line_begin = newline + 1;
  }
  (void)snprintf(place, PLACE_BYTES, "line %zu, column %zu", line, (size_t)(p - line_begin) + 1);
}

static const char *fail_with(checker *c, int status, const char *p, const char *message) {
  c->status = status;
  if (c->reterr != NULL) {
    char place[PLACE_BYTES];
    write_place(c, p, place);
    (void)hf_err(c->reterr, status, place, "%s", message);
  }
  return NULL;
}

static const char *fail_text(checker *c, const char *p, const char *message) {
  return fail_with(c, HF_EDOC, p, message);
}

/* Why people write what is not JSON. "" where nothing is known. */
static const char *hint(const checker *c, const char *p, expectation expected) {
  if (p == c->end)
    return "";
  int at_value = expected == NEXT_VALUE || expected == NEXT_VALUE_OR_END;
  switch (*p) {
  case '/':
  case '#':
    return "; JSON has no comments";
  case '\'':
    return "; strings and names stand in double quotation marks";
  case '}':
    return expected == NEXT_NAME ? "; no comma may stand before it" : "";
  case ']':
    return expected == NEXT_VALUE && c->depth > 0 && !c->in_object
               ? "; no comma may stand before it"
               : "";
  case '+':
  case '.':
    return at_value ? "; a number begins with a digit or '-'" : "";
  case '\0':
    return "; NUL bytes are not part of a JSON text";
  default:
    break;
  }
  if (at_value && ((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z')))
    return "; the only words are true, false and null";
  return "";
}

static const char *fail_found(checker *c, const char *p, const char *expected, const char *why) {
  c->status = HF_EDOC;
  if (c->reterr == NULL)
    return NULL;
  char place[PLACE_BYTES], found[FOUND_BYTES];
  write_place(c, p, place);
  if (p == c->end)
    (void)snprintf(found, sizeof found, "the end of the text");
  else if (*p >= 0x20 && *p <= 0x7e)
    (void)snprintf(found, sizeof found, "'%c'", *p);
  else
    (void)snprintf(found, sizeof found, "byte 0x%02x", (unsigned)(unsigned char)*p);
  (void)hf_err(c->reterr, HF_EDOC, place, "found %s, expected %s%s", found, expected, why);
  return NULL;
}

static const char *fail_next(checker *c, const char *p, expectation expected) {
  const char *text = NULL;
  switch (expected) {
  case NEXT_VALUE:
    text = "a value";
    break;
  case NEXT_VALUE_OR_END:
    text = "a value or ']'";
    break;
  case NEXT_NAME:
    text = "a member's name";
    break;
  case NEXT_NAME_OR_END:
    text = "a member's name or '}'";
    break;
  case NEXT_COMMA_OR_END:
    text = c->in_object ? "',' or '}'" : "',' or ']'";
    break;
  case NEXT_NOTHING:
    text = "nothing after the JSON text";
    break;
  }
  return fail_found(c, p, text, hint(c, p, expected));
}

/* ---- output ---- */

static void append(checker *c, const char *bytes, size_t count) {
  hf_buf *out = c->out;
  if (out == NULL)
    return;
  if (out->failed == 0 && count < out->allocated - out->used &&
      count <= c->out_bytes_max - out->used) {
    memcpy(out->data + out->used, bytes, count);
    out->used += count; /* hf_json_check puts the NUL behind it at the end */
  } else {
    (void)hf_buf_add(out, bytes, count); /* a failure sticks; it is looked at once, at the end */
  }
}

/* What was passed over since the last space. Mostly short: then sixteen bytes are copied, whatever
 * the later ones are, where there is room to read and to write as many. */
static inline void append_run(checker *c, const char *p) {
  hf_buf *out = c->out;
  size_t count = (size_t)(p - c->run);
  if (out != NULL && out->failed == 0 && count <= SHORT_RUN_BYTES &&
      out->allocated - out->used > SHORT_RUN_BYTES &&
      c->out_bytes_max - out->used >= SHORT_RUN_BYTES && c->end - c->run >= SHORT_RUN_BYTES) {
    memcpy(out->data + out->used, c->run, SHORT_RUN_BYTES);
    out->used += count;
  } else {
    append(c, c->run, count);
  }
}

static inline const char *skip_space(checker *c, const char *p) {
  if (p == c->end || !hf_scan_is_space(*p))
    return p;
  append_run(c, p);
  c->run = hf_json_skip_space(p, c->end);
  return c->run;
}

/* ---- tokens: from p to behind the token, or NULL ---- */

static const char *check_escape(checker *c, const char *p) {
  p++;
  if (p == c->end)
    return fail_found(c, p, "the rest of an escape", "");
  if (*p == 'u') {
    for (int i = 0; i < 4; i++) {
      p++;
      if (p == c->end || hf_scan_hex_digit(*p) < 0)
        return fail_found(c, p, "four hexadecimal digits after \\u", "");
    }
    return p + 1;
  }
  if (*p != '\0' && strchr("\"\\/bfnrt", *p) != NULL)
    return p + 1;
  return fail_found(c, p, "one of \" \\ / b f n r t u after '\\'", "");
}

/* A run of characters beyond ASCII. */
static const char *check_utf8(checker *c, const char *p) {
  do {
    size_t bytes = hf_scan_utf8(p, c->end);
    if (bytes == 0)
      return fail_found(c, p, "well-formed UTF-8", "");
    p += bytes;
  } while (p < c->end && (unsigned char)*p >= 0x80);
  return p;
}

static const char *check_string(checker *c, const char *p) {
  p++;
  for (;;) {
    p = hf_scan_plain(p, c->end);
    if (p == c->end)
      return fail_found(c, p, "the '\"' that ends the string", "");
    if (*p == '"')
      return p + 1;
    if (*p == '\\') {
      p = check_escape(c, p);
      if (p == NULL)
        return NULL;
    } else if ((unsigned char)*p < 0x20) {
      return fail_found(c, p, "no control character in a string", "; write it as \\u00xx");
    } else {
      p = check_utf8(c, p);
      if (p == NULL)
        return NULL;
    }
  }
}

static const char *check_digits(checker *c, const char *p, const char *where) {
  if (p == c->end || !hf_scan_is_digit(*p))
    return fail_found(c, p, where, "");
  do {
    p++;
  } while (p < c->end && hf_scan_is_digit(*p));
  return p;
}

static const char *check_number(checker *c, const char *p) {
  if (*p == '-')
    p++;
  const char *first = p;
  p = check_digits(c, p, "a digit after '-'");
  if (p == NULL)
    return NULL;
  if (*first == '0' && p - first > 1)
    return fail_text(c, first, "a number may not begin with zeros");
  if (p < c->end && *p == '.') {
    p = check_digits(c, p + 1, "a digit after the decimal point");
    if (p == NULL)
      return NULL;
  }
  if (p < c->end && (*p == 'e' || *p == 'E')) {
    p++;
    if (p < c->end && (*p == '+' || *p == '-'))
      p++;
    p = check_digits(c, p, "a digit in the exponent");
  }
  return p;
}

/* The length of the word at p if it is this one. */
static size_t word_at(const checker *c, const char *p, const char *word) {
  size_t bytes = strlen(word);
  return (size_t)(c->end - p) >= bytes && memcmp(p, word, bytes) == 0 ? bytes : 0;
}

static size_t nan_at(const checker *c, const char *p) {
  size_t bytes = word_at(c, p, "NaN");
  if (bytes == 0)
    bytes = word_at(c, p, "Infinity");
  return bytes != 0 ? bytes : word_at(c, p, "-Infinity");
}

/* What is no string, no number and no container. */
static const char *check_word(checker *c, const char *p, expectation expected) {
  size_t bytes = word_at(c, p, "true");
  if (bytes == 0)
    bytes = word_at(c, p, "false");
  if (bytes == 0)
    bytes = word_at(c, p, "null");
  if (bytes != 0)
    return p + bytes;
  bytes = nan_at(c, p);
  if (bytes == 0)
    return *p == '-' ? check_number(c, p) : fail_next(c, p, expected);
  if ((c->flags & HF_JSON_NAN_TO_NULL) == 0)
    return fail_text(c, p, "NaN and Infinity are not JSON (RFC 8259); write null in their place");
  append(c, c->run, (size_t)(p - c->run));
  append(c, "null", 4);
  c->run = p + bytes;
  c->nan_count++;
  return c->run;
}

/* ---- containers ---- */

static int grow_outer(checker *c) {
  uint64_t *grown = malloc(c->outer_words * 2 * sizeof *grown);
  if (grown == NULL)
    return -1;
  memcpy(grown, c->outer, c->outer_words * sizeof *grown);
  if (c->outer != c->first_outer)
    free(c->outer);
  c->outer = grown;
  c->outer_words *= 2;
  return 0;
}

static const char *open_container(checker *c, const char *p, expectation *ret_next) {
  if (c->depth >= c->nesting_max) {
    char message[128];
    (void)snprintf(message, sizeof message,
                   "more than %u arrays and objects inside one another; flatten the document",
                   c->nesting_max);
    return fail_with(c, HF_ELIMIT, p, message);
  }
  if (c->depth / 64 >= c->outer_words && grow_outer(c) != 0) {
    c->status = hf_err_nomem(c->reterr);
    return NULL;
  }
  uint64_t bit = UINT64_C(1) << (c->depth % 64);
  uint64_t *word = &c->outer[c->depth / 64];
  *word = c->in_object ? *word | bit : *word & ~bit;
  c->depth++;
  c->in_object = *p == '{';
  *ret_next = c->in_object ? NEXT_NAME_OR_END : NEXT_VALUE_OR_END;
  return p + 1;
}

static expectation close_container(checker *c) {
  c->depth--;
  c->in_object = (c->outer[c->depth / 64] >> (c->depth % 64) & 1) != 0;
  return c->depth > 0 ? NEXT_COMMA_OR_END : NEXT_NOTHING;
}

static const char *check_value(checker *c, const char *p, expectation *ret_next) {
  expectation expected = *ret_next;
  if (p == c->end)
    return fail_next(c, p, expected);
  *ret_next = c->depth > 0 ? NEXT_COMMA_OR_END : NEXT_NOTHING;
  switch (*p) {
  case '"':
    return check_string(c, p);
  case '{':
  case '[':
    return open_container(c, p, ret_next);
  default:
    return hf_scan_is_digit(*p) ? check_number(c, p) : check_word(c, p, expected);
  }
}

/* A member's name and the colon behind it. */
static const char *check_name(checker *c, const char *p, expectation expected) {
  if (p == c->end || *p != '"')
    return fail_next(c, p, expected);
  p = check_string(c, p);
  if (p == NULL)
    return NULL;
  p = skip_space(c, p);
  if (p == c->end || *p != ':')
    return fail_found(c, p, "':' after a member's name", "");
  return p + 1;
}

static void check_text(checker *c, const char *p) {
  expectation next = NEXT_VALUE;
  while (p != NULL) {
    p = skip_space(c, p);
    char found = '\0';
    if (p < c->end)
      found = *p;
    else if (next == NEXT_NOTHING)
      return;
    if ((next == NEXT_NAME_OR_END && found == '}') || (next == NEXT_VALUE_OR_END && found == ']')) {
      next = close_container(c);
      p++;
      continue;
    }
    switch (next) {
    case NEXT_VALUE:
    case NEXT_VALUE_OR_END:
      p = check_value(c, p, &next);
      break;
    case NEXT_NAME:
    case NEXT_NAME_OR_END:
      p = check_name(c, p, next);
      next = NEXT_VALUE;
      break;
    case NEXT_COMMA_OR_END:
      if (found == ',') {
        next = c->in_object ? NEXT_NAME : NEXT_VALUE;
        p++;
      } else if (found == (c->in_object ? '}' : ']')) {
        next = close_container(c);
        p++;
      } else {
        p = fail_next(c, p, next);
      }
      break;
    case NEXT_NOTHING:
      p = fail_next(c, p, next);
      break;
    }
  }
}

static void check_whole(checker *c) {
  if (word_at(c, c->begin, "\xef\xbb\xbf") != 0) {
    (void)fail_text(c, c->begin, "a byte order mark stands before the text; save it without one");
    return;
  }
  const char *p = skip_space(c, c->begin);
  if ((c->flags & HF_JSON_OBJECT_ONLY) != 0 && (p == c->end || *p != '{'))
    (void)fail_found(c, p, "'{': the text must be one JSON object", hint(c, p, NEXT_NOTHING));
  else
    check_text(c, p);
  append(c, c->run, (size_t)(c->end - c->run));
}

int hf_json_check(const char *text, size_t bytes, unsigned flags, unsigned nesting_max, hf_buf *out,
                  uint64_t *ret_nan_count, hf_error *reterr) {
  if (text == NULL) /* an empty text may have no address */
    text = "";
  checker c;
  c.begin = c.run = text;
  c.end = text + bytes;
  c.flags = flags;
  c.nesting_max = nesting_max;
  c.depth = 0;
  c.in_object = 0;
  c.outer = c.first_outer;
  c.outer_words = STACK_FIRST_WORDS;
  c.first_outer[0] = 0;
  c.out = out;
  c.out_bytes_max = 0;
  c.nan_count = 0;
  c.status = HF_OK;
  c.reterr = reterr;

  size_t used_before = 0;
  if (out != NULL) {
    c.out_bytes_max = out->bytes_max != 0 ? out->bytes_max : HF_BUF_BYTES_MAX;
    used_before = out->used;
    if (used_before <= c.out_bytes_max && bytes <= c.out_bytes_max - used_before)
      (void)hf_buf_reserve(out, bytes);
  }
  check_whole(&c);
  if (c.outer != c.first_outer)
    free(c.outer);
  if (out != NULL && hf_buf_add(out, "", 0) != 0 && c.status == HF_OK)
    c.status = out->failed == HF_ELIMIT
                   ? hf_err(reterr, HF_ELIMIT, NULL, "the JSON text does not fit into %zu bytes",
                            c.out_bytes_max)
                   : hf_err_nomem(reterr);
  if (c.status != HF_OK) {
    if (out != NULL) {
      out->used = used_before;
      if (out->data != NULL)
        out->data[used_before] = '\0';
    }
    return c.status;
  }
  if (ret_nan_count != NULL)
    *ret_nan_count = c.nan_count;
  return HF_OK;
}
