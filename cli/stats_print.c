#include "stats_print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "stats_writers.h"
#include "text.h"

enum { LABEL_COLUMNS = 11 };

/* A record of an op that this program cannot tell. */
static const char *op_name(const hf_stats_op *op) {
  return op->op[0] != '\0' ? op->op : "unreadable";
}

static hf_stats_size total(const hf_store_stats *stats) {
  hf_stats_size all = {0};
  for (unsigned i = 0; i < HF_STATS_PLACES; i++) {
    all.files += stats->sizes[i].files;
    all.bytes += stats->sizes[i].bytes;
  }
  return all;
}

/* ---- for people ---- */

void hf_cli_stats_label(FILE *to, const char *name) {
  (void)fprintf(to, "%-*s", LABEL_COLUMNS, name);
}

void hf_cli_stats_visible(FILE *to, const char *text) {
  char *visible = hf_cli_visible(text, strlen(text), NULL);
  (void)fputs(visible != NULL ? visible : "?", to);
  free(visible);
}

static void text_sizes(FILE *to, const hf_store_stats *stats) {
  char size[HF_CLI_SIZE_BYTES];
  hf_stats_size all = total(stats);
  hf_cli_stats_label(to, "size");
  (void)fprintf(to, "%s in %" PRIu64 " files\n", hf_cli_size_text(all.bytes, size), all.files);
  for (unsigned i = 0; i < HF_STATS_PLACES; i++) {
    const hf_stats_size *one = &stats->sizes[i];
    if (one->files == 0)
      continue;
    (void)fprintf(to, "  %-*s%s in %" PRIu64 " file%s\n", LABEL_COLUMNS,
                  hf_stats_place_name((hf_stats_place)i), hf_cli_size_text(one->bytes, size),
                  one->files, one->files == 1 ? "" : "s");
  }
  hf_cli_stats_label(to, "free");
  (void)fprintf(to, "%s of ", hf_cli_size_text(stats->filesystem_free_bytes, size));
  (void)fprintf(to, "%s\n", hf_cli_size_text(stats->filesystem_bytes, size));
}

void hf_cli_stats_text(FILE *to, const hf_info *info, const hf_store_stats *stats,
                       const hf_writer_stats *writers) {
  hf_cli_stats_label(to, "store");
  hf_cli_stats_visible(to, info->path);
  (void)fprintf(to, " (%s)\n", info->uuid);
  hf_cli_stats_label(to, "locker");
  (void)fprintf(to, "%s, %s mode, %s\n", info->locker, info->mode, info->fs.acting_type);
  hf_cli_stats_label(to, "records");
  (void)fprintf(to, "%" PRIu64, stats->head);
  for (size_t i = 0; i < stats->ops_count; i++) {
    (void)fputs(i == 0 ? " (" : ", ", to);
    hf_cli_stats_visible(to, op_name(&stats->ops[i]));
    (void)fprintf(to, " %" PRIu64, stats->ops[i].records);
  }
  (void)fputs(stats->ops_count > 0 ? ")\n" : "\n", to);
  hf_cli_stats_label(to, "snapshots");
  (void)fprintf(to, "%" PRIu64 ", %" PRIu64 " of them current\n", stats->snapshots, stats->current);
  hf_cli_stats_label(to, "of");
  (void)fprintf(to, "runs: %" PRIu64 ", groups: %" PRIu64 ", stages: %" PRIu64 "%s\n", stats->runs,
                stats->groups, stats->stages, stats->stages_sampled ? " or more" : "");
  hf_cli_stats_label(to, "saved");
  (void)fprintf(to,
                "%" PRIu64 " in the last minute, %" PRIu64 " in the last hour, %" PRIu64
                " in the last day\n",
                stats->saves_minute, stats->saves_hour, stats->saves_day);
  if (stats->last_at[0] != '\0') {
    hf_cli_stats_label(to, "last");
    hf_cli_stats_visible(to, stats->last_at);
    (void)fputs("\n", to);
  }
  hf_cli_stats_label(to, "packed");
  (void)fprintf(to, "%" PRIu64 " tiles, %" PRIu64 " records indexed\n", stats->tiles,
                stats->indexed);
  if (stats->damaged > 0) {
    hf_cli_stats_label(to, "damaged");
    (void)fprintf(to, "%" PRIu64 " records: holdfast verify tells which\n", stats->damaged);
  }
  if (stats->has_counter) {
    hf_cli_stats_label(to, "counter");
    (void)fprintf(to, "%" PRIu64 " repairs, as far as the locker remembers\n",
                  stats->counter_repairs);
  }
  hf_cli_writers_text(to, writers);
  text_sizes(to, stats);
}

