#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib_pack.h"
#include "lib_table.h"
#include "part.h"
#include "plant.h"
#include "tile.h"

enum {
  WRITERS = 3,
  KILLS = 120,
  PASSING = 300,
  JOURNAL_PAUSE_US = 1500, /* saves are so quick there that little else would be done */
  STEPS_MAX = 4 * HF_TILE_RECORDS + 60,
  MS_MAX = 60000
};

static char path[FAULT_PATH_BYTES];

static void make_store_in(const char *locker, const char *mode) {
  fault_path(path, fault_folder(), "store");
  fault_remove_tree(path);
  fault_init_in(path, locker, mode);
  pack_begin();
}

static void make_store(const char *locker) {
  make_store_in(locker, "publish");
}

/* Where hosts are taken to share the store nothing is appended. */
static int may_append(void) {
  return !hf_test_shared();
}

static pid_t start(void) {
  (void)fflush(stdout);
  pid_t pid = fork();
  FAULT_CHECK(pid >= 0, "cannot fork: %s", strerror(errno));
  return pid;
}

static uint64_t tiles(void) {
  char mark[FAULT_PATH_BYTES];
  struct stat st;
  fault_path(mark, path, "tile/mark");
  FAULT_CHECK(stat(mark, &st) == 0, "no tile/mark");
  return (uint64_t)st.st_size;
}

/* How many loose names stand below this seq. */
static unsigned loose_below(uint64_t seq) {
  unsigned count = 0;
  for (uint64_t i = 1; i <= seq; i++) {
    char name[64];
    char file[FAULT_PATH_BYTES];
    (void)snprintf(name, sizeof name, "log/%020llu.json", (unsigned long long)i);
    fault_path(file, path, name);
    count += access(file, F_OK) == 0;
  }
  return count;
}

/* How many parts stand there of tiles that count. */
static unsigned parts_of_tiles(void) {
  unsigned count = 0;
  for (uint64_t tile = 0; tile < tiles(); tile++) {
    char name[HF_TILE_NAME_BYTES];
    char below[HF_TILE_NAME_BYTES + 8];
    char file[FAULT_PATH_BYTES];
    hf_part_name(tile, name);
    (void)snprintf(below, sizeof below, "tile/%s", name);
    fault_path(file, path, below);
    count += access(file, F_OK) == 0;
  }
  return count;
}

/* ---- killed ---- */

/* One that was not killed says why. */
static void must_be_killed(pid_t pid) {
  int status = 0;
  FAULT_CHECK(waitpid(pid, &status, 0) == pid, "a packer is gone");
  if (WIFEXITED(status) && WEXITSTATUS(status) == FAULT_EXIT_FAILED)
    exit(FAULT_EXIT_FAILED);
  FAULT_CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a packer ended with status 0x%x",
              (unsigned)status);
}

