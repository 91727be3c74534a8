/* Packing by itself: who does it and who does not, what it leaves alone, and that no save depends
 * on it. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "pace.h"
#include "packer.h"
#include "scratch.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

enum { T = HF_TILE_RECORDS, WAIT_MS = 20000, QUIET_MS = 300 };

static scratch here;
static hf_store *store;
static int warnings;
static int notes;
static char last_warning[1024];

static void count_log(void *context, hf_log_level level, const char *message) {
  (void)context;
  if (level == HF_LOG_WARNING) {
    warnings++;
    (void)snprintf(last_warning, sizeof last_warning, "%s", message);
  } else
    notes++;
}

static hf_store *open_packing(const hf_config *config) {
  hf_open_options options = {.log = count_log, .config = config};
  hf_store *opened = NULL;
  ck_assert_int_eq(hf_open(here.store, &options, &opened, NULL), HF_OK);
  return opened;
}

static void begin(void) {
  warnings = notes = 0;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_packing(NULL);
}

static void end(void) {
  hf_close(&store);
  hf_sys = &hf_sys_real;
  scratch_end(&here);
}

/* Up to this head, as fast as batches are. */
static void fill(hf_store *into, uint64_t head) {
  static int number;
  uint64_t now = 0;
  ck_assert_int_eq(hf_head(into, &now, NULL), HF_OK);
  while (now < head) {
    hf_save_request requests[HF_BATCH_MAX];
    hf_saved results[HF_BATCH_MAX];
    char runs[HF_BATCH_MAX][24];
    size_t count = head - now < HF_BATCH_MAX ? (size_t)(head - now) : HF_BATCH_MAX;
    memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < count; i++) {
      (void)snprintf(runs[i], sizeof runs[i], "fill %d", number++);
      requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
      requests[i].doc = "{}";
      requests[i].doc_bytes = 2;
    }
    ck_assert_int_eq(hf_save_batch(into, requests, count, -1, results, NULL), HF_OK);
    now += count;
  }
}

/* By one who does not pack. */
static void fill_quietly(uint64_t head) {
  hf_store *other = scratch_open(&here);
  fill(other, head);
  hf_close(&other);
}

static uint64_t save_one(hf_store *into) {
  static int number;
  char run[32];
  (void)snprintf(run, sizeof run, "one %d", number++);
  return scratch_must_save(into, run, "S", "{}");
}

static uint64_t tiles(void) {
  struct stat st;
  ck_assert_int_eq(stat(scratch_path(&here, "tile/mark"), &st), 0);
  return (uint64_t)st.st_size;
}

static int is_loose(uint64_t seq) {
  return access(scratch_path(&here, "log/%020llu.json", (unsigned long long)seq), F_OK) == 0;
}

/* Until there are so many tiles, and their names are free. */
static void wait_for_tiles(uint64_t wanted) {
  for (int ms = 0; ms < WAIT_MS && (tiles() < wanted || is_loose(wanted * T)); ms += 2)
    pace_sleep_us(2000);
  ck_assert_uint_eq(tiles(), wanted);
}

static void stay_at(uint64_t wanted) {
  pace_sleep_us(QUIET_MS * 1000);
  ck_assert_uint_eq(tiles(), wanted);
}

static void check_sound(uint64_t head) {
  hf_verify_options options = {.deep = 1};
  hf_verify_report report;
  uint64_t now = 0;
  hf_store *after = scratch_open(&here);
  ck_assert_int_eq(hf_head(after, &now, NULL), HF_OK);
  hf_close(&after);
  ck_assert_uint_eq(now, head);
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 0);
  ck_assert_uint_eq(report.records, head);
}

