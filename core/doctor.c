#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "scratch.h"
#include "sys.h"

#include "banned.h"

enum { TEXT_BYTES = 1024, SCRATCH_NAME_BYTES = 64 };

void hf_doctor_tell(hf_doctor_run *run, const char *name, hf_verdict verdict, double value,
                    const char *unit, const char *format, ...) {
  char text[TEXT_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  hf_check check = {.name = name, .verdict = verdict, .text = text, .value = value, .unit = unit};
  if (verdict > run->worst)
    run->worst = verdict;
  if (run->check != NULL)
    run->check(run->context, &check);
}

void hf_doctor_tell_error(hf_doctor_run *run, const char *name, const hf_error *error) {
  hf_doctor_tell(run, name, HF_VERDICT_BAD, 0, "", "could not be tried: %s%s%s", error->place,
                 error->place[0] != '\0' ? ": " : "", error->message);
}

/* ---- the scratch folder ---- */

static void remove_scratch(hf_doctor_run *run, const char *name) {
  hf_error error = HF_ERROR_INIT;
  (void)hf_sys_close(hf_fd_take(&run->scratch_fd));
  if (hf_scratch_remove(run->root_fd, name, &error) != HF_OK)
    hf_doctor_tell(run, "scratch", HF_VERDICT_CAUTION, 0, "", "%s %s; remove it by hand",
                   run->scratch_path, error.message);
}

/* Makes it, or tells why not. 1: made. */
static int make_scratch(hf_doctor_run *run, char name[SCRATCH_NAME_BYTES]) {
  hf_id id;
  char id_text[HF_ID_CHARS + 1];
  hf_error error = HF_ERROR_INIT;
  hf_autofree char *real_path = realpath(run->path, NULL);
  int status = real_path != NULL
                   ? hf_id_make(&id, &error)
                   : hf_err_sys(&error, HF_EIO, errno, run->path, "has no absolute path");
  if (status == HF_OK) {
    hf_id_format(&id, id_text);
    (void)snprintf(name, SCRATCH_NAME_BYTES, "doctor-%s", id_text);
    (void)snprintf(run->scratch_path, sizeof run->scratch_path, "%s/%s", real_path, name);
    status = hf_dir_make(run->root_fd, name, &run->scratch_fd, NULL, &error);
    if (status != HF_OK) /* perhaps it was made, and could not be opened */
      (void)hf_sys_unlink(run->root_fd, name, AT_REMOVEDIR);
  }
  if (status == HF_OK) {
    hf_doctor_tell(run, "permissions", HF_VERDICT_GOOD, 0, "",
                   "user %u may make folders and files here", (unsigned)geteuid());
    return 1;
  }
  hf_doctor_tell(run, "permissions", HF_VERDICT_BAD, 0, "",
                 "user %u cannot save here: %s; nothing could be tried", (unsigned)geteuid(),
                 error.message);
  return 0;
}

static void try_in_scratch(hf_doctor_run *run) {
  char name[SCRATCH_NAME_BYTES];
  if (!make_scratch(run, name))
    return;
  hf_doctor_try_publish(run);
  hf_doctor_try_fsync(run);
  hf_doctor_try_flock(run);
  hf_doctor_try_times(run);
  hf_doctor_ask_locker(run);
  remove_scratch(run, name);
}

static int open_root(hf_doctor_run *run, hf_error *reterr) {
  run->root_fd = hf_sys_open_folder(run->path);
  if (run->root_fd >= 0)
    return HF_OK;
  if (errno == ENOTDIR)
    return hf_err_sys(reterr, HF_EINVAL, errno, run->path, "a folder, or a store, is wanted here");
  return hf_err_sys(reterr, HF_EIO, errno, run->path, "cannot open the folder");
}

int hf_doctor(const char *path, const hf_config *config, hf_check_fn check, void *context,
              hf_verdict *ret_verdict, hf_error *reterr) {
  hf_doctor_run run = {.path = path,
                       .config = config,
                       .check = check,
                       .context = context,
                       .worst = HF_VERDICT_GOOD,
                       .root_fd = -1,
                       .scratch_fd = -1};
  if (path == NULL || path[0] == '\0')
    return hf_err(reterr, HF_EINVAL, NULL, "no path was given");
  int status = open_root(&run, reterr);
  if (status == HF_OK)
    status = hf_fs_detect(path, &run.fs, reterr);
  if (status == HF_OK) {
    hf_doctor_look_filesystem(&run);
    hf_doctor_look_store(&run);
    hf_doctor_look_space(&run);
    try_in_scratch(&run);
    hf_doctor_look_host(&run); /* knows by now how far the files' clock is off */
    *ret_verdict = run.worst;
  }
  hf_fd_cleanup(&run.root_fd);
  return status;
}
