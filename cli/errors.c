#include "errors.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"
#include "text.h"

enum { LINE_BYTES_MAX = 8192 };

int hf_cli_exit_status(int status) {
  switch ((hf_status)status) {
  case HF_OK:
    return HF_CLI_DONE;
  case HF_EINVAL:
  case HF_ECONFIG:
    return HF_CLI_USAGE;
  case HF_ENOTFOUND:
  case HF_EDROPPED:
    return HF_CLI_NOT_FOUND;
  case HF_ECONFLICT:
  case HF_EENDED:
    return HF_CLI_CONFLICT;
  case HF_ELOCK:
  case HF_EBACKEND:
    return HF_CLI_LOCK;
  case HF_EUNSURE:
    return HF_CLI_UNSURE;
  case HF_ENOMEM:
  case HF_EIO:
  case HF_EDOC:
  case HF_ELIMIT:
  case HF_EDAMAGED:
  case HF_EVERSION:
  case HF_EWRONGSTORE:
  case HF_ENOTSTORE:
  case HF_EEXIST:
  case HF_EFORKED:
  case HF_EUNSUPPORTED:
  case HF_ECANCELLED:
  case HF_EINTERNAL:
    return HF_CLI_FAILED;
  }
  return HF_CLI_FAILED;
}

/* One write for the whole line: other threads and processes may write to the same stderr. */
static void put_line(const hf_cli *cli, const char *place, const char *kind, const char *message,
                     const char *end) {
  const char *command = cli->command != NULL ? cli->command->name : NULL;
  int has_place = place != NULL && place[0] != '\0';
  char line[LINE_BYTES_MAX];
  (void)snprintf(line, sizeof line, "holdfast: %s%s%s%s%s%s%s", command != NULL ? command : "",
                 command != NULL ? ": " : "", has_place ? place : "", has_place ? ": " : "", kind,
                 message, end);
  hf_cli_progress_clear();
  char *visible = hf_cli_visible(line, strlen(line), NULL);
  fprintf(stderr, "%s\n", visible != NULL ? visible : "holdfast: out of memory");
  free(visible);
}

static void say(const hf_cli *cli, const char *place, const char *kind, const char *end,
                const char *format, va_list args) __attribute__((format(printf, 5, 0)));

static void say(const hf_cli *cli, const char *place, const char *kind, const char *end,
                const char *format, va_list args) {
  char message[LINE_BYTES_MAX];
  (void)vsnprintf(message, sizeof message, format, args);
  put_line(cli, place, kind, message, end);
}

void hf_cli_error(const hf_cli *cli, const char *place, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(cli, place, "", "", format, args);
  va_end(args);
}

void hf_cli_warning(const hf_cli *cli, const char *place, const char *format, ...) {
  va_list args;
  va_start(args, format);
  if (!cli->args.quiet)
    say(cli, place, "warning: ", "", format, args);
  va_end(args);
}

int hf_cli_usage(const hf_cli *cli, const char *place, const char *format, ...) {
  char end[64];
  va_list args;
  (void)snprintf(end, sizeof end, "; see holdfast help%s%s", cli->command != NULL ? " " : "",
                 cli->command != NULL ? cli->command->name : "");
  va_start(args, format);
  say(cli, place, "", end, format, args);
  va_end(args);
  return HF_CLI_USAGE;
}

int hf_cli_failed(const hf_cli *cli, const char *place, const char *format, ...) {
  va_list args;
  va_start(args, format);
  say(cli, place, "", "", format, args);
  va_end(args);
  return HF_CLI_FAILED;
}

int hf_cli_no_memory(const hf_cli *cli) {
  return hf_cli_failed(cli, NULL, "out of memory");
}

/* Names the command that settles the attempt, with its store: into the library's own words, where
 * they say "holdfast resolve", else behind them. */
static void unsure_error(const hf_cli *cli, const char *where, const char *message,
                         const hf_error *err) {
  static const char program[] = "holdfast ";
  static const char command[] = "holdfast resolve ";
  const char *store = cli->store_path != NULL ? cli->store_path : ".";
  const char *said = strstr(message, command);
  if (said != NULL)
    hf_cli_error(cli, where, "%.*s%s--store '%s' %s", (int)(said - message), message, program,
                 store, said + sizeof program - 1);
  else
    hf_cli_error(cli, where, "%s; to settle it: holdfast --store '%s' resolve %s", message, store,
                 err->id);
}

int hf_cli_library_error(const hf_cli *cli, const char *place, const hf_error *err) {
  const char *where = err->place;
  if (where[0] == '\0' && place != NULL)
    where = place;
  else if (where[0] == '\0' && cli->store_path != NULL)
    where = cli->store_path;
  const char *message = err->message[0] != '\0' ? err->message : hf_status_text((int)err->code);
  if (err->code == HF_EUNSURE && err->id[0] != '\0')
    unsure_error(cli, where, message, err);
  else if (err->code == HF_EENDED && err->id[0] != '\0' && strstr(message, err->id) == NULL)
    hf_cli_error(cli, where, "%s; attempt %s", message, err->id);
  else
    hf_cli_error(cli, where, "%s", message);
  return hf_cli_exit_status((int)err->code);
}

void hf_cli_log(void *context, hf_log_level level, const char *message) {
  const hf_cli *cli = context;
  const char *kind = "";
  int wanted = cli->args.verbose;
  switch (level) {
  case HF_LOG_DEBUG:
    kind = "debug: ";
    break;
  case HF_LOG_INFO:
    kind = "note: ";
    break;
  case HF_LOG_WARNING:
    kind = "warning: ";
    wanted = !cli->args.quiet;
    break;
  }
  if (wanted)
    put_line(cli, NULL, kind, message, "");
}

int hf_cli_expr_error(const hf_cli *cli, const char *option, size_t number, const hf_error *err) {
  char place[128];
  char which[32] = "";
  if (err->code != HF_EINVAL && err->code != HF_ELIMIT)
    return hf_cli_library_error(cli, option, err);
  if (number > 0)
    (void)snprintf(which, sizeof which, " %zu", number);
  (void)snprintf(place, sizeof place, "%s%s%s%.60s", option, which,
                 err->place[0] != '\0' ? ": " : "", err->place);
  return hf_cli_usage(cli, place, "%s", err->message);
}
