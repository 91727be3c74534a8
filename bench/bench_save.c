/* Saves a second, of Holdfast and of its peers, on the same documents, in interleaved rounds: see
 * README.md. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "round.h"
#include "scratch.h"

enum { CASES_MAX = 32, ROUNDS_MAX = 101, PATH_BYTES = 4000 };

typedef struct plan {
  hf_bench_case cases[CASES_MAX];
  unsigned cases_count;
  unsigned rounds;
  unsigned rounds_max_s; /* no round begins later */
  hf_bench_limits limits;
  const char *dir;
} plan;

static const char usage[] =
    "usage: bench_save [--dir DIR] [--case PEER:KINDn]... [--rounds N] [--saves N]\n"
    "                  [--history N [--singly]] [--time-max-ms N] [--rounds-max-s N]\n"
    "                  [--group derived|given] [--config FILE]\n"
    "\n"
    "Prints one JSON object a line: each round's figures, then each case's medians.\n"
    "  --case PEER:KINDn  PEER publish or journal (Holdfast in that mode; holdfast is publish),\n"
    "                     sqlite (write-ahead log), sqlite-rollback, lmdb, redis or etcd; KIND p\n"
    "                     (n processes) or t (n threads of one process). Default: journal,\n"
    "                     publish and sqlite with p1 and p8, journal:t8\n"
    "  --rounds N         rounds of each case, interleaved A B A B (default 3)\n"
    "  --saves N          saves of a round, by all its writers together (default 4000)\n"
    "  --history N        documents that are there before (default 0)\n"
    "  --singly           each of those was saved by itself (quick with flushcount preloaded)\n"
    "  --time-max-ms N    a round ends then, done or not (default 10000)\n"
    "  --rounds-max-s N   no further round begins after that time (default 3600)\n"
    "  --group WHERE      derived: Holdfast makes the group from the document (default);\n"
    "                     given: its caller names it, as SQLite's caller does\n"
    "  --config FILE      Holdfast's configuration, as {\"packing\":{\"automatic\":false}}\n"
    "  --dir DIR          the scratch folder goes there and is removed (default: here)\n";

static int parse_number(const char *text, unsigned long long highest, unsigned long long *ret) {
  char *end = NULL;
  errno = 0;
  unsigned long long value = strtoull(text, &end, 10);
  if (errno != 0 || end == text || *end != '\0' || !isdigit((unsigned char)text[0]) ||
      value > highest) {
    (void)fprintf(stderr, "bench_save: %s is not a number from 0 to %llu\n", text, highest);
    return -1;
  }
  *ret = value;
  return 0;
}

static int parse_case(const char *text, hf_bench_case *ret_case) {
  static const hf_bench_peer *const peers[] = {
      &hf_bench_publish, &hf_bench_journal, &hf_bench_sqlite, &hf_bench_sqlite_rollback,
      &hf_bench_lmdb,    &hf_bench_redis,   &hf_bench_etcd};
  static const char older_name[] = "holdfast:"; /* of publish */
  if (strncmp(text, older_name, sizeof older_name - 1) == 0) {
    char newer[32];
    (void)snprintf(newer, sizeof newer, "publish:%.16s", text + sizeof older_name - 1);
    return parse_case(newer, ret_case);
  }
  for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
    size_t length = strlen(peers[i]->name);
    if (strncmp(text, peers[i]->name, length) != 0 || text[length] != ':') {
      continue;
    }
    char kind = text[length + 1];
    unsigned long long n = 0;
    unsigned highest = kind == 'p' ? HF_BENCH_PROCESSES_MAX : HF_BENCH_THREADS_MAX;
    if ((kind != 'p' && kind != 't') || parse_number(text + length + 2, highest, &n) < 0 || n < 1) {
      break;
    }
    *ret_case = (hf_bench_case){.peer = peers[i], .processes = 1, .threads = 1};
    *(kind == 'p' ? &ret_case->processes : &ret_case->threads) = (unsigned)n;
    return 0;
  }
  (void)fprintf(stderr, "bench_save: --case %s: it is PEER:KINDn, as journal:p8\n", text);
  return -1;
}

static int parse_group(const char *text) {
  hf_bench_group_derived = strcmp(text, "derived") == 0;
  if (!hf_bench_group_derived && strcmp(text, "given") != 0) {
    (void)fprintf(stderr, "bench_save: --group %s: it is derived or given\n", text);
    return -1;
  }
  return 0;
}

static int parse_option(int option, const char *text, plan *p) {
  unsigned long long n = 0;
  switch (option) {
  case 'd':
    p->dir = text;
    return 0;
  case 'c':
    if (p->cases_count == CASES_MAX) {
      (void)fprintf(stderr, "bench_save: at most %d cases\n", CASES_MAX);
      return -1;
    }
    return parse_case(text, &p->cases[p->cases_count++]);
  case 'r':
    if (parse_number(text, ROUNDS_MAX, &n) < 0 || n < 1) {
      return -1;
    }
    p->rounds = (unsigned)n;
    return 0;
  case 's':
    if (parse_number(text, HF_BENCH_SAVES_MAX, &n) < 0 || n < 1) {
      return -1;
    }
    p->limits.saves = n;
    return 0;
  case 'y':
    return parse_number(text, HF_BENCH_HISTORY_MAX, &n) < 0 ? -1 : (p->limits.history = n, 0);
  case 'm':
    return parse_number(text, 3600, &n) < 0 ? -1 : (p->rounds_max_s = (unsigned)n, 0);
  case 't':
    return parse_number(text, 3600000, &n) < 0 ? -1 : (p->limits.time_max_ms = n, 0);
  case '1':
    p->limits.history_singly = 1;
    return 0;
  case 'g':
    return parse_group(text);
  case 'f':
    hf_bench_config = text;
    return 0;
  default:
    return -1;
  }
}

