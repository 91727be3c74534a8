/* The workload: about 60 saves of every kind, by two handles, four threads and a reader. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <holdfast/baseline.h>

#include "lib_disk.h"
#include "lib_power.h"
#include "lib_power_work.h"

#include "file.h"
#include "journal.h"
#include "part.h"
#include "plant.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

enum { THREADS = 4, SAVES_PER_THREAD = 4, BLOB_BYTES = 70000, EDGE_RECORDS = 4 };
enum { BACK_RECORDS = HF_TILE_RECORDS > 32 ? 3 : 1, BACK_BATCH = HF_TILE_RECORDS > 32 ? 8 : 1 };
enum { PACK_TILES = HF_TILE_RECORDS > 6 ? 1 : 2 };

static void *thread_main(void *argument) {
  unsigned thread = *(const unsigned *)argument;
  char run_id[32];
  for (unsigned i = 0; i < SAVES_PER_THREAD; i++)
    power_save(power_work.first, power_numbered(run_id, "thread", thread * 10 + i),
               300 + thread * 10 + i, 300);
  return NULL;
}

static void save_by_threads(void) {
  pthread_t threads[THREADS];
  unsigned numbers[THREADS];
  for (unsigned i = 0; i < THREADS; i++) {
    numbers[i] = i;
    FAULT_CHECK(pthread_create(&threads[i], NULL, thread_main, &numbers[i]) == 0, "no thread");
  }
  for (unsigned i = 0; i < THREADS; i++)
    (void)pthread_join(threads[i], NULL);
}

/* Another writer, who waits for his own, makes durable and marks what stands in the part. */
static void flush_by_another(void) {
  hf_error error = HF_ERROR_INIT;
  (void)pthread_mutex_lock(&power_work.second->view_mutex);
  int got =
      hf_part_read(power_work.second, power_work.second->part.fd, UINT64_MAX, 0, NULL, &error);
  int status = got < 0 ? got : hf_journal_settle(power_work.second, &error);
  (void)pthread_mutex_unlock(&power_work.second->view_mutex);
  fault_must(status, &error, "another's flush");
  FAULT_CHECK(got == 1, "another read %d records", got);
}

/* A reader looks, or another writer goes past. */
static void act(power_hook what) {
  power_promise *one;
  power_work.hook = HOOK_NONE; /* what it does publishes, too */
  switch (what) {
  case HOOK_NONE:
    return;
  case HOOK_READ:
    power_look();
    break;
  case HOOK_SAVE: /* with an id: so that a retry after the cut can be tried */
    one = power_promise_new("nested", 400 + disk_position(), 200);
    one->id_given = 1;
    fault_must(hf_make_id(one->id, NULL), &(hf_error)HF_ERROR_INIT, "hf_make_id");
    power_save_promise(power_work.second, one);
    break;
  case HOOK_FLUSH:
    flush_by_another();
    break;
  }
}

/* Right after a record got its name, or was appended. */
static void after_publish(void *context) {
  (void)context;
  power_hook what = power_work.hook;
  if (power_work.run->mode->journal && what == HOOK_SAVE)
    return; /* the tile is locked: before the flush */
  act(what);
}

/* Journal mode: appended, not yet durable, and the tile is free for others. */
static void before_flush(void *context) {
  (void)context;
  if (power_work.run->mode->journal && power_work.hook == HOOK_SAVE)
    act(power_work.hook);
}

static void save_with_id(void) {
  hf_error error = HF_ERROR_INIT;
  power_promise *one = power_promise_new("given", 500, 400);
  one->id_given = 1;
  fault_must(hf_make_id(one->id, &error), &error, "hf_make_id");
  char id[HF_ID_CHARS + 1];
  memcpy(id, one->id, sizeof id);
  power_save_promise(power_work.first, one);
  power_promise *again = power_promise_new("given", 500, 400);
  again->id_given = 1;
  memcpy(again->id, id, sizeof id);
  power_save_promise(power_work.second, again);
  FAULT_CHECK(again->created == 0 && again->seq == one->seq, "a retry made another record");
  power_resolve(id);
  fault_must(hf_make_id(id, &error), &error, "hf_make_id");
  power_resolve(id); /* nobody's: ended for ever */
}

