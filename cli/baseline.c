#include <holdfast/baseline.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "baseline_print.h"
#include "errors.h"
#include "metric.h"
#include "options.h"
#include "output.h"
#include "store.h"

enum { HISTORY_FIRST = 16 };

static const hf_cli_option baseline_options[] = {
    HF_CLI_OPT_GROUP("the group of the comparable runs"),
    HF_CLI_OPT_STAGE("their stage"),
    HF_CLI_OPT_DIM("a dim of theirs; all of them must be given"),
    HF_CLI_OPT_NUMBER("seq", seq, "N",
                      "those that are comparable with the snapshot N, in place of the above"),
    HF_CLI_OPT_TEXT("metric", metric, "/a/b", HF_METRIC_BYTES_MAX,
                    "where the metric stands in a document, as a JSON Pointer"),
    HF_CLI_OPT_CHOICE("goal", goal, "max|min", "which end of the metric is the better one"),
    HF_CLI_OPT_NUMBER("min-runs", min_runs, "K",
                      "establish: how many comparable runs there must be (5)"),
    HF_CLI_OPT_TEXT("tolerance", tolerance, "X|X%", HF_CLI_TOLERANCE_BYTES - 1,
                    "check: how much worse the run may be, as 0.01 or as 2% of the baseline"),
    HF_CLI_OPT_NUMBER("at", at, "N", "get: as of seq N"),
    HF_CLI_OPT_TEXT("reason", reason, "TEXT", HF_REASON_BYTES_MAX, "kept with the record"),
    HF_CLI_OPT_TEXT("id", id, "ULID", 0, "makes a retry exactly once, as for save"),
    HF_CLI_OPT_TIMEOUT,
};

/* Of which runs, and what keeps the strings. */
typedef struct subject {
  hf_comparable of;
  hf_record *snapshot; /* of --seq */
} subject;

