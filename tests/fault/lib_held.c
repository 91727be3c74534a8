#include "lib_held.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

hf_store *held_main, *held_other;
__thread int held_is_other;

held_stop_state held_stop;

void held_before(void *context, fault_call *call) {
  (void)context;
  if (held_stop.see != NULL)
    held_stop.see(call);
  if (held_is_other && held_stop.is_armed && call->kind == held_stop.kind &&
      fault_fd_ends_in(call->fd, held_stop.end)) {
    held_stop.is_armed = 0;
    (void)sem_post(&held_stop.reached);
    (void)sem_wait(&held_stop.go);
  }
  if (held_is_other || call->kind != FAULT_FDATASYNC || !held_stop.fails)
    return;
  held_stop.fails = 0;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static const fault_hooks hooks = {.before = held_before, .fast_fsync = 1};

void held_begin(void) {
  memset(&held_stop, 0, sizeof held_stop);
  FAULT_CHECK(sem_init(&held_stop.reached, 0, 0) == 0 && sem_init(&held_stop.go, 0, 0) == 0,
              "no semaphore");
  held_is_other = 0;
  fault_table_install(&hooks);
}

/* What the leader of held_main meets at a pause, once. */
static struct {
  hf_pause place;
  void *(*act)(void *);
} meet;

static void at_pause(hf_pause place) {
  pthread_t thread;
  if (held_is_other || meet.act == NULL || place != meet.place)
    return;
  void *(*act)(void *) = meet.act;
  meet.act = NULL;
  FAULT_CHECK(pthread_create(&thread, NULL, act, NULL) == 0, "no thread");
  (void)pthread_join(thread, NULL);
}

void held_meet_at(hf_pause place, void *(*act)(void *)) {
  meet.place = place;
  meet.act = act;
  hf_test_at_pause = at_pause;
}

void held_do_save(held_save *one, hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_save_request request;
  journal_request(&request, one->doc, one->run);
  one->status = hf_save(store, &request, HELD_SOON_MS, &one->saved, &error);
}

void *held_save_as_other(void *one) {
  held_is_other = 1;
  held_do_save(one, held_other);
  return NULL;
}

/* Acknowledged: it is there once, at its seq. Otherwise it may be there once. */
static void check_saved(const held_save *one, const fault_log *log) {
  const fault_record *record = NULL;
  size_t count = fault_log_count_document(log, one->doc, strlen(one->doc), &record);
  FAULT_CHECK(count <= 1, "%s is there %zu times", one->doc, count);
  if (one->status != HF_OK)
    return;
  FAULT_CHECK(count == 1, "%s, acknowledged at seq %llu, is lost", one->doc,
              (unsigned long long)one->saved.seq);
  FAULT_CHECK(record->seq == one->saved.seq, "%s was acknowledged at seq %llu, and stands at %llu",
              one->doc, (unsigned long long)one->saved.seq, (unsigned long long)record->seq);
}

void held_check(const held_save *saves, size_t count) {
  fault_log log;
  fault_table_remove();
  hf_test_at_pause = NULL;
  hf_close(&held_main);
  hf_close(&held_other);
  hf_store *store = fault_open(journal_path);
  fault_log_read(store, &log);
  for (size_t i = 0; i < count; i++)
    check_saved(&saves[i], &log);
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(journal_path);
}

void held_open_both(void) {
  held_main = fault_open(journal_path);
  held_other = fault_open(journal_path);
}

uint64_t held_head(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  fault_must(hf_head(store, &head, &error), &error, "hf_head");
  return head;
}

void held_cut_mark(void) {
  char mark[FAULT_PATH_BYTES];
  fault_path(mark, journal_path, "log/mark");
  FAULT_CHECK(truncate(mark, HELD_MARK_LEFT) == 0, "cannot cut %s: %s", mark, strerror(errno));
}

uint64_t held_marked(void) {
  char mark[FAULT_PATH_BYTES];
  struct stat st;
  fault_path(mark, journal_path, "log/mark");
  FAULT_CHECK(stat(mark, &st) == 0, "there is no %s", mark);
  return (uint64_t)st.st_size;
}

int held_has_met(void) {
  return meet.act == NULL;
}

void held_make_store(void) {
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  fault_init_in(journal_path, "flock", "journal");
  journal_boot_again();
}

void held_damage_line(unsigned i) {
  enum { BYTES = 1 << 16, INTO_IT = 40 };
  static char text[BYTES];
  char part[FAULT_PATH_BYTES];
  fault_path(part, journal_path, "tile/000/0.part");
  int fd = open(part, O_RDWR | O_CLOEXEC);
  ssize_t got = fd >= 0 ? pread(fd, text, sizeof text, 0) : -1;
  const char *line = text;
  for (; got > 0 && i > 0 && line != NULL; i--)
    line = (char *)memchr(line, '\n', (size_t)got - (size_t)(line - text)) + 1;
  FAULT_CHECK(got > INTO_IT, "cannot read %s", part);
  off_t at = line - text + INTO_IT;
  char byte = (char)(text[at] ^ 1);
  FAULT_CHECK(pwrite(fd, &byte, 1, at) == 1 && close(fd) == 0, "cannot write %s", part);
}
