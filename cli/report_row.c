#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "report.h"

enum { ROW_ROOM = 4096, SEVERITY_UNKNOWN = -1 };

/* The beginning of a text, at most bytes_max long, that ends with a whole character. NULL: out of
 * memory. */
static char *beginning(const char *text, size_t bytes, size_t bytes_max) {
  size_t kept = bytes;
  if (kept > bytes_max) {
    kept = bytes_max;
    while (kept > 0 && ((unsigned char)text[kept] & 0xC0) == 0x80)
      kept--;
  }
  return strndup(text, kept);
}

/* null, the text, or [its beginning, its bytes]. */
static int write_cut(FILE *to, const char *text, size_t bytes) {
  if (text == NULL)
    return fputs("null", to) == EOF;
  int is_cut = bytes > HF_CLI_REPORT_TEXT_BYTES_MAX;
  char *kept = beginning(text, bytes, HF_CLI_REPORT_TEXT_BYTES_MAX);
  int failed = kept == NULL;
  if (kept != NULL) {
    failed |= is_cut && fputc('[', to) == EOF;
    failed |= hf_cli_write_json_string(to, kept) != 0;
    failed |= is_cut && fprintf(to, ",%zu]", bytes) < 0;
  }
  free(kept);
  return failed;
}

static int write_text(FILE *to, const char *text) {
  return text != NULL ? hf_cli_write_json_string(to, text) != 0 : fputs("null", to) == EOF;
}

static int add_pointer(hf_cli_report *report, const char *pointer, size_t *ret_number) {
  if (strlen(pointer) <= HF_CLI_REPORT_POINTER_BYTES_MAX)
    return hf_cli_names_add(&report->pointers, pointer, ret_number);
  char text[HF_CLI_REPORT_POINTER_BYTES_MAX + 8];
  char *kept = beginning(pointer, strlen(pointer), HF_CLI_REPORT_POINTER_BYTES_MAX);
  if (kept == NULL)
    return -1;
  (void)snprintf(text, sizeof text, "%s\xE2\x80\xA6", kept);
  free(kept);
  return hf_cli_names_add(&report->pointers, text, ret_number);
}

/* Two numbers that are the same as doubles, or whose difference is none. */
static int needs_delta(const hf_change *change) {
  if (change->delta == NULL || change->direction == 0)
    return 0;
  double delta = strtod(change->delta, NULL);
  char *old_text = strndup(change->old_text, change->old_bytes);
  char *new_text = strndup(change->new_text, change->new_bytes);
  int needs = 0;
  if (old_text != NULL && new_text != NULL) {
    double rough = strtod(new_text, NULL) - strtod(old_text, NULL);
    needs = !isfinite(rough) || fabs(rough - delta) > fabs(delta) * 1e-6;
  }
  free(old_text);
  free(new_text);
  return needs && strlen(change->delta) <= HF_CLI_REPORT_TEXT_BYTES_MAX;
}

static int write_change(hf_cli_report *report, FILE *to, const hf_change *change) {
  size_t pointer = 0;
  size_t old_pointer = 0;
  int moved = change->kind == HF_CHANGE_CHANGED && change->old_pointer != NULL &&
              strcmp(change->old_pointer, change->pointer) != 0;
  int failed = add_pointer(report, change->pointer, &pointer) != 0;
  failed |= fprintf(to, "[%zu,", pointer) < 0;
  failed |= write_cut(to, change->old_text, change->old_bytes);
  failed |= fputc(',', to) == EOF;
  failed |= write_cut(to, change->new_text, change->new_bytes);
  failed |= fprintf(to, ",%d", (int)change->severity) < 0;
  int with_delta = needs_delta(change);
  if (with_delta || moved) {
    failed |= fputc(',', to) == EOF;
    failed |= write_text(to, with_delta ? change->delta : NULL);
  }
  if (moved) {
    failed |= add_pointer(report, change->old_pointer, &old_pointer) != 0;
    failed |= fprintf(to, ",%zu", old_pointer) < 0;
  }
  failed |= fputc(']', to) == EOF;
  return failed;
}

static int is_change(const hf_change *change) {
  return change->kind == HF_CHANGE_ADDED || change->kind == HF_CHANGE_REMOVED ||
         change->kind == HF_CHANGE_CHANGED;
}

/* The changes, and how many are left out: of too many the gravest are kept. */
static int write_changes(hf_cli_report *report, FILE *to, hf_diff_result *diff, hf_error *reterr) {
  const hf_diff_summary *summary = hf_diff_summary_of(diff);
  int all = summary->changes <= HF_CLI_REPORT_CHANGES_MAX;
  uint64_t written = 0;
  int failed = fputs(",[", to) == EOF;
  for (int severity = all ? HF_SEVERITY_NONE : HF_SEVERITY_CRITICAL; severity >= 0; severity--) {
    hf_change change;
    int got;
    hf_diff_rewind(diff);
    while (written < HF_CLI_REPORT_CHANGES_MAX &&
           (got = hf_diff_next(diff, &change, reterr)) != 0) {
      if (got < 0)
        return got;
      if (!is_change(&change) || (!all && (int)change.severity != severity))
        continue;
      failed |= written++ > 0 && fputc(',', to) == EOF;
      failed |= write_change(report, to, &change);
    }
  }
  failed |= fprintf(to, "],%" PRIu64, summary->changes - written) < 0;
  return failed ? HF_ENOMEM : HF_OK;
}

