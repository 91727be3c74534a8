/* Repair keeps what it may not change (records that are whole and break a rule, ids that stand
 * twice), takes no record out of a document, and makes the manifest anew. */
#include "verify_help.h"

static help_records before;

static void begin(void) {
  help_store();
  help_remember(&before);
}

static void end(void) {
  help_forget(&before);
  help_end();
}

/* ---- what stays as it is ---- */

/* As a writer leaves it: with its byte in the mark. */
static void add_line(uint64_t seq, const char *text) {
  char mark[RECORDS + 2] = "";
  size_t bytes = 0;
  help_write(help_log(seq), text);
  char *old = scratch_read_file(help_below("log/mark"), &bytes);
  (void)snprintf(mark, sizeof mark, "%s%s", old, bytes < seq ? "f" : "");
  free(old);
  help_write(help_below("log/mark"), mark);
}

/* A line with a right crc. */
static char *make_line(const char *body) {
  size_t bytes = strlen(body) + 32;
  char *line = malloc(bytes);
  ck_assert_ptr_nonnull(line);
  (void)snprintf(line, bytes, "%s,\"crc\":\"%08x\"}\n", body, hf_crc32c(0, body, strlen(body)));
  return line;
}

START_TEST(double_id) {
  char *text = scratch_read_file(help_log(20 + 10), NULL);
  add_line(RECORDS + 1, text);
  for (int repair = 0; repair < 2; repair++) {
    help_verify(repair);
    help_found_only("double-id", RECORDS + 1, "log");
    ck_assert_uint_eq(help_report.repaired, 0);
    ck_assert_uint_eq(help_report.head, RECORDS + 1);
  }
  char *now = scratch_read_file(help_log(RECORDS + 1), NULL);
  ck_assert_str_eq(now, text);
  free(now);
  free(text);
}
END_TEST

START_TEST(an_ended_attempt_that_was_saved) {
  char *line =
      make_line("{\"v\":1,\"op\":\"save\",\"id\":\"01ARZ3NDEKTSV4RRFFQ69G5FAV\",\"run_id\":\"r\","
                "\"stage\":\"S\",\"at\":\"2026-01-02T03:04:05Z\",\"host\":\"h\",\"pid\":1,"
                "\"sha256\":\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
                "\",\"size\":2,\"doc\":{}");
  add_line(RECORDS + 1, line);
  help_look();
  help_found_only("ended", RECORDS + 1, "log");
  free(line);
}
END_TEST

/* Records whose crc is right and which break a rule. They are kept as they are. */
typedef struct odd_record {
  const char *body;
  const char *kind;
} odd_record;

#define HEAD "{\"v\":1,\"op\":\"save\",\"id\":\"01BX5ZZKBKACTAV9WEVGEMMVRZ\","
#define TAIL "\"at\":\"2026-01-02T03:04:05Z\",\"host\":\"h\",\"pid\":1,"
#define EMPTY                                                                                      \
  "\"sha256\":\"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"size\":2,"

static const odd_record odd_records[] = {
    {HEAD "\"run_id\":\"a\\tb\",\"stage\":\"S\"," TAIL EMPTY "\"doc\":{}", "envelope"},
    {HEAD "\"run_id\":\"\",\"stage\":\"S\"," TAIL EMPTY "\"doc\":{}", "envelope"},
    {HEAD "\"run_id\":\"r\",\"stage\":\"S\",\"dims\":{\"b\":\"1\",\"a\":\"2\"}," TAIL EMPTY
          "\"doc\":{}",
     "envelope"},
    {HEAD "\"run_id\":\"r\",\"stage\":\"S\",\"dims\":{\"a\":1}," TAIL EMPTY "\"doc\":{}",
     "envelope"},
    {HEAD "\"run_id\":\"r\xff\",\"stage\":\"S\"," TAIL EMPTY "\"doc\":{}", "envelope"},
    {HEAD "\"run_id\":\"r\",\"stage\":\"S\"," TAIL EMPTY "\"doc\":[]", "document"},
    {HEAD
     "\"run_id\":\"r\",\"stage\":\"S\"," TAIL
     "\"sha256\":\"9bf8bb3e5a1d9f7e0b0b9f0f6e9b2f2a7f3e8d1c0b9a8f7e6d5c4b3a29180706\",\"size\":2,"
     "\"doc\":{}",
     "document"},
};
enum { ODD_RECORDS = sizeof odd_records / sizeof odd_records[0] };

