#include "err.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

START_TEST(every_status_has_a_name_and_a_text) {
  static const struct {
    int value;
    const char *name;
    const char *text;
  } list[] = {
#define STATUS(name, value, text) {value, #name, text},
      HF_STATUS_LIST(STATUS)
#undef STATUS
  };
  ck_assert_uint_ge(COUNT(list), 22);
  for (size_t i = 0; i < COUNT(list); i++) {
    ck_assert_str_eq(hf_status_name(list[i].value), list[i].name);
    ck_assert_str_eq(hf_status_text(list[i].value), list[i].text);
    ck_assert_int_le(list[i].value, 0); /* positive results mean something else */
    for (size_t k = 0; k < i; k++)
      ck_assert_int_ne(list[i].value, list[k].value);
  }
  ck_assert_str_eq(hf_status_name(HF_OK), "HF_OK");
  static const int unknown[] = {1, -100, INT_MAX, INT_MIN};
  for (size_t i = 0; i < COUNT(unknown); i++) {
    ck_assert_str_eq(hf_status_name(unknown[i]), "HF_?");
    ck_assert_ptr_nonnull(hf_status_text(unknown[i]));
  }
}
END_TEST

START_TEST(fills_the_error) {
  hf_error error;
  memset(&error, 0xff, sizeof error); /* whatever was there before */
  errno = ENOTTY;
  ck_assert_int_eq(hf_err(&error, HF_ELIMIT, "a/b", "%s has %d bytes", "x", 42), HF_ELIMIT);
  ck_assert_int_eq(errno, ENOTTY);
  ck_assert_int_eq(error.code, HF_ELIMIT);
  ck_assert_int_eq(error.sys_errno, 0);
  ck_assert_str_eq(error.id, "");
  ck_assert_str_eq(error.place, "a/b");
  ck_assert_str_eq(error.message, "x has 42 bytes");
  ck_assert_int_eq(hf_err(&error, HF_EINVAL, NULL, "no place"), HF_EINVAL);
  ck_assert_str_eq(error.place, "");
}
END_TEST

START_TEST(nobody_needs_to_listen) {
  errno = ENOTTY;
  ck_assert_int_eq(hf_err(NULL, HF_EDOC, "p", "%s", "m"), HF_EDOC);
  ck_assert_int_eq(hf_err_sys(NULL, HF_EIO, ENOSPC, "p", "%s", "m"), HF_EIO);
  ck_assert_int_eq(hf_err_nomem(NULL), HF_ENOMEM);
  hf_err_place_below(NULL, "x");
  ck_assert_int_eq(errno, ENOTTY);
}
END_TEST

START_TEST(system_calls) {
  hf_error error = HF_ERROR_INIT;
  errno = ENOTTY;
  ck_assert_int_eq(hf_err_sys(&error, HF_EIO, ENOSPC, "log/mark", "cannot write %d", 7), HF_EIO);
  ck_assert_int_eq(errno, ENOTTY);
  ck_assert_int_eq(error.sys_errno, ENOSPC);
  ck_assert_str_eq(error.place, "log/mark");
  ck_assert_int_eq(strncmp(error.message, "cannot write 7: ", 16), 0);
  ck_assert_ptr_nonnull(strstr(error.message, strerror(ENOSPC)));
  ck_assert_ptr_nonnull(strstr(error.message, "free some space"));
  static const int steps[] = {ENOSPC, EDQUOT, EACCES, EPERM, EROFS, EMFILE, ENFILE, ESTALE, ELOOP};
  for (size_t i = 0; i < COUNT(steps); i++) {
    (void)hf_err_sys(&error, HF_EIO, steps[i], NULL, "m");
    ck_assert_msg(strchr(error.message, ';') != NULL, "no next step: %s", error.message);
  }
  (void)hf_err_sys(&error, HF_EIO, 99999, NULL, "m"); /* an errno that nobody knows */
  ck_assert_int_eq(error.sys_errno, 99999);
  ck_assert_int_eq(hf_err_nomem(&error), HF_ENOMEM);
  ck_assert_int_eq(error.code, HF_ENOMEM);
  ck_assert_uint_gt(strlen(error.message), 0);
}
END_TEST

