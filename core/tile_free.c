/* What packers left that were killed while they freed names: loose files of tiles that count. They
 * mean nothing (a tile wins), and cost a look each. */
#include <stdlib.h>
#include <string.h>

#include "dropped.h"
#include "err.h"
#include "file.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum { LEFT_FIRST = 64, PARTS_LOOKED_AT = 4 };

typedef struct leftovers {
  uint64_t tiles; /* that count */
  uint64_t *seqs;
  size_t count;
  size_t allocated;
} leftovers;

static int take_name(void *context, const char *name, hf_error *reterr) {
  leftovers *left = context;
  uint64_t seq = hf_log_seq_of_name(name);
  if (seq == 0 || hf_tile_of(seq) >= left->tiles)
    return HF_OK;
  if (left->count == left->allocated) {
    size_t wanted = left->allocated == 0 ? LEFT_FIRST : 2 * left->allocated;
    uint64_t *seqs = realloc(left->seqs, wanted * sizeof *seqs);
    if (seqs == NULL)
      return hf_err_nomem(reterr);
    left->seqs = seqs;
    left->allocated = wanted;
  }
  left->seqs[left->count++] = seq;
  return HF_OK;
}

static int by_number(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* Its lines, or what gc made of them, from `offset` on. */
static int stands_there(const hf_buf *loose, const hf_buf *tile, size_t offset) {
  const char *from = tile->data + offset;
  size_t end = offset;
  for (size_t at = 0; at < loose->used; at++) {
    if (loose->data[at] != '\n')
      continue;
    const char *newline = memchr(tile->data + end, '\n', tile->used - end);
    if (newline == NULL)
      return 0;
    end = (size_t)(newline - tile->data) + 1;
  }
  return hf_lines_are_forms_of(from, end - offset, loose->data, loose->used);
}

/* A loose file whose every byte stands in the tile is freed. Any other stays, for verify to name:
 * it may be that of a writer who slept, and who takes it back himself. */
static int free_one(hf_store *store, uint64_t seq, const hf_buf *tile, const hf_lines *lines) {
  hf_autobuf there = {0};
  char name[HF_LOG_NAME_BYTES];
  size_t i = (size_t)((seq - 1) % HF_TILE_RECORDS);
  size_t offset = lines->line[i].offset;
  hf_log_name(seq, name);
  return lines->line[i].intact &&
         hf_file_read(store->log_fd, name, HF_LOG_FILE_BYTES_MAX, &there, NULL) == 1 &&
         there.used > 0 && stands_there(&there, tile, offset) &&
         hf_sys_unlink(store->log_fd, name, 0) == 0;
}

static int free_all(hf_store *store, const leftovers *left, uint64_t *ret_freed, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_lines lines;
  int got = 0;
  for (size_t i = 0; i < left->count; i++) {
    uint64_t seq = left->seqs[i];
    if (i == 0 || hf_tile_of(seq) != hf_tile_of(left->seqs[i - 1])) {
      hf_buf_clear(&text);
      got = hf_tile_read(store, hf_tile_of(seq), &text, reterr);
      if (got < 0)
        return got;
      hf_lines_split(got == 1 ? text.data : "", text.used, HF_TILE_RECORDS, &lines);
    }
    if (got == 1) /* a tile that is gone: verify says so */
      *ret_freed += (uint64_t)free_one(store, seq, &text, &lines);
  }
  return HF_OK;
}

void hf_tile_free_part(hf_store *store, uint64_t tile) {
  char name[HF_TILE_NAME_BYTES];
  hf_part_name(tile, name);
  (void)hf_sys_unlink(store->tile_fd, name, 0);
}

/* Is there one of the parts that would be freed? */
static int has_part(hf_store *store, uint64_t tiles) {
  char name[HF_TILE_NAME_BYTES];
  hf_sys_file file;
  int has = 0;
  for (uint64_t i = 0; !has && i < PARTS_LOOKED_AT && i < tiles; i++) {
    hf_part_name(tiles - 1 - i, name);
    has = hf_sys_identify(store->tile_fd, name, &file) == 0;
  }
  return has;
}

int hf_tile_free_leftovers(hf_store *store, uint64_t *ret_freed, hf_error *reterr) {
  leftovers left = {0};
  *ret_freed = 0;
  int status = hf_tile_mark_length(store, &left.tiles, reterr);
  if (status == HF_OK && left.tiles > 0)
    status = hf_dir_each(store->log_fd, "log", take_name, &left, reterr);
  /* the one who extended the mark may not have made it durable: a power loss would take the mark
   * back, and the names would be gone */
  int frees = left.count > 0 || (!store->shared && left.tiles > 0 && has_part(store, left.tiles) &&
                                 !HF_PLANTED(FREE_PART_UNSECURED));
  if (status == HF_OK && frees)
    status = hf_tile_mark_secure(store, left.tiles, reterr);
  if (status == HF_OK && left.count > 0) {
    qsort(left.seqs, left.count, sizeof *left.seqs, by_number);
    status = free_all(store, &left, ret_freed, reterr);
  }
  free(left.seqs);
  /* Those of a killed packer; a part of an older tile costs nobody a look. */
  for (uint64_t i = 0; status == HF_OK && !store->shared && i < PARTS_LOOKED_AT && i < left.tiles;
       i++)
    hf_tile_free_part(store, left.tiles - 1 - i);
  return status;
}
