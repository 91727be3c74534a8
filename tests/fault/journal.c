/* Journal mode: somebody comes between two calls of another one, at each call in turn.
 *
 *     journal [--case NAME]
 *
 *   told     the first writer of this boot tells of it while a reader, or another writer, looks at
 *            the log: no error, and each has all that was acknowledged before
 *   back     the same where a power loss has cut log/mark short, in a store that has left journal
 * mode and come back to it within the tile; and in the boot that appended last failed   a reader's
 * flush fails while another thread of its handle saves: no call is made on a descriptor that was
 * closed, whose number may be another file's by then mark     a reader looks while another thread
 * of its handle saves: log/mark is opened to write once short    a write of lines ends in the
 * middle, and another handle flushes and marks what it sees before that is cut off: what is marked
 * stays, and a save that was told to be in vain is not there threads  readers and savers share a
 * handle, and flushes fail now and then: what was acknowledged is there
 *
 * A thread that comes between must not wait for a mutex that is held there: then it stays away. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib.h"
#include "lib_journal.h"
#include "lib_table.h"

#include "store.h"

enum {
  CALLS_MAX = 400,
  NUMBERS = 8, /* of descriptors that are taken where one was closed */
  THREADS = 3,
  SAVES = 120,
  FAILS_ONE_IN = 9,
  BACK_BATCH = 3,
  MARK_LEFT = 2, /* records that log/mark tells of */
};

static struct {
  void (*act)(void); /* what comes between */
  unsigned calls;
  unsigned at; /* before this call; 0: never */
  int came;
  hf_store *store;              /* whose mutexes must be free; NULL: not asked */
  int fails;                    /* a flush */
  int taken[NUMBERS];           /* descriptors; -1: none */
  _Atomic unsigned mark_writes; /* opened */
} between;

static int is_free(pthread_mutex_t *mutex) {
  if (pthread_mutex_trylock(mutex) != 0)
    return 0;
  (void)pthread_mutex_unlock(mutex);
  return 1;
}

static void check_call(const fault_call *call) {
  for (int i = 0; i < NUMBERS; i++)
    FAULT_CHECK(between.taken[i] < 0 || call->kind == FAULT_OPENAT || call->fd != between.taken[i],
                "%s was called on a descriptor that had been closed, and is another file's",
                fault_kind_name(call->kind));
}

static void before_call(void *context, fault_call *call) {
  (void)context;
  check_call(call);
  int is_free_here = between.store == NULL ||
                     (is_free(&between.store->view_mutex) && is_free(&between.store->part_mutex));
  if (++between.calls == between.at && is_free_here) {
    between.at = 0;
    between.came = 1;
    between.act();
    check_call(call);
  }
}

static void count_marks(const fault_call *call) {
  if (call->kind == FAULT_OPENAT && strcmp(call->name, "mark") == 0 &&
      (call->flags & O_ACCMODE) == O_WRONLY && fault_fd_ends_in(call->fd, "/log"))
    atomic_fetch_add(&between.mark_writes, 1);
}

/* The calls of who comes between: they are not hooked while he does (lib_table.h), but for the
 * flush of another thread. */
static void before_other_call(void *context, fault_call *call) {
  (void)context;
  if (call->kind != FAULT_FDATASYNC || !between.fails)
    return;
  between.fails = 0;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static pthread_t outer;

static void before(void *context, fault_call *call) {
  count_marks(call);
  if (pthread_equal(pthread_self(), outer))
    before_call(context, call);
  else
    before_other_call(context, call);
}

static const fault_hooks hooks = {.before = before, .fast_fsync = 1};

static void begin(void) {
  memset(&between, 0, sizeof between);
  for (int i = 0; i < NUMBERS; i++)
    between.taken[i] = -1;
  outer = pthread_self();
}

static uint64_t head_of(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  fault_must(hf_head(store, &head, &error), &error, "hf_head");
  return head;
}

/* ---- told ---- */

static hf_store *other;
static uint64_t other_seq; /* of its save; 0: it got no turn */
static uint64_t known;     /* acknowledged before */
static int is_cut;         /* log/mark, by a power loss */

static void other_saves(void) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  int status = journal_save_within(other, 0, &saved, &error);
  if (status != HF_ELOCK)
    fault_must(status, &error, "the first save of this boot");
  other_seq = status == HF_OK ? saved.seq : 0;
}

