/* What the readers share. None of these holds a mutex when it returns. */
#ifndef HF_CORE_READ_H
#define HF_CORE_READ_H

#include "store.h"

/* Checks the handle and refreshes the view: everything acknowledged until now is in it. */
int hf_read_begin(hf_store *store, uint64_t *ret_head, hf_error *reterr);

/* A copy of a row; seq is at or below a head that hf_read_begin gave. */
int hf_read_row(hf_store *store, uint64_t seq, hf_row *ret_row, hf_error *reterr);

/* The row and the record's text, taken apart. */
int hf_read_line(hf_store *store, uint64_t seq, hf_row *ret_row, hf_buf *text, hf_line *ret_line,
                 hf_error *reterr);

/* Is this row the current revision of its key as of seq `at`, retired ones left out? locked: as in
 * retire.h. 1, 0 or negative. */
int hf_read_is_current(hf_store *store, uint64_t seq, const hf_row *row, uint64_t at, int locked,
                       hf_error *reterr);

typedef enum hf_read_document {
  HF_READ_ENVELOPE,
  HF_READ_IF_THERE, /* the document, unless gc has dropped it */
  HF_READ_DOCUMENT  /* HF_EDROPPED where gc has */
} hf_read_document;

/* Appends a document of blob/. 0; 1: it is gone, and a gc dropped it, *ret_by is the record that
 * says so; negative: it cannot be read. */
int hf_read_blob(hf_store *store, uint64_t seq, const hf_line *line, hf_buf *out, uint64_t *ret_by,
                 hf_error *reterr);

/* The public record, current and retired or not as of seq `at`. */
int hf_read_make(hf_store *store, uint64_t seq, uint64_t at, const hf_row *row, const hf_buf *text,
                 const hf_line *line, hf_read_document wanted, hf_record **ret_record,
                 hf_error *reterr);

#endif
