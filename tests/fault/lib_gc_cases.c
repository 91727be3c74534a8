/* The cases in which a gc, or a writer, is stopped. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <holdfast/baseline.h>

#include "lib_gc.h"
#include "lib_table.h"

#include "plant.h"
#include "sys.h"

enum { BLOB_BYTES = 70000, OLD_S = 100000, TILES = 3 };

/* ---- stopped ---- */

/* Whatever has not been touched for long seems to be old: a file's ctime cannot be set back. */
static int old_fstatat(int dirfd, const char *name, struct stat *st, int flags) {
  int result = fstatat(dirfd, name, st, flags);
  if (result == 0)
    st->st_ctim = st->st_mtim;
  return result;
}

static void seem_old(void) {
  static hf_sys_table table;
  table = hf_sys_real;
  table.fstatat = old_fstatat;
  hf_sys = &table;
}

static const char blob_run[] = "blob";

_Noreturn void gc_run_sleeper(const char *store_path, uint64_t keep) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_path(gc_path, store_path, ".");
  hf_store *store = fault_open(store_path);
  if (keep == 0)
    (void)gc_save_document(store, blob_run, 7, BLOB_BYTES, &saved);
  else {
    seem_old();
    fault_must(gc_collect(store, keep, NULL, &error), &error, "hf_gc");
  }
  hf_close(&store);
  exit(0);
}

static pid_t start_sleeper(const char *where, const char *keep) {
  int status = 0;
  pid_t pid = gc_start();
  if (pid == 0) {
    char self[] = "/proc/self/exe";
    char option[] = "--sleeper";
    char keep_option[] = "--keep";
    char number[16];
    (void)snprintf(number, sizeof number, "%s", keep);
    char *arguments[] = {self, option, gc_path, keep_option, number, NULL};
    (void)setenv("HF_PAUSE", where, 1);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a check that fails meanwhile leaves nobody stopped */
    (void)execv(self, arguments);
    fault_fail("cannot start the sleeper: %s", strerror(errno));
  }
  FAULT_CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status),
              "the sleeper was not stopped: 0x%x", (unsigned)status);
  return pid;
}

static void wake(pid_t pid) {
  int ended = 0;
  (void)kill(pid, SIGCONT);
  FAULT_CHECK(waitpid(pid, &ended, 0) == pid && ended == 0, "the sleeper ended with 0x%x",
              (unsigned)ended);
}

static uint64_t save(hf_store *store) {
  uint64_t number = 0;
  return gc_save(store, &number);
}

static hf_store *fill(uint64_t records) {
  hf_store *store = fault_open(gc_path);
  for (uint64_t i = 0; i < records; i++)
    (void)save(store);
  return store;
}

/* A snapshot becomes a baseline while a gc is stopped that planned to drop it, and keeps those. */
static void judged_baseline(void) {
  hf_error error = HF_ERROR_INIT;
  hf_baseline *made = NULL;
  fault_context("judged, baseline");
  gc_make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  pid_t pid = start_sleeper("gc-planned:1", "1");
  int got = hf_baseline_set(store, 1, NULL, &made, &error);
  fault_must(got, &error, "hf_baseline_set");
  hf_baseline_free(&made);
  wake(pid);
  gc_must_get(store, 1, 0, GC_BYTES);
  hf_close(&store);
  fault_verify(gc_path);
}

static void judged(void) {
  hf_error error = HF_ERROR_INIT;
  hf_retire_options hide = {.reason = "test", .timeout_ms = 60000};
  hf_retire_options show = {.undo = 1, .timeout_ms = 60000};
  gc_make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  fault_must(hf_retire(store, NULL, HF_TILE_RECORDS, &hide, NULL, &error), &error, "hf_retire");
  pid_t pid = start_sleeper("gc-planned:1", "1");
  fault_must(hf_retire(store, NULL, HF_TILE_RECORDS, &show, NULL, &error), &error, "hf_retire");
  wake(pid);
  gc_must_get(store, HF_TILE_RECORDS, HF_TILE_RECORDS - 1, GC_BYTES);
  hf_close(&store);
  fault_verify(gc_path);
  judged_baseline();
  (void)printf("gc judged: what was shown again, or made a baseline, meanwhile stays\n");
}

