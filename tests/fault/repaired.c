/* Journal mode: repair, with handles at work that know the store as it was before.
 *
 *     repaired [--case NAME]
 *
 *   held      a writer whose lock was broken holds the part, and repair would replace it
 *   shifted   repair has put another part in its place, whose lines stand elsewhere: a handle from
 *             before appends behind them, and a reader from before finds them
 *   mixed     a loose record of a tile that has a part is damaged: behind the record that says so,
 *             which has another length, those of the part are found
 *   marks     a flush has failed, and repair marks what it should have kept: it is written anew
 *   damaged   the same where a record of the part is damaged, and a writer looks: it is not marked
 *   new_mark  log/mark was lost, and repair has made another: handles from before mark there */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_held.h"

#include "store.h"
#include "tile.h"

enum { MODES_RECORDS = HF_TILE_RECORDS > 16 ? 3 : 1 };

static int repair(hf_error *reterr) {
  hf_verify_options options = {.repair = 1, .timeout_ms = HELD_SOON_MS};
  hf_verify_report report;
  return hf_verify(journal_path, &options, &report, reterr);
}

static void *repair_beside(void *unused) {
  hf_error error = HF_ERROR_INIT;
  char lock[FAULT_PATH_BYTES];
  held_is_other = 1;
  held_damage_line(0);
  fault_path(lock, journal_path, "lock"); /* as lock break does: another file has its name */
  FAULT_CHECK(unlink(lock) == 0 || errno == ENOENT, "cannot break the lock");
  int status = repair(&error);
  FAULT_CHECK(status == HF_ELOCK, "repair beside one who holds the part: %s: %s",
              hf_status_name(status), error.message);
  return unused;
}

static void held(void) {
  held_save one;
  hf_error error = HF_ERROR_INIT;
  held_make_store();
  held_open_both();
  (void)journal_save(held_main);
  (void)journal_save(held_main);
  held_begin();
  held_meet_at(HF_PAUSE_AFTER_ACQUIRE, repair_beside);
  held_do_save(&one, held_main);
  FAULT_CHECK(one.status == HF_OK, "the save: %s", hf_status_name(one.status));
  int status = repair(&error);
  FAULT_CHECK(status >= 0, "repair: %s", error.message);
  held_check(&one, 1);
  (void)printf("repaired held: refused, and done behind him\n");
}

static void must_repair(void) {
  hf_error error = HF_ERROR_INIT;
  int status = repair(&error);
  FAULT_CHECK(status == HF_OK, "repair: %s: %s", hf_status_name(status), error.message);
}

/* ---- shifted ---- */

static void shifted_by(const char *why, size_t doc_bytes) {
  enum { BYTES = 8192 };
  static char doc[BYTES];
  held_save saves[3];
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  hf_record *record = NULL;
  fault_context("shifted, %s", why);
  held_make_store();
  held_open_both();
  memset(doc, 'a', sizeof doc);
  memcpy(doc, "{\"x\":\"", 6);
  memcpy(doc + doc_bytes - 2, "\"}", 2);
  hf_save_request request = {
      .key = {.run_id = "first", .stage = "journal"}, .doc = doc, .doc_bytes = doc_bytes};
  fault_must(hf_save(held_main, &request, -1, &saved, &error), &error, "hf_save");
  held_do_save(&saves[0], held_main);
  held_do_save(&saves[1], held_main);
  (void)held_head(held_other);
  held_damage_line(0);
  must_repair();
  (void)hf_get_seq(held_other, 3, &record, &error); /* it stood elsewhere; then it knows */
  hf_record_free(&record);
  int status = hf_get_seq(held_other, 3, &record, &error);
  FAULT_CHECK(status == 1, "a reader from before: %s: %s", hf_status_name(status), error.message);
  hf_record_free(&record);
  held_do_save(&saves[2], held_main);
  for (int i = 0; i < 3; i++)
    FAULT_CHECK(saves[i].status == HF_OK, "save %d: %s", i, hf_status_name(saves[i].status));
  held_check(saves, 3);
}

static void shifted(void) {
  shifted_by("a shorter line in its place", 8000);
  shifted_by("a longer line in its place", 12);
  (void)printf("repaired shifted: by a longer and by a shorter line\n");
}

/* ---- mixed ---- */

static void change_mode(const char *mode) {
  hf_set_locker_options options = {.timeout_ms = -1, .mode = mode};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  FAULT_CHECK(hf_set_locker(held_main, "flock", &options, &seq, &error) == 1, "hf_set_locker: %s",
              error.message);
}

