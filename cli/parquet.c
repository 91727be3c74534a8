#include "parquet.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#ifdef HF_WITH_SNAPPY
#include <snappy-c.h>
#endif

#include "thrift.h"

/* What the format calls things by. */
enum {
  TYPE_BOOLEAN = 0,
  TYPE_INT64 = 2,
  TYPE_DOUBLE = 5,
  TYPE_BYTE_ARRAY = 6,
  REQUIRED = 0,
  OPTIONAL = 1,
  CONVERTED_UTF8 = 0,
  ENCODING_PLAIN = 0,
  ENCODING_RLE = 3,
  CODEC_NONE = 0,
  CODEC_SNAPPY = 1,
  PAGE_DATA = 0
};
enum { LENGTH_BYTES = 4, NUMBER_BYTES = 8, PAGE_BYTES_MAX = INT32_MAX };

static const char magic[] = "PAR1";

/* A column of the row group that is being filled. */
typedef struct column {
  hf_cli_parquet_column is;
  hf_cli_bytes values;
  hf_cli_bytes levels; /* whole runs */
  uint64_t rows;       /* that have a level; those behind are null */
  uint64_t run;        /* the length of the last run, not in `levels` yet */
  int run_level;
  uint64_t set; /* values that are not null */
  int64_t low;  /* of int64s */
  int64_t high;
} column;

struct hf_cli_parquet {
  column *columns;
  size_t count;
  hf_write_fn write;
  void *write_context;
  uint64_t offset; /* in the file */
  uint64_t rows;   /* of this group */
  size_t bytes;    /* of this group */
  uint64_t rows_total;
  size_t groups_count;
  hf_cli_bytes groups; /* what the footer says of those that are written */
  hf_cli_bytes page;
  hf_cli_bytes packed;
};

/* ---- filling ---- */

static void end_run(column *to) {
  char level = (char)to->run_level;
  if (to->run == 0)
    return;
  hf_cli_put_varint(&to->levels, to->run << 1);
  hf_cli_bytes_add(&to->levels, &level, 1);
  to->run = 0;
}

static void add_levels(column *to, int level, uint64_t count) {
  if (count == 0)
    return;
  if (to->run_level != level)
    end_run(to);
  to->run_level = level;
  to->run += count;
  to->rows += count;
}

/* The column has a value in this row. */
static column *fill(hf_cli_parquet *to, size_t at, size_t bytes) {
  column *into = &to->columns[at];
  add_levels(into, 0, to->rows - into->rows);
  add_levels(into, 1, 1);
  into->set++;
  to->bytes += bytes;
  return into;
}

void hf_cli_parquet_put_boolean(hf_cli_parquet *to, size_t at, int value) {
  column *into = fill(to, at, 1);
  size_t bit = (size_t)(into->set - 1) % 8;
  if (bit == 0)
    hf_cli_bytes_add(&into->values, "", 1);
  if (value && !into->values.failed) {
    char *last = &into->values.data[into->values.used - 1];
    *last = (char)((unsigned char)*last | 1U << bit);
  }
}

void hf_cli_parquet_put_int64(hf_cli_parquet *to, size_t at, int64_t value) {
  column *into = fill(to, at, sizeof value);
  uint64_t bits = htole64((uint64_t)value);
  if (into->set == 1 || value < into->low)
    into->low = value;
  if (into->set == 1 || value > into->high)
    into->high = value;
  hf_cli_bytes_add(&into->values, &bits, sizeof bits);
}

void hf_cli_parquet_put_double(hf_cli_parquet *to, size_t at, double value) {
  column *into = fill(to, at, sizeof value);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof bits);
  bits = htole64(bits);
  hf_cli_bytes_add(&into->values, &bits, sizeof bits);
}

void hf_cli_parquet_put_text(hf_cli_parquet *to, size_t at, const char *text, size_t bytes) {
  column *into = fill(to, at, bytes + LENGTH_BYTES);
  uint32_t length = htole32((uint32_t)bytes);
  if (bytes > PAGE_BYTES_MAX) { /* the row is refused, see hf_cli_parquet_row */
    to->bytes = SIZE_MAX;
    return;
  }
  hf_cli_bytes_add(&into->values, &length, sizeof length);
  hf_cli_bytes_add(&into->values, text, bytes);
}

/* ---- writing ---- */

static hf_cli_parquet_status put(hf_cli_parquet *to, const void *bytes, size_t count) {
  if (count > 0 && to->write(to->write_context, bytes, count) != 0)
    return HF_CLI_PARQUET_NOT_WRITTEN;
  to->offset += count;
  return HF_CLI_PARQUET_OK;
}

