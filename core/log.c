#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "index.h"
#include "log_rows.h"
#include "mark.h"
#include "plant.h"
#include "store_locker.h"
#include "sys.h"
#include "tile.h"
#include "tile_map.h"

#include "banned.h"

enum {
  FORGET_TRIES_MAX = 8,
  FORGET_BACKOFF_BASE_US = 2000,
  FORGET_BACKOFF_CAP_US = 500000,
  FORGET_WAIT_MS = 5000,
  /* records: there it is spared for its time alone, and index files wait */
  JOURNAL_LOOK_EVERY = 16,
  STALE_TRIES_MAX = 3, /* a writer tells its boot once */
  PILE_FILES_MAX = 32,
  PILE_BYTES = 4 * 1024 * 1024, /* that are in memory at once; one file more may come on top */
};

static const char scratch_text[] = "scratch: not a record\n";

int hf_log_forget_absence(hf_store *store, const char *name, hf_error *reterr) {
  hf_id id;
  char scratch[HF_ID_CHARS + 1];
  int status = hf_store_prepare_to_stage(store, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, scratch);
  status =
      hf_file_create(store->stage_fd, scratch, scratch_text, sizeof scratch_text - 1, 0, reterr);
  if (status != HF_OK)
    return status;
  int failed = store->rename_mode
                   ? hf_sys_rename(store->stage_fd, scratch, store->log_fd, name, RENAME_NOREPLACE)
                   : hf_sys_link(store->stage_fd, scratch, store->log_fd, name);
  int sys_errno = errno;
  if (failed == 0)
    (void)hf_sys_unlink(store->log_fd, name, 0);
  if (failed != 0 || !store->rename_mode)
    (void)hf_sys_unlink(store->stage_fd, scratch, 0);
  if (failed == 0)
    return 0;
  if (sys_errno == EEXIST)
    return 1;
  return hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot link a scratch file onto it");
}

/* Reads a loose file that the mark says exists. 1, 0 (it does not exist: a tile covers it, or it is
 * lost), negative. */
static int read_loose(hf_store *store, uint64_t first, hf_buf *out, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(first, name);
  int got = hf_file_read(store->log_fd, name, HF_LOG_FILE_BYTES_MAX, out, reterr);
  if (got < 0)
    hf_err_place_below(reterr, "log");
  return got;
}

int hf_log_read_loose_again(hf_store *store, uint64_t first, hf_buf *out, hf_error *reterr) {
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(first, name);
  int64_t deadline_ms = hf_deadline_ms(FORGET_WAIT_MS);
  for (unsigned i = 0; i < FORGET_TRIES_MAX; i++) {
    int exists = hf_log_forget_absence(store, name, NULL);
    if (exists == 0)
      return 0;
    hf_buf_clear(out);
    int got = read_loose(store, first, out, reterr);
    if (got != 0)
      return got;
    /* a reader without the right to write, or a client that needs a moment */
    if (hf_backoff_sleep(i, FORGET_BACKOFF_BASE_US, FORGET_BACKOFF_CAP_US, deadline_ms) != 0)
      break;
  }
  return hf_err(reterr, HF_EIO, name,
                "the mark says that it exists, and this host cannot see it yet; try again");
}

static int append_line(hf_store *store, const char *text, const hf_lines *lines, size_t i,
                       hf_place place, hf_error *reterr) {
  hf_line line;
  const hf_line *decoded = NULL;
  place.offset = lines->line[i].offset;
  place.line_bytes = lines->line[i].bytes;
  if (lines->line[i].intact &&
      hf_line_decode(text + place.offset, place.line_bytes, &line, NULL) == HF_OK)
    decoded = &line;
  if (hf_view_append(&store->view, decoded, &place) != HF_OK)
    return hf_err_nomem(reterr);
  return HF_OK;
}

static int append_lines(hf_store *store, uint64_t first, const char *text, const hf_lines *lines,
                        hf_error *reterr) {
  if (hf_view_reserve(&store->view, lines->count) != HF_OK)
    return hf_err_nomem(reterr);
  int status = HF_OK;
  for (size_t i = 0; i < lines->count && status == HF_OK; i++) {
    hf_place place = {first, 0, 0, 0, i == 0};
    status = append_line(store, text, lines, i, place, reterr);
  }
  return status;
}

