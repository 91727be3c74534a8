#include "sort.h"

#include <stdlib.h>
#include <string.h>

#include "errors.h"

enum { ROWS_FIRST = 1024 };

typedef struct row {
  hf_value key;
  uint64_t number; /* in the order of the walk: rows that are equal stay in it */
  char **cells;
  size_t bytes;
} row;

struct hf_cli_sort {
  const hf_cli *cli;
  hf_field *field;
  int descending;
  uint64_t limit; /* 0: all */
  size_t cells;
  row *rows;
  size_t count, allocated;
  size_t bytes;
  uint64_t walked;
  int is_cut; /* rows[0 .. limit - 1] are in order, and the last of them is known */
  hf_value next;
};

static void row_free(row *one, size_t cells) {
  for (size_t i = 0; one->cells != NULL && i < cells; i++)
    free(one->cells[i]);
  free(one->cells);
  hf_value_clear(&one->key);
}

void hf_cli_sort_free(hf_cli_sort **sort) {
  hf_cli_sort *all = *sort;
  if (all == NULL)
    return;
  for (size_t i = 0; i < all->count; i++)
    row_free(&all->rows[i], all->cells);
  free(all->rows);
  hf_value_clear(&all->next);
  hf_field_free(&all->field);
  free(all);
  *sort = NULL;
}

/* Cuts ":desc" or ":asc" off. */
static char *column_of(const char *order, int *ret_descending) {
  static const char *const ends[] = {":asc", ":desc"};
  char *column = strdup(order);
  size_t bytes = strlen(order);
  *ret_descending = 0;
  for (int i = 0; column != NULL && i < 2; i++) {
    size_t end = strlen(ends[i]);
    if (bytes > end && strcmp(order + bytes - end, ends[i]) == 0) {
      column[bytes - end] = '\0';
      *ret_descending = i;
    }
  }
  return column;
}

int hf_cli_sort_begin(const hf_cli *cli, const char *order, uint64_t limit, size_t cells,
                      hf_cli_sort **ret_sort) {
  hf_error err = HF_ERROR_INIT;
  hf_cli_sort *sort = calloc(1, sizeof *sort);
  char *column = sort != NULL ? column_of(order, &sort->descending) : NULL;
  int status = HF_CLI_DONE;
  if (column == NULL) {
    status = hf_cli_no_memory(cli);
  } else {
    sort->cli = cli;
    sort->limit = limit;
    sort->cells = cells;
    int failed = hf_field_parse(column, NULL, &sort->field, &err) != HF_OK;
    const char *end = strpbrk(column, "/@\"") == NULL ? strchr(column, ':') : NULL;
    if (failed && end != NULL)
      status = hf_cli_usage(cli, "--sort", "\"%.40s\" is neither :desc nor :asc", end);
    else if (failed)
      status = hf_cli_expr_error(cli, "--sort", 0, &err);
  }
  free(column);
  if (status != HF_CLI_DONE)
    hf_cli_sort_free(&sort);
  *ret_sort = sort;
  return status;
}

int hf_cli_sort_needs_document(const hf_cli_sort *sort) {
  return hf_field_needs_document(sort->field);
}

static int is_last(const hf_value *value) {
  return value->type == HF_VALUE_ABSENT || value->type == HF_VALUE_NULL;
}

/* What is absent stands last, whatever the direction. */
static int compare_keys(const hf_value *a, const hf_value *b, int descending) {
  if (is_last(a) || is_last(b))
    return is_last(a) - is_last(b);
  return descending ? hf_value_compare(b, a) : hf_value_compare(a, b);
}

static int compare_rows(const void *a, const void *b, void *context) {
  const hf_cli_sort *sort = context;
  const row *x = a;
  const row *y = b;
  int order = compare_keys(&x->key, &y->key, sort->descending);
  return order != 0 ? order : (x->number > y->number) - (x->number < y->number);
}

/* Puts into order, and drops what stands behind the limit. */
static void cut(hf_cli_sort *sort) {
  if (sort->count > 1)
    qsort_r(sort->rows, sort->count, sizeof *sort->rows, compare_rows, sort);
  while (sort->limit > 0 && sort->count > sort->limit) {
    row *last = &sort->rows[--sort->count];
    sort->bytes -= last->bytes;
    row_free(last, sort->cells);
  }
  sort->is_cut = sort->limit > 0 && sort->count == sort->limit;
}

int hf_cli_sort_wants(hf_cli_sort *sort, const hf_record *record, int *ret_status) {
  hf_error err = HF_ERROR_INIT;
  sort->walked++;
  if (hf_field_get(sort->field, record, &sort->next, &err) < 0) {
    *ret_status = hf_cli_library_error(sort->cli, NULL, &err);
    return -1;
  }
  return !sort->is_cut ||
         compare_keys(&sort->next, &sort->rows[sort->limit - 1].key, sort->descending) < 0;
}

static int make_room(hf_cli_sort *sort) {
  if (sort->limit > 0 && sort->count >= ROWS_FIRST && sort->count / 2 >= sort->limit)
    cut(sort);
  if (sort->bytes > HF_CLI_SORT_BYTES_MAX)
    return hf_cli_failed(sort->cli, "--sort",
                         "more than %d MiB wait to be sorted; say --limit, fewer --columns or a "
                         "narrower --where",
                         HF_CLI_SORT_BYTES_MAX / (1024 * 1024));
  if (sort->count < sort->allocated)
    return HF_CLI_DONE;
  size_t allocated = sort->allocated == 0 ? ROWS_FIRST : sort->allocated * 2;
  row *rows = realloc(sort->rows, allocated * sizeof *rows);
  if (rows == NULL)
    return hf_cli_no_memory(sort->cli);
  sort->rows = rows;
  sort->allocated = allocated;
  return HF_CLI_DONE;
}

int hf_cli_sort_add(hf_cli_sort *sort, char *const *cells) {
  int status = make_room(sort);
  row one = {sort->next, sort->walked, NULL, sizeof one};
  one.cells = status == HF_CLI_DONE ? calloc(sort->cells, sizeof *one.cells) : NULL;
  if (one.cells == NULL) {
    for (size_t i = 0; i < sort->cells; i++)
      free(cells[i]);
    return status == HF_CLI_DONE ? hf_cli_no_memory(sort->cli) : status;
  }
  memset(&sort->next, 0, sizeof sort->next);
  one.bytes += sort->cells * sizeof *cells + 2 * one.key.json_bytes;
  for (size_t i = 0; i < sort->cells; i++) {
    one.cells[i] = cells[i];
    one.bytes += cells[i] != NULL ? strlen(cells[i]) + 1 : 0;
  }
  sort->bytes += one.bytes;
  sort->rows[sort->count++] = one;
  return HF_CLI_DONE;
}

void hf_cli_sort_end(hf_cli_sort *sort) {
  cut(sort);
}

char **hf_cli_sort_row(hf_cli_sort *sort, size_t number) {
  return number < sort->count ? sort->rows[number].cells : NULL;
}
