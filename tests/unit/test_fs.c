/* Filesystems: recorded mountinfo texts, and what is mounted here. */
#include <check.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <holdfast/config.h>

#include "fs.h"
#include "sys.h"

/* Lines as Linux prints them (5.4 to 6.6), of several machines. */
static const char recorded[] =
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "23 22 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:5 - proc proc rw\n"
    "24 22 0:22 / /sys rw,nosuid - sysfs sysfs rw\n"
    "26 22 0:24 / /dev/shm rw,nosuid,nodev shared:4 - tmpfs tmpfs rw,inode64\n"
    "30 22 8:2 / /vol rw,noatime shared:2 master:3 propagate_from:1 - xfs /dev/sdb1 "
    "rw,attr2,inode64,logbufs=8\n"
    "31 30 8:1 /srv/data /vol/bound rw,relatime - ext4 /dev/sda1 rw,errors=remount-ro\n"
    "40 22 0:45 / /nfs3 rw,relatime shared:9 - nfs server:/export "
    "rw,vers=3,rsize=1048576,hard,nolock,proto=tcp,local_lock=all,addr=10.0.0.1\n"
    "41 22 0:46 / /nfs4 rw,relatime shared:10 - nfs4 server:/export "
    "rw,vers=4.2,soft,proto=tcp,local_lock=none,addr=10.0.0.1\n"
    "42 22 0:47 / /nfs-by-vers rw - nfs server:/x rw,vers=4.1,local_lock=none\n"
    "43 22 0:48 / /mnt/with\\040blank\\011tab\\134back ro,relatime - ext4 /dev/sdc1 rw\n"
    "44 22 0:49 / /sshfs rw,nosuid - fuse.sshfs user@host:/ rw,user_id=0,group_id=0\n"
    "45 22 8:17 / /ntfs rw - fuseblk /dev/sdd1 rw,user_id=0,allow_other,blksize=4096\n"
    "46 22 0:50 / /gluster rw - fuse.glusterfs gv0 rw\n"
    "47 22 0:51 / /lus rw - lustre 10.1.1.1@tcp:/fs rw,checksum,localflock\n"
    "48 22 0:52 / /lusflock rw - lustre 10.1.1.1@tcp:/fs rw,flock,lazystatfs\n"
    "49 22 0:53 / /lusnone rw - lustre 10.1.1.1@tcp:/fs rw,lazystatfs\n"
    "50 22 0:54 / /merged rw,relatime - overlay overlay rw,lowerdir=/l1:/l2,"
    "upperdir=/var/up\\054per\\040x,workdir=/var/w\n"
    "51 22 0:55 / /gpfs rw - gpfs gpfs0 rw,relatime\n"
    "52 22 0:56 / /cifs rw - cifs //server/share rw,vers=3.1.1,nobrl\n"
    "53 22 0:57 / /smb3 rw - smb3 //server/share rw,vers=3.1.1\n"
    "54 22 0:58 / /p9 rw - 9p hostshare rw,trans=virtio\n"
    "55 22 0:59 / /virtio rw - virtiofs tag rw\n"
    "56 22 0:60 / /beegfs rw - beegfs beegfs_nodev rw\n"
    "57 22 0:61 / /ceph rw - ceph 10.0.0.2:/ rw,acl\n"
    "58 22 0:62 / /local3 rw - nfs server:/y rw,vers=3,local_lock=flock\n"
    "59 22 0:63 / /plain3 rw - nfs server:/z rw,vers=3,local_lock=none\n"
    "60 22 0:64 / /covered rw - ext4 /dev/sde1 rw\n"
    "61 22 0:65 / /covered rw - tmpfs tmpfs rw\n"
    "62 22 0:66 / /odd rw - odd none\n";

static hf_fs parse(int64_t id, const char *path) {
  hf_mount mount;
  hf_fs fs;
  memset(&fs, 0, sizeof fs);
  ck_assert_int_eq(hf_mountinfo_find(recorded, sizeof recorded - 1, id, path, &mount), 1);
  hf_fs_from_mount(&mount, &fs);
  fs.local = hf_fs_type_is_local(fs.acting_type);
  return fs;
}

