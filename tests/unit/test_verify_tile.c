/* verify and repair of packed records: tiles damaged, gone, with loose files left by a killed
 * packer; files over a tile's edge. */
#include "verify_help.h"

enum { HEAD = 2 * HF_TILE_RECORDS + 20 };

static char *lines[HEAD + 1];

static void save_many(void) {
  hf_store *store = scratch_open(&here);
  uint64_t head = 0;
  for (int i = 0; i < 21; i++) /* files of 25, split at a tile's edge */
    help_batch(store, 25, i);
  ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
  help_singles(store, head + 1, HEAD);
  hf_close(&store);
}

static void remember(void) {
  hf_store *store = scratch_open(&here);
  for (uint64_t seq = 1; seq <= HEAD; seq++) {
    lines[seq] = help_line(store, seq);
    ck_assert_ptr_nonnull(lines[seq]);
  }
  hf_close(&store);
}

static void pack(void) {
  uint64_t packed = 0;
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, 2);
  hf_close(&store);
}

static void begin_loose(void) {
  scratch_begin(&here);
  scratch_init_in(&here, "flock", "publish");
  save_many();
  remember();
}

static void begin(void) {
  begin_loose();
  pack();
}

static void end(void) {
  for (uint64_t seq = 1; seq <= HEAD; seq++)
    free(lines[seq]);
  help_end();
}

/* All records but those from `first` to `last` (0: none) are as before; the next save gets the next
 * number. */
static void check_all(uint64_t first, uint64_t last) {
  help_verify(0);
  help_clean();
  ck_assert_uint_eq(help_report.head, HEAD);
  ck_assert_uint_eq(help_report.records, HEAD);
  hf_store *store = scratch_open(&here);
  for (uint64_t seq = 1; seq <= HEAD; seq++) {
    char *line = help_line(store, seq);
    if (seq >= first && seq <= last)
      ck_assert_ptr_null(line);
    else
      ck_assert_msg(line != NULL && strcmp(line, lines[seq]) == 0, "seq %llu",
                    (unsigned long long)seq);
    free(line);
  }
  ck_assert_uint_eq(scratch_must_save(store, "after", "S", "{}"), HEAD + 1);
  hf_close(&store);
  help_verify(0);
  help_clean();
}

START_TEST(a_sound_store_is_clean) {
  help_look();
  help_clean();
  ck_assert_msg(help_report.remarks == 0, "%s", help_say());
  check_all(0, 0);
}
END_TEST

START_TEST(a_flipped_bit) {
  help_flip(help_below("tile/000/0.jsonl"), 5000, 3);
  help_look();
  ck_assert_uint_ge(help_count("bit-flip", 0, "tile/000/0.jsonl"), 1);
  uint64_t seq = 0;
  for (size_t i = 0; i < help_findings_count; i++)
    if (strcmp(help_findings[i].kind, "bit-flip") == 0)
      seq = help_findings[i].seq;
  size_t bytes = 0;
  char *damaged = scratch_read_file(help_below("tile/000/0.jsonl"), &bytes);
  help_verify(1);
  ck_assert_uint_eq(help_kept(damaged, bytes), 1);
  free(damaged);
  check_all(seq, seq);
}
END_TEST

START_TEST(a_flipped_newline) {
  char *text = scratch_read_file(help_below("tile/000/1.jsonl"), NULL);
  help_flip(help_below("tile/000/1.jsonl"), strchr(text, '\n') - text, 2);
  free(text);
  help_look();
  help_found_only("bit-flip", 257, "tile/000/1.jsonl");
  help_verify(1);
  check_all(0, 0);
}
END_TEST

