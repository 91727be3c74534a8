#include "document.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { GROUPS = 7, FEATURES = 24 };

/* 64 hexadecimal digits that look like a SHA-256. */
static void digest(uint64_t number, char text[65]) {
  uint64_t x = number;
  for (int i = 0; i < 4; i++) {
    /* splitmix64 */
    x += 0x9e3779b97f4a7c15u;
    uint64_t z = x;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    (void)snprintf(text + i * 16, 17, "%016" PRIx64, z ^ (z >> 31));
  }
}

static void features(char *text, size_t bytes_max) {
  size_t used = 0;
  for (int i = 0; i < FEATURES; i++) {
    int n = snprintf(text + used, bytes_max - used, "%s\"factor_%02d\"", i == 0 ? "" : ", ", i);
    if (n < 0 || (size_t)n >= bytes_max - used) {
      abort();
    }
    used += (size_t)n;
  }
}

void hf_bench_document_make(uint64_t number, hf_bench_document *ret_document) {
  hf_bench_document *d = ret_document;
  char config[65], data[65], target[65], feature[65], task[65], list[FEATURES * 16];
  digest(number, config);
  digest(number + UINT64_C(0x100000000), data);
  digest(number % 10 + UINT64_C(0x200000000), target);
  digest(UINT64_C(0x300000000), feature);
  digest(UINT64_C(0x400000000), task);
  digest(number % GROUPS + UINT64_C(0x500000000), d->group);
  features(list, sizeof list);
  (void)snprintf(d->run_id, sizeof d->run_id, "run_%08" PRIu64, number);
  (void)snprintf(d->timestamp, sizeof d->timestamp, "2026-01-02T03:%02u:%02u.000000+00:00",
                 (unsigned)(number / 60 % 60), (unsigned)(number % 60));
  d->stage = "TRAINING";
  d->target = "fwd_ret_5m";
  d->view = "CROSS_SECTIONAL";
  int n = snprintf(
      d->text, sizeof d->text,
      "{\"run_id\": \"%s\", \"timestamp\": \"%s\", \"stage\": \"%s\", \"view\": \"%s\", "
      "\"target\": \"%s\", \"symbol\": null, \"experiment_id\": null, \"attempt_id\": 0, "
      "\"fingerprint_schema_version\": \"1.0\", \"config_fingerprint\": \"%s\", "
      "\"data_fingerprint\": \"%s\", \"feature_fingerprint\": \"%s\", "
      "\"target_fingerprint\": \"%s\", \"fingerprint_sources\": {\"fold_assignment_hash\": "
      "\"hash over row_id\\u2192fold_id mapping\"}, \"inputs\": {\"n_symbols\": 120, "
      "\"date_start\": \"2020-01-02\", \"row_id_max\": %" PRIu64 ", \"learning_rate\": 0.05, "
      "\"features\": [%s]}, \"process\": {\"cv\": {\"method\": \"purged_kfold\", \"folds\": 5, "
      "\"purge_minutes\": 30.0}, \"warnings\": [], \"versions\": {\"python\": \"3.10.12\", "
      "\"numpy\": \"1.26.4\"}}, \"outputs\": {\"metrics\": {\"auc\": 0.%06u, \"logloss\": "
      "0.%06u, \"ic\": 2.9e-06}, \"n_models\": 8}, \"comparison_group\": {\"experiment_id\": null, "
      "\"dataset_signature\": \"%s\", \"task_signature\": \"%s\", \"routing_signature\": \"%s\", "
      "\"split_signature\": \"%s\", \"n_effective\": 6000, "
      "\"model_family\": \"xgboost\", \"feature_signature\": \"%s\", \"train_seed\": 42, "
      "\"universe_sig\": \"%s\", \"symbol\": null}}",
      d->run_id, d->timestamp, d->stage, d->view, d->target, config, data, feature, target,
      UINT64_C(9007199254740993) + number, list, (unsigned)(500000 + number % 400000),
      (unsigned)(200000 + number % 600000), d->group, task, feature, task, feature, task);
  if (n < 0 || (size_t)n >= sizeof d->text) {
    abort();
  }
  d->text_bytes = (size_t)n;
}
