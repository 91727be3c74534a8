/* verify: each kind of damage, planted by hand, is found and named with its seq and path, and
 * nothing is changed; then repair: every intact record stays readable at its seq with the same
 * bytes, no number is freed, writers go on. */
#include "verify_plants.h"

static help_records before;

static void begin(void) {
  help_store();
  help_remember(&before);
}

static void begin_shared(void) {
  help_assume_shared();
  begin();
}

static void end(void) {
  hf_sys = &hf_sys_real;
  help_forget(&before);
  help_end();
}

/* ---- one damage, one finding ---- */

static const plant plants[] = {
    {"a flipped bit in the envelope", flip_envelope, "bit-flip", 7, NULL, {7}},
    {"a flipped bit in the first byte", flip_first_byte, "bit-flip", 7, NULL, {7}},
    {"a flipped bit in the document", flip_document, "bit-flip", 7, NULL, {7}},
    {"a flipped bit in the crc", flip_crc, "bit-flip", 7, NULL, {7}},
    {"a flipped bit in the crc's name", flip_crc_name, "bit-flip", 7, NULL, {7}},
    {"a flipped bit in the last brace", flip_last_brace, "bit-flip", 7, NULL, {7}},
    {"a flipped bit in the newline", flip_newline, "bit-flip", 7, NULL, {0}},
    {"the newline overwritten", overwrite_newline, "bit-flip", 7, NULL, {0}},
    {"the newline cut off", cut_newline, "cut-short", 7, NULL, {0}},
    {"half a record", cut_half, "cut-short", 7, NULL, {7}},
    {"an empty file", cut_all, "cut-short", 7, NULL, {7}},
    {"the last record cut", cut_last, "cut-short", RECORDS, NULL, {RECORDS}},
    {"a number in the middle is missing", remove_middle, "missing", 40, NULL, {40}},
    {"the first is missing", remove_first, "missing", 1, NULL, {1}},
    {"the last is missing", remove_last, "missing", RECORDS, NULL, {RECORDS}},
    {"the first of a batch", batch_first, "bit-flip", BATCH_A, NULL, {BATCH_A}},
    {"the middle of a batch",
     batch_middle,
     "bit-flip",
     BATCH_A + 2,
     "log/00000000000000000011.json",
     {BATCH_A + 2}},
    {"the last of a batch",
     batch_last,
     "bit-flip",
     BATCH_A + 4,
     "log/00000000000000000011.json",
     {BATCH_A + 4}},
    {"a newline in a batch",
     batch_newline,
     "bit-flip",
     BATCH_A + 2,
     "log/00000000000000000011.json",
     {0}},
    {"the first newline in a batch",
     batch_newline_first,
     "bit-flip",
     BATCH_A,
     "log/00000000000000000011.json",
     {0}},
    {"the last newline of a batch",
     batch_newline_last,
     "bit-flip",
     BATCH_A + 4,
     "log/00000000000000000011.json",
     {0}},
    {"a newline made in a batch",
     batch_newline_made,
     "bit-flip",
     BATCH_B + 2,
     "log/00000000000000000018.json",
     {BATCH_B + 2}},
    {"rubbish behind a record", rubbish_behind, "foreign", 30, NULL, {0}},
    {"blank lines behind a record", blank_behind, "foreign", 30, NULL, {0}},
    {"another record behind a record", record_behind, "foreign", 30, NULL, {0}},
    {"a second file for a number", second_file, "foreign", BATCH_A + 2, NULL, {0}},
    {"a file in log/", foreign_in_log, "foreign", 0, "log/README", {0}},
    {"a name that is nearly ours", foreign_tmp_in_log, "foreign", 0, "log/0000007.json", {0}},
    {"a right name without a record",
     foreign_named_right,
     "foreign",
     0,
     "log/00000000000000000061.json",
     {0}},
    {"a name far away without a record",
     foreign_far,
     "foreign",
     0,
     "log/00000000000123456789.json",
     {0}},
    {"number zero", foreign_zero, "foreign", 0, "log/00000000000000000000.json", {0}},
    {"a file in stage/", foreign_in_stage, "foreign", 0, "stage/notes.txt", {0}},
    {"a file in blob/", foreign_in_blob, "foreign", 0, "blob/zz", {0}},
    {"a file in a folder of blob/", foreign_in_blob_folder, "foreign", 0, "", {0}},
    {"a folder in tile/", foreign_in_tile, "foreign", 0, "tile/1000x", {0}},
    {"a file in the root", foreign_in_root, "foreign", 0, "core.1234", {0}},
    {"a FIFO in log/", fifo_in_log, "foreign", 0, "log/pipe", {0}},
    {"a FIFO as the lock", fifo_as_lock, "foreign", 0, "lock", {0}},
    {"the mark is gone", mark_gone, "mark", 0, "log/mark", {0}},
    {"the tile mark is gone", tile_mark_gone, "mark", 0, "tile/mark", {0}},
    {"the tile mark is too long", tile_mark_long, "mark", 0, "tile/mark", {0}},
    {"a wrong byte in the mark", mark_wrong, "mark", 21, "log/mark", {0}},
    {"the mark says first, wrongly", mark_says_first, "mark", BATCH_A + 1, "log/mark", {0}},
    {"the mark says further, wrongly", mark_says_further, "mark", 5, "log/mark", {0}},
    {"a mark of rubbish", mark_garbage, "mark", 1, "log/mark", {0}},
    {"rubbish behind the mark", mark_garbage_behind, "mark", 0, "log/mark", {0}},
    {"no manifest", manifest_gone, "manifest", 0, "holdfast.json", {0}},
    {"a manifest cut short", manifest_cut, "manifest", 0, "holdfast.json", {0}},
    {"an empty manifest", manifest_empty, "manifest", 0, "holdfast.json", {0}},
    {"a flipped bit in the manifest", manifest_flip, "manifest", 0, "holdfast.json", {0}},
    {"a flipped bit in the format", manifest_flip_format, "manifest", 0, "holdfast.json", {0}},
    {"a manifest of rubbish", manifest_garbage, "manifest", 0, "holdfast.json", {0}},
    {"rubbish behind the manifest", manifest_behind, "manifest", 0, "holdfast.json", {0}},
    {"stage/ is gone", stage_gone, "missing", 0, "stage", {0}},
    {"tile/ is gone", tile_gone, "missing", 0, "tile", {0}},
};
enum { PLANTS = sizeof plants / sizeof plants[0] };

