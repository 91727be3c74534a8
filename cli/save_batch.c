#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batchline.h"
#include "errors.h"
#include "input.h"
#include "output.h"
#include "save.h"
#include "text.h"

/* Lines that wait for a commit; one is due when there are LINES_MAX of them or a few less, or when
 * they are this long. More than the library commits at once: what comes next it checks meanwhile.
 */
enum { LINES_MAX = 4 * HF_BATCH_MAX, PENDING_BYTES_MAX = 8 * 1024 * 1024 };

typedef struct batch {
  hf_cli *cli;
  hf_cli_lines lines;
  hf_cli_batch_line pending[LINES_MAX];
  hf_save_request requests[LINES_MAX];
  hf_saved results[LINES_MAX];
  size_t count;
  size_t due; /* so many of them; the last one then fills a tile, so that a tile is one file */
  size_t bytes;
  uint64_t saved; /* in all */
} batch;

static void clear_line(hf_cli_batch_line *line) {
  free(line->text);
  memset(line, 0, sizeof *line);
}

/* The exit status of a line: what is wrong with it is bad input, not wrong use of the command line.
 */
static int line_exit_status(int rc) {
  int status = hf_cli_exit_status(rc);
  return status == HF_CLI_USAGE ? HF_CLI_FAILED : status;
}

static int line_error(const batch *all, uint64_t number, hf_error *err) {
  char place[HF_ERROR_PLACE_BYTES];
  const char *between = err->place[0] == '\0'                    ? ""
                        : strncmp(err->place, "column ", 7) == 0 ? ", "
                                                                 : ": ";
  (void)snprintf(place, sizeof place, "%.200s: line %" PRIu64 "%s%.200s", all->lines.name, number,
                 between, err->place);
  (void)snprintf(err->place, sizeof err->place, "%s", place);
  (void)hf_cli_library_error(all->cli, NULL, err);
  return line_exit_status((int)err->code);
}

/* The first of the lines that were not saved has an error of its own; of those behind it only the
 * status is known. */
static int tell_unsaved(const batch *all, size_t i, int is_first, const hf_error *first_err) {
  const hf_saved *result = &all->results[i];
  hf_error err = HF_ERROR_INIT;
  if (is_first) {
    err = *first_err;
    hf_cli_batch_line_place(&all->pending[i], &err);
  }
  err.code = result->status;
  if (!is_first)
    (void)snprintf(err.message, sizeof err.message, "%s", hf_status_text((int)result->status));
  if (result->status == HF_EUNSURE && result->id[0] != '\0')
    (void)snprintf(err.id, sizeof err.id, "%s", result->id);
  return line_error(all, all->pending[i].number, &err);
}

/* Saves what waits, and prints what became of it. */
static int flush(batch *all) {
  hf_cli *cli = all->cli;
  hf_error err = HF_ERROR_INIT;
  if (all->count == 0)
    return HF_CLI_DONE;
  for (size_t i = 0; i < all->count; i++)
    all->requests[i] = all->pending[i].request;
  memset(all->results, 0, sizeof all->results);
  int rc = hf_save_batch(cli->store, all->requests, all->count, cli->args.timeout_ms, all->results,
                         &err);
  int status = HF_CLI_DONE;
  for (size_t i = 0; i < all->count; i++) {
    hf_saved *result = &all->results[i];
    if (rc != HF_OK && result->status == HF_OK && result->seq == 0)
      result->status = HF_ECANCELLED; /* it was not looked at */
    if (result->status == HF_OK) {
      hf_cli_print_saved(cli, result, &all->requests[i].key);
      all->saved++;
      if (result->created)
        all->due = LINES_MAX - (size_t)(result->seq % HF_BATCH_MAX);
    } else if (status == HF_CLI_DONE) {
      status = tell_unsaved(all, i, 1, &err);
    } else if (result->status != HF_ECANCELLED) {
      (void)tell_unsaved(all, i, 0, NULL);
    }
  }
  for (size_t i = 0; i < all->count; i++)
    clear_line(&all->pending[i]);
  all->count = 0;
  all->bytes = 0;
  hf_cli_out_flush(cli); /* whoever reads learns at once what is durable */
  (void)snprintf(cli->saved_note, sizeof cli->saved_note,
                 "%" PRIu64 " lines are saved, up to line %" PRIu64, all->saved, all->lines.number);
  if (status == HF_CLI_DONE && cli->out_errno != 0)
    status = HF_CLI_FAILED; /* told at the end */
  return status;
}

/* Puts the line behind those that wait; one that is bad is told after these are saved. */
static int add_line(batch *all, char *text, size_t bytes) {
  hf_cli_batch_line *line = &all->pending[all->count];
  hf_error err = HF_ERROR_INIT;
  uint64_t number = all->lines.number;
  line->text = text;
  line->doc_bytes_max = hf_config_document_bytes_max(all->cli->config);
  line->number = number;
  int rc = hf_cli_batch_line_parse(line, bytes, &err);
  if (rc == HF_OK) {
    all->count++;
    all->bytes += bytes;
    return HF_CLI_DONE;
  }
  clear_line(line);
  int status = flush(all);
  return status == HF_CLI_DONE ? line_error(all, number, &err) : status;
}

static int is_blank(const char *text, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if (!hf_cli_is_white(text[i]))
      return 0;
  return 1;
}

static int read_lines(batch *all) {
  for (;;) {
    char *text = NULL;
    size_t bytes = 0;
    int status = HF_CLI_DONE;
    int is_due = all->count == all->due || all->bytes >= PENDING_BYTES_MAX;
    /* What trickles in is not kept waiting for more. */
    if (is_due || (all->count > 0 && !hf_cli_lines_ready(&all->lines)))
      status = flush(all);
    if (status == HF_CLI_DONE)
      status = hf_cli_lines_next(all->cli, &all->lines, &text, &bytes);
    if (status != HF_CLI_DONE) {
      int flushed = flush(all);
      return flushed != HF_CLI_DONE ? flushed : status;
    }
    if (text == NULL)
      return flush(all);
    if (is_blank(text, bytes)) {
      free(text);
      continue;
    }
    status = add_line(all, text, bytes);
    if (status != HF_CLI_DONE)
      return status;
  }
}

int hf_cli_save_batch(hf_cli *cli) {
  batch *all = calloc(1, sizeof *all);
  if (all == NULL)
    return hf_cli_no_memory(cli);
  all->cli = cli;
  all->lines.fd = -1;
  all->due = LINES_MAX;
  uint64_t line_bytes_max =
      hf_config_document_bytes_max(cli->config) + HF_CLI_BATCH_ENVELOPE_BYTES_MAX;
  int status = hf_cli_lines_open(cli, &all->lines, cli->args.operands[0], line_bytes_max);
  if (status == HF_CLI_DONE)
    status = read_lines(all);
  hf_cli_lines_close(&all->lines);
  for (size_t i = 0; i < all->count; i++)
    clear_line(&all->pending[i]);
  free(all);
  return status;
}
