/* Journal mode: somebody comes between two calls of another one, at each call in turn.
 *
 *     journal [--case NAME]
 *
 *   told     the first writer of this boot tells of it while a reader, or another writer, looks at
 *            the log: no error, and each has all that was acknowledged before
 *   failed   a reader's flush fails while another thread of its handle saves: no call is made on a
 *            descriptor that was closed, whose number may be another file's by then
 *   mark     a reader looks while another thread of its handle saves: log/mark is opened to write
 *            once
 *   short    a write of lines ends in the middle, and another handle flushes and marks what it sees
 *            before that is cut off: what is marked stays, and a save that was told to be in vain
 * is not there threads  readers and savers share a handle, and flushes fail now and then: what was
 *            acknowledged is there
 *
 * A thread that comes between must not wait for a mutex that is held there: then it stays away. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "lib_table.h"

#include "buf.h"
#include "store.h"
#include "tile.h"

enum {
  CALLS_MAX = 400,
  NUMBERS = 8, /* of descriptors that are taken where one was closed */
  BEFORE = 5,  /* records */
  THREADS = 3,
  SAVES = 120,
  FAILS_ONE_IN = 9,
};

static char path[FAULT_PATH_BYTES];
static uint64_t number; /* of the last save */

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

static void boot_again(void) {
  static unsigned boots;
  char boot[32];
  (void)snprintf(boot, sizeof boot, "boot %u", ++boots);
  (void)setenv("HF_TEST_BOOT", boot, 1);
}

static int save_within(hf_store *store, int64_t timeout_ms, hf_saved *ret_saved, hf_error *reterr) {
  char doc[32];
  char run[32];
  uint64_t i = ++number;
  (void)snprintf(doc, sizeof doc, "{\"n\":%llu}", (unsigned long long)i);
  (void)snprintf(run, sizeof run, "r%llu", (unsigned long long)i);
  hf_save_request request = {
      .key = {.run_id = run, .stage = "journal"}, .doc = doc, .doc_bytes = strlen(doc)};
  return hf_save(store, &request, timeout_ms, ret_saved, reterr);
}

static uint64_t save(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(save_within(store, -1, &saved, &error), &error, "hf_save");
  return saved.seq;
}

static void make_store(void) {
  fault_path(path, fault_folder_in_memory(), "store");
  fault_remove_tree(path);
  fault_init(path, "flock");
  fault_set_journal(path);
  begin();
  boot_again();
  hf_store *store = fault_open(path);
  for (int i = 0; i < BEFORE; i++)
    (void)save(store);
  hf_close(&store);
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

static void other_saves(void) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  int status = save_within(other, 0, &saved, &error);
  if (status != HF_ELOCK)
    fault_must(status, &error, "the first save of this boot");
  other_seq = status == HF_OK ? saved.seq : 0;
}

/* One look, or save, of a handle that knows nothing yet. Whether the other came. */
static int told_at(unsigned at, int saves) {
  begin();
  boot_again();
  other = fault_open(path);
  hf_store *store = fault_open(path);
  uint64_t seq = 0;
  between.act = other_saves;
  between.at = at;
  other_seq = 0;
  fault_table_install(&hooks);
  seq = saves ? save(store) : head_of(store);
  int came = between.came;
  between.at = 0;
  FAULT_CHECK(!saves || seq != other_seq, "two saves are at seq %llu", (unsigned long long)seq);
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
  make_store();
  for (int saves = 0; saves < 2; saves++)
    for (unsigned at = 1;; at++) {
      fault_context("told: before call %u of a %s", at, saves ? "save" : "look");
      FAULT_CHECK(at < CALLS_MAX, "there is no end");
      if (!told_at(at, saves))
        break;
      came++;
    }
  fault_verify(path);
  (void)printf("journal told: between %u calls, and no error\n", came);
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
  hf_store *store = fault_open(path);
  if (fails)
    (void)save(store); /* so that it has a part open */
  between.store = store;
  between.act = other_looks;
  between.fails = fails;
  between.at = at;
  fault_table_install(&hooks);
  int status = save_within(store, -1, &saved, &error);
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
  uint64_t next = save(store); /* the handle goes on */
  FAULT_CHECK(status != HF_OK || next > saved.seq, "seq %llu comes behind %llu",
              (unsigned long long)next, (unsigned long long)saved.seq);
  fault_table_remove();
  hf_close(&store);
  return so_many;
}

