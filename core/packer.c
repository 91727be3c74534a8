#include "packer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "err.h"
#include "id.h"
#include "index_tile.h"
#include "sys.h"
#include "thread.h"
#include "tile.h"

#include "banned.h"

enum {
  RETRY_FIRST_MS = 1000,
  LOOK_AGAIN_MS = 200, /* and up to LOOK_AGAIN_JITTER_MS more: is another one packing? */
  LOOK_AGAIN_JITTER_MS = 800,
  OTHERS_ONE_IN = 16 /* handles that close on a shared filesystem, where no lock is asked */
};

typedef enum wish { WISH_NONE, WISH_OTHERS, WISH_OWN } wish;

typedef enum outcome { OUT_DONE, OUT_BUSY, OUT_FAILED } outcome;

struct hf_packer {
  pthread_mutex_t mutex; /* for all that follows */
  pthread_cond_t wake;
  pthread_cond_t moved; /* a tile is packed, or the work is at an end */
  pthread_t thread;
  int has_thread;
  int closing;
  int is_working;
  uint64_t close_tiles_left; /* while there is time */
  uint64_t close_tiles_sure; /* of these, whatever they take */
  int64_t close_until_ms;
  wish wanted;
  uint64_t last;               /* the newest record that it was told of */
  uint64_t completed;          /* tiles whose last record this handle saved */
  int has_packed;              /* or has begun to */
  _Atomic int64_t saved_at_ms; /* when this handle committed last */
  unsigned failures;
  int64_t not_before_ms;
  hf_error news; /* code 0: none */
  wish news_of;
  int told; /* a warning */
  /* the thread's alone */
  int has_looked;     /* for leftovers */
  uint64_t watched;   /* the mark's length + 1 when it gave way to others; 0: it has not */
  int64_t watched_ms; /* since when */
  hf_tile_indexes known;
};

static struct hf_packer *packer_new(void) {
  pthread_condattr_t attributes;
  struct hf_packer *packer = calloc(1, sizeof *packer);
  if (packer == NULL)
    return NULL;
  (void)pthread_mutex_init(&packer->mutex, NULL); /* none of these fails on Linux */
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&packer->wake, &attributes);
  (void)pthread_cond_init(&packer->moved, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  atomic_store(&packer->saved_at_ms, hf_monotonic_ms());
  return packer;
}

/* ---- politeness ---- */

/* How long tile/mark has stood where it is; counted from the first look. */
static int64_t stood_ms(struct hf_packer *packer, uint64_t tiles) {
  int64_t now_ms = hf_monotonic_ms();
  if (packer->watched != tiles + 1)
    packer->watched_ms = now_ms;
  packer->watched = tiles + 1;
  return now_ms - packer->watched_ms;
}

/* On a local filesystem one at a time. The lock is on the folder, by a descriptor of its own:
 * *ret_fd, or -1 where none is needed or to be had. 1, or 0: another has it. */
static int try_lock(hf_store *store, struct hf_packer *packer, uint64_t tiles, int *ret_fd) {
  *ret_fd = -1;
  if (store->shared)
    return 1;
  int fd = hf_sys_openat(store->tile_fd, ".", O_RDONLY | O_DIRECTORY, 0);
  if (fd >= 0 && hf_sys->flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    (void)hf_sys_close(fd);
    return stood_ms(packer, tiles) >= HF_PACKER_STUCK_MS;
  }
  *ret_fd = fd;
  return 1;
}

/* On a shared one no lock is asked: its locks may hang. There who is not the only one in question
 * waits a while, and packs only if nobody else has got on meanwhile. */
static int is_mine(const hf_store *store, struct hf_packer *packer, wish how, uint64_t tiles,
                   uint64_t unpacked, int closing) {
  if (!store->shared || (how == WISH_OWN && unpacked == 1))
    return 1;
  if (closing)
    return how == WISH_OWN || packer->last % OTHERS_ONE_IN == 0;
  return stood_ms(packer, tiles) >= LOOK_AGAIN_MS;
}

