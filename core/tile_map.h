/* Local filesystems: tiles of which single records were asked for stay mapped until hf_close, so
 * that the next record of one costs neither open nor close.
 *
 * A map is of the file that had the tile's name once. A tile never changes, so it is as good as a
 * read by name; but who makes one anew gives the name another file (a repair; a collection of what
 * nobody wants any more), and the map keeps the old one. What is read from it is checked like all
 * that is read (its CRC, its id: hf_log_load): it is that record, as it was before at worst. What
 * does not check is read by its name again, and the map is given up (hf_tile_unmap).
 *
 * A page that cannot be read would end the process where the map is touched. So the pages are asked
 * for before (MADV_POPULATE_READ, Linux 5.14): the error comes as an error, the map is given up,
 * and the read by name tells what is wrong. Where a kernel has no such question nothing is mapped.
 *
 * Only pages of the page cache are held, which the kernel may take back. Thread-safe; map_mutex is
 * never held while something is read, and no other mutex is taken under it. */
#ifndef HF_CORE_TILE_MAP_H
#define HF_CORE_TILE_MAP_H

#include "store.h"

enum { HF_TILE_MAPS = 4096 }; /* at once: a million records; of tiles that share a place the last */

/* Maps the tile if it is not, it counts, and it can be. For who asks for one record: a walk would
 * map all that it passes. */
void hf_tile_map(hf_store *store, uint64_t tile);

/* Appends a piece of the tile. 1; 0: it is not mapped, or the piece cannot be read from there;
 * HF_ENOMEM. */
int hf_tile_map_read(hf_store *store, uint64_t tile, uint32_t offset, uint32_t bytes, hf_buf *out,
                     hf_error *reterr);

/* Gives the map up; whoever reads from it at the moment goes on. */
void hf_tile_unmap(hf_store *store, uint64_t tile);

/* All of them, for who has made tiles anew, or learns that another has. */
void hf_tile_unmap_all(hf_store *store);

/* At the handle's end. */
void hf_tile_maps_free(hf_store *store);

#endif
