/* The parts of hf_doctor: doctor.c leads through them, doctor_look.c only looks, doctor_try.c tries
 * things in the scratch folder, doctor_locker.c asks the locker. A part that cannot do its work
 * says so as a check; it returns only errors that end the whole (HF_ENOMEM). */
#ifndef HF_CORE_DOCTOR_H
#define HF_CORE_DOCTOR_H

#include <holdfast/admin.h>

#include "manifest.h"

enum { HF_DOCTOR_PATH_BYTES = 4096 };

typedef struct hf_doctor_run {
  const char *path; /* as the caller gave it */
  const hf_config *config;
  hf_check_fn check;
  void *context;
  hf_verdict worst;
  hf_fs fs;
  int root_fd;
  int is_store; /* 1: manifest is written */
  hf_manifest manifest;
  int scratch_fd;                          /* -1: none could be made */
  char scratch_path[HF_DOCTOR_PATH_BYTES]; /* absolute */
  int64_t file_time_ahead_ms;              /* a new file's time minus this host's clock */
} hf_doctor_run;

/* Tells the caller one check, and remembers the worst verdict. */
void hf_doctor_tell(hf_doctor_run *run, const char *name, hf_verdict verdict, double value,
                    const char *unit, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The same for what could not be tried: BAD, with the error's words. */
void hf_doctor_tell_error(hf_doctor_run *run, const char *name, const hf_error *error);

void hf_doctor_look_filesystem(hf_doctor_run *run); /* filesystem, options */
void hf_doctor_look_store(hf_doctor_run *run);      /* manifest, where there is a store */
void hf_doctor_look_space(hf_doctor_run *run);      /* space, inodes */
void hf_doctor_look_host(hf_doctor_run *run);       /* clock, open-files */

void hf_doctor_try_publish(hf_doctor_run *run); /* link, rename */
void hf_doctor_try_fsync(hf_doctor_run *run);   /* fsync-file, fsync-folder */
void hf_doctor_try_flock(hf_doctor_run *run);   /* flock */
void hf_doctor_try_times(hf_doctor_run *run);   /* file-times */

void hf_doctor_ask_locker(hf_doctor_run *run); /* locker */

#endif