static void check_path(const char *path, const char *type, const char *point) {
  hf_fs fs = parse(-1, path);
  ck_assert_str_eq(fs.type, type);
  ck_assert_str_eq(fs.mount_point, point);
}

START_TEST(nocto_is_refused) {
  hf_error error = HF_ERROR_INIT;
  hf_fs fs = {.type = "nfs4", .options = "rw,relatime,rw,vers=4.1,nocto,hard", .mount_point = "/m"};
  ck_assert_int_eq(hf_fs_check_mount(&fs, "/m/store", &error), HF_EUNSUPPORTED);
  ck_assert_str_eq(error.place, "/m/store");
  ck_assert_ptr_nonnull(strstr(error.message, "nocto"));
  (void)snprintf(fs.options, sizeof fs.options, "rw,relatime,rw,vers=4.1,hard");
  ck_assert_int_eq(hf_fs_check_mount(&fs, "/m/store", &error), HF_OK);
  fs = (hf_fs){.type = "ext4", .options = "rw,nocto"};
  ck_assert_int_eq(hf_fs_check_mount(&fs, "/m/store", &error), HF_OK);
}
END_TEST

START_TEST(by_path) {
  check_path("/", "ext4", "/");
  check_path("/srv/data", "ext4", "/");
  check_path("/vol", "xfs", "/vol");
  check_path("/vol/user/store", "xfs", "/vol");
  check_path("/volly", "ext4", "/"); /* not below /vol */
  check_path("/vol/bound/x", "ext4", "/vol/bound");
  check_path("/dev/shm/s", "tmpfs", "/dev/shm");
  check_path("/nfs3/a", "nfs", "/nfs3");
  check_path("/nfs4/a", "nfs4", "/nfs4");
  check_path("/nfs-by-vers/a", "nfs4", "/nfs-by-vers");
  check_path("/mnt/with blank\ttab\\back/x", "ext4", "/mnt/with blank\ttab\\back");
  check_path("/sshfs/x", "fuse.sshfs", "/sshfs");
  check_path("/ntfs", "fuseblk", "/ntfs");
  check_path("/covered/x", "tmpfs", "/covered"); /* the later one is on top */
  check_path("/odd/x", "odd", "/odd");
}
END_TEST

START_TEST(by_id) {
  ck_assert_str_eq(parse(60, "/whatever").type, "ext4"); /* what the path could not tell */
  ck_assert_str_eq(parse(61, "/whatever").type, "tmpfs");
  ck_assert_str_eq(parse(31, "/").mount_point, "/vol/bound");
  hf_mount mount;
  ck_assert_int_eq(hf_mountinfo_find(recorded, sizeof recorded - 1, 999, "/", &mount), 0);
  ck_assert_int_eq(hf_mountinfo_find("", 0, -1, "/", &mount), 0);
}
END_TEST

START_TEST(options) {
  hf_fs fs = parse(-1, "/nfs3/a");
  ck_assert_str_eq(fs.source, "server:/export");
  ck_assert(hf_fs_has_option(&fs, "nolock"));
  ck_assert(hf_fs_has_option(&fs, "relatime")); /* of the mount */
  ck_assert(hf_fs_has_option(&fs, "vers=3"));
  ck_assert(hf_fs_has_option(&fs, "vers"));
  ck_assert(!hf_fs_has_option(&fs, "vers=4"));
  ck_assert(!hf_fs_has_option(&fs, "ver"));
  ck_assert(!hf_fs_has_option(&fs, "lock"));
  ck_assert(!hf_fs_has_option(&fs, "ro"));
  fs = parse(-1, "/vol");
  ck_assert_str_eq(fs.options, "rw,noatime,rw,attr2,inode64,logbufs=8");
  fs = parse(-1, "/mnt/with blank\ttab\\back");
  ck_assert(hf_fs_has_option(&fs, "ro"));
  fs = parse(-1, "/odd");
  ck_assert_str_eq(fs.options, "rw");
}
END_TEST

