#include "scratch.h"

#include <errno.h>
#include <fcntl.h>

#include "err.h"
#include "file.h"
#include "sys.h"

#include "banned.h"

enum { REMOVE_ROUNDS_MAX = 16, REMOVE_DEPTH_MAX = 4 };

typedef struct removal {
  int dirfd;
  int depth;
} removal;

static void empty_folder(int fd, int depth);

static int remove_entry(void *context, const char *name, hf_error *reterr) {
  const removal *job = context;
  (void)reterr;
  if (hf_sys_unlink(job->dirfd, name, 0) == 0 || job->depth == REMOVE_DEPTH_MAX)
    return HF_OK;
  hf_autofd int fd = -1;
  if (hf_dir_open(job->dirfd, name, &fd, NULL) == HF_OK) {
    empty_folder(fd, job->depth + 1);
    (void)hf_sys_unlink(job->dirfd, name, AT_REMOVEDIR);
  }
  return HF_OK;
}

/* Listing while removing may pass over names: the caller goes round again. */
static void empty_folder(int fd, int depth) {
  removal job = {.dirfd = fd, .depth = depth};
  (void)hf_dir_each(fd, "scratch", remove_entry, &job, NULL);
}

int hf_scratch_remove(int dirfd, const char *name, hf_error *reterr) {
  if (hf_sys_unlink(dirfd, name, 0) == 0 || errno == ENOENT)
    return HF_OK;
  hf_autofd int fd = -1;
  int status = hf_dir_open(dirfd, name, &fd, reterr);
  if (status != HF_OK)
    return status;
  int removed = 0;
  for (int i = 0; i < REMOVE_ROUNDS_MAX && !removed; i++) {
    empty_folder(fd, 0);
    removed = hf_sys_unlink(dirfd, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
  }
  return removed ? HF_OK : hf_err_sys(reterr, HF_EIO, errno, name, "could not be removed");
}
