/* Packing tiles (docs/PROTOCOL.md, tiles), a few together where many are due: each takes every step
 * in its order, and they share the flushes of folders and marks. Deterministic, so it takes no
 * lock: any number of processes may do it at once, be stopped anywhere for any time, and be killed
 * at any instant.
 *
 * What a crash leaves: a staged file (swept); a tile beyond the mark (the next packer finds the
 * same bytes there); loose names of a tile that counts (tile_free.c). */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dropped.h"
#include "err.h"
#include "file.h"
#include "id.h"
#include "index_tile.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

/* Bytes before the one that counts, which are written with it. */
enum { TILE_MARK_AGAIN = 64, GROUP_BYTES_MAX = 8 * 1024 * 1024 };

static const char log_mark_place[] = "log/" HF_MARK_NAME;
static const char tile_mark_place[] = "tile/" HF_MARK_NAME;

typedef struct packing {
  hf_store *store;
  uint64_t tile;
  uint64_t first; /* its first seq */
  hf_row rows[HF_TILE_RECORDS];
  hf_buf text; /* the tile's bytes */
  /* All of it was read from this part, which holds nothing else. */
  int is_of_part;
  hf_sys_file part;
  hf_tile_index *index; /* of what was read; NULL: nobody wants it */
} packing;

/* Those that are packed together, one behind the other. */
typedef struct group {
  packing *tile[HF_TILE_GROUP];
  size_t count;
} group;

uint64_t hf_tiles_settled(hf_store *store) {
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t end = store->view.head;
  end = store->durable_head < end ? store->durable_head : end;
  end = store->mark_length < end ? store->mark_length : end;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return end / HF_TILE_RECORDS;
}

/* ---- the bytes ---- */

/* Writers refuse such a log, and so do packers: nothing of it is moved. view_mutex is held. */
static int check_view(const hf_view *view, hf_error *reterr) {
  if (view->damaged_count > 0)
    return hf_err(reterr, HF_EDAMAGED, NULL,
                  "seq %llu is damaged, so nothing is packed; run holdfast verify --repair first",
                  (unsigned long long)view->damaged_first);
  if (view->unknown_count > 0 || view->foreign_mode_seq > 0)
    return hf_err(reterr, HF_EVERSION, NULL,
                  "seq %llu was written by a newer Holdfast; use that one to pack",
                  (unsigned long long)(view->unknown_count > 0 ? view->unknown_first
                                                               : view->foreign_mode_seq));
  return HF_OK;
}

/* Every file lies whole in the tile. view_mutex is held. */
static int check_edges(const packing *work, const hf_view *view, hf_error *reterr) {
  uint64_t end = work->first + HF_TILE_RECORDS - 1;
  char name[HF_LOG_NAME_BYTES];
  for (size_t i = 0; i < HF_TILE_RECORDS; i++)
    if (work->rows[i].in_tile && work->store->shared) /* else it was read from the part */
      return hf_err(reterr, HF_EDAMAGED, tile_mark_place,
                    "it says that tile %llu is not full, and it was read; open the store again",
                    (unsigned long long)work->tile);
  hf_log_name(work->rows[0].file_first, name);
  if (work->rows[0].file_first == work->first &&
      (view->head == end || hf_view_row_in_memory(view, end + 1)->file_first == end + 1))
    return HF_OK;
  if (work->rows[0].file_first == work->first)
    hf_log_name(work->rows[HF_TILE_RECORDS - 1].file_first, name);
  return hf_err(reterr, HF_EDAMAGED, name,
                "its records lie on both sides of a tile's edge; run holdfast verify --repair");
}

/* The rows of the loose records. 1; 0: packed by another, and indexed already; negative. */
static int take_rows(packing *work, hf_error *reterr) {
  hf_store *store = work->store;
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = check_view(&store->view, reterr);
  if (status == HF_OK && store->view.head < work->first + HF_TILE_RECORDS - 1)
    status = hf_err(reterr, HF_EINTERNAL, NULL, "a tile that is not full was to be packed");
  int is_there = status == HF_OK && store->view.base < work->first;
  if (is_there) {
    memcpy(work->rows, hf_view_row_in_memory(&store->view, work->first), sizeof work->rows);
    status = check_edges(work, &store->view, reterr);
  }
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status != HF_OK ? status : is_there;
}

/* Appends a loose file whole. 1; 0: it is gone; negative. */
static int add_file(packing *work, const char *name, hf_error *reterr) {
  int got = hf_file_read(work->store->log_fd, name, HF_LOG_FILE_BYTES_MAX, &work->text, reterr);
  if (got == 0 && work->store->shared &&
      hf_log_forget_absence(work->store, name, NULL) == 1) /* this host remembered wrongly */
    got = hf_file_read(work->store->log_fd, name, HF_LOG_FILE_BYTES_MAX, &work->text, reterr);
  if (got < 0)
    hf_err_place_below(reterr, "log");
  return got;
}

