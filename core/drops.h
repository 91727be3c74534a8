/* Which documents of a tile are dropped: part of a handle (store.h). */
#ifndef HF_CORE_DROPS_H
#define HF_CORE_DROPS_H

#include <stdint.h>

#include <holdfast/holdfast.h>

typedef struct hf_drops {
  uint64_t tile;
  uint64_t head;                /* the log was read so far; 0: nothing stands here */
  uint64_t by[HF_TILE_RECORDS]; /* the first record that drops the line's document; 0: none does */
} hf_drops;

#endif
