#include "lib_shared.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "log_rows.h"

enum { SHARED_DOCUMENT_BYTES = 120 };

static fault_hooks hooks;

void shared_hook(void (*before)(void *context, fault_call *call),
                 void (*after)(void *context, fault_call *call), void *context) {
  hooks = (fault_hooks){
      .before = before, .after = after, .context = context, .reentrant = 1, .fast_fsync = 1};
  fault_table_install(&hooks);
}

void shared_unhook(void) {
  shared_hook(NULL, NULL, NULL);
}

int shared_save_try(shared_place *place, hf_store *store, uint64_t number, const char *id,
                    hf_saved *ret_saved, hf_error *reterr) {
  char run_id[32];
  fault_document document;
  (void)snprintf(run_id, sizeof run_id, "run %llu", (unsigned long long)number);
  fault_document_make(number, SHARED_DOCUMENT_BYTES, &document);
  hf_save_request request = {.key = {.run_id = run_id, .stage = "shared"},
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes,
                             .id = id};
  memset(ret_saved, 0, sizeof *ret_saved);
  int status = hf_save(store, &request, 5000, ret_saved, reterr);
  fault_document_free(&document);
  if (status == HF_OK) {
    FAULT_CHECK(place->saves_count < SHARED_SAVES_MAX, "too many saves");
    shared_save *save = &place->saves[place->saves_count++];
    save->number = number;
    save->seq = ret_saved->seq;
    memcpy(save->id, ret_saved->id, sizeof save->id);
  }
  return status;
}

uint64_t shared_save_must(shared_place *place, hf_store *store, uint64_t number) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(shared_save_try(place, store, number, NULL, &saved, &error), &error, "hf_save");
  FAULT_CHECK(saved.created,
              "a new save, number %llu, was answered as one that was there, seq %llu",
              (unsigned long long)number, (unsigned long long)saved.seq);
  return saved.seq;
}

static hf_store *open_one(const shared_place *place) {
  hf_store *store = fault_open(place->path);
  if (place->shared)
    fault_make_shared(store);
  store->link_tells_count = place->tells_count;
  if (place->shared && place->with_rows)
    hf_log_rows_open(store, 0);
  else if (place->shared)
    store->rows_fd = open("/dev/null", O_RDWR | O_CLOEXEC); /* no rows are there, and none come */
  return store;
}

/* Every answered save stands at its seq, and its document nowhere else. */
static void check_saves(const shared_place *place) {
  fault_log log;
  hf_store *store = open_one(place);
  fault_log_read(store, &log);
  for (size_t i = 0; i < place->saves_count; i++) {
    const shared_save *save = &place->saves[i];
    const fault_record *record = NULL;
    fault_document document;
    fault_document_make(save->number, SHARED_DOCUMENT_BYTES, &document);
    size_t count = fault_log_count_document(&log, document.stored, document.stored_bytes, &record);
    FAULT_CHECK(count == 1, "save %llu was answered with seq %llu, and stands there %zu times",
                (unsigned long long)save->number, (unsigned long long)save->seq, count);
    FAULT_CHECK(record->seq == save->seq && strcmp(record->id, save->id) == 0,
                "save %llu was answered with seq %llu, id %s, and stands at seq %llu, id %s",
                (unsigned long long)save->number, (unsigned long long)save->seq, save->id,
                (unsigned long long)record->seq, record->id);
    fault_document_free(&document);
  }
  fault_log_free(&log);
  hf_close(&store);
}

void shared_run(const shared_case *one, int which) {
  static const char *const places[] = {"local", "shared, without rows", "shared", "as NFS"};
  static shared_place place;
  memset(&place, 0, sizeof place);
  place.shared = which != SHARED_AS_LOCAL;
  place.with_rows = which >= SHARED_WITH_ROWS;
  place.tells_count = which == SHARED_AS_NFS;
  fault_context("%s (%s), %s", one->name, one->text, places[which]);
  fault_path(place.path, fault_folder_in_memory(), "store");
  int fds = fault_count_fds();
  shared_unhook();
  fault_init(place.path, "none");
  place.first = open_one(&place);
  place.second = open_one(&place);
  (void)shared_save_must(&place, place.first, 1);
  (void)shared_save_must(&place, place.second, 2);
  one->run(&place);
  shared_unhook();
  check_saves(&place);
  (void)shared_save_must(&place, place.first, 3);
  (void)shared_save_must(&place, place.second, 4);
  hf_close(&place.first);
  hf_close(&place.second);
  check_saves(&place);
  fault_verify(place.path);
  int left = fault_count_fds();
  FAULT_CHECK(left == fds, "%d descriptors are open, there were %d before", left, fds);
  fault_remove_tree(place.path);
  (void)printf("shared %-24s %-20s: %s\n", one->name, places[which], one->text);
  fault_context("%s", "");
}
