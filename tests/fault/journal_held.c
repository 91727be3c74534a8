/* Journal mode: what comes between the calls of one who appends, or reads, where no call of his
 * tells of it.
 *
 *     journal_held [--case NAME]
 *
 *   moved     the leader holds the part, read to its end, and another thread of its handle reads
 *   the
 *             log anew, up to the mark: he appends behind what stands there, not over it
 *   unproven  a flush has failed, the part is opened anew, and a reader's thread looks before what
 *             stood in it was written anew: it is not marked, nor shown
 *   edge      a new boot, log/mark short, records of several tiles behind it, and a first save that
 *             failed half-way: no reader misses one when the boot is told of
 *   copies    a flush of a part that holds copies of loose records has failed: the tile is not made
 *             of that part
 *   ender     a writer in publish mode sleeps before its link; the store goes to journal mode, and
 *             his staged file is gone: he ends his attempt by no link
 *   repair    a writer whose lock was broken holds the part, and repair would replace it */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib.h"
#include "lib_journal.h"
#include "lib_table.h"

#include "part.h"
#include "plant.h"
#include "store.h"
#include "tile.h"

enum { SOON_MS = 2000, MARK_LEFT = 2, LOOSE = HF_TILE_RECORDS > 64 ? 20 : 2 };

static hf_store *main_store, *other_store;
static __thread int is_other;

/* The other one stops before a call of this kind on such a path, once. */
static struct {
  int is_armed;
  fault_kind kind;
  const char *end;
  sem_t reached, go;
  int fails; /* the next fdatasync of who is not the other one */
  void (*see)(const fault_call *call);
} stop;

static void before(void *context, fault_call *call) {
  (void)context;
  if (stop.see != NULL)
    stop.see(call);
  if (is_other && stop.is_armed && call->kind == stop.kind &&
      fault_fd_ends_in(call->fd, stop.end)) {
    stop.is_armed = 0;
    (void)sem_post(&stop.reached);
    (void)sem_wait(&stop.go);
  }
  if (is_other || call->kind != FAULT_FDATASYNC || !stop.fails)
    return;
  stop.fails = 0;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static const fault_hooks hooks = {.before = before, .fast_fsync = 1};

static void begin(void) {
  memset(&stop, 0, sizeof stop);
  FAULT_CHECK(sem_init(&stop.reached, 0, 0) == 0 && sem_init(&stop.go, 0, 0) == 0, "no semaphore");
  is_other = 0;
  fault_table_install(&hooks);
}

/* What the leader of main_store meets at a pause, once. */
static struct {
  hf_pause place;
  void *(*act)(void *);
} meet;

static void at_pause(hf_pause place) {
  pthread_t thread;
  if (is_other || meet.act == NULL || place != meet.place)
    return;
  void *(*act)(void *) = meet.act;
  meet.act = NULL;
  FAULT_CHECK(pthread_create(&thread, NULL, act, NULL) == 0, "no thread");
  (void)pthread_join(thread, NULL);
}

static void meet_at(hf_pause place, void *(*act)(void *)) {
  meet.place = place;
  meet.act = act;
  hf_test_at_pause = at_pause;
}

/* ---- saves, and what became of them ---- */

typedef struct one_save {
  hf_store *store;
  char doc[JOURNAL_TEXT_BYTES];
  char run[JOURNAL_TEXT_BYTES];
  int status;
  hf_saved saved;
} one_save;

static void save(one_save *one, hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_save_request request;
  one->store = store;
  journal_request(&request, one->doc, one->run);
  one->status = hf_save(store, &request, SOON_MS, &one->saved, &error);
}

static void *save_as_other(void *one) {
  is_other = 1;
  save(one, other_store);
  return NULL;
}

/* Acknowledged: it is there once, at its seq. Otherwise it may be there once. */
static void check_saved(const one_save *one, const fault_log *log) {
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

static void check_all(const one_save *saves, size_t count) {
  fault_log log;
  fault_table_remove();
  hf_test_at_pause = NULL;
  hf_close(&main_store);
  hf_close(&other_store);
  hf_store *store = fault_open(journal_path);
  fault_log_read(store, &log);
  for (size_t i = 0; i < count; i++)
    check_saved(&saves[i], &log);
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(journal_path);
}

static void open_both(void) {
  main_store = fault_open(journal_path);
  other_store = fault_open(journal_path);
}

static uint64_t head_of(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  fault_must(hf_head(store, &head, &error), &error, "hf_head");
  return head;
}

/* ---- moved ---- */

static void *fail_and_look(void *unused) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  stop.fails = 1;
  (void)hf_head(main_store, &head, &error); /* its flush fails */
  stop.fails = 0;
  (void)hf_head(main_store, &head, &error);
  return unused;
}

static void *lose_and_look(void *unused) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  (void)pthread_mutex_lock(&main_store->view_mutex);
  main_store->view.index_failed = 1; /* an index could not be read */
  (void)pthread_mutex_unlock(&main_store->view_mutex);
  (void)hf_head(main_store, &head, &error);
  return unused;
}

