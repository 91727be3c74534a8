/* What the length of the history costs: filling and packing it, then, at each size, a program that
 * opens the store, asks once and ends; questions of a handle that is open; saves.
 *
 * bench_history [--dir DIR] [--mode journal|publish] [--keep] SIZE...
 *
 * prints one JSON object a size; --keep leaves the stores there, and names them
 *
 * bench_history --again STORE SIZE       asks and saves once more in such a store */
#include <errno.h>
#include <ftw.h>
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

enum {
  GROUPS = 1000,
  ASKED = 2000,
  SAVED = 500,
  SAVED_AGAIN = 100,
  COLD = 5,
  PATH_BYTES = 512,
  FILES_OPEN = 32
};

static void must(int status, const hf_error *error, const char *what) {
  if (status >= 0)
    return;
  (void)fprintf(stderr, "bench_history: %s: %s (%s)\n", what, error->message, error->place);
  exit(1);
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

static double median(double *values, size_t count) {
  qsort(values, count, sizeof *values, compare);
  return values[count / 2];
}

typedef struct piece { /* one document, and what names it */
  hf_bench_document document;
  hf_dim dims[2];
  char group[16];
  hf_save_request request;
} piece;

static void make(piece *one, uint64_t i) {
  hf_bench_document *d = &one->document;
  hf_bench_document_make(i, d);
  (void)snprintf(one->group, sizeof one->group, "group-%d", (int)(i % GROUPS));
  /* comparable: the same stage and dims all through a group */
  one->request = (hf_save_request){.key = {.run_id = d->run_id, .stage = "train"},
                                   .group = one->group,
                                   .doc = d->text,
                                   .doc_bytes = d->text_bytes};
}

/* Records a second, without the making of the documents. */
static double fill(hf_store *store, uint64_t size) {
  static piece pieces[HF_BATCH_MAX];
  static hf_save_request requests[HF_BATCH_MAX];
  static hf_saved saved[HF_BATCH_MAX];
  hf_error error = HF_ERROR_INIT;
  double spent_us = 0;
  for (uint64_t at = 0; at < size;) {
    size_t count = 0;
    for (; count < HF_BATCH_MAX && at < size; count++, at++) {
      make(&pieces[count], at);
      requests[count] = pieces[count].request;
    }
    double began_us = now_us();
    must(hf_save_batch(store, requests, count, -1, saved, &error), &error, "save");
    spent_us += now_us() - began_us;
  }
  return (double)size / spent_us * 1e6;
}

static void ask(hf_store *store, uint64_t i) {
  static piece one;
  hf_error error = HF_ERROR_INIT;
  hf_record *record = NULL;
  make(&one, i);
  must(hf_prev(store, &one.request.key, NULL, &record, &error), &error, "prev");
  hf_record_free(&record);
}

/* A process that opens, asks once and ends. */
static void cold(const char *path, uint64_t size, double *ret_us, long *ret_kib) {
  int ends[2];
  double answer[2] = {0, 0};
  if (pipe(ends) != 0)
    exit(1);
  pid_t pid = fork();
  if (pid == 0) {
    hf_error error = HF_ERROR_INIT;
    hf_store *store = NULL;
    struct rusage usage;
    double began_us = now_us();
    must(hf_open(path, NULL, &store, &error), &error, "open");
    ask(store, size / 2);
    answer[0] = now_us() - began_us;
    (void)getrusage(RUSAGE_SELF, &usage);
    answer[1] = (double)usage.ru_maxrss;
    _exit(write(ends[1], answer, sizeof answer) != (ssize_t)sizeof answer);
  }
  if (pid < 0 || read(ends[0], answer, sizeof answer) != (ssize_t)sizeof answer)
    exit(1);
  (void)waitpid(pid, NULL, 0);
  (void)close(ends[0]);
  (void)close(ends[1]);
  *ret_us = answer[0];
  *ret_kib = (long)answer[1];
}

static double asked(hf_store *store, uint64_t size) {
  static double us[ASKED];
  for (int warm = 1; warm >= 0; warm--)
    for (size_t i = 0; i < ASKED; i++) {
      uint64_t which = (uint64_t)(i * UINT64_C(2654435761) % size);
      double began_us = now_us();
      ask(store, which);
      us[i] = now_us() - began_us;
    }
  return median(us, ASKED);
}

/* What making the question's names takes; no part of the answer. */
static double made(uint64_t size) {
  static double us[ASKED];
  static piece one;
  for (size_t i = 0; i < ASKED; i++) {
    double began_us = now_us();
    make(&one, (uint64_t)(i * UINT64_C(2654435761) % size));
    us[i] = now_us() - began_us;
  }
  return median(us, ASKED);
}

static double saved_us(hf_store *store, uint64_t size, size_t count) {
  static double us[SAVED];
  static piece one;
  hf_error error = HF_ERROR_INIT;
  hf_saved saved;
  for (size_t i = 0; i < count; i++) {
    make(&one, size + i);
    double began_us = now_us();
    must(hf_save(store, &one.request, -1, &saved, &error), &error, "save");
    us[i] = now_us() - began_us;
  }
  return median(us, count);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk) {
  (void)st;
  (void)type;
  (void)walk;
  return remove(path);
}

static const char *mode; /* NULL: as a store is made */
static int keep;

static void set_mode(hf_store *store) {
  hf_error error = HF_ERROR_INIT;
  hf_set_locker_options set = {.timeout_ms = -1, .mode = mode};
  hf_locker_choice choice;
  uint64_t seq = 0;
  must(hf_get_locker(store, &choice, &error), &error, "locker");
  if (mode != NULL && strcmp(choice.mode, mode) != 0)
    must(hf_set_locker(store, "flock", &set, &seq, &error), &error, "locker set");
}

static void measure(const char *folder, uint64_t size) {
  char path[PATH_BYTES];
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  hf_pack_report report;
  double cold_us[COLD];
  long kib = 0;
  (void)snprintf(path, sizeof path, "%.400s/holdfast-history-%ld-%llu", folder, (long)getpid(),
                 (unsigned long long)size);
  hf_init_options options = {.locker = "flock"};
  must(hf_init(path, &options, NULL, &error), &error, "init");
  must(hf_open(path, NULL, &store, &error), &error, "open");
  set_mode(store);
  double rate = fill(store, size);
  double began_us = now_us();
  must(hf_pack(store, NULL, &report, &error), &error, "pack");
  double pack_us = now_us() - began_us;
  hf_close(&store);
  for (size_t i = 0; i < COLD; i++)
    cold(path, size, &cold_us[i], &kib);
  must(hf_open(path, NULL, &store, &error), &error, "open");
  double prev_us = asked(store, size) - made(size);
  double save_us = saved_us(store, size, SAVED);
  hf_close(&store);
  (void)printf("{\"size\":%llu,\"batch_per_s\":%.0f,\"pack_s\":%.2f,\"open_and_prev_ms\":%.2f,"
               "\"resident_kib\":%ld,\"prev_us\":%.2f,\"save_us\":%.1f",
               (unsigned long long)size, rate, pack_us / 1e6, median(cold_us, COLD) / 1e3, kib,
               prev_us, save_us);
  if (keep)
    (void)printf(",\"store\":\"%s\"", path);
  (void)printf("}\n");
  (void)fflush(stdout);
  if (!keep)
    (void)nftw(path, remove_one, FILES_OPEN, FTW_DEPTH | FTW_PHYS);
}

/* The store has grown by what was saved before: the saves go on from its head. */
static void measure_again(const char *path, uint64_t size) {
  hf_error error = HF_ERROR_INIT;
  hf_store *store = NULL;
  uint64_t head = 0;
  must(hf_open(path, NULL, &store, &error), &error, "open");
  must(hf_head(store, &head, &error), &error, "head");
  double prev_us = asked(store, size) - made(size);
  double save_us = saved_us(store, head, SAVED_AGAIN);
  hf_close(&store);
  (void)printf("{\"size\":%llu,\"prev_us\":%.2f,\"save_us\":%.1f}\n", (unsigned long long)size,
               prev_us, save_us);
}

int main(int argc, char **argv) {
  const char *folder = ".";
  int at = 1;
  for (; at < argc && argv[at][0] == '-'; at++) {
    if (at + 1 < argc && strcmp(argv[at], "--dir") == 0)
      folder = argv[++at];
    else if (at + 1 < argc && strcmp(argv[at], "--mode") == 0)
      mode = argv[++at];
    else if (strcmp(argv[at], "--keep") == 0)
      keep = 1;
    else if (at + 2 < argc && strcmp(argv[at], "--again") == 0) {
      measure_again(argv[at + 1], strtoull(argv[at + 2], NULL, 10));
      return 0;
    } else
      at = argc;
  }
  if (at >= argc) {
    (void)fprintf(stderr,
                  "usage: bench_history [--dir DIR] [--mode journal|publish] [--keep] SIZE...\n");
    return 2;
  }
  for (; at < argc; at++) {
    uint64_t size = strtoull(argv[at], NULL, 10);
    if (size < 10) {
      (void)fprintf(stderr, "bench_history: a SIZE is 10 or more\n");
      return 2;
    }
    measure(folder, size);
  }
  return 0;
}
