/* A change of locker: a record, and then the manifest. */
#include <stdio.h>
#include <string.h>

#include "attempt.h"
#include "clock.h"
#include "commit.h"
#include "config.h"
#include "err.h"
#include "manifest.h"
#include "peer_record.h"
#include "store_locker.h"

#include "banned.h"

enum { REACH_MS = 5000, TELL_ROUNDS_MAX = 100 };

int hf_get_locker(hf_store *store, hf_locker_choice *ret_choice, hf_error *reterr) {
  hf_manifest manifest;
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  memset(ret_choice, 0, sizeof *ret_choice);
  status = hf_store_read_locker(store, ret_choice->scheme, &ret_choice->seq, reterr);
  (void)snprintf(ret_choice->mode, sizeof ret_choice->mode, "%s",
                 hf_store_is_as(store, ret_choice->scheme, 1) ? "journal" : "publish");
  if (status == HF_OK) { /* as it is now: others may have told it */
    int got = hf_manifest_read(store->root_fd, &manifest, reterr);
    status = got < 0 ? got : HF_OK;
    if (got == 1)
      (void)snprintf(ret_choice->manifest, sizeof ret_choice->manifest, "%s", manifest.locker);
  }
  if (status != HF_OK)
    hf_store_name_in_error(store, reterr);
  return status;
}

/* ---- may it be set? -------------------------------------------------------------------------- */

/* Can it be had from here? It is taken and given back. Whether it can be reached is soon told;
 * where somebody holds it, it was reached, and is waited for as long as the caller allows. */
static int reach(const hf_store *store, const hf_locker_ops *ops, const char *options,
                 int64_t deadline_ms, hf_error *reterr) {
  hf_locker_open_args args = {store->path, store->manifest.uuid, options, "locker set"};
  hf_grant grant = HF_GRANT_INIT;
  void *opened = NULL;
  int64_t soon_ms = hf_deadline_ms(REACH_MS);
  int status = ops->open(&args, &opened, reterr);
  if (status != HF_OK)
    return status;
  int granted =
      ops->acquire(opened, "lock", soon_ms < deadline_ms ? soon_ms : deadline_ms, &grant, reterr);
  if (granted == 0 && soon_ms < deadline_ms)
    granted = ops->acquire(opened, "lock", deadline_ms, &grant, reterr);
  if (granted == 1)
    (void)ops->release(opened, &grant, 0, NULL);
  ops->close(&opened);
  return granted == 1 ? HF_OK : granted == 0 ? HF_ELOCK : granted;
}

/* flock where hosts may share the filesystem. What they have shown to each other says more than its
 * type. */
static int check_reach_of_flock(const hf_store *store, hf_error *reterr) {
  const char *caution = hf_fs_locker_caution(&store->fs, "flock");
  if (store->manifest.peer[0] != '\0' && hf_peer_shows_flock(&store->manifest))
    return HF_OK;
  if (store->manifest.peer[0] != '\0')
    caution = "doctor --peer has not shown that flock excludes between hosts here";
  if (caution != NULL)
    return hf_err(reterr, HF_ECONFIG, store->path, "%s; --force sets flock all the same", caution);
  return hf_err(reterr, HF_ECONFIG, store->path,
                "the filesystem is %s, which hosts share or which is unknown: whether flock keeps "
                "them apart depends on its mounts and servers. If one host alone writes here, or "
                "they were seen to take turns, --force sets flock",
                store->fs.acting_type);
}

/* Whatever is forced: a locker that cannot be had from here is not set. */
static int check(hf_store *store, const char *scheme, int force, int64_t deadline_ms,
                 hf_error *reterr) {
  char present[HF_LOCKER_NAME_BYTES_MAX + 1];
  const hf_locker_ops *ops = NULL;
  const char *options = NULL;
  if (scheme == NULL || hf_locker_find(scheme) == NULL)
    return hf_err(reterr, HF_ECONFIG, store->path,
                  "there is no locker %.64s; there are flock, redis, none",
                  scheme != NULL ? scheme : "without a name");
  const char *named = hf_store_named_otherwise(store, scheme);
  if (named != NULL)
    return hf_err(reterr, HF_ECONFIG, store->path,
                  "%s says %s for %s: with %s set this host could not save any more; change that "
                  "entry first",
                  hf_config_path(store->config), named, store->fs.acting_type, scheme);
  int status = hf_store_check_locker(store, scheme, &ops, &options, reterr);
  if (status == HF_OK)
    status = hf_store_read_locker(store, present, NULL, reterr);
  if (status != HF_OK || strcmp(present, scheme) == 0)
    return status;
  int is_shared = !store->fs.local || store->manifest.peer[0] != '\0';
  if (!force && is_shared && strcmp(scheme, "flock") == 0)
    status = check_reach_of_flock(store, reterr);
  return status != HF_OK ? status : reach(store, ops, options, deadline_ms, reterr);
}

