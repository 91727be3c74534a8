/* stats/: what is not ours there, and files that nobody can add to. All of it is derived. */
#include <stdio.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "repair.h"
#include "tally.h"
#include "verify.h"

#include "banned.h"

static int put_aside(hf_verify_work *work, const char *name, const char *path, hf_error *reterr) {
  char kept[HF_VERIFY_PATH_BYTES] = "";
  if (work->repair == NULL) {
    hf_verify_say(work, HF_SAY_REMARK, "counters", 0, path,
                  "does not check: what its host counts is not kept until it is gone. It may be "
                  "removed, or verify --repair moves it to quarantine/");
    return HF_OK;
  }
  int status = hf_repair_move(work, work->tally_fd, HF_TALLY_FOLDER, name, kept, reterr);
  if (status == HF_OK)
    hf_verify_say(work, HF_SAY_REMARK | HF_SAY_REPAIRED, "counters", 0, path,
                  "did not check and is now %s; its host begins a new one", kept);
  return status;
}

static int tally_entry(void *context, const char *name, hf_error *reterr) {
  hf_verify_work *work = context;
  char path[HF_VERIFY_PATH_BYTES];
  char what[128];
  hf_host_stats tally;
  hf_tally_is is = HF_TALLY_EMPTY;
  (void)snprintf(path, sizeof path, HF_TALLY_FOLDER "/%s", name);
  if (strncmp(name, ".nfs", 4) == 0) {
    hf_verify_say(work, HF_SAY_REMARK, "leftover", 0, path,
                  "removed while somebody had it open; it goes by itself");
    return HF_OK;
  }
  int kind = hf_verify_name(work->tally_fd, name, HF_TALLY_FOLDER, NULL, NULL, reterr);
  if (kind < 0 || kind == HF_NAME_ABSENT)
    return kind < 0 ? kind : HF_OK;
  if (kind != HF_NAME_FILE || !hf_tally_is_name(name)) {
    (void)snprintf(what, sizeof what, "%s stands here", hf_verify_name_text((hf_kind_of_name)kind));
    return hf_verify_foreign(work, work->tally_fd, HF_TALLY_FOLDER, name, 0, what, reterr);
  }
  if (hf_tally_look(work->tally_fd, name, &tally, &is) != 0)
    return HF_OK;
  if (is == HF_TALLY_NEWER)
    hf_verify_say(work, HF_SAY_REMARK, "unknown", 0, path,
                  "a newer version's file: kept, not looked into");
  return is == HF_TALLY_WRONG ? put_aside(work, name, path, reterr) : HF_OK;
}

int hf_verify_list_tally(hf_verify_work *work, hf_error *reterr) {
  return hf_dir_each(work->tally_fd, HF_TALLY_FOLDER, tally_entry, work, reterr);
}
