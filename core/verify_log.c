/* The walk over the log: span after span, from seq 1 to the highest number of which a name, a tile
 * or a mark tells. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dropped.h"
#include "err.h"
#include "repair.h"
#include "verify.h"

#include "banned.h"

enum { AGAIN_MAX = 16, REPAIR_TRIES_MAX = 4 };

/* ---- how far the log goes ---- */

/* Does a name above everything that marks and tiles tell of belong to the log? If it holds a
 * record; or, where its number is not far from the one before it (`gap`), what may be the rest of
 * one. 1, 0 or negative. */
static int is_record_file(hf_verify_work *work, uint64_t seq, uint64_t gap, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  hf_autobuf text = {0};
  hf_autofree hf_found *found = malloc(sizeof *found);
  int too_long;
  int unreadable;
  if (found == NULL)
    return hf_err_nomem(reterr);
  hf_log_name(seq, name);
  int is = hf_verify_read(work->log_fd, "log", name, &text, &too_long, &unreadable, reterr);
  if (is != HF_NAME_FILE)
    return is < 0 ? is : 0;
  if (unreadable)
    return 1;
  hf_found_scan(text.data, text.used, found);
  if (found->count > 0 || gap > HF_BATCH_MAX)
    return found->count > 0;
  return memmem(text.data, text.used, "{\"v\":", 5) != NULL ||
         memmem(text.data, text.used, ",\"crc\":\"", 8) != NULL;
}

/* A number that the mark tells of needs no content to be believed. */
static int find_end(hf_verify_work *work, hf_error *reterr) {
  uint64_t end = work->tiles_count * HF_TILE_RECORDS;
  size_t i = work->names.count;
  while (i > 0 && work->names.at[i - 1] > end) {
    uint64_t seq = work->names.at[i - 1];
    uint64_t known = i > 1 && work->names.at[i - 2] > end ? work->names.at[i - 2] : end;
    if (known < work->log_mark.length)
      known = work->log_mark.length;
    int is = seq <= known ? 1 : is_record_file(work, seq, seq - known, reterr);
    if (is < 0)
      return is;
    if (is == 1) {
      end = seq;
      break;
    }
    i--;
  }
  work->end = end;
  return HF_OK;
}

/* Do names tell of a number above seq? */
static int is_backed(const hf_verify_work *work, uint64_t seq) {
  return work->log_mark.length >= seq ||
         (work->names.count > 0 && work->names.at[work->names.count - 1] > seq);
}

/* How many tiles are believed: those that tile/mark counts, as far as a tile, the log's mark or a
 * later name bears it out; and whole ones behind it whose loose files or part are gone. */
static int count_tiles(hf_verify_work *work, hf_error *reterr) {
  uint64_t top = work->tiles.count > 0 ? work->tiles.at[work->tiles.count - 1] + 1 : 0;
  uint64_t tiles = work->tile_mark_length;
  work->tile_mark_seen = tiles;
  if (tiles > top) {
    uint64_t by_mark = work->log_mark.length / HF_TILE_RECORDS;
    if (by_mark < tiles && !is_backed(work, tiles * HF_TILE_RECORDS))
      tiles = by_mark > top ? by_mark : top;
    /* a tile that was never there, though its loose files are: the mark is wrong */
    while (tiles > top && hf_seqs_has(&work->names, (tiles - 1) * HF_TILE_RECORDS + 1))
      tiles--;
    work->tile_mark_too_long = tiles < work->tile_mark_length;
  }
  hf_autofree hf_span *span = calloc(1, sizeof *span);
  if (span == NULL)
    return hf_err_nomem(reterr);
  int status = HF_OK;
  while (status == HF_OK && hf_seqs_has(&work->tiles, tiles) &&
         !hf_seqs_has(&work->names, tiles * HF_TILE_RECORDS + 1)) {
    status = hf_span_read_tile(work, tiles, 0, span, reterr);
    if (status != HF_OK || span->is != HF_NAME_FILE || span->unreadable || span->found.count == 0)
      break;
    int is_packing = hf_span_is_being_packed(work, span, reterr);
    if (is_packing != 0) {
      status = is_packing < 0 ? is_packing : HF_OK;
      break;
    }
    tiles++;
  }
  hf_span_free(span);
  work->tiles_count = tiles;
  return status;
}

