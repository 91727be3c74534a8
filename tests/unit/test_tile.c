/* Packing: tiles, freed names, handles that are at work meanwhile, and writers that slept through
 * it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pace.h"
#include "scratch.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

static scratch here;
static hf_store *store;
static int shared;

static hf_store *open_one(void) {
  hf_store *opened = scratch_open(&here);
  if (shared)
    scratch_assume_shared(opened);
  return opened;
}

static void begin_local(void) {
  shared = 0;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_one();
}

static void begin_shared(void) {
  shared = 1;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_one();
}

static void end(void) {
  hf_sys = &hf_sys_real;
  hf_close(&store);
  scratch_end(&here);
}

static void save_up_to(hf_store *into, uint64_t head) {
  uint64_t seq = 0;
  while (seq < head) {
    char run[32];
    (void)snprintf(run, sizeof run, "run %d", (int)rand());
    seq = scratch_must_save(into, run, "S", "{\"group\":1}");
  }
}

/* Every record's line, as one text. */
static char *all_lines(hf_store *of) {
  hf_list_options options = {.all_records = 1};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  hf_buf text = {0};
  int got;
  ck_assert_int_eq(hf_list(of, &options, &cursor, NULL), HF_OK);
  while ((got = hf_cursor_next(cursor, &record, NULL)) == 1) {
    (void)hf_buf_printf(&text, "%d %s\n", (int)record->seq, record->line);
    hf_record_free(&record);
  }
  ck_assert_int_eq(got, 0);
  hf_cursor_close(&cursor);
  return hf_buf_take(&text);
}

static uint64_t pack(hf_store *of) {
  uint64_t packed = 0;
  hf_error error = HF_ERROR_INIT;
  int status = scratch_pack(of, &packed, &error);
  ck_assert_msg(status == HF_OK, "%s: %s", error.place, error.message);
  return packed;
}

START_TEST(test_packing_changes_nothing_that_is_read) {
  hf_store *before = open_one();
  save_up_to(store, 700);
  char *lines = all_lines(before);
  ck_assert_uint_eq(pack(store), 2);
  ck_assert_uint_eq(pack(store), 0);
  ck_assert_int_ne(access(scratch_path(&here, "log/%020d.json", 1), F_OK), 0);
  ck_assert_int_ne(access(scratch_path(&here, "log/%020d.json", 512), F_OK), 0);
  ck_assert_int_eq(access(scratch_path(&here, "log/%020d.json", 513), F_OK), 0);
  hf_store *after = open_one();
  /* one that packed, one with loose rows, one with tile rows */
  hf_store *handles[] = {store, before, after};
  for (int i = 0; i < 3; i++) {
    char *again = all_lines(handles[i]);
    ck_assert_str_eq(again, lines);
    free(again);
  }
  ck_assert_uint_eq(scratch_must_save(before, "x", "S", "{}"), 701);
  ck_assert_uint_eq(scratch_must_save(after, "y", "S", "{}"), 702);
  ck_assert_uint_eq(scratch_must_save(store, "z", "S", "{}"), 703);
  free(lines);
  hf_close(&before);
  hf_close(&after);
}
END_TEST

START_TEST(test_a_batch_file_is_packed_line_by_line) {
  hf_save_request requests[HF_BATCH_MAX];
  hf_saved results[HF_BATCH_MAX];
  char runs[HF_BATCH_MAX][24];
  memset(requests, 0, sizeof requests);
  save_up_to(store, 100);
  for (int i = 0; i < HF_BATCH_MAX; i++) {
    (void)snprintf(runs[i], sizeof runs[i], "batch %d", i);
    requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
    requests[i].doc = "{}";
    requests[i].doc_bytes = 2;
  }
  /* 256 lines from seq 101 on: the file would cross a tile's edge, so it is split there */
  ck_assert_int_eq(hf_save_batch(store, requests, HF_BATCH_MAX, -1, results, NULL), HF_OK);
  ck_assert_uint_eq(results[255].seq, 356);
  ck_assert_int_eq(access(scratch_path(&here, "log/%020d.json", 257), F_OK), 0);
  char *lines = all_lines(store);
  ck_assert_uint_eq(pack(store), 1);
  hf_store *after = open_one();
  char *again = all_lines(after);
  ck_assert_str_eq(again, lines);
  free(lines);
  free(again);
  hf_close(&after);
}
END_TEST

static ino_t inode_of(const char *path) {
  struct stat st;
  ck_assert_int_eq(stat(path, &st), 0);
  return st.st_ino;
}

static int is_loose(int seq) {
  return access(scratch_path(&here, "log/%020d.json", seq), F_OK) == 0;
}

