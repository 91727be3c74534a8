/* Was the answer honest? */
#include "lib_sweep_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store.h"
#include "tile.h"

/* ---- an index to import ---- */

void sweep_index_path(char path[FAULT_PATH_BYTES]) {
  fault_path(path, fault_folder_in_memory(), "snapshot_index.json");
}

void sweep_make_index(void) {
  char path[FAULT_PATH_BYTES];
  sweep_index_path(path);
  FILE *file = fopen(path, "w");
  FAULT_CHECK(file != NULL, "cannot write %s", path);
  (void)fprintf(file, "{");
  for (int i = 1; i <= SWEEP_INDEX_ENTRIES; i++)
    (void)fprintf(
        file,
        "%s\"old_%d:import\":{\"run_id\":\"old_%d\",\"stage\":\"import\",\"snapshot_seq\":%d,"
        "\"timestamp\":\"2025-01-0%dT00:00:00\",\"metrics\":{\"x\":%s}}",
        i > 1 ? "," : "", i, i, i, i, i == 3 ? "NaN" : "0.10");
  (void)fprintf(file, "}\n");
  FAULT_CHECK(fclose(file) == 0, "cannot write %s", path);
}

/* ---- saves ---- */

static void check_save(const sweep_save *save, const fault_log *log, const char *when) {
  const fault_record *record = NULL;
  size_t count =
      fault_log_count_document(log, save->document.stored, save->document.stored_bytes, &record);
  if (save->status == HF_OK) {
    FAULT_CHECK(count == 1, "%s answered HF_OK, and %s it is there %zu times", save->run_id, when,
                count);
    FAULT_CHECK(record->seq == save->saved.seq && strcmp(record->id, save->saved.id) == 0,
                "%s answered seq %llu, id %s; %s it is seq %llu, id %s", save->run_id,
                (unsigned long long)save->saved.seq, save->saved.id, when,
                (unsigned long long)record->seq, record->id);
  } else if (save->status != HF_EUNSURE)
    FAULT_CHECK(count == 0, "%s answered %s, and %s it is there, as seq %llu", save->run_id,
                hf_status_name(save->status), when, (unsigned long long)record->seq);
  else
    FAULT_CHECK(count <= 1, "%s is there %zu times", save->run_id, count);
}

static void check_all(const sweep_case *one, hf_store *store, const char *when) {
  fault_log log;
  fault_log_read(store, &log);
  for (size_t i = 0; i < one->saves_count; i++)
    check_save(&one->saves[i], &log, when);
  fault_log_free(&log);
}

/* An answer that was unsure becomes one that is not. */
static void settle(sweep_save *save, hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  if (save->status != HF_EUNSURE)
    return;
  FAULT_CHECK(strlen(save->saved.id) == HF_ID_CHARS, "HF_EUNSURE without the attempt's id");
  int got = hf_resolve(store, save->saved.id, 2000, &seq, &error);
  fault_must(got, &error, "hf_resolve");
  save->status = got == 1 ? HF_OK : HF_EENDED;
  save->saved.seq = seq;
}

enum { FURTHER_NUMBER = 41, FURTHER_BYTES = 30 };

static void save_further(sweep_case *one, hf_store *store, unsigned number) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  char run_id[32];
  (void)snprintf(run_id, sizeof run_id, "further_%u", number);
  fault_must(sweep_save_one(one, store, run_id, FURTHER_NUMBER + number, FURTHER_BYTES, NULL,
                            &saved, &error),
             &error, "a further save");
  one->further[number] = saved.seq;
}

/* The handle and another one go on, in either order; the store stays right. */
void sweep_go_on(sweep_case *one) {
  hf_store *other = sweep_open(one);
  if (one->store != NULL)
    save_further(one, one->store, 0);
  save_further(one, other, 1);
  for (size_t i = 0; i < one->saves_count; i++)
    settle(&one->saves[i], i % 2 == 0 || one->store == NULL ? other : one->store);
  save_further(one, other, 2);
  uint64_t packed = 0;
  if (HF_TILE_RECORDS < 256) /* a record that is still damaged stays where it is */
    (void)fault_pack(other, &packed, NULL);
  hf_close(&other);
  hf_close(&one->store);
}

