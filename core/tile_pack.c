/* Packing (ARCHITECTURE, tiles): builds full tiles of loose records, and frees the loose names.
 * Only packing ever frees a name. Deterministic, so it takes no lock. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "index.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

static const char tile_mark_place[] = "tile/" HF_MARK_NAME;

/* The tile's bytes: its 256 lines, as they stand in the log. */
static int build(hf_store *store, uint64_t tile, hf_buf *out, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  for (uint64_t seq = tile * HF_TILE_RECORDS + 1; seq <= (tile + 1) * HF_TILE_RECORDS; seq++) {
    (void)pthread_mutex_lock(&store->view_mutex);
    hf_row row;
    int status = hf_view_row(&store->view, seq, &row, reterr);
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (status == HF_OK)
      status = hf_log_load(store, seq, &row, &text, &line, reterr);
    if (status != HF_OK)
      return status;
    (void)hf_buf_add(out, text.data, text.used);
    if (hf_buf_add_char(out, '\n') != 0)
      return hf_err_nomem(reterr);
  }
  return HF_OK;
}

/* Publishes it; that it exists already is as good: another packer built the same bytes (they are
 * compared later). */
static int publish(hf_store *store, uint64_t tile, const hf_buf *text, hf_error *reterr) {
  char folder[HF_TILE_NAME_BYTES];
  char name[HF_TILE_NAME_BYTES];
  char staged[HF_ID_CHARS + 1];
  hf_autofd int fd = -1;
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  (void)snprintf(folder, sizeof folder, "%03llu", (unsigned long long)(tile / HF_TILES_PER_FOLDER));
  hf_tile_name(tile, name);
  status = hf_file_create(store->stage_fd, staged, text->data, text->used, 1, reterr);
  if (status == HF_OK)
    status = hf_dir_make(store->tile_fd, folder, &fd, NULL, reterr);
  if (status != HF_OK) {
    (void)hf_sys_unlink(store->stage_fd, staged, 0);
    return status;
  }
  int failed = store->rename_mode
                   ? hf_sys_rename(store->stage_fd, staged, store->tile_fd, name, RENAME_NOREPLACE)
                   : hf_sys_link(store->stage_fd, staged, store->tile_fd, name);
  int sys_errno = errno;
  (void)hf_sys_unlink(store->stage_fd, staged, 0);
  if (failed != 0 && sys_errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot put the tile in place");
  status = hf_dir_fsync(fd, "tile", reterr);
  return status == HF_OK ? hf_dir_fsync(store->tile_fd, "tile", reterr) : status;
}

static int fsync_mark(int dirfd, const char *place, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(dirfd, HF_MARK_NAME, O_WRONLY, 0);
  if (fd < 0 || hf_sys_fsync(fd) != 0 || hf_sys_close(hf_fd_take(&fd)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "cannot make the mark durable");
  return HF_OK;
}

static int extend_tile_mark(hf_store *store, uint64_t tile, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(store->tile_fd, HF_MARK_NAME, O_WRONLY, 0);
  if (fd < 0 || hf_sys_pwrite_full(fd, "t", 1, (off_t)tile) != 0 || hf_sys_fsync(fd) != 0 ||
      hf_sys_close(hf_fd_take(&fd)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, tile_mark_place, "cannot extend the mark");
  return HF_OK;
}

/* Frees the loose names, once every line is known to stand in the tile. */
static int free_names(hf_store *store, uint64_t tile, const hf_buf *text, hf_error *reterr) {
  hf_autobuf there = {0};
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(tile, name);
  int got = hf_tile_read(store, tile, &there, reterr);
  if (got < 0)
    return got;
  if (got == 0 || there.used != text->used || memcmp(there.data, text->data, text->used) != 0)
    return hf_err(reterr, HF_EDAMAGED, name,
                  "the tile differs from its loose records, which are kept; run holdfast verify");
  for (uint64_t seq = tile * HF_TILE_RECORDS + 1; seq <= (tile + 1) * HF_TILE_RECORDS; seq++) {
    char loose[HF_LOG_NAME_BYTES];
    (void)pthread_mutex_lock(&store->view_mutex);
    hf_row row;
    int status = hf_view_row(&store->view, seq, &row, reterr);
    (void)pthread_mutex_unlock(&store->view_mutex);
    if (status != HF_OK)
      return status;
    if (row.in_tile || row.file_first != seq)
      continue;
    hf_log_name(seq, loose);
    (void)hf_sys_unlink(store->log_fd, loose, 0); /* another packer may have done it */
  }
  return HF_OK;
}

/* ---- what a packer left that was killed while it freed names ---- */

typedef struct leftovers {
  hf_store *store;
  uint64_t tile;
  const hf_buf *text; /* of that tile */
  hf_lines lines;
} leftovers;

/* A loose file of the tile, whose every line stands in the tile: freed. Any other stays, for verify
 * to name. */
static int free_leftover(void *context, const char *name, hf_error *reterr) {
  leftovers *of = context;
  char loose[HF_LOG_NAME_BYTES];
  hf_autobuf there = {0};
  (void)reterr;
  uint64_t seq = strtoull(name, NULL, 10);
  hf_log_name(seq, loose);
  if (seq == 0 || hf_tile_of(seq) != of->tile || strcmp(loose, name) != 0)
    return HF_OK;
  size_t i = (size_t)((seq - 1) % HF_TILE_RECORDS);
  size_t offset = of->lines.line[i].offset;
  if (of->lines.line[i].intact &&
      hf_file_read(of->store->log_fd, name, HF_LOG_FILE_BYTES_MAX, &there, NULL) == 1 &&
      there.used > 0 && there.used <= of->text->used - offset &&
      memcmp(there.data, of->text->data + offset, there.used) == 0)
    (void)hf_sys_unlink(of->store->log_fd, name, 0);
  return HF_OK;
}

static int finish_last(hf_store *store, uint64_t tiles, hf_error *reterr) {
  hf_autobuf text = {0};
  leftovers of = {.store = store, .tile = tiles - 1, .text = &text};
  if (tiles == 0)
    return HF_OK;
  int got = hf_tile_read(store, of.tile, &text, reterr);
  if (got <= 0)
    return got; /* gone: verify says so */
  hf_lines_split(text.data, text.used, HF_TILE_RECORDS, &of.lines);
  return hf_dir_each(store->log_fd, "log", free_leftover, &of, reterr);
}

static int pack_one(hf_store *store, uint64_t tile, hf_error *reterr) {
  hf_autobuf text = {0};
  int status = build(store, tile, &text, reterr);
  if (status == HF_OK)
    status = publish(store, tile, &text, reterr);
  if (status == HF_OK)
    status = fsync_mark(store->log_fd, "log/" HF_MARK_NAME, reterr);
  if (status == HF_OK)
    status = extend_tile_mark(store, tile, reterr);
  return status == HF_OK ? free_names(store, tile, &text, reterr) : status;
}

int hf_tile_pack(hf_store *store, uint64_t *ret_packed, hf_error *reterr) {
  uint64_t tiles = 0;
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = hf_store_prepare_to_write(store, reterr);
  if (status != HF_OK)
    return status;
  (void)pthread_mutex_lock(&store->view_mutex);
  status = hf_log_refresh(store, 0, reterr);
  if (status == HF_OK)
    status = hf_log_settle(store, reterr);
  /* a hint, but packing wants it whole */
  if (status == HF_OK && store->mark_length < store->view.head)
    status = hf_err(reterr, HF_EIO, "log/" HF_MARK_NAME, "the mark cannot be extended");
  uint64_t head = store->view.head;
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (status == HF_OK)
    status = hf_tile_mark_length(store, &tiles, reterr);
  *ret_packed = 0;
  if (status == HF_OK)
    status = finish_last(store, tiles, reterr);
  for (; status == HF_OK && (tiles + 1) * HF_TILE_RECORDS <= head; tiles++) {
    status = pack_one(store, tiles, reterr);
    *ret_packed += status == HF_OK;
  }
  if (status == HF_OK) {
    uint64_t built = 0;
    hf_error why = HF_ERROR_INIT;
    if (hf_index_build(store, &built, &why) != HF_OK) /* derived: everything works without */
      hf_store_log(store, HF_LOG_WARNING, "%s: %s", why.place, why.message);
  }
  return status;
}
