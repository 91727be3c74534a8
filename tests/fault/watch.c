/* Watches: each snapshot once, in order, and soon, whatever happens to the store meanwhile.
 *
 *     watch [--case NAME]
 *
 *   between    another handle saves before each call of a beginning watch in turn: it is given soon
 *   unproven   journal mode: what is appended and not durable yet is not given
 *   failing    each call of a watch fails once, in turn
 *   away       all calls fail for a while: it is told once, and everything comes when that is over
 *   moved      the store's folder is moved away and back; then a copy stands in its place
 *   damaged    a record that cannot be read is told, and those behind it come
 *   restored   an older copy stands in its place: an error, and nothing is given twice
 *   at-work    others save, pack and change the mode meanwhile
 *
 * With HF_TEST_SHARED=1 the mark is looked at; else the kernel tells of it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <holdfast/watch.h>

#include "lib.h"
#include "lib_table.h"

#include "plant.h"

enum {
  CALLS_MAX = 400,
  LOOK_MS = 20,
  SOON_MS = 2500, /* a busy machine's; a look that is only made now and then comes later */
  LATE_MS = 2 * HF_WATCH_LOOK_LOCAL_MS,
  NOTHING_MS = 200,
  AT_WORK_SAVES = 700,
  AT_WORK_CHANGES = 6,
};

static char path[FAULT_PATH_BYTES];
static uint64_t number; /* of the last save, and its seq where nothing else is in the log */
static const char *mode;

/* ---- helpers ---- */

static struct {
  unsigned away;
  unsigned back;
} told;

static void note_log(void *context, hf_log_level level, const char *message) {
  (void)context;
  if (level != HF_LOG_WARNING)
    return;
  told.away += strstr(message, "waiting until") != NULL;
  told.back += strstr(message, "going on behind") != NULL;
}

static hf_store *open_store(void) {
  static const hf_open_options options = {.log = note_log};
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  fault_must(hf_open(path, &options, &store, &error), &error, "hf_open");
  return store;
}

static uint64_t save(hf_store *store) {
  char doc[32];
  char run[32];
  uint64_t i = ++number;
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  (void)snprintf(doc, sizeof doc, "{\"n\":%llu}", (unsigned long long)i);
  (void)snprintf(run, sizeof run, "r%llu", (unsigned long long)i);
  hf_save_request request = {
      .key = {.run_id = run, .stage = "watch"}, .doc = doc, .doc_bytes = strlen(doc)};
  fault_must(hf_save(store, &request, -1, &saved, &error), &error, "hf_save");
  return saved.seq;
}

static hf_watch *begin_watch(uint64_t since) {
  hf_error error = HF_ERROR_INIT;
  hf_watch *watch = NULL;
  hf_watch_options options = {.which = {.since = since}, .look_ms = LOOK_MS};
  hf_store *store = open_store();
  fault_must(hf_watch_begin(store, &options, &watch, &error), &error, "hf_watch_begin");
  hf_close(&store); /* a watch has its own */
  return watch;
}

/* The seq that is given within timeout_ms; 0: none. */
static uint64_t next_seq(hf_watch *watch, int64_t timeout_ms) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  int got = hf_watch_next(watch, timeout_ms, &record, &error);
  fault_must(got, &error, "hf_watch_next");
  uint64_t seq = got == 1 ? record->seq : 0;
  hf_record_free(&record);
  FAULT_CHECK(seq == 0 || hf_watch_position(watch) == seq, "the position is %llu behind seq %llu",
              (unsigned long long)hf_watch_position(watch), (unsigned long long)seq);
  return seq;
}

static void must_give(hf_watch *watch, uint64_t seq, int64_t timeout_ms) {
  uint64_t got = next_seq(watch, timeout_ms);
  FAULT_CHECK(got == seq, "seq %llu was to be given within %lld ms, and %llu came (0: none)",
              (unsigned long long)seq, (long long)timeout_ms, (unsigned long long)got);
}

static void must_give_nothing(hf_watch *watch, int64_t timeout_ms) {
  uint64_t got = next_seq(watch, timeout_ms);
  FAULT_CHECK(got == 0, "nothing was to be given, and seq %llu came", (unsigned long long)got);
}

static void make_store(void) {
  fault_path(path, fault_folder_in_memory(), "store");
  fault_remove_tree(path);
  fault_init_in(path, "flock", mode);
  memset(&told, 0, sizeof told);
  number = 0;
}

/* ---- what comes between two calls ---- */

