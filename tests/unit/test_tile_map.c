/* Tiles that stay mapped: what is spared, and what becomes of a map whose tile is not the same any
 * more, or cannot be read. */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "scratch.h"
#include "store.h"
#include "sys.h"
#include "tile.h"
#include "tile_map.h"

enum { TILES = 3, LAST = TILES * HF_TILE_RECORDS };

static scratch here;
static hf_sys_table table;
static int opens;
static int questions;
static int refused_with; /* each question; 0: none is refused */

static int counted_openat(int dirfd, const char *name, int flags, mode_t mode) {
  opens += strstr(name, ".jsonl") != NULL;
  return hf_sys_real.openat(dirfd, name, flags, mode);
}

static int counted_madvise(void *at, size_t bytes, int advice) {
  questions++;
  errno = refused_with;
  return refused_with != 0 ? -1 : hf_sys_real.madvise(at, bytes, advice);
}

static void begin(void) {
  scratch_begin(&here);
  scratch_init(&here, "none");
  uint64_t packed = 0;
  hf_store *store = scratch_open(&here);
  for (int i = 1; i <= LAST; i++) {
    char run[32];
    (void)snprintf(run, sizeof run, "run %d", i);
    ck_assert_uint_eq(scratch_must_save(store, run, "S", "{\"comparison_group\":1}"), (uint64_t)i);
  }
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, TILES);
  hf_close(&store);
  table = hf_sys_real;
  table.openat = counted_openat;
  table.madvise = counted_madvise;
  hf_sys = &table;
  opens = questions = refused_with = 0;
}

static void end(void) {
  hf_sys = &hf_sys_real;
  scratch_end(&here);
}

/* The record of seq is that of "run SEQ". */
static void ask(hf_store *store, int seq) {
  char run[32];
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  (void)snprintf(run, sizeof run, "run %d", seq);
  int got = hf_get_seq(store, (uint64_t)seq, &record, &error);
  ck_assert_msg(got == 1, "seq %d: %s: %s", seq, error.place, error.message);
  ck_assert_str_eq(record->run_id, run);
  hf_record_free(&record);
}

/* How many parts of this process's memory are files whose path ends so. */
static int mapped(const char *ending) {
  char line[SCRATCH_PATH_BYTES];
  int count = 0;
  FILE *maps = fopen("/proc/self/maps", "re");
  ck_assert_ptr_nonnull(maps);
  while (fgets(line, sizeof line, maps) != NULL) {
    line[strcspn(line, "\n")] = '\0';
    size_t bytes = strlen(line);
    count += bytes > strlen(ending) && strcmp(line + bytes - strlen(ending), ending) == 0;
  }
  (void)fclose(maps);
  return count;
}

START_TEST(test_one_open_a_tile) {
  hf_store *store = scratch_open(&here);
  for (int seq = 1; seq <= LAST; seq++)
    ask(store, seq);
  ck_assert_int_eq(opens, TILES);
  ck_assert_int_eq(mapped("/tile/000/0.jsonl"), 1);
  for (int i = 0; i < 10; i++) {
    hf_record *record = NULL;
    ck_assert_int_eq(hf_prev_seq(store, (uint64_t)(LAST - i), &record, NULL), 1);
    ck_assert_uint_eq(record->seq, (uint64_t)(LAST - i - 1));
    hf_record_free(&record);
  }
  ck_assert_int_eq(opens, TILES);
  hf_close(&store);
  ck_assert_int_eq(mapped(".jsonl"), 0);
}
END_TEST

START_TEST(test_a_walk_maps_nothing) {
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_list(store, NULL, &cursor, NULL), HF_OK);
  while (hf_cursor_next(cursor, &record, NULL) == 1)
    hf_record_free(&record);
  hf_cursor_close(&cursor);
  ck_assert_int_eq(mapped(".jsonl"), 0);
  ck_assert_int_eq(questions, 0);
  hf_close(&store);
}
END_TEST

START_TEST(test_shared_filesystems_map_nothing) {
  hf_store *store = scratch_open(&here);
  scratch_assume_shared(store);
  for (int seq = 1; seq < 9; seq++)
    ask(store, seq);
  ck_assert_int_eq(mapped(".jsonl"), 0);
  hf_close(&store);
}
END_TEST

/* Another file gets the tile's name; its lines stand elsewhere. */
static void make_anew(void) {
  size_t bytes = 0;
  char *text = scratch_read_file(scratch_path(&here, "tile/000/0.jsonl"), &bytes);
  char *longer = malloc(bytes + 8);
  ck_assert_ptr_nonnull(longer);
  memcpy(longer, "damaged ", 8);
  memcpy(longer + 8, text, bytes);
  char staged[SCRATCH_PATH_BYTES];
  (void)snprintf(staged, sizeof staged, "%s", scratch_path(&here, "tile/000/staged"));
  scratch_write_file(staged, longer, bytes + 8);
  ck_assert_int_eq(rename(staged, scratch_path(&here, "tile/000/0.jsonl")), 0);
  free(text);
  free(longer);
}

