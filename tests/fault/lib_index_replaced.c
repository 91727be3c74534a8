/* gc on another host of a shared filesystem puts new files in the place of indexes and of a tile:
 * what NFS tells a handle that was open before. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index.h"
#include "lib_index.h"
#include "lib_table.h"
#include "store.h"
#include "tile.h"

enum { TILES = 3, ABSENT = 4, COPY_BYTES = 1 << 16 };

static struct {
  unsigned stale;  /* reads of files that are gone */
  unsigned absent; /* opens of tile 1 that find nothing, still to come */
} other;

/* A file without a name is forgotten by the server; a name that is being replaced is not there. */
static void as_nfs_says(void *context, fault_call *call) {
  struct stat st;
  (void)context;
  int sys_errno = 0;
  if (call->kind == FAULT_PREAD && fstat(call->fd, &st) == 0 && st.st_nlink == 0)
    sys_errno = ESTALE;
  else if (call->kind == FAULT_OPENAT && other.absent > 0 && strstr(call->name, "1.jsonl") != NULL)
    sys_errno = ENOENT;
  if (sys_errno == 0)
    return;
  other.stale += sys_errno == ESTALE;
  other.absent -= sys_errno == ENOENT;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = sys_errno;
}

/* Another file with the same bytes. */
static void replace(int dir_fd, const char *name) {
  static char bytes[COPY_BYTES];
  int from = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
  int to = openat(dir_fd, "new", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  FAULT_CHECK(from >= 0 && to >= 0, "cannot copy %s", name);
  for (ssize_t got; (got = read(from, bytes, sizeof bytes)) > 0;)
    FAULT_CHECK(write(to, bytes, (size_t)got) == got, "cannot write a copy of %s", name);
  (void)close(from);
  (void)close(to);
  FAULT_CHECK(renameat(dir_fd, "new", dir_fd, name) == 0, "cannot replace %s", name);
}

void index_replaced(void) {
  static const fault_hooks nfs = {.before = as_nfs_says, .fast_fsync = 1};
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  memset(&other, 0, sizeof other);
  fault_table_install(&nfs);
  (void)index_store_make();
  hf_store *store = index_open(0);
  index_save_up_to(store, TILES * HF_TILE_RECORDS);
  index_pack(store);
  hf_close(&store);
  store = index_open(1);
  index_compare(store);
  for (uint64_t i = 0; i < TILES; i++) {
    char name[HF_INDEX_NAME_BYTES];
    hf_index_name(0, i, name);
    replace(store->index_fd, name);
  }
  fault_context("indexes were replaced");
  index_compare(store);
  FAULT_CHECK(other.stale > 0, "nobody read an index that was replaced");
  fault_context("a tile is being replaced");
  other.absent = ABSENT;
  int got = hf_get_seq(store, HF_TILE_RECORDS + 2, &record, &error);
  FAULT_CHECK(got == 1, "a record of it: %d, %s", got, error.message);
  FAULT_CHECK(other.absent == 0, "nobody looked for it again");
  hf_record_free(&record);
  hf_close(&store);
  fault_table_remove();
  (void)printf("index replaced: %u reads met a file that was gone, and went on\n", other.stale);
}
