/* Reading a whole store back, by the public functions. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib.h"

#include "store.h"
#include "sys.h"

static int lets_pack;

void fault_let_pack(int yes) {
  lets_pack = yes;
}

int fault_pack(hf_store *store, uint64_t *ret_packed, hf_error *reterr) {
  hf_pack_report report = {0};
  int status = hf_pack(store, NULL, &report, reterr);
  *ret_packed = report.packed;
  return status;
}

hf_store *fault_open(const char *path) {
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  fault_must(hf_open(path, NULL, &store, &error), &error, "hf_open");
  store->packs = lets_pack;
  return store;
}

void fault_init(const char *path, const char *locker) {
  fault_init_in(path, locker, "publish");
}

void fault_init_in(const char *path, const char *locker, const char *mode) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {.locker = locker, .force = 1, .mode = mode};
  fault_must(hf_init(path, &options, NULL, &error), &error, "hf_init");
}

void fault_set_journal(const char *path) {
  static const hf_set_locker_options options = {.timeout_ms = -1, .mode = "journal"};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  hf_store *store = fault_open(path);
  fault_must(hf_set_locker(store, "flock", &options, &seq, &error), &error, "journal mode");
  hf_close(&store);
}

void fault_make_shared(hf_store *store) {
  store->shared = 1;
  hf_fd_cleanup(&store->log_mark_fd);
  hf_fd_cleanup(&store->tile_mark_fd);
  hf_fd_cleanup(&store->log_mark_write_fd);
  hf_store_pin_log_mark(store);
}

static char *copy(const char *text, size_t bytes) {
  char *all = malloc(bytes + 1);
  FAULT_CHECK(all != NULL, "out of memory");
  if (bytes > 0)
    memcpy(all, text, bytes);
  all[bytes] = '\0';
  return all;
}

static void take_ends(const hf_record *record, char ends[HF_ID_CHARS + 1]) {
  const char *value = NULL;
  size_t bytes = 0;
  ends[0] = '\0';
  if (hf_json_pointer(record->line, record->line_bytes, "/ends", &value, &bytes, NULL) != 1 ||
      bytes != HF_ID_CHARS + 2)
    return;
  memcpy(ends, value + 1, HF_ID_CHARS);
  ends[HF_ID_CHARS] = '\0';
}

static void take_record(const hf_record *record, fault_record *out) {
  memset(out, 0, sizeof *out);
  out->seq = record->seq;
  out->is_save = strcmp(record->op, "save") == 0;
  (void)snprintf(out->op, sizeof out->op, "%s", record->op);
  (void)snprintf(out->id, sizeof out->id, "%s", record->id);
  if (strcmp(record->op, "end") == 0)
    take_ends(record, out->ends);
  out->line_hash = fault_hash(record->line, record->line_bytes);
  if (!out->is_save)
    return;
  out->run_id = copy(record->run_id, strlen(record->run_id));
  out->stage = copy(record->stage, strlen(record->stage));
  out->doc = copy(record->doc, record->doc_bytes);
  out->doc_bytes = record->doc_bytes;
  out->dropped = record->dropped > 0;
}

static int compare_ids(const void *a, const void *b) {
  return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void check_ids(const fault_log *log) {
  const char **ids = calloc(log->count + 1, sizeof *ids);
  FAULT_CHECK(ids != NULL, "out of memory");
  for (size_t i = 0; i < log->count; i++)
    ids[i] = log->records[i].id;
  qsort(ids, log->count, sizeof *ids, compare_ids);
  for (size_t i = 1; i < log->count; i++)
    FAULT_CHECK(strcmp(ids[i - 1], ids[i]) != 0, "the id %s stands at two seqs", ids[i]);
  free(ids);
}

void fault_log_read(hf_store *store, fault_log *ret_log) {
  hf_error error = HF_ERROR_INIT;
  hf_list_options options = {.all_records = 1, .with_documents = 1};
  hf_cursor *cursor = NULL;
  fault_log log = {0};
  size_t allocated = 0;
  uint64_t head = 0;
  fault_must(hf_head(store, &head, &error), &error, "hf_head");
  fault_must(hf_list(store, &options, &cursor, &error), &error, "hf_list");
  for (;;) {
    hf_record *record = NULL;
    int got = hf_cursor_next(cursor, &record, &error);
    fault_must(got, &error, "reading the records");
    if (got == 0)
      break;
    if (log.count == allocated) {
      allocated = allocated == 0 ? 256 : allocated * 2;
      log.records = realloc(log.records, allocated * sizeof *log.records);
      FAULT_CHECK(log.records != NULL, "out of memory");
    }
    FAULT_CHECK(record->seq == log.count + 1, "seq %llu comes after seq %zu: not dense",
                (unsigned long long)record->seq, log.count);
    take_record(record, &log.records[log.count++]);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  FAULT_CHECK(log.count >= head, "the head is %llu, and %zu records can be read",
              (unsigned long long)head, log.count);
  check_ids(&log);
  *ret_log = log;
}

void fault_log_free(fault_log *log) {
  for (size_t i = 0; i < log->count; i++) {
    free(log->records[i].run_id);
    free(log->records[i].stage);
    free(log->records[i].doc);
  }
  free(log->records);
  memset(log, 0, sizeof *log);
}

const fault_record *fault_log_find_id(const fault_log *log, const char *id) {
  for (size_t i = 0; i < log->count; i++)
    if (strcmp(log->records[i].id, id) == 0)
      return &log->records[i];
  return NULL;
}

const fault_record *fault_log_find_end(const fault_log *log, const char *id) {
  for (size_t i = 0; i < log->count; i++)
    if (strcmp(log->records[i].ends, id) == 0)
      return &log->records[i];
  return NULL;
}

size_t fault_log_count_document(const fault_log *log, const char *doc, size_t doc_bytes,
                                const fault_record **ret_first) {
  size_t count = 0;
  for (size_t i = 0; i < log->count; i++) {
    const fault_record *record = &log->records[i];
    if (!record->is_save || record->doc_bytes != doc_bytes ||
        memcmp(record->doc, doc, doc_bytes) != 0)
      continue;
    if (count++ == 0 && ret_first != NULL)
      *ret_first = record;
  }
  return count;
}

/* ---- verify ---- */

