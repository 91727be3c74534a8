/* log/rows: one read tells of many records; what does not check is read from its record; a row that
 * lies is found by verify. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "log_rows.h"
#include "scratch.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

enum { SINGLES = 12, BATCH = 5, HEAD = SINGLES + BATCH, ENDED_AT = HEAD + 1, ALL = HEAD + 1 };

static scratch here;
static hf_store *writer;
static hf_store *reader;
static hf_sys_table table;
static int records_opened;
static char ended_id[HF_ID_CHARS + 1];

static int count_openat(int dirfd, const char *name, int flags, mode_t mode) {
  size_t bytes = strlen(name);
  records_opened += bytes > 5 && strcmp(name + bytes - 5, ".json") == 0;
  return hf_sys_real.openat(dirfd, name, flags, mode);
}

static hf_store *open_shared(void) {
  hf_store *store = scratch_open(&here);
  scratch_assume_shared(store);
  return store;
}

static void save_singles(hf_store *store, int from, int to) {
  for (int i = from; i < to; i++) {
    char run[16];
    (void)snprintf(run, sizeof run, "run %d", i);
    (void)scratch_must_save(store, run, "S", "{\"comparison_group\":{\"g\":1},\"a\":1}");
  }
}

static void save_batch(hf_store *store) {
  static const char *const runs[BATCH] = {"b 0", "b 1", "b 2", "b 3", "b 4"};
  hf_save_request requests[BATCH];
  hf_saved saved[BATCH];
  memset(requests, 0, sizeof requests);
  for (size_t i = 0; i < BATCH; i++) {
    requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
    requests[i].doc = "{\"comparison_group\":{\"g\":2}}";
    requests[i].doc_bytes = strlen(requests[i].doc);
  }
  ck_assert_int_eq(hf_save_batch(store, requests, BATCH, -1, saved, NULL), HF_OK);
}

/* Singles, a batch, a record that ends an attempt. */
static void begin(void) {
  hf_id id;
  uint64_t seq = 0;
  scratch_begin(&here);
  scratch_init(&here, "none");
  writer = open_shared();
  save_singles(writer, 0, SINGLES);
  save_batch(writer);
  ck_assert_int_eq(hf_id_make(&id, NULL), HF_OK);
  hf_id_format(&id, ended_id);
  ck_assert_int_eq(hf_resolve(writer, ended_id, -1, &seq, NULL), 0);
  hf_log_rows_end(writer); /* alone, it puts them off */
  reader = open_shared();
  table = hf_sys_real;
  table.openat = count_openat;
  hf_sys = &table;
  records_opened = 0;
}

static void end(void) {
  hf_sys = &hf_sys_real;
  hf_close(&reader);
  hf_close(&writer);
  scratch_end(&here);
}

static uint64_t head_of(hf_store *store) {
  uint64_t head = 0;
  hf_error error = HF_ERROR_INIT;
  ck_assert_msg(hf_head(store, &head, &error) == HF_OK, "%s", error.message);
  return head;
}

/* All that the log says, by a handle that has just read it. */
static void check_answers(hf_store *store) {
  ck_assert_uint_eq(head_of(store), ALL);
  for (int i = 0; i < SINGLES; i++) {
    char run[16];
    hf_record *record = NULL;
    (void)snprintf(run, sizeof run, "run %d", i);
    hf_key key = {.run_id = run, .stage = "S"};
    ck_assert_int_eq(hf_get(store, &key, 0, &record, NULL), 1);
    ck_assert_uint_eq(record->seq, (uint64_t)i + 1);
    hf_record_free(&record);
    ck_assert_int_eq(hf_prev(store, &key, NULL, &record, NULL), i > 0);
    ck_assert(i == 0 || record->seq == (uint64_t)i);
    hf_record_free(&record);
  }
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get(store, &(hf_key){.run_id = "b 3", .stage = "S"}, 0, &record, NULL), 1);
  ck_assert_uint_eq(record->seq, SINGLES + 4);
  hf_record_free(&record);
  /* the same again is no new record, and the ended id may not be used */
  hf_saved saved;
  ck_assert_int_eq(
      scratch_save(store, "run 7", "S", "{\"comparison_group\":{\"g\":1},\"a\":1}", &saved, NULL),
      HF_OK);
  ck_assert_int_eq(saved.created, 0);
  ck_assert_uint_eq(saved.seq, 8);
  hf_save_request late = {
      .key = {.run_id = "late", .stage = "S"}, .doc = "{}", .doc_bytes = 2, .id = ended_id};
  ck_assert_int_eq(hf_save(store, &late, -1, &saved, NULL), HF_EENDED);
  ck_assert_uint_eq(head_of(store), ALL);
}

