/* What must hold after a power loss, and that the store goes on. */
#include <stdio.h>
#include <string.h>

#include "lib_power.h"

static void check_promise(const power_run *run, size_t position, const power_promise *one,
                          const fault_log *log) {
  fault_document document;
  FAULT_CHECK(one->seq <= log->count,
              "the acknowledged save of %s, seq %llu, is lost: the head is %zu", one->run_id,
              (unsigned long long)one->seq, log->count);
  const fault_record *record = &log->records[one->seq - 1];
  FAULT_CHECK(strcmp(record->id, one->id) == 0, "at the acknowledged seq %llu stands %s, not %s",
              (unsigned long long)one->seq, record->id, one->id);
  if (one->may_go && position >= run->gc_begun && record->dropped)
    return;
  FAULT_CHECK(!one->may_go || run->gc_done == 0 || position < run->gc_done,
              "gc dropped seq %llu, and its document is there again", (unsigned long long)one->seq);
  fault_document_make(one->document, one->document_bytes, &document);
  FAULT_CHECK(record->doc_bytes == document.stored_bytes &&
                  memcmp(record->doc, document.stored, document.stored_bytes) == 0,
              "the acknowledged document at seq %llu is another one", (unsigned long long)one->seq);
  fault_document_free(&document);
}

/* No document stands there more often than it was saved. */
static void check_counts(const power_run *run, size_t position, const fault_log *log) {
  size_t known = 0;
  for (size_t i = 0; i < run->promises_count; i++) {
    const power_promise *one = &run->promises[i];
    size_t may = 0;
    int is_first = 1;
    for (size_t j = 0; j < run->promises_count; j++) {
      const power_promise *other = &run->promises[j];
      if (other->document != one->document)
        continue;
      if (j < i)
        is_first = 0;
      may += other->begun <= position && other->created;
    }
    if (!is_first)
      continue;
    fault_document document;
    fault_document_make(one->document, one->document_bytes, &document);
    size_t count = fault_log_count_document(log, document.stored, document.stored_bytes, NULL);
    FAULT_CHECK(count <= may, "the document of %s stands there %zu times, %zu are right",
                one->run_id, count, may);
    known += count;
    fault_document_free(&document);
  }
  size_t saves = 0;
  for (size_t i = 0; i < log->count; i++)
    saves += log->records[i].is_save && !log->records[i].dropped;
  FAULT_CHECK(known == saves, "%zu records hold documents that nobody saved", saves - known);
}

static void check_kept(const power_run *run, size_t position, const fault_log *log) {
  for (size_t i = 0; i < run->promises_count; i++)
    if (run->promises[i].done <= position)
      check_promise(run, position, &run->promises[i], log);
  for (size_t i = 0; i < run->shown_count; i++) {
    const power_shown *one = &run->shown[i];
    if (one->position > position)
      continue;
    FAULT_CHECK(one->seq <= log->count && log->records[one->seq - 1].line_hash == one->line_hash,
                "seq %llu was shown to a reader, and it is lost or another one",
                (unsigned long long)one->seq);
  }
  for (size_t i = 0; i < run->resolved_count; i++) {
    const power_resolved *one = &run->resolved[i];
    if (one->position > position)
      continue;
    const fault_record *record = fault_log_find_id(log, one->id);
    FAULT_CHECK(one->seq == 0 ? record == NULL && fault_log_find_end(log, one->id) != NULL
                              : record != NULL && record->seq == one->seq,
                "resolve of %s said %llu, and the log says another thing", one->id,
                (unsigned long long)one->seq);
  }
}

static uint64_t save_one(hf_store *store, const char *run_id, const char *id, uint64_t number,
                         size_t bytes) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_document document;
  fault_document_make(number, bytes, &document);
  hf_save_request request = {.key = {.run_id = run_id, .stage = "power"},
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes,
                             .id = id};
  fault_must(hf_save(store, &request, -1, &saved, &error), &error, "a save after the power loss");
  fault_document_free(&document);
  return saved.seq;
}

/* The store goes on: saves whose answer was cut off are tried again with their id, new ones get the
 * next seqs. */
static void go_on(const power_run *run, size_t position, hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  if (run->mode->gc && position >= run->gc_begun) {
    hf_gc_options options = {.keep_last = 8, .timeout_ms = -1}; /* finishes; drops nothing new */
    fault_must(hf_gc(store, &options, NULL, &error), &error, "hf_gc after the power loss");
  }
  for (size_t i = 0; i < run->promises_count; i++) {
    const power_promise *one = &run->promises[i];
    if (one->id_given && one->begun <= position && one->done > position)
      (void)save_one(store, one->run_id, one->id, one->document, one->document_bytes);
  }
  /* On a shared filesystem only what is marked can be seen: the first save meets what nobody was
   * told of. */
  if (run->mode->shared)
    (void)save_one(store, "after_0", NULL, 900, 40);
  fault_must(hf_head(store, &head, &error), &error, "hf_head");
  for (unsigned i = 1; i <= 3; i++) {
    char run_id[32];
    (void)snprintf(run_id, sizeof run_id, "after_%u", i);
    uint64_t seq = save_one(store, run_id, NULL, 900 + i, 40);
    FAULT_CHECK(seq == head + i, "new save %u got seq %llu, the head had been %llu", i,
                (unsigned long long)seq, (unsigned long long)head);
  }
}

/* The power went while the store was being made. */
static void check_init(const power_run *run, const char *path) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {
      .locker = run->mode->locker, .force = 1, .mode = power_mode_of_new(run->mode)};
  int status = hf_init(path, &options, NULL, &error);
  if (status != HF_EEXIST)
    fault_must(status, &error, "a second hf_init");
}

size_t power_check(const power_run *run, size_t position, const char *root) {
  char path[FAULT_PATH_BYTES];
  fault_log log;
  fault_path(path, root, POWER_STORE);
  if (position < run->init_done)
    check_init(run, path);
  fault_verify_as_left(path);
  hf_store *store = power_open(run->mode, root);
  fault_log_read(store, &log);
  check_kept(run, position, &log);
  check_counts(run, position, &log);
  fault_log_free(&log);
  hf_close(&store);
  size_t marks = fault_verify_but_mark(path);

  store = power_open(run->mode, root);
  go_on(run, position, store);
  hf_close(&store);
  store = power_open(run->mode, root);
  fault_log_read(store, &log);
  check_kept(run, position, &log);
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(path);
  return marks;
}
