/* Reading many records in their order: a piece of a tile at once, instead of an open and a read for
 * each. Where the walk jumps, the piece is the record alone.
 *
 * What is in a window may be older than the tile, which a repair or gc may have written anew:
 * records do not change (I2), and each line is checked as ever, by its crc and its id; what does
 * not check is read anew by hf_log_load, which also tells what is wrong.
 *
 * Zero-initialise. Owned by one walk; no mutex is held or needed. */
#ifndef HF_CORE_WINDOW_H
#define HF_CORE_WINDOW_H

#include "store.h"

typedef struct hf_window {
  hf_buf piece;   /* of the tile */
  uint64_t tile;  /* whose bytes these are, if there are any */
  uint64_t begin; /* of the piece, in the tile */
  uint64_t last;  /* where the record that was asked for last begins, in its tile */
  size_t reach;   /* how much is read at once at present */
  hf_buf one;     /* a record that was read alone */
} hf_window;

void hf_window_free(hf_window *window);

/* The record's text and its line, which live until the next call. HF_OK, or as of hf_log_load. */
int hf_window_line(hf_store *store, hf_window *window, uint64_t seq, const hf_row *row,
                   hf_piece *ret_text, hf_line *ret_line, hf_error *reterr);

#endif