static void killed_in(const char *locker, const char *mode, unsigned kills) {
  enum { OTHERS = WRITERS + 2 };
  pid_t others[OTHERS];
  fault_random random = {pack_seed};
  fault_context("killed, locker %s, mode %s", locker, mode);
  make_store_in(locker, mode);
  pack_pause_us = strcmp(mode, "journal") == 0 ? JOURNAL_PAUSE_US : 0;
  for (unsigned i = 0; i < OTHERS; i++) {
    others[i] = start();
    if (others[i] == 0) {
      if (i < WRITERS)
        pack_write(path, i);
      if (i == WRITERS)
        pack_read(path);
      pack_verify(path);
    }
  }
  for (unsigned i = 0; i < kills; i++) {
    pid_t packers[2];
    for (unsigned j = 0; j < 2; j++) {
      uint64_t steps = i % 2 == 0 ? 1 + fault_below(&random, STEPS_MAX) : 0;
      packers[j] = start();
      if (packers[j] == 0)
        pack_pack(path, steps);
    }
    fault_sleep_us((int64_t)fault_below(&random, 40000));
    for (unsigned j = 0; j < 2; j++) {
      (void)kill(packers[j], SIGKILL);
      must_be_killed(packers[j]);
    }
  }
  atomic_store(&pack_all->done, 1);
  fault_wait_all(others, OTHERS);
  uint64_t head = pack_check(path);
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  hf_store *store = fault_open(path);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  hf_close(&store);
  FAULT_CHECK(tiles() == head / HF_TILE_RECORDS && tiles() > 0, "%llu tiles, the head is %llu",
              (unsigned long long)tiles(), (unsigned long long)head);
  unsigned left = loose_below(tiles() * HF_TILE_RECORDS);
  FAULT_CHECK(left == 0, "%u loose names of tiles are left", left);
  (void)pack_check(path); /* parts of older tiles may be left: nobody looks at them (tile_free.c) */
  (void)printf("pack killed, %s mode: %u packers killed, %llu tiles, %llu saves, %llu looks, %llu "
               "times verified\n",
               mode, 2 * kills, (unsigned long long)tiles(),
               (unsigned long long)atomic_load(&pack_all->next),
               (unsigned long long)atomic_load(&pack_all->reads),
               (unsigned long long)atomic_load(&pack_all->verified));
}

static void killed(void) {
  killed_in("none", "publish", KILLS);
  if (may_append())
    killed_in("flock", "journal", KILLS / 2);
}

/* ---- paused ---- */

/* The program again, which stops itself at HF_PAUSE; its answer goes to a file. */
void pack_sleep_and_save(const char *store_path) {
  hf_error error = HF_ERROR_INIT;
  hf_saved saved = {0};
  hf_save_request request = {
      .key = {.run_id = "sleeper", .stage = "pack"}, .doc = "{\"late\":1}", .doc_bytes = 10};
  char answer[FAULT_PATH_BYTES];
  hf_store *store = fault_open(store_path);
  int status = hf_save(store, &request, MS_MAX, &saved, &error);
  hf_close(&store);
  (void)snprintf(answer, sizeof answer, "%.400s.answer", store_path);
  FILE *out = fopen(answer, "w");
  FAULT_CHECK(out != NULL && fprintf(out, "%d %llu\n", status, (unsigned long long)saved.seq) > 0 &&
                  fclose(out) == 0,
              "no answer");
  exit(0);
}

static pid_t start_sleeper(const char *where) {
  int status = 0;
  pid_t pid = start();
  if (pid == 0) {
    char self[] = "/proc/self/exe";
    char option[] = "--sleeper";
    char *arguments[] = {self, option, path, NULL};
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that fails leaves nobody stopped behind */
    (void)setenv("HF_PAUSE", where, 1);
    (void)execv(self, arguments);
    fault_fail("cannot start the sleeper: %s", strerror(errno));
  }
  FAULT_CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status),
              "the sleeper was not stopped: 0x%x", (unsigned)status);
  return pid;
}

static void pass_by(hf_store *store, int takes_the_lock) {
  hf_error error = HF_ERROR_INIT;
  char lock[FAULT_PATH_BYTES];
  uint64_t packed = 0;
  fault_path(lock, path, "lock"); /* what it holds is no longer what others ask for */
  FAULT_CHECK(!takes_the_lock || unlink(lock) == 0, "cannot take its lock away");
  for (unsigned i = 0; i < PASSING; i++)
    (void)pack_save(store);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed > 0, "nothing was packed");
}

/* What every reader says of it, a handle that was there before and a new one. */
static uint64_t find_sleeper(hf_store *old) {
  hf_store *fresh = fault_open(path);
  hf_store *handles[] = {old, fresh};
  uint64_t seqs[2] = {0, 0};
  for (int i = 0; i < 2; i++) {
    hf_error error = HF_ERROR_INIT;
    hf_record *record = NULL;
    hf_key key = {.run_id = "sleeper", .stage = "pack"};
    int got = hf_get(handles[i], &key, 0, &record, &error);
    fault_must(got, &error, "hf_get");
    seqs[i] = got == 1 ? record->seq : 0;
    hf_record_free(&record);
  }
  hf_close(&fresh);
  FAULT_CHECK(seqs[0] == seqs[1], "one reader sees it at seq %llu, another at %llu",
              (unsigned long long)seqs[0], (unsigned long long)seqs[1]);
  return seqs[0];
}

