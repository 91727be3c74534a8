/* Holdfast: baselines: what the runs of a group are measured against.
 *
 * A baseline is a snapshot that was chosen among comparable ones (the same group, stage and dims)
 * by a metric in its document. It is kept as a record in the log (op "baseline"), committed by the
 * same rules as a save: durable before it is answered, the same for everybody, never lost. There
 * is one at most at any seq for each (group, stage, dims): the last such record decides, one that
 * clears it included; those before it are its history.
 *
 *     hf_baseline_establish   the best of N comparable runs, unless there is one already
 *     hf_baseline_set         this snapshot, by hand
 *     hf_baseline_update      a better run that was saved since, if any
 *     hf_baseline_clear       none from here on
 *     hf_baseline_get         the one in force;  hf_baseline_last: the history
 *     hf_baseline_check       is a run worse than it?  hf_baseline_compare: is this number?
 *
 * When it is judged. Whether there is a baseline, and which run is the best, is judged at the very
 * place in the log where the record is committed: the record with seq N was chosen from all records
 * below N, those included that came while its maker waited for its turn. So establish, set, update
 * and clear happen one after the other, in the order of their seqs, whatever the locker, and
 * whoever is paused or killed: of any number of processes that establish at once one makes the
 * baseline, and all others answer that one. Killed at any instant, a maker leaves a whole record
 * or none.
 *
 * Which runs count. The current revision, as of that place, of each run that is comparable, where
 * the metric is a JSON number there of at most HF_BASELINE_VALUE_BYTES_MAX bytes. Runs without one
 * (absent, null, a string) are passed over, and counted. Numbers are compared as exact decimals and
 * kept as the text that the document has. Of equal ones the lowest seq is the best.
 *
 * After HF_EUNSURE hf_resolve with hf_error.id settles it, as for a save. Threads and ownership:
 * as in holdfast.h. */
#ifndef HOLDFAST_BASELINE_H
#define HOLDFAST_BASELINE_H

#include <holdfast/holdfast.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
  HF_BASELINE_MIN_RUNS_DEFAULT = 5,
  HF_BASELINE_MIN_RUNS_MAX = 1000000,
  HF_BASELINE_VALUE_BYTES_MAX = 1024, /* of a number's text; a longer one is no metric */
  HF_METRIC_BYTES_MAX = 1024          /* of a JSON Pointer to a metric */
};

/* What runs have in common that are comparable. dims: exactly these, in any order. */
typedef struct hf_comparable {
  const char *group;
  const char *stage;
  const hf_dim *dims;
  size_t dims_count;
} hf_comparable;

typedef enum hf_goal {
  HF_GOAL_NONE, /* there is no metric */
  HF_GOAL_MAX,  /* the higher the better */
  HF_GOAL_MIN
} hf_goal;

/* One baseline record, in one piece of memory. Owned by the caller; the strings live as long as it
 * does. */
typedef struct hf_baseline {
  uint64_t seq;   /* of the record that made it */
  const char *id; /* of that record */
  const char *by; /* "establish", "set", "update"; "clear": there is none from here on */
  const char *group;
  const char *stage;
  const hf_dim *dims; /* sorted by name */
  size_t dims_count;
  uint64_t of;        /* the seq of the snapshot that is the baseline; 0: "clear" */
  const char *run_id; /* of that snapshot; NULL: "clear" */
  const char *metric; /* JSON Pointer; NULL: set by hand without one, or "clear" */
  const char *value;  /* the number's text, as in the document; NULL where metric is */
  hf_goal goal;
  unsigned min_runs;  /* "establish": how many were asked for; else 0 */
  const char *reason; /* NULL: none was given */
  const char *at;     /* when it was made. Shown, never used for order */
  const char *host;
  int64_t pid;
  /* 1: no comparable snapshot that is not retired was saved since it was made (as of the seq that
   * was asked for; 0 from hf_baseline_of_record) */
  int is_new;
} hf_baseline;

/* Frees *baseline and sets it to NULL; accepts NULL and a pointer to NULL. */
HF_API void hf_baseline_free(hf_baseline **baseline);

/* How it was chosen. Zeroes where nothing had to be counted. */
typedef struct hf_baseline_counts {
  uint64_t runs;        /* comparable ones whose metric is a number */
  uint64_t passed_over; /* comparable ones without such a metric */
  uint64_t missing;     /* establish: so many more are needed */
} hf_baseline_counts;

typedef struct hf_baseline_options {
  const char *metric; /* JSON Pointer (RFC 6901); NULL: see each function */
  hf_goal goal;       /* HF_GOAL_NONE where metric is NULL */
  unsigned min_runs;  /* establish; 0: HF_BASELINE_MIN_RUNS_DEFAULT */
  const char *reason; /* NULL: none */
  /* a ULID: makes a retry exactly once, as hf_save_request.id. NULL: the library makes one */
  const char *id;
  int64_t timeout_ms; /* as for hf_save */
} hf_baseline_options;

/* Makes the best of the comparable runs the baseline, once options->min_runs of them have the
 * metric. Of each run its current revision counts, retired ones and dropped documents do not. Both
 * metric and goal are needed. 1: made. 0: there was one already: it is in *ret_baseline, whoever
 * made it and however. ret_counts may be NULL; it is written with 1 and with HF_ENOTFOUND.
 * Errors: HF_ENOTFOUND (too few runs yet: ret_counts says how many are missing), HF_ECONFLICT (the
 * baseline there is has another metric or goal), HF_EINVAL, HF_ELIMIT; those of hf_save. */
HF_API int hf_baseline_establish(hf_store *store, const hf_comparable *of,
                                 const hf_baseline_options *options, hf_baseline **ret_baseline,
                                 hf_baseline_counts *ret_counts, hf_error *reterr);

