#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "errors.h"
#include "options.h"
#include "progress.h"
#include "store.h"

enum {
  SECONDS_DEFAULT = 12,
  SECONDS_MAX = 3600,
  PATH_BYTES = 4096,
  NAME_BYTES_MAX = 64, /* of what lies in the scratch folder */
  FILES_OPEN = 16,
  TURNS = 27, /* of --seconds, in shares of which a step of saves has two */
  COUNTING_MS_MAX = 250
};

static const hf_cli_option bench_options[] = {
    HF_CLI_OPT_NUMBER("seconds", seconds, "N", "about how long to measure (12)"),
};

typedef struct bench {
  hf_cli *cli;
  const char *path;
  char scratch[PATH_BYTES];
  hf_config *no_packing; /* for counting: packing has flushes of its own */
  int64_t turn_ms;
  uint64_t steps_done;
  uint64_t steps;
  hf_cli_bench_result result;
} bench;

/* ---- the scratch folder ---- */

static int scratch_failed(const bench *b, const char *what) {
  return hf_cli_failed(b->cli, b->path, "%s: %s", what, strerror(errno));
}

static int scratch_make(bench *b) {
  hf_error err = HF_ERROR_INIT;
  if (hf_fs_detect(b->path, &b->result.fs, &err) != HF_OK)
    return hf_cli_library_error(b->cli, b->path, &err);
  int n = snprintf(b->scratch, sizeof b->scratch, "%s/holdfast-bench-XXXXXX", b->path);
  if (n < 0 || (size_t)n + NAME_BYTES_MAX >= sizeof b->scratch) {
    b->scratch[0] = '\0';
    return hf_cli_failed(b->cli, b->path, "the path is too long");
  }
  if (mkdtemp(b->scratch) == NULL) {
    b->scratch[0] = '\0';
    return scratch_failed(b, "cannot make a scratch folder here");
  }
  return HF_CLI_DONE;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *walk) {
  (void)st;
  (void)kind;
  (void)walk;
  return remove(path);
}

static void scratch_remove(const bench *b) {
  if (b->scratch[0] != '\0' &&
      nftw(b->scratch, remove_entry, FILES_OPEN, FTW_DEPTH | FTW_PHYS) != 0)
    hf_cli_warning(b->cli, b->scratch, "cannot be removed: %s", strerror(errno));
}

/* Its folder or file of this name. */
static const char *inside(const bench *b, const char *name, char path[PATH_BYTES]) {
  (void)snprintf(path, PATH_BYTES, "%.*s/%.*s", PATH_BYTES - NAME_BYTES_MAX - 2, b->scratch,
                 NAME_BYTES_MAX, name);
  return path;
}

static int make_no_packing(bench *b) {
  static const char text[] = "{\"packing\":{\"automatic\":false}}\n";
  char path[PATH_BYTES];
  hf_error err = HF_ERROR_INIT;
  int fd = open(inside(b, "config.json", path), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0)
    return scratch_failed(b, "cannot write here");
  ssize_t written = write(fd, text, sizeof text - 1);
  if (written >= 0 && written != (ssize_t)sizeof text - 1)
    errno = ENOSPC;
  int failed = written != (ssize_t)sizeof text - 1;
  failed = failed ? failed : fsync(fd) != 0;
  if (failed) {
    (void)scratch_failed(b, "cannot write here");
    (void)close(fd);
    return HF_CLI_FAILED;
  }
  (void)close(fd);
  if (hf_config_load(path, &b->no_packing, &err) != HF_OK)
    return hf_cli_library_error(b->cli, path, &err);
  return HF_CLI_DONE;
}

/* ---- steps ---- */

static int stopped(const bench *b) {
  return hf_cli_failed(b->cli, b->path, "stopped by a signal; what was made here is removed");
}

static int advance(bench *b) {
  (void)hf_cli_progress(NULL, "steps", b->steps_done++, b->steps);
  return hf_cli_signalled() ? stopped(b) : HF_CLI_DONE;
}

static int measure_flushes(bench *b) {
  for (int kind = 0; kind < HF_CLI_BENCH_FLUSHES; kind++) {
    char path[PATH_BYTES];
    char name[NAME_BYTES_MAX];
    (void)snprintf(name, sizeof name, "flush-%d", kind);
    int status = advance(b);
    if (status != HF_CLI_DONE)
      return status;
    if (mkdir(inside(b, name, path), 0700) != 0)
      return scratch_failed(b, "cannot make a folder here");
    if (hf_cli_bench_flush_measure(path, (hf_cli_bench_flush)kind, b->turn_ms,
                                   &b->result.flush[kind]) != 0)
      return errno == EINTR && hf_cli_signalled() ? stopped(b)
                                                  : scratch_failed(b, "cannot write and flush");
  }
  return HF_CLI_DONE;
}

