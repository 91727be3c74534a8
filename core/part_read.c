#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "boot.h"
#include "err.h"
#include "log.h"
#include "part.h"
#include "plant.h"
#include "store_locker.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

enum { READ_FIRST_BYTES = 4096, READ_MORE_BYTES = 64 * 1024 };

/* From `at` up to the first zero, or the file's end. */
static int read_content(int fd, uint64_t at, hf_buf *text, hf_error *reterr) {
  size_t wanted = READ_FIRST_BYTES;
  while (text->used <= HF_LOG_FILE_BYTES_MAX) {
    if (hf_buf_reserve(text, wanted) != 0)
      return hf_err_nomem(reterr);
    char *more = text->data + text->used;
    ssize_t got = hf_sys_pread_full(fd, more, wanted, (off_t)(at + text->used));
    if (got < 0)
      return hf_err_sys(reterr, HF_EIO, errno, "tile", "cannot read the current tile");
    const char *zero = memchr(more, '\0', (size_t)got);
    text->used += zero != NULL ? (size_t)(zero - more) : (size_t)got;
    if (zero != NULL || (size_t)got < wanted)
      break;
    wanted = READ_MORE_BYTES;
  }
  return HF_OK;
}

/* What is being read. */
typedef struct reading {
  hf_store *store;
  const char *text;
  size_t bytes;
  size_t at;       /* in text */
  uint64_t offset; /* of text, in the part */
  uint64_t limit;
  uint64_t marked;
  int takes_damage;
  int damaged; /* the line before was */
  int ended;   /* what stands behind is not this mode's */
} reading;

static size_t line_bytes(const reading *in) {
  const char *end = memchr(in->text + in->at, '\n', in->bytes - in->at);
  return end != NULL ? (size_t)(end - (in->text + in->at)) : SIZE_MAX;
}

static int append(reading *in, size_t bytes, const hf_line *line, hf_error *reterr) {
  hf_view *view = &in->store->view;
  hf_place place = {view->head + 1, (uint32_t)(in->offset + in->at), (uint32_t)bytes, 1, 1};
  if (hf_view_append(view, line, &place) != HF_OK)
    return hf_err_nomem(reterr);
  in->at += bytes + 1;
  in->store->part_end = in->offset + in->at;
  in->store->part_end_seq = view->head;
  return HF_OK;
}

/* A line that the mark covers, and that does not check. Those behind it keep their numbers where it
 * is plain that it is one line: else nobody knows which they are. */
static int append_damaged(reading *in, size_t bytes, hf_error *reterr) {
  static const char begins[] = "{\"v\":";
  hf_view *view = &in->store->view;
  int is_one = bytes != SIZE_MAX && !in->damaged &&
               (bytes < sizeof begins ||
                memmem(in->text + in->at + 1, bytes - 1, begins, sizeof begins - 1) == NULL);
  in->damaged = 1;
  if (is_one)
    return append(in, bytes, NULL, reterr);
  while (view->head < in->limit && view->head < in->marked) {
    hf_place place = {view->head + 1, 0, 0, 1, 1};
    if (hf_view_append(view, NULL, &place) != HF_OK)
      return hf_err_nomem(reterr);
    if (view->head % HF_TILE_RECORDS == 0)
      break;
  }
  in->at = in->bytes;
  return HF_OK;
}

/* What stands behind a record that ends this mode are copies of loose records, made when it began
 * again, and a power loss may have torn them within a file. So they are read from the files. */
static int ends_journal(const hf_store *store, int was_journal) {
  return was_journal && !hf_store_is_journal(store) && !HF_PLANTED(JOURNAL_READS_COPIES);
}

