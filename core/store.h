/* An open store. Its parts: view (what is known of the log), log (files and marks), stage, publish,
 * commit (the queue of savers and its leader), packer (the thread that packs).
 *
 * Mutexes, in the order in which they are taken: queue_mutex, never with another one; view_mutex;
 * part_mutex; locker_mutex. The packer's own, map_mutex and that of own_lines are never held with
 * another. */
#ifndef HF_CORE_STORE_H
#define HF_CORE_STORE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <holdfast/holdfast.h>

#include "counters.h"
#include "drops.h"
#include "manifest.h"
#include "own_lines.h"
#include "part.h"
#include "tally_state.h"
#include "view.h"

enum {
  HF_TILE_FOLDERS_KEPT = 64, /* open: 16 million records */
  HF_TILE_PINS = 64
};

struct hf_attempt;
struct hf_opened_locker;
struct hf_packer;
struct hf_tile_maps;

struct hf_store {
  pid_t owner_pid;
  char *path; /* absolute */
  hf_manifest manifest;
  hf_fs fs;
  /* not on the list of local filesystems: no return value is trusted, no absent name looked up */
  int shared;
  int link_tells_count; /* NFS: the reply to link brings how many names the file has (publish.c) */
  int rename_mode;
  uint64_t document_bytes_max;
  hf_log_fn log;
  void *log_context;
  char host[128]; /* as a JSON string, with quotation marks */

  int root_fd;
  int stage_fd; /* opened by the first save: readers need no right to write */
  int log_fd;
  int tile_fd;
  /* local filesystems: a descriptor + 1 of each folder in tile/ that a record was read from, set
   * once; 0: none yet */
  _Atomic int tile_folders[HF_TILE_FOLDERS_KEPT];
  _Atomic uint64_t tile_pins[HF_TILE_PINS]; /* shared: see hf_tile_pin */
  pthread_mutex_t map_mutex;
  struct hf_tile_maps *tile_maps; /* local: tile_map.h. NULL: none yet */
  int blob_fd;
  int index_fd;    /* -1: there is none */
  int log_mark_fd; /* local filesystems: kept open; shared: -1, opened afresh for each look */
  int tile_mark_fd;
  int log_mark_write_fd;
  int rows_fd; /* log/rows; -1: there is none, or it cannot be used. Under view_mutex once open, as
                  the following */
  uint64_t rows_due;       /* the first seq whose row is still to be written; 0: none */
  uint64_t others_seen_at; /* the head, when a refresh last brought records of others */
  /* shared: kept open, never read; see pin_mark. log/mark is written by its own where it can be */
  int log_mark_pin_fd;
  int tile_mark_pin_fd;
  int may_write_by_pin; /* log_mark_pin_fd was opened to write; under view_mutex, as the rest */
  hf_file_name log_mark_pin;  /* which file that is */
  hf_file_name log_mark_seen; /* which file log/mark was, when last looked at by its name */

  const hf_config *config; /* NULL: the built-in defaults */
  pthread_mutex_t locker_mutex;
  /* opened by the first save, replaced where the log says so: store_locker.h */
  struct hf_opened_locker *locker;
  char *purpose;
  int ready_to_stage; /* under locker_mutex, as the following */
  int ready_to_write;

  pthread_mutex_t view_mutex;
  hf_view view;
  hf_view view_before;         /* within a refresh that reads the view anew; else empty */
  hf_drops drops;              /* of the tile that was asked about last: dropped.h */
  uint64_t mark_length;        /* of log/mark, when last looked at */
  uint64_t durable_head;       /* the names up to here are known to be durable */
  _Atomic uint64_t tiles_seen; /* the length of tile/mark, when last looked at */
  uint64_t index_seen_tiles;   /* so many tiles there were when indexes were looked for last */
  unsigned index_failures;

  hf_part part;               /* journal mode; the leader's, but for what part.h says */
  pthread_mutex_t part_mutex; /* one fdatasync of it at a time */
  uint64_t part_end;          /* view_mutex: the byte behind the record part_end_seq, in its part */
  uint64_t part_end_seq;      /* 0: not known */
  /* + 1: the view's rows of this tile's part are of part_rows; 0: none */
  uint64_t part_rows_tile;
  hf_file_name part_rows;
  atomic_int rows_doubted;  /* a record was not where its row says */
  uint64_t held_head;       /* where the part was read to its end under its lock */
  int boot_is_told;         /* view_mutex: boot.h */
  uint64_t own_flushed;     /* view_mutex: up to here this handle's own flushes went */
  uint64_t append_first;    /* view_mutex: of the last append */
  uint64_t append_cycle;    /* view_mutex: so many records everybody made between two of ours */
  unsigned savers_peak;     /* queue_mutex: threads that saved at once, lately */
  _Atomic int64_t flush_us; /* how long a flush of it took last */

  int packs;                    /* by itself, as the configuration says */
  _Atomic unsigned savers;      /* threads in hf_commit, for whom it waits */
  _Atomic int batch_appended;   /* the last batch did: parts are made ahead for the next */
  _Atomic int in_batches;       /* the last save was a batch of half a tile or more */
  pthread_mutex_t packer_mutex; /* for the making of: */
  struct hf_packer *packer;     /* NULL: nothing was to be packed yet */
  hf_own_lines own_lines;       /* that its own packer need not read */

  pthread_mutex_t queue_mutex;
  struct hf_attempt *queue_first;
  struct hf_attempt *queue_last;
  int has_leader;

  /* the leader's alone: under which grant of which locker it commits, and when it last told of a
   * backend's counter that was wrong */
  struct hf_opened_locker *turn_opened; /* NULL: the turn is taken without it */
  const hf_locker_ops *turn_ops;
  void *turn_locker;
  char turn_scheme[HF_LOCKER_NAME_BYTES_MAX + 1]; /* the store's locker when the turn began */
  const hf_grant *turn_grant;
  int64_t counter_told_ms;

  hf_counters counters;
  hf_tally_state tally;
};

/* HF_EFORKED where this process did not open the store. Every public function asks first. */
int hf_store_check(const hf_store *store, hf_error *reterr);

/* Puts the store's path before the error's place; a server's ("redis://..."), a whole path's, and
 * the configuration's ("lockers.redis") stay as they are. */
void hf_store_name_in_error(const hf_store *store, hf_error *reterr);

/* Opens log/mark to be kept open, anew where it was. */
void hf_store_pin_log_mark(hf_store *store);

/* Flags of open() by which each read of what another host may have appended asks the server. NFS:
 * O_DIRECT, whose requests need no alignment there. Elsewhere it may be refused, and what is
 * remembered is as good: it is intact, or it does not check. */
int hf_store_fresh_flags(const hf_store *store);

/* Opens stage/, probes a mount that is not local. Once; thread-safe. */
int hf_store_prepare_to_stage(hf_store *store, hf_error *reterr);

/* That, reads the log, opens the locker, sweeps old leftovers. Once; thread-safe. */
int hf_store_prepare_to_write(hf_store *store, hf_error *reterr);

/* Sends a line to the caller's log. */
void hf_store_log(const hf_store *store, hf_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
