/* gc and retire, and everything that may happen to who runs them and to who saves and reads
 * meanwhile:
 *
 *     gc [--case NAME] [--seed N]
 *
 *   killed    gcs are killed by SIGKILL again and again, at random instants and at each of their
 *             steps, while others save, retire, read and verify
 *   judged    a snapshot is shown again while a gc that planned to drop it is stopped: it stays
 *   dedupe    a dropped document is saved again before its tile is written anew: it is there after
 *   moved     handles that were open before a tile was written anew find every record
 *   slept     a gc that slept renames an older tile over a newer one: nothing comes back
 *   told      each document that is gone has a record that says so
 *   blob      a writer takes a blob that gc has looked at, and is killed behind its link
 *   aside     a writer saves a document whose blob gc has taken aside
 *
 * Each snapshot that should stay is there with its document, each seq stays, and verify finds no
 * damage. */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "lib_table.h"

#include "sys.h"

enum {
  WRITERS = 2,
  KILLS = 60,
  KEEP = 300,
  GROUPS = 3,
  SAVES_MAX = 1 << 17,
  STEPS_MAX = 1500,
  BYTES = 200,
  BLOB_BYTES = 70000,
  LAST_LOOKED_AT = 60,
  OLD_S = 100000,
  TILES = 3
};

typedef struct shared {
  _Atomic uint64_t next; /* document */
  _Atomic uint64_t head; /* the highest seq that was acknowledged */
  _Atomic int done;
  _Atomic uint64_t gcs, reads, verified, retires;
  _Atomic uint64_t seq_of[SAVES_MAX]; /* by document; 0: not acknowledged */
  _Atomic char hidden[SAVES_MAX];     /* 1: it was hidden once, and may have been dropped then */
} shared;

static shared *all;
static char path[FAULT_PATH_BYTES];
static uint64_t seed;

static void make_store(const char *locker, const char *mode) {
  if (all == NULL) {
    void *memory =
        mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FAULT_CHECK(memory != MAP_FAILED, "no shared memory: %s", strerror(errno));
    all = memory;
  }
  memset(all, 0, sizeof *all);
  fault_path(path, fault_folder(), "store");
  fault_remove_tree(path);
  fault_init_in(path, locker, mode);
}

/* Document `number` of a run of its own, in one of the groups. Its seq. */
static uint64_t save_document(hf_store *store, const char *run_id, uint64_t number, size_t bytes,
                              hf_saved *ret_saved) {
  hf_error error = HF_ERROR_INIT;
  char group[32];
  fault_document document;
  fault_document_make(number, bytes, &document);
  (void)snprintf(group, sizeof group, "g%llu", (unsigned long long)(number % GROUPS));
  hf_save_request request = {.key = {.run_id = run_id, .stage = "gc"},
                             .group = group,
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes};
  fault_must(hf_save(store, &request, 60000, ret_saved, &error), &error, "a save");
  fault_document_free(&document);
  return ret_saved->seq;
}

static uint64_t save_next(hf_store *store, uint64_t *ret_number) {
  char run_id[32];
  hf_saved saved;
  uint64_t number = atomic_fetch_add(&all->next, 1);
  *ret_number = number;
  FAULT_CHECK(number < SAVES_MAX, "too many saves");
  (void)snprintf(run_id, sizeof run_id, "run %llu", (unsigned long long)number);
  uint64_t seq = save_document(store, run_id, number, BYTES, &saved);
  uint64_t head = atomic_load(&all->head);
  while (head < seq && !atomic_compare_exchange_weak(&all->head, &head, seq))
    continue;
  atomic_store(&all->seq_of[number], seq);
  return seq;
}

static uint64_t save(hf_store *store) {
  uint64_t number = 0;
  return save_next(store, &number);
}

static int gc(hf_store *store, uint64_t keep_last, hf_gc_report *ret_report, hf_error *reterr) {
  hf_gc_options options = {.keep_last = keep_last, .timeout_ms = 60000};
  return hf_gc(store, &options, ret_report, reterr);
}

static void must_gc(hf_store *store, uint64_t keep_last, hf_gc_report *ret_report) {
  hf_error error = HF_ERROR_INIT;
  fault_must(gc(store, keep_last, ret_report, &error), &error, "hf_gc");
}

