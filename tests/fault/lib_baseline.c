#include "lib_baseline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const hf_comparable base_runs = {.group = "g", .stage = "s"};

int base_save(hf_store *store, unsigned number, const char *value, int other, int64_t timeout_ms) {
  char run_id[BASE_TEXT_BYTES];
  char doc[2 * BASE_TEXT_BYTES];
  (void)snprintf(run_id, sizeof run_id, "r%u", number);
  (void)snprintf(doc, sizeof doc, "{\"m\":%s}", value != NULL ? value : "null");
  hf_save_request request = {.key = {.run_id = run_id, .stage = "s"},
                             .group = other ? "another" : "g",
                             .doc = doc,
                             .doc_bytes = strlen(doc)};
  return hf_save(store, &request, timeout_ms, NULL, NULL);
}

hf_baseline_options base_options(int64_t timeout_ms) {
  return (hf_baseline_options){
      .metric = "/m", .goal = HF_GOAL_MAX, .min_runs = BASE_MIN_RUNS, .timeout_ms = timeout_ms};
}

/* What is known of one run: its current revision. */
typedef struct base_run {
  char run_id[BASE_TEXT_BYTES];
  uint64_t seq;
  int counts; /* it is comparable, and has the metric */
  long long value;
} base_run;

typedef struct base_model {
  base_run runs[BASE_RUNS_MAX];
  size_t count;
  uint64_t seq; /* of the last baseline record; 0: none */
  uint64_t of;  /* in force; 0: none */
  long long value;
} base_model;

static void take_save(base_model *model, const hf_record *record) {
  base_run *run = model->runs;
  while (run < model->runs + model->count && strcmp(run->run_id, record->run_id) != 0)
    run++;
  if (run == model->runs + model->count) {
    FAULT_CHECK(model->count++ < BASE_RUNS_MAX, "too many runs");
    (void)snprintf(run->run_id, sizeof run->run_id, "%s", record->run_id);
  }
  const char *value = NULL;
  size_t bytes = 0;
  int got = hf_json_pointer(record->doc, record->doc_bytes, "/m", &value, &bytes, NULL);
  run->seq = record->seq;
  run->counts = got == 1 && value[0] != 'n' && strcmp(record->group, "g") == 0;
  run->value = run->counts ? strtoll(value, NULL, 10) : 0;
}

/* The best of those that were saved after `since`; *ret_count: how many count. */
static const base_run *find_best(const base_model *model, uint64_t since, size_t *ret_count) {
  const base_run *best = NULL;
  *ret_count = 0;
  for (size_t i = 0; i < model->count; i++) {
    const base_run *run = &model->runs[i];
    if (!run->counts || run->seq <= since)
      continue;
    ++*ret_count;
    if (best == NULL || run->value > best->value ||
        (run->value == best->value && run->seq < best->seq))
      best = run;
  }
  return best;
}

static void take_baseline(base_model *model, const hf_baseline *one) {
  size_t count = 0;
  unsigned long long seq = one->seq;
  int updates = strcmp(one->by, "update") == 0;
  const base_run *best = find_best(model, updates ? model->seq : 0, &count);
  if (strcmp(one->by, "establish") == 0) {
    FAULT_CHECK(model->of == 0, "seq %llu establishes a baseline where there is one", seq);
    FAULT_CHECK(count >= BASE_MIN_RUNS, "seq %llu establishes with %zu runs", seq, count);
  }
  if (updates)
    FAULT_CHECK(model->of != 0 && best != NULL && best->value > model->value,
                "seq %llu updates to no better run", seq);
  if (strcmp(one->by, "establish") == 0 || updates)
    FAULT_CHECK(best->seq == one->of && strcmp(best->run_id, one->run_id) == 0,
                "seq %llu (%s) names seq %llu, and the best of all before it is seq %llu", seq,
                one->by, (unsigned long long)one->of, (unsigned long long)best->seq);
  if (strcmp(one->by, "clear") == 0)
    FAULT_CHECK(model->of != 0 && one->of == 0, "seq %llu clears nothing", seq);
  model->seq = one->seq;
  model->of = one->of;
  model->value = one->value != NULL ? strtoll(one->value, NULL, 10) : 0;
}

uint64_t base_check_log(hf_store *store) {
  hf_list_options options = {.all_records = 1, .with_documents = 1};
  hf_error error = HF_ERROR_INIT;
  hf_cursor *cursor = NULL;
  base_model model;
  memset(&model, 0, sizeof model);
  fault_must(hf_list(store, &options, &cursor, &error), &error, "hf_list");
  for (;;) {
    hf_record *record = NULL;
    hf_baseline *baseline = NULL;
    int got = hf_cursor_next(cursor, &record, &error);
    fault_must(got, &error, "hf_cursor_next");
    if (got == 0)
      break;
    if (strcmp(record->op, "save") == 0)
      take_save(&model, record);
    got = hf_baseline_of_record(record, &baseline, &error);
    fault_must(got, &error, "hf_baseline_of_record");
    if (got == 1 && strcmp(baseline->group, "g") == 0)
      take_baseline(&model, baseline);
    hf_baseline_free(&baseline);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  hf_baseline *now = NULL;
  int got = hf_baseline_get(store, &base_runs, 0, &now, &error);
  fault_must(got, &error, "hf_baseline_get");
  FAULT_CHECK((got == 1 ? now->of : 0) == model.of, "in force is seq %llu, and the log says %llu",
              got == 1 ? (unsigned long long)now->of : 0ULL, (unsigned long long)model.of);
  hf_baseline_free(&now);
  return model.of;
}