START_TEST(the_upper_layer) {
  hf_mount mount;
  hf_slice value;
  char upper[64];
  ck_assert_int_eq(hf_mountinfo_find(recorded, sizeof recorded - 1, 50, "", &mount), 1);
  ck_assert_int_eq(hf_mount_option(mount.super_options, "upperdir", &value), 1);
  ck_assert_int_eq(hf_mount_decode(value, upper, sizeof upper), 1);
  ck_assert_str_eq(upper, "/var/up,per x");
  ck_assert_int_eq(hf_mount_decode(value, upper, 5), 0); /* cut */
  ck_assert_str_eq(upper, "/var");
  ck_assert_int_eq(hf_mount_option(mount.super_options, "upper", &value), 0);
}
END_TEST

/* Texts that no kernel prints are passed over. */
START_TEST(damaged_texts) {
  const char *const texts[] = {
      "\n\n\n",
      "22 1 8:1 / / rw - ext4", /* no source */
      "22 1 8:1 / / rw shared:1 ext4 /dev/sda1 rw\n",
      "x2 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
      "9999999999999999999999 1 8:1 / / rw - ext4 /dev/sda1 rw\n",
      "- - - - - - - - -\n",
      " \n",
  };
  hf_mount mount;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    ck_assert_int_eq(hf_mountinfo_find(texts[i], strlen(texts[i]), -1, "/", &mount), 0);
  /* cut at every byte: nothing is read past the end (the sanitizers look) */
  for (size_t bytes = 0; bytes < sizeof recorded; bytes++) {
    char *copy = malloc(bytes > 0 ? bytes : 1);
    memcpy(copy, recorded, bytes);
    hf_fs fs;
    memset(&fs, 0, sizeof fs);
    if (hf_mountinfo_find(copy, bytes, -1, "/vol/x", &mount) == 1)
      hf_fs_from_mount(&mount, &fs);
    free(copy);
  }
  char decoded[16];
  ck_assert_int_eq(hf_mount_decode((hf_slice){"a\\4", 3}, decoded, sizeof decoded), 1);
  ck_assert_str_eq(decoded, "a\\4");
  ck_assert_int_eq(hf_mount_decode((hf_slice){"\\777", 4}, decoded, sizeof decoded), 1);
  ck_assert_str_eq(decoded, "\\777");
}
END_TEST

static const char *caution(const char *path, const char *scheme) {
  hf_fs fs = parse(-1, path);
  return hf_fs_locker_caution(&fs, scheme);
}

START_TEST(cautions) {
  const char *const cautioned[] = {"/nfs3",    "/local3", "/sshfs", "/ntfs", "/lus",
                                   "/lusnone", "/gpfs",   "/cifs",  "/p9",   "/odd",
                                   "/virtio",  "/beegfs", "/proc"};
  const char *const fine[] = {"/",         "/vol",  "/dev/shm", "/nfs4", "/plain3",
                              "/lusflock", "/smb3", "/gluster", "/ceph"};
  for (size_t i = 0; i < sizeof cautioned / sizeof cautioned[0]; i++) {
    ck_assert_msg(caution(cautioned[i], "flock") != NULL, "%s", cautioned[i]);
    ck_assert_ptr_null(caution(cautioned[i], "redis"));
    ck_assert_ptr_null(caution(cautioned[i], "none"));
    ck_assert_ptr_null(caution(cautioned[i], NULL));
  }
  for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++)
    ck_assert_msg(caution(fine[i], "flock") == NULL, "%s", fine[i]);
  ck_assert_ptr_nonnull(strstr(caution("/gpfs", "flock"), "GPFS may keep flock on one host"));
  ck_assert_ptr_nonnull(strstr(caution("/nfs3", "flock"), "nolock"));
  ck_assert_ptr_nonnull(strstr(caution("/lusnone", "flock"), "-o flock"));
}
END_TEST