START_TEST(cut_short) {
  size_t bytes = 0;
  char *text = scratch_read_file(help_below("tile/000/1.jsonl"), &bytes);
  size_t at = bytes;
  for (int i = 0; i < 4; i++) /* inside the third record from the end */
    at = (size_t)((char *)memrchr(text, '\n', at) - text);
  free(text);
  ck_assert_int_eq(truncate(help_below("tile/000/1.jsonl"), (off_t)at + 60), 0);
  help_look();
  help_found("tile", 0, "tile/000/1.jsonl");
  for (uint64_t seq = 510; seq <= 512; seq++)
    help_found("cut-short", seq, "tile/000/1.jsonl");
  ck_assert_uint_eq(help_report.damaged, 4);
  help_verify(1);
  check_all(510, 512);
}
END_TEST

START_TEST(gone) {
  ck_assert_int_eq(unlink(help_below(_i == 0 ? "tile/000/0.jsonl" : "tile/000/1.jsonl")), 0);
  uint64_t first = (uint64_t)_i * HF_TILE_RECORDS + 1;
  help_look();
  help_found_only("missing", first, NULL);
  help_verify(1);
  check_all(first, first + HF_TILE_RECORDS - 1);
}
END_TEST

START_TEST(a_line_too_many) {
  char *text = scratch_read_file(help_below("tile/000/0.jsonl"), NULL);
  FILE *file = fopen(help_below("tile/000/0.jsonl"), "ae");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_ge(fprintf(file, "%s\n", lines[300]), 0);
  ck_assert_int_eq(fclose(file), 0);
  free(text);
  help_look();
  help_found("foreign", 1, "tile/000/0.jsonl");
  help_found("tile", 0, "tile/000/0.jsonl");
  help_verify(1);
  check_all(0, 0);
}
END_TEST

START_TEST(the_mark_is_gone_or_short) {
  if (_i == 0)
    ck_assert_int_eq(unlink(help_below("tile/mark")), 0);
  else
    ck_assert_int_eq(truncate(help_below("tile/mark"), 2 - _i), 0);
  help_look();
  help_found_only("mark", 0, "tile/mark");
  help_verify(1);
  check_all(0, 0);
}
END_TEST

START_TEST(the_logs_mark_is_gone) {
  ck_assert_int_eq(unlink(help_below("log/mark")), 0);
  help_look();
  help_found_only("mark", 0, "log/mark");
  help_verify(1);
  check_all(0, 0);
}
END_TEST

START_TEST(the_folder_of_tiles_is_gone) {
  char aside[SCRATCH_PATH_BYTES];
  (void)snprintf(aside, sizeof aside, "%.4000s/aside", here.folder);
  ck_assert_int_eq(rename(help_below("tile"), aside), 0);
  help_look();
  help_found_only("missing", 0, "tile");
  help_verify(1);
  help_found_only("missing", 0, "tile");
  ck_assert_uint_eq(help_report.repaired, 0);
  ck_assert_int_eq(rename(aside, help_below("tile")), 0);
  check_all(0, 0);
}
END_TEST

/* A packer was killed before it freed the names: its loose files are leftovers, and help where the
 * tile is damaged. */
static void put_loose_back(void) {
  char command[3 * SCRATCH_PATH_BYTES];
  (void)snprintf(command, sizeof command, "cp -a '%.4000s/copy/.' '%s/'", here.folder,
                 help_below("log"));
  ck_assert_int_eq(system(command), 0);
}

static void begin_with_loose(void) {
  char command[3 * SCRATCH_PATH_BYTES];
  begin_loose();
  (void)snprintf(command, sizeof command, "cp -a '%s' '%.4000s/copy'", help_below("log"),
                 here.folder);
  ck_assert_int_eq(system(command), 0);
  pack();
  put_loose_back();
}

START_TEST(loose_files_of_packed_records) {
  help_look();
  help_clean();
  ck_assert_uint_ge(help_count("leftover", 0, NULL), 20);
  ck_assert_uint_eq(help_count("tile", 0, NULL), 0);
  help_flip(help_log(26), 30, 1);
  help_look();
  help_clean();
  help_found("tile", 26, "log/00000000000000000026.json");
  check_all(0, 0);
}
END_TEST

