/* The tile that journal mode appends to: its span, as far as it is one. And tiles whose packer was
 * ended. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "err.h"
#include "plant.h"
#include "verify.h"

#include "banned.h"

/* So many records of the tile the mark covers. */
static size_t count_by_mark(const hf_verify_work *work, uint64_t tile) {
  uint64_t before = tile * HF_TILE_RECORDS;
  if (work->log_mark.length <= before)
    return 0;
  uint64_t count = work->log_mark.length - before;
  return count < HF_TILE_RECORDS ? (size_t)count : HF_TILE_RECORDS;
}

/* Whole lines from the beginning on; *ret_end: where they end. The one at `from`, or behind it,
 * that ends journal mode is the last (*ret_is_last): copies of loose records stand behind it. */
static size_t count_whole(const hf_buf *text, size_t from, size_t limit, size_t *ret_end,
                          int *ret_is_last) {
  size_t count = 0;
  size_t at = 0;
  *ret_is_last = 0;
  while (at < text->used && count < limit && !*ret_is_last) {
    hf_line line;
    const char *end = memchr(text->data + at, '\n', text->used - at);
    size_t bytes = end != NULL ? (size_t)(end - text->data) - at : 0;
    if (end == NULL || bytes > HF_LINE_BYTES_MAX ||
        hf_line_decode(text->data + at, bytes, &line, NULL) != HF_OK)
      break;
    *ret_is_last = count >= from && line.op == HF_OP_MODE && !hf_line_mode_is_journal(&line) &&
                   !HF_PLANTED(VERIFY_READS_COPIES);
    at += bytes + 1;
    count++;
  }
  *ret_end = at;
  return count;
}

static void say_torn(hf_verify_work *work, const hf_span *span, size_t from, size_t bytes) {
  hf_autofree hf_found *found = calloc(1, sizeof *found);
  if (work->part_said == span->first)
    return;
  work->part_said = span->first;
  if (found != NULL)
    hf_found_scan(span->text.data + from, bytes, found);
  if (found != NULL && found->count + found->more > 0) {
    hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, span->path,
                  "%zu whole records stand behind a line that does not check, where the mark tells "
                  "of none: a power loss kept them, and not what was written before; or that line "
                  "was damaged, and the mark cut short. Whoever saves next puts a copy into "
                  "quarantine/ and cuts them off",
                  found->count + found->more);
    return;
  }
  hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, span->path,
                "%zu bytes stand behind its last record, which are none: a writer was ended before "
                "it was done, and had no answer; whoever saves next cuts them off",
                bytes);
}

/* A mark with bytes that no writer writes may have gained them: its length tells of no more records
 * than seem to be there. Else one line that was altered would seem to have been several, and nobody
 * knew the numbers of those behind it. */
static size_t trust(hf_verify_work *work, uint64_t tile, size_t by_mark, size_t seeming) {
  int byte = 'f';
  for (size_t i = 1; i <= by_mark && by_mark > seeming; i++) {
    int status = hf_verify_mark_byte(work, tile * HF_TILE_RECORDS + i, &byte, NULL);
    if (status == HF_OK && byte != 'f' && byte != '+')
      return seeming;
  }
  return by_mark;
}

size_t hf_part_used(const hf_buf *text) {
  size_t used = text->used;
  while (used > 0 && text->data[used - 1] == '\0')
    used--;
  return used;
}

/* What the mark covers is there, or is damaged; what stands behind, as far as it is whole, counts
 * as well. */
