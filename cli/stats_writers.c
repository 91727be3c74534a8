#include "stats_writers.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "stats_print.h"

enum { HOST_LINES_MAX = 20, US_PER_S = 1000000 };

/* ---- for people ---- */

static void text_seconds(FILE *to, uint64_t us) {
  (void)fprintf(to, "%" PRIu64 ".%03" PRIu64 " s", us / US_PER_S, us % US_PER_S / 1000);
}

static void text_host(FILE *to, const hf_host_stats *host) {
  const hf_handle_stats *counted = &host->counted;
  (void)fputs("  ", to);
  hf_cli_stats_visible(to, host->host[0] != '\0' ? host->host : "(no name)");
  (void)fprintf(to, ": %" PRIu64 " saved, waited ", counted->saves);
  text_seconds(to, counted->lock_wait_us);
  (void)fputs(" (longest ", to);
  text_seconds(to, counted->lock_wait_us_max);
  (void)fprintf(to, "), %" PRIu64 " conflicts\n", counted->collisions);
}

static void text_sums(FILE *to, const hf_writer_stats *writers) {
  const hf_handle_stats *counted = &writers->total.counted;
  hf_cli_stats_label(to, "writers");
  (void)fprintf(to, "%" PRIu64 " handles on %zu host%s: %" PRIu64 " saved, %" PRIu64 " unchanged",
                writers->total.handles, writers->hosts_count, writers->hosts_count == 1 ? "" : "s",
                counted->saves, counted->unchanged);
  if (counted->refused > 0)
    (void)fprintf(to, ", %" PRIu64 " refused", counted->refused);
  if (counted->failed > 0)
    (void)fprintf(to, ", %" PRIu64 " failed", counted->failed);
  if (counted->unsure > 0)
    (void)fprintf(to, ", %" PRIu64 " unsure", counted->unsure);
  (void)fputs("\n", to);
  hf_cli_stats_label(to, "lock");
  (void)fprintf(to, "%" PRIu64 " waits, ", counted->lock_waits);
  text_seconds(to, counted->lock_wait_us);
  (void)fputs(" in all, ", to);
  text_seconds(to, counted->lock_wait_us_max);
  (void)fprintf(to, " the longest, %" PRIu64 " in vain\n", counted->lock_failures);
  hf_cli_stats_label(to, "conflicts");
  (void)fprintf(to, "%" PRIu64 " (a number that another writer had taken first)\n",
                counted->collisions);
  hf_cli_stats_label(to, "flushes");
  (void)fprintf(to, "%" PRIu64 " in %" PRIu64 " commits\n", counted->flushes, counted->commits);
}

void hf_cli_writers_text(FILE *to, const hf_writer_stats *writers) {
  if (writers->hosts_count > 0)
    text_sums(to, writers);
  for (size_t i = 0; i < writers->hosts_count && i < HOST_LINES_MAX; i++)
    text_host(to, &writers->hosts[i]);
  if (writers->hosts_count > HOST_LINES_MAX)
    (void)fprintf(to, "  and %zu hosts more: --json tells of each\n",
                  writers->hosts_count - HOST_LINES_MAX);
  if (writers->unread > 0) {
    hf_cli_stats_label(to, "unread");
    (void)fprintf(to, "%" PRIu64 " in stats/: holdfast verify tells which\n", writers->unread);
  }
}

/* ---- JSON ---- */

static void json_numbers(FILE *to, const hf_host_stats *host) {
  const hf_handle_stats *counted = &host->counted;
  const struct {
    const char *name;
    uint64_t value;
  } numbers[] = {
      {"handles", host->handles},
      {"saves", counted->saves},
      {"unchanged", counted->unchanged},
      {"refused", counted->refused},
      {"failed", counted->failed},
      {"unsure", counted->unsure},
      {"commits", counted->commits},
      {"flushes", counted->flushes},
      {"conflicts", counted->collisions},
      {"lock_waits", counted->lock_waits},
      {"lock_wait_us", counted->lock_wait_us},
      {"lock_wait_us_max", counted->lock_wait_us_max},
      {"lock_failures", counted->lock_failures},
      {"counter_repairs", counted->counter_repairs},
  };
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
    (void)fprintf(to, "\"%s\":%" PRIu64 ",", numbers[i].name, numbers[i].value);
  (void)fprintf(to, "\"since_unix_us\":%" PRId64 ",\"last_unix_us\":%" PRId64 "}",
                host->since_unix_us, host->last_unix_us);
}

