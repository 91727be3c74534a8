/* Journal mode: how records are committed on a local filesystem under flock (docs/PROTOCOL.md,
 * journal mode). A turn appends lines to the part of the current tile under its lock; their
 * durability is awaited outside of it, and one flush serves all who wait. */
#ifndef HF_CORE_JOURNAL_H
#define HF_CORE_JOURNAL_H

#include "stage.h"
#include "store.h"

/* Under the store's lock. Decides what the log answers, or what cannot be saved; appends the
 * others, as far as they fit into the tile. 1: staged holds those that were appended, from
 * *ret_first on; 0: none was. */
int hf_journal_append(hf_store *store, hf_staged *staged, int64_t deadline_ms, uint64_t *ret_first);

/* After the lock was given back: waits until they are durable, and decides them. */
void hf_journal_finish(hf_store *store, hf_staged *staged, uint64_t first);

/* Is the store in journal mode, and does a flush take so long that it pays to put it off for
 * others? *ret_pause_us: a few of these. */
int hf_journal_gathers(hf_store *store, int64_t *ret_pause_us);

/* In journal mode: so many records behind the head reach so many tiles behind the current one, and
 * *ret_first is the first of them. Neither mutex is held. */
size_t hf_journal_tiles_behind(hf_store *store, size_t count, uint64_t *ret_first);

/* Makes what the view has read of the open part durable, and marks it. view_mutex is held. */
int hf_journal_settle(hf_store *store, hf_error *reterr);

#endif
