/* What the tests of verify and repair share: a store of 60 records with files of one and of several
 * lines, a blob, an ended attempt; damage by direct edits of its files; and the promises that must
 * hold afterwards. */
#ifndef HF_TESTS_UNIT_VERIFY_HELP_H
#define HF_TESTS_UNIT_VERIFY_HELP_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "buf.h"
#include "id.h"
#include "json.h"
#include "log.h"
#include "record.h"
#include "scratch.h"
#include "sys.h"
#include "tile.h"

enum {
  RECORDS = 60,
  BATCH_A = 11, /* to 15: one file */
  BLOB_AT = 16,
  END_AT = 17,
  BATCH_B = 18, /* to 25 */
  FINDINGS_MAX = 4000,
  BLOB_BYTES = 70000,
};

static scratch here;
static hf_config *help_config; /* where the filesystem's type tells no locker */

/* ---- the store ---- */

static inline void help_batch(hf_store *store, size_t count, int number) {
  hf_save_request requests[32];
  hf_saved saved[32];
  char runs[32][32];
  char docs[32][160];
  hf_error err = HF_ERROR_INIT;
  ck_assert(count <= 32);
  memset(requests, 0, sizeof requests);
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(runs[i], sizeof runs[i], "batch_%d_%zu", number, i);
    (void)snprintf(docs[i], sizeof docs[i],
                   "{\"comparison_group\":{\"g\":%d},\"n\":0.%zu,\"text\":\"line %zu\"}", number, i,
                   i);
    requests[i].key.run_id = runs[i];
    requests[i].key.stage = "T";
    requests[i].doc = docs[i];
    requests[i].doc_bytes = strlen(docs[i]);
  }
  ck_assert_msg(hf_save_batch(store, requests, count, -1, saved, &err) == HF_OK, "%s", err.message);
}

static inline char *help_blob_document(char fill) {
  char *doc = malloc(BLOB_BYTES + 32);
  ck_assert_ptr_nonnull(doc);
  (void)snprintf(doc, 16, "{\"p\":\"");
  memset(doc + 6, fill, BLOB_BYTES);
  memcpy(doc + 6 + BLOB_BYTES, "\"}", 3);
  return doc;
}

static inline void help_singles(hf_store *store, uint64_t first, uint64_t last) {
  for (uint64_t seq = first; seq <= last; seq++) {
    char run[32];
    char doc[128];
    (void)snprintf(run, sizeof run, "run_%llu", (unsigned long long)seq);
    (void)snprintf(doc, sizeof doc, "{\"seq\":%llu,\"v\":[1.50,-0.0,1e400]}",
                   (unsigned long long)seq);
    ck_assert_uint_eq(scratch_must_save(store, run, "S", doc), seq);
  }
}

/* Another locker for the whole of a test: verify must not care. */
static inline void help_store_in(const char *locker, const char *mode) {
  uint64_t seq = 0;
  scratch_begin(&here);
  scratch_init_in(&here, locker, mode);
  char config[SCRATCH_PATH_BYTES];
  (void)snprintf(config, sizeof config, "%.4000s/config.json", here.folder);
  static const char unknown[] = "{\"filesystems\":{\"unknown\":\"flock\"}}";
  scratch_write_file(config, unknown, sizeof unknown - 1);
  ck_assert_int_eq(hf_config_load(config, &help_config, NULL), HF_OK);
  hf_store *store = scratch_open(&here);
  help_singles(store, 1, BATCH_A - 1);
  help_batch(store, BLOB_AT - BATCH_A, 1);
  char *blob = help_blob_document('x');
  ck_assert_uint_eq(scratch_must_save(store, "big", "S", blob), BLOB_AT);
  free(blob);
  ck_assert_int_eq(hf_resolve(store, "01ARZ3NDEKTSV4RRFFQ69G5FAV", -1, &seq, NULL), 0);
  help_batch(store, 8, 2);
  help_singles(store, BATCH_B + 8, RECORDS);
  hf_close(&store);
}

static inline void help_store_with(const char *locker) {
  help_store_in(locker, "publish");
}

