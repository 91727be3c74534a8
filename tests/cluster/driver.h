/* One process that works on a store, by a seed, on the public interface alone, and writes down what
 * it asked and what it was told: its history.
 *
 *     driver --store DIR --history FILE --name NAME [--config FILE] [--seed N] ...
 *
 * A history is JSON, a line an event: "begin", "open" for each handle, then for each operation a
 * "call" before it and an "answer" after it, "log" lines of the library, and "end". Each line is
 * written by one write(2), so that a SIGKILL leaves at most one operation without an answer (with
 * --durable 1 the death of the kernel, too). Times
 * are CLOCK_MONOTONIC in ns, which all network namespaces of a machine share: "boot" tells
 * histories of one clock. check.py reads them.
 *
 * --threads N: so many threads share one handle; each has a name and a history of its own (NAME.1,
 * FILE.1, and so on). --switch N: one operation in N changes how records are committed. --disk-log
 * NAME: each call and each answer is marked in the log of that device (disk_marks.c).
 *
 * wall_clock.c: with HF_TEST_CLOCK=FILE the wall clock of the process is set off by the number of
 * seconds in that file, whenever it changes. */
#ifndef CLUSTER_DRIVER_H
#define CLUSTER_DRIVER_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>

#include <holdfast/holdfast.h>

enum {
  DRIVER_NAME_BYTES = 64,
  DRIVER_BATCH_MAX = 8,
  DRIVER_LIST_MAX = 12,
  DRIVER_THREADS_MAX = 16,
  DRIVER_UNSURE_MAX = 64, /* answers HF_EUNSURE that wait for a resolve */
};

typedef struct driver_options {
  const char *store;
  const char *config;
  const char *history;
  const char *name;
  const char *node;
  uint64_t seed;
  uint64_t run; /* of a process that was started again: makes other documents */
  uint64_t saves;
  uint64_t ops;
  uint64_t seconds;
  uint64_t keys;
  uint64_t groups;
  uint64_t reads;  /* of 100 operations */
  uint64_t reopen; /* one operation in so many opens the store anew first */
  int64_t timeout_ms;
  uint64_t think_us; /* at most so long between two operations */
  int64_t clock_offset_ns;
  int64_t clock_error_ns;
  uint64_t threads;
  uint64_t switches;    /* one operation in so many; 0: none */
  const char *disk_log; /* a dm-log-writes device; NULL: none */
  uint64_t durable;     /* each line of the history outlives the kernel, too */
} driver_options;

typedef struct driver {
  driver_options options;
  hf_config *config;
  hf_store *store;
  int is_shared; /* other threads use the handle, too */
  int history_fd;
  int marks_fd; /* where there is a disk_log */
  uint64_t random;
  uint64_t ops;
  uint64_t saves;    /* acknowledged */
  uint64_t failures; /* in a row */
  uint64_t head;     /* the highest seq that was seen */
  char unsure[DRIVER_UNSURE_MAX][HF_ID_CHARS + 1];
  size_t unsure_count;
} driver;

extern volatile sig_atomic_t driver_stopped; /* SIGTERM came */

_Noreturn void driver_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- random numbers, keys, documents: work.c ---- */

uint64_t driver_next(driver *me);
uint64_t driver_below(driver *me, uint64_t bound);

/* A key of one of the families: its stage and dims follow from family and number, so that all
 * processes mean the same key. */
typedef struct driver_key {
  char run_id[DRIVER_NAME_BYTES + 32];
  char stage[16];
  char view[16]; /* the value of the dim "view"; "": no dims */
  hf_dim dim;
} driver_key;

void driver_key_make(const char *family, uint64_t number, driver_key *ret_key);
hf_key driver_key_of(driver_key *key);

typedef struct driver_document {
  char *sent; /* with white space here and there */
  size_t sent_bytes;
  char sha256[HF_SHA256_CHARS + 1]; /* of what must be stored */
} driver_document;

/* The document `label`: the same for the same label and size. */
void driver_document_make(const char *label, size_t bytes, driver_document *ret_document);
void driver_document_free(driver_document *document);

void driver_sha256(const char *bytes, size_t count, char text[HF_SHA256_CHARS + 1]);

/* The id number `number` that all processes of a seed share. */
void driver_shared_id(const driver *me, uint64_t number, char text[HF_ID_CHARS + 1]);

/* ---- the history: history.c ---- */

typedef struct history_line {
  char *text;
  size_t used;
  size_t size;
} history_line;

int64_t history_now_ns(void);
void history_open(driver *me);
/* An object in the making: {"event":...,"t":... */
void history_begin(history_line *line, const char *event, int64_t now_ns);
void history_raw(history_line *line, const char *text);
void history_number(history_line *line, const char *name, uint64_t value);
void history_signed(history_line *line, const char *name, int64_t value);
void history_text(history_line *line, const char *name, const char *value); /* NULL: null */
/* Ends the object, writes it, frees it. */
void history_write(const driver *me, history_line *line);

/* The call of operation number me->ops + 1; the caller adds its arguments. */
void history_call(driver *me, history_line *line, const char *operation);
/* Its answer, taken now. */
void history_answer(driver *me, history_line *line, int status, const hf_error *error);
void history_key(history_line *line, const driver_key *key, const char *group);

/* For hf_open_options.log. */
void history_log(void *context, hf_log_level level, const char *message);

/* ---- marks in the disk's log: disk_marks.c; nothing where none is asked for ---- */

void disk_marks_open(driver *me);
/* Of the present operation: 'c', its call comes next; 'a', its answer is there. */
void disk_mark(const driver *me, char what);

/* ---- operations ---- */

void driver_save_something(driver *me); /* save_ops.c */
void driver_resolve_something(driver *me);
void driver_change_mode(driver *me);
int driver_settle_unsure(driver *me);   /* 1: none is left */
void driver_read_something(driver *me); /* read_ops.c */
uint64_t driver_current_seq(driver *me, driver_key *key, int *ret_status);

void driver_saw(driver *me, uint64_t seq);

/* A pool's number that grows with what this process has done: processes that are about equally far
 * meet there. */
uint64_t driver_recent(driver *me, uint64_t ops_each, uint64_t width);

#endif
