/* Retired and dropped snapshots: their records, their lines, and what the library answers. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/admin.h>

#include "dropped.h"
#include "retire.h"
#include "scratch.h"
#include "tile.h"

static scratch here;
static hf_store *store;

static void begin(void) {
  scratch_begin(&here);
  scratch_init_in(&here, "flock", "publish");
  store = scratch_open(&here);
}

static void end(void) {
  hf_close(&store);
  scratch_end(&here);
}

static void round_trip(hf_line *line, hf_line *ret_back, hf_buf *text) {
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_id_make(&line->id, &error), HF_OK);
  ck_assert_int_eq(hf_line_encode(line, text, &error), HF_OK);
  ck_assert_int_eq(hf_line_decode(text->data, text->used, ret_back, &error), HF_OK);
  ck_assert_int_eq((int)ret_back->op, (int)line->op);
}

START_TEST(test_records) {
  hf_autobuf text = {0};
  hf_autobuf other = {0};
  hf_line back;
  hf_line retire = {.op = HF_OP_RETIRE, .of = 7, .undo = 1, .run = {"\"r\"", 3}, .dims = {"{}", 2}};
  round_trip(&retire, &back, &text);
  ck_assert_uint_eq(back.of, 7);
  ck_assert_int_eq(back.undo, 1);
  hf_line drop = {.op = HF_OP_DROP, .tile = 3, .dims = {"{}", 2}};
  drop.lines[0] = 0xa0; /* lines 0 and 2 */
  round_trip(&drop, &back, &other);
  ck_assert_uint_eq(back.tile, 3);
  ck_assert_int_eq(hf_drop_has(back.lines, 0) && hf_drop_has(back.lines, 2), 1);
  ck_assert_int_eq(hf_drop_has(back.lines, 1) || hf_drop_has(back.lines, 3), 0);
  ck_assert_ptr_nonnull(strstr(other.data, "\"lines\":\"a0"));
}
END_TEST

static void add_crc(const char *body, hf_buf *out) {
  hf_buf_clear(out);
  ck_assert_int_eq(hf_buf_add(out, body, strlen(body)), 0);
  ck_assert_int_eq(hf_line_add_crc(out, 0), HF_OK);
}

START_TEST(test_records_that_say_too_little) {
  static const char *const bodies[] = {
      "{\"v\":1,\"op\":\"retire\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"pid\":1",
      "{\"v\":1,\"op\":\"retire\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"of\":\"x\",\"pid\":1",
      "{\"v\":1,\"op\":\"retire\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"of\":1,\"undo\":false",
      "{\"v\":1,\"op\":\"drop\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"tile\":1,\"pid\":1",
      "{\"v\":1,\"op\":\"drop\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"tile\":1,\"lines\":\"12\""};
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    hf_autobuf text = {0};
    hf_line line;
    add_crc(bodies[i], &text);
    ck_assert_int_eq(hf_line_decode(text.data, text.used, &line, NULL), HF_EDAMAGED);
  }
}
END_TEST

/* The envelope stays, byte for byte; a program that knows no gc sees a newer version's record. */
START_TEST(test_a_dropped_line) {
  hf_autobuf text = {0};
  hf_autobuf form = {0};
  hf_line line;
  hf_record *record = NULL;
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{\"a\":1}"), 1);
  ck_assert_int_eq(hf_get_seq(store, 1, &record, NULL), 1);
  ck_assert_int_eq(hf_buf_add(&text, record->line, record->line_bytes), 0);
  hf_record_free(&record);
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &line, NULL), HF_OK);
  ck_assert_int_eq(hf_line_can_drop(text.data, text.used, &line), 1);
  ck_assert_int_eq(hf_line_drop(text.data, text.used, &line, &form), HF_OK);
  ck_assert_int_eq(hf_line_is_form_of(form.data, form.used, text.data, text.used), 1);
  ck_assert_int_eq(hf_line_is_form_of(text.data, text.used, text.data, text.used), 1);
  ck_assert_int_eq(hf_line_is_form_of(text.data, text.used, form.data, form.used), 0);
  size_t kept = (size_t)(line.doc.text - text.data) - strlen(",\"doc\":");
  ck_assert_int_eq(memcmp(form.data, "{\"v\":2,", 7), 0);
  ck_assert_int_eq(memcmp(form.data + 7, text.data + 7, kept - 7), 0);
  ck_assert_int_eq(memcmp(form.data + kept, ",\"dropped\":true,\"crc\":\"", 23), 0);
  ck_assert_int_eq(hf_line_decode(form.data, form.used, &line, NULL), HF_OK);
  ck_assert_int_eq(line.op == HF_OP_SAVE && line.dropped && line.doc.text == NULL, 1);
  ck_assert_int_eq(hf_line_can_drop(form.data, form.used, &line), 0);
}
END_TEST

