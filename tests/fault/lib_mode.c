#include "lib_mode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib_table.h"

mode_shared *mode_all;

/* ---- the lockers ----------------------------------------------------------------------------- */

typedef struct noting {
  const char *scheme;
  void *state; /* flock's */
  atomic_int inside;
} noting;

static hf_locker_ops alpha, beta, away;
static atomic_int alpha_is_away, beta_is_away;
static __thread const char *held; /* by this thread */

static const hf_locker_ops *flocker(void) {
  return hf_locker_find("flock");
}

static int open_as(const char *scheme, const hf_locker_open_args *args, void **ret_state,
                   hf_error *reterr) {
  char folder[FAULT_PATH_BYTES];
  hf_locker_open_args mine = *args;
  noting *one = calloc(1, sizeof *one);
  FAULT_CHECK(one != NULL, "out of memory");
  fault_path(folder, fault_folder(), scheme);
  (void)mkdir(folder, 0777);
  mine.store_path = folder;
  one->scheme = scheme;
  int status = flocker()->open(&mine, &one->state, reterr);
  if (status != HF_OK) {
    free(one);
    return status;
  }
  *ret_state = one;
  return HF_OK;
}

static int open_alpha(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  return open_as("alpha", args, ret_state, reterr);
}

static int open_beta(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  return open_as("beta", args, ret_state, reterr);
}

static void close_noting(void **state) {
  if (state == NULL || *state == NULL)
    return;
  noting *one = *state;
  FAULT_CHECK(atomic_load(&one->inside) == 0, "%s was closed while a call was inside it",
              one->scheme);
  flocker()->close(&one->state);
  free(one);
  *state = NULL;
}

static int is_away(const char *scheme) {
  return atomic_load(strcmp(scheme, "alpha") == 0 ? &alpha_is_away : &beta_is_away);
}

static int say_away(hf_error *reterr) {
  if (reterr != NULL)
    *reterr = (hf_error){.code = HF_EBACKEND, .message = "it is away"};
  return HF_EBACKEND;
}

static int acquire_noting(void *state, const char *lock_name, int64_t deadline_ms,
                          hf_grant *ret_grant, hf_error *reterr) {
  noting *one = state;
  if (is_away(one->scheme))
    return say_away(reterr);
  atomic_fetch_add(&one->inside, 1); /* until the release: a grant is a call that goes on */
  int got = flocker()->acquire(one->state, lock_name, deadline_ms, ret_grant, reterr);
  if (got == 1)
    held = one->scheme;
  else
    atomic_fetch_sub(&one->inside, 1);
  return got;
}

static int release_noting(void *state, hf_grant *grant, uint64_t head, hf_error *reterr) {
  noting *one = state;
  int was_held = grant->hold != NULL;
  held = NULL;
  int got = flocker()->release(one->state, grant, head, reterr);
  if (was_held)
    atomic_fetch_sub(&one->inside, 1);
  return got;
}

static int describe_noting(void *state, const char *lock_name, hf_lock_holder *ret_holder,
                           hf_error *reterr) {
  noting *one = state;
  atomic_fetch_add(&one->inside, 1);
  int got = flocker()->describe(one->state, lock_name, ret_holder, reterr);
  atomic_fetch_sub(&one->inside, 1);
  return got;
}

static int break_noting(void *state, const char *lock_name, hf_error *reterr) {
  noting *one = state;
  return flocker()->break_lock(one->state, lock_name, reterr);
}

static int acquire_away(void *state, const char *lock_name, int64_t deadline_ms,
                        hf_grant *ret_grant, hf_error *reterr) {
  (void)state, (void)lock_name, (void)deadline_ms, (void)ret_grant;
  return say_away(reterr);
}

void mode_put_away(const char *scheme, int yes) {
  atomic_store(strcmp(scheme, "alpha") == 0 ? &alpha_is_away : &beta_is_away, yes);
}

const hf_locker_ops *mode_locker(const char *scheme) {
  return strcmp(scheme, "alpha") == 0 ? &alpha : &beta;
}

static void note_link(void *context, fault_call *call) {
  (void)context;
  if (!fault_is_publish(call) || call->result != 0)
    return;
  uint64_t seq = strtoull(call->to_name, NULL, 10);
  FAULT_CHECK(seq < MODE_SEQS_MAX, "too many records");
  (void)snprintf(mode_all->under[seq], MODE_SCHEME_BYTES, "%s", held != NULL ? held : "none");
}

