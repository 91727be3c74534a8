/* Indexes: immutable files of fixed-size rows over whole tiles, so that a handle need not read the
 * history. index/<level>/<i>.idx covers 16^level tiles. Derived: without them everything works,
 * slower.
 *
 * The file, all numbers little-endian:
 *   header  hf_index_header, 256 bytes, with a CRC of its own and one of all that follows
 *   tiles   for each tile: bytes (8), CRC-32C of the whole file (4), zero (4)
 *   rows    for each record, by seq: id (16), hashes of key, peer, run and document (8 each),
 *           offset in the tile (4), bytes of the line with op in bits 24 to 27 and flags above (4)
 *   five tables of entries, hash (8) and place of the row (4), sorted by both: by key, by peer
 *   (group, stage, dims), by group, by id, by what a record names (hf_line_names in view.h; for an
 *   op "baseline" hf_baseline_hash)
 *   two filters, of the tables by key and by id, in blocks of 64 bytes: 480 bits, lowest first, and
 *   the CRC-32C (4) of the table's number in the highest and the block's in the other bytes of 8
 *   bytes, and of the bits. A hash belongs to block (hash >> 32) * blocks >> 32, and sets six bits:
 *   (w >> 48, w >> 32 & 0xffff, w >> 16 & 0xffff) * 480 >> 16 of w = hash * 0x9e3779b185ebca87 and
 *   of w = hash * 0xc2b2ae3d27d4eb4f (modulo 2^64). Files made before there were filters have none
 *
 * index/mark has a byte for each tile that is indexed. What there is follows from its length: so
 * many whole files of the highest level, then of the one below, and so on. A name that the mark
 * does not tell of is not looked up. A hit is checked against the record (hf_log_load); rows of a
 * tile that cannot be read are never made, so that damage is always met by reading. */
#ifndef HF_CORE_INDEX_H
#define HF_CORE_INDEX_H

#include <holdfast/admin.h>

#include "tile.h"

enum {
  HF_INDEX_FAN = 16,
  HF_INDEX_LEVEL_MAX = 5, /* 2^28 records a file: a place fits into 32 bits */
  HF_INDEX_NAME_BYTES = 48,
  HF_INDEX_HEADER_BYTES = 256,
  HF_INDEX_TILE_BYTES = 16,
  HF_INDEX_ROW_BYTES = 56,
  HF_INDEX_ENTRY_BYTES = 12,
  HF_INDEX_FILTERS = 2, /* by key, by id */
  HF_INDEX_BLOCK_BYTES = 64,
  HF_INDEX_BLOCK_BITS = 480,
  HF_INDEX_BLOCK_ENTRIES = 32, /* 15 bits an entry: one of 500 that is not there looks as if */
};

/* What the header says. */
typedef struct hf_index_header {
  unsigned level;
  uint64_t number;
  uint64_t count;                    /* records */
  uint64_t entries[HF_INDEX_TABLES]; /* of each table */
  uint64_t mode_seq;                 /* of the last op "mode" in it, 0: none; what it names: */
  char locker[HF_LOCKER_NAME_BYTES_MAX + 1];
  int journal;               /* its mode is journal */
  uint64_t foreign_mode_seq; /* as in hf_view */
  uint64_t unknown_count;
  uint64_t unknown_first;
  uint64_t later_count; /* of ops that came later: a program that does not know them finds them
                           counted as unknown, and refuses to write */
  uint64_t later_first;
  uint64_t retire_count; /* as in hf_view. Where one is not 0 the file begins with HFINDEX2: a
                            program that knows neither op reads the records, and refuses to write */
  uint64_t drop_count;
  uint64_t filter_blocks[HF_INDEX_FILTERS]; /* 0: there is none */
  uint32_t body_crc;
} hf_index_header;

typedef struct hf_index {
  hf_index_header header;
  uint64_t first; /* seq of the first row */
  uint64_t rows_at;
  uint64_t tables_at[HF_INDEX_TABLES];
  uint64_t filters_at[HF_INDEX_FILTERS];
  uint64_t bytes;
  const char *map; /* local filesystems; else NULL: read by fd, for a page of a file that another
                      host removed would end the process */
  int fd;
  int dir_fd; /* index/, the store's: gc on another host may put a new file in its place */
} hf_index;

/* "2/15.idx", below index/. */
void hf_index_name(unsigned level, uint64_t number, char name[HF_INDEX_NAME_BYTES]);

/* Records and tiles that a file of this level covers. */
uint64_t hf_index_tiles(unsigned level);

/* The file of this level and number that covers `tile` when `tiles` are indexed in all. */
void hf_index_covering(uint64_t tile, uint64_t tiles, unsigned *ret_level, uint64_t *ret_number);

/* Opens it and checks the header. 1; 0: it is not there or not usable (reterr says why); negative:
 * HF_ENOMEM. */
int hf_index_open(hf_store *store, unsigned level, uint64_t number, hf_index **ret_index,
                  hf_error *reterr);
