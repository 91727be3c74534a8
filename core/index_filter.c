/* What a file has not: a filter behind its tables, so that a key or id that is new costs one look
 * at each file. A block has a CRC of its own: one that was altered answers nothing, and the table
 * is asked. */
#include <string.h>

#include "index.h"
#include "index_format.h"
#include "index_write.h"

#include "banned.h"

enum { FILTER_PROBES = 6, PROBES_PER_WORD = 3, BLOCK_CRC = HF_INDEX_BLOCK_BITS / 8 };

static const uint64_t mixers[FILTER_PROBES / PROBES_PER_WORD] = {UINT64_C(0x9e3779b185ebca87),
                                                                 UINT64_C(0xc2b2ae3d27d4eb4f)};

int hf_index_filter_of(hf_index_table table) {
  return table == HF_INDEX_BY_KEY ? 0 : table == HF_INDEX_BY_ID ? 1 : -1;
}

uint64_t hf_index_filter_blocks(uint64_t entries) {
  return entries / HF_INDEX_BLOCK_ENTRIES + 1;
}

/* Blocks stand in the order of the hashes, as the tables do, so a filter is written on the way. */
static uint64_t block_of(uint64_t hash, uint64_t blocks) {
  return (hash >> 32) * blocks >> 32; /* blocks: below 2^32 */
}

/* The place of probe i within its block. */
static unsigned bit_of(uint64_t hash, unsigned i) {
  uint64_t mixed = hash * mixers[i / PROBES_PER_WORD];
  return (unsigned)((mixed >> (48 - 16 * (i % PROBES_PER_WORD)) & 0xffff) * HF_INDEX_BLOCK_BITS >>
                    16);
}

/* Of the bits, and of where they belong. */
static uint32_t block_crc(hf_index_table table, uint64_t block, const void *bits) {
  char place[8];
  hf_index_number_put(place, (uint64_t)table << 56 | block, sizeof place);
  return hf_crc32c(hf_crc32c(0, place, sizeof place), bits, HF_INDEX_BLOCK_BITS / 8);
}

/* ---- writing ---- */

void hf_index_filter_begin(hf_index_filter *filter, hf_index_table table, uint64_t blocks,
                           hf_index_writer *out) {
  memset(filter, 0, sizeof *filter);
  filter->out = out;
  filter->table = table;
  filter->blocks = blocks;
}

static void write_block(hf_index_filter *filter) {
  char block[HF_INDEX_BLOCK_BYTES];
  memcpy(block, filter->bits, sizeof filter->bits);
  hf_index_number_put(block + BLOCK_CRC, block_crc(filter->table, filter->at, filter->bits), 4);
  hf_index_write(filter->out, block, sizeof block);
  memset(filter->bits, 0, sizeof filter->bits);
  filter->at++;
}

void hf_index_filter_add(hf_index_filter *filter, uint64_t hash) {
  uint64_t block = block_of(hash, filter->blocks);
  while (filter->at < block)
    write_block(filter);
  for (unsigned i = 0; i < FILTER_PROBES; i++) {
    unsigned bit = bit_of(hash, i);
    filter->bits[bit / 8] |= (unsigned char)(1U << bit % 8);
  }
}

void hf_index_filter_end(hf_index_filter *filter) {
  while (filter->at < filter->blocks)
    write_block(filter);
}

/* ---- reading ---- */

void hf_index_prefetch(const hf_index *index, hf_index_table table, uint64_t hash) {
  int which = hf_index_filter_of(table);
  if (which < 0 || index->header.filter_blocks[which] == 0 || index->map == NULL)
    return;
  uint64_t number = block_of(hash, index->header.filter_blocks[which]);
  const char *block = index->map + index->filters_at[which] + number * HF_INDEX_BLOCK_BYTES;
  __builtin_prefetch(block);
  __builtin_prefetch(block + HF_INDEX_BLOCK_BYTES - 1);
}

int hf_index_may_have(const hf_index *index, hf_index_table table, uint64_t hash) {
  int which = hf_index_filter_of(table);
  char copy[HF_INDEX_BLOCK_BYTES];
  if (which < 0 || index->header.filter_blocks[which] == 0)
    return 1;
  uint64_t number = block_of(hash, index->header.filter_blocks[which]);
  uint64_t at = index->filters_at[which] + number * sizeof copy;
  const char *block = index->map != NULL ? index->map + at : copy;
  if (index->map == NULL && hf_index_read(index, at, copy, sizeof copy, NULL) != HF_OK)
    return 1; /* the table tells why */
  int has = 1;
  for (unsigned i = 0; i < FILTER_PROBES; i++) {
    unsigned bit = bit_of(hash, i);
    has &= (unsigned char)block[bit / 8] >> bit % 8 & 1;
  }
  return has || hf_index_number_take(block + BLOCK_CRC, 4) != block_crc(table, number, block);
}
