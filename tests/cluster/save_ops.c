/* Operations that write. */
#include <stdio.h>
#include <string.h>

#include "driver.h"

enum {
  SAME_KEYS = 4, /* keys that alternate between few documents */
  SAME_DOCUMENTS = 3,
  DOCUMENT_BYTES_MAX = 2000,
  BLOB_BYTES = 66000,
  ABSENT_OPS_EACH = 40, /* a window of keys moves on by one in so many operations */
  ABSENT_WIDTH = 4,
  ID_OPS_EACH = 25,
  ID_WIDTH = 6,
};

typedef enum kind {
  KIND_NEW,
  KIND_HOT, /* a key again */
  KIND_SAME,
  KIND_ABSENT,
  KIND_IF_SEQ,
  KIND_ID,      /* with an id that all processes share: the first, or a retry */
  KIND_OVER_ID, /* the key of such an id, with another document */
  KIND_BATCH,
} kind;

typedef struct item {
  driver_key key;
  driver_document document;
  char group[16];
  char id[HF_ID_CHARS + 1];
  hf_condition condition;
  uint64_t if_seq;
} item;

static kind choose_kind(driver *me) {
  static const struct {
    kind kind;
    unsigned weight;
  } mix[] = {{KIND_NEW, 42},   {KIND_HOT, 14}, {KIND_SAME, 8},    {KIND_ABSENT, 9},
             {KIND_IF_SEQ, 7}, {KIND_ID, 11},  {KIND_OVER_ID, 3}, {KIND_BATCH, 6}};
  uint64_t at = driver_below(me, 100);
  for (size_t i = 0; i < sizeof mix / sizeof mix[0]; i++) {
    if (at < mix[i].weight)
      return mix[i].kind;
    at -= mix[i].weight;
  }
  return KIND_NEW;
}

/* A document that nobody else saves. */
static void make_new_document(driver *me, unsigned place, item *one) {
  char label[DRIVER_NAME_BYTES + 64];
  size_t bytes = (size_t)driver_below(me, DOCUMENT_BYTES_MAX);
  if (driver_below(me, 150) == 0)
    bytes = BLOB_BYTES + (size_t)driver_below(me, BLOB_BYTES);
  (void)snprintf(label, sizeof label, "%s/%llu/%llu/%u", me->options.name,
                 (unsigned long long)me->options.run, (unsigned long long)me->ops + 1, place);
  driver_document_make(label, bytes, &one->document);
}

static void make_item(driver *me, kind what, unsigned place, item *one) {
  uint64_t number = driver_below(me, me->options.keys);
  const char *family = "hot";
  char label[64] = "";
  char own[DRIVER_NAME_BYTES + 32];
  memset(one, 0, sizeof *one);
  (void)snprintf(one->group, sizeof one->group, "g%llu",
                 (unsigned long long)driver_below(me, me->options.groups));
  switch (what) {
  case KIND_NEW:
  case KIND_BATCH:
    (void)snprintf(own, sizeof own, "run_%s_%llu_%u", me->options.name,
                   (unsigned long long)me->options.run, place);
    family = own;
    number = me->ops + 1;
    break;
  case KIND_HOT:
  case KIND_IF_SEQ:
    break;
  case KIND_SAME:
    family = "same";
    number = driver_below(me, SAME_KEYS);
    (void)snprintf(label, sizeof label, "same/%llu/%llu", (unsigned long long)number,
                   (unsigned long long)driver_below(me, SAME_DOCUMENTS));
    (void)snprintf(one->group, sizeof one->group, "same");
    break;
  case KIND_ABSENT:
    family = "absent";
    number = driver_recent(me, ABSENT_OPS_EACH, ABSENT_WIDTH);
    one->condition = HF_IF_ABSENT;
    break;
  case KIND_ID:
  case KIND_OVER_ID:
    family = "id";
    number = driver_recent(me, ID_OPS_EACH, ID_WIDTH);
    if (what == KIND_OVER_ID)
      break;
    driver_shared_id(me, number, one->id);
    (void)snprintf(label, sizeof label, "id/%llu", (unsigned long long)number);
    (void)snprintf(one->group, sizeof one->group, "id");
    break;
  }
  driver_key_make(family, number, &one->key);
  if (label[0] != '\0')
    driver_document_make(label, 100, &one->document);
  else
    make_new_document(me, place, one);
}

static void fill_request(item *one, hf_save_request *request) {
  memset(request, 0, sizeof *request);
  request->key = driver_key_of(&one->key);
  request->group = one->group;
  request->doc = one->document.sent;
  request->doc_bytes = one->document.sent_bytes;
  request->condition = one->condition;
  request->if_seq = one->if_seq;
  request->id = one->id[0] != '\0' ? one->id : NULL;
}

static void write_call(driver *me, const char *operation, const item *items, size_t count) {
  static const char *const conditions[] = {"always", "absent", "seq"};
  history_line line;
  history_call(me, &line, operation);
  history_raw(&line, ",\"items\":[");
  for (size_t i = 0; i < count; i++) {
    history_raw(&line, i == 0 ? "{" : ",{");
    history_key(&line, &items[i].key, items[i].group);
    history_text(&line, "sha", items[i].document.sha256);
    history_text(&line, "if", conditions[items[i].condition]);
    history_number(&line, "if_seq", items[i].if_seq);
    history_text(&line, "id", items[i].id[0] != '\0' ? items[i].id : NULL);
    history_raw(&line, "}");
  }
  history_raw(&line, "]");
  history_write(me, &line);
}

