/* The list of changes that lib_disk_record.c writes and lib_disk_replay.c reads. */
#ifndef FAULT_LIB_DISK_CHANGE_H
#define FAULT_LIB_DISK_CHANGE_H

#include <stddef.h>
#include <stdint.h>

enum {
  DISK_NAME_BYTES = 96,
  DISK_ROOT = 0, /* the number of the root folder */
};

typedef enum disk_kind {
  DISK_CREATE, /* a new node under a name */
  DISK_ADD,    /* a further name of a node */
  DISK_REMOVE,
  DISK_MOVE,
  DISK_WRITE,
  DISK_TRUNCATE,
  DISK_FSYNC_BEGIN,
  DISK_FSYNC_END,
  DISK_FSYNC_FAILED, /* of a file: what it should have written is lost, though it can be read */
} disk_kind;

/* A node is a file or a folder, by a number that is never used again. */
typedef struct disk_change {
  disk_kind kind;
  size_t node;
  size_t folder;
  char name[DISK_NAME_BYTES];
  size_t to_folder;
  char to_name[DISK_NAME_BYTES];
  int is_folder;
  unsigned char *bytes;
  size_t count;
  uint64_t offset;
  size_t began; /* FSYNC_END: the position of its FSYNC_BEGIN */
} disk_change;

typedef struct disk_changes {
  disk_change *list;
  size_t count;
  size_t allocated;
  size_t nodes; /* numbers given away */
} disk_changes;

extern disk_changes disk_all;

#endif
