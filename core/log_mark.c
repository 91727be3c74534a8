#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "journal.h"
#include "log.h"
#include "log_rows.h"
#include "mark.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum { MARK_CHUNK_BYTES = 4096 };
static const char mark_place[] = "log/" HF_MARK_NAME;

/* On a shared filesystem an open asks the server; on a local one a descriptor that is kept tells
 * the truth. */
int hf_mark_open(hf_store *store, int dirfd, int kept_fd, const char *place, int *ret_fd,
                 hf_error *reterr) {
  (void)store;
  if (kept_fd >= 0) {
    *ret_fd = kept_fd;
    return HF_OK;
  }
  int fd = hf_sys_openat(dirfd, HF_MARK_NAME, O_RDONLY, 0);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, place, "cannot open the mark");
  *ret_fd = fd;
  return HF_OK;
}

static void close_unless_kept(int fd, int kept_fd) {
  if (fd != kept_fd)
    (void)hf_sys_close(fd); /* only read: nothing can be lost */
}

/* On a shared filesystem by fstat, as it was seen to be fresh there; on a local one without asking
 * for times (sys.h). */
static int identify(const hf_store *store, int fd, hf_sys_file *ret_file) {
  struct stat st;
  if (!store->shared)
    return hf_sys_identify(fd, "", ret_file);
  if (hf_sys_fstat(fd, &st) != 0)
    return -1;
  *ret_file = (hf_sys_file){st.st_dev, st.st_ino, st.st_mode, (uint64_t)st.st_size, 1};
  return 0;
}

/* The number stays, so that no other thread of the handle is left with a closed one. */
static int put_in_place(int dirfd, int flags, int kept_fd) {
  hf_autofd int fd = hf_sys_openat(dirfd, HF_MARK_NAME, flags, 0);
  return fd >= 0 && dup3(fd, kept_fd, O_CLOEXEC) >= 0 ? 0 : -1;
}

/* A mark that is kept open has no name any more: it was lost, and repair has made another. The one
 * to write goes first: nothing is marked in a file that nobody else sees. */
static int follow(hf_store *store, int dirfd, int kept_fd, const char *place, hf_sys_file *ret_file,
                  hf_error *reterr) {
  if (dirfd == store->log_fd && store->log_mark_write_fd >= 0 &&
      put_in_place(dirfd, O_WRONLY, store->log_mark_write_fd) != 0)
    hf_fd_cleanup(&store->log_mark_write_fd); /* who marks opens it, and tells why not */
  if (put_in_place(dirfd, O_RDONLY, kept_fd) == 0 && identify(store, kept_fd, ret_file) == 0)
    return HF_OK;
  return hf_err_sys(reterr, HF_EIO, errno, place,
                    "it was removed, and cannot be opened anew; holdfast verify --repair makes it");
}

static int examine(hf_store *store, int dirfd, int kept_fd, const char *place,
                   hf_sys_file *ret_file, hf_error *reterr) {
  int fd = -1;
  int status = hf_mark_open(store, dirfd, kept_fd, place, &fd, reterr);
  if (status != HF_OK)
    return status;
  if (identify(store, fd, ret_file) != 0)
    status = hf_err_sys(reterr, HF_EIO, errno, place, "cannot examine the mark");
  else if (fd == kept_fd && ret_file->links == 0 && !HF_PLANTED(MARK_REPLACED))
    status = follow(store, dirfd, kept_fd, place, ret_file, reterr);
  if (status == HF_OK && !S_ISREG(ret_file->mode))
    status = hf_err(reterr, HF_EDAMAGED, place,
                    "the mark must be here, and something else is; holdfast verify --repair puts "
                    "it right");
  close_unless_kept(fd, kept_fd);
  return status;
}

int hf_mark_length(hf_store *store, int dirfd, int kept_fd, const char *place, uint64_t *ret_length,
                   hf_error *reterr) {
  hf_sys_file file;
  int status = examine(store, dirfd, kept_fd, place, &file, reterr);
  if (status == HF_OK)
    *ret_length = file.bytes;
  return status;
}

int hf_log_look_at_mark(hf_store *store, uint64_t *ret_length, hf_error *reterr) {
  hf_sys_file file;
  int status = examine(store, store->log_fd, store->log_mark_fd, mark_place, &file, reterr);
  if (status != HF_OK)
    return status;
  store->log_mark_seen = (hf_file_name){file.device, file.inode};
  store->mark_length = *ret_length = file.bytes;
  return HF_OK;
}

int hf_log_expected(hf_store *store, uint64_t first, size_t *ret_count, int *ret_exact,
                    hf_error *reterr) {
  char bytes[HF_BATCH_MAX + 1];
  int fd = -1;
  int status = hf_mark_open(store, store->log_fd, store->log_mark_fd, mark_place, &fd, reterr);
  if (status != HF_OK)
    return status;
  ssize_t got = hf_sys_pread_full(fd, bytes, sizeof bytes, (off_t)(first - 1));
  int sys_errno = errno;
  close_unless_kept(fd, store->log_mark_fd);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, sys_errno, mark_place, "cannot read the mark");
  *ret_count = 0;
  *ret_exact = 0;
  if (got == 0 || bytes[0] != 'f')
    return HF_OK;
  size_t count = 1;
  while (count < (size_t)got && bytes[count] == '+')
    count++;
  *ret_count = count;
  *ret_exact = count < (size_t)got && bytes[count] == 'f';
  return HF_OK;
}

/* The descriptor to write the mark with. Local: kept. *ret_fd is closed by the caller where it is
 * not kept. Shared: O_DSYNC, as for the one that is kept open there (pin_mark in store.c). */
