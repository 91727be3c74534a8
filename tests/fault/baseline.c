/* Baselines: whatever happens between the calls by which one is made, each record is what all
 * records before it say.
 *
 *     baseline [--case NAME]
 *
 *   between     at each call of establish, update, set and clear another process saves, moves a run
 *               to another group, establishes, sets, clears
 *   revisions   a run's older revision is better than all others
 *   exact       metrics that are equal as doubles
 *   own         a run is never its own baseline
 *   collide     groups whose hashes are the same
 *   index       old baselines lie in tiles and indexes
 *   older       an index of a program that did not know the op hides nothing */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib_baseline.h"
#include "lib_table.h"

#include "id.h"
#include "index_format.h"
#include "plant.h"
#include "store.h"

static const fault_hooks fast = {.fast_fsync = 1};

static hf_baseline *establish(hf_store *store) {
  hf_baseline_options options = base_options(-1);
  hf_baseline *one = NULL;
  hf_error error = HF_ERROR_INIT;
  int made = hf_baseline_establish(store, &base_runs, &options, &one, NULL, &error);
  fault_must(made, &error, "hf_baseline_establish");
  FAULT_CHECK(one != NULL, "establish answers nothing");
  return one;
}

static hf_store *new_store(const char *name, const char *locker, const char *mode) {
  char path[FAULT_PATH_BYTES];
  fault_path(path, fault_folder_in_memory(), name);
  fault_init_in(path, locker, mode);
  return fault_open(path);
}

static void save(hf_store *store, unsigned number, const char *value) {
  hf_error error = HF_ERROR_INIT;
  fault_must(base_save(store, number, value, 0, -1), &error, "a save");
}

static void pack(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  fault_must(fault_pack(store, &packed, &error), &error, "hf_pack");
}

/* ---- between ---- */

enum { OF_ESTABLISH, OF_UPDATE, OF_SET, OF_CLEAR, OPS };
static const char *const op_names[OPS] = {"establish", "update", "set", "clear"};

enum { BETTER, WORSE, BEST_AGAIN, BEST_MOVED, ESTABLISHED, SET, CLEARED, DISTURBANCES };
static const char *const disturbance_names[DISTURBANCES] = {"a better run",
                                                            "a worse run",
                                                            "the best run again, worse",
                                                            "the best run into another group",
                                                            "another establishes",
                                                            "another sets",
                                                            "another clears"};

typedef struct between {
  hf_store *store; /* of the operation */
  hf_store *other;
  int disturbance;
  unsigned at; /* the call before which it comes */
  unsigned calls;
  int done;    /* it came */
  int refused; /* it came, and the lock was held */
} between;

static int disturb(between *one) {
  hf_baseline_options options = base_options(0);
  hf_baseline *made = NULL;
  int status = HF_OK;
  switch (one->disturbance) {
  case BETTER:
    status = base_save(one->other, 20, "90", 0, 0);
    break;
  case WORSE:
    status = base_save(one->other, 21, "1", 0, 0);
    break;
  case BEST_AGAIN:
    status = base_save(one->other, 2, "2", 0, 0);
    break;
  case BEST_MOVED:
    status = base_save(one->other, 2, "50", 1, 0);
    break;
  case ESTABLISHED:
    status = hf_baseline_establish(one->other, &base_runs, &options, &made, NULL, NULL);
    break;
  case SET:
    options.metric = NULL;
    options.goal = HF_GOAL_NONE;
    status = hf_baseline_set(one->other, 3, &options, &made, NULL);
    break;
  case CLEARED:
    status = hf_baseline_clear(one->other, &base_runs, &options, &made, NULL);
    break;
  default:
    break;
  }
  hf_baseline_free(&made);
  return status;
}

static void before(void *context, fault_call *call) {
  between *one = context;
  (void)call;
  if (one->calls++ != one->at || one->done)
    return;
  int status = disturb(one);
  one->done = 1;
  one->refused = status == HF_ELOCK;
  FAULT_CHECK(status >= 0 || status == HF_ELOCK || status == HF_ENOTFOUND, "the other one got %s",
              hf_status_name(status));
}

