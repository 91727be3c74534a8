#include <stdlib.h>
#include <string.h>

#include "attempt.h"
#include "clock.h"
#include "commit.h"
#include "err.h"
#include "journal.h"
#include "log.h"
#include "packer.h"
#include "part.h"
#include "plant.h"
#include "store.h"
#include "sys.h"
#include "thread.h"

#include "banned.h"

/* An error of a store names it; one of an input (run_id, line 3) does not. */
static void name_store(const hf_store *store, hf_error *reterr) {
  if (reterr == NULL || reterr->code == HF_EINVAL || reterr->code == HF_EDOC ||
      reterr->code == HF_ELIMIT)
    return;
  hf_store_name_in_error(store, reterr);
}

static int ready(hf_store *store, hf_error *reterr) {
  int status = hf_store_check(store, reterr);
  if (status == HF_OK)
    status = hf_store_prepare_to_write(store, reterr);
  return status;
}

int hf_save(hf_store *store, const hf_save_request *request, int64_t timeout_ms,
            hf_saved *ret_saved, hf_error *reterr) {
  hf_attempt attempt;
  hf_attempt *one = &attempt;
  hf_id id;
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  hf_moment now = hf_moment_now(store, timeout_ms);
  status = hf_ids_make(now.unix_us, &id, 1, reterr);
  if (status != HF_OK)
    return status;
  status = hf_attempt_from_request(store, request, &now, &id, &attempt, reterr);
  if (status == HF_OK) {
    status = ready(store, reterr);
    if (status == HF_OK) {
      if (atomic_load(&store->in_batches))
        atomic_store(&store->in_batches, 0);
      hf_commit(store, &one, 1);
      status = attempt.status;
      if (status != HF_OK && reterr != NULL)
        *reterr = attempt.error;
    }
    if (status != HF_OK)
      name_store(store, reterr);
  }
  if (ret_saved != NULL && (status == HF_OK || attempt.decided))
    *ret_saved = attempt.saved;
  hf_attempt_free(&attempt);
  return status;
}

enum { CHUNKS = 3 };       /* one is committed, the others wait for it or are prepared */
enum { PARTS_AHEAD = 16 }; /* that are made, at most; those behind are made by who comes to them */

/* A part of a batch that is committed as one: at most HF_BATCH_MAX. */
typedef struct chunk {
  hf_store *store;
  const hf_save_request *requests;
  size_t count;
  int64_t timeout_ms;
  hf_attempt *attempts;
  hf_attempt **valid;
  size_t valid_count;
  size_t prepared;
  atomic_size_t failed_at; /* the place of the first that failed */
  int status;              /* not HF_OK: nothing could be prepared */
  hf_error error;
} chunk;

static void chunk_begin(chunk *part, hf_store *store, const hf_save_request *requests, size_t count,
                        int64_t timeout_ms) {
  memset(part, 0, sizeof *part);
  part->store = store;
  part->requests = requests;
  part->count = count;
  part->timeout_ms = timeout_ms;
  part->failed_at = SIZE_MAX;
}

static void chunk_free(chunk *part) {
  for (size_t i = 0; i < part->prepared; i++)
    hf_attempt_free(&part->attempts[i]);
  free(part->attempts);
  free(part->valid);
  part->attempts = NULL;
  part->valid = NULL;
  part->prepared = 0;
}

/* Checks, hashes and keeps what is to be saved, up to the first that cannot be. */
static void chunk_prepare(chunk *part) {
  part->attempts = malloc(part->count * sizeof *part->attempts); /* zeroed where each begins */
  part->valid = calloc(part->count, sizeof(hf_attempt *));
  hf_autofree hf_id *ids = calloc(part->count, sizeof *ids);
  hf_moment now = hf_moment_now(part->store, part->timeout_ms);
  part->status = part->attempts != NULL && part->valid != NULL && ids != NULL
                     ? hf_ids_make(now.unix_us, ids, part->count, &part->error)
                     : hf_err_nomem(&part->error);
  if (part->status != HF_OK)
    part->failed_at = 0;
  while (part->prepared < part->count && part->failed_at == SIZE_MAX) {
    size_t i = part->prepared++;
    hf_attempt *attempt = &part->attempts[i];
    hf_error error = HF_ERROR_INIT;
    int status =
        hf_attempt_from_request(part->store, &part->requests[i], &now, &ids[i], attempt, &error);
    attempt->batch_failed_at = &part->failed_at;
    attempt->batch_place = i;
    if (status == HF_OK)
      part->valid[part->valid_count++] = attempt;
    else
      hf_attempt_decide(attempt, status, &error);
  }
}

