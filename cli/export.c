#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "export_job.h"
#include "options.h"
#include "outfile.h"
#include "output.h"
#include "progress.h"
#include "store.h"

static const hf_cli_option export_options[] = {
    HF_CLI_OPT_CHOICE("format", format, "csv|jsonl|index|sqlite|parquet",
                      "csv: the envelopes; jsonl: envelope and document a line, every revision; "
                      "index: the older run_id:stage form; sqlite: a database with a view for each "
                      "stage; parquet: a column for each value"),
    HF_CLI_OPT_TEXT("out", out, "FILE", 0,
                    "where to; the file appears whole or not at all (- or nothing: standard "
                    "output)"),
    HF_CLI_OPT_NUMBER("at", at, "N",
                      "as of seq N, whatever was saved later (the head when it begins)"),
    HF_CLI_OPT_RUN_ID("only this run"),
    HF_CLI_OPT_STAGE("only this stage"),
    HF_CLI_OPT_GROUP("only this group"),
    HF_CLI_OPT_DIM("only snapshots that have this dim, whatever others they have"),
    HF_CLI_OPT_NUMBER("since", since, "N", "from seq N on"),
    HF_CLI_OPT_NUMBER("until", until, "N",
                      "up to seq N; revisions are those that were current then"),
    HF_CLI_OPT_FLAG("force", force,
                    "write FILE even where records are damaged: what is left (status 1 all the "
                    "same)"),
};

typedef enum export_kind { EXPORT_BY_LIBRARY, EXPORT_SQLITE, EXPORT_PARQUET } export_kind;

static export_kind chosen_kind(const char *format) {
  if (strcmp(format, "sqlite") == 0)
    return EXPORT_SQLITE;
  return strcmp(format, "parquet") == 0 ? EXPORT_PARQUET : EXPORT_BY_LIBRARY;
}

static hf_export_format chosen_format(const char *format) {
  if (strcmp(format, "index") == 0)
    return HF_EXPORT_INDEX;
  return strcmp(format, "csv") == 0 ? HF_EXPORT_CSV : HF_EXPORT_JSONL;
}

/* ---- where to ---- */

static int write_stdout(void *context, const char *bytes, size_t count) {
  hf_cli *cli = context;
  hf_cli_out(cli, bytes, count);
  errno = cli->out_errno;
  return cli->out_errno != 0;
}

static int write_file(void *context, const char *bytes, size_t count) {
  hf_cli_outfile *file = context;
  return fwrite(bytes, 1, count, file->stream) != count;
}

static int has_file(const hf_cli *cli) {
  return cli->args.out != NULL && strcmp(cli->args.out, "-") != 0;
}

/* ---- the snapshots that are asked for, as of one seq ---- */

static int chosen_snapshots(hf_cli *cli, hf_cli_export_job *job) {
  const hf_cli_args *args = &cli->args;
  hf_error err = HF_ERROR_INIT;
  uint64_t head = 0;
  if (hf_head(cli->store, &head, &err) != HF_OK)
    return hf_cli_library_error(cli, NULL, &err);
  if (args->at.given && args->at.value > head) {
    hf_cli_error(cli, "--at", "seq %" PRIu64 " is not there yet: the highest one is %" PRIu64,
                 args->at.value, head);
    return HF_CLI_NOT_FOUND;
  }
  job->cli = cli;
  job->at = args->at.given ? args->at.value : head;
  if (args->until.given && args->until.value < job->at)
    job->at = args->until.value;
  job->list = (hf_list_options){
      .run_id = args->run_id,
      .stage = args->stage,
      .group = args->group,
      .dims = args->dims,
      .dims_count = args->dims_count,
      .since = job->at > 0 ? args->since.value : UINT64_MAX, /* 0 would mean no bound */
      .until = job->at,
  };
  return HF_CLI_DONE;
}

/* ---- writing ---- */

static int by_library(hf_cli_export_job *job, hf_write_fn write, void *write_context) {
  hf_cli *cli = job->cli;
  hf_error err = HF_ERROR_INIT;
  hf_export_options options = {.format = chosen_format(cli->args.format),
                               .progress = hf_cli_progress,
                               .list = &job->list,
                               .ret_dropped = &job->left_out};
  int rc = hf_export(cli->store, &options, write, write_context, &job->count, &err);
  if (rc == HF_OK)
    return HF_CLI_DONE;
  if (rc == HF_ECANCELLED)
    return hf_cli_failed(cli, cli->store_path, "stopped by a signal");
  if (rc == HF_EDAMAGED) {
    job->damaged = 1; /* at least; the error has the number */
    job->first_damage = err;
    return HF_CLI_DONE;
  }
  if (cli->out_errno != 0) /* that stdout failed is told at the end */
    return HF_CLI_FAILED;
  return hf_cli_library_error(cli, rc == HF_EIO && has_file(cli) ? cli->args.out : NULL, &err);
}