static struct {
  pthread_t thread;
  unsigned calls;
  unsigned at; /* at this call; 0: never */
  int came;
  void (*act)(void); /* comes before it */
  int fails;         /* it fails, with: */
  int fails_all;     /* each one does */
  int sys_errno;
} between;

/* What it fails on asks of the store; close does not fail, and nothing is left open. */
static int may_fail(const fault_call *call) {
  return call->kind == FAULT_OPENAT || call->kind == FAULT_PREAD || call->kind == FAULT_FSTAT ||
         call->kind == FAULT_STATX || call->kind == FAULT_FSTATAT || call->kind == FAULT_STATFS;
}

static void before(void *context, fault_call *call) {
  (void)context;
  if (!pthread_equal(pthread_self(), between.thread))
    return;
  int is_it = ++between.calls == between.at;
  between.came |= is_it;
  if (is_it && between.act != NULL) {
    between.at = 0;
    between.act();
  }
  if (((is_it && between.fails) || between.fails_all) && may_fail(call)) {
    call->skip = 1;
    call->result = -1;
    call->sys_errno = between.sys_errno;
  }
}

static const fault_hooks hooks = {.before = before, .fast_fsync = 1};

static void install(void) {
  memset(&between, 0, sizeof between);
  between.thread = pthread_self();
  fault_table_install(&hooks);
}

/* ---- between ---- */

static hf_store *other;
static uint64_t other_seq;

static void other_saves(void) {
  other_seq = save(other);
}

static void case_between(void) {
  unsigned came = 0;
  for (unsigned at = 1; at < CALLS_MAX; at++) {
    fault_context("mode %s, call %u", mode, at);
    make_store();
    other = fault_open(path);
    (void)save(other);
    install();
    between.act = other_saves;
    between.at = at;
    other_seq = 0;
    hf_watch *watch = begin_watch(number + 1);
    uint64_t seq = next_seq(watch, 0);
    between.at = 0;
    came += (unsigned)between.came;
    FAULT_CHECK(seq == 0 || seq == other_seq, "seq %llu was given, nobody has saved it",
                (unsigned long long)seq);
    if (other_seq != 0 && seq == 0)
      must_give(watch, other_seq, SOON_MS);
    must_give_nothing(watch, 0);
    uint64_t later = save(other);
    must_give(watch, later, SOON_MS);
    int is_end = !between.came;
    hf_watch_end(&watch);
    fault_table_remove();
    hf_close(&other);
    if (is_end)
      break;
  }
  FAULT_CHECK(came > 10 && came < CALLS_MAX - 2, "%u calls were made", came);
  fault_verify(path);
}

/* ---- unproven ---- */

static hf_watch *looking;
static uint64_t looked[2];
static int is_flush_watched;

static void before_flush(void *context, fault_call *call) {
  (void)context;
  if (call->kind != FAULT_FDATASYNC || !is_flush_watched)
    return;
  is_flush_watched = 0;
  looked[0] = next_seq(looking, 0);
  looked[1] = next_seq(looking, 0);
}

static void case_unproven(void) {
  static const fault_hooks flush_hooks = {.before = before_flush};
  if (strcmp(mode, "journal") != 0)
    return;
  make_store();
  other = fault_open(path);
  (void)save(other);
  looking = begin_watch(0);
  uint64_t first = save(other);
  is_flush_watched = 1;
  fault_table_install(&flush_hooks);
  uint64_t second = save(other);
  fault_table_remove();
  FAULT_CHECK(!is_flush_watched, "nothing was flushed");
  FAULT_CHECK(looked[0] == first && looked[1] == 0,
              "while seq %llu was not durable yet, %llu and %llu were given",
              (unsigned long long)second, (unsigned long long)looked[0],
              (unsigned long long)looked[1]);
  must_give(looking, second, SOON_MS);
  hf_watch_end(&looking);
  hf_close(&other);
}

/* ---- failing ---- */

static void case_failing(void) {
  make_store();
  hf_store *store = fault_open(path);
  for (int i = 0; i < 3; i++)
    (void)save(store);
  for (unsigned at = 1; at < CALLS_MAX; at++) {
    fault_context("mode %s, call %u", mode, at);
    uint64_t first = number + 1;
    hf_watch *watch = begin_watch(first);
    (void)save(store);
    install();
    between.at = at;
    between.fails = 1;
    between.sys_errno = at % 2 == 0 ? EIO : ESTALE;
    must_give(watch, first, SOON_MS);
    int is_end = !between.came;
    fault_table_remove();
    (void)save(store);
    must_give(watch, first + 1, SOON_MS);
    must_give_nothing(watch, 0);
    hf_watch_end(&watch);
    if (is_end)
      break;
  }
  hf_close(&store);
}

