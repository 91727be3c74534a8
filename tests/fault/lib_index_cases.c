#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_index.h"
#include "lib_table.h"

#include "index.h"
#include "plant.h"
#include "store.h"

enum {
  T = HF_TILE_RECORDS,
  COLLIDE_BITS = 4,
  COLLIDE_TILES = T < 256 ? 40 : 5,
  MERGE_TILES = 18,
  FEW_TILES = 3,
  REST = T < 256 ? 3 : 7, /* records behind the last tile */
  STOPS_MAX = 16,         /* of a walk, at so many of its reads */
  FORGET_STEPS = 400,     /* more than a builder of FEW_TILES makes */
};

static const fault_hooks fast = {.fast_fsync = 1};

static void compare_all(hf_store *old) {
  for (int shared = 0; shared < 2; shared++) {
    hf_store *fresh = index_open(shared);
    fault_context("a new handle%s", shared ? ", shared" : "");
    index_compare(fresh);
    hf_close(&fresh);
  }
  if (old != NULL) {
    fault_context("the handle that saved");
    index_compare(old);
  }
  fault_context("%s", "");
}

/* ---- keys, groups and ids whose hashes are the same ---- */

static void collide(void) {
  hf_test_hash_bits = COLLIDE_BITS;
  fault_table_install(&fast);
  const char *path = index_store_make();
  hf_store *store = index_open(0);
  index_save_up_to(store, T + REST); /* in memory */
  index_compare(store);
  index_save_up_to(store, COLLIDE_TILES * T + REST);
  index_pack(store);
  compare_all(store);
  for (int shared = 0; shared < 2; shared++) { /* the second one finds all of the first's */
    hf_store *judge = index_open(shared);
    index_judge(judge);
    hf_close(&judge);
  }
  compare_all(store);
  hf_close(&store);
  fault_verify(path);
  fault_table_remove();
  (void)printf("index collide: hashes of %d bits, and every answer is right\n", COLLIDE_BITS);
}

/* ---- sixteen files become one ---- */

static void merge(void) {
  fault_table_install(&fast);
  (void)index_store_make();
  hf_store *store = index_open(0);
  index_save_up_to(store, MERGE_TILES * T + REST);
  index_pack(store);
  compare_all(store);
  FAULT_CHECK(store->view.base == MERGE_TILES * T && store->view.index->count == 3,
              "%zu files are used", store->view.index->count);
  hf_close(&store);
  fault_table_remove();
  (void)printf("index merge: every answer is right\n");
}

/* ---- one of them is gone ---- */

static void gap(void) {
  char name[HF_INDEX_NAME_BYTES];
  fault_table_install(&fast);
  (void)index_store_make();
  hf_store *store = index_open(0);
  index_save_up_to(store, FEW_TILES * T + REST);
  index_pack(store);
  hf_index_name(0, 1, name);
  FAULT_CHECK(unlinkat(store->index_fd, name, 0) == 0, "index/%s is not there", name);
  hf_close(&store);
  compare_all(NULL);
  fault_table_remove();
  (void)printf("index gap: the records are read instead\n");
}

/* ---- one of them cannot be read ---- */

static struct {
  unsigned calls; /* reads of indexes */
  unsigned fails; /* that one fails, from 1 on; 0: none */
  int opens;      /* and no index, and not this tile, can be opened: -1 all can */
} reads;

