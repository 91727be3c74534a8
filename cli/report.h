/* `holdfast report`: one HTML file with the runs of a store, their metrics, and what changed.
 *
 *     report.c          the command
 *     report_gather.c   one walk over the log, in the order of seqs
 *     report_set.c      the sets of comparable runs, and the two snapshots of each that the next
 *                       one may be compared with
 *     report_row.c      what the page holds of one run
 *     report_metric.c   which numbers of a document are drawn
 *     report_baseline.c what the runs of a set are measured against
 *     report_names.c    texts that stand in many rows, once
 *     report_page.c     the page: report/ (HTML, CSS and JavaScript), and the data as JSON in it
 *
 * In memory are the rows as they stand in the page, and documents of at most
 * HF_CLI_REPORT_HELD_BYTES_MAX that are still to be compared with.
 */
#ifndef HF_CLI_REPORT_H
#define HF_CLI_REPORT_H

#include <search.h>
#include <stdio.h>

#include <holdfast/baseline.h>
#include <holdfast/diff.h>

#include "cli.h"
#include "metric.h"
#include "report_names.h"

enum {
  HF_CLI_REPORT_METRICS_MAX = 16,     /* of a set */
  HF_CLI_REPORT_CHANGES_MAX = 40,     /* of a run, the gravest */
  HF_CLI_REPORT_TEXT_BYTES_MAX = 160, /* of a value in a change */
  HF_CLI_REPORT_POINTER_BYTES_MAX = 320,
  HF_CLI_REPORT_NUMBER_BYTES_MAX = 40, /* of a metric's text: a longer one is cut, and a double */
  HF_CLI_REPORT_HELD_BYTES_MAX = 64 * 1024 * 1024
};

/* A snapshot that later ones may have to be compared with. */
typedef struct hf_cli_report_held {
  struct hf_cli_report_held *newer; /* of those that hold a record, in the order of their use */
  struct hf_cli_report_held *older;
  uint64_t seq; /* 0: none */
  char *run_id;
  hf_record *record; /* NULL: to be read again */
  int is_listed;     /* its numbers have places in the set */
  size_t bytes;      /* what the record takes */
} hf_cli_report_held;

/* Comparable runs: the same group, stage and dims. */
typedef struct hf_cli_report_set {
  char *group; /* NULL: those without one, comparable with nothing */
  char *stage;
  hf_dim dims[HF_DIMS_MAX];
  size_t dims_count;
  hf_baseline *baseline; /* NULL: none */
  double limit;          /* beyond it a value is a regression; only where has_limit */
  int has_limit;
  size_t metrics[HF_CLI_REPORT_METRICS_MAX]; /* places among the report's pointers */
  size_t metrics_count;
  size_t metrics_left;       /* numbers of one document that found no room, at most */
  hf_cli_report_held last;   /* the latest snapshot, */
  hf_cli_report_held before; /* and the latest one of another run than that */
  char *rows;                /* JSON arrays, separated by commas */
  size_t rows_bytes;
  size_t rows_room;
  uint64_t rows_count;
} hf_cli_report_set;

typedef struct hf_cli_report {
  hf_cli *cli;
  uint64_t head;            /* everything is as of this seq */
  int holds;                /* 1: what the walk passes is held for those that follow */
  int whole;                /* 1: it passes every snapshot that may be a previous one */
  void *tree;               /* of the sets, by tsearch */
  hf_cli_report_set **sets; /* in the order of their first snapshot */
  size_t sets_count;
  size_t sets_room;
  char tolerance[HF_CLI_TOLERANCE_BYTES];
  hf_check_options check; /* what is a regression */
  hf_cli_names pointers;
  hf_cli_names hosts;
  uint64_t runs;
  uint64_t damaged;
  hf_cli_report_held *newest; /* of those that hold a record */
  hf_cli_report_held *oldest;
  size_t held_bytes;
  FILE *row; /* the row that is being made */
  char *row_text;
  size_t row_bytes;
} hf_cli_report;

/* Walks over the log. Answers an exit status, after saying what is wrong; HF_CLI_FAILED with
 * report->damaged where records cannot be read: the others are there all the same. The caller frees
 * what report holds in any case. */
int hf_cli_report_gather(hf_cli *cli, hf_cli_report *report);
void hf_cli_report_free(hf_cli_report *report);

/* The set that the snapshot belongs to, made where it is not there yet. 0, or an exit status. */
int hf_cli_report_find_set(hf_cli_report *report, const hf_record *record,
                           hf_cli_report_set **ret_set);

/* The snapshot that another one is compared with. */
typedef struct hf_cli_report_previous {
  const hf_record *record; /* with its document, unless that is gone; NULL: there is none */
  hf_record *owned;        /* the same, to be freed; NULL: it is held */
  int is_listed;           /* its numbers have places in the set */
  int is_gone;             /* there is one, which cannot be read */
} hf_cli_report_previous;

/* Finds it. *ret_previous is to be released (hf_record_free of its owned) in any case. HF_OK or
 * negative. */
int hf_cli_report_find_previous(hf_cli_report *report, hf_cli_report_set *set,
                                const hf_record *record, hf_cli_report_previous *ret_previous,
                                hf_error *reterr);

/* Keeps the snapshot for those that follow; *record becomes NULL. 0, or HF_ENOMEM. */
int hf_cli_report_hold(hf_cli_report *report, hf_cli_report_set *set, hf_record **record,
                       int is_listed);

void hf_cli_report_set_free(hf_cli_report *report, hf_cli_report_set *set);

/* Adds what the page shows of a run to its set. HF_OK or negative. */
int hf_cli_report_add_row(hf_cli_report *report, hf_cli_report_set *set, const hf_record *record,
                          const hf_cli_report_previous *previous, hf_error *reterr);

/* The numbers of one document that are drawn. */
typedef struct hf_cli_report_values {
  char text[HF_CLI_REPORT_METRICS_MAX][HF_CLI_REPORT_NUMBER_BYTES_MAX + 1]; /* "": none */
  double number[HF_CLI_REPORT_METRICS_MAX];                                 /* only where is_cut */
  int is_cut[HF_CLI_REPORT_METRICS_MAX]; /* the text is only the beginning */
} hf_cli_report_values;

int hf_cli_report_find_values(const hf_cli_report *report, const hf_cli_report_set *set,
                              const hf_record *record, hf_cli_report_values *values,
                              hf_error *reterr);

/* Gives the numbers of a document that are drawn without being asked for places in the set. diff:
 * what changed since a document whose numbers have theirs; NULL: all of it is looked through. HF_OK
 * or negative. */
int hf_cli_report_find_metrics(hf_cli_report *report, hf_cli_report_set *set,
                               const hf_record *record, hf_diff_result *diff, hf_error *reterr);

/* Is the run worse than the baseline by more than the tolerance? HF_OK or negative. */
int hf_cli_report_is_worse(const hf_cli_report *report, const hf_cli_report_set *set,
                           const hf_record *record, int *ret_worse, hf_error *reterr);

/* Finds the baseline of a new set, as of report->head, and the value beyond which a run is worse.
 * 0, or an exit status. */
int hf_cli_report_find_baseline(hf_cli_report *report, hf_cli_report_set *set);

/* Chooses what is drawn of a new set: the metric of its baseline, and those of --metric. */
int hf_cli_report_choose_metrics(hf_cli_report *report, hf_cli_report_set *set);

#endif
