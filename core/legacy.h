/* Import of older indexes (snapshot_index.json) and of what export writes in their form.
 *
 *     find     the index files at or below the given paths                  legacy_find.c
 *     read     each whole; strict JSON, but NaN and Infinity become null    legacy_read.c
 *     entry    run_id, stage, dims, time and older seq of each              legacy_entry.c, _key.c
 *     restore  undo what export did to a document (export_index.h)          legacy_restore.c
 *     order    one order over all files; doubles; what rests on clocks      legacy_order.c
 *     save     leave out what the store has, save the rest in that order    legacy_save.c
 *
 * Nothing is saved before every path was read and every entry was checked.
 *
 * What an entry is. Its members are the truth: run_id, stage, timestamp, snapshot_seq, and with a
 * long key target, view, symbol, attempt_id. Its key is taken apart where a member is missing:
 *
 *     RUN          stage must be a member, else it is an error
 *     RUN:STAGE    split at the last colon; RUN may hold colons
 *     RUN:STAGE:TARGET:VIEW:SYMBOL[:ATTEMPT]
 *                  the long form. It ends in the members target, view and symbol (null is NONE), or
 *                  begins with the members run_id and stage and goes on with 3 or 4 parts
 *
 * Only the long form has dims: target, view, symbol, attempt; none for a symbol that is null or
 * NONE, none for attempt 0. A timestamp that cannot be parsed, and a snapshot_seq that is no whole
 * number, are errors that name file and place: the order may rest on them. A missing timestamp is
 * none.
 *
 * Order. Within a file: entries without a seq are older; they come first, by time (those without a
 * time behind them, in the file's order). Then by seq; equal seqs by time. Several files: each
 * keeps its own order, and they are merged by time, where an entry whose clock went back, or that
 * has none, takes the time of the one before it (the first ones that of the next one; a file
 * without any time comes last). Equal times: the order of the files. A place rests on clocks where
 * the entry has no seq, shares its seq with another, or was merged with other files' entries.
 *
 * "The same snapshot": the same run_id, stage, dims and document. It is imported once, whatever
 * seq, key form or file it stands under, and not at all where any revision in the store, not only
 * the current one, is it. Several documents of one key are revisions in the order above. The
 * record's id is a function of the snapshot: whatever is killed, and however many imports run at
 * once, nothing is doubled. */
#ifndef HF_CORE_LEGACY_H
#define HF_CORE_LEGACY_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/admin.h>

#include "buf.h"
#include "json.h"

#define HF_LEGACY_INDEX_NAME "snapshot_index.json"
#define HF_LEGACY_FILE_BYTES_MAX ((size_t)4 << 30)

enum {
  HF_LEGACY_FILES_MAX = 1 << 20,
  HF_LEGACY_ENTRIES_MAX = 1 << 28,
  HF_LEGACY_ID_GENERATIONS_MAX = 16,            /* attempts of one snapshot that somebody ended */
  HF_LEGACY_BATCH_DOC_BYTES = 32 * 1024 * 1024, /* a batch is closed when its documents have more */
  HF_LEGACY_KEY_PART_BYTES = 16
};

/* First the key's half, then the key's and document's: entries of one key stand together when
 * sorted. */
typedef struct hf_legacy_identity {
  uint8_t key[HF_LEGACY_KEY_PART_BYTES];
  uint8_t snapshot[16];
} hf_legacy_identity;

typedef struct hf_legacy_entry {
  char *strings; /* what the pointers below point into, but for doc */
  hf_dim *dims;
  size_t dims_count;
  const char *run_id;
  const char *stage;
  const char *group; /* NULL: the document's own */
  const char *ts;    /* "": none */
  const char *doc;   /* inside its file's text, or own_doc */
  size_t doc_bytes;
  char *own_doc; /* restored from an export */
  uint64_t seq;  /* the older one */
  int64_t time_us;
  int64_t merge_us; /* legacy_order.c: the time by which files are merged */
  size_t file;
  size_t number; /* in its file, from 0 */
  hf_legacy_identity identity;
  unsigned generation; /* of its id */
  int has_seq;
  int has_time;
  int by_clock;
  int is_double;
  int is_present;
} hf_legacy_entry;

typedef struct hf_legacy_file {
  char *path;
  hf_buf text; /* the index without white space, NaN turned to null */
} hf_legacy_file;