static const char *path_of(const plant *one) {
  static char path[64];
  if (one->path != NULL)
    return one->path[0] != '\0' ? one->path : NULL;
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(one->seq, name);
  (void)snprintf(path, sizeof path, "log/%s", name);
  return path;
}

static size_t lost_of(const plant *one) {
  size_t count = 0;
  while (count < 3 && one->lost[count] != 0)
    count++;
  return count;
}

START_TEST(a_sound_store_is_clean) {
  help_look();
  help_clean();
  ck_assert_uint_eq(help_report.head, RECORDS);
  ck_assert_uint_eq(help_report.records, RECORDS);
  ck_assert_uint_eq(help_report.snapshots, RECORDS - 1);
  ck_assert_uint_eq(help_report.blobs, 1);
  ck_assert_msg(help_report.remarks == 0, "%s", help_say());
}
END_TEST

START_TEST(found_and_nothing_changed) {
  const plant *one = &plants[_i];
  one->do_it();
  help_look();
  help_found_only(one->kind, one->seq, path_of(one));
  ck_assert_uint_eq(help_report.head, RECORDS);
  ck_assert_uint_eq(help_report.records, RECORDS - lost_of(one));
  ck_assert_uint_eq(help_report.repaired, 0);
}
END_TEST

START_TEST(repaired) {
  const plant *one = &plants[_i];
  one->do_it();
  help_verify(1);
  help_found_only(one->kind, one->seq, path_of(one));
  ck_assert_uint_eq(help_report.repaired, 1);
  help_promises(&before, one->lost, lost_of(one));
}
END_TEST