static int measure(hf_verify_work *work, uint64_t tile, hf_span *span) {
  size_t end = 0;
  int is_last = 0;
  size_t by_mark = count_by_mark(work, tile);
  size_t used = hf_part_used(&span->text);
  span->text.used = used;
  /* what stands beyond the mark is judged by the host that appends */
  size_t whole = count_whole(&span->text, span->from, work->shared ? by_mark : HF_TILE_RECORDS,
                             &end, &is_last);
  if (is_last && by_mark > whole)
    by_mark = whole;
  if (is_last || (work->shared && whole == by_mark))
    used = end;
  size_t next = hf_seqs_find(&work->names, span->first + whole);
  /* behind a change of mode the records are loose again */
  if (next < work->names.count && work->names.at[next] - span->first < by_mark)
    by_mark = (size_t)(work->names.at[next] - span->first);
  if (whole >= by_mark) {
    if (used > end)
      say_torn(work, span, end, used - end);
    span->text.used = end;
    span->count = whole;
    hf_found_scan(span->text.data, end, &span->found);
  } else {
    hf_found_scan(span->text.data, used, &span->found);
    size_t total = hf_found_total(&span->found);
    size_t trusted = trust(work, tile, by_mark, total);
    span->found.counted =
        (trusted == by_mark && by_mark >= total) || hf_found_is_plain(&span->found);
    by_mark = trusted;
    span->count = total > by_mark && total <= HF_TILE_RECORDS && span->found.count > 0 &&
                          span->found.ends_in_newline
                      ? total
                      : by_mark;
  }
  if (span->count > 0)
    hf_found_place(span->text.data, &span->found, span->count, &span->lines);
  return span->count > 0;
}

/* Does a whole record begin there? */
static int is_line_at(const hf_buf *text, size_t at) {
  hf_line line;
  const char *end = at < text->used ? memchr(text->data + at, '\n', text->used - at) : NULL;
  return end != NULL && (size_t)(end - text->data) - at <= HF_LINE_BYTES_MAX &&
         hf_line_decode(text->data + at, (size_t)(end - text->data) - at, &line, NULL) == HF_OK;
}

/* Where the record behind so many whole ones begins; SIZE_MAX: there are not so many. */
static size_t skip_records(const hf_buf *text, size_t count) {
  size_t at = 0;
  for (; count > 0; count--) {
    if (!is_line_at(text, at))
      return SIZE_MAX;
    const char *end = memchr(text->data + at, '\n', text->used - at);
    at = end != NULL ? (size_t)(end - text->data) + 1 : SIZE_MAX;
  }
  return at;
}

/* Copies of loose records stand before a part's own where the mode began again within the tile, and
 * a power loss may have taken them: nobody reads them. Readers find what stands behind by the
 * lengths of the lines, and so does this: those are put in the copies' place. Where nothing stands
 * there, and something does behind whole copies of another length, it was shifted. */
static int put_before(const hf_verify_work *work, uint64_t tile, hf_span *span) {
  const hf_verify_tile_text *before = &work->before;
  hf_buf *text = &span->text;
  size_t end = before->text.used;
  if (span->from == 0 || !before->known || before->tile != tile || before->count != span->from ||
      HF_PLANTED(VERIFY_COUNTS_COPIES))
    return 0;
  if (!is_line_at(text, end)) {
    size_t at = skip_records(text, span->from);
    if (at == SIZE_MAX || at == end || !is_line_at(text, at))
      return 0;
    if (hf_buf_reserve(text, end) != 0)
      return -1;
    memmove(text->data + end, text->data + at, text->used - at);
    text->used = text->used - at + end;
    span->shifted = 1;
  }
  memcpy(text->data, before->text.data, end);
  return 0;
}

int hf_part_note_lines(hf_verify_work *work, const hf_span *span, int repaired, hf_error *reterr) {
  hf_verify_tile_text *before = &work->before;
  hf_autobuf text = {0};
  int ignored = 0;
  uint64_t seq = span->first + span->from;
  if (work->shared || (span->in_tile && !span->in_part))
    return HF_OK;
  if (before->tile != hf_tile_of(seq) || (seq - 1) % HF_TILE_RECORDS == 0) {
    hf_buf_clear(&before->text);
    before->tile = hf_tile_of(seq);
    before->count = 0;
    before->known = (seq - 1) % HF_TILE_RECORDS == 0;
  }
  before->known &= (seq - 1) % HF_TILE_RECORDS == before->count && !span->crosses_edge;
  if (repaired && before->known) {
    int is = span->in_part ? HF_NAME_ABSENT
                           : hf_verify_read(work->log_fd, "log", span->name, &text, &ignored,
                                            &ignored, reterr);
    if (is < 0)
      return is;
    before->known = is == HF_NAME_FILE && skip_records(&text, span->count) == text.used;
    if (before->known && hf_buf_add(&before->text, text.data, text.used) != 0)
      return hf_err_nomem(reterr);
  }
  for (size_t i = span->from; i < span->count && before->known && !repaired; i++) {
    const hf_vline *line = &span->lines.line[i];
    before->known = line->whole && !line->rescued;
    if (before->known && (hf_buf_add(&before->text, hf_span_text(span, line), line->bytes) != 0 ||
                          hf_buf_add_char(&before->text, '\n') != 0))
      return hf_err_nomem(reterr);
  }
  before->count = (size_t)((span->first + span->count - 2) % HF_TILE_RECORDS) + 1;
  return HF_OK;
}