START_TEST(who_completes_a_tile_packs_it) {
  fill(store, T - 1);
  ck_assert_ptr_null(store->packer);
  ck_assert_uint_eq(save_one(store), T);
  wait_for_tiles(1);
  for (uint64_t seq = 1; seq <= T; seq++)
    ck_assert(!is_loose(seq));
  /* its own rows are read from the tile, without a look at a name that is free */
  ck_assert_int_eq(hf_view_row(&store->view, 3)->in_tile, 1);
  hf_record *record = NULL;
  for (uint64_t seq = 1; seq <= T; seq++) {
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    hf_record_free(&record);
  }
  fill(store, 3 * T + 5);
  wait_for_tiles(3);
  hf_close(&store);
  check_sound(3 * T + 5);
  ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(others_wait_until_two_stand_unpacked) {
  fill_quietly(T);
  (void)save_one(store);
  (void)save_one(store);
  ck_assert_ptr_null(store->packer);
  ck_assert_uint_eq(tiles(), 0);
  fill_quietly(2 * T);
  (void)save_one(store);
  wait_for_tiles(2);
  hf_close(&store);
  check_sound(2 * T + 1);
}
END_TEST

START_TEST(a_short_lived_handle_packs_when_it_closes) {
  fill_quietly(T - 1);
  (void)save_one(store);
  hf_close(&store);
  ck_assert_uint_eq(tiles(), 1);
  ck_assert(!is_loose(T));
  /* where others should have done it: one */
  fill_quietly((uint64_t)T * 12);
  store = open_packing(NULL);
  (void)save_one(store);
  hf_close(&store);
  ck_assert_uint_ge(tiles(), 2);
  ck_assert_uint_le(tiles(), 3); /* one more, where its thread had begun before */
  check_sound((uint64_t)T * 12 + 1);
}
END_TEST

START_TEST(the_configuration_switches_it_off) {
  hf_config *config = NULL;
  const char *text = "{\"packing\":{\"automatic\":false}}";
  scratch_write_file(scratch_path(&here, "../config.json"), text, strlen(text));
  ck_assert_int_eq(hf_config_load(scratch_path(&here, "../config.json"), &config, NULL), HF_OK);
  ck_assert_int_eq(hf_config_packs(config), 0);
  ck_assert_int_eq(hf_config_packs(NULL), 1);
  hf_store *other = open_packing(config);
  fill(other, 3 * T);
  ck_assert_ptr_null(other->packer);
  hf_close(&other);
  ck_assert_uint_eq(tiles(), 0);
  hf_config_free(&config);
}
END_TEST

/* Another one packs, or has been stopped while it did. */
START_TEST(one_at_a_time_unless_that_does_not_get_on) {
  int fd = open(scratch_path(&here, "tile"), O_RDONLY | O_DIRECTORY);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  fill(store, 2 * T);
  stay_at(0);
  ck_assert_int_eq(close(fd), 0);
  wait_for_tiles(2);
  fd = open(scratch_path(&here, "tile"), O_RDONLY | O_DIRECTORY);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq(flock(fd, LOCK_EX), 0);
  fill(store, 3 * T);
  pace_sleep_us((HF_PACKER_STUCK_MS - 2000) * 1000);
  ck_assert_uint_eq(tiles(), 2);
  wait_for_tiles(3);
  ck_assert_int_eq(close(fd), 0);
  ck_assert_int_eq(warnings, 0);
}
END_TEST

START_TEST(on_a_shared_filesystem_others_wait_and_look) {
  scratch_assume_shared(store);
  fill_quietly(2 * T);
  (void)save_one(store);
  wait_for_tiles(2);
  (void)save_one(store);
  fill(store, 3 * T);
  wait_for_tiles(3);
  hf_close(&store);
  check_sound(3 * T);
}
END_TEST

/* ---- what stands in the way ---- */

START_TEST(a_tile_that_differs_counts_never) {
  ck_assert_int_eq(mkdir(scratch_path(&here, "tile/000"), 0777), 0);
  scratch_write_file(scratch_path(&here, "tile/000/0.jsonl"), "no tile\n", 8);
  fill(store, T + 3);
  stay_at(0);
  for (int i = 0; i < 3; i++) /* saving goes on, and it is told once */
    (void)save_one(store);
  fill(store, 2 * T);
  fill(store, 3 * T);
  stay_at(0);
  ck_assert_int_eq(warnings, 1);
  ck_assert_ptr_nonnull(strstr(last_warning, "differs from its loose records"));
  for (uint64_t seq = 1; seq <= 3 * T; seq++) {
    hf_record *record = NULL;
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    hf_record_free(&record);
  }
}
END_TEST

START_TEST(a_damaged_record_is_not_packed) {
  fill_quietly(10);
  save_one(store);
  hf_store *other = scratch_open(&here);
  while (save_one(other) < T)
    continue;
  hf_close(&other);
  size_t count = 0;
  char *bytes = scratch_read_file(scratch_path(&here, "log/%020d.json", 20), &count);
  bytes[40] ^= 1;
  scratch_write_file(scratch_path(&here, "log/%020d.json", 20), bytes, count);
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  ck_assert_int_eq(scratch_pack(store, &packed, &error), HF_EDAMAGED);
  ck_assert_uint_eq(tiles(), 0);
  for (uint64_t seq = 12; seq <= T; seq++)
    ck_assert(is_loose(seq));
  /* one that was read before it was damaged */
  bytes[40] ^= 1;
  scratch_write_file(scratch_path(&here, "log/%020d.json", 20), bytes, count);
  other = scratch_open(&here);
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(other, &head, NULL), HF_OK);
  bytes[40] ^= 1;
  scratch_write_file(scratch_path(&here, "log/%020d.json", 20), bytes, count);
  ck_assert_int_eq(scratch_pack(other, &packed, &error), HF_EDAMAGED);
  ck_assert_uint_eq(tiles(), 0);
  ck_assert(is_loose(20) && is_loose(T));
  free(bytes);
  hf_close(&other);
}
END_TEST

