/* How late a new name is seen: by looking for it again and again, by opening the folder before each
 * look, and by the length of a mark. And a burst of names, 1 to 2 ms apart. Times count from when
 * the name was announced: what was acknowledged and is not seen. */
#include <string.h>

#include "err.h"
#include "file.h"
#include "peer.h"
#include "sys.h"

#include "banned.h"

enum { LOOKS_BEFORE = 3, LOOK_STEP_US = 2000, BURST_PACE_US = 1500 };

static const char new_name[] = "new";
/* Folders: 'a' is looked into by a descriptor that is kept, 'b' is opened before each look; 'f' and
 * 'g' are those of the burst. Marks: 'n', and 'u' of the burst. */
static const char folder_kinds[] = "abfg";

int hf_peer_look_prepare(hf_peer_run *run, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  int status = hf_peer_mark_make(run, 'n', reterr);
  if (status == HF_OK)
    status = hf_peer_mark_make(run, 'u', reterr);
  for (size_t i = 0; folder_kinds[i] != '\0' && status == HF_OK; i++) {
    hf_autofd int fd = -1;
    hf_peer_name(name, folder_kinds[i], run->self);
    status = hf_dir_make(run->session_fd, name, &fd, NULL, reterr);
  }
  hf_peer_name(name, 's', run->self);
  return status == HF_OK ? hf_file_create(run->session_fd, name, "s", 1, 1, reterr) : status;
}

static void raise_to(int64_t *worst_ms, int64_t ms) {
  if (*worst_ms != HF_PEER_NOT_SEEN && (ms == HF_PEER_NOT_SEEN || ms > *worst_ms))
    *worst_ms = ms;
}

/* ---- one name ---- */

typedef struct watch {
  int kept_fd; /* of the folder 'a' */
  int announced;
  int64_t announced_us;
  int seen[3]; /* by name, with the folder, by the mark */
} watch;

static int look_once(const hf_peer_run *run, size_t index, watch *of, hf_error *reterr) {
  int64_t got[3] = {1, 1, 1};
  if (!of->seen[0])
    got[0] = hf_peer_is_there(of->kept_fd, new_name, reterr);
  if (!of->seen[1] && got[0] >= 0)
    got[1] = hf_peer_is_there_afresh(run, 'b', index, new_name, reterr);
  if (!of->seen[2] && got[0] >= 0 && got[1] >= 0)
    got[2] = hf_peer_mark_length(run, 'n', index, reterr);
  for (size_t i = 0; i < 3; i++) {
    if (got[i] < 0)
      return (int)got[i];
    of->seen[i] |= got[i] > 0;
  }
  return HF_OK;
}

/* 1: nothing more to look for. */
static int look_and_note(hf_peer_run *run, size_t index, watch *of, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  int64_t *worst_ms[3] = {&own->name_ms, &own->folder_ms, &own->mark_ms};
  int before[3];
  memcpy(before, of->seen, sizeof before);
  int status = look_once(run, index, of, reterr);
  if (status != HF_OK)
    return status;
  int64_t late_ms = of->announced ? (hf_peer_now_us() - of->announced_us) / 1000 : 0;
  int all = of->seen[0] && of->seen[1] && of->seen[2];
  for (size_t i = 0; i < 3; i++) {
    if (of->seen[i] && !before[i])
      raise_to(worst_ms[i], late_ms);
    if (!of->seen[i] && late_ms >= HF_PEER_SEEN_MS_MAX)
      raise_to(worst_ms[i], HF_PEER_NOT_SEEN);
  }
  if (!of->announced) {
    of->announced = hf_peer_heard(run, index, "made", reterr);
    of->announced_us = hf_peer_now_us();
    return of->announced < 0 ? of->announced : 0;
  }
  return all || late_ms >= HF_PEER_SEEN_MS_MAX;
}

static int open_watches(const hf_peer_run *run, watch *of, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  int status = HF_OK;
  for (size_t i = 0; i < run->count && status == HF_OK; i++) {
    hf_peer_name(name, 'a', i);
    if (i != run->self)
      status = hf_dir_open(run->session_fd, name, &of[i].kept_fd, reterr);
    for (int look = 0; i != run->self && look < LOOKS_BEFORE && status == HF_OK; look++)
      status = look_once(run, i, &of[i], reterr);
  }
  return status;
}

static int watch_all(hf_peer_run *run, watch *of, hf_error *reterr) {
  int done[HF_PEERS_MAX] = {0};
  done[run->self] = 1;
  for (;;) {
    size_t left = 0;
    for (size_t i = 0; i < run->count; i++) {
      if (!done[i])
        done[i] = look_and_note(run, i, &of[i], reterr);
      if (done[i] < 0)
        return done[i];
      left += done[i] == 0;
    }
    if (left == 0)
      return HF_OK;
    int status = hf_peer_tick(run, reterr);
    if (status != HF_OK)
      return status;
    hf_peer_sleep_us(LOOK_STEP_US);
  }
}

int hf_peer_look(hf_peer_run *run, hf_error *reterr) {
  watch of[HF_PEERS_MAX];
  for (size_t i = 0; i < HF_PEERS_MAX; i++)
    of[i] = (watch){.kept_fd = -1};
  int status = open_watches(run, of, reterr);
  if (status == HF_OK)
    status = hf_peer_meet_at(run, "looked", "", reterr);
  if (status == HF_OK)
    status = hf_peer_make_name(run, 'a', new_name, reterr);
  if (status == HF_OK)
    status = hf_peer_make_name(run, 'b', new_name, reterr);
  if (status == HF_OK)
    status = hf_peer_mark_extend(run, 'n', 0, reterr);
  if (status == HF_OK)
    status = hf_peer_say(run, "made", "", reterr);
  if (status == HF_OK)
    status = watch_all(run, of, reterr);
  for (size_t i = 0; i < HF_PEERS_MAX; i++)
    hf_fd_cleanup(&of[i].kept_fd);
  return status == HF_OK ? hf_peer_meet_at(run, "seen", "", reterr) : status;
}