static int physical_type(hf_cli_parquet_type type) {
  switch (type) {
  case HF_CLI_PARQUET_BOOLEAN:
    return TYPE_BOOLEAN;
  case HF_CLI_PARQUET_INT64:
    return TYPE_INT64;
  case HF_CLI_PARQUET_DOUBLE:
    return TYPE_DOUBLE;
  case HF_CLI_PARQUET_TEXT:
    break;
  }
  return TYPE_BYTE_ARRAY;
}

/* Levels and values in one piece. */
static void make_page(hf_cli_parquet *to, column *of) {
  to->page.used = 0;
  if (!of->is.required) {
    add_levels(of, 0, to->rows - of->rows);
    end_run(of);
    uint32_t length = htole32((uint32_t)of->levels.used);
    hf_cli_bytes_add(&to->page, &length, sizeof length);
    hf_cli_bytes_add(&to->page, of->levels.data, of->levels.used);
  }
  hf_cli_bytes_add(&to->page, of->values.data, of->values.used);
  to->page.failed |= of->levels.failed | of->values.failed;
}

/* Compresses to->page into to->packed; 0 where that is not done. */
static int pack_page(hf_cli_parquet *to) {
#ifdef HF_WITH_SNAPPY
  size_t room = snappy_max_compressed_length(to->page.used);
  to->packed.used = 0;
  char *out = hf_cli_bytes_room(&to->packed, room);
  if (out == NULL || snappy_compress(to->page.data, to->page.used, out, &room) != SNAPPY_OK)
    return 0;
  to->packed.used = room;
  return 1;
#else
  (void)to;
  return 0;
#endif
}

typedef struct chunk {
  uint64_t at;
  uint64_t bytes;        /* with the page's header */
  uint64_t packed_bytes; /* the same, as it is stored */
  int codec;
} chunk;

static hf_cli_parquet_status write_page(hf_cli_parquet *to, column *of, chunk *ret_chunk) {
  hf_cli_bytes header = {0};
  make_page(to, of);
  int packed = !to->page.failed && pack_page(to);
  const hf_cli_bytes *body = packed ? &to->packed : &to->page;
  if (to->page.used > PAGE_BYTES_MAX || body->used > PAGE_BYTES_MAX)
    return HF_CLI_PARQUET_TOO_LONG;
  hf_cli_thrift at = {.out = &header};
  hf_cli_thrift_begin(&at);
  hf_cli_thrift_number(&at, 1, HF_CLI_THRIFT_I32, PAGE_DATA);
  hf_cli_thrift_number(&at, 2, HF_CLI_THRIFT_I32, (int64_t)to->page.used);
  hf_cli_thrift_number(&at, 3, HF_CLI_THRIFT_I32, (int64_t)body->used);
  hf_cli_thrift_struct(&at, 5);
  hf_cli_thrift_number(&at, 1, HF_CLI_THRIFT_I32, (int64_t)to->rows);
  hf_cli_thrift_number(&at, 2, HF_CLI_THRIFT_I32, ENCODING_PLAIN);
  hf_cli_thrift_number(&at, 3, HF_CLI_THRIFT_I32, ENCODING_RLE);
  hf_cli_thrift_number(&at, 4, HF_CLI_THRIFT_I32, ENCODING_RLE);
  hf_cli_thrift_end(&at);
  hf_cli_thrift_end(&at);
  *ret_chunk = (chunk){to->offset, header.used + to->page.used, header.used + body->used,
                       packed ? CODEC_SNAPPY : CODEC_NONE};
  hf_cli_parquet_status status = HF_CLI_PARQUET_NO_MEMORY;
  if (!header.failed && !to->page.failed)
    status = put(to, header.data, header.used);
  if (status == HF_CLI_PARQUET_OK)
    status = put(to, body->data, body->used);
  hf_cli_bytes_free(&header);
  return status;
}

static void tell_statistics(hf_cli_thrift *at, const column *of, uint64_t rows) {
  hf_cli_thrift_struct(at, 12);
  hf_cli_thrift_number(at, 3, HF_CLI_THRIFT_I64, (int64_t)(rows - of->set));
  if (of->is.type == HF_CLI_PARQUET_INT64 && of->set > 0) {
    uint64_t high = htole64((uint64_t)of->high);
    uint64_t low = htole64((uint64_t)of->low);
    hf_cli_thrift_binary(at, 5, &high, sizeof high);
    hf_cli_thrift_binary(at, 6, &low, sizeof low);
  }
  hf_cli_thrift_end(at);
}

