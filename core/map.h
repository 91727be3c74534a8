/* A table from a 64-bit hash to a seq, several to a hash. Only a hint: a hit is checked against the
 * row or the record. */
#ifndef HF_CORE_MAP_H
#define HF_CORE_MAP_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. seq 0 marks a free slot. */
typedef struct hf_map {
  struct hf_map_slot {
    uint64_t hash;
    uint64_t seq;
  } * slots;
  size_t allocated; /* a power of two */
  size_t used;
} hf_map;

void hf_map_free(hf_map *map);

/* Makes room for `more` entries, so that the next calls of hf_map_add or hf_map_set cannot fail. 0
 * or HF_ENOMEM. */
int hf_map_reserve(hf_map *map, size_t more);

/* Adds an entry, beside others of the same hash. Room was reserved. */
void hf_map_add(hf_map *map, uint64_t hash, uint64_t seq);

/* Sets the one entry of a hash; answers the seq that it had, or 0. Room was reserved. */
uint64_t hf_map_set(hf_map *map, uint64_t hash, uint64_t seq);

/* Walks the entries of a hash: *position starts at 0. The seq, or 0 at the end. */
uint64_t hf_map_find(const hf_map *map, uint64_t hash, size_t *position);

#endif
