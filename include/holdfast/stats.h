/* Holdfast: figures of a store, and of a handle. */
#ifndef HOLDFAST_STATS_H
#define HOLDFAST_STATS_H

#include <holdfast/admin.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- a handle's own ---- */

/* What a handle has done since it was opened. All of it is counted in memory, where it happens: no
 * call is made for it. What is kept of it in the store: hf_get_writer_stats. */
typedef struct hf_handle_stats {
  uint64_t saves;     /* snapshots that were saved: new records */
  uint64_t unchanged; /* requests that were answered by a record that was there */
  uint64_t refused;   /* by a condition (HF_ECONFLICT), or because the attempt was ended */
  uint64_t failed;    /* not saved for another reason; requests that are not valid do not count */
  uint64_t unsure;    /* HF_EUNSURE */
  uint64_t commits;   /* files that were linked, or appends: one commits up to HF_BATCH_MAX saves */
  uint64_t flushes;   /* fsync and fdatasync for saves; packing's are not counted */
  /* names that another writer had taken first (EEXIST): the price of a lock that does not hold, or
   * of none */
  uint64_t collisions;
  uint64_t lock_waits;       /* turns that were asked for */
  uint64_t lock_wait_us;     /* how long they were waited for, in all */
  uint64_t lock_wait_us_max; /* the longest */
  uint64_t lock_failures;    /* turns that were not granted */
  uint64_t counter_repairs;  /* the locker's counter was set to what the storage says */
} hf_handle_stats;

/* Thread-safe, also while others save: each figure is right by itself. Errors: HF_EINVAL,
 * HF_EFORKED. */
HF_API int hf_get_handle_stats(const hf_store *store, hf_handle_stats *ret_stats, hf_error *reterr);

/* ---- all writers' ---- */

enum { HF_STATS_HOST_BYTES = 64 };

/* What the writers of a host have counted in this store. */
typedef struct hf_host_stats {
  char host[HF_STATS_HOST_BYTES]; /* its name, UTF-8; "": it has none, or the sum of all */
  uint64_t handles;               /* that have saved, or have tried to */
  hf_handle_stats counted;        /* the sum over them; of lock_wait_us_max the longest */
  int64_t since_unix_us;          /* counted from then on, by the host's clock */
  int64_t last_unix_us;           /* when something was added last */
} hf_host_stats;

typedef struct hf_writer_stats {
  hf_host_stats total;
  hf_host_stats *hosts; /* by name, each once; NULL where there is none */
  size_t hosts_count;
  uint64_t unread; /* files of stats/ that cannot be read, or do not check (holdfast verify) */
} hf_writer_stats;

/* What handles of all processes, living and gone, have counted: each handle adds its own figures to
 * a file of its host behind its first commit, later behind one every 5 s at most, and when it is
 * closed. So a process that is killed loses what it counted since it last added, and so does one
 * that ends without hf_close; figures of handles that are at work may be 5 s old. What cannot be
 * added (no room, no right, a file that does not check, more than 1,024 such files) is not counted,
 * and nobody is told: saves come first. Figures rise, and begin anew where somebody removed the
 * files, which is allowed at any time. Several users of a host, and hosts of one name, are one.
 * Containers without an id of their own (/etc/machine-id) are told by the name of the one that
 * saved first under their kernel. Takes no lock. The caller frees *ret_stats.
 * Errors: HF_EIO (stats/ cannot be listed), HF_ENOMEM, HF_EINVAL, HF_EFORKED. Thread-safe. */
HF_API int hf_get_writer_stats(hf_store *store, hf_writer_stats **ret_stats, hf_error *reterr);

/* Frees *stats and sets it to NULL. Accepts NULL and a pointer to NULL. */
HF_API void hf_writer_stats_free(hf_writer_stats **stats);

/* ---- a store's ---- */

enum { HF_STATS_OPS_MAX = 16, HF_STATS_OP_BYTES = 24 };

typedef struct hf_stats_op {
  char op[HF_STATS_OP_BYTES]; /* "save", "end", "mode" ...; "" : damaged, or of a newer version */
  uint64_t records;
} hf_stats_op;

