#include "difftext.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "errors.h"
#include "output.h"
#include "table.h"
#include "text.h"

enum {
  COLUMNS_DEFAULT = 80,
  COLUMNS_LEAST = 40,
  WORD_COLUMNS = 8, /* "critical", "left out" */
  POINTER_AT = 2 + WORD_COLUMNS + 2 + 2,
  VALUES_LEAST = 30, /* what a pointer leaves for the values on its line */
  VALUE_LEAST = 6,
  ARROW_COLUMNS = 4, /* " -> " */
  DELTA_COLUMNS = 24,
  CONTEXT_BYTES = 12, /* of a long value before what differs */
  PERCENT_BYTES = 32,
  COUNT_BYTES = 48, /* "12345 within the tolerance" */
  NEXT_LINE = 2,    /* a sentence's other lines are set in by this */
};

typedef struct page {
  hf_cli *cli;
  size_t columns;
  int terminal;
  int colour;
  size_t pointer_columns[HF_SECTIONS];
} page;

#define ELLIPSIS "\xE2\x80\xA6"
#define PLAIN "\033[0m"
#define BOLD "\033[1m"

static void put(const page *p, const char *colour, const char *text) {
  if (p->colour && colour != NULL)
    hf_cli_out_format(p->cli, "%s%s" PLAIN, colour, text);
  else
    hf_cli_out_text(p->cli, text);
}

static page begin_page(hf_cli *cli) {
  page p = {.cli = cli, .columns = COLUMNS_DEFAULT};
  size_t wide = hf_cli_terminal_columns();
  const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
  p.terminal = isatty(STDOUT_FILENO) == 1;
  if (wide > 0)
    p.columns = wide > COLUMNS_LEAST ? wide : COLUMNS_LEAST;
  p.colour = p.terminal && (no_color == NULL || no_color[0] == '\0') &&
             (term == NULL || strcmp(term, "dumb") != 0);
  return p;
}

/* ---- which snapshots ---- */

static void print_snapshot(const page *p, const char *mark, const char *colour,
                           const hf_record *record) {
  char *line = NULL;
  size_t bytes = 0;
  FILE *to = open_memstream(&line, &bytes);
  int failed = to == NULL;
  if (to != NULL) {
    failed |= fprintf(to, "%s seq %" PRIu64 "  %s  %s", mark, record->seq, record->run_id,
                      record->stage) < 0;
    for (size_t i = 0; i < record->dims_count; i++)
      failed |= fprintf(to, "  %s=%s", record->dims[i].name, record->dims[i].value) < 0;
    failed |= record->ts != NULL && fprintf(to, "  %s", record->ts) < 0;
    failed |= fclose(to) != 0;
  }
  char *fits = failed ? NULL : hf_cli_visible_middle(line, bytes, p->columns, NULL);
  if (fits != NULL)
    put(p, colour, fits);
  else
    hf_cli_out_no_memory(p->cli);
  hf_cli_out_text(p->cli, "\n");
  free(fits);
  free(line);
}

/* ---- one change ---- */

static const char *word_of(const hf_change *change, const char **ret_colour) {
  static const char *const colours[HF_SEVERITIES] = {"\033[2m", "\033[36m", "\033[33m",
                                                     "\033[1;31m"};
  *ret_colour = colours[HF_SEVERITY_NONE];
  switch (change->kind) {
  case HF_CHANGE_SAME:
    return "same";
  case HF_CHANGE_CLOSE:
    return "close";
  case HF_CHANGE_LEFT_OUT:
    return "left out";
  case HF_CHANGE_ADDED:
  case HF_CHANGE_REMOVED:
  case HF_CHANGE_CHANGED:
    break;
  }
  *ret_colour = colours[change->severity];
  return hf_severity_name(change->severity);
}

static const char *mark_of(const hf_change *change, const char **ret_colour) {
  *ret_colour = NULL;
  if (change->kind == HF_CHANGE_SAME)
    return "=";
  if (change->old_text == NULL) {
    *ret_colour = "\033[32m";
    return "+";
  }
  if (change->new_text == NULL) {
    *ret_colour = "\033[31m";
    return "-";
  }
  return "~";
}