/* A newer program's record: its line is whole, its version is not ours. */
START_TEST(an_unknown_record_is_not_packed) {
  fill_quietly(T - 1);
  (void)save_one(store);
  wait_for_tiles(1);
  fill_quietly(2 * T);
  size_t count = 0;
  char *bytes = scratch_read_file(scratch_path(&here, "tile/000/0.jsonl"), &count);
  ck_assert_ptr_nonnull(bytes);
  free(bytes);
  hf_store *other = scratch_open(&here);
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(other, &head, NULL), HF_OK);
  other->view.unknown_count = 1;
  other->view.unknown_first = 7;
  uint64_t packed = 0;
  ck_assert_int_eq(scratch_pack(other, &packed, NULL), HF_EVERSION);
  ck_assert_uint_eq(tiles(), 1);
  hf_close(&other);
}
END_TEST

/* Files over a tile's edge do not come from us. Freed with the first tile, the second's records
 * would be gone. */
START_TEST(a_file_over_the_edge_is_not_packed) {
  fill_quietly(2 * T);
  struct stat st;
  ck_assert_int_eq(stat(scratch_path(&here, "log/%020d.json", 1), &st), 0);
  /* batches of a whole tile: two of them in one file */
  size_t first = 0;
  size_t second = 0;
  char *a = scratch_read_file(scratch_path(&here, "log/%020d.json", 1), &first);
  char *b = scratch_read_file(scratch_path(&here, "log/%020d.json", T + 1), &second);
  ck_assert(a != NULL && b != NULL);
  char *newline = memchr(b, '\n', second);
  ck_assert_ptr_nonnull(newline);
  size_t taken = (size_t)(newline - b) + 1;
  /* the first line of the second tile stands at the end of a file of the first: one line is in a
   * file of its own before it, so that a file may hold it */
  char *line_end = memchr(a, '\n', first);
  size_t one = (size_t)(line_end - a) + 1;
  char *whole = malloc(first - one + taken);
  memcpy(whole, a + one, first - one);
  memcpy(whole + first - one, b, taken);
  scratch_write_file(scratch_path(&here, "log/%020d.json", 1), a, one);
  scratch_write_file(scratch_path(&here, "log/%020d.json", 2), whole, first - one + taken);
  scratch_write_file(scratch_path(&here, "log/%020d.json", T + 2), b + taken, second - taken);
  ck_assert_int_eq(unlink(scratch_path(&here, "log/%020d.json", T + 1)), 0);
  uint64_t packed = 0;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(scratch_pack(store, &packed, &error), HF_EDAMAGED);
  ck_assert_ptr_nonnull(strstr(error.message, "both sides"));
  ck_assert_uint_eq(tiles(), 0);
  ck_assert(is_loose(1) && is_loose(2) && is_loose(T + 2));
  free(a);
  free(b);
  free(whole);
}
END_TEST

/* ---- failing calls ---- */

static hf_sys_table table;
static _Atomic int fails;
static _Atomic int order; /* of the two marked calls below */
static _Atomic int mark_synced_at, unlinked_at;

static ssize_t full_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  if (fails && count > 1000) { /* a tile, into stage/ */
    errno = ENOSPC;
    return -1;
  }
  return pwrite(fd, bytes, count, offset);
}

