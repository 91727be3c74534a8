/* One file of the log, written anew: intact records byte for byte at their places, and where one is
 * lost a record that says so. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "json.h"
#include "plant.h"
#include "repair.h"
#include "sys.h"

#include "banned.h"

static int add_lost(hf_verify_work *work, const hf_span *span, const hf_vline *line, hf_buf *out,
                    hf_error *reterr) {
  char reason[2 * HF_VERIFY_PATH_BYTES];
  char now[HF_RFC3339_BYTES];
  hf_autobuf reason_text = {0};
  hf_autobuf at_text = {0};
  hf_line lost;
  memset(&lost, 0, sizeof lost);
  lost.op = HF_OP_LOST;
  int status = hf_id_make(&lost.id, reterr);
  if (status != HF_OK)
    return status;
  (void)snprintf(reason, sizeof reason, "%s: %s%s%s", line->kind, line->what,
                 span->kept[0] != '\0' ? "; what was left is " : "", span->kept);
  hf_rfc3339_from_us(hf_realtime_us(), now);
  if (hf_json_add_string(&reason_text, reason, strlen(reason)) != 0 ||
      hf_json_add_string(&at_text, now, strlen(now)) != 0)
    return hf_err_nomem(reterr);
  lost.at = hf_piece_of(&at_text);
  lost.reason = hf_piece_of(&reason_text);
  lost.host = (hf_piece){work->repair->host, strlen(work->repair->host)};
  lost.pid = (uint64_t)getpid();
  return hf_line_encode(&lost, out, reterr);
}

/* The records from `from` up to `to`. */
static int build(hf_verify_work *work, const hf_span *span, size_t from, size_t to, hf_buf *out,
                 hf_error *reterr) {
  for (size_t i = from; i < to; i++) {
    const hf_vline *line = &span->lines.line[i];
    int status = HF_OK;
    if (!line->whole)
      status = add_lost(work, span, line, out, reterr);
    else
      (void)hf_buf_add(out, hf_span_text(span, line), line->bytes);
    if (status != HF_OK)
      return status;
    if (hf_buf_add_char(out, '\n') != 0)
      return hf_err_nomem(reterr);
  }
  return HF_OK;
}

/* The part behind the tile's edge goes first: until the first part is cut, readers see the one long
 * file. */
static int place_behind_edge(hf_verify_work *work, const hf_span *span, size_t edge,
                             hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  hf_autobuf text = {0};
  int status = build(work, span, edge, span->count, &text, reterr);
  if (status != HF_OK)
    return status;
  hf_log_name(span->first + edge, name);
  return hf_repair_place(work, work->log_fd, "log", name, &text, reterr);
}

int hf_repair_lock_part(hf_verify_work *work, const hf_span *span, int *ret_fd, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(work->tile_fd, span->name, O_RDWR, 0);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, span->path, "cannot be opened");
  if (hf_sys_flock(fd, LOCK_EX) != 0)
    return errno == EWOULDBLOCK
               ? hf_err(reterr, HF_ELOCK, span->path,
                        "a writer whose lock was broken still holds the current tile; end that "
                        "process, or wait for it, then repair once more")
               : hf_err_sys(reterr, HF_EIO, errno, span->path, "cannot be locked");
  *ret_fd = hf_fd_take(&fd);
  return HF_OK;
}

/* Locks it, and makes sure that nobody has appended to it since it was read. */
static int hold_part(hf_verify_work *work, const hf_span *span, int *ret_fd, hf_error *reterr) {
  hf_autobuf there = {0};
  int too_long = 0;
  int unreadable = 0;
  int status = hf_repair_lock_part(work, span, ret_fd, reterr);
  if (status != HF_OK)
    return status;
  int got = hf_verify_read(work->tile_fd, "tile", span->name, &there, &too_long, &unreadable, NULL);
  if (got == HF_NAME_FILE && !span->unreadable && hf_part_used(&there) != span->part_used)
    return hf_err(reterr, HF_ELOCK, span->path,
                  "a writer whose lock was broken appended to it meanwhile; repair once more");
  return HF_OK;
}

int hf_repair_span(hf_verify_work *work, hf_span *span, hf_error *reterr) {
  const char *folder = span->in_tile ? "tile" : "log";
  int dirfd = span->in_tile ? work->tile_fd : work->log_fd;
  size_t count = span->count;
  hf_autobuf text = {0};
  hf_autofd int held_fd = -1;
  int status = HF_OK;
  if (span->is == HF_NAME_FILE && span->in_part && !work->shared && !HF_PLANTED(REPAIR_HELD_PART))
    status = hold_part(work, span, &held_fd, reterr);
  if (status == HF_OK && span->is == HF_NAME_FILE)
    status = hf_repair_keep(work, dirfd, folder, span->name, 1, span->kept, reterr);
  if (status != HF_OK)
    return status;
  if (span->crosses_edge) {
    count = HF_TILE_RECORDS - (size_t)((span->first - 1) % HF_TILE_RECORDS);
    int placed = place_behind_edge(work, span, count, reterr);
    if (placed != 1)
      return placed;
  }
  status = build(work, span, 0, count, &text, reterr);
  if (status != HF_OK)
    return status;
  if (span->is != HF_NAME_FILE)
    return hf_repair_place(work, dirfd, folder, span->name, &text, reterr);
  status = hf_repair_replace(work, dirfd, folder, span->name, &text, reterr);
  return status == HF_OK ? 1 : status;
}
