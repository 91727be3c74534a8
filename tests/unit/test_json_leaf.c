/* The scalar values of a document: each one once, under the pointer that finds it. */
#include <holdfast/leaf.h>

#include <check.h>
#include <stdio.h>

#include <holdfast/holdfast.h>

#include "json_help.h"

typedef struct seen {
  const char *text; /* the document */
  size_t bytes;
  hf_buf list; /* "pointer=value;" of each */
  int stop_at;
  int count;
} seen;

/* What is told must be what hf_json_pointer finds. */
static int note(void *context, const hf_leaf *leaf) {
  seen *to = context;
  const char *value = NULL;
  size_t bytes = 0;
  ck_assert_uint_eq(strlen(leaf->pointer), leaf->pointer_bytes);
  ck_assert_int_eq(hf_json_pointer(to->text, to->bytes, leaf->pointer, &value, &bytes, NULL), 1);
  ck_assert_msg(value == leaf->value && bytes == leaf->value_bytes, "%s: %.*s", leaf->pointer,
                (int)leaf->value_bytes, leaf->value);
  (void)hf_buf_printf(&to->list, "%s=%.*s;", leaf->pointer, (int)leaf->value_bytes, leaf->value);
  return ++to->count == to->stop_at;
}

static void leaves_are(const char *text, const char *wanted) {
  char *copy = exact(text, strlen(text));
  seen got = {.text = copy, .bytes = strlen(text)};
  ck_assert_int_eq(hf_json_leaves(copy, got.bytes, note, &got, NULL), HF_OK);
  ck_assert_str_eq(got.list.data != NULL ? got.list.data : "", wanted);
  hf_buf_free(&got.list);
  free(copy);
}

START_TEST(each_once_in_the_order_of_the_text) {
  leaves_are("{}", "");
  leaves_are("[1,2]", "");
  leaves_are("7", "");
  leaves_are("{\"a\":1,\"b\":{\"c\":null,\"d\":{\"e\":\"x\"}},\"f\":true,\"g\":false}",
             "/a=1;/b/c=null;/b/d/e=\"x\";/f=true;/g=false;");
  leaves_are("{\"a\":[1,{\"b\":2}],\"c\":{},\"d\":[],\"e\":1e400}", "/e=1e400;");
  leaves_are("{\"\":1,\"a/b\":2,\"~\":{\"m~/n\":3}}", "/=1;/a~1b=2;/~0/m~0~1n=3;");
  leaves_are("{\"\\u0061\":1,\"\\ud83d\\ude00\":2}", "/a=1;/\xF0\x9F\x98\x80=2;");
}
END_TEST

START_TEST(of_several_with_one_name_the_last) {
  leaves_are("{\"a\":1,\"b\":2,\"a\":3}", "/b=2;/a=3;");
  leaves_are("{\"a\":{\"x\":1},\"a\":{\"y\":2}}", "/a/y=2;");
  leaves_are("{\"a\":{\"x\":1},\"\\u0061\":5}", "/a=5;");
  leaves_are("{\"a\":1,\"a\":[2]}", "");
  /* more than are compared one with another */
  hf_autobuf text = {0};
  hf_autobuf wanted = {0};
  (void)hf_buf_add_text(&text, "{\"n7\":{\"gone\":1},\"\\u006e8\":0");
  for (int i = 0; i < 40; i++) {
    (void)hf_buf_printf(&text, ",\"n%d\":%d", i, i);
    if (i != 9)
      (void)hf_buf_printf(&wanted, "/n%d=%d;", i, i);
  }
  (void)hf_buf_add_text(&text, ",\"n\\u0039\":-1}");
  (void)hf_buf_add_text(&wanted, "/n9=-1;");
  leaves_are(text.data, wanted.data);
}
END_TEST

START_TEST(names_that_no_text_has) {
  leaves_are("{\"a\\u0000b\":1,\"c\":2}", "/c=2;");
  leaves_are("{\"\\ud800\":{\"x\":1},\"\\udc00\":2,\"\\ud83dx\":3,\"c\":4}", "/c=4;");
}
END_TEST

