/* What a mount answers: replies that are lost or wrong, and names that are remembered as absent. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib_shared.h"

#include "store.h"

/* What the next link of a record answers. */
typedef struct answer {
  shared_place *place;
  int is_executed;
  long result;
  int sys_errno;
  int used;
  int others_save;
  char kept[64]; /* a further name of the staged file, in stage/ */
} answer;

static void before_link(void *context, fault_call *call) {
  answer *how = context;
  if (how->used || !fault_is_publish(call))
    return;
  how->used = 1;
  if (how->is_executed)
    return;
  call->skip = 1;
  call->result = how->result;
  call->sys_errno = how->sys_errno;
}

static void after_link(void *context, fault_call *call) {
  answer *how = context;
  if (how->used != 1 || !fault_is_publish(call))
    return;
  how->used = 2;
  if (!how->is_executed)
    return;
  FAULT_CHECK(call->result == 0, "the link failed for real: %s", strerror(call->sys_errno));
  call->result = how->result;
  call->sys_errno = how->sys_errno;
}

static void save_with(shared_place *place, int is_executed, long result, int sys_errno) {
  answer how = {
      .place = place, .is_executed = is_executed, .result = result, .sys_errno = sys_errno};
  shared_hook(before_link, after_link, &how);
  uint64_t seq = shared_save_must(place, place->first, 10);
  FAULT_CHECK(seq == 3, "it got seq %llu, not 3", (unsigned long long)seq);
  FAULT_CHECK(how.used == 2, "no link was seen");
  shared_unhook();
}

static void lost_reply(shared_place *place) {
  save_with(place, 1, -1, EEXIST);
}

static void late_eio(shared_place *place) {
  save_with(place, 1, -1, EIO);
}

static void late_estale(shared_place *place) {
  save_with(place, 1, -1, ESTALE);
}

static void late_enoent(shared_place *place) {
  save_with(place, 1, -1, ENOENT);
}

/* The mount says that it is done, and did nothing, for the name existed. */
static void before_ignored(void *context, fault_call *call) {
  answer *how = context;
  if (how->used || !fault_is_publish(call))
    return;
  how->used = 1;
  (void)shared_save_must(how->place, how->place->second, 11);
  call->skip = 1;
  call->result = 0;
  call->sys_errno = 0;
}

static void ignored_existing(shared_place *place) {
  answer how = {.place = place};
  shared_hook(before_ignored, NULL, &how);
  uint64_t seq = shared_save_must(place, place->first, 10);
  FAULT_CHECK(seq == 4, "it got seq %llu; seq 3 is another's", (unsigned long long)seq);
}

/* The staged file has got a second name by a request of an earlier try, which was under way for
 * long; the present one is answered as in the case before. */
static void before_second_try(void *context, fault_call *call) {
  answer *how = context;
  if (!fault_is_publish(call) || how->others_save || how->used == 2)
    return;
  how->others_save = 1;
  (void)shared_save_must(how->place, how->place->second, 11 + (uint64_t)how->used);
  how->others_save = 0;
  if (++how->used == 1)
    return;
  (void)snprintf(how->kept, sizeof how->kept, "%.26s.kept", call->name);
  FAULT_CHECK(linkat(call->fd, call->name, call->fd, how->kept, 0) == 0, "no second name");
  call->skip = 1;
  call->result = 0;
  call->sys_errno = 0;
}

static void count_of_another(shared_place *place) {
  answer how = {.place = place};
  shared_hook(before_second_try, NULL, &how);
  uint64_t seq = shared_save_must(place, place->first, 10);
  FAULT_CHECK(unlinkat(place->first->stage_fd, how.kept, 0) == 0, "the second name is not there");
  FAULT_CHECK(seq == 5, "it got seq %llu; seqs 3 and 4 are another's", (unsigned long long)seq);
}