/* Are these bytes the records that the view has read, each of them whole, and nothing else? */
static int is_as_read(const packing *work, size_t from, size_t i, size_t count,
                      hf_tile_index *index) {
  for (; count > 0; i++, count--) {
    hf_line line;
    size_t bytes = work->rows[i].line_bytes;
    const char *text = work->text.data + from;
    if (work->text.used - from <= bytes || text[bytes] != '\n' ||
        hf_line_decode(text, bytes, &line, NULL) != HF_OK ||
        memcmp(&line.id, &work->rows[i].id, sizeof line.id) != 0)
      return 0;
    if (index != NULL)
      hf_tile_index_add(index, &line, from, bytes);
    from += bytes + 1;
  }
  return from == work->text.used;
}

/* Appends what was read from the part. 1; 0: it is gone; negative. */
static int add_part(packing *work, size_t i, size_t count, hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  hf_buf *text = &work->text;
  size_t bytes = 0;
  for (size_t k = 0; k < count; k++)
    bytes += work->rows[i + k].line_bytes + 1;
  hf_part_name(work->tile, name);
  hf_autofd int fd = hf_sys_openat(work->store->tile_fd, name, O_RDONLY, 0);
  if (fd < 0 && errno == ENOENT)
    return 0;
  if (hf_buf_reserve(text, bytes) != 0)
    return hf_err_nomem(reterr);
  ssize_t got =
      fd < 0 ? -1
             : hf_sys_pread_full(fd, text->data + text->used, bytes, (off_t)work->rows[i].offset);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot read");
  text->used += (size_t)got;
  work->is_of_part = count == HF_TILE_RECORDS && work->rows[i].offset == 0 &&
                     hf_sys_identify(fd, "", &work->part) == 0 && work->part.bytes == bytes;
  return 1;
}

/* How many rows from i on stand in the same file. */
static size_t same_file(const packing *work, size_t i) {
  const hf_row *first = &work->rows[i];
  size_t count = 1;
  for (; i + count < HF_TILE_RECORDS; count++) {
    const hf_row *row = &work->rows[i + count];
    if (row->in_tile != first->in_tile || (!row->in_tile && row->file_first != first->file_first))
      break;
  }
  return count;
}

/* Appends a file that this handle has committed itself, from memory. 1; 0: it is not kept. */
static int add_own(packing *work, size_t i, size_t count, hf_error *reterr) {
  size_t from = work->text.used;
  int got = hf_own_add(&work->store->own_lines, work->rows[i].file_first, &work->text);
  if (got < 0)
    return hf_err_nomem(reterr);
  if (got == 0 || is_as_read(work, from, i, count, NULL) || HF_PLANTED(KEEP_TRIED))
    return got;
  work->text.used = from;
  return 0;
}

static int add_rows(packing *work, size_t i, size_t count, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  if (work->rows[i].in_tile)
    return add_part(work, i, count, reterr);
  int got = add_own(work, i, count, reterr);
  hf_log_name(work->rows[i].file_first, name);
  return got != 0 ? got : add_file(work, name, reterr);
}

/* Builds it of the loose files, of this handle's own lines and of the part. 1; 0: another packer
 * was faster, and has freed names. */
static int build(packing *work, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  uint64_t tiles = 0;
  for (size_t i = 0, count; i < HF_TILE_RECORDS; i += count) {
    size_t from = work->text.used;
    count = same_file(work, i);
    int got = add_rows(work, i, count, reterr);
    if (got < 0)
      return got;
    if (got == 1 && (is_as_read(work, from, i, count, work->index) || HF_PLANTED(KEEP_TRIED)))
      continue;
    hf_log_name(work->rows[i].file_first, name);
    /* Gone, or, on a freed name, the file of a writer who slept: what the mark says now decides. */
    int status = hf_tile_mark_length(work->store, &tiles, reterr);
    if (status != HF_OK || work->tile < tiles)
      return status;
    return hf_err(reterr, HF_EDAMAGED, name,
                  "it is gone, or not what it was when it was read; run holdfast verify");
  }
  /* found, and yet a tile that counts by now wins */
  int status = hf_tile_mark_length(work->store, &tiles, reterr);
  return status != HF_OK ? status : work->tile >= tiles;
}

/* ---- the tile ---- */

