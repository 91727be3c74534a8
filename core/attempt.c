#include "attempt.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "json.h"
#include "plant.h"
#include "store.h"

#ifdef HF_TEST_PLANTS
#include <cjson/cJSON.h>
#include <stdlib.h>
#endif

#include "banned.h"

hf_moment hf_moment_now(const hf_store *store, int64_t timeout_ms) {
  return (hf_moment){hf_realtime_us(), hf_deadline_ms(timeout_ms), (uint64_t)getpid(),
                     atomic_load(&store->tiles_seen) * HF_TILE_RECORDS};
}

void hf_attempt_begin(hf_attempt *attempt, const hf_moment *now, const hf_id *id) {
  pthread_condattr_t attributes;
  memset(attempt, 0, sizeof *attempt);
  attempt->deadline_ms = now->deadline_ms;
  (void)pthread_condattr_init(&attributes); /* neither can fail on Linux */
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&attempt->wake, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  attempt->line.id = *id;
  attempt->line.pid = now->pid;
  attempt->id_after = now->known;
  hf_id_format(&attempt->line.id, attempt->id_text);
}

/* One of its own, with a new id. */
static int begin_alone(const hf_store *store, hf_attempt *attempt, int64_t timeout_ms,
                       hf_moment *ret_now, hf_error *reterr) {
  hf_id id = {{0}};
  *ret_now = hf_moment_now(store, timeout_ms);
  int status = hf_ids_make(ret_now->unix_us, &id, 1, reterr);
  hf_attempt_begin(attempt, ret_now, &id);
  return status;
}

void hf_attempt_free(hf_attempt *attempt) {
  (void)pthread_cond_destroy(&attempt->wake);
  hf_keytext_free(&attempt->key);
  hf_buf_free(&attempt->ts);
  hf_buf_free(&attempt->at);
  hf_buf_free(&attempt->doc);
}

void hf_attempt_decide(hf_attempt *attempt, int status, const hf_error *error) {
  if (attempt->decided)
    return;
  attempt->decided = 1;
  attempt->status = status;
  attempt->saved.status = (hf_status)status;
  memcpy(attempt->saved.id, attempt->saved.id[0] != '\0' ? attempt->saved.id : attempt->id_text,
         sizeof attempt->saved.id);
  if (status == HF_OK)
    return;
  if (error != NULL && error != &attempt->error)
    attempt->error = *error;
  attempt->error.code = (hf_status)status;
  if (status == HF_EUNSURE || status == HF_EENDED)
    memcpy(attempt->error.id, attempt->id_text, sizeof attempt->error.id);
  if (attempt->batch_failed_at != NULL && status != HF_ECONFLICT &&
      attempt->batch_place < *attempt->batch_failed_at)
    *attempt->batch_failed_at = attempt->batch_place;
}

void hf_attempts_decide_committed(hf_attempt *const *attempts, size_t count, uint64_t first) {
  for (size_t i = 0; i < count; i++) {
    attempts[i]->saved.seq = first + i;
    attempts[i]->saved.created = 1;
    hf_attempt_decide(attempts[i], HF_OK, NULL);
  }
}

void hf_attempts_decide_unsure(hf_attempt *const *attempts, size_t count, const hf_error *why) {
  for (size_t i = 0; i < count; i++) {
    hf_error error = HF_ERROR_INIT;
    (void)hf_err(&error, HF_EUNSURE, why->place,
                 "it may be saved or not, ask with: holdfast resolve %s (%s)", attempts[i]->id_text,
                 why->message);
    error.sys_errno = why->sys_errno;
    hf_attempt_decide(attempts[i], HF_EUNSURE, &error);
  }
}

void hf_attempt_cancel_behind(hf_attempt *attempt) {
  hf_error error = HF_ERROR_INIT;
  if (attempt->decided || attempt->batch_failed_at == NULL ||
      attempt->batch_place < *attempt->batch_failed_at)
    return;
  (void)hf_err(&error, HF_ECANCELLED, NULL, "not saved, for one before it in the batch failed");
  hf_attempt_decide(attempt, HF_ECANCELLED, &error);
}

