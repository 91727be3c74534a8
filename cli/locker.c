#include <inttypes.h>
#include <string.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option locker_options[] = {
    HF_CLI_OPT_CHOICE("mode", mode, "journal|publish",
                      "how records are committed; without it as before, where the locker allows "
                      "it"),
    HF_CLI_OPT_FLAG("force", force,
                    "set it although it is not safe here, or the present one is away"),
    HF_CLI_OPT_TIMEOUT,
};

static int show(hf_cli *cli) {
  hf_locker_choice choice;
  hf_error err = HF_ERROR_INIT;
  if (hf_get_locker(cli->store, &choice, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (cli->args.json) {
    hf_cli_json json;
    hf_cli_json_begin(&json, cli);
    hf_cli_json_text(&json, "locker", choice.scheme);
    hf_cli_json_text(&json, "mode", choice.mode);
    hf_cli_json_number(&json, "seq", choice.seq);
    hf_cli_json_text(&json, "manifest", choice.manifest);
    hf_cli_json_end(&json);
    return HF_CLI_DONE;
  }
  hf_cli_out_text(cli, choice.scheme);
  if (strcmp(choice.mode, "publish") != 0)
    hf_cli_out_format(cli, ", %s mode", choice.mode);
  if (choice.seq != 0)
    hf_cli_out_format(cli, ", since seq %" PRIu64, choice.seq);
  if (strcmp(choice.scheme, choice.manifest) != 0)
    hf_cli_out_format(cli, " (the manifest still says %s; the log decides)", choice.manifest);
  hf_cli_out_text(cli, "\n");
  return HF_CLI_DONE;
}

static int set(hf_cli *cli) {
  const char *scheme = cli->args.operands[1];
  hf_set_locker_options options = {
      .timeout_ms = cli->args.timeout_ms, .force = cli->args.force, .mode = cli->args.mode};
  hf_error err = HF_ERROR_INIT;
  uint64_t seq = 0;
  int changed = hf_set_locker(cli->store, scheme, &options, &seq, &err);
  if (changed < 0)
    return hf_cli_library_error(cli, NULL, &err);
  if (cli->args.json) {
    hf_cli_json json;
    hf_cli_json_begin(&json, cli);
    hf_cli_json_text(&json, "locker", scheme);
    hf_cli_json_bool(&json, "changed", changed);
    hf_cli_json_number(&json, "seq", seq);
    hf_cli_json_end(&json);
  } else if (changed) {
    hf_cli_out_format(cli, "%s, since seq %" PRIu64 "\n", scheme, seq);
  } else {
    hf_cli_out_format(cli, "%s already\n", scheme);
  }
  return HF_CLI_DONE;
}

static int run_locker(hf_cli *cli) {
  int count = cli->args.operands_count;
  const char *what = count > 0 ? cli->args.operands[0] : "show";
  int sets = strcmp(what, "set") == 0;
  if (!sets && strcmp(what, "show") != 0)
    return hf_cli_usage(cli, NULL, "\"%.80s\" is neither show nor set", what);
  if (sets && count != 2)
    return hf_cli_usage(cli, NULL, "give one locker: locker set flock, redis or none");
  if (!sets && (count > 1 || cli->args.force || cli->args.mode != NULL))
    return hf_cli_usage(cli, NULL, "show takes nothing");
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  return sets ? set(cli) : show(cli);
}

const hf_cli_command hf_cli_command_locker = {
    .name = "locker",
    .synopsis = "locker [show]\n"
                "locker set flock|redis|none [--mode journal|publish] [--force] [--timeout "
                "DURATION]",
    .summary = "which locker the store has; give it another",
    .details =
        "show prints the locker that makes the store's writers take turns, and the seq of the "
        "record that chose it, if it was changed, and how records are committed. With --json: "
        "locker, "
        "mode, seq (0: the store was made "
        "with it), manifest.\n"
        "\n"
        "set gives the store another one, with writers at work: by a record in the log that is "
        "committed like a save. Whoever saves next reads it and takes turns with the new locker. "
        "Nothing is lost, whoever has not noticed yet. Prints the record's seq, or that the store "
        "has that locker already. It is tried first whether the new one can be had from here; one "
        "that cannot is not set. Clients that have not configured it, or whose configuration names "
        "another one for that filesystem, are refused from then on (exit status 2) and save "
        "nothing until that is changed. With --json: locker, changed, seq.\n"
        "\n"
        "--mode journal appends records to one file, and many writers share a flush: the fastest "
        "on "
        "one machine. It is for flock on a local filesystem. --mode publish, which every other "
        "store has, gives each commit a file of its own, so that the storage itself decides.\n"
        "\n"
        "--force sets flock on a filesystem that is not known to be local, and changes the locker "
        "without the present one's lock where that cannot be had any more: safe, for the storage "
        "decides.",
    .examples = "holdfast locker\n"
                "holdfast locker set flock --mode journal\n"
                "holdfast locker set redis",
    .options = locker_options,
    .options_count = HF_CLI_COUNT(locker_options),
    .operands_min = 0,
    .operands_max = 2,
    .run = run_locker,
};