static int is_intact(const hf_lines *lines) {
  for (size_t i = 0; i < lines->count; i++)
    if (!lines->line[i].intact)
      return 0;
  return lines->count > 0;
}

/* Appends a loose file's records; text NULL: it is lost. */
static int append_loose(hf_store *store, uint64_t first, const hf_buf *text, hf_error *reterr) {
  hf_lines lines;
  size_t expected = 0;
  int exact = 0;
  int status = HF_OK;
  if (text != NULL)
    hf_lines_split(text->data, text->used, 0, &lines);
  if (text == NULL ||
      !is_intact(&lines)) { /* then only the mark knows how many records there were */
    status = hf_log_expected(store, first, &expected, &exact, reterr);
    if (status != HF_OK)
      return status;
    if (!exact && text != NULL && lines.count > expected)
      expected = lines.count;
    hf_lines_split(text != NULL ? text->data : "", text != NULL ? text->used : 0,
                   expected == 0 ? 1 : expected, &lines);
  }
  return append_lines(store, first, text != NULL ? text->data : NULL, &lines, reterr);
}

static int append_tile(hf_store *store, uint64_t tile, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_lines lines;
  int got = hf_tile_read(store, tile, &text, reterr);
  if (got < 0)
    return got;
  hf_lines_split(got == 1 ? text.data : "", text.used, HF_TILE_RECORDS, &lines);
  uint64_t first = tile * HF_TILE_RECORDS + 1;
  int status = HF_OK;
  if (hf_view_reserve(&store->view, HF_TILE_RECORDS) != HF_OK)
    return hf_err_nomem(reterr);
  for (size_t i = 0; i < HF_TILE_RECORDS && status == HF_OK; i++) {
    if (first + i <= store->view.head)
      continue;
    /* where files began inside a tile no longer matters: a tile's edge is always the edge of a file
     */
    hf_place place = {first + i, 0, 0, 1, i == 0};
    status = append_line(store, text.data, &lines, i, place, reterr);
  }
  return status;
}

/* Reads what begins at head + 1. *tiles is the length of tile/mark, kept fresh. 1: read; 0: nothing
 * is there (only where `must_exist` is 0). */
static int read_next(hf_store *store, uint64_t *tiles, int must_exist, hf_error *reterr) {
  uint64_t first = store->view.head + 1;
  hf_autobuf text = {0};
  int got = 0;
  int status = HF_OK;
  if (hf_tile_of(first) >= *tiles || HF_PLANTED(TILE_NOT_PREFERRED)) {
    got = read_loose(store, first, &text, reterr);
    if (got < 0)
      return got;
    if (got == 0 && !must_exist)
      return 0;
    /* found or not: what a tile covers by now is read from the tile */
    if (!HF_PLANTED(BELIEVE_LOOSE))
      status = hf_tile_mark_length(store, tiles, reterr);
    if (status != HF_OK)
      return status;
  }
  if (hf_tile_of(first) < *tiles && !(got == 1 && HF_PLANTED(TILE_NOT_PREFERRED)))
    status = append_tile(store, hf_tile_of(first), reterr);
  else if (got == 0 && ((got = hf_part_read(store, -1, store->mark_length, HF_PART_DAMAGED_TOO,
                                            NULL, reterr)) != 0 ||
                        store->view.stale))
    return got < 0 ? got : 1;
  else {
    if (got == 0 && store->shared)
      got = hf_log_read_loose_again(store, first, &text, reterr);
    if (got < 0)
      return got;
    status = append_loose(store, first, got == 1 ? &text : NULL, reterr);
  }
  return status == HF_OK ? 1 : status;
}

/* Loose files that follow each other, read and not yet believed. */
typedef struct pile {
  struct {
    uint64_t first;
    hf_buf text;
    hf_lines lines;
  } file[PILE_FILES_MAX];
  size_t count;
} pile;

static void pile_free(pile **all) {
  for (size_t i = 0; *all != NULL && i < (*all)->count; i++)
    hf_buf_free(&(*all)->file[i].text);
  free(*all);
}

/* Reads loose files from head + 1 on, up to `marked`, as long as each is there and intact: where
 * one is not, read_next has more to say. */
