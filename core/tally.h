/* What writers have counted, for who asks later: stats/<16 hexadecimal digits>, a file for each
 * user of each host.
 *
 * A handle counts in its memory (counters.h). Behind its first commit, then behind one at most
 * every HF_TALLY_PAUSE_MS, and when it is closed, it adds to its host's file what it has counted
 * since: under a lock it reads 256 bytes, adds, and writes them in place. Nothing is flushed: the
 * bytes are in the kernel's memory when pwrite returns, so a SIGKILL loses at most what was not
 * added yet, and a power loss what the kernel had not written. The file is derived, it decides
 * nothing, and it may be removed at any time.
 *
 * Why it is not mapped and counted into directly: a page that cannot be brought in or written (the
 * server has forgotten the file, another has cut it short, a copy-on-write filesystem is full) is
 * SIGBUS in a process whose saves would have been done.
 *
 * The lock is a flock of the folder stats/, never waited for behind a commit, and for a quarter of
 * a second at most when the handle is closed. The name of a file has the host in it, so it need not
 * reach other hosts; and it asks none: Linux's client of NFS has no locks of folders on the server,
 * it keeps them to itself. So an addition is OPEN, GETATTR, WRITE and CLOSE there, and no LOCK
 * (seen on Linux 6.1 with NFSv4.1; with v3 two GETATTR and a WRITE; the sums of four processes that
 * added at once were exact).
 *
 * Whatever is wrong (no room, no right, a link, a folder or a foreign file in its place, bytes that
 * do not check) means that these saves are not counted, and nothing else: nothing here answers an
 * error. A file that does not check is left alone; verify --repair puts it aside. */
#ifndef HF_CORE_TALLY_H
#define HF_CORE_TALLY_H

#include "store.h"

#define HF_TALLY_FOLDER "stats"

enum {
  HF_TALLY_BYTES = 256, /* in one sector of a disk: it is old or new */
  HF_TALLY_PAUSE_MS = 5000,
  HF_TALLY_FILES_MAX = 1024, /* where there are so many, no host begins another one */
};

/* Adds what the handle has counted, if it is time. Called by every thread that has saved, without
 * a mutex. */
void hf_tally_note(hf_store *store);

/* Adds the rest; the handle is being closed, by the process that opened it. */
void hf_tally_end(hf_store *store);

/* ---- the bytes: tally_file.c ---- */

typedef enum hf_tally_is {
  HF_TALLY_EMPTY, /* nothing was counted yet: no bytes, or zeros, as a power loss may leave them */
  HF_TALLY_GOOD,
  HF_TALLY_NEWER, /* of a later version of this program */
  HF_TALLY_WRONG  /* they do not check, or are no such file */
} hf_tally_is;

void hf_tally_put(const hf_host_stats *tally, char bytes[HF_TALLY_BYTES]);
hf_tally_is hf_tally_take(const char *bytes, size_t count, hf_host_stats *ret_tally);

/* Reads an open file. -1: it cannot be read, or is no regular file (errno). */
int hf_tally_read(int fd, hf_host_stats *ret_tally, hf_tally_is *ret_is);

/* Reads a name, and again where it is just being written. -1: it cannot be opened or read (errno;
 * ENOENT: it is not there). */
int hf_tally_look(int folder_fd, const char *name, hf_host_stats *ret_tally, hf_tally_is *ret_is);

/* 16 hexadecimal digits. */
int hf_tally_is_name(const char *name);

/* a += b; the longest wait is the longer one. */
void hf_tally_add(hf_handle_stats *a, const hf_handle_stats *b);
/* a -= b, each member. */
void hf_tally_subtract(hf_handle_stats *a, const hf_handle_stats *b);

#endif
