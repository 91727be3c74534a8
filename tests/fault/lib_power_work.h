/* What the workloads of lib_power.h are made of: each writes down what it was promised. */
#ifndef FAULT_LIB_POWER_WORK_H
#define FAULT_LIB_POWER_WORK_H

#include "lib_power.h"

#include "buf.h"

typedef enum power_hook { HOOK_NONE, HOOK_READ, HOOK_SAVE, HOOK_FLUSH } power_hook;

/* The workload that is running. */
typedef struct power_workload {
  power_run *run;
  hf_store *first;
  hf_store *second;
  hf_store *third;
  hf_store *reader;
  power_hook hook; /* what comes next between two calls of a save */
} power_workload;

extern power_workload power_work;

/* A save that begins now; threads may call it. */
power_promise *power_promise_new(const char *run_id, uint64_t document, size_t bytes);
/* It was acknowledged. */
void power_promise_keep(power_promise *one, const hf_saved *saved);
/* The save's request; it points into *one and *document, which must be freed. */
hf_save_request power_request(const power_promise *one, fault_document *ret_document);
void power_save_promise(hf_store *store, power_promise *one);
void power_save(hf_store *store, const char *run_id, uint64_t document, size_t bytes);

enum { POWER_BATCH_MAX = 252 };
void power_save_batch(hf_store *store, unsigned count);

const char *power_numbered(char text[32], const char *prefix, unsigned number);

/* A reader looks at the last records: they must stay. */
void power_look(void);
void power_resolve(const char *id);
/* The record is shown, so it must stay; the manifest is replaced as a whole, or not. */
void power_change_locker(hf_store *store, const char *scheme, const char *mode);

/* A tile's part, as its maker leaves it who is ended before its name is durable. */
void power_make_part(const hf_store *store, uint64_t tile, const hf_buf *text);

#endif
