#include "doctor_peer.h"

#include <stdio.h>

#include "errors.h"
#include "output.h"
#include "progress.h"

enum { PEERS_USUAL = 2 };

int hf_cli_doctor_peer_usage(const hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  if (!args->peer && (args->peers.given || args->record || args->timeout_ms >= 0))
    return hf_cli_usage(cli,
                        args->peers.given ? "--peers"
                        : args->record    ? "--record"
                                          : "--timeout",
                        "goes with --peer");
  if (args->peers.given && (args->peers.value < 2 || args->peers.value > HF_PEERS_MAX))
    return hf_cli_usage(cli, "--peers", "wants 2 to %d", HF_PEERS_MAX);
  return HF_CLI_DONE;
}

const char *hf_cli_verdict_name(hf_verdict verdict) {
  switch (verdict) {
  case HF_VERDICT_GOOD:
    return "good";
  case HF_VERDICT_CAUTION:
    return "caution";
  case HF_VERDICT_BAD:
    return "bad";
  }
  return "bad";
}

static void say_waiting(const hf_cli *cli, const char *path, unsigned peers) {
  if (!cli->args.quiet)
    fprintf(stderr,
            "holdfast: doctor: waiting for %u more: run the same on the other host%s, on %s "
            "as it is seen there\n",
            peers - 1, peers > 2 ? "s" : "", path);
}

static void print_result(hf_cli *cli, const char *path, const hf_peer_result *result) {
  if (!cli->args.json) {
    hf_cli_out_format(cli, "%-8s ", hf_cli_verdict_name(result->verdict));
    hf_cli_out_visible(cli, result->text);
    hf_cli_out_text(cli, "\n");
    return;
  }
  hf_cli_json json = {cli, 1};
  hf_cli_out_text(cli, "]");
  hf_cli_json_text(&json, "path", path);
  hf_cli_json_name(&json, "peer");
  hf_cli_out_text(cli, result->json);
  hf_cli_json_text(&json, "text", result->text);
  hf_cli_json_text(&json, "verdict", hf_cli_verdict_name(result->verdict));
  hf_cli_json_end(&json);
}

/* Nothing is printed before the verdict is there, so that an error leaves stdout empty. */
int hf_cli_doctor_peer(hf_cli *cli, const char *path, hf_check_fn check, void *check_context) {
  const hf_cli_args *args = &cli->args;
  hf_error err = HF_ERROR_INIT;
  hf_peer_result result;
  hf_peer_options options = {
      .peers = args->peers.given ? (unsigned)args->peers.value : PEERS_USUAL,
      .timeout_ms = args->timeout_ms,
      .record = args->record,
      .config = cli->config,
      .check = check,
      .check_context = check_context,
      .progress = hf_cli_progress,
      .log = hf_cli_log,
      .log_context = cli,
  };
  say_waiting(cli, path, options.peers);
  hf_cli_signals_catch();
  hf_cli_progress_start(cli);
  int rc = hf_doctor_peer(path, &options, &result, &err);
  hf_cli_progress_clear();
  if (rc != HF_OK)
    return hf_cli_library_error(cli, path, &err);
  print_result(cli, path, &result);
  return result.safe && result.verdict != HF_VERDICT_BAD ? HF_CLI_DONE : HF_CLI_FAILED;
}
