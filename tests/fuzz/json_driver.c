/* What json_differential.py asks the JSON code: frames on stdin, an answer to each on stdout.
 *
 *   frame:  4 bytes length (little-endian), the bytes
 *   answer: 4 bytes status (as a negative number); where it is 0, two texts, each with its length
 *           before it: without white space, and canonical */
#include "json.h"

#include <endian.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"

enum { NESTING_MAX = 512, FRAME_BYTES_MAX = 1 << 26 };

static int write_all(const void *bytes, size_t count) {
  return fwrite(bytes, 1, count, stdout) == count ? 0 : -1;
}

static int write_number(uint32_t number) {
  uint32_t little = htole32(number);
  return write_all(&little, sizeof little);
}

static int write_text(const hf_buf *text) {
  return write_number((uint32_t)text->used) != 0 ? -1 : write_all(text->data, text->used);
}

static int answer(const char *text, size_t count) {
  hf_autobuf out = {0}, canonical = {0};
  int status = hf_json_check(text, count, 0, NESTING_MAX, &out, NULL, NULL);
  if (write_number((uint32_t)status) != 0)
    return -1;
  if (status == HF_OK) {
    hf_json value = hf_json_value(text, count);
    if (hf_json_canonical(&value, &canonical) != 0)
      return -1;
    if (write_text(&out) != 0 || write_text(&canonical) != 0)
      return -1;
  }
  return fflush(stdout);
}

int main(void) {
  for (;;) {
    uint32_t little = 0;
    if (fread(&little, 1, sizeof little, stdin) != sizeof little)
      return feof(stdin) ? 0 : 1;
    size_t count = le32toh(little);
    char *text = count <= FRAME_BYTES_MAX ? malloc(count) : NULL;
    if (count > 0 && text == NULL)
      return 1;
    int failed = fread(text, 1, count, stdin) != count || answer(text, count) != 0;
    free(text);
    if (failed)
      return 1;
  }
}