static void write_answer(driver *me, int status, const hf_error *error, const hf_saved *results,
                         size_t count) {
  history_line line;
  uint64_t acknowledged = 0;
  history_answer(me, &line, status, error);
  history_raw(&line, ",\"items\":[");
  for (size_t i = 0; i < count; i++) {
    history_raw(&line, i == 0 ? "{" : ",{");
    history_text(&line, "status", hf_status_name(results[i].status));
    history_number(&line, "seq", results[i].seq);
    history_signed(&line, "created", results[i].created);
    history_text(&line, "id", results[i].id);
    history_text(&line, "sha", results[i].sha256);
    history_raw(&line, "}");
    acknowledged += results[i].status == HF_OK && results[i].created != 0;
  }
  history_raw(&line, "]");
  history_number(&line, "acked", acknowledged);
  history_write(me, &line);
  me->saves += acknowledged;
  for (size_t i = 0; i < count; i++)
    if (results[i].status == HF_OK)
      driver_saw(me, results[i].seq);
  if (status == HF_EUNSURE && me->unsure_count < DRIVER_UNSURE_MAX)
    memcpy(me->unsure[me->unsure_count++], error->id, sizeof error->id);
  me->failures =
      status == HF_OK || status == HF_ECONFLICT || status == HF_EENDED ? 0 : me->failures + 1;
}

static void save_batch(driver *me) {
  item items[DRIVER_BATCH_MAX];
  hf_save_request requests[DRIVER_BATCH_MAX];
  hf_saved results[DRIVER_BATCH_MAX];
  hf_error error = HF_ERROR_INIT;
  unsigned count = 2 + (unsigned)driver_below(me, DRIVER_BATCH_MAX - 1);
  for (unsigned i = 0; i < count; i++) {
    make_item(me, driver_below(me, 4) == 0 ? KIND_HOT : KIND_BATCH, i, &items[i]);
    fill_request(&items[i], &requests[i]);
  }
  write_call(me, "batch", items, count);
  int status = hf_save_batch(me->store, requests, count, me->options.timeout_ms, results, &error);
  write_answer(me, status, &error, results, count);
  for (unsigned i = 0; i < count; i++)
    driver_document_free(&items[i].document);
}

static void save_one(driver *me, kind what) {
  item one;
  hf_save_request request;
  hf_saved saved;
  hf_error error = HF_ERROR_INIT;
  int status = HF_OK;
  uint64_t if_seq = 0;
  if (what == KIND_IF_SEQ) {
    driver_key key;
    uint64_t number = driver_below(me, me->options.keys);
    driver_key_make("hot", number, &key);
    if_seq = driver_current_seq(me, &key, &status);
    if (status < 0)
      return;
    make_item(me, what, 0, &one);
    one.key = key;
    one.condition = HF_IF_SEQ;
    one.if_seq = if_seq;
  } else
    make_item(me, what, 0, &one);
  fill_request(&one, &request);
  memset(&saved, 0, sizeof saved);
  write_call(me, "save", &one, 1);
  status = hf_save(me->store, &request, me->options.timeout_ms, &saved, &error);
  saved.status = (hf_status)status;
  write_answer(me, status, &error, &saved, 1);
  driver_document_free(&one.document);
}

void driver_save_something(driver *me) {
  kind what = choose_kind(me);
  if (what == KIND_BATCH)
    save_batch(me);
  else
    save_one(me, what);
}

/* 1: settled. */
static int resolve(driver *me, const char *id) {
  history_line line;
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  history_call(me, &line, "resolve");
  history_text(&line, "id", id);
  history_write(me, &line);
  int got = hf_resolve(me->store, id, me->options.timeout_ms, &seq, &error);
  history_answer(me, &line, got, &error);
  if (got >= 0) {
    history_signed(&line, "got", got);
    history_number(&line, "seq", got == 1 ? seq : 0);
  }
  history_write(me, &line);
  if (got == 1)
    driver_saw(me, seq);
  me->failures = got >= 0 ? 0 : me->failures + 1;
  return got >= 0;
}

/* Ends an attempt that others may be at work with. */
void driver_resolve_something(driver *me) {
  char id[HF_ID_CHARS + 1];
  driver_shared_id(me, driver_recent(me, ID_OPS_EACH, ID_WIDTH), id);
  (void)resolve(me, id);
}

/* Records are committed in the other way from here on, or in the same. */
void driver_change_mode(driver *me) {
  hf_set_locker_options options = {.timeout_ms = me->options.timeout_ms,
                                   .mode = driver_below(me, 2) == 0 ? "journal" : "publish"};
  history_line line;
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  history_call(me, &line, "set_mode");
  history_text(&line, "mode", options.mode);
  history_write(me, &line);
  int changed = hf_set_locker(me->store, "flock", &options, &seq, &error);
  history_answer(me, &line, changed, &error);
  if (changed >= 0) {
    history_signed(&line, "changed", changed);
    history_number(&line, "seq", seq);
  }
  history_write(me, &line);
}

int driver_settle_unsure(driver *me) {
  while (me->unsure_count > 0) {
    if (!resolve(me, me->unsure[me->unsure_count - 1]))
      return 0;
    me->unsure_count--;
  }
  return 1;
}