static void tell_chunk(hf_cli_thrift *at, const column *of, const chunk *is, uint64_t rows) {
  hf_cli_thrift_begin(at);
  hf_cli_thrift_number(at, 2, HF_CLI_THRIFT_I64, (int64_t)is->at);
  hf_cli_thrift_struct(at, 3);
  hf_cli_thrift_number(at, 1, HF_CLI_THRIFT_I32, physical_type(of->is.type));
  hf_cli_thrift_list(at, 2, HF_CLI_THRIFT_I32, 2);
  hf_cli_thrift_element_number(at, ENCODING_PLAIN);
  hf_cli_thrift_element_number(at, ENCODING_RLE);
  hf_cli_thrift_list(at, 3, HF_CLI_THRIFT_BINARY, 1);
  hf_cli_thrift_element_text(at, of->is.name);
  hf_cli_thrift_number(at, 4, HF_CLI_THRIFT_I32, is->codec);
  hf_cli_thrift_number(at, 5, HF_CLI_THRIFT_I64, (int64_t)rows);
  hf_cli_thrift_number(at, 6, HF_CLI_THRIFT_I64, (int64_t)is->bytes);
  hf_cli_thrift_number(at, 7, HF_CLI_THRIFT_I64, (int64_t)is->packed_bytes);
  hf_cli_thrift_number(at, 9, HF_CLI_THRIFT_I64, (int64_t)is->at);
  tell_statistics(at, of, rows);
  hf_cli_thrift_end(at);
  hf_cli_thrift_end(at);
}

static void clear(column *of) {
  of->values.used = 0;
  of->levels.used = 0;
  of->rows = 0;
  of->run = 0;
  of->set = 0;
}

/* A column that was long once does not keep its memory for ever. */
static void let_go(column *of) {
  if (of->values.allocated > HF_CLI_PARQUET_GROUP_BYTES)
    hf_cli_bytes_free(&of->values);
}

static hf_cli_parquet_status write_group(hf_cli_parquet *to) {
  uint64_t began = to->offset;
  uint64_t bytes = 0;
  hf_cli_thrift at = {.out = &to->groups};
  if (to->rows == 0)
    return HF_CLI_PARQUET_OK;
  hf_cli_thrift_begin(&at);
  hf_cli_thrift_list(&at, 1, HF_CLI_THRIFT_STRUCT, to->count);
  for (size_t i = 0; i < to->count; i++) {
    chunk is;
    hf_cli_parquet_status status = write_page(to, &to->columns[i], &is);
    if (status != HF_CLI_PARQUET_OK)
      return status;
    tell_chunk(&at, &to->columns[i], &is, to->rows);
    bytes += is.bytes;
    clear(&to->columns[i]);
    let_go(&to->columns[i]);
  }
  hf_cli_thrift_number(&at, 2, HF_CLI_THRIFT_I64, (int64_t)bytes);
  hf_cli_thrift_number(&at, 3, HF_CLI_THRIFT_I64, (int64_t)to->rows);
  hf_cli_thrift_number(&at, 5, HF_CLI_THRIFT_I64, (int64_t)began);
  hf_cli_thrift_number(&at, 6, HF_CLI_THRIFT_I64, (int64_t)(to->offset - began));
  hf_cli_thrift_end(&at);
  to->groups_count++;
  to->rows_total += to->rows;
  to->rows = 0;
  to->bytes = 0;
  return to->groups.failed ? HF_CLI_PARQUET_NO_MEMORY : HF_CLI_PARQUET_OK;
}

hf_cli_parquet_status hf_cli_parquet_row(hf_cli_parquet *to) {
  if (to->bytes == SIZE_MAX)
    return HF_CLI_PARQUET_TOO_LONG;
  to->rows++;
  if (to->bytes >= HF_CLI_PARQUET_GROUP_BYTES || to->rows >= HF_CLI_PARQUET_GROUP_ROWS)
    return write_group(to);
  return HF_CLI_PARQUET_OK;
}

/* ---- the frame ---- */

hf_cli_parquet_status hf_cli_parquet_begin(const hf_cli_parquet_column *columns, size_t count,
                                           hf_write_fn write, void *write_context,
                                           hf_cli_parquet **ret_parquet) {
  hf_cli_parquet *to = calloc(1, sizeof *to);
  *ret_parquet = to;
  if (to == NULL)
    return HF_CLI_PARQUET_NO_MEMORY;
  to->write = write;
  to->write_context = write_context;
  to->columns = calloc(count, sizeof *to->columns);
  if (to->columns == NULL)
    return HF_CLI_PARQUET_NO_MEMORY;
  to->count = count;
  for (size_t i = 0; i < count; i++)
    to->columns[i].is = columns[i];
  return put(to, magic, strlen(magic));
}

