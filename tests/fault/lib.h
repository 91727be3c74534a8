/* What the fault tests share: how a check fails, scratch folders, random numbers, documents, and
 * reading a whole store back.
 *
 * A failed check prints one line that begins with "FAILED: " and ends the program with
 * FAULT_EXIT_FAILED. Whatever else ends a program (a signal, a sanitizer, a time limit) is no
 * caught bug: planted.py relies on the difference. */
#ifndef FAULT_LIB_H
#define FAULT_LIB_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <holdfast/admin.h>
#include <holdfast/holdfast.h>

enum {
  FAULT_EXIT_FAILED = 1,
  FAULT_EXIT_USAGE = 2,
  FAULT_EXIT_SKIPPED = 77,
  FAULT_PATH_BYTES = 512,
  FAULT_CONTEXT_BYTES = 512,
};

/* ---- checks ---- */

/* Says what is being tried: printed with a failure. One text a thread. */
void fault_context(const char *format, ...) __attribute__((format(printf, 1, 2)));

_Noreturn void fault_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

#define FAULT_CHECK(condition, ...)                                                                \
  do {                                                                                             \
    if (!(condition))                                                                              \
      fault_fail(__VA_ARGS__);                                                                     \
  } while (0)

/* A status that must be HF_OK; `what` names the call. */
void fault_must(int status, const hf_error *error, const char *what);

/* Waits for `count` children to end. Where one fails the others are killed: a child that ended with
 * FAULT_EXIT_FAILED has said why, and this process ends with the same status. pids[] is used up. */
void fault_wait_all(pid_t *pids, size_t count);

/* ---- folders ---- */

/* A scratch folder below TMPDIR or /tmp, removed at the end of the process that made it (not where
 * FAULT_KEEP is set). */
const char *fault_folder(void);
/* The same, in memory where /dev/shm has room, whatever TMPDIR says: for tests whose disk is
 * simulated anyway. */
const char *fault_folder_in_memory(void);

/* "FOLDER/name" into path. */
void fault_path(char path[FAULT_PATH_BYTES], const char *folder, const char *name);

void fault_remove_tree(const char *path);
void fault_copy_tree(const char *from, const char *to);

/* How many descriptors this process has open. */
int fault_count_fds(void);

/* ---- numbers ---- */

typedef struct fault_random {
  uint64_t state;
} fault_random;

uint64_t fault_next(fault_random *random);
uint64_t fault_below(fault_random *random, uint64_t bound); /* 0 .. bound - 1 */

int64_t fault_now_us(void); /* CLOCK_MONOTONIC */
void fault_sleep_us(int64_t us);

/* 1: whoever waits until an instant (clock_nanosleep) finds that it has come; the clock jumps
 * there. For a single thread with nobody to wait for. */
void fault_clock_jumps(int yes);

/* The value of "--name=N" or "--name N", or `otherwise`. Ends the program on a misspelt number. */
uint64_t fault_option(int argc, char **argv, const char *name, uint64_t otherwise);
const char *fault_option_text(int argc, char **argv, const char *name, const char *otherwise);

/* The cases of a program: all, or the one that "--case NAME" names. */
typedef struct fault_case {
  const char *name;
  void (*run)(void);
} fault_case;
void fault_run_cases(int argc, char **argv, const fault_case *cases, size_t count);

/* ---- documents ---- */

typedef struct fault_document {
  char *sent; /* as it is handed to hf_save: with white space here and there */
  size_t sent_bytes;
  char *stored; /* as it must come back */
  size_t stored_bytes;
} fault_document;

/* Document `number` of about `bytes` bytes: the same for the same arguments. Every one is
 * different. */
void fault_document_make(uint64_t number, size_t bytes, fault_document *ret_document);
void fault_document_free(fault_document *document);

/* ---- a store, read back ---- */

typedef struct fault_record {
  uint64_t seq;
  int is_save;
  char op[16];
  char id[HF_ID_CHARS + 1];
  char ends[HF_ID_CHARS + 1]; /* op "end": whom */
  char *run_id;
  char *stage;
  char *doc;
  size_t doc_bytes;
  int dropped;        /* by gc: it has no document */
  uint64_t line_hash; /* of the record as it is stored */
} fault_record;

/* Every record of a store, in order; records[seq - 1]. */
typedef struct fault_log {
  fault_record *records;
  size_t count;
} fault_log;

/* Reads all of it. Fails unless the seqs are 1 .. head without a gap, every record can be read, and
 * no id stands twice. */
void fault_log_read(hf_store *store, fault_log *ret_log);
void fault_log_free(fault_log *log);

const fault_record *fault_log_find_id(const fault_log *log, const char *id);
/* How many records have this document; *ret_first (may be NULL) is the first of them. */
size_t fault_log_count_document(const fault_log *log, const char *doc, size_t doc_bytes,
                                const fault_record **ret_first);
/* The first record that ends this attempt, or NULL. */
const fault_record *fault_log_find_end(const fault_log *log, const char *id);

/* It does not pack by itself, unless fault_let_pack(1). */
hf_store *fault_open(const char *path);
void fault_let_pack(int yes);
/* hf_pack; *ret_packed: the tiles that it packed. */
int fault_pack(hf_store *store, uint64_t *ret_packed, hf_error *reterr);
void fault_init(const char *path, const char *locker); /* in publish mode */
void fault_init_in(const char *path, const char *locker, const char *mode);

/* hf_verify, deep: fails where it finds damage. Remarks are fine. */
void fault_verify(const char *path);
/* The same, but a log/mark whose bytes are wrong is repaired: its bytes are hints, and on a local
 * filesystem nobody fsyncs them. Answers how many such findings there were. */
size_t fault_verify_but_mark(const char *path);
/* The same of a store as it was left, before anybody opens it to write; repairs nothing. */
void fault_verify_as_left(const char *path);

/* Makes an open handle behave as on a filesystem that hosts share. */
/* Gives a store with flock journal mode; its record is seq head + 1. */
void fault_set_journal(const char *path);
void fault_make_shared(hf_store *store);

uint64_t fault_hash(const void *bytes, size_t count);

#endif
