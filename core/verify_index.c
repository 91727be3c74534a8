/* The indexes: what index/mark tells of is there, whole, and made of the tiles that stand beside
 * it. A wrong one could hide a record from those who look it up, so it is damage, though nothing is
 * lost by it: a repair forgets them all under its lock, and makes them anew at its end, when the
 * lock is released (repair_index.c). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "index.h"
#include "repair.h"
#include "sys.h"
#include "verify.h"

#include "banned.h"

enum { INDEX_TRIES_MAX = 8 };

/* Was it made before gc wrote the tile anew? Then it hides nothing: the records are the same, and
 * where one does not stand at its offset any more the tile is looked through. */
static int is_of_older_tile(const hf_verify_work *work, const hf_index *index, uint64_t tile,
                            const hf_buf *text) {
  hf_lines lines;
  int dropped = hf_verify_drops_of(work, tile);
  hf_lines_split(text->data, text->used, HF_TILE_RECORDS, &lines);
  for (size_t i = 0; i < HF_TILE_RECORDS; i++) {
    hf_line line;
    hf_row row;
    hf_row there;
    if (!lines.line[i].intact || hf_line_decode(text->data + lines.line[i].offset,
                                                lines.line[i].bytes, &line, NULL) != HF_OK)
      return 0;
    hf_place place = {0, 0, lines.line[i].bytes, 1, 0};
    hf_row_fill(&row, &line, &place);
    if (hf_index_row(index, tile * HF_TILE_RECORDS + 1 + i, &there, NULL) != HF_OK ||
        memcmp(&row.id, &there.id, sizeof row.id) != 0 || row.key_hash != there.key_hash ||
        row.peer_hash != there.peer_hash || row.run_hash != there.run_hash ||
        row.doc_hash != there.doc_hash || row.op != there.op)
      return 0;
    dropped |= line.dropped;
  }
  return dropped;
}

/* Is the file made of these tiles? *ret_old: of how many as they were before a gc. HF_OK,
 * HF_EDAMAGED with words, or another error. */
static int check_tiles(const hf_verify_work *work, const hf_index *index, int *ret_old,
                       hf_error *reterr) {
  uint64_t count = hf_index_tiles(index->header.level);
  uint64_t first = index->header.number * count;
  for (uint64_t tile = first; tile < first + count; tile++) {
    hf_autobuf text = {0};
    char name[HF_TILE_NAME_BYTES];
    uint64_t bytes = 0;
    uint32_t crc = 0;
    hf_tile_name(tile, name);
    int status = hf_index_tile(index, tile, &bytes, &crc, reterr);
    if (status != HF_OK)
      return status;
    int got = hf_file_read(work->tile_fd, name, HF_LOG_FILE_BYTES_MAX, &text, NULL);
    int same = text.used == bytes && hf_crc32c(0, text.data, text.used) == crc;
    if (got == 1 && !same) {
      int is_old = is_of_older_tile(work, index, tile, &text);
      *ret_old += is_old;
      same = is_old;
    }
    if (got == 1 && !same)
      return hf_err(reterr, HF_EDAMAGED, NULL, "it was made of another tile than tile/%s", name);
  }
  return HF_OK;
}

/* 1: good, and *ret_next is the tile behind it; 0: damage, with words; negative. */
static int check_one(const hf_verify_work *work, hf_store *store, uint64_t tile, uint64_t indexed,
                     uint64_t *ret_next, int *ret_old, hf_error *reterr) {
  unsigned level = 0;
  uint64_t number = 0;
  hf_index *index = NULL;
  hf_index_covering(tile, indexed, &level, &number);
  int got = hf_index_open(store, level, number, &index, reterr);
  if (got != 1)
    return got;
  int status = hf_index_check_body(index, reterr);
  if (status == HF_OK)
    status = check_tiles(work, index, ret_old, reterr);
  hf_index_close(index);
  *ret_next = (number + 1) * hf_index_tiles(level);
  return status == HF_OK ? 1 : status == HF_ENOMEM ? status : 0;
}

/* 1: all good; 0: damage; negative. *ret_indexed: tiles. Merges may be under way: then the mark has
 * moved. */
