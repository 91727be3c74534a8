#include "log_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "err.h"
#include "index_format.h"
#include "log.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum {
  ALONE_RECORDS = 16, /* of its own, behind the last one of others */
  DUE_RECORDS_MAX = 64,
};

enum { /* offsets behind the parts that an index's row has, too (index_format.h) */
       ROW_LINE = HF_INDEX_ROW_BYTES,
       ROW_AFTER,
       ROW_VERSION,
       ROW_CRC = HF_LOG_ROW_BYTES - 4,
       ROW_VERSION_1 = 1
};

/* ---- the bytes ---- */

int hf_log_row_fits(const hf_row *row) {
  return (row->flags & HF_ROW_DAMAGED) == 0 && !row->in_tile && row->line_bytes <= ROW_BYTES_MAX &&
         (row->op == HF_OP_SAVE || row->op == HF_OP_END);
}

/* Of the row, of its place, of its store: the bytes of another one do not check here. */
static uint32_t row_crc(const char *uuid, uint64_t seq, const char *bytes) {
  char place[8];
  hf_index_number_put(place, seq, sizeof place);
  uint32_t crc = hf_crc32c(0, uuid, strlen(uuid));
  crc = hf_crc32c(crc, place, sizeof place);
  return hf_crc32c(crc, bytes, ROW_CRC);
}

void hf_log_row_put(const char *uuid, uint64_t seq, const hf_log_row *row,
                    char bytes[HF_LOG_ROW_BYTES]) {
  hf_row stored = row->row;
  if (stored.op == HF_OP_END) /* it has no group */
    stored.peer_hash = stored.ends_hash;
  memset(bytes, 0, HF_LOG_ROW_BYTES);
  hf_index_row_put(&stored, bytes);
  hf_index_number_put(bytes + ROW_LINE, row->line, 1);
  hf_index_number_put(bytes + ROW_AFTER, row->after, 1);
  hf_index_number_put(bytes + ROW_VERSION, ROW_VERSION_1, 1);
  hf_index_number_put(bytes + ROW_CRC, row_crc(uuid, seq, bytes), 4);
}

int hf_log_row_take(const char *uuid, uint64_t seq, const char bytes[HF_LOG_ROW_BYTES],
                    hf_log_row *ret_row) {
  if (hf_index_number_take(bytes + ROW_VERSION, 1) != ROW_VERSION_1 ||
      (hf_index_number_take(bytes + ROW_CRC, 4) != row_crc(uuid, seq, bytes) &&
       !HF_PLANTED(ROWS_UNCHECKED)))
    return 0;
  hf_row *row = &ret_row->row;
  ret_row->line = (unsigned)hf_index_number_take(bytes + ROW_LINE, 1);
  ret_row->after = (unsigned)hf_index_number_take(bytes + ROW_AFTER, 1);
  if (ret_row->line >= seq)
    return 0;
  hf_index_row_take(bytes, row);
  row->file_first = seq - ret_row->line;
  row->flags |= ret_row->line == 0 ? HF_ROW_FIRST : 0;
  if (row->op == HF_OP_END) {
    row->ends_hash = row->peer_hash;
    row->peer_hash = 0;
  }
  return hf_log_row_fits(row);
}

/* ---- the file ---- */

/* O_DIRECT: a write sends these bytes and no others of their page, too. */
static int rows_flags(const hf_store *store) {
  int fresh = hf_store_fresh_flags(store);
  return fresh != 0 ? fresh : O_DSYNC;
}

void hf_log_rows_open(hf_store *store, int make) {
  struct stat st;
  if (!store->shared || store->rows_fd >= 0)
    return;
  int flags = rows_flags(store);
  store->rows_fd =
      hf_sys_openat(store->log_fd, HF_ROWS_NAME, O_RDWR | flags | (make ? O_CREAT : 0), 0666);
  if (store->rows_fd < 0 && errno != ENOENT) /* no right to write */
    store->rows_fd = hf_sys_openat(store->log_fd, HF_ROWS_NAME, O_RDONLY | flags, 0);
  if (store->rows_fd >= 0 && (hf_sys_fstat(store->rows_fd, &st) != 0 || !S_ISREG(st.st_mode)))
    hf_fd_cleanup(&store->rows_fd);
}

/* The rows of one file of the log; those that do not fit are zeros. Its last seq. */
static uint64_t put_file(const hf_store *store, uint64_t first, char *bytes) {
  const hf_view *view = &store->view;
  uint64_t last = first;
  while (last < view->head && last - first < HF_BATCH_MAX - 1 &&
         (hf_view_row_in_memory(view, last + 1)->flags & HF_ROW_FIRST) == 0)
    last++;
  for (uint64_t seq = first; seq <= last; seq++, bytes += HF_LOG_ROW_BYTES) {
    hf_log_row row = {*hf_view_row_in_memory(view, seq), (unsigned)(seq - first),
                      (unsigned)(last - seq)};
    memset(bytes, 0, HF_LOG_ROW_BYTES);
    if (hf_log_row_fits(&row.row) && row.row.file_first == first)
      hf_log_row_put(store->manifest.uuid, seq, &row, bytes);
  }
  return last;
}

