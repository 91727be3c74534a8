#include <holdfast/watch.h>

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "records.h"
#include "store.h"
#include "where.h"
#include "watch_exec.h"
#include "watch_state.h"

enum {
  UNSYNCED_WAIT_MS = 1000,
  STREAM_RECORDS = 1024, /* of more than that in a row --timeout takes the rest away */
};

static const hf_cli_option watch_options[] = {
    HF_CLI_OPT_NUMBER("since", since, "N",
                      "from seq N on; without it, only what is committed from now on"),
    HF_CLI_OPT_RUN_ID("only this run"),
    HF_CLI_OPT_STAGE("only this stage"),
    HF_CLI_OPT_GROUP("only this group"),
    HF_CLI_OPT_DIM("only snapshots that have this dim, whatever others they have"),
    HF_CLI_OPT_FILTERS,
    HF_CLI_OPT_FLAG("all-records", all_records,
                    "the records that are no snapshots too, each with its op"),
    HF_CLI_OPT_TEXT("exec", exec, "CMD", 0,
                    "run CMD by sh -c for each, one after the other; then nothing is printed, "
                    "unless --format or --json is given"),
    HF_CLI_OPT_FLAG("stop-on-failure", stop_on_failure,
                    "end where CMD fails; without it a failed CMD is a warning"),
    HF_CLI_OPT_TEXT("state", state, "FILE", 0,
                    "keep in FILE how far it came, and go on from there: --since counts only where "
                    "FILE is not there yet"),
    HF_CLI_OPT_NUMBER("count", count, "K", "end after K of them"),
    HF_CLI_OPT(HF_CLI_DURATION, "timeout", timeout_ms, "DURATION",
               "end after this time; status 3 where --count was not reached"),
    HF_CLI_OPT(HF_CLI_DURATION, "every", every_ms, "DURATION",
               "how often to look where the kernel does not tell of changes (1s)"),
    HF_CLI_OPT_TEXT("columns", columns, "A,B", 0,
                    "what to show: members of the envelope and pointers into the document"),
    HF_CLI_OPT_CHOICE("format", format, "table|jsonl", "table is the default"),
};

typedef struct watching {
  hf_cli *cli;
  hf_watch *watch;
  hf_cli_layout layout;
  hf_cli_record_stream *stream; /* NULL: nothing is printed */
  hf_expr *where;
  hf_cli_watch_state state;
  uint64_t done;
  int64_t deadline_ms; /* -1: none */
  int failed;          /* something did; it went on */
} watching;

static int64_t now_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int is_late(const watching *w) {
  return w->deadline_ms >= 0 && now_ms() >= w->deadline_ms;
}

typedef enum waited { WAITED_READY, WAITED_SIGNAL, WAITED_LATE, WAITED_CLOSED } waited;

static int wait_ms(const watching *w) {
  int64_t left_ms = w->deadline_ms >= 0 ? w->deadline_ms - now_ms() : INT64_MAX;
  if (w->state.path != NULL && !w->state.is_synced && left_ms > UNSYNCED_WAIT_MS)
    left_ms = UNSYNCED_WAIT_MS;
  return left_ms < 0 ? 0 : left_ms > INT32_MAX ? -1 : (int)left_ms;
}

/* Until there may be something new. Signals can come in the wait alone: none falls between the
 * question and it. */
static waited wait_for_more(const watching *w) {
  struct pollfd fds[2] = {{.fd = hf_watch_fd(w->watch), .events = POLLIN},
                          {.fd = w->stream != NULL ? STDOUT_FILENO : -1}};
  sigset_t blocked;
  sigset_t before;
  (void)sigemptyset(&blocked);
  (void)sigaddset(&blocked, SIGINT);
  (void)sigaddset(&blocked, SIGTERM);
  (void)sigaddset(&blocked, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, &blocked, &before);
  int ms = wait_ms(w);
  struct timespec timeout = {ms / 1000, (long)(ms % 1000) * 1000000};
  int got = hf_cli_signalled() ? 0 : ppoll(fds, 2, ms < 0 ? NULL : &timeout, &before);
  (void)sigprocmask(SIG_SETMASK, &before, NULL);
  if (hf_cli_signalled())
    return WAITED_SIGNAL;
  if (got > 0 && (fds[1].revents & (POLLERR | POLLHUP)) != 0)
    return WAITED_CLOSED;
  return is_late(w) ? WAITED_LATE : WAITED_READY;
}

/* Whoever reads what is printed has read enough, which is how a watch is ended: no error. */
static int end_as_nobody_reads(hf_cli *cli) {
  int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (fd >= 0) {
    (void)dup2(fd, STDOUT_FILENO);
    (void)close(fd);
  }
  cli->out_errno = 0;
  return HF_CLI_DONE;
}

/* -1: go on; else the exit status to end with. The record is done, and noted, where it answers -1
 * or HF_CLI_DONE. */
