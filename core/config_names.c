#include "config.h"

#include <string.h>

#include <holdfast/locker.h>

#include "banned.h"

enum { NAME_BYTES_MAX = 64, EDITS_MAX = 2 };

int hf_config_is_scheme(const char *scheme) {
  return strcmp(scheme, "redis") == 0 || hf_locker_find(scheme) != NULL;
}

const char *hf_config_scheme_absence(const char *scheme) {
  return strcmp(scheme, "redis") == 0 ? "is not in this program, which was built without hiredis"
                                      : "is not in this program";
}

static size_t least(size_t a, size_t b, size_t c) {
  size_t low = a < b ? a : b;
  return low < c ? low : c;
}

/* The number of characters to insert, to delete or to change (Levenshtein). */
static size_t edits(const char *from, const char *to) {
  size_t row[NAME_BYTES_MAX + 1];
  size_t from_bytes = strlen(from), to_bytes = strlen(to);
  if (from_bytes > NAME_BYTES_MAX || to_bytes > NAME_BYTES_MAX)
    return SIZE_MAX;
  for (size_t j = 0; j <= to_bytes; j++)
    row[j] = j;
  for (size_t i = 1; i <= from_bytes; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= to_bytes; j++) {
      size_t above = row[j];
      row[j] = least(above + 1, row[j - 1] + 1, diagonal + (from[i - 1] != to[j - 1]));
      diagonal = above;
    }
  }
  return row[to_bytes];
}

const char *hf_config_nearest(const char *name, const char *const *names) {
  const char *nearest = NULL;
  size_t fewest = EDITS_MAX + 1;
  for (size_t i = 0; names[i] != NULL; i++) {
    size_t count = edits(name, names[i]);
    if (count < fewest && count < strlen(names[i])) {
      fewest = count;
      nearest = names[i];
    }
  }
  return nearest;
}
