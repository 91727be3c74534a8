/* Watches: each new record once, in order, whatever becomes of the store meanwhile.
 *
 * A watch has a handle of its own, which it gives up and opens anew, by the store's path, wherever
 * a look fails, or finds another file than its own as log/mark. What was given is known by a seq
 * alone (position), so nothing can be given twice or left out. First notices are asked for, then
 * the log is looked at (core/base/notice.h). */
#include <holdfast/watch.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "cursor.h"
#include "err.h"
#include "log.h"
#include "notice.h"
#include "plant.h"
#include "read.h"
#include "sys.h"

#include "banned.h"

enum {
  MESSAGE_BYTES = 1024,
  LOOKS_BEHIND_MAX = 4, /* the first two at once, then look_ms apart */
};

struct hf_watch {
  pid_t owner_pid;
  char *path;
  char *mark_path; /* of log/mark */
  char uuid[HF_UUID_CHARS + 1];
  const hf_config *config;
  hf_log_fn log;
  void *log_context;
  hf_list_options which;
  int64_t look_ms;

  hf_notice notice;
  int told_of_no_notice;
  hf_store *store;   /* NULL: to be opened */
  hf_sys_file mark;  /* which file log/mark was when it was opened */
  hf_cursor *cursor; /* NULL: to be looked for more */
  uint64_t cursor_end;
  uint64_t position; /* up to here every record was given, or is not wanted */
  uint64_t seen;     /* the highest head that was seen */
  uint64_t damaged;  /* a record that could not be read once; 0: none */
  int looks_behind;  /* in a row, that found fewer records than there were */
  int has_failed;    /* the last look did */
  int is_away;       /* which was told */
  int is_over;       /* it can only be ended */
};

static void tell(const hf_watch *watch, hf_log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const hf_watch *watch, hf_log_level level, const char *format, ...) {
  char line[MESSAGE_BYTES];
  va_list args;
  if (watch->log == NULL)
    return;
  va_start(args, format);
  (void)vsnprintf(line, sizeof line, format, args);
  va_end(args);
  watch->log(watch->log_context, level, line);
}

/* ---- the handle ---- */

static void detach(hf_watch *watch) {
  hf_cursor_close(&watch->cursor);
  hf_close(&watch->store);
}

/* Asks for notices of the mark, and sets the timer for what they do not tell. */
static void listen(hf_watch *watch) {
  int told = !watch->store->shared && hf_notice_watch(&watch->notice, watch->mark_path);
  if (!told && !watch->store->shared && !watch->told_of_no_notice) {
    watch->told_of_no_notice = 1;
    tell(watch, HF_LOG_INFO,
         "%s: the kernel cannot tell of its changes (inotify: %s); it is looked at instead",
         watch->mark_path, strerror(errno));
  }
  hf_notice_every(&watch->notice, told ? HF_WATCH_LOOK_LOCAL_MS : watch->look_ms);
}

static int attach(hf_watch *watch, hf_error *reterr) {
  hf_open_options options = {.config = watch->config,
                             .expected_uuid = watch->uuid,
                             .purpose = "watch",
                             .log = watch->log,
                             .log_context = watch->log_context};
  if (hf_sys_identify(AT_FDCWD, watch->mark_path, &watch->mark) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, watch->mark_path, "cannot be examined");
  int status = hf_open(watch->path, &options, &watch->store, reterr);
  if (status != HF_OK)
    return status;
  if (!HF_PLANTED(WATCH_LOOKS_FIRST))
    listen(watch);
  if (HF_PLANTED(WATCH_DOUBLES) && watch->position > 0 && watch->seen > 0)
    watch->position--;
  return HF_OK;
}

/* Does the path still lead to the file that this handle has open? Another one is there where
 * something was mounted over it, the store was put back from a copy, or the mark was made anew. */
static int is_same(const hf_watch *watch, int *ret_same, hf_error *reterr) {
  hf_sys_file now;
  *ret_same = 1;
  if (HF_PLANTED(WATCH_KEEPS_OLD))
    return HF_OK;
  if (hf_sys_identify(AT_FDCWD, watch->mark_path, &now) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, watch->mark_path, "cannot be examined");
  *ret_same = now.device == watch->mark.device && now.inode == watch->mark.inode;
  return HF_OK;
}

/* ---- looking ---- */

/* What the marks cover; with `all` what any reader would find. It is durable. */
static int refresh(hf_watch *watch, int all, uint64_t *ret_head, hf_error *reterr) {
  hf_store *store = watch->store;
  if (all)
    return hf_read_begin(store, ret_head, reterr);
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_refresh(store, HF_REFRESH_MARKED, reterr);
  if (status == HF_OK && HF_PLANTED(WATCH_SHOWS_UNPROVEN) &&
      hf_part_read(store, -1, UINT64_MAX, 0, NULL, reterr) < 0)
    status = HF_EIO;
  *ret_head = store->view.head;
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (status != HF_OK)
    hf_err_place_below(reterr, store->path);
  return status;
}