void hf_cli_writers_json(FILE *to, const hf_writer_stats *writers) {
  (void)fputs("{\"total\":{", to);
  json_numbers(to, &writers->total);
  (void)fputs(",\"hosts\":[", to);
  for (size_t i = 0; i < writers->hosts_count; i++) {
    (void)fputs(i > 0 ? ",{\"host\":" : "{\"host\":", to);
    (void)hf_cli_write_json_string(to, writers->hosts[i].host);
    (void)fputs(",", to);
    json_numbers(to, &writers->hosts[i]);
  }
  (void)fprintf(to, "],\"unread\":%" PRIu64 "}", writers->unread);
}

/* ---- Prometheus ---- */

typedef struct writer_family {
  const char *name;
  const char *type;
  const char *help;
  size_t offset;  /* of a uint64_t in hf_handle_stats */
  int is_seconds; /* told in microseconds */
} writer_family;

#define COUNTED(member) offsetof(hf_handle_stats, member)

static const writer_family families[] = {
    {"saves_total", "counter", "Snapshots that writers have saved, as they counted.",
     COUNTED(saves), 0},
    {"unchanged_saves_total", "counter", "Saves that a record that was there has answered.",
     COUNTED(unchanged), 0},
    {"refused_saves_total", "counter", "Saves whose condition did not hold, or that were ended.",
     COUNTED(refused), 0},
    {"failed_saves_total", "counter", "Saves that failed for another reason.", COUNTED(failed), 0},
    {"unsure_saves_total", "counter", "Saves of which it is not known whether they are saved.",
     COUNTED(unsure), 0},
    {"commits_total", "counter", "Files that were linked, or appends, of one or several saves.",
     COUNTED(commits), 0},
    {"flushes_total", "counter", "fsync and fdatasync for saves.", COUNTED(flushes), 0},
    {"conflicts_total", "counter", "Numbers that another writer had taken first.",
     COUNTED(collisions), 0},
    {"lock_waits_total", "counter", "Turns that were asked for.", COUNTED(lock_waits), 0},
    {"lock_wait_seconds_total", "counter", "How long turns were waited for.", COUNTED(lock_wait_us),
     1},
    {"lock_wait_longest_seconds", "gauge", "The longest wait for a turn.",
     COUNTED(lock_wait_us_max), 1},
    {"lock_failures_total", "counter", "Turns that were not granted.", COUNTED(lock_failures), 0},
    {"writer_counter_repairs_total", "counter",
     "How often writers have set the locker's counter to what the storage says.",
     COUNTED(counter_repairs), 0},
};

static uint64_t number_at(const hf_handle_stats *counted, size_t offset) {
  uint64_t number = 0;
  memcpy(&number, (const char *)counted + offset, sizeof number);
  return number;
}

static void begin_sample(FILE *to, const hf_info *info, const char *name,
                         const hf_host_stats *host) {
  (void)fprintf(to, "holdfast_%s{store=\"%s\",host=\"", name, info->uuid);
  hf_cli_prometheus_label(to, host->host);
  (void)fputs("\"} ", to);
}

void hf_cli_writers_prometheus(FILE *to, const hf_info *info, const hf_writer_stats *writers) {
  if (writers->hosts_count == 0)
    return;
  hf_cli_prometheus_family(to, "writer_handles_total", "counter",
                           "Handles that have saved, or have tried to.");
  for (size_t i = 0; i < writers->hosts_count; i++) {
    begin_sample(to, info, "writer_handles_total", &writers->hosts[i]);
    (void)fprintf(to, "%" PRIu64 "\n", writers->hosts[i].handles);
  }
  for (size_t f = 0; f < sizeof families / sizeof families[0]; f++) {
    const writer_family *one = &families[f];
    hf_cli_prometheus_family(to, one->name, one->type, one->help);
    for (size_t i = 0; i < writers->hosts_count; i++) {
      uint64_t number = number_at(&writers->hosts[i].counted, one->offset);
      begin_sample(to, info, one->name, &writers->hosts[i]);
      if (one->is_seconds)
        (void)fprintf(to, "%" PRIu64 ".%06" PRIu64 "\n", number / US_PER_S, number % US_PER_S);
      else
        (void)fprintf(to, "%" PRIu64 "\n", number);
    }
  }
}