/* Says what was left out. Where a file is asked for, it is not written then, unless --force. */
static int tell_damage(const hf_cli_export_job *job, int is_counted) {
  const hf_cli *cli = job->cli;
  const hf_error *first = &job->first_damage;
  const char *place = first->place[0] != '\0' ? first->place : cli->store_path;
  const char *end = has_file(cli) && !cli->args.force
                        ? "; nothing is written: repair the store (holdfast verify --repair), or "
                          "take what is left (--force)"
                        : "";
  if (is_counted)
    return hf_cli_failed(cli, place,
                         "%" PRIu64 " record%s left out, all others are %s; the first: %s%s",
                         job->damaged, job->damaged == 1 ? " is" : "s are",
                         end[0] != '\0' ? "intact" : "written", first->message, end);
  return hf_cli_failed(cli, place, "%s%s", first->message, end);
}

static int write_all(hf_cli_export_job *job, export_kind kind, hf_cli_outfile *file) {
  hf_write_fn write = file != NULL ? write_file : write_stdout;
  void *context = file != NULL ? (void *)file : job->cli;
  int status = HF_CLI_DONE;
  switch (kind) {
  case EXPORT_BY_LIBRARY:
    status = by_library(job, write, context);
    break;
  case EXPORT_PARQUET:
    status = hf_cli_export_parquet(job, write, context);
    break;
  case EXPORT_SQLITE:
    status = hf_cli_export_sqlite(job, file->temporary);
    break;
  }
  hf_cli_progress_clear();
  if (status == HF_CLI_DONE && job->dropped > 0)
    hf_cli_warning(job->cli, NULL,
                   "%" PRIu64 " snapshots have no document any more: theirs is null", job->dropped);
  if (status == HF_CLI_DONE && job->left_out > 0)
    hf_cli_warning(job->cli, job->cli->store_path,
                   "%" PRIu64 " snapshot%s left out: gc has dropped the document%s", job->left_out,
                   job->left_out == 1 ? " is" : "s are", job->left_out == 1 ? "" : "s");
  if (status == HF_CLI_DONE && job->damaged > 0)
    status = tell_damage(job, kind != EXPORT_BY_LIBRARY);
  return status;
}

/* An SQLite that was opened in place of this one may have left changes beside it, which would be
 * taken for changes of the new file. */
static int check_beside(const hf_cli *cli, const hf_cli_outfile *file) {
  static const char *const ends[] = {"-wal", "-journal"};
  if (file->temporary == NULL)
    return hf_cli_failed(cli, cli->args.out, "is no regular file: SQLite cannot write there");
  for (size_t i = 0; i < HF_CLI_COUNT(ends); i++) {
    char path[4096];
    int bytes = snprintf(path, sizeof path, "%s%s", file->path, ends[i]);
    if (bytes < 0 || (size_t)bytes >= sizeof path)
      return hf_cli_failed(cli, cli->args.out, "the name is too long");
    if (access(path, F_OK) == 0)
      return hf_cli_failed(cli, path,
                           "is there: the database is in use, or was not closed in order; close "
                           "it, or give another name");
  }
  return HF_CLI_DONE;
}

static int to_file(hf_cli_export_job *job, export_kind kind) {
  hf_cli *cli = job->cli;
  hf_cli_outfile file;
  int status = hf_cli_outfile_open(cli, cli->args.out, &file);
  if (status == HF_CLI_DONE && kind == EXPORT_SQLITE)
    status = check_beside(cli, &file);
  if (status == HF_CLI_DONE) {
    hf_cli_progress_start(cli);
    status = write_all(job, kind, &file);
    int take = status == HF_CLI_DONE || (job->damaged > 0 && cli->args.force);
    int committed = take ? hf_cli_outfile_commit(cli, &file) : status;
    status = status == HF_CLI_DONE ? committed : status;
  }
  hf_cli_outfile_close(&file);
  return status;
}

/* ---- the command ---- */