/* Behind a record that stands alone, a long batch fills that tile and goes on with whole ones; such
 * a file becomes the tile, where that may be done. */
START_TEST(test_a_file_that_is_a_whole_tile_becomes_the_tile) {
  enum { COUNT = 3 * HF_BATCH_MAX };
  static hf_save_request requests[COUNT];
  static hf_saved results[COUNT];
  static char runs[COUNT][24];
  save_up_to(store, 1);
  for (int i = 0; i < COUNT; i++) {
    (void)snprintf(runs[i], sizeof runs[i], "batch %d", i);
    requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
    requests[i].doc = "{}";
    requests[i].doc_bytes = 2;
  }
  ck_assert_int_eq(hf_save_batch(store, requests, COUNT, -1, results, NULL), HF_OK);
  ck_assert(is_loose(2) && is_loose(257) && is_loose(513) && is_loose(769));
  ino_t loose = inode_of(scratch_path(&here, "log/%020d.json", 257));
  char *lines = all_lines(store);
  ck_assert_uint_eq(pack(store), 3);
  ck_assert(!is_loose(257));
  ck_assert_int_eq(inode_of(scratch_path(&here, "tile/000/1.jsonl")) == loose, !shared);
  hf_store *after = open_one();
  char *again = all_lines(after);
  ck_assert_str_eq(again, lines);
  free(lines);
  free(again);
  hf_close(&after);
}
END_TEST

/* How many descriptors of this process lead to the file. */
static int descriptors_of(const char *path) {
  char place[64];
  struct stat wanted, st;
  int count = 0;
  ck_assert_int_eq(stat(path, &wanted), 0);
  for (int fd = 0; fd < 1024; fd++) {
    (void)snprintf(place, sizeof place, "/proc/self/fd/%d", fd);
    count += stat(place, &st) == 0 && st.st_dev == wanted.st_dev && st.st_ino == wanted.st_ino;
  }
  return count;
}

static void read_one(hf_store *of, uint64_t seq) {
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get_seq(of, seq, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, seq);
  hf_record_free(&record);
}

/* On a shared filesystem a tile that is read again stays open: no close is sent, which an open of
 * another process could meet. One of its place takes its turn. */
START_TEST(test_a_tile_that_is_read_again_is_kept_open) {
  enum { OTHER = 1 + HF_TILE_PINS * HF_TILE_RECORDS };
  save_up_to(store, 2 * HF_TILE_RECORDS);
  ck_assert_uint_eq(pack(store), 2);
  hf_store *reader = open_one();
  const char *path = scratch_path(&here, "tile/000/0.jsonl");
  int before = descriptors_of(path);
  read_one(reader, 1);
  ck_assert_int_eq(descriptors_of(path), before); /* who reads one record is spared it */
  for (uint64_t seq = 2; seq < 9; seq++)
    read_one(reader, seq);
  ck_assert_int_eq(descriptors_of(path), before + shared);
  read_one(reader, HF_TILE_RECORDS + 1); /* of another place */
  ck_assert_int_eq(descriptors_of(path), before + shared);
  hf_tile_pin(reader, hf_tile_of(OTHER));
  ck_assert_int_eq(descriptors_of(path), before);
  read_one(reader, 1);
  read_one(reader, 1);
  ck_assert_int_eq(descriptors_of(path), before + shared);
  hf_close(&reader);
  ck_assert_int_eq(descriptors_of(path), before);
}
END_TEST

/* What happens while the writer sleeps, right before its link. */
static hf_sys_table table;
static hf_store *other;
static int slept;

static int sleeping_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to,
                           int flags) {
  if (!slept && strlen(to) == 25) {
    slept = 1;
    save_up_to(other, 600);
    ck_assert_uint_ge(pack(other), 1);
  }
  return linkat(from_dirfd, from, to_dirfd, to, flags);
}

START_TEST(test_a_writer_that_slept_does_not_commit_on_a_freed_name) {
  other = open_one();
  save_up_to(store, 10);
  table = hf_sys_real;
  table.linkat = sleeping_linkat;
  slept = 0;
  hf_sys = &table;
  /* wants log/11, which was taken, packed and freed meanwhile: its link succeeds and must not count
   */
  uint64_t seq = scratch_must_save(store, "late", "S", "{\"late\":1}");
  hf_sys = &hf_sys_real;
  ck_assert_int_eq(slept, 1);
  ck_assert_uint_ge(seq, 601);
  ck_assert_int_ne(access(scratch_path(&here, "log/%020d.json", 11), F_OK), 0);
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get(other, &(hf_key){.run_id = "late", .stage = "S"}, 0, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, seq);
  hf_record_free(&record);
  hf_close(&other);
}
END_TEST