void mode_begin(void) {
  static const fault_hooks hooks = {.after = note_link, .fast_fsync = 1};
  hf_error error = HF_ERROR_INIT;
  mode_all =
      mmap(NULL, sizeof *mode_all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(mode_all != MAP_FAILED, "no shared memory: %s", strerror(errno));
  away = *flocker();
  away.scheme = "away";
  away.acquire = acquire_away;
  alpha = away;
  alpha.scheme = "alpha";
  alpha.open = open_alpha;
  alpha.close = close_noting;
  alpha.acquire = acquire_noting;
  alpha.release = release_noting;
  alpha.describe = describe_noting;
  alpha.break_lock = break_noting;
  beta = alpha;
  beta.scheme = "beta";
  beta.open = open_beta;
  fault_must(hf_locker_register(&alpha, &error), &error, "alpha");
  fault_must(hf_locker_register(&beta, &error), &error, "beta");
  fault_must(hf_locker_register(&away, &error), &error, "away");
  fault_table_install(&hooks);
}

void mode_forget(void) {
  memset(mode_all, 0, sizeof *mode_all);
  mode_put_away("alpha", 0);
  mode_put_away("beta", 0);
}

/* ---- saves ----------------------------------------------------------------------------------- */

void mode_save_next(hf_store *store, int64_t timeout_ms) {
  char run_id[32];
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  uint64_t number = atomic_fetch_add(&mode_all->next, 1);
  FAULT_CHECK(number < MODE_SAVES_MAX, "too many saves");
  mode_save *save = &mode_all->saves[number];
  (void)snprintf(run_id, sizeof run_id, "%llu", (unsigned long long)number);
  hf_save_request request = {
      .key = {.run_id = run_id, .stage = "mode"}, .doc = "{}", .doc_bytes = 2};
  save->began_us = fault_now_us();
  atomic_store(&save->state, 1);
  fault_must(hf_save(store, &request, timeout_ms, &saved, &error), &error, "hf_save");
  save->ended_us = fault_now_us();
  save->seq = saved.seq;
  atomic_store(&save->state, 2);
}

/* ---- the check ------------------------------------------------------------------------------- */

/* A file of several lines has its first one's name. Where processes were killed it may not be known
 * what was held; then each file has one line. */
static const char *under(uint64_t seq, int killed) {
  while (!killed && seq > 1 && mode_all->under[seq][0] == '\0')
    seq--;
  return mode_all->under[seq];
}

static void check_answers(const uint64_t *seq_of, int killed) {
  uint64_t count = atomic_load(&mode_all->next);
  for (uint64_t i = 0; i < count; i++) {
    const mode_save *save = &mode_all->saves[i];
    int state = atomic_load(&save->state);
    FAULT_CHECK(state != 1 || killed, "save %llu was not answered", (unsigned long long)i);
    if (state != 2)
      continue;
    FAULT_CHECK(seq_of[i] == save->seq, "save %llu was answered with seq %llu, and stands at %llu",
                (unsigned long long)i, (unsigned long long)save->seq,
                (unsigned long long)seq_of[i]);
    for (uint64_t j = 0; j < count; j++)
      FAULT_CHECK(atomic_load(&mode_all->saves[j].state) != 2 ||
                      mode_all->saves[j].ended_us >= save->began_us ||
                      mode_all->saves[j].seq < save->seq,
                  "save %llu began after save %llu was answered with seq %llu, and got seq %llu",
                  (unsigned long long)i, (unsigned long long)j,
                  (unsigned long long)mode_all->saves[j].seq, (unsigned long long)save->seq);
  }
}

size_t mode_check(const char *path, int killed) {
  static uint64_t seq_of[MODE_SAVES_MAX];
  hf_error error = HF_ERROR_INIT;
  char present[MODE_SCHEME_BYTES] = "alpha";
  size_t changes = 0;
  uint64_t changed_at = 0;
  uint64_t known = 0;
  hf_list_options options = {.all_records = 1};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  hf_store *store = fault_open(path);
  memset(seq_of, 0, sizeof seq_of);
  fault_must(hf_list(store, &options, &cursor, &error), &error, "hf_list");
  for (uint64_t seq = 1; hf_cursor_next(cursor, &record, &error) == 1; seq++) {
    FAULT_CHECK(record->seq == seq, "seq %llu is missing", (unsigned long long)seq);
    const char *at_link = under(seq, killed);
    FAULT_CHECK(at_link[0] == '\0' || strcmp(at_link, present) == 0,
                "seq %llu was committed under %s, and seq %llu gave the store %s",
                (unsigned long long)seq, at_link, (unsigned long long)changed_at, present);
    known += at_link[0] != '\0';
    if (strcmp(record->op, "mode") == 0) {
      const char *locker = strstr(record->line, "\"locker\":\"");
      FAULT_CHECK(locker != NULL && sscanf(locker, "\"locker\":\"%7[a-z]\"", present) == 1,
                  "no locker");
      changed_at = seq;
      changes++;
    } else {
      uint64_t number = strtoull(record->run_id, NULL, 10);
      FAULT_CHECK(number < MODE_SAVES_MAX && seq_of[number] == 0, "save %llu stands there twice",
                  (unsigned long long)number);
      seq_of[number] = seq;
    }
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  hf_close(&store);
  check_answers(seq_of, killed);
  FAULT_CHECK(known > 0, "nothing was noted");
  fault_verify(path);
  return changes;
}
