#include <holdfast/stats.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "errors.h"
#include "options.h"
#include "outfile.h"
#include "output.h"
#include "progress.h"
#include "stats_print.h"
#include "store.h"

static const hf_cli_option stats_options[] = {
    HF_CLI_OPT_CHOICE("format", format, "text|json|prometheus", "text is the default"),
    HF_CLI_OPT_TEXT("out", out, "FILE", 0,
                    "write to FILE, which appears whole or not at all, instead of to standard "
                    "output"),
};

typedef enum stats_format { STATS_TEXT, STATS_JSON, STATS_PROMETHEUS } stats_format;

static int choose_format(const hf_cli *cli, stats_format *ret_format) {
  const char *format = cli->args.format;
  int is_json = format != NULL && strcmp(format, "json") == 0;
  if (cli->args.json && format != NULL && !is_json)
    return hf_cli_usage(cli, "--json", "and --format %s exclude each other", format);
  *ret_format = is_json || cli->args.json                             ? STATS_JSON
                : format != NULL && strcmp(format, "prometheus") == 0 ? STATS_PROMETHEUS
                                                                      : STATS_TEXT;
  return HF_CLI_DONE;
}

static void print(FILE *to, stats_format format, const hf_info *info, const hf_store_stats *stats,
                  const hf_writer_stats *writers) {
  switch (format) {
  case STATS_TEXT:
    hf_cli_stats_text(to, info, stats, writers);
    break;
  case STATS_JSON:
    hf_cli_stats_json(to, info, stats, writers);
    break;
  case STATS_PROMETHEUS:
    hf_cli_stats_prometheus(to, info, stats, writers);
    break;
  }
}

static int print_to_file(hf_cli *cli, stats_format format, const hf_info *info,
                         const hf_store_stats *stats, const hf_writer_stats *writers) {
  hf_cli_outfile file;
  int status = hf_cli_outfile_open(cli, cli->args.out, &file);
  if (status == HF_CLI_DONE) {
    print(file.stream, format, info, stats, writers);
    status = hf_cli_outfile_commit(cli, &file);
  }
  hf_cli_outfile_close(&file);
  return status;
}

static int print_to_stdout(hf_cli *cli, stats_format format, const hf_info *info,
                           const hf_store_stats *stats, const hf_writer_stats *writers) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *to = open_memstream(&text, &bytes);
  if (to == NULL)
    return hf_cli_no_memory(cli);
  print(to, format, info, stats, writers);
  int failed = ferror(to);
  if (fclose(to) != 0 || failed) {
    free(text);
    return hf_cli_no_memory(cli);
  }
  hf_cli_out(cli, text, bytes);
  free(text);
  return HF_CLI_DONE;
}

static int run_stats(hf_cli *cli) {
  stats_format format = STATS_TEXT;
  int status = choose_format(cli, &format);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  hf_stats_options options = {.progress = hf_cli_progress};
  hf_store_stats stats;
  hf_writer_stats *writers = NULL;
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  int rc = hf_get_store_stats(cli->store, &options, &stats, &err);
  if (rc == HF_OK)
    rc = hf_store_info(cli->store, &info, &err);
  if (rc == HF_OK)
    rc = hf_get_writer_stats(cli->store, &writers, &err);
  hf_cli_progress_clear();
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path, "stopped by a signal; nothing was written");
  if (rc != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (stats.counter_error[0] != '\0')
    hf_cli_warning(cli, NULL, "repairs of the locker's counter are not known: %s",
                   stats.counter_error);
  status = cli->args.out != NULL ? print_to_file(cli, format, &info, &stats, writers)
                                 : print_to_stdout(cli, format, &info, &stats, writers);
  hf_writer_stats_free(&writers);
  return status;
}

const hf_cli_command hf_cli_command_stats = {
    .name = "stats",
    .synopsis = "stats [--format text|json|prometheus] [--out FILE]",
    .summary = "count records, runs, sizes and rates",
    .details =
        "Tells how many records there are (by op), snapshots (and how many are current), runs, "
        "groups and stages; how much room the store takes, and how much is free; how many "
        "snapshots were saved within the last minute, hour and day (by \"at\"); when the last one "
        "was; and, with a locker that counts (redis), how often its counter had to be repaired. "
        "Documents are not read, no lock is taken, writers are not disturbed.\n"
        "\n"
        "json (or --json) is one object. prometheus is the text format of node_exporter's textfile "
        "collector: with --out the file is replaced as a whole, so the collector never sees half "
        "of "
        "it. Names begin with holdfast_, units are bytes and seconds, and the label store is the "
        "store's uuid.\n"
        "\n"
        "How long writers waited for the lock, how often another one had taken their number first, "
        "what they saved and flushed, in all and by host, is what they have counted themselves: "
        "each adds it to a file of its host in stats/ behind its first save, every 5 s at most, "
        "and when it ends. One that is killed loses what it had not added yet. \"stats\": "
        "{\"writers\": false} in the configuration makes a host's writers keep it to "
        "themselves.",
    .examples = "holdfast stats\n"
                "holdfast stats --format prometheus --out /var/lib/node_exporter/holdfast.prom",
    .options = stats_options,
    .options_count = HF_CLI_COUNT(stats_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_stats,
};