/* Its document, or why not. */
static int get(hf_store *store, uint64_t seq, uint64_t number, size_t bytes, hf_error *reterr) {
  hf_record *record = NULL;
  fault_document document;
  int got = hf_get_seq(store, seq, &record, reterr);
  if (got == 1) {
    fault_document_make(number, bytes, &document);
    FAULT_CHECK(record->doc_bytes == document.stored_bytes &&
                    memcmp(record->doc, document.stored, document.stored_bytes) == 0,
                "the document at seq %llu is another one", (unsigned long long)seq);
    fault_document_free(&document);
  }
  hf_record_free(&record);
  return got;
}

static void must_get(hf_store *store, uint64_t seq, uint64_t number, size_t bytes) {
  hf_error error = HF_ERROR_INIT;
  int got = get(store, seq, number, bytes, &error);
  FAULT_CHECK(got == 1, "seq %llu should be there, and it is not: %s %s", (unsigned long long)seq,
              hf_status_name(got), error.message);
}

static pid_t start(void) {
  (void)fflush(stdout);
  pid_t pid = fork();
  FAULT_CHECK(pid >= 0, "cannot fork: %s", strerror(errno));
  return pid;
}

/* ---- killed ---- */

static uint64_t steps_left;

static void step(void *context, fault_call *call) {
  (void)context;
  (void)call;
  if (steps_left > 0 && --steps_left == 0)
    (void)kill(getpid(), SIGKILL);
}

static const fault_hooks fast = {.before = step, .fast_fsync = 1};

/* Saves; and now and then hides one that has not been dropped yet, and shows it again. */
static _Noreturn void write_on(unsigned writer) {
  fault_random random = {seed * 31 + writer};
  fault_table_install(&fast);
  while (!atomic_load(&all->done)) {
    hf_store *store = fault_open(path);
    for (uint64_t i = 20 + fault_below(&random, 200); i > 0 && !atomic_load(&all->done); i--) {
      hf_error error = HF_ERROR_INIT;
      uint64_t number = 0;
      uint64_t seq = save_next(store, &number);
      if (fault_below(&random, 40) != 0)
        continue;
      atomic_store(&all->hidden[number], 1);
      hf_retire_options hide = {.reason = "test", .timeout_ms = 60000};
      hf_retire_options show = {.undo = 1, .timeout_ms = 60000};
      fault_must(hf_retire(store, NULL, seq, &hide, NULL, &error), &error, "hf_retire");
      fault_must(hf_retire(store, NULL, seq, &show, NULL, &error), &error, "hf_retire --undo");
      atomic_fetch_add(&all->retires, 1);
    }
    hf_close(&store);
  }
  _exit(0);
}

/* The last ones are there, with their documents; prev answers; list has no gap but for retired. */
static _Noreturn void read_on(void) {
  fault_random random = {seed * 77};
  while (!atomic_load(&all->done)) {
    hf_store *store = fault_open(path);
    for (unsigned i = 0; i < 60 && !atomic_load(&all->done); i++) {
      hf_error error = HF_ERROR_INIT;
      uint64_t head = 0;
      uint64_t next = atomic_load(&all->next);
      if (next < LAST_LOOKED_AT)
        continue;
      uint64_t number = next - 1 - fault_below(&random, LAST_LOOKED_AT);
      uint64_t seq = atomic_load(&all->seq_of[number]);
      if (seq == 0)
        continue;
      int got = get(store, seq, number, BYTES, &error);
      fault_must(hf_head(store, &head, NULL), &error, "hf_head");
      /* fewer than KEEP records behind it: nothing may have pushed it out, unless it was hidden */
      FAULT_CHECK(got == 1 || (got == HF_EDROPPED &&
                               (head - seq >= KEEP || atomic_load(&all->hidden[number]))),
                  "seq %llu, the head is %llu: %s %s", (unsigned long long)seq,
                  (unsigned long long)head, hf_status_name(got), error.message);
      hf_record *record = NULL;
      got = hf_prev_seq(store, seq, &record, &error);
      FAULT_CHECK(got == 1 || got == 0 || got == HF_EDROPPED, "prev of seq %llu: %s %s",
                  (unsigned long long)seq, hf_status_name(got), error.message);
      hf_record_free(&record);
      atomic_fetch_add(&all->reads, 1);
    }
    hf_close(&store);
  }
  _exit(0);
}