/* ---- away ---- */

static void case_away(void) {
  static const int errnos[] = {EIO, ESTALE, EACCES, ENOENT, ENOTCONN};
  make_store();
  hf_store *store = fault_open(path);
  (void)save(store);
  hf_watch *watch = begin_watch(1);
  must_give(watch, 1, SOON_MS);
  for (size_t i = 0; i < sizeof errnos / sizeof errnos[0]; i++) {
    fault_context("mode %s, errno %d", mode, errnos[i]);
    memset(&told, 0, sizeof told);
    uint64_t first = save(store);
    install();
    between.fails_all = 1;
    between.sys_errno = errnos[i];
    must_give_nothing(watch, NOTHING_MS);
    FAULT_CHECK(told.away == 1, "that it is away was told %u times", told.away);
    fault_table_remove();
    (void)save(store);
    install();
    between.fails_all = 1;
    between.sys_errno = errnos[i];
    must_give_nothing(watch, NOTHING_MS);
    fault_table_remove();
    for (uint64_t seq = first; seq < first + 2; seq++)
      must_give(watch, seq, SOON_MS);
    must_give_nothing(watch, NOTHING_MS);
    FAULT_CHECK(told.away == 1 && told.back == 1, "away was told %u times, back %u times",
                told.away, told.back);
  }
  hf_watch_end(&watch);
  hf_close(&store);
}

/* ---- moved ---- */

static void move_to(const char *from, const char *to) {
  FAULT_CHECK(rename(from, to) == 0, "%s cannot be moved: %s", from, strerror(errno));
}

static void case_moved(void) {
  char away[FAULT_PATH_BYTES];
  char copy[FAULT_PATH_BYTES];
  make_store();
  fault_path(away, fault_folder_in_memory(), "away");
  fault_path(copy, fault_folder_in_memory(), "copy");
  fault_remove_tree(away);
  fault_remove_tree(copy);
  hf_store *store = fault_open(path);
  uint64_t seq = save(store);
  hf_watch *watch = begin_watch(1);
  must_give(watch, seq, SOON_MS);
  move_to(path, away);
  (void)save(store); /* by descriptors; locally the kernel tells of it all the same */
  if (hf_test_shared())
    must_give_nothing(watch, NOTHING_MS);
  else
    must_give(watch, seq + 1, SOON_MS);
  move_to(away, path);
  if (hf_test_shared())
    must_give(watch, seq + 1, SOON_MS);
  hf_close(&store);
  fault_copy_tree(path, copy);
  move_to(path, away);
  move_to(copy, path);
  store = fault_open(path);
  for (int i = 0; i < 2; i++)
    (void)save(store);
  must_give(watch, seq + 2, LATE_MS);
  must_give(watch, seq + 3, SOON_MS);
  must_give_nothing(watch, NOTHING_MS);
  hf_watch_end(&watch);
  hf_close(&store);
}

/* ---- damaged ---- */

/* Turns a bit of the document of seq 2. */
static void damage_second(void) {
  char name[FAULT_PATH_BYTES];
  char text[4096];
  fault_path(name, path,
             strcmp(mode, "journal") == 0 ? "tile/000/0.part" : "log/00000000000000000002.json");
  FILE *file = fopen(name, "r+");
  FAULT_CHECK(file != NULL, "%s cannot be opened: %s", name, strerror(errno));
  size_t bytes = fread(text, 1, sizeof text - 1, file);
  text[bytes] = '\0';
  char *at = memmem(text, bytes, "{\"n\":2}", 7);
  FAULT_CHECK(at != NULL, "%s does not hold the document", name);
  FAULT_CHECK(fseek(file, at - text + 5, SEEK_SET) == 0 && fputc('3', file) == '3' &&
                  fclose(file) == 0,
              "%s cannot be written", name);
}

static void case_damaged(void) {
  make_store();
  hf_store *store = fault_open(path);
  for (int i = 0; i < 3; i++)
    (void)save(store);
  hf_close(&store);
  damage_second();
  hf_watch *watch = begin_watch(1);
  must_give(watch, 1, SOON_MS);
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  int got = hf_watch_next(watch, SOON_MS, &record, &error);
  FAULT_CHECK(got == HF_EDAMAGED && strstr(error.message, "seq 2 ") != NULL,
              "a damaged record is answered by %d: %s", got, error.message);
  must_give(watch, 3, SOON_MS);
  must_give_nothing(watch, NOTHING_MS);
  hf_watch_end(&watch);
}

