#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"
#include "text.h"

/* A closed standard descriptor must not become a file of the store: it gets /dev/null, opened so
 * that using it fails. */
static void guard_standard_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
    if (fcntl(fd, F_GETFD) < 0)
      (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int unknown_command(const hf_cli *cli, const char *name) {
  const char *nearest = NULL;
  size_t nearest_distance = 3;
  for (size_t i = 0; i < hf_cli_commands_count; i++) {
    size_t distance = hf_cli_distance(name, hf_cli_commands[i]->name);
    if (distance < nearest_distance && distance < strlen(name)) {
      nearest = hf_cli_commands[i]->name;
      nearest_distance = distance;
    }
  }
  if (nearest != NULL)
    return hf_cli_usage(cli, NULL, "unknown command \"%.80s\" (did you mean %s?)", name, nearest);
  return hf_cli_usage(cli, NULL, "unknown command \"%.80s\"", name);
}

static int check_operands(const hf_cli *cli) {
  const hf_cli_command *command = cli->command;
  int count = cli->args.operands_count;
  if (count < command->operands_min)
    return hf_cli_usage(cli, NULL, "an argument is missing: holdfast %.*s",
                        (int)strcspn(command->synopsis, "\n"), command->synopsis);
  if (command->operands_max >= 0 && count > command->operands_max)
    return hf_cli_usage(cli, NULL, "\"%.80s\" is one argument too many",
                        cli->args.operands[command->operands_max]);
  return HF_CLI_DONE;
}

/* `holdfast --help`, `holdfast COMMAND --help` and `holdfast --version` are the commands of these
 * names. */
static int run_instead(hf_cli *cli, const hf_cli_command *command, char *operand) {
  char *operands[] = {operand, NULL};
  cli->command = command;
  cli->args.operands = operands;
  cli->args.operands_count = operand != NULL;
  return command->run(cli);
}

static int run(hf_cli *cli, int argc, char **argv) {
  int next = argc;
  int status = hf_cli_read_globals(cli, argc, argv, &next);
  if (status != HF_CLI_DONE)
    return status;
  char *name = next < argc ? argv[next] : NULL;
  if (name != NULL) {
    cli->command = hf_cli_command_find(name);
    if (cli->command == NULL)
      return unknown_command(cli, name);
    status = hf_cli_read_options(cli, argc - next, argv + next);
    if (status != HF_CLI_DONE)
      return status;
  }
  if (cli->args.version)
    return run_instead(cli, &hf_cli_command_version, NULL);
  if (cli->args.help)
    return run_instead(cli, &hf_cli_command_help, name);
  if (cli->command == NULL)
    return hf_cli_usage(cli, NULL, "a command is missing");
  status = check_operands(cli);
  return status == HF_CLI_DONE ? cli->command->run(cli) : status;
}

int main(int argc, char **argv) {
  hf_cli cli = {.args = {.timeout_ms = -1, .older_than_ms = -1}};
  guard_standard_descriptors();
  (void)signal(SIGPIPE,
               SIG_IGN); /* a reader that went away is an error that is told, as a full disk is */
  int status = run(&cli, argc, argv);
  hf_cli_out_flush(&cli); /* the answer first: closing a store may pack */
  hf_cli_release(&cli);
  return hf_cli_out_finish(&cli, status);
}