static uint64_t check_all(void) {
  fault_log log;
  hf_store *store = fault_open(path);
  fault_log_read(store, &log);
  uint64_t mine = 0;
  for (size_t i = 0; i < log.count; i++)
    if (log.records[i].is_save && strcmp(log.records[i].run_id, "sleeper") == 0)
      mine++;
  uint64_t head = log.count;
  FAULT_CHECK(head == atomic_load(&pack_all->next) + mine, "%llu records, of %llu saves",
              (unsigned long long)head, (unsigned long long)atomic_load(&pack_all->next));
  for (uint64_t number = 0; number < atomic_load(&pack_all->next); number++) {
    uint64_t seq = atomic_load(&pack_all->seq_of[number]);
    char run_id[32];
    (void)snprintf(run_id, sizeof run_id, "pack %llu", (unsigned long long)number);
    FAULT_CHECK(seq > 0 && seq <= head && log.records[seq - 1].is_save &&
                    strcmp(log.records[seq - 1].run_id, run_id) == 0,
                "the acknowledged save %llu, seq %llu, is not there", (unsigned long long)number,
                (unsigned long long)seq);
  }
  fault_log_free(&log);
  hf_close(&store);
  fault_verify(path);
  return mine;
}

/* One that has appended and given the part back, and is stopped before its flush: nobody is shown
 * what it appended until another one flushes; killed then, its record is there once, or nowhere
 * where nobody came by. */
static void pause_and_kill(int is_passed) {
  fault_context("killed behind its append, %s", is_passed ? "passed by" : "at once");
  make_store_in("flock", "journal");
  hf_store *store = fault_open(path);
  (void)pack_save(store);
  pid_t sleeper = start_sleeper("appended:1");
  uint64_t seen = find_sleeper(store);
  FAULT_CHECK(seen == 0, "it is seen at seq %llu before anybody flushed", (unsigned long long)seen);
  if (is_passed)
    pass_by(store, 0);
  (void)kill(sleeper, SIGKILL);
  (void)waitpid(sleeper, NULL, 0);
  if (!is_passed)
    pass_by(store, 0);
  seen = find_sleeper(store);
  hf_close(&store);
  uint64_t mine = check_all();
  FAULT_CHECK(mine <= 1 && seen == (mine == 1 ? 2 : 0), "it is there %llu times, seen at seq %llu",
              (unsigned long long)mine, (unsigned long long)seen);
  FAULT_CHECK(mine == 1 || !is_passed, "others went on behind it, and it is not there");
  FAULT_CHECK(parts_of_tiles() == 0, "%u parts of tiles are left", parts_of_tiles());
  (void)printf("pack paused appended, killed %s: there %llu times\n",
               is_passed ? "when it was passed by" : "at once", (unsigned long long)mine);
}

