/* Lists read a tile by pieces, and compare what they read: each record is checked all the same, and
 * numbers are exact.
 *
 *     list [--case NAME]
 *
 *   flipped  a bit of a record in a tile has changed: it is told, and the others are there
 *   moved    a tile is written anew, with other offsets, while a walk is in it
 *   numbers  numbers that are the same as doubles */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "lib.h"
#include "record.h"

enum {
  RECORDS = HF_TILE_RECORDS + 7,
  FILLER_BYTES = 3000, /* a tile is longer than what is read at once */
  FLIPPED = HF_TILE_RECORDS / 2
};

static void save(hf_store *store, unsigned number, const char *value) {
  char filler[FILLER_BYTES + 1];
  char doc[FILLER_BYTES + 100];
  char run[32];
  hf_error err = HF_ERROR_INIT;
  hf_saved saved;
  memset(filler, 'x', sizeof filler - 1);
  filler[sizeof filler - 1] = '\0';
  (void)snprintf(run, sizeof run, "run-%04u", number);
  (void)snprintf(doc, sizeof doc, "{\"n\":%s,\"filler\":\"%s\",\"end\":%u}", value, filler, number);
  hf_save_request request = {
      .key = {.run_id = run, .stage = "s"}, .doc = doc, .doc_bytes = strlen(doc)};
  fault_must(hf_save(store, &request, -1, &saved, &err), &err, "hf_save");
}

/* A store whose first tile is packed. */
static void make(char path[FAULT_PATH_BYTES]) {
  fault_path(path, fault_folder(), "store");
  fault_remove_tree(path);
  fault_init(path, "flock");
  hf_store *store = fault_open(path);
  hf_error err = HF_ERROR_INIT;
  uint64_t packed = 0;
  for (unsigned i = 1; i <= RECORDS; i++) {
    char value[16];
    (void)snprintf(value, sizeof value, "%u", i);
    save(store, i, value);
  }
  fault_must(fault_pack(store, &packed, &err), &err, "hf_pack");
  FAULT_CHECK(packed > 0, "no tile was packed");
  hf_close(&store);
}

static hf_cursor *list(hf_store *store, hf_expr *where) {
  hf_cursor *cursor = NULL;
  hf_error err = HF_ERROR_INIT;
  hf_list_options options = {.where = where};
  fault_must(hf_list(store, &options, &cursor, &err), &err, "hf_list");
  return cursor;
}

static hf_expr *parse(const char *text) {
  hf_expr *expr = NULL;
  hf_error err = HF_ERROR_INIT;
  fault_must(hf_expr_parse(text, strlen(text), &expr, &err), &err, "hf_expr_parse");
  return expr;
}

static char *read_tile(const char *path, char name[FAULT_PATH_BYTES], size_t *ret_bytes) {
  char *text = malloc((size_t)RECORDS * (FILLER_BYTES + 1000));
  fault_path(name, path, "tile/000/0.jsonl");
  FILE *file = fopen(name, "rb");
  FAULT_CHECK(file != NULL && text != NULL, "the tile cannot be read");
  *ret_bytes = fread(text, 1, (size_t)RECORDS * (FILLER_BYTES + 1000), file);
  (void)fclose(file);
  return text;
}

static void write_file(const char *name, const char *bytes, size_t count) {
  FILE *file = fopen(name, "wb");
  FAULT_CHECK(file != NULL && fwrite(bytes, 1, count, file) == count && fclose(file) == 0,
              "%s cannot be written", name);
}

static void run_flipped(void) {
  char path[FAULT_PATH_BYTES];
  char name[FAULT_PATH_BYTES];
  char wanted[32];
  size_t bytes = 0;
  make(path);
  char *text = read_tile(path, name, &bytes);
  (void)snprintf(wanted, sizeof wanted, "{\"n\":%u,", (unsigned)FLIPPED);
  char *at = memmem(text, bytes, wanted, strlen(wanted));
  FAULT_CHECK(at != NULL, "the record is not in the tile");
  at[strlen(wanted) + 20] ^= 1; /* inside the filler: it stays JSON */
  write_file(name, text, bytes);
  free(text);
  hf_store *store = fault_open(path);
  hf_expr *where = parse("/n > 0");
  hf_cursor *cursor = list(store, where);
  uint64_t seq = 0;
  int damaged = 0;
  for (;;) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    int got = hf_cursor_next(cursor, &record, &err);
    if (got == 0)
      break;
    seq++;
    FAULT_CHECK(got == (seq == FLIPPED ? HF_EDAMAGED : 1), "seq %u of the list is %s",
                (unsigned)seq, got == 1 ? "shown, although it has changed" : err.message);
    FAULT_CHECK(got != 1 || record->seq == seq, "seq %u stands in place %u", (unsigned)record->seq,
                (unsigned)seq);
    damaged += got == HF_EDAMAGED;
    hf_record_free(&record);
  }
  FAULT_CHECK(seq == RECORDS && damaged == 1, "%u of %u records", (unsigned)seq, (unsigned)RECORDS);
  hf_cursor_close(&cursor);
  hf_expr_free(&where);
  hf_close(&store);
}