typedef struct findings {
  const char *kind; /* tolerated, or NULL */
  size_t tolerated;
  char first[FAULT_CONTEXT_BYTES];
} findings;

static void note_finding(void *context, const hf_finding *finding) {
  findings *all = context;
  if (!finding->damage)
    return;
  if (all->kind != NULL && strcmp(finding->kind, all->kind) == 0)
    all->tolerated++;
  else if (all->first[0] == '\0')
    (void)snprintf(all->first, sizeof all->first, "%s: seq %llu: %s: %s", finding->kind,
                   (unsigned long long)finding->seq, finding->path != NULL ? finding->path : "",
                   finding->text != NULL ? finding->text : "");
}

static size_t verify(const char *path, const char *kind, int repair) {
  findings all = {.kind = kind};
  hf_error error = HF_ERROR_INIT;
  hf_verify_report report;
  hf_verify_options options = {.deep = 1,
                               .repair = repair,
                               .timeout_ms = -1,
                               .finding = note_finding,
                               .finding_context = &all};
  memset(&report, 0, sizeof report);
  fault_must(hf_verify(path, &options, &report, &error), &error, "hf_verify");
  FAULT_CHECK(report.damaged == all.tolerated, "verify found %llu damaged: %s",
              (unsigned long long)report.damaged, all.first);
  return all.tolerated;
}

void fault_verify(const char *path) {
  (void)verify(path, NULL, 0);
}

void fault_verify_as_left(const char *path) {
  (void)verify(path, "mark", 0);
}

size_t fault_verify_but_mark(const char *path) {
  size_t tolerated = verify(path, "mark", 0);
  if (tolerated > 0) {
    (void)verify(path, "mark", 1);
    (void)verify(path, NULL, 0);
  }
  return tolerated;
}