START_TEST(test_a_loose_file_that_a_tile_covers_does_not_count) {
  save_up_to(store, 300);
  ck_assert_uint_eq(pack(store), 1);
  char *lines = all_lines(store);
  size_t count = 0;
  char *bytes = scratch_read_file(scratch_path(&here, "log/%020d.json", 300), &count);
  scratch_write_file(scratch_path(&here, "log/%020d.json", 5), bytes, count);
  hf_store *after = open_one();
  char *again = all_lines(after);
  ck_assert_str_eq(again, lines);
  free(again);
  again = all_lines(store);
  ck_assert_str_eq(again, lines);
  free(again);
  free(lines);
  free(bytes);
  hf_close(&after);
}
END_TEST

START_TEST(test_packers_writers_and_readers_at_once) {
  enum { PACKERS = 2, WRITERS = 3 };
  const int saves = pace_count(400, 100);
  pid_t children[PACKERS + WRITERS];
  for (int i = 0; i < PACKERS + WRITERS; i++) {
    children[i] = fork();
    ck_assert_int_ge(children[i], 0);
    if (children[i] == 0) {
      hf_store *mine = open_one();
      srand((unsigned)i);
      for (int n = 0; i >= PACKERS && n < saves; n++) {
        char run[32];
        (void)snprintf(run, sizeof run, "w%d %d", i, n);
        (void)scratch_must_save(mine, run, "S", "{}");
      }
      for (int n = 0; i < PACKERS && n < 60; n++) {
        uint64_t packed = 0;
        if (scratch_pack(mine, &packed, NULL) != HF_OK)
          _exit(2);
        pace_sleep_us(5000);
      }
      hf_close(&mine);
      _exit(0);
    }
  }
  uint64_t last = 0;
  for (int n = 0; n < 200; n++) {
    uint64_t head = 0;
    ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
    ck_assert_uint_ge(head, last);
    last = head;
    pace_sleep_us(1000);
  }
  for (int i = 0; i < PACKERS + WRITERS; i++) {
    int status = 1;
    ck_assert_int_eq(waitpid(children[i], &status, 0), children[i]);
    ck_assert_int_eq(status, 0);
  }
  (void)pack(store);
  hf_store *after = open_one();
  char *a = all_lines(store);
  char *b = all_lines(after);
  ck_assert_str_eq(a, b);
  ck_assert_int_eq(hf_head(after, &last, NULL), HF_OK);
  ck_assert_uint_eq(last, (uint64_t)(WRITERS * saves));
  free(a);
  free(b);
  hf_close(&after);
}
END_TEST

START_TEST(test_a_packer_killed_anywhere_is_finished_by_the_next) {
  save_up_to(store, 520);
  char *lines = all_lines(store);
  for (int i = 0; i < 12; i++) {
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
      hf_store *mine = open_one();
      uint64_t packed = 0;
      (void)scratch_pack(mine, &packed, NULL);
      _exit(0);
    }
    pace_sleep_us(500 + 900 * i);
    (void)kill(child, SIGKILL);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    hf_store *after = open_one();
    char *again = all_lines(after);
    ck_assert_str_eq(again, lines);
    free(again);
    hf_close(&after);
  }
  (void)pack(store);
  ck_assert_int_ne(access(scratch_path(&here, "log/%020d.json", 1), F_OK), 0);
  free(lines);
}
END_TEST

static void add_all(TCase *tests) {
  tcase_set_timeout(tests, 120);
  tcase_add_test(tests, test_packing_changes_nothing_that_is_read);
  tcase_add_test(tests, test_a_batch_file_is_packed_line_by_line);
  tcase_add_test(tests, test_a_file_that_is_a_whole_tile_becomes_the_tile);
  tcase_add_test(tests, test_a_tile_that_is_read_again_is_kept_open);
  tcase_add_test(tests, test_a_writer_that_slept_does_not_commit_on_a_freed_name);
  tcase_add_test(tests, test_a_loose_file_that_a_tile_covers_does_not_count);
  tcase_add_test(tests, test_packers_writers_and_readers_at_once);
  tcase_add_test(tests, test_a_packer_killed_anywhere_is_finished_by_the_next);
}

int main(void) {
  Suite *suite = suite_create("tile");
  TCase *local = tcase_create("local filesystem");
  TCase *as_shared = tcase_create("as on a shared filesystem");
  tcase_add_checked_fixture(local, begin_local, end);
  tcase_add_checked_fixture(as_shared, begin_shared, end);
  add_all(local);
  add_all(as_shared);
  suite_add_tcase(suite, local);
  suite_add_tcase(suite, as_shared);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
