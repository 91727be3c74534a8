#include "progress.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PROGRESS_INTERVAL_MS = 100, PROGRESS_LINE_BYTES = 96 };

static int progress_wanted;
static size_t progress_shown; /* columns on the terminal; 0: none */
static int64_t progress_at_ms;
static const char *progress_of; /* which `what` that is; never looked into */
static volatile sig_atomic_t stop_asked;

void hf_cli_progress_start(const hf_cli *cli) {
  progress_wanted = !cli->args.quiet && isatty(STDERR_FILENO) == 1;
}

static int64_t now_ms(void) {
  struct timespec now;
  if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
    return 0;
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int hf_cli_progress(void *context, const char *what, uint64_t done, uint64_t total) {
  (void)context;
  if (progress_wanted) {
    int64_t now = now_ms();
    if (progress_shown == 0 || what != progress_of ||
        now - progress_at_ms >= PROGRESS_INTERVAL_MS) {
      char line[PROGRESS_LINE_BYTES];
      if (total > 0)
        (void)snprintf(line, sizeof line, "%" PRIu64 " of %" PRIu64 " %s (%u%%)", done, total, what,
                       (unsigned)((double)done * 100.0 / (double)total));
      else
        (void)snprintf(line, sizeof line, "%" PRIu64 " %s", done, what);
      size_t columns = strlen(line);
      int blanks = progress_shown > columns ? (int)(progress_shown - columns) : 0;
      fprintf(stderr, "\r%s%*s", line, blanks, "");
      (void)fflush(stderr);
      progress_shown = columns;
      progress_at_ms = now;
      progress_of = what;
    }
  }
  return hf_cli_signalled();
}

void hf_cli_progress_clear(void) {
  if (progress_shown == 0)
    return;
  fprintf(stderr, "\r%*s\r", (int)progress_shown, "");
  (void)fflush(stderr);
  progress_shown = 0;
}

static void on_signal(int number) {
  stop_asked = number;
}

void hf_cli_signals_catch(void) {
  static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
  for (size_t i = 0; i < HF_CLI_COUNT(numbers); i++) {
    struct sigaction old;
    if (sigaction(numbers[i], NULL, &old) != 0 || old.sa_handler == SIG_IGN)
      continue; /* nohup: stays ignored */
    struct sigaction catch = {0};
    catch.sa_handler = on_signal;
    catch.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    (void)sigemptyset(&catch.sa_mask);
    (void)sigaction(numbers[i], &catch, NULL);
  }
}

int hf_cli_signalled(void) {
  return stop_asked != 0;
}

int hf_cli_signal(void) {
  return stop_asked;
}
