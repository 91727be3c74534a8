#include "batchline.h"

#include <endian.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

typedef struct scanner {
  char *text;
  size_t bytes;
  size_t at;
  hf_error *err;
} scanner;

static int bad(const scanner *scan, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Says what is wrong, and where. Answers HF_EDOC. */
static int bad(const scanner *scan, size_t at, const char *format, ...) {
  va_list args;
  va_start(args, format);
  scan->err->code = HF_EDOC;
  (void)snprintf(scan->err->place, sizeof scan->err->place, "column %zu", at + 1);
  (void)vsnprintf(scan->err->message, sizeof scan->err->message, format, args);
  va_end(args);
  return HF_EDOC;
}

static void skip_white(scanner *scan) {
  while (scan->at < scan->bytes && hf_cli_is_white(scan->text[scan->at]))
    scan->at++;
}

/* Skips white space, then the character, if it is there. */
static int take(scanner *scan, char c) {
  skip_white(scan);
  if (scan->at >= scan->bytes || scan->text[scan->at] != c)
    return 0;
  scan->at++;
  return 1;
}

static int hex4(const char *text, uint32_t *ret_unit) {
  uint32_t unit = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef";
    char c = text[i];
    const char *found = c == '\0' ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
    if (found == NULL)
      return -1;
    unit = unit << 4 | (uint32_t)(found - digits);
  }
  *ret_unit = unit;
  return 0;
}

static size_t put_utf8(char *to, uint32_t point) {
  if (point < 0x80) {
    to[0] = (char)point;
    return 1;
  }
  if (point < 0x800) {
    to[0] = (char)(0xC0 | point >> 6);
    to[1] = (char)(0x80 | (point & 0x3F));
    return 2;
  }
  if (point < 0x10000) {
    to[0] = (char)(0xE0 | point >> 12);
    to[1] = (char)(0x80 | (point >> 6 & 0x3F));
    to[2] = (char)(0x80 | (point & 0x3F));
    return 3;
  }
  to[0] = (char)(0xF0 | point >> 18);
  to[1] = (char)(0x80 | (point >> 12 & 0x3F));
  to[2] = (char)(0x80 | (point >> 6 & 0x3F));
  to[3] = (char)(0x80 | (point & 0x3F));
  return 4;
}

/* \uXXXX, with its second half where it is a surrogate. scan->at stands behind the 'u'. The text
 * ends with NUL. */
static int take_unicode(scanner *scan, uint32_t *ret_point) {
  size_t start = scan->at;
  uint32_t unit;
  uint32_t low;
  if (hex4(scan->text + scan->at, &unit) != 0)
    return bad(scan, start, "four hexadecimal digits are expected after \\u");
  scan->at += 4;
  if (unit == 0)
    return bad(scan, start, "\\u0000 cannot stand in this string");
  if (unit >= 0xD800 && unit <= 0xDFFF) {
    if (unit >= 0xDC00 || strncmp(scan->text + scan->at, "\\u", 2) != 0 ||
        hex4(scan->text + scan->at + 2, &low) != 0 || low < 0xDC00 || low > 0xDFFF)
      return bad(scan, start, "half of a surrogate pair stands alone");
    scan->at += 6;
    unit = 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
  }
  *ret_point = unit;
  return HF_OK;
}

/* What a string must be. The library checks it again; a line that is known to be bad is not sent
 * to it together with those behind it. */
typedef struct string_rule {
  const char *what;
  size_t bytes_min;
  size_t bytes_max; /* 0: any length, any character */
} string_rule;

static int check_string(const scanner *scan, const string_rule *rule, size_t at, const char *text,
                        size_t bytes) {
  if (rule->bytes_max == 0)
    return HF_OK;
  if (bytes < rule->bytes_min)
    return bad(scan, at, "%s: it is empty", rule->what);
  if (bytes > rule->bytes_max)
    return bad(scan, at, "%s: it is %zu bytes long; the limit is %zu", rule->what, bytes,
               rule->bytes_max);
  for (size_t i = 0; i < bytes; i++)
    if ((unsigned char)text[i] < 0x20 || text[i] == 0x7F)
      return bad(scan, at, "%s: a control character stands in the string", rule->what);
  return HF_OK;
}

