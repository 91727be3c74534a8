/* The workload: about 60 saves of every kind, by two handles, four threads and a reader. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <holdfast/baseline.h>

#include "lib_disk.h"
#include "lib_power.h"

#include "file.h"
#include "journal.h"
#include "part.h"
#include "plant.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

enum { THREADS = 4, SAVES_PER_THREAD = 4, BLOB_BYTES = 70000, BATCH_MAX = 252, EDGE_RECORDS = 4 };
enum { BACK_RECORDS = HF_TILE_RECORDS > 32 ? 3 : 1, BACK_BATCH = HF_TILE_RECORDS > 32 ? 8 : 1 };
enum { PACK_TILES = HF_TILE_RECORDS > 6 ? 1 : 2 };

typedef enum hook { HOOK_NONE, HOOK_READ, HOOK_SAVE, HOOK_FLUSH } hook;

static struct {
  power_run *run;
  hf_store *first;
  hf_store *second;
  hf_store *reader;
  hook hook;
} work;

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

static power_promise *promise(const char *run_id, uint64_t document, size_t bytes) {
  (void)pthread_mutex_lock(&mutex);
  FAULT_CHECK(work.run->promises_count < POWER_PROMISES_MAX, "too many saves");
  power_promise *one = &work.run->promises[work.run->promises_count++];
  (void)pthread_mutex_unlock(&mutex);
  memset(one, 0, sizeof *one);
  one->begun = disk_position();
  one->done = POWER_NEVER;
  one->document = document;
  one->document_bytes = bytes;
  (void)snprintf(one->run_id, sizeof one->run_id, "%s", run_id);
  return one;
}

static void keep(power_promise *one, const hf_saved *saved) {
  one->seq = saved->seq;
  one->created = saved->created;
  memcpy(one->id, saved->id, sizeof one->id);
  one->done = disk_position();
}

/* gc keeps the last one of each group: here of each run. */
static const char *group_of(const power_promise *one) {
  return work.run->mode->gc ? one->run_id : NULL;
}

static void save_promise(hf_store *store, power_promise *one) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_document document;
  fault_document_make(one->document, one->document_bytes, &document);
  hf_save_request request = {.key = {.run_id = one->run_id, .stage = "power"},
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes,
                             .group = group_of(one),
                             .id = one->id_given ? one->id : NULL};
  fault_must(hf_save(store, &request, -1, &saved, &error), &error, "hf_save");
  keep(one, &saved);
  fault_document_free(&document);
}

static void save(hf_store *store, const char *run_id, uint64_t document, size_t bytes) {
  save_promise(store, promise(run_id, document, bytes));
}

static const char *numbered(char text[32], const char *prefix, unsigned number) {
  (void)snprintf(text, 32, "%s_%u", prefix, number);
  return text;
}

static void save_batch(hf_store *store, unsigned count) {
  FAULT_CHECK(count <= BATCH_MAX, "a batch of %u", count);
  static hf_save_request requests[BATCH_MAX];
  static hf_saved results[BATCH_MAX];
  static power_promise *promises[BATCH_MAX];
  static fault_document documents[BATCH_MAX];
  hf_error error = HF_ERROR_INIT;
  char run_id[32];
  memset(requests, 0, sizeof requests);
  for (unsigned i = 0; i < count; i++) {
    promises[i] = promise(numbered(run_id, "batch", i), 2000 + i, 100);
    fault_document_make(2000 + i, 100, &documents[i]);
    requests[i].key = (hf_key){.run_id = promises[i]->run_id, .stage = "power"};
    requests[i].group = group_of(promises[i]);
    requests[i].doc = documents[i].sent;
    requests[i].doc_bytes = documents[i].sent_bytes;
  }
  fault_must(hf_save_batch(store, requests, count, -1, results, &error), &error, "hf_save_batch");
  for (unsigned i = 0; i < count; i++) {
    keep(promises[i], &results[i]);
    fault_document_free(&documents[i]);
  }
}

