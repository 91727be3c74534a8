/* A tile that a handle has mapped, and somebody cuts. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_index.h"
#include "lib_table.h"
#include "tile.h"

enum { TILES = 2 };

/* What stands behind the file's new end cannot be read: one that touched it would be ended by a
 * signal. */
static void ask(const char *tile, off_t bytes) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_store *store = index_open(0);
  for (uint64_t seq = 1; seq <= HF_TILE_RECORDS; seq++) {
    FAULT_CHECK(hf_get_seq(store, seq, &record, &error) == 1, "seq %d: %s", (int)seq,
                error.message);
    hf_record_free(&record);
  }
  FAULT_CHECK(truncate(tile, bytes) == 0, "cannot cut %s", tile);
  int got = hf_get_seq(store, HF_TILE_RECORDS, &record, &error);
  FAULT_CHECK(got == HF_EDAMAGED, "a record that was cut off: %d, %s", got, error.message);
  got = hf_get_seq(store, HF_TILE_RECORDS + 1, &record, &error);
  FAULT_CHECK(got == 1, "a record of another tile: %d, %s", got, error.message);
  hf_record_free(&record);
  hf_close(&store);
}

void index_mapped(void) {
  static const fault_hooks fast = {.fast_fsync = 1};
  char tile[FAULT_PATH_BYTES];
  int status = 0;
  fault_table_install(&fast);
  fault_path(tile, index_store_make(), "tile/000/0.jsonl");
  hf_store *store = index_open(0);
  index_save_up_to(store, TILES * HF_TILE_RECORDS);
  index_pack(store);
  hf_close(&store);
  pid_t child = fork();
  FAULT_CHECK(child >= 0, "cannot fork");
  if (child == 0) {
    ask(tile, 0);
    _exit(0);
  }
  FAULT_CHECK(waitpid(child, &status, 0) == child, "the child is gone");
  FAULT_CHECK(!WIFSIGNALED(status), "who asked for a record that was cut off got signal %d",
              WTERMSIG(status));
  if (WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT_FAILED)
    _exit(FAULT_EXIT_FAILED); /* it has said why */
  FAULT_CHECK(status == 0, "the child ended with status 0x%x", (unsigned)status);
  fault_table_remove();
  (void)printf("index mapped: a tile was cut under a handle, which said so\n");
}