static int take_lines(reading *in, hf_error *reterr) {
  hf_view *view = &in->store->view;
  while (in->at < in->bytes && view->head < in->limit) {
    hf_line line;
    size_t bytes = line_bytes(in);
    int was_journal = hf_store_is_journal(in->store);
    int is_whole =
        bytes != SIZE_MAX && hf_line_decode(in->text + in->at, bytes, &line, NULL) == HF_OK;
    int status;
    if (is_whole) {
      in->damaged = 0;
      status = append(in, bytes, &line, reterr);
    } else if (view->head >= in->marked || !in->takes_damage)
      break;
    else
      status = append_damaged(in, bytes, reterr);
    if (status != HF_OK)
      return status;
    in->ended = ends_journal(in->store, was_journal);
    if (view->head % HF_TILE_RECORDS == 0 || in->ended)
      break;
  }
  return HF_OK;
}

/* Where head's line ends; where damage hides that, the end of so many lines. */
static int skip_known(reading *in, uint64_t lines) {
  for (; lines > 0; lines--) {
    size_t bytes = line_bytes(in);
    if (bytes == SIZE_MAX)
      return 0;
    in->at += bytes + 1;
  }
  return 1;
}

int hf_part_end_of(hf_store *store, uint64_t tile, uint64_t seq, uint64_t *ret_end) {
  uint64_t before = tile * HF_TILE_RECORDS;
  uint64_t end = 0;
  if (store->part_end_seq == seq && seq > before) {
    *ret_end = store->part_end;
    return 1;
  }
  /* packed and indexed meanwhile: no rows are kept */
  if (seq > before && before < store->view.base)
    return 0;
  for (uint64_t i = before + 1; i <= seq; i++) {
    const hf_row *row = hf_view_row_in_memory(&store->view, i);
    if (row->line_bytes == 0 || (row->flags & HF_ROW_DAMAGED) != 0)
      return 0;
    end += row->line_bytes + 1;
  }
  *ret_end = end;
  return 1;
}

static int open_by_name(hf_store *store, uint64_t tile, int *ret_fd, hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  hf_part_name(tile, name);
  *ret_fd = hf_sys_openat(store->tile_fd, name, O_RDONLY | hf_store_fresh_flags(store), 0);
  if (*ret_fd >= 0)
    return 1;
  if (errno == ENOENT)
    return 0;
  int status = hf_err_sys(reterr, HF_EIO, errno, name, "cannot be opened");
  hf_err_place_below(reterr, "tile");
  return status;
}

/* Which file is this? The one that is open to append was asked already. */
static int identify(const hf_store *store, int fd, hf_file_name *ret_is, hf_error *reterr) {
  hf_sys_file file;
  if (fd == store->part.fd) {
    *ret_is = store->part.is;
    return HF_OK;
  }
  if (hf_sys_identify(fd, "", &file) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, "tile", "cannot examine the current tile");
  *ret_is = (hf_file_name){file.device, file.inode};
  return HF_OK;
}

/* Repair puts another file in a part's place, whose lines may stand elsewhere: what was read of the
 * one before is read anew. */
static int is_replaced(const hf_store *store, uint64_t tile, const hf_file_name *is) {
  return store->part_rows_tile == tile + 1 && !HF_PLANTED(PART_REPLACED) &&
         (store->part_rows.device != is->device || store->part_rows.inode != is->inode);
}

void hf_part_doubt_rows(hf_store *store) {
  char name[HF_TILE_NAME_BYTES];
  hf_sys_file file;
  if (!atomic_load(&store->rows_doubted))
    return;
  atomic_store(&store->rows_doubted, 0);
  if (store->part_rows_tile == 0)
    return;
  hf_part_name(store->part_rows_tile - 1, name);
  if (hf_sys_identify(store->tile_fd, name, &file) != 0)
    return;
  hf_file_name is = {file.device, file.inode};
  store->view.stale |= is_replaced(store, store->part_rows_tile - 1, &is);
}

