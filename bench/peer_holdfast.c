#include "peer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <holdfast/holdfast.h>

int hf_bench_group_derived = 1;
const char *hf_bench_locker = "flock";
const char *hf_bench_config;

int64_t hf_bench_making_us;

static hf_config *config; /* once loaded, kept until the process ends */

static int64_t now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int failed(const char *what, const hf_error *e, char *error) {
  (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "holdfast: %s: %s: %.300s (%.80s)", what,
                 hf_status_name(e->code), e->message, e->place);
  return -1;
}

static int load_config(char *error) {
  hf_error e = HF_ERROR_INIT;
  return config != NULL || hf_bench_config == NULL ||
                 hf_config_load(hf_bench_config, &config, &e) == HF_OK
             ? 0
             : failed("configuration", &e, error);
}

static void request_fill(const hf_bench_document *d, hf_dim dims[2], hf_save_request *ret_request) {
  dims[0] = (hf_dim){.name = "target", .value = d->target};
  dims[1] = (hf_dim){.name = "view", .value = d->view};
  *ret_request = (hf_save_request){
      .key = {.run_id = d->run_id, .stage = d->stage, .dims = dims, .dims_count = 2},
      .group = hf_bench_group_derived ? NULL : d->group,
      .timestamp = d->timestamp,
      .doc = d->text,
      .doc_bytes = d->text_bytes,
  };
}

static int fill_singly(hf_store *store, uint64_t history, char *error) {
  hf_error e = HF_ERROR_INIT;
  hf_bench_document document;
  hf_save_request request;
  hf_saved saved;
  hf_dim dims[2];
  for (uint64_t i = 0; i < history; i++) {
    hf_bench_document_make(i, &document);
    request_fill(&document, dims, &request);
    if (hf_save(store, &request, -1, &saved, &e) != HF_OK) {
      return failed("filling", &e, error);
    }
  }
  return 0;
}

static int fill(hf_store *store, uint64_t history, char *error) {
  hf_bench_document *documents = calloc(HF_BATCH_MAX, sizeof *documents);
  hf_save_request *requests = calloc(HF_BATCH_MAX, sizeof *requests);
  hf_saved *saved = calloc(HF_BATCH_MAX, sizeof *saved);
  hf_dim(*dims)[2] = calloc(HF_BATCH_MAX, sizeof *dims);
  int status = documents && requests && saved && dims ? HF_OK : HF_ENOMEM;
  hf_error e = HF_ERROR_INIT;
  for (uint64_t at = 0; at < history && status == HF_OK;) {
    size_t count = 0;
    int64_t began_us = now_us();
    for (; count < HF_BATCH_MAX && at < history; count++, at++) {
      hf_bench_document_make(at, &documents[count]);
      request_fill(&documents[count], dims[count], &requests[count]);
    }
    hf_bench_making_us += now_us() - began_us;
    status = hf_save_batch(store, requests, count, -1, saved, &e);
  }
  free(documents);
  free(requests);
  free(saved);
  free(dims);
  return status == HF_OK ? 0 : failed("filling", &e, error);
}

static int holdfast_open(const char *folder, void **ret_state, char *error) {
  hf_error e = HF_ERROR_INIT;
  hf_store *store = NULL;
  uint64_t head = 0;
  /* The head: so that the log is read here and not by the first save. */
  if (load_config(error) != 0)
    return -1;
  hf_open_options options = {.config = config};
  if (hf_open(folder, &options, &store, &e) != HF_OK || hf_head(store, &head, &e) != HF_OK) {
    hf_close(&store);
    return failed("open", &e, error);
  }
  *ret_state = store;
  return 0;
}

static void holdfast_close(void **state) {
  hf_store *store = *state;
  hf_close(&store);
  *state = NULL;
}

static int prepare(const char *folder, const char *mode, uint64_t history, int singly,
                   char *error) {
  hf_error e = HF_ERROR_INIT;
  if (load_config(error) != 0)
    return -1;
  hf_init_options options = {.config = config, .locker = hf_bench_locker, .force = 1};
  hf_open_options with_config = {.config = config};
  if (hf_init(folder, &options, NULL, &e) != HF_OK) {
    return failed("init", &e, error);
  }
  hf_store *store = NULL;
  if (hf_open(folder, &with_config, &store, &e) != HF_OK) {
    return failed("open", &e, error);
  }
  hf_locker_choice choice;
  int status = hf_get_locker(store, &choice, &e);
  if (status == HF_OK && strcmp(choice.mode, mode) != 0) {
    hf_set_locker_options set = {.timeout_ms = -1, .mode = mode};
    uint64_t seq = 0;
    status = hf_set_locker(store, hf_bench_locker, &set, &seq, &e);
  }
  if (status < 0) {
    hf_close(&store);
    return failed("locker set", &e, error);
  }
  int result = singly ? fill_singly(store, history, error) : fill(store, history, error);
  hf_close(&store);
  return result;
}

static int publish_prepare(const char *folder, uint64_t history, int singly, char *error) {
  return prepare(folder, "publish", history, singly, error);
}

static int journal_prepare(const char *folder, uint64_t history, int singly, char *error) {
  return prepare(folder, "journal", history, singly, error);
}

static int holdfast_save(void *state, const hf_bench_document *document, char *error) {
  hf_store *store = (hf_store *)state;
  hf_error e = HF_ERROR_INIT;
  hf_dim dims[2];
  hf_save_request request;
  hf_saved saved;
  request_fill(document, dims, &request);
  if (hf_save(store, &request, -1, &saved, &e) != HF_OK) {
    return failed("save", &e, error);
  }
  if (!saved.created) {
    (void)snprintf(error, HF_BENCH_TEXT_BYTES_MAX, "holdfast: save: nothing new was made");
    return -1;
  }
  return 0;
}

static int holdfast_count(const char *folder, uint64_t *ret_count, char *error) {
  hf_error e = HF_ERROR_INIT;
  hf_store *store = NULL;
  hf_open_options options = {.config = config};
  if (hf_open(folder, &options, &store, &e) != HF_OK) {
    return failed("open", &e, error);
  }
  hf_locker_choice choice;
  int status = hf_head(store, ret_count, &e);
  if (status == HF_OK) {
    status = hf_get_locker(store, &choice, &e);
  }
  hf_close(&store);
  if (status != HF_OK) {
    return failed("head", &e, error);
  }
  *ret_count -= choice.seq != 0; /* the record that set the mode is none of the documents */
  return 0;
}

const hf_bench_peer hf_bench_publish = {
    .name = "publish",
    .one_handle = 1,
    .prepare = publish_prepare,
    .open = holdfast_open,
    .close = holdfast_close,
    .save = holdfast_save,
    .count = holdfast_count,
};

const hf_bench_peer hf_bench_journal = {
    .name = "journal",
    .one_handle = 1,
    .prepare = journal_prepare,
    .open = holdfast_open,
    .close = holdfast_close,
    .save = holdfast_save,
    .count = holdfast_count,
};
