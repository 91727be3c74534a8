/* Holdfast: the scalar values of a document, one after the other, each with its pointer.
 *
 * For whoever makes columns of documents (holdfast export, a program of one's own). Numbers stay
 * the texts that they are. */
#ifndef HOLDFAST_LEAF_H
#define HOLDFAST_LEAF_H

#include <stddef.h>

#include <holdfast/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum hf_leaf_type {
  HF_LEAF_NULL,
  HF_LEAF_FALSE,
  HF_LEAF_TRUE,
  HF_LEAF_NUMBER,
  HF_LEAF_STRING
} hf_leaf_type;

/* Valid until the callback returns; value points into the text. */
typedef struct hf_leaf {
  const char *pointer; /* RFC 6901, NUL-terminated: what hf_json_pointer finds this value by */
  size_t pointer_bytes;
  hf_leaf_type type;
  const char *value; /* verbatim; a string with its quotation marks and escapes */
  size_t value_bytes;
} hf_leaf;

/* A result that is not 0 stops the walk. */
typedef int (*hf_leaf_fn)(void *context, const hf_leaf *leaf);

/* Calls leaf for each null, boolean, number and string that is a member of the document, or of an
 * object within objects, in the order of the text. Arrays, and objects without a member, are passed
 * over. Of a member that stands twice, the last counts, as everywhere. A member whose name holds
 * U+0000 or half of a surrogate pair is passed over with all below it: no text can name it.
 *
 * text: a document as hf_record has it. Any other text gives some answer, never a read outside of
 * it; objects nested deeper than HF_DOC_NESTING_MAX are passed over. Thread-safe.
 * HF_OK, HF_ECANCELLED (leaf stopped it), HF_EINVAL (an argument is NULL), HF_ENOMEM. */
HF_API int hf_json_leaves(const char *text, size_t text_bytes, hf_leaf_fn leaf, void *context,
                          hf_error *reterr);

/* A string's text in UTF-8, without quotation marks and escapes, into `out`, which holds at least
 * leaf->value_bytes; not NUL-terminated (it may hold NUL bytes). 1: *ret_bytes is its length. 0:
 * it has none (half of a surrogate pair stands in it), or the leaf is no string. Thread-safe. */
HF_API int hf_leaf_text(const hf_leaf *leaf, char *out, size_t *ret_bytes);

#ifdef __cplusplus
}
#endif
#endif
