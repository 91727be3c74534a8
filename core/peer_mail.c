/* Mail: one file a peer, to which only its owner appends lines. An open asks the server for the
 * length (where it does not, the steps show it), and a length that only grows has no tick. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "err.h"
#include "file.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

enum { TICK_MS = 250, MAIL_CHUNK_BYTES = 4096 };

int64_t hf_peer_now_us(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void hf_peer_sleep_us(int64_t us) {
  struct timespec pause = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  if (us > 0)
    (void)nanosleep(&pause, NULL); /* a signal ends it early: everybody looks again */
}

/* ---- one's own ---- */

int hf_peer_mail_begin(hf_peer_run *run, const char *kind, const char *text, hf_error *reterr) {
  hf_autobuf line = {0};
  if (hf_buf_printf(&line, "%s %s\n", kind, text) != 0)
    return hf_err_nomem(reterr);
  int status = hf_file_create(run->lobby_fd, run->id, line.data, line.used, 0, reterr);
  run->said = line.used;
  run->said_ms = hf_monotonic_ms();
  return status;
}

/* Closed each time: that is what sends it to a server. */
static int append(hf_peer_run *run, const char *bytes, size_t count, hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(run->lobby_fd, run->id, O_WRONLY, 0);
  if (fd < 0)
    return hf_err_sys(reterr, HF_EIO, errno, HF_PEER_LOBBY, "cannot go on writing to the others");
  int failed = hf_sys_pwrite_full(fd, bytes, count, (off_t)run->said);
  if (failed == 0)
    failed = hf_sys_close(hf_fd_take(&fd));
  if (failed != 0)
    return hf_err_sys(reterr, HF_EIO, errno, HF_PEER_LOBBY, "cannot write to the others");
  run->said += count;
  run->said_ms = hf_monotonic_ms();
  return HF_OK;
}

int hf_peer_say(hf_peer_run *run, const char *kind, const char *text, hf_error *reterr) {
  hf_autobuf line = {0};
  if (hf_buf_printf(&line, "%s %s\n", kind, text) != 0)
    return hf_err_nomem(reterr);
  return append(run, line.data, line.used, reterr);
}

int hf_peer_tick(hf_peer_run *run, hf_error *reterr) {
  if (hf_monotonic_ms() - run->said_ms < TICK_MS)
    return HF_OK;
  if (run->options->progress != NULL && run->count > 0 &&
      run->options->progress(run->options->progress_context, "steps", 0, 0) != 0)
    return hf_err(reterr, HF_ECANCELLED, run->path, "stopped before the peers were done");
  return append(run, ".\n", 2, reterr);
}

/* ---- the others' ---- */

int hf_peer_mail_look(const hf_peer_run *run, hf_peer_mail *mail, hf_error *reterr) {
  struct stat st;
  hf_autofd int fd = hf_sys_openat(run->lobby_fd, mail->id, O_RDONLY, 0);
  if (fd < 0 && errno == ENOENT)
    return HF_ENOTFOUND;
  if (fd < 0 || hf_sys_fstat(fd, &st) != 0) {
    if (errno == ESTALE)
      return 0; /* it is being removed: the next look tells */
    return hf_err_sys(reterr, HF_EIO, errno, HF_PEER_LOBBY, "cannot read a peer's mail");
  }
  int64_t now_ms = hf_monotonic_ms();
  if (mail->grew_ms == 0)
    mail->grew_ms = now_ms;
  if ((uint64_t)st.st_size <= mail->offset)
    return 0;
  size_t more = (size_t)((uint64_t)st.st_size - mail->offset);
  if (more > MAIL_CHUNK_BYTES)
    more = MAIL_CHUNK_BYTES;
  if (hf_buf_reserve(&mail->unread, more) != 0)
    return hf_err_nomem(reterr);
  ssize_t got =
      hf_sys_pread_full(fd, mail->unread.data + mail->unread.used, more, (off_t)mail->offset);
  if (got < 0 && errno == ESTALE)
    return 0;
  if (got < 0)
    return hf_err_sys(reterr, HF_EIO, errno, HF_PEER_LOBBY, "cannot read a peer's mail");
  if (mail->offset > 0)
    mail->has_grown = 1;
  mail->unread.used += (size_t)got;
  mail->offset += (uint64_t)got;
  mail->grew_ms = now_ms;
  return got > 0;
}

