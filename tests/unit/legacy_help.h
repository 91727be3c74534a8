/* What the tests of import and export share: where the data is, temporary stores, and a store's
 * snapshots as a text that can be compared. */
#ifndef HF_TESTS_LEGACY_HELP_H
#define HF_TESTS_LEGACY_HELP_H

#include <check.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "buf.h"
#include "json.h"

enum { HELP_PATH_BYTES = 4096 };

static inline int help_remove(const char *path, const struct stat *st, int type, struct FTW *ftw) {
  (void)st;
  (void)type;
  (void)ftw;
  return remove(path);
}

/* A new folder below TMPDIR; removed by help_remove_all. */
static inline void help_folder(char path[HELP_PATH_BYTES]) {
  const char *base = getenv("TMPDIR");
  (void)snprintf(path, HELP_PATH_BYTES, "%s/hf-legacy-XXXXXX", base != NULL ? base : "/tmp");
  ck_assert_ptr_nonnull(mkdtemp(path));
}

static inline void help_remove_all(const char *path) {
  ck_assert_int_eq(nftw(path, help_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

__attribute__((format(printf, 2, 3))) static inline char *help_path(char path[HELP_PATH_BYTES],
                                                                    const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(path, HELP_PATH_BYTES, format, args);
  va_end(args);
  return path;
}

/* A path below tests/data/legacy. */
static inline char *help_data(char path[HELP_PATH_BYTES], const char *name) {
  const char *data = getenv("HF_TEST_DATA");
  const char *source = getenv("HOLDFAST_SOURCE_DIR");
  if (data != NULL)
    return help_path(path, "%s/legacy/%s", data, name);
#ifdef HF_TEST_DATA_DIR
  return help_path(path, "%s/legacy/%s", HF_TEST_DATA_DIR, name);
#endif
  if (source != NULL)
    return help_path(path, "%s/tests/data/legacy/%s", source, name);
  return help_path(path, "tests/data/legacy/%s", name);
}

/* Appends "/name". */
static inline char *help_below(char path[HELP_PATH_BYTES], const char *name) {
  size_t used = strlen(path);
  (void)snprintf(path + used, HELP_PATH_BYTES - used, "/%s", name);
  return path;
}

static inline void help_write(const char *path, const char *text, size_t bytes) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  ck_assert_uint_eq(fwrite(text, 1, bytes, file), bytes);
  ck_assert_int_eq(fclose(file), 0);
}

static inline void help_read(const char *path, hf_buf *out) {
  char piece[65536];
  size_t got;
  FILE *file = fopen(path, "r");
  ck_assert_msg(file != NULL, "%s", path);
  while ((got = fread(piece, 1, sizeof piece, file)) > 0)
    (void)hf_buf_add(out, piece, got);
  ck_assert_int_eq(fclose(file), 0);
  ck_assert_int_eq(out->failed, 0);
}

static inline hf_store *help_open(const char *path) {
  hf_store *store = NULL;
  hf_error error = HF_ERROR_INIT;
  int status = hf_open(path, NULL, &store, &error);
  ck_assert_msg(status == HF_OK, "open: %s: %s", error.place, error.message);
  return store;
}

/* A new store FOLDER/NAME. */
static inline hf_store *help_store(const char *folder, const char *name) {
  char path[HELP_PATH_BYTES];
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {.locker = "flock", .force = 1};
  (void)help_path(path, "%s/%s", folder, name);
  int status = hf_init(path, &options, NULL, &error);
  ck_assert_msg(status == HF_OK, "init: %s: %s", error.place, error.message);
  return help_open(path);
}

typedef struct help_logged {
  int count;
  char last[512];
} help_logged;

static inline void help_log(void *context, hf_log_level level, const char *message) {
  help_logged *logged = context;
  if (level != HF_LOG_WARNING)
    return;
  logged->count++;
  (void)snprintf(logged->last, sizeof logged->last, "%s", message);
}

static inline hf_import_report help_import_paths(hf_store *store, const char *const *paths,
                                                 size_t count, help_logged *logged) {
  hf_import_options options = {0};
  hf_import_report report;
  hf_error error = HF_ERROR_INIT;
  options.timeout_ms = -1;
  options.log = logged != NULL ? help_log : NULL;
  options.log_context = logged;
  int status = hf_import(store, paths, count, &options, &report, &error);
  ck_assert_msg(status == HF_OK, "import: %s: %s", error.place, error.message);
  ck_assert_uint_eq(report.read, report.doubles + report.imported + report.present);
  return report;
}

static inline hf_import_report help_import(hf_store *store, const char *path) {
  return help_import_paths(store, &path, 1, NULL);
}

/* Imports what must fail; the store stays as it was. */
static inline hf_error help_import_fails(hf_store *store, const char *const *paths, size_t count,
                                         int want) {
  hf_import_report report;
  hf_error error = HF_ERROR_INIT;
  uint64_t before = 0;
  uint64_t after = 0;
  ck_assert_int_eq(hf_head(store, &before, NULL), HF_OK);
  int status = hf_import(store, paths, count, NULL, &report, &error);
  ck_assert_msg(status == want, "%s instead of %s (%s: %s)", hf_status_name(status),
                hf_status_name(want), error.place, error.message);
  ck_assert_int_eq((int)error.code, want);
  ck_assert_uint_eq(report.imported, 0);
  ck_assert_int_eq(hf_head(store, &after, NULL), HF_OK);
  ck_assert_uint_eq(before, after);
  return error;
}

enum {
  HELP_IDENTITY = 1,
  HELP_ENVELOPE = 2,
  HELP_DOCUMENT = 4,
  HELP_LEGACY = 8,
  HELP_CLOCK = 16,
  HELP_ALL = 31
};

static inline void help_show_record(const hf_record *record, int what, hf_buf *out) {
  (void)hf_buf_printf(out, "%s|%s", record->run_id, record->stage);
  for (size_t i = 0; i < record->dims_count; i++)
    (void)hf_buf_printf(out, "|%s=%s", record->dims[i].name, record->dims[i].value);
  if (what & HELP_ENVELOPE)
    (void)hf_buf_printf(out, "|group %s|ts %s|%s", record->group != NULL ? record->group : "-",
                        record->ts != NULL ? record->ts : "-", record->sha256);
  if (what & HELP_LEGACY)
    (void)hf_buf_printf(out, "|legacy %llu", (unsigned long long)record->legacy_seq);
  if (what & HELP_CLOCK)
    (void)hf_buf_printf(out, "|clock %d", record->legacy_clock);
  if (what & HELP_DOCUMENT)
    (void)hf_buf_printf(out, "|%s", record->doc);
  (void)hf_buf_add_char(out, '\n');
}

/* All snapshots in seq order, every revision, a line each. The caller frees (free). */
static inline char *help_show(hf_store *store, int what, size_t *ret_count) {
  hf_buf out = {0};
  hf_list_options options = {0};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  hf_error error = HF_ERROR_INIT;
  size_t count = 0;
  int got;
  options.all_revisions = 1;
  options.with_documents = (what & HELP_DOCUMENT) != 0;
  ck_assert_int_eq(hf_list(store, &options, &cursor, &error), HF_OK);
  while ((got = hf_cursor_next(cursor, &record, &error)) == 1) {
    help_show_record(record, what, &out);
    hf_record_free(&record);
    count++;
  }
  ck_assert_msg(got == 0, "list: %s: %s", error.place, error.message);
  hf_cursor_close(&cursor);
  (void)hf_buf_add(&out, "", 0);
  ck_assert_int_eq(out.failed, 0);
  if (ret_count != NULL)
    *ret_count = count;
  return hf_buf_take(&out);
}

static inline void help_same(hf_store *a, hf_store *b, int what) {
  hf_autofree char *of_a = help_show(a, what, NULL);
  hf_autofree char *of_b = help_show(b, what, NULL);
  ck_assert_str_eq(of_a, of_b);
}

static inline uint64_t help_head(hf_store *store) {
  uint64_t head = 0;
  ck_assert_int_eq(hf_head(store, &head, NULL), HF_OK);
  return head;
}

static inline int help_take(void *context, const char *bytes, size_t count) {
  return hf_buf_add(context, bytes, count);
}

static inline uint64_t help_export(hf_store *store, hf_export_format format, hf_buf *out) {
  hf_export_options options = {format, NULL, NULL, NULL};
  hf_error error = HF_ERROR_INIT;
  uint64_t count = 0;
  int status = hf_export(store, &options, help_take, out, &count, &error);
  ck_assert_msg(status == HF_OK, "export: %s: %s", error.place, error.message);
  return count;
}

static inline uint64_t help_save(hf_store *store, const hf_save_request *request) {
  hf_saved saved;
  hf_error error = HF_ERROR_INIT;
  int status = hf_save(store, request, -1, &saved, &error);
  ck_assert_msg(status == HF_OK, "save: %s: %s", error.place, error.message);
  return saved.seq;
}

static inline int help_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#endif
