#include "verify_lines.h"

#include <string.h>

#include "id.h"

#include "banned.h"

enum { CANDIDATES_MAX = 64 }; /* beginnings and ends that are tried in one damaged piece */

static const char line_start[] = "{\"v\":";
static const char op_member[] = "\"op\":\"";
static const char crc_start[] = ",\"crc\":\"";

int hf_line_is_whole(const char *text, size_t bytes) {
  hf_line line;
  return bytes <= HF_LINE_BYTES_MAX && hf_line_decode(text, bytes, &line, NULL) == HF_OK;
}

static int begins_as_line(const char *text, size_t bytes) {
  return bytes >= sizeof line_start - 1 && memcmp(text, line_start, sizeof line_start - 1) == 0;
}

static int ends_as_line(const char *text, size_t bytes) {
  if (bytes < HF_CRC_TAIL_BYTES)
    return 0;
  const char *tail = text + bytes - HF_CRC_TAIL_BYTES;
  return memcmp(tail, crc_start, sizeof crc_start - 1) == 0 && memcmp(tail + 16, "\"}", 2) == 0;
}

/* A whole record at the beginning of a piece whose newline was overwritten: where it ends, or 0. */
static size_t whole_prefix(const char *text, size_t bytes) {
  size_t from = 0;
  for (int i = 0; i < CANDIDATES_MAX; i++) {
    const char *tail = memmem(text + from, bytes - from, crc_start, sizeof crc_start - 1);
    if (tail == NULL)
      return 0;
    size_t end = (size_t)(tail - text) + HF_CRC_TAIL_BYTES;
    if (end > bytes)
      return 0;
    if (hf_line_is_whole(text, end))
      return end;
    from = (size_t)(tail - text) + 1;
  }
  return 0;
}

/* A whole record at the end of a piece: where it begins, or 0. What a document quotes cannot be
 * taken for one: a record inside another never ends where the line ends. */
static size_t whole_suffix(const char *text, size_t bytes) {
  size_t from = 1;
  for (int i = 0; i < CANDIDATES_MAX && from < bytes; i++) {
    const char *start = memmem(text + from, bytes - from, line_start, sizeof line_start - 1);
    if (start == NULL)
      return 0;
    size_t offset = (size_t)(start - text);
    if (hf_line_is_whole(start, bytes - offset))
      return offset;
    from = offset + 1;
  }
  return 0;
}

/* Behind whole records anything may have been appended. */
static int looks_like_record(const char *text, const struct hf_found_gap *gap) {
  size_t bytes = gap->end - gap->start;
  return text[gap->start] == '{' ||
         memmem(text + gap->start, bytes, op_member, sizeof op_member - 1) != NULL ||
         memmem(text + gap->start, bytes, crc_start, sizeof crc_start - 1) != NULL;
}

/* How many records a gap held. A newline parts two of them if what stands before it ends as a
 * record, or what stands behind it begins as one: damage makes newlines, too. */
static uint32_t count_lines(const char *text, const struct hf_found_gap *gap, int is_trailing) {
  uint32_t count = 0;
  int ended = 1;
  for (size_t at = gap->start; at < gap->end;) {
    const char *newline = memchr(text + at, '\n', gap->end - at);
    size_t stop = newline != NULL ? (size_t)(newline - text) : gap->end;
    size_t bytes = stop - at;
    if (bytes > 0 && (ended || begins_as_line(text + at, bytes) || count == 0))
      count++;
    if (bytes > 0)
      ended = ends_as_line(text + at, bytes);
    at = stop + 1;
  }
  if (is_trailing && gap->start > 0 && count > 0 && !looks_like_record(text, gap))
    return 0;
  return count;
}

static int has_twice(const char *text, size_t bytes, const char *member) {
  size_t count = strlen(member);
  const char *first = memmem(text, bytes, member, count);
  if (first == NULL)
    return 0;
  first += count;
  return memmem(first, bytes - (size_t)(first - text), member, count) != NULL;
}