/* ---- the work; no mutex is held ---- */

/* How many tiles may be packed together now, of so many that are wanted; 0: go on no more. */
static size_t may_go_on(struct hf_packer *packer, size_t wanted, int *ret_closes) {
  (void)pthread_mutex_lock(&packer->mutex);
  *ret_closes = packer->closing;
  size_t may = packer->completed == 0 ? 1 : wanted; /* it may be about to end, and waits for it */
  if (packer->closing) {
    uint64_t left = hf_monotonic_ms() < packer->close_until_ms ? packer->close_tiles_left
                                                               : packer->close_tiles_sure;
    may = left < HF_PACKER_CLOSE_TILES ? (size_t)left : HF_PACKER_CLOSE_TILES;
    packer->close_tiles_left -= may;
    packer->close_tiles_sure -= packer->close_tiles_sure < may ? packer->close_tiles_sure : may;
  }
  packer->has_packed |= may > 0;
  (void)pthread_mutex_unlock(&packer->mutex);
  return may;
}

/* From so many unpacked tiles on it neither rests nor waits. */
static uint64_t behind_from(const hf_store *store, int is_own) {
  if (atomic_load(&store->in_batches))
    return HF_PACKER_IMPORT_TILES;
  return store->shared && !is_own ? HF_PACKER_BEHIND_SHARED_TILES : HF_PACKER_BEHIND_TILES;
}

/* packer->mutex is held. */
static int is_behind(const hf_store *store, const struct hf_packer *packer, int is_own) {
  return packer->last / HF_TILE_RECORDS >=
         atomic_load(&store->tiles_seen) + behind_from(store, is_own);
}

/* packer->mutex is held. */
static void sleep_until(struct hf_packer *packer, int64_t until_ms) {
  struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
  (void)pthread_cond_timedwait(&packer->wake, &packer->mutex, &until);
}

/* After tiles that took so long, and no longer than it is near. */
static void rest(const hf_store *store, struct hf_packer *packer, int is_own, int64_t took_ms) {
  int64_t rest_ms = took_ms * HF_PACKER_REST_TIMES / (is_own ? HF_PACKER_OWN_REST_PART : 1);
  if (rest_ms > HF_PACKER_REST_MS_MAX)
    rest_ms = HF_PACKER_REST_MS_MAX;
  int64_t until_ms = hf_monotonic_ms() + rest_ms;
  (void)pthread_mutex_lock(&packer->mutex);
  while (!packer->closing && hf_monotonic_ms() < until_ms && !is_behind(store, packer, is_own))
    sleep_until(packer, until_ms);
  (void)pthread_mutex_unlock(&packer->mutex);
}

/* Before a tile: until this handle saves nothing, no longer than that, and only while it is near.
 */
static void wait_for_lull(const hf_store *store, struct hf_packer *packer, int is_own,
                          int64_t patience_ms) {
  int64_t until_ms = hf_monotonic_ms() + patience_ms;
  (void)pthread_mutex_lock(&packer->mutex);
  while (!packer->closing && !is_behind(store, packer, is_own)) {
    int64_t now_ms = hf_monotonic_ms();
    int64_t lull_ms = atomic_load(&packer->saved_at_ms) + HF_PACKER_LULL_MS;
    if (atomic_load(&store->savers) > 0) /* it waits for its turn, or has it */
      lull_ms = now_ms + HF_PACKER_LULL_MS;
    if (now_ms >= lull_ms || now_ms >= until_ms)
      break;
    sleep_until(packer, lull_ms < until_ms ? lull_ms : until_ms);
  }
  (void)pthread_mutex_unlock(&packer->mutex);
}

/* Those who save batches and have to wait for tiles. */
static void tell_waiters(struct hf_packer *packer, int is_working) {
  (void)pthread_mutex_lock(&packer->mutex);
  packer->is_working = is_working;
  (void)pthread_cond_broadcast(&packer->moved);
  (void)pthread_mutex_unlock(&packer->mutex);
}

