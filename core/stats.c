/* Figures of a store: counted from the rows of its records, which indexes have, or the handle's
 * memory; what rows do not tell, from the beginnings of as few records as possible. */
#include "stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "err.h"
#include "id.h"
#include "index_format.h"
#include "map.h"
#include "read.h"
#include "store_locker.h"

#include "banned.h"

enum {
  ROWS_AT_ONCE = 256, /* under the view's mutex */
  STAGE_SEED = 12,    /* of hashes that are compared with each other alone */
  LOOKS_MAX = 16384,  /* records that are looked into for their stage; then one of: */
  LOOK_ONE_OF = 256,
  ENTRIES_AT_ONCE = 1024,
  MINUTE_S = 60,
  HOUR_S = 3600,
  DAY_S = 86400,
  ID_TIME_BYTES = 6,
  DATES_READ_MAX = 4096,
};

#define US_PER_S INT64_C(1000000)

typedef struct counting {
  hf_store *store;
  hf_store_stats *stats;
  hf_map keys;
  hf_map runs;
  hf_map peers; /* (group, stage, dims) */
  hf_map groups;
  hf_map stages;
  uint64_t indexed; /* the groups of records up to here are known */
  uint64_t looks;   /* records that there was a reason to look into */
  hf_buf text;
} counting;

static void counting_free(counting *all) {
  hf_map_free(&all->keys);
  hf_map_free(&all->runs);
  hf_map_free(&all->peers);
  hf_map_free(&all->groups);
  hf_map_free(&all->stages);
  hf_buf_free(&all->text);
}

#define autocounting __attribute__((cleanup(counting_free))) counting

/* 1: new; 0: it was there; negative. */
static int put(hf_map *map, uint64_t hash, uint64_t seq, hf_error *reterr) {
  if (hf_map_reserve(map, 1) != HF_OK)
    return hf_err_nomem(reterr);
  return hf_map_set(map, hash, seq) == 0;
}

static int put_and_count(hf_map *map, uint64_t hash, uint64_t seq, uint64_t *count,
                         hf_error *reterr) {
  int is_new = put(map, hash, seq, reterr);
  *count += is_new == 1;
  return is_new < 0 ? is_new : HF_OK;
}

static void count_op(hf_store_stats *stats, hf_piece name) {
  hf_stats_op *op = stats->ops;
  size_t i = 0;
  if (name.bytes >= sizeof op->op)
    name.bytes = 0;
  while (i < stats->ops_count &&
         (strlen(op[i].op) != name.bytes || memcmp(op[i].op, name.text, name.bytes) != 0))
    i++;
  if (i == HF_STATS_OPS_MAX) {
    i = HF_STATS_OPS_MAX - 1; /* more ops than there are */
  } else if (i == stats->ops_count) {
    memcpy(op[i].op, name.text, name.bytes);
    stats->ops_count++;
  }
  op[i].records++;
}

/* The groups of what is indexed. */
static int count_indexed_groups(counting *all, const hf_view *view, hf_error *reterr) {
  char bytes[ENTRIES_AT_ONCE * HF_INDEX_ENTRY_BYTES];
  for (size_t f = 0; view->index != NULL && f < view->index->count; f++) {
    const hf_index *index = view->index->file[f];
    uint64_t entries = index->header.entries[HF_INDEX_BY_GROUP];
    for (uint64_t i = 0; i < entries; i += ENTRIES_AT_ONCE) {
      size_t count = entries - i < ENTRIES_AT_ONCE ? (size_t)(entries - i) : ENTRIES_AT_ONCE;
      uint64_t at = index->tables_at[HF_INDEX_BY_GROUP] + i * HF_INDEX_ENTRY_BYTES;
      int status = hf_index_read(index, at, bytes, count * HF_INDEX_ENTRY_BYTES, reterr);
      for (size_t k = 0; k < count && status == HF_OK; k++) {
        hf_index_key key;
        hf_index_entry_take(bytes + k * HF_INDEX_ENTRY_BYTES, &key);
        status = put_and_count(&all->groups, key.hash, 1, &all->stats->groups, reterr);
      }
      if (status != HF_OK)
        return status;
    }
  }
  all->indexed = view->base;
  return HF_OK;
}

/* What the record itself tells of its group and stage. Stages are few: of very many records that
 * may have one of their own (a group each, or none) a part is looked into. */
