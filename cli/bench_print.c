#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bench.h"
#include "bench_document.h"
#include "output.h"

enum { LABEL_COLUMNS = 32, CELL_BYTES = 32 };

static const char *const flush_names[HF_CLI_BENCH_FLUSHES] = {
    [HF_CLI_BENCH_FLUSH_FILE] = "file",
    [HF_CLI_BENCH_FLUSH_NAME] = "name",
    [HF_CLI_BENCH_FLUSH_PAGE] = "page",
};
static const char *const flush_labels[HF_CLI_BENCH_FLUSHES] = {
    [HF_CLI_BENCH_FLUSH_FILE] = "a new file",
    [HF_CLI_BENCH_FLUSH_NAME] = "a new name in a folder",
    [HF_CLI_BENCH_FLUSH_PAGE] = "bytes in a file that is there",
};
static const char *const mode_names[HF_CLI_BENCH_MODES] = {
    [HF_CLI_BENCH_JOURNAL] = "journal",
    [HF_CLI_BENCH_PUBLISH] = "publish",
};
static const char *const load_labels[HF_CLI_BENCH_LOADS] = {
    [HF_CLI_BENCH_ONE] = "1 writer",
    [HF_CLI_BENCH_THREADS] = "8 threads",
    [HF_CLI_BENCH_PROCESSES] = "8 processes",
    [HF_CLI_BENCH_BATCHES] = "batches of 256",
};
static const char *const load_kinds[HF_CLI_BENCH_LOADS] = {
    [HF_CLI_BENCH_ONE] = "process",
    [HF_CLI_BENCH_THREADS] = "thread",
    [HF_CLI_BENCH_PROCESSES] = "process",
    [HF_CLI_BENCH_BATCHES] = "batch",
};
static const char *const read_names[HF_CLI_BENCH_READS] = {
    [HF_CLI_BENCH_READ_GET] = "get",
    [HF_CLI_BENCH_READ_PREV] = "prev",
    [HF_CLI_BENCH_READ_OPEN] = "open-prev",
};
static const char *const read_labels[HF_CLI_BENCH_READS] = {
    [HF_CLI_BENCH_READ_GET] = "get, open handle",
    [HF_CLI_BENCH_READ_PREV] = "prev, open handle",
    [HF_CLI_BENCH_READ_OPEN] = "open, prev, close",
};
/* What a writer alone waits for in each mode: journal one flush of bytes in a file that is there,
 * publish one of a new file and one of its name. */
static const int waits_for[HF_CLI_BENCH_MODES][HF_CLI_BENCH_FLUSHES] = {
    [HF_CLI_BENCH_JOURNAL] = {[HF_CLI_BENCH_FLUSH_PAGE] = 1},
    [HF_CLI_BENCH_PUBLISH] = {[HF_CLI_BENCH_FLUSH_FILE] = 1, [HF_CLI_BENCH_FLUSH_NAME] = 1},
};

/* "7.4 us", "230 us", "1.2 ms", "35 ms", "2.1 s". */
static const char *time_text(double us, char text[CELL_BYTES]) {
  const char *unit = us < 1e3 ? "us" : us < 1e6 ? "ms" : "s";
  double value = us < 1e3 ? us : us < 1e6 ? us / 1e3 : us / 1e6;
  (void)snprintf(text, CELL_BYTES, "%.*f %s", value < 9.95 ? 1 : 0, value, unit);
  return text;
}

/* The first mode that was measured, or -1. */
static int first_mode(const hf_cli_bench_result *r) {
  for (int mode = 0; mode < HF_CLI_BENCH_MODES; mode++)
    if (r->has_mode[mode])
      return mode;
  return -1;
}

static double flushes_us(const hf_cli_bench_result *r, int mode) {
  double us = 0;
  for (int kind = 0; kind < HF_CLI_BENCH_FLUSHES; kind++)
    us += waits_for[mode][kind] * r->flush[kind].median_us;
  return us;
}

/* 1: most of a save are its flushes. */
static int flushes_limit(const hf_cli_bench_result *r, int mode) {
  return flushes_us(r, mode) * 2 >= r->saves[mode][HF_CLI_BENCH_ONE].median_us;
}