/* The mount says that it is done, and nothing is there. */
static void nothing_done(shared_place *place) {
  answer how = {.place = place, .is_executed = 0, .result = 0};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  shared_hook(before_link, after_link, &how);
  int status = shared_save_try(place, place->first, 10, NULL, &saved, &error);
  FAULT_CHECK(status == HF_EIO, "it answered %s", hf_status_name(status));
}

/* The link is answered with EIO, and the server does it later: while its owner ends the attempt. */
static void before_under_way(void *context, fault_call *call) {
  answer *how = context;
  if (!fault_is_publish(call))
    return;
  if (how->used++ == 0) {
    (void)snprintf(how->kept, sizeof how->kept, "%.26s.kept", call->name);
    FAULT_CHECK(linkat(call->fd, call->name, call->fd, how->kept, 0) == 0, "cannot keep it");
    call->skip = 1;
    call->result = -1;
    call->sys_errno = EIO;
  } else if (how->used == 2) {
    FAULT_CHECK(linkat(call->fd, how->kept, call->to_fd, call->to_name, 0) == 0, "not at once");
    FAULT_CHECK(unlinkat(call->fd, how->kept, 0) == 0, "cannot forget it");
  }
}

static void under_way(shared_place *place) {
  answer how = {.place = place};
  shared_hook(before_under_way, NULL, &how);
  uint64_t seq = shared_save_must(place, place->first, 10);
  FAULT_CHECK(seq == 3 && how.used >= 2, "seq %llu, %d links", (unsigned long long)seq, how.used);
}

/* Somebody took the staged name away. */
static void before_gone(void *context, fault_call *call) {
  answer *how = context;
  if (how->used || !fault_is_publish(call))
    return;
  how->used = 1;
  FAULT_CHECK(unlinkat(call->fd, call->name, 0) == 0, "the staged name is not there");
}

static void staged_name_gone(shared_place *place) {
  answer how = {.place = place};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  uint64_t seq = 0;
  shared_hook(before_gone, NULL, &how);
  int status = shared_save_try(place, place->first, 10, NULL, &saved, &error);
  FAULT_CHECK(status == HF_EENDED, "it answered %s", hf_status_name(status));
  FAULT_CHECK(strlen(error.id) == HF_ID_CHARS, "the error has no id");
  shared_unhook();
  int got = hf_resolve(place->second, error.id, 5000, &seq, &error);
  FAULT_CHECK(got == 0, "resolve answered %d", got);
}

/* ---- names ---- */

/* The client remembers that a name is absent, until a link to it answers that it exists. */
typedef struct absent {
  const char *name;
  int is_forgotten;
  size_t looks;
} absent;

static void before_absent(void *context, fault_call *call) {
  absent *which = context;
  if (call->kind != FAULT_OPENAT || which->is_forgotten || strcmp(call->name, which->name) != 0)
    return;
  which->looks++;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = ENOENT;
}

static void after_absent(void *context, fault_call *call) {
  absent *which = context;
  if ((call->kind == FAULT_LINK || call->kind == FAULT_RENAME) && call->result < 0 &&
      call->sys_errno == EEXIST && strcmp(call->to_name, which->name) == 0)
    which->is_forgotten = 1;
}

static void remember_and_read(hf_store *reader) {
  absent which = {.name = "00000000000000000003.json"};
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  shared_hook(before_absent, after_absent, &which);
  int got = hf_get_seq(reader, 3, &record, &error);
  fault_must(got, &error, "hf_get_seq");
  FAULT_CHECK(got == 1 && record->seq == 3, "an acknowledged record was not found");
  FAULT_CHECK(which.looks > 0 && which.is_forgotten, "nobody made the client forget");
  hf_record_free(&record);
  shared_unhook();
}

/* By a handle that has saved, and by one that has only been opened to read. */
static void remembered_absence(shared_place *place) {
  (void)shared_save_must(place, place->first, 10);
  remember_and_read(place->second);
  hf_store *reader = fault_open(place->path);
  fault_make_shared(reader);
  remember_and_read(reader);
  hf_close(&reader);
}

