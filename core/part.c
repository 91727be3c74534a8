#include "part.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "boot.h"
#include "err.h"
#include "file.h"
#include "id.h"
#include "journal.h"
#include "log.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum { PART_SPACE_BYTES = 256 * 1024 }; /* is laid out ahead, so much at a time */

/* Of hf_part.durable_names the lower bits count the tiles. */
enum { NAMES_BITS = 16, NAMES_MAX = (1 << NAMES_BITS) - 1 };

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static hf_part *list_head; /* under list_mutex */
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
  (void)pthread_mutex_lock(&list_mutex);
}

static void after_fork_in_parent(void) {
  (void)pthread_mutex_unlock(&list_mutex);
}

static void after_fork_in_child(void) {
  for (hf_part *part = list_head; part != NULL; part = part->next)
    hf_fd_cleanup(&part->fd);
  (void)pthread_mutex_unlock(&list_mutex);
}

static void install_handlers(void) {
  (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

void hf_part_name(uint64_t tile, char *name) {
  (void)snprintf(name, HF_TILE_NAME_BYTES, "%03llu/%llu.part",
                 (unsigned long long)(tile / HF_TILES_PER_FOLDER), (unsigned long long)tile);
}

static int part_error(hf_error *reterr, int sys_errno, uint64_t tile, const char *what) {
  char name[HF_TILE_NAME_BYTES];
  hf_part_name(tile, name);
  int status = hf_err_sys(reterr, HF_EIO, sys_errno, name, "%s", what);
  hf_err_place_below(reterr, "tile");
  return status;
}

/* ---- opening, closing ---- */

/* No fork comes between the open and the note of it: no child has a descriptor that it does not
 * know of. */
static int open_listed(hf_store *store, uint64_t tile) {
  char name[HF_TILE_NAME_BYTES];
  hf_part *part = &store->part;
  (void)pthread_once(&handlers_once, install_handlers);
  hf_part_name(tile, name);
  (void)pthread_mutex_lock(&store->part_mutex);
  (void)pthread_mutex_lock(&list_mutex);
  part->fd = hf_sys_openat(store->tile_fd, name, O_RDWR, 0);
  int sys_errno = errno;
  part->opening++;
  part->tile = tile;
  if (part->fd >= 0 && !part->is_listed) {
    part->previous = NULL;
    part->next = list_head;
    if (list_head != NULL)
      list_head->previous = part;
    list_head = part;
    part->is_listed = 1;
  }
  (void)pthread_mutex_unlock(&list_mutex);
  (void)pthread_mutex_unlock(&store->part_mutex);
  errno = sys_errno;
  return part->fd >= 0 ? 0 : -1;
}

void hf_part_close(hf_store *store) {
  (void)pthread_mutex_lock(&store->part_mutex);
  hf_fd_cleanup(&store->part.fd); /* what was written was flushed, or is answered as unknown */
  store->part.failed = 0;
  store->part.opening++;
  store->part.proven = 0;
  store->part.may_flush = 0;
  (void)pthread_mutex_unlock(&store->part_mutex);
}

void hf_part_forget(hf_store *store) {
  hf_part *part = &store->part;
  (void)pthread_mutex_lock(&list_mutex);
  hf_fd_cleanup(&part->fd);
  if (part->is_listed && part->next != NULL)
    part->next->previous = part->previous;
  if (part->is_listed && part->previous != NULL)
    part->previous->next = part->next;
  else if (part->is_listed)
    list_head = part->next;
  part->is_listed = 0;
  (void)pthread_mutex_unlock(&list_mutex);
}

/* ---- making one ---- */

/* The lines of the tile's records that are there already; `out` is its content. view_mutex is
 * held. */
static int copy_records(hf_store *store, uint64_t from, uint64_t to, hf_buf *out,
                        hf_error *reterr) {
  hf_autobuf text = {0};
  hf_line line;
  for (uint64_t seq = from; seq <= to; seq++) {
    hf_row row;
    int status = hf_view_row(&store->view, seq, &row, reterr);
    if (status == HF_OK)
      status = hf_log_load(store, seq, &row, &text, &line, reterr);
    if (status != HF_OK)
      return status;
    if (hf_buf_add(out, text.data, text.used) != 0 || hf_buf_add_char(out, '\n') != 0)
      return hf_err_nomem(reterr);
  }
  return HF_OK;
}

/* All that is there is durable and marked: what is appended behind it is marked as it comes. */
static int content_of_new(hf_store *store, uint64_t tile, hf_buf *out, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_settle(store, reterr);
  if (status == HF_OK && store->mark_length < store->view.head)
    status = hf_log_extend_mark(store, reterr);
  if (status == HF_OK && store->view.head / HF_TILE_RECORDS == tile)
    status = copy_records(store, tile * HF_TILE_RECORDS + 1, store->view.head, out, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

static int open_folder(const hf_store *store, uint64_t tile, int *ret_fd, hf_error *reterr) {
  char folder[HF_TILE_NAME_BYTES];
  (void)snprintf(folder, sizeof folder, "%03llu", (unsigned long long)(tile / HF_TILES_PER_FOLDER));
  return hf_dir_make(store->tile_fd, folder, ret_fd, NULL, reterr);
}

/* One number, for two threads may note them at once: the first tile, and how many. Those right
 * behind the ones that are noted join them. */
static void note_durable_names(hf_part *part, uint64_t first, uint64_t count) {
  uint64_t noted = atomic_load(&part->durable_names);
  uint64_t wanted;
  do {
    uint64_t had = noted & NAMES_MAX;
    int joins = had > 0 && (noted >> NAMES_BITS) + had == first && had + count <= NAMES_MAX;
    wanted = joins ? noted + count : first << NAMES_BITS | count;
  } while (!atomic_compare_exchange_weak(&part->durable_names, &noted, wanted));
}

static int is_name_durable(hf_part *part, uint64_t tile) {
  uint64_t noted = atomic_load(&part->durable_names);
  uint64_t first = noted >> NAMES_BITS;
  return tile >= first && tile - first < (noted & NAMES_MAX);
}

/* Makes the names of parts in one folder durable, whoever has made them. */
static int fsync_names(hf_store *store, uint64_t first, uint64_t last, hf_error *reterr) {
  hf_autofd int folder_fd = -1;
  uint64_t folder = first / HF_TILES_PER_FOLDER;
  int status = open_folder(store, first, &folder_fd, reterr);
  if (status == HF_OK) {
    hf_count(&store->counters.flushes, 1);
    status = hf_dir_fsync(folder_fd, "tile", reterr);
  }
  if (status == HF_OK && atomic_load(&store->part.durable_folder) != folder + 1) {
    hf_count(&store->counters.flushes, 1);
    status = hf_dir_fsync(store->tile_fd, "tile", reterr);
    if (status == HF_OK)
      atomic_store(&store->part.durable_folder, folder + 1);
  }
  if (status == HF_OK)
    note_durable_names(&store->part, first, last - first + 1);
  return status;
}

/* Makes it, with this content; that it is there already is as good. Its name is not durable yet. */
static int link_new(hf_store *store, uint64_t tile, const hf_buf *text, hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  char staged[HF_ID_CHARS + 1];
  hf_id id;
  hf_part_name(tile, name);
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, staged);
  int has_records = text->used > 0; /* else there is nothing in it that a flush could keep */
  hf_count(&store->counters.flushes, (uint64_t)has_records);
  status = hf_file_create(store->stage_fd, staged, has_records ? text->data : "", text->used,
                          has_records, reterr);
  if (status != HF_OK)
    return status;
  int failed = hf_sys_link(store->stage_fd, staged, store->tile_fd, name);
  int sys_errno = errno;
  (void)hf_sys_unlink(store->stage_fd, staged, 0);
  if (failed != 0 && sys_errno != EEXIST)
    return part_error(reterr, sys_errno, tile, "cannot be made");
  return HF_OK;
}

static int make(hf_store *store, uint64_t tile, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_autofd int folder_fd = -1;
  int status = content_of_new(store, tile, &text, reterr);
  if (status == HF_OK) /* there may be none yet */
    status = open_folder(store, tile, &folder_fd, reterr);
  if (status == HF_OK)
    status = link_new(store, tile, &text, reterr);
  return status == HF_OK ? fsync_names(store, tile, tile, reterr) : status;
}

void hf_part_make_ahead(hf_store *store, uint64_t tile, size_t count) {
  const hf_buf empty = {0};
  hf_autofd int folder_fd = -1;
  uint64_t tiles = 0;
  for (; count > 0 && is_name_durable(&store->part, tile); count--)
    tile++;
  if (count == 0)
    return;
  uint64_t last = tile / HF_TILES_PER_FOLDER * HF_TILES_PER_FOLDER + HF_TILES_PER_FOLDER - 1;
  if (tile + count - 1 < last)
    last = tile + count - 1;
  int status = open_folder(store, tile, &folder_fd, NULL);
  for (uint64_t i = tile; i <= last && status == HF_OK; i++)
    status = link_new(store, i, &empty, NULL);
  if (status == HF_OK)
    status = fsync_names(store, tile, last, NULL);
  /* others may have filled and packed some meanwhile, and have freed those names before we came */
  if (hf_tile_mark_length(store, &tiles, NULL) == HF_OK && tiles > tile &&
      hf_tile_mark_secure(store, tiles, NULL) == HF_OK)
    for (uint64_t i = tile; i <= last && i < tiles; i++)
      hf_tile_free_part(store, i);
}

int hf_part_is_open(hf_store *store, uint64_t tile) {
  (void)pthread_mutex_lock(&store->part_mutex);
  int is = store->part.fd >= 0 && store->part.tile == tile && !store->part.failed;
  (void)pthread_mutex_unlock(&store->part_mutex);
  return is;
}

int hf_part_open(hf_store *store, uint64_t tile, hf_error *reterr) {
  hf_part *part = &store->part;
  hf_sys_file file;
  if (hf_part_is_open(store, tile))
    return HF_OK;
  hf_part_close(store);
  if (open_listed(store, tile) != 0 && errno == ENOENT) {
    int status = make(store, tile, reterr);
    if (status != HF_OK)
      return status;
    (void)open_listed(store, tile);
  }
  if (part->fd < 0)
    return part_error(reterr, errno, tile, "cannot be opened to append");
  if (hf_sys_identify(part->fd, "", &file) != 0)
    return part_error(reterr, errno, tile, "cannot be examined");
  if (!S_ISREG(file.mode))
    return hf_err(reterr, HF_EDAMAGED, store->path,
                  "something stands in tile/ where the current tile must be; holdfast verify names "
                  "it");
  part->is = (hf_file_name){file.device, file.inode};
  return HF_OK;
}

int hf_part_is_named(hf_store *store, hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  hf_sys_file file;
  hf_part_name(store->part.tile, name);
  if (hf_sys_identify(store->tile_fd, name, &file) != 0)
    return errno == ENOENT ? 0 : part_error(reterr, errno, store->part.tile, "cannot be examined");
  store->part.bytes = file.bytes;
  return file.device == store->part.is.device && file.inode == store->part.is.inode;
}

/* ---- the tail ---- */

/* Loose records of the tile, where journal mode begins, or begins again, within it, are copied to
 * their places; the part's own are written with them, as they are. view_mutex is held. */
static int copy_loose(hf_store *store, hf_error *reterr) {
  hf_autobuf text = {0};
  uint64_t first = store->part.tile * HF_TILE_RECORDS + 1;
  int status = copy_records(store, first, store->view.head, &text, reterr);
  if (status != HF_OK)
    return status;
  if (hf_sys_pwrite_full(store->part.fd, text.data, text.used, 0) != 0)
    return part_error(reterr, errno, store->part.tile, "cannot be written");
  if (store->part.bytes < text.used)
    store->part.bytes = text.used;
  return HF_OK;
}

/* Is there a loose record in the tile? *ret_last: the last one is loose, so that nothing was
 * appended behind it yet. view_mutex is held. */
static int has_loose(hf_store *store, int *ret_last) {
  int has = 0;
  *ret_last = 0;
  for (uint64_t seq = store->part.tile * HF_TILE_RECORDS + 1; seq <= store->view.head; seq++) {
    *ret_last = seq > store->view.base && !hf_view_row_in_memory(&store->view, seq)->in_tile;
    has |= *ret_last;
  }
  return has;
}

static int rewrite(hf_store *store, uint64_t from, uint64_t end, hf_error *reterr) {
  hf_autobuf text = {0};
  size_t count = (size_t)(end - from);
  if (count == 0)
    return HF_OK;
  if (hf_buf_reserve(&text, count) != 0)
    return hf_err_nomem(reterr);
  if (hf_sys_pread_full(store->part.fd, text.data, count, (off_t)from) != (ssize_t)count ||
      hf_sys_pwrite_full(store->part.fd, text.data, count, (off_t)from) != 0)
    return part_error(reterr, errno, store->part.tile, "cannot be written anew");
  return HF_OK;
}

/* Was a record appended to it? Then who did so has made its name durable. (Copies of loose records
 * that a part may begin with are no such ones, nor are they taken for some: they stand before the
 * change to this mode, and who reads the log reads them as the loose files that they are copies
 * of.) */
static int is_begun(hf_store *store) {
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t head = store->view.head;
  int is = head > store->part.tile * HF_TILE_RECORDS && head > store->view.base &&
           hf_view_row_in_memory(&store->view, head)->in_tile;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return is;
}

int hf_part_secure_name(hf_store *store, hf_error *reterr) {
  uint64_t tile = store->part.tile;
  if (is_name_durable(&store->part, tile) || HF_PLANTED(JOURNAL_NAME_EARLY))
    return HF_OK;
  if (!is_begun(store))
    return fsync_names(store, tile, tile, reterr);
  note_durable_names(&store->part, tile, 1);
  return HF_OK;
}

static int has_record(const char *text, size_t bytes) {
  hf_line line;
  for (size_t at = 0; at < bytes;) {
    const char *newline = memchr(text + at, '\n', bytes - at);
    if (newline == NULL)
      return 0;
    while (text[at] == '\0')
      at++;
    size_t end = (size_t)(newline - text);
    if (hf_line_decode(text + at, end - at, &line, NULL) == HF_OK)
      return 1;
    at = end + 1;
  }
  return 0;
}

/* Whole records behind a line that does not check: no writer waits for them any more, for each was
 * told that it is not known, or was ended. But where a mark was cut short and a line altered, they
 * were acknowledged: a copy stays in quarantine/. */
static int keep_tail(hf_store *store, uint64_t end, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_autofd int kept_fd = -1;
  char name[HF_ID_CHARS + 32];
  char id_text[HF_ID_CHARS + 1];
  hf_id id;
  size_t bytes = store->part.bytes > end ? (size_t)(store->part.bytes - end) : 0;
  if (bytes == 0)
    return HF_OK;
  if (hf_buf_reserve(&text, bytes) != 0)
    return hf_err_nomem(reterr);
  ssize_t got = hf_sys_pread_full(store->part.fd, text.data, bytes, (off_t)end);
  if (got < 0)
    return part_error(reterr, errno, store->part.tile, "cannot be read behind its last record");
  while (got > 0 && text.data[got - 1] == '\0')
    got--;
  if (!has_record(text.data, (size_t)got))
    return HF_OK;
  int status = hf_dir_open(store->root_fd, "quarantine", &kept_fd, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, id_text);
  (void)snprintf(name, sizeof name, "part-%llu-tail-%s", (unsigned long long)store->part.tile,
                 id_text);
  status = hf_file_create(kept_fd, name, text.data, (size_t)got, 1, reterr);
  if (status == HF_OK)
    status = hf_dir_fsync(kept_fd, "quarantine", reterr);
  else
    hf_err_place_below(reterr, "quarantine");
  if (status == HF_OK)
    hf_store_log(store, HF_LOG_WARNING,
                 "whole records stood behind a damaged line of tile %llu, beyond the mark; a copy "
                 "is quarantine/%s",
                 (unsigned long long)store->part.tile, name);
  return status;
}

static int cut(hf_store *store, uint64_t end, hf_error *reterr) {
  int status = keep_tail(store, end, reterr);
  if (status != HF_OK)
    return status;
  if (store->part.bytes > end && hf_sys_ftruncate(store->part.fd, end) != 0)
    return part_error(reterr, errno, store->part.tile, "cannot be cut behind its last record");
  store->part.bytes = end;
  return HF_OK;
}

static void let_flush(hf_store *store) {
  (void)pthread_mutex_lock(&store->part_mutex);
  store->part.may_flush = 1;
  (void)pthread_mutex_unlock(&store->part_mutex);
}

/* view_mutex is held. */
static int prove(hf_store *store, uint64_t torn, hf_error *reterr) {
  uint64_t from = 0;
  uint64_t end = 0;
  uint64_t head = store->view.head;
  uint64_t before = store->part.tile * HF_TILE_RECORDS; /* the seq before its first */
  uint64_t marked = store->mark_length < head ? store->mark_length : head;
  if (!hf_part_end_of(store, store->part.tile, head, &end) ||
      (marked > before && !hf_part_end_of(store, store->part.tile, marked, &from))) {
    if (HF_PLANTED(JOURNAL_SHOWS_DAMAGED_TAIL))
      let_flush(store);
    return HF_OK; /* damaged: nothing is appended to it, and what was read of it is not proven */
  }
  int this_boot = hf_boot_is_told(store, reterr);
  int status = this_boot < 0 ? this_boot : HF_OK;
  int is_last = 0;
  if (status == HF_OK && has_loose(store, &is_last) && (is_last || !this_boot)) {
    /* a name that is read, and not durable: no copy stands for it */
    int fsyncs = is_last && !HF_PLANTED(JOURNAL_BEHIND_LOOSE);
    status = fsyncs ? hf_log_fsync_names(store, reterr) : HF_OK;
    if (status == HF_OK)
      status = copy_loose(store, reterr);
  }
  if (status == HF_OK && !store->part.proven)
    status = rewrite(store, from, end, reterr);
  if (HF_PLANTED(JOURNAL_TORN_TAIL)) {
    store->part_end = end + torn;
    store->part_end_seq = head;
  } else if (status == HF_OK && (torn > 0 || !this_boot))
    status = cut(store, end, reterr);
  if (status != HF_OK)
    return status;
  let_flush(store);
  /* of a boot is told where nothing more stands, in the next tile, that nobody has read yet */
  int is_end = hf_tile_of(head + 1) == store->part.tile || HF_PLANTED(JOURNAL_TELLS_AT_EDGE);
  if (!this_boot)
    status = hf_journal_settle(store, reterr);
  return status == HF_OK && !this_boot && is_end ? hf_boot_tell(store, reterr) : status;
}

/* Is the last record one of the part's? It is a loose one where journal mode begins, or begins
 * again, within a tile. view_mutex is held. */
static int ends_in_part(hf_store *store) {
  uint64_t head = store->view.head;
  return head == store->part.tile * HF_TILE_RECORDS ||
         (head > store->view.base && hf_view_row_in_memory(&store->view, head)->in_tile);
}

int hf_part_prove(hf_store *store, uint64_t torn, hf_error *reterr) {
  int status = HF_OK;
  if (!store->part.proven || torn > 0 || !ends_in_part(store))
    status = prove(store, torn, reterr);
  store->part.proven = status == HF_OK;
  return status;
}

/* ---- appending ---- */

/* Zeros are no record, whoever reads them. So where several lines need space that the file does not
 * have, it is laid out before them: a disk that is full tells before one of them can be seen. */
static int lay_out(hf_part *part, uint64_t at, size_t bytes, size_t space, hf_error *reterr) {
  hf_autobuf zeros = {0};
  size_t wanted = bytes + space;
  if (hf_buf_reserve(&zeros, wanted) != 0)
    return hf_err_nomem(reterr);
  memset(zeros.data, 0, wanted);
  if (hf_sys_pwrite_full(part->fd, zeros.data, wanted, (off_t)at) != 0) {
    wanted = bytes; /* a disk that is nearly full */
    if (space == 0 || hf_sys_ftruncate(part->fd, at + bytes) != 0 ||
        hf_sys_pwrite_full(part->fd, zeros.data, wanted, (off_t)at) != 0)
      return part_error(reterr, errno, part->tile, "cannot be appended to");
  }
  part->bytes = at + wanted;
  return HF_OK;
}

/* With space behind it, where there is none left. */
static int write_spaced(hf_part *part, const char *lines, size_t bytes, size_t space, uint64_t at,
                        hf_error *reterr) {
  hf_autobuf text = {0};
  if (hf_buf_reserve(&text, bytes + space) != 0)
    return hf_err_nomem(reterr);
  memcpy(text.data, lines, bytes);
  memset(text.data + bytes, 0, space);
  if (hf_sys_pwrite_full(part->fd, text.data, bytes + space, (off_t)at) == 0) {
    part->bytes = at + bytes + space;
    return HF_OK;
  }
  /* a disk that is nearly full */
  if (hf_sys_ftruncate(part->fd, at + bytes) != 0 ||
      hf_sys_pwrite_full(part->fd, lines, bytes, (off_t)at) != 0)
    return part_error(reterr, errno, part->tile, "cannot be appended to");
  part->bytes = at + bytes;
  return HF_OK;
}

static int write_lines(hf_part *part, const char *lines, size_t bytes, int is_full, uint64_t at,
                       hf_error *reterr) {
  size_t space = is_full ? 0 : PART_SPACE_BYTES - (size_t)((at + bytes) % PART_SPACE_BYTES);
  if (at + bytes > part->bytes) {
    int is_one = memchr(lines, '\n', bytes) == lines + bytes - 1;
    int status = HF_OK;
    if (is_one && !is_full)
      return write_spaced(part, lines, bytes, space, at, reterr);
    if (!is_one)
      status = lay_out(part, at, bytes, space, reterr);
    if (status != HF_OK)
      return status;
  }
  if (hf_sys_pwrite_full(part->fd, lines, bytes, (off_t)at) != 0 ||
      (is_full && part->bytes > at + bytes && hf_sys_ftruncate(part->fd, at + bytes) != 0))
    return part_error(reterr, errno, part->tile, "cannot be appended to");
  if (is_full)
    part->bytes = at + bytes;
  return HF_OK;
}

/* So many bytes of the lines stand there: those that are whole. Negative: nobody knows. */
static ssize_t count_written(const hf_part *part, const char *lines, size_t bytes, uint64_t at) {
  hf_autobuf text = {0};
  if (hf_buf_reserve(&text, bytes) != 0)
    return -1;
  ssize_t got = hf_sys_pread_full(part->fd, text.data, bytes, (off_t)at);
  if (got <= 0)
    return got;
  size_t same = 0;
  while (same < (size_t)got && text.data[same] == lines[same])
    same++;
  const char *last = memrchr(lines, '\n', same);
  return last != NULL ? last + 1 - lines : 0;
}

int hf_part_append(hf_store *store, uint64_t at, const char *lines, size_t bytes, int is_full,
                   hf_error *reterr) {
  hf_part *part = &store->part;
  int status = write_lines(part, lines, bytes, is_full, at, reterr);
  if (status == HF_OK)
    return HF_OK;
  part->bytes = at;
  part->proven = 0;
  /* What was written of a line is no record, and is cut off now, or else by whoever appends next. A
   * whole one may have been flushed, and marked, by another handle since: it stays. */
  ssize_t stays = HF_PLANTED(JOURNAL_CUTS_MARKED) ? 0 : count_written(part, lines, bytes, at);
  if (stays >= 0 && hf_sys_ftruncate(part->fd, at + (uint64_t)stays) != 0)
    stays = -1;
  return stays == 0 ? status : HF_EUNSURE;
}
