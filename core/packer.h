/* Packing by itself: a thread of a handle that saves, made when a full tile stands unpacked.
 *
 * Who packs: the handle whose record completed the tile; any other only where two full tiles or
 * more stand unpacked, for then that one has died, or cannot. So that not everyone does then, one a
 * host at a time: a lock that is only politeness, and passed over where its holder does not get on.
 * Safety rests on none of this (core/tile_pack.c).
 *
 * While it is near, it gives way to those who save: where files are freed slowly (ext4 mounted with
 * discard: 1 ms each, seen on Linux 6.18) they wait for it. Between two tiles it rests
 * HF_PACKER_REST_TIMES as long as the last one took. Then it waits for a lull, in which its own
 * handle saves nothing, and has not for HF_PACKER_LULL_MS, at most HF_PACKER_PATIENCE_TIMES as long
 * as the last tile took (or HF_PACKER_PATIENCE_MS, before it knows; over a network a tile takes
 * longer, and loose records cost readers less, for log/rows tells of them).
 *
 * It is near while fewer than HF_PACKER_BEHIND_TILES stand unpacked. From then on it does neither:
 * who opens the store reads them all, in publish mode a file each (2 ms a tile). It packs
 * HF_TILE_GROUP together, which share their flushes, and rests and waits again when it is near. So
 * with one who saves as fast as it goes it stays about so far behind, and keeps up. That costs who
 * saves next to nothing but where it has to free a name for each record, and the filesystem makes
 * those pay that make files next (ext4 without a journal passes over inodes that were freed within
 * 35 s one by one: up to 0.7 ms a file).
 *
 * A tile of this handle's own records (HF_PACKER_OWN_RECORDS of them), whose lines are in memory
 * (own_lines.h), costs requests to free its names and few others, and is packed soon, as long as
 * they are: it waits for a lull no longer than HF_PACKER_PATIENCE_MS, and the rest behind it is
 * shorter, 1 / HF_PACKER_OWN_REST_PART. Others' tiles on a shared filesystem cost four requests a
 * record and more: there it is near up to HF_PACKER_BEHIND_SHARED_TILES.
 *
 * Where its handle saves batches it is near up to HF_PACKER_IMPORT_TILES, and makes indexes for
 * sixteen tiles at once: who imports a million must not keep a row of each in memory. Where
 * HF_PACKER_FULL_TILES stand unpacked all the same, the one who saves batches waits for it, at most
 * HF_PACKER_WAIT_MS a batch and only while it is at work.
 *
 * It changes no answer. Its first error is a warning in the caller's log, told by a thread of the
 * caller's; after errors it waits, longer each time. hf_close gives it as many more
 * tiles as the handle has completed, and one: HF_PACKER_CLOSE_TILES of them in any case, the others
 * within HF_PACKER_CLOSE_MS. So handles that follow each other leave no more and more behind. Who
 * has completed none waits for one tile that others should have packed, or for the one that it is
 * at. Killed at any instant it leaves what tile_pack.c says. A forked child has no such thread:
 * only the process that opened the handle ends it. */
#ifndef HF_CORE_PACKER_H
#define HF_CORE_PACKER_H

#include "store.h"

enum {
  HF_PACKER_CLOSE_TILES = 2, /* also: together, at the end */
  HF_PACKER_CLOSE_MS = 200,
  HF_PACKER_REST_TIMES = 9,
  HF_PACKER_REST_MS_MAX = 4000,
  HF_PACKER_OWN_RECORDS = HF_TILE_RECORDS - HF_TILE_RECORDS / 4,
  HF_PACKER_OWN_REST_PART = 4,
  HF_PACKER_LULL_MS = 50,
  HF_PACKER_PATIENCE_TIMES = 40,
  HF_PACKER_PATIENCE_MS = HF_TILE_RECORDS == 256 ? 1000 : 0, /* tests pack all the time */
  HF_PACKER_PATIENCE_SHARED_MS = 20 * HF_PACKER_PATIENCE_MS,
  HF_PACKER_BEHIND_TILES = 6, /* of records of 2 KB own_lines.h holds eight */
  HF_PACKER_BEHIND_SHARED_TILES = 64,
  HF_PACKER_IMPORT_TILES = 8,
  HF_PACKER_FULL_TILES = 64, /* some 5 MB of rows in memory */
  HF_PACKER_WAIT_MS = 1000,
  HF_PACKER_STUCK_MS = 8000, /* tile/mark has not moved for so long: the lock's holder is stopped */
  HF_PACKER_NEAR_TILES = 16, /* where more are loose, log/ is not listed for leftovers */
  HF_PACKER_RETRY_MS_MAX = 600000,
};

/* This handle has committed up to `last`; called by threads that save. No mutex is held. */
void hf_packer_committed(hf_store *store, uint64_t last);

/* Behind a batch, once its answers are there: waits where too many tiles stand unpacked. Neither a
 * mutex nor the store's lock is held. */
void hf_packer_keep_up(hf_store *store);

/* Ends the thread, and tells what is untold. The first thing that hf_close does. */
void hf_packer_close(hf_store *store);

#endif