static void write_percent(const hf_change *change, char *text, size_t bytes) {
  double size = fabs(change->percent);
  text[0] = '\0';
  if (!change->has_percent)
    return;
  if (size >= 1000 && size < 1e9)
    (void)snprintf(text, bytes, "  %+.0f %%", change->percent);
  else
    (void)snprintf(text, bytes, "  %+.3g %%", change->percent);
}

/* "^ +0.25  +3.1 %", or "", in about `room` columns: the number is cut. The caller frees it; NULL:
 * out of memory. */
static char *delta_of(const page *p, const hf_change *change, size_t room, size_t *ret_columns) {
  *ret_columns = 0;
  if (change->direction == 0 || change->kind == HF_CHANGE_SAME)
    return strdup("");
  char percent[PERCENT_BYTES];
  write_percent(change, percent, sizeof percent);
  char *delta = NULL, *text = NULL;
  const char *known = change->delta != NULL ? change->delta : "";
  size_t columns = 0, bytes = 0;
  size_t beside = (size_t)(p->terminal ? 2 : 0) + 1 + strlen(percent);
  size_t least = room > beside + VALUE_LEAST ? room - beside : VALUE_LEAST;
  delta = hf_cli_visible_middle(known, strlen(known), least < DELTA_COLUMNS ? least : DELTA_COLUMNS,
                                &columns);
  FILE *to = delta != NULL ? open_memstream(&text, &bytes) : NULL;
  int failed = to == NULL;
  if (to != NULL) {
    const char *arrow = change->direction > 0 ? "\xE2\x96\xB2 " : "\xE2\x96\xBC ";
    failed |= fprintf(to, "%s%s%s%s", p->terminal ? arrow : "",
                      change->direction > 0 && known[0] != '\0' ? "+" : "", delta, percent) < 0;
    failed |= fclose(to) != 0;
  }
  free(delta);
  if (failed) {
    free(text);
    return NULL;
  }
  *ret_columns = (size_t)(p->terminal ? 2 : 0) + columns + strlen(percent) +
                 (change->direction > 0 && known[0] != '\0' ? 1 : 0);
  return text;
}

/* What stands on a line behind the pointer. */
typedef struct values {
  char *old;
  char *new;
  char *delta;
  size_t columns;
} values;

static void free_values(values *v) {
  free(v->old);
  free(v->new);
  free(v->delta);
  *v = (values){NULL, NULL, NULL, 0};
}

/* A value, or, from > 0, its rest behind an ellipsis. */
static char *shown_from(const char *text, size_t bytes, size_t from, size_t columns,
                        size_t *ret_columns) {
  if (from == 0)
    return hf_cli_visible_middle(text, bytes, columns, ret_columns);
  char *rest = hf_cli_visible_middle(text + from, bytes - from, columns - 1, ret_columns);
  char *made = NULL;
  size_t made_bytes = 0;
  FILE *to = rest != NULL ? open_memstream(&made, &made_bytes) : NULL;
  if (to != NULL) {
    int failed = fprintf(to, ELLIPSIS "%s", rest) < 0;
    failed |= fclose(to) != 0;
    if (failed) {
      free(made);
      made = NULL;
    }
  }
  free(rest);
  *ret_columns += 1;
  return made;
}

/* A little before the first byte that differs, at the beginning of a character. */
static size_t before_difference(const hf_change *change) {
  size_t at = 0;
  while (at < change->old_bytes && at < change->new_bytes &&
         change->old_text[at] == change->new_text[at])
    at++;
  at = at > CONTEXT_BYTES ? at - CONTEXT_BYTES : 0;
  while (at > 0 && ((unsigned char)change->old_text[at] & 0xC0) == 0x80)
    at--;
  return at;
}

/* Old and new share what there is; one that needs less leaves the rest to the other. 0 or -1. */
static int fit_both(const hf_change *change, size_t from, size_t room, values *v,
                    size_t *ret_columns) {
  size_t old_columns = 0, new_columns = 0;
  free(v->old);
  free(v->new);
  v->old = shown_from(change->old_text, change->old_bytes, from, room, &old_columns);
  v->new = shown_from(change->new_text, change->new_bytes, from, room, &new_columns);
  if (v->old == NULL || v->new == NULL)
    return -1;
  if (old_columns + new_columns > room) {
    size_t half = room / 2;
    size_t for_old = old_columns <= half          ? old_columns
                     : new_columns <= room - half ? room - new_columns
                                                  : half;
    free(v->old);
    free(v->new);
    v->old = shown_from(change->old_text, change->old_bytes, from, for_old, &old_columns);
    v->new = shown_from(change->new_text, change->new_bytes, from, room - for_old, &new_columns);
  }
  *ret_columns = old_columns + new_columns;
  return v->old != NULL && v->new != NULL ? 0 : -1;
}

