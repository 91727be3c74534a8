#include "tile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "mark.h"
#include "plant.h"
#include "sys.h"
#include "tile_kept.h"

#include "banned.h"

void hf_tile_name(uint64_t tile, char name[HF_TILE_NAME_BYTES]) {
  (void)snprintf(name, HF_TILE_NAME_BYTES, "%03llu/%llu.jsonl",
                 (unsigned long long)(tile / HF_TILES_PER_FOLDER), (unsigned long long)tile);
}

int hf_tile_mark_length(hf_store *store, uint64_t *ret_tiles, hf_error *reterr) {
  int status = hf_mark_length(store, store->tile_fd, store->tile_mark_fd, "tile/" HF_MARK_NAME,
                              ret_tiles, reterr);
  if (status == HF_OK)
    atomic_store(&store->tiles_seen, *ret_tiles);
  return status;
}

/* A folder that is opened is asked for at the server, and so are the names that were not there. */
static void look_at_folder(const hf_store *store, uint64_t tile) {
  char folder[HF_TILE_NAME_BYTES];
  (void)snprintf(folder, sizeof folder, "%03llu", (unsigned long long)(tile / HF_TILES_PER_FOLDER));
  int fd = hf_sys_openat(store->tile_fd, folder, O_RDONLY | O_DIRECTORY, 0);
  hf_fd_cleanup(&fd);
}

/* The form that a gc kept which is at work, or never came to its end. */
static int read_kept(hf_store *store, uint64_t tile, hf_buf *out, hf_error *reterr) {
  char kept[HF_TILE_KEPT_BYTES];
  hf_autofd int fd = hf_sys_openat(store->root_fd, "stage", O_RDONLY | O_DIRECTORY, 0);
  int got = fd < 0 ? 0 : hf_tile_kept_read(fd, tile, out, kept, reterr);
  if (got == 1 && store->stage_fd >= 0 && hf_tile_put_back(fd, store->tile_fd, kept) == 0)
    hf_store_log(store, HF_LOG_INFO, "tile %llu had no name any more: stage/%s is put back",
                 (unsigned long long)tile, kept);
  return got;
}

/* Linux's client of NFS does not rename over a file that a process of its host has open: it renames
 * that one away first, and for a moment nothing has the name (nfs_rename; seen on 6.1.176 with
 * NFSv3 and NFSv4.1). So where gc writes a tile anew, others are told that it is not there: then
 * its kept form is read, or, where that is gone by now, too, the name is looked for again. */
int hf_tile_read(hf_store *store, uint64_t tile, hf_buf *out, hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(tile, name);
  int got = hf_file_read(store->tile_fd, name, HF_LOG_FILE_BYTES_MAX, out, reterr);
  if (got == 0 && !HF_PLANTED(TILE_ABSENT_FINAL))
    got = read_kept(store, tile, out, reterr);
  if (got == 0 && store->shared && !HF_PLANTED(TILE_ABSENT_FINAL)) {
    int64_t deadline_ms = hf_deadline_ms(HF_TILE_ABSENT_MS_MAX);
    for (unsigned i = 0; got == 0; i++) {
      if (hf_backoff_sleep(i, HF_TILE_ABSENT_US, HF_TILE_ABSENT_US_MAX, deadline_ms) != 0)
        break;
      look_at_folder(store, tile);
      got = hf_file_read(store->tile_fd, name, HF_LOG_FILE_BYTES_MAX, out, reterr);
    }
  }
  if (got < 0)
    hf_err_place_below(reterr, "tile");
  return got;
}

int hf_tile_folder(hf_store *store, uint64_t tile) {
  char folder[HF_TILE_NAME_BYTES];
  uint64_t number = tile / HF_TILES_PER_FOLDER;
  if (store->shared || number >= HF_TILE_FOLDERS_KEPT)
    return -1;
  int kept = atomic_load(&store->tile_folders[number]);
  if (kept > 0)
    return kept - 1;
  (void)snprintf(folder, sizeof folder, "%03llu", (unsigned long long)number);
  int fd = hf_sys_openat(store->tile_fd, folder, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0 || atomic_compare_exchange_strong(&store->tile_folders[number], &kept, fd + 1))
    return fd;
  (void)hf_sys_close(fd); /* another thread was first */
  return kept - 1;
}

int hf_tile_open(hf_store *store, uint64_t tile) {
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(tile, name);
  int folder_fd = hf_tile_folder(store, tile);
  int fd = folder_fd < 0 ? -1 : hf_sys_openat(folder_fd, strchr(name, '/') + 1, O_RDONLY, 0);
  /* the folder may have been made anew since it was opened */
  return fd >= 0 ? fd : hf_sys_openat(store->tile_fd, name, O_RDONLY, 0);
}

/* In a place for a pin: 0, or the tile + 1 and, in its last bits, the descriptor + 1; 0 there: the
 * tile was read once. */
enum { PIN_FD_BITS = 24 };

static int pinned_fd(uint64_t pin) {
  return (int)(pin & ((1U << PIN_FD_BITS) - 1)) - 1;
}

void hf_tile_pin(hf_store *store, uint64_t tile) {
  char name[HF_TILE_NAME_BYTES];
  if (!store->shared)
    return;
  _Atomic uint64_t *place = &store->tile_pins[tile % HF_TILE_PINS];
  uint64_t old = atomic_load(place);
  uint64_t pin = (tile + 1) << PIN_FD_BITS;
  int fd = -1;
  if (old >> PIN_FD_BITS == tile + 1) {
    if (pinned_fd(old) >= 0)
      return;
    hf_tile_name(tile, name);
    fd = hf_sys_openat(store->tile_fd, name, O_RDONLY, 0);
    if (fd < 0)
      return;
    pin += (uint64_t)fd + 1;
  }
  if (!atomic_compare_exchange_strong(place, &old, pin)) { /* another thread was first */
    hf_fd_cleanup(&fd);
    return;
  }
  int old_fd = pinned_fd(old);
  hf_fd_cleanup(&old_fd);
}

void hf_tile_unpin_all(hf_store *store) {
  for (size_t i = 0; i < HF_TILE_PINS; i++) {
    int fd = pinned_fd(atomic_load(&store->tile_pins[i]));
    hf_fd_cleanup(&fd);
  }
}

int hf_tile_line_at(hf_store *store, uint64_t seq, hf_buf *out, hf_error *reterr) {
  uint64_t tiles = 0;
  if (HF_PLANTED(IGNORE_TILE))
    return 0;
  int status = hf_tile_mark_length(store, &tiles, reterr);
  if (status != HF_OK)
    return status;
  if (hf_tile_of(seq) >= tiles)
    return 0;
  hf_autobuf text = {0};
  hf_lines lines;
  char name[HF_TILE_NAME_BYTES];
  hf_tile_name(hf_tile_of(seq), name);
  int got = hf_tile_read(store, hf_tile_of(seq), &text, reterr);
  if (got < 0)
    return got;
  hf_lines_split(got == 1 ? text.data : "", text.used, HF_TILE_RECORDS, &lines);
  size_t i = (size_t)((seq - 1) % HF_TILE_RECORDS);
  if (!lines.line[i].intact)
    return hf_err(reterr, HF_EDAMAGED, name,
                  "the tile's line for seq %llu cannot be read; run holdfast verify",
                  (unsigned long long)seq);
  return hf_buf_add(out, text.data + lines.line[i].offset, lines.line[i].bytes) != 0
             ? hf_err_nomem(reterr)
             : 1;
}