static inline void help_store(void) {
  help_store_with("flock");
}

/* As on a filesystem of which nothing is known: its type and its magic number contradict each
 * other. */
static inline int help_statfs(const char *path, struct statfs *fs) {
  int result = hf_sys_real.statfs(path, fs);
  fs->f_type = 0x6969; /* NFS */
  return result;
}

static inline void help_assume_shared(void) {
  static hf_sys_table table;
  table = hf_sys_real;
  table.statfs = help_statfs;
  hf_sys = &table;
}

static inline void help_end(void) {
  hf_config_free(&help_config);
  scratch_end(&here);
}

/* "log/00000000000000000007.json" of the store. */
static inline const char *help_log(uint64_t seq) {
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(seq, name);
  return scratch_path(&here, "log/%s", name);
}

static inline const char *help_below(const char *name) {
  return scratch_path(&here, "%s", name);
}

/* The blob's path below the store. */
static inline const char *help_blob_name(void) {
  static char name[128];
  uint8_t digest[32];
  char hex[65];
  char *doc = help_blob_document('x');
  ck_assert_int_eq(hf_sha256(doc, strlen(doc), digest, NULL), HF_OK);
  free(doc);
  hf_hex(digest, 32, hex);
  (void)snprintf(name, sizeof name, "blob/%.2s/%s", hex, hex);
  return name;
}

/* ---- edits ---- */

static inline void help_flip(const char *path, long offset, int bit) {
  int fd = open(path, O_RDWR | O_CLOEXEC);
  unsigned char byte;
  ck_assert_msg(fd >= 0, "%s", path);
  if (offset < 0)
    offset += lseek(fd, 0, SEEK_END);
  ck_assert_int_eq(pread(fd, &byte, 1, offset), 1);
  byte = (unsigned char)(byte ^ (1U << bit));
  ck_assert_int_eq(pwrite(fd, &byte, 1, offset), 1);
  ck_assert_int_eq(close(fd), 0);
}

static inline size_t help_size(const char *path) {
  struct stat st;
  ck_assert_msg(lstat(path, &st) == 0, "%s", path);
  return (size_t)st.st_size;
}

static inline int help_exists(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0;
}

static inline void help_write(const char *path, const char *text) {
  scratch_write_file(path, text, strlen(text));
}

/* ---- every record as it was ---- */

typedef struct help_records {
  char *line[RECORDS + 2]; /* of seq i at [i] */
  uint64_t head;
} help_records;

static inline void help_remember(help_records *records) {
  hf_store *store = scratch_open(&here);
  memset(records, 0, sizeof *records);
  ck_assert_int_eq(hf_head(store, &records->head, NULL), HF_OK);
  ck_assert_uint_le(records->head, RECORDS + 1);
  for (uint64_t seq = 1; seq <= records->head; seq++) {
    hf_record *record = NULL;
    ck_assert_int_eq(hf_get_seq(store, seq, &record, NULL), 1);
    records->line[seq] = strdup(record->line);
    hf_record_free(&record);
  }
  hf_close(&store);
}

static inline void help_forget(help_records *records) {
  for (uint64_t seq = 1; seq <= records->head; seq++)
    free(records->line[seq]);
}

/* The line that the store has for seq, or NULL; to be freed. A blob that is damaged is no matter of
 * the record's. */
static inline char *help_line(hf_store *store, uint64_t seq) {
  const hf_list_options options = {.since = seq, .until = seq, .all_records = 1};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  char *line = NULL;
  ck_assert_int_eq(hf_list(store, &options, &cursor, NULL), HF_OK);
  if (hf_cursor_next(cursor, &record, NULL) == 1 && strcmp(record->op, "lost") != 0)
    line = strdup(record->line);
  hf_record_free(&record);
  hf_cursor_close(&cursor);
  return line;
}

/* ---- the whole tree as a text: names, types, sizes, times, contents ---- */

static hf_buf help_tree_text;

