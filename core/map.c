#include "map.h"

#include <stdlib.h>

#include <holdfast/error.h>

#include "banned.h"

enum { MAP_SLOTS_FIRST = 1024 };

void hf_map_free(hf_map *map) {
  free(map->slots);
  map->slots = NULL;
  map->allocated = 0;
  map->used = 0;
}

static void put(struct hf_map_slot *slots, size_t allocated, uint64_t hash, uint64_t seq) {
  size_t i = (size_t)hash & (allocated - 1);
  while (slots[i].seq != 0)
    i = (i + 1) & (allocated - 1);
  slots[i].hash = hash;
  slots[i].seq = seq;
}

/* At most half full, so that walks stay short. */
int hf_map_reserve(hf_map *map, size_t more) {
  size_t allocated = map->allocated == 0 ? MAP_SLOTS_FIRST : map->allocated;
  while ((map->used + more) * 2 > allocated)
    allocated *= 2;
  if (allocated == map->allocated)
    return HF_OK;
  struct hf_map_slot *slots = calloc(allocated, sizeof *slots);
  if (slots == NULL)
    return HF_ENOMEM;
  for (size_t i = 0; i < map->allocated; i++)
    if (map->slots[i].seq != 0)
      put(slots, allocated, map->slots[i].hash, map->slots[i].seq);
  free(map->slots);
  map->slots = slots;
  map->allocated = allocated;
  return HF_OK;
}

void hf_map_add(hf_map *map, uint64_t hash, uint64_t seq) {
  put(map->slots, map->allocated, hash, seq);
  map->used++;
}

uint64_t hf_map_set(hf_map *map, uint64_t hash, uint64_t seq) {
  size_t i = (size_t)hash & (map->allocated - 1);
  for (; map->slots[i].seq != 0; i = (i + 1) & (map->allocated - 1))
    if (map->slots[i].hash == hash) {
      uint64_t before = map->slots[i].seq;
      map->slots[i].seq = seq;
      return before;
    }
  map->slots[i].hash = hash;
  map->slots[i].seq = seq;
  map->used++;
  return 0;
}

uint64_t hf_map_find(const hf_map *map, uint64_t hash, size_t *position) {
  if (map->allocated == 0)
    return 0;
  size_t mask = map->allocated - 1;
  for (size_t walked = *position; walked <= mask; walked++) {
    const struct hf_map_slot *slot = &map->slots[((size_t)hash + walked) & mask];
    if (slot->seq == 0)
      return 0;
    if (slot->hash == hash) {
      *position = walked + 1;
      return slot->seq;
    }
  }
  return 0;
}