/* A baseline that was answered is there after each later cut, though nobody has read it since. */
static void choose(hf_store *store, int by_hand) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_baseline *one = NULL;
  uint64_t first = power_work.run->promises[0].seq;
  fault_must(hf_get_seq(store, first, &record, &error), &error, "hf_get_seq");
  hf_comparable of = {.group = record->group, .stage = record->stage};
  hf_baseline_options options = {
      .metric = "/number", .goal = HF_GOAL_MAX, .min_runs = 2, .timeout_ms = -1};
  int made = by_hand ? hf_baseline_set(store, first, &options, &one, &error)
                     : hf_baseline_establish(store, &of, &options, &one, NULL, &error);
  size_t position = disk_position();
  fault_must(made, &error, "a baseline");
  FAULT_CHECK(made == 1, "there was a baseline already");
  hf_record_free(&record);
  fault_must(hf_get_seq(store, one->seq, &record, &error), &error, "hf_get_seq");
  FAULT_CHECK(power_work.run->shown_count < POWER_SHOWN_MAX, "too much was shown");
  power_work.run->shown[power_work.run->shown_count++] =
      (power_shown){position, one->seq, fault_hash(record->line, record->line_bytes)};
  hf_baseline_free(&one);
  hf_record_free(&record);
}

/* Where tiles are small, packing is at work all the time. */
static void pack_small(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  if (HF_TILE_RECORDS < 256)
    fault_must(fault_pack(power_work.second, &packed, &error), &error, "hf_pack");
}

static void do_all(int nested) {
  char run_id[32];
  for (unsigned i = 0; i < 10; i++) {
    power_work.hook = i % 3 == 1 ? HOOK_READ : nested && i % 3 == 2 ? HOOK_SAVE : HOOK_NONE;
    power_save(power_work.first, power_numbered(run_id, "single", i), 100 + i, 50 * i);
    pack_small();
  }
  power_work.hook = HOOK_NONE;
  power_save(power_work.first, "single_1", 120, 80); /* a new revision */
  power_save(power_work.first, "single_1", 120, 80); /* nothing new */
  power_look();
  power_save_batch(power_work.first, 8);
  power_save(power_work.first, "blob_1", 130, BLOB_BYTES);
  power_save(power_work.second, "blob_2", 130, BLOB_BYTES); /* the same content */
  power_save(power_work.second, "blob_3", 131, BLOB_BYTES);
  power_look();
  for (unsigned i = 0; i < 6; i++) {
    power_save(i % 2 == 0 ? power_work.first : power_work.second, power_numbered(run_id, "pair", i),
               140 + i, 100);
    pack_small();
    power_look();
  }
  save_by_threads();
  pack_small();
  save_with_id();
  choose(power_work.first, 0);
  choose(power_work.second, 1);
  int is_none = strcmp(power_work.run->mode->locker, "none") == 0;
  power_change_locker(power_work.second, is_none ? "flock" : "none", NULL);
  power_save(power_work.first, "behind", 160, 40); /* its handle follows */
  const char *journal = power_work.run->mode->journal ? "journal" : NULL;
  power_change_locker(power_work.first, is_none ? "none" : "flock", journal);
  if (journal != NULL) { /* and once more within the tile */
    power_save(power_work.second, "again", 161, 40);
    power_change_locker(power_work.second, "flock", "publish");
    power_save(power_work.first, "between", 162, 40);
    power_change_locker(power_work.first, "flock", "journal");
  }
  power_work.hook = HOOK_READ;
  power_save(power_work.second, "last", 150, 10);
  power_look();
}

