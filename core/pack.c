/* hf_pack: packs all that is full, in the caller's thread. */
#include <holdfast/admin.h>

#include "err.h"
#include "index.h"
#include "log.h"
#include "tile.h"

#include "banned.h"

/* The log, read to its head; what is there is durable and marked. */
static int read_log(hf_store *store, uint64_t *ret_head, hf_error *reterr) {
  (void)pthread_mutex_lock(&store->view_mutex);
  int status = hf_log_refresh(store, 0, reterr);
  if (status == HF_OK)
    status = hf_log_settle(store, reterr);
  if (status == HF_OK && store->mark_length < store->view.head) /* a hint, wanted whole here */
    status = hf_log_extend_mark(store, reterr);
  *ret_head = store->view.head;
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

static int tell(const hf_pack_options *options, uint64_t done, uint64_t total, hf_error *reterr) {
  if (options == NULL || options->progress == NULL ||
      options->progress(options->progress_context, "tiles", done, total) == 0)
    return HF_OK;
  return hf_err(reterr, HF_ECANCELLED, NULL, "stopped after %llu tiles; the others stay loose",
                (unsigned long long)done);
}

static int pack_all(hf_store *store, const hf_pack_options *options, hf_pack_report *report,
                    hf_error *reterr) {
  uint64_t from = 0;
  int status = hf_tile_mark_length(store, &report->tiles, reterr);
  from = report->tiles;
  uint64_t end = hf_tiles_settled(store);
  while (status == HF_OK && report->tiles < end) {
    status = tell(options, report->tiles - from, end - from, reterr);
    if (status != HF_OK)
      break;
    hf_tile_packed packed = {0};
    size_t most = options != NULL && options->progress != NULL ? 1 : HF_TILE_GROUP;
    int got = hf_tile_pack(store, report->tiles, most, NULL, &packed, reterr);
    if (got < 0)
      return got;
    report->packed += packed.count;
    status = hf_tile_mark_length(store, &report->tiles, reterr);
  }
  return status == HF_OK && end > from ? tell(options, end - from, end - from, reterr) : status;
}

int hf_pack(hf_store *store, const hf_pack_options *options, hf_pack_report *ret_report,
            hf_error *reterr) {
  hf_pack_report report = {0};
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  status = hf_store_prepare_to_stage(store, reterr);
  if (status == HF_OK)
    status = read_log(store, &report.head, reterr);
  if (status == HF_OK)
    status = hf_tile_free_leftovers(store, &report.freed, reterr);
  if (status == HF_OK)
    status = pack_all(store, options, &report, reterr);
  if (status == HF_OK)
    status = hf_index_build_all(store, options != NULL ? options->progress : NULL,
                                options != NULL ? options->progress_context : NULL, &report.indexed,
                                reterr);
  if (ret_report != NULL)
    *ret_report = report;
  if (status != HF_OK)
    hf_store_name_in_error(store, reterr);
  return status;
}
