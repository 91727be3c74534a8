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
 *   back      between the look that gave a writer of publish mode his number and his link the mode
 *             goes to journal and back: he links nothing
 *   freed     a packer could not make tile/mark durable: the part is freed by no other one before
 * it is packed    a reader in a new boot looks for the part when its tile has been packed */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_held.h"

#include "part.h"
#include "store.h"
#include "tile.h"

enum { LOOSE = HF_TILE_RECORDS > 64 ? 20 : 2 };

/* ---- moved ---- */

static void *fail_and_look(void *unused) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  held_stop.fails = 1;
  (void)hf_head(held_main, &head, &error); /* its flush fails */
  held_stop.fails = 0;
  (void)hf_head(held_main, &head, &error);
  return unused;
}

static void *lose_and_look(void *unused) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  (void)pthread_mutex_lock(&held_main->view_mutex);
  held_main->view.index_failed = 1; /* an index could not be read */
  (void)pthread_mutex_unlock(&held_main->view_mutex);
  (void)hf_head(held_main, &head, &error);
  return unused;
}

static void moved_by(const char *why, void *(*act)(void *)) {
  held_save saves[2];
  pthread_t thread;
  fault_context("moved, %s", why);
  journal_make_store();
  held_open_both();
  (void)journal_save(held_main);
  (void)journal_save(held_other);
  (void)journal_save(held_main);
  held_begin();
  held_stop.kind = FAULT_PWRITE; /* flushed, and not marked yet */
  held_stop.end = "/log/mark";
  held_stop.is_armed = 1;
  FAULT_CHECK(pthread_create(&thread, NULL, held_save_as_other, &saves[1]) == 0, "no thread");
  (void)sem_wait(&held_stop.reached);
  held_meet_at(HF_PAUSE_HELD, act);
  held_do_save(&saves[0], held_main);
  FAULT_CHECK(held_has_met(), "nobody came between");
  (void)sem_post(&held_stop.go);
  (void)pthread_join(thread, NULL);
  held_check(saves, 2);
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

static void *look_before_proof(void *unused) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  uint64_t was = held_marked();
  (void)hf_head(held_main, &head, &error);
  FAULT_CHECK(is_anew || held_marked() == was,
              "seq %llu was marked, and not written anew since its flush failed",
              (unsigned long long)held_marked());
  return unused;
}

static void unproven(void) {
  held_save saves[2];
  journal_make_store();
  held_open_both();
  (void)journal_save(held_main);
  unproven_at = held_main->part_end;
  is_anew = 0;
  held_begin();
  held_stop.fails = 1;
  held_do_save(&saves[0], held_main);
  FAULT_CHECK(saves[0].status == HF_EUNSURE, "the first save: %s", hf_status_name(saves[0].status));
  held_stop.see = see_writes;
  held_meet_at(HF_PAUSE_READ, look_before_proof);
  held_do_save(&saves[1], held_main);
  FAULT_CHECK(saves[1].status == HF_OK, "the next save: %s", hf_status_name(saves[1].status));
  FAULT_CHECK(is_anew, "what a flush has failed to write was not written anew");
  held_check(saves, 2);
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
  uint64_t head = held_head(reader);
  FAULT_CHECK(head >= edge_case.known, "a reader sees %llu records, and %llu were acknowledged",
              (unsigned long long)head, (unsigned long long)edge_case.known);
  hf_close(&reader);
}

static void fail_opening(void *context, fault_call *call) {
  held_before(context, call);
  if (!edge_case.fails || call->kind != FAULT_OPENAT || call->name == NULL ||
      strcmp(call->name, "1.part") != 0)
    return;
  edge_case.fails = 0;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EMFILE;
}

