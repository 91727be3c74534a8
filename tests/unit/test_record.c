/* Records, lines of damaged files, the view's tables, keys. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key.h"
#include "log.h"
#include "record.h"
#include "view.h"

static hf_line sample(void) {
  hf_line line;
  memset(&line, 0, sizeof line);
  line.op = HF_OP_SAVE;
  ck_assert_int_eq(hf_id_make(&line.id, NULL), HF_OK);
  line.run = (hf_piece){"\"r \\\"1\\\"\"", 9};
  line.stage = (hf_piece){"\"S\"", 3};
  line.dims = (hf_piece){"{\"a\":\"b\",\"c\":\"\"}", 16};
  line.group = (hf_piece){"\"g\"", 3};
  line.ts = (hf_piece){"\"2026-01-02T03:04:05Z\"", 22};
  line.at = (hf_piece){"\"2026-01-02T03:04:06Z\"", 22};
  line.host = (hf_piece){"\"h\"", 3};
  line.pid = 42;
  line.has_sha256 = 1;
  line.doc = (hf_piece){"{\"crc\":\"00000000\",\"x\":1e400}", 28};
  line.size = 28;
  ck_assert_int_eq(hf_sha256(line.doc.text, line.doc.bytes, line.sha256, NULL), HF_OK);
  line.legacy_seq = 7;
  return line;
}

static void encode(const hf_line *line, hf_buf *out) {
  hf_buf_clear(out);
  ck_assert_int_eq(hf_line_encode(line, out, NULL), HF_OK);
}

START_TEST(test_a_line_comes_back) {
  hf_autobuf text = {0};
  hf_line line = sample();
  hf_line back;
  encode(&line, &text);
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_OK);
  ck_assert_int_eq((int)back.op, HF_OP_SAVE);
  ck_assert_mem_eq(&back.id, &line.id, sizeof line.id);
  ck_assert(hf_piece_equal(back.run, line.run));
  ck_assert(hf_piece_equal(back.stage, line.stage));
  ck_assert(hf_piece_equal(back.dims, line.dims));
  ck_assert(hf_piece_equal(back.group, line.group));
  ck_assert(hf_piece_equal(back.ts, line.ts));
  ck_assert(hf_piece_equal(back.doc, line.doc));
  ck_assert_uint_eq(back.pid, 42);
  ck_assert_uint_eq(back.size, 28);
  ck_assert_uint_eq(back.legacy_seq, 7);
  ck_assert_mem_eq(back.sha256, line.sha256, 32);
  hf_record *record = NULL;
  ck_assert_int_eq(
      hf_record_make(5, text.data, text.used, &back, back.doc.text, back.doc.bytes, &record, NULL),
      HF_OK);
  ck_assert_str_eq(record->run_id, "r \"1\"");
  ck_assert_uint_eq(record->dims_count, 2);
  ck_assert_str_eq(record->dims[1].name, "c");
  ck_assert_str_eq(record->dims[1].value, "");
  char *json = NULL;
  ck_assert_int_eq(hf_record_json(record, &json, NULL, NULL), HF_OK);
  ck_assert_ptr_nonnull(strstr(json, "\"doc\":{\"crc\":\"00000000\",\"x\":1e400}}"));
  ck_assert_int_eq(strncmp(json, "{\"seq\":5,\"v\":1,", 15), 0);
  free(json);
  hf_record_free(&record);
}
END_TEST

START_TEST(test_every_flipped_bit_and_every_cut_is_noticed) {
  hf_autobuf text = {0};
  hf_line line = sample();
  hf_line back;
  encode(&line, &text);
  for (size_t i = 0; i < text.used * 8; i++) {
    text.data[i / 8] = (char)(text.data[i / 8] ^ (1 << (i % 8)));
    ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_EDAMAGED);
    text.data[i / 8] = (char)(text.data[i / 8] ^ (1 << (i % 8)));
  }
  for (size_t i = 0; i < text.used; i++)
    ck_assert_int_eq(hf_line_decode(text.data, i, &back, NULL), HF_EDAMAGED);
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_OK);
}
END_TEST

/* Puts a right crc on a text that another version could have written. */
static void seal(hf_buf *text, const char *body) {
  hf_buf_clear(text);
  (void)hf_buf_add_text(text, body);
  uint32_t crc = hf_crc32c(0, text->data, text->used);
  (void)hf_buf_printf(text, ",\"crc\":\"%08x\"}", crc);
}

START_TEST(test_unknown_versions_and_ops_are_kept) {
  hf_autobuf text = {0};
  hf_line back;
  seal(&text, "{\"v\":2,\"op\":\"save\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"new\":[1]");
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_OK);
  ck_assert_int_eq((int)back.op, HF_OP_UNKNOWN);
  seal(&text, "{\"v\":1,\"op\":\"dance\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"");
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_OK);
  ck_assert_int_eq((int)back.op, HF_OP_UNKNOWN);
  seal(&text, "{\"v\":1,\"op\":\"save\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\"");
  ck_assert_int_eq(hf_line_decode(text.data, text.used, &back, NULL), HF_EDAMAGED); /* no key */
}
END_TEST

