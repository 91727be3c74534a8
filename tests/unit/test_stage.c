/* stage/: what dead writers leave, and writers whose staged file was taken away. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "scratch.h"
#include "stage.h"
#include "store.h"
#include "sys.h"

static scratch here;
static hf_sys_table table;

static void begin(void) {
  scratch_begin(&here);
  scratch_init_in(&here, "flock", "publish");
  table = hf_sys_real;
}

static void end(void) {
  hf_sys = &hf_sys_real;
  scratch_end(&here);
}

/* Nobody can set a file's ctime back: what `leave` has made old seems to be so. */
static int old_fstatat(int dirfd, const char *name, struct stat *st, int flags) {
  int result = fstatat(dirfd, name, st, flags);
  if (result == 0 && strncmp(name, "01ARZ3NDEKTSV4RRFFQ69G5V", 24) != 0)
    st->st_ctim = st->st_mtim;
  return result;
}

static void seem_old(void) {
  table.fstatat = old_fstatat;
  hf_sys = &table;
}

static void leave(const char *name, const char *text, int age_s) {
  const char *path = scratch_path(&here, "stage/%s", name);
  struct timespec times[2] = {{time(NULL) - age_s, 0}, {time(NULL) - age_s, 0}};
  scratch_write_file(path, text, strlen(text));
  ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static int is_there(const char *name) {
  return access(scratch_path(&here, "stage/%s", name), F_OK) == 0;
}

START_TEST(test_old_leftovers_are_swept) {
  leave("01ARZ3NDEKTSV4RRFFQ69G5FAV", "half a rec", HF_STAGE_SWEEP_AGE_S + 10);
  leave("01ARZ3NDEKTSV4RRFFQ69G5FAW", "young", HF_STAGE_SWEEP_AGE_S - 60);
  /* an NFS server's exclusive creation: the client's verifier stands where the times will be */
  leave("01ARZ3NDEKTSV4RRFFQ69G5VER", "being made", 1 << 30);
  ck_assert_int_eq(symlink("/etc/passwd", scratch_path(&here, "stage/link")), 0);
  hf_store *store = scratch_open(&here);
  seem_old();
  ck_assert_int_eq(is_there("01ARZ3NDEKTSV4RRFFQ69G5FAV"), 1); /* readers change nothing */
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{}"), 1);
  ck_assert_int_eq(is_there("01ARZ3NDEKTSV4RRFFQ69G5FAV"), 0);
  ck_assert_int_eq(is_there("01ARZ3NDEKTSV4RRFFQ69G5FAW"), 1);
  ck_assert_int_eq(is_there("01ARZ3NDEKTSV4RRFFQ69G5VER"), 1);
  struct stat st;
  ck_assert_int_eq(lstat(scratch_path(&here, "stage/link"), &st), 0); /* not ours: left alone */
  hf_close(&store);
}
END_TEST

START_TEST(test_a_left_blob_of_a_committed_record_is_put_back) {
  size_t bytes = 100000;
  char *doc = malloc(bytes + 1);
  ck_assert_ptr_nonnull(doc);
  (void)snprintf(doc, bytes + 1, "{\"a\":\"%099991d\"}", 7);
  hf_store *store = scratch_open(&here);
  hf_saved saved;
  ck_assert_int_eq(scratch_save(store, "r", "S", doc, &saved, NULL), HF_OK);
  hf_close(&store);
  /* its writer died before it linked the blob once more, and gc had taken it away */
  char name[64];
  char *blob = strdup(scratch_path(&here, "blob/%.2s/%s", saved.sha256, saved.sha256));
  (void)snprintf(name, sizeof name, "%s.blob", saved.id);
  ck_assert_int_eq(rename(blob, scratch_path(&here, "stage/%s", name)), 0);
  struct timespec times[2] = {{1000, 0}, {1000, 0}};
  ck_assert_int_eq(utimensat(AT_FDCWD, scratch_path(&here, "stage/%s", name), times, 0), 0);
  store = scratch_open(&here);
  seem_old();
  (void)scratch_must_save(store, "r2", "S", "{}");
  ck_assert_int_eq(access(blob, F_OK), 0);
  ck_assert_int_eq(is_there(name), 0);
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get_seq(store, 1, &record, NULL), 1);
  ck_assert_str_eq(record->doc, doc);
  hf_record_free(&record);
  hf_close(&store);
  free(blob);
  free(doc);
}
END_TEST

