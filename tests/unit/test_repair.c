/* Repair: what cannot be put right is named and kept, nothing outside is touched, a crash at any
 * point leaves a store that the next repair finishes, the lock is taken, writers may be at work
 * while verify looks. */
#include "verify_help.h"

static help_records before;

static void begin(void) {
  help_store();
  help_remember(&before);
}

static void end(void) {
  help_forget(&before);
  help_end();
}

/* ---- blobs ---- */

START_TEST(blob_gone) {
  ck_assert_int_eq(unlink(help_below(help_blob_name())), 0);
  help_look();
  help_found_only("blob-gone", BLOB_AT, help_blob_name());
  ck_assert_uint_eq(help_report.blobs, 0);
  help_verify(1);
  help_found_only("blob-gone", BLOB_AT, help_blob_name());
  ck_assert_uint_eq(help_report.repaired, 0);
  hf_store *store = scratch_open(&here);
  char *line = help_line(store, BLOB_AT);
  ck_assert_str_eq(line, before.line[BLOB_AT]);
  free(line);
  ck_assert_uint_eq(scratch_must_save(store, "after", "S", "{}"), RECORDS + 1);
  /* what the finding says: the same document under another key puts it back */
  char *doc = help_blob_document('x');
  ck_assert_uint_eq(scratch_must_save(store, "big again", "S", doc), RECORDS + 2);
  free(doc);
  hf_close(&store);
  help_verify(0);
  help_clean();
}
END_TEST

static void alter_blob(void) {
  help_flip(help_below(help_blob_name()), 500, 0);
}

static void shorten_blob(void) {
  ck_assert_int_eq(truncate(help_below(help_blob_name()), 4096), 0);
}

static void (*const blob_damages[])(void) = {alter_blob, shorten_blob};

START_TEST(blob_altered) {
  size_t bytes = 0;
  blob_damages[_i]();
  char *altered = scratch_read_file(help_below(help_blob_name()), &bytes);
  help_look();
  help_found_only("blob-altered", BLOB_AT, help_blob_name());
  for (int i = 0; i < 2; i++) { /* the second repair makes no second copy */
    help_verify(1);
    help_found_only("blob-altered", BLOB_AT, help_blob_name());
    ck_assert_uint_eq(help_report.repaired, 0);
    ck_assert_uint_eq(help_kept(altered, bytes), 1);
  }
  size_t now_bytes = 0;
  char *now = scratch_read_file(help_below(help_blob_name()), &now_bytes);
  ck_assert_uint_eq(now_bytes, bytes);
  ck_assert_int_eq(memcmp(now, altered, bytes), 0);
  free(now);
  free(altered);
  hf_error err = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_get_seq(store, BLOB_AT, &record, &err), HF_EDAMAGED);
  hf_close(&store);
}
END_TEST

START_TEST(altered_blob_is_found_by_deep_only) {
  hf_verify_options options = {.finding = help_on_finding};
  alter_blob();
  help_findings_count = 0;
  ck_assert_int_eq(hf_verify(here.store, &options, &help_report, NULL), HF_OK);
  help_clean();
  help_verify(0);
  help_found_only("blob-altered", BLOB_AT, help_blob_name());
}
END_TEST

/* ---- symbolic links, folders ---- */

/* A folder and a file outside the store, to which links point. Nothing there may change. */
static void make_outside(char file[SCRATCH_PATH_BYTES], char folder[SCRATCH_PATH_BYTES]) {
  (void)snprintf(folder, SCRATCH_PATH_BYTES, "%.4000s/outside", here.folder);
  (void)snprintf(file, SCRATCH_PATH_BYTES, "%.4000s/outside/precious", here.folder);
  ck_assert_int_eq(mkdir(folder, 0755), 0);
  help_write(file, "{\"precious\":true}\n");
}

typedef struct link_case {
  const char *name; /* below the store; it is removed first */
  int to_folder;
  const char *also; /* another finding that comes with it; NULL: none */
  uint64_t seq;
} link_case;

static const link_case links[] = {
    {"log/00000000000000000033.json", 0, "missing", 33},
    {"log/00000000000000000061.json", 0, NULL, 0},
    {"log/notes", 1, NULL, 0},
    {"stage/01ARZ3NDEKTSV4RRFFQ69G5FAV", 0, NULL, 0},
    {"stage/elsewhere", 1, NULL, 0},
    {"blob/00", 1, NULL, 0},
    {"tile/000", 1, NULL, 0},
    {"log/mark", 0, "mark", 0},
    {"tile/mark", 0, "mark", 0},
    {"holdfast.json", 0, "manifest", 0},
    {"quarantine", 1, NULL, 0},
    {"stage", 1, "missing", 0},
    {"lock", 0, NULL, 0},
};
enum { LINKS = sizeof links / sizeof links[0] };

