/* See lib_power_work.h. */
#include "lib_power_work.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib_disk.h"

#include "file.h"
#include "part.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

power_workload power_work;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* for run->promises_count */

hf_store *power_open(const power_mode *mode, const char *root) {
  char path[FAULT_PATH_BYTES];
  fault_path(path, root, POWER_STORE);
  hf_store *store = fault_open(path);
  if (mode->shared)
    fault_make_shared(store);
  if (mode->rename)
    store->rename_mode = 1;
  return store;
}

power_promise *power_promise_new(const char *run_id, uint64_t document, size_t bytes) {
  (void)pthread_mutex_lock(&mutex);
  FAULT_CHECK(power_work.run->promises_count < POWER_PROMISES_MAX, "too many saves");
  power_promise *one = &power_work.run->promises[power_work.run->promises_count++];
  (void)pthread_mutex_unlock(&mutex);
  memset(one, 0, sizeof *one);
  one->begun = disk_position();
  one->done = POWER_NEVER;
  one->document = document;
  one->document_bytes = bytes;
  (void)snprintf(one->run_id, sizeof one->run_id, "%s", run_id);
  return one;
}

void power_promise_keep(power_promise *one, const hf_saved *saved) {
  one->seq = saved->seq;
  one->created = saved->created;
  memcpy(one->id, saved->id, sizeof one->id);
  one->done = disk_position();
}

/* gc keeps the last one of each group: here of each run. */
static const char *group_of(const power_promise *one) {
  return power_work.run->mode->gc ? one->run_id : NULL;
}

hf_save_request power_request(const power_promise *one, fault_document *ret_document) {
  fault_document_make(one->document, one->document_bytes, ret_document);
  return (hf_save_request){.key = {.run_id = one->run_id, .stage = "power"},
                           .doc = ret_document->sent,
                           .doc_bytes = ret_document->sent_bytes,
                           .group = group_of(one),
                           .id = one->id_given ? one->id : NULL};
}

void power_save_promise(hf_store *store, power_promise *one) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_document document;
  hf_save_request request = power_request(one, &document);
  fault_must(hf_save(store, &request, -1, &saved, &error), &error, "hf_save");
  power_promise_keep(one, &saved);
  fault_document_free(&document);
}

void power_save(hf_store *store, const char *run_id, uint64_t document, size_t bytes) {
  power_save_promise(store, power_promise_new(run_id, document, bytes));
}

const char *power_numbered(char text[32], const char *prefix, unsigned number) {
  (void)snprintf(text, 32, "%s_%u", prefix, number);
  return text;
}

void power_save_batch(hf_store *store, unsigned count) {
  FAULT_CHECK(count <= POWER_BATCH_MAX, "a batch of %u", count);
  static hf_save_request requests[POWER_BATCH_MAX];
  static hf_saved results[POWER_BATCH_MAX];
  power_promise *promises[POWER_BATCH_MAX];
  static fault_document documents[POWER_BATCH_MAX];
  hf_error error = HF_ERROR_INIT;
  char run_id[32];
  for (unsigned i = 0; i < count; i++) {
    promises[i] = power_promise_new(power_numbered(run_id, "batch", i), 2000 + i, 100);
    requests[i] = power_request(promises[i], &documents[i]);
  }
  fault_must(hf_save_batch(store, requests, count, -1, results, &error), &error, "hf_save_batch");
  for (unsigned i = 0; i < count; i++) {
    power_promise_keep(promises[i], &results[i]);
    fault_document_free(&documents[i]);
  }
}

/* A reader looks at the last records. */
void power_look(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  fault_must(hf_head(power_work.reader, &head, &error), &error, "hf_head");
  for (uint64_t seq = head > 2 ? head - 2 : 1; seq <= head; seq++) {
    hf_record *record = NULL;
    fault_must(hf_get_seq(power_work.reader, seq, &record, &error), &error, "hf_get_seq");
    FAULT_CHECK(power_work.run->shown_count < POWER_SHOWN_MAX, "too much was shown");
    power_shown *one = &power_work.run->shown[power_work.run->shown_count++];
    one->seq = seq;
    one->line_hash = fault_hash(record->line, record->line_bytes);
    one->position = disk_position();
    hf_record_free(&record);
  }
}

void power_resolve(const char *id) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  int got = hf_resolve(power_work.second, id, -1, &seq, &error);
  fault_must(got, &error, "hf_resolve");
  power_resolved *one = &power_work.run->resolved[power_work.run->resolved_count++];
  (void)snprintf(one->id, sizeof one->id, "%s", id);
  one->seq = got == 1 ? seq : 0;
  one->position = disk_position();
}

/* The record is shown, so it must stay; the manifest is replaced as a whole, or not. */
void power_change_locker(hf_store *store, const char *scheme, const char *mode) {
  hf_set_locker_options options = {.timeout_ms = -1, .mode = mode};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  int changed = hf_set_locker(store, scheme, &options, &seq, &error);
  fault_must(changed, &error, "hf_set_locker");
  FAULT_CHECK(changed == 1, "the locker was %s already", scheme);
  power_look();
}

/* A tile's part, as its maker leaves it who is ended before its name is durable. */
void power_make_part(const hf_store *store, uint64_t tile, const hf_buf *text) {
  char name[HF_TILE_NAME_BYTES];
  char staged[HF_ID_CHARS + 1];
  hf_error error = HF_ERROR_INIT;
  hf_autofd int folder_fd = -1;
  fault_must(hf_make_id(staged, &error), &error, "hf_make_id");
  fault_must(hf_file_create(store->stage_fd, staged, text->used > 0 ? text->data : "", text->used,
                            text->used > 0, &error),
             &error, "hf_file_create");
  fault_must(hf_dir_make(store->tile_fd, "000", &folder_fd, NULL, &error), &error, "hf_dir_make");
  hf_part_name(tile, name);
  FAULT_CHECK(hf_sys_link(store->stage_fd, staged, store->tile_fd, name) == 0 &&
                  hf_sys_unlink(store->stage_fd, staged, 0) == 0,
              "the part cannot be made: %s", strerror(errno));
}
