/* Keys, groups and limits: checked once, then kept as the JSON texts that the record carries.
 *
 * hf_json_add_string writes a string in exactly one way and dims are sorted by name, so two keys
 * are equal exactly when their texts are, and nothing has to be decoded to compare a key with a
 * record. */
#ifndef HF_CORE_KEY_H
#define HF_CORE_KEY_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/holdfast.h>

#include "buf.h"

typedef struct hf_keytext {
  hf_buf run;   /* "…" with its quotation marks */
  hf_buf stage; /* the same */
  hf_buf dims;  /* {"a":"b"}; "{}" where there are none */
  hf_buf group; /* "…"; used == 0: no group */
} hf_keytext;

void hf_keytext_free(hf_keytext *text);
#define hf_autokeytext __attribute__((cleanup(hf_keytext_free))) hf_keytext

/* Checks a key against the limits and makes its texts (group stays empty).
 * HF_EINVAL (absent, a control character, not UTF-8, a dim twice), HF_ELIMIT, HF_ENOMEM. */
int hf_keytext_make(const hf_key *key, hf_keytext *text, hf_error *reterr);

/* The parts, for filters. dims: sorted in a copy. */
int hf_key_run_text(const char *run_id, hf_buf *out, hf_error *reterr);
int hf_key_stage_text(const char *stage, hf_buf *out, hf_error *reterr);
int hf_key_dims_text(const hf_dim *dims, size_t count, hf_buf *out, hf_error *reterr);
int hf_key_group_text(const char *group, hf_buf *out, hf_error *reterr);
/* A reason is no part of a key, and has the same rules. */
int hf_key_reason_text(const char *reason, hf_buf *out, hf_error *reterr);

/* The group of a document: the SHA-256 of the canonical JSON of /comparison_group, as text. Empty
 * where the document has none (or null). */
int hf_key_group_of_document(const char *doc, size_t doc_bytes, hf_buf *out, hf_error *reterr);

/* A piece of text, not NUL-terminated; text NULL: absent. */
typedef struct hf_piece {
  const char *text;
  size_t bytes;
} hf_piece;

static inline hf_piece hf_piece_of(const hf_buf *buf) {
  hf_piece piece = {buf->data, buf->used};
  return piece;
}
int hf_piece_equal(hf_piece a, hf_piece b);

/* For tables: a hit is checked against the record. Where records are not read for it, two hashes
 * must agree: the key's and the run's. */
uint64_t hf_run_hash(hf_piece run);
uint64_t hf_key_hash(hf_piece run, hf_piece stage, hf_piece dims);
uint64_t hf_peer_hash(hf_piece group, hf_piece stage, hf_piece dims); /* comparable = the same */
/* Of the baselines of those with this peer_hash: in the table of ended ids. */
uint64_t hf_baseline_hash(uint64_t peer_hash);

#endif
