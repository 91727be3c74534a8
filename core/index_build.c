/* Makes indexes: one of a tile from its lines, one of the next level from sixteen.
 *
 * Whoever packs calls it. Each file is written to stage/, made durable, linked to its name and the
 * name made durable, before index/mark tells of it; those of up to HF_INDEX_FAN tiles share the
 * flushes of folders and of the mark. Where all sixteen tiles of a merge are there, theirs are made
 * in memory alone. What a crash leaves is a file that the next builder finds (EEXIST: another
 * builder made the same bytes), or a leftover in stage/. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "index.h"
#include "index_tile.h"
#include "index_write.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

static const char mark_place[] = "index/" HF_MARK_NAME;

enum { TELL_EACH_BYTES = 1 << 22 };

int hf_index_tell(const hf_index_teller *teller, hf_error *reterr) {
  if (teller == NULL || teller->progress == NULL ||
      teller->progress(teller->context, "tiles indexed", teller->done, teller->total) == 0)
    return HF_OK;
  return hf_err(reterr, HF_ECANCELLED, NULL,
                "stopped after %llu tiles were indexed; the others are read instead",
                (unsigned long long)teller->done);
}

/* ---- a file that is being written ---- */

void hf_index_write_flush(hf_index_writer *out) {
  if (out->memory != NULL)
    memcpy(out->memory + out->at, out->bytes, out->used);
  else if (out->status == HF_OK &&
           hf_sys_pwrite_full(out->fd, out->bytes, out->used, (off_t)out->at) != 0)
    out->status = hf_err_sys(out->reterr, HF_EIO, errno, "stage", "cannot write the index");
  out->crc = hf_crc32c(out->crc, out->bytes, out->used);
  out->at += out->used;
  out->used = 0;
  if (out->status == HF_OK && out->at - out->told_at >= TELL_EACH_BYTES) {
    out->told_at = out->at;
    out->status = hf_index_tell(out->teller, out->reterr);
  }
}

void hf_index_write(hf_index_writer *out, const char *bytes, size_t count) {
  if (out->used + count > sizeof out->bytes)
    hf_index_write_flush(out);
  memcpy(out->bytes + out->used, bytes, count);
  out->used += count;
}

/* ---- putting it in place ---- */

static int put_in_place(hf_store *store, const char *staged, unsigned level, uint64_t number,
                        int replace, hf_index_names *names, hf_error *reterr) {
  char folder[HF_INDEX_NAME_BYTES];
  char name[HF_INDEX_NAME_BYTES];
  hf_autofd int fd = -1;
  (void)snprintf(folder, sizeof folder, "%u", level);
  hf_index_name(level, number, name);
  int status = hf_dir_make(store->index_fd, folder, &fd, NULL, reterr);
  if (status != HF_OK)
    return status;
  int failed = replace || store->rename_mode
                   ? hf_sys_rename(store->stage_fd, staged, store->index_fd, name,
                                   replace ? 0 : RENAME_NOREPLACE)
                   : hf_sys_link(store->stage_fd, staged, store->index_fd, name);
  if (failed != 0 && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot put the index in place");
  *names |= 1U << level;
  return HF_OK;
}

static int fsync_names(hf_store *store, hf_index_names names, hf_error *reterr) {
  int status = HF_OK;
  if (HF_PLANTED(INDEX_NOT_DURABLE))
    return HF_OK;
  for (unsigned level = 0; level <= HF_INDEX_LEVEL_MAX && status == HF_OK; level++) {
    char folder[HF_INDEX_NAME_BYTES];
    hf_autofd int fd = -1;
    if ((names >> level & 1) == 0)
      continue;
    (void)snprintf(folder, sizeof folder, "%u", level);
    status = hf_dir_make(store->index_fd, folder, &fd, NULL, reterr);
    if (status == HF_OK)
      status = hf_dir_fsync(fd, "index", reterr);
  }
  return status == HF_OK ? hf_dir_fsync(store->index_fd, "index", reterr) : status;
}

int hf_index_write_file(hf_store *store, hf_index_header *header, hf_index_body_fn body,
                        void *context, hf_index_names *names, hf_error *reterr) {
  char staged[HF_ID_CHARS + 1];
  char bytes[HF_INDEX_HEADER_BYTES];
  hf_index_names own = 0;
  hf_id id;
  hf_autofree hf_index_writer *out = calloc(1, sizeof *out);
  if (out == NULL)
    return hf_err_nomem(reterr);
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  hf_autofd int fd = hf_sys_openat(store->stage_fd, staged, O_WRONLY | O_CREAT | O_EXCL, 0666);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, "stage", "cannot make a file for an index");
  out->fd = fd;
  out->at = sizeof bytes;
  out->reterr = reterr;
  status = body(context, header, out);
  hf_index_write_flush(out);
  if (status == HF_OK)
    status = out->status;
  header->body_crc = out->crc;
  hf_index_header_put(header, bytes);
  if (status == HF_OK && hf_sys_pwrite_full(fd, bytes, sizeof bytes, 0) != 0)
    status = hf_err_sys(reterr, HF_EIO, errno, "stage", "cannot write the index");
  if (status == HF_OK && !HF_PLANTED(INDEX_NOT_DURABLE) && hf_sys_fsync(fd) != 0)
    status = hf_err_sys(reterr, HF_EIO, errno, "stage", "fsync of the index failed");
  if (hf_sys_close(hf_fd_take(&fd)) != 0 && status == HF_OK)
    status = hf_err_sys(reterr, HF_EIO, errno, "stage", "cannot close the index");
  if (status == HF_OK)
    status = put_in_place(store, staged, header->level, header->number, names == NULL,
                          names != NULL ? names : &own, reterr);
  if (status == HF_OK && names == NULL)
    status = fsync_names(store, own, reterr);
  (void)hf_sys_unlink(store->stage_fd, staged, 0);
  return status;
}

