/* Clocks: the first peer asks each of the others, by signals, which no cache delays; and how long a
 * letter takes by mail, which is a file that grew: as readers learn what was saved. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"
#include "err.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

enum { PINGS = 15, LETTERS = 3, FILE_STAMPS = 5 };

/* ---- against the files' times ---- */

static int stamp(const hf_peer_run *run, int64_t *ret_ahead_us, int64_t *ret_took_us,
                 hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  struct stat st;
  hf_peer_name(name, 'c', run->self);
  int64_t before_us = hf_realtime_us();
  hf_autofd int fd = hf_sys_openat(run->session_fd, name, O_RDWR | O_CREAT, 0666);
  if (fd < 0 || hf_sys_pwrite_full(fd, "h", 1, 0) != 0 || hf_sys_fsync(fd) != 0 ||
      hf_sys_fstat(fd, &st) != 0)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot write a scratch file");
  int64_t after_us = hf_realtime_us();
  int64_t written_us = (int64_t)st.st_mtim.tv_sec * 1000000 + st.st_mtim.tv_nsec / 1000;
  *ret_ahead_us = written_us - (before_us + after_us) / 2;
  *ret_took_us = after_us - before_us;
  return HF_OK;
}

static int ask_files(hf_peer_run *run, hf_error *reterr) {
  int64_t best_us = INT64_MAX;
  for (int i = 0; i < FILE_STAMPS; i++) {
    int64_t ahead_us = 0;
    int64_t took_us = 0;
    int status = stamp(run, &ahead_us, &took_us, reterr);
    if (status != HF_OK)
      return status;
    if (took_us < best_us)
      hf_peer_own(run)->file_ahead_us = ahead_us;
    if (took_us < best_us)
      best_us = took_us;
  }
  return HF_OK;
}

/* ---- against each other ---- */

/* One peer's clock, as the first one finds it. */
typedef struct answers {
  int64_t sent_us[PINGS];
  int64_t back_us[PINGS];
  int64_t ahead_us;
  int64_t within_us;
  int64_t trips_us[LETTERS]; /* of mail */
} answers;

static int by_value(const void *a, const void *b) {
  int64_t one = *(const int64_t *)a;
  int64_t two = *(const int64_t *)b;
  return one < two ? -1 : one > two;
}

/* The quickest of the pings tells best: the other clock was read between its two instants. */
static int take_answers(const hf_peer_run *run, size_t index, answers *of, hf_error *reterr) {
  const char *text = hf_peer_mail_text(&run->members[index].mail);
  for (size_t i = 0; i < PINGS; i++) {
    char *end = NULL;
    int64_t there_us = (int64_t)strtoll(text, &end, 10);
    int64_t within_us = (of->back_us[i] - of->sent_us[i]) / 2 + 1;
    if (end == text)
      return hf_err(reterr, HF_EVERSION, run->path, "a peer's answer on its clock makes no sense");
    text = end;
    if (i > 0 && within_us >= of->within_us)
      continue;
    of->within_us = within_us > 0 ? within_us : 1;
    of->ahead_us = there_us - (of->sent_us[i] + of->back_us[i]) / 2;
  }
  return HF_OK;
}

static int ask_one(hf_peer_run *run, size_t index, answers *of, hf_error *reterr) {
  int status = HF_OK;
  for (unsigned i = 0; i < PINGS && status == HF_OK; i++) {
    of->sent_us[i] = hf_realtime_us();
    status = hf_peer_signal(run, index, i, reterr);
    if (status == HF_OK)
      status = hf_peer_await(run, index, i, reterr);
    of->back_us[i] = hf_realtime_us();
  }
  if (status == HF_OK)
    status = hf_peer_hear_one(run, index, "pong", HF_PEER_STEP_US, reterr);
  return status == HF_OK ? take_answers(run, index, of, reterr) : status;
}

/* How long a letter takes, there and back. */
static int ask_by_mail(hf_peer_run *run, answers *of, hf_error *reterr) {
  for (int i = 0; i < LETTERS; i++) {
    int64_t sent_us = hf_peer_now_us();
    int status = hf_peer_say(run, "ping", "", reterr);
    for (size_t j = 1; j < run->count && status == HF_OK; j++) {
      status = hf_peer_hear_one(run, j, "pong", HF_PEER_STEP_QUICK_US, reterr);
      of[j].trips_us[i] = hf_peer_now_us() - sent_us;
    }
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

static int answer(hf_peer_run *run, hf_error *reterr) {
  hf_autobuf text = {0};
  int status = HF_OK;
  for (unsigned i = 0; i < PINGS && status == HF_OK; i++) {
    status = hf_peer_await(run, 0, i, reterr);
    (void)hf_buf_printf(&text, "%" PRId64 " ", hf_realtime_us());
    if (status == HF_OK)
      status = hf_peer_signal(run, 0, i, reterr);
  }
  if (status == HF_OK && text.failed != 0)
    status = hf_err_nomem(reterr);
  if (status == HF_OK)
    status = hf_peer_say(run, "pong", text.data, reterr);
  for (int i = 0; i < LETTERS && status == HF_OK; i++) {
    status = hf_peer_hear_one(run, 0, "ping", HF_PEER_STEP_QUICK_US, reterr);
    if (status == HF_OK)
      status = hf_peer_say(run, "pong", "", reterr);
  }
  return status;
}

/* The first one tells everybody what it has found of whom. */
static int tell_all(hf_peer_run *run, answers *of, hf_error *reterr) {
  hf_autobuf text = {0};
  for (size_t i = 1; i < run->count; i++) {
    qsort(of[i].trips_us, LETTERS, sizeof of[i].trips_us[0], by_value);
    (void)hf_buf_printf(&text, "%" PRId64 " %" PRId64 " %" PRId64 " ", of[i].ahead_us,
                        of[i].within_us, of[i].trips_us[LETTERS / 2]);
  }
  return text.failed != 0 ? hf_err_nomem(reterr)
                          : hf_peer_meet_at(run, "clocks", text.data, reterr);
}

static int learn(hf_peer_run *run, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  int64_t *values[] = {&own->ahead_us, &own->ahead_within_us, &own->round_trip_us};
  int status = hf_peer_meet_at(run, "clocks", "", reterr);
  const char *text = status == HF_OK ? hf_peer_mail_text(&run->members[0].mail) : "";
  for (size_t i = 0; i < 3 * run->self && status == HF_OK; i++) {
    char *end = NULL;
    int64_t value = (int64_t)strtoll(text, &end, 10);
    if (end == text)
      return hf_err(reterr, HF_EVERSION, run->path, "what a peer tells of clocks makes no sense");
    text = end;
    *values[i % 3] = value; /* the last three are one's own */
  }
  return status;
}

static int ask_all(hf_peer_run *run, hf_error *reterr) {
  answers of[HF_PEERS_MAX] = {{{0}, {0}, 0, 0, {0}}};
  int status = HF_OK;
  for (size_t i = 1; i < run->count && status == HF_OK; i++)
    status = ask_one(run, i, &of[i], reterr);
  if (status == HF_OK)
    status = ask_by_mail(run, of, reterr);
  return status == HF_OK ? tell_all(run, of, reterr) : status;
}

int hf_peer_clocks(hf_peer_run *run, hf_error *reterr) {
  int status = ask_files(run, reterr);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "files", "", reterr);
  if (status == HF_OK)
    status = run->self == 0 ? ask_all(run, reterr) : answer(run, reterr);
  return status == HF_OK && run->self != 0 ? learn(run, reterr) : status;
}
