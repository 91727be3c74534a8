/* Spans: what one file of the log holds, and what it should hold. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "sys.h"
#include "tile.h"
#include "tile_kept.h"
#include "verify.h"

#include "banned.h"

void hf_span_free(hf_span *span) {
  hf_buf_free(&span->text);
  hf_buf_free(&span->rescued);
}

int hf_verify_read(int dirfd, const char *folder, const char *name, hf_buf *out, int *ret_too_long,
                   int *ret_unreadable, hf_error *reterr) {
  *ret_too_long = *ret_unreadable = 0;
  int is = hf_verify_name(dirfd, name, folder, NULL, NULL, reterr);
  if (is != HF_NAME_FILE)
    return is;
  struct stat st;
  hf_autofd int fd = hf_sys_openat(dirfd, name, O_RDONLY, 0);
  if (fd < 0 && errno == ENOENT)
    return HF_NAME_ABSENT;
  ssize_t got = -1;
  if (fd >= 0 && hf_sys_fstat(fd, &st) == 0) {
    size_t count = HF_LOG_FILE_BYTES_MAX;
    if (st.st_size <= HF_LOG_FILE_BYTES_MAX)
      count = (size_t)st.st_size;
    else
      *ret_too_long = 1;
    if (hf_buf_reserve(out, count) != 0)
      return hf_err_nomem(reterr);
    got = hf_sys_pread_full(fd, out->data + out->used, count, 0);
    if (got < 0 && errno == EIO) { /* the disk has failed here; the rest of the store may be well */
      *ret_unreadable = 1;
      return HF_NAME_FILE;
    }
  }
  if (got < 0) {
    int status = hf_err_sys(reterr, HF_EIO, errno, name, "cannot read");
    hf_err_place_below(reterr, folder);
    return status;
  }
  out->used += (size_t)got;
  out->data[out->used] = '\0';
  return HF_NAME_FILE;
}

void hf_span_begin(hf_span *span, uint64_t first, const char *folder) {
  span->first = first;
  span->count = 1;
  span->from = 0;
  span->crosses_edge = span->in_part = span->shifted = 0;
  span->kept[0] = '\0';
  memset(&span->lines, 0, sizeof span->lines);
  hf_buf_clear(&span->text);
  hf_buf_clear(&span->rescued);
  (void)snprintf(span->path, sizeof span->path, "%s/%s", folder, span->name);
}

/* The name that follows first in log/, as far as it is known. */
static uint64_t room_to_next(const hf_verify_work *work, uint64_t first) {
  size_t i = hf_seqs_find(&work->names, first + 1);
  return i < work->names.count ? work->names.at[i] - first : UINT64_MAX;
}

static size_t room_to_edge(uint64_t first) {
  return HF_TILE_RECORDS - (size_t)((first - 1) % HF_TILE_RECORDS);
}

/* What the mark says of the file that begins at first: so many records; *ret_exact: it says where
 * the next one begins. `seeming`: how many the file seems to have, where a byte of the mark is
 * damaged. */
static int count_by_mark(hf_verify_work *work, uint64_t first, size_t seeming, size_t *ret_count,
                         int *ret_exact, hf_error *reterr) {
  size_t count = 0;
  int byte = '+';
  *ret_exact = 0;
  while (count < HF_BATCH_MAX) {
    int status = hf_verify_mark_byte(work, first + count, &byte, reterr);
    if (status != HF_OK)
      return status;
    int is_ours = count == 0 || byte == '+' || (byte >= 0 && byte != 'f' && count < seeming);
    if (!is_ours || byte < 0)
      break;
    count++;
  }
  *ret_exact = count > 0 && byte == 'f';
  *ret_count = count;
  return HF_OK;
}

/* All that stands in the file is whole: its records count, unless the mark and a name tell
 * otherwise. */
static size_t count_clean(size_t found, size_t by_mark, int exact, uint64_t room) {
  if (found > room) /* a name inside it: the mark decides whose the number is */
    return exact && by_mark == room ? by_mark : found;
  if (found < by_mark && room > found) /* whole records were cut off */
    return by_mark < room ? by_mark : (size_t)room;
  return found;
}

/* Of mark, next name and the file's own bytes two outvote the third. */
static size_t count_damaged(size_t total, size_t by_mark, int exact, uint64_t room, size_t edge) {
  size_t count = exact || by_mark > total ? by_mark : total;
  if (room <= edge && (!exact || (by_mark < room ? total > by_mark : total <= room)))
    count = (size_t)room;
  if (count > edge)
    count = edge;
  return count > 0 ? count : 1;
}

/* The mark tells of more records than are there: do those stand in the part? (Journal mode begins
 * behind loose records.) 1, 0, negative. */
