#include "tile_kept.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "plant.h"
#include "sys.h"
#include "tile.h"

#include "banned.h"

static const char ending[] = ".tile";

int hf_tile_kept_is(const char *name, uint64_t *ret_tile) {
  hf_id id;
  char expected[HF_TILE_KEPT_BYTES];
  size_t bytes = strlen(name);
  if (bytes <= HF_ID_CHARS + 1 || bytes >= HF_TILE_KEPT_BYTES ||
      hf_id_parse(name, HF_ID_CHARS, &id) != 0)
    return 0;
  uint64_t tile = strtoull(name + HF_ID_CHARS + 1, NULL, 10);
  (void)snprintf(expected, sizeof expected, "%.*s.%" PRIu64 "%s", HF_ID_CHARS, name, tile, ending);
  if (strcmp(name, expected) != 0)
    return 0;
  *ret_tile = tile;
  return 1;
}

int hf_tile_keep(hf_store *store, uint64_t tile, char kept[HF_TILE_KEPT_BYTES], hf_error *reterr) {
  char name[HF_TILE_NAME_BYTES];
  char text[HF_ID_CHARS + 1];
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  hf_id_format(&id, text);
  hf_tile_name(tile, name);
  (void)snprintf(kept, HF_TILE_KEPT_BYTES, "%s.%" PRIu64 "%s", text, tile, ending);
  if (HF_PLANTED(GC_TILE_NOT_KEPT))
    return HF_OK;
  /* the name is random: where it exists this very link was done before, and the answer was lost */
  if (hf_sys_link(store->tile_fd, name, store->stage_fd, kept) != 0 && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot keep the tile while it is written anew");
  return HF_OK;
}

int hf_tile_put_back(int stage_fd, int tile_fd, const char *kept) {
  char name[HF_TILE_NAME_BYTES];
  uint64_t tile = 0;
  if (!hf_tile_kept_is(kept, &tile)) {
    errno = EINVAL;
    return -1;
  }
  hf_tile_name(tile, name);
  if (hf_sys_link(stage_fd, kept, tile_fd, name) != 0 && errno != EEXIST)
    return errno == ENOENT ? 0 : -1; /* another was faster */
  (void)hf_sys_unlink(stage_fd, kept, 0);
  return 0;
}

typedef struct search {
  uint64_t tile;
  char *kept;
} search;

static int look(void *context, const char *name, hf_error *reterr) {
  search *for_tile = context;
  uint64_t tile = 0;
  (void)reterr;
  if (!hf_tile_kept_is(name, &tile) || tile != for_tile->tile)
    return 0;
  (void)snprintf(for_tile->kept, HF_TILE_KEPT_BYTES, "%s", name);
  return 1;
}

int hf_tile_kept_read(int stage_fd, uint64_t tile, hf_buf *out, char kept[HF_TILE_KEPT_BYTES],
                      hf_error *reterr) {
  search for_tile = {tile, kept};
  int got = hf_dir_each(stage_fd, "stage", look, &for_tile, reterr);
  if (got == 1)
    got = hf_file_read(stage_fd, kept, HF_LOG_FILE_BYTES_MAX, out, reterr);
  return got;
}
