#include "lib_journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tile.h"

enum {
  BEFORE = 5,           /* records */
  SMALL_TILES_MAX = 12, /* that are not packed */
};

char journal_path[FAULT_PATH_BYTES];

static uint64_t last_seq;  /* of this store that was acknowledged */
static uint64_t packed_at; /* the same, when it was packed last */

/* Tests come between the calls of handles that read all of the log: where tiles are small there
 * would be a part more to read each time, and no end. */
static void pack_many(uint64_t head) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  if (HF_TILE_RECORDS >= 256 || head < packed_at + (uint64_t)SMALL_TILES_MAX * HF_TILE_RECORDS)
    return;
  hf_store *store = fault_open(journal_path);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  hf_close(&store);
  packed_at = head;
}

void journal_boot_again(void) {
  pack_many(last_seq);
  static unsigned boots;
  char boot[32];
  (void)snprintf(boot, sizeof boot, "boot %u", ++boots);
  (void)setenv("HF_TEST_BOOT", boot, 1);
}

void journal_request(hf_save_request *request, char doc[JOURNAL_TEXT_BYTES],
                     char run[JOURNAL_TEXT_BYTES]) {
  static uint64_t number; /* of the last one */
  uint64_t i = ++number;
  (void)snprintf(doc, JOURNAL_TEXT_BYTES, "{\"n\":%llu}", (unsigned long long)i);
  (void)snprintf(run, JOURNAL_TEXT_BYTES, "r%llu", (unsigned long long)i);
  *request = (hf_save_request){
      .key = {.run_id = run, .stage = "journal"}, .doc = doc, .doc_bytes = strlen(doc)};
}

int journal_save_within(hf_store *store, int64_t timeout_ms, hf_saved *ret_saved,
                        hf_error *reterr) {
  char doc[JOURNAL_TEXT_BYTES];
  char run[JOURNAL_TEXT_BYTES];
  hf_save_request request;
  journal_request(&request, doc, run);
  int status = hf_save(store, &request, timeout_ms, ret_saved, reterr);
  if (status == HF_OK)
    last_seq = ret_saved->seq;
  return status;
}

uint64_t journal_save(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(journal_save_within(store, -1, &saved, &error), &error, "hf_save");
  pack_many(saved.seq);
  return saved.seq;
}

void journal_make_store(void) {
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  last_seq = packed_at = 0;
  fault_init(journal_path, "flock");
  fault_set_journal(journal_path);
  journal_boot_again();
  hf_store *store = fault_open(journal_path);
  for (int i = 0; i < BEFORE; i++)
    (void)journal_save(store);
  hf_close(&store);
}
