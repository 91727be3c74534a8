/* The parts of hf_get_store_stats. */
#ifndef HF_CORE_STATS_H
#define HF_CORE_STATS_H

#include <holdfast/stats.h>

#include "store.h"

/* What the beginning of a record tells; pieces point into the text. Absent ones: text NULL. */
typedef struct hf_envelope {
  hf_piece op; /* without quotation marks; the others with them */
  hf_piece stage;
  hf_piece group;
  hf_piece at;
} hf_envelope;

/* Reads the beginning of a record, as far as the document, or all of it where it is short. 1; 0: it
 * cannot be told; negative. */
int hf_envelope_read(hf_store *store, uint64_t seq, const hf_row *row, hf_buf *text,
                     hf_envelope *ret_envelope, hf_error *reterr);

/* ret_stats->sizes and the filesystem's. */
int hf_stats_measure(hf_store *store, hf_store_stats *ret_stats, hf_error *reterr);

#endif
