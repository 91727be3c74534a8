/* Parsing of /proc/self/mountinfo (proc(5)):
 *
 *     36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
 *     id parent dev root point options [tags ...] - type source super-options */
#include "fs.h"

#include <string.h>

#include "banned.h"

enum { FIELDS_MAX = 64, FIELD_ID = 0, FIELD_POINT = 4, FIELD_OPTIONS = 5, FIELD_TAGS = 6 };

/* Splits at blanks. Returns how many fields there are, at most FIELDS_MAX. */
static size_t split(const char *line, size_t bytes, hf_slice fields[FIELDS_MAX]) {
  size_t count = 0, at = 0;
  while (at < bytes && count < FIELDS_MAX) {
    size_t end = at;
    while (end < bytes && line[end] != ' ')
      end++;
    fields[count++] = (hf_slice){line + at, end - at};
    at = end + 1;
  }
  return count;
}

static int is_text(hf_slice slice, const char *text) {
  return slice.bytes == strlen(text) && memcmp(slice.text, text, slice.bytes) == 0;
}

static int parse_id(hf_slice slice, int64_t *ret_id) {
  int64_t id = 0;
  if (slice.bytes == 0 || slice.bytes > 18)
    return -1;
  for (size_t i = 0; i < slice.bytes; i++) {
    if (slice.text[i] < '0' || slice.text[i] > '9')
      return -1;
    id = id * 10 + (slice.text[i] - '0');
  }
  *ret_id = id;
  return 0;
}

static int parse_line(const char *line, size_t bytes, hf_mount *ret_mount) {
  hf_slice fields[FIELDS_MAX];
  size_t count = split(line, bytes, fields), dash = FIELD_TAGS;
  while (dash < count && !is_text(fields[dash], "-"))
    dash++;
  if (dash + 2 >= count || parse_id(fields[FIELD_ID], &ret_mount->id) != 0)
    return -1;
  ret_mount->point = fields[FIELD_POINT];
  ret_mount->options = fields[FIELD_OPTIONS];
  ret_mount->type = fields[dash + 1];
  ret_mount->source = fields[dash + 2];
  ret_mount->super_options = dash + 3 < count ? fields[dash + 3] : (hf_slice){"", 0};
  return 0;
}

static int octal_digit(char c) {
  return c >= '0' && c <= '7' ? c - '0' : -1;
}

/* The byte at *at, which moves behind it. */
static char decode_byte(hf_slice slice, size_t *at) {
  char c = slice.text[(*at)++];
  if (c != '\\' || slice.bytes - *at < 3)
    return c;
  int high = octal_digit(slice.text[*at]);
  int middle = octal_digit(slice.text[*at + 1]);
  int low = octal_digit(slice.text[*at + 2]);
  if (high < 0 || high > 3 || middle < 0 || low < 0)
    return c;
  *at += 3;
  return (char)(high * 64 + middle * 8 + low);
}

int hf_mount_decode(hf_slice slice, char *out, size_t out_bytes) {
  size_t used = 0, at = 0;
  while (at < slice.bytes && used + 1 < out_bytes)
    out[used++] = decode_byte(slice, &at);
  out[used] = '\0';
  return at == slice.bytes;
}

/* How many bytes of `path` the mount point covers; 0: it is not above the path. */
static size_t covers(hf_slice point, const char *path) {
  size_t used = 0, at = 0;
  while (at < point.bytes) {
    if (path[used] == '\0' || decode_byte(point, &at) != path[used])
      return 0;
    used++;
  }
  int is_root = used == 1 && path[0] == '/';
  return is_root || path[used] == '\0' || path[used] == '/' ? used : 0;
}

int hf_mountinfo_find(const char *text, size_t bytes, int64_t id, const char *path,
                      hf_mount *ret_mount) {
  size_t longest = 0;
  for (size_t at = 0; at < bytes;) {
    const char *newline = memchr(text + at, '\n', bytes - at);
    size_t end = newline != NULL ? (size_t)(newline - text) : bytes;
    hf_mount mount;
    if (parse_line(text + at, end - at, &mount) == 0) {
      if (id >= 0 && mount.id == id) {
        *ret_mount = mount;
        return 1;
      }
      size_t covered = id < 0 ? covers(mount.point, path) : 0;
      if (covered > 0 && covered >= longest) {
        longest = covered;
        *ret_mount = mount;
      }
    }
    at = end + 1;
  }
  return longest > 0;
}

int hf_mount_option(hf_slice options, const char *name, hf_slice *ret_value) {
  size_t name_bytes = strlen(name);
  for (size_t at = 0; at < options.bytes;) {
    const char *option = options.text + at;
    const char *comma = memchr(option, ',', options.bytes - at);
    size_t count = comma != NULL ? (size_t)(comma - option) : options.bytes - at;
    if (count >= name_bytes && memcmp(option, name, name_bytes) == 0) {
      *ret_value = (hf_slice){option + count, 0};
      if (count == name_bytes)
        return 1;
      if (option[name_bytes] == '=') {
        *ret_value = (hf_slice){option + name_bytes + 1, count - name_bytes - 1};
        return 1;
      }
    }
    at += count + 1;
  }
  return 0;
}
