/* Repair: what verify does with --repair, under the store's lock.
 *
 * Always in this order: what is damaged is kept in quarantine/, durably; then what takes its place
 * is staged, durable; then it gets the name (over the damaged file by a rename, the one place where
 * a rename may replace; where nothing stands, by a link that never replaces); then the folder is
 * made durable; then the mark. Killed anywhere, it leaves a store that the next repair finishes.
 * The indexes come last, without the lock: they are derived.
 * Nothing is deleted, no number is freed, no intact record changes its bytes or its seq. */
#ifndef HF_CORE_REPAIR_H
#define HF_CORE_REPAIR_H

#include <holdfast/locker.h>

#include "verify.h"

enum { HF_REPAIR_LOCKS = 2, HF_REPAIR_NAMES_MAX = 1000 };

typedef struct hf_repair_lock {
  const hf_locker_ops *ops;
  void *state;
  hf_grant grant;
} hf_repair_lock;

typedef struct hf_repair {
  char stamp[HF_ID_CHARS]; /* "20260102T030405Z": all copies of one repair begin with it */
  char host[160];          /* as a JSON string */
  int quarantine_fd;
  hf_repair_lock lock[HF_REPAIR_LOCKS]; /* flock, against other repairs; and the store's own, if
                                           that is another */
  int mark_fd;                          /* of log/mark, or of the staged one that is to become it */
  char new_mark[HF_ID_CHARS + 1];       /* below stage/; "" where log/mark is there */
  int mark_kept;                        /* a copy of the mark was made */
  int mark_changed;
} hf_repair;

/* ---- repair.c ---- */

/* Makes quarantine/ usable, takes the lock, sets work->repair. Errors: HF_ELOCK, HF_EBACKEND,
 * HF_ECONFIG, HF_EIO. */
int hf_repair_begin(hf_verify_work *work, hf_error *reterr);

/* Releases. Accepts a repair that never began, or began in part. */
int hf_repair_end(hf_verify_work *work, hf_error *reterr);

/* HF_OK, or HF_ELOCK where a lease has run out. Asked before each change. */
int hf_repair_still_ours(hf_verify_work *work, hf_error *reterr);

/* Makes a folder of the root. */
int hf_repair_folder(hf_verify_work *work, const char *name, hf_error *reterr);

/* ---- repair_keep.c: quarantine/. ret_kept: HF_VERIFY_PATH_BYTES, "quarantine/..." ---- */

/* Keeps a copy, for a file that will be replaced (`replaced`: a second link to it will do) or
 * changed in place. */
int hf_repair_keep(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                   int replaced, char *ret_kept, hf_error *reterr);

/* Moves what is not ours away. "" where it has gone meanwhile. */
int hf_repair_move(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                   char *ret_kept, hf_error *reterr);

/* Keeps a copy of an altered blob, once for each content. */
int hf_repair_keep_blob(hf_verify_work *work, const char *name, char *ret_kept, hf_error *reterr);

/* ---- repair_put.c ---- */

/* A part is locked by whoever appends to it, even if the store's lock was broken under him: what he
 * is about to write would go to a file without a name. *ret_fd is closed by the caller, which
 * unlocks it. HF_ELOCK. */
int hf_repair_lock_part(hf_verify_work *work, const hf_span *span, int *ret_fd, hf_error *reterr);

/* Puts a new file over a damaged one. */
int hf_repair_replace(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                      const hf_buf *text, hf_error *reterr);

/* Puts a new file where none is. 1; 0: a file is there; negative. */
int hf_repair_place(hf_verify_work *work, int dirfd, const char *folder, const char *name,
                    const hf_buf *text, hf_error *reterr);

/* Gives a staged file its name, never replacing: 1, 0 (the name exists) or negative. The staged
 * name is gone afterwards. */
int hf_repair_publish(hf_verify_work *work, const char *staged, int dirfd, const char *folder,
                      const char *name, hf_error *reterr);

/* ---- repair_log.c, repair_mark.c, repair_manifest.c ---- */

/* 1: the span's file holds what it must. 0: a name that was not seen exists: read the span again.
 * Negative. */
int hf_repair_span(hf_verify_work *work, hf_span *span, hf_error *reterr);

int hf_repair_marks_begin(hf_verify_work *work, hf_error *reterr);
int hf_repair_marks_of(hf_verify_work *work, const hf_span *span, hf_error *reterr);
int hf_repair_marks_end(hf_verify_work *work, hf_error *reterr);

/* Makes the manifest anew from what is left of it; done gets a text for people. */
int hf_repair_manifest(hf_verify_work *work, char *done, size_t done_bytes, hf_error *reterr);

/* ---- repair_index.c ---- */

/* Last of all, when the lock is released: makes the indexes that full tiles lack, and says so.
 * `status` is how the repair ended: unless HF_OK, it only says what was removed. That status,
 * HF_ECANCELLED or HF_ENOMEM: what else keeps indexes from being made is a finding. */
int hf_repair_index(hf_verify_work *work, int status, hf_error *reterr);

#endif
