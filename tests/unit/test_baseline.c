/* Baseline records: the line, and what is refused. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/baseline.h>

#include "record.h"

#define PIECE(text) ((hf_piece){(text), sizeof(text) - 1})

static hf_line sample(void) {
  hf_line line;
  memset(&line, 0, sizeof line);
  line.op = HF_OP_BASELINE;
  ck_assert_int_eq(hf_id_make(&line.id, NULL), HF_OK);
  line.by = HF_BY_ESTABLISH;
  line.run = PIECE("\"r\"");
  line.stage = PIECE("\"s\"");
  line.dims = PIECE("{\"a\":\"b\"}");
  line.group = PIECE("\"g\"");
  line.at = PIECE("\"2026-01-02T03:04:06Z\"");
  line.host = PIECE("\"h\"");
  line.of = 7;
  line.metric = PIECE("\"/m/auc\"");
  line.value = PIECE("-1.50e+400");
  line.goal = HF_GOAL_MIN;
  line.min_runs = 5;
  line.reason = PIECE("\"so\"");
  return line;
}

static int decode(const hf_line *line, hf_buf *text, hf_line *ret_back) {
  hf_buf_clear(text);
  ck_assert_int_eq(hf_line_encode(line, text, NULL), HF_OK);
  return hf_line_decode(text->data, text->used, ret_back, NULL);
}

START_TEST(test_a_line_comes_back) {
  hf_autobuf text = {0};
  hf_line line = sample();
  hf_line back;
  hf_record *record = NULL;
  hf_baseline *one = NULL;
  ck_assert_int_eq(decode(&line, &text, &back), HF_OK);
  ck_assert_int_eq((int)back.op, HF_OP_BASELINE);
  ck_assert_int_eq(hf_record_make(9, text.data, text.used, &back, NULL, 0, &record, NULL), HF_OK);
  ck_assert_int_eq(hf_baseline_of_record(record, &one, NULL), 1);
  hf_record_free(&record); /* it is a copy */
  ck_assert_uint_eq(one->seq, 9);
  ck_assert_uint_eq(one->of, 7);
  ck_assert_str_eq(one->by, "establish");
  ck_assert_str_eq(one->run_id, "r");
  ck_assert_str_eq(one->group, "g");
  ck_assert_str_eq(one->stage, "s");
  ck_assert_uint_eq(one->dims_count, 1);
  ck_assert_str_eq(one->metric, "/m/auc");
  ck_assert_str_eq(one->value, "-1.50e+400");
  ck_assert_int_eq((int)one->goal, HF_GOAL_MIN);
  ck_assert_uint_eq(one->min_runs, 5);
  ck_assert_str_eq(one->reason, "so");
  hf_baseline_free(&one);
  hf_baseline_free(&one);
  hf_baseline_free(NULL);
}
END_TEST

START_TEST(test_what_is_not_whole_is_damaged) {
  hf_autobuf text = {0};
  hf_line back;
  for (int i = 0; i < 6; i++) {
    hf_line line = sample();
    static const hf_piece nothing;
    if (i == 0)
      line.group = nothing;
    else if (i == 1)
      line.stage = nothing;
    else if (i == 2)
      line.run = nothing;
    else if (i == 3)
      line.of = 0;
    else if (i == 4)
      line.value = nothing;
    else
      line.by = HF_BY_CLEAR; /* of a snapshot */
    ck_assert_int_eq(decode(&line, &text, &back), HF_EDAMAGED);
  }
}
END_TEST

START_TEST(test_another_way_is_a_newer_version) {
  hf_autobuf text = {0};
  hf_line line = sample();
  hf_line back;
  ck_assert_int_eq(decode(&line, &text, &back), HF_OK);
  char *by = strstr(text.data, "establish");
  ck_assert_ptr_nonnull(by);
  memcpy(by, "estimated", strlen("estimated"));
  char crc[16];
  uint32_t sum = hf_crc32c(0, text.data, text.used - HF_CRC_TAIL_BYTES);
  uint8_t bytes[4] = {(uint8_t)(sum >> 24), (uint8_t)(sum >> 16), (uint8_t)(sum >> 8),
                      (uint8_t)sum};
  hf_hex(bytes, sizeof bytes, crc);
  memcpy(text.data + text.used - 10, crc, 8);
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_OK);
  ck_assert_int_eq((int)back.op, HF_OP_UNKNOWN);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("baseline");
  TCase *tests = tcase_create("records");
  tcase_add_test(tests, test_a_line_comes_back);
  tcase_add_test(tests, test_what_is_not_whole_is_damaged);
  tcase_add_test(tests, test_another_way_is_a_newer_version);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
