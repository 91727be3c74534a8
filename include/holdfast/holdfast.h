/* Holdfast: the record of runs, for users of the library.
 *
 * Many processes, on one host or on many, save JSON snapshots of their runs into one directory, the
 * store. Every save gets the next number of one sequence (the seq: 1, 2, 3 ... without a gap), is
 * durable before it is acknowledged, and is never lost, doubled or reordered, whatever is killed,
 * paused or cut off meanwhile.
 *
 *     hf_init                       once per store
 *     hf_open                       once per process
 *       hf_save, hf_save_batch      write
 *       hf_get, hf_prev, hf_list, hf_history, hf_head      read; readers take no lock
 *       hf_resolve                  after HF_EUNSURE
 *     hf_close
 *
 * What an answer means (I6): HF_OK: saved, durably. HF_EUNSURE: published, but its durability is
 * not confirmed; hf_resolve with hf_error.id settles it. Every other error: not saved, now and
 * later.
 *
 * Threads: one handle may be shared by any number of threads; saves of several threads commit
 * together. Handles in several processes need nothing from each other. fork(): a child that uses
 * its parent's handle gets HF_EFORKED; it may only hf_close it, and must open its own. A handle
 * that saves has a thread of its own at times, which packs (holdfast/admin.h, hf_pack): it blocks
 * every signal, calls no callback, and ends in hf_close.
 *
 * What no program can promise, and this one does not:
 *  - On NFS a save is as durable as the server makes it: an export with "async" may lose
 *    acknowledged saves when the server loses power. docs/FILESYSTEMS.md says which exports keep
 *    the promise.
 *  - flock excludes only processes of one host on GPFS and on NFSv3 without a lock manager. The log
 *    stays correct (the storage decides by a link that never replaces), writers only meet each
 *    other more often.
 *  - Clocks decide nothing: "timestamp" and "at" are shown, never used for order.
 *
 * Strings are UTF-8 and NUL-terminated. The library never prints, never exits, installs no signal
 * handler.
 */
#ifndef HOLDFAST_HOLDFAST_H
#define HOLDFAST_HOLDFAST_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/config.h>
#include <holdfast/error.h>
#include <holdfast/expr.h>
#include <holdfast/locker.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HF_VERSION_MAJOR 0
#define HF_VERSION_MINOR 1
#define HF_VERSION_PATCH 0
#define HF_VERSION "0.1.0"

/* Limits. Each has its own error text; the status is HF_ELIMIT (HF_EINVAL for a character that is
 * not allowed). */
enum {
  HF_RUN_ID_BYTES_MAX = 512,
  HF_STAGE_BYTES_MAX = 128,
  HF_DIMS_MAX = 16,
  HF_DIM_NAME_BYTES_MAX = 64,
  HF_DIM_VALUE_BYTES_MAX = 256,
  HF_GROUP_BYTES_MAX = 1024,
  HF_TIMESTAMP_BYTES_MAX = 64,
  HF_REASON_BYTES_MAX = 1024,
  HF_DOC_NESTING_MAX = 512,
  HF_DOC_BYTES_MAX_DEFAULT = 64 * 1024 * 1024, /* limits.document_bytes_max of the configuration */
  HF_DOC_INLINE_BYTES_MAX = 64 * 1024,         /* longer documents are kept as blobs */
#ifdef HF_TEST_TILE_RECORDS /* only a build for tests, whose stores no other program reads */
  HF_TILE_RECORDS = HF_TEST_TILE_RECORDS,
#else
  HF_TILE_RECORDS = 256,
#endif
  HF_BATCH_MAX = 256, /* records that one commit can hold */
  HF_TIMEOUT_MS_DEFAULT = 30000,
  HF_UUID_CHARS = 36,
  HF_SHA256_CHARS = 64
};

/* The library's version at run time, as "0.1.0". */
HF_API const char *hf_version(void);

/* A library that this process runs with: "libholdfast", "cjson", "libcrypto". The strings are
 * static. */
typedef struct hf_component {
  const char *name;
  const char *version; /* as the library tells it at run time */
} hf_component;

/* Number `index` (0, 1 ...) of them: 1, or 0 past the last. Thread-safe. */
HF_API int hf_component_at(size_t index, hf_component *ret_component);

/* An open store. */
typedef struct hf_store hf_store;

/* ---- making and opening ---------------------------------------------------------------------- */

typedef enum hf_log_level { HF_LOG_DEBUG, HF_LOG_INFO, HF_LOG_WARNING } hf_log_level;

