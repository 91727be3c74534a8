#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "err.h"
#include "file.h"
#include "id.h"
#include "sys.h"

#include "banned.h"

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE (1U << 0)
#endif

enum { PROBE_NAME_BYTES = 48 };

typedef struct probe_names {
  int from;                 /* the folder of a and b */
  int to;                   /* the folder of c and d */
  char a[PROBE_NAME_BYTES]; /* their contents are their own names */
  char b[PROBE_NAME_BYTES];
  char c[PROBE_NAME_BYTES]; /* what a is linked to */
  char d[PROBE_NAME_BYTES]; /* what b is renamed to */
} probe_names;

static int make_names(probe_names *names, hf_error *reterr) {
  hf_id id;
  int status = hf_id_make(&id, reterr);
  if (status < 0)
    return status;
  char text[HF_ID_CHARS + 1];
  hf_id_format(&id, text);
  (void)snprintf(names->a, sizeof names->a, "probe-%s.a", text);
  (void)snprintf(names->b, sizeof names->b, "probe-%s.b", text);
  (void)snprintf(names->c, sizeof names->c, "probe-%s.c", text);
  (void)snprintf(names->d, sizeof names->d, "probe-%s.d", text);
  return 0;
}

/* Errors that mean "this filesystem has no such call"; all others mean that it cannot be told. */
static int means_unsupported(int error) {
  return error == EPERM || error == ENOSYS || error == EOPNOTSUPP || error == ENOTSUP ||
         error == EINVAL || error == EXDEV || error == EMLINK;
}

/* 1: the file holds exactly this text. 0: another one, or there is no file. */
static int holds(int dirfd, const char *name, const char *text, hf_error *reterr) {
  hf_autobuf content = {0};
  int got = hf_file_read(dirfd, name, PROBE_NAME_BYTES, &content, reterr);
  if (got <= 0)
    return got;
  return content.used == strlen(text) && memcmp(content.data, text, content.used) == 0;
}

/* 1: c is a's inode. 0: it is not, with the reason in *ret_text. */
static int is_same_inode(const probe_names *names, const char **ret_text, hf_error *reterr) {
  struct stat a, c;
  if (hf_sys_fstatat(names->from, names->a, &a) < 0)
    return hf_err_sys(reterr, HF_EIO, errno, names->a, "cannot examine a scratch file");
  if (hf_sys_fstatat(names->to, names->c, &c) < 0) {
    if (errno != ENOENT)
      return hf_err_sys(reterr, HF_EIO, errno, names->c, "cannot examine a scratch file");
    *ret_text = "link answers success and makes no name";
    return 0;
  }
  if (a.st_ino != c.st_ino || a.st_dev != c.st_dev) {
    *ret_text = "link makes a copy: the new name is another inode";
    return 0;
  }
  if (a.st_nlink != 2 || c.st_nlink != 2) {
    *ret_text = "link does not count: two names, and st_nlink is not 2";
    return 0;
  }
  return 1;
}

static int probe_link(const probe_names *names, hf_probe *probe, hf_error *reterr) {
  probe->link_text = "link gives the same inode and never replaces";
  /* EEXIST for a name that nobody else can know: a repeated request whose first reply was lost. The
   * inode tells. */
  if (hf_sys_link(names->from, names->a, names->to, names->c) < 0 && errno != EEXIST) {
    int error = errno;
    if (!means_unsupported(error))
      return hf_err_sys(reterr, HF_EIO, error, names->c, "cannot link a scratch file");
    probe->link_errno = error;
    probe->link_text = "there are no hard links here";
    return 0;
  }
  int same = is_same_inode(names, &probe->link_text, reterr);
  if (same <= 0)
    return same;

  int answer = hf_sys_link(names->from, names->b, names->to, names->c);
  if (answer < 0 && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, names->c, "cannot try link on a name that exists");
  int kept = holds(names->to, names->c, names->a, reterr);
  if (kept < 0)
    return kept;
  if (!kept)
    probe->link_text = "link replaces a name that exists";
  else if (answer == 0)
    probe->link_text = "link answers success although the name exists";
  probe->can_link = kept && answer < 0;
  return 0;
}