START_TEST(a_full_disk_leaves_everything) {
  fill_quietly(T - 1);
  table = hf_sys_real;
  table.pwrite = full_pwrite;
  fails = 1;
  hf_sys = &table;
  ck_assert_uint_eq(save_one(store), T);
  stay_at(0);
  (void)save_one(store);
  for (uint64_t seq = T; seq <= T + 1; seq++)
    ck_assert(is_loose(seq));
  fails = 0;
  pace_sleep_us(1300 * 1000); /* it is tried again after a second */
  wait_for_tiles(1);
  fill(store, 2 * T);
  ck_assert_int_eq(warnings, 1);
  ck_assert_ptr_nonnull(strstr(last_warning, "packing is tried again"));
  hf_close(&store);
  hf_sys = &hf_sys_real;
  check_sound(2 * T);
}
END_TEST

START_TEST(a_folder_that_is_read_only_leaves_everything) {
  if (geteuid() == 0)
    return; /* root may write anyway */
  ck_assert_int_eq(chmod(scratch_path(&here, "tile"), 0555), 0);
  fill(store, 2 * T);
  stay_at(0);
  ck_assert_int_eq(chmod(scratch_path(&here, "tile"), 0755), 0);
}
END_TEST

/* ---- what killed packers leave ---- */

static int seen_fsync(int fd) {
  char link[64];
  char path[512] = "";
  (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t bytes = readlink(link, path, sizeof path - 1);
  if (bytes > 9 && strcmp(path + bytes - 9, "tile/mark") == 0)
    mark_synced_at = ++order;
  return fsync(fd);
}

static int seen_unlinkat(int dirfd, const char *name, int flags) {
  if (strlen(name) == 25 && unlinked_at == 0)
    unlinked_at = ++order;
  return unlinkat(dirfd, name, flags);
}

/* Of an older tile than the last one; and the mark may not be durable yet: then a power loss would
 * take the tile back, and the name would be gone. */
START_TEST(leftovers_of_any_tile_are_freed_behind_a_durable_mark) {
  fill_quietly(3);
  hf_store *other = scratch_open(&here);
  while (save_one(other) < 5)
    continue;
  fill(other, 3 * T);
  hf_close(&other);
  size_t count = 0;
  char *bytes = scratch_read_file(scratch_path(&here, "log/%020d.json", 5), &count);
  uint64_t packed = 0;
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, 3);
  scratch_write_file(scratch_path(&here, "log/%020d.json", 5), bytes, count);
  /* not what is there */
  scratch_write_file(scratch_path(&here, "log/%020d.json", 7), bytes, count);
  table = hf_sys_real;
  table.fsync = seen_fsync;
  table.unlinkat = seen_unlinkat;
  hf_sys = &table;
  hf_pack_report report;
  ck_assert_int_eq(hf_pack(store, NULL, &report, NULL), HF_OK);
  hf_sys = &hf_sys_real;
  ck_assert_uint_eq(report.freed, 1);
  ck_assert(!is_loose(5) && is_loose(7));
  ck_assert_int_eq(mark_synced_at, 1);
  ck_assert_int_eq(unlinked_at, 2);
  ck_assert_int_eq(unlink(scratch_path(&here, "log/%020d.json", 7)), 0);
  free(bytes);
  check_sound(3 * T);
}
END_TEST

/* A server that went down took back the end of the mark, which one packer had written and another
 * had seen: no gap is left. */
START_TEST(the_mark_has_no_gap) {
  size_t count = 0;
  fill_quietly(3 * T);
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
  uint64_t packed = 0;
  ck_assert_int_eq(hf_store_prepare_to_stage(store, NULL), HF_OK);
  ck_assert_int_eq(hf_tile_pack_one(store, 0, NULL), 1);
  ck_assert_int_eq(hf_tile_pack_one(store, 1, NULL), 1);
  ck_assert_int_eq(truncate(scratch_path(&here, "tile/mark"), 1), 0);
  ck_assert_int_eq(hf_tile_pack_one(store, 2, NULL), 1);
  char *bytes = scratch_read_file(scratch_path(&here, "tile/mark"), &count);
  ck_assert_uint_eq(count, 3);
  ck_assert_int_eq(memcmp(bytes, "ttt", 3), 0);
  free(bytes);
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  check_sound(3 * T);
}
END_TEST