static hf_gc_report collect(uint64_t keep_last) {
  hf_error error = HF_ERROR_INIT;
  hf_gc_options options = {.keep_last = keep_last, .timeout_ms = -1};
  hf_gc_report report;
  ck_assert_msg(hf_gc(store, &options, &report, &error) == HF_OK, "%s", error.message);
  return report;
}

/* What no rule keeps goes; only what was named is retired. */
START_TEST(test_what_goes) {
  hf_error error = HF_ERROR_INIT;
  hf_retire_options hide = {.reason = "x", .timeout_ms = -1};
  hf_retire_report told;
  uint64_t by = 0;
  uint64_t others = 0;
  for (unsigned i = 0; i < HF_TILE_RECORDS; i++) {
    char doc[32];
    (void)snprintf(doc, sizeof doc, "{\"x\":%u}", i);
    (void)scratch_must_save(store, i % 2 == 0 ? "one" : "two", "S", doc);
  }
  ck_assert_int_eq(hf_retire(store, NULL, 2, &hide, &told, &error), HF_OK);
  ck_assert_uint_eq(told.seq, HF_TILE_RECORDS + 1);
  ck_assert_int_eq(hf_retired(store, 2, UINT64_MAX, 0, &by, &error), 1);
  for (uint64_t seq = 1; seq <= HF_TILE_RECORDS; seq++)
    others += seq != 2 && hf_retired(store, seq, UINT64_MAX, 0, &by, &error) != 0;
  ck_assert_uint_eq(others, 0);
  hf_gc_report report = collect(1);
  ck_assert_uint_eq(report.documents, HF_TILE_RECORDS - 2); /* the last one of each key stays */
  hf_record *record = NULL;
  ck_assert_int_eq(hf_get_seq(store, HF_TILE_RECORDS, &record, &error), 1);
  hf_record_free(&record);
  ck_assert_int_eq(hf_get_seq(store, 1, &record, &error), HF_EDROPPED);
  ck_assert_int_eq(hf_is_dropped(store, HF_TILE_RECORDS - 1, 0, &by, &error), 0);
  ck_assert_int_eq(hf_is_dropped(store, 3, 0, &by, &error), 1);
}
END_TEST

START_TEST(test_what_is_refused) {
  hf_error error = HF_ERROR_INIT;
  hf_retire_options no_reason = {.timeout_ms = -1};
  hf_retire_options hide = {.reason = "x", .timeout_ms = -1};
  hf_key nobody = {.run_id = "nobody", .stage = "S"};
  (void)scratch_must_save(store, "r", "S", "{}");
  ck_assert_int_eq(hf_retire(store, NULL, 1, NULL, NULL, &error), HF_EINVAL);
  ck_assert_int_eq(hf_retire(store, NULL, 1, &no_reason, NULL, &error), HF_EINVAL);
  ck_assert_int_eq(hf_retire(store, NULL, 0, &hide, NULL, &error), HF_ENOTFOUND);
  ck_assert_int_eq(hf_retire(store, NULL, 2, &hide, NULL, &error), HF_ENOTFOUND);
  ck_assert_int_eq(hf_retire(store, &nobody, 0, &hide, NULL, &error), HF_ENOTFOUND);
  ck_assert_int_eq(hf_gc(store, NULL, NULL, &error), HF_OK); /* drops nothing */
  ck_assert_uint_eq(scratch_must_save(store, "r", "S", "{\"a\":1}"), 2);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("gc");
  TCase *gc = tcase_create("gc");
  tcase_add_checked_fixture(gc, begin, end);
  tcase_set_timeout(gc, 60);
  tcase_add_test(gc, test_records);
  tcase_add_test(gc, test_records_that_say_too_little);
  tcase_add_test(gc, test_a_dropped_line);
  tcase_add_test(gc, test_what_goes);
  tcase_add_test(gc, test_what_is_refused);
  suite_add_tcase(suite, gc);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
