#include "doctor.h"

#include <string.h>

#include "clock.h"
#include "config.h"

#include "banned.h"

enum { REACH_MS = 2000 };

/* A grant of a scratch lock, described and released: is the locker there, and does it work? */
static int try_lock(const hf_locker_ops *ops, void *state, hf_error *reterr) {
  hf_grant grant = HF_GRANT_INIT;
  hf_lock_holder holder;
  int got = ops->acquire(state, "doctor", hf_deadline_ms(REACH_MS), &grant, reterr);
  if (got != 1)
    return got < 0 ? got : HF_ELOCK;
  int described = ops->describe(state, "doctor", &holder, reterr);
  int released = ops->release(state, &grant, 0, described < 0 ? NULL : reterr);
  if (described < 0)
    return described;
  return released < 0 ? released : HF_OK;
}

static void tell_finding(void *context, const char *name, int badness, double figure,
                         const char *unit, const char *text) {
  static const hf_verdict verdicts[] = {HF_VERDICT_GOOD, HF_VERDICT_CAUTION, HF_VERDICT_BAD};
  size_t last = sizeof verdicts / sizeof verdicts[0] - 1;
  size_t which = badness < 0 ? 0 : (size_t)badness > last ? last : (size_t)badness;
  hf_doctor_tell(context, name, verdicts[which], figure, unit, "%s", text);
}

/* Tries it, and lets it tell of its backend. */
static int reach(hf_doctor_run *run, const hf_locker_ops *ops, const char *options,
                 hf_error *reterr) {
  void *state = NULL;
  hf_locker_open_args args = {
      .store_path = run->scratch_path,
      .store_uuid = run->is_store ? run->manifest.uuid : "00000000-0000-4000-8000-000000000000",
      .options_json = options,
      .purpose = "doctor",
  };
  int status = ops->check_options != NULL ? ops->check_options(options, reterr) : HF_OK;
  if (status == HF_OK)
    status = ops->open(&args, &state, reterr);
  if (status != HF_OK)
    return status;
  status = try_lock(ops, state, reterr);
  if (status == HF_OK && ops->examine != NULL)
    status = ops->examine(state, tell_finding, run, reterr);
  ops->close(&state);
  return status;
}

static void tell_reached(hf_doctor_run *run, const hf_locker_ops *ops, int64_t took_ms) {
  const char *caution = hf_fs_locker_caution(&run->fs, ops->scheme);
  int excludes = (ops->traits & HF_LOCKER_EXCLUDES_PROCESSES) != 0;
  const char *remark = caution != NULL ? caution
                       : excludes      ? "granted and released a lock"
                                       : "excludes nobody: writers that meet try again";
  hf_doctor_tell(run, "locker", caution != NULL ? HF_VERDICT_CAUTION : HF_VERDICT_GOOD,
                 (double)took_ms, "ms", "%s%s: %s", ops->scheme,
                 run->is_store ? "" : " would be chosen here", remark);
}

void hf_doctor_ask_locker(hf_doctor_run *run) {
  const char *scheme =
      run->is_store ? run->manifest.locker : hf_config_locker_for(run->config, run->fs.acting_type);
  const hf_locker_ops *ops = hf_locker_find(scheme);
  if (ops == NULL) {
    hf_doctor_tell(
        run, "locker", HF_VERDICT_BAD, 0, "",
        "%s is wanted for %s, and %s; if one host alone writes here, init --locker flock", scheme,
        run->fs.acting_type, hf_config_scheme_absence(scheme));
    return;
  }
  hf_error error = HF_ERROR_INIT;
  int64_t began_ms = hf_monotonic_ms();
  const char *options = hf_config_locker_options(run->config, scheme);
  int status = reach(run, ops, options, &error);
  if (status == HF_OK)
    tell_reached(run, ops, hf_monotonic_ms() - began_ms);
  else
    hf_doctor_tell(run, "locker", HF_VERDICT_BAD, 0, "", "%s: %s%s%s", scheme, error.place,
                   error.place[0] != '\0' ? ": " : "", error.message);
}
