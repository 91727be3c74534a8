/* Tiles: 256 consecutive records in one file, deterministic, published by a link that never
 * replaces. A tile wins over loose files of the same seq. */
#ifndef HF_CORE_TILE_H
#define HF_CORE_TILE_H

#include "log.h"

enum {
  HF_TILE_NAME_BYTES = 48,
  HF_TILES_PER_FOLDER = 1000,
  /* shared filesystems: how long a name is looked for that gc is putting a new file at, and how
   * long between two looks, at first and at most */
  HF_TILE_ABSENT_MS_MAX = 1000,
  HF_TILE_ABSENT_US = 1000,
  HF_TILE_ABSENT_US_MAX = 50000,
};

/* "000/0.jsonl", below tile/. */
void hf_tile_name(uint64_t tile, char name[HF_TILE_NAME_BYTES]);

static inline uint64_t hf_tile_of(uint64_t seq) {
  return (seq - 1) / HF_TILE_RECORDS;
}

/* The number of full tiles, looked at freshly. */
int hf_tile_mark_length(hf_store *store, uint64_t *ret_tiles, hf_error *reterr);

/* Reads a full tile whole, or, where its name is gone, the form of it that a gc has kept
 * (tile_kept.h). 1; 0: it is not there (shared: nor within HF_TILE_ABSENT_MS_MAX); negative. */
int hf_tile_read(hf_store *store, uint64_t tile, hf_buf *out, hf_error *reterr);

/* The folder that the tile is in, kept open until hf_close; -1: it is not. */
int hf_tile_folder(hf_store *store, uint64_t tile);

/* Opens a full tile to read. -1 and errno: it is not there, or cannot be opened. */
int hf_tile_open(hf_store *store, uint64_t tile);

/* Shared filesystems: keeps a tile that a record is read from for the second time open, beside the
 * opens that read it, for the reason that the marks are kept open for (pin_mark in store.c). Of
 * tiles that share a place the last one is kept. Never read by: a tile may be made anew. */
void hf_tile_pin(hf_store *store, uint64_t tile);

/* At the handle's end. */
void hf_tile_unpin_all(hf_store *store);

/* Does a full tile cover seq by now? 1: covered, its line (without newline) is appended to out. 0:
 * not covered. */
int hf_tile_line_at(hf_store *store, uint64_t seq, hf_buf *out, hf_error *reterr);

/* How many tiles the handle knows to be full, durable and marked: they can be packed. */
uint64_t hf_tiles_settled(hf_store *store);

struct hf_tile_indexes; /* index.h */

enum { HF_TILE_GROUP = 8 }; /* are packed together, at most */

typedef struct hf_tile_packed {
  size_t count;
} hf_tile_packed;

/* Packs a tile and up to most - 1 behind it: builds each, publishes it, compares, extends the
 * marks, compares again, and only then removes the loose names. Needs no lock; any number of
 * processes may pack at once, and may be killed at any instant. No mutex is held while files are
 * read or written. The tile is the first one beyond the mark, and settled; the handle can stage.
 * known (may be NULL) gets what was learned for hf_index_build. 1, with *ret_packed (may be NULL);
 * 0: another packer was faster; negative: HF_EDAMAGED, HF_EVERSION, HF_EIO, HF_ENOMEM; then the
 * records are where they were. */
int hf_tile_pack(hf_store *store, uint64_t tile, size_t most, struct hf_tile_indexes *known,
                 hf_tile_packed *ret_packed, hf_error *reterr);

/* Makes it durable that so many tiles are full, which the mark says already, or which was shown. */
int hf_tile_mark_secure(hf_store *store, uint64_t tiles, hf_error *reterr);

/* Removes the name of a part whose tile counts. */
void hf_tile_free_part(hf_store *store, uint64_t tile);

/* Removes loose names of tiles that count, which a killed packer left. */
int hf_tile_free_leftovers(hf_store *store, uint64_t *ret_freed, hf_error *reterr);

#endif