static int part_goes_on(hf_verify_work *work, const hf_span *span, size_t by_mark,
                        hf_error *reterr) {
  if (by_mark <= span->found.count || work->shared)
    return 0;
  hf_autofree hf_span *part = calloc(1, sizeof *part);
  if (part == NULL)
    return hf_err_nomem(reterr);
  int tells = hf_span_read_part(work, span->first + span->found.count, part, reterr);
  hf_span_free(part);
  return tells;
}

static int decide(hf_verify_work *work, hf_span *span, hf_error *reterr) {
  size_t by_mark = 0;
  int exact = 0;
  uint64_t room = room_to_next(work, span->first);
  size_t edge = room_to_edge(span->first);
  size_t total = hf_found_total(&span->found);
  int status = count_by_mark(work, span->first, total, &by_mark, &exact, reterr);
  if (status != HF_OK)
    return status;
  if (span->found.clean && span->found.count > 0) {
    int goes_on = part_goes_on(work, span, by_mark, reterr);
    if (goes_on < 0)
      return goes_on;
    if (goes_on == 1)
      by_mark = span->found.count;
    span->count = count_clean(span->found.count, by_mark, exact, room);
    if (span->found.count > edge && span->count > edge) {
      span->crosses_edge = 1;
    } else if (span->count > edge)
      span->count = edge;
  } else
    span->count = count_damaged(total, by_mark, exact, room, edge);
  if (span->count > HF_BATCH_MAX)
    span->count = HF_BATCH_MAX;
  hf_found_place(span->text.data, &span->found, span->count, &span->lines);
  return HF_OK;
}

void hf_span_lose_all(hf_span *span, const char *kind, const char *what) {
  memset(&span->lines, 0, sizeof span->lines);
  span->lines.count = span->count;
  for (size_t i = 0; i < span->count; i++) {
    span->lines.line[i].kind = kind;
    span->lines.line[i].what = what;
  }
}

/* There is no such file: the mark says how many records of the gap stood in it. */
static int decide_absent(hf_verify_work *work, hf_span *span, hf_error *reterr) {
  uint64_t room = room_to_next(work, span->first);
  size_t max = room_to_edge(span->first);
  size_t count = 1;
  if (max > HF_BATCH_MAX)
    max = HF_BATCH_MAX;
  for (; count < max && count < room; count++) {
    int byte;
    int status = hf_verify_mark_byte(work, span->first + count, &byte, reterr);
    if (status != HF_OK)
      return status;
    if (byte == 'f' || (byte < 0 && room == UINT64_MAX))
      break;
  }
  span->count = count;
  hf_span_lose_all(span, "missing",
                   work->shared ? "its file is gone, as far as this host can see"
                                : "its file is gone");
  return HF_OK;
}

int hf_span_read_loose(hf_verify_work *work, uint64_t first, hf_span *span, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(first, name);
  (void)snprintf(span->name, sizeof span->name, "%s", name);
  hf_span_begin(span, first, "log");
  span->in_tile = 0;
  int is = hf_verify_read(work->log_fd, "log", span->name, &span->text, &span->too_long,
                          &span->unreadable, reterr);
  if (is < 0)
    return is;
  span->is = (hf_kind_of_name)is;
  if (is == HF_NAME_FILE && !span->unreadable) {
    hf_found_scan(span->text.data, span->text.used, &span->found);
    return decide(work, span, reterr);
  }
  int status = decide_absent(work, span, reterr);
  if (status == HF_OK && span->unreadable)
    hf_span_lose_all(span, "unreadable", "the disk answers EIO");
  else if (status == HF_OK && is != HF_NAME_ABSENT)
    hf_span_lose_all(span, "missing", "something that is no file stood in its place");
  return status;
}

/* ---- tiles ---- */

/* The loose file of which a record of this tile could be the rest of. Loose files of a packed tile
 * are left where a packer was killed. What one holds counts where the tile is gone, or where the
 * tile's damaged bytes still name the same id. */
static int rescue_from(hf_verify_work *work, hf_span *span, uint64_t name_seq, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  char id[HF_ID_CHARS + 1];
  hf_autobuf text = {0};
  hf_found found;
  hf_line line;
  int too_long;
  int unreadable;
  hf_log_name(name_seq, name);
  int is = hf_verify_read(work->log_fd, "log", name, &text, &too_long, &unreadable, reterr);
  if (is != HF_NAME_FILE || unreadable)
    return is < 0 ? is : HF_OK;
  hf_found_scan(text.data, text.used, &found);
  for (size_t i = 0; found.clean && i < found.count; i++) {
    size_t at = (size_t)(name_seq - span->first) + i;
    if (at >= span->count || span->lines.line[at].whole)
      continue;
    const char *bytes = text.data + found.line[i].offset;
    if (hf_line_decode(bytes, found.line[i].bytes, &line, NULL) != HF_OK)
      continue;
    hf_id_format(&line.id, id);
    if (span->is == HF_NAME_FILE &&
        memmem(span->text.data, span->text.used, id, HF_ID_CHARS) == NULL)
      continue;
    hf_vline *to = &span->lines.line[at];
    to->offset = (uint32_t)span->rescued.used;
    to->bytes = found.line[i].bytes;
    to->whole = to->rescued = 1;
    if (hf_buf_add(&span->rescued, bytes, to->bytes) != 0)
      return hf_err_nomem(reterr);
  }
  return HF_OK;
}

