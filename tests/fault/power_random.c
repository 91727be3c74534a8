/* Power loss after power loss, of runs that chance has made: changes of mode within tiles and over
 * their edges, batches, packing, flushes that fail, others who come between. What one power loss
 * has left is where the next run begins.
 *
 *     power_random [--seed N] [--seeds N] [--boots N] [--steps N] [--cuts N] [--trace 1]
 *
 * Each run of up to --steps steps is cut at --cuts places; where it was cut last it goes on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_disk.h"
#include "lib_power.h"
#include "lib_power_work.h"
#include "lib_table.h"

#include "plant.h"
#include "store.h"

enum {
  RUNS = 4,     /* names of runs, so that some are saved again */
  SOON_MS = 20, /* for one who comes between, while the lock may be held */
  LATE_MS = 5000,
  CALLS_MAX = 6, /* to one of which he comes */
  BATCH_MAX = 12,
  FAILS_MAX = 4, /* the flush that fails is one of so many */
  BLOB_BYTES = 70000,
  STEPS_MIN = 4,
  WORKERS = 2,
};

static const power_mode mode_of_all = {.name = "random", .locker = "flock", .journal = 1};

static struct {
  fault_random random;
  uint64_t document; /* the next one's number */
  char root[FAULT_PATH_BYTES];
  int traces;         /* prints every change up to each cut */
  unsigned countdown; /* to the call at which another one comes; 0: none does */
} chance;

typedef struct counts {
  size_t runs, saves, unsure, between, failed, cuts, changes;
} counts;

static counts *sum; /* shared by the workers */

static void add(size_t *to, size_t count) {
  (void)__atomic_fetch_add(to, count, __ATOMIC_RELAXED);
}

static uint64_t below(uint64_t bound) {
  return fault_below(&chance.random, bound);
}

/* Only where a flush has failed may anything but a lock that is held be an answer. */
static int may_fail(int status) {
  return status == HF_OK || status == HF_ELOCK || status == HF_ECANCELLED ||
         disk_record_failed_flushes() > 0;
}

/* What is not acknowledged may stand there where that is not known, and nowhere else. */
static void answer(power_promise *one, const hf_saved *saved, const hf_error *error) {
  int status = (int)saved->status;
  if (status == HF_OK) {
    power_promise_keep(one, saved);
    add(&sum->saves, 1);
    return;
  }
  FAULT_CHECK(may_fail(status) && (status == HF_EUNSURE || status == HF_EIO || status == HF_ELOCK ||
                                   status == HF_ECANCELLED),
              "a save: %s: %s", hf_status_name(status), error->message);
  one->created = status == HF_EUNSURE;
  add(&sum->unsure, status == HF_EUNSURE);
}

static void save(hf_store *store, size_t count, size_t bytes, int64_t timeout_ms) {
  hf_save_request requests[BATCH_MAX] = {{.doc = NULL}};
  hf_saved results[BATCH_MAX];
  power_promise *promises[BATCH_MAX];
  fault_document documents[BATCH_MAX];
  hf_error error = HF_ERROR_INIT;
  char run_id[32];
  for (size_t i = 0; i < count; i++) {
    (void)power_numbered(run_id, "r", (unsigned)below(RUNS));
    promises[i] = power_promise_new(run_id, chance.document++, bytes);
    requests[i] = power_request(promises[i], &documents[i]);
  }
  (void)hf_save_batch(store, requests, count, timeout_ms, results, &error);
  for (size_t i = 0; i < count; i++) {
    answer(promises[i], &results[i], &error);
    fault_document_free(&documents[i]);
  }
}

/* What a reader gets to see must stay. */
static void look(void) {
  hf_error error = HF_ERROR_INIT;
  uint64_t head = 0;
  int status = hf_head(power_work.reader, &head, &error);
  for (uint64_t seq = head > 2 ? head - 2 : 1; status == HF_OK && seq <= head; seq++) {
    hf_record *record = NULL;
    status = hf_get_seq(power_work.reader, seq, &record, &error);
    FAULT_CHECK(status != 0, "seq %llu of %llu is not there", (unsigned long long)seq,
                (unsigned long long)head);
    if (status != 1)
      break;
    FAULT_CHECK(power_work.run->shown_count < POWER_SHOWN_MAX, "too much was shown");
    power_work.run->shown[power_work.run->shown_count++] =
        (power_shown){disk_position(), seq, fault_hash(record->line, record->line_bytes)};
    hf_record_free(&record);
    status = HF_OK;
  }
  FAULT_CHECK(may_fail(status), "a reader: %s: %s", hf_status_name(status), error.message);
}

