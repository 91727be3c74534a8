/* What must hold when all is over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib_storm.h"

storm_shared *storm_all;
storm_options storm_now;

typedef struct check {
  fault_log log;
  uint32_t *counts;    /* by document number: how many records hold it */
  uint64_t *documents; /* by seq: the number of its document */
} check;

static uint64_t document_of(const fault_record *record) {
  const char *value = NULL;
  size_t bytes = 0;
  char text[32] = "";
  FAULT_CHECK(hf_json_pointer(record->doc, record->doc_bytes, "/number", &value, &bytes, NULL) ==
                      1 &&
                  bytes < sizeof text,
              "seq %llu holds a document that nobody saved", (unsigned long long)record->seq);
  memcpy(text, value, bytes);
  return strtoull(text, NULL, 10);
}

static int is_of_pool(uint64_t document) {
  return document >= STORM_SAME_BASE;
}

/* A record is what somebody has begun to save, with the very same document. */
static void check_record(check *all, const fault_record *record) {
  uint64_t number = document_of(record);
  fault_document document;
  all->documents[record->seq] = number;
  if (is_of_pool(number))
    fault_document_make(number, 200, &document);
  else {
    FAULT_CHECK(number < storm_all->ops_max &&
                    atomic_load(&storm_all->ops[number].state) != STORM_NOT_BEGUN,
                "seq %llu holds document %llu, which nobody has begun to save",
                (unsigned long long)record->seq, (unsigned long long)number);
    const storm_op *op = &storm_all->ops[number];
    fault_document_make(number, op->document_bytes, &document);
    FAULT_CHECK(strcmp(op->run_id, record->run_id) == 0, "seq %llu is of %s, and %s was saved",
                (unsigned long long)record->seq, record->run_id, op->run_id);
    FAULT_CHECK(++all->counts[number] == 1, "save %llu stands there twice, again at seq %llu",
                (unsigned long long)number, (unsigned long long)record->seq);
  }
  FAULT_CHECK(document.stored_bytes == record->doc_bytes &&
                  memcmp(document.stored, record->doc, record->doc_bytes) == 0,
              "the document at seq %llu is not what was saved", (unsigned long long)record->seq);
  fault_document_free(&document);
}

static void check_records(check *all) {
  for (size_t i = 0; i < all->log.count; i++) {
    const fault_record *record = &all->log.records[i];
    if (record->is_save)
      check_record(all, record);
    else
      FAULT_CHECK(strcmp(record->op, "end") == 0 ||
                      (storm_now.flips && strcmp(record->op, "mode") == 0),
                  "seq %zu is of op %s", i + 1, record->op);
    uint64_t shown = atomic_load(&storm_all->shown[i + 1]);
    FAULT_CHECK(shown == 0 || shown == (record->line_hash | 1),
                "seq %zu was shown as another record", i + 1);
  }
}

/* The revision of a key before or after a seq, or NULL. */
static const fault_record *revision(const check *all, const char *run_id, uint64_t seq, int step) {
  for (uint64_t at = seq + (uint64_t)(int64_t)step; at >= 1 && at <= all->log.count;
       at += (uint64_t)(int64_t)step) {
    const fault_record *record = &all->log.records[at - 1];
    if (record->is_save && strcmp(record->run_id, run_id) == 0)
      return record;
  }
  return NULL;
}