/* 1: made, 0, negative; *ret_seq: of the record that answers. */
static int operate(hf_store *store, int op, uint64_t *ret_seq, hf_error *reterr) {
  hf_baseline_options options = base_options(2000);
  hf_baseline *one = NULL;
  int made = HF_EINTERNAL;
  switch (op) {
  case OF_ESTABLISH:
    made = hf_baseline_establish(store, &base_runs, &options, &one, NULL, reterr);
    break;
  case OF_UPDATE:
    made = hf_baseline_update(store, &base_runs, &options, &one, NULL, reterr);
    break;
  case OF_SET:
    made = hf_baseline_set(store, 1, &options, &one, reterr);
    break;
  case OF_CLEAR:
    made = hf_baseline_clear(store, &base_runs, &options, &one, reterr);
    break;
  default:
    break;
  }
  *ret_seq = one != NULL ? one->seq : 0;
  hf_baseline_free(&one);
  return made;
}

/* Five runs, the best of them r2; for update and clear a baseline, and for update a better run. */
static void make_template(hf_store *store, int op) {
  static const char *const values[] = {"10", "50", "30", "20", "40"};
  for (unsigned i = 0; i < 5; i++)
    save(store, i + 1, values[i]);
  if (op == OF_UPDATE || op == OF_CLEAR) {
    hf_baseline *one = establish(store);
    hf_baseline_free(&one);
  }
  if (op == OF_UPDATE)
    save(store, 6, "60");
}

static int run_between(const char *template, int op, int shared, between *one) {
  static unsigned number;
  char path[FAULT_PATH_BYTES];
  char name[64];
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  (void)snprintf(name, sizeof name, "between.%u", number++);
  fault_path(path, fault_folder_in_memory(), name);
  fault_copy_tree(template, path);
  one->store = fault_open(path);
  one->other = fault_open(path);
  if (shared) {
    fault_make_shared(one->store);
    fault_make_shared(one->other);
  }
  fault_hooks hooks = {.before = before, .context = one, .fast_fsync = 1};
  fault_table_install(&hooks);
  int made = operate(one->store, op, &seq, &error);
  fault_table_remove();
  fault_table_install(&fast);
  int is_disturbed = one->done && !one->refused;
  int may_miss = is_disturbed && (one->disturbance == BEST_MOVED || one->disturbance == CLEARED);
  FAULT_CHECK(made >= 0 || (made == HF_ENOTFOUND && may_miss), "it answers %s: %s",
              hf_status_name(made), error.message);
  FAULT_CHECK(made != 1 || seq > 5, "it answers no seq");
  (void)base_check_log(one->other);
  (void)base_check_log(one->store);
  hf_record *record = NULL;
  if (made == 1) { /* its record is there, for others as well */
    fault_must(hf_get_seq(one->other, seq, &record, &error), &error, "hf_get_seq");
    FAULT_CHECK(record != NULL && strcmp(record->op, "baseline") == 0, "seq %llu is no baseline",
                (unsigned long long)seq);
  }
  hf_record_free(&record);
  fault_table_remove();
  hf_close(&one->store);
  hf_close(&one->other);
  fault_remove_tree(path);
  return one->done;
}

static unsigned between_mode(const char *name, const char *locker, const char *mode, int shared) {
  unsigned runs = 0;
  for (int op = 0; op < OPS; op++) {
    char template[FAULT_PATH_BYTES];
    char folder[64];
    (void)snprintf(folder, sizeof folder, "%s-%s", name, op_names[op]);
    hf_store *store = new_store(folder, locker, mode);
    make_template(store, op);
    hf_close(&store);
    fault_path(template, fault_folder_in_memory(), folder);
    for (int disturbance = 0; disturbance < DISTURBANCES; disturbance++)
      for (unsigned at = 0;; at++, runs++) {
        between one = {.disturbance = disturbance, .at = at};
        fault_context("%s: %s; before call %u: %s", name, op_names[op], at,
                      disturbance_names[disturbance]);
        if (!run_between(template, op, shared, &one))
          break;
      }
    fault_verify(template);
  }
  return runs;
}

static void run_between_case(void) {
  unsigned runs = between_mode("publish", "none", "publish", 0);
  runs += between_mode("shared", "none", "publish", 1);
  runs += between_mode("journal", "flock", "journal", 0);
  (void)printf("baseline between: %u disturbances, each record is what those before it say\n",
               runs);
}

