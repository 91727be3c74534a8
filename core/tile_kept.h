/* A tile that is being written anew on a shared filesystem keeps its old form under a name in
 * stage/, <id>.<tile>.tile, until the new one has its name.
 *
 * For there a rename over a tile is not one step: Linux's NFS client renames a target that a
 * process of its host has open away first (to .nfs...), so that for a moment nothing has the name;
 * and where that host loses power then, nothing gets it back (seen: the moment, on 6.1.176 with
 * NFSv3 and NFSv4.1). Which form stands there decides nothing: the log says what is dropped.
 *
 * Who finds a tile absent that counts reads the kept form, and puts it back by a link, which never
 * replaces; so does the sweep of stage/ after an hour. A crash leaves a kept name whose tile is
 * there: the sweep removes it. */
#ifndef HF_CORE_TILE_KEPT_H
#define HF_CORE_TILE_KEPT_H

#include "id.h"
#include "store.h"

enum { HF_TILE_KEPT_BYTES = HF_ID_CHARS + 32 };

/* Is it such a name, and of which tile? */
int hf_tile_kept_is(const char *name, uint64_t *ret_tile);

/* Gives the tile a second name. HF_OK or HF_EIO. */
int hf_tile_keep(hf_store *store, uint64_t tile, char kept[HF_TILE_KEPT_BYTES], hf_error *reterr);

/* Links it to the tile's name, unless one stands there, and then takes the kept name away. 0; -1:
 * it cannot be linked (errno), and stays. */
int hf_tile_put_back(int stage_fd, int tile_fd, const char *kept);

/* Reads the form of a tile that is kept, whose name is told. 1; 0: there is none; negative. */
int hf_tile_kept_read(int stage_fd, uint64_t tile, hf_buf *out, char kept[HF_TILE_KEPT_BYTES],
                      hf_error *reterr);

#endif
