/* Verify: the check of a whole store (hf_verify), and what its parts share. repair.h changes
 * things; nothing here does.
 *
 * Order: the root's entries, the manifest, the names in log/ and tile/, then a walk over the
 * records in the order of their seqs, a span (one file, or one gap) at a time; the marks, the ids,
 * the blobs, what is left in stage/. With
 * --repair the same walk runs under the lock and repairs a span before it goes on to the next.
 *
 * Writers may be at work: names are listed after the mark was read, what they commit meanwhile is
 * not looked at, and before anything is called missing or wrong it is looked at again, tile/mark
 * freshly, as readers do. */
#ifndef HF_CORE_VERIFY_H
#define HF_CORE_VERIFY_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/admin.h>

#include "buf.h"
#include "log.h"
#include "manifest.h"
#include "record.h"
#include "tile.h"
#include "verify_lines.h"

enum {
  /* A gap of more numbers than this is named once and not filled: rather a folder that is not
     mounted than damage. */
  HF_VERIFY_GAP_MAX = 65536,
  /* Files beyond the mark that writers who died one after the other can leave on a shared
     filesystem. */
  HF_VERIFY_BEYOND_MAX = 16,
  HF_VERIFY_TICK_RECORDS = 256,
  HF_VERIFY_PATH_BYTES = 512,
  HF_VERIFY_MARK_WINDOW_BYTES = 4096,
  HF_VERIFY_ROWS_WINDOW_BYTES = 4096,
};

struct hf_repair;

/* A list of numbers, sorted once it is complete. Zero-initialise. */
typedef struct hf_seqs {
  uint64_t *at;
  size_t count;
  size_t allocated;
} hf_seqs;

int hf_seqs_add(hf_seqs *seqs, uint64_t seq, hf_error *reterr);
void hf_seqs_sort(hf_seqs *seqs);
void hf_seqs_remove(hf_seqs *seqs, size_t index);
void hf_seqs_free(hf_seqs *seqs);
/* The index of the first that is at or above seq. */
size_t hf_seqs_find(const hf_seqs *seqs, uint64_t seq);
int hf_seqs_has(const hf_seqs *seqs, uint64_t seq);

/* What stands under a name. */
typedef enum hf_kind_of_name {
  HF_NAME_ABSENT,
  HF_NAME_FILE,
  HF_NAME_FOLDER,
  HF_NAME_LINK, /* a symbolic link: named, never followed */
  HF_NAME_OTHER /* a FIFO, a socket, a device */
} hf_kind_of_name;

typedef struct hf_verify_mark {
  hf_kind_of_name is;
  uint64_t length;
  char window[HF_VERIFY_MARK_WINDOW_BYTES];
  uint64_t window_at;
  size_t window_bytes;
  uint64_t wrong; /* bytes that were not what they should be */
  uint64_t wrong_first;
  uint64_t wrong_zero;   /* of them: zeros, as a power loss leaves them */
  uint64_t tail;         /* bytes behind the last number */
  uint64_t beyond_files; /* of the log behind the mark's end */
} hf_verify_mark;

typedef struct hf_verify_rows {
  char window[HF_VERIFY_ROWS_WINDOW_BYTES];
  uint64_t window_at;
  size_t window_bytes;
  uint64_t wrong; /* rows that tell something else than their records */
  uint64_t wrong_first;
  int stale; /* a file of the log was repaired: its rows may tell what it was */
} hf_verify_rows;

/* An id and the seq at which it stands; HF_ID_ENDED in seq: a record that ends it. */
#define HF_ID_ENDED ((uint64_t)1 << 63)
typedef struct hf_seen_id {
  hf_id id;
  uint64_t seq;
} hf_seen_id;

/* What an op "drop" says. */
typedef struct hf_dropping {
  uint64_t tile;
  uint8_t lines[HF_DROP_BYTES];
} hf_dropping;

