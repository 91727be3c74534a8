#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t hf_cli_utf8(const char *text, size_t bytes, uint32_t *ret_point) {
  if (bytes == 0)
    return 0;
  const unsigned char *s = (const unsigned char *)text;
  if (s[0] < 0x80) {
    *ret_point = s[0];
    return 1;
  }
  size_t length = s[0] >= 0xF0 ? 4 : s[0] >= 0xE0 ? 3 : 2;
  if (s[0] < 0xC2 || s[0] > 0xF4 || bytes < length)
    return 0;
  uint32_t point = s[0] & (0xFFu >> (length + 1));
  for (size_t i = 1; i < length; i++) {
    if ((s[i] & 0xC0) != 0x80)
      return 0;
    point = point << 6 | (s[i] & 0x3Fu);
  }
  if ((length == 3 && point < 0x800) || (length == 4 && point < 0x10000) || point > 0x10FFFF ||
      (point >= 0xD800 && point <= 0xDFFF))
    return 0;
  *ret_point = point;
  return length;
}

int hf_cli_is_white(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

typedef struct point_range {
  uint32_t first;
  uint32_t last;
} point_range;

/* The blocks of Unicode 15 as a whole, not every single exception: a table may be a column off,
 * never broken. */
static const point_range unsafe_ranges[] = {
    {0x0000, 0x001F}, {0x007F, 0x009F}, {0x061C, 0x061C}, {0x200E, 0x200F},   {0x2028, 0x202E},
    {0x2066, 0x2069}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F},
};
static const point_range zero_ranges[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A},   {0x064B, 0x065F},
    {0x0900, 0x0902}, {0x093C, 0x093C}, {0x0941, 0x0948}, {0x094D, 0x094D},   {0x0E31, 0x0E31},
    {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},   {0x200B, 0x200D},
    {0x2060, 0x2064}, {0x20D0, 0x20F0}, {0x302A, 0x302F}, {0x3099, 0x309A},   {0xFE00, 0xFE0F},
    {0xFE20, 0xFE2F}, {0x1160, 0x11FF}, {0xD7B0, 0xD7FF}, {0xE0100, 0xE01EF},
};
static const point_range wide_ranges[] = {
    {0x1100, 0x115F},   {0x231A, 0x231B},   {0x23E9, 0x23EC},   {0x2E80, 0x303E},
    {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0xA4CF},   {0xA960, 0xA97F},
    {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6},   {0x16FE0, 0x18CFF}, {0x1B000, 0x1B2FF}, {0x1F300, 0x1F64F},
    {0x1F680, 0x1F6FF}, {0x1F7E0, 0x1F7EB}, {0x1F900, 0x1F9FF}, {0x1FA70, 0x1FAFF},
    {0x20000, 0x3FFFD},
};

static int in_ranges(const point_range *ranges, size_t count, uint32_t point) {
  for (size_t i = 0; i < count; i++)
    if (point >= ranges[i].first && point <= ranges[i].last)
      return 1;
  return 0;
}

#define IN_RANGES(ranges, point) in_ranges(ranges, sizeof(ranges) / sizeof((ranges)[0]), point)

int hf_cli_char_columns(uint32_t point) {
  if (point >= 0x20 && point < 0x7F)
    return 1;
  if (IN_RANGES(unsafe_ranges, point))
    return -1;
  if (IN_RANGES(zero_ranges, point))
    return 0;
  return IN_RANGES(wide_ranges, point) ? 2 : 1;
}

static int write_escape(FILE *to, uint32_t point) {
  switch (point) {
  case '\n':
    return fprintf(to, "\\n");
  case '\r':
    return fprintf(to, "\\r");
  case '\t':
    return fprintf(to, "\\t");
  default:
    return fprintf(to, point < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)point);
  }
}

static const char ellipsis[] = "\xE2\x80\xA6";

char *hf_cli_visible(const char *text, size_t bytes, size_t *ret_columns) {
  char *out = NULL;
  size_t out_bytes = 0;
  FILE *to = open_memstream(&out, &out_bytes);
  if (to == NULL)
    return NULL;
  size_t columns = 0;
  int failed = 0;
  while (bytes > 0) {
    uint32_t point = (unsigned char)*text;
    size_t length = hf_cli_utf8(text, bytes, &point);
    int width = length == 0 ? -1 : hf_cli_char_columns(point);
    if (length == 0)
      length = 1; /* a stray byte, shown as itself */
    if (width >= 0) {
      columns += (size_t)width;
      failed |= fwrite(text, 1, length, to) != length;
    } else {
      int written = write_escape(to, point);
      failed |= written < 0;
      columns += written > 0 ? (size_t)written : 0;
    }
    text += length;
    bytes -= length;
  }
  failed |= fwrite(ellipsis, 1, sizeof ellipsis, to) != sizeof ellipsis; /* room to be cut in */
  failed |= fclose(to) != 0;
  if (failed) {
    free(out);
    return NULL;
  }
  out[out_bytes - sizeof ellipsis] = '\0';
  if (ret_columns != NULL)
    *ret_columns = columns;
  return out;
}

