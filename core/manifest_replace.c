/* Changing members of the manifest that is there. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "json.h"
#include "manifest.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum { ROUNDS_MAX = 10 };

int hf_manifest_put(int root_fd, int stage_fd, const char *staged, const char *name,
                    const hf_buf *text, hf_error *reterr) {
  hf_autobuf there = {0};
  int status = hf_file_create(stage_fd, staged, text->data, text->used, 1, reterr);
  if (status != HF_OK)
    return status;
  int failed = hf_sys_rename(stage_fd, staged, root_fd, name, 0);
  int sys_errno = errno;
  if (failed != 0)
    (void)hf_sys_unlink(stage_fd, staged, 0);
  status = hf_dir_fsync(root_fd, name, reterr);
  if (status != HF_OK)
    return status;
  /* whatever the rename has answered: replies get lost */
  int got = hf_file_read(root_fd, name, HF_MANIFEST_BYTES_MAX, &there, reterr);
  if (got < 0)
    return got;
  if (got == 1 && there.used == text->used && memcmp(there.data, text->data, text->used) == 0)
    return HF_OK;
  if (failed != 0)
    return hf_err_sys(reterr, HF_EIO, sys_errno, name, "cannot replace it");
  return hf_err(reterr, HF_EIO, name, "what was just put there is not there; try again");
}

static const hf_manifest_member *find_member(const hf_manifest_member *members, size_t count,
                                             const hf_json *name) {
  for (size_t i = 0; i < count; i++)
    if (hf_json_string_equals(name, members[i].name, strlen(members[i].name)))
      return &members[i];
  return NULL;
}

static void add_member(hf_buf *out, const char *name, size_t name_bytes, const char *value,
                       size_t value_bytes) {
  (void)hf_buf_add_char(out, out->used == 0 ? '{' : ',');
  (void)hf_buf_add(out, name, name_bytes);
  (void)hf_buf_add_char(out, ':');
  (void)hf_buf_add(out, value, value_bytes);
}

static int is_known(const hf_json *name) {
  static const char *const known[] = {"format",  "uuid", "locker",    "publish",
                                      "created", "mode", "locker_seq"};
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
    if (hf_json_string_equals(name, known[i], strlen(known[i])))
      return 1;
  return 0;
}

/* Members stay where they are; new ones stand last, before the crc. */
static int change_text(const hf_buf *old, const hf_manifest_member *members, size_t count,
                       hf_buf *out, hf_error *reterr) {
  hf_json root = hf_json_value(old->data, old->used);
  hf_json name, value;
  char quoted[80];
  for (size_t position = 0; hf_json_next(&root, &position, &name, &value) == 1;) {
    if (hf_json_string_equals(&name, "crc", 3) || find_member(members, count, &name) != NULL)
      continue;
    if (!HF_PLANTED(MANIFEST_DROPS_MEMBERS) || is_known(&name))
      add_member(out, name.text, name.bytes, value.text, value.bytes);
  }
  for (size_t i = 0; i < count; i++) {
    (void)snprintf(quoted, sizeof quoted, "\"%s\"", members[i].name);
    add_member(out, quoted, strlen(quoted), members[i].value, strlen(members[i].value));
  }
  int status = hf_manifest_seal(out, 0, reterr);
  if (status == HF_OK && out->used > HF_MANIFEST_BYTES_MAX)
    return hf_err(reterr, HF_ELIMIT, HF_MANIFEST_NAME, "it would be longer than %d bytes",
                  HF_MANIFEST_BYTES_MAX);
  return status;
}

static int read_whole(int root_fd, hf_buf *text, hf_manifest *ret_manifest, hf_error *reterr) {
  int got = hf_file_read(root_fd, HF_MANIFEST_NAME, HF_MANIFEST_BYTES_MAX, text, reterr);
  if (got == 0)
    return hf_err(reterr, HF_ENOTSTORE, HF_MANIFEST_NAME, "there is no manifest");
  if (got < 0)
    return got;
  return hf_manifest_decode(text->data, text->used, ret_manifest, reterr);
}

/* 1: done. 0: somebody else was faster. */
static int replace_once(int root_fd, int stage_fd, const hf_manifest_member *members, size_t count,
                        hf_error *reterr) {
  hf_autobuf old = {0};
  hf_autobuf text = {0};
  hf_autobuf again = {0};
  hf_manifest manifest;
  char staged[HF_ID_CHARS + 1];
  hf_id id;
  int status = read_whole(root_fd, &old, &manifest, reterr);
  if (status == HF_OK)
    status = change_text(&old, members, count, &text, reterr);
  if (status == HF_OK) /* what is written must be readable */
    status = hf_manifest_decode(text.data, text.used, &manifest, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status == HF_OK)
    status = read_whole(root_fd, &again, &manifest, reterr);
  if (status != HF_OK)
    return status;
  if (again.used != old.used || memcmp(again.data, old.data, old.used) != 0)
    return 0;
  hf_id_format(&id, staged);
  status = hf_manifest_put(root_fd, stage_fd, staged, HF_MANIFEST_NAME, &text, reterr);
  return status == HF_OK ? 1 : status;
}

int hf_manifest_replace(int root_fd, int stage_fd, const hf_manifest_member *members, size_t count,
                        hf_error *reterr) {
  for (int i = 0; i < ROUNDS_MAX; i++) {
    int done = replace_once(root_fd, stage_fd, members, count, reterr);
    if (done != 0)
      return done < 0 ? done : HF_OK;
  }
  return hf_err(reterr, HF_EIO, HF_MANIFEST_NAME, "others go on changing it; try again");
}
