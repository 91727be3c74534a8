/* What diff_differential.py asks hf_diff and hf_diff_patch: two documents a time, a line each, on
 * stdin; a line of JSON on stdout with what was found. With an argument: the configuration whose
 * rules count. */
#include <holdfast/diff.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json.h"

static void add_text(hf_buf *out, const char *text) {
  if (text != NULL)
    (void)hf_json_add_string(out, text, strlen(text));
  else
    (void)hf_buf_add_text(out, "null");
}

static void add_value(hf_buf *out, const char *text, size_t bytes) {
  (void)hf_buf_add(out, text != NULL ? text : "null", text != NULL ? bytes : 4);
}

static void add_change(hf_buf *out, const hf_change *change) {
  (void)hf_buf_printf(out, "[\"%s\",\"%s\",\"%s\",", hf_change_kind_name(change->kind),
                      hf_section_name(change->section), hf_severity_name(change->severity));
  add_text(out, change->pointer);
  (void)hf_buf_add_char(out, ',');
  add_text(out, change->old_pointer);
  (void)hf_buf_add_char(out, ',');
  add_value(out, change->old_text, change->old_bytes);
  (void)hf_buf_add_char(out, ',');
  add_value(out, change->new_text, change->new_bytes);
  (void)hf_buf_printf(out, ",%s,%d]", change->delta != NULL ? change->delta : "null",
                      change->direction);
}

static int answer(const hf_record *a, const hf_record *b, const hf_diff_options *options,
                  hf_buf *out) {
  hf_diff_result *result = NULL;
  hf_error err = HF_ERROR_INIT;
  char *patch = NULL;
  size_t patch_bytes = 0;
  if (hf_diff(a, b, options, &result, &err) != HF_OK ||
      hf_diff_patch(a->doc, a->doc_bytes, b->doc, b->doc_bytes, &patch, &patch_bytes, &err) !=
          HF_OK) {
    (void)fprintf(stderr, "%s: %s\n", err.place, err.message);
    return -1;
  }
  const hf_diff_summary *summary = hf_diff_summary_of(result);
  (void)hf_buf_add_text(out, "{\"changes\":[");
  hf_change change;
  for (int first = 1; hf_diff_next(result, &change, NULL) == 1; first = 0) {
    (void)hf_buf_add_text(out, first ? "" : ",");
    add_change(out, &change);
  }
  (void)hf_buf_printf(out, "],\"severity\":\"%s\",\"close\":%llu,\"left_out\":%llu,",
                      hf_severity_name(summary->severity), (unsigned long long)summary->close,
                      (unsigned long long)summary->left_out);
  (void)hf_buf_printf(out, "\"identical\":%s,\"patch\":", summary->identical ? "true" : "false");
  (void)hf_buf_add(out, patch, patch_bytes);
  (void)hf_buf_add_text(out, "}\n");
  free(patch);
  hf_diff_free(&result);
  return 0;
}

/* The next line into a record, without its newline. 1, or 0 at the end. */
static int take_line(char **line, size_t *allocated, hf_record *record) {
  ssize_t bytes = getline(line, allocated, stdin);
  if (bytes <= 0)
    return 0;
  (*line)[bytes - 1] = '\0';
  record->doc = *line;
  record->doc_bytes = (size_t)bytes - 1;
  return 1;
}

int main(int argc, char **argv) {
  hf_config *config = NULL;
  if (argc > 1 && hf_config_load(argv[1], &config, NULL) != HF_OK)
    return 2;
  hf_diff_options options = {config, 0};
  hf_record a = {.seq = 1, .op = "save", .run_id = "a", .stage = "s", .group = "g"};
  hf_record b = {.seq = 2, .op = "save", .run_id = "b", .stage = "s", .group = "g"};
  char *a_line = NULL, *b_line = NULL;
  size_t a_allocated = 0, b_allocated = 0;
  int failed = 0;
  while (!failed && take_line(&a_line, &a_allocated, &a) && take_line(&b_line, &b_allocated, &b)) {
    hf_autobuf out = {0};
    failed = answer(&a, &b, &options, &out) != 0 || out.failed != 0 ||
             fwrite(out.data, 1, out.used, stdout) != out.used || fflush(stdout) != 0;
  }
  free(a_line);
  free(b_line);
  hf_config_free(&config);
  return failed ? 1 : 0;
}