static int add_times(hf_store *store, const char *timestamp, const hf_moment *now,
                     hf_attempt *attempt, hf_error *reterr) {
  char at[HF_RFC3339_BYTES];
  int64_t parsed_us;
  hf_rfc3339_from_us(now->unix_us, at);
  (void)hf_json_add_string(&attempt->at, at, strlen(at));
  if (timestamp == NULL)
    timestamp = at;
  if (timestamp[0] != '\0') {
    size_t bytes = strnlen(timestamp, HF_TIMESTAMP_BYTES_MAX + 1);
    if (bytes > HF_TIMESTAMP_BYTES_MAX || hf_timestamp_parse(timestamp, bytes, &parsed_us) != 0)
      return hf_err(reterr, HF_EINVAL, "timestamp",
                    "%.64s is not a time; write it as 2026-01-02T03:04:05Z", timestamp);
    (void)hf_json_add_string(&attempt->ts, timestamp, bytes);
    attempt->line.ts = hf_piece_of(&attempt->ts);
  }
  attempt->line.at = hf_piece_of(&attempt->at);
  attempt->line.host = (hf_piece){store->host, strlen(store->host)};
  return attempt->at.failed != 0 || attempt->ts.failed != 0 ? hf_err_nomem(reterr) : HF_OK;
}

#ifdef HF_TEST_PLANTS
/* What a simple program would do: through cJSON's doubles. */
static void reprint(hf_buf *doc) {
  cJSON *tree = cJSON_ParseWithLength(doc->data, doc->used);
  char *text = tree != NULL ? cJSON_PrintUnformatted(tree) : NULL;
  if (text != NULL) {
    hf_buf_clear(doc);
    (void)hf_buf_add_text(doc, text);
  }
  free(text);
  cJSON_Delete(tree);
}
#endif

static int add_document(hf_store *store, const hf_save_request *request, hf_attempt *attempt,
                        hf_error *reterr) {
  if (request->doc == NULL)
    return hf_err(reterr, HF_EINVAL, "document", "it is missing; give a JSON object");
  /* before it is read: a file that is far too long is not a reason to use up memory */
  if (request->doc_bytes > store->document_bytes_max)
    return hf_err(reterr, HF_ELIMIT, "document",
                  "it has %zu bytes, %llu are allowed; raise limits.document_bytes_max in the "
                  "configuration, or keep the large part in a file of its own and name it here",
                  request->doc_bytes, (unsigned long long)store->document_bytes_max);
  int status = hf_json_check(request->doc, request->doc_bytes, HF_JSON_OBJECT_ONLY,
                             HF_DOC_NESTING_MAX, &attempt->doc, NULL, reterr);
  if (status != HF_OK)
    return status;
#ifdef HF_TEST_PLANTS
  if (HF_PLANTED(REPRINT_DOCUMENT))
    reprint(&attempt->doc);
#endif
  attempt->line.size = attempt->doc.used;
  attempt->line.has_sha256 = 1;
  status = hf_sha256(attempt->doc.data, attempt->doc.used, attempt->line.sha256, reterr);
  if (status != HF_OK)
    return status;
  hf_hex(attempt->line.sha256, sizeof attempt->line.sha256, attempt->saved.sha256);
  attempt->line.blob = attempt->doc.used > HF_DOC_INLINE_BYTES_MAX;
  if (!attempt->line.blob)
    attempt->line.doc = hf_piece_of(&attempt->doc);
  return HF_OK;
}

static int add_group(const hf_save_request *request, hf_attempt *attempt, hf_error *reterr) {
  int status = request->group != NULL
                   ? hf_key_group_text(request->group, &attempt->key.group, reterr)
                   : hf_key_group_of_document(attempt->doc.data, attempt->doc.used,
                                              &attempt->key.group, reterr);
  if (status == HF_OK && attempt->key.group.used > 0)
    attempt->line.group = hf_piece_of(&attempt->key.group);
  return status;
}

static int add_id(const char *id, hf_attempt *attempt, hf_error *reterr) {
  if (id == NULL)
    return HF_OK;
  if (strnlen(id, HF_ID_CHARS + 1) != HF_ID_CHARS ||
      hf_id_parse(id, HF_ID_CHARS, &attempt->line.id) != 0)
    return hf_err(reterr, HF_EINVAL, "id",
                  "%.40s is not a ULID; give 26 characters of 0-9 and A-Z without I, L, O, U", id);
  hf_id_format(&attempt->line.id, attempt->id_text);
  attempt->id_given = 1;
  attempt->id_after = 0;
  return HF_OK;
}