START_TEST(a_second_repair_finds_nothing) {
  const plant *one = &plants[_i];
  one->do_it();
  help_verify(1);
  char *first = help_tree(scratch_path(&here, "quarantine"));
  help_verify(1);
  help_clean();
  char *second = help_tree(scratch_path(&here, "quarantine"));
  ck_assert_str_eq(first, second);
  free(first);
  free(second);
}
END_TEST

/* ---- two findings, or lost records in several places ---- */

START_TEST(a_sector_over_two_records) {
  const uint64_t lost[] = {BATCH_B + 3, BATCH_B + 4};
  batch_sector();
  help_look();
  help_found("bit-flip", BATCH_B + 3, "log/00000000000000000018.json");
  help_found("bit-flip", BATCH_B + 4, "log/00000000000000000018.json");
  ck_assert_uint_eq(help_report.damaged, 2);
  help_verify(1);
  help_promises(&before, lost, 2);
}
END_TEST

START_TEST(whole_records_cut_off_a_batch) {
  const uint64_t lost[] = {BATCH_A + 3, BATCH_A + 4};
  batch_cut_at_line();
  help_look();
  help_found("cut-short", BATCH_A + 3, "log/00000000000000000011.json");
  help_found("cut-short", BATCH_A + 4, "log/00000000000000000011.json");
  ck_assert_uint_eq(help_report.damaged, 2);
  help_verify(1);
  help_promises(&before, lost, 2);
}
END_TEST

START_TEST(a_batch_is_missing) {
  const uint64_t lost[] = {11, 12, 13, 14, 15};
  ck_assert_int_eq(unlink(help_log(BATCH_A)), 0);
  help_look();
  help_found_only("missing", BATCH_A, "log/00000000000000000011.json");
  ck_assert_ptr_nonnull(strstr(help_say(), "seqs 11 to 15"));
  help_verify(1);
  help_promises(&before, lost, 5);
}
END_TEST

/* A record cut at every length: found each time; the number stays; only without its newline is it
 * still whole. */
START_TEST(cut_at_every_length) {
  size_t bytes = 0;
  char *text = scratch_read_file(help_log(33), &bytes);
  for (size_t length = 0; length < bytes; length++) {
    scratch_write_file(help_log(33), text, length);
    help_verify(0);
    help_found_only("cut-short", 33, "log/00000000000000000033.json");
    ck_assert_uint_eq(help_report.records, RECORDS - (length + 1 < bytes));
    ck_assert_uint_eq(help_report.head, RECORDS);
  }
  scratch_write_file(help_log(33), text, bytes);
  help_verify(0);
  help_clean();
  free(text);
}
END_TEST

/* The last file of the log, a batch, cut at every length, with and without its end in the mark. */
START_TEST(batch_cut_at_every_length) {
  size_t bytes = 0;
  char *text = scratch_read_file(help_log(BATCH_B), &bytes);
  for (size_t length = 0; length < bytes; length++) {
    size_t whole = 0;
    for (size_t i = 0; i < length; i++)
      whole += text[i] == '\n';
    if (text[length] == '\n')
      whole++; /* only the newline is gone */
    scratch_write_file(help_log(BATCH_B), text, length);
    help_verify(0);
    ck_assert_uint_eq(help_report.head, RECORDS);
    ck_assert_msg(help_report.records == RECORDS - 8 + whole, "length %zu:\n%s", length,
                  help_say());
    ck_assert_uint_ge(help_report.damaged, 1);
    ck_assert_uint_eq(help_count("cut-short", 0, "log/00000000000000000018.json"),
                      help_report.damaged);
  }
  free(text);
}
END_TEST

