#include "report_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "output.h"
#include "text.h"

/* ---- texts of users ---- */

/* JSON may stand in a script element as it is, but for these characters, which only occur in its
 * strings: no "</script", no "<!--", no line separator. All data of the page go through here. */
static int write_data(FILE *to, const char *text, size_t bytes) {
  size_t from = 0;
  int failed = 0;
  for (size_t i = 0; i < bytes; i++) {
    unsigned char c = (unsigned char)text[i];
    int is_separator = c == 0xE2 && i + 2 < bytes && (unsigned char)text[i + 1] == 0x80 &&
                       ((unsigned char)text[i + 2] & 0xFE) == 0xA8;
    if (c != '<' && c != '>' && c != '&' && !is_separator)
      continue;
    failed |= fwrite(text + from, 1, i - from, to) != i - from;
    if (is_separator) {
      failed |= fprintf(to, "\\u20%02x", (unsigned char)text[i + 2] - 0x80u) < 0;
      i += 2;
    } else {
      failed |= fprintf(to, "\\u%04x", (unsigned)c) < 0;
    }
    from = i + 1;
  }
  failed |= fwrite(text + from, 1, bytes - from, to) != bytes - from;
  return failed;
}

/* A text in HTML. What is no text is shown as its escape. */
static int write_html(FILE *to, const char *text) {
  char *visible = hf_cli_visible(text, strlen(text), NULL);
  int failed = visible == NULL;
  for (const char *c = visible; c != NULL && *c != '\0'; c++) {
    if (*c == '<' || *c == '>' || *c == '&' || *c == '"' || *c == '\'')
      failed |= fprintf(to, "&#%d;", *c) < 0;
    else
      failed |= fputc(*c, to) == EOF;
  }
  free(visible);
  return failed;
}

/* ---- the data ---- */

static int write_text(FILE *to, const char *name, const char *text) {
  int failed = fprintf(to, ",\"%s\":", name) < 0;
  return failed |
         (text != NULL ? hf_cli_write_json_string(to, text) != 0 : fputs("null", to) == EOF);
}

static int write_texts(FILE *to, const char *name, char *const *texts, size_t count) {
  int failed = fprintf(to, ",\"%s\":[", name) < 0;
  for (size_t i = 0; i < count; i++) {
    failed |= i > 0 && fputc(',', to) == EOF;
    failed |= hf_cli_write_json_string(to, texts[i]) != 0;
  }
  return failed | (fputc(']', to) == EOF);
}

static int write_baseline(FILE *to, const hf_cli_report_set *set) {
  const hf_baseline *baseline = set->baseline;
  if (baseline == NULL)
    return fputs(",\"b\":null", to) == EOF;
  int failed =
      fprintf(to, ",\"b\":{\"of\":%" PRIu64 ",\"seq\":%" PRIu64, baseline->of, baseline->seq) < 0;
  failed |= write_text(to, "run", baseline->run_id);
  failed |= write_text(to, "by", baseline->by);
  failed |= write_text(to, "at", baseline->at);
  failed |= write_text(to, "reason", baseline->reason);
  if (baseline->metric == NULL)
    failed |= fputs(",\"m\":null", to) == EOF;
  else { /* it is the set's first one */
    failed |= fputs(",\"m\":0", to) == EOF;
    failed |= write_text(to, "value", baseline->value);
    failed |= write_text(to, "goal", baseline->goal == HF_GOAL_MAX ? "max" : "min");
    if (set->has_limit)
      failed |= fprintf(to, ",\"limit\":\"%.17g\"", set->limit) < 0;
  }
  return failed | (fputc('}', to) == EOF);
}

static int write_set_head(FILE *to, const hf_cli_report_set *set) {
  int failed = fputs("{\"v\":1", to) == EOF;
  failed |= write_text(to, "g", set->group);
  failed |= write_text(to, "s", set->stage);
  failed |= fputs(",\"d\":[", to) == EOF;
  for (size_t i = 0; i < set->dims_count; i++) {
    failed |= fputs(i > 0 ? ",[" : "[", to) == EOF;
    failed |= hf_cli_write_json_string(to, set->dims[i].name) != 0;
    failed |= fputc(',', to) == EOF;
    failed |= hf_cli_write_json_string(to, set->dims[i].value) != 0;
    failed |= fputc(']', to) == EOF;
  }
  failed |= fputc(']', to) == EOF;
  failed |= write_baseline(to, set);
  failed |= fputs(",\"m\":[", to) == EOF;
  for (size_t i = 0; i < set->metrics_count; i++)
    failed |= fprintf(to, "%s%zu", i > 0 ? "," : "", set->metrics[i]) < 0;
  failed |= fprintf(to, "],\"left\":%zu,\"r\":[", set->metrics_left) < 0;
  return failed;
}

enum { FILTERS_MAX = 12 + HF_DIMS_MAX + HF_CLI_TEXTS_MAX };

typedef struct filters {
  char *texts[FILTERS_MAX];
  size_t count;
  int failed;
} filters;

static void add_filter(filters *to, const char *name, const char *value) {
  if (value == NULL || to->count == FILTERS_MAX)
    return;
  if (asprintf(&to->texts[to->count], "--%s%s%s", name, value[0] != '\0' ? " " : "", value) < 0)
    to->failed = 1;
  else
    to->count++;
}

