/* A simulated disk behind the syscall table: what a power loss may leave.
 *
 * The real calls go to a real folder; every change is written down. A replay goes through the
 * changes one by one, and at each of them an adversary chooses what the disk has kept:
 *  - of a file: its content at the last fsync for certain; of what was written since then anything:
 *    nothing, all, a beginning (of the file, or of what was written), zeroes or garbage in its
 *    place;
 *  - of a folder: its names at the last fsync of that folder for certain; of the changes since then
 *    none, all, the first few, or any of them, each folder for itself.
 * fsync of a file says nothing about its names. What an fsync covers was done before it was called.
 */
#ifndef FAULT_LIB_DISK_H
#define FAULT_LIB_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "lib.h"

typedef enum disk_adversary {
  DISK_MINIMAL,       /* what was fsynced, nothing else */
  DISK_NAMES_NO_DATA, /* every name, but only the data that was fsynced */
  DISK_ALL,           /* everything, as after a SIGKILL */
  DISK_LAST_NAME,     /* of each folder's changes the youngest, and none before it */
  DISK_RANDOM,
} disk_adversary;

/* ---- recording ---- */

/* From here on changes below `root` are written down; what it holds already is durable.
 * `after_publish`, if not NULL, is called right after a record got its name in log/, or was
 * appended to the current tile, before the caller knows. */
void disk_record_begin(const char *root, void (*after_publish)(void *context), void *context);
/* Called with the same context before each fdatasync. */
void disk_record_before_flush(void (*before_flush)(void *context));
/* The nth fsync or fdatasync from now on fails with EIO, of those of a path that ends so (NULL: of
 * any). What it should have written of a file is written by no later one, but where it is written
 * anew; each other descriptor of the file that is open now answers EIO once (as Linux does).
 * nth 0: none. */
void disk_record_fail_flush(unsigned nth, const char *end);
/* How many have failed since the recording began. */
unsigned disk_record_failed_flushes(void);
void disk_record_end(void);

/* How many changes there were so far. A cut at position p has the changes 0 .. p - 1. */
size_t disk_position(void);

/* ---- replaying ---- */

typedef struct disk_replay disk_replay;

disk_replay *disk_replay_begin(void);
/* Applies the next change. 1: applied, 0: there is none left. *ret_is_cut (may be NULL): 0 where
 * nothing changed on the disk. */
int disk_replay_step(disk_replay *replay, int *ret_is_cut);
const char *disk_replay_last(const disk_replay *replay); /* the last change, for people */
void disk_replay_end(disk_replay **replay);

/* Makes the folder `path` with what the adversary leaves. *ret_digest: the same for the same
 * outcome. path NULL: only that. random is used for DISK_RANDOM; the same state gives the same
 * outcome. */
void disk_materialise(const disk_replay *replay, disk_adversary adversary, fault_random random,
                      const char *path, uint64_t *ret_digest);

#endif
