/* Journal mode: a write of lines ends in the middle (a full disk, EIO), and another handle, which
 * has appended before, flushes and marks what it sees, between two of the calls that follow, at
 * each of them in turn. What is marked stays; a save that was told to be in vain is not there; and
 * the store goes on.
 *
 *     short_write */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib.h"
#include "lib_journal.h"
#include "lib_table.h"

#include "buf.h"

enum {
  CALLS_MAX = 400,
  LINES = 4,
  WAIT_MS = 20000,
  LINE_BEGIN_BYTES = 20,
  SPACE_MAX = 1 << 20,
  PARTS_MAX = 9,
};

/* One who has appended waits at his flush until he is let go on: between two calls of another one,
 * whose write ended short. */
static struct {
  pthread_t flusher, other;
  hf_store *store; /* his */
  uint64_t seq;    /* that he was told */
  _Atomic int has_appended, waits, may_go_on;
  int came;
  size_t whole;   /* so many lines are written whole */
  unsigned fails; /* calls of the other that failed */
  unsigned at;    /* before this call of the other from there on */
  unsigned calls;
  size_t count; /* lines of the other */
  char docs[LINES][JOURNAL_TEXT_BYTES];
  hf_saved results[LINES];
} brief;

static void wait_for(_Atomic int *flag, const char *what) {
  const struct timespec pause = {0, 1000000};
  for (int i = 0; !atomic_load(flag); i++) {
    FAULT_CHECK(i < WAIT_MS, "%s did not come", what);
    (void)nanosleep(&pause, NULL);
  }
}

static void *save_and_flush(void *unused) {
  (void)unused;
  brief.seq = journal_save(brief.store);
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
  if (!pthread_equal(pthread_self(), brief.other)) {
    stop_flusher(call);
    return;
  }
  if (brief.fails > 0 && ++brief.calls == brief.at)
    flusher_goes_on();
  write_short(call);
}

/* The last part ends behind its last record: the next one needs space. */
static void cut_space(void) {
  char part[FAULT_PATH_BYTES];
  hf_autobuf text = {0};
  int fd = -1;
  for (int tile = PARTS_MAX; fd < 0 && tile >= 0; tile--) {
    (void)snprintf(part, sizeof part, "%.400s/tile/000/%d.part", journal_path, tile);
    fd = open(part, O_RDWR | O_CLOEXEC);
  }
  FAULT_CHECK(fd >= 0 && hf_buf_reserve(&text, SPACE_MAX) == 0, "%s", part);
  ssize_t bytes = pread(fd, text.data, SPACE_MAX - 1, 0);
  FAULT_CHECK(bytes > 0, "%s is empty", part);
  text.data[bytes] = '\0';
  FAULT_CHECK(ftruncate(fd, (off_t)strlen(text.data)) == 0, "cannot cut %s", part);
  (void)close(fd);
}

static int save_short(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_save_request requests[LINES];
  char runs[LINES][JOURNAL_TEXT_BYTES];
  for (size_t i = 0; i < brief.count; i++)
    journal_request(&requests[i], brief.docs[i], runs[i]);
  return hf_save_batch(store, requests, brief.count, -1, brief.results, &error);
}

static void check_short(void) {
  fault_log log;
  hf_store *store = fault_open(journal_path);
  fault_log_read(store, &log);
  FAULT_CHECK(brief.seq <= log.count, "seq %llu was acknowledged, and the head is %zu",
              (unsigned long long)brief.seq, log.count);
  for (size_t i = 0; i < brief.count; i++) {
    size_t times = fault_log_count_document(&log, brief.docs[i], strlen(brief.docs[i]), NULL);
    hf_status status = brief.results[i].status;
    FAULT_CHECK(status != HF_OK && times <= (status == HF_EUNSURE ? 1U : 0U),
                "save %zu of those cut short, %s, is there %zu times", i, hf_status_name(status),
                times);
  }
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(journal_path);
}

/* Whether there were so many calls. */
static int short_at(unsigned at, size_t count, size_t whole, int cut) {
  static const fault_hooks cutting = {.before = before_short, .fast_fsync = 1};
  journal_make_store();
  memset(&brief, 0, sizeof brief);
  hf_store *store = fault_open(journal_path);
  brief.other = pthread_self();
  brief.store = fault_open(journal_path);
  (void)journal_save(store); /* so that both have the part open */
  (void)journal_save(brief.store);
  brief.count = count;
  brief.whole = whole;
  brief.at = at;
  fault_table_install(&cutting);
  FAULT_CHECK(pthread_create(&brief.flusher, NULL, save_and_flush, NULL) == 0, "no thread");
  wait_for(&brief.waits, "the flush of the other");
  if (cut)
    cut_space();
  int status = save_short(store);
  FAULT_CHECK(brief.fails > 0 && status != HF_OK, "no write ended short: %s",
              hf_status_name(status));
  int so_many = brief.came;
  flusher_goes_on();
  fault_table_remove();
  uint64_t next = journal_save(store); /* the handle goes on */
  FAULT_CHECK(next > brief.seq, "seq %llu comes behind %llu", (unsigned long long)next,
              (unsigned long long)brief.seq);
  hf_close(&brief.store);
  hf_close(&store);
  check_short();
  return so_many;
}

int main(void) {
  static const struct {
    size_t count, whole;
    int cut;
  } writes[] = {{LINES, LINES / 2, 0}, {LINES, LINES - 1, 1}, {1, 1, 1}, {LINES, 0, 0}};
  unsigned calls = 0;
  for (size_t i = 0; i < sizeof writes / sizeof writes[0]; i++)
    for (unsigned at = 1;; at++, calls++) {
      fault_context("%zu of %zu lines, before call %u", writes[i].whole, writes[i].count, at);
      FAULT_CHECK(at < CALLS_MAX, "there is no end");
      if (!short_at(at, writes[i].count, writes[i].whole, writes[i].cut))
        break;
    }
  (void)printf("short write: between %u calls\n", calls);
  return 0;
}