static int run_step(bench *b, const hf_cli_bench_step *step, uint64_t *next,
                    hf_cli_bench_figures *ret_figures) {
  hf_error err = HF_ERROR_INIT;
  int status = advance(b);
  if (status != HF_CLI_DONE)
    return status;
  int rc = hf_cli_bench_run(step, next, ret_figures, &err);
  if (rc == HF_ECANCELLED)
    return stopped(b);
  return rc == HF_OK ? HF_CLI_DONE : hf_cli_library_error(b->cli, step->store, &err);
}

static int measure_saves(bench *b, const char *store, hf_cli_bench_figures *figures,
                         uint64_t *next) {
  for (int load = 0; load < HF_CLI_BENCH_LOADS; load++) {
    hf_cli_bench_step step = {
        .work = load == HF_CLI_BENCH_BATCHES ? HF_CLI_BENCH_BATCH : HF_CLI_BENCH_SAVE,
        .processes = load == HF_CLI_BENCH_PROCESSES ? HF_CLI_BENCH_WRITERS : 1,
        .threads = load == HF_CLI_BENCH_THREADS ? HF_CLI_BENCH_WRITERS : 1,
        .time_ms = 2 * b->turn_ms,
        .store = store,
        .config = b->cli->config,
    };
    hf_cli_bench_figures counted = {0};
    int status = run_step(b, &step, next, &figures[load]);
    if (status != HF_CLI_DONE)
      return status;
    step.count_flushes = 1;
    step.config = b->no_packing;
    step.time_ms = b->turn_ms < COUNTING_MS_MAX ? b->turn_ms : COUNTING_MS_MAX;
    status = run_step(b, &step, next, &counted);
    if (status != HF_CLI_DONE)
      return status;
    figures[load].flushes_each = counted.flushes_each;
  }
  return HF_CLI_DONE;
}

static int measure_reads(bench *b, const char *store, uint64_t *next) {
  static const hf_cli_bench_work works[HF_CLI_BENCH_READS] = {
      [HF_CLI_BENCH_READ_GET] = HF_CLI_BENCH_GET,
      [HF_CLI_BENCH_READ_PREV] = HF_CLI_BENCH_PREV,
      [HF_CLI_BENCH_READ_OPEN] = HF_CLI_BENCH_OPEN,
  };
  b->result.snapshots = *next;
  for (int read = 0; read < HF_CLI_BENCH_READS; read++) {
    hf_cli_bench_step step = {.work = works[read],
                              .processes = 1,
                              .threads = 1,
                              .time_ms = b->turn_ms,
                              .store = store,
                              .config = b->cli->config};
    int status = run_step(b, &step, next, &b->result.reads[read]);
    if (status != HF_CLI_DONE)
      return status;
  }
  return HF_CLI_DONE;
}

/* ---- stores ---- */

/* With flock, as for the processes of this host; where the configuration has another locker for
 * this filesystem, with that. */
static int make_store(bench *b, const char *path) {
  hf_error err = HF_ERROR_INIT;
  hf_info info = {0};
  hf_init_options options = {.config = b->cli->config, .locker = "flock", .force = 1};
  int rc = hf_init(path, &options, &info, &err);
  if (rc == HF_ECONFIG) {
    options.locker = NULL;
    rc = hf_init(path, &options, &info, &err);
  }
  if (rc != HF_OK)
    return hf_cli_library_error(b->cli, path, &err);
  (void)snprintf(b->result.locker, sizeof b->result.locker, "%s", info.locker);
  return HF_CLI_DONE;
}

/* *ret_has: 0 where this store cannot have the mode. */
static int set_mode(const bench *b, const char *path, const char *mode, int *ret_has) {
  hf_error err = HF_ERROR_INIT;
  hf_store *store = NULL;
  hf_locker_choice choice;
  hf_open_options open_options = {.config = b->cli->config, .purpose = "bench"};
  hf_set_locker_options options = {.timeout_ms = -1, .mode = mode};
  uint64_t seq = 0;
  int rc = hf_open(path, &open_options, &store, &err);
  if (rc == HF_OK)
    rc = hf_get_locker(store, &choice, &err);
  if (rc == HF_OK && strcmp(choice.mode, mode) != 0)
    rc = hf_set_locker(store, b->result.locker, &options, &seq, &err);
  hf_close(&store);
  *ret_has = rc >= 0;
  return rc >= 0 || rc == HF_ECONFIG ? HF_CLI_DONE : hf_cli_library_error(b->cli, path, &err);
}