/* Indexes that a repair has removed, and what was wrong with them: said when they are made anew. */
typedef struct hf_verify_forgotten {
  int is;
  unsigned how; /* of hf_say */
  char place[HF_ERROR_PLACE_BYTES];
  char why[HF_ERROR_MESSAGE_BYTES];
} hf_verify_forgotten;

/* A snapshot whose blob is gone. */
typedef struct hf_gone {
  uint64_t seq;
  uint8_t sha256[32];
} hf_gone;

/* The lines of the records of a tile that is not full yet, as the log has them so far. */
typedef struct hf_verify_tile_text {
  uint64_t tile;
  size_t count; /* so many, from its first record on */
  int known;    /* 0: one of them is damaged */
  hf_buf text;
} hf_verify_tile_text;

typedef struct hf_verify_work {
  const hf_verify_options *options;
  hf_verify_report *report;
  char *path; /* absolute */
  hf_fs fs;
  int shared;
  int root_fd;
  int stage_fd; /* these: -1 where the folder is absent or is none */
  int log_fd;
  int tile_fd;
  int blob_fd;
  int tally_fd;
  int tile_made;  /* by this repair: its mark is not missed */
  int log_usable; /* log/ and tile/ are there */

  hf_manifest manifest;
  hf_buf manifest_text;
  hf_kind_of_name manifest_is;
  int manifest_good;
  char manifest_why[HF_ERROR_MESSAGE_BYTES];

  hf_seqs names; /* of loose files */
  hf_seqs tiles; /* of tile files */
  hf_verify_mark log_mark;
  hf_verify_tile_text before; /* what stands before the next part's records */
  hf_verify_rows rows;
  hf_verify_forgotten forgotten;
  hf_kind_of_name tile_mark_is;
  uint64_t tile_mark_length;
  uint64_t tile_mark_seen; /* its length, when tiles_count was told from it */
  int tile_mark_too_long;
  uint64_t tiles_count; /* so many tiles are believed */
  uint64_t end;         /* the highest seq of which anything tells */
  uint64_t gap_until;   /* the gap before this seq is known to be narrow */
  uint64_t part_said;   /* the first seq of the part of whose tail was told; 0: none */
  int log_incomplete;   /* some of it could not be read, or is too much to be repaired */

  hf_seqs taken; /* snapshots whose lines have no document any more */
  hf_gone *gone; /* those whose blob is gone */
  size_t gone_count;
  hf_dropping *droppings; /* of the ops "drop" that the walk has met; sorted at its end */
  size_t droppings_count;

  uint64_t mode_seq;                              /* of the last op "mode"; 0: none was seen */
  char mode_locker[HF_LOCKER_NAME_BYTES_MAX + 1]; /* that it names */

  hf_seqs others; /* intact records that are no snapshots: a baseline is none of them */
  hf_seen_id *ids;
  size_t ids_count;
  size_t ids_allocated;

  int64_t again_until_ms; /* the time left to look again */
  int again_begun;
  struct hf_repair *repair; /* NULL: only look */
} hf_verify_work;

/* ---- verify.c, verify_say.c ---- */

enum hf_say { HF_SAY_REMARK = 0, HF_SAY_DAMAGE = 1, HF_SAY_REPAIRED = 2 };

/* Reports a finding. how: of hf_say. */
void hf_verify_say(hf_verify_work *work, unsigned how, const char *kind, uint64_t seq,
                   const char *path, const char *format, ...) __attribute__((format(printf, 6, 7)));

/* Tells the caller how far it is. HF_OK or HF_ECANCELLED. */
int hf_verify_tick(hf_verify_work *work, const char *what, uint64_t done, uint64_t total,
                   hf_error *reterr);

/* Waits a moment before a second look. 1, or 0: the time for that is used up, or a lock is held and
 * nothing can change. */
int hf_verify_wait(hf_verify_work *work, unsigned attempt);