int hf_attempt_from_request(hf_store *store, const hf_save_request *request, const hf_moment *now,
                            const hf_id *id, hf_attempt *attempt, hf_error *reterr) {
  hf_attempt_begin(attempt, now, id);
  int status = add_id(request->id, attempt, reterr);
  if (status == HF_OK)
    status = hf_keytext_make(&request->key, &attempt->key, reterr);
  if (status == HF_OK)
    status = add_document(store, request, attempt, reterr);
  if (status == HF_OK)
    status = add_group(request, attempt, reterr);
  if (status == HF_OK)
    status = add_times(store, request->timestamp, now, attempt, reterr);
  if (status != HF_OK)
    return status;
  attempt->line.op = HF_OP_SAVE;
  attempt->line.run = hf_piece_of(&attempt->key.run);
  attempt->line.stage = hf_piece_of(&attempt->key.stage);
  attempt->line.dims = hf_piece_of(&attempt->key.dims);
  attempt->line.legacy_seq = request->legacy_seq;
  attempt->line.legacy_clock = request->legacy_clock;
  attempt->key_hash = hf_key_hash(attempt->line.run, attempt->line.stage, attempt->line.dims);
  attempt->condition = request->condition;
  attempt->if_seq = request->if_seq;
  return HF_OK;
}

int hf_attempt_to_end(hf_store *store, const hf_id *ends, const char *reason, int64_t timeout_ms,
                      hf_attempt *attempt, hf_error *reterr) {
  hf_moment now;
  int status = begin_alone(store, attempt, timeout_ms, &now, reterr);
  if (status == HF_OK)
    status = add_times(store, "", &now, attempt, reterr);
  if (status != HF_OK)
    return status;
  if (hf_json_add_string(&attempt->doc, reason, strlen(reason)) != 0)
    return hf_err_nomem(reterr);
  attempt->line.op = HF_OP_END;
  attempt->line.ends = *ends;
  attempt->line.reason = hf_piece_of(&attempt->doc);
  return HF_OK;
}

int hf_attempt_to_retire(hf_store *store, uint64_t seq, const hf_line *of, int undo,
                         const char *reason, int64_t timeout_ms, hf_attempt *attempt,
                         hf_error *reterr) {
  hf_moment now;
  int status = begin_alone(store, attempt, timeout_ms, &now, reterr);
  if (status == HF_OK)
    status = add_times(store, "", &now, attempt, reterr);
  if (status == HF_OK && reason != NULL)
    status = hf_key_reason_text(reason, &attempt->doc, reterr);
  if (status != HF_OK)
    return status;
  attempt->line.op = HF_OP_RETIRE;
  attempt->line.of = seq;
  attempt->line.undo = undo;
  attempt->line.run = of->run;
  attempt->line.stage = of->stage;
  attempt->line.dims = of->dims;
  attempt->line.group = of->group;
  if (reason != NULL)
    attempt->line.reason = hf_piece_of(&attempt->doc);
  return HF_OK;
}

int hf_attempt_to_drop(hf_store *store, uint64_t tile, const uint8_t lines[HF_DROP_BYTES],
                       uint64_t planned_at, int64_t timeout_ms, hf_attempt *attempt,
                       hf_error *reterr) {
  hf_moment now;
  int status = begin_alone(store, attempt, timeout_ms, &now, reterr);
  if (status == HF_OK)
    status = add_times(store, "", &now, attempt, reterr);
  attempt->line.op = HF_OP_DROP;
  attempt->line.tile = tile;
  attempt->planned_at = planned_at;
  memcpy(attempt->line.lines, lines, HF_DROP_BYTES);
  return status;
}

int hf_attempt_to_set_locker(hf_store *store, const char *scheme, const char *mode,
                             int64_t timeout_ms, hf_attempt *attempt, hf_error *reterr) {
  hf_moment now;
  int status = begin_alone(store, attempt, timeout_ms, &now, reterr);
  if (status == HF_OK)
    status = add_times(store, "", &now, attempt, reterr);
  if (status != HF_OK)
    return status;
  if (hf_json_add_string(&attempt->doc, scheme, strlen(scheme)) != 0)
    return hf_err_nomem(reterr);
  attempt->line.op = HF_OP_MODE;
  attempt->line.locker = hf_piece_of(&attempt->doc);
  attempt->line.mode = (hf_piece){mode, strlen(mode)};
  return HF_OK;
}

int hf_attempt_to_choose(hf_store *store, const hf_keytext *key, struct hf_choice *choice,
                         hf_piece reason, const char *id, int64_t timeout_ms, hf_attempt *attempt,
                         hf_error *reterr) {
  hf_moment now;
  int status = begin_alone(store, attempt, timeout_ms, &now, reterr);
  if (status == HF_OK)
    status = add_id(id, attempt, reterr);
  if (status == HF_OK)
    status = add_times(store, "", &now, attempt, reterr);
  attempt->line.op = HF_OP_BASELINE;
  attempt->line.group = hf_piece_of(&key->group);
  attempt->line.stage = hf_piece_of(&key->stage);
  attempt->line.dims = hf_piece_of(&key->dims);
  attempt->line.reason = reason;
  attempt->choice = choice;
  return status;
}
