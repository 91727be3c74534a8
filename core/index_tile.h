/* The index of one tile, in memory: made of its lines, in order, by whoever has them decoded. */
#ifndef HF_CORE_INDEX_TILE_H
#define HF_CORE_INDEX_TILE_H

#include "index_write.h"
#include "sys.h"

typedef struct hf_tile_keys {
  hf_index_key key[HF_TILE_RECORDS];
  size_t count;
} hf_tile_keys;

typedef struct hf_tile_index {
  hf_index_header header;
  uint32_t count; /* records, so far */
  hf_row row[HF_TILE_RECORDS];
  hf_tile_keys table[HF_INDEX_TABLES];
  uint64_t tile_bytes;
  uint32_t tile_crc;
} hf_tile_index;

/* All HF_TILE_RECORDS lines are added, each at its offset in the tile, then its text. */
void hf_tile_index_begin(hf_tile_index *index, uint64_t tile);
void hf_tile_index_add(hf_tile_index *index, const hf_line *line, size_t offset, size_t bytes);
void hf_tile_index_end(hf_tile_index *index, const char *text, size_t bytes);

/* All of that, from the tile. 1; 0: it has damage, and gets no index; negative. */
int hf_tile_index_read(hf_store *store, uint64_t tile, hf_tile_index *index, hf_error *reterr);

/* The body of its file; context is the hf_tile_index. */
int hf_tile_index_write(void *context, const hf_index_header *header, hf_index_writer *out);

/* ---- from whoever packs to whoever makes files of them, the same thread ---- */

struct hf_tile_indexes {
  hf_tile_index *index[HF_INDEX_FAN]; /* of tile n at n % HF_INDEX_FAN */
  hf_sys_file file[HF_INDEX_FAN];     /* the tile that it was made of */
};

/* *index is taken over. */
void hf_tile_indexes_put(hf_tile_indexes *all, const hf_sys_file *file, hf_tile_index **index);

/* The caller frees it. NULL: there is none (also where all is NULL), or another file is the tile by
 * now. */
hf_tile_index *hf_tile_indexes_take(hf_tile_indexes *all, hf_store *store, uint64_t tile);

#endif