static void fail_read(void *context, fault_call *call) {
  char tile[32];
  (void)context;
  (void)snprintf(tile, sizeof tile, "%d.jsonl", reads.opens);
  int fails = 0;
  if (call->kind == FAULT_PREAD && fault_fd_ends_in(call->fd, ".idx"))
    fails = ++reads.calls == reads.fails;
  else if (call->kind == FAULT_OPENAT && reads.opens >= 0)
    fails = strcmp(call->name, tile) == 0 || strstr(call->name, ".idx") != NULL;
  if (!fails)
    return;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static const fault_hooks reading = {.before = fail_read, .fast_fsync = 1};

/* Walks; read number `fails` of the walk fails. What comes is right as far as it goes, also behind
 * the error; and the handle answers all of it the next time. Whether the walk met the error. */
static int walk_with(const index_walk *walk, unsigned fails) {
  static uint64_t expected[INDEX_RECORDS_MAX];
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  size_t count = index_walk_expected(walk, expected);
  hf_store *store = index_open(1);
  hf_cursor *cursor = index_walk_begin(store, walk);
  unsigned errors = 0;
  size_t met = 0;
  reads.calls = 0;
  reads.fails = fails;
  for (int got = 1; got != 0 && errors < 3;) {
    got = hf_cursor_next(cursor, &record, &error);
    errors += got < 0;
    if (got != 1)
      continue;
    FAULT_CHECK(met < count && record->seq == expected[met],
                "read %u failed, and item %zu of the walk is seq %llu: %llu is left out", fails,
                met + 1, (unsigned long long)record->seq,
                (unsigned long long)(met < count ? expected[met] : 0));
    met++;
    hf_record_free(&record);
  }
  reads.fails = 0;
  FAULT_CHECK(met == count || errors > 0,
              "read %u failed, and the walk ends, without a word, with %zu of %zu records", fails,
              met, count);
  hf_cursor_close(&cursor);
  cursor = index_walk_begin(store, walk);
  for (met = 0; hf_cursor_next(cursor, &record, &error) == 1; met++)
    hf_record_free(&record);
  FAULT_CHECK(met == count, "the next walk has %zu of %zu records", met, count);
  hf_cursor_close(&cursor);
  hf_close(&store);
  return errors > 0;
}

static void unreadable(void) {
  static const index_walk walks[] = {
      {.run = 5, .group = -1, .is_history = 1},
      {.run = -1, .group = 3, .all_revisions = 1},
      {.run = -1, .group = 3, .reverse = 1, .all_revisions = 1},
      {.run = -1, .group = -1},
      {.run = -1, .group = -1, .all_revisions = 1},
  };
  unsigned met = 0;
  reads.opens = -1;
  fault_table_install(&reading);
  (void)index_store_make();
  hf_store *store = index_open(0);
  index_save_up_to(store, FEW_TILES * T + REST);
  index_pack(store);
  hf_close(&store);
  for (size_t i = 0; i < sizeof walks / sizeof walks[0]; i++) {
    FAULT_CHECK(walk_with(&walks[i], 0) == 0, "a walk failed by itself");
    unsigned all = reads.calls;
    for (unsigned n = 1; n <= all; n += 1 + all / STOPS_MAX) {
      fault_context("walk %zu of %u reads", i, all);
      met += (unsigned)walk_with(&walks[i], n);
    }
  }
  fault_table_remove();
  FAULT_CHECK(met > STOPS_MAX, "only %u walks met the error", met);
  (void)printf("index unreadable: %u walks ended with an error, none with a gap\n", met);
}

/* ---- a view that cannot be read anew ---- */

static void anew(void) {
  static const index_walk walk = {.run = -1, .group = -1};
  static uint64_t expected[INDEX_RECORDS_MAX];
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  uint64_t head = 0;
  reads.opens = -1;
  fault_table_install(&reading);
  (void)index_store_make();
  hf_store *store = index_open(1);
  index_save_up_to(store, FEW_TILES * T);
  index_pack(store);
  hf_close(&store);
  store = index_open(1);
  size_t count = index_walk_expected(&walk, expected);
  hf_cursor *cursor = index_walk_begin(store, &walk);
  hf_cursor *other = index_walk_begin(store, &walk);
  reads.calls = 0;
  reads.fails = 1;
  FAULT_CHECK(hf_cursor_next(other, &record, &error) == HF_EIO, "an index was not read");
  reads.opens = FEW_TILES - 1;
  int status = hf_head(store, &head, &error);
  FAULT_CHECK(status == HF_EIO, "the last tile was read: %s", hf_status_name(status));
  reads.opens = -1;
  size_t met = 0;
  int got;
  while ((got = hf_cursor_next(cursor, &record, &error)) == 1) {
    FAULT_CHECK(met < count && record->seq == expected[met],
                "the log could not be read anew, and the walk shows seq %llu, right is %llu",
                (unsigned long long)record->seq,
                (unsigned long long)(met < count ? expected[met] : 0));
    met++;
    hf_record_free(&record);
  }
  FAULT_CHECK(got == 0 && met == count, "a walk that was open ended after %zu of %zu: %s", met,
              count, got < 0 ? error.message : "without a word");
  hf_cursor_close(&cursor);
  hf_cursor_close(&other);
  index_compare(store);
  hf_close(&store);
  fault_table_remove();
  (void)printf("index anew: a walk that was open goes on with what it began with\n");
}

/* ---- forgotten while they are made ---- */

static struct {
  hf_store *store; /* another handle, of who comes between */
  unsigned calls;
  unsigned at;
  int forgets;
  int builds;
} between;

/* Before call number `at`. */
static void come_between(void *context, fault_call *call) {
  hf_error error = HF_ERROR_INIT;
  (void)context, (void)call;
  if (++between.calls != between.at)
    return;
  if (between.forgets)
    fault_must(hf_index_forget(between.store->index_fd, &error), &error, "hf_index_forget");
  if (between.builds)
    fault_must(hf_index_build(between.store, 0, NULL, NULL, &error), &error, "hf_index_build");
}

static const fault_hooks coming = {.before = come_between, .fast_fsync = 1};

/* Everything that index/mark tells of is there. */
static void check_marked(hf_store *store) {
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
    hf_index_close(index);
  }
}

