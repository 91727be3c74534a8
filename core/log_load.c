/* A record's line, from the loose file, the tile or the part that holds it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "log.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"
#include "tile_map.h"

#include "banned.h"

static int read_piece_once(int dirfd, const char *name, int flags, uint32_t offset, uint32_t bytes,
                           hf_buf *out, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(dirfd, name, O_RDONLY | flags, 0);
  if (fd < 0)
    return errno == ENOENT ? 0 : hf_err_sys(reterr, HF_EIO, errno, name, "cannot open");
  if (hf_buf_reserve(out, bytes) != 0)
    return hf_err_nomem(reterr);
  ssize_t got = hf_sys_pread_full(fd, out->data + out->used, bytes, (off_t)offset);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot read");
  if ((size_t)got < bytes)
    return 0;
  out->used += bytes;
  out->data[out->used] = '\0';
  return 1;
}

/* A piece of a file; 1, 0 (no such file, or shorter), negative. A packer on another host may free
 * the name under our hands (ESTALE): looked at again, it is gone. */
static int read_piece(int dirfd, const char *name, int flags, uint32_t offset, uint32_t bytes,
                      hf_buf *out, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  int got = read_piece_once(dirfd, name, flags, offset, bytes, out, &why);
  if (got == HF_EIO && why.sys_errno == ESTALE)
    got = read_piece_once(dirfd, name, flags, offset, bytes, out, &why);
  if (got < 0 && reterr != NULL)
    *reterr = why;
  return got;
}

/* Line i of a whole tile; 0: look for it as in a damaged one. */
static size_t find_line(const hf_buf *text, size_t i, const char **ret_line) {
  const char *line = text->data;
  const char *end;
  for (;; line = end + 1, i--) {
    end = memchr(line, '\n', text->used - (size_t)(line - text->data));
    if (end == NULL)
      return 0;
    if (i == 0)
      break;
  }
  *ret_line = line;
  return (size_t)(end - line);
}

/* Behind the folder's name, where the folder is kept open. */
static const char *inside(const char *name, int kept) {
  return kept ? strchr(name, '/') + 1 : name;
}

/* The row's line from its tile, or in journal mode from the part that becomes the tile: it is not
 * full yet; or was packed between the two looks. */
static int read_row(hf_store *store, int dirfd, int kept, uint64_t seq, const hf_row *row,
                    hf_buf *out, hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  char part[HF_TILE_NAME_BYTES];
  hf_tile_name(hf_tile_of(seq), name);
  int got = read_piece(dirfd, inside(name, kept), 0, row->offset, row->line_bytes, out, reterr);
  if (got == 1)
    hf_tile_pin(store, hf_tile_of(seq));
  if (got != 0)
    return got;
  hf_part_name(hf_tile_of(seq), part);
  got = read_piece(dirfd, inside(part, kept), hf_store_fresh_flags(store), row->offset,
                   row->line_bytes, out, reterr);
  return got != 0
             ? got
             : read_piece(dirfd, inside(name, kept), 0, row->offset, row->line_bytes, out, reterr);
}

static int load_from_tile(hf_store *store, uint64_t seq, const hf_row *row, hf_buf *out,
                          hf_error *reterr) {
  if (row->in_tile) {
    int mapped =
        hf_tile_map_read(store, hf_tile_of(seq), row->offset, row->line_bytes, out, reterr);
    if (mapped != 0)
      return mapped;
    int folder_fd = hf_tile_folder(store, hf_tile_of(seq));
    int got = folder_fd < 0 ? 0 : read_row(store, folder_fd, 1, seq, row, out, reterr);
    /* the folder may have been made anew since it was opened */
    return got != 0 ? got : read_row(store, store->tile_fd, 0, seq, row, out, reterr);
  }
  hf_autobuf text = {0};
  hf_lines lines;
  hf_line line;
  int got = hf_tile_read(store, hf_tile_of(seq), &text, reterr);
  if (got != 1)
    return got;
  hf_tile_pin(store, hf_tile_of(seq));
  size_t i = (size_t)((seq - 1) % HF_TILE_RECORDS);
  const char *at = text.data;
  size_t bytes = text.used > 0 ? find_line(&text, i, &at) : 0;
  if (bytes == 0 || hf_line_decode(at, bytes, &line, NULL) != HF_OK ||
      memcmp(&line.id, &row->id, sizeof line.id) != 0) {
    hf_lines_split(text.data, text.used, HF_TILE_RECORDS, &lines);
    if (!lines.line[i].intact)
      return 0;
    at = text.data + lines.line[i].offset;
    bytes = lines.line[i].bytes;
  }
  return hf_buf_add(out, at, bytes) != 0 ? hf_err_nomem(reterr) : 1;
}

