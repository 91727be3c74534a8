/* The log: loose files named by their first seq, the mark that says what exists, and reading both
 * into a view.
 *
 * On a shared filesystem a name that may not exist is never looked up: its client would remember
 * the absence (seen on Linux 6.1, NFSv3 and v4.1: an acknowledged name unseen for 30 s). So the
 * marks are opened afresh and only names that they cover are opened. On a local filesystem names
 * beyond the mark are probed, for a power loss may have shortened it. */
#ifndef HF_CORE_LOG_H
#define HF_CORE_LOG_H

#include <stdint.h>

#include "store.h"

enum {
  HF_LOG_NAME_BYTES = 32,
  HF_LOG_FILE_BYTES_MAX = HF_BATCH_MAX * (HF_LINE_BYTES_MAX + 1),
};

#define HF_MARK_NAME "mark"

/* "00000000000000000007.json" */
void hf_log_name(uint64_t seq, char name[HF_LOG_NAME_BYTES]);
/* The seq of such a name, or 0. */
uint64_t hf_log_seq_of_name(const char *name);

/* The lines of a file that should hold `expected` of them (0: as many as are found). */
typedef struct hf_lines {
  struct {
    uint32_t offset;
    uint32_t bytes; /* 0: cannot be told */
    int intact;
  } line[HF_BATCH_MAX];
  size_t count;
} hf_lines;

/* Splits and checks. With damage in it: intact lines are counted from both ends, what is between is
 * damaged. */
void hf_lines_split(const char *text, size_t bytes, size_t expected, hf_lines *ret_lines);

/* What the mark says of the file that begins at `first`: how many lines it has. *ret_exact: 0 if
 * the mark ends there or is damaged (then at least so many). */
int hf_log_expected(hf_store *store, uint64_t first, size_t *ret_count, int *ret_exact,
                    hf_error *reterr);

enum hf_refresh_flags {
  /* the caller leads a turn; it will fsync log/ and extend the mark, or answers nothing: do not
   * probe beyond */
  HF_REFRESH_UNDER_LOCK = 1,
  /* only what the marks cover is read, which is durable: nothing is probed, nothing flushed. Of a
   * handle that does not save */
  HF_REFRESH_MARKED = HF_REFRESH_UNDER_LOCK
};

/* Reads every record up to the head that was not read yet into store->view; view_mutex is held.
 * Damaged records become rows that say so. Unless HF_REFRESH_UNDER_LOCK: on a local filesystem
 * records beyond the mark are found as well, and all that is in the view afterwards is durable, so
 * that it may be shown. */
int hf_log_refresh(hf_store *store, unsigned flags, hf_error *reterr);

/* Reads the file at head + 1, of which a link's EEXIST says that it exists, into the view.
 * view_mutex is held. */
int hf_log_read_next(hf_store *store, hf_error *reterr);

/* A local store's files from head + 1 on, where journal mode has ended: up to one that begins it
 * again, the last one, or the tile's end. 1: some were read; 0; negative. view_mutex is held. */
int hf_log_read_loose(hf_store *store, hf_error *reterr);

/* The length of log/mark, looked at freshly, by its name. view_mutex is held. */
int hf_log_look_at_mark(hf_store *store, uint64_t *ret_length, hf_error *reterr);

/* Extends log/mark over every row of the view (step 6). All their names are durable, and the mark
 * has been looked at in this turn. view_mutex is held. */
int hf_log_extend_mark(hf_store *store, hf_error *reterr);

/* Journal mode: extends it up to `end`, which was flushed. view_mutex is held. */
int hf_log_mark_journal(hf_store *store, uint64_t end, hf_error *reterr);

/* flock(2) on the mark, never waiting: LOCK_EX, LOCK_UN. By it those who flush the journal share a
 * flush; nothing else rests on it. view_mutex is not held. 1: done. */
int hf_log_mark_lock(hf_store *store, int operation);

/* Makes the name of every row of the view durable (step 5). Before a further one is linked, too: a
 * disk that kept the later name and lost the earlier one would hold a record that nobody sees,
 * until a save comes up to it. view_mutex is held. */
int hf_log_fsync_names(hf_store *store, hf_error *reterr);

/* Makes everything in the view durable and marked (steps 5 and 6), for an answer from a record
 * beyond the mark. */
int hf_log_settle(hf_store *store, hf_error *reterr);

/* Makes an NFS client forget that log/<name> was absent, by linking a scratch file onto it. 1: the
 * name exists (EEXIST). 0: it did not; the scratch name was taken back. Negative: cannot be tried
 * (no right to write). */
int hf_log_forget_absence(hf_store *store, const char *name, hf_error *reterr);

/* Reads a loose file of which the mark says that it exists, and which is not seen: the client of a
 * shared filesystem may remember an absence wrongly; it is made to forget, then looks again. 1; 0:
 * it does not exist; negative. */
int hf_log_read_loose_again(hf_store *store, uint64_t first, hf_buf *out, hf_error *reterr);

/* ---- log_load.c ---- */

/* Appends the line of a record (without newline) to out and takes it apart; checked against the
 * row. HF_EDAMAGED. The row is a copy; no mutex is needed. */
int hf_log_load(hf_store *store, uint64_t seq, const hf_row *row, hf_buf *out, hf_line *ret_line,
                hf_error *reterr);

/* Appends the first `bytes` of the record's line, or all of it: unchecked, for counting alone. 1, 0
 * (it is not there), negative. */
int hf_log_load_beginning(hf_store *store, uint64_t seq, const hf_row *row, uint32_t bytes,
                          hf_buf *out, hf_error *reterr);

#endif
