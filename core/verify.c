#include "verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "repair.h"
#include "sys.h"

#include "banned.h"

static void work_free(hf_verify_work *work) {
  int *fds[] = {&work->root_fd, &work->stage_fd, &work->log_fd,
                &work->tile_fd, &work->blob_fd,  &work->tally_fd};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
    hf_fd_cleanup(fds[i]);
  hf_buf_free(&work->manifest_text);
  hf_buf_free(&work->before.text);
  hf_seqs_free(&work->names);
  hf_seqs_free(&work->tiles);
  hf_seqs_free(&work->others);
  hf_seqs_free(&work->taken);
  free(work->droppings);
  free(work->gone);
  free(work->ids);
  free(work->path);
}

/* A store is a folder with a manifest or, where that is gone, with a log. */
static int open_root(const char *path, hf_verify_work *work, hf_error *reterr) {
  work->root_fd = hf_sys_open_folder(path);
  if (work->root_fd < 0)
    return hf_err_sys(reterr, errno == ENOENT || errno == ENOTDIR ? HF_ENOTSTORE : HF_EIO, errno,
                      path, "cannot open the store");
  work->path = realpath(path, NULL);
  if (work->path == NULL)
    return hf_err_sys(reterr, errno == ENOMEM ? HF_ENOMEM : HF_EIO, errno, path,
                      "cannot find its absolute path");
  int manifest = hf_verify_name(work->root_fd, HF_MANIFEST_NAME, path, NULL, NULL, reterr);
  int log = hf_verify_name(work->root_fd, "log", path, NULL, NULL, reterr);
  if (manifest < 0 || log < 0)
    return manifest < 0 ? manifest : log;
  if (manifest == HF_NAME_ABSENT && log != HF_NAME_FOLDER)
    return hf_err(reterr, HF_ENOTSTORE, path,
                  "there is no store here: neither " HF_MANIFEST_NAME " nor log/ (holdfast init "
                  "makes one)");
  return HF_OK;
}

/* A store whose log/ never was made, or is not there, ends here: nothing can be said of its
 * records. */
static int check_parts(hf_verify_work *work, hf_error *reterr) {
  int status = hf_verify_root(work, reterr);
  if (status == HF_OK && work->blob_fd >= 0)
    status = hf_verify_list_blobs(work, reterr);
  if (status == HF_OK && work->log_usable)
    status = hf_verify_log(work, reterr);
  if (status == HF_OK && work->log_usable)
    status = hf_verify_rows_say(work, reterr);
  if (status == HF_OK && work->log_usable)
    status = hf_verify_drops(work, reterr);
  if (status == HF_OK && work->log_usable && work->tile_fd >= 0)
    status = hf_verify_index(work, reterr);
  if (status == HF_OK && work->log_usable)
    hf_verify_manifest_locker(work);
  if (status == HF_OK)
    status = hf_verify_ids(work, reterr);
  if (status == HF_OK && work->stage_fd >= 0)
    status = hf_verify_list_stage(work, reterr);
  if (status == HF_OK && work->tally_fd >= 0)
    status = hf_verify_list_tally(work, reterr);
  return status;
}

int hf_verify(const char *path, const hf_verify_options *options, hf_verify_report *ret_report,
              hf_error *reterr) {
  static const hf_verify_options none = {.timeout_ms = -1};
  hf_verify_report report;
  memset(&report, 0, sizeof report);
  if (ret_report != NULL)
    *ret_report = report;
  if (path == NULL || path[0] == '\0')
    return hf_err(reterr, HF_EINVAL, NULL, "no path of a store was given");
  hf_autofree hf_verify_work *work = calloc(1, sizeof *work);
  if (work == NULL)
    return hf_err_nomem(reterr);
  work->options = options != NULL ? options : &none;
  work->report = &report;
  work->root_fd = work->stage_fd = work->log_fd = work->tile_fd = work->blob_fd = -1;
  work->tally_fd = -1;
  int status = open_root(path, work, reterr);
  if (status == HF_OK)
    status = hf_fs_detect(work->path, &work->fs, reterr);
  work->shared = !work->fs.local;
  if (status == HF_OK)
    status = hf_verify_manifest_read(work, reterr);
  if (status == HF_OK && work->options->repair)
    status = hf_repair_begin(work, reterr);
  if (status == HF_OK && work->repair == NULL)
    status = hf_verify_manifest(work, reterr);
  if (status == HF_OK)
    status = check_parts(work, reterr);
  if (status == HF_OK && work->repair != NULL)
    status = hf_verify_manifest(
        work, reterr); /* last: until then nobody opens a store that is half repaired */
  if (status == HF_OK)
    status = hf_verify_tick(work, "records", report.records, report.head, reterr);
  int ended = hf_repair_end(work, status == HF_OK ? reterr : NULL);
  if (status == HF_OK)
    status = ended;
  if (work->options->repair)
    status = hf_repair_index(work, status, reterr);
  if (status != HF_OK && work->path != NULL && reterr != NULL && reterr->place[0] != '/')
    hf_err_place_below(reterr, work->path);
  if (ret_report != NULL)
    *ret_report = report;
  work_free(work);
  return status;
}
