/* Power loss at every instant: a run of about 60 saves on a simulated disk, cut after every single
 * change, with several adversaries who choose what the disk has kept (lib_disk.h). After each cut:
 * every save that was acknowledged before is there with its document at its seq (I3), so is what a
 * reader was shown; the log is dense; verify finds no damage; a retry by id makes nothing twice;
 * new saves get the next seqs.
 *
 *     powerloss [--mode NAME] [--random N] [--seed N] [--every N]
 *
 * --random N: so many adversaries who choose at random. --every N: only every N-th change. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib_disk.h"
#include "lib_power.h"
#include "lib_table.h"

static const power_mode modes[] = {
    {.name = "local-none", .locker = "none"},
    {.name = "local-flock", .locker = "flock"},
    {.name = "local-journal", .locker = "flock", .journal = 1},
    {.name = "journal-edge", .locker = "flock", .journal = 1, .edge = 1},
    {.name = "journal-copies", .locker = "flock", .journal = 1, .edge = 1, .copies = 1},
    {.name = "journal-cut", .locker = "flock", .journal = 1, .cut = 1},
    {.name = "journal-back", .locker = "flock", .journal = 1, .back = 1, .times = 10},
    {.name = "journal-left", .locker = "flock", .journal = 1, .left = 1},
    {.name = "journal-left-edge", .locker = "flock", .journal = 1, .left = 2},
    {.name = "journal-failed", .locker = "flock", .journal = 1, .failed = 1},
    {.name = "shared-none", .locker = "none", .shared = 1},
    {.name = "local-rename", .locker = "none", .rename = 1},
    {.name = "local-pack", .locker = "flock", .pack = 1},
    {.name = "journal-pack", .locker = "flock", .pack = 1, .journal = 1},
    {.name = "local-gc", .locker = "flock", .gc = 1},
    {.name = "journal-gc", .locker = "flock", .gc = 1, .journal = 1},
    {.name = "shared-gc", .locker = "none", .shared = 1, .gc = 1},
    {.name = "shared-pack", .locker = "none", .shared = 1, .pack = 1},
};

static size_t every = 1;

enum { WORKERS = 2, SEEN_MAX = 1 << 16 };

typedef struct counts {
  size_t cuts;
  size_t outcomes;
  size_t checked;
  size_t marks; /* of them: where the mark's bytes were wrong */
} counts;

static struct {
  uint64_t digests[SEEN_MAX];
  size_t used;
} seen;

/* The same tree with the same promises need not be looked at twice. */
static int is_seen(uint64_t digest) {
  size_t i = (size_t)digest % SEEN_MAX;
  while (seen.digests[i] != 0 && seen.digests[i] != digest)
    i = (i + 1) % SEEN_MAX;
  if (seen.digests[i] == digest)
    return 1;
  FAULT_CHECK(seen.used < SEEN_MAX / 2, "too many outcomes");
  seen.used++;
  seen.digests[i] = digest;
  return 0;
}

/* How many promises a cut has to keep. */
static uint64_t promised(const power_run *run, size_t position) {
  uint64_t count = 0;
  for (size_t i = 0; i < run->promises_count; i++)
    count += (run->promises[i].done <= position ? 1U : 0U) +
             (run->promises[i].begun <= position ? 1U : 0U);
  for (size_t i = 0; i < run->shown_count; i++)
    count += run->shown[i].position <= position;
  for (size_t i = 0; i < run->resolved_count; i++)
    count += run->resolved[i].position <= position;
  return count;
}

static void cut(const power_run *run, const disk_replay *replay, size_t position, unsigned number,
                uint64_t seed, counts *sum) {
  static const char *const names[] = {"nothing but what was fsynced", "names without data", "all",
                                      "of the names the youngest"};
  char path[FAULT_PATH_BYTES];
  char name[64];
  uint64_t digest;
  disk_adversary adversary = number < DISK_RANDOM ? (disk_adversary)number : DISK_RANDOM;
  fault_random random = {seed * 1000003 + position * 101 + number};
  (void)snprintf(name, sizeof name, "cut.%d", (int)getpid());
  fault_path(path, fault_folder_in_memory(), name);
  fault_context("%s, cut %zu (after %s), the disk kept %s (number %u)", run->mode->name, position,
                disk_replay_last(replay), number < DISK_RANDOM ? names[number] : "what it liked",
                number);
  disk_materialise(replay, adversary, random, NULL, &digest);
  sum->outcomes++;
  if (is_seen(digest ^ promised(run, position) * UINT64_C(0x9e3779b97f4a7c15)))
    return;
  disk_materialise(replay, adversary, random, path, &digest);
  sum->marks += power_check(run, position, path) > 0;
  fault_remove_tree(path);
  sum->checked++;
}

