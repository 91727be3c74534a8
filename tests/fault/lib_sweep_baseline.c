/* The operations on baselines, and whether their answers were honest. */
#include <stdio.h>
#include <string.h>

#include <holdfast/baseline.h>

#include "lib_sweep_check.h"

enum { PEER_NUMBER = 25, PEER_BYTES = 50, PEER_RUNS = 2 };

static char group[HF_SHA256_CHARS + 1]; /* of the documents 20 and 25 */

static hf_comparable peers(void) {
  return (hf_comparable){.group = group, .stage = "sweep"};
}

static hf_baseline_options by_number(void) {
  return (hf_baseline_options){
      .metric = "/number", .goal = HF_GOAL_MAX, .min_runs = PEER_RUNS, .timeout_ms = 2000};
}

/* A second run that is comparable with the one that made the handle warm. */
void sweep_prepare_peers(sweep_case *one) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  hf_record *record = NULL;
  fault_must(sweep_save_one(one, one->store, "peer", PEER_NUMBER, PEER_BYTES, NULL, &saved, &error),
             &error, "a save");
  fault_must(hf_get_seq(one->store, saved.seq, &record, &error), &error, "hf_get_seq");
  (void)snprintf(group, sizeof group, "%s", record->group);
  hf_record_free(&record);
}

/* And a baseline. */
void sweep_prepare_baseline(sweep_case *one) {
  hf_error error = HF_ERROR_INIT;
  sweep_prepare_peers(one);
  fault_must(sweep_run_establish(one, &error), &error, "hf_baseline_establish");
}

static int take(sweep_case *one, int got, hf_baseline **baseline) {
  one->got = got;
  if (*baseline != NULL)
    one->seq = (*baseline)->seq;
  hf_baseline_free(baseline);
  return got;
}

int sweep_run_establish(sweep_case *one, hf_error *reterr) {
  hf_comparable of = peers();
  hf_baseline_options options = by_number();
  hf_baseline *baseline = NULL;
  int made = hf_baseline_establish(one->store, &of, &options, &baseline, NULL, reterr);
  return take(one, made, &baseline);
}

int sweep_run_establish_again(sweep_case *one, hf_error *reterr) {
  int made = sweep_run_establish(one, reterr);
  FAULT_CHECK(made != 1, "a second baseline is made");
  one->got = made == 0 ? 1 : made;
  return one->got;
}

int sweep_run_get_baseline(sweep_case *one, hf_error *reterr) {
  hf_comparable of = peers();
  hf_baseline *baseline = NULL;
  int got = hf_baseline_get(one->store, &of, 0, &baseline, reterr);
  return take(one, got, &baseline);
}

/* Of the run that is not the best. */
int sweep_run_check_baseline(sweep_case *one, hf_error *reterr) {
  static hf_checked checked;
  hf_baseline *baseline = NULL;
  uint64_t warm_seq = one->seq - 2;
  int status = hf_baseline_check(one->store, warm_seq, NULL, &checked, &baseline, reterr);
  FAULT_CHECK(status != HF_OK || checked.result == HF_CHECK_WORSE, "20 is not worse than 25");
  return take(one, status == HF_OK ? 1 : status, &baseline);
}

/* Made: everybody sees it. An error: not made, now and later. */
void sweep_check_baseline(sweep_case *one, int status, const hf_error *error) {
  hf_error again = HF_ERROR_INIT;
  hf_comparable of = peers();
  hf_baseline *baseline = NULL;
  FAULT_CHECK(status != 0 && status != HF_ENOTFOUND, "establish answered %s",
              hf_status_name(status));
  sweep_go_on(one);
  hf_store *store = sweep_open(one);
  int got = hf_baseline_get(store, &of, 0, &baseline, &again);
  fault_must(got, &again, "hf_baseline_get");
  if (status == HF_EUNSURE) {
    uint64_t seq = 0;
    int found = hf_resolve(store, error->id, 2000, &seq, &again);
    FAULT_CHECK(found == got && (got == 0 || seq == baseline->seq),
                "resolve answered %d, and there is %s baseline", found, got == 1 ? "a" : "no");
  } else
    FAULT_CHECK(status == 1 ? got == 1 && baseline->seq == one->seq && baseline->of == one->seq - 1
                            : got == 0,
                "establish answered %d (seq %llu), and the baseline is seq %llu", status,
                (unsigned long long)one->seq, got == 1 ? (unsigned long long)baseline->seq : 0ULL);
  hf_baseline_free(&baseline);
  hf_close(&store);
  sweep_check_end(one);
}
