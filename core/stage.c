#include "stage.h"

#include <errno.h>
#include <string.h>

#include "blob.h"
#include "clock.h"
#include "err.h"
#include "file.h"
#include "log.h"
#include "sys.h"
#include "tile_kept.h"

#include "banned.h"

void hf_staged_decide(hf_staged *staged, int status, const hf_error *error) {
  for (size_t i = 0; i < staged->count; i++)
    hf_attempt_decide(staged->attempt[i], status, error);
}

int hf_stage_encode(hf_staged *staged, hf_error *reterr) {
  hf_buf_clear(&staged->text);
  for (size_t i = 0; i < staged->count; i++) {
    int status = hf_line_encode(&staged->attempt[i]->line, &staged->text, reterr);
    if (status != HF_OK)
      return status;
    if (hf_buf_add_char(&staged->text, '\n') != 0)
      return hf_err_nomem(reterr);
    staged->attempt[i]->rewritten = 0;
  }
  return HF_OK;
}

int hf_staged_is_rewritten(const hf_staged *staged) {
  for (size_t i = 0; i < staged->count; i++)
    if (staged->attempt[i]->rewritten)
      return 1;
  return 0;
}

int hf_stage_write(hf_store *store, hf_staged *staged, hf_error *reterr) {
  int encoded = hf_stage_encode(staged, reterr);
  if (encoded != HF_OK)
    return encoded;
  const hf_attempt *first = staged->attempt[0];
  if (staged->count == 1 && !first->id_given)
    memcpy(staged->name, first->id_text, sizeof staged->name);
  else {
    hf_id id;
    int status = hf_id_make(&id, reterr);
    if (status != HF_OK)
      return status;
    hf_id_format(&id, staged->name);
  }
  staged->tries = 0;
  hf_count(&store->counters.flushes, 1);
  int is_nfs4 = store->shared && strcmp(store->fs.acting_type, "nfs4") == 0;
  int status = (is_nfs4 ? hf_file_create_alone : hf_file_create)(
      store->stage_fd, staged->name, staged->text.data, staged->text.used, 1, reterr);
  if (status != HF_OK) {
    staged->name[0] = '\0';
    hf_err_place_below(reterr, "stage");
    return status == HF_EEXIST ? HF_EINTERNAL : status;
  }
  return HF_OK;
}

void hf_stage_remove(hf_store *store, hf_staged *staged) {
  if (staged->name[0] != '\0')
    (void)hf_sys_unlink(store->stage_fd, staged->name, 0);
  staged->name[0] = '\0';
}

typedef struct sweep {
  hf_store *store;
  int dry;
  hf_swept swept;
} sweep;

/* The record of a left blob was committed: its writer may have died before it put the blob back (gc
 * had taken it away). */
static int replace_blob(hf_store *store, const char *name, hf_error *reterr) {
  hf_id id;
  if (hf_id_parse(name, HF_ID_CHARS, &id) != 0)
    return HF_OK;
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_refresh(store, 0, reterr);
  uint64_t seq = 0;
  hf_row row = {0};
  int found = status == HF_OK ? hf_view_find_id(&store->view, &id, 0, &seq, reterr) : 0;
  status = found < 0 ? found : status;
  if (found == 1)
    status = hf_view_row(&store->view, seq, &row, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (status != HF_OK || seq == 0 || (row.flags & HF_ROW_BLOB) == 0)
    return status;
  hf_autobuf text = {0};
  hf_line line;
  status = hf_log_load(store, seq, &row, &text, &line, reterr);
  return status != HF_OK ? status : hf_blob_place(store, name, line.sha256, 1, reterr);
}

/* When the file was changed last, by the server's clock. Not mtime alone: for the exclusive
 * creation of a file an NFS server may keep the client's verifier there until the client has set
 * the times, so that a file made a moment ago seems to be old. ctime is nobody's to set. */
int64_t hf_stage_changed_s(const struct stat *st) {
  int64_t modified_s = (int64_t)st->st_mtim.tv_sec;
  int64_t changed_s = (int64_t)st->st_ctim.tv_sec;
  return modified_s > changed_s ? modified_s : changed_s;
}

static int sweep_entry(void *context, const char *name, hf_error *reterr) {
  sweep *work = context;
  hf_swept *swept = &work->swept;
  struct stat st;
  (void)reterr;
  if (hf_sys_fstatat(work->store->stage_fd, name, &st) != 0)
    return HF_OK;
  if (!S_ISREG(st.st_mode)) /* not ours: verify names it */
    return HF_OK;
  if (hf_stage_changed_s(&st) + HF_STAGE_SWEEP_AGE_S > swept->now_s)
    return HF_OK;
  const char *end = strrchr(name, '.');
  hf_error why = HF_ERROR_INIT;
  if (!work->dry && end != NULL && strcmp(end, ".blob") == 0 &&
      replace_blob(work->store, name, &why) != HF_OK)
    return HF_OK; /* left for the next sweep */
  int failed = 0;
  uint64_t tile = 0;
  if (hf_tile_kept_is(name, &tile)) /* of a killed gc: it may be all that there is of the tile */
    failed = work->dry ? 0 : hf_tile_put_back(work->store->stage_fd, work->store->tile_fd, name);
  else if (hf_blob_is_aside(name)) /* of a killed gc, the next one of which looks at it again */
    failed = work->dry ? 0 : hf_blob_put_back(work->store, name, &why);
  else if (!work->dry)
    failed = hf_sys_unlink(work->store->stage_fd, name, 0);
  swept->files += failed == 0;
  swept->bytes += failed == 0 ? (uint64_t)st.st_size : 0;
  swept->left += failed != 0 && errno != ENOENT;
  return HF_OK;
}

int hf_stage_sweep_counted(hf_store *store, int dry, hf_swept *ret_swept, hf_error *reterr) {
  /* The age of a file is judged against a file made now: the server's clock may differ from ours.
   */
  sweep work = {store, dry, {0, 0, 0, hf_realtime_us() / 1000000}};
  struct stat st;
  char name[HF_ID_CHARS + 1];
  hf_id id;
  *ret_swept = (hf_swept){0};
  int status = dry ? HF_OK : hf_id_make(&id, reterr);
  if (status != HF_OK)
    return status;
  if (!dry) {
    hf_id_format(&id, name);
    if (hf_file_create(store->stage_fd, name, "", 0, 0, NULL) != HF_OK)
      return HF_OK; /* the save itself will say why nothing can be made here */
    int failed = hf_sys_fstatat(store->stage_fd, name, &st);
    (void)hf_sys_unlink(store->stage_fd, name, 0);
    if (failed != 0)
      return HF_OK;
    work.swept.now_s = (int64_t)st.st_ctim.tv_sec;
  }
  status = hf_dir_each(store->stage_fd, "stage", sweep_entry, &work, reterr);
  *ret_swept = work.swept;
  return status;
}

int hf_stage_sweep(hf_store *store, hf_error *reterr) {
  hf_swept swept;
  int status = hf_stage_sweep_counted(store, 0, &swept, reterr);
  if (swept.files > 0)
    hf_store_log(store, HF_LOG_INFO, "swept %llu files that dead writers left in stage/",
                 (unsigned long long)swept.files);
  return status;
}
