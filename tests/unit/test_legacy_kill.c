/* An import that is killed at any instant, and two imports at once: real processes, real SIGKILL.
 * At the end the store is the one that an undisturbed import makes. */
#include "legacy_help.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "pace.h"

enum { ENTRIES = 3000, KEYS = 100, RACERS = 3 };

static char folder[HELP_PATH_BYTES];
static char index_path[HELP_PATH_BYTES];

/* Many revisions of each key: only the id tells one that was saved meanwhile from a new one. */
static void write_index(void) {
  FILE *file = fopen(help_path(index_path, "%s/snapshot_index.json", folder), "w");
  ck_assert_ptr_nonnull(file);
  (void)fputs("{\n", file);
  for (unsigned i = 0; i < ENTRIES; i++) {
    unsigned number = i * 7 % ENTRIES;
    (void)fprintf(file,
                  "%s\"%u\": {\"run_id\": \"run %u\", \"stage\": \"S\", \"snapshot_seq\": %u, "
                  "\"text\": \"%0*u\"}",
                  i > 0 ? ",\n" : "", number, number % KEYS, number + 1, (int)(number % 400) + 1,
                  number);
  }
  (void)fputs("}", file);
  ck_assert_int_eq(fclose(file), 0);
}

static void setup(void) {
  help_folder(folder);
  write_index();
}

static void teardown(void) {
  help_remove_all(folder);
}

/* Imports in a process of its own; its exit status is 0 where all went well. */
static pid_t start_import(const char *store_path) {
  pid_t pid = fork();
  ck_assert_int_ge(pid, 0);
  if (pid != 0)
    return pid;
  hf_store *store = NULL;
  hf_error error = HF_ERROR_INIT;
  const char *paths[] = {index_path};
  int status = hf_open(store_path, NULL, &store, &error);
  if (status == HF_OK)
    status = hf_import(store, paths, 1, NULL, NULL, &error);
  if (status != HF_OK)
    (void)fprintf(stderr, "import: %s: %s\n", error.place, error.message);
  hf_close(&store);
  _exit(status == HF_OK ? 0 : 1);
}

static int64_t now_us(void) {
  struct timespec now = {0, 0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void sleep_us(int64_t us) {
  struct timespec pause = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  (void)nanosleep(&pause, NULL);
}

/* The same snapshots in the same order. What else the log may hold ("end" records of killed
 * attempts) takes seqs, too. */
static void same_as_undisturbed(hf_store *store, const char *want) {
  size_t count = 0;
  hf_autofree char *shown = help_show(store, HELP_ALL, &count);
  ck_assert_uint_eq(count, ENTRIES);
  ck_assert_str_eq(shown, want);
}

static char *undisturbed(int64_t *ret_us) {
  hf_store *store = help_store(folder, "undisturbed");
  int64_t begin_us = now_us();
  ck_assert_uint_eq(help_import(store, index_path).imported, ENTRIES);
  *ret_us = now_us() - begin_us;
  char *shown = help_show(store, HELP_ALL, NULL);
  hf_close(&store);
  return shown;
}

static void init_with(const char *path, const char *locker) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {.locker = locker, .force = 1};
  int status = hf_init(path, &options, NULL, &error);
  ck_assert_msg(status == HF_OK, "init: %s: %s", error.place, error.message);
}

/* Kills go on over one store until the import is through, then over the next one. */
START_TEST(killed_imports_go_on) {
  int64_t usual_us = 0;
  unsigned seed = (unsigned)time(NULL);
  const int kills = pace_count(30, 6);
  int killed = 0;
  int killed_half_way = 0;
  hf_autofree char *want = undisturbed(&usual_us);
  for (int stores = 0; killed < kills && stores < 20 * kills; stores++) {
    char path[HELP_PATH_BYTES];
    init_with(help_path(path, "%s/store%d", folder, stores), stores % 2 == 0 ? "flock" : "none");
    for (int through = 0; !through;) {
      int status = 0;
      pid_t pid = start_import(path);
      if (killed < kills) {
        sleep_us((int64_t)((double)rand_r(&seed) / RAND_MAX * (double)usual_us));
        ck_assert_int_eq(kill(pid, SIGKILL), 0);
      }
      ck_assert_int_eq(waitpid(pid, &status, 0), pid);
      through = WIFEXITED(status);
      ck_assert_msg(!through || WEXITSTATUS(status) == 0, "the import failed (seed %u)", seed);
      killed += !through;
      if (!through) {
        hf_store *store = help_open(path);
        uint64_t head = help_head(store);
        killed_half_way += head > 0 && head < ENTRIES;
        hf_close(&store);
      }
    }
    hf_store *store = help_open(path);
    same_as_undisturbed(store, want);
    ck_assert_uint_eq(help_import(store, index_path).present, ENTRIES);
    hf_close(&store);
    help_remove_all(path);
  }
  ck_assert_int_eq(killed, kills);
  ck_assert_int_gt(killed_half_way, 0);
  (void)printf("imports killed: %d, of them with a part in the store: %d\n", killed,
               killed_half_way);
}
END_TEST

/* Several at once, begun a little apart, some killed: nothing is doubled, the order holds. */
START_TEST(imports_at_once_double_nothing) {
  int64_t usual_us = 0;
  unsigned seed = (unsigned)time(NULL);
  hf_autofree char *want = undisturbed(&usual_us);
  const int races = pace_count(8, 4);
  for (int race = 0; race < races; race++) {
    char path[HELP_PATH_BYTES];
    pid_t pids[RACERS];
    init_with(help_path(path, "%s/race%d", folder, race), race % 2 == 0 ? "flock" : "none");
    for (int i = 0; i < RACERS; i++) {
      pids[i] = start_import(path);
      sleep_us((int64_t)((double)rand_r(&seed) / RAND_MAX * (double)usual_us / 3));
    }
    if (race % 4 >= 2)
      ck_assert_int_eq(kill(pids[0], SIGKILL), 0);
    for (int i = 0; i < RACERS; i++) {
      int status = 0;
      ck_assert_int_eq(waitpid(pids[i], &status, 0), pids[i]);
      ck_assert_msg((WIFEXITED(status) && WEXITSTATUS(status) == 0) || (i == 0 && race % 4 >= 2),
                    "import %d of race %d failed", i, race);
    }
    hf_store *store = help_open(path);
    same_as_undisturbed(store, want);
    hf_close(&store);
    help_remove_all(path);
  }
}
END_TEST

int main(void) {
  Suite *suite = suite_create("legacy_kill");
  TCase *tests = tcase_create("kill");
  tcase_add_checked_fixture(tests, setup, teardown);
  tcase_add_test(tests, killed_imports_go_on);
  tcase_add_test(tests, imports_at_once_double_nothing);
  suite_add_tcase(suite, tests);
  return help_run(suite);
}
