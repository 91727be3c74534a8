#include <stdlib.h>
#include <string.h>

#include "attempt.h"
#include "commit.h"
#include "err.h"
#include "log.h"
#include "packer.h"
#include "plant.h"
#include "store.h"
#include "sys.h"

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

/* The first chunk of them; *failed_at is the place, among these, of the first that failed. */
static int save_chunk(hf_store *store, const hf_save_request *requests, size_t count,
                      int64_t timeout_ms, atomic_size_t *failed_at, hf_saved *results,
                      hf_error *reterr) {
  int first = HF_OK;
  hf_attempt *attempts = malloc(count * sizeof *attempts); /* each is zeroed where it begins */
  hf_attempt **valid = calloc(count, sizeof *valid);
  hf_autofree hf_id *ids = calloc(count, sizeof *ids);
  hf_moment now = hf_moment_now(store, timeout_ms);
  size_t valid_count = 0;
  int status = attempts != NULL && valid != NULL && ids != NULL
                   ? hf_ids_make(now.unix_us, ids, count, reterr)
                   : hf_err_nomem(reterr);
  if (status != HF_OK) {
    free(attempts);
    free(valid);
    *failed_at = 0;
    for (size_t i = 0; i < count; i++)
      results[i].status = (hf_status)status;
    return status;
  }
  size_t prepared = 0;
  while (prepared < count && *failed_at == SIZE_MAX) {
    hf_attempt *attempt = &attempts[prepared];
    hf_error error = HF_ERROR_INIT;
    status =
        hf_attempt_from_request(store, &requests[prepared], &now, &ids[prepared], attempt, &error);
    attempt->batch_failed_at = failed_at;
    attempt->batch_place = prepared++;
    if (status == HF_OK)
      valid[valid_count++] = attempt;
    else
      hf_attempt_decide(attempt, status, &error);
  }
  hf_commit(store, valid, valid_count);
  for (size_t i = 0; i < prepared; i++) {
    results[i] = attempts[i].saved;
    if (attempts[i].status != HF_OK && first == HF_OK) {
      first = attempts[i].status;
      if (reterr != NULL) {
        *reterr = attempts[i].error;
        name_store(store, reterr);
      }
    }
    hf_attempt_free(&attempts[i]);
  }
  free(attempts);
  free(valid);
  return first;
}

/* So many that the last one fills a tile: files that begin at its edge are whole tiles. */
static size_t chunk_of(hf_store *store, size_t left) {
  (void)pthread_mutex_lock(&store->view_mutex);
  size_t chunk = HF_BATCH_MAX - (size_t)(store->view.head % HF_TILE_RECORDS);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return left < chunk ? left : chunk;
}

int hf_save_batch(hf_store *store, const hf_save_request *requests, size_t count,
                  int64_t timeout_ms, hf_saved *results, hf_error *reterr) {
  int status = ready(store, reterr);
  atomic_size_t failed_at = SIZE_MAX;
  for (size_t i = 0; i < count; i++) {
    memset(&results[i], 0, sizeof results[i]);
    results[i].status = status != HF_OK ? (hf_status)status : HF_ECANCELLED;
  }
  if (status != HF_OK) {
    if (store != NULL && status != HF_EFORKED)
      name_store(store, reterr);
    return status;
  }
  int first = HF_OK;
  atomic_store(&store->in_batches, count * 2 >= HF_BATCH_MAX);
  for (size_t done = 0, chunk; done < count && failed_at == SIZE_MAX; done += chunk) {
    chunk = chunk_of(store, count - done);
    status = save_chunk(store, requests + done, chunk, timeout_ms, &failed_at, results + done,
                        first == HF_OK ? reterr : NULL);
    if (first == HF_OK)
      first = status;
  }
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
