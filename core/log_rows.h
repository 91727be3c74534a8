/* log/rows: a small row for each record, so that who reads on need not open the file of each.
 *
 * Shared filesystems only. Where many hosts write, each has to judge its conditions by what the
 * others saved: a file, and so several requests, for each of their records. Here one read answers
 * for up to HF_BATCH_MAX of them.
 *
 * The file is derived, and nothing rests on it: a row that is missing or does not check is looked
 * up in its record. One that checks is true, however old the bytes are that a client remembers: who
 * writes the row of a seq has read the record there back (step 5), and that record never changes.
 * docs/FORMAT.md has the bytes. */
#ifndef HF_CORE_LOG_ROWS_H
#define HF_CORE_LOG_ROWS_H

#include "store.h"

#define HF_ROWS_NAME "rows"

enum { HF_LOG_ROW_BYTES = 64 };

/* A row as it stands in the file. */
typedef struct hf_log_row {
  hf_row row;
  unsigned line;  /* of its file, from 0 */
  unsigned after; /* so many lines follow it there */
} hf_log_row;

/* Can it be written as a row? Damaged records, changes of the mode and unknown ones are always read
 * themselves. */
int hf_log_row_fits(const hf_row *row);
void hf_log_row_put(const char *uuid, uint64_t seq, const hf_log_row *row,
                    char bytes[HF_LOG_ROW_BYTES]);
/* 1: intact, of this store and this seq. 0. */
int hf_log_row_take(const char *uuid, uint64_t seq, const char bytes[HF_LOG_ROW_BYTES],
                    hf_log_row *ret_row);

/* Opens the file; with `make`, makes it where it is missing. That it cannot be had is no error. */
void hf_log_rows_open(hf_store *store, int make);

/* Writes the rows of the view's records behind mark_length, and of those that are due; they are
 * confirmed and durable. A handle that has met no records of others for a while puts its own off
 * until there are many, for each write is a request. view_mutex is held. */
void hf_log_rows_write(hf_store *store);
/* Writes what is due and marked, as hf_close does. */
void hf_log_rows_end(hf_store *store);

/* Appends to the view what rows tell from head + 1 on, up to `marked`, whole files only, and none
 * that a tile of `tiles` covers. *gap_end: up to this seq there are no rows (where the head is
 * below it). HF_OK or HF_ENOMEM. view_mutex is held. */
int hf_log_rows_read(hf_store *store, uint64_t marked, uint64_t tiles, uint64_t *gap_end,
                     hf_error *reterr);

#endif