static void change_mode(hf_store *store) {
  hf_set_locker_options options = {.timeout_ms = LATE_MS,
                                   .mode = below(2) == 0 ? "journal" : "publish"};
  hf_error error = HF_ERROR_INIT;
  uint64_t seq = 0;
  int changed = hf_set_locker(store, "flock", &options, &seq, &error);
  FAULT_CHECK(changed >= 0 || may_fail(changed), "hf_set_locker: %s: %s", hf_status_name(changed),
              error.message);
  add(&sum->changes, changed == 1);
}

static void pack(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  uint64_t packed = 0;
  int status = fault_pack(store, &packed, &error);
  FAULT_CHECK(may_fail(status), "hf_pack: %s: %s", hf_status_name(status), error.message);
}

static void open_again(hf_store **store) {
  hf_close(store);
  *store = power_open(power_work.run->mode, chance.root);
}

/* Between two calls of who saves. */
static void come_between(void *context) {
  (void)context;
  if (chance.countdown == 0 || --chance.countdown > 0)
    return;
  add(&sum->between, 1);
  if (below(3) == 0)
    look();
  else
    save(power_work.second, 1 + (size_t)below(3), 60, SOON_MS);
}

static void step(void) {
  hf_store **store = below(2) == 0 ? &power_work.first : &power_work.third;
  chance.countdown = below(2) == 0 ? 1 + (unsigned)below(CALLS_MAX) : 0;
  if (below(6) == 0)
    disk_record_fail_flush(1 + (unsigned)below(FAILS_MAX), NULL);
  unsigned failed = disk_record_failed_flushes();
  switch (below(12)) {
  case 0:
  case 1:
    change_mode(*store);
    break;
  case 2:
    look();
    break;
  case 3:
    pack(*store);
    break;
  case 4:
    open_again(store);
    break;
  case 5:
    save(*store, 1, below(8) == 0 ? BLOB_BYTES : 300, LATE_MS);
    break;
  case 6:
  case 7:
  case 8:
    save(*store, 2 + (size_t)below(BATCH_MAX - 1), 20 + (size_t)below(200), LATE_MS);
    break;
  default:
    save(*store, 1, 20 + (size_t)below(300), LATE_MS);
    break;
  }
  chance.countdown = 0;
  disk_record_fail_flush(0, NULL);
  add(&sum->failed, disk_record_failed_flushes() - failed);
}

static void open_all(void) {
  power_work.first = power_open(power_work.run->mode, chance.root);
  power_work.second = power_open(power_work.run->mode, chance.root);
  power_work.third = power_open(power_work.run->mode, chance.root);
  power_work.reader = power_open(power_work.run->mode, chance.root);
}

static void close_all(void) {
  hf_close(&power_work.first);
  hf_close(&power_work.second);
  hf_close(&power_work.third);
  hf_close(&power_work.reader);
}

static void begin_boot(uint64_t number) {
  char boot[32];
  (void)snprintf(boot, sizeof boot, "boot %llu", (unsigned long long)number);
  (void)setenv("HF_TEST_BOOT", boot, 1);
}

static void init(void) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {
      .locker = "flock", .force = 1, .mode = below(3) == 0 ? "publish" : "journal"};
  char path[FAULT_PATH_BYTES];
  fault_path(path, chance.root, POWER_STORE);
  hf_plant planted = hf_planted;
  hf_planted = HF_PLANT_NONE;
  fault_must(hf_init(path, &options, NULL, &error), &error, "hf_init");
  hf_planted = planted;
}

/* One boot's run in chance.root. */
static void record(power_run *run, int is_first, size_t steps) {
  power_work.run = run;
  disk_record_begin(chance.root, come_between, NULL);
  disk_record_before_flush(come_between);
  if (is_first)
    init();
  run->init_done = disk_position();
  open_all();
  if (!is_first)
    look();
  for (size_t i = STEPS_MIN + (size_t)below(steps - STEPS_MIN + 1); i > 0; i--)
    step();
  close_all();
  disk_record_end();
  add(&sum->runs, 1);
}

/* What was promised before the power went is promised still. */
static void carry_over(power_run *run, size_t position) {
  size_t kept = 0;
  for (size_t i = 0; i < run->promises_count; i++) {
    power_promise one = run->promises[i];
    if (one.begun > position)
      continue;
    one.begun = 0;
    one.done = one.done <= position ? 0 : POWER_NEVER;
    run->promises[kept++] = one;
  }
  run->promises_count = kept;
  kept = 0;
  for (size_t i = 0; i < run->shown_count; i++)
    if (run->shown[i].position <= position) {
      run->shown[kept] = run->shown[i];
      run->shown[kept++].position = 0;
    }
  run->shown_count = kept;
  run->init_done = 0;
}

static void materialise(const disk_replay *replay, const char *path) {
  uint64_t digest;
  unsigned way = (unsigned)below(DISK_RANDOM + 4);
  fault_random random = {fault_next(&chance.random)};
  disk_materialise(replay, way < DISK_RANDOM ? (disk_adversary)way : DISK_RANDOM, random, path,
                   &digest);
}