static void *thread_main(void *argument) {
  unsigned thread = *(const unsigned *)argument;
  char run_id[32];
  for (unsigned i = 0; i < SAVES_PER_THREAD; i++)
    save(work.first, numbered(run_id, "thread", thread * 10 + i), 300 + thread * 10 + i, 300);
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

/* A reader looks at the last records. */
static void look(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  fault_must(hf_head(work.reader, &head, &error), &error, "hf_head");
  for (uint64_t seq = head > 2 ? head - 2 : 1; seq <= head; seq++) {
    hf_record *record = NULL;
    fault_must(hf_get_seq(work.reader, seq, &record, &error), &error, "hf_get_seq");
    FAULT_CHECK(work.run->shown_count < POWER_SHOWN_MAX, "too much was shown");
    power_shown *one = &work.run->shown[work.run->shown_count++];
    one->seq = seq;
    one->line_hash = fault_hash(record->line, record->line_bytes);
    one->position = disk_position();
    hf_record_free(&record);
  }
}

static void resolve(const char *id) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  int got = hf_resolve(work.second, id, -1, &seq, &error);
  fault_must(got, &error, "hf_resolve");
  power_resolved *one = &work.run->resolved[work.run->resolved_count++];
  (void)snprintf(one->id, sizeof one->id, "%s", id);
  one->seq = got == 1 ? seq : 0;
  one->position = disk_position();
}

/* Another writer, who waits for his own, makes durable and marks what stands in the part. */
static void flush_by_another(void) {
  hf_error error = HF_ERROR_INIT;
  (void)pthread_mutex_lock(&work.second->view_mutex);
  int got = hf_part_read(work.second, work.second->part.fd, UINT64_MAX, 0, NULL, &error);
  int status = got < 0 ? got : hf_journal_settle(work.second, &error);
  (void)pthread_mutex_unlock(&work.second->view_mutex);
  fault_must(status, &error, "another's flush");
  FAULT_CHECK(got == 1, "another read %d records", got);
}

/* A reader looks, or another writer goes past. */
static void act(hook what) {
  power_promise *one;
  work.hook = HOOK_NONE; /* what it does publishes, too */
  switch (what) {
  case HOOK_NONE:
    return;
  case HOOK_READ:
    look();
    break;
  case HOOK_SAVE: /* with an id: so that a retry after the cut can be tried */
    one = promise("nested", 400 + disk_position(), 200);
    one->id_given = 1;
    fault_must(hf_make_id(one->id, NULL), &(hf_error)HF_ERROR_INIT, "hf_make_id");
    save_promise(work.second, one);
    break;
  case HOOK_FLUSH:
    flush_by_another();
    break;
  }
}

/* Right after a record got its name, or was appended. */
static void after_publish(void *context) {
  (void)context;
  hook what = work.hook;
  if (work.run->mode->journal && what == HOOK_SAVE)
    return; /* the tile is locked: before the flush */
  act(what);
}

/* Journal mode: appended, not yet durable, and the tile is free for others. */
static void before_flush(void *context) {
  (void)context;
  if (work.run->mode->journal && work.hook == HOOK_SAVE)
    act(work.hook);
}

static void save_with_id(void) {
  hf_error error = HF_ERROR_INIT;
  power_promise *one = promise("given", 500, 400);
  one->id_given = 1;
  fault_must(hf_make_id(one->id, &error), &error, "hf_make_id");
  char id[HF_ID_CHARS + 1];
  memcpy(id, one->id, sizeof id);
  save_promise(work.first, one);
  power_promise *again = promise("given", 500, 400);
  again->id_given = 1;
  memcpy(again->id, id, sizeof id);
  save_promise(work.second, again);
  FAULT_CHECK(again->created == 0 && again->seq == one->seq, "a retry made another record");
  resolve(id);
  fault_must(hf_make_id(id, &error), &error, "hf_make_id");
  resolve(id); /* nobody's: ended for ever */
}

/* The record is shown, so it must stay; the manifest is replaced as a whole, or not. */
static void change_locker(hf_store *store, const char *scheme, const char *mode) {
  hf_set_locker_options options = {.timeout_ms = -1, .mode = mode};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  int changed = hf_set_locker(store, scheme, &options, &seq, &error);
  fault_must(changed, &error, "hf_set_locker");
  FAULT_CHECK(changed == 1, "the locker was %s already", scheme);
  look();
}