/* A string, decoded in place: what it means is never longer than how it is written. *ret_text is
 * NUL-terminated. */
static int take_string(scanner *scan, const string_rule *rule, char **ret_text) {
  const char *what = rule->what;
  if (!take(scan, '"'))
    return bad(scan, scan->at, "%s: a string is expected", what);
  size_t out = scan->at;
  size_t start = out;
  while (scan->at < scan->bytes && scan->text[scan->at] != '"') {
    unsigned char c = (unsigned char)scan->text[scan->at];
    uint32_t point = 0;
    if (c < 0x20)
      return bad(scan, scan->at, "%s: a control character stands in the string", what);
    if (c < 0x80 && c != '\\') {
      scan->text[out++] = (char)c;
      scan->at++;
      continue;
    }
    if (c != '\\') {
      size_t length = hf_cli_utf8(scan->text + scan->at, scan->bytes - scan->at, &point);
      if (length == 0)
        return bad(scan, scan->at, "%s: not UTF-8", what);
      memmove(scan->text + out, scan->text + scan->at, length);
      out += length;
      scan->at += length;
      continue;
    }
    static const char escapes[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    char escape = scan->text[scan->at + 1]; /* the NUL at the end, at most */
    const char *known = escape == '\0' ? NULL : strchr(escapes, escape);
    if (known == NULL && escape != 'u')
      return bad(scan, scan->at, "%s: no such escape", what);
    scan->at += 2;
    if (known != NULL) {
      scan->text[out++] = meanings[known - escapes];
      continue;
    }
    if (take_unicode(scan, &point) != HF_OK)
      return HF_EDOC;
    out += put_utf8(scan->text + out, point);
  }
  if (scan->at >= scan->bytes)
    return bad(scan, scan->at, "%s: the line ends inside a string", what);
  scan->at++;
  scan->text[out] = '\0';
  *ret_text = scan->text + start;
  return check_string(scan, rule, start - 1, scan->text + start, out - start);
}

static int take_null(scanner *scan) {
  skip_white(scan);
  if (scan->bytes - scan->at < 4 || memcmp(scan->text + scan->at, "null", 4) != 0)
    return 0;
  scan->at += 4;
  return 1;
}

static int take_text(scanner *scan, const string_rule *rule, int may_be_null, const char **member) {
  char *text = NULL;
  if (may_be_null && take_null(scan))
    return HF_OK;
  int status = take_string(scan, rule, &text);
  *member = text;
  return status;
}

static int is_dim(const hf_cli_batch_line *line, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(line->dims[i].name, name) == 0)
      return 1;
  return 0;
}

static int take_dims(scanner *scan, hf_cli_batch_line *line) {
  static const string_rule name_rule = {"dims: a name", 1, HF_DIM_NAME_BYTES_MAX};
  static const string_rule value_rule = {"dims: a value", 0, HF_DIM_VALUE_BYTES_MAX};
  size_t count = 0;
  if (take_null(scan))
    return HF_OK;
  if (!take(scan, '{'))
    return bad(scan, scan->at, "dims: an object of strings is expected");
  if (take(scan, '}'))
    return HF_OK;
  do {
    char *name = "";
    char *value = "";
    skip_white(scan);
    size_t at = scan->at;
    if (count == HF_DIMS_MAX)
      return bad(scan, at, "dims: more than %d; that is the limit", HF_DIMS_MAX);
    if (take_string(scan, &name_rule, &name) != HF_OK)
      return HF_EDOC;
    if (is_dim(line, count, name))
      return bad(scan, at, "dims: the name \"%s\" stands twice", name);
    if (!take(scan, ':'))
      return bad(scan, scan->at, "a colon is expected");
    if (take_string(scan, &value_rule, &value) != HF_OK)
      return HF_EDOC;
    line->dims[count++] = (hf_dim){name, value};
  } while (take(scan, ','));
  if (!take(scan, '}'))
    return bad(scan, scan->at, "dims: a comma or } is expected");
  line->request.key.dims = line->dims;
  line->request.key.dims_count = count;
  return HF_OK;
}

