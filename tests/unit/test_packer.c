/* Packing by itself: who does it and who does not, and what its thread is. */
#include "packer_help.h"

START_TEST(who_completes_a_tile_packs_it) {
  fill(store, T - 1);
  ck_assert_ptr_null(store->packer);
  ck_assert_uint_eq(save_one(store), T);
  wait_for_tiles(1);
  for (uint64_t seq = 1; seq <= T; seq++)
    ck_assert(!is_loose(seq));
  /* its own rows are read from the tile, without a look at a name that is free */
  (void)pthread_mutex_lock(&store->view_mutex);
  hf_row row;
  ck_assert_int_eq(hf_view_row(&store->view, 3, &row, NULL), HF_OK);
  ck_assert_int_eq(row.in_tile, 1);
  (void)pthread_mutex_unlock(&store->view_mutex);
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
  uint64_t before = tiles(); /* its thread may have packed some by now */
  hf_close(&store);
  ck_assert_uint_ge(tiles(), 2);
  ck_assert_uint_le(tiles(), before + HF_PACKER_CLOSE_TILES + 1); /* one may have been under way */
  check_sound((uint64_t)T * 12 + 1);
}
END_TEST

/* Saves one after the other until some tile is packed, or the time is up, or so many stand
 * unpacked; the longest it did not. */
static int64_t save_until(uint64_t wanted_tiles, uint64_t unpacked, int64_t until_ms) {
  int64_t before_ms = hf_monotonic_ms();
  int64_t longest_ms = 0;
  for (uint64_t full = 0;
       tiles() < wanted_tiles && before_ms < until_ms && full < tiles() + unpacked;) {
    full = (save_one(store) + 1) / T;
    int64_t now_ms = hf_monotonic_ms();
    if (now_ms - before_ms > longest_ms)
      longest_ms = now_ms - before_ms;
    before_ms = now_ms;
  }
  return longest_ms;
}

START_TEST(it_gives_way_to_those_who_save_and_not_for_ever) {
  fill(store, T);
  int64_t began_ms = hf_monotonic_ms();
  int64_t longest_ms = save_until(1, HF_PACKER_BEHIND_TILES, began_ms + HF_PACKER_PATIENCE_MS / 2);
  if (longest_ms < HF_PACKER_LULL_MS / 2) /* else this machine made a lull */
    ck_assert_uint_eq(tiles(), 0);
  (void)save_until(1, UINT64_MAX / 2, began_ms + WAIT_MS);
  ck_assert_uint_ge(tiles(), 1);
  ck_assert_int_lt(hf_monotonic_ms(), began_ms + WAIT_MS);
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
  tcase_add_test(tests, it_gives_way_to_those_who_save_and_not_for_ever);
  tcase_add_test(tests, the_configuration_switches_it_off);
  tcase_add_test(tests, one_at_a_time_unless_that_does_not_get_on);
  tcase_add_test(tests, on_a_shared_filesystem_others_wait_and_look);
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