/* Three lines in one file, damaged here or there: what is intact stays at its place. */
START_TEST(test_intact_lines_keep_their_places) {
  hf_autobuf one = {0};
  hf_autobuf file = {0};
  size_t ends[3];
  for (int i = 0; i < 3; i++) {
    hf_line line = sample();
    encode(&line, &one);
    (void)hf_buf_add(&file, one.data, one.used);
    (void)hf_buf_add_char(&file, '\n');
    ends[i] = file.used;
  }
  hf_lines lines;
  hf_lines_split(file.data, file.used, 3, &lines);
  ck_assert_int_eq(lines.line[0].intact + lines.line[1].intact + lines.line[2].intact, 3);
  for (int damaged = 0; damaged < 3; damaged++) { /* a bit */
    file.data[ends[damaged] - 30] ^= 1;
    hf_lines_split(file.data, file.used, 3, &lines);
    for (int i = 0; i < 3; i++)
      ck_assert_int_eq(lines.line[i].intact, i != damaged);
    file.data[ends[damaged] - 30] ^= 1;
  }
  file.data[ends[0] - 1] = ' '; /* the newline between the first two */
  hf_lines_split(file.data, file.used, 3, &lines);
  ck_assert_uint_eq(lines.count, 3);
  ck_assert_int_eq(lines.line[0].intact, 0);
  ck_assert_int_eq(lines.line[1].intact, 0);
  ck_assert_int_eq(lines.line[2].intact, 1);
  ck_assert_uint_eq(lines.line[2].offset, ends[1]);
  file.data[ends[0] - 1] = '\n';
  file.data[ends[0] + 20] = '\n'; /* a newline more, in the second */
  hf_lines_split(file.data, file.used, 3, &lines);
  ck_assert_int_eq(lines.line[0].intact, 1);
  ck_assert_int_eq(lines.line[1].intact, 0);
  ck_assert_int_eq(lines.line[2].intact, 1);
  hf_lines_split(file.data, ends[1] + 5, 3, &lines); /* cut short, in the third */
  ck_assert_int_eq(lines.line[0].intact, 1);
  ck_assert_int_eq(lines.line[2].intact, 0);
  hf_lines_split("", 0, 3, &lines);
  ck_assert_uint_eq(lines.count, 3);
  ck_assert_int_eq(lines.line[0].intact, 0);
}
END_TEST

START_TEST(test_names) {
  char name[HF_LOG_NAME_BYTES];
  hf_log_name(7, name);
  ck_assert_str_eq(name, "00000000000000000007.json");
  ck_assert_uint_eq(hf_log_seq_of_name(name), 7);
  hf_log_name(UINT64_MAX, name);
  ck_assert_uint_eq(hf_log_seq_of_name(name), UINT64_MAX);
  ck_assert_uint_eq(hf_log_seq_of_name("99999999999999999999.json"), 0);
  ck_assert_uint_eq(hf_log_seq_of_name("7.json"), 0);
  ck_assert_uint_eq(hf_log_seq_of_name("mark"), 0);
  ck_assert_uint_eq(hf_log_seq_of_name("00000000000000000007.json~"), 0);
}
END_TEST

START_TEST(test_the_view_finds_the_right_rows) {
  hf_view view = {0};
  hf_id ids[1000];
  for (uint64_t seq = 1; seq <= 1000; seq++) {
    char run[16];
    int bytes = snprintf(run, sizeof run, "\"r%d\"", (int)(seq % 10));
    hf_line line = sample();
    hf_place place = {seq, 0, 100, 0, 1};
    line.run = (hf_piece){run, (size_t)bytes};
    ids[seq - 1] = line.id;
    ck_assert_int_eq(hf_view_append(&view, seq == 500 ? NULL : &line, &place), HF_OK);
  }
  ck_assert_uint_eq(view.head, 1000);
  ck_assert_uint_eq(view.damaged_count, 1);
  ck_assert_uint_eq(view.damaged_first, 500);
  uint64_t found = 0;
  for (uint64_t seq = 1; seq <= 1000; seq++) {
    ck_assert_int_eq(hf_view_find_id(&view, &ids[seq - 1], 0, &found, NULL), seq != 500);
    ck_assert(seq == 500 || found == seq);
  }
  hf_line line = sample();
  uint64_t hash = hf_key_hash((hf_piece){"\"r3\"", 4}, line.stage, line.dims);
  ck_assert_int_eq(hf_view_find_key(&view, hash, 1000, &found, NULL), 1);
  ck_assert_uint_eq(found, 993);
  ck_assert_int_eq(hf_view_find_key(&view, hash, 992, &found, NULL), 1);
  ck_assert_uint_eq(found, 983);
  ck_assert_int_eq(hf_view_find_key(&view, hash, 2, &found, NULL), 0);
  hf_row row;
  ck_assert_int_eq(hf_view_row(&view, 983, &row, NULL), HF_OK);
  ck_assert_int_eq(hf_view_key_after(&view, &row, 983, &found, NULL), 1);
  ck_assert_uint_eq(found, 993);
  ck_assert_int_eq(hf_view_key_after(&view, &row, 993, &found, NULL), 0);
  row.run_hash++; /* of another key, whose hash is the same */
  ck_assert_int_eq(hf_view_key_after(&view, &row, 983, &found, NULL), 0);
  ck_assert_int_eq(hf_view_row(&view, 1001, &row, NULL), HF_EIO);
  uint64_t peers = hf_peer_hash(line.group, line.stage, line.dims);
  ck_assert_int_eq(hf_view_find_peer(&view, peers, 1001, &found, NULL), 1);
  ck_assert_uint_eq(found, 1000);
  ck_assert_int_eq(hf_view_find_peer(&view, peers, 501, &found, NULL), 1);
  ck_assert_uint_eq(found, 499); /* 500 is damaged */
  hf_view_free(&view);
}
END_TEST

