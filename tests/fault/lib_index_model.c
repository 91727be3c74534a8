/* The model: an array of what was saved, searched from end to end. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib_index.h"
#include "tile.h"

typedef struct saved_one {
  int run;
  int group; /* -1: none */
  int doc;
} saved_one;

static saved_one model[INDEX_RECORDS_MAX + 1]; /* by seq */
static uint64_t saved;
static char path[FAULT_PATH_BYTES];

/* A key is its run: stage and dims follow from it, so that some are comparable and some are not. */
typedef struct key_text {
  char run[16];
  hf_dim dim;
  hf_key key;
} key_text;

static int stage_of(int run) {
  return run % 2;
}

static int has_dim(int run) {
  return run % 3 == 0;
}

static const hf_key *key_of(int run, key_text *text) {
  (void)snprintf(text->run, sizeof text->run, "r%d", run);
  text->dim = (hf_dim){"lr", "0.1"};
  text->key = (hf_key){.run_id = text->run,
                       .stage = stage_of(run) != 0 ? "eval" : "train",
                       .dims = has_dim(run) ? &text->dim : NULL,
                       .dims_count = has_dim(run) ? 1 : 0};
  return &text->key;
}

static void group_text(int group, char text[16]) {
  (void)snprintf(text, 16, "g%d", group);
}

const char *index_store_make(void) {
  fault_path(path, fault_folder_in_memory(), "store");
  fault_remove_tree(path);
  fault_init(path, "none");
  saved = 0;
  return path;
}

hf_store *index_open(int shared) {
  hf_store *store = fault_open(path);
  if (shared)
    fault_make_shared(store);
  return store;
}

static saved_one record_of(uint64_t seq) {
  /* runs in another order each time round; eight of them in a row have the same document */
  uint64_t round = seq / INDEX_RUNS;
  int run = (int)((seq * (2 * (round % 7) + 1) + round) % INDEX_RUNS);
  return (saved_one){run, seq % 5 == 0 ? -1 : (int)(seq % INDEX_GROUPS),
                     (int)(seq / 8 * 10 + round % 10)};
}

static hf_save_request request_of(const saved_one *one, key_text *key, char group[16],
                                  char doc[32]) {
  (void)snprintf(doc, 32, "{\"n\":%d}", one->doc);
  group_text(one->group, group);
  return (hf_save_request){.key = *key_of(one->run, key),
                           .group = one->group < 0 ? NULL : group,
                           .doc = doc,
                           .doc_bytes = strlen(doc)};
}

void index_save_up_to(hf_store *store, uint64_t head) {
  static hf_save_request requests[HF_BATCH_MAX];
  static hf_saved results[HF_BATCH_MAX];
  static key_text keys[HF_BATCH_MAX];
  static char groups[HF_BATCH_MAX][16];
  static char docs[HF_BATCH_MAX][32];
  hf_error error = HF_ERROR_INIT;
  FAULT_CHECK(head <= INDEX_RECORDS_MAX, "too many records");
  while (saved < head) {
    size_t count = 0;
    for (; saved + count < head && count < INDEX_RUNS / 2; count++) {
      saved_one *one = &model[saved + count + 1];
      *one = record_of(saved + count + 1);
      requests[count] = request_of(one, &keys[count], groups[count], docs[count]);
    }
    fault_must(hf_save_batch(store, requests, count, -1, results, &error), &error, "hf_save_batch");
    for (size_t i = 0; i < count; i++)
      FAULT_CHECK(results[i].status == HF_OK && results[i].created &&
                      results[i].seq == saved + 1 + i,
                  "a save of %s as seq %llu was answered with seq %llu, %s", requests[i].key.run_id,
                  (unsigned long long)(saved + 1 + i), (unsigned long long)results[i].seq,
                  results[i].created ? "new" : "nothing new");
    saved += count;
  }
}

void index_pack(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
}

/* ---- the answers, by search through everything ---- */

static uint64_t current(int run, uint64_t at) {
  for (uint64_t seq = at; seq > 0; seq--)
    if (model[seq].run == run)
      return seq;
  return 0;
}

static uint64_t previous(int run, int group, uint64_t below) {
  for (uint64_t seq = below - 1; group >= 0 && seq > 0; seq--)
    if (model[seq].group == group && model[seq].run != run &&
        stage_of(model[seq].run) == stage_of(run) && has_dim(model[seq].run) == has_dim(run))
      return seq;
  return 0;
}

size_t index_walk_expected(const index_walk *walk, uint64_t seqs[INDEX_RECORDS_MAX]) {
  static uint64_t last[2 * INDEX_RUNS]; /* index_judge adds as many */
  size_t count = 0;
  for (int run = 0; run < 2 * INDEX_RUNS; run++)
    last[run] = current(run, saved);
  for (uint64_t i = 1; i <= saved; i++) {
    uint64_t seq = walk->reverse ? saved + 1 - i : i;
    if ((walk->run < 0 || model[seq].run == walk->run) &&
        (walk->group < 0 || model[seq].group == walk->group) &&
        (walk->all_revisions || walk->is_history || last[model[seq].run] == seq))
      seqs[count++] = seq;
  }
  return count;
}

/* ---- the store's ---- */