static void check_sound(void) {
  hf_verify_report report;
  hf_error error = HF_ERROR_INIT;
  ck_assert_msg(hf_verify(here.store, NULL, &report, &error) == HF_OK, "%s", error.message);
  ck_assert_uint_eq(report.damaged, 0);
}

START_TEST(one_read_tells_of_many_records) {
  ck_assert_uint_eq(head_of(reader), ALL);
  ck_assert_int_eq(records_opened, 0);
  check_answers(reader);
  /* and what is saved meanwhile */
  save_singles(writer, 100, 110);
  hf_log_rows_end(writer);
  records_opened = 0;
  ck_assert_uint_eq(head_of(reader), ALL + 10);
  ck_assert_int_eq(records_opened, 0);
  ck_assert_uint_eq(scratch_must_save(reader, "another", "S", "{}"), ALL + 11);
  ck_assert_uint_eq(head_of(writer), ALL + 11);
  check_sound();
}
END_TEST

static off_t rows_bytes(void) {
  struct stat st;
  ck_assert_int_eq(stat(scratch_path(&here, "log/rows"), &st), 0);
  return st.st_size;
}

START_TEST(who_is_alone_puts_them_off_and_writes_them_for_others) {
  ck_assert_int_eq(rows_bytes(), ALL * HF_LOG_ROW_BYTES);
  save_singles(writer, 100, 110);
  ck_assert_int_eq(rows_bytes(), ALL * HF_LOG_ROW_BYTES);
  save_singles(writer, 110, 170); /* 64 are due */
  ck_assert_int_gt(rows_bytes(), (ALL + 50) * HF_LOG_ROW_BYTES);
  save_singles(writer, 170, 175);
  ck_assert_uint_eq(scratch_must_save(reader, "another", "S", "{}"), ALL + 76);
  ck_assert_int_eq(rows_bytes(), (ALL + 76) * HF_LOG_ROW_BYTES); /* it had met others */
  ck_assert_uint_eq(scratch_must_save(writer, "met", "S", "{}"), ALL + 77);
  hf_store *fresh = open_shared();
  records_opened = 0;
  ck_assert_uint_eq(head_of(fresh), ALL + 77); /* those that were due as well */
  ck_assert_int_eq(records_opened, 0);
  hf_close(&fresh);
  ck_assert_uint_eq(scratch_must_save(writer, "met again", "S", "{}"), ALL + 78);
  ck_assert_int_eq(rows_bytes(), (ALL + 78) * HF_LOG_ROW_BYTES);
  save_singles(writer, 200, 220);
  ck_assert_int_lt(rows_bytes(), (ALL + 98) * HF_LOG_ROW_BYTES);
  hf_close(&writer);
  ck_assert_int_eq(rows_bytes(), (ALL + 98) * HF_LOG_ROW_BYTES);
  check_sound();
}
END_TEST

/* What was read behind the mark, after a link that met it, may not be durable yet: a power loss
 * could take it back, and a row of it would tell of a record that never was. */
START_TEST(what_is_not_marked_gets_no_row_at_the_end) {
  save_singles(writer, 100, 105);
  writer->mark_length = ALL + 2;
  hf_log_rows_end(writer);
  ck_assert_int_eq(rows_bytes(), (ALL + 2) * HF_LOG_ROW_BYTES);
}
END_TEST

/* ---- rows that do not check ---- */

static int rows_fd(void) {
  int fd = open(scratch_path(&here, "log/rows"), O_RDWR);
  ck_assert_int_ge(fd, 0);
  return fd;
}

