#include "watch_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errors.h"

enum { SIGNALLED = 128 };

int hf_cli_watch_exec_prepare(hf_cli *cli) {
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  if (hf_store_info(cli->store, &info, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  int failed = setenv("HOLDFAST_STORE", info.path, 1) != 0 ||
               (cli->args.config != NULL && setenv("HOLDFAST_CONFIG", cli->args.config, 1) != 0);
  return failed ? hf_cli_no_memory(cli) : HF_CLI_DONE;
}

static int set_or_unset(const char *name, const char *value) {
  return value != NULL ? setenv(name, value, 1) : unsetenv(name);
}

static int set_environment(const hf_record *record) {
  char seq[24];
  (void)snprintf(seq, sizeof seq, "%" PRIu64, record->seq);
  return setenv("HOLDFAST_SEQ", seq, 1) != 0 ||
                 set_or_unset("HOLDFAST_RUN_ID", record->run_id) != 0 ||
                 set_or_unset("HOLDFAST_STAGE", record->stage) != 0
             ? -1
             : 0;
}

/* Its standard input is the pipe's end; a pipe that is closed ends it, as it is used to. */
static int spawn(char *command, int input_fd, pid_t *ret_pid) {
  static char shell[] = "sh";
  static char option[] = "-c";
  char *const words[] = {shell, option, command, NULL};
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  sigset_t defaults;
  (void)sigemptyset(&defaults);
  (void)sigaddset(&defaults, SIGPIPE);
  int failed = posix_spawn_file_actions_init(&actions);
  if (failed != 0)
    return failed;
  failed = posix_spawnattr_init(&attributes);
  if (failed == 0) {
    failed = posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO);
    if (failed == 0)
      failed = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (failed == 0)
      failed = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    if (failed == 0)
      failed = posix_spawn(ret_pid, "/bin/sh", &actions, &attributes, words, environ);
    (void)posix_spawnattr_destroy(&attributes);
  }
  (void)posix_spawn_file_actions_destroy(&actions);
  return failed;
}

/* A command that does not read all of it is none that has failed. */
static void feed(int fd, const char *text, size_t bytes) {
  while (bytes > 0) {
    ssize_t put = write(fd, text, bytes);
    if (put < 0 && errno == EINTR)
      continue;
    if (put < 0)
      return;
    text += put;
    bytes -= (size_t)put;
  }
}

static int wait_for(pid_t pid) {
  int status = 0;
  while (waitpid(pid, &status, 0) < 0)
    if (errno != EINTR)
      return EXIT_FAILURE;
  return WIFEXITED(status) ? WEXITSTATUS(status) : SIGNALLED + WTERMSIG(status);
}

int hf_cli_watch_exec(hf_cli *cli, const hf_record *record, int *ret_outcome) {
  char *text = NULL;
  size_t bytes = 0;
  int fds[2];
  pid_t pid = 0;
  hf_error err = HF_ERROR_INIT;
  if (set_environment(record) != 0)
    return hf_cli_no_memory(cli);
  if (hf_record_json(record, &text, &bytes, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  char *command = strdup(cli->args.exec);
  int failed = command == NULL ? ENOMEM : pipe2(fds, O_CLOEXEC) != 0 ? errno : 0;
  if (failed == 0) {
    failed = spawn(command, fds[0], &pid);
    (void)close(fds[0]);
    if (failed == 0) {
      feed(fds[1], text, bytes);
      feed(fds[1], "\n", 1);
    }
    (void)close(fds[1]);
  }
  free(command);
  free(text);
  if (failed != 0)
    return hf_cli_failed(cli, "--exec", "the command cannot be run: %s", strerror(failed));
  *ret_outcome = wait_for(pid);
  return HF_CLI_DONE;
}
