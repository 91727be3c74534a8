/* log/rows: each row that checks tells what its record tells. A wrong one could hide a record from
 * those who look it up, so it is damage, though nothing is lost by it: a repair empties the file,
 * and the records are read instead. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "err.h"
#include "log_rows.h"
#include "repair.h"
#include "sys.h"
#include "verify.h"

#include "banned.h"

static const char rows_place[] = "log/" HF_ROWS_NAME;

/* The bytes of a row; NULL: there are none. What cannot be read is no row either. */
static const char *row_bytes(hf_verify_work *work, uint64_t seq) {
  hf_verify_rows *rows = &work->rows;
  uint64_t at = (seq - 1) * HF_LOG_ROW_BYTES;
  if (at < rows->window_at || at + HF_LOG_ROW_BYTES > rows->window_at + rows->window_bytes) {
    hf_autofd int fd = hf_sys_openat(work->log_fd, HF_ROWS_NAME, O_RDONLY, 0);
    ssize_t got = fd < 0 ? -1 : hf_sys_pread_full(fd, rows->window, sizeof rows->window, (off_t)at);
    rows->window_at = at;
    rows->window_bytes = got < 0 ? 0 : (size_t)got;
    if (rows->window_bytes < HF_LOG_ROW_BYTES)
      return NULL;
  }
  return rows->window + (at - rows->window_at);
}

static int is_same(const hf_row *a, const hf_row *b, int dropped) {
  unsigned flags = dropped ? (unsigned)HF_ROW_BLOB : 0; /* gc changes these alone */
  return memcmp(&a->id, &b->id, sizeof a->id) == 0 && a->op == b->op &&
         ((a->flags ^ b->flags) & ~flags) == 0 && a->key_hash == b->key_hash &&
         a->peer_hash == b->peer_hash && a->run_hash == b->run_hash && a->doc_hash == b->doc_hash &&
         a->ends_hash == b->ends_hash && (dropped || a->line_bytes == b->line_bytes);
}

int hf_verify_row(hf_verify_work *work, const hf_span *span, size_t i, hf_error *reterr) {
  const hf_vline *at = &span->lines.line[i];
  uint64_t seq = span->first + i;
  hf_log_row there;
  hf_line line;
  hf_row want;
  if (!work->manifest_good)
    return HF_OK;
  const char *bytes = row_bytes(work, seq);
  if (bytes == NULL || !hf_log_row_take(work->manifest.uuid, seq, bytes, &there))
    return HF_OK;
  int status = hf_line_decode(hf_span_text(span, at), at->bytes, &line, reterr);
  if (status != HF_OK)
    return status;
  hf_place place = {span->first, at->offset, at->bytes, 0, i == 0};
  hf_row_fill(&want, &line, &place);
  if (span->in_tile) /* where files began is not known any more */
    want.flags = (uint8_t)((want.flags & ~HF_ROW_FIRST) | (there.row.flags & HF_ROW_FIRST));
  int same = is_same(&there.row, &want, line.dropped);
  if (same && !span->in_tile)
    same = there.row.file_first == span->first && there.row.offset == at->offset &&
           there.after == span->count - 1 - i;
  if (!same && work->rows.wrong++ == 0)
    work->rows.wrong_first = seq;
  return HF_OK;
}

static int empty(hf_verify_work *work, hf_error *reterr) {
  int status = hf_repair_still_ours(work, reterr);
  if (status != HF_OK)
    return status;
  hf_autofd int fd = hf_sys_openat(work->log_fd, HF_ROWS_NAME, O_WRONLY, 0);
  if (fd < 0 && errno == ENOENT)
    return HF_OK;
  if (fd < 0 || hf_sys->ftruncate(fd, 0) != 0 || hf_sys_close(hf_fd_take(&fd)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, rows_place, "cannot empty it");
  return HF_OK;
}

int hf_verify_rows_say(hf_verify_work *work, hf_error *reterr) {
  unsigned how = HF_SAY_DAMAGE;
  if (work->rows.wrong == 0 && !work->rows.stale)
    return HF_OK;
  if (work->repair != NULL) {
    int status = empty(work, reterr);
    if (status != HF_OK)
      return status;
    how |= HF_SAY_REPAIRED;
    if (work->rows.wrong == 0)
      return HF_OK;
  }
  hf_verify_say(work, how, "rows", work->rows.wrong_first, rows_place,
                "%llu rows tell something else than their records, the first one that of seq %llu; "
                "no record is lost by it, but it may hide some. %s",
                (unsigned long long)work->rows.wrong, (unsigned long long)work->rows.wrong_first,
                work->repair != NULL ? "The file was emptied; the records are read instead"
                                     : "verify --repair empties it");
  return HF_OK;
}
