/* Publishing: giving a staged file its final name, only if that name is free (ARCHITECTURE, commit,
 * step 4). */
#ifndef HF_CORE_PUBLISH_H
#define HF_CORE_PUBLISH_H

#include "stage.h"
#include "store.h"

typedef enum hf_published {
  HF_PUBLISHED_MINE,    /* log/<seq> is the staged file */
  HF_PUBLISHED_OTHERS,  /* log/<seq> is somebody else's: not committed there */
  HF_PUBLISHED_GONE,    /* the staged name was taken away: somebody ended the attempt */
  HF_PUBLISHED_FAILED,  /* certainly not linked */
  HF_PUBLISHED_UNKNOWN, /* cannot be told */
} hf_published;

/* Links stage/<name> to log/<seq>. reterr is written for FAILED and UNKNOWN. */
hf_published hf_publish(hf_store *store, hf_staged *staged, uint64_t seq, hf_error *reterr);

/* Steps 5 and 6 for log/<seq> that was just linked: durable, not shadowed by a tile, marked. 1:
 * committed. 0: a tile covers the seq with another record; the name was taken back: go on from step
 * 3.
 * HF_EUNSURE: linked, but not confirmed. view_mutex is not held. */
int hf_publish_confirm(hf_store *store, const hf_staged *staged, uint64_t seq, hf_error *reterr);

#endif