static void edge(void) {
  static const fault_hooks failing = {.before = fail_opening, .fast_fsync = 1};
  held_save saves[2];
  journal_make_store();
  held_main = fault_open(journal_path);
  do
    edge_case.known = journal_save(held_main);
  while (edge_case.known < 2 * HF_TILE_RECORDS + HF_TILE_RECORDS / 4);
  hf_close(&held_main);
  held_cut_mark();
  journal_boot_again();
  held_open_both();
  held_begin();
  fault_table_remove();
  fault_table_install(&failing);
  held_stop.see = see_part;
  edge_case.fails = 1;
  held_do_save(&saves[0], held_main);
  FAULT_CHECK(saves[0].status == HF_EIO, "the first save: %s", hf_status_name(saves[0].status));
  edge_case.looks = 1;
  held_do_save(&saves[1], held_main);
  FAULT_CHECK(saves[1].status == HF_OK && saves[1].saved.seq == edge_case.known + 1,
              "the next save: %s", hf_status_name(saves[1].status));
  FAULT_CHECK(!edge_case.looks, "nobody left part 1");
  held_check(saves, 2);
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
  held_save first;
  uint64_t seq = 0;
  uint64_t packed = 0;
  hf_error error = HF_ERROR_INIT;
  journal_make_store();
  held_open_both();
  do /* to a tile's first record */
    seq = journal_save(held_main);
  while (seq % HF_TILE_RECORDS != 0);
  uint64_t tile_end = seq + HF_TILE_RECORDS;
  change_mode(held_main, "publish");
  if (HF_TILE_RECORDS > 4)
    for (int i = 0; i < LOOSE; i++)
      (void)journal_save(held_main);
  change_mode(held_main, "journal");
  held_begin();
  held_stop.fails = 1;
  held_do_save(&first, held_main);
  FAULT_CHECK(first.status == HF_EUNSURE, "the first save: %s", hf_status_name(first.status));
  do
    seq = journal_save(held_main);
  while (seq < tile_end);
  staged_part = 0;
  held_stop.see = see_staged;
  fault_must(fault_pack(held_other, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed > 0, "nothing was packed");
  held_stop.see = NULL;
  hf_close(&held_other);
  held_other = fault_open(journal_path);
  FAULT_CHECK(!staged_part || HF_TILE_RECORDS == 4,
              "the tile is made of a part whose copies may be on no disk");
  held_check(&first, 1);
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
  if (held_is_other || !fault_is_publish(call) || ++links > 1)
    return;
  held_is_other = 1; /* he sleeps; others go on */
  hf_set_locker_options options = {.timeout_ms = -1, .mode = "journal"};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  FAULT_CHECK(hf_set_locker(held_other, "flock", &options, &seq, &error) == 1, "hf_set_locker: %s",
              error.message);
  (void)journal_save(held_other);
  sweep_stage();
  held_is_other = 0;
}

static void ender(void) {
  held_save saves[2];
  uint64_t seq = 0;
  hf_error error = HF_ERROR_INIT;
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  fault_init(journal_path, "none");
  journal_boot_again();
  held_open_both();
  (void)journal_save(held_main);
  held_begin();
  links = 0;
  held_stop.see = see_link;
  held_do_save(&saves[0], held_main);
  held_stop.see = NULL;
  FAULT_CHECK(links == 1, "a record was linked in journal mode");
  FAULT_CHECK(saves[0].status == HF_EUNSURE, "the save: %s", hf_status_name(saves[0].status));
  int found = hf_resolve(held_other, saves[0].saved.id, -1, &seq, &error);
  FAULT_CHECK(found == 0, "hf_resolve: %d: %s", found, error.message);
  held_do_save(&saves[1], held_main);
  FAULT_CHECK(saves[1].status == HF_OK, "the next save: %s", hf_status_name(saves[1].status));
  held_check(saves, 2);
  (void)printf("journal_held ender: not known, then ended by a line of the part\n");
}

/* ---- back: a number that stands in a part ---- */

static struct {
  int state; /* 0: publish mode; 1: journal mode; 2: publish mode again */
  uint64_t head;
} there;

static void set_to(const char *locker, const char *mode) {
  hf_set_locker_options options = {.timeout_ms = -1, .mode = mode};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  FAULT_CHECK(hf_set_locker(held_other, locker, &options, &seq, &error) == 1, "hf_set_locker: %s",
              error.message);
}

static void *look_by_main(void *unused) {
  held_is_other = 1;
  there.head = held_head(held_main);
  return unused;
}

static void see_back(const fault_call *call) {
  pthread_t thread;
  int is_blob = (call->kind == FAULT_LINK || call->kind == FAULT_RENAME) && call->name != NULL &&
                strstr(call->name, ".blob") != NULL;
  if (held_is_other || (there.state == 0 && call->kind != FAULT_FSYNC) ||
      (there.state == 1 && !is_blob) || there.state == 2)
    return;
  held_is_other = 1;
  if (there.state == 0)
    set_to("flock", "journal");
  (void)journal_save(held_other);
  if (there.state == 1)
    set_to("none", "publish");
  held_is_other = 0;
  if (++there.state < 2)
    return;
  FAULT_CHECK(pthread_create(&thread, NULL, look_by_main, NULL) == 0, "no thread");
  (void)pthread_join(thread, NULL);
}

static void back(void) {
  enum { BYTES = 100000 }; /* a blob */
  static char doc[BYTES];
  fault_log log;
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  fault_init(journal_path, "none");
  journal_boot_again();
  held_open_both();
  (void)journal_save(held_main);
  memset(doc, 'a', sizeof doc);
  memcpy(doc, "{\"x\":\"", 6);
  memcpy(doc + sizeof doc - 3, "\"}", 3);
  hf_save_request request = {
      .key = {.run_id = "blob", .stage = "journal"}, .doc = doc, .doc_bytes = sizeof doc - 1};
  held_begin();
  memset(&there, 0, sizeof there);
  held_stop.see = see_back;
  int status = hf_save(held_main, &request, -1, &saved, &error);
  held_stop.see = NULL;
  FAULT_CHECK(status == HF_OK && there.state == 2, "the save: %s: %s", hf_status_name(status),
              error.message);
  held_check(NULL, 0);
  hf_store *store = fault_open(journal_path);
  fault_log_read(store, &log);
  FAULT_CHECK(fault_log_count_document(&log, doc, sizeof doc - 1, NULL) == 1 &&
                  fault_log_find_id(&log, saved.id) != NULL &&
                  fault_log_find_id(&log, saved.id)->seq == saved.seq,
              "what was acknowledged at seq %llu is not there", (unsigned long long)saved.seq);
  fault_log_free(&log);
  hf_close(&store);
  (void)printf("journal_held back: acknowledged at seq %llu, and there\n",
               (unsigned long long)saved.seq);
}

/* ---- packed ---- */

static uint64_t packed_head;

static void *read_as_other(void *unused) {
  held_is_other = 1;
  hf_store *reader = fault_open(journal_path);
  packed_head = held_head(reader);
  hf_close(&reader);
  return unused;
}

static int openings; /* of the part by the other one, until it stops */

static void see_opening(const fault_call *call) {
  if (!held_is_other || call->kind != FAULT_OPENAT || call->name == NULL ||
      strcmp(call->name, "0.part") != 0 || --openings != 0)
    return;
  (void)sem_post(&held_stop.reached);
  (void)sem_wait(&held_stop.go);
}

static void packed(void) {
  const int before = HF_TILE_RECORDS > 20 ? 20 : HF_TILE_RECORDS - 1;
  pthread_t thread;
  uint64_t known = 0;
  uint64_t seq = 0;
  uint64_t tiles = 0;
  hf_error error = HF_ERROR_INIT;
  held_make_store();
  held_main = fault_open(journal_path);
  for (int i = 0; i < before; i++)
    known = journal_save(held_main);
  hf_close(&held_main);
  held_cut_mark();
  journal_boot_again();
  held_begin();
  openings = 2; /* the first is for what log/mark tells of */
  held_stop.see = see_opening;
  FAULT_CHECK(pthread_create(&thread, NULL, read_as_other, NULL) == 0, "no thread");
  (void)sem_wait(&held_stop.reached);
  held_open_both();
  do
    seq = journal_save(held_main);
  while (seq < HF_TILE_RECORDS + 3);
  fault_must(fault_pack(held_main, &tiles, &error), &error, "hf_pack");
  (void)sem_post(&held_stop.go);
  (void)pthread_join(thread, NULL);
  held_stop.see = NULL;
  FAULT_CHECK(packed_head >= known, "a reader saw %llu records, and %llu were acknowledged",
              (unsigned long long)packed_head, (unsigned long long)known);
  held_check(NULL, 0);
  (void)printf("journal_held packed: a reader saw %llu records\n", (unsigned long long)packed_head);
}

/* ---- freed ---- */

static struct {
  int fails; /* the next fsync of tile/mark */
  int is_secured;
  int is_freed;
} freeing;

static void see_freeing(void *context, fault_call *call) {
  held_before(context, call);
  if (call->kind == FAULT_FSYNC && fault_fd_ends_in(call->fd, "/tile/mark")) {
    freeing.is_secured = !freeing.fails;
    call->skip = freeing.fails;
    call->result = freeing.fails ? -1 : 0;
    call->sys_errno = EIO;
    freeing.fails = 0;
  }
  if (call->kind != FAULT_UNLINK || call->name == NULL || strstr(call->name, "0.part") == NULL)
    return;
  freeing.is_freed = 1;
  FAULT_CHECK(freeing.is_secured, "the part is freed, and tile/mark is not durable");
}

static void freed(void) {
  static const fault_hooks failing = {.before = see_freeing, .fast_fsync = 1};
  uint64_t tiles = 0;
  uint64_t seq = 0;
  hf_error error = HF_ERROR_INIT;
  held_make_store();
  held_open_both();
  do
    seq = journal_save(held_main);
  while (seq < HF_TILE_RECORDS + 1);
  held_begin();
  fault_table_remove();
  fault_table_install(&failing);
  memset(&freeing, 0, sizeof freeing);
  freeing.fails = 1;
  int status = fault_pack(held_main, &tiles, &error);
  FAULT_CHECK(status == HF_EIO, "the first packer: %s", hf_status_name(status));
  fault_must(fault_pack(held_other, &tiles, &error), &error, "the second packer");
  FAULT_CHECK(freeing.is_freed, "the part was not freed");
  held_check(NULL, 0);
  (void)printf("journal_held freed: behind a mark that is durable\n");
}

int main(int argc, char **argv) {
  static const fault_case cases[] = {{"moved", moved},   {"unproven", unproven}, {"edge", edge},
                                     {"copies", copies}, {"ender", ender},       {"back", back},
                                     {"packed", packed}, {"freed", freed}};
  fault_run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
  return 0;
}
