/* hf_gc: see gc.h. */
#include "gc.h"

#include <stdlib.h>
#include <string.h>

#include "attempt.h"
#include "commit.h"
#include "err.h"
#include "log.h"
#include "plant.h"
#include "tile.h"

#include "banned.h"

enum { PLANS_MAX = 8 };

static void lines_of_plan(const hf_gc_work *work, uint64_t tile, uint8_t *lines, int *ret_any) {
  const hf_gc_log *log = &work->log;
  memset(lines, 0, HF_DROP_BYTES);
  *ret_any = 0;
  for (size_t i = 0; i < HF_TILE_RECORDS; i++)
    if ((log->records[tile * HF_TILE_RECORDS + i].flags & HF_GC_PLANNED) != 0) {
      lines[i / 8] |= (uint8_t)(0x80U >> i % 8);
      *ret_any = 1;
    }
}

static int look(hf_gc_work *work, hf_error *reterr) {
  hf_gc_log_free(&work->log);
  int status = hf_gc_read_log(work, reterr);
  work->report->head = work->log.head;
  return status == HF_OK ? hf_gc_plan(work, reterr) : status;
}

/* ---- the records ---- */

static int drop(hf_gc_work *work, uint64_t tile, const uint8_t *lines, uint64_t *planned_at,
                hf_error *reterr) {
  hf_attempt attempt;
  hf_attempt *one = &attempt;
  int status = hf_attempt_to_drop(work->store, tile, lines, *planned_at, work->options->timeout_ms,
                                  &attempt, reterr);
  if (status == HF_OK) {
    hf_commit(work->store, &one, 1);
    status = attempt.status;
    if (status != HF_OK && reterr != NULL)
      *reterr = attempt.error;
    if (status == HF_OK && attempt.saved.created) {
      *planned_at = attempt.saved.seq; /* up to here it was judged */
      work->report->records++;
    }
  }
  hf_attempt_free(&attempt);
  return status;
}

/* HF_ECONFLICT: the plan does not hold any more. */
static int drop_all(hf_gc_work *work, hf_error *reterr) {
  uint64_t planned_at = work->log.head;
  int status = HF_OK;
  HF_PAUSE_AT(GC_PLANNED);
  for (uint64_t tile = 0; tile < work->log.tiles && status == HF_OK; tile++) {
    uint8_t lines[HF_DROP_BYTES];
    int any = 0;
    lines_of_plan(work, tile, lines, &any);
    if (any && !HF_PLANTED(GC_NO_RECORD))
      status = drop(work, tile, lines, &planned_at, reterr);
    if (status == HF_OK && any)
      status = hf_gc_tell(work, "tiles planned", tile + 1, work->log.tiles, reterr);
  }
  HF_PAUSE_AT(GC_DROPPED);
  return status;
}

static int plan_and_drop(hf_gc_work *work, hf_error *reterr) {
  int status = HF_ECONFLICT;
  for (int i = 0; i < PLANS_MAX && status == HF_ECONFLICT; i++) {
    status = look(work, reterr);
    if (status == HF_OK)
      status = drop_all(work, reterr);
  }
  return status;
}

/* ---- the tiles ---- */

/* What of a tile is to be taken out, and what that frees. */
static uint64_t due(const hf_gc_log *log, uint64_t tile, uint64_t *ret_bytes) {
  uint64_t count = 0;
  uint64_t end = (tile + 1) * HF_TILE_RECORDS;
  *ret_bytes = 0;
  for (uint64_t seq = tile * HF_TILE_RECORDS + 1; seq <= end && seq <= log->head; seq++) {
    const hf_gc_record *record = &log->records[seq - 1];
    int goes = (record->flags & (HF_GC_DROPPED | HF_GC_PLANNED)) != 0 &&
               (record->flags & (HF_GC_SNAPSHOT | HF_GC_TAKEN)) == HF_GC_SNAPSHOT;
    count += (uint64_t)goes;
    *ret_bytes += goes ? record->frees : 0;
  }
  return count;
}

static int rewrite_all(hf_gc_work *work, hf_error *reterr) {
  hf_gc_log *log = &work->log;
  uint64_t bytes = 0;
  int status = HF_OK;
  for (uint64_t tile = 0; tile < log->tiles && status == HF_OK; tile++) {
    if (due(log, tile, &bytes) == 0)
      continue;
    int got = hf_gc_rewrite(work, tile, &log->sums[tile], reterr);
    status = got < 0 ? got : hf_gc_tell(work, "tiles", tile + 1, log->tiles, reterr);
  }
  /* also where an earlier gc was killed before it came to that */
  hf_error why = HF_ERROR_INIT;
  int renewed = hf_index_renew(work->store, log->sums, log->tiles, &why);
  if (renewed != HF_OK && status == HF_OK && reterr != NULL)
    *reterr = why;
  return status == HF_OK ? renewed : status;
}

static void count_all(hf_gc_work *work) {
  for (uint64_t tile = 0; tile <= work->log.head / HF_TILE_RECORDS; tile++) {
    uint64_t bytes = 0;
    uint64_t documents = due(&work->log, tile, &bytes);
    work->report->documents += documents;
    work->report->bytes += bytes;
    work->report->tiles += documents > 0;
  }
}

/* ---- all of it ---- */

static int run_dry(hf_gc_work *work, hf_error *reterr) {
  int status = hf_store_prepare_to_stage(work->store, reterr);
  if (status == HF_OK)
    status = hf_stage_sweep_counted(work->store, 1, &work->swept, reterr);
  if (status == HF_OK)
    status = look(work, reterr);
  if (status != HF_OK)
    return status;
  count_all(work);
  return hf_gc_blobs(work, reterr);
}

static int run(hf_gc_work *work, hf_error *reterr) {
  hf_store *store = work->store;
  hf_pack_options pack = {work->options->progress, work->options->progress_context};
  int status = hf_store_prepare_to_stage(store, reterr);
  if (status == HF_OK)
    status = hf_stage_sweep_counted(store, 0, &work->swept, reterr);
  if (status == HF_OK)
    status = hf_store_prepare_to_write(store, reterr);
  if (status == HF_OK)
    status = hf_pack(store, &pack, NULL, reterr);
  if (status == HF_OK)
    status = plan_and_drop(work, reterr);
  if (status == HF_OK)
    status = rewrite_all(work, reterr);
  return status == HF_OK ? hf_gc_blobs(work, reterr) : status;
}

int hf_gc(hf_store *store, const hf_gc_options *options, hf_gc_report *ret_report,
          hf_error *reterr) {
  static const hf_gc_options nothing = {.timeout_ms = -1};
  hf_gc_report report = {0};
  hf_gc_work work = {
      .store = store, .options = options != NULL ? options : &nothing, .report = &report};
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  status = work.options->dry_run ? run_dry(&work, reterr) : run(&work, reterr);
  report.leftovers = work.swept.files;
  report.leftover_bytes = work.swept.bytes;
  hf_gc_log_free(&work.log);
  if (ret_report != NULL)
    *ret_report = report;
  if (status != HF_OK)
    hf_store_name_in_error(store, reterr);
  return status;
}
