/* Holdfast: work on a whole store: import, export, pack, verify, doctor. */
#ifndef HOLDFAST_ADMIN_H
#define HOLDFAST_ADMIN_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How far it is: `done` of `total` (0: unknown) `what` ("snapshots", "records", "tiles"). Called
 * from the caller's thread now and then. A result that is not 0 stops the work: HF_ECANCELLED. */
typedef int (*hf_progress_fn)(void *context, const char *what, uint64_t done, uint64_t total);

/* ---- import ---------------------------------------------------------------------------------- */

typedef struct hf_import_options {
  int dry_run; /* read and count, save nothing */
  int64_t timeout_ms;
  hf_progress_fn progress; /* NULL: none */
  void *progress_context;
  hf_log_fn log; /* warnings: clock-ordered entries, a double. NULL: none */
  void *log_context;
} hf_import_options;

typedef struct hf_import_report {
  uint64_t files;         /* index files that were read */
  uint64_t read;          /* entries in them */
  uint64_t doubles;       /* entries that were the same snapshot as another entry */
  uint64_t imported;      /* saved now (dry run: would be saved) */
  uint64_t present;       /* were in the store already */
  uint64_t clock_ordered; /* snapshots whose order was taken from clocks */
  uint64_t nan_to_null;   /* NaN, Infinity and -Infinity turned into null */
} hf_import_report;

/* Imports older indexes (snapshot_index.json; a folder: every one below it) and what hf_export
 * wrote as "index". All paths are read and checked before the first save. Idempotent, and resumable
 * after SIGKILL at any instant: what is there already is found, not doubled. *ret_report is written
 * on success, and on failure as far as it came.
 * Errors: HF_EDOC (place: file, line and column; nothing of any path is imported), HF_ENOTFOUND (no
 * index there), those of hf_save. */
HF_API int hf_import(hf_store *store, const char *const *paths, size_t paths_count,
                     const hf_import_options *options, hf_import_report *ret_report,
                     hf_error *reterr);

/* ---- export ---------------------------------------------------------------------------------- */

typedef enum hf_export_format {
  /* the older run_id:stage form, current revisions; hf_import gives the same snapshots back */
  HF_EXPORT_INDEX,
  HF_EXPORT_JSONL, /* one object a line: envelope and document, every revision */
  HF_EXPORT_CSV    /* RFC 4180: the envelopes of current revisions */
} hf_export_format;

/* Takes a piece of the output. A result that is not 0 stops: HF_EIO, with sys_errno = errno. */
typedef int (*hf_write_fn)(void *context, const char *bytes, size_t count);

typedef struct hf_export_options {
  hf_export_format format;
  hf_progress_fn progress; /* NULL: none */
  void *progress_context;
  /* which ones, and as of which seq (`until`); NULL: all, as of the head when it began. limit and
   * reverse count as well; all_revisions, all_records and with_documents are the format's own */
  const hf_list_options *list;
  /* NULL, or: gets how many snapshots are left out, for gc has dropped their documents. (CSV, which
   * has no documents, has them all.) */
  uint64_t *ret_dropped;
} hf_export_options;

/* Writes snapshots in the order of their seq (or against it: list->reverse). The output depends on
 * the options and on the records up to list->until alone: with the same `until`, not above the
 * head, the same bytes, whoever writes meanwhile. Records that cannot be read are left out:
 * HF_EDAMAGED, with their number and the first of them, when all others are written. *ret_count
 * (may be NULL): those that were written, also on failure. Thread-safe.
 * Errors: HF_EIO (write refused), HF_ECANCELLED (by progress), HF_EDAMAGED, those of hf_list. */
HF_API int hf_export(hf_store *store, const hf_export_options *options, hf_write_fn write,
                     void *write_context, uint64_t *ret_count, hf_error *reterr);

/* ---- pack ------------------------------------------------------------------------------------ */

typedef struct hf_pack_options {
  hf_progress_fn progress; /* NULL: none */
  void *progress_context;
} hf_pack_options;

typedef struct hf_pack_report {
  uint64_t head;
  uint64_t tiles;   /* full ones that there are now */
  uint64_t packed;  /* by this call; another packer may have packed others meanwhile */
  uint64_t freed;   /* loose files that a killed packer had left behind */
  uint64_t indexed; /* tiles whose index was made by this call */
} hf_pack_report;

/* Packs every HF_TILE_RECORDS consecutive records that still have files of their own into one file
 * each, a tile. Changes no record and no answer, needs no lock; readers, writers and other packers
 * may be at work. Handles that save do the same by themselves, in a thread of their own, unless the
 * configuration says "packing": {"automatic": false}. Then it makes the indexes that full tiles
 * lack. progress hears of "tiles", then of "tiles indexed". Stopped or killed at any instant it
 * leaves a correct store, and the next one goes on. options and ret_report may be NULL; the report
 * is written on failure, too.
 * Errors: HF_EDAMAGED (a record, or a tile that stands in the way: nothing is moved from there on),
 * HF_EVERSION (a newer version's record), HF_EIO, HF_ECANCELLED (by progress). */