START_TEST(loose_files_help) {
  switch (_i) {
  case 0:
    ck_assert_int_eq(unlink(help_below("tile/000/0.jsonl")), 0);
    break;
  case 1:
    help_flip(help_below("tile/000/0.jsonl"), 5000, 3);
    break;
  default:
    ck_assert_int_eq(unlink(help_below("tile/000/1.jsonl")), 0);
    ck_assert_int_eq(unlink(help_below("tile/mark")), 0);
    break;
  }
  help_look();
  ck_assert_uint_ge(help_report.damaged, 1);
  help_verify(1);
  check_all(0, 0);
}
END_TEST

/* Not the same id: what stands loose there is another record, linked by a writer that slept through
 * the packing. */
START_TEST(another_record_does_not_help) {
  char *text = scratch_read_file(help_log(HEAD), NULL);
  for (uint64_t seq = 1; seq < 257; seq++)
    if (help_exists(help_log(seq)))
      help_write(help_log(seq), text);
  free(text);
  help_flip(help_below("tile/000/0.jsonl"), 40, 0); /* in the first record, behind its id */
  help_look();
  help_verify(1);
  check_all(1, 1);
}
END_TEST

/* A file whose records lie on both sides of a tile's edge: no writer makes one. */
START_TEST(over_the_edge) {
  hf_buf text = {0};
  uint64_t first = 257;
  while (--first > 1 && !help_exists(help_log(first)))
    continue;
  for (uint64_t seq = first; seq <= 256 + 25; seq++)
    ck_assert_int_eq(hf_buf_printf(&text, "%s\n", lines[seq]), 0);
  uint64_t last = 256 + 25;
  while (help_exists(help_log(last + 1)) == 0) {
    last++;
    ck_assert_int_eq(hf_buf_printf(&text, "%s\n", lines[last]), 0);
  }
  for (uint64_t seq = first; seq <= last; seq++)
    (void)unlink(help_log(seq));
  scratch_write_file(help_log(first), text.data, text.used);
  hf_buf_free(&text);
  help_look();
  ck_assert_uint_eq(help_count("edge", first, NULL), 1);
  help_verify(1);
  ck_assert(help_exists(help_log(257)));
  check_all(0, 0);
  pack();
  help_verify(0);
  help_clean();
}
END_TEST

/* Journal mode, and a packer that was ended when the second tile stood there and its mark did not:
 * the part is freed last. */
static void begin_ended_packer(void) {
  hf_set_locker_options options = {.timeout_ms = -1, .mode = "journal"};
  uint64_t seq = 0;
  scratch_begin(&here);
  scratch_init_in(&here, "flock", "publish");
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_set_locker(store, "flock", &options, &seq, NULL), 1);
  help_singles(store, 2, HEAD);
  hf_close(&store);
  remember();
  pack();
  char tile[SCRATCH_PATH_BYTES];
  (void)snprintf(tile, sizeof tile, "%s", help_below("tile/000/1.jsonl"));
  ck_assert_int_eq(link(tile, help_below("tile/000/1.part")), 0);
  ck_assert_int_eq(truncate(help_below("tile/mark"), 1), 0);
}

/* The same, but that the second tile's records are in its part up to a change of mode, and loose
 * from there on. */
static void begin_ended_mixed(void) {
  enum { SWITCH_AT = HF_TILE_RECORDS + 40 };
  hf_set_locker_options options = {.timeout_ms = -1, .mode = "journal"};
  uint64_t seq = 0;
  uint64_t packed = 0;
  hf_buf text = {0};
  scratch_begin(&here);
  scratch_init_in(&here, "flock", "publish");
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_set_locker(store, "flock", &options, &seq, NULL), 1);
  help_singles(store, 2, SWITCH_AT - 1);
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, 1);
  options.mode = "publish";
  ck_assert_int_eq(hf_set_locker(store, "flock", &options, &seq, NULL), 1);
  ck_assert_uint_eq(seq, SWITCH_AT);
  help_singles(store, SWITCH_AT + 1, HEAD);
  hf_close(&store);
  remember();
  for (seq = HF_TILE_RECORDS + 1; seq <= 2 * HF_TILE_RECORDS; seq++)
    ck_assert_int_eq(hf_buf_printf(&text, "%s\n", lines[seq]), 0);
  scratch_write_file(help_below("tile/000/1.jsonl"), text.data, text.used);
  hf_buf_free(&text);
}

