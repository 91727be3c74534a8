#include "lib_sweep.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_sweep_check.h"

#include "store.h"

const char *const sweep_mode_names[SWEEP_MODES] = {"local", "shared", "rename", "journal"};

sweep_mode sweep_mode_option(int argc, char **argv) {
  const char *name = fault_option_text(argc, argv, "--mode", NULL);
  for (int mode = 0; mode < SWEEP_MODES; mode++)
    if (name != NULL && strcmp(name, sweep_mode_names[mode]) == 0)
      return (sweep_mode)mode;
  FAULT_CHECK(name == NULL, "there is no mode %s", name);
  return SWEEP_MODES;
}

int sweep_is_for(const sweep_op *op, sweep_mode mode) {
  if (mode == SWEEP_JOURNAL && op->check == sweep_check_locker)
    return 0; /* it asks for the record that chose the locker */
  if (mode == SWEEP_JOURNAL && op->template == NULL)
    return 1; /* init */
  return (mode != SWEEP_RENAME && mode != SWEEP_JOURNAL) || (op->changes && op->prepare != NULL);
}

static hf_store *open_case(const sweep_case *one) {
  hf_store *store = fault_open(one->path);
  if (one->mode == SWEEP_SHARED)
    fault_make_shared(store);
  if (one->mode == SWEEP_RENAME)
    store->rename_mode = 1;
  return store;
}

hf_store *sweep_open(const sweep_case *one) {
  return open_case(one);
}

int sweep_save_one(sweep_case *one, hf_store *store, const char *run_id, uint64_t number,
                   size_t bytes, const char *id, hf_saved *ret_saved, hf_error *reterr) {
  (void)one;
  fault_document document;
  fault_document_make(number, bytes, &document);
  hf_save_request request = {.key = {.run_id = run_id, .stage = "sweep"},
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes,
                             .id = id};
  int status = hf_save(store, &request, 2000, ret_saved, reterr);
  fault_document_free(&document);
  return status;
}

/* ---- templates ---- */

static void must_save(hf_store *store, const char *run_id, uint64_t number, size_t bytes,
                      const char *id) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(sweep_save_one(NULL, store, run_id, number, bytes, id, &saved, &error), &error,
             "a save into the template");
}

static void save_many(hf_store *store, const char *run_id, size_t count) {
  static hf_save_request requests[HF_TILE_RECORDS];
  static hf_saved results[HF_TILE_RECORDS];
  static char run_ids[HF_TILE_RECORDS][64];
  hf_error error = HF_ERROR_INIT;
  fault_document document;
  fault_document_make(10, 10, &document);
  memset(requests, 0, sizeof requests);
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(run_ids[i], sizeof run_ids[i], "%.30s_%zu", run_id, i);
    requests[i].key = (hf_key){.run_id = run_ids[i], .stage = "sweep"};
    requests[i].doc = document.sent;
    requests[i].doc_bytes = document.sent_bytes;
  }
  fault_must(hf_save_batch(store, requests, count, -1, results, &error), &error, "a batch");
  fault_document_free(&document);
}

static void make_base(const char *path, int with_blob) {
  uint64_t seq = 0;
  hf_error error = HF_ERROR_INIT;
  fault_init(path, "flock");
  hf_store *store = fault_open(path);
  must_save(store, "base_1", 1, 100, NULL);
  must_save(store, "base_2", 2, 100, NULL);
  save_many(store, "batch", 3);
  if (with_blob)
    must_save(store, "base_blob", 3, 70000, NULL);
  fault_must(hf_resolve(store, SWEEP_ID_ENDED, -1, &seq, &error), &error, "hf_resolve");
  must_save(store, "base_id", 4, 100, SWEEP_ID_KNOWN);
  hf_close(&store);
}

/* The last record's writer died before it marked it. */
static void cut_mark(const char *path) {
  char mark[FAULT_PATH_BYTES];
  struct stat st;
  fault_path(mark, path, "log/mark");
  FAULT_CHECK(stat(mark, &st) == 0 && truncate(mark, st.st_size - 1) == 0, "no mark to cut");
}

static void make_long(const char *path) {
  fault_init(path, "flock");
  hf_store *store = fault_open(path);
  must_save(store, "base_1", 1, 100, NULL);
  save_many(store, "long", HF_TILE_RECORDS - 1);
  must_save(store, "base_2", 2, 100, NULL);
  hf_close(&store);
}

/* A packer was killed while it freed names. */
static void make_left(const char *path) {
  hf_error error = HF_ERROR_INIT;
  char log[FAULT_PATH_BYTES];
  char kept[FAULT_PATH_BYTES];
  uint64_t packed = 0;
  make_long(path);
  fault_path(log, path, "log/00000000000000000001.json");
  fault_path(kept, path, "kept.json");
  FAULT_CHECK(link(log, kept) == 0, "cannot keep a loose file");
  hf_store *store = fault_open(path);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  hf_close(&store);
  FAULT_CHECK(packed == 1 && rename(kept, log) == 0, "cannot put a loose file back");
}

