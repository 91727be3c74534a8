/* Tiles: 256 consecutive records in one file, deterministic, published by a link that never
 * replaces. A tile wins over loose files of the same seq. */
#ifndef HF_CORE_TILE_H
#define HF_CORE_TILE_H

#include "log.h"

enum { HF_TILE_NAME_BYTES = 48, HF_TILES_PER_FOLDER = 1000 };

/* "000/0.jsonl", below tile/. */
void hf_tile_name(uint64_t tile, char name[HF_TILE_NAME_BYTES]);

static inline uint64_t hf_tile_of(uint64_t seq) {
  return (seq - 1) / HF_TILE_RECORDS;
}

/* The number of full tiles, looked at freshly. */
int hf_tile_mark_length(hf_store *store, uint64_t *ret_tiles, hf_error *reterr);

/* Reads a full tile whole. */
int hf_tile_read(hf_store *store, uint64_t tile, hf_buf *out, hf_error *reterr);

/* Does a full tile cover seq by now? 1: covered, its line (without newline) is appended to out. 0:
 * not covered. */
int hf_tile_line_at(hf_store *store, uint64_t seq, hf_buf *out, hf_error *reterr);

/* Packs every tile that the durable log has in full: builds it, publishes it, extends tile/mark,
 * compares, and only then removes the loose names. Needs no lock; any number of processes may pack
 * at once, and may be killed at any instant. *ret_packed: tiles that this call added to the mark.
 */
int hf_tile_pack(hf_store *store, uint64_t *ret_packed, hf_error *reterr);

#endif