/* What the library has to say beside its answers: a swept leftover, an unknown record. One line,
 * without newline. Called from any thread that uses the handle, never while the library holds a
 * mutex that the callback could need. */
typedef void (*hf_log_fn)(void *context, hf_log_level level, const char *message);

typedef struct hf_init_options {
  const hf_config *config; /* NULL: built-in defaults */
  /* a scheme; NULL or "auto": by the filesystem's type and the configuration */
  const char *locker;
  /* 1: also where the filesystem is not known to be local and no result of hf_doctor_peer is
   * recorded in the folder, or one that does not allow the locker. The manifest keeps that. */
  int force;
  /* "journal", "publish" (docs/PROTOCOL.md tells what they do), or NULL: journal where it may be,
   * with the flock locker on a local filesystem that has hard links, else publish */
  const char *mode;
} hf_init_options;

typedef struct hf_info {
  char uuid[HF_UUID_CHARS + 1];
  /* the effective one: of the last change in the log, else the one that the store was made with */
  char locker[HF_LOCKER_NAME_BYTES_MAX + 1];
  char mode[16];    /* "journal" or "publish"; the effective one, as the locker */
  char publish[16]; /* "link" or "rename" */
  char created[40]; /* RFC 3339 */
  char path[4096];  /* absolute */
  hf_fs fs;
  int forced;      /* 1: hf_init_options.force was needed to make it */
  char peer[1024]; /* the recorded result of hf_doctor_peer, one JSON object; "": none */
} hf_info;

/* Makes a store in the folder `path` (made, with its parents, where it does not exist; an existing
 * folder must be empty). options and ret_info may be NULL. Probes what the filesystem can do.
 * Errors: HF_EEXIST (a store is there), HF_EINVAL (not a folder, not empty), HF_EUNSUPPORTED
 * (neither link nor renameat2 with RENAME_NOREPLACE work here), HF_ECONFIG (the locker is not
 * configured: what to put where; journal mode was asked for where it cannot be; or nothing recorded
 * shows that a store is safe here: run hf_doctor_peer, or force), HF_EIO. A failed or killed
 * hf_init leaves nothing that a second one does not finish. */
HF_API int hf_init(const char *path, const hf_init_options *options, hf_info *ret_info,
                   hf_error *reterr);

typedef struct hf_open_options {
  const hf_config *config;   /* NULL: built-in defaults; must live as long as the handle */
  const char *expected_uuid; /* NULL, or: refuse a store with another uuid (HF_EWRONGSTORE) */
  const char *purpose;       /* shown to whoever asks who holds the lock; NULL: "save" */
  hf_log_fn log;             /* NULL: silence */
  void *log_context;
} hf_open_options;

/* Opens the store in the folder `path`. Takes no lock; needs only the right to read, until the
 * first save. options may be NULL. The caller closes *ret_store.
 * Errors: HF_ENOTSTORE, HF_EVERSION, HF_EWRONGSTORE, HF_EDAMAGED (the manifest), HF_ECONFIG,
 * HF_EUNSUPPORTED, HF_EIO. */
HF_API int hf_open(const char *path, const hf_open_options *options, hf_store **ret_store,
                   hf_error *reterr);

/* Closes *store and sets it to NULL; accepts NULL and a pointer to NULL. No other thread may use it
 * any more. A handle that has saved may pack a tile or two before (holdfast/admin.h, hf_pack). */
HF_API void hf_close(hf_store **store);

/* What the store is. */
HF_API int hf_store_info(hf_store *store, hf_info *ret_info, hf_error *reterr);

/* The nearest folder at or above `start` that holds a store, as an absolute path that the caller
 * frees (free). 1, 0 (none), or negative. */
HF_API int hf_find_store(const char *start, char **ret_path, hf_error *reterr);

/* ---- saving ---------------------------------------------------------------------------------- */

typedef struct hf_dim {
  const char *name;  /* 1 to 64 bytes */
  const char *value; /* 0 to 256 bytes */
} hf_dim;

/* What a save replaces. dims may stand in any order; a name may stand only once. */
typedef struct hf_key {
  const char *run_id; /* 1 to 512 bytes without control characters; never used as a file's name */
  const char *stage;  /* 1 to 128 */
  const hf_dim *dims;
  size_t dims_count;
} hf_key;

typedef enum hf_condition {
  HF_ALWAYS,    /* a new revision where the key exists */
  HF_IF_ABSENT, /* only where the key has no revision yet */
  HF_IF_SEQ     /* only where the key's current revision has the seq `if_seq` (0: no revision) */
} hf_condition;