/* ---- second looks ---- */

/* A shared filesystem may show a mark's new length before its bytes; on a local one at most what
 * was read ahead is old. */
static int look_at_mark_again(hf_verify_work *work, unsigned attempt) {
  if (work->repair != NULL)
    return 0;
  return work->shared ? hf_verify_wait(work, attempt) : attempt == 0;
}

/* A name that should exist is not seen: a packer may have freed it, or this host remembers wrongly.
 * Looks again, and answers 1 where a tile covers it by now. */
static int look_again(hf_verify_work *work, uint64_t seq, hf_span *span, hf_error *reterr) {
  for (unsigned i = 0; i < AGAIN_MAX; i++) {
    int status = hf_verify_mark_again(work, reterr);
    if (status != HF_OK)
      return status;
    if (work->tile_mark_length > work->tile_mark_seen) /* packed meanwhile */
      work->tiles_count = work->tile_mark_seen = work->tile_mark_length;
    if (hf_tile_of(seq) < work->tiles_count)
      return 1;
    status = hf_span_read_loose(work, seq, span, reterr);
    if (status != HF_OK || span->is != HF_NAME_ABSENT)
      return status;
    if (!work->shared || !hf_verify_wait(work, i))
      break;
  }
  return 0;
}

/* Does the mark tell of this number, behind the last one that names tell of? 1, 0 or negative. */
static int mark_tells(hf_verify_work *work, uint64_t seq, hf_error *reterr) {
  int byte = -1;
  for (unsigned i = 0; i < AGAIN_MAX; i++) {
    int status = hf_verify_mark_byte(work, seq, &byte, reterr);
    if (status != HF_OK)
      return status;
    if (byte < 0 || byte == 'f' || byte == '+')
      break;
    if (!look_at_mark_again(work, i))
      break;
    status = hf_verify_mark_again(work, reterr); /* a writer's bytes may appear one by one */
    if (status != HF_OK)
      return status;
  }
  return byte == 'f' || byte == '+';
}

/* ---- one span ---- */

/* A loose file of a packed tile: the tile counts. */
static int say_packed(hf_verify_work *work, const hf_span *span, uint64_t seq, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  char path[HF_VERIFY_PATH_BYTES];
  hf_autobuf text = {0};
  hf_autobuf packed = {0};
  int too_long;
  int unreadable;
  hf_log_name(seq, name);
  (void)snprintf(path, sizeof path, "log/%s", name);
  int is = hf_verify_read(work->log_fd, "log", name, &text, &too_long, &unreadable, reterr);
  if (is < 0 || is == HF_NAME_ABSENT)
    return is < 0 ? is : HF_OK;
  size_t lines = 0;
  for (size_t at = 0; at < text.used; at++)
    lines += text.data[at] == '\n';
  for (size_t i = (size_t)(seq - span->first); i < span->count && lines > 0; i++, lines--) {
    const hf_vline *line = &span->lines.line[i];
    if (!line->whole)
      break;
    (void)hf_buf_add(&packed, hf_span_text(span, line), line->bytes);
    if (hf_buf_add_char(&packed, '\n') != 0)
      return hf_err_nomem(reterr);
  }
  int same = is == HF_NAME_FILE && text.used > 0 &&
             hf_lines_are_forms_of(packed.data, packed.used, text.data, text.used);
  if (same && span->in_part) /* copied there: freed with its tile */
    return HF_OK;
  hf_verify_say(work, HF_SAY_REMARK, same ? "leftover" : "tile", seq, path,
                same ? "its records stand in %s, which counts; a packer was killed before it freed "
                       "the name"
                     : "it differs from %s, which counts; nobody reads it",
                span->path);
  return HF_OK;
}