static void check_ok(const check *all, uint64_t number, const storm_op *op) {
  FAULT_CHECK(op->seq >= 1 && op->seq <= all->log.count,
              "save %llu was acknowledged with seq %llu, the head is %zu: it is lost",
              (unsigned long long)number, (unsigned long long)op->seq, all->log.count);
  const fault_record *record = &all->log.records[op->seq - 1];
  FAULT_CHECK(
      strcmp(record->id, op->id) == 0,
      "save %llu (kind %d) was acknowledged with seq %llu (created %d) and id %s, and %s (%s) "
      "stands there",
      (unsigned long long)number, (int)op->kind, (unsigned long long)op->seq, op->created, op->id,
      record->id, record->is_save ? record->run_id : record->op);
  FAULT_CHECK(record->is_save && all->documents[op->seq] == op->document,
              "save %llu was acknowledged with seq %llu, and another document stands there",
              (unsigned long long)number, (unsigned long long)op->seq);
  const fault_record *before = revision(all, op->run_id, op->seq, -1);
  if (op->created && op->kind == STORM_ABSENT)
    FAULT_CHECK(before == NULL, "save %llu was to be the first of %s, and seq %llu is before it",
                (unsigned long long)number, op->run_id, (unsigned long long)before->seq);
  if (op->created && op->kind == STORM_IF_SEQ)
    FAULT_CHECK((before == NULL ? 0 : before->seq) == op->if_seq,
                "save %llu was to replace seq %llu of %s, and replaced %llu",
                (unsigned long long)number, (unsigned long long)op->if_seq, op->run_id,
                (unsigned long long)(before == NULL ? 0 : before->seq));
}

/* "Nothing new": at some instant of the save the record that was answered was the current one. */
static void check_found(const check *all, uint64_t number, const storm_op *op) {
  const fault_record *next = revision(all, op->run_id, op->seq, 1);
  if (next == NULL || op->given_id[0] != '\0')
    return;
  for (uint64_t i = 0; i < storm_all->ops_max; i++) {
    const storm_op *other = &storm_all->ops[i];
    if (atomic_load(&other->state) == STORM_ANSWERED && other->status == HF_OK &&
        other->seq == next->seq)
      FAULT_CHECK(other->ended_ns >= op->began_ns,
                  "save %llu was answered with seq %llu, though seq %llu of the same key had been "
                  "acknowledged before",
                  (unsigned long long)number, (unsigned long long)op->seq,
                  (unsigned long long)next->seq);
  }
}

static void check_refused(const check *all, uint64_t number, const storm_op *op) {
  if (op->status == HF_EENDED)
    FAULT_CHECK(fault_log_find_id(&all->log, op->given_id) == NULL,
                "save %llu was told that its id is ended, and it stands in the log",
                (unsigned long long)number);
  else if (op->given_id[0] == '\0' && !is_of_pool(op->document))
    FAULT_CHECK(all->counts[op->document] == 0, "save %llu answered %s, and it stands in the log",
                (unsigned long long)number, hf_status_name(op->status));
  if (op->status != HF_ECONFLICT || op->seq == 0)
    return;
  FAULT_CHECK(op->seq <= all->log.count && all->log.records[op->seq - 1].is_save &&
                  strcmp(all->log.records[op->seq - 1].run_id, op->run_id) == 0,
              "save %llu met a conflict with seq %llu, which is of another key",
              (unsigned long long)number, (unsigned long long)op->seq);
}

static void check_answers(check *all, storm_result *result) {
  for (uint64_t i = 0; i < storm_all->ops_max; i++) {
    const storm_op *op = &storm_all->ops[i];
    int state = atomic_load(&op->state);
    if (state == STORM_BEGUN) {
      result->unanswered++;
      result->unanswered_there += !is_of_pool(op->document) && all->counts[op->document] > 0;
    }
    if (state != STORM_ANSWERED)
      continue;
    if (op->status == HF_OK) {
      check_ok(all, i, op);
      if (!op->created)
        check_found(all, i, op);
    } else
      check_refused(all, i, op);
    result->acknowledged += op->status == HF_OK && op->created;
    result->found += op->status == HF_OK && !op->created;
    result->conflicts += op->status == HF_ECONFLICT;
    result->ended += op->status == HF_EENDED;
    result->late += op->status == HF_ELOCK;
  }
}

