/* Looks through the log: what gc must know of each record. */
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "crc32c.h"
#include "err.h"
#include "gc.h"
#include "id.h"
#include "json.h"
#include "log.h"
#include "read.h"
#include "tile.h"

#include "banned.h"

enum { BLOBS_FIRST = 64 };

void hf_gc_log_free(hf_gc_log *log) {
  free(log->records);
  free(log->sums);
  free(log->blobs);
  memset(log, 0, sizeof *log);
}

int hf_gc_tell(const hf_gc_work *work, const char *what, uint64_t done, uint64_t total,
               hf_error *reterr) {
  const hf_gc_options *options = work->options;
  if (options->progress == NULL ||
      options->progress(options->progress_context, what, done, total) == 0)
    return HF_OK;
  return hf_err(reterr, HF_ECANCELLED, NULL,
                "stopped; what was dropped is dropped, and the same command goes on from there");
}

static int reserve(hf_gc_log *log, uint64_t head, uint64_t tiles, hf_error *reterr) {
  if (head > log->records_allocated) {
    hf_gc_record *records = realloc(log->records, (size_t)head * sizeof *records);
    if (records == NULL)
      return hf_err_nomem(reterr);
    log->records = records;
    log->records_allocated = head;
  }
  hf_index_sum *sums = realloc(log->sums, (size_t)(tiles + 1) * sizeof *sums);
  if (sums == NULL)
    return hf_err_nomem(reterr);
  log->sums = sums;
  return HF_OK;
}

/* Of the exact texts: a hash that two groups share would let one's snapshots push out the other's.
 */
static int digest_peers(const hf_line *line, uint8_t out[16], hf_error *reterr) {
  hf_autobuf text = {0};
  uint8_t digest[32];
  int grouped = line->group.text != NULL;
  hf_piece first = grouped ? line->group : line->run;
  /* JSON texts behind it: their ends are plain */
  (void)hf_buf_add_char(&text, grouped ? 'g' : 'k');
  (void)hf_buf_add(&text, first.text, first.bytes);
  (void)hf_buf_add(&text, line->stage.text, line->stage.bytes);
  if (hf_buf_add(&text, line->dims.text, line->dims.bytes) != 0)
    return hf_err_nomem(reterr);
  int status = hf_sha256(text.data, text.used, digest, reterr);
  memcpy(out, digest, 16);
  return status;
}

static int add_blob(hf_gc_log *log, uint64_t seq, const hf_line *line, hf_error *reterr) {
  if (log->blobs_count == log->blobs_allocated) {
    size_t allocated = log->blobs_allocated == 0 ? BLOBS_FIRST : 2 * log->blobs_allocated;
    hf_gc_blob *blobs = realloc(log->blobs, allocated * sizeof *blobs);
    if (blobs == NULL)
      return hf_err_nomem(reterr);
    log->blobs = blobs;
    log->blobs_allocated = allocated;
  }
  hf_gc_blob *blob = &log->blobs[log->blobs_count++];
  memcpy(blob->sha256, line->sha256, sizeof blob->sha256);
  blob->seq = seq;
  return HF_OK;
}

static int add_snapshot(hf_gc_log *log, uint64_t seq, const char *text, size_t bytes,
                        const hf_line *line, hf_error *reterr) {
  hf_gc_record *record = &log->records[seq - 1];
  hf_autobuf at = {0};
  hf_json string = {line->at.text, line->at.bytes, HF_JSON_STRING};
  record->flags |= HF_GC_SNAPSHOT;
  if (line->dropped)
    record->flags |= HF_GC_TAKEN;
  if (line->at.text == NULL || hf_json_decode_string(&string, &at) != 0 ||
      hf_timestamp_parse(at.data, at.used, &record->at_us) != 0)
    record->flags |= HF_GC_TIMELESS;
  else if (record->at_us > log->latest_us)
    log->latest_us = record->at_us;
  if (hf_line_can_drop(text, bytes, line)) {
    hf_autobuf without = {0};
    if (hf_line_drop(text, bytes, line, &without) != HF_OK)
      return hf_err_nomem(reterr);
    record->frees = bytes > without.used ? (uint32_t)(bytes - without.used) : 0;
  }
  int status = digest_peers(line, record->peers, reterr);
  return status == HF_OK && line->blob ? add_blob(log, seq, line, reterr) : status;
}

