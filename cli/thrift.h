/* Thrift's compact protocol, as far as the footer and the page headers of Parquet need it: fields
 * in rising order, written into bytes. What is nested is begun and ended by the caller.
 *
 *     hf_cli_thrift_begin(&at);            a structure
 *     hf_cli_thrift_number(&at, 1, ...);   its field 1
 *     hf_cli_thrift_end(&at);
 */
#ifndef HF_CLI_THRIFT_H
#define HF_CLI_THRIFT_H

#include "bytes.h"

enum { HF_CLI_THRIFT_DEPTH_MAX = 8 };

typedef enum hf_cli_thrift_type {
  HF_CLI_THRIFT_I16 = 4,
  HF_CLI_THRIFT_I32 = 5,
  HF_CLI_THRIFT_I64 = 6,
  HF_CLI_THRIFT_BINARY = 8,
  HF_CLI_THRIFT_LIST = 9,
  HF_CLI_THRIFT_STRUCT = 12
} hf_cli_thrift_type;

typedef struct hf_cli_thrift {
  hf_cli_bytes *out;
  int depth;
  int last[HF_CLI_THRIFT_DEPTH_MAX]; /* the field before, of each structure that is open */
} hf_cli_thrift;

/* A structure that is an element of a list, or stands alone. */
void hf_cli_thrift_begin(hf_cli_thrift *at);
void hf_cli_thrift_end(hf_cli_thrift *at);

/* A field that is a structure; its fields follow, then hf_cli_thrift_end. */
void hf_cli_thrift_struct(hf_cli_thrift *at, int field);

/* A field that is a list; its `count` elements follow. */
void hf_cli_thrift_list(hf_cli_thrift *at, int field, hf_cli_thrift_type of, size_t count);

/* Fields, and elements of lists. type: I16, I32 or I64. */
void hf_cli_thrift_number(hf_cli_thrift *at, int field, hf_cli_thrift_type type, int64_t value);
void hf_cli_thrift_binary(hf_cli_thrift *at, int field, const void *bytes, size_t count);
void hf_cli_thrift_text(hf_cli_thrift *at, int field, const char *text);
void hf_cli_thrift_element_number(hf_cli_thrift *at, int64_t value);
void hf_cli_thrift_element_text(hf_cli_thrift *at, const char *text);

/* An unsigned number, seven bits a byte, the lowest first. */
void hf_cli_put_varint(hf_cli_bytes *out, uint64_t value);

#endif
