/* "merges": a packer is killed at each of its calls while sixteen indexes become one of the next
 * level; once where fifteen have files of their own, and (at one in three) where all are made in
 * memory. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "file.h"
#include "index.h"
#include "lib_pack.h"
#include "lib_table.h"
#include "plant.h"
#include "store.h"

enum { STEPS_MAX = 20000, VERIFY_ONE_IN = 40, ASKED = 5 };

static const char merged_name[] = "1/0.idx";

static char path[FAULT_PATH_BYTES];
static char index_path[FAULT_PATH_BYTES];
static char kept_path[FAULT_PATH_BYTES]; /* index/ before the merge */
static hf_buf wanted;                    /* the merged file */

/* What the packer that is to be killed tells. */
static struct telling {
  int is_merging; /* the first of the sixteen was opened, or read; the mark does not tell of it */
  int is_linked;
} * told;

static int has_files; /* of level 0: else their folder is looked for, and all are made in memory */
static unsigned kill_at;
static unsigned calls;

static int begins_to_merge(const fault_call *call) {
  if (call->kind != FAULT_OPENAT || call->name == NULL)
    return 0;
  return has_files ? strcmp(call->name, "0.idx") == 0 && fault_fd_ends_in(call->fd, "/index/0")
                   : strcmp(call->name, "0") == 0 && fault_fd_ends_in(call->fd, "/index");
}

static void kill_here(void *context, fault_call *call) {
  (void)context;
  if (!told->is_merging)
    told->is_merging = begins_to_merge(call);
  if (told->is_merging && ++calls == kill_at)
    (void)kill(getpid(), SIGKILL);
}

static void note_here(void *context, fault_call *call) {
  (void)context;
  int puts = call->kind == FAULT_LINK || call->kind == FAULT_RENAME;
  if (puts && call->result == 0 && strcmp(call->to_name, merged_name) == 0)
    told->is_linked = 1;
}

/* Packs, and is killed at call number `at` of those from the merge on. 1: it was. */
static int pack_until(unsigned at) {
  static const fault_hooks hooks = {.before = kill_here, .after = note_here, .fast_fsync = 1};
  int status = 0;
  memset(told, 0, sizeof *told);
  (void)fflush(stdout);
  pid_t pid = fork();
  FAULT_CHECK(pid >= 0, "cannot fork: %s", strerror(errno));
  if (pid == 0) {
    hf_error error = HF_ERROR_INIT;
    uint64_t head = 0;
    uint64_t packed = 0;
    hf_store *store = fault_open(path);
    fault_must(hf_head(store, &head, &error), &error, "hf_head"); /* it opens indexes, too */
    kill_at = at;
    calls = 0;
    fault_table_install(&hooks);
    fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
    _exit(0);
  }
  FAULT_CHECK(waitpid(pid, &status, 0) == pid, "the packer is gone");
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    return 1;
  FAULT_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the packer ended with 0x%x",
              (unsigned)status);
  return 0;
}

/* Leftovers of killed ones: of some hundreds, and swept only when they are old. */
static void empty_stage(void) {
  char stage[FAULT_PATH_BYTES];
  fault_path(stage, path, "stage");
  fault_remove_tree(stage);
  FAULT_CHECK(mkdir(stage, 0777) == 0, "cannot make %s", stage);
}

static void put_back(void) {
  fault_remove_tree(index_path);
  fault_copy_tree(kept_path, index_path);
  empty_stage();
}

/* What index/mark tells of is there and whole, and answers are right. */
static uint64_t check_indexes(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t marked = 0;
  fault_must(hf_index_mark_length(store, &marked, &error), &error, "index/mark");
  for (uint64_t tile = 0; tile < marked; tile++) {
    hf_index *index = NULL;
    unsigned level = 0;
    uint64_t number = 0;
    hf_index_covering(tile, marked, &level, &number);
    FAULT_CHECK(hf_index_open(store, level, number, &index, &error) == 1,
                "index/mark tells of %llu tiles, and %s: %s", (unsigned long long)marked,
                error.place, error.message);
    fault_must(hf_index_check_body(index, &error), &error, "an index that is told of");
    hf_index_close(index);
  }
  uint64_t saves = atomic_load(&pack_all->next);
  for (uint64_t i = 0; i < ASKED; i++) {
    hf_record *record = NULL;
    char run_id[32];
    uint64_t number = (saves - 1) * i / (ASKED - 1);
    hf_key key = {.run_id = run_id, .stage = "pack"};
    (void)snprintf(run_id, sizeof run_id, "pack %llu", (unsigned long long)number);
    int got = hf_get(store, &key, 0, &record, &error);
    fault_must(got, &error, "hf_get");
    FAULT_CHECK(got == 1 && record->seq == atomic_load(&pack_all->seq_of[number]),
                "save %llu is not found", (unsigned long long)number);
    hf_record_free(&record);
  }
  return marked;
}