static int begin_walk(hf_watch *watch, uint64_t head, hf_error *reterr) {
  hf_list_options which = watch->which;
  which.all_revisions = 1;
  which.since = watch->position + 1;
  watch->cursor_end = head;
  return hf_cursor_begin(watch->store, &which, head, &watch->cursor, reterr);
}

/* A log that has become shorter: a client that remembers an old length gets time to forget it. */
static int ends_before(hf_watch *watch, uint64_t head, hf_error *reterr) {
  if (++watch->looks_behind < LOOKS_BEHIND_MAX)
    return hf_err(reterr, HF_EIO, watch->path,
                  "the log ends at seq %" PRIu64 ", and seq %" PRIu64 " was there before", head,
                  watch->seen);
  return hf_err(reterr, HF_ENOTFOUND, watch->path,
                "the log ends at seq %" PRIu64 ", and seq %" PRIu64
                " was there before: the store was put back from an older copy; begin a new watch",
                head, watch->seen);
}

/* HF_OK: there is a walk where something is new. */
static int look(hf_watch *watch, int all, hf_error *reterr) {
  uint64_t head = 0;
  int same = 1;
  int status = HF_OK;
  if (watch->store != NULL && all) {
    status = is_same(watch, &same, reterr);
    if (status == HF_OK && !same)
      detach(watch);
  }
  if (status == HF_OK && watch->store == NULL) {
    status = attach(watch, reterr);
    all = 1;
  }
  if (status == HF_OK)
    status = refresh(watch, all, &head, reterr);
  if (status != HF_OK)
    return status;
  if (HF_PLANTED(WATCH_LOOKS_FIRST) && watch->notice.inotify_fd < 0) {
    hf_sys_file now;
    (void)hf_sys_identify(AT_FDCWD, watch->mark_path, &now); /* a call that one can come before */
    listen(watch);
  }
  if (head < watch->seen)
    return ends_before(watch, head, reterr);
  watch->looks_behind = 0;
  watch->seen = head;
  return head > watch->position ? begin_walk(watch, head, reterr) : HF_OK;
}

/* Is it an error that can pass? */
static int can_pass(int status) {
  return status == HF_EIO || status == HF_ENOTSTORE || status == HF_EDAMAGED;
}

/* position: before it. */
static void note_success(hf_watch *watch, uint64_t position) {
  if (watch->is_away)
    tell(watch, HF_LOG_WARNING, "%s: can be read again; going on behind seq %" PRIu64, watch->path,
         position);
  watch->has_failed = watch->is_away = 0;
}

/* A look, or the walk behind it, has failed. 1: try once more at once, with a new handle; 0: later;
 * negative: never. */
static int note_failure(hf_watch *watch, int status, const hf_error *error) {
  detach(watch);
  if (!can_pass(status)) {
    watch->is_over = 1;
    return status;
  }
  if (!watch->has_failed) {
    watch->has_failed = 1;
    return 1;
  }
  if (!watch->is_away)
    tell(watch, HF_LOG_WARNING, "%s: %s; waiting until it can be read again",
         error->place[0] != '\0' ? error->place : watch->path, error->message);
  watch->is_away = 1;
  hf_notice_unwatch(&watch->notice);
  hf_notice_every(&watch->notice, watch->look_ms);
  return 0;
}

/* ---- giving ---- */

/* A record cannot be read: once more with a new handle, then it is told. */
static int damaged(hf_watch *watch, uint64_t seq) {
  if (watch->damaged != seq) {
    watch->damaged = seq;
    watch->position = seq - 1;
    detach(watch);
    return 0;
  }
  watch->damaged = 0;
  watch->position = seq;
  return HF_EDAMAGED;
}

/* The walk's next record: 1, 0 (it is over), negative. */
static int walk(hf_watch *watch, hf_record **ret_record, hf_error *reterr) {
  int got = hf_cursor_next(watch->cursor, ret_record, reterr);
  if (got == 1)
    watch->position = (*ret_record)->seq;
  if (got == HF_EDAMAGED && hf_cursor_at(watch->cursor) > watch->position)
    return damaged(watch, hf_cursor_at(watch->cursor));
  if (got != 0)
    return got;
  watch->position = watch->cursor_end;
  hf_cursor_close(&watch->cursor);
  return 0;
}

/* A look, where there is a reason for one: 1, 0 (no reason), negative. */
static int look_if_due(hf_watch *watch, hf_error *reterr) {
  unsigned notices = hf_notice_take(&watch->notice);
  int must_open = watch->store == NULL && !watch->is_away;
  if (notices == 0 && !must_open)
    return 0;
  int status = look(watch, must_open || (notices & ~(unsigned)HF_NOTICE_WRITTEN) != 0, reterr);
  return status == HF_OK ? 1 : status;
}

