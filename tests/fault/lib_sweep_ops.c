/* The operations. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib_sweep_check.h"

#include "store.h"
#include "tile.h"

static void prepare_open(sweep_case *one) {
  one->store = sweep_open(one);
}

/* A handle that has saved before: folders and locker are open. */
static void prepare_warm(sweep_case *one) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  one->store = sweep_open(one);
  fault_must(sweep_save_one(one, one->store, "warm", 20, 50, NULL, &saved, &error), &error,
             "a save");
}

static sweep_save *add_save(sweep_case *one, const char *run_id, uint64_t number, size_t bytes) {
  sweep_save *save = &one->saves[one->saves_count++];
  (void)snprintf(save->run_id, sizeof save->run_id, "%s", run_id);
  fault_document_make(number, bytes, &save->document);
  save->status = HF_EINTERNAL;
  return save;
}

static int save_it(sweep_case *one, sweep_save *save, hf_condition condition, const char *id,
                   hf_error *reterr) {
  hf_save_request request = {.key = {.run_id = save->run_id, .stage = "sweep"},
                             .doc = save->document.sent,
                             .doc_bytes = save->document.sent_bytes,
                             .condition = condition,
                             .id = id};
  save->status = hf_save(one->store, &request, 2000, &save->saved, reterr);
  return save->status;
}

/* Documents are made before the fault is armed: prepare adds them, run saves them. */
static void prepare_save(sweep_case *one) {
  prepare_open(one);
  (void)add_save(one, "new", 30, 200);
}

static void prepare_save_warm(sweep_case *one) {
  prepare_warm(one);
  (void)add_save(one, "new", 30, 200);
}

static void prepare_blob(sweep_case *one) {
  prepare_warm(one);
  (void)add_save(one, "new", 31, 70000);
}

static void prepare_batch(sweep_case *one) {
  prepare_warm(one);
  (void)add_save(one, "new_1", 32, 100);
  (void)add_save(one, "new_2", 33, 70000);
  (void)add_save(one, "new_3", 34, 100);
}

static int run_save(sweep_case *one, hf_error *reterr) {
  return save_it(one, &one->saves[0], HF_ALWAYS, NULL, reterr);
}

static int run_save_absent(sweep_case *one, hf_error *reterr) {
  return save_it(one, &one->saves[0], HF_IF_ABSENT, NULL, reterr);
}

static int run_save_id(sweep_case *one, hf_error *reterr) {
  return save_it(one, &one->saves[0], HF_ALWAYS, SWEEP_ID_NEW, reterr);
}

static int run_batch(sweep_case *one, hf_error *reterr) {
  hf_save_request requests[SWEEP_SAVES_MAX];
  hf_saved results[SWEEP_SAVES_MAX];
  memset(requests, 0, sizeof requests);
  for (size_t i = 0; i < one->saves_count; i++) {
    requests[i].key = (hf_key){.run_id = one->saves[i].run_id, .stage = "sweep"};
    requests[i].doc = one->saves[i].document.sent;
    requests[i].doc_bytes = one->saves[i].document.sent_bytes;
  }
  int status = hf_save_batch(one->store, requests, one->saves_count, 2000, results, reterr);
  for (size_t i = 0; i < one->saves_count; i++) {
    one->saves[i].saved = results[i];
    one->saves[i].status = results[i].status;
  }
  return status;
}

/* What is there already: a retry of a known id, or the same document again. */
static void prepare_again(sweep_case *one) {
  prepare_open(one);
  fault_document_make(4, 100, &one->again);
}

static int save_again(sweep_case *one, const char *id, hf_error *reterr) {
  hf_save_request request = {.key = {.run_id = "base_id", .stage = "sweep"},
                             .doc = one->again.sent,
                             .doc_bytes = one->again.sent_bytes,
                             .id = id};
  hf_saved saved = {0};
  int status = hf_save(one->store, &request, 2000, &saved, reterr);
  one->seq = saved.seq;
  one->got = status == HF_OK && !saved.created;
  return status;
}

