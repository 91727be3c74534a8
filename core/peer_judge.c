/* The judgement: a function of the reports alone, so that all peers come to the same one. */
#include <errno.h>
#include <string.h>

#include "peer_report.h"
#include "plant.h"

#include "banned.h"

typedef const hf_peer_report *const *reports_of;

/* ---- who took part ---- */

/* Without a boot id nothing shows that it is another host. */
static int are_apart(const hf_peer_report *one, const hf_peer_report *two) {
  if (HF_PLANTED(PEER_TRUST_NAMES))
    return one->pid != two->pid;
  return one->boot[0] != '\0' && two->boot[0] != '\0' && strcmp(one->boot, two->boot) != 0;
}

static size_t count_hosts(reports_of reports, size_t count) {
  size_t hosts = 0;
  for (size_t i = 0; i < count; i++) {
    int is_new = 1;
    for (size_t j = 0; j < i; j++)
      is_new = is_new && are_apart(reports[i], reports[j]);
    hosts += (size_t)is_new;
  }
  return hosts;
}

/* ---- names ---- */

static void judge_answer(const hf_peer_report *report, size_t index, size_t name,
                         hf_peer_findings *found) {
  int is_own = report->at_once[name] == hf_peer_digit(index);
  if (report->answered[name] == HF_PEER_WON)
    found->lied += !is_own;
  else
    found->lost += (size_t)is_own;
  if (report->answered[name] == HF_PEER_FAILED && !is_own && found->failed_errno == 0)
    found->failed_errno = report->race_errno;
}

static void judge_name(reports_of reports, size_t count, size_t name, hf_peer_findings *found) {
  char owner = reports[0]->at_end[name];
  int is_absent = 0;
  int is_same = 1;
  for (size_t i = 0; i < count; i++) {
    const char seen[] = {reports[i]->at_once[name], reports[i]->at_end[name]};
    for (size_t j = 0; j < sizeof seen; j++) {
      if (j == 0 && HF_PLANTED(PEER_LAST_LOOK))
        continue;
      is_absent = is_absent || seen[j] == HF_PEER_NOBODY;
      is_same = is_same && seen[j] == owner;
    }
    judge_answer(reports[i], i, name, found);
  }
  if (is_absent)
    found->absent++;
  else if (!is_same)
    found->replaced++;
  else
    found->agreed++;
}

static void judge_names(reports_of reports, size_t count, hf_peer_findings *found) {
  found->can_link = 1;
  found->can_rename = 1;
  for (size_t i = 0; i < count; i++) {
    found->can_link = found->can_link && reports[i]->can_link != 0;
    found->can_rename = found->can_rename && reports[i]->can_rename != 0;
  }
  for (size_t name = 0; name < HF_PEER_RACE_NAMES; name++)
    judge_name(reports, count, name, found);
  found->publishes = (found->by_rename ? found->can_rename : found->can_link) &&
                     found->agreed == HF_PEER_RACE_NAMES && found->failed_errno == 0 &&
                     (found->lied == 0 || HF_PLANTED(PEER_TRUST_ANSWERS));
}

/* ---- freshness ---- */

static void raise_to(int64_t *worst, int64_t value) {
  if (*worst != HF_PEER_NOT_SEEN && (value == HF_PEER_NOT_SEEN || value > *worst))
    *worst = value;
}

static void judge_freshness(reports_of reports, size_t count, hf_peer_findings *found) {
  found->marks_checked = INT64_MAX;
  for (size_t i = 0; i < count; i++) {
    const hf_peer_report *one = reports[i];
    if (one->marks_checked < found->marks_checked)
      found->marks_checked = one->marks_checked;
    found->marks_stale += one->marks_stale;
    raise_to(&found->name_ms, one->name_ms);
    raise_to(&found->folder_ms, one->folder_ms);
    raise_to(&found->mark_ms, one->mark_ms);
    found->burst_names += one->burst_names;
    found->burst_folder += one->burst_folder;
    raise_to(&found->burst_folder_ms, one->burst_folder_ms);
    found->burst_mark += one->burst_mark;
    raise_to(&found->burst_mark_ms, one->burst_mark_ms);
  }
  found->is_fresh = (found->marks_stale == 0 || HF_PLANTED(PEER_IGNORE_MARKS)) &&
                    found->mark_ms != HF_PEER_NOT_SEEN;
}

/* ---- locks ---- */

