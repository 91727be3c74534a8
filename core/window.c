#include "window.h"

#include <fcntl.h>
#include <string.h>

#include "log.h"
#include "part.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum {
  REACH_BYTES_MAX = 256 * 1024, /* stays in the processor's cache */
  NEAR_BYTES = 32 * 1024        /* records further apart than that are read alone */
};

void hf_window_free(hf_window *window) {
  hf_buf_free(&window->piece);
  hf_buf_free(&window->one);
}

static int covers(const hf_window *window, uint64_t tile, const hf_row *row) {
  return window->piece.used > 0 && window->tile == tile && row->offset >= window->begin &&
         row->offset + (uint64_t)row->line_bytes <= window->begin + window->piece.used;
}

/* Is the walk one that comes by most records? Up or down, also into the next tile. */
static int is_near(const hf_window *window, uint64_t tile, const hf_row *row) {
  if (window->tile != tile)
    return window->piece.used > 0 && (window->tile + 1 == tile || window->tile == tile + 1);
  uint64_t apart =
      row->offset > window->last ? row->offset - window->last : window->last - row->offset;
  return apart <= NEAR_BYTES;
}

static int open_tile(const hf_store *store, uint64_t tile) {
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(tile, name);
  int fd = hf_sys_openat(store->tile_fd, name, O_RDONLY, 0);
  if (fd >= 0)
    return fd;
  hf_part_name(tile, name); /* not full yet */
  return hf_sys_openat(store->tile_fd, name, O_RDONLY | hf_store_fresh_flags(store), 0);
}

/* Reads the record and what comes next on the walk. Whatever fails, hf_log_load meets again, and
 * can tell. */
static void fill(hf_store *store, hf_window *window, uint64_t tile, const hf_row *row) {
  int downwards = window->piece.used > 0 &&
                  (window->tile > tile || (window->tile == tile && row->offset < window->last));
  window->reach = is_near(window, tile, row) ? REACH_BYTES_MAX : row->line_bytes;
  uint64_t end = (uint64_t)row->offset + row->line_bytes;
  uint64_t begin = row->offset;
  if (window->reach > row->line_bytes && downwards)
    begin = end > window->reach ? end - window->reach : 0;
  else if (window->reach > row->line_bytes)
    end = begin + window->reach;
  hf_buf_clear(&window->piece);
  window->tile = tile;
  window->begin = begin;
  hf_autofd int fd = open_tile(store, tile);
  if (fd < 0 || hf_buf_reserve(&window->piece, (size_t)(end - begin)) != 0)
    return;
  ssize_t got = hf_sys_pread_full(fd, window->piece.data, (size_t)(end - begin), (off_t)begin);
  if (got > 0)
    window->piece.used = (size_t)got;
  hf_tile_pin(store, tile);
}

int hf_window_line(hf_store *store, hf_window *window, uint64_t seq, const hf_row *row,
                   hf_piece *ret_text, hf_line *ret_line, hf_error *reterr) {
  uint64_t tile = hf_tile_of(seq);
  if (row->in_tile && row->line_bytes > 0 && (row->flags & HF_ROW_DAMAGED) == 0) {
    if (!covers(window, tile, row))
      fill(store, window, tile, row);
    window->last = row->offset;
    hf_piece text = {NULL, row->line_bytes};
    if (covers(window, tile, row)) {
      text.text = window->piece.data + (row->offset - window->begin);
      int is_right = HF_PLANTED(WINDOW_UNCHECKED)
                         ? hf_line_take_apart(text.text, text.bytes, ret_line, NULL) == HF_OK
                         : hf_line_decode(text.text, text.bytes, ret_line, NULL) == HF_OK &&
                               memcmp(&ret_line->id, &row->id, sizeof row->id) == 0;
      *ret_text = text;
      if (is_right)
        return HF_OK;
    }
  }
  int status = hf_log_load(store, seq, row, &window->one, ret_line, reterr);
  *ret_text = hf_piece_of(&window->one);
  return status;
}
