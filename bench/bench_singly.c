/* A history whose records were saved one by one, as fast as that goes: how far the packing by
 * itself stays behind meanwhile and afterwards, and what that costs who opens the store.
 *
 * bench_singly [--dir DIR] [--mode journal|publish] [--processes N] [--keep] SIZE...
 *
 * prints one JSON object a size; --keep leaves the stores there, and names them */
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <holdfast/admin.h>

#include "document.h"

enum {
  TILE_RECORDS = 256,
  LOOK_EACH = 32, /* saves of a process, at how far the packing has come */
  OPENED = 5,
  PROCESSES_MAX = 64,
  PATH_BYTES = 512,
  FILES_OPEN = 32
};

typedef struct part { /* what one process has seen */
  uint64_t lag_max;   /* full tiles that were not packed */
  double close_us;
  double done_us;
} part;

static const char *mode = "journal";
static unsigned processes = 1;
static int keep;

static void must(int status, const hf_error *error, const char *what) {
  if (status >= 0)
    return;
  (void)fprintf(stderr, "bench_singly: %s: %s (%s)\n", what, error->message, error->place);
  exit(1);
}

static void *shared_memory(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    exit(1);
  return memory;
}

static double now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static uint64_t tiles_of(const char *path) {
  char mark[PATH_BYTES + 16];
  struct stat st;
  (void)snprintf(mark, sizeof mark, "%s/tile/mark", path);
  return stat(mark, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void make_store(const char *path) {
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  hf_init_options options = {.locker = "flock"};
  hf_locker_choice choice;
  uint64_t seq = 0;
  must(hf_init(path, &options, NULL, &error), &error, "init");
  must(hf_open(path, NULL, &store, &error), &error, "open");
  must(hf_get_locker(store, &choice, &error), &error, "locker");
  hf_set_locker_options set = {.timeout_ms = -1, .mode = mode};
  if (strcmp(choice.mode, mode) != 0)
    must(hf_set_locker(store, "flock", &set, &seq, &error), &error, "locker set");
  hf_close(&store);
}

/* Saves every processes-th document. */
static void save_all(const char *path, uint64_t size, unsigned mine, double *us, part *ret) {
  static hf_bench_document document;
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  hf_saved saved;
  must(hf_open(path, NULL, &store, &error), &error, "open");
  for (uint64_t i = mine, done = 0; i < size; i += processes, done++) {
    hf_bench_document_make(i, &document);
    hf_save_request request = {.key = {.run_id = document.run_id, .stage = document.stage},
                               .doc = document.text,
                               .doc_bytes = document.text_bytes};
    double began_us = now_us();
    must(hf_save(store, &request, -1, &saved, &error), &error, "save");
    us[i] = now_us() - began_us;
    if (done % LOOK_EACH != 0)
      continue;
    uint64_t tiles = tiles_of(path);
    uint64_t full = saved.seq / TILE_RECORDS;
    if (full > tiles && full - tiles > ret->lag_max)
      ret->lag_max = full - tiles;
  }
  ret->done_us = now_us();
  hf_close(&store);
  ret->close_us = now_us() - ret->done_us;
}

/* What a new process pays that opens the store, and asks for the newest record. */
static double open_us(const char *path) {
  double *us = shared_memory(sizeof *us);
  pid_t pid = fork();
  if (pid == 0) {
    hf_error error = HF_ERROR_INIT;
    hf_store *store = NULL;
    hf_record *record = NULL;
    uint64_t head = 0;
    double began_us = now_us();
    must(hf_open(path, NULL, &store, &error), &error, "open");
    must(hf_head(store, &head, &error), &error, "head");
    must(hf_get_seq(store, head, &record, &error), &error, "get");
    *us = now_us() - began_us;
    _exit(0);
  }
  int status = 1;
  if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
    exit(1);
  double took_us = *us;
  (void)munmap(us, sizeof *us);
  return took_us;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
  (void)st;
  (void)type;
  (void)walk;
  return remove(path);
}

static void fill(const char *path, uint64_t size, double *us, part *parts) {
  pid_t pids[PROCESSES_MAX];
  for (unsigned p = 0; p < processes; p++) {
    pids[p] = fork();
    if (pids[p] == 0) {
      save_all(path, size, p, us, &parts[p]);
      _exit(0);
    }
  }
  for (unsigned p = 0; p < processes; p++) {
    int status = 1;
    if (pids[p] < 0 || waitpid(pids[p], &status, 0) != pids[p] || status != 0)
      exit(1);
  }
}

static void measure(const char *folder, uint64_t size) {
  char path[PATH_BYTES];
  double opened_us[OPENED];
  double *us = shared_memory((size_t)size * sizeof *us);
  part *parts = shared_memory(PROCESSES_MAX * sizeof *parts);
  part all = {0};
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  uint64_t head = 0;
  (void)snprintf(path, sizeof path, "%.400s/holdfast-singly-%ld-%s-%llu", folder, (long)getpid(),
                 mode, (unsigned long long)size);
  make_store(path);
  double began_us = now_us();
  fill(path, size, us, parts);
  for (unsigned p = 0; p < processes; p++) {
    all.lag_max = parts[p].lag_max > all.lag_max ? parts[p].lag_max : all.lag_max;
    all.close_us = parts[p].close_us > all.close_us ? parts[p].close_us : all.close_us;
    all.done_us = parts[p].done_us > all.done_us ? parts[p].done_us : all.done_us;
  }
  for (size_t i = 0; i < OPENED; i++)
    opened_us[i] = open_us(path);
  must(hf_open(path, NULL, &store, &error), &error, "open");
  must(hf_head(store, &head, &error), &error, "head");
  hf_close(&store);
  qsort(us, size, sizeof *us, compare);
  qsort(opened_us, OPENED, sizeof *opened_us, compare);
  (void)printf("{\"mode\":\"%s\",\"processes\":%u,\"size\":%llu,\"saves_per_s\":%.0f,"
               "\"p50_us\":%.0f,\"p99_us\":%.0f,\"max_us\":%.0f,\"lag_tiles_max\":%llu,"
               "\"unpacked\":%llu,\"close_ms\":%.1f,\"open_and_get_ms\":%.2f",
               mode, processes, (unsigned long long)size,
               (double)size / (all.done_us - began_us) * 1e6, us[size / 2], us[size * 99 / 100],
               us[size - 1], (unsigned long long)all.lag_max,
               (unsigned long long)(head - tiles_of(path) * TILE_RECORDS), all.close_us / 1e3,
               opened_us[OPENED / 2] / 1e3);
  if (keep)
    (void)printf(",\"store\":\"%s\"", path);
  (void)printf("}\n");
  (void)fflush(stdout);
  (void)munmap(us, (size_t)size * sizeof *us);
  (void)munmap(parts, PROCESSES_MAX * sizeof *parts);
  if (!keep)
    (void)nftw(path, remove_one, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
}

int main(int argc, char **argv) {
  const char *folder = ".";
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (at + 1 < argc && strcmp(argv[at], "--dir") == 0)
      folder = argv[++at];
    else if (at + 1 < argc && strcmp(argv[at], "--mode") == 0)
      mode = argv[++at];
    else if (at + 1 < argc && strcmp(argv[at], "--processes") == 0)
      processes = (unsigned)strtoul(argv[++at], NULL, 10);
    else if (strcmp(argv[at], "--keep") == 0)
      keep = 1;
    else
      at = argc;
  }
  if (at >= argc || processes < 1 || processes > PROCESSES_MAX) {
    (void)fprintf(stderr, "usage: bench_singly [--dir DIR] [--mode journal|publish]\n"
                          "                    [--processes N] [--keep] SIZE...\n");
    return 2;
  }
  for (; at < argc; at++) {
    uint64_t size = strtoull(argv[at], NULL, 10);
    if (size < processes) {
      (void)fprintf(stderr, "bench_singly: a SIZE is 1 or more for each process\n");
      return 2;
    }
    measure(folder, size);
  }
  return 0;
}
