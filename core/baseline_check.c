/* Is a run worse than the baseline? By exact decimals. */
#include <holdfast/baseline.h>

#include <math.h>
#include <string.h>

#include "baseline_judge.h"
#include "baseline_make.h"
#include "err.h"
#include "json_number.h"
#include "plant.h"
#include "read.h"

#include "banned.h"

enum { TOLERANCE_BYTES_MAX = 64 };

static const hf_json zero = {"0", 1, HF_JSON_NUMBER};

/* ---- tolerances ------------------------------------------------------------------------------ */

/* NULL: 0. A number that is not negative. */
static int take_tolerance(const char *what, const char *text, hf_json *ret_number,
                          hf_error *reterr) {
  *ret_number = zero;
  if (text == NULL)
    return HF_OK;
  size_t bytes = strnlen(text, TOLERANCE_BYTES_MAX + 1);
  int is_number =
      bytes <= TOLERANCE_BYTES_MAX && hf_json_check(text, bytes, 0, 1, NULL, NULL, NULL) == HF_OK;
  if (is_number)
    *ret_number = hf_json_value(text, bytes);
  if (!is_number || ret_number->type != HF_JSON_NUMBER || ret_number->bytes != bytes ||
      hf_json_number_compare(ret_number, &zero) < 0)
    return hf_err(reterr, HF_EINVAL, what,
                  "\"%.64s\" is no number of 0 or more (at most %d characters); write it as 0.01",
                  text, TOLERANCE_BYTES_MAX);
  return HF_OK;
}

/* The digits of a number, without its point: the number is this * 10^*ret_exponent. */
static int64_t take_digits(const hf_number *n, signed char *digits) {
  for (size_t i = 0; i < n->count; i++)
    digits[i] = (signed char)(hf_number_digit(n, n->first + i) - '0');
  return n->count == 0 ? 0 : hf_number_point(n) - (int64_t)n->count;
}

/* Appends |a| * b / 100, exactly. 1; 0: an exponent is too long to be looked at; HF_ENOMEM. */
static int add_percent_of(const hf_json *a, const hf_json *b, hf_buf *out) {
  hf_number x = hf_number_split(a->text, a->text + a->bytes);
  hf_number y = hf_number_split(b->text, b->text + b->bytes);
  signed char left[HF_BASELINE_VALUE_BYTES_MAX];
  signed char right[TOLERANCE_BYTES_MAX];
  int product[HF_BASELINE_VALUE_BYTES_MAX + TOLERANCE_BYTES_MAX + 1] = {0};
  if (hf_number_is_far(&x) || hf_number_is_far(&y))
    return 0;
  int64_t exponent = take_digits(&x, left) + take_digits(&y, right) - 2;
  size_t count = x.count + y.count;
  for (size_t i = x.count; i-- > 0;)
    for (size_t j = y.count; j-- > 0;)
      product[i + j + 1] += left[i] * right[j]; /* at most 64 * 81 in each */
  for (size_t i = count; i-- > 1;) {
    product[i - 1] += product[i] / 10;
    product[i] %= 10;
  }
  (void)hf_buf_add_char(out, '0'); /* so that there is a digit where the product is 0 */
  for (size_t i = 0; i < count; i++)
    (void)hf_buf_add_char(out, (char)('0' + product[i]));
  return hf_buf_printf(out, "e%lld", (long long)exponent) == 0 ? 1 : HF_ENOMEM;
}

typedef struct tolerances {
  hf_json absolute;
  hf_json percent;
} tolerances;

/* Is `worse`, which is above 0, beyond what is tolerated? Within either tolerance is within. 1, 0
 * or negative. */
