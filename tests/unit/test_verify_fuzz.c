/* Random damage: verify never crashes, repair leaves a store in which a second repair finds nothing
 * more to do, and every record whose bytes were not touched is readable at its seq, byte for byte.
 * HF_FUZZ_SEED and HF_FUZZ_ROUNDS choose others. */
#include <stdarg.h>
#include <time.h>

#include "verify_help.h"

enum { ROUNDS = 300, EDITS_MAX = 4, PIECE_BYTES_MAX = 96 };

static const char part[] = "tile/000/0.part";

static help_records before;
static int in_journal; /* all records stand in the part, behind them zeros */
/* Where both the part and the mark are gone nothing tells that there ever was a record; verify says
 * so, and repairs nothing. One of them goes in a round. */
static int one_is_gone;
static int mark_is_edited;
static unsigned seed;
static char story[4096]; /* the edits of this round */
static int touched[RECORDS + 1];
static int edited[RECORDS + 1];

static unsigned pick(unsigned below) {
  seed = seed * 1103515245U + 12345U;
  unsigned high = seed >> 16;
  seed = seed * 1103515245U + 12345U;
  return (high << 15 ^ seed >> 16) % below;
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void note(const char *format, ...) {
  size_t used = strlen(story);
  va_list args;
  va_start(args, format);
  (void)vsnprintf(story + used, sizeof story - used, format, args);
  va_end(args);
}

static void run(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void run(const char *format, ...) {
  char command[4 * SCRATCH_PATH_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(command, sizeof command, format, args);
  va_end(args);
  ck_assert_int_eq(system(command), 0);
}

/* A file of the log, by its first record: the records in it. */
static uint64_t file_of(uint64_t seq) {
  if (in_journal)
    return 1;
  if (seq >= BATCH_A && seq < BLOB_AT)
    return BATCH_A;
  return seq >= BATCH_B && seq < BATCH_B + 8 ? BATCH_B : seq;
}

static uint64_t last_of(uint64_t first) {
  if (in_journal)
    return RECORDS;
  return first == BATCH_A ? BLOB_AT - 1 : first == BATCH_B ? BATCH_B + 7 : first;
}

/* Bytes start to stop of the file are not what they were; a record's newline is its own. */
static void touch(uint64_t first, size_t start, size_t stop) {
  size_t at = 0;
  for (uint64_t seq = first; first != 0 && seq <= last_of(first); seq++) {
    size_t end = at + strlen(before.line[seq]) + 1;
    if (start < end && stop > at)
      touched[seq] = 1;
    at = end;
  }
}

static void write_changed(const char *path, const char *head, size_t head_bytes, const char *middle,
                          size_t middle_bytes, const char *tail, size_t tail_bytes) {
  hf_buf text = {0};
  (void)hf_buf_add(&text, head, head_bytes);
  (void)hf_buf_add(&text, middle, middle_bytes);
  ck_assert_int_eq(hf_buf_add(&text, tail, tail_bytes), 0);
  scratch_write_file(path, text.data, text.used);
  hf_buf_free(&text);
}

/* Of a part: the lines, and some of the zeros. */
static size_t content_bytes(void) {
  size_t bytes = PIECE_BYTES_MAX;
  for (uint64_t seq = 1; seq <= RECORDS; seq++)
    bytes += strlen(before.line[seq]) + 1;
  return bytes;
}

/* One edit of the bytes of a file; `first`: the records in it, 0 for none. */
static void edit_bytes(const char *path, uint64_t first) {
  size_t bytes = 0;
  char piece[PIECE_BYTES_MAX];
  char *text = scratch_read_file(path, &bytes);
  if (text == NULL)
    return;
  size_t content = in_journal && first != 0 ? content_bytes() : bytes;
  size_t at = content > 0 ? pick((unsigned)content) : 0;
  size_t count = 1 + pick(PIECE_BYTES_MAX - 1);
  unsigned kind = pick(6);
  for (size_t i = 0; i < count; i++)
    piece[i] = pick(4) == 0 ? '\n' : (char)pick(256);
  if (count > bytes - at)
    count = bytes - at;
  note(" [%s kind %u at %zu of %zu, %zu bytes]", path + strlen(here.store) + 1, kind, at, bytes,
       count);
  switch (kind) {
  case 0: /* one bit */
    if (bytes > 0)
      help_flip(path, (long)at, (int)pick(8));
    touch(first, at, at + 1);
    break;
  case 1: /* a piece overwritten */
    write_changed(path, text, at, piece, count, text + at + count, bytes - at - count);
    touch(first, at, at + count);
    break;
  case 2: /* cut */
    scratch_write_file(path, text, at);
    touch(first, at, bytes);
    break;
  case 3: /* appended */
    write_changed(path, text, bytes, piece, count, "", 0);
    break;
  case 4: /* a piece taken out */
    write_changed(path, text, at, "", 0, text + at + count, bytes - at - count);
    touch(first, at, at + count);
    break;
  default: /* a piece put in */
    write_changed(path, text, at, piece, count, text + at, bytes - at);
    touch(first, at > 0 ? at - 1 : 0, at + 1);
    break;
  }
  free(text);
}

/* Something else in the place of a file, or nothing. */
static void edit_name(const char *path, uint64_t first) {
  unsigned kind = pick(4);
  int is_either = strstr(path, part) != NULL || strstr(path, "log/mark") != NULL;
  if (in_journal && is_either && one_is_gone)
    return;
  one_is_gone |= is_either;
  note(" [%s name %u]", path + strlen(here.store) + 1, kind);
  (void)unlink(path);
  for (uint64_t seq = first; first != 0 && seq <= last_of(first); seq++)
    touched[seq] = 1;
  if (kind == 1)
    ck_assert_int_eq(symlink("/etc/hostname", path), 0);
  else if (kind == 2)
    ck_assert_int_eq(mkfifo(path, 0644), 0);
  else if (kind == 3)
    ck_assert_int_eq(mkdir(path, 0755), 0);
}

static void add_file(void) {
  static const char *const folders[] = {"", "log/", "stage/", "blob/", "tile/"};
  static const char *const names[] = {"core", "00000000000000000061.json", "a b\n", "~",
                                      ".x",   "00000000000000009000.json"};
  char name[64];
  (void)snprintf(name, sizeof name, "%s%s", folders[pick(5)], names[pick(6)]);
  note(" [add %s]", name);
  help_write(help_below(name), pick(2) == 0 ? "" : "some text\n{\"v\":\n");
}

static void edit_once(void) {
  static const char *const others[] = {"log/mark", "holdfast.json", "tile/mark", "lock"};
  char path[2 * SCRATCH_PATH_BYTES];
  unsigned what = pick(10);
  if (what == 0) {
    add_file();
    return;
  }
  if (what <= 2) {
    (void)snprintf(path, sizeof path, "%s", help_below(others[pick(4)]));
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
      return;
    mark_is_edited |= strstr(path, "log/mark") != NULL;
    if (pick(4) == 0)
      edit_name(path, 0);
    else
      edit_bytes(path, 0);
    return;
  }
  uint64_t first = file_of(1 + pick(RECORDS));
  if (pick(3) == 0 && !in_journal)
    first = pick(2) == 0 ? BATCH_A : BATCH_B; /* what has several lines is what is hard */
  if (edited[first])
    return;
  edited[first] = 1;
  (void)snprintf(path, sizeof path, "%s", in_journal ? help_below(part) : help_log(first));
  if (pick(6) == 0)
    edit_name(path, first);
  else
    edit_bytes(path, first);
}

static int is_kept_damage(const char *kind) {
  return strcmp(kind, "double-id") == 0 || strcmp(kind, "blob-gone") == 0 ||
         strcmp(kind, "blob-altered") == 0;
}

/* Behind a damaged line of the part, where the mark is damaged, too, and cannot tell how many
 * records there were: nobody knows the numbers of those behind it, and beyond a mark that was cut
 * they were perhaps never acknowledged. They are not read, and a copy is kept. */
static int is_behind_both(uint64_t seq) {
  for (uint64_t before_it = 1; before_it < seq && in_journal && mark_is_edited; before_it++)
    if (touched[before_it])
      return 1;
  return 0;
}

static void check_kept(int number, const int *is_read) {
  char command[2 * SCRATCH_PATH_BYTES];
  char wanted[SCRATCH_PATH_BYTES];
  (void)snprintf(wanted, sizeof wanted, "%.4000s/wanted", here.folder);
  for (uint64_t seq = 1; seq <= RECORDS; seq++) {
    if (touched[seq] || is_read[seq])
      continue;
    scratch_write_file(wanted, before.line[seq], strlen(before.line[seq]));
    (void)snprintf(command, sizeof command, "grep -rqFf '%.4000s' '%.4000s/quarantine'", wanted,
                   here.store);
    ck_assert_msg(system(command) == 0, "round %d:%s\nseq %llu is nowhere", number, story,
                  (unsigned long long)seq);
  }
}

static void check_round(int number) {
  hf_error err = HF_ERROR_INIT;
  hf_saved saved;
  int is_read[RECORDS + 1] = {0};
  help_verify(0);
  help_verify(1);
  uint64_t head = help_report.head;
  char *kept = help_tree(scratch_path(&here, "quarantine"));
  char *log = help_tree(scratch_path(&here, "log"));
  char *tile = help_tree(scratch_path(&here, "tile"));
  help_verify(1);
  for (size_t i = 0; i < help_findings_count; i++)
    ck_assert_msg((!help_findings[i].damage || is_kept_damage(help_findings[i].kind)) &&
                      !help_findings[i].repaired,
                  "round %d:%s\na second repair finds\n%s", number, story, help_say());
  char *kept_after = help_tree(scratch_path(&here, "quarantine"));
  char *log_after = help_tree(scratch_path(&here, "log"));
  char *tile_after = help_tree(scratch_path(&here, "tile"));
  ck_assert_str_eq(kept, kept_after);
  ck_assert_str_eq(log, log_after);
  ck_assert_str_eq(tile, tile_after);
  free(kept);
  free(log);
  free(tile);
  free(kept_after);
  free(log_after);
  free(tile_after);
  hf_store *store = scratch_open(&here);
  for (uint64_t seq = 1; seq <= RECORDS; seq++) {
    char *line = touched[seq] || seq > head ? NULL : help_line(store, seq);
    is_read[seq] = line != NULL;
    int is_free = touched[seq] || (line == NULL && is_behind_both(seq));
    ck_assert_msg(is_free || (line != NULL && strcmp(line, before.line[seq]) == 0),
                  "round %d:%s\nseq %llu of %llu was not touched and reads %.60s", number, story,
                  (unsigned long long)seq, (unsigned long long)head,
                  line != NULL ? line : "nothing");
    free(line);
  }
  int status = scratch_save(store, "after", "S", "{\"after\":true}", &saved, &err);
  ck_assert_msg(status == HF_OK, "round %d:%s\n%s: %s", number, story, err.place, err.message);
  ck_assert_msg(saved.seq == head + 1, "round %d:%s\nsaved as %llu behind %llu", number, story,
                (unsigned long long)saved.seq, (unsigned long long)head);
  hf_close(&store);
  check_kept(number, is_read);
}

static void damage_at_random(const char *mode) {
  const char *text = getenv("HF_FUZZ_SEED");
  unsigned base = text != NULL ? (unsigned)strtoul(text, NULL, 10) : 1U;
  text = getenv("HF_FUZZ_ROUNDS");
  int rounds = text != NULL ? (int)strtol(text, NULL, 10) : ROUNDS;
  in_journal = strcmp(mode, "journal") == 0;
  help_store_in("flock", mode);
  help_remember(&before);
  run("mv '%s' '%s/template'", here.store, here.folder);
  for (int number = 0; number < rounds; number++) {
    run("rm -rf '%s' && cp -a '%s/template' '%s'", here.store, here.folder, here.store);
    seed = base * 1000003U + (unsigned)number;
    memset(touched, 0, sizeof touched);
    memset(edited, 0, sizeof edited);
    story[0] = '\0';
    one_is_gone = mark_is_edited = 0;
    note(" (seed %u)", base);
    unsigned edits = 1 + pick(EDITS_MAX);
    for (unsigned i = 0; i < edits; i++)
      edit_once();
    check_round(number);
  }
  help_forget(&before);
  help_end();
}

START_TEST(random_damage) {
  damage_at_random("publish");
}
END_TEST

START_TEST(random_damage_in_journal_mode) {
  damage_at_random("journal");
}
END_TEST

int main(void) {
  Suite *s = suite_create("verify_fuzz");
  TCase *all = tcase_create("all");
  tcase_set_timeout(all, 600);
  tcase_add_test(all, random_damage);
  tcase_add_test(all, random_damage_in_journal_mode);
  suite_add_tcase(s, all);
  return help_run(s);
}
