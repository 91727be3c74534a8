#include <inttypes.h>
#include <pthread.h>
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
 * While they are saved, the next ones are read. */
enum { LINES_MAX = 8 * HF_BATCH_MAX, PENDING_BYTES_MAX = 6 * 1024 * 1024 };

typedef struct part {
  hf_cli *cli;
  hf_cli_batch_line pending[LINES_MAX];
  hf_save_request requests[LINES_MAX];
  hf_saved results[LINES_MAX];
  size_t count;
  size_t bytes;
  int rc; /* what saving them answered */
  hf_error err;
} part;

typedef struct batch {
  hf_cli *cli;
  hf_cli_lines lines;
  part part[2];
  part *filling;
  part *saving; /* by the thread; NULL: there is none */
  pthread_t thread;
  size_t due;     /* so many of them; the last one then fills a tile, so that a tile is one file */
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
static int tell_unsaved(const batch *all, const part *of, size_t i, int is_first) {
  const hf_saved *result = &of->results[i];
  hf_error err = HF_ERROR_INIT;
  if (is_first) {
    err = of->err;
    hf_cli_batch_line_place(&of->pending[i], &err);
  }
  err.code = result->status;
  if (!is_first)
    (void)snprintf(err.message, sizeof err.message, "%s", hf_status_text((int)result->status));
  if (result->status == HF_EUNSURE && result->id[0] != '\0')
    (void)snprintf(err.id, sizeof err.id, "%s", result->id);
  return line_error(all, of->pending[i].number, &err);
}

static void *save_part(void *argument) {
  part *of = argument;
  for (size_t i = 0; i < of->count; i++)
    of->requests[i] = of->pending[i].request;
  memset(of->results, 0, sizeof of->results);
  of->err = (hf_error)HF_ERROR_INIT;
  of->rc = hf_save_batch(of->cli->store, of->requests, of->count, of->cli->args.timeout_ms,
                         of->results, &of->err);
  return NULL;
}

/* What is read next stands behind these, and behind those that are being saved. */
static void set_due(batch *all, uint64_t last_seq) {
  uint64_t before = last_seq + (all->saving != NULL ? all->saving->count : 0);
  all->due = LINES_MAX - (size_t)(before % HF_BATCH_MAX);
}

/* What failed for one was no fault of its line: those behind it met the same. */
static int is_told_once(hf_status status) {
  return status == HF_EIO || status == HF_ELOCK || status == HF_EBACKEND || status == HF_ENOMEM;
}

/* Prints what became of them, and empties it. */
static int tell_part(batch *all, part *of) {
  hf_cli *cli = all->cli;
  int status = HF_CLI_DONE;
  hf_status told = HF_OK; /* of the first that was not saved */
  for (size_t i = 0; i < of->count; i++) {
    hf_saved *result = &of->results[i];
    if (of->rc != HF_OK && result->status == HF_OK && result->seq == 0)
      result->status = HF_ECANCELLED; /* it was not looked at */
    if (result->status == HF_OK) {
      hf_cli_print_saved(cli, result, &of->requests[i].key);
      all->saved++;
      if (result->created)
        set_due(all, result->seq);
    } else if (status == HF_CLI_DONE) {
      status = tell_unsaved(all, of, i, 1);
      told = result->status;
    } else if (result->status != HF_ECANCELLED && (result->status != told || !is_told_once(told))) {
      (void)tell_unsaved(all, of, i, 0);
    }
  }
  uint64_t last = of->pending[of->count - 1].number;
  for (size_t i = 0; i < of->count; i++)
    clear_line(&of->pending[i]);
  of->count = 0;
  of->bytes = 0;
  hf_cli_out_flush(cli); /* whoever reads learns at once what is durable */
  (void)snprintf(cli->saved_note, sizeof cli->saved_note,
                 "%" PRIu64 " lines are saved, up to line %" PRIu64, all->saved, last);
  if (status == HF_CLI_DONE && cli->out_errno != 0)
    status = HF_CLI_FAILED; /* told at the end */
  return status;
}

/* Waits for those that are being saved. They are untold yet; NULL: there are none. */
static part *wait_for_saving(batch *all) {
  part *of = all->saving;
  if (of != NULL)
    (void)pthread_join(all->thread, NULL);
  all->saving = NULL;
  return of;
}

static int finish(batch *all) {
  part *of = wait_for_saving(all);
  return of != NULL ? tell_part(all, of) : HF_CLI_DONE;
}

/* Begins to save those that wait; where there is no thread to be had, saves them. */
static void begin(batch *all) {
  part *of = all->filling;
  if (pthread_create(&all->thread, NULL, save_part, of) == 0)
    all->saving = of;
  else
    (void)save_part(of);
  all->filling = of == &all->part[0] ? &all->part[1] : &all->part[0];
}

/* Saves those that wait, behind those before them, and does not wait for it. Those before them are
 * told meanwhile, unless one of them was not saved: nothing is saved behind it. */
static int start(batch *all) {
  part *before = wait_for_saving(all);
  if (before != NULL && before->rc != HF_OK)
    return tell_part(all, before);
  part *of = all->filling;
  begin(all);
  int status = before != NULL ? tell_part(all, before) : HF_CLI_DONE;
  if (all->saving != NULL)
    return status;
  int own = tell_part(all, of);
  return status != HF_CLI_DONE ? status : own;
}

/* Saves all that was read. */
static int flush(batch *all) {
  int status = finish(all);
  if (status != HF_CLI_DONE || all->filling->count == 0)
    return status;
  (void)save_part(all->filling);
  return tell_part(all, all->filling);
}

/* Puts the line behind those that wait; one that is bad is told after these are saved. */
static int add_line(batch *all, char *text, size_t bytes) {
  part *to = all->filling;
  hf_cli_batch_line *line = &to->pending[to->count];
  hf_error err = HF_ERROR_INIT;
  uint64_t number = all->lines.number;
  line->text = text;
  line->doc_bytes_max = hf_config_document_bytes_max(all->cli->config);
  line->number = number;
  int rc = hf_cli_batch_line_parse(line, bytes, &err);
  if (rc == HF_OK) {
    to->count++;
    to->bytes += bytes;
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

/* Something is read, or being saved, that nobody was told of. */
static int owes_an_answer(const batch *all) {
  return all->saving != NULL || all->filling->count > 0;
}

static int read_lines(batch *all) {
  for (;;) {
    char *text = NULL;
    size_t bytes = 0;
    int status = HF_CLI_DONE;
    if (all->filling->count >= all->due || all->filling->bytes >= PENDING_BYTES_MAX)
      status = start(all);
    /* What trickles in is not kept waiting for more. */
    if (status == HF_CLI_DONE && owes_an_answer(all) && !hf_cli_lines_ready(&all->lines))
      status = flush(all);
    if (status != HF_CLI_DONE)
      return status;
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

static void free_batch(batch *all) {
  hf_cli_lines_close(&all->lines);
  for (size_t k = 0; k < 2; k++)
    for (size_t i = 0; i < all->part[k].count; i++)
      clear_line(&all->part[k].pending[i]);
  free(all);
}

int hf_cli_save_batch(hf_cli *cli) {
  batch *all = calloc(1, sizeof *all);
  if (all == NULL)
    return hf_cli_no_memory(cli);
  all->cli = all->part[0].cli = all->part[1].cli = cli;
  all->filling = &all->part[0];
  all->lines.fd = -1;
  all->due = LINES_MAX;
  uint64_t line_bytes_max =
      hf_config_document_bytes_max(cli->config) + HF_CLI_BATCH_ENVELOPE_BYTES_MAX;
  int status = hf_cli_lines_open(cli, &all->lines, cli->args.operands[0], line_bytes_max);
  if (status == HF_CLI_DONE)
    status = read_lines(all);
  (void)finish(all); /* where those before them could not be told */
  free_batch(all);
  return status;
}