START_TEST(broken_rules_are_named_and_kept) {
  const odd_record *one = &odd_records[_i];
  char *line = make_line(one->body);
  add_line(RECORDS + 1, line);
  help_look();
  help_found_only(one->kind, RECORDS + 1, "log/00000000000000000061.json");
  help_verify(1);
  help_found_only(one->kind, RECORDS + 1, "log/00000000000000000061.json");
  ck_assert_uint_eq(help_report.repaired, 0);
  char *now = scratch_read_file(help_log(RECORDS + 1), NULL);
  ck_assert_str_eq(now, line);
  free(now);
  free(line);
}
END_TEST

START_TEST(a_newer_versions_record_is_a_remark) {
  char *line = make_line("{\"v\":2,\"op\":\"weave\",\"id\":\"01BX5ZZKBKACTAV9WEVGEMMVRZ\"");
  add_line(RECORDS + 1, line);
  help_look();
  help_clean();
  help_found("unknown", RECORDS + 1, "log/00000000000000000061.json");
  ck_assert_uint_eq(help_report.records, RECORDS + 1);
  ck_assert_uint_eq(help_report.snapshots, RECORDS - 1);
  free(line);
}
END_TEST

START_TEST(an_impossible_record_with_a_right_crc) {
  const uint64_t lost = RECORDS;
  char *line = make_line("{\"v\":1,\"op\":\"save\",\"id\":\"no ulid\"");
  add_line(RECORDS, line);
  help_look();
  help_found_only("envelope", RECORDS, "log/00000000000000000060.json");
  help_verify(1);
  help_promises(&before, &lost, 1);
  free(line);
}
END_TEST

/* A document may hold a record, crc and all. Where the outer one is damaged, the inner one is not
 * taken for it. */
START_TEST(a_record_in_a_document_is_no_record) {
  hf_error err = HF_ERROR_INIT;
  hf_record *record = NULL;
  hf_store *store = scratch_open(&here);
  char doc[4096];
  (void)snprintf(doc, sizeof doc, "{\"a\":\"b\",\"inner\":%s,\"list\":[{\"x\":\"y\"},%s]}",
                 before.line[3], before.line[4]);
  ck_assert_uint_eq(scratch_must_save(store, "outer", "S", doc), RECORDS + 1);
  hf_close(&store);
  size_t bytes = help_size(help_log(RECORDS + 1));
  static const long places[] = {20, -10, -1};
  for (size_t i = 0; i < 3; i++) {
    help_flip(help_log(RECORDS + 1), places[i], 1);
    help_verify(0);
    help_found_only("bit-flip", RECORDS + 1, "log/00000000000000000061.json");
    ck_assert_uint_eq(help_report.records, RECORDS + (places[i] == -1));
    help_flip(help_log(RECORDS + 1), places[i], 1);
  }
  for (size_t cut = bytes - 1; cut > 0; cut--) {
    ck_assert_int_eq(truncate(help_log(RECORDS + 1), (off_t)cut), 0);
    help_verify(0);
    help_found_only("cut-short", RECORDS + 1, "log/00000000000000000061.json");
    ck_assert_uint_eq(help_report.records, RECORDS + (cut == bytes - 1));
  }
  help_verify(1);
  store = scratch_open(&here);
  ck_assert_int_eq(hf_get_seq(store, RECORDS + 1, &record, &err), HF_EDAMAGED);
  hf_close(&store);
}
END_TEST