/* The sweep, or somebody who resolves the id, comes between staging and linking. */
static int calls;
static int taking_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to,
                         int flags) {
  if (calls++ == 0)
    ck_assert_int_eq(unlinkat(from_dirfd, from, 0), 0);
  return linkat(from_dirfd, from, to_dirfd, to, flags);
}

static void take_away(int shared) {
  hf_store *store = scratch_open(&here);
  hf_error error = HF_ERROR_INIT;
  if (shared)
    scratch_assume_shared(store);
  (void)scratch_must_save(store, "before", "S", "{}");
  calls = 0;
  table.linkat = taking_linkat;
  hf_sys = &table;
  ck_assert_int_eq(scratch_save(store, "r", "S", "{}", NULL, &error), HF_EENDED);
  hf_sys = &hf_sys_real;
  ck_assert_uint_eq(strlen(error.id), HF_ID_CHARS);
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get(store, &(hf_key){.run_id = "r", .stage = "S"}, 0, &record, NULL), 0);
  ck_assert_int_eq(hf_get_seq(store, 2, &record, NULL), 1); /* what ended it stands in the log */
  ck_assert_str_eq(record->op, "end");
  ck_assert_ptr_nonnull(strstr(record->line, error.id));
  hf_record_free(&record);
  uint64_t seq = 0;
  ck_assert_int_eq(hf_resolve(store, error.id, -1, &seq, NULL), 0);
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{}"), 3);
  hf_close(&store);
}

START_TEST(test_a_slow_writer_finds_out) {
  take_away(0);
}
END_TEST

START_TEST(test_a_slow_writer_finds_out_on_a_shared_filesystem) {
  take_away(1);
}
END_TEST

/* fsync of log/ fails once: published, not confirmed. */
static int log_fd = -1;
static int failing_fsync(int fd) {
  if (fd == log_fd && calls++ == 0) {
    errno = EIO;
    return -1;
  }
  return fsync(fd);
}

START_TEST(test_an_unsure_answer_can_be_resolved) {
  hf_store *store = scratch_open(&here);
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  calls = 0;
  log_fd = store->log_fd;
  table.fsync = failing_fsync;
  hf_sys = &table;
  ck_assert_int_eq(scratch_save(store, "r", "S", "{}", NULL, &error), HF_EUNSURE);
  ck_assert_uint_eq(strlen(error.id), HF_ID_CHARS);
  ck_assert_ptr_nonnull(strstr(error.message, error.id));
  hf_sys = &hf_sys_real;
  ck_assert_int_eq(hf_resolve(store, error.id, -1, &seq, NULL), 1);
  ck_assert_uint_eq(seq, 1);
  hf_close(&store);
}
END_TEST

START_TEST(test_nothing_stays_in_stage) {
  hf_store *store = scratch_open(&here);
  char doc[32];
  for (int i = 0; i < 20; i++) {
    (void)snprintf(doc, sizeof doc, "{\"n\":%d}", i / 2); /* every other one is there already */
    (void)scratch_must_save(store, "r", "S", doc);
  }
  hf_close(&store);
  ck_assert_int_eq(rmdir(scratch_path(&here, "stage")), 0);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("stage");
  TCase *tests = tcase_create("stage");
  tcase_add_checked_fixture(tests, begin, end);
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, test_old_leftovers_are_swept);
  tcase_add_test(tests, test_a_left_blob_of_a_committed_record_is_put_back);
  tcase_add_test(tests, test_a_slow_writer_finds_out);
  tcase_add_test(tests, test_a_slow_writer_finds_out_on_a_shared_filesystem);
  tcase_add_test(tests, test_an_unsure_answer_can_be_resolved);
  tcase_add_test(tests, test_nothing_stays_in_stage);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
