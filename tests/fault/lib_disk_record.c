/* Writing down what is done to a folder, while it is done for real. */
#include "lib_disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib_disk_change.h"
#include "lib_table.h"

#include "file.h"

enum { RECORD_NODES_MAX = 16384, DESCRIPTORS_MAX = 1024, READ_BYTES_MAX = 1 << 22 };

disk_changes disk_all;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* for all that follows */
static struct { ino_t inode; /* 0: gone */ } nodes[RECORD_NODES_MAX];
static void (*publish_hook)(void *context);
static void (*flush_hook)(void *context);
static void *publish_context;
static struct {
  unsigned nth; /* flush from now on; 0: none */
  const char *end;
  unsigned count;                      /* that have failed */
  unsigned char owed[DESCRIPTORS_MAX]; /* descriptors that have not answered an error yet */
} fails;
static __thread size_t fsync_began;
static __thread ino_t unlinked; /* the inode whose last name is about to go; 0: none */

static disk_change *append(disk_kind kind) {
  if (disk_all.count == disk_all.allocated) {
    disk_all.allocated = disk_all.allocated == 0 ? 1024 : disk_all.allocated * 2;
    disk_all.list = realloc(disk_all.list, disk_all.allocated * sizeof *disk_all.list);
    FAULT_CHECK(disk_all.list != NULL, "out of memory");
  }
  disk_change *change = &disk_all.list[disk_all.count++];
  memset(change, 0, sizeof *change);
  change->kind = kind;
  return change;
}

static ino_t inode_of(int fd) {
  struct stat st;
  FAULT_CHECK(fstat(fd, &st) == 0, "the simulated disk cannot examine a descriptor");
  return st.st_ino;
}

/* An inode's number may come again once it is gone: the youngest node is meant. */
static size_t find_node(ino_t inode) {
  for (size_t i = disk_all.nodes; i > 0; i--)
    if (nodes[i - 1].inode == inode)
      return i - 1;
  return SIZE_MAX;
}

static size_t node_of(int fd) {
  size_t node = find_node(inode_of(fd));
  FAULT_CHECK(node != SIZE_MAX, "the simulated disk does not know a file that is changed");
  return node;
}

static size_t new_node(ino_t inode) {
  FAULT_CHECK(disk_all.nodes < RECORD_NODES_MAX, "too many files for the simulated disk");
  nodes[disk_all.nodes].inode = inode;
  return disk_all.nodes++;
}

static void set_name(char to[DISK_NAME_BYTES], const char *name) {
  FAULT_CHECK(strlen(name) < DISK_NAME_BYTES, "the name %s is too long for the simulated disk",
              name);
  (void)snprintf(to, DISK_NAME_BYTES, "%s", name);
}

/* The folder that holds `name`, which may be a path below dirfd; *ret_name is its last part.
 * SIZE_MAX: outside. */
static size_t folder_of(int dirfd, const char *name, const char **ret_name) {
  const char *slash = strrchr(name, '/');
  char path[FAULT_PATH_BYTES];
  struct stat st;
  *ret_name = slash != NULL ? slash + 1 : name;
  if (slash == NULL && dirfd != AT_FDCWD)
    return node_of(dirfd);
  (void)snprintf(path, sizeof path, "%.*s", slash != NULL ? (int)(slash - name) : 1,
                 slash != NULL ? name : ".");
  FAULT_CHECK(fstatat(dirfd, path, &st, 0) == 0, "the simulated disk cannot find %s", path);
  return find_node(st.st_ino);
}

static void record_create(const fault_call *call, ino_t inode, int is_folder) {
  const char *name;
  size_t folder = folder_of(call->fd, call->name, &name);
  if (folder == SIZE_MAX)
    return; /* outside */
  size_t known = find_node(inode);
  if (known != SIZE_MAX && (call->flags & O_EXCL) == 0 && !is_folder)
    return; /* it existed: O_CREAT without O_EXCL */
  disk_change *change = append(DISK_CREATE);
  change->node = new_node(inode);
  change->folder = folder;
  set_name(change->name, name);
  change->is_folder = is_folder;
}