static int probe_rename(const probe_names *names, hf_probe *probe, hf_error *reterr) {
  probe->rename_text = "renameat2 with RENAME_NOREPLACE never replaces";
  int answer = hf_sys_rename(names->from, names->b, names->to, names->d, RENAME_NOREPLACE);
  int error = errno;
  if (answer < 0 && means_unsupported(error)) {
    probe->rename_errno = error;
    probe->rename_text = "renameat2 with RENAME_NOREPLACE is not supported here";
    return 0;
  }
  int moved = holds(names->to, names->d, names->b, reterr);
  if (moved < 0)
    return moved;
  /* ENOENT, and it was moved: a repeated request whose first reply was lost. */
  if (answer < 0 && (error != ENOENT || !moved))
    return hf_err_sys(reterr, HF_EIO, error, names->d, "cannot rename a scratch file");
  if (!moved) {
    probe->rename_text = "renameat2 answers success and does not move";
    return 0;
  }
  answer = hf_sys_rename(names->from, names->a, names->to, names->d, RENAME_NOREPLACE);
  if (answer < 0 && errno != EEXIST)
    return hf_err_sys(reterr, HF_EIO, errno, names->d, "cannot try rename on a name that exists");
  int kept = holds(names->to, names->d, names->b, reterr);
  if (kept < 0)
    return kept;
  if (!kept)
    probe->rename_text = "RENAME_NOREPLACE is ignored: a name that exists is replaced";
  else if (answer == 0)
    probe->rename_text = "renameat2 answers success although the name exists";
  probe->can_rename = kept && answer < 0;
  return 0;
}

/* A store removes names all the time (staged files, packed records): a folder that allows none is
 * no place for one. */
static int remove_name(int dirfd, const char *name, hf_error *reterr) {
  if (hf_sys_unlink(dirfd, name, 0) < 0 && errno != ENOENT)
    return hf_err_sys(reterr, HF_EIO, errno, name, "cannot remove a scratch file");
  return 0;
}

static int remove_names(const probe_names *names, hf_error *reterr) {
  int worst = 0;
  const char *in_from[] = {names->a, names->b};
  const char *in_to[] = {names->c, names->d};
  for (size_t i = 0; i < 2; i++) {
    int from_status = remove_name(names->from, in_from[i], worst == 0 ? reterr : NULL);
    worst = worst == 0 ? from_status : worst;
    int to_status = remove_name(names->to, in_to[i], worst == 0 ? reterr : NULL);
    worst = worst == 0 ? to_status : worst;
  }
  return worst;
}

int hf_probe_between(int from_dirfd, int to_dirfd, hf_probe *ret_probe, hf_error *reterr) {
  probe_names names = {.from = from_dirfd, .to = to_dirfd};
  hf_probe probe = {0};
  int status = make_names(&names, reterr);
  if (status < 0)
    return status;
  status = hf_file_create(from_dirfd, names.a, names.a, strlen(names.a), 0, reterr);
  if (status == 0)
    status = hf_file_create(from_dirfd, names.b, names.b, strlen(names.b), 0, reterr);
  if (status == 0)
    status = probe_link(&names, &probe, reterr);
  if (status == 0)
    status = probe_rename(&names, &probe, reterr);
  int removed = remove_names(&names, status == 0 ? reterr : NULL);
  status = status == 0 ? removed : status;
  if (status == 0)
    *ret_probe = probe;
  return status;
}

int hf_probe_publish(int scratch_dirfd, int *ret_can_link, int *ret_can_rename, hf_error *reterr) {
  hf_probe probe;
  int status = hf_probe_between(scratch_dirfd, scratch_dirfd, &probe, reterr);
  if (status < 0)
    return status;
  *ret_can_link = probe.can_link;
  *ret_can_rename = probe.can_rename;
  return 0;
}