static int run_command(watching *w, const hf_record *record) {
  int outcome = 0;
  int status = hf_cli_watch_exec(w->cli, record, &outcome);
  if (status != HF_CLI_DONE)
    return status;
  if (outcome == 0)
    return -1;
  if (hf_cli_signalled()) /* it was meant, too: not done */
    return hf_cli_signal() == SIGINT ? HF_CLI_INTERRUPTED : HF_CLI_FAILED;
  w->failed = 1;
  if (w->cli->args.stop_on_failure)
    return hf_cli_failed(w->cli, "--exec", "seq %" PRIu64 ": the command ended with status %d",
                         record->seq, outcome);
  hf_cli_warning(w->cli, "--exec",
                 "seq %" PRIu64 ": the command ended with status %d; going on behind it",
                 record->seq, outcome);
  return -1;
}

static int handle(watching *w, const hf_record *record) {
  hf_cli *cli = w->cli;
  int status = cli->args.exec != NULL ? run_command(w, record) : -1;
  if (status >= 0)
    return status;
  status = w->stream != NULL ? hf_cli_record_stream_put(w->stream, record) : HF_CLI_DONE;
  if (status != HF_CLI_DONE)
    return status;
  if (cli->out_errno == EPIPE)
    return end_as_nobody_reads(cli);
  if (cli->out_errno != 0)
    return HF_CLI_FAILED; /* told at the end */
  status = hf_cli_watch_state_put(cli, &w->state, record->seq);
  if (status != HF_CLI_DONE)
    return status;
  w->done++;
  return cli->args.count.given && w->done >= cli->args.count.value ? HF_CLI_DONE : -1;
}

/* Everything that there is now. -1: go on. */
static int handle_all(watching *w) {
  hf_cli *cli = w->cli;
  for (uint64_t handled = 1; !hf_cli_signalled(); handled++) {
    hf_record *record = NULL;
    hf_error err = HF_ERROR_INIT;
    int got = hf_watch_next(w->watch, 0, &record, &err);
    if (got == 0)
      break;
    if (got == HF_EDAMAGED) {
      hf_cli_error(cli, err.place[0] != '\0' ? err.place : cli->store_path, "warning: %s",
                   err.message);
      w->failed = 1;
      continue;
    }
    if (got < 0)
      return hf_cli_library_error(cli, NULL, &err);
    int status = handle(w, record);
    hf_record_free(&record);
    if (status >= 0)
      return status;
    status = hf_cli_watch_state_sync(cli, &w->state, 0);
    if (status != HF_CLI_DONE)
      return status;
    if (handled % STREAM_RECORDS == 0 && is_late(w))
      return -1;
  }
  if (hf_cli_signalled())
    return -1;
  int status = hf_cli_watch_state_put(cli, &w->state, hf_watch_position(w->watch));
  if (status == HF_CLI_DONE)
    status = hf_cli_watch_state_sync(cli, &w->state, 0);
  return status == HF_CLI_DONE ? -1 : status;
}

static int out_of_time(const watching *w) {
  const hf_cli_args *args = &w->cli->args;
  if (!args->count.given)
    return HF_CLI_DONE;
  hf_cli_error(w->cli, w->cli->store_path,
               "%" PRIu64 " of %" PRIu64 " snapshots came until the time was up", w->done,
               args->count.value);
  return HF_CLI_NOT_FOUND;
}

static int go_on(watching *w) {
  for (;;) {
    int status = handle_all(w);
    if (status >= 0)
      return status;
    switch (wait_for_more(w)) {
    case WAITED_READY:
      break;
    case WAITED_SIGNAL:
      return hf_cli_signal() == SIGINT ? HF_CLI_INTERRUPTED : HF_CLI_DONE;
    case WAITED_LATE:
      return out_of_time(w);
    case WAITED_CLOSED:
      return end_as_nobody_reads(w->cli);
    }
  }
}