static int look_into(counting *all, uint64_t seq, const hf_row *row, hf_error *reterr) {
  hf_envelope envelope;
  int has_group = seq > all->indexed && (row->flags & HF_ROW_GROUPED) != 0;
  if (++all->looks > LOOKS_MAX) {
    all->stats->stages_sampled = 1;
    if (!has_group && all->looks % LOOK_ONE_OF != 0)
      return HF_OK;
  }
  int got = hf_envelope_read(all->store, seq, row, &all->text, &envelope, reterr);
  int status = got < 0 ? got : HF_OK;
  if (got == 1 && has_group && envelope.group.text != NULL)
    status =
        put_and_count(&all->groups, hf_index_group_hash(envelope.group.text, envelope.group.bytes),
                      seq, &all->stats->groups, reterr);
  if (status == HF_OK && got == 1 && envelope.stage.text != NULL)
    status = put_and_count(&all->stages,
                           hf_hash64(STAGE_SEED, envelope.stage.text, envelope.stage.bytes), seq,
                           &all->stats->stages, reterr);
  return status;
}

static int count_snapshot(counting *all, uint64_t seq, const hf_row *row, hf_error *reterr) {
  static const hf_piece save = {"save", 4};
  int is_grouped = (row->flags & HF_ROW_GROUPED) != 0;
  count_op(all->stats, save);
  all->stats->snapshots++;
  int new_key = put(&all->keys, row->key_hash, seq, reterr);
  int new_run = new_key < 0 ? new_key : put(&all->runs, row->run_hash, seq, reterr);
  if (new_run < 0)
    return new_run;
  all->stats->current += (uint64_t)new_key;
  all->stats->runs += (uint64_t)new_run;
  int is_first = is_grouped ? put(&all->peers, row->peer_hash, seq, reterr) : new_key;
  return is_first == 1 ? look_into(all, seq, row, reterr) : is_first;
}

static int count_row(counting *all, uint64_t seq, const hf_row *row, hf_error *reterr) {
  static const hf_piece unknown = {"", 0};
  hf_envelope envelope;
  if ((row->flags & HF_ROW_DAMAGED) != 0) {
    all->stats->damaged++;
    count_op(all->stats, unknown);
    return HF_OK;
  }
  if (row->op == HF_OP_SAVE)
    return count_snapshot(all, seq, row, reterr);
  int got = hf_envelope_read(all->store, seq, row, &all->text, &envelope, reterr);
  if (got >= 0)
    count_op(all->stats, got == 1 ? envelope.op : unknown);
  return got < 0 ? got : HF_OK;
}

