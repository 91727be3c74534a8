/* The locker 'flock': an exclusive flock(2) on STORE/<lock name>.
 *
 * The file's one line says who was granted last; its token rises with every grant and is kept
 * without fsync, because nothing depends on it (the storage decides). The text stays when the lock
 * is released: only a flock tells whether it is held. A process that dies loses the lock with its
 * descriptors.
 *
 * An acquire and release that nobody contends cost six system calls: flock, fstatat, pread and
 * pwrite; fstatat and flock. The last description is kept open for the next turn. */
#include "builtin.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "flock_file.h"
#include "flock_wait.h"
#include "holder.h"
#include "id.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum {
  REPLACED_TRIES_MAX = 1000, /* how often the name may become another file during one acquire */
  SHARED_WAIT_MS = 100,      /* how long those who only ask may be in the way */
  SHARED_BASE_US = 20,
  SHARED_CAP_US = 1000,
  POLLS = 6,
  POLL_US = 20,
};

typedef struct flock_state {
  int dirfd;
  pid_t pid; /* of the process that opened it */
  hf_holder_self self;
  pthread_mutex_t mutex;
  hf_flock_file *idle; /* under mutex: an unlocked file for the next turn, or NULL */
  atomic_uint_fast64_t
      token_floor; /* the highest token that this state has seen: a damaged file lowers none */
} flock_state;

static int flock_open(const hf_locker_open_args *args, void **ret_state, hf_error *reterr) {
  if (args->options_json != NULL)
    return hf_err(reterr, HF_ECONFIG, "lockers.flock",
                  "the locker 'flock' has no options; remove it");
  flock_state *state = calloc(1, sizeof *state);
  if (state == NULL)
    return hf_err_nomem(reterr);
  state->dirfd = hf_sys_open_folder(args->store_path);
  if (state->dirfd < 0) {
    int sys_errno = errno;
    free(state);
    return hf_err_sys(reterr, HF_EIO, sys_errno, args->store_path,
                      "cannot open the store's folder");
  }
  state->pid = getpid();
  hf_holder_self_init(&state->self, args->purpose);
  (void)pthread_mutex_init(&state->mutex, NULL);
  *ret_state = state;
  return HF_OK;
}

static void flock_close(void **state_pointer) {
  if (state_pointer == NULL || *state_pointer == NULL)
    return;
  flock_state *state = *state_pointer;
  hf_flock_file_close(&state->idle);
  (void)hf_sys_close(state->dirfd);
  /* In a child the mutex may be held by a thread that exists only in the parent. */
  if (state->pid == getpid())
    (void)pthread_mutex_destroy(&state->mutex);
  free(state);
  *state_pointer = NULL;
}

/* ---- acquire --------------------------------------------------------------------------------- */

static int take_file(flock_state *state, const char *lock_name, hf_flock_file **ret_file,
                     hf_error *reterr) {
  (void)pthread_mutex_lock(&state->mutex);
  hf_flock_file *idle = state->idle;
  if (idle != NULL && strcmp(idle->name, lock_name) == 0)
    state->idle = NULL;
  else
    idle = NULL;
  (void)pthread_mutex_unlock(&state->mutex);
  if (idle == NULL)
    return hf_flock_file_open(state->dirfd, lock_name, 1, ret_file, reterr);
  *ret_file = idle;
  return HF_OK;
}

/* Keeps an unlocked file for the next turn, or closes it. */
static void give_back(flock_state *state, hf_flock_file *file) {
  (void)pthread_mutex_lock(&state->mutex);
  hf_flock_file *surplus = state->idle;
  state->idle = file;
  (void)pthread_mutex_unlock(&state->mutex);
  hf_flock_file_close(&surplus);
}

/* Asks once. Whoever only looks who holds the lock has it shared for an instant: that does not
 * count as held. Returns an hf_flock_outcome, or HF_EBACKEND. */
static int try_once(const hf_flock_file *file, hf_error *reterr) {
  int64_t end_ms = 0;
  for (unsigned i = 0;
       end_ms == 0 || hf_backoff_sleep(i, SHARED_BASE_US, SHARED_CAP_US, end_ms) == 0; i++) {
    if (hf_flock_file_lock(file, LOCK_EX | LOCK_NB) == 0)
      return HF_FLOCK_GRANTED;
    if (errno != EWOULDBLOCK)
      return hf_flock_error(errno, file->name, reterr);
    if (hf_flock_file_lock(file, LOCK_SH | LOCK_NB) != 0)
      break;
    (void)hf_flock_file_lock(file, LOCK_UN);
    if (end_ms == 0)
      end_ms = hf_monotonic_ms() + SHARED_WAIT_MS;
  }
  return HF_FLOCK_DEADLINE;
}

/* Turns are short, as a rule: looked at a few times before a thread is asked to wait. 1: granted.
 */
static int poll_briefly(const hf_flock_file *file) {
  static const struct timespec pause = {0, POLL_US * 1000};
  for (int i = 0; i < POLLS; i++) {
    (void)nanosleep(&pause, NULL);
    if (hf_flock_file_lock(file, LOCK_EX | LOCK_NB) == 0)
      return 1;
  }
  return 0;
}