START_TEST(magics) {
  ck_assert_str_eq(hf_fs_type_of_magic(0xEF53), "ext4");
  ck_assert_str_eq(hf_fs_type_of_magic(0x6969), "nfs");
  ck_assert_str_eq(hf_fs_type_of_magic(0x12345), "unknown");
  ck_assert_int_eq(hf_fs_contradicts("ext4", 0xEF53), 0);
  ck_assert_int_eq(hf_fs_contradicts("ext2", 0xEF53), 0);
  ck_assert_int_eq(hf_fs_contradicts("ext4", 0x6969), 1);
  ck_assert_int_eq(hf_fs_contradicts("tmpfs", 0x65735546), 1);
  ck_assert_int_eq(hf_fs_contradicts("nfs", 0xEF53), 0); /* not taken for local either way */
}
END_TEST

/* ---- what is mounted here ---- */

/* Does mountinfo show a mount there? */
static int is_mount(const char *path) {
  char line[4096], point[4096];
  int found = 0;
  FILE *file = fopen("/proc/self/mountinfo", "r");
  ck_assert_ptr_nonnull(file);
  while (!found && fgets(line, sizeof line, file) != NULL)
    found = sscanf(line, "%*s %*s %*s %*s %4095s", point) == 1 && strcmp(point, path) == 0;
  ck_assert_int_eq(fclose(file), 0);
  return found;
}

START_TEST(what_is_here) {
  hf_fs fs;
  hf_error error = HF_ERROR_INIT;
  ck_assert_int_eq(hf_fs_detect("/", &fs, NULL), 0);
  /* in a chroot whose root is no mount, mountinfo does not show it: statfs alone tells the type */
  ck_assert_str_eq(fs.mount_point, is_mount("/") ? "/" : "");
  ck_assert_str_ne(fs.type, "");
  ck_assert_int_eq(hf_fs_detect("/proc/self", &fs, NULL), 0);
  ck_assert_str_eq(fs.type, "proc");
  ck_assert_str_eq(fs.acting_type, "proc");
  ck_assert_int_eq(fs.local, 0);
  ck_assert_int_eq(hf_fs_detect("/nonexistent/x", &fs, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ENOENT);
  ck_assert_str_eq(error.place, "/nonexistent/x");
  struct stat st;
  if (stat("/dev/shm", &st) == 0 && hf_fs_detect("/dev/shm", &fs, NULL) == 0 &&
      strcmp(fs.type, "tmpfs") == 0) {
    ck_assert_int_eq(fs.local, 1);
    ck_assert_uint_eq(fs.magic, 0x01021994);
    ck_assert_int_eq(fs.read_only, 0);
  }
}
END_TEST

static int lying_statfs(const char *path, struct statfs *fs) {
  int result = statfs(path, fs);
  fs->f_type = 0x6969;
  return result;
}

static int failing_statfs(const char *path, struct statfs *fs) {
  (void)path, (void)fs;
  errno = ESTALE;
  return -1;
}

/* A local type in mountinfo and another one from statfs: not taken for local. */
START_TEST(contradictions) {
  hf_sys_table table = hf_sys_real;
  hf_fs fs;
  hf_error error = HF_ERROR_INIT;
  table.statfs = lying_statfs;
  ck_assert_int_eq(hf_fs_detect("/dev/shm", &fs, NULL), 0);
  int was_local = fs.local;
  hf_sys = &table;
  ck_assert_int_eq(hf_fs_detect("/dev/shm", &fs, NULL), 0);
  if (was_local) /* of two answers neither; of one, that */
    ck_assert_str_eq(fs.acting_type, fs.mount_point[0] != '\0' ? "unknown" : "nfs");
  ck_assert_int_eq(fs.local, 0);
  table.statfs = failing_statfs;
  ck_assert_int_eq(hf_fs_detect("/dev/shm", &fs, &error), HF_EIO);
  ck_assert_int_eq(error.sys_errno, ESTALE);
  hf_sys = &hf_sys_real;
}
END_TEST

/* In a child with mounts of its own. 0; 77: not allowed here; else the number of what failed. */
static int with_mounts(const char *base) {
  char upper[128], work[128], lower[128], merged[128], settings[512], bound[128];
  hf_fs fs;
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0)
    return 77;
  if (mount("tmpfs", base, "tmpfs", 0, NULL) != 0)
    return 77;
  snprintf(upper, sizeof upper, "%s/up,per x", base);
  snprintf(work, sizeof work, "%s/work", base);
  snprintf(lower, sizeof lower, "%s/lower", base);
  snprintf(merged, sizeof merged, "%s/merged", base);
  snprintf(bound, sizeof bound, "%s/bound", base);
  if (mkdir(upper, 0777) != 0 || mkdir(work, 0777) != 0 || mkdir(lower, 0777) != 0 ||
      mkdir(merged, 0777) != 0 || mkdir(bound, 0777) != 0)
    return 1;
  if (hf_fs_detect(lower, &fs, NULL) != 0 || strcmp(fs.type, "tmpfs") != 0 || !fs.local)
    return 2;
  if (mount("/proc", bound, "none", MS_BIND, NULL) != 0)
    return 77;
  if (hf_fs_detect(bound, &fs, NULL) != 0 || strcmp(fs.type, "proc") != 0)
    return 3;
  if (mount("tmpfs", bound, "tmpfs", MS_RDONLY, NULL) != 0)
    return 77;
  if (hf_fs_detect(bound, &fs, NULL) != 0 || strcmp(fs.type, "tmpfs") != 0 || !fs.read_only)
    return 4;
  snprintf(settings, sizeof settings, "lowerdir=%s,upperdir=%s/up\\,per x,workdir=%s", lower, base,
           work);
  if (mount("overlay", merged, "overlay", 0, settings) != 0)
    return 77;
  if (hf_fs_detect(merged, &fs, NULL) != 0 || strcmp(fs.type, "overlay") != 0)
    return 5;
  if (strcmp(fs.acting_type, "tmpfs") != 0 || !fs.local)
    return 6;
  if (mount("tmpfs", upper, "tmpfs", 0, NULL) != 0 || umount(upper) != 0)
    return 77;
  if (mount("/proc", upper, "none", MS_BIND, NULL) != 0) /* the path leads elsewhere now */
    return 77;
  if (hf_fs_detect(merged, &fs, NULL) != 0 || fs.local)
    return 7;
  return 0;
}