static void other_reads(void) {
  uint64_t head = head_of(other);
  FAULT_CHECK(head >= known, "a reader sees %llu records, and %llu were acknowledged",
              (unsigned long long)head, (unsigned long long)known);
}

static void cut_mark(void) {
  char mark[FAULT_PATH_BYTES];
  fault_path(mark, journal_path, "log/mark");
  FAULT_CHECK(truncate(mark, MARK_LEFT) == 0, "cannot cut %s: %s", mark, strerror(errno));
}

/* One look, or save, of a handle that knows nothing yet. Whether the other came. */
static int told_at(unsigned at, int saves, void (*act)(void)) {
  begin();
  journal_boot_again();
  if (is_cut)
    cut_mark();
  other = fault_open(journal_path);
  hf_store *store = fault_open(journal_path);
  uint64_t seq = 0;
  between.act = act;
  between.at = at;
  other_seq = 0;
  fault_table_install(&hooks);
  seq = saves ? journal_save(store) : head_of(store);
  int came = between.came;
  between.at = 0;
  FAULT_CHECK(!saves || seq != other_seq, "two saves are at seq %llu", (unsigned long long)seq);
  FAULT_CHECK(seq >= known, "a look saw %llu records, and %llu were acknowledged",
              (unsigned long long)seq, (unsigned long long)known);
  uint64_t head = head_of(store);
  FAULT_CHECK(head >= seq && head >= other_seq, "the head is %llu, and seq %llu was acknowledged",
              (unsigned long long)head, (unsigned long long)(seq > other_seq ? seq : other_seq));
  fault_table_remove();
  hf_close(&store);
  hf_close(&other);
  return came;
}

static void told(void) {
  unsigned came = 0;
  journal_make_store();
  for (int saves = 0; saves < 2; saves++)
    for (unsigned at = 1;; at++) {
      fault_context("told: before call %u of a %s", at, saves ? "save" : "look");
      FAULT_CHECK(at < CALLS_MAX, "there is no end");
      if (!told_at(at, saves, other_saves))
        break;
      came++;
    }
  fault_verify(journal_path);
  (void)printf("journal told: between %u calls, and no error\n", came);
}

/* Journal mode ends and begins again within the tile; of the records between some are together in a
 * file. */
static void make_back(void) {
  static const hf_set_locker_options publish = {.timeout_ms = -1, .mode = "publish"};
  hf_save_request requests[BACK_BATCH];
  char docs[BACK_BATCH][JOURNAL_TEXT_BYTES], runs[BACK_BATCH][JOURNAL_TEXT_BYTES];
  hf_saved results[BACK_BATCH];
  hf_error error = HF_ERROR_INIT;
  journal_make_store();
  hf_store *store = fault_open(journal_path);
  FAULT_CHECK(hf_set_locker(store, "flock", &publish, &known, &error) == 1, "hf_set_locker: %s",
              error.message);
  (void)journal_save(store);
  for (size_t i = 0; i < BACK_BATCH; i++)
    journal_request(&requests[i], docs[i], runs[i]);
  fault_must(hf_save_batch(store, requests, BACK_BATCH, -1, results, &error), &error, "a batch");
  fault_set_journal(journal_path);
  (void)journal_save(store);
  known = journal_save(store);
  hf_close(&store);
}

static void check_known(void) {
  fault_log log;
  hf_store *store = fault_open(journal_path);
  fault_log_read(store, &log);
  FAULT_CHECK(log.count >= known, "there are %zu records, and %llu were acknowledged", log.count,
              (unsigned long long)known);
  fault_log_free(&log);
  hf_close(&store);
  (void)fault_verify_but_mark(journal_path);
}