/* Every WORKERS-th cut. */
static void cut_all(const power_run *run, unsigned worker, unsigned random, uint64_t seed,
                    counts *sum) {
  static const fault_hooks fast = {.fast_fsync = 1};
  disk_replay *replay = disk_replay_begin();
  int is_cut = 1;
  memset(&seen, 0, sizeof seen);
  (void)setenv("HF_TEST_BOOT", "the boot after the power loss", 1);
  fault_clock_jumps(1);
  fault_table_install(&fast);
  for (size_t position = 1; disk_replay_step(replay, &is_cut); position++) {
    if (!is_cut || position < run->cut_from || position % every != 0 ||
        position / every % WORKERS != worker)
      continue;
    sum->cuts++;
    for (unsigned number = 0; number < DISK_RANDOM + random; number++)
      cut(run, replay, position, number, seed, sum);
  }
  fault_table_remove();
  fault_clock_jumps(0);
  disk_replay_end(&replay);
}

static void run_mode(const power_mode *mode, unsigned random, uint64_t seed, counts *shared) {
  static power_run run;
  char root[FAULT_PATH_BYTES];
  pid_t workers[WORKERS];
  int64_t start_us = fault_now_us();
  memset(shared, 0, WORKERS * sizeof *shared);
  fault_context("%s, recording", mode->name);
  fault_path(root, fault_folder_in_memory(), mode->name);
  FAULT_CHECK(mkdir(root, 0777) == 0, "cannot make %s", root);
  power_record(mode, root, &run);
  (void)fflush(stdout);
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i] = fork();
    FAULT_CHECK(workers[i] >= 0, "cannot fork: %s", strerror(errno));
    if (workers[i] == 0) {
      cut_all(&run, i, random, seed, &shared[i]);
      _exit(0);
    }
  }
  counts sum = {0};
  fault_wait_all(workers, WORKERS);
  for (unsigned i = 0; i < WORKERS; i++) {
    sum.cuts += shared[i].cuts;
    sum.outcomes += shared[i].outcomes;
    sum.checked += shared[i].checked;
    sum.marks += shared[i].marks;
  }
  size_t acknowledged = 0;
  for (size_t i = 0; i < run.promises_count; i++)
    acknowledged += run.promises[i].done != POWER_NEVER;
  (void)printf(
      "powerloss %-12s: %zu saves, %zu records shown, %zu cuts, %zu outcomes, %zu different "
      "ones checked (in %zu the mark's bytes were repaired), %.1f s\n",
      mode->name, acknowledged, run.shown_count, sum.cuts, sum.outcomes, sum.checked, sum.marks,
      (double)(fault_now_us() - start_us) / 1e6);
  fault_context("%s", "");
}

int main(int argc, char **argv) {
  const char *only = fault_option_text(argc, argv, "--mode", NULL);
  unsigned random = (unsigned)fault_option(argc, argv, "--random", 3);
  uint64_t seed = fault_option(argc, argv, "--seed", 1);
  every = (size_t)fault_option(argc, argv, "--every", 1);
  FAULT_CHECK(every > 0, "--every 0");
  counts *shared = mmap(NULL, WORKERS * sizeof *shared, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(shared != MAP_FAILED, "no shared memory");
  size_t ran = 0;
  for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
    if (only != NULL && strcmp(only, modes[i].name) != 0)
      continue;
    run_mode(&modes[i], random * (modes[i].times > 0 ? modes[i].times : 1), seed, shared);
    ran++;
  }
  FAULT_CHECK(ran > 0, "there is no mode %s", only);
  return 0;
}