/* Damage in the midst of one record: not of two, where what parts them was overwritten. */
static int is_plain(const char *text, const struct hf_found_gap *gap) {
  size_t bytes = gap->end - gap->start;
  const char *at = text + gap->start;
  if (bytes == 0 || at[bytes - 1] != '\n' || !begins_as_line(at, bytes - 1) ||
      !ends_as_line(at, bytes - 1))
    return 0;
  return memchr(at, '\n', bytes - 1) == NULL && !has_twice(at, bytes, line_start) &&
         !has_twice(at, bytes, ",\"at\":\"") && !has_twice(at, bytes, ",\"host\":") &&
         !has_twice(at, bytes, crc_start);
}

typedef struct scan {
  const char *text;
  hf_found *found;
  size_t gap_start; /* of the gap that is open */
} scan;

static void close_gap(scan *s, size_t end, int is_trailing) {
  struct hf_found_gap *gap = &s->found->gap[s->found->count];
  gap->start = (uint32_t)s->gap_start;
  gap->end = (uint32_t)(end > s->gap_start ? end : s->gap_start);
  gap->lines = count_lines(s->text, gap, is_trailing);
  gap->plain = (uint8_t)is_plain(s->text, gap);
  if (gap->end > gap->start)
    s->found->clean = 0;
}

static void add_line(scan *s, size_t start, size_t stop, int torn) {
  hf_found *found = s->found;
  if (found->count == HF_BATCH_MAX) {
    found->more++;
    found->clean = 0;
    return;
  }
  close_gap(s, start, 0);
  found->line[found->count].offset = (uint32_t)start;
  found->line[found->count].bytes = (uint32_t)(stop - start);
  found->line[found->count].torn = (uint8_t)(torn != 0);
  found->count++;
  if (torn)
    found->clean = 0;
}

/* Behind a whole record whose newline is not one: the next record, with or without a byte between.
 */
static size_t behind(const char *text, size_t at, size_t end) {
  return at < end && text[at] != '{' ? at + 1 : at;
}

void hf_found_scan(const char *text, size_t bytes, hf_found *ret_found) {
  scan s = {text, ret_found, 0};
  ret_found->count = 0;
  ret_found->more = 0;
  ret_found->clean = ret_found->counted = 1;
  ret_found->bytes = bytes;
  ret_found->ends_in_newline = bytes > 0 && text[bytes - 1] == '\n';
  size_t at = 0;
  while (at < bytes) {
    const char *newline = memchr(text + at, '\n', bytes - at);
    size_t stop = newline != NULL ? (size_t)(newline - text) : bytes;
    size_t next = stop + 1 < bytes ? stop + 1 : bytes;
    size_t end;
    if (hf_line_is_whole(text + at, stop - at)) {
      add_line(&s, at, stop, newline == NULL);
      at = s.gap_start = next;
    } else if ((end = whole_prefix(text + at, stop - at)) > 0) {
      add_line(&s, at, at + end, 1);
      at = s.gap_start = behind(text, at + end, bytes);
    } else {
      size_t start = newline != NULL ? whole_suffix(text + at, stop - at) : 0;
      if (start > 0) {
        add_line(&s, at + start, stop, 0);
        s.gap_start = next;
      }
      at = next;
    }
  }
  close_gap(&s, bytes, 1);
}

size_t hf_found_total(const hf_found *found) {
  size_t total = found->count + found->more;
  for (size_t g = 0; g <= found->count; g++)
    total += found->gap[g].lines;
  return total;
}

int hf_found_is_plain(const hf_found *found) {
  for (size_t g = 0; g <= found->count; g++)
    if (found->gap[g].end > found->gap[g].start && !found->gap[g].plain)
      return 0;
  return 1;
}

/* ---- places ---- */

typedef struct shares {
  uint32_t of[HF_BATCH_MAX + 1]; /* lost records before whole record i */
  int certain; /* 0: only what stands before the first gap, or behind the last, has a place */
} shares;

/* Shares `lost` records out among the gaps. */
static void share_out(const hf_found *found, size_t lost, shares *ret) {
  size_t last = found->count;
  size_t seeming = 0;
  size_t gaps = 0;
  size_t only = 0;
  memset(ret, 0, sizeof *ret);
  ret->certain = 1;
  for (size_t g = 0; g <= last; g++) {
    seeming += found->gap[g].lines;
    if (found->gap[g].lines > 0) {
      gaps++;
      only = g;
    }
  }
  if (!found->counted && lost > 0) {
    ret->certain = 0;
  } else if (seeming == lost || lost == 0 || gaps == lost) {
    for (size_t g = 0; g <= last && lost > 0; g++)
      ret->of[g] = seeming == lost ? found->gap[g].lines : found->gap[g].lines > 0;
  } else if (gaps <= 1) {
    ret->of[gaps == 0 ? last : only] = (uint32_t)lost; /* without a trace: cut off at the end */
  } else {
    ret->certain = 0;
  }
}