/* ---- JSON ---- */

static void json_text(FILE *to, const char *name, const char *value) {
  (void)fprintf(to, "\"%s\":", name);
  (void)hf_cli_write_json_string(to, value);
  (void)fputs(",", to);
}

static void json_number(FILE *to, const char *name, uint64_t value) {
  (void)fprintf(to, "\"%s\":%" PRIu64 ",", name, value);
}

void hf_cli_stats_json(FILE *to, const hf_info *info, const hf_store_stats *stats,
                       const hf_writer_stats *writers) {
  (void)fputs("{", to);
  json_text(to, "store", info->path);
  json_text(to, "uuid", info->uuid);
  json_text(to, "locker", info->locker);
  json_text(to, "mode", info->mode);
  json_text(to, "filesystem", info->fs.acting_type);
  json_number(to, "head", stats->head);
  (void)fputs("\"records\":{", to);
  for (size_t i = 0; i < stats->ops_count; i++) {
    (void)fputs(i > 0 ? "," : "", to);
    (void)hf_cli_write_json_string(to, op_name(&stats->ops[i]));
    (void)fprintf(to, ":%" PRIu64, stats->ops[i].records);
  }
  (void)fputs("},", to);
  json_number(to, "snapshots", stats->snapshots);
  json_number(to, "current", stats->current);
  json_number(to, "runs", stats->runs);
  json_number(to, "groups", stats->groups);
  json_number(to, "stages", stats->stages);
  (void)fprintf(to, "\"stages_sampled\":%s,", stats->stages_sampled ? "true" : "false");
  json_number(to, "damaged", stats->damaged);
  json_number(to, "saves_minute", stats->saves_minute);
  json_number(to, "saves_hour", stats->saves_hour);
  json_number(to, "saves_day", stats->saves_day);
  if (stats->last_at[0] != '\0')
    json_text(to, "last_at", stats->last_at);
  else
    (void)fputs("\"last_at\":null,", to);
  json_number(to, "tiles", stats->tiles);
  json_number(to, "indexed", stats->indexed);
  if (stats->has_counter)
    json_number(to, "counter_repairs", stats->counter_repairs);
  else
    (void)fputs("\"counter_repairs\":null,", to);
  (void)fputs("\"writers\":", to);
  hf_cli_writers_json(to, writers);
  (void)fputs(",\"sizes\":{", to);
  for (unsigned i = 0; i < HF_STATS_PLACES; i++)
    (void)fprintf(to, "%s\"%s\":{\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 "}", i > 0 ? "," : "",
                  hf_stats_place_name((hf_stats_place)i), stats->sizes[i].files,
                  stats->sizes[i].bytes);
  (void)fputs("},", to);
  json_number(to, "filesystem_bytes", stats->filesystem_bytes);
  (void)fprintf(to, "\"filesystem_free_bytes\":%" PRIu64 "}\n", stats->filesystem_free_bytes);
}

/* ---- Prometheus ---- */

void hf_cli_prometheus_family(FILE *to, const char *name, const char *type, const char *help) {
  (void)fprintf(to, "# HELP holdfast_%s %s\n# TYPE holdfast_%s %s\n", name, help, name, type);
}

/* Control characters and broken UTF-8, which the format does not allow, are made visible. */
void hf_cli_prometheus_label(FILE *to, const char *text) {
  char *visible = hf_cli_visible(text, strlen(text), NULL);
  for (const char *at = visible != NULL ? visible : "?"; *at != '\0'; at++) {
    if (*at == '\\' || *at == '"')
      (void)fputc('\\', to);
    (void)fputc(*at, to);
  }
  free(visible);
}

/* One sample; label_name NULL: no label but the store. */
static void sample(FILE *to, const hf_info *info, const char *name, const char *label_name,
                   const char *value_of_label, uint64_t value) {
  (void)fprintf(to, "holdfast_%s{store=\"%s\"", name, info->uuid);
  if (label_name != NULL) {
    (void)fprintf(to, ",%s=\"", label_name);
    hf_cli_prometheus_label(to, value_of_label);
    (void)fputs("\"", to);
  }
  (void)fprintf(to, "} %" PRIu64 "\n", value);
}