/* ---- one thing each ---- */

static void run_revisions(void) {
  fault_table_install(&fast);
  hf_store *store = new_store("revisions", "none", "publish");
  static const char *const values[] = {"10", "99", "30", "20", "40"};
  for (unsigned i = 0; i < 5; i++)
    save(store, i + 1, values[i]);
  save(store, 2, "5");
  hf_baseline *one = establish(store);
  FAULT_CHECK(one->of == 5, "the baseline is seq %llu, not 5", (unsigned long long)one->of);
  hf_baseline_free(&one);
  (void)base_check_log(store);
  hf_close(&store);
  fault_table_remove();
  (void)printf("baseline revisions: the current ones count\n");
}

static void run_exact(void) {
  fault_table_install(&fast);
  hf_store *store = new_store("exact", "none", "publish");
  static const char *const values[] = {"9007199254740992", "9007199254740993", "1", "2", "3"};
  for (unsigned i = 0; i < 5; i++)
    save(store, i + 1, values[i]);
  hf_baseline *one = establish(store);
  FAULT_CHECK(one->of == 2 && strcmp(one->value, values[1]) == 0,
              "the baseline is seq %llu, %s, which is not the best", (unsigned long long)one->of,
              one->value);
  hf_baseline_free(&one);
  hf_close(&store);
  fault_table_remove();
  (void)printf("baseline exact: 9007199254740993 is better than 9007199254740992\n");
}

static void run_own(void) {
  hf_checked checked;
  hf_error error = HF_ERROR_INIT;
  fault_table_install(&fast);
  hf_store *store = new_store("own", "none", "publish");
  make_template(store, OF_CLEAR);
  FAULT_CHECK(hf_baseline_check(store, 2, NULL, &checked, NULL, &error) == HF_ENOTFOUND,
              "a run is compared with itself");
  save(store, 2, "1");
  FAULT_CHECK(hf_baseline_check(store, 7, NULL, &checked, NULL, &error) == HF_ENOTFOUND,
              "a revision of the baseline's own run is compared with it");
  fault_must(hf_baseline_check(store, 1, NULL, &checked, NULL, &error), &error, "a check");
  FAULT_CHECK(checked.result == HF_CHECK_WORSE && strcmp(checked.delta, "-40") == 0,
              "10 against 50: %s", checked.delta);
  hf_close(&store);
  fault_table_remove();
  (void)printf("baseline own: a run is never its own baseline\n");
}

/* ---- hashes, tiles, indexes ---- */

enum { COLLIDE_BITS = 2, COLLIDE_GROUPS = 12 };

static void collide_group(unsigned number, char group[BASE_TEXT_BYTES]) {
  (void)snprintf(group, BASE_TEXT_BYTES, "group %u", number);
}

static void compare_groups(hf_store *store, const uint64_t *want) {
  for (unsigned i = 0; i < COLLIDE_GROUPS; i++) {
    char group[BASE_TEXT_BYTES];
    hf_comparable of = {.group = group, .stage = "s"};
    hf_baseline *one = NULL;
    hf_error error = HF_ERROR_INIT;
    collide_group(i, group);
    int got = hf_baseline_get(store, &of, 0, &one, &error);
    fault_must(got, &error, "hf_baseline_get");
    FAULT_CHECK((got == 1 ? one->of : 0) == want[i], "%s: seq %llu, not %llu", group,
                got == 1 ? (unsigned long long)one->of : 0ULL, (unsigned long long)want[i]);
    hf_baseline_free(&one);
  }
}

static void collide_round(hf_store *store, unsigned round, uint64_t *want) {
  for (unsigned i = 0; i < COLLIDE_GROUPS; i++) {
    char group[BASE_TEXT_BYTES];
    char run_id[BASE_TEXT_BYTES];
    hf_baseline *one = NULL;
    hf_saved saved;
    hf_error error = HF_ERROR_INIT;
    collide_group(i, group);
    (void)snprintf(run_id, sizeof run_id, "run %u", round);
    hf_save_request request = {
        .key = {.run_id = run_id, .stage = "s"}, .group = group, .doc = "{}", .doc_bytes = 2};
    fault_must(hf_save(store, &request, -1, &saved, &error), &error, "a save");
    if (i % 4 == 3) /* it never has one */
      continue;
    fault_must(hf_baseline_set(store, saved.seq, NULL, &one, &error), &error, "hf_baseline_set");
    hf_baseline_free(&one);
    want[i] = saved.seq;
  }
}