static int crc_is_right(const char *text, size_t bytes) {
  uint8_t stored[4];
  if (!ends_as_line(text, bytes) || hf_unhex(text + bytes - 10, 8, stored) != 0)
    return 0;
  uint32_t want = (uint32_t)stored[0] << 24 | (uint32_t)stored[1] << 16 | (uint32_t)stored[2] << 8 |
                  (uint32_t)stored[3];
  return hf_crc32c(0, text, bytes - HF_CRC_TAIL_BYTES) == want;
}

/* What became of lost record i of a gap's. */
static void say_lost(const char *text, const hf_found *found, size_t g, uint32_t i, uint32_t count,
                     hf_vline *line) {
  const struct hf_found_gap *gap = &found->gap[g];
  size_t end = gap->end > gap->start && text[gap->end - 1] == '\n' ? gap->end - 1 : gap->end;
  int is_last = g == found->count && !found->ends_in_newline;
  memset(line, 0, sizeof *line);
  line->kind = "bit-flip";
  line->what = "its crc does not match, or its end is overwritten: bytes have changed";
  if (g == found->count && i >= gap->lines) {
    line->kind = "cut-short";
    line->what = "the file ends before it";
  } else if (is_last && i + 1 == gap->lines) {
    line->kind = "cut-short";
    line->what = "the file ends in the middle of it";
  } else if (count == 1 && crc_is_right(text + gap->start, end - gap->start)) {
    line->kind = "envelope";
    line->what = "its crc is right, and it is no record all the same: a member is missing or has "
                 "a value that it cannot have";
  }
}

static void put_whole(const hf_found *found, size_t i, hf_vline *line) {
  memset(line, 0, sizeof *line);
  line->offset = found->line[i].offset;
  line->bytes = found->line[i].bytes;
  line->whole = 1;
  line->torn = found->line[i].torn;
  if (!line->torn)
    return;
  int is_cut = (size_t)line->offset + line->bytes == found->bytes;
  line->kind = is_cut ? "cut-short" : "bit-flip";
  line->what = is_cut ? "the newline behind it is cut off; the record itself is whole"
                      : "the newline behind it is overwritten; the record itself is whole";
}

/* Where records of several gaps are lost, and nothing tells how many of each. */
static void place_uncertain(const hf_found *found, size_t want, hf_vlines *ret) {
  size_t front = 0;
  size_t back = 0;
  while (front < found->count && front < want && found->gap[front].lines == 0)
    front++;
  while (found->counted && back < found->count - front && back < want - front &&
         found->gap[found->count - back].lines == 0)
    back++;
  for (size_t i = 0; i < want; i++) {
    hf_vline *line = &ret->line[i];
    if (i < front)
      put_whole(found, i, line);
    else if (i >= want - back)
      put_whole(found, found->count - (want - i), line);
    else {
      memset(line, 0, sizeof *line);
      line->kind = "bit-flip";
      line->what = "records before and behind it are damaged, and nothing tells which of them "
                   "this one was";
    }
  }
}

void hf_found_place(const char *text, const hf_found *found, size_t want, hf_vlines *ret_lines) {
  shares share;
  size_t take = found->count < want ? found->count : want;
  size_t put = 0;
  ret_lines->count = want;
  ret_lines->extra = found->count + found->more - take;
  ret_lines->junk = 0;
  share_out(found, want - take, &share);
  for (size_t g = 0; g <= found->count; g++)
    if (found->gap[g].end > found->gap[g].start && share.of[g] == 0 && share.certain)
      ret_lines->junk = 1;
  if (!share.certain) {
    place_uncertain(found, want, ret_lines);
    return;
  }
  for (size_t g = 0; g <= found->count && put < want; g++) {
    for (uint32_t i = 0; i < share.of[g] && put < want; i++)
      say_lost(text, found, g, i, share.of[g], &ret_lines->line[put++]);
    if (g < found->count && put < want)
      put_whole(found, g, &ret_lines->line[put++]);
  }
}
