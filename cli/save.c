#include "save.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <holdfast/stats.h>

#include "errors.h"
#include "input.h"
#include "options.h"
#include "output.h"
#include "store.h"

enum { NOTE_BYTES = 400 };

static const hf_cli_option save_options[] = {
    HF_CLI_OPT_RUN_ID("the run"),
    HF_CLI_OPT_STAGE("the stage of the run"),
    HF_CLI_OPT_DIM("a dim of the key (target, view, symbol ...); up to 16"),
    HF_CLI_OPT_GROUP("what makes runs comparable; without it, the SHA-256 of the canonical JSON of "
                     "the document's /comparison_group, if it has one"),
    HF_CLI_OPT_TEXT("timestamp", timestamp, "T", HF_TIMESTAMP_BYTES_MAX,
                    "the snapshot's own time (RFC 3339, or as Python's isoformat prints it); "
                    "without it, now; empty: it has none"),
    HF_CLI_OPT_FLAG("if-absent", if_absent, "only where the key has no revision yet"),
    HF_CLI_OPT_NUMBER("if-seq", if_seq, "N",
                      "only where the key's current revision has seq N (0: where it has none)"),
    HF_CLI_OPT_TEXT("id", id, "ULID", 0,
                    "the attempt's id: a retry with the same id is answered with the first one's "
                    "seq, whatever came between"),
    HF_CLI_OPT_TIMEOUT,
    HF_CLI_OPT_FLAG("batch", batch, "save JSON lines, each with run_id, stage and doc"),
};

void hf_cli_print_saved(hf_cli *cli, const hf_saved *saved, const hf_key *key) {
  if (!cli->args.json) {
    hf_cli_out_format(cli, "%" PRIu64 "\n", saved->seq);
    return;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_number(&json, "seq", saved->seq);
  hf_cli_json_bool(&json, "created", saved->created);
  hf_cli_json_text(&json, "run_id", key->run_id);
  hf_cli_json_text(&json, "stage", key->stage);
  hf_cli_json_text(&json, "sha256", saved->sha256);
  hf_cli_json_text(&json, "id", saved->id);
  hf_cli_json_end(&json);
}

/* Where in the file the document is wrong. */
static int document_error(const hf_cli *cli, const char *path, hf_error *err) {
  const char *name = hf_cli_input_name(path);
  char place[HF_ERROR_PLACE_BYTES];
  if (err->code != HF_EDOC && err->code != HF_ELIMIT)
    return hf_cli_library_error(cli, NULL, err);
  (void)snprintf(place, sizeof place, "%.200s%s%.200s", name, err->place[0] != '\0' ? ": " : "",
                 err->place);
  (void)snprintf(err->place, sizeof err->place, "%s", place);
  return hf_cli_library_error(cli, name, err);
}

static int save_one(hf_cli *cli, const hf_key *key) {
  const hf_cli_args *args = &cli->args;
  const char *path = args->operands[0];
  char *doc = NULL;
  size_t doc_bytes = 0;
  int status =
      hf_cli_read_document(cli, path, hf_config_document_bytes_max(cli->config), &doc, &doc_bytes);
  if (status != HF_CLI_DONE)
    return status;
  hf_save_request request = {
      .key = *key,
      .group = args->group,
      .timestamp = args->timestamp,
      .doc = doc,
      .doc_bytes = doc_bytes,
      .condition = args->if_absent      ? HF_IF_ABSENT
                   : args->if_seq.given ? HF_IF_SEQ
                                        : HF_ALWAYS,
      .if_seq = args->if_seq.value,
      .id = args->id,
  };
  hf_error err = HF_ERROR_INIT;
  hf_saved saved = {0};
  int rc = hf_save(cli->store, &request, args->timeout_ms, &saved, &err);
  free(doc);
  if (rc != HF_OK)
    return document_error(cli, path, &err);
  (void)snprintf(cli->saved_note, sizeof cli->saved_note, "the snapshot is saved, as seq %" PRIu64,
                 saved.seq);
  hf_cli_print_saved(cli, &saved, key);
  return HF_CLI_DONE;
}

void hf_cli_note_costs(hf_cli *cli) {
  hf_handle_stats stats;
  char text[NOTE_BYTES];
  if (!cli->args.verbose || hf_get_handle_stats(cli->store, &stats, NULL) != HF_OK)
    return;
  (void)snprintf(text, sizeof text,
                 "saved %" PRIu64 ", unchanged %" PRIu64 ", in %" PRIu64 " commits with %" PRIu64
                 " flushes; waited for the lock %" PRIu64
                 " times, %.3f ms in all, %.3f ms at most; "
                 "%" PRIu64 " collisions, %" PRIu64 " repairs of the counter",
                 stats.saves, stats.unchanged, stats.commits, stats.flushes, stats.lock_waits,
                 (double)stats.lock_wait_us / 1000, (double)stats.lock_wait_us_max / 1000,
                 stats.collisions, stats.counter_repairs);
  hf_cli_log(cli, HF_LOG_INFO, text);
}

/* What belongs to one save has no place beside --batch. */
static int check_batch(const hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  const char *other = args->run_id != NULL      ? "--run-id"
                      : args->stage != NULL     ? "--stage"
                      : args->dims_count > 0    ? "--dim"
                      : args->group != NULL     ? "--group"
                      : args->timestamp != NULL ? "--timestamp"
                      : args->if_absent         ? "--if-absent"
                      : args->if_seq.given      ? "--if-seq"
                      : args->id != NULL        ? "--id"
                                                : NULL;
  if (other != NULL)
    return hf_cli_usage(cli, other, "has no place beside --batch: each line says its own");
  return HF_CLI_DONE;
}

static int run_save(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  hf_key key = {0};
  int status = args->batch ? check_batch(cli) : hf_cli_need_key(cli, &key);
  if (status == HF_CLI_DONE && args->if_absent && args->if_seq.given)
    status = hf_cli_usage(cli, "--if-absent", "and --if-seq exclude each other");
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status != HF_CLI_DONE)
    return status;
  status = args->batch ? hf_cli_save_batch(cli) : save_one(cli, &key);
  hf_cli_note_costs(cli);
  return status;
}

