/* gc: drops documents by the log, then writes tiles anew without them (docs/PROTOCOL.md, retire and
 * gc). What the parts share; hf_gc itself is in gc.c.
 *
 * Order: the log is looked through and a plan is made (gc_plan.c); a record for each tile says what
 * is dropped (op "drop", committed like any other, and only if the plan still holds); the tiles are
 * written anew (gc_tile.c); the indexes that were made of the old ones, too (index_renew.c); then
 * blobs that nothing refers to go (gc_blob.c).
 *
 * What a crash leaves: records without their tiles, tiles without their indexes, blobs that were
 * taken aside. All that is dropped is gone for readers from its record on; the next gc does the
 * rest. */
#ifndef HF_CORE_GC_H
#define HF_CORE_GC_H

#include <holdfast/admin.h>

#include "dropped.h"
#include "index.h"
#include "stage.h"
#include "store.h"

enum hf_gc_flags {
  HF_GC_SNAPSHOT = 1,
  HF_GC_RETIRED = 2,
  HF_GC_BASELINE = 4,
  HF_GC_DROPPED = 8,   /* a record says so */
  HF_GC_TAKEN = 16,    /* and its line has no document any more */
  HF_GC_LAST = 32,     /* one of the last ones of its group */
  HF_GC_PLANNED = 64,  /* its document is to be dropped */
  HF_GC_TIMELESS = 128 /* its "at" is no time */
};

typedef struct hf_gc_record {
  uint8_t peers[16]; /* a digest of (group, stage, dims), or of the key where there is no group */
  int64_t at_us;
  uint32_t frees; /* bytes of its line without which it can be written */
  uint8_t flags;
} hf_gc_record;

typedef struct hf_gc_blob {
  uint8_t sha256[32];
  uint64_t seq;
} hf_gc_blob;

/* What the log holds, up to a head. */
typedef struct hf_gc_log {
  uint64_t head;
  uint64_t tiles;        /* full ones */
  hf_gc_record *records; /* records[seq - 1] */
  uint64_t records_allocated;
  hf_index_sum *sums; /* of each full tile, as it was read */
  hf_gc_blob *blobs;  /* that records refer to */
  size_t blobs_count;
  size_t blobs_allocated;
  int64_t latest_us; /* the latest time at which a snapshot was saved */
} hf_gc_log;

typedef struct hf_gc_work {
  hf_store *store;
  const hf_gc_options *options;
  hf_gc_report *report;
  hf_gc_log log;
  hf_swept swept;
} hf_gc_work;

/* Tells the caller how far it is. HF_OK or HF_ECANCELLED. */
int hf_gc_tell(const hf_gc_work *work, const char *what, uint64_t done, uint64_t total,
               hf_error *reterr);

/* gc_log.c: reads the log up to its head, or from where it was read on to its head by now. */
int hf_gc_read_log(hf_gc_work *work, hf_error *reterr);
void hf_gc_log_free(hf_gc_log *log);

/* gc_plan.c: sets HF_GC_PLANNED. HF_OK or HF_ENOMEM. */
int hf_gc_plan(hf_gc_work *work, hf_error *reterr);

/* gc_tile.c: writes a tile anew without what the log drops of it, durably. *ret_sum: of what stands
 * there afterwards. 1; 0: there was nothing to do; negative. */
int hf_gc_rewrite(hf_gc_work *work, uint64_t tile, hf_index_sum *ret_sum, hf_error *reterr);

/* gc_blob.c: removes the blobs that nothing refers to; dry_run: counts them. */
int hf_gc_blobs(hf_gc_work *work, hf_error *reterr);

#endif