/* An hf_flock_outcome, or negative. "Busy" is only believed of the file that has the name: a
 * description kept from an earlier turn may be of one that was broken meanwhile. */
static int lock_file(flock_state *state, const hf_flock_file *file, int64_t deadline_ms,
                     hf_error *reterr) {
  int outcome = try_once(file, reterr);
  if (outcome != HF_FLOCK_DEADLINE)
    return outcome;
  int named = hf_flock_file_is_named(file, state->dirfd, reterr);
  if (named <= 0)
    return named == 0 ? HF_FLOCK_REPLACED : named;
  if (hf_monotonic_ms() >= deadline_ms)
    return HF_FLOCK_DEADLINE;
  if (poll_briefly(file))
    return HF_FLOCK_GRANTED;
  return hf_flock_wait(file, state->dirfd, deadline_ms, reterr);
}

/* Under the lock: the next token, and who holds it from now on, into the file. */
static int sign(flock_state *state, const hf_flock_file *file, uint64_t *ret_token,
                hf_error *reterr) {
  char line[HF_HOLDER_LINE_BYTES];
  ssize_t got = hf_sys_pread_full(file->fd, line, sizeof line, 0);
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, file->name, "cannot read the lock file");
  uint64_t last = hf_holder_token(line, (size_t)got);
  uint64_t floor = atomic_load(&state->token_floor);
  uint64_t token = (last > floor ? last : floor) + 1;
  hf_holder_format(&state->self, token, hf_realtime_us(), line);
  if (hf_sys_pwrite_full(file->fd, line, sizeof line, 0) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, file->name, "cannot write the lock file");
  while (floor < token && !atomic_compare_exchange_weak(&state->token_floor, &floor, token))
    continue; /* another thread has raised it: look again */
  *ret_token = token;
  return HF_OK;
}

/* The error for "busy", with who holds it. */
static void tell_holder(const hf_flock_file *file, hf_error *reterr) {
  hf_lock_holder holder;
  if (reterr == NULL)
    return;
  if (hf_flock_file_read_holder(file, &holder, NULL) < 0)
    holder = (hf_lock_holder){.text = "somebody"};
  (void)hf_err(reterr, HF_ELOCK, file->name,
               "the lock is held by %s; wait longer, or end that process", holder.text);
}

/* One file's turn: an hf_flock_outcome, with *ret_grant written if GRANTED; or negative. Takes the
 * file over. */
static int acquire_file(flock_state *state, hf_flock_file *file, int64_t deadline_ms,
                        hf_grant *ret_grant, hf_error *reterr) {
  uint64_t token = 0;
  int outcome = lock_file(state, file, deadline_ms, reterr);
  if (outcome == HF_FLOCK_DEADLINE)
    tell_holder(file, reterr);
  if (outcome == HF_FLOCK_GRANTED) {
    int named = hf_flock_file_is_named(file, state->dirfd, reterr);
    if (named == 0)
      outcome = HF_FLOCK_REPLACED;
    else if (named < 0)
      outcome = named;
  }
  if (outcome == HF_FLOCK_GRANTED) {
    int status = sign(state, file, &token, reterr);
    if (status < 0)
      outcome = status;
  }
  if (outcome != HF_FLOCK_GRANTED) {
    hf_flock_file_close(&file);
    return outcome;
  }
  *ret_grant = (hf_grant){.token = token, .ends_at_ms = HF_GRANT_ENDS_NEVER, .hold = file};
  return HF_FLOCK_GRANTED;
}

static int64_t planted_deadline(int64_t deadline_ms) {
  if (!HF_PLANTED(IGNORE_DEADLINE))
    return deadline_ms;
  int64_t now = hf_monotonic_ms();
  return (deadline_ms > now ? deadline_ms : now) + 3000;
}

static int flock_acquire(void *opened, const char *lock_name, int64_t deadline_ms,
                         hf_grant *ret_grant, hf_error *reterr) {
  flock_state *state = opened;
  if (state->pid != getpid())
    return hf_err(reterr, HF_EFORKED, NULL,
                  "the locker was opened by the parent process; open the store again in the child");
  deadline_ms = planted_deadline(deadline_ms);
  for (int i = 0; i < REPLACED_TRIES_MAX; i++) {
    hf_flock_file *file;
    int status = take_file(state, lock_name, &file, reterr);
    if (status < 0)
      return status;
    int outcome = acquire_file(state, file, deadline_ms, ret_grant, reterr);
    if (outcome < 0)
      return outcome;
    if (outcome == HF_FLOCK_GRANTED)
      return 1;
    if (outcome == HF_FLOCK_DEADLINE)
      return 0;
  }
  return hf_err(reterr, HF_EIO, lock_name,
                "the lock file is replaced again and again; "
                "find out by whom");
}

/* ---- release --------------------------------------------------------------------------------- */