static inline int help_tree_entry(const char *path, const struct stat *st, int type,
                                  struct FTW *ftw) {
  char target[4096] = "";
  uint32_t crc = 0;
  (void)ftw;
  if (S_ISLNK(st->st_mode) && readlink(path, target, sizeof target - 1) < 0)
    return -1;
  if (S_ISREG(st->st_mode)) {
    size_t count = 0;
    char *text = scratch_read_file(path, &count);
    crc = hf_crc32c(0, text, count);
    free(text);
  }
  return hf_buf_printf(&help_tree_text, "%s %d %o %lld %ld.%09ld %ld.%09ld %s %08x\n", path, type,
                       (unsigned)st->st_mode, (long long)st->st_size, (long)st->st_mtim.tv_sec,
                       st->st_mtim.tv_nsec, (long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec, target,
                       crc);
}

static inline int help_compare_lines(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* To be freed. The order of a folder's entries does not count. */
static inline char *help_tree(const char *path) {
  size_t count = 0;
  hf_buf_clear(&help_tree_text);
  ck_assert_int_eq(nftw(path, help_tree_entry, 16, FTW_PHYS), 0);
  for (size_t i = 0; i < help_tree_text.used; i++)
    count += help_tree_text.data[i] == '\n';
  char **lines = calloc(count + 1, sizeof *lines);
  ck_assert_ptr_nonnull(lines);
  char *at = help_tree_text.data;
  for (size_t i = 0; i < count; i++) {
    lines[i] = at;
    at = strchr(at, '\n');
    *at++ = '\0';
  }
  qsort(lines, count, sizeof *lines, help_compare_lines);
  hf_buf sorted = {0};
  for (size_t i = 0; i < count; i++)
    ck_assert_int_eq(hf_buf_printf(&sorted, "%s\n", lines[i]), 0);
  free(lines);
  hf_buf_free(&help_tree_text);
  return hf_buf_take(&sorted);
}

/* ---- verify ---- */

typedef struct help_finding {
  char kind[24];
  uint64_t seq;
  char path[256];
  char text[1024];
  int damage;
  int repaired;
} help_finding;

static help_finding help_findings[FINDINGS_MAX];
static size_t help_findings_count;
static hf_verify_report help_report;

static inline void help_on_finding(void *context, const hf_finding *finding) {
  (void)context;
  ck_assert_uint_lt(help_findings_count, FINDINGS_MAX);
  help_finding *one = &help_findings[help_findings_count++];
  (void)snprintf(one->kind, sizeof one->kind, "%s", finding->kind);
  (void)snprintf(one->path, sizeof one->path, "%s", finding->path);
  (void)snprintf(one->text, sizeof one->text, "%s", finding->text);
  one->seq = finding->seq;
  one->damage = finding->damage;
  one->repaired = finding->repaired;
}

static inline const char *help_say(void) {
  static char text[16384];
  size_t used = 0;
  text[0] = '\0';
  for (size_t i = 0; i < help_findings_count && used < sizeof text - 800; i++) {
    const help_finding *one = &help_findings[i];
    used += (size_t)snprintf(text + used, sizeof text - used, "%s %llu %s %d%d: %.400s\n",
                             one->kind, (unsigned long long)one->seq, one->path, one->damage,
                             one->repaired, one->text);
  }
  return text;
}

static inline int help_verify_path(const char *path, int deep, int repair, hf_error *reterr) {
  hf_verify_options options = {.deep = deep,
                               .repair = repair,
                               .config = help_config,
                               .timeout_ms = 5000,
                               .finding = help_on_finding};
  help_findings_count = 0;
  return hf_verify(path, &options, &help_report, reterr);
}

/* Must be read to its end. */
static inline void help_verify(int repair) {
  hf_error err = HF_ERROR_INIT;
  int status = help_verify_path(here.store, 1, repair, &err);
  ck_assert_msg(status == HF_OK, "%d %s: %s", status, err.place, err.message);
}

/* Without repair: nothing may change, not even a time. */
static inline void help_look(void) {
  char *before = help_tree(here.folder);
  help_verify(0);
  char *after = help_tree(here.folder);
  ck_assert_msg(strcmp(before, after) == 0, "verify changed something:\n%s\n%s", before, after);
  free(before);
  free(after);
}

/* The number of findings of this kind, at this seq and path (0, NULL: any). */
static inline size_t help_count(const char *kind, uint64_t seq, const char *path) {
  size_t count = 0;
  for (size_t i = 0; i < help_findings_count; i++)
    count += (kind == NULL || strcmp(help_findings[i].kind, kind) == 0) &&
             (seq == 0 || help_findings[i].seq == seq) &&
             (path == NULL || strcmp(help_findings[i].path, path) == 0);
  return count;
}

static inline void help_found(const char *kind, uint64_t seq, const char *path) {
  ck_assert_msg(help_count(kind, seq, path) == 1, "not once: %s %llu %s; found:\n%s", kind,
                (unsigned long long)seq, path != NULL ? path : "", help_say());
}

/* Exactly this damage, and nothing else. */
static inline void help_found_only(const char *kind, uint64_t seq, const char *path) {
  help_found(kind, seq, path);
  ck_assert_msg(help_report.damaged == 1, "more damage:\n%s", help_say());
}

static inline void help_clean(void) {
  ck_assert_msg(help_report.damaged == 0, "damage, and there should be none:\n%s", help_say());
}

/* ---- the promises after a repair ---- */

/* lost: those whose bytes were damaged. Everything else is as it was; writers go on with the next
 * number. */
static inline void help_promises(const help_records *before, const uint64_t *lost,
                                 size_t lost_count) {
  hf_error err = HF_ERROR_INIT;
  hf_saved saved;
  uint64_t head = 0;
  help_verify(0);
  help_clean();
  ck_assert_uint_eq(help_report.head, before->head);
  ck_assert_uint_eq(help_report.records, before->head);
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_head(store, &head, &err), HF_OK);
  ck_assert_uint_eq(head, before->head);
  for (uint64_t seq = 1; seq <= before->head; seq++) {
    hf_record *record = NULL;
    int is_lost = 0;
    for (size_t i = 0; i < lost_count; i++)
      is_lost |= lost[i] == seq;
    int got = hf_get_seq(store, seq, &record, &err);
    if (is_lost) {
      ck_assert_msg(got == HF_EDAMAGED, "seq %llu: %d", (unsigned long long)seq, got);
      ck_assert_ptr_nonnull(strstr(err.message, "could not be read again"));
    } else {
      ck_assert_msg(got == 1, "seq %llu: %s", (unsigned long long)seq, err.message);
      ck_assert_str_eq(record->line, before->line[seq]);
    }
    hf_record_free(&record);
  }
  int status = scratch_save(store, "after", "S", "{\"after\":true}", &saved, &err);
  ck_assert_msg(status == HF_OK, "%s: %s", err.place, err.message);
  ck_assert_uint_eq(saved.seq, before->head + 1);
  hf_close(&store);
  if (hf_sys != &hf_sys_real) /* shared: second looks take their time */
    return;
  help_verify(0);
  help_clean();
  ck_assert_uint_eq(help_report.head, before->head + 1);
}

/* How many files of quarantine/ hold exactly these bytes. */
static inline size_t help_kept(const char *bytes, size_t count) {
  size_t found = 0;
  char command[SCRATCH_PATH_BYTES + 64];
  char name[1024];
  (void)snprintf(command, sizeof command, "ls '%s'", scratch_path(&here, "quarantine"));
  FILE *list = popen(command, "re");
  ck_assert_ptr_nonnull(list);
  while (fgets(name, sizeof name, list) != NULL) {
    size_t kept_bytes = 0;
    name[strcspn(name, "\n")] = '\0';
    struct stat st;
    const char *path = scratch_path(&here, "quarantine/%s", name);
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
      continue;
    char *kept = scratch_read_file(path, &kept_bytes);
    found += kept_bytes == count && memcmp(kept, bytes, count) == 0;
    free(kept);
  }
  (void)pclose(list);
  return found;
}

static inline int help_run(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#endif