int hf_part_read(hf_store *store, int fd, uint64_t limit, unsigned flags, uint64_t *ret_torn,
                 hf_error *reterr) {
  hf_autofd int own_fd = -1;
  hf_autobuf text = {0};
  uint64_t before = store->view.head;
  uint64_t tile = hf_tile_of(before + 1);
  uint64_t first = tile * HF_TILE_RECORDS + 1;
  reading in = {.store = store,
                .limit = limit,
                .marked = store->mark_length,
                .takes_damage = (flags & HF_PART_DAMAGED_TOO) != 0};
  if (ret_torn != NULL)
    *ret_torn = 0;
  if (!hf_store_is_journal(store) && (flags & HF_PART_DAMAGED_TOO) == 0 &&
      !HF_PLANTED(JOURNAL_READS_COPIES))
    return 0;
  if (fd < 0) {
    int opened = open_by_name(store, tile, &own_fd, reterr);
    if (opened != 1)
      return opened;
    fd = own_fd;
  }
  hf_file_name is;
  int status = identify(store, fd, &is, reterr);
  if (status == HF_OK && is_replaced(store, tile, &is)) {
    store->view.stale = 1;
    return 0;
  }
  int is_known = hf_part_end_of(store, tile, before, &in.offset);
  if (status == HF_OK)
    status = read_content(fd, in.offset, &text, reterr);
  if (status != HF_OK)
    return status;
  in.text = text.used > 0 ? text.data : "";
  in.bytes = text.used;
  if (!is_known && !skip_known(&in, before + 1 - first))
    return 0;
  status = take_lines(&in, reterr);
  if (store->view.head > before) {
    store->part_rows = is;
    store->part_rows_tile = tile + 1;
  }
  if (ret_torn != NULL)
    /* copies, and lines behind them, are whole */
    *ret_torn = in.ended && !HF_PLANTED(JOURNAL_READS_TO_CHANGE) ? 0 : in.bytes - in.at;
  return status != HF_OK ? status : (int)(store->view.head - before);
}

/* That the boot was told of is seen for the first time; it may have come behind our look at
 * log/mark, which has grown then: read anew. */
static int look_again(hf_store *store, hf_error *reterr) {
  uint64_t seen = store->mark_length;
  uint64_t marked = 0;
  int status = hf_log_look_at_mark(store, &marked, reterr);
  store->view.stale |= status == HF_OK && marked != seen;
  return status == HF_OK ? 0 : status;
}

/* Whoever appends tells first in which boot, and has made everything before it durable. So what
 * stands there is on the disk, where nobody has told this boot yet, or in flight. */
int hf_part_read_beyond(hf_store *store, hf_error *reterr) {
  hf_autofd int fd = -1;
  int was_told = store->boot_is_told;
  int is_told = HF_PLANTED(JOURNAL_SHOW_UNPROVEN) ? 0 : hf_boot_is_told(store, reterr);
  if (is_told == 1 && !was_told && !HF_PLANTED(JOURNAL_TOLD_MEANWHILE))
    return look_again(store, reterr);
  if (is_told != 0)
    return is_told < 0 ? is_told : 0;
  int got = open_by_name(store, hf_tile_of(store->view.head + 1), &fd, reterr);
  if (got == 1)
    got = hf_part_read(store, fd, UINT64_MAX, 0, NULL, reterr);
  if (got < 0 || (got == 0 && HF_PLANTED(JOURNAL_TOLD_MEANWHILE)))
    return got;
  is_told = HF_PLANTED(JOURNAL_SHOW_UNPROVEN) ? 0 : hf_boot_is_told(store, reterr);
  if (is_told != 0)
    store->view.stale = 1; /* some may have been appended, or packed, since: read anew */
  else if (got > 0 && !HF_PLANTED(JOURNAL_SHOW_UNPROVEN) &&
           hf_sys_fdatasync(fd) != 0) /* out of the disk's own memory */
    return hf_err_sys(reterr, HF_EIO, errno, "tile", "cannot make the current tile durable");
  else if (got > 0)
    store->durable_head = store->view.head;
  return is_told < 0 ? is_told : got;
}
