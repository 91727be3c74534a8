/* What gc keeps. Each rule keeps; what no rule keeps is dropped, and without a rule nothing is.
 *
 * Clocks only ever keep more: a snapshot's age is told by "at", when it was saved, against the
 * earlier one of this host's time and the latest "at" in the log; so neither a host whose clock is
 * ahead makes everything old, nor does a time in the future count against its snapshot. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "gc.h"
#include "log.h"
#include "tile.h"

#include "banned.h"

typedef struct candidate {
  const hf_gc_record *record;
  uint64_t seq;
} candidate;

static int by_peers(const void *a, const void *b) {
  const candidate *x = a;
  const candidate *y = b;
  int order = memcmp(x->record->peers, y->record->peers, sizeof x->record->peers);
  return order != 0 ? order : (x->seq < y->seq) - (x->seq > y->seq); /* the last one first */
}

/* Of each group, or key, the last ones. What is retired, or dropped, takes no one's place. */
static int mark_last(hf_gc_log *log, uint64_t keep, hf_error *reterr) {
  size_t count = 0;
  uint64_t same = 0;
  candidate *all = malloc((size_t)(log->head + 1) * sizeof *all);
  if (all == NULL)
    return hf_err_nomem(reterr);
  for (uint64_t seq = 1; seq <= log->head; seq++) {
    const hf_gc_record *record = &log->records[seq - 1];
    unsigned counts = record->flags & (HF_GC_SNAPSHOT | HF_GC_RETIRED | HF_GC_DROPPED);
    if (counts == HF_GC_SNAPSHOT)
      all[count++] = (candidate){record, seq};
  }
  if (count > 0)
    qsort(all, count, sizeof *all, by_peers);
  for (size_t i = 0; i < count; i++) {
    int is_next = i > 0 && memcmp(all[i].record->peers, all[i - 1].record->peers,
                                  sizeof all[i].record->peers) == 0;
    same = is_next ? same + 1 : 1;
    if (same <= keep)
      log->records[all[i].seq - 1].flags |= HF_GC_LAST;
  }
  free(all);
  return HF_OK;
}

static int is_young(const hf_gc_record *record, int64_t older_than_ms, int64_t now_us) {
  int64_t age_us = 0;
  if ((record->flags & HF_GC_TIMELESS) != 0 ||
      __builtin_sub_overflow(now_us, record->at_us, &age_us))
    return 1;
  return age_us / 1000 < older_than_ms;
}

static int is_kept(const hf_gc_record *record, const hf_gc_options *options, int64_t now_us) {
  return (record->flags & HF_GC_LAST) != 0 ||
         (options->keep_baselines && (record->flags & HF_GC_BASELINE) != 0) ||
         (options->older_than_ms > 0 && is_young(record, options->older_than_ms, now_us));
}

int hf_gc_plan(hf_gc_work *work, hf_error *reterr) {
  const hf_gc_options *options = work->options;
  hf_gc_log *log = &work->log;
  int64_t now_us = hf_realtime_us();
  /* a run packs first: what is full now is a tile then */
  uint64_t tiles = options->dry_run ? log->head / HF_TILE_RECORDS : log->tiles;
  if (now_us > log->latest_us)
    now_us = log->latest_us;
  work->report->waiting = 0;
  if (options->keep_last == 0 && options->older_than_ms <= 0)
    return HF_OK;
  int status = options->keep_last > 0 ? mark_last(log, options->keep_last, reterr) : HF_OK;
  for (uint64_t seq = 1; status == HF_OK && seq <= log->head; seq++) {
    hf_gc_record *record = &log->records[seq - 1];
    if ((record->flags & (HF_GC_SNAPSHOT | HF_GC_DROPPED)) != HF_GC_SNAPSHOT ||
        is_kept(record, options, now_us))
      continue;
    if (hf_tile_of(seq) < tiles)
      record->flags |= HF_GC_PLANNED;
    else
      work->report->waiting++;
  }
  return status;
}