/* HF_NAME_... or a negative status. *ret_bytes and *ret_mtime_s may be NULL. */
int hf_verify_name(int dirfd, const char *name, const char *folder, uint64_t *ret_bytes,
                   int64_t *ret_mtime_s, hf_error *reterr);
const char *hf_verify_name_text(hf_kind_of_name is); /* "a symbolic link" */

/* Something that is not ours stands there: moved away (repair) and named. seq may be 0. */
int hf_verify_foreign(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                      uint64_t seq, const char *what, hf_error *reterr);

/* ---- verify_root.c: the root's entries and the folders; verify_manifest.c ---- */

int hf_verify_root(hf_verify_work *work, hf_error *reterr);
int hf_verify_manifest_read(hf_verify_work *work, hf_error *reterr);
int hf_verify_manifest(hf_verify_work *work, hf_error *reterr);
/* Does it tell the locker that the log tells? Asked once the log was walked through. */
void hf_verify_manifest_locker(hf_verify_work *work);

/* 1 and *ret_manifest, where the text is a manifest with something behind it, or with one flipped
 * bit; ret_text (may be NULL) gets it put right, with the members that nobody knows here. */
int hf_manifest_correct(const char *text, size_t bytes, hf_buf *ret_text,
                        hf_manifest *ret_manifest);

/* Takes what members can be told of a damaged manifest; the others stay "". */
void hf_manifest_salvage(const char *text, size_t bytes, hf_manifest *ret_manifest);

/* ---- verify_names.c: listings of log/, tile/, blob/ and stage/ ---- */

int hf_verify_list_log(hf_verify_work *work, hf_error *reterr);
int hf_verify_list_tiles(hf_verify_work *work, hf_error *reterr);
int hf_verify_list_blobs(hf_verify_work *work, hf_error *reterr);
int hf_verify_list_stage(hf_verify_work *work, hf_error *reterr);

/* ---- verify_mark.c ---- */

/* Looks at log/mark and tile/mark. */
int hf_verify_marks_look(hf_verify_work *work, hf_error *reterr);

/* The mark's byte for a seq; -1: it has none. */
int hf_verify_mark_byte(hf_verify_work *work, uint64_t seq, int *ret_byte, hf_error *reterr);

/* Forgets what was read of the mark, and looks at its length again. */
int hf_verify_mark_again(hf_verify_work *work, hf_error *reterr);

/* Says what is wrong with the marks, once the log was walked through. */
int hf_verify_marks_say(hf_verify_work *work, hf_error *reterr);

/* ---- verify_log.c, verify_span.c ---- */

/* One file of the log, or one that should be there. */
typedef struct hf_span {
  uint64_t first;
  size_t count; /* records that stand in it, or should */
  size_t from;  /* those before were looked at already */
  int in_tile;
  int in_part;      /* of a tile that is not full yet (journal mode) */
  size_t part_used; /* then: its bytes without the space behind them */
  int shifted;      /* and its records do not stand where the lines before them say */
  hf_kind_of_name is;
  int unreadable; /* the disk failed: its text is not known */
  int too_long;
  int crosses_edge;
  char name[HF_TILE_NAME_BYTES];   /* below log/ or tile/ */
  char path[HF_VERIFY_PATH_BYTES]; /* below the store */
  char kept[HF_VERIFY_PATH_BYTES]; /* repair: the copy below the store; "" where nothing was left to
                                      keep */
  hf_buf text;
  hf_buf rescued; /* lines of loose files, for a tile that lost them */
  hf_found found;
  hf_vlines lines;
} hf_span;

static inline const char *hf_span_text(const hf_span *span, const hf_vline *line) {
  return (line->rescued ? span->rescued.data : span->text.data) + line->offset;
}

/* A text for people of what is wrong with record i of a span, and its kind; NULL where nothing is.
 */
const char *hf_span_what(const hf_span *span, size_t i, const char **ret_kind);