static int parse(int argc, char **argv, plan *p) {
  static const struct option options[] = {
      {"dir", required_argument, NULL, 'd'},
      {"case", required_argument, NULL, 'c'},
      {"rounds", required_argument, NULL, 'r'},
      {"saves", required_argument, NULL, 's'},
      {"history", required_argument, NULL, 'y'},
      {"time-max-ms", required_argument, NULL, 't'},
      {"group", required_argument, NULL, 'g'},
      {"singly", no_argument, NULL, '1'},
      {"rounds-max-s", required_argument, NULL, 'm'},
      {"config", required_argument, NULL, 'f'},
      {"help", no_argument, NULL, 'h'},
      {NULL, 0, NULL, 0},
  };
  int option;
  while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
    if (option == 'h') {
      (void)fputs(usage, stdout);
      exit(0);
    }
    if (parse_option(option, optarg, p) < 0) {
      return -1;
    }
  }
  if (optind != argc) {
    return -1;
  }
  if (p->cases_count == 0) {
    static const char *const defaults[] = {"journal:p1", "publish:p1", "sqlite:p1", "journal:p8",
                                           "publish:p8", "sqlite:p8",  "journal:t8"};
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
      (void)parse_case(defaults[i], &p->cases[p->cases_count++]);
    }
  }
  return 0;
}

static void print_result(const plan *p, const hf_bench_case *one, const char *kind, unsigned number,
                         const hf_bench_result *r) {
  (void)printf("{\"kind\":\"%s\",\"case\":\"%s:%c%u\",\"%s\":%u,\"history\":%llu,\"saves\":%llu,"
               "\"seconds\":%.6f,\"saves_per_s\":%.1f,\"p50_us\":%.0f,\"p99_us\":%.0f,"
               "\"max_us\":%.0f,\"user_us\":%.1f,\"system_us\":%.1f,\"open_ms\":%.2f",
               kind, one->peer->name, one->threads > 1 ? 't' : 'p',
               one->threads > 1 ? one->threads : one->processes,
               strcmp(kind, "round") == 0 ? "round" : "rounds", number,
               (unsigned long long)p->limits.history, (unsigned long long)r->saves, r->seconds,
               r->saves_per_s, r->p50_us, r->p99_us, r->max_us, r->user_us, r->system_us,
               r->open_ms);
  if (r->has_flushes && r->saves > 0) {
    static const char *const names[HF_FLUSH_LINK] = {"fsync", "fdatasync",   "sync_file_range",
                                                     "msync", "dsync_write", "other"};
    uint64_t all = 0;
    for (int i = 0; i < HF_FLUSH_LINK; i++) {
      (void)printf(",\"%s\":%llu", names[i], (unsigned long long)r->flushes[i]);
      all += r->flushes[i];
    }
    (void)printf(",\"flushes_per_save\":%.4f,\"link\":%llu", (double)all / (double)r->saves,
                 (unsigned long long)r->flushes[HF_FLUSH_LINK]);
  }
  if (r->round_trip_us > 0) {
    (void)printf(",\"round_trip_us\":%.1f", r->round_trip_us);
  }
  (void)printf("}\n");
  (void)fflush(stdout);
}

static int compare_rate(const void *a, const void *b) {
  double x = ((const hf_bench_result *)a)->saves_per_s;
  double y = ((const hf_bench_result *)b)->saves_per_s;
  return (x > y) - (x < y);
}

/* The round in the middle stands for its case: its figures belong together. */
static void print_medians(const plan *p, hf_bench_result *results) {
  for (unsigned c = 0; c < p->cases_count; c++) {
    hf_bench_result *mine = &results[c * ROUNDS_MAX];
    qsort(mine, p->rounds, sizeof mine[0], compare_rate);
    print_result(p, &p->cases[c], "median", p->rounds, &mine[(p->rounds - 1) / 2]);
  }
}

static int run(plan *p, hf_bench_result *results) {
  time_t begin = time(NULL);
  char folder[PATH_BYTES];
  char error[HF_BENCH_TEXT_BYTES_MAX] = "";
  if (hf_bench_scratch_make(p->dir, folder, sizeof folder) < 0) {
    (void)fprintf(stderr, "bench_save: %s: cannot make a folder: %s\n", p->dir, strerror(errno));
    return -1;
  }
  int result = 0;
  for (unsigned round = 0; round < p->rounds && result == 0; round++) {
    if (round > 0 && time(NULL) - begin > (time_t)p->rounds_max_s) {
      p->rounds = round;
      break;
    }
    for (unsigned c = 0; c < p->cases_count && result == 0; c++) {
      hf_bench_result *r = &results[c * ROUNDS_MAX + round];
      result = hf_bench_round(&p->cases[c], &p->limits, folder, r, error);
      if (result == 0) {
        print_result(p, &p->cases[c], "round", round + 1, r);
      }
    }
  }
  hf_bench_scratch_remove(folder);
  if (result < 0) {
    (void)fprintf(stderr, "bench_save: %s\n", error);
    return -1;
  }
  print_medians(p, results);
  return 0;
}

int main(int argc, char **argv) {
  plan p = {.rounds = 3,
            .rounds_max_s = 3600,
            .limits = {.saves = 4000, .time_max_ms = 10000},
            .dir = "."};
  if (parse(argc, argv, &p) < 0) {
    (void)fputs(usage, stderr);
    return 2;
  }
  hf_bench_result *results = calloc((size_t)CASES_MAX * ROUNDS_MAX, sizeof *results);
  if (!results) {
    (void)fprintf(stderr, "bench_save: no memory\n");
    return 1;
  }
  int result = run(&p, results);
  free(results);
  return result < 0 ? 1 : 0;
}
