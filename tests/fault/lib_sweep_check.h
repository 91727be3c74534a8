/* Between lib_sweep.c, lib_sweep_ops.c and lib_sweep_check.c. */
#ifndef FAULT_LIB_SWEEP_CHECK_H
#define FAULT_LIB_SWEEP_CHECK_H

#include "lib_sweep.h"

/* In the templates: an id that was saved, one that was ended, one that nobody ever had. */
#define SWEEP_ID_KNOWN "01ARZ3NDEKTSV4RRFFQ69G5FA0"
#define SWEEP_ID_ENDED "01ARZ3NDEKTSV4RRFFQ69G5FA1"
#define SWEEP_ID_NEW "01ARZ3NDEKTSV4RRFFQ69G5FA2"

enum {
  SWEEP_INDEX_ENTRIES = 6,
  SWEEP_DAMAGED_SEQ = 2, /* of the template "damaged" */
  SWEEP_DAMAGED_HEAD = 8,
};

hf_store *sweep_open(const sweep_case *one);
int sweep_save_one(sweep_case *one, hf_store *store, const char *run_id, uint64_t number,
                   size_t bytes, const char *id, hf_saved *ret_saved, hf_error *reterr);

int sweep_pack(sweep_case *one, hf_error *reterr);
/* Keeps the last 8, so what the checks save is kept. */
int sweep_gc(hf_store *store, hf_error *reterr);

/* An older index to import, in the scratch folder. */
void sweep_make_index(void);
void sweep_index_path(char path[FAULT_PATH_BYTES]);

/* The handle and another one go on; at the end the store is right. For the checks below. */
void sweep_go_on(sweep_case *one);
void sweep_check_end(sweep_case *one);

/* ---- lib_sweep_baseline.c ---- */

void sweep_prepare_peers(sweep_case *one); /* one->store is open, and has saved "warm" */
void sweep_prepare_baseline(sweep_case *one);
int sweep_run_establish(sweep_case *one, hf_error *reterr);
int sweep_run_establish_again(sweep_case *one, hf_error *reterr);
int sweep_run_get_baseline(sweep_case *one, hf_error *reterr);
int sweep_run_check_baseline(sweep_case *one, hf_error *reterr);
void sweep_check_baseline(sweep_case *one, int status, const hf_error *error);

void sweep_check_saves(sweep_case *one, int status, const hf_error *error);
void sweep_check_init(sweep_case *one, int status, const hf_error *error);
void sweep_check_works(sweep_case *one, int status, const hf_error *error);
void sweep_check_repaired(sweep_case *one, int status, const hf_error *error);
void sweep_check_found(sweep_case *one, int status, const hf_error *error);
void sweep_check_resolve(sweep_case *one, int status, const hf_error *error);
void sweep_check_import(sweep_case *one, int status, const hf_error *error);
void sweep_check_locker(sweep_case *one, int status, const hf_error *error);
void sweep_check_gc(sweep_case *one, int status, const hf_error *error);
void sweep_check_retire(sweep_case *one, int status, const hf_error *error);
void sweep_check_pack(sweep_case *one, int status, const hf_error *error);

#endif
