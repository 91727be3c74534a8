#include "lib_journal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BEFORE = 5 }; /* records */

char journal_path[FAULT_PATH_BYTES];

void journal_boot_again(void) {
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
  return hf_save(store, &request, timeout_ms, ret_saved, reterr);
}

uint64_t journal_save(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  fault_must(journal_save_within(store, -1, &saved, &error), &error, "hf_save");
  return saved.seq;
}

void journal_make_store(void) {
  fault_path(journal_path, fault_folder_in_memory(), "store");
  fault_remove_tree(journal_path);
  fault_init(journal_path, "flock");
  fault_set_journal(journal_path);
  journal_boot_again();
  hf_store *store = fault_open(journal_path);
  for (int i = 0; i < BEFORE; i++)
    (void)journal_save(store);
  hf_close(&store);
}