static void dedupe(void) {
  hf_saved saved;
  gc_make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  pid_t pid = start_sleeper("gc-dropped:1", "1");
  uint64_t seq = gc_save_document(store, "run 0", 0, GC_BYTES, &saved);
  FAULT_CHECK(saved.created && seq > HF_TILE_RECORDS, "it was answered as seq %llu",
              (unsigned long long)seq);
  wake(pid);
  gc_must_get(store, seq, 0, GC_BYTES);
  hf_close(&store);
  fault_verify(gc_path);
  (void)printf("gc dedupe: saved again as seq %llu\n", (unsigned long long)seq);
}

/* ---- meanwhile ---- */

/* A gc comes when a tile is opened for the first time by who has read the log already. */
static hf_store *meanwhile_other;

static int openat_behind_a_gc(int dirfd, const char *name, int flags, mode_t mode) {
  hf_store *other = meanwhile_other;
  hf_gc_report report;
  if (other != NULL && strstr(name, ".jsonl") != NULL) {
    meanwhile_other = NULL;
    gc_must_collect(other, 1, &report);
    FAULT_CHECK(report.documents > 0 && report.tiles > 0, "nothing was dropped");
  }
  return openat(dirfd, name, flags, mode);
}

/* A store with a large document, packed, that a gc comes to where *ret_store looks next. */
static void begin_meanwhile(hf_store **ret_store) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  uint64_t packed = 0;
  gc_make_store("none", "publish");
  hf_store *other = fault_open(gc_path);
  (void)gc_save_document(other, "first of all", 7, BLOB_BYTES, &saved);
  for (uint64_t i = 0; i < HF_TILE_RECORDS + GC_GROUPS; i++)
    (void)save(other);
  fault_must(fault_pack(other, &packed, &error), &error, "hf_pack");
  *ret_store = fault_open(gc_path);
  meanwhile_other = other;
}

/* What is gone says so, whether the log did when it was read or not. */
static void meanwhile(void) {
  static hf_sys_table table;
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  hf_record *record = NULL;
  hf_cursor *cursor = NULL;
  hf_list_options all = {.with_documents = 1, .all_revisions = 1};
  table = hf_sys_real;
  table.openat = openat_behind_a_gc;
  hf_sys = &table;
  begin_meanwhile(&store);
  hf_store *other = meanwhile_other;
  int got = hf_get_seq(store, 2, &record, &error);
  FAULT_CHECK(got == HF_EDROPPED, "get: %s %s", hf_status_name(got), error.message);
  hf_close(&other);
  hf_close(&store);
  begin_meanwhile(&store);
  other = meanwhile_other;
  fault_must(hf_list(store, &all, &cursor, &error), &error, "hf_list");
  while ((got = hf_cursor_next(cursor, &record, &error)) == 1) {
    FAULT_CHECK((record->doc == NULL) == (record->dropped != 0),
                "list: seq %llu is %sthere, by %llu", (unsigned long long)record->seq,
                record->doc == NULL ? "not " : "", (unsigned long long)record->dropped);
    hf_record_free(&record);
  }
  FAULT_CHECK(got == 0, "list: %s %s", hf_status_name(got), error.message);
  hf_cursor_close(&cursor);
  hf_close(&other);
  hf_close(&store);
  hf_sys = &hf_sys_real;
  fault_verify(gc_path);
  (void)printf("gc meanwhile: what was dropped meanwhile is told\n");
}

/* Every record, by a handle that was open before. */
static void look_at_all(hf_store *store, const char *which, uint64_t keep) {
  uint64_t records = TILES * HF_TILE_RECORDS;
  fault_context("moved, %s", which);
  for (uint64_t seq = 1; seq <= records; seq++) {
    hf_error error = HF_ERROR_INIT;
    int got = gc_get(store, seq, seq - 1, GC_BYTES, &error);
    int kept = seq > records + 1 - keep * GC_GROUPS;
    FAULT_CHECK(got == (kept ? 1 : HF_EDROPPED), "seq %llu: %s %s", (unsigned long long)seq,
                hf_status_name(got), error.message);
  }
  fault_log log;
  fault_log_read(store, &log);
  fault_log_free(&log);
}

static void moved_in(const char *mode, int shared_too) {
  enum { KEEP_LAST = HF_TILE_RECORDS / 2 };
  hf_gc_report report;
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  gc_make_store("flock", mode);
  hf_store *in_memory = fault_open(gc_path); /* has read the records before they were packed */
  hf_store *store = fill(TILES * HF_TILE_RECORDS + 1);
  fault_log log;
  fault_log_read(in_memory, &log);
  fault_log_free(&log);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  hf_store *by_index = fault_open(gc_path);
  if (shared_too) {
    fault_make_shared(by_index);
    fault_make_shared(in_memory);
  }
  fault_log_read(by_index, &log);
  fault_log_free(&log);
  hf_store *other = fault_open(gc_path);
  gc_must_collect(other, KEEP_LAST, &report);
  FAULT_CHECK(report.documents > 0, "nothing was dropped");
  look_at_all(by_index, "by an index", KEEP_LAST);
  look_at_all(in_memory, "in memory", KEEP_LAST);
  look_at_all(store, "that packed", KEEP_LAST);
  look_at_all(other, "that ran gc", KEEP_LAST);
  hf_close(&by_index);
  hf_close(&in_memory);
  hf_close(&store);
  hf_close(&other);
  fault_verify(gc_path);
}