/* ---- the manifest ---- */

static void uuid_of(char uuid[HF_UUID_CHARS + 1]) {
  hf_info info;
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_store_info(store, &info, NULL), HF_OK);
  memcpy(uuid, info.uuid, sizeof info.uuid);
  hf_close(&store);
}

/* Each flipped bit of it is put right exactly: the very bytes that were there. */
START_TEST(a_flipped_bit_in_the_manifest_is_put_right) {
  size_t bytes = 0;
  char *good = scratch_read_file(help_below("holdfast.json"), &bytes);
  for (long at = 0; at < (long)bytes - 1; at++) {
    help_flip(help_below("holdfast.json"), at, (int)(at % 8));
    help_verify(1);
    help_found_only("manifest", 0, "holdfast.json");
    char *now = scratch_read_file(help_below("holdfast.json"), NULL);
    ck_assert_str_eq(now, good);
    free(now);
  }
  free(good);
}
END_TEST

START_TEST(the_uuid_is_kept_where_it_can_be_read) {
  char was[HF_UUID_CHARS + 1];
  char is[HF_UUID_CHARS + 1];
  uuid_of(was);
  ck_assert_int_eq(truncate(help_below("holdfast.json"), 75), 0);
  help_verify(1);
  uuid_of(is);
  ck_assert_str_eq(is, was);
  ck_assert_int_eq(truncate(help_below("holdfast.json"), 30), 0);
  help_verify(1);
  ck_assert_ptr_nonnull(strstr(help_say(), "uuid"));
  uuid_of(is);
  ck_assert_str_ne(is, was);
  help_promises(&before, NULL, 0);
}
END_TEST

START_TEST(a_newer_format_is_refused) {
  hf_error err = HF_ERROR_INIT;
  char *line = make_line("{\"format\":3,\"layout\":\"other\"");
  help_write(help_below("holdfast.json"), line);
  free(line);
  char *tree = help_tree(here.folder);
  ck_assert_int_eq(help_verify_path(here.store, 0, 0, &err), HF_EVERSION);
  ck_assert_int_eq(help_verify_path(here.store, 0, 1, &err), HF_EVERSION);
  char *after = help_tree(here.folder);
  ck_assert_str_eq(tree, after);
  free(tree);
  free(after);
}
END_TEST

START_TEST(not_a_store) {
  hf_error err = HF_ERROR_INIT;
  char path[SCRATCH_PATH_BYTES];
  (void)snprintf(path, sizeof path, "%.4000s/empty", here.folder);
  ck_assert_int_eq(help_verify_path(path, 0, 0, &err), HF_ENOTSTORE);
  ck_assert_int_eq(mkdir(path, 0755), 0);
  ck_assert_int_eq(help_verify_path(path, 0, 1, &err), HF_ENOTSTORE);
  ck_assert_int_eq(rmdir(path), 0);
  help_write(path, "a file");
  ck_assert_int_eq(help_verify_path(path, 0, 0, &err), HF_ENOTSTORE);
}
END_TEST

static Suite *suite(void) {
  Suite *s = suite_create("repair_kept");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, begin, end);
  tcase_add_test(all, double_id);
  tcase_add_test(all, an_ended_attempt_that_was_saved);
  tcase_add_loop_test(all, broken_rules_are_named_and_kept, 0, ODD_RECORDS);
  tcase_add_test(all, a_newer_versions_record_is_a_remark);
  tcase_add_test(all, an_impossible_record_with_a_right_crc);
  tcase_add_test(all, a_record_in_a_document_is_no_record);
  tcase_add_test(all, a_flipped_bit_in_the_manifest_is_put_right);
  tcase_add_test(all, the_uuid_is_kept_where_it_can_be_read);
  tcase_add_test(all, a_newer_format_is_refused);
  tcase_add_test(all, not_a_store);
  suite_add_tcase(s, all);
  return s;
}

int main(void) {
  return help_run(suite());
}
