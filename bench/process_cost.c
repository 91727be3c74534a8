/* What a program costs as a process of its own, from its start to its end: the time, and the most
 * memory that was resident. Small itself: what a process has resident before exec counts as well.
 *
 * process_cost [--runs N] [--private] COMMAND [ARGUMENT]...
 *
 * prints one JSON object; stdout of the command is thrown away, its status must be 0. --private
 * looks each PRIVATE_EVERY_MS at what of the memory is the process's own (RssAnon), for pages of
 * files that it has mapped are the kernel's to take back; the times are then as coarse. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS_MAX = 1000, PRIVATE_EVERY_MS = 10, STATUS_BYTES = 8192 };

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

/* 0 once the process has ended. */
static long private_kib(pid_t pid) {
  static const char name[] = "RssAnon:";
  char path[64];
  char text[STATUS_BYTES];
  (void)snprintf(path, sizeof path, "/proc/%ld/status", (long)pid);
  int fd = open(path, O_RDONLY);
  ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
  if (fd >= 0) {
    (void)close(fd);
  }
  text[got > 0 ? got : 0] = '\0';
  const char *at = strstr(text, name);
  return at != NULL ? strtol(at + sizeof name - 1, NULL, 10) : 0;
}

/* Waits for it; *ret_most: the most that was private, in looks until then. */
static pid_t wait_and_look(pid_t pid, int *ret_status, struct rusage *ret_usage, long *ret_most) {
  struct timespec pause = {0, PRIVATE_EVERY_MS * 1000000L};
  pid_t got = 0;
  while ((got = wait4(pid, ret_status, WNOHANG, ret_usage)) == 0) {
    long kib = private_kib(pid);
    *ret_most = kib > *ret_most ? kib : *ret_most;
    (void)nanosleep(&pause, NULL);
  }
  return got;
}

static int once(char **command, int looks, double *ret_ms, long *ret_kib, long *ret_private) {
  struct rusage usage;
  int status = 0;
  double began_ms = now_ms();
  pid_t pid = fork();
  if (pid == 0) {
    run(command);
  }
  pid_t ended = pid < 0 ? -1
                : looks ? wait_and_look(pid, &status, &usage, ret_private)
                        : wait4(pid, &status, 0, &usage);
  if (pid < 0 || ended != pid || status != 0) {
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
  long most_private = 0;
  int looks = 0;
  int runs = 1;
  int at = 1;
  if (argc > 3 && strcmp(argv[1], "--runs") == 0) {
    runs = (int)strtol(argv[2], NULL, 10);
    at = 3;
  }
  if (at < argc && strcmp(argv[at], "--private") == 0) {
    looks = 1;
    at++;
  }
  if (at >= argc || runs < 1 || runs > RUNS_MAX) {
    (void)fprintf(stderr, "usage: process_cost [--runs N] [--private] COMMAND [ARGUMENT]...\n");
    return 2;
  }
  for (int i = 0; i < runs; i++) {
    long one_kib = 0;
    if (once(argv + at, looks, &ms[i], &one_kib, &most_private) < 0) {
      return 1;
    }
    kib = one_kib > kib ? one_kib : kib;
  }
  qsort(ms, (size_t)runs, sizeof ms[0], compare);
  (void)printf("{\"runs\":%d,\"median_ms\":%.3f,\"longest_ms\":%.3f,\"resident_kib\":%ld", runs,
               ms[runs / 2], ms[runs - 1], kib);
  if (looks) {
    (void)printf(",\"private_kib\":%ld", most_private);
  }
  (void)printf("}\n");
  return 0;
}
