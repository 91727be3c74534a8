/* The records in a damaged file: found by their CRCs, wherever newlines were lost or gained, and
 * put to their places. */
#ifndef HF_CORE_VERIFY_LINES_H
#define HF_CORE_VERIFY_LINES_H

#include <stddef.h>
#include <stdint.h>

#include "log.h"

/* What stands in a text: whole records, and between them gaps. Gap i stands before record i, the
 * last one behind all. */
typedef struct hf_found {
  struct hf_found_line {
    uint32_t offset;
    uint32_t bytes;
    uint8_t torn; /* the newline behind it is gone or overwritten */
  } line[HF_BATCH_MAX];
  struct hf_found_gap {
    uint32_t start;
    uint32_t end;   /* start == end: empty */
    uint32_t lines; /* damaged records that seem to have stood there */
    uint8_t plain;  /* 1: it begins and ends as one record does, and seems to hold no other */
  } gap[HF_BATCH_MAX + 1];
  size_t count;
  size_t more; /* whole records for which there is no room: no file of ours has so many */
  int clean; /* nothing but whole records, each with its newline, and newlines as padding behind */
  int ends_in_newline;
  int counted; /* 0: nothing but what is seen tells how many records there were. As scanned: 1 */
  size_t bytes;
} hf_found;

/* Looks through a text of at most UINT32_MAX bytes. */
void hf_found_scan(const char *text, size_t bytes, hf_found *ret_found);

/* The records it holds or held, as far as it can tell. */
size_t hf_found_total(const hf_found *found);

/* One record's place. */
typedef struct hf_vline {
  uint32_t offset;
  uint32_t bytes;
  uint8_t whole;
  uint8_t torn;
  uint8_t rescued;  /* it stands in hf_span.rescued */
  const char *kind; /* of what is wrong; NULL: nothing. Static, as the text */
  const char *what;
} hf_vline;

typedef struct hf_vlines {
  hf_vline line[HF_BATCH_MAX];
  size_t count;
  int junk;     /* bytes that belong to no record */
  size_t extra; /* whole records that belong to no seq */
} hf_vlines;

/* 1: no gap could have held another number of records than it seems to. */
int hf_found_is_plain(const hf_found *found);

/* Puts them to their places in a file of `want` records (1 to HF_BATCH_MAX): a record goes only
 * where it must have stood. */
void hf_found_place(const char *text, const hf_found *found, size_t want, hf_vlines *ret_lines);

/* 1: this is a whole record. */
int hf_line_is_whole(const char *text, size_t bytes);

#endif
