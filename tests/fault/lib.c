#include "lib.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MEMORY_BYTES_MIN = 256 * 1024 * 1024 };

static __thread char context[FAULT_CONTEXT_BYTES];
static char folder[FAULT_PATH_BYTES];
static pid_t folder_owner;

/* ---- checks ---- */

void fault_context(const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(context, sizeof context, format, args);
  va_end(args);
}

void fault_fail(const char *format, ...) {
  char text[4096];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  (void)fflush(stdout);
  (void)fprintf(stderr, "FAILED: %s%s%s\n", context, context[0] != '\0' ? ": " : "", text);
  (void)fflush(stderr);
  if (folder_owner == getpid() && folder[0] != '\0' && getenv("FAULT_KEEP") == NULL)
    fault_remove_tree(folder);
  _exit(FAULT_EXIT_FAILED); /* other threads may be at work: no handlers of exit() */
}

void fault_must(int status, const hf_error *error, const char *what) {
  if (status < 0)
    fault_fail("%s: %s: %s: %s", what, hf_status_name(status), error->place, error->message);
}

void fault_wait_all(pid_t *pids, size_t count) {
  int worst = 0;
  for (size_t i = 0; i < count; i++) {
    int status = 0;
    pid_t ended = wait(&status);
    FAULT_CHECK(ended > 0, "a child is gone: %s", strerror(errno));
    for (size_t j = 0; j < count; j++) {
      if (pids[j] == ended)
        pids[j] = 0;
      else if (pids[j] != 0 && status != 0)
        (void)kill(pids[j], SIGKILL);
    }
    if (worst == 0)
      worst = status;
  }
  if (WIFEXITED(worst) && WEXITSTATUS(worst) == FAULT_EXIT_FAILED)
    exit(FAULT_EXIT_FAILED);
  FAULT_CHECK(worst == 0, "a child ended with status 0x%x", (unsigned)worst);
}

/* ---- folders ---- */

static void remove_folder(void) {
  if (folder_owner != getpid())
    return;
  if (getenv("FAULT_KEEP") != NULL)
    (void)fprintf(stderr, "kept: %s\n", folder);
  else
    fault_remove_tree(folder);
}

static const char *make_folder(const char *base) {
  if (folder[0] != '\0')
    return folder;
  (void)snprintf(folder, sizeof folder, "%s/holdfast-fault-XXXXXX", base);
  if (mkdtemp(folder) == NULL) {
    (void)fprintf(stderr, "cannot make %s: %s\n", folder, strerror(errno));
    exit(FAULT_EXIT_USAGE);
  }
  folder_owner = getpid();
  (void)atexit(remove_folder);
  return folder;
}

static const char *usual_base(void) {
  const char *base = getenv("TMPDIR");
  return base != NULL && base[0] != '\0' ? base : "/tmp";
}

const char *fault_folder(void) {
  return make_folder(usual_base());
}

const char *fault_folder_in_memory(void) {
  struct statvfs fs;
  int has_room = access("/dev/shm", R_OK | W_OK | X_OK) == 0 && statvfs("/dev/shm", &fs) == 0 &&
                 fs.f_bavail * fs.f_frsize > MEMORY_BYTES_MIN;
  return make_folder(has_room ? "/dev/shm" : usual_base());
}

void fault_path(char path[FAULT_PATH_BYTES], const char *in, const char *name) {
  int bytes = snprintf(path, FAULT_PATH_BYTES, "%s/%s", in, name);
  FAULT_CHECK(bytes > 0 && bytes < FAULT_PATH_BYTES, "the path %s/%s is too long", in, name);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
  (void)st, (void)where;
  return type == FTW_DP ? rmdir(path) : unlink(path);
}

void fault_remove_tree(const char *path) {
  (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void copy_file(const char *from, const char *to) {
  char block[65536];
  int in = open(from, O_RDONLY | O_CLOEXEC);
  int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  FAULT_CHECK(in >= 0 && out >= 0, "cannot copy %s: %s", from, strerror(errno));
  ssize_t got;
  while ((got = read(in, block, sizeof block)) > 0)
    FAULT_CHECK(write(out, block, (size_t)got) == got, "cannot write %s", to);
  FAULT_CHECK(got == 0, "cannot read %s", from);
  (void)close(in);
  (void)close(out);
}

void fault_copy_tree(const char *from, const char *to) {
  DIR *dir = opendir(from);
  FAULT_CHECK(dir != NULL && mkdir(to, 0777) == 0, "cannot copy %s: %s", from, strerror(errno));
  struct dirent *entry;
  while ((entry = readdir(dir)) != NULL) {
    char source[FAULT_PATH_BYTES];
    char target[FAULT_PATH_BYTES];
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    fault_path(source, from, entry->d_name);
    fault_path(target, to, entry->d_name);
    if (entry->d_type == DT_DIR)
      fault_copy_tree(source, target);
    else
      copy_file(source, target);
  }
  (void)closedir(dir);
}

int fault_count_fds(void) {
  DIR *dir = opendir("/proc/self/fd");
  FAULT_CHECK(dir != NULL, "cannot list /proc/self/fd");
  int count = -1; /* the folder's own */
  struct dirent *entry;
  while ((entry = readdir(dir)) != NULL)
    count += entry->d_name[0] != '.';
  (void)closedir(dir);
  return count;
}

/* ---- numbers ---- */

/* splitmix64 */
uint64_t fault_next(fault_random *random) {
  uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint64_t fault_below(fault_random *random, uint64_t bound) {
  return fault_next(random) % bound;
}

int64_t fault_now_us(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

void fault_sleep_us(int64_t us) {
  struct timespec time = {(time_t)(us / 1000000), (long)(us % 1000000) * 1000};
  (void)nanosleep(&time, NULL);
}

const char *fault_option_text(int argc, char **argv, const char *name, const char *otherwise) {
  size_t bytes = strlen(name);
  for (int i = 1; i < argc; i++) {
    if (strncmp(argv[i], name, bytes) != 0)
      continue;
    if (argv[i][bytes] == '=')
      return argv[i] + bytes + 1;
    if (argv[i][bytes] == '\0' && i + 1 < argc)
      return argv[i + 1];
  }
  return otherwise;
}

uint64_t fault_option(int argc, char **argv, const char *name, uint64_t otherwise) {
  const char *text = fault_option_text(argc, argv, name, NULL);
  if (text == NULL)
    return otherwise;
  char *end = NULL;
  unsigned long long value = strtoull(text, &end, 10);
  if (end == text || *end != '\0') {
    (void)fprintf(stderr, "%s: %s is not a number\n", name, text);
    exit(FAULT_EXIT_USAGE);
  }
  return value;
}

void fault_run_cases(int argc, char **argv, const fault_case *cases, size_t count) {
  const char *wanted = fault_option_text(argc, argv, "--case", NULL);
  size_t run = 0;
  for (size_t i = 0; i < count; i++) {
    if (wanted != NULL && strcmp(wanted, cases[i].name) != 0)
      continue;
    fault_context("%s", cases[i].name);
    cases[i].run();
    run++;
  }
  FAULT_CHECK(run > 0, "there is no case %s", wanted);
}
