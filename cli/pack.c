#include <inttypes.h>
#include <string.h>

#include <holdfast/admin.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "store.h"

static void print_report(hf_cli *cli, const hf_pack_report *report) {
  if (!cli->args.json) {
    hf_cli_out_format(cli, "packed: %" PRIu64 "\ntiles: %" PRIu64 "\nhead: %" PRIu64 "\n",
                      report->packed, report->tiles, report->head);
    hf_cli_out_format(cli, "leftovers removed: %" PRIu64 "\nindexed: %" PRIu64 "\n", report->freed,
                      report->indexed);
    return;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_number(&json, "packed", report->packed);
  hf_cli_json_number(&json, "tiles", report->tiles);
  hf_cli_json_number(&json, "head", report->head);
  hf_cli_json_number(&json, "freed", report->freed);
  hf_cli_json_number(&json, "indexed", report->indexed);
  hf_cli_json_end(&json);
}

static int run_pack(hf_cli *cli) {
  if (cli->args.operands_count > 0) {
    if (cli->args.store != NULL)
      return hf_cli_usage(cli, "--store", "leave it out where STORE is given");
    cli->args.store = cli->args.operands[0];
  }
  int status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_pack_options options = {.progress = hf_cli_progress};
  hf_pack_report report = {0};
  hf_error err = HF_ERROR_INIT;
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  int rc = hf_pack(cli->store, &options, &report, &err);
  hf_cli_progress_clear();
  if (rc != HF_OK && report.packed == 0 && report.freed == 0 && report.indexed == 0)
    return hf_cli_library_error(cli, NULL, &err);
  print_report(cli, &report);
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path,
                         "stopped by a signal; what was packed and indexed stays, and the same "
                         "command goes on from there");
  return rc == HF_OK ? HF_CLI_DONE : hf_cli_library_error(cli, NULL, &err);
}

const hf_cli_command hf_cli_command_pack = {
    .name = "pack",
    .synopsis = "pack [STORE]",
    .summary = "pack records into tiles",
    .details =
        "Puts every 256 consecutive records that still have files of their own into one file, a "
        "tile: a store of many records is then opened and read quicker, and has few files. No "
        "record and no answer changes; others may save, read and pack meanwhile. Programs that "
        "save pack by themselves, unless the configuration says \"packing\": {\"automatic\": "
        "false}; this command packs what they have left: after an import, or from before.\n"
        "\n"
        "Prints how many tiles were packed now, how many there are, the head, and how many files "
        "of a killed packer were removed, and how many tiles got an index now: all that had none, "
        "so "
        "index/ may be removed, and is made anew. With --json: "
        "packed, tiles, head, freed, indexed. Stopped or "
        "killed at any instant it leaves a correct store; the same command goes on from there.",
    .examples = "holdfast pack\n"
                "holdfast --json pack /data/runs",
    .options = NULL,
    .options_count = 0,
    .operands_min = 0,
    .operands_max = 1,
    .run = run_pack,
};