/* Moves the place "line 1, column C" inside the document to the column of the line. */
void hf_cli_batch_line_place(const hf_cli_batch_line *line, hf_error *err) {
  static const char first_line[] = "line 1, column ";
  if (strncmp(err->place, first_line, sizeof first_line - 1) != 0)
    return;
  unsigned long inner = strtoul(err->place + sizeof first_line - 1, NULL, 10);
  (void)snprintf(err->place, sizeof err->place, "column %zu", line->doc_column + inner - 1);
}

/* Past the string whose first quotation mark stands before `at`; scan->bytes or more where it has
 * no end. Eight bytes a step: documents are mostly strings. */
static size_t skip_string(const scanner *scan, size_t at) {
  static const uint64_t each = UINT64_C(0x0101010101010101);
  uint64_t word = 0;
  while (scan->bytes - at >= sizeof word) {
    memcpy(&word, scan->text + at, sizeof word);
    word = le64toh(word);
    uint64_t quote = word ^ each * '"';
    uint64_t escape = word ^ each * '\\';
    uint64_t here = (((quote - each) & ~quote) | ((escape - each) & ~escape)) & each * 0x80;
    if (here == 0) { /* neither stands in these eight */
      at += sizeof word;
      continue;
    }
    at += (size_t)__builtin_ctzll(here) / 8; /* the first such byte is exact */
    if (scan->text[at] == '"')
      return at + 1;
    at += 2;
    if (at > scan->bytes)
      return at;
  }
  while (at < scan->bytes) {
    char c = scan->text[at++];
    if (c == '"')
      return at;
    if (c == '\\')
      at++;
  }
  return at;
}

/* The next quotation mark or bracket; scan->bytes: none. */
static size_t next_mark(const scanner *scan, size_t at) {
  static const unsigned char marks[256] = {['"'] = 1, ['{'] = 1, ['}'] = 1, ['['] = 1, [']'] = 1};
  while (at < scan->bytes && !marks[(unsigned char)scan->text[at]])
    at++;
  return at;
}

/* The document's end is found by its brackets; that it is strict JSON is checked by the library. */
static int take_doc(scanner *scan, hf_cli_batch_line *line) {
  skip_white(scan);
  size_t start = scan->at;
  size_t depth = 0;
  if (start >= scan->bytes || scan->text[start] != '{')
    return bad(scan, start, "doc: an object is expected");
  do {
    scan->at = next_mark(scan, scan->at);
    if (scan->at >= scan->bytes)
      return bad(scan, scan->bytes, "doc: the line ends inside the document");
    char c = scan->text[scan->at++];
    if (c == '"')
      scan->at = skip_string(scan, scan->at);
    else
      depth += c == '{' || c == '[' ? 1 : (size_t)-1;
    if (depth > HF_DOC_NESTING_MAX)
      return bad(scan, scan->at - 1, "doc: it is nested more than %d deep; that is the limit",
                 HF_DOC_NESTING_MAX);
  } while (depth > 0);
  line->request.doc = scan->text + start;
  line->request.doc_bytes = scan->at - start;
  line->doc_column = start + 1;
  if (line->request.doc_bytes > line->doc_bytes_max)
    return bad(scan, start, "doc: it has %zu bytes; the limit is %" PRIu64, line->request.doc_bytes,
               line->doc_bytes_max);
  return HF_OK;
}

typedef enum line_member {
  MEMBER_RUN_ID,
  MEMBER_STAGE,
  MEMBER_DIMS,
  MEMBER_GROUP,
  MEMBER_TIMESTAMP,
  MEMBER_DOC,
  MEMBERS_COUNT
} line_member;

static const string_rule member_rules[MEMBERS_COUNT] = {
    [MEMBER_RUN_ID] = {"run_id", 1, HF_RUN_ID_BYTES_MAX},
    [MEMBER_STAGE] = {"stage", 1, HF_STAGE_BYTES_MAX},
    [MEMBER_DIMS] = {"dims", 0, 0},
    [MEMBER_GROUP] = {"group", 1, HF_GROUP_BYTES_MAX},
    [MEMBER_TIMESTAMP] = {"timestamp", 0, HF_TIMESTAMP_BYTES_MAX},
    [MEMBER_DOC] = {"doc", 0, 0},
};