void hf_cli_parquet_free(hf_cli_parquet **parquet) {
  hf_cli_parquet *to = *parquet;
  if (to == NULL)
    return;
  for (size_t i = 0; i < to->count; i++) {
    hf_cli_bytes_free(&to->columns[i].values);
    hf_cli_bytes_free(&to->columns[i].levels);
  }
  free(to->columns);
  hf_cli_bytes_free(&to->groups);
  hf_cli_bytes_free(&to->page);
  hf_cli_bytes_free(&to->packed);
  free(to);
  *parquet = NULL;
}

static void tell_column(hf_cli_thrift *at, const hf_cli_parquet_column *is) {
  hf_cli_thrift_begin(at);
  hf_cli_thrift_number(at, 1, HF_CLI_THRIFT_I32, physical_type(is->type));
  hf_cli_thrift_number(at, 3, HF_CLI_THRIFT_I32, is->required ? REQUIRED : OPTIONAL);
  hf_cli_thrift_text(at, 4, is->name);
  if (is->type == HF_CLI_PARQUET_TEXT) {
    hf_cli_thrift_number(at, 6, HF_CLI_THRIFT_I32, CONVERTED_UTF8);
    hf_cli_thrift_struct(at, 10); /* the logical type: */
    hf_cli_thrift_struct(at, 1);  /* a string */
    hf_cli_thrift_end(at);
    hf_cli_thrift_end(at);
  }
  hf_cli_thrift_end(at);
}

static void tell_pairs(hf_cli_thrift *at, const char *const *pairs) {
  size_t count = 0;
  while (pairs[2 * count] != NULL)
    count++;
  hf_cli_thrift_list(at, 5, HF_CLI_THRIFT_STRUCT, count);
  for (size_t i = 0; i < count; i++) {
    hf_cli_thrift_begin(at);
    hf_cli_thrift_text(at, 1, pairs[2 * i]);
    hf_cli_thrift_text(at, 2, pairs[2 * i + 1]);
    hf_cli_thrift_end(at);
  }
}

/* That statistics go by the natural order of the types. */
static void tell_orders(hf_cli_thrift *at, size_t count) {
  hf_cli_thrift_list(at, 7, HF_CLI_THRIFT_STRUCT, count);
  for (size_t i = 0; i < count; i++) {
    hf_cli_thrift_begin(at);
    hf_cli_thrift_struct(at, 1);
    hf_cli_thrift_end(at);
    hf_cli_thrift_end(at);
  }
}

static void make_footer(hf_cli_parquet *to, const char *const *pairs, hf_cli_bytes *out) {
  hf_cli_thrift at = {.out = out};
  hf_cli_thrift_begin(&at);
  hf_cli_thrift_number(&at, 1, HF_CLI_THRIFT_I32, 1);
  hf_cli_thrift_list(&at, 2, HF_CLI_THRIFT_STRUCT, to->count + 1);
  hf_cli_thrift_begin(&at);
  hf_cli_thrift_text(&at, 4, "holdfast");
  hf_cli_thrift_number(&at, 5, HF_CLI_THRIFT_I32, (int64_t)to->count);
  hf_cli_thrift_end(&at);
  for (size_t i = 0; i < to->count; i++)
    tell_column(&at, &to->columns[i].is);
  hf_cli_thrift_number(&at, 3, HF_CLI_THRIFT_I64, (int64_t)to->rows_total);
  hf_cli_thrift_list(&at, 4, HF_CLI_THRIFT_STRUCT, to->groups_count);
  hf_cli_bytes_add(out, to->groups.data, to->groups.used);
  tell_pairs(&at, pairs);
  hf_cli_thrift_text(&at, 6, "holdfast version " HF_VERSION);
  tell_orders(&at, to->count);
  hf_cli_thrift_end(&at);
  if (out->used <= PAGE_BYTES_MAX) {
    uint32_t length = htole32((uint32_t)out->used);
    hf_cli_bytes_add(out, &length, sizeof length);
  }
  hf_cli_bytes_text(out, magic);
}

hf_cli_parquet_status hf_cli_parquet_end(hf_cli_parquet *to, const char *const *pairs) {
  hf_cli_parquet_status status = write_group(to);
  if (status != HF_CLI_PARQUET_OK)
    return status;
  hf_cli_bytes footer = {0};
  make_footer(to, pairs, &footer);
  if (footer.used > PAGE_BYTES_MAX)
    status = HF_CLI_PARQUET_TOO_LONG;
  else
    status = footer.failed ? HF_CLI_PARQUET_NO_MEMORY : put(to, footer.data, footer.used);
  hf_cli_bytes_free(&footer);
  return status;
}
