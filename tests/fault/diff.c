/* hf_diff and hf_diff_patch in a build with the planted bugs.
 *
 *     diff [--case NAME]    collide: hashes of few bits, so that many values have one
 *                           decimals: differences that a double does not tell from the tolerance
 *                           lists: a patch of a list, step by step */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/diff.h>

#include "plant.h"

enum { VALUES = 60, DOC_BYTES = 65536 };

static int failures;

static void check(int holds, const char *what, const char *shown) {
  if (holds)
    return;
  printf("FAILED: %s: %s\n", what, shown);
  failures++;
}

static uint64_t changes(const char *a, const char *b) {
  hf_record x = {.seq = 1, .op = "save", .run_id = "a", .doc = a, .doc_bytes = strlen(a)};
  hf_record y = {.seq = 2, .op = "save", .run_id = "b", .doc = b, .doc_bytes = strlen(b)};
  hf_diff_result *result = NULL;
  hf_error error = HF_ERROR_INIT;
  if (hf_diff(&x, &y, NULL, &result, &error) != HF_OK) {
    printf("FAILED: hf_diff: %s\n", error.message);
    exit(1);
  }
  uint64_t count = hf_diff_summary_of(result)->changes;
  hf_diff_free(&result);
  return count;
}

/* Members v0 to v59, in either order, of which the one numbered `changed` has another value; the
 * same values as a list and as a set. */
static void write_doc(char *text, int changed, int backward) {
  size_t used = 0;
  const char *const heads[] = {"{\"o\":{\"x\":0", "},\"l\":[0", "],\"tags\":[0"};
  for (size_t part = 0; part < 3; part++) {
    used += (size_t)snprintf(text + used, DOC_BYTES - used, "%s", heads[part]);
    for (int i = 0; i < VALUES; i++) {
      int at = backward && part != 1 ? VALUES - 1 - i : i;
      int value = at == changed ? at + 1000 : at;
      used += part == 0
                  ? (size_t)snprintf(text + used, DOC_BYTES - used, ",\"v%d\":[%d]", at, value)
                  : (size_t)snprintf(text + used, DOC_BYTES - used, ",\"%d\"", value);
    }
  }
  (void)snprintf(text + used, DOC_BYTES - used, "]}");
}

/* Whatever the hashes: equal is equal, and one change is one. */
static void collide(void) {
  static char a[DOC_BYTES], b[DOC_BYTES];
  for (unsigned bits = 1; bits <= 8; bits++) {
    hf_test_hash_bits = bits;
    write_doc(a, -1, 0);
    write_doc(b, -1, 1);
    check(changes(a, b) == 0, "equal documents", "they differ");
    for (int i = 0; i < VALUES; i++) {
      write_doc(b, i, 1);
      uint64_t count = changes(a, b);
      char shown[64];
      (void)snprintf(shown, sizeof shown, "%u bits, member %d: %llu changes", bits, i,
                     (unsigned long long)count);
      /* the member, the element of the set (out and in), and of the list at least one */
      check(count >= 4, "each change is told", shown);
    }
  }
  hf_test_hash_bits = 64;
}

static void decimals(void) {
  static const struct {
    const char *a, *b;
    uint64_t count;
  } pairs[] = {
      {"{\"x\":9007199254740992}", "{\"x\":9007199254740993}", 1},
      {"{\"x\":0.1}", "{\"x\":0.100001}", 1},
      {"{\"x\":0.2}", "{\"x\":0.200001}", 1},
      {"{\"x\":1}", "{\"x\":1.0000009999999999999999}", 0},
      {"{\"x\":1e400}", "{\"x\":1e401}", 1},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
    check(changes(pairs[i].a, pairs[i].b) == pairs[i].count, "exact decimals", pairs[i].b);
}

static void lists(void) {
  static const char a[] = "[1,2,3,4,5]", b[] = "[0,2,5,6]";
  static const char wanted[] =
      "[{\"op\":\"add\",\"path\":\"/5\",\"value\":6},{\"op\":\"remove\",\"path\":\"/3\"},"
      "{\"op\":\"remove\",\"path\":\"/2\"},{\"op\":\"replace\",\"path\":\"/0\",\"value\":0}]";
  char *patch = NULL;
  size_t bytes = 0;
  if (hf_diff_patch(a, sizeof a - 1, b, sizeof b - 1, &patch, &bytes, NULL) != HF_OK)
    exit(1);
  check(strcmp(patch, wanted) == 0, "a patch from the end to the beginning", patch);
  free(patch);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"collide", collide}, {"decimals", decimals}, {"lists", lists}};
  const char *only = argc == 3 && strcmp(argv[1], "--case") == 0 ? argv[2] : NULL;
  int ran = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (only != NULL && strcmp(only, cases[i].name) != 0)
      continue;
    cases[i].run();
    ran++;
  }
  if (ran == 0 || (argc > 1 && only == NULL)) {
    (void)fprintf(stderr, "diff: no such case\n");
    return 2;
  }
  printf("%d cases, %d failures\n", ran, failures);
  return failures == 0 ? 0 : 1;
}