static int flock_release(void *opened, hf_grant *grant, uint64_t head, hf_error *reterr) {
  (void)head;
  flock_state *state = opened;
  hf_flock_file *file = grant->hold;
  grant->hold = NULL;
  if (file == NULL)
    return 0;
  if (hf_flock_file_is_foreign(file)) {
    hf_flock_file_close(&file);
    return hf_err(reterr, HF_EFORKED, NULL,
                  "the lock is held by the parent process, not by this one");
  }
  int named = hf_flock_file_is_named(file, state->dirfd, reterr);
  if (hf_flock_file_lock(file, LOCK_UN) != 0) {
    int sys_errno = errno;
    (void)hf_err_sys(reterr, HF_EIO, sys_errno, file->name, "cannot release the lock");
    hf_flock_file_close(&file);
    return HF_EIO;
  }
  if (named == 1)
    give_back(state, file);
  else
    hf_flock_file_close(&file);
  return named;
}

/* ---- describe, break_lock -------------------------------------------------------------------- */

static int flock_describe(void *opened, const char *lock_name, hf_lock_holder *ret_holder,
                          hf_error *reterr) {
  flock_state *state = opened;
  hf_flock_file *file;
  hf_error error = HF_ERROR_INIT;
  int status = hf_flock_file_open(state->dirfd, lock_name, 0, &file, &error);
  if (status == HF_ENOTFOUND)
    return 0;
  if (status < 0) {
    if (reterr != NULL)
      *reterr = error;
    return status;
  }
  if (hf_flock_file_lock(file, LOCK_SH | LOCK_NB) == 0)
    status = 0;
  else if (errno != EWOULDBLOCK)
    status = hf_flock_error(errno, lock_name, reterr);
  else
    status = hf_flock_file_read_holder(file, ret_holder, reterr) < 0 ? HF_EIO : 1;
  hf_flock_file_close(&file);
  return status;
}

/* Gives `fresh` the token that comes after old's last one. */
static int carry_token(flock_state *state, const hf_flock_file *old, const hf_flock_file *fresh,
                       hf_error *reterr) {
  hf_lock_holder last;
  char line[HF_HOLDER_LINE_BYTES];
  int status = hf_flock_file_read_holder(old, &last, reterr);
  if (status < 0)
    return status;
  uint64_t floor = atomic_load(&state->token_floor);
  uint64_t token = (last.token > floor ? last.token : floor) + 1;
  hf_holder_format(&state->self, token, hf_realtime_us(), line);
  if (hf_sys_pwrite_full(fresh->fd, line, sizeof line, 0) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, fresh->name, "cannot write the new lock file");
  return HF_OK;
}

/* Puts `fresh`, which we hold, in the place of `old`. One writer at most can have been granted
 * `old` just before and take its next token just after: later ones find that the name is another
 * file. fresh gets that token too, read after the rename, so that the next one on it is higher. */
static int replace(flock_state *state, const hf_flock_file *old, const hf_flock_file *fresh,
                   hf_error *reterr) {
  int status = carry_token(state, old, fresh, reterr);
  if (status < 0)
    return status;
  if (hf_sys_rename(state->dirfd, fresh->name, state->dirfd, old->name, 0) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, old->name, "cannot replace the lock file");
  return carry_token(state, old, fresh, reterr);
}

static int break_held(flock_state *state, const hf_flock_file *old, hf_error *reterr) {
  hf_id id;
  char id_text[HF_ID_CHARS + 1];
  char name[HF_LOCKER_NAME_BYTES_MAX + 1];
  hf_flock_file *fresh;
  int status = hf_id_make(&id, reterr);
  if (status < 0)
    return status;
  hf_id_format(&id, id_text);
  /* A long name is cut: the id makes it another one. What a killed process leaves is lock.<id>. */
  (void)snprintf(name, sizeof name, "%.*s.%s", HF_LOCKER_NAME_BYTES_MAX - HF_ID_CHARS - 1,
                 old->name, id_text);
  status = hf_flock_file_open(state->dirfd, name, 1, &fresh, reterr);
  if (status < 0)
    return status;
  if (hf_flock_file_lock(fresh, LOCK_EX | LOCK_NB) != 0)
    status = hf_flock_error(errno, name, reterr);
  if (status == HF_OK)
    status = replace(state, old, fresh, reterr);
  if (status < 0)
    (void)hf_sys_unlink(state->dirfd, name, 0); /* ENOENT after the rename */
  hf_flock_file_close(&fresh);
  return status;
}

static int flock_break(void *opened, const char *lock_name, hf_error *reterr) {
  flock_state *state = opened;
  hf_flock_file *file;
  int status = hf_flock_file_open(state->dirfd, lock_name, 1, &file, reterr);
  if (status < 0)
    return status;
  int outcome = try_once(file, reterr);
  if (outcome == HF_FLOCK_DEADLINE)
    status = break_held(state, file, reterr);
  else if (outcome < 0)
    status = outcome;
  hf_flock_file_close(&file); /* granted: nobody holds it, and closing releases it */
  return status;
}

const hf_locker_ops hf_locker_flock = {
    .scheme = "flock",
    .traits = HF_LOCKER_EXCLUDES_PROCESSES | HF_LOCKER_FENCES,
    .open = flock_open,
    .close = flock_close,
    .acquire = flock_acquire,
    .release = flock_release,
    .describe = flock_describe,
    .break_lock = flock_break,
};