/* Reads what stands at first, and decides how many records it has. The span is used again and
 * again. */
int hf_span_read_loose(hf_verify_work *work, uint64_t first, hf_span *span, hf_error *reterr);
int hf_span_read_tile(hf_verify_work *work, uint64_t tile, size_t from, hf_span *span,
                      hf_error *reterr);
/* The bytes of a part without the space behind them. */
size_t hf_part_used(const hf_buf *text);
/* Notes the span's lines, behind which the records of a part may stand; repaired: they are what the
 * file holds now. */
int hf_part_note_lines(hf_verify_work *work, const hf_span *span, int repaired, hf_error *reterr);
/* The part of seq's tile, from seq on. 1; 0: it tells of no such record. */
int hf_span_read_part(hf_verify_work *work, uint64_t seq, hf_span *span, hf_error *reterr);
/* A tile behind tile/mark whose loose files and part still stand there: its packer was ended before
 * it extended the mark, for it frees nothing before. Nothing is wrong then, and they count, where
 * they hold what the tile holds. 1, 0, negative. */
int hf_span_is_being_packed(hf_verify_work *work, const hf_span *tile, hf_error *reterr);
void hf_span_begin(hf_span *span, uint64_t first, const char *folder);
void hf_span_lose_all(hf_span *span, const char *kind, const char *what);
void hf_span_free(hf_span *span);

/* Does it hold anything but its records, whole and at their places? */
int hf_span_is_damaged(const hf_span *span);

/* Names what is wrong with it, and checks each of its records. */
int hf_span_check(hf_verify_work *work, hf_span *span, int repaired, hf_error *reterr);

/* Reads a file of at most HF_LOG_FILE_BYTES_MAX. What stands there (a kind), or negative;
 * *ret_unreadable: EIO. */
int hf_verify_read(int dirfd, const char *folder, const char *name, hf_buf *out, int *ret_too_long,
                   int *ret_unreadable, hf_error *reterr);

int hf_verify_log(hf_verify_work *work, hf_error *reterr);

/* ---- verify_record.c, verify_blob.c, verify_ids.c ---- */

/* Checks an intact record, its document and its blob. */
int hf_verify_record(hf_verify_work *work, uint64_t seq, const char *path, const char *text,
                     size_t bytes, hf_error *reterr);
int hf_verify_blob(hf_verify_work *work, uint64_t seq, const hf_line *line, hf_error *reterr);
int hf_verify_document(hf_verify_work *work, uint64_t seq, const char *path, const hf_line *line,
                       const char *doc, size_t bytes, hf_error *reterr);

int hf_verify_id_add(hf_verify_work *work, const hf_id *id, uint64_t seq, hf_error *reterr);
int hf_verify_ids(hf_verify_work *work, hf_error *reterr);

/* log/rows (verify_rows.c): whether the row of an intact record tells what it tells; and what was
 * found. */
int hf_verify_row(hf_verify_work *work, const hf_span *span, size_t i, hf_error *reterr);
int hf_verify_rows_say(hf_verify_work *work, hf_error *reterr);

/* What gc has dropped (verify_drop.c): a blob that is gone is told of at the end, by
 * hf_verify_drops. */
int hf_verify_drop_gone(hf_verify_work *work, uint64_t seq, const hf_line *line, hf_error *reterr);
int hf_verify_drop_add(hf_verify_work *work, const hf_line *line, hf_error *reterr);
int hf_verify_drops(hf_verify_work *work, hf_error *reterr);
/* Is there such a record about the tile? Asked behind hf_verify_drops. */
int hf_verify_drops_of(const hf_verify_work *work, uint64_t tile);

/* stats/ (verify_tally.c). */
int hf_verify_list_tally(hf_verify_work *work, hf_error *reterr);

/* The indexes (verify_index.c). */
int hf_verify_index(hf_verify_work *work, hf_error *reterr);

#endif
