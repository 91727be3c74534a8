#include <holdfast/admin.h>

#include "cli.h"
#include "doctor_peer.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "store.h"

enum { NAME_COLUMNS = 17 };

static const hf_cli_option doctor_options[] = {
    HF_CLI_OPT_FLAG("peer", peer,
                    "find the others that run it on this folder now, on other hosts, and prove "
                    "exclusion and visibility to each other"),
    HF_CLI_OPT_NUMBER("peers", peers, "N",
                      "with --peer: how many take part, this one included (2)"),
    HF_CLI_OPT(HF_CLI_DURATION, "timeout", timeout_ms, "DURATION",
               "with --peer: how long to wait for the others (60s)"),
    HF_CLI_OPT_FLAG("record", record,
                    "with --peer: keep the result, in the store's manifest, or in DIR for init"),
};

typedef struct doctor_state {
  hf_cli *cli;
  size_t checks;
} doctor_state;

static void on_check(void *context, const hf_check *check) {
  doctor_state *state = context;
  hf_cli *cli = state->cli;
  hf_cli_progress_clear();
  if (cli->args.json && cli->args.peer && state->checks == 0) /* not before the verdict is there */
    hf_cli_out_text(cli, "{\"checks\":[");
  if (!cli->args.json) {
    hf_cli_out_format(cli, "%-8s %-*s ", hf_cli_verdict_name(check->verdict), NAME_COLUMNS,
                      check->name);
    hf_cli_out_visible(cli, check->text);
    hf_cli_out_text(cli, "\n");
  } else {
    hf_cli_out_text(cli, state->checks > 0 ? "," : "");
    hf_cli_json json = {cli, 0};
    hf_cli_out_text(cli, "{");
    hf_cli_json_text(&json, "name", check->name);
    hf_cli_json_text(&json, "verdict", hf_cli_verdict_name(check->verdict));
    hf_cli_json_text(&json, "text", check->text);
    hf_cli_json_name(&json, "value");
    if (check->unit != NULL && check->unit[0] != '\0')
      hf_cli_out_format(cli, "%.15g", check->value);
    else
      hf_cli_out_text(cli, "null");
    hf_cli_json_text(&json, "unit",
                     check->unit != NULL && check->unit[0] != '\0' ? check->unit : NULL);
    hf_cli_out_text(cli, "}");
  }
  state->checks++;
}

static const char *verdict_text(hf_verdict verdict) {
  switch (verdict) {
  case HF_VERDICT_GOOD:
    return "a store is safe here";
  case HF_VERDICT_CAUTION:
    return "a store works here; read the cautions above";
  case HF_VERDICT_BAD:
    return "do not keep a store here";
  }
  return "";
}

/* DIR, else the store, else the folder that we are in. */
static int choose_path(hf_cli *cli, const char **ret_path) {
  const char *named = cli->args.store;
  if (cli->args.operands_count > 0) {
    if (named != NULL)
      return hf_cli_usage(cli, "--store", "leave it out where DIR is given");
    *ret_path = cli->args.operands[0];
    return HF_CLI_DONE;
  }
  if (hf_cli_named_store(cli) == NULL) {
    hf_error err = HF_ERROR_INIT;
    int found = hf_find_store(".", &cli->store_path, &err);
    if (found < 0)
      return hf_cli_library_error(cli, ".", &err);
    *ret_path = found == 1 ? cli->store_path : ".";
    return HF_CLI_DONE;
  }
  *ret_path = hf_cli_named_store(cli);
  return HF_CLI_DONE;
}

static int run_doctor(hf_cli *cli) {
  const char *path = NULL;
  int status = hf_cli_doctor_peer_usage(cli);
  if (status == HF_CLI_DONE)
    status = choose_path(cli, &path);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_config(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_verdict verdict = HF_VERDICT_BAD;
  doctor_state state = {cli, 0};
  if (cli->args.peer)
    return hf_cli_doctor_peer(cli, path, on_check, &state);
  if (cli->args.json)
    hf_cli_out_text(cli, "{\"checks\":[");
  int rc = hf_doctor(path, cli->config, on_check, &state, &verdict, &err);
  if (rc == HF_OK && !cli->args.json)
    hf_cli_out_format(cli, "%-8s %s\n", hf_cli_verdict_name(verdict), verdict_text(verdict));
  if (cli->args.json) {
    hf_cli_out_text(cli, "],\"path\":");
    hf_cli_json_string(cli, path);
    hf_cli_out_text(cli, ",\"verdict\":");
    if (rc == HF_OK)
      hf_cli_json_string(cli, hf_cli_verdict_name(verdict));
    else
      hf_cli_out_text(cli, "null");
    hf_cli_out_text(cli, "}\n");
  }
  if (rc != HF_OK)
    return hf_cli_library_error(cli, path, &err);
  return verdict == HF_VERDICT_BAD ? HF_CLI_FAILED : HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_doctor = {
    .name = "doctor",
    .synopsis = "doctor [DIR]\n"
                "doctor [DIR] --peer [--peers N] [--timeout DURATION] [--record]",
    .summary = "is a store safe on this filesystem?",
    .details =
        "Tries what a store needs in a scratch folder below DIR (or the store, or the folder that "
        "you are in), and removes it: type and options of the filesystem, link, rename, the cost "
        "of fsync, free space and inodes, clock, permissions, locker. A line a check, good, "
        "caution or bad, and the verdict last. Exit status 1 where something is bad.\n"
        "\n"
        "With --json one object: checks (a list; each with name, verdict, text, value and unit, "
        "both null where nothing was measured), path, verdict.\n"
        "\n"
        "With --peer, run at once on two hosts or more on the same folder: they find each other "
        "through it, race for names, try whether flock and fcntl exclude each other, measure how "
        "late a new name and a new length are seen, compare clocks, and print the same lines and "
        "the same verdict: is a store safe here, with which locker, and why. Processes of one host "
        "prove nothing about several; it says so. What they need lies in DIR/doctor-peer, which "
        "they remove. Exit status 0: a store is safe here with the locker that is named; 1: it is "
        "not, or a peer was lost; 3: nobody came. --record keeps the result: in the manifest of "
        "the store, or as DIR/holdfast.peer.json, which init asks for where the filesystem is not "
        "known to be local. With --json one object: checks, path, peer (what is recorded), text, "
        "verdict.",
    .examples = "holdfast doctor /mnt/shared/runs\n"
                "holdfast doctor /mnt/shared/runs --peer --record",
    .options = doctor_options,
    .options_count = HF_CLI_COUNT(doctor_options),
    .operands_min = 0,
    .operands_max = 1,
    .run = run_doctor,
};
