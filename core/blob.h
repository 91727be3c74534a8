/* blob/: documents over the inline limit, by content. */
#ifndef HF_CORE_BLOB_H
#define HF_CORE_BLOB_H

#include "attempt.h"
#include "store.h"

enum { HF_BLOB_NAME_BYTES = 80 };

/* "ab/<sha256>", below blob/. */
void hf_blob_name(const uint8_t sha256[32], char name[HF_BLOB_NAME_BYTES]);

/* Writes stage/<id>.blob durably: the writer's own hard link to the content. */
int hf_blob_stage(hf_store *store, hf_attempt *attempt, hf_error *reterr);

/* Links a staged blob into blob/, durably with its folders: before its record is linked, and once
 * more after (`again`), for gc may have taken it away in between. Where one stands there already,
 * this one takes its place before the record is linked: so gc sees that somebody needs it
 * (gc_blob.c).
 */
int hf_blob_place(hf_store *store, const char *staged_name, const uint8_t sha256[32], int again,
                  hf_error *reterr);

/* Those of all attempts that have one. again: made anew from memory where the staged one was swept.
 */
int hf_blob_place_all(hf_store *store, hf_attempt *const *attempts, size_t count, int again,
                      hf_error *reterr);

/* Puts a blob back that gc took aside (stage/<id>.<sha256>.aside), unless one stands there again,
 * and removes that name. */
int hf_blob_put_back(hf_store *store, const char *aside, hf_error *reterr);
int hf_blob_is_aside(const char *name);

void hf_blob_unstage(hf_store *store, hf_attempt *attempt);

/* Appends the document to out, checked against size and SHA-256. HF_EDAMAGED. */
int hf_blob_read(hf_store *store, const hf_line *line, hf_buf *out, hf_error *reterr);

#endif