/* Every bit of one record: found, and that record alone. */
START_TEST(every_flipped_bit) {
  long bytes = (long)help_size(help_log(50));
  for (long at = 0; at < bytes; at++) {
    int bit = (int)(at % 8);
    help_flip(help_log(50), at, bit);
    help_verify(0);
    help_found_only("bit-flip", 50, "log/00000000000000000050.json");
    help_flip(help_log(50), at, bit);
  }
  help_verify(0);
  help_clean();
}
END_TEST

/* On a shared filesystem readers see what the mark covers: a few records behind it are what killed
 * writers leave, many are damage. */
START_TEST(a_short_mark_hides_records) {
  ck_assert_int_eq(truncate(help_below("log/mark"), RECORDS - 3), 0);
  help_look();
  help_clean();
  help_found("mark", 0, "log/mark");
  ck_assert_int_eq(truncate(help_below("log/mark"), 10), 0);
  help_look();
  help_found_only("mark", 0, "log/mark");
  ck_assert_uint_eq(help_report.head, RECORDS);
  help_verify(1);
  help_promises(&before, NULL, 0);
}
END_TEST

/* Nobody hangs on a mark that is a FIFO, nor takes a folder's size for a length. */
START_TEST(a_mark_that_is_no_file) {
  static void (*const planted[])(void) = {fifo_as_mark, folder_as_tile_mark};
  static const char *const paths[] = {"log/mark", "tile/mark"};
  for (size_t i = 0; i < 2; i++) {
    hf_error err = HF_ERROR_INIT;
    hf_store *store = NULL;
    planted[i]();
    int status = hf_open(here.store, NULL, &store, &err);
    uint64_t head = 0;
    if (status == HF_OK)
      status = hf_head(store, &head, &err);
    ck_assert_msg(status == HF_EDAMAGED, "%s: %d: %s", paths[i], status, err.message);
    ck_assert_str_eq(err.place, help_below(paths[i]));
    ck_assert_ptr_nonnull(strstr(err.message, "--repair"));
    hf_close(&store);
    help_look();
    help_found("foreign", 0, paths[i]);
    help_found("mark", 0, paths[i]);
    ck_assert_uint_eq(help_report.head, RECORDS);
    help_verify(1);
    help_verify(0);
    help_clean();
  }
  help_promises(&before, NULL, 0);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("verify");
  TCase *all = tcase_create("plants");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, begin, end);
  tcase_add_test(all, a_sound_store_is_clean);
  tcase_add_loop_test(all, found_and_nothing_changed, 0, PLANTS);
  tcase_add_loop_test(all, repaired, 0, PLANTS);
  tcase_add_loop_test(all, a_second_repair_finds_nothing, 0, PLANTS);
  tcase_add_test(all, a_sector_over_two_records);
  tcase_add_test(all, whole_records_cut_off_a_batch);
  tcase_add_test(all, a_batch_is_missing);
  tcase_add_test(all, a_mark_that_is_no_file);
  suite_add_tcase(s, all);
  TCase *shared = tcase_create("shared");
  tcase_set_timeout(shared, 60);
  tcase_add_checked_fixture(shared, begin_shared, end);
  tcase_add_test(shared, a_sound_store_is_clean);
  tcase_add_loop_test(shared, found_and_nothing_changed, 0, PLANTS);
  tcase_add_loop_test(shared, repaired, 0, PLANTS);
  tcase_add_test(shared, a_batch_is_missing);
  tcase_add_test(shared, a_short_mark_hides_records);
  tcase_add_test(shared, a_mark_that_is_no_file);
  suite_add_tcase(s, shared);
  TCase *sweeps = tcase_create("sweeps");
  tcase_set_timeout(sweeps, 120);
  tcase_add_checked_fixture(sweeps, begin, end);
  tcase_add_test(sweeps, cut_at_every_length);
  tcase_add_test(sweeps, batch_cut_at_every_length);
  tcase_add_test(sweeps, every_flipped_bit);
  suite_add_tcase(s, sweeps);
  return s;
}

int main(void) {
  return help_run(suite());
}