START_TEST(an_ended_packer_is_no_damage) {
  help_look();
  help_clean();
  check_all(0, 0);
  hf_store *store = scratch_open(&here);
  uint64_t packed = 0;
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, 1);
  hf_close(&store);
  ck_assert(!help_exists(help_below("tile/000/1.part")));
  help_look();
  help_clean();
}
END_TEST

START_TEST(a_tile_that_holds_something_else_is_found) {
  help_flip(help_below("tile/000/1.jsonl"), 5000, 3);
  help_look();
  ck_assert_uint_ge(help_count("bit-flip", 0, "tile/000/1.jsonl"), 1);
}
END_TEST

START_TEST(without_its_part_the_mark_is_damaged) {
  ck_assert_int_eq(unlink(help_below("tile/000/1.part")), 0);
  help_look();
  help_found_only("mark", 0, "tile/mark");
  help_verify(1);
  check_all(0, 0);
}
END_TEST

/* Both are the same file here. */
START_TEST(damage_of_the_part_is_told_of_the_tile) {
  help_flip(help_below("tile/000/1.part"), 5000, 3);
  help_look();
  ck_assert_uint_ge(help_count("bit-flip", 0, "tile/000/1.jsonl"), 1);
  help_verify(1);
  help_verify(0);
  help_clean();
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("verify_tile");
  TCase *packed = tcase_create("packed");
  tcase_set_timeout(packed, 60);
  tcase_add_checked_fixture(packed, begin, end);
  tcase_add_test(packed, a_sound_store_is_clean);
  tcase_add_test(packed, a_flipped_bit);
  tcase_add_test(packed, a_flipped_newline);
  tcase_add_test(packed, cut_short);
  tcase_add_loop_test(packed, gone, 0, 2);
  tcase_add_test(packed, a_line_too_many);
  tcase_add_loop_test(packed, the_mark_is_gone_or_short, 0, 3);
  tcase_add_test(packed, the_logs_mark_is_gone);
  tcase_add_test(packed, the_folder_of_tiles_is_gone);
  suite_add_tcase(s, packed);
  TCase *leftovers = tcase_create("leftovers");
  tcase_set_timeout(leftovers, 60);
  tcase_add_checked_fixture(leftovers, begin_with_loose, end);
  tcase_add_test(leftovers, loose_files_of_packed_records);
  tcase_add_loop_test(leftovers, loose_files_help, 0, 3);
  tcase_add_test(leftovers, another_record_does_not_help);
  suite_add_tcase(s, leftovers);
  TCase *ended = tcase_create("ended packer");
  tcase_set_timeout(ended, 60);
  tcase_add_checked_fixture(ended, begin_ended_packer, end);
  tcase_add_test(ended, an_ended_packer_is_no_damage);
  tcase_add_test(ended, without_its_part_the_mark_is_damaged);
  tcase_add_test(ended, damage_of_the_part_is_told_of_the_tile);
  suite_add_tcase(s, ended);
  TCase *mixed = tcase_create("ended packer, mixed");
  tcase_set_timeout(mixed, 60);
  tcase_add_checked_fixture(mixed, begin_ended_mixed, end);
  tcase_add_test(mixed, an_ended_packer_is_no_damage);
  tcase_add_test(mixed, a_tile_that_holds_something_else_is_found);
  suite_add_tcase(s, mixed);
  TCase *loose = tcase_create("loose");
  tcase_set_timeout(loose, 60);
  tcase_add_checked_fixture(loose, begin_loose, end);
  tcase_add_test(loose, over_the_edge);
  suite_add_tcase(s, loose);
  return s;
}

int main(void) {
  return help_run(suite());
}
