/* An attempt: one record on its way into the log. Made and checked outside any lock, handed to the
 * queue, decided by the leader who commits it (commit.h). */
#ifndef HF_CORE_ATTEMPT_H
#define HF_CORE_ATTEMPT_H

#include <pthread.h>
#include <stdatomic.h>

#include "buf.h"
#include "id.h"
#include "key.h"
#include "record.h"

struct hf_choice;

typedef struct hf_attempt {
  /* the record; its pieces point into the buffers below, or to the request's document */
  hf_line line;
  hf_keytext key;
  hf_buf ts;
  hf_buf at;
  hf_buf doc;        /* without insignificant white space */
  uint64_t key_hash; /* 0 where there is no key */
  char id_text[HF_ID_CHARS + 1];
  int id_given;      /* the id is the caller's: others may be at work with the same one */
  uint64_t id_after; /* records up to this one were there before the id was made; 0: not known */
  hf_condition condition;
  uint64_t if_seq;
  uint64_t planned_at; /* HF_OP_DROP: the head by which it was planned */
  int64_t deadline_ms;

  int without_lock; /* HF_OP_MODE: the present locker cannot be had, and is not asked */
  int in_turn;      /* HF_OP_END: ends an attempt of the present turn, within that turn */

  struct hf_choice *choice; /* HF_OP_BASELINE: what it is judged by */
  int rewritten;            /* judging has changed the line: it is to be staged, or encoded, anew */

  char staged_blob[2 * HF_ID_CHARS + 8]; /* below stage/; "" where there is none */

  int decided; /* the rest says how */
  int status;  /* hf_status */
  hf_saved saved;
  hf_error error;
  /* of one hf_save_batch; NULL otherwise: the place of its first request that failed so that those
   * behind it are not saved (SIZE_MAX: none) */
  atomic_size_t *batch_failed_at;
  size_t batch_place; /* of this one */

  struct hf_attempt *next; /* in the queue; this and what follows belong to queue_mutex */
  int queued;
  int done; /* decided, and no leader has it any more */
  pthread_cond_t wake;
} hf_attempt;

/* What the attempts of one call have in common: the system is asked for it once, however many they
 * are. (256 records of a batch asked it 1,300 times, which is a matter where a system call is
 * dear.)
 */
typedef struct hf_moment {
  int64_t unix_us;
  int64_t deadline_ms;
  uint64_t pid;
  uint64_t known; /* a seq that was there: no record up to it has an id that is made afterwards */
} hf_moment;

hf_moment hf_moment_now(const struct hf_store *store, int64_t timeout_ms);

/* Zeroes it and gives it the id. The caller frees it with hf_attempt_free, whatever comes after. */
void hf_attempt_begin(hf_attempt *attempt, const hf_moment *now, const hf_id *id);
void hf_attempt_free(hf_attempt *attempt);

/* Checks a request and fills the attempt. id: a new one, for where the request gives none. */
int hf_attempt_from_request(struct hf_store *store, const hf_save_request *request,
                            const hf_moment *now, const hf_id *id, hf_attempt *attempt,
                            hf_error *reterr);

/* An attempt that ends another one: op "end". */
int hf_attempt_to_end(struct hf_store *store, const hf_id *ends, const char *reason,
                      int64_t timeout_ms, hf_attempt *attempt, hf_error *reterr);

/* An attempt that gives the store another locker, or mode: op "mode". mode: HF_MODE_..., which
 * lives on. */
int hf_attempt_to_set_locker(struct hf_store *store, const char *scheme, const char *mode,
                             int64_t timeout_ms, hf_attempt *attempt, hf_error *reterr);

/* An attempt at a baseline: op "baseline". key: group, stage and dims; it, and the choice, live on.
 * reason: a JSON string. id NULL: a new one. What is chosen comes when it is judged. */
int hf_attempt_to_choose(struct hf_store *store, const hf_keytext *key, struct hf_choice *choice,
                         hf_piece reason, const char *id, int64_t timeout_ms, hf_attempt *attempt,
                         hf_error *reterr);

/* An attempt that hides a snapshot, or (undo) shows it again: op "retire". of: the snapshot's line,
 * which lives on; reason NULL: none. */
int hf_attempt_to_retire(struct hf_store *store, uint64_t seq, const hf_line *of, int undo,
                         const char *reason, int64_t timeout_ms, hf_attempt *attempt,
                         hf_error *reterr);

/* An attempt that drops documents of a tile, planned when the head was planned_at: op "drop". */
int hf_attempt_to_drop(struct hf_store *store, uint64_t tile, const uint8_t lines[HF_DROP_BYTES],
                       uint64_t planned_at, int64_t timeout_ms, hf_attempt *attempt,
                       hf_error *reterr);

/* Says how it ended. The first word counts: later calls do nothing. */
void hf_attempt_decide(hf_attempt *attempt, int status, const hf_error *error);

/* These were committed, the first of them at `first`. */
void hf_attempts_decide_committed(hf_attempt *const *attempts, size_t count, uint64_t first);

/* HF_EUNSURE, with the id in the message, too: it is all that whoever is told so needs. */
void hf_attempts_decide_unsure(hf_attempt *const *attempts, size_t count, const hf_error *why);

/* Decides it as cancelled where one before it in its batch has failed. */
void hf_attempt_cancel_behind(hf_attempt *attempt);

#endif