/* --group, --stage and --dim, or --seq. */
static int need_subject(hf_cli *cli, subject *ret_subject) {
  const hf_cli_args *args = &cli->args;
  hf_error err = HF_ERROR_INIT;
  if (!args->seq.given) {
    ret_subject->of = (hf_comparable){args->group, args->stage, args->dims, args->dims_count};
    return HF_CLI_DONE;
  }
  hf_record *record = NULL;
  int found = hf_get_seq(cli->store, args->seq.value, &record, &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  ret_subject->snapshot = record;
  if (found == 1 && strcmp(record->op, "save") == 0 && record->group != NULL) {
    ret_subject->of =
        (hf_comparable){record->group, record->stage, record->dims, record->dims_count};
    return HF_CLI_DONE;
  }
  if (found == 0)
    hf_cli_error(cli, cli->store_path, "there is no seq %llu", (unsigned long long)args->seq.value);
  else
    hf_cli_error(cli, cli->store_path, "seq %llu %s", (unsigned long long)args->seq.value,
                 strcmp(record->op, "save") != 0 ? "is no snapshot"
                                                 : "has no group: it is comparable with nothing");
  return HF_CLI_NOT_FOUND;
}

static hf_goal given_goal(const hf_cli_args *args) {
  if (args->goal == NULL)
    return HF_GOAL_NONE;
  return strcmp(args->goal, "max") == 0 ? HF_GOAL_MAX : HF_GOAL_MIN;
}

static hf_baseline_options given_options(const hf_cli_args *args) {
  return (hf_baseline_options){.metric = args->metric,
                               .goal = given_goal(args),
                               .min_runs = (unsigned)args->min_runs.value,
                               .reason = args->reason,
                               .id = args->id,
                               .timeout_ms = args->timeout_ms};
}

/* What follows a record that was made, or found. */
static int print_made(hf_cli *cli, hf_baseline *baseline, int created,
                      const hf_baseline_counts *counts) {
  (void)snprintf(cli->saved_note, sizeof cli->saved_note, "the baseline is recorded, as seq %llu",
                 (unsigned long long)baseline->seq);
  hf_cli_print_baseline(cli, baseline, created, counts);
  hf_baseline_free(&baseline);
  return HF_CLI_DONE;
}

static int run_establish(hf_cli *cli, const hf_comparable *of) {
  hf_baseline_options options = given_options(&cli->args);
  hf_baseline_counts counts = {0};
  hf_baseline *baseline = NULL;
  hf_error err = HF_ERROR_INIT;
  int made = hf_baseline_establish(cli->store, of, &options, &baseline, &counts, &err);
  if (made >= 0)
    return print_made(cli, baseline, made, made == 1 ? &counts : NULL);
  if (made == HF_ENOTFOUND && cli->args.json)
    hf_cli_print_missing(cli, &counts);
  return hf_cli_library_error(cli, NULL, &err);
}

static int run_update(hf_cli *cli, const hf_comparable *of) {
  hf_baseline_options options = given_options(&cli->args);
  hf_baseline_counts counts = {0};
  hf_baseline *baseline = NULL;
  hf_error err = HF_ERROR_INIT;
  int made = hf_baseline_update(cli->store, of, &options, &baseline, &counts, &err);
  return made < 0 ? hf_cli_library_error(cli, NULL, &err)
                  : print_made(cli, baseline, made, &counts);
}

/* Which runs were meant. Answers the exit status. */
static int none_there(const hf_cli *cli, const hf_comparable *of, const char *what,
                      const char *end) {
  hf_cli_error(cli, cli->store_path, "there %s of group \"%.80s\", stage \"%.80s\"%s%s", what,
               of->group, of->stage, of->dims_count > 0 ? " with these dims" : "", end);
  return HF_CLI_NOT_FOUND;
}

static int run_clear(hf_cli *cli, const hf_comparable *of) {
  hf_baseline_options options = given_options(&cli->args);
  hf_baseline *baseline = NULL;
  hf_error err = HF_ERROR_INIT;
  int made = hf_baseline_clear(cli->store, of, &options, &baseline, &err);
  if (made < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (baseline != NULL)
    return print_made(cli, baseline, made, NULL);
  return none_there(cli, of, "is no baseline to clear", "");
}

static int run_get(hf_cli *cli, const hf_comparable *of) {
  const hf_cli_number *at = &cli->args.at;
  hf_baseline *baseline = NULL;
  hf_error err = HF_ERROR_INIT;
  int got =
      at->given && at->value == 0 ? 0 : hf_baseline_get(cli->store, of, at->value, &baseline, &err);
  if (got < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (got == 0)
    return none_there(cli, of, "is no baseline",
                      at->given ? " as of that seq" : "; baseline establish makes one");
  hf_cli_print_baseline(cli, baseline, -1, NULL);
  hf_baseline_free(&baseline);
  return HF_CLI_DONE;
}

/* All records, the latest first. A negative status, with err. */
static int read_history(hf_cli *cli, const hf_comparable *of, hf_baseline ***list, size_t *count,
                        hf_error *err) {
  size_t allocated = 0;
  uint64_t at = 0;
  for (;;) {
    hf_baseline *one = NULL;
    int got = at == 1 ? 0 : hf_baseline_last(cli->store, of, at == 0 ? 0 : at - 1, &one, err);
    if (got != 1)
      return got;
    if (*count == allocated) {
      allocated = allocated == 0 ? HISTORY_FIRST : allocated * 2;
      hf_baseline **more = realloc(*list, allocated * sizeof(hf_baseline *));
      if (more == NULL) {
        hf_baseline_free(&one);
        return HF_ENOMEM;
      }
      *list = more;
    }
    (*list)[(*count)++] = one;
    at = one->seq;
  }
}

static int run_history(hf_cli *cli, const hf_comparable *of) {
  hf_baseline **list = NULL;
  size_t count = 0;
  hf_error err = {.code = HF_ENOMEM};
  int got = read_history(cli, of, &list, &count, &err);
  int status = HF_CLI_DONE;
  for (size_t i = 0; i < count / 2; i++) { /* the first one first */
    hf_baseline *other = list[i];
    list[i] = list[count - 1 - i];
    list[count - 1 - i] = other;
  }
  if (got < 0)
    status = hf_cli_library_error(cli, NULL, &err);
  else if (count > 0)
    status = hf_cli_print_baselines(cli, list, count);
  for (size_t i = 0; i < count; i++)
    hf_baseline_free(&list[i]);
  free(list);
  return status != HF_CLI_DONE || count > 0 ? status
                                            : none_there(cli, of, "was no baseline yet", "");
}

/* The seq that set and check name. */
static int operand_seq(const hf_cli *cli, uint64_t *ret_seq) {
  const char *text = cli->args.operands[1];
  if (hf_cli_parse_number(text, ret_seq) != 0)
    return hf_cli_usage(cli, NULL, "\"%.80s\" is no seq", text);
  return HF_CLI_DONE;
}

static int run_set(hf_cli *cli) {
  hf_baseline_options options = given_options(&cli->args);
  hf_baseline *baseline = NULL;
  hf_error err = HF_ERROR_INIT;
  uint64_t seq = 0;
  int status = operand_seq(cli, &seq);
  if (status != HF_CLI_DONE)
    return status;
  int made = hf_baseline_set(cli->store, seq, &options, &baseline, &err);
  return made < 0 ? hf_cli_library_error(cli, NULL, &err) : print_made(cli, baseline, made, NULL);
}

static int run_check(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  hf_check_options options = {.metric = args->metric, .goal = given_goal(args)};
  char tolerance[HF_CLI_TOLERANCE_BYTES] = "";
  hf_checked *checked = calloc(1, sizeof *checked);
  hf_baseline *baseline = NULL;
  hf_error err = HF_ERROR_INIT;
  uint64_t seq = 0;
  int status = checked != NULL ? operand_seq(cli, &seq) : hf_cli_no_memory(cli);
  if (status == HF_CLI_DONE)
    status = hf_cli_read_tolerance(cli, args->tolerance, tolerance, &options);
  if (status == HF_CLI_DONE &&
      hf_baseline_check(cli->store, seq, &options, checked, &baseline, &err) != HF_OK)
    status = hf_cli_library_error(cli, NULL, &err);
  if (status == HF_CLI_DONE) {
    hf_cli_print_checked(cli, seq, checked, baseline);
    status = checked->result == HF_CHECK_PASSED ? HF_CLI_DONE : HF_CLI_DIFFERS;
  }
  hf_baseline_free(&baseline);
  free(checked);
  return status;
}

/* ---- which of them ---- */

enum {
  TAKES_METRIC = 1,
  TAKES_RECORD = 2, /* --reason, --id, --timeout */
  TAKES_SEQ = 4,    /* an operand, and neither --group nor what goes with it */
};

typedef struct way {
  const char *name;
  unsigned takes;
  int (*run)(hf_cli *cli, const hf_comparable *of);
  int (*run_seq)(hf_cli *cli);
} way;

static const way ways[] = {
    {"get", 0, run_get, NULL},
    {"establish", TAKES_METRIC | TAKES_RECORD, run_establish, NULL},
    {"set", TAKES_METRIC | TAKES_RECORD | TAKES_SEQ, NULL, run_set},
    {"clear", TAKES_RECORD, run_clear, NULL},
    {"update", TAKES_METRIC | TAKES_RECORD, run_update, NULL},
    {"check", TAKES_METRIC | TAKES_SEQ, NULL, run_check},
    {"history", 0, run_history, NULL},
};

static const way *find_way(const char *name) {
  for (size_t i = 0; i < HF_CLI_COUNT(ways); i++)
    if (strcmp(ways[i].name, name) == 0)
      return &ways[i];
  return NULL;
}

/* An option that was given and that this way does not take, or NULL. */
static const char *out_of_place(const hf_cli_args *args, const way *as) {
  int is_get = as->run == run_get;
  int takes_record = (as->takes & TAKES_RECORD) != 0;
  if ((as->takes & TAKES_METRIC) == 0 && args->metric != NULL)
    return "--metric";
  if ((as->takes & TAKES_METRIC) == 0 && args->goal != NULL)
    return "--goal";
  if (!takes_record && args->reason != NULL)
    return "--reason";
  if (!takes_record && args->id != NULL)
    return "--id";
  if (!takes_record && args->timeout_ms >= 0)
    return "--timeout";
  if (as->run != run_establish && args->min_runs.given)
    return "--min-runs";
  if (as->run_seq != run_check && args->tolerance != NULL)
    return "--tolerance";
  return !is_get && args->at.given ? "--at" : NULL;
}

/* Which runs are meant. */
static int check_subject(const hf_cli *cli, const way *as) {
  const hf_cli_args *args = &cli->args;
  int has_seq = (as->takes & TAKES_SEQ) != 0;
  int by_name = args->group != NULL || args->stage != NULL || args->dims_count > 0;
  if (has_seq && (by_name || args->seq.given))
    return hf_cli_usage(cli, as->name, "takes a seq alone, which says the group, stage and dims");
  if (has_seq && cli->args.operands_count != 2)
    return hf_cli_usage(cli, as->name, "wants the seq of a snapshot");
  if (!has_seq && cli->args.operands_count != 1)
    return hf_cli_usage(cli, as->name, "takes no \"%.80s\"", cli->args.operands[1]);
  if (has_seq)
    return HF_CLI_DONE;
  if (args->seq.given && by_name)
    return hf_cli_usage(cli, "--seq", "says the group, stage and dims by itself");
  if (args->seq.given)
    return HF_CLI_DONE;
  if (args->group == NULL)
    return hf_cli_usage(cli, "--group", "is missing (or give --seq)");
  return args->stage == NULL ? hf_cli_usage(cli, "--stage", "is missing") : HF_CLI_DONE;
}

static int check_values(const hf_cli *cli, const way *as) {
  const hf_cli_args *args = &cli->args;
  const char *wrong = out_of_place(args, as);
  if (wrong != NULL)
    return hf_cli_usage(cli, wrong, "does not go with %s", as->name);
  if (as->run == run_establish && args->metric == NULL)
    return hf_cli_usage(cli, "--metric", "is missing");
  if (args->metric != NULL && args->goal == NULL)
    return hf_cli_usage(cli, "--goal", "is missing: max or min");
  if (args->goal != NULL && args->metric == NULL)
    return hf_cli_usage(cli, "--goal", "goes with --metric");
  if (args->min_runs.given &&
      (args->min_runs.value == 0 || args->min_runs.value > HF_BASELINE_MIN_RUNS_MAX))
    return hf_cli_usage(cli, "--min-runs", "is 1 to %d", HF_BASELINE_MIN_RUNS_MAX);
  return args->metric != NULL ? hf_cli_check_metric(cli, args->metric) : HF_CLI_DONE;
}

static int run_baseline(hf_cli *cli) {
  subject who = {0};
  const way *as = find_way(cli->args.operands[0]);
  if (as == NULL)
    return hf_cli_usage(cli, NULL,
                        "\"%.80s\" is none of get, establish, set, clear, update, check, history",
                        cli->args.operands[0]);
  int status = check_subject(cli, as);
  if (status == HF_CLI_DONE)
    status = check_values(cli, as);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  if (as->run_seq != NULL)
    return as->run_seq(cli);
  status = need_subject(cli, &who);
  if (status == HF_CLI_DONE)
    status = as->run(cli, &who.of);
  hf_record_free(&who.snapshot);
  return status;
}

const hf_cli_command hf_cli_command_baseline = {
    .name = "baseline",
    .synopsis =
        "baseline get --group G --stage S [--dim N=V]... [--at N]\n"
        "baseline establish --group G --stage S [--dim N=V]... --metric /a/b --goal max|min "
        "[--min-runs K] [--reason TEXT] [--id ULID] [--timeout DURATION]\n"
        "baseline update --group G --stage S [--dim N=V]... [--metric /a/b --goal max|min] "
        "[--reason TEXT] [--id ULID] [--timeout DURATION]\n"
        "baseline set SEQ [--metric /a/b --goal max|min] [--reason TEXT] [--id ULID] [--timeout "
        "DURATION]\n"
        "baseline clear --group G --stage S [--dim N=V]... [--reason TEXT] [--id ULID] [--timeout "
        "DURATION]\n"
        "baseline check SEQ [--metric /a/b --goal max|min] [--tolerance X|X%]\n"
        "baseline history --group G --stage S [--dim N=V]...",
    .summary = "what the runs of a group are measured against",
    .details =
        "A baseline is the snapshot against which comparable runs (the same group, stage and dims) "
        "are measured. It is a record in the log, committed like a save: everybody sees the same "
        "one, and its history is kept. --seq N stands for the group, stage and dims of the "
        "snapshot N.\n"
        "\n"
        "establish makes the best of the comparable runs the baseline, once --min-runs of them "
        "have a number at --metric; before that exit status 3, and it says how many are missing. "
        "Where there is one it answers that one: of any number of jobs that establish at once one "
        "makes it. Exit status 4 where the one there is has another metric or goal. The current "
        "revision of each run counts; runs without a number there are passed over, and counted; "
        "of equal ones the lowest seq is the best.\n"
        "\n"
        "update makes a better run that was saved after the baseline was made the baseline, if "
        "there is one. set pins a snapshot by hand; without --metric it takes the metric of the "
        "baseline there is. clear ends it. get prints the one in force, and whether it is new: "
        "nothing comparable was saved since. history lists all that there were, the first one "
        "first. Exit status 3 where there is none.\n"
        "\n"
        "check compares the snapshot SEQ with the baseline, by exact decimals: exit status 0 where "
        "it is equal, better, or worse within --tolerance; 7 where it is worse, or has no number "
        "there. A run is never its own baseline: for each revision of the baseline's own run, and "
        "where there is no baseline, exit status 3. So check first, and update then.\n"
        "\n"
        "With --json: created (establish, set, update, clear), new, of (the snapshot's seq), "
        "run_id, stage, dims, group, metric, value (as it was written), goal, by, min_runs, "
        "reason, seq (of the record), id, at, host, pid; runs and passed_over where they were "
        "counted; too few: created, of, runs, passed_over, missing. check: result (passed, worse, "
        "no-metric), seq, metric, goal, value, baseline_seq, baseline_run_id, baseline_value, "
        "delta, "
        "percent, tolerance.",
    .examples = "holdfast baseline establish --seq 17 --metric /metrics/auc --goal max\n"
                "holdfast baseline check 17 --tolerance 1%\n"
                "holdfast baseline set 12 --reason 'the paper'\n"
                "holdfast baseline history --seq 17",
    .options = baseline_options,
    .options_count = HF_CLI_COUNT(baseline_options),
    .operands_min = 1,
    .operands_max = 2,
    .run = run_baseline,
};