/* From which seq: what the state tells, else --since. */
static int begin(watching *w) {
  hf_cli *cli = w->cli;
  const hf_cli_args *args = &cli->args;
  int found = 0;
  uint64_t head = 0;
  hf_error err = HF_ERROR_INIT;
  int status = hf_cli_watch_state_open(cli, &w->state, &found);
  if (status != HF_CLI_DONE)
    return status;
  if (found && hf_head(cli->store, &head, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (found && head < w->state.seq)
    return hf_cli_failed(cli, args->state,
                         "tells of seq %" PRIu64 ", and the store's log ends at seq %" PRIu64
                         ": it was put back from an older copy; remove the file to begin anew",
                         w->state.seq, head);
  hf_watch_options options = {.look_ms = args->every_ms};
  status = hf_cli_filters(cli, &options.which, &w->where);
  if (status != HF_CLI_DONE)
    return status;
  hf_cli_layout_choose(&w->layout, &options.which);
  if (found)
    options.which.since = w->state.seq + 1;
  else if (args->since.given && args->since.value == 0)
    options.which.since = 1;
  options.which.all_records = args->all_records;
  options.which.with_documents |= args->exec != NULL;
  if (hf_watch_begin(cli->store, &options, &w->watch, &err) != HF_OK)
    return hf_cli_list_error(cli, &err);
  return found ? HF_CLI_DONE : hf_cli_watch_state_make(cli, &w->state, hf_watch_position(w->watch));
}

static int check(const hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  if (args->exec == NULL && args->stop_on_failure)
    return hf_cli_usage(cli, "--stop-on-failure", "has no meaning without --exec");
  if (args->exec != NULL && args->exec[0] == '\0')
    return hf_cli_usage(cli, "--exec", "wants a command; it is empty");
  return hf_cli_check_format(cli);
}

static int run_watch(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  watching w = {.cli = cli, .state = {.fd = -1}, .deadline_ms = -1};
  int status = check(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  if (args->timeout_ms >= 0)
    w.deadline_ms = args->timeout_ms > INT64_MAX - now_ms() ? -1 : now_ms() + args->timeout_ms;
  hf_cli_signals_catch();
  if (args->exec != NULL)
    status = hf_cli_watch_exec_prepare(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_layout_begin(cli, args->all_records, 0, &w.layout);
  if (status == HF_CLI_DONE)
    status = begin(&w);
  if (status == HF_CLI_DONE && (args->exec == NULL || args->json || args->format != NULL))
    status = hf_cli_record_stream_begin(cli, &w.layout, &w.stream);
  if (status == HF_CLI_DONE && !(args->count.given && args->count.value == 0))
    status = go_on(&w);
  if (w.state.fd >= 0 && hf_cli_watch_state_sync(cli, &w.state, 1) != HF_CLI_DONE &&
      status == HF_CLI_DONE)
    status = HF_CLI_FAILED;
  hf_cli_record_stream_end(&w.stream);
  hf_cli_layout_end(&w.layout);
  hf_watch_end(&w.watch);
  hf_expr_free(&w.where);
  hf_cli_watch_state_close(&w.state);
  return status == HF_CLI_DONE && w.failed ? HF_CLI_FAILED : status;
}

const hf_cli_command hf_cli_command_watch = {
    .name = "watch",
    .synopsis = "watch [--since N] [--run-id R] [--stage S] [--group G] [--dim "
                "N=V]... " HF_CLI_FILTERS_SYNOPSIS " [--all-records] [--columns A,B] [--exec CMD "
                "[--stop-on-failure]] [--state FILE] [--count K] "
                "[--timeout DURATION] [--every DURATION] [--format table|jsonl]",
    .summary = "print each new snapshot as it is committed, or run a command for it",
    .details =
        "Prints each snapshot (every revision) that anyone commits from now on, in the order of "
        "the seqs, none left out and none twice; with --since, first those that are there. Each "
        "line is flushed as it is printed. jsonl (or --json) has the members of list --format "
        "jsonl. On a local filesystem a snapshot is printed within milliseconds; on one that hosts "
        "share the store is looked at once a second (--every). No lock is taken. Where the store "
        "cannot be read for a while (its server is restarted, it is unmounted) this is told once "
        "on "
        "stderr, and it goes on behind the last one when the store is back.\n"
        "\n"
        "With --exec CMD is run by sh -c for each, one after the other: envelope and document as "
        "one line of JSON on its standard input (as get --meta prints it), HOLDFAST_SEQ, "
        "HOLDFAST_RUN_ID, HOLDFAST_STAGE and HOLDFAST_STORE in its environment. A CMD that fails "
        "is told as a warning, and the exit status is 1 at the end; with --stop-on-failure it ends "
        "the watch, and that snapshot is not done.\n"
        "\n"
        "With --state FILE a watch that was ended or killed, and is started again, goes on behind "
        "the last snapshot that was done: printed, and CMD has ended. Killed between the two it "
        "does that one again: CMD is run at least once for each snapshot, and once unless the "
        "watch is killed (after a power loss: for those of the last second).\n"
        "\n"
        "Ends after --count snapshots, after --timeout (status 3 where --count was not reached), "
        "by SIGTERM (status 0), by Ctrl-C (status 130), or when nobody reads its output any more "
        "(status 0). A CMD that runs is waited for; a second signal does not wait.",
    .examples = "holdfast watch --since 1 --stage final\n"
                "holdfast watch --format jsonl --count 1 --timeout 10m --run-id nightly-3\n"
                "holdfast watch --state mail.state --exec 'mail -s \"$HOLDFAST_RUN_ID\" me'",
    .options = watch_options,
    .options_count = HF_CLI_COUNT(watch_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_watch,
};
