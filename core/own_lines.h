/* The lines that this handle has committed itself and that are in no tile yet, kept in memory for
 * its packer: over a network each loose file that it would read costs four requests.
 *
 * Shared filesystems only, and only what a save committed alone or with a few others: files of many
 * lines cost little each. Kept are whole files of log/, behind step 5 and step 6: the name was this
 * handle's, is durable and marked, and no tile covered it. From then on the record of that seq
 * never changes (I2), so these bytes are what any packer puts into the tile. What is not asked any
 * more is whether the loose file still holds them: one that was damaged on the disk since goes
 * unnoticed, and the tile gets what was acknowledged (docs/PROTOCOL.md, tiles).
 *
 * At most HF_OWN_BYTES_MAX; what finds no room, or no memory, is read from its file as ever. Goes
 * with the process. All but hf_own_free may be called by any thread. */
#ifndef HF_CORE_OWN_LINES_H
#define HF_CORE_OWN_LINES_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

enum {
  HF_OWN_BYTES_MAX = 4 * 1024 * 1024, /* of records of 2 KB: eight tiles */
  HF_OWN_LINES_MAX = 16,              /* of a file */
};

typedef struct hf_own_file hf_own_file;

typedef struct hf_own_lines {
  pthread_mutex_t mutex; /* never held with another; for all that follows */
  hf_own_file *first;    /* in the order of their seqs */
  hf_own_file *last;
  size_t bytes;
} hf_own_lines;

void hf_own_begin(hf_own_lines *own);
/* With the handle; has_mutex 0: in a forked child, which cannot have it. */
void hf_own_free(hf_own_lines *own, int has_mutex);

/* This handle has committed a file of `lines` lines at the seq `first`. `tiles` are full by now:
 * what they cover is forgotten. */
void hf_own_keep(hf_own_lines *own, uint64_t first, size_t lines, const char *text, size_t bytes,
                 uint64_t tiles);

/* Appends the file that begins at `first`. 1; 0: it is not kept; HF_ENOMEM. */
int hf_own_add(hf_own_lines *own, uint64_t first, hf_buf *out);

/* How many records of a tile are kept. */
size_t hf_own_count(hf_own_lines *own, uint64_t tile);

#endif
