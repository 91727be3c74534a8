/* What the tests of packing by itself share: a store that packs, and one that fills it quietly. */
#ifndef HF_TESTS_UNIT_PACKER_HELP_H
#define HF_TESTS_UNIT_PACKER_HELP_H

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "clock.h"
#include "pace.h"
#include "packer.h"
#include "scratch.h"
#include "store.h"
#include "sys.h"
#include "tile.h"

enum { T = HF_TILE_RECORDS, WAIT_MS = 20000, QUIET_MS = 300 };

static scratch here;
static hf_store *store;
static int warnings;
static int notes;
static char last_warning[1024];

static inline void count_log(void *context, hf_log_level level, const char *message) {
  (void)context;
  if (level == HF_LOG_WARNING) {
    warnings++;
    (void)snprintf(last_warning, sizeof last_warning, "%s", message);
  } else
    notes++;
}

static inline hf_store *open_packing(const hf_config *config) {
  hf_open_options options = {.log = count_log, .config = config};
  hf_store *opened = NULL;
  ck_assert_int_eq(hf_open(here.store, &options, &opened, NULL), HF_OK);
  return opened;
}

static inline void begin(void) {
  warnings = notes = 0;
  scratch_begin(&here);
  scratch_init(&here, "none");
  store = open_packing(NULL);
}

static inline void end(void) {
  hf_close(&store);
  hf_sys = &hf_sys_real;
  scratch_end(&here);
}

/* Up to this head, as fast as batches are. */
static inline void fill(hf_store *into, uint64_t head) {
  static int number;
  uint64_t now = 0;
  ck_assert_int_eq(hf_head(into, &now, NULL), HF_OK);
  while (now < head) {
    hf_save_request requests[HF_BATCH_MAX];
    hf_saved results[HF_BATCH_MAX];
    char runs[HF_BATCH_MAX][24];
    size_t count = head - now < HF_BATCH_MAX ? (size_t)(head - now) : HF_BATCH_MAX;
    memset(requests, 0, sizeof requests);
    for (size_t i = 0; i < count; i++) {
      (void)snprintf(runs[i], sizeof runs[i], "fill %d", number++);
      requests[i].key = (hf_key){.run_id = runs[i], .stage = "S"};
      requests[i].doc = "{}";
      requests[i].doc_bytes = 2;
    }
    ck_assert_int_eq(hf_save_batch(into, requests, count, -1, results, NULL), HF_OK);
    now += count;
  }
}

/* By one who does not pack. */
static inline void fill_quietly(uint64_t head) {
  hf_store *other = scratch_open(&here);
  fill(other, head);
  hf_close(&other);
}

static inline uint64_t save_one(hf_store *into) {
  static int number;
  char run[32];
  (void)snprintf(run, sizeof run, "one %d", number++);
  return scratch_must_save(into, run, "S", "{}");
}

static inline uint64_t tiles(void) {
  struct stat st;
  ck_assert_int_eq(stat(scratch_path(&here, "tile/mark"), &st), 0);
  return (uint64_t)st.st_size;
}

static inline int is_loose(uint64_t seq) {
  return access(scratch_path(&here, "log/%020llu.json", (unsigned long long)seq), F_OK) == 0;
}

/* Until there are so many tiles, and their names are free. */
static inline void wait_for_tiles(uint64_t wanted) {
  for (int ms = 0; ms < WAIT_MS && (tiles() < wanted || is_loose(wanted * T)); ms += 2)
    pace_sleep_us(2000);
  ck_assert_uint_eq(tiles(), wanted);
}

static inline void stay_at(uint64_t wanted) {
  pace_sleep_us(QUIET_MS * 1000);
  ck_assert_uint_eq(tiles(), wanted);
}

static inline void check_sound(uint64_t head) {
  hf_verify_options options = {.deep = 1};
  hf_verify_report report;
  uint64_t now = 0;
  hf_store *after = scratch_open(&here);
  ck_assert_int_eq(hf_head(after, &now, NULL), HF_OK);
  hf_close(&after);
  ck_assert_uint_eq(now, head);
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 0);
  ck_assert_uint_eq(report.records, head);
}

#endif