/* A builder, or who forgets, with another one before its call number `at`. Whether it came so far.
 */
static int between_at(hf_store *store, int is_builder, int is_begun, unsigned at) {
  hf_error error = HF_ERROR_INIT;
  uint64_t marked = 0;
  fault_must(hf_index_forget(store->index_fd, &error), &error, "hf_index_forget");
  if (!is_builder || is_begun)
    fault_must(hf_index_build(store, 0, NULL, NULL, &error), &error, "hf_index_build");
  if (is_begun) { /* by another, who told of the first tile */
    int fd = openat(store->index_fd, HF_MARK_NAME, O_WRONLY | O_CLOEXEC);
    FAULT_CHECK(fd >= 0 && ftruncate(fd, 1) == 0 && close(fd) == 0, "cannot shorten index/mark");
  }
  between.calls = 0;
  between.at = at;
  fault_table_install(&coming);
  if (is_builder)
    (void)hf_index_build(store, 0, NULL, NULL, &error); /* it may say that they were forgotten */
  else
    fault_must(hf_index_forget(store->index_fd, &error), &error, "hf_index_forget");
  fault_table_install(&fast);
  check_marked(store);
  fault_must(hf_index_build(store, 0, NULL, NULL, &error), &error, "hf_index_build");
  fault_must(hf_index_mark_length(store, &marked, &error), &error, "index/mark");
  FAULT_CHECK(marked == FEW_TILES, "built again, index/mark tells of %llu tiles",
              (unsigned long long)marked);
  check_marked(store);
  return between.calls >= at;
}

static void forgotten(void) {
  static const struct {
    const char *what;
    int is_builder, is_begun, forgets, builds;
  } ways[] = {
      {"forgotten while they are made", 1, 0, 1, 0},
      {"forgotten while the rest is made", 1, 1, 1, 0},
      {"forgotten, and made by another, while they are made", 1, 0, 1, 1},
      {"made by another while they are made", 1, 0, 0, 1},
      {"made by another while the rest is made", 1, 1, 0, 1},
      {"made while they are forgotten", 0, 0, 0, 1},
      {"forgotten twice", 0, 0, 1, 0},
  };
  hf_error error = HF_ERROR_INIT;
  unsigned steps = 0;
  fault_table_install(&fast);
  const char *path = index_store_make();
  hf_store *store = index_open(0);
  index_save_up_to(store, FEW_TILES * T);
  index_pack(store);
  between.store = index_open(0);
  fault_must(hf_store_prepare_to_stage(between.store, &error), &error, "stage/");
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    unsigned at = 1;
    between.forgets = ways[i].forgets;
    between.builds = ways[i].builds;
    do {
      fault_context("%s, at call %u", ways[i].what, at);
      FAULT_CHECK(at < FORGET_STEPS, "there is no end");
    } while (between_at(store, ways[i].is_builder, ways[i].is_begun, at++));
    steps += at;
  }
  fault_context("%s", "");
  hf_close(&between.store);
  hf_close(&store);
  fault_verify(path);
  compare_all(NULL);
  fault_table_remove();
  (void)printf("index forgotten: at each of %u calls, and the mark never tells of what is gone\n",
               steps);
}

const index_case index_cases[] = {
    {"collide", collide},
    {"merge", merge},
    {"gap", gap},
    {"unreadable", unreadable},
    {"anew", anew},
    {"forgotten", forgotten},
    {"mapped", index_mapped},
    {"replaced", index_replaced},
    {NULL, NULL},
};
