/* How much room a store takes. */
#include <errno.h>
#include <string.h>

#include "err.h"
#include "file.h"
#include "stats.h"
#include "sys.h"
#include "tally.h"

#include "banned.h"

enum { DEPTH_MAX = 3 };

static const char *const place_names[HF_STATS_PLACES] = {
    [HF_STATS_LOG] = "log",
    [HF_STATS_TILE] = "tile",
    [HF_STATS_INDEX] = "index",
    [HF_STATS_BLOB] = "blob",
    [HF_STATS_STAGE] = "stage",
    [HF_STATS_QUARANTINE] = "quarantine",
    [HF_STATS_COUNTED] = HF_TALLY_FOLDER,
    [HF_STATS_OTHER] = "other",
};

const char *hf_stats_place_name(hf_stats_place place) {
  return (unsigned)place < HF_STATS_PLACES ? place_names[place] : NULL;
}

static hf_stats_place place_of(const char *name) {
  for (unsigned i = 0; i < HF_STATS_OTHER; i++)
    if (strcmp(place_names[i], name) == 0)
      return (hf_stats_place)i;
  return HF_STATS_OTHER;
}

typedef struct measuring {
  int dirfd;
  unsigned depth;
  hf_stats_size *sizes; /* at the root: of all places */
  hf_stats_place place; /* below it */
} measuring;

static int measure_folder(const measuring *above, const char *name, hf_stats_place place,
                          hf_error *reterr);

/* Names come and go while it is walked over: what is gone counts nothing. */
static int measure_entry(void *context, const char *name, hf_error *reterr) {
  const measuring *in = context;
  hf_sys_file file;
  hf_stats_place place = in->depth == 0 ? place_of(name) : in->place;
  if (hf_sys_identify(in->dirfd, name, &file) != 0)
    return errno == ENOENT || errno == ESTALE
               ? HF_OK
               : hf_err_sys(reterr, HF_EIO, errno, name, "cannot be examined");
  if (S_ISDIR(file.mode) && in->depth < DEPTH_MAX)
    return measure_folder(in, name, place, reterr);
  if (in->depth == 0)
    place = HF_STATS_OTHER;
  in->sizes[place].files++;
  in->sizes[place].bytes += S_ISREG(file.mode) ? file.bytes : 0;
  return HF_OK;
}

static int measure_folder(const measuring *above, const char *name, hf_stats_place place,
                          hf_error *reterr) {
  hf_autofd int fd = hf_sys_openat(above->dirfd, name, O_RDONLY | O_DIRECTORY, 0);
  if (fd < 0)
    return errno == ENOENT || errno == ESTALE
               ? HF_OK
               : hf_err_sys(reterr, HF_EIO, errno, name, "cannot open the folder");
  measuring in = {fd, above->depth + 1, above->sizes, place};
  return hf_dir_each(fd, name, measure_entry, &in, reterr);
}

int hf_stats_measure(hf_store *store, hf_store_stats *ret_stats, hf_error *reterr) {
  struct statfs space;
  measuring in = {store->root_fd, 0, ret_stats->sizes, HF_STATS_OTHER};
  int status = hf_dir_each(store->root_fd, "", measure_entry, &in, reterr);
  if (status == HF_OK && hf_sys->statfs(store->path, &space) != 0)
    status = hf_err_sys(reterr, HF_EIO, errno, "", "the filesystem's space cannot be told");
  if (status != HF_OK) {
    hf_err_place_below(reterr, store->path);
    return status;
  }
  ret_stats->filesystem_bytes = (uint64_t)space.f_blocks * (uint64_t)space.f_bsize;
  ret_stats->filesystem_free_bytes = (uint64_t)space.f_bavail * (uint64_t)space.f_bsize;
  return HF_OK;
}
