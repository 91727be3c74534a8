/* What is known of types of filesystems. */
#include "fs.h"

#include <stdio.h>
#include <string.h>

#include "banned.h"

/* f_type of statfs(2); the names of the constants are not in every libc's headers. */
static const struct {
  unsigned long magic;
  int is_local;
  const char *type;
} types[] = {
    {0xEF53, 1, "ext4"}, /* the first of a magic is what is answered where mountinfo is missing */
    {0xEF53, 1, "ext3"},      {0xEF53, 1, "ext2"},      {0x58465342, 1, "xfs"},
    {0x9123683E, 1, "btrfs"}, {0x2FC12FC1, 1, "zfs"},   {0xF2F52010, 1, "f2fs"},
    {0x01021994, 1, "tmpfs"}, {0x6969, 0, "nfs"},       {0xFF534D42, 0, "cifs"},
    {0xFE534D42, 0, "smb3"},  {0x517B, 0, "smbfs"},     {0x0BD00BD0, 0, "lustre"},
    {0x00C36400, 0, "ceph"},  {0x47504653, 0, "gpfs"},  {0x19830326, 0, "beegfs"},
    {0x65735546, 0, "fuse"},  {0x01021997, 0, "9p"},    {0x794C7630, 0, "overlay"},
    {0x5346414F, 0, "afs"},   {0x7461636F, 0, "ocfs2"}, {0x01161970, 0, "gfs2"},
    {0x4D44, 0, "vfat"},      {0x2011BAB0, 0, "exfat"}, {0x858458F6, 0, "ramfs"},
};

enum { TYPES = sizeof types / sizeof types[0] };

int hf_fs_type_is_local(const char *type) {
  for (int i = 0; i < TYPES; i++)
    if (types[i].is_local && strcmp(types[i].type, type) == 0)
      return 1;
  return 0;
}

const char *hf_fs_type_of_magic(unsigned long magic) {
  for (int i = 0; i < TYPES; i++)
    if (types[i].magic == magic)
      return types[i].type;
  return "unknown";
}

int hf_fs_contradicts(const char *type, unsigned long magic) {
  int known = 0;
  for (int i = 0; i < TYPES; i++) {
    if (!types[i].is_local || strcmp(types[i].type, type) != 0)
      continue;
    if (types[i].magic == magic)
      return 0;
    known = 1;
  }
  return known;
}

/* Is `option` ("name" or "name=value") one of the comma-separated options? */
int hf_fs_has_option(const hf_fs *fs, const char *option) {
  hf_slice value;
  char name[64];
  const char *equals = strchr(option, '=');
  size_t name_bytes = equals != NULL ? (size_t)(equals - option) : strlen(option);
  (void)snprintf(name, sizeof name, "%.*s", (int)name_bytes, option);
  hf_slice options = {fs->options, strlen(fs->options)};
  if (!hf_mount_option(options, name, &value))
    return 0;
  return equals == NULL ||
         (value.bytes == strlen(equals + 1) && memcmp(value.text, equals + 1, value.bytes) == 0);
}

/* ---- where flock does not reach all hosts ---- */

static const char one_host_nfs[] =
    "this NFS mount keeps flock on one host (nolock or local_lock): processes of other hosts take "
    "no turns with it; nothing is lost or doubled, but their saves collide and are tried again";
static const char one_host_gpfs[] =
    "GPFS may keep flock on one host: processes of other hosts take no turns with it; nothing is "
    "lost or doubled, but their saves collide and are tried again";
static const char one_host_lustre[] =
    "this Lustre mount keeps flock on one host (localflock): processes of other hosts take no "
    "turns with it; nothing is lost or doubled, but their saves collide and are tried again";
static const char no_flock_lustre[] =
    "this Lustre mount shows no option flock: then flock answers an error and nothing can be "
    "saved; mount it with -o flock, or use another locker";
static const char one_host_fuse[] =
    "most FUSE filesystems leave flock to the kernel of one host: processes of other hosts take "
    "no turns with it; nothing is lost or doubled, but their saves collide and are tried again";
static const char one_host_guest[] =
    "this filesystem comes from the machine's host and usually keeps flock inside this machine: "
    "others take no turns with it; nothing is lost or doubled, but their saves collide and are "
    "tried again";
static const char one_host_beegfs[] =
    "BeeGFS keeps flock on one host unless tuneUseGlobalFileLocks is true: processes of other "
    "hosts take no turns with it; nothing is lost or doubled, but their saves collide and are "
    "tried again";
static const char one_host_smb[] =
    "this SMB mount keeps flock on one host (nobrl or an old kernel): processes of other hosts "
    "take no turns with it; nothing is lost or doubled, but their saves collide and are tried "
    "again";
static const char nobody_knows[] =
    "nobody can tell how far flock reaches on this filesystem: if only processes of this host "
    "write here it is right; else nothing is lost or doubled, but saves of other hosts collide "
    "and are tried again";

static int is_type(const hf_fs *fs, const char *type) {
  return strcmp(fs->acting_type, type) == 0;
}

const char *hf_fs_locker_caution(const hf_fs *fs, const char *scheme) {
  if (scheme == NULL || strcmp(scheme, "flock") != 0 || fs->local)
    return NULL;
  if (is_type(fs, "nfs") || is_type(fs, "nfs4")) {
    int is_one_host = hf_fs_has_option(fs, "nolock") || hf_fs_has_option(fs, "local_lock=all") ||
                      hf_fs_has_option(fs, "local_lock=flock");
    return is_one_host ? one_host_nfs : NULL;
  }
  if (is_type(fs, "gpfs"))
    return one_host_gpfs;
  if (is_type(fs, "lustre") && !hf_fs_has_option(fs, "flock"))
    return hf_fs_has_option(fs, "localflock") ? one_host_lustre : no_flock_lustre;
  if (is_type(fs, "fuse.glusterfs") || is_type(fs, "fuse.ceph") || is_type(fs, "fuse.ceph-fuse"))
    return NULL;
  if (strncmp(fs->acting_type, "fuse", 4) == 0)
    return one_host_fuse;
  if (is_type(fs, "9p") || is_type(fs, "virtiofs"))
    return one_host_guest;
  if (is_type(fs, "beegfs"))
    return one_host_beegfs;
  if (is_type(fs, "cifs") || is_type(fs, "smb3") || is_type(fs, "smbfs"))
    return hf_fs_has_option(fs, "nobrl") || is_type(fs, "smbfs") ? one_host_smb : NULL;
  if (is_type(fs, "lustre") || is_type(fs, "ceph") || is_type(fs, "ocfs2") || is_type(fs, "gfs2"))
    return NULL;
  return nobody_knows;
}