static void pause_one(const char *where, const char *locker, const char *mode, int takes_the_lock) {
  int status = -1;
  int ended = 0;
  unsigned long long seq = 0;
  char answer[FAULT_PATH_BYTES];
  fault_context("paused %s, locker %s, mode %s", where, locker, mode);
  make_store_in(locker, mode);
  hf_store *store = fault_open(path);
  (void)pack_save(store);
  int is_linked = strncmp(where, "after-link", 10) == 0 || strncmp(where, "appended", 8) == 0;
  pid_t sleeper = start_sleeper(where);
  pass_by(store, takes_the_lock);
  uint64_t head_before = atomic_load(&pack_all->head_answered);
  uint64_t seen = find_sleeper(store);
  FAULT_CHECK(is_linked ? seen == 2 : seen == 0, "while it slept it was seen at seq %llu",
              (unsigned long long)seen);
  (void)kill(sleeper, SIGCONT);
  FAULT_CHECK(waitpid(sleeper, &ended, 0) == sleeper && ended == 0, "the sleeper ended with 0x%x",
              (unsigned)ended);
  (void)snprintf(answer, sizeof answer, "%.400s.answer", path);
  FILE *in = fopen(answer, "r");
  FAULT_CHECK(in != NULL && fscanf(in, "%d %llu", &status, &seq) == 2 && fclose(in) == 0,
              "it did not answer");
  seen = find_sleeper(store);
  FAULT_CHECK(status == HF_OK && seq == seen && (is_linked ? seq == 2 : seq > head_before),
              "it answered %s, seq %llu; readers see it at seq %llu, the head had been %llu",
              hf_status_name(status), seq, (unsigned long long)seen,
              (unsigned long long)head_before);
  hf_close(&store);
  FAULT_CHECK(check_all() == 1, "it is not there once");
  unsigned left = loose_below(tiles() * HF_TILE_RECORDS);
  FAULT_CHECK(left == 0, "%u loose names of tiles are left", left);
  FAULT_CHECK(parts_of_tiles() == 0, "%u parts of tiles are left", parts_of_tiles());
  (void)printf("pack paused %s, %s mode, locker %s%s: seq %llu behind head %llu\n", where, mode,
               locker, takes_the_lock ? ", taken from it" : "", seq,
               (unsigned long long)head_before);
}

static void paused(void) {
  pause_one("after-acquire:1", "none", "publish", 0);
  pause_one("after-acquire:1", "flock", "publish", 1);
  pause_one("after-link:1", "none", "publish", 0);
  if (!may_append())
    return;
  pause_one("appended:1", "flock", "journal", 0);
  pause_and_kill(1);
  pause_and_kill(0);
}

/* ---- a packer that sleeps ---- */

static struct {
  hf_store *other;
  int done;
} slept;

/* Right before it frees the first name. */
static void before_unlink(void *context, fault_call *call) {
  (void)context;
  if (slept.done || call->kind != FAULT_UNLINK || !fault_is_record_name(call->name))
    return;
  slept.done = 1;
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  for (unsigned i = 0; i < 2 * HF_TILE_RECORDS; i++)
    (void)pack_save(slept.other);
  fault_must(fault_pack(slept.other, &packed, &error), &error, "hf_pack");
  FAULT_CHECK(packed == 2, "%llu tiles were packed meanwhile", (unsigned long long)packed);
  pid_t sleeper = start_sleeper("after-link:1"); /* its name lies in no tile */
  for (unsigned i = 0; i < HF_TILE_RECORDS; i++)
    (void)pack_save(slept.other);
  (void)kill(sleeper, SIGKILL);
  (void)waitpid(sleeper, NULL, 0);
}

static void sleeper_case(void) {
  static const fault_hooks hooks = {.before = before_unlink};
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  make_store("none");
  hf_store *store = fault_open(path);
  slept.other = fault_open(path);
  slept.done = 0;
  for (unsigned i = 0; i < HF_TILE_RECORDS; i++)
    (void)pack_save(store);
  fault_table_install(&hooks);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  fault_table_remove();
  FAULT_CHECK(slept.done, "it freed no name");
  FAULT_CHECK(check_all() == 1, "the one that was linked is not there");
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  unsigned left = loose_below(tiles() * HF_TILE_RECORDS);
  FAULT_CHECK(left == 0 && tiles() >= 4, "%u loose names of %llu tiles are left", left,
              (unsigned long long)tiles());
  hf_close(&store);
  hf_close(&slept.other);
  (void)check_all();
  (void)printf("pack sleeper: %llu tiles\n", (unsigned long long)tiles());
}