static void check_further(const sweep_case *one, const fault_log *log) {
  for (unsigned i = 0; i < SWEEP_FURTHER_MAX; i++) {
    const fault_record *record = NULL;
    fault_document document;
    if (one->further[i] == 0)
      continue;
    fault_document_make(FURTHER_NUMBER + i, FURTHER_BYTES, &document);
    size_t count = fault_log_count_document(log, document.stored, document.stored_bytes, &record);
    FAULT_CHECK(count == 1 && record->seq == one->further[i],
                "further save %u answered seq %llu, and it is there %zu times, at seq %llu", i,
                (unsigned long long)one->further[i], count,
                (unsigned long long)(record != NULL ? record->seq : 0));
    fault_document_free(&document);
  }
}

void sweep_check_end(sweep_case *one) {
  fault_log log;
  hf_store *store = sweep_open(one);
  fault_log_read(store, &log);
  hf_close(&store);
  for (size_t i = 0; i < one->saves_count; i++)
    check_save(&one->saves[i], &log, "after further saves");
  check_further(one, &log);
  for (size_t i = 0; i < log.count; i++)
    FAULT_CHECK(
        strcmp(log.records[i].op, "save") == 0 || strcmp(log.records[i].op, "end") == 0 ||
            strcmp(log.records[i].op, "mode") == 0 || strcmp(log.records[i].op, "baseline") == 0 ||
            strcmp(log.records[i].op, "drop") == 0 || strcmp(log.records[i].op, "retire") == 0,
        "seq %zu is of op %s", i + 1, log.records[i].op);
  fault_log_free(&log);
  fault_verify(one->path);
}

void sweep_check_saves(sweep_case *one, int status, const hf_error *error) {
  FAULT_CHECK(status != HF_EUNSURE || strlen(error->id) == HF_ID_CHARS,
              "HF_EUNSURE without an id in the error");
  FAULT_CHECK(status != HF_EDAMAGED && status != HF_EINTERNAL, "%s: %s: %s", hf_status_name(status),
              error->place, error->message);
  hf_store *other = sweep_open(one);
  check_all(one, other, "at once");
  hf_close(&other);
  sweep_go_on(one);
  sweep_check_end(one);
}

/* ---- others ---- */

void sweep_check_init(sweep_case *one, int status, const hf_error *error) {
  hf_error again = HF_ERROR_INIT;
  hf_init_options options = {.locker = "flock", .force = 1, .mode = sweep_mode_of_new(one)};
  (void)error;
  int second = hf_init(one->path, &options, NULL, &again);
  if (status == HF_OK)
    FAULT_CHECK(second == HF_EEXIST, "a store was made, and a second init answers %s",
                hf_status_name(second));
  else if (second != HF_EEXIST)
    fault_must(second, &again, "a second hf_init");
  sweep_go_on(one);
  sweep_check_end(one);
}

void sweep_check_works(sweep_case *one, int status, const hf_error *error) {
  FAULT_CHECK(status != HF_EDAMAGED && status != HF_ENOTSTORE, "%s: %s", hf_status_name(status),
              error->message);
  if (one->mode == SWEEP_SHARED && one->store != NULL)
    fault_make_shared(one->store);
  sweep_go_on(one);
  sweep_check_end(one);
}

/* A repair that says that it has repaired all leaves a store that works; another one leaves a store
 * that a second repair repairs. Intact records stay where they are, whatever happened. */
void sweep_check_repaired(sweep_case *one, int status, const hf_error *error) {
  hf_error again = HF_ERROR_INIT;
  hf_verify_options options = {.deep = 1, .repair = 1, .timeout_ms = 2000};
  hf_verify_report report;
  (void)status, (void)error;
  if (!one->got)
    fault_must(hf_verify(one->path, &options, &report, &again), &again, "a second repair");
  sweep_go_on(one);
  fault_verify(one->path);
  hf_store *store = sweep_open(one);
  uint64_t head = 0;
  fault_must(hf_head(store, &head, &again), &again, "hf_head");
  FAULT_CHECK(head == SWEEP_DAMAGED_HEAD + 2, "the head is %llu", (unsigned long long)head);
  for (uint64_t seq = 1; seq <= head; seq++) {
    hf_record *record = NULL;
    int got = hf_get_seq(store, seq, &record, &again);
    FAULT_CHECK(seq == SWEEP_DAMAGED_SEQ ? got == HF_EDAMAGED : got == 1,
                "get of seq %llu answered %d", (unsigned long long)seq, got);
    FAULT_CHECK(seq != SWEEP_DAMAGED_HEAD || strcmp(record->id, SWEEP_ID_KNOWN) == 0,
                "seq %llu is another record now", (unsigned long long)seq);
    hf_record_free(&record);
  }
  hf_close(&store);
}

