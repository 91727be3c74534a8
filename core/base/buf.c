#include "buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/error.h>

#include "banned.h"

enum { BUF_FIRST_BYTES = 256 };

void hf_buf_free(hf_buf *buf) {
  free(buf->data);
  buf->data = NULL;
  buf->used = 0;
  buf->allocated = 0;
  buf->failed = 0;
}

int hf_buf_reserve(hf_buf *buf, size_t more) {
  if (buf->failed != 0)
    return buf->failed;
  size_t bytes_max = buf->bytes_max != 0 ? buf->bytes_max : HF_BUF_BYTES_MAX;
  if (more > bytes_max || buf->used > bytes_max - more)
    return buf->failed = HF_ELIMIT;
  size_t need = buf->used + more + 1;
  if (need <= buf->allocated)
    return 0;
  size_t grown = buf->allocated < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : buf->allocated * 2;
  if (grown < need)
    grown = need;
  char *data = realloc(buf->data, grown);
  if (data == NULL)
    return buf->failed = HF_ENOMEM;
  buf->data = data;
  buf->allocated = grown;
  return 0;
}

int hf_buf_add(hf_buf *buf, const void *bytes, size_t count) {
  if (hf_buf_reserve(buf, count) != 0)
    return buf->failed;
  if (count > 0)
    memcpy(buf->data + buf->used, bytes, count);
  buf->used += count;
  buf->data[buf->used] = '\0';
  return 0;
}

int hf_buf_add_text(hf_buf *buf, const char *text) {
  return hf_buf_add(buf, text, strlen(text));
}

int hf_buf_add_char(hf_buf *buf, char c) {
  return hf_buf_add(buf, &c, 1);
}

int hf_buf_printf(hf_buf *buf, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int count = vsnprintf(NULL, 0, format, args);
  va_end(args);
  if (count < 0)
    return buf->failed = HF_EINTERNAL;
  if (hf_buf_reserve(buf, (size_t)count) != 0)
    return buf->failed;
  va_start(args, format);
  (void)vsnprintf(buf->data + buf->used, (size_t)count + 1, format, args);
  va_end(args);
  buf->used += (size_t)count;
  return 0;
}

void hf_buf_clear(hf_buf *buf) {
  buf->used = 0;
  buf->failed = 0;
}

char *hf_buf_take(hf_buf *buf) {
  if (buf->failed != 0)
    return NULL;
  char *data = buf->data;
  buf->data = NULL;
  buf->used = 0;
  buf->allocated = 0;
  return data;
}

void hf_free_cleanup(void *pointer_to_pointer) {
  void **pointer = pointer_to_pointer;
  free(*pointer);
  *pointer = NULL;
}
