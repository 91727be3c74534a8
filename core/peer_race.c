/* The race for names: every peer gives its own file the same name at the same time, as writers do
 * with the next seq, and reads back who got it; 200 times, and once more when all are done.
 *
 * Beside it the marks, as a store uses them: before each of its links a peer makes its own mark
 * longer by a byte. Whoever is beaten to a name knows by that (the answer came from where names are
 * given, not from a cache) that the winner's mark was closed with that length, and opens it: a
 * shorter one is a reader that misses acknowledged saves. Each looks at the others' marks before it
 * links, so that a cache has something old to show. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "err.h"
#include "file.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

enum {
  JITTER_US = 2000,   /* so that another one is first each time */
  SIGNAL_FROM = 1000, /* those of the clocks are below */
};

/* ---- one name ---- */

static void name_of(char name[HF_PEER_NAME_BYTES], size_t number) {
  (void)snprintf(name, HF_PEER_NAME_BYTES, "race-%03zu", number);
}

/* A rename takes the file away: then each name needs one of its own. */
static void own_name(const hf_peer_run *run, size_t number, char name[HF_PEER_NAME_BYTES]) {
  if (run->by_rename)
    (void)snprintf(name, HF_PEER_NAME_BYTES, "o%zu-%03zu", run->self, number);
  else
    hf_peer_name(name, 'o', run->self);
}

static char give_name(hf_peer_run *run, size_t number) {
  char name[HF_PEER_NAME_BYTES];
  char own[HF_PEER_NAME_BYTES];
  name_of(name, number);
  own_name(run, number, own);
  int answer = run->by_rename
                   ? hf_sys_rename(run->session_fd, own, run->session_fd, name, RENAME_NOREPLACE)
                   : hf_sys_link(run->session_fd, own, run->session_fd, name);
  if (answer == 0)
    return HF_PEER_WON;
  if (errno == EEXIST)
    return HF_PEER_EXISTS;
  if (hf_peer_own(run)->race_errno == 0)
    hf_peer_own(run)->race_errno = errno;
  return HF_PEER_FAILED;
}

/* Whose id does the name hold? */
static char read_back(const hf_peer_run *run, size_t number) {
  char name[HF_PEER_NAME_BYTES];
  hf_autobuf text = {0};
  name_of(name, number);
  if (hf_file_read(run->session_fd, name, HF_ID_CHARS, &text, NULL) != 1 ||
      text.used != HF_ID_CHARS)
    return HF_PEER_NOBODY;
  for (size_t i = 0; i < run->count; i++)
    if (memcmp(run->members[i].mail.id, text.data, HF_ID_CHARS) == 0)
      return hf_peer_digit(i);
  return HF_PEER_NOBODY;
}

static int look_at_marks(const hf_peer_run *run, hf_error *reterr) {
  for (size_t i = 0; i < run->count; i++) {
    int64_t length = i != run->self ? hf_peer_mark_length(run, 'm', i, reterr) : 0;
    if (length < 0)
      return (int)length;
  }
  return HF_OK;
}

/* The one who has the name had made its mark longer before. */
static int check_mark(hf_peer_run *run, size_t winner, size_t number, hf_error *reterr) {
  int64_t length = hf_peer_mark_length(run, 'm', winner, reterr);
  if (length < 0)
    return (int)length;
  hf_peer_own(run)->marks_checked++;
  hf_peer_own(run)->marks_stale += length < (int64_t)number + 1;
  return HF_OK;
}

/* All are there, so they run at once: the first one waits for everybody, and signals each. */
static int line_up(hf_peer_run *run, size_t number, hf_error *reterr) {
  unsigned signal = (unsigned)(SIGNAL_FROM + number);
  int status = HF_OK;
  if (run->self != 0) {
    status = hf_peer_signal(run, 0, signal, reterr);
    return status == HF_OK ? hf_peer_await(run, 0, signal, reterr) : status;
  }
  for (size_t i = 1; i < run->count && status == HF_OK; i++)
    status = hf_peer_await(run, i, signal, reterr);
  for (size_t i = 1; i < run->count && status == HF_OK; i++)
    status = hf_peer_signal(run, i, signal, reterr);
  return status;
}

static int run_for(hf_peer_run *run, size_t number, int64_t jitter_us, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  int status = look_at_marks(run, reterr);
  if (status == HF_OK)
    status = hf_peer_mark_extend(run, 'm', number, reterr);
  if (status == HF_OK)
    status = line_up(run, number, reterr);
  if (status != HF_OK)
    return status;
  hf_peer_sleep_us(jitter_us);
  own->answered[number] = give_name(run, number);
  own->at_once[number] = read_back(run, number);
  for (size_t i = 0; i < run->count; i++)
    if (i != run->self && own->at_once[number] == hf_peer_digit(i))
      return check_mark(run, i, number, reterr);
  return HF_OK;
}

/* ---- all names ---- */

int hf_peer_race_prepare(hf_peer_run *run, hf_error *reterr) {
  char own[HF_PEER_NAME_BYTES];
  size_t files = run->by_rename ? HF_PEER_RACE_NAMES : 1;
  for (size_t i = 0; i < files; i++) {
    own_name(run, i, own);
    int status = hf_file_create(run->session_fd, own, run->id, HF_ID_CHARS, 1, reterr);
    if (status != HF_OK)
      return status;
  }
  return hf_peer_mark_make(run, 'm', reterr);
}

int hf_peer_race(hf_peer_run *run, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  uint8_t random[HF_PEER_RACE_NAMES] = {0};
  if (getrandom(random, sizeof random, GRND_NONBLOCK) < 0)
    random[0] = 0; /* early in boot: a race without jitter */
  int status = HF_OK;
  for (size_t i = 0; i < HF_PEER_RACE_NAMES && status == HF_OK; i++)
    status = run_for(run, i, random[i] * JITTER_US / 256, reterr);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "raced", "", reterr);
  for (size_t i = 0; i < HF_PEER_RACE_NAMES && status == HF_OK; i++) {
    own->at_end[i] = read_back(run, i);
    status = hf_peer_tick(run, reterr);
  }
  return status;
}