/* A node whose last name goes may leave its inode's number to another one. */
static void note_last_name(const fault_call *call) {
  struct stat st;
  unlinked = fstatat(call->fd, call->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink == 1
                 ? st.st_ino
                 : 0;
}

static void record_unlink(const fault_call *call) {
  size_t node = unlinked != 0 ? find_node(unlinked) : SIZE_MAX;
  if (node != SIZE_MAX)
    nodes[node].inode = 0;
  const char *name;
  disk_change *change = append(DISK_REMOVE);
  change->folder = folder_of(call->fd, call->name, &name);
  set_name(change->name, name);
}

static void record_two_names(const fault_call *call) {
  struct stat st;
  FAULT_CHECK(fstatat(call->to_fd, call->to_name, &st, AT_SYMLINK_NOFOLLOW) == 0,
              "%s is not there after it was linked", call->to_name);
  size_t node = find_node(st.st_ino);
  FAULT_CHECK(node != SIZE_MAX, "the simulated disk does not know %s", call->name);
  disk_change *change = append(call->kind == FAULT_LINK ? DISK_ADD : DISK_MOVE);
  change->node = node;
  const char *name;
  change->folder = folder_of(call->fd, call->name, &name);
  set_name(change->name, name);
  change->to_folder = folder_of(call->to_fd, call->to_name, &name);
  set_name(change->to_name, name);
}

static void record_write(const fault_call *call) {
  disk_change *change = append(DISK_WRITE);
  change->node = node_of(call->fd);
  change->count = (size_t)call->result;
  change->offset = (uint64_t)call->offset;
  change->bytes = malloc(change->count + 1);
  FAULT_CHECK(change->bytes != NULL, "out of memory");
  memcpy(change->bytes, call->bytes, change->count);
}

static void record_mkdir(const fault_call *call) {
  struct stat st;
  FAULT_CHECK(fstatat(call->fd, call->name, &st, 0) == 0, "%s was not made", call->name);
  record_create(call, st.st_ino, 1);
}

static void record(const fault_call *call) {
  disk_change *change;
  switch (call->kind) {
  case FAULT_OPENAT:
    if (call->result < DESCRIPTORS_MAX)
      fails.owed[call->result] = 0;
    if ((call->flags & O_CREAT) != 0)
      record_create(call, inode_of((int)call->result), 0);
    break;
  case FAULT_MKDIR:
    record_mkdir(call);
    break;
  case FAULT_UNLINK:
    record_unlink(call);
    break;
  case FAULT_LINK:
  case FAULT_RENAME:
    record_two_names(call);
    break;
  case FAULT_PWRITE:
    record_write(call);
    break;
  case FAULT_FTRUNCATE:
    change = append(DISK_TRUNCATE);
    change->node = node_of(call->fd);
    change->offset = (uint64_t)call->offset;
    break;
  case FAULT_FDATASYNC: /* nothing here hangs on what it spares: times */
  case FAULT_FSYNC: {
    size_t node = find_node(inode_of(call->fd));
    if (node == SIZE_MAX)
      break; /* a parent of the root */
    change = append(DISK_FSYNC_END);
    change->node = node;
    change->began = fsync_began;
    break;
  }
  case FAULT_CLOSE:
  case FAULT_PREAD:
  case FAULT_FSTAT:
  case FAULT_FSTATAT:
  case FAULT_STATX:
  case FAULT_FLOCK:
  case FAULT_SETLK:
  case FAULT_MADVISE:
  case FAULT_STATFS:
  case FAULT_FDOPENDIR:
  case FAULT_READDIR:
  case FAULT_CLOSEDIR:
  case FAULT_KINDS:
    break;
  }
}

/* What the kernel did not write is not written later, and each descriptor tells of it once. */
static void lose(int fd) {
  ino_t inode = inode_of(fd);
  struct stat st;
  size_t node = find_node(inode);
  if (node == SIZE_MAX || (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)))
    return;
  append(DISK_FSYNC_FAILED)->node = node;
  for (int other = 0; other < DESCRIPTORS_MAX; other++)
    fails.owed[other] |= other != fd && fstat(other, &st) == 0 && st.st_ino == inode;
}

static int is_to_fail(const fault_call *call) {
  int is = 0;
  if (call->kind != FAULT_FSYNC && call->kind != FAULT_FDATASYNC)
    return 0;
  (void)pthread_mutex_lock(&mutex);
  if (call->fd < DESCRIPTORS_MAX && fails.owed[call->fd])
    is = 1;
  else if (fails.nth > 0 && (fails.end == NULL || fault_fd_ends_in(call->fd, fails.end)) &&
           --fails.nth == 0) {
    is = 1;
    lose(call->fd);
  }
  fails.count += is != 0;
  if (is && call->fd < DESCRIPTORS_MAX)
    fails.owed[call->fd] = 0;
  (void)pthread_mutex_unlock(&mutex);
  return is;
}

