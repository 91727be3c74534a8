/* Going through the changes again, and choosing what the disk has kept. */
#include "lib_disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "id.h"
#include "lib_disk_change.h"

typedef struct entry {
  char name[DISK_NAME_BYTES];
  size_t node;
} entry;

typedef struct entries {
  entry *list;
  size_t count;
  size_t allocated;
} entries;

/* A change of a folder's names that is not durable yet. */
typedef struct pending {
  size_t position;
  int is_add;
  entry entry;
} pending;

typedef struct bytes {
  unsigned char *data;
  size_t count;
} bytes;

typedef struct node {
  int is_folder;
  bytes now; /* of a file */
  bytes kept;
  bytes written; /* for each byte: WRITTEN, WRITTEN_LOST, or not since the recording began */
  int is_dirty;  /* now is not kept */
  int has_lost;
  entries durable; /* of a folder */
  pending *pending;
  size_t pending_count;
  size_t pending_allocated;
} node;

enum { WRITTEN = 1, WRITTEN_LOST };

struct disk_replay {
  node *nodes;
  bytes *snapshots; /* by the position of an FSYNC_BEGIN */
  bytes *lost;      /* of it: node.written, where some was lost */
  size_t next;
};

static void *grow(void *list, size_t *allocated, size_t count, size_t size) {
  if (count < *allocated)
    return list;
  *allocated = *allocated == 0 ? 16 : *allocated * 2;
  list = realloc(list, *allocated * size);
  FAULT_CHECK(list != NULL, "out of memory");
  return list;
}

static void set_bytes(bytes *to, const bytes *from) {
  free(to->data);
  to->data = malloc(from->count + 1);
  FAULT_CHECK(to->data != NULL, "out of memory");
  if (from->count > 0)
    memcpy(to->data, from->data, from->count);
  to->count = from->count;
}

static void set_length(bytes *to, size_t count) {
  to->data = realloc(to->data, count + 1);
  FAULT_CHECK(to->data != NULL, "out of memory");
  if (count > to->count)
    memset(to->data + to->count, 0, count - to->count);
  to->count = count;
}

static void apply_name(entries *all, int is_add, const entry *one) {
  size_t i = 0;
  while (i < all->count && strcmp(all->list[i].name, one->name) != 0)
    i++;
  if (!is_add) {
    if (i < all->count)
      all->list[i] = all->list[--all->count];
    return;
  }
  all->list = grow(all->list, &all->allocated, i, sizeof *all->list);
  all->list[i] = *one;
  if (i == all->count)
    all->count++;
}

static void add_pending(disk_replay *replay, size_t folder, int is_add, const char *name,
                        size_t number) {
  node *in = &replay->nodes[folder];
  in->pending = grow(in->pending, &in->pending_allocated, in->pending_count, sizeof *in->pending);
  pending *one = &in->pending[in->pending_count++];
  one->position = replay->next;
  one->is_add = is_add;
  one->entry.node = number;
  (void)snprintf(one->entry.name, sizeof one->entry.name, "%s", name);
}

static void apply_fsync(disk_replay *replay, const disk_change *change) {
  node *of = &replay->nodes[change->node];
  if (!of->is_folder) {
    bytes *snapshot = &replay->snapshots[change->began];
    const bytes *lost = &replay->lost[change->began];
    for (size_t i = 0; i < lost->count; i++)
      if (lost->data[i] == WRITTEN_LOST)
        snapshot->data[i] = i < of->kept.count ? of->kept.data[i] : 0;
    set_bytes(&of->kept, snapshot);
    of->is_dirty =
        of->now.count != of->kept.count || memcmp(of->now.data, of->kept.data, of->now.count) != 0;
    return;
  }
  size_t left = 0;
  for (size_t i = 0; i < of->pending_count; i++) {
    if (of->pending[i].position < change->began)
      apply_name(&of->durable, of->pending[i].is_add, &of->pending[i].entry);
    else
      of->pending[left++] = of->pending[i];
  }
  of->pending_count = left;
}

int disk_replay_step(disk_replay *replay, int *ret_is_cut) {
  if (replay->next == disk_all.count)
    return 0;
  const disk_change *change = &disk_all.list[replay->next];
  node *of = &replay->nodes[change->node];
  switch (change->kind) {
  case DISK_CREATE:
    of->is_folder = change->is_folder;
    set_length(&of->now, 0);
    set_length(&of->kept, 0);
    add_pending(replay, change->folder, 1, change->name, change->node);
    break;
  case DISK_ADD:
    add_pending(replay, change->to_folder, 1, change->to_name, change->node);
    break;
  case DISK_REMOVE:
    add_pending(replay, change->folder, 0, change->name, 0);
    break;
  case DISK_MOVE:
    add_pending(replay, change->to_folder, 1, change->to_name, change->node);
    add_pending(replay, change->folder, 0, change->name, 0);
    break;
  case DISK_WRITE:
    if (change->offset + change->count > of->now.count)
      set_length(&of->now, (size_t)change->offset + change->count);
    memcpy(of->now.data + change->offset, change->bytes, change->count);
    set_length(&of->written, of->now.count);
    memset(of->written.data + change->offset, WRITTEN, change->count);
    of->is_dirty = 1;
    break;
  case DISK_TRUNCATE:
    set_length(&of->now, (size_t)change->offset);
    set_length(&of->written, (size_t)change->offset);
    of->is_dirty = 1;
    break;
  case DISK_FSYNC_BEGIN:
    if (!of->is_folder)
      set_bytes(&replay->snapshots[replay->next], &of->now);
    if (of->has_lost)
      set_bytes(&replay->lost[replay->next], &of->written);
    break;
  case DISK_FSYNC_END:
    apply_fsync(replay, change);
    break;
  case DISK_FSYNC_FAILED:
    for (size_t i = 0; i < of->written.count; i++)
      if (of->written.data[i] == WRITTEN)
        of->written.data[i] = WRITTEN_LOST;
    of->has_lost = 1;
    break;
  }
  replay->next++;
  if (ret_is_cut != NULL)
    *ret_is_cut = change->kind != DISK_FSYNC_BEGIN;
  return 1;
}