/* The tile with shorter documents: the same records, as gc could leave them. */
static void shorten(const char *path) {
  char name[FAULT_PATH_BYTES];
  char aside[FAULT_PATH_BYTES];
  size_t bytes = 0;
  hf_autobuf out = {0};
  char *text = read_tile(path, name, &bytes);
  for (const char *at = text; at < text + bytes;) {
    const char *end = memchr(at, '\n', (size_t)(text + bytes - at));
    FAULT_CHECK(end != NULL, "a line has no end");
    hf_line line;
    hf_error err = HF_ERROR_INIT;
    fault_must(hf_line_decode(at, (size_t)(end - at), &line, &err), &err, "hf_line_decode");
    const char *comma = memchr(line.doc.text, ',', line.doc.bytes);
    hf_autobuf doc = {0};
    (void)hf_buf_add(&doc, line.doc.text, (size_t)(comma - line.doc.text));
    (void)hf_buf_add_char(&doc, '}');
    line.doc = (hf_piece){doc.data, doc.used};
    line.size = doc.used;
    fault_must(hf_line_encode(&line, &out, &err), &err, "hf_line_encode");
    (void)hf_buf_add_char(&out, '\n');
    at = end + 1;
  }
  fault_path(aside, path, "tile/000/aside");
  write_file(aside, out.data, out.used);
  FAULT_CHECK(rename(aside, name) == 0, "the tile cannot be replaced");
  free(text);
}

static void run_moved(void) {
  char path[FAULT_PATH_BYTES];
  make(path);
  hf_store *store = fault_open(path);
  hf_expr *where = parse("/n > 0");
  hf_cursor *cursor = list(store, where);
  for (uint64_t seq = 1; seq <= RECORDS; seq++) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    if (seq == 3)
      shorten(path);
    int got = hf_cursor_next(cursor, &record, &err);
    FAULT_CHECK(got == 1 && record->seq == seq, "seq %u: %s", (unsigned)seq,
                got == 1 ? "another record" : err.message);
    hf_record_free(&record);
  }
  hf_cursor_close(&cursor);
  hf_expr_free(&where);
  hf_close(&store);
}

static void run_numbers(void) {
  static const char *const values[] = {"9007199254740992",
                                       "9007199254740993",
                                       "9007199254740993.0",
                                       "1e400",
                                       "1e401",
                                       "0.1",
                                       "0.1000000000000000055511151231257827"};
  static const struct {
    const char *where;
    unsigned count;
  } questions[] = {{"/n == 9007199254740993", 2},
                   {"/n > 9007199254740992 and /n < 1e300", 2},
                   {"/n == 1e400", 1},
                   {"/n > 1e400", 1},
                   {"/n == 1e-1", 1},
                   {"/n <= 0.1", 1}};
  char path[FAULT_PATH_BYTES];
  fault_path(path, fault_folder(), "numbers");
  fault_init(path, "flock");
  hf_store *store = fault_open(path);
  for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++)
    save(store, i, values[i]);
  for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
    hf_expr *where = parse(questions[i].where);
    hf_cursor *cursor = list(store, where);
    hf_record *record = NULL;
    unsigned count = 0;
    for (; hf_cursor_next(cursor, &record, NULL) == 1; count++)
      hf_record_free(&record);
    FAULT_CHECK(count == questions[i].count, "%s: %u snapshots, not %u", questions[i].where, count,
                questions[i].count);
    hf_cursor_close(&cursor);
    hf_expr_free(&where);
  }
  hf_close(&store);
}

int main(int argc, char **argv) {
  static const struct {
    const char *name;
    void (*run)(void);
  } cases[] = {{"flipped", run_flipped}, {"moved", run_moved}, {"numbers", run_numbers}};
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    if (wanted != NULL && strcmp(wanted, cases[i].name) != 0)
      continue;
    fault_context("%s", cases[i].name);
    cases[i].run();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
  return 0;
}