/* The arguments may point into the error that is written. */
START_TEST(may_quote_itself) {
  hf_error error = HF_ERROR_INIT;
  (void)hf_err(&error, HF_EIO, "place", "first");
  (void)hf_err(&error, HF_EDOC, error.place, "second, after: %s", error.message);
  ck_assert_str_eq(error.place, "place");
  ck_assert_str_eq(error.message, "second, after: first");
}
END_TEST

START_TEST(is_one_line) {
  hf_error error = HF_ERROR_INIT;
  (void)hf_err(&error, HF_EIO, "a\nb", "x\ny\tz\r\x1b[31m\x7f");
  ck_assert_str_eq(error.place, "a b");
  ck_assert_str_eq(error.message, "x y z  [31m ");
}
END_TEST

/* Texts of each character's width, cut at each phase: never in the middle of a character. */
START_TEST(cuts_at_whole_characters) {
  static const char *const characters[] = {"a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  for (size_t c = 0; c < COUNT(characters); c++) {
    size_t width = strlen(characters[c]);
    for (size_t before = 0; before < 5; before++) {
      char text[4000];
      memset(text, 'x', before);
      size_t used = before;
      while (used + width < sizeof text) {
        memcpy(text + used, characters[c], width);
        used += width;
      }
      text[used] = '\0';
      hf_error error = HF_ERROR_INIT;
      (void)hf_err(&error, HF_EIO, text, "%s", text);
      size_t message = strlen(error.message), place = strlen(error.place);
      ck_assert_int_eq(hf_utf8_valid(error.message, message), 1);
      ck_assert_int_eq(hf_utf8_valid(error.place, place), 1);
      ck_assert_uint_gt(message + width, HF_ERROR_MESSAGE_BYTES - 1); /* and no more than it must */
      ck_assert_uint_gt(place + width, HF_ERROR_PLACE_BYTES - 1);
      ck_assert_uint_le(message, HF_ERROR_MESSAGE_BYTES - 1);
      ck_assert_uint_le(place, HF_ERROR_PLACE_BYTES - 1);
      (void)hf_err_sys(&error, HF_EIO, ENOSPC, text, "%s", text);
      ck_assert_int_eq(hf_utf8_valid(error.message, strlen(error.message)), 1);
    }
  }
}
END_TEST

START_TEST(texts_that_just_fit) {
  for (size_t bytes = HF_ERROR_PLACE_BYTES - 4; bytes < HF_ERROR_PLACE_BYTES; bytes++) {
    char text[HF_ERROR_PLACE_BYTES];
    memset(text, 'x', bytes);
    memcpy(text + bytes - 2, "\xc3\xa9", 2);
    text[bytes] = '\0';
    hf_error error = HF_ERROR_INIT;
    (void)hf_err(&error, HF_EIO, text, "m");
    ck_assert_str_eq(error.place, text);
  }
}
END_TEST

START_TEST(places_below) {
  hf_error error = HF_ERROR_INIT;
  (void)hf_err(&error, HF_EIO, "log/mark", "m");
  hf_err_place_below(&error, "/srv/store");
  ck_assert_str_eq(error.place, "/srv/store/log/mark");
  ck_assert_str_eq(error.message, "m");
  (void)hf_err(&error, HF_EIO, NULL, "m");
  hf_err_place_below(&error, "/srv/store");
  ck_assert_str_eq(error.place, "/srv/store");
  char prefix[2000];
  for (size_t i = 0; i + 2 < sizeof prefix; i += 2)
    memcpy(prefix + i, "\xc3\xa9", 2);
  prefix[sizeof prefix - 2] = '\0';
  (void)hf_err(&error, HF_EIO, "name", "m");
  hf_err_place_below(&error, prefix);
  ck_assert_uint_lt(strlen(error.place), HF_ERROR_PLACE_BYTES);
  ck_assert_int_eq(hf_utf8_valid(error.place, strlen(error.place)), 1);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("err");
  TCase *errors = tcase_create("errors");
  tcase_add_test(errors, every_status_has_a_name_and_a_text);
  tcase_add_test(errors, fills_the_error);
  tcase_add_test(errors, nobody_needs_to_listen);
  tcase_add_test(errors, system_calls);
  tcase_add_test(errors, may_quote_itself);
  tcase_add_test(errors, is_one_line);
  tcase_add_test(errors, cuts_at_whole_characters);
  tcase_add_test(errors, texts_that_just_fit);
  tcase_add_test(errors, places_below);
  suite_add_tcase(s, errors);
  return s;
}

int main(void) {
  SRunner *runner = srunner_create(suite());
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
