/* A handle's view of the log: a small row for every record up to its head, with tables by key, by
 * (group, stage, dims), by id. The records up to `base` are looked up in index files, the later
 * ones are in memory. A view only grows. It is derived: what is answered comes from the records
 * themselves.
 *
 * Not locked: its owner (hf_store.view_mutex) is. */
#ifndef HF_CORE_VIEW_H
#define HF_CORE_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "index_table.h"
#include "map.h"
#include "record.h"

enum hf_row_flags {
  HF_ROW_FIRST = 1,   /* the first line of its file: 'f' in the mark */
  HF_ROW_DAMAGED = 2, /* cannot be read: only its seq is known */
  HF_ROW_BLOB = 4,
  HF_ROW_GROUPED = 8, /* it has a group */
};

typedef struct hf_row {
  hf_id id;
  uint64_t key_hash;
  uint64_t peer_hash;
  uint64_t run_hash;
  uint64_t doc_hash;    /* the first 8 bytes of the document's SHA-256 */
  uint64_t ends_hash;   /* in memory, of what the record names: hf_line_names */
  uint64_t key_before;  /* in memory: the row before with this key_hash; 0: none there */
  uint64_t key_after;   /* in memory: the row after; 0: it is the current one */
  uint64_t peer_before; /* op "baseline": the baseline before with this peer_hash */
  uint64_t file_first;  /* the loose file's name; its tile follows from the seq */
  uint32_t offset;      /* in that file, or in the tile */
  uint32_t line_bytes;
  uint8_t op; /* hf_op */
  uint8_t flags;
  uint8_t in_tile; /* offset is one in the tile */
} hf_row;

typedef struct hf_view {
  hf_row *rows; /* rows[seq - base - 1] */
  size_t allocated;
  uint64_t head;
  uint64_t base;              /* the records up to it are in `index`, and not in memory */
  struct hf_index_set *index; /* NULL: base is 0 */
  int index_failed;           /* an index could not be read: the next refresh begins anew */
  int stale;                  /* so it does: records beyond the mark may have changed */
  hf_map by_key;              /* the current revision */
  hf_map by_peer;             /* the last one */
  hf_map by_id;
  hf_map by_ended;    /* what a record names (hf_line_names) -> that record's seq */
  hf_map by_baseline; /* a peer_hash -> the last op "baseline" of it */
  uint64_t damaged_count;
  uint64_t damaged_first;
  uint64_t mode_seq;                         /* of the last op "mode"; 0: there is none */
  char locker[HF_LOCKER_NAME_BYTES_MAX + 1]; /* that it names */
  int journal;                               /* its mode is journal */
  uint64_t foreign_mode_seq; /* of an op "mode" whose mode this program does not know; 0: none */
  uint64_t retire_count;     /* of ops "retire"; 0: nothing was ever retired */
  uint64_t drop_count;       /* of ops "drop" */
  uint64_t unknown_count;    /* records of a newer version */
  uint64_t unknown_first;
} hf_view;

void hf_view_free(hf_view *view);

/* Empties a view that is to be read anew. What it was, the first time, is kept in *before until
 * hf_view_settle: others walk over it, and where it cannot be read anew it is put back, stale. */
void hf_view_put_aside(hf_view *view, hf_view *before);
void hf_view_settle(hf_view *view, hf_view *before, int is_read);

/* Where a line stands. */
typedef struct hf_place {
  uint64_t file_first;
  uint32_t offset;
  uint32_t line_bytes;
  int in_tile;
  int first; /* of its file */
} hf_place;

/* Makes room for `more` records, so that appending them cannot fail: a file's records go into the
 * view together or not at all, for there is no file that begins in the midst of another. 0 or
 * HF_ENOMEM. */
int hf_view_reserve(hf_view *view, size_t more);

/* Appends the record head + 1. line NULL: it is damaged. 0 or HF_ENOMEM (the view is as before). */
int hf_view_append(hf_view *view, const hf_line *line, const hf_place *place);

/* Appends head + 1 by its row: of an intact op "save" or "end". 0 or HF_ENOMEM. */
int hf_view_append_row(hf_view *view, const hf_row *row);

/* Fills in a row from a record's parts; line NULL: damaged. */
void hf_row_fill(hf_row *row, const hf_line *line, const hf_place *place);
uint64_t hf_row_id_hash(const hf_id *id);

/* By what a record is found that says something of others: an op "end" by the id that it ends, an
 * op "retire" by the seq, an op "drop" by the tile. 1 and the hash; 0: it names nothing. */
int hf_line_names(const hf_line *line, uint64_t *ret_hash);
uint64_t hf_named_hash(hf_op op, uint64_t number);

/* The records up to `base` leave the memory, for an index has them. 0 or HF_ENOMEM (the view is as
 * before). */
int hf_view_rebase(hf_view *view, uint64_t base);

/* One that is behind `base`. */
static inline const hf_row *hf_view_row_in_memory(const hf_view *view, uint64_t seq) {
  return &view->rows[seq - view->base - 1];
}

/* Each of the following answers 1 (found), 0 (there is none), or HF_EIO where an index cannot be
 * read. hf_view_row answers HF_OK or HF_EIO. */

int hf_view_row(hf_view *view, uint64_t seq, hf_row *ret_row, hf_error *reterr);

/* The seq of an id. Exact: compared with the row. after: no record up to it has the id, for it was
 * there before the id was made (0: not known); an index that covers nothing else is not asked. */
int hf_view_find_id(hf_view *view, const hf_id *id, uint64_t after, uint64_t *ret_seq,
                    hf_error *reterr);

/* The seqs of op "end" records that may name this id, one after the other: walk with {0}; check the
 * record. after: as above, for no record names an id before it was made. */
typedef struct hf_view_walk {
  size_t position;
  uint64_t below;
} hf_view_walk;
int hf_view_find_ended(hf_view *view, const hf_id *id, uint64_t after, hf_view_walk *walk,
                       uint64_t *ret_seq, hf_error *reterr);

/* The last record below `below` that may name this (hf_named_hash). A hint: check the record. */
int hf_view_find_named(hf_view *view, uint64_t hash, uint64_t below, uint64_t *ret_seq,
                       hf_error *reterr);

/* The last row with this key_hash at or below `at`. A hint: check the record. */
int hf_view_find_key(hf_view *view, uint64_t key_hash, uint64_t at, uint64_t *ret_seq,
                     hf_error *reterr);

/* The first row of the same key behind `seq`, whose row it is: both hashes agree, of the key and of
 * the run. */
int hf_view_key_after(hf_view *view, const hf_row *row, uint64_t seq, uint64_t *ret_seq,
                      hf_error *reterr);

/* The last row with this peer_hash below `below`. */
int hf_view_find_peer(hf_view *view, uint64_t peer_hash, uint64_t below, uint64_t *ret_seq,
                      hf_error *reterr);

/* The last op "baseline" of this peer_hash below `below`. A hint: check the record. */
int hf_view_find_baseline(hf_view *view, uint64_t peer_hash, uint64_t below, uint64_t *ret_seq,
                          hf_error *reterr);

/* Where a walk that wants only rows with this hash has to go on from `seq` (upwards, or downwards):
 * at that seq or a later one; what is in memory is not passed over. 1, or 0: downwards, there is
 * none any more. */
int hf_view_skip(hf_view *view, hf_index_table table, uint64_t hash, uint64_t seq, int downwards,
                 uint64_t *ret_seq, hf_error *reterr);

#endif
