/* The marks, made to agree with the log. log/mark is changed in place: writers have it open. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "plant.h"
#include "repair.h"
#include "sys.h"

#include "banned.h"

static const char log_mark[] = "log/" HF_MARK_NAME;
static const char tile_mark[] = "tile/" HF_MARK_NAME;

static int failed(hf_error *reterr, const char *place, const char *what) {
  return hf_err_sys(reterr, HF_EIO, errno, place, "cannot %s the mark", what);
}

/* A store in journal mode that has not filled a tile has neither names in log/ nor a tile. */
static int has_part(const hf_verify_work *work) {
  char name[HF_TILE_NAME_BYTES];
  struct stat st;
  hf_part_name(0, name);
  return work->tile_fd >= 0 && hf_sys_fstatat(work->tile_fd, name, &st) == 0;
}

/* A mark covers only lines that are durable. A flush of those beyond it may have failed, of which
 * the kernel tells nobody who opens the part now: they are written anew first. */
static int make_part_durable(hf_verify_work *work, const hf_span *span, hf_error *reterr) {
  hf_autofd int fd = -1;
  hf_autobuf text = {0};
  int too_long = 0;
  int unreadable = 0;
  int got = HF_NAME_FILE;
  int status = work->shared ? HF_OK : hf_repair_lock_part(work, span, &fd, reterr);
  if (status != HF_OK)
    return status;
  if (work->shared)
    fd = hf_sys_openat(work->tile_fd, span->name, O_RDONLY, 0);
  else if (!HF_PLANTED(REPAIR_MARKS_UNPROVEN))
    got = hf_verify_read(work->tile_fd, "tile", span->name, &text, &too_long, &unreadable, reterr);
  if (got < 0)
    return got;
  if (fd >= 0 && !too_long && !unreadable &&
      hf_sys_pwrite_full(fd, text.data, hf_part_used(&text), 0) == 0 && hf_sys_fsync(fd) == 0)
    return HF_OK;
  status = hf_err_sys(reterr, HF_EIO, errno, span->name, "cannot make it durable");
  hf_err_place_below(reterr, "tile");
  return status;
}

int hf_repair_marks_begin(hf_verify_work *work, hf_error *reterr) {
  hf_repair *repair = work->repair;
  hf_id id;
  /* A mark covers only names that are durable. */
  int status = hf_dir_fsync(work->log_fd, "log", reterr);
  if (status != HF_OK)
    return status;
  if (work->log_mark.is == HF_NAME_FILE) {
    repair->mark_fd = hf_sys_openat(work->log_fd, HF_MARK_NAME, O_RDWR, 0);
    return repair->mark_fd < 0 ? failed(reterr, log_mark, "open") : HF_OK;
  }
  work->log_mark.length = 0;
  if (work->names.count == 0 && work->tiles.count == 0 && !has_part(work)) {
    work->log_incomplete = 1; /* an empty store, or one that lost everything: nothing tells */
    return HF_OK;
  }
  status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, repair->new_mark);
  repair->mark_fd =
      hf_sys_openat(work->stage_fd, repair->new_mark, O_RDWR | O_CREAT | O_EXCL, 0666);
  return repair->mark_fd < 0 ? failed(reterr, log_mark, "make") : HF_OK;
}

/* A copy, before the first byte that was there is changed. */
static int keep_once(hf_verify_work *work, hf_error *reterr) {
  char kept[HF_VERIFY_PATH_BYTES];
  if (work->repair->mark_kept || work->repair->new_mark[0] != '\0')
    return HF_OK;
  int status = hf_repair_keep(work, work->log_fd, "log", HF_MARK_NAME, 0, kept, reterr);
  work->repair->mark_kept = status == HF_OK;
  return status;
}

static int write_byte(hf_verify_work *work, uint64_t seq, char byte, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  int status = hf_repair_still_ours(work, reterr);
  if (status != HF_OK)
    return status;
  if (hf_sys_pwrite_full(work->repair->mark_fd, &byte, 1, (off_t)(seq - 1)) != 0)
    return failed(reterr, log_mark, "write");
  work->repair->mark_changed = 1;
  if (mark->length < seq)
    mark->length = seq;
  if (seq - 1 >= mark->window_at && seq - 1 < mark->window_at + mark->window_bytes)
    mark->window[seq - 1 - mark->window_at] = byte;
  return HF_OK;
}

