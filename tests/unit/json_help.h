/* What the tests of the JSON checker share. */
#ifndef HF_TESTS_JSON_HELP_H
#define HF_TESTS_JSON_HELP_H

#include <check.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define BYTES(literal) literal, sizeof(literal) - 1

enum { NESTING_MAX = 512 };

/* A copy in memory of exactly its length, so that sanitizers see a read behind it. The caller
 * frees. */
static inline char *exact(const char *text, size_t bytes) {
  char *copy = malloc(bytes);
  if (bytes > 0)
    memcpy(copy, text, bytes);
  return copy;
}

static inline int check_flags(const char *text, size_t bytes, unsigned flags, hf_buf *out,
                              uint64_t *nan, hf_error *reterr) {
  char *copy = exact(text, bytes);
  int status = hf_json_check(copy, bytes, flags, NESTING_MAX, out, nan, reterr);
  free(copy);
  return status;
}

static inline int check_text(const char *text, size_t bytes, hf_buf *out) {
  return check_flags(text, bytes, 0, out, NULL, NULL);
}

/* Writes the bytes so that a failing test's message can be read. */
static inline const char *readable(const char *text, size_t bytes) {
  static char shown[4096];
  size_t used = 0;
  for (size_t i = 0; i < bytes && used + 8 < sizeof shown; i++) {
    unsigned char c = (unsigned char)text[i];
    int plain = c >= 0x20 && c < 0x7f;
    used += (size_t)snprintf(shown + used, sizeof shown - used, plain ? "%c" : "<%02x>", c);
  }
  shown[used] = '\0';
  return shown;
}

static inline int run_suite(Suite *suite) {
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}

#endif