static int rescue(hf_verify_work *work, hf_span *span, hf_error *reterr) {
  int status = HF_OK;
  for (size_t i = hf_seqs_find(&work->names, span->first);
       i < work->names.count && work->names.at[i] < span->first + HF_TILE_RECORDS &&
       status == HF_OK;
       i++)
    status = rescue_from(work, span, work->names.at[i], reterr);
  return status;
}

/* Its name may be gone for a moment, where gc on another host writes it anew, or for good, where
 * that host lost power: then its old form is kept in stage/ (tile_kept.h). */
static int read_kept(hf_verify_work *work, uint64_t tile, hf_span *span, hf_error *reterr) {
  char kept[HF_TILE_KEPT_BYTES];
  int64_t deadline_ms = hf_deadline_ms(HF_TILE_ABSENT_MS_MAX);
  int is = HF_NAME_ABSENT;
  for (unsigned i = 0; work->shared && is == HF_NAME_ABSENT; i++) {
    if (hf_backoff_sleep(i, HF_TILE_ABSENT_US, HF_TILE_ABSENT_US_MAX, deadline_ms) != 0)
      break;
    is = hf_verify_read(work->tile_fd, "tile", span->name, &span->text, &span->too_long,
                        &span->unreadable, reterr);
  }
  if (is != HF_NAME_ABSENT || work->stage_fd < 0)
    return is;
  int got = hf_tile_kept_read(work->stage_fd, tile, &span->text, kept, reterr);
  if (got < 0)
    return got;
  if (got == 1 && work->repair != NULL)
    (void)hf_tile_put_back(work->stage_fd, work->tile_fd, kept);
  if (got == 1) {
    char path[HF_VERIFY_PATH_BYTES];
    (void)snprintf(path, sizeof path, "stage/%s", kept);
    hf_verify_say(work, HF_SAY_REMARK | (work->repair != NULL ? HF_SAY_REPAIRED : 0U), "tile",
                  span->first, path,
                  work->repair != NULL
                      ? "all that there was of tile/%s, which a gc was writing anew when its host "
                        "stopped; put back"
                      : "all that there is of tile/%s, which a gc was writing anew when its host "
                        "stopped; it is read from here, and whoever writes next puts it back",
                  span->name);
    return HF_NAME_FILE;
  }
  return hf_verify_read(work->tile_fd, "tile", span->name, &span->text, &span->too_long,
                        &span->unreadable, reterr);
}

int hf_span_read_tile(hf_verify_work *work, uint64_t tile, size_t from, hf_span *span,
                      hf_error *reterr) {
  hf_tile_name(tile, span->name);
  hf_span_begin(span, tile * HF_TILE_RECORDS + 1, "tile");
  span->in_tile = 1;
  span->from = from;
  span->count = HF_TILE_RECORDS;
  int is = hf_verify_read(work->tile_fd, "tile", span->name, &span->text, &span->too_long,
                          &span->unreadable, reterr);
  if (is == HF_NAME_ABSENT)
    is = read_kept(work, tile, span, reterr);
  if (is < 0)
    return is;
  span->is = (hf_kind_of_name)is;
  if (is == HF_NAME_FILE && !span->unreadable) {
    hf_found_scan(span->text.data, span->text.used, &span->found);
    hf_found_place(span->text.data, &span->found, span->count, &span->lines);
  } else if (span->unreadable)
    hf_span_lose_all(span, "unreadable", "the disk answers EIO");
  else
    hf_span_lose_all(span, "missing",
                     is == HF_NAME_ABSENT ? "its tile is gone"
                                          : "something that is no file stood in the "
                                            "place of its tile");
  return span->unreadable || !hf_span_is_damaged(span) ? HF_OK : rescue(work, span, reterr);
}

int hf_span_is_damaged(const hf_span *span) {
  if (span->is != HF_NAME_FILE || span->unreadable || span->too_long || span->crosses_edge ||
      span->shifted || !span->found.clean || span->lines.junk || span->lines.extra > 0)
    return 1;
  for (size_t i = 0; i < span->count; i++)
    if (span->lines.line[i].kind != NULL)
      return 1;
  return 0;
}

/* ---- naming ---- */