static void before(void *context, fault_call *call) {
  (void)context;
  if (flush_hook != NULL && call->kind == FAULT_FDATASYNC)
    flush_hook(publish_context);
  if (is_to_fail(call)) {
    call->skip = 1;
    call->result = -1;
    call->sys_errno = EIO;
    return;
  }
  if (call->kind == FAULT_UNLINK)
    note_last_name(call);
  if (call->kind != FAULT_FSYNC && call->kind != FAULT_FDATASYNC)
    return;
  (void)pthread_mutex_lock(&mutex);
  size_t node = find_node(inode_of(call->fd));
  fsync_began = disk_all.count;
  if (node != SIZE_MAX)
    append(DISK_FSYNC_BEGIN)->node = node;
  (void)pthread_mutex_unlock(&mutex);
}

static void after(void *context, fault_call *call) {
  (void)context;
  if (call->result < 0)
    return;
  (void)pthread_mutex_lock(&mutex);
  record(call);
  (void)pthread_mutex_unlock(&mutex);
  if (publish_hook != NULL && (fault_is_publish(call) || fault_is_append(call)))
    publish_hook(publish_context);
}

static const fault_hooks hooks = {
    .before = before, .after = after, .reentrant = 1, .fast_fsync = 1};

/* A file that is there before the recording begins. */
static void note_file(int dirfd, const char *name, size_t node) {
  disk_change *change = append(DISK_WRITE);
  hf_autofd int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);
  change->node = node;
  change->bytes = malloc(READ_BYTES_MAX);
  FAULT_CHECK(fd >= 0 && change->bytes != NULL, "cannot read %s", name);
  ssize_t got = read(fd, change->bytes, READ_BYTES_MAX);
  FAULT_CHECK(got >= 0 && got < READ_BYTES_MAX, "cannot read %s, or it is large", name);
  change->count = (size_t)got;
}

static void note_durable(size_t node) {
  size_t began = disk_all.count;
  append(DISK_FSYNC_BEGIN)->node = node;
  disk_change *change = append(DISK_FSYNC_END);
  change->node = node;
  change->began = began;
}

static void note_folder(int fd, size_t folder) {
  DIR *dir = fdopendir(dup(fd));
  FAULT_CHECK(dir != NULL, "cannot read a folder");
  for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
    struct stat st;
    if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
      continue;
    FAULT_CHECK(fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0, "cannot examine %s",
                entry->d_name);
    size_t node = S_ISDIR(st.st_mode) ? SIZE_MAX : find_node(st.st_ino);
    int is_new = node == SIZE_MAX;
    node = is_new ? new_node(st.st_ino) : node;
    disk_change *change = append(is_new ? DISK_CREATE : DISK_ADD);
    change->node = node;
    change->folder = change->to_folder = folder;
    set_name(is_new ? change->name : change->to_name, entry->d_name);
    change->is_folder = S_ISDIR(st.st_mode);
    if (S_ISDIR(st.st_mode)) {
      hf_autofd int below = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      FAULT_CHECK(below >= 0, "cannot open %s", entry->d_name);
      note_folder(below, node);
    } else if (is_new) {
      note_file(fd, entry->d_name, node);
      note_durable(node);
    }
  }
  (void)closedir(dir);
  note_durable(folder);
}

void disk_record_begin(const char *root, void (*after_publish)(void *context), void *context) {
  struct stat st;
  FAULT_CHECK(stat(root, &st) == 0, "there is no %s", root);
  for (size_t i = 0; i < disk_all.count; i++)
    free(disk_all.list[i].bytes);
  free(disk_all.list);
  memset(&disk_all, 0, sizeof disk_all);
  (void)new_node(st.st_ino);
  memset(&fails, 0, sizeof fails);
  hf_autofd int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  FAULT_CHECK(root_fd >= 0, "cannot open %s", root);
  note_folder(root_fd, DISK_ROOT);
  publish_hook = after_publish;
  publish_context = context;
  fault_table_install(&hooks);
}

void disk_record_before_flush(void (*before_flush)(void *context)) {
  flush_hook = before_flush;
}

void disk_record_fail_flush(unsigned nth, const char *end) {
  fails.nth = nth;
  fails.end = end;
}

unsigned disk_record_failed_flushes(void) {
  (void)pthread_mutex_lock(&mutex);
  unsigned count = fails.count;
  (void)pthread_mutex_unlock(&mutex);
  return count;
}

void disk_record_end(void) {
  flush_hook = NULL;
  fault_table_remove();
}

size_t disk_position(void) {
  (void)pthread_mutex_lock(&mutex);
  size_t count = disk_all.count;
  (void)pthread_mutex_unlock(&mutex);
  return count;
}