static void check_merged(hf_store *store) {
  hf_autobuf text = {0};
  hf_error error = HF_ERROR_INIT;
  FAULT_CHECK(hf_file_read(store->index_fd, merged_name, SIZE_MAX / 2, &text, &error) == 1,
              "no %s: %s", merged_name, error.message);
  if (wanted.used == 0)
    FAULT_CHECK(hf_buf_add(&wanted, text.data, text.used) == 0, "no memory");
  FAULT_CHECK(text.used == wanted.used && memcmp(text.data, wanted.data, text.used) == 0,
              "%s is another one than that of a packer that is not killed", merged_name);
}

/* The next one finishes it. */
static void check_left(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  hf_store *store = fault_open(path);
  (void)check_indexes(store);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  uint64_t marked = check_indexes(store);
  FAULT_CHECK(marked == HF_INDEX_FAN, "packed again, %llu tiles are indexed",
              (unsigned long long)marked);
  check_merged(store);
  hf_close(&store);
}

static void kill_at_each(const char *what, int files, unsigned step) {
  unsigned before = 0; /* kills within the merge, before the merged file has its name */
  unsigned behind = 0; /* and before its packer has ended */
  has_files = files;
  for (unsigned at = 1;; at += step) {
    fault_context("merge of %s, killed at its call %u", what, at);
    FAULT_CHECK(at < STEPS_MAX, "there is no end");
    put_back();
    int is_killed = pack_until(at);
    FAULT_CHECK(told->is_merging, "it merged nothing");
    if (at / step % VERIFY_ONE_IN == 0)
      fault_verify(path);
    check_left();
    if (!is_killed)
      break;
    before += !told->is_linked;
    behind += (unsigned)told->is_linked;
  }
  FAULT_CHECK(before > 0 && behind > 0, "%u kills hit a merge, %u what comes behind it", before,
              behind);
  fault_verify(path);
  (void)printf("pack merges, of %s: %u packers killed within the merge, %u behind it\n", what,
               before, behind);
}

static void save_up_to(hf_store *store, uint64_t head) {
  while (atomic_load(&pack_all->head_answered) < head)
    (void)pack_save(store);
}

void pack_merges(void) {
  static const fault_hooks fast = {.fast_fsync = 1};
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  void *memory =
      mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(memory != MAP_FAILED, "no shared memory: %s", strerror(errno));
  told = memory;
  fault_path(path, fault_folder_in_memory(), "store");
  fault_path(index_path, path, "index");
  fault_path(kept_path, fault_folder_in_memory(), "index-kept");
  fault_remove_tree(path);
  fault_init(path, "none");
  pack_begin();
  fault_table_install(&fast);
  hf_store *store = fault_open(path);
  save_up_to(store, (HF_INDEX_FAN - 1) * HF_TILE_RECORDS);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  fault_remove_tree(kept_path);
  fault_copy_tree(index_path, kept_path); /* fifteen of level 0 */
  save_up_to(store, HF_INDEX_FAN * HF_TILE_RECORDS);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  check_merged(store);
  kill_at_each("sixteen files", 1, hf_test_shared() ? 3 : 1);
  fault_remove_tree(kept_path);
  FAULT_CHECK(mkdir(kept_path, 0777) == 0, "cannot make %s", kept_path);
  /* who opens a store without indexes reads all of it: there it is one call in three */
  kill_at_each("sixteen tiles", 0, HF_TILE_RECORDS < 256 ? 1 : 3);
  hf_close(&store);
  fault_table_remove();
  hf_buf_free(&wanted);
  FAULT_CHECK(munmap(memory, sizeof *told) == 0, "munmap: %s", strerror(errno));
}