const hf_cli_command hf_cli_command_save = {
    .name = "save",
    .synopsis = "save --run-id R --stage S [--dim N=V]... [--group G] [--timestamp T] "
                "[--if-absent | --if-seq N] [--id ULID] [--timeout DURATION] FILE|-\n"
                "save --batch [--timeout DURATION] FILE|-",
    .summary = "save a snapshot, or a batch of them",
    .details =
        "Saves the JSON object in FILE (-: standard input) under the key of run, stage and dims, "
        "and prints its seq once it is durable. The same document and group again as the key's "
        "current revision: prints the seq that it has, and nothing new is saved (asked before "
        "--if-absent and --if-seq). With --json: seq, created, run_id, stage, sha256, id.\n"
        "\n"
        "With --batch every line of FILE is an object with run_id, stage, doc and, if wanted, "
        "dims, group and timestamp. Prints a result a line, in order. A bad line is an error with "
        "its number and stops; the lines before it stay saved. A batch in which no key stands "
        "twice can be saved again from its beginning: what is there gets the seq that it has.\n"
        "\n"
        "With --verbose a note on stderr tells at the end what it cost: commits, flushes, how long "
        "the lock was waited for, collisions with other writers, repairs of the locker's counter.\n"
        "\n"
        "Exit status 4: a condition does not hold, or the attempt with this id was ended; 5: the "
        "lock was not granted in time; in both cases nothing was saved. 6: it is not known whether "
        "the snapshot is saved; the error names the command that settles it.",
    .examples = "holdfast save --run-id nightly-3 --stage final result.json\n"
                "produce | holdfast save --run-id nightly-3 --stage final --if-absent -\n"
                "holdfast --json save --batch runs.jsonl",
    .options = save_options,
    .options_count = HF_CLI_COUNT(save_options),
    .operands_min = 1,
    .operands_max = 1,
    .run = run_save,
};