static int measure_modes(bench *b) {
  static const char *const modes[HF_CLI_BENCH_MODES] = {"journal", "publish"};
  int read = 0; /* the store of the first mode is read */
  for (int mode = 0; mode < HF_CLI_BENCH_MODES; mode++) {
    char path[PATH_BYTES];
    uint64_t next = 0;
    int status = make_store(b, inside(b, modes[mode], path));
    if (status == HF_CLI_DONE)
      status = set_mode(b, path, modes[mode], &b->result.has_mode[mode]);
    if (status != HF_CLI_DONE)
      return status;
    if (!b->result.has_mode[mode]) {
      b->steps -= 2 * HF_CLI_BENCH_LOADS;
      continue;
    }
    status = measure_saves(b, path, b->result.saves[mode], &next);
    if (status == HF_CLI_DONE && !read)
      status = measure_reads(b, path, &next);
    if (status != HF_CLI_DONE)
      return status;
    read = 1;
  }
  return HF_CLI_DONE;
}

/* ---- the command ---- */

static double now_s(void) {
  struct timespec now = {0};
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int measure(bench *b) {
  double began_s = now_s();
  int status = make_no_packing(b);
  if (status == HF_CLI_DONE)
    status = measure_flushes(b);
  if (status == HF_CLI_DONE)
    status = measure_modes(b);
  b->result.seconds = now_s() - began_s;
  return status;
}

static int run_bench(hf_cli *cli) {
  uint64_t seconds = cli->args.seconds.given ? cli->args.seconds.value : SECONDS_DEFAULT;
  bench b = {.cli = cli,
             .path = cli->args.operands_count > 0 ? cli->args.operands[0] : ".",
             .turn_ms = (int64_t)(seconds < SECONDS_MAX ? seconds : SECONDS_MAX) * 1000 / TURNS,
             .steps = HF_CLI_BENCH_FLUSHES + 2 * HF_CLI_BENCH_MODES * HF_CLI_BENCH_LOADS +
                      HF_CLI_BENCH_READS};
  if (cli->args.store != NULL)
    return hf_cli_usage(cli, "--store",
                        "bench makes a store of its own: name the folder that it goes to");
  if (b.path[0] == '\0')
    return hf_cli_usage(cli, "DIR", "is empty");
  if (seconds < 1 || seconds > SECONDS_MAX)
    return hf_cli_usage(cli, "--seconds", "wants 1 to %d", SECONDS_MAX);
  int status = hf_cli_need_config(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  status = scratch_make(&b);
  if (status == HF_CLI_DONE)
    status = measure(&b);
  scratch_remove(&b);
  hf_config_free(&b.no_packing);
  hf_cli_progress_clear();
  if (status == HF_CLI_DONE)
    hf_cli_bench_print(cli, b.path, &b.result);
  return status;
}

const hf_cli_command hf_cli_command_bench = {
    .name = "bench",
    .synopsis = "bench [DIR] [--seconds N]",
    .summary = "how fast is a store on this filesystem?",
    .details =
        "Makes a scratch folder in DIR (else in the folder that you are in) with stores of its "
        "own, measures, and removes it, also when it is stopped by SIGINT, SIGTERM or SIGHUP. It "
        "writes up to 1 GB. Your stores are not touched; a store's own folder is no place for "
        "it.\n"
        "\n"
        "Prints what a flush costs here, of a new file, of a new name in a folder, of bytes in a "
        "file that is there; saves a second of 2 KB documents in journal and in publish mode, by "
        "one writer, by 8 threads on one handle, by 8 processes, and in batches of 256; the median "
        "and the 99th percentile of one call; how many flushes there are for each save (counted in "
        "a short run of its own, without packing; a dash: the kernel does not allow that); what "
        "get and prev take with an open handle, and a prev that opens the store first; and what "
        "limits a save. The locker is flock, or the one that the configuration names for this "
        "filesystem. "
        "A mode that the filesystem or the locker does not allow is left out.\n"
        "\n"
        "All processes run on this host: of a filesystem that hosts share it says nothing about "
        "several (holdfast doctor --peer asks whether a store is safe there). Figures differ "
        "between disks by a factor of a hundred, and on busy machines from minute to minute: run "
        "it twice.\n"
        "\n"
        "With --json one object: path, filesystem, local, locker, document_bytes, seconds, flushes "
        "(a list; each with what, samples, median_us, p99_us), saves (each with mode, writers, "
        "kind: thread, process or batch, count, per_s, median_us, p99_us, flushes_each or null), "
        "reads (each with what: get, prev or open-prev, count, median_us, p99_us), snapshots (in "
        "the store that was read), limit (flushes or processor; null where it is not known).",
    .examples = "holdfast bench /data\n"
                "holdfast --json bench --seconds 30 /mnt/shared",
    .options = bench_options,
    .options_count = HF_CLI_COUNT(bench_options),
    .operands_min = 0,
    .operands_max = 1,
    .run = run_bench,
};