static void run_in_tiles(const char *name, unsigned rounds) {
  uint64_t want[COLLIDE_GROUPS] = {0};
  char path[FAULT_PATH_BYTES];
  fault_table_install(&fast);
  hf_store *store = new_store(name, "none", "publish");
  for (unsigned round = 0; round < rounds; round++) {
    collide_round(store, round, want);
    if (round % 8 == 0)
      pack(store);
  }
  compare_groups(store, want);
  pack(store);
  hf_close(&store);
  fault_path(path, fault_folder_in_memory(), name);
  for (int shared = 0; shared < 2; shared++) {
    store = fault_open(path);
    if (shared)
      fault_make_shared(store);
    compare_groups(store, want);
    FAULT_CHECK(store->view.base > 0, "no index is used");
    hf_close(&store);
  }
  fault_table_remove();
  fault_verify(path);
}

static void run_collide(void) {
  hf_test_hash_bits = COLLIDE_BITS;
  run_in_tiles("collide", HF_TILE_RECORDS < 256 ? 6 : 16);
  (void)printf("baseline collide: hashes of %d bits, and each group has its own\n", COLLIDE_BITS);
}

static void run_index(void) {
  run_in_tiles("index", HF_TILE_RECORDS < 256 ? 12 : 40);
  (void)printf("baseline index: those in tiles are found\n");
}

enum { OLDER_SEQ = 6 }; /* of the baseline's record */

/* An index as an older program has made it: the record counts as unknown, and is in no table. */
static void make_older(const char *path) {
  char header[HF_INDEX_HEADER_BYTES];
  char name[FAULT_PATH_BYTES];
  char index[32];
  (void)snprintf(index, sizeof index, "index/0/%d.idx", (OLDER_SEQ - 1) / HF_TILE_RECORDS);
  fault_path(name, path, index);
  int fd = open(name, O_RDWR | O_CLOEXEC);
  FAULT_CHECK(fd >= 0 && pread(fd, header, sizeof header, 0) == (ssize_t)sizeof header,
              "cannot read the index");
  FAULT_CHECK(hf_index_number_take(header + HEADER_UNKNOWN_COUNT, 8) > 0,
              "older programs are not told that there is a record that they do not know");
  memset(header + HEADER_LATER_COUNT, 0, 16);
  hf_index_number_put(header + HEADER_CRC, hf_crc32c(0, header, HEADER_CRC), 4);
  FAULT_CHECK(pwrite(fd, header, sizeof header, 0) == (ssize_t)sizeof header && close(fd) == 0,
              "cannot write the index");
}

static void run_older(void) {
  char path[FAULT_PATH_BYTES];
  fault_table_install(&fast);
  hf_store *store = new_store("older", "none", "publish");
  make_template(store, OF_CLEAR);
  for (unsigned i = 0; i < HF_TILE_RECORDS; i++)
    save(store, 1, i % 2 == 0 ? "1" : "2");
  pack(store);
  hf_close(&store);
  fault_path(path, fault_folder_in_memory(), "older");
  for (int older = 0; older < 2; older++) {
    if (older)
      make_older(path);
    store = fault_open(path);
    (void)base_check_log(store);
    FAULT_CHECK((store->view.base >= OLDER_SEQ) == !older, "the index is used, or is not");
    save(store, 7, older ? "7" : "8");
    hf_close(&store);
  }
  fault_table_remove();
  (void)printf("baseline older: an index that knows less is left alone\n");
}

static const struct {
  const char *name;
  void (*run)(void);
} cases[] = {{"between", run_between_case}, {"revisions", run_revisions},
             {"exact", run_exact},          {"own", run_own},
             {"index", run_index},          {"older", run_older},
             {"collide", run_collide}};

int main(int argc, char **argv) {
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
