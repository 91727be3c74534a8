/* A growing byte buffer with a bound, and memory that frees itself. */
#ifndef HF_BASE_BUF_H
#define HF_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise ({0}); bytes_max 0 means HF_BUF_BYTES_MAX. data is always NUL-terminated once
 * something was added. */
typedef struct hf_buf {
  char *data;
  size_t used;      /* without the terminating NUL */
  size_t allocated; /* with it */
  size_t bytes_max;
  /* a status (HF_ENOMEM, HF_ELIMIT) that sticks: later additions do nothing. Check once, at the end
   */
  int failed;
} hf_buf;

#define HF_BUF_BYTES_MAX ((size_t)1 << 40)

void hf_buf_free(hf_buf *buf); /* frees and zeroes; keeps bytes_max */
#define hf_autobuf __attribute__((cleanup(hf_buf_free))) hf_buf

int hf_buf_reserve(hf_buf *buf, size_t more); /* 0, or buf->failed */
int hf_buf_add(hf_buf *buf, const void *bytes, size_t count);
int hf_buf_add_text(hf_buf *buf, const char *text);
int hf_buf_add_char(hf_buf *buf, char c);
int hf_buf_printf(hf_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void hf_buf_clear(hf_buf *buf); /* used = 0, failed = 0; keeps the memory */
char *hf_buf_take(hf_buf *buf); /* the caller frees; NULL where failed or nothing was ever added */

void hf_free_cleanup(void *pointer_to_pointer);
#define hf_autofree __attribute__((cleanup(hf_free_cleanup)))

/* Takes a pointer out of a variable that would free it. */
#define hf_take(pointer)                                                                           \
  __extension__({                                                                                  \
    __typeof__(pointer) hf_taken = (pointer);                                                      \
    (pointer) = NULL;                                                                              \
    hf_taken;                                                                                      \
  })

#endif
