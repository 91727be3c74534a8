/* The manifest, made anew from what is left of it. */
#include <stdio.h>
#include <string.h>

#include "boot.h"
#include "clock.h"
#include "config.h"
#include "err.h"
#include "id.h"
#include "probe.h"
#include "repair.h"
#include "sys.h"

#include "banned.h"

/* Notes which members could not be kept. */
static void note(char *list, size_t bytes, const char *member) {
  size_t used = strlen(list);
  (void)snprintf(list + used, bytes - used, "%s%s", used > 0 ? ", " : "", member);
}

static int choose_locker(hf_verify_work *work, hf_manifest *manifest, hf_error *reterr) {
  const char *scheme = hf_config_locker_for(work->options->config, work->fs.acting_type);
  if (hf_locker_find(scheme) == NULL)
    return hf_err(
        reterr, HF_ECONFIG, HF_MANIFEST_NAME,
        "nothing tells which locker the store had, and %s, the one for %s, %s; put "
        "{\"filesystems\":{\"%s\":\"flock\"}} into the configuration (or the locker that it had) "
        "and repair again",
        scheme, work->fs.acting_type, hf_config_scheme_absence(scheme), work->fs.acting_type);
  (void)snprintf(manifest->locker, sizeof manifest->locker, "%s", scheme);
  return HF_OK;
}

static int choose_publish(hf_verify_work *work, hf_manifest *manifest, hf_error *reterr) {
  hf_probe probe;
  if (work->stage_fd < 0 || work->log_fd < 0)
    return hf_err(
        reterr, HF_EDAMAGED, HF_MANIFEST_NAME,
        "nothing tells how the store publishes, and its folders are not there to try; put "
        "them back first");
  int status = hf_probe_between(work->stage_fd, work->log_fd, &probe, reterr);
  if (status != HF_OK)
    return status;
  if (!probe.can_link && !probe.can_rename)
    return hf_err(reterr, HF_EUNSUPPORTED, work->path,
                  "this filesystem can neither link (%s) nor rename without replacing (%s)",
                  probe.link_text, probe.rename_text);
  (void)snprintf(manifest->publish, sizeof manifest->publish, "%s",
                 probe.can_link ? "link" : "rename");
  return HF_OK;
}

/* Unless the log has an op "mode", which decides: tile/boot stands in each store that was made in
 * journal mode. */
static void choose_mode(const hf_verify_work *work, hf_manifest *manifest, char *made,
                        size_t bytes) {
  struct stat st;
  if (manifest->journal || work->mode_seq != 0 || work->tile_fd < 0 ||
      hf_sys_fstatat(work->tile_fd, HF_BOOT_NAME, &st) != 0)
    return;
  note(made, bytes, "mode");
  manifest->journal = 1;
  manifest->format = HF_FORMAT_JOURNAL;
}

static int fill(hf_verify_work *work, hf_manifest *manifest, char *made, size_t bytes,
                hf_error *reterr) {
  int status = HF_OK;
  if (work->mode_seq != 0) { /* the log decides */
    (void)snprintf(manifest->locker, sizeof manifest->locker, "%s", work->mode_locker);
    manifest->locker_seq = work->mode_seq;
  } else if (manifest->locker[0] == '\0') {
    note(made, bytes, "locker");
    status = choose_locker(work, manifest, reterr);
  }
  choose_mode(work, manifest, made, bytes);
  if (status == HF_OK && manifest->publish[0] == '\0') {
    note(made, bytes, "publish");
    status = choose_publish(work, manifest, reterr);
  }
  if (status == HF_OK && manifest->created[0] == '\0') {
    note(made, bytes, "created");
    hf_rfc3339_from_us(hf_realtime_us(), manifest->created);
  }
  if (status == HF_OK && manifest->uuid[0] == '\0') {
    note(made, bytes, "uuid");
    status = hf_uuid_make(manifest->uuid, reterr);
  }
  return status;
}

static int put(hf_verify_work *work, const hf_buf *text, char *kept, hf_error *reterr) {
  int status = HF_OK;
  if (work->manifest_is == HF_NAME_FILE) {
    status = hf_repair_keep(work, work->root_fd, "", HF_MANIFEST_NAME, 1, kept, reterr);
    return status == HF_OK
               ? hf_repair_replace(work, work->root_fd, work->path, HF_MANIFEST_NAME, text, reterr)
               : status;
  }
  int placed = hf_repair_place(work, work->root_fd, work->path, HF_MANIFEST_NAME, text, reterr);
  if (placed == 0)
    return hf_err(reterr, HF_EEXIST, HF_MANIFEST_NAME,
                  "somebody else made it meanwhile; verify again");
  return placed < 0 ? placed : HF_OK;
}

int hf_repair_manifest(hf_verify_work *work, char *done, size_t done_bytes, hf_error *reterr) {
  hf_manifest manifest;
  char made[64] = "";
  char kept[HF_VERIFY_PATH_BYTES] = "";
  const char *text = work->manifest_text.used > 0 ? work->manifest_text.data : "";
  hf_autobuf right = {0};
  int is_exact = hf_manifest_correct(text, work->manifest_text.used, &right, &manifest);
  if (!is_exact)
    hf_manifest_salvage(text, work->manifest_text.used, &manifest);
  int uuid_kept = manifest.uuid[0] != '\0';
  int status = fill(work, &manifest, made, sizeof made, reterr);
  if (status == HF_OK && !is_exact) {
    hf_buf_clear(&right);
    status = hf_manifest_encode(&manifest, &right, reterr);
  }
  if (status == HF_OK)
    status = put(work, &right, kept, reterr);
  if (status != HF_OK)
    return status;
  if (is_exact)
    (void)snprintf(done, done_bytes, "it was put right exactly; the damaged one is %s", kept);
  else
    (void)snprintf(done, done_bytes, "it was made anew%s%s%s%s%s. %s",
                   made[0] != '\0' ? ", without a trace of: " : "", made,
                   kept[0] != '\0' ? "; the damaged one is " : "", kept, "",
                   uuid_kept ? "Its uuid is the one that was read; nothing proves it"
                             : "Warning: its uuid is a new one, tell those who expect the old one");
  return HF_OK;
}