/* An import's tiles get their index sixteen at a time; the rest where it ends, or rests. */
static int end_of_work(hf_store *store, struct hf_packer *packer, int owes_index, int status,
                       hf_error *reterr) {
  if (status == HF_OK && owes_index)
    status = hf_index_build(store, 0, &packer->known, NULL, reterr);
  hf_tile_indexes_free(&packer->known);
  return status;
}

static int pack_settled(hf_store *store, struct hf_packer *packer, hf_error *reterr) {
  uint64_t tiles = 0;
  int owes_index = 0;
  int64_t patience_ms = store->shared ? HF_PACKER_PATIENCE_SHARED_MS : HF_PACKER_PATIENCE_MS;
  int status = HF_OK;
  if (!packer->has_looked &&
      hf_tiles_settled(store) <= atomic_load(&store->tiles_seen) + HF_PACKER_NEAR_TILES) {
    uint64_t freed = 0;
    status = hf_tile_free_leftovers(store, &freed, reterr);
    packer->has_looked = status == HF_OK;
  }
  for (;;) {
    if (status >= 0)
      status = hf_tile_mark_length(store, &tiles, reterr);
    uint64_t settled = status < 0 ? 0 : hf_tiles_settled(store);
    if (tiles >= settled)
      return end_of_work(store, packer, owes_index, status < 0 ? status : HF_OK, reterr);
    int is_own = hf_own_count(&store->own_lines, tiles) >= HF_PACKER_OWN_RECORDS;
    if (is_own && patience_ms > HF_PACKER_PATIENCE_MS)
      patience_ms = HF_PACKER_PATIENCE_MS;
    wait_for_lull(store, packer, is_own, patience_ms);
    settled = hf_tiles_settled(store);
    if (tiles >= settled)
      continue;
    int is_far = settled - tiles >= behind_from(store, is_own);
    int closes = 0;
    size_t most = may_go_on(packer, is_far ? HF_TILE_GROUP : 1, &closes);
    if (most == 0)
      return end_of_work(store, packer, owes_index, HF_OK, reterr);
    owes_index = is_far && !closes && atomic_load(&store->in_batches);
    hf_tile_packed packed = {0};
    int64_t began_ms = hf_monotonic_ms();
    status = hf_tile_pack(store, tiles, most, &packer->known, &packed, reterr);
    if (status >= 0) /* derived, but worth a word */
      status = hf_index_build(store, owes_index, &packer->known, NULL, reterr);
    tell_waiters(packer, 1);
    int64_t took_ms = hf_monotonic_ms() - began_ms;
    patience_ms =
        took_ms * HF_PACKER_PATIENCE_TIMES / (packed.count > 1 ? (int64_t)packed.count : 1);
    if (status >= 0)
      rest(store, packer, is_own, took_ms);
  }
}

static outcome work(hf_store *store, struct hf_packer *packer, wish how, int closing,
                    hf_error *reterr) {
  uint64_t tiles = 0;
  hf_autofd int lock_fd = -1;
  if (hf_tile_mark_length(store, &tiles, reterr) != HF_OK)
    return OUT_FAILED;
  uint64_t settled = hf_tiles_settled(store);
  if (settled <= tiles)
    return OUT_DONE;
  if (!is_mine(store, packer, how, tiles, settled - tiles, closing) ||
      !try_lock(store, packer, tiles, &lock_fd))
    return OUT_BUSY;
  packer->watched = 0;
  tell_waiters(packer, 1);
  int status = pack_settled(store, packer, reterr);
  tell_waiters(packer, 0);
  return status == HF_OK ? OUT_DONE : OUT_FAILED;
}

/* ---- the thread ---- */