static int read_rows(hf_store *store, uint64_t first, size_t count, hf_row *rows,
                     hf_error *reterr) {
  int status = HF_OK;
  (void)pthread_mutex_lock(&store->view_mutex);
  for (size_t i = 0; i < count && status == HF_OK; i++)
    status = hf_view_row(&store->view, first + i, &rows[i], reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  return status;
}

static int count_rows(counting *all, const hf_stats_options *options, hf_error *reterr) {
  hf_row rows[ROWS_AT_ONCE];
  uint64_t head = all->stats->head;
  for (uint64_t first = 1; first <= head; first += ROWS_AT_ONCE) {
    size_t count = head - first + 1 < ROWS_AT_ONCE ? (size_t)(head - first + 1) : ROWS_AT_ONCE;
    if (options->progress != NULL &&
        options->progress(options->progress_context, "records", first - 1, head) != 0)
      return hf_err(reterr, HF_ECANCELLED, NULL, "stopped");
    int status = read_rows(all->store, first, count, rows, reterr);
    for (size_t i = 0; i < count && status == HF_OK; i++)
      status = count_row(all, first + i, &rows[i], reterr);
    if (status != HF_OK)
      return status;
  }
  return HF_OK;
}

/* ---- rates ---- */

/* When a record was saved stands in it; its id, which its row has, was made at the same moment,
 * unless its caller gave it, or it was derived from what was imported. So of each tile one record
 * is read, and the ids that lie within a day of it are believed; others are read, too, as long as
 * they are few, and taken to be as old as the one that was read, where they are many. */
typedef struct dating {
  counting *all;
  int64_t now_us;
  uint64_t sampled;  /* the tile + 1 of which one was read */
  int64_t sample_us; /* when that one was saved */
  unsigned reads_left;
} dating;

static int64_t time_of_id(const hf_id *id) {
  int64_t ms = 0;
  for (int i = 0; i < ID_TIME_BYTES; i++)
    ms = ms << 8 | id->bytes[i];
  return ms * 1000;
}

/* 1, 0 (it cannot be told), negative. */
static int read_time(dating *d, uint64_t seq, const hf_row *row, int64_t *ret_us,
                     hf_error *reterr) {
  hf_envelope envelope;
  hf_store_stats *stats = d->all->stats;
  int got = hf_envelope_read(d->all->store, seq, row, &d->all->text, &envelope, reterr);
  if (got != 1)
    return got;
  if (envelope.at.bytes < 2 ||
      hf_timestamp_parse(envelope.at.text + 1, envelope.at.bytes - 2, ret_us) != 0)
    return 0;
  if (stats->last_at[0] == '\0' && envelope.at.bytes - 2 < sizeof stats->last_at) {
    memcpy(stats->last_at, envelope.at.text + 1, envelope.at.bytes - 2);
    stats->last_at_unix_us = *ret_us;
  }
  return 1;
}

/* 1, 0 (it cannot be told), negative. */
static int date(dating *d, uint64_t seq, const hf_row *row, int64_t *ret_us, hf_error *reterr) {
  uint64_t tile = (seq - 1) / HF_TILE_RECORDS;
  if (d->sampled != tile + 1) {
    int got = read_time(d, seq, row, ret_us, reterr);
    d->sample_us = got == 1 ? *ret_us : 0;
    d->sampled = got == 1 ? tile + 1 : 0;
    return got;
  }
  *ret_us = time_of_id(&row->id);
  if (llabs(*ret_us - d->sample_us) < DAY_S * US_PER_S)
    return 1;
  if (d->reads_left > 0) {
    d->reads_left--;
    return read_time(d, seq, row, ret_us, reterr);
  }
  *ret_us = d->sample_us;
  return 1;
}

/* Downwards, until so many in a row are older than a day that no clock explains it. */
static int count_rates(counting *all, hf_error *reterr) {
  hf_store_stats *stats = all->stats;
  hf_row rows[ROWS_AT_ONCE];
  dating d = {.all = all, .now_us = hf_realtime_us(), .reads_left = DATES_READ_MAX};
  uint64_t older = 0;
  uint64_t first = stats->head + 1;
  for (uint64_t seq = stats->head; seq > 0 && older < HF_TILE_RECORDS; seq--) {
    int64_t at_us = 0;
    int got = HF_OK;
    if (seq < first) {
      first = seq > ROWS_AT_ONCE ? seq - ROWS_AT_ONCE + 1 : 1;
      got = read_rows(all->store, first, (size_t)(seq - first + 1), rows, reterr);
    }
    const hf_row *row = &rows[seq - first];
    if (got == HF_OK && (row->op != HF_OP_SAVE || (row->flags & HF_ROW_DAMAGED) != 0))
      continue;
    if (got == HF_OK)
      got = date(&d, seq, row, &at_us, reterr);
    if (got < 0)
      return got;
    if (got == 0)
      continue;
    int64_t age_s = (d.now_us - at_us) / US_PER_S;
    older = age_s >= DAY_S ? older + 1 : 0;
    stats->saves_minute += age_s < MINUTE_S;
    stats->saves_hour += age_s < HOUR_S;
    stats->saves_day += age_s < DAY_S;
  }
  return HF_OK;
}

/* ---- the locker's counter ---- */

/* That its backend cannot be reached is no reason to tell nothing. */
static void ask_locker(hf_store *store, hf_store_stats *stats) {
  char scheme[HF_LOCKER_NAME_BYTES_MAX + 1];
  hf_opened_locker *locker = NULL;
  hf_error error = HF_ERROR_INIT;
  (void)pthread_mutex_lock(&store->view_mutex);
  const hf_locker_ops *ops = hf_locker_find(hf_store_locker_name(store));
  (void)pthread_mutex_unlock(&store->view_mutex);
  if (ops != NULL && ops->count_repairs == NULL)
    return; /* it does not count */
  int status = hf_store_use_locker(store, 0, scheme, &locker, &error);
  if (status == HF_OK && locker->ops->count_repairs != NULL) {
    status = locker->ops->count_repairs(locker->state, "lock", &stats->counter_repairs, &error);
    stats->has_counter = status == HF_OK;
  }
  if (status != HF_OK)
    (void)snprintf(stats->counter_error, sizeof stats->counter_error, "%.100s%s%.150s", error.place,
                   error.place[0] != '\0' ? ": " : "", error.message);
  hf_store_leave_locker(store, &locker);
}

int hf_get_store_stats(hf_store *store, const hf_stats_options *options, hf_store_stats *ret_stats,
                       hf_error *reterr) {
  static const hf_stats_options none;
  hf_store_stats stats = {0};
  autocounting all = {.store = store, .stats = &stats};
  int status = hf_read_begin(store, &stats.head, reterr);
  if (status != HF_OK)
    return status;
  (void)pthread_mutex_lock(&store->view_mutex);
  stats.indexed = store->view.base;
  status = count_indexed_groups(&all, &store->view, reterr);
  (void)pthread_mutex_unlock(&store->view_mutex);
  stats.tiles = atomic_load(&store->tiles_seen);
  if (status == HF_OK)
    status = count_rows(&all, options != NULL ? options : &none, reterr);
  if (status == HF_OK)
    status = count_rates(&all, reterr);
  if (status != HF_OK) {
    hf_err_place_below(reterr, store->path);
    return status;
  }
  status = hf_stats_measure(store, &stats, reterr);
  if (status != HF_OK)
    return status;
  ask_locker(store, &stats);
  *ret_stats = stats;
  return status;
}