static int open_to_write(hf_store *store, int *ret_fd, hf_error *reterr) {
  if (store->log_mark_write_fd >= 0) {
    *ret_fd = store->log_mark_write_fd;
    return HF_OK;
  }
  int flags = O_WRONLY | (store->shared ? O_DSYNC : 0);
  int fd = hf_sys_openat(store->log_fd, HF_MARK_NAME, flags, 0);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, mark_place, "cannot open the mark to write");
  if (!store->shared)
    store->log_mark_write_fd = fd;
  *ret_fd = fd;
  return HF_OK;
}

/* pwrite at explicit offsets of bytes that never change: two that do so at once write the same. */
static int write_marks(hf_store *store, int fd, uint64_t from, uint64_t end, hf_error *reterr) {
  char bytes[MARK_CHUNK_BYTES];
  while (from < end) {
    size_t count = 0;
    while (count < sizeof bytes && from + count < end) {
      hf_row row;
      int status = hf_view_row(&store->view, from + count + 1, &row, reterr);
      if (status != HF_OK)
        return status;
      bytes[count++] = (row.flags & HF_ROW_FIRST) != 0 ? 'f' : '+';
    }
    if (hf_sys_pwrite_full(fd, bytes, count, (off_t)from) != 0)
      return hf_err_sys(reterr, HF_EIO, errno, mark_place, "cannot extend the mark");
    from += count;
  }
  return HF_OK;
}

static int write_durably(hf_store *store, int fd, hf_error *reterr) {
  int status = write_marks(store, fd, store->mark_length, store->view.head, reterr);
  if (store->shared)
    hf_count(&store->counters.flushes, 1);
  if (status == HF_OK && store->shared && hf_sys_fsync(fd) != 0)
    status = hf_err_sys(reterr, HF_EIO, errno, mark_place, "fsync of the mark failed");
  return status;
}

/* By the descriptor that is kept open, which spares a shared filesystem an open: to write at a
 * given place needs no fresh look at what is there. What it does need is that the file is the one
 * that readers open: every extension follows a look by name (hf_log_look_at_mark), and the two are
 * compared. Where the write or its fsync fails (a server that has lost what this client had open),
 * the descriptor is not used again, and the caller writes all of it anew by another one. */
static int write_by_pin(hf_store *store) {
  int is_same = store->log_mark_pin.inode == store->log_mark_seen.inode &&
                store->log_mark_pin.device == store->log_mark_seen.device;
  if (!store->may_write_by_pin)
    return 0;
  if ((is_same || HF_PLANTED(WRITE_ANY_MARK)) &&
      write_durably(store, store->log_mark_pin_fd, NULL) == HF_OK)
    return 1;
  hf_store_pin_log_mark(store);
  return 0;
}

static int write_by_name(hf_store *store, hf_error *reterr) {
  int fd = -1;
  int status = open_to_write(store, &fd, reterr);
  if (status != HF_OK)
    return status;
  status = write_durably(store, fd, reterr);
  if (fd != store->log_mark_write_fd && hf_sys_close(fd) != 0 && status == HF_OK)
    status = hf_err_sys(reterr, HF_EIO, errno, mark_place, "cannot close the mark");
  return status;
}

int hf_log_extend_mark(hf_store *store, hf_error *reterr) {
  if (store->mark_length >= store->view.head)
    return HF_OK;
  hf_log_rows_write(store);
  int status = write_by_pin(store) ? HF_OK : write_by_name(store, reterr);
  if (status == HF_OK)
    store->mark_length = store->view.head;
  return status;
}

int hf_log_mark_journal(hf_store *store, uint64_t end, hf_error *reterr) {
  int fd = -1;
  if (store->mark_length >= end)
    return HF_OK;
  int status = open_to_write(store, &fd, reterr);
  if (status == HF_OK)
    status = write_marks(store, fd, store->mark_length, end, reterr);
  if (status == HF_OK)
    store->mark_length = end;
  return status;
}

int hf_log_mark_lock(hf_store *store, int operation) {
  int fd = -1;
  if (HF_PLANTED(JOURNAL_MARK_UNLOCKED))
    return open_to_write(store, &fd, NULL) == HF_OK && hf_sys_flock(fd, operation) == 0;
  (void)pthread_mutex_lock(&store->view_mutex); /* readers open it, too */
  int done = open_to_write(store, &fd, NULL) == HF_OK && hf_sys_flock(fd, operation) == 0;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return done;
}

int hf_log_fsync_names(hf_store *store, hf_error *reterr) {
  if (store->part_end_seq > store->durable_head) {
    int settled = hf_journal_settle(store, reterr);
    if (settled != HF_OK)
      return settled;
  }
  if (store->durable_head >= store->view.head)
    return HF_OK;
  hf_count(&store->counters.flushes, 1);
  int status = hf_dir_fsync(store->log_fd, "log", reterr);
  /* on a shared filesystem only what is marked can be seen: it is settled once the mark is durable,
   * too */
  if (status == HF_OK && !store->shared)
    store->durable_head = store->view.head;
  return status;
}

int hf_log_settle(hf_store *store, hf_error *reterr) {
  uint64_t head = store->view.head;
  int status = hf_log_fsync_names(store, reterr);
  if (status != HF_OK)
    return status;
  hf_error why = HF_ERROR_INIT;
  status = hf_log_extend_mark(store, &why);
  if (status == HF_OK || !store->shared) { /* a hint only, on a local one */
    store->durable_head = head;
    return HF_OK;
  }
  if (reterr != NULL)
    *reterr = why;
  return status;
}