START_TEST(nested_deeply) {
  hf_autobuf text = {0};
  for (int i = 0; i < HF_DOC_NESTING_MAX + 3; i++)
    (void)hf_buf_add_text(&text, "{\"a\":");
  (void)hf_buf_add_text(&text, "1");
  for (int i = 0; i < HF_DOC_NESTING_MAX + 3; i++)
    (void)hf_buf_add_text(&text, "}");
  leaves_are(text.data, "");
  hf_buf_clear(&text);
  hf_autobuf wanted = {0};
  for (int i = 0; i < HF_DOC_NESTING_MAX; i++) {
    (void)hf_buf_add_text(&text, "{\"a\":");
    (void)hf_buf_add_text(&wanted, "/a");
  }
  (void)hf_buf_add_text(&text, "1");
  for (int i = 0; i < HF_DOC_NESTING_MAX; i++)
    (void)hf_buf_add_text(&text, "}");
  (void)hf_buf_add_text(&wanted, "=1;");
  leaves_are(text.data, wanted.data);
}
END_TEST

static int any(void *context, const hf_leaf *leaf) {
  char out[64];
  size_t bytes = 0;
  (void)context;
  ck_assert_uint_le(leaf->value_bytes, sizeof out);
  (void)hf_leaf_text(leaf, out, &bytes);
  return 0;
}

START_TEST(no_text_makes_it_read_outside) {
  static const char *const texts[] = {"",        "{",           "{\"",           "{\"a",  "{\"a\"",
                                      "{\"a\":", "{\"a\":{",    "{\"a\":{\"b",   "{,,}",  "{\"\\",
                                      "{\"\\u",  "{\"a\":\"\\", "{\"a\":{}\"b}", "{1:2}", "{:}"};
  for (size_t i = 0; i < COUNT(texts); i++) {
    char *copy = exact(texts[i], strlen(texts[i]));
    seen got = {.text = copy};
    (void)hf_json_leaves(copy, strlen(texts[i]), any, &got, NULL);
    free(copy);
  }
  ck_assert_int_eq(hf_json_leaves(NULL, 0, note, NULL, NULL), HF_EINVAL);
}
END_TEST

START_TEST(it_can_be_stopped) {
  static const char text[] = "{\"a\":1,\"b\":{\"c\":2},\"d\":3}";
  hf_error error = HF_ERROR_INIT;
  seen got = {.text = text, .bytes = strlen(text), .stop_at = 2};
  ck_assert_int_eq(hf_json_leaves(text, got.bytes, note, &got, &error), HF_ECANCELLED);
  ck_assert_int_eq(got.count, 2);
  hf_buf_free(&got.list);
}
END_TEST

static int one_text(void *context, const hf_leaf *leaf) {
  hf_buf *out = context;
  char *text = malloc(leaf->value_bytes);
  size_t bytes = 0;
  if (hf_leaf_text(leaf, text, &bytes) == 1)
    (void)hf_buf_add(out, text, bytes);
  else
    (void)hf_buf_add_text(out, "none");
  free(text);
  return 0;
}

static void text_is(const char *value, const char *wanted, size_t wanted_bytes) {
  hf_autobuf doc = {0};
  hf_autobuf out = {0};
  (void)hf_buf_printf(&doc, "{\"a\":%s}", value);
  ck_assert_int_eq(hf_json_leaves(doc.data, doc.used, one_text, &out, NULL), HF_OK);
  ck_assert_uint_eq(out.used, wanted_bytes);
  ck_assert_mem_eq(out.used > 0 ? out.data : "", wanted, wanted_bytes);
}

START_TEST(texts_of_strings) {
  text_is("\"\"", BYTES(""));
  text_is("\"plain \xC3\xA9\"", BYTES("plain \xC3\xA9"));
  text_is("\"\\n\\t\\\"\\\\\\/\\u00e9\\ud83d\\ude00 end\"",
          BYTES("\n\t\"\\/\xC3\xA9\xF0\x9F\x98\x80 end"));
  text_is("\"a\\u0000b\"", BYTES("a\0b"));
  text_is("\"\\ud800\"", BYTES("none"));
  text_is("\"x\\udfff\"", BYTES("none"));
  text_is("1", BYTES("none"));
}
END_TEST

int main(void) {
  Suite *suite = suite_create("json_leaf");
  TCase *tcase = tcase_create("all");
  tcase_add_test(tcase, each_once_in_the_order_of_the_text);
  tcase_add_test(tcase, of_several_with_one_name_the_last);
  tcase_add_test(tcase, names_that_no_text_has);
  tcase_add_test(tcase, nested_deeply);
  tcase_add_test(tcase, no_text_makes_it_read_outside);
  tcase_add_test(tcase, it_can_be_stopped);
  tcase_add_test(tcase, texts_of_strings);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