START_TEST(links_are_not_followed) {
  const link_case *one = &links[_i];
  char file[SCRATCH_PATH_BYTES];
  char folder[SCRATCH_PATH_BYTES];
  make_outside(file, folder);
  if (unlink(help_below(one->name)) != 0)
    (void)rmdir(help_below(one->name));
  ck_assert_int_eq(symlink(one->to_folder ? folder : file, help_below(one->name)), 0);
  char *outside = help_tree(folder);
  help_look();
  help_found("foreign", one->also != NULL ? one->seq : 0, one->name);
  if (one->also != NULL)
    help_found(one->also, one->seq, one->name);
  ck_assert_msg(help_report.damaged == (one->also != NULL ? 2U : 1U), "%s", help_say());
  help_verify(1);
  ck_assert_uint_eq(help_report.repaired, help_report.damaged);
  char *outside_after = help_tree(folder);
  ck_assert_str_eq(outside, outside_after);
  free(outside);
  free(outside_after);
  help_promises(&before, &one->seq, one->seq != 0);
}
END_TEST

START_TEST(a_folder_in_the_place_of_a_record) {
  const uint64_t lost = 33;
  ck_assert_int_eq(unlink(help_log(33)), 0);
  ck_assert_int_eq(mkdir(help_log(33), 0755), 0);
  help_write(scratch_path(&here, "log/00000000000000000033.json/inside"), "x");
  help_look();
  help_found("foreign", 33, "log/00000000000000000033.json");
  help_found("missing", 33, "log/00000000000000000033.json");
  help_verify(1);
  help_promises(&before, &lost, 1);
}
END_TEST

START_TEST(a_link_for_what_holds_records_stays) {
  static const char *const names[] = {"log", "tile", "blob"};
  char aside[SCRATCH_PATH_BYTES];
  (void)snprintf(aside, sizeof aside, "%.4000s/aside", here.folder);
  ck_assert_int_eq(rename(help_below(names[_i]), aside), 0);
  ck_assert_int_eq(symlink(aside, help_below(names[_i])), 0);
  help_look();
  help_found("foreign", 0, names[_i]);
  char *records = help_tree(aside);
  help_verify(1);
  help_found("foreign", 0, names[_i]);
  ck_assert_uint_eq(help_report.repaired, 0);
  char *after = help_tree(aside);
  ck_assert_str_eq(records, after);
  free(records);
  free(after);
  ck_assert_int_eq(unlink(help_below(names[_i])), 0);
  ck_assert_int_eq(rename(aside, help_below(names[_i])), 0);
  help_promises(&before, NULL, 0);
}
END_TEST

START_TEST(the_log_folder_is_gone) {
  char aside[SCRATCH_PATH_BYTES];
  (void)snprintf(aside, sizeof aside, "%.4000s/aside", here.folder);
  ck_assert_int_eq(rename(help_below("log"), aside), 0);
  help_look();
  help_found_only("missing", 0, "log");
  help_verify(1);
  help_found_only("missing", 0, "log");
  ck_assert_uint_eq(help_report.repaired, 0);
  ck_assert(!help_exists(help_below("log")));
  ck_assert_int_eq(rename(aside, help_below("log")), 0);
  help_promises(&before, NULL, 0);
}
END_TEST

START_TEST(everything_in_the_log_is_gone) {
  char command[SCRATCH_PATH_BYTES + 32];
  (void)snprintf(command, sizeof command, "rm '%s'/*", help_below("log"));
  ck_assert_int_eq(system(command), 0);
  for (int repair = 0; repair < 2;
       repair++) { /* nothing tells how many numbers there were: none is freed */
    help_verify(repair);
    help_found_only("mark", 0, "log/mark");
    ck_assert_uint_eq(help_report.repaired, 0);
    ck_assert(!help_exists(help_below("log/mark")));
  }
}
END_TEST

START_TEST(too_wide_a_gap_is_not_filled) {
  char from[SCRATCH_PATH_BYTES];
  (void)snprintf(from, sizeof from, "%s", help_log(RECORDS));
  ck_assert_int_eq(link(from, help_log(5000000)), 0);
  help_look();
  help_found("missing", RECORDS + 1, "log");
  help_verify(1);
  help_found("missing", RECORDS + 1, "log");
  ck_assert_uint_eq(help_report.repaired, 0);
  ck_assert_int_eq(unlink(help_log(5000000)), 0);
  help_promises(&before, NULL, 0);
}
END_TEST

/* ---- leftovers of killed processes ---- */

