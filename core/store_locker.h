/* Which locker a store has, and a handle's opened one.
 *
 * The last record "mode" in the log decides, where there is none the manifest. A handle reads the
 * log before it opens a locker, so that it never waits on one that the store has left; whoever
 * refreshes past such a record under another locker's grant gives that back and takes a turn with
 * the new one; and whoever cannot get its locker reads the log once more before it gives up. That
 * is all that a change needs: nobody can link behind the record without having read it, for the
 * number behind it is known to no one else. */
#ifndef HF_CORE_STORE_LOCKER_H
#define HF_CORE_STORE_LOCKER_H

#include "store.h"

/* A locker that a handle has opened. While a call is inside it the log may give the store another
 * one: it is closed when nobody uses it any more. */
typedef struct hf_opened_locker {
  const hf_locker_ops *ops;
  void *state;
  unsigned users; /* under locker_mutex: the handle, while it is its present one, and each call */
} hf_opened_locker;

/* The effective locker's scheme, as far as the log was read. view_mutex is held. Lives until the
 * next refresh. */
const char *hf_store_locker_name(const hf_store *store);

/* Is the effective mode journal, as far as the log was read? view_mutex is held. */
int hf_store_is_journal(const hf_store *store);

/* Are locker and mode these? view_mutex is not held. */
int hf_store_is_as(hf_store *store, const char *scheme, int journal);

/* Is it this one? view_mutex is not held. */
int hf_store_locker_is(hf_store *store, const char *scheme);

/* Reads the log to its end; the effective locker's scheme and the seq of the record that chose it
 * (each may be NULL). view_mutex is not held. */
int hf_store_read_locker(hf_store *store, char ret_scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                         uint64_t *ret_seq, hf_error *reterr);

/* The effective locker, opened, and its name; whoever gets it gives it back. Reads the log where
 * that was not done yet. Errors: HF_ECONFIG (not in this program, not configured; or, unless
 * `leaving` it, the configuration names another one for this filesystem), and the locker's.
 * ret_scheme is written where it was found out, whatever the answer; else it is "". */
int hf_store_use_locker(hf_store *store, int leaving, char ret_scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                        hf_opened_locker **ret_locker, hf_error *reterr);

/* Gives it back and sets *locker to NULL. Accepts a pointer to NULL. */
void hf_store_leave_locker(hf_store *store, hf_opened_locker **locker);

/* Closes the handle's own. No other thread is there, or this is a child of fork() that has none of
 * them: no mutex is taken. */
void hf_store_close_locker(hf_store *store);

/* Where the configuration names another one for this filesystem: its name, else NULL. */
const char *hf_store_named_otherwise(const hf_store *store, const char *scheme);

/* Checks that this client can use the scheme: it is in this program, and its options are complete.
 * *ret_options: lockers.<scheme>, or NULL. */
int hf_store_check_locker(const hf_store *store, const char *scheme, const hf_locker_ops **ret_ops,
                          const char **ret_options, hf_error *reterr);

/* The effective locker of the store at `path`, by a handle of its own: for those that have none
 * (doctor, repair). Negative where the store cannot be opened or read. */
int hf_store_locker_at(const char *path, char ret_scheme[HF_LOCKER_NAME_BYTES_MAX + 1],
                       hf_error *reterr);

#endif