static _Noreturn void verify_on(void) {
  while (!atomic_load(&all->done)) {
    fault_verify(path);
    atomic_fetch_add(&all->verified, 1);
  }
  _exit(0);
}

static _Noreturn void gc_once(uint64_t steps, uint64_t keep) {
  hf_error error = HF_ERROR_INIT;
  fault_table_install(&fast);
  hf_store *store = fault_open(path);
  steps_left = steps;
  int status = gc(store, keep, NULL, &error);
  if (status != HF_ECONFLICT) /* writers show snapshots again all the time */
    fault_must(status, &error, "hf_gc");
  atomic_fetch_add(&all->gcs, 1);
  _exit(0);
}

/* Each acknowledged snapshot is there, those of the last `keep` of each group with their document;
 * the others with it, or dropped. */
static uint64_t check_all(uint64_t keep) {
  hf_store *store = fault_open(path);
  uint64_t later[GROUPS] = {0};
  uint64_t dropped = 0;
  fault_log log;
  fault_log_read(store, &log);
  uint64_t next = atomic_load(&all->next);
  uint64_t *number_at = calloc(log.count + 1, sizeof *number_at);
  FAULT_CHECK(number_at != NULL, "out of memory");
  for (uint64_t number = 0; number < next; number++) {
    uint64_t seq = atomic_load(&all->seq_of[number]);
    FAULT_CHECK(seq > 0 && seq <= log.count, "the acknowledged save %llu is lost",
                (unsigned long long)number);
    number_at[seq] = number + 1;
  }
  for (uint64_t seq = log.count; seq > 0; seq--) {
    hf_error error = HF_ERROR_INIT;
    uint64_t number = number_at[seq];
    if (number-- == 0)
      continue;
    char run_id[32];
    (void)snprintf(run_id, sizeof run_id, "run %llu", (unsigned long long)number);
    FAULT_CHECK(log.records[seq - 1].is_save && strcmp(log.records[seq - 1].run_id, run_id) == 0,
                "at the acknowledged seq %llu stands another record", (unsigned long long)seq);
    int got = get(store, seq, number, BYTES, &error);
    FAULT_CHECK(got == 1 || (got == HF_EDROPPED &&
                             (later[number % GROUPS] >= keep || atomic_load(&all->hidden[number]))),
                "seq %llu, with %llu later ones: %s %s", (unsigned long long)seq,
                (unsigned long long)later[number % GROUPS], hf_status_name(got), error.message);
    later[number % GROUPS]++;
    dropped += got == HF_EDROPPED;
  }
  free(number_at);
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(path);
  return dropped;
}

static void killed_in(const char *locker, const char *mode) {
  enum { OTHERS = WRITERS + 2 };
  pid_t others[OTHERS];
  fault_random random = {seed};
  fault_context("killed, %s %s", locker, mode);
  make_store(locker, mode);
  fault_let_pack(1);
  for (unsigned i = 0; i < OTHERS; i++) {
    others[i] = start();
    if (others[i] == 0 && i < WRITERS)
      write_on(i);
    if (others[i] == 0 && i == WRITERS)
      read_on();
    if (others[i] == 0)
      verify_on();
  }
  for (unsigned i = 0; i < KILLS; i++) {
    pid_t two[2];
    for (unsigned j = 0; j < 2; j++) {
      uint64_t steps = (i + j) % 3 == 0 ? 0 : 1 + fault_below(&random, STEPS_MAX);
      two[j] = start();
      if (two[j] == 0)
        gc_once(steps, KEEP + j * 50);
    }
    fault_sleep_us((int64_t)fault_below(&random, 90000));
    for (unsigned j = 0; j < 2; j++) {
      int status = 0;
      (void)kill(two[j], SIGKILL);
      FAULT_CHECK(waitpid(two[j], &status, 0) == two[j], "a gc is gone");
      FAULT_CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0, "a gc failed");
    }
  }
  atomic_store(&all->done, 1);
  fault_wait_all(others, OTHERS);
  (void)check_all(KEEP);
  hf_gc_report report;
  hf_store *store = fault_open(path);
  must_gc(store, KEEP, &report);
  hf_close(&store);
  uint64_t dropped = check_all(KEEP);
  FAULT_CHECK(dropped > 0, "nothing was dropped");
  (void)printf(
      "gc killed, %s %s: %d gcs, %llu ended by themselves, %llu saves, %llu of them dropped, "
      "%llu looks, %llu times hidden and shown, %llu times verified\n",
      locker, mode, 2 * KILLS, (unsigned long long)atomic_load(&all->gcs),
      (unsigned long long)atomic_load(&all->next), (unsigned long long)dropped,
      (unsigned long long)atomic_load(&all->reads), (unsigned long long)atomic_load(&all->retires),
      (unsigned long long)atomic_load(&all->verified));
}