/* No two saves were told that they had made the same record. */
static void check_once(const check *all) {
  uint64_t *maker = calloc(all->log.count + 1, sizeof *maker);
  FAULT_CHECK(maker != NULL, "out of memory");
  for (uint64_t i = 0; i < storm_all->ops_max; i++) {
    const storm_op *op = &storm_all->ops[i];
    if (atomic_load(&op->state) != STORM_ANSWERED || op->status != HF_OK || !op->created)
      continue;
    FAULT_CHECK(maker[op->seq] == 0,
                "saves %llu and %llu were both told that they had made seq %llu",
                (unsigned long long)(maker[op->seq] - 1), (unsigned long long)i,
                (unsigned long long)op->seq);
    maker[op->seq] = i + 1;
  }
  free(maker);
}

static void check_resolves(const check *all, storm_result *result) {
  for (size_t i = 0; i < STORM_RESOLVES_MAX; i++) {
    const storm_resolve *resolve = &storm_all->resolves[i];
    if (atomic_load(&resolve->state) != STORM_ANSWERED)
      continue;
    const fault_record *record = fault_log_find_id(&all->log, resolve->id);
    FAULT_CHECK((record == NULL ? 0 : record->seq) == resolve->seq,
                "resolve of %s said %llu, and the log says %llu", resolve->id,
                (unsigned long long)resolve->seq,
                (unsigned long long)(record == NULL ? 0 : record->seq));
    result->resolved++;
  }
}

static int compare_began(const void *a, const void *b) {
  const storm_op *x = *(const storm_op *const *)a;
  const storm_op *y = *(const storm_op *const *)b;
  return x->began_ns < y->began_ns ? -1 : x->began_ns > y->began_ns;
}

static int compare_ended(const void *a, const void *b) {
  const storm_op *x = *(const storm_op *const *)a;
  const storm_op *y = *(const storm_op *const *)b;
  return x->ended_ns < y->ended_ns ? -1 : x->ended_ns > y->ended_ns;
}

/* I4: a save that began after another was acknowledged has the higher seq. */
static void check_order(void) {
  size_t count = 0;
  const storm_op **began = calloc(storm_all->ops_max, sizeof *began);
  const storm_op **ended = calloc(storm_all->ops_max, sizeof *ended);
  FAULT_CHECK(began != NULL && ended != NULL, "out of memory");
  for (uint64_t i = 0; i < storm_all->ops_max; i++) {
    const storm_op *op = &storm_all->ops[i];
    if (atomic_load(&op->state) == STORM_ANSWERED && op->status == HF_OK && op->created)
      began[count++] = op;
  }
  memcpy(ended, began, count * sizeof *ended);
  qsort(began, count, sizeof *began, compare_began);
  qsort(ended, count, sizeof *ended, compare_ended);
  uint64_t highest = 0;
  size_t next = 0;
  for (size_t i = 0; i < count; i++) {
    for (; next < count && ended[next]->ended_ns < began[i]->began_ns; next++)
      if (ended[next]->seq > highest)
        highest = ended[next]->seq;
    FAULT_CHECK(began[i]->seq > highest,
                "a save that began after seq %llu was acknowledged got seq %llu",
                (unsigned long long)highest, (unsigned long long)began[i]->seq);
  }
  free(began);
  free(ended);
}

void storm_check(const char *path, storm_result *ret_result) {
  check all;
  memset(&all, 0, sizeof all);
  memset(ret_result, 0, sizeof *ret_result);
  hf_store *store = fault_open(path);
  fault_log_read(store, &all.log);
  hf_close(&store);
  FAULT_CHECK(all.log.count <= storm_all->seqs_max, "there are %zu records", all.log.count);
  all.counts = calloc(storm_all->ops_max + 1, sizeof *all.counts);
  all.documents = calloc(all.log.count + 1, sizeof *all.documents);
  FAULT_CHECK(all.counts != NULL && all.documents != NULL, "out of memory");
  check_records(&all);
  check_answers(&all, ret_result);
  check_once(&all);
  check_resolves(&all, ret_result);
  check_order();
  ret_result->records = all.log.count;
  free(all.counts);
  free(all.documents);
  fault_log_free(&all.log);
  fault_verify(path);
}