/* A batch of new keys comes to where tables of the view grow. */
static void make_growing(const char *path) {
  fault_init(path, "flock");
  hf_store *store = fault_open(path);
  save_many(store, "first", HF_TILE_RECORDS);
  save_many(store, "first", HF_TILE_RECORDS); /* nothing new */
  save_many(store, "second", HF_TILE_RECORDS - 2);
  /* a key less than records: they grow in the midst of a file */
  must_save(store, "first_0", 5, 10, NULL);
  hf_close(&store);
}

/* A bit of record 2 is flipped, and the mark is cut. */
static void make_damaged(const char *path) {
  char file[FAULT_PATH_BYTES];
  make_base(path, 1);
  fault_path(file, path, "log/00000000000000000002.json");
  int fd = open(file, O_RDWR | O_CLOEXEC);
  char byte = 0;
  FAULT_CHECK(fd >= 0 && pread(fd, &byte, 1, 300) == 1, "no record to damage");
  byte ^= 1;
  FAULT_CHECK(pwrite(fd, &byte, 1, 300) == 1 && close(fd) == 0, "cannot damage a record");
  cut_mark(path);
}

void sweep_make_templates(void) {
  char path[FAULT_PATH_BYTES];
  fault_path(path, fault_folder_in_memory(), "base");
  make_base(path, 0);
  fault_path(path, fault_folder_in_memory(), "blob");
  make_base(path, 1);
  fault_path(path, fault_folder_in_memory(), "beyond");
  make_base(path, 0);
  cut_mark(path);
  fault_path(path, fault_folder_in_memory(), "damaged");
  make_damaged(path);
  fault_path(path, fault_folder_in_memory(), "long");
  make_long(path);
  fault_path(path, fault_folder_in_memory(), "left");
  make_left(path);
  fault_path(path, fault_folder_in_memory(), "growing");
  make_growing(path);
  sweep_make_index();
}

/* ---- one run ---- */

static void count_outcome(sweep_counts *counts, int status) {
  counts->runs++;
  if (status >= 0)
    counts->ok++;
  else if (status == HF_EUNSURE)
    counts->unsure++;
  else
    counts->errors++;
}

const char *sweep_mode_of_new(const sweep_case *one) {
  return one->mode == SWEEP_JOURNAL ? "journal" : "publish";
}

static void make_case(sweep_case *one, const sweep_op *op, sweep_mode mode) {
  char name[64];
  char template[FAULT_PATH_BYTES];
  memset(one, 0, sizeof *one);
  one->op = op;
  one->mode = mode;
  (void)snprintf(name, sizeof name, "case.%d", (int)getpid());
  fault_path(one->path, fault_folder_in_memory(), name);
  if (op->template == NULL)
    return;
  fault_path(template, fault_folder_in_memory(), op->template);
  fault_copy_tree(template, one->path);
  if (mode == SWEEP_JOURNAL)
    fault_set_journal(one->path);
}

/* Where tiles are small, packing is at work all the time. */
static void pack_small(const sweep_case *one) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  hf_store *store = sweep_open(one);
  int is_damaged = strcmp(one->op->template, "damaged") == 0;
  int is_to_pack = one->op->run == sweep_pack;
  if (!is_to_pack) {
    int status = fault_pack(store, &packed, &error);
    FAULT_CHECK(status == (is_damaged ? HF_EDAMAGED : HF_OK), "hf_pack before it: %s: %s",
                hf_status_name(status), error.message);
  }
  hf_close(&store);
}

int sweep_run(const sweep_op *op, sweep_mode mode, const sweep_faults *faults,
              sweep_counts *counts) {
  sweep_case one;
  hf_error error = HF_ERROR_INIT;
  make_case(&one, op, mode);
  int fds = fault_count_fds();
  if (HF_TILE_RECORDS < 256 && op->template != NULL)
    pack_small(&one);
  int fds_packed = fault_count_fds();
  FAULT_CHECK(fds_packed == fds, "packing left %d descriptors", fds_packed - fds);
  if (op->prepare != NULL)
    op->prepare(&one);
  faults->arm(faults->context);
  int status = op->run(&one, &error);
  int fired = faults->disarm(faults->context);
  if (!fired || faults->must_succeed(faults->context))
    fault_must(status, &error, fired ? "it must succeed" : "without a fault");
  op->check(&one, status, &error);
  hf_close(&one.store);
  int left = fault_count_fds();
  FAULT_CHECK(left == fds, "%d descriptors are open, there were %d before", left, fds);
  fault_document_free(&one.again);
  for (size_t i = 0; i < one.saves_count; i++)
    fault_document_free(&one.saves[i].document);
  fault_remove_tree(one.path);
  if (fired)
    count_outcome(counts, status);
  return fired;
}