/* Fits them into `room` columns, if they can be cut so far; what a number changed by, too, if
 * `all`. 0 or -1. */
static int fit_values(const page *p, const hf_change *change, size_t room, int all, values *v) {
  size_t delta_columns = 0, columns = 0;
  *v = (values){NULL, NULL, NULL, 0};
  int both = change->old_text != NULL && change->new_text != NULL && change->kind != HF_CHANGE_SAME;
  size_t least = both ? 2 * VALUE_LEAST : VALUE_LEAST;
  size_t taken = least + (both ? ARROW_COLUMNS : 0) + 2;
  size_t for_delta = !all ? p->columns : room > taken ? room - taken : 0;
  v->delta = delta_of(p, change, for_delta, &delta_columns);
  if (v->delta == NULL)
    return -1;
  size_t beside = (both ? ARROW_COLUMNS : 0) + (delta_columns > 0 ? delta_columns + 2 : 0);
  size_t left = room > beside + least ? room - beside : least;
  if (!both) {
    const char *text = change->old_text != NULL ? change->old_text : change->new_text;
    size_t bytes = change->old_text != NULL ? change->old_bytes : change->new_bytes;
    v->old = hf_cli_visible_middle(text, bytes, left, &columns);
    v->columns = columns + beside;
    return v->old != NULL ? 0 : -1;
  }
  int failed = fit_both(change, 0, left, v, &columns);
  if (failed == 0 && strcmp(v->old, v->new) == 0) /* what differs was cut out */
    failed = fit_both(change, before_difference(change), left, v, &columns);
  v->columns = columns + beside;
  return failed;
}

static int is_uncut(const values *v) {
  return strstr(v->old, ELLIPSIS) == NULL && (v->new == NULL || strstr(v->new, ELLIPSIS) == NULL);
}

static void put_values(const page *p, const values *v) {
  hf_cli_out_text(p->cli, v->old);
  if (v->new != NULL)
    hf_cli_out_format(p->cli, " -> %s", v->new);
  if (v->delta[0] != '\0') {
    hf_cli_out_text(p->cli, "  ");
    put(p, BOLD, v->delta);
  }
  hf_cli_out_text(p->cli, "\n");
}

/* Behind the pointer, with the blanks that a column of pointers needs or without them, if they fit
 * uncut; else on a line of their own. *ret_blanks: 0: on a line of their own. 0 or -1. */
static int place_values(const page *p, const hf_change *change, size_t pointer_columns, values *v,
                        size_t *ret_blanks) {
  size_t column = p->pointer_columns[change->section];
  size_t padded = column > pointer_columns ? column : pointer_columns;
  const size_t tries[] = {padded, pointer_columns};
  for (size_t i = 0; i < 2; i++) {
    size_t used = POINTER_AT + tries[i] + 2;
    size_t room = p->columns > used ? p->columns - used : 0;
    if (fit_values(p, change, room, 0, v) != 0)
      return -1;
    *ret_blanks = tries[i] - pointer_columns + 2;
    if (v->columns <= room && is_uncut(v))
      return 0;
    free_values(v);
  }
  *ret_blanks = 0;
  return fit_values(p, change, p->columns - POINTER_AT, 1, v);
}