/* Drops the lines that only show life, and finds the next one. 1 or 0. */
static int find_line(hf_peer_mail *mail, size_t *ret_bytes) {
  while (mail->used < mail->unread.used) {
    const char *line = mail->unread.data + mail->used;
    const char *newline = memchr(line, '\n', mail->unread.used - mail->used);
    if (newline == NULL)
      return 0;
    size_t bytes = (size_t)(newline - line);
    if (bytes != 1 || line[0] != '.') {
      *ret_bytes = bytes;
      return 1;
    }
    mail->used += 2;
  }
  hf_buf_clear(&mail->unread);
  mail->used = 0;
  return 0;
}

int hf_peer_mail_peek(hf_peer_mail *mail) {
  size_t bytes = 0;
  if (!find_line(mail, &bytes))
    return 0;
  const char *line = mail->unread.data + mail->used;
  const char *blank = memchr(line, ' ', bytes);
  size_t kind_bytes = blank != NULL ? (size_t)(blank - line) : bytes;
  (void)snprintf(mail->kind, sizeof mail->kind, "%.*s",
                 (int)(kind_bytes < sizeof mail->kind ? kind_bytes : sizeof mail->kind - 1), line);
  hf_buf_clear(&mail->text);
  (void)hf_buf_add(&mail->text, blank != NULL ? blank + 1 : "",
                   blank != NULL ? bytes - kind_bytes - 1 : 0);
  mail->heard_us = hf_realtime_us();
  return 1;
}

int hf_peer_mail_take(hf_peer_mail *mail) {
  size_t bytes = 0;
  if (!hf_peer_mail_peek(mail) || !find_line(mail, &bytes))
    return 0;
  mail->used += bytes + 1;
  return 1;
}

void hf_peer_mail_free(hf_peer_mail *mail) {
  hf_buf_free(&mail->unread);
  hf_buf_free(&mail->text);
}

/* ---- waiting for each other ---- */

static int fail_gone(const hf_peer_run *run, size_t index, const char *how, hf_error *reterr) {
  const hf_peer_report *report = &run->members[index].report;
  return hf_err(reterr, HF_EIO, run->path,
                "the peer on %s (pid %lld) %s; nothing can be concluded, start all of them again",
                report->host, (long long)report->pid, how);
}

static int fail_bye(const hf_peer_run *run, size_t index, hf_error *reterr) {
  char how[320];
  (void)snprintf(how, sizeof how, "gave up (%.256s)", hf_peer_mail_text(&run->members[index].mail));
  return fail_gone(run, index, how, reterr);
}

static int check_silence(const hf_peer_run *run, size_t index, hf_error *reterr) {
  int64_t now_ms = hf_monotonic_ms();
  if (now_ms - run->members[index].mail.grew_ms > run->silence_ms)
    return fail_gone(run, index, "was killed, or its host is cut off", reterr);
  if (now_ms > run->until_ms)
    return hf_err(reterr, HF_EIO, run->path, "the peers did not get done within %d minutes",
                  HF_PEER_SESSION_MS_MAX / 60000);
  return HF_OK;
}

/* What was said while they met is over; what a peer answers the first one concerns nobody else. */
static int is_passed_over(const char *kind) {
  return strcmp(kind, "hello") == 0 || strcmp(kind, "offer") == 0 || strcmp(kind, "join") == 0 ||
         strcmp(kind, "off") == 0 || strcmp(kind, "part") == 0 || strcmp(kind, "go") == 0 ||
         strcmp(kind, "pong") == 0;
}

