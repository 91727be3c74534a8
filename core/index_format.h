/* Where things stand in an index file: for index_file.c and index_build.c; log/rows has its rows,
 * too (log_rows.c). */
#ifndef HF_CORE_INDEX_FORMAT_H
#define HF_CORE_INDEX_FORMAT_H

#include "index.h"

#define HF_INDEX_MAGIC "HFINDEX1"
#define HF_INDEX_MAGIC_2 "HFINDEX2" /* of the same length */

enum { /* offsets in the header */
       HEADER_LEVEL = 8,
       HEADER_TILE_RECORDS = 12,
       HEADER_NUMBER = 16,
       HEADER_COUNT = 24,
       HEADER_ENTRIES = 32,
       HEADER_MODE_SEQ = 72,
       HEADER_FOREIGN_MODE_SEQ = 80,
       HEADER_UNKNOWN_COUNT = 88,
       HEADER_UNKNOWN_FIRST = 96,
       HEADER_LOCKER = 104,
       HEADER_JOURNAL = 176,
       HEADER_FILTERS = 184,
       HEADER_LATER_COUNT = 200,
       HEADER_LATER_FIRST = 208,
       HEADER_RETIRES = 216,
       HEADER_DROPS = 224,
       HEADER_BODY_CRC = 248,
       HEADER_CRC = 252
};

enum { /* offsets in a row, and the parts of its last word */
       ROW_KEY = 16,
       ROW_PEER = 24,
       ROW_RUN = 32,
       ROW_DOC = 40,
       ROW_OFFSET = 48,
       ROW_META = 52,
       ROW_BYTES_MAX = 0xffffff,
       ROW_OP_SHIFT = 24,
       ROW_FLAGS_SHIFT = 28,
       ROW_FLAGS = HF_ROW_BLOB | HF_ROW_GROUPED
};

typedef struct hf_index_key {
  uint64_t hash;
  uint32_t place; /* of the row */
} hf_index_key;

static inline int hf_index_key_less(const hf_index_key *a, const hf_index_key *b) {
  return a->hash != b->hash ? a->hash < b->hash : a->place < b->place;
}

/* The lowest byte first. */
void hf_index_number_put(char *at, uint64_t number, size_t bytes);
uint64_t hf_index_number_take(const char *at, size_t bytes);

void hf_index_header_put(const hf_index_header *header, char bytes[HF_INDEX_HEADER_BYTES]);
void hf_index_row_put(const hf_row *row, char bytes[HF_INDEX_ROW_BYTES]);
/* All but where it stands. */
void hf_index_row_take(const char bytes[HF_INDEX_ROW_BYTES], hf_row *ret_row);
void hf_index_entry_put(const hf_index_key *key, char bytes[HF_INDEX_ENTRY_BYTES]);
void hf_index_entry_take(const char bytes[HF_INDEX_ENTRY_BYTES], hf_index_key *ret_key);
void hf_index_tile_put(uint64_t bytes, uint32_t crc, char out[HF_INDEX_TILE_BYTES]);
int hf_index_entry(const hf_index *index, hf_index_table table, uint64_t i, hf_index_key *ret_key,
                   hf_error *reterr);

/* Which filter a table has; -1: none. */
int hf_index_filter_of(hf_index_table table);
/* How many blocks the filter of so many entries has. */
uint64_t hf_index_filter_blocks(uint64_t entries);
/* Fills in header->filter_blocks. */
void hf_index_plan_filters(hf_index_header *header);

/* Fills in from the header where the parts stand. */
void hf_index_lay_out(hf_index *index);

#endif
