#include "redis_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "redis_tls.h"

#include "banned.h"

/* ---- SIGPIPE --------------------------------------------------------------------------------- */

typedef struct pipe_guard {
  sigset_t before;
  int was_pending;
  int is_set;
} pipe_guard;

static void guard_begin(pipe_guard *guard) {
  sigset_t pipe_only, pending;
  (void)sigemptyset(&pipe_only);
  (void)sigaddset(&pipe_only, SIGPIPE);
  guard->is_set = pthread_sigmask(SIG_BLOCK, &pipe_only, &guard->before) == 0;
  /* only where the program had blocked it can one be waiting that is not ours to take away */
  guard->was_pending = guard->is_set && sigismember(&guard->before, SIGPIPE) == 1 &&
                       sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

/* may_have_come: 0 where every write went well. */
static void guard_end(pipe_guard *guard, int may_have_come) {
  const struct timespec at_once = {0, 0};
  sigset_t pipe_only;
  int saved = errno;
  if (!guard->is_set)
    return;
  (void)sigemptyset(&pipe_only);
  (void)sigaddset(&pipe_only, SIGPIPE);
  if (may_have_come && !guard->was_pending)
    (void)sigtimedwait(&pipe_only, NULL, &at_once);
  (void)pthread_sigmask(SIG_SETMASK, &guard->before, NULL);
  errno = saved;
}

/* ---- fork ------------------------------------------------------------------------------------ */

static pthread_mutex_t list_mutex = PTHREAD_MUTEX_INITIALIZER;
static hf_redis_wire *list_head; /* under list_mutex: the open ones */
static pthread_once_t handlers_once = PTHREAD_ONCE_INIT;

static void before_fork(void) {
  (void)pthread_mutex_lock(&list_mutex);
}

static void after_fork_in_parent(void) {
  (void)pthread_mutex_unlock(&list_mutex);
}

static void after_fork_in_child(void) {
  for (hf_redis_wire *wire = list_head; wire != NULL; wire = wire->next) {
    if (wire->fd_in_child >= 0)
      (void)close(wire->fd_in_child);
    wire->fd_in_child = -1;
  }
  (void)pthread_mutex_unlock(&list_mutex);
}

static void install_handlers(void) {
  /* Without memory for them a child holds the sockets open: its parent's death is noticed later. */
  (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

static void add_to_list(hf_redis_wire *wire) {
  (void)pthread_once(&handlers_once, install_handlers);
  (void)pthread_mutex_lock(&list_mutex);
  wire->fd_in_child = wire->context->fd;
  wire->previous = NULL;
  wire->next = list_head;
  if (list_head != NULL)
    list_head->previous = wire;
  list_head = wire;
  (void)pthread_mutex_unlock(&list_mutex);
}

static void remove_from_list(hf_redis_wire *wire) {
  (void)pthread_mutex_lock(&list_mutex);
  if (wire->next != NULL)
    wire->next->previous = wire->previous;
  if (wire->previous != NULL)
    wire->previous->next = wire->next;
  else
    list_head = wire->next;
  wire->fd_in_child = -1;
  (void)pthread_mutex_unlock(&list_mutex);
}

/* ---- open and close -------------------------------------------------------------------------- */

static void say(hf_redis_wire *wire, const char *text) {
  (void)snprintf(wire->error, sizeof wire->error, "%s", text);
}

static struct timeval time_left(int64_t deadline_ms) {
  int64_t left_ms = deadline_ms - hf_monotonic_ms();
  if (left_ms < 1)
    left_ms = 1; /* 0 would mean for ever */
  return (struct timeval){left_ms / 1000, (left_ms % 1000) * 1000};
}

void hf_redis_wire_init(hf_redis_wire *wire) {
  memset(wire, 0, sizeof *wire);
  wire->fd_in_child = -1;
}

/* 1: ready for `events`; 0: not until then; -1. */
static int wait_ready(hf_redis_wire *wire, short events, int64_t until_ms) {
  struct pollfd one = {wire->context->fd, events, 0};
  for (;;) { /* bounded by the deadline */
    int64_t left_ms = until_ms - hf_monotonic_ms();
    int ready = poll(&one, 1, left_ms <= 0 ? 0 : left_ms > INT32_MAX ? INT32_MAX : (int)left_ms);
    if (ready > 0)
      return 1;
    if (ready == 0 && left_ms <= INT32_MAX)
      return 0;
    if (ready < 0 && errno != EINTR) {
      say(wire, "poll failed");
      return -1;
    }
    if (ready < 0 && left_ms <= 0)
      return 0;
  }
}

/* Why the last call has failed, into wire->error; -1. */
static int broken(hf_redis_wire *wire) {
  const char *text = wire->context->errstr;
  say(wire, text[0] != '\0' ? text : "the connection has ended");
  if (wire->session != NULL)
    wire->is_final = hf_redis_tls_explain(wire->session, wire->error, sizeof wire->error);
  return -1;
}

static int shake_hands(hf_redis_wire *wire, void *tls, const char *server_name,
                       int64_t deadline_ms) {
  hf_redis_tls_clear(tls);
  wire->session = hf_redis_tls_begin(wire->context, tls, server_name);
  if (wire->session == NULL) {
    say(wire, wire->context->errstr[0] != '\0' ? wire->context->errstr : "TLS cannot begin");
    return -1;
  }
  for (;;) { /* bounded by the deadline */
    short events = 0;
    int done = hf_redis_tls_step(wire->session, &events);
    if (done != 0)
      return done == 1 ? 0 : broken(wire);
    int ready = wait_ready(wire, events, deadline_ms);
    if (ready == 0)
      say(wire, "TLS was not agreed on in time (is that its port for TLS?)");
    if (ready != 1)
      return -1;
  }
}

/* No call of hiredis may block: what poll has declared ready may be a part of a TLS record. */
static int prepare(hf_redis_wire *wire, void *tls, const char *server_name, int64_t deadline_ms) {
  redisContext *context = wire->context;
  int flags = fcntl(context->fd, F_GETFL);
  (void)fcntl(context->fd, F_SETFD, FD_CLOEXEC);
  if (flags < 0 || fcntl(context->fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    say(wire, "fcntl failed");
    return -1;
  }
  context->flags &= ~REDIS_BLOCK;
  if (context->connection_type == REDIS_CONN_TCP)
    (void)redisEnableKeepAlive(context);
  return tls != NULL ? shake_hands(wire, tls, server_name, deadline_ms) : 0;
}

int hf_redis_wire_open(hf_redis_wire *wire, const hf_redis_host *host, const char *socket_path,
                       void *tls, const char *server_name, int64_t deadline_ms) {
  pipe_guard guard;
  hf_redis_wire_close(wire);
  wire->is_final = 0;
  redisContext *context =
      socket_path[0] != '\0'
          ? redisConnectUnixWithTimeout(socket_path, time_left(deadline_ms))
          : redisConnectWithTimeout(host->host, host->port, time_left(deadline_ms));
  if (context == NULL || context->err != 0) {
    say(wire, context == NULL ? "out of memory" : context->errstr);
    if (context != NULL)
      redisFree(context);
    return -1;
  }
  wire->context = context;
  wire->pid = getpid();
  add_to_list(wire);
  guard_begin(&guard);
  int status = prepare(wire, tls, server_name, deadline_ms);
  guard_end(&guard, 1);
  if (status != 0)
    hf_redis_wire_close(wire);
  return status;
}

void hf_redis_wire_close(hf_redis_wire *wire) {
  if (wire->context == NULL)
    return;
  pipe_guard guard;
  int is_own = wire->pid == getpid();
  remove_from_list(wire);
  guard_begin(&guard);
  if (is_own)
    redisFree(wire->context);
  else
    (void)redisFreeKeepFd(wire->context); /* a number that may be another file's by now */
  guard_end(&guard, 1);
  wire->context = NULL;
  wire->session = NULL; /* it was the context's */
}

/* ---- bytes ----------------------------------------------------------------------------------- */

int hf_redis_wire_append(hf_redis_wire *wire, int argc, const char *const *argv,
                         const size_t *lengths) {
  if (redisAppendCommandArgv(wire->context, argc, (const char **)(uintptr_t)argv, lengths) ==
      REDIS_OK)
    return 0;
  say(wire, "out of memory");
  return -1;
}

int hf_redis_wire_flush(hf_redis_wire *wire, int64_t deadline_ms) {
  for (;;) { /* bounded by the deadline */
    int done = 0;
    pipe_guard guard;
    guard_begin(&guard);
    hf_redis_tls_clear(wire->session);
    int status = redisBufferWrite(wire->context, &done); /* does not wait: see prepare */
    guard_end(&guard, status != REDIS_OK || wire->session != NULL);
    if (status != REDIS_OK)
      return broken(wire);
    if (done)
      return 0;
    int ready = wait_ready(wire, POLLOUT, deadline_ms);
    if (ready == 0)
      say(wire, "nothing could be sent in time");
    if (ready != 1)
      return -1;
  }
}

/* TLS may write where it reads; a plain connection does not. */
static int receive_some(hf_redis_wire *wire) {
  pipe_guard guard;
  if (wire->session == NULL)
    return redisBufferRead(wire->context);
  guard_begin(&guard);
  hf_redis_tls_clear(wire->session);
  int status = redisBufferRead(wire->context);
  guard_end(&guard, 1);
  return status;
}

int hf_redis_wire_receive(hf_redis_wire *wire, int64_t until_ms, redisReply **ret_reply) {
  for (;;) { /* bounded by until_ms */
    void *reply = NULL;
    if (redisGetReplyFromReader(wire->context, &reply) != REDIS_OK)
      return broken(wire);
    if (reply != NULL) {
      *ret_reply = reply;
      return 1;
    }
    int ready = hf_redis_tls_has_text(wire->session) ? 1 : wait_ready(wire, POLLIN, until_ms);
    if (ready == 0)
      say(wire, "there was no answer in time");
    if (ready != 1)
      return ready;
    if (receive_some(wire) != REDIS_OK)
      return broken(wire);
  }
}

int hf_redis_wire_is_stale(hf_redis_wire *wire) {
  struct pollfd one = {wire->context->fd, POLLIN, 0};
  return hf_redis_tls_has_text(wire->session) || poll(&one, 1, 0) != 0;
}