int hf_span_read_part(hf_verify_work *work, uint64_t seq, hf_span *span, hf_error *reterr) {
  uint64_t tile = hf_tile_of(seq);
  if (work->tile_fd < 0)
    return 0;
  hf_part_name(tile, span->name);
  hf_span_begin(span, tile * HF_TILE_RECORDS + 1, "tile");
  span->in_tile = span->in_part = 1;
  span->from = (size_t)(seq - span->first);
  int is = hf_verify_read(work->tile_fd, "tile", span->name, &span->text, &span->too_long,
                          &span->unreadable, reterr);
  if (is < 0)
    return is;
  span->is = (hf_kind_of_name)is;
  if (is == HF_NAME_ABSENT)
    return 0;
  span->part_used = hf_part_used(&span->text);
  if (is == HF_NAME_FILE && !span->unreadable && put_before(work, tile, span) != 0)
    return hf_err_nomem(reterr);
  if (is == HF_NAME_FILE && !span->unreadable)
    return measure(work, tile, span) && span->count > span->from;
  span->count = count_by_mark(work, tile);
  if (span->count <= span->from)
    return 0;
  hf_span_lose_all(span, span->unreadable ? "unreadable" : "missing",
                   span->unreadable ? "the disk answers EIO"
                                    : "something that is no file stood in the place of its tile");
  return 1;
}

/* ---- a tile that is being packed ---- */

/* Reads what holds seq beside the tile: a loose file, or the part, up to the next loose one. Its
 * records are the lines *ret_from to *ret_to of the span, whole ones. 1, 0, negative. */
static int read_beside(hf_verify_work *work, uint64_t seq, hf_span *span, size_t *ret_from,
                       size_t *ret_to, hf_error *reterr) {
  size_t next = hf_seqs_find(&work->names, seq);
  int is_loose = next < work->names.count && work->names.at[next] == seq;
  int got = is_loose ? hf_span_read_loose(work, seq, span, reterr)
                     : hf_span_read_part(work, seq, span, reterr);
  if (got < 0)
    return got;
  if ((!is_loose && got == 0) || hf_span_is_damaged(span))
    return 0;
  *ret_from = (size_t)(seq - span->first);
  *ret_to = span->count;
  if (!is_loose && next < work->names.count && work->names.at[next] - span->first < *ret_to)
    *ret_to = (size_t)(work->names.at[next] - span->first);
  return *ret_from < *ret_to;
}

int hf_span_is_being_packed(hf_verify_work *work, const hf_span *tile, hf_error *reterr) {
  size_t at = 0;
  size_t from = 0;
  size_t to = 0;
  int is = !hf_span_is_damaged(tile);
  hf_autofree hf_span *beside = calloc(1, sizeof *beside);
  if (beside == NULL)
    return hf_err_nomem(reterr);
  for (size_t done = 0; is == 1 && done < HF_TILE_RECORDS; done += to - from) {
    is = read_beside(work, tile->first + done, beside, &from, &to, reterr);
    if (is != 1)
      break;
    const hf_vline *last = &beside->lines.line[to - 1];
    size_t begin = beside->lines.line[from].offset;
    size_t bytes = last->offset + last->bytes + 1 - begin;
    is = bytes <= tile->text.used - at &&
         memcmp(beside->text.data + begin, tile->text.data + at, bytes) == 0;
    at += bytes;
  }
  hf_span_free(beside);
  return is;
}