START_TEST(mounts_of_our_own) {
  char base[] = "/tmp/hf-fs-XXXXXX";
  ck_assert_ptr_nonnull(mkdtemp(base));
  pid_t child = fork();
  if (child == 0)
    _exit(with_mounts(base));
  int status = -1;
  ck_assert_int_eq(waitpid(child, &status, 0), child);
  ck_assert_int_eq(rmdir(base), 0);
  ck_assert(WIFEXITED(status));
  printf("mounts of our own: %d (77: not allowed here)\n", WEXITSTATUS(status));
  ck_assert(WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77);
}
END_TEST

int main(void) {
  Suite *suite = suite_create("fs");
  TCase *tcase = tcase_create("fs");
  tcase_add_test(tcase, nocto_is_refused);
  tcase_add_test(tcase, by_path);
  tcase_add_test(tcase, by_id);
  tcase_add_test(tcase, options);
  tcase_add_test(tcase, the_upper_layer);
  tcase_add_test(tcase, damaged_texts);
  tcase_add_test(tcase, cautions);
  tcase_add_test(tcase, magics);
  tcase_add_test(tcase, what_is_here);
  tcase_add_test(tcase, contradictions);
  tcase_add_test(tcase, mounts_of_our_own);
  suite_add_tcase(suite, tcase);
  SRunner *runner = srunner_create(suite);
  srunner_run_all(runner, CK_NORMAL);
  int failed = srunner_ntests_failed(runner);
  srunner_free(runner);
  return failed != 0;
}
