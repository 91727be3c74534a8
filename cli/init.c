#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "store.h"

static const hf_cli_option init_options[] = {
    HF_CLI_OPT_TEXT("locker", locker, "LOCKER", 0,
                    "what makes writers take turns: flock or none, or auto (the default): by the "
                    "type of the filesystem and the configuration"),
    HF_CLI_OPT_CHOICE("mode", mode, "journal|publish",
                      "how records are committed: journal (the default for flock on a local "
                      "filesystem) appends to one file, publish makes a file a commit"),
    HF_CLI_OPT_FLAG("force", force,
                    "also where the filesystem is not known to be local and no result of holdfast "
                    "doctor --peer --record allows it"),
};

static void print_info(hf_cli *cli, const hf_info *info, const char *caution) {
  if (!cli->args.json) {
    hf_cli_out_format(cli, "uuid %s\nfilesystem %s\nlocker %s\nmode %s\n", info->uuid,
                      info->fs.acting_type, info->locker, info->mode);
    return;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "uuid", info->uuid);
  hf_cli_json_text(&json, "path", info->path);
  hf_cli_json_text(&json, "filesystem", info->fs.acting_type);
  hf_cli_json_text(&json, "locker", info->locker);
  hf_cli_json_text(&json, "mode", info->mode);
  hf_cli_json_text(&json, "publish", info->publish);
  hf_cli_json_text(&json, "created", info->created);
  hf_cli_json_bool(&json, "forced", info->forced);
  hf_cli_json_name(&json, "peer");
  hf_cli_out_text(cli, info->peer[0] != '\0' ? info->peer : "null");
  hf_cli_json_text(&json, "caution", caution);
  hf_cli_json_end(&json);
}

static int run_init(hf_cli *cli) {
  const char *named = cli->args.store;
  const char *path = cli->args.operands_count > 0 ? cli->args.operands[0] : named;
  if (cli->args.operands_count > 0 && named != NULL)
    return hf_cli_usage(cli, "--store", "leave it out where DIR is given");
  if (path == NULL)
    path = hf_cli_named_store(cli);
  if (path == NULL)
    path = ".";
  if (path[0] == '\0')
    return hf_cli_usage(cli, "DIR", "is empty");
  int status = hf_cli_need_config(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_error err = HF_ERROR_INIT;
  hf_info info = {0};
  hf_init_options options = {.config = cli->config,
                             .locker = cli->args.locker,
                             .mode = cli->args.mode,
                             .force = cli->args.force};
  if (hf_init(path, &options, &info, &err) != HF_OK)
    return hf_cli_library_error(cli, path, &err);
  const char *caution = hf_fs_locker_caution(&info.fs, info.locker);
  if (caution != NULL)
    hf_cli_warning(cli, path, "%s", caution);
  if (info.forced)
    hf_cli_warning(cli, path,
                   "made with --force: nothing shows that a store is safe on this filesystem; "
                   "holdfast doctor --peer --record, on two hosts at once, would");
  print_info(cli, &info, caution);
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_init = {
    .name = "init",
    .synopsis = "init [DIR] [--locker auto|flock|redis|none] [--mode journal|publish] [--force]",
    .summary = "make a store",
    .details =
        "Makes a store in DIR: a folder that is empty, or that does not exist yet (its parents are "
        "made as well). Without DIR: the folder of --store or HOLDFAST_STORE, else the folder that "
        "you are in. A store that exists is an error, and stays as it is.\n"
        "\n"
        "On a filesystem that is not known to be local (every network filesystem, every FUSE, what "
        "is unknown) it asks for proof: the result of holdfast doctor DIR --peer --record, which "
        "two hosts or more run at once on this folder, must be there and allow the locker. "
        "--force makes the store without; the manifest keeps that.\n"
        "\n"
        "With flock on a local filesystem new stores are in journal mode, which is several times "
        "as quick; holdfast locker set flock --mode publish changes that at any time.\n"
        "\n"
        "Prints the store's uuid, the type of its filesystem, its locker and its mode. With "
        "--json: uuid, path, filesystem, locker, mode, publish (link or rename), created, forced, "
        "peer (what doctor recorded, or null), caution (or null).",
    .examples = "holdfast init /data/runs\n"
                "holdfast init --locker flock .",
    .options = init_options,
    .options_count = HF_CLI_COUNT(init_options),
    .operands_min = 0,
    .operands_max = 1,
    .run = run_init,
};
