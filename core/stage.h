/* stage/: files being prepared, one per commit, each written, fsynced and closed before it is
 * linked. */
#ifndef HF_CORE_STAGE_H
#define HF_CORE_STAGE_H

#include <sys/stat.h>

#include "attempt.h"
#include "store.h"

/* A staged file and the attempts whose lines it holds, in their order. */
typedef struct hf_staged {
  char name[HF_ID_CHARS + 1]; /* below stage/; "" while there is none */
  hf_buf text;
  hf_attempt *attempt[HF_BATCH_MAX];
  size_t count;
  unsigned tries; /* how often it was to be linked, since it was written */
} hf_staged;

/* Decides all its attempts that are not decided yet. */
void hf_staged_decide(hf_staged *staged, int status, const hf_error *error);

/* Has judging changed a line since it was encoded? */
int hf_staged_is_rewritten(const hf_staged *staged);

/* Encodes the lines of all attempts into staged->text. */
int hf_stage_encode(hf_staged *staged, hf_error *reterr);

/* Encodes the lines, writes stage/<name> durably. The name is the attempt's id, or a new one where
 * several lines stand in it or where others may stage the same id. */
int hf_stage_write(hf_store *store, hf_staged *staged, hf_error *reterr);

/* Removes the staged name. It does not matter whether it is still there. */
void hf_stage_remove(hf_store *store, hf_staged *staged);

/* Removes what dead writers left in stage/ more than HF_STAGE_SWEEP_AGE_S ago. Only unlinks,
 * answers nobody: a writer that was merely slow finds its name gone and looks for its id. A left
 * blob is first put in place if its record was committed. */
enum { HF_STAGE_SWEEP_AGE_S = 3600 };
int hf_stage_sweep(hf_store *store, hf_error *reterr);

typedef struct hf_swept {
  uint64_t files;
  uint64_t bytes;
  uint64_t left; /* that are old, and could not be removed */
  int64_t now_s; /* when it began, by the clock that gives the files their times; 0: not known */
} hf_swept;

/* The same, counted; dry: only counted, by this host's clock. */
int hf_stage_sweep_counted(hf_store *store, int dry, hf_swept *ret_swept, hf_error *reterr);

/* When a file was changed last, by the server's clock. */
int64_t hf_stage_changed_s(const struct stat *st);

#endif
