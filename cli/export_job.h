/* What the exports to tables (SQLite, Parquet) share: a request, and walks over its snapshots. The
 * snapshots are walked twice, as of the same seq: to plan the columns, then to write the rows. */
#ifndef HF_CLI_EXPORT_JOB_H
#define HF_CLI_EXPORT_JOB_H

#include <holdfast/admin.h>

#include "cli.h"
#include "export_plan.h"

typedef struct hf_cli_export_job {
  hf_cli *cli;
  hf_list_options list; /* which ones; until: as of this seq */
  uint64_t at;          /* the same; 0: of an empty store */
  uint64_t count;       /* rows that were written */
  uint64_t dropped;     /* of them, those whose documents are gone */
  uint64_t left_out;    /* by the library, for their documents are gone */
  uint64_t damaged;     /* records that were left out */
  hf_error first_damage;
} hf_cli_export_job;

/* What is done with each snapshot; answers an exit status, and has said why it is not HF_CLI_DONE.
 */
typedef int (*hf_cli_export_fn)(void *context, const hf_record *record);

/* Walks over the snapshots with their documents, the lowest seq first. Damaged ones are counted,
 * in job->damaged, which each walk begins anew. A signal stops it. Answers an exit status. */
int hf_cli_export_walk(hf_cli_export_job *job, const char *what, hf_cli_export_fn each,
                       void *context);

/* The plan for the job's snapshots; the caller frees it. Answers an exit status. */
int hf_cli_export_plan(hf_cli_export_job *job, int by_stage, int names_fold,
                       hf_cli_plan **ret_plan);

/* The two writers. Each writes all rows and answers an exit status, after saying what is wrong;
 * job->count and its neighbours tell the rest. */
int hf_cli_export_parquet(hf_cli_export_job *job, hf_write_fn write, void *write_context);

/* path: an empty file that is there. */
int hf_cli_export_sqlite(hf_cli_export_job *job, const char *path);

/* 1: this build can write SQLite. */
int hf_cli_has_sqlite(void);

/* The dims as a JSON object: {} where there are none. NULL: out of memory. */
const char *hf_cli_export_dims(const hf_record *record, hf_cli_bytes *scratch);

#endif
