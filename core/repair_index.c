/* The indexes, at the end of a repair.
 *
 * Made as hf_pack makes them, by a handle of its own, when the log is right and the lock released:
 * builders need no lock, and of a large store it takes minutes for which no writer should wait.
 * Packers and other builders may be at work; killed anywhere, it leaves indexes of fewer tiles, and
 * the next builder goes on. */
#include <inttypes.h>

#include "err.h"
#include "index.h"
#include "repair.h"
#include "store.h"

#include "banned.h"

static int build(const hf_verify_work *work, uint64_t *ret_built, hf_error *reterr) {
  const hf_verify_options *options = work->options;
  hf_open_options open = {.config = options->config, .purpose = "verify --repair"};
  hf_store *store = NULL;
  int status = hf_open(work->path, &open, &store, reterr);
  if (status == HF_OK)
    status = hf_store_prepare_to_stage(store, reterr);
  if (status == HF_OK)
    status =
        hf_index_build_all(store, options->progress, options->progress_context, ret_built, reterr);
  hf_close(&store);
  return status;
}

/* What was wrong, and what became of it. */
static void say_forgotten(hf_verify_work *work, uint64_t built, const hf_error *why) {
  const hf_verify_forgotten *was = &work->forgotten;
  if (why->code == 0)
    hf_verify_say(work, was->how, "index", 0, was->place,
                  "%s; no record was lost by it, but it could hide some. All indexes were removed, "
                  "and made anew, of %" PRIu64 " tiles",
                  was->why, built);
  else
    hf_verify_say(work, was->how, "index", 0, was->place,
                  "%s; no record was lost by it, but it could hide some. All indexes were removed, "
                  "and made anew of %" PRIu64 " tiles only (%s: %s); the records of the others are "
                  "read instead, until holdfast pack can make theirs",
                  was->why, built, why->place[0] != '\0' ? why->place : "index", why->message);
}

static void say_made(hf_verify_work *work, uint64_t built, const hf_error *why) {
  if (built > 0)
    hf_verify_say(work, HF_SAY_REMARK | HF_SAY_REPAIRED, "index", 0, "index",
                  "%" PRIu64 " tiles had no index; it was made", built);
  if (why->code != 0)
    hf_verify_say(work, HF_SAY_REMARK, "index", 0, why->place[0] != '\0' ? why->place : "index",
                  "%s; tiles without an index are read instead, which costs time", why->message);
}

int hf_repair_index(hf_verify_work *work, int status, hf_error *reterr) {
  hf_error why = HF_ERROR_INIT;
  uint64_t built = 0;
  int made = HF_OK;
  if (status == HF_OK && work->log_usable && work->tile_fd >= 0)
    made = build(work, &built, &why);
  if (status != HF_OK && reterr != NULL)
    why = *reterr;
  if (work->forgotten.is)
    say_forgotten(work, built, &why);
  else if (status == HF_OK)
    say_made(work, built, &why);
  if (status != HF_OK || (made != HF_ECANCELLED && made != HF_ENOMEM))
    return status;
  if (reterr != NULL)
    *reterr = why;
  return made;
}