/* ---- making one ---- */

typedef struct building {
  hf_store *store;
  hf_tile_indexes *known;
  const hf_index_teller *teller;
  hf_index_names names; /* that are not durable yet */
} building;

/* 1; 0: the tile has damage; negative. */
static int tile_index(building *work, uint64_t number, hf_tile_index **ret_index,
                      hf_error *reterr) {
  *ret_index = NULL;
  int status = hf_index_tell(work->teller, reterr);
  if (status != HF_OK)
    return status;
  *ret_index = hf_tile_indexes_take(work->known, work->store, number);
  if (*ret_index != NULL)
    return 1;
  *ret_index = malloc(sizeof **ret_index);
  return *ret_index != NULL ? hf_tile_index_read(work->store, number, *ret_index, reterr)
                            : hf_err_nomem(reterr);
}

/* 1; 0: it cannot be made, for a tile has damage; negative. */
static int make_from_tile(building *work, uint64_t number, hf_error *reterr) {
  hf_autofree hf_tile_index *index = NULL;
  int got = tile_index(work, number, &index, reterr);
  if (got != 1)
    return got;
  int status = hf_index_write_file(work->store, &index->header, hf_tile_index_write, index,
                                   &work->names, reterr);
  return status == HF_OK ? 1 : status;
}