static void damage_loose(uint64_t seq) {
  char path[FAULT_PATH_BYTES], name[64];
  char byte = 0;
  const off_t at = 40;
  (void)snprintf(name, sizeof name, "log/%020llu.json", (unsigned long long)seq);
  fault_path(path, journal_path, name);
  int fd = open(path, O_RDWR | O_CLOEXEC);
  FAULT_CHECK(fd >= 0 && pread(fd, &byte, 1, at) == 1, "cannot read %s", path);
  byte ^= 1;
  FAULT_CHECK(pwrite(fd, &byte, 1, at) == 1 && close(fd) == 0, "cannot write %s", path);
}

static void mixed(void) {
  held_save saves[2 * MODES_RECORDS];
  held_save behind;
  size_t count = 0;
  held_make_store();
  held_open_both();
  change_mode("publish");
  uint64_t loose = journal_save(held_main);
  change_mode("journal");
  for (; count < MODES_RECORDS; count++)
    held_do_save(&saves[count], held_main);
  damage_loose(loose);
  hf_close(&held_main);
  hf_close(&held_other);
  must_repair();
  held_open_both();
  held_do_save(&behind, held_main);
  FAULT_CHECK(behind.status == HF_OK, "a save behind the repair: %s",
              hf_status_name(behind.status));
  saves[count++] = behind;
  held_check(saves, count);
  (void)printf("repaired mixed: %zu records behind a loose one that was lost\n", count);
}

/* ---- marks, damaged ---- */

static uint64_t unproven_at;
static int is_anew;

static void see_writes(const fault_call *call) {
  if (call->kind == FAULT_PWRITE && fault_fd_ends_in(call->fd, ".part") &&
      (uint64_t)call->offset <= unproven_at && (uint64_t)call->offset + call->count > unproven_at)
    is_anew = 1;
}

/* Its flush fails: how many records were marked before. */
static uint64_t save_in_vain(held_save *one) {
  journal_make_store();
  held_open_both();
  (void)journal_save(held_main);
  unproven_at = held_main->part_end;
  held_begin();
  held_stop.fails = 1;
  held_do_save(one, held_main);
  FAULT_CHECK(one->status == HF_EUNSURE, "the save: %s", hf_status_name(one->status));
  is_anew = 0;
  held_stop.see = see_writes;
  return held_marked();
}

static void marks(void) {
  held_save one;
  uint64_t was = save_in_vain(&one);
  must_repair();
  FAULT_CHECK(is_anew || held_marked() == was, "it was marked, and not written anew");
  held_check(&one, 1);
  (void)printf("repaired marks: %s\n", is_anew ? "written anew" : "not marked");
}

static void damaged(void) {
  held_save one, next;
  uint64_t was = save_in_vain(&one);
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  hf_close(&held_main);
  held_damage_line(1);
  held_main = fault_open(journal_path);
  held_do_save(&next, held_main);
  FAULT_CHECK(next.status == HF_EDAMAGED, "the next save: %s", hf_status_name(next.status));
  (void)hf_head(held_main, &head, &error);
  FAULT_CHECK(is_anew || held_marked() == was, "it was marked, and not written anew");
  FAULT_CHECK(is_anew || head <= was, "seq %llu was shown, and not written anew",
              (unsigned long long)head);
  hf_close(&held_main);
  must_repair();
  held_check(&one, 1);
  (void)printf("repaired damaged: not shown before it was written anew\n");
}

/* ---- new_mark ---- */

static void new_mark(void) {
  held_save saves[3];
  char mark[FAULT_PATH_BYTES];
  journal_make_store();
  held_open_both();
  (void)journal_save(held_main);
  (void)held_head(held_other);
  fault_path(mark, journal_path, "log/mark");
  FAULT_CHECK(unlink(mark) == 0, "cannot remove %s", mark);
  must_repair();
  held_do_save(&saves[0], held_main);
  held_do_save(&saves[1], held_main);
  uint64_t known = saves[1].saved.seq;
  FAULT_CHECK(saves[1].status == HF_OK, "a save: %s", hf_status_name(saves[1].status));
  hf_store *reader = fault_open(journal_path);
  FAULT_CHECK(held_head(reader) >= known && held_head(held_other) >= known,
              "a new reader sees %llu, one from before %llu records, and %llu were acknowledged",
              (unsigned long long)held_head(reader), (unsigned long long)held_head(held_other),
              (unsigned long long)known);
  held_do_save(&saves[2], reader);
  FAULT_CHECK(held_head(held_main) >= saves[2].saved.seq,
              "the writer from before sees %llu records", (unsigned long long)held_head(held_main));
  hf_close(&reader);
  held_begin();
  held_check(saves, 3);
  (void)printf("repaired new_mark: seen by all\n");
}

int main(int argc, char **argv) {
  static const fault_case cases[] = {{"held", held},       {"shifted", shifted},
                                     {"mixed", mixed},     {"marks", marks},
                                     {"damaged", damaged}, {"new_mark", new_mark}};
  fault_run_cases(argc, argv, cases, sizeof cases / sizeof cases[0]);
  return 0;
}