typedef struct hf_legacy_index {
  hf_legacy_file *files;
  size_t files_count;
  size_t files_allocated;
  hf_legacy_entry *entries;
  size_t entries_count;
  size_t entries_allocated;
  hf_legacy_entry **order;       /* all entries, in the order of the import */
  hf_legacy_entry **by_identity; /* all entries but doubles, sorted */
  size_t unique_count;
  uint64_t nan_count;
  uint64_t edited_count; /* exported, and changed since */
} hf_legacy_index;

void hf_legacy_index_free(hf_legacy_index *index);
#define hf_autolegacy __attribute__((cleanup(hf_legacy_index_free))) hf_legacy_index

/* reterr is not NULL in any of these. */

/* Adds the files of one path. A folder is walked (names sorted; symbolic links below it are passed
 * over and told to `log`). */
int hf_legacy_find(hf_legacy_index *index, const char *path, hf_log_fn log, void *log_context,
                   hf_error *reterr);

/* Reads file number `file` and adds its entries. */
int hf_legacy_read(hf_legacy_index *index, size_t file, uint64_t document_bytes_max,
                   hf_error *reterr);

/* "PATH: line 3, column 7" into a buffer of HF_ERROR_PLACE_BYTES; a path that is too long loses its
 * beginning. */
void hf_legacy_place(char *place, const char *path, const char *where);

/* What an entry says of itself, as texts; used == 0: it does not. Reused from entry to entry. */
typedef struct hf_legacy_fields {
  hf_buf key, run_id, stage, timestamp, target, view, symbol, attempt;
  uint8_t stands[8]; /* the member is there, if only as null; same order as above */
  int is_long;       /* the key has the long form */
} hf_legacy_fields;

enum { HF_LEGACY_TARGET = 4, HF_LEGACY_VIEW, HF_LEGACY_SYMBOL, HF_LEGACY_ATTEMPT };

void hf_legacy_fields_clear(hf_legacy_fields *fields);
void hf_legacy_fields_free(hf_legacy_fields *fields);

/* Fills in from fields->key what the members did not say. HF_EDOC (no place) where the stage or
 * run_id cannot be told. */
int hf_legacy_key(hf_legacy_fields *fields, hf_error *reterr);

/* Fills *entry (zeroed, but for file and number) from one entry of an index. Errors have no place
 * yet. */
int hf_legacy_entry_make(const hf_json *name, const hf_json *value, hf_legacy_fields *fields,
                         hf_legacy_entry *entry, uint64_t document_bytes_max, int *ret_edited,
                         hf_error *reterr);
void hf_legacy_entry_free(hf_legacy_entry *entry);

/* The entry's identity, of its key and the SHA-256 of its document. */
int hf_legacy_identify(const hf_key *key, const uint8_t doc_sha256[32], unsigned generation,
                       hf_legacy_identity *ret_identity, hf_error *reterr);

/* What export recorded of an entry. */
typedef struct hf_legacy_export {
  hf_json note;  /* the value of the last member, "holdfast" */
  hf_json group; /* a string, or null */
  hf_json ts;    /* a string, or null */
  hf_json dims;  /* an object */
  int by_clock;
} hf_legacy_export;

/* 1: an export wrote the entry, *ret_export is written. 0: it did not. Negative: its note is
 * damaged. */
int hf_legacy_export_find(const hf_json *entry, hf_legacy_export *ret_export, hf_error *reterr);

/* Appends the document as it was. *ret_edited: 1 where it is not the one that was exported. */
int hf_legacy_restore(const hf_json *entry, const hf_legacy_export *export, hf_buf *out,
                      int *ret_edited, hf_error *reterr);

/* Makes index->order and index->by_identity, marks doubles and what rests on clocks. */
int hf_legacy_sort(hf_legacy_index *index, hf_error *reterr);

/* Orders two identities, for qsort and bsearch. */
int hf_legacy_compare_identity(const hf_legacy_identity *a, const hf_legacy_identity *b);

/* Marks what the store has already. */
int hf_legacy_mark_present(hf_legacy_index *index, hf_store *store, hf_error *reterr);

/* Saves the others in order; counts in report. */
int hf_legacy_save(hf_legacy_index *index, hf_store *store, const hf_import_options *options,
                   hf_import_report *report, hf_error *reterr);

#endif