/* What of a store is meant by a size. */
typedef enum hf_stats_place {
  HF_STATS_LOG,        /* records in files of their own, and the marks and rows of log/ */
  HF_STATS_TILE,       /* packed, and journal mode's current tile */
  HF_STATS_INDEX,      /* derived */
  HF_STATS_BLOB,       /* documents over HF_DOC_INLINE_BYTES_MAX */
  HF_STATS_STAGE,      /* files of saves at work, and leftovers of killed ones */
  HF_STATS_QUARANTINE, /* what verify --repair put aside */
  HF_STATS_COUNTED,    /* what writers have counted (hf_get_writer_stats): derived */
  HF_STATS_OTHER,      /* the manifest, the lock, what is not ours */
  HF_STATS_PLACES
} hf_stats_place;

typedef struct hf_stats_size {
  uint64_t files;
  uint64_t bytes; /* the files' lengths; a filesystem may need more or less for them */
} hf_stats_size;

typedef struct hf_store_stats {
  uint64_t head;                     /* as of this seq */
  hf_stats_op ops[HF_STATS_OPS_MAX]; /* the records by op; the sum is head */
  size_t ops_count;
  uint64_t snapshots; /* records of op "save": every revision */
  uint64_t current;   /* keys: a current revision each */
  uint64_t runs;      /* different run_ids */
  uint64_t groups;
  uint64_t stages;
  /* 1: more than 16,384 records could have a stage of their own (many groups, or many keys without
   * one), and of the others one of 256 was looked into: a rare stage may be missed */
  int stages_sampled;
  uint64_t damaged; /* records that cannot be read, as far as that was noticed (see hf_verify) */
  uint64_t tiles;   /* full ones */
  uint64_t indexed; /* records that indexes cover */
  /* snapshots whose "at" lies within the last minute, hour and day of this host's clock; see
   * hf_get_store_stats */
  uint64_t saves_minute;
  uint64_t saves_hour;
  uint64_t saves_day;
  char last_at[40];        /* "at" of the last snapshot; "": there is none */
  int64_t last_at_unix_us; /* the same; 0: there is none */
  hf_stats_size sizes[HF_STATS_PLACES];
  uint64_t filesystem_bytes;
  uint64_t filesystem_free_bytes; /* that this process may use */
  /* of the locker's backend, over all writers: how often its counter was set to what the storage
   * says. has_counter 0: it does not count, or cannot be reached (then counter_error says why) */
  int has_counter;
  uint64_t counter_repairs;
  char counter_error[256]; /* "": none */
} hf_store_stats;

typedef struct hf_stats_options {
  hf_progress_fn progress; /* NULL: none. "records" */
  void *progress_context;
} hf_stats_options;

/* Counts what a store holds, as of its head, without reading documents: from indexes, and for the
 * stages the beginning of one record of each group, stage and dims (and each key that has no
 * group). Keys, runs,
 * groups and stages are told apart by 64-bit hashes. Rates: backwards from the head, until
 * HF_TILE_RECORDS in a row were saved more than a day ago, for clocks of hosts differ; where one is
 * a day wrong, so is the count. "at" is read of one record of a tile, and told of the others by
 * their ids, which were made at the same moment; an id that its caller gave may tell another time
 * (by less than a day: else the record is read, or, where thousands are so, as after an import,
 * taken to be as old as its neighbour). Takes no lock; writers may be at work, and sizes are those
 * of the moment at which each file was looked at. options may be NULL.
 * Errors: HF_EIO, HF_ENOMEM, HF_ECANCELLED (by progress), HF_EFORKED. */
HF_API int hf_get_store_stats(hf_store *store, const hf_stats_options *options,
                              hf_store_stats *ret_stats, hf_error *reterr);

/* "log", "tile", "index", "blob", "stage", "quarantine", "stats", "other"; NULL past the last.
 * Static. */
HF_API const char *hf_stats_place_name(hf_stats_place place);

#ifdef __cplusplus
}
#endif
#endif