static void killed(void) {
  killed_in("flock", "journal");
  killed_in("none", "publish");
}

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

/* This program again: a gc (keep: so many), or a writer of the blob. */
static void run_sleeper(int argc, char **argv, const char *store_path) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  uint64_t keep = fault_option(argc, argv, "--keep", 0);
  fault_path(path, store_path, ".");
  hf_store *store = fault_open(store_path);
  if (keep == 0)
    (void)save_document(store, blob_run, 7, BLOB_BYTES, &saved);
  else {
    seem_old();
    fault_must(gc(store, keep, NULL, &error), &error, "hf_gc");
  }
  hf_close(&store);
  exit(0);
}

static pid_t start_sleeper(const char *where, const char *keep) {
  int status = 0;
  pid_t pid = start();
  if (pid == 0) {
    char self[] = "/proc/self/exe";
    char option[] = "--sleeper";
    char keep_option[] = "--keep";
    char number[16];
    (void)snprintf(number, sizeof number, "%s", keep);
    char *arguments[] = {self, option, path, keep_option, number, NULL};
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

static hf_store *fill(uint64_t records) {
  hf_store *store = fault_open(path);
  for (uint64_t i = 0; i < records; i++)
    (void)save(store);
  return store;
}

static void judged(void) {
  hf_error error = HF_ERROR_INIT;
  hf_retire_options hide = {.reason = "test", .timeout_ms = 60000};
  hf_retire_options show = {.undo = 1, .timeout_ms = 60000};
  make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  fault_must(hf_retire(store, NULL, HF_TILE_RECORDS, &hide, NULL, &error), &error, "hf_retire");
  pid_t pid = start_sleeper("gc-planned:1", "1");
  fault_must(hf_retire(store, NULL, HF_TILE_RECORDS, &show, NULL, &error), &error, "hf_retire");
  wake(pid);
  must_get(store, HF_TILE_RECORDS, HF_TILE_RECORDS - 1, BYTES);
  hf_close(&store);
  fault_verify(path);
  (void)printf("gc judged: what was shown again meanwhile stays\n");
}

static void dedupe(void) {
  hf_saved saved;
  make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  pid_t pid = start_sleeper("gc-dropped:1", "1");
  uint64_t seq = save_document(store, "run 0", 0, BYTES, &saved);
  FAULT_CHECK(saved.created && seq > HF_TILE_RECORDS, "it was answered as seq %llu",
              (unsigned long long)seq);
  wake(pid);
  must_get(store, seq, 0, BYTES);
  hf_close(&store);
  fault_verify(path);
  (void)printf("gc dedupe: saved again as seq %llu\n", (unsigned long long)seq);
}

/* Every record, by a handle that was open before. */
static void look_at_all(hf_store *store, const char *which, uint64_t keep) {
  uint64_t records = TILES * HF_TILE_RECORDS;
  fault_context("moved, %s", which);
  for (uint64_t seq = 1; seq <= records; seq++) {
    hf_error error = HF_ERROR_INIT;
    int got = get(store, seq, seq - 1, BYTES, &error);
    int kept = seq > records + 1 - keep * GROUPS;
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
  make_store("flock", mode);
  hf_store *in_memory = fault_open(path); /* has read the records before they were packed */
  hf_store *store = fill(TILES * HF_TILE_RECORDS + 1);
  fault_log log;
  fault_log_read(in_memory, &log);
  fault_log_free(&log);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  hf_store *by_index = fault_open(path);
  if (shared_too) {
    fault_make_shared(by_index);
    fault_make_shared(in_memory);
  }
  fault_log_read(by_index, &log);
  fault_log_free(&log);
  hf_store *other = fault_open(path);
  must_gc(other, KEEP_LAST, &report);
  FAULT_CHECK(report.documents > 0, "nothing was dropped");
  look_at_all(by_index, "by an index", KEEP_LAST);
  look_at_all(in_memory, "in memory", KEEP_LAST);
  look_at_all(store, "that packed", KEEP_LAST);
  look_at_all(other, "that ran gc", KEEP_LAST);
  hf_close(&by_index);
  hf_close(&in_memory);
  hf_close(&store);
  hf_close(&other);
  fault_verify(path);
}

static void moved(void) {
  moved_in("publish", 0);
  moved_in("journal", 0);
  moved_in("publish", 1);
  (void)printf("gc moved: every record was found again\n");
}

/* The older one comes to its rename last. */
static void slept(void) {
  hf_gc_report report;
  hf_error error = HF_ERROR_INIT;
  make_store("none", "publish");
  hf_store *store = fill(2 * HF_TILE_RECORDS);
  pid_t pid = start_sleeper("gc-staged:1", "100");
  must_gc(store, 1, &report);
  FAULT_CHECK(report.documents > 0, "nothing was dropped");
  wake(pid);
  for (uint64_t seq = 1; seq <= HF_TILE_RECORDS; seq++)
    FAULT_CHECK(get(store, seq, seq - 1, BYTES, &error) == HF_EDROPPED, "seq %llu came back",
                (unsigned long long)seq);
  fault_verify(path);
  must_gc(store, 1, &report);
  hf_close(&store);
  fault_verify(path);
  (void)printf("gc slept: nothing came back\n");
}

static void told(void) {
  hf_gc_report report;
  make_store("none", "publish");
  hf_store *store = fill(HF_TILE_RECORDS);
  must_gc(store, 1, &report);
  FAULT_CHECK(report.tiles > 0, "no tile was written anew");
  hf_close(&store);
  fault_verify(path);
  (void)printf("gc told: a record for each tile\n");
}

/* ---- blobs ---- */

/* Makes every blob seem old to who looks by mtime. */
static void age_blobs(void) {
  char command[FAULT_PATH_BYTES + 64];
  (void)snprintf(command, sizeof command, "find '%.400s/blob' -type f -exec touch -d @%lld {} +",
                 path, (long long)(time(NULL) - OLD_S));
  FAULT_CHECK(system(command) == 0, "cannot set times back"); /* NOLINT: a path of our own */
}

/* A blob whose only snapshot is dropped. */
static hf_store *fill_with_blob(void) {
  hf_gc_report report;
  hf_saved saved;
  make_store("none", "publish");
  hf_store *store = fault_open(path);
  (void)save_document(store, "first of all", 7, BLOB_BYTES, &saved);
  for (uint64_t i = 0; i < HF_TILE_RECORDS + GROUPS; i++)
    (void)save(store);
  must_gc(store, 1, &report);
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
  fault_verify(path);
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
  (void)save_document(store, blob_run, 7, BLOB_BYTES, &saved);
  wake(collector);
  must_have_blob(store);
  store = fill_with_blob(); /* and where nobody wants it, it goes */
  pid_t pid = start_sleeper("gc-aside:1", "1");
  wake(pid);
  char command[FAULT_PATH_BYTES + 64];
  (void)snprintf(command, sizeof command, "test -z \"$(find '%.400s/blob' -type f)\"", path);
  FAULT_CHECK(system(command) == 0, "an unused blob is left"); /* NOLINT: a path of our own */
  hf_close(&store);
  fault_verify(path);
  (void)printf("gc aside: it is there where it is wanted, and gone where not\n");
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {{"killed", killed}, {"judged", judged}, {"dedupe", dedupe}, {"moved", moved},
             {"slept", slept},   {"told", told},     {"blob", blob},     {"aside", aside}};

int main(int argc, char **argv) {
  const char *sleeper = fault_option_text(argc, argv, "--sleeper", NULL);
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  if (sleeper != NULL)
    run_sleeper(argc, argv, sleeper);
  seed = fault_option(argc, argv, "--seed", 1);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (wanted != NULL && strcmp(wanted, cases[i].name) != 0)
      continue;
    fault_context("%s", cases[i].name);
    fault_let_pack(0);
    cases[i].run();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
