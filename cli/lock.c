#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option lock_options[] = {
    HF_CLI_OPT_FLAG("yes", yes, "break without asking"),
};

enum { ANSWER_BYTES = 64, TIME_BYTES = 40 };

/* RFC 3339, or NULL where the time is not known. */
static const char *time_text(int64_t unix_ms, char text[TIME_BYTES]) {
  if (unix_ms <= 0)
    return NULL;
  time_t seconds = (time_t)(unix_ms / 1000);
  struct tm parts;
  char date[TIME_BYTES - 8];
  if (gmtime_r(&seconds, &parts) == NULL ||
      strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts) == 0)
    return NULL;
  (void)snprintf(text, TIME_BYTES, "%s.%03dZ", date, (int)(unix_ms % 1000));
  return text;
}

static int print_status(hf_cli *cli, int held, const hf_lock_holder *holder) {
  char since[TIME_BYTES];
  char until[TIME_BYTES];
  hf_info info = {0};
  hf_error err = HF_ERROR_INIT;
  if (hf_store_info(cli->store, &info, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  const char *since_text = held ? time_text(holder->since_unix_ms, since) : NULL;
  const char *until_text = held ? time_text(holder->until_unix_ms, until) : NULL;
  if (!cli->args.json) {
    hf_cli_out_visible(cli, held ? holder->text : "free");
    if (held && holder->attempt[0] != '\0')
      hf_cli_out_format(cli, ", attempt %s", holder->attempt);
    if (until_text != NULL && strstr(holder->text, "until") == NULL)
      hf_cli_out_format(cli, ", until %s", until_text);
    hf_cli_out_text(cli, "\n");
    return HF_CLI_DONE;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "locker", info.locker);
  hf_cli_json_bool(&json, "held", held);
  hf_cli_json_text(&json, "holder", held ? holder->text : NULL);
  hf_cli_json_text(&json, "host", held && holder->host[0] != '\0' ? holder->host : NULL);
  if (held && holder->pid != 0)
    hf_cli_json_signed(&json, "pid", holder->pid);
  else
    hf_cli_json_null(&json, "pid");
  if (held && holder->token != 0)
    hf_cli_json_number(&json, "token", holder->token);
  else
    hf_cli_json_null(&json, "token");
  hf_cli_json_text(&json, "attempt", held && holder->attempt[0] != '\0' ? holder->attempt : NULL);
  hf_cli_json_text(&json, "since", since_text);
  hf_cli_json_text(&json, "until", until_text);
  hf_cli_json_end(&json);
  return HF_CLI_DONE;
}

/* 1 for yes. */
static int ask(const hf_lock_holder *holder) {
  char answer[ANSWER_BYTES];
  fprintf(stderr, "The lock is held by %s.\nTake it away? [y/N] ", holder->text);
  (void)fflush(stderr);
  if (fgets(answer, sizeof answer, stdin) == NULL)
    return 0;
  answer[strcspn(answer, "\n")] = '\0';
  return strcmp(answer, "y") == 0 || strcmp(answer, "Y") == 0 || strcmp(answer, "yes") == 0;
}

static int break_lock(hf_cli *cli, int held, const hf_lock_holder *holder) {
  hf_error err = HF_ERROR_INIT;
  if (held && !cli->args.yes && !ask(holder))
    return hf_cli_failed(cli, NULL, "not broken");
  if (held && hf_lock_break(cli->store, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (!cli->args.json) {
    hf_cli_out_text(cli, held ? "broken\n" : "free\n");
    return HF_CLI_DONE;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_bool(&json, "broken", held);
  hf_cli_json_text(&json, "holder", held ? holder->text : NULL);
  hf_cli_json_end(&json);
  return HF_CLI_DONE;
}

static int run_lock(hf_cli *cli) {
  const char *what = cli->args.operands[0];
  int breaks = strcmp(what, "break") == 0;
  if (!breaks && strcmp(what, "status") != 0)
    return hf_cli_usage(cli, NULL, "\"%.80s\" is neither status nor break", what);
  if (!breaks && cli->args.yes)
    return hf_cli_usage(cli, "--yes", "goes with break only");
  if (breaks && !cli->args.yes && (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1))
    return hf_cli_usage(cli, NULL, "break asks first, and there is no terminal: give --yes");
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_lock_holder holder = {0};
  int held = hf_lock_status(cli->store, &holder, &err);
  if (held < 0)
    return hf_cli_library_error(cli, NULL, &err);
  return breaks ? break_lock(cli, held, &holder) : print_status(cli, held, &holder);
}

const hf_cli_command hf_cli_command_lock = {
    .name = "lock",
    .synopsis = "lock status\n"
                "lock break [--yes]",
    .summary = "who holds the lock; take it away",
    .details =
        "status prints who holds the store's lock, since when and until when, or free; the exit "
        "status is 0 in either case. With --json: locker, held, holder, host, pid, token, attempt, "
        "since, until; null where it is not known.\n"
        "\n"
        "break takes the lock away from whoever holds it. It asks first; without a terminal it "
        "wants --yes. That is safe for the data: the storage decides what is committed, and the "
        "holder only loses its turn. Prints broken, or free where nobody held it.",
    .examples = "holdfast lock status\n"
                "holdfast lock break --yes",
    .options = lock_options,
    .options_count = HF_CLI_COUNT(lock_options),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_lock,
};
