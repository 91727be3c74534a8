#include "lib_peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

hf_sys_table peer_table;
int peer_host;
int peer_keeps_fds;

static peer_told *shared_told;

/* ---- hosts ---- */

/* Who one is stands in /proc: each host has files of its own. */
static int open_of_host(int dirfd, const char *name, int flags, mode_t mode) {
  char path[64];
  char text[64];
  int is_boot = strcmp(name, "/proc/sys/kernel/random/boot_id") == 0;
  if (!is_boot && strcmp(name, "/proc/sys/kernel/hostname") != 0)
    return hf_sys_real.openat(dirfd, name, flags, mode);
  int fd = memfd_create("host", 0);
  int bytes = snprintf(text, sizeof text, is_boot ? "boot-%d\n" : "host%d\n", peer_host);
  if (fd < 0 || write(fd, text, (size_t)bytes) != bytes)
    return -1;
  (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
  int opened = open(path, O_RDONLY);
  (void)close(fd);
  return opened;
}

static int unknown_statfs(const char *path, struct statfs *fs) {
  int failed = hf_sys_real.statfs(path, fs);
  fs->f_type = 0x6969; /* not what mountinfo says: nobody knows what this is */
  return failed;
}

void peer_be_shared(void) {
  peer_table.statfs = unknown_statfs;
}

/* ---- the processes ---- */

static void collect(void *context, const hf_check *check) {
  peer_told *told = context;
  FAULT_CHECK(told->checks_count < PEER_CHECKS_MAX, "too many checks");
  size_t at = told->checks_count++;
  (void)snprintf(told->checks[at].name, sizeof told->checks[at].name, "%s", check->name);
  (void)snprintf(told->checks[at].text, sizeof told->checks[at].text, "%s", check->text);
  told->checks[at].verdict = check->verdict;
}

static _Noreturn void be_member(const char *folder, const peer_member *member, size_t count,
                                peer_told *told) {
  hf_peer_options options = {
      .peers = member->wants != 0 ? member->wants : (unsigned)count,
      .timeout_ms = member->timeout_ms != 0 ? member->timeout_ms : 20000,
      .record = member->record,
      .check = collect,
      .check_context = told,
  };
  peer_host = member->host;
  peer_table = hf_sys_real;
  peer_table.openat = open_of_host;
  if (member->set != NULL)
    member->set();
  hf_sys = &peer_table;
  fault_sleep_us((int64_t)member->start_after_ms * 1000);
  int fds = fault_count_fds();
  int64_t began_us = fault_now_us();
  told->status = hf_doctor_peer(folder, &options, &told->result, &told->error);
  told->took_ms = (fault_now_us() - began_us) / 1000;
  FAULT_CHECK(peer_keeps_fds || fault_count_fds() == fds, "descriptors are left open");
  _exit(0);
}

const peer_told *peer_run(const char *folder, const peer_member *members, size_t count) {
  pid_t pids[PEER_MEMBERS_MAX];
  size_t bytes = PEER_MEMBERS_MAX * sizeof *shared_told;
  if (shared_told == NULL)
    shared_told = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FAULT_CHECK(shared_told != MAP_FAILED, "no shared memory");
  memset(shared_told, 0, bytes);
  (void)fflush(NULL);
  for (size_t i = 0; i < count; i++) {
    shared_told[i].status = 1;
    pids[i] = fork();
    FAULT_CHECK(pids[i] >= 0, "cannot fork");
    if (pids[i] == 0)
      be_member(folder, &members[i], count, &shared_told[i]);
  }
  for (size_t i = 0; i < count; i++) {
    int status = 0;
    FAULT_CHECK(waitpid(pids[i], &status, 0) == pids[i], "a member is gone");
    FAULT_CHECK(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : status == 0,
                "member %zu ended with status 0x%x", i, (unsigned)status);
  }
  return shared_told;
}

/* ---- what they told ---- */

void peer_expect_same(const peer_told *told, size_t count) {
  for (size_t i = 0; i < count; i++) {
    FAULT_CHECK(told[i].status == HF_OK, "member %zu: %s: %s: %s", i,
                hf_status_name(told[i].status), told[i].error.place, told[i].error.message);
    FAULT_CHECK(told[i].checks_count == told[0].checks_count &&
                    memcmp(told[i].checks, told[0].checks, sizeof told[0].checks) == 0,
                "member %zu printed other lines than member 0", i);
    FAULT_CHECK(memcmp(&told[i].result, &told[0].result, sizeof told[0].result) == 0,
                "member %zu has another result: %s, %s", i, told[i].result.json,
                told[0].result.json);
  }
}

void peer_expect(const peer_told *told, const char *check, hf_verdict verdict, const char *words) {
  for (size_t i = 0; i < told->checks_count; i++) {
    if (strcmp(told->checks[i].name, check) != 0)
      continue;
    FAULT_CHECK(told->checks[i].verdict == verdict && strstr(told->checks[i].text, words) != NULL,
                "%s is %d, \"%s\"; it should be %d, \"...%s...\"", check,
                (int)told->checks[i].verdict, told->checks[i].text, (int)verdict, words);
    return;
  }
  fault_fail("there is no check %s", check);
}

void peer_expect_result(const peer_told *told, int safe, const char *locker, hf_verdict verdict) {
  const hf_peer_result *result = &told->result;
  FAULT_CHECK(result->safe == safe, "it says %s: %s", result->safe ? "safe" : "unsafe",
              result->text);
  FAULT_CHECK((locker == NULL) == (result->locker == NULL) &&
                  (locker == NULL || strcmp(locker, result->locker) == 0),
              "it chose %s, not %s", result->locker != NULL ? result->locker : "no locker",
              locker != NULL ? locker : "none");
  FAULT_CHECK(result->verdict == verdict, "the verdict is %d, not %d: %s", (int)result->verdict,
              (int)verdict, result->json);
}

void peer_expect_empty(const char *folder, const char *but) {
  DIR *dir = opendir(folder);
  FAULT_CHECK(dir != NULL, "cannot list %s", folder);
  struct dirent *entry;
  while ((entry = readdir(dir)) != NULL)
    FAULT_CHECK(entry->d_name[0] == '.' || (but != NULL && strcmp(entry->d_name, but) == 0),
                "%s was left in the folder", entry->d_name);
  (void)closedir(dir);
}