/* Commits what is prepared, and frees it. The first error. */
static int chunk_commit(chunk *part, hf_saved *results, hf_error *reterr) {
  int first = part->status;
  if (first != HF_OK) {
    if (reterr != NULL)
      *reterr = part->error;
    for (size_t i = 0; i < part->count; i++)
      results[i].status = (hf_status)first;
  }
  int64_t deadline_ms = hf_deadline_ms(part->timeout_ms);
  for (size_t i = 0; i < part->valid_count; i++)
    part->valid[i]->deadline_ms = deadline_ms; /* it may have been prepared long before */
  hf_commit(part->store, part->valid, part->valid_count);
  for (size_t i = 0; i < part->prepared; i++) {
    const hf_attempt *attempt = &part->attempts[i];
    results[i] = attempt->saved;
    if (attempt->status != HF_OK && first == HF_OK) {
      first = attempt->status;
      if (reterr != NULL) {
        *reterr = attempt->error;
        name_store(part->store, reterr);
      }
    }
  }
  chunk_free(part);
  return first;
}

static uint64_t known_head(hf_store *store) {
  (void)pthread_mutex_lock(&store->view_mutex);
  uint64_t head = store->view.head;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return head;
}

/* So many that the last one fills a tile: files that begin at its edge are whole tiles. */
static size_t first_chunk(hf_store *store, size_t count) {
  size_t room = HF_BATCH_MAX - (size_t)(known_head(store) % HF_TILE_RECORDS);
  return count < room ? count : room;
}

/* What is to be saved, chunk by chunk: while one is committed, which is waiting for the most part,
 * another thread prepares those behind it. */
typedef struct line_up {
  hf_store *store;
  const hf_save_request *requests;
  size_t count;
  size_t begun; /* so many requests are in chunks */
  int64_t timeout_ms;
  uint64_t tile; /* journal mode: parts of the tiles from here on are made ahead, */
  size_t tiles;  /* so many */
  chunk part[CHUNKS];
  pthread_mutex_t mutex; /* for what follows */
  pthread_cond_t moved;
  size_t made;  /* chunks that are prepared */
  size_t taken; /* and committed */
  int ends;     /* no more are needed, or there are none */
} line_up;

/* The next chunk is prepared. 0: there is none. */
static int prepare_next(line_up *all) {
  size_t left = all->count - all->begun;
  if (left == 0)
    return 0;
  chunk *next = &all->part[all->made % CHUNKS];
  size_t count = all->begun == 0 ? first_chunk(all->store, left) : left;
  chunk_begin(next, all->store, all->requests + all->begun,
              count < HF_BATCH_MAX ? count : HF_BATCH_MAX, all->timeout_ms);
  chunk_prepare(next);
  all->begun += next->count;
  return 1;
}

static void *make_parts(void *argument) {
  const line_up *all = argument;
  hf_part_make_ahead(all->store, all->tile, all->tiles);
  return NULL;
}

static void *prepare_all(void *argument) {
  line_up *all = argument;
  (void)pthread_mutex_lock(&all->mutex);
  while (!all->ends) {
    if (all->made - all->taken == CHUNKS) {
      (void)pthread_cond_wait(&all->moved, &all->mutex);
      continue;
    }
    (void)pthread_mutex_unlock(&all->mutex);
    int is_made = prepare_next(all);
    (void)pthread_mutex_lock(&all->mutex);
    all->made += (size_t)is_made;
    all->ends |= !is_made || all->part[(all->made - 1) % CHUNKS].failed_at != SIZE_MAX;
    (void)pthread_cond_signal(&all->moved);
  }
  (void)pthread_mutex_unlock(&all->mutex);
  return NULL;
}

/* The next one that is prepared, or NULL. */
static chunk *next_chunk(line_up *all, int helped) {
  if (!helped && all->made == all->taken)
    all->made += (size_t)prepare_next(all);
  (void)pthread_mutex_lock(&all->mutex);
  while (helped && all->made == all->taken && !all->ends)
    (void)pthread_cond_wait(&all->moved, &all->mutex);
  chunk *next = all->made > all->taken ? &all->part[all->taken % CHUNKS] : NULL;
  (void)pthread_mutex_unlock(&all->mutex);
  return next;
}

/* Nothing is committed behind the first that failed. */
static int commit_all(line_up *all, int helped, hf_saved *results, hf_error *reterr) {
  int first = HF_OK;
  int goes_on = 1;
  size_t done = 0;
  for (chunk *now = NULL; goes_on && (now = next_chunk(all, helped)) != NULL;) {
    size_t count = now->count;
    int status = chunk_commit(now, results + done, first == HF_OK ? reterr : NULL);
    first = first == HF_OK ? status : first;
    goes_on = now->failed_at == SIZE_MAX;
    done += count;
    (void)pthread_mutex_lock(&all->mutex);
    all->taken++;
    (void)pthread_cond_signal(&all->moved);
    (void)pthread_mutex_unlock(&all->mutex);
  }
  return first;
}

/* A chunk is prepared here before its helper starts; where there is no thread to be had, each one
 * is. */