HF_API int hf_pack(hf_store *store, const hf_pack_options *options, hf_pack_report *ret_report,
                   hf_error *reterr);

/* ---- retire ---------------------------------------------------------------------------------- */

typedef struct hf_retire_options {
  const char *reason; /* 1 to HF_REASON_BYTES_MAX bytes; with undo NULL is allowed */
  int undo;           /* 1: take it back: the snapshot is shown again */
  int64_t timeout_ms; /* as for hf_save */
} hf_retire_options;

typedef struct hf_retire_report {
  uint64_t of;  /* the snapshot */
  uint64_t seq; /* of the record that hides it, or shows it again; 0: it was never hidden */
  int created;  /* 1: that record is new. 0: nothing was to be done */
} hf_retire_report;

/* Hides a snapshot: hf_list, hf_prev and hf_get by key pass over it, as if it had not been saved;
 * hf_get_seq still gives it, and everything can be taken back. The snapshot is the one with the
 * seq, or, with key not NULL, that key's current revision (undo: its highest retired one). It is a
 * record in the log (op "retire"), committed like any other. Saving the same document again makes a
 * new revision.
 * Errors: HF_ENOTFOUND (no such snapshot), HF_EINVAL, HF_ELIMIT (the reason), HF_EUNSURE
 * (hf_resolve settles it), those of hf_save. */
HF_API int hf_retire(hf_store *store, const hf_key *key, uint64_t seq,
                     const hf_retire_options *options, hf_retire_report *ret_report,
                     hf_error *reterr);

/* ---- gc -------------------------------------------------------------------------------------- */

/* What is kept. Each rule keeps; what no rule keeps is dropped. Without keep_last and older_than_ms
 * no document is dropped. */
typedef struct hf_gc_options {
  /* the last so many snapshots of each (group, stage, dims), or of each key where there is no
   * group. Every revision counts; a retired one is none of them, and neither is one whose
   * document is gone already. 0: no such rule */
  uint64_t keep_last;
  /* every snapshot that a baseline names, or has named */
  int keep_baselines;
  /* snapshots that were saved ("at") less than so long before now, or before the latest save, if
   * that is earlier: a clock that is wrong keeps more, never less. 0: no such rule */
  int64_t older_than_ms;
  int dry_run;             /* 1: tell what would be freed, and change nothing */
  int64_t timeout_ms;      /* as for hf_save; for each record */
  hf_progress_fn progress; /* NULL: none. "records", "tiles", ... */
  void *progress_context;
} hf_gc_options;

typedef struct hf_gc_report {
  uint64_t head;      /* when it looked last */
  uint64_t documents; /* taken out of tiles */
  uint64_t bytes;     /* by which their lines are shorter now */
  uint64_t tiles;     /* written anew */
  uint64_t records;   /* that say what is dropped; made by this call */
  uint64_t waiting;   /* documents that are to go, and stand in no full tile yet: they stay */
  uint64_t blobs;     /* large documents that were removed */
  uint64_t blob_bytes;
  uint64_t blobs_young; /* that nothing refers to, and that changed within the last hour: kept */
  uint64_t leftovers;   /* files of dead writers in stage/, older than an hour */
  uint64_t leftover_bytes;
} hf_gc_report;

/* Frees space: packs, drops documents (their envelopes stay: seq, key, time, size and SHA-256, so
 * no number is freed), removes blobs that no record refers to any more, and what dead writers left.
 * What is dropped is told by records in the log (op "drop") before anything is removed: from then
 * on hf_get and its like answer HF_EDROPPED, the same document saved again makes a new record, and
 * no gc brings it back. Writers, readers, packers and other gcs may be at work; killed at any
 * instant it leaves a correct store, and the next one goes on. options NULL: drops nothing.
 * ret_report may be NULL; it is written on failure, too.
 * Errors: HF_ECONFLICT (what is to be kept changed again and again meanwhile), HF_EDAMAGED,
 * HF_EVERSION (nothing is dropped from a log with damaged or unknown records), HF_ECANCELLED (by
 * progress), HF_EUNSURE (run it again), those of hf_save. */
HF_API int hf_gc(hf_store *store, const hf_gc_options *options, hf_gc_report *ret_report,
                 hf_error *reterr);

/* ---- verify ---------------------------------------------------------------------------------- */

typedef struct hf_finding {
  /* One word, stable (docs/FORMAT.md lists them). Damage: "bit-flip", "cut-short", "missing",
   * "foreign", "edge", "tile", "mark", "manifest", "blob-gone", "blob-altered", "document",
   * "envelope", "double-id", "ended", "unreadable", "index", "rows". Remarks: "leftover", "lost",
   * "unknown"; "index", "manifest", "mark" and "tile" may be one, too. */
  const char *kind;
  uint64_t seq;     /* 0: no single record */
  const char *path; /* below the store */
  const char *text; /* for people: what is wrong and what to do */
  int damage;       /* 1: counts as damage; 0: a remark (a leftover of a killed writer ...) */
  int repaired;     /* 1: --repair has dealt with it */
} hf_finding;

