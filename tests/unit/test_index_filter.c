/* The filters of indexes: what they deny is not there; who has none, or an altered one, answers all
 * the same. */
#include <check.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "index_format.h"
#include "index_help.h"
#include "pace.h"

static hf_index *open_file(const char *name) {
  hf_index *index = NULL;
  unsigned level = (unsigned)(name[0] - '0');
  ck_assert_int_eq(hf_index_open(store, level, strtoull(name + 2, NULL, 10), &index, NULL), 1);
  return index;
}

static void overwrite(const char *name, uint64_t at, const void *bytes, size_t count) {
  int fd = openat(store->index_fd, name, O_RDWR);
  ck_assert_int_ge(fd, 0);
  ck_assert_int_eq((int)pwrite(fd, bytes, count, (off_t)at), (int)count);
  ck_assert_int_eq(close(fd), 0);
}

/* As a program wrote it that knew of no filters. */
static void make_older(const char *name) {
  char header[HF_INDEX_HEADER_BYTES];
  hf_index *index = open_file(name);
  uint64_t end = index->filters_at[0];
  size_t count = (size_t)(end - sizeof header);
  char *body = malloc(count);
  ck_assert_ptr_nonnull(body);
  ck_assert_int_eq(hf_index_read(index, sizeof header, body, count, NULL), HF_OK);
  index->header.body_crc = hf_crc32c(0, body, count);
  memset(index->header.filter_blocks, 0, sizeof index->header.filter_blocks);
  hf_index_header_put(&index->header, header);
  hf_index_close(index);
  free(body);
  overwrite(name, 0, header, sizeof header);
  int fd = openat(store->index_fd, name, O_RDWR);
  ck_assert_int_eq(ftruncate(fd, (off_t)end), 0);
  ck_assert_int_eq(close(fd), 0);
}

START_TEST(older_files_have_no_filter) {
  save_up_to(store, 15 * T);
  pack(store);
  for (int i = 0; i < 15; i += 2) {
    char name[HF_INDEX_NAME_BYTES];
    hf_index_name(0, (uint64_t)i, name);
    make_older(name);
    hf_index *index = open_file(name);
    ck_assert_int_eq(hf_index_may_have(index, HF_INDEX_BY_KEY, 1), 1);
    hf_index_close(index);
  }
  check_same(15 * T, 15);
  hf_verify_report report;
  hf_verify_options options = {0};
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 0);
  save_up_to(store, 18 * T); /* a merge of both sorts */
  pack(store);
  hf_index *merged = open_file("1/0.idx");
  ck_assert_uint_gt(merged->header.filter_blocks[0], 0);
  ck_assert_int_eq(hf_index_check_body(merged, NULL), HF_OK);
  hf_index_close(merged);
  check_same(18 * T, 18);
}
END_TEST

/* What is there is never denied; what is not there is, nearly always. */
START_TEST(a_filter_denies_what_is_not_there) {
  save_up_to(store, 16 * T);
  pack(store);
  hf_index *index = open_file("1/0.idx");
  for (int t = 0; t < HF_INDEX_TABLES; t++)
    for (uint64_t i = 0; i < index->header.entries[t]; i++) {
      hf_index_key key;
      ck_assert_int_eq(hf_index_entry(index, (hf_index_table)t, i, &key, NULL), HF_OK);
      ck_assert_int_eq(hf_index_may_have(index, (hf_index_table)t, key.hash), 1);
    }
  unsigned may[2] = {0, 0};
  for (uint64_t i = 1; i <= 10000; i++) {
    uint64_t hash = hf_hash64(77, &i, sizeof i);
    may[0] += (unsigned)hf_index_may_have(index, HF_INDEX_BY_KEY, hash);
    may[1] += (unsigned)hf_index_may_have(index, HF_INDEX_BY_ID, hash);
  }
  ck_assert_uint_le(may[0], 100);
  ck_assert_uint_le(may[1], 100);
  hf_index_close(index);
}
END_TEST

/* A filter with altered bytes hides no record: all zeros, one bit of each block, blocks that
 * changed places. */
START_TEST(an_altered_filter_hides_nothing) {
  save_up_to(store, 16 * T);
  pack(store);
  static const char name[] = "1/0.idx";
  hf_index *index = open_file(name);
  uint64_t from = index->filters_at[0];
  size_t bytes = (size_t)(index->bytes - from);
  ck_assert_uint_gt(bytes, 3 * HF_INDEX_BLOCK_BYTES);
  char *filter = calloc(1, bytes);
  ck_assert_ptr_nonnull(filter);
  if (_i > 0)
    ck_assert_int_eq(hf_index_read(index, from, filter, bytes, NULL), HF_OK);
  hf_index_close(index);
  for (size_t at = 0; at < bytes && _i == 1; at += HF_INDEX_BLOCK_BYTES) {
    size_t byte = 0;
    while (byte < HF_INDEX_BLOCK_BITS / 8 && filter[at + byte] == 0)
      byte++;
    if (byte < HF_INDEX_BLOCK_BITS / 8) /* one that is set becomes clear */
      filter[at + byte] = (char)(filter[at + byte] & (filter[at + byte] - 1));
  }
  if (_i == 2) {
    char first[HF_INDEX_BLOCK_BYTES];
    memcpy(first, filter, sizeof first);
    memmove(filter, filter + sizeof first, bytes - sizeof first);
    memcpy(filter + bytes - sizeof first, first, sizeof first);
  }
  overwrite(name, from, filter, bytes);
  free(filter);
  check_same(16 * T, 16);
  index = open_file(name);
  for (uint64_t i = 0; i < index->header.entries[HF_INDEX_BY_ID]; i++) {
    hf_index_key key;
    ck_assert_int_eq(hf_index_entry(index, HF_INDEX_BY_ID, i, &key, NULL), HF_OK);
    ck_assert_int_eq(hf_index_may_have(index, HF_INDEX_BY_ID, key.hash), 1);
  }
  hf_index_close(index);
  hf_verify_report report;
  hf_verify_options options = {0};
  ck_assert_int_eq(hf_verify(here.store, &options, &report, NULL), HF_OK);
  ck_assert_uint_eq(report.damaged, 1);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("index filter");
  for (int i = 0; i < 2; i++) {
    TCase *tests = tcase_create(i == 0 ? "local" : "shared");
    tcase_add_checked_fixture(tests, i == 0 ? begin_local : begin_shared, end);
    tcase_set_timeout(tests, pace_count(120, 600));
    tcase_add_test(tests, older_files_have_no_filter);
    tcase_add_test(tests, a_filter_denies_what_is_not_there);
    tcase_add_loop_test(tests, an_altered_filter_hides_nothing, 0, 3);
    suite_add_tcase(suite, tests);
  }
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_ENV);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