/* Until there is something to do, and it is time. packer->mutex is held. */
static void wait_for_work(struct hf_packer *packer) {
  while (!packer->closing) {
    int64_t at_ms = packer->not_before_ms;
    if (packer->wanted != WISH_NONE && hf_monotonic_ms() >= at_ms)
      return;
    struct timespec at = {(time_t)(at_ms / 1000), (long)(at_ms % 1000) * 1000000};
    if (packer->wanted == WISH_NONE)
      (void)pthread_cond_wait(&packer->wake, &packer->mutex);
    else
      (void)pthread_cond_timedwait(&packer->wake, &packer->mutex, &at);
  }
}

/* packer->mutex is held. */
static void take_outcome(struct hf_packer *packer, outcome out, wish how, const hf_error *error) {
  uint64_t jitter = 0;
  hf_id id;
  switch (out) {
  case OUT_DONE:
    packer->failures = 0;
    packer->not_before_ms = 0;
    return;
  case OUT_BUSY:
    if (hf_id_make(&id, NULL) == HF_OK)
      jitter = (uint64_t)id.bytes[sizeof id.bytes - 1] * LOOK_AGAIN_JITTER_MS / 256;
    packer->not_before_ms = hf_monotonic_ms() + LOOK_AGAIN_MS + (int64_t)jitter;
    break;
  case OUT_FAILED: {
    int64_t wait_ms = RETRY_FIRST_MS;
    for (unsigned i = 0; i < packer->failures && wait_ms < HF_PACKER_RETRY_MS_MAX; i++)
      wait_ms *= 2;
    if (wait_ms > HF_PACKER_RETRY_MS_MAX)
      wait_ms = HF_PACKER_RETRY_MS_MAX;
    packer->failures++;
    packer->not_before_ms = hf_monotonic_ms() + wait_ms;
    packer->news = *error;
    packer->news_of = how;
    break;
  }
  }
  if (packer->wanted < how)
    packer->wanted = how; /* again, when it is time */
}

static void *packer_main(void *argument) {
  hf_store *store = argument;
  struct hf_packer *packer = store->packer;
  int tried = 0;
  (void)pthread_mutex_lock(&packer->mutex);
  for (;;) {
    wait_for_work(packer);
    wish how = packer->wanted;
    int closing = packer->closing;
    int is_early = packer->not_before_ms > hf_monotonic_ms();
    /* another that it gave way to may be done by now, or end as well: once more, to see */
    if (closing &&
        (how == WISH_NONE || tried || (is_early && (store->shared || packer->failures > 0))))
      break;
    tried = closing;
    packer->wanted = WISH_NONE;
    (void)pthread_mutex_unlock(&packer->mutex);
    hf_error error = HF_ERROR_INIT;
    outcome out = work(store, packer, how, closing, &error);
    (void)pthread_mutex_lock(&packer->mutex);
    take_outcome(packer, out, how, &error);
  }
  (void)pthread_mutex_unlock(&packer->mutex);
  return NULL;
}

/* ---- from the caller's threads ---- */

static void tell(hf_store *store) {
  struct hf_packer *packer = store->packer;
  (void)pthread_mutex_lock(&packer->mutex);
  hf_error news = packer->news;
  packer->news = (hf_error)HF_ERROR_INIT;
  int is_warning = news.code != 0 && packer->news_of == WISH_OWN && !packer->told;
  packer->told |= is_warning;
  (void)pthread_mutex_unlock(&packer->mutex);
  if (news.code == 0)
    return;
  hf_store_name_in_error(store, &news);
  hf_store_log(store, is_warning ? HF_LOG_WARNING : HF_LOG_INFO,
               "%s: %s (packing is tried again later; what is saved stays where it is, and saving "
               "does not depend on it)",
               news.place, news.message);
}

/* NULL: no memory; the next one who saves tries again. */
static struct hf_packer *the_packer(hf_store *store) {
  (void)pthread_mutex_lock(&store->packer_mutex);
  if (store->packer == NULL)
    store->packer = packer_new();
  struct hf_packer *packer = store->packer;
  (void)pthread_mutex_unlock(&store->packer_mutex);
  return packer;
}

