#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <holdfast/diff.h>

#include "cli.h"
#include "difftext.h"
#include "document.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option diff_options[] = {
    HF_CLI_OPT_FLAG("prev", prev, "what changed in A since the previous comparable snapshot"),
    HF_CLI_OPT_DIM("a dim of a key that is given as RUN:STAGE; all of them must be given"),
    HF_CLI_OPT_CHOICE("format", format, "text|json|patch", "text is the default"),
    HF_CLI_OPT_CHOICE("fail-on", fail_on, "critical|major|minor",
                      "exit status 7 where a change is as grave as this, or graver"),
    HF_CLI_OPT_FLAG("all", all, "also what is the same, close or left out"),
    HF_CLI_OPT_FLAG("force", force, "compare what is not comparable"),
    HF_CLI_OPT_FLAG("rules", rules, "print the rules in force, as JSON, and compare nothing"),
};

static int print_rules(hf_cli *cli) {
  char *text = NULL;
  size_t bytes = 0;
  hf_error err = HF_ERROR_INIT;
  int status = hf_cli_need_config(cli);
  if (status != HF_CLI_DONE)
    return status;
  if (hf_diff_rules(cli->config, &text, &bytes, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  hf_cli_out(cli, text, bytes);
  hf_cli_out_text(cli, "\n");
  free(text);
  return HF_CLI_DONE;
}

/* ---- which snapshots ---- */

static int get_by_seq(hf_cli *cli, const char *text, hf_record **ret_record) {
  uint64_t seq = 0;
  hf_error err = HF_ERROR_INIT;
  if (hf_cli_parse_number(text, &seq) != 0)
    return hf_cli_usage(cli, text, "is no seq: it is too large");
  int found = seq > 0 ? hf_get_seq(cli->store, seq, ret_record, &err) : 0;
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (found == 0) {
    hf_cli_error(cli, cli->store_path, "there is no seq %" PRIu64, seq);
    return HF_CLI_NOT_FOUND;
  }
  return HF_CLI_DONE;
}

/* RUN:STAGE, split at the last colon: run ids may hold some. */
static int get_by_key(hf_cli *cli, const char *text, hf_record **ret_record) {
  const char *colon = strrchr(text, ':');
  if (colon == NULL || colon == text || colon[1] == '\0')
    return hf_cli_usage(cli, text, "is neither a seq nor RUN:STAGE");
  char *run_id = strndup(text, (size_t)(colon - text));
  if (run_id == NULL)
    return hf_cli_no_memory(cli);
  hf_key key = {run_id, colon + 1, cli->args.dims, cli->args.dims_count};
  hf_error err = HF_ERROR_INIT;
  int found = hf_cli_get_find(cli, &key, 0, ret_record, &err);
  int status = HF_CLI_DONE;
  if (found < 0) {
    status = hf_cli_library_error(cli, text, &err);
  } else if (found == 0) {
    hf_cli_error(cli, cli->store_path, "there is no snapshot of run \"%s\", stage \"%s\"%s", run_id,
                 key.stage,
                 key.dims_count > 0 ? " with these dims" : " without dims (--dim names them)");
    status = HF_CLI_NOT_FOUND;
  }
  free(run_id);
  return status;
}

static int is_seq(const char *text) {
  return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static int get_one(hf_cli *cli, const char *text, hf_record **ret_record) {
  return is_seq(text) ? get_by_seq(cli, text, ret_record) : get_by_key(cli, text, ret_record);
}

static int get_previous(hf_cli *cli, const hf_record *b, hf_record **ret_a) {
  hf_error err = HF_ERROR_INIT;
  hf_prev_query query = {.seq = b->seq};
  int found = hf_cli_prev_find(cli, &query, ret_a, &err);
  if (found < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (found == 0) {
    hf_cli_error(cli, cli->store_path, "seq %" PRIu64 " has no previous comparable snapshot%s",
                 b->seq, b->group == NULL ? ": it has no group" : "");
    return HF_CLI_NOT_FOUND;
  }
  return HF_CLI_DONE;
}

static int get_both(hf_cli *cli, hf_record **ret_a, hf_record **ret_b) {
  char **operands = cli->args.operands;
  if (cli->args.prev) {
    int status = get_one(cli, operands[0], ret_b);
    return status == HF_CLI_DONE ? get_previous(cli, *ret_b, ret_a) : status;
  }
  int status = get_one(cli, operands[0], ret_a);
  return status == HF_CLI_DONE ? get_one(cli, operands[1], ret_b) : status;
}

/* ---- printing ---- */

static int print_patch(hf_cli *cli, const hf_record *a, const hf_record *b) {
  char *text = NULL;
  size_t bytes = 0;
  hf_error err = HF_ERROR_INIT;
  if (hf_diff_patch(a->doc, a->doc_bytes, b->doc, b->doc_bytes, &text, &bytes, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  hf_cli_out(cli, text, bytes);
  hf_cli_out_text(cli, "\n");
  free(text);
  return HF_CLI_DONE;
}

static int print_as_asked(hf_cli *cli, const hf_record *a, const hf_record *b,
                          hf_diff_result *result) {
  const hf_cli_args *args = &cli->args;
  if (args->quiet)
    return HF_CLI_DONE;
  if (args->format != NULL && strcmp(args->format, "patch") == 0)
    return print_patch(cli, a, b);
  if (args->json || (args->format != NULL && strcmp(args->format, "json") == 0))
    return hf_cli_diff_print_json(cli, a, b, result);
  return hf_cli_diff_print_text(cli, a, b, result);
}

/* Not comparable: an error, or with --force a warning. */
static int check_comparable(const hf_cli *cli, const hf_record *a, const hf_record *b,
                            const hf_diff_summary *summary) {
  if (summary->comparable)
    return HF_CLI_DONE;
  if (cli->args.force) {
    hf_cli_warning(cli, NULL, "seq %" PRIu64 " and seq %" PRIu64 " are not comparable: %s", a->seq,
                   b->seq, summary->reason);
    return HF_CLI_DONE;
  }
  if (!cli->args.quiet)
    hf_cli_error(cli, NULL,
                 "seq %" PRIu64 " and seq %" PRIu64
                 " are not comparable: %s; --force compares them all the same",
                 a->seq, b->seq, summary->reason);
  return HF_CLI_CONFLICT;
}

static int compare(hf_cli *cli, const hf_record *a, const hf_record *b) {
  hf_error err = HF_ERROR_INIT;
  hf_diff_options options = {.config = cli->config, .all = cli->args.all};
  hf_diff_result *result = NULL;
  hf_severity limit = HF_SEVERITY_NONE;
  if (hf_diff(a, b, &options, &result, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  int status = check_comparable(cli, a, b, summary);
  if (status == HF_CLI_DONE)
    status = print_as_asked(cli, a, b, result);
  if (status == HF_CLI_DONE && cli->args.fail_on != NULL &&
      hf_severity_by_name(cli->args.fail_on, &limit) && summary->severity >= limit)
    status = HF_CLI_DIFFERS;
  hf_diff_free(&result);
  return status;
}

static int check_use(const hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  int wanted = args->rules ? 0 : args->prev ? 1 : 2;
  if (args->operands_count > wanted)
    return hf_cli_usage(cli, args->operands[wanted], "is one argument too many%s",
                        args->prev ? ": --prev takes one" : "");
  if (args->operands_count < wanted)
    return hf_cli_usage(cli, NULL, "which snapshots? give %s",
                        args->prev ? "one, a seq or RUN:STAGE"
                                   : "two, each a seq or RUN:STAGE, or --prev and one");
  int keys = 0;
  for (int i = 0; i < args->operands_count; i++)
    keys += !is_seq(args->operands[i]);
  if (args->dims_count > 0 && keys == 0)
    return hf_cli_usage(cli, "--dim", "belongs to a RUN:STAGE; a seq names one snapshot by itself");
  if (args->json && args->format != NULL && strcmp(args->format, "json") != 0)
    return hf_cli_usage(cli, "--json", "and --format %s exclude each other", args->format);
  return HF_CLI_DONE;
}

static int run_diff(hf_cli *cli) {
  int status = check_use(cli);
  if (status != HF_CLI_DONE)
    return status;
  if (cli->args.rules)
    return print_rules(cli);
  hf_record *a = NULL, *b = NULL;
  status = hf_cli_need_store(cli);
  if (status == HF_CLI_DONE)
    status = get_both(cli, &a, &b);
  if (status == HF_CLI_DONE)
    status = compare(cli, a, b);
  hf_record_free(&a);
  hf_record_free(&b);
  return status;
}

const hf_cli_command hf_cli_command_diff = {
    .name = "diff",
    .synopsis = "diff A B [--dim N=V]... [--format text|json|patch] [--fail-on "
                "critical|major|minor] [--all] [--force]\n"
                "diff --prev A [--dim N=V]... [--format text|json|patch] [--fail-on "
                "critical|major|minor] [--all]\n"
                "diff --rules",
    .summary = "what changed between two snapshots",
    .details =
        "Tells what changed from A to B, or from the previous comparable snapshot to A: each value "
        "that was added (+), removed (-) or changed (~), with its JSON Pointer, grouped by inputs, "
        "process, outputs and what is left, and for numbers the difference and the percentage of "
        "the old value. A and B are a seq each, or RUN:STAGE, which is split at the last colon: a "
        "run id may hold colons; a stage that holds one is named by its seq.\n"
        "\n"
        "Numbers are compared exactly, by value, and differ where they are 0.000001 or more apart. "
        "The order of members is no difference, and some lists are sets. What each run has of its "
        "own (run ids, timestamps, paths) is left out. Each change is critical (splits, targets, "
        "the feature set, leakage, time ranges), major (hyperparameters, versions, sampling), "
        "minor "
        "(metrics) or none. All of that are rules: \"compare\" in the configuration adds to them, "
        "and --rules prints them.\n"
        "\n"
        "Comparable are snapshots of the same group, stage and dims, and of different runs. Others "
        "are refused with the reason and exit status 4, unless --force is given. Exit status 0 "
        "otherwise, also where something changed, but for --fail-on: 7. With --quiet only the exit "
        "status tells.\n"
        "\n"
        "patch is a JSON Patch (RFC 6902): applied to A's document it gives B's, whatever the "
        "rules "
        "say. In text long values are cut in the middle, never in json and patch.",
    .examples = "holdfast diff --prev nightly-3:final\n"
                "holdfast diff 41 42 --format json\n"
                "holdfast diff --prev 42 --fail-on major --quiet || echo 'look at it'\n"
                "holdfast diff 41 42 --format patch >changes.json",
    .options = diff_options,
    .options_count = HF_CLI_COUNT(diff_options),
    .operands_min = 0,
    .operands_max = 2,
    .run = run_diff,
};