static void look_between(int fails) {
  unsigned at = 1;
  make_store();
  do {
    fault_context("%s: before call %u of a save", fails ? "failed" : "mark", at);
    FAULT_CHECK(at < CALLS_MAX, "there is no end");
  } while (looked_at(at++, fails));
  fault_verify(path);
  (void)printf("journal %s: before each of %u calls\n", fails ? "failed" : "mark", at - 2);
}

static void failed(void) {
  look_between(1);
}

static void mark(void) {
  look_between(0);
}

/* ---- short ---- */

enum {
  SHORT_LINES = HF_TILE_RECORDS > 16 ? 4 : 2,
  SHORT_WAIT_MS = 20000,
  LINE_BEGIN_BYTES = 20,
  SPACE_MAX = 1 << 20,
};

/* One who has appended waits at his flush until he is let go on: between two calls of another one,
 * whose write ended short. */
static struct {
  pthread_t flusher;
  hf_store *store; /* his */
  uint64_t seq;    /* that he was told */
  _Atomic int has_appended, waits, may_go_on;
  int came;
  size_t whole;   /* so many lines are written whole */
  unsigned fails; /* calls of the other that failed */
  unsigned at;    /* before this call of the other from there on */
  unsigned calls;
} brief;

static void wait_for(_Atomic int *flag, const char *what) {
  const struct timespec pause = {0, 1000000};
  for (int i = 0; !atomic_load(flag); i++) {
    FAULT_CHECK(i < SHORT_WAIT_MS, "%s did not come", what);
    (void)nanosleep(&pause, NULL);
  }
}

static void *save_and_flush(void *unused) {
  (void)unused;
  brief.seq = save(brief.store);
  return NULL;
}

static void flusher_goes_on(void) {
  if (brief.came)
    return;
  brief.came = 1;
  atomic_store(&brief.may_go_on, 1);
  (void)pthread_join(brief.flusher, NULL);
}

static void stop_flusher(fault_call *call) {
  if (fault_is_append(call))
    atomic_store(&brief.has_appended, 1);
  if (call->kind != FAULT_PREAD || !atomic_load(&brief.has_appended) ||
      atomic_exchange(&brief.waits, 1))
    return;
  wait_for(&brief.may_go_on, "the call of the other");
}

/* So many of the lines, and the beginning of one, are written; then nothing more is. */
static void write_short(fault_call *call) {
  const char *lines = call->bytes;
  if (!fault_is_append(call) || (brief.fails == 0 && lines[0] == '\0')) /* space */
    return;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
  if (brief.fails++ > 0)
    return;
  size_t bytes = 0;
  for (size_t i = 0; i < brief.whole; i++)
    bytes += strcspn(lines + bytes, "\n") + 1;
  bytes += bytes < call->count && lines[bytes] != '\0' ? LINE_BEGIN_BYTES : 0;
  call->result = hf_sys_real.pwrite(call->fd, lines, bytes, call->offset);
}

static void before_short(void *context, fault_call *call) {
  (void)context;
  if (!pthread_equal(pthread_self(), outer)) {
    stop_flusher(call);
    return;
  }
  if (brief.fails > 0 && ++brief.calls == brief.at)
    flusher_goes_on();
  write_short(call);
}

/* The part ends behind its last record: the next one needs space. */
static void cut_space(void) {
  char part[FAULT_PATH_BYTES];
  hf_autobuf text = {0};
  fault_path(part, path, "tile/000/0.part");
  int fd = open(part, O_RDWR | O_CLOEXEC);
  FAULT_CHECK(fd >= 0 && hf_buf_reserve(&text, SPACE_MAX) == 0, "%s", part);
  ssize_t bytes = pread(fd, text.data, SPACE_MAX - 1, 0);
  FAULT_CHECK(bytes > 0, "%s is empty", part);
  text.data[bytes] = '\0';
  FAULT_CHECK(ftruncate(fd, (off_t)strlen(text.data)) == 0, "cannot cut %s", part);
  (void)close(fd);
}

