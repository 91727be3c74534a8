#include "legacy.h"

#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "id.h"

#include "banned.h"

/* A key's history costs about as much as so many records of a walk through the whole store. */
enum { HISTORY_COST_RECORDS = 16 };

static hf_key key_of(const hf_legacy_entry *entry) {
  hf_key key = {entry->run_id, entry->stage, entry->dims, entry->dims_count};
  return key;
}

static int compare_to_entry(const void *identity, const void *element) {
  return hf_legacy_compare_identity(identity, &(*(hf_legacy_entry *const *)element)->identity);
}

/* A record of the store: is it one of the entries? */
static int mark_record(hf_legacy_index *index, const hf_record *record, hf_error *reterr) {
  hf_legacy_identity identity;
  hf_key key = {record->run_id, record->stage, record->dims, record->dims_count};
  uint8_t digest[32];
  if (record->run_id == NULL || record->stage == NULL || record->sha256 == NULL ||
      hf_unhex(record->sha256, HF_SHA256_CHARS, digest) != 0)
    return HF_OK; /* no snapshot */
  int status = hf_legacy_identify(&key, digest, 0, &identity, reterr);
  if (status != HF_OK)
    return status;
  hf_legacy_entry **found = bsearch(&identity, index->by_identity, index->unique_count,
                                    sizeof index->by_identity[0], compare_to_entry);
  if (found != NULL)
    (*found)->is_present = 1;
  return HF_OK;
}

/* A record that cannot be read may be one of the entries: then importing could double it. */
static int mark_all(hf_legacy_index *index, hf_cursor *cursor, hf_error *reterr) {
  for (;;) {
    hf_record *record = NULL;
    int got = hf_cursor_next(cursor, &record, reterr);
    if (got <= 0)
      return got;
    int status = mark_record(index, record, reterr);
    hf_record_free(&record);
    if (status != HF_OK)
      return status;
  }
}

static int mark_by_walk(hf_legacy_index *index, hf_store *store, hf_error *reterr) {
  hf_list_options options;
  hf_cursor *cursor = NULL;
  memset(&options, 0, sizeof options);
  options.all_revisions = 1;
  int status = hf_list(store, &options, &cursor, reterr);
  if (status == HF_OK)
    status = mark_all(index, cursor, reterr);
  hf_cursor_close(&cursor);
  return status;
}

/* Entries of one key stand together. */
static size_t next_key(const hf_legacy_index *index, size_t first) {
  size_t end = first + 1;
  while (end < index->unique_count &&
         memcmp(index->by_identity[end]->identity.key, index->by_identity[first]->identity.key,
                HF_LEGACY_KEY_PART_BYTES) == 0)
    end++;
  return end;
}

static int mark_by_history(hf_legacy_index *index, hf_store *store, hf_error *reterr) {
  int status = HF_OK;
  for (size_t i = 0; i < index->unique_count && status == HF_OK; i = next_key(index, i)) {
    hf_key key = key_of(index->by_identity[i]);
    hf_cursor *cursor = NULL;
    status = hf_history(store, &key, &cursor, reterr);
    if (status == HF_OK)
      status = mark_all(index, cursor, reterr);
    hf_cursor_close(&cursor);
  }
  return status;
}

int hf_legacy_mark_present(hf_legacy_index *index, hf_store *store, hf_error *reterr) {
  uint64_t head = 0;
  uint64_t keys = 0;
  int status = hf_head(store, &head, reterr);
  if (status != HF_OK || head == 0)
    return status;
  for (size_t i = 0; i < index->unique_count; i = next_key(index, i))
    keys++;
  return head / HISTORY_COST_RECORDS <= keys ? mark_by_walk(index, store, reterr)
                                             : mark_by_history(index, store, reterr);
}

/* ---- saving ---- */

typedef struct batch {
  hf_legacy_entry *entries[HF_BATCH_MAX];
  hf_save_request requests[HF_BATCH_MAX];
  hf_saved results[HF_BATCH_MAX];
  char ids[HF_BATCH_MAX][HF_ID_CHARS + 1];
  size_t count;
  size_t due; /* at most; the last one then fills a tile, so that a tile is one file */
} batch;

