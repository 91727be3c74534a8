/* Import of a long history: the work grows with the number of entries, not with its square.
 * Measured in system calls on the store, not in time. */
#include "legacy_help.h"

#include "pace.h"
#include "store.h"
#include "sys.h"

static char folder[HELP_PATH_BYTES];
static hf_sys_table counted;
static uint64_t calls;
static uint64_t links;
static uint64_t fsyncs;

static void setup(void) {
  help_folder(folder);
}

static void teardown(void) {
  help_remove_all(folder);
}

static int count_openat(int dirfd, const char *name, int flags, mode_t mode) {
  calls++;
  return hf_sys_real.openat(dirfd, name, flags, mode);
}

static ssize_t count_pread(int fd, void *bytes, size_t count, off_t offset) {
  calls++;
  return hf_sys_real.pread(fd, bytes, count, offset);
}

static ssize_t count_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
  calls++;
  return hf_sys_real.pwrite(fd, bytes, count, offset);
}

static int count_linkat(int from_dirfd, const char *from, int to_dirfd, const char *to, int flags) {
  calls++;
  links++;
  return hf_sys_real.linkat(from_dirfd, from, to_dirfd, to, flags);
}

static int count_fsync(int fd) {
  calls++;
  fsyncs++;
  return hf_sys_real.fsync(fd);
}

/* Half of the entries without a seq, their order shuffled. */
static void write_index(const char *path, unsigned entries) {
  FILE *file = fopen(path, "w");
  ck_assert_ptr_nonnull(file);
  (void)fputs("{\n", file);
  for (unsigned i = 0; i < entries; i++) {
    unsigned number =
        (unsigned)((uint64_t)i * 7919 % entries); /* a prime that divides no size here */
    (void)fprintf(
        file,
        "%s  \"run_%06u:TRAINING\": {\n    \"run_id\": \"run_%06u\",\n"
        "    \"timestamp\": \"2025-12-%02uT%02u:%02u:%02u\",\n    \"stage\": \"TRAINING\"",
        i > 0 ? ",\n" : "", number, number, number / 86400 + 1, number / 3600 % 24,
        number / 60 % 60, number % 60);
    if (number >= entries / 2)
      (void)fprintf(file, ",\n    \"snapshot_seq\": %u", number - entries / 2 + 1);
    (void)fputs(",\n    \"outputs\": {\"auc\": 0.10, \"ic\": NaN}\n  }", file);
  }
  (void)fputs("\n}", file);
  ck_assert_int_eq(fclose(file), 0);
}

/* Imports so many into a new store; the number of system calls. */
static uint64_t import_many(const char *name, unsigned entries) {
  char path[HELP_PATH_BYTES];
  hf_record *record = NULL;
  hf_store *store = help_store(folder, name);
  store->packs = 0; /* the packer's calls are not the import's */
  (void)help_path(path, "%s/%s.json", folder, name);
  write_index(path, entries);
  counted = hf_sys_real;
  counted.openat = count_openat;
  counted.pread = count_pread;
  counted.pwrite = count_pwrite;
  counted.linkat = count_linkat;
  counted.fsync = count_fsync;
  calls = links = fsyncs = 0;
  hf_sys = &counted;
  hf_import_report report = help_import(store, path);
  uint64_t used = calls;
  ck_assert_uint_eq(report.imported, entries);
  ck_assert_uint_eq(report.clock_ordered, entries / 2);
  ck_assert_uint_eq(report.nan_to_null, entries);
  /* in as few commits as can be: full files, and each makes a tile some day */
  uint64_t commits = entries / HF_BATCH_MAX + 1;
  ck_assert_msg(links <= 4 * commits, "%llu links for %llu commits", (unsigned long long)links,
                (unsigned long long)commits);
  ck_assert_msg(fsyncs <= 10 * commits, "%llu fsyncs for %llu commits", (unsigned long long)fsyncs,
                (unsigned long long)commits);
  hf_sys = &hf_sys_real;
  for (uint64_t seq = 1; seq <= entries; seq += entries / 97) {
    char run_id[32];
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    (void)snprintf(run_id, sizeof run_id, "run_%06llu", (unsigned long long)seq - 1);
    ck_assert_str_eq(record->run_id, run_id);
    hf_record_free(&record);
  }
  report = help_import(store, path);
  ck_assert_uint_eq(report.present, entries);
  ck_assert_uint_eq(help_head(store), entries);
  hf_close(&store);
  return used;
}

START_TEST(calls_grow_with_the_entries) {
  const unsigned base = (unsigned)pace_count(12500, 1500);
  uint64_t few = import_many("few", base);
  uint64_t many = import_many("many", 4 * base);
  ck_assert_msg(many <= few * 5, "%llu calls for %u entries, %llu for %u", (unsigned long long)few,
                base, (unsigned long long)many, 4 * base);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("legacy_many");
  TCase *tests = tcase_create("many");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, calls_grow_with_the_entries);
  suite_add_tcase(suite, tests);
  return help_run(suite);
}