/* ---- for people ---- */

static void print_heading(hf_cli *cli, const char *label, const char *rate, const char *last) {
  hf_cli_out_format(cli, "\n%-*s %9s %9s %9s%s%s\n", LABEL_COLUMNS, label, rate, "median", "p99",
                    last[0] != '\0' ? " " : "", last);
}

static void print_limit(hf_cli *cli, const hf_cli_bench_result *r) {
  for (int mode = 0; mode < HF_CLI_BENCH_MODES; mode++) {
    char flush[CELL_BYTES];
    char save[CELL_BYTES];
    if (!r->has_mode[mode])
      continue;
    (void)time_text(flushes_us(r, mode), flush);
    (void)time_text(r->saves[mode][HF_CLI_BENCH_ONE].median_us, save);
    hf_cli_out_format(
        cli, "%s mode: a save alone takes %s; its %s %s.\n", mode_names[mode], save,
        mode == HF_CLI_BENCH_JOURNAL ? "flush by itself" : "two flushes by themselves", flush);
    hf_cli_out_format(cli, "  %s\n",
                      flushes_limit(r, mode)
                          ? "The disk limits it: writers that share a flush save more."
                          : "System calls and the processor limit it, more than the disk.");
  }
}

static void print_saves(hf_cli *cli, const hf_cli_bench_result *r) {
  char label[LABEL_COLUMNS + 1];
  char median[CELL_BYTES];
  char p99[CELL_BYTES];
  print_heading(cli, "saves of 2 KB", "saves/s", "flushes/save");
  for (int mode = 0; mode < HF_CLI_BENCH_MODES; mode++) {
    if (!r->has_mode[mode]) {
      hf_cli_out_format(cli, "  %s mode: not with %s on %s\n", mode_names[mode], r->locker,
                        r->fs.acting_type);
      continue;
    }
    for (int load = 0; load < HF_CLI_BENCH_LOADS; load++) {
      const hf_cli_bench_figures *f = &r->saves[mode][load];
      (void)snprintf(label, sizeof label, "  %s, %s", mode_names[mode], load_labels[load]);
      hf_cli_out_format(cli, "%-*s %9.0f %9s %9s ", LABEL_COLUMNS, label, f->per_s,
                        time_text(f->median_us, median), time_text(f->p99_us, p99));
      if (f->flushes_each >= 0)
        hf_cli_out_format(cli, "%12.2f\n", f->flushes_each);
      else
        hf_cli_out_format(cli, "%12s\n", "-");
    }
  }
}

static void print_text(hf_cli *cli, const char *path, const hf_cli_bench_result *r) {
  char label[LABEL_COLUMNS + 1];
  char median[CELL_BYTES];
  char p99[CELL_BYTES];
  hf_cli_out_visible(cli, path);
  hf_cli_out_format(cli, ": %s, %s, locker %s; %.0f s\n", r->fs.acting_type,
                    r->fs.local ? "local" : "not known to be local", r->locker, r->seconds);
  print_heading(cli, "cost of a flush", "", "");
  for (int kind = 0; kind < HF_CLI_BENCH_FLUSHES; kind++) {
    (void)snprintf(label, sizeof label, "  %s", flush_labels[kind]);
    hf_cli_out_format(cli, "%-*s %9s %9s %9s\n", LABEL_COLUMNS, label, "",
                      time_text(r->flush[kind].median_us, median),
                      time_text(r->flush[kind].p99_us, p99));
  }
  print_saves(cli, r);
  (void)snprintf(label, sizeof label, "reads among %" PRIu64, r->snapshots);
  print_heading(cli, label, "reads/s", "");
  for (int read = 0; read < HF_CLI_BENCH_READS; read++) {
    const hf_cli_bench_figures *f = &r->reads[read];
    (void)snprintf(label, sizeof label, "  %s", read_labels[read]);
    hf_cli_out_format(cli, "%-*s %9.0f %9s %9s\n", LABEL_COLUMNS, label, f->per_s,
                      time_text(f->median_us, median), time_text(f->p99_us, p99));
  }
  hf_cli_out_text(cli, "\nmedian, p99: of one call (of a batch: for all of its 256).\n");
  print_limit(cli, r);
}

