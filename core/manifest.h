/* The manifest, STORE/holdfast.json: what the store is. Made by hf_init; published by a link or a
 * rename that never replaces, so that of two that make a store at once one wins.
 *
 * Its locker and mode are those that the store was made with. A change is a record in the log,
 * which decides; the manifest is told afterwards (hf_manifest_replace), for people and for programs
 * that do not read the log. */
#ifndef HF_CORE_MANIFEST_H
#define HF_CORE_MANIFEST_H

#include <holdfast/holdfast.h>

#include "buf.h"

#define HF_MANIFEST_NAME "holdfast.json"

/* Format 2 differs from 1 in one thing: the store was made in journal mode. A program that knows
 * format 1 alone would publish beside those who append. */
enum {
  HF_FORMAT_PUBLISH = 1,
  HF_FORMAT_JOURNAL = 2,
  HF_FORMAT_VERSION = 2, /* the newest that this program knows */
  HF_MANIFEST_BYTES_MAX = 64 * 1024,
  HF_MANIFEST_PEER_BYTES = 1024
};

typedef struct hf_manifest {
  uint64_t format;
  char uuid[HF_UUID_CHARS + 1];
  char locker[HF_LOCKER_NAME_BYTES_MAX + 1];
  uint64_t locker_seq; /* of the op "mode" that gave it this locker; 0: it was made with it */
  char publish[16];    /* "link" or "rename" */
  char created[40];
  int journal; /* 1: made in journal mode, which holds until the log has an op "mode" */
  int forced;  /* 1: made with force where no result of doctor --peer allowed it */
  /* what doctor --peer --record has put there, one JSON object (peer_record.h); "": nothing */
  char peer[HF_MANIFEST_PEER_BYTES];
} hf_manifest;

/* The text that stands in the file, with a crc as records have it. */
int hf_manifest_encode(const hf_manifest *manifest, hf_buf *out, hf_error *reterr);

/* HF_EDAMAGED (cannot be read as a manifest), HF_EVERSION (a newer or unknown format). */
int hf_manifest_decode(const char *text, size_t bytes, hf_manifest *ret_manifest, hf_error *reterr);

/* 1, 0 (there is none), or negative. */
int hf_manifest_read(int root_fd, hf_manifest *ret_manifest, hf_error *reterr);

/* A member of the manifest: its value as a JSON text. */
typedef struct hf_manifest_member {
  const char *name;
  const char *value;
} hf_manifest_member;

/* Puts members into the manifest, in place of those of the same name; every other one stays, also
 * those that this program does not know. Replaces the file as a whole (hf_manifest_put): a crash
 * leaves the old one or the new one. Where somebody else changed it since it was read it is done
 * again; of two at the same instant one may win and not have seen the other's change: take the
 * store's lock. Errors: those of hf_manifest_read, HF_ENOTSTORE, HF_ELIMIT, HF_EIO, HF_ENOMEM. */
int hf_manifest_replace(int root_fd, int stage_fd, const hf_manifest_member *members, size_t count,
                        hf_error *reterr);

/* Ends an object, which has no closing brace yet and begins at `start` of out, with its crc. */
int hf_manifest_seal(hf_buf *out, size_t start, hf_error *reterr);

/* 1 if the object's crc is that of the bytes before it. */
int hf_manifest_is_whole(const char *text, size_t bytes);

/* Puts a file in the place of the one of this name, or where none is: made durable under `staged`
 * in stage_fd, renamed over it, the root made durable, read back. */
int hf_manifest_put(int root_fd, int stage_fd, const char *staged, const char *name,
                    const hf_buf *text, hf_error *reterr);

#endif
