/* The root's entries and the folders. */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "id.h"
#include "peer_record.h"
#include "repair.h"
#include "sys.h"
#include "tally.h"
#include "verify.h"

#include "banned.h"

/* What holds records is never put aside by a repair: it may be a filesystem that is not mounted. */
enum folder_flags {
  FOLDER_NEEDED = 1,
  FOLDER_HOLDS_RECORDS = 2,
  FOLDER_MAY_LACK = 4 /* stores from before have none */
};

typedef struct folder {
  const char *name;
  unsigned flags;
} folder;

static const folder folders[] = {
    {"log", FOLDER_NEEDED | FOLDER_HOLDS_RECORDS},
    {"tile", FOLDER_NEEDED | FOLDER_HOLDS_RECORDS},
    {"blob", FOLDER_NEEDED | FOLDER_HOLDS_RECORDS},
    {"stage", FOLDER_NEEDED},
    {"index", 0},
    {"quarantine", 0},
    {HF_TALLY_FOLDER, FOLDER_MAY_LACK},
};
enum { FOLDERS = sizeof folders / sizeof folders[0] };

/* "lock.<ULID>" of a lock that was being broken, "doctor-<ULID>" of a doctor, "doctor-peer" of
 * several: their processes were killed, or are at work. */
static int is_scratch(const char *name, const char *prefix) {
  hf_id id;
  size_t bytes = strlen(prefix);
  return strncmp(name, prefix, bytes) == 0 && strlen(name) == bytes + HF_ID_CHARS &&
         hf_id_parse(name + bytes, HF_ID_CHARS, &id) == 0;
}

static int root_entry(void *context, const char *name, hf_error *reterr) {
  hf_verify_work *work = context;
  char what[128];
  for (int i = 0; i < FOLDERS; i++)
    if (strcmp(name, folders[i].name) == 0)
      return HF_OK;
  if (strcmp(name, HF_MANIFEST_NAME) == 0 || strcmp(name, "lost+found") == 0)
    return HF_OK;
  if (strncmp(name, ".nfs", 4) == 0) {
    hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, name,
                  "removed while somebody had it open; it goes by itself");
    return HF_OK;
  }
  if (is_scratch(name, "lock.") || is_scratch(name, "doctor-") ||
      strcmp(name, HF_PEER_LOBBY) == 0) {
    hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, name,
                  "scratch of a killed process; it may be removed");
    return HF_OK;
  }
  if (strcmp(name, HF_PEER_FILE) == 0) {
    hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, name,
                  "what doctor --peer recorded before the store was made; it may be removed");
    return HF_OK;
  }
  int is = hf_verify_name(work->root_fd, name, "", NULL, NULL, reterr);
  if (is < 0 || is == HF_NAME_ABSENT || (is == HF_NAME_FILE && strcmp(name, "lock") == 0))
    return is < 0 ? is : HF_OK;
  (void)snprintf(what, sizeof what, "%s stands here", hf_verify_name_text((hf_kind_of_name)is));
  return hf_verify_foreign(work, work->root_fd, "", name, 0, what, reterr);
}

/* tile/ may be made anew only where no tile was lost with it: the loose records begin with the
 * first. */
static int may_make(hf_verify_work *work, const folder *one, hf_error *reterr) {
  char first[HF_LOG_NAME_BYTES];
  uint64_t bytes = 0;
  if (strcmp(one->name, "log") == 0)
    return 0;
  if (strcmp(one->name, "tile") != 0)
    return 1;
  hf_autofd int fd = -1;
  if (hf_dir_open(work->root_fd, "log", &fd, NULL) != HF_OK)
    return 0;
  hf_log_name(1, first);
  int is = hf_verify_name(fd, first, "log", NULL, NULL, reterr);
  if (is == HF_NAME_ABSENT)
    is = hf_verify_name(fd, HF_MARK_NAME, "log", &bytes, NULL, reterr);
  return is < 0 ? is : is == HF_NAME_FILE && bytes == 0;
}

static int say_folder(hf_verify_work *work, const folder *one, hf_kind_of_name is,
                      hf_error *reterr) {
  unsigned how = (one->flags & FOLDER_NEEDED) != 0 ? HF_SAY_DAMAGE : HF_SAY_REMARK;
  int holds = (one->flags & FOLDER_HOLDS_RECORDS) != 0;
  if (is != HF_NAME_ABSENT && !holds) {
    int status = hf_verify_foreign(work, work->root_fd, "", one->name, 0,
                                   "a folder of the store must be here", reterr);
    if (status != HF_OK)
      return status;
  } else if (is != HF_NAME_ABSENT) {
    hf_verify_say(
        work, HF_SAY_DAMAGE, "foreign", 0, one->name,
        "%s stands in the place of a folder that holds records. It is not looked into and "
        "not repaired: put the folder itself back",
        hf_verify_name_text(is));
    return HF_OK;
  }
  int may = is == HF_NAME_ABSENT ? may_make(work, one, reterr) : 1;
  if (may < 0)
    return may;
  if (may == 0) {
    hf_verify_say(work, how, "missing", 0, one->name,
                  "the folder is gone, and records with it. It is not repaired: put it back from a "
                  "backup (is a filesystem mounted that should be?)");
    return HF_OK;
  }
  if (work->repair != NULL) {
    int status = hf_repair_folder(work, one->name, reterr);
    if (status != HF_OK)
      return status;
    how |= HF_SAY_REPAIRED;
    if (strcmp(one->name, "tile") == 0)
      work->tile_made = 1;
  }
  hf_verify_say(work, how, "missing", 0, one->name, "the folder is gone; %s%s",
                work->repair != NULL ? "it was made anew" : "verify --repair makes it anew",
                work->repair == NULL && strcmp(one->name, "index") == 0 ? ", and its indexes" : "");
  return HF_OK;
}

static int open_folder(hf_verify_work *work, const folder *one, int *ret_fd, hf_error *reterr) {
  int is = hf_verify_name(work->root_fd, one->name, "", NULL, NULL, reterr);
  if (is < 0)
    return is;
  if (is == HF_NAME_ABSENT && (one->flags & FOLDER_MAY_LACK) != 0)
    return HF_OK;
  if (is != HF_NAME_FOLDER) {
    int status = say_folder(work, one, (hf_kind_of_name)is, reterr);
    if (status == HF_OK)
      is = hf_verify_name(work->root_fd, one->name, "", NULL, NULL, reterr);
    if (status != HF_OK || is < 0)
      return status != HF_OK ? status : is;
  }
  if (is != HF_NAME_FOLDER || ret_fd == NULL)
    return HF_OK;
  return hf_dir_open(work->root_fd, one->name, ret_fd, reterr);
}

int hf_verify_root(hf_verify_work *work, hf_error *reterr) {
  int *fds[FOLDERS] = {&work->log_fd, &work->tile_fd, &work->blob_fd, &work->stage_fd,
                       NULL,          NULL,           &work->tally_fd};
  int status = hf_dir_each(work->root_fd, work->path, root_entry, work, reterr);
  for (int i = 0; i < FOLDERS && status == HF_OK; i++) {
    status = open_folder(work, &folders[i], fds[i], reterr);
    if (status == HF_OK && strcmp(folders[i].name, "log") == 0)
      work->log_usable = work->log_fd >= 0;
    if (status == HF_OK && strcmp(folders[i].name, "tile") == 0 && work->tile_fd < 0)
      work->log_usable =
          work->log_usable && work->repair == NULL && may_make(work, &folders[i], NULL) == 1;
  }
  return status;
}
