/* Packing by itself: what stands in its way and is left as it is, and what killed packers left. No
 * save depends on it. */
#include "packer_help.h"

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
  ck_assert_int_eq(hf_tile_pack(store, 0, 1, NULL, NULL, NULL), 1);
  ck_assert_int_eq(hf_tile_pack(store, 1, 1, NULL, NULL, NULL), 1);
  ck_assert_int_eq(truncate(scratch_path(&here, "tile/mark"), 1), 0);
  ck_assert_int_eq(hf_tile_pack(store, 2, 1, NULL, NULL, NULL), 1);
  char *bytes = scratch_read_file(scratch_path(&here, "tile/mark"), &count);
  ck_assert_uint_eq(count, 3);
  ck_assert_int_eq(memcmp(bytes, "ttt", 3), 0);
  free(bytes);
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  check_sound(3 * T);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("packer refuses");
  TCase *tests = tcase_create("packer refuses");
  tcase_set_timeout(tests, 60);
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_test(tests, a_tile_that_differs_counts_never);
  tcase_add_test(tests, a_damaged_record_is_not_packed);
  tcase_add_test(tests, an_unknown_record_is_not_packed);
  tcase_add_test(tests, a_file_over_the_edge_is_not_packed);
  tcase_add_test(tests, a_full_disk_leaves_everything);
  tcase_add_test(tests, a_folder_that_is_read_only_leaves_everything);
  tcase_add_test(tests, leftovers_of_any_tile_are_freed_behind_a_durable_mark);
  tcase_add_test(tests, the_mark_has_no_gap);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