static int take_value(scanner *scan, line_member member, hf_cli_batch_line *line) {
  hf_save_request *request = &line->request;
  const string_rule *rule = &member_rules[member];
  switch (member) {
  case MEMBER_RUN_ID:
    return take_text(scan, rule, 0, &request->key.run_id);
  case MEMBER_STAGE:
    return take_text(scan, rule, 0, &request->key.stage);
  case MEMBER_DIMS:
    return take_dims(scan, line);
  case MEMBER_GROUP:
    return take_text(scan, rule, 1, &request->group);
  case MEMBER_TIMESTAMP:
    return take_text(scan, rule, 1, &request->timestamp);
  case MEMBER_DOC:
    return take_doc(scan, line);
  case MEMBERS_COUNT:
    break;
  }
  return bad(scan, scan->at, "%s", rule->what);
}

static int take_member(scanner *scan, unsigned *seen, hf_cli_batch_line *line) {
  static const string_rule name_rule = {"a member's name", 0, 0};
  char *name = "";
  skip_white(scan);
  size_t at = scan->at;
  if (take_string(scan, &name_rule, &name) != HF_OK)
    return HF_EDOC;
  size_t member = 0;
  while (member < MEMBERS_COUNT && strcmp(name, member_rules[member].what) != 0)
    member++;
  if (member == MEMBERS_COUNT)
    return bad(scan, at,
               "unknown member \"%.80s\"; known are run_id, stage, dims, group, timestamp and doc",
               name);
  if ((*seen & 1u << member) != 0)
    return bad(scan, at, "the member \"%s\" stands twice", name);
  *seen |= 1u << member;
  if (!take(scan, ':'))
    return bad(scan, scan->at, "a colon is expected");
  return take_value(scan, (line_member)member, line);
}

static int parse(scanner *scan, hf_cli_batch_line *line) {
  unsigned seen = 0;
  size_t bytes = scan->bytes;
  if (!take(scan, '{'))
    return bad(scan, scan->at, "an object is expected");
  if (!take(scan, '}')) {
    do {
      int status = take_member(scan, &seen, line);
      if (status != HF_OK)
        return status;
    } while (take(scan, ','));
    if (!take(scan, '}'))
      return bad(scan, scan->at, "a comma or } is expected");
  }
  skip_white(scan);
  if (scan->at < bytes)
    return bad(scan, scan->at, "nothing more is expected on this line");
  static const line_member needed[] = {MEMBER_RUN_ID, MEMBER_STAGE, MEMBER_DOC};
  for (size_t i = 0; i < HF_CLI_COUNT(needed); i++)
    if ((seen & 1u << needed[i]) == 0)
      return bad(scan, bytes > 0 ? bytes - 1 : 0, "the member \"%s\" is missing",
                 member_rules[needed[i]].what);
  return HF_OK;
}

/* What stands behind a document that is no JSON is bad, too, where its end was taken to be: its own
 * error comes first. */
static int blame_doc(const hf_cli_batch_line *line, int status, hf_error *reterr) {
  const char *value = NULL;
  size_t value_bytes = 0;
  hf_error why = HF_ERROR_INIT;
  if (line->request.doc == NULL || line->request.doc_bytes > line->doc_bytes_max)
    return status;
  int got =
      hf_json_pointer(line->request.doc, line->request.doc_bytes, "", &value, &value_bytes, &why);
  if (got >= 0)
    return status;
  hf_cli_batch_line_place(line, &why);
  *reterr = why;
  return got;
}

int hf_cli_batch_line_parse(hf_cli_batch_line *line, size_t bytes, hf_error *reterr) {
  scanner scan = {line->text, bytes, 0, reterr};
  int status = parse(&scan, line);
  return status == HF_OK ? HF_OK : blame_doc(line, status, reterr);
}
