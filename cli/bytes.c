#include "bytes.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BYTES = 256 };

char *hf_cli_bytes_room(hf_cli_bytes *to, size_t more) {
  if (to->failed || more > SIZE_MAX / 4 - to->used)
    to->failed = 1;
  if (to->failed)
    return NULL;
  if (to->used + more > to->allocated) {
    size_t grown = to->allocated < FIRST_BYTES ? FIRST_BYTES : to->allocated * 2;
    if (grown < to->used + more)
      grown = to->used + more;
    char *data = realloc(to->data, grown);
    if (data == NULL) {
      to->failed = 1;
      return NULL;
    }
    to->data = data;
    to->allocated = grown;
  }
  return to->data + to->used;
}

void hf_cli_bytes_add(hf_cli_bytes *to, const void *bytes, size_t count) {
  char *room = count > 0 ? hf_cli_bytes_room(to, count) : NULL;
  if (room == NULL)
    return;
  memcpy(room, bytes, count);
  to->used += count;
}

void hf_cli_bytes_text(hf_cli_bytes *to, const char *text) {
  hf_cli_bytes_add(to, text, strlen(text));
}

const char *hf_cli_bytes_string(hf_cli_bytes *to) {
  char *room = hf_cli_bytes_room(to, 1);
  if (room == NULL)
    return NULL;
  *room = '\0';
  return to->data;
}

void hf_cli_bytes_free(hf_cli_bytes *to) {
  free(to->data);
  memset(to, 0, sizeof *to);
}
