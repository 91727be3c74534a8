/* One turn: publish mode's steps 2 to 7 for one staged file, or journal mode's append and flush for
 * as many records. */
#ifndef HF_CORE_TURN_H
#define HF_CORE_TURN_H

#include "stage.h"
#include "store.h"

/* Stages the file's attempts, waits for the lock, commits, releases. Decides some or all of them
 * (at least one); those that are left undecided (the file was split at a tile's edge, the grant was
 * lost) want another turn. Ends attempts whose fate cannot be told otherwise, by a record. */
void hf_turn(hf_store *store, hf_staged *staged);

#endif