static int run_retry(sweep_case *one, hf_error *reterr) {
  return save_again(one, SWEEP_ID_KNOWN, reterr);
}

static int run_same(sweep_case *one, hf_error *reterr) {
  return save_again(one, NULL, reterr);
}

static int run_init(sweep_case *one, hf_error *reterr) {
  hf_init_options options = {.locker = "flock", .force = 1, .mode = sweep_mode_of_new(one)};
  return hf_init(one->path, &options, NULL, reterr);
}

static int run_open(sweep_case *one, hf_error *reterr) {
  return hf_open(one->path, NULL, &one->store, reterr);
}

static int take(sweep_case *one, int got, hf_record **record) {
  one->got = got;
  if (got == 1)
    one->seq = (*record)->seq;
  hf_record_free(record);
  return got;
}

static int run_get(sweep_case *one, hf_error *reterr) {
  hf_key key = {.run_id = "base_id", .stage = "sweep"};
  hf_record *record = NULL;
  return take(one, hf_get(one->store, &key, 0, &record, reterr), &record);
}

static int run_get_blob(sweep_case *one, hf_error *reterr) {
  hf_key key = {.run_id = "base_blob", .stage = "sweep"};
  hf_record *record = NULL;
  int got = hf_get(one->store, &key, 0, &record, reterr);
  FAULT_CHECK(got != 1 || record->doc_bytes > 70000, "a blob came back cut short");
  return take(one, got, &record);
}

static int run_prev(sweep_case *one, hf_error *reterr) {
  hf_record *record = NULL;
  return take(one, hf_prev_seq(one->store, 5, &record, reterr), &record);
}