static void moved(void) {
  moved_in("publish", 0);
  if (!hf_test_shared())
    moved_in("journal", 0);
  moved_in("publish", 1);
  (void)printf("gc moved: every record was found again\n");
}

/* The older one comes to its rename last. */
static void slept(void) {
  hf_gc_report report;
  hf_error error = HF_ERROR_INIT;
  gc_make_store("none", "publish");
  hf_store *store = fill(2 * HF_TILE_RECORDS);
  pid_t pid = start_sleeper("gc-staged:1", HF_TILE_RECORDS > 100 ? "64" : "1");
  gc_must_collect(store, 1, &report);
  FAULT_CHECK(report.documents > 0, "nothing was dropped");
  wake(pid);
  for (uint64_t seq = 1; seq <= HF_TILE_RECORDS; seq++)
    FAULT_CHECK(gc_get(store, seq, seq - 1, GC_BYTES, &error) == HF_EDROPPED, "seq %llu came back",
                (unsigned long long)seq);
  fault_verify(gc_path);
  gc_must_collect(store, 1, &report);
  hf_close(&store);
  fault_verify(gc_path);
  (void)printf("gc slept: nothing came back\n");
}

/* As Linux's NFS client renames over a tile that is open: first that one goes away. Then the host
 * loses power. */
static void rename_by_halves(void *context, fault_call *call) {
  (void)context;
  if (call->kind != FAULT_RENAME || strstr(call->to_name, ".jsonl") == NULL)
    return;
  (void)renameat(call->to_fd, call->to_name, call->to_fd, "000/.nfs0001");
  (void)kill(getpid(), SIGKILL);
}

static const fault_hooks by_halves = {.before = rename_by_halves};

static int has_tile(void) {
  char path[FAULT_PATH_BYTES];
  fault_path(path, gc_path, "tile/000/0.jsonl");
  return access(path, F_OK) == 0;
}

/* Only a process on a shared filesystem keeps a tile; who looks at its disk elsewhere finds it. */
static void absent(void) {
  hf_gc_report report;
  gc_make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  hf_close(&store);
  pid_t pid = gc_start();
  if (pid == 0) {
    store = fault_open(gc_path);
    fault_make_shared(store);
    fault_table_install(&by_halves);
    (void)gc_collect(store, 1, &report, NULL);
    _exit(0);
  }
  int status = 0;
  FAULT_CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && !has_tile(),
              "the tile was not renamed by halves");
  for (unsigned repairs = 0; repairs < 2; repairs++) {
    store = fault_open(gc_path);
    for (uint64_t seq = 1; seq <= HF_TILE_RECORDS; seq++) {
      hf_error error = HF_ERROR_INIT;
      int got = gc_get(store, seq, seq - 1, GC_BYTES, &error);
      FAULT_CHECK(got == 1 || got == HF_EDROPPED, "seq %llu: %s %s", (unsigned long long)seq,
                  hf_status_name(got), error.message);
    }
    hf_close(&store);
    fault_verify(gc_path); /* who only looks changes nothing */
    FAULT_CHECK(has_tile() == (repairs > 0), "the tile is %sthere", has_tile() ? "" : "not ");
    store = fault_open(gc_path);
    gc_must_collect(store, 1, &report); /* reads it, as a writer */
    hf_close(&store);
    FAULT_CHECK(has_tile(), "the tile was not put back");
  }
  fault_verify(gc_path);
  (void)printf("gc absent: a tile that lost its name was read, and put back\n");
}

static void told(void) {
  hf_gc_report report;
  gc_make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  gc_must_collect(store, 1, &report);
  FAULT_CHECK(report.tiles > 0, "no tile was written anew");
  hf_close(&store);
  fault_verify(gc_path);
  (void)printf("gc told: a record for each tile\n");
}