const char *disk_replay_last(const disk_replay *replay) {
  static const char *const kinds[] = {"create",   "link",         "unlink", "rename",      "write",
                                      "truncate", "before fsync", "fsync",  "failed fsync"};
  static char text[2 * DISK_NAME_BYTES + 64];
  if (replay->next == 0)
    return "nothing";
  const disk_change *change = &disk_all.list[replay->next - 1];
  const char *name = change->name;
  for (size_t i = replay->next; name[0] == '\0' && i > 0; i--) /* the name it was made under */
    if (disk_all.list[i - 1].kind == DISK_CREATE && disk_all.list[i - 1].node == change->node)
      name = disk_all.list[i - 1].name;
  int used = snprintf(text, sizeof text, "%s %s%s%s", kinds[change->kind], name,
                      change->to_name[0] != '\0' ? " to " : "", change->to_name);
  if (change->kind == DISK_WRITE && used > 0 && (size_t)used < sizeof text)
    (void)snprintf(text + used, sizeof text - (size_t)used, " at %llu, %zu bytes",
                   (unsigned long long)change->offset, change->count);
  return text;
}

disk_replay *disk_replay_begin(void) {
  disk_replay *replay = calloc(1, sizeof *replay);
  FAULT_CHECK(replay != NULL, "out of memory");
  replay->nodes = calloc(disk_all.nodes + 1, sizeof *replay->nodes);
  replay->snapshots = calloc(disk_all.count + 1, sizeof *replay->snapshots);
  replay->lost = calloc(disk_all.count + 1, sizeof *replay->lost);
  FAULT_CHECK(replay->nodes != NULL && replay->snapshots != NULL && replay->lost != NULL,
              "out of memory");
  replay->nodes[DISK_ROOT].is_folder = 1;
  return replay;
}

void disk_replay_end(disk_replay **replay) {
  disk_replay *old = *replay;
  *replay = NULL;
  for (size_t i = 0; i < disk_all.nodes; i++) {
    free(old->nodes[i].now.data);
    free(old->nodes[i].kept.data);
    free(old->nodes[i].written.data);
    free(old->nodes[i].durable.list);
    free(old->nodes[i].pending);
  }
  for (size_t i = 0; i < disk_all.count; i++) {
    free(old->snapshots[i].data);
    free(old->lost[i].data);
  }
  free(old->lost);
  free(old->nodes);
  free(old->snapshots);
  free(old);
}

/* ---- the adversary ---- */

/* What one power loss leaves: a content of each file, names of each folder. */
typedef struct outcome {
  const disk_replay *replay;
  disk_adversary adversary;
  fault_random random;
  char **paths; /* by node: where its first name was put; NULL: not yet */
  uint64_t digest;
  const char *target; /* NULL: only the digest */
} outcome;

static void digest(outcome *out, const void *data, size_t count) {
  out->digest = hf_hash64(out->digest, data, count);
}

enum {
  KEEP_OLD,
  KEEP_NEW,
  KEEP_BEGINNING,
  KEEP_ZEROES,
  KEEP_GARBAGE,
  KEEP_MIXED,
  KEEP_FIRST,
  KEEP_WAYS
};

/* Damages what was not fsynced: from where it differs on. */
static void spoil(const node *file, unsigned way, fault_random *random, bytes *content) {
  size_t shorter = file->kept.count < file->now.count ? file->kept.count : file->now.count;
  size_t longer = file->kept.count < file->now.count ? file->now.count : file->kept.count;
  size_t length = shorter + (size_t)fault_below(random, longer - shorter + 1);
  set_bytes(content, &file->now);
  set_length(content, length);
  for (size_t i = 0; i < length && way != KEEP_BEGINNING; i++) {
    int is_kept =
        i < file->kept.count && i < file->now.count && file->kept.data[i] == file->now.data[i];
    unsigned how = way;
    if (way == KEEP_MIXED) /* by sectors */
      how = (i / 512 + length) % 3 == 0   ? KEEP_NEW
            : (i / 512 + length) % 3 == 1 ? KEEP_ZEROES
                                          : KEEP_GARBAGE;
    if (!is_kept && how != KEEP_NEW)
      content->data[i] = how == KEEP_ZEROES ? 0 : (unsigned char)fault_next(random);
  }
}