typedef struct lock_rows {
  int64_t no_lock; /* an errno of somebody who could not have a free one */
  int near;        /* was it refused, within a host, as often as it was tried? */
  int far;         /* between hosts */
  int far_tried;
  int stuck; /* a lock whose file was closed was not given to the next one */
} lock_rows;

static void judge_try(lock_rows *rows, int is_far, char held, char freed) {
  if (held == HF_PEER_NO_LOCK || freed == HF_PEER_NO_LOCK)
    rows->no_lock = ENOLCK;
  if (held != HF_PEER_NOT_TRIED && is_far)
    rows->far_tried = 1;
  if (held == HF_PEER_GRANTED && is_far)
    rows->far = 0;
  else if (held == HF_PEER_GRANTED)
    rows->near = 0;
  if (freed == HF_PEER_REFUSED)
    rows->stuck = 1;
}

static hf_peer_reach reach_of(const lock_rows *rows) {
  if (rows->no_lock != 0)
    return HF_REACH_NOTHING;
  if (!rows->near || rows->stuck)
    return HF_REACH_NOBODY;
  if (!rows->far && !HF_PLANTED(PEER_IGNORE_FAR))
    return HF_REACH_NOT_FAR;
  return rows->far_tried ? HF_REACH_HOSTS : HF_REACH_HOST;
}

static void judge_locks(reports_of reports, size_t count, hf_peer_findings *found) {
  lock_rows flock_rows = {.near = 1, .far = 1};
  lock_rows fcntl_rows = {.near = 1, .far = 1};
  for (size_t i = 0; i < count; i++) {
    const hf_peer_report *one = reports[i];
    flock_rows.no_lock |= one->flock_errno;
    fcntl_rows.no_lock |= one->fcntl_errno;
    for (size_t j = 0; j < count; j++) {
      int is_far = are_apart(one, reports[j]);
      judge_try(&flock_rows, is_far, one->flock_held[j], one->flock_freed[j]);
      judge_try(&fcntl_rows, is_far, one->fcntl_held[j], one->fcntl_freed[j]);
    }
  }
  found->flock = reach_of(&flock_rows);
  found->fcntl = reach_of(&fcntl_rows);
}

const char *hf_peer_reach_name(hf_peer_reach reach) {
  switch (reach) {
  case HF_REACH_NOTHING:
    return "unsupported";
  case HF_REACH_NOBODY:
    return "no";
  case HF_REACH_HOST:
    return "one-host";
  case HF_REACH_NOT_FAR:
    return "not-across";
  case HF_REACH_HOSTS:
    return "hosts";
  }
  return "no";
}

/* ---- clocks ---- */

static void judge_clocks(reports_of reports, size_t count, hf_peer_findings *found) {
  int64_t least_us = 0;
  int64_t most_us = 0;
  for (size_t i = 0; i < count; i++) {
    const hf_peer_report *one = reports[i];
    least_us = one->ahead_us < least_us ? one->ahead_us : least_us;
    most_us = one->ahead_us > most_us ? one->ahead_us : most_us;
    raise_to(&found->clocks_within_us, one->ahead_within_us);
    raise_to(&found->round_trip_us, one->round_trip_us);
  }
  found->clocks_apart_us = most_us - least_us;
}

/* ---- all together ---- */

void hf_peer_judge(const hf_peer_report *const *reports, size_t count, int by_rename,
                   hf_peer_findings *ret_found) {
  hf_peer_findings found;
  memset(&found, 0, sizeof found);
  found.peers = count;
  found.by_rename = by_rename;
  found.hosts = count_hosts(reports, count);
  for (size_t i = 0; i < count; i++) {
    found.is_local = found.is_local || reports[i]->is_local != 0;
    found.is_refused = found.is_refused || reports[i]->is_refused != 0;
  }
  judge_names(reports, count, &found);
  judge_freshness(reports, count, &found);
  judge_locks(reports, count, &found);
  judge_clocks(reports, count, &found);
  /* on a local filesystem a store believes its one kernel: with two, it must not */
  int is_trusted_wrongly = found.is_local && found.hosts > 1 && !HF_PLANTED(PEER_IGNORE_LOCAL);
  found.is_safe = found.publishes && found.is_fresh && !found.is_refused && !is_trusted_wrongly;
  int flock_is_shown =
      found.flock == HF_REACH_HOSTS ||
      (found.flock == HF_REACH_HOST && (found.is_local || HF_PLANTED(PEER_ONE_HOST_IS_ALL)));
  if (found.is_safe)
    found.locker = flock_is_shown ? "flock" : "redis";
  *ret_found = found;
}