/* ---- restored ---- */

static void case_restored(void) {
  char copy[FAULT_PATH_BYTES];
  char away[FAULT_PATH_BYTES];
  make_store();
  fault_path(copy, fault_folder_in_memory(), "copy");
  fault_path(away, fault_folder_in_memory(), "away");
  fault_remove_tree(copy);
  fault_remove_tree(away);
  hf_store *store = fault_open(path);
  (void)save(store);
  fault_copy_tree(path, copy);
  (void)save(store);
  hf_close(&store);
  hf_watch *watch = begin_watch(1);
  must_give(watch, 1, SOON_MS);
  must_give(watch, 2, SOON_MS);
  move_to(path, away);
  move_to(copy, path);
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  int got = hf_watch_next(watch, LATE_MS, &record, &error);
  FAULT_CHECK(got == HF_ENOTFOUND, "a store that was put back is answered by %d: %s", got,
              error.message);
  got = hf_watch_next(watch, 0, &record, &error);
  FAULT_CHECK(got == HF_EINVAL, "the watch went on: %d", got);
  hf_watch_end(&watch);
}

/* ---- at work ---- */

static void *work(void *context) {
  (void)context;
  hf_store *store = fault_open(path);
  for (int i = 0; i < AT_WORK_SAVES; i++) {
    (void)save(store);
    if (i % (AT_WORK_SAVES / AT_WORK_CHANGES) != 0)
      continue;
    hf_error error = HF_ERROR_INIT;
    uint64_t packed = 0;
    uint64_t seq = 0;
    hf_set_locker_options options = {.timeout_ms = -1, .mode = i % 200 == 0 ? "publish" : mode};
    fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
    fault_must(hf_set_locker(store, "flock", &options, &seq, &error), &error, "hf_set_locker");
  }
  uint64_t packed = 0;
  fault_must(fault_pack(store, &packed, NULL), NULL, "hf_pack");
  hf_close(&store);
  return NULL;
}

static void case_at_work(void) {
  pthread_t thread;
  make_store();
  hf_watch *watch = begin_watch(0);
  FAULT_CHECK(pthread_create(&thread, NULL, work, NULL) == 0, "no thread");
  uint64_t seqs[AT_WORK_SAVES];
  for (size_t i = 0; i < AT_WORK_SAVES; i++) {
    seqs[i] = next_seq(watch, LATE_MS);
    FAULT_CHECK(seqs[i] != 0, "only %zu of %d snapshots came", i, AT_WORK_SAVES);
  }
  (void)pthread_join(thread, NULL);
  must_give_nothing(watch, NOTHING_MS);
  hf_watch_end(&watch);
  hf_error error = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  hf_list_options options = {.all_revisions = 1};
  hf_store *store = fault_open(path);
  fault_must(hf_list(store, &options, &cursor, &error), &error, "hf_list");
  for (size_t i = 0; i < AT_WORK_SAVES; i++) {
    hf_record *record = NULL;
    FAULT_CHECK(hf_cursor_next(cursor, &record, &error) == 1, "the list is shorter");
    FAULT_CHECK(record->seq == seqs[i], "place %zu: list has seq %llu, the watch gave %llu", i,
                (unsigned long long)record->seq, (unsigned long long)seqs[i]);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  hf_close(&store);
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {
    {"between", case_between},   {"unproven", case_unproven}, {"failing", case_failing},
    {"away", case_away},         {"moved", case_moved},       {"damaged", case_damaged},
    {"restored", case_restored}, {"at-work", case_at_work},
};

int main(int argc, char **argv) {
  const char *wanted = fault_option_text(argc, argv, "--case", "");
  int is_known = wanted[0] == '\0';
  static const char *const modes[] = {"journal", "publish"};
  for (size_t m = hf_test_shared() ? 1 : 0; m < 2; m++) {
    mode = modes[m];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      if (wanted[0] != '\0' && strcmp(wanted, cases[i].name) != 0)
        continue;
      is_known = 1;
      int64_t began_us = fault_now_us();
      fault_context("mode %s, case %s", mode, cases[i].name);
      cases[i].run();
      printf("%s, %s: %lld ms\n", mode, cases[i].name,
             (long long)(fault_now_us() - began_us) / 1000);
    }
  }
  if (!is_known)
    fprintf(stderr, "there is no case %s\n", wanted);
  return is_known ? 0 : FAULT_EXIT_USAGE;
}