/* The same, never mapped: who reads all of sixteen files would have all of it in memory. */
int hf_index_open_to_copy(hf_store *store, unsigned level, uint64_t number, hf_index **ret_index,
                          hf_error *reterr);
void hf_index_close(hf_index *index);

/* Is the body what was written? Reads all of it. HF_OK, HF_EDAMAGED, HF_EIO. */
int hf_index_check_body(const hf_index *index, hf_error *reterr);

/* Bytes of the file. HF_OK or HF_EIO. */
int hf_index_read(const hf_index *index, uint64_t offset, void *out, size_t bytes,
                  hf_error *reterr);

/* The row of a seq that the file covers. HF_OK or HF_EIO. */
int hf_index_row(const hf_index *index, uint64_t seq, hf_row *ret_row, hf_error *reterr);

/* Of what tile it was made: its bytes and their CRC-32C. HF_OK or HF_EIO. */
int hf_index_tile(const hf_index *index, uint64_t tile, uint64_t *ret_bytes, uint32_t *ret_crc,
                  hf_error *reterr);

/* 0: the table has no entry with this hash. 1: it may have one. */
int hf_index_may_have(const hf_index *index, hf_index_table table, uint64_t hash);

/* Has what hf_index_may_have will look at brought to the processor; several files' at once. */
void hf_index_prefetch(const hf_index *index, hf_index_table table, uint64_t hash);

/* The last seq below `below` (the first at or above `from`) with this hash. 1, 0: none, HF_EIO. */
int hf_index_last(const hf_index *index, hf_index_table table, uint64_t hash, uint64_t below,
                  uint64_t *ret_seq, hf_error *reterr);
int hf_index_next(const hf_index *index, hf_index_table table, uint64_t hash, uint64_t from,
                  uint64_t *ret_seq, hf_error *reterr);

/* ---- the files that cover records 1 to `records`, by seq ---- */

struct hf_index_set {
  hf_index **file; /* ascending, without a gap */
  size_t count;
  uint64_t records;
};
typedef struct hf_index_set hf_index_set;

void hf_index_set_free(hf_index_set *set);
int hf_index_set_row(const hf_index_set *set, uint64_t seq, hf_row *ret_row, hf_error *reterr);
int hf_index_set_last(const hf_index_set *set, hf_index_table table, uint64_t hash, uint64_t below,
                      uint64_t *ret_seq, hf_error *reterr);
int hf_index_set_next(const hf_index_set *set, hf_index_table table, uint64_t hash, uint64_t from,
                      uint64_t *ret_seq, hf_error *reterr);

/* How many tiles are indexed, by index/mark, looked at freshly; 0 where there is none. */
int hf_index_mark_length(hf_store *store, uint64_t *ret_tiles, hf_error *reterr);

/* The hash of a group's text, for HF_INDEX_BY_GROUP. */
uint64_t hf_index_group_hash(const char *text, size_t bytes);

/* ---- making them ---- */

/* What was learned of tiles while they were packed, so that they need not be read again. All zeros:
 * nothing. One thread's. */
typedef struct hf_tile_indexes hf_tile_indexes;
void hf_tile_indexes_free(hf_tile_indexes *all);

/* Indexes every full tile that is not indexed yet, and merges: 16 files of a level become one of
 * the next. `whole`: only up to the last merge that is due, for which no file of a single tile is
 * made; what follows comes later. known may be NULL. Takes no lock: any number of processes may do
 * it at once, and may be killed at any instant. *ret_built (may be NULL): tiles. HF_EDAMAGED where
 * a tile has damage: it and later ones get no index, and are read instead. */
int hf_index_build(hf_store *store, int whole, hf_tile_indexes *known, uint64_t *ret_built,
                   hf_error *reterr);

/* The same of all tiles, and tells how far it is ("tiles indexed"): before each tile, and now and
 * then within a merge, for one of many tiles takes seconds. HF_ECANCELLED where the answer is not
 * 0: those of *ret_built are indexed. progress may be NULL. */
int hf_index_build_all(hf_store *store, hf_progress_fn progress, void *progress_context,
                       uint64_t *ret_built, hf_error *reterr);

/* Bytes and CRC-32C of a tile. */
typedef struct hf_index_sum {
  uint64_t bytes;
  uint32_t crc;
} hf_index_sum;

/* Makes those files anew that were made of other tiles than these, the first ones of the store,
 * with the same records. Builders, readers and others who renew may be at work. HF_OK, HF_EDAMAGED,
 * HF_EIO, HF_ENOMEM. */
int hf_index_renew(hf_store *store, const hf_index_sum *sums, uint64_t tiles, hf_error *reterr);

/* Takes index/mark away, then every index, then a mark that a builder may have begun meanwhile over
 * what was still there: hf_index_build makes them anew. */
int hf_index_forget(int index_fd, hf_error *reterr);

/* ---- using them ---- */

/* Called with a fresh length of tile/mark, before records are read: the records of indexes that
 * came since the last look leave the view's memory. view_mutex is held. HF_OK also where none can
 * be used; HF_ENOMEM. */
int hf_index_adopt(hf_store *store, uint64_t tiles, hf_error *reterr);

#endif