START_TEST(test_a_tile_that_was_made_anew) {
  hf_store *before = scratch_open(&here);
  ask(before, 2);
  make_anew();
  hf_store *after = scratch_open(&here);
  for (int seq = 2; seq < 9; seq++) {
    ask(before, seq); /* from the file that it has mapped */
    ask(after, seq);  /* from the new one, whose index tells of other places */
  }
  ck_assert_int_eq(mapped("/tile/000/0.jsonl (deleted)"), 1);
  hf_tile_unmap_all(before);
  ck_assert_int_eq(mapped("/tile/000/0.jsonl (deleted)"), 0);
  for (int seq = 2; seq <= LAST; seq++)
    ask(before, seq);
  hf_close(&before);
  hf_close(&after);
}
END_TEST

START_TEST(test_what_was_altered_under_a_map_is_told) {
  size_t bytes = 0;
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_store *store = scratch_open(&here);
  ask(store, 1);
  char *text = scratch_read_file(scratch_path(&here, "tile/000/0.jsonl"), &bytes);
  FILE *file = fopen(scratch_path(&here, "tile/000/0.jsonl"), "r+e");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, 30, SEEK_SET), 0);
  ck_assert_int_ne(fputc(text[30] ^ 1, file), EOF);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(hf_get_seq(store, 1, &record, &error), HF_EDAMAGED);
  ask(store, 2);
  free(text);
  hf_close(&store);
}
END_TEST

/* A page that cannot be read: the name tells whether that is so. */
START_TEST(test_a_page_that_cannot_be_read) {
  hf_store *store = scratch_open(&here);
  ask(store, 1);
  refused_with = EFAULT;
  for (int seq = 1; seq < 4; seq++)
    ask(store, seq);
  refused_with = 0;
  opens = questions = 0;
  for (int seq = 1; seq < 9; seq++)
    ask(store, seq);
  ck_assert_int_eq(opens, 1); /* it is mapped again */
  ck_assert_int_eq(questions, 8);
  hf_close(&store);
}
END_TEST

/* A kernel that has no such question: nothing is mapped, all is read. */
START_TEST(test_a_kernel_that_cannot_be_asked) {
  hf_store *store = scratch_open(&here);
  refused_with = EINVAL;
  for (int seq = 1; seq <= LAST; seq++)
    ask(store, seq);
  ck_assert_int_eq(questions, 1);
  ck_assert_int_eq(mapped(".jsonl"), 0);
  hf_close(&store);
}
END_TEST

/* Two that share a place: the one that was asked for last is mapped. */
START_TEST(test_tiles_of_one_place) {
  hf_store *store = scratch_open(&here);
  ask(store, 1);
  ck_assert_int_eq(mapped("/tile/000/0.jsonl"), 1);
  atomic_store(&store->tiles_seen, HF_TILE_MAPS + 1); /* one that cannot be opened */
  hf_tile_map(store, HF_TILE_MAPS);
  ck_assert_int_eq(mapped("/tile/000/0.jsonl"), 0);
  ask(store, 1);
  ck_assert_int_eq(mapped("/tile/000/0.jsonl"), 1);
  hf_close(&store);
}
END_TEST

static void *ask_much(void *context) {
  hf_store *store = context;
  for (int i = 0; i < 2000; i++)
    ask(store, 1 + i * 31 % LAST);
  return NULL;
}

/* Maps are given up while others read from them. */
START_TEST(test_threads) {
  enum { THREADS = 4 };
  pthread_t threads[THREADS];
  hf_sys = &hf_sys_real;
  hf_store *store = scratch_open(&here);
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_create(&threads[i], NULL, ask_much, store), 0);
  for (int i = 0; i < 2000; i++) {
    hf_tile_unmap(store, (uint64_t)(i % TILES));
    hf_tile_unmap_all(store);
  }
  for (int i = 0; i < THREADS; i++)
    ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
  hf_close(&store);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("tile_map");
  TCase *tests = tcase_create("maps");
  tcase_add_checked_fixture(tests, begin, end);
  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, test_one_open_a_tile);
  tcase_add_test(tests, test_a_walk_maps_nothing);
  tcase_add_test(tests, test_shared_filesystems_map_nothing);
  tcase_add_test(tests, test_a_tile_that_was_made_anew);
  tcase_add_test(tests, test_what_was_altered_under_a_map_is_told);
  tcase_add_test(tests, test_a_page_that_cannot_be_read);
  tcase_add_test(tests, test_a_kernel_that_cannot_be_asked);
  tcase_add_test(tests, test_tiles_of_one_place);
  tcase_add_test(tests, test_threads);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