static void write_row(uint64_t seq, const char bytes[HF_LOG_ROW_BYTES]) {
  int fd = rows_fd();
  ck_assert_int_eq(pwrite(fd, bytes, HF_LOG_ROW_BYTES, (off_t)(seq - 1) * HF_LOG_ROW_BYTES),
                   HF_LOG_ROW_BYTES);
  ck_assert_int_eq(close(fd), 0);
}

static void read_row(uint64_t seq, char bytes[HF_LOG_ROW_BYTES]) {
  int fd = rows_fd();
  ck_assert_int_eq(pread(fd, bytes, HF_LOG_ROW_BYTES, (off_t)(seq - 1) * HF_LOG_ROW_BYTES),
                   HF_LOG_ROW_BYTES);
  ck_assert_int_eq(close(fd), 0);
}

static void check_fresh(void) {
  hf_store *fresh = open_shared();
  check_answers(fresh);
  hf_close(&fresh);
}

START_TEST(each_altered_byte_shows) {
  for (uint64_t seq = 1; seq <= ALL; seq++) {
    char good[HF_LOG_ROW_BYTES];
    char bad[HF_LOG_ROW_BYTES];
    hf_log_row row;
    read_row(seq, good);
    ck_assert_int_eq(hf_log_row_take(writer->manifest.uuid, seq, good, &row), 1);
    for (size_t i = 0; i < HF_LOG_ROW_BYTES; i++) {
      memcpy(bad, good, sizeof bad);
      bad[i] = (char)(bad[i] ^ 4);
      ck_assert_int_eq(hf_log_row_take(writer->manifest.uuid, seq, bad, &row), 0);
    }
    ck_assert_int_eq(hf_log_row_take(writer->manifest.uuid, seq + 1, good, &row), 0);
    ck_assert_int_eq(hf_log_row_take("00000000-0000-4000-8000-000000000000", seq, good, &row), 0);
    memset(bad, 0, sizeof bad);
    ck_assert_int_eq(hf_log_row_take(writer->manifest.uuid, seq, bad, &row), 0);
  }
}
END_TEST

/* In turn, then every second, then all: what is missing is read from the records. */
START_TEST(what_does_not_check_is_read_from_its_record) {
  char good[ALL][HF_LOG_ROW_BYTES];
  char bad[HF_LOG_ROW_BYTES];
  for (uint64_t seq = 1; seq <= ALL; seq++)
    read_row(seq, good[seq - 1]);
  for (uint64_t seq = 1; seq <= ALL; seq++) {
    memcpy(bad, good[seq - 1], sizeof bad);
    bad[20] = (char)(bad[20] ^ 1); /* of the key */
    write_row(seq, bad);
    check_fresh();
    write_row(seq, good[seq - 1]);
  }
  memset(bad, 0, sizeof bad);
  for (uint64_t seq = 2; seq <= ALL; seq += 2)
    write_row(seq, bad);
  check_fresh();
  for (uint64_t seq = 1; seq <= ALL; seq++) /* each one's neighbour's */
    write_row(seq, good[seq % ALL]);
  check_fresh();
  for (off_t length = 0; length <= HF_LOG_ROW_BYTES * 3; length += 21) { /* cut short */
    for (uint64_t seq = 1; seq <= ALL; seq++)
      write_row(seq, good[seq - 1]);
    ck_assert_int_eq(truncate(scratch_path(&here, "log/rows"), length), 0);
    check_fresh();
  }
  check_sound();
}
END_TEST

START_TEST(without_the_file_everything_works) {
  ck_assert_int_eq(unlink(scratch_path(&here, "log/rows")), 0);
  hf_store *fresh = open_shared();
  ck_assert_uint_eq(head_of(fresh), ALL);
  ck_assert_int_gt(records_opened, 0);
  check_answers(fresh);
  save_singles(fresh, 200, 203); /* it is made anew, with a hole */
  hf_close(&fresh);
  fresh = open_shared();
  ck_assert_uint_eq(head_of(fresh), ALL + 3);
  hf_close(&fresh);
  ck_assert_int_eq(unlink(scratch_path(&here, "log/rows")), 0);
  ck_assert_int_eq(mkdir(scratch_path(&here, "log/rows"), 0777), 0); /* something else there */
  fresh = open_shared();
  ck_assert_uint_eq(head_of(fresh), ALL + 3);
  save_singles(fresh, 300, 303);
  hf_close(&fresh);
  ck_assert_int_eq(rmdir(scratch_path(&here, "log/rows")), 0);
  check_sound();
}
END_TEST