static int pile_up(hf_store *store, uint64_t tiles, uint64_t marked, pile *all, hf_error *reterr) {
  uint64_t first = store->view.head + 1;
  size_t bytes = 0;
  while (all->count < PILE_FILES_MAX && bytes < PILE_BYTES && first <= marked &&
         hf_tile_of(first) >= tiles) {
    hf_buf *text = &all->file[all->count].text;
    hf_lines *lines = &all->file[all->count].lines;
    memset(text, 0, sizeof *text);
    all->file[all->count++].first = first;
    int got = read_loose(store, first, text, reterr);
    if (got < 0)
      return got;
    if (got == 1)
      hf_lines_split(text->data, text->used, 0, lines);
    if (got == 0 || !is_intact(lines)) {
      hf_buf_free(&all->file[--all->count].text);
      break;
    }
    bytes += text->used;
    first += lines->count;
  }
  return HF_OK;
}

/* Reads what follows, at least one file or tile of it. Shared filesystems: each look at tile/mark
 * asks the server, so it is looked at once behind several loose names: what a tile covers by then
 * is read from the tile. */
static int read_on(hf_store *store, uint64_t *tiles, uint64_t marked, hf_error *reterr) {
  uint64_t before = store->view.head;
  __attribute__((cleanup(pile_free))) pile *all = NULL;
  if (store->shared && marked > before + 1) {
    all = malloc(sizeof *all);
    if (all == NULL)
      return hf_err_nomem(reterr);
    all->count = 0;
    int status = pile_up(store, *tiles, marked, all, reterr);
    if (status == HF_OK && all->count > 0 && !HF_PLANTED(BELIEVE_LOOSE))
      status = hf_tile_mark_length(store, tiles, reterr);
    for (size_t i = 0; i < all->count && status == HF_OK; i++) {
      if (hf_tile_of(all->file[i].first) < *tiles)
        break;
      status = append_lines(store, all->file[i].first, all->file[i].text.data, &all->file[i].lines,
                            reterr);
    }
    if (status != HF_OK || store->view.head > before)
      return status;
  }
  return read_next(store, tiles, 1, reterr);
}

/* Local filesystems: names beyond the mark may be probed. */
static int look_beyond(hf_store *store, uint64_t *tiles, hf_error *reterr) {
  int got;
  do
    got = hf_store_is_journal(store) ? hf_part_read_beyond(store, reterr)
                                     : read_next(store, tiles, 0, reterr);
  while (got > 0 && !store->view.stale);
  return got < 0 ? got : HF_OK;
}

/* What is shown to a reader survives a power loss, too (I3). */
static int make_durable(hf_store *store, hf_error *reterr) {
  if (store->durable_head >= store->view.head)
    return HF_OK;
  return store->shared ? hf_log_settle(store, reterr) : hf_log_fsync_names(store, reterr);
}

/* Reading much takes longer than a lease: it is renewed on the way. Whether it was lost is asked
 * before the link. */
static void keep_turn(hf_store *store) {
  if (store->turn_grant != NULL && store->turn_ops->verify != NULL)
    (void)store->turn_ops->verify(store->turn_locker, store->turn_grant, NULL);
}