static void moved_by(const char *why, void *(*act)(void *)) {
  one_save saves[2];
  pthread_t thread;
  fault_context("moved, %s", why);
  journal_make_store();
  open_both();
  (void)journal_save(main_store);
  (void)journal_save(other_store);
  (void)journal_save(main_store);
  begin();
  stop.kind = FAULT_PWRITE; /* flushed, and not marked yet */
  stop.end = "/log/mark";
  stop.is_armed = 1;
  FAULT_CHECK(pthread_create(&thread, NULL, save_as_other, &saves[1]) == 0, "no thread");
  (void)sem_wait(&stop.reached);
  meet_at(HF_PAUSE_HELD, act);
  save(&saves[0], main_store);
  FAULT_CHECK(meet.act == NULL, "nobody came between");
  (void)sem_post(&stop.go);
  (void)pthread_join(thread, NULL);
  check_all(saves, 2);
  for (int i = 0; i < 2; i++)
    FAULT_CHECK(saves[i].status == HF_OK, "save %d: %s", i, hf_status_name(saves[i].status));
}

static void moved(void) {
  moved_by("a failed flush", fail_and_look);
  moved_by("an index that cannot be read", lose_and_look);
  (void)printf("journal_held moved: by a failed flush and by a lost index\n");
}

/* ---- unproven ---- */

static uint64_t unproven_at; /* of the line that may be on no disk */
static int is_anew;          /* it was written anew */

static void see_writes(const fault_call *call) {
  if (call->kind == FAULT_PWRITE && fault_fd_ends_in(call->fd, ".part") &&
      (uint64_t)call->offset <= unproven_at && (uint64_t)call->offset + call->count > unproven_at)
    is_anew = 1;
}

static uint64_t marked(void) {
  char mark[FAULT_PATH_BYTES];
  struct stat st;
  fault_path(mark, journal_path, "log/mark");
  FAULT_CHECK(stat(mark, &st) == 0, "there is no %s", mark);
  return (uint64_t)st.st_size;
}

static void *look_before_proof(void *unused) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  uint64_t was = marked();
  (void)hf_head(main_store, &head, &error);
  FAULT_CHECK(is_anew || marked() == was,
              "seq %llu was marked, and not written anew since its flush failed",
              (unsigned long long)marked());
  return unused;
}

static void unproven(void) {
  one_save saves[2];
  journal_make_store();
  open_both();
  (void)journal_save(main_store);
  unproven_at = main_store->part_end;
  is_anew = 0;
  begin();
  stop.fails = 1;
  save(&saves[0], main_store);
  FAULT_CHECK(saves[0].status == HF_EUNSURE, "the first save: %s", hf_status_name(saves[0].status));
  stop.see = see_writes;
  meet_at(HF_PAUSE_READ, look_before_proof);
  save(&saves[1], main_store);
  FAULT_CHECK(saves[1].status == HF_OK, "the next save: %s", hf_status_name(saves[1].status));
  FAULT_CHECK(is_anew, "what a flush has failed to write was not written anew");
  check_all(saves, 2);
  (void)printf("journal_held unproven: written anew before it is marked\n");
}

/* ---- edge: a boot is told of where nothing more stands behind ---- */

static struct {
  int fails; /* the next opening of part 1 */
  int looks; /* who leaves part 1 may be killed: a reader looks then */
  uint64_t known;
} edge_case;

