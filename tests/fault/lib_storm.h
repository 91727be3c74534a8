/* The storm: many processes save, are killed and replaced, while others read and pack. What each
 * was told is kept in memory that they share and that survives them: an answer counts from the
 * instant at which its state is stored there. */
#ifndef FAULT_LIB_STORM_H
#define FAULT_LIB_STORM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "lib.h"

enum {
  STORM_BATCH_MAX = 12,
  STORM_FLIPS_MIN = 4,
  STORM_RESOLVES_MAX = 512,
  STORM_HOT_KEYS = 24, /* keys that are saved again and again */
  STORM_SAME_KEYS = 6, /* keys that alternate between few documents */
  STORM_SAME_DOCUMENTS = 3,
  STORM_ABSENT_KEYS = 150,
  STORM_SAME_BASE = 1000000000, /* numbers of the documents of STORM_SAME_KEYS */
};

/* The op at which the last tenth of the saves begins. */
#define STORM_LAST_TENTH(saves) ((uint64_t)(saves)*9 / 10)

typedef enum storm_kind {
  STORM_PLAIN,
  STORM_BLOB,
  STORM_HOT,
  STORM_SAME,
  STORM_ABSENT,
  STORM_IF_SEQ,
  STORM_BATCH,
  STORM_ID,
  STORM_RETRY, /* of another's id, whatever became of it */
  STORM_KINDS
} storm_kind;

typedef enum storm_state { STORM_NOT_BEGUN, STORM_BEGUN, STORM_ANSWERED } storm_state;

typedef struct storm_op {
  _Atomic int state;
  storm_kind kind;
  uint64_t first; /* RETRY: the op that had the id first; else itself */
  int64_t began_ns;
  int64_t ended_ns;
  char run_id[24];
  uint64_t document; /* its number */
  uint32_t document_bytes;
  uint64_t if_seq;
  char given_id[HF_ID_CHARS + 1]; /* "": the library's */
  int status;
  int created;
  uint64_t seq;
  char id[HF_ID_CHARS + 1];
} storm_op;

typedef struct storm_resolve {
  _Atomic int state;
  char id[HF_ID_CHARS + 1];
  uint64_t seq; /* 0: never */
} storm_resolve;

/* At which step a process ends itself by SIGKILL. */
typedef enum storm_step {
  STORM_NO_STEP,
  STORM_BEFORE_LINK,
  STORM_AFTER_LINK,
  STORM_AFTER_FSYNC, /* of log/ */
  STORM_AFTER_MARK,
  STORM_AFTER_STAGING,
  STORM_STEPS
} storm_step;

typedef struct storm_options {
  uint64_t seed;
  uint64_t saves;
  unsigned processes;
  const char *locker;
  int is_fast; /* fsync does nothing: where no power is lost it changes only the times */
  int packs;
  int flips; /* the store's locker is changed again and again: flock, none, flock ... */
} storm_options;

typedef struct storm_shared {
  _Atomic uint64_t next; /* op */
  _Atomic uint64_t resolves_next;
  _Atomic uint64_t head_answered; /* the highest seq that any save was answered with */
  _Atomic int done;
  _Atomic int killed_enough; /* the last tenth of the saves waits for it */
  _Atomic uint64_t reads;
  _Atomic uint64_t packs;
  _Atomic uint64_t flips;
  storm_resolve resolves[STORM_RESOLVES_MAX];
  uint64_t ops_max;
  uint64_t seqs_max;
  _Atomic uint64_t *shown; /* by seq: the hash of the record that a reader was given; 0: none */
  storm_op *ops;
} storm_shared;

extern storm_shared *storm_all;
extern storm_options storm_now;

/* A process's work; they do not return. */
_Noreturn void storm_write(const char *path, uint64_t number, unsigned threads, storm_step step,
                           unsigned countdown);
_Noreturn void storm_read(const char *path, uint64_t number);
_Noreturn void storm_pack(const char *path, uint64_t number);
_Noreturn void storm_flip(const char *path);

typedef struct storm_result {
  size_t records;
  size_t acknowledged; /* new records */
  size_t found;        /* answered with one that was there */
  size_t conflicts;
  size_t ended;
  size_t late; /* HF_ELOCK */
  size_t unanswered;
  size_t unanswered_there;
  size_t resolved;
} storm_result;

void storm_check(const char *path, storm_result *ret_result);

#endif