typedef struct hf_save_request {
  hf_key key;
  /* NULL: the SHA-256 of the canonical JSON of the document's /comparison_group, if any */
  const char *group;
  /* the snapshot's own time (RFC 3339 or Python's isoformat); NULL: now; "": it has none */
  const char *timestamp;
  const char *doc; /* a JSON object; not NUL-terminated */
  size_t doc_bytes;
  hf_condition condition;
  uint64_t if_seq;
  /* a ULID: makes a retry exactly once, whoever makes it. NULL: the library makes one */
  const char *id;
  uint64_t legacy_seq; /* imports: the older seq; 0: none */
  int legacy_clock;    /* imports: 1: this record's place in the order came from a clock */
} hf_save_request;

typedef struct hf_saved {
  hf_status status; /* hf_save_batch: of this one */
  /* 1: a new record. 0: it was there (the same document and group, or the same id) */
  int created;
  uint64_t seq;
  char id[HF_ID_CHARS + 1]; /* of the record that has this seq */
  char sha256[HF_SHA256_CHARS + 1];
} hf_saved;

/* Saves one snapshot. timeout_ms: how long to wait for the lock (negative: HF_TIMEOUT_MS_DEFAULT;
 * 0: ask once). The same document and group again as the key's current revision: its seq, nothing
 * new (asked before the condition; a new record where gc has dropped that one's document).
 * A retired revision is not current: for the conditions, too, it is as if it had not been saved.
 * Errors: HF_EINVAL, HF_EDOC (place: line and column), HF_ELIMIT, HF_ECONFLICT, HF_ELOCK,
 * HF_EBACKEND, HF_EUNSURE, HF_EENDED, HF_EDAMAGED, HF_EIO, HF_ENOMEM: see I6 above. */
HF_API int hf_save(hf_store *store, const hf_save_request *request, int64_t timeout_ms,
                   hf_saved *ret_saved, hf_error *reterr);

/* Saves several, in order, in as few commits as possible. results[i].status tells what became of
 * request i. A request that fails its condition (HF_ECONFLICT) does not stop the others. Any other
 * failure stops (it is not valid, the disk is full ...): those before it are saved all the same,
 * those after it get HF_ECANCELLED (not saved). Returns HF_OK when every request was saved or
 * found, else the first status that is not HF_OK, with reterr for that one. request->id must be
 * NULL here, unless it is derived. */
HF_API int hf_save_batch(hf_store *store, const hf_save_request *requests, size_t count,
                         int64_t timeout_ms, hf_saved *results, hf_error *reterr);

/* What became of the attempt `id`. 1: committed, *ret_seq is its seq. 0: not committed, and never
 * will be (the attempt is ended by a record in the log). Negative: not settled, ask again. */
HF_API int hf_resolve(hf_store *store, const char *id, int64_t timeout_ms, uint64_t *ret_seq,
                      hf_error *reterr);

/* Makes a new ULID, for hf_save_request.id. text gets HF_ID_CHARS + 1 bytes. */
HF_API int hf_make_id(char *text, hf_error *reterr);

/* ---- reading --------------------------------------------------------------------------------- */

/* One record, in one piece of memory. Owned by the caller; the strings live as long as it does. */
typedef struct hf_record {
  uint64_t seq;
  const char *op; /* "save" for a snapshot; "end", "mode", "retire", "drop", "lost" ... */
  const char *id;
  const char *run_id; /* NULL where the op has none, as the following */
  const char *stage;
  const hf_dim *dims; /* sorted by name */
  size_t dims_count;
  const char *group; /* NULL: comparable with nothing */
  const char *ts;    /* NULL: the snapshot has no time of its own */
  const char *at;
  const char *host;
  int64_t pid;
  const char *sha256;
  uint64_t size;   /* of the document, in bytes */
  const char *doc; /* verbatim, NUL-terminated; NULL where it was not asked for */
  size_t doc_bytes;
  uint64_t legacy_seq; /* 0: none */
  int legacy_clock;
  int is_current;   /* 1: the key's current revision as of the seq that was asked for */
  uint64_t retired; /* the seq of the record that hides it (hf_retire); 0: it is not hidden */
  uint64_t dropped; /* of the one by which gc dropped its document (hf_gc); 0: it is there */
  const char *line; /* the record as it is stored, without newline */
  size_t line_bytes;
} hf_record;