static int write_values(FILE *to, const hf_cli_report_set *set,
                        const hf_cli_report_values *values) {
  size_t count = set->metrics_count;
  while (count > 0 && values->text[count - 1][0] == '\0')
    count--;
  int failed = fputc('[', to) == EOF;
  for (size_t i = 0; i < count; i++) {
    failed |= i > 0 && fputc(',', to) == EOF;
    if (values->text[i][0] == '\0')
      failed |= fputs("null", to) == EOF;
    else if (!values->is_cut[i])
      failed |= fprintf(to, "\"%s\"", values->text[i]) < 0;
    else if (isfinite(values->number[i]))
      failed |= fprintf(to, "[%.17g,\"%s\xE2\x80\xA6\"]", values->number[i], values->text[i]) < 0;
    else
      failed |= fprintf(to, "[null,\"%s\xE2\x80\xA6\"]", values->text[i]) < 0;
  }
  failed |= fputc(']', to) == EOF;
  return failed;
}

static int write_names(hf_cli_report *report, FILE *to, const hf_record *record,
                       const hf_cli_report_previous *previous, int severity) {
  int failed = fprintf(to, "[%" PRIu64 ",", record->seq) < 0;
  failed |= write_text(to, record->run_id);
  failed |= fputc(',', to) == EOF;
  if (record->ts != NULL && record->at != NULL && strcmp(record->ts, record->at) == 0)
    failed |= fputc('0', to) == EOF; /* as it stands in every row where nobody gave another one */
  else
    failed |= write_text(to, record->ts);
  failed |= fputc(',', to) == EOF;
  failed |= write_text(to, record->at);
  size_t host = 0;
  if (record->host == NULL)
    failed |= fputs(",null", to) == EOF;
  else if (hf_cli_names_add(&report->hosts, record->host, &host) != 0)
    failed = 1;
  else
    failed |= fprintf(to, ",%zu", host) < 0;
  if (previous->is_gone)
    failed |= fputs(",null", to) == EOF;
  else
    failed |= fprintf(to, ",%" PRIu64, previous->record != NULL ? previous->record->seq : 0) < 0;
  failed |= fprintf(to, ",%d,", severity) < 0;
  return failed;
}

static int write_row(hf_cli_report *report, hf_cli_report_set *set, const hf_record *record,
                     const hf_cli_report_previous *previous, hf_diff_result *diff,
                     hf_error *reterr) {
  FILE *to = report->row;
  hf_cli_report_values values = {0};
  int compared = diff != NULL;
  int worse = 0;
  int rc = HF_OK;
  if (record->doc != NULL)
    rc = hf_cli_report_find_values(report, set, record, &values, reterr);
  if (rc == HF_OK && record->doc != NULL)
    rc = hf_cli_report_is_worse(report, set, record, &worse, reterr);
  if (rc != HF_OK)
    return rc;
  int failed = write_names(report, to, record, previous,
                           compared ? (int)hf_diff_summary_of(diff)->severity : SEVERITY_UNKNOWN);
  failed |= write_values(to, set, &values);
  failed |= fprintf(to, ",%d", worse) < 0;
  if (compared)
    rc = write_changes(report, to, diff, reterr);
  else
    failed |= fputs(",[],0", to) == EOF;
  failed |= fputc(']', to) == EOF;
  return rc != HF_OK ? rc : failed ? HF_ENOMEM : HF_OK;
}

static int append(hf_cli_report_set *set, const char *text, size_t bytes) {
  size_t needed = set->rows_bytes + bytes + 1;
  if (needed > set->rows_room) {
    size_t room = needed + needed / 2;
    char *rows = realloc(set->rows, room);
    if (rows == NULL)
      return HF_ENOMEM;
    set->rows = rows;
    set->rows_room = room;
  }
  if (set->rows_count++ > 0)
    set->rows[set->rows_bytes++] = ',';
  memcpy(set->rows + set->rows_bytes, text, bytes);
  set->rows_bytes += bytes;
  return HF_OK;
}

int hf_cli_report_add_row(hf_cli_report *report, hf_cli_report_set *set, const hf_record *record,
                          const hf_cli_report_previous *previous, hf_error *reterr) {
  hf_diff_options options = {.config = report->cli->config};
  hf_diff_result *diff = NULL;
  int rc = HF_OK;
  const hf_record *before = previous->record;
  if (record->doc != NULL && before != NULL && before->doc != NULL)
    rc = hf_diff(before, record, &options, &diff, reterr);
  if (rc == HF_OK && record->doc != NULL) /* gc may have dropped it */
    rc = hf_cli_report_find_metrics(report, set, record, previous->is_listed ? diff : NULL, reterr);
  rewind(report->row);
  if (rc == HF_OK)
    rc = write_row(report, set, record, previous, diff, reterr);
  hf_diff_free(&diff);
  if (rc != HF_OK)
    return rc;
  if (fflush(report->row) != 0)
    return HF_ENOMEM;
  return append(set, report->row_text, (size_t)ftell(report->row));
}