/* Changed: everybody sees it. An error: not changed, now and later. */
void sweep_check_locker(sweep_case *one, int status, const hf_error *error) {
  hf_error again = HF_ERROR_INIT;
  hf_locker_choice choice;
  FAULT_CHECK(status != 0, "it was flock, and locker set none answers that it is none already");
  sweep_go_on(one);
  hf_store *store = sweep_open(one);
  fault_must(hf_get_locker(store, &choice, &again), &again, "hf_get_locker");
  if (status == HF_EUNSURE) {
    uint64_t seq = 0;
    int found = hf_resolve(store, error->id, 2000, &seq, &again);
    FAULT_CHECK(found == (choice.seq != 0), "resolve answered %d, and the locker is %s", found,
                choice.scheme);
  } else
    FAULT_CHECK(status == 1 ? strcmp(choice.scheme, "none") == 0 && choice.seq == one->seq
                            : choice.seq == 0,
                "locker set answered %d (seq %llu), and the locker is %s since seq %llu", status,
                (unsigned long long)one->seq, choice.scheme, (unsigned long long)choice.seq);
  hf_close(&store);
  sweep_check_end(one);
}

/* Something that is there was looked for: found, or an error; never "there is none", never
 * "damaged". */
void sweep_check_found(sweep_case *one, int status, const hf_error *error) {
  FAULT_CHECK(status != HF_EDAMAGED && status != HF_ENOTFOUND, "%s: %s", hf_status_name(status),
              error->message);
  if (status >= 0) {
    hf_store *store = sweep_open(one);
    fault_log log;
    fault_log_read(store, &log);
    /* what stands beyond the mark of a shared filesystem cannot be seen yet */
    int is_hidden = one->mode == SWEEP_SHARED && strcmp(one->op->template, "beyond") == 0;
    FAULT_CHECK(one->got == 1 || (is_hidden && strcmp(one->op->name, "get") == 0),
                "it answered %d, and it is there", one->got);
    FAULT_CHECK(one->got != 1 || (one->seq >= 1 && one->seq <= log.count),
                "it answered seq %llu of %zu", (unsigned long long)one->seq, log.count);
    fault_log_free(&log);
    hf_close(&store);
  }
  sweep_go_on(one);
  sweep_check_end(one);
}

void sweep_check_resolve(sweep_case *one, int status, const hf_error *error) {
  int is_known = strcmp(one->op->name, "resolve, saved") == 0;
  const char *id = is_known                                       ? SWEEP_ID_KNOWN
                   : strcmp(one->op->name, "resolve, ended") == 0 ? SWEEP_ID_ENDED
                                                                  : SWEEP_ID_NEW;
  (void)error;
  FAULT_CHECK(status < 0 || status == is_known, "resolve of %s answered %d", id, status);
  sweep_go_on(one);
  hf_store *store = sweep_open(one);
  fault_log log;
  fault_log_read(store, &log);
  const fault_record *record = fault_log_find_id(&log, id);
  FAULT_CHECK((record != NULL) == is_known, "the id %s is %sin the log", id,
              record != NULL ? "" : "not ");
  if (status == 1)
    FAULT_CHECK(record->seq == one->seq, "resolve answered seq %llu, it is %llu",
                (unsigned long long)one->seq, (unsigned long long)record->seq);
  if (status == 0)
    FAULT_CHECK(fault_log_find_end(&log, id) != NULL, "resolve said never, and no record says so");
  fault_log_free(&log);
  hf_close(&store);
  sweep_check_end(one);
}