static int print_change(const page *p, const hf_change *change) {
  const char *colour = NULL;
  const char *word = word_of(change, &colour);
  size_t columns = 0, blanks = 0;
  char *pointer = hf_cli_visible_middle(change->pointer, strlen(change->pointer),
                                        p->columns - POINTER_AT, &columns);
  values v = {NULL, NULL, NULL, 0};
  int failed = pointer == NULL || place_values(p, change, columns, &v, &blanks) != 0;
  if (!failed) {
    hf_cli_out_text(p->cli, "  ");
    put(p, colour, word);
    hf_cli_out_format(p->cli, "%*s", (int)(WORD_COLUMNS - strlen(word) + 2), "");
    const char *mark = mark_of(change, &colour);
    put(p, colour, mark);
    hf_cli_out_format(p->cli, " %s", pointer);
    if (blanks > 0)
      hf_cli_out_format(p->cli, "%*s", (int)blanks, "");
    else
      hf_cli_out_format(p->cli, "\n%*s", POINTER_AT, "");
    put_values(p, &v);
  }
  free_values(&v);
  free(pointer);
  return failed ? -1 : 0;
}

/* ---- all ---- */

/* As wide as the longest pointer that leaves room for values. */
static int measure(page *p, hf_diff_result *result, hf_error *reterr) {
  size_t most =
      p->columns > POINTER_AT + 2 + VALUES_LEAST ? p->columns - POINTER_AT - 2 - VALUES_LEAST : 0;
  hf_change change;
  int got = 0;
  while ((got = hf_diff_next(result, &change, reterr)) == 1) {
    size_t columns = 0;
    char *pointer = hf_cli_visible(change.pointer, strlen(change.pointer), &columns);
    if (pointer == NULL)
      return HF_ENOMEM;
    free(pointer);
    if (columns <= most && columns > p->pointer_columns[change.section])
      p->pointer_columns[change.section] = columns;
  }
  return got;
}

static void print_hidden(const page *p, const hf_diff_summary *summary) {
  char left_out[COUNT_BYTES] = "", close[COUNT_BYTES] = "";
  if (p->cli->args.all || summary->left_out + summary->close == 0)
    return;
  if (summary->left_out > 0)
    (void)snprintf(left_out, sizeof left_out, "%" PRIu64 " left out", summary->left_out);
  if (summary->close > 0)
    (void)snprintf(close, sizeof close, "%" PRIu64 " within the tolerance", summary->close);
  const char *between = left_out[0] != '\0' && close[0] != '\0' ? ", " : "";
  hf_cli_out_wrapped_format(p->cli, NEXT_LINE, "Not shown: %s%s%s (--all shows them)", left_out,
                            between, close);
}

static void print_end(const page *p, const hf_diff_summary *summary) {
  hf_cli *cli = p->cli;
  if (summary->identical) {
    hf_cli_out_text(cli, "\nThe documents are identical.\n");
    return;
  }
  if (summary->changes == 0) {
    hf_cli_out_text(cli, "\nNothing differs that counts.\n");
  } else {
    char counts[HF_SEVERITIES * COUNT_BYTES] = "";
    size_t used = 0;
    for (int i = HF_SEVERITIES; i-- > 0;)
      if (summary->by_severity[i] > 0)
        used += (size_t)snprintf(counts + used, sizeof counts - used, "%s%" PRIu64 " %s",
                                 used > 0 ? ", " : "", summary->by_severity[i],
                                 hf_severity_name((hf_severity)i));
    hf_cli_out_text(cli, "\n");
    hf_cli_out_wrapped_format(cli, NEXT_LINE, "%" PRIu64 " change%s: %s", summary->changes,
                              summary->changes == 1 ? "" : "s", counts);
  }
  print_hidden(p, summary);
}

int hf_cli_diff_print_text(hf_cli *cli, const hf_record *a, const hf_record *b,
                           hf_diff_result *result) {
  page p = begin_page(cli);
  hf_error err = HF_ERROR_INIT;
  print_snapshot(&p, "---", "\033[31m", a);
  print_snapshot(&p, "+++", "\033[32m", b);
  int got = measure(&p, result, &err);
  int section = -1;
  hf_change change;
  while (got >= 0 && (got = hf_diff_next(result, &change, &err)) == 1) {
    if ((int)change.section != section) {
      section = (int)change.section;
      hf_cli_out_text(cli, "\n");
      put(&p, BOLD, hf_section_name(change.section));
      hf_cli_out_text(cli, "\n");
    }
    if (print_change(&p, &change) != 0)
      return hf_cli_no_memory(cli);
  }
  if (got < 0)
    return hf_cli_no_memory(cli);
  print_end(&p, hf_diff_summary_of(result));
  return HF_CLI_DONE;
}