static int save_short(hf_store *store, size_t count, hf_saved *results, char docs[][32]) {
  hf_error error = HF_ERROR_INIT;
  hf_save_request requests[SHORT_LINES];
  char runs[SHORT_LINES][32];
  memset(requests, 0, sizeof requests);
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(docs[i], 32, "{\"n\":%llu}", (unsigned long long)++number);
    (void)snprintf(runs[i], sizeof runs[i], "r%llu", (unsigned long long)number);
    requests[i].key.run_id = runs[i];
    requests[i].key.stage = "journal";
    requests[i].doc = docs[i];
    requests[i].doc_bytes = strlen(docs[i]);
  }
  return hf_save_batch(store, requests, count, -1, results, &error);
}

static void check_short(const hf_saved *results, char docs[][32], size_t count) {
  fault_log log;
  hf_store *store = fault_open(path);
  fault_log_read(store, &log);
  FAULT_CHECK(brief.seq <= log.count, "seq %llu was acknowledged, and the head is %zu",
              (unsigned long long)brief.seq, log.count);
  for (size_t i = 0; i < count; i++) {
    size_t times = fault_log_count_document(&log, docs[i], strlen(docs[i]), NULL);
    FAULT_CHECK(results[i].status != HF_OK, "save %zu of those cut short was acknowledged", i);
    FAULT_CHECK(times <= (results[i].status == HF_EUNSURE ? 1U : 0U),
                "save %zu of those cut short, %s, is there %zu times", i,
                hf_status_name(results[i].status), times);
  }
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(path);
}

/* Whether there were so many calls. */
static int short_at(unsigned at, size_t count, size_t whole) {
  static const fault_hooks cutting = {.before = before_short, .fast_fsync = 1};
  hf_saved results[SHORT_LINES];
  char docs[SHORT_LINES][32];
  make_store();
  memset(&brief, 0, sizeof brief);
  hf_store *store = fault_open(path);
  brief.store = fault_open(path);
  (void)save(store); /* so that both have the part open */
  (void)save(brief.store);
  cut_space();
  brief.whole = whole;
  brief.at = at;
  fault_table_install(&cutting);
  FAULT_CHECK(pthread_create(&brief.flusher, NULL, save_and_flush, NULL) == 0, "no thread");
  wait_for(&brief.waits, "the flush of the other");
  if (count == 1)
    cut_space();
  int status = save_short(store, count, results, docs);
  FAULT_CHECK(brief.fails > 0 && status != HF_OK, "no write ended short: %s",
              hf_status_name(status));
  int so_many = brief.came;
  flusher_goes_on();
  fault_table_remove();
  uint64_t next = save(store); /* the handle goes on */
  FAULT_CHECK(next > brief.seq, "seq %llu comes behind %llu", (unsigned long long)next,
              (unsigned long long)brief.seq);
  hf_close(&brief.store);
  hf_close(&store);
  check_short(results, docs, count);
  return so_many;
}

static void short_write(void) {
  static const struct {
    size_t count, whole;
  } writes[] = {
      {SHORT_LINES, SHORT_LINES / 2}, {SHORT_LINES, SHORT_LINES - 1}, {1, 1}, {SHORT_LINES, 0}};
  unsigned calls = 0;
  for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
    for (unsigned at = 1;; at++, calls++) {
      fault_context("short: %zu of %zu lines, before call %u", writes[i].whole, writes[i].count,
                    at);
      FAULT_CHECK(at < CALLS_MAX, "there is no end");
      if (!short_at(at, writes[i].count, writes[i].whole))
        break;
    }
  (void)printf("journal short: between %u calls\n", calls);
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
  make_store();
  all.store = fault_open(path);
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
  hf_store *store = fault_open(path);
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
  fault_verify(path);
  FAULT_CHECK(all.unsure > 0 && all.saved > 0, "%u saves, %u unknown", all.saved, all.unsure);
  (void)printf("journal threads: %u saves, %u unknown, %u flushes\n", all.saved, all.unsure,
               all.flushes);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"told", told},
               {"failed", failed},
               {"mark", mark},
               {"short", short_write},
               {"threads", threads}};
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (wanted != NULL && strcmp(wanted, cases[i].name) != 0)
      continue;
    fault_context("%s", cases[i].name);
    cases[i].run();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