/* A baseline that was answered is there after each later cut, though nobody has read it since. */
static void choose(hf_store *store, int by_hand) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_baseline *one = NULL;
  uint64_t first = work.run->promises[0].seq;
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
  FAULT_CHECK(work.run->shown_count < POWER_SHOWN_MAX, "too much was shown");
  work.run->shown[work.run->shown_count++] =
      (power_shown){position, one->seq, fault_hash(record->line, record->line_bytes)};
  hf_baseline_free(&one);
  hf_record_free(&record);
}

/* Where tiles are small, packing is at work all the time. */
static void pack_small(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  if (HF_TILE_RECORDS < 256)
    fault_must(fault_pack(work.second, &packed, &error), &error, "hf_pack");
}

static void do_all(int nested) {
  char run_id[32];
  for (unsigned i = 0; i < 10; i++) {
    work.hook = i % 3 == 1 ? HOOK_READ : nested && i % 3 == 2 ? HOOK_SAVE : HOOK_NONE;
    save(work.first, numbered(run_id, "single", i), 100 + i, 50 * i);
    pack_small();
  }
  work.hook = HOOK_NONE;
  save(work.first, "single_1", 120, 80); /* a new revision */
  save(work.first, "single_1", 120, 80); /* nothing new */
  look();
  save_batch(work.first, 8);
  save(work.first, "blob_1", 130, BLOB_BYTES);
  save(work.second, "blob_2", 130, BLOB_BYTES); /* the same content */
  save(work.second, "blob_3", 131, BLOB_BYTES);
  look();
  for (unsigned i = 0; i < 6; i++) {
    save(i % 2 == 0 ? work.first : work.second, numbered(run_id, "pair", i), 140 + i, 100);
    pack_small();
    look();
  }
  save_by_threads();
  pack_small();
  save_with_id();
  choose(work.first, 0);
  choose(work.second, 1);
  int is_none = strcmp(work.run->mode->locker, "none") == 0;
  change_locker(work.second, is_none ? "flock" : "none", NULL);
  save(work.first, "behind", 160, 40); /* its handle follows */
  const char *journal = work.run->mode->journal ? "journal" : NULL;
  change_locker(work.first, is_none ? "none" : "flock", journal);
  if (journal != NULL) { /* and once more within the tile */
    save(work.second, "again", 161, 40);
    change_locker(work.second, "flock", "publish");
    save(work.first, "between", 162, 40);
    change_locker(work.first, "flock", "journal");
  }
  work.hook = HOOK_READ;
  save(work.second, "last", 150, 10);
  look();
}

