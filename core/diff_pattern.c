/* Patterns: a JSON Pointer in which '*' stands for any characters of one name and the name '**' for
 * any number of names; without '/' before it, a member's name wherever it stands. They are matched
 * as they are written: comparisons are made often, and for a few values each. */
#include "diff_rules.h"

#include <string.h>

#include "banned.h"

/* The character at *at, and one further: "~0" is '~', "~1" is '/'. */
static char take_char(const char **at) {
  const char *p = *at;
  if (*p != '~') {
    *at = p + 1;
    return *p;
  }
  *at = p + 2;
  return p[1] == '0' ? '~' : '/';
}

/* How many characters of a name the piece of a pattern from p to end takes, a '*' none. */
static size_t bytes_of_name(const char *p, const char *end) {
  size_t bytes = 0;
  while (p < end) {
    (void)take_char(&p);
    bytes++;
  }
  return bytes;
}

/* Does the piece of a pattern from p to end stand for this name? Where a '*' has taken too few
 * characters it takes one more; only the last one that was met need be tried again, and not where
 * no other one follows: then it leaves just what stands behind it. */
static int matches_name(const char *p, const char *end, const hf_name *name) {
  const char *behind_star = NULL;
  size_t at = 0, star_at = 0;
  for (;;) {
    if (p < end && *p == '*') {
      behind_star = ++p;
      star_at = at;
      if (memchr(p, '*', (size_t)(end - p)) == NULL) {
        size_t left = bytes_of_name(p, end);
        if (name->bytes - at < left)
          return 0;
        at = name->bytes - left;
        star_at = name->bytes;
      }
      continue;
    }
    if (p == end && at == name->bytes)
      return 1;
    if (p < end && at < name->bytes) {
      const char *next = p;
      if (take_char(&next) == name->text[at]) {
        p = next;
        at++;
        continue;
      }
    }
    if (behind_star == NULL || star_at == name->bytes)
      return 0;
    p = behind_star;
    at = ++star_at;
  }
}

static const char *piece_end(const char *p) {
  return p + strcspn(p, "/");
}

/* Do the last names fit what stands behind the last "**"? They seldom do, and the first that is
 * looked at is the last name, so that long paths cost nothing. */
static int matches_end(const char *pattern, const hf_name *names, size_t count) {
  const char *end = pattern + strlen(pattern);
  while (count > 0) {
    const char *p = end;
    while (p > pattern && p[-1] != '/')
      p--;
    if (p == pattern || (end - p == 2 && p[0] == '*' && p[1] == '*'))
      return 1;
    if (!matches_name(p, end, &names[--count]))
      return 0;
    end = p - 1;
  }
  return 1; /* too short, perhaps */
}

int hf_pattern_matches(const char *pattern, const hf_name *names, size_t count) {
  if (pattern[0] != '/' && pattern[0] != '\0')
    return count > 0 && matches_name(pattern, pattern + strlen(pattern), &names[count - 1]);
  if (!matches_end(pattern, names, count))
    return 0;
  const char *p = pattern, *behind_stars = NULL;
  size_t at = 0, stars_at = 0;
  for (;;) { /* p is at a '/' or at the end; as in matches_name, name by name */
    if (p[0] == '/' && p[1] == '*' && p[2] == '*' && (p[3] == '/' || p[3] == '\0')) {
      p += 3;
      behind_stars = p;
      stars_at = at;
      continue;
    }
    if (*p == '\0' && at == count)
      return 1;
    if (*p == '/' && at < count && matches_name(p + 1, piece_end(p + 1), &names[at])) {
      p = piece_end(p + 1);
      at++;
      continue;
    }
    if (behind_stars == NULL || stars_at == count)
      return 0;
    p = behind_stars;
    at = ++stars_at;
  }
}

const char *hf_pattern_fault(const char *pattern, size_t bytes) {
  if (bytes == 0)
    return "is empty; \"/**\" stands for everything";
  if (bytes > HF_COMPARE_PATTERN_BYTES_MAX)
    return "is longer than 1024 bytes";
  if (memchr(pattern, '\0', bytes) != NULL)
    return "holds a NUL character";
  if (pattern[0] != '/' && memchr(pattern, '/', bytes) != NULL)
    return "holds '/' and does not begin with it: write /inputs/features from the top, **/NAME as "
           "NAME alone, and '/' in a name as ~1";
  for (size_t i = 0; i < bytes; i++)
    if (pattern[i] == '~' && (i + 1 == bytes || (pattern[i + 1] != '0' && pattern[i + 1] != '1')))
      return "holds a '~' that is not written ~0 (and '/' in a name as ~1)";
  for (size_t i = 0; i + 1 < bytes; i++) {
    int alone_before = i == 0 || pattern[i - 1] == '/';
    int alone_behind = i + 2 == bytes || pattern[i + 2] == '/';
    if (pattern[i] == '*' && pattern[i + 1] == '*' &&
        (pattern[0] != '/' || !alone_before || !alone_behind))
      return "holds '**' that is not a whole name of a pattern that begins with '/'";
  }
  return NULL;
}