static void note_save(hf_store *store) {
  (void)pthread_mutex_lock(&store->packer_mutex);
  if (store->packer != NULL)
    atomic_store(&store->packer->saved_at_ms, hf_monotonic_ms());
  (void)pthread_mutex_unlock(&store->packer_mutex);
}

/* packer->mutex is held. */
static void wait_for_tiles(const hf_store *store, struct hf_packer *packer, uint64_t full) {
  int64_t until_ms = hf_monotonic_ms() + HF_PACKER_WAIT_MS;
  struct timespec until = {(time_t)(until_ms / 1000), (long)(until_ms % 1000) * 1000000};
  while (packer->is_working && full >= atomic_load(&store->tiles_seen) + HF_PACKER_FULL_TILES &&
         hf_monotonic_ms() < until_ms)
    (void)pthread_cond_timedwait(&packer->moved, &packer->mutex, &until);
}

void hf_packer_committed(hf_store *store, uint64_t last) {
  note_save(store);
  uint64_t full = last / HF_TILE_RECORDS;
  uint64_t tiles = atomic_load(&store->tiles_seen);
  if (!store->packs || full <= tiles)
    return;
  wish how = last % HF_TILE_RECORDS == 0 ? WISH_OWN : full - tiles >= 2 ? WISH_OTHERS : WISH_NONE;
  struct hf_packer *packer = how != WISH_NONE ? the_packer(store) : NULL;
  if (packer == NULL)
    return;
  (void)pthread_mutex_lock(&packer->mutex);
  if (packer->wanted < how || full > packer->last / HF_TILE_RECORDS) /* not by each save */
    (void)pthread_cond_signal(&packer->wake);
  if (packer->wanted < how)
    packer->wanted = how;
  if (packer->last < last)
    packer->last = last;
  packer->completed += how == WISH_OWN;
  int starts = !packer->has_thread;
  packer->has_thread = 1;
  (void)pthread_mutex_unlock(&packer->mutex);
  if (starts && !hf_thread_start(&packer->thread, packer_main, store)) {
    (void)pthread_mutex_lock(&packer->mutex);
    packer->has_thread = 0;
    (void)pthread_mutex_unlock(&packer->mutex);
  }
  tell(store);
}

void hf_packer_keep_up(hf_store *store) {
  (void)pthread_mutex_lock(&store->packer_mutex);
  struct hf_packer *packer = store->packer;
  (void)pthread_mutex_unlock(&store->packer_mutex);
  if (packer == NULL)
    return;
  (void)pthread_mutex_lock(&packer->mutex);
  wait_for_tiles(store, packer, packer->last / HF_TILE_RECORDS);
  (void)pthread_mutex_unlock(&packer->mutex);
}

/* What hf_close may cost: for tiles that this handle has made itself, so that handles that follow
 * each other leave no more and more behind; for others' one, where it has packed none before.
 * packer->mutex is held. */
static void allow_closing(struct hf_packer *packer) {
  packer->close_until_ms = hf_monotonic_ms() + HF_PACKER_CLOSE_MS;
  packer->close_tiles_left = packer->completed + 1;
  packer->close_tiles_sure = HF_PACKER_CLOSE_TILES;
  if (packer->completed == 0)
    packer->close_tiles_left = packer->close_tiles_sure = !packer->has_packed;
}

void hf_packer_close(hf_store *store) {
  struct hf_packer *packer = store->packer;
  if (packer == NULL)
    return;
  if (store->owner_pid == getpid()) {
    (void)pthread_mutex_lock(&packer->mutex);
    packer->closing = 1;
    allow_closing(packer);
    (void)pthread_cond_signal(&packer->wake);
    (void)pthread_mutex_unlock(&packer->mutex);
    if (packer->has_thread)
      (void)pthread_join(packer->thread, NULL);
    tell(store);
    (void)pthread_cond_destroy(&packer->wake);
    (void)pthread_cond_destroy(&packer->moved);
    (void)pthread_mutex_destroy(&packer->mutex);
  }
  free(packer); /* a child's copy may be locked by a thread that it does not have */
  store->packer = NULL;
}