typedef void (*hf_finding_fn)(void *context, const hf_finding *finding);

typedef struct hf_verify_options {
  int deep; /* read every document: parse it strictly, check its SHA-256 and every blob */
  /* copy what is damaged to quarantine/, then make the store usable again; deletes nothing but
   * indexes, which it makes anew */
  int repair;
  const hf_config *config;
  int64_t timeout_ms; /* repair: for the lock */
  hf_finding_fn finding;
  void *finding_context;
  hf_progress_fn progress; /* NULL: none */
  void *progress_context;
} hf_verify_options;

typedef struct hf_verify_report {
  uint64_t head;
  uint64_t records; /* read and found intact */
  uint64_t snapshots;
  uint64_t blobs;
  uint64_t damaged;  /* findings that are damage */
  uint64_t remarks;  /* findings that are not */
  uint64_t repaired; /* of the damaged; fewer: something is left to do, its finding says what */
} hf_verify_report;

/* Checks a store. Returns HF_OK when it was read to its end, whatever was found: see
 * ret_report->damaged. Without repair nothing is changed. Works on a store that hf_open refuses. */
HF_API int hf_verify(const char *path, const hf_verify_options *options,
                     hf_verify_report *ret_report, hf_error *reterr);

/* ---- doctor ---------------------------------------------------------------------------------- */

typedef enum hf_verdict { HF_VERDICT_GOOD, HF_VERDICT_CAUTION, HF_VERDICT_BAD } hf_verdict;

typedef struct hf_check {
  const char *name; /* stable: "filesystem", "options", "link", "rename", "fsync-file", ... */
  hf_verdict verdict;
  const char *text; /* for people */
  /* the figure that was measured, in the unit of `unit`; 0 where there is none */
  double value;
  const char *unit; /* "us", "bytes", ...; "" where there is none */
} hf_check;

typedef void (*hf_check_fn)(void *context, const hf_check *check);

/* Tries, in a scratch folder below `path` that it removes, whether a store is safe here. path is a
 * folder, or a store. *ret_verdict is the worst of the checks'. */
HF_API int hf_doctor(const char *path, const hf_config *config, hf_check_fn check, void *context,
                     hf_verdict *ret_verdict, hf_error *reterr);

/* ---- doctor, by several at once -------------------------------------------------------------- */

enum { HF_PEERS_MAX = 16, HF_PEER_TIMEOUT_MS_DEFAULT = 60000, HF_PEER_SILENCE_MS_MAX = 20000 };

typedef struct hf_peer_options {
  unsigned peers; /* so many take part, this one included: 2 to HF_PEERS_MAX; 0: 2 */
  /* how long to wait for the others to come (negative: HF_PEER_TIMEOUT_MS_DEFAULT); one that is
   * silent for as long, or for HF_PEER_SILENCE_MS_MAX, is gone */
  int64_t timeout_ms;
  /* 1: keep the result: in the store's manifest, or in a file of the folder that hf_init takes into
   * the manifest of a store that is made there */
  int record;
  const hf_config *config; /* NULL: built-in defaults; for the store's locker (record) */
  hf_check_fn check;       /* NULL: none */
  void *check_context;
  hf_progress_fn progress; /* NULL: none. "peers": found of wanted; "steps" */
  void *progress_context;
  hf_log_fn log; /* what a killed peer has left. NULL: silence */
  void *log_context;
} hf_peer_options;

typedef struct hf_peer_result {
  hf_verdict verdict; /* the worst of the checks' */
  int safe;           /* 1: a store is safe here, with the locker that is named */
  unsigned peers;
  unsigned hosts;     /* different ones among them: of one alone nothing follows for several */
  const char *locker; /* "flock" or "redis"; NULL where none makes a store safe. Static */
  char text[1024];    /* the verdict, for people */
  char json[1024];    /* what is recorded: one JSON object */
} hf_peer_result;

/* Two processes or more call it on the same folder (or store) at once, each on a host of its own:
 * they find each other through the folder, race for names, try whether locks exclude, measure how
 * late a name or a length is seen, and compare clocks. Each gets the same checks and the same
 * result. Everything lies in DIR/doctor-peer, and is removed.
 * Errors: HF_ENOTFOUND (nobody came in time), HF_EINVAL (the others wait for another number of
 * peers), HF_EIO (also: a peer is gone), HF_ECANCELLED (by progress), HF_EVERSION (a peer is
 * another program), HF_ELOCK, HF_EBACKEND (record: the store's lock). */
HF_API int hf_doctor_peer(const char *path, const hf_peer_options *options,
                          hf_peer_result *ret_result, hf_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
