/* What /proc/self/mountinfo says of a mount: parsing, apart from reading, so that tests can feed
 * recorded texts. */
#ifndef HF_CORE_FS_H
#define HF_CORE_FS_H

#include <stddef.h>
#include <stdint.h>

#include <holdfast/config.h>

/* A piece of a text, with the kernel's octal escapes still in it. */
typedef struct hf_slice {
  const char *text;
  size_t bytes;
} hf_slice;

/* One line of mountinfo. The slices point into the text. */
typedef struct hf_mount {
  int64_t id;
  hf_slice point;
  hf_slice options; /* per mount */
  hf_slice type;    /* "fuse.sshfs": the kernel puts FUSE's subtype here */
  hf_slice source;
  hf_slice super_options; /* per filesystem */
} hf_mount;

/* Finds a mount by its id, or, where id is negative, the one with the longest mount point above
 * `path` (absolute, resolved); of several at one place the last, which covers the others. 1 or 0.
 * Lines that make no sense are passed over. */
int hf_mountinfo_find(const char *text, size_t bytes, int64_t id, const char *path,
                      hf_mount *ret_mount);

/* Decodes \040 and the like, cut to fit. 1: whole; 0: cut. */
int hf_mount_decode(hf_slice slice, char *out, size_t out_bytes);

/* An option's value ("upperdir"), or an empty one where it has none. 1 or 0. */
int hf_mount_option(hf_slice options, const char *name, hf_slice *ret_value);

/* The same in decoded options, as hf_fs.options has them. `name` alone, or "name=value". */
int hf_fs_has_option(const hf_fs *fs, const char *option);

/* Refuses a mount on which no store can keep its promises (NFS with nocto: open does not ask the
 * server, so a reader would miss acknowledged saves). HF_EUNSUPPORTED with what to do. */
int hf_fs_check_mount(const hf_fs *fs, const char *path, hf_error *reterr);

/* Fills type, options, mount_point and source; acting_type like type (nfs with vers=4: nfs4). */
void hf_fs_from_mount(const hf_mount *mount, hf_fs *ret_fs);

/* 1: on the list of local filesystems: one kernel sees every change. */
int hf_fs_type_is_local(const char *type);

/* The type that has this f_type, or "unknown". */
const char *hf_fs_type_of_magic(unsigned long magic);

/* Do f_type and mountinfo contradict each other, so that the path may not be where it seems? Asked
 * of local types only: too much hangs on them. */
int hf_fs_contradicts(const char *type, unsigned long magic);

#endif
