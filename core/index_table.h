/* The sorted tables of an index file, in the order in which they stand in it. */
#ifndef HF_CORE_INDEX_TABLE_H
#define HF_CORE_INDEX_TABLE_H

typedef enum hf_index_table {
  HF_INDEX_BY_KEY,
  HF_INDEX_BY_PEER,
  HF_INDEX_BY_GROUP,
  HF_INDEX_BY_ID,
  HF_INDEX_BY_ENDED,
  HF_INDEX_TABLES
} hf_index_table;

#endif
