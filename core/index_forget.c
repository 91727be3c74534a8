/* Takes all indexes away (verify --repair, which then builds them; other builders may do as well).
 *
 * A builder may be at work meanwhile: it looks at the mark, and for its file, before it tells of
 * one (index_build.c, extend_mark). What a crash leaves is files that no mark tells of. */
#include <errno.h>
#include <stdio.h>

#include "err.h"
#include "file.h"
#include "index.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

static const char mark_place[] = "index/" HF_MARK_NAME;

typedef struct level_folder {
  int fd;
} level_folder;

static int remove_file(void *context, const char *name, hf_error *reterr) {
  const level_folder *folder = context;
  if (hf_sys_unlink(folder->fd, name, 0) != 0 && errno != ENOENT)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot remove the index");
  return HF_OK;
}

static int forget_mark(int index_fd, hf_error *reterr) {
  if (hf_sys_unlink(index_fd, HF_MARK_NAME, 0) != 0 && errno != ENOENT)
    return hf_err_sys(reterr, HF_EIO, errno, mark_place, "cannot remove the mark");
  return hf_dir_fsync(index_fd, "index", reterr);
}

int hf_index_forget(int index_fd, hf_error *reterr) {
  int status = forget_mark(index_fd, reterr);
  for (unsigned level = 0; level <= HF_INDEX_LEVEL_MAX && status == HF_OK; level++) {
    char name[HF_INDEX_NAME_BYTES];
    struct stat st;
    (void)snprintf(name, sizeof name, "%u", level);
    if (hf_sys_fstatat(index_fd, name, &st) != 0)
      continue;
    if (!S_ISDIR(st.st_mode)) { /* none could be made there */
      level_folder above = {index_fd};
      status = remove_file(&above, name, reterr);
      continue;
    }
    hf_autofd int fd = -1;
    status = hf_dir_open(index_fd, name, &fd, reterr);
    level_folder folder = {fd};
    if (status == HF_OK)
      status = hf_dir_each(fd, name, remove_file, &folder, reterr);
  }
  /* a builder may have begun a mark anew over files that were still there */
  return status == HF_OK && !HF_PLANTED(INDEX_FORGET_ONCE) ? forget_mark(index_fd, reterr) : status;
}
