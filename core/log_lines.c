#include <stdio.h>
#include <string.h>

#include "log.h"

#include "banned.h"

enum { SEQ_DIGITS = 20 };

void hf_log_name(uint64_t seq, char name[HF_LOG_NAME_BYTES]) {
  (void)snprintf(name, HF_LOG_NAME_BYTES, "%020llu.json", (unsigned long long)seq);
}

uint64_t hf_log_seq_of_name(const char *name) {
  uint64_t seq = 0;
  for (int i = 0; i < SEQ_DIGITS; i++) {
    if (name[i] < '0' || name[i] > '9')
      return 0;
    uint64_t digit = (uint64_t)(name[i] - '0');
    if (seq > (UINT64_MAX - digit) / 10)
      return 0;
    seq = seq * 10 + digit;
  }
  return strcmp(name + SEQ_DIGITS, ".json") == 0 ? seq : 0;
}

/* The lines as the newlines part them; 0 where there are more than fit. */
static size_t cut(const char *text, size_t bytes, hf_lines *lines) {
  size_t count = 0;
  size_t start = 0;
  while (start < bytes) {
    if (count == HF_BATCH_MAX)
      return 0;
    const char *end = memchr(text + start, '\n', bytes - start);
    size_t stop = end != NULL ? (size_t)(end - text) : bytes;
    hf_line line;
    lines->line[count].offset = (uint32_t)start;
    lines->line[count].bytes = (uint32_t)(stop - start);
    /* without its newline a line was cut short, whatever its crc */
    lines->line[count].intact = end != NULL && stop - start <= HF_LINE_BYTES_MAX &&
                                hf_line_decode(text + start, stop - start, &line, NULL) == HF_OK;
    count++;
    start = stop + 1;
  }
  return count;
}

void hf_lines_split(const char *text, size_t bytes, size_t expected, hf_lines *ret_lines) {
  size_t count = bytes <= HF_LOG_FILE_BYTES_MAX ? cut(text, bytes, ret_lines) : 0;
  if (expected == 0)
    expected = count == 0 ? 1 : count;
  ret_lines->count = expected;
  if (count == expected)
    return;
  /* A newline was lost or gained: count the intact ones from the front and from the back. */
  size_t front = 0;
  while (front < count && front < expected && ret_lines->line[front].intact)
    front++;
  size_t back = 0;
  while (back < count - front && back < expected - front &&
         ret_lines->line[count - 1 - back].intact)
    back++;
  /* to their places; upwards or downwards, never over one unread */
  for (size_t i = 0; i < back; i++)
    if (expected > count)
      ret_lines->line[expected - 1 - i] = ret_lines->line[count - 1 - i];
  if (expected < count)
    memmove(&ret_lines->line[expected - back], &ret_lines->line[count - back],
            back * sizeof ret_lines->line[0]);
  for (size_t i = front; i < expected - back; i++) {
    ret_lines->line[i].offset = 0;
    ret_lines->line[i].bytes = 0;
    ret_lines->line[i].intact = 0;
  }
}
