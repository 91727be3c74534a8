/* hf_get_writer_stats: the files of stats/, together. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "plant.h"
#include "sys.h"
#include "tally.h"

#include "banned.h"

enum { HOSTS_FIRST = 16 };

typedef struct gathering {
  int folder_fd;
  hf_writer_stats *stats;
  size_t allocated;
} gathering;

static int reserve(gathering *all, hf_error *reterr) {
  hf_writer_stats *stats = all->stats;
  if (stats->hosts_count < all->allocated)
    return HF_OK;
  size_t allocated = all->allocated == 0 ? HOSTS_FIRST : all->allocated * 2;
  hf_host_stats *hosts = realloc(stats->hosts, allocated * sizeof *hosts);
  if (hosts == NULL)
    return hf_err_nomem(reterr);
  stats->hosts = hosts;
  all->allocated = allocated;
  return HF_OK;
}

static int take_entry(void *context, const char *name, hf_error *reterr) {
  gathering *all = context;
  hf_writer_stats *stats = all->stats;
  hf_host_stats tally;
  hf_tally_is is;
  if (!hf_tally_is_name(name))
    return HF_OK; /* verify tells of it */
  if (hf_tally_look(all->folder_fd, name, &tally, &is) != 0) {
    stats->unread += errno != ENOENT && errno != ESTALE;
    return HF_OK;
  }
  if (is != HF_TALLY_GOOD) {
    stats->unread += is != HF_TALLY_EMPTY;
    return HF_OK;
  }
  int status = reserve(all, reterr);
  if (status == HF_OK)
    stats->hosts[stats->hosts_count++] = tally;
  return status;
}

static void join(hf_host_stats *a, const hf_host_stats *b) {
  a->handles += b->handles;
  hf_tally_add(&a->counted, &b->counted);
  if (a->since_unix_us == 0 || b->since_unix_us < a->since_unix_us)
    a->since_unix_us = b->since_unix_us;
  if (b->last_unix_us > a->last_unix_us)
    a->last_unix_us = b->last_unix_us;
}

static int by_name(const void *a, const void *b) {
  return strcmp(((const hf_host_stats *)a)->host, ((const hf_host_stats *)b)->host);
}

/* Several users of a host, and hosts of one name, become one. */
static void sum_up(hf_writer_stats *stats) {
  size_t kept = 0;
  if (stats->hosts_count > 1)
    qsort(stats->hosts, stats->hosts_count, sizeof stats->hosts[0], by_name);
  for (size_t i = 0; i < stats->hosts_count; i++) {
    join(&stats->total, &stats->hosts[i]);
    if (kept > 0 && by_name(&stats->hosts[kept - 1], &stats->hosts[i]) == 0)
      join(&stats->hosts[kept - 1], &stats->hosts[i]);
    else
      stats->hosts[kept++] = stats->hosts[i];
  }
  stats->hosts_count = kept;
}

static void writer_stats_cleanup(hf_writer_stats **stats) {
  hf_writer_stats_free(stats);
}

int hf_get_writer_stats(hf_store *store, hf_writer_stats **ret_stats, hf_error *reterr) {
  int status = hf_store_check(store, reterr);
  if (status != HF_OK)
    return status;
  __attribute__((cleanup(writer_stats_cleanup))) hf_writer_stats *stats = calloc(1, sizeof *stats);
  if (stats == NULL)
    return hf_err_nomem(reterr);
  hf_autofd int fd = hf_sys_openat(store->root_fd, HF_TALLY_FOLDER, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    stats->unread += errno != ENOENT;
  else {
    gathering all = {fd, stats, 0};
    status = hf_dir_each(fd, HF_TALLY_FOLDER, take_entry, &all, reterr);
  }
  if (status != HF_OK) {
    hf_err_place_below(reterr, store->path);
    return status;
  }
  sum_up(stats);
  *ret_stats = hf_take(stats);
  return HF_OK;
}

void hf_writer_stats_free(hf_writer_stats **stats) {
  if (stats == NULL || *stats == NULL)
    return;
  free((*stats)->hosts);
  free(*stats);
  *stats = NULL;
}
