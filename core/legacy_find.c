#include "legacy.h"

#include <errno.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "err.h"

#include "banned.h"

static int add_file(hf_legacy_index *index, const char *path, hf_error *reterr) {
  if (index->files_count == HF_LEGACY_FILES_MAX)
    return hf_err(reterr, HF_ELIMIT, path, "more than %d index files; import them in several turns",
                  HF_LEGACY_FILES_MAX);
  if (index->files_count == index->files_allocated) {
    size_t allocated = index->files_allocated == 0 ? 16 : index->files_allocated * 2;
    hf_legacy_file *files = realloc(index->files, allocated * sizeof *files);
    if (files == NULL)
      return hf_err_nomem(reterr);
    index->files = files;
    index->files_allocated = allocated;
  }
  hf_legacy_file *file = &index->files[index->files_count];
  memset(file, 0, sizeof *file);
  file->path = strdup(path);
  if (file->path == NULL)
    return hf_err_nomem(reterr);
  index->files_count++;
  return HF_OK;
}

static int compare_names(const FTSENT **a, const FTSENT **b) {
  return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void tell_link(const char *path, hf_log_fn log, void *log_context) {
  char message[HF_ERROR_MESSAGE_BYTES];
  if (log == NULL)
    return;
  (void)snprintf(message, sizeof message, "%s: a symbolic link, not followed", path);
  log(log_context, HF_LOG_WARNING, message);
}

/* One thing that fts found. Names that vanish or cannot be read are errors: an index that is left
 * out unseen would change the order of the others. */
static int visit(hf_legacy_index *index, const FTSENT *found, hf_log_fn log, void *log_context,
                 hf_error *reterr) {
  int is_index = strcmp(found->fts_name, HF_LEGACY_INDEX_NAME) == 0;
  switch (found->fts_info) {
  case FTS_F:
    return is_index ? add_file(index, found->fts_path, reterr) : HF_OK;
  case FTS_SL:
  case FTS_SLNONE:
    if (is_index)
      tell_link(found->fts_path, log, log_context);
    return HF_OK;
  case FTS_DNR:
  case FTS_ERR:
  case FTS_NS:
    return hf_err_sys(reterr, HF_EIO, found->fts_errno, found->fts_path, "cannot be read");
  default:
    return HF_OK; /* folders, devices ... */
  }
}

static int walk(hf_legacy_index *index, const char *path, hf_log_fn log, void *log_context,
                hf_error *reterr) {
  hf_autofree char *copy = strdup(path);
  if (copy == NULL)
    return hf_err_nomem(reterr);
  char *roots[] = {copy, NULL};
  FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, compare_names);
  if (tree == NULL)
    return hf_err_sys(reterr, HF_EIO, errno, path, "cannot be walked");
  int status = HF_OK;
  for (;;) {
    errno = 0;
    const FTSENT *found = fts_read(tree);
    if (found == NULL) {
      if (errno != 0)
        status = hf_err_sys(reterr, HF_EIO, errno, path, "cannot be walked to its end");
      break;
    }
    status = visit(index, found, log, log_context, reterr);
    if (status != HF_OK)
      break;
  }
  (void)fts_close(tree); /* only read from */
  return status;
}

int hf_legacy_find(hf_legacy_index *index, const char *path, hf_log_fn log, void *log_context,
                   hf_error *reterr) {
  struct stat st;
  if (path == NULL || path[0] == '\0')
    return hf_err(reterr, HF_EINVAL, NULL, "a path to import is empty; give a file or a folder");
  if (stat(path, &st) != 0) /* not the store */
    return hf_err_sys(reterr, errno == ENOENT || errno == ENOTDIR ? HF_ENOTFOUND : HF_EIO, errno,
                      path, "cannot be imported");
  if (!S_ISDIR(st.st_mode))
    return add_file(index, path, reterr);
  size_t before = index->files_count;
  int status = walk(index, path, log, log_context, reterr);
  if (status == HF_OK && index->files_count == before)
    return hf_err(reterr, HF_ENOTFOUND, path,
                  "no " HF_LEGACY_INDEX_NAME " in this folder or below it; give another path");
  return status;
}
