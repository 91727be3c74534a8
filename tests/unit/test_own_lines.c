/* What a handle keeps of its own records for its packer: bounded, in order, forgotten behind a
 * tile. */
#include "own_lines.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "file_help.h"
#include "key.h"

enum { T = HF_TILE_RECORDS };

static hf_own_lines own;

static void begin(void) {
  memset(&own, 0, sizeof own);
  hf_own_begin(&own);
}

static void end(void) {
  hf_own_free(&own, 1);
  ck_assert_uint_eq(own.bytes, 0);
}

static void keep(uint64_t first, const char *text, uint64_t tiles) {
  hf_own_keep(&own, first, 1, text, strlen(text), tiles);
}

/* "": it is not kept */
static void is_kept(uint64_t first, const char *text) {
  hf_autobuf out = {0};
  ck_assert_int_eq(hf_own_add(&own, first, &out), text[0] != '\0');
  ck_assert_str_eq(out.data != NULL ? out.data : "", text);
}

START_TEST(gives_whole_files) {
  keep(1, "one\n", 0);
  keep(3, "three\n", 0);
  is_kept(1, "one\n");
  is_kept(2, "");
  is_kept(3, "three\n");
  hf_own_keep(&own, 4, 2, "four\nfive\n", 10, 0);
  is_kept(4, "four\nfive\n");
  ck_assert_uint_eq(hf_own_count(&own, 0), 4);
  ck_assert_uint_eq(hf_own_count(&own, 1), 0);
}
END_TEST

START_TEST(the_first_word_stands) {
  keep(5, "five\n", 0);
  keep(5, "again\n", 0);
  keep(4, "four\n", 0);
  is_kept(5, "five\n");
  is_kept(4, "");
}
END_TEST

START_TEST(forgets_what_tiles_cover) {
  keep(T, "last\n", 0);
  keep(T + 1, "first\n", 0);
  keep(T + 2, "second\n", 1);
  is_kept(T, "");
  is_kept(T + 1, "first\n");
  ck_assert_uint_eq(hf_own_count(&own, 1), 2);
  keep(2 * T + 1, "third tile\n", 2);
  is_kept(T + 2, "");
  ck_assert_uint_eq(own.bytes, strlen("third tile\n"));
}
END_TEST

START_TEST(has_a_bound) {
  size_t bytes = HF_OWN_BYTES_MAX / 4;
  char *text = calloc(1, bytes);
  hf_autobuf out = {0};
  ck_assert_ptr_nonnull(text);
  for (uint64_t seq = 1; seq <= 6; seq++)
    hf_own_keep(&own, seq, 1, text, bytes, 0);
  ck_assert_uint_eq(own.bytes, HF_OWN_BYTES_MAX);
  for (uint64_t seq = 1; seq <= 6; seq++) /* the oldest are packed first */
    ck_assert_int_eq(hf_own_add(&own, seq, &out), seq <= 4);
  hf_own_keep(&own, T + 1, HF_OWN_LINES_MAX + 1, "many\n", 5, 1);
  is_kept(T + 1, "");
  ck_assert_uint_eq(own.bytes, 0);
  free(text);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("own lines");
  TCase *lines = tcase_create("lines");
  tcase_add_checked_fixture(lines, begin, end);
  tcase_add_test(lines, gives_whole_files);
  tcase_add_test(lines, the_first_word_stands);
  tcase_add_test(lines, forgets_what_tiles_cover);
  tcase_add_test(lines, has_a_bound);
  suite_add_tcase(s, lines);
  return s;
}

int main(void) {
  return run_suite(suite());
}