static int check_all(const hf_verify_work *work, hf_store *store, int *ret_old,
                     uint64_t *ret_indexed, hf_error *reterr) {
  uint64_t tile = 0;
  uint64_t indexed = 0;
  int status = hf_index_mark_length(store, &indexed, reterr);
  for (int tries = 0; status == HF_OK && tile < indexed;) {
    uint64_t now = indexed;
    int got = check_one(work, store, tile, indexed, &tile, ret_old, reterr);
    if (got == 1)
      continue;
    status = got < 0 ? got : hf_index_mark_length(store, &now, reterr);
    if (status != HF_OK || now == indexed || ++tries == INDEX_TRIES_MAX)
      return status != HF_OK ? status : 0;
    indexed = now;
    tile = 0;
    *ret_old = 0;
  }
  *ret_indexed = indexed;
  return status == HF_OK ? 1 : status;
}

/* Something else in the place of index/mark: no index counts, and none could be made. */
static int check_mark_name(hf_verify_work *work, int index_fd, hf_error *reterr) {
  int is = hf_verify_name(index_fd, HF_MARK_NAME, "index", NULL, NULL, reterr);
  if (is < 0 || is == HF_NAME_ABSENT || is == HF_NAME_FILE)
    return is < 0 ? is : HF_OK;
  return hf_verify_foreign(work, index_fd, "index", HF_MARK_NAME, 0,
                           hf_verify_name_text((hf_kind_of_name)is), reterr);
}

/* Tiles that were there before the walk began, and that no index is of by now. */
static void say_missing(hf_verify_work *work, uint64_t indexed) {
  uint64_t tiles = work->tile_mark_length;
  if (tiles > work->tiles_count)
    tiles = work->tiles_count;
  if (work->repair != NULL || tiles <= indexed) /* a repair makes them: repair_index.c */
    return;
  hf_verify_say(work, HF_SAY_REMARK, "index", 0, "index",
                "%" PRIu64 " of %" PRIu64 " tiles have no index: their records are read instead, "
                "which costs time. holdfast pack makes it, and verify --repair does",
                tiles - indexed, tiles);
}

/* Under the repair's lock; what was found is told of when they are made anew. */
static int forget(hf_verify_work *work, int index_fd, unsigned how, const hf_error *why,
                  hf_error *reterr) {
  hf_verify_forgotten *forgotten = &work->forgotten;
  int status = hf_repair_still_ours(work, reterr);
  if (status == HF_OK)
    status = hf_index_forget(index_fd, reterr);
  if (status != HF_OK)
    return status;
  forgotten->is = 1;
  forgotten->how = how | HF_SAY_REPAIRED;
  (void)snprintf(forgotten->place, sizeof forgotten->place, "%s",
                 why->place[0] == 'i' ? why->place : "index");
  (void)snprintf(forgotten->why, sizeof forgotten->why, "%s", why->message);
  return HF_OK;
}

int hf_verify_index(hf_verify_work *work, hf_error *reterr) {
  hf_autofd int fd = -1;
  hf_error why = HF_ERROR_INIT;
  if (hf_verify_name(work->root_fd, "index", "", NULL, NULL, NULL) != HF_NAME_FOLDER ||
      hf_dir_open(work->root_fd, "index", &fd, NULL) != HF_OK)
    return HF_OK; /* nothing is lost by it */
  int status = check_mark_name(work, fd, reterr);
  if (status != HF_OK)
    return status;
  hf_autofree hf_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return hf_err_nomem(reterr);
  store->index_fd = fd;
  store->shared = 1; /* read, not mapped: the file may be cut short at any time */
  int old = 0;
  uint64_t indexed = 0;
  int good = check_all(work, store, &old, &indexed, &why);
  if (good == 1 && old > 0)
    hf_verify_say(
        work, HF_SAY_REMARK, "leftover", 0, "index",
        "%d tiles were written anew by gc since their index was made, which hides nothing "
        "and costs time; the next holdfast gc makes it anew",
        old);
  if (good == 1)
    say_missing(work, indexed);
  if (good == 1)
    return HF_OK;
  if (good == HF_ENOMEM)
    return hf_err_nomem(reterr);
  /* a tile that is damaged, and named, has another CRC as well */
  unsigned how = work->report->damaged > 0 ? HF_SAY_REMARK : HF_SAY_DAMAGE;
  if (work->repair != NULL)
    return forget(work, fd, how, &why, reterr);
  hf_verify_say(work, how, "index", 0, why.place[0] == 'i' ? why.place : "index",
                "%s; no record is lost by it, but it may hide some. verify --repair makes all "
                "indexes anew",
                why.message);
  return HF_OK;
}