/* Frees *record and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_record_free(hf_record **record);

/* Envelope and document as one JSON object, beginning with "seq", without "crc". The caller frees
 * *ret_text (free); it is NUL-terminated. */
HF_API int hf_record_json(const hf_record *record, char **ret_text, size_t *ret_bytes,
                          hf_error *reterr);

/* The highest seq; 0 when the store is empty. */
HF_API int hf_head(hf_store *store, uint64_t *ret_head, hf_error *reterr);

/* The record with this seq, whatever its op, with its document, retired or not. 1, 0 (no such seq),
 * or negative: HF_EDAMAGED where the record, or its blob, cannot be read; HF_EDROPPED where gc has
 * dropped the document (hf_list shows the envelope), as the following do. */
HF_API int hf_get_seq(hf_store *store, uint64_t seq, hf_record **ret_record, hf_error *reterr);

/* The key's current revision as of seq `at` (0: now): the highest one that was not retired then. 1,
 * 0 or negative. */
HF_API int hf_get(hf_store *store, const hf_key *key, uint64_t at, hf_record **ret_record,
                  hf_error *reterr);

/* Records that cannot be read, so that nobody can tell what they were. */
typedef struct hf_unread {
  uint64_t count;
  uint64_t last_seq; /* the highest of them; 0: there is none */
} hf_unread;

/* The same, and which records that cannot be read may have been a later revision: those behind the
 * answer (0: from the first one on), up to `at`. hf_verify tells what happened to them. *ret_unread
 * is written with 1 and with 0, and may be NULL. */
HF_API int hf_get_find(hf_store *store, const hf_key *key, uint64_t at, hf_record **ret_record,
                       hf_unread *ret_unread, hf_error *reterr);

/* The previous comparable snapshot: the highest seq below `seq` with the same group, stage and dims
 * and another run_id. Every revision counts, but none that is retired. 1, 0 (there is none, or the
 * snapshot has no group),
 * HF_ENOTFOUND: `seq` is no snapshot. */
HF_API int hf_prev_seq(hf_store *store, uint64_t seq, hf_record **ret_record, hf_error *reterr);

/* The same for a key's current revision. With group not NULL: as if the key had that group; where
 * the key has no revision in that group yet, everything saved so far is looked at. HF_ENOTFOUND: no
 * such key, and no group was given. */
HF_API int hf_prev(hf_store *store, const hf_key *key, const char *group, hf_record **ret_record,
                   hf_error *reterr);

/* Whose previous snapshot is asked for: that of a key (with or without a group, as in hf_prev), or,
 * with key NULL, of a seq. */
typedef struct hf_prev_query {
  const hf_key *key;
  const char *group;
  uint64_t seq;
} hf_prev_query;

/* The same as both, and which records were passed over because they cannot be read: those between
 * the answer (0: from the first one on) and the snapshot. Each may have been the previous one;
 * hf_verify tells what happened to it. *ret_unread is written with 1 and with 0, and may be NULL.
 * (A damaged record that is known to be the previous one, by an index, is HF_EDAMAGED, here and
 * above.) As all reading calls it may be made by several threads at once. */
HF_API int hf_prev_find(hf_store *store, const hf_prev_query *query, hf_record **ret_record,
                        hf_unread *ret_unread, hf_error *reterr);

typedef struct hf_list_options {
  const char *run_id; /* NULL: any, as the following */
  const char *stage;
  const char *group;
  const hf_dim *dims; /* each of them must be there; others may */
  size_t dims_count;
  uint64_t since; /* the lowest seq; 0: from the first */
  uint64_t until; /* the highest seq; 0: to the head. Revisions are current as of this seq */
  uint64_t limit; /* at most so many; 0: all */
  int reverse;
  int all_revisions;  /* older revisions too */
  int all_records;    /* records that are no snapshots too (implies all_revisions and retired) */
  int with_documents; /* else hf_record.doc is NULL, as it is where gc has dropped the document */
  int retired;        /* retired ones too (hf_record.retired says which) */
  const char *host;   /* NULL: any */
  /* the snapshot's own time (where it has none: when it was saved) must be this one or later, and
   * earlier than that one: timestamps as of hf_save_request; NULL: no bound. A time without a zone
   * is taken as UTC, here and there. */
  const char *after;
  const char *before;
  /* NULL: all; must live as long as the cursor. limit counts what matches. It is answered from left
   * to right: a document that is a blob is read only where the answer comes so far */
  const hf_expr *where;
} hf_list_options;

/* A walk over records, as of the head when it began. Used by one thread at a time. */
typedef struct hf_cursor hf_cursor;

