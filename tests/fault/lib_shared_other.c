/* What others do between two steps of a writer. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_shared.h"

#include "store.h"
#include "tile.h"

/* What happens right before the first link of a record. */
typedef struct meanwhile {
  shared_place *place;
  void (*happens)(struct meanwhile *what);
  int done;
  char id[HF_ID_CHARS + 1];
  int got;
} meanwhile;

static void before_publish(void *context, fault_call *call) {
  meanwhile *what = context;
  if (what->done || !fault_is_publish(call))
    return;
  what->done = 1;
  what->happens(what);
}

/* ---- overtaken ---- */

static void another_saves(meanwhile *what) {
  uint64_t seq = shared_save_must(what->place, what->place->second, 11);
  FAULT_CHECK(seq == 3, "the one who was faster got seq %llu, not 3", (unsigned long long)seq);
}

static void overtaken(shared_place *place) {
  meanwhile what = {.place = place, .happens = another_saves};
  shared_hook(before_publish, NULL, &what);
  uint64_t seq = shared_save_must(place, place->first, 10);
  FAULT_CHECK(seq == 4, "the one who was slower got seq %llu, not 4", (unsigned long long)seq);
}

/* ---- packed away ---- */

static void others_fill_and_pack(meanwhile *what) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  for (uint64_t seq = 3; seq <= HF_TILE_RECORDS; seq++)
    (void)shared_save_must(what->place, what->place->second, 100 + seq);
  fault_must(fault_pack(what->place->second, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == 1, "%llu tiles were packed", (unsigned long long)packed);
}

static int loose_name_exists(const shared_place *place, const char *name) {
  char path[FAULT_PATH_BYTES];
  struct stat st;
  (void)snprintf(path, sizeof path, "%.400s/log/%.60s", place->path, name);
  return lstat(path, &st) == 0;
}

static void packed_away(shared_place *place) {
  meanwhile what = {.place = place, .happens = others_fill_and_pack};
  shared_hook(before_publish, NULL, &what);
  uint64_t seq = shared_save_must(place, place->first, 10);
  FAULT_CHECK(seq == HF_TILE_RECORDS + 1, "a freed name counted: it got seq %llu, not %d",
              (unsigned long long)seq, HF_TILE_RECORDS + 1);
  FAULT_CHECK(!loose_name_exists(place, "00000000000000000003.json"), "the freed name is in use");
}

/* Without hard links the attempt is not kept: it ends. */
static void packed_away_rename(shared_place *place) {
  meanwhile what = {.place = place, .happens = others_fill_and_pack};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  place->first->rename_mode = place->second->rename_mode = 1;
  shared_hook(before_publish, NULL, &what);
  int status = shared_save_try(place, place->first, 10, NULL, &saved, &error);
  FAULT_CHECK(status == HF_EIO, "it answered %s, seq %llu", hf_status_name(status),
              (unsigned long long)saved.seq);
  FAULT_CHECK(!loose_name_exists(place, "00000000000000000003.json"), "the freed name is in use");
}

/* ---- lines of one's own ---- */

typedef struct opens {
  unsigned count; /* of names of records */
} opens;

static void after_open(void *context, fault_call *call) {
  opens *seen = context;
  seen->count += call->kind == FAULT_OPENAT && fault_is_record_name(call->name);
}

/* A byte of a loose file is another one. */
static void damage(const shared_place *place, uint64_t seq) {
  char path[FAULT_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%.400s/log/%020llu.json", place->path,
                 (unsigned long long)seq);
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  FAULT_CHECK(fd >= 0 && pwrite(fd, "?", 1, 30) == 1 && close(fd) == 0, "cannot damage %s", path);
}

/* A handle that packs what it has saved itself reads what others have saved, and nothing else; what
 * it has tried to link where another was faster is not taken for its own. */
static void own_lines(shared_place *place) {
  meanwhile what = {.place = place, .happens = another_saves};
  opens seen = {0};
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  if (HF_TILE_RECORDS < 16) /* the tile would be full before there is anything to see */
    return;
  place->first->packs = 1; /* no thread does: the last record of the tile is another's */
  shared_hook(before_publish, NULL, &what);
  for (uint64_t seq = 4; seq < HF_TILE_RECORDS; seq++)
    (void)shared_save_must(place, place->first, 100 + seq);
  (void)shared_save_must(place, place->second, 13);
  damage(place, 7);
  shared_hook(NULL, after_open, &seen);
  fault_must(fault_pack(place->first, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == 1, "%llu tiles were packed", (unsigned long long)packed);
  shared_unhook();
  /* four, and one of them when the log was read to its head */
  FAULT_CHECK(seen.count <= 5, "%u loose files were read, for 4 of others", seen.count);
}

/* ---- ended ---- */

static void another_resolves(meanwhile *what) {
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  what->got = hf_resolve(what->place->second, what->id, 5000, &seq, &error);
  fault_must(what->got, &error, "hf_resolve");
  FAULT_CHECK(what->got == 0, "it was found before it was linked, at seq %llu",
              (unsigned long long)seq);
}

/* Others know the id only where the caller gave it: then no staged name can be taken away, the
 * record decides. */
static void ended(shared_place *place) {
  meanwhile what = {.place = place, .happens = another_resolves};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_log log;
  fault_must(hf_make_id(what.id, &error), &error, "hf_make_id");
  shared_hook(before_publish, NULL, &what);
  int status = shared_save_try(place, place->first, 10, what.id, &saved, &error);
  FAULT_CHECK(what.done, "nobody has resolved it");
  FAULT_CHECK(status == HF_EENDED, "resolve said never, and the save answered %s, seq %llu",
              hf_status_name(status), (unsigned long long)saved.seq);
  shared_unhook();
  status = shared_save_try(place, place->second, 10, what.id, &saved, &error);
  FAULT_CHECK(status == HF_EENDED, "a retry of an ended id answered %s", hf_status_name(status));
  fault_log_read(place->second, &log);
  FAULT_CHECK(fault_log_find_id(&log, what.id) == NULL, "an ended id stands in the log");
  fault_log_free(&log);
}

/* ---- the same id, twice at once ---- */

static void another_retries(meanwhile *what) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(shared_save_try(what->place, what->place->second, 10, what->id, &saved, &error),
             &error, "the faster one");
  FAULT_CHECK(saved.created && saved.seq == 3, "the faster one: created %d, seq %llu",
              saved.created, (unsigned long long)saved.seq);
}