/* The mode that goes with the locker. NULL: as it is, where the locker allows it. */
static int choose_mode(hf_store *store, const char *scheme, const char *wanted,
                       const char **ret_mode, hf_error *reterr) {
  int is_flock = strcmp(scheme, "flock") == 0;
  int can = is_flock && !store->shared && !store->rename_mode;
  *ret_mode = HF_MODE_PUBLISH;
  if (wanted == NULL) {
    (void)pthread_mutex_lock(&store->view_mutex); /* check has read the log */
    if (can && hf_store_is_journal(store))
      *ret_mode = HF_MODE_JOURNAL;
    (void)pthread_mutex_unlock(&store->view_mutex);
    return HF_OK;
  }
  if (strcmp(wanted, "publish") == 0)
    return HF_OK;
  if (strcmp(wanted, "journal") != 0)
    return hf_err(reterr, HF_EINVAL, NULL, "there is no mode %.32s; there are journal and publish",
                  wanted);
  if (!is_flock)
    return hf_err(
        reterr, HF_ECONFIG, store->path,
        "journal mode needs a lock that cannot end under its holder, and %s has not: only "
        "flock has. Set publish, or flock",
        scheme);
  if (!can)
    return hf_err(
        reterr, HF_ECONFIG, store->path,
        "journal mode is for local filesystems with hard links, and this one is %s: hosts "
        "that share it must publish",
        store->fs.acting_type);
  *ret_mode = HF_MODE_JOURNAL;
  return HF_OK;
}

/* ---- the record, and the manifest ------------------------------------------------------------ */

static int commit(hf_store *store, const char *scheme, const char *mode, int64_t deadline_ms,
                  int without_lock, hf_saved *ret_saved, hf_error *reterr) {
  hf_attempt attempt;
  hf_attempt *one = &attempt;
  int64_t left_ms = deadline_ms - hf_monotonic_ms();
  int status =
      hf_attempt_to_set_locker(store, scheme, mode, left_ms > 0 ? left_ms : 0, &attempt, reterr);
  attempt.without_lock = without_lock;
  if (status == HF_OK) {
    hf_commit(store, &one, 1);
    status = attempt.status;
    *ret_saved = attempt.saved;
    if (status != HF_OK && reterr != NULL)
      *reterr = attempt.error;
  }
  hf_attempt_free(&attempt);
  return status;
}

/* Tells the manifest what the log says. *ret_seq: which record it was told, or a later one. */
static int tell_once(hf_store *store, uint64_t *ret_seq, hf_error *reterr) {
  hf_manifest manifest;
  char scheme[HF_LOCKER_NAME_BYTES_MAX + 1];
  char scheme_text[sizeof scheme + 2];
  char seq_text[24];
  int status = hf_store_read_locker(store, scheme, ret_seq, reterr);
  if (status != HF_OK)
    return status;
  int got = hf_manifest_read(store->root_fd, &manifest, reterr);
  if (got < 0 || (got == 1 && manifest.locker_seq >= *ret_seq))
    return got < 0 ? got : HF_OK;
  (void)snprintf(scheme_text, sizeof scheme_text, "\"%s\"", scheme);
  (void)snprintf(seq_text, sizeof seq_text, "%llu", (unsigned long long)*ret_seq);
  const hf_manifest_member members[] = {{"locker", scheme_text}, {"locker_seq", seq_text}};
  return hf_manifest_replace(store->root_fd, store->stage_fd, members, 2, reterr);
}

/* Until the log says nothing newer: of two who tell at once the one who comes last may have read
 * the older record, and then finds the newer one here. */
static void tell_manifest(hf_store *store) {
  hf_error why = HF_ERROR_INIT;
  uint64_t told = 0;
  uint64_t seq = 0;
  int status = HF_OK;
  for (int i = 0; i < TELL_ROUNDS_MAX && status == HF_OK && (i == 0 || seq > told); i++) {
    status = tell_once(store, &told, &why);
    if (status == HF_OK)
      status = hf_store_read_locker(store, NULL, &seq, &why);
  }
  if (status != HF_OK)
    hf_store_log(store, HF_LOG_WARNING,
                 "%s: %s (the manifest still tells the locker before; the log decides)", why.place,
                 why.message);
}

int hf_set_locker(hf_store *store, const char *scheme, const hf_set_locker_options *options,
                  uint64_t *ret_seq, hf_error *reterr) {
  static const hf_set_locker_options defaults = {.timeout_ms = -1, .force = 0};
  hf_saved saved = {0};
  hf_error error = HF_ERROR_INIT;
  const char *mode = HF_MODE_PUBLISH;
  if (options == NULL)
    options = &defaults;
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  int64_t deadline_ms = hf_deadline_ms(options->timeout_ms);
  status = check(store, scheme, options->force, deadline_ms, &error);
  if (status == HF_OK)
    status = choose_mode(store, scheme, options->mode, &mode, &error);
  if (status == HF_OK)
    status = hf_store_prepare_to_stage(store, &error);
  if (status == HF_OK) {
    status = commit(store, scheme, mode, deadline_ms, 0, &saved, &error);
    /* the present one cannot be had from here */
    if ((status == HF_EBACKEND || status == HF_ECONFIG) && options->force)
      status = commit(store, scheme, mode, deadline_ms, 1, &saved, &error);
  }
  if (status != HF_OK) {
    hf_store_name_in_error(store, &error);
    if (reterr != NULL)
      *reterr = error;
    return status;
  }
  tell_manifest(store);
  *ret_seq = saved.seq;
  return saved.created;
}
