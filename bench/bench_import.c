/* How quickly `holdfast save --batch` takes in a file of JSON lines, and in how much memory.
 *
 * bench_import [--dir DIR] [--mode publish|journal] [--short] --cli HOLDFAST COUNT...
 *
 * Makes a file of COUNT lines in DIR (documents of 2 KB, or with --short of 200 bytes), a new store
 * beside it, and runs the command line on both; prints one JSON object a COUNT. The processor's
 * time is that of all threads, the packer's too. */
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "document.h"

enum { GROUPS = 1000, PATH_BYTES = 512, FILES_OPEN = 32, ARGS_MAX = 8 };

typedef struct wanted {
  const char *folder;
  const char *mode;
  const char *cli;
  int is_short;
} wanted;

static void die(const char *what) {
  (void)fprintf(stderr, "bench_import: %s: %s\n", what, strerror(errno));
  exit(1);
}

static double now_s(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds(struct timeval t) {
  return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void write_lines(const char *path, uint64_t count, int is_short) {
  static hf_bench_document d;
  FILE *file = fopen(path, "w");
  if (file == NULL)
    die(path);
  for (uint64_t i = 0; i < count; i++) {
    hf_bench_document_make(i, &d);
    if (is_short) /* 200 bytes */
      (void)snprintf(d.text, sizeof d.text,
                     "{\"run_id\": \"%s\", \"group\": \"%s\", \"auc\": 0.%06u, \"loss\": 0.%06u, "
                     "\"models\": 8, \"seed\": 42, \"family\": \"xgboost\"}",
                     d.run_id, d.group, (unsigned)(500000 + i % 400000),
                     (unsigned)(200000 + i % 600000));
    if (fprintf(file, "{\"run_id\":\"%s\",\"stage\":\"%s\",\"group\":\"group-%u\",\"doc\":%s}\n",
                d.run_id, d.stage, (unsigned)(i % GROUPS), d.text) < 0)
      die(path);
  }
  if (fflush(file) != 0 || fsync(fileno(file)) != 0 || fclose(file) != 0)
    die(path);
}

/* Runs it with its standard output thrown away. */
static int run(char *const *args, struct rusage *ret_usage) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    if (freopen("/dev/null", "w", stdout) == NULL)
      _exit(126);
    (void)execv(args[0], args);
    _exit(127);
  }
  if (pid < 0 || wait4(pid, &status, 0, ret_usage) != pid)
    die("wait4");
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
  (void)st;
  (void)type;
  (void)walk;
  return remove(path);
}

static void make_store(const char *path, const wanted *what) {
  hf_error error = HF_ERROR_INIT;
  hf_init_options options = {.locker = "flock"};
  struct rusage usage;
  char *args[] = {(char *)what->cli, "--store", (char *)path,       "locker", "set",
                  "flock",           "--mode",  (char *)what->mode, NULL};
  if (hf_init(path, &options, NULL, &error) != HF_OK) {
    (void)fprintf(stderr, "bench_import: init: %s (%s)\n", error.message, error.place);
    exit(1);
  }
  if (run(args, &usage) != 0) {
    (void)fprintf(stderr, "bench_import: locker set flock --mode %s failed\n", what->mode);
    exit(1);
  }
}

static void measure(const wanted *what, uint64_t count) {
  char lines[PATH_BYTES], store[PATH_BYTES];
  struct rusage usage;
  (void)snprintf(lines, sizeof lines, "%.400s/holdfast-import-%ld.jsonl", what->folder,
                 (long)getpid());
  (void)snprintf(store, sizeof store, "%.400s/holdfast-import-%ld", what->folder, (long)getpid());
  write_lines(lines, count, what->is_short);
  make_store(store, what);
  char *args[ARGS_MAX] = {(char *)what->cli, "--store", store, "save", "--batch", lines, NULL};
  double began_s = now_s();
  int status = run(args, &usage);
  double took_s = now_s() - began_s;
  (void)printf("{\"records\":%" PRIu64 ",\"document\":%d,\"mode\":\"%s\",\"status\":%d,"
               "\"per_s\":%.0f,\"user_us\":%.2f,\"system_us\":%.2f,\"resident_kib\":%ld}\n",
               count, what->is_short ? 200 : 2000, what->mode, status, (double)count / took_s,
               seconds(usage.ru_utime) / (double)count * 1e6,
               seconds(usage.ru_stime) / (double)count * 1e6, usage.ru_maxrss);
  (void)fflush(stdout);
  (void)remove(lines);
  (void)nftw(store, remove_one, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv) {
  wanted what = {".", "publish", NULL, 0};
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (strcmp(argv[at], "--short") == 0)
      what.is_short = 1;
    else if (at + 1 < argc && strcmp(argv[at], "--dir") == 0)
      what.folder = argv[++at];
    else if (at + 1 < argc && strcmp(argv[at], "--mode") == 0)
      what.mode = argv[++at];
    else if (at + 1 < argc && strcmp(argv[at], "--cli") == 0)
      what.cli = argv[++at];
    else
      break;
  }
  if (what.cli == NULL || at == argc) {
    (void)fprintf(stderr,
                  "usage: bench_import [--dir DIR] [--mode publish|journal] [--short] --cli "
                  "HOLDFAST COUNT...\n");
    return 2;
  }
  for (; at < argc; at++)
    measure(&what, strtoull(argv[at], NULL, 10));
  return 0;
}