int hf_peer_heard(hf_peer_run *run, size_t index, const char *kind, hf_error *reterr) {
  hf_peer_mail *mail = &run->members[index].mail;
  int is_end = strcmp(kind, "done") == 0;
  int got = hf_peer_mail_look(run, mail, reterr);
  if (got == HF_ENOTFOUND) /* whoever has heard everything leaves */
    return is_end ? 1 : fail_gone(run, index, "has left", reterr);
  if (got < 0)
    return got;
  while (hf_peer_mail_take(mail)) {
    if (mail->text.failed != 0)
      return hf_err_nomem(reterr);
    if (strcmp(mail->kind, kind) == 0)
      return 1;
    if (strcmp(mail->kind, "bye") == 0)
      return fail_bye(run, index, reterr);
    if (!is_passed_over(mail->kind))
      return hf_err(reterr, HF_EVERSION, run->path,
                    "the peer on %s is at another step (%s, not %s): run the same version of "
                    "holdfast everywhere",
                    run->members[index].report.host, mail->kind, kind);
  }
  if (mail->unread.used - mail->used > HF_PEER_LINE_BYTES_MAX)
    return hf_err(reterr, HF_EVERSION, run->path, "a line in a peer's mail has no end");
  return check_silence(run, index, reterr);
}

int hf_peer_check_life(hf_peer_run *run, size_t index, hf_error *reterr) {
  hf_peer_mail *mail = &run->members[index].mail;
  int got = hf_peer_mail_look(run, mail, reterr);
  if (got == HF_ENOTFOUND)
    return fail_gone(run, index, "has left", reterr);
  if (got < 0)
    return got;
  if (hf_peer_mail_peek(mail) && mail->text.failed == 0 && strcmp(mail->kind, "bye") == 0)
    return fail_bye(run, index, reterr);
  return check_silence(run, index, reterr);
}

int hf_peer_blame(hf_peer_run *run, int status, hf_error *reterr) {
  for (size_t i = 0; i < run->count; i++) {
    hf_peer_mail *mail = &run->members[i].mail;
    if (i == run->self || hf_peer_mail_look(run, mail, NULL) < 0)
      continue;
    while (hf_peer_mail_take(mail))
      if (mail->text.failed == 0 && strcmp(mail->kind, "bye") == 0)
        return fail_bye(run, i, reterr);
  }
  return status;
}

int hf_peer_all_left(hf_peer_run *run) {
  for (size_t i = 0; i < run->count; i++) {
    hf_peer_mail *mail = &run->members[i].mail;
    int has_left = i == run->self || strcmp(mail->kind, "bye") == 0 ||
                   hf_peer_mail_look(run, mail, NULL) == HF_ENOTFOUND;
    while (!has_left && hf_peer_mail_take(mail))
      has_left = strcmp(mail->kind, "bye") == 0;
    if (!has_left)
      return 0;
  }
  return 1;
}

static int hear(hf_peer_run *run, size_t from, size_t to, const char *kind, int64_t step_us,
                hf_error *reterr) {
  unsigned heard = 0; /* a bit a member */
  for (size_t i = from; i < to; i++)
    if (i == run->self)
      heard |= 1U << i;
  for (;;) {
    size_t left = 0;
    for (size_t i = from; i < to; i++) {
      if ((heard & 1U << i) != 0)
        continue;
      int got = hf_peer_heard(run, i, kind, reterr);
      if (got < 0)
        return got;
      heard |= (unsigned)got << i;
      left += got == 0;
    }
    if (left == 0)
      return HF_OK;
    int status = hf_peer_tick(run, reterr);
    if (status != HF_OK)
      return status;
    hf_peer_sleep_us(step_us);
  }
}

int hf_peer_hear_one(hf_peer_run *run, size_t index, const char *kind, int64_t step_us,
                     hf_error *reterr) {
  return hear(run, index, index + 1, kind, step_us, reterr);
}

int hf_peer_hear(hf_peer_run *run, const char *kind, int64_t step_us, hf_error *reterr) {
  return hear(run, 0, run->count, kind, step_us, reterr);
}

int hf_peer_meet_at(hf_peer_run *run, const char *kind, const char *text, hf_error *reterr) {
  int status = hf_peer_say(run, kind, text, reterr);
  return status == HF_OK ? hf_peer_hear(run, kind, HF_PEER_STEP_US, reterr) : status;
}
