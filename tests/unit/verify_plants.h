/* Damage to the store of verify_help.h, each kind by a direct edit of its files. */
#ifndef HF_TESTS_UNIT_VERIFY_PLANTS_H
#define HF_TESTS_UNIT_VERIFY_PLANTS_H

#include "verify_help.h"

typedef struct plant {
  const char *name;
  void (*do_it)(void);
  const char *kind;
  uint64_t seq;
  const char *path; /* NULL: the log file of seq */
  uint64_t lost[3]; /* records that cannot be read again; the others must be as before */
} plant;

static void flip_envelope(void) {
  help_flip(help_log(7), 12, 2);
}

static void flip_first_byte(void) {
  help_flip(help_log(7), 0, 5);
}

static void flip_document(void) {
  help_flip(help_log(7), (long)help_size(help_log(7)) - 40, 0);
}

static void flip_crc(void) {
  help_flip(help_log(7), -6, 1);
}

static void flip_crc_name(void) {
  help_flip(help_log(7), -17, 3);
}

static void flip_last_brace(void) {
  help_flip(help_log(7), -2, 6);
}

static void flip_newline(void) {
  help_flip(help_log(7), -1, 3);
}

static void overwrite_newline(void) {
  FILE *file = fopen(help_log(7), "r+e");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, -1, SEEK_END), 0);
  ck_assert_int_eq(fputc('Z', file), 'Z');
  ck_assert_int_eq(fclose(file), 0);
}

static void cut_newline(void) {
  ck_assert_int_eq(truncate(help_log(7), (off_t)help_size(help_log(7)) - 1), 0);
}

static void cut_half(void) {
  ck_assert_int_eq(truncate(help_log(7), (off_t)help_size(help_log(7)) / 2), 0);
}

static void cut_all(void) {
  ck_assert_int_eq(truncate(help_log(7), 0), 0);
}

static void cut_last(void) {
  ck_assert_int_eq(truncate(help_log(RECORDS), 30), 0);
}

static void remove_middle(void) {
  ck_assert_int_eq(unlink(help_log(40)), 0);
}

static void remove_first(void) {
  ck_assert_int_eq(unlink(help_log(1)), 0);
}

static void remove_last(void) {
  ck_assert_int_eq(unlink(help_log(RECORDS)), 0);
}

/* Line i of the file of a batch: where it begins and ends. */
static void batch_line(uint64_t first, size_t i, long *ret_start, long *ret_end) {
  size_t bytes = 0;
  long start = 0;
  long at = 0;
  char *text = scratch_read_file(help_log(first), &bytes);
  for (size_t newlines = 0; at < (long)bytes; at++) {
    if (text[at] != '\n')
      continue;
    if (newlines++ == i)
      break;
    start = at + 1;
  }
  *ret_start = start;
  *ret_end = at;
  free(text);
}

static void flip_in_batch(size_t i, int at_newline) {
  long start = 0;
  long stop = 0;
  batch_line(BATCH_A, i, &start, &stop);
  help_flip(help_log(BATCH_A), at_newline ? stop : start + 33, 1);
}

static void batch_first(void) {
  flip_in_batch(0, 0);
}

static void batch_middle(void) {
  flip_in_batch(2, 0);
}

static void batch_last(void) {
  flip_in_batch(4, 0);
}

static void batch_newline(void) {
  flip_in_batch(2, 1);
}

static void batch_newline_first(void) {
  flip_in_batch(0, 1);
}

static void batch_newline_last(void) {
  flip_in_batch(4, 1);
}

/* A sector of rubbish from the middle of one line into the next. */
static void batch_sector(void) {
  long start = 0;
  long stop = 0;
  batch_line(BATCH_B, 3, &start, &stop);
  FILE *file = fopen(help_log(BATCH_B), "r+e");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, stop - 60, SEEK_SET), 0);
  for (int i = 0; i < 120; i++)
    ck_assert_int_eq(fputc(0, file), 0);
  ck_assert_int_eq(fclose(file), 0);
}

static void batch_cut_at_line(void) {
  long start = 0;
  long stop = 0;
  batch_line(BATCH_A, 3, &start, &stop);
  ck_assert_int_eq(truncate(help_log(BATCH_A), start), 0);
}

static void batch_newline_made(void) {
  long start = 0;
  long stop = 0;
  batch_line(BATCH_B, 2, &start, &stop);
  FILE *file = fopen(help_log(BATCH_B), "r+e");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, start + 90, SEEK_SET), 0);
  ck_assert_int_eq(fputc('\n', file), '\n');
  ck_assert_int_eq(fclose(file), 0);
}

static void append(const char *path, const char *text) {
  FILE *file = fopen(path, "ae");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq((int)fwrite(text, 1, strlen(text), file), (int)strlen(text));
  ck_assert_int_eq(fclose(file), 0);
}

