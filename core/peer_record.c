#include "peer_record.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "config.h"
#include "err.h"
#include "file.h"
#include "id.h"
#include "json.h"
#include "peer.h"
#include "plant.h"
#include "sys.h"

#include "banned.h"

enum { FILE_BYTES_MAX = 4096, LOCK_MS = 10000 };

/* ---- keeping ---- */

/* By a rename: both peers write the same, and the last one stays. */
static int keep_for_init(hf_peer_run *run, const char *json, hf_error *reterr) {
  hf_autobuf text = {0};
  char staged[HF_ID_CHARS + 16];
  hf_id id;
  (void)hf_buf_printf(&text, "{\"peer\":%s", json);
  int status = hf_manifest_seal(&text, 0, reterr);
  if (status == HF_OK)
    status = hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  (void)snprintf(staged, sizeof staged, "doctor-");
  hf_id_format(&id, staged + strlen(staged));
  return hf_manifest_put(run->root_fd, run->root_fd, staged, HF_PEER_FILE, &text, reterr);
}

static int replace_member(hf_peer_run *run, const char *json, hf_error *reterr) {
  hf_manifest_member member = {"peer", json};
  hf_autofd int stage_fd = -1;
  int status = hf_dir_open(run->root_fd, "stage", &stage_fd, reterr);
  return status == HF_OK ? hf_manifest_replace(run->root_fd, stage_fd, &member, 1, reterr) : status;
}

/* Under the store's lock: others change other members. */
static int keep_in_store(hf_peer_run *run, const char *json, hf_error *reterr) {
  const char *scheme = run->manifest.locker;
  const hf_locker_ops *ops = hf_locker_find(scheme);
  hf_locker_open_args args = {
      .store_path = run->path,
      .store_uuid = run->manifest.uuid,
      .options_json = hf_config_locker_options(run->options->config, scheme),
      .purpose = "doctor --peer",
  };
  hf_grant grant = HF_GRANT_INIT;
  void *state = NULL;
  if (ops == NULL)
    return hf_err(reterr, HF_ECONFIG, run->path, "the store's locker %s %s", scheme,
                  hf_config_scheme_absence(scheme));
  int status = ops->open(&args, &state, reterr);
  if (status != HF_OK)
    return status;
  int granted = ops->acquire(state, "lock", hf_deadline_ms(LOCK_MS), &grant, reterr);
  status = granted == 1 ? replace_member(run, json, reterr) : granted == 0 ? HF_ELOCK : granted;
  if (granted == 1)
    (void)ops->release(state, &grant, 0, NULL);
  ops->close(&state);
  return status;
}

int hf_peer_record(hf_peer_run *run, const char *json, hf_error *reterr) {
  return run->is_store ? keep_in_store(run, json, reterr) : keep_for_init(run, json, reterr);
}

/* ---- asking ---- */

int hf_peer_file_read(int root_fd, hf_manifest *manifest, hf_error *reterr) {
  hf_autobuf text = {0};
  hf_json value;
  int got = hf_file_read(root_fd, HF_PEER_FILE, FILE_BYTES_MAX, &text, reterr);
  if (got <= 0)
    return got;
  if (!hf_manifest_is_whole(text.data, text.used))
    return hf_err(reterr, HF_EDAMAGED, HF_PEER_FILE,
                  "it is damaged; remove it, and run holdfast doctor --peer --record again");
  hf_json root = hf_json_value(text.data, text.used);
  if (hf_json_member(&root, "peer", &value) != 1 || value.type != HF_JSON_OBJECT ||
      value.bytes >= sizeof manifest->peer)
    return hf_err(reterr, HF_EDAMAGED, HF_PEER_FILE,
                  "it holds no result; remove it, and run holdfast doctor --peer --record again");
  memcpy(manifest->peer, value.text, value.bytes);
  manifest->peer[value.bytes] = '\0';
  return 1;
}

typedef struct recorded {
  int is_safe;
  uint64_t hosts;
  int flock_is_shown;
  char at[40];
} recorded;

static void read_recorded(const char *json, recorded *ret_recorded) {
  hf_json root = hf_json_value(json, strlen(json));
  hf_json value;
  memset(ret_recorded, 0, sizeof *ret_recorded);
  ret_recorded->is_safe = hf_json_member(&root, "safe", &value) == 1 && value.type == HF_JSON_TRUE;
  if (hf_json_member(&root, "hosts", &value) == 1)
    (void)hf_json_uint64(&value, &ret_recorded->hosts);
  ret_recorded->flock_is_shown = hf_json_member(&root, "locker", &value) == 1 &&
                                 value.type == HF_JSON_STRING &&
                                 hf_json_string_equals(&value, "flock", 5);
  if (hf_json_member(&root, "at", &value) == 1 && value.type == HF_JSON_STRING)
    (void)snprintf(ret_recorded->at, sizeof ret_recorded->at, "%.*s", (int)value.bytes - 2,
                   value.text + 1);
}

int hf_peer_shows_flock(const hf_manifest *manifest) {
  recorded known;
  if (manifest->peer[0] == '\0')
    return 0;
  read_recorded(manifest->peer, &known);
  return known.is_safe && known.flock_is_shown;
}

int hf_peer_allows(const char *path, const hf_fs *fs, const hf_manifest *manifest,
                   hf_error *reterr) {
  recorded known;
  if (manifest->peer[0] == '\0' && fs->local)
    return HF_OK;
  if (manifest->peer[0] == '\0')
    return hf_err(reterr, HF_ECONFIG, path,
                  "the filesystem is %s, which is not known to be local, and nothing shows that a "
                  "store is safe on it; run holdfast doctor DIR --peer --record on two hosts at "
                  "once, with this folder as DIR, then init again (or init --force, if one host "
                  "alone will ever write here, or you know better)",
                  fs->acting_type);
  read_recorded(manifest->peer, &known);
  if (!known.is_safe && !HF_PLANTED(INIT_IGNORES_PEERS))
    return hf_err(reterr, HF_ECONFIG, path,
                  "by what doctor --peer has recorded at %s no store is safe here; choose another "
                  "filesystem, or put right what it named and run it again (--force makes the "
                  "store all the same)",
                  known.at);
  if (!fs->local && known.hosts < 2)
    return hf_err(reterr, HF_ECONFIG, path,
                  "what doctor --peer has recorded at %s was of one host alone, which shows "
                  "nothing about several; run it on two at once (or --force)",
                  known.at);
  if (strcmp(manifest->locker, "flock") == 0 && !known.flock_is_shown)
    return hf_err(reterr, HF_ECONFIG, path,
                  "by what doctor --peer has recorded at %s flock does not exclude between hosts "
                  "here; take --locker redis or none (or --force: nothing is lost with flock, "
                  "saves of several hosts collide and are tried again)",
                  known.at);
  return HF_OK;
}
