/* The burst: every peer makes 60 names, 1 to 2 ms apart, and each time a mark longer; and looks for
 * those of the others meanwhile, by opening the folder, and by going only for what the mark tells.
 */
#include <stdio.h>

#include "err.h"
#include "peer.h"

#include "banned.h"

enum { PACE_US = 1500, LOOK_STEP_US = 200 };

/* How far one has come with the names of another in one folder, which are found in order. */
typedef struct chase {
  size_t found;
  int is_missing;   /* the next one was announced, and not found */
  int64_t since_us; /* at this instant for the first time */
} chase;

static void burst_name(char name[HF_PEER_NAME_BYTES], size_t number) {
  (void)snprintf(name, HF_PEER_NAME_BYTES, "%020zu.json", number);
}

static int make_next(const hf_peer_run *run, size_t number, hf_error *reterr) {
  char name[HF_PEER_NAME_BYTES];
  burst_name(name, number);
  int status = hf_peer_make_name(run, 'f', name, reterr);
  if (status == HF_OK)
    status = hf_peer_make_name(run, 'g', name, reterr);
  return status == HF_OK ? hf_peer_mark_extend(run, 'u', number, reterr) : status;
}

/* What was seen of the next name. `told` of them are announced. */
static void note(chase *of, size_t told, int is_there, int64_t *missed, int64_t *worst_ms) {
  int64_t now_us = hf_peer_now_us();
  if (!is_there && of->found < told && !of->is_missing) {
    of->is_missing = 1;
    of->since_us = now_us;
    *missed += 1;
  }
  int64_t late_ms = of->is_missing ? (now_us - of->since_us) / 1000 : 0;
  if (*worst_ms != HF_PEER_NOT_SEEN && late_ms > *worst_ms)
    *worst_ms = late_ms >= HF_PEER_SEEN_MS_MAX ? HF_PEER_NOT_SEEN : late_ms;
  if (!is_there)
    return;
  of->found++;
  of->is_missing = 0;
}

/* Looks for names that may not exist yet: up to the first that is not found. */
static int chase_by_folder(hf_peer_run *run, size_t index, size_t told, chase *of,
                           hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  char name[HF_PEER_NAME_BYTES];
  int got = 1;
  while (got == 1 && of->found < HF_PEER_BURST_NAMES) {
    burst_name(name, of->found);
    got = hf_peer_is_there_afresh(run, 'f', index, name, reterr);
    if (got >= 0)
      note(of, told, got, &own->burst_folder, &own->burst_folder_ms);
  }
  return got < 0 ? got : HF_OK;
}

/* Looks only for what the mark tells. */
static int chase_by_mark(hf_peer_run *run, size_t index, size_t told, chase *of, hf_error *reterr) {
  hf_peer_report *own = hf_peer_own(run);
  char name[HF_PEER_NAME_BYTES];
  int got = 1;
  while (got == 1 && of->found < told) {
    burst_name(name, of->found);
    got = hf_peer_is_there_afresh(run, 'g', index, name, reterr);
    if (got >= 0)
      note(of, told, got, &own->burst_mark, &own->burst_mark_ms);
  }
  return got < 0 ? got : HF_OK;
}

static int has_given_up(const chase *of) {
  return of->is_missing && hf_peer_now_us() - of->since_us >= HF_PEER_SEEN_MS_MAX * INT64_C(1000);
}

/* 1: all was found, or will not be. 0: not yet. */
static int chase_one(hf_peer_run *run, size_t index, chase *folder, chase *mark, hf_error *reterr) {
  int64_t told = hf_peer_mark_length(run, 'u', index, reterr);
  if (told < 0)
    return (int)told;
  int status = chase_by_folder(run, index, (size_t)told, folder, reterr);
  if (status == HF_OK)
    status = chase_by_mark(run, index, (size_t)told, mark, reterr);
  if (status != HF_OK)
    return status;
  return (folder->found == HF_PEER_BURST_NAMES || has_given_up(folder)) &&
         (mark->found == HF_PEER_BURST_NAMES || has_given_up(mark));
}

static int chase_all(hf_peer_run *run, chase *folders, chase *marks, hf_error *reterr) {
  size_t left = 0;
  for (size_t i = 0; i < run->count; i++) {
    int done = i == run->self ? 1 : chase_one(run, i, &folders[i], &marks[i], reterr);
    if (done < 0)
      return done;
    left += done == 0;
  }
  return left == 0;
}

int hf_peer_burst(hf_peer_run *run, hf_error *reterr) {
  chase folders[HF_PEERS_MAX] = {{0}};
  chase marks[HF_PEERS_MAX] = {{0}};
  size_t made = 0;
  int64_t next_us = hf_peer_now_us();
  int64_t until_us = next_us + 4 * HF_PEER_SEEN_MS_MAX * INT64_C(1000);
  int status = HF_OK;
  hf_peer_own(run)->burst_names = (int64_t)(run->count - 1) * HF_PEER_BURST_NAMES;
  for (int all = 0; status == HF_OK && (made < HF_PEER_BURST_NAMES || all == 0);) {
    if (made < HF_PEER_BURST_NAMES && hf_peer_now_us() >= next_us) {
      status = make_next(run, made++, reterr);
      next_us = hf_peer_now_us() + PACE_US;
    }
    if (status == HF_OK)
      all = chase_all(run, folders, marks, reterr);
    if (all < 0)
      status = all;
    if (status == HF_OK)
      status = hf_peer_tick(run, reterr);
    if (hf_peer_now_us() > until_us && made == HF_PEER_BURST_NAMES)
      break; /* marks that do not grow, too: the race has told of them */
    hf_peer_sleep_us(LOOK_STEP_US);
  }
  return status == HF_OK ? hf_peer_meet_at(run, "burst", "", reterr) : status;
}