/* Hashes have one bit: what is retired, dropped or kept must not be taken for another. */
static void collide(void) {
  hf_error error = HF_ERROR_INIT;
  hf_retire_options hide = {.reason = "test", .timeout_ms = 60000};
  hf_gc_report report;
  uint64_t records = 2 * HF_TILE_RECORDS;
  hf_test_hash_bits = 1;
  gc_make_store("none", "publish");
  hf_store *store = fill(records);
  fault_must(hf_retire(store, NULL, records, &hide, NULL, &error), &error, "hf_retire");
  gc_must_collect(store, 1, &report);
  FAULT_CHECK(report.documents == records - GC_GROUPS, "%llu documents were dropped",
              (unsigned long long)report.documents);
  hf_store *handles[] = {store, fault_open(gc_path)};
  for (unsigned i = 0; i < 2; i++) {
    for (uint64_t seq = 1; seq <= records; seq++) {
      /* the retired one is none of the last */
      int kept = seq < records && seq >= records - GC_GROUPS;
      int got = gc_get(handles[i], seq, seq - 1, GC_BYTES, &error);
      FAULT_CHECK(got == (kept ? 1 : HF_EDROPPED), "seq %llu: %s", (unsigned long long)seq,
                  hf_status_name(got));
    }
    hf_close(&handles[i]);
  }
  fault_verify(gc_path);
  hf_test_hash_bits = 64;
  (void)printf("gc collide: each was told from the others\n");
}

/* ---- blobs ---- */

/* Makes every blob seem old to who looks by mtime. */
static void age_blobs(void) {
  char command[FAULT_PATH_BYTES + 64];
  (void)snprintf(command, sizeof command, "find '%.400s/blob' -type f -exec touch -d @%lld {} +",
                 gc_path, (long long)(time(NULL) - OLD_S));
  FAULT_CHECK(system(command) == 0, "cannot set times back"); /* NOLINT: a gc_path of our own */
}

/* A blob whose only snapshot is dropped. */
static hf_store *fill_with_blob(void) {
  hf_gc_report report;
  hf_saved saved;
  gc_make_store("none", "publish");
  hf_store *store = fault_open(gc_path);
  (void)gc_save_document(store, "first of all", 7, BLOB_BYTES, &saved);
  for (uint64_t i = 0; i < HF_TILE_RECORDS + GC_GROUPS; i++)
    (void)save(store);
  gc_must_collect(store, 1, &report);
  FAULT_CHECK(report.documents > 0 && report.blobs == 0 && report.blobs_young == 1,
              "%llu documents were dropped, %llu blobs are young",
              (unsigned long long)report.documents, (unsigned long long)report.blobs_young);
  age_blobs();
  return store;
}

static void must_have_blob(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_key key = {.run_id = blob_run, .stage = "gc"};
  int got = hf_get(store, &key, 0, &record, &error);
  FAULT_CHECK(got == 1, "the record is there, and its blob is not: %s %s", hf_status_name(got),
              error.message);
  hf_record_free(&record);
  hf_close(&store);
  fault_verify(gc_path);
}

static void blob(void) {
  hf_store *store = fill_with_blob();
  pid_t collector = start_sleeper("gc-blobs:1", "1");
  pid_t writer = start_sleeper("after-link:1", "0");
  (void)kill(writer, SIGKILL);
  (void)waitpid(writer, NULL, 0);
  wake(collector);
  must_have_blob(store);
  (void)printf("gc blob: it was put back\n");
}

static void aside(void) {
  hf_saved saved;
  hf_store *store = fill_with_blob();
  pid_t collector = start_sleeper("gc-aside:1", "1");
  (void)gc_save_document(store, blob_run, 7, BLOB_BYTES, &saved);
  wake(collector);
  must_have_blob(store);
  store = fill_with_blob(); /* and where nobody wants it, it goes */
  pid_t pid = start_sleeper("gc-aside:1", "1");
  wake(pid);
  char command[FAULT_PATH_BYTES + 64];
  (void)snprintf(command, sizeof command, "test -z \"$(find '%.400s/blob' -type f)\"", gc_path);
  FAULT_CHECK(system(command) == 0, "an unused blob is left"); /* NOLINT: a gc_path of our own */
  hf_close(&store);
  fault_verify(gc_path);
  (void)printf("gc aside: it is there where it is wanted, and gone where not\n");
}

const gc_case gc_cases[] = {{"judged", judged},       {"dedupe", dedupe}, {"moved", moved},
                            {"slept", slept},         {"told", told},     {"collide", collide},
                            {"absent", absent},       {"blob", blob},     {"aside", aside},
                            {"meanwhile", meanwhile}, {NULL, NULL}};