static void same_id(shared_place *place) {
  meanwhile what = {.place = place, .happens = another_retries};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(hf_make_id(what.id, &error), &error, "hf_make_id");
  shared_hook(before_publish, NULL, &what);
  fault_must(shared_save_try(place, place->first, 10, what.id, &saved, &error), &error,
             "the slower one");
  FAULT_CHECK(!saved.created && saved.seq == 3, "the slower one: created %d, seq %llu",
              saved.created, (unsigned long long)saved.seq);
}

/* ---- resolved while its owner commits ---- */

typedef struct race {
  shared_place *place;
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int owner_waits; /* before its link */
  int owner_may_go;
  int owner_done;
  char staged[64];
  int status;
  hf_saved saved;
  hf_error error;
} race;

static __thread int is_owner;

static void wait_until(race *both, const int *flag) {
  (void)pthread_mutex_lock(&both->mutex);
  while (!*flag)
    (void)pthread_cond_wait(&both->changed, &both->mutex);
  (void)pthread_mutex_unlock(&both->mutex);
}

static void set(race *both, int *flag) {
  (void)pthread_mutex_lock(&both->mutex);
  *flag = 1;
  (void)pthread_cond_broadcast(&both->changed);
  (void)pthread_mutex_unlock(&both->mutex);
}

static void before_race(void *context, fault_call *call) {
  race *both = context;
  if (is_owner && fault_is_publish(call) && !both->owner_waits) {
    (void)snprintf(both->staged, sizeof both->staged, "%s", call->name);
    set(both, &both->owner_waits);
    wait_until(both, &both->owner_may_go);
  }
  if (!is_owner && call->kind == FAULT_UNLINK && !both->owner_may_go &&
      strcmp(call->name, both->staged) == 0) {
    set(both, &both->owner_may_go);
    wait_until(both, &both->owner_done);
  }
}

static void *owner_main(void *argument) {
  race *both = argument;
  is_owner = 1;
  both->status =
      shared_save_try(both->place, both->place->first, 10, NULL, &both->saved, &both->error);
  set(both, &both->owner_done);
  return NULL;
}

static void committed_meanwhile(shared_place *place) {
  race both = {.place = place,
               .mutex = PTHREAD_MUTEX_INITIALIZER,
               .changed = PTHREAD_COND_INITIALIZER,
               .error = HF_ERROR_INIT};
  hf_error error = HF_ERROR_INIT;
  pthread_t owner;
  uint64_t seq = 0;
  shared_hook(before_race, NULL, &both);
  FAULT_CHECK(pthread_create(&owner, NULL, owner_main, &both) == 0, "no thread");
  wait_until(&both, &both.owner_waits);
  int got = hf_resolve(place->second, both.staged, 5000, &seq, &error);
  fault_must(got, &error, "hf_resolve");
  FAULT_CHECK(both.owner_may_go, "resolve never took the staged name away");
  (void)pthread_join(owner, NULL);
  shared_unhook();
  fault_must(both.status, &both.error, "the owner's save");
  FAULT_CHECK(got == 1 && seq == both.saved.seq,
              "resolve said %s (seq %llu), and the save was acknowledged with seq %llu",
              got == 1 ? "saved" : "never", (unsigned long long)seq,
              (unsigned long long)both.saved.seq);
}

const shared_case shared_other_cases[] = {
    {"overtaken", "another takes the number right before the link", SHARED_BOTH, overtaken},
    {"packed-away", "others fill and pack the tile right before the link", SHARED_BOTH,
     packed_away},
    {"packed-away-rename", "the same, where names are moved", SHARED_BOTH, packed_away_rename},
    {"own-lines", "who packs takes from memory what it has saved itself", SHARED_SHARED, own_lines},
    {"ended", "the attempt is ended by a record right before the link", SHARED_BOTH, ended},
    {"same-id", "another retries the same id right before the link", SHARED_BOTH, same_id},
    {"committed-meanwhile", "the owner commits while the attempt is ended", SHARED_BOTH,
     committed_meanwhile},
    {NULL, NULL, 0, NULL},
};