static unsigned how(int repaired) {
  return HF_SAY_DAMAGE | (repaired ? (unsigned)HF_SAY_REPAIRED : 0U);
}

/* What holds for the file as a whole. */
static void say_file(hf_verify_work *work, const hf_span *span, int repaired) {
  const char *then = repaired ? "its records were written anew, in their order"
                              : "verify --repair writes its records anew, in their order";
  if (span->too_long)
    hf_verify_say(work, how(repaired), "foreign", span->first, span->path,
                  "the file is longer than any of ours can be; %s", then);
  if (span->lines.junk)
    hf_verify_say(work, how(repaired), "foreign", span->first, span->path,
                  "bytes that belong to no record stand in the file; %s", then);
  if (span->lines.extra > 0)
    hf_verify_say(work, how(repaired), "foreign", span->first, span->path,
                  "%zu records too many stand in the file: their numbers are those of other "
                  "files; %s",
                  span->lines.extra, then);
  if (span->crosses_edge)
    hf_verify_say(work, how(repaired), "edge", span->first, span->path,
                  "the file's records lie on both sides of a tile's edge; %s",
                  repaired ? "it was split in two" : "verify --repair splits it in two");
  if (span->shifted)
    hf_verify_say(work, how(repaired), "shifted", span->first + span->from, span->path,
                  "its records do not stand where the lengths of those before them say: a loose "
                  "record of this tile was written anew with another length; %s",
                  then);
  if (span->in_tile && !span->in_part && span->is == HF_NAME_FILE && !span->unreadable &&
      span->found.count + span->found.more != HF_TILE_RECORDS)
    hf_verify_say(work, how(repaired), "tile", 0, span->path,
                  "%zu whole records stand in the tile, and %d must; %s",
                  span->found.count + span->found.more, HF_TILE_RECORDS, then);
}

/* A file that is gone, as one finding: what stood in it is not known any more. */
static void say_absent(hf_verify_work *work, const hf_span *span, int repaired) {
  char range[64];
  size_t rescued = 0;
  uint64_t last = span->first + span->count - 1;
  for (size_t i = 0; i < span->count; i++)
    rescued += span->lines.line[i].rescued;
  if (span->count == 1)
    (void)snprintf(range, sizeof range, "seq %llu", (unsigned long long)last);
  else
    (void)snprintf(range, sizeof range, "seqs %llu to %llu", (unsigned long long)span->first,
                   (unsigned long long)last);
  if (span->unreadable)
    hf_verify_say(work, HF_SAY_DAMAGE, "unreadable", span->first, span->path,
                  "%s cannot be read: the disk answers EIO. Copy the file as far as it goes (as "
                  "ddrescue does), put the copy in its place, and verify again",
                  range);
  else if (rescued > 0)
    hf_verify_say(work, how(repaired), "missing", span->first, span->path,
                  "the tile of %s is gone; %zu of its records stand in loose files, and %s", range,
                  rescued, repaired ? "were put back" : "verify --repair puts them back");
  else
    hf_verify_say(work, how(repaired), "missing", span->first, span->path, "%s: %s; %s", range,
                  span->lines.line[0].what,
                  repaired ? "a record that says so stands there now"
                           : "put the file back from a backup, or let verify --repair put a record "
                             "there that says so");
}

static void say_line(hf_verify_work *work, const hf_span *span, size_t i, int repaired) {
  const hf_vline *line = &span->lines.line[i];
  const char *then = "verify --repair keeps a copy and puts a record in its place that says so";
  char copied[HF_VERIFY_PATH_BYTES + 64];
  if (line->whole)
    then = repaired ? "put right" : "verify --repair puts it right";
  else if (repaired) {
    (void)snprintf(copied, sizeof copied,
                   "a record that says so stands there now; what was left is %s", span->kept);
    then = copied;
  }
  hf_verify_say(work, how(repaired), line->kind, span->first + i, span->path, "%s%s; %s",
                line->what, line->rescued ? " (a loose file still has the record)" : "", then);
}

int hf_span_check(hf_verify_work *work, hf_span *span, int repaired, hf_error *reterr) {
  int one_finding = span->is != HF_NAME_FILE || span->unreadable;
  if (one_finding)
    say_absent(work, span, repaired);
  else if (hf_span_is_damaged(span))
    say_file(work, span, repaired);
  for (size_t i = span->from; i < span->count; i++) {
    const hf_vline *line = &span->lines.line[i];
    if (line->kind != NULL && !one_finding)
      say_line(work, span, i, repaired);
    if (!line->whole)
      continue;
    int status = hf_verify_record(work, span->first + i, span->path, hf_span_text(span, line),
                                  line->bytes, reterr);
    if (status == HF_OK)
      status = hf_verify_row(work, span, i, reterr);
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}
