/* docs/FORMAT.md: its Python, run as it stands there, reads a store of tiles, loose files and a
 * blob, and knows a whole line. */
#include "verify_help.h"

enum { HEAD = 300 };

static void begin(void) {
  uint64_t packed = 0;
  help_store();
  hf_store *store = scratch_open(&here);
  help_singles(store, RECORDS + 1, HEAD);
  ck_assert_int_eq(scratch_pack(store, &packed, NULL), HF_OK);
  ck_assert_uint_eq(packed, 1);
  hf_close(&store);
}

/* The Python blocks of the page. */
static char *read_blocks(void) {
  static const char begin_block[] = "```python\n";
  char path[SCRATCH_PATH_BYTES];
  const char *source = getenv("HOLDFAST_SOURCE_DIR");
  hf_buf out = {0};
  (void)snprintf(path, sizeof path, "%s/docs/FORMAT.md", source != NULL ? source : ".");
  char *page = scratch_read_file(path, NULL);
  ck_assert_msg(page != NULL, "no %s: set HOLDFAST_SOURCE_DIR", path);
  for (char *at = strstr(page, begin_block); at != NULL; at = strstr(at, begin_block)) {
    at += strlen(begin_block);
    char *stop = strstr(at, "```\n");
    ck_assert_ptr_nonnull(stop);
    ck_assert_int_eq(hf_buf_add(&out, at, (size_t)(stop - at)), 0);
  }
  free(page);
  return hf_buf_take(&out);
}

/* What it prints. */
static void run_python(const char *code, hf_buf *out) {
  char path[SCRATCH_PATH_BYTES];
  char command[3 * SCRATCH_PATH_BYTES];
  char chunk[4096];
  size_t got;
  (void)snprintf(path, sizeof path, "%.4000s/read.py", here.folder);
  help_write(path, code);
  (void)snprintf(command, sizeof command, "python3 '%s' '%s'", path, here.store);
  FILE *pipe = popen(command, "re");
  ck_assert_ptr_nonnull(pipe);
  while ((got = fread(chunk, 1, sizeof chunk, pipe)) > 0)
    ck_assert_int_eq(hf_buf_add(out, chunk, got), 0);
  ck_assert_int_eq(pclose(pipe), 0);
}

START_TEST(the_page_reads_a_store) {
  hf_buf printed = {0};
  hf_buf expected = {0};
  hf_cursor *cursor = NULL;
  hf_record *record = NULL;
  const hf_list_options options = {.all_revisions = 1};
  char *code = read_blocks();
  run_python(code, &printed);
  free(code);
  hf_store *store = scratch_open(&here);
  ck_assert_int_eq(hf_list(store, &options, &cursor, NULL), HF_OK);
  size_t count = 0;
  char *at = printed.data;
  while (hf_cursor_next(cursor, &record, NULL) == 1) {
    hf_buf_clear(&expected);
    (void)hf_buf_printf(&expected, "%llu %s %s {", (unsigned long long)record->seq, record->run_id,
                        record->stage);
    ck_assert_msg(strncmp(at, expected.data, expected.used) == 0, "%.80s instead of %s", at,
                  expected.data);
    at = strchr(at, '\n') + 1;
    count++;
    hf_record_free(&record);
  }
  ck_assert_uint_eq(count, HEAD - 1); /* but the ended attempt */
  ck_assert_str_eq(at, "");
  hf_cursor_close(&cursor);
  hf_close(&store);
  hf_buf_free(&printed);
  hf_buf_free(&expected);
}
END_TEST

START_TEST(the_page_knows_a_whole_line) {
  hf_buf code = {0};
  hf_buf printed = {0};
  char *blocks = read_blocks();
  ck_assert_int_eq(
      hf_buf_printf(&code,
                    "%s\nline = records[20]\n"
                    "print(all(is_whole(records[seq]) for seq in records))\n"
                    "print(is_whole(line[:50] + b'?' + line[51:]), is_whole(line[:-1]))\n",
                    blocks),
      0);
  free(blocks);
  run_python(code.data, &printed);
  ck_assert_ptr_nonnull(strstr(printed.data, "\nTrue\nFalse False\n"));
  hf_buf_free(&code);
  hf_buf_free(&printed);
}
END_TEST

int main(void) {
  Suite *s = suite_create("verify_format");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 60);
  tcase_add_checked_fixture(all, begin, help_end);
  tcase_add_test(all, the_page_reads_a_store);
  tcase_add_test(all, the_page_knows_a_whole_line);
  suite_add_tcase(s, all);
  return help_run(s);
}