static int load_text(hf_store *store, uint64_t seq, const hf_row *row, hf_buf *out,
                     hf_error *reterr) {
  uint64_t tiles = 0;
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(row->file_first, name);
  int got = 0;
  if (!row->in_tile) {
    got = read_piece(store->log_fd, name, 0, row->offset, row->line_bytes, out, reterr);
    int status = got < 0 ? got : hf_tile_mark_length(store, &tiles, reterr);
    if (status != HF_OK)
      return status;
  }
  if (row->in_tile || (hf_tile_of(seq) < tiles && !(got == 1 && HF_PLANTED(TILE_NOT_PREFERRED)))) {
    hf_buf_clear(out);
    return load_from_tile(store, seq, row, out, reterr);
  }
  if (got == 0 && store->shared) {
    hf_autobuf text = {0};
    got = hf_log_read_loose_again(store, row->file_first, &text, reterr);
    if (got == 1 && (size_t)row->offset + row->line_bytes <= text.used &&
        hf_buf_add(out, text.data + row->offset, row->line_bytes) != 0)
      return hf_err_nomem(reterr);
  }
  return got;
}

int hf_log_load_beginning(hf_store *store, uint64_t seq, const hf_row *row, uint32_t bytes,
                          hf_buf *out, hf_error *reterr) {
  hf_row piece = *row;
  if (piece.line_bytes > bytes)
    piece.line_bytes = bytes;
  return load_text(store, seq, &piece, out, reterr);
}

static int damaged(hf_error *reterr, uint64_t seq, const hf_row *row, const char *what) {
  char place[HF_TILE_NAME_BYTES + 8];
  char name[HF_TILE_NAME_BYTES];
  if (row->in_tile)
    hf_tile_name(hf_tile_of(seq), name);
  else
    hf_log_name(row->file_first, name);
  (void)snprintf(place, sizeof place, "%s/%s", row->in_tile ? "tile" : "log", name);
  return hf_err(reterr, HF_EDAMAGED, place,
                "seq %llu cannot be read (%s); holdfast verify --repair keeps what is left",
                (unsigned long long)seq, what);
}

static int is_record(const hf_buf *text, const hf_row *row, hf_line *ret_line, hf_error *why) {
  if (hf_line_decode(text->data, text->used, ret_line, why) != HF_OK)
    return 0;
  if (memcmp(&ret_line->id, &row->id, sizeof row->id) == 0)
    return 1;
  (void)hf_err(why, HF_EDAMAGED, NULL, "another record stands in its place");
  return 0;
}

int hf_log_load(hf_store *store, uint64_t seq, const hf_row *row, hf_buf *out, hf_line *ret_line,
                hf_error *reterr) {
  if ((row->flags & HF_ROW_DAMAGED) != 0)
    return damaged(reterr, seq, row, "missing, cut short or altered");
  hf_buf_clear(out);
  int got = load_text(store, seq, row, out, reterr);
  if (got < 0)
    return got;
  hf_error why = HF_ERROR_INIT;
  (void)hf_err(&why, HF_EDAMAGED, NULL, "missing or cut short");
  if (got == 1 && is_record(out, row, ret_line, &why))
    return HF_OK;
  /* a tile may have been written anew (gc.c), with other offsets than its index has */
  if (row->in_tile && !HF_PLANTED(TRUST_OFFSET)) {
    hf_tile_unmap(store, hf_tile_of(seq));
    hf_row elsewhere = *row;
    elsewhere.in_tile = 0;
    hf_buf_clear(out);
    got = load_from_tile(store, seq, &elsewhere, out, reterr);
    if (got < 0)
      return got;
    if (got == 1 && is_record(out, row, ret_line, &why))
      return HF_OK;
  }
  if (row->in_tile)
    atomic_store(&store->rows_doubted, 1);
  return damaged(reterr, seq, row, why.message);
}