START_TEST(leftovers_are_remarks_and_stay) {
  static const char *const names[] = {
      "stage/01ARZ3NDEKTSV4RRFFQ69G5FAV",
      "stage/01ARZ3NDEKTSV4RRFFQ69G5FAW.blob",
      "stage/01ARZ3NDEKTSV4RRFFQ69G5FAV.01ARZ3NDEKTSV4RRFFQ69G5FAX.blob",
      "stage/probe-01ARZ3NDEKTSV4RRFFQ69G5FAV.a",
      "log/probe-01ARZ3NDEKTSV4RRFFQ69G5FAV.c",
      "log/.nfs000000000000abcd00000001",
      "lock.01ARZ3NDEKTSV4RRFFQ69G5FAV",
      ".nfs000000000000abcd00000002"};
  size_t count = sizeof names / sizeof names[0];
  for (size_t i = 0; i < count; i++)
    help_write(help_below(names[i]), "left");
  ck_assert_int_eq(mkdir(help_below("doctor-01ARZ3NDEKTSV4RRFFQ69G5FAV"), 0755), 0);
  help_look();
  help_clean();
  for (size_t i = 0; i < count; i++)
    help_found("leftover", 0, names[i]);
  help_found("leftover", 0, "doctor-01ARZ3NDEKTSV4RRFFQ69G5FAV");
  ck_assert_uint_eq(help_report.remarks, count + 1);
  help_verify(1);
  ck_assert_uint_eq(help_report.remarks, count + 1);
  for (size_t i = 0; i < count; i++)
    ck_assert(help_exists(help_below(names[i])));
}
END_TEST

/* ---- marks on a local filesystem are hints ---- */

START_TEST(a_shorter_mark_is_a_remark) {
  static const off_t lengths[] = {0, 1, 13, 20, RECORDS - 1};
  ck_assert_int_eq(truncate(help_below("log/mark"), lengths[_i]), 0);
  help_look();
  help_clean();
  help_found("mark", 0, "log/mark");
  ck_assert_uint_eq(help_report.remarks, 1);
  ck_assert_uint_eq(help_report.head, RECORDS);
  ck_assert_uint_eq(help_report.records, RECORDS);
  help_verify(1);
  ck_assert_uint_eq(help_size(help_below("log/mark")), RECORDS);
  help_promises(&before, NULL, 0);
}
END_TEST

START_TEST(zeros_in_the_mark_are_a_remark) {
  char mark[RECORDS + 1];
  char *old = scratch_read_file(help_below("log/mark"), NULL);
  memcpy(mark, old, sizeof mark);
  memset(mark + 12, 0, 20);
  free(old);
  scratch_write_file(help_below("log/mark"), mark, RECORDS);
  help_look();
  help_clean();
  help_found("mark", 13, "log/mark");
  help_verify(1);
  help_promises(&before, NULL, 0);
}
END_TEST

START_TEST(a_shorter_mark_and_damage_behind_it) {
  const uint64_t lost[] = {BATCH_B + 3, 50};
  ck_assert_int_eq(truncate(help_below("log/mark"), 10), 0);
  help_flip(help_log(50), 40, 1);
  char *text = scratch_read_file(help_log(BATCH_B), NULL);
  char *at = text;
  for (int i = 0; i < 3; i++)
    at = strchr(at, '\n') + 1;
  help_flip(help_log(BATCH_B), at - text + 50, 1);
  free(text);
  help_look();
  help_found("bit-flip", BATCH_B + 3, NULL);
  help_found("bit-flip", 50, NULL);
  ck_assert_uint_eq(help_report.damaged, 2);
  help_verify(1);
  help_promises(&before, lost, 2);
}
END_TEST

START_TEST(the_mark_tells_of_lost_records_at_the_end) {
  const uint64_t lost[] = {58, 59, 60};
  for (uint64_t seq = 58; seq <= 60; seq++)
    ck_assert_int_eq(unlink(help_log(seq)), 0);
  help_look();
  for (uint64_t seq = 58; seq <= 60; seq++)
    help_found("missing", seq, NULL);
  ck_assert_uint_eq(help_report.head, RECORDS);
  help_verify(1);
  help_promises(&before, lost, 3);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("repair");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, begin, end);
  tcase_add_test(all, blob_gone);
  tcase_add_loop_test(all, blob_altered, 0, 2);
  tcase_add_test(all, altered_blob_is_found_by_deep_only);
  tcase_add_loop_test(all, links_are_not_followed, 0, LINKS);
  tcase_add_test(all, a_folder_in_the_place_of_a_record);
  tcase_add_loop_test(all, a_link_for_what_holds_records_stays, 0, 3);
  tcase_add_test(all, the_log_folder_is_gone);
  tcase_add_test(all, everything_in_the_log_is_gone);
  tcase_add_test(all, too_wide_a_gap_is_not_filled);
  tcase_add_test(all, leftovers_are_remarks_and_stay);
  tcase_add_loop_test(all, a_shorter_mark_is_a_remark, 0, 5);
  tcase_add_test(all, zeros_in_the_mark_are_a_remark);
  tcase_add_test(all, a_shorter_mark_and_damage_behind_it);
  tcase_add_test(all, the_mark_tells_of_lost_records_at_the_end);
  suite_add_tcase(s, all);
  return s;
}

int main(void) {
  return help_run(suite());
}