/* Begins a walk. options may be NULL. The caller closes *ret_cursor, before the store. */
HF_API int hf_list(hf_store *store, const hf_list_options *options, hf_cursor **ret_cursor,
                   hf_error *reterr);

/* The revisions of one key, lowest seq first, retired ones too. */
HF_API int hf_history(hf_store *store, const hf_key *key, hf_cursor **ret_cursor, hf_error *reterr);

/* 1: *ret_record is the next one, which the caller frees. 0: the end. HF_EDAMAGED: this one cannot
 * be read (reterr names it); the next call goes on behind it. Other negatives end the walk. */
HF_API int hf_cursor_next(hf_cursor *cursor, hf_record **ret_record, hf_error *reterr);

/* Closes *cursor and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_cursor_close(hf_cursor **cursor);

/* Finds a value inside a JSON text by a JSON Pointer (RFC 6901), verbatim. 1, 0 (there is none), or
 * negative: HF_EINVAL (the pointer), HF_EDOC (the text). *ret_value points into text. Of a member
 * that stands twice, the last. */
HF_API int hf_json_pointer(const char *text, size_t text_bytes, const char *pointer,
                           const char **ret_value, size_t *ret_bytes, hf_error *reterr);

/* Compares two JSON numbers by value and exactly (1e400 < 1e401; 0.10 is 1e-1): *ret_order is -1, 0
 * or 1. HF_EINVAL: one of the texts is no JSON number. Thread-safe. */
HF_API int hf_number_compare(const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                             int *ret_order, hf_error *reterr);

/* a - b, exactly, as ECMAScript prints numbers (RFC 8785). 1: the caller frees *ret_difference
 * (free); 0: it has more than 1,024 digits; negative: HF_EINVAL as above, HF_ENOMEM. Thread-safe.
 */
HF_API int hf_number_subtract(const char *a, size_t a_bytes, const char *b, size_t b_bytes,
                              char **ret_difference, hf_error *reterr);

/* ---- the lock -------------------------------------------------------------------------------- */

/* Who holds the store's lock: 1 (*ret_holder is written), 0 (nobody), or negative. */
HF_API int hf_lock_status(hf_store *store, hf_lock_holder *ret_holder, hf_error *reterr);

/* Takes the lock away from whoever holds it. Safe: the storage decides; its holder only loses its
 * turn. */
HF_API int hf_lock_break(hf_store *store, hf_error *reterr);

/* Which locker makes the store's writers take turns, and how they commit. */
typedef struct hf_locker_choice {
  char scheme[HF_LOCKER_NAME_BYTES_MAX + 1];
  uint64_t seq; /* of the record that chose it; 0: the store was made with it */
  /* what the manifest says; it is told after the log, which decides */
  char manifest[HF_LOCKER_NAME_BYTES_MAX + 1];
  char mode[16]; /* "publish" or "journal" */
} hf_locker_choice;

/* Reads the log to its end, and the manifest. */
HF_API int hf_get_locker(hf_store *store, hf_locker_choice *ret_choice, hf_error *reterr);

typedef struct hf_set_locker_options {
  int64_t timeout_ms; /* as for hf_save */
  /* 1: flock on a filesystem that is not known to be local; and where the present locker's backend
   * cannot be reached, without it (safe: the storage decides) */
  int force;
  /* "journal": records are appended to one file under the lock, and many share a flush: the fastest
   * on one machine. For flock on a local filesystem with hard links; HF_ECONFIG elsewhere.
   * "publish": each commit is a file of its own, and the storage decides whatever becomes of the
   * lock. NULL: as it is, where the locker allows it. */
  const char *mode;
} hf_set_locker_options;

/* Gives the store another locker, with writers at work, by a record in the log that is committed
 * like any other. Whoever saves next reads it and takes its turns with the new one; a client that
 * has not configured it gets HF_ECONFIG, and nothing is saved. Tries first whether the new one can
 * be had from here; one that cannot is not set, whatever is forced. options may be NULL. 1:
 * changed, *ret_seq is the record's seq; 0: it is that one already (*ret_seq: since when; 0: the
 * store was made with it); negative: HF_ECONFIG (not configured; the configuration names another
 * one for this filesystem; flock here without force), HF_ELOCK, HF_EBACKEND, HF_EUNSURE (hf_resolve
 * settles it), those of hf_save. */
HF_API int hf_set_locker(hf_store *store, const char *scheme, const hf_set_locker_options *options,
                         uint64_t *ret_seq, hf_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