static void back(void) {
  static const struct {
    const char *name;
    void (*act)(void);
    int saves;
    const char *who;
  } acts[] = {{"saves", other_saves, 1, "save"},
              {"reads", other_reads, 1, "save"},
              {"saves", other_saves, 0, "look"}};
  unsigned came = 0;
  is_cut = 1;
  for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++)
    for (unsigned at = 1;; at++, came++) {
      fault_context("back: before call %u of a %s another one %s", at, acts[i].who, acts[i].name);
      FAULT_CHECK(at < CALLS_MAX, "there is no end");
      make_back();
      int so_many = told_at(at, acts[i].saves, acts[i].act);
      check_known();
      if (!so_many)
        break;
    }
  fault_context("back: in the boot that appended last");
  make_back();
  cut_mark();
  hf_store *store = fault_open(journal_path);
  uint64_t seq = journal_save(store);
  FAULT_CHECK(seq == known + 1, "seq %llu was given behind %llu", (unsigned long long)seq,
              (unsigned long long)known);
  hf_close(&store);
  check_known();
  is_cut = 0;
  (void)printf("journal back: between %u calls\n", came);
}

/* ---- failed, mark: a reader in another thread of the handle ---- */

static void *look(void *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  (void)hf_head(store, &head, &error); /* HF_EIO where its flush failed */
  return NULL;
}