/* From `seq` on, or from where its file begins, to `end`, the last one of a file. */
static void write_rows(hf_store *store, uint64_t seq, uint64_t end) {
  const hf_view *view = &store->view;
  char bytes[2 * HF_BATCH_MAX * HF_LOG_ROW_BYTES];
  if (seq <= view->base)
    seq = view->base + 1;
  while (seq <= end && seq > view->base + 1 &&
         (hf_view_row_in_memory(view, seq)->flags & HF_ROW_FIRST) == 0)
    seq--;
  while (seq <= end) {
    uint64_t first = seq;
    while (seq <= end && seq - first < HF_BATCH_MAX)
      seq = put_file(store, seq, bytes + (seq - first) * HF_LOG_ROW_BYTES) + 1;
    if (hf_sys_pwrite_full(store->rows_fd, bytes, (size_t)(seq - first) * HF_LOG_ROW_BYTES,
                           (off_t)((first - 1) * HF_LOG_ROW_BYTES)) != 0) {
      hf_fd_cleanup(&store->rows_fd); /* full, read-only, stale: others read the records */
      return;
    }
  }
}

void hf_log_rows_write(hf_store *store) {
  uint64_t head = store->view.head;
  if (store->rows_fd < 0)
    return;
  if (store->rows_due == 0 || store->rows_due > store->mark_length + 1)
    store->rows_due = store->mark_length + 1;
  if (head - store->others_seen_at >= ALONE_RECORDS && head - store->rows_due < DUE_RECORDS_MAX)
    return;
  write_rows(store, store->rows_due, head);
  store->rows_due = 0;
}

void hf_log_rows_end(hf_store *store) {
  /* what the view holds behind the mark may not be durable: another record could come there */
  uint64_t end = store->view.head < store->mark_length ? store->view.head : store->mark_length;
  if (store->rows_fd >= 0 && store->rows_due != 0)
    write_rows(store, store->rows_due, end);
  store->rows_due = 0;
}

/* How many rows from i on are those of one whole file. */
static size_t whole_file(const hf_log_row *rows, const char *intact, size_t i, size_t count) {
  size_t lines = (size_t)rows[i].after + 1;
  if (!intact[i] || rows[i].line != 0 || lines > count - i ||
      hf_tile_of(rows[i].row.file_first) != hf_tile_of(rows[i].row.file_first + lines - 1))
    return 0;
  for (size_t k = 1; k < lines; k++)
    if (!intact[i + k] || rows[i + k].line != k || rows[i + k].after != lines - 1 - k)
      return 0;
  return lines;
}

/* Reads rows from `first` on, at most HF_BATCH_MAX. How many are in the file. */
static size_t load(hf_store *store, uint64_t first, size_t wanted, hf_log_row *rows, char *intact) {
  char bytes[HF_BATCH_MAX * HF_LOG_ROW_BYTES];
  ssize_t got = hf_sys_pread_full(store->rows_fd, bytes, wanted * HF_LOG_ROW_BYTES,
                                  (off_t)((first - 1) * HF_LOG_ROW_BYTES));
  if (got < 0) {
    hf_fd_cleanup(&store->rows_fd);
    return 0;
  }
  size_t count = (size_t)got / HF_LOG_ROW_BYTES;
  for (size_t i = 0; i < count; i++)
    intact[i] = (char)hf_log_row_take(store->manifest.uuid, first + i, bytes + i * HF_LOG_ROW_BYTES,
                                      &rows[i]);
  return count;
}

int hf_log_rows_read(hf_store *store, uint64_t marked, uint64_t tiles, uint64_t *gap_end,
                     hf_error *reterr) {
  hf_view *view = &store->view;
  uint64_t first = view->head + 1;
  hf_log_row rows[HF_BATCH_MAX];
  char intact[HF_BATCH_MAX];
  if (store->rows_fd < 0 || first <= *gap_end || marked < first || hf_tile_of(first) < tiles)
    return HF_OK;
  size_t wanted = marked - first < HF_BATCH_MAX ? (size_t)(marked - first) + 1 : HF_BATCH_MAX;
  size_t count = load(store, first, wanted, rows, intact);
  size_t i = 0;
  for (size_t lines; i < count && (lines = whole_file(rows, intact, i, count)) > 0;) {
    if (hf_view_reserve(view, lines) != HF_OK)
      return hf_err_nomem(reterr);
    for (; lines > 0; lines--, i++)
      (void)hf_view_append_row(view, &rows[i].row);
  }
  if (i == 0) { /* the next row that begins a file, or none of these */
    for (i = 1; i < count && !(intact[i] && rows[i].line == 0); i++)
      continue;
    *gap_end = first + (i < count ? i : wanted) - 1;
  }
  return HF_OK;
}