/* ---- something else where the tile belongs ---- */

static void write_file(const char *name, const char *bytes, size_t count) {
  char file[FAULT_PATH_BYTES];
  fault_path(file, path, name);
  FILE *out = fopen(file, "w");
  FAULT_CHECK(out != NULL && fwrite(bytes, 1, count, out) == count && fclose(out) == 0,
              "cannot write %s", file);
}

static void differs(void) {
  hf_error error = HF_ERROR_INIT;
  char folder[FAULT_PATH_BYTES];
  uint64_t packed = 0;
  make_store("none");
  hf_store *store = fault_open(path);
  for (unsigned i = 0; i < HF_TILE_RECORDS + 3; i++)
    (void)pack_save(store);
  fault_path(folder, path, "tile/000");
  FAULT_CHECK(mkdir(folder, 0777) == 0, "cannot make %s", folder);
  write_file("tile/000/0.jsonl", "another\n", 8);
  int status = fault_pack(store, &packed, &error);
  hf_store *fresh = fault_open(path);
  fault_log log;
  fault_log_read(fresh, &log); /* fails where a record cannot be read */
  FAULT_CHECK(log.count == HF_TILE_RECORDS + 3, "%zu records are there", log.count);
  fault_log_free(&log);
  FAULT_CHECK(status == HF_EDAMAGED && packed == 0 && tiles() == 0 &&
                  loose_below(HF_TILE_RECORDS) == HF_TILE_RECORDS,
              "it answered %s, %llu tiles", hf_status_name(status), (unsigned long long)tiles());
  hf_close(&fresh);
  hf_close(&store);
  (void)printf("pack differs: refused, nothing was moved\n");
}

/* ---- a loose file that does not count ---- */

static void hidden(void) {
  hf_error error = HF_ERROR_INIT;
  char line[4096];
  uint64_t packed = 0;
  fault_log log;
  make_store("none");
  hf_store *store = fault_open(path);
  hf_store *old = fault_open(path);
  for (unsigned i = 0; i < HF_TILE_RECORDS + 1; i++)
    (void)pack_save(store);
  hf_store *older = fault_open(path);
  fault_log_read(old, &log); /* its rows are loose ones */
  fault_log_free(&log);
  fault_log_read(older, &log);
  fault_log_free(&log);
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
  hf_record *record = NULL; /* what a writer who slept would link: a record like others */
  FAULT_CHECK(hf_get_seq(store, HF_TILE_RECORDS + 1, &record, &error) == 1 &&
                  record->line_bytes + 2 < sizeof line,
              "no record");
  int bytes = snprintf(line, sizeof line, "%s\n", record->line);
  hf_record_free(&record);
  write_file("log/00000000000000000002.json", line, (size_t)bytes);
  hf_store *handles[] = {store, old, fault_open(path), older};
  for (int i = 0; i < 4; i++) {
    static const char *const names[] = {"that packed", "that was open", "that is new",
                                        "that was open and finds no index"};
    char mark[FAULT_PATH_BYTES];
    (void)snprintf(mark, sizeof mark, "%.400s/index/mark", path);
    if (i == 3)
      FAULT_CHECK(unlink(mark) == 0, "there is no index");
    FAULT_CHECK(hf_get_seq(handles[i], 2, &record, &error) == 1, "a handle %s: %s", names[i],
                error.message);
    FAULT_CHECK(strcmp(record->run_id, "pack 1") == 0, "a handle %s shows %s at seq 2", names[i],
                record->run_id);
    hf_record_free(&record);
    fault_log_read(handles[i], &log);
    fault_log_free(&log);
    hf_close(&handles[i]);
  }
  (void)printf("pack hidden: nobody sees it\n");
}

const pack_case pack_cases[] = {{"killed", killed},   {"paused", paused}, {"sleeper", sleeper_case},
                                {"differs", differs}, {"hidden", hidden}, {"merges", pack_merges},
                                {NULL, NULL}};