static void other_looks(void) {
  pthread_t reader;
  int fails = between.fails;
  FAULT_CHECK(pthread_create(&reader, NULL, look, between.store) == 0, "no thread");
  (void)pthread_join(reader, NULL);
  if (!fails)
    return;
  between.fails = 0;
  for (int i = 0; i < NUMBERS; i++) /* a number that it has freed is another file's now */
    between.taken[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* A save of a handle, of which the reader is another thread. Whether there were so many
 * calls. */
static int looked_at(unsigned at, int fails) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  begin();
  hf_store *store = fault_open(journal_path);
  if (fails)
    (void)journal_save(store); /* so that it has a part open */
  between.store = store;
  between.act = other_looks;
  between.fails = fails;
  between.at = at;
  fault_table_install(&hooks);
  int status = journal_save_within(store, -1, &saved, &error);
  int so_many = between.calls >= at;
  FAULT_CHECK(status == HF_OK || (fails && status == HF_EUNSURE), "the save: %s: %s",
              hf_status_name(status), error.message);
  between.at = 0;
  for (int i = 0; i < NUMBERS; i++)
    if (between.taken[i] >= 0)
      (void)close(between.taken[i]);
  for (int i = 0; i < NUMBERS; i++)
    between.taken[i] = -1;
  FAULT_CHECK(between.mark_writes <= 1, "log/mark was opened to write %u times",
              atomic_load(&between.mark_writes));
  between.fails = 0;
  uint64_t next = journal_save(store); /* the handle goes on */
  FAULT_CHECK(status != HF_OK || next > saved.seq, "seq %llu comes behind %llu",
              (unsigned long long)next, (unsigned long long)saved.seq);
  fault_table_remove();
  hf_close(&store);
  return so_many;
}

static void look_between(int fails) {
  unsigned at = 1;
  journal_make_store();
  do {
    fault_context("%s: before call %u of a save", fails ? "failed" : "mark", at);
    FAULT_CHECK(at < CALLS_MAX, "there is no end");
  } while (looked_at(at++, fails));
  fault_verify(journal_path);
  (void)printf("journal %s: before each of %u calls\n", fails ? "failed" : "mark", at - 2);
}

static void failed(void) {
  look_between(1);
}

static void mark(void) {
  look_between(0);
}

/* ---- threads ---- */

static struct {
  hf_store *store;
  _Atomic unsigned flushes;
  _Atomic unsigned saved, unsure;
  _Atomic int done;
  uint64_t seq_of[THREADS][SAVES]; /* 0: unknown */
} all;

static void fail_some(void *context, fault_call *call) {
  (void)context;
  if (call->kind != FAULT_FDATASYNC || atomic_fetch_add(&all.flushes, 1) % FAILS_ONE_IN != 1)
    return;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static void document_of(unsigned thread, unsigned i, char doc[48]) {
  (void)snprintf(doc, 48, "{\"thread\":%u,\"n\":%u}", thread, i);
}

static void *save_many(void *argument) {
  unsigned thread = *(const unsigned *)argument;
  for (unsigned i = 0; i < SAVES; i++) {
    char doc[48];
    char run[32];
    hf_error error = HF_ERROR_INIT;
    hf_saved saved;
    document_of(thread, i, doc);
    (void)snprintf(run, sizeof run, "t%u", thread);
    hf_save_request request = {
        .key = {.run_id = run, .stage = "journal"}, .doc = doc, .doc_bytes = strlen(doc)};
    int status = hf_save(all.store, &request, -1, &saved, &error);
    FAULT_CHECK(status == HF_OK || status == HF_EUNSURE || status == HF_EIO, "hf_save: %s: %s",
                hf_status_name(status), error.message);
    all.seq_of[thread][i] = status == HF_OK ? saved.seq : 0;
    atomic_fetch_add(status == HF_OK ? &all.saved : &all.unsure, 1);
  }
  return NULL;
}

static void *look_often(void *argument) {
  uint64_t seen = 0;
  (void)argument;
  while (!atomic_load(&all.done)) {
    hf_error error = HF_ERROR_INIT;
    hf_record *record = NULL;
    uint64_t head = 0;
    if (hf_head(all.store, &head, &error) != HF_OK) /* its flush failed */
      continue;
    FAULT_CHECK(head >= seen, "the head was %llu, and is %llu", (unsigned long long)seen,
                (unsigned long long)head);
    seen = head;
    if (head > 0 && hf_get_seq(all.store, head, &record, &error) == 1)
      hf_record_free(&record);
  }
  return NULL;
}

static void threads(void) {
  static const fault_hooks failing = {.before = fail_some, .fast_fsync = 1};
  pthread_t savers[THREADS], readers[2];
  unsigned numbers[THREADS];
  fault_log log;
  journal_make_store();
  all.store = fault_open(journal_path);
  fault_table_install(&failing);
  for (unsigned i = 0; i < THREADS; i++) {
    numbers[i] = i;
    FAULT_CHECK(pthread_create(&savers[i], NULL, save_many, &numbers[i]) == 0, "no thread");
  }
  for (unsigned i = 0; i < 2; i++)
    FAULT_CHECK(pthread_create(&readers[i], NULL, look_often, NULL) == 0, "no thread");
  for (unsigned i = 0; i < THREADS; i++)
    (void)pthread_join(savers[i], NULL);
  atomic_store(&all.done, 1);
  for (unsigned i = 0; i < 2; i++)
    (void)pthread_join(readers[i], NULL);
  fault_table_remove();
  hf_close(&all.store);
  hf_store *store = fault_open(journal_path);
  fault_log_read(store, &log);
  for (unsigned thread = 0; thread < THREADS; thread++)
    for (unsigned i = 0; i < SAVES; i++) {
      char doc[48];
      uint64_t seq = all.seq_of[thread][i];
      document_of(thread, i, doc);
      size_t count = fault_log_count_document(&log, doc, strlen(doc), NULL);
      FAULT_CHECK(count <= 1 && (seq == 0 ||
                                 (seq <= log.count && strcmp(log.records[seq - 1].doc, doc) == 0)),
                  "save %u of thread %u, acknowledged as seq %llu, is there %zu times", i, thread,
                  (unsigned long long)seq, count);
    }
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(journal_path);
  FAULT_CHECK(all.unsure > 0 && all.saved > 0, "%u saves, %u unknown", all.saved, all.unsure);
  (void)printf("journal threads: %u saves, %u unknown, %u flushes\n", all.saved, all.unsure,
               all.flushes);
}

int main(int argc, char **argv) {
  static const fault_case cases[] = {
      {"told", told}, {"back", back}, {"failed", failed}, {"mark", mark}, {"threads", threads}};
  fault_run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
  return 0;
}
