/* A store in journal mode, and small saves into it. */
#ifndef FAULT_LIB_JOURNAL_H
#define FAULT_LIB_JOURNAL_H

#include "lib.h"

extern char journal_path[FAULT_PATH_BYTES]; /* of the store */

/* A new store in journal mode with a few records, in a boot of its own. */
void journal_make_store(void);
/* As if the system had been booted anew. */
void journal_boot_again(void);

enum { JOURNAL_TEXT_BYTES = 32 };
/* The next save's request, another one each time; it points into doc and run. */
void journal_request(hf_save_request *request, char doc[JOURNAL_TEXT_BYTES],
                     char run[JOURNAL_TEXT_BYTES]);
/* Saves it. */
int journal_save_within(hf_store *store, int64_t timeout_ms, hf_saved *ret_saved, hf_error *reterr);
/* The same, which must not fail: its seq. */
uint64_t journal_save(hf_store *store);

#endif