static int make_key(const char *run, const char *stage, const hf_dim *dims, size_t count) {
  hf_autokeytext text = {0};
  hf_key key = {run, stage, dims, count};
  return hf_keytext_make(&key, &text, NULL);
}

START_TEST(test_the_limits_of_keys) {
  char text[2048];
  memset(text, 'x', sizeof text);
  text[HF_RUN_ID_BYTES_MAX] = '\0';
  ck_assert_int_eq(make_key(text, "S", NULL, 0), HF_OK);
  text[HF_RUN_ID_BYTES_MAX] = 'x';
  text[HF_RUN_ID_BYTES_MAX + 1] = '\0';
  ck_assert_int_eq(make_key(text, "S", NULL, 0), HF_ELIMIT);
  ck_assert_int_eq(make_key("", "S", NULL, 0), HF_EINVAL);
  ck_assert_int_eq(make_key(NULL, "S", NULL, 0), HF_EINVAL);
  ck_assert_int_eq(make_key("r", "", NULL, 0), HF_EINVAL);
  ck_assert_int_eq(make_key("a:b/c d \xce\xb1", "S", NULL, 0), HF_OK);
  ck_assert_int_eq(make_key("a\nb", "S", NULL, 0), HF_EINVAL);
  ck_assert_int_eq(make_key("a\x7f", "S", NULL, 0), HF_EINVAL);
  ck_assert_int_eq(make_key("a\xff", "S", NULL, 0), HF_EINVAL);
  hf_dim dims[HF_DIMS_MAX + 1];
  char names[HF_DIMS_MAX + 1][16];
  for (int i = 0; i <= HF_DIMS_MAX; i++) {
    (void)snprintf(names[i], sizeof names[i], "d%d", i);
    dims[i] = (hf_dim){names[i], "v"};
  }
  ck_assert_int_eq(make_key("r", "S", dims, HF_DIMS_MAX), HF_OK);
  ck_assert_int_eq(make_key("r", "S", dims, HF_DIMS_MAX + 1), HF_ELIMIT);
  dims[1].name = "d0";
  ck_assert_int_eq(make_key("r", "S", dims, 2), HF_EINVAL); /* twice */
  dims[1] = (hf_dim){"d1", ""};
  ck_assert_int_eq(make_key("r", "S", dims, 2), HF_OK);
  dims[1] = (hf_dim){"", "v"};
  ck_assert_int_eq(make_key("r", "S", dims, 2), HF_EINVAL);
}
END_TEST

START_TEST(test_dims_in_any_order_are_one_key) {
  hf_autokeytext a = {0};
  hf_autokeytext b = {0};
  hf_dim ab[] = {{"a", "1"}, {"b", "2"}};
  hf_dim ba[] = {{"b", "2"}, {"a", "1"}};
  ck_assert_int_eq(hf_keytext_make(&(hf_key){"r", "S", ab, 2}, &a, NULL), HF_OK);
  ck_assert_int_eq(hf_keytext_make(&(hf_key){"r", "S", ba, 2}, &b, NULL), HF_OK);
  ck_assert_str_eq(a.dims.data, b.dims.data);
  ck_assert_str_eq(a.dims.data, "{\"a\":\"1\",\"b\":\"2\"}");
}
END_TEST

int main(void) {
  Suite *suite = suite_create("record");
  TCase *tests = tcase_create("record");
  tcase_set_timeout(tests, 60);
  tcase_add_test(tests, test_a_line_comes_back);
  tcase_add_test(tests, test_every_flipped_bit_and_every_cut_is_noticed);
  tcase_add_test(tests, test_unknown_versions_and_ops_are_kept);
  tcase_add_test(tests, test_intact_lines_keep_their_places);
  tcase_add_test(tests, test_names);
  tcase_add_test(tests, test_the_view_finds_the_right_rows);
  tcase_add_test(tests, test_the_limits_of_keys);
  tcase_add_test(tests, test_dims_in_any_order_are_one_key);
  suite_add_tcase(suite, tests);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed == 0 ? 0 : 1;
}