static void rubbish_behind(void) {
  append(help_log(30), "rubbish\n");
}

static void blank_behind(void) {
  append(help_log(30), "\n\n");
}

/* A whole record, appended to another one's file: its number is that of the next file. */
static void record_behind(void) {
  char *text = scratch_read_file(help_log(40), NULL);
  append(help_log(30), text);
  free(text);
}

static void second_file(void) {
  char *text = scratch_read_file(help_log(40), NULL);
  help_write(help_log(BATCH_A + 2), text);
  free(text);
}

static void foreign_in_log(void) {
  help_write(help_below("log/README"), "hello\n");
}

static void foreign_tmp_in_log(void) {
  help_write(help_below("log/0000007.json"), "hello\n");
}

static void foreign_named_right(void) {
  help_write(help_log(RECORDS + 1), "this is no record\n");
}

static void foreign_far(void) {
  help_write(help_log(123456789), "this is no record\n");
}

static void foreign_zero(void) {
  help_write(help_below("log/00000000000000000000.json"), "x");
}

static void foreign_in_stage(void) {
  help_write(help_below("stage/notes.txt"), "hello\n");
}

static void foreign_in_blob(void) {
  help_write(help_below("blob/zz"), "hello\n");
}

static void foreign_in_blob_folder(void) {
  char name[160];
  (void)snprintf(name, sizeof name, "%.7s/0123", help_blob_name());
  help_write(help_below(name), "hello\n");
}

static void foreign_in_tile(void) {
  ck_assert_int_eq(mkdir(help_below("tile/1000x"), 0755), 0);
}

static void foreign_in_root(void) {
  help_write(help_below("core.1234"), "hello\n");
}

static void fifo_in_log(void) {
  ck_assert_int_eq(mkfifo(help_below("log/pipe"), 0644), 0);
}

static void fifo_as_lock(void) {
  (void)unlink(help_below("lock"));
  ck_assert_int_eq(mkfifo(help_below("lock"), 0644), 0);
}

static void fifo_as_mark(void) {
  (void)unlink(help_below("log/mark"));
  ck_assert_int_eq(mkfifo(help_below("log/mark"), 0644), 0);
}

static void folder_as_tile_mark(void) {
  (void)unlink(help_below("tile/mark"));
  ck_assert_int_eq(mkdir(help_below("tile/mark"), 0755), 0);
}

static void mark_gone(void) {
  ck_assert_int_eq(unlink(help_below("log/mark")), 0);
}

static void tile_mark_gone(void) {
  ck_assert_int_eq(unlink(help_below("tile/mark")), 0);
}

static void tile_mark_long(void) {
  append(help_below("tile/mark"), "tttttttt");
}

static void mark_wrong(void) {
  help_flip(help_below("log/mark"), 20, 2);
}

static void mark_says_first(void) {
  FILE *file = fopen(help_below("log/mark"), "r+e");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, BATCH_A, SEEK_SET), 0);
  ck_assert_int_eq(fputc('f', file), 'f');
  ck_assert_int_eq(fclose(file), 0);
}

static void mark_says_further(void) {
  FILE *file = fopen(help_below("log/mark"), "r+e");
  ck_assert_ptr_nonnull(file);
  ck_assert_int_eq(fseek(file, 4, SEEK_SET), 0);
  ck_assert_int_eq(fputs("++", file) >= 0, 1);
  ck_assert_int_eq(fclose(file), 0);
}

static void mark_garbage(void) {
  char text[RECORDS + 1];
  memset(text, '#', RECORDS);
  text[RECORDS] = '\0';
  help_write(help_below("log/mark"), text);
}

static void mark_garbage_behind(void) {
  append(help_below("log/mark"), "????????");
}

static void manifest_gone(void) {
  ck_assert_int_eq(unlink(help_below("holdfast.json")), 0);
}

static void manifest_cut(void) {
  ck_assert_int_eq(truncate(help_below("holdfast.json"), 100), 0);
}

static void manifest_empty(void) {
  ck_assert_int_eq(truncate(help_below("holdfast.json"), 0), 0);
}

static void manifest_flip(void) {
  help_flip(help_below("holdfast.json"), 25, 1);
}

static void manifest_flip_format(void) {
  help_flip(help_below("holdfast.json"), 10, 1);
}

static void manifest_garbage(void) {
  help_write(help_below("holdfast.json"), "\x01\x02{}]]]");
}

static void manifest_behind(void) {
  append(help_below("holdfast.json"), "rubbish");
}

static void stage_gone(void) {
  ck_assert_int_eq(rmdir(help_below("stage")), 0);
}

static void tile_gone(void) {
  ck_assert_int_eq(unlink(help_below("tile/mark")), 0);
  ck_assert_int_eq(rmdir(help_below("tile")), 0);
}

#endif