static int save_chunks(hf_store *store, const hf_save_request *requests, size_t count,
                       int64_t timeout_ms, hf_saved *results, hf_error *reterr) {
  line_up all = {.store = store, .requests = requests, .count = count, .timeout_ms = timeout_ms};
  pthread_t helper;
  pthread_t maker;
  (void)pthread_mutex_init(&all.mutex, NULL); /* neither fails on Linux */
  (void)pthread_cond_init(&all.moved, NULL);
  all.made = (size_t)prepare_next(&all);
  all.ends = all.part[0].failed_at != SIZE_MAX;
  uint64_t head = known_head(store);
  if (!all.ends && atomic_load(&store->batch_appended))
    all.tiles = hf_journal_tiles_behind(store, count, &all.tile);
  if (all.tiles > PARTS_AHEAD)
    all.tiles = PARTS_AHEAD;
  int makes = all.tiles > 0 && hf_thread_start(&maker, make_parts, &all);
  int helped = !all.ends && all.begun < count && hf_thread_start(&helper, prepare_all, &all);
  int first = commit_all(&all, helped, results, reterr);
  (void)pthread_mutex_lock(&all.mutex);
  all.ends = 1;
  (void)pthread_cond_signal(&all.moved);
  (void)pthread_mutex_unlock(&all.mutex);
  if (helped)
    (void)pthread_join(helper, NULL);
  if (makes)
    (void)pthread_join(maker, NULL);
  atomic_store(&store->batch_appended, known_head(store) > head);
  for (; all.taken < all.made; all.taken++)
    chunk_free(&all.part[all.taken % CHUNKS]);
  (void)pthread_cond_destroy(&all.moved);
  (void)pthread_mutex_destroy(&all.mutex);
  return first;
}

int hf_save_batch(hf_store *store, const hf_save_request *requests, size_t count,
                  int64_t timeout_ms, hf_saved *results, hf_error *reterr) {
  int status = ready(store, reterr);
  for (size_t i = 0; i < count; i++) {
    memset(&results[i], 0, sizeof results[i]);
    results[i].status = status != HF_OK ? (hf_status)status : HF_ECANCELLED;
  }
  if (status != HF_OK) {
    if (store != NULL && status != HF_EFORKED)
      name_store(store, reterr);
    return status;
  }
  atomic_store(&store->in_batches, count * 2 >= HF_BATCH_MAX);
  int first = count > 0 ? save_chunks(store, requests, count, timeout_ms, results, reterr) : HF_OK;
  if (atomic_load(&store->in_batches))
    hf_packer_keep_up(store);
  return first;
}

#ifdef HF_TEST_PLANTS
/* The wrong order: what is committed between the look and the unlink is declared not saved. */
static int look_then_unlink(hf_store *store, const hf_id *id, const char *text, uint64_t *ret_seq) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_refresh(store, 0, NULL);
  *ret_seq = 0;
  if (status == HF_OK)
    (void)hf_view_find_id(&store->view, id, 0, ret_seq, NULL);
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (*ret_seq == 0)
    (void)hf_sys_unlink(store->stage_fd, text, 0);
  return *ret_seq != 0;
}
#endif

int hf_resolve(hf_store *store, const char *id, int64_t timeout_ms, uint64_t *ret_seq,
               hf_error *reterr) {
  hf_attempt ender;
  hf_attempt *one = &ender;
  hf_id target;
  int status = ready(store, reterr);
  if (status != HF_OK)
    return status;
  if (id == NULL || strnlen(id, HF_ID_CHARS + 1) != HF_ID_CHARS ||
      hf_id_parse(id, HF_ID_CHARS, &target) != 0)
    return hf_err(reterr, HF_EINVAL, "id",
                  "this is not the id of an attempt: 26 characters of a ULID");
#ifdef HF_TEST_PLANTS
  if (HF_PLANTED(LOOK_THEN_UNLINK))
    return look_then_unlink(store, &target, id, ret_seq);
#endif
  /* First the unlink, then the look: afterwards its owner cannot link it any more. The record that
   * is committed where the id is not found settles it for every attempt that carries this id,
   * however it is staged. */
  (void)hf_sys_unlink(store->stage_fd, id, 0);
  status = hf_attempt_to_end(store, &target, "resolved", timeout_ms, &ender, reterr);
  if (status == HF_OK) {
    hf_commit(store, &one, 1);
    status = ender.status;
    if (status != HF_OK && status != HF_EENDED && reterr != NULL)
      *reterr = ender.error;
  }
  int found = status == HF_OK && ender.saved.created == 0;
  if (found)
    *ret_seq = ender.saved.seq;
  hf_attempt_free(&ender);
  if (status != HF_OK && status != HF_EENDED) {
    name_store(store, reterr);
    return status;
  }
  return found;
}