/* Who may look up a name that does not exist: nobody but a writer the one that it has tried to
 * link. */
typedef struct watch {
  char tried[64];
  int is_reader;
  size_t looks;
} watch;

static void after_watch(void *context, fault_call *call) {
  watch *who = context;
  if (fault_is_publish(call))
    (void)snprintf(who->tried, sizeof who->tried, "%s", call->to_name);
  if ((call->kind != FAULT_OPENAT && call->kind != FAULT_FSTATAT) ||
      !fault_is_record_name(call->name))
    return;
  who->looks++;
  if (call->result >= 0 || call->sys_errno != ENOENT)
    return;
  FAULT_CHECK(!who->is_reader, "a reader looked for %s, which is absent", call->name);
  FAULT_CHECK(strcmp(call->name, who->tried) == 0,
              "a writer looked for %s, which is absent; it had tried %s", call->name, who->tried);
}

static void read_all(shared_place *place, watch *who) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  hf_store *store = fault_open(place->path);
  fault_make_shared(store);
  who->is_reader = 1;
  for (int i = 0; i < 2; i++) {
    hf_store *reader = i == 0 ? store : place->second;
    fault_must(hf_head(reader, &head, &error), &error, "hf_head");
    for (uint64_t seq = 1; seq <= head; seq++) {
      hf_record *record = NULL;
      fault_must(hf_get_seq(reader, seq, &record, &error), &error, "hf_get_seq");
      hf_record_free(&record);
    }
  }
  who->is_reader = 0;
  hf_close(&store);
}

/* A writer dies between the link and the mark: its name exists, and no mark says so. */
static void before_mark(void *context, fault_call *call) {
  (void)context;
  if (call->kind != FAULT_PWRITE || !fault_fd_ends_in(call->fd, "/log/mark"))
    return;
  call->skip = 1;
  call->result = -1;
  call->sys_errno = EIO;
}

static void no_absent_name(shared_place *place) {
  watch who = {.is_reader = 0};
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  shared_hook(NULL, after_watch, &who);
  for (uint64_t i = 0; i < 8; i++) {
    (void)shared_save_must(place, i % 2 == 0 ? place->first : place->second, 20 + i);
    read_all(place, &who);
  }
  shared_hook(before_mark, NULL, NULL);
  int status = shared_save_try(place, place->first, 30, NULL, &saved, &error);
  FAULT_CHECK(status == HF_EUNSURE, "without its mark it answered %s", hf_status_name(status));
  shared_hook(NULL, after_watch, &who);
  read_all(place, &who);
  (void)shared_save_must(place, place->second, 31);
  read_all(place, &who);
  FAULT_CHECK(who.looks > 100, "only %zu looks were seen", who.looks);
}

const shared_case shared_mount_cases[] = {
    {"lost-reply", "link is done and answers EEXIST", SHARED_BOTH, lost_reply},
    {"late-eio", "link is done and answers EIO", SHARED_BOTH, late_eio},
    {"late-estale", "link is done and answers ESTALE", SHARED_BOTH, late_estale},
    {"late-enoent", "link is done and answers ENOENT", SHARED_BOTH, late_enoent},
    {"ignored-existing", "link answers 0 although the name is another's", SHARED_SHARED,
     ignored_existing},
    {"count-of-another", "the same at a second try, and the staged file has two names",
     SHARED_SHARED, count_of_another},
    {"nothing-done", "link answers 0 and nothing is there", SHARED_SHARED, nothing_done},
    {"under-way", "link answers EIO and is done later", SHARED_SHARED, under_way},
    {"staged-name-gone", "the staged name vanishes before the link", SHARED_BOTH, staged_name_gone},
    {"remembered-absence", "the client remembers that a marked name is absent", SHARED_SHARED,
     remembered_absence},
    {"no-absent-name", "nobody looks up a name that may not exist", SHARED_SHARED, no_absent_name},
    {NULL, NULL, 0, NULL},
};
