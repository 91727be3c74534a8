/* The indexes: what index/mark tells of is there, whole, and made of the tiles that stand beside
 * it. A wrong one could hide a record from those who look it up, so it is damage, though nothing is
 * lost by it: a repair forgets them all, and packing makes them anew. */
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "index.h"
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

/* 1: all good; 0: damage; negative. Merges may be under way: then the mark has moved. */
static int check_all(const hf_verify_work *work, hf_store *store, int *ret_old, hf_error *reterr) {
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
  return status == HF_OK ? 1 : status;
}

int hf_verify_index(hf_verify_work *work, hf_error *reterr) {
  hf_autofd int fd = -1;
  hf_error why = HF_ERROR_INIT;
  if (hf_verify_name(work->root_fd, "index", "", NULL, NULL, NULL) != HF_NAME_FOLDER ||
      hf_dir_open(work->root_fd, "index", &fd, NULL) != HF_OK)
    return HF_OK; /* nothing is lost by it */
  hf_autofree hf_store *store = calloc(1, sizeof *store);
  if (store == NULL)
    return hf_err_nomem(reterr);
  store->index_fd = fd;
  store->shared = 1; /* read, not mapped: the file may be cut short at any time */
  int old = 0;
  int good = check_all(work, store, &old, &why);
  if (good == 1 && old > 0)
    hf_verify_say(
        work, HF_SAY_REMARK, "leftover", 0, "index",
        "%d tiles were written anew by gc since their index was made, which hides nothing "
        "and costs time; the next holdfast gc makes it anew",
        old);
  if (good == 1)
    return HF_OK;
  if (good == HF_ENOMEM)
    return hf_err_nomem(reterr);
  /* a tile that is damaged, and named, has another CRC as well */
  unsigned how = work->report->damaged > 0 ? HF_SAY_REMARK : HF_SAY_DAMAGE;
  if (work->repair != NULL) {
    int status = hf_index_forget(fd, reterr);
    if (status != HF_OK)
      return status;
    how |= HF_SAY_REPAIRED;
  }
  hf_verify_say(work, how, "index", 0, why.place[0] == 'i' ? why.place : "index",
                "%s; no record is lost by it, but it may hide some. %s", why.message,
                work->repair != NULL ? "All indexes are forgotten; holdfast pack makes them anew"
                                     : "verify --repair forgets it, holdfast pack makes it anew");
  return HF_OK;
}