static void one(FILE *to, const hf_info *info, const char *name, const char *type, const char *help,
                uint64_t value) {
  hf_cli_prometheus_family(to, name, type, help);
  sample(to, info, name, NULL, NULL, value);
}

static void prometheus_info(FILE *to, const hf_info *info) {
  hf_cli_prometheus_family(to, "store_info", "gauge",
                           "The store, its locker, mode and filesystem.");
  (void)fprintf(to, "holdfast_store_info{store=\"%s\",path=\"", info->uuid);
  hf_cli_prometheus_label(to, info->path);
  (void)fprintf(to, "\",locker=\"%s\",mode=\"%s\",filesystem=\"", info->locker, info->mode);
  hf_cli_prometheus_label(to, info->fs.acting_type);
  (void)fputs("\"} 1\n", to);
}

static void prometheus_counts(FILE *to, const hf_info *info, const hf_store_stats *stats) {
  one(to, info, "head", "gauge", "The highest seq.", stats->head);
  if (stats->ops_count > 0)
    hf_cli_prometheus_family(to, "records_total", "counter", "Records in the log, by op.");
  for (size_t i = 0; i < stats->ops_count; i++)
    sample(to, info, "records_total", "op", op_name(&stats->ops[i]), stats->ops[i].records);
  one(to, info, "snapshots_total", "counter", "Snapshots in the log: every revision.",
      stats->snapshots);
  one(to, info, "current_snapshots", "gauge", "Keys: the current revision of each.",
      stats->current);
  one(to, info, "runs", "gauge", "Different run_ids.", stats->runs);
  one(to, info, "groups", "gauge", "Different groups.", stats->groups);
  one(to, info, "stages", "gauge", "Different stages.", stats->stages);
  one(to, info, "damaged_records", "gauge", "Records that cannot be read, as far as was noticed.",
      stats->damaged);
  one(to, info, "tiles", "gauge", "Full tiles: packed records.", stats->tiles);
  one(to, info, "indexed_records", "gauge", "Records that indexes cover.", stats->indexed);
  if (stats->has_counter)
    one(to, info, "counter_repairs_total", "counter",
        "How often the locker's counter was set to what the storage says.", stats->counter_repairs);
}

static void prometheus_rates(FILE *to, const hf_info *info, const hf_store_stats *stats) {
  hf_cli_prometheus_family(
      to, "recent_snapshots", "gauge",
      "Snapshots that were saved within the window, in seconds, by their time at.");
  sample(to, info, "recent_snapshots", "window", "60", stats->saves_minute);
  sample(to, info, "recent_snapshots", "window", "3600", stats->saves_hour);
  sample(to, info, "recent_snapshots", "window", "86400", stats->saves_day);
  if (stats->last_at[0] == '\0')
    return;
  hf_cli_prometheus_family(to, "last_snapshot_timestamp_seconds", "gauge",
                           "When the last snapshot was saved, since 1970.");
  (void)fprintf(
      to, "holdfast_last_snapshot_timestamp_seconds{store=\"%s\"} %" PRId64 ".%06" PRId64 "\n",
      info->uuid, stats->last_at_unix_us / 1000000, stats->last_at_unix_us % 1000000);
}

void hf_cli_stats_prometheus(FILE *to, const hf_info *info, const hf_store_stats *stats,
                             const hf_writer_stats *writers) {
  prometheus_info(to, info);
  prometheus_counts(to, info, stats);
  prometheus_rates(to, info, stats);
  hf_cli_writers_prometheus(to, info, writers);
  hf_cli_prometheus_family(to, "size_bytes", "gauge", "Lengths of the store's files, by place.");
  for (unsigned i = 0; i < HF_STATS_PLACES; i++)
    sample(to, info, "size_bytes", "place", hf_stats_place_name((hf_stats_place)i),
           stats->sizes[i].bytes);
  hf_cli_prometheus_family(to, "files", "gauge", "The store's files, by place.");
  for (unsigned i = 0; i < HF_STATS_PLACES; i++)
    sample(to, info, "files", "place", hf_stats_place_name((hf_stats_place)i),
           stats->sizes[i].files);
  one(to, info, "filesystem_size_bytes", "gauge", "Size of the filesystem that holds the store.",
      stats->filesystem_bytes);
  one(to, info, "filesystem_free_bytes", "gauge", "What of it is free for who asked.",
      stats->filesystem_free_bytes);
}
