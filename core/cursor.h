/* Walks over records, for the library's own use. */
#ifndef HF_CORE_CURSOR_H
#define HF_CORE_CURSOR_H

#include "store.h"

/* hf_list as of `head`, which a refresh gave and is in the view (0: refresh now). */
int hf_cursor_begin(hf_store *store, const hf_list_options *options, uint64_t head,
                    hf_cursor **ret_cursor, hf_error *reterr);

/* The seq that the last hf_cursor_next answered of, whatever it answered (at the end: the last
 * record that was looked at). */
uint64_t hf_cursor_at(const hf_cursor *cursor);

#endif
