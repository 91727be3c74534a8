/* The command line: what its files share.
 *
 * A command is a const hf_cli_command, listed once in commands.c: from that table come the
 * dispatch, the help, the manual page and the shell completion. main.c reads the global options,
 * finds the command, reads its options (options.c), checks the number of operands and calls run,
 * which answers with an exit status.
 *
 * Results go to stdout through hf_cli_out (output.h) only; errors and everything else to stderr
 * (errors.h).
 */
#ifndef HF_CLI_CLI_H
#define HF_CLI_CLI_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/holdfast.h>

/* The exit statuses that scripts rely on. */
enum hf_cli_exit {
  HF_CLI_DONE = 0,
  HF_CLI_FAILED = 1,
  HF_CLI_USAGE = 2,
  HF_CLI_NOT_FOUND = 3,
  HF_CLI_CONFLICT = 4,
  HF_CLI_LOCK = 5,
  HF_CLI_UNSURE = 6,
  HF_CLI_DIFFERS = 7,      /* for CI: a comparison was made, and found more than what was allowed */
  HF_CLI_INTERRUPTED = 130 /* Ctrl-C ended what would go on for ever */
};

typedef enum hf_cli_kind {
  HF_CLI_FLAG,     /* int, set to 1 */
  HF_CLI_TEXT,     /* const char * */
  HF_CLI_TEXTS,    /* hf_cli_texts: may stand several times */
  HF_CLI_NUMBER,   /* hf_cli_number */
  HF_CLI_DURATION, /* int64_t, milliseconds */
  HF_CLI_DIM       /* N=V, added to dims */
} hf_cli_kind;

typedef struct hf_cli_number {
  int given;
  uint64_t value;
} hf_cli_number;

enum { HF_CLI_TEXTS_MAX = 32 };

typedef struct hf_cli_texts {
  const char *text[HF_CLI_TEXTS_MAX];
  size_t count;
} hf_cli_texts;

/* One option of a command. */
typedef struct hf_cli_option {
  const char *name; /* without the dashes */
  char letter;      /* 0: none */
  hf_cli_kind kind;
  const char *arg;     /* as shown in the help; NULL for a flag */
  const char *help;    /* one sentence */
  size_t offset;       /* where in hf_cli_args the value goes */
  size_t bytes_max;    /* texts: the longest; 0: no bound of its own */
  const char *choices; /* texts: "table|jsonl|csv"; NULL: anything */
} hf_cli_option;

/* What was given on the command line. The strings are argv's. */
typedef struct hf_cli_args {
  const char *store;
  const char *config;
  int quiet;
  int verbose;
  int json;
  int help;
  int version;

  const char *run_id;
  const char *stage;
  hf_dim dims[HF_DIMS_MAX];
  size_t dims_count;
  const char *group;
  const char *timestamp;
  const char *id;
  const char *locker;
  const char *mode;
  const char *pointer;
  const char *reason;
  const char *format;
  const char *out;
  const char *title;
  hf_cli_texts metrics;
  const char *host;
  const char *after;
  const char *before;
  hf_cli_texts where;
  const char *columns;
  const char *sort;
  int64_t timeout_ms; /* -1: not given */
  const char *metric;
  const char *goal;
  const char *tolerance;
  hf_cli_number min_runs;
  const char *exec;
  const char *state;
  int64_t every_ms; /* 0: not given */
  hf_cli_number count;
  int64_t older_than_ms; /* -1: not given */
  hf_cli_number if_seq;
  hf_cli_number seq;
  hf_cli_number at;
  hf_cli_number since;
  hf_cli_number until;
  hf_cli_number limit;
  hf_cli_number keep_last;
  hf_cli_number peers;
  hf_cli_number seconds;
  int if_absent;
  int batch;
  int meta;
  int reverse;
  int all_revisions;
  int all_records;
  int stop_on_failure;
  int retired;
  int undo;
  int keep_baselines;
  int dry_run;
  int peer;
  int record;
  int deep;
  int repair;
  int yes;
  int force;
  const char *fail_on;
  int prev;
  int all;
  int rules;
  int man;
  int completion;

  char **operands;
  int operands_count;
} hf_cli_args;

struct hf_cli_command;

typedef struct hf_cli {
  const struct hf_cli_command *command; /* NULL: none yet */
  hf_cli_args args;
  hf_config *config;   /* see hf_cli_need_config */
  hf_store *store;     /* see hf_cli_need_store */
  char *store_path;    /* see hf_cli_find_store */
  int out_errno;       /* why writing to stdout failed; 0: it has not */
  char saved_note[96]; /* what holds all the same where the answer cannot be written */
} hf_cli;

typedef struct hf_cli_command {
  const char *name;
  const char *synopsis; /* what follows "holdfast "; a line a form */
  const char *summary;  /* half a line, for the list of commands */
  const char *details;  /* for the help: paragraphs, separated by an empty line */
  const char *examples; /* whole command lines; NULL: none */
  const hf_cli_option *options;
  size_t options_count;
  int operands_min;
  int operands_max; /* -1: any number */
  int (*run)(hf_cli *cli);
} hf_cli_command;

/* The table of commands, in the order of the help. */
extern const hf_cli_command *const hf_cli_commands[];
extern const size_t hf_cli_commands_count;

extern const hf_cli_command hf_cli_command_init;
extern const hf_cli_command hf_cli_command_save;
extern const hf_cli_command hf_cli_command_get;
extern const hf_cli_command hf_cli_command_prev;
extern const hf_cli_command hf_cli_command_head;
extern const hf_cli_command hf_cli_command_list;
extern const hf_cli_command hf_cli_command_groups;
extern const hf_cli_command hf_cli_command_diff;
extern const hf_cli_command hf_cli_command_history;
extern const hf_cli_command hf_cli_command_baseline;
extern const hf_cli_command hf_cli_command_resolve;
extern const hf_cli_command hf_cli_command_watch;
extern const hf_cli_command hf_cli_command_stats;
extern const hf_cli_command hf_cli_command_import;
extern const hf_cli_command hf_cli_command_export;
extern const hf_cli_command hf_cli_command_report;
extern const hf_cli_command hf_cli_command_pack;
extern const hf_cli_command hf_cli_command_retire;
extern const hf_cli_command hf_cli_command_gc;
extern const hf_cli_command hf_cli_command_verify;
extern const hf_cli_command hf_cli_command_lock;
extern const hf_cli_command hf_cli_command_locker;
extern const hf_cli_command hf_cli_command_doctor;
extern const hf_cli_command hf_cli_command_bench;
extern const hf_cli_command hf_cli_command_version;
extern const hf_cli_command hf_cli_command_help;

const hf_cli_command *hf_cli_command_find(const char *name);

/* The array's length, for the tables above. */
#define HF_CLI_COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