/* A second import brings what is missing, and nothing twice. */
void sweep_check_import(sweep_case *one, int status, const hf_error *error) {
  char path[FAULT_PATH_BYTES];
  hf_error again = HF_ERROR_INIT;
  hf_import_report report;
  (void)error;
  sweep_index_path(path);
  const char *paths[] = {path};
  hf_import_options options = {.timeout_ms = 2000};
  if (status == HF_OK)
    FAULT_CHECK(one->report.imported == SWEEP_INDEX_ENTRIES, "%llu of %d were imported",
                (unsigned long long)one->report.imported, SWEEP_INDEX_ENTRIES);
  hf_store *other = sweep_open(one);
  fault_must(hf_import(other, paths, 1, &options, &report, &again), &again, "a second import");
  FAULT_CHECK(report.imported + report.present == SWEEP_INDEX_ENTRIES &&
                  (status != HF_OK || report.imported == 0) &&
                  report.present >= one->report.imported,
              "the second import: %llu new, %llu there; the first said %llu new",
              (unsigned long long)report.imported, (unsigned long long)report.present,
              (unsigned long long)one->report.imported);
  int next = 1;
  fault_log log;
  fault_log_read(other, &log);
  for (size_t i = 0; i < log.count; i++) {
    char run_id[32];
    (void)snprintf(run_id, sizeof run_id, "old_%d", next);
    if (!log.records[i].is_save || strcmp(log.records[i].stage, "import") != 0)
      continue;
    FAULT_CHECK(strcmp(log.records[i].run_id, run_id) == 0, "%s was imported where %s was due",
                log.records[i].run_id, run_id);
    next++;
  }
  FAULT_CHECK(next == SWEEP_INDEX_ENTRIES + 1, "%d of %d are there", next - 1, SWEEP_INDEX_ENTRIES);
  fault_log_free(&log);
  hf_close(&other);
  sweep_go_on(one);
  sweep_check_end(one);
}

void sweep_check_pack(sweep_case *one, int status, const hf_error *error) {
  FAULT_CHECK(status != HF_EDAMAGED, "%s", error->message);
  sweep_go_on(one);
  hf_store *store = sweep_open(one);
  hf_error again = HF_ERROR_INIT;
  uint64_t packed = 0;
  fault_must(fault_pack(store, &packed, &again), &again, "a second hf_pack");
  FAULT_CHECK(packed == 0 || status < 0 || one->seq == 0, "the tile was packed twice");
  hf_close(&store);
  sweep_check_end(one);
}

/* Killed in its midst or not: what should stay is there, and another one finishes. */
void sweep_check_gc(sweep_case *one, int status, const hf_error *error) {
  hf_error again = HF_ERROR_INIT;
  FAULT_CHECK(status != HF_EDAMAGED && status != HF_EINTERNAL, "%s: %s: %s", hf_status_name(status),
              error->place, error->message);
  sweep_go_on(one);
  fault_verify(one->path);
  hf_store *store = sweep_open(one);
  fault_must(sweep_gc(store, &again), &again, "a second hf_gc");
  fault_log log;
  fault_log_read(store, &log);
  size_t dropped = 0;
  for (size_t i = 0; i < log.count; i++)
    dropped += (size_t)log.records[i].dropped;
  FAULT_CHECK(dropped > 0, "nothing was dropped");
  fault_log_free(&log);
  hf_close(&store);
  sweep_check_end(one);
}

/* Hidden: nobody is shown it. An error: not hidden, now and later. */
void sweep_check_retire(sweep_case *one, int status, const hf_error *error) {
  hf_error again = HF_ERROR_INIT;
  hf_record *record = NULL;
  uint64_t seq = 0;
  sweep_go_on(one);
  hf_store *store = sweep_open(one);
  int is_hidden = status == HF_OK;
  if (status == HF_EUNSURE) {
    int found = hf_resolve(store, error->id, 2000, &seq, &again);
    fault_must(found, &again, "hf_resolve");
    is_hidden = found;
  }
  hf_key key = {.run_id = one->saves[0].run_id, .stage = "sweep"};
  int got = hf_get(store, &key, 0, &record, &again);
  fault_must(got, &again, "hf_get");
  FAULT_CHECK(got == !is_hidden, "retire answered %s, and get by key %d", hf_status_name(status),
              got);
  hf_record_free(&record);
  hf_close(&store);
  sweep_check_end(one);
}