/* Names inside a span: second files for its numbers. */
static int check_strays(hf_verify_work *work, const hf_span *span, hf_error *reterr) {
  uint64_t last = span->first + span->count - 1;
  size_t i = hf_seqs_find(&work->names, span->in_tile ? span->first : span->first + 1);
  while (i < work->names.count && work->names.at[i] <= last) {
    char name[HF_LOG_NAME_BYTES];
    char what[HF_VERIFY_PATH_BYTES + 64];
    uint64_t seq = work->names.at[i];
    int status;
    if (span->in_tile) {
      status = say_packed(work, span, seq, reterr);
      i++;
    } else {
      hf_log_name(seq, name);
      (void)snprintf(what, sizeof what, "a second file for seq %llu, which stands in %s",
                     (unsigned long long)seq, span->path);
      status = hf_verify_foreign(work, work->log_fd, "log", name, seq, what, reterr);
      if (work->repair != NULL)
        hf_seqs_remove(&work->names, i);
      else
        i++;
    }
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

/* Is this byte of the mark right for record i of a span? */
static int is_right(const hf_span *span, size_t i, int byte) {
  int is_known = byte == 'f' || byte == '+';
  if (byte < 0) /* it has none yet */
    return 1;
  /* where files began inside a tile is not known any more; where one is to be split is not settled
   * yet */
  if ((span->in_tile && i > 0) ||
      (span->crosses_edge && (span->first + i - 1) % HF_TILE_RECORDS == 0))
    return is_known;
  return byte == (i == 0 ? 'f' : '+');
}

static int check_marks(hf_verify_work *work, const hf_span *span, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  if (span->first + span->count - 1 > mark->length)
    mark->beyond_files++;
  for (size_t i = span->from; i < span->count; i++) {
    int byte = -1;
    int right = 0;
    for (unsigned k = 0; k < AGAIN_MAX && !right; k++) {
      int status = hf_verify_mark_byte(work, span->first + i, &byte, reterr);
      if (status != HF_OK)
        return status;
      right = is_right(span, i, byte);
      if (right || !look_at_mark_again(work, k))
        break;
      mark->window_bytes = 0;
    }
    if (right)
      continue;
    if (mark->wrong++ == 0)
      mark->wrong_first = span->first + i;
    mark->wrong_zero += byte == 0;
  }
  return HF_OK;
}

/* Something that is no file stands under the name: it goes to quarantine, then the name is absent.
 */
static int move_strange(hf_verify_work *work, const hf_span *span, hf_error *reterr) {
  char what[128];
  if (span->is == HF_NAME_FILE || span->is == HF_NAME_ABSENT)
    return HF_OK;
  (void)snprintf(what, sizeof what, "%s stands in the place of seq %llu",
                 hf_verify_name_text(span->is), (unsigned long long)span->first);
  return hf_verify_foreign(work, span->in_tile ? work->tile_fd : work->log_fd,
                           span->in_tile ? "tile" : "log", span->name, span->first, what, reterr);
}

static int read_span(hf_verify_work *work, uint64_t seq, hf_span *span, hf_error *reterr) {
  uint64_t tile = hf_tile_of(seq);
  size_t from = (size_t)((seq - 1) % HF_TILE_RECORDS);
  if (tile < work->tiles_count)
    return hf_span_read_tile(work, tile, from, span, reterr);
  int status = hf_span_read_loose(work, seq, span, reterr);
  if (status != HF_OK || span->is != HF_NAME_ABSENT)
    return status;
  status = hf_span_read_part(work, seq, span, reterr);
  if (status != 0)
    return status < 0 ? status : HF_OK;
  status = look_again(work, seq, span, reterr);
  if (status == 1)
    return hf_span_read_tile(work, tile, from, span, reterr);
  return status;
}

/* Reads, repairs, checks. */
static int do_span(hf_verify_work *work, uint64_t seq, hf_span *span, hf_error *reterr) {
  int repaired = 0;
  for (int tries = 0; repaired == 0; tries++) {
    int status = read_span(work, seq, span, reterr);
    if (status == HF_OK)
      status = move_strange(work, span, reterr);
    if (status == HF_OK)
      status = check_strays(work, span, reterr);
    if (status != HF_OK)
      return status;
    if (work->repair == NULL || span->unreadable || !hf_span_is_damaged(span))
      break;
    if (tries == REPAIR_TRIES_MAX)
      return hf_err(reterr, HF_EIO, span->path,
                    "the name exists, and this host cannot read it; repair from another host");
    repaired = hf_repair_span(work, span, reterr);
    work->rows.stale |= repaired > 0;
  }
  if (repaired < 0) { /* what was found is named, though it could not be repaired */
    (void)hf_span_check(work, span, 0, NULL);
    return repaired;
  }
  if (span->unreadable)
    work->log_incomplete = 1;
  int status = hf_span_check(work, span, repaired, reterr);
  if (status == HF_OK)
    status = hf_part_note_lines(work, span, repaired, reterr);
  if (status == HF_OK)
    status = check_marks(work, span, reterr);
  if (status == HF_OK && work->repair != NULL)
    status = hf_repair_marks_of(work, span, reterr);
  return status;
}

/* ---- the walk ---- */

/* The numbers from seq on that nothing holds, up to the next name, the next tile or the mark's end;
 * counted no further than one more than may be missing. */
static int measure_gap(hf_verify_work *work, uint64_t seq, uint64_t *ret_count, hf_error *reterr) {
  uint64_t count = 0;
  size_t i = hf_seqs_find(&work->names, seq);
  if (hf_tile_of(seq) < work->tiles_count) {
    uint64_t tile = hf_tile_of(seq);
    while (tile < work->tiles_count && !hf_seqs_has(&work->tiles, tile) &&
           count <= HF_VERIFY_GAP_MAX) {
      tile++;
      count += HF_TILE_RECORDS;
    }
    *ret_count = count;
    return HF_OK;
  }
  if (i < work->names.count && work->names.at[i] <= work->end) {
    *ret_count = work->names.at[i] - seq;
    return HF_OK;
  }
  while (count <= HF_VERIFY_GAP_MAX) {
    int tells = mark_tells(work, seq + count, reterr);
    if (tells < 0)
      return tells;
    if (tells == 0)
      break;
    count++;
  }
  *ret_count = count;
  return HF_OK;
}

/* 1: the gap at seq is too wide to be filled; it was named, and *ret_next is where the log goes on.
 */
static int skip_gap(hf_verify_work *work, uint64_t seq, uint64_t *ret_next, hf_error *reterr) {
  uint64_t count = 0;
  if (seq < work->gap_until) /* a narrow one, measured before */
    return 0;
  int status = measure_gap(work, seq, &count, reterr);
  if (status != HF_OK || count <= HF_VERIFY_GAP_MAX) {
    work->gap_until = seq + count;
    return status;
  }
  uint64_t next = UINT64_MAX;
  size_t i = hf_seqs_find(&work->names, seq);
  size_t k = hf_seqs_find(&work->tiles, hf_tile_of(seq));
  if (i < work->names.count)
    next = work->names.at[i];
  if (k < work->tiles.count && work->tiles.at[k] * HF_TILE_RECORDS + 1 < next)
    next = work->tiles.at[k] * HF_TILE_RECORDS + 1;
  if (next == UINT64_MAX) /* up to the mark's end */
    next = (work->log_mark.length > work->end ? work->log_mark.length : work->end) + 1;
  work->log_incomplete = 1;
  hf_verify_say(
      work, HF_SAY_DAMAGE, "missing", seq, hf_tile_of(seq) < work->tiles_count ? "tile" : "log",
      "more than %d records are missing from seq %llu on; the next one is seq %llu. So many "
      " are not repaired: put the files back (is a filesystem mounted that should "
      "be?), or, if a file does not belong here, move it away",
      HF_VERIFY_GAP_MAX, (unsigned long long)seq, (unsigned long long)next);
  *ret_next = next;
  return 1;
}

static int is_known(hf_verify_work *work, uint64_t seq, hf_span *span) {
  if (hf_tile_of(seq) < work->tiles_count)
    return hf_seqs_has(&work->tiles, hf_tile_of(seq));
  return hf_seqs_has(&work->names, seq) || hf_span_read_part(work, seq, span, NULL) == 1;
}

/* Is there a record behind the last one that names tell of? The mark tells, or, beyond it, a part.
 */
static int goes_on(hf_verify_work *work, uint64_t seq, hf_span *span, hf_error *reterr) {
  int tells = mark_tells(work, seq, reterr);
  return tells == 0 ? hf_span_read_part(work, seq, span, reterr) : tells;
}

static int walk(hf_verify_work *work, hf_span *span, hf_error *reterr) {
  uint64_t seq = 1;
  uint64_t next_tick = 0;
  for (;;) {
    if (seq > work->end) {
      int tells = goes_on(work, seq, span, reterr);
      if (tells <= 0)
        return tells;
    }
    if (seq >= next_tick) {
      uint64_t total = work->log_mark.length > work->end ? work->log_mark.length : work->end;
      int status = hf_verify_tick(work, "records", seq - 1, total, reterr);
      if (status != HF_OK)
        return status;
      next_tick = seq + HF_VERIFY_TICK_RECORDS;
    }
    int status = is_known(work, seq, span) ? 0 : skip_gap(work, seq, &seq, reterr);
    if (status == 0) {
      status = do_span(work, seq, span, reterr);
      seq = span->first + span->count;
    }
    if (status < 0)
      return status;
    if (work->end < seq - 1)
      work->end = seq - 1;
  }
}

/* Names above the end: what they hold is no record, and nothing tells of their numbers. */
static int say_beyond(hf_verify_work *work, hf_error *reterr) {
  int status = HF_OK;
  size_t i = hf_seqs_find(&work->names, work->end + 1);
  for (; i < work->names.count && status == HF_OK; i++) {
    char name[HF_LOG_NAME_BYTES];
    hf_log_name(work->names.at[i], name);
    status =
        hf_verify_foreign(work, work->log_fd, "log", name, 0,
                          "the name is one of ours, and what stands there is no record", reterr);
  }
  return status;
}

int hf_verify_log(hf_verify_work *work, hf_error *reterr) {
  int status = hf_verify_marks_look(work, reterr);
  if (status == HF_OK)
    status = hf_verify_list_log(work, reterr);
  if (status == HF_OK && work->tile_fd >= 0)
    status = hf_verify_list_tiles(work, reterr);
  if (status == HF_OK)
    status = count_tiles(work, reterr);
  if (status == HF_OK)
    status = find_end(work, reterr);
  if (status == HF_OK && work->repair != NULL)
    status = hf_repair_marks_begin(work, reterr);
  if (status != HF_OK)
    return status;
  hf_autofree hf_span *span = calloc(1, sizeof *span);
  if (span == NULL)
    return hf_err_nomem(reterr);
  status = walk(work, span, reterr);
  hf_span_free(span);
  work->report->head = work->end;
  if (work->log_mark.length > work->end)
    work->log_mark.tail = work->log_mark.length - work->end;
  if (status == HF_OK)
    status = say_beyond(work, reterr);
  return status == HF_OK ? hf_verify_marks_say(work, reterr) : status;
}