static void do_pack(void) {
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  for (unsigned i = 0; i < 6; i++)
    save(work.first, numbered(run_id, "single", i), 100 + i, 50);
  save_batch(work.first, PACK_TILES * HF_TILE_RECORDS - 6);
  save(work.second, "behind", 110, 50);
  look();
  work.run->cut_from = disk_position();
  fault_must(fault_pack(work.second, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == PACK_TILES, "%llu tiles were packed", (unsigned long long)packed);
  look();
  save(work.first, "behind", 111, 50);
}

/* Another flushes and marks a tile's last record before the space behind it is cut off; then it is
 * packed. */
static void do_cut(void) {
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  save_batch(work.first, HF_TILE_RECORDS - EDGE_RECORDS);
  for (unsigned i = 0; i < EDGE_RECORDS - 2; i++)
    save(work.first, numbered(run_id, "single", i), 200 + i, 50);
  save(work.second, "another", 100, 50);
  work.run->cut_from = disk_position();
  work.hook = HOOK_FLUSH;
  save(work.first, "last", 101, 50);
  FAULT_CHECK(work.hook == HOOK_NONE, "nobody flushed in between");
  fault_must(fault_pack(work.second, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == 1, "%llu tiles were packed", (unsigned long long)packed);
  look();
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
    save(work.first, numbered(run_id, "single", i), 100 + i, i == 1 ? BLOB_BYTES : 50);
    work.run->promises[i].may_go = 1;
  }
  save_batch(work.first, PACK_TILES * HF_TILE_RECORDS - OLDER);
  work.run->promises[OLDER].may_go = 1;
  for (unsigned i = 0; i < OLDER; i++)
    save(work.second, numbered(run_id, "single", i), 200 + i, 60);
  work.run->cut_from = disk_position();
  fault_must(hf_retire(work.first, NULL, OLDER + 1, &hide, NULL, &error), &error, "hf_retire");
  save(work.first, "behind", 110, 50);
  work.run->gc_begun = disk_position();
  collect(work.second, &documents);
  FAULT_CHECK(documents == OLDER + 1, "%llu documents were dropped", (unsigned long long)documents);
  work.run->gc_done = disk_position();
  look();
  save(work.first, "single_0", 100, 50); /* what was dropped is saved again */
  save(work.first, "behind", 111, 50);
  look();
}

/* A tile's part, as its maker leaves it who is ended before its name is durable. */
static void make_part(const hf_store *store, uint64_t tile, const hf_buf *text) {
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

/* The current tile begins with a loose record, and its part with a copy of it. */
static void do_copies(const char *root) {
  char run_id[32];
  hf_autobuf text = {0};
  hf_error error = HF_ERROR_INIT;
  FAULT_CHECK(
      hf_file_read(work.first->log_fd, "00000000000000000001.json", 1 << 20, &text, &error) == 1,
      "the loose record cannot be read");
  work.run->cut_from = disk_position();
  make_part(work.first, 0, &text);
  hf_close(&work.first);
  work.first = power_open(work.run->mode, root);
  for (unsigned i = 0; i < EDGE_RECORDS; i++)
    save(work.first, numbered(run_id, "copies", i), 100 + i, 50);
  look();
}

/* Journal mode ends and begins again within a tile, whose loose records between, some together in a
 * file, are copied into its part. */
static void do_back(void) {
  char run_id[32];
  for (unsigned i = 0; i < BACK_RECORDS; i++)
    save(work.first, numbered(run_id, "journal", i), 100 + i, 50);
  change_locker(work.first, "flock", "publish");
  save(work.first, "loose", 200, 50);
  save_batch(work.first, BACK_BATCH);
  save(work.second, "behind", 201, 50);
  work.run->cut_from = disk_position();
  change_locker(work.first, "flock", "journal");
  for (unsigned i = 0; i < BACK_RECORDS; i++)
    save(work.second, numbered(run_id, "again", i), 300 + i, 50);
  look();
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
    save_batch(work.second, HF_TILE_RECORDS - EDGE_RECORDS);
    make_part(work.second, 1, &nothing);
  }
  save(work.second, "journal", 100, 50);
  change_locker(work.first, "flock", "publish");
  save(work.first, "loose", 200, 50);
  work.run->cut_from = disk_position();
  disk_record_fail_fsync("/log");
  int changed = hf_set_locker(work.first, "flock", &options, &seq, &error);
  FAULT_CHECK(changed == HF_EUNSURE, "hf_set_locker: %s", hf_status_name(changed));
  for (unsigned i = 0; i < EDGE_RECORDS; i++)
    save(work.second, numbered(run_id, "again", i), 300 + i, 50);
  look();
}

/* Over a tile's edge, with another writer between each append and its flush. */
static void do_edge(void) {
  const hf_buf nothing = {0};
  char run_id[32];
  save_batch(work.first, HF_TILE_RECORDS - EDGE_RECORDS);
  work.run->cut_from = disk_position();
  make_part(work.first, 1, &nothing);
  for (unsigned i = 0; i < 2 * EDGE_RECORDS; i++) {
    work.hook = i % 4 == 3 ? HOOK_READ : HOOK_SAVE;
    save(work.first, numbered(run_id, "edge", i), 100 + i, 50);
  }
  work.hook = HOOK_NONE;
  look();
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
  memset(&work, 0, sizeof work);
  run->mode = mode;
  work.run = run;
  fault_path(path, root, POWER_STORE);
  disk_record_begin(root, after_publish, NULL);
  disk_record_before_flush(before_flush);
  hf_plant planted = hf_planted; /* it is to be caught by what saves do, not by what init does */
  hf_planted = HF_PLANT_NONE;
  fault_must(hf_init(path, &options, NULL, &error), &error, "hf_init");
  hf_planted = planted;
  run->init_done = disk_position();
  work.first = power_open(mode, root);
  work.second = power_open(mode, root);
  work.reader = power_open(mode, root);
  if (mode->journal && mode->edge)
    change_locker(work.first, "flock", "journal");
  if (mode->back)
    do_back();
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
  hf_close(&work.first);
  hf_close(&work.second);
  hf_close(&work.reader);
  disk_record_end();
}
