/* Bytes that grow. */
#ifndef HF_CLI_BYTES_H
#define HF_CLI_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* Zero-initialise. */
typedef struct hf_cli_bytes {
  char *data;
  size_t used;
  size_t allocated;
  int failed; /* 1: memory ran out; sticks, later additions do nothing. Check once, at the end */
} hf_cli_bytes;

/* Room for so many more behind what is used; NULL: memory ran out. */
char *hf_cli_bytes_room(hf_cli_bytes *to, size_t more);

void hf_cli_bytes_add(hf_cli_bytes *to, const void *bytes, size_t count);
void hf_cli_bytes_text(hf_cli_bytes *to, const char *text);

/* A text with its terminating NUL, which is not counted as used. */
const char *hf_cli_bytes_string(hf_cli_bytes *to);

void hf_cli_bytes_free(hf_cli_bytes *to); /* frees and zeroes */

#endif
