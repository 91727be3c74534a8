/* Writing an index file: for index_build.c, index_merge.c and index_filter.c. */
#ifndef HF_CORE_INDEX_WRITE_H
#define HF_CORE_INDEX_WRITE_H

#include "index_format.h"

enum { HF_INDEX_WRITE_BYTES = 1 << 16 };

/* How far who makes indexes is, for hf_index_build_all. */
typedef struct hf_index_teller {
  hf_progress_fn progress; /* NULL: nobody asks */
  void *context;
  uint64_t done; /* tiles */
  uint64_t total;
} hf_index_teller;

/* HF_OK or HF_ECANCELLED. teller may be NULL. */
int hf_index_tell(const hf_index_teller *teller, hf_error *reterr);

/* A file that is being written: through a buffer, with the CRC of its body. */
typedef struct hf_index_writer {
  int fd;
  char *memory; /* not NULL: it goes there, and to no file */
  uint64_t at;
  size_t used;
  uint32_t crc;
  int status; /* of the first write that failed, or HF_ECANCELLED; looked at at the end, and now and
                 then where much is written */
  const hf_index_teller *teller; /* NULL: nobody is told */
  uint64_t told_at;
  hf_error *reterr;
  char bytes[HF_INDEX_WRITE_BYTES];
} hf_index_writer;

/* At most HF_INDEX_WRITE_BYTES at once. */
void hf_index_write(hf_index_writer *out, const char *bytes, size_t count);
void hf_index_write_flush(hf_index_writer *out);

/* The filter of a table: hashes are added in the order of the table; begin and end write what lies
 * between. */
typedef struct hf_index_filter {
  hf_index_writer *out;
  hf_index_table table;
  uint64_t blocks;
  uint64_t at; /* the block that is being filled */
  unsigned char bits[HF_INDEX_BLOCK_BITS / 8];
} hf_index_filter;

void hf_index_filter_begin(hf_index_filter *filter, hf_index_table table, uint64_t blocks,
                           hf_index_writer *out);
void hf_index_filter_add(hf_index_filter *filter, uint64_t hash);
void hf_index_filter_end(hf_index_filter *filter);

/* A piece of another file. */
int hf_index_copy(const hf_index *from, uint64_t offset, uint64_t bytes, hf_index_writer *out);

/* The levels that got names which are not durable yet: a bit each. */
typedef unsigned hf_index_names;

/* Writes a file to stage/, its body by `body`, durably, and puts it in place: by a link that never
 * replaces, whose name is durable once the caller has seen to *names; or, with names NULL, by a
 * rename over the one that stands there, durably. */
typedef int (*hf_index_body_fn)(void *context, const hf_index_header *header, hf_index_writer *out);
int hf_index_write_file(hf_store *store, hf_index_header *header, hf_index_body_fn body,
                        void *context, hf_index_names *names, hf_error *reterr);

/* Adds up what the sixteen say. */
void hf_index_join_headers(hf_index *const *files, hf_index_header *header);

/* The body of a file of the next level, made of sixteen. */
int hf_index_write_merged(hf_index *const *files, const hf_index_header *header,
                          hf_index_writer *out);

#endif
