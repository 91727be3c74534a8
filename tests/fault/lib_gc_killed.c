/* What the cases share, and the one in which gcs are killed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_gc.h"
#include "lib_table.h"

#include "plant.h"

enum { WRITERS = 2, KILLS = 60, KEEP = 300, STEPS_MAX = 1500, LAST_LOOKED_AT = 60 };

/* Saved before the first gc, so that even where writers get no further there is some to drop. */
enum { FIRST_SAVES = GC_GROUPS * (KEEP + 100) };

gc_shared *gc_all;
char gc_path[FAULT_PATH_BYTES];
uint64_t gc_seed;

void gc_make_store(const char *locker, const char *mode) {
  if (gc_all == NULL) {
    void *memory =
        mmap(NULL, sizeof *gc_all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    FAULT_CHECK(memory != MAP_FAILED, "no shared memory: %s", strerror(errno));
    gc_all = memory;
  }
  memset(gc_all, 0, sizeof *gc_all);
  fault_path(gc_path, fault_folder(), "store");
  fault_remove_tree(gc_path);
  fault_init_in(gc_path, locker, mode);
}

/* Document `number` of a run of its own, in one of the groups. Its seq. */
uint64_t gc_save_document(hf_store *store, const char *run_id, uint64_t number, size_t bytes,
                          hf_saved *ret_saved) {
  hf_error error = HF_ERROR_INIT;
  char group[32];
  fault_document document;
  fault_document_make(number, bytes, &document);
  (void)snprintf(group, sizeof group, "g%llu", (unsigned long long)(number % GC_GROUPS));
  hf_save_request request = {.key = {.run_id = run_id, .stage = "gc"},
                             .group = group,
                             .doc = document.sent,
                             .doc_bytes = document.sent_bytes};
  fault_must(hf_save(store, &request, 60000, ret_saved, &error), &error, "a save");
  fault_document_free(&document);
  return ret_saved->seq;
}

uint64_t gc_save(hf_store *store, uint64_t *ret_number) {
  char run_id[32];
  hf_saved saved;
  uint64_t number = atomic_fetch_add(&gc_all->next, 1);
  *ret_number = number;
  FAULT_CHECK(number < GC_SAVES_MAX, "too many saves");
  (void)snprintf(run_id, sizeof run_id, "run %llu", (unsigned long long)number);
  uint64_t seq = gc_save_document(store, run_id, number, GC_BYTES, &saved);
  uint64_t head = atomic_load(&gc_all->head);
  while (head < seq && !atomic_compare_exchange_weak(&gc_all->head, &head, seq))
    continue;
  atomic_store(&gc_all->seq_of[number], seq);
  return seq;
}

int gc_collect(hf_store *store, uint64_t keep_last, hf_gc_report *ret_report, hf_error *reterr) {
  hf_gc_options options = {.keep_last = keep_last, .keep_baselines = 1, .timeout_ms = 60000};
  return hf_gc(store, &options, ret_report, reterr);
}

void gc_must_collect(hf_store *store, uint64_t keep_last, hf_gc_report *ret_report) {
  hf_error error = HF_ERROR_INIT;
  fault_must(gc_collect(store, keep_last, ret_report, &error), &error, "hf_gc");
}

/* Its document, or why not. */
int gc_get(hf_store *store, uint64_t seq, uint64_t number, size_t bytes, hf_error *reterr) {
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

void gc_must_get(hf_store *store, uint64_t seq, uint64_t number, size_t bytes) {
  hf_error error = HF_ERROR_INIT;
  int got = gc_get(store, seq, number, bytes, &error);
  FAULT_CHECK(got == 1, "seq %llu should be there, and it is not: %s %s", (unsigned long long)seq,
              hf_status_name(got), error.message);
}

pid_t gc_start(void) {
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

static _Noreturn void fill(void) {
  fault_table_install(&fast);
  hf_store *store = fault_open(gc_path);
  for (uint64_t number = 0; number + 1 < FIRST_SAVES;)
    (void)gc_save(store, &number);
  hf_close(&store);
  _exit(0);
}

/* Saves; and now and then hides one that has not been dropped yet, and shows it again. */
static _Noreturn void write_on(unsigned writer) {
  fault_random random = {gc_seed * 31 + writer};
  fault_table_install(&fast);
  while (!atomic_load(&gc_all->done)) {
    hf_store *store = fault_open(gc_path);
    for (uint64_t i = 20 + fault_below(&random, 200); i > 0 && !atomic_load(&gc_all->done); i--) {
      hf_error error = HF_ERROR_INIT;
      uint64_t number = 0;
      uint64_t seq = gc_save(store, &number);
      if (fault_below(&random, 40) != 0)
        continue;
      atomic_store(&gc_all->hidden[number], 1);
      hf_retire_options hide = {.reason = "test", .timeout_ms = 60000};
      hf_retire_options show = {.undo = 1, .timeout_ms = 60000};
      fault_must(hf_retire(store, NULL, seq, &hide, NULL, &error), &error, "hf_retire");
      fault_must(hf_retire(store, NULL, seq, &show, NULL, &error), &error, "hf_retire --undo");
      atomic_fetch_add(&gc_all->retires, 1);
    }
    hf_close(&store);
  }
  _exit(0);
}

/* The last ones are there, with their documents; prev answers; list has no gap but for retired. */
static _Noreturn void read_on(void) {
  fault_random random = {gc_seed * 77};
  while (!atomic_load(&gc_all->done)) {
    hf_store *store = fault_open(gc_path);
    for (unsigned i = 0; i < 60 && !atomic_load(&gc_all->done); i++) {
      hf_error error = HF_ERROR_INIT;
      uint64_t head = 0;
      uint64_t next = atomic_load(&gc_all->next);
      if (next < LAST_LOOKED_AT)
        continue;
      uint64_t number = next - 1 - fault_below(&random, LAST_LOOKED_AT);
      uint64_t seq = atomic_load(&gc_all->seq_of[number]);
      if (seq == 0)
        continue;
      int got = gc_get(store, seq, number, GC_BYTES, &error);
      fault_must(hf_head(store, &head, NULL), &error, "hf_head");
      /* fewer than KEEP records behind it: nothing may have pushed it out, unless it was hidden */
      FAULT_CHECK(got == 1 || (got == HF_EDROPPED &&
                               (head - seq >= KEEP || atomic_load(&gc_all->hidden[number]))),
                  "seq %llu, the head is %llu: %s %s", (unsigned long long)seq,
                  (unsigned long long)head, hf_status_name(got), error.message);
      hf_record *record = NULL;
      got = hf_prev_seq(store, seq, &record, &error);
      FAULT_CHECK(got == 1 || got == 0 || got == HF_EDROPPED, "prev of seq %llu: %s %s",
                  (unsigned long long)seq, hf_status_name(got), error.message);
      hf_record_free(&record);
      atomic_fetch_add(&gc_all->reads, 1);
    }
    hf_close(&store);
  }
  _exit(0);
}

static _Noreturn void verify_on(void) {
  while (!atomic_load(&gc_all->done)) {
    fault_verify(gc_path);
    atomic_fetch_add(&gc_all->verified, 1);
  }
  _exit(0);
}

static _Noreturn void gc_once(uint64_t steps, uint64_t keep) {
  hf_error error = HF_ERROR_INIT;
  fault_table_install(&fast);
  hf_store *store = fault_open(gc_path);
  steps_left = steps;
  int status = gc_collect(store, keep, NULL, &error);
  if (status != HF_ECONFLICT) /* writers show snapshots again all the time */
    fault_must(status, &error, "hf_gc");
  atomic_fetch_add(&gc_all->gcs, 1);
  _exit(0);
}

/* Each acknowledged snapshot is there, those of the last `keep` of each group with their document;
 * the others with it, or dropped. */
static uint64_t check_all(uint64_t keep) {
  hf_store *store = fault_open(gc_path);
  uint64_t later[GC_GROUPS] = {0};
  uint64_t dropped = 0;
  fault_log log;
  fault_log_read(store, &log);
  uint64_t next = atomic_load(&gc_all->next);
  uint64_t *number_at = calloc(log.count + 1, sizeof *number_at);
  FAULT_CHECK(number_at != NULL, "out of memory");
  for (uint64_t number = 0; number < next; number++) {
    uint64_t seq = atomic_load(&gc_all->seq_of[number]);
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
    int got = gc_get(store, seq, number, GC_BYTES, &error);
    FAULT_CHECK(got == 1 || (got == HF_EDROPPED && (later[number % GC_GROUPS] >= keep ||
                                                    atomic_load(&gc_all->hidden[number]))),
                "seq %llu, with %llu later ones: %s %s", (unsigned long long)seq,
                (unsigned long long)later[number % GC_GROUPS], hf_status_name(got), error.message);
    later[number % GC_GROUPS]++;
    dropped += got == HF_EDROPPED;
  }
  free(number_at);
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(gc_path);
  return dropped;
}

static void killed_in(const char *locker, const char *mode) {
  enum { OTHERS = WRITERS + 2 };
  pid_t others[OTHERS];
  fault_random random = {gc_seed};
  fault_context("killed, %s %s", locker, mode);
  gc_make_store(locker, mode);
  fault_let_pack(1);
  pid_t filler = gc_start();
  if (filler == 0)
    fill();
  fault_wait_all(&filler, 1);
  for (unsigned i = 0; i < OTHERS; i++) {
    others[i] = gc_start();
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
      two[j] = gc_start();
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
  atomic_store(&gc_all->done, 1);
  fault_wait_all(others, OTHERS);
  (void)check_all(KEEP);
  hf_gc_report report;
  hf_store *store = fault_open(gc_path);
  gc_must_collect(store, KEEP, &report);
  hf_close(&store);
  uint64_t dropped = check_all(KEEP);
  FAULT_CHECK(dropped > 0, "nothing was dropped");
  (void)printf(
      "gc killed, %s %s: %d gcs, %llu ended by themselves, %llu saves, %llu of them dropped, "
      "%llu looks, %llu times hidden and shown, %llu times verified\n",
      locker, mode, 2 * KILLS, (unsigned long long)atomic_load(&gc_all->gcs),
      (unsigned long long)atomic_load(&gc_all->next), (unsigned long long)dropped,
      (unsigned long long)atomic_load(&gc_all->reads),
      (unsigned long long)atomic_load(&gc_all->retires),
      (unsigned long long)atomic_load(&gc_all->verified));
}

void gc_killed(void) {
  if (!hf_test_shared())
    killed_in("flock", "journal");
  killed_in("none", "publish");
}