/* ---- processes and signals ---- */

START_TEST(a_forked_child_has_no_packer) {
  fill(store, T); /* its thread is there */
  wait_for_tiles(1);
  pid_t child = fork();
  ck_assert_int_ge(child, 0);
  if (child == 0) {
    hf_saved saved;
    int refused = scratch_save(store, "child", "S", "{}", &saved, NULL) == HF_EFORKED;
    (void)alarm(10);
    hf_close(&store);
    _exit(refused ? 0 : 1);
  }
  int status = 1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(status, 0);
  fill(store, 2 * T);
  wait_for_tiles(2);
}
END_TEST

/* The threads that are not the first one, and those of them that do not block this signal. */
static int threads_open_to(int number, int *ret_others) {
  FILE *list = popen("grep -h -E '^(Pid|SigBlk):' /proc/$PPID/task/*/status", "r");
  char name[32];
  char value[64];
  int open = 0;
  long pid = 0;
  ck_assert_ptr_nonnull(list);
  *ret_others = 0;
  while (fscanf(list, "%31s %63s", name, value) == 2) {
    if (strcmp(name, "Pid:") == 0)
      pid = strtol(value, NULL, 10), *ret_others += pid != (long)getpid();
    else if (pid != (long)getpid() && (strtoull(value, NULL, 16) >> (number - 1) & 1) == 0)
      open++;
  }
  (void)pclose(list);
  return open;
}

START_TEST(its_thread_takes_no_signals) {
  fill(store, T);
  wait_for_tiles(1);
  ck_assert_ptr_nonnull(store->packer);
  int others = 0;
  ck_assert_int_eq(threads_open_to(SIGTERM, &others), 0);
  ck_assert_int_ge(others, 1);
  ck_assert_int_eq(threads_open_to(SIGALRM, &others), 0);
}
END_TEST

/* ---- progress ---- */

static uint64_t told_done, told_total;
static unsigned told_times;

static int stop_at_two(void *context, const char *what, uint64_t done, uint64_t total) {
  (void)context;
  ck_assert_str_eq(what, "tiles");
  told_done = done;
  told_total = total;
  told_times++;
  return done == 2;
}

START_TEST(progress_is_told_and_stops) {
  hf_pack_options options = {.progress = stop_at_two};
  hf_pack_report report;
  fill_quietly(4 * T + 9);
  ck_assert_int_eq(hf_pack(store, &options, &report, NULL), HF_ECANCELLED);
  ck_assert_uint_eq(report.packed, 2);
  ck_assert_uint_eq(told_done, 2);
  ck_assert_uint_eq(told_total, 4);
  ck_assert_int_eq(hf_pack(store, NULL, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.packed, 2);
  ck_assert_uint_eq(report.tiles, 4);
  ck_assert_uint_eq(report.head, 4 * T + 9);
  check_sound(4 * T + 9);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("packer");
  TCase *tests = tcase_create("packer");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_test(tests, who_completes_a_tile_packs_it);
  tcase_add_test(tests, others_wait_until_two_stand_unpacked);
  tcase_add_test(tests, a_short_lived_handle_packs_when_it_closes);
  tcase_add_test(tests, the_configuration_switches_it_off);
  tcase_add_test(tests, one_at_a_time_unless_that_does_not_get_on);
  tcase_add_test(tests, on_a_shared_filesystem_others_wait_and_look);
  tcase_add_test(tests, a_tile_that_differs_counts_never);
  tcase_add_test(tests, a_damaged_record_is_not_packed);
  tcase_add_test(tests, an_unknown_record_is_not_packed);
  tcase_add_test(tests, a_file_over_the_edge_is_not_packed);
  tcase_add_test(tests, a_full_disk_leaves_everything);
  tcase_add_test(tests, a_folder_that_is_read_only_leaves_everything);
  tcase_add_test(tests, leftovers_of_any_tile_are_freed_behind_a_durable_mark);
  tcase_add_test(tests, the_mark_has_no_gap);
  tcase_add_test(tests, a_forked_child_has_no_packer);
  tcase_add_test(tests, its_thread_takes_no_signals);
  tcase_add_test(tests, progress_is_told_and_stops);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
