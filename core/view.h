/* A handle's view of the log: a small row for every record up to its head, in memory, with tables
 * by key, by (group, stage, dims), by id. A view only grows. It is derived: what is answered comes
 * from the records themselves.
 *
 * Not locked: its owner (hf_store.view_mutex) is. */
#ifndef HF_CORE_VIEW_H
#define HF_CORE_VIEW_H

#include <stddef.h>
#include <stdint.h>

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
  uint64_t doc_hash;   /* the first 8 bytes of the document's SHA-256 */
  uint64_t key_before; /* the row before with this key_hash; 0: none */
  uint64_t key_after;  /* the row after; 0: it is the current one */
  uint64_t peer_before;
  uint64_t file_first; /* the loose file's name; its tile follows from the seq */
  uint32_t offset;     /* in that file, or in the tile */
  uint32_t line_bytes;
  uint8_t op; /* hf_op */
  uint8_t flags;
  uint8_t in_tile; /* offset is one in the tile */
} hf_row;

typedef struct hf_view {
  hf_row *rows; /* rows[seq - 1] */
  size_t allocated;
  uint64_t head;
  hf_map by_key;  /* the current revision */
  hf_map by_peer; /* the last one */
  hf_map by_id;
  hf_map by_ended; /* the id that an op "end" names -> that record's seq */
  uint64_t damaged_count;
  uint64_t damaged_first;
  uint64_t mode_seq;                         /* of the last op "mode"; 0: there is none */
  char locker[HF_LOCKER_NAME_BYTES_MAX + 1]; /* that it names */
  uint64_t foreign_mode_seq; /* of an op "mode" whose mode this program does not know; 0: none */
  uint64_t unknown_count;    /* records of a newer version */
  uint64_t unknown_first;
} hf_view;

void hf_view_free(hf_view *view);

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

static inline const hf_row *hf_view_row(const hf_view *view, uint64_t seq) {
  return &view->rows[seq - 1];
}

/* The seq of an id, or 0. Exact: compared with the row. */
uint64_t hf_view_find_id(const hf_view *view, const hf_id *id);

/* The seqs of op "end" records that may name this id: walk with *position = 0, 0 at the end; check
 * the record. */
uint64_t hf_view_find_ended(const hf_view *view, const hf_id *id, size_t *position);

/* The last row with this key_hash at or below `at`, or 0. A hint: check the record. */
uint64_t hf_view_find_key(const hf_view *view, uint64_t key_hash, uint64_t at);

/* The last row with this peer_hash below `below`, or 0. */
uint64_t hf_view_find_peer(const hf_view *view, uint64_t peer_hash, uint64_t below);

#endif