static int open_folder(const packing *work, int *ret_fd, hf_error *reterr) {
  char folder[HF_TILE_NAME_BYTES];
  (void)snprintf(folder, sizeof folder, "%03llu",
                 (unsigned long long)(work->tile / HF_TILES_PER_FOLDER));
  return hf_dir_make(work->store->tile_fd, folder, ret_fd, NULL, reterr);
}

/* The name is not durable yet. */
static int publish_staged(const packing *work, const char *staged, hf_error *reterr) {
  const hf_store *store = work->store;
  char name[HF_TILE_NAME_BYTES];
  hf_autofd int fd = -1;
  hf_tile_name(work->tile, name);
  int status = open_folder(work, &fd, reterr);
  if (status != HF_OK)
    return status;
  int failed = store->rename_mode
                   ? hf_sys_rename(store->stage_fd, staged, store->tile_fd, name, RENAME_NOREPLACE)
                   : hf_sys_link(store->stage_fd, staged, store->tile_fd, name);
  if (failed != 0 && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot put the tile in place");
  return HF_OK;
}

static int is_first_in_folder(const group *all, size_t i) {
  return i == 0 || all->tile[i]->tile % HF_TILES_PER_FOLDER == 0;
}

/* Makes the names durable: of each folder that they are in, and of the folders themselves. */
static int fsync_names(const group *all, hf_error *reterr) {
  int status = HF_OK;
  if (HF_PLANTED(FREE_BEFORE_TILE_DURABLE))
    return HF_OK;
  for (size_t i = 0; i < all->count && status == HF_OK; i++) {
    hf_autofd int fd = -1;
    if (!is_first_in_folder(all, i))
      continue;
    status = open_folder(all->tile[i], &fd, reterr);
    if (status == HF_OK)
      status = hf_dir_fsync(fd, "tile", reterr);
  }
  return status == HF_OK ? hf_dir_fsync(all->tile[0]->store->tile_fd, "tile", reterr) : status;
}

/* Does the open part hold these bytes and nothing else? */
static int is_the_part(const packing *work, int fd) {
  hf_autobuf there = {0};
  hf_sys_file file;
  return hf_sys_identify(fd, "", &file) == 0 && file.bytes == work->text.used &&
         hf_buf_reserve(&there, work->text.used) == 0 &&
         hf_sys_pread_full(fd, there.data, work->text.used, 0) == (ssize_t)work->text.used &&
         memcmp(there.data, work->text.data, work->text.used) == 0;
}

/* A part that holds all of the tile and nothing else becomes the staged file: nobody appends to it
 * any more. (Not where it holds copies of loose records: a flush that failed may have left them on
 * no disk, and nothing but the loose files stands for them.) It is fsynced, though the mark covers
 * its records: whoever extended that may have flushed between the append of the last one and the
 * cut behind it, so that the part's length is not durable. 1: it did. */
static int stage_part(const packing *work, const char *staged) {
  const hf_store *store = work->store;
  char name[HF_TILE_NAME_BYTES];
  for (size_t i = 0; i < HF_TILE_RECORDS; i++)
    if (!work->rows[i].in_tile && !HF_PLANTED(PACK_STAGES_COPIES))
      return 0;
  if (!work->rows[HF_TILE_RECORDS - 1].in_tile)
    return 0;
  hf_part_name(work->tile, name);
  hf_autofd int fd = hf_sys_openat(store->tile_fd, name, O_RDONLY, 0);
  if (fd < 0 || (!work->is_of_part && !is_the_part(work, fd)))
    return 0;
  if (!HF_PLANTED(JOURNAL_LENGTH_UNPROVEN) && hf_sys_fsync(fd) != 0)
    return 0;
  return hf_sys_link(store->tile_fd, name, store->stage_fd, staged) == 0;
}

/* A loose file that holds all of the tile becomes the staged file, too: it never changes. (Its
 * bytes are those that were read, or its name is free by now and another packer's tile is met;
 * either way they are compared.) 1: it did. */
static int stage_loose(const packing *work, const char *staged) {
  const hf_store *store = work->store;
  char name[HF_LOG_NAME_BYTES];
  if (store->shared || store->rename_mode || work->rows[0].in_tile ||
      same_file(work, 0) != HF_TILE_RECORDS)
    return 0;
  hf_log_name(work->first, name);
  hf_autofd int fd = hf_sys_openat(store->log_fd, name, O_RDONLY, 0);
  return fd >= 0 && hf_sys_fsync(fd) == 0 &&
         hf_sys_link(store->log_fd, name, store->stage_fd, staged) == 0;
}

/* Publishes it, made durable before; that it exists already is as good: another packer built the
 * same bytes (which is checked). */
static int publish(const packing *work, hf_error *reterr) {
  const hf_store *store = work->store;
  char staged[HF_ID_CHARS + 1];
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  if (stage_part(work, staged) || stage_loose(work, staged)) {
    status = publish_staged(work, staged, reterr);
    (void)hf_sys_unlink(store->stage_fd, staged, 0);
    return status;
  }
  status = hf_file_create(store->stage_fd, staged, work->text.data, work->text.used, 1, reterr);
  if (status != HF_OK)
    return status;
  status = publish_staged(work, staged, reterr);
  (void)hf_sys_unlink(store->stage_fd, staged, 0);
  return status;
}

/* Is the tile the very file that was read as its part? */
static int is_the_file_read(const packing *work, const char *name) {
  hf_sys_file tile;
  return work->is_of_part && hf_sys_identify(work->store->tile_fd, name, &tile) == 0 &&
         tile.device == work->part.device && tile.inode == work->part.inode &&
         tile.bytes == work->text.used;
}

/* Stands there, line by line, what was read? Asked before the tile counts: one that is damaged must
 * not win over whole records; and once more before names are freed. */
static int compare(const packing *work, hf_error *reterr) {
  hf_autobuf there = {0};
  char name[HF_TILE_NAME_BYTES];
  if (HF_PLANTED(FREE_WITHOUT_COMPARE))
    return HF_OK;
  hf_tile_name(work->tile, name);
  if (is_the_file_read(work, name))
    return HF_OK;
  int got = hf_tile_read(work->store, work->tile, &there, reterr);
  if (got < 0)
    return got;
  /* gc may have written it anew meanwhile */
  if (got == 0 || !hf_lines_are_forms_of(there.data, there.used, work->text.data, work->text.used))
    return hf_err(reterr, HF_EDAMAGED, name,
                  "the tile differs from its loose records, which are kept; run holdfast verify");
  return HF_OK;
}

/* ---- the marks ---- */

/* Bytes that never change: who writes them again changes nothing. They are, for whoever wrote them
 * first may have died before they were durable, and an fsync here would not send them (NFS).
 * Shared: O_DSYNC, else Linux's client of NFS writes the bytes around these, too, as it remembers
 * them, and so zeros over what others have written (seen on 6.1 with NFSv4.1). */
static int write_mark(const hf_store *store, int dirfd, const char *place, const char *bytes,
                      size_t count, uint64_t from, hf_error *reterr) {
  int flags = O_WRONLY | (store->shared ? O_DSYNC : 0);
  hf_autofd int fd = hf_sys_openat(dirfd, HF_MARK_NAME, flags, 0);
  if (fd < 0 || hf_sys_pwrite_full(fd, bytes, count, (off_t)from) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "cannot write the mark");
  if (!HF_PLANTED(FREE_BEFORE_TILE_DURABLE) && hf_sys_fsync(fd) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "cannot make the mark durable");
  if (hf_sys_close(hf_fd_take(&fd)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "cannot close the mark");
  return HF_OK;
}

/* The head is never below the tiles' end. */
static int secure_log_mark(const group *all, hf_error *reterr) {
  char bytes[HF_TILE_GROUP * HF_TILE_RECORDS];
  size_t count = 0;
  for (size_t k = 0; k < all->count; k++)
    for (size_t i = 0; i < HF_TILE_RECORDS; i++)
      bytes[count++] = (all->tile[k]->rows[i].flags & HF_ROW_FIRST) != 0 ? 'f' : '+';
  const hf_store *store = all->tile[0]->store;
  return write_mark(store, store->log_fd, log_mark_place, bytes, count, all->tile[0]->first - 1,
                    reterr);
}

int hf_tile_mark_secure(hf_store *store, uint64_t tiles, hf_error *reterr) {
  char bytes[TILE_MARK_AGAIN];
  uint64_t count = tiles < sizeof bytes ? tiles : sizeof bytes;
  memset(bytes, 't', sizeof bytes);
  return write_mark(store, store->tile_fd, tile_mark_place, bytes, (size_t)count, tiles - count,
                    reterr);
}

/* ---- the loose names ---- */

static void free_names(const packing *work) {
  for (size_t i = 0; i < HF_TILE_RECORDS; i++) {
    char name[HF_LOG_NAME_BYTES];
    if (work->rows[i].file_first != work->first + i || work->rows[i].in_tile)
      continue;
    hf_log_name(work->first + i, name);
    (void)hf_sys_unlink(work->store->log_fd, name, 0); /* what stays is found by tile_free.c */
  }
  if (!work->store->shared)
    hf_tile_free_part(work->store, work->tile);
}

/* This handle reads them from the tile from now on. */
static void move_rows(const packing *work) {
  hf_view *view = &work->store->view;
  uint32_t offset = 0;
  (void)pthread_mutex_lock(&work->store->view_mutex);
  for (size_t i = 0; i < HF_TILE_RECORDS; i++) {
    if (work->first + i <= view->base) /* indexed by another meanwhile */
      continue;
    hf_row *row = &view->rows[work->first + i - view->base - 1];
    row->file_first = work->first + i;
    row->offset = offset;
    row->in_tile = 1;
    offset += row->line_bytes + 1;
  }
  (void)pthread_mutex_unlock(&work->store->view_mutex);
}

static void free_packing(packing *work) {
  hf_buf_free(&work->text);
  free(work->index);
  free(work);
}

/* Adds the next tile, with its bytes. 1; 0: packed by another meanwhile; negative. */
static int add_tile(group *all, hf_store *store, uint64_t tile, int indexes, hf_error *reterr) {
  packing *work = calloc(1, sizeof *work);
  if (work == NULL)
    return hf_err_nomem(reterr);
  work->store = store;
  work->tile = tile;
  work->first = tile * HF_TILE_RECORDS + 1;
  work->index = indexes ? malloc(sizeof *work->index) : NULL; /* derived: nobody needs it */
  if (work->index != NULL)
    hf_tile_index_begin(work->index, tile);
  int got = take_rows(work, reterr);
  if (got == 1)
    got = build(work, reterr);
  if (got == 1) {
    all->tile[all->count++] = work;
    return 1;
  }
  free_packing(work);
  return got;
}

/* The first one, and behind it as many as can be had; what is wrong with one of those is met when
 * it is the first. 1, 0, negative. */
static int take_group(group *all, hf_store *store, uint64_t tile, size_t most, int indexes,
                      hf_error *reterr) {
  uint64_t settled = hf_tiles_settled(store);
  size_t bytes = 0;
  int got = add_tile(all, store, tile, indexes, reterr);
  while (got == 1 && all->count < most && all->count < HF_TILE_GROUP &&
         tile + all->count < settled) {
    bytes += all->tile[all->count - 1]->text.used;
    if (bytes > GROUP_BYTES_MAX || add_tile(all, store, tile + all->count, indexes, NULL) != 1)
      break;
  }
  return got;
}

static int compare_all(const group *all, hf_error *reterr) {
  int status = HF_OK;
  for (size_t k = 0; k < all->count && status == HF_OK; k++)
    status = compare(all->tile[k], reterr);
  return status;
}

static void free_all(const group *all) {
  for (size_t k = 0; k < all->count; k++)
    free_names(all->tile[k]);
}

static int pack(const group *all, hf_error *reterr) {
  int status = HF_OK;
  for (size_t k = 0; k < all->count && status == HF_OK; k++)
    status = publish(all->tile[k], reterr);
  if (status == HF_OK)
    status = fsync_names(all, reterr);
  if (status == HF_OK)
    status = compare_all(all, reterr);
  if (status == HF_OK && HF_PLANTED(FREE_BEFORE_TILE_DURABLE))
    free_all(all);
  if (status == HF_OK)
    status = secure_log_mark(all, reterr);
  if (status == HF_OK)
    status = hf_tile_mark_secure(all->tile[0]->store, all->tile[0]->tile + all->count, reterr);
  if (status == HF_OK)
    status = compare_all(all, reterr);
  if (status != HF_OK)
    return status;
  for (size_t k = 0; k < all->count; k++)
    move_rows(all->tile[k]);
  free_all(all);
  return 1;
}

/* What was learned of the tile, for its index, where it is the file that was read. */
static void hand_over(packing *work, hf_tile_indexes *known) {
  if (work->index == NULL || !work->is_of_part || work->index->count != HF_TILE_RECORDS)
    return;
  hf_tile_index_end(work->index, work->text.data, work->text.used);
  hf_tile_indexes_put(known, &work->part, &work->index);
}

int hf_tile_pack(hf_store *store, uint64_t tile, size_t most, hf_tile_indexes *known,
                 hf_tile_packed *ret_packed, hf_error *reterr) {
  group all = {{NULL}, 0};
  int got = take_group(&all, store, tile, most, known != NULL, reterr);
  if (got == 1)
    got = pack(&all, reterr);
  for (size_t k = 0; k < all.count && got == 1 && known != NULL; k++)
    hand_over(all.tile[k], known);
  if (ret_packed != NULL && got == 1)
    *ret_packed = (hf_tile_packed){all.count};
  for (size_t k = 0; k < all.count; k++)
    free_packing(all.tile[k]);
  return got;
}