/* In a process of its own, whose clock jumps: there nobody is waited for. */
static void check(const power_run *run, size_t position, const char *left) {
  static const fault_hooks fast = {.fast_fsync = 1};
  pid_t pid = fork();
  FAULT_CHECK(pid >= 0, "cannot fork");
  if (pid == 0) {
    fault_clock_jumps(1);
    fault_table_install(&fast);
    (void)power_check(run, position, left);
    _exit(0);
  }
  fault_wait_all(&pid, 1);
}

/* Cuts the run at so many places, in order; *ret_position and chance.root: the last one, with what
 * it has left, for the next boot. */
static void cut(const power_run *run, size_t cuts, const char *boot, size_t *ret_position) {
  char left[FAULT_PATH_BYTES], name[64];
  disk_replay *replay = disk_replay_begin();
  size_t end = disk_position();
  size_t position = run->init_done;
  for (size_t i = 0; i < position; i++)
    (void)disk_replay_step(replay, NULL);
  (void)snprintf(name, sizeof name, "cut.%d", (int)getpid());
  fault_path(left, fault_folder_in_memory(), name);
  for (size_t i = cuts; i > 0; i--) {
    size_t next = position + (size_t)below((end - position) / i + 1);
    for (; position < next && disk_replay_step(replay, NULL); position++)
      if (chance.traces)
        (void)printf("%s, %zu: %s\n", boot, position, disk_replay_last(replay));
    fault_context("%s, cut %zu of %zu (after %s)", boot, position, end, disk_replay_last(replay));
    materialise(replay, left);
    check(run, position, left);
    fault_remove_tree(left);
    add(&sum->cuts, 1);
  }
  fault_remove_tree(chance.root);
  materialise(replay, chance.root);
  disk_replay_end(&replay);
  *ret_position = position;
}

static void run_seed(uint64_t seed, size_t boots, size_t steps, size_t cuts, int traces) {
  static power_run run;
  char boot[64], name[64];
  size_t position = 0;
  memset(&run, 0, sizeof run);
  memset(&chance, 0, sizeof chance);
  memset(&power_work, 0, sizeof power_work);
  chance.random.state = seed;
  chance.traces = traces;
  chance.document = 1;
  run.mode = &mode_of_all;
  (void)snprintf(name, sizeof name, "random.%llu", (unsigned long long)seed);
  fault_path(chance.root, fault_folder_in_memory(), name);
  FAULT_CHECK(mkdir(chance.root, 0777) == 0, "cannot make %s", chance.root);
  for (size_t i = 0; i < boots; i++) {
    (void)snprintf(boot, sizeof boot, "seed %llu, boot %zu", (unsigned long long)seed, i);
    fault_context("%s", boot);
    begin_boot(2 * i);
    record(&run, i == 0, steps);
    begin_boot(2 * i + 1);
    cut(&run, cuts, boot, &position);
    carry_over(&run, position);
  }
  fault_remove_tree(chance.root);
}

int main(int argc, char **argv) {
  uint64_t seed = fault_option(argc, argv, "--seed", 1);
  uint64_t seeds = fault_option(argc, argv, "--seeds", 40);
  size_t boots = (size_t)fault_option(argc, argv, "--boots", 3);
  size_t steps = (size_t)fault_option(argc, argv, "--steps", 24);
  size_t cuts = (size_t)fault_option(argc, argv, "--cuts", 12);
  int traces = fault_option(argc, argv, "--trace", 0) != 0;
  pid_t workers[WORKERS];
  FAULT_CHECK(boots > 0 && cuts > 0 && steps >= STEPS_MIN, "there is nothing to do");
  sum = mmap(NULL, sizeof *sum, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(sum != MAP_FAILED, "no shared memory");
  (void)fault_folder_in_memory();
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i] = fork();
    FAULT_CHECK(workers[i] >= 0, "cannot fork");
    if (workers[i] != 0)
      continue;
    for (uint64_t one = seed + i; one < seed + seeds; one += WORKERS)
      run_seed(one, boots, steps, cuts, traces);
    _exit(0);
  }
  fault_wait_all(workers, WORKERS);
  (void)printf("power_random: %zu runs of %llu seeds, %zu saves acknowledged, %zu not known, %zu "
               "changes of mode, %zu failed flushes, %zu times another came between; %zu cuts\n",
               sum->runs, (unsigned long long)seeds, sum->saves, sum->unsure, sum->changes,
               sum->failed, sum->between, sum->cuts);
  FAULT_CHECK(sum->saves > 0 && sum->changes > 0 && sum->between > 0 && sum->failed > 0,
              "nothing was tried");
  return 0;
}