static void see_part(const fault_call *call) {
  if (!edge_case.looks || call->kind != FAULT_FLOCK || (call->flags & LOCK_UN) == 0 ||
      !fault_fd_ends_in(call->fd, "/1.part"))
    return;
  edge_case.looks = 0;
  hf_store *reader = fault_open(journal_path);
  uint64_t head = head_of(reader);
  FAULT_CHECK(head >= edge_case.known, "a reader sees %llu records, and %llu were acknowledged",
              (unsigned long long)head, (unsigned long long)edge_case.known);
  hf_close(&reader);
}

static void fail_opening(void *context, fault_call *call) {
  before(context, call);
  if (!edge_case.fails || call->kind != FAULT_OPENAT || call->name == NULL ||
      strcmp(call->name, "1.part") != 0)
    return;
  edge_case.fails = 0;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EMFILE;
}

static void cut_mark(void) {
  char mark[FAULT_PATH_BYTES];
  fault_path(mark, journal_path, "log/mark");
  FAULT_CHECK(truncate(mark, MARK_LEFT) == 0, "cannot cut %s: %s", mark, strerror(errno));
}

static void edge(void) {
  static const fault_hooks failing = {.before = fail_opening, .fast_fsync = 1};
  one_save saves[2];
  journal_make_store();
  main_store = fault_open(journal_path);
  do
    edge_case.known = journal_save(main_store);
  while (edge_case.known < 2 * HF_TILE_RECORDS + HF_TILE_RECORDS / 4);
  hf_close(&main_store);
  cut_mark();
  journal_boot_again();
  open_both();
  begin();
  fault_table_remove();
  fault_table_install(&failing);
  stop.see = see_part;
  edge_case.fails = 1;
  save(&saves[0], main_store);
  FAULT_CHECK(saves[0].status == HF_EIO, "the first save: %s", hf_status_name(saves[0].status));
  edge_case.looks = 1;
  save(&saves[1], main_store);
  FAULT_CHECK(saves[1].status == HF_OK && saves[1].saved.seq == edge_case.known + 1,
              "the next save: %s", hf_status_name(saves[1].status));
  FAULT_CHECK(!edge_case.looks, "nobody left part 1");
  check_all(saves, 2);
  (void)printf("journal_held edge: a reader saw all %llu records\n",
               (unsigned long long)edge_case.known);
}

/* ---- copies: what a tile is made of ---- */

static int staged_part;

static void see_staged(const fault_call *call) {
  staged_part |=
      call->kind == FAULT_LINK && call->name != NULL && strstr(call->name, ".part") != NULL;
}

static void change_mode(hf_store *store, const char *mode) {
  hf_set_locker_options options = {.timeout_ms = -1, .mode = mode};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  FAULT_CHECK(hf_set_locker(store, "flock", &options, &seq, &error) == 1, "hf_set_locker: %s",
              error.message);
}

