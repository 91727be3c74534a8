#include "store_locker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "err.h"
#include "log.h"

#include "banned.h"

const char *hf_store_locker_name(const hf_store *store) {
  return store->view.mode_seq != 0 ? store->view.locker : store->manifest.locker;
}

int hf_store_is_journal(const hf_store *store) {
  /* the manifest's locker may be a later one, of a record that is still to be read */
  return store->view.mode_seq != 0 ? store->view.journal : store->manifest.journal;
}

int hf_store_is_as(hf_store *store, const char *scheme, int journal) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int is =
      strcmp(hf_store_locker_name(store), scheme) == 0 && hf_store_is_journal(store) == journal;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return is;
}

int hf_store_locker_is(hf_store *store, const char *scheme) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int is = strcmp(hf_store_locker_name(store), scheme) == 0;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return is;
}

static void take_name(const hf_store *store, char scheme[HF_LOCKER_NAME_BYTES_MAX + 1]) {
  (void)snprintf(scheme, HF_LOCKER_NAME_BYTES_MAX + 1, "%s", hf_store_locker_name(store));
}

int hf_store_read_locker(hf_store *store, char ret_scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                         uint64_t *ret_seq, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_refresh(store, 0, reterr);
  if (status == HF_OK && ret_scheme != NULL)
    take_name(store, ret_scheme);
  if (status == HF_OK && ret_seq != NULL)
    *ret_seq = store->view.mode_seq;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

const char *hf_store_named_otherwise(const hf_store *store, const char *scheme) {
  const char *named = hf_config_locker_named(store->config, store->fs.acting_type);
  return named != NULL && strcmp(named, scheme) != 0 ? named : NULL;
}

int hf_store_check_locker(const hf_store *store, const char *scheme, const hf_locker_ops **ret_ops,
                          const char **ret_options, hf_error *reterr) {
  const hf_locker_ops *ops = hf_locker_find(scheme);
  if (ops == NULL)
    return hf_err(reterr, HF_ECONFIG, store->path,
                  "the store's locker is %s, which this program does not have; use one that has "
                  "it. Nothing was saved",
                  scheme);
  const char *options = hf_config_locker_options(store->config, scheme);
  *ret_ops = ops;
  *ret_options = options;
  return ops->check_options != NULL ? ops->check_options(options, reterr) : HF_OK;
}

/* ---- the opened one -------------------------------------------------------------------------- */

/* The name, as far as the log was read; a handle's first look reads it to its end. */
static int known_name(hf_store *store, char scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                      hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int is_read = store->view.head > 0;
  if (is_read)
    take_name(store, scheme);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return is_read ? HF_OK : hf_store_read_locker(store, scheme, NULL, reterr);
}

/* locker_mutex is held. *ret_unused: one that has no user any more, to be closed without it. */
static void drop(hf_opened_locker *locker, hf_opened_locker **ret_unused) {
  if (locker != NULL && --locker->users == 0)
    *ret_unused = locker;
}

static void close_unused(hf_opened_locker *unused) {
  if (unused == NULL)
    return;
  unused->ops->close(&unused->state);
  free(unused);
}

/* The present one, with one more user, where it is of this scheme; else NULL. locker_mutex is held.
 */
static hf_opened_locker *take_present(hf_store *store, const char *scheme) {
  if (store->locker == NULL || strcmp(store->locker->ops->scheme, scheme) != 0)
    return NULL;
  store->locker->users++;
  return store->locker;
}

/* Opens it, without a mutex: its backend may let us wait. */
static int open_locker(const hf_store *store, const char *scheme, hf_opened_locker **ret_opened,
                       hf_error *reterr) {
  const char *options = NULL;
  hf_autofree hf_opened_locker *opened = calloc(1, sizeof *opened);
  if (opened == NULL)
    return hf_err_nomem(reterr);
  int status = hf_store_check_locker(store, scheme, &opened->ops, &options, reterr);
  if (status != HF_OK)
    return status;
  hf_locker_open_args args = {store->path, store->manifest.uuid, options, store->purpose};
  status = opened->ops->open(&args, &opened->state, reterr);
  if (status != HF_OK)
    return status;
  opened->users = 1;
  *ret_opened = hf_take(opened);
  return HF_OK;
}

static int present_or_open(hf_store *store, const char *scheme, hf_opened_locker **ret_locker,
                           hf_error *reterr) {
  hf_opened_locker *opened = NULL;
  hf_opened_locker *unused = NULL;
  (void)pthread_mutex_lock(&store->locker_mutex);
  hf_opened_locker *present = take_present(store, scheme);
  (void)pthread_mutex_unlock(&store->locker_mutex);
  int status = present == NULL ? open_locker(store, scheme, &opened, reterr) : HF_OK;
  if (status == HF_OK && present == NULL) {
    (void)pthread_mutex_lock(&store->locker_mutex);
    present = take_present(store, scheme); /* another thread may have been faster */
    if (present == NULL) {
      drop(store->locker, &unused);
      store->locker = opened;
      present = take_present(store, scheme);
    } else
      drop(opened, &unused);
    (void)pthread_mutex_unlock(&store->locker_mutex);
    close_unused(unused);
  }
  if (status == HF_OK)
    *ret_locker = present;
  return status;
}

int hf_store_use_locker(hf_store *store, int leaving, char ret_scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                        hf_opened_locker **ret_locker, hf_error *reterr) {
  ret_scheme[0] = '\0';
  int status = known_name(store, ret_scheme, reterr);
  if (status != HF_OK)
    return status;
  const char *named = leaving ? NULL : hf_store_named_otherwise(store, ret_scheme);
  if (named != NULL)
    return hf_err(reterr, HF_ECONFIG, store->path,
                  "the store's locker is %s, and %s says %s for %s: all who save must use the same "
                  "one; change that entry, or the store with: holdfast locker set %s. Nothing was "
                  "saved",
                  ret_scheme, hf_config_path(store->config), named, store->fs.acting_type, named);
  return present_or_open(store, ret_scheme, ret_locker, reterr);
}

void hf_store_leave_locker(hf_store *store, hf_opened_locker **locker) {
  hf_opened_locker *unused = NULL;
  (void)pthread_mutex_lock(&store->locker_mutex);
  drop(*locker, &unused);
  (void)pthread_mutex_unlock(&store->locker_mutex);
  *locker = NULL;
  close_unused(unused);
}

void hf_store_close_locker(hf_store *store) {
  close_unused(store->locker);
  store->locker = NULL;
}

int hf_store_locker_at(const char *path, char ret_scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                       hf_error *reterr) {
  hf_store *store = NULL;
  int status = hf_open(path, NULL, &store, reterr);
  if (status == HF_OK)
    status = hf_store_read_locker(store, ret_scheme, NULL, reterr);
  hf_close(&store);
  return status;
}

/* ---- the lock -------------------------------------------------------------------------------- */

/* As the log says now: whoever asks for the lock wants that of the others. */
static int with_locker(hf_store *store, hf_opened_locker **ret_locker, hf_error *reterr) {
  char scheme[HF_LOCKER_NAME_BYTES_MAX + 1];
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  status = hf_store_read_locker(store, NULL, NULL, reterr);
  if (status == HF_OK)
    status = hf_store_use_locker(store, 1, scheme, ret_locker, reterr);
  if (status != HF_OK)
    hf_store_name_in_error(store, reterr);
  return status;
}

static int end_with_locker(hf_store *store, hf_opened_locker **locker, int status,
                           hf_error *reterr) {
  hf_store_leave_locker(store, locker);
  if (status < 0)
    hf_store_name_in_error(store, reterr);
  return status;
}

int hf_lock_status(hf_store *store, hf_lock_holder *ret_holder, hf_error *reterr) {
  hf_opened_locker *locker = NULL;
  int status = with_locker(store, &locker, reterr);
  if (status != HF_OK)
    return status;
  status = locker->ops->describe(locker->state, "lock", ret_holder, reterr);
  return end_with_locker(store, &locker, status, reterr);
}

int hf_lock_break(hf_store *store, hf_error *reterr) {
  hf_opened_locker *locker = NULL;
  int status = with_locker(store, &locker, reterr);
  if (status != HF_OK)
    return status;
  status = locker->ops->break_lock(locker->state, "lock", reterr);
  return end_with_locker(store, &locker, status, reterr);
}