static void check_record(const char *what, int run, int got, hf_record **record, uint64_t expected,
                         const hf_error *error) {
  fault_must(got, error, what);
  uint64_t seq = got == 1 ? (*record)->seq : 0;
  FAULT_CHECK(seq == expected, "%s of r%d answered seq %llu, right is %llu", what, run,
              (unsigned long long)seq, (unsigned long long)expected);
  if (got != 1)
    return;
  char doc[32];
  (void)snprintf(doc, sizeof doc, "{\"n\":%d}", model[seq].doc);
  FAULT_CHECK((*record)->doc_bytes == strlen(doc) && memcmp((*record)->doc, doc, strlen(doc)) == 0,
              "%s: seq %llu has another document", what, (unsigned long long)seq);
  hf_record_free(record);
}

static void compare_points(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  for (int run = 0; run < INDEX_RUNS + 3; run++) {
    key_text text;
    const hf_key *key = key_of(run, &text);
    for (uint64_t at = 1; at <= saved; at += 1 + saved / 9)
      check_record("get --at", run, hf_get(store, key, at, &record, &error), &record,
                   current(run, at), &error);
    uint64_t now = current(run, saved);
    check_record("get", run, hf_get(store, key, 0, &record, &error), &record, now, &error);
    for (int group = 0; group <= INDEX_GROUPS; group++) {
      char name[16];
      group_text(group, name);
      uint64_t below = now > 0 && model[now].group == group ? now : saved + 1;
      check_record("prev --group", run, hf_prev(store, key, name, &record, &error), &record,
                   previous(run, group, below), &error);
    }
  }
  for (uint64_t seq = 1; seq <= saved; seq += 1 + saved / 300)
    check_record("prev of a seq", model[seq].run, hf_prev_seq(store, seq, &record, &error), &record,
                 previous(model[seq].run, model[seq].group, seq), &error);
}

hf_cursor *index_walk_begin(hf_store *store, const index_walk *walk) {
  hf_error error = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  key_text text;
  char group[16];
  group_text(walk->group, group);
  const hf_key *key = key_of(walk->run < 0 ? 0 : walk->run, &text);
  hf_list_options options = {.run_id = walk->run < 0 ? NULL : key->run_id,
                             .group = walk->group < 0 ? NULL : group,
                             .all_revisions = walk->all_revisions,
                             .reverse = walk->reverse};
  fault_must(walk->is_history ? hf_history(store, key, &cursor, &error)
                              : hf_list(store, &options, &cursor, &error),
             &error, "a walk");
  return cursor;
}

static void compare_walk(hf_store *store, const index_walk *walk) {
  static uint64_t expected[INDEX_RECORDS_MAX];
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  size_t count = index_walk_expected(walk, expected);
  size_t met = 0;
  int got;
  hf_cursor *cursor = index_walk_begin(store, walk);
  while ((got = hf_cursor_next(cursor, &record, &error)) == 1) {
    int is_current = current(model[record->seq].run, saved) == record->seq;
    FAULT_CHECK(met < count && record->seq == expected[met],
                "%s (run %d, group %d%s%s): item %zu is seq %llu, right is %llu",
                walk->is_history ? "history" : "list", walk->run, walk->group,
                walk->all_revisions ? ", all" : "", walk->reverse ? ", reverse" : "", met + 1,
                (unsigned long long)record->seq,
                (unsigned long long)(met < count ? expected[met] : 0));
    FAULT_CHECK((record->is_current != 0) == is_current, "seq %llu is said to be %s revision",
                (unsigned long long)record->seq, record->is_current ? "the current" : "an old");
    hf_record_free(&record);
    met++;
  }
  fault_must(got, &error, "a walk");
  FAULT_CHECK(met == count, "%s (run %d, group %d): %zu of %zu records",
              walk->is_history ? "history" : "list", walk->run, walk->group, met, count);
  hf_cursor_close(&cursor);
}

void index_compare(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  fault_must(hf_head(store, &head, &error), &error, "hf_head");
  FAULT_CHECK(head == saved, "the head is %llu, right is %llu", (unsigned long long)head,
              (unsigned long long)saved);
  compare_points(store);
  for (int run = 0; run < INDEX_RUNS + 3; run++) {
    index_walk history = {.run = run, .group = -1, .is_history = 1};
    index_walk list = {.run = run, .group = -1, .reverse = run % 2};
    compare_walk(store, &history);
    if (run % 8 == 0)
      compare_walk(store, &list);
  }
  for (int group = -1; group <= INDEX_GROUPS; group++)
    for (int how = 0; how < 4; how++) {
      index_walk list = {.run = -1, .group = group, .reverse = how & 1, .all_revisions = how > 1};
      compare_walk(store, &list);
    }
}

void index_judge(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  for (int run = 0; run < 2 * INDEX_RUNS; run++) {
    key_text text;
    char group[16];
    char doc[32];
    hf_saved answer = {0};
    uint64_t now = current(run, saved);
    saved_one again = now > 0 ? model[now] : (saved_one){run, 0, model[saved].doc};
    hf_save_request request = request_of(&again, &text, group, doc);
    request.condition = now > 0 ? HF_ALWAYS : HF_IF_ABSENT;
    int status = hf_save(store, &request, -1, &answer, &error);
    FAULT_CHECK(status == HF_OK, "a save of r%d: %s: %s", run, hf_status_name(status),
                error.message);
    FAULT_CHECK((answer.created != 0) == (now == 0) && answer.seq == (now > 0 ? now : saved + 1),
                "the document that r%d %s was answered with seq %llu, %s", run,
                now > 0 ? "has" : "has not yet", (unsigned long long)answer.seq,
                answer.created ? "new" : "nothing new");
    if (now == 0)
      model[++saved] = again;
  }
}
