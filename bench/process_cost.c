/* What a program costs as a process of its own, from its start to its end: the time, and the most
 * memory that was resident. Small itself: what a process has resident before exec counts as well.
 *
 * process_cost [--runs N] COMMAND [ARGUMENT]...     prints one JSON object; stdout of the command
 * is
 *                                                   thrown away, its status must be 0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 1000 };

static double now_ms(void) {
  struct timespec t;
  (void)clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

static void run(char **command) {
  int null = open("/dev/null", O_WRONLY);
  if (null >= 0 && dup2(null, STDOUT_FILENO) >= 0) {
    (void)execvp(command[0], command);
  }
  (void)fprintf(stderr, "process_cost: %s: %s\n", command[0], strerror(errno));
  _exit(127);
}

static int once(char **command, double *ret_ms, long *ret_kib) {
  struct rusage usage;
  int status = 0;
  double began_ms = now_ms();
  pid_t pid = fork();
  if (pid == 0) {
    run(command);
  }
  if (pid < 0 || wait4(pid, &status, 0, &usage) != pid || status != 0) {
    (void)fprintf(stderr, "process_cost: %s: failed (status %d)\n", command[0],
                  WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    return -1;
  }
  *ret_ms = now_ms() - began_ms;
  *ret_kib = usage.ru_maxrss;
  return 0;
}

int main(int argc, char **argv) {
  static double ms[RUNS_MAX];
  long kib = 0;
  int runs = 1;
  int at = 1;
  if (argc > 3 && strcmp(argv[1], "--runs") == 0) {
    runs = (int)strtol(argv[2], NULL, 10);
    at = 3;
  }
  if (at >= argc || runs < 1 || runs > RUNS_MAX) {
    (void)fprintf(stderr, "usage: process_cost [--runs N] COMMAND [ARGUMENT]...\n");
    return 2;
  }
  for (int i = 0; i < runs; i++) {
    long one_kib = 0;
    if (once(argv + at, &ms[i], &one_kib) < 0) {
      return 1;
    }
    kib = one_kib > kib ? one_kib : kib;
  }
  qsort(ms, (size_t)runs, sizeof ms[0], compare);
  (void)printf("{\"runs\":%d,\"median_ms\":%.3f,\"longest_ms\":%.3f,\"resident_kib\":%ld}\n", runs,
               ms[runs / 2], ms[runs - 1], kib);
  return 0;
}