static void add_number(filters *to, const char *name, const hf_cli_number *number) {
  char text[24];
  (void)snprintf(text, sizeof text, "%" PRIu64, number->value);
  add_filter(to, name, number->given ? text : NULL);
}

/* What was asked for, as it would be given again. */
static int write_filters(FILE *to, const hf_cli_args *args) {
  filters list = {0};
  add_filter(&list, "run-id", args->run_id);
  add_filter(&list, "stage", args->stage);
  add_filter(&list, "group", args->group);
  for (size_t i = 0; i < args->dims_count; i++) {
    char dim[HF_DIM_NAME_BYTES_MAX + HF_DIM_VALUE_BYTES_MAX + 8];
    (void)snprintf(dim, sizeof dim, "%s=%s", args->dims[i].name, args->dims[i].value);
    add_filter(&list, "dim", dim);
  }
  add_filter(&list, "host", args->host);
  add_filter(&list, "after", args->after);
  add_filter(&list, "before", args->before);
  for (size_t i = 0; i < args->where.count; i++)
    add_filter(&list, "where", args->where.text[i]);
  add_number(&list, "since", &args->since);
  add_number(&list, "until", &args->until);
  add_filter(&list, "tolerance", args->tolerance);
  add_filter(&list, "all-revisions", args->all_revisions ? "" : NULL);
  int failed = write_texts(to, "filters", list.texts, list.count) | list.failed;
  for (size_t i = 0; i < list.count; i++)
    free(list.texts[i]);
  return failed;
}

static int write_head(FILE *to, const hf_cli_report *report) {
  char now[40];
  time_t clock = time(NULL);
  struct tm parts;
  hf_info info;
  hf_error err = HF_ERROR_INIT;
  if (gmtime_r(&clock, &parts) == NULL || strftime(now, sizeof now, "%FT%TZ", &parts) == 0)
    now[0] = '\0';
  int known = hf_store_info(report->cli->store, &info, &err) == HF_OK;
  int failed = fputs("{\"v\":1", to) == EOF;
  failed |= write_text(to, "store", known ? info.path : report->cli->store_path);
  failed |= write_text(to, "uuid", known ? info.uuid : NULL);
  failed |= write_text(to, "made", now);
  failed |= fprintf(to, ",\"head\":%" PRIu64 ",\"runs\":%" PRIu64 ",\"damaged\":%" PRIu64,
                    report->head, report->runs, report->damaged) < 0;
  failed |= write_filters(to, &report->cli->args);
  failed |= write_texts(to, "hosts", report->hosts.texts, report->hosts.count);
  failed |= write_texts(to, "pointers", report->pointers.texts, report->pointers.count);
  return failed | (fputs(",\"groups\":[", to) == EOF);
}

/* A piece of the data: made in memory, since it has to go through write_data. */
typedef struct piece {
  FILE *stream;
  char *text;
  size_t bytes;
} piece;

static int send_piece(piece *from, FILE *to) {
  int failed = fflush(from->stream) != 0;
  failed |= !failed && write_data(to, from->text, (size_t)ftell(from->stream));
  rewind(from->stream);
  return failed;
}

static int write_all_data(const hf_cli_report *report, FILE *to) {
  piece made = {0};
  made.stream = open_memstream(&made.text, &made.bytes);
  if (made.stream == NULL)
    return 1;
  int failed = write_head(made.stream, report) | send_piece(&made, to);
  int first = 1;
  for (size_t i = 0; i < report->sets_count && !failed; i++) {
    const hf_cli_report_set *set = report->sets[i];
    if (set->rows_count == 0) /* older revisions alone */
      continue;
    failed |= fputs(first ? "\n" : ",\n", to) == EOF;
    first = 0;
    failed |= write_set_head(made.stream, set) | send_piece(&made, to);
    failed |= write_data(to, set->rows, set->rows_bytes) | (fputs("]}", to) == EOF);
  }
  failed |= fputs("\n]}", to) == EOF;
  failed |= fclose(made.stream) != 0;
  free(made.text);
  return failed;
}

/* ---- the page ---- */

int hf_cli_report_write_page(const hf_cli_report *report, const char *title, FILE *to) {
  const char *at = (const char *)hf_cli_report_template;
  const char *end = at + hf_cli_report_template_bytes;
  int failed = 0;
  while (at < end && !failed) {
    const char *mark = memchr(at, '@', (size_t)(end - at));
    size_t plain = (size_t)((mark != NULL ? mark : end) - at);
    size_t left = mark != NULL ? (size_t)(end - mark) : 0;
    failed |= fwrite(at, 1, plain, to) != plain;
    at += plain;
    if (left >= 7 && memcmp(mark, "@TITLE@", 7) == 0) {
      failed |= write_html(to, title);
      at += 7;
    } else if (left >= 9 && memcmp(mark, "@VERSION@", 9) == 0) {
      failed |= write_html(to, hf_version());
      at += 9;
    } else if (left >= 6 && memcmp(mark, "@DATA@", 6) == 0) {
      failed |= write_all_data(report, to);
      at += 6;
    } else if (mark != NULL) {
      failed |= fputc('@', to) == EOF;
      at++;
    }
  }
  return failed ? -1 : 0;
}