static void do_pack(void) {
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  for (unsigned i = 0; i < 6; i++)
    power_save(power_work.first, power_numbered(run_id, "single", i), 100 + i, 50);
  power_save_batch(power_work.first, PACK_TILES * HF_TILE_RECORDS - 6);
  power_save(power_work.second, "behind", 110, 50);
  power_look();
  power_work.run->cut_from = disk_position();
  fault_must(fault_pack(power_work.second, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == PACK_TILES, "%llu tiles were packed", (unsigned long long)packed);
  power_look();
  power_save(power_work.first, "behind", 111, 50);
}

/* Another flushes and marks a tile's last record before the space behind it is cut off; then it is
 * packed. */
static void do_cut(void) {
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  power_save_batch(power_work.first, HF_TILE_RECORDS - EDGE_RECORDS);
  for (unsigned i = 0; i < EDGE_RECORDS - 2; i++)
    power_save(power_work.first, power_numbered(run_id, "single", i), 200 + i, 50);
  power_save(power_work.second, "another", 100, 50);
  power_work.run->cut_from = disk_position();
  power_work.hook = HOOK_FLUSH;
  power_save(power_work.first, "last", 101, 50);
  FAULT_CHECK(power_work.hook == HOOK_NONE, "nobody flushed in between");
  fault_must(fault_pack(power_work.second, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == 1, "%llu tiles were packed", (unsigned long long)packed);
  power_look();
}

static void collect(hf_store *store, uint64_t *ret_documents) {
  hf_error error = HF_ERROR_INIT;
  hf_gc_options options = {.keep_last = 1, .timeout_ms = -1};
  hf_gc_report report;
  fault_must(hf_gc(store, &options, &report, &error), &error, "hf_gc");
  *ret_documents = report.documents;
}

/* Six snapshots of the first tile, one of them large, are older revisions and go; one more is
 * retired, and goes too. */
static void do_gc(void) {
  enum { OLDER = HF_TILE_RECORDS > 6 ? 6 : 2 };
  char run_id[32];
  uint64_t documents = 0;
  hf_error error = HF_ERROR_INIT;
  hf_retire_options hide = {.reason = "power", .timeout_ms = -1};
  for (unsigned i = 0; i < OLDER; i++) {
    power_save(power_work.first, power_numbered(run_id, "single", i), 100 + i,
               i == 1 ? BLOB_BYTES : 50);
    power_work.run->promises[i].may_go = 1;
  }
  power_save_batch(power_work.first, PACK_TILES * HF_TILE_RECORDS - OLDER);
  power_work.run->promises[OLDER].may_go = 1;
  for (unsigned i = 0; i < OLDER; i++)
    power_save(power_work.second, power_numbered(run_id, "single", i), 200 + i, 60);
  power_work.run->cut_from = disk_position();
  fault_must(hf_retire(power_work.first, NULL, OLDER + 1, &hide, NULL, &error), &error,
             "hf_retire");
  power_save(power_work.first, "behind", 110, 50);
  power_work.run->gc_begun = disk_position();
  collect(power_work.second, &documents);
  FAULT_CHECK(documents == OLDER + 1, "%llu documents were dropped", (unsigned long long)documents);
  power_work.run->gc_done = disk_position();
  power_look();
  power_save(power_work.first, "single_0", 100, 50); /* what was dropped is saved again */
  power_save(power_work.first, "behind", 111, 50);
  power_look();
}

/* The current tile begins with a loose record, and its part with a copy of it. */
static void do_copies(const char *root) {
  char run_id[32];
  hf_autobuf text = {0};
  hf_error error = HF_ERROR_INIT;
  FAULT_CHECK(hf_file_read(power_work.first->log_fd, "00000000000000000001.json", 1 << 20, &text,
                           &error) == 1,
              "the loose record cannot be read");
  power_work.run->cut_from = disk_position();
  power_make_part(power_work.first, 0, &text);
  hf_close(&power_work.first);
  power_work.first = power_open(power_work.run->mode, root);
  for (unsigned i = 0; i < EDGE_RECORDS; i++)
    power_save(power_work.first, power_numbered(run_id, "copies", i), 100 + i, 50);
  power_look();
}

/* Journal mode ends and begins again within a tile, whose loose records between, some together in a
 * file, are copied into its part. */
static void do_back(void) {
  char run_id[32];
  for (unsigned i = 0; i < BACK_RECORDS; i++)
    power_save(power_work.first, power_numbered(run_id, "journal", i), 100 + i, 50);
  power_change_locker(power_work.first, "flock", "publish");
  power_save(power_work.first, "loose", 200, 50);
  power_save_batch(power_work.first, BACK_BATCH);
  power_save(power_work.second, "behind", 201, 50);
  power_work.run->cut_from = disk_position();
  power_change_locker(power_work.first, "flock", "journal");
  for (unsigned i = 0; i < BACK_RECORDS; i++)
    power_save(power_work.second, power_numbered(run_id, "again", i), 300 + i, 50);
  power_look();
}

/* The record by which journal mode begins again has its name, which is not durable, as where its
 * writer was killed just then; and a handle that holds the part open reads it behind the change. */
static void do_left(int is_last_of_tile) {
  const hf_buf nothing = {0};
  static const hf_set_locker_options options = {.timeout_ms = -1, .mode = "journal"};
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  if (is_last_of_tile) {
    power_save_batch(power_work.second, HF_TILE_RECORDS - EDGE_RECORDS);
    power_make_part(power_work.second, 1, &nothing);
  }
  power_save(power_work.second, "journal", 100, 50);
  power_change_locker(power_work.first, "flock", "publish");
  power_save(power_work.first, "loose", 200, 50);
  power_work.run->cut_from = disk_position();
  disk_record_fail_flush(1, "/log");
  int changed = hf_set_locker(power_work.first, "flock", &options, &seq, &error);
  FAULT_CHECK(changed == HF_EUNSURE, "hf_set_locker: %s", hf_status_name(changed));
  for (unsigned i = 0; i < EDGE_RECORDS; i++)
    power_save(power_work.second, power_numbered(run_id, "again", i), 300 + i, 50);
  power_look();
}

/* Journal mode begins again within a tile, and the flush that should keep the copies of its loose
 * records fails. */
static void do_failed(void) {
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_document document;
  power_change_locker(power_work.first, "flock", "publish");
  power_save(power_work.first, "loose", 200, 50);
  power_change_locker(power_work.first, "flock", "journal");
  power_work.run->cut_from = disk_position();
  power_promise *one = power_promise_new("failed", 201, 50);
  hf_save_request request = power_request(one, &document);
  disk_record_fail_flush(1, ".part");
  int status = hf_save(power_work.second, &request, -1, &saved, &error);
  FAULT_CHECK(status == HF_EUNSURE, "hf_save: %s: %s", hf_status_name(status), error.message);
  one->created = 1; /* if it is there */
  fault_document_free(&document);
  for (unsigned i = 0; i < EDGE_RECORDS; i++)
    power_save(power_work.second, power_numbered(run_id, "again", i), 300 + i, 50);
  power_look();
}

/* Over a tile's edge, with another writer between each append and its flush. */
static void do_edge(void) {
  const hf_buf nothing = {0};
  char run_id[32];
  power_save_batch(power_work.first, HF_TILE_RECORDS - EDGE_RECORDS);
  power_work.run->cut_from = disk_position();
  power_make_part(power_work.first, 1, &nothing);
  for (unsigned i = 0; i < 2 * EDGE_RECORDS; i++) {
    power_work.hook = i % 4 == 3 ? HOOK_READ : HOOK_SAVE;
    power_save(power_work.first, power_numbered(run_id, "edge", i), 100 + i, 50);
  }
  power_work.hook = HOOK_NONE;
  power_look();
}

/* In journal mode from the first record on, but for the one that begins with a change. */
const char *power_mode_of_new(const power_mode *mode) {
  return mode->journal && !mode->edge ? "journal" : "publish";
}

void power_record(const power_mode *mode, const char *root, power_run *run) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {.locker = mode->locker, .force = 1, .mode = power_mode_of_new(mode)};
  char path[FAULT_PATH_BYTES];
  memset(run, 0, sizeof *run);
  memset(&power_work, 0, sizeof power_work);
  run->mode = mode;
  power_work.run = run;
  fault_path(path, root, POWER_STORE);
  disk_record_begin(root, after_publish, NULL);
  disk_record_before_flush(before_flush);
  hf_plant planted = hf_planted; /* it is to be caught by what saves do, not by what init does */
  hf_planted = HF_PLANT_NONE;
  fault_must(hf_init(path, &options, NULL, &error), &error, "hf_init");
  hf_planted = planted;
  run->init_done = disk_position();
  power_work.first = power_open(mode, root);
  power_work.second = power_open(mode, root);
  power_work.reader = power_open(mode, root);
  if (mode->journal && mode->edge)
    power_change_locker(power_work.first, "flock", "journal");
  if (mode->back)
    do_back();
  else if (mode->failed)
    do_failed();
  else if (mode->left)
    do_left(mode->left > 1);
  else if (mode->copies)
    do_copies(root);
  else if (mode->edge)
    do_edge();
  else if (mode->cut)
    do_cut();
  else if (mode->gc)
    do_gc();
  else if (mode->pack)
    do_pack();
  else
    do_all(strcmp(mode->locker, "none") == 0 || mode->journal);
  hf_close(&power_work.first);
  hf_close(&power_work.second);
  hf_close(&power_work.reader);
  disk_record_end();
}