/* got: 1 where all records came. */
static int run_list(sweep_case *one, hf_error *reterr) {
  hf_list_options options = {.all_records = 1, .with_documents = 1};
  hf_cursor *cursor = NULL;
  int status = hf_list(one->store, &options, &cursor, reterr);
  while (status == HF_OK) {
    hf_record *record = NULL;
    int got = hf_cursor_next(cursor, &record, reterr);
    if (got < 0)
      status = got;
    if (got != 1)
      break;
    one->seq = record->seq;
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  one->got = status == HF_OK;
  return status;
}

static int run_resolve_new(sweep_case *one, hf_error *reterr) {
  one->got = hf_resolve(one->store, SWEEP_ID_NEW, 2000, &one->seq, reterr);
  return one->got;
}

static int run_resolve_known(sweep_case *one, hf_error *reterr) {
  one->got = hf_resolve(one->store, SWEEP_ID_KNOWN, 2000, &one->seq, reterr);
  return one->got;
}

static int run_resolve_ended(sweep_case *one, hf_error *reterr) {
  one->got = hf_resolve(one->store, SWEEP_ID_ENDED, 2000, &one->seq, reterr);
  return one->got;
}

static int run_import(sweep_case *one, hf_error *reterr) {
  char path[FAULT_PATH_BYTES];
  sweep_index_path(path);
  const char *paths[] = {path};
  hf_import_options options = {.timeout_ms = 2000};
  return hf_import(one->store, paths, 1, &options, &one->report, reterr);
}

static int run_repair(sweep_case *one, hf_error *reterr) {
  hf_verify_options options = {.deep = 1, .repair = 1, .timeout_ms = 2000};
  hf_verify_report report;
  int status = hf_verify(one->path, &options, &report, reterr);
  one->got = status == HF_OK && report.damaged == report.repaired;
  return status;
}

static int run_set_locker(sweep_case *one, hf_error *reterr) {
  hf_set_locker_options options = {.timeout_ms = 2000};
  one->got = hf_set_locker(one->store, "none", &options, &one->seq, reterr);
  return one->got;
}

int sweep_pack(sweep_case *one, hf_error *reterr) {
  return fault_pack(one->store, &one->seq, reterr);
}

static void prepare_peers(sweep_case *one) {
  prepare_warm(one);
  sweep_prepare_peers(one);
}

static void prepare_baseline(sweep_case *one) {
  prepare_warm(one);
  sweep_prepare_baseline(one);
}

/* One more, that is kept. */
static void prepare_keep(sweep_case *one) {
  hf_error error = HF_ERROR_INIT;
  prepare_open(one);
  fault_must(save_it(one, add_save(one, "new", 30, 200), HF_ALWAYS, NULL, &error), &error,
             "a save");
}

int sweep_gc(hf_store *store, hf_error *reterr) {
  hf_gc_options options = {.keep_last = HF_TILE_RECORDS < 256 ? 1 : 8, .timeout_ms = 2000};
  return hf_gc(store, &options, NULL, reterr);
}

static int run_gc(sweep_case *one, hf_error *reterr) {
  return sweep_gc(one->store, reterr);
}

static int run_retire(sweep_case *one, hf_error *reterr) {
  hf_retire_options options = {.reason = "sweep", .timeout_ms = 2000};
  return hf_retire(one->store, NULL, one->saves[0].saved.seq, &options, NULL, reterr);
}

const sweep_op sweep_ops[] = {
    {"init", NULL, 0, 1, NULL, run_init, sweep_check_init},
    {"open", "base", 0, 0, NULL, run_open, sweep_check_works},
    {"save, first of a handle", "base", 0, 1, prepare_save, run_save, sweep_check_saves},
    {"save", "base", 0, 1, prepare_save_warm, run_save, sweep_check_saves},
    {"save if absent, behind an unmarked record", "beyond", 0, 1, prepare_save, run_save_absent,
     sweep_check_saves},
    {"save with a blob", "base", 0, 1, prepare_blob, run_save, sweep_check_saves},
    {"batch", "base", 0, 1, prepare_batch, run_batch, sweep_check_saves},
    {"batch where tables grow", "growing", 1, 1, prepare_batch, run_batch, sweep_check_saves},
    {"save --id", "base", 0, 1, prepare_save_warm, run_save_id, sweep_check_saves},
    {"save --id, a retry", "beyond", 0, 0, prepare_again, run_retry, sweep_check_found},
    {"save, nothing new", "beyond", 0, 0, prepare_again, run_same, sweep_check_found},
    {"get", "beyond", 0, 0, prepare_open, run_get, sweep_check_found},
    {"get a blob", "blob", 0, 0, prepare_open, run_get_blob, sweep_check_found},
    {"prev", "base", 0, 0, prepare_open, run_prev, sweep_check_found},
    {"list", "base", 0, 0, prepare_open, run_list, sweep_check_found},
    {"resolve, nobody's", "base", 0, 1, prepare_open, run_resolve_new, sweep_check_resolve},
    {"resolve, saved", "beyond", 0, 0, prepare_open, run_resolve_known, sweep_check_resolve},
    {"resolve, ended", "base", 0, 0, prepare_open, run_resolve_ended, sweep_check_resolve},
    {"locker set", "base", 0, 1, prepare_open, run_set_locker, sweep_check_locker},
    {"baseline establish", "base", 0, 1, prepare_peers, sweep_run_establish, sweep_check_baseline},
    {"baseline establish, there is one", "base", 0, 0, prepare_baseline, sweep_run_establish_again,
     sweep_check_found},
    {"baseline get", "base", 0, 0, prepare_baseline, sweep_run_get_baseline, sweep_check_found},
    {"baseline check", "base", 0, 0, prepare_baseline, sweep_run_check_baseline, sweep_check_found},
    {"import", "base", 0, 1, prepare_open, run_import, sweep_check_import},
    {"verify --repair", "base", 0, 1, NULL, run_repair, sweep_check_works},
    {"verify --repair of a damaged store", "damaged", 0, 1, NULL, run_repair, sweep_check_repaired},
    {"pack", "long", 1, 1, prepare_open, sweep_pack, sweep_check_pack},
    {"gc", "long", 1, 1, prepare_keep, run_gc, sweep_check_gc},
    {"retire", "base", 0, 1, prepare_keep, run_retire, sweep_check_retire},
    {"pack behind a killed packer", "left", 0, 1, prepare_open, sweep_pack, sweep_check_pack},
};
const size_t sweep_ops_count = sizeof sweep_ops / sizeof sweep_ops[0];
