/* Processes that read and pack while others save. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib_storm.h"
#include "lib_table.h"

#include "tile.h"

enum { LOOKS_A_HANDLE = 60, LIST_RECORDS = 12 };

static fault_random reader_random;

/* A record that was shown once is the same for ever. */
static void show(const hf_record *record) {
  uint64_t hash = fault_hash(record->line, record->line_bytes) | 1;
  uint64_t before = 0;
  FAULT_CHECK(record->seq <= storm_all->seqs_max, "seq %llu is far too high",
              (unsigned long long)record->seq);
  if (atomic_compare_exchange_strong(&storm_all->shown[record->seq], &before, hash))
    return;
  FAULT_CHECK(before == hash, "seq %llu was shown as another record before",
              (unsigned long long)record->seq);
}

static void look_at_one(hf_store *store, uint64_t seq) {
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  int got = hf_get_seq(store, seq, &record, &error);
  fault_must(got, &error, "hf_get_seq");
  FAULT_CHECK(got == 1 && record->seq == seq, "seq %llu is not there", (unsigned long long)seq);
  show(record);
  hf_record_free(&record);
}

static void look_at_last(hf_store *store, uint64_t head) {
  hf_error error = HF_ERROR_INIT;
  hf_list_options options = {.all_records = 1, .reverse = 1, .limit = LIST_RECORDS};
  hf_cursor *cursor = NULL;
  uint64_t before = 0;
  fault_must(hf_list(store, &options, &cursor, &error), &error, "hf_list");
  for (;;) {
    hf_record *record = NULL;
    int got = hf_cursor_next(cursor, &record, &error);
    fault_must(got, &error, "hf_cursor_next");
    if (got == 0)
      break;
    FAULT_CHECK(before == 0 ? record->seq >= head : record->seq == before - 1,
                "the list went from seq %llu to %llu, the head was %llu",
                (unsigned long long)before, (unsigned long long)record->seq,
                (unsigned long long)head);
    before = record->seq;
    show(record);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
}

void storm_read(const char *path, uint64_t number) {
  static fault_hooks hooks;
  hf_error error = HF_ERROR_INIT;
  uint64_t last = 0;
  fault_context("seed %llu, %s, reader", (unsigned long long)storm_now.seed, storm_now.locker);
  hooks.fast_fsync = storm_now.is_fast;
  fault_table_install(&hooks);
  reader_random.state = storm_now.seed * 7919 + number;
  while (atomic_load(&storm_all->done) == 0) {
    hf_store *store = fault_open(path);
    for (int i = 0; i < LOOKS_A_HANDLE && atomic_load(&storm_all->done) == 0; i++) {
      uint64_t head = 0;
      uint64_t answered = atomic_load(&storm_all->head_answered);
      fault_must(hf_head(store, &head, &error), &error, "hf_head");
      FAULT_CHECK(head >= last, "the head went back from %llu to %llu", (unsigned long long)last,
                  (unsigned long long)head);
      FAULT_CHECK(head >= answered, "seq %llu was acknowledged, and the head is %llu",
                  (unsigned long long)answered, (unsigned long long)head);
      last = head;
      if (head > 0) {
        look_at_one(store, 1 + fault_below(&reader_random, head));
        look_at_one(store, head);
        look_at_last(store, head);
      }
      atomic_fetch_add(&storm_all->reads, 3);
      fault_sleep_us((int64_t)fault_below(&reader_random, 4000));
    }
    hf_close(&store);
  }
  _exit(0);
}

void storm_flip(const char *path) {
  static fault_hooks hooks;
  hf_error error = HF_ERROR_INIT;
  hf_set_locker_options options = {.timeout_ms = 120000};
  hf_info info;
  fault_context("seed %llu, %s, flipper", (unsigned long long)storm_now.seed, storm_now.locker);
  hooks.fast_fsync = storm_now.is_fast;
  fault_table_install(&hooks);
  reader_random.state = storm_now.seed * 15485863;
  hf_store *store = fault_open(path);
  fault_must(hf_store_info(store, &info, &error), &error, "hf_store_info");
  options.force = !info.fs.local; /* HF_TEST_SHARED: flock is set there on purpose */
  for (unsigned i = 0; atomic_load(&storm_all->done) == 0; i++) {
    static const struct {
      const char *scheme;
      const char *mode;
    } next[] = {{"none", NULL}, {"flock", "journal"}, {"flock", "publish"}};
    uint64_t seq = 0;
    int shared = !info.fs.local; /* it has no journal mode */
    unsigned which = shared ? i % 2 : i % 3;
    options.mode = shared ? NULL : next[which].mode;
    int changed = hf_set_locker(store, next[which].scheme, &options, &seq, &error);
    FAULT_CHECK(changed == 1, "hf_set_locker answered %d: %s", changed, error.message);
    atomic_fetch_add(&storm_all->flips, 1);
    fault_sleep_us((int64_t)fault_below(&reader_random, 20000));
  }
  hf_close(&store);
  _exit(0);
}

void storm_pack(const char *path, uint64_t number) {
  static fault_hooks hooks;
  hf_error error = HF_ERROR_INIT;
  fault_context("seed %llu, %s, packer", (unsigned long long)storm_now.seed, storm_now.locker);
  hooks.fast_fsync = storm_now.is_fast;
  fault_table_install(&hooks);
  reader_random.state = storm_now.seed * 104729 + number;
  hf_store *store = fault_open(path);
  while (atomic_load(&storm_all->done) == 0) {
    uint64_t packed = 0;
    fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
    atomic_fetch_add(&storm_all->packs, packed);
    fault_sleep_us((int64_t)fault_below(&reader_random, 30000));
  }
  hf_close(&store);
  _exit(0);
}
