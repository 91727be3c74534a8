#include "thrift.h"

#include <string.h>

enum { SHORT_DELTA_MAX = 15, SHORT_LIST_MAX = 14 };

static void put_byte(hf_cli_bytes *out, unsigned value) {
  char byte = (char)value;
  hf_cli_bytes_add(out, &byte, 1);
}

void hf_cli_put_varint(hf_cli_bytes *out, uint64_t value) {
  for (; value >= 0x80; value >>= 7)
    put_byte(out, (unsigned)(value & 0x7f) | 0x80);
  put_byte(out, (unsigned)value);
}

static void put_signed(hf_cli_bytes *out, int64_t value) {
  uint64_t bits = (uint64_t)value << 1;
  hf_cli_put_varint(out, value < 0 ? ~bits : bits);
}

static void put_field(hf_cli_thrift *at, int field, hf_cli_thrift_type type) {
  int *last = &at->last[at->depth - 1];
  int delta = field - *last;
  if (delta > 0 && delta <= SHORT_DELTA_MAX) {
    put_byte(at->out, (unsigned)delta << 4 | (unsigned)type);
  } else {
    put_byte(at->out, (unsigned)type);
    put_signed(at->out, field);
  }
  *last = field;
}

void hf_cli_thrift_begin(hf_cli_thrift *at) {
  if (at->depth == HF_CLI_THRIFT_DEPTH_MAX) {
    at->out->failed = 1;
    return;
  }
  at->last[at->depth++] = 0;
}

void hf_cli_thrift_end(hf_cli_thrift *at) {
  put_byte(at->out, 0);
  if (at->depth > 0)
    at->depth--;
}

void hf_cli_thrift_struct(hf_cli_thrift *at, int field) {
  put_field(at, field, HF_CLI_THRIFT_STRUCT);
  hf_cli_thrift_begin(at);
}

void hf_cli_thrift_list(hf_cli_thrift *at, int field, hf_cli_thrift_type of, size_t count) {
  put_field(at, field, HF_CLI_THRIFT_LIST);
  if (count <= SHORT_LIST_MAX) {
    put_byte(at->out, (unsigned)count << 4 | (unsigned)of);
  } else {
    put_byte(at->out, 0xf0 | (unsigned)of);
    hf_cli_put_varint(at->out, count);
  }
}

void hf_cli_thrift_number(hf_cli_thrift *at, int field, hf_cli_thrift_type type, int64_t value) {
  put_field(at, field, type);
  put_signed(at->out, value);
}

void hf_cli_thrift_binary(hf_cli_thrift *at, int field, const void *bytes, size_t count) {
  put_field(at, field, HF_CLI_THRIFT_BINARY);
  hf_cli_put_varint(at->out, count);
  hf_cli_bytes_add(at->out, bytes, count);
}

void hf_cli_thrift_text(hf_cli_thrift *at, int field, const char *text) {
  hf_cli_thrift_binary(at, field, text, strlen(text));
}

void hf_cli_thrift_element_number(hf_cli_thrift *at, int64_t value) {
  put_signed(at->out, value);
}

void hf_cli_thrift_element_text(hf_cli_thrift *at, const char *text) {
  size_t bytes = strlen(text);
  hf_cli_put_varint(at->out, bytes);
  hf_cli_bytes_add(at->out, text, bytes);
}