static void set_flag(hf_gc_log *log, uint64_t below, uint64_t seq, unsigned flag, int is) {
  if (seq == 0 || seq >= below)
    return;
  uint8_t *flags = &log->records[seq - 1].flags;
  *flags = (uint8_t)(is ? *flags | flag : *flags & ~flag);
}

static int add_record(hf_gc_log *log, uint64_t seq, const char *text, size_t bytes,
                      const hf_line *line, hf_error *reterr) {
  memset(&log->records[seq - 1], 0, sizeof log->records[0]);
  switch (line->op) {
  case HF_OP_SAVE:
    return add_snapshot(log, seq, text, bytes, line, reterr);
  case HF_OP_RETIRE:
    set_flag(log, seq, line->of, HF_GC_RETIRED, !line->undo);
    break;
  case HF_OP_DROP:
    for (size_t i = 0; i < HF_TILE_RECORDS; i++)
      if (hf_drop_has(line->lines, i))
        set_flag(log, seq, line->tile * HF_TILE_RECORDS + 1 + i, HF_GC_DROPPED, 1);
    break;
  case HF_OP_BASELINE: /* now or in history, gc may have to keep it */
    set_flag(log, seq, line->of, HF_GC_BASELINE, 1);
    break;
  case HF_OP_END:
  case HF_OP_MODE:
  case HF_OP_LOST:
  case HF_OP_UNKNOWN:
    break;
  }
  return HF_OK;
}

/* A full tile, read at once. */
static int add_tile(hf_gc_work *work, uint64_t tile, hf_error *reterr) {
  hf_autobuf text = {0};
  char name[HF_TILE_NAME_BYTES];
  uint64_t seq = tile * HF_TILE_RECORDS + 1;
  size_t at = 0;
  int got = hf_tile_read(work->store, tile, &text, reterr);
  if (got < 0)
    return got;
  for (size_t i = 0; got == 1 && i < HF_TILE_RECORDS; i++, seq++) {
    hf_line line;
    const char *start = text.data + at;
    const char *end = at < text.used ? memchr(start, '\n', text.used - at) : NULL;
    got = end != NULL && hf_line_decode(start, (size_t)(end - start), &line, NULL) == HF_OK;
    if (got == 1) {
      int status = add_record(&work->log, seq, start, (size_t)(end - start), &line, reterr);
      if (status != HF_OK)
        return status;
      at = (size_t)(end - text.data) + 1;
    }
  }
  if (got == 1 && at == text.used) {
    work->log.sums[tile] = (hf_index_sum){text.used, hf_crc32c(0, text.data, text.used)};
    return HF_OK;
  }
  hf_tile_name(tile, name);
  return hf_err(reterr, HF_EDAMAGED, name,
                "the tile has damage, so nothing is dropped; run holdfast verify --repair first");
}

static int add_loose(hf_gc_work *work, uint64_t seq, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  hf_row row;
  int status = hf_read_line(work->store, seq, &row, &text, &line, reterr);
  return status != HF_OK ? status
                         : add_record(&work->log, seq, text.data, text.used, &line, reterr);
}

int hf_gc_read_log(hf_gc_work *work, hf_error *reterr) {
  hf_gc_log *log = &work->log;
  uint64_t head = 0;
  uint64_t tiles = 0;
  uint64_t seq = log->head + 1;
  int status = hf_read_begin(work->store, &head, reterr);
  if (status == HF_OK)
    status = hf_tile_mark_length(work->store, &tiles, reterr);
  if (tiles > head / HF_TILE_RECORDS) /* packed since */
    tiles = head / HF_TILE_RECORDS;
  if (status == HF_OK)
    status = reserve(log, head, tiles, reterr);
  while (status == HF_OK && seq <= head) {
    uint64_t tile = hf_tile_of(seq);
    int is_whole = tile < tiles && (seq - 1) % HF_TILE_RECORDS == 0;
    status = is_whole ? add_tile(work, tile, reterr) : add_loose(work, seq, reterr);
    seq += is_whole ? HF_TILE_RECORDS : 1;
    if (status == HF_OK && (is_whole || seq > head))
      status = hf_gc_tell(work, "records", seq - 1, head, reterr);
  }
  if (status == HF_OK && log->head == 0)
    log->tiles = tiles; /* of these the sums are known */
  if (status == HF_OK)
    log->head = head;
  return status;
}
