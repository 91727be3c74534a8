/* Parts: the tile that journal mode appends to, tile/<folder>/<i>.part, until it is full and gets a
 * tile's name.
 *
 * It holds the tile's records from its first one on, a line each, and behind them zeros: space that
 * is laid out ahead, so that a flush of one more line has no new size to make durable. Its end is
 * the first zero, or the first line that does not check. log/mark says up to which record its
 * lines are durable. */
#ifndef HF_CORE_PART_H
#define HF_CORE_PART_H

#include <stdint.h>
#include <sys/types.h>

#include <holdfast/holdfast.h>

/* Which file of which filesystem. */
typedef struct hf_file_name {
  dev_t device;
  ino_t inode;
} hf_file_name;

/* A handle's open part, to append to. A flock on it belongs to the open file, which a child of
 * fork() shares: the child's is closed by a handler, so that the lock ends with the process that
 * took it. */
typedef struct hf_part {
  int fd; /* -1: none; changed with part_mutex held */
  uint64_t tile;
  hf_file_name is;
  uint64_t bytes;   /* its size, when last looked at */
  uint64_t opening; /* counts them: each has a descriptor of its own. As fd */
  int failed;       /* a flush of it failed: it is not used again. part_mutex */
  int proven;       /* what stood beyond the mark when it was opened was written anew */
  int may_flush;    /* so since the opening: a flush of it tells of all of it. part_mutex */
  int is_listed;
  _Atomic uint64_t durable_folder; /* of tile/, + 1: its name was made durable by this handle */
  _Atomic uint64_t durable_names;  /* the tiles of whose parts it made the names durable; part.c */
  struct hf_part *previous;        /* the list of all of this process */
  struct hf_part *next;
} hf_part;

struct hf_store;

/* "000/0.part", below tile/. */
void hf_part_name(uint64_t tile, char *name /* HF_TILE_NAME_BYTES */);

/* Appends to the view what the part of the tile of head + 1 tells of the records from head + 1 up
 * to `limit`. fd: of that part, or -1: opened by its name. It ends at a line that does not check;
 * with HF_PART_DAMAGED_TOO such a one is a damaged record where the mark covers it (no loose file
 * has it). *ret_torn (may be NULL): so many bytes stand behind that were not read. The number of
 * records, or negative. view_mutex is held. */
enum { HF_PART_DAMAGED_TOO = 1 };
int hf_part_read(struct hf_store *store, int fd, uint64_t limit, unsigned flags, uint64_t *ret_torn,
                 hf_error *reterr);

/* Where a record was not where its row says: was its part replaced? Then the view is stale.
 * view_mutex is held. */
void hf_part_doubt_rows(struct hf_store *store);

/* Where the line of seq, or of the tile's last record before it, ends in the tile's part, newline
 * included (0: none is before it): 1; 0: damage hides that. view_mutex is held. */
int hf_part_end_of(struct hf_store *store, uint64_t tile, uint64_t seq, uint64_t *ret_end);

/* A local store's records beyond the mark: what no writer of this boot stands behind, for then it
 * was read from the disk. The number of records that the view got. view_mutex is held. */
int hf_part_read_beyond(struct hf_store *store, hf_error *reterr);

/* ---- to append; the leader's alone ---- */

/* Opens the part of this tile where it is not open already, makes it where it does not exist.
 * Neither mutex is held. */
int hf_part_open(struct hf_store *store, uint64_t tile, hf_error *reterr);

/* Makes the parts of so many tiles from this one on, that nobody has come to yet, empty ones, as
 * far as they are in one folder, and makes their names durable by one flush, so that whoever comes
 * to them need not: by a thread beside the leader. What fails is tried again, and told, by whoever
 * appends. No mutex is held. */
void hf_part_make_ahead(struct hf_store *store, uint64_t tile, size_t count);

/* With its lock held, read to its end, before the first record is appended: its name is durable
 * then, whoever has made it. (He may have been ended before it was.) */
int hf_part_secure_name(struct hf_store *store, hf_error *reterr);

/* Is its name still this very file? 1, 0, negative. */
int hf_part_is_named(struct hf_store *store, hf_error *reterr);

/* With its lock held, and read to its end, behind which `torn` bytes stand: what the mark does not
 * cover is written anew, what is no record is cut off, and records of the tile that it lacks are
 * copied. view_mutex is held. */
int hf_part_prove(struct hf_store *store, uint64_t torn, hf_error *reterr);

/* Writes lines at `at`, behind its last record; is_full: they are the tile's last ones. After an
 * error they are cut off again: HF_EIO. HF_EUNSURE: that failed, too; or some were whole by then,
 * and stay, for others may have seen them. */
int hf_part_append(struct hf_store *store, uint64_t at, const char *lines, size_t bytes,
                   int is_full, hf_error *reterr);

/* Is the part of this tile open, and usable? Neither mutex is held, or view_mutex. */
int hf_part_is_open(struct hf_store *store, uint64_t tile);

void hf_part_close(struct hf_store *store);

/* For hf_close, in a forked child as well. */
void hf_part_forget(struct hf_store *store);

#endif