static void add_request(batch *all, hf_legacy_entry *entry) {
  hf_save_request *request = &all->requests[all->count];
  hf_id id;
  memcpy(id.bytes, entry->identity.snapshot, sizeof id.bytes);
  hf_id_format(&id, all->ids[all->count]);
  memset(request, 0, sizeof *request);
  request->key = key_of(entry);
  request->group = entry->group;
  request->timestamp = entry->ts;
  request->doc = entry->doc;
  request->doc_bytes = entry->doc_bytes;
  request->condition = HF_ALWAYS;
  request->id = all->ids[all->count];
  request->legacy_seq = entry->seq;
  request->legacy_clock = entry->by_clock;
  all->entries[all->count++] = entry;
}

/* The next entries that are missing, from place *next of the order on. */
static void fill(batch *all, const hf_legacy_index *index, size_t *next) {
  size_t bytes = 0;
  all->count = 0;
  while (*next < index->entries_count && all->count < all->due &&
         bytes < HF_LEGACY_BATCH_DOC_BYTES) {
    hf_legacy_entry *entry = index->order[(*next)++];
    if (entry->is_double || entry->is_present)
      continue;
    bytes += entry->doc_bytes;
    add_request(all, entry);
  }
}

/* Somebody ended this attempt (`resolve` after an import that was not sure): its id is used up for
 * ever. The next one is as much a function of the snapshot as the first. */
static int next_generation(hf_legacy_entry *entry, hf_error *reterr) {
  uint8_t digest[32];
  hf_key key = key_of(entry);
  if (++entry->generation == HF_LEGACY_ID_GENERATIONS_MAX)
    return hf_err(reterr, HF_EENDED, NULL, "the attempt to import %s was ended %d times; save it",
                  entry->run_id, HF_LEGACY_ID_GENERATIONS_MAX);
  int status = hf_sha256(entry->doc, entry->doc_bytes, digest, reterr);
  return status != HF_OK
             ? status
             : hf_legacy_identify(&key, digest, entry->generation, &entry->identity, reterr);
}

/* Saves one batch; what fails by an ended id goes again. The batch's results are in order, and
 * saving stops at the first failure, so the order holds. */
static int save_batch(batch *all, hf_store *store, int64_t timeout_ms, hf_import_report *report,
                      hf_error *reterr) {
  size_t first = 0;
  for (;;) {
    size_t done = first;
    int status = hf_save_batch(store, all->requests + first, all->count - first, timeout_ms,
                               all->results + first, reterr);
    while (done < all->count && all->results[done].status == HF_OK) {
      if (all->results[done].created)
        report->imported++;
      else
        report->present++;
      done++;
    }
    if (status == HF_OK && done == all->count) {
      const hf_saved *last = &all->results[done - 1];
      if (last->created)
        all->due = HF_BATCH_MAX - (size_t)(last->seq % HF_BATCH_MAX);
      return HF_OK;
    }
    if (done == all->count || all->results[done].status != HF_EENDED)
      return status != HF_OK ? status
                             : hf_err(reterr, HF_EINTERNAL, NULL, "a batch that is not done");
    status = next_generation(all->entries[done], reterr);
    if (status != HF_OK)
      return status;
    hf_id id;
    memcpy(id.bytes, all->entries[done]->identity.snapshot, sizeof id.bytes);
    hf_id_format(&id, all->ids[done]);
    first = done;
  }
}

static int tell_progress(const hf_import_options *options, uint64_t done, uint64_t total,
                         hf_error *reterr) {
  if (options->progress != NULL &&
      options->progress(options->progress_context, "snapshots", done, total) != 0)
    return hf_err(reterr, HF_ECANCELLED, NULL,
                  "stopped after %llu of %llu snapshots; the next import goes on from there",
                  (unsigned long long)done, (unsigned long long)total);
  return HF_OK;
}

int hf_legacy_save(hf_legacy_index *index, hf_store *store, const hf_import_options *options,
                   hf_import_report *report, hf_error *reterr) {
  size_t next = 0;
  hf_autofree batch *all = malloc(sizeof *all);
  if (all == NULL)
    return hf_err_nomem(reterr);
  all->due = HF_BATCH_MAX;
  for (;;) {
    int status =
        tell_progress(options, report->present + report->imported, index->unique_count, reterr);
    fill(all, index, &next);
    if (all->count == 0)
      return HF_OK; /* too late to stop it */
    if (status != HF_OK)
      return status;
    memset(all->results, 0, sizeof all->results);
    status = save_batch(all, store, options->timeout_ms, report, reterr);
    if (status != HF_OK)
      return status;
  }
}