/* Planted: what clients remember of absent names, and of folders, decides what is there. */
static int look_by_names(hf_store *store, uint64_t *tiles, hf_error *reterr) {
  if (HF_PLANTED(LOOK_BY_FOLDER)) {
    hf_autofd int fd = hf_sys_openat(store->log_fd, ".", O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
      return hf_err_sys(reterr, HF_EIO, errno, "log", "cannot open the folder");
  }
  int got;
  while ((got = read_next(store, tiles, 0, reterr)) > 0)
    store->durable_head = store->view.head;
  return got;
}

/* On a shared filesystem a look at tile/mark is a request of its own, and in journal mode one of
 * few calls. It is spared where log/mark tells that nothing is new: who packs a tile makes log/mark
 * durable over it before tile/mark tells of it, so tile/mark never knows of a record that log/mark
 * does not. A log/mark that was damaged shows another length than our head's; one that was lost
 * whole is met by a handle that has read nothing yet. */
static int is_up_to_date(const hf_store *store, uint64_t marked, unsigned flags) {
  int spares =
      store->shared || ((flags & HF_REFRESH_UNDER_LOCK) != 0 && hf_store_is_journal(store) &&
                        store->view.head % JOURNAL_LOOK_EVERY != 0);
  return spares && marked == store->view.head && marked > 0 && !store->view.index_failed &&
         !store->view.stale;
}

/* Nor where rows tell of all that is new, for those need no look at a tile: little, for of much an
 * index tells at once. */
static int read_rows_first(hf_store *store, uint64_t marked, hf_error *reterr) {
  uint64_t gap_end = 0;
  if (!store->shared || store->view.head == 0 || marked <= store->view.head ||
      marked - store->view.head > HF_BATCH_MAX || store->view.index_failed)
    return HF_OK;
  return hf_log_rows_read(store, marked, atomic_load(&store->tiles_seen), &gap_end, reterr);
}

static int refresh(hf_store *store, unsigned flags, hf_error *reterr) {
  uint64_t tiles = 0;
  uint64_t marked = 0;
  if (store->shared && (flags & HF_REFRESH_UNDER_LOCK) == 0 &&
      (HF_PLANTED(LOOK_EARLY) || HF_PLANTED(LOOK_BY_FOLDER))) {
    int planted = hf_tile_mark_length(store, &tiles, reterr);
    return planted == HF_OK ? look_by_names(store, &tiles, reterr) : planted;
  }
  int status = hf_log_look_at_mark(store, &marked, reterr);
  if (status == HF_OK)
    status = read_rows_first(store, marked, reterr);
  if (status == HF_OK && is_up_to_date(store, marked, flags))
    tiles = atomic_load(&store->tiles_seen); /* for indexes: a commit has looked at it */
  else if (status == HF_OK)
    status = hf_tile_mark_length(store, &tiles, reterr);
  if (status != HF_OK)
    return status;
  status = hf_index_adopt(store, tiles, reterr);
  if (status != HF_OK)
    return status;
  uint64_t exists = tiles * HF_TILE_RECORDS > marked ? tiles * HF_TILE_RECORDS : marked;
  uint64_t rows_gap_end = 0;
  while (store->view.head < exists) {
    uint64_t before = store->view.head;
    if ((flags & HF_REFRESH_UNDER_LOCK) != 0)
      keep_turn(store);
    int got = hf_log_rows_read(store, marked, tiles, &rows_gap_end, reterr);
    if (got == HF_OK && store->view.head == before && hf_store_is_journal(store) &&
        hf_tile_of(before + 1) >= tiles)
      got = hf_part_read(store, -1, marked, 0, NULL, reterr);
    if (got >= 0 && store->view.stale)
      return HF_OK;
    if (got >= 0 && store->view.head == before)
      got = read_on(store, &tiles, marked, reterr);
    if (got < 0 || store->view.stale)
      return got < 0 ? got : HF_OK;
    if (store->durable_head < store->view.head) /* the mark covers it, or the file that it is in */
      store->durable_head = store->view.head;
  }
  if (store->durable_head < exists)
    store->durable_head = exists;
  if ((flags & HF_REFRESH_UNDER_LOCK) != 0)
    return HF_OK;
  if (!store->shared)
    status = look_beyond(store, &tiles, reterr);
  /* read anew: what is in flight is not this handle's to make durable */
  if (store->view.stale && !HF_PLANTED(JOURNAL_SETTLES_OTHERS))
    return status;
  return status == HF_OK ? make_durable(store, reterr) : status;
}

int hf_log_refresh(hf_store *store, unsigned flags, hf_error *reterr) {
  uint64_t before = store->view.head;
  hf_part_doubt_rows(store);
  int status = refresh(store, flags, reterr);
  for (int i = 0; i < STALE_TRIES_MAX && status == HF_OK && store->view.stale; i++)
    status = refresh(store, flags, reterr);
  hf_view_settle(&store->view, &store->view_before, status == HF_OK);
  if (store->view.head != before)
    store->others_seen_at = store->view.head;
  return status;
}

int hf_log_read_loose(hf_store *store, hf_error *reterr) {
  uint64_t tiles = 0;
  uint64_t before = store->view.head;
  uint64_t tile = hf_tile_of(before + 1);
  int got = hf_tile_mark_length(store, &tiles, reterr);
  for (int moves = got == HF_OK;
       moves && !hf_store_is_journal(store) && hf_tile_of(store->view.head + 1) == tile;
       moves = got > 0)
    got = read_next(store, &tiles, 0, reterr);
  return got < 0 ? got : store->view.head > before;
}

int hf_log_read_next(hf_store *store, hf_error *reterr) {
  uint64_t tiles = 0;
  int status = hf_tile_mark_length(store, &tiles, reterr);
  if (status != HF_OK)
    return status;
  int got = read_next(store, &tiles, 1, reterr);
  return got < 0 ? got : HF_OK;
}
