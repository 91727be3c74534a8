#include "tile_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "err.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

/* Of all maps together; addresses, and page tables where they are touched. */
static const uint64_t mapped_bytes_max = UINT64_C(4) << 30;

typedef struct tile_map {
  uint64_t tile_and_one; /* 0: none yet */
  const char *at;        /* NULL: it is not to be mapped */
  size_t bytes;
  unsigned users;
  int given_up; /* nobody begins to read from it, the last user unmaps it */
} tile_map;

struct hf_tile_maps {
  tile_map place[HF_TILE_MAPS];
  uint64_t bytes; /* of all */
  int refused;    /* by the kernel: nothing is mapped any more */
};

/* map_mutex is held; nobody uses it. */
static void release(struct hf_tile_maps *maps, tile_map *map) {
  if (map->at != NULL) {
    (void)munmap((void *)(uintptr_t)map->at, map->bytes);
    maps->bytes -= map->bytes;
  }
  memset(map, 0, sizeof *map);
}

/* map_mutex is held. */
static void give_up(struct hf_tile_maps *maps, tile_map *map) {
  if (map->users == 0)
    release(maps, map);
  else
    map->given_up = 1;
}

/* map_mutex is held. NULL: no memory, or none here. */
static struct hf_tile_maps *maps_of(hf_store *store) {
  if (store->tile_maps == NULL)
    store->tile_maps = calloc(1, sizeof *store->tile_maps);
  return store->tile_maps;
}

/* A memory of its own for what is mapped (zfs) is no gain; nor is there room in 32 bits. */
static int is_of_use(const hf_store *store, uint64_t tile) {
  return !store->shared && sizeof(void *) >= sizeof(uint64_t) &&
         tile < atomic_load(&store->tiles_seen) && strcmp(store->fs.acting_type, "zfs") != 0;
}

/* The file that has the name now. NULL at: it cannot be mapped. */
static tile_map map_file(hf_store *store, uint64_t tile) {
  tile_map map = {.tile_and_one = tile + 1};
  hf_sys_file file;
  hf_autofd int fd = hf_tile_open(store, tile);
  if (fd < 0 || hf_sys_identify(fd, "", &file) != 0 || !S_ISREG(file.mode) || file.bytes == 0 ||
      file.bytes > HF_LOG_FILE_BYTES_MAX)
    return map;
  void *at = mmap(NULL, (size_t)file.bytes, PROT_READ, MAP_SHARED, fd, 0);
  if (at == MAP_FAILED)
    return map;
  map.at = at;
  map.bytes = (size_t)file.bytes;
  return map;
}

void hf_tile_map(hf_store *store, uint64_t tile) {
  if (!is_of_use(store, tile))
    return;
  (void)pthread_mutex_lock(&store->map_mutex);
  struct hf_tile_maps *maps = maps_of(store);
  tile_map *place = maps != NULL ? &maps->place[tile % HF_TILE_MAPS] : NULL;
  int is_settled = place == NULL || maps->refused || place->tile_and_one == tile + 1;
  (void)pthread_mutex_unlock(&store->map_mutex);
  if (is_settled)
    return;
  tile_map map = map_file(store, tile);
  (void)pthread_mutex_lock(&store->map_mutex);
  /* another thread may have been first, or may be reading what is there */
  if (place->users == 0 && place->tile_and_one != tile + 1 &&
      maps->bytes - place->bytes + map.bytes <= mapped_bytes_max) {
    release(maps, place);
    *place = map;
    maps->bytes += map.bytes;
  } else if (map.at != NULL)
    (void)munmap((void *)(uintptr_t)map.at, map.bytes);
  (void)pthread_mutex_unlock(&store->map_mutex);
}

/* The caller is a user of it. */
static int copy(const tile_map *map, uint32_t offset, uint32_t bytes, hf_buf *out,
                hf_error *reterr) {
  size_t before = offset % (size_t)sysconf(_SC_PAGESIZE);
  if (hf_buf_reserve(out, bytes) != 0)
    return hf_err_nomem(reterr);
  if (!HF_PLANTED(TILE_MAP_UNASKED) &&
      hf_sys_populate(map->at + offset - before, before + bytes) != 0)
    return 0;
  memcpy(out->data + out->used, map->at + offset, bytes);
  out->used += bytes;
  out->data[out->used] = '\0';
  return 1;
}

int hf_tile_map_read(hf_store *store, uint64_t tile, uint32_t offset, uint32_t bytes, hf_buf *out,
                     hf_error *reterr) {
  tile_map *map = NULL;
  (void)pthread_mutex_lock(&store->map_mutex);
  struct hf_tile_maps *maps = store->tile_maps;
  if (maps != NULL) {
    map = &maps->place[tile % HF_TILE_MAPS];
    if (map->tile_and_one == tile + 1 && map->at != NULL && !map->given_up &&
        (uint64_t)offset + bytes <= map->bytes)
      map->users++;
    else
      map = NULL;
  }
  (void)pthread_mutex_unlock(&store->map_mutex);
  if (map == NULL)
    return 0;
  int got = copy(map, offset, bytes, out, reterr);
  int is_refused = got == 0 && errno == EINVAL;
  (void)pthread_mutex_lock(&store->map_mutex);
  maps->refused |= is_refused;
  map->given_up |= got == 0;
  if (--map->users == 0 && map->given_up)
    release(maps, map);
  (void)pthread_mutex_unlock(&store->map_mutex);
  return got;
}

void hf_tile_unmap(hf_store *store, uint64_t tile) {
  (void)pthread_mutex_lock(&store->map_mutex);
  struct hf_tile_maps *maps = store->tile_maps;
  if (maps != NULL && maps->place[tile % HF_TILE_MAPS].tile_and_one == tile + 1)
    give_up(maps, &maps->place[tile % HF_TILE_MAPS]);
  (void)pthread_mutex_unlock(&store->map_mutex);
}

void hf_tile_unmap_all(hf_store *store) {
  (void)pthread_mutex_lock(&store->map_mutex);
  for (size_t i = 0; store->tile_maps != NULL && i < HF_TILE_MAPS; i++)
    give_up(store->tile_maps, &store->tile_maps->place[i]);
  (void)pthread_mutex_unlock(&store->map_mutex);
}

void hf_tile_maps_free(hf_store *store) {
  for (size_t i = 0; store->tile_maps != NULL && i < HF_TILE_MAPS; i++)
    release(store->tile_maps, &store->tile_maps->place[i]);
  free(store->tile_maps);
  store->tile_maps = NULL;
}