int hf_repair_marks_of(hf_verify_work *work, const hf_span *span, hf_error *reterr) {
  hf_verify_mark *mark = &work->log_mark;
  if (span->in_part && work->repair->mark_fd >= 0 && span->first + span->count - 1 > mark->length) {
    int status = make_part_durable(work, span, reterr);
    if (status != HF_OK)
      return status;
  }
  for (size_t i = span->from; i < span->count && work->repair->mark_fd >= 0; i++) {
    uint64_t seq = span->first + i;
    int is_first =
        i == 0 || span->in_part || (span->crosses_edge && (seq - 1) % HF_TILE_RECORDS == 0);
    char want = is_first ? 'f' : '+';
    int byte = -1;
    int status = HF_OK;
    if (seq > mark->length) {
      if (seq != mark->length + 1 || work->log_incomplete)
        break; /* nothing is marked behind a gap */
      status = write_byte(work, seq, want, reterr);
    } else if (work->repair->new_mark[0] == '\0') {
      status = hf_verify_mark_byte(work, seq, &byte, reterr);
      int is_any = span->in_tile && i > 0 && (byte == 'f' || byte == '+');
      if (status == HF_OK && byte != want && !is_any) {
        status = keep_once(work, reterr);
        if (status == HF_OK)
          status = write_byte(work, seq, want, reterr);
      }
    }
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

static int end_log_mark(hf_verify_work *work, hf_error *reterr) {
  hf_repair *repair = work->repair;
  hf_verify_mark *mark = &work->log_mark;
  if (repair->mark_fd < 0 || work->log_incomplete)
    return HF_OK;
  if (mark->length > work->end) {
    int status = keep_once(work, reterr);
    if (status != HF_OK)
      return status;
    if (hf_sys_ftruncate(repair->mark_fd, work->end) != 0)
      return failed(reterr, log_mark, "cut");
    repair->mark_changed = 1;
  }
  if (repair->mark_changed && hf_sys_fsync(repair->mark_fd) != 0)
    return failed(reterr, log_mark, "fsync");
  if (hf_sys_close(hf_fd_take(&repair->mark_fd)) != 0)
    return failed(reterr, log_mark, "close");
  if (repair->new_mark[0] == '\0')
    return HF_OK;
  int placed = hf_repair_publish(work, repair->new_mark, work->log_fd, "log", HF_MARK_NAME, reterr);
  repair->new_mark[0] = '\0';
  if (placed < 0)
    return placed;
  if (placed == 0)
    return hf_err(reterr, HF_EIO, log_mark, "somebody else made it meanwhile; repair once more");
  return hf_dir_fsync(work->log_fd, "log", reterr);
}

static int end_tile_mark(hf_verify_work *work, hf_error *reterr) {
  hf_autobuf text = {0};
  char kept[HF_VERIFY_PATH_BYTES];
  for (uint64_t i = 0; i < work->tiles_count; i++)
    if (hf_buf_add_char(&text, 't') != 0)
      return hf_err_nomem(reterr);
  if (work->tile_mark_is != HF_NAME_FILE) {
    int placed = hf_repair_place(work, work->tile_fd, "tile", HF_MARK_NAME, &text, reterr);
    return placed == 0  ? hf_err(reterr, HF_EIO, tile_mark,
                                 "somebody else made it meanwhile; repair once more")
           : placed < 0 ? placed
                        : HF_OK;
  }
  if (work->tile_mark_length == work->tiles_count)
    return HF_OK;
  int status = hf_repair_keep(work, work->tile_fd, "tile", HF_MARK_NAME, 0, kept, reterr);
  if (status != HF_OK)
    return status;
  hf_autofd int fd = hf_sys_openat(work->tile_fd, HF_MARK_NAME, O_RDWR, 0);
  if (fd < 0)
    return failed(reterr, tile_mark, "open");
  if (work->tile_mark_length > work->tiles_count && hf_sys_ftruncate(fd, work->tiles_count) != 0)
    return failed(reterr, tile_mark, "cut");
  uint64_t from = work->tile_mark_length;
  if (from < work->tiles_count &&
      hf_sys_pwrite_full(fd, text.data + from, text.used - from, (off_t)from) != 0)
    return failed(reterr, tile_mark, "write");
  if (hf_sys_fsync(fd) != 0 || hf_sys_close(hf_fd_take(&fd)) != 0)
    return failed(reterr, tile_mark, "fsync");
  return HF_OK;
}

int hf_repair_marks_end(hf_verify_work *work, hf_error *reterr) {
  int status = hf_repair_still_ours(work, reterr);
  if (status == HF_OK)
    status = end_log_mark(work, reterr);
  return status == HF_OK ? end_tile_mark(work, reterr) : status;
}
