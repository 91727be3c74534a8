/* Documents that gc drops: what the log says of it (op "drop"), and what their lines look like
 * then.
 *
 * The record decides. From the instant it is committed on the documents are gone for everybody; the
 * tile is written anew afterwards, and until then, or where a gc that slept has brought an older
 * tile back, it still holds them, which means nothing. */
#ifndef HF_CORE_DROPPED_H
#define HF_CORE_DROPPED_H

#include "buf.h"
#include "drops.h"
#include "store.h"

/* What the log says of a tile, as far as it was read. locked: as in retire.h. */
int hf_drops_of(hf_store *store, uint64_t tile, int locked, hf_drops *ret_drops, hf_error *reterr);

/* Was the document of this seq dropped? 1, and *ret_by is the seq of the record that says so; 0; or
 * negative. A store in which nothing was ever dropped is asked nothing. */
int hf_is_dropped(hf_store *store, uint64_t seq, int locked, uint64_t *ret_by, hf_error *reterr);

/* The same, after the log was read to its head: for whoever finds a document gone of which the log,
 * as far as he knows it, does not say so. A gc may have come meanwhile. The view's mutex is not
 * held. */
int hf_is_dropped_by_now(hf_store *store, uint64_t seq, uint64_t *ret_by, hf_error *reterr);

/* Appends the line of a snapshot without its document: "v" is 2, "dropped":true stands in the place
 * of "doc" or "blob", the rest is as it was, with a crc of its own. Whoever makes it makes the same
 * bytes. line: of the text, not dropped yet. 0 or HF_ENOMEM. */
int hf_line_drop(const char *text, size_t bytes, const hf_line *line, hf_buf *out);

/* Can that be made of it? 0: no snapshot, dropped already, or not written by this library. */
int hf_line_can_drop(const char *text, size_t bytes, const hf_line *line);

/* Is `there` this line, or what gc makes of it? 1 or 0. */
int hf_line_is_form_of(const char *there, size_t there_bytes, const char *text, size_t bytes);

/* The same for a file of whole lines, each with its newline. */
int hf_lines_are_forms_of(const char *there, size_t there_bytes, const char *text, size_t bytes);

#endif