/* ---- a writer that cannot write them; a change of locker; packing ---- */

static ssize_t no_rows_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  if (fd == writer->rows_fd) {
    errno = ENOSPC;
    return -1;
  }
  return hf_sys_real.pwrite(fd, bytes, count, offset);
}

START_TEST(rows_that_cannot_be_written_hinder_nobody) {
  table.pwrite = no_rows_pwrite;
  save_singles(writer, 100, 105);
  hf_log_rows_end(writer);
  table.pwrite = hf_sys_real.pwrite;
  ck_assert_int_eq(writer->rows_fd, -1);
  save_singles(writer, 105, 107);
  ck_assert_uint_eq(head_of(reader), ALL + 7);
  save_singles(reader, 107, 109);
  check_sound();
}
END_TEST

START_TEST(who_knows_only_rows_can_pack) {
  int more = HF_TILE_RECORDS + 20 - ALL;
  save_singles(writer, 1000, 1000 + more);
  hf_log_rows_end(writer);
  hf_store *fresh = open_shared();
  records_opened = 0;
  ck_assert_uint_eq(head_of(fresh), HF_TILE_RECORDS + 20);
  ck_assert_int_eq(records_opened, 0);
  uint64_t packed = 0;
  ck_assert_int_eq(scratch_pack(fresh, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, 1);
  hf_record *record = NULL;
  for (uint64_t seq = 1; seq <= HF_TILE_RECORDS + 20; seq++) {
    if (seq == ENDED_AT)
      continue;
    ck_assert_int_eq(hf_get_seq(fresh, seq, &record, NULL), 1);
    hf_record_free(&record);
    ck_assert_int_eq(hf_get_seq(writer, seq, &record, NULL), 1);
    hf_record_free(&record);
  }
  hf_close(&fresh);
  fresh = open_shared(); /* its tile counts, not the rows of it */
  ck_assert_uint_eq(head_of(fresh), HF_TILE_RECORDS + 20);
  hf_close(&fresh);
  check_sound();
}
END_TEST

/* ---- verify ---- */

static void says_rows(void *context, const hf_finding *finding) {
  *(int *)context += strcmp(finding->kind, "rows") == 0;
}

START_TEST(verify_finds_a_row_that_lies) {
  char bytes[HF_LOG_ROW_BYTES];
  hf_log_row row;
  int said = 0;
  hf_verify_options options = {.finding = says_rows, .finding_context = &said, .timeout_ms = 5000};
  hf_verify_report report;
  read_row(3, bytes);
  ck_assert_int_eq(hf_log_row_take(writer->manifest.uuid, 3, bytes, &row), 1);
  row.row.key_hash ^= 1;
  hf_log_row_put(writer->manifest.uuid, 3, &row, bytes);
  write_row(3, bytes);
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 1);
  ck_assert_int_eq(said, 1);
  options.repair = 1;
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.repaired, 1);
  ck_assert_int_eq(said, 2);
  check_sound();
  check_fresh();
}
END_TEST

int main(void) {
  Suite *suite = suite_create("log_rows");
  TCase *tests = tcase_create("log_rows");
  tcase_set_timeout(tests, 120);
  tcase_add_checked_fixture(tests, begin, end);
  tcase_add_test(tests, one_read_tells_of_many_records);
  tcase_add_test(tests, who_is_alone_puts_them_off_and_writes_them_for_others);
  tcase_add_test(tests, what_is_not_marked_gets_no_row_at_the_end);
  tcase_add_test(tests, each_altered_byte_shows);
  tcase_add_test(tests, what_does_not_check_is_read_from_its_record);
  tcase_add_test(tests, without_the_file_everything_works);
  tcase_add_test(tests, rows_that_cannot_be_written_hinder_nobody);
  tcase_add_test(tests, who_knows_only_rows_can_pack);
  tcase_add_test(tests, verify_finds_a_row_that_lies);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