static int check_args(const hf_cli *cli, export_kind kind) {
  const hf_cli_args *args = &cli->args;
  if (kind == EXPORT_SQLITE && !hf_cli_has_sqlite())
    return hf_cli_usage(cli, "--format",
                        "this program was built without SQLite: build it anew where "
                        "libsqlite3-dev is installed, or choose another format");
  if (kind == EXPORT_SQLITE && !has_file(cli))
    return hf_cli_usage(cli, "--format", "sqlite is a database, not a stream: give --out FILE");
  if (kind == EXPORT_PARQUET && !has_file(cli) && isatty(STDOUT_FILENO) == 1)
    return hf_cli_usage(cli, "--format", "parquet is nothing for a terminal: give --out FILE");
  if (args->json && !has_file(cli))
    return hf_cli_usage(cli, "--json", "tells about an export to a file: give --out FILE");
  if (args->force && !has_file(cli))
    return hf_cli_usage(cli, "--force", "is about a file: give --out FILE");
  return HF_CLI_DONE;
}

static int run_export(hf_cli *cli) {
  const hf_cli_args *args = &cli->args;
  if (args->format == NULL)
    return hf_cli_usage(cli, "--format", "is missing");
  export_kind kind = chosen_kind(args->format);
  hf_cli_export_job job = {.cli = cli};
  int status = check_args(cli, kind);
  if (status == HF_CLI_DONE)
    status = hf_cli_need_store(cli);
  if (status == HF_CLI_DONE)
    status = chosen_snapshots(cli, &job);
  if (status != HF_CLI_DONE)
    return status;
  hf_cli_signals_catch();
  if (!has_file(cli))
    return write_all(&job, kind, NULL);
  status = to_file(&job, kind);
  if (status != HF_CLI_DONE)
    return status;
  if (!args->json) {
    hf_cli_out_format(cli, "exported: %" PRIu64 "\n", job.count);
    return HF_CLI_DONE;
  }
  hf_cli_json json;
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "format", args->format);
  hf_cli_json_number(&json, "exported", job.count);
  hf_cli_json_number(&json, "at", job.at);
  if (job.left_out > 0)
    hf_cli_json_number(&json, "dropped", job.left_out);
  hf_cli_json_text(&json, "out", args->out);
  hf_cli_json_end(&json);
  return HF_CLI_DONE;
}

const hf_cli_command hf_cli_command_export = {
    .name = "export",
    .synopsis = "export --format csv|jsonl|index|sqlite|parquet [--out FILE] [--at N] [--run-id R] "
                "[--stage S] [--group G] [--dim N=V]... [--since N] [--until N] [--force]",
    .summary = "export snapshots",
    .details =
        "Writes the snapshots to FILE or to standard output, all as of one seq: that of --at, else "
        "the head when it begins. Writers at work meanwhile change nothing: the same --at gives "
        "the same bytes (sqlite: the same rows).\n"
        "\n"
        "csv (RFC 4180) has the envelopes of the current revisions. jsonl has every revision, "
        "envelope and document as one object a line. index is the form of the older program's "
        "snapshot_index.json, with the current revisions; import gives the same snapshots back in "
        "the same order.\n"
        "\n"
        "sqlite and parquet have every revision, a row each: seq, run_id, stage, dims, group, ts, "
        "at, host, pid, id, sha256, size, current, doc. Each number, string, true or false within "
        "the documents (not within arrays) becomes a column besides, named by its JSON Pointer, "
        "like \"/metrics/auc\": up to 500, those that most snapshots have. A column is of "
        "integers, doubles or booleans only where that loses nothing; doc has the document as it "
        "was saved. In the SQLite file these columns are in views, one for each stage, with its "
        "name; its tables stages and columns tell which. sqlite needs --out.\n"
        "\n"
        "Records that cannot be read are told and counted, with status 1; what is left goes to "
        "standard output all the same, but to FILE only with --force.\n"
        "\n"
        "With --out prints how many were exported; with --json: format, exported, at, out; and "
        "dropped, where jsonl or index leaves out snapshots whose documents gc has dropped.",
    .examples = "holdfast export --format jsonl --out runs.jsonl\n"
                "holdfast export --format csv | column -s, -t\n"
                "holdfast export --format sqlite --out runs.db\n"
                "sqlite3 runs.db 'SELECT run_id, \"/metrics/auc\" FROM final WHERE current'\n"
                "holdfast export --format parquet --stage final --out final.parquet",
    .options = export_options,
    .options_count = HF_CLI_COUNT(export_options),
    .operands_min = 0,
    .operands_max = 0,
    .run = run_export,
};