static void copies(void) {
  one_save first;
  uint64_t seq = 0;
  uint64_t packed = 0;
  hf_error error = HF_ERROR_INIT;
  journal_make_store();
  open_both();
  do /* to a tile's first record */
    seq = journal_save(main_store);
  while (seq % HF_TILE_RECORDS != 0);
  uint64_t tile_end = seq + HF_TILE_RECORDS;
  change_mode(main_store, "publish");
  if (HF_TILE_RECORDS > 4)
    for (int i = 0; i < LOOSE; i++)
      (void)journal_save(main_store);
  change_mode(main_store, "journal");
  begin();
  stop.fails = 1;
  save(&first, main_store);
  FAULT_CHECK(first.status == HF_EUNSURE, "the first save: %s", hf_status_name(first.status));
  do
    seq = journal_save(main_store);
  while (seq < tile_end);
  staged_part = 0;
  stop.see = see_staged;
  fault_must(fault_pack(other_store, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed > 0, "nothing was packed");
  stop.see = NULL;
  hf_close(&other_store);
  other_store = fault_open(journal_path);
  FAULT_CHECK(!staged_part || HF_TILE_RECORDS == 4,
              "the tile is made of a part whose copies may be on no disk");
  check_all(&first, 1);
  (void)printf("journal_held copies: the tile was written anew\n");
}

/* ---- ender ---- */

static int links; /* of records, by the one who sleeps */

static void sweep_stage(void) {
  char path[FAULT_PATH_BYTES];
  fault_path(path, journal_path, "stage");
  DIR *dir = opendir(path);
  FAULT_CHECK(dir != NULL, "cannot read %s", path);
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
    (void)unlinkat(dirfd(dir), entry->d_name, 0);
  (void)closedir(dir);
}

static void see_link(const fault_call *call) {
  if (is_other || !fault_is_publish(call) || ++links > 1)
    return;
  is_other = 1; /* he sleeps; others go on */
  hf_set_locker_options options = {.timeout_ms = -1, .mode = "journal"};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  FAULT_CHECK(hf_set_locker(other_store, "flock", &options, &seq, &error) == 1, "hf_set_locker: %s",
              error.message);
  (void)journal_save(other_store);
  sweep_stage();
  is_other = 0;
}

static void ender(void) {
  one_save saves[2];
  uint64_t seq = 0;
  hf_error error = HF_ERROR_INIT;
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  fault_init(journal_path, "none");
  journal_boot_again();
  open_both();
  (void)journal_save(main_store);
  begin();
  links = 0;
  stop.see = see_link;
  save(&saves[0], main_store);
  stop.see = NULL;
  FAULT_CHECK(links == 1, "a record was linked in journal mode");
  FAULT_CHECK(saves[0].status == HF_EUNSURE, "the save: %s", hf_status_name(saves[0].status));
  int found = hf_resolve(other_store, saves[0].saved.id, -1, &seq, &error);
  FAULT_CHECK(found == 0, "hf_resolve: %d: %s", found, error.message);
  save(&saves[1], main_store);
  FAULT_CHECK(saves[1].status == HF_OK, "the next save: %s", hf_status_name(saves[1].status));
  check_all(saves, 2);
  (void)printf("journal_held ender: not known, then ended by a line of the part\n");
}

/* ---- repair ---- */

static void damage_line(void) {
  char part[FAULT_PATH_BYTES];
  char byte = 0;
  fault_path(part, journal_path, "tile/000/0.part");
  int fd = open(part, O_RDWR | O_CLOEXEC);
  const off_t at = 40; /* in its first line */
  FAULT_CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1, "cannot read %s", part);
  byte ^= 1;
  FAULT_CHECK(pwrite(fd, &byte, 1, at) == 1 && close(fd) == 0, "cannot write %s", part);
}

static int repair(hf_error *reterr) {
  hf_verify_options options = {.repair = 1, .timeout_ms = SOON_MS};
  hf_verify_report report;
  return hf_verify(journal_path, &options, &report, reterr);
}

static void *repair_beside(void *unused) {
  hf_error error = HF_ERROR_INIT;
  char lock[FAULT_PATH_BYTES];
  is_other = 1;
  damage_line();
  fault_path(lock, journal_path, "lock"); /* as lock break does: another file has its name */
  FAULT_CHECK(unlink(lock) == 0 || errno == ENOENT, "cannot break the lock");
  int status = repair(&error);
  FAULT_CHECK(status == HF_ELOCK, "repair beside one who holds the part: %s: %s",
              hf_status_name(status), error.message);
  return unused;
}

static void repair_held(void) {
  one_save one;
  hf_error error = HF_ERROR_INIT;
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  fault_init_in(journal_path, "flock", "journal");
  journal_boot_again();
  open_both();
  (void)journal_save(main_store);
  (void)journal_save(main_store);
  begin();
  meet_at(HF_PAUSE_AFTER_ACQUIRE, repair_beside);
  save(&one, main_store);
  FAULT_CHECK(one.status == HF_OK, "the save: %s", hf_status_name(one.status));
  int status = repair(&error);
  FAULT_CHECK(status >= 0, "repair: %s", error.message);
  check_all(&one, 1);
  (void)printf("journal_held repair: refused, and done behind him\n");
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"moved", moved},   {"unproven", unproven}, {"edge", edge},
               {"copies", copies}, {"ender", ender},       {"repair", repair_held}};
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