/* Makes the snapshot `seq` the baseline of those that are comparable with it, whatever was before.
 * metric NULL: the metric and goal of the baseline in force, where there is one and the snapshot
 * has a number there; else it has none. 1: made. 0: it is the baseline already, by hand, with this
 * metric, goal and reason. options may be NULL.
 * Errors: HF_ENOTFOUND (no such snapshot; it has no group; it is retired), HF_EDROPPED (its
 * document was dropped), HF_EINVAL (a metric was given, and the snapshot has no number there),
 * those of hf_save. */
HF_API int hf_baseline_set(hf_store *store, uint64_t seq, const hf_baseline_options *options,
                           hf_baseline **ret_baseline, hf_error *reterr);

/* Makes the best of the comparable runs that were saved after the baseline's record the baseline,
 * if it is better than the baseline, or that has no number there (it was set without a metric and
 * has none, or no document any more). metric NULL: those of the baseline. 1: made. 0: none is
 * better; *ret_baseline is the one in force. ret_counts (of those that were saved since) is written
 * with both. options and ret_counts may be NULL.
 * Errors: HF_ENOTFOUND (there is no baseline; or it has no metric, and none was given),
 * HF_ECONFLICT (it has another metric or goal), those of hf_save. */
HF_API int hf_baseline_update(hf_store *store, const hf_comparable *of,
                              const hf_baseline_options *options, hf_baseline **ret_baseline,
                              hf_baseline_counts *ret_counts, hf_error *reterr);

/* From here on there is none. *ret_baseline: the record, by "clear". Uses reason, id and
 * timeout_ms; options may be NULL. 1: cleared. 0: there was none; *ret_baseline is not written.
 * Errors: those of hf_save. */
HF_API int hf_baseline_clear(hf_store *store, const hf_comparable *of,
                             const hf_baseline_options *options, hf_baseline **ret_baseline,
                             hf_error *reterr);

/* The baseline in force as of seq `at` (0: now). Does not read the history, however long. 1, 0
 * (there is none) or negative. */
HF_API int hf_baseline_get(hf_store *store, const hf_comparable *of, uint64_t at,
                           hf_baseline **ret_baseline, hf_error *reterr);

/* The last baseline record at or below seq `at` (0: now), one by "clear" included. With at = its
 * seq - 1 (as long as that is not 0) it walks the history, latest first. 1, 0 or negative. */
HF_API int hf_baseline_last(hf_store *store, const hf_comparable *of, uint64_t at,
                            hf_baseline **ret_baseline, hf_error *reterr);

/* The same from a record that was read otherwise (hf_list with all_records, hf_get_seq). 1, 0 (its
 * op is another), or negative. */
HF_API int hf_baseline_of_record(const hf_record *record, hf_baseline **ret_baseline,
                                 hf_error *reterr);

typedef struct hf_check_options {
  /* NULL: the baseline's metric and goal. Given: the values of both documents there */
  const char *metric;
  hf_goal goal;
  /* how much worse it may be, as a decimal number: "0.01"; in percent of the baseline's magnitude:
   * "2.5". NULL or "0": not at all. Of both the larger one counts. Exact; at most 64 characters */
  const char *tolerance;
  const char *tolerance_percent;
} hf_check_options;

typedef enum hf_check_result {
  HF_CHECK_PASSED,    /* equal, better, or worse within the tolerance */
  HF_CHECK_WORSE,     /* a regression: worse beyond the tolerance */
  HF_CHECK_NO_METRIC, /* the run has no number there: nothing shows that it is as good */
} hf_check_result;

typedef struct hf_checked {
  hf_check_result result;
  char value[HF_BASELINE_VALUE_BYTES_MAX + 1]; /* the run's number, verbatim; "": it has none */
  char baseline_value[HF_BASELINE_VALUE_BYTES_MAX + 1];
  /* value - baseline_value as an exact decimal; "" where it has too many digits, or there is no
   * value */
  char delta[2 * HF_BASELINE_VALUE_BYTES_MAX + 1];
  double percent;  /* that, of the baseline's magnitude. Only where has_percent */
  int has_percent; /* 0: the baseline's value is 0, or there is no delta */
} hf_checked;

/* Compares the snapshot `seq` with the baseline in force now. HF_OK, with *ret_checked and
 * *ret_baseline (may be NULL), whatever was found. A run is never its own baseline: for every
 * revision of the baseline's own run the answer is HF_ENOTFOUND. options may be NULL.
 * Errors: HF_ENOTFOUND (no such snapshot; it has no group; no baseline yet; it is the baseline's
 * own run; the baseline has no metric, and none was given, or no number at the one that was given),
 * HF_EDROPPED (the document of the snapshot, or of the baseline where a metric was given, was
 * dropped), HF_EINVAL (the pointer, or a tolerance that is negative or no number), HF_EDAMAGED,
 * HF_EIO. */
HF_API int hf_baseline_check(hf_store *store, uint64_t seq, const hf_check_options *options,
                             hf_checked *ret_checked, hf_baseline **ret_baseline, hf_error *reterr);

/* The same for a number that was read already, at the baseline's metric; options->metric is not
 * used. Whether the number is of the baseline's own run the caller knows. Touches no store.
 * Thread-safe.
 * Errors: HF_ENOTFOUND (the baseline has no metric), HF_EINVAL (value is no JSON number of at most
 * HF_BASELINE_VALUE_BYTES_MAX bytes; a tolerance), HF_ENOMEM. */
HF_API int hf_baseline_compare(const hf_baseline *baseline, const char *value, size_t value_bytes,
                               const hf_check_options *options, hf_checked *ret_checked,
                               hf_error *reterr);

#ifdef __cplusplus
}
#endif
#endif