size_t hf_cli_cut_columns(char *text, size_t columns) {
  size_t used = 0;
  size_t at = 0;
  size_t bytes = strlen(text);
  size_t cut_at = 0; /* the last place where an ellipsis still fits */
  size_t cut_columns = 0;
  while (at < bytes) {
    uint32_t point = 0;
    size_t length = hf_cli_utf8(text + at, bytes - at, &point);
    int width = length == 0 ? 1 : hf_cli_char_columns(point);
    used += width > 0 ? (size_t)width : 0;
    at += length == 0 ? 1 : length;
    if (used > columns) {
      memcpy(text + cut_at, ellipsis, sizeof ellipsis);
      return cut_columns + 1;
    }
    if (used + 1 <= columns) {
      cut_at = at;
      cut_columns = used;
    }
  }
  return used;
}

/* ---- timestamps ---- */

enum { YEAR_BYTES = 5, DATE_BYTES = 10, MINUTE_BYTES = 16 };

static int is_time(const char *text) {
  static const char form[] = "0000-00-00?00:00";
  for (size_t i = 0; i < MINUTE_BYTES; i++) {
    int is_digit = text[i] >= '0' && text[i] <= '9';
    if (form[i] == '0' ? !is_digit : form[i] != '?' && form[i] != text[i])
      return 0; /* the end, too */
  }
  return strchr("Tt ", text[DATE_BYTES]) != NULL && text[DATE_BYTES] != '\0';
}

/* "+01:00"; "" of what is UTC, or taken as UTC. */
static const char *offset_of(const char *text) {
  const char *offset = strpbrk(text + MINUTE_BYTES, "+-");
  return offset == NULL || strspn(offset, "+-0:") == strlen(offset) ? "" : offset;
}

size_t hf_cli_minute_columns(const char *text) {
  return is_time(text) ? MINUTE_BYTES + strlen(offset_of(text)) : 0;
}

size_t hf_cli_cut_time(char *text, size_t columns) {
  size_t minute = hf_cli_minute_columns(text);
  if (minute == 0 || strlen(text) <= columns || columns < DATE_BYTES - YEAR_BYTES)
    return hf_cli_cut_columns(text, columns);
  size_t from = minute <= columns || minute - YEAR_BYTES > columns ? 0 : YEAR_BYTES;
  size_t until = minute - YEAR_BYTES <= columns ? MINUTE_BYTES : DATE_BYTES;
  if (until == DATE_BYTES && columns < DATE_BYTES)
    from = YEAR_BYTES;
  const char *offset = until == MINUTE_BYTES ? offset_of(text) : "";
  text[DATE_BYTES] = ' ';
  memmove(text + until, offset, strlen(offset) + 1);
  memmove(text, text + from, strlen(text + from) + 1);
  return strlen(text);
}

size_t hf_cli_cut_front(char *text, size_t columns) {
  size_t bytes = strlen(text);
  size_t used = 0;
  size_t from = bytes; /* where the end begins that fits beside the ellipsis */
  for (size_t at = bytes; at > 0;) {
    size_t begin = at - 1;
    while (begin > 0 && ((unsigned char)text[begin] & 0xC0) == 0x80)
      begin--;
    uint32_t point = 0;
    size_t length = hf_cli_utf8(text + begin, bytes - begin, &point);
    int width = length == 0 ? 1 : hf_cli_char_columns(point);
    used += width > 0 ? (size_t)width : 0;
    if (used + 1 > columns)
      break;
    from = at = begin;
  }
  used = 1;
  for (size_t at = from; at < bytes;) {
    uint32_t point = 0;
    size_t length = hf_cli_utf8(text + at, bytes - at, &point);
    int width = length == 0 ? 1 : hf_cli_char_columns(point);
    used += width > 0 ? (size_t)width : 0;
    at += length == 0 ? 1 : length;
  }
  memmove(text + sizeof ellipsis - 1, text + from, bytes - from + 1);
  memcpy(text, ellipsis, sizeof ellipsis - 1);
  return used;
}

