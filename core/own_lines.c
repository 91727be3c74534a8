#include "own_lines.h"

#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "tile.h"

#include "banned.h"

struct hf_own_file {
  hf_own_file *next;
  uint64_t first;
  size_t lines;
  size_t bytes;
  char text[];
};

void hf_own_begin(hf_own_lines *own) {
  (void)pthread_mutex_init(&own->mutex, NULL); /* does not fail on Linux */
}

/* The mutex is held. */
static void forget_first(hf_own_lines *own) {
  hf_own_file *file = own->first;
  own->first = file->next;
  if (own->first == NULL)
    own->last = NULL;
  own->bytes -= file->bytes;
  free(file);
}

void hf_own_free(hf_own_lines *own, int has_mutex) {
  while (own->first != NULL)
    forget_first(own);
  if (has_mutex)
    (void)pthread_mutex_destroy(&own->mutex);
}

void hf_own_keep(hf_own_lines *own, uint64_t first, size_t lines, const char *text, size_t bytes,
                 uint64_t tiles) {
  (void)pthread_mutex_lock(&own->mutex);
  while (own->first != NULL && hf_tile_of(own->first->first) < tiles)
    forget_first(own);
  hf_own_file *file = NULL;
  if (lines <= HF_OWN_LINES_MAX && own->bytes + bytes <= HF_OWN_BYTES_MAX &&
      (own->last == NULL || own->last->first < first))
    file = malloc(sizeof *file + bytes);
  if (file != NULL) {
    *file = (hf_own_file){.first = first, .lines = lines, .bytes = bytes};
    memcpy(file->text, text, bytes);
    if (own->last != NULL)
      own->last->next = file;
    else
      own->first = file;
    own->last = file;
    own->bytes += bytes;
  }
  (void)pthread_mutex_unlock(&own->mutex);
}

int hf_own_add(hf_own_lines *own, uint64_t first, hf_buf *out) {
  int status = 0;
  (void)pthread_mutex_lock(&own->mutex);
  const hf_own_file *file = own->first;
  while (file != NULL && file->first < first)
    file = file->next;
  if (file != NULL && file->first == first)
    status = hf_buf_add(out, file->text, file->bytes) == 0 ? 1 : HF_ENOMEM;
  (void)pthread_mutex_unlock(&own->mutex);
  return status;
}

size_t hf_own_count(hf_own_lines *own, uint64_t tile) {
  size_t count = 0;
  (void)pthread_mutex_lock(&own->mutex);
  for (const hf_own_file *file = own->first; file != NULL; file = file->next)
    if (hf_tile_of(file->first) == tile)
      count += file->lines;
  (void)pthread_mutex_unlock(&own->mutex);
  return count;
}
