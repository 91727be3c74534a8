/* train STORE RUN LEARNING-RATE: a small stage of a pipeline. It does its work, saves what it did,
 * and asks which run came before it and what differs. Exit status: 0; 1: it failed; 3: it is saved,
 * and is the first of its kind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/diff.h>
#include <holdfast/holdfast.h>

enum { DOCUMENT_BYTES = 1024, LOCK_TRIES_MAX = 3, WAIT_MS = 60000 };

static int failed(const char *what, const hf_error *error) {
  fprintf(stderr, "train: %s: %s%s%s\n", what, error->place, error->place[0] != '\0' ? ": " : "",
          error->message);
  return 1;
}

/* The work: ten steps downhill. Writes the document; answers its length. */
static size_t work(double rate, char *document, size_t bytes) {
  double at = 4;
  for (int step = 0; step < 10; step++)
    at -= rate * 2 * (at - 1);
  int length = snprintf(document, bytes,
                        "{\"comparison_group\": {\"data\": \"v3\", \"task\": \"downhill\"},"
                        " \"inputs\": {\"rows\": 1000, \"features\": [\"a\", \"b\"]},"
                        " \"process\": {\"model\": {\"learning_rate\": %.6g, \"steps\": 10}},"
                        " \"outputs\": {\"metrics\": {\"loss\": %.9f}}}",
                        rate, (at - 1) * (at - 1));
  return length > 0 && (size_t)length < bytes ? (size_t)length : 0;
}

/* Saves under one id, so that trying again never doubles. The three outcomes of hf_save that a
 * program has to tell apart: saved; not saved, now and later (an error); unknown, which hf_resolve
 * settles. */
static int save(hf_store *store, const hf_save_request *request, uint64_t *ret_seq,
                hf_error *error) {
  hf_saved saved;
  int status = HF_ELOCK;
  for (int i = 0; i < LOCK_TRIES_MAX && (status == HF_ELOCK || status == HF_EBACKEND); i++)
    status = hf_save(store, request, WAIT_MS, &saved, error);
  if (status == HF_OK) {
    *ret_seq = saved.seq;
    return HF_OK;
  }
  if (status != HF_EUNSURE)
    return status;
  char id[HF_ID_CHARS + 1];
  memcpy(id, error->id, sizeof id);
  int found = hf_resolve(store, id, WAIT_MS, ret_seq, error);
  if (found == 0) {
    (void)snprintf(error->message, sizeof error->message, "the attempt %s was not saved", id);
    return HF_EENDED;
  }
  return found == 1 ? HF_OK : found;
}

static int print_changes(const hf_record *before, const hf_record *now, hf_error *error) {
  hf_diff_result *diff = NULL;
  hf_change change;
  int got;
  int status = hf_diff(before, now, NULL, &diff, error);
  if (status != HF_OK)
    return status;
  printf("since run %s (seq %llu): %s\n", before->run_id, (unsigned long long)before->seq,
         hf_severity_name(hf_diff_summary_of(diff)->severity));
  while ((got = hf_diff_next(diff, &change, error)) == 1)
    printf("  %s: %.*s -> %.*s%s%s\n", change.pointer,
           change.old_text != NULL ? (int)change.old_bytes : 4,
           change.old_text != NULL ? change.old_text : "none",
           change.new_text != NULL ? (int)change.new_bytes : 4,
           change.new_text != NULL ? change.new_text : "none", change.delta != NULL ? ", by " : "",
           change.delta != NULL ? change.delta : "");
  hf_diff_free(&diff);
  return got;
}

/* What changed since the previous comparable run: 1, 0 (there is none), or negative. */
static int tell(hf_store *store, uint64_t seq, hf_error *error) {
  hf_record *now = NULL;
  hf_record *before = NULL;
  int found = hf_get_seq(store, seq, &now, error);
  if (found == 1)
    found = hf_prev_seq(store, seq, &before, error);
  int status = found == 1 ? print_changes(before, now, error) : found;
  hf_record_free(&before);
  hf_record_free(&now);
  return status < 0 ? status : found;
}

int main(int argc, char **argv) {
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  char document[DOCUMENT_BYTES];
  char id[HF_ID_CHARS + 1];
  char *end = NULL;
  double rate = argc == 4 ? strtod(argv[3], &end) : 0;
  if (argc != 4 || end == argv[3] || *end != '\0' || !(rate > 0 && rate < 1)) {
    fprintf(stderr, "usage: train STORE RUN LEARNING-RATE (above 0, below 1)\n");
    return 2;
  }
  size_t bytes = work(rate, document, sizeof document);
  if (hf_make_id(id, &error) != HF_OK)
    return failed("an id", &error);
  if (hf_open(argv[1], NULL, &store, &error) != HF_OK)
    return failed("open", &error);
  hf_save_request request = {.key = {.run_id = argv[2], .stage = "TRAINING"},
                             .doc = document,
                             .doc_bytes = bytes,
                             .id = id};
  uint64_t seq = 0;
  int status = save(store, &request, &seq, &error);
  if (status == HF_OK) {
    printf("saved: seq %llu\n", (unsigned long long)seq);
    status = tell(store, seq, &error);
    if (status == 0)
      printf("the first run of its kind\n");
  }
  if (status < 0)
    (void)failed(argv[2], &error);
  hf_close(&store);
  return status < 0 ? 1 : status == 0 ? 3 : 0;
}