static int is_beyond(const tolerances *allowed, const hf_json *worse, const hf_json *baseline,
                     hf_error *reterr) {
  hf_autobuf part = {0};
  if (hf_json_number_compare(worse, &allowed->absolute) <= 0)
    return 0;
  int got = add_percent_of(baseline, &allowed->percent, &part);
  if (got < 0)
    return hf_err_nomem(reterr);
  hf_json limit = {part.data, part.used, HF_JSON_NUMBER};
  return got == 0 || hf_json_number_compare(worse, &limit) > 0;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static hf_json without_sign(const hf_json *number) {
  int negative = number->text[0] == '-';
  hf_json size = {number->text + negative, number->bytes - (size_t)negative, HF_JSON_NUMBER};
  return size;
}

/* |value - baseline|. Where that has too many digits the two lie so far apart that it is the larger
 * of them, but for what no tolerance tells. */
static int add_distance(const hf_json *value, const hf_json *baseline, hf_buf *out,
                        hf_checked *checked, hf_error *reterr) {
  int got = hf_json_number_subtract(value, baseline, out);
  if (got < 0)
    return hf_err_nomem(reterr);
  if (got == 1 && out->used < sizeof checked->delta) {
    memcpy(checked->delta, out->data, out->used + 1);
    return HF_OK;
  }
  hf_json a = without_sign(value);
  hf_json b = without_sign(baseline);
  const hf_json *larger = hf_json_number_compare(&a, &b) < 0 ? &b : &a;
  hf_buf_clear(out);
  return hf_buf_add(out, larger->text, larger->bytes) == 0 ? HF_OK : hf_err_nomem(reterr);
}

static void take_percent(const hf_json *baseline, hf_checked *checked) {
  hf_json delta = {checked->delta, strlen(checked->delta), HF_JSON_NUMBER};
  double size = hf_json_number_double(baseline);
  size = size < 0 ? -size : size;
  double percent = size > 0 && delta.bytes > 0 ? hf_json_number_double(&delta) / size * 100 : 0;
  checked->has_percent = size > 0 && delta.bytes > 0 && isfinite(percent);
  checked->percent = checked->has_percent ? percent : 0;
}

static int compare(const hf_json *value, const hf_json *baseline, hf_goal goal,
                   const tolerances *allowed, hf_checked *checked, hf_error *reterr) {
  hf_autobuf distance = {0};
  memcpy(checked->value, value->text, value->bytes);
  memcpy(checked->baseline_value, baseline->text, baseline->bytes);
  int status = add_distance(value, baseline, &distance, checked, reterr);
  if (status != HF_OK)
    return status;
  take_percent(baseline, checked);
  checked->result = HF_CHECK_PASSED;
  if (!hf_goal_is_better(goal, baseline, value))
    return HF_OK;
  hf_json signed_distance = {distance.data, distance.used, HF_JSON_NUMBER};
  hf_json worse = without_sign(&signed_distance);
  int beyond = is_beyond(allowed, &worse, baseline, reterr);
  if (beyond == 1)
    checked->result = HF_CHECK_WORSE;
  return beyond < 0 ? beyond : HF_OK;
}

/* ---- finding what is compared ---------------------------------------------------------------- */

typedef struct comparison {
  hf_store *store;
  uint64_t seq;
  hf_buf text; /* of the snapshot's record, */
  hf_line line;
  hf_buf doc; /* its document, where it is a blob, */
  uint64_t baseline_seq;
  hf_buf baseline_text; /* of the baseline's record, */
  hf_line baseline;
  hf_buf of_text; /* of its snapshot's, */
  hf_buf of_doc;  /* and that one's document */
  hf_buf metric;  /* the pointer */
  hf_goal goal;
} comparison;

static void comparison_free(comparison *c) {
  hf_buf_free(&c->text);
  hf_buf_free(&c->doc);
  hf_buf_free(&c->baseline_text);
  hf_buf_free(&c->of_text);
  hf_buf_free(&c->of_doc);
  hf_buf_free(&c->metric);
}

/* The snapshot and the baseline. */
static int find(comparison *c, uint64_t *ret_head, hf_error *reterr) {
  hf_row row;
  hf_store *store = c->store;
  int status = hf_read_begin(store, ret_head, reterr);
  if (status == HF_OK && (c->seq == 0 || c->seq > *ret_head))
    status = hf_err(reterr, HF_ENOTFOUND, store->path, "there is no seq %llu; the head is %llu",
                    (unsigned long long)c->seq, (unsigned long long)*ret_head);
  if (status == HF_OK)
    status = hf_read_line(store, c->seq, &row, &c->text, &c->line, reterr);
  if (status == HF_OK)
    status = hf_baseline_check_snapshot(store, c->seq, &c->line, reterr);
  if (status != HF_OK)
    return status;
  const hf_peers of = {c->line.group, c->line.stage, c->line.dims};
  int got = hf_baseline_find(store, &of, *ret_head + 1, 0, &c->baseline_seq, &c->baseline_text,
                             &c->baseline, reterr);
  if (got < 0)
    return got;
  if (got == 0 || c->baseline.by == HF_BY_CLEAR)
    return hf_err(reterr, HF_ENOTFOUND, store->path,
                  "there is no baseline to compare seq %llu with; baseline establish makes one",
                  (unsigned long long)c->seq);
  if (hf_piece_equal(c->baseline.run, c->line.run) && !HF_PLANTED(BASELINE_OWN))
    return hf_err(reterr, HF_ENOTFOUND, store->path,
                  "seq %llu is of the run that is the baseline, since seq %llu; a run is never its "
                  "own baseline, so there is nothing to compare it with",
                  (unsigned long long)c->seq, (unsigned long long)c->baseline_seq);
  return HF_OK;
}

/* The baseline's number: as its record says, or, at a metric that was given, as its document says.
 */
static int find_baseline_value(comparison *c, const hf_check_options *options, hf_json *ret_value,
                               hf_error *reterr) {
  hf_line of;
  hf_row row;
  if (options->metric == NULL && c->baseline.metric.text == NULL)
    return hf_err(reterr, HF_ENOTFOUND, c->store->path,
                  "the baseline, since seq %llu, was set without a metric; give one",
                  (unsigned long long)c->baseline_seq);
  hf_json string = {c->baseline.metric.text, c->baseline.metric.bytes, HF_JSON_STRING};
  c->goal = options->metric != NULL ? options->goal : c->baseline.goal;
  int failed = options->metric != NULL ? hf_buf_add_text(&c->metric, options->metric)
                                       : hf_json_decode_string(&string, &c->metric);
  if (failed != 0 || hf_buf_add(&c->metric, "", 0) != 0)
    return hf_err_nomem(reterr);
  if (options->metric == NULL) {
    *ret_value = (hf_json){c->baseline.value.text, c->baseline.value.bytes, HF_JSON_NUMBER};
    return HF_OK;
  }
  int status = hf_read_line(c->store, c->baseline.of, &row, &c->of_text, &of, reterr);
  if (status != HF_OK)
    return status;
  int has = hf_metric_of(c->store, c->baseline.of, &of, options->metric, 0, &c->of_doc, ret_value,
                         reterr);
  if (has == 0)
    return hf_err(reterr, HF_ENOTFOUND, c->store->path,
                  "the baseline, seq %llu, has no number at %.200s",
                  (unsigned long long)c->baseline.of, options->metric);
  return has < 0 ? has : HF_OK;
}

static int check(comparison *c, const hf_check_options *options, hf_checked *checked,
                 hf_baseline **ret_baseline, hf_error *reterr) {
  uint64_t head = 0;
  hf_json value;
  hf_json baseline;
  tolerances allowed;
  int status = HF_OK;
  if (options->metric != NULL)
    status = hf_metric_check(options->metric, options->goal, reterr);
  if (status == HF_OK)
    status = take_tolerance("tolerance", options->tolerance, &allowed.absolute, reterr);
  if (status == HF_OK)
    status = take_tolerance("tolerance", options->tolerance_percent, &allowed.percent, reterr);
  if (status == HF_OK)
    status = find(c, &head, reterr);
  if (status == HF_OK)
    status = find_baseline_value(c, options, &baseline, reterr);
  if (status != HF_OK)
    return status;
  int has = hf_metric_of(c->store, c->seq, &c->line, c->metric.data, 0, &c->doc, &value, reterr);
  if (has == 1) {
    status = compare(&value, &baseline, c->goal, &allowed, checked, reterr);
  } else if (has == 0) {
    checked->result = HF_CHECK_NO_METRIC;
    memcpy(checked->baseline_value, baseline.text, baseline.bytes);
  }
  if (has < 0 || status != HF_OK)
    return has < 0 ? has : status;
  return ret_baseline == NULL ? HF_OK
                              : hf_baseline_read(c->store, c->baseline_seq, &c->baseline_text,
                                                 &c->baseline, head, ret_baseline, reterr);
}

int hf_baseline_check(hf_store *store, uint64_t seq, const hf_check_options *options,
                      hf_checked *ret_checked, hf_baseline **ret_baseline, hf_error *reterr) {
  static const hf_check_options strict;
  comparison c = {.store = store, .seq = seq};
  hf_checked checked;
  memset(&checked, 0, sizeof checked);
  int status = check(&c, options != NULL ? options : &strict, &checked, ret_baseline, reterr);
  comparison_free(&c);
  if (status == HF_OK)
    *ret_checked = checked;
  return status;
}

int hf_baseline_compare(const hf_baseline *baseline, const char *value, size_t value_bytes,
                        const hf_check_options *options, hf_checked *ret_checked,
                        hf_error *reterr) {
  static const hf_check_options strict;
  tolerances allowed;
  hf_checked checked;
  if (options == NULL)
    options = &strict;
  if (baseline->metric == NULL || baseline->value == NULL)
    return hf_err(reterr, HF_ENOTFOUND, NULL, "the baseline, since seq %llu, has no metric",
                  (unsigned long long)baseline->seq);
  int status = take_tolerance("tolerance", options->tolerance, &allowed.absolute, reterr);
  if (status == HF_OK)
    status = take_tolerance("tolerance", options->tolerance_percent, &allowed.percent, reterr);
  if (status != HF_OK)
    return status;
  int is_number = value_bytes <= HF_BASELINE_VALUE_BYTES_MAX &&
                  hf_json_check(value, value_bytes, 0, 1, NULL, NULL, NULL) == HF_OK;
  hf_json own = is_number ? hf_json_value(value, value_bytes) : (hf_json){0};
  hf_json best = hf_json_value(baseline->value, strlen(baseline->value));
  if (!is_number || own.type != HF_JSON_NUMBER)
    return hf_err(reterr, HF_EINVAL, NULL, "\"%.*s\" is no number of at most %d characters",
                  (int)(value_bytes < 64 ? value_bytes : 64), value, HF_BASELINE_VALUE_BYTES_MAX);
  memset(&checked, 0, sizeof checked);
  status = compare(&own, &best, baseline->goal, &allowed, &checked, reterr);
  if (status == HF_OK)
    *ret_checked = checked;
  return status;
}
