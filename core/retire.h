/* Retired snapshots: hidden, and shown again, by records in the log (op "retire"). Nothing of the
 * snapshot itself changes, so a crash leaves nothing. */
#ifndef HF_CORE_RETIRE_H
#define HF_CORE_RETIRE_H

#include "store.h"

enum { HF_VIEW_HELD = 1 }; /* `locked`: view_mutex is held; 0: it is not */

/* Was the snapshot retired as of seq `at`? The last record about it decides: 1, and *ret_by is its
 * seq; 0, and *ret_by is that of the one that took it back, or 0. Negative: cannot be told. A store
 * in which nothing was ever retired is asked nothing. */
int hf_retired(hf_store *store, uint64_t seq, uint64_t at, int locked, uint64_t *ret_by,
               hf_error *reterr);

/* The last record below `below` that names `number` (hf_named_hash), read: 1, with its seq, text
 * and parts; 0; negative. */
int hf_named_before(hf_store *store, hf_op op, uint64_t number, uint64_t below, int locked,
                    uint64_t *ret_seq, hf_buf *text, hf_line *ret_line, hf_error *reterr);

#endif