/* Columns of a visible text's first character; *ret_bytes: its length. */
static size_t first_columns(const char *text, size_t *ret_bytes) {
  uint32_t point = 0;
  size_t length = hf_cli_utf8(text, strlen(text), &point);
  int width = length == 0 ? 1 : hf_cli_char_columns(point);
  *ret_bytes = length == 0 ? 1 : length;
  return width > 0 ? (size_t)width : 0;
}

/* How many bytes of a visible text take at most `columns` columns. */
static size_t head_bytes(const char *text, size_t columns) {
  size_t at = 0, used = 0, length = 0;
  while (text[at] != '\0') {
    used += first_columns(text + at, &length);
    if (used > columns)
      break;
    at += length;
  }
  return at;
}

/* From where on it takes at most `columns`. */
static size_t tail_from(const char *text, size_t total, size_t columns) {
  size_t at = 0, length = 0;
  while (text[at] != '\0' && total > columns) {
    total -= first_columns(text + at, &length);
    at += length;
  }
  return at;
}

char *hf_cli_visible_middle(const char *text, size_t bytes, size_t columns, size_t *ret_columns) {
  size_t near = columns * 16; /* more bytes than that are not looked at, at either end */
  size_t before = bytes > 2 * near ? near : bytes;
  while (before < bytes && before > 0 && ((unsigned char)text[before] & 0xC0) == 0x80)
    before--;
  size_t from = before < bytes ? bytes - near : 0;
  while (from < bytes && from > 0 && ((unsigned char)text[from] & 0xC0) == 0x80)
    from++;
  size_t head_columns = 0, tail_columns = 0;
  char *head = hf_cli_visible(text, before, &head_columns);
  char *tail = hf_cli_visible(text + from, bytes - from, &tail_columns);
  char *made = NULL;
  size_t made_bytes = 0;
  FILE *to = head != NULL && tail != NULL ? open_memstream(&made, &made_bytes) : NULL;
  if (to != NULL) {
    int failed = 0;
    if (before == bytes && head_columns <= columns)
      failed |= fputs(head, to) == EOF;
    else
      failed |= fprintf(to, "%.*s\xE2\x80\xA6%s", (int)head_bytes(head, columns / 2), head,
                        tail + tail_from(tail, tail_columns, columns - columns / 2 - 1)) < 0;
    failed |= fclose(to) != 0;
    if (failed) {
      free(made);
      made = NULL;
    }
  }
  if (made != NULL && ret_columns != NULL) {
    size_t length = 0;
    *ret_columns = 0;
    for (size_t at = 0; made[at] != '\0'; at += length)
      *ret_columns += first_columns(made + at, &length);
  }
  free(head);
  free(tail);
  return made;
}

enum { DISTANCE_CHARS_MAX = 32 };

size_t hf_cli_distance(const char *a, const char *b) {
  size_t rows[3][DISTANCE_CHARS_MAX + 1] = {{0}};
  size_t a_chars = strlen(a);
  size_t b_chars = strlen(b);
  if (a_chars > DISTANCE_CHARS_MAX || b_chars > DISTANCE_CHARS_MAX)
    return SIZE_MAX;
  for (size_t j = 0; j <= b_chars; j++)
    rows[0][j] = j;
  for (size_t i = 1; i <= a_chars; i++) {
    size_t *now = rows[i % 3];
    const size_t *above = rows[(i + 2) % 3];
    const size_t *before = rows[(i + 1) % 3];
    now[0] = i;
    for (size_t j = 1; j <= b_chars; j++) {
      size_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
      best = above[j] + 1 < best ? above[j] + 1 : best;
      best = now[j - 1] + 1 < best ? now[j - 1] + 1 : best;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
          before[j - 2] + 1 < best)
        best = before[j - 2] + 1;
      now[j] = best;
    }
  }
  return rows[a_chars % 3][b_chars];
}

const char *hf_cli_size_text(uint64_t bytes, char text[HF_CLI_SIZE_BYTES]) {
  static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = (double)bytes / 1024;
  size_t unit = 0;
  if (bytes < 1024) {
    (void)snprintf(text, HF_CLI_SIZE_BYTES, "%" PRIu64 " B", bytes);
    return text;
  }
  for (; value >= 1024 && unit + 1 < sizeof units / sizeof units[0]; unit++)
    value /= 1024;
  (void)snprintf(text, HF_CLI_SIZE_BYTES, "%.*f %s", value < 9.95 ? 1 : 0, value, units[unit]);
  return text;
}
