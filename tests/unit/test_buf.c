#include "buf.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/error.h>

START_TEST(starts_empty) {
  hf_autobuf buf = {0};
  ck_assert_ptr_null(hf_buf_take(&buf));
  hf_buf_free(&buf);
  hf_buf_free(&buf); /* twice does no harm */
  ck_assert_int_eq(hf_buf_add(&buf, NULL, 0), 0);
  ck_assert_uint_eq(buf.used, 0);
  ck_assert_str_eq(buf.data, ""); /* something was added: nothing, with its NUL */
}
END_TEST

START_TEST(adds) {
  hf_autobuf buf = {0};
  ck_assert_int_eq(hf_buf_add_text(&buf, "abc"), 0);
  ck_assert_int_eq(hf_buf_add_char(&buf, 'd'), 0);
  ck_assert_int_eq(hf_buf_add(&buf, "e\0f", 3), 0);
  ck_assert_int_eq(hf_buf_printf(&buf, "%d-%s", 42, "x"), 0);
  ck_assert_uint_eq(buf.used, 11);
  ck_assert_mem_eq(buf.data, "abcde\0f42-x", 12); /* with the NUL behind it */
  ck_assert_uint_gt(buf.allocated, buf.used);
}
END_TEST

START_TEST(grows) {
  enum { BYTES = 3000000 };
  hf_autobuf buf = {0};
  size_t moves = 0, allocated = 0;
  for (size_t i = 0; i < BYTES; i++) {
    if (hf_buf_add_char(&buf, (char)('a' + i % 26)) != 0)
      ck_abort_msg("byte %zu", i);
    moves += buf.allocated != allocated;
    allocated = buf.allocated;
  }
  ck_assert_uint_eq(buf.used, BYTES);
  ck_assert_uint_le(moves, 64); /* by doubling, not by a byte */
  for (size_t i = 0; i < BYTES; i++)
    if (buf.data[i] != (char)('a' + i % 26))
      ck_abort_msg("byte %zu", i);
  ck_assert_int_eq(buf.data[BYTES], '\0');
}
END_TEST

START_TEST(prints_what_is_long) {
  hf_autobuf buf = {0};
  char *text = malloc(100001);
  ck_assert_ptr_nonnull(text);
  memset(text, 'y', 100000);
  text[100000] = '\0';
  ck_assert_int_eq(hf_buf_printf(&buf, "<%s>", text), 0);
  ck_assert_uint_eq(buf.used, 100002);
  ck_assert_int_eq(buf.data[0], '<');
  ck_assert_int_eq(buf.data[100001], '>');
  ck_assert_int_eq(hf_buf_printf(&buf, "%s", ""), 0);
  ck_assert_uint_eq(buf.used, 100002);
  free(text);
}
END_TEST

START_TEST(reserves) {
  hf_autobuf buf = {0};
  ck_assert_int_eq(hf_buf_reserve(&buf, 5000), 0);
  ck_assert_uint_ge(buf.allocated, 5001);
  ck_assert_uint_eq(buf.used, 0);
  const char *data = buf.data;
  for (int i = 0; i < 5000; i++)
    ck_assert_int_eq(hf_buf_add_char(&buf, 'z'), 0);
  ck_assert_ptr_eq(buf.data, data); /* nothing moved */
}
END_TEST

START_TEST(a_bound_sticks) {
  hf_autobuf buf = {.bytes_max = 10};
  ck_assert_int_eq(hf_buf_add_text(&buf, "1234567890"), 0); /* exactly */
  ck_assert_int_eq(hf_buf_add(&buf, "", 0), 0);
  ck_assert_int_eq(hf_buf_add_char(&buf, 'x'), HF_ELIMIT);
  ck_assert_int_eq(buf.failed, HF_ELIMIT);
  ck_assert_str_eq(buf.data, "1234567890");
  ck_assert_int_eq(hf_buf_add(&buf, "", 0), HF_ELIMIT); /* even what would fit */
  ck_assert_int_eq(hf_buf_printf(&buf, "%s", ""), HF_ELIMIT);
  ck_assert_int_eq(hf_buf_reserve(&buf, 0), HF_ELIMIT);
  ck_assert_ptr_null(hf_buf_take(&buf));

  hf_buf_clear(&buf);
  ck_assert_int_eq(buf.failed, 0);
  ck_assert_int_eq(hf_buf_add_text(&buf, "12345678901"), HF_ELIMIT);
  ck_assert_uint_eq(buf.used, 0); /* all or nothing */

  hf_buf_clear(&buf);
  ck_assert_int_eq(hf_buf_printf(&buf, "%d", 1234567890), 0);
  ck_assert_int_eq(hf_buf_printf(&buf, "%d", 1), HF_ELIMIT);

  hf_buf_free(&buf);
  ck_assert_uint_eq(buf.bytes_max, 10);
  ck_assert_int_eq(hf_buf_add_text(&buf, "12345678901"), HF_ELIMIT);
}
END_TEST

START_TEST(sizes_do_not_overflow) {
  hf_autobuf buf = {0};
  ck_assert_int_eq(hf_buf_add_text(&buf, "abc"), 0);
  ck_assert_int_eq(hf_buf_reserve(&buf, SIZE_MAX), HF_ELIMIT);
  hf_buf_clear(&buf);
  ck_assert_int_eq(hf_buf_add_text(&buf, "abc"), 0);
  ck_assert_int_eq(hf_buf_reserve(&buf, SIZE_MAX - 2), HF_ELIMIT);
  hf_buf_clear(&buf);
  ck_assert_int_eq(hf_buf_reserve(&buf, HF_BUF_BYTES_MAX + 1), HF_ELIMIT);
}
END_TEST

START_TEST(clears_and_takes) {
  hf_autobuf buf = {0};
  (void)hf_buf_add_text(&buf, "abc");
  size_t allocated = buf.allocated;
  hf_buf_clear(&buf);
  ck_assert_uint_eq(buf.used, 0);
  ck_assert_uint_eq(buf.allocated, allocated);
  (void)hf_buf_add_text(&buf, "de");
  char *taken = hf_buf_take(&buf);
  ck_assert_str_eq(taken, "de");
  free(taken);
  ck_assert_ptr_null(buf.data);
  ck_assert_uint_eq(buf.used, 0);
  ck_assert_ptr_null(hf_buf_take(&buf));
  ck_assert_int_eq(hf_buf_add_text(&buf, "again"), 0);
  ck_assert_str_eq(buf.data, "again");
}
END_TEST

static char *taken_from_autofree(void) {
  hf_autofree char *text = strdup("kept");
  hf_autofree char *other = strdup("freed");
  ck_assert_ptr_nonnull(other);
  return hf_take(text);
}

START_TEST(takes_out_of_autofree) {
  char *text = taken_from_autofree();
  ck_assert_str_eq(text, "kept");
  free(text);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("buf");
  TCase *bufs = tcase_create("bufs");
  tcase_add_test(bufs, starts_empty);
  tcase_add_test(bufs, adds);
  tcase_add_test(bufs, grows);
  tcase_add_test(bufs, prints_what_is_long);
  tcase_add_test(bufs, reserves);
  tcase_add_test(bufs, a_bound_sticks);
  tcase_add_test(bufs, sizes_do_not_overflow);
  tcase_add_test(bufs, clears_and_takes);
  tcase_add_test(bufs, takes_out_of_autofree);
  suite_add_tcase(s, bufs);
  return s;
}

int main(void) {
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
