/* What a filesystem can do for publishing: tried for real, with scratch files that are removed
 * again.
 *
 * A mount can have hard links in name only: the new name is a copy, or an existing name is
 * replaced. A store must not be made there, so nothing is concluded from a type or from a return
 * value alone: inodes and contents are compared. */
#ifndef HF_CORE_PROBE_H
#define HF_CORE_PROBE_H

#include <holdfast/error.h>

typedef struct hf_probe {
  int can_link;   /* 1: link gives the same inode, and never replaces */
  int can_rename; /* 1: renameat2 with RENAME_NOREPLACE moves, and never replaces */
  int link_errno; /* why link was refused; 0: it was not, or it answered 0 and did something else */
  int rename_errno;
  const char *link_text; /* for people, static: what was seen */
  const char *rename_text;
} hf_probe;

/* Tries both from one open folder into another (they may be the same), under the names
 * probe-<random>.a to .d, as publishing does from stage/ into log/. Returns 0, whatever can or
 * cannot be done. Errors: HF_EIO where it cannot be told (no space, no permission, the mount is
 * gone), HF_ENOMEM. What a killed process leaves are regular files of a few bytes. */
int hf_probe_between(int from_dirfd, int to_dirfd, hf_probe *ret_probe, hf_error *reterr);

/* The same within one folder. */
int hf_probe_publish(int scratch_dirfd, int *ret_can_link, int *ret_can_rename, hf_error *reterr);

#endif