/* One that is merged at once, and has no name. 1; 0: the tile has damage; negative. */
static int make_in_memory(building *work, uint64_t number, hf_index **ret_index, hf_error *reterr) {
  hf_autofree hf_tile_index *tile = NULL;
  hf_autofree hf_index_writer *out = calloc(1, sizeof *out);
  hf_autofree hf_index *index = calloc(1, sizeof *index);
  if (out == NULL || index == NULL)
    return hf_err_nomem(reterr);
  int got = tile_index(work, number, &tile, reterr);
  if (got != 1)
    return got;
  index->fd = -1;
  index->header = tile->header;
  hf_index_lay_out(index);
  void *memory =
      mmap(NULL, (size_t)index->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return hf_err_nomem(reterr);
  out->memory = memory;
  out->at = HF_INDEX_HEADER_BYTES;
  (void)hf_tile_index_write(tile, &index->header, out);
  hf_index_write_flush(out);
  index->map = memory;
  *ret_index = index;
  index = NULL;
  return 1;
}

static int make(building *work, unsigned level, uint64_t number, hf_error *reterr);

/* Opens one to be merged, with all of its body checked: what is damaged in it would go on in a file
 * whose own CRC is right. 1; 0: it is not there or, of a single tile, which is read instead, not
 * whole; negative. */
static int open_whole(hf_store *store, unsigned level, uint64_t number, hf_index **ret_index,
                      hf_error *reterr) {
  char name[HF_INDEX_NAME_BYTES];
  hf_error why = HF_ERROR_INIT;
  int got = hf_index_open_to_copy(store, level, number, ret_index, reterr);
  if (got != 1 || hf_index_check_body(*ret_index, &why) == HF_OK)
    return got;
  hf_index_close(*ret_index);
  *ret_index = NULL;
  if (level == 0)
    return 0;
  hf_index_name(level, number, name);
  return hf_err(reterr, HF_EDAMAGED, name, "%s; holdfast verify --repair makes the indexes anew",
                why.message);
}

/* Opens the sixteen; makes those that are not there. */
static int open_parts(building *work, unsigned level, uint64_t number, hf_index **files,
                      hf_error *reterr) {
  for (uint64_t i = 0; i < HF_INDEX_FAN; i++) {
    uint64_t part = number * HF_INDEX_FAN + i;
    int got = open_whole(work->store, level - 1, part, &files[i], reterr);
    if (got == 0)
      got = level == 1 ? make_in_memory(work, part, &files[i], reterr)
                       : make(work, level - 1, part, reterr);
    if (got == 1 && files[i] == NULL)
      got = open_whole(work->store, level - 1, part, &files[i], reterr);
    if (got != 1)
      return got;
  }
  return 1;
}

typedef struct merging {
  hf_index *files[HF_INDEX_FAN];
  const hf_index_teller *teller;
} merging;

static int write_merged(void *context, const hf_index_header *header, hf_index_writer *out) {
  const merging *merge = context;
  out->teller = merge->teller;
  return hf_index_write_merged(merge->files, header, out);
}

static int make_merged(building *work, unsigned level, uint64_t number, hf_error *reterr) {
  merging merge = {.teller = work->teller};
  hf_index_header header = {
      .level = level, .number = number, .count = hf_index_tiles(level) * HF_TILE_RECORDS};
  int got = open_parts(work, level, number, merge.files, reterr);
  if (got == 1) {
    hf_index_join_headers(merge.files, &header);
    hf_index_plan_filters(&header);
    int status =
        hf_index_write_file(work->store, &header, write_merged, &merge, &work->names, reterr);
    got = status == HF_OK ? 1 : status;
  }
  for (size_t i = 0; i < HF_INDEX_FAN; i++)
    hf_index_close(merge.files[i]);
  return got;
}

static int make(building *work, unsigned level, uint64_t number, hf_error *reterr) {
  return level == 0 ? make_from_tile(work, number, reterr)
                    : make_merged(work, level, number, reterr);
}

/* The files below a new one of level 2 and more, two levels down: whoever still reads those has not
 * looked at the mark for 16 times as long as they cover. */
static void remove_old(hf_store *store, unsigned level, uint64_t number) {
  if (level < 2)
    return;
  uint64_t count = HF_INDEX_FAN * HF_INDEX_FAN;
  for (uint64_t i = 0; i < count; i++) {
    char name[HF_INDEX_NAME_BYTES];
    hf_index_name(level - 2, number * count + i, name);
    (void)hf_sys_unlink(store->index_fd, name, 0);
  }
}

/* The files that the mark is to tell of for these tiles, once it covers them. */
static int are_in_place(const hf_store *store, uint64_t from, uint64_t to) {
  int are = 1;
  for (uint64_t tile = from; tile < to && are; tile++) {
    char name[HF_INDEX_NAME_BYTES];
    unsigned level = 0;
    uint64_t number = 0;
    struct stat st;
    hf_index_covering(tile, to, &level, &number);
    hf_index_name(level, number, name);
    are = hf_sys_fstatat(store->index_fd, name, &st) == 0;
  }
  return are || HF_PLANTED(INDEX_MARK_BLIND);
}

/* Never over a gap: the mark is shorter, or a file is gone, where all was forgotten meanwhile
 * (hf_index_forget). Looked at when the mark is open: what happens to a mark that was taken away
 * harms nobody. Shared: O_DSYNC, else Linux's client of NFS may write the bytes around these, too,
 * as it remembers them. */
static int extend_mark(hf_store *store, uint64_t from, uint64_t to, hf_error *reterr) {
  char bytes[HF_INDEX_FAN];
  int flags = O_WRONLY | O_CREAT | (store->shared ? O_DSYNC : 0);
  hf_autofd int fd = hf_sys_openat(store->index_fd, HF_MARK_NAME, flags, 0666);
  struct stat st;
  int are_there = are_in_place(store, from, to);
  memset(bytes, 'i', sizeof bytes);
  if (fd >= 0 && hf_sys_fstat(fd, &st) == 0) {
    uint64_t told = HF_PLANTED(INDEX_MARK_OVER_GAP) ? from : (uint64_t)st.st_size;
    if (told > from) /* by another, who may have merged them into others since */
      return HF_OK;
    if (told < from || !are_there)
      return hf_err(
          reterr, HF_EIO, mark_place,
          "the indexes were forgotten while they were made; they are made anew next time");
  }
  if (fd < 0 || hf_sys_pwrite_full(fd, bytes, (size_t)(to - from), (off_t)from) != 0 ||
      hf_sys_fsync(fd) != 0 || hf_sys_close(hf_fd_take(&fd)) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, mark_place, "cannot extend the mark");
  return HF_OK;
}

/* The indexes of tiles from `from` on, up to the next merge that is due or to `tiles`, and the
 * merges. *ret_count: of so many. 1, 0 (the first has damage), negative. */
static int add_tiles(hf_store *store, hf_tile_indexes *known, const hf_index_teller *teller,
                     uint64_t from, uint64_t tiles, uint64_t *ret_count, hf_error *reterr) {
  building work = {.store = store, .known = known, .teller = teller};
  unsigned top = 0;
  uint64_t to = from;
  int got = 1;
  if (from % HF_INDEX_FAN == 0 && tiles - from >= HF_INDEX_FAN) {
    got = make(&work, 1, from / HF_INDEX_FAN, reterr);
    if (got < 0)
      return got;
    top = got == 1;
    to += got == 1 ? HF_INDEX_FAN : 0;
    got = 1; /* one of them has damage: those before it have their own */
  }
  while (got == 1 && to < tiles && (to == from || to % HF_INDEX_FAN != 0)) {
    got = make(&work, 0, to, reterr);
    to += got == 1;
  }
  if (to == from || got < 0)
    return got;
  got = 1; /* damage behind the first is met when it is the first */
  while (got == 1 && top < HF_INDEX_LEVEL_MAX && to % hf_index_tiles(top + 1) == 0) {
    top++;
    got = make(&work, top, (to - 1) / hf_index_tiles(top), reterr);
  }
  if (got != 1)
    return got;
  int status = fsync_names(store, work.names, reterr);
  if (status == HF_OK)
    status = extend_mark(store, from, to, reterr);
  if (status != HF_OK)
    return status;
  for (unsigned level = 2; level <= top; level++)
    remove_old(store, level, (to - 1) / hf_index_tiles(level));
  *ret_count = to - from;
  return 1;
}

/* teller's figures are filled in here. */
static int build(hf_store *store, int whole, hf_tile_indexes *known, hf_index_teller *teller,
                 uint64_t *ret_built, hf_error *reterr) {
  uint64_t tiles = 0;
  uint64_t indexed = 0;
  uint64_t built = 0;
  if (store->index_fd < 0)
    return HF_OK;
  int status = hf_tile_mark_length(store, &tiles, reterr);
  if (status == HF_OK)
    status = hf_index_mark_length(store, &indexed, reterr);
  if (whole)
    tiles -= tiles % HF_INDEX_FAN;
  while (status == HF_OK && indexed < tiles) {
    hf_error why = HF_ERROR_INIT;
    char name[HF_TILE_NAME_BYTES];
    hf_tile_name(indexed, name);
    uint64_t count = 0;
    teller->done = built;
    teller->total = built + (tiles - indexed);
    int got = add_tiles(store, known, teller, indexed, tiles, &count, &why);
    if (got == 0)
      got = hf_err(&why, HF_EDAMAGED, name,
                   "it has damage, so it and later tiles are not indexed; holdfast verify tells "
                   "more");
    if (got < 0) {
      if (reterr != NULL)
        *reterr = why;
      status = got;
      break;
    }
    built += count;
    uint64_t marked = 0; /* another may build as well */
    status = hf_index_mark_length(store, &marked, reterr);
    indexed = marked > indexed ? marked : indexed + count;
  }
  teller->done = teller->total = built;
  if (status == HF_OK && built > 0) /* what it answers changes nothing any more */
    (void)hf_index_tell(teller, NULL);
  if (ret_built != NULL)
    *ret_built = built;
  return status;
}

int hf_index_build(hf_store *store, int whole, hf_tile_indexes *known, uint64_t *ret_built,
                   hf_error *reterr) {
  hf_index_teller nobody = {0};
  return build(store, whole, known, &nobody, ret_built, reterr);
}

int hf_index_build_all(hf_store *store, hf_progress_fn progress, void *progress_context,
                       uint64_t *ret_built, hf_error *reterr) {
  hf_index_teller teller = {.progress = progress, .context = progress_context};
  return build(store, 0, NULL, &teller, ret_built, reterr);
}