/* What there is, without waiting: 1, 0, negative. */
static int take(hf_watch *watch, hf_record **ret_record, hf_error *reterr) {
  for (;;) {
    hf_error error = HF_ERROR_INIT;
    uint64_t before = watch->position;
    int looked = watch->cursor != NULL ? 1 : look_if_due(watch, &error);
    if (looked == 0)
      return 0;
    int got = looked < 0 ? looked : watch->cursor != NULL ? walk(watch, ret_record, &error) : 0;
    if (got >= 0)
      note_success(watch, before);
    if (got == 1)
      return 1;
    int is_final = looked == 1 && got == HF_EDAMAGED; /* of one record */
    int again = got == 0 || is_final ? got : note_failure(watch, got, &error);
    if (again < 0 && reterr != NULL)
      *reterr = error;
    if (again < 0 || (again == 0 && got < 0))
      return again;
  }
}

static int check(const hf_watch *watch, hf_error *reterr) {
  if (watch->owner_pid != getpid())
    return hf_err(reterr, HF_EFORKED, watch->path,
                  "the watch was begun by process %ld, this is a child of it; begin one here",
                  (long)watch->owner_pid);
  if (watch->is_over)
    return hf_err(reterr, HF_EINVAL, watch->path,
                  "the watch has met an error that does not pass; end it, and begin another one");
  return HF_OK;
}

int hf_watch_next(hf_watch *watch, int64_t timeout_ms, hf_record **ret_record, hf_error *reterr) {
  int status = check(watch, reterr);
  if (status != HF_OK)
    return status;
  int64_t deadline_ms = timeout_ms < 0 ? INT64_MAX : hf_deadline_ms(timeout_ms);
  for (;;) {
    int got = take(watch, ret_record, reterr);
    if (got != 0)
      return got;
    int64_t left_ms = timeout_ms < 0 ? -1 : deadline_ms - hf_monotonic_ms();
    if (timeout_ms >= 0 && left_ms <= 0)
      return 0;
    if (hf_notice_wait(&watch->notice, left_ms) == 0)
      return take(watch, ret_record, reterr);
  }
}

uint64_t hf_watch_position(const hf_watch *watch) {
  return watch->position;
}

int hf_watch_fd(const hf_watch *watch) {
  return watch->notice.epoll_fd;
}

/* ---- beginning and ending ---- */

static int check_options(const hf_watch_options *options, hf_error *reterr) {
  const hf_list_options *which = &options->which;
  if (which->until != 0 || which->limit != 0 || which->reverse)
    return hf_err(reterr, HF_EINVAL, NULL,
                  "a watch goes on for ever: until, limit and reverse have no place in it");
  if (options->look_ms != 0 && options->look_ms < HF_WATCH_LOOK_MS_MIN)
    return hf_err(reterr, HF_EINVAL, NULL, "look_ms is %" PRId64 "; the least is %d",
                  options->look_ms, HF_WATCH_LOOK_MS_MIN);
  return HF_OK;
}

/* Are run, stage, group and dims within their limits? Told at once, not by the first walk. */
static int check_which(hf_store *store, const hf_watch_options *options, hf_error *reterr) {
  hf_cursor *unused = NULL;
  int status = hf_cursor_begin(store, &options->which, 1, &unused, reterr);
  hf_cursor_close(&unused);
  return status;
}

static int fill_in(hf_watch *watch, const hf_store *store, const hf_watch_options *options,
                   hf_error *reterr) {
  watch->owner_pid = getpid();
  watch->which = options->which;
  watch->look_ms = options->look_ms != 0 ? options->look_ms : HF_WATCH_LOOK_MS_DEFAULT;
  watch->config = store->config;
  watch->log = store->log;
  watch->log_context = store->log_context;
  memcpy(watch->uuid, store->manifest.uuid, sizeof watch->uuid);
  watch->path = strdup(store->path);
  hf_buf mark_path = {0};
  (void)hf_buf_printf(&mark_path, "%s/log/" HF_MARK_NAME, store->path);
  watch->mark_path = hf_buf_take(&mark_path);
  if (watch->path == NULL || watch->mark_path == NULL)
    return hf_err_nomem(reterr);
  return hf_notice_open(&watch->notice, reterr);
}

int hf_watch_begin(hf_store *store, const hf_watch_options *options, hf_watch **ret_watch,
                   hf_error *reterr) {
  static const hf_watch_options everything;
  options = options != NULL ? options : &everything;
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = check_options(options, reterr);
  if (status == HF_OK)
    status = check_which(store, options, reterr);
  if (status != HF_OK)
    return status;
  hf_watch *watch = calloc(1, sizeof *watch);
  if (watch == NULL)
    return hf_err_nomem(reterr);
  watch->notice = (hf_notice)HF_NOTICE_INIT;
  /* nothing is walked over before it is known from where */
  watch->position = options->which.since > 0 ? options->which.since - 1 : UINT64_MAX;
  status = fill_in(watch, store, options, reterr);
  if (status == HF_OK)
    status = look(watch, 1, reterr);
  if (status == HF_OK && options->which.since == 0)
    watch->position = watch->seen;
  if (status == HF_OK)
    *ret_watch = hf_take(watch);
  hf_watch_end(&watch);
  return status;
}

void hf_watch_end(hf_watch **watch) {
  if (watch == NULL || *watch == NULL)
    return;
  detach(*watch);
  hf_notice_close(&(*watch)->notice);
  free((*watch)->mark_path);
  free((*watch)->path);
  free(*watch);
  *watch = NULL;
}