/* What was not fsynced is there up to some place in it, and not behind: as KEEP_BEGINNING, in a
 * file whose space was laid out ahead, so that its length says nothing. */
static void keep_first(const node *file, fault_random *random, bytes *content) {
  size_t from = 0;
  size_t to = file->now.count;
  set_bytes(content, &file->now);
  while (from < to && from < file->kept.count && file->kept.data[from] == file->now.data[from])
    from++;
  while (to > from &&
         file->now.data[to - 1] == (to <= file->kept.count ? file->kept.data[to - 1] : 0))
    to--;
  from += (size_t)fault_below(random, to - from + 1);
  for (size_t i = from; i < to; i++)
    content->data[i] = i < file->kept.count ? file->kept.data[i] : 0;
}

static void choose_content(outcome *out, const node *file, bytes *content) {
  unsigned way = KEEP_OLD;
  if (out->adversary == DISK_ALL || out->adversary == DISK_LAST_NAME)
    way = KEEP_NEW;
  else if (out->adversary == DISK_RANDOM)
    way = (unsigned)fault_below(&out->random, KEEP_WAYS);
  if (way == KEEP_OLD || way == KEEP_NEW)
    set_bytes(content, way == KEEP_OLD ? &file->kept : &file->now);
  else if (way == KEEP_FIRST)
    keep_first(file, &out->random, content);
  else
    spoil(file, way, &out->random, content);
}

static void choose_names(outcome *out, const node *folder, entries *chosen) {
  for (size_t i = 0; i < folder->durable.count; i++)
    apply_name(chosen, 1, &folder->durable.list[i]);
  int by_prefix = 1;
  size_t prefix = out->adversary == DISK_MINIMAL ? 0 : folder->pending_count;
  if (out->adversary == DISK_RANDOM && folder->pending_count > 0) {
    by_prefix = (int)fault_below(&out->random, 2);
    prefix = (size_t)fault_below(&out->random, folder->pending_count + 1);
  }
  for (size_t i = out->adversary == DISK_LAST_NAME && prefix > 0 ? prefix - 1 : 0;
       i < folder->pending_count; i++)
    if (by_prefix ? i < prefix : fault_below(&out->random, 2) == 0)
      apply_name(chosen, folder->pending[i].is_add, &folder->pending[i].entry);
}

static void put_file(outcome *out, size_t number, const char *path) {
  const node *file = &out->replay->nodes[number];
  bytes chosen = {0};
  const bytes *content = &file->now;
  digest(out, &number, sizeof number);
  if (out->paths[number] != NULL) { /* another name of the same file */
    FAULT_CHECK(out->target == NULL || link(out->paths[number], path) == 0, "cannot link %s: %s",
                path, strerror(errno));
    return;
  }
  out->paths[number] = strdup(path);
  if (file->is_dirty) {
    choose_content(out, file, &chosen);
    content = &chosen;
    digest(out, content->data, content->count);
  } else
    digest(out, &content->count, sizeof content->count);
  if (out->target != NULL) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    FAULT_CHECK(fd >= 0 && write(fd, content->data, content->count) == (ssize_t)content->count &&
                    close(fd) == 0,
                "cannot write %s: %s", path, strerror(errno));
  }
  free(chosen.data);
}

static int compare_entries(const void *a, const void *b) {
  return strcmp(((const entry *)a)->name, ((const entry *)b)->name);
}

static void put_folder(outcome *out, size_t number, const char *path) {
  entries chosen = {0};
  FAULT_CHECK(out->target == NULL || mkdir(path, 0777) == 0, "cannot make %s: %s", path,
              strerror(errno));
  choose_names(out, &out->replay->nodes[number], &chosen);
  if (chosen.count > 0)
    qsort(chosen.list, chosen.count, sizeof *chosen.list, compare_entries);
  for (size_t i = 0; i < chosen.count; i++) {
    char below[FAULT_PATH_BYTES];
    fault_path(below, path, chosen.list[i].name);
    digest(out, chosen.list[i].name, strlen(chosen.list[i].name) + 1);
    if (out->replay->nodes[chosen.list[i].node].is_folder)
      put_folder(out, chosen.list[i].node, below);
    else
      put_file(out, chosen.list[i].node, below);
  }
  digest(out, "/", 1);
  free(chosen.list);
}

void disk_materialise(const disk_replay *replay, disk_adversary adversary, fault_random random,
                      const char *path, uint64_t *ret_digest) {
  outcome out = {.replay = replay, .adversary = adversary, .random = random, .target = path};
  out.paths = calloc(disk_all.nodes + 1, sizeof *out.paths);
  FAULT_CHECK(out.paths != NULL, "out of memory");
  put_folder(&out, DISK_ROOT, path != NULL ? path : "");
  for (size_t i = 0; i < disk_all.nodes; i++)
    free(out.paths[i]);
  free(out.paths);
  *ret_digest = out.digest;
}