/* ---- JSON ---- */

static void json_double(hf_cli_json *json, const char *name, double value) {
  hf_cli_json_name(json, name);
  hf_cli_out_format(json->cli, "%.3f", value);
}

static void json_figures(hf_cli_json *json, const hf_cli_bench_figures *f, int saves) {
  hf_cli_json_number(json, "count", f->count);
  json_double(json, "per_s", f->per_s);
  json_double(json, "median_us", f->median_us);
  json_double(json, "p99_us", f->p99_us);
  if (saves && f->flushes_each >= 0)
    json_double(json, "flushes_each", f->flushes_each);
  else if (saves)
    hf_cli_json_null(json, "flushes_each");
  hf_cli_out_text(json->cli, "}");
}

static hf_cli_json json_item(hf_cli *cli, int first) {
  hf_cli_out_text(cli, first ? "{" : ",{");
  return (hf_cli_json){cli, 0};
}

static void json_saves(hf_cli *cli, const hf_cli_bench_result *r) {
  int first = 1;
  for (int mode = 0; mode < HF_CLI_BENCH_MODES; mode++)
    for (int load = 0; load < HF_CLI_BENCH_LOADS && r->has_mode[mode]; load++) {
      hf_cli_json item = json_item(cli, first);
      int many = load == HF_CLI_BENCH_THREADS || load == HF_CLI_BENCH_PROCESSES;
      first = 0;
      hf_cli_json_text(&item, "mode", mode_names[mode]);
      hf_cli_json_number(&item, "writers", many ? HF_CLI_BENCH_WRITERS : 1);
      hf_cli_json_text(&item, "kind", load_kinds[load]);
      json_figures(&item, &r->saves[mode][load], 1);
    }
}

static void print_json(hf_cli *cli, const char *path, const hf_cli_bench_result *r) {
  hf_cli_json json;
  int mode = first_mode(r);
  hf_cli_json_begin(&json, cli);
  hf_cli_json_text(&json, "path", path);
  hf_cli_json_text(&json, "filesystem", r->fs.acting_type);
  hf_cli_json_bool(&json, "local", r->fs.local);
  hf_cli_json_text(&json, "locker", r->locker);
  hf_cli_json_number(&json, "document_bytes", HF_CLI_BENCH_DOCUMENT_BYTES);
  json_double(&json, "seconds", r->seconds);
  hf_cli_json_name(&json, "flushes");
  hf_cli_out_text(cli, "[");
  for (int kind = 0; kind < HF_CLI_BENCH_FLUSHES; kind++) {
    hf_cli_json item = json_item(cli, kind == 0);
    hf_cli_json_text(&item, "what", flush_names[kind]);
    hf_cli_json_number(&item, "samples", r->flush[kind].samples);
    json_double(&item, "median_us", r->flush[kind].median_us);
    json_double(&item, "p99_us", r->flush[kind].p99_us);
    hf_cli_out_text(cli, "}");
  }
  hf_cli_out_text(cli, "]");
  hf_cli_json_name(&json, "saves");
  hf_cli_out_text(cli, "[");
  json_saves(cli, r);
  hf_cli_out_text(cli, "]");
  hf_cli_json_name(&json, "reads");
  hf_cli_out_text(cli, "[");
  for (int read = 0; read < HF_CLI_BENCH_READS; read++) {
    hf_cli_json item = json_item(cli, read == 0);
    hf_cli_json_text(&item, "what", read_names[read]);
    json_figures(&item, &r->reads[read], 0);
  }
  hf_cli_out_text(cli, "]");
  hf_cli_json_number(&json, "snapshots", r->snapshots);
  hf_cli_json_text(&json, "limit",
                   mode < 0                 ? NULL
                   : flushes_limit(r, mode) ? "flushes"
                                            : "processor");
  hf_cli_json_end(&json);
}

void hf_cli_bench_print(hf_cli *cli, const char *path, const hf_cli_bench_result *result) {
  if (cli->args.json)
    print_json(cli, path, result);
  else
    print_text(cli, path, result);
}
